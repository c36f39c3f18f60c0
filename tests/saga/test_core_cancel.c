#include "tests/saga/core_rig.h"

/* Cancelling and aborting, in every phase that a saga can stand in. */

#define CANCELLED "{'Error':'Flyover.Cancelled','Cause':'asked to'}"
#define TRIED     "'Retry':[" RETRY("'X'", 9, "") "],'Catch':[{'ErrorEquals':['X'],'Next':'C'}],"

/* A, which is compensated, is done; B is at hand. */
static void begin(struct rig *rig, const char *definition)
{
    rig_start(rig, rig_add(rig, definition), rig_value("{}"));
    rig_result(rig, rig_invoke(rig, "a"), "1");
}

#define AFTER_A(...) STATES(UNDONE("A", "a", "'Next':'B'"), __VA_ARGS__)

/* a is undone because the saga was cancelled, and that is all. */
static void assert_undone(struct rig *rig)
{
    struct effect undo = rig_invoke(rig, "undo_a");
    rig_assert_error(rig, undo, CANCELLED);
    rig_result(rig, undo, NULL);
    rig_reply(rig, OUTCOME_COMPENSATED);
    rig_nothing(rig);
    rig_assert_empty(rig);
}

static void assert_aborted(struct rig *rig)
{
    rig_reply(rig, OUTCOME_ABORTED);
    rig_nothing(rig);
    rig_assert_empty(rig);
}

/* ---- cancel ----------------------------------------------------------------------------------
 */

static void a_step_that_a_handler_works_on_is_waited_for_and_then_undone(void **state)
{
    struct rig *rig = *state;
    begin(rig, AFTER_A(UNDONE("B", "b", TRIED "'Next':'C'"), TASK("C", "c", "'End':true")));
    struct effect b = rig_invoke(rig, "b");
    assert_int_equal(rig_cancel(rig, b.id), STATUS_OK);
    rig_nothing(rig);
    assert_int_equal(rig_cancel(rig, b.id), STATUS_EXISTS);
    struct core_branch_view view;
    assert_true(core_view_branch(rig->core, b.branch, &view));
    assert_true(view.cancelled && !view.compensating);
    rig_restart(rig);
    rig_result(rig, b, "'done'");
    struct effect undo = rig_invoke(rig, "undo_b");
    rig_assert_value(rig_call(rig, undo).output, "'done'");
    rig_assert_error(rig, undo, CANCELLED);
    assert_int_equal(rig_cancel(rig, b.id), STATUS_EXISTS);
    rig_result(rig, undo, NULL);
    struct effect undo_a = rig_invoke(rig, "undo_a");
    rig_result(rig, undo_a, NULL);
    rig_reply_to_nobody(rig, OUTCOME_COMPENSATED);
    assert_int_equal(rig_errors_count(rig, "Flyover.Cancelled"), 1);
    rig_assert_empty(rig);
}

static void a_step_that_fails_after_a_cancel_is_neither_tried_again_nor_caught(void **state)
{
    struct rig *rig = *state;
    begin(rig, AFTER_A(UNDONE("B", "b", TRIED "'Next':'C'"), TASK("C", "c", "'End':true")));
    struct effect b = rig_invoke(rig, "b");
    assert_int_equal(rig_cancel(rig, b.id), STATUS_OK);
    rig_error(rig, b, "X", true);
    assert_undone(rig);
}

static void a_step_that_is_out_of_time_after_a_cancel_is_not_waited_for_any_longer(void **state)
{
    struct rig *rig = *state;
    begin(rig, AFTER_A(UNDONE("B", "b", "'TimeoutSeconds':5,'End':true")));
    struct effect b = rig_invoke(rig, "b");
    assert_int_equal(rig_cancel(rig, b.id), STATUS_OK);
    rig_timer(rig, b);
    assert_undone(rig);
    assert_false(rig_result(rig, b, "1"));
}

static void a_pause_ends_at_once_when_the_saga_is_cancelled(void **state)
{
    struct rig *rig = *state;
    begin(rig, AFTER_A(UNDONE("B", "b", TRIED "'Next':'C'"), TASK("C", "c", "'End':true")));
    struct effect b = rig_invoke(rig, "b");
    rig_error(rig, b, "X", true);
    struct effect timer = rig_sleep(rig, 1000);
    assert_int_equal(rig_cancel(rig, b.id), STATUS_OK);
    assert_false(rig_timer(rig, timer));
    assert_undone(rig);
}

