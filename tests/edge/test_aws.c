/* Requests and what becomes of them, over http.h without a network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/edge/aws_parts.h"
#include "tests/edge/aws_rig.h"

/* ---- requests --------------------------------------------------------------------------------
 */

static void a_request_goes_signed_to_the_endpoint_of_its_region(void **state)
{
    struct aws_rig *rig = *state;
    aws_rig_open(rig, NULL);
    aws_rig_send(rig, 1);
    assert_int_equal(rig->http->count, 1);
    assert_string_equal(rig->http->requests[0].method, "POST");
    assert_string_equal(rig->http->requests[0].url, "https://sqs.us-east-1.amazonaws.com/");
    assert_string_equal(rig->http->requests[0].body, "{}");
    assert_int_equal(rig->http->requests[0].timeout_ms, 30000);
    assert_string_equal(canned_sent(rig->http, 0, "Host"), "sqs.us-east-1.amazonaws.com");
    assert_string_equal(canned_sent(rig->http, 0, "X-Amz-Target"), "AmazonSQS.SendMessage");
    assert_string_equal(canned_sent(rig->http, 0, "Content-Type"), "application/x-amz-json-1.0");
    assert_string_equal(canned_sent(rig->http, 0, "X-Amz-Date"), "20150830T123600Z");
    /* As botocore signs the same. */
    assert_string_equal(
        canned_sent(rig->http, 0, "Authorization"),
        "AWS4-HMAC-SHA256 "
        "Credential=AKIDEXAMPLE/20150830/us-east-1/sqs/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date;x-amz-target, "
        "Signature=f46f9b1bfd6ce3faecf65a432c8432e1a06fc7b84f83b53c85c4000a66354ac7");
}

static void an_answer_of_success_ends_it_with_its_json(void **state)
{
    struct aws_rig *rig = *state;
    aws_rig_open(rig, NULL);
    aws_rig_send(rig, 1);
    canned_answer(rig->http, 0, 200, "Content-Type: application/x-amz-json-1.0",
                  "{\"MessageId\": \"m\"}");
    assert_int_equal(rig->ends_count, 1);
    assert_true(rig->ends[0].ok);
    assert_string_equal(rig->ends[0].json, "{\"MessageId\":\"m\"}");
    assert_string_equal(rig->ends[0].error, "");
    assert_int_equal(aws_turn(rig->aws), -1);
}

static void the_body_and_all_else_is_copied(void **state)
{
    struct aws_rig *rig = *state;
    aws_rig_open(rig, NULL);
    char body[] = "{\"a\":1}", target[] = "A.B", header[] = "x-amz-a: b", region[] = "eu-west-1";
    const char *headers[] = {header};
    struct aws_request request = aws_rig_request(rig, 1);
    request.body = body;
    request.body_bytes = strlen(body);
    request.target = target;
    request.region = region;
    request.headers = headers;
    request.headers_count = 1;
    assert_int_equal(aws_send(rig->aws, &request, NULL), STATUS_OK);
    memset(body, 'x', strlen(body));
    memset(target, 'x', strlen(target));
    memset(header, 'x', strlen(header));
    memset(region, 'x', strlen(region));
    canned_answer(rig->http, 0, 503, NULL, "");
    aws_rig_turn(rig, 60);
    assert_int_equal(rig->http->count, 2);
    assert_string_equal(rig->http->requests[1].body, "{\"a\":1}");
    assert_string_equal(rig->http->requests[1].url, "https://sqs.eu-west-1.amazonaws.com/");
    assert_string_equal(canned_sent(rig->http, 1, "X-Amz-Target"), "A.B");
    assert_string_equal(canned_sent(rig->http, 1, "x-amz-a"), "b");
}

