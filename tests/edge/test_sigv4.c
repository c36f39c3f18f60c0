/* Against the signatures of AWS's own published test suite (aws4_testsuite), and what botocore
 * signs where that has no case. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/edge/sigv4.h"

#define UNRESERVED "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define TOKEN                                                                                      \
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSP" \
    "fIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT" \
    "7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlz" \
    "m8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="

struct vector {
    const char *name, *method, *path, *query, *headers[4], *body, *signed_names, *signature;
};

static const struct vector vectors[] = {
    {"get-header-key-duplicate",
     "GET",
     "/",
     "",
     {"My-Header1:value2", "My-Header1:value2", "My-Header1:value1"},
     "",
     "host;my-header1;x-amz-date",
     "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
    {"get-header-value-order",
     "GET",
     "/",
     "",
     {"My-Header1:value4", "My-Header1:value1", "My-Header1:value3", "My-Header1:value2"},
     "",
     "host;my-header1;x-amz-date",
     "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
    {"get-header-value-trim",
     "GET",
     "/",
     "",
     {"My-Header1: value1 ", "My-Header2: \"a   b   c\"  "},
     "",
     "host;my-header1;my-header2;x-amz-date",
     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
    {"get-unreserved",
     "GET",
     "/" UNRESERVED,
     "",
     {0},
     "",
     "host;x-amz-date",
     "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
    {"get-utf8",
     "GET",
     "/\xe1\x88\xb4",
     "",
     {0},
     "",
     "host;x-amz-date",
     "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
    {"get-vanilla",
     "GET",
     "/",
     "",
     {0},
     "",
     "host;x-amz-date",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-relative-relative",
     "GET",
     "/example1/example2/../..",
     "",
     {0},
     "",
     "host;x-amz-date",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-slash",
     "GET",
     "//",
     "",
     {0},
     "",
     "host;x-amz-date",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-slash-dot-slash",
     "GET",
     "/./",
     "",
     {0},
     "",
     "host;x-amz-date",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-vanilla-empty-query-key",
     "GET",
     "/",
     "Param1=value1",
     {0},
     "",
     "host;x-amz-date",
     "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
    {"get-vanilla-query-order-key-case",
     "GET",
     "/",
     "Param2=value2&Param1=value1",
     {0},
     "",
     "host;x-amz-date",
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    {"get-vanilla-query-unreserved",
     "GET",
     "/",
     UNRESERVED "=" UNRESERVED,
     {0},
     "",
     "host;x-amz-date",
     "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
    {"get-vanilla-utf8-query",
     "GET",
     "/",
     "\xe1\x88\xb4=bar",
     {0},
     "",
     "host;x-amz-date",
     "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
    {"get-vanilla-utf8-query, encoded",
     "GET",
     "/",
     "%E1%88%b4=bar",
     {0},
     "",
     "host;x-amz-date",
     "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
    {"post-header-value-case",
     "POST",
     "/",
     "",
     {"My-Header1:VALUE1"},
     "",
     "host;my-header1;x-amz-date",
     "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
    {"post-header-key-sort",
     "POST",
     "/",
     "",
     {"My-Header1:value1"},
     "",
     "host;my-header1;x-amz-date",
     "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
    {"post-vanilla",
     "POST",
     "/",
     "",
     {0},
     "",
     "host;x-amz-date",
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {"post-vanilla-query",
     "POST",
     "/",
     "Param1=value1",
     {0},
     "",
     "host;x-amz-date",
     "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
    {"post-vanilla-query-nonunreserved",
     "POST",
     "/",
     "%40%23%24%25%5E=&%2B=%2F%2C%3F%3E%3C%60%22%3B%3A%5C%7C%5D%5B%7B%7D",
     {0},
     "",
     "host;x-amz-date",
     "66c82657c86e26fb25238d0e69f011edc4c6df5ae71119d7cb98ed9b87393c1e"},
    {"post-vanilla-query-space",
     "POST",
     "/",
     "p=",
     {0},
     "",
     "host;x-amz-date",
     "e71688addb58a26418614085fb730ba3faa623b461c17f48f2fbdb9361b94a9b"},
    {"post-x-www-form-urlencoded",
     "POST",
     "/",
     "",
     {"Content-Type:application/x-www-form-urlencoded"},
     "Param1=value1",
     "content-type;host;x-amz-date",
     "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
    {"post-x-www-form-urlencoded-parameters",
     "POST",
     "/",
     "",
     {"Content-Type:application/x-www-form-urlencoded; charset=utf8"},
     "Param1=value1",
     "content-type;host;x-amz-date",
     "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe"},
};

static const struct sigv4_key example = {
    .access_key_id = "AKIDEXAMPLE",
    .secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
};

static struct sigv4_request request_of(const struct vector *vector)
{
    struct sigv4_request request = {
        .method = vector->method,
        .host = "example.amazonaws.com",
        .path = vector->path,
        .path_bytes = strlen(vector->path),
        .query = vector->query,
        .query_bytes = strlen(vector->query),
        .service = "service",
        .region = "us-east-1",
        .headers = vector->headers,
        .body = vector->body,
        .body_bytes = strlen(vector->body),
        .now_s = 1440938160, /* 2015-08-30T12:36:00Z */
    };
    while (request.headers_count < 4 && vector->headers[request.headers_count] != NULL)
        request.headers_count++;
    return request;
}

