#include "engine/saga/value_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/saga/json_cases.h"

#define CASES_COUNT  100000u
#define OUT_CAPACITY VALUE_FROM_TEXT_BYTES_MAX(JSON_CASE_BYTES_MAX)

static void print_bytes(const char *name, const void *bytes, size_t count)
{
    print_error("%s, %zu bytes: %.*s\n", name, count, (int)(count < 4000 ? count : 4000),
                (const char *)bytes);
}

/* ---- text in -------------------------------------------------------------------------------- */

/* True where it is taken; fails the test unless jansson and value_from_json do the same. */
static bool judge(const char *text, size_t text_bytes)
{
    static uint8_t expected[OUT_CAPACITY];
    size_t expected_bytes = 0, bytes = 0;
    bool is_expected =
        json_cases_oracle(text, text_bytes, expected, sizeof expected, &expected_bytes);
    size_t capacity = VALUE_FROM_TEXT_BYTES_MAX(text_bytes);
    uint8_t *out = malloc(capacity);
    assert_non_null(out);
    struct problem problem = {0};
    enum status status = json_cases_read_copy(text, text_bytes, out, capacity, &bytes, &problem);
    bool is_same = (status == STATUS_OK) == is_expected;
    if (is_expected && is_same)
        is_same = bytes == expected_bytes && memcmp(out, expected, bytes) == 0;
    if (!is_same) {
        print_bytes("not as jansson has it", text, text_bytes);
        print_error("%s: %s\n", status_name(status), problem.text);
        fail();
    }
    assert_true(status == STATUS_OK || status == STATUS_INVALID || status == STATUS_UNSUPPORTED);
    assert_true(status != STATUS_OK ||
                value_check((struct flyover_bytes){out, (uint32_t)bytes}, NULL));
    free(out);
    return is_expected;
}

static void assert_taken(const char *text)
{
    if (!judge(text, strlen(text)))
        fail_msg("refused: %s", text);
}

static void assert_refused(const char *text)
{
    if (judge(text, strlen(text)))
        fail_msg("taken: %s", text);
}

static void text_that_jansson_takes_becomes_the_same_bytes(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "null",
        " true ",
        "\r\n\tfalse\n",
        "0",
        "-0",
        "-0.0",
        "0.0",
        "0e5",
        "0e999999999999999999",
        "0.0e-999999999999999999",
        "1e5",
        "1E5",
        "1e+5",
        "1E-5",
        "1.5",
        "-1.5e-7",
        "31",
        "32",
        "127",
        "128",
        "255",
        "256",
        "65535",
        "65536",
        "4294967295",
        "4294967296",
        "-1",
        "-32",
        "-33",
        "-128",
        "-129",
        "-32768",
        "-32769",
        "-2147483648",
        "-2147483649",
        "9223372036854775807",
        "-9223372036854775808",
        "1e308",
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "1e-400",
        "-1e-400",
        "5e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "2.2250738585072011e-308",
        "9007199254740993.0",
        "9007199254740992e1",
        "9007199254740992e22",
        "9007199254740993e22",
        "1e22",
        "1e23",
        "1e-22",
        "1e-23",
        "123456789012345678901234567890.5",
        "0.1e1",
        "10000000000000000000.0",
        "0.000000000000000000000000000000000000000000001e45",
        "\"\"",
        "\"a\"",
        "\"\\u0001\"",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
        "\"\\u00e9\\u20AC\"",
        "\"\\ud83d\\ude00\"",
        "\"\\uD83D\\uDE00\"",
        "\"\\uffff\"",
        "\"\x7f\"",
        "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
        "\"\xf4\x8f\xbf\xbf\"",
        "\"\xed\x9f\xbf\"",
        "[]",
        "{}",
        "[ ]",
        "{ }",
        "[[],{}]",
        "[1,2]",
        "[ 1 , 2 ]",
        "{\"\":1}",
        "{\"\":{\"\":[]}}",
        "{\"a\":1,\"b\":2}",
        "{\"b\":1,\"a\":{\"a\":1,\"b\":2}}",
        "{ \"a\" : 1 , \"b\" : [ ] }",
        "{\"\\u0061\":1,\"b\":2}",
        "[{\"a\":1},{\"a\":1}]",
        "{\"aaaaaaaabaaaaaaaa\":1,\"aaaaaaaacaaaaaaaa\":2}",
    };
    for (size_t index = 0; index < sizeof texts / sizeof texts[0]; index++)
        assert_taken(texts[index]);
}