static void a_path_is_added_to_the_endpoint(void **state)
{
    struct aws_rig *rig = *state;
    aws_rig_open(rig, "{\"endpoint_url\": \"http://127.0.0.1:4566/base/\"}");
    assert_true(aws_has_endpoint(rig->aws, "sqs"));
    struct aws_request request = aws_rig_request(rig, 1);
    request.path = "/2015-03-31/functions/f/invocations?Qualifier=a";
    assert_int_equal(aws_send(rig->aws, &request, NULL), STATUS_OK);
    assert_string_equal(
        rig->http->requests[0].url,
        "http://127.0.0.1:4566/base/2015-03-31/functions/f/invocations?Qualifier=a");
    assert_string_equal(canned_sent(rig->http, 0, "Host"), "127.0.0.1:4566");
}

static void a_url_says_its_region_itself(void **state)
{
    struct aws_rig *rig = *state;
    aws_rig_open(rig, NULL);
    struct aws_request request = aws_rig_request(rig, 1);
    request.url = "https://sqs.ap-southeast-2.amazonaws.com/123/orders";
    assert_int_equal(aws_send(rig->aws, &request, NULL), STATUS_OK);
    assert_string_equal(rig->http->requests[0].url, request.url);
    aws_rig_contains(canned_sent(rig->http, 0, "Authorization"), "/ap-southeast-2/sqs/");
    request.url = "http://127.0.0.1:9/123/orders";
    assert_int_equal(aws_send(rig->aws, &request, NULL), STATUS_OK);
    aws_rig_contains(canned_sent(rig->http, 1, "Authorization"), "/us-east-1/sqs/");
}

static void a_session_token_goes_with_it(void **state)
{
    struct aws_rig *rig = *state;
    canned_set(&rig->canned, "AWS_SESSION_TOKEN", "session");
    aws_rig_open(rig, NULL);
    assert_false(aws_has_endpoint(rig->aws, "sqs"));
    aws_rig_send(rig, 1);
    assert_string_equal(canned_sent(rig->http, 0, "X-Amz-Security-Token"), "session");
    aws_rig_contains(canned_sent(rig->http, 0, "Authorization"), ";x-amz-security-token;");
}

static void without_a_region_it_is_refused_and_says_where_to_set_one(void **state)
{
    struct aws_rig *rig = *state;
    struct problem problem;
    canned_set(&rig->canned, "AWS_REGION", NULL);
    aws_rig_open(rig, NULL);
    assert_string_equal(aws_region(rig->aws), "");
    struct aws_request request = aws_rig_request(rig, 1);
    assert_int_equal(aws_send(rig->aws, &request, &problem), STATUS_INVALID);
    aws_rig_contains(problem.text, "AWS_REGION");
    request.region = "eu-west-1";
    assert_int_equal(aws_send(rig->aws, &request, &problem), STATUS_OK);
}

static void no_credentials_come_back_by_on_end_after_aws_send(void **state)
{
    struct aws_rig *rig = *state;
    canned_set(&rig->canned, "AWS_ACCESS_KEY_ID", NULL);
    canned_set(&rig->canned, "HOME", "/nonexistent");
    aws_rig_open(rig, NULL);
    aws_rig_send(rig, 1);
    assert_int_equal(rig->ends_count, 0);
    assert_int_equal(rig->http->woken, 1);
    aws_rig_turn(rig, 0);
    assert_int_equal(rig->ends_count, 1);
    assert_int_equal(rig->ends[0].end, HTTP_NOT_SENT);
    assert_true(rig->ends[0].retryable);
    aws_rig_contains(rig->ends[0].message, "AWS_ACCESS_KEY_ID");
    aws_rig_contains(rig->ends[0].message, "/nonexistent/.aws/credentials");
}

