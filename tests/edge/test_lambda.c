#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/edge/fake_aws.h"

#define ARN "arn:aws:lambda:eu-west-3:123456789012:function:pay"

enum { FUNCTION, INVOKE };

static int set_up(void **state)
{
    (void)state;
    fake_open(&edge_lambda, "{}");
    return 0;
}

static struct fake_call *call(uint32_t handler, const char *input)
{
    return fake_give(fake_call_make(handler, "engine-7-3", input));
}

static void an_arn_is_asked_in_its_region_with_the_payload(void **state)
{
    (void)state;
    struct fake_call *fake =
        call(FUNCTION, "{\"FunctionName\": \"" ARN "\", \"Payload\": {\"a\": 1}}");
    const struct fake_request *request = fake_request(0);
    assert_string_equal(request->service, "lambda");
    assert_string_equal(request->region, "eu-west-3");
    assert_string_equal(request->path,
                        "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-3%3A123456789012%3A"
                        "function%3Apay/invocations");
    assert_json(request->body, "{\"a\": 1}");
    assert_non_null(strstr(request->headers, "X-Amz-Invocation-Type: RequestResponse\n"));
    fake_answer(0, 200, NULL, "{\"paid\": true}");
    assert_true(fake->is_done);
    assert_json(fake->output, "{\"paid\": true}");
}

static void a_number_is_sent_as_short_as_it_is(void **state)
{
    (void)state;
    call(FUNCTION, "{\"FunctionName\": \"pay\", \"Payload\": {\"price\": 9.99}}");
    assert_string_equal(fake_request(0)->body_text, "{\"price\":9.99}");
    fake_answer(0, 200, NULL, "null");
}

static void a_name_is_asked_in_the_configured_region(void **state)
{
    (void)state;
    call(INVOKE,
         "{\"FunctionName\": \"pay/x\", \"Qualifier\": \"$LATEST\", \"LogType\": \"Tail\"}");
    const struct fake_request *request = fake_request(0);
    assert_string_equal(request->region, "");
    assert_string_equal(request->path,
                        "/2015-03-31/functions/pay%2Fx/invocations?Qualifier=%24LATEST");
    assert_non_null(strstr(request->headers, "X-Amz-Log-Type: Tail\n"));
    assert_string_equal(request->body_text, "{}");
    fake_answer(0, 200, NULL, "null");
}

static void invoke_gives_status_version_and_payload(void **state)
{
    (void)state;
    struct fake_call *fake = call(INVOKE, "{\"FunctionName\": \"pay\", \"Payload\": 5}");
    static const char *const headers[] = {"x-amz-executed-version: 12", NULL};
    fake_answer(0, 200, headers, "\"text\"");
    assert_json(fake->output,
                "{\"StatusCode\": 200, \"ExecutedVersion\": \"12\", \"Payload\": \"text\"}");
}

static void an_event_has_no_payload_to_answer(void **state)
{
    (void)state;
    struct fake_call *fake =
        call(INVOKE, "{\"FunctionName\": \"pay\", \"InvocationType\": \"Event\", \"Payload\": {}}");
    assert_non_null(strstr(fake_request(0)->headers, "X-Amz-Invocation-Type: Event\n"));
    fake_answer(0, 202, NULL, "");
    assert_json(fake->output, "{\"StatusCode\": 202}");
}

static void an_empty_answer_of_a_function_is_null(void **state)
{
    (void)state;
    struct fake_call *fake = call(FUNCTION, "{\"FunctionName\": \"pay\"}");
    fake_answer(0, 200, NULL, "");
    assert_true(fake->is_done);
    assert_null(fake->output);
}

