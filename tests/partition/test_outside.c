#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "engine/saga/plan.h"
#include "tests/partition/rig.h"
#include "tests/partition/scripted.h"

/* What comes from outside: refused in words, with nothing in the journal; or accepted, and then not
 * lost. */

static const char three[] =
    "{\"StartAt\":\"A\",\"States\":{"
    "\"A\":{\"Type\":\"Task\",\"Resource\":\"service:test.a.waitForTaskToken\","
    "\"HeartbeatSeconds\":10,\"TimeoutSeconds\":60,\"Compensate\":{\"Resource\":"
    "\"service:test.undo_a\"},\"Retry\":[{\"ErrorEquals\":[\"Test.Busy\"],\"MaxAttempts\":1,"
    "\"IntervalSeconds\":1}],\"ResultPath\":\"$.ra\",\"Next\":\"S\"},"
    "\"S\":{\"Type\":\"Task\",\"Resource\":\"signal:paid\",\"ResultPath\":\"$.paid\",\"Next\":"
    "\"B\"},\"B\":{\"Type\":\"Task\",\"Resource\":\"service:test.b\",\"ResultPath\":\"$.rb\","
    "\"End\":true}}}";
static const char simple[] = "{\"StartAt\":\"B\",\"States\":{\"B\":{\"Type\":\"Task\",\"Resource\":"
                             "\"service:test.b\",\"End\":true}}}";
static const struct flyover_bytes nothing;
static struct problem problem;

static void open_engine(struct rig *rig, const char *definition)
{
    struct partition_options options = rig_options(rig, DURABILITY_ASYNC);
    options.now_ns = rig_read_ns;
    options.checkpoint_bytes = 0;
    rig_open(rig, &options, definition);
}

/* What was accepted is durable, and then the engine dies. */
static void crash_when_durable(struct rig *rig)
{
    uint64_t pending_no = partition_pending_no(rig->partition);
    assert_true(pending_no > partition_durable_no(rig->partition));
    /* No handler runs, so that each runs once. */
    rig_held[PARTITION_WORKER] = true;
    while (partition_durable_no(rig->partition) < pending_no)
        rig_turn(rig);
    rig_held[PARTITION_WORKER] = false;
    rig_crash(rig);
    open_engine(rig, NULL);
}

/* The call is refused so, and leaves no record. */
#define REFUSED(rig, call, wanted_status, sentence)                                                \
    do {                                                                                           \
        uint64_t records = rig_records(rig);                                                       \
        problem = (struct problem){0};                                                             \
        assert_int_equal(call, wanted_status);                                                     \
        assert_string_equal(problem.text, sentence);                                               \
        assert_int_equal(partition_pending_no((rig)->partition),                                   \
                         partition_durable_no((rig)->partition));                                  \
        assert_int_equal(rig_records(rig), records);                                               \
    } while (0)

#define ACCEPTED(call)                                                                             \
    do {                                                                                           \
        problem = (struct problem){0};                                                             \
        if ((call) != STATUS_OK)                                                                   \
            fail_msg("%s", problem.text);                                                          \
    } while (0)

static bool view(const struct rig *rig, uint64_t saga_id, struct core_branch_view *ret_view)
{
    const struct core *core = partition_state(rig->partition)->core;
    uint32_t slot = core_find_saga(core, saga_id);
    uint32_t branch = CORE_NO_SAGA;
    return slot != CORE_NO_SAGA && core_next_branch(core, slot, &branch) &&
           core_view_branch(core, branch, ret_view);
}

static enum phase phase_of(const struct rig *rig, uint64_t saga_id)
{
    struct core_branch_view seen;
    return view(rig, saga_id, &seen) ? seen.phase : PHASE_FREE;
}

/* A saga that waits for the answer by scripted_token. */
static uint64_t start_awaiting(struct rig *rig)
{
    uint64_t saga_id = rig_start(rig, rig->plan, "x", "y");
    rig_settle(rig);
    assert_int_equal(phase_of(rig, saga_id), PHASE_AWAITING);
    return saga_id;
}

/* ---- starts under a name ------------------------------------------------------------------------
 */

