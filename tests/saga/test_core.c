#include "tests/saga/core_rig.h"

#include <stdio.h>
#include <string.h>

static const char three_steps[] =
    STATES(UNDONE("A", "a", "'ResultPath':'$.a','Next':'B'"),
           UNDONE("B", "b", "'ResultPath':'$.b','Next':'C'"), UNDONE("C", "c", "'End':true"));

/* ---- going on ---------------------------------------------------------------------------------
 */

static void each_event_asks_for_exactly_one_effect_until_the_reply(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, three_steps), rig_value("{'n':1}"));
    assert_int_equal(rig->saga_id, 1);
    struct effect a = rig_invoke(rig, "a");
    rig_nothing(rig);
    assert_true(rig_result(rig, a, "'x'"));
    struct effect b = rig_invoke(rig, "b");
    rig_nothing(rig);
    assert_int_equal(b.branch, a.branch);
    assert_int_equal(b.generation, a.generation + 1);
    assert_true(rig_result(rig, b, "2"));
    struct effect c = rig_invoke(rig, "c");
    rig_nothing(rig);
    rig_assert_value(rig_call(rig, c).input, "{'n':1,'a':'x','b':2}");
    assert_int_equal(rig_call(rig, c).output.count, 0);
    assert_true(rig_result(rig, c, NULL));
    struct effect reply = rig_reply(rig, OUTCOME_SUCCEEDED);
    rig_nothing(rig);
    assert_true(reply.id == 1);
    rig_assert_empty(rig);
    struct core_totals totals = core_totals(rig->core);
    assert_true(totals.started == 1 && totals.succeeded == 1 && totals.ended == 1);
    assert_true(totals.steps == 3 && totals.steps_ended == 3);
    assert_true(totals.failed + totals.compensated + totals.stuck + totals.retries == 0);
}

static void a_branch_can_be_looked_at_while_it_stands(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, three_steps), rig_value("{}"));
    struct effect a = rig_invoke(rig, "a");
    struct core_branch_view view;
    assert_int_equal(core_branches_count(rig->core), 1);
    assert_true(core_view_branch(rig->core, a.branch, &view));
    assert_true(view.saga_id == 1 && view.phase == PHASE_WAITING && view.step_no == 1);
    assert_true(view.attempt_no == 1 && view.outcome == OUTCOME_RUNNING);
    assert_string_equal(view.state, "A");
    assert_int_equal(core_saga_error(rig->core, a.branch).count, 0);
    assert_false(core_view_branch(rig->core, a.branch + 1, &view));
    rig_error(rig, a, "No", false);
    assert_false(core_view_branch(rig->core, a.branch, &view));
}

static void a_result_goes_where_result_path_says(void **state)
{
    static const struct {
        const char *fields, *output, *next_input;
    } cases[] = {
        {"", "[1,2]", "[1,2]"},
        {"'ResultPath':'$',", "{'m':2}", "{'m':2}"},
        {"'ResultPath':null,", "{'m':2}", "{'n':1}"},
        {"'ResultPath':'$.r',", "{'m':2}", "{'n':1,'r':{'m':2}}"},
        {"'ResultPath':'$.n',", "true", "{'n':true}"},
        {"'ResultPath':'$.a.b',", "7", "{'n':1,'a':{'b':7}}"},
        {"", NULL, "null"},
        {"'ResultPath':'$.r',", NULL, "{'n':1,'r':null}"},
        {"'ResultPath':null,", NULL, "{'n':1}"},
    };
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1000];
        snprintf(text, sizeof text,
                 STATES(TASK("A", "a", "%s'Next':'B'"), TASK("B", "b", "'End':true")),
                 cases[i].fields);
        rig_start(rig, rig_add(rig, text), rig_value("{'n':1}"));
        struct effect a = rig_invoke(rig, "a");
        assert_int_equal(core_needs_output(rig->core, a.branch), strstr(text, "null") == NULL);
        assert_true(rig_result(rig, a, cases[i].output));
        struct effect b = rig_invoke(rig, "b");
        rig_assert_value(rig_call(rig, b).input, cases[i].next_input);
        rig_result(rig, b, NULL);
        rig_reply(rig, OUTCOME_SUCCEEDED);
    }
    rig_assert_empty(rig);
}

