#include "tests/saga/core_rig.h"

#include <stdio.h>

/* Deadlines of attempts and of whole sagas, heartbeats, Wait states, and starts that are put off.
 */

/* The clock, and nothing that is due. */
static void pass_ms(struct rig *rig, int64_t ms)
{
    rig->now_ms += ms;
}

static void assert_due_in(const struct rig *rig, struct effect effect, int64_t ms)
{
    assert_int_equal(rig_due_ms(rig, effect), rig->now_ms + ms);
}

static void start_at(struct rig *rig, uint32_t plan, const char *input, int64_t at_ms)
{
    struct event event = {
        .kind = EVENT_START,
        .start = {
            .plan = plan, .source = EVENT_NO_SOURCE, .input = rig_value(input), .at_ms = at_ms}};
    assert_int_equal(rig_apply(rig, &event), STATUS_OK);
}

/* ---- a step ----------------------------------------------------------------------------------
 */

static void a_step_out_of_time_is_tried_again_and_then_fails_the_saga(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, STATES(UNDONE("A", "a", "'Next':'B'"),
                                        UNDONE("B", "b",
                                               "'TimeoutSeconds':10,'Retry':[" RETRY(
                                                   "'States.Timeout'", 1, "") "],'End':true")));
    rig_start(rig, plan, rig_value("{}"));
    struct effect a = rig_invoke(rig, "a");
    assert_int_equal(rig_call(rig, a).deadline_ms, 0);
    rig_result(rig, a, "1");
    struct effect first = rig_invoke(rig, "b");
    assert_due_in(rig, first, 10000);
    assert_int_equal(rig_call(rig, first).deadline_ms, rig->now_ms + 10000);
    pass_ms(rig, 9999);
    rig_assert_not_due(rig, first.branch);
    assert_true(rig_timer(rig, first));
    struct effect pause = rig_sleep(rig, 1000);
    assert_false(rig_result(rig, first, "'late'"));
    assert_false(rig_error(rig, first, "Late", true));
    rig_timer(rig, pause);
    struct effect second = rig_invoke(rig, "b");
    assert_due_in(rig, second, 10000);
    assert_int_equal(rig_call(rig, second).attempt_no, 2);
    assert_false(rig_result(rig, first, "'late'"));
    rig_timer(rig, second);
    /* It is not known to have been done: it has failed, and is not compensated. */
    struct effect undo = rig_invoke(rig, "undo_a");
    rig_assert_error(rig, undo,
                     "{'Error':'States.Timeout','Cause':'the attempt took longer than its "
                     "TimeoutSeconds'}");
    assert_false(rig_result(rig, second, "'late'"));
    rig_result(rig, undo, NULL);
    rig_reply(rig, OUTCOME_COMPENSATED);
    assert_false(rig_result(rig, second, "'late'"));
    rig_nothing(rig);
    assert_int_equal(core_totals(rig->core).timeouts, 2);
    assert_int_equal(rig_errors_count(rig, "States.Timeout"), 1);
    rig_assert_empty(rig);
}

static void a_step_that_answers_in_time_has_no_deadline_any_more(void **state)
{
    struct rig *rig = *state;
    rig_start(rig,
              rig_add(rig, STATES(TASK("A", "a", "'TimeoutSeconds':10,'Next':'B'"),
                                  TASK("B", "b", "'End':true"))),
              rig_value("{}"));
    struct effect a = rig_invoke(rig, "a");
    rig_result(rig, a, NULL);
    struct effect b = rig_invoke(rig, "b");
    assert_int_equal(rig_due_ms(rig, b), -1);
    pass_ms(rig, 20000);
    rig_assert_not_due(rig, b.branch);
    rig_result(rig, b, NULL);
    rig_reply(rig, OUTCOME_SUCCEEDED);
    assert_int_equal(core_totals(rig->core).timeouts, 0);
}

