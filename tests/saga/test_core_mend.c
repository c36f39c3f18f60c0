#include "tests/saga/core_rig.h"

#include <stdio.h>
#include <string.h>

/* Compensations that fail for good: mended by hand, or going on where their Catch says. */

static const char three[] = STATES(UNDONE("A", "a", "'Next':'B'"), UNDONE("B", "b", "'Next':'C'"),
                                   UNDONE("C", "c", "'Next':'F'"), FAIL("F", "Own"));

static struct effect undo_of(struct rig *rig, uint32_t plan)
{
    rig_start(rig, plan, rig_value("0"));
    rig_result(rig, rig_invoke(rig, "a"), "1");
    rig_result(rig, rig_invoke(rig, "b"), "2");
    rig_result(rig, rig_invoke(rig, "c"), "3");
    return rig_invoke(rig, "undo_c");
}

static enum phase only_phase(const struct rig *rig, uint64_t saga_id)
{
    uint32_t at = CORE_NO_SAGA;
    assert_true(core_next_branch(rig->core, core_find_saga(rig->core, saga_id), &at));
    return rig_phase(rig, at);
}

/* ---- by hand ---------------------------------------------------------------------------------
 */

static void a_retry_tries_the_compensation_with_all_its_retries_anew(void **state)
{
    struct rig *rig = *state;
    struct effect undo = undo_of(rig, rig_add(rig, three));
    uint64_t id = undo.id;
    for (int turn = 0; turn < 2; turn++) {
        for (int attempt = 1; attempt <= 3; attempt++) {
            struct core_invocation call = rig_call(rig, undo);
            assert_true(call.step_no == 3 && call.attempt_no == (uint32_t)attempt);
            rig_assert_value(call.output, "3");
            rig_error(rig, undo, "Busy", true);
            if (attempt == 3)
                break;
            rig_timer(rig, rig_sleep(rig, 5000 * attempt));
            undo = rig_invoke(rig, "undo_c");
        }
        if (turn == 0)
            rig_reply(rig, OUTCOME_STUCK);
        else
            rig_reply_to_nobody(rig, OUTCOME_STUCK);
        assert_int_equal(only_phase(rig, id), PHASE_STUCK);
        rig_restart(rig);
        assert_false(rig_result(rig, undo, NULL));
        assert_int_equal(rig_mend(rig, id, MEND_RETRY, NULL), STATUS_OK);
        undo = rig_invoke(rig, "undo_c");
    }
    assert_int_equal(rig_mend(rig, id, MEND_RETRY, NULL), STATUS_INVALID);
    rig_result(rig, undo, NULL);
    rig_result(rig, rig_invoke(rig, "undo_b"), NULL);
    rig_result(rig, rig_invoke(rig, "undo_a"), NULL);
    rig_reply_to_nobody(rig, OUTCOME_COMPENSATED);
    struct core_totals totals = core_totals(rig->core);
    assert_true(totals.mended == 2 && totals.stuck == 0 && totals.compensated == 1);
    assert_int_equal(rig_errors_count(rig, "Own"), 1);
    rig_assert_empty(rig);
}

static void a_compensation_that_is_skipped_counts_as_done(void **state)
{
    struct rig *rig = *state;
    struct effect undo = undo_of(rig, rig_add(rig, three));
    rig_error(rig, undo, "No", false);
    rig_reply(rig, OUTCOME_STUCK);
    assert_int_equal(rig_mend(rig, undo.id, MEND_SKIP, "'no use'"), STATUS_OK);
    undo = rig_invoke(rig, "undo_b");
    rig_assert_value(rig_call(rig, undo).output, "2");
    rig_error(rig, undo, "No", false);
    rig_reply_to_nobody(rig, OUTCOME_STUCK);
    assert_int_equal(rig_mend(rig, undo.id, MEND_SKIP, NULL), STATUS_OK);
    rig_result(rig, rig_invoke(rig, "undo_a"), NULL);
    rig_reply_to_nobody(rig, OUTCOME_COMPENSATED);
    rig_assert_empty(rig);
}

static void a_saga_that_is_resolved_undoes_nothing_more(void **state)
{
    struct rig *rig = *state;
    struct effect undo = undo_of(rig, rig_add(rig, three));
    rig_error(rig, undo, "No", false);
    rig_reply(rig, OUTCOME_STUCK);
    assert_int_equal(rig_mend(rig, undo.id, MEND_RESOLVE, NULL), STATUS_OK);
    rig_reply_to_nobody(rig, OUTCOME_COMPENSATED);
    rig_nothing(rig);
    rig_assert_empty(rig);
}

