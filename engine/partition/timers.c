#include "engine/partition/timers.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

enum status timers_init(struct timers *timers, uint32_t capacity)
{
    struct timer *heap = malloc((size_t)capacity * sizeof *heap);
    if (heap == NULL)
        return STATUS_NO_MEMORY;
    *timers = (struct timers){.heap = heap, .capacity = capacity};
    return STATUS_OK;
}

void timers_fini(struct timers *timers)
{
    free(timers->heap);
    *timers = (struct timers){0};
}

/* Ties go by branch, so that equal times fire in one order everywhere. */
static bool is_before(struct timer a, struct timer b)
{
    return a.due_ms != b.due_ms ? a.due_ms < b.due_ms : a.branch < b.branch;
}

void timers_add(struct timers *timers, struct timer timer)
{
    assert(timers->count < timers->capacity);
    uint32_t at = timers->count++;
    for (; at > 0 && is_before(timer, timers->heap[(at - 1) / 2]); at = (at - 1) / 2)
        timers->heap[at] = timers->heap[(at - 1) / 2];
    timers->heap[at] = timer;
}

const struct timer *timers_first(const struct timers *timers)
{
    return timers->count == 0 ? NULL : &timers->heap[0];
}

void timers_remove_first(struct timers *timers)
{
    assert(timers->count > 0);
    struct timer last = timers->heap[--timers->count];
    uint32_t at = 0;
    for (uint32_t child = 1; child < timers->count; child = 2 * at + 1) {
        if (child + 1 < timers->count && is_before(timers->heap[child + 1], timers->heap[child]))
            child++;
        if (!is_before(timers->heap[child], last))
            break;
        timers->heap[at] = timers->heap[child];
        at = child;
    }
    if (timers->count > 0)
        timers->heap[at] = last;
}
