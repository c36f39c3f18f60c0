/*
 * order_input: the order as the four services of this folder read it, and their settings.
 *
 *   {"number": str, "customer": str, "lines": [[code str, quantity int, amount int], ...]}
 *
 * in any order, with other fields between them. A return has the same shape, quantities positive.
 * Amounts are in minor units (pence), a line's whole amount. The input is walked once, nothing is
 * copied: the texts point into it.
 *
 * Limits: the largest payload has so few lines that sums of quantities or amounts cannot overflow.
 */
#ifndef TOOLS_ORDERS_ORDER_INPUT_H
#define TOOLS_ORDERS_ORDER_INPUT_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/flyover_service.h"

/* [code, quantity, amount]: a line has at least a head, a code of one byte, and two numbers. */
#define ORDER_INPUT_LINE_BYTES_MIN 5u
#define ORDER_INPUT_LINES_MAX      (FLYOVER_PAYLOAD_BYTES_MAX / ORDER_INPUT_LINE_BYTES_MIN)
/* Of one line, of quantity as of amount. */
#define ORDER_INPUT_NUMBER_MAX 100000000000000ll

_Static_assert(INT64_MAX / ORDER_INPUT_NUMBER_MAX > ORDER_INPUT_LINES_MAX,
               "the sum over the lines of one order fits int64_t");

struct order_input {
    struct flyover_bytes number;
    struct flyover_bytes customer;
    struct flyover_cursor lines; /* at the first line */
    uint32_t lines_count;
};

struct order_line {
    struct flyover_bytes code;
    int64_t quantity;
    int64_t amount;
};

static inline bool order_input_is(struct flyover_bytes text, const char *literal)
{
    size_t bytes = strlen(literal);
    return text.count == bytes && memcmp(text.at, literal, bytes) == 0;
}

/* Texts become keys of tables. */
static inline bool order_input_read_key(struct flyover_cursor *at, struct flyover_bytes *ret_key)
{
    return flyover_read_str(at, ret_key) && ret_key->count > 0 &&
           ret_key->count <= FLYOVER_KEY_BYTES_MAX;
}

/* Over the value of one field; `last` spares the walk over the lines where nothing follows. */
static inline bool order_input_read_field(struct flyover_cursor *at, struct order_input *input,
                                          bool last)
{
    struct flyover_bytes key;
    if (!flyover_read_str(at, &key))
        return false;
    if (order_input_is(key, "number"))
        return order_input_read_key(at, &input->number);
    if (order_input_is(key, "customer"))
        return order_input_read_key(at, &input->customer);
    if (!order_input_is(key, "lines"))
        return flyover_skip(at);
    input->lines = *at;
    return flyover_read_array(&input->lines, &input->lines_count) && (last || flyover_skip(at));
}

/* False where a field is missing, empty, too long, or of another type. The lines are still to be
 * read. */
static inline bool order_input_read(struct flyover_cursor at, struct order_input *ret_input)
{
    *ret_input = (struct order_input){0};
    uint32_t pairs;
    if (!flyover_read_map(&at, &pairs))
        return false;
    for (; pairs > 0; pairs--)
        if (!order_input_read_field(&at, ret_input, pairs == 1))
            return false;
    return ret_input->number.count > 0 && ret_input->customer.count > 0 &&
           ret_input->lines_count > 0;
}

/* The input of the step that a compensation undoes. */
static inline bool order_input_read_undo(struct flyover_cursor at, struct order_input *ret_input)
{
    struct flyover_cursor input;
    return flyover_find(&at, "input", &input) && order_input_read(input, ret_input);
}

/* The next of the lines_count lines; false where it is none. */
static inline bool order_input_next_line(struct order_input *input, struct order_line *ret_line)
{
    struct flyover_cursor *at = &input->lines;
    uint32_t count;
    return flyover_read_array(at, &count) && count == 3 &&
           order_input_read_key(at, &ret_line->code) && flyover_read_int(at, &ret_line->quantity) &&
           flyover_read_int(at, &ret_line->amount) && ret_line->quantity > 0 &&
           ret_line->quantity <= ORDER_INPUT_NUMBER_MAX && ret_line->amount >= 0 &&
           ret_line->amount <= ORDER_INPUT_NUMBER_MAX;
}

/* Takes all lines; false where one is not a line. */
static inline bool order_input_sum(struct order_input *input, int64_t *ret_units,
                                   int64_t *ret_amount)
{
    int64_t units = 0, amount = 0;
    for (uint32_t i = 0; i < input->lines_count; i++) {
        struct order_line line;
        if (!order_input_next_line(input, &line))
            return false;
        units += line.quantity;
        amount += line.amount;
    }
    *ret_units = units;
    *ret_amount = amount;
    return true;
}

static inline enum flyover_answer order_input_refuse(struct flyover_call *call)
{
    return flyover_refused(
        call, "Order.Invalid",
        "not an order: it needs a number and a customer, texts of 1 to %u bytes, and lines of "
        "[code, quantity over 0, amount of 0 or more], up to %lld each",
        FLYOVER_KEY_BYTES_MAX, ORDER_INPUT_NUMBER_MAX);
}

/* A write was refused: what the tables may hold is held. */
static inline enum flyover_answer order_input_refuse_full(struct flyover_call *call)
{
    return flyover_refused(
        call, "Flyover.StateFull",
        "a table of the service holds all the entries it may, or a sum is at its "
        "end: nothing was written");
}

/* The value of a setting: a whole number from `least` to `most`. */
static inline bool order_input_setting(const char *value, int64_t least, int64_t most,
                                       int64_t *ret_number)
{
    char *end;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || number < least || number > most)
        return false;
    *ret_number = number;
    return true;
}

/* A counter of a table that has few; what flyover_audit_each visits. */
struct order_figure {
    uint8_t key;
    int64_t count;
};

static inline void order_input_visit_figure(void *context, struct flyover_bytes key,
                                            struct flyover_bytes value, int64_t count)
{
    (void)value;
    struct order_figure *figure = (struct order_figure *)context;
    if (key.count == 1 && *key.at == figure->key)
        figure->count = count;
}

static inline int64_t order_input_figure(struct flyover_audit *audit, uint32_t table, uint8_t key)
{
    struct order_figure figure = {.key = key};
    flyover_audit_each(audit, table, order_input_visit_figure, &figure);
    return figure.count;
}

#endif
