#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/partition/timers.h"

static void timers_come_out_by_due_time_then_by_branch(void **state)
{
    (void)state;
    struct timers timers;
    assert_int_equal(timers_init(&timers, 1000), STATUS_OK);
    uint64_t random = 7;
    for (uint32_t i = 0; i < 1000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        timers_add(&timers, (struct timer){(int64_t)(random >> 33) % 50, i, 0});
    }
    struct timer last = {-1, 0, 0};
    for (uint32_t i = 0; i < 1000; i++) {
        const struct timer *first = timers_first(&timers);
        assert_non_null(first);
        assert_true(first->due_ms > last.due_ms ||
                    (first->due_ms == last.due_ms && first->branch > last.branch));
        last = *first;
        timers_remove_first(&timers);
    }
    assert_null(timers_first(&timers));
    timers_fini(&timers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_come_out_by_due_time_then_by_branch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
