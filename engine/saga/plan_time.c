#include <assert.h>
#include <string.h>

#include "engine/base/cursor.h"
#include "engine/saga/plan.h"

enum { MINUTES_A_DAY = 24 * 60 };

/* ---- RFC 3339 ------------------------------------------------------------------------------ */

/* The text while it is read. */
struct reader {
    const uint8_t *at;
    const uint8_t *end;
};

/* Exactly `digits` digits. */
static bool read_digits(struct reader *reader, uint32_t digits, int32_t *ret_number)
{
    if (reader->end - reader->at < (ptrdiff_t)digits)
        return false;
    int32_t number = 0;
    for (; digits > 0; digits--, reader->at++) {
        if (*reader->at < '0' || *reader->at > '9')
            return false;
        number = number * 10 + (*reader->at - '0');
    }
    *ret_number = number;
    return true;
}

/* One byte that is `wanted`, or the capital letter of which is. */
static bool read_byte(struct reader *reader, char wanted)
{
    if (reader->at == reader->end)
        return false;
    uint8_t byte = *reader->at;
    if (byte != (uint8_t)wanted && (wanted < 'A' || byte != (uint8_t)(wanted + ('a' - 'A'))))
        return false;
    reader->at++;
    return true;
}

static bool is_leap_year(int32_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int32_t days_of_month(int32_t year, int32_t month)
{
    static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap_year(year));
}

static int32_t leap_days_up_to(int32_t year)
{
    return year / 4 - year / 100 + year / 400;
}

/* YYYY-MM-DD as days since 1970-01-01. An offset may bring the end of 1969 into 1970, nothing
 * earlier. */
static bool read_date(struct reader *reader, int32_t *ret_days)
{
    int32_t year, month, day;
    if (!read_digits(reader, 4, &year) || !read_byte(reader, '-') ||
        !read_digits(reader, 2, &month) || !read_byte(reader, '-') ||
        !read_digits(reader, 2, &day) || year < 1969 || month < 1 || month > 12 || day < 1 ||
        day > days_of_month(year, month))
        return false;
    int32_t days = (year - 1970) * 365 + leap_days_up_to(year - 1) - leap_days_up_to(1969);
    for (int32_t i = 1; i < month; i++)
        days += days_of_month(year, i);
    *ret_days = days + day - 1;
    return true;
}

/* .5, .123456789: what is beyond the third digit is cut. */
static bool read_fraction(struct reader *reader, int32_t *ret_ms)
{
    int32_t ms = 0, weight_ms = 100;
    if (!read_byte(reader, '.'))
        return true;
    const uint8_t *first = reader->at;
    for (; reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9'; reader->at++) {
        ms += weight_ms * (*reader->at - '0');
        weight_ms /= 10;
    }
    *ret_ms = ms;
    return reader->at > first;
}

