/* Text out: the msgpack is walked once, and each value written as it comes. */
#include <assert.h>
#include <math.h>

#include "engine/base/cursor.h"
#include "engine/base/decimal.h"
#include "engine/saga/plain_run.h"
#include "engine/saga/value_text.h"
#include "engine/saga/value_text_number.h"

/* What value_make_undo makes is one deeper than a payload. */
#define LEVELS_MAX (FLYOVER_DEPTH_MAX + 1)

struct writer {
    char *at;
    char *end;
    bool is_full; /* nothing is written from then on */
};

struct level {
    uint64_t left; /* of a map: keys and values, so that before a value it is odd */
    bool is_map;
};

static inline void put(struct writer *writer, const void *bytes, size_t count)
{
    if (count > (size_t)(writer->end - writer->at)) {
        writer->is_full = true;
        writer->end = writer->at;
        return;
    }
    memcpy(writer->at, bytes, count);
    writer->at += count;
}

static inline void put_char(struct writer *writer, char character)
{
    if (writer->at == writer->end)
        writer->is_full = true;
    else
        *writer->at++ = character;
}

/* ---- strings -------------------------------------------------------------------------------- */

static void put_escape(struct writer *writer, uint8_t byte)
{
    static const char hex[] = "0123456789ABCDEF";
    static const char short_forms[256] = {
        ['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
        ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't',
    };
    char text[6] = {'\\', short_forms[byte]};
    size_t count = 2;
    if (text[1] == '\0') {
        memcpy(text + 1, "u00", 3);
        text[4] = hex[byte >> 4];
        text[5] = hex[byte & 15];
        count = 6;
    }
    put(writer, text, count);
}

static inline void put_run(struct writer *writer, const uint8_t *from, size_t count,
                           const uint8_t *end)
{
    bool is_block = count <= PLAIN_BLOCK_BYTES && end - from >= PLAIN_BLOCK_BYTES &&
                    writer->end - writer->at >= PLAIN_BLOCK_BYTES;
    if (is_block) {
        /* What is too much is written over by what comes next. */
        memcpy(writer->at, from, PLAIN_BLOCK_BYTES);
        writer->at += count;
    } else if (count > 0) {
        put(writer, from, count);
    }
}

static void put_string(struct writer *writer, const uint8_t *at, size_t count)
{
    const uint8_t *end = at + count;
    put_char(writer, '"');
    for (;;) {
        const uint8_t *run_end = plain_run_end(at, end, false);
        put_run(writer, at, (size_t)(run_end - at), end);
        if (run_end == end || writer->is_full)
            break;
        put_escape(writer, *run_end);
        at = run_end + 1;
    }
    put_char(writer, '"');
}

/* RFC 4648, with padding. */
static void put_bin(struct writer *writer, const uint8_t *at, size_t count)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    put_char(writer, '"');
    while (count > 0 && !writer->is_full) {
        size_t used = count < 3 ? count : 3;
        uint32_t bits = (uint32_t)at[0] << 16;
        bits |= used > 1 ? (uint32_t)at[1] << 8 : 0;
        bits |= used > 2 ? at[2] : 0;
        char group[4] = {digits[bits >> 18], digits[(bits >> 12) & 63],
                         used > 1 ? digits[(bits >> 6) & 63] : '=',
                         used > 2 ? digits[bits & 63] : '='};
        put(writer, group, sizeof group);
        at += used;
        count -= used;
    }
    put_char(writer, '"');
}

/* ---- numbers -------------------------------------------------------------------------------- */

static void put_integer(struct writer *writer, bool is_negative, uint64_t magnitude)
{
    char text[REAL_TEXT_BYTES];
    if (is_negative)
        put_char(writer, '-');
    put(writer, text, decimal_write(magnitude, text));
}

static void put_real(struct writer *writer, double value)
{
    char text[REAL_TEXT_BYTES];
    if (isfinite(value))
        put(writer, text, text_number_write_real(value, text));
    else
        put(writer, "null", 4);
}