static void a_saga_that_is_not_stuck_cannot_be_mended(void **state)
{
    struct rig *rig = *state;
    struct effect undo = undo_of(rig, rig_add(rig, three));
    for (enum mend_action action = MEND_RETRY; action <= MEND_RESOLVE; action++) {
        assert_int_equal(rig_mend(rig, undo.id, action, NULL), STATUS_INVALID);
        assert_int_equal(rig_mend(rig, undo.id + 1, action, NULL), STATUS_NOT_FOUND);
    }
    rig_error(rig, undo, "Busy", true);
    assert_int_equal(rig_mend(rig, undo.id, MEND_RETRY, NULL), STATUS_INVALID);
}

/* A saga that was cancelled and is stuck can be mended, and aborted when it goes on. */
static void a_cancelled_saga_that_is_stuck_is_mended_like_another(void **state)
{
    struct rig *rig = *state;
    uint32_t plan =
        rig_add(rig, STATES(UNDONE("A", "a", "'Next':'B'"), UNDONE("B", "b", "'Next':'C'"),
                            SIGNAL("C", "go", "'End':true")));
    rig_start(rig, plan, rig_value("0"));
    rig_result(rig, rig_invoke(rig, "a"), "1");
    rig_result(rig, rig_invoke(rig, "b"), "2");
    rig_sleep_for_ever(rig);
    assert_int_equal(rig_cancel(rig, 1), STATUS_OK);
    rig_error(rig, rig_invoke(rig, "undo_b"), "No", false);
    rig_reply(rig, OUTCOME_STUCK);
    assert_int_equal(rig_abort(rig, 1), STATUS_INVALID);
    assert_int_equal(rig_mend(rig, 1, MEND_RETRY, NULL), STATUS_OK);
    struct effect undo = rig_invoke(rig, "undo_b");
    assert_int_equal(rig_abort(rig, 1), STATUS_OK);
    rig_result(rig, undo, NULL);
    rig_reply_to_nobody(rig, OUTCOME_ABORTED);
    rig_assert_empty(rig);
}

/* ---- Catch in a Compensate -------------------------------------------------------------------
 */

#define CATCHES(path)                                                                              \
    ",'Retry':[" RETRY("'Busy'", 1, "") "],'Catch':[{'ErrorEquals':['No','States.Timeout']," path  \
                                        "'Next':'W'}]"
#define WITH_WAY(path, ...)                                                                        \
    STATES(UNDONE("A", "a", "'Next':'B'"), UNDONE_BY("B", "b", CATCHES(path), "'Next':'F'"),       \
           FAIL("F", "Own"), __VA_ARGS__)

/* The compensation of b has failed: its way begins. */
static void take_way(struct rig *rig, uint32_t plan)
{
    rig_start(rig, plan, rig_value("{'n':1}"));
    rig_result(rig, rig_invoke(rig, "a"), "1");
    rig_result(rig, rig_invoke(rig, "b"), "2");
    rig_error(rig, rig_invoke(rig, "undo_b"), "No", true);
}

static void assert_compensated(struct rig *rig)
{
    struct effect undo = rig_invoke(rig, "undo_a");
    rig_assert_error(rig, undo, "{'Error':'Own','Cause':'why'}");
    rig_assert_value(rig_call(rig, undo).input, "{'n':1}");
    rig_assert_value(rig_call(rig, undo).output, "1");
    rig_result(rig, undo, NULL);
}

static void the_way_has_what_the_compensation_had_and_the_error(void **state)
{
    static const struct {
        const char *path, *input;
    } cases[] = {
        {"'ResultPath':'$.error',", "{'input':1,'output':2,'error':{'Error':'No','Cause':'why'}}"},
        {"'ResultPath':null,", "{'input':1,'output':2}"},
        {"", "{'Error':'No','Cause':'why'}"},
    };
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[2000];
        snprintf(text, sizeof text, WITH_WAY("%s", TASK("W", "w", "'End':true")), cases[i].path);
        take_way(rig, rig_add(rig, text));
        struct effect w = rig_invoke(rig, "w");
        struct core_invocation call = rig_call(rig, w);
        assert_true(call.phase == FLYOVER_FORWARD && call.step_no == 3 && call.attempt_no == 1);
        rig_assert_value(call.input, cases[i].input);
        rig_result(rig, w, "'undone by hand'");
        assert_compensated(rig);
        rig_reply(rig, OUTCOME_COMPENSATED);
        rig_assert_empty(rig);
    }
}

