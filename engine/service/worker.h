/*
 * worker: one thread of a service. Takes invocations from the engine thread, runs their handlers
 * on the tables of the service, sends back results with the writes they made.
 *
 *     engine thread                               worker thread
 *     worker_send_invoke()  ── ring of invokes ─► worker_on_invoke(): handler, transaction
 *     worker_flush()           wakes it
 *     worker_peek_results() ◄─ ring of results ── worker_send_result(); wakes the engine
 *     partition_on_result()
 *     worker_consume_results()
 *
 * Order:   results come back in the order the handlers ran. The engine puts them into its blocks
 *          in that order, so that a durable block has every earlier write under it.
 * Threads: as drawn; worker_step (threadless: tests, simulator) stands for the worker thread.
 * Memory:  two rings of WORKER_WINDOW entries and WORKER_ARENA_BYTES for what results carry, taken
 *          at open. The engine never has more than WORKER_WINDOW invocations out, so both rings
 *          always have room; where the arena is full the worker waits for the engine.
 * Lent:    the bytes an invoke points to are the core's until the result of that invoke has been
 *          applied; the bytes of a result are the worker's until worker_consume_results.
 */
#ifndef ENGINE_SERVICE_WORKER_H
#define ENGINE_SERVICE_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/slab.h"
#include "engine/base/status.h"
#include "engine/service/plugin.h"
#include "engine/service/tables.h"
#include "queues/sleeper.h"

#define WORKER_WINDOW      16384u
#define WORKER_ARENA_BYTES (4u << 20)
#define WORKER_NO_CPU      UINT32_MAX

struct worker;

struct invoke {
    const uint8_t *input;
    const uint8_t *output; /* of the step to compensate */
    uint64_t saga_id;
    uint32_t input_bytes;
    uint32_t output_bytes; /* 0: nil */
    uint32_t branch;
    uint32_t generation;
    uint32_t step_no;
    uint32_t attempt_no;
    int64_t deadline_ms; /* 0: none */
    slab_ref trace;      /* from options.payloads on; SLAB_NONE: none */
    uint16_t handler;
    uint8_t phase; /* enum flyover_phase */
};

struct result {
    const uint8_t *bytes; /* DONE: writes, then output. Else: error name, then cause. */
    uint32_t branch;
    uint32_t generation;
    uint32_t first_bytes;  /* of writes, or of the name */
    uint32_t second_bytes; /* of output (0: nil), or of the cause */
    uint8_t answer;        /* enum flyover_answer */
    bool expired;          /* not begun: its deadline had passed; there are no bytes */
};

struct worker_options {
    const struct plugin *plugin; /* borrowed */
    struct tables *tables;       /* borrowed; the worker's until worker_stop; NULL: stateless */
    struct sleeper *engine;      /* borrowed: woken when there are results; may be NULL */
    /* Borrowed: the time of the open block, as the engine tells it. An invocation whose deadline
     * has passed by it is not begun. NULL: there are no deadlines. */
    const _Atomic int64_t *now_ms;
    const uint8_t *payloads; /* core_payloads; NULL: no invoke has a trace */
    uint64_t token_seed;     /* see core_make_token */
    uint32_t cpu;            /* to pin the thread to, or WORKER_NO_CPU */
    uint32_t window; /* invocations out at the same time; 0: WORKER_WINDOW, which is the most */
    bool threadless;
};

NODISCARD enum status worker_open(const struct worker_options *options, struct worker **ret_worker);
/* Ends the thread after what it was sent; results stay readable. Idempotent. */
void worker_stop(struct worker *worker);
/* Accepts NULL. */
void worker_close(struct worker *worker);

/* Engine: how many more invocations may be out now. */
uint32_t worker_room(const struct worker *worker);
/* Engine: copies the invoke into the ring; there is room. Visible after worker_flush. */
void worker_send_invoke(struct worker *worker, const struct invoke *invoke);
void worker_flush(struct worker *worker);
/* Engine: results that can be read now, at most `wanted`. */
uint32_t worker_peek_results(struct worker *worker, uint32_t wanted);
const struct result *worker_front_result(struct worker *worker, uint32_t index);
void worker_consume_results(struct worker *worker, uint32_t count);
/* Engine: asks the worker to begin no handler more, or lets it go on. One that has none in hand is
 * paused at once, though its thread sleeps or waits for a CPU; it wakes the engine else. */
void worker_pause(struct worker *worker, bool pause);
/* Engine: true when it does nothing and all it did can be read as results. */
bool worker_is_paused(const struct worker *worker);
/* Engine: invocations sent and not yet answered. */
uint32_t worker_in_flight(const struct worker *worker);

/* Threadless: runs what waits; returns how many it ran. */
uint32_t worker_step(struct worker *worker);

/* CPU time of the thread so far, a recent reading. */
uint64_t worker_cpu_ns(const struct worker *worker);

#endif
