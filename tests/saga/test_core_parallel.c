#include "tests/saga/core_rig.h"

#include <string.h>

/* Compensations in parallel: several branches carry one saga back. */

#define FOUR(undo, ...)                                                                            \
    SAGA(PARALLEL, UNDONE_BY("A", "a", undo, "'Next':'B'"),                                        \
         UNDONE_BY("B", "b", undo, "'Next':'C'"), UNDONE_BY("C", "c", undo, "'Next':'D'"),         \
         UNDONE_BY("D", "d", undo, "'Next':'E'"), __VA_ARGS__)

static const char four[] =
    FOUR(",'Retry':[" RETRY("'Busy'", 2, "") "]", TASK("E", "e", "'End':true"));

static const char *const handlers[] = {"a", "b", "c", "d"};

/* All four are done and the saga fails; undos[i] undoes handlers[i]. */
static void fail_with_four(struct rig *rig, uint32_t plan, struct effect undos[4])
{
    rig_start(rig, plan, rig_value("0"));
    for (int i = 0; i < 4; i++) {
        char output[2] = {(char)('1' + i), '\0'};
        rig_result(rig, rig_invoke(rig, handlers[i]), output);
    }
    rig_error(rig, rig_invoke(rig, "e"), "No", false);
    for (int i = 3; i >= 0; i--) {
        char handler[] = {'u', 'n', 'd', 'o', '_', handlers[i][0], '\0'};
        undos[i] = rig_invoke(rig, handler);
    }
    rig_nothing(rig);
}

static uint32_t carriers_of(const struct rig *rig, uint64_t saga_id)
{
    uint32_t at = CORE_NO_SAGA, count = 0;
    while (core_next_branch(rig->core, core_find_saga(rig->core, saga_id), &at))
        count++;
    return count;
}

static void all_that_was_done_is_asked_to_be_undone_at_once_the_last_first(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, four);
    static const int orders[][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}};
    for (int order = 0; order < 3; order++) {
        struct effect undos[4];
        fail_with_four(rig, plan, undos);
        for (int i = 0; i < 4; i++) {
            struct core_invocation call = rig_call(rig, undos[i]);
            char input[2] = {(char)('0' + i), '\0'}, output[2] = {(char)('1' + i), '\0'};
            assert_int_equal(call.phase, FLYOVER_COMPENSATION);
            assert_int_equal(call.step_no, i + 1);
            assert_int_equal(call.attempt_no, 1);
            rig_assert_value(call.input, input);
            rig_assert_value(call.output, output);
            rig_assert_error(rig, undos[i], "{'Error':'No','Cause':'why'}");
            for (int j = 0; j < i; j++)
                assert_int_not_equal(undos[i].branch, undos[j].branch);
        }
        for (int i = 0; i < 4; i++) {
            rig_nothing(rig);
            assert_int_equal(carriers_of(rig, rig->saga_id), 4 - i);
            assert_true(rig_result(rig, undos[orders[order][i]], NULL));
            assert_false(rig_result(rig, undos[orders[order][i]], NULL));
        }
        rig_reply(rig, OUTCOME_COMPENSATED);
        rig_nothing(rig);
        rig_assert_empty(rig);
    }
    struct core_totals totals = core_totals(rig->core);
    assert_true(totals.compensated == 3 && totals.ended == 3 && totals.steps_ended == 3 * 9);
}

static void a_saga_that_had_done_one_thing_or_nothing_needs_no_more_branches(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, four);
    rig_start(rig, plan, rig_value("{}"));
    rig_error(rig, rig_invoke(rig, "a"), "No", false);
    rig_reply(rig, OUTCOME_FAILED);
    rig_start(rig, plan, rig_value("{}"));
    rig_result(rig, rig_invoke(rig, "a"), NULL);
    rig_error(rig, rig_invoke(rig, "b"), "No", false);
    struct effect undo = rig_invoke(rig, "undo_a");
    rig_nothing(rig);
    assert_int_equal(carriers_of(rig, undo.id), 1);
    rig_result(rig, undo, NULL);
    rig_reply(rig, OUTCOME_COMPENSATED);
    rig_assert_empty(rig);
}

