/* A service of one handler and one table: it greets people and remembers how often. */
#include <stdio.h>

#include "flyover_service.h"

enum { TABLE_TIMES };

static enum flyover_answer hello(struct flyover_call *call)
{
    struct flyover_cursor input = flyover_call_input(call);
    struct flyover_cursor found;
    struct flyover_bytes name;
    if (!flyover_find(&input, "name", &found) || !flyover_read_str(&found, &name))
        return flyover_refused(call, "Greet.NoName", "the input has no \"name\"");
    if (name.count > 31)
        return flyover_refused(call, "Greet.LongName", "a name has at most 31 bytes");
    if (!flyover_add(call, TABLE_TIMES, name, 1))
        return flyover_refused(call, "Greet.Full", "too many people");
    long long times = (long long)flyover_count(call, TABLE_TIMES, name);

    /* The output is one msgpack value: here a string of at most 255 bytes. */
    char output[128];
    int bytes = snprintf(output + 2, sizeof output - 2, "Hello %.*s, for the %lld. time",
                         (int)name.count, (const char *)name.at, times);
    output[0] = (char)0xd9;
    output[1] = (char)bytes;
    return flyover_done_with(call, output, (size_t)bytes + 2);
}

static enum flyover_answer goodbye(struct flyover_call *call)
{
    (void)call;
    return flyover_refused(call, "Greet.Never", "nobody leaves");
}

static enum flyover_answer forget(struct flyover_call *call)
{
    /* A compensation gets {"input": ..., "output": ...} of the step that it undoes. */
    struct flyover_cursor both = flyover_call_input(call);
    struct flyover_cursor input, found;
    struct flyover_bytes name;
    if (flyover_find(&both, "input", &input) && flyover_find(&input, "name", &found) &&
        flyover_read_str(&found, &name))
        flyover_add(call, TABLE_TIMES, name, -1);
    return flyover_done(call);
}

static const struct flyover_handler handlers[] = {
    {"hello", hello}, {"goodbye", goodbye}, {"forget", forget}};
static const struct flyover_table tables[] = {
    {"times", FLYOVER_COUNTERS, .entries_max = 100000, .when_full = FLYOVER_REFUSE}};
static const struct flyover_service service = {
    .abi = FLYOVER_ABI,
    .name = "greet",
    .handlers = handlers,
    .handlers_count = 3,
    .tables = tables,
    .tables_count = 1,
};

const struct flyover_service *flyover_service_describe(void)
{
    return &service;
}
