#include "engine/edge/batcher.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "engine/base/clock.h"
#include "engine/edge/sooner.h"

struct batcher_destination {
    struct batcher_destination *next;
    char *key;
    struct batcher_item *first, *last; /* ready */
    struct batcher_item *later;        /* went back, until ready_ms */
    uint32_t waiting;
    size_t waiting_bytes;
    struct batcher_batch *under_way;
    uint32_t under_way_count;
};

struct batcher {
    struct batcher_options options;
    struct batcher_destination *destinations;
};

enum status batcher_open(const struct batcher_options *options, struct batcher **ret_batcher)
{
    assert(options->items_max > 0 && options->items_max <= BATCHER_ITEMS_MAX);
    assert(options->connections_max > 0 && options->connections_max <= BATCHER_CONNECTIONS_MAX);
    struct batcher *batcher = calloc(1, sizeof(*batcher));
    if (!batcher)
        return STATUS_NO_MEMORY;
    batcher->options = *options;
    *ret_batcher = batcher;
    return STATUS_OK;
}

static void destination_free(struct batcher_destination *to)
{
    free(to->key);
    free(to);
}

static void drop(const struct batcher_options *options, struct batcher_item *item)
{
    while (item) {
        struct batcher_item *next = item->next;
        options->drop(options->context, item);
        item = next;
    }
}

static void destination_drop(const struct batcher_options *options, struct batcher_destination *to)
{
    drop(options, to->first);
    drop(options, to->later);
    while (to->under_way) {
        struct batcher_batch *batch = to->under_way;
        to->under_way = batch->next;
        for (uint32_t i = 0; i < batch->count; i++)
            options->drop(options->context, batch->items[i]);
        free(batch);
    }
    destination_free(to);
}

void batcher_close(struct batcher *batcher)
{
    if (!batcher)
        return;
    while (batcher->destinations) {
        struct batcher_destination *to = batcher->destinations;
        batcher->destinations = to->next;
        destination_drop(&batcher->options, to);
    }
    free(batcher);
}

static struct batcher_destination *destination_open(struct batcher *batcher, const char *key)
{
    for (struct batcher_destination *to = batcher->destinations; to; to = to->next)
        if (strcmp(to->key, key) == 0)
            return to;
    struct batcher_destination *to = calloc(1, sizeof(*to));
    if (!to)
        return NULL;
    to->key = strdup(key);
    if (!to->key) {
        free(to);
        return NULL;
    }
    to->next = batcher->destinations;
    batcher->destinations = to;
    return to;
}

static void append(struct batcher_destination *to, struct batcher_item *item)
{
    item->next = NULL;
    if (to->last)
        to->last->next = item;
    else
        to->first = item;
    to->last = item;
    to->waiting++;
    to->waiting_bytes += item->bytes;
}

/* One that went back is older than all that wait. */
static void prepend(struct batcher_destination *to, struct batcher_item *item)
{
    item->next = to->first;
    to->first = item;
    if (!to->last)
        to->last = item;
    to->waiting++;
    to->waiting_bytes += item->bytes;
}

enum status batcher_add(struct batcher *batcher, const char *key, struct batcher_item *item)
{
    struct batcher_destination *to = destination_open(batcher, key);
    if (!to)
        return STATUS_NO_MEMORY;
    item->to = to;
    append(to, item);
    return STATUS_OK;
}

void batcher_again(struct batcher_batch *batch, struct batcher_item *item, int64_t now_ms,
                   int64_t delay_ms)
{
    item->tries++;
    item->ready_ms = now_ms + delay_ms;
    struct batcher_item **at = &batch->to->later;
    while (*at)
        at = &(*at)->next;
    item->next = NULL;
    *at = item;
}

void batcher_end(struct batcher_batch *batch)
{
    struct batcher_batch **at = &batch->to->under_way;
    while (*at != batch) {
        assert(*at);
        at = &(*at)->next;
    }
    *at = batch->next;
    batch->to->under_way_count--;
    free(batch);
}

static bool is_under_way(const struct batcher_destination *to, uint64_t order)
{
    for (const struct batcher_batch *batch = to->under_way; batch; batch = batch->next)
        for (uint32_t i = 0; i < batch->count; i++)
            if (batch->items[i]->order == order)
                return true;
    return false;
}

