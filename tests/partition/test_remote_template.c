#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/partition/remote_rig.h"
#include "tests/partition/scripted.h"

/* What a definition makes for services that are elsewhere, and of what they answer. The test is the
 * worker; definitions and payloads are written with ' for ". Sagas start with {'x':'y'}. */

#define TASK(name, resource, rest) "'" name "':{'Type':'Task','Resource':'" resource "'," rest "}"
#define SAGA(states)               "{'StartAt':'A','States':{" states "}}"

static const char made[] =
    SAGA(TASK("A", "service:far.a",
              "'Retry':[{'ErrorEquals':['Far.No'],'IntervalSeconds':1}],'End':true,'Parameters':{"
              "'is.$':'$.x','key.$':'$$.Task.IdempotencyKey','try.$':'$$.State.RetryCount','of.$':"
              "'States.Format(\\u0027{}/{}\\u0027, $$.StateMachine.Name, $$.State.Name)'}"));
static const char plain[] = SAGA(TASK("A", "service:far.a", "'End':true"));
static const char failing[] =
    SAGA(TASK("A", "service:far.a", "'Parameters':{'is.$':'$.z'},'End':true"));
static const char caught[] = SAGA(
    TASK("A", "service:far.a",
         "'Parameters':{'is.$':'$.z'},'Next':'B','Retry':[{'ErrorEquals':['States."
         "ParameterPathFailure'],'IntervalSeconds':1,'MaxAttempts':1}],'Catch':[{"
         "'ErrorEquals':['States.ALL'],'Next':'B'}]") "," TASK("B", "service:far.b", "'End':true"));
static const char selected[] =
    SAGA(TASK("A", "service:far.a",
              "'ResultSelector':{'id.$':'$.order.id','by.$':'$$.State.Name'},'ResultPath':'$.r',"
              "'Compensate':{'Resource':'service:far.undo','Parameters':{'was.$':'$.output.id',"
              "'in.$':'$.input.x','key.$':'$$.Task.IdempotencyKey'}},"
              "'Next':'B'") "," TASK("B", "service:far.b", "'End':true"));
static const char by_token[] =
    SAGA(TASK("A", "service:far.a.waitForTaskToken",
              "'Parameters':{'token.$':'$$.Task.Token'},'ResultSelector':{'id.$':'$.id'},"
              "'Next':'B'") "," TASK("B", "service:far.b", "'End':true"));
static const char function[] =
    SAGA(TASK("A", "arn:aws:lambda:r:1:function:price",
              "'Parameters':{'is.$':'$.x'},'ResultPath':null,'Compensate':{'Resource':"
              "'arn:aws:lambda:r:1:function:unprice'},'Next':'B'") "," TASK("B",
                                                                            "arn:aws:lambda:r:1:"
                                                                            "function:ship",
                                                                            "'End':true"));
static const char not_undone[] =
    SAGA(TASK("A", "service:far.a",
              "'Compensate':{'Resource':'service:far.undo','Parameters':{'was.$':"
              "'$.output.gone'},'Retry':[{'ErrorEquals':['States.ALL'],'IntervalSeconds':1,"
              "'MaxAttempts':1}]},'Next':'B'") "," TASK("B", "service:far.b", "'End':true"));
static const char forgotten[] =
    SAGA(TASK("A", "service:far.a",
              "'FireAndForget':true,'Parameters':{'is.$':'$.x','of.$':'$$.State.Name'},"
              "'Next':'B'") "," TASK("B", "service:far.b", "'End':true"));
static const char of_plug_in[] = SAGA(TASK("A", "service:plain.p", "'InputPath':'$.x','End':true"));
static const char undone_by_plug_in[] =
    SAGA(TASK("A", "service:plain.p",
              "'Compensate':{'Resource':'service:plain.q','Parameters':{}},'End':true"));

static const char *quoted(const char *text)
{
    static char quotes[2048];
    size_t count = strlen(text);
    assert_true(count < sizeof quotes);
    for (size_t i = 0; i <= count; i++)
        quotes[i] = text[i] == '\'' ? '"' : text[i];
    return quotes;
}

static void open_remote(struct rig *rig, const char *definition)
{
    struct partition_options options = remote_rig_options(rig);
    rig_open(rig, &options, quoted(definition));
}

static void assert_nothing_waits(struct rig *rig, const char *name)
{
    struct remote_invocation call;
    uint32_t lane = remote_rig_lane(rig, name);
    rig_turns(rig, 10);
    assert_false(remote_take(rig->partition, lane, &call));
    assert_int_equal(remote_waiting(rig->partition, lane), 0);
    rig_turns(rig, 10);
}

