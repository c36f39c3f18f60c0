#include "tests/saga/core_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Answers from outside: signals by name, and steps that a token ends. */

static const char paid[] =
    STATES(SIGNAL("A", "paid", "'ResultPath':'$.paid','Next':'B'"),
           TASK("B", "b", "'ResultPath':null,'Next':'C'"),
           SIGNAL("C", "sent", "'ResultPath':'$.sent','Next':'D'"), TASK("D", "d", "'End':true"));

static uint32_t kept_count(const struct rig *rig)
{
    return rig->core->completed_pool.used;
}

/* ---- signals ---------------------------------------------------------------------------------
 */

static void a_signal_that_is_waited_for_is_the_answer(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, paid), rig_value("{}"));
    struct effect timer = rig_sleep_for_ever(rig);
    rig_nothing(rig);
    assert_int_equal(rig_phase(rig, timer.branch), PHASE_AWAITING);
    rig_restart(rig);
    assert_int_equal(rig_signal(rig, 1, "paid", "{'by':'card'}"), STATUS_OK);
    struct effect b = rig_invoke(rig, "b");
    rig_assert_value(rig_call(rig, b).input, "{'paid':{'by':'card'}}");
    assert_int_equal(rig_call(rig, b).step_no, 2);
    assert_int_equal(kept_count(rig), 0);
    rig_result(rig, b, NULL);
    rig_sleep_for_ever(rig);
    assert_int_equal(rig_signal(rig, 1, "sent", "2"), STATUS_OK);
    rig_result(rig, rig_invoke(rig, "d"), NULL);
    rig_reply_to_nobody(rig, OUTCOME_SUCCEEDED);
    assert_int_equal(core_totals(rig->core).steps, 4);
    assert_int_equal(core_totals(rig->core).steps_ended, 4);
    assert_int_equal(core_totals(rig->core).signals, 2);
    rig_assert_empty(rig);
}

static void a_signal_that_comes_early_is_kept_until_it_is_waited_for(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, paid), rig_value("{}"));
    rig_sleep_for_ever(rig);
    assert_int_equal(rig_signal(rig, 1, "sent", "'early'"), STATUS_OK);
    assert_int_equal(kept_count(rig), 1);
    rig_nothing(rig);
    rig_restart(rig);
    assert_int_equal(rig_signal(rig, 1, "paid", "1"), STATUS_OK);
    rig_result(rig, rig_invoke(rig, "b"), NULL);
    rig_sleep_for_ever(rig);
    struct effect d = rig_invoke(rig, "d");
    rig_assert_value(rig_call(rig, d).input, "{'paid':1,'sent':'early'}");
    assert_int_equal(kept_count(rig), 0);
    rig_result(rig, d, NULL);
    rig_reply_to_nobody(rig, OUTCOME_SUCCEEDED);
    assert_int_equal(core_totals(rig->core).steps_ended, 4);
    rig_assert_empty(rig);
}

/* Three states wait for one signal each, the middle one for another. */
static const char in_a_row[] =
    STATES(TASK("A", "a", "'ResultPath':null,'Next':'B'"),
           SIGNAL("B", "x", "'ResultPath':'$.b','Next':'C'"),
           SIGNAL("C", "y", "'ResultPath':'$.c','Next':'D'"),
           SIGNAL("D", "x", "'ResultPath':'$.d','Next':'E'"), TASK("E", "e", "'End':true"));

static void several_kept_signals_answer_in_a_row_each_name_in_its_order(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, in_a_row), rig_value("{}"));
    struct effect a = rig_invoke(rig, "a");
    assert_int_equal(rig_signal(rig, 1, "x", "1"), STATUS_OK);
    assert_int_equal(rig_signal(rig, 1, "x", "2"), STATUS_OK);
    assert_int_equal(rig_signal(rig, 1, "y", "3"), STATUS_OK);
    assert_int_equal(rig_signal(rig, 1, "x", "4"), STATUS_OK);
    rig_nothing(rig);
    rig_result(rig, a, NULL);
    for (int i = 0; i < 3; i++)
        rig_sleep_for_ever(rig);
    struct effect e = rig_invoke(rig, "e");
    rig_assert_value(rig_call(rig, e).input, "{'b':1,'c':3,'d':2}");
    assert_int_equal(kept_count(rig), 1);
    rig_result(rig, e, NULL);
    rig_reply(rig, OUTCOME_SUCCEEDED);
    rig_assert_empty(rig);
}

