#include "tests/saga/names_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

_Static_assert(sizeof(struct names_entry) == 40, "an entry costs what it is said to cost");
_Static_assert(UINT64_C(1000000) * NAMES_COST_BYTES_MAX <= 64u << 20, "a million names in 64 MiB");
_Static_assert(sizeof(struct names_entry) + sizeof(uint32_t) * 4 == NAMES_COST_BYTES_MAX,
               "an entry, and an index at most four times as long as the ring");

/* ---- what is a name -------------------------------------------------------------------------- */

static void text_of_up_to_256_bytes_is_a_name(void **state)
{
    (void)state;
    static const char *const good[] = {
        "a",        " ", "order 7/b", "\xc3\xa9", "\xc2\xa0", "\xe2\x82\xac", "\xf0\x9f\x9a\x80",
        "\xc4\x80",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(names_check(rig_text(good[i])));
    uint8_t bytes[NAMES_BYTES_MAX + 1];
    memset(bytes, 'x', sizeof bytes);
    assert_true(names_check((struct flyover_bytes){bytes, NAMES_BYTES_MAX}));
    assert_false(names_check((struct flyover_bytes){bytes, NAMES_BYTES_MAX + 1}));
    assert_false(names_check((struct flyover_bytes){bytes, 0}));
    assert_false(names_check((struct flyover_bytes){NULL, 0}));
}

static void bytes_that_are_no_utf8_are_no_name(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\x80", "a\xff", "\xc0\xaf", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80", "order-\xc2",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(names_check(rig_text(bad[i])));
}

static void control_characters_are_in_no_name(void **state)
{
    (void)state;
    for (uint32_t code = 0; code < 0xa1; code++) {
        uint8_t bytes[] = {'a', 'b', (uint8_t)code, 'd'};
        uint32_t count = 4;
        if (code >= 0x80) {
            bytes[2] = 0xc2;
            bytes[3] = (uint8_t)code;
        }
        bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
        assert_int_equal(names_check((struct flyover_bytes){bytes, count}), !control);
    }
}

static void inputs_that_differ_have_other_hashes(void **state)
{
    (void)state;
    uint64_t nothing = names_hash_input((struct flyover_bytes){NULL, 0});
    assert_true(nothing == names_hash_input(rig_text("")));
    assert_true(nothing != names_hash_input(rig_text("a")));
    assert_true(names_hash_input(rig_text("{\"a\":1}")) != names_hash_input(rig_text("{\"a\":2}")));
    assert_true(names_hash_input(rig_text("{\"a\":1}")) == names_hash_input(rig_text("{\"a\":1}")));
}

/* ---- finding --------------------------------------------------------------------------------- */

static void no_names_and_too_many_are_refused(void **state)
{
    (void)state;
    struct names *names = NULL;
    assert_int_equal(names_open(0, &names), STATUS_INVALID);
    assert_int_equal(names_open(NAMES_MAX + 1, &names), STATUS_INVALID);
    assert_int_equal(names_open(UINT32_MAX, &names), STATUS_INVALID);
    assert_null(names);
    names_close(NULL);
    names = rig_open(NAMES_MAX);
    assert_int_equal(names_max(names), NAMES_MAX);
    names_close(names);
}

static void the_same_name_finds_its_saga_and_another_does_not(void **state)
{
    (void)state;
    struct names *names = rig_open(10);
    rig_add(names, rig_text("order-1"), 1, 500);
    const struct names_entry *entry =
        names_find(names, rig_text("order-1"), 500, RETENTION_MS, rig_runs, rig_running);
    assert_non_null(entry);
    assert_true(entry->saga_id == 1 && entry->input_hash == 7 && entry->kept_from_ms == 500);
    assert_int_equal(rig_find(names, rig_text("order-2"), 500), 0);
    assert_int_equal(rig_find(names, rig_text("order-"), 500), 0);
    assert_int_equal(rig_find(names, rig_text("order-1 "), 500), 0);
    assert_int_equal(rig_find(names, (struct flyover_bytes){NULL, 0}, 500), 0);
    assert_int_equal(names_count(names), 1);
    names_close(names);
}

/* Hashes that are alike wherever the index looks, and not elsewhere, come in through an image. */
static void a_name_is_known_by_all_128_bits_of_its_hash(void **state)
{
    (void)state;
    XXH128_hash_t hash = XXH3_128bits("order-1", 7);
    for (uint32_t bit = 0; bit <= 128; bit++) {
        struct names_entry entry = {hash.high64, hash.low64, 1, 1, 0};
        if (bit < 64)
            entry.hash_low ^= UINT64_C(1) << bit;
        else if (bit < 128)
            entry.hash_high ^= UINT64_C(1) << (bit - 64);
        int file = rig_write_raw(sizeof entry, 4, 1, &entry, 1);
        struct names *names = rig_read(file);
        assert_non_null(names);
        assert_int_equal(rig_find(names, rig_text("order-1"), 0), bit == 128);
        names_close(names);
        close(file);
    }
}

static void every_one_of_many_names_is_found(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    static const uint32_t maxima[] = {COUNT, NAMES_MAX};
    for (size_t i = 0; i < sizeof maxima / sizeof maxima[0]; i++) {
        struct names *names = rig_open(maxima[i]);
        for (uint32_t number = 1; number <= COUNT; number++)
            rig_add(names, rig_numbered(number), number, number / 1000);
        uint32_t wrong = 0;
        for (uint32_t number = 1; number <= COUNT; number++)
            wrong += rig_find(names, rig_numbered(number), 100) != number;
        for (uint32_t number = COUNT + 1; number <= 2 * COUNT; number++)
            wrong += rig_find(names, rig_numbered(number), 100) != 0;
        assert_int_equal(wrong, 0);
        assert_int_equal(names_count(names), COUNT);
        names_close(names);
    }
}

/* ---- expiry ---------------------------------------------------------------------------------- */

static void a_name_is_forgotten_after_its_retention(void **state)
{
    (void)state;
    struct names *names = rig_open(10);
    rig_add(names, rig_text("a"), 1, 5000);
    assert_int_equal(rig_find(names, rig_text("a"), 5000 + RETENTION_MS - 1), 1);
    assert_int_equal(rig_find(names, rig_text("a"), 5000 + RETENTION_MS), 0);
    assert_int_equal(names_count(names), 1);
    rig_add(names, rig_text("a"), 2, 5000 + RETENTION_MS);
    assert_int_equal(rig_find(names, rig_text("a"), 5000 + RETENTION_MS), 2);
    assert_int_equal(names_count(names), 1);
    names_close(names);
}

static void a_name_is_known_while_its_saga_runs(void **state)
{
    (void)state;
    struct names *names = rig_open(10);
    rig_running[1] = true;
    rig_add(names, rig_text("a"), 1, 0);
    assert_int_equal(rig_find(names, rig_text("a"), RETENTION_MS * 50), 1);
    rig_running[1] = false;
    assert_int_equal(rig_find(names, rig_text("a"), RETENTION_MS * 50), 0);
    names_close(names);
}

static void a_name_that_is_held_goes_to_the_end_and_is_kept_from_then_on(void **state)
{
    (void)state;
    struct names *names = rig_open(3);
    rig_running[1] = true;
    rig_add(names, rig_text("a"), 1, 0);
    rig_add(names, rig_text("b"), 2, 0);
    rig_add(names, rig_text("c"), 3, 0);
    rig_add(names, rig_text("d"), 4, RETENTION_MS); /* lets go of b and c */
    assert_int_equal(names_count(names), 2);
    rig_running[1] = false;
    assert_int_equal(rig_find(names, rig_text("a"), 2 * RETENTION_MS - 1), 1);
    assert_int_equal(rig_find(names, rig_text("a"), 2 * RETENTION_MS), 0);
    rig_add(names, rig_text("e"), 5, 2 * RETENTION_MS);
    assert_int_equal(names_count(names), 1);
    names_close(names);
}

/* The oldest that is not let go of: it has expired, and others stand before it. */
static void a_name_that_expired_can_be_kept_again_wherever_it_stands(void **state)
{
    (void)state;
    enum { COUNT = 3 * NAMES_LOOK_MAX };
    for (uint32_t again = 0; again < COUNT; again++) {
        struct names *names = rig_open(COUNT + 1);
        for (uint32_t i = 0; i < COUNT; i++)
            rig_add(names, rig_numbered(i), 100 + i, 0);
        rig_add(names, rig_numbered(again), 1, RETENTION_MS);
        uint32_t left = COUNT - NAMES_LOOK_MAX;
        assert_int_equal(names_count(names), again < NAMES_LOOK_MAX ? left + 1 : left);
        for (uint32_t i = 0; i < COUNT; i++)
            assert_int_equal(rig_find(names, rig_numbered(i), RETENTION_MS), i == again);
        /* Sagas that run make visible which names are left. */
        memset(rig_running, 1, sizeof rig_running);
        uint32_t found = 0;
        for (uint32_t i = 0; i < COUNT; i++)
            found += rig_find(names, rig_numbered(i), RETENTION_MS) != 0;
        assert_int_equal(found, names_count(names));
        memset(rig_running, 0, sizeof rig_running);
        for (uint32_t i = 0; i < COUNT / NAMES_LOOK_MAX; i++)
            rig_add(names, rig_numbered(COUNT + i), 200 + i, 2 * RETENTION_MS);
        assert_int_equal(names_count(names), COUNT / NAMES_LOOK_MAX);
        names_close(names);
    }
}

static void one_call_lets_go_of_a_few_only(void **state)
{
    (void)state;
    struct names *names = rig_open(1000);
    for (uint32_t i = 0; i < 100; i++)
        rig_add(names, rig_numbered(i), 1 + i, 0);
    for (uint32_t i = 0; i < 5; i++)
        rig_running[1 + i] = true;
    rig_asked_count = 0;
    rig_add(names, rig_text("a"), 200, RETENTION_MS);
    assert_int_equal(rig_asked_count, NAMES_LOOK_MAX);
    assert_int_equal(names_count(names), 100 - (NAMES_LOOK_MAX - 5) + 1);
    names_close(names);
}

static void extreme_times_do_not_overflow(void **state)
{
    (void)state;
    const int64_t century_ms = INT64_C(100) * 366 * 86400 * 1000;
    static const int64_t times[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX};
    const int64_t retentions[] = {0, 1, century_ms, INT64_MAX};
    enum { TIMES = sizeof times / sizeof times[0], RETENTIONS = 4 };
    for (uint32_t i = 0; i < TIMES * TIMES * RETENTIONS; i++) {
        int64_t kept_ms = times[i % TIMES], now_ms = times[i / TIMES % TIMES];
        int64_t retention_ms = retentions[i / TIMES / TIMES];
        bool past = (__int128)kept_ms + retention_ms <= now_ms;
        struct names *names = rig_open(1);
        names_add(names, rig_text("a"), 1, 1, kept_ms, retention_ms, rig_runs, rig_running);
        assert_int_equal(
            names_find(names, rig_text("a"), now_ms, retention_ms, rig_runs, rig_running) == NULL,
            past);
        assert_int_equal(names_has_room(names, now_ms, retention_ms, rig_runs, rig_running), past);
        if (past)
            names_add(names, rig_text("b"), 2, 2, now_ms, retention_ms, rig_runs, rig_running);
        assert_int_equal(names_count(names), 1);
        names_close(names);
    }
}

/* ---- room ------------------------------------------------------------------------------------ */

static void full_has_no_room_until_the_oldest_has_expired(void **state)
{
    (void)state;
    struct names *names = rig_open(3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(rig_has_room(names, i));
        rig_add(names, rig_numbered(i), 1 + i, i);
    }
    assert_false(rig_has_room(names, RETENTION_MS - 1));
    assert_true(rig_has_room(names, RETENTION_MS));
    rig_running[1] = true;
    assert_false(rig_has_room(names, RETENTION_MS));
    rig_running[1] = false;
    rig_add(names, rig_text("a"), 9, RETENTION_MS);
    assert_false(rig_has_room(names, RETENTION_MS));
    assert_int_equal(rig_find(names, rig_numbered(0), RETENTION_MS), 0);
    assert_int_equal(rig_find(names, rig_numbered(1), RETENTION_MS), 2);
    assert_int_equal(rig_find(names, rig_text("a"), RETENTION_MS), 9);
    assert_true(rig_has_room(names, RETENTION_MS + 1));
    names_close(names);
}

/* Or a few sagas that run for long would keep all others from being started. */
static void names_that_are_held_do_not_keep_the_room_of_those_behind(void **state)
{
    (void)state;
    enum { HELD = NAMES_LOOK_FULL_MAX - 1 };
    struct names *names = rig_open(HELD + 2);
    for (uint32_t i = 0; i < HELD + 2; i++) {
        rig_add(names, rig_numbered(i), 1 + i, 0);
        rig_running[1 + i] = i < HELD;
    }
    assert_true(rig_has_room(names, RETENTION_MS));
    rig_running[1 + HELD] = true;
    assert_false(rig_has_room(names, RETENTION_MS)); /* one too many: the bound */
    rig_running[1 + HELD] = false;
    rig_add(names, rig_text("a"), 9000, RETENTION_MS);
    assert_int_equal(names_count(names), HELD + 2);
    assert_int_equal(rig_find(names, rig_text("a"), RETENTION_MS), 9000);
    assert_true(rig_has_room(names, RETENTION_MS)); /* the held ones are at the end now */
    for (uint32_t i = 0; i < HELD; i++)
        assert_int_equal(rig_find(names, rig_numbered(i), RETENTION_MS), 1 + i);
    names_close(names);
}

static void a_full_ring_of_held_names_has_no_room_even_without_retention(void **state)
{
    (void)state;
    struct names *names = rig_open(4);
    memset(rig_running, 1, sizeof rig_running);
    for (uint32_t i = 0; i < 4; i++)
        names_add(names, rig_numbered(i), 0, 1 + i, 0, 0, rig_runs, rig_running);
    assert_false(names_has_room(names, 10, 0, rig_runs, rig_running));
    rig_running[4] = false;
    assert_true(names_has_room(names, 10, 0, rig_runs, rig_running));
    names_add(names, rig_numbered(9), 0, 10, 10, 0, rig_runs, rig_running);
    assert_int_equal(names_count(names), 4);
    assert_null(names_find(names, rig_numbered(3), 10, 0, rig_runs, rig_running));
    names_close(names);
}

#define TEST(name) cmocka_unit_test_setup(name, rig_set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(text_of_up_to_256_bytes_is_a_name),
        TEST(bytes_that_are_no_utf8_are_no_name),
        TEST(control_characters_are_in_no_name),
        TEST(inputs_that_differ_have_other_hashes),
        TEST(no_names_and_too_many_are_refused),
        TEST(the_same_name_finds_its_saga_and_another_does_not),
        TEST(a_name_is_known_by_all_128_bits_of_its_hash),
        TEST(every_one_of_many_names_is_found),
        TEST(a_name_is_forgotten_after_its_retention),
        TEST(a_name_is_known_while_its_saga_runs),
        TEST(a_name_that_is_held_goes_to_the_end_and_is_kept_from_then_on),
        TEST(a_name_that_expired_can_be_kept_again_wherever_it_stands),
        TEST(one_call_lets_go_of_a_few_only),
        TEST(extreme_times_do_not_overflow),
        TEST(full_has_no_room_until_the_oldest_has_expired),
        TEST(names_that_are_held_do_not_keep_the_room_of_those_behind),
        TEST(a_full_ring_of_held_names_has_no_room_even_without_retention),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
