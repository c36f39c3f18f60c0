/*
 * varint: unsigned LEB128 and its zigzag form for signed numbers: 7 bits a byte, low first, the
 * high bit says that more follow. What the journal's records and the writes of services are made
 * of. Encoders need VARINT_BYTES_MAX of room; decoders never read at or past `end`.
 */
#ifndef ENGINE_BASE_VARINT_H
#define ENGINE_BASE_VARINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VARINT_BYTES_MAX 10u

/* Returns the first byte after what it wrote. */
static inline uint8_t *varint_encode(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

/* Returns the first byte after the number, or NULL where it is cut off, over 64 bits, or longer
 * than it need be: a number has one encoding. */
static inline const uint8_t *varint_decode(const uint8_t *at, const uint8_t *end,
                                           uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && at < end; shift += 7) {
        uint8_t byte = *at++;
        if ((shift == 63 && byte > 1) || (shift > 0 && byte == 0))
            return NULL;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret_value = value;
            return at;
        }
    }
    return NULL;
}

static inline uint64_t varint_zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

static inline int64_t varint_unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

#endif
