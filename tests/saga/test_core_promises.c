#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "tests/saga/core_rig.h"

/* What a start says beside its input: by when the saga has to be at its end, and its trace. */

#define LATE "{'Error':'States.Timeout','Cause':'the saga took longer than its TimeoutSeconds'}"
#define PAST                                                                                       \
    "{'Error':'States.Timeout','Cause':'the saga was not at its end by the deadline of its "       \
    "start'}"

static const uint8_t a_trace[TRACE_BYTES] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13,
                                             14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 1};

static struct event start_of(uint32_t plan)
{
    return (struct event){
        .kind = EVENT_START,
        .start = {.plan = plan, .source = EVENT_NO_SOURCE, .input = rig_value("{}")}};
}

static uint32_t add_undone(struct rig *rig, const char *fields)
{
    char text[512];
    snprintf(text, sizeof text,
             "{%s'StartAt':'A','States':{'A':{'Type':'Task','Resource':'service:s.a','Compensate':{"
             "'Resource':'service:s.undo_a'},'Next':'B'},'B':{'Type':'Task','Resource':"
             "'service:s.b','End':true}}}",
             fields);
    return rig_add(rig, text);
}

static void assert_out_of_time(struct rig *rig, struct effect b, const char *error)
{
    assert_true(rig_deadline(rig, 1));
    rig_nothing(rig);
    rig_result(rig, b, "1");
    struct effect undo = rig_invoke(rig, "undo_a");
    rig_assert_error(rig, undo, error);
    rig_result(rig, undo, NULL);
}

/* ---- deadline ----------------------------------------------------------------------------------
 */

static void a_saga_past_the_deadline_of_its_start_is_compensated(void **state)
{
    struct rig *rig = *state;
    struct event event = start_of(add_undone(rig, ""));
    event.start.deadline_ms = rig->now_ms + 5000;
    assert_int_equal(rig_apply(rig, &event), STATUS_OK);
    rig_asks_for_deadline(rig, 5000);
    struct effect a = rig_invoke(rig, "a");
    rig_result(rig, a, "1");
    struct effect b = rig_invoke(rig, "b");
    assert_out_of_time(rig, b, PAST);
}

static void the_earlier_of_deadline_and_timeout_counts(void **state)
{
    struct rig *rig = *state;
    static const int64_t deadlines_ms[] = {4000, 9000};
    uint32_t plan = add_undone(rig, "'TimeoutSeconds':6,");
    for (size_t i = 0; i < 2; i++) {
        struct event event = start_of(plan);
        event.start.deadline_ms = rig->now_ms + deadlines_ms[i];
        assert_int_equal(rig_apply(rig, &event), STATUS_OK);
        rig_asks_for_deadline(rig, i == 0 ? 4000 : 6000);
        struct effect a = rig_invoke(rig, "a");
        rig_result(rig, a, "1");
        struct effect b = rig_invoke(rig, "b");
        assert_true(rig_deadline(rig, 1 + i));
        rig_result(rig, b, "1");
        struct effect undo = rig_invoke(rig, "undo_a");
        rig_assert_error(rig, undo, i == 0 ? PAST : LATE);
        rig_result(rig, undo, NULL);
        rig_reply(rig, OUTCOME_COMPENSATED);
    }
}

static void a_start_that_is_put_off_keeps_its_deadline(void **state)
{
    struct rig *rig = *state;
    struct event event = start_of(add_undone(rig, "'TimeoutSeconds':6,"));
    event.start.at_ms = rig->now_ms + 10000;
    event.start.deadline_ms = rig->now_ms + 12000;
    assert_int_equal(rig_apply(rig, &event), STATUS_OK);
    rig_asks_for_deadline(rig, 12000);
    struct effect timer = rig_sleep(rig, 10000);
    rig_timer(rig, timer);
    rig_asks_for_deadline(rig, 2000);
    struct effect a = rig_invoke(rig, "a");
    rig_result(rig, a, "1");
    struct effect b = rig_invoke(rig, "b");
    assert_out_of_time(rig, b, PAST);
}

static void a_deadline_that_cannot_be_kept_is_refused(void **state)
{
    struct rig *rig = *state;
    struct event event = start_of(add_undone(rig, ""));
    event.start.deadline_ms = rig->now_ms;
    assert_int_equal(rig_apply(rig, &event), STATUS_INVALID);
    event.start.at_ms = rig->now_ms + 1000;
    event.start.deadline_ms = rig->now_ms + 1000;
    assert_int_equal(rig_apply(rig, &event), STATUS_INVALID);
    event.start.deadline_ms++;
    assert_int_equal(rig_apply(rig, &event), STATUS_OK);
}

