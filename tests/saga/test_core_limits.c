#include "tests/saga/core_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is refused, what runs full, and that all of it comes back. */

/* B again and again while $.n is under 5 (which it is as long as nobody sets it). */
#define LOOP(first, step)                                                                          \
    STATES(first, step,                                                                            \
           STATE("Choice", "C",                                                                    \
                 "'Choices':[{'Variable':'$.n','NumericLessThan':5,'Next':'B'}],'Default':'D'"),   \
           STATE("Choice", "D",                                                                    \
                 "'Choices':[{'Variable':'$','IsString':true,'Next':'B'}],'Default':'E'"),         \
           STATE("Succeed", "E", "'Comment':''"))

/* Refused, and not a bit has changed. */
static void assert_refused(struct rig *rig, struct event event)
{
    struct core_digest before = core_digest(rig->core);
    assert_int_equal(rig_apply(rig, &event), STATUS_INVALID);
    assert_true(rig_same(before, core_digest(rig->core)));
    rig_nothing(rig);
}

static struct event start_of(uint32_t plan, uint32_t source, struct flyover_bytes input)
{
    return (struct event){.kind = EVENT_START,
                          .start = {.plan = plan, .source = source, .input = input}};
}

/* ---- refused ----------------------------------------------------------------------------------
 */

static void limits_that_cannot_work_are_refused(void **state)
{
    (void)state;
    static const struct core_limits limits[] = {
        {.sagas_max = 0, .payload_bytes_max = 16u << 20},
        {.sagas_max = CORE_SAGAS_MAX + 1, .payload_bytes_max = 16u << 20},
        {.sagas_max = 64, .payload_bytes_max = (16u << 20) - 1},
        {.sagas_max = 64, .payload_bytes_max = SLAB_REGION_BYTES_MAX + 1},
        {.sagas_max = 64, .payload_bytes_max = 16u << 20, .names_max = NAMES_MAX + 1},
    };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct core *core = NULL;
        assert_int_equal(core_open(&limits[i], &core), STATUS_INVALID);
        assert_null(core);
    }
    core_close(NULL);
}

static void a_start_that_does_not_fit_the_state_is_refused(void **state)
{
    struct rig *rig = *state;
    struct flyover_bytes input = rig_value("{}"), none = {input.at, 0};
    assert_refused(rig, start_of(0, EVENT_NO_SOURCE, input));
    uint32_t plan = rig_add(rig, STATES(TASK("A", "a", "'End':true")));
    assert_refused(rig, start_of(plan + 1, EVENT_NO_SOURCE, input));
    assert_refused(rig, start_of(plan, EVENT_NO_SOURCE, none));
    assert_refused(rig,
                   start_of(plan, EVENT_NO_SOURCE, rig_large_value(FLYOVER_PAYLOAD_BYTES_MAX + 1)));
    assert_refused(rig, start_of(plan, 0, input));
    assert_refused(rig, start_of(plan, CORE_SOURCES_MAX, input));
}

static void an_answer_that_is_larger_than_any_may_be_is_refused(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, STATES(TASK("A", "a", "'End':true"))), rig_value("{}"));
    struct effect a = rig_invoke(rig, "a");
    struct flyover_bytes large = rig_large_value(FLYOVER_PAYLOAD_BYTES_MAX + 1);
    struct event result = {.kind = EVENT_RESULT, .result = {.branch = a.branch, .output = large}};
    struct event name = {.kind = EVENT_ERROR, .error = {.branch = a.branch, .name = large}};
    struct event cause = {.kind = EVENT_ERROR, .error = {.branch = a.branch, .cause = large}};
    assert_refused(rig, result);
    assert_refused(rig, name);
    assert_refused(rig, cause);
    assert_true(rig_result_bytes(rig, a, rig_large_value(FLYOVER_PAYLOAD_BYTES_MAX)));
    rig_reply(rig, OUTCOME_SUCCEEDED);
}

