/*
 * plain_run: how much of a text stands in a JSON string as it is, found sixteen bytes at a time.
 * For value_text only.
 *
 * Threads: none; pure. No byte at or behind `end` is read.
 */
#ifndef ENGINE_SAGA_PLAIN_RUN_H
#define ENGINE_SAGA_PLAIN_RUN_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PLAIN_BLOCK_BYTES 16

typedef uint8_t plain_block __attribute__((vector_size(PLAIN_BLOCK_BYTES)));

static inline bool plain_is(uint8_t byte, bool ascii_only)
{
    return byte >= 0x20 && byte != '"' && byte != '\\' && (byte < 0x80 || !ascii_only);
}

/* The first byte from `at` on that is a quote, a backslash, a control character or, with
 * ascii_only, not ASCII; `end` where there is none. */
static inline const uint8_t *plain_run_end(const uint8_t *at, const uint8_t *end, bool ascii_only)
{
    for (; end - at >= PLAIN_BLOCK_BYTES; at += PLAIN_BLOCK_BYTES) {
        plain_block block;
        uint64_t odd[2];
        memcpy(&block, at, sizeof block);
        plain_block found = (plain_block)(block == '"') | (plain_block)(block == '\\') |
                            (plain_block)(block < 0x20);
        if (ascii_only)
            found |= (plain_block)(block >= 0x80);
        memcpy(odd, &found, sizeof odd);
        if (odd[0] != 0)
            return at + __builtin_ctzll(le64toh(odd[0])) / 8;
        if (odd[1] != 0)
            return at + 8 + __builtin_ctzll(le64toh(odd[1])) / 8;
    }
    while (at < end && plain_is(*at, ascii_only))
        at++;
    return at;
}

#endif
