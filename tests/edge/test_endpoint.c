/* Where a service is asked, by the environment, the configuration and the shared files; and URLs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/edge/endpoint.h"
#include "engine/edge/url.h"
#include "tests/edge/keys_rig.h"

static struct endpoint_book book_of(struct keys_rig *rig, const char *config)
{
    struct problem problem;
    keys_rig_write(rig->config, config);
    profile_close(rig->profile);
    rig->profile = NULL;
    if (profile_open(&rig->canned.world, NULL, &rig->profile, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    return (struct endpoint_book){.world = &rig->canned.world, .profile = rig->profile};
}

static void assert_url(const struct endpoint_book *book, const char *service, const char *region,
                       const char *url, const char *from)
{
    struct endpoint endpoint;
    struct problem problem;
    if (endpoint_find(book, service, region, &endpoint, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    assert_string_equal(endpoint.url, url);
    keys_rig_contains(endpoint.from, from);
}

static void awss_own_endpoints_are_by_service_and_region(void **state)
{
    struct keys_rig *rig = *state;
    struct endpoint_book book = book_of(rig, "");
    assert_url(&book, "sqs", "eu-west-1", "https://sqs.eu-west-1.amazonaws.com", "the region");
    assert_url(&book, "lambda", "cn-north-1", "https://lambda.cn-north-1.amazonaws.com.cn", "");
    struct endpoint endpoint;
    struct problem problem;
    assert_int_equal(endpoint_find(&book, "sqs", "", &endpoint, &problem), STATUS_INVALID);
    keys_rig_contains(problem.text, "AWS_REGION");
    assert_int_equal(endpoint_find(&book, "sqs", "evil.com/", &endpoint, &problem), STATUS_INVALID);
    keys_rig_contains(problem.text, "no region of AWS");
}

/* Each is taken away, and the next one counts. */
static void who_says_an_endpoint_is_believed_in_order(void **state)
{
    struct keys_rig *rig = *state;
    struct endpoint_book book =
        book_of(rig, "[default]\nservices = local\nendpoint_url = http://profile\n"
                     "[services local]\nsns =\n  endpoint_url = http://other\n"
                     "sqs =\n  endpoint_url = http://services # as a comment\n");
    book.endpoint_url = "http://configuration/";
    canned_set(&rig->canned, "AWS_ENDPOINT_URL_SQS", "http://one");
    canned_set(&rig->canned, "AWS_ENDPOINT_URL", "http://all");
    assert_url(&book, "sqs", "eu-west-1", "http://one", "AWS_ENDPOINT_URL_");
    assert_url(&book, "lambda", "eu-west-1", "http://all", "AWS_ENDPOINT_URL");
    canned_set(&rig->canned, "AWS_ENDPOINT_URL_SQS", NULL);
    canned_set(&rig->canned, "AWS_ENDPOINT_URL", "");
    assert_url(&book, "sqs", "eu-west-1", "http://configuration", "\"endpoint_url\"");
    book.endpoint_url = NULL;
    assert_url(&book, "sqs", "eu-west-1", "http://services", "profile default");
    assert_url(&book, "sns", "eu-west-1", "http://other", "profile default");
    assert_url(&book, "lambda", "eu-west-1", "http://profile", "profile default");
}

static void what_is_configured_can_be_ignored_but_for_our_own(void **state)
{
    struct keys_rig *rig = *state;
    struct endpoint_book book = book_of(rig, "[default]\nendpoint_url = http://profile\n");
    canned_set(&rig->canned, "AWS_ENDPOINT_URL", "http://all");
    canned_set(&rig->canned, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "TRUE");
    assert_url(&book, "sqs", "eu-west-1", "https://sqs.eu-west-1.amazonaws.com", "");
    book.endpoint_url = "http://configuration";
    assert_url(&book, "sqs", "eu-west-1", "http://configuration", "");
}

static void a_fips_endpoint_has_to_be_named(void **state)
{
    struct keys_rig *rig = *state;
    struct endpoint endpoint;
    struct problem problem;
    struct endpoint_book book = book_of(rig, "[default]\nuse_fips_endpoint = true\n");
    assert_int_equal(endpoint_find(&book, "sqs", "us-east-1", &endpoint, &problem), STATUS_INVALID);
    keys_rig_contains(problem.text, "FIPS endpoint of sqs");
    canned_set(&rig->canned, "AWS_ENDPOINT_URL_SQS", "https://sqs-fips.us-east-1.amazonaws.com");
    assert_url(&book, "sqs", "us-east-1", "https://sqs-fips.us-east-1.amazonaws.com", "");
}

