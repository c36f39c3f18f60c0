/*
 * names: which saga a name started, so that a start that is sent twice starts once. A name is known
 * by its 128-bit hash, so that a million names cost a known amount whatever they are.
 *
 * A name is known for as long as its saga runs, and for retention_ms from when it was kept. Names
 * stand in a ring, the oldest first, so that only the oldest are looked at for what has expired;
 * one that has expired while its saga still runs goes to the end and is kept from then on.
 *
 * Part of the saga core's state: no clock, no I/O; the same calls give the same state, bit for bit.
 * A now_ms that goes back, or another retention_ms, may make room later than it could, and does no
 * other harm.
 *
 * Whether a saga runs is asked of `is_held`, which must not call names, and must give the same
 * answers in a replay. A callback is borrowed for the call.
 *
 * Threads: one owner. Memory: address space at open, by names_max; pages of it when they are first
 * used: at most NAMES_COST_BYTES_MAX a name. The ring goes round, so in time all of it is used.
 * Limits:  the hash is not cryptographic: a client that means harm can make names that are taken
 * for one another, or that crowd one place of the index. retention_ms is not negative (asserted).
 */
#ifndef ENGINE_SAGA_NAMES_H
#define ENGINE_SAGA_NAMES_H

#include <stdbool.h>
#include <stdint.h>
/* The state of a hash is another type where xxhash is not inlined. */
#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

#include "engine/base/image.h"
#include "engine/base/status.h"
#include "engine/flyover_service.h"

#define NAMES_MAX            (1u << 24)
#define NAMES_BYTES_MAX      256u
#define NAMES_COST_BYTES_MAX 56u   /* an entry, and two to four places of the index */
#define NAMES_LOOK_MAX       8u    /* of the oldest, in one call */
#define NAMES_LOOK_FULL_MAX  1024u /* the same, to make room: those before the last are held */

struct names;

struct names_entry {
    uint64_t hash_high, hash_low; /* XXH3-128 of the name */
    uint64_t input_hash;
    uint64_t saga_id;
    int64_t kept_from_ms;
};

typedef bool (*names_is_held)(void *context, uint64_t saga_id);

/* Returns owned. STATUS_INVALID (names_max is 0 or over NAMES_MAX), STATUS_NO_MEMORY. */
NODISCARD enum status names_open(uint32_t names_max, struct names **ret_names);
/* Accepts NULL. */
void names_close(struct names *names);

/* A name is 1 to NAMES_BYTES_MAX bytes of UTF-8 without control characters (C0, DEL, C1). The other
 * calls take any bytes. */
bool names_check(struct flyover_bytes name);
uint64_t names_hash_input(struct flyover_bytes input);

/* NULL where the name is not known or has expired at now_ms. Lent until the next change. */
const struct names_entry *names_find(const struct names *names, struct flyover_bytes name,
                                     int64_t now_ms, int64_t retention_ms, names_is_held is_held,
                                     void *context);

/* Room for one more: false when names_max names are kept and none of the oldest can go. */
bool names_has_room(const struct names *names, int64_t now_ms, int64_t retention_ms,
                    names_is_held is_held, void *context);

/* Keeps the name from now_ms on, and first lets go of what has expired: at most NAMES_LOOK_MAX of
 * the oldest are looked at, and more only to make room. The name is not known (names_find) and
 * there is room (names_has_room), both asserted. */
void names_add(struct names *names, struct flyover_bytes name, uint64_t input_hash,
               uint64_t saga_id, int64_t now_ms, int64_t retention_ms, names_is_held is_held,
               void *context);

/* Names that take up room, also those that have expired and were not let go of yet. */
uint32_t names_count(const struct names *names);
uint32_t names_max(const struct names *names);

/* All of it, for a checkpoint; read back, it goes on as if nothing had been. Returns owned.
 * STATUS_INVALID, STATUS_NO_MEMORY: nothing is owned; what else is wrong with the image stands in
 * the image, and what was read may then only be closed. */
void names_write_image(const struct names *names, struct image *image);
NODISCARD enum status names_read_image(struct image *image, struct names **ret_names);

/* Adds to the hash all that later calls depend on, and not where it happens to lie. */
void names_hash(const struct names *names, XXH3_state_t *hash);

#endif