static enum status start_named(struct rig *rig, const char *name, const char *value,
                               uint64_t *ret_saga_id)
{
    struct partition_start_options options = {
        .plan = rig->plan, .input = rig_input("x", value), .name = rig_text(name), .token = 7};
    return partition_start_with(rig->partition, &options, ret_saga_id, &problem);
}

static void assert_names_are_kept(struct rig *rig)
{
    uint64_t saga_id = 0;
    REFUSED(rig, start_named(rig, "order 1", "y", &saga_id), STATUS_EXISTS, "");
    assert_int_equal(saga_id, 1);
    saga_id = 0;
    REFUSED(rig, start_named(rig, "order 1", "z", &saga_id), STATUS_INVALID,
            "the name 'order 1' was given to saga 1 with another input: take another name, or the "
            "same input");
    assert_int_equal(saga_id, 0);
}

static void a_name_starts_one_saga_also_after_a_restart(void **state)
{
    struct rig *rig = *state;
    uint64_t saga_id = 0;
    open_engine(rig, simple);
    ACCEPTED(start_named(rig, "order 1", "y", &saga_id));
    assert_int_equal(saga_id, 1);
    /* While its block is not durable yet, too: whoever hears of it waits for that block. */
    assert_int_equal(start_named(rig, "order 1", "y", &saga_id), STATUS_EXISTS);
    assert_true(partition_pending_no(rig->partition) > partition_durable_no(rig->partition));
    crash_when_durable(rig);
    assert_names_are_kept(rig);
    rig_stop(rig, NULL);
    open_engine(rig, NULL);
    assert_names_are_kept(rig);
    assert_int_equal(rig_totals(rig).started, 1);
    ACCEPTED(start_named(rig, "order 2", "z", &saga_id));
    assert_int_equal(saga_id, 2);
}

static void a_name_is_kept_in_a_checkpoint(void **state)
{
    struct rig *rig = *state;
    uint64_t saga_id = 0;
    struct partition_options options = rig_options(rig, DURABILITY_ASYNC);
    options.checkpoint_bytes = 200;
    rig_open(rig, &options, simple);
    ACCEPTED(start_named(rig, "order 1", "y", &saga_id));
    while (partition_counts(rig->partition).checkpoints < 2) {
        assert_int_equal(rig_try_start(rig, rig->plan, "x", "y"), STATUS_OK);
        rig_settle(rig);
    }
    rig_stop(rig, NULL);
    open_engine(rig, NULL);
    assert_true(partition_recovered_from(rig->partition) > 0);
    assert_names_are_kept(rig);
}

static void what_is_no_name_or_no_input_is_refused(void **state)
{
    struct rig *rig = *state;
    uint64_t saga_id = 0;
    open_engine(rig, simple);
    REFUSED(rig, start_named(rig, "a\nb", "y", &saga_id), STATUS_INVALID,
            "the name of a saga has 1 to 256 bytes of UTF-8 without control characters; this one "
            "has 3 bytes, not all of them so");
    static char long_name[258];
    memset(long_name, 'n', 257);
    REFUSED(rig, start_named(rig, long_name, "y", &saga_id), STATUS_INVALID,
            "the name of a saga has 1 to 256 bytes of UTF-8 without control characters; this one "
            "has 257 bytes");
    struct partition_start_options options = {.plan = rig->plan};
    REFUSED(rig, partition_start_with(rig->partition, &options, &saga_id, &problem), STATUS_INVALID,
            "the input is missing");
    options.input = (struct flyover_bytes){(const uint8_t *)"", FLYOVER_PAYLOAD_BYTES_MAX + 1};
    REFUSED(rig, partition_start_with(rig->partition, &options, &saga_id, &problem),
            STATUS_TOO_LARGE, "the input has 262145 bytes; it may have 262144");
}

/* ---- starts at a time ---------------------------------------------------------------------------
 */

static enum status start_at(struct rig *rig, int64_t at_ms, uint64_t *ret_saga_id)
{
    struct partition_start_options options = {
        .plan = rig->plan, .input = rig_input("x", "y"), .at_ms = at_ms};
    return partition_start_with(rig->partition, &options, ret_saga_id, &problem);
}

