#include "engine/base/cursor.h"

#include <assert.h>

/* clang-format off */
const struct cursor_shape cursor_shapes[256] = {
    [0x00 ... 0x7f] = {FLYOVER_INT, 1, 0, 0},
    [0x80 ... 0x8f] = {FLYOVER_MAP, 1, 0, 0x0f},
    [0x90 ... 0x9f] = {FLYOVER_ARRAY, 1, 0, 0x0f},
    [0xa0 ... 0xbf] = {FLYOVER_STR, 1, 0, 0x1f},
    [0xc0] = {FLYOVER_NIL, 1, 0, 0},
    [0xc1] = {FLYOVER_BAD, 1, 0, 0},
    [0xc2] = {FLYOVER_BOOL, 1, 0, 0},
    [0xc3] = {FLYOVER_BOOL, 1, 0, 0},
    [0xc4] = {FLYOVER_BIN, 2, 1, 0},
    [0xc5] = {FLYOVER_BIN, 3, 2, 0},
    [0xc6] = {FLYOVER_BIN, 5, 4, 0},
    [0xc7] = {FLYOVER_EXT, 3, 1, 0}, /* the ext's own type byte is counted with the head */
    [0xc8] = {FLYOVER_EXT, 4, 2, 0},
    [0xc9] = {FLYOVER_EXT, 6, 4, 0},
    [0xca] = {FLYOVER_FLOAT, 5, 0, 0},
    [0xcb] = {FLYOVER_FLOAT, 9, 0, 0},
    [0xcc] = {FLYOVER_INT, 2, 0, 0},
    [0xcd] = {FLYOVER_INT, 3, 0, 0},
    [0xce] = {FLYOVER_INT, 5, 0, 0},
    [0xcf] = {FLYOVER_INT, 9, 0, 0},
    [0xd0] = {FLYOVER_INT, 2, 0, 0},
    [0xd1] = {FLYOVER_INT, 3, 0, 0},
    [0xd2] = {FLYOVER_INT, 5, 0, 0},
    [0xd3] = {FLYOVER_INT, 9, 0, 0},
    [0xd4] = {FLYOVER_EXT, 3, 0, 0},
    [0xd5] = {FLYOVER_EXT, 4, 0, 0},
    [0xd6] = {FLYOVER_EXT, 6, 0, 0},
    [0xd7] = {FLYOVER_EXT, 10, 0, 0},
    [0xd8] = {FLYOVER_EXT, 18, 0, 0},
    [0xd9] = {FLYOVER_STR, 2, 1, 0},
    [0xda] = {FLYOVER_STR, 3, 2, 0},
    [0xdb] = {FLYOVER_STR, 5, 4, 0},
    [0xdc] = {FLYOVER_ARRAY, 3, 2, 0},
    [0xdd] = {FLYOVER_ARRAY, 5, 4, 0},
    [0xde] = {FLYOVER_MAP, 3, 2, 0},
    [0xdf] = {FLYOVER_MAP, 5, 4, 0},
    [0xe0 ... 0xff] = {FLYOVER_INT, 1, 0, 0},
};
/* clang-format on */

/* Moves over the head if the value is of this type: the one way in of the reads below, but for the
 * forms of one byte that most values of a message have, which are tried first. */
static inline bool enter(struct flyover_cursor *cursor, enum flyover_type type,
                         uint32_t *ret_length)
{
    uint32_t length;
    const struct cursor_shape *shape = cursor_head(cursor->at, cursor->end, &length);
    if (shape == NULL || shape->type != type)
        return false;
    cursor->at += shape->head_bytes;
    *ret_length = length;
    return true;
}

enum flyover_type flyover_peek(const struct flyover_cursor *cursor)
{
    assert(cursor->at <= cursor->end);
    if (cursor->at == cursor->end)
        return FLYOVER_END;
    uint32_t length;
    const struct cursor_shape *shape = cursor_head(cursor->at, cursor->end, &length);
    return shape == NULL ? FLYOVER_BAD : (enum flyover_type)shape->type;
}

