/*
 * table: the requests that are under way. An id is the number of a slot and how often the slot was
 * used, so that what comes for a request that is over is known for what it is:
 *
 *     31         20 19                        0
 *     +------------+--------------------------+
 *     | generation | slot                     |     generation: 1 to 4095, and again
 *     +------------+--------------------------+
 *
 * Threads: the client's. Memory: 64 bytes a slot, as many as were ever used at a time; beside them
 * what has to be asked again after a cut.
 */
#ifndef ENGINE_CLIENT_TABLE_H
#define ENGINE_CLIENT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/client/flyover.h"
#include "engine/flyover_service.h"

#define TABLE_SLOTS_MAX (1u << 20)
#define TABLE_NONE      UINT32_MAX

enum request_state {
    REQUEST_FREE,
    REQUEST_OPEN,
    REQUEST_FAILED, /* by the connection; waits in the list of those to be told */
    REQUEST_SERVING /* a REGISTER that was answered; asked again after a cut */
};

struct subscription;

struct request {
    uint64_t word;
    uint64_t saga_id;  /* of an AWAIT, or as STARTED said; 0: not known */
    uint64_t frame_no; /* in which it goes or went */
    union {
        struct flyover_bytes again; /* owned: the message, to be sent again; count 0: it is not */
        struct subscription *subscription; /* owned; SUBSCRIBE */
    };
    uint32_t next; /* FREE, FAILED */
    uint16_t generation;
    uint8_t kind;  /* enum wire_kind of the request */
    uint8_t when;  /* START: enum flyover_when */
    uint8_t state; /* enum request_state */
    uint8_t failed_status;
    bool was_seen;     /* perhaps, by an engine, on a connection before this one */
    bool is_private;   /* a blocking call waits for it, or gave it up */
    bool is_abandoned; /* that call did not wait any longer: the answer is dropped */
};

struct table {
    struct request *requests;
    uint32_t capacity;
    uint32_t used_count; /* slots that were ever used */
    uint32_t open_count; /* OPEN */
    uint32_t abandoned_count;
    uint32_t free_first;
    uint32_t failed_first, failed_last;
};

void table_init(struct table *table);
void table_fini(struct table *table);
/* An open request, without anything in it; false: no memory, or TABLE_SLOTS_MAX. */
bool table_add(struct table *table, uint8_t kind, uint64_t word, uint32_t *ret_slot);
/* The slot of an id, or TABLE_NONE where the request is over. */
uint32_t table_find(const struct table *table, uint64_t id);
uint64_t table_id(const struct table *table, uint32_t slot);
/* Keeps a copy of the message; false: no memory. */
bool table_keep(struct table *table, uint32_t slot, const uint8_t *bytes, size_t count);
/* It is over. */
void table_remove(struct table *table, uint32_t slot);
/* It will have no answer: the caller has to be told with table_next_failed. */
void table_fail(struct table *table, uint32_t slot, enum flyover_status status);
/* The first of those that failed and that no blocking call waits for, out of the list; or
 * TABLE_NONE. It is still to be removed. */
uint32_t table_next_failed(struct table *table);
/* It is not under way any more as far as the window goes, but stays. */
void table_serve(struct table *table, uint32_t slot);

#endif
