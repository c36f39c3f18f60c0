/* Where credentials are found, and that they are renewed, over http.h without a network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/edge/keys_rig.h"

/* ---- what is at hand -------------------------------------------------------------------------
 */

static void the_environment_comes_first(void **state)
{
    struct keys_rig *rig = *state;
    canned_set(&rig->canned, "AWS_ACCESS_KEY_ID", "AE");
    canned_set(&rig->canned, "AWS_SECRET_ACCESS_KEY", "SE");
    canned_set(&rig->canned, "AWS_SESSION_TOKEN", "TE");
    canned_set(&rig->canned, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x");
    keys_rig_write(rig->keys, "[default]\naws_access_key_id=AF\naws_secret_access_key=SF\n");
    keys_rig_open(rig, NULL);
    keys_rig_assert(rig, "AE", "SE", "TE");
    assert_false(credentials_refuse(rig->credentials, "AE"));
    assert_int_equal(credentials_turn(rig->credentials), -1);
}

static void a_profile_that_the_program_names_comes_before_the_environment(void **state)
{
    struct keys_rig *rig = *state;
    canned_set(&rig->canned, "AWS_ACCESS_KEY_ID", "AE");
    canned_set(&rig->canned, "AWS_SECRET_ACCESS_KEY", "SE");
    keys_rig_write(rig->keys, "[shop]\naws_access_key_id = AF\naws_secret_access_key = SF\n"
                              "aws_session_token = TF\n");
    keys_rig_open(rig, "shop");
    keys_rig_assert(rig, "AF", "SF", "TF");
    keys_rig_contains(credentials_place(rig->credentials), "profile shop of ");
}

static void keys_of_the_credentials_file_come_before_those_of_the_config_file(void **state)
{
    struct keys_rig *rig = *state;
    canned_set(&rig->canned, "AWS_PROFILE", "shop");
    keys_rig_write(rig->config, "[profile shop]\naws_access_key_id=AC\naws_secret_access_key=SC\n");
    keys_rig_write(rig->keys, "[shop]\naws_access_key_id=AF\naws_secret_access_key=SF\n");
    keys_rig_open(rig, NULL);
    keys_rig_assert(rig, "AF", "SF", "");
}

static void keys_that_are_replaced_in_the_file_are_found_when_the_old_are_refused(void **state)
{
    struct keys_rig *rig = *state;
    keys_rig_write(rig->keys, "[default]\naws_access_key_id=A1\naws_secret_access_key=S1\n");
    keys_rig_open(rig, NULL);
    keys_rig_assert(rig, "A1", "S1", "");
    assert_false(credentials_refuse(rig->credentials, "A1"));
    keys_rig_write(rig->keys, "[default]\naws_access_key_id=A2\naws_secret_access_key=S2\n");
    assert_true(credentials_refuse(rig->credentials, "A1"));
    keys_rig_assert(rig, "A2", "S2", "");
    assert_true(credentials_refuse(rig->credentials, "A1"));
    assert_false(credentials_refuse(rig->credentials, "A2"));
}

static void what_is_half_set_up_is_refused_by_name(void **state)
{
    struct keys_rig *rig = *state;
    const struct {
        const char *config, *sentence;
    } bad[] = {
        {"[profile p]\naws_access_key_id=A\n", "no secret access key"},
        {"[profile p]\nrole_arn=r\n", "role_arn needs one of source_profile"},
        {"[profile p]\nrole_arn=r\nsource_profile=q\n", "no profile \"q\""},
        {"[profile p]\nrole_arn=r\nsource_profile=q\n[profile q]\nregion=a\n", "neither keys nor"},
        {"[profile p]\nrole_arn=r\nsource_profile=q\n[profile q]\nrole_arn=r\nsource_profile=p\n",
         "ring"},
        {"[profile p]\nrole_arn=r\nmfa_serial=m\nsource_profile=p\n", "mfa_serial"},
        {"[profile p]\nrole_arn=r\ncredential_source=Moon\n", "credential_source is none of"},
        {"[profile p]\nrole_arn=r\ncredential_source=Environment\n", "AWS_ACCESS_KEY_ID is not"},
        {"[profile p]\ncredential_process=/bin/x\n", "credential_process"},
        {"[profile p]\nsso_session=s\n", "SSO"},
        {"[profile p\n", "config:1: the section's name has no \"]\""},
        {"[profile p]\nnonsense\n", "config:2: expected \"key = value\""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct problem problem = {0};
        keys_rig_write(rig->config, bad[i].config);
        assert_int_not_equal(keys_rig_try_open(rig, "p", &problem), STATUS_OK);
        keys_rig_contains(problem.text, bad[i].sentence);
        profile_close(rig->profile);
        rig->profile = NULL;
    }
    keys_rig_write(rig->config, "");
    const char *hosts[] = {"http://example.com/x", "http://127.example.com/x",
                           "http://localhost.example.com/x", "http://169.254.170.2.org/x"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        struct problem problem = {0};
        canned_set(&rig->canned, "AWS_CONTAINER_CREDENTIALS_FULL_URI", hosts[i]);
        assert_int_equal(keys_rig_try_open(rig, NULL, &problem), STATUS_INVALID);
        keys_rig_contains(problem.text, hosts[i]);
        profile_close(rig->profile);
        rig->profile = NULL;
    }
}

static void nothing_at_all_says_where_was_looked(void **state)
{
    struct keys_rig *rig = *state;
    canned_set(&rig->canned, "AWS_EC2_METADATA_DISABLED", "true");
    keys_rig_open(rig, NULL);
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_NONE);
    const char *sentence = credentials_sentence(rig->credentials);
    keys_rig_contains(sentence, "AWS_ACCESS_KEY_ID");
    keys_rig_contains(sentence, "AWS_WEB_IDENTITY_TOKEN_FILE");
    keys_rig_contains(sentence, rig->keys);
    keys_rig_contains(sentence, "AWS_EC2_METADATA_DISABLED");
    assert_int_equal(rig->http->count, 0);
}

/* ---- the instance ----------------------------------------------------------------------------
 */

static void answer_instance(struct keys_rig *rig, uint32_t first, const char *keys)
{
    canned_answer(rig->http, first, 200, NULL, "imds-token");
    canned_answer(rig->http, first + 1, 200, NULL, "shop-role\n");
    canned_answer(rig->http, first + 2, 200, NULL, keys);
}

static void the_instance_is_asked_for_a_token_its_role_and_keys(void **state)
{
    struct keys_rig *rig = *state;
    canned_set(&rig->canned, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1338/");
    keys_rig_open(rig, NULL);
    assert_int_equal(rig->http->count, 0);
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_COMING);
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_COMING);
    assert_int_equal(rig->http->count, 1);
    assert_string_equal(keys_rig_asked(rig, 0)->method, "PUT");
    assert_string_equal(keys_rig_asked(rig, 0)->url, "http://127.0.0.1:1338/latest/api/token");
    assert_string_equal(canned_sent(rig->http, 0, "X-aws-ec2-metadata-token-ttl-seconds"), "21600");
    answer_instance(rig, 0, keys_rig_json(rig, "1", 3600));
    assert_string_equal(keys_rig_asked(rig, 1)->url,
                        "http://127.0.0.1:1338/latest/meta-data/iam/security-credentials/");
    assert_string_equal(canned_sent(rig->http, 1, "X-aws-ec2-metadata-token"), "imds-token");
    assert_string_equal(
        keys_rig_asked(rig, 2)->url,
        "http://127.0.0.1:1338/latest/meta-data/iam/security-credentials/shop-role");
    assert_int_equal(rig->changes, 1);
    keys_rig_assert(rig, "A1", "S1", "T1");
}

