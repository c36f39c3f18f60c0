#include "tests/saga/json_cases.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/saga/value_json.h"
#include "engine/saga/value_text.h"

uint64_t json_cases_draw(struct json_cases *cases, uint64_t below)
{
    cases->state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
    uint64_t mixed = cases->state;
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return (mixed ^ mixed >> 31) % below;
}

static void add(struct json_cases *cases, const char *text)
{
    size_t count = strlen(text);
    if (count > sizeof cases->text - cases->bytes)
        abort(); /* what is drawn is smaller */
    memcpy(cases->text + cases->bytes, text, count);
    cases->bytes += count;
}

static bool one_in(struct json_cases *cases, uint64_t many)
{
    return json_cases_draw(cases, many) == 0;
}

static void draw_blanks(struct json_cases *cases)
{
    static const char *const blanks[] = {" ", "\n", "\t", "\r", "  ", " \n "};
    if (one_in(cases, 8))
        add(cases, blanks[json_cases_draw(cases, 6)]);
}

/* ---- numbers -------------------------------------------------------------------------------- */

static void draw_digits(struct json_cases *cases, uint64_t count_max)
{
    char digit[2] = {0};
    for (uint64_t left = 1 + json_cases_draw(cases, count_max); left > 0; left--) {
        digit[0] = (char)('0' + json_cases_draw(cases, 10));
        add(cases, digit);
    }
}

static void draw_whole(struct json_cases *cases)
{
    static const char *const edges[] = {
        "0",
        "31",
        "32",
        "33",
        "127",
        "128",
        "129",
        "255",
        "256",
        "32767",
        "32768",
        "32769",
        "65535",
        "65536",
        "2147483647",
        "2147483648",
        "2147483649",
        "4294967295",
        "4294967296",
        "9223372036854775807",
        "9223372036854775808",
        "9223372036854775809",
        "18446744073709551615",
        "18446744073709551616",
    };
    if (one_in(cases, 3)) {
        add(cases, edges[json_cases_draw(cases, sizeof edges / sizeof edges[0])]);
        return;
    }
    char first[2] = {(char)('1' + json_cases_draw(cases, 9))};
    add(cases, first);
    if (!one_in(cases, 4))
        draw_digits(cases, one_in(cases, 50) ? 900 : one_in(cases, 6) ? 20 : 6);
}

static void draw_number(struct json_cases *cases)
{
    char exponent[16];
    if (one_in(cases, 3))
        add(cases, "-");
    draw_whole(cases);
    if (one_in(cases, 2)) {
        add(cases, ".");
        draw_digits(cases, one_in(cases, 50) ? 900 : one_in(cases, 4) ? 20 : 4);
    }
    if (one_in(cases, 4)) {
        add(cases, one_in(cases, 2) ? "e" : "E");
        if (one_in(cases, 2))
            add(cases, one_in(cases, 2) ? "-" : "+");
        int size = one_in(cases, 3) ? 400 : 30;
        snprintf(exponent, sizeof exponent, "%u", (unsigned)json_cases_draw(cases, (uint64_t)size));
        add(cases, exponent);
    }
}

/* A double whose bits are drawn, in as many digits as tell it, or one digit too few. */
static void draw_double(struct json_cases *cases)
{
    char text[64];
    uint64_t bits = json_cases_draw(cases, UINT64_MAX);
    double value;
    memcpy(&value, &bits, sizeof value);
    snprintf(text, sizeof text, "%.*e", (int)(14 + json_cases_draw(cases, 4)), value);
    add(cases, strpbrk(text, "ni") == NULL ? text : "0.5");
}

/* ---- strings -------------------------------------------------------------------------------- */

static void draw_character(struct json_cases *cases)
{
    static const char *const odd[] = {
        "\\\"",
        "\\\\",
        "\\/",
        "\\b",
        "\\f",
        "\\n",
        "\\r",
        "\\t",
        "\\u0041",
        "\\u00e9",
        "\\u20AC",
        "\\ud83d\\ude00",
        "\\uFFFF",
        "\xc3\xa9",
        "\xe2\x82\xac",
        "\x7f",
        "\\u001f",
        "\xf0\x9f\x98\x80",
        "\\u07ff",
        "\\u0800",
        "\\u0080",
        "\\u007F",
        "\xe4\xbd\xa0\xe5\xa5\xbd",
        "/",
    };
    char plain[2] = {(char)('a' + json_cases_draw(cases, 26))};
    if (one_in(cases, 2000))
        add(cases, one_in(cases, 2) ? "\\u0000" : "\\ud800");
    else if (one_in(cases, 12))
        add(cases, odd[json_cases_draw(cases, sizeof odd / sizeof odd[0])]);
    else
        add(cases, plain);
}

static void draw_string(struct json_cases *cases, uint64_t characters_max)
{
    uint64_t left = json_cases_draw(cases, characters_max + 1);
    add(cases, "\"");
    for (; left > 0; left--)
        draw_character(cases);
    add(cases, "\"");
}

/* ---- values --------------------------------------------------------------------------------- */

