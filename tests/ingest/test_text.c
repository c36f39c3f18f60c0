#include "engine/ingest/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void blanks_at_both_ends_are_trimmed(void **state)
{
    (void)state;
    assert_true(text_equal(text_trim(text_from(" \t a b\r ")), text_from("a b")));
    assert_int_equal(text_trim(text_from(" \t\r ")).bytes, 0);
    assert_int_equal(text_trim(text_from("")).bytes, 0);
}

static void letters_of_either_case_are_the_same_and_nothing_else(void **state)
{
    (void)state;
    assert_true(text_equal_any_case(text_from("InvoiceNo"), text_from("INVOICEnO")));
    assert_false(text_equal_any_case(text_from("InvoiceNo"), text_from("InvoiceN")));
    assert_false(text_equal_any_case(text_from("@"), text_from("`")));
    assert_false(text_equal(text_from("a"), text_from("A")));
}

static void utf8_without_control_characters_is_clean(void **state)
{
    (void)state;
    static const char *const clean[] = {"",           "United Kingdom", "£",
                                        "\u0800",     "\ud7ff",         "\ue000",
                                        "\U00010000", "\U0010ffff",     "\u00a0"};
    static const char *const dirty[] = {"\n",
                                        "\x1b[2J",
                                        "\x7f",
                                        "\xa3",
                                        "a\xc2",
                                        "\xc2\x9b",
                                        "\xc0\x80",
                                        "\xc1\xbf",
                                        "\xe0\x9f\xbf",
                                        "\xed\xa0\x80",
                                        "\xf0\x8f\xbf\xbf",
                                        "\xf4\x90\x80\x80",
                                        "\xf5\x80\x80\x80",
                                        "\xe2\x82",
                                        "\xc3(",
                                        "\xe2\x82(",
                                        "\xf0\x9f\x98("};
    for (size_t i = 0; i < sizeof clean / sizeof clean[0]; i++) {
        if (!text_is_clean(text_from(clean[i])))
            fail_msg("clean text %zu was found dirty", i);
    }
    for (size_t i = 0; i < sizeof dirty / sizeof dirty[0]; i++) {
        if (text_is_clean(text_from(dirty[i])))
            fail_msg("dirty text %zu was found clean", i);
    }
}

static void what_is_shown_is_clean_and_short(void **state)
{
    (void)state;
    assert_string_equal(text_show(text_from("a\x1b\xa3£")).text, "a??£");
    assert_string_equal(text_show(text_from("")).text, "");
    assert_string_equal(text_show(text_from("0123456789012345678901234567890123456789")).text,
                        "0123456789012345678901234567890123456789");
    assert_string_equal(text_show(text_from("01234567890123456789012345678901234567890")).text,
                        "0123456789012345678901234567890123456789...");
    // A character that does not fit whole is left out whole.
    assert_string_equal(text_show(text_from("012345678901234567890123456789012345678£")).text,
                        "012345678901234567890123456789012345678...");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blanks_at_both_ends_are_trimmed),
        cmocka_unit_test(letters_of_either_case_are_the_same_and_nothing_else),
        cmocka_unit_test(utf8_without_control_characters_is_clean),
        cmocka_unit_test(what_is_shown_is_clean_and_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