static void what_comes_from_outside_larger_than_it_may_be_is_refused(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(
        rig, STATES(TASK("A", "a", "'Pivot':true,'Next':'B'"), TASK("B", "b", "'End':true")));
    rig_start(rig, plan, rig_value("{}"));
    rig_result(rig, rig_invoke(rig, "a"), NULL);
    struct effect b = rig_invoke(rig, "b");
    struct flyover_bytes reason = rig_large_value(EVENT_REASON_BYTES_MAX + 1);
    assert_refused(rig, (struct event){.kind = EVENT_CANCEL,
                                       .cancel = {.saga_id = 1, .abort = true, .reason = reason}});
    rig_error(rig, b, "No", false);
    rig_reply(rig, OUTCOME_STUCK);
    struct event mend = {.kind = EVENT_MEND,
                         .mend = {.saga_id = 1, .action = MEND_SKIP, .reason = reason}};
    assert_refused(rig, mend);
    mend.mend.reason = (struct flyover_bytes){0};
    mend.mend.output = rig_large_value(FLYOVER_PAYLOAD_BYTES_MAX + 1);
    assert_refused(rig, mend);
    mend.mend.reason = rig_value("'looked at'");
    mend.mend.output = rig_large_value(FLYOVER_PAYLOAD_BYTES_MAX);
    assert_int_equal(rig_apply(rig, &mend), STATUS_OK);
    rig_reply_to_nobody(rig, OUTCOME_SUCCEEDED);
}

static void events_that_are_not_the_cores_are_refused(void **state)
{
    struct rig *rig = *state;
    assert_refused(rig, (struct event){.kind = EVENT_LIMITS});
    assert_refused(rig, (struct event){.kind = EVENT_SERVICE});
    assert_refused(rig, (struct event){.kind = EVENT_DEFINITION});
}

static void a_full_core_takes_no_start_and_takes_one_for_each_that_ends(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, STATES(TASK("A", "a", "'End':true")));
    struct effect first = {0};
    for (int i = 0; i < 64; i++) {
        assert_true(core_can_start(rig->core, plan, &rig->effects));
        rig_start(rig, plan, rig_value("{}"));
        struct effect a = rig_invoke(rig, "a");
        first = i == 0 ? a : first;
    }
    assert_int_equal(core_sagas_live(rig->core), 64);
    assert_false(core_can_start(rig->core, plan, &rig->effects));
    assert_refused(rig, start_of(plan, EVENT_NO_SOURCE, rig_value("{}")));
    rig_result(rig, first, NULL);
    rig_reply(rig, OUTCOME_SUCCEEDED);
    rig_start(rig, plan, rig_value("{}"));
    assert_false(core_can_start(rig->core, plan, &rig->effects));
}

/* A start is taken only where all the branches it may come to need have room: 128 for 64 sagas. */
static void branches_that_a_saga_may_need_are_kept_for_it(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, STATES(TASK("A", "a", "'Next':'B'"),
                                        TASK("B", "f", "'FireAndForget':true,'Next':'C'"),
                                        TASK("C", "g", "'FireAndForget':true,'End':true")));
    assert_int_equal(core_branches_max(rig->core), 128);
    struct effect waiting[128 / 3], detached[128 / 3][2];
    for (size_t i = 0; i < 128 / 3; i++) {
        rig_start(rig, plan, rig_value("{}"));
        waiting[i] = rig_invoke(rig, "a");
    }
    assert_false(core_can_start(rig->core, plan, &rig->effects));
    for (size_t i = 0; i < 128 / 3; i++) {
        rig_result(rig, waiting[i], NULL);
        detached[i][0] = rig_invoke(rig, "f");
        detached[i][1] = rig_invoke(rig, "g");
        rig_reply(rig, OUTCOME_SUCCEEDED);
    }
    assert_false(core_can_start(rig->core, plan, &rig->effects));
    for (size_t i = 0; i < 128 / 3; i++) {
        rig_result(rig, detached[i][1], NULL);
        assert_int_equal(core_can_start(rig->core, plan, &rig->effects), i > 0);
        rig_error(rig, detached[i][0], "No", true);
    }
    assert_int_equal(core_totals(rig->core).detached_failed, 128 / 3);
    rig_assert_empty(rig);
}

static void effects_that_do_not_leave_hold_up_starts(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, STATES(TASK("A", "a", "'End':true")));
    rig->effects.tail = rig->effects.capacity / 2 - 1;
    assert_true(core_can_start(rig->core, plan, &rig->effects));
    rig->effects.tail++;
    assert_false(core_can_start(rig->core, plan, &rig->effects));
}

/* ---- walks and steps --------------------------------------------------------------------------
 */