static void more_than_there_is_room_for_is_busy(void **state)
{
    struct aws_rig *rig = *state;
    aws_rig_open(rig, NULL);
    rig->http->busy = true;
    struct problem problem;
    struct aws_request request = aws_rig_request(rig, 1);
    assert_int_equal(aws_send(rig->aws, &request, &problem), STATUS_BUSY);
    rig->http->busy = false;
    for (uint32_t i = 0; i < AWS_REQUESTS_MAX; i++)
        assert_int_equal(aws_send(rig->aws, &request, &problem), STATUS_OK);
    assert_int_equal(aws_send(rig->aws, &request, &problem), STATUS_BUSY);
    canned_answer(rig->http, 7, 200, NULL, "");
    assert_int_equal(aws_send(rig->aws, &request, &problem), STATUS_OK);
    for (uint32_t i = 0; i < rig->http->count; i++)
        if (i != 7)
            rig->ends_count = 0, canned_answer(rig->http, i, 200, NULL, "");
}

/* ---- retries ---------------------------------------------------------------------------------
 */

static void what_is_down_is_asked_three_times_with_backoff(void **state)
{
    struct aws_rig *rig = *state;
    aws_rig_open(rig, NULL);
    aws_rig_send(rig, 1);
    canned_answer(rig->http, 0, 500, NULL, "{\"__type\":\"InternalError\"}");
    assert_int_equal(rig->http->count, 1);
    assert_int_equal(aws_turn(rig->aws), 25); /* 0.5 × (50 + 1) */
    aws_rig_turn(rig, 24);
    assert_int_equal(rig->http->count, 1);
    aws_rig_turn(rig, 1);
    assert_int_equal(rig->http->count, 2);
    assert_int_equal(rig->http->requests[1].timeout_ms, 30000 - 25);
    canned_answer(rig->http, 1, 503, NULL, "");
    assert_int_equal(aws_turn(rig->aws), 50);
    aws_rig_turn(rig, 50);
    assert_int_equal(rig->http->count, 3);
    assert_int_equal(rig->ends_count, 0);
    canned_answer(rig->http, 2, 500, NULL, "{\"__type\":\"InternalError\",\"message\":\"oh\"}");
    assert_int_equal(rig->ends_count, 1);
    assert_int_equal(rig->retries, 2);
    assert_false(rig->ends[0].ok);
    assert_true(rig->ends[0].retryable);
    assert_string_equal(rig->ends[0].error, "InternalError");
    assert_string_equal(rig->ends[0].message, "oh");
    assert_int_equal(rig->ends[0].status, 500);
}

static void a_retry_that_succeeds_ends_it_well(void **state)
{
    struct aws_rig *rig = *state;
    aws_rig_open(rig, NULL);
    aws_rig_send(rig, 1);
    canned_end(rig->http, 0, HTTP_NOT_SENT, "refused");
    aws_rig_turn(rig, 100);
    canned_answer(rig->http, 1, 200, NULL, "{}");
    assert_int_equal(rig->ends_count, 1);
    assert_true(rig->ends[0].ok);
}

static void what_may_be_asked_once_only_is_not_asked_again_when_it_was_lost(void **state)
{
    struct aws_rig *rig = *state;
    aws_rig_open(rig, NULL);
    struct aws_request request = aws_rig_request(rig, 1);
    request.once = true;
    for (int i = 0; i < 4; i++)
        assert_int_equal(aws_send(rig->aws, &request, NULL), STATUS_OK);
    canned_end(rig->http, 0, HTTP_LOST, "the connection broke");
    canned_answer(rig->http, 1, 500, NULL, "");
    assert_int_equal(rig->ends_count, 2);
    assert_int_equal(rig->ends[0].end, HTTP_LOST);
    aws_rig_contains(rig->ends[0].message, "the connection broke");
    /* What was surely not done is another matter. */
    canned_end(rig->http, 2, HTTP_NOT_SENT, "refused");
    canned_answer(rig->http, 3, 400, NULL, "{\"__type\":\"ThrottlingException\"}");
    aws_rig_turn(rig, 3000);
    assert_int_equal(rig->http->count, 6);
    assert_int_equal(rig->ends_count, 2);
}

