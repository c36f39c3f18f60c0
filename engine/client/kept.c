#include "engine/client/kept.h"

#include <stdlib.h>
#include <string.h>

bool kept_add(struct kept_queue *queue, struct flyover_bytes raw, uint64_t word, uint64_t id)
{
    struct kept *kept = malloc(sizeof *kept + raw.count);
    if (kept == NULL)
        return false;
    *kept = (struct kept){.word = word, .id = id, .count = raw.count};
    memcpy(kept->bytes, raw.at, raw.count);
    if (queue->last == NULL)
        queue->first = kept;
    else
        queue->last->next = kept;
    queue->last = kept;
    return true;
}

struct kept *kept_take(struct kept_queue *queue)
{
    struct kept *kept = queue->first;
    if (kept == NULL)
        return NULL;
    queue->first = kept->next;
    if (queue->first == NULL)
        queue->last = NULL;
    return kept;
}

void kept_clear(struct kept_queue *queue)
{
    struct kept *kept;
    while ((kept = kept_take(queue)) != NULL)
        free(kept);
}
