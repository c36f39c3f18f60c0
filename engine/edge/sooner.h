/*
 * sooner: of two times to wait until another turn, the nearer. As turns say it (edge_module.h): in
 * milliseconds, less than 0: never.
 *
 * Threads: any; pure.
 */
#ifndef ENGINE_EDGE_SOONER_H
#define ENGINE_EDGE_SOONER_H

#include <stdint.h>

static inline int64_t sooner(int64_t left_ms, int64_t right_ms)
{
    if (left_ms < 0 || right_ms < 0)
        return left_ms < 0 ? right_ms : left_ms;
    return left_ms < right_ms ? left_ms : right_ms;
}

#endif
