/*
 * net_engine: a `flyover serve` that is started for one run, as a program of its own, and stopped
 * behind it; and what the kernel knows of its CPU time and memory.
 *
 * It is killed should this program die. What it says is read along, so that it never waits for a
 * reader, and its last line is part of the sentence where it ends badly.
 *
 * Threads: one owner. Memory: fixed, 4 KiB.
 */
#ifndef ENGINE_MAIN_NET_ENGINE_H
#define ENGINE_MAIN_NET_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/main/net_options.h"
#include "engine/main/session.h"

#define NET_ENGINE_THREADS_MAX 64u
#define NET_ENGINE_TEXT_BYTES  4096u

struct net_engine {
    pid_t pid;                        /* 0: none runs */
    int says;                         /* its stderr */
    char text[NET_ENGINE_TEXT_BYTES]; /* the end of what it has said, terminated */
    uint32_t text_bytes;
    char address[256];
};

/* Threads of one name together. */
struct net_engine_thread {
    char name[16];
    uint64_t cpu_ns;
};

struct net_engine_usage {
    uint32_t threads_count;
    struct net_engine_thread threads[NET_ENGINE_THREADS_MAX];
    uint64_t cpu_ns; /* of all */
    uint64_t rss_bytes, rss_bytes_max;
};

/* With these options of a session, which must name a directory unless the mode is memory, and
 * `definition` (NULL: none) made known. Returns when it listens, or has ended. `connections`: how
 * many it must take. STATUS_IO. */
NODISCARD enum status net_engine_start(struct net_engine *engine,
                                       const struct session_options *options, enum net_spawn spawn,
                                       uint32_t connections, const char *definition,
                                       struct problem *problem);
/* Reads along; often enough is once a second. */
void net_engine_listen(struct net_engine *engine);
/* All zeroes where it cannot be told. */
void net_engine_measure(const struct net_engine *engine, struct net_engine_usage *ret_usage);
/* Asks it to stop and waits until it has: STATUS_IO where that went wrong. */
NODISCARD enum status net_engine_stop(struct net_engine *engine, struct problem *problem);

#endif