static void put_int(struct writer *writer, const uint8_t *at)
{
    int64_t value = 0;
    switch (*at) {
    case 0xcc: value = at[1]; break;
    case 0xcd: value = cursor_load16(at + 1); break;
    case 0xce: value = cursor_load32(at + 1); break;
    case 0xcf: put_integer(writer, false, cursor_load64(at + 1)); return;
    case 0xd0: value = (int8_t)at[1]; break;
    case 0xd1: value = (int16_t)cursor_load16(at + 1); break;
    case 0xd2: value = (int32_t)cursor_load32(at + 1); break;
    case 0xd3: value = (int64_t)cursor_load64(at + 1); break;
    default: value = (int8_t)*at; break;
    }
    put_integer(writer, value < 0, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

static void put_float(struct writer *writer, const uint8_t *at)
{
    if (*at == 0xca) {
        uint32_t bits = cursor_load32(at + 1);
        float value;
        memcpy(&value, &bits, sizeof value);
        put_real(writer, (double)value);
    } else {
        uint64_t bits = cursor_load64(at + 1);
        double value;
        memcpy(&value, &bits, sizeof value);
        put_real(writer, value);
    }
}

/* ---- values --------------------------------------------------------------------------------- */

/* All but containers. */
static void put_leaf(struct writer *writer, const struct cursor_shape *shape, const uint8_t *at,
                     uint32_t length)
{
    const uint8_t *body = at + shape->head_bytes;
    switch ((enum flyover_type)shape->type) {
    case FLYOVER_NIL: put(writer, "null", 4); break;
    case FLYOVER_BOOL: put(writer, *at == 0xc3 ? "true" : "false", *at == 0xc3 ? 4 : 5); break;
    case FLYOVER_INT: put_int(writer, at); break;
    case FLYOVER_FLOAT: put_float(writer, at); break;
    case FLYOVER_STR: put_string(writer, body, length); break;
    case FLYOVER_BIN: put_bin(writer, body, length); break;
    case FLYOVER_ARRAY:
    case FLYOVER_MAP:
    case FLYOVER_EXT:
    case FLYOVER_END:
    case FLYOVER_BAD: assert(false && "a value that was checked has none of them here"); break;
    }
}

/* What stands between two values, and the ends of containers. */
static uint32_t put_between(struct writer *writer, struct level *levels, uint32_t depth)
{
    while (depth > 0 && levels[depth - 1].left == 0)
        put_char(writer, levels[--depth].is_map ? '}' : ']');
    if (depth > 0) {
        struct level *level = &levels[depth - 1];
        put_char(writer, level->is_map && level->left % 2 == 1 ? ':' : ',');
        level->left--;
    }
    return depth;
}

static void put_value(struct writer *writer, const uint8_t *at, const uint8_t *end)
{
    struct level levels[LEVELS_MAX];
    uint32_t depth = 0;
    do {
        uint32_t length;
        const struct cursor_shape *shape = cursor_head(at, end, &length);
        assert(shape != NULL);
        if (cursor_shape_is_leaf(shape)) {
            put_leaf(writer, shape, at, length);
            at += shape->head_bytes + length;
        } else {
            assert(depth < LEVELS_MAX);
            bool is_map = shape->type == FLYOVER_MAP;
            put_char(writer, is_map ? '{' : '[');
            levels[depth++] = (struct level){(uint64_t)length << is_map, is_map};
            at += shape->head_bytes;
            if (length > 0) { /* the first one has nothing before it */
                levels[depth - 1].left--;
                continue;
            }
        }
        depth = put_between(writer, levels, depth);
    } while (depth > 0 && !writer->is_full);
}

size_t value_to_text(struct flyover_bytes value, char *out, size_t capacity)
{
    assert(value.count > 0 && out != NULL);
    struct writer writer = {.at = out, .end = out + capacity};
    put_value(&writer, value.at, value.at + value.count);
    return writer.is_full ? 0 : (size_t)(writer.at - out);
}

size_t value_string_to_text(const char *string, size_t string_bytes, char *out, size_t capacity)
{
    assert((string != NULL || string_bytes == 0) && out != NULL);
    if (string_bytes == 0)
        string = "";
    struct writer writer = {.at = out, .end = out + capacity};
    put_string(&writer, (const uint8_t *)string, string_bytes);
    return writer.is_full ? 0 : (size_t)(writer.at - out);
}
