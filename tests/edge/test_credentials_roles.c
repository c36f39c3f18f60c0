/* Credentials of containers, and of roles by STS, over http.h without a network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/edge/keys_rig.h"

#define NONE "{\"Code\":\"Success\",\"AccessKeyId\":\"A1\",\"SecretAccessKey\":\"S1\"}"

/* ---- the container ---------------------------------------------------------------------------
 */

static void the_container_is_asked_where_it_says(void **state)
{
    struct keys_rig *rig = *state;
    canned_set(&rig->canned, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/creds/1");
    keys_rig_open(rig, NULL);
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_COMING);
    assert_string_equal(keys_rig_asked(rig, 0)->url, "http://169.254.170.2/v2/creds/1");
    assert_null(canned_sent(rig->http, 0, "Authorization"));
    canned_answer(rig->http, 0, 200, NULL, keys_rig_json(rig, "1", 3600));
    keys_rig_assert(rig, "A1", "S1", "T1");
}

static void the_containers_token_is_read_anew_each_time(void **state)
{
    struct keys_rig *rig = *state;
    canned_set(&rig->canned, "AWS_CONTAINER_CREDENTIALS_FULL_URI",
               "http://169.254.170.23/v1/credentials");
    canned_set(&rig->canned, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", rig->token);
    canned_set(&rig->canned, "AWS_CONTAINER_AUTHORIZATION_TOKEN", "not this one");
    keys_rig_open(rig, NULL);
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_NONE);
    assert_int_equal(rig->changes, 0);
    keys_rig_contains(credentials_sentence(rig->credentials), rig->token);
    keys_rig_write(rig->token, "one\n");
    canned_pass_ms(&rig->canned, 60000);
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_COMING);
    assert_string_equal(canned_sent(rig->http, 0, "Authorization"), "one");
    canned_answer(rig->http, 0, 200, NULL, keys_rig_json(rig, "1", 3600));
    keys_rig_write(rig->token, "two\n");
    canned_pass_ms(&rig->canned, 3300000);
    credentials_turn(rig->credentials);
    assert_string_equal(canned_sent(rig->http, 1, "Authorization"), "two");
}

static void a_try_that_fails_is_made_three_times(void **state)
{
    struct keys_rig *rig = *state;
    canned_set(&rig->canned, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x");
    keys_rig_open(rig, NULL);
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_COMING);
    canned_answer(rig->http, 0, 500, NULL, "");
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_COMING);
    assert_int_equal(credentials_turn(rig->credentials), 200);
    canned_pass_ms(&rig->canned, 200);
    credentials_turn(rig->credentials);
    canned_end(rig->http, 1, HTTP_LOST, "lost");
    canned_pass_ms(&rig->canned, 400);
    credentials_turn(rig->credentials);
    assert_int_equal(rig->http->count, 3);
    canned_answer(rig->http, 2, 500, NULL, "");
    assert_int_equal(rig->changes, 1);
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_NONE);
    keys_rig_contains(credentials_sentence(rig->credentials), "Http500");
}

static void keys_without_an_end_are_kept(void **state)
{
    struct keys_rig *rig = *state;
    canned_set(&rig->canned, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x");
    keys_rig_open(rig, NULL);
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_COMING);
    canned_answer(rig->http, 0, 200, NULL, NONE);
    canned_pass_ms(&rig->canned, 864000000);
    keys_rig_assert(rig, "A1", "S1", "");
    assert_int_equal(credentials_turn(rig->credentials), -1);
}

/* ---- roles -----------------------------------------------------------------------------------
 */

