#include "tests/saga/core_rig.h"

#include <stdio.h>
#include <string.h>

/* Who may move a branch and who comes too late; branches beside the root; what a restart finds. */

static const char two_steps[] =
    STATES(UNDONE("A", "a", "'Retry':[" RETRY("'X'", 1, "") "],'Next':'B'"),
           UNDONE("B", "b", "'End':true"));
static const char beside[] =
    STATES(TASK("A", "f", "'FireAndForget':true,'Retry':[" RETRY("'X'", 1, "") "],'Next':'B'"),
           TASK("B", "b", "'End':true"));

/* Applies the event though nothing waits for it; the state may not change by a bit. */
static void assert_ignored(struct rig *rig, struct event event)
{
    struct core_digest before = core_digest(rig->core);
    assert_int_equal(rig_apply(rig, &event), STATUS_OK);
    assert_true(rig_same(before, core_digest(rig->core)));
    rig_nothing(rig);
}

static struct event result_for(uint32_t branch)
{
    return (struct event){.kind = EVENT_RESULT, .result = {.branch = branch}};
}

static struct event error_for(uint32_t branch)
{
    struct event event = {.kind = EVENT_ERROR, .error = {.branch = branch, .retryable = true}};
    event.error.name = (struct flyover_bytes){(const uint8_t *)"X", 1};
    return event;
}

static struct event timer_for(uint32_t branch)
{
    return (struct event){.kind = EVENT_TIMER, .timer = {.branch = branch}};
}

/* ---- late and doubled -------------------------------------------------------------------------
 */

static void a_doubled_answer_is_not_expected(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, two_steps), rig_value("{}"));
    struct effect a = rig_invoke(rig, "a");
    assert_true(rig_result(rig, a, "1"));
    struct effect b = rig_invoke(rig, "b");
    struct core_digest before = core_digest(rig->core);
    assert_false(rig_result(rig, a, "1"));
    assert_false(rig_error(rig, a, "X", true));
    assert_false(rig_timer(rig, a));
    assert_true(rig_same(before, core_digest(rig->core)));
    rig_nothing(rig);
    assert_true(rig_result(rig, b, NULL));
}

static void an_answer_to_an_earlier_attempt_is_not_expected(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, two_steps), rig_value("{}"));
    struct effect first = rig_invoke(rig, "a");
    rig_error(rig, first, "X", true);
    assert_false(rig_result(rig, first, "1"));
    struct effect timer = rig_sleep(rig, 1000);
    assert_true(rig_timer(rig, timer));
    struct effect second = rig_invoke(rig, "a");
    assert_false(rig_result(rig, first, "1"));
    assert_false(rig_timer(rig, timer));
    assert_true(rig_result(rig, second, "1"));
}

static void an_answer_for_a_slot_that_another_saga_has_now_is_not_expected(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, two_steps);
    rig_start(rig, plan, rig_value("{}"));
    struct effect old = rig_invoke(rig, "a");
    rig_error(rig, old, "X", true);
    struct effect old_timer = rig_sleep(rig, 1000);
    rig_timer(rig, old_timer);
    struct effect older = rig_invoke(rig, "a");
    rig_error(rig, older, "No", false);
    rig_reply(rig, OUTCOME_FAILED);
    rig_start(rig, plan, rig_value("{}"));
    struct effect new = rig_invoke(rig, "a");
    assert_int_equal(new.branch, old.branch);
    assert_int_equal(new.saga, old.saga);
    assert_true(new.id == 2 && new.generation > older.generation);
    struct core_digest before = core_digest(rig->core);
    assert_false(rig_result(rig, old, "1"));
    assert_false(rig_result(rig, older, "1"));
    assert_false(rig_timer(rig, old_timer));
    assert_true(rig_same(before, core_digest(rig->core)));
    rig_error(rig, new, "X", true);
    assert_false(rig_timer(rig, old_timer));
    assert_true(rig_timer(rig, rig_sleep(rig, 1000)));
}

