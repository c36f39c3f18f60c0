/*
 * top_ask: asks an engine for its figures, again and again on a thread of its own, so that the
 * screen of `flyover top` goes on while an engine does not answer.
 *
 * By --data it asks only an engine that runs there: a directory without one is not opened, as
 * reach.h would, since that would keep the engine from starting.
 *
 * Threads: top_ask_start and top_ask_news by one; the asking thread has its own. It may wait for an
 *          engine when the program ends, and ends with it.
 * Memory:  a few samples.
 */
#ifndef ENGINE_MAIN_TOP_ASK_H
#define ENGINE_MAIN_TOP_ASK_H

#include "engine/main/reach.h"
#include "engine/main/top_sample.h"

/* A moment of which the newest stuck sagas are asked for again at the latest: it costs the engine a
 * look at all sagas. */
#define TOP_STUCK_EVERY_MS 10000u

struct top_target {
    struct reach reach;     /* whom: by directory or address */
    struct top_sample last; /* the last that was heard, for its stuck sagas; zeros at first */
    uint64_t stuck_asked_ns;
};

/* Once, waiting for the answer. What control_ask and reach_ask_remote may say. */
NODISCARD enum status top_ask(struct top_target *target, struct top_sample *ret_sample,
                              struct problem *problem);
/* The same, and the answer itself: for --json. Returns owned in *ret_figures. */
NODISCARD enum status top_ask_json(struct top_target *target, json_t **ret_figures,
                                   struct problem *problem);

struct top_asking;

struct top_news {
    uint64_t samples_count; /* heard so far */
    struct top_sample sample;
    bool has_trouble; /* the last question was not answered, or is not yet, for a second */
    char trouble[256];
    uint64_t trouble_ns; /* since when */
};

/* Borrows the target for good. Returns owned, for the life of the program. */
NODISCARD enum status top_ask_start(struct top_target *target, uint32_t interval_ms,
                                    struct top_asking **ret_asking, struct problem *problem);
/* Can be read when there is news. */
int top_ask_fd(const struct top_asking *asking);
/* How it stands now. */
void top_ask_news(struct top_asking *asking, struct top_news *ret_news);

#endif