/* Pass states one after another, then `last` (or nothing). The caller frees it. */
static char *row_of_passes(uint32_t passes_count, const char *last)
{
    char *text = malloc(100u * (passes_count + 2));
    assert_non_null(text);
    char *at = text + sprintf(text, "{'StartAt':'P0','States':{");
    for (uint32_t i = 0; i < passes_count; i++) {
        bool ends = i + 1 == passes_count && last == NULL;
        at += sprintf(at, "%s'P%u':{'Type':'Pass',", i > 0 ? "," : "", i);
        at += ends ? sprintf(at, "'End':true}") : sprintf(at, "'Next':'P%u'}", i + 1);
    }
    if (last != NULL)
        at += sprintf(at, ",'P%u':%s", passes_count, last);
    sprintf(at, "}}");
    return text;
}

static void a_thousand_states_may_be_passed_through_in_one_event(void **state)
{
    struct rig *rig = *state;
    char *to_end = row_of_passes(CORE_WALK_MAX, NULL);
    char *to_task =
        row_of_passes(CORE_WALK_MAX - 1, "{'Type':'Task','Resource':'service:s.a','End':true}");
    rig_start(rig, rig_add(rig, to_end), rig_value("{}"));
    rig_reply(rig, OUTCOME_SUCCEEDED);
    rig_start(rig, rig_add(rig, to_task), rig_value("{}"));
    rig_result(rig, rig_invoke(rig, "a"), NULL);
    rig_reply(rig, OUTCOME_SUCCEEDED);
    free(to_end);
    free(to_task);
}

static void a_circle_without_a_step_fails_the_saga_and_undoes_what_was_done(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, LOOP(UNDONE("A", "a", "'ResultPath':null,'Next':'B'"),
                                      STATE("Pass", "B", "'Next':'C'")));
    rig_start(rig, plan, rig_value("{'n':1}"));
    rig_result(rig, rig_invoke(rig, "a"), "1");
    struct effect undo = rig_invoke(rig, "undo_a");
    rig_assert_error(rig, undo,
                     "{'Error':'States.Runtime','Cause':'1000 states passed without a step: a "
                     "circle?'}");
    rig_result(rig, undo, NULL);
    rig_reply(rig, OUTCOME_COMPENSATED);
    rig_assert_empty(rig);
}

static void a_saga_may_take_25000_steps_and_not_one_more(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, LOOP(STATE("Pass", "A", "'Next':'B'"),
                                      TASK("B", "b", "'ResultPath':null,'Next':'C'")));
    rig_start(rig, plan, rig_value("{'n':1}"));
    for (uint32_t step_no = 1; step_no <= CORE_STEPS_MAX; step_no++) {
        struct effect b = rig_invoke(rig, "b");
        assert_int_equal(rig_call(rig, b).step_no, step_no);
        rig_result(rig, b, NULL);
    }
    rig_reply(rig, OUTCOME_FAILED);
    assert_int_equal(rig_errors_count(rig, "States.Runtime"), 1);
    rig_assert_empty(rig);
}

/* A and every B have odd numbers, but for the last: it is number 25000. */
static void fire_and_forget_steps_count_as_steps(void **state)
{
    struct rig *rig = *state;
    uint32_t plan =
        rig_add(rig, STATES(TASK("A", "a", "'ResultPath':null,'Next':'B'"),
                            TASK("B", "b", "'ResultPath':null,'Next':'C'"),
                            STATE("Choice", "C",
                                  "'Choices':[{'Variable':'$.n','NumericLessThan':5,'Next':'F'}],"
                                  "'Default':'E'"),
                            TASK("F", "f", "'FireAndForget':true,'Next':'B'"),
                            STATE("Succeed", "E", "'Comment':''")));
    rig_start(rig, plan, rig_value("{'n':1}"));
    rig_result(rig, rig_invoke(rig, "a"), NULL);
    struct effect b = rig_invoke(rig, "b");
    while (rig_call(rig, b).step_no < CORE_STEPS_MAX) {
        rig_result(rig, b, NULL);
        rig_result(rig, rig_invoke(rig, "f"), NULL);
        b = rig_invoke(rig, "b");
    }
    assert_int_equal(rig_call(rig, b).step_no, CORE_STEPS_MAX);
    rig_result(rig, b, NULL);
    rig_reply(rig, OUTCOME_FAILED);
    rig_nothing(rig);
    rig_assert_empty(rig);
}

