#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tests/partition/rig.h"
#include "tests/partition/scripted.h"

/* Who goes first, and who has to wait: limits of services, turns of definitions, admission. */

static const char of_a[] = "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Task\",\"Resource\":"
                           "\"service:test.a\",\"End\":true}}}";
static const char of_b[] = "{\"StartAt\":\"B\",\"States\":{\"B\":{\"Type\":\"Task\",\"Resource\":"
                           "\"service:test.b\",\"End\":true}}}";
static const char of_undone[] =
    "{\"StartAt\":\"P\",\"States\":{\"P\":{\"Type\":\"Task\",\"Resource\":\"service:plain.p\","
    "\"Compensate\":{\"Resource\":\"service:test.undo_c\"},\"Next\":\"F\"},"
    "\"F\":{\"Type\":\"Fail\",\"Error\":\"Test.End\",\"Cause\":\"as told\"}}}";

static const char of_loose[] =
    "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Task\",\"Resource\":"
    "\"service:test.a\",\"FireAndForget\":true,\"End\":true}}}";

static struct partition_service_limits limits = {.service = "test"};

static void open_limited(struct rig *rig, struct dispatch_limits of_test)
{
    struct partition_options options = rig_options(rig, DURABILITY_ASYNC);
    options.now_ns = rig_read_ns;
    limits.limits = of_test;
    options.service_limits = &limits;
    options.service_limits_count = 1;
    rig_open(rig, &options, of_a);
}

static size_t ran(void)
{
    return strlen(scripted_trace);
}

static uint64_t ended(const struct rig *rig)
{
    return rig_totals(rig).ended;
}

static void no_more_are_in_flight_than_the_service_may_have(void **state)
{
    struct rig *rig = *state;
    open_limited(rig, (struct dispatch_limits){.in_flight_max = 3});
    for (int i = 0; i < 20; i++)
        rig_start(rig, rig->plan, "x", "y");
    size_t before = 0;
    for (int i = 0; i < 100 && ended(rig) < 20; i++) {
        rig_turn(rig);
        assert_true(ran() - before <= 3);
        before = ran();
    }
    assert_int_equal(ended(rig), 20);
}

static void no_more_go_in_a_time_than_the_rate_says(void **state)
{
    struct rig *rig = *state;
    /* A turn takes 2.5 ms: one in four turns. */
    open_limited(rig, (struct dispatch_limits){.rate_per_s = 100, .burst = 2});
    for (int i = 0; i < 40; i++)
        rig_start(rig, rig->plan, "x", "y");
    uint64_t began_ns = rig_now_ns;
    size_t most = 0;
    for (int i = 0; i < 1000 && ran() < 40; i++) {
        rig_turn(rig);
        uint64_t may = 2 + (rig_now_ns - began_ns) * 100 / 1000000000u;
        assert_true(ran() <= may);
        most = ran();
    }
    assert_int_equal(most, 40);
    uint64_t took_ms = (rig_now_ns - began_ns) / 1000000u;
    assert_true(took_ms >= 380 && took_ms < 420);
}

static void compensations_go_before_forward_steps(void **state)
{
    struct rig *rig = *state;
    open_limited(rig, (struct dispatch_limits){.in_flight_max = 1});
    uint32_t undone = rig_define(rig, "undone", of_undone);
    for (int i = 0; i < 10; i++)
        rig_start(rig, rig->plan, "x", "y");
    for (int i = 0; i < 4; i++)
        rig_turn(rig);
    size_t before = ran();
    assert_true(before < 4);
    for (int i = 0; i < 4; i++)
        rig_start(rig, undone, "x", "y");
    rig_settle(rig);
    assert_int_equal(ran(), 10 + 4 + 4);
    /* From the first compensation on there are no forward steps of the service in between. */
    const char *first = strchr(scripted_trace, 'C');
    assert_non_null(first);
    assert_true(strncmp(first, "CCCC", 4) == 0);
    assert_int_equal(first[4], 'a');
}

