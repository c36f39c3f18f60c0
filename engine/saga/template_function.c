#include <assert.h>
#include <jansson.h>
#include <string.h>

#include "engine/base/cursor.h"
#include "engine/saga/template_run.h"
#include "engine/saga/utf8.h"
#include "engine/saga/value_json.h"

const struct template_function_rule template_functions[TEMPLATE_FUNCTIONS_COUNT] = {
    [TEMPLATE_ARRAY] = {"Array", 0, TEMPLATE_ARGUMENTS_MAX},
    [TEMPLATE_ARRAY_GET_ITEM] = {"ArrayGetItem", 2, 2},
    [TEMPLATE_ARRAY_LENGTH] = {"ArrayLength", 1, 1},
    [TEMPLATE_BASE64_DECODE] = {"Base64Decode", 1, 1},
    [TEMPLATE_BASE64_ENCODE] = {"Base64Encode", 1, 1},
    [TEMPLATE_FORMAT] = {"Format", 1, TEMPLATE_ARGUMENTS_MAX},
    [TEMPLATE_JSON_TO_STRING] = {"JsonToString", 1, 1},
    [TEMPLATE_MATH_ADD] = {"MathAdd", 2, 2},
    [TEMPLATE_STRING_TO_JSON] = {"StringToJson", 1, 1},
};

static bool fail(struct template_run *run, const struct template_node *node, const char *reason)
{
    return template_fail(run, "States.IntrinsicFailure", node->text, reason);
}

static struct flyover_cursor cursor_of(struct flyover_bytes value)
{
    return (struct flyover_cursor){value.at, value.at + value.count};
}

static bool read_str(struct flyover_bytes value, struct flyover_bytes *ret_text)
{
    struct flyover_cursor cursor = cursor_of(value);
    return flyover_read_str(&cursor, ret_text);
}

/* ---- texts --------------------------------------------------------------------------------- */

/* The bytes since `start` become a string: they move up to make room for its head. */
static void wrap_str(struct sink *sink, const uint8_t *start)
{
    uint8_t room[8];
    struct sink head = sink_into(room, sizeof room);
    size_t count = (size_t)(sink->at - start), head_bytes;
    sink_str_head(&head, (uint32_t)count);
    head_bytes = sink_result(&head);
    uint8_t *from = sink->at - count;
    sink_bytes(sink, room, head_bytes);
    if (sink->overflowed)
        return;
    memmove(from + head_bytes, from, count);
    memcpy(from, room, head_bytes);
}

/* As JSON; what has no room leaves some of it, since value_print cuts and says so by dots. */
static bool add_json(struct template_run *run, const struct template_node *node,
                     struct flyover_bytes value)
{
    struct sink *sink = &run->sink;
    size_t room = (size_t)(sink->end - sink->at);
    if (!value_check(value, NULL))
        return fail(run, node, "what is to become a text is nested more than 32 deep");
    size_t count = room == 0 ? 0 : value_print(value, (char *)sink->at, room);
    sink->overflowed = sink->overflowed || count + 8 > room;
    if (!sink->overflowed)
        sink->at += count;
    return true;
}

static bool json_to_string(struct template_run *run, const struct template_node *node,
                           const struct flyover_bytes *arguments)
{
    const uint8_t *start = run->sink.at;
    if (!add_json(run, node, arguments[0]))
        return false;
    wrap_str(&run->sink, start);
    return true;
}

static bool string_to_json(struct template_run *run, const struct template_node *node,
                           const struct flyover_bytes *arguments)
{
    struct sink *sink = &run->sink;
    struct flyover_bytes text;
    size_t count = 0;
    if (!read_str(arguments[0], &text))
        return fail(run, node, "StringToJson takes a string");
    json_t *json = json_loadb((const char *)text.at, text.count, JSON_DECODE_ANY, NULL);
    if (json == NULL)
        return fail(run, node, "the string is no JSON");
    enum status status = value_from_json(json, sink->at, (size_t)(sink->end - sink->at), &count);
    json_decref(json);
    if (status == STATUS_UNSUPPORTED)
        return fail(run, node, "the JSON is nested more than 32 deep");
    sink->overflowed = sink->overflowed || status != STATUS_OK;
    sink->at += count;
    return true;
}

/* ---- Format -------------------------------------------------------------------------------- */