static void the_key_is_in_the_client_context(void **state)
{
    (void)state;
    struct fake_call *fake =
        fake_call_make(FUNCTION, "engine-7-3-c", "{\"FunctionName\": \"pay\"}");
    strcpy(fake->call.trace, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    fake_give(fake);
    /* {"custom":{"flyover_key":"engine-7-3-c","traceparent":"00-4bf9...-01"}} */
    assert_non_null(strstr(fake_request(0)->headers,
                           "X-Amz-Client-Context: eyJjdXN0b20iOnsiZmx5b3Zlcl9rZXkiOiJlbmdpbmUtNy0z"
                           "LWMiLCJ0cmFjZXBhcmVudCI6IjAwLTRiZjkyZjM1NzdiMzRkYTZhM2NlOTI5ZDBlMGU0NzM"
                           "2LTAwZjA2N2FhMGJhOTAyYjctMDEifX0=\n"));
    fake_answer(0, 200, NULL, "null");
}

static void a_client_context_of_the_definition_is_sent_as_it_is(void **state)
{
    (void)state;
    call(INVOKE, "{\"FunctionName\": \"pay\", \"ClientContext\": \"e30=\"}");
    assert_non_null(strstr(fake_request(0)->headers, "X-Amz-Client-Context: e30=\n"));
    fake_answer(0, 200, NULL, "null");
}

static void what_a_function_raises_is_an_error_of_that_name(void **state)
{
    (void)state;
    static const char *const headers[] = {"X-Amz-Function-Error: Unhandled", NULL};
    static const char *const body = "{\"errorType\":\"CardRefused\",\"errorMessage\":\"no money\"}";
    struct fake_call *fake = call(FUNCTION, "{\"FunctionName\": \"pay\"}");
    fake_answer(0, 200, headers, body);
    assert_failed(fake, true, "CardRefused");
    assert_string_equal(fake->cause, body);
}

static void an_error_without_a_type_is_unknown(void **state)
{
    (void)state;
    static const char *const headers[] = {"x-amz-function-error: Unhandled", NULL};
    struct fake_call *fake = call(FUNCTION, "{\"FunctionName\": \"pay\"}");
    fake_answer(0, 200, headers, "{\"errorMessage\":\"2026 Task timed out after 3.00 seconds\"}");
    assert_failed(fake, true, "Lambda.Unknown");
    assert_non_null(strstr(fake->cause, "Task timed out after 3.00 seconds"));

    fake = call(FUNCTION, "{\"FunctionName\": \"pay\"}");
    fake_answer(1, 200, headers, "");
    assert_failed(fake, true, "Lambda.Unknown");
}

static void errors_of_the_service_have_the_names_of_step_functions(void **state)
{
    (void)state;
    static const char *const throttled[] = {"X-Amzn-ErrorType: TooManyRequestsException", NULL};
    struct fake_call *fake = call(FUNCTION, "{\"FunctionName\": \"pay\"}");
    fake_answer(0, 429, throttled, "{\"message\": \"Rate Exceeded.\"}");
    assert_failed(fake, true, "Lambda.TooManyRequestsException");
    assert_string_equal(fake->cause, "pay: Rate Exceeded. (HTTP 429)");

    static const char *const missing[] = {"X-Amzn-ErrorType: ResourceNotFoundException", NULL};
    fake = call(FUNCTION, "{\"FunctionName\": \"pay\"}");
    fake_answer(1, 404, missing, "{\"message\": \"Function not found: pay\"}");
    assert_failed(fake, false, "Lambda.ResourceNotFoundException");
    assert_non_null(strstr(fake->cause, "check the function's name, region and account"));

    static const char *const denied[] = {"X-Amzn-ErrorType: AccessDeniedException", NULL};
    fake = call(FUNCTION, "{\"FunctionName\": \"pay\"}");
    fake_answer(2, 403, denied, "{\"message\": \"not authorized\"}");
    assert_failed(fake, false, "Lambda.AWSLambdaException");
    assert_string_equal(fake->cause, "pay: not authorized (HTTP 403, AccessDeniedException)");

    fake = call(FUNCTION, "{\"FunctionName\": \"pay\"}");
    fake_answer(3, 502, NULL, "<html>");
    assert_failed(fake, true, "Lambda.AWSLambdaException");
}

static void a_request_is_sent_once_and_a_lost_answer_is_said(void **state)
{
    (void)state;
    struct fake_call *fake = call(FUNCTION, "{\"FunctionName\": \"pay\"}");
    assert_true(fake_request(0)->once);
    fake_end(0, HTTP_LOST, "the connection broke");
    assert_failed(fake, true, "Lambda.SdkClientException");
    assert_string_equal(fake->cause, "pay: the connection broke; it may have been done");

    fake = call(FUNCTION, "{\"FunctionName\": \"pay\"}");
    fake_end(1, HTTP_NOT_SENT, "nobody listens");
    assert_failed(fake, true, "Lambda.SdkClientException");
    assert_string_equal(fake->cause, "pay: nobody listens");
}

static void times_are_told_apart(void **state)
{
    (void)state;
    struct fake_call *fake = call(FUNCTION, "{\"FunctionName\": \"pay\"}");
    assert_int_equal(fake_request(0)->timeout_ms, 900000);
    fake_end(0, HTTP_TIMED_OUT, "no answer in 900 s");
    assert_failed(fake, true, "Lambda.ClientExecutionTimeoutException");

    fake = call(FUNCTION, "{\"FunctionName\": \"pay\"}");
    fake->call.deadline_ms = 1; /* 1970 */
    fake_end(1, HTTP_TIMED_OUT, "no answer");
    assert_failed(fake, true, "States.Timeout");
}

static void a_step_without_time_is_not_sent(void **state)
{
    (void)state;
    struct fake_call *fake = fake_call_make(FUNCTION, "k", "{\"FunctionName\": \"pay\"}");
    fake->call.deadline_ms = 1;
    fake_give(fake);
    assert_failed(fake, true, "States.Timeout");
    assert_int_equal(fake_requests_count(), 0);
}

static void an_answer_that_is_too_large_or_no_json_fails_the_step(void **state)
{
    (void)state;
    struct fake_call *fake = call(FUNCTION, "{\"FunctionName\": \"pay\"}");
    fake_end(0, HTTP_TOO_LARGE, "");
    assert_failed(fake, false, "States.DataLimitExceeded");
    fake = call(FUNCTION, "{\"FunctionName\": \"pay\"}");
    fake_answer(1, 200, NULL, "{\"a\": ");
    assert_failed(fake, false, "Flyover.BadOutput");
}

static void a_wrong_parameter_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *input, *sentence;
    } cases[] = {
        {"{}", "Parameters.FunctionName: is missing"},
        {"{\"FunctionName\": 5}", "Parameters.FunctionName: has to be a text"},
        {"{\"FunctionName\": \"a\\nb\"}", "Parameters.FunctionName: has to be of printable ASCII"},
        {"{\"FunctionName\": \"a\", \"Body\": 1}", "Parameters.Body: Invoke has"},
        {"{\"FunctionName\": \"a\", \"InvocationType\": \"Later\"}",
         "Parameters.InvocationType: has to be RequestResponse"},
        {"{\"FunctionName\": \"a\", \"LogType\": \"Head\"}", "Parameters.LogType: has to be None"},
        {"7", "Parameters.FunctionName: is missing"},
    };
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fake_call *fake = call(INVOKE, cases[i].input);
        assert_failed(fake, false, "Lambda.InvalidParameterValueException");
        assert_non_null(strstr(fake->cause, cases[i].sentence));
    }
    assert_int_equal(fake_requests_count(), 0);
}