static void done_with(struct rig *rig, const char *lane, const struct remote_invocation *call,
                      const char *output)
{
    assert_int_equal(remote_rig_done(rig, lane, call, output), STATUS_OK);
}

static void refuse(struct rig *rig, const char *lane, const struct remote_invocation *call)
{
    assert_int_equal(remote_rig_failed(rig, lane, call, true), STATUS_OK);
}

static void assert_input(const struct remote_invocation *call, const char *wanted)
{
    char text[512];
    value_print(call->input, text, sizeof text);
    assert_string_equal(text, quoted(wanted));
}

/* {order: {id: 7}} and {id: 7}. */
static const char an_order[] = "\x81\xa5order\x81\xa2id\x07";
static const char an_id[] = "\x81\xa2id\x07";

/* ---- what is handed out ------------------------------------------------------------------------
 */

static void a_handler_gets_what_its_parameters_make(void **state)
{
    struct rig *rig = *state;
    open_remote(rig, made);
    rig_start(rig, rig->plan, "x", "y");
    struct remote_invocation call = remote_rig_take(rig, "far.a");
    assert_true(call.is_made);
    assert_input(&call, "{'is':'y','key':'1-1','try':0,'of':'test/A'}");
    refuse(rig, "far.a", &call);
    rig_settle(rig);
    rig_now_ms += 1000;
    remote_set_key_id(rig->partition, "e1");
    call = remote_rig_take(rig, "far.a");
    assert_input(&call, "{'is':'y','key':'e1-1-1','try':1,'of':'test/A'}");
    done_with(rig, "far.a", &call, an_id);
    rig_settle(rig);
    assert_int_equal(rig_totals(rig).succeeded, 1);
    rig_assert_replay_agrees(rig);
}

static void without_parameters_it_gets_the_input_where_it_lies(void **state)
{
    struct rig *rig = *state;
    open_remote(rig, plain);
    rig_start(rig, rig->plan, "x", "y");
    struct remote_invocation call = remote_rig_take(rig, "far.a");
    assert_false(call.is_made);
    assert_input(&call, "{'x':'y'}");
}

static void what_was_out_at_a_crash_is_made_again(void **state)
{
    struct rig *rig = *state;
    open_remote(rig, made);
    rig_start(rig, rig->plan, "x", "y");
    remote_rig_take(rig, "far.a");
    rig_turn(rig);
    rig_crash(rig);
    open_remote(rig, made);
    struct remote_invocation call = remote_rig_take(rig, "far.a");
    assert_input(&call, "{'is':'y','key':'1-1','try':0,'of':'test/A'}");
    remote_rig_give_back(rig, "far.a", &call);
    call = remote_rig_take(rig, "far.a");
    assert_input(&call, "{'is':'y','key':'1-1','try':0,'of':'test/A'}");
}

static void a_function_gets_its_arn_and_a_payload(void **state)
{
    struct rig *rig = *state;
    open_remote(rig, function);
    rig_start(rig, rig->plan, "x", "y");
    struct remote_invocation call = remote_rig_take(rig, "aws-lambda.function");
    assert_input(&call,
                 "{'FunctionName':'arn:aws:lambda:r:1:function:price','Payload':{'is':'y'}}");
    assert_int_equal(remote_rig_done(rig, "aws-lambda.function", &call, an_id), STATUS_OK);
    call = remote_rig_take(rig, "aws-lambda.function");
    assert_input(&call, "{'FunctionName':'arn:aws:lambda:r:1:function:ship','Payload':{'x':'y'}}");
    refuse(rig, "aws-lambda.function", &call);
    call = remote_rig_take(rig, "aws-lambda.function");
    assert_int_equal(call.phase, FLYOVER_COMPENSATION);
    assert_input(&call, "{'FunctionName':'arn:aws:lambda:r:1:function:unprice','Payload':{'input':"
                        "{'x':'y'},'output':{'id':7}}}");
}

static void a_template_that_fails_fails_the_step(void **state)
{
    struct rig *rig = *state;
    open_remote(rig, failing);
    for (int i = 0; i < 5; i++)
        rig_start(rig, rig->plan, "x", "y");
    rig_start(rig, rig->plan, "z", "y");
    struct remote_invocation call = remote_rig_take(rig, "far.a");
    assert_int_equal(call.saga_id, 6);
    rig_turns(rig, 10);
    assert_int_equal(rig_totals(rig).failed, 5);
    rig_assert_error(rig, "States.ParameterPathFailure");
    done_with(rig, "far.a", &call, an_id);
    rig_start(rig, rig->plan, "x", "y");
    assert_nothing_waits(rig, "far.a");
    assert_int_equal(rig_totals(rig).failed, 6);
    rig_assert_replay_agrees(rig);
}

