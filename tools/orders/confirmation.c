/*
 * confirmation: tells the customer. This one counts whom it would have told, so that an audit can
 * hold the count against the orders that stand. There is nothing to undo: a saga asks for it last,
 * when all that may fail has been done.
 *
 * Tables: totals  s and r: sales and returns confirmed
 * Figures: confirmed, returns_confirmed.
 */
#include "tools/orders/order_input.h"

enum { TABLE_TOTALS };

static const uint8_t key_sales = 's', key_returns = 'r';

static const struct flyover_table tables[] = {
    [TABLE_TOTALS] = {"totals", FLYOVER_COUNTERS, 16, FLYOVER_REFUSE},
};

static enum flyover_answer count(struct flyover_call *call, const uint8_t *key)
{
    if (!flyover_add(call, TABLE_TOTALS, (struct flyover_bytes){key, 1}, 1))
        return order_input_refuse_full(call);
    return flyover_done(call);
}

static enum flyover_answer on_confirm(struct flyover_call *call)
{
    return count(call, &key_sales);
}

static enum flyover_answer on_confirm_return(struct flyover_call *call)
{
    return count(call, &key_returns);
}

static void audit(struct flyover_audit *audit)
{
    flyover_audit_figure(audit, "confirmed", order_input_figure(audit, TABLE_TOTALS, key_sales));
    flyover_audit_figure(audit, "returns_confirmed",
                         order_input_figure(audit, TABLE_TOTALS, key_returns));
}

const struct flyover_service *flyover_service_describe(void)
{
    static const struct flyover_handler handlers[] = {
        {"confirm", on_confirm},
        {"confirm_return", on_confirm_return},
    };
    static const struct flyover_service service = {
        .abi = FLYOVER_ABI,
        .name = "confirmation",
        .handlers = handlers,
        .handlers_count = sizeof handlers / sizeof handlers[0],
        .tables = tables,
        .tables_count = sizeof tables / sizeof tables[0],
        .audit = audit,
    };
    return &service;
}
