/*
 * decimal: exact decimal numbers, as prices and quantities are written.
 *
 * Accepted: an optional sign, digits with at most one point (".5" and "5." too), and an optional
 * exponent ("1e3", "8.5E-05": spreadsheets and JSON write them). Refused: anything else, so also
 * "2,55", "1 000", "£2.55", "inf", and white space around the number.
 * Limits: DECIMAL_DIGITS_MAX significant digits, zeros at either end not counted.
 * Threads: any. Nothing allocates.
 */
#ifndef ENGINE_INGEST_DECIMAL_H
#define ENGINE_INGEST_DECIMAL_H

#include <stdint.h>

#include "engine/base/status.h"
#include "engine/ingest/text.h"

#define DECIMAL_DIGITS_MAX   18
#define DECIMAL_EXPONENT_MAX 9999 /* as written after the e, either sign */

/* coefficient x 10^exponent; the coefficient does not end in 0, and zero is 0 x 10^0. */
struct decimal {
    int64_t coefficient;
    int64_t exponent;
};

/* INVALID: not a number. TOO_LARGE: more digits or a longer exponent than the limits. */
NODISCARD enum status decimal_parse(struct text text, struct decimal *ret_decimal);
/* INVALID: has a fraction. TOO_LARGE: does not fit. */
NODISCARD enum status decimal_to_whole(struct decimal decimal, int64_t *ret_whole);
/*
 * decimal x factor x 10^places, rounded to a whole number half away from zero: with places 2, the
 * pence of so many pieces at a price in pounds. TOO_LARGE: the result does not fit.
 */
NODISCARD enum status decimal_multiply(struct decimal decimal, int64_t factor, unsigned places,
                                       int64_t *ret_product);

#endif