static void where_there_is_no_instance_all_places_are_said(void **state)
{
    struct keys_rig *rig = *state;
    keys_rig_open(rig, NULL);
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_COMING);
    canned_end(rig->http, 0, HTTP_NOT_SENT, "no route to 169.254.169.254");
    assert_int_equal(rig->changes, 1);
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_NONE);
    keys_rig_contains(credentials_sentence(rig->credentials), "AWS_ACCESS_KEY_ID");
    keys_rig_contains(credentials_sentence(rig->credentials), "no route to 169.254.169.254");
    /* And is not keys_rig_asked by every request that comes, but again in a while. */
    assert_int_equal(rig->http->count, 1);
    canned_pass_ms(&rig->canned, 1000);
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_COMING);
    assert_int_equal(rig->http->count, 2);
}

static void an_instance_without_a_role_says_so(void **state)
{
    struct keys_rig *rig = *state;
    keys_rig_open(rig, NULL);
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_COMING);
    canned_answer(rig->http, 0, 200, NULL, "imds-token");
    canned_answer(rig->http, 1, 404, NULL, "<html/>");
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_NONE);
    keys_rig_contains(credentials_sentence(rig->credentials), "attach an instance profile");
}

static void keys_are_renewed_before_they_expire_with_the_old_ones_used_meanwhile(void **state)
{
    struct keys_rig *rig = *state;
    keys_rig_open(rig, NULL);
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_COMING);
    answer_instance(rig, 0, keys_rig_json(rig, "1", 3600));
    assert_int_equal(credentials_turn(rig->credentials), 3300000);
    canned_pass_ms(&rig->canned, 3299999);
    assert_int_equal(credentials_turn(rig->credentials), 1);
    assert_int_equal(rig->http->count, 3);
    canned_pass_ms(&rig->canned, 1);
    credentials_turn(rig->credentials);
    assert_int_equal(rig->http->count, 4);
    keys_rig_assert(rig, "A1", "S1", "T1");
    answer_instance(rig, 3, keys_rig_json(rig, "2", 3600));
    keys_rig_assert(rig, "A2", "S2", "T2");
    assert_int_equal(rig->http->count, 6);
}

