#include "engine/edge/sns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/edge/sqs_rig.h"

#define TOPIC "arn:aws:sns:eu-west-1:000000000000:orders"
#define FIFO  "arn:aws:sns:eu-west-1:000000000000:orders.fifo"

static void *module;

static int set_up(void **state)
{
    rig_set_up(state);
    module = rig_open(&edge_sns, "{}");
    return 0;
}

static int tear_down(void **state)
{
    rig_cancel();
    edge_sns.close(module);
    return rig_tear_down(state);
}

static void call(const char *key, const char *input)
{
    edge_sns.call(module, rig_call(key, input));
}

static void turn(void)
{
    rig_turn(&edge_sns, module);
}

static void has(uint32_t request, const char *part)
{
    if (!strstr(rig.requests[request].body, part))
        fail_msg("%s is not in %s", part, rig.requests[request].body);
}

static const char *text(const json_t *object, const char *field)
{
    const char *value = json_string_value(json_object_get(object, field));
    return value ? value : "(none)";
}

static void calls_to_a_topic_are_published_together(void **state)
{
    (void)state;
    call("e-1-1", "{\"TopicArn\":\"" TOPIC "\",\"Message\":\"a b&c=d/\\u00e4\",\"Subject\":\"s\"}");
    call("e-2-1", "{\"TopicArn\":\"" TOPIC "\",\"Message\":{\"n\":1}}");
    turn();
    assert_int_equal(rig.requests_count, 1);
    assert_string_equal(rig.requests[0].service, "sns");
    assert_string_equal(rig.requests[0].region, "eu-west-1");
    assert_null(rig.requests[0].target);
    has(0, "Action=PublishBatch&Version=2010-03-31&TopicArn=arn%3Aaws%3Asns%3Aeu-west-1%3A");
    has(0, "&PublishBatchRequestEntries.member.1.Id=0&");
    has(0, "&PublishBatchRequestEntries.member.1.Message=a%20b%26c%3Dd%2F%C3%A4&");
    has(0, "&PublishBatchRequestEntries.member.1.Subject=s&");
    has(0, "&PublishBatchRequestEntries.member.1.MessageAttributes.entry.1.Name=FlyoverKey&");
    has(0, ".member.1.MessageAttributes.entry.1.Value.StringValue=e-1-1&");
    has(0, "&PublishBatchRequestEntries.member.2.Message=%7B%22n%22%3A1%7D&");
    rig_answer(0, "<PublishBatchResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\">"
                  "<PublishBatchResult><Failed/><Successful>"
                  "<member><MessageId>m-2</MessageId><Id>1</Id></member>"
                  "<member><Id>0</Id><MessageId>m-1</MessageId></member>"
                  "</Successful></PublishBatchResult></PublishBatchResponse>");
    assert_string_equal(text(rig_end_of("e-1-1")->output, "MessageId"), "m-1");
    assert_string_equal(text(rig_end_of("e-2-1")->output, "MessageId"), "m-2");
    assert_int_equal(json_object_size(rig_end_of("e-2-1")->output), 1);
}

static void to_a_fifo_topic_the_saga_is_the_group(void **state)
{
    (void)state;
    call("e-7-3", "{\"TopicArn\":\"" FIFO "\",\"Message\":\"x\"}");
    turn();
    has(0, ".MessageGroupId=e-7&");
    has(0, ".MessageDeduplicationId=e-7-3&");
    rig_answer(0, "<R><PublishBatchResult><Successful><member><Id>0</Id><MessageId>m</MessageId>"
                  "<SequenceNumber>1000</SequenceNumber></member></Successful>"
                  "</PublishBatchResult></R>");
    assert_string_equal(text(rig_end_of("e-7-3")->output, "SequenceNumber"), "1000");
}

static void an_entry_that_failed_is_published_again_without_the_others(void **state)
{
    (void)state;
    call("e-1-1", "{\"TopicArn\":\"" TOPIC "\",\"Message\":\"a\"}");
    call("e-2-1", "{\"TopicArn\":\"" TOPIC "\",\"Message\":\"b\"}");
    call("e-3-1", "{\"TopicArn\":\"" TOPIC "\",\"Message\":\"c\"}");
    turn();
    rig_answer(0, "<R><PublishBatchResult><Failed>"
                  "<member><Id>1</Id><Code>InternalError</Code><SenderFault>false</SenderFault>"
                  "</member><member><Id>2</Id><Code>InvalidParameter</Code><Message>bad</Message>"
                  "<SenderFault>true</SenderFault></member></Failed><Successful><member><Id>0</Id>"
                  "<MessageId>m</MessageId></member></Successful></PublishBatchResult></R>");
    assert_non_null(rig_end_of("e-1-1")->output);
    assert_string_equal(rig_end_of("e-3-1")->error, "SNS.InvalidParameterException");
    assert_string_equal(rig_end_of("e-3-1")->cause, "bad (InvalidParameter)");
    assert_false(rig_end_of("e-3-1")->retryable);
    assert_null(rig_end_of("e-2-1"));
    rig.later_ms = 10000;
    turn();
    has(0, ".member.1.Message=b&");
    assert_null(strstr(rig.requests[0].body, "member.2"));
}

