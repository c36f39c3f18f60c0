#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/partition/timers.h"

#define KEYS    200u
#define YEAR_MS (INT64_C(365) * 24 * 3600 * 1000)
#define NONE    INT64_MIN

/* xorshift: the same in every run. */
static uint64_t draw(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* As many bits as drawn: every level of the wheel is met. */
static int64_t draw_ms(uint64_t *seed, uint32_t bits_max)
{
    uint64_t bits = draw(seed) % (bits_max + 1);
    return (int64_t)(draw(seed) & ((UINT64_C(1) << bits) - 1));
}

static struct timers *open_timers(uint32_t keys_max)
{
    struct timers *timers = malloc(sizeof *timers);
    assert_non_null(timers);
    assert_int_equal(timers_init(timers, keys_max), STATUS_OK);
    return timers;
}

static void close_timers(struct timers *timers)
{
    timers_fini(timers);
    free(timers);
}

static void assert_pops(struct timers *timers, int64_t now_ms, uint32_t expected_key)
{
    uint32_t key = UINT32_MAX;
    assert_true(timers_pop(timers, now_ms, &key));
    assert_int_equal(key, expected_key);
}

static void assert_pops_nothing(struct timers *timers, int64_t now_ms)
{
    uint32_t key = 4711;
    assert_false(timers_pop(timers, now_ms, &key));
    assert_int_equal(key, 4711);
}

/* ---- beside a sorted array ------------------------------------------------------------------ */

struct oracle_timer {
    int64_t due_ms;
    uint32_t key;
};

/* Ordered by (due_ms, key). */
struct oracle {
    struct oracle_timer sorted[KEYS];
    uint32_t count;
};

static void oracle_remove_at(struct oracle *oracle, uint32_t at)
{
    oracle->count--;
    memmove(&oracle->sorted[at], &oracle->sorted[at + 1],
            (oracle->count - at) * sizeof oracle->sorted[0]);
}

static void oracle_clear(struct oracle *oracle, uint32_t key)
{
    for (uint32_t at = 0; at < oracle->count; at++)
        if (oracle->sorted[at].key == key) {
            oracle_remove_at(oracle, at);
            return;
        }
}

static int64_t oracle_due_ms(const struct oracle *oracle, uint32_t key)
{
    for (uint32_t at = 0; at < oracle->count; at++)
        if (oracle->sorted[at].key == key)
            return oracle->sorted[at].due_ms;
    return NONE;
}

static void oracle_set(struct oracle *oracle, uint32_t key, int64_t due_ms)
{
    int64_t had_ms = oracle_due_ms(oracle, key);
    if (had_ms != NONE && had_ms <= due_ms)
        return;
    oracle_clear(oracle, key);
    uint32_t at = oracle->count++;
    for (; at > 0; at--) {
        struct oracle_timer *before = &oracle->sorted[at - 1];
        if (before->due_ms < due_ms || (before->due_ms == due_ms && before->key < key))
            break;
        oracle->sorted[at] = *before;
    }
    oracle->sorted[at] = (struct oracle_timer){due_ms, key};
}

/* Both sides, and how late it is. */
struct rig {
    struct timers *timers;
    struct oracle oracle;
    uint64_t seed;
    int64_t now_ms;
    uint32_t step_bits_max; /* the clock's */
    uint32_t due_bits_max;
    uint32_t popped_count;
};

static void rig_set(struct rig *rig)
{
    uint32_t key = (uint32_t)(draw(&rig->seed) % KEYS);
    int64_t had_ms = oracle_due_ms(&rig->oracle, key);
    int64_t due_ms = rig->now_ms + draw_ms(&rig->seed, rig->due_bits_max);
    switch (draw(&rig->seed) % 8) {
    case 0: due_ms = rig->now_ms; break;
    case 1: due_ms = rig->now_ms - draw_ms(&rig->seed, 12); break;
    case 2: due_ms = rig->now_ms + (int64_t)(draw(&rig->seed) % 4); break; /* ties */
    case 3: due_ms = had_ms == NONE ? due_ms : had_ms - draw_ms(&rig->seed, 10); break;
    case 4: due_ms = had_ms == NONE ? due_ms : had_ms + draw_ms(&rig->seed, 10); break;
    default: break;
    }
    if (due_ms >= TIMERS_MS_MAX)
        due_ms = TIMERS_MS_MAX - 1;
    timers_set(rig->timers, key, due_ms);
    oracle_set(&rig->oracle, key, due_ms);
}

static void rig_clear(struct rig *rig)
{
    uint32_t key = (uint32_t)(draw(&rig->seed) % KEYS);
    timers_clear(rig->timers, key);
    oracle_clear(&rig->oracle, key);
}

/* What the header promises of the bound. `is_settled`: the last pop found nothing. */
static void rig_check(const struct rig *rig, bool is_settled)
{
    const struct oracle *oracle = &rig->oracle;
    int64_t bound_ms = timers_next_ms(rig->timers);
    assert_int_equal(timers_count(rig->timers), oracle->count);
    if (oracle->count == 0) {
        assert_true(bound_ms == INT64_MAX);
        return;
    }
    int64_t due_ms = oracle->sorted[0].due_ms;
    assert_true(bound_ms <= due_ms);
    if (is_settled) {
        assert_true(bound_ms > rig->now_ms);
        assert_true(bound_ms == due_ms || due_ms / 64 != rig->now_ms / 64);
    } else if (due_ms <= rig->timers->wheel_ms) {
        assert_true(bound_ms == due_ms);
    }
}

/* Pops up to `most`, sometimes setting and clearing in between. */
static void rig_pop(struct rig *rig, uint32_t most)
{
    struct oracle *oracle = &rig->oracle;
    for (uint32_t i = 0; i < most; i++) {
        if (oracle->count == 0 || oracle->sorted[0].due_ms > rig->now_ms) {
            assert_pops_nothing(rig->timers, rig->now_ms);
            rig_check(rig, true);
            return;
        }
        assert_pops(rig->timers, rig->now_ms, oracle->sorted[0].key);
        oracle_remove_at(oracle, 0);
        rig->popped_count++;
        if (draw(&rig->seed) % 4 == 0)
            rig_set(rig);
        if (draw(&rig->seed) % 8 == 0)
            rig_clear(rig);
        rig_check(rig, false);
    }
}

static void rig_step_clock(struct rig *rig)
{
    int64_t step_ms = draw_ms(&rig->seed, rig->step_bits_max);
    if (rig->now_ms + step_ms < TIMERS_MS_MAX - 100)
        rig->now_ms += step_ms;
}

static void rig_run(struct rig *rig, uint32_t operations)
{
    rig->timers = open_timers(KEYS);
    for (uint32_t i = 0; i < operations; i++) {
        uint64_t kind = draw(&rig->seed) % 16;
        if (kind < 9)
            rig_set(rig);
        else if (kind < 11)
            rig_clear(rig);
        else if (kind < 13)
            rig_step_clock(rig);
        else
            rig_pop(rig, kind == 15 ? UINT32_MAX : 1 + (uint32_t)(draw(&rig->seed) % 8));
        rig_check(rig, false);
    }
    /* All of it, in the order of the array. */
    rig->now_ms = TIMERS_MS_MAX - 1;
    rig_pop(rig, UINT32_MAX);
    assert_int_equal(timers_count(rig->timers), 0);
    assert_true(rig->popped_count > operations / 20);
    close_timers(rig->timers);
}

static void random_use_gives_what_a_sorted_array_gives(void **state)
{
    (void)state;
    static const struct {
        uint32_t step_bits_max, due_bits_max;
    } scales[] = {{2, 5}, {4, 8}, {7, 14}, {14, 24}, {24, 36}, {36, 44}, {2, 52}, {44, 12}};
    for (uint32_t scale = 0; scale < sizeof scales / sizeof scales[0]; scale++)
        for (uint64_t seed = 1; seed <= 8; seed++) {
            struct rig rig = {
                .seed = seed * 0x9e3779b97f4a7c15u,
                .now_ms = seed % 2 == 0 ? 0 : INT64_C(1700000000000),
                .step_bits_max = scales[scale].step_bits_max,
                .due_bits_max = scales[scale].due_bits_max,
            };
            rig_run(&rig, 6000);
        }
}

/* ---- order ---------------------------------------------------------------------------------- */

static void ties_come_out_by_key_however_they_were_set(void **state)
{
    (void)state;
    struct timers *timers = open_timers(5000);
    /* 7 is prime to 5000: each key once, out of order. */
    for (uint32_t i = 0; i < 5000; i++)
        timers_set(timers, i * 7 % 5000, 123456789);
    assert_pops_nothing(timers, 123456788);
    for (uint32_t key = 0; key < 5000; key++)
        assert_pops(timers, 123456789, key);
    assert_pops_nothing(timers, 123456789);
    close_timers(timers);
}

static void past_dues_fire_at_the_next_pop_by_due_time_then_by_key(void **state)
{
    (void)state;
    struct timers *timers = open_timers(16);
    assert_pops_nothing(timers, 1000);
    timers_set(timers, 1, 1000);
    timers_set(timers, 9, 400);
    timers_set(timers, 5, 400);
    timers_set(timers, 7, 0);
    timers_set(timers, 8, INT64_MIN);
    timers_set(timers, 2, 1001);
    assert_true(timers_next_ms(timers) == INT64_MIN);
    static const uint32_t expected[] = {8, 7, 5, 9, 1};
    for (uint32_t i = 0; i < 5; i++)
        assert_pops(timers, 1000, expected[i]);
    assert_pops_nothing(timers, 1000);
    assert_pops(timers, 1001, 2);
    close_timers(timers);
}

static void one_set_while_popping_takes_its_turn(void **state)
{
    (void)state;
    struct timers *timers = open_timers(16);
    timers_set(timers, 3, 100);
    timers_set(timers, 4, 100);
    timers_set(timers, 5, 200);
    assert_pops(timers, 1000, 3);
    timers_set(timers, 3, 100);  /* again: still before 4 */
    timers_set(timers, 6, 150);  /* between */
    timers_set(timers, 7, 1000); /* last */
    timers_set(timers, 8, 1001); /* not yet */
    static const uint32_t expected[] = {3, 4, 6, 5, 7};
    for (uint32_t i = 0; i < 5; i++)
        assert_pops(timers, 1000, expected[i]);
    assert_pops_nothing(timers, 1000);
    assert_int_equal(timers_count(timers), 1);
    close_timers(timers);
}

/* ---- one timer a key ------------------------------------------------------------------------ */

static void setting_later_keeps_the_earlier_and_setting_earlier_moves(void **state)
{
    (void)state;
    struct timers *timers = open_timers(4);
    timers_set(timers, 2, 5000);
    timers_set(timers, 2, 9000);
    timers_set(timers, 2, 5000);
    assert_int_equal(timers_count(timers), 1);
    assert_pops_nothing(timers, 4999);
    timers_set(timers, 1, 5100);
    timers_set(timers, 1, 5000);
    assert_int_equal(timers_count(timers), 2);
    assert_pops(timers, 5000, 1);
    assert_pops(timers, 5000, 2);
    assert_pops_nothing(timers, 10000);
    /* The one that has fired counts no more. */
    timers_set(timers, 2, 20000);
    assert_pops_nothing(timers, 19999);
    assert_pops(timers, 20000, 2);
    close_timers(timers);
}

static void a_cleared_timer_does_not_fire_wherever_it_stands(void **state)
{
    (void)state;
    struct timers *timers = open_timers(64);
    for (uint32_t key = 0; key < 48; key++)
        timers_set(timers, key, 10 + (INT64_C(1) << key)); /* in every level */
    for (uint32_t key = 0; key < 48; key += 2)
        timers_clear(timers, key);
    timers_clear(timers, 0);
    timers_clear(timers, 63); /* never had one */
    for (uint32_t key = 48; key < 60; key++)
        timers_set(timers, key, -5); /* ready */
    timers_clear(timers, 48);
    timers_clear(timers, 53);
    timers_clear(timers, 59);
    assert_int_equal(timers_count(timers), 24 + 9);
    int64_t end_ms = TIMERS_MS_MAX - 1;
    for (uint32_t key = 49; key < 59; key++)
        if (key != 53)
            assert_pops(timers, 0, key);
    for (uint32_t key = 1; key < 48; key += 2)
        assert_pops(timers, end_ms, key);
    assert_pops_nothing(timers, end_ms);
    assert_int_equal(timers_count(timers), 0);
    assert_true(timers_next_ms(timers) == INT64_MAX);
    close_timers(timers);
}

/* ---- far away ------------------------------------------------------------------------------- */

static void far_dues_fire_in_their_millisecond_and_not_before(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits <= 53; bits++)
        for (int64_t off = -1; off <= 1; off++) {
            int64_t due_ms = (INT64_C(1) << bits) + off;
            if (due_ms < 1 || due_ms >= TIMERS_MS_MAX)
                continue;
            struct timers *timers = open_timers(1);
            timers_set(timers, 0, due_ms);
            assert_pops_nothing(timers, due_ms - 1);
            assert_true(timers_next_ms(timers) <= due_ms);
            assert_pops(timers, due_ms, 0);
            close_timers(timers);
        }
}

