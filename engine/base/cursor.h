/*
 * cursor: what the engine's own msgpack walkers share with the reader behind flyover_service.h.
 *
 * A value is a head, then `length` of something: bytes of a string, a binary or an ext; elements
 * of an array; pairs of a map; for the rest the head is all.
 *
 *     93           c4 03 | 01 02 03      ce 00 01 00 00
 *     head, 3      head, 3  payload      head (the number is part of it), 0
 *
 * Threads: pure functions, any thread. Memory: none; what is found points into the bytes read.
 * Source:  the msgpack specification, "Formats".
 */
#ifndef ENGINE_BASE_CURSOR_H
#define ENGINE_BASE_CURSOR_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/flyover_service.h"

/* What the first byte of a value tells. Where length_bytes is 0, the length is in the first byte,
 * under length_mask. */
struct cursor_shape {
    uint8_t type; /* enum flyover_type */
    uint8_t head_bytes;
    uint8_t length_bytes;
    uint8_t length_mask;
};

extern const struct cursor_shape cursor_shapes[256];

static inline uint16_t cursor_load16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return be16toh(value);
}

static inline uint32_t cursor_load32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return be32toh(value);
}

static inline uint64_t cursor_load64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return be64toh(value);
}

static inline uint32_t cursor_long_length(const uint8_t *at, uint32_t length_bytes)
{
    if (length_bytes == 1)
        return at[1];
    return length_bytes == 2 ? cursor_load16(at + 1) : cursor_load32(at + 1);
}

/* The shape of the value at `at` and its length, or NULL where there is none: at the end, on the
 * one byte that msgpack never uses, or where the bytes left are fewer than the head says. An
 * element has at least one byte and a pair two, so no count is believed that cannot be true. */
static inline const struct cursor_shape *cursor_head(const uint8_t *at, const uint8_t *end,
                                                     uint32_t *ret_length)
{
    size_t left = (size_t)(end - at);
    if (left == 0)
        return NULL;
    const struct cursor_shape *shape = &cursor_shapes[*at];
    if (left < shape->head_bytes || shape->type == FLYOVER_BAD)
        return NULL;
    uint32_t length = *at & shape->length_mask;
    if (__builtin_expect(shape->length_bytes != 0, false))
        length = cursor_long_length(at, shape->length_bytes);
    uint64_t least = (uint64_t)length << (shape->type == FLYOVER_MAP);
    if (least > left - shape->head_bytes)
        return NULL;
    *ret_length = length;
    return shape;
}

/* True over a string of up to 31 bytes, whose length is in its first byte, and which is whole. Most
 * values are one; a branch that is foreseen is quicker than the table. */
static inline bool cursor_is_short_str(const uint8_t *at, const uint8_t *end, uint32_t *ret_length)
{
    if (at == end)
        return false;
    uint32_t length = *at ^ 0xa0u;
    if (length >= 32 || length >= (size_t)(end - at))
        return false;
    *ret_length = length;
    return true;
}

static inline bool cursor_shape_is_leaf(const struct cursor_shape *shape)
{
    return shape->type != FLYOVER_ARRAY && shape->type != FLYOVER_MAP;
}

/* As deep as anything is that is made of payloads: the arguments of a Lambda function, which hold
 * the input and output of the step that it compensates. */
#define CURSOR_DEPTH_MAX (FLYOVER_DEPTH_MAX + 2)

/* flyover_skip with a limit of the caller's, up to CURSOR_DEPTH_MAX. An array in an array is two
 * deep, also an empty one. */
bool cursor_skip(struct flyover_cursor *cursor, uint32_t depth_max);

/* flyover_find for a key that is not terminated. */
bool cursor_find(const struct flyover_cursor *cursor, struct flyover_bytes key,
                 struct flyover_cursor *ret_value);

#endif
