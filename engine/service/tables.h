/*
 * tables: the state of one service. Each table maps short keys to bytes or to a counter, holds a
 * bounded number of entries, and remembers the order in which they were created.
 *
 * A call of a handler is a transaction: tables_begin, any number of writes, then tables_commit or
 * tables_abort. The writes of a call, encoded as they are made, are what its step result carries to
 * the journal; tables_apply makes the same writes again from there. Both ways lead to the same
 * tables (tables_digest), since what is dropped when a table is full follows from its order alone.
 *
 *   one write: op and table u8 (op in the high two bits) | key count u8 | key | PUT: value v+bytes
 *              or ADD: delta zigzag v
 *
 * Threads: one owner at a time: the replay, then the worker, then whoever reads after it stopped.
 * Memory:  entries in a slab of TABLES_BYTES_MAX address space, plus 16 bytes of index an entry
 *          (the index doubles as it fills). Nothing is taken for entries that are not there.
 */
#ifndef ENGINE_SERVICE_TABLES_H
#define ENGINE_SERVICE_TABLES_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/image.h"
#include "engine/base/status.h"
#include "engine/flyover_service.h"
#include "engine/saga/event.h"

#define TABLES_BYTES_MAX   (4ull << 30)
#define TABLES_ENTRIES_MAX (1u << 26)

struct tables;

/* `declared` is copied. Returns owned. STATUS_INVALID for limits that make no sense. */
NODISCARD enum status tables_open(const struct event_table *declared, uint32_t count,
                                  struct tables **ret_tables);
/* Accepts NULL. */
void tables_close(struct tables *tables);
uint32_t tables_count(const struct tables *tables);
/* Takes other limits for the same tables (names and kinds as before, new ones behind).
 * STATUS_INVALID where a table has gone or changed its kind. */
NODISCARD enum status tables_redeclare(struct tables *tables, const struct event_table *declared,
                                       uint32_t count);
/* True when the declaration is the one in force. */
bool tables_declared_as(const struct tables *tables, const struct event_table *declared,
                        uint32_t count);

/* The writes of the call are encoded into `out`, lent until commit or abort. */
void tables_begin(struct tables *tables, uint8_t *out, uint32_t out_capacity);
/* Keeps the writes; returns their encoded bytes. */
uint32_t tables_commit(struct tables *tables);
/* Puts everything back as it was at tables_begin. */
void tables_abort(struct tables *tables);
/* A write of the call found no room: the call must not commit. */
bool tables_full(const struct tables *tables);

/* As flyover_get .. flyover_delete promise. A key too long or a table of the other kind is full. */
bool tables_get(const struct tables *tables, uint32_t table, struct flyover_bytes key,
                struct flyover_bytes *ret_value);
int64_t tables_count_of(const struct tables *tables, uint32_t table, struct flyover_bytes key);
bool tables_put(struct tables *tables, uint32_t table, struct flyover_bytes key,
                struct flyover_bytes value);
bool tables_add(struct tables *tables, uint32_t table, struct flyover_bytes key, int64_t delta);
bool tables_delete(struct tables *tables, uint32_t table, struct flyover_bytes key);

/* Makes journalled writes again. STATUS_CORRUPT where they are not writes to these tables,
 * STATUS_NO_MEMORY. */
NODISCARD enum status tables_apply(struct tables *tables, struct flyover_bytes writes);

/* Oldest first. */
void tables_each(const struct tables *tables, uint32_t table, flyover_visit visit, void *context);
/* 64 bits over all entries in their order. */
uint64_t tables_digest(const struct tables *tables);

/* All of it as it is, for a checkpoint; not within a call. Returns owned. STATUS_NO_MEMORY; what is
 * wrong with the image stands in the image. */
void tables_write_image(const struct tables *tables, struct image *image);
NODISCARD enum status tables_read_image(struct image *image, struct tables **ret_tables);

#endif
