/*
 * clock: the two clocks of the machine, in the units that names end with. Only threads with I/O
 * read a clock; the saga core gets `now_ms` from the block.
 */
#ifndef ENGINE_BASE_CLOCK_H
#define ENGINE_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_read_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Monotonic; for intervals. */
static inline uint64_t clock_now_ns(void)
{
    return clock_read_ns(CLOCK_MONOTONIC);
}

/* Milliseconds since 1970; may step. */
static inline int64_t clock_wall_ms(void)
{
    return (int64_t)(clock_read_ns(CLOCK_REALTIME) / 1000000u);
}

/* CPU time of the calling thread. */
static inline uint64_t clock_thread_cpu_ns(void)
{
    return clock_read_ns(CLOCK_THREAD_CPUTIME_ID);
}

#endif