static void a_web_identity_is_changed_for_a_role(void **state)
{
    struct keys_rig *rig = *state;
    keys_rig_write(rig->token, "eyJ.a+b/c=\n");
    canned_set(&rig->canned, "AWS_WEB_IDENTITY_TOKEN_FILE", rig->token);
    canned_set(&rig->canned, "AWS_ROLE_ARN", "arn:aws:iam::1:role/shop");
    canned_set(&rig->canned, "AWS_ROLE_SESSION_NAME", "me");
    keys_rig_open(rig, NULL);
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_COMING);
    assert_string_equal(keys_rig_asked(rig, 0)->url, "https://sts.eu-west-1.amazonaws.com/");
    assert_string_equal(keys_rig_asked(rig, 0)->body,
                        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15"
                        "&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fshop&RoleSessionName=me"
                        "&WebIdentityToken=eyJ.a%2Bb%2Fc%3D");
    assert_null(canned_sent(rig->http, 0, "Authorization"));
    canned_answer(rig->http, 0, 200, NULL, keys_rig_xml(rig, "AssumeRoleWithWebIdentity", 3600));
    keys_rig_assert(rig, "AR", "SR", "T&R");
    assert_int_equal(credentials_turn(rig->credentials), 3300000);
}

static void a_web_identity_that_sts_refuses_says_why(void **state)
{
    struct keys_rig *rig = *state;
    keys_rig_write(rig->token, "old");
    canned_set(&rig->canned, "AWS_WEB_IDENTITY_TOKEN_FILE", rig->token);
    canned_set(&rig->canned, "AWS_ROLE_ARN", "arn:aws:iam::1:role/shop");
    keys_rig_open(rig, NULL);
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_COMING);
    canned_answer(rig->http, 0, 400, "Content-Type: text/xml",
                  "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>"
                  "<Type>Sender</Type><Code>ExpiredTokenException</Code>"
                  "<Message>Token expired</Message></Error></ErrorResponse>");
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_NONE);
    const char *sentence = credentials_sentence(rig->credentials);
    keys_rig_contains(sentence, "arn:aws:iam::1:role/shop");
    keys_rig_contains(sentence, rig->token);
    keys_rig_contains(sentence, "ExpiredTokenException: Token expired");
}

static void a_role_is_assumed_with_the_keys_of_its_source(void **state)
{
    struct keys_rig *rig = *state;
    keys_rig_write(rig->config,
                   "[profile shop]\nrole_arn = arn:aws:iam::1:role/shop\nsource_profile = base\n"
                   "external_id = x y\nrole_session_name = me\nduration_seconds = 900\n");
    keys_rig_write(rig->keys, "[base]\naws_access_key_id = AB\naws_secret_access_key = SB\n");
    keys_rig_open(rig, "shop");
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_COMING);
    assert_string_equal(keys_rig_asked(rig, 0)->body,
                        "Action=AssumeRole&Version=2011-06-15"
                        "&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fshop&RoleSessionName=me"
                        "&ExternalId=x%20y&DurationSeconds=900");
    keys_rig_contains(canned_sent(rig->http, 0, "Authorization"),
                      "Credential=AB/20150830/eu-west-1/sts/aws4_request, "
                      "SignedHeaders=content-type;host;x-amz-date, ");
    canned_answer(rig->http, 0, 200, NULL, keys_rig_xml(rig, "AssumeRole", 900));
    keys_rig_assert(rig, "AR", "SR", "T&R");
    assert_int_equal(rig->changes, 1);
}

static void a_profile_may_be_its_own_source(void **state)
{
    struct keys_rig *rig = *state;
    keys_rig_write(rig->config, "[profile shop]\nrole_arn=r\nsource_profile=shop\n");
    keys_rig_write(rig->keys, "[shop]\naws_access_key_id=AB\naws_secret_access_key=SB\n");
    keys_rig_open(rig, "shop");
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_COMING);
    keys_rig_contains(canned_sent(rig->http, 0, "Authorization"), "Credential=AB/");
}

