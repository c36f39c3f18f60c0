#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tests/partition/rig.h"
#include "tests/partition/scripted.h"

/* What is out of time, and what is not because a worker has it in hand. */

#define YEAR_MS (365ll * 24 * 3600 * 1000)
#define DAY_MS  (24ll * 3600 * 1000)

static const char of_tables[] =
    "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Task\",\"Resource\":\"service:test.a\","
    "\"TimeoutSeconds\":5,\"End\":true}}}";
static const char of_plain[] =
    "{\"StartAt\":\"P\",\"States\":{\"P\":{\"Type\":\"Task\",\"Resource\":\"service:plain.p\","
    "\"TimeoutSeconds\":5,\"End\":true}}}";
static const char plain_then_tables[] =
    "{\"StartAt\":\"P\",\"States\":{\"P\":{\"Type\":\"Task\",\"Resource\":\"service:plain.p\","
    "\"TimeoutSeconds\":5,\"Catch\":[{\"ErrorEquals\":[\"States.Timeout\"],\"Next\":\"A\"}],"
    "\"End\":true},\"A\":{\"Type\":\"Task\",\"Resource\":\"service:test.a\",\"TimeoutSeconds\":5,"
    "\"End\":true}}}";
static const char whole_saga[] =
    "{\"TimeoutSeconds\":60,\"StartAt\":\"W\",\"States\":{"
    "\"W\":{\"Type\":\"Wait\",\"Seconds\":3600,\"Next\":\"A\"},"
    "\"A\":{\"Type\":\"Task\",\"Resource\":\"service:test.a\",\"End\":true}}}";
static const char a_year[] =
    "{\"StartAt\":\"W\",\"States\":{\"W\":{\"Type\":\"Wait\",\"Seconds\":31536000,\"Next\":\"A\"},"
    "\"A\":{\"Type\":\"Task\",\"Resource\":\"service:test.a\",\"End\":true}}}";

static void open_with(struct rig *rig, const char *definition)
{
    struct partition_options options = rig_options(rig, DURABILITY_ASYNC);
    options.now_ns = rig_read_ns;
    rig_open(rig, &options, definition);
}

/* Until it is with its worker, which does not step. */
static void send_one(struct rig *rig)
{
    rig_held[PARTITION_WORKER] = true;
    rig_start(rig, rig->plan, "x", "y");
    rig_turns(rig, 5);
    assert_string_equal(scripted_trace, "");
}

/* ---- steps --------------------------------------------------------------------------------------
 */

static void pass_time(char letter)
{
    (void)letter;
    rig_now_ms += 6000;
}

static void a_step_with_tables_that_was_begun_in_time_counts_however_long_it_takes(void **state)
{
    struct rig *rig = *state;
    open_with(rig, of_tables);
    send_one(rig);
    scripted_hook = pass_time;
    /* The result is there and not read yet when the timer is due. */
    rig_held[PARTITION_WORKER] = false;
    rig_turns(rig, 1);
    assert_string_equal(scripted_trace, "a");
    rig_settle(rig);
    assert_int_equal(rig_totals(rig).succeeded, 1);
    assert_int_equal(rig_totals(rig).timeouts, 0);
    assert_int_equal(rig_done(rig, "a"), 1);
    assert_int_equal(partition_counts(rig->partition).late_results, 0);
    rig_assert_replay_agrees(rig);
}

static void a_step_in_the_ring_past_its_deadline_is_not_begun(void **state)
{
    struct rig *rig = *state;
    open_with(rig, of_tables);
    send_one(rig);
    rig_now_ms += 5000;
    rig_turns(rig, 5);
    /* Its worker has it: the engine's timer lets it be. */
    assert_int_equal(rig_totals(rig).timeouts, 0);
    rig_held[PARTITION_WORKER] = false;
    rig_settle(rig);
    assert_string_equal(scripted_trace, "");
    assert_int_equal(rig_totals(rig).timeouts, 1);
    assert_int_equal(rig_totals(rig).failed, 1);
    rig_assert_error(rig, "States.Timeout");
    assert_int_equal(rig_done(rig, "a"), 0);
    rig_assert_replay_agrees(rig);
}

static void a_step_in_the_ring_before_its_deadline_is_begun(void **state)
{
    struct rig *rig = *state;
    open_with(rig, of_tables);
    send_one(rig);
    rig_now_ms += 4999;
    rig_turns(rig, 5);
    rig_held[PARTITION_WORKER] = false;
    rig_settle(rig);
    assert_string_equal(scripted_trace, "a");
    assert_int_equal(rig_totals(rig).succeeded, 1);
}