static void a_step_out_of_time_goes_where_catch_says(void **state)
{
    struct rig *rig = *state;
    uint32_t plan =
        rig_add(rig, STATES(TASK("A", "a",
                                 "'TimeoutSeconds':2,'Catch':[{'ErrorEquals':['States.Timeout'],"
                                 "'ResultPath':'$.e','Next':'B'}],'End':true"),
                            TASK("B", "b", "'End':true")));
    rig_start(rig, plan, rig_value("{'n':1}"));
    rig_timer(rig, rig_invoke(rig, "a"));
    struct effect b = rig_invoke(rig, "b");
    rig_assert_value(rig_call(rig, b).input,
                     "{'n':1,'e':{'Error':'States.Timeout','Cause':'the attempt took longer than "
                     "its TimeoutSeconds'}}");
    rig_result(rig, b, NULL);
    rig_reply(rig, OUTCOME_SUCCEEDED);
    rig_assert_empty(rig);
}

static void a_compensation_out_of_time_is_tried_again_and_then_parks_the_saga(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(
        rig,
        STATES(UNDONE_BY("A", "a", ",'TimeoutSeconds':5,'Retry':[" RETRY("'States.ALL'", 1, "") "]",
                         "'TimeoutSeconds':99,'Next':'F'"),
               FAIL("F", "Own")));
    rig_start(rig, plan, rig_value("{}"));
    rig_result(rig, rig_invoke(rig, "a"), "1");
    struct effect first = rig_invoke(rig, "undo_a");
    assert_due_in(rig, first, 5000);
    assert_int_equal(rig_call(rig, first).deadline_ms, rig->now_ms + 5000);
    pass_ms(rig, 4999);
    rig_assert_not_due(rig, first.branch);
    rig_timer(rig, first);
    rig_timer(rig, rig_sleep(rig, 1000));
    struct effect second = rig_invoke(rig, "undo_a");
    assert_due_in(rig, second, 5000);
    assert_false(rig_result(rig, first, NULL));
    rig_timer(rig, second);
    rig_reply(rig, OUTCOME_STUCK);
    assert_false(rig_result(rig, second, NULL));
    pass_ms(rig, 100000);
    rig_assert_not_due(rig, second.branch);
    assert_int_equal(core_totals(rig->core).timeouts, 2);
}

static void a_detached_step_out_of_time_is_tried_again_and_given_up(void **state)
{
    struct rig *rig = *state;
    uint32_t plan =
        rig_add(rig, STATES(TASK("A", "f",
                                 "'FireAndForget':true,'TimeoutSeconds':4,"
                                 "'Retry':[" RETRY("'States.Timeout'", 1, "") "],'End':true")));
    rig_start(rig, plan, rig_value("{}"));
    struct effect first = rig_invoke(rig, "f");
    rig_reply(rig, OUTCOME_SUCCEEDED);
    assert_due_in(rig, first, 4000);
    pass_ms(rig, 3999);
    rig_assert_not_due(rig, first.branch);
    rig_timer(rig, first);
    rig_timer(rig, rig_sleep(rig, 1000));
    struct effect second = rig_invoke(rig, "f");
    assert_due_in(rig, second, 4000);
    rig_timer(rig, second);
    rig_nothing(rig);
    assert_false(rig_result(rig, second, NULL));
    struct core_totals totals = core_totals(rig->core);
    assert_true(totals.detached_failed == 1 && totals.timeouts == 2 && totals.ended == 1);
    rig_assert_empty(rig);
}

/* ---- heartbeats ------------------------------------------------------------------------------
 */

static const char beating[] =
    STATES(TOKEN("A", "a",
                 "'HeartbeatSeconds':3,'TimeoutSeconds':10,"
                 "'Catch':[{'ErrorEquals':['States.HeartbeatTimeout'],'ResultPath':'$.silent',"
                 "'Next':'B'},{'ErrorEquals':['States.Timeout'],'ResultPath':'$.late','Next':'B'}],"
                 "'Next':'B'"),
           TASK("B", "b", "'End':true"));

