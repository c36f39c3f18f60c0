/*
 * metrics: what `serve` tells monitoring, over HTTP:
 *
 *     /metrics   Prometheus's text format 0.0.4 (metrics_text.h)
 *     /healthz   200 while the engine's thread turns, 503 once it has not for METRICS_STALL_MS
 *     /readyz    200 while it serves, 503 with a sentence while it recovers or stops
 *
 * HTTP is libmicrohttpd's (GNU, kept by every distribution, years of hostile input behind it): a
 * parser of our own would be one more thing to attack and to look after, for three pages.
 *
 *     scraper ── GET /metrics ──► metrics' thread ── wanted, wake ──► engine's thread, in a turn
 *             ◄── text ──────────                 ◄── a copy of struct figures ──
 *
 * The engine's thread is never waited for for long, and never waits: it fills a struct of its own
 * and holds the lock while that is copied. No figures are taken anew within METRICS_FRESH_MS. Where
 * the engine does not answer within METRICS_PATIENCE_MS, the last figures are told, with their age.
 *
 * Threads: metrics_turn and metrics_set_stage by the engine's; open and close by the one that has
 *          it; everything else on a thread of its own.
 * Memory:  three copies of struct figures, 16 KiB a connection, and a page while it is sent.
 * Limits:  METRICS_CONNECTIONS_MAX; who comes then waits to be accepted. A connection carries one
 *          request, is cut after METRICS_IDLE_S without a byte and after METRICS_LIFE_S in all.
 * Errors:  other paths 404, other methods 405; garbage is answered 400 or cut by the library.
 */
#ifndef ENGINE_MAIN_METRICS_H
#define ENGINE_MAIN_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/admin/figures.h"

#define METRICS_CONNECTIONS_MAX 32u
#define METRICS_IDLE_S          5u
#define METRICS_LIFE_S          20u
#define METRICS_FRESH_MS        100u
#define METRICS_PATIENCE_MS     250u
#define METRICS_STALL_MS        5000u

enum metrics_stage { METRICS_RECOVERING, METRICS_SERVING, METRICS_DRAINING, METRICS_STOPPING };

struct metrics;

struct metrics_options {
    const char *address;                       /* as of listener.h; borrowed for open */
    const char *version, *commit, *durability; /* borrowed */
    const char *directory;                     /* borrowed; NULL: mode memory */
    const _Atomic uint64_t *recovered_blocks;  /* borrowed; counts while it recovers */
    int wake_fd;                               /* eventfd: the engine's thread looks in */
    uint32_t idle_s, life_ms;                  /* 0: METRICS_IDLE_S, METRICS_LIFE_S */
    uint64_t (*now_ns)(void);                  /* NULL: the machine's */
};

/* Listens, and answers from now on. Returns owned. What listener_open may say; STATUS_NO_MEMORY. */
NODISCARD enum status metrics_open(const struct metrics_options *options,
                                   struct metrics **ret_metrics, struct problem *problem);
/* Where it listens ("127.0.0.1:9464"). */
const char *metrics_address(const struct metrics *metrics);
void metrics_set_stage(struct metrics *metrics, enum metrics_stage stage);
/* Once a turn: the heartbeat, and figures where they are asked for; true if it has more to do at
 * once. Costs a look at the clock and two relaxed accesses where nobody asks. */
bool metrics_turn(struct metrics *metrics, const struct partition *partition);
/* Accepts NULL. */
void metrics_close(struct metrics *metrics);

#endif