static void errors_of_the_request_are_not_asked_again(void **state)
{
    struct aws_rig *rig = *state;
    aws_rig_open(rig, NULL);
    aws_rig_send(rig, 1);
    canned_answer(rig->http, 0, 400, NULL,
                  "{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\",\"message\":\"no\"}");
    assert_int_equal(rig->ends_count, 1);
    assert_false(rig->ends[0].retryable);
    assert_string_equal(rig->ends[0].error, "QueueDoesNotExist");
    assert_string_equal(rig->ends[0].message, "no");
    aws_rig_contains(rig->ends[0].json, "__type");
}

static void an_endpoint_that_is_dead_is_asked_less_and_less(void **state)
{
    struct aws_rig *rig = *state;
    aws_rig_open(rig, NULL);
    uint32_t asked = 0;
    for (int i = 0; i < 100; i++) {
        rig->ends_count = 0;
        aws_rig_send(rig, 1);
        while (asked < rig->http->count) {
            canned_end(rig->http, asked++, HTTP_NOT_SENT, "refused");
            aws_rig_turn(rig, 500);
        }
        assert_int_equal(rig->ends_count, 1);
    }
    /* 500 tokens are 50 retries; without the bucket there would be 200. */
    assert_int_equal(asked, 100 + 50);
    aws_rig_contains(rig->ends[0].message, "refused");
}

static void what_breaks_now_and_then_is_always_asked_again(void **state)
{
    struct aws_rig *rig = *state;
    aws_rig_open(rig, NULL);
    for (uint32_t i = 0; i < 200; i++) {
        rig->ends_count = 0;
        aws_rig_send(rig, 1);
        canned_end(rig->http, 2 * i, HTTP_NOT_SENT, "refused");
        aws_rig_turn(rig, 100);
        canned_answer(rig->http, 2 * i + 1, 200, NULL, "{}");
        assert_true(rig->ends[0].ok);
    }
}

static void one_dead_endpoint_takes_nothing_from_another(void **state)
{
    struct aws_rig *rig = *state;
    aws_rig_open(rig, NULL);
    uint32_t asked = 0;
    for (int i = 0; i < 60; i++) {
        rig->ends_count = 0;
        aws_rig_send(rig, 1);
        while (asked < rig->http->count) {
            canned_end(rig->http, asked++, HTTP_NOT_SENT, "refused");
            aws_rig_turn(rig, 500);
        }
    }
    struct aws_request request = aws_rig_request(rig, 2);
    request.service = "sns";
    assert_int_equal(aws_send(rig->aws, &request, NULL), STATUS_OK);
    canned_end(rig->http, asked, HTTP_NOT_SENT, "refused");
    aws_rig_turn(rig, 500);
    assert_int_equal(rig->http->count, asked + 2);
}

static void one_table_that_throttles_does_not_slow_another(void **state)
{
    struct aws_rig *rig = *state;
    aws_rig_open(rig, NULL);
    struct aws_request request = aws_rig_request(rig, 1);
    request.resource = "table one";
    for (int i = 0; i < 10; i++)
        assert_int_equal(aws_send(rig->aws, &request, NULL), STATUS_OK);
    for (uint32_t i = 0; i < 5; i++)
        canned_answer(rig->http, i, 400, NULL, "{\"__type\":\"ThrottlingException\"}");
    request.resource = "table two";
    for (int i = 0; i < 20; i++)
        assert_int_equal(aws_send(rig->aws, &request, NULL), STATUS_OK);
    assert_int_equal(rig->http->count, 30);
    request.resource = "table one";
    for (int i = 0; i < 20; i++)
        assert_int_equal(aws_send(rig->aws, &request, NULL), STATUS_OK);
    assert_in_range(rig->http->count, 30, 49);
}

