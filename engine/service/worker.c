#include "engine/service/worker.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/region.h"
#include "engine/base/thread.h"
#include "engine/service/call.h"
#include "queues/ring.h"

#define BATCH 64u /* invocations run before their results are published */

struct worker {
    const struct plugin *plugin;
    struct ring *invokes;
    struct ring *results;
    uint32_t reserved_count; /* engine: filled and not yet flushed */
    uint32_t in_flight;      /* engine */
    uint32_t window;
    struct sleeper *engine;

    /* The worker thread's. Bytes of results lie in `arena` in order; arena_end[i] is where the
     * bytes of the i-th result (& ends_mask) end, counted from the first byte ever. */
    _Alignas(128) struct flyover_call call;
    uint8_t *arena;
    uint64_t arena_used;
    uint64_t arena_free; /* bytes given back by the engine */
    uint64_t *arena_end;
    uint32_t ends_mask;
    uint32_t results_sent;
    uint32_t results_freed;

    const _Atomic int64_t *now_ms;

    _Alignas(128) struct sleeper sleeper;
    /* The engine wants a pause, which has come when the worker is not `working`. Each writes its
     * own and then looks at the other's: of the two the second to write sees the first. */
    _Atomic bool pause;
    _Atomic bool working;
    _Atomic uint32_t wants_room;
    _Atomic uint32_t stop;
    _Atomic uint64_t cpu_ns;
    pthread_t thread;
    bool has_thread;
};

/* ---- worker thread -------------------------------------------------------------------------- */

static void free_consumed(struct worker *worker)
{
    uint32_t consumed = ring_consumed(worker->results);
    if (consumed == worker->results_freed)
        return;
    worker->arena_free = worker->arena_end[(consumed - 1) & worker->ends_mask];
    worker->results_freed = consumed;
}

/* Room for the largest result in one piece, or NULL until the engine has read more. */
static uint8_t *reserve_arena(struct worker *worker)
{
    uint64_t offset = worker->arena_used % WORKER_ARENA_BYTES;
    uint64_t skip =
        offset + CALL_RESULT_BYTES_MAX > WORKER_ARENA_BYTES ? WORKER_ARENA_BYTES - offset : 0;
    uint64_t used_max = worker->arena_used + skip + CALL_RESULT_BYTES_MAX;
    if (used_max - worker->arena_free > WORKER_ARENA_BYTES) {
        free_consumed(worker);
        if (used_max - worker->arena_free > WORKER_ARENA_BYTES)
            return NULL;
    }
    worker->arena_used += skip;
    return worker->arena + worker->arena_used % WORKER_ARENA_BYTES;
}

/* Next: partition_on_result, on the engine thread. */
static void worker_send_result(struct worker *worker, struct result *slot, struct result result)
{
    worker->arena_used += (uint64_t)result.first_bytes + result.second_bytes;
    worker->arena_end[worker->results_sent++ & worker->ends_mask] = worker->arena_used;
    *slot = result;
}

/* Whoever waited for it has gone on by then. */
static bool is_expired(const struct worker *worker, const struct invoke *invoke)
{
    return invoke->deadline_ms != 0 && worker->now_ms != NULL &&
           atomic_load_explicit(worker->now_ms, memory_order_relaxed) >= invoke->deadline_ms;
}

/* Runs one handler as a transaction on the tables. Next: worker_send_result. */
static struct result worker_on_invoke(struct worker *worker, const struct invoke *invoke,
                                      uint8_t *out)
{
    if (is_expired(worker, invoke))
        return (struct result){.bytes = out,
                               .branch = invoke->branch,
                               .generation = invoke->generation,
                               .answer = FLYOVER_RETRY,
                               .expired = true};
    struct flyover_call *call = &worker->call;
    call_begin(call, invoke, out);
    const struct flyover_handler *handler = &worker->plugin->service->handlers[invoke->handler];
    struct result result = call_end(call, handler->handle(call));
    result.branch = invoke->branch;
    result.generation = invoke->generation;
    return result;
}

static bool is_asked_to_pause(const struct worker *worker)
{
    return atomic_load(&worker->pause);
}