static void text_that_jansson_refuses_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        "nul",
        "nulll",
        "True",
        "truefalse",
        "true false",
        "NaN",
        "Infinity",
        "-",
        "+1",
        "--1",
        "-a",
        "01",
        "-01",
        "00",
        "1.",
        "1.e5",
        ".5",
        "1e",
        "1e+",
        "1e-",
        "1.5e",
        "1a",
        "0x10",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "100000000000000000000",
        "1E400",
        "-1e309",
        "1.7976931348623159e308",
        "\"",
        "\"a",
        "\"\\",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u\"",
        "\"\\u12\"",
        "\"\\u123",
        "\"\\u12g4\"",
        "\"\\u0000\"",
        "\"a\\u0000b\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\\ud800\\ud800\"",
        "\"\\ud800\\n12345\"",
        "\"\\ud83d\\ude0",
        "\"\x01\"",
        "\"\n\"",
        "\"\t\"",
        "\"\x1f\"",
        "\"\xff\"",
        "\"\x80\"",
        "\"\xc0\x80\"",
        "\"\xc3\"",
        "\"\xe2\x82\"",
        "\"\xed\xa0\x80\"",
        "\"\xf4\x90\x80\x80\"",
        "\"\xc3",
        "\xef\xbb\xbf{}",
        "\xc3\xa9",
        "'a'",
        "[",
        "]",
        "{",
        "}",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1}",
        "{]",
        "{1:2}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\":1",
        "{\"a\":1]",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "{,}",
        "{a:1}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"b\":1,\"\\u0061\":2}",
        "{\"\":1,\"\":1}",
        "{\"o\":{\"a\":1,\"b\":2,\"a\":3}}",
        "{\"\\u0000\":1}",
        "[] []",
        "{} x",
        "1,",
        "//c\n1",
        "[1]]",
    };
    for (size_t index = 0; index < sizeof texts / sizeof texts[0]; index++)
        assert_refused(texts[index]);
    assert_false(judge("1\0", 2));
    assert_false(judge("\0", 1));
    assert_false(judge("\"\0\"", 3));
}

/* Lengths at which a head grows, with and without an escape at the start or the end. */
static void strings_of_all_lengths_get_the_smallest_head(void **state)
{
    (void)state;
    static const size_t lengths[] = {15, 16, 17, 30, 31, 32, 33, 254, 255, 256, 257};
    static const char *const marks[] = {"", "\\n", "\xc3\xa9", "\\u00e9", "\\ud83d\\ude00"};
    char text[600];
    for (size_t index = 0; index < sizeof lengths / sizeof lengths[0]; index++)
        for (size_t mark = 0; mark < 5; mark++)
            for (int where = 0; where < 3; where++) {
                char body[300];
                memset(body, 'x', sizeof body);
                int count = (int)lengths[index], before = where * count / 2;
                snprintf(text, sizeof text, "\"%.*s%s%.*s\"", before, body, marks[mark],
                         count - before, body);
                assert_taken(text);
            }
}

/* `open`, then `count` times `item` with its number where it has %u, then `close`. */
static char *repeat(const char *open, const char *item, uint32_t count, const char *close)
{
    char *text = malloc(16 + (size_t)count * 32);
    assert_non_null(text);
    char *at = stpcpy(text, open);
    for (uint32_t index = 0; index < count; index++) {
        char made[32];
        snprintf(made, sizeof made, item, index);
        at = stpcpy(stpcpy(at, index > 0 ? "," : ""), made);
    }
    strcpy(at, close);
    return text;
}

