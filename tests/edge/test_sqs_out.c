#include "engine/edge/outbox.h"
#include "engine/edge/sqs_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "tests/edge/sqs_rig.h"

#define QUEUE "http://127.0.0.1:4566/000000000000/orders"
#define FIFO  "https://sqs.eu-west-1.amazonaws.com/000000000000/orders.fifo"

static void *module;

static int set_up(void **state)
{
    rig_set_up(state);
    module = rig_open(&edge_sqs, "{}");
    return 0;
}

static int tear_down(void **state)
{
    rig_cancel();
    edge_sqs.close(module);
    return rig_tear_down(state);
}

static void call(const char *key, const char *input)
{
    edge_sqs.call(module, rig_call(key, input));
}

static void call_with_body(const char *key, const char *body)
{
    char input[256];
    (void)snprintf(input, sizeof(input), "{\"QueueUrl\":\"" QUEUE "\",\"MessageBody\":\"%s\"}",
                   body);
    call(key, input);
}

static void turn(void)
{
    rig_turn(&edge_sqs, module);
}

static const json_t *entry(uint32_t request, size_t index)
{
    return json_array_get(json_object_get(rig.requests[request].json, "Entries"), index);
}

static const char *text(const json_t *object, const char *field)
{
    const char *value = json_string_value(json_object_get(object, field));
    return value ? value : "(none)";
}

static size_t entries(uint32_t request)
{
    return json_array_size(json_object_get(rig.requests[request].json, "Entries"));
}

static void a_message_is_sent_and_its_output_is_as_aws_has_it(void **state)
{
    (void)state;
    call_with_body("e-1-1", "hello");
    assert_int_equal(rig.requests_count, 0);
    turn();
    assert_int_equal(rig.requests_count, 1);
    assert_string_equal(rig.requests[0].service, "sqs");
    assert_string_equal(rig.requests[0].target, "AmazonSQS.SendMessageBatch");
    assert_string_equal(rig.requests[0].url, "http://127.0.0.1:4566");
    assert_null(rig.requests[0].region);
    assert_string_equal(text(rig.requests[0].json, "QueueUrl"), QUEUE);
    assert_string_equal(text(entry(0, 0), "MessageBody"), "hello");
    assert_null(json_object_get(entry(0, 0), "MessageGroupId"));
    assert_null(json_object_get(entry(0, 0), "MessageDeduplicationId"));
    const json_t *key =
        json_object_get(json_object_get(entry(0, 0), "MessageAttributes"), "FlyoverKey");
    assert_string_equal(text(key, "StringValue"), "e-1-1");
    rig_answer(0, "{\"Successful\":[{\"Id\":\"0\",\"MessageId\":\"m-1\",\"MD5OfMessageBody\":"
                  "\"5d41402abc4b2a76b9719d911017c592\"}],\"Failed\":[]}");
    const struct rig_end *end = rig_end_of("e-1-1");
    assert_string_equal(text(end->output, "MessageId"), "m-1");
    assert_string_equal(text(end->output, "MD5OfMessageBody"), "5d41402abc4b2a76b9719d911017c592");
    assert_null(json_object_get(end->output, "Id"));
}

static void an_endpoint_that_is_said_goes_before_the_queues_own_host(void **state)
{
    (void)state;
    rig.has_endpoint = true;
    call_with_body("e-1-1", "hello");
    turn();
    assert_null(rig.requests[0].url);
}

static void a_body_that_is_no_text_is_sent_as_json(void **state)
{
    (void)state;
    call("e-1-1",
         "{\"QueueUrl\":\"" QUEUE "\",\"MessageBody\":{\"price\":0.1,\"n\":3,\"x\":[null]},"
         "\"DelaySeconds\":5}");
    turn();
    assert_string_equal(text(entry(0, 0), "MessageBody"), "{\"price\":0.1,\"n\":3,\"x\":[null]}");
    assert_int_equal(json_integer_value(json_object_get(entry(0, 0), "DelaySeconds")), 5);
}

static void to_a_fifo_queue_the_saga_is_the_group_and_the_key_the_deduplication_id(void **state)
{
    (void)state;
    call("e1-f-17-3-c", "{\"QueueUrl\":\"" FIFO "\",\"MessageBody\":\"x\"}");
    call("e1-f-18-1", "{\"QueueUrl\":\"" FIFO "\",\"MessageBody\":\"x\",\"MessageGroupId\":\"g\","
                      "\"MessageDeduplicationId\":\"d\"}");
    turn();
    assert_string_equal(rig.requests[0].region, "eu-west-1");
    assert_null(rig.requests[0].url);
    assert_string_equal(text(entry(0, 0), "MessageGroupId"), "e1-f-17");
    assert_string_equal(text(entry(0, 0), "MessageDeduplicationId"), "e1-f-17-3-c");
    assert_string_equal(text(entry(0, 1), "MessageGroupId"), "g");
    assert_string_equal(text(entry(0, 1), "MessageDeduplicationId"), "d");
}