/* Were each empty slot looked at, this would not end. */
static void the_clock_may_jump_by_years(void **state)
{
    (void)state;
    struct timers *timers = open_timers(2);
    int64_t now_ms = 0;
    for (uint32_t i = 0; i < 100000; i++) {
        timers_set(timers, 0, now_ms + 1);
        timers_set(timers, 1, now_ms + 2 * YEAR_MS);
        now_ms += YEAR_MS;
        assert_pops(timers, now_ms, 0);
        assert_pops_nothing(timers, now_ms);
        now_ms += YEAR_MS;
        assert_pops(timers, now_ms, 1);
        assert_pops_nothing(timers, now_ms);
    }
    close_timers(timers);
}

/* As a caller sleeps that has nothing else to do. */
static void sleeping_to_the_bound_gets_there_in_as_many_wakes_as_levels(void **state)
{
    (void)state;
    uint64_t seed = 99;
    for (uint32_t i = 0; i < 20000; i++) {
        struct timers *timers = open_timers(1);
        int64_t now_ms = draw_ms(&seed, 52);
        int64_t due_ms = now_ms + 1 + draw_ms(&seed, 51);
        assert_pops_nothing(timers, now_ms);
        timers_set(timers, 0, due_ms);
        uint32_t wakes = 1, key;
        for (;; wakes++) {
            assert_true(wakes <= TIMERS_LEVELS);
            int64_t bound_ms = timers_next_ms(timers);
            assert_true(bound_ms > now_ms && bound_ms <= due_ms);
            now_ms = bound_ms;
            if (timers_pop(timers, now_ms, &key))
                break;
        }
        assert_true(now_ms == due_ms);
        close_timers(timers);
    }
}

