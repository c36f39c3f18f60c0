#include "tests/saga/core_rig.h"

#include <stdlib.h>
#include <string.h>

/* Past the pivot: nothing is compensated any more, and what fails waits for an operator. */

#define PIVOTED(...)                                                                               \
    STATES(UNDONE("A", "a", "'ResultPath':'$.a','Next':'B'"),                                      \
           UNDONE("B", "b", "'Pivot':true,'ResultPath':'$.b','Next':'C'"), __VA_ARGS__)

/* The pivot is done; C is at hand. */
static void begin(struct rig *rig, uint32_t plan)
{
    rig_start(rig, plan, rig_value("{'n':1}"));
    rig_result(rig, rig_invoke(rig, "a"), "1");
    rig_result(rig, rig_invoke(rig, "b"), "2");
}

static void assert_stuck(struct rig *rig, uint64_t saga_id, const char *state, const char *error)
{
    uint32_t at = CORE_NO_SAGA;
    struct core_branch_view view;
    rig_nothing(rig);
    assert_true(core_next_branch(rig->core, core_find_saga(rig->core, saga_id), &at));
    assert_true(core_view_branch(rig->core, at, &view));
    assert_int_equal(view.phase, PHASE_STUCK_FORWARD);
    assert_int_equal(view.outcome, OUTCOME_STUCK);
    assert_false(view.compensating);
    assert_string_equal(view.state, state);
    rig_assert_value(core_saga_error(rig->core, at), error);
    assert_int_equal(core_due_ms(rig->core, at), -1);
    assert_int_equal(core_totals(rig->core).stuck, 1);
}

#define NO "{'Error':'No','Cause':'why'}"

static void what_was_done_before_the_pivot_is_forgotten_when_it_is_passed(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, PIVOTED(UNDONE("C", "c", "'End':true"))), rig_value("{}"));
    rig_result(rig, rig_invoke(rig, "a"), "1");
    struct effect b = rig_invoke(rig, "b");
    assert_int_equal(rig->core->completed_pool.used, 2);
    rig_result(rig, b, "2");
    /* Neither a nor b, and no entry is taken for c. */
    assert_int_equal(rig->core->completed_pool.used, 0);
    rig_result(rig, rig_invoke(rig, "c"), "3");
    assert_int_equal(rig->core->completed_pool.used, 0);
    rig_reply(rig, OUTCOME_SUCCEEDED);
    rig_assert_empty(rig);
}

static void a_failure_before_the_pivot_and_of_it_is_compensated(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, PIVOTED(TASK("C", "c", "'End':true"))), rig_value("{}"));
    rig_result(rig, rig_invoke(rig, "a"), "1");
    rig_error(rig, rig_invoke(rig, "b"), "No", false);
    rig_result(rig, rig_invoke(rig, "undo_a"), NULL);
    rig_reply(rig, OUTCOME_COMPENSATED);
    rig_assert_empty(rig);
}

static void a_failure_past_the_pivot_parks_the_saga_and_a_retry_has_the_same_key(void **state)
{
    struct rig *rig = *state;
    uint32_t plan =
        rig_add(rig, PIVOTED(TASK("C", "c",
                                  "'Retry':[" RETRY("'X'", 1, "") "],'TimeoutSeconds':4,"
                                                                  "'End':true")));
    begin(rig, plan);
    for (int turn = 0; turn < 2; turn++) {
        struct effect c = rig_invoke(rig, "c");
        assert_int_equal(rig_call(rig, c).step_no, 3);
        /* The same key, but no attempt's token twice. */
        assert_int_equal(rig_call(rig, c).attempt_no, 1 + 2 * turn);
        assert_int_equal(rig_call(rig, c).deadline_ms, rig->now_ms + 4000);
        rig_assert_value(rig_call(rig, c).input, "{'n':1,'a':1,'b':2}");
        rig_error(rig, c, "X", true);
        rig_timer(rig, rig_sleep(rig, 1000));
        rig_error(rig, rig_invoke(rig, "c"), "No", true);
        if (turn == 0)
            rig_reply(rig, OUTCOME_STUCK);
        else
            rig_reply_to_nobody(rig, OUTCOME_STUCK);
        assert_stuck(rig, c.id, "C", NO);
        assert_false(rig_result(rig, c, "1"));
        rig_restart(rig);
        assert_int_equal(rig_mend(rig, c.id, MEND_RETRY, NULL), STATUS_OK);
        assert_int_equal(core_totals(rig->core).stuck, 0);
    }
    struct effect c = rig_invoke(rig, "c");
    assert_int_equal(core_saga_error(rig->core, c.branch).count, 0);
    assert_int_equal(rig_mend(rig, c.id, MEND_RETRY, NULL), STATUS_INVALID);
    rig_result(rig, c, NULL);
    rig_reply_to_nobody(rig, OUTCOME_SUCCEEDED);
    struct core_totals totals = core_totals(rig->core);
    assert_true(totals.mended == 2 && totals.succeeded == 1 && totals.ended == 1);
    assert_int_equal(rig_errors_count(rig, "No"), 1);
    assert_int_equal(rig_mend(rig, 1, MEND_RETRY, NULL), STATUS_NOT_FOUND);
    rig_assert_empty(rig);
}