static void calls_of_one_turn_share_batches_of_ten(void **state)
{
    (void)state;
    char key[32];
    for (int i = 0; i < 25; i++) {
        (void)snprintf(key, sizeof(key), "e-%d-1", i);
        call_with_body(key, "x");
    }
    turn();
    assert_int_equal(rig.requests_count, 2);
    assert_int_equal(entries(0), 10);
    assert_int_equal(entries(1), 10);
    rig_lose(0);
    rig_lose(0);
    turn();
    assert_int_equal(entries(0), 5);
}

static void an_entry_that_failed_is_sent_again_without_the_others(void **state)
{
    (void)state;
    call_with_body("e-1-1", "a");
    call_with_body("e-2-1", "b");
    call_with_body("e-3-1", "c");
    turn();
    rig_answer(0, "{\"Successful\":[{\"Id\":\"0\",\"MessageId\":\"m\"}],\"Failed\":["
                  "{\"Id\":\"1\",\"Code\":\"InternalError\",\"SenderFault\":false},"
                  "{\"Id\":\"2\",\"Code\":\"InvalidMessageContents\",\"Message\":\"bad\","
                  "\"SenderFault\":true}]}");
    assert_non_null(rig_end_of("e-1-1")->output);
    assert_string_equal(rig_end_of("e-3-1")->error, "SQS.InvalidMessageContentsException");
    assert_false(rig_end_of("e-3-1")->retryable);
    assert_null(rig_end_of("e-2-1"));
    assert_int_equal(rig.retries, 1);
    rig.later_ms = 10000;
    turn();
    assert_int_equal(entries(0), 1);
    assert_string_equal(text(entry(0, 0), "MessageBody"), "b");
}

static void an_entry_that_keeps_failing_fails_its_call_in_the_end(void **state)
{
    (void)state;
    call_with_body("e-1-1", "a");
    for (int tries = 0; tries < 4; tries++) {
        assert_null(rig_end_of("e-1-1"));
        rig.later_ms += 10000;
        turn();
        rig_answer(0, "{\"Failed\":[{\"Id\":\"0\",\"Code\":\"InternalError\"}]}");
    }
    assert_string_equal(rig_end_of("e-1-1")->error, "SQS.AmazonSQSException");
    assert_true(rig_end_of("e-1-1")->retryable);
    assert_non_null(strstr(rig_end_of("e-1-1")->cause, "InternalError"));
}

static void an_entry_that_the_answer_does_not_name_is_not_taken_for_sent(void **state)
{
    (void)state;
    call_with_body("e-1-1", "a");
    turn();
    rig_answer(0, "{\"Successful\":[{\"Id\":\"7\",\"MessageId\":\"m\"}]}");
    assert_null(rig_end_of("e-1-1"));
    while (!rig_end_of("e-1-1")) {
        rig.later_ms += 10000;
        turn();
        assert_string_equal(text(entry(0, 0), "MessageBody"), "a");
        rig_answer(0, "{}");
    }
    assert_true(rig_end_of("e-1-1")->retryable);
    assert_non_null(strstr(rig_end_of("e-1-1")->cause, "does not say what became of"));
}

static void a_body_that_came_as_another_is_sent_again(void **state)
{
    (void)state;
    call_with_body("e-1-1", "hello");
    turn();
    rig_answer(0, "{\"Successful\":[{\"Id\":\"0\",\"MessageId\":\"m\",\"MD5OfMessageBody\":"
                  "\"00000000000000000000000000000000\"}]}");
    assert_null(rig_end_of("e-1-1"));
    assert_int_equal(rig.retries, 1);
}

static void a_batch_that_one_spoils_is_sent_one_by_one(void **state)
{
    (void)state;
    call_with_body("e-1-1", "a");
    call_with_body("e-2-1", "bad");
    turn();
    rig_fail(0, 400, "InvalidParameterValue", false);
    turn();
    assert_int_equal(rig.requests_count, 1);
    assert_int_equal(entries(0), 1);
    rig_answer(0, "{\"Successful\":[{\"Id\":\"0\",\"MessageId\":\"m\"}]}");
    turn();
    assert_string_equal(text(entry(0, 0), "MessageBody"), "bad");
    rig_fail(0, 400, "InvalidParameterValue", false);
    assert_non_null(rig_end_of("e-1-1")->output);
    assert_string_equal(rig_end_of("e-2-1")->error, "SQS.AmazonSQSException");
    assert_non_null(strstr(rig_end_of("e-2-1")->cause, "InvalidParameterValue"));
    assert_false(rig_end_of("e-2-1")->retryable);
}