static void a_start_at_a_time_begins_then(void **state)
{
    struct rig *rig = *state;
    uint64_t saga_id = 0;
    open_engine(rig, simple);
    ACCEPTED(start_at(rig, rig_now_ms + 5000, &saga_id));
    crash_when_durable(rig);
    rig_now_ms += 4999;
    rig_settle(rig);
    assert_string_equal(scripted_trace, "");
    rig_now_ms += 1;
    rig_settle(rig);
    assert_string_equal(scripted_trace, "b");
    /* And at once for a time that has passed, or is none. */
    ACCEPTED(start_at(rig, rig_now_ms - 1, &saga_id));
    ACCEPTED(start_at(rig, rig_now_ms, &saga_id));
    ACCEPTED(start_at(rig, -5, &saga_id));
    ACCEPTED(start_at(rig, INT64_MIN, &saga_id));
    rig_settle(rig);
    assert_string_equal(scripted_trace, "bbbbb");
    rig_assert_replay_agrees(rig);
}

static void a_start_more_than_a_hundred_years_off_is_refused(void **state)
{
    struct rig *rig = *state;
    uint64_t saga_id = 0;
    open_engine(rig, simple);
    int64_t last_ms = rig_now_ms + (int64_t)PLAN_WAIT_MS_MAX;
    static const char sentence[] = "a saga cannot begin more than a hundred years from now";
    REFUSED(rig, start_at(rig, last_ms + 1, &saga_id), STATUS_INVALID, sentence);
    REFUSED(rig, start_at(rig, INT64_MAX, &saga_id), STATUS_INVALID, sentence);
    ACCEPTED(start_at(rig, last_ms, &saga_id));
    crash_when_durable(rig);
    rig_now_ms = last_ms;
    rig_settle(rig);
    assert_string_equal(scripted_trace, "b");
}

/* ---- to a saga ----------------------------------------------------------------------------------
 */

static void what_is_meant_for_no_saga_is_refused(void **state)
{
    struct rig *rig = *state;
    open_engine(rig, simple);
    uint64_t ended = rig_start(rig, rig->plan, "x", "y");
    rig_settle(rig);
    struct partition *partition = rig->partition;
    static const char never[] = "saga 9 was never started: there are 1, numbered from 1";
    static const char over[] = "saga 1 has ended: nothing can be done to it any more";
    struct flyover_bytes why = rig_text("why");
    struct flyover_bytes nil = {(const uint8_t *)"\xc0", 1};
    struct flyover_bytes paid = rig_text("paid");
    REFUSED(rig, partition_cancel(partition, 9, false, why, &problem), STATUS_NOT_FOUND, never);
    REFUSED(rig, partition_cancel(partition, ended, true, why, &problem), STATUS_NOT_FOUND, over);
    REFUSED(rig, partition_mend(partition, 9, MEND_SKIP, nothing, why, &problem), STATUS_NOT_FOUND,
            never);
    REFUSED(rig, partition_mend(partition, ended, MEND_RETRY, nothing, nothing, &problem),
            STATUS_NOT_FOUND, over);
    REFUSED(rig, partition_signal(partition, 9, paid, nil, &problem), STATUS_NOT_FOUND, never);
    REFUSED(rig, partition_signal(partition, ended, paid, nil, &problem), STATUS_NOT_FOUND, over);
}

static void a_cancel_is_refused_where_it_says_too_much_or_was_said_before(void **state)
{
    struct rig *rig = *state;
    open_engine(rig, three);
    uint64_t saga_id = start_awaiting(rig);
    static char reason[EVENT_REASON_BYTES_MAX + 2];
    memset(reason, 'r', EVENT_REASON_BYTES_MAX + 1);
    REFUSED(rig, partition_cancel(rig->partition, saga_id, false, rig_text(reason), &problem),
            STATUS_TOO_LARGE, "the reason has 257 bytes; it may have 256: say it shorter");
    /* While a handler works on a step the cancel waits for it, and is known. */
    rig_held[PARTITION_WORKER] = true;
    uint64_t second = rig_start(rig, rig->plan, "x", "y");
    for (int i = 0; i < 5; i++)
        rig_turn(rig);
    ACCEPTED(partition_cancel(rig->partition, second, false, nothing, &problem));
    for (int i = 0; i < 5; i++)
        rig_turn(rig);
    uint64_t pending_no = partition_pending_no(rig->partition);
    assert_int_equal(partition_cancel(rig->partition, second, false, nothing, &problem),
                     STATUS_EXISTS);
    assert_string_equal(problem.text, "saga 2 was cancelled already");
    assert_int_equal(partition_pending_no(rig->partition), pending_no);
    rig_held[PARTITION_WORKER] = false;
    rig_settle(rig);
    assert_int_equal(rig_totals(rig).failed + rig_totals(rig).compensated, 1);
}

