/*
 * decimal: the digits of a number, for what is written so often that printf, with its format and
 * its locale, takes a part of a step that shows.
 *
 * Threads: pure.
 */
#ifndef ENGINE_BASE_DECIMAL_H
#define ENGINE_BASE_DECIMAL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DECIMAL_BYTES_MAX 20u

/* Without a terminating zero; returns how many, at most DECIMAL_BYTES_MAX. */
static inline size_t decimal_write(uint64_t number, char *ret_text)
{
    char digits[DECIMAL_BYTES_MAX];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    memcpy(ret_text, digits + at, sizeof digits - at);
    return sizeof digits - at;
}

#endif
