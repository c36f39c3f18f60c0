/*
 * msgpack_oracle: msgpack-c as the judge of the engine's own reader, and bytes to judge.
 *
 * Memory:  values are drawn into the caller's msgpack_sbuffer.
 * Threads: one.
 */
#ifndef TESTS_BASE_MSGPACK_ORACLE_H
#define TESTS_BASE_MSGPACK_ORACLE_H

#include <msgpack.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/flyover_service.h"

/* ---- the judge ------------------------------------------------------------------------------ */

/* True where msgpack-c reads a value at the start of the bytes; how many of them it took. The
 * unpacked value is the caller's to destroy. A count that claims more elements than there are bytes
 * is refused before msgpack-c takes memory for it: it could not end well. */
bool oracle_unpack(const uint8_t *at, size_t count, msgpack_unpacked *unpacked, size_t *ret_used);

/* What the engine demands beyond msgpack: string keys, UTF-8 (as jansson judges it), no ext, and
 * no more than FLYOVER_DEPTH_MAX levels. */
bool oracle_within_limits(const msgpack_object *object);

/* Reads one value with the cursor; true where each type, content and length is as msgpack-c has
 * it, and the cursor has moved over it. */
bool oracle_same(struct flyover_cursor *cursor, const msgpack_object *object);

/* ---- the cases ------------------------------------------------------------------------------ */

/* The same seed gives the same cases. */
struct cases {
    uint64_t state;
    uint32_t odd_per_mille; /* of what is drawn, what the engine's limits refuse */
};

/* From 0 to below - 1. */
uint64_t cases_draw(struct cases *cases, uint64_t below);

/* Appends one whole value: every format of msgpack, the shortest and longer ones than needed,
 * small and, rarely, large; now and then nested to the limit and a little over. */
void cases_draw_value(struct cases *cases, msgpack_sbuffer *out);

/* Changes, drops, repeats, or adds a few bytes, or cuts; at most grows by a few. */
void cases_spoil(struct cases *cases, msgpack_sbuffer *bytes);

#endif