static void a_cancel_that_was_accepted_is_not_lost(void **state)
{
    struct rig *rig = *state;
    open_engine(rig, three);
    uint64_t saga_id = start_awaiting(rig);
    ACCEPTED(partition_cancel(rig->partition, saga_id, false, rig_text("why"), &problem));
    crash_when_durable(rig);
    rig_settle(rig);
    assert_int_equal(rig_totals(rig).ended, 1);
    assert_int_equal(rig_totals(rig).succeeded, 0);
    saga_id = start_awaiting(rig);
    ACCEPTED(partition_cancel(rig->partition, saga_id, true, rig_text("why"), &problem));
    crash_when_durable(rig);
    rig_settle(rig);
    assert_int_equal(rig_totals(rig).aborted, 1);
}

static void a_signal_is_refused_or_not_lost(void **state)
{
    struct rig *rig = *state;
    open_engine(rig, three);
    uint64_t saga_id = start_awaiting(rig);
    struct flyover_bytes nil = {(const uint8_t *)"\xc0", 1};
    REFUSED(rig, partition_signal(rig->partition, saga_id, rig_text("sent"), nil, &problem),
            STATUS_INVALID, "saga 1 of test never waits for a signal 'sent'; it waits for: paid");
    REFUSED(rig, partition_signal(rig->partition, saga_id, rig_text("paid"), nothing, &problem),
            STATUS_INVALID, "the payload of the signal is missing");
    struct flyover_bytes large = {(const uint8_t *)"", FLYOVER_PAYLOAD_BYTES_MAX + 1};
    REFUSED(rig, partition_signal(rig->partition, saga_id, rig_text("paid"), large, &problem),
            STATUS_TOO_LARGE, "the payload of the signal has 262145 bytes; it may have 262144");
    ACCEPTED(partition_signal(rig->partition, saga_id, rig_text("paid"), nil, &problem));
    crash_when_durable(rig);
    for (uint32_t kept = 1; kept < CORE_SIGNALS_MAX; kept++)
        ACCEPTED(partition_signal(rig->partition, saga_id, rig_text("paid"), nil, &problem));
    REFUSED(rig, partition_signal(rig->partition, saga_id, rig_text("paid"), nil, &problem),
            STATUS_BUSY,
            "16 signals wait for saga 1 already, as many as are kept: send this one when it has "
            "taken some");
    ACCEPTED(partition_answer(rig->partition, scripted_token, nil, &problem));
    rig_settle(rig);
    assert_string_equal(scripted_trace, "ab");
    assert_int_equal(rig_totals(rig).succeeded, 1);
}

/* ---- by token -----------------------------------------------------------------------------------
 */

