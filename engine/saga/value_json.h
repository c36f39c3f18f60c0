/*
 * value_json: JSON into the msgpack of a payload: integers in their smallest form, reals as double,
 * members in their order. For constants of a definition and for inputs that people type.
 *
 * Threads: none; pure. The result passes value_check.
 */
#ifndef ENGINE_SAGA_VALUE_JSON_H
#define ENGINE_SAGA_VALUE_JSON_H

#include <jansson.h>

#include "engine/base/status.h"
#include "engine/saga/value.h"

/* STATUS_TOO_LARGE where it would take more than `capacity` bytes, STATUS_UNSUPPORTED where it is
 * nested more than FLYOVER_DEPTH_MAX deep. */
NODISCARD enum status value_from_json(const json_t *json, uint8_t *out, size_t capacity,
                                      size_t *ret_bytes);
/* The same of JSON that has payloads in it, and may be nested up to depth_max; recurses as deep. */
NODISCARD enum status value_from_deep_json(const json_t *json, uint32_t depth_max, uint8_t *out,
                                           size_t capacity, size_t *ret_bytes);

#endif