static void an_output_that_only_the_compensation_reads_is_needed(void **state)
{
    struct rig *rig = *state;
    uint32_t plan =
        rig_add(rig, STATES(UNDONE("A", "a", "'ResultPath':null,'Next':'F'"), FAIL("F", "No")));
    rig_start(rig, plan, rig_value("{}"));
    struct effect a = rig_invoke(rig, "a");
    assert_true(core_needs_output(rig->core, a.branch));
    rig_result(rig, a, "5");
    struct effect undo = rig_invoke(rig, "undo_a");
    assert_false(core_needs_output(rig->core, undo.branch));
    rig_assert_value(rig_call(rig, undo).output, "5");
}

static const char choices[] =
    STATES(STATE("Pass", "A", "'Result':{'k':[1]},'ResultPath':'$.p','Next':'B'"),
           STATE("Choice", "B",
                 "'Choices':[{'Variable':'$.n','NumericGreaterThan':10,'Next':'Big'},"
                 "{'Variable':'$.n','NumericEquals':0,'Next':'Done'}]"),
           TASK("Big", "big", "'Next':'Done'"), "'Done':{'Type':'Succeed'}");

static void pass_and_choice_states_are_walked_at_once(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, choices);
    rig_start(rig, plan, rig_value("{'n':11}"));
    struct effect big = rig_invoke(rig, "big");
    rig_assert_value(rig_call(rig, big).input, "{'n':11,'p':{'k':[1]}}");
    assert_int_equal(rig_call(rig, big).step_no, 1);
    rig_result(rig, big, NULL);
    rig_reply(rig, OUTCOME_SUCCEEDED);
    rig_start(rig, plan, rig_value("{'n':0}"));
    rig_reply(rig, OUTCOME_SUCCEEDED);
    rig_nothing(rig);
    rig_assert_empty(rig);
}

static void no_choice_that_matches_fails_the_saga(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, choices), rig_value("{'n':5}"));
    rig_reply(rig, OUTCOME_FAILED);
    rig_nothing(rig);
    assert_int_equal(rig_errors_count(rig, "States.NoChoiceMatched"), 1);
    rig_assert_empty(rig);
}

/* ---- compensation -----------------------------------------------------------------------------
 */

static void completed_steps_are_compensated_last_first_with_what_they_had(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, three_steps), rig_value("{'n':1}"));
    rig_result(rig, rig_invoke(rig, "a"), "{'got':'a'}");
    rig_result(rig, rig_invoke(rig, "b"), NULL);
    rig_error(rig, rig_invoke(rig, "c"), "Refused", false);
    struct effect undo_b = rig_invoke(rig, "undo_b");
    rig_nothing(rig);
    rig_assert_error(rig, undo_b, "{'Error':'Refused','Cause':'why'}");
    struct core_invocation call = rig_call(rig, undo_b);
    assert_true(call.phase == FLYOVER_COMPENSATION && call.step_no == 2 && call.attempt_no == 1);
    rig_assert_value(call.input, "{'n':1,'a':{'got':'a'}}");
    assert_int_equal(call.output.count, 0);
    rig_result(rig, undo_b, "'what a compensation says is dropped'");
    struct effect undo_a = rig_invoke(rig, "undo_a");
    rig_assert_value(rig_call(rig, undo_a).input, "{'n':1}");
    rig_assert_value(rig_call(rig, undo_a).output, "{'got':'a'}");
    assert_int_equal(rig_call(rig, undo_a).step_no, 1);
    rig_result(rig, undo_a, NULL);
    rig_reply(rig, OUTCOME_COMPENSATED);
    rig_nothing(rig);
    assert_int_equal(rig_errors_count(rig, "Refused"), 1);
    struct core_totals totals = core_totals(rig->core);
    assert_true(totals.compensated == 1 && totals.steps == 5 && totals.steps_ended == 5);
    rig_assert_empty(rig);
}

