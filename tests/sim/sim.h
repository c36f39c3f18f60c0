/*
 * sim: one life of a partition under one seed. The engine, its journal thread and its services run
 * in the caller's thread; what runs next, what the clocks show, what the disk does and when the
 * machine dies is drawn from the seed. At every durable block and every step of a handler the
 * ledger is asked whether that may be; at the end everything has to come to rest.
 *
 * One at a time in a process: the clocks and handlers that the engine calls know no context.
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include <stdint.h>

/* What happened, over all seeds so far. */
struct sim_figures {
    uint64_t sagas, steps, blocks, crashes, failures, damages, losses, stops, replies;
    uint64_t checkpoints; /* starts from one */
    uint64_t removals;    /* of the journal's beginning, asked for */
    uint64_t removed;     /* blocks that went with it */
    uint64_t bare;        /* starts from the whole journal, where no checkpoint can be read */
    uint64_t refusals;    /* starts without any checkpoint, of a journal without its beginning */
    uint64_t succeeded, compensated, failed, stuck, aborted, retries, timeouts, signals, mended;
    uint64_t asked, refused, cancels, redrives, doubles; /* what came from outside */
    uint64_t remote_taken, remote_again, remote_late;    /* by a remote worker */
    uint64_t remote_made;                                /* of them, by templates */
    uint64_t stalls;        /* times the journal had no room for an event */
    uint64_t stalled_lives; /* in which it had none */
};
extern struct sim_figures sim_figures;

/* Runs the seed; ends the process with a verdict where something is wrong. Returns a hash of all
 * that happened: the same for the same seed. */
uint64_t sim_run(uint64_t seed);

#endif