bool flyover_read_nil(struct flyover_cursor *cursor)
{
    uint32_t length;
    return enter(cursor, FLYOVER_NIL, &length);
}

bool flyover_read_bool(struct flyover_cursor *cursor, bool *ret_value)
{
    const uint8_t *head = cursor->at;
    uint32_t length;
    if (!enter(cursor, FLYOVER_BOOL, &length))
        return false;
    *ret_value = *head == 0xc3;
    return true;
}

/* The integer at `at`, which is whole; a uint64 comes back as the int64 with the same bits. */
static inline int64_t load_int(const uint8_t *at)
{
    switch (*at) {
    case 0xcc: return at[1];
    case 0xcd: return cursor_load16(at + 1);
    case 0xce: return cursor_load32(at + 1);
    case 0xcf: return (int64_t)cursor_load64(at + 1);
    case 0xd0: return (int8_t)at[1];
    case 0xd1: return (int16_t)cursor_load16(at + 1);
    case 0xd2: return (int32_t)cursor_load32(at + 1);
    case 0xd3: return (int64_t)cursor_load64(at + 1);
    default: return (int8_t)*at;
    }
}

bool flyover_read_int(struct flyover_cursor *cursor, int64_t *ret_value)
{
    const uint8_t *at = cursor->at;
    if (at < cursor->end && (int8_t)*at >= -32) {
        cursor->at = at + 1;
        *ret_value = (int8_t)*at;
        return true;
    }
    uint32_t length;
    const struct cursor_shape *shape = cursor_head(at, cursor->end, &length);
    if (shape == NULL || shape->type != FLYOVER_INT)
        return false;
    int64_t value = load_int(at);
    if (value < 0 && *at == 0xcf)
        return false;
    cursor->at = at + shape->head_bytes;
    *ret_value = value;
    return true;
}

