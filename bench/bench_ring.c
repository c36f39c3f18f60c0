/*
 * bench_ring: what it costs to hand an entry from one thread to another, and to wake the other.
 *
 * Two threads, each pinned to a CPU of its own where there are two. An entry is filled whole by
 * the producer, and its first and last word are read by the consumer. 56 bytes are what an
 * invocation of a step takes, 32 what its result takes.
 */
#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/measure.h"
#include "engine/base/clock.h"
#include "queues/ring.h"
#include "queues/sleeper.h"

#define RING_CAPACITY 16383u
#define ENTRIES       (8u << 20)
#define ENTRIES_QUICK (2u << 20)
#define WAKES         200u
#define WAKE_PAUSE_NS 200000
#define CALLS         1000000u

/* ---- entries through a ring ----------------------------------------------------------------- */

struct stream {
    const struct measure *measure;
    struct ring *ring;
    pthread_barrier_t start;
    uint64_t entries_count;
    uint32_t entry_bytes;
    uint32_t bulk; /* entries at a time, at most */
};

/* Where both threads share one CPU, only the other one can help. */
static void pause_for_other(const struct stream *stream)
{
    if (stream->measure->cpus_count < 2)
        sched_yield();
    else
        __asm__ volatile("" : : : "memory");
}

/* Inlined with a constant size, as the engine's own copies of an entry are. */
static inline __attribute__((always_inline)) void produce(const struct stream *stream,
                                                          const size_t entry_bytes)
{
    uint64_t entry[RING_ENTRY_BYTES_MAX / 8] = {0};
    for (uint64_t sent = 0; sent < stream->entries_count;) {
        uint64_t left = stream->entries_count - sent;
        uint32_t count =
            ring_reserve(stream->ring, left < stream->bulk ? (uint32_t)left : stream->bulk);
        if (count == 0) {
            pause_for_other(stream);
            continue;
        }
        for (uint32_t i = 0; i < count; i++) {
            entry[0] = entry[entry_bytes / 8 - 1] = sent + i;
            memcpy(ring_slot(stream->ring, i), entry, entry_bytes);
        }
        ring_publish(stream->ring, count);
        sent += count;
    }
}

static void *consume(void *context)
{
    struct stream *stream = context;
    measure_pin(stream->measure, 1);
    pthread_barrier_wait(&stream->start);
    uint32_t last_word = stream->entry_bytes / 8 - 1;
    for (uint64_t taken = 0; taken < stream->entries_count;) {
        uint32_t count = ring_peek(stream->ring, stream->bulk);
        if (count == 0) {
            pause_for_other(stream);
            continue;
        }
        for (uint32_t i = 0; i < count; i++) {
            const uint64_t *entry = ring_front(stream->ring, i);
            assert(entry[0] == taken + i && entry[last_word] == taken + i);
        }
        ring_consume(stream->ring, count);
        taken += count;
    }
    return NULL;
}

static double stream_ns(const struct measure *measure, uint32_t entry_bytes, uint32_t bulk)
{
    struct stream stream = {
        .measure = measure,
        .entries_count = measure->quick ? ENTRIES_QUICK : ENTRIES,
        .entry_bytes = entry_bytes,
        .bulk = bulk,
    };
    pthread_t consumer;
    enum status status = ring_open(&stream.ring, RING_CAPACITY, entry_bytes);
    int error = pthread_barrier_init(&stream.start, NULL, 2);
    if (status != STATUS_OK || error != 0 || pthread_create(&consumer, NULL, consume, &stream) != 0)
        measure_fail(measure, &(struct problem){.status = STATUS_NO_MEMORY});
    pthread_barrier_wait(&stream.start);
    uint64_t start_ns = clock_now_ns();
    if (entry_bytes == 56)
        produce(&stream, 56);
    else
        produce(&stream, 32);
    pthread_join(consumer, NULL);
    uint64_t took_ns = clock_now_ns() - start_ns;
    pthread_barrier_destroy(&stream.start);
    ring_close(stream.ring);
    return (double)took_ns / (double)stream.entries_count;
}

static void measure_streams(struct measure *measure)
{
    static const uint32_t entry_bytes[] = {56, 32}, bulks[] = {1, 8, 64, 512};
    for (uint32_t size = 0; size < 2; size++)
        for (uint32_t i = 0; i < sizeof bulks / sizeof bulks[0]; i++)
            measure_add(measure, stream_ns(measure, entry_bytes[size], bulks[i]), "ns an entry",
                        bulks[i] == 1 ? "%u-byte entries, one at a time"
                                      : "%u-byte entries, up to %u at a time",
                        entry_bytes[size], bulks[i]);
}

