#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/partition/pace.h"

#define SECOND_NS 1000000000ull

struct rig {
    struct pace pace;
    uint64_t total;
    uint64_t now_ns;
};

/* `per_turn` happen in each turn of turn_ns. */
static void run(struct rig *rig, uint64_t per_turn, uint64_t turn_ns, uint32_t turns)
{
    for (uint32_t i = 0; i < turns; i++)
        pace_turn(&rig->pace, rig->total += per_turn, true, rig->now_ns += turn_ns);
}

static void expect_about(double value, double wanted)
{
    assert_true(value > 0.98 * wanted && value < 1.02 * wanted);
}

static void a_steady_pace_is_met_whatever_the_length_of_turns(void **state)
{
    (void)state;
    static const uint64_t turns_ns[] = {1000, 50000, 20000000, 70000000, 5 * SECOND_NS};
    for (uint32_t i = 0; i < sizeof turns_ns / sizeof turns_ns[0]; i++) {
        struct rig rig = {.now_ns = 55 * SECOND_NS, .total = 123456};
        assert_false(pace_is_known(&rig.pace));
        assert_true(pace_per_s(&rig.pace) == 0);
        run(&rig, 1000, turns_ns[i], 1);
        uint32_t turns = (uint32_t)(PACE_FOLD_NS / turns_ns[i]) + 1;
        run(&rig, 1000, turns_ns[i], turns);
        assert_true(pace_is_known(&rig.pace));
        expect_about(pace_per_s(&rig.pace), 1000 * 1e9 / (double)turns_ns[i]);
    }
}

static void a_new_pace_is_taken_up_in_a_few_seconds(void **state)
{
    (void)state;
    struct rig rig = {0};
    run(&rig, 10, 1000000, 5000);
    expect_about(pace_per_s(&rig.pace), 10000);
    run(&rig, 1, 1000000, 1000);
    assert_true(pace_per_s(&rig.pace) > 2000 && pace_per_s(&rig.pace) < 6000);
    run(&rig, 1, 1000000, 7000);
    expect_about(pace_per_s(&rig.pace), 1000);
}

static void idle_time_does_not_count(void **state)
{
    (void)state;
    struct rig rig = {0};
    run(&rig, 10, 1000000, 5000);
    pace_turn(&rig.pace, rig.total, false, rig.now_ns);
    rig.now_ns += 3600 * SECOND_NS;
    pace_turn(&rig.pace, rig.total, true, rig.now_ns);
    expect_about(pace_per_s(&rig.pace), 10000);
    run(&rig, 10, 1000000, 100);
    expect_about(pace_per_s(&rig.pace), 10000);
    /* And busy time in which nothing happens does. */
    run(&rig, 0, 1000000, 10000);
    assert_true(pace_per_s(&rig.pace) < 10);
}

static void a_clock_that_goes_back_is_no_time(void **state)
{
    (void)state;
    struct rig rig = {.now_ns = 100 * SECOND_NS};
    run(&rig, 10, 1000000, 5000);
    pace_turn(&rig.pace, rig.total, true, SECOND_NS);
    expect_about(pace_per_s(&rig.pace), 10000);
}

static void hints_are_rounded_up_and_bounded(void **state)
{
    (void)state;
    struct rig rig = {0};
    assert_int_equal(pace_hint_ms(&rig.pace, 5), PACE_HINT_MS_UNKNOWN);
    run(&rig, 0, SECOND_NS, 2);
    assert_int_equal(pace_hint_ms(&rig.pace, 0), PACE_HINT_MS_MAX);
    assert_int_equal(pace_hint_ms_at(1000, 0), 1);
    assert_int_equal(pace_hint_ms_at(1000, 1), 1);
    assert_int_equal(pace_hint_ms_at(1000, 2), 2);
    assert_int_equal(pace_hint_ms_at(3, 1), 334);
    assert_int_equal(pace_hint_ms_at(4294967295, 1), 1);
    assert_int_equal(pace_hint_ms_at(1, 59), 59000);
    assert_int_equal(pace_hint_ms_at(1, UINT64_MAX), 60000);
    assert_int_equal(pace_hint_ms_at(0, 0), 60000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_steady_pace_is_met_whatever_the_length_of_turns),
        cmocka_unit_test(a_new_pace_is_taken_up_in_a_few_seconds),
        cmocka_unit_test(idle_time_does_not_count),
        cmocka_unit_test(a_clock_that_goes_back_is_no_time),
        cmocka_unit_test(hints_are_rounded_up_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