static void a_wait_ends_at_once_when_the_saga_is_cancelled(void **state)
{
    struct rig *rig = *state;
    begin(rig, AFTER_A(STATE("Wait", "B", "'Seconds':100,'End':true")));
    struct effect timer = rig_sleep(rig, 100000);
    assert_int_equal(rig_cancel(rig, timer.id), STATUS_OK);
    assert_false(rig_timer(rig, timer));
    assert_undone(rig);
}

static void an_answer_from_outside_is_not_waited_for_when_the_saga_is_cancelled(void **state)
{
    struct rig *rig = *state;
    begin(rig, AFTER_A(SIGNAL("B", "go", "'End':true")));
    uint64_t id = rig_sleep_for_ever(rig).id;
    assert_int_equal(rig_cancel(rig, id), STATUS_OK);
    assert_undone(rig);
    assert_int_equal(rig_signal(rig, id, "go", "1"), STATUS_NOT_FOUND);
    begin(rig, AFTER_A(TOKEN("B", "b", "'TimeoutSeconds':9,'End':true")));
    struct effect b = rig_invoke(rig, "b");
    struct core_invocation call = rig_call(rig, b);
    rig_result(rig, b, NULL);
    struct effect timer = rig_sleep(rig, 9000);
    assert_int_equal(rig_cancel(rig, b.id), STATUS_OK);
    assert_false(rig_timer(rig, timer));
    assert_false(rig_answer(rig, call, "1"));
    assert_undone(rig);
}

/* What the handler has begun is undone by its compensation, with what the handler said. */
static void a_step_that_a_handler_begins_for_a_token_is_undone_when_it_has_begun_it(void **state)
{
    struct rig *rig = *state;
    begin(rig, AFTER_A(TOKEN("B", "b",
                             "'Compensate':{'Resource':'service:s.undo_b'},'ResultPath':null,"
                             "'Next':'C'"),
                       TASK("C", "c", "'End':true")));
    struct effect b = rig_invoke(rig, "b");
    struct core_invocation call = rig_call(rig, b);
    assert_int_equal(rig_cancel(rig, b.id), STATUS_OK);
    rig_result(rig, b, "'begun'");
    assert_false(rig_answer(rig, call, "'done'"));
    struct effect undo = rig_invoke(rig, "undo_b");
    rig_assert_value(rig_call(rig, undo).output, "'begun'");
    rig_result(rig, undo, NULL);
    assert_undone(rig);
}

#define BEGUN                                                                                      \
    SAGA("'TimeoutSeconds':60,", UNDONE("A", "a", "'Next':'B'"),                                   \
         TOKEN("B", "b", "'Compensate':{'Resource':'service:s.undo_b'},'Next':'C'"),               \
         TASK("C", "c", "'End':true"))

/* B awaits its token. */
static struct core_invocation begin_step(struct rig *rig)
{
    rig_start(rig, rig_add(rig, BEGUN), rig_value("{}"));
    rig_asks_for_deadline(rig, 60000);
    rig_result(rig, rig_invoke(rig, "a"), "1");
    struct effect b = rig_invoke(rig, "b");
    struct core_invocation call = rig_call(rig, b);
    rig_result(rig, b, "'begun'");
    rig_sleep_for_ever(rig);
    return call;
}

/* What B has begun may have been done by whoever was given its token. */
static void assert_begun_is_undone(struct rig *rig, struct core_invocation call)
{
    assert_false(rig_answer(rig, call, "'done'"));
    struct effect undo = rig_invoke(rig, "undo_b");
    assert_int_equal(rig_call(rig, undo).step_no, call.step_no);
    rig_assert_value(rig_call(rig, undo).input, "1");
    assert_int_equal(rig_call(rig, undo).output.count, 0);
    rig_result(rig, undo, NULL);
}

static void a_step_that_awaits_its_token_is_undone_when_the_saga_is_cancelled(void **state)
{
    struct rig *rig = *state;
    struct core_invocation call = begin_step(rig);
    assert_int_equal(rig_cancel(rig, rig->saga_id), STATUS_OK);
    assert_begun_is_undone(rig, call);
    assert_undone(rig);
}

static void a_step_that_awaits_its_token_is_undone_when_the_saga_is_out_of_time(void **state)
{
    struct rig *rig = *state;
    struct core_invocation call = begin_step(rig);
    assert_true(rig_deadline(rig, rig->saga_id));
    assert_begun_is_undone(rig, call);
    rig_result(rig, rig_invoke(rig, "undo_a"), NULL);
    rig_reply(rig, OUTCOME_COMPENSATED);
    rig_assert_empty(rig);
}

static void a_step_that_awaits_its_token_is_left_when_the_saga_is_aborted(void **state)
{
    struct rig *rig = *state;
    struct core_invocation call = begin_step(rig);
    assert_int_equal(rig_abort(rig, rig->saga_id), STATUS_OK);
    assert_false(rig_answer(rig, call, "'done'"));
    assert_aborted(rig);
}