static void a_heartbeat_puts_off_the_deadline_but_not_beyond_the_timeout(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, beating), rig_value("{}"));
    struct effect a = rig_invoke(rig, "a");
    struct core_invocation call = rig_call(rig, a);
    assert_due_in(rig, a, 10000);
    assert_false(rig_heartbeat(rig, call));
    pass_ms(rig, 1000);
    rig_result(rig, a, "'begun'");
    struct effect timer = rig_sleep(rig, 3000);
    for (int beat = 0; beat < 3; beat++) {
        pass_ms(rig, 2500);
        assert_true(rig_heartbeat(rig, call));
        assert_due_in(rig, timer, beat == 2 ? 1500 : 3000);
    }
    pass_ms(rig, 1499);
    rig_assert_not_due(rig, timer.branch);
    rig_timer(rig, timer);
    struct effect b = rig_invoke(rig, "b");
    rig_assert_value(rig_call(rig, b).input,
                     "{'late':{'Error':'States.Timeout','Cause':'the attempt took longer than its "
                     "TimeoutSeconds'}}");
    assert_false(rig_heartbeat(rig, call));
    assert_false(rig_answer(rig, call, "1"));
}

static void without_a_heartbeat_the_attempt_is_out_of_time(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, beating), rig_value("{}"));
    struct effect a = rig_invoke(rig, "a");
    struct core_invocation call = rig_call(rig, a);
    rig_result(rig, a, NULL);
    struct effect timer = rig_sleep(rig, 3000);
    pass_ms(rig, 2999);
    rig_assert_not_due(rig, timer.branch);
    rig_timer(rig, timer);
    struct effect b = rig_invoke(rig, "b");
    rig_assert_value(rig_call(rig, b).input,
                     "{'silent':{'Error':'States.HeartbeatTimeout','Cause':'no heartbeat came "
                     "within HeartbeatSeconds'}}");
    assert_false(rig_answer(rig, call, "1"));
    assert_int_equal(core_totals(rig->core).timeouts, 1);
}

/* In the hands of a worker: from the first heartbeat on they are waited for. */
static void a_handler_that_sends_heartbeats_has_to_go_on_sending_them(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, beating), rig_value("{}"));
    struct effect a = rig_invoke(rig, "a");
    struct event beat = {.kind = EVENT_HEARTBEAT, .heartbeat = {a.branch}};
    assert_int_equal(core_heartbeat_ms(rig->core, a.branch), 3000);
    assert_false(core_beats(rig->core, a.branch));
    pass_ms(rig, 1000);
    assert_int_equal(rig_apply(rig, &beat), STATUS_OK);
    assert_true(core_beats(rig->core, a.branch));
    assert_due_in(rig, a, 3000);
    /* What the worker is told stays what it is. */
    assert_int_equal(rig_call(rig, a).deadline_ms, rig_due_ms(rig, a) + 6000);
    pass_ms(rig, 2500);
    assert_int_equal(rig_apply(rig, &beat), STATUS_OK);
    pass_ms(rig, 2500);
    assert_int_equal(rig_apply(rig, &beat), STATUS_OK);
    pass_ms(rig, 2900);
    rig_assert_not_due(rig, a.branch);
    pass_ms(rig, 100);
    rig_timer(rig, a);
    struct effect b = rig_invoke(rig, "b");
    rig_assert_value(rig_call(rig, b).input,
                     "{'silent':{'Error':'States.HeartbeatTimeout','Cause':'no heartbeat came "
                     "within HeartbeatSeconds'}}");
}

/* As at AWS: States.Timeout is the name of both. */
static void a_missing_heartbeat_is_a_timeout(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, STATES(TOKEN("A", "a",
                                              "'HeartbeatSeconds':3,'Retry':[" RETRY(
                                                  "'States.Timeout'", 1, "") "],'End':true")));
    rig_start(rig, plan, rig_value("{}"));
    struct core_invocation call = {0};
    for (int attempt = 1; attempt <= 2; attempt++) {
        struct effect a = rig_invoke(rig, "a");
        struct core_invocation next = rig_call(rig, a);
        assert_int_equal(next.attempt_no, attempt);
        assert_int_equal(next.deadline_ms, 0);
        if (attempt == 2) {
            assert_false(rig_answer(rig, call, "1"));
            rig_result(rig, a, NULL);
            assert_false(rig_answer(rig, call, "1"));
            assert_true(rig_answer(rig, next, "2"));
            break;
        }
        call = next;
        rig_result(rig, a, NULL);
        rig_timer(rig, rig_sleep(rig, 3000));
        rig_timer(rig, rig_sleep(rig, 1000));
    }
    rig_sleep_for_ever(rig);
    rig_reply(rig, OUTCOME_SUCCEEDED);
    rig_assert_empty(rig);
}