static void a_step_that_could_not_be_remembered_is_not_begun(void **state)
{
    (void)state;
    struct rig small;
    rig_open(&small, 1, 16u << 20);
    uint32_t plan = rig_add(&small, LOOP(STATE("Pass", "A", "'Next':'B'"),
                                         UNDONE("B", "b", "'ResultPath':null,'Next':'C'")));
    rig_start(&small, plan, rig_value("{'n':1}"));
    for (uint32_t i = 0; i < COMPLETED_PER_SAGA; i++)
        rig_result(&small, rig_invoke(&small, "b"), "1");
    for (uint32_t i = COMPLETED_PER_SAGA; i > 0; i--) {
        struct effect undo = rig_invoke(&small, "undo_b");
        assert_int_equal(rig_call(&small, undo).step_no, i);
        rig_result(&small, undo, NULL);
    }
    rig_reply(&small, OUTCOME_COMPENSATED);
    assert_int_equal(rig_errors_count(&small, "States.Runtime"), 1);
    rig_assert_empty(&small);
    rig_close(&small);
}

/* ---- payloads ---------------------------------------------------------------------------------
 */

/* Loops with outputs of a quarter MiB until the slab is full, and undoes all of it: the step whose
 * output did not fit too. `copies_count`: what a step that completed holds. */
static void fill_with(struct rig *rig, uint32_t plan, uint32_t copies_count)
{
    rig_start(rig, plan, rig_value("{'n':1}"));
    uint32_t steps_count = 0;
    struct effect effect = rig_invoke(rig, "b");
    while (strcmp(rig_handler(rig, effect), "b") == 0) {
        assert_true(rig_result_bytes(rig, effect, rig_large_value(262000)));
        steps_count++;
        effect = rig->effects.items[rig->effects.head++];
    }
    assert_in_range(steps_count * copies_count, 40, 48);
    assert_int_equal(slab_used_bytes(rig->core->payloads), 16u << 20);
    assert_refused(rig, start_of(plan, EVENT_NO_SOURCE, rig_value("{}")));
    struct flyover_bytes error = core_saga_error(rig->core, effect.branch);
    struct flyover_bytes name = rig_value("'States.DataLimitExceeded'");
    assert_memory_equal(error.at + 7, name.at, name.count);
    for (uint32_t step_no = steps_count; step_no > 0; step_no--) {
        struct core_invocation call = rig_call(rig, effect);
        assert_true(call.phase == FLYOVER_COMPENSATION && call.step_no == step_no);
        assert_true(call.output.count == 262000 || step_no == steps_count);
        rig_result(rig, effect, NULL);
        effect = rig->effects.items[rig->effects.head++];
    }
    assert_true(effect.kind == EFFECT_REPLY && effect.outcome == OUTCOME_COMPENSATED);
    rig_nothing(rig);
    rig_assert_empty(rig);
    assert_true(core_can_start(rig->core, plan, &rig->effects));
}

static void when_payloads_run_full_the_step_that_did_not_fit_is_undone_too(void **state)
{
    struct rig *rig = *state;
    uint32_t dropped = rig_add(rig, LOOP(STATE("Pass", "A", "'Next':'B'"),
                                         UNDONE("B", "b", "'ResultPath':null,'Next':'C'")));
    uint32_t kept =
        rig_add(rig, LOOP(STATE("Pass", "A", "'Next':'B'"), UNDONE("B", "b", "'Next':'C'")));
    fill_with(rig, dropped, 1);
    fill_with(rig, kept, 2);
    assert_int_equal(rig_errors_count(rig, "States.DataLimitExceeded"), 2);
}

static const char two_parts[] = STATES(UNDONE("A", "a", "'ResultPath':'$.a','Next':'B'"),
                                       UNDONE("B", "b", "'ResultPath':'$.b','End':true"));

