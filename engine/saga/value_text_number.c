#include "engine/saga/value_text_number.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/decimal.h"

/* One rounding an operation, which the quick ways below live on. */
_Static_assert(FLT_EVAL_METHOD == 0, "doubles are computed as doubles");

/* The powers of ten that a double holds exactly. */
#define EXACT_POWER_MAX 22
static const double powers[EXACT_POWER_MAX + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
};
#define EXACT_INTEGER_MAX (UINT64_C(1) << 53)

/* ---- in ------------------------------------------------------------------------------------- */

/* As many as a uint64_t holds, whatever they are. */
#define SHORT_DIGITS_MAX 19

/* Two doubles meet at a number of 767 digits at the most: of what comes behind more of them, it
 * only matters whether it is zero. */
#define DIGITS_MAX 770

/* Beyond all exponents that make a difference for up to DIGITS_MAX digits. */
#define EXPONENT_MAX 5000

/* No text is so long that its digits make up for an exponent of that size. */
#define EXPONENT_READ_MAX INT64_C(100000000000000000)

/* The parts of a number: -12.5e3 has the digits 12 and 5, and the exponent 3. */
struct parts {
    const uint8_t *start;
    const uint8_t *digits_end; /* the point, if any, among them */
    uint64_t digits;           /* as one integer, modulo 2^64 */
    uint64_t digits_count;
    uint64_t fraction_count; /* of them */
    int64_t exponent;
};

static inline bool is_digit_at(const uint8_t *at, const uint8_t *end)
{
    return at < end && (uint8_t)(*at - '0') < 10;
}

static inline const uint8_t *read_digits(const uint8_t *at, const uint8_t *end, struct parts *parts)
{
    const uint8_t *start = at;
    for (; is_digit_at(at, end); at++)
        parts->digits = parts->digits * 10 + (uint8_t)(*at - '0');
    parts->digits_count += (uint64_t)(at - start);
    return at;
}

/* Over "e+5"; NULL where there is no digit. */
static const uint8_t *read_exponent(const uint8_t *at, const uint8_t *end, int64_t *ret_exponent)
{
    bool is_negative = ++at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    if (!is_digit_at(at, end))
        return NULL;
    int64_t exponent = 0;
    for (; is_digit_at(at, end); at++)
        if (exponent < EXPONENT_READ_MAX)
            exponent = exponent * 10 + (*at - '0');
    *ret_exponent = is_negative ? -exponent : exponent;
    return at;
}

/* The C library reads it, but from digits without a point, since the point is the locale's: 12.5e3
 * is shown to it as 125e2. Too many digits are cut; a 1 behind them says that there were more. */
static double read_slowly(const struct parts *parts)
{
    char text[DIGITS_MAX + REAL_TEXT_BYTES];
    size_t count = 0;
    int64_t exponent = parts->exponent - (int64_t)parts->fraction_count;
    bool has_more = false;
    for (const uint8_t *at = parts->start; at < parts->digits_end; at++) {
        if (*at == '.' || (*at == '0' && count == 0))
            continue;
        if (count < DIGITS_MAX) {
            text[count++] = (char)*at;
        } else {
            has_more |= *at != '0';
            exponent++;
        }
    }
    if (count == 0)
        return 0;
    if (has_more) {
        text[count++] = '1';
        exponent--;
    }
    exponent = exponent > EXPONENT_MAX ? EXPONENT_MAX : exponent;
    exponent = exponent < -EXPONENT_MAX ? -EXPONENT_MAX : exponent;
    snprintf(text + count, REAL_TEXT_BYTES - 1, "e%d", (int)exponent);
    return strtod(text, NULL);
}

/* Where digits and power of ten are both exact, one multiplication or division rounds once, as it
 * has to be (Clinger, "How to Read Floating Point Numbers Accurately", 1990). */
static double real_of(const struct parts *parts)
{
    int64_t exponent = parts->exponent - (int64_t)parts->fraction_count;
    if (parts->digits_count > SHORT_DIGITS_MAX || parts->digits > EXACT_INTEGER_MAX)
        return read_slowly(parts);
    if (exponent >= 0 && exponent <= EXACT_POWER_MAX)
        return (double)parts->digits * powers[exponent];
    if (exponent < 0 && exponent >= -EXACT_POWER_MAX)
        return (double)parts->digits / powers[-exponent];
    return read_slowly(parts);
}

/* `at` is behind the whole digits. */
static const uint8_t *read_real(const uint8_t *at, const uint8_t *end, struct parts *parts,
                                const char **ret_fault)
{
    *ret_fault = "a digit expected";
    if (*at == '.') {
        const uint8_t *point = at++;
        if (!is_digit_at(at, end))
            return at;
        at = read_digits(at, end, parts);
        parts->fraction_count = (uint64_t)(at - point - 1);
    }
    parts->digits_end = at;
    if (at < end && (*at == 'e' || *at == 'E')) {
        const uint8_t *behind = read_exponent(at, end, &parts->exponent);
        if (behind == NULL)
            return at + 1;
        at = behind;
    }
    *ret_fault = NULL;
    return at;
}

static bool integer_of(const struct parts *parts, bool is_negative, int64_t *ret_integer)
{
    if (parts->digits_count > SHORT_DIGITS_MAX || parts->digits > (uint64_t)INT64_MAX + is_negative)
        return false;
    *ret_integer = (int64_t)(is_negative ? 0 - parts->digits : parts->digits);
    return true;
}