static void a_heartbeat_where_none_is_asked_for_changes_nothing(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, STATES(TOKEN("A", "a", "'TimeoutSeconds':9,'End':true"))),
              rig_value("{}"));
    struct effect a = rig_invoke(rig, "a");
    struct core_invocation call = rig_call(rig, a);
    struct event event = {.kind = EVENT_HEARTBEAT, .heartbeat = {a.branch}};
    rig_assert_ignored(rig, event);
    pass_ms(rig, 4000);
    rig_result(rig, a, NULL);
    /* The time of a step that a handler begins and a token ends runs from its beginning. */
    rig_sleep(rig, 5000);
    rig_assert_ignored(rig, event);
    event.heartbeat.branch = 9;
    rig_assert_ignored(rig, event);
    assert_true(rig_answer(rig, call, NULL));
    rig_reply(rig, OUTCOME_SUCCEEDED);
}

static void a_signal_that_does_not_come_in_time_is_an_error_like_another(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(
        rig, STATES(SIGNAL("A", "paid",
                           "'TimeoutSeconds':6,'Retry':[" RETRY(
                               "'States.Timeout'", 1,
                               "") "],'Catch':[{'ErrorEquals':['States.ALL'],'ResultPath':'$.e',"
                                   "'Next':'B'}],'Next':'B'"),
                    TASK("B", "b", "'End':true")));
    for (int late = 0; late < 2; late++) {
        rig_start(rig, plan, rig_value("{}"));
        struct effect timer = rig_sleep(rig, 6000);
        pass_ms(rig, 5999);
        rig_assert_not_due(rig, timer.branch);
        rig_timer(rig, timer);
        rig_timer(rig, rig_sleep(rig, 1000));
        timer = rig_sleep(rig, 6000);
        if (late)
            rig_timer(rig, timer);
        else
            assert_int_equal(rig_signal(rig, rig->saga_id, "paid", "5"), STATUS_OK);
        struct effect b = rig_invoke(rig, "b");
        rig_assert_value(rig_call(rig, b).input,
                         late ? "{'e':{'Error':'States.Timeout','Cause':'the attempt took longer "
                                "than its TimeoutSeconds'}}"
                              : "5");
        rig_result(rig, b, NULL);
        rig_reply(rig, OUTCOME_SUCCEEDED);
    }
    rig_assert_empty(rig);
}

/* A signal that comes in the pause between two attempts is there for the next one. */
static void a_signal_in_the_pause_answers_the_next_attempt(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, STATES(SIGNAL("A", "paid",
                                               "'TimeoutSeconds':6,'Retry':[" RETRY(
                                                   "'States.Timeout'", 1, "") "],'End':true")));
    rig_start(rig, plan, rig_value("{}"));
    rig_timer(rig, rig_sleep(rig, 6000));
    struct effect pause = rig_sleep(rig, 1000);
    assert_int_equal(rig_signal(rig, rig->saga_id, "paid", "5"), STATUS_OK);
    rig_nothing(rig);
    rig_timer(rig, pause);
    rig_sleep_for_ever(rig);
    rig_reply(rig, OUTCOME_SUCCEEDED);
    rig_assert_empty(rig);
}

/* ---- Wait ------------------------------------------------------------------------------------
 */