static void one_slow_function_leaves_room_for_others(void **state)
{
    (void)state;
    fake_open(&edge_lambda, "{\"function_in_flight_max\": 2}");
    struct fake_call *slow[4];
    for (uint32_t i = 0; i < 4; i++)
        slow[i] = call(FUNCTION, "{\"FunctionName\": \"slow\"}");
    struct fake_call *quick = call(FUNCTION, "{\"FunctionName\": \"quick\"}");
    assert_int_equal(fake_requests_count(), 3); /* two of slow, and quick */
    fake_answer(2, 200, NULL, "1");
    assert_true(quick->is_done);
    fake_answer(0, 200, NULL, "1");
    assert_int_equal(fake_requests_count(), 4);
    fake_answer(3, 200, NULL, "3");
    assert_true(slow[2]->is_done); /* in order */
    assert_false(slow[3]->is_done);
    fake_answer(1, 200, NULL, "2");
    fake_answer(4, 200, NULL, "4");
    assert_true(slow[3]->is_done);
}

static void more_than_may_wait_of_one_function_are_refused_as_throttled(void **state)
{
    (void)state;
    fake_open(&edge_lambda, "{\"function_in_flight_max\": 1, \"function_waiting_max\": 1}");
    struct fake_call *fakes[3];
    for (uint32_t i = 0; i < 3; i++)
        fakes[i] = call(FUNCTION, "{\"FunctionName\": \"slow\"}");
    assert_failed(fakes[2], true, "Lambda.TooManyRequestsException");
    fake_answer(0, 200, NULL, "1");
    fake_answer(1, 200, NULL, "1");
    assert_true(fakes[0]->is_done && fakes[1]->is_done);
}

