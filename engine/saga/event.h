/*
 * event: what happened. The only input of the saga core, and the only thing that is journalled.
 *
 * As a record in a block, little-endian varints (v):
 *
 *   LIMITS      tag | sagas_max v | payload_bytes_max v
 *   SERVICE     tag | name v+bytes | tables_count v | { kind u8 | when_full u8 | entries_max v |
 *               name v+bytes } ...
 *   DEFINITION  tag | name v+bytes | text v+bytes
 *   SOURCE      tag | first_hash 8 bytes
 *   START       tag | plan v | [source v] | input v+bytes
 *   RESULT      tag | branch v | [writes v+bytes] | [output v+bytes]
 *   ERROR       tag | branch v | name v+bytes | cause v+bytes
 *   TIMER       tag | branch v
 *
 * The low four bits of the tag are the kind, the high four say which optional parts are there. A
 * result's output that is nil, or that the plan has no use for, is left out. An event has exactly
 * one encoding: an optional part that is there but empty is refused, and so is a long varint.
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

#define EVENT_LIST(X)                                                                              \
    X(LIMITS, "limits")                                                                            \
    X(SERVICE, "service declared")                                                                 \
    X(DEFINITION, "definition")                                                                    \
    X(SOURCE, "source opened")                                                                     \
    X(START, "saga started")                                                                       \
    X(RESULT, "step result")                                                                       \
    X(ERROR, "step error")                                                                         \
    X(TIMER, "timer fired")

enum event_kind {
#define X(name, text) EVENT_##name,
    EVENT_LIST(X)
#undef X
};

const char *event_kind_text(enum event_kind kind);

#define EVENT_NO_SOURCE UINT32_MAX
/* A record without its variable parts. */
#define EVENT_FIXED_BYTES_MAX 64u

struct event_table {
    enum flyover_table_kind kind;
    enum flyover_when_full when_full;
    uint32_t entries_max;
    struct flyover_bytes name;
};

struct event {
    enum event_kind kind;
    union {
        struct {
            uint32_t sagas_max;
            uint64_t payload_bytes_max;
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
        } start;
        struct {
            uint32_t branch;
            struct flyover_bytes writes; /* to the tables of the step's service */
            struct flyover_bytes output; /* count 0: nil */
        } result;
        struct {
            uint32_t branch;
            bool retryable;
            struct flyover_bytes name;
            struct flyover_bytes cause;
        } error;
        struct {
            uint32_t branch;
        } timer;
    };
};

/* Room that event_encode may need for the event. */
size_t event_encoded_bytes_max(const struct event *event);
/* Writes the record; returns the first byte after it. The caller has made room. */
uint8_t *event_encode(const struct event *event, uint8_t *at);
/* Reads one record; returns the first byte after it, or NULL where it is not one (`*ret_event` is
 * then of no use). */
const uint8_t *event_decode(const uint8_t *at, const uint8_t *end, struct event *ret_event);

#endif