static double load_float(const uint8_t *at)
{
    if (*at == 0xca) {
        uint32_t bits = cursor_load32(at + 1);
        float value;
        memcpy(&value, &bits, sizeof value);
        return (double)value;
    }
    uint64_t bits = cursor_load64(at + 1);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

bool flyover_read_number(struct flyover_cursor *cursor, double *ret_value)
{
    const uint8_t *head = cursor->at;
    uint32_t length;
    if (enter(cursor, FLYOVER_FLOAT, &length)) {
        *ret_value = load_float(head);
        return true;
    }
    if (!enter(cursor, FLYOVER_INT, &length))
        return false;
    int64_t value = load_int(head);
    *ret_value = *head == 0xcf ? (double)(uint64_t)value : (double)value;
    return true;
}

static bool read_bytes(struct flyover_cursor *cursor, enum flyover_type type,
                       struct flyover_bytes *ret_bytes)
{
    uint32_t length;
    if (!enter(cursor, type, &length))
        return false;
    *ret_bytes = (struct flyover_bytes){cursor->at, length};
    cursor->at += length;
    return true;
}

/* The count in a first byte that is `fixed` with a count below 16 in it, if `least` bytes for each
 * of them follow. */
static inline bool enter_short(struct flyover_cursor *cursor, uint8_t fixed, uint32_t least,
                               uint32_t *ret_count)
{
    const uint8_t *at = cursor->at;
    if (at == cursor->end)
        return false;
    uint32_t count = *at ^ fixed;
    if (count >= 16 || count * least >= (size_t)(cursor->end - at))
        return false;
    cursor->at = at + 1;
    *ret_count = count;
    return true;
}

static inline bool read_str(struct flyover_cursor *cursor, struct flyover_bytes *ret_text)
{
    const uint8_t *at = cursor->at;
    uint32_t length;
    if (!cursor_is_short_str(at, cursor->end, &length))
        return read_bytes(cursor, FLYOVER_STR, ret_text);
    cursor->at = at + 1 + length;
    *ret_text = (struct flyover_bytes){at + 1, length};
    return true;
}

bool flyover_read_str(struct flyover_cursor *cursor, struct flyover_bytes *ret_text)
{
    return read_str(cursor, ret_text);
}

bool flyover_read_bin(struct flyover_cursor *cursor, struct flyover_bytes *ret_bytes)
{
    return read_bytes(cursor, FLYOVER_BIN, ret_bytes);
}

bool flyover_read_array(struct flyover_cursor *cursor, uint32_t *ret_count)
{
    return enter_short(cursor, 0x90, 1, ret_count) || enter(cursor, FLYOVER_ARRAY, ret_count);
}

bool flyover_read_map(struct flyover_cursor *cursor, uint32_t *ret_pairs)
{
    return enter_short(cursor, 0x80, 2, ret_pairs) || enter(cursor, FLYOVER_MAP, ret_pairs);
}

/* Moves over a short string or an integer of one byte. */
static inline bool pass_short_leaf(const uint8_t **at, const uint8_t *end)
{
    const uint8_t *head = *at;
    uint32_t length;
    if (cursor_is_short_str(head, end, &length)) {
        *at = head + 1 + length;
        return true;
    }
    if (head == end || (int8_t)*head < -32)
        return false;
    *at = head + 1;
    return true;
}

bool cursor_skip(struct flyover_cursor *cursor, uint32_t depth_max)
{
    assert(depth_max <= CURSOR_DEPTH_MAX);
    assert(cursor->at <= cursor->end);
    const uint8_t *at = cursor->at;
    uint64_t outer[CURSOR_DEPTH_MAX]; /* values still wanted by the containers around */
    uint64_t wanted = 1;              /* by the innermost one */
    uint32_t depth = 0;
    for (;;) {
        wanted--;
        if (!pass_short_leaf(&at, cursor->end)) {
            uint32_t length;
            const struct cursor_shape *shape = cursor_head(at, cursor->end, &length);
            if (shape == NULL)
                return false;
            at += shape->head_bytes;
            if (cursor_shape_is_leaf(shape)) {
                at += length;
            } else {
                if (depth == depth_max)
                    return false;
                outer[depth++] = wanted;
                wanted = (uint64_t)length << (shape->type == FLYOVER_MAP);
            }
        }
        while (wanted == 0) {
            if (depth == 0) {
                cursor->at = at;
                return true;
            }
            wanted = outer[--depth];
        }
    }
}

bool flyover_skip(struct flyover_cursor *cursor)
{
    return cursor_skip(cursor, FLYOVER_DEPTH_MAX);
}

static inline bool skip(struct flyover_cursor *cursor)
{
    return pass_short_leaf(&cursor->at, cursor->end) || flyover_skip(cursor);
}

static inline bool same_bytes(struct flyover_bytes left, struct flyover_bytes right)
{
    return left.count == right.count && (left.count == 0 || !memcmp(left.at, right.at, left.count));
}

bool cursor_find(const struct flyover_cursor *cursor, struct flyover_bytes key,
                 struct flyover_cursor *ret_value)
{
    struct flyover_cursor at = *cursor;
    uint32_t pairs;
    if (!flyover_read_map(&at, &pairs))
        return false;
    for (; pairs > 0; pairs--) {
        struct flyover_bytes name;
        if (!read_str(&at, &name)) {
            if (!skip(&at))
                return false;
        } else if (same_bytes(name, key)) {
            if (at.at == at.end)
                return false;
            *ret_value = at;
            return true;
        }
        if (!skip(&at))
            return false;
    }
    return false;
}

bool flyover_find(const struct flyover_cursor *cursor, const char *key,
                  struct flyover_cursor *ret_value)
{
    assert(key != NULL);
    size_t key_bytes = strlen(key);
    if (key_bytes > UINT32_MAX)
        return false;
    return cursor_find(cursor, (struct flyover_bytes){(const uint8_t *)key, (uint32_t)key_bytes},
                       ret_value);
}
