/*
 * world: what requests to AWS need of the machine beside the network: clocks, chance, variables of
 * the environment, and somebody who is told what an operator should know. Tests bring their own.
 *
 * Threads: the edge thread. Memory: the caller's.
 */
#ifndef ENGINE_EDGE_WORLD_H
#define ENGINE_EDGE_WORLD_H

#include <stdint.h>

struct world {
    int64_t (*wall_ms)(void *context);                        /* since 1970; may step */
    int64_t (*now_ms)(void *context);                         /* monotonic */
    double (*chance)(void *context);                          /* from 0 to below 1 */
    const char *(*variable)(void *context, const char *name); /* NULL or "": it is not set */
    void *context;
    /* `level` as of syslog(3). NULL: nobody is told. */
    void (*on_log)(void *context, int level, const char *event, const char *text);
    void *log_context;
};

/* The machine's own; nobody is told anything. */
struct world world_of_machine(void);

/* NULL where it is not set or empty. */
const char *world_variable(const struct world *world, const char *name);
__attribute__((format(printf, 4, 5))) void world_log(const struct world *world, int level,
                                                     const char *event, const char *format, ...);

#endif
