/*
 * kept: messages that came while the caller waited for another, in the order in which they came.
 *
 * Threads: the client's. Memory: a copy each; bounded by the window and the credits, which bound
 * what may come.
 */
#ifndef ENGINE_CLIENT_KEPT_H
#define ENGINE_CLIENT_KEPT_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/flyover_service.h"

struct kept {
    struct kept *next;
    uint64_t word; /* of the request; of an INVOKE: the invocation's id for the caller */
    uint64_t id;   /* of the subscription of an EVENT, which is counted when it is taken */
    uint32_t count;
    uint8_t bytes[];
};

struct kept_queue {
    struct kept *first, *last;
};

/* False: no memory. */
bool kept_add(struct kept_queue *queue, struct flyover_bytes raw, uint64_t word, uint64_t id);
/* The first one, owned by the caller from now on (free); NULL: none. */
struct kept *kept_take(struct kept_queue *queue);
void kept_clear(struct kept_queue *queue);

#endif