static void an_answer_is_refused_or_not_lost(void **state)
{
    struct rig *rig = *state;
    open_engine(rig, three);
    uint64_t saga_id = start_awaiting(rig);
    struct flyover_bytes nil = {(const uint8_t *)"\xc0", 1};
    char token[FLYOVER_TOKEN_BYTES];
    strcpy(token, scripted_token);
    REFUSED(
        rig, partition_answer(rig->partition, "1-1-1-0", nil, &problem), STATUS_INVALID,
        "'1-1-1-0' is no token of this data directory: a step that waits to be answered gave it "
        "to its handler, whole");
    REFUSED(rig, partition_answer(rig->partition, token, nothing, &problem), STATUS_INVALID,
            "the output is missing");
    REFUSED(rig, partition_answer_error(rig->partition, token, nothing, nothing, &problem),
            STATUS_INVALID, "the name of an error has 1 to 64 bytes");
    static char text[FLYOVER_ERROR_CAUSE_BYTES_MAX + 2];
    memset(text, 'c', FLYOVER_ERROR_CAUSE_BYTES_MAX + 1);
    REFUSED(rig,
            partition_answer_error(rig->partition, token, rig_text("E"), rig_text(text), &problem),
            STATUS_TOO_LARGE, "the cause of an error has at most 256 bytes");
    ACCEPTED(partition_answer(rig->partition, token, nil, &problem));
    crash_when_durable(rig);
    struct core_branch_view seen;
    assert_true(view(rig, saga_id, &seen));
    assert_string_equal(seen.state, "S");
    static const char late[] = "nothing waits for this token: step 1 of saga 1 was answered, or "
                               "out of time, or is not yet begun";
    REFUSED(rig, partition_answer(rig->partition, token, nil, &problem), STATUS_NOT_FOUND, late);
    REFUSED(rig, partition_heartbeat(rig->partition, token, &problem), STATUS_NOT_FOUND, late);
    REFUSED(rig, partition_answer_error(rig->partition, token, rig_text("E"), nothing, &problem),
            STATUS_NOT_FOUND, late);
}

static void an_error_by_token_is_tried_again_under_another_token(void **state)
{
    struct rig *rig = *state;
    open_engine(rig, three);
    start_awaiting(rig);
    char token[FLYOVER_TOKEN_BYTES];
    strcpy(token, scripted_token);
    ACCEPTED(
        partition_answer_error(rig->partition, token, rig_text("Test.Busy"), nothing, &problem));
    crash_when_durable(rig);
    rig_now_ms += 1000;
    rig_settle(rig);
    assert_string_equal(scripted_trace, "aa");
    assert_string_not_equal(scripted_token, token);
    struct flyover_bytes nil = {(const uint8_t *)"\xc0", 1};
    REFUSED(rig, partition_answer(rig->partition, token, nil, &problem), STATUS_NOT_FOUND,
            "nothing waits for this token: step 1 of saga 1 was answered, or out of time, or is "
            "not yet begun");
    ACCEPTED(partition_answer_error(rig->partition, scripted_token, rig_text("Test.Busy"), nothing,
                                    &problem));
    rig_settle(rig);
    assert_int_equal(rig_totals(rig).failed, 1);
}

static void a_heartbeat_that_was_accepted_moves_the_time_also_after_a_crash(void **state)
{
    struct rig *rig = *state;
    open_engine(rig, three);
    uint64_t saga_id = start_awaiting(rig);
    for (int i = 0; i < 3; i++) {
        rig_now_ms += 9000;
        rig_settle(rig);
        ACCEPTED(partition_heartbeat(rig->partition, scripted_token, &problem));
        crash_when_durable(rig);
    }
    rig_now_ms += 9999;
    rig_settle(rig);
    assert_int_equal(phase_of(rig, saga_id), PHASE_AWAITING);
    rig_now_ms += 1;
    rig_settle(rig);
    assert_int_equal(phase_of(rig, saga_id), PHASE_FREE);
    assert_int_equal(rig_totals(rig).timeouts, 1);
    const struct core_error *errors;
    assert_int_equal(core_errors(partition_state(rig->partition)->core, &errors), 1);
    assert_string_equal(errors[0].name, "States.HeartbeatTimeout");
}

/* ---- mending, and doing again
 * ---------------------------------------------------------------------
 */

static const char undone_badly[] =
    "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Task\",\"Resource\":\"service:test.a\","
    "\"Compensate\":{\"Resource\":\"service:test.undo_a\"},\"ResultPath\":\"$.ra\",\"Next\":\"F\"},"
    "\"F\":{\"Type\":\"Fail\",\"Error\":\"Test.End\",\"Cause\":\"as told\"}}}";

