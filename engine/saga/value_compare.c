#include "engine/saga/value.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "engine/base/cursor.h"

static struct flyover_cursor cursor_of(struct flyover_bytes value)
{
    assert(value.count > 0);
    return (struct flyover_cursor){value.at, value.at + value.count};
}

enum number_kind { NUMBER_BELOW_ZERO, NUMBER_WHOLE, NUMBER_FLOAT };

struct number {
    enum number_kind kind;
    int64_t below_zero; /* NUMBER_BELOW_ZERO */
    uint64_t whole;     /* NUMBER_WHOLE */
    double real;        /* NUMBER_FLOAT */
};

static bool read_any_number(struct flyover_bytes value, struct number *ret_number)
{
    struct flyover_cursor cursor = cursor_of(value);
    struct number number = {.kind = NUMBER_FLOAT};
    int64_t integer;
    if (flyover_read_int(&cursor, &integer)) {
        number.kind = integer < 0 ? NUMBER_BELOW_ZERO : NUMBER_WHOLE;
        number.below_zero = integer;
        number.whole = (uint64_t)integer;
    } else if (flyover_peek(&cursor) == FLYOVER_INT) {
        number.kind = NUMBER_WHOLE;
        number.whole = cursor_load64(cursor.at + 1);
    } else if (!flyover_read_number(&cursor, &number.real)) {
        return false;
    }
    *ret_number = number;
    return true;
}

#define ORDER(left, right) (((left) > (right)) - ((left) < (right)))

/* A double cut to an integer is exact in both types, so the integers decide, and after them what
 * was cut off. */
static int order_of_integer_and_real(const struct number *integer, double real)
{
    if (integer->kind == NUMBER_WHOLE) {
        if (real < 0)
            return 1;
        if (real >= 0x1p64)
            return -1;
        uint64_t cut = (uint64_t)real;
        return integer->whole != cut ? ORDER(integer->whole, cut) : ORDER((double)cut, real);
    }
    if (real >= 0)
        return -1;
    if (real < -0x1p63)
        return 1;
    int64_t cut = (int64_t)real;
    return integer->below_zero != cut ? ORDER(integer->below_zero, cut) : ORDER((double)cut, real);
}

static int order_of_numbers(const struct number *left, const struct number *right)
{
    if (left->kind == NUMBER_FLOAT && right->kind == NUMBER_FLOAT)
        return ORDER(left->real, right->real);
    if (left->kind == NUMBER_FLOAT)
        return -order_of_integer_and_real(right, left->real);
    if (right->kind == NUMBER_FLOAT)
        return order_of_integer_and_real(left, right->real);
    if (left->kind != right->kind)
        return left->kind == NUMBER_BELOW_ZERO ? -1 : 1;
    return left->kind == NUMBER_WHOLE ? ORDER(left->whole, right->whole)
                                      : ORDER(left->below_zero, right->below_zero);
}

static int order_of_texts(struct flyover_bytes left, struct flyover_bytes right)
{
    uint32_t shorter = left.count < right.count ? left.count : right.count;
    int order = shorter == 0 ? 0 : memcmp(left.at, right.at, shorter);
    return order != 0 ? ORDER(order, 0) : ORDER(left.count, right.count);
}

bool value_compare(struct flyover_bytes left, struct flyover_bytes right, int *ret_order)
{
    struct flyover_cursor left_at = cursor_of(left);
    struct flyover_cursor right_at = cursor_of(right);
    struct flyover_bytes left_text, right_text;
    if (flyover_read_str(&left_at, &left_text)) {
        if (!flyover_read_str(&right_at, &right_text))
            return false;
        *ret_order = order_of_texts(left_text, right_text);
        return true;
    }
    struct number left_number, right_number;
    if (!read_any_number(left, &left_number) || !read_any_number(right, &right_number))
        return false;
    if (isnan(left_number.real) || isnan(right_number.real))
        return false;
    *ret_order = order_of_numbers(&left_number, &right_number);
    return true;
}