static bool judge_large(const char *text)
{
    size_t text_bytes = strlen(text), bytes = 0, expected_bytes = 0;
    size_t capacity = VALUE_FROM_TEXT_BYTES_MAX(text_bytes);
    uint8_t *out = malloc(capacity), *expected = malloc(capacity);
    assert_true(out != NULL && expected != NULL);
    bool is_expected = json_cases_oracle(text, text_bytes, expected, capacity, &expected_bytes);
    enum status status = json_cases_read_copy(text, text_bytes, out, capacity, &bytes, NULL);
    assert_int_equal(status == STATUS_OK, is_expected);
    assert_int_equal(bytes, expected_bytes);
    assert_memory_equal(out, expected, bytes);
    free(out);
    free(expected);
    return is_expected;
}

static void assert_large(char *text, bool is_taken)
{
    assert_int_equal(judge_large(text), is_taken);
    free(text);
}

/* The middle between two doubles, and what is just above it by a digit far behind. */
static void numbers_of_any_length_are_rounded_right(void **state)
{
    (void)state;
    static const uint32_t zeros[] = {1, 3, 5, 700, 752, 753, 754, 755, 760, 800, 2000};
    char middle[2100], text[2200];
    memset(middle, '0', sizeof middle);
    for (size_t index = 0; index < sizeof zeros / sizeof zeros[0]; index++) {
        int count = (int)zeros[index];
        snprintf(text, sizeof text, "9007199254740993.%.*s", count, middle);
        assert_taken(text);
        snprintf(text, sizeof text, "9007199254740993.%.*s1", count, middle);
        assert_taken(text);
        snprintf(text, sizeof text, "-9007199254740993%.*s1e-%d", count, middle, count + 1);
        assert_taken(text);
        snprintf(text, sizeof text, "0.%.*s9007199254740993e%d", count, middle, count + 16);
        assert_taken(text);
        snprintf(text, sizeof text, "1%.*se-%d", count, middle, count);
        assert_taken(text);
    }
    snprintf(text, sizeof text, "1%.*s.0", 308, middle);
    assert_taken(text);
    snprintf(text, sizeof text, "1%.*s.0", 309, middle);
    assert_refused(text);
}

static void containers_of_all_sizes_get_the_smallest_head(void **state)
{
    (void)state;
    static const uint32_t counts[] = {1, 14, 15, 16, 17, 24, 25, 127, 128, 129, 300, 65535, 65536};
    for (size_t index = 0; index < sizeof counts / sizeof counts[0]; index++) {
        assert_large(repeat("[", "1.5", counts[index], "]"), true);
        assert_large(repeat("{", "\"%u\":[]", counts[index], "}"), true);
        assert_large(repeat("[", "{\"a\":%u,\"b\":[{}]}", counts[index], "]"), true);
    }
    char *text = repeat("\"", "xxxxxxxxxxxxxxxxxxxxx\\n", 3000, "\"");
    assert_large(text, true);
}

static void keys_that_are_there_twice_are_found_in_objects_of_any_size(void **state)
{
    (void)state;
    static const uint32_t counts[] = {1, 2, 23, 24, 25, 127, 128, 129, 40000};
    for (size_t index = 0; index < sizeof counts / sizeof counts[0]; index++) {
        char first[32], last[32];
        snprintf(first, sizeof first, ",\"k0\":0}");
        snprintf(last, sizeof last, ",\"k%u\":0}", counts[index] - 1);
        assert_large(repeat("{", "\"k%u\":0", counts[index], ",\"k\":0}"), true);
        assert_large(repeat("{", "\"k%u\":0", counts[index], first), false);
        assert_large(repeat("{", "\"k%u\":0", counts[index], last), false);
        /* Same ends, same length: all the same to the hash. */
        assert_large(repeat("{", "\"aaaaaaaa%05uaaaaaaaa\":0", counts[index], "}"), true);
    }
    assert_large(repeat("{\"k5\":{", "\"k%u\":0", 200, "},\"k6\":{\"k5\":1}}"), true);
    assert_large(repeat("{\"k5\":{", "\"k%u\":0", 200, "},\"k5\":{\"k6\":1}}"), false);
}

