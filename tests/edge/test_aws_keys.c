/* Requests that wait for keys, have old ones, or a clock that is wrong; and the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/edge/aws_rig.h"

/* ---- clocks and keys -------------------------------------------------------------------------
 */

static void a_clock_that_is_wrong_is_corrected_once_and_said(void **state)
{
    struct aws_rig *rig = *state;
    aws_rig_open(rig, NULL);
    aws_rig_send(rig, 1);
    const char *late = "Date: Sun, 30 Aug 2015 12:56:00 GMT";
    const char *fault =
        "{\"__type\":\"InvalidSignatureException\",\"message\":\"Signature expired: "
        "20150830T123600Z is now earlier than 20150830T125100Z\"}";
    canned_answer(rig->http, 0, 403, late, fault);
    assert_int_equal(rig->http->count, 2);
    assert_string_equal(canned_sent(rig->http, 1, "X-Amz-Date"), "20150830T125600Z");
    aws_rig_contains(rig->canned.log, "4 aws_clock this machine's clock is 1200 s behind");
    canned_answer(rig->http, 1, 200, late, "{}");
    assert_true(rig->ends[0].ok);
    /* The next one is right at once. */
    aws_rig_send(rig, 2);
    assert_string_equal(canned_sent(rig->http, 2, "X-Amz-Date"), "20150830T125600Z");
    canned_answer(rig->http, 2, 403, late, fault);
    assert_int_equal(rig->ends_count, 2);
    assert_int_equal(rig->canned.log_count, 1);
    assert_int_equal(rig->http->count, 3);
}

static void a_server_whose_clock_jumps_is_not_followed_for_ever(void **state)
{
    struct aws_rig *rig = *state;
    aws_rig_open(rig, NULL);
    aws_rig_send(rig, 1);
    const char *fault = "{\"__type\":\"RequestTimeTooSkewed\"}";
    canned_answer(rig->http, 0, 403, "Date: Sun, 30 Aug 2015 12:56:00 GMT", fault);
    canned_answer(rig->http, 1, 403, "Date: Sun, 30 Aug 2015 14:56:00 GMT", fault);
    assert_int_equal(rig->http->count, 2);
    assert_int_equal(rig->ends_count, 1);
    assert_string_equal(rig->ends[0].error, "RequestTimeTooSkewed");
}

static void a_wrong_secret_is_said_and_not_asked_again(void **state)
{
    struct aws_rig *rig = *state;
    aws_rig_open(rig, NULL);
    aws_rig_send(rig, 1);
    canned_answer(rig->http, 0, 403, "Date: Sun, 30 Aug 2015 12:36:10 GMT",
                  "{\"__type\":\"SignatureDoesNotMatch\",\"message\":\"The request signature we "
                  "calculated does not match.\"}");
    assert_int_equal(rig->http->count, 1);
    assert_string_equal(rig->ends[0].error, "SignatureDoesNotMatch");
    aws_rig_contains(rig->ends[0].message, "AKIDEXAMPLE");
    aws_rig_contains(rig->ends[0].message, "AWS_ACCESS_KEY_ID of the environment");
    assert_false(rig->ends[0].retryable);
}