static void a_step_without_compensation_is_passed_over(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, STATES(UNDONE("A", "a", "'Next':'B'"),
                                        TASK("B", "b", "'Next':'F'"), FAIL("F", "Own")));
    rig_start(rig, plan, rig_value("{}"));
    rig_result(rig, rig_invoke(rig, "a"), "1");
    rig_result(rig, rig_invoke(rig, "b"), "2");
    struct effect undo_a = rig_invoke(rig, "undo_a");
    rig_assert_error(rig, undo_a, "{'Error':'Own','Cause':'why'}");
    rig_result(rig, undo_a, NULL);
    rig_reply(rig, OUTCOME_COMPENSATED);
    rig_assert_empty(rig);
}

static void a_saga_with_nothing_to_undo_has_failed(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, three_steps), rig_value("{}"));
    rig_error(rig, rig_invoke(rig, "a"), "Refused", false);
    rig_reply(rig, OUTCOME_FAILED);
    assert_int_equal(core_totals(rig->core).failed, 1);
    rig_assert_empty(rig);
}

static void a_compensation_is_tried_again_and_then_parks_the_saga(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, three_steps), rig_value("{}"));
    rig_result(rig, rig_invoke(rig, "a"), "1");
    rig_result(rig, rig_invoke(rig, "b"), "2");
    rig_error(rig, rig_invoke(rig, "c"), "Refused", false);
    rig_error(rig, rig_invoke(rig, "undo_b"), "Busy", true);
    rig_timer(rig, rig_sleep(rig, 5000));
    rig_result(rig, rig_invoke(rig, "undo_b"), NULL);
    /* The next compensation has a budget of its own. */
    rig_error(rig, rig_invoke(rig, "undo_a"), "Busy", true);
    rig_timer(rig, rig_sleep(rig, 5000));
    rig_error(rig, rig_invoke(rig, "undo_a"), "Busy", true);
    rig_timer(rig, rig_sleep(rig, 10000));
    struct effect undo_a = rig_invoke(rig, "undo_a");
    assert_int_equal(rig_call(rig, undo_a).attempt_no, 3);
    rig_error(rig, undo_a, "Busy", true);
    rig_reply(rig, OUTCOME_STUCK);
    rig_nothing(rig);
    struct core_branch_view view;
    assert_true(core_view_branch(rig->core, undo_a.branch, &view));
    assert_true(view.phase == PHASE_STUCK && view.outcome == OUTCOME_STUCK);
    assert_string_equal(view.state, "A");
    rig_assert_error(rig, undo_a, "{'Error':'Refused','Cause':'why'}");
    struct core_totals totals = core_totals(rig->core);
    assert_true(totals.stuck == 1 && totals.ended == 0 && totals.retries == 3);
    assert_true(totals.steps == 5 && totals.steps_ended == 0);
    assert_int_equal(core_sagas_live(rig->core), 1);
}

static void a_refused_compensation_parks_the_saga_at_once(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, three_steps), rig_value("{}"));
    rig_result(rig, rig_invoke(rig, "a"), "1");
    rig_error(rig, rig_invoke(rig, "b"), "Refused", false);
    rig_error(rig, rig_invoke(rig, "undo_a"), "Busy", false);
    rig_reply(rig, OUTCOME_STUCK);
    rig_nothing(rig);
}

/* ---- retry ------------------------------------------------------------------------------------
 */