enum piece { PIECE_BYTE, PIECE_ESCAPED, PIECE_PLACE };

/* What stands at the i-th byte of the text of a Format. */
static enum piece piece_at(struct flyover_bytes text, uint32_t i)
{
    uint8_t next = i + 1 < text.count ? text.at[i + 1] : 0;
    if (text.at[i] == '\\' && (next == '{' || next == '}' || next == '\\'))
        return PIECE_ESCAPED;
    return text.at[i] == '{' && next == '}' ? PIECE_PLACE : PIECE_BYTE;
}

uint32_t template_count_places(struct flyover_bytes text)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < text.count; i++) {
        enum piece piece = piece_at(text, i);
        count += piece == PIECE_PLACE;
        i += piece != PIECE_BYTE;
    }
    return count;
}

/* A string as it is, anything else as JSON. */
static bool add_text(struct template_run *run, const struct template_node *node,
                     struct flyover_bytes value)
{
    struct flyover_bytes text;
    if (!read_str(value, &text))
        return add_json(run, node, value);
    sink_bytes(&run->sink, text.at, text.count);
    return true;
}

static bool format(struct template_run *run, const struct template_node *node,
                   const struct flyover_bytes *arguments)
{
    const uint8_t *start = run->sink.at;
    struct flyover_bytes text;
    if (!read_str(arguments[0], &text))
        return fail(run, node, "the first argument of Format is no string");
    if (template_count_places(text) != node->count - 1)
        return fail(run, node, "Format takes one argument for each {} of its text");
    uint32_t next = 1;
    for (uint32_t i = 0; i < text.count; i++) {
        enum piece piece = piece_at(text, i);
        i += piece == PIECE_ESCAPED;
        if (piece != PIECE_PLACE) {
            sink_bytes(&run->sink, &text.at[i], 1);
        } else {
            if (!add_text(run, node, arguments[next++]))
                return false;
            i++;
        }
    }
    wrap_str(&run->sink, start);
    return true;
}

/* ---- arrays and numbers -------------------------------------------------------------------- */

/* A number that is not whole is rounded, halves upwards, as at AWS. */
static bool read_whole(struct flyover_bytes value, int64_t *ret_number)
{
    struct flyover_cursor cursor = cursor_of(value);
    double number;
    if (flyover_read_int(&cursor, ret_number))
        return true;
    if (flyover_peek(&cursor) != FLYOVER_FLOAT || !flyover_read_number(&cursor, &number))
        return false;
    number += 0.5;
    if (!(number >= -0x1p63 && number < 0x1p63))
        return false;
    /* A cast goes towards zero; down is meant. */
    *ret_number = (int64_t)number;
    *ret_number -= (double)*ret_number > number;
    return true;
}

static bool math_add(struct template_run *run, const struct template_node *node,
                     const struct flyover_bytes *arguments)
{
    int64_t left, right, sum;
    if (!read_whole(arguments[0], &left) || !read_whole(arguments[1], &right))
        return fail(run, node, "MathAdd takes two numbers of at most 63 bits");
    if (__builtin_add_overflow(left, right, &sum))
        return fail(run, node, "the sum has more than 63 bits");
    sink_int(&run->sink, sum);
    return true;
}

static bool array(struct template_run *run, const struct template_node *node,
                  const struct flyover_bytes *arguments)
{
    sink_array(&run->sink, node->count);
    for (uint32_t i = 0; i < node->count; i++)
        sink_bytes(&run->sink, arguments[i].at, arguments[i].count);
    return true;
}

static bool array_length(struct template_run *run, const struct template_node *node,
                         const struct flyover_bytes *arguments)
{
    struct flyover_cursor cursor = cursor_of(arguments[0]);
    uint32_t count;
    if (!flyover_read_array(&cursor, &count))
        return fail(run, node, "ArrayLength takes an array");
    sink_int(&run->sink, count);
    return true;
}