/* Two Tasks in a loop: two at a time, however often they were done. */
static void no_more_are_undone_at_the_same_time_than_there_are_steps_to_undo(void **state)
{
    struct rig *rig = *state;
    uint32_t plan =
        rig_add(rig, SAGA(PARALLEL, UNDONE("A", "a", "'ResultPath':null,'Next':'B'"),
                          UNDONE("B", "b", "'ResultPath':'$.b','Next':'C'"),
                          STATE("Choice", "C",
                                "'Choices':[{'Variable':'$.b','NumericEquals':0,'Next':'A'}],"
                                "'Default':'F'"),
                          FAIL("F", "Own")));
    assert_int_equal(core_plan(rig->core, plan)->undo_branches, 2);
    rig_start(rig, plan, rig_value("{}"));
    for (int turn = 3; turn >= 0; turn--) {
        rig_result(rig, rig_invoke(rig, "a"), NULL);
        rig_result(rig, rig_invoke(rig, "b"), turn > 0 ? "0" : "1");
    }
    struct effect at_work[2] = {rig_invoke(rig, "undo_b"), rig_invoke(rig, "undo_a")};
    uint32_t next_step_no = 6;
    bool undone[9] = {false};
    for (int i = 0; i < 8; i++) {
        rig_nothing(rig);
        int slower = i % 3 == 0;
        struct core_invocation call = rig_call(rig, at_work[slower]);
        assert_false(undone[call.step_no]);
        undone[call.step_no] = true;
        rig_result(rig, at_work[slower], NULL);
        if (next_step_no == 0) {
            at_work[slower] = at_work[!slower];
            continue;
        }
        at_work[slower] = rig_invoke(rig, next_step_no % 2 ? "undo_a" : "undo_b");
        assert_int_equal(rig_call(rig, at_work[slower]).step_no, next_step_no--);
    }
    rig_reply(rig, OUTCOME_COMPENSATED);
    rig_nothing(rig);
    rig_assert_empty(rig);
}

/* ---- stuck -----------------------------------------------------------------------------------
 */

static void one_that_is_stuck_does_not_hold_up_the_others(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, four);
    static const enum mend_action actions[] = {MEND_RETRY, MEND_SKIP, MEND_RESOLVE};
    for (int i = 0; i < 3; i++) {
        struct effect undos[4];
        fail_with_four(rig, plan, undos);
        uint64_t id = rig->saga_id;
        rig_error(rig, undos[3], "No", false);
        rig_reply(rig, OUTCOME_STUCK);
        assert_int_equal(rig_abort(rig, id), STATUS_INVALID);
        rig_error(rig, undos[1], "Busy", true);
        struct effect pause = rig_sleep(rig, 1000);
        rig_restart(rig);
        rig_result(rig, undos[0], NULL);
        rig_timer(rig, pause);
        rig_result(rig, rig_invoke(rig, "undo_b"), NULL);
        rig_result(rig, undos[2], NULL);
        rig_nothing(rig);
        assert_int_equal(carriers_of(rig, id), 1);
        assert_int_equal(rig->core->completed_pool.used, 1);
        assert_int_equal(core_totals(rig->core).stuck, 1);
        assert_int_equal(rig_mend(rig, id, actions[i], NULL), STATUS_OK);
        if (actions[i] == MEND_RETRY) {
            struct effect undo = rig_invoke(rig, "undo_d");
            assert_int_equal(rig_call(rig, undo).step_no, 4);
            rig_result(rig, undo, NULL);
        }
        rig_reply_to_nobody(rig, OUTCOME_COMPENSATED);
        rig_nothing(rig);
        assert_int_equal(core_totals(rig->core).stuck, 0);
        rig_assert_empty(rig);
    }
    assert_int_equal(rig_errors_count(rig, "No"), 3);
}