/* A journal that was written by such an engine gives the state that it had. */
static void a_cancel_of_an_engine_of_before_leaves_what_was_begun_as_it_did_then(void **state)
{
    struct rig *rig = *state;
    begin_step(rig);
    struct event event = {
        .kind = EVENT_CANCEL,
        .cancel = {.saga_id = rig->saga_id, .reason = {(const uint8_t *)"asked to", 8}}};
    assert_int_equal(rig_apply(rig, &event), STATUS_OK);
    assert_undone(rig);
    begin_step(rig);
    event = (struct event){
        .kind = EVENT_TIMER,
        .timer = {.branch = core_find_saga(rig->core, rig->saga_id), .of_saga = true}};
    rig->now_ms += 60000;
    assert_int_equal(rig_apply(rig, &event), STATUS_OK);
    rig_result(rig, rig_invoke(rig, "undo_a"), NULL);
    rig_reply(rig, OUTCOME_COMPENSATED);
    rig_assert_empty(rig);
}

static void a_saga_that_has_done_nothing_has_failed_when_it_is_cancelled(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, STATES(STATE("Wait", "A", "'Seconds':9,'End':true"))),
              rig_value("{}"));
    rig_sleep(rig, 9000);
    assert_int_equal(rig_cancel(rig, rig->saga_id), STATUS_OK);
    rig_reply(rig, OUTCOME_FAILED);
    assert_int_equal(rig_cancel(rig, rig->saga_id), STATUS_NOT_FOUND);
    assert_int_equal(rig_abort(rig, rig->saga_id), STATUS_NOT_FOUND);
    assert_int_equal(rig_cancel(rig, rig->saga_id + 1), STATUS_NOT_FOUND);
    assert_int_equal(rig_cancel(rig, 0), STATUS_NOT_FOUND);
    rig_assert_empty(rig);
}

static void a_saga_that_compensates_already_cannot_be_cancelled_too(void **state)
{
    struct rig *rig = *state;
    begin(rig, AFTER_A(TASK("B", "b", "'End':true")));
    rig_error(rig, rig_invoke(rig, "b"), "No", false);
    struct effect undo = rig_invoke(rig, "undo_a");
    assert_int_equal(rig_cancel(rig, undo.id), STATUS_EXISTS);
    rig_error(rig, undo, "Busy", true);
    struct effect timer = rig_sleep(rig, 5000);
    assert_int_equal(rig_cancel(rig, undo.id), STATUS_EXISTS);
    rig_timer(rig, timer);
    undo = rig_invoke(rig, "undo_a");
    rig_error(rig, undo, "No", false);
    rig_reply(rig, OUTCOME_STUCK);
    assert_int_equal(rig_cancel(rig, undo.id), STATUS_INVALID);
    assert_int_equal(rig_abort(rig, undo.id), STATUS_INVALID);
}

static void a_detached_step_runs_on_when_the_saga_is_cancelled(void **state)
{
    struct rig *rig = *state;
    begin(rig, AFTER_A(TASK("B", "f",
                            "'FireAndForget':true,'Retry':[" RETRY("'X'", 1, "") "],'Next':'C'"),
                       STATE("Wait", "C", "'Seconds':9,'End':true")));
    struct effect f = rig_invoke(rig, "f");
    rig_sleep(rig, 9000);
    assert_int_equal(rig_cancel(rig, f.id), STATUS_OK);
    rig_result(rig, rig_invoke(rig, "undo_a"), NULL);
    rig_reply(rig, OUTCOME_COMPENSATED);
    assert_int_equal(rig_abort(rig, f.id), STATUS_NOT_FOUND);
    rig_error(rig, f, "X", true);
    rig_timer(rig, rig_sleep(rig, 1000));
    rig_result(rig, rig_invoke(rig, "f"), NULL);
    rig_assert_empty(rig);
}

/* ---- and the pivot ---------------------------------------------------------------------------
 */

static const char pivot[] =
    AFTER_A(TASK("B", "b", "'Pivot':true,'Next':'C'"), TASK("C", "c", "'End':true"));

