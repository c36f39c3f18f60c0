/*
 * value_text_number: the numbers of JSON text. For value_text only.
 *
 * Threads: none; pure, whatever the locale of the process.
 */
#ifndef ENGINE_SAGA_VALUE_TEXT_NUMBER_H
#define ENGINE_SAGA_VALUE_TEXT_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* With the sign, the point, the exponent and the end: "-1.2345678901234567e-308". */
#define REAL_TEXT_BYTES 32

struct text_number {
    bool is_real;
    int64_t integer;
    double real;
};

/* Reads the number at `at`, which begins with '-' or a digit. Returns its end and NULL in
 * `ret_fault`; or the place of the fault and what it is. */
const uint8_t *text_number_read(const uint8_t *at, const uint8_t *end,
                                struct text_number *ret_number, const char **ret_fault);

/* The finite `value` in as few digits as are read as the same; returns the bytes. */
size_t text_number_write_real(double value, char text[REAL_TEXT_BYTES]);

#endif
