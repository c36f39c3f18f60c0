#include "tests/saga/core_rig.h"

#include <stdlib.h>
#include <string.h>

/* A saga that ended badly goes on as a new one, with the steps that it had done. */

static const char saga[] =
    STATES(UNDONE("A", "a", "'ResultPath':null,'Next':'B'"),
           UNDONE("B", "b", "'ResultPath':null,'Next':'C'"),
           UNDONE("C", "c", "'ResultPath':null,'Next':'D'"), TASK("D", "d", "'End':true"));

static uint32_t state_of(const struct rig *rig, uint32_t plan, const char *name)
{
    const struct plan *found = core_plan(rig->core, plan);
    for (uint32_t i = 0; i < found->states_count; i++)
        if (strcmp(found->states[i].name, name) == 0)
            return i;
    fail_msg("no state %s", name);
    return 0;
}

struct steps {
    uint8_t bytes[4096];
    uint32_t count;
    uint8_t *end;
};

static void add_step(struct steps *steps, uint32_t state, uint32_t step_no,
                     struct flyover_bytes input, struct flyover_bytes output)
{
    struct event_step step = {state, step_no, input, output};
    if (steps->count++ == 0)
        steps->end = steps->bytes;
    assert_true(steps->end + event_step_bytes_max(&step) <= steps->bytes + sizeof steps->bytes);
    steps->end = event_encode_step(&step, steps->end);
}

/* Of saga 9, which is at D, its fifth step. */
static struct event redrive_of(const struct rig *rig, uint32_t plan, const struct steps *steps)
{
    uint32_t steps_bytes = steps->count == 0 ? 0 : (uint32_t)(steps->end - steps->bytes);
    return (struct event){.kind = EVENT_REDRIVE,
                          .redrive = {.of_saga_id = 9,
                                      .plan = plan,
                                      .state = state_of(rig, plan, "D"),
                                      .step_no = 5,
                                      .payload = rig_value("{'n':1}"),
                                      .steps_count = steps->count,
                                      .steps = {steps->bytes, steps_bytes}}};
}

/* a; b, which was done a second time, without an output; c. */
static void add_steps(const struct rig *rig, uint32_t plan, struct steps *steps)
{
    struct flyover_bytes none = {0};
    add_step(steps, state_of(rig, plan, "A"), 1, rig_value("'in a'"), rig_value("'out a'"));
    add_step(steps, state_of(rig, plan, "B"), 3, rig_value("'in b'"), none);
    add_step(steps, state_of(rig, plan, "C"), 4, rig_value("'in c'"), rig_value("'out c'"));
}

static struct core_note last_note;

static void take_note(void *context, const struct core_note *note)
{
    (void)context;
    last_note = *note;
}

static void it_goes_on_where_it_failed_and_numbers_its_steps_from_there(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, saga);
    struct steps steps = {.count = 0};
    add_steps(rig, plan, &steps);
    struct event event = redrive_of(rig, plan, &steps);
    core_set_on_note(rig->core, take_note, NULL);
    assert_int_equal(rig_apply(rig, &event), STATUS_OK);
    assert_true(last_note.kind == CORE_NOTE_STARTED && last_note.redrive_of == 9);
    assert_true(last_note.saga_id == 1 && last_note.plan == plan);
    assert_int_equal(rig->saga_id, 1);
    struct effect d = rig_invoke(rig, "d");
    rig_assert_value(rig_call(rig, d).input, "{'n':1}");
    assert_int_equal(rig_call(rig, d).step_no, 6);
    assert_int_equal(rig->core->completed_pool.used, 3);
    rig_restart(rig);
    rig_result(rig, d, NULL);
    rig_reply_to_nobody(rig, OUTCOME_SUCCEEDED);
    struct core_totals totals = core_totals(rig->core);
    assert_true(totals.started == 1 && totals.steps == 1 && totals.succeeded == 1);
    rig_assert_empty(rig);
}