static void a_cancel_while_the_pivot_is_in_hand_is_too_late_if_that_is_done(void **state)
{
    struct rig *rig = *state;
    begin(rig, pivot);
    struct effect b = rig_invoke(rig, "b");
    assert_int_equal(rig_cancel(rig, b.id), STATUS_OK);
    rig_result(rig, b, "'done'");
    struct effect c = rig_invoke(rig, "c");
    rig_assert_value(rig_call(rig, c).input, "'done'");
    assert_int_equal(core_saga_error(rig->core, c.branch).count, 0);
    struct core_branch_view view;
    assert_true(core_view_branch(rig->core, c.branch, &view));
    assert_false(view.cancelled);
    assert_int_equal(rig_cancel(rig, c.id), STATUS_INVALID);
    rig_result(rig, c, NULL);
    rig_reply(rig, OUTCOME_SUCCEEDED);
    rig_assert_empty(rig);
}

static void a_cancel_while_the_pivot_is_in_hand_holds_if_that_fails(void **state)
{
    struct rig *rig = *state;
    begin(rig, pivot);
    struct effect b = rig_invoke(rig, "b");
    assert_int_equal(rig_cancel(rig, b.id), STATUS_OK);
    rig_error(rig, b, "No", true);
    assert_undone(rig);
}

/* The handler has only begun it: nobody has said yet that it is done. */
static void a_pivot_that_waits_for_a_token_is_not_passed_when_its_handler_has_begun_it(void **state)
{
    struct rig *rig = *state;
    begin(rig, AFTER_A(TOKEN("B", "b", "'Pivot':true,'Next':'C'"), TASK("C", "c", "'End':true")));
    struct effect b = rig_invoke(rig, "b");
    struct core_invocation call = rig_call(rig, b);
    assert_int_equal(rig_cancel(rig, b.id), STATUS_OK);
    rig_result(rig, b, "'begun'");
    assert_false(rig_answer(rig, call, "'done'"));
    assert_undone(rig);
}

static void past_the_pivot_only_an_abort_stops_the_saga(void **state)
{
    struct rig *rig = *state;
    begin(rig, pivot);
    rig_result(rig, rig_invoke(rig, "b"), NULL);
    struct effect c = rig_invoke(rig, "c");
    assert_int_equal(rig_cancel(rig, c.id), STATUS_INVALID);
    assert_int_equal(rig_abort(rig, c.id), STATUS_OK);
    assert_int_equal(rig_abort(rig, c.id), STATUS_EXISTS);
    rig_nothing(rig);
    rig_result(rig, c, NULL);
    assert_aborted(rig);
    begin(rig, AFTER_A(TASK("B", "b", "'Pivot':true,'Next':'C'"),
                       STATE("Wait", "C", "'Seconds':9,'End':true")));
    rig_result(rig, rig_invoke(rig, "b"), NULL);
    rig_sleep(rig, 9000);
    assert_int_equal(rig_abort(rig, rig->saga_id), STATUS_OK);
    assert_aborted(rig);
}

static void an_abort_while_the_pivot_is_in_hand_holds_though_that_is_done(void **state)
{
    struct rig *rig = *state;
    begin(rig, pivot);
    struct effect b = rig_invoke(rig, "b");
    assert_int_equal(rig_abort(rig, b.id), STATUS_OK);
    rig_result(rig, b, "'done'");
    assert_aborted(rig);
}

/* ---- abort -----------------------------------------------------------------------------------
 */

static void an_abort_undoes_nothing(void **state)
{
    struct rig *rig = *state;
    begin(rig, AFTER_A(UNDONE("B", "b", TRIED "'Next':'C'"), TASK("C", "c", "'End':true")));
    struct effect b = rig_invoke(rig, "b");
    assert_int_equal(rig_abort(rig, b.id), STATUS_OK);
    assert_int_equal(rig_abort(rig, b.id), STATUS_EXISTS);
    assert_int_equal(rig_cancel(rig, b.id), STATUS_EXISTS);
    rig_nothing(rig);
    rig_result(rig, b, "1");
    assert_aborted(rig);
    assert_int_equal(core_totals(rig->core).aborted, 1);
    assert_int_equal(rig_errors_count(rig, "Flyover.Cancelled"), 1);
    begin(rig, AFTER_A(SIGNAL("B", "go", "'End':true")));
    rig_sleep_for_ever(rig);
    assert_int_equal(rig_abort(rig, rig->saga_id), STATUS_OK);
    assert_aborted(rig);
}

static void an_abort_after_a_cancel_holds(void **state)
{
    struct rig *rig = *state;
    begin(rig, AFTER_A(UNDONE("B", "b", "'End':true")));
    struct effect b = rig_invoke(rig, "b");
    assert_int_equal(rig_cancel(rig, b.id), STATUS_OK);
    assert_int_equal(rig_abort(rig, b.id), STATUS_OK);
    rig_nothing(rig);
    rig_result(rig, b, "1");
    assert_aborted(rig);
    /* And when what was cancelled is being undone. */
    begin(rig, AFTER_A(SIGNAL("B", "go", "'End':true")));
    rig_sleep_for_ever(rig);
    assert_int_equal(rig_cancel(rig, rig->saga_id), STATUS_OK);
    struct effect undo = rig_invoke(rig, "undo_a");
    assert_int_equal(rig_abort(rig, rig->saga_id), STATUS_OK);
    rig_result(rig, undo, NULL);
    assert_aborted(rig);
}

