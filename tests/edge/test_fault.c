/* What answers that are no success say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/edge/fault.h"
#include "tests/edge/aws_rig.h"

static struct fault fault_of(int status, const char *headers, const char *body)
{
    struct http_answer answer = {
        .end = HTTP_ANSWERED,
        .status = status,
        .body = body,
        .body_bytes = strlen(body),
        .headers = headers,
        .sentence = "",
    };
    struct fault fault;
    json_t *json = json_loads(body, 0, NULL);
    fault_read(&answer, json, &fault);
    json_decref(json);
    return fault;
}

static void the_name_is_found_wherever_the_protocol_has_it(void **state)
{
    (void)state;
    const struct {
        const char *headers, *body, *name, *message;
    } cases[] = {
        {NULL,
         "{\"__type\":\"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException\","
         "\"message\":\"The conditional request failed\"}",
         "ConditionalCheckFailedException", "The conditional request failed"},
        {NULL, "{\"__type\":\"ValidationException\",\"Message\":\"m\"}", "ValidationException",
         "m"},
        {"x-amzn-ErrorType: ResourceNotFoundException:http://internal.amazon.com/x",
         "{\"Type\":\"User\",\"Message\":\"Function not found\"}", "ResourceNotFoundException",
         "Function not found"},
        {"x-amzn-query-error: AWS.SimpleQueueService.NonExistentQueue;Sender",
         "{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\",\"message\":\"no queue\"}",
         "QueueDoesNotExist", "no queue"},
        {"x-amzn-query-error: AWS.SimpleQueueService.NonExistentQueue;Sender", "{}",
         "NonExistentQueue", "HTTP status 400: {}"},
        {NULL, "{\"code\":\"SomeCode\",\"message\":\"m\"}", "SomeCode", "m"},
        {"Content-Type: text/xml",
         "<?xml version=\"1.0\"?><ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\">"
         "<Error><Type>Sender</Type><Code>NotFound</Code><Message>Topic does &lt;not&gt; "
         "exist</Message></Error><RequestId>r</RequestId></ErrorResponse>",
         "NotFound", "Topic does <not> exist"},
        {NULL, "<Response><Errors><Error><Code>AWS.Auth.Thing</Code></Error></Errors></Response>",
         "Thing", "HTTP status 400: <Response>"},
        {"Content-Type: text/html", "<html>oh", "Http400", "HTTP status 400: <html>oh"},
        {NULL, "", "Http400", "HTTP status 400 and nothing else"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fault fault = fault_of(400, cases[i].headers, cases[i].body);
        assert_string_equal(fault.name, cases[i].name);
        aws_rig_contains(fault.message, cases[i].message);
    }
}

static void the_kind_is_by_the_name_and_then_by_the_status(void **state)
{
    (void)state;
    const struct {
        int status;
        const char *name;
        enum fault_kind kind;
    } cases[] = {
        {400, "ThrottlingException", FAULT_THROTTLED},
        {400, "ProvisionedThroughputExceededException", FAULT_THROTTLED},
        {429, "TooManyRequestsException", FAULT_THROTTLED},
        {429, "Whatever", FAULT_THROTTLED},
        {400, "TransactionInProgressException", FAULT_TRANSIENT},
        {500, "Whatever", FAULT_TRANSIENT},
        {502, "Whatever", FAULT_TRANSIENT},
        {503, "Whatever", FAULT_TRANSIENT},
        {504, "Whatever", FAULT_TRANSIENT},
        {501, "Whatever", FAULT_FINAL},
        {400, "Whatever", FAULT_FINAL},
        {400, "ConditionalCheckFailedException", FAULT_FINAL},
        {403, "ExpiredTokenException", FAULT_EXPIRED},
        {403, "InvalidClientTokenId", FAULT_KEY},
        {400, "UnrecognizedClientException", FAULT_KEY},
        {403, "SignatureDoesNotMatch", FAULT_KEY},
        {403, "RequestTimeTooSkewed", FAULT_SKEWED},
        {400, "AccessDeniedException", FAULT_DENIED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[128];
        snprintf(body, sizeof body, "{\"__type\":\"%s\"}", cases[i].name);
        assert_int_equal(fault_of(cases[i].status, NULL, body).kind, cases[i].kind);
    }
}

static void a_document_that_would_grow_is_not_let_to(void **state)
{
    (void)state;
    struct fault fault = fault_of(
        400, NULL,
        "<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">"
        "<!ENTITY c \"&b;&b;&b;&b;\"><!ENTITY e SYSTEM \"file:///etc/passwd\">]>"
        "<ErrorResponse><Code>C</Code><Message>&e;</Message></ErrorResponse>");
    assert_string_equal(fault.name, "C");
    assert_null(strstr(fault.message, "root"));
}

static const struct fault_place place = {
    .service = "sqs",
    .region = "eu-west-1",
    .region_from = "AWS_REGION",
    .url = "https://sqs.eu-west-1.amazonaws.com/",
    .endpoint_from = "the region",
    .access_key_id = "AKID",
    .credentials_place = "profile shop",
};

static void the_sentence_names_what_to_change(void **state)
{
    (void)state;
    const struct {
        const char *body, *parts[3];
    } cases[] = {
        {"{\"__type\":\"AccessDenied\",\"message\":\"User x is not authorized.\"}",
         {"User x is not authorized; ", "AKID (from profile shop)", "IAM policy"}},
        {"{\"__type\":\"SignatureDoesNotMatch\",\"message\":\"m\"}",
         {"secret key", "AKID (from profile shop)", "https://sqs.eu-west-1.amazonaws.com/"}},
        {"{\"__type\":\"SignatureDoesNotMatch\",\"message\":\"Credential should be scoped to a "
         "valid region, not 'eu-west-1'.\"}",
         {"region eu-west-1 (from AWS_REGION)", "(from the region)", "valid region"}},
        {"{\"__type\":\"UnrecognizedClientException\",\"message\":\"m\"}",
         {"AKID (from profile shop)", "not known", "deleted"}},
        {"{\"__type\":\"ExpiredTokenException\",\"message\":\"m\"}",
         {"AKID (from profile shop)", "over", "set new credentials"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fault fault = fault_of(400, NULL, cases[i].body);
        fault_advise(&fault, &place);
        for (size_t k = 0; k < 3; k++)
            aws_rig_contains(fault.message, cases[i].parts[k]);
    }
    struct fault fault =
        fault_of(400, NULL, "{\"__type\":\"QueueDoesNotExist\",\"message\":\"m\"}");
    fault_advise(&fault, &place);
    assert_string_equal(fault.message, "m");
}

static void names_and_messages_of_any_length_fit(void **state)
{
    (void)state;
    static char body[16384];
    char long_text[6000];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    snprintf(body, sizeof body, "{\"__type\":\"%s\",\"message\":\"%s\"}", long_text, long_text);
    struct fault fault = fault_of(400, NULL, body);
    fault.kind = FAULT_DENIED;
    fault_advise(&fault, &place);
    assert_int_equal(strlen(fault.name), FAULT_NAME_BYTES - 1);
    assert_int_equal(strlen(fault.message), FAULT_MESSAGE_BYTES - 1);
}

static void dates_of_http_are_read(void **state)
{
    (void)state;
    assert_int_equal(fault_date_s("Sun, 30 Aug 2015 12:36:00 GMT"), 1440938160);
    assert_int_equal(fault_date_s("Thu, 01 Jan 1970 00:00:01 GMT"), 1);
    assert_int_equal(fault_date_s("Thu, 29 Feb 2024 23:59:59 GMT"), 1709251199);
    const char *bad[] = {NULL,         "",
                         "yesterday",  "Sun, 30 Xxx 2015 12:36:00 GMT",
                         "1440938160", "Sun, 30 anF 2015 12:36:00 GMT"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(fault_date_s(bad[i]), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_name_is_found_wherever_the_protocol_has_it),
        cmocka_unit_test(the_kind_is_by_the_name_and_then_by_the_status),
        cmocka_unit_test(a_document_that_would_grow_is_not_let_to),
        cmocka_unit_test(the_sentence_names_what_to_change),
        cmocka_unit_test(names_and_messages_of_any_length_fit),
        cmocka_unit_test(dates_of_http_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
