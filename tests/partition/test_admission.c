#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/partition/admission.h"

#define SECOND_NS 1000000000ull

/* Starts sagas of one definition until it is told to wait. */
static uint32_t flood(uint32_t definition_live, uint32_t *sagas_live, uint32_t sagas_max)
{
    uint32_t started = 0;
    while (admission_may_start(definition_live + started, *sagas_live, sagas_max)) {
        started++;
        ++*sagas_live;
    }
    return started;
}

static void a_flood_stops_at_three_quarters_and_another_definition_finds_the_rest(void **state)
{
    (void)state;
    uint32_t live = 0;
    assert_int_equal(flood(0, &live, 1000), 750);
    assert_int_equal(flood(0, &live, 1000), 250);
    assert_false(admission_may_start(0, live, 1000));
}

static void many_definitions_fill_all_slots(void **state)
{
    (void)state;
    uint32_t live = 0;
    while (live < 1000) {
        uint32_t held = live / 10;
        assert_true(admission_may_start(held, live, 1000));
        live++;
    }
    assert_false(admission_may_start(0, live, 1000));
}

static void the_bounds_are_exact(void **state)
{
    (void)state;
    assert_true(admission_may_start(749, 749, 1000));
    assert_false(admission_may_start(750, 750, 1000));
    assert_true(admission_may_start(249, 750, 1000));
    assert_false(admission_may_start(250, 750, 1000));
    assert_true(admission_may_start(249, 999, 1000));
    assert_false(admission_may_start(0, 1000, 1000));
    /* A few slots, and as many as 32 bits count. */
    assert_true(admission_may_start(0, 0, 1));
    assert_false(admission_may_start(0, 1, 1));
    assert_false(admission_may_start(0, 0, 0));
    assert_true(admission_may_start(2, 2, 3));
    assert_true(admission_may_start(0, 3, 4));
    assert_false(admission_may_start(1, 3, 4));
    assert_true(admission_may_start(3221225470, 3221225470, UINT32_MAX));
    assert_false(admission_may_start(3221225472, 3221225472, UINT32_MAX));
    assert_true(admission_may_start(1073741823, 3221225472, UINT32_MAX));
    assert_false(admission_may_start(1073741824, 3221225472, UINT32_MAX));
}

static void a_hint_is_the_time_until_the_door_is_open_to_all(void **state)
{
    (void)state;
    struct admission admission = {0};
    assert_int_equal(admission_hint_ms(&admission, 1000, 1000), PACE_HINT_MS_UNKNOWN);
    assert_int_equal(admission_hint_ms(&admission, 749, 1000), 1);
    /* A hundred a second end; those from before a restart are not news. */
    uint64_t now_ns = 7 * SECOND_NS, ended = 1000000000;
    admission_turn(&admission, ended, 900, now_ns);
    for (uint32_t i = 0; i < 300; i++)
        admission_turn(&admission, ++ended, 900, now_ns += SECOND_NS / 100);
    assert_in_range(admission_hint_ms(&admission, 849, 1000), 995, 1005);
    assert_in_range(admission_hint_ms(&admission, 750, 1000), 10, 11);
    assert_int_equal(admission_hint_ms(&admission, 749, 1000), 1);
    assert_int_equal(admission_hint_ms(&admission, 1000000, 1000000), 60000);
    /* Nobody ran for an hour: no reason to think that they end slowly. */
    admission_turn(&admission, ended, 0, now_ns);
    admission_turn(&admission, ended, 900, now_ns + 3600 * SECOND_NS);
    assert_in_range(admission_hint_ms(&admission, 849, 1000), 995, 1005);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flood_stops_at_three_quarters_and_another_definition_finds_the_rest),
        cmocka_unit_test(many_definitions_fill_all_slots),
        cmocka_unit_test(the_bounds_are_exact),
        cmocka_unit_test(a_hint_is_the_time_until_the_door_is_open_to_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