static void what_a_branch_does_not_wait_for_changes_nothing(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, two_steps), rig_value("{}"));
    struct effect a = rig_invoke(rig, "a");
    assert_ignored(rig, timer_for(a.branch));
    rig_error(rig, a, "X", true);
    struct effect timer = rig_sleep(rig, 1000);
    assert_ignored(rig, result_for(a.branch));
    assert_ignored(rig, error_for(a.branch));
    rig_timer(rig, timer);
    rig_result(rig, rig_invoke(rig, "a"), NULL);
    rig_error(rig, rig_invoke(rig, "b"), "No", false);
    struct effect undo = rig_invoke(rig, "undo_a");
    assert_ignored(rig, timer_for(undo.branch));
    rig_error(rig, undo, "Busy", true);
    timer = rig_sleep(rig, 5000);
    assert_ignored(rig, result_for(undo.branch));
    assert_ignored(rig, error_for(undo.branch));
    rig_timer(rig, timer);
    rig_error(rig, rig_invoke(rig, "undo_a"), "No", false);
    rig_reply(rig, OUTCOME_STUCK);
    assert_ignored(rig, result_for(undo.branch));
    assert_ignored(rig, error_for(undo.branch));
    assert_ignored(rig, timer_for(undo.branch));
}

static void nobody_is_at_a_slot_that_is_free_or_was_never_used(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, two_steps), rig_value("{}"));
    struct effect a = rig_invoke(rig, "a");
    rig_error(rig, a, "No", false);
    rig_reply(rig, OUTCOME_FAILED);
    const uint32_t branches[] = {a.branch, a.branch + 1, 127, 128, UINT32_MAX};
    for (size_t i = 0; i < sizeof branches / sizeof branches[0]; i++) {
        assert_ignored(rig, result_for(branches[i]));
        assert_ignored(rig, error_for(branches[i]));
        assert_ignored(rig, timer_for(branches[i]));
        assert_false(core_expects(rig->core, branches[i], a.generation));
    }
}

/* ---- the idempotency key ----------------------------------------------------------------------
 */

enum { KEYS_MAX = 64 };

struct keys {
    struct flyover_key seen[KEYS_MAX];
    uint32_t count;
};

static void assert_new_key(struct keys *keys, struct core_invocation call)
{
    for (uint32_t i = 0; i < keys->count; i++)
        assert_false(keys->seen[i].saga_id == call.saga_id && keys->seen[i].phase == call.phase &&
                     keys->seen[i].step_no == call.step_no);
    assert_in_range(keys->count, 0, KEYS_MAX - 1);
    keys->seen[keys->count++] = (struct flyover_key){call.saga_id, call.step_no, call.phase};
}

static void assert_same_key(const struct keys *keys, struct core_invocation call)
{
    const struct flyover_key *last = &keys->seen[keys->count - 1];
    assert_true(last->saga_id == call.saga_id && last->step_no == call.step_no);
    assert_int_equal(last->phase, call.phase);
}

/* Fails the step once, and sees that it comes again under the same key; returns the retry. */
static struct effect retry_once(struct rig *rig, struct keys *keys, const char *handler,
                                const char *error, int64_t delay_ms)
{
    struct effect first = rig_invoke(rig, handler);
    assert_new_key(keys, rig_call(rig, first));
    assert_true(rig_error(rig, first, error, true));
    assert_true(rig_timer(rig, rig_sleep(rig, delay_ms)));
    struct effect second = rig_invoke(rig, handler);
    assert_same_key(keys, rig_call(rig, second));
    assert_int_equal(rig_call(rig, second).attempt_no, 2);
    return second;
}

static void a_key_is_the_same_over_retries_and_never_comes_again(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(
        rig,
        STATES(TASK("A", "f", "'FireAndForget':true,'Next':'B'"),
               UNDONE("B", "b", "'Retry':[" RETRY("'X'", 1, "") "],'ResultPath':'$.n','Next':'C'"),
               STATE("Choice", "C",
                     "'Choices':[{'Variable':'$.n','NumericLessThan':5,'Next':'A'}],"
                     "'Default':'F'"),
               FAIL("F", "No")));
    static struct keys keys;
    keys.count = 0;
    rig_start(rig, plan, rig_value("{}"));
    for (int round = 1; round <= 5; round++) {
        struct effect detached = rig_invoke(rig, "f");
        assert_new_key(&keys, rig_call(rig, detached));
        struct effect step = retry_once(rig, &keys, "b", "X", 1000);
        rig_result(rig, detached, NULL);
        char output[12];
        snprintf(output, sizeof output, "%d", round);
        rig_result(rig, step, output);
    }
    for (int round = 5; round >= 1; round--) {
        struct effect undo = retry_once(rig, &keys, "undo_b", "Busy", 5000);
        char output[12];
        snprintf(output, sizeof output, "%d", round);
        rig_assert_value(rig_call(rig, undo).output, output);
        rig_result(rig, undo, NULL);
    }
    rig_reply(rig, OUTCOME_COMPENSATED);
    /* The same slots, another saga, other keys. */
    rig_start(rig, plan, rig_value("{}"));
    assert_new_key(&keys, rig_call(rig, rig_invoke(rig, "f")));
    assert_new_key(&keys, rig_call(rig, rig_invoke(rig, "b")));
}