static void a_step_without_an_output_has_null_on_its_way(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, WITH_WAY("'ResultPath':null,", TASK("W", "w", "'End':true"))),
              rig_value("{'n':1}"));
    rig_result(rig, rig_invoke(rig, "a"), "1");
    rig_result(rig, rig_invoke(rig, "b"), NULL);
    rig_error(rig, rig_invoke(rig, "undo_b"), "No", false);
    struct effect w = rig_invoke(rig, "w");
    rig_assert_value(rig_call(rig, w).input, "{'input':1,'output':null}");
    rig_result(rig, w, NULL);
    assert_compensated(rig);
    rig_reply(rig, OUTCOME_COMPENSATED);
    rig_assert_empty(rig);
}

static void only_an_error_that_is_named_takes_the_way_and_only_without_a_retry_left(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, WITH_WAY("", TASK("W", "w", "'End':true")));
    rig_start(rig, plan, rig_value("{'n':1}"));
    rig_result(rig, rig_invoke(rig, "a"), "1");
    rig_result(rig, rig_invoke(rig, "b"), "2");
    struct effect undo = rig_invoke(rig, "undo_b");
    rig_error(rig, undo, "Busy", true);
    rig_timer(rig, rig_sleep(rig, 1000));
    rig_error(rig, rig_invoke(rig, "undo_b"), "Busy", true);
    rig_reply(rig, OUTCOME_STUCK);
    assert_int_equal(rig_mend(rig, 1, MEND_RETRY, NULL), STATUS_OK);
    rig_error(rig, rig_invoke(rig, "undo_b"), "No", true);
    rig_result(rig, rig_invoke(rig, "w"), NULL);
    assert_compensated(rig);
    rig_reply_to_nobody(rig, OUTCOME_COMPENSATED);
    rig_assert_empty(rig);
}

/* A Task with a retry and a catch, a Wait, a signal, a step beside, and a Succeed. */
static const char long_way[] =
    SAGA("", UNDONE("A", "a", "'Next':'B'"),
         UNDONE_BY("B", "b", CATCHES("'ResultPath':null,"), "'Next':'F'"), FAIL("F", "Own"),
         TASK("W", "w",
              "'TimeoutSeconds':4,'Retry':[" RETRY(
                  "'X','States.Timeout'", 1, "") "],'Catch':[{'ErrorEquals':['Y'],'ResultPath':'$."
                                                 "y','Next':'V'}],'ResultPath':null,'Next':'V'"),
         STATE("Wait", "V", "'Seconds':9,'Next':'U'"),
         SIGNAL("U", "go", "'TimeoutSeconds':30,'ResultPath':'$.go','Next':'T'") "," TASK(
             "T", "t", "'FireAndForget':true,'Next':'S'") "," SUCCEED("S"));

static void the_way_does_all_that_a_saga_does(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, long_way);
    for (int caught = 0; caught < 2; caught++) {
        take_way(rig, plan);
        struct effect w = rig_invoke(rig, "w");
        rig_timer(rig, w);
        assert_false(rig_result(rig, w, NULL));
        rig_timer(rig, rig_sleep(rig, 1000));
        w = rig_invoke(rig, "w");
        assert_int_equal(rig_call(rig, w).attempt_no, 2);
        if (caught)
            rig_error(rig, w, "Y", false);
        else
            rig_result(rig, w, "7");
        rig_restart(rig);
        rig_timer(rig, rig_sleep(rig, 9000));
        rig_sleep(rig, 30000);
        assert_int_equal(rig_cancel(rig, rig->saga_id), STATUS_EXISTS);
        assert_int_equal(rig_signal(rig, rig->saga_id, "go", "8"), STATUS_OK);
        struct effect t = rig_invoke(rig, "t");
        rig_assert_value(rig_call(rig, t).input,
                         caught ? "{'input':1,'output':2,'y':{'Error':'Y','Cause':'why'},'go':8}"
                                : "{'input':1,'output':2,'go':8}");
        assert_compensated(rig);
        rig_reply_to_nobody(rig, OUTCOME_COMPENSATED);
        rig_result(rig, t, NULL);
        rig_assert_empty(rig);
    }
}