static void when_it_fails_again_what_it_brought_is_compensated_with_what_it_had(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, saga);
    for (int cancelled = 0; cancelled < 2; cancelled++) {
        struct steps steps = {.count = 0};
        add_steps(rig, plan, &steps);
        struct event event = redrive_of(rig, plan, &steps);
        assert_int_equal(rig_apply(rig, &event), STATUS_OK);
        struct effect d = rig_invoke(rig, "d");
        if (cancelled)
            assert_int_equal(rig_cancel(rig, d.id), STATUS_OK);
        rig_error(rig, d, "No", false);
        struct effect c = rig_invoke(rig, "undo_c");
        assert_int_equal(rig_call(rig, c).step_no, 4);
        rig_assert_value(rig_call(rig, c).input, "'in c'");
        rig_assert_value(rig_call(rig, c).output, "'out c'");
        rig_result(rig, c, NULL);
        struct effect b = rig_invoke(rig, "undo_b");
        assert_int_equal(rig_call(rig, b).step_no, 3);
        rig_assert_value(rig_call(rig, b).input, "'in b'");
        assert_int_equal(rig_call(rig, b).output.count, 0);
        rig_result(rig, b, NULL);
        struct effect a = rig_invoke(rig, "undo_a");
        assert_int_equal(rig_call(rig, a).step_no, 1);
        rig_assert_value(rig_call(rig, a).output, "'out a'");
        rig_result(rig, a, NULL);
        rig_reply(rig, OUTCOME_COMPENSATED);
        rig_assert_empty(rig);
    }
}

static void it_may_bring_nothing_and_begin_anywhere_and_has_a_deadline_of_its_own(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, SAGA("'TimeoutSeconds':60,", UNDONE("A", "a", "'Next':'D'"),
                                      STATE("Wait", "D", "'Seconds':5,'Next':'E'"), SUCCEED("E")));
    struct steps steps = {.count = 0};
    struct event event = redrive_of(rig, plan, &steps);
    assert_int_equal(rig_apply(rig, &event), STATUS_OK);
    rig_asks_for_deadline(rig, 60000);
    rig_timer(rig, rig_sleep(rig, 5000));
    rig_reply(rig, OUTCOME_SUCCEEDED);
    event.redrive.state = state_of(rig, plan, "E");
    rig->saga_id = 0;
    assert_int_equal(rig_apply(rig, &event), STATUS_OK);
    assert_int_equal(rig->saga_id, 2);
    rig->effects.head++;
    rig_reply(rig, OUTCOME_SUCCEEDED);
    rig_assert_empty(rig);
}

static void assert_refused(struct rig *rig, struct event event)
{
    struct core_digest before = core_digest(rig->core);
    assert_int_equal(rig_apply(rig, &event), STATUS_INVALID);
    assert_true(rig_same(before, core_digest(rig->core)));
    rig_nothing(rig);
}

static void one_that_does_not_fit_the_state_is_refused(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, saga);
    struct steps steps = {.count = 0};
    add_steps(rig, plan, &steps);
    const struct event good = redrive_of(rig, plan, &steps);
    struct event event = good;
    event.redrive.plan = plan + 1;
    assert_refused(rig, event);
    event = good;
    event.redrive.state = core_plan(rig->core, plan)->states_count;
    assert_refused(rig, event);
    event = good;
    event.redrive.step_no = CORE_STEPS_MAX;
    assert_refused(rig, event);
    event = good;
    event.redrive.payload.count = 0;
    assert_refused(rig, event);
    event = good;
    event.redrive.payload = rig_large_value(FLYOVER_PAYLOAD_BYTES_MAX + 1);
    assert_refused(rig, event);
    event = good;
    event.redrive.steps.count--;
    assert_refused(rig, event);
    struct flyover_bytes none = {0}, one = rig_value("1");
    struct steps bad = {.count = 0};
    add_step(&bad, state_of(rig, plan, "D"), 1, one, none); /* which is not compensated */
    assert_refused(rig, redrive_of(rig, plan, &bad));
    bad.count = 0;
    add_step(&bad, state_of(rig, plan, "A"), 1, none, one);
    assert_refused(rig, redrive_of(rig, plan, &bad));
    bad.count = 0;
    add_step(&bad, core_plan(rig->core, plan)->states_count, 1, one, none);
    assert_refused(rig, redrive_of(rig, plan, &bad));
    /* A step that begins later would get the number again, and with it the key. */
    static const uint32_t numbers[] = {0, 6};
    for (size_t i = 0; i < 2; i++) {
        bad.count = 0;
        add_step(&bad, state_of(rig, plan, "A"), numbers[i], one, none);
        assert_refused(rig, redrive_of(rig, plan, &bad));
    }
    assert_int_equal(rig_apply(rig, &good), STATUS_OK);
    (void)rig_invoke(rig, "d");
}

