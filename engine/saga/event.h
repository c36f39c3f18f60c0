/*
 * event: what happened. The only input of the saga core, and the only thing that is journalled.
 *
 * As a record in a block, little-endian varints (v):
 *
 *   LIMITS      tag | sagas_max v | payload_bytes_max v | [seed 8 bytes | names_max v |
 *               name_retention_ms v]
 *   SERVICE     tag | name v+bytes | tables_count v | { kind u8 | when_full u8 | entries_max v |
 *               name v+bytes } ...
 *   DEFINITION  tag | name v+bytes | text v+bytes
 *   SOURCE      tag | first_hash 8 bytes
 *   START       tag | plan v | [source v] | [name v+bytes] | [at_ms v] | [more u8 |
 *               [deadline_ms v] | [trace 25 bytes]] | input v+bytes
 *   RESULT      tag | branch v | [writes v+bytes] | [output v+bytes]
 *   ERROR       tag | branch v | name v+bytes | cause v+bytes
 *   TIMER       tag | branch v, or with its first flag the saga's slot v
 *   SIGNAL      tag | saga_id v | name v+bytes | payload v+bytes
 *   HEARTBEAT   tag | branch v
 *   CANCEL      tag | saga_id v | reason v+bytes
 *   MEND        tag | saga_id v | action u8 | [output v+bytes] | reason v+bytes
 *   REDRIVE     tag | of_saga_id v | plan v | state v | step_no v | [trace 25 bytes] |
 *               payload v+bytes | count v |
 *               { state v | step_no v | input v+bytes | output v+bytes } ...
 *
 * The low four bits of the tag are the kind, the high four say which optional parts are there, or
 * are flags: of an ERROR whether it may be retried, of a RESULT and an ERROR whether they came from
 * outside by the step's token, of a CANCEL whether it is without compensation, of another CANCEL
 * and of a saga's TIMER whether a step that was begun and awaits its token is compensated too:
 * journals of formats before 3 do not say so, and are replayed as they were written; nor do they
 * say of a REDRIVE, as its flag does, that there may be no other one of its saga. `more` of a
 * START says what follows: 1 the deadline, 2 the trace (trace.h). A result's output that is nil,
 * or that the plan has no use for, is left out. An event has exactly one encoding: an optional
 * part that is there but empty is refused, and so is a long varint.
 *
 * Threads: none; pure functions over the caller's bytes. A decoded event borrows from the block.
 */
#ifndef ENGINE_SAGA_EVENT_H
#define ENGINE_SAGA_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/flyover_service.h"
#include "engine/saga/trace.h"

#define EVENT_LIST(X)                                                                              \
    X(LIMITS, "limits")                                                                            \
    X(SERVICE, "service declared")                                                                 \
    X(DEFINITION, "definition")                                                                    \
    X(SOURCE, "source opened")                                                                     \
    X(START, "saga started")                                                                       \
    X(RESULT, "step result")                                                                       \
    X(ERROR, "step error")                                                                         \
    X(TIMER, "timer fired")                                                                        \
    X(SIGNAL, "signal")                                                                            \
    X(HEARTBEAT, "heartbeat")                                                                      \
    X(CANCEL, "cancelled")                                                                         \
    X(MEND, "mended by hand")                                                                      \
    X(REDRIVE, "saga redriven")

enum event_kind {
#define X(name, text) EVENT_##name,
    EVENT_LIST(X)
#undef X
};

const char *event_kind_text(enum event_kind kind);

#define EVENT_NO_SOURCE UINT32_MAX
/* Why an operator or a client did something: text, cut to this. */
#define EVENT_REASON_BYTES_MAX 256u
/* Completed steps that a redriven saga brings with it. */
#define EVENT_REDRIVE_STEPS_MAX 64u
/* A record without its variable parts. */
#define EVENT_FIXED_BYTES_MAX 64u

struct event_table {
    enum flyover_table_kind kind;
    enum flyover_when_full when_full;
    uint32_t entries_max;
    struct flyover_bytes name;
};