static void signals_that_nobody_took_are_let_go_when_the_saga_ends(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, in_a_row);
    for (int how = 0; how < 3; how++) {
        rig_start(rig, plan, rig_value("{}"));
        struct effect a = rig_invoke(rig, "a");
        for (int i = 0; i < 5; i++)
            assert_int_equal(rig_signal(rig, a.id, "y", "[1,2,3]"), STATUS_OK);
        if (how == 1)
            assert_int_equal(rig_cancel(rig, a.id), STATUS_OK);
        if (how == 2)
            assert_int_equal(rig_abort(rig, a.id), STATUS_OK);
        rig_error(rig, a, "No", false);
        rig_reply(rig, how == 2 ? OUTCOME_ABORTED : OUTCOME_FAILED);
        rig_assert_empty(rig);
    }
}

static void sixteen_signals_are_kept_and_one_more_is_refused_until_one_is_taken(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, in_a_row), rig_value("{}"));
    struct effect a = rig_invoke(rig, "a");
    for (uint32_t i = 0; i < CORE_SIGNALS_MAX; i++)
        assert_int_equal(rig_signal(rig, 1, i % 2 ? "x" : "y", "1"), STATUS_OK);
    assert_int_equal(rig_signal(rig, 1, "x", "1"), STATUS_BUSY);
    assert_int_equal(kept_count(rig), CORE_SIGNALS_MAX);
    assert_int_equal(core_totals(rig->core).signals, CORE_SIGNALS_MAX);
    rig_result(rig, a, NULL);
    for (int i = 0; i < 3; i++)
        rig_sleep_for_ever(rig);
    struct effect e = rig_invoke(rig, "e");
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(rig_signal(rig, 1, "x", "1"), STATUS_OK);
    assert_int_equal(rig_signal(rig, 1, "x", "1"), STATUS_BUSY);
    rig_result(rig, e, NULL);
    rig_reply(rig, OUTCOME_SUCCEEDED);
    rig_assert_empty(rig);
}

/* It need not be kept: were it refused, a saga could wait for it for ever. */
static void a_signal_that_is_waited_for_is_taken_though_no_more_can_be_kept(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, in_a_row), rig_value("{}"));
    rig_result(rig, rig_invoke(rig, "a"), NULL);
    rig_sleep_for_ever(rig);
    for (uint32_t i = 0; i < CORE_SIGNALS_MAX; i++)
        assert_int_equal(rig_signal(rig, 1, "y", "1"), STATUS_OK);
    assert_int_equal(rig_signal(rig, 1, "y", "1"), STATUS_BUSY);
    assert_int_equal(rig_signal(rig, 1, "x", "2"), STATUS_OK);
    for (int i = 0; i < 2; i++)
        rig_sleep_for_ever(rig);
    assert_int_equal(kept_count(rig), CORE_SIGNALS_MAX - 1);
    assert_int_equal(rig_signal(rig, 1, "x", "3"), STATUS_OK);
    rig_result(rig, rig_invoke(rig, "e"), NULL);
    rig_reply(rig, OUTCOME_SUCCEEDED);
    rig_assert_empty(rig);
}

