#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/partition/partition.h"
#include "tests/partition/scripted.h"

/* The engine stepped by hand: journal and workers run inside partition_poll, the clock is ours. */

static int64_t fake_now_ms;

static int64_t fake_wall_ms(void)
{
    return fake_now_ms;
}

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

struct fixture {
    char directory[64];
    struct partition *partition;
    uint32_t plan;
};

static struct partition_options options_of(const struct fixture *fixture,
                                           enum durability durability)
{
    struct partition_options options = {
        .directory = fixture->directory,
        .durability = durability,
        .limits = {.sagas_max = 64, .payload_bytes_max = 16u << 20},
        .built_in = {&scripted_service},
        .built_in_count = 1,
        .threadless = true,
        .wall_ms = fake_wall_ms,
    };
    return options;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static int set_up(void **state)
{
    static struct fixture fixture;
    strcpy(fixture.directory, "/tmp/test_partition_XXXXXX");
    assert_non_null(mkdtemp(fixture.directory));
    fixture.partition = NULL;
    fake_now_ms = 1000000;
    scripted_reset();
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    partition_free(fixture->partition);
    nftw(fixture->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static void open_with(struct fixture *fixture, enum durability durability, const char *definition)
{
    struct problem problem = {0};
    struct partition_options options = options_of(fixture, durability);
    enum status status = partition_open(&options, &fixture->partition, &problem);
    if (status != STATUS_OK)
        fail_msg("%s", problem.text);
    if (definition == NULL)
        return;
    status = partition_define(fixture->partition, "test", "test", definition, strlen(definition),
                              &fixture->plan, &problem);
    if (status != STATUS_OK)
        fail_msg("%s", problem.text);
}

static void poll_once(struct fixture *fixture)
{
    bool worked;
    struct problem problem = {0};
    if (partition_poll(fixture->partition, &worked, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
}

static void poll_until_quiet(struct fixture *fixture)
{
    for (int i = 0; i < 10000; i++) {
        poll_once(fixture);
        struct reply reply;
        while (partition_next_reply(fixture->partition, &reply))
            ;
        if (partition_is_quiet(fixture->partition))
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

static void start(struct fixture *fixture, struct flyover_bytes input)
{
    assert_int_equal(partition_start(fixture->partition, fixture->plan, EVENT_NO_SOURCE, input, 1),
                     STATUS_OK);
}

static struct core_totals totals_of(const struct fixture *fixture)
{
    return core_totals(partition_state(fixture->partition)->core);
}

static void stop(struct fixture *fixture, char digest[PARTITION_DIGEST_BYTES])
{
    struct problem problem = {0};
    if (partition_stop(fixture->partition, digest, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    partition_free(fixture->partition);
    fixture->partition = NULL;
}

/* ---- what a saga does --------------------------------------------------------------------------
 */

static void steps_run_in_order_and_the_saga_succeeds(void **state)
{
    struct fixture *fixture = *state;
    open_with(fixture, DURABILITY_MEMORY, three_steps);
    start(fixture, input_of("x", "y", 0));
    poll_until_quiet(fixture);
    assert_string_equal(scripted_trace, "abc");
    assert_int_equal(totals_of(fixture).succeeded, 1);
    assert_int_equal(totals_of(fixture).steps_ended, 3);
    assert_int_equal(core_sagas_live(partition_state(fixture->partition)->core), 0);
}

static void completed_steps_are_compensated_in_reverse(void **state)
{
    struct fixture *fixture = *state;
    open_with(fixture, DURABILITY_MEMORY, three_steps);
    start(fixture, input_of("refuse", "c", 0));
    poll_until_quiet(fixture);
    assert_string_equal(scripted_trace, "abcBA");
    assert_int_equal(totals_of(fixture).compensated, 1);
    const struct core_error *errors;
    assert_int_equal(core_errors(partition_state(fixture->partition)->core, &errors), 1);
    assert_string_equal(errors[0].name, "Test.Refused");
}

static void a_saga_that_did_nothing_fails_without_compensation(void **state)
{
    struct fixture *fixture = *state;
    open_with(fixture, DURABILITY_MEMORY, three_steps);
    start(fixture, input_of("refuse", "a", 0));
    poll_until_quiet(fixture);
    assert_string_equal(scripted_trace, "a");
    assert_int_equal(totals_of(fixture).failed, 1);
    assert_int_equal(totals_of(fixture).compensated, 0);
}

static void a_retry_waits_its_interval_and_backs_off(void **state)
{
    struct fixture *fixture = *state;
    open_with(fixture, DURABILITY_MEMORY, three_steps);
    start(fixture, input_of("busy", "b", 2));
    poll_until_quiet(fixture);
    assert_string_equal(scripted_trace, "ab");
    fake_now_ms += 1999;
    poll_until_quiet(fixture);
    assert_string_equal(scripted_trace, "ab");
    fake_now_ms += 1;
    poll_until_quiet(fixture);
    assert_string_equal(scripted_trace, "abb");
    fake_now_ms += 3999;
    poll_until_quiet(fixture);
    assert_string_equal(scripted_trace, "abb");
    fake_now_ms += 1;
    poll_until_quiet(fixture);
    assert_string_equal(scripted_trace, "abbbc");
    assert_int_equal(totals_of(fixture).succeeded, 1);
    assert_int_equal(totals_of(fixture).retries, 2);
    assert_int_equal(totals_of(fixture).steps, 3);
}

static void an_exhausted_retry_fails_the_saga(void **state)
{
    struct fixture *fixture = *state;
    open_with(fixture, DURABILITY_MEMORY, three_steps);
    start(fixture, input_of("always_busy", "b", 0));
    for (int i = 0; i < 5; i++) {
        poll_until_quiet(fixture);
        fake_now_ms += 60000;
    }
    assert_string_equal(scripted_trace, "abbbbA");
    assert_int_equal(totals_of(fixture).compensated, 1);
}

static void a_refusal_is_not_retried(void **state)
{
    struct fixture *fixture = *state;
    open_with(fixture, DURABILITY_MEMORY, three_steps);
    start(fixture, input_of("refuse", "b", 0));
    poll_until_quiet(fixture);
    assert_string_equal(scripted_trace, "abA");
}

static void a_compensation_has_its_own_retries_and_then_is_stuck(void **state)
{
    struct fixture *fixture = *state;
    open_with(fixture, DURABILITY_MEMORY, three_steps);
    uint8_t both[] = "\x82\xa6refuse\xa1"
                     "c\xa9"
                     "busy_undo\xa1"
                     "b";
    start(fixture, (struct flyover_bytes){both, sizeof both - 1});
    for (int i = 0; i < 5; i++) {
        poll_until_quiet(fixture);
        fake_now_ms += 60000;
    }
    assert_string_equal(scripted_trace, "abcBBB");
    assert_int_equal(totals_of(fixture).stuck, 1);
    assert_int_equal(core_sagas_live(partition_state(fixture->partition)->core), 1);
}

static void a_fire_and_forget_step_is_not_waited_for_but_finishes(void **state)
{
    struct fixture *fixture = *state;
    open_with(fixture, DURABILITY_MEMORY, detached_step);
    start(fixture, input_of("x", "y", 0));
    poll_until_quiet(fixture);
    assert_int_equal(strlen(scripted_trace), 3);
    assert_int_equal(totals_of(fixture).steps_ended, 3);
    assert_int_equal(totals_of(fixture).ended, 1);
}

static void a_failed_fire_and_forget_step_does_not_fail_the_saga(void **state)
{
    struct fixture *fixture = *state;
    open_with(fixture, DURABILITY_MEMORY, detached_step);
    start(fixture, input_of("refuse", "c", 0));
    poll_until_quiet(fixture);
    assert_int_equal(totals_of(fixture).succeeded, 1);
    assert_int_equal(totals_of(fixture).detached_failed, 1);
    assert_int_equal(totals_of(fixture).ended, 1);
}

static void a_caught_error_goes_on_where_catch_says(void **state)
{
    struct fixture *fixture = *state;
    open_with(fixture, DURABILITY_MEMORY, caught);
    start(fixture, input_of("refuse", "b", 0));
    poll_until_quiet(fixture);
    assert_string_equal(scripted_trace, "abc");
    assert_int_equal(totals_of(fixture).succeeded, 1);
}

static void garbage_from_a_handler_fails_the_step_and_leaves_no_write(void **state)
{
    struct fixture *fixture = *state;
    open_with(fixture, DURABILITY_MEMORY, three_steps);
    start(fixture, input_of("garbage", "b", 0));
    poll_until_quiet(fixture);
    assert_string_equal(scripted_trace, "abA");
    const struct partition_state *inside = partition_state(fixture->partition);
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
    struct fixture *fixture = *state;
    open_with(fixture, DURABILITY_MEMORY, three_steps);
    struct flyover_bytes input = input_of("x", "y", 0);
    uint32_t started = 0;
    while (partition_start(fixture->partition, fixture->plan, EVENT_NO_SOURCE, input, 1) ==
           STATUS_OK)
        started++;
    assert_int_equal(started, 64);
    poll_until_quiet(fixture);
    start(fixture, input);
    poll_until_quiet(fixture);
    assert_int_equal(totals_of(fixture).succeeded, 65);
}

static void no_step_runs_before_its_start_is_durable(void **state)
{
    struct fixture *fixture = *state;
    open_with(fixture, DURABILITY_SYNC, three_steps);
    poll_until_quiet(fixture);
    start(fixture, input_of("x", "y", 0));
    struct problem problem;
    /* The first turn seals the block and writes it; what it caused leaves in the next turn. */
    bool worked;
    assert_int_equal(partition_poll(fixture->partition, &worked, &problem), STATUS_OK);
    assert_string_equal(scripted_trace, "");
    poll_once(fixture);
    assert_string_equal(scripted_trace, "a");
}

/* ---- recovery ----------------------------------------------------------------------------------
 */

static void start_mixed(struct fixture *fixture, uint32_t count)
{
    static const char *const keys[] = {"x", "refuse", "always_busy", "busy_undo", "garbage"};
    static const char *const steps[] = {"a", "b", "c"};
    for (uint32_t i = 0; i < count; i++) {
        struct flyover_bytes input = input_of(keys[i % 5], steps[i / 5 % 3], 0);
        while (partition_start(fixture->partition, fixture->plan, EVENT_NO_SOURCE, input, 1) ==
               STATUS_BUSY) {
            fake_now_ms += 5000;
            poll_once(fixture);
            struct reply reply;
            while (partition_next_reply(fixture->partition, &reply))
                ;
        }
    }
}

static void a_restart_comes_to_the_same_state(void **state)
{
    struct fixture *fixture = *state;
    char before[PARTITION_DIGEST_BYTES], after[PARTITION_DIGEST_BYTES];
    open_with(fixture, DURABILITY_ASYNC, three_steps);
    start_mixed(fixture, 300);
    stop(fixture, before);
    open_with(fixture, DURABILITY_ASYNC, NULL);
    stop(fixture, after);
    assert_string_equal(before, after);
}

static void a_crash_at_any_turn_loses_nothing_acknowledged_and_doubles_nothing(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t turns = 1; turns < 40; turns++) {
        open_with(fixture, DURABILITY_ASYNC, three_steps);
        uint64_t before = totals_of(fixture).started;
        for (int i = 0; i < 20; i++)
            start(fixture, input_of(i % 4 == 0 ? "refuse" : "x", "c", 0));
        uint32_t replies_count = 0;
        for (uint32_t i = 0; i < turns; i++) {
            poll_once(fixture);
            struct reply reply;
            while (partition_next_reply(fixture->partition, &reply))
                replies_count++;
        }
        /* As a crash: the open block is lost, sent ones are not. */
        partition_free(fixture->partition);
        fixture->partition = NULL;
        open_with(fixture, DURABILITY_ASYNC, three_steps);
        struct core_totals totals = totals_of(fixture);
        assert_true(totals.succeeded + totals.compensated >= replies_count);
        poll_until_quiet(fixture);
        totals = totals_of(fixture);
        assert_true(totals.started == before || totals.started == before + 20);
        assert_int_equal(totals.ended, totals.started);
        const struct tables *tables = partition_state(fixture->partition)->services[0].tables;
        static const char *const steps[] = {"a", "b", "c"};
        for (int i = 0; i < 3; i++) {
            struct flyover_bytes key = {(const uint8_t *)steps[i], 1};
            assert_int_equal(tables_count_of(tables, SCRIPTED_DONE, key), totals.succeeded);
        }
        partition_free(fixture->partition);
        fixture->partition = NULL;
        nftw(fixture->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    }
}

static void a_sleeping_retry_survives_a_restart(void **state)
{
    struct fixture *fixture = *state;
    open_with(fixture, DURABILITY_ASYNC, three_steps);
    start(fixture, input_of("busy", "b", 1));
    poll_until_quiet(fixture);
    stop(fixture, NULL);
    open_with(fixture, DURABILITY_ASYNC, NULL);
    poll_until_quiet(fixture);
    assert_string_equal(scripted_trace, "ab");
    fake_now_ms += 2000;
    poll_until_quiet(fixture);
    assert_string_equal(scripted_trace, "abbc");
    assert_int_equal(totals_of(fixture).succeeded, 1);
}

static void the_clock_of_the_journal_never_goes_back(void **state)
{
    struct fixture *fixture = *state;
    open_with(fixture, DURABILITY_ASYNC, three_steps);
    start(fixture, input_of("busy", "b", 1));
    poll_until_quiet(fixture);
    stop(fixture, NULL);
    fake_now_ms -= 24 * 3600 * 1000;
    open_with(fixture, DURABILITY_ASYNC, NULL);
    assert_int_equal(partition_recovery(fixture->partition)->last_now_ms, 1000000);
    fake_now_ms = 1000000 + 1999;
    poll_until_quiet(fixture);
    assert_string_equal(scripted_trace, "ab");
    fake_now_ms += 1;
    poll_until_quiet(fixture);
    assert_string_equal(scripted_trace, "abbc");
}

/* ---- definitions -------------------------------------------------------------------------------
 */

static void a_definition_that_names_an_unknown_handler_is_refused(void **state)
{
    struct fixture *fixture = *state;
    open_with(fixture, DURABILITY_MEMORY, NULL);
    static const char text[] = "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Task\","
                               "\"Resource\":\"service:test.deduct\",\"End\":true}}}";
    struct problem problem = {0};
    assert_int_equal(partition_define(fixture->partition, "x", "x.json", text, sizeof text - 1,
                                      &fixture->plan, &problem),
                     STATUS_INVALID);
    assert_non_null(strstr(problem.text, "has no handler 'deduct'"));
    assert_non_null(strstr(problem.text, "undo_c"));
    assert_int_equal(core_plans_count(partition_state(fixture->partition)->core), 0);
}

static void a_definition_that_names_an_unknown_service_is_refused(void **state)
{
    struct fixture *fixture = *state;
    open_with(fixture, DURABILITY_MEMORY, NULL);
    static const char text[] = "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Task\","
                               "\"Resource\":\"service:shipping.send\",\"End\":true}}}";
    struct problem problem = {0};
    assert_int_equal(partition_define(fixture->partition, "x", "x.json", text, sizeof text - 1,
                                      &fixture->plan, &problem),
                     STATUS_NOT_FOUND);
    assert_non_null(strstr(problem.text, "there is no service 'shipping'"));
}

static void the_same_definition_is_known_and_another_is_a_new_version(void **state)
{
    struct fixture *fixture = *state;
    open_with(fixture, DURABILITY_MEMORY, three_steps);
    struct problem problem = {0};
    uint32_t plan;
    assert_int_equal(partition_define(fixture->partition, "test", "test", three_steps,
                                      sizeof three_steps - 1, &plan, &problem),
                     STATUS_OK);
    assert_int_equal(plan, fixture->plan);
    assert_int_equal(partition_define(fixture->partition, "test", "test", caught, sizeof caught - 1,
                                      &plan, &problem),
                     STATUS_OK);
    assert_int_equal(plan, fixture->plan + 1);
    assert_int_equal(partition_state_find_plan(partition_state(fixture->partition), "test"), plan);
}

/* ---- threads ------------------------------------------------------------------------------------
 */

static void with_threads_every_saga_ends_and_replay_agrees(void **state)
{
    struct fixture *fixture = *state;
    struct problem problem = {0};
    struct partition_options options = options_of(fixture, DURABILITY_SYNC);
    options.threadless = false;
    options.wall_ms = NULL;
    assert_int_equal(partition_open(&options, &fixture->partition, &problem), STATUS_OK);
    assert_int_equal(partition_define(fixture->partition, "test", "test", detached_step,
                                      sizeof detached_step - 1, &fixture->plan, &problem),
                     STATUS_OK);
    uint32_t started = 0, ended = 0;
    while (ended < 2000) {
        struct flyover_bytes input = input_of(started % 7 == 0 ? "refuse" : "x", "b", 0);
        while (started < 2000 && partition_start(fixture->partition, fixture->plan, EVENT_NO_SOURCE,
                                                 input, 1) == STATUS_OK) {
            started++;
            input = input_of(started % 7 == 0 ? "refuse" : "x", "b", 0);
        }
        bool worked;
        assert_int_equal(partition_poll(fixture->partition, &worked, &problem), STATUS_OK);
        struct reply reply;
        while (partition_next_reply(fixture->partition, &reply))
            ended++;
        if (!worked)
            partition_wait(fixture->partition, 1000000000);
    }
    assert_int_equal(totals_of(fixture).succeeded + totals_of(fixture).compensated, 2000);
    char before[PARTITION_DIGEST_BYTES], after[PARTITION_DIGEST_BYTES];
    stop(fixture, before);
    open_with(fixture, DURABILITY_SYNC, NULL);
    stop(fixture, after);
    assert_string_equal(before, after);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(steps_run_in_order_and_the_saga_succeeds),
        TEST(completed_steps_are_compensated_in_reverse),
        TEST(a_saga_that_did_nothing_fails_without_compensation),
        TEST(a_retry_waits_its_interval_and_backs_off),
        TEST(an_exhausted_retry_fails_the_saga),
        TEST(a_refusal_is_not_retried),
        TEST(a_compensation_has_its_own_retries_and_then_is_stuck),
        TEST(a_fire_and_forget_step_is_not_waited_for_but_finishes),
        TEST(a_failed_fire_and_forget_step_does_not_fail_the_saga),
        TEST(a_caught_error_goes_on_where_catch_says),
        TEST(garbage_from_a_handler_fails_the_step_and_leaves_no_write),
        TEST(the_engine_says_busy_and_takes_more_when_there_is_room),
        TEST(no_step_runs_before_its_start_is_durable),
        TEST(a_restart_comes_to_the_same_state),
        TEST(a_crash_at_any_turn_loses_nothing_acknowledged_and_doubles_nothing),
        TEST(a_sleeping_retry_survives_a_restart),
        TEST(the_clock_of_the_journal_never_goes_back),
        TEST(a_definition_that_names_an_unknown_handler_is_refused),
        TEST(a_definition_that_names_an_unknown_service_is_refused),
        TEST(the_same_definition_is_known_and_another_is_a_new_version),
        TEST(with_threads_every_saga_ends_and_replay_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