static void each_form_of_a_wait_waits_to_the_millisecond(void **state)
{
    static const struct {
        const char *field;
        int64_t wait_ms; /* the clock stands at 00:16:40 */
    } cases[] = {
        {"'Seconds':7", 7000},
        {"'Seconds':0", 0},
        {"'SecondsPath':'$.s'", 2500},
        {"'Timestamp':'1970-01-01T00:20:00Z'", 200000},
        {"'Timestamp':'1970-01-01T00:10:00Z'", 0},
        {"'TimestampPath':'$.t'", 200250},
    };
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int last = 0; last < 2; last++) {
            char text[500];
            snprintf(
                text, sizeof text,
                last ? STATES(STATE("Wait", "A", "%s,'End':true"))
                     : STATES(STATE("Wait", "A", "%s,'Next':'B'"), TASK("B", "b", "'End':true")),
                cases[i].field);
            rig->now_ms = 1000000;
            rig_start(rig, rig_add(rig, text),
                      rig_value("{'s':2.5,'t':'1970-01-01T01:20:00.25+01:00'}"));
            struct effect timer = rig_sleep(rig, cases[i].wait_ms);
            rig_nothing(rig);
            if (cases[i].wait_ms > 0) {
                pass_ms(rig, cases[i].wait_ms - 1);
                rig_assert_not_due(rig, timer.branch);
            }
            assert_true(rig_timer(rig, timer));
            assert_int_equal(rig->now_ms, 1000000 + cases[i].wait_ms);
            if (!last) {
                struct effect b = rig_invoke(rig, "b");
                rig_assert_value(rig_call(rig, b).input,
                                 "{'s':2.5,'t':'1970-01-01T01:20:00.25+01:00'}");
                assert_int_equal(rig_call(rig, b).step_no, 1);
                rig_result(rig, b, NULL);
            }
            rig_reply(rig, OUTCOME_SUCCEEDED);
            assert_false(rig_timer(rig, timer));
            rig_assert_empty(rig);
        }
    }
}

static void a_wait_that_finds_no_time_fails_the_saga(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, STATES(UNDONE("A", "a", "'ResultPath':null,'Next':'W'"),
                                        STATE("Wait", "W", "'SecondsPath':'$.s','End':true")));
    rig_start(rig, plan, rig_value("{'s':'soon'}"));
    rig_result(rig, rig_invoke(rig, "a"), "1");
    struct effect undo = rig_invoke(rig, "undo_a");
    rig_assert_error(rig, undo,
                     "{'Error':'States.Runtime','Cause':'SecondsPath leads to no number of 0 or "
                     "more'}");
    rig_result(rig, undo, NULL);
    rig_reply(rig, OUTCOME_COMPENSATED);
    rig_assert_empty(rig);
}

/* ---- a start that is put off -----------------------------------------------------------------
 */

static void a_start_that_is_put_off_begins_when_its_time_has_come(void **state)
{
    struct rig *rig = *state;
    uint32_t task = rig_add(rig, SAGA("'TimeoutSeconds':60,", TASK("A", "a", "'End':true")));
    uint32_t wait = rig_add(
        rig, STATES(STATE("Wait", "A", "'Seconds':7,'Next':'B'"), TASK("B", "b", "'End':true")));
    start_at(rig, task, "{'n':1}", rig->now_ms + 5000);
    struct effect timer = rig_sleep(rig, 5000);
    rig_nothing(rig);
    assert_int_equal(core_deadline_ms(rig->core, timer.saga), -1);
    pass_ms(rig, 4999);
    rig_assert_not_due(rig, timer.branch);
    rig_restart(rig);
    rig_timer(rig, timer);
    rig_asks_for_deadline(rig, 60000);
    struct effect a = rig_invoke(rig, "a");
    rig_assert_value(rig_call(rig, a).input, "{'n':1}");
    rig_result(rig, a, NULL);
    rig_reply_to_nobody(rig, OUTCOME_SUCCEEDED);

    start_at(rig, wait, "{}", rig->now_ms + 3000);
    rig_timer(rig, rig_sleep(rig, 3000));
    rig_timer(rig, rig_sleep(rig, 7000));
    rig_result(rig, rig_invoke(rig, "b"), NULL);
    rig_reply(rig, OUTCOME_SUCCEEDED);
    rig_assert_empty(rig);
}

static void a_start_put_off_to_a_time_that_has_passed_begins_at_once(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, STATES(TASK("A", "a", "'End':true")));
    for (int64_t before_ms = 0; before_ms < 2; before_ms++) {
        start_at(rig, plan, "{}", rig->now_ms - before_ms);
        rig_result(rig, rig_invoke(rig, "a"), NULL);
        rig_reply(rig, OUTCOME_SUCCEEDED);
    }
    rig_assert_empty(rig);
}

