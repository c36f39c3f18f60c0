/*
 * order: the book of orders and returns. Knows the numbers of the last orders_kept of them, so that
 * none is taken twice, and what all that stand come to.
 *
 *     record          ◄─► void            a sale
 *     record_return   ◄─► void_return     goods that came back: units and value the other way
 *
 * Tables: orders  number -> units v, amount v (LEB128), the oldest dropped
 *         totals  o and r: orders and returns that stand; u and v: their units and their value
 * Figures: orders_standing, returns_standing, units_standing, value_standing.
 */
#include "tools/orders/order_input.h"

enum { TABLE_ORDERS, TABLE_TOTALS };

#define KEPT_DEFAULT 1048576
#define KEPT_MAX     67108864

static const uint8_t key_orders = 'o', key_returns = 'r', key_units = 'u', key_value = 'v';

static struct flyover_table tables[] = {
    [TABLE_ORDERS] = {"orders", FLYOVER_VALUES, KEPT_DEFAULT, FLYOVER_DROP_OLDEST},
    [TABLE_TOTALS] = {"totals", FLYOVER_COUNTERS, 16, FLYOVER_REFUSE},
};

static bool add_total(struct flyover_call *call, const uint8_t *key, int64_t delta)
{
    return delta == 0 || flyover_add(call, TABLE_TOTALS, (struct flyover_bytes){key, 1}, delta);
}

/* `count` more orders or returns that stand, and what they come to. */
static bool add_totals(struct flyover_call *call, const uint8_t *kind, int64_t count, int64_t units,
                       int64_t value)
{
    return add_total(call, kind, count) && add_total(call, &key_units, units) &&
           add_total(call, &key_value, value);
}

static uint8_t *pack(uint8_t *at, int64_t number)
{
    uint64_t left = (uint64_t)number;
    for (; left >= 0x80; left >>= 7)
        *at++ = (uint8_t)(left | 0x80);
    *at++ = (uint8_t)left;
    return at;
}

static bool keep(struct flyover_call *call, struct flyover_bytes number, int64_t units,
                 int64_t amount)
{
    uint8_t value[20];
    uint8_t *end = pack(pack(value, units), amount);
    return flyover_put(call, TABLE_ORDERS, number,
                       (struct flyover_bytes){value, (uint32_t)(end - value)});
}

/* A sale adds to the totals (sign 1), a return takes from them (-1). */
static enum flyover_answer take(struct flyover_call *call, const uint8_t *kind, int64_t sign)
{
    struct order_input input;
    int64_t units, amount;
    if (!order_input_read(flyover_call_input(call), &input) ||
        !order_input_sum(&input, &units, &amount))
        return order_input_refuse(call);
    struct flyover_bytes kept;
    if (flyover_get(call, TABLE_ORDERS, input.number, &kept))
        return flyover_refused(call, "Order.Duplicate", "%.*s was recorded before",
                               (int)input.number.count, (const char *)input.number.at);
    if (!keep(call, input.number, units, amount) ||
        !add_totals(call, kind, 1, sign * units, sign * amount))
        return order_input_refuse_full(call);
    return flyover_done(call);
}

/* The number may be gone already, dropped for newer ones: the totals know the order all the same.
 */
static enum flyover_answer give_back(struct flyover_call *call, const uint8_t *kind, int64_t sign)
{
    struct order_input input;
    int64_t units, amount;
    if (!order_input_read_undo(flyover_call_input(call), &input) ||
        !order_input_sum(&input, &units, &amount))
        return order_input_refuse(call);
    flyover_delete(call, TABLE_ORDERS, input.number);
    if (!add_totals(call, kind, -1, -sign * units, -sign * amount))
        return order_input_refuse_full(call);
    return flyover_done(call);
}

static enum flyover_answer on_record(struct flyover_call *call)
{
    return take(call, &key_orders, 1);
}

static enum flyover_answer on_void(struct flyover_call *call)
{
    return give_back(call, &key_orders, 1);
}

static enum flyover_answer on_record_return(struct flyover_call *call)
{
    return take(call, &key_returns, -1);
}

static enum flyover_answer on_void_return(struct flyover_call *call)
{
    return give_back(call, &key_returns, -1);
}

static bool configure(const char *key, const char *value)
{
    int64_t kept;
    if (strcmp(key, "orders_kept") != 0 || !order_input_setting(value, 1, KEPT_MAX, &kept))
        return false;
    tables[TABLE_ORDERS].entries_max = (uint32_t)kept;
    return true;
}

static void audit(struct flyover_audit *audit)
{
    flyover_audit_figure(audit, "orders_standing",
                         order_input_figure(audit, TABLE_TOTALS, key_orders));
    flyover_audit_figure(audit, "returns_standing",
                         order_input_figure(audit, TABLE_TOTALS, key_returns));
    flyover_audit_figure(audit, "units_standing",
                         order_input_figure(audit, TABLE_TOTALS, key_units));
    flyover_audit_figure(audit, "value_standing",
                         order_input_figure(audit, TABLE_TOTALS, key_value));
}

const struct flyover_service *flyover_service_describe(void)
{
    static const struct flyover_handler handlers[] = {
        {"record", on_record},
        {"void", on_void},
        {"record_return", on_record_return},
        {"void_return", on_void_return},
    };
    static const struct flyover_service service = {
        .abi = FLYOVER_ABI,
        .name = "order",
        .handlers = handlers,
        .handlers_count = sizeof handlers / sizeof handlers[0],
        .tables = tables,
        .tables_count = sizeof tables / sizeof tables[0],
        .configure = configure,
        .audit = audit,
    };
    return &service;
}