static void a_step_that_is_skipped_counts_as_done_with_an_output_or_none(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, PIVOTED(TASK("C", "c", "'ResultPath':'$.c','Next':'D'"),
                                         TASK("D", "d", "'End':true")));
    for (int with = 0; with < 2; with++) {
        begin(rig, plan);
        rig_error(rig, rig_invoke(rig, "c"), "No", false);
        rig_reply(rig, OUTCOME_STUCK);
        assert_int_equal(rig_mend(rig, rig->saga_id, MEND_SKIP, with ? "[3]" : NULL), STATUS_OK);
        struct effect d = rig_invoke(rig, "d");
        rig_assert_value(rig_call(rig, d).input,
                         with ? "{'n':1,'a':1,'b':2,'c':[3]}" : "{'n':1,'a':1,'b':2}");
        assert_int_equal(rig_call(rig, d).step_no, 4);
        rig_result(rig, d, NULL);
        rig_reply_to_nobody(rig, OUTCOME_SUCCEEDED);
    }
    rig_assert_empty(rig);
}

static void a_stuck_saga_that_is_resolved_has_succeeded(void **state)
{
    struct rig *rig = *state;
    begin(rig, rig_add(rig, PIVOTED(TASK("C", "c", "'End':true"))));
    rig_error(rig, rig_invoke(rig, "c"), "No", false);
    rig_reply(rig, OUTCOME_STUCK);
    assert_int_equal(rig_mend(rig, 1, MEND_RESOLVE, NULL), STATUS_OK);
    rig_reply_to_nobody(rig, OUTCOME_SUCCEEDED);
    rig_assert_empty(rig);
}

static void a_step_past_the_pivot_that_is_out_of_time_parks_the_saga(void **state)
{
    struct rig *rig = *state;
    begin(rig, rig_add(rig, PIVOTED(SIGNAL("C", "go", "'TimeoutSeconds':5,'End':true"))));
    struct effect timer = rig_sleep(rig, 5000);
    rig_timer(rig, timer);
    rig_reply(rig, OUTCOME_STUCK);
    assert_int_equal(rig_errors_count(rig, "States.Timeout"), 1);
    /* A signal that comes now is kept for when it is tried again. */
    assert_int_equal(rig_signal(rig, 1, "go", "7"), STATUS_OK);
    rig_nothing(rig);
    assert_int_equal(rig_mend(rig, 1, MEND_RETRY, NULL), STATUS_OK);
    rig_sleep_for_ever(rig);
    rig_reply_to_nobody(rig, OUTCOME_SUCCEEDED);
    rig_assert_empty(rig);
}

static void a_catch_past_the_pivot_goes_where_it_says(void **state)
{
    struct rig *rig = *state;
    begin(rig, rig_add(rig, PIVOTED(TASK("C", "c",
                                         "'Catch':[{'ErrorEquals':['No'],'Next':'D'}],'End':true"),
                                    TASK("D", "d", "'End':true"))));
    rig_error(rig, rig_invoke(rig, "c"), "No", false);
    rig_result(rig, rig_invoke(rig, "d"), NULL);
    rig_reply(rig, OUTCOME_SUCCEEDED);
    rig_assert_empty(rig);
}

