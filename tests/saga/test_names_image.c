#include "tests/saga/names_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

static void what_differs_has_another_digest(void **state)
{
    (void)state;
    struct names *names[6];
    for (uint32_t i = 0; i < 6; i++) {
        names[i] = rig_open(i == 5 ? 4 : 5);
        if (i == 0)
            continue;
        int64_t now_ms = i == 2 ? 1 : 0;
        names_add(names[i], rig_text(i == 3 ? "b" : "a"), i == 4, 1, now_ms, 1, rig_runs,
                  rig_running);
    }
    for (uint32_t i = 0; i < 36; i++)
        assert_int_equal(XXH128_isEqual(rig_digest(names[i / 6]), rig_digest(names[i % 6])),
                         i / 6 == i % 6);
    for (uint32_t i = 0; i < 6; i++)
        names_close(names[i]);
}

enum { STEP_MS = RETENTION_MS / 6 + 1 }; /* six names are kept at a time */

/* The oldest stands in the middle of the ring, and its newest before it. */
static struct names *open_wrapped(void)
{
    struct names *names = rig_open(6);
    for (uint32_t i = 0; i < 10; i++)
        rig_add(names, rig_numbered(i), 1 + i, i * STEP_MS);
    assert_int_equal(names_count(names), 6);
    return names;
}

static void an_image_read_back_goes_on_as_if_nothing_had_been(void **state)
{
    (void)state;
    struct names *names = open_wrapped();
    struct names *read = rig_read_back(names);
    rig_assert_same(names, read);
    for (uint32_t i = 10; i < 60; i++) {
        int64_t now_ms = i * STEP_MS;
        rig_running[1 + i] = i % 3 == 0;
        for (uint32_t number = 0; number < 60; number++)
            assert_int_equal(rig_find(names, rig_numbered(number), now_ms),
                             rig_find(read, rig_numbered(number), now_ms));
        assert_int_equal(rig_has_room(names, now_ms), rig_has_room(read, now_ms));
        if (!rig_has_room(names, now_ms))
            continue;
        rig_add(names, rig_numbered(i), 1 + i, now_ms);
        rig_add(read, rig_numbered(i), 1 + i, now_ms);
        rig_assert_same(names, read);
        rig_running[i - 8] = false;
    }
    names_close(names);
    names_close(read);
}

static void no_names_read_back_as_no_names(void **state)
{
    (void)state;
    struct names *names = rig_open(5);
    struct names *read = rig_read_back(names);
    rig_assert_same(names, read);
    assert_int_equal(names_max(read), 5);
    rig_add(read, rig_text("a"), 1, 0);
    assert_int_equal(rig_find(read, rig_text("a"), 0), 1);
    names_close(names);
    names_close(read);
}

static void an_image_with_any_byte_changed_is_refused(void **state)
{
    (void)state;
    struct names *names = open_wrapped();
    int file = rig_write(names);
    off_t bytes = lseek(file, 0, SEEK_END);
    assert_int_equal(bytes, 3 * 8 + 6 * 40 + 4);
    for (off_t at = 0; at < bytes; at++) {
        for (uint32_t bit = 0; bit < 8; bit++) {
            uint8_t byte;
            assert_int_equal(pread(file, &byte, 1, at), 1);
            uint8_t other = (uint8_t)(byte ^ 1u << bit);
            assert_int_equal(pwrite(file, &other, 1, at), 1);
            assert_null(rig_read(file));
            assert_int_equal(pwrite(file, &byte, 1, at), 1);
        }
    }
    struct names *read = rig_read(file);
    assert_non_null(read);
    names_close(read);
    names_close(names);
    close(file);
}

static void an_image_cut_short_or_with_more_is_refused(void **state)
{
    (void)state;
    struct names *names = open_wrapped();
    int file = rig_write(names);
    off_t bytes = lseek(file, 0, SEEK_END);
    assert_int_equal(ftruncate(file, bytes + 1), 0);
    assert_null(rig_read(file));
    while (bytes-- > 0) {
        assert_int_equal(ftruncate(file, bytes), 0);
        assert_null(rig_read(file));
    }
    names_close(names);
    close(file);
}

static void an_image_that_makes_no_sense_is_refused(void **state)
{
    (void)state;
    const uint64_t size = sizeof(struct names_entry);
    static const struct names_entry good[] = {{1, 2, 3, 4, 5}, {1, 3, 3, 5, 5}, {2, 2, 3, 6, 5}};
    static const struct names_entry twice[] = {{1, 2, 3, 4, 5}, {1, 3, 3, 5, 5}, {1, 2, 4, 6, 6}};
    int file = rig_write_raw(size, 3, 3, good, 3);
    struct names *names = rig_read(file);
    assert_non_null(names);
    assert_int_equal(names_count(names), 3);
    names_close(names);
    close(file);
    rig_assert_refused(rig_write_raw(size + 8, 3, 3, good, 3));
    rig_assert_refused(rig_write_raw(size, 2, 3, good, 3));
    rig_assert_refused(rig_write_raw(size, 3, 2, good, 3));
    rig_assert_refused(rig_write_raw(size, 4, 4, good, 3));
    rig_assert_refused(rig_write_raw(size, 3, UINT64_MAX, good, 3));
    rig_assert_refused(rig_write_raw(size, 0, 0, good, 0));
    rig_assert_refused(rig_write_raw(size, (UINT64_C(1) << 32) + 3, 3, good, 3));
    rig_assert_refused(rig_write_raw(size, NAMES_MAX + 1, 3, good, 3));
    rig_assert_refused(rig_write_raw(size, NAMES_MAX, NAMES_MAX, good, 3));
    rig_assert_refused(rig_write_raw(size, 3, 3, twice, 3));
}

#define TEST(name) cmocka_unit_test_setup(name, rig_set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_differs_has_another_digest),
        TEST(an_image_read_back_goes_on_as_if_nothing_had_been),
        TEST(no_names_read_back_as_no_names),
        TEST(an_image_with_any_byte_changed_is_refused),
        TEST(an_image_cut_short_or_with_more_is_refused),
        TEST(an_image_that_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
