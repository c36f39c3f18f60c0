#include "engine/net/wire.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#include "engine/base/cursor.h"

const char *wire_kind_text(int64_t kind)
{
    switch (kind) {
#define X(name, number)                                                                            \
    case number: return #name;
        WIRE_LIST(X)
#undef X
    default: return NULL;
    }
}

/* ---- writing ------------------------------------------------------------------------------------
 * Always the shortest form. */

static uint8_t *put16(uint8_t *at, uint8_t head, uint16_t value)
{
    value = htobe16(value);
    *at = head;
    memcpy(at + 1, &value, sizeof value);
    return at + 1 + sizeof value;
}

static uint8_t *put32(uint8_t *at, uint8_t head, uint32_t value)
{
    value = htobe32(value);
    *at = head;
    memcpy(at + 1, &value, sizeof value);
    return at + 1 + sizeof value;
}

static uint8_t *put64(uint8_t *at, uint8_t head, uint64_t value)
{
    value = htobe64(value);
    *at = head;
    memcpy(at + 1, &value, sizeof value);
    return at + 1 + sizeof value;
}

static uint8_t *put8(uint8_t *at, uint8_t head, uint8_t value)
{
    at[0] = head;
    at[1] = value;
    return at + 2;
}

uint8_t *wire_put_array(uint8_t *at, uint32_t count)
{
    if (count < 16) {
        *at = (uint8_t)(0x90u | count);
        return at + 1;
    }
    return count <= UINT16_MAX ? put16(at, 0xdc, (uint16_t)count) : put32(at, 0xdd, count);
}

uint8_t *wire_put_map(uint8_t *at, uint32_t pairs)
{
    if (pairs < 16) {
        *at = (uint8_t)(0x80u | pairs);
        return at + 1;
    }
    return pairs <= UINT16_MAX ? put16(at, 0xde, (uint16_t)pairs) : put32(at, 0xdf, pairs);
}

uint8_t *wire_put_uint(uint8_t *at, uint64_t value)
{
    if (value < 128) {
        *at = (uint8_t)value;
        return at + 1;
    }
    if (value <= UINT8_MAX)
        return put8(at, 0xcc, (uint8_t)value);
    if (value <= UINT16_MAX)
        return put16(at, 0xcd, (uint16_t)value);
    return value <= UINT32_MAX ? put32(at, 0xce, (uint32_t)value) : put64(at, 0xcf, value);
}

uint8_t *wire_put_int(uint8_t *at, int64_t value)
{
    if (value >= 0)
        return wire_put_uint(at, (uint64_t)value);
    if (value >= -32) {
        *at = (uint8_t)value;
        return at + 1;
    }
    if (value >= INT8_MIN)
        return put8(at, 0xd0, (uint8_t)value);
    if (value >= INT16_MIN)
        return put16(at, 0xd1, (uint16_t)value);
    return value >= INT32_MIN ? put32(at, 0xd2, (uint32_t)value) : put64(at, 0xd3, (uint64_t)value);
}

uint8_t *wire_put_bool(uint8_t *at, bool value)
{
    *at = value ? 0xc3 : 0xc2;
    return at + 1;
}

uint8_t *wire_put_nil(uint8_t *at)
{
    *at = 0xc0;
    return at + 1;
}

uint8_t *wire_put_text(uint8_t *at, struct flyover_bytes text)
{
    if (text.count < 32)
        *at++ = (uint8_t)(0xa0u | text.count);
    else if (text.count <= UINT8_MAX)
        at = put8(at, 0xd9, (uint8_t)text.count);
    else if (text.count <= UINT16_MAX)
        at = put16(at, 0xda, (uint16_t)text.count);
    else
        at = put32(at, 0xdb, text.count);
    if (text.count > 0)
        memcpy(at, text.at, text.count);
    return at + text.count;
}

uint8_t *wire_put_string(uint8_t *at, const char *text)
{
    return wire_put_text(at, (struct flyover_bytes){(const uint8_t *)text, (uint32_t)strlen(text)});
}

uint8_t *wire_put_value(uint8_t *at, struct flyover_bytes value)
{
    if (value.count == 0)
        return wire_put_nil(at);
    memcpy(at, value.at, value.count);
    return at + value.count;
}

void wire_put_length(uint8_t *at, uint32_t bytes)
{
    assert(bytes > 0 && bytes <= WIRE_FRAME_BYTES_MAX);
    bytes = htobe32(bytes);
    memcpy(at, &bytes, sizeof bytes);
}

/* ---- reading ------------------------------------------------------------------------------------
 */