static void a_role_may_be_assumed_with_what_the_container_has(void **state)
{
    struct keys_rig *rig = *state;
    keys_rig_write(rig->config, "[profile shop]\nrole_arn=r\ncredential_source=EcsContainer\n");
    canned_set(&rig->canned, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x");
    keys_rig_open(rig, "shop");
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_COMING);
    assert_string_equal(keys_rig_asked(rig, 0)->url, "http://169.254.170.2/x");
    canned_answer(rig->http, 0, 200, NULL, keys_rig_json(rig, "C", 3600));
    keys_rig_contains(canned_sent(rig->http, 1, "Authorization"), "Credential=AC/");
    assert_string_equal(canned_sent(rig->http, 1, "X-Amz-Security-Token"), "TC");
    canned_answer(rig->http, 1, 200, NULL, keys_rig_xml(rig, "AssumeRole", 3600));
    keys_rig_assert(rig, "AR", "SR", "T&R");
}

static void a_role_whose_source_has_nothing_says_so(void **state)
{
    struct keys_rig *rig = *state;
    keys_rig_write(rig->config, "[profile shop]\nrole_arn=r\ncredential_source=EcsContainer\n");
    canned_set(&rig->canned, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x");
    keys_rig_open(rig, "shop");
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_COMING);
    canned_answer(rig->http, 0, 403, NULL, "{\"message\":\"not you\"}");
    assert_int_equal(rig->changes, 1);
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_NONE);
    keys_rig_contains(credentials_sentence(rig->credentials), "role r of ");
    keys_rig_contains(credentials_sentence(rig->credentials), "not you");
}

static void keys_of_a_source_that_are_replaced_are_found_when_sts_refuses_the_old(void **state)
{
    struct keys_rig *rig = *state;
    keys_rig_write(rig->config, "[profile shop]\nrole_arn=r\nsource_profile=base\n");
    keys_rig_write(rig->keys, "[base]\naws_access_key_id=A1\naws_secret_access_key=S1\n");
    keys_rig_open(rig, "shop");
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_COMING);
    keys_rig_write(rig->keys, "[base]\naws_access_key_id=A2\naws_secret_access_key=S2\n");
    canned_answer(rig->http, 0, 403, NULL,
                  "<ErrorResponse><Error><Code>InvalidClientTokenId</Code></Error>"
                  "</ErrorResponse>");
    canned_pass_ms(&rig->canned, 200);
    credentials_turn(rig->credentials);
    keys_rig_contains(canned_sent(rig->http, 1, "Authorization"), "Credential=A2/");
}

static void a_role_is_asked_for_with_the_time_of_sts(void **state)
{
    struct keys_rig *rig = *state;
    keys_rig_write(rig->config, "[profile shop]\nrole_arn=r\nsource_profile=shop\n");
    keys_rig_write(rig->keys, "[shop]\naws_access_key_id=AB\naws_secret_access_key=SB\n");
    keys_rig_open(rig, "shop");
    assert_int_equal(keys_rig_state(rig), CREDENTIALS_COMING);
    canned_answer(rig->http, 0, 403, "Date: Sun, 30 Aug 2015 11:36:00 GMT",
                  "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code></Error>"
                  "</ErrorResponse>");
    canned_pass_ms(&rig->canned, 200);
    credentials_turn(rig->credentials);
    assert_string_equal(canned_sent(rig->http, 1, "X-Amz-Date"), "20150830T113600Z");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, keys_rig_setup, keys_rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_container_is_asked_where_it_says),
        TEST(the_containers_token_is_read_anew_each_time),
        TEST(a_try_that_fails_is_made_three_times),
        TEST(keys_without_an_end_are_kept),
        TEST(a_web_identity_is_changed_for_a_role),
        TEST(a_web_identity_that_sts_refuses_says_why),
        TEST(a_role_is_assumed_with_the_keys_of_its_source),
        TEST(a_profile_may_be_its_own_source),
        TEST(a_role_may_be_assumed_with_what_the_container_has),
        TEST(a_role_whose_source_has_nothing_says_so),
        TEST(keys_of_a_source_that_are_replaced_are_found_when_sts_refuses_the_old),
        TEST(a_role_is_asked_for_with_the_time_of_sts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
