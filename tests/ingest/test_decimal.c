#include "engine/ingest/decimal.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void expect_decimal(const char *text, int64_t coefficient, int64_t exponent)
{
    struct decimal decimal = {0};
    if (decimal_parse(text_from(text), &decimal) != STATUS_OK)
        fail_msg("%s was refused", text);
    if (decimal.coefficient != coefficient || decimal.exponent != exponent)
        fail_msg("%s became %" PRId64 "e%" PRId64, text, decimal.coefficient, decimal.exponent);
}

static void numbers_are_read_exactly(void **state)
{
    (void)state;
    expect_decimal("4.8533", 48533, -4);
    expect_decimal("-10", -1, 1);
    expect_decimal("+7", 7, 0);
    expect_decimal("6.0", 6, 0);
    expect_decimal("006.500", 65, -1);
    expect_decimal("0.05", 5, -2);
    expect_decimal(".5", 5, -1);
    expect_decimal("5.", 5, 0);
    expect_decimal("100", 1, 2);
    expect_decimal("10203", 10203, 0);
    expect_decimal("1e3", 1, 3);
    expect_decimal("8.5E-05", 85, -6);
    expect_decimal("2.50e+1", 25, 0);
    expect_decimal("0", 0, 0);
    expect_decimal("-0.000", 0, 0);
    expect_decimal("0e9999", 0, 0);
    expect_decimal("999999999999999999", 999999999999999999, 0);
    expect_decimal("0.999999999999999999", 999999999999999999, -18);
    expect_decimal("1000000000000000000000000000000", 1, 30);
    expect_decimal("0.0000000000000000000000000000001", 1, -31);
}

static void what_is_not_a_number_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",    "-",     "+",   ".",     "-.",    "e3", "1e",
                                        "1e+", "1e3x",  "1x",  "2,55",  "1 0",   " 1", "1 ",
                                        "--1", "1.2.3", "inf", "nan",   "0x10",  "£2", "1e1.5",
                                        "1-",  "1e--2", "(3)", "1_000", "\"1\"", "1e-"};
    struct decimal decimal = {42, 42};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (decimal_parse(text_from(texts[i]), &decimal) != STATUS_INVALID)
            fail_msg("\"%s\" was read", texts[i]);
    }
    assert_int_equal(decimal.coefficient, 42);
    assert_int_equal(decimal.exponent, 42);
}

static void more_digits_than_the_limit_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"1234567890123456789",
                                        "0.1234567890123456789",
                                        "1000000000000000001",
                                        "1e10000",
                                        "1e-10000",
                                        "1e99999999999999999999999999"};
    struct decimal decimal;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (decimal_parse(text_from(texts[i]), &decimal) != STATUS_TOO_LARGE)
            fail_msg("\"%s\" was not too large", texts[i]);
    }
    // What is no number is that first, however long it is.
    assert_int_equal(decimal_parse(text_from("1234567890123456789x"), &decimal), STATUS_INVALID);
}

static void expect_whole(const char *text, enum status expected, int64_t expected_whole)
{
    struct decimal decimal;
    int64_t whole = -42;
    assert_int_equal(decimal_parse(text_from(text), &decimal), STATUS_OK);
    assert_int_equal(decimal_to_whole(decimal, &whole), expected);
    assert_int_equal(whole, expected == STATUS_OK ? expected_whole : -42);
}

static void whole_numbers_are_told_from_fractions(void **state)
{
    (void)state;
    expect_whole("6.0", STATUS_OK, 6);
    expect_whole("-10", STATUS_OK, -10);
    expect_whole("1.5e1", STATUS_OK, 15);
    expect_whole("0.0", STATUS_OK, 0);
    expect_whole("9e18", STATUS_OK, 9000000000000000000);
    expect_whole("-9e18", STATUS_OK, -9000000000000000000);
    expect_whole("1.5", STATUS_INVALID, 0);
    expect_whole("1e-9999", STATUS_INVALID, 0);
    expect_whole("1e19", STATUS_TOO_LARGE, 0);
    expect_whole("1e9999", STATUS_TOO_LARGE, 0);
}

static void expect_pence(const char *price, int64_t quantity, enum status expected,
                         int64_t expected_pence)
{
    struct decimal decimal;
    int64_t pence = -42;
    assert_int_equal(decimal_parse(text_from(price), &decimal), STATUS_OK);
    enum status status = decimal_multiply(decimal, quantity, 2, &pence);
    if (status != expected || pence != (expected == STATUS_OK ? expected_pence : -42))
        fail_msg("%s x %" PRId64 " is %s, %" PRId64, price, quantity, status_name(status), pence);
}

static void products_are_rounded_half_away_from_zero(void **state)
{
    (void)state;
    expect_pence("2.55", 6, STATUS_OK, 1530);
    expect_pence("4.8533", 83, STATUS_OK, 40282); // 402.8239
    expect_pence("0.005", 1, STATUS_OK, 1);
    expect_pence("-0.005", 1, STATUS_OK, -1);
    expect_pence("0.005", -1, STATUS_OK, -1);
    expect_pence("0.005", 3, STATUS_OK, 2);
    expect_pence("0.0049999999999", 1, STATUS_OK, 0);
    expect_pence("1.005", 1, STATUS_OK, 101); // 100 as a double
    expect_pence("2.675", 1, STATUS_OK, 268); // 267 as a double
    expect_pence("0.015", -1, STATUS_OK, -2);
    expect_pence("1e-9999", 1000000000, STATUS_OK, 0);
    expect_pence("1e-39", INT64_MAX, STATUS_OK, 0);
    expect_pence("7e-38", INT64_MIN, STATUS_OK, 0);
    expect_pence("0", INT64_MIN, STATUS_OK, 0);
}

static void products_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    expect_pence("999999999999999999", INT64_MAX, STATUS_TOO_LARGE, 0);
    expect_pence("999999999999999999", INT64_MIN, STATUS_TOO_LARGE, 0);
    // 7 x 1317624576693539401 is the largest whole number of 64 bits.
    expect_pence("0.07", 1317624576693539401, STATUS_OK, INT64_MAX);
    expect_pence("0.07", -1317624576693539401, STATUS_OK, -INT64_MAX);
    expect_pence("0.07", 1317624576693539402, STATUS_TOO_LARGE, 0);
    expect_pence("0.7", 1317624576693539401, STATUS_TOO_LARGE, 0);
    expect_pence("1e9999", 1, STATUS_TOO_LARGE, 0);
    expect_pence("0.999999999999999999", INT64_MIN, STATUS_TOO_LARGE, 0);
    // The largest divisor that still leaves something: 9.99…e17 x 2^63 / 10^37 rounds to 1.
    expect_pence("999999999999999999e-39", INT64_MAX, STATUS_OK, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read_exactly),
        cmocka_unit_test(what_is_not_a_number_is_refused),
        cmocka_unit_test(more_digits_than_the_limit_are_refused),
        cmocka_unit_test(whole_numbers_are_told_from_fractions),
        cmocka_unit_test(products_are_rounded_half_away_from_zero),
        cmocka_unit_test(products_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