enum wire_find wire_find_frame(const uint8_t *bytes, size_t count, struct flyover_bytes *ret_body)
{
    if (count < WIRE_LENGTH_BYTES)
        return WIRE_PART;
    uint32_t length = cursor_load32(bytes);
    if (length == 0 || length > WIRE_FRAME_BYTES_MAX)
        return WIRE_TOO_LONG;
    if (count - WIRE_LENGTH_BYTES < length)
        return WIRE_PART;
    *ret_body = (struct flyover_bytes){bytes + WIRE_LENGTH_BYTES, length};
    return WIRE_FOUND;
}

/* Counts what is still to come instead of going down into it, so that no depth is too deep. Short
 * texts and small numbers, which most values are, are told without the table. */
bool wire_skip(struct flyover_cursor *cursor)
{
    const uint8_t *at = cursor->at, *end = cursor->end;
    for (uint64_t left = 1; left > 0; left--) {
        uint32_t length;
        if (cursor_is_short_str(at, end, &length)) {
            at += 1 + length;
            continue;
        }
        if (at < end && *at < 0x80) {
            at++;
            continue;
        }
        const struct cursor_shape *shape = cursor_head(at, end, &length);
        if (shape == NULL)
            return false;
        at += shape->head_bytes;
        if (cursor_shape_is_leaf(shape))
            at += length;
        else
            left += (uint64_t)length << (shape->type == FLYOVER_MAP);
    }
    cursor->at = at;
    return true;
}

enum wire_find wire_find_message(const uint8_t **at, const uint8_t *end,
                                 struct wire_message *ret_message)
{
    if (*at == end)
        return WIRE_NO_MORE;
    struct flyover_cursor cursor = {*at, end};
    struct wire_message message;
    uint32_t count;
    if (!flyover_read_array(&cursor, &count) || count == 0 ||
        !flyover_read_int(&cursor, &message.kind))
        return WIRE_GARBAGE;
    message.fields_count = count - 1;
    message.fields.at = cursor.at;
    for (uint32_t i = 0; i < message.fields_count; i++) {
        if (i < WIRE_FIELDS_KNOWN)
            message.starts[i] = (uint32_t)(cursor.at - *at);
        if (!wire_skip(&cursor))
            return WIRE_GARBAGE;
    }
    message.start = *at;
    message.fields.end = cursor.at;
    *at = cursor.at;
    *ret_message = message;
    return WIRE_FOUND;
}

bool wire_take_uint(struct wire_message *message, uint64_t *ret_value)
{
    /* flyover_read_int knows no number over 2^63 - 1. */
    if (message->fields.at < message->fields.end && *message->fields.at == 0xcf) {
        *ret_value = cursor_load64(message->fields.at + 1);
        message->fields.at += 9;
        return true;
    }
    struct flyover_cursor cursor = message->fields;
    int64_t value;
    if (!flyover_read_int(&cursor, &value) || value < 0)
        return false;
    message->fields = cursor;
    *ret_value = (uint64_t)value;
    return true;
}

bool wire_take_int(struct wire_message *message, int64_t *ret_value)
{
    return flyover_read_int(&message->fields, ret_value);
}

bool wire_take_bool(struct wire_message *message, bool *ret_value)
{
    return flyover_read_bool(&message->fields, ret_value);
}

bool wire_take_text(struct wire_message *message, struct flyover_bytes *ret_text)
{
    return flyover_read_str(&message->fields, ret_text);
}

bool wire_take_text_or_nil(struct wire_message *message, struct flyover_bytes *ret_text)
{
    if (!flyover_read_nil(&message->fields))
        return wire_take_text(message, ret_text);
    *ret_text = (struct flyover_bytes){NULL, 0};
    return true;
}

/* The value has been passed over once, when its message was found: where the next one starts it
 * ends. */
static bool skip_field(const struct wire_message *message, struct flyover_cursor *cursor)
{
    uint32_t offset = (uint32_t)(cursor->at - message->start);
    for (uint32_t i = 0; i + 1 < message->fields_count && i + 1 < WIRE_FIELDS_KNOWN; i++)
        if (message->starts[i] == offset) {
            cursor->at = message->start + message->starts[i + 1];
            return true;
        }
    return wire_skip(cursor);
}

bool wire_take_value(struct wire_message *message, struct flyover_bytes *ret_value)
{
    struct flyover_cursor cursor = message->fields;
    if (!skip_field(message, &cursor))
        return false;
    *ret_value =
        (struct flyover_bytes){message->fields.at, (uint32_t)(cursor.at - message->fields.at)};
    message->fields = cursor;
    return true;
}