static bool is_held_up(const struct batcher_destination *to, uint64_t order)
{
    if (order == 0)
        return false;
    for (const struct batcher_item *item = to->later; item; item = item->next)
        if (item->order == order)
            return true;
    return is_under_way(to, order);
}

/* The first ones that may go and fit, in their order. `batch` is not yet under way. */
static void pick(const struct batcher_options *options, struct batcher_destination *to,
                 struct batcher_batch *batch)
{
    size_t bytes = 0;
    struct batcher_item *before = NULL, *item = to->first;
    while (item && batch->count < options->items_max) {
        struct batcher_item *next = item->next;
        if (is_held_up(to, item->order)) {
            before = item;
            item = next;
            continue;
        }
        if (batch->count > 0 && (item->alone || bytes + item->bytes > options->bytes_max))
            return;
        *(before ? &before->next : &to->first) = next;
        if (to->last == item)
            to->last = before;
        to->waiting--;
        to->waiting_bytes -= item->bytes;
        bytes += item->bytes;
        batch->items[batch->count++] = item;
        if (item->alone)
            return;
        item = next;
    }
}

static bool may_send(const struct batcher_options *options, const struct batcher_destination *to)
{
    if (!to->first || to->under_way_count == options->connections_max)
        return false;
    return to->under_way_count == 0 || to->waiting >= options->items_max ||
           to->waiting_bytes >= options->bytes_max;
}

static bool send_one(struct batcher *batcher, struct batcher_destination *to)
{
    struct batcher_batch *batch = calloc(1, sizeof(*batch));
    if (!batch)
        return false;
    *batch = (struct batcher_batch){
        .to = to, .batcher = batcher, .context = batcher->options.context, .key = to->key};
    pick(&batcher->options, to, batch);
    if (batch->count == 0) {
        free(batch);
        return false;
    }
    batch->next = to->under_way;
    to->under_way = batch;
    to->under_way_count++;
    batcher->options.send(batcher->options.context, batch);
    return true;
}

/* Those whose time has come go to the front, the oldest first. */
static void take_later(struct batcher_destination *to, int64_t now_ms)
{
    struct batcher_item **at = &to->later, *due = NULL;
    while (*at) {
        struct batcher_item *item = *at;
        if (item->ready_ms > now_ms) {
            at = &item->next;
            continue;
        }
        *at = item->next;
        item->next = due;
        due = item;
    }
    while (due) {
        struct batcher_item *item = due;
        due = item->next;
        prepend(to, item);
    }
}

static int64_t next_turn_ms(const struct batcher_destination *to, int64_t now_ms)
{
    int64_t soonest_ms = -1;
    for (const struct batcher_item *item = to->later; item; item = item->next)
        soonest_ms = sooner(soonest_ms, item->ready_ms > now_ms ? item->ready_ms - now_ms : 0);
    /* Only for want of memory is something left that nothing holds up. */
    if (to->first && !to->under_way && !to->later)
        return 1;
    return soonest_ms;
}

int64_t batcher_turn(struct batcher *batcher, int64_t now_ms)
{
    int64_t soonest_ms = -1;
    struct batcher_destination **at = &batcher->destinations;
    while (*at) {
        struct batcher_destination *to = *at;
        take_later(to, now_ms);
        while (may_send(&batcher->options, to) && send_one(batcher, to))
            ;
        soonest_ms = sooner(soonest_ms, next_turn_ms(to, now_ms));
        if (to->first || to->later || to->under_way) {
            at = &to->next;
            continue;
        }
        *at = to->next;
        destination_free(to);
    }
    return soonest_ms;
}

bool batcher_idle(const struct batcher *batcher)
{
    for (const struct batcher_destination *to = batcher->destinations; to; to = to->next)
        if (to->first || to->later || to->under_way)
            return false;
    return true;
}

int64_t batcher_now_ms(void)
{
    return (int64_t)(clock_now_ns() / 1000000u);
}

int64_t batcher_backoff_ms(uint32_t tries, int64_t base_ms, int64_t max_ms)
{
    int64_t ceiling_ms = base_ms << (tries < 20 ? tries : 20);
    if (ceiling_ms > max_ms)
        ceiling_ms = max_ms;
    uint32_t random = 0;
    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        random = UINT32_MAX / 2;
    return (int64_t)((uint64_t)random % (uint64_t)(ceiling_ms + 1));
}
