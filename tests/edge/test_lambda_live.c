/* Lambda's Invoke API as serverless-offline has it, behind a proxy that makes faults. */
#include "tests/edge/live.h"

#include <stdio.h>
#include <string.h>

#define ARN "arn:aws:lambda:" RIG_REGION ":" RIG_ACCOUNT ":function:"

enum { FUNCTION, INVOKE };

static int start(void **state)
{
    (void)state;
    if (rig_is_missing(RIG_LAMBDA))
        return 0;
    live_start_lambda(LAMBDA_FUNCTIONS);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    live_open(&edge_lambda, "{\"timeout_seconds\": 60, \"function_in_flight_max\": 4}");
    return 0;
}

static void a_function_is_called_by_arn_and_by_name(void **state)
{
    (void)state;
    live_skip_where_missing();
    assert_done(
        live_run(FUNCTION, "{\"FunctionName\":\"" ARN "echo\",\"Payload\":{\"a\":[1,\"b\"]}}"),
        "{\"a\":[1,\"b\"]}");
    assert_done(live_run(INVOKE, "{\"FunctionName\":\"echo\",\"Payload\":{\"a\":null}}"),
                "{\"StatusCode\":200,\"Payload\":{\"a\":null}}");
    assert_done(live_run(FUNCTION, "{\"FunctionName\":\"echo\"}"), "{}");
    struct fake_call *fake = live_run(FUNCTION, "{\"FunctionName\":\"nothing\"}");
    assert_true(fake->is_done);
    assert_true(fake->output == NULL || json_is_null(fake->output));
}

static void a_function_hears_the_key_of_its_step(void **state)
{
    (void)state;
    live_skip_where_missing();
    struct fake_call *fake = live_run(FUNCTION, "{\"FunctionName\":\"context\"}");
    char expected[128];
    snprintf(expected, sizeof expected, "{\"custom\":{\"flyover_key\":\"%s\"}}", fake->call.key);
    assert_done(fake, expected);
}

static void an_event_is_only_handed_over(void **state)
{
    (void)state;
    live_skip_where_missing();
    assert_done(
        live_run(INVOKE, "{\"FunctionName\":\"echo\",\"InvocationType\":\"Event\",\"Payload\":{}}"),
        "{\"StatusCode\":202}");
}

static void what_a_function_raises_fails_the_step(void **state)
{
    (void)state;
    live_skip_where_missing();
    struct fake_call *fake = live_run(FUNCTION, "{\"FunctionName\":\"refuse\"}");
    assert_failed(fake, true, "Error");
    assert_non_null(strstr(fake->cause, "\"errorMessage\":\"no money\""));
}

static void a_function_that_is_not_there_is_named(void **state)
{
    (void)state;
    live_skip_where_missing();
    struct fake_call *fake = live_run(FUNCTION, "{\"FunctionName\":\"" ARN "never\"}");
    assert_failed(fake, false, "Lambda.ResourceNotFoundException");
    assert_non_null(strstr(fake->cause, ARN "never"));
}

static void an_answer_of_six_megabytes_is_refused(void **state)
{
    (void)state;
    live_skip_where_missing();
    struct fake_call *fake =
        live_run(FUNCTION, "{\"FunctionName\":\"large\",\"Payload\":{\"bytes\":6000000}}");
    assert_failed(fake, false, "States.DataLimitExceeded");
}

/* A lost answer does not make the function run again, until the definition says so. */
static void a_lost_answer_is_told_and_not_asked_for_again(void **state)
{
    (void)state;
    live_skip_where_missing();
    static const char *const input = "{\"FunctionName\":\"count\"}";
    static const char *const faults[] = {"reset_after", "half"};
    for (uint32_t i = 0; i < 2; i++) {
        char line[128], expected[128];
        snprintf(line, sizeof line, "{\"next\": [{\"fault\": \"%s\"}]}", faults[i]);
        live_tell(line);
        struct fake_call *lost = live_run(FUNCTION, input);
        assert_failed(lost, true, "Lambda.SdkClientException");
        assert_non_null(strstr(lost->cause, "it may have been done"));
        struct fake_call *again = live_run_again(lost);
        snprintf(expected, sizeof expected, "{\"key\":\"%s\",\"times\":2}", lost->call.key);
        assert_done(again, expected);
    }
}

static void throttling_is_waited_out_or_told(void **state)
{
    (void)state;
    live_skip_where_missing();
    live_tell("{\"next\": [{\"fault\": \"throttle\"}]}");
    struct fake_call *fake = live_run(FUNCTION, "{\"FunctionName\":\"count\"}");
    char expected[128];
    snprintf(expected, sizeof expected, "{\"key\":\"%s\",\"times\":1}", fake->call.key);
    assert_done(fake, expected);
    live_tell("{\"rates\": {\"throttle\": 1}}");
    assert_failed(live_run(FUNCTION, "{\"FunctionName\":\"count\"}"), true,
                  "Lambda.TooManyRequestsException");
}

static void a_slow_function_does_not_hold_up_a_quick_one(void **state)
{
    (void)state;
    live_skip_where_missing();
    struct fake_call *slow[10];
    for (uint32_t i = 0; i < 10; i++)
        slow[i] = live_begin(FUNCTION, "{\"FunctionName\":\"hold\",\"Payload\":7}");
    live_begin(FUNCTION, "{\"FunctionName\":\"echo\",\"Payload\":1}");
    live_turn_until(10); /* and it is the quick one that ended */
    for (uint32_t i = 0; i < 10; i++)
        assert_false(slow[i]->is_done || slow[i]->is_failed);
    static const uint32_t released[] = {4, 4, 2}; /* function_in_flight_max at once */
    for (uint32_t i = 0, left = 10; i < 3; i++) {
        char input[128], expected[16];
        snprintf(input, sizeof input, "{\"FunctionName\":\"release\",\"Payload\":{\"count\":%u}}",
                 released[i]);
        snprintf(expected, sizeof expected, "%u", released[i]);
        left -= released[i];
        struct fake_call *release = live_begin(FUNCTION, input);
        live_turn_until(left);
        assert_done(release, expected);
    }
    for (uint32_t i = 0; i < 10; i++)
        assert_done(slow[i], "7");
}

static void a_server_that_is_down_is_told(void **state)
{
    (void)state;
    live_skip_where_missing();
    live_tell("{\"down\": true}");
    struct fake_call *fake = live_run(FUNCTION, "{\"FunctionName\":\"echo\"}");
    assert_failed(fake, true, "Lambda.SdkClientException");
    live_tell("{\"down\": false}");
    assert_done(live_run(FUNCTION, "{\"FunctionName\":\"echo\",\"Payload\":1}"), "1");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, live_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_function_is_called_by_arn_and_by_name),
        TEST(a_function_hears_the_key_of_its_step),
        TEST(an_event_is_only_handed_over),
        TEST(what_a_function_raises_fails_the_step),
        TEST(a_function_that_is_not_there_is_named),
        TEST(an_answer_of_six_megabytes_is_refused),
        TEST(a_lost_answer_is_told_and_not_asked_for_again),
        TEST(throttling_is_waited_out_or_told),
        TEST(a_slow_function_does_not_hold_up_a_quick_one),
        TEST(a_server_that_is_down_is_told),
    };
    return cmocka_run_group_tests(tests, start, live_stop);
}