static void nesting_is_taken_up_to_the_limit(void **state)
{
    (void)state;
    char text[8 * FLYOVER_DEPTH_MAX], *at = text;
    uint8_t out[256];
    size_t bytes;
    struct problem problem;
    for (uint32_t depth = 0; depth < FLYOVER_DEPTH_MAX; depth++)
        at = stpcpy(at, depth % 2 == 0 ? "[" : "{\"a\":");
    char *middle = at;
    for (uint32_t depth = FLYOVER_DEPTH_MAX; depth > 0; depth--)
        at = stpcpy(at, depth % 2 == 0 ? "}" : "]");
    memmove(middle + 1, middle, strlen(middle) + 1);
    *middle = '1';
    assert_taken(text);
    memmove(middle + 2, middle + 1, strlen(middle + 1) + 1);
    memcpy(middle, "[]", 2);
    assert_refused(text);
    enum status status = value_from_text(text, strlen(text), out, sizeof out, &bytes, &problem);
    assert_int_equal(status, STATUS_UNSUPPORTED);
    assert_string_equal(problem.text, "nested more than 32 deep (line 1, column 97)");
}

static void a_refusal_says_what_is_wrong_and_where(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *sentence;
    } cases[] = {
        {"{\"a\": x}", "invalid token (line 1, column 7)"},
        {"[1,\n  tru]", "invalid token (line 2, column 3)"},
        {"\"\xc3\xa9\xc3\xa9\"x", "the end expected after the value (line 1, column 5)"},
        {"", "a value expected, found the end (line 1, column 1)"},
        {"[1,\n", "a value expected, found the end (line 2, column 1)"},
        {"[1 2]", "',' or ']' expected (line 1, column 4)"},
        {"{\"a\":1]", "',' or '}' expected (line 1, column 7)"},
        {"{\"a\"=1}", "':' expected (line 1, column 5)"},
        {"{a:1}", "a key in quotes expected (line 1, column 2)"},
        {"[\"abc", "a string without its end (line 1, column 6)"},
        {"\"abc\\", "a string without its end (line 1, column 6)"},
        {"\"a\nb\"", "a control character in a string (line 1, column 3)"},
        {"\"a\\xb\"", "an escape that JSON does not have (line 1, column 3)"},
        {"\"\\u12x4\"", "four hexadecimal digits expected after \\u (line 1, column 2)"},
        {"\"\\u0000\"", "\\u0000 is not supported (line 1, column 2)"},
        {"\"\\ud800 \"", "half of a surrogate pair (line 1, column 2)"},
        {"\"a\xff\"", "bytes that are not UTF-8 (line 1, column 3)"},
        {"[-]", "a digit expected (line 1, column 3)"},
        {"[1.]", "a digit expected (line 1, column 4)"},
        {"[1.5e]", "a digit expected (line 1, column 6)"},
        {"[01]", "a number with a leading zero (line 1, column 2)"},
        {"[9223372036854775808]", "an integer beyond 64 bits (line 1, column 2)"},
        {"[1e999]", "a number beyond what a double holds (line 1, column 2)"},
        {"{\"a\":1,\"a\":2}",
         "the end of an object that has a key twice, \"a\" (line 1, column 13)"},
    };
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        uint8_t out[64];
        size_t bytes = 77;
        struct problem problem = {0};
        enum status status = json_cases_read_copy(cases[index].text, strlen(cases[index].text), out,
                                                  sizeof out, &bytes, &problem);
        assert_int_equal(status, STATUS_INVALID);
        assert_int_equal(problem.status, STATUS_INVALID);
        assert_string_equal(problem.text, cases[index].sentence);
        assert_int_equal(bytes, 77);
    }
}