/* In a core of one saga there is room for eight steps. The ninth makes it fail; the eight that it
 * could bring are compensated. */
static void one_that_brings_more_than_there_is_room_for_fails(void **state)
{
    (void)state;
    struct rig small;
    rig_open(&small, 1, 16u << 20);
    uint32_t plan = rig_add(&small, saga);
    struct steps steps = {.count = 0};
    struct flyover_bytes none = {0};
    for (uint32_t i = 1; i <= COMPLETED_PER_SAGA + 1; i++)
        add_step(&steps, state_of(&small, plan, "A"), i, rig_value("1"), none);
    struct event event = redrive_of(&small, plan, &steps);
    event.redrive.step_no = COMPLETED_PER_SAGA + 1;
    assert_int_equal(rig_apply(&small, &event), STATUS_OK);
    for (uint32_t i = COMPLETED_PER_SAGA; i > 0; i--) {
        struct effect undo = rig_invoke(&small, "undo_a");
        assert_int_equal(rig_call(&small, undo).step_no, i);
        rig_result(&small, undo, NULL);
    }
    rig_reply(&small, OUTCOME_COMPENSATED);
    assert_int_equal(rig_errors_count(&small, "States.Runtime"), 1);
    rig_assert_empty(&small);
    rig_close(&small);
}

/* A step whose input found no room cannot be compensated: it is not asked for without it. */
static void one_whose_steps_find_no_room_for_their_payloads_fails(void **state)
{
    enum { STEPS_COUNT = 32, STEP_BYTES = 250000 };
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, saga);
    while (core_can_start(rig->core, plan, &rig->effects)) {
        rig_start(rig, plan, rig_large_value(FLYOVER_PAYLOAD_BYTES_MAX));
        (void)rig_invoke(rig, "a");
    }
    assert_int_equal(rig_abort(rig, 1), STATUS_OK);
    assert_int_equal(rig_abort(rig, 2), STATUS_OK);
    assert_int_equal(rig_abort(rig, 3), STATUS_OK);
    assert_int_equal(rig_abort(rig, 4), STATUS_OK);
    for (uint32_t branch = 0; branch < 4; branch++)
        assert_int_equal(
            rig_apply(rig, &(struct event){.kind = EVENT_RESULT, .result = {.branch = branch}}),
            STATUS_OK);
    rig->effects.head = rig->effects.tail;
    uint8_t *steps = malloc(STEPS_COUNT * (STEP_BYTES + EVENT_FIXED_BYTES_MAX)), *end = steps;
    assert_non_null(steps);
    for (uint32_t i = 0; i < STEPS_COUNT; i++) {
        struct event_step step = {
            state_of(rig, plan, "A"), i + 1, rig_large_value(STEP_BYTES), {0}};
        end = event_encode_step(&step, end);
    }
    struct event event = redrive_of(rig, plan, &(struct steps){.count = 0});
    event.redrive.step_no = STEPS_COUNT;
    event.redrive.steps_count = STEPS_COUNT;
    event.redrive.steps = (struct flyover_bytes){steps, (uint32_t)(end - steps)};
    assert_int_equal(rig_apply(rig, &event), STATUS_OK);
    uint64_t id = rig->saga_id;
    uint32_t undone_count = 0;
    for (struct effect undo; (undo = rig->effects.items[rig->effects.head++]).kind == EFFECT_INVOKE;
         undone_count++) {
        assert_true(undo.id == id);
        assert_string_equal(rig_handler(rig, undo), "undo_a");
        assert_int_equal(rig_call(rig, undo).input.count, STEP_BYTES);
        rig_result(rig, undo, NULL);
    }
    rig_nothing(rig);
    assert_in_range(undone_count, 8, STEPS_COUNT - 1);
    assert_true(core_find_saga(rig->core, id) == CORE_NO_SAGA);
    free(steps);
}