/* All that it did is published by now. */
static void end_work(struct worker *worker)
{
    atomic_exchange(&worker->working, false);
    if (is_asked_to_pause(worker) && worker->engine != NULL)
        sleeper_wake(worker->engine);
}

static bool begin_work(struct worker *worker)
{
    if (is_asked_to_pause(worker))
        return false;
    atomic_exchange(&worker->working, true);
    if (!is_asked_to_pause(worker))
        return true;
    end_work(worker);
    return false;
}

static uint32_t run_batch(struct worker *worker)
{
    uint32_t waiting = ring_peek(worker->invokes, BATCH);
    uint32_t room = ring_reserve(worker->results, waiting);
    assert(room == waiting);
    uint32_t done = 0;
    for (; done < waiting && !(done > 0 && is_asked_to_pause(worker)); done++) {
        uint8_t *out = reserve_arena(worker);
        if (out == NULL)
            break;
        if (done + 4 < waiting) {
            const struct invoke *ahead = ring_front(worker->invokes, done + 4);
            __builtin_prefetch(ahead->input);
        }
        struct result result = worker_on_invoke(worker, ring_front(worker->invokes, done), out);
        worker_send_result(worker, ring_slot(worker->results, done), result);
    }
    if (done > 0) {
        ring_consume(worker->invokes, done);
        ring_publish(worker->results, done);
        if (worker->engine != NULL)
            sleeper_wake(worker->engine);
    }
    return done;
}

uint32_t worker_step(struct worker *worker)
{
    if (!begin_work(worker))
        return 0;
    uint32_t done = run_batch(worker);
    end_work(worker);
    return done;
}

/* What waits and cannot be begun needs room, or the end of a pause: the engine wakes for both. */
static void worker_sleep(struct worker *worker)
{
    atomic_store_explicit(&worker->cpu_ns, clock_thread_cpu_ns(), memory_order_relaxed);
    bool needs_room = ring_peek(worker->invokes, 1) > 0;
    atomic_exchange(&worker->wants_room, needs_room);
    sleeper_prepare(&worker->sleeper);
    bool work = worker_step(worker) > 0 || atomic_load(&worker->stop) != 0;
    /* One that came just now and finds no room must not be slept on: nobody knows of it yet. */
    work = work || (!needs_room && ring_peek(worker->invokes, 1) > 0);
    if (work)
        sleeper_cancel(&worker->sleeper);
    else
        sleeper_wait(&worker->sleeper, SLEEPER_FOREVER);
    atomic_store(&worker->wants_room, 0);
}

static void *worker_main(void *argument)
{
    struct worker *worker = argument;
    while (atomic_load(&worker->stop) == 0)
        if (worker_step(worker) == 0)
            worker_sleep(worker);
    /* What was sent before the stop is seen after it, and a pause does not keep it. */
    while (run_batch(worker) > 0)
        continue;
    atomic_store_explicit(&worker->cpu_ns, clock_thread_cpu_ns(), memory_order_relaxed);
    return NULL;
}

/* ---- engine thread -------------------------------------------------------------------------- */

static enum status start_thread(struct worker *worker, uint32_t cpu)
{
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    if (cpu != WORKER_NO_CPU)
        CPU_SET(cpu, &cpus);
    char name[16];
    snprintf(name, sizeof name, "fly-%.11s", worker->plugin->service->name);
    /* Before there is one: it reads this. */
    worker->has_thread = true;
    if (thread_start(&worker->thread, name, cpu == WORKER_NO_CPU ? NULL : &cpus, worker_main,
                     worker) == 0)
        return STATUS_OK;
    worker->has_thread = false;
    return STATUS_NO_MEMORY;
}

/* More than the window, so that the last end the engine gave back is never written over, and a
 * power of two, so that counts of results may wrap. */
static uint32_t ends_for(uint32_t window)
{
    uint32_t count = 2;
    while (count <= window + 1)
        count *= 2;
    return count;
}