static void a_way_that_fails_is_stuck_and_a_retry_begins_the_compensation_anew(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, long_way);
    take_way(rig, plan);
    struct effect w = rig_invoke(rig, "w");
    rig_error(rig, w, "Z", true);
    rig_reply(rig, OUTCOME_STUCK);
    struct core_branch_view view;
    assert_true(core_view_branch(rig->core, w.branch, &view));
    assert_true(view.phase == PHASE_STUCK && view.compensating);
    assert_string_equal(view.state, "B");
    assert_int_equal(core_due_ms(rig->core, w.branch), -1);
    rig_restart(rig);
    assert_int_equal(rig_mend(rig, w.id, MEND_RETRY, NULL), STATUS_OK);
    struct effect undo = rig_invoke(rig, "undo_b");
    struct core_invocation call = rig_call(rig, undo);
    assert_true(call.step_no == 2 && call.attempt_no == 1);
    rig_assert_value(call.input, "1");
    rig_assert_value(call.output, "2");
    rig_error(rig, undo, "Busy", true);
    rig_timer(rig, rig_sleep(rig, 1000));
    rig_error(rig, rig_invoke(rig, "undo_b"), "No", false);
    /* The way again, with a key of its own. */
    w = rig_invoke(rig, "w");
    assert_int_equal(rig_call(rig, w).step_no, 4);
    rig_error(rig, w, "Z", true);
    rig_reply_to_nobody(rig, OUTCOME_STUCK);
    assert_int_equal(rig_mend(rig, w.id, MEND_SKIP, NULL), STATUS_OK);
    assert_compensated(rig);
    rig_reply_to_nobody(rig, OUTCOME_COMPENSATED);
    rig_assert_empty(rig);
}

static void a_way_that_leads_to_a_fail_state_is_stuck(void **state)
{
    struct rig *rig = *state;
    take_way(rig, rig_add(rig, WITH_WAY("", "'W':{'Type':'Pass','Next':'F'}")));
    rig_reply(rig, OUTCOME_STUCK);
    assert_int_equal(only_phase(rig, 1), PHASE_STUCK);
    assert_int_equal(rig_mend(rig, 1, MEND_RESOLVE, NULL), STATUS_OK);
    rig_reply_to_nobody(rig, OUTCOME_COMPENSATED);
    rig_assert_empty(rig);
}

static void a_way_whose_input_would_be_too_large_is_not_taken(void **state)
{
    struct rig *rig = *state;
    uint32_t plan =
        rig_add(rig, STATES(UNDONE_BY("A", "a", CATCHES(""), "'ResultPath':null,'Next':'F'"),
                            FAIL("F", "Own"), TASK("W", "w", "'End':true")));
    rig_start(rig, plan, rig_large_value(200000));
    rig_result_bytes(rig, rig_invoke(rig, "a"), rig_large_value(100000));
    rig_error(rig, rig_invoke(rig, "undo_a"), "No", false);
    rig_reply(rig, OUTCOME_STUCK);
    assert_int_equal(rig_mend(rig, 1, MEND_RETRY, NULL), STATUS_OK);
    struct effect undo = rig_invoke(rig, "undo_a");
    assert_int_equal(rig_call(rig, undo).input.count, 200000);
    assert_int_equal(rig_call(rig, undo).output.count, 100000);
    rig_result(rig, undo, NULL);
    rig_reply_to_nobody(rig, OUTCOME_COMPENSATED);
    rig_assert_empty(rig);
}

/* Where the error does not fit, the input alone has been put together already. */
static void a_way_whose_error_does_not_fit_is_not_taken(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, STATES(UNDONE_BY("A", "a", CATCHES("'ResultPath':'$.e',"),
                                                  "'ResultPath':null,'Next':'F'"),
                                        FAIL("F", "Own"), TASK("W", "w", "'End':true")));
    rig_start(rig, plan, rig_large_value(FLYOVER_PAYLOAD_BYTES_MAX - 20));
    rig_result(rig, rig_invoke(rig, "a"), NULL);
    rig_error(rig, rig_invoke(rig, "undo_a"), "No", false);
    rig_reply(rig, OUTCOME_STUCK);
    assert_int_equal(rig_mend(rig, 1, MEND_RETRY, NULL), STATUS_OK);
    rig_result(rig, rig_invoke(rig, "undo_a"), NULL);
    rig_reply_to_nobody(rig, OUTCOME_COMPENSATED);
    rig_assert_empty(rig);
}

