#include "engine/saga/value.h"

#include <float.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/base/msgpack_oracle.h"

#define BYTES(array)  ((struct flyover_bytes){(array), sizeof(array)})
#define TEXT(literal) ((struct flyover_bytes){(const uint8_t *)(literal), sizeof(literal) - 1})

/* A number in one of its msgpack forms, and what it is. */
struct sample {
    uint8_t bytes[9];
    struct flyover_bytes value;
    long double number;
};

static void draw_sample(struct cases *cases, struct sample *sample)
{
    static const uint64_t edges[] = {0, 1, 1ull << 53, 1ull << 62, 1ull << 63, UINT64_MAX};
    uint64_t bits = edges[cases_draw(cases, 6)] + cases_draw(cases, 5) - 2;
    if (cases_draw(cases, 4) == 0)
        bits = cases_draw(cases, UINT64_MAX) >> cases_draw(cases, 64);
    uint64_t form = cases_draw(cases, 4);
    double real = (form == 3 ? -(double)bits : (double)bits) / (cases_draw(cases, 4) ? 1 : 8);
    sample->number = form == 0   ? (long double)bits
                     : form == 1 ? (long double)(int64_t)bits
                                 : (long double)real;
    if (form >= 2)
        memcpy(&bits, &real, sizeof bits);
    sample->bytes[0] = form == 0 ? 0xcf : form == 1 ? 0xd3 : 0xcb;
    for (uint32_t index = 8; index > 0; index--, bits >>= 8)
        sample->bytes[index] = (uint8_t)bits;
    sample->value = BYTES(sample->bytes);
}

static void numbers_compare_exactly(void **state)
{
    (void)state;
    /* Wide enough for every int64, uint64 and double. */
    _Static_assert(LDBL_MANT_DIG >= 64, "this test needs a long double wider than a double");
    struct cases cases = {.state = 7};
    uint32_t equal = 0;
    for (uint32_t case_no = 0; case_no < 300000; case_no++) {
        struct sample left, right;
        draw_sample(&cases, &left);
        draw_sample(&cases, &right);
        int order = 9;
        int expected = (left.number > right.number) - (left.number < right.number);
        assert_true(value_compare(left.value, right.value, &order));
        if (order != expected) {
            print_error("%.20Lg and %.20Lg: %d\n", left.number, right.number, order);
            fail();
        }
        equal += order == 0;
    }
    assert_in_range(equal, 1000, 200000);
}

static void texts_compare_bytewise(void **state)
{
    (void)state;
    int order = 9;
    assert_true(value_compare(TEXT("\xa1z"), TEXT("\xa2\xc3\xa9"), &order));
    assert_int_equal(order, -1);
    assert_true(value_compare(TEXT("\xa2zz"), TEXT("\xa1z"), &order));
    assert_int_equal(order, 1);
    assert_true(value_compare(TEXT("\xa0"), TEXT("\xa1\x00"), &order));
    assert_int_equal(order, -1);
    assert_true(value_compare(TEXT("\xa2zz"), TEXT("\xd9\x02zz"), &order));
    assert_int_equal(order, 0);
}

static void other_types_mixed_types_and_nan_do_not_compare(void **state)
{
    (void)state;
    static const struct flyover_bytes others[] = {TEXT("\xc0"),
                                                  TEXT("\xc3"),
                                                  TEXT("\x90"),
                                                  TEXT("\x80"),
                                                  TEXT("\xc4\x01z"),
                                                  TEXT("\xca\x7f\xc0\x00\x00"),
                                                  TEXT("\xcb\x7f\xf8\0\0\0\0\0\0")};
    int order = 9;
    for (size_t index = 0; index < sizeof others / sizeof others[0]; index++) {
        assert_false(value_compare(others[index], others[index], &order));
        assert_false(value_compare(others[index], TEXT("\x01"), &order));
        assert_false(value_compare(TEXT("\x01"), others[index], &order));
        assert_false(value_compare(TEXT("\xa1z"), others[index], &order));
    }
    assert_false(value_compare(TEXT("\xa1z"), TEXT("\x01"), &order));
    assert_false(value_compare(TEXT("\x01"), TEXT("\xa1z"), &order));
    assert_int_equal(order, 9);
    assert_true(value_compare(TEXT("\xca\x7f\x80\x00\x00"),
                              TEXT("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), &order));
    assert_int_equal(order, 1); /* infinity */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_compare_exactly),
        cmocka_unit_test(texts_compare_bytewise),
        cmocka_unit_test(other_types_mixed_types_and_nan_do_not_compare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
