/*
 * net_idle: connections that are open and do nothing but say that they live when they are asked.
 *
 * Threads: one owner. Memory: of as many clients of the library, about 10 KiB each.
 */
#ifndef ENGINE_MAIN_NET_IDLE_H
#define ENGINE_MAIN_NET_IDLE_H

#include <stdint.h>

#include "engine/base/status.h"
#include "engine/client/flyover.h"

struct net_idle {
    int poll_fd; /* readable when one of them is */
    struct flyover_client **clients;
    uint32_t count;
};

/* Each is welcomed when this returns. STATUS_IO, STATUS_NO_MEMORY. */
NODISCARD enum status net_idle_open(struct net_idle *idle,
                                    const struct flyover_client_options *options, uint32_t count,
                                    struct problem *problem);
/* Answers what was asked. */
void net_idle_turn(struct net_idle *idle);
/* How many are no longer connected. */
uint32_t net_idle_lost(const struct net_idle *idle);
/* Of one that was never opened, all zeroes, too. */
void net_idle_close(struct net_idle *idle);

#endif