/* ---- room ----------------------------------------------------------------------------------- */

static void no_keys_and_too_many_are_refused(void **state)
{
    (void)state;
    struct timers timers = {0};
    assert_int_equal(timers_init(&timers, 0), STATUS_INVALID);
    assert_int_equal(timers_init(&timers, TIMERS_KEYS_MAX + 1), STATUS_INVALID);
    timers_fini(&timers);
}

static void every_key_may_have_one_at_once(void **state)
{
    (void)state;
    const uint32_t keys = 100000;
    struct timers *timers = open_timers(keys);
    for (uint32_t key = 0; key < keys; key++)
        timers_set(timers, key, 1 + (int64_t)key * 7919 % 50000);
    assert_int_equal(timers_count(timers), keys);
    int64_t last_ms = 0;
    uint32_t last_key = 0, key;
    for (uint32_t i = 0; i < keys; i++) {
        assert_true(timers_pop(timers, 50000, &key));
        int64_t due_ms = 1 + (int64_t)key * 7919 % 50000;
        assert_true(due_ms > last_ms || (due_ms == last_ms && key > last_key));
        last_ms = due_ms;
        last_key = key;
    }
    assert_pops_nothing(timers, 50000);
    close_timers(timers);
}

static uint64_t resident_bytes(const struct timers *timers, uint64_t from, uint64_t bytes)
{
    uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t pages = bytes / page_bytes, resident = 0;
    unsigned char *is_resident = malloc(pages);
    assert_non_null(is_resident);
    assert_int_equal(mincore((uint8_t *)timers->nodes + from, bytes, is_resident), 0);
    for (uint64_t page = 0; page < pages; page++)
        resident += is_resident[page] & 1;
    free(is_resident);
    return resident * page_bytes;
}

