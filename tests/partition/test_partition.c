#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <msgpack.h>
#include <string.h>

#include "tests/partition/rig.h"
#include "tests/partition/scripted.h"

#define STEP(name, handler, rest)                                                                  \
    "\"" name "\":{\"Type\":\"Task\",\"Resource\":\"service:test." handler "\","                   \
    "\"Compensate\":{\"Resource\":\"service:test.undo_" handler "\","                              \
    "\"Retry\":[{\"ErrorEquals\":[\"States.ALL\"],\"MaxAttempts\":2,\"IntervalSeconds\":5}]},"     \
    "\"ResultPath\":\"$.r" handler "\"," rest "}"
#define RETRY                                                                                      \
    "\"Retry\":[{\"ErrorEquals\":[\"Test.Busy\"],\"MaxAttempts\":3,\"IntervalSeconds\":2,"         \
    "\"BackoffRate\":2}],"
static const char three_steps[] =
    "{\"StartAt\":\"A\",\"States\":{" STEP("A", "a", "\"Next\":\"B\"") "," STEP(
        "B", "b", RETRY "\"Next\":\"C\"") "," STEP("C", "c", "\"End\":true") "}"
                                                                             "}";
static const char detached_step[] = "{\"StartAt\":\"A\",\"States\":{" STEP(
    "A", "a", "\"Next\":\"F\"") ",\"F\":{\"Type\":\"Task\","
                                "\"Resource\":\"service:test.c\",\"FireAndForget\":true,\"Next\":"
                                "\"B\"}," STEP("B", "b", "\"End\":true") "}}";
static const char caught[] =
    "{\"StartAt\":\"A\",\"States\":{" STEP("A", "a", "\"Next\":\"B\"") "," STEP(
        "B", "b",
        "\"Catch\":[{\"ErrorEquals\":[\"Test.Refused\"],\"ResultPath\":\"$.error\","
        "\"Next\":\"C\"}],\"End\":true") "," STEP("C", "c", "\"End\":true") "}}";

static void open_with(struct rig *rig, enum durability durability, const char *definition)
{
    struct partition_options options = rig_options(rig, durability);
    rig_open(rig, &options, definition);
}

static void poll_until_quiet(struct rig *rig)
{
    for (int i = 0; i < 10000; i++) {
        rig_turn(rig);
        if (partition_is_quiet(rig->partition))
            return;
    }
    fail_msg("the engine does not come to rest");
}

/* {key: value, ...} of strings, and "times": n where n > 0. */
static struct flyover_bytes input_of(const char *key, const char *value, int times)
{
    static msgpack_sbuffer buffer;
    static bool made;
    if (!made)
        msgpack_sbuffer_init(&buffer);
    made = true;
    msgpack_sbuffer_clear(&buffer);
    msgpack_packer packer;
    msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
    msgpack_pack_map(&packer, times > 0 ? 2 : 1);
    msgpack_pack_str_with_body(&packer, key, strlen(key));
    msgpack_pack_str_with_body(&packer, value, strlen(value));
    if (times > 0) {
        msgpack_pack_str_with_body(&packer, "times", 5);
        msgpack_pack_int(&packer, times);
    }
    return (struct flyover_bytes){(const uint8_t *)buffer.data, (uint32_t)buffer.size};
}

static void start(struct rig *rig, struct flyover_bytes input)
{
    assert_int_equal(partition_start(rig->partition, rig->plan, EVENT_NO_SOURCE, input, 1),
                     STATUS_OK);
}

static struct core_totals totals_of(const struct rig *rig)
{
    return core_totals(partition_state(rig->partition)->core);
}

/* ---- what a saga does --------------------------------------------------------------------------
 */

static void steps_run_in_order_and_the_saga_succeeds(void **state)
{
    struct rig *rig = *state;
    open_with(rig, DURABILITY_MEMORY, three_steps);
    start(rig, input_of("x", "y", 0));
    poll_until_quiet(rig);
    assert_string_equal(scripted_trace, "abc");
    assert_int_equal(totals_of(rig).succeeded, 1);
    assert_int_equal(totals_of(rig).steps_ended, 3);
    assert_int_equal(core_sagas_live(partition_state(rig->partition)->core), 0);
}

