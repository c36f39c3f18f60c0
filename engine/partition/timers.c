/*
 * Where a timer stands:
 *
 *     due_ms <= wheel_ms   in a run: lists that are sorted by (due_ms, key)
 *     else                 in the wheel, at the level of the highest bit in which due_ms differs
 *                          from wheel_ms, in the slot of its bits there
 *
 *     level   ...  2 (4,096 ms a slot)   1 (64 ms a slot)   0 (1 ms a slot)
 *     due_ms  ...  xxxxxx                xxxxxx             xxxxxx
 *
 * So what stands in a level is due before all that stands in the levels above, and its slots are
 * those after the wheel's own, up to the level's last: the next slot is the lowest bit of the
 * lowest level that has one. The wheel turns from slot to slot, never beyond now_ms. The slot that
 * it comes to is emptied, its nodes going to levels below or to the runs.
 *
 * Runs are a binary counter (Bentley and Saxe's logarithmic method, and Linux's list_sort): run r
 * has at most 2^r nodes, and a new node is merged with runs 0, 1, 2, ... up to the first that is
 * empty. That sorts a slot in place, takes late ones in any order, and leaves a pop to choose from
 * the first nodes of at most TIMERS_RUNS runs.
 */
#include "engine/partition/timers.h"

#include <assert.h>
#include <string.h>

#include "engine/base/region.h"

/* `prev` of the first node of list 0. Links to nodes end below. */
#define LINK_FIRST (TIMERS_KEYS_MAX + 1)

static_assert(sizeof(struct timer_node) == 16, "four to a cache line");

enum status timers_init(struct timers *timers, uint32_t keys_max)
{
    if (keys_max == 0 || keys_max > TIMERS_KEYS_MAX)
        return STATUS_INVALID;
    void *nodes = region_map((uint64_t)keys_max * sizeof(struct timer_node), REGION_SCRATCH);
    if (nodes == NULL)
        return STATUS_NO_MEMORY;
    *timers = (struct timers){.nodes = nodes, .keys_max = keys_max};
    return STATUS_OK;
}

void timers_fini(struct timers *timers)
{
    region_unmap(timers->nodes, (uint64_t)timers->keys_max * sizeof(struct timer_node));
    *timers = (struct timers){0};
}

/* ---- lists ---------------------------------------------------------------------------------- */

static struct timer_node *node_of(const struct timers *timers, uint32_t link)
{
    return &timers->nodes[link - 1];
}

/* Takes away the bit of a list that has lost its last node. */
static void on_empty(struct timers *timers, uint32_t list)
{
    assert(list < TIMERS_LISTS);
    if (list < TIMERS_RUNS) {
        timers->ready &= ~(1u << list);
        return;
    }
    uint32_t slot = (list - TIMERS_RUNS) / TIMERS_LANES;
    const uint32_t *lanes = &timers->lists[TIMERS_RUNS + slot * TIMERS_LANES];
    for (uint32_t lane = 0; lane < TIMERS_LANES; lane++)
        if (lanes[lane] != 0)
            return;
    timers->occupied[slot / TIMERS_SLOTS] &= ~(UINT64_C(1) << slot % TIMERS_SLOTS);
}

static void unlink_node(struct timers *timers, uint32_t link)
{
    struct timer_node *node = node_of(timers, link);
    if (node->next != 0)
        node_of(timers, node->next)->prev = node->prev;
    if (node->prev < LINK_FIRST) {
        node_of(timers, node->prev)->next = node->next;
    } else {
        uint32_t list = node->prev - LINK_FIRST;
        assert(timers->lists[list] == link);
        timers->lists[list] = node->next;
        if (node->next == 0)
            on_empty(timers, list);
    }
    node->prev = 0;
}

/* ---- the runs: what is due ------------------------------------------------------------------ */

static bool is_before(const struct timers *timers, uint32_t a, uint32_t b)
{
    int64_t a_ms = node_of(timers, a)->due_ms, b_ms = node_of(timers, b)->due_ms;
    return a_ms != b_ms ? a_ms < b_ms : a < b;
}

/* Two sorted lists as one; `prev` of its first is left to the caller. */
static uint32_t merge(const struct timers *timers, uint32_t a, uint32_t b)
{
    uint32_t first = 0, last = 0, *to = &first;
    while (a != 0 && b != 0) {
        uint32_t *from = is_before(timers, a, b) ? &a : &b;
        struct timer_node *node = node_of(timers, *from);
        node->prev = last;
        *to = last = *from;
        *from = node->next;
        to = &node->next;
    }
    *to = a != 0 ? a : b;
    node_of(timers, *to)->prev = last;
    return first;
}

/* The last run takes all that would go beyond it. */
static void add_ready(struct timers *timers, uint32_t link)
{
    node_of(timers, link)->next = 0;
    uint32_t run = 0;
    for (; (timers->ready >> run & 1) != 0; run++) {
        link = merge(timers, link, timers->lists[run]);
        timers->ready &= ~(1u << run);
        if (run == TIMERS_RUNS - 1)
            break;
    }
    timers->lists[run] = link;
    node_of(timers, link)->prev = LINK_FIRST + run;
    timers->ready |= 1u << run;
}