static void what_concerns_all_of_a_batch_fails_all_of_it(void **state)
{
    (void)state;
    call_with_body("e-1-1", "a");
    call_with_body("e-2-1", "b");
    turn();
    rig_fail(0, 400, "QueueDoesNotExist", false);
    assert_string_equal(rig_end_of("e-1-1")->error, "SQS.QueueDoesNotExistException");
    assert_string_equal(rig_end_of("e-2-1")->error, "SQS.QueueDoesNotExistException");
    assert_false(rig_end_of("e-2-1")->retryable);
}

static void what_aws_asks_again_by_itself_counts_for_each_call(void **state)
{
    (void)state;
    call_with_body("e-1-1", "a");
    call_with_body("e-2-1", "b");
    turn();
    rig.requests[0].on_retry(rig.requests[0].context);
    assert_int_equal(rig.retries, 2);
}

static void no_answer_is_retryable(void **state)
{
    (void)state;
    call_with_body("e-1-1", "a");
    turn();
    rig_lose(0);
    assert_string_equal(rig_end_of("e-1-1")->error, "SQS.SdkClientException");
    assert_true(rig_end_of("e-1-1")->retryable);
    call_with_body("e-2-1", "a");
    turn();
    rig_fail(0, 503, "ServiceUnavailable", true);
    assert_string_equal(rig_end_of("e-2-1")->error, "SQS.AmazonSQSException");
    assert_true(rig_end_of("e-2-1")->retryable);
}

static void no_room_for_a_request_is_retryable(void **state)
{
    (void)state;
    rig.send_status = STATUS_BUSY;
    call_with_body("e-1-1", "a");
    turn();
    assert_true(rig_end_of("e-1-1")->retryable);
    assert_string_equal(rig_end_of("e-1-1")->error, "SQS.SdkClientException");
}

static void what_is_out_of_time_is_not_sent(void **state)
{
    (void)state;
    struct edge_call *late =
        rig_call("e-1-1", "{\"QueueUrl\":\"" QUEUE "\",\"MessageBody\":\"x\"}");
    late->deadline_ms = 1;
    edge_sqs.call(module, late);
    turn();
    assert_int_equal(rig.requests_count, 0);
    assert_string_equal(rig_end_of("e-1-1")->error, "States.Timeout");
}

static void a_message_does_not_wait_for_a_mute_host(void **state)
{
    (void)state;
    edge_sqs.call(module, rig_call("e-1-1", "{\"QueueUrl\":\"" QUEUE "\",\"MessageBody\":\"x\"}"));
    turn();
    assert_int_equal(rig.requests[0].patience_ms, OUTBOX_PATIENCE_MS);
}

static void a_request_takes_no_longer_than_somebody_waits(void **state)
{
    (void)state;
    struct edge_call *hurried =
        rig_call("e-1-1", "{\"QueueUrl\":\"" QUEUE "\",\"MessageBody\":\"x\"}");
    hurried->deadline_ms = clock_wall_ms() + 2000;
    edge_sqs.call(module, hurried);
    turn();
    assert_in_range(rig.requests[0].timeout_ms, 1, 2000);
}

static void wrong_parameters_are_refused_by_name(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"{\"MessageBody\":\"x\"}", "QueueUrl"},
        {"{\"QueueUrl\":\"orders\",\"MessageBody\":\"x\"}", "QueueUrl"},
        {"{\"QueueUrl\":\"" QUEUE "\"}", "MessageBody"},
        {"{\"QueueUrl\":\"" QUEUE "\",\"MessageBody\":\"\"}", "MessageBody"},
        {"{\"QueueUrl\":\"" QUEUE "\",\"MessageBody\":\"x\",\"DelaySeconds\":901}", "DelaySeconds"},
        {"{\"QueueUrl\":\"" QUEUE "\",\"MessageBody\":\"x\",\"Colour\":1}", "Colour"},
        {"{\"QueueUrl\":\"" QUEUE "\",\"MessageBody\":\"x\",\"MessageGroupId\":1}",
         "MessageGroupId"},
        {"{\"QueueUrl\":\"" QUEUE "\",\"MessageBody\":\"x\",\"MessageAttributes\":{\"n\":\"v\"}}",
         "MessageAttributes.n"},
        {"{\"input\":1,\"output\":2}", "Compensate"},
        {"[]", "Parameters"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "e-%zu-1", i);
        call(key, wrong[i][0]);
        assert_string_equal(rig_end_of(key)->error, "SQS.AmazonSQSException");
        assert_false(rig_end_of(key)->retryable);
        if (!strstr(rig_end_of(key)->cause, wrong[i][1]))
            fail_msg("%s: %s", wrong[i][0], rig_end_of(key)->cause);
    }
    turn();
    assert_int_equal(rig.requests_count, 0);
}