static void
a_step_without_tables_is_out_of_time_at_once_and_its_late_result_is_ignored(void **state)
{
    struct rig *rig = *state;
    open_with(rig, of_plain);
    send_one(rig);
    rig_now_ms += 5000;
    rig_turns(rig, 5);
    assert_int_equal(rig_totals(rig).timeouts, 1);
    assert_int_equal(rig_totals(rig).failed, 1);
    rig_assert_error(rig, "States.Timeout");
    uint64_t records = partition_counts(rig->partition).records;
    rig_held[PARTITION_WORKER] = false;
    rig_settle(rig);
    assert_int_equal(partition_counts(rig->partition).late_results, 1);
    assert_int_equal(partition_counts(rig->partition).records, records);
    assert_int_equal(rig_totals(rig).ended, 1);
    rig_assert_replay_agrees(rig);
}

static void open_limited(struct rig *rig, const struct partition_service_limits *limits,
                         const char *definition)
{
    struct partition_options options = rig_options(rig, DURABILITY_ASYNC);
    options.now_ns = rig_read_ns;
    options.service_limits = limits;
    options.service_limits_count = 1;
    rig_open(rig, &options, definition);
}

static void a_step_that_waits_for_a_limit_is_out_of_time(void **state)
{
    struct rig *rig = *state;
    static const struct partition_service_limits one = {"test", {.in_flight_max = 1}};
    open_limited(rig, &one, of_tables);
    rig_held[PARTITION_WORKER] = true;
    rig_start(rig, rig->plan, "x", "y");
    rig_start(rig, rig->plan, "x", "y");
    rig_turns(rig, 5);
    rig_now_ms += 5000;
    rig_turns(rig, 5);
    assert_int_equal(rig_totals(rig).timeouts, 1);
    assert_int_equal(rig_totals(rig).failed, 1);
    rig_held[PARTITION_WORKER] = false;
    rig_settle(rig);
    /* The other one waited in the ring. */
    assert_int_equal(rig_totals(rig).timeouts, 2);
    assert_string_equal(scripted_trace, "");
    rig_assert_replay_agrees(rig);
}

static void a_step_that_waits_for_a_full_worker_is_out_of_time(void **state)
{
    struct rig *rig = *state;
    struct partition_options options = rig_options(rig, DURABILITY_ASYNC);
    options.now_ns = rig_read_ns;
    options.limits.sagas_max = 512;
    rig_open(rig, &options, of_tables);
    rig_held[PARTITION_WORKER] = true;
    uint32_t started = 0;
    for (; started < 300; started++)
        rig_start(rig, rig->plan, "x", "y");
    rig_turns(rig, 10);
    rig_now_ms += 5000;
    rig_turns(rig, 10);
    uint64_t timeouts = rig_totals(rig).timeouts;
    assert_true(timeouts > 0 && timeouts < started);
    rig_held[PARTITION_WORKER] = false;
    rig_settle(rig);
    assert_int_equal(rig_totals(rig).timeouts, started);
    assert_string_equal(scripted_trace, "");
    rig_assert_replay_agrees(rig);
}

/* What a worker still has of an earlier step, which nobody waits for, says nothing of this one. */
static void a_step_that_waits_is_out_of_time_while_a_worker_has_a_late_one_of_its_saga(void **state)
{
    struct rig *rig = *state;
    static const struct partition_service_limits one = {"test", {.in_flight_max = 1}};
    open_limited(rig, &one, plain_then_tables);
    uint32_t first = rig_define(rig, "first", of_tables);
    rig_held[PARTITION_WORKER] = true;
    rig_start(rig, rig->plan, "x", "y");
    rig_turns(rig, 5);
    rig_now_ms += 4000;
    rig_start(rig, first, "x", "y");
    rig_turns(rig, 5);
    rig_now_ms += 1000;
    rig_turns(rig, 5);
    assert_int_equal(rig_totals(rig).timeouts, 1);
    rig_now_ms += 5000;
    rig_turns(rig, 5);
    assert_int_equal(rig_totals(rig).timeouts, 2);
    assert_int_equal(rig_totals(rig).failed, 1);
    rig_held[PARTITION_WORKER] = false;
    rig_settle(rig);
    assert_string_equal(scripted_trace, "");
    rig_assert_replay_agrees(rig);
}

/* ---- over a restart -----------------------------------------------------------------------------
 */

static void a_deadline_that_passed_while_nothing_ran_is_met_after_the_start(void **state)
{
    struct rig *rig = *state;
    static const char *const definitions[] = {of_tables, of_plain};
    for (int i = 0; i < 2; i++) {
        open_with(rig, definitions[i]);
        send_one(rig);
        rig_crash(rig);
        rig_now_ms += DAY_MS;
        rig_held[PARTITION_WORKER] = false;
        open_with(rig, NULL);
        rig_settle(rig);
        assert_string_equal(scripted_trace, "");
        assert_int_equal(rig_totals(rig).timeouts, 1);
        assert_int_equal(rig_totals(rig).failed, 1);
        rig_assert_error(rig, "States.Timeout");
        rig_assert_replay_agrees(rig);
        rig_remove_directory(rig);
    }
}