static void a_mend_is_refused_or_not_lost(void **state)
{
    struct rig *rig = *state;
    open_engine(rig, undone_badly);
    uint32_t waiting = rig_define(rig, "three", three);
    uint64_t stuck = rig_start(rig, rig->plan, "refuse_undo", "a");
    uint64_t runs = rig_start(rig, waiting, "x", "y");
    rig_settle(rig);
    assert_int_equal(rig_totals(rig).stuck, 1);
    struct flyover_bytes why = rig_text("why");
    REFUSED(rig, partition_mend(rig->partition, stuck, MEND_SKIP, nothing, nothing, &problem),
            STATUS_INVALID, "say why: the reason is kept in the history of the saga");
    REFUSED(rig, partition_mend(rig->partition, runs, MEND_SKIP, nothing, why, &problem),
            STATUS_INVALID, "saga 2 is not stuck: it is running, and goes on by itself");
    REFUSED(rig, partition_cancel(rig->partition, stuck, false, why, &problem), STATUS_INVALID,
            "saga 1 is stuck: retry it, skip the step it is stuck at, or resolve it");
    /* Tried again, it refuses again. */
    ACCEPTED(partition_mend(rig->partition, stuck, MEND_RETRY, nothing, nothing, &problem));
    crash_when_durable(rig);
    rig_settle(rig);
    assert_string_equal(scripted_trace, "aaAA");
    assert_int_equal(rig_totals(rig).stuck, 1);
    assert_int_equal(rig_totals(rig).mended, 1);
    ACCEPTED(partition_mend(rig->partition, stuck, MEND_SKIP, nothing, why, &problem));
    crash_when_durable(rig);
    rig_settle(rig);
    assert_int_equal(rig_totals(rig).stuck, 0);
    assert_int_equal(rig_totals(rig).compensated, 1);
}

static void a_redrive_is_refused_or_not_lost(void **state)
{
    struct rig *rig = *state;
    open_engine(rig, three);
    struct event event = {.kind = EVENT_REDRIVE};
    event.redrive.of_saga_id = 1;
    event.redrive.plan = 5;
    event.redrive.state = 2;
    event.redrive.step_no = 2;
    event.redrive.payload = (struct flyover_bytes){(const uint8_t *)"\x80", 1};
    uint64_t saga_id = 0;
    REFUSED(rig, partition_redrive(rig->partition, &event, 1, &saga_id, &problem), STATUS_INVALID,
            "there is no such definition here");
    event.redrive.plan = rig->plan;
    event.redrive.steps.count = BLOCK_BYTES_MAX;
    REFUSED(rig, partition_redrive(rig->partition, &event, 1, &saga_id, &problem), STATUS_TOO_LARGE,
            "what the saga has done is too large to be brought along");
    event.redrive.steps.count = 0;
    ACCEPTED(partition_redrive(rig->partition, &event, 1, &saga_id, &problem));
    assert_int_equal(saga_id, 1);
    crash_when_durable(rig);
    rig_settle(rig);
    assert_string_equal(scripted_trace, "b");
    assert_int_equal(rig_totals(rig).succeeded, 1);
    saga_id = 0;
    REFUSED(rig, partition_redrive(rig->partition, &event, 1, &saga_id, &problem), STATUS_EXISTS,
            "saga 1 was redriven already, as saga 1: look there, and redrive that one if it has "
            "failed too");
    assert_int_equal(saga_id, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_name_starts_one_saga_also_after_a_restart),
        RIG_TEST(a_name_is_kept_in_a_checkpoint),
        RIG_TEST(what_is_no_name_or_no_input_is_refused),
        RIG_TEST(a_start_at_a_time_begins_then),
        RIG_TEST(a_start_more_than_a_hundred_years_off_is_refused),
        RIG_TEST(what_is_meant_for_no_saga_is_refused),
        RIG_TEST(a_cancel_is_refused_where_it_says_too_much_or_was_said_before),
        RIG_TEST(a_cancel_that_was_accepted_is_not_lost),
        RIG_TEST(a_signal_is_refused_or_not_lost),
        RIG_TEST(an_answer_is_refused_or_not_lost),
        RIG_TEST(an_error_by_token_is_tried_again_under_another_token),
        RIG_TEST(a_heartbeat_that_was_accepted_moves_the_time_also_after_a_crash),
        RIG_TEST(a_mend_is_refused_or_not_lost),
        RIG_TEST(a_redrive_is_refused_or_not_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