/* To QUEUE, with one field more, which is stolen. */
static void call_with(const char *key, const char *field, json_t *value)
{
    json_t *input = json_pack("{s:s, s:s}", "QueueUrl", QUEUE, "MessageBody", "x");
    json_object_set_new(input, field, value);
    char *text = json_dumps(input, JSON_COMPACT);
    call(key, text);
    free(text);
    json_decref(input);
}

static void a_message_that_is_too_large_is_refused(void **state)
{
    (void)state;
    char *body = malloc(262145);
    memset(body, 'x', 262144);
    body[262144] = 0;
    call_with("e-1-1", "MessageBody", json_string(body));
    turn(); /* exactly as large as may be: it goes, without the key */
    assert_int_equal(rig.requests_count, 1);
    assert_null(json_object_get(entry(0, 0), "MessageAttributes"));
    call_with("e-2-1", "MessageBody", json_sprintf("%sx", body));
    assert_non_null(strstr(rig_end_of("e-2-1")->cause, "262144"));
    /* 131,072 numbers of a byte each, which as text have a comma each. */
    json_t *numbers = json_array();
    for (int i = 0; i < 131072; i++)
        json_array_append_new(numbers, json_integer(1));
    call_with("e-3-1", "MessageBody", numbers);
    assert_non_null(strstr(rig_end_of("e-3-1")->cause, "262144"));
    free(body);
}

static json_t *attributes(int count)
{
    json_t *all = json_object();
    for (int i = 0; i < count; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "n%d", i);
        json_object_set_new(all, name,
                            json_pack("{s:s,s:s}", "DataType", "String", "StringValue", "v"));
    }
    return all;
}

static void the_key_is_no_eleventh_attribute(void **state)
{
    (void)state;
    call_with("e-1-1", "MessageAttributes", attributes(10));
    turn();
    assert_int_equal(json_object_size(json_object_get(entry(0, 0), "MessageAttributes")), 10);
    call_with("e-2-1", "MessageAttributes", attributes(11));
    assert_non_null(strstr(rig_end_of("e-2-1")->cause, "11"));
}

static void a_wrong_section_is_refused_by_path(void **state)
{
    (void)state;
    assert_non_null(strstr(rig_refused(&edge_sqs, "{\"connections\":0}"), "sqs.connections"));
    assert_non_null(strstr(rig_refused(&edge_sqs, "{\"key_attribute\":1}"), "sqs.key_attribute"));
    assert_non_null(strstr(rig_refused(&edge_sqs, "{\"queue\":1}"), "sqs.queue"));
    assert_non_null(strstr(rig_refused(&edge_sqs, "3"), "sqs:"));
}

static void without_a_section_for_aws_it_is_refused(void **state)
{
    (void)state;
    rig.without_aws = true;
    assert_non_null(strstr(rig_refused(&edge_sqs, "{}"), "sqs: needs a section \"aws\""));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_message_is_sent_and_its_output_is_as_aws_has_it),
        TEST(an_endpoint_that_is_said_goes_before_the_queues_own_host),
        TEST(a_body_that_is_no_text_is_sent_as_json),
        TEST(to_a_fifo_queue_the_saga_is_the_group_and_the_key_the_deduplication_id),
        TEST(calls_of_one_turn_share_batches_of_ten),
        TEST(an_entry_that_failed_is_sent_again_without_the_others),
        TEST(an_entry_that_keeps_failing_fails_its_call_in_the_end),
        TEST(an_entry_that_the_answer_does_not_name_is_not_taken_for_sent),
        TEST(a_body_that_came_as_another_is_sent_again),
        TEST(a_batch_that_one_spoils_is_sent_one_by_one),
        TEST(what_concerns_all_of_a_batch_fails_all_of_it),
        TEST(what_aws_asks_again_by_itself_counts_for_each_call),
        TEST(no_answer_is_retryable),
        TEST(no_room_for_a_request_is_retryable),
        TEST(what_is_out_of_time_is_not_sent),
        TEST(a_message_does_not_wait_for_a_mute_host),
        TEST(a_request_takes_no_longer_than_somebody_waits),
        TEST(wrong_parameters_are_refused_by_name),
        TEST(a_message_that_is_too_large_is_refused),
        TEST(the_key_is_no_eleventh_attribute),
        TEST(a_wrong_section_is_refused_by_path),
        TEST(without_a_section_for_aws_it_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