static void a_start_that_is_put_off_can_be_cancelled_before_it_begins(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, STATES(UNDONE("A", "a", "'End':true")));
    for (int abort = 0; abort < 2; abort++) {
        start_at(rig, plan, "{}", rig->now_ms + 5000);
        struct effect timer = rig_sleep(rig, 5000);
        assert_int_equal(abort ? rig_abort(rig, rig->saga_id) : rig_cancel(rig, rig->saga_id),
                         STATUS_OK);
        rig_reply(rig, abort ? OUTCOME_ABORTED : OUTCOME_FAILED);
        assert_false(rig_timer(rig, timer));
        rig_nothing(rig);
    }
    rig_assert_empty(rig);
}

/* ---- a whole saga ----------------------------------------------------------------------------
 */

#define LATE "{'Error':'States.Timeout','Cause':'the saga took longer than its TimeoutSeconds'}"

/* Undoes b, where it was done, and a; the saga is over then. */
static void assert_undone(struct rig *rig, bool b_was_done)
{
    if (b_was_done)
        rig_result(rig, rig_invoke(rig, "undo_b"), NULL);
    struct effect undo = rig_invoke(rig, "undo_a");
    rig_assert_error(rig, undo, LATE);
    assert_false(rig_deadline(rig, undo.id));
    rig_result(rig, undo, NULL);
    rig_reply(rig, OUTCOME_COMPENSATED);
    rig_nothing(rig);
    rig_assert_empty(rig);
}

static void begin_limited(struct rig *rig, uint32_t plan)
{
    rig_start(rig, plan, rig_value("{}"));
    rig_asks_for_deadline(rig, 60000);
    rig_result(rig, rig_invoke(rig, "a"), "1");
}

#define LIMITED(...) SAGA("'TimeoutSeconds':60,", UNDONE("A", "a", "'Next':'B'"), __VA_ARGS__)

static void a_saga_out_of_time_waits_for_the_answer_to_its_step(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(
        rig, LIMITED(UNDONE("B", "b",
                            "'Retry':[" RETRY("'X'", 9, "") "],'Catch':[{'ErrorEquals':['X'],"
                                                            "'Next':'C'}],'Next':'C'"),
                     TASK("C", "c", "'End':true")));
    for (int done = 0; done < 2; done++) {
        begin_limited(rig, plan);
        struct effect b = rig_invoke(rig, "b");
        assert_true(rig_deadline(rig, b.id));
        rig_nothing(rig);
        assert_int_equal(rig_phase(rig, b.branch), PHASE_WAITING);
        assert_int_equal(rig_cancel(rig, b.id), STATUS_EXISTS);
        assert_false(rig_deadline(rig, b.id));
        if (done)
            rig_result(rig, b, "2");
        else
            rig_error(rig, b, "X", true);
        assert_undone(rig, done);
    }
    assert_int_equal(rig_errors_count(rig, "States.Timeout"), 2);
    assert_int_equal(core_totals(rig->core).timeouts, 2);
}

static void a_saga_out_of_time_stops_where_nobody_works_on_it(void **state)
{
    struct rig *rig = *state;
    uint32_t sleeping = rig_add(rig, LIMITED(STATE("Wait", "B", "'Seconds':100,'End':true")));
    uint32_t awaiting = rig_add(rig, LIMITED(SIGNAL("B", "go", "'End':true")));
    uint32_t pausing =
        rig_add(rig, LIMITED(UNDONE("B", "b", "'Retry':[" RETRY("'X'", 9, "") "],'End':true")));
    uint32_t by_token = rig_add(rig, LIMITED(TOKEN("B", "b", "'End':true")));
    begin_limited(rig, sleeping);
    rig_sleep(rig, 100000);
    assert_true(rig_deadline(rig, rig->saga_id));
    assert_undone(rig, false);
    begin_limited(rig, awaiting);
    rig_sleep_for_ever(rig);
    assert_true(rig_deadline(rig, rig->saga_id));
    assert_undone(rig, false);
    begin_limited(rig, pausing);
    rig_error(rig, rig_invoke(rig, "b"), "X", true);
    rig_sleep(rig, 1000);
    assert_true(rig_deadline(rig, rig->saga_id));
    assert_undone(rig, false);
    begin_limited(rig, by_token);
    struct effect b = rig_invoke(rig, "b");
    struct core_invocation call = rig_call(rig, b);
    rig_result(rig, b, NULL);
    rig_sleep_for_ever(rig);
    assert_true(rig_deadline(rig, rig->saga_id));
    assert_false(rig_answer(rig, call, "1"));
    assert_undone(rig, false);
}

