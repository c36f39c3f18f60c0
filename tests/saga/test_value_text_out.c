#include "engine/saga/value_text.h"

#include <endian.h>
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/base/msgpack_oracle.h"
#include "tests/saga/json_cases.h"

#define CASES_COUNT  100000u
#define OUT_CAPACITY VALUE_FROM_TEXT_BYTES_MAX(JSON_CASE_BYTES_MAX)

static void assert_writes_bytes(struct flyover_bytes value, const char *expected)
{
    size_t needed = strlen(expected);
    for (size_t capacity = 0; capacity <= needed + 20; capacity++) {
        char *out = malloc(capacity + 1);
        assert_non_null(out);
        out[capacity] = '#';
        size_t count = value_to_text(value, out, capacity);
        assert_int_equal(count, capacity < needed ? 0 : needed);
        assert_memory_equal(out, expected, count);
        assert_int_equal(out[capacity], '#');
        free(out);
    }
}

#define assert_writes(literal, expected)                                                           \
    assert_writes_bytes((struct flyover_bytes){(const uint8_t *)(literal), sizeof(literal) - 1},   \
                        expected)

static void values_are_written_compactly_at_any_capacity_that_fits(void **state)
{
    (void)state;
    assert_writes("\xc0", "null");
    assert_writes("\xc2", "false");
    assert_writes("\xc3", "true");
    assert_writes("\x90", "[]");
    assert_writes("\x80", "{}");
    assert_writes("\x92\x90\x80", "[[],{}]");
    assert_writes("\x93\x01\x91\x02\x03", "[1,[2],3]");
    assert_writes("\x82\xa1"
                  "a\x01\xa1"
                  "b\x92\x80\x81\xa0\xc0",
                  "{\"a\":1,\"b\":[{},{\"\":null}]}");
    assert_writes("\x82\xa1"
                  "a\x01\xa1"
                  "a\x02",
                  "{\"a\":1,\"a\":2}");
    assert_writes("\xdd\x00\x00\x00\x01\xdf\x00\x00\x00\x01\xd9\x01kc", "[{\"k\":99}]");
}

