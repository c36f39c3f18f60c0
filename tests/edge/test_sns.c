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
static struct edge_end end; /* until the module is closed */

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
    json_decref(end.output);
    end.output = NULL;
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
    assert_int_equal(rig.requests[0].patience_ms, OUTBOX_PATIENCE_MS);
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

static void without_a_section_for_aws_it_is_refused(void **state)
{
    (void)state;
    rig.without_aws = true;
    assert_non_null(strstr(rig_refused(&edge_sns, "{}"), "sns: needs a section \"aws\""));
}

/* ---- ends of sagas ------------------------------------------------------------------------------
 */

static void open_with(const char *events)
{
    char config[512];
    edge_sns.close(module);
    (void)snprintf(config, sizeof(config), "{\"events\":%s}", events);
    module = rig_open(&edge_sns, config);
}

static bool wants(const char *definition, const char *outcome)
{
    return edge_sns.wants_end(module, definition, outcome);
}

static struct edge_end an_end(void)
{
    return (struct edge_end){.saga_id = 7,
                             .definition = "order",
                             .version = 2,
                             .outcome = "COMPENSATED",
                             .ended_ms = 1700000000000,
                             .error = "Payment.Declined",
                             .cause = "no money",
                             .key = "e-e-12-1"};
}

static void only_the_ends_that_the_section_names_are_wanted(void **state)
{
    (void)state;
    assert_false(wants(NULL, NULL));
    open_with("{\"topic\":\"" TOPIC "\"}");
    assert_true(wants(NULL, NULL));
    assert_true(wants("order", "SUCCEEDED") && wants("other", "ABORTED"));
    open_with("{\"topic\":\"" TOPIC
              "\",\"on\":[\"STUCK\",\"FAILED\"],\"definitions\":[\"order\"]}");
    assert_true(wants("order", "STUCK") && wants("order", "FAILED"));
    assert_false(wants("order", "SUCCEEDED") || wants("other", "STUCK"));
}

static void an_end_is_published_with_what_subscriptions_filter_by(void **state)
{
    (void)state;
    open_with("{\"topic\":\"" TOPIC "\"}");
    end = an_end();
    end.output = json_pack("{s:i}", "n", 1);
    edge_sns.on_saga_ended(module, &end);
    assert_false(edge_sns.drain(module));
    turn();
    has(0, "Message=%7B%22saga_id%22%3A7%2C%22definition%22%3A%22order%22%2C%22version%22%3A2%2C%22"
           "outcome%22%3A%22COMPENSATED%22%2C%22ended_ms%22%3A1700000000000%2C%22error%22%3A%22"
           "Payment.Declined%22%2C%22cause%22%3A%22no%20money%22%2C%22output%22%3A%7B%22n%22%3A1%7D"
           "%7D&");
    has(0, "entry.2.Name=outcome&");
    has(0, "entry.2.Value.StringValue=COMPENSATED&");
    has(0, ".Value.StringValue=e-e-12-1");
    assert_null(strstr(rig.requests[0].body, "MessageGroupId"));
    rig_answer(0, "<R><PublishBatchResult><Successful><member><Id>0</Id><MessageId>m</MessageId>"
                  "</member></Successful></PublishBatchResult></R>");
    assert_int_equal(rig.ends_told, 1);
    turn();
    assert_true(edge_sns.drain(module));
}

static void an_end_to_a_fifo_topic_is_of_the_sagas_group(void **state)
{
    (void)state;
    open_with("{\"topic\":\"" FIFO "\"}");
    end = an_end();
    edge_sns.on_saga_ended(module, &end);
    turn();
    has(0, ".MessageGroupId=saga-7&");
    has(0, ".MessageDeduplicationId=e-e-12-1&");
}

static void an_end_whose_publishing_fails_is_published_again_and_at_last_logged(void **state)
{
    (void)state;
    open_with("{\"topic\":\"" TOPIC "\"}");
    end = an_end();
    edge_sns.on_saga_ended(module, &end);
    for (int tries = 0; tries <= 20; tries++) {
        assert_int_equal(rig.ends_told, 0);
        rig.later_ms += 10000;
        turn();
        assert_int_equal(rig.requests_count, 1);
        rig_lose(0);
    }
    assert_int_equal(rig.ends_told, 1);
    assert_non_null(strstr(rig.log, "saga 7 of order is COMPENSATED was not published"));
}

static void an_end_whose_topic_is_not_there_is_logged_at_once(void **state)
{
    (void)state;
    open_with("{\"topic\":\"" TOPIC "\"}");
    end = an_end();
    edge_sns.on_saga_ended(module, &end);
    turn();
    rig_fail(0, 404, "NotFound", false);
    assert_int_equal(rig.ends_told, 1);
    assert_non_null(strstr(rig.log, "SNS.NotFoundException"));
}

static void an_output_that_is_too_large_is_left_out(void **state)
{
    (void)state;
    static char large[262145];
    open_with("{\"topic\":\"" TOPIC "\"}");
    end = an_end();
    memset(large, 'x', sizeof(large) - 1);
    end.output = json_string(large);
    edge_sns.on_saga_ended(module, &end);
    turn();
    has(0, "%22output_omitted%22%3Atrue");
}

static void wrong_events_are_refused_by_path(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"{}", "sns.events.topic"},
        {"{\"topic\":\"orders\"}", "sns.events.topic"},
        {"{\"topic\":\"" TOPIC "\",\"on\":[\"DONE\"]}", "sns.events.on"},
        {"{\"topic\":\"" TOPIC "\",\"on\":[\"STUCK\",1]}", "sns.events.on"},
        {"{\"topic\":\"" TOPIC "\",\"on\":[]}", "sns.events.on"},
        {"{\"topic\":\"" TOPIC "\",\"definitions\":[]}", "sns.events.definitions"},
        {"{\"topic\":\"" TOPIC "\",\"definitions\":[\"a\",2]}", "sns.events.definitions[1]"},
        {"{\"topics\":1}", "sns.events.topics"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char config[512];
        (void)snprintf(config, sizeof(config), "{\"events\":%s}", wrong[i][0]);
        const char *sentence = rig_refused(&edge_sns, config);
        if (!strstr(sentence, wrong[i][1]))
            fail_msg("%s: %s", wrong[i][0], sentence);
    }
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
        TEST(without_a_section_for_aws_it_is_refused),
        TEST(only_the_ends_that_the_section_names_are_wanted),
        TEST(an_end_is_published_with_what_subscriptions_filter_by),
        TEST(an_end_to_a_fifo_topic_is_of_the_sagas_group),
        TEST(an_end_whose_publishing_fails_is_published_again_and_at_last_logged),
        TEST(an_end_whose_topic_is_not_there_is_logged_at_once),
        TEST(an_output_that_is_too_large_is_left_out),
        TEST(wrong_events_are_refused_by_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