/* What an operator does to a saga that is stuck, or skips of one that sleeps. */
enum mend_action {
    MEND_RETRY,   /* the step or compensation it is stuck at is tried again, all retries anew */
    MEND_SKIP,    /* it counts as done; a wait is over */
    MEND_RESOLVE, /* the saga counts as done */
};

/* "retry", "skip", "resolve". */
const char *mend_action_text(enum mend_action action);

/* A step that a redriven saga has done already. */
struct event_step {
    uint32_t state;
    uint32_t step_no; /* 1 to that of the redrive */
    struct flyover_bytes input;
    struct flyover_bytes output; /* count 0: nil */
};

struct event {
    enum event_kind kind;
    union {
        struct {
            uint32_t sagas_max;
            uint64_t payload_bytes_max;
            bool has_names; /* the rest is there: not in journals of the first format */
            uint64_t seed;
            uint32_t names_max;
            uint64_t name_retention_ms;
        } limits;
        struct {
            struct flyover_bytes name;
            uint32_t tables_count;
            struct event_table tables[FLYOVER_TABLES_MAX];
        } service;
        struct {
            struct flyover_bytes name;
            struct flyover_bytes text;
        } definition;
        struct {
            uint64_t first_hash;
        } source;
        struct {
            uint32_t plan;
            uint32_t source; /* EVENT_NO_SOURCE: none */
            struct flyover_bytes input;
            struct flyover_bytes name;  /* count 0: none */
            int64_t at_ms;              /* begin then; 0: now */
            int64_t deadline_ms;        /* be at the end by then; 0: none */
            struct flyover_bytes trace; /* TRACE_BYTES; count 0: none */
        } start;
        struct {
            uint32_t branch;
            struct flyover_bytes writes; /* to the tables of the step's service */
            struct flyover_bytes output; /* count 0: nil */
            bool by_token;
        } result;
        struct {
            uint32_t branch;
            bool retryable;
            bool by_token;
            struct flyover_bytes name;
            struct flyover_bytes cause;
        } error;
        struct {
            uint32_t branch;
            bool of_saga;    /* `branch` is the slot of the saga whose time is over */
            bool undo_begun; /* of a saga: as of `cancel` */
        } timer;
        struct {
            uint64_t saga_id;
            struct flyover_bytes name;
            struct flyover_bytes payload;
        } signal;
        struct {
            uint32_t branch;
        } heartbeat;
        struct {
            uint64_t saga_id;
            bool abort;      /* without compensation */
            bool undo_begun; /* and else: what a token would have ended is compensated too */
            struct flyover_bytes reason;
        } cancel;
        struct {
            uint64_t saga_id;
            enum mend_action action;
            struct flyover_bytes output; /* of a step skipped; count 0: none */
            struct flyover_bytes reason;
        } mend;
        struct {
            uint64_t of_saga_id;
            bool once; /* no other is accepted for as long as a name is kept */
            uint32_t plan;
            uint32_t state;             /* to go on with */
            uint32_t step_no;           /* of the step begun last */
            struct flyover_bytes trace; /* TRACE_BYTES; count 0: none */
            struct flyover_bytes payload;
            uint32_t steps_count;
            struct flyover_bytes steps; /* encoded, in the order they completed */
        } redrive;
    };
};

/* Room that event_encode may need for the event. */
size_t event_encoded_bytes_max(const struct event *event);
/* Writes the record; returns the first byte after it. The caller has made room. */
uint8_t *event_encode(const struct event *event, uint8_t *at);
/* Reads one record; returns the first byte after it, or NULL where it is not one (`*ret_event` is
 * then of no use). */
const uint8_t *event_decode(const uint8_t *at, const uint8_t *end, struct event *ret_event);

/* The steps of a REDRIVE: room for one, writing it, and reading the next one from the start of
 * `steps` on, which event_decode has checked. */
size_t event_step_bytes_max(const struct event_step *step);
uint8_t *event_encode_step(const struct event_step *step, uint8_t *at);
const uint8_t *event_decode_step(const uint8_t *at, const uint8_t *end,
                                 struct event_step *ret_step);

#endif
