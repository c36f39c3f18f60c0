/*
 * mender: makes the huge pages of the state whole again when the child of a checkpoint is gone
 * (region_mend), on a thread of its own that ends when that is done. The next fork has then an
 * entry to copy for every 2 MiB and not for every 4 KiB.
 *
 * Threads: the engine's calls all of it; the thread it makes touches nothing but pages.
 */
#ifndef ENGINE_PARTITION_MENDER_H
#define ENGINE_PARTITION_MENDER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* All zeroes: nothing is being mended. */
struct mender {
    pthread_t thread;
    bool has_thread; /* started, and not yet joined */
};

/* It is not at work. `cpus`: the only ones for its thread, none: any. Where no thread can be had,
 * nothing is mended. */
void mender_start(struct mender *mender, const uint32_t *cpus, uint32_t cpus_count);
/* A fork would wait for it. */
bool mender_is_at_work(struct mender *mender);
/* Waits until it is done. */
void mender_finish(struct mender *mender);

#endif