static void a_retry_that_its_time_does_not_allow_is_not_waited_for(void **state)
{
    struct aws_rig *rig = *state;
    aws_rig_open(rig, NULL);
    struct aws_request request = aws_rig_request(rig, 1);
    request.timeout_ms = 20;
    assert_int_equal(aws_send(rig->aws, &request, NULL), STATUS_OK);
    canned_answer(rig->http, 0, 503, NULL, "");
    assert_int_equal(rig->ends_count, 1);
    assert_string_equal(rig->ends[0].error, "Http503");
}

static void a_retry_after_is_waited_for(void **state)
{
    struct aws_rig *rig = *state;
    aws_rig_open(rig, NULL);
    aws_rig_send(rig, 1);
    canned_answer(rig->http, 0, 503, "Retry-After: 3", "");
    assert_int_equal(aws_turn(rig->aws), 3000);
}

static void after_throttling_attempts_get_their_slots(void **state)
{
    struct aws_rig *rig = *state;
    aws_rig_open(rig, NULL);
    for (int i = 0; i < 10; i++)
        aws_rig_send(rig, i);
    for (uint32_t i = 0; i < 10; i++)
        canned_answer(rig->http, i, i < 5 ? 400 : 200, NULL,
                      i < 5 ? "{\"__type\":\"ThrottlingException\"}" : "{}");
    for (int i = 0; i < 20; i++)
        aws_rig_send(rig, i);
    uint32_t at_once = rig->http->count - 10;
    assert_true(at_once < 20);
    aws_rig_turn(rig, 20000);
    assert_int_equal(rig->http->count, 10 + 20 + 5);
}

static void retries_go_when_each_is_due_and_in_order_where_they_are_due_together(void **state)
{
    struct aws_rig *rig = *state;
    aws_rig_open(rig, NULL);
    char target[32];
    for (int i = 0; i < 32; i++) {
        struct aws_request request = aws_rig_request(rig, i);
        snprintf(target, sizeof target, "A.B%d", i);
        request.target = target;
        assert_int_equal(aws_send(rig->aws, &request, NULL), STATUS_OK);
    }
    canned_answer(rig->http, 0, 503, "Retry-After: 2", "");
    for (uint32_t i = 1; i < 32; i++)
        canned_answer(rig->http, i, 503, i % 2 == 0 ? "Retry-After: 1" : "Retry-After: 3", "");
    assert_int_equal(aws_turn(rig->aws), 1000);
    aws_rig_turn(rig, 1000);
    assert_int_equal(rig->http->count, 32 + 15);
    aws_rig_turn(rig, 1000);
    assert_string_equal(canned_sent(rig->http, 32 + 15, "X-Amz-Target"), "A.B0");
    aws_rig_turn(rig, 1000);
    assert_int_equal(rig->http->count, 64);
    for (uint32_t i = 0; i < 15; i++) {
        snprintf(target, sizeof target, "A.B%u", 2 * i + 2);
        assert_string_equal(canned_sent(rig->http, 32 + i, "X-Amz-Target"), target);
        snprintf(target, sizeof target, "A.B%u", 2 * i + 1);
        assert_string_equal(canned_sent(rig->http, 48 + i, "X-Amz-Target"), target);
    }
}

static uint32_t note_tokens(struct aws *aws, const char *name, uint32_t tokens)
{
    struct aws_target *target = aws_target_hold(aws, name);
    uint32_t before = target->throttle.tokens;
    target->throttle.tokens = tokens;
    aws_target_release(target);
    return before;
}

