/*
 * timeline: the life of one saga, told from a replay: every event that was its own, what the event
 * carried, and what the engine did next.
 *
 *   block  time (UTC)    event    state    phase         step  try  what it carried -> what came
 * next 4  18:02:11.128  error    Pay      forward          2    1  {"Error":"Payment.Busy",...
 *                                                                   -> tries again in 1.000 s
 *
 * As lines, written while the replay goes on, or collected as JSON.
 *
 * Threads: the one that replays.
 * Memory:  the caller's; the JSON grows with the events of the saga.
 */
#ifndef ENGINE_ADMIN_TIMELINE_H
#define ENGINE_ADMIN_TIMELINE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/partition/partition_state.h"

struct timeline {
    uint64_t saga_id;
    FILE *out;            /* NULL: collected in `events` */
    uint32_t plan_offset; /* added to the number of the plan that is told (life.h) */
    json_t *events;
    json_t *nexts; /* of the event in work; borrowed from `events` */
    /* The event in work. */
    bool is_mine;
    bool line_open; /* the row has no text yet, and no end */
    uint32_t branch;
    struct core_branch_view before; /* zeroes for the start */
    uint64_t error_counts[CORE_ERRORS_MAX];
    /* What is known of the saga. */
    const struct plan *plan; /* NULL: not started */
    uint64_t events_count;
    uint64_t first_block, last_block;
    int64_t started_ms, ended_ms, last_ms;
    enum outcome outcome;
    uint32_t state_columns;
};

/* `out` gets the lines; NULL for JSON. STATUS_NO_MEMORY. */
NODISCARD enum status timeline_init(struct timeline *timeline, uint64_t saga_id, FILE *out);
void timeline_fini(struct timeline *timeline);

/* A partition_on_event; the context is the timeline. */
void timeline_on_event(void *context, enum partition_moment moment,
                       const struct block_header *header, const struct partition_state *state,
                       const struct event *event);

/* Once the replay is over. False where the saga was never started, and then nothing was written. */
bool timeline_is_started(const struct timeline *timeline);
/* Writes the last lines: how it ended, or what it waits for. */
void timeline_finish(struct timeline *timeline, const struct partition_state *state);
/* The same as an object that the caller owns, with all events. */
json_t *timeline_to_json(struct timeline *timeline, const struct partition_state *state);

/* "2025-11-23 18:02:11.123", UTC; zeros for a time that four digits of a year cannot say. */
#define TIMELINE_TIME_BYTES 24u
void timeline_format_time(int64_t time_ms, char ret_text[TIMELINE_TIME_BYTES]);
/* A payload as JSON, owned by the caller; what JSON cannot hold (an integer over 2^63 - 1) makes it
 * a string of the JSON text. Null for no bytes. */
json_t *timeline_payload_to_json(struct flyover_bytes payload);

#endif
