/*
 * inventory: units on hand, by the code of the goods. A code seen for the first time has
 * units_initial of them, so that a history of orders can be taken in without a list of goods.
 *
 *     reserve  ◄─► release    out of stock for a sale: all lines, or none and Inventory.OutOfStock
 *     restock  ◄─► unstock    back into stock from a return
 *
 * A counter that is absent reads as 0, and so would goods that are sold out. So a counter holds
 * twice the units on hand, and one: an odd number, never 0.
 *
 * Tables: stock   code -> 2 x units on hand + 1
 *         totals  u: units that were on hand when codes were seen first
 * Figures: units_start, units_on_hand.
 */
#include "tools/orders/order_input.h"

enum { TABLE_STOCK, TABLE_TOTALS };

#define UNITS_INITIAL_DEFAULT 100000000
#define UNITS_INITIAL_MAX     1000000000000

static const uint8_t key_units_start = 'u';
static int64_t units_initial = UNITS_INITIAL_DEFAULT;

static const struct flyover_table tables[] = {
    [TABLE_STOCK] = {"stock", FLYOVER_COUNTERS, 1048576, FLYOVER_REFUSE},
    [TABLE_TOTALS] = {"totals", FLYOVER_COUNTERS, 16, FLYOVER_REFUSE},
};

static int64_t units_of(int64_t count)
{
    return count >> 1;
}

/* Units on hand, or those that a code not seen before will have. */
static int64_t units_on_hand(struct flyover_call *call, struct flyover_bytes code, bool *ret_first)
{
    int64_t count = flyover_count(call, TABLE_STOCK, code);
    *ret_first = count == 0;
    return *ret_first ? units_initial : units_of(count);
}

/* Moves units into stock, or out of it where the number is below 0. */
static bool move_units(struct flyover_call *call, struct flyover_bytes code, bool first,
                       int64_t units)
{
    if (!first)
        return flyover_add(call, TABLE_STOCK, code, 2 * units);
    return flyover_add(call, TABLE_STOCK, code, 2 * (units_initial + units) + 1) &&
           (units_initial == 0 ||
            flyover_add(call, TABLE_TOTALS, (struct flyover_bytes){&key_units_start, 1},
                        units_initial));
}

/* A code that comes twice is short in its second line: a call sees its own writes. What the lines
 * before a refusal wrote vanishes with it. */
static enum flyover_answer on_reserve(struct flyover_call *call)
{
    struct order_input input;
    if (!order_input_read(flyover_call_input(call), &input))
        return order_input_refuse(call);
    for (uint32_t i = 0; i < input.lines_count; i++) {
        struct order_line line;
        if (!order_input_next_line(&input, &line))
            return order_input_refuse(call);
        bool first;
        int64_t units = units_on_hand(call, line.code, &first);
        if (units < line.quantity)
            return flyover_refused(call, "Inventory.OutOfStock", "%.*s: wanted %lld, on hand %lld",
                                   (int)line.code.count, (const char *)line.code.at,
                                   (long long)line.quantity, (long long)units);
        if (!move_units(call, line.code, first, -line.quantity))
            return order_input_refuse_full(call);
    }
    return flyover_done(call);
}

/* Whatever is on hand: what was sold again since a restock leaves less than nothing after unstock.
 */
static enum flyover_answer move_lines(struct flyover_call *call, struct order_input *input,
                                      int64_t sign)
{
    for (uint32_t i = 0; i < input->lines_count; i++) {
        struct order_line line;
        if (!order_input_next_line(input, &line))
            return order_input_refuse(call);
        bool first;
        (void)units_on_hand(call, line.code, &first);
        if (!move_units(call, line.code, first, sign * line.quantity))
            return order_input_refuse_full(call);
    }
    return flyover_done(call);
}

static enum flyover_answer on_release(struct flyover_call *call)
{
    struct order_input input;
    if (!order_input_read_undo(flyover_call_input(call), &input))
        return order_input_refuse(call);
    return move_lines(call, &input, 1);
}

static enum flyover_answer on_restock(struct flyover_call *call)
{
    struct order_input input;
    if (!order_input_read(flyover_call_input(call), &input))
        return order_input_refuse(call);
    return move_lines(call, &input, 1);
}

static enum flyover_answer on_unstock(struct flyover_call *call)
{
    struct order_input input;
    if (!order_input_read_undo(flyover_call_input(call), &input))
        return order_input_refuse(call);
    return move_lines(call, &input, -1);
}

static bool configure(const char *key, const char *value)
{
    return strcmp(key, "units_initial") == 0 &&
           order_input_setting(value, 0, UNITS_INITIAL_MAX, &units_initial);
}

static void add_units(void *context, struct flyover_bytes key, struct flyover_bytes value,
                      int64_t count)
{
    (void)key;
    (void)value;
    *(int64_t *)context += units_of(count);
}

static void audit(struct flyover_audit *audit)
{
    int64_t on_hand = 0;
    flyover_audit_each(audit, TABLE_STOCK, add_units, &on_hand);
    flyover_audit_figure(audit, "units_start",
                         order_input_figure(audit, TABLE_TOTALS, key_units_start));
    flyover_audit_figure(audit, "units_on_hand", on_hand);
}

const struct flyover_service *flyover_service_describe(void)
{
    static const struct flyover_handler handlers[] = {
        {"reserve", on_reserve},
        {"release", on_release},
        {"restock", on_restock},
        {"unstock", on_unstock},
    };
    static const struct flyover_service service = {
        .abi = FLYOVER_ABI,
        .name = "inventory",
        .handlers = handlers,
        .handlers_count = sizeof handlers / sizeof handlers[0],
        .tables = tables,
        .tables_count = sizeof tables / sizeof tables[0],
        .configure = configure,
        .audit = audit,
    };
    return &service;
}
