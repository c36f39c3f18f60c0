/*
 * batcher: what goes to one destination goes together: messages to a queue, to a topic, receipts
 * that are deleted.
 *
 * An item is sent at once where nothing is under way to its destination. Else it waits, and goes
 * with those that came meanwhile as soon as something that is under way has ended, or as soon as
 * they fill a batch while a connection is free. So batches grow with the load and nobody waits for
 * a clock.
 *
 *     batcher_add ──► batcher_turn ──► options.send(batch)
 *                          ▲               │ each item is the caller's again,
 *                          └─ batcher_again ◄┤ or goes back;
 *                                          └──► batcher_end(batch)
 *
 * Items of one order are never in two batches at once, and go in the order in which they were
 * added; one that goes back holds up those behind it.
 *
 * Threads: one. Memory: items are the caller's; a destination lives while it has any.
 */
#ifndef ENGINE_EDGE_BATCHER_H
#define ENGINE_EDGE_BATCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

#define BATCHER_ITEMS_MAX       10u /* a batch: SQS's and SNS's limit */
#define BATCHER_CONNECTIONS_MAX 64u

struct batcher;
struct batcher_destination;

/* A part of the caller's own struct. */
struct batcher_item {
    struct batcher_item *next;
    struct batcher_destination *to;
    size_t bytes;     /* of what the batch's limit counts */
    uint64_t order;   /* 0: none */
    int64_t ready_ms; /* it is not sent before; set by batcher_again */
    uint32_t tries;   /* how often it went back */
    bool alone;       /* it shares its batch with nobody */
};

struct batcher_batch {
    struct batcher_batch *next;
    struct batcher_destination *to;
    struct batcher *batcher;
    void *context;   /* the options' */
    const char *key; /* of the destination */
    uint32_t count;
    struct batcher_item *items[BATCHER_ITEMS_MAX];
};

struct batcher_options {
    uint32_t items_max;       /* a batch; at most BATCHER_ITEMS_MAX */
    size_t bytes_max;         /* a batch; one item that is larger goes alone */
    uint32_t connections_max; /* batches under way to one destination */
    /* Begins to send. May end the batch within, if it cannot. */
    void (*send)(void *context, struct batcher_batch *batch);
    /* By batcher_close: the item was still there, waiting or under way. */
    void (*drop)(void *context, struct batcher_item *item);
    void *context;
};

NODISCARD enum status batcher_open(const struct batcher_options *options,
                                   struct batcher **ret_batcher);
/* What is still there is dropped. Accepts NULL. */
void batcher_close(struct batcher *batcher);
/* `key` is copied. STATUS_NO_MEMORY. Never sends: the next turn does. */
NODISCARD enum status batcher_add(struct batcher *batcher, const char *key,
                                  struct batcher_item *item);
/* From the end of its batch: the item is sent again, after `delay_ms`. */
void batcher_again(struct batcher_batch *batch, struct batcher_item *item, int64_t now_ms,
                   int64_t delay_ms);
/* All of its items have been seen to. Frees the batch. */
void batcher_end(struct batcher_batch *batch);
/* Sends what may go. Returns in how many milliseconds an item that went back is ready; -1: none. */
int64_t batcher_turn(struct batcher *batcher, int64_t now_ms);
/* Neither waiting nor under way is anything. */
bool batcher_idle(const struct batcher *batcher);

/* Exponential backoff with full jitter: between 0 and base x 2^tries, at most `max_ms`. */
int64_t batcher_backoff_ms(uint32_t tries, int64_t base_ms, int64_t max_ms);

#endif