static void a_renewal_that_fails_is_tried_until_the_old_ones_expire_and_after(void **state)
{
    struct keys_rig *rig = *state;
    keys_rig_open(rig, NULL);
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_COMING);
    answer_instance(rig, 0, keys_rig_json(rig, "1", 3600));
    uint32_t answered = 3;
    canned_pass_ms(&rig->canned, 3300000);
    for (int second = 0; second < 299; second++) {
        credentials_turn(rig->credentials);
        while (answered < rig->http->count)
            canned_answer(rig->http, answered++, 500, NULL, "");
        keys_rig_assert(rig, "A1", "S1", "T1");
        canned_pass_ms(&rig->canned, 1000);
    }
    assert_in_range(answered, 3 + 10, 3 + 60);
    keys_rig_contains(rig->canned.log, "the old ones are used until they expire");
    keys_rig_contains(rig->canned.log, "4 aws_credentials ");
    canned_pass_ms(&rig->canned, 1000);
    assert_int_not_equal(keys_rig_state(rig), CREDENTIALS_READY);
    canned_pass_ms(&rig->canned, 60000);
    credentials_turn(rig->credentials);
    answer_instance(rig, answered, keys_rig_json(rig, "2", 3600));
    keys_rig_assert(rig, "A2", "S2", "T2");
}

static void a_clock_that_is_wrong_does_not_make_keys_old(void **state)
{
    struct keys_rig *rig = *state;
    keys_rig_open(rig, NULL);
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_COMING);
    const char *keys = keys_rig_json(rig, "1", 3600);
    rig->canned.wall_ms += 7200000; /* two hours ahead of who gave the keys */
    canned_answer(rig->http, 0, 200, NULL, "imds-token");
    canned_answer(rig->http, 1, 200, NULL, "shop-role");
    canned_answer(rig->http, 2, 200, "Date: Sun, 30 Aug 2015 12:36:00 GMT", keys);
    keys_rig_assert(rig, "A1", "S1", "T1");
    assert_int_equal(credentials_turn(rig->credentials), 3300000);
}

static void keys_that_an_instance_cannot_renew_are_still_used(void **state)
{
    struct keys_rig *rig = *state;
    keys_rig_open(rig, NULL);
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_COMING);
    answer_instance(rig, 0, keys_rig_json(rig, "1", -60));
    keys_rig_assert(rig, "A1", "S1", "T1");
}

static void keys_that_a_service_refuses_are_fetched_again_but_not_for_ever(void **state)
{
    struct keys_rig *rig = *state;
    keys_rig_open(rig, NULL);
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_COMING);
    answer_instance(rig, 0, keys_rig_json(rig, "1", 3600));
    canned_pass_ms(&rig->canned, 600000);
    assert_true(credentials_refuse(rig->credentials, "A1"));
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_COMING);
    answer_instance(rig, 3, keys_rig_json(rig, "1", 3600));
    assert_false(credentials_refuse(rig->credentials, "A1"));
    keys_rig_assert(rig, "A1", "S1", "T1");
}

static void nobody_is_told_after_closing(void **state)
{
    struct keys_rig *rig = *state;
    keys_rig_open(rig, NULL);
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_COMING);
    credentials_close(rig->credentials);
    rig->credentials = NULL;
    canned_answer(rig->http, 0, 200, NULL, "imds-token");
    assert_int_equal(rig->changes, 0);
    assert_int_equal(rig->http->count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, keys_rig_setup, keys_rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_environment_comes_first),
        TEST(a_profile_that_the_program_names_comes_before_the_environment),
        TEST(keys_of_the_credentials_file_come_before_those_of_the_config_file),
        TEST(keys_that_are_replaced_in_the_file_are_found_when_the_old_are_refused),
        TEST(what_is_half_set_up_is_refused_by_name),
        TEST(nothing_at_all_says_where_was_looked),
        TEST(the_instance_is_asked_for_a_token_its_role_and_keys),
        TEST(where_there_is_no_instance_all_places_are_said),
        TEST(an_instance_without_a_role_says_so),
        TEST(keys_are_renewed_before_they_expire_with_the_old_ones_used_meanwhile),
        TEST(a_renewal_that_fails_is_tried_until_the_old_ones_expire_and_after),
        TEST(a_clock_that_is_wrong_does_not_make_keys_old),
        TEST(keys_that_an_instance_cannot_renew_are_still_used),
        TEST(keys_that_a_service_refuses_are_fetched_again_but_not_for_ever),
        TEST(nobody_is_told_after_closing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
