/*
 * life: tells the whole life of one saga from the journal, as lines or as JSON (timeline.h).
 *
 * Threads: the caller's. Reads only, also beside a running engine.
 */
#ifndef ENGINE_MAIN_LIFE_H
#define ENGINE_MAIN_LIFE_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/base/status.h"

/* Lines to `out`, or with NULL the JSON object to *ret_json, the caller's.
 * STATUS_NOT_FOUND where the journal knows no such saga; what journal_open and recovery_run say. */
NODISCARD enum status life_tell(const char *directory, uint64_t saga_id, FILE *out,
                                json_t **ret_json, struct problem *problem);

#endif