static void a_saga_that_is_stuck_at_several_counts_once_and_is_mended_at_once(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, four);
    static const enum mend_action actions[] = {MEND_RETRY, MEND_SKIP, MEND_RESOLVE};
    for (int i = 0; i < 3; i++) {
        struct effect undos[4];
        fail_with_four(rig, plan, undos);
        uint64_t id = rig->saga_id;
        rig_error(rig, undos[2], "No", false);
        rig_reply(rig, OUTCOME_STUCK);
        rig_error(rig, undos[0], "No", false);
        rig_reply_to_nobody(rig, OUTCOME_STUCK);
        assert_int_equal(core_totals(rig->core).stuck, 1);
        rig_result(rig, undos[1], NULL);
        assert_int_equal(rig_mend(rig, id, actions[i], NULL), STATUS_OK);
        assert_int_equal(rig_mend(rig, id, actions[i], NULL), STATUS_INVALID);
        assert_int_equal(core_totals(rig->core).stuck, 0);
        if (actions[i] == MEND_RETRY) {
            /* Newest branch first. */
            struct effect a = rig_invoke(rig, "undo_a"), c = rig_invoke(rig, "undo_c");
            rig_nothing(rig);
            rig_result(rig, a, NULL);
            rig_error(rig, c, "No", false);
            rig_reply_to_nobody(rig, OUTCOME_STUCK);
            assert_int_equal(core_totals(rig->core).stuck, 1);
            assert_int_equal(rig_mend(rig, id, MEND_SKIP, NULL), STATUS_OK);
        }
        rig_nothing(rig);
        rig_result(rig, undos[3], NULL);
        rig_reply_to_nobody(rig, OUTCOME_COMPENSATED);
        rig_nothing(rig);
        rig_assert_empty(rig);
    }
}

/* Those at work are not stuck: what they are at is not resolved, but waited for. */
static void a_mending_leaves_those_that_are_at_work_alone(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, four);
    struct effect undos[4];
    fail_with_four(rig, plan, undos);
    rig_error(rig, undos[3], "No", false);
    rig_reply(rig, OUTCOME_STUCK);
    rig_error(rig, undos[0], "Busy", true);
    struct effect pause = rig_sleep(rig, 1000);
    assert_int_equal(rig_mend(rig, 1, MEND_RESOLVE, NULL), STATUS_OK);
    rig_nothing(rig);
    rig_result(rig, undos[1], NULL);
    rig_result(rig, undos[2], NULL);
    rig_timer(rig, pause);
    rig_result(rig, rig_invoke(rig, "undo_a"), NULL);
    rig_reply_to_nobody(rig, OUTCOME_COMPENSATED);
    rig_assert_empty(rig);
}

/* ---- abort, and beside -----------------------------------------------------------------------
 */

static void an_abort_waits_for_all_compensations_at_hand(void **state)
{
    struct rig *rig = *state;
    struct effect undos[4];
    fail_with_four(rig, rig_add(rig, four), undos);
    rig_error(rig, undos[2], "Busy", true);
    struct effect pause = rig_sleep(rig, 1000);
    assert_int_equal(rig_abort(rig, 1), STATUS_OK);
    rig_nothing(rig);
    assert_int_equal(carriers_of(rig, 1), 3);
    assert_false(rig_timer(rig, pause));
    rig_result(rig, undos[0], NULL);
    rig_error(rig, undos[3], "Busy", true);
    rig_nothing(rig);
    rig_error(rig, undos[1], "No", false);
    rig_reply(rig, OUTCOME_ABORTED);
    rig_nothing(rig);
    rig_assert_empty(rig);
    assert_int_equal(core_totals(rig->core).aborted, 1);
}

static void a_cancelled_saga_undoes_in_parallel_too(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, FOUR("", SIGNAL("E", "go", "'End':true"))), rig_value("0"));
    for (int i = 0; i < 4; i++)
        rig_result(rig, rig_invoke(rig, handlers[i]), NULL);
    rig_sleep_for_ever(rig);
    assert_int_equal(rig_cancel(rig, 1), STATUS_OK);
    struct effect d = rig_invoke(rig, "undo_d"), c = rig_invoke(rig, "undo_c");
    struct effect b = rig_invoke(rig, "undo_b"), a = rig_invoke(rig, "undo_a");
    assert_int_equal(rig_cancel(rig, 1), STATUS_EXISTS);
    rig_result(rig, a, NULL);
    rig_result(rig, c, NULL);
    rig_result(rig, d, NULL);
    rig_result(rig, b, NULL);
    rig_reply(rig, OUTCOME_COMPENSATED);
    rig_assert_empty(rig);
}