static void draw_value(struct json_cases *cases, uint32_t depth_left);

/* Keys are numbered, so that one is rarely there twice, and then by intent. */
static void draw_object(struct json_cases *cases, uint32_t depth_left)
{
    uint64_t count = json_cases_draw(cases, one_in(cases, 20) ? 40 : 5);
    char key[16];
    add(cases, "{");
    for (uint64_t index = 0; index < count; index++) {
        bool is_twice = index > 0 && one_in(cases, 300);
        draw_blanks(cases);
        snprintf(key, sizeof key, "\"%sk%u\"", index % 3 == 0 ? "a longer " : "",
                 (unsigned)(is_twice ? json_cases_draw(cases, index) : index));
        if (one_in(cases, 10) && count < 3)
            draw_string(cases, 30);
        else
            add(cases, key);
        draw_blanks(cases);
        add(cases, ":");
        draw_value(cases, count > 8 ? 0 : depth_left);
        add(cases, index + 1 < count ? "," : "");
    }
    add(cases, "}");
}

static void draw_array(struct json_cases *cases, uint32_t depth_left)
{
    uint64_t count = json_cases_draw(cases, one_in(cases, 20) ? 40 : 5);
    add(cases, "[");
    for (uint64_t index = 0; index < count; index++) {
        draw_value(cases, count > 8 ? 0 : depth_left);
        add(cases, index + 1 < count ? "," : "");
    }
    add(cases, "]");
}

static void draw_value(struct json_cases *cases, uint32_t depth_left)
{
    static const char *const words[] = {"true", "false", "null", "\"\"", "-0",
                                        "-0.0", "0",     "[]",   "{}"};
    /* What is deep or long is drawn where there is room for it. */
    bool has_room = cases->bytes < JSON_CASE_BYTES_MAX / 8;
    draw_blanks(cases);
    switch (json_cases_draw(cases, depth_left > 0 && has_room ? 7 : 4)) {
    case 0: add(cases, words[json_cases_draw(cases, 9)]); break;
    case 1: has_room ? draw_number(cases) : add(cases, "1"); break;
    case 2: one_in(cases, 4) ? draw_double(cases) : add(cases, "2.5"); break;
    case 3: draw_string(cases, !has_room ? 3 : one_in(cases, 40) ? 300 : 40); break;
    case 4: draw_array(cases, depth_left - 1); break;
    default: draw_object(cases, depth_left - 1); break;
    }
    draw_blanks(cases);
}

void json_cases_draw_text(struct json_cases *cases)
{
    cases->bytes = 0;
    uint32_t wraps = one_in(cases, 50) ? 28 + (uint32_t)json_cases_draw(cases, 7) : 0;
    for (uint32_t wrap = 0; wrap < wraps; wrap++)
        add(cases, wrap % 2 == 0 ? "[" : "{\"w\":");
    draw_value(cases, wraps > 0 ? 1 : 4);
    for (uint32_t wrap = wraps; wrap > 0; wrap--)
        add(cases, wrap % 2 == 1 ? "]" : "}");
}

void json_cases_spoil(struct json_cases *cases)
{
    static const char odd[] = "\"\\{}[],:.eE+-0123456789 ntf\n\x01\x80\xc3\xef\xbb\xbf\xff/u\0";
    for (uint64_t left = 1 + json_cases_draw(cases, 3); left > 0 && cases->bytes > 0; left--) {
        char *at = cases->text + json_cases_draw(cases, cases->bytes);
        size_t behind = (size_t)(cases->text + cases->bytes - at);
        char byte = odd[json_cases_draw(cases, sizeof odd)];
        switch (json_cases_draw(cases, 4)) {
        case 0: *at = byte; break;
        case 1: memmove(at, at + 1, behind - 1), cases->bytes--; break;
        case 2: cases->bytes -= one_in(cases, 8) ? behind : 0; break;
        default:
            if (cases->bytes == sizeof cases->text)
                break;
            memmove(at + 1, at, behind);
            *at = byte;
            cases->bytes++;
        }
    }
}

bool json_cases_oracle(const char *text, size_t text_bytes, uint8_t *out, size_t capacity,
                       size_t *ret_bytes)
{
    /* Behind a number, jansson skips a zero byte. No JSON has one. */
    if (text_bytes > 0 && memchr(text, '\0', text_bytes) != NULL)
        return false;
    json_error_t error;
    json_t *json = json_loadb(text, text_bytes, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    if (json == NULL)
        return false;
    enum status status = value_from_json(json, out, capacity, ret_bytes);
    json_decref(json);
    if (status == STATUS_TOO_LARGE)
        abort();
    return status == STATUS_OK;
}

enum status json_cases_read_copy(const char *text, size_t text_bytes, uint8_t *out, size_t capacity,
                                 size_t *ret_bytes, struct problem *problem)
{
    char *copy = malloc(text_bytes + (text_bytes == 0));
    if (copy == NULL)
        abort();
    memcpy(copy, text, text_bytes);
    enum status status = value_from_text(copy, text_bytes, out, capacity, ret_bytes, problem);
    free(copy);
    return status;
}
