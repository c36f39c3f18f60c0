/*
 * hex: bytes as hexadecimal digits, in lower-case letters.
 *
 * Threads: pure.
 */
#ifndef ENGINE_BASE_HEX_H
#define ENGINE_BASE_HEX_H

#include <stddef.h>
#include <stdint.h>

/* Two digits a byte, without a terminating zero; returns how many digits. */
static inline size_t hex_write(const uint8_t *bytes, size_t count, char *ret_text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        ret_text[2 * i] = digits[bytes[i] >> 4];
        ret_text[2 * i + 1] = digits[bytes[i] & 15];
    }
    return 2 * count;
}

#endif