/* ---- abort on the way ------------------------------------------------------------------------
 */

static void an_abort_on_the_way_waits_for_the_step_at_hand_and_no_longer(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, long_way);
    for (int how = 0; how < 3; how++) {
        take_way(rig, plan);
        struct effect w = rig_invoke(rig, "w");
        assert_int_equal(rig_abort(rig, w.id), STATUS_OK);
        rig_nothing(rig);
        if (how == 0)
            rig_result(rig, w, NULL);
        else if (how == 1)
            rig_error(rig, w, "X", true);
        else
            rig_timer(rig, w);
        rig_reply(rig, OUTCOME_ABORTED);
        rig_nothing(rig);
        rig_assert_empty(rig);
    }
}

static void an_abort_on_the_way_holds_at_once_where_nobody_works(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, long_way);
    for (int how = 0; how < 3; how++) {
        take_way(rig, plan);
        struct effect w = rig_invoke(rig, "w");
        if (how == 0) {
            rig_error(rig, w, "X", true);
            rig_sleep(rig, 1000);
        } else {
            rig_result(rig, w, NULL);
            struct effect timer = rig_sleep(rig, 9000);
            if (how == 2) {
                rig_timer(rig, timer);
                rig_sleep(rig, 30000);
            }
        }
        assert_int_equal(rig_abort(rig, w.id), STATUS_OK);
        rig_reply(rig, OUTCOME_ABORTED);
        rig_nothing(rig);
        rig_assert_empty(rig);
    }
}

/* ---- in parallel -----------------------------------------------------------------------------
 */

static void two_compensations_go_their_ways_at_the_same_time(void **state)
{
    struct rig *rig = *state;
    uint32_t plan =
        rig_add(rig, SAGA(PARALLEL, UNDONE_BY("A", "a", CATCHES(""), "'Next':'B'"),
                          UNDONE_BY("B", "b", CATCHES(""), "'Next':'F'"), FAIL("F", "Own"),
                          SIGNAL("W", "go", "'Next':'V'"), TASK("V", "v", "'End':true")));
    rig_start(rig, plan, rig_value("0"));
    rig_result(rig, rig_invoke(rig, "a"), "1");
    rig_result(rig, rig_invoke(rig, "b"), "2");
    struct effect b = rig_invoke(rig, "undo_b"), a = rig_invoke(rig, "undo_a");
    rig_error(rig, b, "No", false);
    rig_sleep_for_ever(rig);
    rig_error(rig, a, "No", false);
    rig_sleep_for_ever(rig);
    assert_int_equal(rig_signal(rig, 1, "go", "1"), STATUS_OK);
    struct effect v = rig_invoke(rig, "v");
    rig_nothing(rig);
    assert_int_equal(rig_signal(rig, 1, "go", "2"), STATUS_OK);
    struct effect v2 = rig_invoke(rig, "v");
    assert_int_not_equal(rig_call(rig, v).step_no, rig_call(rig, v2).step_no);
    rig_error(rig, v, "No", false);
    rig_reply(rig, OUTCOME_STUCK);
    rig_result(rig, v2, NULL);
    rig_nothing(rig);
    assert_int_equal(rig_mend(rig, 1, MEND_RETRY, NULL), STATUS_OK);
    rig_result(rig, rig_invoke(rig, "undo_a"), NULL);
    rig_reply_to_nobody(rig, OUTCOME_COMPENSATED);
    rig_assert_empty(rig);
}

/* ---- a wait that is skipped ------------------------------------------------------------------
 */

static void a_wait_that_is_skipped_is_over(void **state)
{
    struct rig *rig = *state;
    rig_start(rig,
              rig_add(rig, STATES(STATE("Wait", "A", "'Seconds':9,'Next':'B'"),
                                  TASK("B", "b", "'End':true"))),
              rig_value("{'n':1}"));
    struct effect timer = rig_sleep(rig, 9000);
    assert_int_equal(rig_mend(rig, timer.id, MEND_RETRY, NULL), STATUS_INVALID);
    assert_int_equal(rig_mend(rig, timer.id, MEND_RESOLVE, NULL), STATUS_INVALID);
    assert_int_equal(rig_mend(rig, timer.id, MEND_SKIP, "1"), STATUS_INVALID);
    assert_int_equal(rig_mend(rig, timer.id, MEND_SKIP, NULL), STATUS_OK);
    rig_restart(rig);
    assert_false(rig_timer(rig, timer));
    struct effect b = rig_invoke(rig, "b");
    rig_assert_value(rig_call(rig, b).input, "{'n':1}");
    assert_int_equal(rig_mend(rig, timer.id, MEND_SKIP, NULL), STATUS_INVALID);
    rig_result(rig, b, NULL);
    rig_reply_to_nobody(rig, OUTCOME_SUCCEEDED);
    assert_true(core_totals(rig->core).mended == 0 && core_totals(rig->core).stuck == 0);
    rig_assert_empty(rig);
}