static void two_definitions_take_turns_at_a_slow_service(void **state)
{
    struct rig *rig = *state;
    open_limited(rig, (struct dispatch_limits){.in_flight_max = 1});
    uint32_t other = rig_define(rig, "other", of_b);
    rig_held[PARTITION_WORKER] = true;
    for (int i = 0; i < 30; i++)
        rig_start(rig, rig->plan, "x", "y");
    for (int i = 0; i < 5; i++)
        rig_start(rig, other, "x", "y");
    for (int i = 0; i < 5; i++)
        rig_turn(rig);
    rig_held[PARTITION_WORKER] = false;
    rig_settle(rig);
    assert_int_equal(ran(), 35);
    /* One went at once; then by turns, until the smaller one has no more. */
    assert_true(strncmp(scripted_trace, "aabababababaaaa", 15) == 0 ||
                strncmp(scripted_trace, "ababababab", 10) == 0);
}

/* ---- admission --------------------------------------------------------------------------------
 */

static uint32_t flood(struct rig *rig, uint32_t plan)
{
    uint32_t started = 0;
    while (rig_try_start(rig, plan, "x", "y") == STATUS_OK)
        started++;
    return started;
}

static void a_flood_leaves_the_last_quarter_of_slots_to_others(void **state)
{
    struct rig *rig = *state;
    open_limited(rig, (struct dispatch_limits){0});
    uint32_t other = rig_define(rig, "other", of_b);
    assert_int_equal(flood(rig, rig->plan), 48);
    assert_int_equal(flood(rig, other), 16);
    uint32_t busy_ms = partition_busy_ms(rig->partition);
    assert_true(busy_ms >= 1 && busy_ms <= 60000);
    struct problem problem = {0};
    uint64_t saga_id;
    struct partition_start_options options = {.plan = other, .input = rig_input("x", "y")};
    assert_int_equal(partition_start_with(rig->partition, &options, &saga_id, &problem),
                     STATUS_BUSY);
    assert_non_null(strstr(problem.text, "there is no room for another saga now: ask again in"));
    rig_settle(rig);
    assert_int_equal(ended(rig), 64);
}

static void versions_of_a_definition_count_together(void **state)
{
    struct rig *rig = *state;
    open_limited(rig, (struct dispatch_limits){0});
    rig_define(rig, "other", of_b);
    assert_int_equal(flood(rig, rig->plan), 48);
    uint32_t newer = rig_define(rig, "test", of_b);
    assert_int_equal(flood(rig, newer), 0);
}

static void the_only_definition_may_have_every_slot(void **state)
{
    struct rig *rig = *state;
    open_limited(rig, (struct dispatch_limits){0});
    assert_int_equal(flood(rig, rig->plan), 64);
}

static uint32_t flood_at(struct rig *rig, uint32_t plan, enum partition_priority priority)
{
    uint32_t started = 0;
    uint64_t saga_id;
    struct problem problem = {0};
    struct partition_start_options options = {
        .plan = plan, .input = rig_input("x", "y"), .priority = priority};
    while (partition_start_with(rig->partition, &options, &saga_id, &problem) == STATUS_OK)
        started++;
    return started;
}

static void a_start_of_low_priority_is_told_first_that_there_is_no_room(void **state)
{
    struct rig *rig = *state;
    open_limited(rig, (struct dispatch_limits){0});
    rig_define(rig, "other", of_b);
    assert_int_equal(flood_at(rig, rig->plan, PARTITION_PRIORITY_LOW), 32);
    assert_int_equal(flood_at(rig, rig->plan, PARTITION_PRIORITY_NORMAL), 16);
    assert_int_equal(flood_at(rig, rig->plan, PARTITION_PRIORITY_LOW), 0);
    uint32_t low_ms = partition_busy_at_ms(rig->partition, PARTITION_PRIORITY_LOW);
    assert_true(low_ms >= partition_busy_ms(rig->partition) && low_ms <= 60000);
    assert_int_equal(flood_at(rig, rig->plan, PARTITION_PRIORITY_HIGH), 16);
    assert_int_equal(flood_at(rig, rig->plan, PARTITION_PRIORITY_HIGH), 0);
    rig_settle(rig);
    assert_int_equal(ended(rig), 64);
}