const uint8_t *text_number_read(const uint8_t *at, const uint8_t *end,
                                struct text_number *ret_number, const char **ret_fault)
{
    const uint8_t *start = at;
    bool is_negative = *at == '-';
    at += is_negative;
    struct parts parts = {.start = at};
    *ret_fault = "a digit expected";
    if (!is_digit_at(at, end))
        return at;
    *ret_fault = "a number with a leading zero";
    if (*at == '0' && is_digit_at(at + 1, end))
        return start;
    at = read_digits(at, end, &parts);
    *ret_fault = NULL;
    ret_number->is_real = at < end && (*at == '.' || *at == 'e' || *at == 'E');
    if (!ret_number->is_real) {
        if (!integer_of(&parts, is_negative, &ret_number->integer))
            *ret_fault = "an integer beyond 64 bits";
        return *ret_fault == NULL ? at : start;
    }
    at = read_real(at, end, &parts, ret_fault);
    if (*ret_fault != NULL)
        return at;
    double real = real_of(&parts);
    ret_number->real = is_negative ? -real : real;
    if (isinf(real))
        *ret_fault = "a number beyond what a double holds";
    return *ret_fault == NULL ? at : start;
}

/* ---- out ------------------------------------------------------------------------------------ */

/* 1234 with three digits behind the point is 1.234. */
static size_t write_fixed(uint64_t digits, size_t fraction_count, char *text)
{
    char whole[REAL_TEXT_BYTES];
    size_t count = decimal_write(digits, whole), used = 0;
    size_t zeros = count > fraction_count ? 0 : fraction_count + 1 - count;
    for (; zeros > 0; zeros--) /* before the digits of 0.05 */
        text[used++] = '0';
    memcpy(text + used, whole, count);
    used += count;
    char *point = text + used - fraction_count;
    memmove(point + 1, point, fraction_count);
    *point = '.';
    return used + 1;
}

/* Of a small one, more digits behind the point are written with an exponent. */
#define QUICK_FRACTION_MAX       15
#define QUICK_SMALL_FRACTION_MAX 6
#define SMALL                    1e-4

/* Most numbers have few digits behind the point. With those of r, r / 10^k is read as one exact
 * division, so that what equals the value here is read as it. 0: it takes more digits. */
static size_t write_quickly(double value, char *text)
{
    size_t k_max = value < SMALL ? QUICK_SMALL_FRACTION_MAX : QUICK_FRACTION_MAX;
    for (size_t k = 0; k <= k_max; k++) {
        double scaled = value * powers[k];
        if (scaled >= (double)EXACT_INTEGER_MAX)
            return 0;
        uint64_t r = (uint64_t)(scaled + 0.5);
        if ((double)r / powers[k] == value)
            return k == 0 ? write_fixed(r * 10, 1, text) : write_fixed(r, k, text);
    }
    return 0;
}

/* Decimal digits without zeros at the end, and the exponent of the first. */
struct decimal {
    char digits[DECIMAL_BYTES_MAX];
    size_t count;
    int exponent;
    int precision; /* digits asked for */
};

static struct decimal decimal_of(double value)
{
    struct decimal decimal = {.precision = 15};
    char text[40];
    for (;; decimal.precision++) {
        snprintf(text, sizeof text, "%.*e", decimal.precision - 1, value);
        if (decimal.precision == 17 || strtod(text, NULL) == value)
            break;
    }
    const char *at = text;
    for (; *at != 'e'; at++) /* the point is the locale's */
        if (*at >= '0' && *at <= '9')
            decimal.digits[decimal.count++] = *at;
    assert(decimal.count == (size_t)decimal.precision);
    decimal.exponent = atoi(at + 1);
    while (decimal.count > 1 && decimal.digits[decimal.count - 1] == '0')
        decimal.count--;
    return decimal;
}

/* 1.25e-7 */
static size_t write_scientific(const struct decimal *decimal, char *text)
{
    size_t used = 0;
    text[used++] = decimal->digits[0];
    if (decimal->count > 1) {
        text[used++] = '.';
        memcpy(text + used, decimal->digits + 1, decimal->count - 1);
        used += decimal->count - 1;
    }
    text[used++] = 'e';
    if (decimal->exponent < 0)
        text[used++] = '-';
    return used + decimal_write((uint64_t)abs(decimal->exponent), text + used);
}

/* 0.00125 or 1250.0 */
static size_t write_plain(const struct decimal *decimal, char *text)
{
    size_t used = 0, next = 0;
    int place = decimal->exponent < 0 ? 0 : decimal->exponent;
    for (; place >= 0 || next < decimal->count; place--) {
        if (place == -1)
            text[used++] = '.';
        bool is_zero = place > decimal->exponent || next == decimal->count;
        text[used++] = is_zero ? '0' : decimal->digits[next++];
    }
    if (place == -1) {
        memcpy(text + used, ".0", 2);
        used += 2;
    }
    return used;
}

size_t text_number_write_real(double value, char text[REAL_TEXT_BYTES])
{
    assert(isfinite(value));
    size_t sign = signbit(value) ? 1 : 0;
    text[0] = '-';
    text += sign;
    value = fabs(value);
    size_t count = write_quickly(value, text);
    if (count == 0) {
        struct decimal decimal = decimal_of(value);
        bool is_plain = decimal.exponent >= -4 && decimal.exponent < decimal.precision;
        count = is_plain ? write_plain(&decimal, text) : write_scientific(&decimal, text);
    }
    return sign + count;
}