static void each_retrier_has_a_budget_of_its_own(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(
        rig,
        STATES(
            TASK("A", "a",
                 "'Retry':[" RETRY("'X','Y'", 2, ",'IntervalSeconds':1,'BackoffRate':3") "," RETRY(
                     "'Z'", 1, ",'IntervalSeconds':7") "," RETRY("'States.ALL'", 0,
                                                                 "") "],'Next':'B'"),
            TASK("B", "b", "'Retry':[" RETRY("'X'", 1, "") "],'End':true")));
    rig_start(rig, plan, rig_value("{}"));
    rig_error(rig, rig_invoke(rig, "a"), "X", true);
    rig_timer(rig, rig_sleep(rig, 1000));
    rig_error(rig, rig_invoke(rig, "a"), "Z", true);
    rig_timer(rig, rig_sleep(rig, 7000));
    rig_error(rig, rig_invoke(rig, "a"), "Y", true);
    rig_timer(rig, rig_sleep(rig, 3000));
    rig_result(rig, rig_invoke(rig, "a"), NULL);
    rig_error(rig, rig_invoke(rig, "b"), "X", true);
    rig_timer(rig, rig_sleep(rig, 1000));
    rig_error(rig, rig_invoke(rig, "b"), "X", true);
    rig_reply(rig, OUTCOME_FAILED);
    assert_int_equal(core_totals(rig->core).retries, 4);
    rig_start(rig, plan, rig_value("{}"));
    rig_error(rig, rig_invoke(rig, "a"), "Z", true);
    rig_timer(rig, rig_sleep(rig, 7000));
    rig_error(rig, rig_invoke(rig, "a"), "Z", true);
    rig_reply(rig, OUTCOME_FAILED);
    rig_start(rig, plan, rig_value("{}"));
    rig_error(rig, rig_invoke(rig, "a"), "Any", true);
    rig_reply(rig, OUTCOME_FAILED);
    rig_assert_empty(rig);
}

static void a_refusal_is_not_tried_again(void **state)
{
    struct rig *rig = *state;
    uint32_t plan =
        rig_add(rig, STATES(TASK("A", "a", "'Retry':[" RETRY("'X'", 9, "") "],'End':true")));
    rig_start(rig, plan, rig_value("{}"));
    rig_error(rig, rig_invoke(rig, "a"), "X", false);
    rig_reply(rig, OUTCOME_FAILED);
    assert_int_equal(core_totals(rig->core).retries, 0);
}

/* More than a byte counts. */
static void a_long_budget_ends_where_it_says(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(
        rig,
        STATES(TASK("A", "a", "'Retry':[" RETRY("'X'", 300, ",'BackoffRate':1") "],'End':true")));
    rig_start(rig, plan, rig_value("{}"));
    for (uint32_t attempt_no = 1; attempt_no <= 300; attempt_no++) {
        struct effect a = rig_invoke(rig, "a");
        assert_int_equal(rig_call(rig, a).attempt_no, attempt_no);
        rig_error(rig, a, "X", true);
        rig_timer(rig, rig_sleep(rig, 1000));
    }
    rig_error(rig, rig_invoke(rig, "a"), "X", true);
    rig_reply(rig, OUTCOME_FAILED);
}

static void jitter_spreads_sagas_and_is_the_same_in_every_replay(void **state)
{
    enum { SAGAS_COUNT = 40 };
    static const char definition[] =
        STATES(TASK("A", "a",
                    "'Retry':[{'ErrorEquals':['X'],'IntervalSeconds':100,'MaxAttempts':5,"
                    "'JitterStrategy':'FULL'}],'End':true"));
    struct rig *rig = *state, twin;
    rig_open(&twin, 64, 16u << 20);
    uint32_t plan = rig_add(rig, definition);
    assert_int_equal(rig_add(&twin, definition), plan);
    int64_t least_ms = INT64_MAX, most_ms = -1;
    for (uint32_t i = 0; i < SAGAS_COUNT; i++) {
        rig_start(rig, plan, rig_value("{}"));
        rig_start(&twin, plan, rig_value("{}"));
        struct effect a = rig_invoke(rig, "a"), twin_a = rig_invoke(&twin, "a");
        rig_error(rig, a, "X", true);
        rig_error(&twin, twin_a, "X", true);
        int64_t due_ms = rig_due_ms(rig, a);
        assert_int_equal(rig_due_ms(&twin, twin_a), due_ms);
        assert_in_range(due_ms - rig->now_ms, 0, 100000);
        least_ms = due_ms < least_ms ? due_ms : least_ms;
        most_ms = due_ms > most_ms ? due_ms : most_ms;
        rig_sleep(rig, due_ms - rig->now_ms);
        rig_sleep(&twin, due_ms - twin.now_ms);
    }
    assert_true(most_ms - least_ms > 50000);
    assert_true(rig_same(core_digest(rig->core), core_digest(twin.core)));
    rig_close(&twin);
}