/* ---- beside the root --------------------------------------------------------------------------
 */

static void a_fire_and_forget_step_is_not_waited_for(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, beside), rig_value("{'n':1}"));
    struct effect f = rig_invoke(rig, "f"), b = rig_invoke(rig, "b");
    rig_nothing(rig);
    assert_int_not_equal(f.branch, b.branch);
    assert_false(core_needs_output(rig->core, f.branch));
    rig_assert_value(rig_call(rig, f).input, "{'n':1}");
    rig_result(rig, b, NULL);
    rig_reply(rig, OUTCOME_SUCCEEDED);
    /* The reply has gone, the step is still at work: its saga and its input stay. */
    assert_int_equal(core_sagas_live(rig->core), 1);
    rig_assert_value(rig_call(rig, f).input, "{'n':1}");
    struct core_totals totals = core_totals(rig->core);
    assert_true(totals.ended == 0 && totals.steps_ended == 0 && totals.steps == 1);
    rig_result(rig, f, "'dropped'");
    rig_nothing(rig);
    totals = core_totals(rig->core);
    assert_true(totals.ended == 1 && totals.steps_ended == 2 && totals.detached_failed == 0);
    rig_assert_empty(rig);
}

static void a_fire_and_forget_step_that_fails_is_tried_again_and_given_up(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, beside), rig_value("{}"));
    struct effect f = rig_invoke(rig, "f"), b = rig_invoke(rig, "b");
    rig_error(rig, f, "X", true);
    struct effect timer = rig_sleep(rig, 1000);
    rig_result(rig, b, NULL);
    rig_reply(rig, OUTCOME_SUCCEEDED);
    rig_timer(rig, timer);
    struct effect again = rig_invoke(rig, "f");
    assert_int_equal(rig_call(rig, again).attempt_no, 2);
    rig_error(rig, again, "X", true);
    rig_nothing(rig);
    struct core_totals totals = core_totals(rig->core);
    assert_true(totals.succeeded == 1 && totals.failed == 0 && totals.detached_failed == 1);
    const struct core_error *errors;
    assert_int_equal(core_errors(rig->core, &errors), 0);
    rig_assert_empty(rig);
}

static void a_saga_fails_beside_its_fire_and_forget_step(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, beside), rig_value("{}"));
    struct effect f = rig_invoke(rig, "f");
    rig_error(rig, rig_invoke(rig, "b"), "No", false);
    rig_reply(rig, OUTCOME_FAILED);
    assert_true(rig_result(rig, f, NULL));
    assert_int_equal(core_totals(rig->core).failed, 1);
    rig_assert_empty(rig);
}

static void a_loop_may_not_come_to_a_fire_and_forget_step_that_still_runs(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(
        rig, STATES(TASK("A", "f", "'FireAndForget':true,'Next':'B'"),
                    UNDONE("B", "b", "'Catch':[{'ErrorEquals':['X'],'Next':'F'}],'Next':'A'"),
                    FAIL("F", "No")));
    rig_start(rig, plan, rig_value("{}"));
    struct effect f = rig_invoke(rig, "f");
    struct effect b = rig_invoke(rig, "b");
    rig_result(rig, f, NULL);
    rig_result(rig, b, NULL);
    f = rig_invoke(rig, "f");
    rig_result(rig, rig_invoke(rig, "b"), NULL);
    rig_result(rig, rig_invoke(rig, "undo_b"), NULL);
    rig_result(rig, rig_invoke(rig, "undo_b"), NULL);
    rig_reply(rig, OUTCOME_COMPENSATED);
    assert_int_equal(rig_errors_count(rig, "States.Runtime"), 1);
    rig_result(rig, f, NULL);
    rig_assert_empty(rig);
}

