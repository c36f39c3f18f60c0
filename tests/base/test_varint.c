#include "engine/base/varint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Every number at an edge of the encoding: 7 x n bits, and one to either side. */
static size_t edges(uint64_t values[64 * 3])
{
    size_t count = 0;
    for (unsigned bit = 0; bit < 64; bit++)
        for (int beside = -1; beside <= 1; beside++)
            values[count++] = ((uint64_t)1 << bit) + (uint64_t)beside;
    values[count - 1] = UINT64_MAX;
    return count;
}

/* Decodes from a buffer of exactly `count` bytes, so that a read over its end is seen. */
static bool decode_exact(const uint8_t *bytes, size_t count, uint64_t *ret_value, size_t *ret_used)
{
    uint8_t *exact = malloc(count == 0 ? 1 : count);
    assert_non_null(exact);
    if (count > 0)
        memcpy(exact, bytes, count);
    const uint8_t *end = varint_decode(exact, exact + count, ret_value);
    if (end != NULL)
        *ret_used = (size_t)(end - exact);
    free(exact);
    return end != NULL;
}

static void the_known_encodings_come_out(void **state)
{
    (void)state;
    static const struct {
        uint64_t value;
        size_t count;
        uint8_t bytes[VARINT_BYTES_MAX];
    } cases[] = {
        {0, 1, {0x00}},
        {127, 1, {0x7f}},
        {128, 2, {0x80, 0x01}},
        {624485, 3, {0xe5, 0x8e, 0x26}}, /* the example of the DWARF standard, 7.6 */
        {UINT64_MAX, 10, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[VARINT_BYTES_MAX];
        assert_int_equal(varint_encode(bytes, cases[i].value) - bytes, cases[i].count);
        assert_memory_equal(bytes, cases[i].bytes, cases[i].count);
    }
}

static void every_number_comes_back_and_takes_no_more_room_than_promised(void **state)
{
    (void)state;
    uint64_t values[64 * 3];
    size_t count = edges(values);
    size_t longest = 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t bytes[VARINT_BYTES_MAX];
        size_t written = (size_t)(varint_encode(bytes, values[i]) - bytes);
        uint64_t value = 0;
        size_t used = 0;
        assert_true(decode_exact(bytes, written, &value, &used));
        assert_true(value == values[i] && used == written);
        longest = written > longest ? written : longest;
    }
    assert_int_equal(longest, VARINT_BYTES_MAX);
}

static void a_number_cut_off_anywhere_is_refused(void **state)
{
    (void)state;
    uint64_t values[64 * 3];
    size_t count = edges(values);
    for (size_t i = 0; i < count; i++) {
        uint8_t bytes[VARINT_BYTES_MAX];
        size_t written = (size_t)(varint_encode(bytes, values[i]) - bytes);
        for (size_t cut = 0; cut < written; cut++) {
            uint64_t value = 42;
            size_t used = 0;
            assert_false(decode_exact(bytes, cut, &value, &used));
            assert_int_equal(value, 42);
        }
    }
}

static void more_than_64_bits_are_refused(void **state)
{
    (void)state;
    uint8_t bytes[16];
    memset(bytes, 0xff, sizeof bytes);
    uint64_t value = 42;
    size_t used = 0;
    bytes[9] = 0x02;
    assert_false(decode_exact(bytes, 10, &value, &used));
    bytes[9] = 0x81;
    bytes[10] = 0x00;
    assert_false(decode_exact(bytes, 11, &value, &used));
    memset(bytes, 0x80, sizeof bytes);
    assert_false(decode_exact(bytes, sizeof bytes, &value, &used));
    assert_int_equal(value, 42);
}

static void a_number_that_is_longer_than_it_need_be_is_refused(void **state)
{
    (void)state;
    static const uint8_t padded[][3] = {{0x80, 0x00}, {0xff, 0x00}, {0x80, 0x80, 0x00}};
    uint64_t value = 42;
    size_t used = 0;
    assert_false(decode_exact(padded[0], 2, &value, &used));
    assert_false(decode_exact(padded[1], 2, &value, &used));
    assert_false(decode_exact(padded[2], 3, &value, &used));
    assert_int_equal(value, 42);
}

static void signed_numbers_zigzag_small_to_small(void **state)
{
    (void)state;
    static const struct {
        int64_t value;
        uint64_t zigzag;
    } cases[] = {{0, 0},
                 {-1, 1},
                 {1, 2},
                 {-2, 3},
                 {INT64_MAX, UINT64_MAX - 1},
                 {INT64_MIN, UINT64_MAX},
                 {INT64_MIN + 1, UINT64_MAX - 2}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(varint_zigzag(cases[i].value) == cases[i].zigzag);
        assert_true(varint_unzigzag(cases[i].zigzag) == cases[i].value);
    }
    uint64_t values[64 * 3];
    size_t count = edges(values);
    for (size_t i = 0; i < count; i++)
        assert_true(varint_zigzag(varint_unzigzag(values[i])) == values[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_known_encodings_come_out),
        cmocka_unit_test(every_number_comes_back_and_takes_no_more_room_than_promised),
        cmocka_unit_test(a_number_cut_off_anywhere_is_refused),
        cmocka_unit_test(more_than_64_bits_are_refused),
        cmocka_unit_test(a_number_that_is_longer_than_it_need_be_is_refused),
        cmocka_unit_test(signed_numbers_zigzag_small_to_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