static void requests_wait_for_keys_in_order(void **state)
{
    struct aws_rig *rig = *state;
    canned_set(&rig->canned, "AWS_ACCESS_KEY_ID", NULL);
    canned_set(&rig->canned, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x");
    aws_rig_open(rig, NULL);
    for (int i = 0; i < 3; i++)
        aws_rig_send(rig, i);
    assert_int_equal(rig->http->count, 1);
    canned_answer(rig->http, 0, 200, NULL, "{\"AccessKeyId\":\"AC\",\"SecretAccessKey\":\"SC\"}");
    /* One that comes before the next turn goes behind them. */
    struct aws_request last = aws_rig_request(rig, 3);
    last.target = "AmazonSQS.Last";
    assert_int_equal(aws_send(rig->aws, &last, NULL), STATUS_OK);
    assert_int_equal(rig->http->count, 1);
    aws_rig_turn(rig, 0);
    assert_int_equal(rig->http->count, 5);
    for (uint32_t i = 1; i < 5; i++)
        canned_answer(rig->http, i, 200, NULL, "{}");
    for (int i = 0; i < 4; i++)
        assert_int_equal(rig->ends[i].no, i);
    aws_rig_contains(canned_sent(rig->http, 4, "X-Amz-Target"), "Last");
    aws_rig_contains(canned_sent(rig->http, 4, "Authorization"), "Credential=AC/");
}

static void the_next_turn_is_for_what_comes_first_keys_or_a_request(void **state)
{
    struct aws_rig *rig = *state;
    canned_set(&rig->canned, "AWS_ACCESS_KEY_ID", NULL);
    canned_set(&rig->canned, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x");
    aws_rig_open(rig, NULL);
    aws_rig_send(rig, 1);
    canned_answer(rig->http, 0, 200, NULL,
                  "{\"AccessKeyId\":\"A1\",\"SecretAccessKey\":\"S1\",\"Token\":\"T1\","
                  "\"Expiration\":\"2015-08-30T13:36:00Z\"}");
    assert_int_equal(aws_turn(rig->aws), 3300000);
    canned_answer(rig->http, 1, 503, NULL, "");
    assert_int_equal(aws_turn(rig->aws), 25);
}

static void who_waits_for_keys_waits_no_longer_than_its_time(void **state)
{
    struct aws_rig *rig = *state;
    canned_set(&rig->canned, "AWS_ACCESS_KEY_ID", NULL);
    canned_set(&rig->canned, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x");
    aws_rig_open(rig, NULL);
    struct aws_request request = aws_rig_request(rig, 1);
    request.timeout_ms = 500;
    assert_int_equal(aws_send(rig->aws, &request, NULL), STATUS_OK);
    aws_rig_send(rig, 2);
    assert_int_equal(aws_turn(rig->aws), 500);
    aws_rig_turn(rig, 500);
    assert_int_equal(rig->ends_count, 1);
    assert_int_equal(rig->ends[0].no, 1);
    assert_int_equal(rig->ends[0].end, HTTP_NOT_SENT);
    aws_rig_contains(rig->ends[0].message, "http://169.254.170.2 (AWS_CONTAINER");
    assert_null(strstr(rig->ends[0].message, "/x"));
}

/* In the place of aws_rig_on_end. */
static void send_another(void *context, const struct aws_answer *answer)
{
    aws_rig_on_end(context, answer);
    struct aws_rig_tag *tag = context;
    struct aws_request request = aws_rig_request(tag->rig, tag->no);
    request.on_end = send_another;
    enum status status = aws_send(tag->rig->aws, &request, NULL);
    assert_true(status == STATUS_OK || answer->http.end == HTTP_CANCELLED);
}

static void who_asks_again_at_once_for_want_of_keys_does_not_hold_up_the_turn(void **state)
{
    struct aws_rig *rig = *state;
    canned_set(&rig->canned, "AWS_ACCESS_KEY_ID", NULL);
    aws_rig_open(rig, NULL);
    struct aws_request request = aws_rig_request(rig, 1);
    request.on_end = send_another;
    assert_int_equal(aws_send(rig->aws, &request, NULL), STATUS_OK);
    assert_int_equal(aws_turn(rig->aws), 0);
    assert_int_equal(rig->ends_count, 1);
    assert_int_equal(aws_turn(rig->aws), 0);
    assert_int_equal(rig->ends_count, 2);
}

static void an_expired_session_is_renewed_and_asked_with_once_more(void **state)
{
    struct aws_rig *rig = *state;
    canned_set(&rig->canned, "AWS_ACCESS_KEY_ID", NULL);
    canned_set(&rig->canned, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x");
    aws_rig_open(rig, NULL);
    aws_rig_send(rig, 1);
    canned_answer(rig->http, 0, 200, NULL,
                  "{\"AccessKeyId\":\"A1\",\"SecretAccessKey\":\"S1\",\"Token\":\"T1\","
                  "\"Expiration\":\"2015-08-30T18:00:00Z\"}");
    aws_rig_turn(rig, 0);
    aws_rig_turn(rig, 60000);
    const char *expired = "{\"__type\":\"ExpiredTokenException\",\"message\":\"expired\"}";
    struct aws_request request = aws_rig_request(rig, 2);
    request.timeout_ms = 200000;
    assert_int_equal(aws_send(rig->aws, &request, NULL), STATUS_OK);
    canned_answer(rig->http, 2, 400, NULL, expired);
    assert_int_equal(rig->ends_count, 0);
    assert_string_equal(rig->http->requests[3].url, "http://169.254.170.2/x");
    canned_answer(rig->http, 3, 200, NULL,
                  "{\"AccessKeyId\":\"A2\",\"SecretAccessKey\":\"S2\",\"Token\":\"T2\","
                  "\"Expiration\":\"2015-08-30T18:00:00Z\"}");
    aws_rig_turn(rig, 0);
    aws_rig_contains(canned_sent(rig->http, 4, "Authorization"), "Credential=A2/");
    canned_pass_ms(&rig->canned, 60000); /* long enough to ask for others again */
    canned_answer(rig->http, 4, 400, NULL, expired);
    assert_int_equal(rig->ends_count, 1);
    assert_string_equal(rig->ends[0].error, "ExpiredTokenException");
    aws_rig_contains(rig->ends[0].message, "access key A2");
}

/* ---- the end ---------------------------------------------------------------------------------
 */

static void closing_ends_what_is_out_and_what_waits(void **state)
{
    struct aws_rig *rig = *state;
    aws_rig_open(rig, NULL);
    aws_rig_send(rig, 1);
    aws_rig_send(rig, 2);
    canned_answer(rig->http, 1, 503, NULL, "");
    aws_close(rig->aws);
    rig->aws = NULL;
    assert_int_equal(rig->ends_count, 2);
    assert_int_equal(rig->ends[0].end, HTTP_CANCELLED);
    assert_int_equal(rig->ends[1].end, HTTP_CANCELLED);
    /* What the network says of it later is for nobody. */
    canned_answer(rig->http, 0, 200, NULL, "{}");
    assert_int_equal(rig->ends_count, 2);
}

static void what_the_network_gives_up_is_not_asked_again(void **state)
{
    struct aws_rig *rig = *state;
    canned_set(&rig->canned, "AWS_ACCESS_KEY_ID", NULL);
    canned_set(&rig->canned, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x");
    aws_rig_open(rig, NULL);
    aws_rig_send(rig, 1);
    canned_answer(rig->http, 0, 200, NULL,
                  "{\"AccessKeyId\":\"A1\",\"SecretAccessKey\":\"S1\",\"Token\":\"T1\","
                  "\"Expiration\":\"2015-08-30T12:37:00Z\"}");
    aws_rig_turn(rig, 0);
    aws_rig_turn(rig, 45000);
    assert_int_equal(rig->http->count, 3);
    canned_end(rig->http, 1, HTTP_CANCELLED, "closed");
    canned_end(rig->http, 2, HTTP_CANCELLED, "closed"); /* of new keys */
    assert_int_equal(rig->ends_count, 1);
    assert_int_equal(rig->ends[0].end, HTTP_CANCELLED);
    assert_false(rig->ends[0].retryable);
    aws_close(rig->aws);
    rig->aws = NULL;
    assert_int_equal(rig->http->count, 3);
}

static void a_field_that_is_none_is_refused_with_a_hint(void **state)
{
    struct aws_rig *rig = *state;
    struct problem problem;
    const struct {
        const char *config, *sentence;
    } bad[] = {
        {"{\"regoin\": \"eu-west-1\"}", "aws.regoin: no such field; did you mean \"region\"?"},
        {"{\"region\": 7}", "aws.region: expected a text"},
        {"{\"region\": \"\"}", "aws.region: expected a text"},
        {"[]", "aws: expected fields"},
        {"{\"endpoint_url\": \"localhost:4566\"}", "aws.endpoint_url"},
        {"{\"profile\": \"nobody\"}", "there is no profile \"nobody\""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        json_t *config = json_loads(bad[i].config, 0, NULL);
        enum status status =
            aws_open_in(&rig->canned.world, rig->http, config, &rig->aws, &problem);
        assert_int_not_equal(status, STATUS_OK);
        aws_rig_contains(problem.text, bad[i].sentence);
        json_decref(config);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, aws_rig_setup, aws_rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_clock_that_is_wrong_is_corrected_once_and_said),
        TEST(a_server_whose_clock_jumps_is_not_followed_for_ever),
        TEST(a_wrong_secret_is_said_and_not_asked_again),
        TEST(requests_wait_for_keys_in_order),
        TEST(the_next_turn_is_for_what_comes_first_keys_or_a_request),
        TEST(who_waits_for_keys_waits_no_longer_than_its_time),
        TEST(who_asks_again_at_once_for_want_of_keys_does_not_hold_up_the_turn),
        TEST(an_expired_session_is_renewed_and_asked_with_once_more),
        TEST(closing_ends_what_is_out_and_what_waits),
        TEST(what_the_network_gives_up_is_not_asked_again),
        TEST(a_field_that_is_none_is_refused_with_a_hint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