static void no_signal_is_kept_where_there_is_no_room_for_one(void **state)
{
    (void)state;
    struct rig small;
    rig_open(&small, 1, 16u << 20);
    rig_start(&small, rig_add(&small, in_a_row), rig_value("{}"));
    struct effect a = rig_invoke(&small, "a");
    for (uint32_t i = 0; i < COMPLETED_PER_SAGA; i++)
        assert_int_equal(rig_signal(&small, 1, "y", "1"), STATUS_OK);
    assert_int_equal(rig_signal(&small, 1, "x", "1"), STATUS_BUSY);
    rig_result(&small, a, NULL);
    rig_sleep_for_ever(&small);
    assert_int_equal(rig_signal(&small, 1, "x", "1"), STATUS_OK);
    rig_sleep_for_ever(&small);
    rig_sleep_for_ever(&small);
    assert_int_equal(rig_abort(&small, 1), STATUS_OK);
    rig_reply(&small, OUTCOME_ABORTED);
    rig_assert_empty(&small);
    rig_close(&small);
}

/* A signal that was taken must not be lost: it is refused while its payload might find no room. */
static void no_signal_is_taken_where_its_payload_might_find_no_room(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, in_a_row);
    for (uint32_t i = 0; i < 8; i++) {
        rig_start(rig, plan, rig_value("{}"));
        (void)rig_invoke(rig, "a");
    }
    struct flyover_bytes name = {(const uint8_t *)"y", 1};
    struct problem problem = {.text = ""};
    uint32_t taken = 0;
    while (core_check_signal(rig->core, 1 + taken / CORE_SIGNALS_MAX, name, &problem) ==
           STATUS_OK) {
        struct event event = {.kind = EVENT_SIGNAL,
                              .signal = {.saga_id = 1 + taken / CORE_SIGNALS_MAX,
                                         .name = name,
                                         .payload = rig_large_value(FLYOVER_PAYLOAD_BYTES_MAX)}};
        assert_int_equal(rig_apply(rig, &event), STATUS_OK);
        assert_int_equal(kept_count(rig), ++taken);
    }
    assert_in_range(taken, 40, 64);
    assert_int_equal(rig_signal(rig, 8, "y", "1"), STATUS_BUSY);
}

static void a_signal_that_a_saga_never_waits_for_is_refused(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, paid), rig_value("{}"));
    rig_sleep_for_ever(rig);
    struct problem problem = {.text = ""};
    assert_int_equal(core_check_signal(rig->core, 1,
                                       (struct flyover_bytes){(const uint8_t *)"piad", 4},
                                       &problem),
                     STATUS_INVALID);
    assert_non_null(strstr(problem.text, "paid, sent"));
    assert_int_equal(rig_signal(rig, 1, "piad", "1"), STATUS_INVALID);
    assert_int_equal(rig_signal(rig, 1, "", "1"), STATUS_INVALID);
    assert_int_equal(rig_signal(rig, 2, "paid", "1"), STATUS_NOT_FOUND);
    assert_int_equal(rig_signal(rig, 0, "paid", "1"), STATUS_NOT_FOUND);
    assert_int_equal(rig_abort(rig, 1), STATUS_OK);
    rig_reply(rig, OUTCOME_ABORTED);
    assert_int_equal(rig_signal(rig, 1, "paid", "1"), STATUS_NOT_FOUND);
}

static void a_signal_without_a_payload_or_with_one_too_large_is_invalid(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, paid), rig_value("{}"));
    rig_sleep_for_ever(rig);
    struct event event = {.kind = EVENT_SIGNAL,
                          .signal = {.saga_id = 1, .name = {(const uint8_t *)"paid", 4}}};
    struct core_digest before = core_digest(rig->core);
    assert_int_equal(rig_apply(rig, &event), STATUS_INVALID);
    event.signal.payload = rig_large_value(FLYOVER_PAYLOAD_BYTES_MAX + 1);
    assert_int_equal(rig_apply(rig, &event), STATUS_INVALID);
    assert_true(rig_same(before, core_digest(rig->core)));
}

/* ---- tokens ----------------------------------------------------------------------------------
 */

static const char tokens[] =
    STATES(TOKEN("A", "a",
                 "'TimeoutSeconds':20,'Retry':[" RETRY(
                     "'X'", 1, "") "],"
                                   "'Catch':[{'ErrorEquals':['Y'],'ResultPath':'$.e','Next':'B'}],"
                                   "'ResultPath':'$.a','Next':'B'"),
           TASK("B", "b", "'End':true"));