static void completed_steps_are_compensated_in_reverse(void **state)
{
    struct rig *rig = *state;
    open_with(rig, DURABILITY_MEMORY, three_steps);
    start(rig, input_of("refuse", "c", 0));
    poll_until_quiet(rig);
    assert_string_equal(scripted_trace, "abcBA");
    assert_int_equal(totals_of(rig).compensated, 1);
    const struct core_error *errors;
    assert_int_equal(core_errors(partition_state(rig->partition)->core, &errors), 1);
    assert_string_equal(errors[0].name, "Test.Refused");
}

static void a_saga_that_did_nothing_fails_without_compensation(void **state)
{
    struct rig *rig = *state;
    open_with(rig, DURABILITY_MEMORY, three_steps);
    start(rig, input_of("refuse", "a", 0));
    poll_until_quiet(rig);
    assert_string_equal(scripted_trace, "a");
    assert_int_equal(totals_of(rig).failed, 1);
    assert_int_equal(totals_of(rig).compensated, 0);
}

static void a_retry_waits_its_interval_and_backs_off(void **state)
{
    struct rig *rig = *state;
    open_with(rig, DURABILITY_MEMORY, three_steps);
    start(rig, input_of("busy", "b", 2));
    poll_until_quiet(rig);
    assert_string_equal(scripted_trace, "ab");
    rig_now_ms += 1999;
    poll_until_quiet(rig);
    assert_string_equal(scripted_trace, "ab");
    rig_now_ms += 1;
    poll_until_quiet(rig);
    assert_string_equal(scripted_trace, "abb");
    rig_now_ms += 3999;
    poll_until_quiet(rig);
    assert_string_equal(scripted_trace, "abb");
    rig_now_ms += 1;
    poll_until_quiet(rig);
    assert_string_equal(scripted_trace, "abbbc");
    assert_int_equal(totals_of(rig).succeeded, 1);
    assert_int_equal(totals_of(rig).retries, 2);
    assert_int_equal(totals_of(rig).steps, 3);
}

static void an_exhausted_retry_fails_the_saga(void **state)
{
    struct rig *rig = *state;
    open_with(rig, DURABILITY_MEMORY, three_steps);
    start(rig, input_of("always_busy", "b", 0));
    for (int i = 0; i < 5; i++) {
        poll_until_quiet(rig);
        rig_now_ms += 60000;
    }
    assert_string_equal(scripted_trace, "abbbbA");
    assert_int_equal(totals_of(rig).compensated, 1);
}

static void a_refusal_is_not_retried(void **state)
{
    struct rig *rig = *state;
    open_with(rig, DURABILITY_MEMORY, three_steps);
    start(rig, input_of("refuse", "b", 0));
    poll_until_quiet(rig);
    assert_string_equal(scripted_trace, "abA");
}

static void a_compensation_has_its_own_retries_and_then_is_stuck(void **state)
{
    struct rig *rig = *state;
    open_with(rig, DURABILITY_MEMORY, three_steps);
    uint8_t both[] = "\x82\xa6refuse\xa1"
                     "c\xa9"
                     "busy_undo\xa1"
                     "b";
    start(rig, (struct flyover_bytes){both, sizeof both - 1});
    for (int i = 0; i < 5; i++) {
        poll_until_quiet(rig);
        rig_now_ms += 60000;
    }
    assert_string_equal(scripted_trace, "abcBBB");
    assert_int_equal(totals_of(rig).stuck, 1);
    assert_int_equal(core_sagas_live(partition_state(rig->partition)->core), 1);
}

static void a_fire_and_forget_step_is_not_waited_for_but_finishes(void **state)
{
    struct rig *rig = *state;
    open_with(rig, DURABILITY_MEMORY, detached_step);
    start(rig, input_of("x", "y", 0));
    poll_until_quiet(rig);
    assert_int_equal(strlen(scripted_trace), 3);
    assert_int_equal(totals_of(rig).steps_ended, 3);
    assert_int_equal(totals_of(rig).ended, 1);
}