static void what_waits_past_its_time_is_answered(void **state)
{
    (void)state;
    fake_open(&edge_lambda, "{\"function_in_flight_max\": 1}");
    call(FUNCTION, "{\"FunctionName\": \"slow\"}");
    struct fake_call *late = call(FUNCTION, "{\"FunctionName\": \"slow\"}");
    struct fake_call *other = call(FUNCTION, "{\"FunctionName\": \"slow\"}");
    late->call.deadline_ms = 1;
    assert_true(fake_turn() > 0);
    assert_failed(late, true, "States.Timeout");
    assert_false(other->is_failed);
    fake_answer(0, 200, NULL, "1");
    fake_answer(1, 200, NULL, "1");
    assert_true(other->is_done);
    assert_int_equal(fake_turn(), -1);
}

static void where_there_is_no_room_for_a_request_it_waits(void **state)
{
    (void)state;
    fake_send_says(STATUS_BUSY);
    struct fake_call *fake = call(FUNCTION, "{\"FunctionName\": \"pay\"}");
    assert_false(fake->is_failed);
    assert_true(fake_turn() > 0);
    fake_send_says(STATUS_OK);
    assert_int_equal(fake_turn(), -1);
    fake_answer(0, 200, NULL, "1");
    assert_true(fake->is_done);
}

static void what_is_cancelled_by_the_end_is_not_answered(void **state)
{
    (void)state;
    struct fake_call *fake = call(FUNCTION, "{\"FunctionName\": \"pay\"}");
    fake_end(0, HTTP_CANCELLED, "");
    assert_false(fake->is_done || fake->is_failed);
}

static void a_wrong_setting_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *config, *sentence;
    } cases[] = {
        {"[]", "lambda: a section is a mapping"},
        {"{\"timeout\": 1}", "lambda.timeout: there is no such field; known: timeout_seconds"},
        {"{\"timeout_seconds\": 0}", "lambda.timeout_seconds: has to be a whole number from 1 to"},
        {"{\"function_in_flight_max\": \"8\"}", "lambda.function_in_flight_max: has to be"},
        {"{\"function_waiting_max\": -1}", "lambda.function_waiting_max: has to be"},
    };
    struct edge_context context = fake_context();
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        fake_assert_refuses(&edge_lambda, &context, cases[i].config, cases[i].sentence);
    context.aws = NULL;
    fake_assert_refuses(&edge_lambda, &context, NULL, "lambda: needs the section `aws`");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, fake_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_arn_is_asked_in_its_region_with_the_payload),
        TEST(a_number_is_sent_as_short_as_it_is),
        TEST(a_name_is_asked_in_the_configured_region),
        TEST(invoke_gives_status_version_and_payload),
        TEST(an_event_has_no_payload_to_answer),
        TEST(an_empty_answer_of_a_function_is_null),
        TEST(the_key_is_in_the_client_context),
        TEST(a_client_context_of_the_definition_is_sent_as_it_is),
        TEST(what_a_function_raises_is_an_error_of_that_name),
        TEST(an_error_without_a_type_is_unknown),
        TEST(errors_of_the_service_have_the_names_of_step_functions),
        TEST(a_request_is_sent_once_and_a_lost_answer_is_said),
        TEST(times_are_told_apart),
        TEST(a_step_without_time_is_not_sent),
        TEST(an_answer_that_is_too_large_or_no_json_fails_the_step),
        TEST(a_wrong_parameter_is_named),
        TEST(one_slow_function_leaves_room_for_others),
        TEST(more_than_may_wait_of_one_function_are_refused_as_throttled),
        TEST(what_waits_past_its_time_is_answered),
        TEST(where_there_is_no_room_for_a_request_it_waits),
        TEST(what_is_cancelled_by_the_end_is_not_answered),
        TEST(a_wrong_setting_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