static void an_answer_by_token_is_the_result_of_the_step(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, tokens), rig_value("{}"));
    struct effect a = rig_invoke(rig, "a");
    struct core_invocation call = rig_call(rig, a);
    assert_false(core_needs_output(rig->core, a.branch));
    assert_false(rig_answer(rig, call, "'too early'"));
    rig_result(rig, a, "'dropped'");
    /* Of another generation than the handler's: whoever answers now is not the handler. */
    assert_int_equal(rig_sleep(rig, 20000).generation, a.generation + 1);
    assert_false(rig_result(rig, a, "1"));
    assert_false(rig_error(rig, a, "X", true));
    rig_restart(rig);
    uint32_t branch = 99;
    assert_int_equal(rig_check_token(rig, call, &branch), STATUS_OK);
    assert_int_equal(branch, a.branch);
    assert_true(rig_answer(rig, call, "7"));
    struct effect b = rig_invoke(rig, "b");
    rig_assert_value(rig_call(rig, b).input, "{'a':7}");
    assert_false(rig_answer(rig, call, "8"));
    assert_int_equal(core_totals(rig->core).steps, 1);
    rig_result(rig, b, NULL);
    rig_reply_to_nobody(rig, OUTCOME_SUCCEEDED);
    assert_false(rig_answer(rig, call, "8"));
    rig_assert_empty(rig);
}

static void an_error_by_token_is_tried_again_or_caught(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, tokens), rig_value("{}"));
    struct effect a = rig_invoke(rig, "a");
    struct core_invocation first = rig_call(rig, a);
    assert_false(rig_answer_error(rig, first, "X", true));
    rig_result(rig, a, NULL);
    rig_sleep(rig, 20000);
    assert_true(rig_answer_error(rig, first, "X", true));
    struct effect pause = rig_sleep(rig, 1000);
    assert_false(rig_answer(rig, first, "1"));
    rig_timer(rig, pause);
    struct effect again = rig_invoke(rig, "a");
    struct core_invocation second = rig_call(rig, again);
    assert_int_equal(second.attempt_no, 2);
    assert_int_equal(second.step_no, first.step_no);
    rig_result(rig, again, NULL);
    rig_sleep(rig, 20000);
    assert_false(rig_answer(rig, first, "1"));
    assert_true(rig_answer_error(rig, second, "Y", true));
    struct effect b = rig_invoke(rig, "b");
    rig_assert_value(rig_call(rig, b).input, "{'e':{'Error':'Y','Cause':'why'}}");
}

static void a_token_that_is_out_of_time_is_late(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, tokens), rig_value("{}"));
    struct effect a = rig_invoke(rig, "a");
    struct core_invocation call = rig_call(rig, a);
    rig->now_ms += 5000;
    rig_result(rig, a, NULL);
    struct effect timer = rig_sleep(rig, 15000);
    rig->now_ms += 14999;
    rig_assert_not_due(rig, timer.branch);
    rig_timer(rig, timer);
    rig_reply(rig, OUTCOME_FAILED);
    uint32_t branch;
    assert_int_equal(rig_check_token(rig, call, &branch), STATUS_NOT_FOUND);
    rig_assert_empty(rig);
}

