/*
 * asker: the way to an engine that answers admin.h's questions, for what asks several of them and
 * reads the data directory beside it (life.h, saga_list.h, redrive.h): from another process, or
 * from another thread of the engine's own.
 *
 * Threads: the caller's, which waits for the answer. Memory: borrowed by who asks.
 */
#ifndef ENGINE_ADMIN_ASKER_H
#define ENGINE_ADMIN_ASKER_H

#include <jansson.h>
#include <stdbool.h>

#include "engine/base/status.h"

struct asker {
    const char *directory;
    /* *ret_reply is the caller's; the request stays the caller's. *ret_refused: the status is what
     * was said to this question, and not about the directory. */
    enum status (*ask)(void *context, json_t *request, json_t **ret_reply, bool *ret_refused,
                       struct problem *problem);
    void *context;
    bool may_replay; /* the whole journal, where nothing else tells */
};

static inline enum status asker_ask(const struct asker *asker, json_t *request, json_t **ret_reply,
                                    bool *ret_refused, struct problem *problem)
{
    return asker->ask(asker->context, request, ret_reply, ret_refused, problem);
}

#endif