static void what_is_remembered_of_endpoints_is_bounded_but_for_those_in_use(void **state)
{
    struct aws_rig *rig = *state;
    aws_rig_open(rig, NULL);
    struct aws_request request = aws_rig_request(rig, 1);
    char url[64];
    request.url = "http://127.0.0.1/used?a";
    assert_int_equal(aws_send(rig->aws, &request, NULL), STATUS_OK);
    struct aws_target *used = aws_target_hold(rig->aws, "http://127.0.0.1/used\nsqs\nus-east-1\n");
    assert_int_equal(used->holders, 2);
    for (uint32_t i = 0; i < 1000; i++) {
        snprintf(url, sizeof url, "http://127.0.0.1/%u", i);
        request.url = url;
        assert_int_equal(aws_send(rig->aws, &request, NULL), STATUS_OK);
        rig->ends_count = 0;
        canned_answer(rig->http, i + 1, 200, NULL, "{}");
        if (i == 990)
            note_tokens(rig->aws, "http://127.0.0.1/990\nsqs\nus-east-1\n", 7);
    }
    assert_int_equal(rig->aws->targets_count, AWS_TARGETS_IDLE_MAX);
    /* The ones that were used last are known still. */
    assert_int_equal(note_tokens(rig->aws, "http://127.0.0.1/990\nsqs\nus-east-1\n", 0), 7);
    aws_target_release(used);
    request.url = "http://127.0.0.1/used?b";
    assert_int_equal(aws_send(rig->aws, &request, NULL), STATUS_OK);
    assert_int_equal(used->holders, 2);
}

static void when_there_is_no_room_a_retry_waits_for_it(void **state)
{
    struct aws_rig *rig = *state;
    aws_rig_open(rig, NULL);
    aws_rig_send(rig, 1);
    canned_answer(rig->http, 0, 503, NULL, "");
    rig->http->busy = true;
    aws_rig_turn(rig, 100);
    assert_int_equal(rig->ends_count, 0);
    rig->http->busy = false;
    aws_rig_turn(rig, 20);
    assert_int_equal(rig->http->count, 2);
    canned_answer(rig->http, 1, 503, NULL, "");
    aws_rig_send(rig, 2);
    aws_rig_send(rig, 3);
    canned_end(rig->http, 2, HTTP_LOST, "lost");
    canned_end(rig->http, 3, HTTP_NOT_SENT, "refused");
    rig->http->busy = true;
    aws_rig_turn(rig, 30000);
    assert_int_equal(rig->ends_count, 3);
    for (int i = 0; i < 3; i++) /* as it may have been done or not */
        assert_int_equal(rig->ends[i].end, rig->ends[i].no == 3 ? HTTP_NOT_SENT : HTTP_TIMED_OUT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, aws_rig_setup, aws_rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_goes_signed_to_the_endpoint_of_its_region),
        TEST(an_answer_of_success_ends_it_with_its_json),
        TEST(the_body_and_all_else_is_copied),
        TEST(a_path_is_added_to_the_endpoint),
        TEST(a_url_says_its_region_itself),
        TEST(a_session_token_goes_with_it),
        TEST(without_a_region_it_is_refused_and_says_where_to_set_one),
        TEST(no_credentials_come_back_by_on_end_after_aws_send),
        TEST(more_than_there_is_room_for_is_busy),
        TEST(what_is_down_is_asked_three_times_with_backoff),
        TEST(a_retry_that_succeeds_ends_it_well),
        TEST(what_may_be_asked_once_only_is_not_asked_again_when_it_was_lost),
        TEST(errors_of_the_request_are_not_asked_again),
        TEST(an_endpoint_that_is_dead_is_asked_less_and_less),
        TEST(what_breaks_now_and_then_is_always_asked_again),
        TEST(one_dead_endpoint_takes_nothing_from_another),
        TEST(one_table_that_throttles_does_not_slow_another),
        TEST(a_retry_that_its_time_does_not_allow_is_not_waited_for),
        TEST(a_retry_after_is_waited_for),
        TEST(after_throttling_attempts_get_their_slots),
        TEST(retries_go_when_each_is_due_and_in_order_where_they_are_due_together),
        TEST(what_is_remembered_of_endpoints_is_bounded_but_for_those_in_use),
        TEST(when_there_is_no_room_a_retry_waits_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