static void a_failed_fire_and_forget_step_does_not_fail_the_saga(void **state)
{
    struct rig *rig = *state;
    open_with(rig, DURABILITY_MEMORY, detached_step);
    start(rig, input_of("refuse", "c", 0));
    poll_until_quiet(rig);
    assert_int_equal(totals_of(rig).succeeded, 1);
    assert_int_equal(totals_of(rig).detached_failed, 1);
    assert_int_equal(totals_of(rig).ended, 1);
}

static void a_caught_error_goes_on_where_catch_says(void **state)
{
    struct rig *rig = *state;
    open_with(rig, DURABILITY_MEMORY, caught);
    start(rig, input_of("refuse", "b", 0));
    poll_until_quiet(rig);
    assert_string_equal(scripted_trace, "abc");
    assert_int_equal(totals_of(rig).succeeded, 1);
}

static void garbage_from_a_handler_fails_the_step_and_leaves_no_write(void **state)
{
    struct rig *rig = *state;
    open_with(rig, DURABILITY_MEMORY, three_steps);
    start(rig, input_of("garbage", "b", 0));
    poll_until_quiet(rig);
    assert_string_equal(scripted_trace, "abA");
    const struct partition_state *inside = partition_state(rig->partition);
    struct flyover_bytes key = {(const uint8_t *)"b", 1};
    assert_int_equal(tables_count_of(inside->services[0].tables, SCRIPTED_DONE, key), 0);
    const struct core_error *errors;
    core_errors(inside->core, &errors);
    assert_string_equal(errors[0].name, "Flyover.BadOutput");
}

/* ---- admission ---------------------------------------------------------------------------------
 */

static void the_engine_says_busy_and_takes_more_when_there_is_room(void **state)
{
    struct rig *rig = *state;
    open_with(rig, DURABILITY_MEMORY, three_steps);
    struct flyover_bytes input = input_of("x", "y", 0);
    uint32_t started = 0;
    while (partition_start(rig->partition, rig->plan, EVENT_NO_SOURCE, input, 1) == STATUS_OK)
        started++;
    assert_int_equal(started, 64);
    poll_until_quiet(rig);
    start(rig, input);
    poll_until_quiet(rig);
    assert_int_equal(totals_of(rig).succeeded, 65);
}

/* Blocks become durable while the engine's thread is busy starting: it must not send more of them
 * than it has heard back from. */
static void many_large_starts_between_two_turns_are_busy_at_worst(void **state)
{
    struct rig *rig = *state;
    struct partition_options options = rig_options(rig, DURABILITY_ASYNC);
    options.threadless = false;
    options.limits = (struct core_limits){.sagas_max = 512, .payload_bytes_max = 256u << 20};
    rig_open(rig, &options, three_steps);
    static uint8_t large[200000] = {0x81, 0xa1, 'x', 0xdb, 0x00, 0x03, 0x0d, 0x38};
    memset(large + 8, 'y', sizeof large - 8);
    struct flyover_bytes input = {large, sizeof large};
    assert_true(value_check(input, NULL));
    uint32_t started = 0, ended = 0;
    while (started < 400) {
        for (int i = 0; i < 60 && started < 400; i++)
            if (partition_start(rig->partition, rig->plan, EVENT_NO_SOURCE, input, 1) == STATUS_OK)
                started++;
        ended += rig_turn(rig);
    }
    while (ended < started) {
        ended += rig_turn(rig);
        partition_wait(rig->partition, 1000000);
    }
    /* Payloads may run full, and sagas then fail by name; but each of them ends. */
    struct core_totals totals = totals_of(rig);
    assert_int_equal(totals.succeeded + totals.compensated + totals.failed, started);
}

static void no_step_runs_before_its_start_is_durable(void **state)
{
    struct rig *rig = *state;
    open_with(rig, DURABILITY_SYNC, three_steps);
    poll_until_quiet(rig);
    start(rig, input_of("x", "y", 0));
    /* The first turn seals the block and writes it; what it caused leaves in the next turn. */
    rig_turn(rig);
    assert_string_equal(scripted_trace, "");
    rig_turn(rig);
    assert_string_equal(scripted_trace, "a");
}

