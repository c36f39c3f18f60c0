/*
 * sink: msgpack written into memory of the caller's, up to its end: what does not fit is dropped
 * and remembered.
 *
 * Threads: pure. Memory: the caller's.
 * Source:  the msgpack specification, "Formats".
 */
#ifndef ENGINE_SAGA_SINK_H
#define ENGINE_SAGA_SINK_H

#include <assert.h>
#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/flyover_service.h"

/* Writes up to its end; what does not fit is dropped and remembered. */
struct sink {
    uint8_t *start;
    uint8_t *at;
    uint8_t *end;
    bool overflowed;
};

static inline struct sink sink_into(uint8_t *out, size_t capacity)
{
    assert(out != NULL);
    return (struct sink){.start = out, .at = out, .end = out + capacity};
}

/* The bytes written, 0 where they did not fit. */
static inline size_t sink_result(const struct sink *sink)
{
    return sink->overflowed ? 0 : (size_t)(sink->at - sink->start);
}

static inline void sink_bytes(struct sink *sink, const void *bytes, size_t count)
{
    if (sink->overflowed || count > (size_t)(sink->end - sink->at)) {
        sink->overflowed = true;
        return;
    }
    if (count > 0)
        memcpy(sink->at, bytes, count);
    sink->at += count;
}

/* The head of a string or a map in its shortest form: `fixed` with the length in it below
 * fixed_max, else `first16` or the code after it, then the length. Strings have an 8-bit form,
 * whose code stands before `first16`. */
static inline void sink_head(struct sink *sink, uint8_t fixed, uint32_t fixed_max, uint8_t first16,
                             uint32_t length)
{
    uint8_t head[5] = {(uint8_t)(fixed | length)};
    if (length <= fixed_max) {
        sink_bytes(sink, head, 1);
    } else if (length <= UINT16_MAX) {
        uint16_t big_endian = htobe16((uint16_t)length);
        head[0] = first16;
        memcpy(head + 1, &big_endian, sizeof big_endian);
        sink_bytes(sink, head, 3);
    } else {
        uint32_t big_endian = htobe32(length);
        head[0] = (uint8_t)(first16 + 1);
        memcpy(head + 1, &big_endian, sizeof big_endian);
        sink_bytes(sink, head, 5);
    }
}

static inline void sink_map(struct sink *sink, uint32_t pairs)
{
    sink_head(sink, 0x80, 15, 0xde, pairs);
}

static inline void sink_array(struct sink *sink, uint32_t count)
{
    sink_head(sink, 0x90, 15, 0xdc, count);
}

/* In its smallest form. */
static inline void sink_int(struct sink *sink, int64_t value)
{
    uint8_t bytes[9];
    uint64_t bits = htobe64((uint64_t)value);
    memcpy(bytes + 1, &bits, sizeof bits);
    uint32_t width = 8;
    if (value >= -32 && value <= 127) {
        sink_bytes(sink, bytes + 8, 1);
        return;
    }
    uint64_t magnitude = value < 0 ? 2 * ~(uint64_t)value + 1 : (uint64_t)value;
    while (width > 1 && magnitude >> (width * 4) == 0)
        width /= 2;
    static const uint8_t codes[9] = {[1] = 0, [2] = 1, [4] = 2, [8] = 3};
    uint8_t *head = bytes + 8 - width;
    *head = (uint8_t)((value < 0 ? 0xd0 : 0xcc) + codes[width]);
    sink_bytes(sink, head, width + 1);
}

static inline void sink_str_head(struct sink *sink, uint32_t count)
{
    if (count > 31 && count <= UINT8_MAX) {
        const uint8_t head[2] = {0xd9, (uint8_t)count};
        sink_bytes(sink, head, sizeof head);
    } else {
        sink_head(sink, 0xa0, 31, 0xda, count);
    }
}

static inline void sink_str(struct sink *sink, struct flyover_bytes text)
{
    sink_str_head(sink, text.count);
    sink_bytes(sink, text.at, text.count);
}

static inline void sink_double(struct sink *sink, double value)
{
    uint8_t bytes[9] = {0xcb};
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits = htobe64(bits);
    memcpy(bytes + 1, &bits, sizeof bits);
    sink_bytes(sink, bytes, sizeof bytes);
}

static inline void sink_literal(struct sink *sink, const char *text)
{
    sink_str(sink, (struct flyover_bytes){(const uint8_t *)text, (uint32_t)strlen(text)});
}

#endif