/* ---- trace -------------------------------------------------------------------------------------
 */

static void assert_trace(struct rig *rig, struct effect invoke)
{
    struct flyover_bytes trace = core_trace(rig->core, invoke.branch);
    assert_int_equal(trace.count, TRACE_BYTES);
    assert_memory_equal(trace.at, a_trace, TRACE_BYTES);
    slab_ref ref = rig_call(rig, invoke).trace;
    assert_memory_equal(slab_bytes_in(core_payloads(rig->core), ref), a_trace, TRACE_BYTES);
}

static void every_step_of_a_saga_has_its_trace(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = add_undone(rig, "");
    struct event event = start_of(plan);
    event.start.trace = (struct flyover_bytes){a_trace, TRACE_BYTES};
    assert_int_equal(rig_apply(rig, &event), STATUS_OK);
    struct effect a = rig_invoke(rig, "a");
    assert_trace(rig, a);
    rig_result(rig, a, "1");
    struct effect b = rig_invoke(rig, "b");
    assert_trace(rig, b);
    rig_restart(rig);
    assert_trace(rig, b);
    rig_error(rig, b, "No", false);
    struct effect undo = rig_invoke(rig, "undo_a");
    assert_trace(rig, undo);
    rig_result(rig, undo, NULL);
    rig_reply_to_nobody(rig, OUTCOME_COMPENSATED);
    rig_assert_empty(rig);
    event = start_of(plan);
    assert_int_equal(rig_apply(rig, &event), STATUS_OK);
    a = rig_invoke(rig, "a");
    assert_int_equal(core_trace(rig->core, a.branch).count, 0);
    assert_int_equal(rig_call(rig, a).trace.at, 0);
}

static void a_trace_of_another_length_is_refused(void **state)
{
    struct rig *rig = *state;
    struct event event = start_of(add_undone(rig, ""));
    event.start.trace = (struct flyover_bytes){a_trace, TRACE_BYTES - 1};
    assert_int_equal(rig_apply(rig, &event), STATUS_INVALID);
}

static void signals_are_kept_behind_the_trace(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(
        rig, "{'StartAt':'A','States':{'A':{'Type':'Task','Resource':'service:s.a','Next':'S'},"
             "'S':{'Type':'Task','Resource':'signal:paid','Next':'T'},"
             "'T':{'Type':'Task','Resource':'signal:paid','Next':'B'},"
             "'B':{'Type':'Task','Resource':'service:s.b','End':true}}}");
    struct event event = start_of(plan);
    event.start.trace = (struct flyover_bytes){a_trace, TRACE_BYTES};
    assert_int_equal(rig_apply(rig, &event), STATUS_OK);
    struct effect a = rig_invoke(rig, "a");
    for (uint32_t i = 0; i < CORE_SIGNALS_MAX; i++)
        assert_int_equal(rig_signal(rig, 1, "paid", i == 0 ? "1" : i == 1 ? "2" : "3"), STATUS_OK);
    assert_int_equal(rig_signal(rig, 1, "paid", "4"), STATUS_BUSY);
    rig_result(rig, a, NULL);
    rig_sleep_for_ever(rig);
    rig_sleep_for_ever(rig);
    struct effect b = rig_invoke(rig, "b");
    rig_assert_value(rig_call(rig, b).input, "2");
    assert_trace(rig, b);
    rig_result(rig, b, NULL);
    rig_reply(rig, OUTCOME_SUCCEEDED);
    rig_assert_empty(rig);
}

static void a_redriven_saga_keeps_its_trace(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = add_undone(rig, "");
    struct event event = {.kind = EVENT_REDRIVE,
                          .redrive = {.of_saga_id = 9,
                                      .plan = plan,
                                      .trace = {a_trace, TRACE_BYTES},
                                      .payload = rig_value("{}")}};
    assert_int_equal(rig_apply(rig, &event), STATUS_OK);
    assert_trace(rig, rig_invoke(rig, "a"));
    event.redrive.trace.count = 1;
    assert_int_equal(rig_apply(rig, &event), STATUS_INVALID);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_saga_past_the_deadline_of_its_start_is_compensated),
        TEST(the_earlier_of_deadline_and_timeout_counts),
        TEST(a_start_that_is_put_off_keeps_its_deadline),
        TEST(a_deadline_that_cannot_be_kept_is_refused),
        TEST(every_step_of_a_saga_has_its_trace),
        TEST(a_trace_of_another_length_is_refused),
        TEST(signals_are_kept_behind_the_trace),
        TEST(a_redriven_saga_keeps_its_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
