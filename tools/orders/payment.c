/*
 * payment: what each customer has paid and not got back, in minor units. A customer may owe up to
 * credit_limit; the customer "guest" pays at once and has none.
 *
 *     charge         ◄─► refund      for a sale, or Payment.CreditLimitReached
 *     refund_return  ◄─► recharge    for a return: always goes through, a balance may go below 0
 *
 * Tables: balances  customer -> money captured
 * Figures: money_captured.
 */
#include "tools/orders/order_input.h"

enum { TABLE_BALANCES };

#define CREDIT_LIMIT_DEFAULT 10000000
#define CREDIT_LIMIT_MAX     1000000000000000

static int64_t credit_limit = CREDIT_LIMIT_DEFAULT;

static const struct flyover_table tables[] = {
    [TABLE_BALANCES] = {"balances", FLYOVER_COUNTERS, 1048576, FLYOVER_REFUSE},
};

static enum flyover_answer move_money(struct flyover_call *call, struct flyover_bytes customer,
                                      int64_t amount)
{
    if (amount != 0 && !flyover_add(call, TABLE_BALANCES, customer, amount))
        return order_input_refuse_full(call);
    return flyover_done(call);
}

static enum flyover_answer on_charge(struct flyover_call *call)
{
    struct order_input input;
    int64_t units, amount;
    if (!order_input_read(flyover_call_input(call), &input) ||
        !order_input_sum(&input, &units, &amount))
        return order_input_refuse(call);
    if (!order_input_is(input.customer, "guest")) {
        int64_t balance = flyover_count(call, TABLE_BALANCES, input.customer);
        if (balance > credit_limit - amount)
            return flyover_refused(call, "Payment.CreditLimitReached",
                                   "%.*s: has %lld, wanted %lld more, the limit is %lld",
                                   (int)input.customer.count, (const char *)input.customer.at,
                                   (long long)balance, (long long)amount, (long long)credit_limit);
    }
    return move_money(call, input.customer, amount);
}

static enum flyover_answer on_refund_return(struct flyover_call *call)
{
    struct order_input input;
    int64_t units, amount;
    if (!order_input_read(flyover_call_input(call), &input) ||
        !order_input_sum(&input, &units, &amount))
        return order_input_refuse(call);
    return move_money(call, input.customer, -amount);
}

static enum flyover_answer undo(struct flyover_call *call, int64_t sign)
{
    struct order_input input;
    int64_t units, amount;
    if (!order_input_read_undo(flyover_call_input(call), &input) ||
        !order_input_sum(&input, &units, &amount))
        return order_input_refuse(call);
    return move_money(call, input.customer, sign * amount);
}

static enum flyover_answer on_refund(struct flyover_call *call)
{
    return undo(call, -1);
}

static enum flyover_answer on_recharge(struct flyover_call *call)
{
    return undo(call, 1);
}

static bool configure(const char *key, const char *value)
{
    return strcmp(key, "credit_limit") == 0 &&
           order_input_setting(value, 0, CREDIT_LIMIT_MAX, &credit_limit);
}

static void add_balance(void *context, struct flyover_bytes key, struct flyover_bytes value,
                        int64_t count)
{
    (void)key;
    (void)value;
    *(int64_t *)context += count;
}

static void audit(struct flyover_audit *audit)
{
    int64_t captured = 0;
    flyover_audit_each(audit, TABLE_BALANCES, add_balance, &captured);
    flyover_audit_figure(audit, "money_captured", captured);
}

const struct flyover_service *flyover_service_describe(void)
{
    static const struct flyover_handler handlers[] = {
        {"charge", on_charge},
        {"refund", on_refund},
        {"refund_return", on_refund_return},
        {"recharge", on_recharge},
    };
    static const struct flyover_service service = {
        .abi = FLYOVER_ABI,
        .name = "payment",
        .handlers = handlers,
        .handlers_count = sizeof handlers / sizeof handlers[0],
        .tables = tables,
        .tables_count = sizeof tables / sizeof tables[0],
        .configure = configure,
        .audit = audit,
    };
    return &service;
}