static void a_full_core_takes_none(void **state)
{
    (void)state;
    struct rig small;
    rig_open(&small, 1, 16u << 20);
    uint32_t plan = rig_add(&small, saga);
    struct steps steps = {.count = 0};
    struct event event = redrive_of(&small, plan, &steps);
    assert_int_equal(rig_apply(&small, &event), STATUS_OK);
    struct effect d = rig_invoke(&small, "d");
    assert_refused(&small, event);
    rig_result(&small, d, NULL);
    rig_reply(&small, OUTCOME_SUCCEEDED);
    assert_int_equal(rig_apply(&small, &event), STATUS_OK);
    rig_close(&small);
}

static void a_saga_is_redriven_once_while_that_is_known(void **state)
{
    struct rig *rig = *state;
    struct steps steps = {.count = 0};
    struct event event = redrive_of(rig, rig_add(rig, saga), &steps);
    struct problem problem = {0};
    uint64_t known = 0;
    assert_int_equal(core_check_redrive(rig->core, 9, rig->now_ms, &known, &problem), STATUS_OK);
    event.redrive.once = true;
    assert_int_equal(rig_apply(rig, &event), STATUS_OK);
    struct effect d = rig_invoke(rig, "d");
    rig_restart(rig);
    assert_refused(rig, event);
    assert_int_equal(core_check_redrive(rig->core, 9, rig->now_ms, &known, &problem),
                     STATUS_EXISTS);
    assert_int_equal(known, 1);
    assert_string_equal(problem.text, "saga 9 was redriven already, as saga 1: look there, and "
                                      "redrive that one if it has failed too");
    assert_int_equal(core_check_redrive(rig->core, 1, rig->now_ms, &known, &problem), STATUS_OK);
    /* For as long as a name: while its saga runs, and for some time. */
    rig->now_ms += RIG_NAME_RETENTION_MS;
    assert_refused(rig, event);
    rig_result(rig, d, NULL);
    rig_reply_to_nobody(rig, OUTCOME_SUCCEEDED);
    assert_int_equal(rig_apply(rig, &event), STATUS_OK);
    rig_result(rig, rig_invoke(rig, "d"), NULL);
    rig_reply(rig, OUTCOME_SUCCEEDED);
    /* One of a journal of before is not kept. */
    event.redrive.once = false;
    assert_int_equal(rig_apply(rig, &event), STATUS_OK);
    assert_int_equal(core_check_redrive(rig->core, 9, rig->now_ms, &known, &problem),
                     STATUS_EXISTS);
    assert_int_equal(known, 2);
}

static void where_no_more_names_can_be_kept_no_saga_is_redriven(void **state)
{
    struct rig *rig = *state;
    struct steps steps = {.count = 0};
    struct event event = redrive_of(rig, rig_add(rig, saga), &steps);
    struct problem problem = {0};
    uint64_t known = 0;
    event.redrive.once = true;
    for (uint64_t id = 11; id < 11 + RIG_NAMES_MAX; id++) {
        event.redrive.of_saga_id = id;
        assert_int_equal(rig_apply(rig, &event), STATUS_OK);
        rig_invoke(rig, "d");
    }
    event.redrive.of_saga_id = 9;
    assert_refused(rig, event);
    assert_int_equal(core_check_redrive(rig->core, 9, rig->now_ms, &known, &problem), STATUS_BUSY);
    assert_non_null(strstr(problem.text, "8 names are kept, as many as there is room for"));
    assert_int_equal(core_check_redrive(rig->core, 12, rig->now_ms, &known, &problem),
                     STATUS_EXISTS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_goes_on_where_it_failed_and_numbers_its_steps_from_there),
        TEST(when_it_fails_again_what_it_brought_is_compensated_with_what_it_had),
        TEST(it_may_bring_nothing_and_begin_anywhere_and_has_a_deadline_of_its_own),
        TEST(one_that_does_not_fit_the_state_is_refused),
        cmocka_unit_test(one_that_brings_more_than_there_is_room_for_fails),
        TEST(one_whose_steps_find_no_room_for_their_payloads_fails),
        cmocka_unit_test(a_full_core_takes_none),
        TEST(a_saga_is_redriven_once_while_that_is_known),
        TEST(where_no_more_names_can_be_kept_no_saga_is_redriven),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