/* Z, +HH:MM or -HH:MM: how far the local time is ahead. */
static bool read_offset(struct reader *reader, int32_t *ret_minutes)
{
    if (read_byte(reader, 'Z')) {
        *ret_minutes = 0;
        return true;
    }
    int32_t hours, minutes;
    bool behind = read_byte(reader, '-');
    if ((!behind && !read_byte(reader, '+')) || !read_digits(reader, 2, &hours) ||
        !read_byte(reader, ':') || !read_digits(reader, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *ret_minutes = (behind ? -1 : 1) * (hours * 60 + minutes);
    return true;
}

/* A leap second is 23:59:60 of the last day of a month in UTC. */
static bool may_leap(int64_t minutes)
{
    if (minutes < 0 || minutes % MINUTES_A_DAY != MINUTES_A_DAY - 1)
        return false;
    int64_t days_left = minutes / MINUTES_A_DAY + 1; /* none after the last day of a month */
    for (int32_t year = 1970, month = 1; days_left > 0; month = month % 12 + 1) {
        days_left -= days_of_month(year, month);
        year += month == 12;
    }
    return days_left == 0;
}

bool plan_parse_timestamp(struct flyover_bytes text, int64_t *ret_ms)
{
    struct reader reader = {.at = text.at, .end = text.at + text.count};
    int32_t days, hour, minute, second, fraction_ms = 0, offset_minutes;
    if (!read_date(&reader, &days) || !read_byte(&reader, 'T') || !read_digits(&reader, 2, &hour) ||
        !read_byte(&reader, ':') || !read_digits(&reader, 2, &minute) || !read_byte(&reader, ':') ||
        !read_digits(&reader, 2, &second) || !read_fraction(&reader, &fraction_ms) ||
        !read_offset(&reader, &offset_minutes) || reader.at != reader.end || hour > 23 ||
        minute > 59 || second > 60)
        return false;
    int64_t minutes = (int64_t)days * MINUTES_A_DAY + hour * 60 + minute - offset_minutes;
    if (second == 60) {
        if (!may_leap(minutes))
            return false;
        /* There is no such second in milliseconds since 1970: all of it is the next one's start. */
        fraction_ms = 0;
    }
    if (minutes < 0)
        return false;
    *ret_ms = (minutes * 60 + second) * 1000 + fraction_ms;
    return true;
}

/* ---- Wait ---------------------------------------------------------------------------------- */

/* A whole number of seconds, or one with a fraction, to the nearest millisecond; what is too long
 * is PLAN_WAIT_MS_MAX + 1. The product is one of integers, the same on every machine. */
static bool read_wait_ms(struct flyover_bytes value, uint64_t *ret_ms)
{
    const uint64_t seconds_max = PLAN_WAIT_MS_MAX / 1000;
    struct flyover_cursor cursor = {.at = value.at, .end = value.at + value.count};
    int64_t whole;
    double real = 0;
    if (flyover_read_int(&cursor, &whole)) {
        if (whole < 0)
            return false;
        *ret_ms = (uint64_t)whole > seconds_max ? PLAN_WAIT_MS_MAX + 1 : (uint64_t)whole * 1000;
        return true;
    }
    /* Only an integer over 2^63 - 1 was not read above. */
    enum flyover_type type = flyover_peek(&cursor);
    if ((type != FLYOVER_INT && type != FLYOVER_FLOAT) || !flyover_read_number(&cursor, &real) ||
        !(real >= 0))
        return false;
    if (real > (double)seconds_max) {
        *ret_ms = PLAN_WAIT_MS_MAX + 1;
        return true;
    }
    uint64_t seconds = (uint64_t)real;
    uint64_t fraction = (uint64_t)((real - (double)seconds) * 0x1p32);
    *ret_ms = seconds * 1000 + ((fraction * 1000 + (1ull << 31)) >> 32);
    return true;
}

static bool read_timestamp(struct flyover_bytes value, int64_t *ret_ms)
{
    struct flyover_cursor cursor = {.at = value.at, .end = value.at + value.count};
    struct flyover_bytes text;
    return flyover_read_str(&cursor, &text) && plan_parse_timestamp(text, ret_ms);
}

static int64_t add_saturated(int64_t now_ms, uint64_t wait_ms)
{
    assert(wait_ms <= PLAN_WAIT_MS_MAX);
    return now_ms > INT64_MAX - (int64_t)wait_ms ? INT64_MAX : now_ms + (int64_t)wait_ms;
}

/* What the state's path leads to, as the milliseconds of its kind: a length or a time. */
static bool read_input(const struct plan_state *state, struct flyover_bytes input,
                       uint64_t *ret_wait_ms, int64_t *ret_time_ms, const char **ret_reason)
{
    bool seconds = state->wait_kind == WAIT_SECONDS_PATH;
    struct flyover_bytes value;
    if (!value_at(input, &state->wait_path, &value)) {
        *ret_reason = seconds ? "SecondsPath leads nowhere in the input"
                              : "TimestampPath leads nowhere in the input";
        return false;
    }
    if (seconds ? read_wait_ms(value, ret_wait_ms) : read_timestamp(value, ret_time_ms))
        return true;
    *ret_reason = seconds ? "SecondsPath leads to no number of 0 or more"
                          : "TimestampPath leads to no time of RFC 3339 from 1970 on, such as "
                            "\"2026-11-26T12:00:00Z\"";
    return false;
}

bool plan_wait_until(const struct plan_state *state, struct flyover_bytes input, int64_t now_ms,
                     int64_t *ret_until_ms, const char **ret_reason)
{
    assert(state->type == STATE_WAIT && state->wait_ms >= 0);
    bool by_length = state->wait_kind == WAIT_SECONDS || state->wait_kind == WAIT_SECONDS_PATH;
    bool by_path = state->wait_kind == WAIT_SECONDS_PATH || state->wait_kind == WAIT_TIMESTAMP_PATH;
    uint64_t wait_ms = (uint64_t)state->wait_ms;
    int64_t time_ms = state->wait_ms;
    if (by_path && !read_input(state, input, &wait_ms, &time_ms, ret_reason))
        return false;
    if (by_length ? wait_ms > PLAN_WAIT_MS_MAX
                  : time_ms > add_saturated(now_ms, PLAN_WAIT_MS_MAX)) {
        *ret_reason = "the wait would be longer than a hundred years";
        return false;
    }
    if (by_length)
        time_ms = add_saturated(now_ms, wait_ms);
    *ret_until_ms = time_ms > now_ms ? time_ms : now_ms;
    return true;
}