static void an_endpoint_that_is_no_url_is_refused_with_who_said_it(void **state)
{
    struct keys_rig *rig = *state;
    struct endpoint_book book = book_of(rig, "");
    struct endpoint endpoint;
    struct problem problem;
    const char *bad[] = {"localhost:4566", "ftp://a",      "http://",
                         "http://a b",     "http://u:p@h", "http://h?a=b"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        canned_set(&rig->canned, "AWS_ENDPOINT_URL", bad[i]);
        assert_int_equal(endpoint_find(&book, "sqs", "eu-west-1", &endpoint, &problem),
                         STATUS_INVALID);
        keys_rig_contains(problem.text, "AWS_ENDPOINT_URL");
    }
}

static void the_region_is_by_who_is_nearest(void **state)
{
    struct keys_rig *rig = *state;
    const char *from;
    struct endpoint_book book = book_of(rig, "[default]\nregion = r4\n");
    book.region = "r1";
    canned_set(&rig->canned, "AWS_REGION", "r2");
    canned_set(&rig->canned, "AWS_DEFAULT_REGION", "r3");
    assert_string_equal(endpoint_region(&book, &from), "r1");
    book.region = NULL;
    assert_string_equal(endpoint_region(&book, &from), "r2");
    assert_string_equal(from, "AWS_REGION");
    canned_set(&rig->canned, "AWS_REGION", NULL);
    assert_string_equal(endpoint_region(&book, &from), "r3");
    canned_set(&rig->canned, "AWS_DEFAULT_REGION", NULL);
    assert_string_equal(endpoint_region(&book, &from), "r4");
    keys_rig_contains(from, rig->config);
    book = book_of(rig, "");
    assert_string_equal(endpoint_region(&book, &from), "");
}

