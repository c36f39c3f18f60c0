/*
 * subscription: what has to be said again of a SUBSCRIBE after a cut, and its credit.
 *
 * Threads: the client's. Memory: its own texts.
 */
#ifndef ENGINE_CLIENT_SUBSCRIPTION_H
#define ENGINE_CLIENT_SUBSCRIPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/flyover_service.h"

#define SUBSCRIPTION_CREDIT             1024u
#define SUBSCRIPTION_POSITION_BYTES_MAX 255u

struct subscription {
    char *definition, *states;                       /* NULL: all */
    char after[SUBSCRIPTION_POSITION_BYTES_MAX + 1]; /* of the last event that came; "": none */
    uint32_t kept_count;  /* events that came and were not given to the caller yet */
    uint32_t given_count; /* given to the caller, and their credit not back at the engine */
};

/* Returns owned; NULL: no memory. `after` NULL: none; at most SUBSCRIPTION_POSITION_BYTES_MAX. */
struct subscription *subscription_open(const char *definition, const char *states,
                                       const char *after);
void subscription_close(struct subscription *subscription);
/* An event came. False: its position is longer than any. */
bool subscription_on_event(struct subscription *subscription, struct flyover_bytes position);
/* The caller has taken one; returns the credit to be sent now, or 0. */
uint32_t subscription_give(struct subscription *subscription);
/* The SUBSCRIBE message, and how many bytes it takes at most. */
size_t subscription_bytes_max(const struct subscription *subscription);
uint8_t *subscription_put(struct subscription *subscription, uint64_t id, uint8_t *at);

#endif
