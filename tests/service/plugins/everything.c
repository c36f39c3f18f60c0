/* A plug-in that needs every function of flyover_service.h: it loads only where all are there. Its
 * one setting, `tables`, changes how many tables it has. */
#include <stdlib.h>
#include <string.h>

#include "engine/flyover_service.h"

static const struct flyover_table tables[] = {
    {"values", FLYOVER_VALUES, 16, FLYOVER_DROP_OLDEST},
    {"counters", FLYOVER_COUNTERS, 16, FLYOVER_REFUSE},
};
static const struct flyover_bytes key = {(const uint8_t *)"key", 3};

static bool read_all(struct flyover_cursor at)
{
    struct flyover_bytes bytes;
    struct flyover_cursor found;
    uint32_t count;
    int64_t number;
    double real;
    bool truth;
    return flyover_peek(&at) == FLYOVER_END || flyover_find(&at, "key", &found) ||
           flyover_read_nil(&at) || flyover_read_bool(&at, &truth) ||
           flyover_read_int(&at, &number) || flyover_read_number(&at, &real) ||
           flyover_read_str(&at, &bytes) || flyover_read_bin(&at, &bytes) ||
           flyover_read_array(&at, &count) || flyover_read_map(&at, &count) || flyover_skip(&at);
}

static enum flyover_answer handle(struct flyover_call *call)
{
    struct flyover_bytes value;
    if (flyover_call_key(call).step_no > 7)
        return flyover_retry(call, "Everything.NotNow", "step %u", flyover_call_key(call).step_no);
    if (!read_all(flyover_call_input(call)))
        return flyover_refused(call, "Everything.Unreadable", "not msgpack");
    if (!flyover_get(call, 0, key, &value) && !flyover_put(call, 0, key, key))
        return flyover_done(call);
    if (flyover_count(call, 1, key) > 3 && flyover_delete(call, 1, key))
        return flyover_done(call);
    flyover_add(call, 1, key, 1);
    return flyover_done_with(call, "\x01", 1);
}

static void visit(void *context, struct flyover_bytes at, struct flyover_bytes value, int64_t count)
{
    (void)at;
    (void)value;
    *(int64_t *)context += count;
}

static void audit(struct flyover_audit *audit)
{
    int64_t sum = 0;
    flyover_audit_each(audit, 1, visit, &sum);
    flyover_audit_figure(audit, "sum", sum);
}

static struct flyover_service service;

static bool configure(const char *name, const char *value)
{
    if (strcmp(name, "tables") != 0)
        return false;
    service.tables_count = (uint32_t)strtoul(value, NULL, 10);
    return service.tables_count <= 64;
}

const struct flyover_service *flyover_service_describe(void)
{
    static const struct flyover_handler handler = {"handle", handle};
    service = (struct flyover_service){
        .abi = FLYOVER_ABI,
        .name = "everything",
        .handlers = &handler,
        .handlers_count = 1,
        .tables = tables,
        .tables_count = 2,
        .configure = configure,
        .audit = audit,
    };
    return &service;
}