static void a_payload_that_would_be_too_large_fails_the_saga(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, rig_add(rig, two_parts), rig_value("{}"));
    rig_result_bytes(rig, rig_invoke(rig, "a"), rig_large_value(200000));
    struct effect b = rig_invoke(rig, "b");
    assert_int_equal(rig_call(rig, b).input.count, 200003);
    rig_result_bytes(rig, b, rig_large_value(100000));
    struct effect undo = rig_invoke(rig, "undo_b");
    rig_assert_error(rig, undo,
                     "{'Error':'States.DataLimitExceeded','Cause':'no room for the output of the "
                     "step'}");
    assert_int_equal(rig_call(rig, undo).output.count, 100000);
    rig_result(rig, undo, NULL);
    rig_result(rig, rig_invoke(rig, "undo_a"), NULL);
    rig_reply(rig, OUTCOME_COMPENSATED);
    rig_assert_empty(rig);
}

static void a_payload_may_be_as_large_as_the_limit_to_the_byte(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, two_parts);
    rig_start(rig, plan, rig_value("{}"));
    rig_result_bytes(rig, rig_invoke(rig, "a"), rig_large_value(FLYOVER_PAYLOAD_BYTES_MAX - 3));
    rig_error(rig, rig_invoke(rig, "b"), "No", false);
    rig_result(rig, rig_invoke(rig, "undo_a"), NULL);
    rig_reply(rig, OUTCOME_COMPENSATED);
    rig_start(rig, plan, rig_value("{}"));
    rig_result_bytes(rig, rig_invoke(rig, "a"), rig_large_value(FLYOVER_PAYLOAD_BYTES_MAX - 2));
    rig_result(rig, rig_invoke(rig, "undo_a"), NULL);
    rig_reply(rig, OUTCOME_COMPENSATED);
    assert_int_equal(rig_errors_count(rig, "States.DataLimitExceeded"), 1);
    rig_assert_empty(rig);
}

static void a_caught_error_or_a_constant_that_does_not_fit_fails_the_saga(void **state)
{
    struct rig *rig = *state;
    uint32_t caught =
        rig_add(rig, STATES(UNDONE("A", "a", "'ResultPath':'$.a','Next':'B'"),
                            TASK("B", "b",
                                 "'Catch':[{'ErrorEquals':['X'],'ResultPath':'$.e','Next':'C'}],"
                                 "'Next':'C'"),
                            STATE("Pass", "C", "'Result':1,'ResultPath':'$.c','End':true")));
    for (int constant = 0; constant < 2; constant++) {
        rig_start(rig, caught, rig_value("{}"));
        rig_result_bytes(rig, rig_invoke(rig, "a"), rig_large_value(FLYOVER_PAYLOAD_BYTES_MAX - 3));
        struct effect b = rig_invoke(rig, "b");
        if (constant)
            rig_result_bytes(rig, b, rig_call(rig, b).input);
        else
            rig_error(rig, b, "X", false);
        rig_result(rig, rig_invoke(rig, "undo_a"), NULL);
        rig_reply(rig, OUTCOME_COMPENSATED);
    }
    assert_int_equal(rig_errors_count(rig, "States.DataLimitExceeded"), 2);
    rig_assert_empty(rig);
}

/* Were a page kept for each size that ever came, this core would take no start for good. */
static void payloads_of_every_size_come_and_go_and_leave_nothing(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, STATES(TASK("A", "a", "'ResultPath':null,'End':true")));
    for (uint32_t bytes = 5; bytes < FLYOVER_PAYLOAD_BYTES_MAX; bytes += bytes / 3 + 1) {
        rig_start(rig, plan, rig_large_value(bytes));
        struct effect a = rig_invoke(rig, "a");
        assert_int_equal(rig_call(rig, a).input.count, bytes);
        rig_result(rig, a, NULL);
        rig_reply(rig, OUTCOME_SUCCEEDED);
        rig_assert_empty(rig);
    }
}

/* ---- errors and sources -----------------------------------------------------------------------
 */

static void error_names_beyond_the_limit_count_as_other(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, STATES(TASK("A", "a", "'End':true")));
    for (int i = 0; i < 400; i++) {
        char name[16];
        snprintf(name, sizeof name, "E%d", i % 200);
        rig_start(rig, plan, rig_value("{}"));
        rig_error(rig, rig_invoke(rig, "a"), name, false);
        rig_reply(rig, OUTCOME_FAILED);
    }
    const struct core_error *errors;
    assert_int_equal(core_errors(rig->core, &errors), CORE_ERRORS_MAX);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < CORE_ERRORS_MAX; i++)
        sum += errors[i].count;
    assert_int_equal(sum, 400);
    assert_int_equal(rig_errors_count(rig, "E126"), 2);
    assert_int_equal(rig_errors_count(rig, "E127"), 0);
    assert_int_equal(rig_errors_count(rig, "other"), 2 * (200 - 127));
}