static void a_detached_step_runs_beside_and_outlives_them(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, SAGA(PARALLEL, TASK("A", "f", "'FireAndForget':true,'Next':'B'"),
                                      UNDONE("B", "b", "'Next':'C'"),
                                      UNDONE("C", "c", "'Next':'F'"), FAIL("F", "Own")));
    for (int order = 0; order < 3; order++) {
        rig_start(rig, plan, rig_value("{}"));
        struct effect f = rig_invoke(rig, "f");
        rig_result(rig, rig_invoke(rig, "b"), NULL);
        rig_result(rig, rig_invoke(rig, "c"), NULL);
        struct effect c = rig_invoke(rig, "undo_c"), b = rig_invoke(rig, "undo_b");
        assert_int_equal(carriers_of(rig, f.id), 3);
        if (order == 0)
            rig_result(rig, f, NULL);
        rig_result(rig, c, NULL);
        rig_nothing(rig);
        if (order == 1)
            rig_result(rig, f, NULL);
        rig_result(rig, b, NULL);
        rig_reply(rig, OUTCOME_COMPENSATED);
        if (order == 2)
            rig_result(rig, f, NULL);
        rig_nothing(rig);
        rig_assert_empty(rig);
    }
}

/* 128 branches for 64 sagas: 32 of four each, all of which may fail at the same time. */
static void branches_for_compensations_are_kept_from_the_start(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, four);
    struct effect at[32], undos[32][4];
    for (int i = 0; i < 32; i++) {
        assert_true(core_can_start(rig->core, plan, &rig->effects));
        rig_start(rig, plan, rig_value("0"));
        at[i] = rig_invoke(rig, "a");
    }
    assert_false(core_can_start(rig->core, plan, &rig->effects));
    for (int step = 0; step < 4; step++)
        for (int i = 0; i < 32; i++) {
            rig_result(rig, at[i], NULL);
            at[i] = rig_invoke(rig, step < 3 ? handlers[step + 1] : "e");
        }
    for (int i = 0; i < 32; i++) {
        rig_error(rig, at[i], "No", false);
        for (int j = 3; j >= 0; j--)
            undos[i][j] = rig->effects.items[rig->effects.head++];
    }
    assert_int_equal(rig->core->branches_pool.used, 128);
    for (int j = 0; j < 4; j++)
        for (int i = 0; i < 32; i++) {
            assert_false(core_can_start(rig->core, plan, &rig->effects));
            rig_result(rig, undos[i][j], NULL);
            if (j == 3) {
                rig_reply(rig, OUTCOME_COMPENSATED);
                break;
            }
        }
    assert_true(core_can_start(rig->core, plan, &rig->effects));
    for (int i = 1; i < 32; i++) {
        rig_result(rig, undos[i][3], NULL);
        rig_reply(rig, OUTCOME_COMPENSATED);
    }
    rig_assert_empty(rig);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_that_was_done_is_asked_to_be_undone_at_once_the_last_first),
        TEST(a_saga_that_had_done_one_thing_or_nothing_needs_no_more_branches),
        TEST(no_more_are_undone_at_the_same_time_than_there_are_steps_to_undo),
        TEST(one_that_is_stuck_does_not_hold_up_the_others),
        TEST(a_saga_that_is_stuck_at_several_counts_once_and_is_mended_at_once),
        TEST(a_mending_leaves_those_that_are_at_work_alone),
        TEST(an_abort_waits_for_all_compensations_at_hand),
        TEST(a_cancelled_saga_undoes_in_parallel_too),
        TEST(a_detached_step_runs_beside_and_outlives_them),
        TEST(branches_for_compensations_are_kept_from_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