/* ---- blocks -------------------------------------------------------------------------------------
 */

static const char no_step[] =
    "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Pass\",\"End\":true}}}";

static void open_by_test_clock(struct rig *rig, const char *definition)
{
    struct partition_options options = rig_options(rig, DURABILITY_SYNC);
    options.now_ns = rig_read_ns;
    rig_open(rig, &options, definition);
}

static void start_many(struct rig *rig, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        start(rig, input_of("x", "y", 0));
}

/* Time stands still. */
static bool becomes_durable_at_once(struct rig *rig)
{
    uint64_t no = partition_pending_no(rig->partition);
    for (uint32_t i = 0; i < 4; i++) {
        bool worked;
        struct problem problem = {0};
        assert_int_equal(partition_poll(rig->partition, &worked, &problem), STATUS_OK);
    }
    return partition_durable_no(rig->partition) >= no;
}

static bool second_block_goes_at_once(struct rig *rig, uint32_t first_count, bool expected)
{
    partition_expect(rig->partition, false);
    poll_until_quiet(rig);
    start_many(rig, first_count);
    rig_turn(rig);
    assert_true(becomes_durable_at_once(rig));
    partition_expect(rig->partition, expected);
    start_many(rig, 1);
    return becomes_durable_at_once(rig);
}

static void where_more_is_expected_in_numbers_a_block_waits_for_it(void **state)
{
    struct rig *rig = *state;
    open_by_test_clock(rig, no_step);
    assert_true(second_block_goes_at_once(rig, 20, false));
    assert_true(second_block_goes_at_once(rig, 1, true));
    assert_false(second_block_goes_at_once(rig, 20, true));
    rig_now_ns += PARTITION_SEAL_INTERVAL_NS - 1;
    assert_false(becomes_durable_at_once(rig));
    rig_now_ns++;
    assert_true(becomes_durable_at_once(rig));
}

static void a_stop_waits_for_nothing_that_is_expected(void **state)
{
    struct rig *rig = *state;
    open_by_test_clock(rig, no_step);
    assert_false(second_block_goes_at_once(rig, 20, true));
    char digest[PARTITION_DIGEST_BYTES];
    rig_stop(rig, digest);
    open_by_test_clock(rig, NULL);
    assert_int_equal(totals_of(rig).succeeded, 21);
}

/* ---- recovery ----------------------------------------------------------------------------------
 */

static void start_mixed(struct rig *rig, uint32_t count)
{
    static const char *const keys[] = {"x", "refuse", "always_busy", "busy_undo", "garbage"};
    static const char *const steps[] = {"a", "b", "c"};
    for (uint32_t i = 0; i < count; i++) {
        struct flyover_bytes input = input_of(keys[i % 5], steps[i / 5 % 3], 0);
        while (partition_start(rig->partition, rig->plan, EVENT_NO_SOURCE, input, 1) ==
               STATUS_BUSY) {
            rig_now_ms += 5000;
            rig_turn(rig);
        }
    }
}

static void a_restart_comes_to_the_same_state(void **state)
{
    struct rig *rig = *state;
    char before[PARTITION_DIGEST_BYTES], after[PARTITION_DIGEST_BYTES];
    open_with(rig, DURABILITY_ASYNC, three_steps);
    start_mixed(rig, 300);
    rig_stop(rig, before);
    open_with(rig, DURABILITY_ASYNC, NULL);
    rig_stop(rig, after);
    assert_string_equal(before, after);
}