static void the_deadline_of_a_saga_survives_a_restart(void **state)
{
    struct rig *rig = *state;
    open_with(rig, whole_saga);
    rig_start(rig, rig->plan, "x", "y");
    rig_settle(rig);
    rig_now_ms += 30000;
    rig_crash(rig);
    open_with(rig, NULL);
    rig_now_ms += 29999;
    rig_settle(rig);
    assert_int_equal(rig_totals(rig).ended, 0);
    rig_now_ms += 1;
    rig_settle(rig);
    assert_int_equal(rig_totals(rig).failed, 1);
    assert_int_equal(rig_totals(rig).timeouts, 1);
    rig_assert_error(rig, "States.Timeout");
    rig_assert_replay_agrees(rig);
}

static void a_deadline_of_a_saga_that_passed_meanwhile_is_met_after_the_start(void **state)
{
    struct rig *rig = *state;
    open_with(rig, whole_saga);
    rig_start(rig, rig->plan, "x", "y");
    rig_settle(rig);
    rig_crash(rig);
    rig_now_ms += DAY_MS;
    open_with(rig, NULL);
    rig_settle(rig);
    /* The Wait is over too by then: whichever came first, the handler has not run for a saga that
     * was out of time an hour before. */
    assert_int_equal(rig_totals(rig).ended, 1);
    assert_int_equal(rig_totals(rig).timeouts, 1);
    assert_string_equal(scripted_trace, "");
    rig_assert_replay_agrees(rig);
}

static void a_wait_of_a_year_is_over_after_a_year_of_restarts(void **state)
{
    struct rig *rig = *state;
    open_with(rig, a_year);
    rig_start(rig, rig->plan, "x", "y");
    rig_settle(rig);
    int64_t due_ms = rig_now_ms + YEAR_MS;
    for (int i = 0; i < 12; i++) {
        rig_crash(rig);
        rig_now_ms += 30 * DAY_MS;
        open_with(rig, NULL);
        rig_settle(rig);
        assert_string_equal(scripted_trace, "");
        assert_false(partition_is_at_rest(rig->partition));
    }
    rig_now_ms = due_ms - 1;
    rig_settle(rig);
    assert_string_equal(scripted_trace, "");
    rig_now_ms = due_ms;
    rig_settle(rig);
    assert_string_equal(scripted_trace, "a");
    assert_true(partition_is_at_rest(rig->partition));
    rig_assert_replay_agrees(rig);
}

static void timers_go_by_the_clock_of_the_journal_when_the_machine_is_a_day_behind(void **state)
{
    struct rig *rig = *state;
    open_with(rig, whole_saga);
    rig_start(rig, rig->plan, "x", "y");
    rig_settle(rig);
    int64_t before_ms = rig_now_ms;
    rig_crash(rig);
    rig_now_ms -= DAY_MS;
    open_with(rig, NULL);
    rig_settle(rig);
    /* Of a start now the journal says the time that it had come to. */
    uint64_t saga_id = rig_start(rig, rig->plan, "x", "y");
    rig_settle(rig);
    const struct core *core = partition_state(rig->partition)->core;
    assert_int_equal(core_deadline_ms(core, core_find_saga(core, saga_id)), before_ms + 60000);
    rig_now_ms = before_ms + 59999;
    rig_settle(rig);
    assert_int_equal(rig_totals(rig).ended, 0);
    rig_now_ms++;
    rig_settle(rig);
    assert_int_equal(rig_totals(rig).timeouts, 2);
    rig_assert_replay_agrees(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_step_with_tables_that_was_begun_in_time_counts_however_long_it_takes),
        RIG_TEST(a_step_in_the_ring_past_its_deadline_is_not_begun),
        RIG_TEST(a_step_in_the_ring_before_its_deadline_is_begun),
        RIG_TEST(a_step_without_tables_is_out_of_time_at_once_and_its_late_result_is_ignored),
        RIG_TEST(a_step_that_waits_for_a_limit_is_out_of_time),
        RIG_TEST(a_step_that_waits_for_a_full_worker_is_out_of_time),
        RIG_TEST(a_step_that_waits_is_out_of_time_while_a_worker_has_a_late_one_of_its_saga),
        RIG_TEST(a_deadline_that_passed_while_nothing_ran_is_met_after_the_start),
        RIG_TEST(the_deadline_of_a_saga_survives_a_restart),
        RIG_TEST(a_deadline_of_a_saga_that_passed_meanwhile_is_met_after_the_start),
        RIG_TEST(a_wait_of_a_year_is_over_after_a_year_of_restarts),
        RIG_TEST(timers_go_by_the_clock_of_the_journal_when_the_machine_is_a_day_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