static void a_saga_that_compensates_or_is_past_its_pivot_has_no_deadline(void **state)
{
    struct rig *rig = *state;
    begin_limited(rig, rig_add(rig, LIMITED(TASK("B", "b", "'End':true"))));
    rig_error(rig, rig_invoke(rig, "b"), "No", false);
    struct effect undo = rig_invoke(rig, "undo_a");
    pass_ms(rig, 100000);
    assert_false(rig_deadline(rig, undo.id));
    rig_result(rig, undo, NULL);
    rig_reply(rig, OUTCOME_COMPENSATED);

    begin_limited(rig, rig_add(rig, LIMITED(TASK("B", "b", "'Pivot':true,'Next':'C'"),
                                            TASK("C", "c", "'End':true"))));
    struct effect b = rig_invoke(rig, "b");
    assert_true(core_deadline_ms(rig->core, b.saga) > 0);
    rig_result(rig, b, NULL);
    struct effect c = rig_invoke(rig, "c");
    pass_ms(rig, 100000);
    assert_false(rig_deadline(rig, c.id));
    rig_result(rig, c, NULL);
    rig_reply(rig, OUTCOME_SUCCEEDED);
    rig_assert_empty(rig);
}

static void a_saga_that_has_succeeded_has_no_deadline_though_a_step_runs_on(void **state)
{
    struct rig *rig = *state;
    rig_start(rig,
              rig_add(rig, SAGA("'TimeoutSeconds':60,",
                                TASK("A", "f", "'FireAndForget':true,'End':true"))),
              rig_value("{}"));
    assert_int_equal(effect_queue_count(&rig->effects), 3);
    rig->effects.head++;
    struct effect f = rig_invoke(rig, "f");
    rig_reply(rig, OUTCOME_SUCCEEDED);
    assert_false(rig_deadline(rig, f.id));
    rig_result(rig, f, NULL);
    rig_assert_empty(rig);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_step_out_of_time_is_tried_again_and_then_fails_the_saga),
        TEST(a_step_that_answers_in_time_has_no_deadline_any_more),
        TEST(a_step_out_of_time_goes_where_catch_says),
        TEST(a_compensation_out_of_time_is_tried_again_and_then_parks_the_saga),
        TEST(a_detached_step_out_of_time_is_tried_again_and_given_up),
        TEST(a_heartbeat_puts_off_the_deadline_but_not_beyond_the_timeout),
        TEST(without_a_heartbeat_the_attempt_is_out_of_time),
        TEST(a_handler_that_sends_heartbeats_has_to_go_on_sending_them),
        TEST(a_missing_heartbeat_is_a_timeout),
        TEST(a_heartbeat_where_none_is_asked_for_changes_nothing),
        TEST(a_signal_that_does_not_come_in_time_is_an_error_like_another),
        TEST(a_signal_in_the_pause_answers_the_next_attempt),
        TEST(each_form_of_a_wait_waits_to_the_millisecond),
        TEST(a_wait_that_finds_no_time_fails_the_saga),
        TEST(a_start_that_is_put_off_begins_when_its_time_has_come),
        TEST(a_start_put_off_to_a_time_that_has_passed_begins_at_once),
        TEST(a_start_that_is_put_off_can_be_cancelled_before_it_begins),
        TEST(a_saga_out_of_time_waits_for_the_answer_to_its_step),
        TEST(a_saga_out_of_time_stops_where_nobody_works_on_it),
        TEST(a_saga_that_compensates_or_is_past_its_pivot_has_no_deadline),
        TEST(a_saga_that_has_succeeded_has_no_deadline_though_a_step_runs_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