/* Each capacity is a block of its own, with nothing behind it but what must not change. */
static void judge_capacities(const char *text, size_t text_bytes)
{
    static uint8_t expected[OUT_CAPACITY];
    size_t needed = 0, bytes = 0;
    assert_true(json_cases_oracle(text, text_bytes, expected, sizeof expected, &needed));
    for (size_t capacity = 0; capacity <= needed + 20; capacity++) {
        uint8_t *out = malloc(capacity + 1);
        assert_non_null(out);
        out[capacity] = 0xa5;
        struct problem problem;
        enum status status =
            json_cases_read_copy(text, text_bytes, out, capacity, &bytes, &problem);
        assert_int_equal(status, capacity < needed ? STATUS_TOO_LARGE : STATUS_OK);
        assert_int_equal(out[capacity], 0xa5);
        if (status == STATUS_OK)
            assert_memory_equal(out, expected, needed);
        free(out);
    }
}

static void what_does_not_fit_is_refused_at_every_capacity(void **state)
{
    (void)state;
    static const char text[] =
        "{\"id\": 123456789012, \"name\": \"a name that has more than thirty-one bytes in it\", "
        "\"list\": [1, 2.5, -3, 400, 70000, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, null], "
        "\"escaped \\\"key\\\"\": \"more than thirty-one bytes after an \\n escape \\u20ac\", "
        "\"\xc3\xa9\xe2\x82\xac\": [true, false, {}, [], \"\", \"\xf0\x9f\x98\x80\"]}";
    static const char grown[] = "\"\\nthe head of this one grows at its end\"";
    judge_capacities(text, sizeof text - 1);
    judge_capacities(grown, sizeof grown - 1);
    uint8_t out[1];
    size_t bytes;
    struct problem problem;
    enum status status = value_from_text("[1]", 3, out, 1, &bytes, &problem);
    assert_int_equal(status, STATUS_TOO_LARGE);
    assert_string_equal(problem.text, "it takes more than 1 bytes as msgpack");
}

static void drawn_text_is_taken_and_refused_as_jansson_does(void **state)
{
    (void)state;
    struct json_cases *cases = calloc(1, sizeof *cases);
    assert_non_null(cases);
    cases->state = 1;
    uint32_t taken = 0;
    for (uint32_t case_no = 0; case_no < CASES_COUNT; case_no++) {
        json_cases_draw_text(cases);
        taken += judge(cases->text, cases->bytes);
    }
    assert_in_range(taken, CASES_COUNT / 2, CASES_COUNT - 100); /* both are seen */
    free(cases);
}

static void drawn_text_with_faults_is_taken_and_refused_as_jansson_does(void **state)
{
    (void)state;
    struct json_cases *cases = calloc(1, sizeof *cases);
    assert_non_null(cases);
    cases->state = 2;
    uint32_t taken = 0;
    for (uint32_t case_no = 0; case_no < CASES_COUNT; case_no++) {
        json_cases_draw_text(cases);
        json_cases_spoil(cases);
        taken += judge(cases->text, cases->bytes);
    }
    assert_in_range(taken, CASES_COUNT / 10, CASES_COUNT - CASES_COUNT / 10);
    free(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_that_jansson_takes_becomes_the_same_bytes),
        cmocka_unit_test(text_that_jansson_refuses_is_refused),
        cmocka_unit_test(strings_of_all_lengths_get_the_smallest_head),
        cmocka_unit_test(numbers_of_any_length_are_rounded_right),
        cmocka_unit_test(containers_of_all_sizes_get_the_smallest_head),
        cmocka_unit_test(keys_that_are_there_twice_are_found_in_objects_of_any_size),
        cmocka_unit_test(nesting_is_taken_up_to_the_limit),
        cmocka_unit_test(a_refusal_says_what_is_wrong_and_where),
        cmocka_unit_test(what_does_not_fit_is_refused_at_every_capacity),
        cmocka_unit_test(drawn_text_is_taken_and_refused_as_jansson_does),
        cmocka_unit_test(drawn_text_with_faults_is_taken_and_refused_as_jansson_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