static void integers_of_every_form_are_written(void **state)
{
    (void)state;
    assert_writes("\x00", "0");
    assert_writes("\x7f", "127");
    assert_writes("\xff", "-1");
    assert_writes("\xe0", "-32");
    assert_writes("\xcc\xff", "255");
    assert_writes("\xcd\xff\xff", "65535");
    assert_writes("\xce\xff\xff\xff\xff", "4294967295");
    assert_writes("\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "18446744073709551615");
    assert_writes("\xd0\x80", "-128");
    assert_writes("\xd1\x80\x00", "-32768");
    assert_writes("\xd2\x80\x00\x00\x00", "-2147483648");
    assert_writes("\xd3\x80\x00\x00\x00\x00\x00\x00\x00", "-9223372036854775808");
    assert_writes("\xd3\x00\x00\x00\x00\x00\x00\x00\x05", "5");
}

static void strings_are_escaped_as_jansson_does(void **state)
{
    (void)state;
    assert_writes("\xa7\"\\\b\f\n\r\t", "\"\\\"\\\\\\b\\f\\n\\r\\t\"");
    assert_writes("\xa5\x01\x1f/\x7f\x00", "\"\\u0001\\u001F/\x7f\\u0000\"");
    assert_writes("\xa9\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
                  "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
    assert_writes("\xd9\x21"
                  "0123456789abcdef\n0123456789abcde\"",
                  "\"0123456789abcdef\\n0123456789abcde\\\"\"");
    char text[16];
    assert_int_equal(value_string_to_text("a\"b", 3, text, sizeof text), 6);
    assert_memory_equal(text, "\"a\\\"b\"", 6);
    assert_int_equal(value_string_to_text("a\"b", 3, text, 5), 0);
    assert_int_equal(value_string_to_text(NULL, 0, text, 2), 2);
    assert_memory_equal(text, "\"\"", 2);
}

static void bin_is_written_as_base64(void **state)
{
    (void)state;
    assert_writes("\xc4\x00", "\"\"");
    assert_writes("\xc4\x01\xff", "\"/w==\"");
    assert_writes("\xc4\x02\xfb\xef", "\"++8=\"");
    assert_writes("\xc4\x03\x00\x10\x83", "\"ABCD\"");
    assert_writes("\xc4\x04\x00\x10\x83\x61", "\"ABCDYQ==\"");
}

static void assert_real(double value, const char *expected)
{
    uint8_t bytes[9] = {0xcb};
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits = htobe64(bits);
    memcpy(bytes + 1, &bits, sizeof bits);
    assert_writes_bytes((struct flyover_bytes){bytes, sizeof bytes}, expected);
}

static void reals_are_written_in_as_few_digits_as_are_read_as_the_same(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {1, "1.0"},
        {-1, "-1.0"},
        {0.1, "0.1"},
        {-0.05, "-0.05"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.0 / 3, "0.3333333333333333"},
        {100.25, "100.25"},
        {0.000001, "0.000001"},
        {0.0000015, "1.5e-6"},
        {1e-7, "1e-7"},
        {-1.25e-10, "-1.25e-10"},
        {0.00012345678, "0.00012345678"},
        {1e15, "1000000000000000.0"},
        {9007199254740991, "9007199254740991.0"},
        {9007199254740992, "9007199254740992.0"},
        {1e16, "1e16"},
        {1e20, "1e20"},
        {1e100, "1e100"},
        {1.5e300, "1.5e300"},
        {12345678901234567.0, "12345678901234568.0"},
        {1.7976931348623157e308, "1.7976931348623157e308"},
        {5e-324, "4.94065645841247e-324"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {123456.789012345, "123456.789012345"},
        {NAN, "null"},
        {INFINITY, "null"},
        {-INFINITY, "null"},
    };
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++)
        assert_real(cases[index].value, cases[index].text);
    assert_writes("\xca\x3f\xc0\x00\x00", "1.5");
    assert_writes("\xca\x3d\xcc\xcc\xcd", "0.10000000149011612");
    assert_writes("\xca\x7f\x80\x00\x00", "null");
}

/* The longest that there is: 33 levels, from value_make_undo. */
static void what_a_compensation_gets_is_written_though_it_is_one_deeper(void **state)
{
    (void)state;
    uint8_t deep[FLYOVER_DEPTH_MAX + 1], undo[128];
    memset(deep, 0x91, FLYOVER_DEPTH_MAX);
    deep[FLYOVER_DEPTH_MAX - 1] = 0x90;
    struct flyover_bytes value = {deep, FLYOVER_DEPTH_MAX};
    size_t bytes = value_make_undo(value, value, undo, sizeof undo);
    char text[256];
    size_t count = value_to_text((struct flyover_bytes){undo, (uint32_t)bytes}, text, sizeof text);
    assert_int_equal(count, 4 * FLYOVER_DEPTH_MAX + strlen("{\"input\":,\"output\":}"));
}

/* Nothing that text does not keep: bin, NaN, float of 32 bits, integers beyond int64_t, longer
 * heads than needed. Drawn as text, therefore. */
static void drawn_values_are_the_same_after_text_and_back(void **state)
{
    (void)state;
    static uint8_t first[OUT_CAPACITY], second[OUT_CAPACITY];
    static char text[4 * JSON_CASE_BYTES_MAX];
    struct json_cases *cases = calloc(1, sizeof *cases);
    assert_non_null(cases);
    cases->state = 3;
    for (uint32_t case_no = 0; case_no < CASES_COUNT; case_no++) {
        size_t first_bytes, second_bytes;
        json_cases_draw_text(cases);
        if (!json_cases_oracle(cases->text, cases->bytes, first, sizeof first, &first_bytes))
            continue;
        struct flyover_bytes value = {first, (uint32_t)first_bytes};
        size_t count = value_to_text(value, text, sizeof text);
        assert_true(count > 0);
        enum status status =
            json_cases_read_copy(text, count, second, sizeof second, &second_bytes, NULL);
        assert_int_equal(status, STATUS_OK);
        assert_int_equal(second_bytes, first_bytes);
        assert_memory_equal(second, first, first_bytes);
    }
    free(cases);
}

/* What msgpack has and JSON has not is drawn too: whether it is JSON, jansson says. */
static void drawn_msgpack_is_written_as_json_that_jansson_reads(void **state)
{
    (void)state;
    struct cases cases = {.state = 4};
    msgpack_sbuffer bytes;
    msgpack_sbuffer_init(&bytes);
    for (uint32_t case_no = 0; case_no < CASES_COUNT / 4; case_no++) {
        bytes.size = 0;
        cases_draw_value(&cases, &bytes);
        struct flyover_bytes value = {(const uint8_t *)bytes.data, (uint32_t)bytes.size};
        if (!value_check(value, NULL))
            continue;
        size_t capacity = 64 + bytes.size * 8;
        char *text = malloc(capacity);
        assert_non_null(text);
        size_t count = value_to_text(value, text, capacity);
        assert_true(count > 0);
        /* Integers over int64_t and a zero in a key are JSON, but not for jansson. */
        json_error_t error;
        json_t *json = json_loadb(
            text, count, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
        if (json == NULL && json_error_code(&error) != json_error_null_byte_in_key)
            fail_msg("%s: %.*s", error.text, (int)count, text);
        json_decref(json);
        free(text);
    }
    msgpack_sbuffer_destroy(&bytes);
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* The doubles around numbers of few digits, where the quick ways could be one off. */
static void reals_near_short_ones_are_the_same_after_text_and_back(void **state)
{
    (void)state;
    struct json_cases *cases = calloc(1, sizeof *cases);
    assert_non_null(cases);
    for (uint32_t case_no = 0; case_no < CASES_COUNT; case_no++) {
        char source[64], text[64];
        snprintf(source, sizeof source, "%ue-%u",
                 (unsigned)json_cases_draw(cases, UINT64_C(1) << json_cases_draw(cases, 32)),
                 (unsigned)json_cases_draw(cases, 12));
        uint64_t bits = bits_of(strtod(source, NULL)) + json_cases_draw(cases, 3);
        double real;
        memcpy(&real, &bits, sizeof bits);
        uint8_t value[9] = {0xcb}, back[16];
        bits = htobe64(bits);
        memcpy(value + 1, &bits, sizeof bits);
        size_t count = value_to_text((struct flyover_bytes){value, 9}, text, sizeof text - 1);
        assert_true(count > 0);
        text[count] = '\0';
        assert_true(bits_of(strtod(text, NULL)) == bits_of(real));
        size_t bytes;
        assert_int_equal(json_cases_read_copy(text, count, back, sizeof back, &bytes, NULL),
                         STATUS_OK);
        assert_memory_equal(back, value, sizeof value);
    }
    free(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_written_compactly_at_any_capacity_that_fits),
        cmocka_unit_test(integers_of_every_form_are_written),
        cmocka_unit_test(strings_are_escaped_as_jansson_does),
        cmocka_unit_test(bin_is_written_as_base64),
        cmocka_unit_test(reals_are_written_in_as_few_digits_as_are_read_as_the_same),
        cmocka_unit_test(what_a_compensation_gets_is_written_though_it_is_one_deeper),
        cmocka_unit_test(drawn_values_are_the_same_after_text_and_back),
        cmocka_unit_test(drawn_msgpack_is_written_as_json_that_jansson_reads),
        cmocka_unit_test(reals_near_short_ones_are_the_same_after_text_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