/* ---- catch ------------------------------------------------------------------------------------
 */

static void a_caught_error_goes_on_where_catch_says_with_the_error_in_its_place(void **state)
{
    static const struct {
        const char *fields, *next_input;
    } cases[] = {
        {"", "{'Error':'Refused','Cause':'why'}"},
        {"'ResultPath':'$.error',", "{'n':1,'error':{'Error':'Refused','Cause':'why'}}"},
        {"'ResultPath':null,", "{'n':1}"},
    };
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1000];
        snprintf(text, sizeof text,
                 STATES(UNDONE("A", "a",
                               "'Catch':[{'ErrorEquals':['Other'],'Next':'A'},{'ErrorEquals':"
                               "['Refused'],%s'Next':'B'}],'End':true"),
                        TASK("B", "b", "'End':true")),
                 cases[i].fields);
        rig_start(rig, rig_add(rig, text), rig_value("{'n':1}"));
        rig_error(rig, rig_invoke(rig, "a"), "Refused", false);
        struct effect b = rig_invoke(rig, "b");
        rig_assert_value(rig_call(rig, b).input, cases[i].next_input);
        assert_int_equal(core_saga_error(rig->core, b.branch).count, 0);
        /* The step that was caught did not complete: there is nothing to undo. */
        rig_error(rig, b, "Late", false);
        rig_reply(rig, OUTCOME_FAILED);
    }
    assert_int_equal(rig_errors_count(rig, "Refused"), 0);
    assert_int_equal(rig_errors_count(rig, "Late"), 3);
    rig_assert_empty(rig);
}

static void what_completed_before_a_catch_is_still_compensated_after_it(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(
        rig,
        STATES(UNDONE("A", "a", "'Next':'B'"),
               UNDONE("B", "b",
                      "'Retry':[" RETRY("'X'", 1, "") "],'Catch':[{'ErrorEquals':"
                                                      "['States.ALL'],'Next':'C'}],'Next':'C'"),
               TASK("C", "c", "'End':true")));
    rig_start(rig, plan, rig_value("{}"));
    rig_result(rig, rig_invoke(rig, "a"), "1");
    rig_error(rig, rig_invoke(rig, "b"), "X", true);
    rig_timer(rig, rig_sleep(rig, 1000));
    rig_error(rig, rig_invoke(rig, "b"), "X", true);
    rig_error(rig, rig_invoke(rig, "c"), "Y", true);
    rig_result(rig, rig_invoke(rig, "undo_a"), NULL);
    rig_reply(rig, OUTCOME_COMPENSATED);
    assert_int_equal(rig_errors_count(rig, "Y"), 1);
    rig_assert_empty(rig);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_event_asks_for_exactly_one_effect_until_the_reply),
        TEST(a_branch_can_be_looked_at_while_it_stands),
        TEST(a_result_goes_where_result_path_says),
        TEST(an_output_that_only_the_compensation_reads_is_needed),
        TEST(pass_and_choice_states_are_walked_at_once),
        TEST(no_choice_that_matches_fails_the_saga),
        TEST(completed_steps_are_compensated_last_first_with_what_they_had),
        TEST(a_step_without_compensation_is_passed_over),
        TEST(a_saga_with_nothing_to_undo_has_failed),
        TEST(a_compensation_is_tried_again_and_then_parks_the_saga),
        TEST(a_refused_compensation_parks_the_saga_at_once),
        TEST(each_retrier_has_a_budget_of_its_own),
        TEST(a_refusal_is_not_tried_again),
        TEST(a_long_budget_ends_where_it_says),
        TEST(jitter_spreads_sagas_and_is_the_same_in_every_replay),
        TEST(a_caught_error_goes_on_where_catch_says_with_the_error_in_its_place),
        TEST(what_completed_before_a_catch_is_still_compensated_after_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
