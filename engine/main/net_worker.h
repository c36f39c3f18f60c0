/*
 * net_worker: serves the steps of the definition `remote` as a worker in another process does: the
 * four steps of an order, with their compensations, each done as soon as it comes.
 *
 * Threads: one owner. Memory: of a client.
 */
#ifndef ENGINE_MAIN_NET_WORKER_H
#define ENGINE_MAIN_NET_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/client/flyover.h"

/* Its name, and what it says. */
#define NET_WORKER_DEFINITION "bench_remote"
extern const char net_worker_text[];

struct net_worker {
    struct flyover_client *client; /* NULL: none */
};

/* Connects and registers for all services, so many steps at once at most. STATUS_IO. */
NODISCARD enum status net_worker_open(struct net_worker *worker,
                                      const struct flyover_client_options *options, uint32_t credit,
                                      struct problem *problem);
/* Answers all that came; returns how many. `look`: also what else came. Where the connection is
 * lost, and nothing went wrong before, *problem says so. */
uint64_t net_worker_turn(struct net_worker *worker, bool look, struct problem *problem);
void net_worker_close(struct net_worker *worker);

#endif
