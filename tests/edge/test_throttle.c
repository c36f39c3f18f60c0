/* How often and how soon an endpoint may be asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/edge/throttle.h"

static void backoff_doubles_up_to_twenty_seconds_and_is_by_chance(void **state)
{
    (void)state;
    const int64_t most[] = {50, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 20000, 20000};
    for (uint32_t i = 0; i < sizeof most / sizeof most[0]; i++) {
        assert_int_equal(throttle_backoff_ms(i, 0.0), 0);
        assert_int_equal(throttle_backoff_ms(i, 0.9999999), most[i]);
    }
    assert_int_equal(throttle_backoff_ms(4000000000u, 0.9999999), 20000);
}

static void retries_are_paid_and_what_succeeds_pays_back(void **state)
{
    (void)state;
    struct throttle throttle;
    throttle_init(&throttle);
    for (uint32_t i = 0; i < THROTTLE_TOKENS / THROTTLE_COST; i++)
        assert_true(throttle_pay(&throttle, THROTTLE_COST));
    assert_false(throttle_pay(&throttle, THROTTLE_COST));
    throttle_refund(&throttle, 0);
    assert_false(throttle_pay(&throttle, THROTTLE_COST));
    throttle_refund(&throttle, THROTTLE_COST);
    assert_true(throttle_pay(&throttle, THROTTLE_COST));
    for (uint32_t i = 0; i < 2000; i++)
        throttle_refund(&throttle, 0);
    assert_int_equal(throttle.tokens, THROTTLE_TOKENS);
}

/* Sends as often as it is let for `ms`, at most `offered` a second; returns how many went. */
static uint32_t run(struct throttle *throttle, int64_t *now_ms, int64_t ms, uint32_t offered,
                    uint32_t capacity)
{
    uint32_t sent = 0, second_sent = 0;
    int64_t end_ms = *now_ms + ms, free_ms = *now_ms;
    for (int64_t second = *now_ms / 1000; *now_ms < end_ms; *now_ms += 1000 / offered) {
        if (*now_ms / 1000 != second) {
            second = *now_ms / 1000;
            second_sent = 0;
        }
        if (*now_ms < free_ms)
            continue;
        free_ms = *now_ms + throttle_slot_ms(throttle, *now_ms);
        sent++;
        throttle_on_answer(throttle, ++second_sent > capacity, *now_ms);
    }
    return sent;
}

static void what_was_never_throttled_is_not_slowed(void **state)
{
    (void)state;
    struct throttle throttle;
    int64_t now_ms = 5000;
    throttle_init(&throttle);
    assert_int_equal(run(&throttle, &now_ms, 10000, 500, UINT32_MAX), 5000);
}

static void an_endpoint_that_throttles_is_asked_about_as_often_as_it_can(void **state)
{
    (void)state;
    struct throttle throttle;
    int64_t now_ms = 5000;
    throttle_init(&throttle);
    run(&throttle, &now_ms, 20000, 500, 100);
    uint32_t sent = run(&throttle, &now_ms, 30000, 500, 100);
    assert_in_range(sent, 30 * 50, 30 * 150);
}

static void an_endpoint_that_throttles_no_more_is_asked_more_and_more(void **state)
{
    (void)state;
    struct throttle throttle;
    int64_t now_ms = 5000;
    throttle_init(&throttle);
    run(&throttle, &now_ms, 20000, 500, 50);
    run(&throttle, &now_ms, 60000, 500, UINT32_MAX);
    assert_in_range(run(&throttle, &now_ms, 10000, 500, UINT32_MAX), 4000, 5000);
}

static void many_that_are_throttled_at_once_slow_it_once(void **state)
{
    (void)state;
    struct throttle throttle;
    throttle_init(&throttle);
    for (int i = 0; i < 100; i++)
        assert_int_equal(throttle_slot_ms(&throttle, 5000 + i), 0);
    for (int i = 0; i < 100; i++)
        throttle_on_answer(&throttle, true, 5100);
    assert_true(throttle.rate > 100);
    throttle_on_answer(&throttle, true, 5700);
    assert_true(throttle.rate < 100);
    for (int i = 0; i < 100; i++)
        throttle_on_answer(&throttle, true, 6000 + 600 * i);
    assert_true(throttle.rate >= 0.5);
}

static void one_in_a_hundred_slows_nobody(void **state)
{
    (void)state;
    struct throttle throttle;
    throttle_init(&throttle);
    for (int i = 0; i < 10000; i++) {
        assert_int_equal(throttle_slot_ms(&throttle, 5000 + i), 0);
        throttle_on_answer(&throttle, i % 100 == 0, 5000 + i);
    }
    for (int i = 0; i < 100; i++)
        throttle_on_answer(&throttle, i % 5 == 0, 15000 + i);
    assert_true(throttle.slowed);
}

static void slots_are_given_in_the_order_they_are_asked_for(void **state)
{
    (void)state;
    struct throttle throttle;
    throttle_init(&throttle);
    for (int i = 0; i < 10; i++)
        throttle_slot_ms(&throttle, 5000);
    for (int i = 0; i < 10; i++)
        throttle_on_answer(&throttle, true, 5000);
    assert_true(throttle.slowed);
    int64_t last_ms = 0;
    for (int i = 0; i < 50; i++) {
        int64_t slot_ms = throttle_slot_ms(&throttle, 5000);
        assert_true(slot_ms >= last_ms);
        last_ms = slot_ms;
    }
    assert_true(last_ms > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backoff_doubles_up_to_twenty_seconds_and_is_by_chance),
        cmocka_unit_test(retries_are_paid_and_what_succeeds_pays_back),
        cmocka_unit_test(what_was_never_throttled_is_not_slowed),
        cmocka_unit_test(an_endpoint_that_throttles_is_asked_about_as_often_as_it_can),
        cmocka_unit_test(an_endpoint_that_throttles_no_more_is_asked_more_and_more),
        cmocka_unit_test(many_that_are_throttled_at_once_slow_it_once),
        cmocka_unit_test(one_in_a_hundred_slows_nobody),
        cmocka_unit_test(slots_are_given_in_the_order_they_are_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