static void retry_and_catch_are_for_templates_too(void **state)
{
    struct rig *rig = *state;
    open_remote(rig, caught);
    rig_start(rig, rig->plan, "x", "y");
    assert_nothing_waits(rig, "far.a");
    assert_int_equal(rig_totals(rig).retries, 1);
    rig_now_ms += 1000;
    assert_nothing_waits(rig, "far.a");
    struct remote_invocation call = remote_rig_take(rig, "far.b");
    assert_input(&call, "{'Error':'States.ParameterPathFailure','Cause':'$.z: this path leads "
                        "nowhere'}");
}

static void a_step_that_fails_waits_for_room_in_the_journal(void **state)
{
    struct rig *rig = *state;
    struct partition_options options = remote_rig_options(rig);
    options.limits = (struct core_limits){.sagas_max = 4096, .payload_bytes_max = 64u << 20};
    options.block_bytes = 512;
    rig_open(rig, &options, quoted(failing));
    rig_start(rig, rig->plan, "x", "y");
    rig_turns(rig, 10);
    uint32_t lane = remote_rig_lane(rig, "far.a");
    struct remote_invocation call;
    rig_held[PARTITION_JOURNAL] = true;
    int started = 0;
    while (rig_try_start(rig, rig->plan, "x", "y") == STATUS_OK && started++ < 4000)
        rig_turn(rig);
    assert_in_range(started, 1, 3999);
    assert_false(remote_take(rig->partition, lane, &call));
    assert_int_equal(rig_totals(rig).failed, 0);
    assert_int_equal(remote_waiting(rig->partition, lane), 1);
    rig_held[PARTITION_JOURNAL] = false;
    rig_turns(rig, 50);
    assert_false(remote_take(rig->partition, lane, &call));
    assert_true(rig_totals(rig).failed >= 1);
}

static void a_compensation_whose_template_fails_gets_stuck(void **state)
{
    struct rig *rig = *state;
    open_remote(rig, not_undone);
    rig_start(rig, rig->plan, "x", "y");
    struct remote_invocation call = remote_rig_take(rig, "far.a");
    done_with(rig, "far.a", &call, an_id);
    call = remote_rig_take(rig, "far.b");
    refuse(rig, "far.b", &call);
    assert_nothing_waits(rig, "far.undo");
    assert_int_equal(rig_totals(rig).stuck, 0);
    rig_now_ms += 1000;
    assert_nothing_waits(rig, "far.undo");
    assert_int_equal(rig_totals(rig).stuck, 1);
    rig_assert_replay_agrees(rig);
}

static void a_step_that_nobody_waits_for_has_parameters_too(void **state)
{
    struct rig *rig = *state;
    open_remote(rig, forgotten);
    rig_start(rig, rig->plan, "x", "y");
    struct remote_invocation call = remote_rig_take(rig, "far.a");
    assert_input(&call, "{'is':'y','of':'A'}");
    done_with(rig, "far.a", &call, an_id);
    call = remote_rig_take(rig, "far.b");
    assert_input(&call, "{'x':'y'}");
}

/* ---- what comes back ---------------------------------------------------------------------------
 */

static void a_selector_makes_the_result_before_it_is_journalled(void **state)
{
    struct rig *rig = *state;
    open_remote(rig, selected);
    rig_start(rig, rig->plan, "x", "y");
    struct remote_invocation call = remote_rig_take(rig, "far.a");
    assert_false(call.is_made);
    done_with(rig, "far.a", &call, an_order);
    call = remote_rig_take(rig, "far.b");
    assert_input(&call, "{'x':'y','r':{'id':7,'by':'A'}}");
    refuse(rig, "far.b", &call);
    call = remote_rig_take(rig, "far.undo");
    assert_true(call.is_made);
    assert_input(&call, "{'was':7,'in':'y','key':'1-1-c'}");
    done_with(rig, "far.undo", &call, an_id);
    rig_settle(rig);
    assert_int_equal(rig_totals(rig).compensated, 1);
    rig_assert_replay_agrees(rig);
}

static void a_selector_that_fails_fails_the_step(void **state)
{
    struct rig *rig = *state;
    open_remote(rig, selected);
    rig_start(rig, rig->plan, "x", "y");
    struct remote_invocation call = remote_rig_take(rig, "far.a");
    done_with(rig, "far.a", &call, an_id);
    rig_settle(rig);
    rig_start(rig, rig->plan, "x", "y");
    call = remote_rig_take(rig, "far.a");
    assert_int_equal(remote_rig_done(rig, "far.a", &call, NULL), STATUS_OK);
    rig_settle(rig);
    assert_int_equal(rig_totals(rig).failed, 2);
    rig_assert_error(rig, "States.ParameterPathFailure");
    rig_assert_replay_agrees(rig);
}

