#include "engine/ingest/decimal.h"

#include <assert.h>
#include <stdbool.h>

#define DECIMAL_PLACES_MAX 18u

typedef unsigned __int128 decimal_wide;

static bool decimal_is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* The digits read so far. Zeros wait until a digit follows them: trailing ones never enter. */
struct decimal_digits {
    int64_t coefficient;
    int64_t places;        /* digits after the point */
    int64_t zeros_waiting; /* read, not yet in the coefficient */
    unsigned significant;
    bool has_any;
    bool is_after_point;
};

/* False: more significant digits than the limit. */
static bool decimal_take_digit(struct decimal_digits *digits, char byte)
{
    digits->has_any = true;
    digits->places += digits->is_after_point;
    if (byte == '0') {
        digits->zeros_waiting++;
        return true;
    }
    if (digits->coefficient == 0)
        digits->zeros_waiting = 0;
    if (digits->significant + digits->zeros_waiting + 1 > DECIMAL_DIGITS_MAX)
        return false;
    for (; digits->zeros_waiting > 0; digits->zeros_waiting--, digits->significant++)
        digits->coefficient *= 10;
    digits->coefficient = digits->coefficient * 10 + (byte - '0');
    digits->significant++;
    return true;
}

/* Reads the exponent, whose e has been passed. */
static enum status decimal_parse_exponent(struct text text, size_t at, int64_t *ret_exponent)
{
    bool is_negative = at < text.bytes && text.data[at] == '-';
    if (at < text.bytes && (text.data[at] == '-' || text.data[at] == '+'))
        at++;
    if (at == text.bytes)
        return STATUS_INVALID;
    int64_t exponent = 0;
    for (; at < text.bytes; at++) {
        if (!decimal_is_digit(text.data[at]))
            return STATUS_INVALID;
        // Held at one past the limit, so that a text of any length cannot overflow.
        if (exponent <= DECIMAL_EXPONENT_MAX)
            exponent = exponent * 10 + (text.data[at] - '0');
    }
    if (exponent > DECIMAL_EXPONENT_MAX)
        return STATUS_TOO_LARGE;
    *ret_exponent = is_negative ? -exponent : exponent;
    return STATUS_OK;
}

enum status decimal_parse(struct text text, struct decimal *ret_decimal)
{
    struct decimal_digits digits = {0};
    bool is_negative = text.bytes > 0 && text.data[0] == '-';
    bool is_too_long = false;
    size_t at = text.bytes > 0 && (text.data[0] == '-' || text.data[0] == '+');
    for (; at < text.bytes; at++) {
        if (decimal_is_digit(text.data[at]))
            is_too_long |= !decimal_take_digit(&digits, text.data[at]);
        else if (text.data[at] == '.' && !digits.is_after_point)
            digits.is_after_point = true;
        else
            break;
    }
    if (!digits.has_any)
        return STATUS_INVALID;
    int64_t exponent = 0;
    if (at < text.bytes) {
        if (text.data[at] != 'e' && text.data[at] != 'E')
            return STATUS_INVALID;
        enum status status = decimal_parse_exponent(text, at + 1, &exponent);
        if (status != STATUS_OK)
            return status;
    }
    if (is_too_long)
        return STATUS_TOO_LARGE;
    assert(digits.coefficient >= 0);
    *ret_decimal = (struct decimal){
        .coefficient = is_negative ? -digits.coefficient : digits.coefficient,
        .exponent = digits.coefficient == 0 ? 0 : digits.zeros_waiting - digits.places + exponent,
    };
    return STATUS_OK;
}

static decimal_wide decimal_power_of_10(unsigned exponent)
{
    assert(exponent <= 38);
    decimal_wide power = 1;
    for (; exponent > 0; exponent--)
        power *= 10;
    return power;
}

static decimal_wide decimal_magnitude(int64_t value)
{
    return value < 0 ? -(decimal_wide)value : (decimal_wide)value;
}

/* A coefficient under 10^18 by a factor of at most 2^63 is under 10^37: it cannot overflow. */
static decimal_wide decimal_shrink(decimal_wide product, int64_t places)
{
    assert(places > 0);
    if (places > 37)
        return 0;
    decimal_wide divisor = decimal_power_of_10((unsigned)places);
    decimal_wide remainder = product % divisor;
    return product / divisor + (remainder >= divisor - remainder);
}

enum status decimal_multiply(struct decimal decimal, int64_t factor, unsigned places,
                             int64_t *ret_product)
{
    assert(places <= DECIMAL_PLACES_MAX);
    bool is_negative = (decimal.coefficient < 0) != (factor < 0);
    decimal_wide product = decimal_magnitude(decimal.coefficient) * decimal_magnitude(factor);
    int64_t shift = decimal.exponent + (int64_t)places;
    if (shift < 0)
        product = decimal_shrink(product, -shift);
    for (; shift > 0 && product != 0; shift--) {
        if (product > INT64_MAX)
            return STATUS_TOO_LARGE;
        product *= 10;
    }
    if (product > INT64_MAX)
        return STATUS_TOO_LARGE;
    *ret_product = is_negative ? -(int64_t)product : (int64_t)product;
    return STATUS_OK;
}

enum status decimal_to_whole(struct decimal decimal, int64_t *ret_whole)
{
    // The coefficient does not end in 0, so that any digit behind the point is a fraction.
    if (decimal.exponent < 0)
        return STATUS_INVALID;
    return decimal_multiply(decimal, 1, 0, ret_whole);
}