static void a_crash_at_any_turn_loses_nothing_acknowledged_and_doubles_nothing(void **state)
{
    struct rig *rig = *state;
    for (uint32_t turns = 1; turns < 40; turns++) {
        open_with(rig, DURABILITY_ASYNC, three_steps);
        uint64_t before = totals_of(rig).started;
        for (int i = 0; i < 20; i++)
            start(rig, input_of(i % 4 == 0 ? "refuse" : "x", "c", 0));
        uint32_t replies_count = 0;
        for (uint32_t i = 0; i < turns; i++)
            replies_count += rig_turn(rig);
        rig_crash(rig);
        open_with(rig, DURABILITY_ASYNC, three_steps);
        struct core_totals totals = totals_of(rig);
        assert_true(totals.succeeded + totals.compensated >= replies_count);
        poll_until_quiet(rig);
        totals = totals_of(rig);
        assert_true(totals.started == before || totals.started == before + 20);
        assert_int_equal(totals.ended, totals.started);
        const struct tables *tables = partition_state(rig->partition)->services[0].tables;
        static const char *const steps[] = {"a", "b", "c"};
        for (int i = 0; i < 3; i++) {
            struct flyover_bytes key = {(const uint8_t *)steps[i], 1};
            assert_int_equal(tables_count_of(tables, SCRIPTED_DONE, key), totals.succeeded);
        }
        rig_crash(rig);
        rig_remove_directory(rig);
    }
}

static void a_sleeping_retry_survives_a_restart(void **state)
{
    struct rig *rig = *state;
    open_with(rig, DURABILITY_ASYNC, three_steps);
    start(rig, input_of("busy", "b", 1));
    poll_until_quiet(rig);
    rig_stop(rig, NULL);
    open_with(rig, DURABILITY_ASYNC, NULL);
    poll_until_quiet(rig);
    assert_string_equal(scripted_trace, "ab");
    rig_now_ms += 2000;
    poll_until_quiet(rig);
    assert_string_equal(scripted_trace, "abbc");
    assert_int_equal(totals_of(rig).succeeded, 1);
}

static void the_clock_of_the_journal_never_goes_back(void **state)
{
    struct rig *rig = *state;
    open_with(rig, DURABILITY_ASYNC, three_steps);
    start(rig, input_of("busy", "b", 1));
    poll_until_quiet(rig);
    rig_stop(rig, NULL);
    rig_now_ms -= 24 * 3600 * 1000;
    open_with(rig, DURABILITY_ASYNC, NULL);
    assert_int_equal(partition_recovery(rig->partition)->last_now_ms, 1000000);
    rig_now_ms = 1000000 + 1999;
    poll_until_quiet(rig);
    assert_string_equal(scripted_trace, "ab");
    rig_now_ms += 1;
    poll_until_quiet(rig);
    assert_string_equal(scripted_trace, "abbc");
}

/* ---- definitions -------------------------------------------------------------------------------
 */

static void a_definition_that_names_an_unknown_handler_is_refused(void **state)
{
    struct rig *rig = *state;
    open_with(rig, DURABILITY_MEMORY, NULL);
    static const char text[] = "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Task\","
                               "\"Resource\":\"service:test.deduct\",\"End\":true}}}";
    struct problem problem = {0};
    assert_int_equal(partition_define(rig->partition, "x", "x.json", text, sizeof text - 1,
                                      &rig->plan, &problem),
                     STATUS_INVALID);
    assert_non_null(strstr(problem.text, "has no handler 'deduct'"));
    assert_non_null(strstr(problem.text, "undo_c"));
    assert_int_equal(core_plans_count(partition_state(rig->partition)->core), 0);
}

static void a_definition_that_names_an_unknown_service_is_refused(void **state)
{
    struct rig *rig = *state;
    open_with(rig, DURABILITY_MEMORY, NULL);
    static const char text[] = "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Task\","
                               "\"Resource\":\"service:shipping.send\",\"End\":true}}}";
    struct problem problem = {0};
    assert_int_equal(partition_define(rig->partition, "x", "x.json", text, sizeof text - 1,
                                      &rig->plan, &problem),
                     STATUS_NOT_FOUND);
    assert_non_null(strstr(problem.text, "there is no service 'shipping'"));
}