static void an_answer_that_is_no_xml_says_nothing_of_any_entry(void **state)
{
    (void)state;
    call("e-1-1", "{\"TopicArn\":\"" TOPIC "\",\"Message\":\"a\"}");
    turn();
    rig_answer(0, "<PublishBatchResponse><PublishBatchResult><Succ");
    assert_null(rig_end_of("e-1-1"));
    assert_int_equal(rig.retries, 1);
}

static void a_telephone_and_a_target_are_published_singly(void **state)
{
    (void)state;
    call("e-1-1", "{\"PhoneNumber\":\"+49123\",\"Message\":\"a\"}");
    call("e-2-1", "{\"PhoneNumber\":\"+49124\",\"Message\":\"b\"}");
    call("e-3-1",
         "{\"TargetArn\":\"arn:aws:sns:eu-west-1:000000000000:endpoint/x\",\"Message\":\"c\"}");
    turn();
    while (rig.requests_count > 0) {
        has(0, "Action=Publish&Version=2010-03-31&");
        assert_null(strstr(rig.requests[0].body, "TopicArn"));
        rig_answer(0, "<PublishResponse><PublishResult><MessageId>m</MessageId></PublishResult>"
                      "</PublishResponse>");
        turn();
    }
    assert_string_equal(text(rig_end_of("e-1-1")->output, "MessageId"), "m");
    assert_string_equal(text(rig_end_of("e-2-1")->output, "MessageId"), "m");
    assert_string_equal(text(rig_end_of("e-3-1")->output, "MessageId"), "m");
}

static void errors_are_named_as_step_functions_names_them(void **state)
{
    (void)state;
    static const struct {
        const char *code, *name;
        bool retryable;
    } errors[] = {{"NotFound", "SNS.NotFoundException", false},
                  {"NotFoundException", "SNS.NotFoundException", false},
                  {"AuthorizationError", "SNS.AuthorizationErrorException", false},
                  {"ParameterValueInvalid", "SNS.InvalidParameterValueException", false},
                  {"InternalError", "SNS.InternalErrorException", true},
                  {"Throttled", "SNS.AmazonSNSException", true},
                  {"", "SNS.SdkClientException", true}};
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "e-%zu-1", i);
        call(key, "{\"TopicArn\":\"" TOPIC "\",\"Message\":\"a\"}");
        turn();
        rig_fail(0, 400, errors[i].code, errors[i].retryable);
        assert_string_equal(rig_end_of(key)->error, errors[i].name);
        assert_int_equal(rig_end_of(key)->retryable, errors[i].retryable);
    }
}

static void wrong_parameters_are_refused_by_name(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"{\"Message\":\"x\"}", "TopicArn"},
        {"{\"TopicArn\":\"orders\",\"Message\":\"x\"}", "TopicArn"},
        {"{\"TopicArn\":\"" TOPIC "\",\"PhoneNumber\":\"+1\",\"Message\":\"x\"}", "exactly one"},
        {"{\"TopicArn\":\"" TOPIC "\"}", "Message"},
        {"{\"TopicArn\":\"" TOPIC "\",\"Message\":\"x\",\"Subject\":1}", "Subject"},
        {"{\"TopicArn\":\"" TOPIC "\",\"Message\":\"x\",\"Colour\":1}", "Colour"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "e-%zu-1", i);
        call(key, wrong[i][0]);
        assert_string_equal(rig_end_of(key)->error, "SNS.InvalidParameterException");
        assert_false(rig_end_of(key)->retryable);
        if (!strstr(rig_end_of(key)->cause, wrong[i][1]))
            fail_msg("%s: %s", wrong[i][0], rig_end_of(key)->cause);
    }
}

static void a_wrong_section_is_refused_by_path(void **state)
{
    (void)state;
    assert_non_null(strstr(rig_refused(&edge_sns, "{\"connections\":65}"), "sns.connections"));
    assert_non_null(strstr(rig_refused(&edge_sns, "{\"topics\":1}"), "sns.topics"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(calls_to_a_topic_are_published_together),
        TEST(to_a_fifo_topic_the_saga_is_the_group),
        TEST(an_entry_that_failed_is_published_again_without_the_others),
        TEST(an_answer_that_is_no_xml_says_nothing_of_any_entry),
        TEST(a_telephone_and_a_target_are_published_singly),
        TEST(errors_are_named_as_step_functions_names_them),
        TEST(wrong_parameters_are_refused_by_name),
        TEST(a_wrong_section_is_refused_by_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