static void assert_signed(const struct sigv4_key *key, const struct sigv4_request *request,
                          const char *names, const char *signature)
{
    struct sigv4_cache cache = {0};
    struct sigv4_signed made;
    char expected[1024];
    snprintf(expected, sizeof expected,
             "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/%s/%s/aws4_request, "
             "SignedHeaders=%s, Signature=%s",
             request->region, request->service, names, signature);
    assert_int_equal(sigv4_sign(key, request, &cache, &made, NULL), STATUS_OK);
    assert_string_equal(made.date, "20150830T123600Z");
    assert_string_equal(made.authorization, expected);
}

static void every_request_of_the_published_suite_has_its_signature(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        struct sigv4_request request = request_of(&vectors[i]);
        print_message("%s\n", vectors[i].name);
        assert_signed(&example, &request, vectors[i].signed_names, vectors[i].signature);
    }
}

static void a_session_token_is_signed_with_the_rest(void **state)
{
    (void)state;
    struct vector vector = {.method = "POST", .path = "/", .query = "", .body = ""};
    struct sigv4_request request = request_of(&vector);
    struct sigv4_key key = example;
    key.session_token = TOKEN;
    assert_signed(&key, &request, "host;x-amz-date;x-amz-security-token",
                  "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead");
}

static void the_request_of_the_user_guide_has_its_signature(void **state)
{
    (void)state;
    struct vector vector = {
        .method = "GET",
        .path = "/",
        .query = "Action=ListUsers&Version=2010-05-08",
        .headers = {"Content-Type: application/x-www-form-urlencoded; charset=utf-8"},
        .body = "",
    };
    struct sigv4_request request = request_of(&vector);
    request.host = "iam.amazonaws.com";
    request.service = "iam";
    assert_signed(&example, &request, "content-type;host;x-amz-date",
                  "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
}

static void headers_that_change_on_the_way_are_not_signed(void **state)
{
    (void)state;
    struct vector vector = {
        .method = "GET",
        .path = "/",
        .query = "",
        .headers = {"User-Agent: a", "traceparent: 00-b", "Connection: close", "EXPECT: c"},
        .body = "",
    };
    struct sigv4_request request = request_of(&vector);
    assert_signed(&example, &request, "host;x-amz-date", vectors[5].signature);
}

static void pairs_of_a_query_are_ordered_by_name_before_value(void **state)
{
    (void)state;
    /* '-' is before '=': as whole texts they would come the other way round. */
    struct vector vector = {.method = "GET", .path = "/", .query = "a-b=1&a=2", .body = ""};
    struct vector sorted = {.method = "GET", .path = "/", .query = "a=2&a-b=1", .body = ""};
    struct sigv4_request request = request_of(&vector);
    struct sigv4_request other = request_of(&sorted);
    assert_signed(&example, &request, "host;x-amz-date",
                  "3195c10f6c70f9392a7764f6f83099349c32cf39a12222f775fca70b6227a5a4");
    assert_signed(&example, &other, "host;x-amz-date",
                  "3195c10f6c70f9392a7764f6f83099349c32cf39a12222f775fca70b6227a5a4");
}

static void a_path_that_is_encoded_is_encoded_again(void **state)
{
    (void)state;
    struct vector vector = {
        .method = "POST",
        .path =
            "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A1%3Afunction%3Ax/invocations",
        .query = "Qualifier=live",
        .body = "{}",
    };
    struct sigv4_request request = request_of(&vector);
    request.service = "lambda";
    request.host = "lambda.eu-west-1.amazonaws.com";
    request.region = "eu-west-1";
    assert_signed(&example, &request, "host;x-amz-date",
                  "36b86cda2230d8715af337b076447a4397f37a5deee901904695927d55ccbbcc");
}

static void a_cached_key_is_not_used_for_another_day_region_or_secret(void **state)
{
    (void)state;
    struct sigv4_cache cache = {0};
    struct sigv4_request request = request_of(&vectors[5]);
    struct sigv4_key other_key = {.access_key_id = "AKIDEXAMPLE", .secret = "other"};
    struct sigv4_request other_day = request;
    other_day.now_s += 86400;
    struct sigv4_request other_region = request;
    other_region.region = "eu-west-1";
    const struct {
        const struct sigv4_key *key;
        const struct sigv4_request *request;
    } others[] = {{&other_key, &request}, {&example, &other_day}, {&example, &other_region}};
    for (size_t i = 0; i < 3; i++) {
        struct sigv4_signed warm, cold, again;
        struct sigv4_cache fresh = {0};
        assert_int_equal(sigv4_sign(others[i].key, others[i].request, &cache, &warm, NULL), 0);
        assert_int_equal(sigv4_sign(others[i].key, others[i].request, &fresh, &cold, NULL), 0);
        assert_string_equal(warm.authorization, cold.authorization);
        assert_int_equal(sigv4_sign(&example, &request, &cache, &again, NULL), 0);
        assert_non_null(strstr(again.authorization, vectors[5].signature));
    }
}

static void what_cannot_be_signed_is_said(void **state)
{
    (void)state;
    struct sigv4_cache cache = {0};
    struct sigv4_signed made;
    struct problem problem;
    struct vector vector = {
        .method = "GET", .path = "/", .query = "", .headers = {"no colon"}, .body = ""};
    struct sigv4_request request = request_of(&vector);
    assert_int_equal(sigv4_sign(&example, &request, &cache, &made, &problem), STATUS_INVALID);
    assert_non_null(strstr(problem.text, "no colon"));
    request.headers_count = SIGV4_HEADERS_MAX;
    assert_int_equal(sigv4_sign(&example, &request, &cache, &made, &problem), STATUS_TOO_LARGE);
    request.headers_count = 0;
    char query[4096] = "";
    for (int i = 0; i < 300; i++)
        strcat(query, "a=1&");
    request.query = query;
    request.query_bytes = strlen(query);
    assert_int_equal(sigv4_sign(&example, &request, &cache, &made, &problem), STATUS_TOO_LARGE);
    assert_non_null(strstr(problem.text, "256 query parameters"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_of_the_published_suite_has_its_signature),
        cmocka_unit_test(a_session_token_is_signed_with_the_rest),
        cmocka_unit_test(the_request_of_the_user_guide_has_its_signature),
        cmocka_unit_test(headers_that_change_on_the_way_are_not_signed),
        cmocka_unit_test(pairs_of_a_query_are_ordered_by_name_before_value),
        cmocka_unit_test(a_path_that_is_encoded_is_encoded_again),
        cmocka_unit_test(a_cached_key_is_not_used_for_another_day_region_or_secret),
        cmocka_unit_test(what_cannot_be_signed_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
