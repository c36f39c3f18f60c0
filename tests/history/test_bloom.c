#include "tests/history/rig.h"

#include "engine/history/bloom.h"

static uint8_t lines[BLOOM_LINES_MAX * BLOOM_LINE_BYTES];

static uint32_t regions_of(uint32_t lines_count, uint64_t key)
{
    return bloom_regions(lines + (size_t)bloom_line_of(key, lines_count) * BLOOM_LINE_BYTES, key);
}

static void what_is_in_it_is_never_denied_and_the_rest_mostly(void **state)
{
    (void)state;
    static const uint32_t counts[] = {1, 100, 10000, 300000};
    for (uint32_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        memset(lines, 0, sizeof lines);
        for (uint32_t id = 0; id < counts[i]; id++)
            bloom_add(lines, bloom_key_of_saga((uint64_t)id << 6), id % BLOOM_REGIONS_MAX);
        uint32_t lines_count = bloom_seal(lines);
        for (uint32_t id = 0; id < counts[i]; id++)
            assert_true(regions_of(lines_count, bloom_key_of_saga((uint64_t)id << 6)) >>
                            id % BLOOM_REGIONS_MAX &
                        1);
        uint32_t wrong = 0;
        for (uint32_t id = 0; id < 10000; id++)
            wrong += (uint32_t)__builtin_popcount(
                regions_of(lines_count, bloom_key_of_saga((1000000000ull + id) << 6)));
        assert_true(wrong < 10000 * BLOOM_REGIONS_MAX / 50);
        /* Sized by what is in it: at most 64 bits a key, but for the smallest. */
        assert_true(lines_count == 1 || lines_count < counts[i] / 4);
    }
}

static void names_and_sagas_do_not_meet(void **state)
{
    (void)state;
    memset(lines, 0, sizeof lines);
    bloom_add(lines, bloom_key_of_name(rig_text("order-17")), 3);
    uint32_t lines_count = bloom_seal(lines);
    assert_int_equal(regions_of(lines_count, bloom_key_of_name(rig_text("order-17"))), 1 << 3);
    assert_int_equal(regions_of(lines_count, bloom_key_of_name(rig_text("order-18"))), 0);
    assert_int_equal(regions_of(lines_count, bloom_key_of_saga(17)), 0);
}

static void a_damaged_line_says_maybe(void **state)
{
    (void)state;
    memset(lines, 0, sizeof lines);
    bloom_add(lines, bloom_key_of_saga(1), 3);
    assert_int_equal(bloom_seal(lines), 1);
    assert_true(bloom_line_is_whole(lines));
    for (uint32_t bit = 0; bit < BLOOM_LINE_BYTES * 8; bit++) {
        lines[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(bloom_line_is_whole(lines));
        assert_int_equal(regions_of(1, bloom_key_of_saga(99999)), 0xffff);
        lines[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_in_it_is_never_denied_and_the_rest_mostly),
        cmocka_unit_test(names_and_sagas_do_not_meet),
        cmocka_unit_test(a_damaged_line_says_maybe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