/* ---- after a restart --------------------------------------------------------------------------
 */

static void resuming_asks_again_for_exactly_what_is_pending(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, two_steps), plan_beside = rig_add(rig, beside);
    rig_start(rig, plan, rig_value("{}"));
    struct effect waiting = rig_invoke(rig, "a");
    rig_start(rig, plan, rig_value("{}"));
    rig_error(rig, rig_invoke(rig, "a"), "X", true);
    struct effect sleeping = rig_sleep(rig, 1000);
    rig_start(rig, plan, rig_value("{}"));
    rig_result(rig, rig_invoke(rig, "a"), "1");
    rig_error(rig, rig_invoke(rig, "b"), "No", false);
    struct effect undoing = rig_invoke(rig, "undo_a");
    rig_start(rig, plan, rig_value("{}"));
    rig_result(rig, rig_invoke(rig, "a"), "1");
    rig_error(rig, rig_invoke(rig, "b"), "No", false);
    rig_error(rig, rig_invoke(rig, "undo_a"), "No", false);
    rig_reply(rig, OUTCOME_STUCK);
    rig_start(rig, plan, rig_value("{}"));
    rig_error(rig, rig_invoke(rig, "a"), "No", false);
    rig_reply(rig, OUTCOME_FAILED);
    rig_start(rig, plan_beside, rig_value("{}"));
    struct effect detached = rig_invoke(rig, "f");
    rig_result(rig, rig_invoke(rig, "b"), NULL);
    rig_reply(rig, OUTCOME_SUCCEEDED);

    struct core_digest before = core_digest(rig->core);
    core_resume(rig->core, &rig->effects);
    assert_true(rig_same(before, core_digest(rig->core)));
    struct effect pending[3] = {waiting, undoing, detached};
    assert_int_equal(effect_queue_count(&rig->effects), 3);
    for (uint32_t i = 0; i < 3; i++) {
        struct effect effect = rig->effects.items[rig->effects.head++];
        assert_int_equal(effect.kind, EFFECT_INVOKE);
        assert_int_equal(effect.branch, pending[i].branch);
        assert_int_equal(effect.generation, pending[i].generation);
        assert_true(effect.id == pending[i].id && effect.saga == pending[i].saga);
    }
    /* Time is asked for branch by branch. */
    for (uint32_t branch = 0; branch < core_branches_count(rig->core); branch++)
        assert_int_equal(core_due_ms(rig->core, branch),
                         branch == sleeping.branch ? rig->now_ms + 1000 : -1);
}

static void a_core_where_nothing_runs_has_nothing_to_resume(void **state)
{
    struct rig *rig = *state;
    core_resume(rig->core, &rig->effects);
    rig_start(rig, rig_add(rig, two_steps), rig_value("{}"));
    rig_error(rig, rig_invoke(rig, "a"), "No", false);
    rig_reply(rig, OUTCOME_FAILED);
    core_resume(rig->core, &rig->effects);
    rig_nothing(rig);
}

/* ---- the digest -------------------------------------------------------------------------------
 */

enum { VARIANTS_COUNT = 10 };

/* A saga that is undone and one that runs; in each variant one thing is another than in the others:
 * nothing that counts may be left out of the digest. */
static struct core_digest digest_of(uint32_t variant)
{
    static struct rig rig;
    rig_open(&rig, 64, 16u << 20);
    uint32_t plan = rig_add(&rig, two_steps);
    if (variant == 1 || variant == 9) {
        struct event event = {.kind = EVENT_SOURCE, .source = {variant}};
        assert_int_equal(rig_apply(&rig, &event), STATUS_OK);
    }
    rig_start(&rig, plan, rig_value(variant == 2 ? "{'n':1}" : "{'n':2}"));
    rig_result(&rig, rig_invoke(&rig, "a"), variant == 3 ? "[1]" : "[2]");
    rig_error(&rig, rig_invoke(&rig, "b"), variant == 4 ? "R" : "S", false);
    struct effect undo = rig_invoke(&rig, "undo_a");
    rig.now_ms += variant == 5;
    if (variant != 6)
        rig_error(&rig, undo, "Busy", true);
    rig.now_ms += 1 - (variant == 5) + (variant == 7);
    rig_start(&rig, plan, rig_value(variant == 8 ? "'x'" : "'y'"));
    struct core_digest digest = core_digest(rig.core);
    rig_close(&rig);
    return digest;
}