/* What else may fail past the pivot: no step, so it cannot be skipped; but a Pass and a Wait can.
 */
static void a_state_that_is_no_step_parks_the_saga_too(void **state)
{
    static const struct {
        const char *state, *cause;
    } cases[] = {
        {STATE("Choice", "C", "'Choices':[{'Variable':'$.n','NumericEquals':9,'Next':'D'}]"),
         "{'Error':'States.NoChoiceMatched','Cause':'no choice matched and there is no Default'}"},
        {STATE("Wait", "C", "'SecondsPath':'$.x','Next':'D'"),
         "{'Error':'States.Runtime','Cause':'SecondsPath leads nowhere in the input'}"},
        {FAIL("C", "Own"), "{'Error':'Own','Cause':'why'}"},
    };
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[2000];
        snprintf(text, sizeof text, PIVOTED("%s", SUCCEED("D")), cases[i].state);
        if (i == 2)
            snprintf(text, sizeof text, PIVOTED("%s"), cases[i].state);
        begin(rig, rig_add(rig, text));
        rig_reply(rig, OUTCOME_STUCK);
        assert_stuck(rig, rig->saga_id, "C", cases[i].cause);
        bool waits = i == 1;
        /* There is no output that a Wait could have. */
        assert_int_equal(rig_mend(rig, rig->saga_id, MEND_SKIP, waits ? "1" : NULL),
                         STATUS_INVALID);
        assert_int_equal(rig_mend(rig, rig->saga_id, MEND_RETRY, NULL), STATUS_OK);
        rig_reply_to_nobody(rig, OUTCOME_STUCK);
        assert_stuck(rig, rig->saga_id, "C", cases[i].cause);
        enum mend_action action = waits ? MEND_SKIP : MEND_RESOLVE;
        assert_int_equal(rig_mend(rig, rig->saga_id, action, NULL), STATUS_OK);
        rig_reply_to_nobody(rig, OUTCOME_SUCCEEDED);
        rig_assert_empty(rig);
    }
}

static void a_pass_past_the_pivot_whose_constant_does_not_fit_can_be_skipped(void **state)
{
    struct rig *rig = *state;
    uint32_t plan =
        rig_add(rig, STATES(TASK("A", "a", "'Pivot':true,'ResultPath':'$.a','Next':'B'"),
                            STATE("Pass", "B", "'Result':1,'ResultPath':'$.b','Next':'C'"),
                            TASK("C", "c", "'End':true")));
    rig_start(rig, plan, rig_value("{}"));
    rig_result_bytes(rig, rig_invoke(rig, "a"), rig_large_value(FLYOVER_PAYLOAD_BYTES_MAX - 3));
    rig_reply(rig, OUTCOME_STUCK);
    assert_int_equal(rig_mend(rig, 1, MEND_RETRY, NULL), STATUS_OK);
    rig_reply_to_nobody(rig, OUTCOME_STUCK);
    assert_int_equal(rig_mend(rig, 1, MEND_SKIP, NULL), STATUS_OK);
    rig_result(rig, rig_invoke(rig, "c"), NULL);
    rig_reply_to_nobody(rig, OUTCOME_SUCCEEDED);
    rig_assert_empty(rig);
}

static void
an_output_past_the_pivot_that_does_not_fit_parks_the_saga_and_so_does_a_skip(void **state)
{
    struct rig *rig = *state;
    uint32_t plan =
        rig_add(rig, STATES(TASK("A", "a", "'Pivot':true,'ResultPath':'$.a','Next':'B'"),
                            TASK("B", "b", "'ResultPath':'$.b','End':true")));
    rig_start(rig, plan, rig_value("{}"));
    rig_result_bytes(rig, rig_invoke(rig, "a"), rig_large_value(FLYOVER_PAYLOAD_BYTES_MAX - 3));
    rig_result(rig, rig_invoke(rig, "b"), "1");
    rig_reply(rig, OUTCOME_STUCK);
    assert_int_equal(rig_mend(rig, 1, MEND_SKIP, "2"), STATUS_OK);
    rig_reply_to_nobody(rig, OUTCOME_STUCK);
    assert_int_equal(rig_mend(rig, 1, MEND_SKIP, NULL), STATUS_OK);
    rig_reply_to_nobody(rig, OUTCOME_SUCCEEDED);
    rig_assert_empty(rig);
}