static void a_saga_that_was_to_begin_later_begins_when_that_is_skipped(void **state)
{
    struct rig *rig = *state;
    struct event event = {
        .kind = EVENT_START,
        .start = {.plan = rig_add(rig, SAGA("'TimeoutSeconds':60,", TASK("A", "a", "'End':true"))),
                  .source = EVENT_NO_SOURCE,
                  .input = rig_value("1"),
                  .at_ms = rig->now_ms + 5000}};
    assert_int_equal(rig_apply(rig, &event), STATUS_OK);
    struct effect timer = rig_sleep(rig, 5000);
    assert_int_equal(rig_mend(rig, timer.id, MEND_SKIP, NULL), STATUS_OK);
    rig_asks_for_deadline(rig, 60000);
    rig_result(rig, rig_invoke(rig, "a"), NULL);
    rig_reply(rig, OUTCOME_SUCCEEDED);
    rig_assert_empty(rig);
}

/* Where several compensations sleep on their ways, all of them do so no longer. */
static void all_that_sleeps_goes_on_when_it_is_skipped(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(
        rig, SAGA(PARALLEL, UNDONE_BY("A", "a", CATCHES(""), "'Next':'B'"),
                  UNDONE_BY("B", "b", CATCHES(""), "'Next':'F'"), FAIL("F", "Own"),
                  STATE("Wait", "W", "'Seconds':9,'Next':'V'"), TASK("V", "v", "'End':true")));
    rig_start(rig, plan, rig_value("0"));
    rig_result(rig, rig_invoke(rig, "a"), "1");
    rig_result(rig, rig_invoke(rig, "b"), "2");
    struct effect undo_b = rig_invoke(rig, "undo_b"), undo_a = rig_invoke(rig, "undo_a");
    rig_error(rig, undo_b, "No", false);
    rig_sleep(rig, 9000);
    rig_error(rig, undo_a, "No", false);
    rig_sleep(rig, 9000);
    assert_int_equal(rig_mend(rig, undo_a.id, MEND_SKIP, NULL), STATUS_OK);
    struct effect first = rig_invoke(rig, "v"), second = rig_invoke(rig, "v");
    rig_result(rig, first, NULL);
    rig_result(rig, second, NULL);
    rig_reply(rig, OUTCOME_COMPENSATED);
    rig_assert_empty(rig);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_retry_tries_the_compensation_with_all_its_retries_anew),
        TEST(a_compensation_that_is_skipped_counts_as_done),
        TEST(a_saga_that_is_resolved_undoes_nothing_more),
        TEST(a_saga_that_is_not_stuck_cannot_be_mended),
        TEST(a_wait_that_is_skipped_is_over),
        TEST(a_saga_that_was_to_begin_later_begins_when_that_is_skipped),
        TEST(all_that_sleeps_goes_on_when_it_is_skipped),
        TEST(a_cancelled_saga_that_is_stuck_is_mended_like_another),
        TEST(the_way_has_what_the_compensation_had_and_the_error),
        TEST(a_step_without_an_output_has_null_on_its_way),
        TEST(only_an_error_that_is_named_takes_the_way_and_only_without_a_retry_left),
        TEST(the_way_does_all_that_a_saga_does),
        TEST(a_way_that_fails_is_stuck_and_a_retry_begins_the_compensation_anew),
        TEST(a_way_that_leads_to_a_fail_state_is_stuck),
        TEST(a_way_whose_input_would_be_too_large_is_not_taken),
        TEST(a_way_whose_error_does_not_fit_is_not_taken),
        TEST(an_abort_on_the_way_waits_for_the_step_at_hand_and_no_longer),
        TEST(an_abort_on_the_way_holds_at_once_where_nobody_works),
        TEST(two_compensations_go_their_ways_at_the_same_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