static void states_that_differ_in_anything_have_different_digests(void **state)
{
    (void)state;
    struct core_digest digests[VARIANTS_COUNT];
    for (uint32_t i = 0; i < VARIANTS_COUNT; i++) {
        digests[i] = digest_of(i);
        assert_true(rig_same(digests[i], digest_of(i)));
        for (uint32_t j = 0; j < i; j++)
            assert_false(rig_same(digests[i], digests[j]));
    }
}

static struct event signal_of(const char *name, const char *payload)
{
    return (struct event){.kind = EVENT_SIGNAL,
                          .signal = {.saga_id = 1,
                                     .name = {(const uint8_t *)name, 1},
                                     .payload = rig_value(payload)}};
}

/* A saga whose first step a handler has begun, for a token to end; in each variant one thing more
 * has come from outside. */
static struct core_digest digest_from_outside(uint32_t variant)
{
    static const char definition[] =
        SAGA("'TimeoutSeconds':60,", TOKEN("A", "a", "'HeartbeatSeconds':5,'Next':'B'"),
             SIGNAL("B", "x", "'Next':'C'"), SIGNAL("C", "y", "'End':true"));
    static struct rig rig;
    rig_open(&rig, 64, 16u << 20);
    struct event start = {.kind = EVENT_START,
                          .start = {.plan = rig_add(&rig, definition),
                                    .source = EVENT_NO_SOURCE,
                                    .input = rig_value("1")}};
    if (variant == 1)
        start.start.name = (struct flyover_bytes){(const uint8_t *)"n", 1};
    assert_int_equal(rig_apply(&rig, &start), STATUS_OK);
    rig.effects.head++; /* its deadline */
    struct effect a = rig_invoke(&rig, "a");
    if (variant == 2)
        assert_int_equal(rig_cancel(&rig, 1), STATUS_OK);
    else if (variant == 3)
        assert_int_equal(rig_abort(&rig, 1), STATUS_OK);
    else
        rig_result(&rig, a, NULL);
    rig.now_ms += 1000;
    struct event events[] = {signal_of("x", "1"),
                             signal_of("x", "2"),
                             signal_of("y", "1"),
                             {.kind = EVENT_HEARTBEAT, .heartbeat = {a.branch}}};
    if (variant >= 4 && variant < 8)
        assert_int_equal(rig_apply(&rig, &events[variant - 4]), STATUS_OK);
    if (variant == 8)
        core_set_name_retention(rig.core, 1);
    struct core_digest digest = core_digest(rig.core);
    rig_close(&rig);
    return digest;
}

static void states_that_differ_in_what_came_from_outside_have_different_digests(void **state)
{
    (void)state;
    struct core_digest digests[9];
    for (uint32_t i = 0; i < 9; i++) {
        digests[i] = digest_from_outside(i);
        assert_true(rig_same(digests[i], digest_from_outside(i)));
        for (uint32_t j = 0; j < i; j++)
            assert_false(rig_same(digests[i], digests[j]));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_doubled_answer_is_not_expected),
        TEST(an_answer_to_an_earlier_attempt_is_not_expected),
        TEST(an_answer_for_a_slot_that_another_saga_has_now_is_not_expected),
        TEST(what_a_branch_does_not_wait_for_changes_nothing),
        TEST(nobody_is_at_a_slot_that_is_free_or_was_never_used),
        TEST(a_key_is_the_same_over_retries_and_never_comes_again),
        TEST(a_fire_and_forget_step_is_not_waited_for),
        TEST(a_fire_and_forget_step_that_fails_is_tried_again_and_given_up),
        TEST(a_saga_fails_beside_its_fire_and_forget_step),
        TEST(a_loop_may_not_come_to_a_fire_and_forget_step_that_still_runs),
        TEST(resuming_asks_again_for_exactly_what_is_pending),
        TEST(a_core_where_nothing_runs_has_nothing_to_resume),
        cmocka_unit_test(states_that_differ_in_anything_have_different_digests),
        cmocka_unit_test(states_that_differ_in_what_came_from_outside_have_different_digests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