/* A retry may not run a step that was never begun under the key of the one before it. */
static void
a_saga_past_its_pivot_that_has_taken_all_its_steps_begins_no_step_by_a_retry(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(
        rig,
        STATES(TASK("A", "a", "'Pivot':true,'ResultPath':null,'Next':'B'"),
               TASK("B", "b", "'ResultPath':null,'Next':'C'"),
               STATE("Choice", "C",
                     "'Choices':[{'Variable':'$.n','NumericEquals':1,'Next':'B'}],'Default':'D'"),
               SUCCEED("D")));
    rig_start(rig, plan, rig_value("{'n':1}"));
    rig_result(rig, rig_invoke(rig, "a"), NULL);
    for (uint32_t step_no = 2; step_no <= CORE_STEPS_MAX; step_no++) {
        struct effect b = rig_invoke(rig, "b");
        assert_int_equal(rig_call(rig, b).step_no, step_no);
        rig_result(rig, b, NULL);
    }
    rig_reply(rig, OUTCOME_STUCK);
    assert_int_equal(rig_mend(rig, 1, MEND_RETRY, NULL), STATUS_OK);
    rig_reply_to_nobody(rig, OUTCOME_STUCK);
    rig_nothing(rig);
    assert_int_equal(rig_mend(rig, 1, MEND_RESOLVE, NULL), STATUS_OK);
    rig_reply_to_nobody(rig, OUTCOME_SUCCEEDED);
    rig_assert_empty(rig);
}

static void a_step_beside_runs_again_when_its_loop_was_parked(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(
        rig, STATES(TASK("A", "a", "'Pivot':true,'ResultPath':null,'Next':'B'"),
                    TASK("B", "f", "'FireAndForget':true,'Next':'C'"), TASK("C", "c", "'Next':'D'"),
                    STATE("Choice", "D",
                          "'Choices':[{'Variable':'$','NumericEquals':1,'Next':'B'}],"
                          "'Default':'E'"),
                    SUCCEED("E")));
    rig_start(rig, plan, rig_value("{}"));
    rig_result(rig, rig_invoke(rig, "a"), NULL);
    struct effect f = rig_invoke(rig, "f");
    rig_result(rig, rig_invoke(rig, "c"), "1");
    rig_reply(rig, OUTCOME_STUCK);
    rig_result(rig, f, NULL);
    assert_int_equal(rig_mend(rig, 1, MEND_RETRY, NULL), STATUS_OK);
    f = rig_invoke(rig, "f");
    assert_int_equal(rig_call(rig, f).step_no, 4);
    rig_result(rig, rig_invoke(rig, "c"), "2");
    rig_reply_to_nobody(rig, OUTCOME_SUCCEEDED);
    rig_result(rig, f, NULL);
    rig_assert_empty(rig);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_done_before_the_pivot_is_forgotten_when_it_is_passed),
        TEST(a_failure_before_the_pivot_and_of_it_is_compensated),
        TEST(a_failure_past_the_pivot_parks_the_saga_and_a_retry_has_the_same_key),
        TEST(a_step_that_is_skipped_counts_as_done_with_an_output_or_none),
        TEST(a_stuck_saga_that_is_resolved_has_succeeded),
        TEST(a_step_past_the_pivot_that_is_out_of_time_parks_the_saga),
        TEST(a_catch_past_the_pivot_goes_where_it_says),
        TEST(a_state_that_is_no_step_parks_the_saga_too),
        TEST(a_pass_past_the_pivot_whose_constant_does_not_fit_can_be_skipped),
        TEST(an_output_past_the_pivot_that_does_not_fit_parks_the_saga_and_so_does_a_skip),
        TEST(a_saga_past_its_pivot_that_has_taken_all_its_steps_begins_no_step_by_a_retry),
        TEST(a_step_beside_runs_again_when_its_loop_was_parked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
