/*
 * utf8: are these bytes text? Nothing is decoded, nothing allocated; pure functions.
 * Source: RFC 3629: no overlong form, no surrogate, nothing above U+10FFFF.
 */
#ifndef ENGINE_SAGA_UTF8_H
#define ENGINE_SAGA_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The length of the character at `at` (1 to 4), or 0 where there is none in the `left` bytes. */
uint32_t utf8_character_bytes(const uint8_t *at, size_t left);

/* utf8_check for text that is not all ASCII. */
bool utf8_check_all(const uint8_t *text, size_t count);

/* True when no byte has its high bit set. Short text is read as two words that overlap, so that
 * the usual key of a few bytes needs no loop. */
static inline bool utf8_is_ascii(const uint8_t *text, size_t count)
{
    const uint64_t high_bits = 0x8080808080808080u;
    if (count >= 8) {
        const uint8_t *last = text + count - 8;
        uint64_t seen, word;
        for (memcpy(&seen, last, 8); text < last; text += 8) {
            memcpy(&word, text, 8);
            seen |= word;
        }
        return (seen & high_bits) == 0;
    }
    if (count >= 4) {
        uint32_t first, last;
        memcpy(&first, text, 4);
        memcpy(&last, text + count - 4, 4);
        return ((first | last) & (uint32_t)high_bits) == 0;
    }
    return count == 0 || ((text[0] | text[count / 2] | text[count - 1]) & 0x80) == 0;
}

static inline bool utf8_check(const uint8_t *text, size_t count)
{
    return utf8_is_ascii(text, count) || utf8_check_all(text, count);
}

#endif