static void an_answer_by_token_is_selected_from_and_the_beginning_is_not(void **state)
{
    struct rig *rig = *state;
    open_remote(rig, by_token);
    struct problem problem = {0};
    for (int i = 0; i < 2; i++) {
        rig_start(rig, rig->plan, "x", "y");
        struct remote_invocation call = remote_rig_take(rig, "far.a");
        char token[FLYOVER_TOKEN_BYTES], wanted[128];
        memcpy(token, call.token, sizeof token);
        snprintf(wanted, sizeof wanted, "{'token':'%s'}", token);
        assert_input(&call, wanted);
        done_with(rig, "far.a", &call, an_order);
        rig_turns(rig, 10);
        assert_int_equal(rig_totals(rig).failed, 0);
        if (partition_answer(rig->partition, token, rig_text(i == 0 ? an_id : an_order),
                             &problem) != STATUS_OK)
            fail_msg("%s", problem.text);
        rig_turns(rig, 10);
    }
    struct remote_invocation call = remote_rig_take(rig, "far.b");
    assert_input(&call, "{'id':7}");
    assert_int_equal(rig_totals(rig).failed, 1);
    rig_assert_error(rig, "States.ParameterPathFailure");
    rig_assert_replay_agrees(rig);
}

/* ---- who cannot --------------------------------------------------------------------------------
 */

static void plug_ins_are_not_asked_by_templates(void **state)
{
    struct rig *rig = *state;
    static const char *const definitions[] = {of_plug_in, undone_by_plug_in};
    static const char *const places[] = {"other: /States/A: ", "other: /States/A/Compensate: "};
    open_remote(rig, plain);
    for (size_t i = 0; i < 2; i++) {
        struct problem problem = {0};
        uint32_t plan;
        const char *text = quoted(definitions[i]);
        assert_int_equal(
            partition_define(rig->partition, "other", "other", text, strlen(text), &plan, &problem),
            STATUS_UNSUPPORTED);
        assert_int_equal(strncmp(problem.text, places[i], strlen(places[i])), 0);
        assert_non_null(strstr(problem.text, "service 'plain' is a plug-in"));
    }
}

static void a_plug_in_that_comes_later_stops_the_start(void **state)
{
    struct rig *rig = *state;
    struct partition_options options = remote_rig_options(rig);
    options.built_in_count = 0;
    rig_open(rig, &options, quoted(of_plug_in));
    rig_stop(rig, NULL);
    options = remote_rig_options(rig);
    struct problem problem = {0};
    assert_int_equal(partition_open(&options, &rig->partition, &problem), STATUS_UNSUPPORTED);
    assert_non_null(strstr(problem.text, "test: /States/A: InputPath, Parameters and "
                                         "ResultSelector are for services outside"));
    rig->partition = NULL;
}

static void an_engine_of_plug_ins_alone_says_what_edges_need(void **state)
{
    struct rig *rig = *state;
    static const char *const resources[] = {"arn:aws:states:::sqs:sendMessage", "service:sql.pay"};
    struct partition_options options = remote_rig_options(rig);
    options.remote = false;
    rig_open(rig, &options, NULL);
    for (size_t i = 0; i < 2; i++) {
        struct problem problem = {0};
        uint32_t plan;
        char text[256];
        snprintf(text, sizeof text, SAGA(TASK("A", "%s", "'End':true")), resources[i]);
        assert_int_equal(partition_define(rig->partition, "other", "other", quoted(text),
                                          strlen(text), &plan, &problem),
                         STATUS_NOT_FOUND);
        assert_non_null(strstr(problem.text, "started by `flyover serve --edges FILE`"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_handler_gets_what_its_parameters_make),
        RIG_TEST(without_parameters_it_gets_the_input_where_it_lies),
        RIG_TEST(what_was_out_at_a_crash_is_made_again),
        RIG_TEST(a_function_gets_its_arn_and_a_payload),
        RIG_TEST(a_template_that_fails_fails_the_step),
        RIG_TEST(retry_and_catch_are_for_templates_too),
        RIG_TEST(a_step_that_fails_waits_for_room_in_the_journal),
        RIG_TEST(a_compensation_whose_template_fails_gets_stuck),
        RIG_TEST(a_step_that_nobody_waits_for_has_parameters_too),
        RIG_TEST(a_selector_makes_the_result_before_it_is_journalled),
        RIG_TEST(a_selector_that_fails_fails_the_step),
        RIG_TEST(an_answer_by_token_is_selected_from_and_the_beginning_is_not),
        RIG_TEST(plug_ins_are_not_asked_by_templates),
        RIG_TEST(a_plug_in_that_comes_later_stops_the_start),
        RIG_TEST(an_engine_of_plug_ins_alone_says_what_edges_need),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