/* A million in four places far apart of the widest address space there is. */
static void a_million_keys_take_sixteen_bytes_each_however_far_apart(void **state)
{
    (void)state;
    const uint32_t places = 4, keys = 250000, apart = TIMERS_KEYS_MAX / places;
    struct timers *timers = open_timers(TIMERS_KEYS_MAX);
    uint64_t seed = 5;
    for (uint32_t place = 0; place < places; place++)
        for (uint32_t i = 0; i < keys; i++)
            timers_set(timers, place * apart + apart - 1 - i, 1 + draw_ms(&seed, 40));
    assert_int_equal(timers_count(timers), places * keys);
    uint32_t key, popped = 0;
    while (timers_pop(timers, INT64_C(1) << 30, &key))
        popped++;
    assert_true(popped > keys && popped < places * keys);
    assert_int_equal(timers_count(timers), places * keys - popped);
    /* A huge page of slack at either end of a place. */
    const uint64_t slack = 4u << 20, node_bytes = sizeof(struct timer_node);
    uint64_t resident = resident_bytes(timers, 0, (uint64_t)TIMERS_KEYS_MAX * node_bytes);
    assert_in_range(resident, places * keys * node_bytes, places * (keys * node_bytes + slack));
    close_timers(timers);
}

/* ---- bugs of the caller --------------------------------------------------------------------- */