static void payload_is_scarce_for_low_priority_first_too(void **state)
{
    struct rig *rig = *state;
    open_limited(rig, (struct dispatch_limits){.in_flight_max = 1});
    rig_held[PARTITION_WORKER] = true;
    static uint8_t input[250005] = {0xc6, 0, 3, 0xd0, 0x90};
    uint64_t saga_id;
    struct problem problem = {0};
    uint32_t started[3] = {0};
    static const enum partition_priority priorities[] = {
        PARTITION_PRIORITY_LOW, PARTITION_PRIORITY_NORMAL, PARTITION_PRIORITY_HIGH};
    for (int i = 0; i < 3; i++) {
        struct partition_start_options options = {
            .plan = rig->plan, .input = {input, sizeof input}, .priority = priorities[i]};
        while (partition_start_with(rig->partition, &options, &saga_id, &problem) == STATUS_OK) {
            started[i]++;
            rig_turn(rig);
        }
    }
    /* Of 16 MiB starts may have 12, and of those the low ones 6. */
    assert_in_range(started[0], 12, 24);
    assert_in_range(started[1], 12, 24);
    assert_int_equal(started[2], 0);
}

static void the_hint_is_between_a_millisecond_and_a_minute_whatever_happens(void **state)
{
    struct rig *rig = *state;
    open_limited(rig, (struct dispatch_limits){.in_flight_max = 1});
    uint32_t greatest = 0;
    for (int i = 0; i < 400; i++) {
        if (i % 100 < 50)
            flood(rig, rig->plan);
        rig_held[PARTITION_WORKER] = i % 100 > 20;
        rig_now_ns += i % 7 == 0 ? 5000000000u : 0;
        rig_turn(rig);
        uint32_t busy_ms = partition_busy_ms(rig->partition);
        assert_true(busy_ms >= 1 && busy_ms <= 60000);
        greatest = busy_ms > greatest ? busy_ms : greatest;
    }
    assert_true(greatest > 1000);
    rig_held[PARTITION_WORKER] = false;
    rig_settle(rig);
    assert_int_equal(partition_busy_ms(rig->partition), 1);
}

/* Polls while no time passes. */
static void poll_some(struct rig *rig)
{
    bool worked;
    for (int i = 0; i < 10; i++)
        assert_int_equal(partition_poll(rig->partition, &worked, NULL), STATUS_OK);
}

static void the_end_of_a_step_that_nothing_waits_for_goes_with_the_next_block(void **state)
{
    struct rig *rig = *state;
    struct partition_options options = rig_options(rig, DURABILITY_ASYNC);
    options.now_ns = rig_read_ns;
    rig_open(rig, &options, of_loose);
    rig_turn(rig);
    for (int i = 1; i <= 3; i++) {
        rig_start(rig, rig->plan, "x", "y");
        uint64_t started_no = partition_pending_no(rig->partition);
        poll_some(rig);
        assert_int_equal(ran(), i);
        assert_int_equal(partition_durable_no(rig->partition), started_no);
        assert_int_equal(partition_pending_no(rig->partition), started_no + 1);
    }
    /* Or by itself, a little later. */
    uint64_t pending_no = partition_pending_no(rig->partition);
    rig_turn(rig);
    rig_turn(rig);
    assert_int_equal(partition_durable_no(rig->partition), pending_no);
}

static void load_is_light_until_a_block_has_many_records(void **state)
{
    struct rig *rig = *state;
    open_limited(rig, (struct dispatch_limits){0});
    rig_start(rig, rig->plan, "x", "y");
    rig_settle(rig);
    assert_true(partition_is_light(rig->partition));
    for (int i = 0; i < 30; i++)
        rig_start(rig, rig->plan, "x", "y");
    rig_turn(rig);
    assert_false(partition_is_light(rig->partition));
    rig_settle(rig);
    rig_start(rig, rig->plan, "x", "y");
    rig_settle(rig);
    assert_true(partition_is_light(rig->partition));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(no_more_are_in_flight_than_the_service_may_have),
        RIG_TEST(no_more_go_in_a_time_than_the_rate_says),
        RIG_TEST(compensations_go_before_forward_steps),
        RIG_TEST(two_definitions_take_turns_at_a_slow_service),
        RIG_TEST(a_flood_leaves_the_last_quarter_of_slots_to_others),
        RIG_TEST(versions_of_a_definition_count_together),
        RIG_TEST(the_only_definition_may_have_every_slot),
        RIG_TEST(a_start_of_low_priority_is_told_first_that_there_is_no_room),
        RIG_TEST(payload_is_scarce_for_low_priority_first_too),
        RIG_TEST(the_hint_is_between_a_millisecond_and_a_minute_whatever_happens),
        RIG_TEST(the_end_of_a_step_that_nothing_waits_for_goes_with_the_next_block),
        RIG_TEST(load_is_light_until_a_block_has_many_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
