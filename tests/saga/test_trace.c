#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "engine/saga/trace.h"

static const char example[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

static bool parse(const char *text, size_t count, uint8_t *ret_trace)
{
    return trace_parse((struct flyover_bytes){(const uint8_t *)text, (uint32_t)count}, ret_trace);
}

static void what_is_read_is_printed_again(void **state)
{
    (void)state;
    static const uint8_t bytes[TRACE_BYTES] = {0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84,
                                               0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c, 0xb7, 0xad,
                                               0x6b, 0x71, 0x69, 0x20, 0x33, 0x31, 0x01};
    uint8_t trace[TRACE_BYTES];
    char text[TRACE_TEXT_BYTES + 1];
    assert_true(parse(example, TRACE_TEXT_BYTES, trace));
    assert_memory_equal(trace, bytes, sizeof bytes);
    trace_print(trace, text);
    assert_string_equal(text, example);
}

static void of_a_later_version_the_same_is_read(void **state)
{
    (void)state;
    char text[sizeof example];
    uint8_t trace[TRACE_BYTES];
    strcpy(text, example);
    memcpy(text, "7f", 2);
    assert_true(parse(text, TRACE_TEXT_BYTES, trace));
    trace_print(trace, text);
    assert_string_equal(text, example);
}

static void anything_else_is_refused(void **state)
{
    (void)state;
    uint8_t trace[TRACE_BYTES] = {7};
    for (uint32_t count = 0; count < TRACE_TEXT_BYTES; count++)
        assert_false(parse(example, count, trace));
    assert_false(parse(example, TRACE_TEXT_BYTES + 1, trace));
    /* Each character in turn: a letter that is no digit, one that is a capital, none at all. */
    static const char wrong[] = {'g', 'A', '\0', ' ', '/', ':', '`'};
    for (uint32_t i = 0; i < TRACE_TEXT_BYTES; i++)
        for (size_t j = 0; j < sizeof wrong; j++) {
            char text[sizeof example];
            strcpy(text, example);
            text[i] = wrong[j];
            assert_false(parse(text, TRACE_TEXT_BYTES, trace));
        }
    static const char *const texts[] = {
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0af7651916cd43dd8448eb211c80319c0b7ad6b7169203331-01",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_false(parse(texts[i], strlen(texts[i]), trace));
    assert_int_equal(trace[0], 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_read_is_printed_again),
        cmocka_unit_test(of_a_later_version_the_same_is_read),
        cmocka_unit_test(anything_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