static void the_same_definition_is_known_and_another_is_a_new_version(void **state)
{
    struct rig *rig = *state;
    open_with(rig, DURABILITY_MEMORY, three_steps);
    struct problem problem = {0};
    uint32_t plan;
    assert_int_equal(partition_define(rig->partition, "test", "test", three_steps,
                                      sizeof three_steps - 1, &plan, &problem),
                     STATUS_OK);
    assert_int_equal(plan, rig->plan);
    assert_int_equal(partition_define(rig->partition, "test", "test", caught, sizeof caught - 1,
                                      &plan, &problem),
                     STATUS_OK);
    assert_int_equal(plan, rig->plan + 1);
    assert_int_equal(partition_state_find_plan(partition_state(rig->partition), "test"), plan);
}

/* ---- threads ------------------------------------------------------------------------------------
 */

static void with_threads_every_saga_ends_and_replay_agrees(void **state)
{
    struct rig *rig = *state;
    struct problem problem = {0};
    struct partition_options options = rig_options(rig, DURABILITY_SYNC);
    options.threadless = false;
    options.wall_ms = NULL;
    assert_int_equal(partition_open(&options, &rig->partition, &problem), STATUS_OK);
    assert_int_equal(partition_define(rig->partition, "test", "test", detached_step,
                                      sizeof detached_step - 1, &rig->plan, &problem),
                     STATUS_OK);
    uint32_t started = 0, ended = 0;
    while (ended < 2000) {
        struct flyover_bytes input = input_of(started % 7 == 0 ? "refuse" : "x", "b", 0);
        while (started < 2000 &&
               partition_start(rig->partition, rig->plan, EVENT_NO_SOURCE, input, 1) == STATUS_OK) {
            started++;
            input = input_of(started % 7 == 0 ? "refuse" : "x", "b", 0);
        }
        bool worked;
        assert_int_equal(partition_poll(rig->partition, &worked, &problem), STATUS_OK);
        struct reply reply;
        while (partition_next_reply(rig->partition, &reply))
            ended++;
        if (!worked)
            partition_wait(rig->partition, 1000000000);
    }
    assert_int_equal(totals_of(rig).succeeded + totals_of(rig).compensated, 2000);
    char before[PARTITION_DIGEST_BYTES], after[PARTITION_DIGEST_BYTES];
    rig_stop(rig, before);
    open_with(rig, DURABILITY_SYNC, NULL);
    rig_stop(rig, after);
    assert_string_equal(before, after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(steps_run_in_order_and_the_saga_succeeds),
        RIG_TEST(completed_steps_are_compensated_in_reverse),
        RIG_TEST(a_saga_that_did_nothing_fails_without_compensation),
        RIG_TEST(a_retry_waits_its_interval_and_backs_off),
        RIG_TEST(an_exhausted_retry_fails_the_saga),
        RIG_TEST(a_refusal_is_not_retried),
        RIG_TEST(a_compensation_has_its_own_retries_and_then_is_stuck),
        RIG_TEST(a_fire_and_forget_step_is_not_waited_for_but_finishes),
        RIG_TEST(a_failed_fire_and_forget_step_does_not_fail_the_saga),
        RIG_TEST(a_caught_error_goes_on_where_catch_says),
        RIG_TEST(garbage_from_a_handler_fails_the_step_and_leaves_no_write),
        RIG_TEST(the_engine_says_busy_and_takes_more_when_there_is_room),
        RIG_TEST(many_large_starts_between_two_turns_are_busy_at_worst),
        RIG_TEST(no_step_runs_before_its_start_is_durable),
        RIG_TEST(a_restart_comes_to_the_same_state),
        RIG_TEST(a_crash_at_any_turn_loses_nothing_acknowledged_and_doubles_nothing),
        RIG_TEST(a_sleeping_retry_survives_a_restart),
        RIG_TEST(where_more_is_expected_in_numbers_a_block_waits_for_it),
        RIG_TEST(a_stop_waits_for_nothing_that_is_expected),
        RIG_TEST(the_clock_of_the_journal_never_goes_back),
        RIG_TEST(a_definition_that_names_an_unknown_handler_is_refused),
        RIG_TEST(a_definition_that_names_an_unknown_service_is_refused),
        RIG_TEST(the_same_definition_is_known_and_another_is_a_new_version),
        RIG_TEST(with_threads_every_saga_ends_and_replay_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