enum answer { DONE, FAILED, LATE, ANSWERS_COUNT };

static void an_abort_waits_for_the_compensation_at_hand_and_no_longer(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(
        rig, STATES(UNDONE("A", "a", "'Next':'B'"),
                    UNDONE_BY("B", "b",
                              ",'TimeoutSeconds':5,'Retry':[" RETRY(
                                  "'States.ALL'", 9,
                                  "") "],'Catch':[{'ErrorEquals':['States.ALL'],'Next':'C'}]",
                              "'Next':'F'"),
                    FAIL("F", "Own"), TASK("C", "c", "'End':true")));
    for (enum answer answer = DONE; answer < ANSWERS_COUNT; answer++) {
        rig_start(rig, plan, rig_value("{}"));
        rig_result(rig, rig_invoke(rig, "a"), "1");
        rig_result(rig, rig_invoke(rig, "b"), "2");
        struct effect undo = rig_invoke(rig, "undo_b");
        assert_int_equal(rig_abort(rig, undo.id), STATUS_OK);
        assert_int_equal(rig_abort(rig, undo.id), STATUS_EXISTS);
        rig_nothing(rig);
        rig_assert_error(rig, undo, "{'Error':'Own','Cause':'why'}");
        if (answer == DONE)
            rig_result(rig, undo, NULL);
        else if (answer == FAILED)
            rig_error(rig, undo, "X", true);
        else
            rig_timer(rig, undo);
        assert_aborted(rig);
    }
    assert_int_equal(rig_errors_count(rig, "Own"), ANSWERS_COUNT);
}

static void an_abort_in_a_pause_between_two_compensations_holds_at_once(void **state)
{
    struct rig *rig = *state;
    begin(rig, AFTER_A(TASK("B", "b", "'End':true")));
    rig_error(rig, rig_invoke(rig, "b"), "No", false);
    struct effect undo = rig_invoke(rig, "undo_a");
    rig_error(rig, undo, "Busy", true);
    struct effect timer = rig_sleep(rig, 5000);
    assert_int_equal(rig_abort(rig, undo.id), STATUS_OK);
    assert_aborted(rig);
    assert_false(rig_timer(rig, timer));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_step_that_a_handler_works_on_is_waited_for_and_then_undone),
        TEST(a_step_that_fails_after_a_cancel_is_neither_tried_again_nor_caught),
        TEST(a_step_that_is_out_of_time_after_a_cancel_is_not_waited_for_any_longer),
        TEST(a_pause_ends_at_once_when_the_saga_is_cancelled),
        TEST(a_wait_ends_at_once_when_the_saga_is_cancelled),
        TEST(an_answer_from_outside_is_not_waited_for_when_the_saga_is_cancelled),
        TEST(a_step_that_a_handler_begins_for_a_token_is_undone_when_it_has_begun_it),
        TEST(a_step_that_awaits_its_token_is_undone_when_the_saga_is_cancelled),
        TEST(a_step_that_awaits_its_token_is_undone_when_the_saga_is_out_of_time),
        TEST(a_step_that_awaits_its_token_is_left_when_the_saga_is_aborted),
        TEST(a_cancel_of_an_engine_of_before_leaves_what_was_begun_as_it_did_then),
        TEST(a_saga_that_has_done_nothing_has_failed_when_it_is_cancelled),
        TEST(a_saga_that_compensates_already_cannot_be_cancelled_too),
        TEST(a_detached_step_runs_on_when_the_saga_is_cancelled),
        TEST(a_cancel_while_the_pivot_is_in_hand_is_too_late_if_that_is_done),
        TEST(a_cancel_while_the_pivot_is_in_hand_holds_if_that_fails),
        TEST(a_pivot_that_waits_for_a_token_is_not_passed_when_its_handler_has_begun_it),
        TEST(past_the_pivot_only_an_abort_stops_the_saga),
        TEST(an_abort_while_the_pivot_is_in_hand_holds_though_that_is_done),
        TEST(an_abort_undoes_nothing),
        TEST(an_abort_after_a_cancel_holds),
        TEST(an_abort_waits_for_the_compensation_at_hand_and_no_longer),
        TEST(an_abort_in_a_pause_between_two_compensations_holds_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
