/*
 * redrive: what a saga that FAILED, or was ABORTED, had done by then, as an EVENT_REDRIVE: a new
 * saga takes it up at the state where the old one failed, with what that state was given and with
 * the steps that can be compensated.
 *
 * Threads: the caller's. Reads only.
 */
#ifndef ENGINE_ADMIN_REDRIVE_H
#define ENGINE_ADMIN_REDRIVE_H

#include <jansson.h>
#include <stdint.h>

#include "engine/admin/asker.h"

/* The request that starts the new saga (admin.h), the caller's.
 * STATUS_INVALID  it cannot go on, and the sentence says what to do instead
 * STATUS_TOO_LARGE, STATUS_NOT_FOUND, STATUS_LOST, and what life_walk says. */
NODISCARD enum status redrive_prepare(const struct asker *asker, uint64_t saga_id,
                                      json_t **ret_request, struct problem *problem);

#endif