static void open_source(struct rig *rig, uint64_t first_hash)
{
    struct event event = {.kind = EVENT_SOURCE, .source = {first_hash}};
    assert_int_equal(rig_apply(rig, &event), STATUS_OK);
}

static void start_from(struct rig *rig, uint32_t plan, uint32_t source, const char *input)
{
    struct event event = start_of(plan, source, rig_value(input));
    assert_int_equal(rig_apply(rig, &event), STATUS_OK);
    rig_result(rig, rig_invoke(rig, "a"), NULL);
    rig_reply(rig, OUTCOME_SUCCEEDED);
}

static void a_source_is_known_by_its_orders_in_their_order(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, STATES(TASK("A", "a", "'End':true")));
    const struct core_source *sources;
    assert_int_equal(core_sources(rig->core, &sources), 0);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(core_next_source(rig->core), i);
        open_source(rig, 100 + i);
    }
    static const char *const orders[4][3] = {{"1", "2", "3"}, {"1", "2", "3"}, {"2", "1", "3"}};
    for (int turn = 0; turn < 3; turn++)
        for (uint32_t source = 0; source < 3; source++)
            start_from(rig, plan, source, orders[source][turn]);
    start_from(rig, plan, EVENT_NO_SOURCE, "4");
    assert_int_equal(core_sources(rig->core, &sources), 4);
    assert_true(sources[0].first_hash == 100 && sources[0].count == 3);
    assert_true(sources[0].chain_hash == sources[1].chain_hash);
    assert_true(sources[0].chain_hash != sources[2].chain_hash);
    assert_true(sources[3].count == 0 && sources[3].chain_hash == 0);
    start_from(rig, plan, 0, "4");
    assert_true(sources[0].chain_hash != sources[1].chain_hash);
}

static void the_oldest_source_makes_room_for_a_new_one(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, STATES(TASK("A", "a", "'End':true")));
    for (uint32_t i = 0; i < CORE_SOURCES_MAX; i++)
        open_source(rig, i);
    start_from(rig, plan, 0, "1");
    assert_int_equal(core_next_source(rig->core), 0);
    open_source(rig, 1000);
    const struct core_source *sources;
    assert_int_equal(core_sources(rig->core, &sources), CORE_SOURCES_MAX);
    assert_true(sources[0].first_hash == 1000 && sources[0].count == 0);
    assert_true(sources[0].chain_hash == 0 && sources[1].first_hash == 1);
    assert_refused(rig, start_of(plan, CORE_SOURCES_MAX, rig_value("1")));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_that_cannot_work_are_refused),
        TEST(a_start_that_does_not_fit_the_state_is_refused),
        TEST(an_answer_that_is_larger_than_any_may_be_is_refused),
        TEST(what_comes_from_outside_larger_than_it_may_be_is_refused),
        TEST(events_that_are_not_the_cores_are_refused),
        TEST(a_full_core_takes_no_start_and_takes_one_for_each_that_ends),
        TEST(branches_that_a_saga_may_need_are_kept_for_it),
        TEST(effects_that_do_not_leave_hold_up_starts),
        TEST(a_thousand_states_may_be_passed_through_in_one_event),
        TEST(a_circle_without_a_step_fails_the_saga_and_undoes_what_was_done),
        TEST(a_saga_may_take_25000_steps_and_not_one_more),
        TEST(fire_and_forget_steps_count_as_steps),
        cmocka_unit_test(a_step_that_could_not_be_remembered_is_not_begun),
        TEST(when_payloads_run_full_the_step_that_did_not_fit_is_undone_too),
        TEST(a_payload_that_would_be_too_large_fails_the_saga),
        TEST(a_payload_may_be_as_large_as_the_limit_to_the_byte),
        TEST(a_caught_error_or_a_constant_that_does_not_fit_fails_the_saga),
        TEST(payloads_of_every_size_come_and_go_and_leave_nothing),
        TEST(error_names_beyond_the_limit_count_as_other),
        TEST(a_source_is_known_by_its_orders_in_their_order),
        TEST(the_oldest_source_makes_room_for_a_new_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
