/*
 * saga_list: the sagas that match, the live ones first (from whoever has the directory), then those
 * that have ended (from the index of history), both the newest first.
 *
 * Threads: the caller's.
 */
#ifndef ENGINE_ADMIN_SAGA_LIST_H
#define ENGINE_ADMIN_SAGA_LIST_H

#include <jansson.h>
#include <stdbool.h>

#include "engine/admin/asker.h"

/* `request` is admin.h's list, whose "state" may also be an outcome (SUCCEEDED, FAILED,
 * COMPENSATED, ABORTED), LIVE or ENDED; `cursor` is that of the page before, or NULL. *ret_reply,
 * the caller's:
 * {"sagas": [...], ["cursor": text where there is more]}. *ret_refused as in asker_ask.
 * STATUS_INVALID for a state or a cursor that is none, and what asker_ask and history_list say. */
NODISCARD enum status saga_list(const struct asker *asker, json_t *request, const char *cursor,
                                json_t **ret_reply, bool *ret_refused, struct problem *problem);

#endif