static bool array_get_item(struct template_run *run, const struct template_node *node,
                           const struct flyover_bytes *arguments)
{
    struct flyover_cursor cursor = cursor_of(arguments[0]);
    uint32_t count;
    int64_t index;
    if (!flyover_read_array(&cursor, &count) || !read_whole(arguments[1], &index))
        return fail(run, node, "ArrayGetItem takes an array and an index");
    if (index < 0 || index >= (int64_t)count)
        return fail(run, node, "the array has no element of that index");
    for (; index > 0; index--)
        if (!flyover_skip(&cursor))
            return fail(run, node, "the array is nested too deep");
    const uint8_t *start = cursor.at;
    if (!flyover_skip(&cursor))
        return fail(run, node, "the array is nested too deep");
    sink_bytes(&run->sink, start, (size_t)(cursor.at - start));
    return true;
}

/* ---- base64: RFC 4648, with padding -------------------------------------------------------- */

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static bool base64_encode(struct template_run *run, const struct template_node *node,
                          const struct flyover_bytes *arguments)
{
    const uint8_t *start = run->sink.at;
    struct flyover_bytes text;
    if (!read_str(arguments[0], &text))
        return fail(run, node, "Base64Encode takes a string");
    for (uint32_t i = 0; i < text.count; i += 3) {
        uint32_t left = text.count - i;
        uint32_t bits = (uint32_t)text.at[i] << 16;
        bits |= left > 1 ? (uint32_t)text.at[i + 1] << 8 : 0;
        bits |= left > 2 ? text.at[i + 2] : 0;
        char group[4] = {base64_digits[bits >> 18], base64_digits[(bits >> 12) & 63],
                         left > 1 ? base64_digits[(bits >> 6) & 63] : '=',
                         left > 2 ? base64_digits[bits & 63] : '='};
        sink_bytes(&run->sink, group, sizeof group);
    }
    wrap_str(&run->sink, start);
    return true;
}

/* The six bits of a digit; 64 and more of none. */
static uint32_t base64_value(uint8_t digit)
{
    const char *found = digit == '\0' ? NULL : strchr(base64_digits, digit);
    return found == NULL ? 64 : (uint32_t)(found - base64_digits);
}

/* Four digits, of which the last `padding` are '='. */
static bool decode_group(struct sink *sink, const uint8_t *group, uint32_t padding)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t value = i < 4 - padding ? base64_value(group[i]) : 0;
        if (value > 63)
            return false;
        bits = bits << 6 | value;
    }
    const uint8_t bytes[3] = {(uint8_t)(bits >> 16), (uint8_t)(bits >> 8), (uint8_t)bits};
    sink_bytes(sink, bytes, 3 - padding);
    return true;
}

static bool base64_decode(struct template_run *run, const struct template_node *node,
                          const struct flyover_bytes *arguments)
{
    uint8_t *start = run->sink.at;
    struct flyover_bytes text;
    if (!read_str(arguments[0], &text) || text.count % 4 != 0)
        return fail(run, node, "Base64Decode takes a string of base64, padded to groups of four");
    for (uint32_t i = 0; i < text.count; i += 4) {
        bool is_last = i + 4 == text.count;
        uint32_t padding = !is_last || text.at[i + 3] != '=' ? 0 : text.at[i + 2] != '=' ? 1 : 2;
        if (!decode_group(&run->sink, text.at + i, padding))
            return fail(run, node, "the string is no base64");
    }
    if (!run->sink.overflowed && !utf8_check(start, (size_t)(run->sink.at - start)))
        return fail(run, node, "what the base64 holds is no text in UTF-8");
    wrap_str(&run->sink, start);
    return true;
}

bool template_call(struct template_run *run, const struct template_node *node,
                   const struct flyover_bytes *arguments)
{
    switch (node->function) {
    case TEMPLATE_ARRAY: return array(run, node, arguments);
    case TEMPLATE_ARRAY_GET_ITEM: return array_get_item(run, node, arguments);
    case TEMPLATE_ARRAY_LENGTH: return array_length(run, node, arguments);
    case TEMPLATE_BASE64_DECODE: return base64_decode(run, node, arguments);
    case TEMPLATE_BASE64_ENCODE: return base64_encode(run, node, arguments);
    case TEMPLATE_FORMAT: return format(run, node, arguments);
    case TEMPLATE_JSON_TO_STRING: return json_to_string(run, node, arguments);
    case TEMPLATE_MATH_ADD: return math_add(run, node, arguments);
    case TEMPLATE_STRING_TO_JSON: return string_to_json(run, node, arguments);
    case TEMPLATE_FUNCTIONS_COUNT: break;
    }
    assert(false && "a function that there is not");
    return false;
}
