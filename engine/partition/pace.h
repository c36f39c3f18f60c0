/*
 * pace: how many a second of something that happens, lately: a moving average over about a second
 * of the time in which it could have happened, and from it a guess of how long so many more take.
 *
 * Only busy time counts, so that a pause does not look like slowness afterwards. For hints to
 * people and clients, never for decisions that are journalled.
 *
 * Threads: one owner. Memory: inside the struct; all zeroes is a new one.
 */
#ifndef ENGINE_PARTITION_PACE_H
#define ENGINE_PARTITION_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_FOLD_NS         20000000u /* busy time is taken into the average in such pieces */
#define PACE_HINT_MS_MIN     1u
#define PACE_HINT_MS_MAX     60000u
#define PACE_HINT_MS_UNKNOWN 1000u

struct pace {
    uint64_t now_ns; /* of the last turn, and what stood then */
    uint64_t total;
    bool was_busy;
    uint64_t busy_ns; /* not yet in the average, and what happened in it */
    uint64_t happened;
    double happened_kept; /* the two sides of the average, each fading by 1/e in a second */
    double seconds_kept;
};

/* Once a turn. `total`: how often it has happened since ever; the first turn only notes it.
 * `is_busy`: whether it can happen between now and the next turn. A clock that goes back counts as
 * no time. */
void pace_turn(struct pace *pace, uint64_t total, bool is_busy, uint64_t now_ns);
/* False until PACE_FOLD_NS of busy time have been seen. */
bool pace_is_known(const struct pace *pace);
/* 0 while it is not known. */
double pace_per_s(const struct pace *pace);
/* Milliseconds, rounded up, until `count` more have happened; PACE_HINT_MS_MIN to PACE_HINT_MS_MAX,
 * and PACE_HINT_MS_UNKNOWN while the pace is not known. */
uint32_t pace_hint_ms(const struct pace *pace, uint64_t count);

/* The same at a pace that is given; at 0 the longest. */
uint32_t pace_hint_ms_at(double per_s, uint64_t count);

#endif