/* ---- waking a sleeper ----------------------------------------------------------------------- */

struct waking {
    const struct measure *measure;
    struct sleeper sleeper;
    struct ring *ring;
    uint32_t cpu;               /* index, of the sleeper */
    uint64_t latency_ns[WAKES]; /* from the publishing to the look at it */
};

/* Takes the time at which each entry was published; an entry of 0 is the last. */
static void *sleep_and_take(void *context)
{
    struct waking *waking = context;
    measure_pin(waking->measure, waking->cpu);
    for (uint32_t taken = 0;;) {
        sleeper_prepare(&waking->sleeper);
        if (ring_peek(waking->ring, 1) == 0)
            sleeper_wait(&waking->sleeper, SLEEPER_FOREVER);
        else
            sleeper_cancel(&waking->sleeper);
        if (ring_peek(waking->ring, 1) == 0)
            continue;
        uint64_t published_ns = *(const uint64_t *)ring_front(waking->ring, 0);
        ring_consume(waking->ring, 1);
        if (published_ns == 0)
            return NULL;
        waking->latency_ns[taken++] = clock_now_ns() - published_ns;
    }
}

static uint64_t publish(struct waking *waking, uint64_t value)
{
    uint32_t room = ring_reserve(waking->ring, 1);
    assert(room == 1);
    *(uint64_t *)ring_slot(waking->ring, 0) = value;
    ring_publish(waking->ring, 1);
    uint64_t start_ns = clock_now_ns();
    sleeper_wake(&waking->sleeper);
    return clock_now_ns() - start_ns;
}

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* The medians over WAKES wake-ups, with a pause before each, so that the other sleeps soundly. */
static void measure_waking(struct measure *measure, uint32_t cpu, const char *where)
{
    static struct waking waking;
    uint64_t call_ns[WAKES];
    waking.measure = measure;
    waking.cpu = cpu;
    sleeper_init(&waking.sleeper);
    pthread_t sleeper;
    if (ring_open(&waking.ring, WAKES, sizeof(uint64_t)) != STATUS_OK ||
        pthread_create(&sleeper, NULL, sleep_and_take, &waking) != 0)
        measure_fail(measure, &(struct problem){.status = STATUS_NO_MEMORY});
    for (uint32_t i = 0; i < WAKES; i++) {
        struct timespec pause = {.tv_nsec = WAKE_PAUSE_NS};
        nanosleep(&pause, NULL);
        call_ns[i] = publish(&waking, clock_now_ns());
    }
    publish(&waking, 0);
    pthread_join(sleeper, NULL);
    ring_close(waking.ring);
    qsort(waking.latency_ns, WAKES, sizeof(uint64_t), compare);
    qsort(call_ns, WAKES, sizeof(uint64_t), compare);
    measure_add(measure, (double)waking.latency_ns[WAKES / 2] / 1e3, "us",
                "sleeper on %s, from publishing to seen", where);
    measure_add(measure, (double)call_ns[WAKES / 2] / 1e3, "us", "sleeper on %s, the waker's call",
                where);
}

/* What both sides pay while there is something to do. */
static void measure_awake(struct measure *measure)
{
    struct sleeper sleeper;
    sleeper_init(&sleeper);
    uint64_t start_ns = clock_now_ns();
    for (uint32_t i = 0; i < CALLS; i++)
        sleeper_wake(&sleeper);
    uint64_t woken_ns = clock_now_ns();
    for (uint32_t i = 0; i < CALLS / 10; i++) {
        sleeper_prepare(&sleeper);
        sleeper_cancel(&sleeper);
    }
    uint64_t end_ns = clock_now_ns();
    measure_add(measure, (double)(woken_ns - start_ns) / CALLS, "ns a call",
                "sleeper_wake where nobody sleeps");
    measure_add(measure, (double)(end_ns - woken_ns) / (CALLS / 10), "ns a call",
                "sleeper_prepare and sleeper_cancel");
}

int main(int argc, char **argv)
{
    static struct measure measure;
    measure_init(&measure, argc, argv,
                 "Measures queues/ring.h and queues/sleeper.h between two threads.");
    sleeper_setup();
    measure_pin(&measure, 0);
    for (uint32_t i = 0; i < measure.repetitions; i++) {
        measure_streams(&measure);
        if (measure.cpus_count == 2)
            measure_waking(&measure, 1, "the other CPU");
        measure_waking(&measure, 0, "the same CPU");
        measure_awake(&measure);
    }
    measure_print(&measure);
    return 0;
}