/* Link to the first of all runs. There is one. */
static uint32_t first_ready(const struct timers *timers)
{
    uint32_t runs = timers->ready;
    uint32_t first = timers->lists[__builtin_ctz(runs)];
    while ((runs &= runs - 1) != 0) {
        uint32_t other = timers->lists[__builtin_ctz(runs)];
        if (is_before(timers, other, first))
            first = other;
    }
    return first;
}

/* ---- the wheel: what is not due yet --------------------------------------------------------- */

/* Puts a node that is in no list where its due time belongs. */
static void place(struct timers *timers, uint32_t link)
{
    struct timer_node *node = node_of(timers, link);
    if (node->due_ms <= timers->wheel_ms) {
        add_ready(timers, link);
        return;
    }
    uint64_t differs = (uint64_t)node->due_ms ^ (uint64_t)timers->wheel_ms;
    uint32_t level = (63 - (uint32_t)__builtin_clzll(differs)) / TIMERS_LEVEL_BITS;
    uint32_t slot = (uint64_t)node->due_ms >> level * TIMERS_LEVEL_BITS & (TIMERS_SLOTS - 1);
    uint32_t list =
        TIMERS_RUNS + (level * TIMERS_SLOTS + slot) * TIMERS_LANES + link % TIMERS_LANES;
    node->next = timers->lists[list];
    node->prev = LINK_FIRST + list;
    if (node->next != 0)
        node_of(timers, node->next)->prev = link;
    timers->lists[list] = link;
    timers->occupied[level] |= UINT64_C(1) << slot;
}

/* Number of the next slot, over all levels, and when it begins; false when the wheel is empty. */
static bool next_slot(const struct timers *timers, uint32_t *ret_slot, int64_t *ret_start_ms)
{
    uint32_t level = 0;
    while (timers->occupied[level] == 0)
        if (++level == TIMERS_LEVELS)
            return false;
    uint32_t slot = (uint32_t)__builtin_ctzll(timers->occupied[level]);
    uint32_t shift = level * TIMERS_LEVEL_BITS;
    uint64_t turns = (uint64_t)timers->wheel_ms >> shift >> TIMERS_LEVEL_BITS;
    *ret_slot = level * TIMERS_SLOTS + slot;
    *ret_start_ms = (int64_t)((turns << TIMERS_LEVEL_BITS | slot) << shift);
    return true;
}

static void empty_slot(struct timers *timers, uint32_t slot)
{
    uint32_t lanes[TIMERS_LANES], left = 0;
    uint32_t *lists = &timers->lists[TIMERS_RUNS + slot * TIMERS_LANES];
    memcpy(lanes, lists, sizeof lanes);
    memset(lists, 0, sizeof lanes);
    timers->occupied[slot / TIMERS_SLOTS] &= ~(UINT64_C(1) << slot % TIMERS_SLOTS);
    do {
        left = 0;
        for (uint32_t lane = 0; lane < TIMERS_LANES; lane++) {
            uint32_t link = lanes[lane];
            if (link == 0)
                continue;
            left |= lanes[lane] = node_of(timers, link)->next;
            if (lanes[lane] != 0)
                __builtin_prefetch(node_of(timers, lanes[lane]), 1);
            place(timers, link);
        }
    } while (left != 0);
}

/* Turns the wheel to the next slot that has something, or else to now_ms; false in that case. */
static bool turn(struct timers *timers)
{
    uint32_t slot;
    int64_t start_ms;
    if (!next_slot(timers, &slot, &start_ms) || start_ms > timers->now_ms) {
        timers->wheel_ms = timers->now_ms;
        return false;
    }
    assert(start_ms > timers->wheel_ms);
    timers->wheel_ms = start_ms;
    empty_slot(timers, slot);
    return true;
}

/* ---- what others call ----------------------------------------------------------------------- */

void timers_set(struct timers *timers, uint32_t key, int64_t due_ms)
{
    assert(key < timers->keys_max && due_ms < TIMERS_MS_MAX);
    struct timer_node *node = &timers->nodes[key];
    if (node->prev == 0)
        timers->count++;
    else if (node->due_ms <= due_ms)
        return;
    else
        unlink_node(timers, key + 1);
    node->due_ms = due_ms;
    place(timers, key + 1);
}

void timers_clear(struct timers *timers, uint32_t key)
{
    assert(key < timers->keys_max);
    if (timers->nodes[key].prev == 0)
        return;
    unlink_node(timers, key + 1);
    timers->count--;
}

int64_t timers_next_ms(const struct timers *timers)
{
    if (timers->ready != 0)
        return node_of(timers, first_ready(timers))->due_ms;
    uint32_t slot;
    int64_t start_ms;
    return next_slot(timers, &slot, &start_ms) ? start_ms : INT64_MAX;
}

bool timers_pop(struct timers *timers, int64_t now_ms, uint32_t *ret_key)
{
    assert(now_ms >= timers->now_ms && now_ms < TIMERS_MS_MAX);
    timers->now_ms = now_ms;
    while (timers->ready == 0)
        if (!turn(timers))
            return false;
    uint32_t link = first_ready(timers);
    unlink_node(timers, link);
    timers->count--;
    *ret_key = link - 1;
    return true;
}

uint32_t timers_count(const struct timers *timers)
{
    return timers->count;
}