enum status worker_open(const struct worker_options *options, struct worker **ret_worker)
{
    struct worker *worker = aligned_alloc(128, (sizeof *worker + 127) / 128 * 128);
    if (worker == NULL)
        return STATUS_NO_MEMORY;
    memset(worker, 0, sizeof *worker);
    worker->plugin = options->plugin;
    worker->window = options->window == 0 ? WORKER_WINDOW : options->window;
    assert(worker->window <= WORKER_WINDOW);
    worker->engine = options->engine;
    worker->now_ms = options->now_ms;
    sleeper_init(&worker->sleeper);
    worker->arena = region_map(WORKER_ARENA_BYTES, REGION_SCRATCH);
    uint32_t ends_count = ends_for(worker->window);
    worker->ends_mask = ends_count - 1;
    worker->arena_end = calloc(ends_count, sizeof *worker->arena_end);
    enum status status =
        call_init(&worker->call, options->plugin, options->tables, options->token_seed);
    worker->call.payloads = options->payloads;
    if (worker->arena == NULL || worker->arena_end == NULL)
        status = STATUS_NO_MEMORY;
    if (status == STATUS_OK)
        status = ring_open(&worker->invokes, worker->window, sizeof(struct invoke));
    if (status == STATUS_OK)
        status = ring_open(&worker->results, worker->window, sizeof(struct result));
    if (status == STATUS_OK && !options->threadless)
        status = start_thread(worker, options->cpu);
    if (status != STATUS_OK) {
        worker_close(worker);
        return status;
    }
    *ret_worker = worker;
    return STATUS_OK;
}

void worker_stop(struct worker *worker)
{
    if (!worker->has_thread)
        return;
    atomic_store(&worker->stop, 1);
    sleeper_wake(&worker->sleeper);
    pthread_join(worker->thread, NULL);
    worker->has_thread = false;
}

void worker_close(struct worker *worker)
{
    if (worker == NULL)
        return;
    worker_stop(worker);
    ring_close(worker->invokes);
    ring_close(worker->results);
    call_fini(&worker->call);
    region_unmap(worker->arena, WORKER_ARENA_BYTES);
    free(worker->arena_end);
    free(worker);
}

uint32_t worker_room(const struct worker *worker)
{
    return worker->window - worker->in_flight;
}

void worker_send_invoke(struct worker *worker, const struct invoke *invoke)
{
    assert(worker->in_flight < worker->window);
    uint32_t room = ring_reserve(worker->invokes, worker->reserved_count + 1);
    assert(room == worker->reserved_count + 1);
    *(struct invoke *)ring_slot(worker->invokes, worker->reserved_count) = *invoke;
    worker->reserved_count++;
    worker->in_flight++;
}

void worker_flush(struct worker *worker)
{
    if (worker->reserved_count == 0)
        return;
    ring_publish(worker->invokes, worker->reserved_count);
    worker->reserved_count = 0;
    sleeper_wake(&worker->sleeper);
}

uint32_t worker_peek_results(struct worker *worker, uint32_t wanted)
{
    return ring_peek(worker->results, wanted);
}

const struct result *worker_front_result(struct worker *worker, uint32_t index)
{
    return ring_front(worker->results, index);
}

void worker_consume_results(struct worker *worker, uint32_t count)
{
    assert(count <= worker->in_flight);
    ring_consume(worker->results, count);
    worker->in_flight -= count;
    /* Writes, so that of this and the worker's exchange the second sees what came before the first:
     * either the wish for room, or the room. */
    if (atomic_fetch_or(&worker->wants_room, 0) != 0)
        sleeper_wake(&worker->sleeper);
}

void worker_pause(struct worker *worker, bool pause)
{
    assert(is_asked_to_pause(worker) != pause);
    atomic_exchange(&worker->pause, pause);
    /* One that sleeps is not at work, and need not wake to say so. */
    if (!pause)
        sleeper_wake(&worker->sleeper);
}

bool worker_is_paused(const struct worker *worker)
{
    return is_asked_to_pause(worker) && !atomic_load(&worker->working);
}

uint32_t worker_in_flight(const struct worker *worker)
{
    return worker->in_flight;
}

uint64_t worker_cpu_ns(const struct worker *worker)
{
    return atomic_load_explicit(&worker->cpu_ns, memory_order_relaxed);
}