static void the_region_of_a_host_is_read_where_it_is_awss(void **state)
{
    (void)state;
    char region[ENDPOINT_REGION_BYTES];
    const struct {
        const char *host, *region;
    } cases[] = {
        {"sqs.eu-west-1.amazonaws.com", "eu-west-1"},
        {"sqs.cn-north-1.amazonaws.com.cn", "cn-north-1"},
        {"sts.amazonaws.com", NULL},
        {"127.0.0.1:4566", NULL},
        {"sqs.eu-west-1.amazonaws.com.evil.org", NULL},
        {"sqs.eu-west-1.localhost.localstack.cloud:4566", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool found = endpoint_region_of_host(cases[i].host, strlen(cases[i].host), region);
        assert_int_equal(found, cases[i].region != NULL);
        if (found)
            assert_string_equal(region, cases[i].region);
    }
}

/* ---- the shared files ------------------------------------------------------------------------
 */

static void the_files_are_read_as_awss_tools_read_them(void **state)
{
    struct keys_rig *rig = *state;
    keys_rig_write(rig->keys, "[ shop ]\r\nregion=from-credentials\r\n[profile shop]\nregion=no\n");
    canned_set(&rig->canned, "AWS_PROFILE", "shop");
    book_of(rig, "# comment\n; comment\n\n[profile \"shop\"]   # comment\n"
                 "region = from-config\nrole_session_name = a#b ; comment\n"
                 "s3 =\n  max_queue_size = 10\noutput=json\n"
                 "[sso-session x]\nregion = elsewhere\n[shop]\nregion = nowhere\n");
    assert_string_equal(profile_name(rig->profile), "shop");
    assert_string_equal(profile_value(rig->profile, "region"), "from-credentials");
    assert_string_equal(profile_value(rig->profile, "role_session_name"), "a#b");
    assert_string_equal(profile_value(rig->profile, "output"), "json");
    assert_null(profile_value(rig->profile, "s3"));
    assert_null(profile_value(rig->profile, "max_queue_size"));
}

static void the_default_profile_need_not_be_there(void **state)
{
    struct keys_rig *rig = *state;
    struct problem problem;
    canned_set(&rig->canned, "AWS_CONFIG_FILE", NULL);
    canned_set(&rig->canned, "AWS_SHARED_CREDENTIALS_FILE", NULL);
    assert_int_equal(profile_open(&rig->canned.world, NULL, &rig->profile, &problem), STATUS_OK);
    assert_string_equal(profile_name(rig->profile), "default");
    profile_close(rig->profile);
    rig->profile = NULL;
    canned_set(&rig->canned, "HOME", rig->directory);
    canned_set(&rig->canned, "AWS_PROFILE", "other");
    assert_int_equal(profile_open(&rig->canned.world, NULL, &rig->profile, &problem),
                     STATUS_NOT_FOUND);
    keys_rig_contains(problem.text, rig->directory);
    keys_rig_contains(problem.text, "/.aws/config (as [profile other])");
}

static void a_file_that_is_no_text_is_refused(void **state)
{
    struct keys_rig *rig = *state;
    struct problem problem;
    keys_rig_write(rig->config, "[default]\nregion = \xff\xfe\n");
    assert_int_equal(profile_open(&rig->canned.world, NULL, &rig->profile, &problem),
                     STATUS_INVALID);
    keys_rig_contains(problem.text, "config:2: is no UTF-8");
    canned_set(&rig->canned, "AWS_CONFIG_FILE", "/dev/zero");
    assert_int_equal(profile_open(&rig->canned.world, NULL, &rig->profile, &problem),
                     STATUS_TOO_LARGE);
    canned_set(&rig->canned, "AWS_CONFIG_FILE", rig->directory);
    assert_int_equal(profile_open(&rig->canned.world, NULL, &rig->profile, &problem), STATUS_IO);
    keys_rig_contains(problem.text, "Is a directory");
}

/* ---- URLs ------------------------------------------------------------------------------------
 */

static void a_url_is_cut_into_what_is_signed(void **state)
{
    (void)state;
    const struct {
        const char *url, *host, *path, *query;
    } cases[] = {
        {"https://h.com:443/a?b=c?d", "h.com", "/a", "b=c?d"},
        {"HTTP://h.com:80", "h.com", "", ""},
        {"http://h.com:443/", "h.com:443", "/", ""},
        {"https://[::1]:8443?x", "[::1]:8443", "", "x"},
        {"http://h?", "h", "", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct url url;
        assert_true(url_split(cases[i].url, &url));
        assert_int_equal(url.host_bytes, strlen(cases[i].host));
        assert_memory_equal(url.host, cases[i].host, url.host_bytes);
        assert_int_equal(url.path_bytes, strlen(cases[i].path));
        assert_memory_equal(url.path, cases[i].path, url.path_bytes);
        assert_string_equal(url.query, cases[i].query);
        assert_int_equal(url.query_bytes, strlen(cases[i].query));
    }
    const char *bad[] = {"",           "h",          "//h",         "http://",    "http:///a",
                         "http://:80", "http://h#f", "http://h/\n", "http://u@h", "https://h/a b"};
    struct url url;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(url_split(bad[i], &url));
}

static void what_is_shown_of_a_url_is_scheme_host_and_path(void **state)
{
    (void)state;
    static const struct {
        const char *url, *shown;
    } cases[] = {
        {"https://a.example:1/b/c", "https://a.example:1/b/c"},
        {"https://a/b?c=d", "https://a/b"},
        {"https://a/b#c", "https://a/b"},
        {"https://a?c=d/@", "https://a"},
        {"https://user:word@a/b@c", "https://a/b@c"},
        {"https://user:w@rd@a/b", "https://a/b"},
        {"https:/user:word@a/b", "a/b"},
        {"user:word@a?b", "a"},
        {"a?b=http://c", "a"},
        {"", ""},
    };
    char shown[URL_SHOWN_BYTES], url[4096] = "https://a/";
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        url_show(cases[i].url, shown);
        assert_string_equal(shown, cases[i].shown);
    }
    memset(url + 10, 'b', sizeof url - 11);
    url_show(url, shown);
    assert_int_equal(strlen(shown), URL_SHOWN_BYTES - 1);
}

static void all_but_the_unreserved_is_encoded(void **state)
{
    (void)state;
    char text[32];
    assert_int_equal(url_encode("a/ ~\xc3", 5, false, text, sizeof text), 11);
    assert_string_equal(text, "a%2F%20~%C3");
    assert_int_equal(url_encode("a/b", 3, true, text, sizeof text), 3);
    assert_string_equal(text, "a/b");
    assert_int_equal(url_encode("a/b", 3, false, text, 3), 5);
    assert_string_equal(text, "a%");
    assert_int_equal(url_encode("", 0, false, text, 1), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, keys_rig_setup, keys_rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_shown_of_a_url_is_scheme_host_and_path),
        TEST(awss_own_endpoints_are_by_service_and_region),
        TEST(who_says_an_endpoint_is_believed_in_order),
        TEST(what_is_configured_can_be_ignored_but_for_our_own),
        TEST(a_fips_endpoint_has_to_be_named),
        TEST(an_endpoint_that_is_no_url_is_refused_with_who_said_it),
        TEST(the_region_is_by_who_is_nearest),
        TEST(the_region_of_a_host_is_read_where_it_is_awss),
        TEST(the_files_are_read_as_awss_tools_read_them),
        TEST(the_default_profile_need_not_be_there),
        TEST(a_file_that_is_no_text_is_refused),
        TEST(a_url_is_cut_into_what_is_signed),
        TEST(all_but_the_unreserved_is_encoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
