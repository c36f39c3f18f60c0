#include "engine/base/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define BUFFER_BYTES 20000

static uint8_t buffer[BUFFER_BYTES];

/* xorshift: the same bytes in every run. */
static void fill_at_random(uint64_t seed)
{
    for (size_t index = 0; index < sizeof buffer; index++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        buffer[index] = (uint8_t)seed;
    }
}

/* RFC 3720, B.4. */
static void the_vectors_of_rfc_3720_come_out(void **state)
{
    (void)state;
    uint8_t bytes[32];
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x8a9136aa);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x62a8ab43);
    for (uint8_t index = 0; index < 32; index++)
        bytes[index] = index;
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x46dd794e);
    for (uint8_t index = 0; index < 32; index++)
        bytes[index] = (uint8_t)(31 - index);
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x113fdb5c);
    static const uint8_t read_command[48] = {
        0x01, 0xc0, 0, 0, 0, 0, 0,    0, 0,    0, 0, 0,    0, 0, 0, 0,
        0x14, 0,    0, 0, 0, 0, 0x04, 0, 0,    0, 0, 0x14, 0, 0, 0, 0x18,
        0x28, 0,    0, 0, 0, 0, 0,    0, 0x02, 0, 0, 0,    0, 0, 0, 0};
    assert_int_equal(crc32c(0, read_command, sizeof read_command), 0xd9963a56);
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
}

static void nothing_leaves_the_seed_as_it_is(void **state)
{
    (void)state;
    assert_int_equal(crc32c(0, "", 0), 0);
    assert_int_equal(crc32c(0x12345678, "", 0), 0x12345678);
}

static void hardware_and_tables_agree_at_every_length_and_alignment(void **state)
{
    (void)state;
    fill_at_random(0x9e3779b97f4a7c15u);
    for (size_t offset = 0; offset < 9; offset++)
        for (size_t count = 0; count < sizeof buffer - 9; count += count < 300 ? 1 : 509)
            assert_int_equal(crc32c((uint32_t)count, buffer + offset, count),
                             crc32c_by_table((uint32_t)count, buffer + offset, count));
}

static void pieces_give_the_same_as_the_whole(void **state)
{
    (void)state;
    fill_at_random(42);
    uint32_t whole = crc32c(0, buffer, sizeof buffer);
    for (size_t split = 0; split < sizeof buffer; split += 997) {
        uint32_t crc = crc32c(0, buffer, split);
        assert_int_equal(crc32c(crc, buffer + split, sizeof buffer - split), whole);
    }
}

static void every_flipped_bit_is_seen(void **state)
{
    (void)state;
    fill_at_random(7);
    uint32_t whole = crc32c(0, buffer, 4096);
    for (size_t bit = 0; bit < 4096 * 8; bit += 7) {
        buffer[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(crc32c(0, buffer, 4096), whole);
        buffer[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_rfc_3720_come_out),
        cmocka_unit_test(nothing_leaves_the_seed_as_it_is),
        cmocka_unit_test(hardware_and_tables_agree_at_every_length_and_alignment),
        cmocka_unit_test(pieces_give_the_same_as_the_whole),
        cmocka_unit_test(every_flipped_bit_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