static void go_back(struct timers *timers)
{
    uint32_t key;
    timers_pop(timers, 999, &key);
}

static void set_beyond_the_keys(struct timers *timers)
{
    timers_set(timers, 8, 5000);
}

static void set_beyond_the_end_of_time(struct timers *timers)
{
    timers_set(timers, 7, TIMERS_MS_MAX);
}

static void misuse_stops_the_program(void **state)
{
    (void)state;
    void (*const misuses[])(struct timers *) = {go_back, set_beyond_the_keys,
                                                set_beyond_the_end_of_time};
    struct timers *timers = open_timers(8);
    timers_set(timers, 1, 500);
    timers_set(timers, 2, 600);
    assert_pops(timers, 1000, 1); /* the wheel stands at 500, the clock does not */
    for (uint32_t i = 0; i < sizeof misuses / sizeof misuses[0]; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            signal(SIGABRT, SIG_DFL);
            setrlimit(RLIMIT_CORE, &(struct rlimit){0});
            fclose(stderr);
            misuses[i](timers);
            _exit(0);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
    close_timers(timers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_use_gives_what_a_sorted_array_gives),
        cmocka_unit_test(ties_come_out_by_key_however_they_were_set),
        cmocka_unit_test(past_dues_fire_at_the_next_pop_by_due_time_then_by_key),
        cmocka_unit_test(one_set_while_popping_takes_its_turn),
        cmocka_unit_test(setting_later_keeps_the_earlier_and_setting_earlier_moves),
        cmocka_unit_test(a_cleared_timer_does_not_fire_wherever_it_stands),
        cmocka_unit_test(far_dues_fire_in_their_millisecond_and_not_before),
        cmocka_unit_test(the_clock_may_jump_by_years),
        cmocka_unit_test(sleeping_to_the_bound_gets_there_in_as_many_wakes_as_levels),
        cmocka_unit_test(no_keys_and_too_many_are_refused),
        cmocka_unit_test(every_key_may_have_one_at_once),
        cmocka_unit_test(a_million_keys_take_sixteen_bytes_each_however_far_apart),
        cmocka_unit_test(misuse_stops_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
