#include "engine/edge/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/clock.h"

#define LOG_TEXT_BYTES 2048u

static int64_t machine_wall_ms(void *context)
{
    (void)context;
    return clock_wall_ms();
}

static int64_t machine_now_ms(void *context)
{
    (void)context;
    return (int64_t)(clock_now_ns() / 1000000u);
}

static double machine_chance(void *context)
{
    (void)context;
    return (double)arc4random() / 4294967296.0;
}

static const char *machine_variable(void *context, const char *name)
{
    (void)context;
    return getenv(name);
}

struct world world_of_machine(void)
{
    return (struct world){
        .wall_ms = machine_wall_ms,
        .now_ms = machine_now_ms,
        .chance = machine_chance,
        .variable = machine_variable,
    };
}

const char *world_variable(const struct world *world, const char *name)
{
    const char *value = world->variable(world->context, name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

void world_log(const struct world *world, int level, const char *event, const char *format, ...)
{
    if (world->on_log == NULL)
        return;
    char text[LOG_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    world->on_log(world->log_context, level, event, text);
}