static void a_token_that_was_mistyped_is_told_from_one_that_is_late(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, tokens), rig_value("{}"));
    struct effect a = rig_invoke(rig, "a");
    rig_result(rig, a, NULL);
    char token[CORE_TOKEN_BYTES], wrong[CORE_TOKEN_BYTES + 2];
    core_make_token(RIG_SEED, 1, 1, 1, token);
    struct problem problem;
    uint32_t branch = 99;
    assert_int_equal(core_check_token(rig->core, token, &branch, &problem), STATUS_OK);
    for (size_t i = 0; i < strlen(token); i++) {
        memcpy(wrong, token, sizeof token);
        wrong[i] = wrong[i] == '7' ? '8' : '7';
        assert_int_equal(core_check_token(rig->core, wrong, &branch, &problem), STATUS_INVALID);
        wrong[i] = '\0';
        assert_int_equal(core_check_token(rig->core, wrong, &branch, &problem), STATUS_INVALID);
    }
    snprintf(wrong, sizeof wrong, "%s0", token);
    assert_int_equal(core_check_token(rig->core, wrong, &branch, &problem), STATUS_INVALID);
    snprintf(wrong, sizeof wrong, "0%s", token);
    assert_int_equal(core_check_token(rig->core, wrong, &branch, &problem), STATUS_INVALID);
    snprintf(wrong, sizeof wrong, " %s", token);
    assert_int_equal(core_check_token(rig->core, wrong, &branch, &problem), STATUS_INVALID);
    memset(wrong, '1', sizeof wrong - 1);
    wrong[sizeof wrong - 1] = '\0';
    assert_int_equal(core_check_token(rig->core, wrong, &branch, &problem), STATUS_INVALID);
    /* Of another data directory; of the next attempt, the next step, another saga. */
    static const uint32_t others[][4] = {
        {1, 1, 1, 1}, {0, 1, 1, 2}, {0, 1, 2, 1}, {0, 2, 1, 1}, {0, 0, 1, 1}};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        core_make_token(RIG_SEED + others[i][0], others[i][1], others[i][2], others[i][3], token);
        assert_int_equal(core_check_token(rig->core, token, &branch, &problem),
                         i == 0 ? STATUS_INVALID : STATUS_NOT_FOUND);
    }
    assert_int_equal(branch, a.branch);
}

static void the_largest_token_fits_and_is_read(void **state)
{
    struct rig *rig = *state;
    char token[CORE_TOKEN_BYTES];
    memset(token, 'x', sizeof token);
    core_make_token(RIG_SEED, UINT64_MAX, UINT32_MAX, UINT32_MAX, token);
    assert_in_range(strnlen(token, sizeof token), 50, sizeof token - 1);
    uint32_t branch;
    assert_int_equal(core_check_token(rig->core, token, &branch, NULL), STATUS_NOT_FOUND);
}

/* A state that waits for a signal gives no token to anybody. */
static void a_token_for_a_step_that_waits_for_a_signal_is_not_taken(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, paid), rig_value("{}"));
    struct effect timer = rig_sleep_for_ever(rig);
    struct core_invocation call = {.saga_id = 1, .step_no = 1, .attempt_no = 1};
    uint32_t branch;
    assert_int_equal(rig_check_token(rig, call, &branch), STATUS_NOT_FOUND);
    rig_assert_ignored(rig, (struct event){.kind = EVENT_RESULT,
                                           .result = {.branch = timer.branch, .by_token = true}});
    rig_assert_ignored(rig, (struct event){.kind = EVENT_ERROR,
                                           .error = {.branch = timer.branch, .by_token = true}});
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_signal_that_is_waited_for_is_the_answer),
        TEST(a_signal_that_comes_early_is_kept_until_it_is_waited_for),
        TEST(several_kept_signals_answer_in_a_row_each_name_in_its_order),
        TEST(signals_that_nobody_took_are_let_go_when_the_saga_ends),
        TEST(sixteen_signals_are_kept_and_one_more_is_refused_until_one_is_taken),
        TEST(a_signal_that_is_waited_for_is_taken_though_no_more_can_be_kept),
        cmocka_unit_test(no_signal_is_kept_where_there_is_no_room_for_one),
        TEST(no_signal_is_taken_where_its_payload_might_find_no_room),
        TEST(a_signal_that_a_saga_never_waits_for_is_refused),
        TEST(a_signal_without_a_payload_or_with_one_too_large_is_invalid),
        TEST(an_answer_by_token_is_the_result_of_the_step),
        TEST(an_error_by_token_is_tried_again_or_caught),
        TEST(a_token_that_is_out_of_time_is_late),
        TEST(a_token_that_was_mistyped_is_told_from_one_that_is_late),
        TEST(the_largest_token_fits_and_is_read),
        TEST(a_token_for_a_step_that_waits_for_a_signal_is_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
