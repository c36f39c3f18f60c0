#include "storage/writer.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/plant.h"
#include "engine/base/region.h"
#include "engine/base/thread.h"
#include "queues/ring.h"

/* What goes through the ring. The buffer stays the journal thread's until the entry is consumed,
 * and an entry is consumed when its block is durable: the ring's own count of consumed entries is
 * the way back, for the durable number and for the buffers. */
struct block_entry {
    uint32_t buffer_index;
};

struct writer {
    /* Engine thread. */
    _Alignas(128) uint64_t sent_no;
    uint64_t durable_no;
    uint32_t consumed_count; /* ring_consumed, when last looked at */
    /* Buffers are acquired, sent and given back in turn, so that three counts say which is where.
     */
    uint32_t acquired_count;
    uint32_t sent_count;
    uint64_t remove_before_no_sent; /* 0: none yet */
    pthread_t thread;
    bool threaded;

    /* Journal thread. */
    _Alignas(128) struct journal *journal;
    struct watermark *watermark;
    struct sleeper *engine;
    const struct writer_beside *beside;
    uint64_t written_no;
    uint64_t remove_before_no_done;

    /* Both. */
    _Alignas(128) struct ring *ring;
    struct sleeper sleeper;
    struct writer_buffer buffers[WRITER_BUFFERS_COUNT];
    uint8_t *memory;                   /* WRITER_BUFFERS_COUNT x BLOCK_BYTES_MAX */
    _Atomic uint64_t remove_before_no; /* only grows; the engine thread writes it */
    _Atomic bool wants_sync;
    _Atomic uint64_t synced_no;
    _Atomic bool stopping;
    _Atomic bool failed; /* `failure` is whole once this is true, and never changes again */
    struct problem failure;
    _Atomic uint64_t syncs_count;
    _Atomic uint64_t bytes_count;
    _Atomic uint64_t busy_ns;
    _Atomic uint64_t cpu_ns;
    /* A tally of microseconds that the engine may read meanwhile; its sum is busy_ns. */
    _Atomic uint64_t times_us[TALLY_BUCKETS + 1];
};

static void add(_Atomic uint64_t *counter, uint64_t amount)
{
    /* One writer each: no need for an atomic read-modify-write. */
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + amount, memory_order_relaxed);
}

static void fail(struct writer *writer, const struct problem *problem)
{
    assert(problem->status != STATUS_OK);
    writer->failure = *problem;
    atomic_store_explicit(&writer->failed, true, memory_order_release);
}

static bool has_failed(const struct writer *writer)
{
    return atomic_load_explicit(&writer->failed, memory_order_acquire);
}

/* Appends the first `count` waiting blocks and moves the watermark behind them. The watermark is
 * never ahead of the journal, and never behind what the engine hears of. */
static enum status write_blocks(struct writer *writer, uint32_t count, struct problem *problem)
{
    struct journal_slice blocks[WRITER_BUFFERS_COUNT];
    uint64_t bytes_count = 0;
    for (uint32_t index = 0; index < count; index++) {
        const struct block_entry *entry = ring_front(writer->ring, index);
        const struct writer_buffer *buffer = &writer->buffers[entry->buffer_index];
        blocks[index] = (struct journal_slice){.bytes = buffer->bytes,
                                               .bytes_count = buffer->bytes_count,
                                               .block_no = buffer->block_no};
        bytes_count += buffer->bytes_count;
    }
    uint64_t start_ns = clock_now_ns();
    enum status status = journal_append(writer->journal, blocks, count, problem);
    uint64_t took_ns = clock_now_ns() - start_ns;
    add(&writer->busy_ns, took_ns);
    add(&writer->times_us[tally_bucket(took_ns / 1000)], 1);
    if (status != STATUS_OK && !PLANTED(IGNORED_FAILURE))
        return status;
    add(&writer->syncs_count, 1);
    add(&writer->bytes_count, bytes_count);
    if (writer->watermark == NULL)
        return STATUS_OK;
    status = watermark_write(writer->watermark, blocks[count - 1].block_no);
    if (status != STATUS_OK)
        problem_set(problem, status, "cannot write the watermark after block %" PRIu64 ": %s",
                    blocks[count - 1].block_no, status_text(status));
    return status;
}

static enum status tell_beside(struct writer *writer, uint32_t count, struct problem *problem)
{
    enum status status = STATUS_OK;
    for (uint32_t index = 0; index < count && status == STATUS_OK; index++) {
        const struct block_entry *entry = ring_front(writer->ring, index);
        const struct writer_buffer *buffer = &writer->buffers[entry->buffer_index];
        writer->written_no = buffer->block_no;
        if (writer->beside != NULL)
            status = writer->beside->on_block(writer->beside->context, entry->buffer_index,
                                              buffer->block_no, problem);
    }
    return status;
}

/* Handles what writer_send_block sends: all that waits, in one append.
 * Next: writer_durable_no, on the engine thread. */
static bool writer_on_block(struct writer *writer)
{
    if (has_failed(writer))
        return false;
    uint32_t count = ring_peek(writer->ring, WRITER_BUFFERS_COUNT);
    if (count == 0)
        return false;
    struct problem problem;
    enum status status = write_blocks(writer, count, &problem);
    if (status == STATUS_OK)
        status = tell_beside(writer, count, &problem);
    if (status == STATUS_OK)
        ring_consume(writer->ring, count);
    else
        fail(writer, &problem);
    if (writer->engine != NULL)
        sleeper_wake(writer->engine);
    return status == STATUS_OK;
}

static bool has_removal(const struct writer *writer)
{
    return !has_failed(writer) &&
           atomic_load_explicit(&writer->remove_before_no, memory_order_acquire) >
               writer->remove_before_no_done;
}

/* Handles what writer_remove_before sends: the last number asked for.
 * Next: nothing; only a failure is told, by writer_failure. */
static void writer_on_removal(struct writer *writer)
{
    if (!has_removal(writer))
        return;
    uint64_t first_kept_no = atomic_load_explicit(&writer->remove_before_no, memory_order_acquire);
    struct problem problem;
    enum status status = journal_remove_before(writer->journal, first_kept_no, &problem);
    if (status == STATUS_OK && writer->beside != NULL)
        status = writer->beside->on_removal(writer->beside->context, first_kept_no, &problem);
    writer->remove_before_no_done = first_kept_no;
    if (status == STATUS_OK)
        return;
    fail(writer, &problem);
    if (writer->engine != NULL)
        sleeper_wake(writer->engine);
}

static bool has_sync(const struct writer *writer)
{
    return !has_failed(writer) && atomic_load_explicit(&writer->wants_sync, memory_order_acquire);
}

/* Handles what writer_sync_beside sends. Next: writer_beside_synced_no, on the engine thread. */
static void writer_on_sync(struct writer *writer)
{
    if (!has_sync(writer))
        return;
    atomic_store_explicit(&writer->wants_sync, false, memory_order_relaxed);
    struct problem problem;
    enum status status = STATUS_OK;
    if (writer->beside != NULL)
        status = writer->beside->on_sync(writer->beside->context, &problem);
    if (status == STATUS_OK)
        atomic_store_explicit(&writer->synced_no, writer->written_no, memory_order_release);
    else
        fail(writer, &problem);
    if (writer->engine != NULL)
        sleeper_wake(writer->engine);
}

static bool is_stopping(const struct writer *writer)
{
    return atomic_load_explicit(&writer->stopping, memory_order_acquire);
}

static bool has_work(struct writer *writer)
{
    return has_removal(writer) || has_sync(writer) ||
           (!has_failed(writer) && ring_peek(writer->ring, 1) > 0);
}

/* Never spins: an append takes ten times as long as waking up. */
static void wait_for_blocks(struct writer *writer)
{
    sleeper_prepare(&writer->sleeper);
    if (has_work(writer) || is_stopping(writer))
        sleeper_cancel(&writer->sleeper);
    else
        sleeper_wait(&writer->sleeper, SLEEPER_FOREVER);
}

static void *run(void *context)
{
    struct writer *writer = context;
    for (;;) {
        /* Read before the ring: what was sent before writer_close is then seen. */
        bool stopping = is_stopping(writer);
        bool wrote = writer_on_block(writer);
        writer_on_sync(writer);
        writer_on_removal(writer);
        atomic_store_explicit(&writer->cpu_ns, clock_thread_cpu_ns(), memory_order_relaxed);
        if (wrote)
            continue;
        if (stopping)
            return NULL;
        wait_for_blocks(writer);
    }
}

static enum status start_thread(struct writer *writer, uint32_t cpu, struct problem *problem)
{
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    if (cpu < CPU_SETSIZE)
        CPU_SET(cpu, &cpus);
    int error = thread_start(&writer->thread, "fly-journal", cpu == WRITER_NO_CPU ? NULL : &cpus,
                             run, writer);
    if (error == EINVAL)
        return problem_set(
            problem, STATUS_INVALID,
            "the journal thread cannot run on CPU %" PRIu32 ": this process may not use it", cpu);
    if (error != 0)
        return problem_set(problem, STATUS_NO_MEMORY, "cannot start the journal thread: %s",
                           strerror(error));
    writer->threaded = true;
    return STATUS_OK;
}

/* All memory is touched here, so that no page fault comes later; without a thread nobody is in a
 * hurry. */
static enum status take_memory(struct writer *writer, bool touch)
{
    size_t bytes = (size_t)WRITER_BUFFERS_COUNT * BLOCK_BYTES_MAX;
    writer->memory = region_map(bytes, REGION_SCRATCH);
    if (writer->memory == NULL)
        return STATUS_NO_MEMORY;
    if (touch)
        memset(writer->memory, 0, bytes);
    for (uint32_t index = 0; index < WRITER_BUFFERS_COUNT; index++)
        writer->buffers[index] = (struct writer_buffer){
            .bytes = writer->memory + (size_t)index * BLOCK_BYTES_MAX,
            .index = index,
        };
    return ring_open(&writer->ring, WRITER_BUFFERS_COUNT, sizeof(struct block_entry));
}

enum status writer_open(const struct writer_options *options, struct writer **ret_writer,
                        struct problem *problem)
{
    struct writer *writer = aligned_alloc(_Alignof(struct writer), sizeof *writer);
    if (writer == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "no memory for the journal thread");
    memset(writer, 0, sizeof *writer);
    writer->journal = options->journal;
    writer->watermark = options->watermark;
    writer->engine = options->engine;
    writer->beside = options->beside;
    writer->written_no = options->durable_no;
    writer->durable_no = options->durable_no;
    writer->sent_no = options->durable_no;
    sleeper_init(&writer->sleeper);
    enum status status = take_memory(writer, !options->threadless);
    if (status != STATUS_OK)
        problem_set(problem, status, "no memory for the buffers of the journal thread");
    if (status == STATUS_OK && !options->threadless)
        status = start_thread(writer, options->cpu, problem);
    if (status != STATUS_OK) {
        writer_close(writer);
        return status;
    }
    *ret_writer = writer;
    return STATUS_OK;
}

void writer_close(struct writer *writer)
{
    if (writer == NULL)
        return;
    if (writer->threaded) {
        atomic_store_explicit(&writer->stopping, true, memory_order_release);
        sleeper_wake(&writer->sleeper);
        pthread_join(writer->thread, NULL);
    } else if (writer->ring != NULL) {
        writer_on_block(writer);
        writer_on_sync(writer);
        writer_on_removal(writer);
    }
    ring_close(writer->ring);
    region_unmap(writer->memory, (size_t)WRITER_BUFFERS_COUNT * BLOCK_BYTES_MAX);
    free(writer);
}

/* Takes in what the journal thread has finished since the last look. */
static void take_back(struct writer *writer)
{
    uint32_t consumed_count = ring_consumed(writer->ring);
    uint32_t finished_count = consumed_count - writer->consumed_count;
    assert(finished_count <= writer->sent_count - writer->consumed_count);
    writer->consumed_count = consumed_count;
    writer->durable_no += finished_count;
}

struct writer_buffer *writer_acquire(struct writer *writer)
{
    take_back(writer);
    if (writer->acquired_count - writer->consumed_count == WRITER_BUFFERS_COUNT)
        return NULL;
    return &writer->buffers[writer->acquired_count++ % WRITER_BUFFERS_COUNT];
}

void writer_send_block(struct writer *writer, struct writer_buffer *buffer)
{
    assert(buffer->index == writer->sent_count % WRITER_BUFFERS_COUNT);
    assert(writer->sent_count != writer->acquired_count);
    assert(buffer->block_no == writer->sent_no + 1);
    assert(buffer->bytes_count >= BLOCK_HEADER_BYTES && buffer->bytes_count <= BLOCK_BYTES_MAX);
    /* There are as many entries as buffers: whoever holds a buffer has a place in the ring. */
    uint32_t reserved_count = ring_reserve(writer->ring, 1);
    assert(reserved_count == 1);
    struct block_entry *entry = ring_slot(writer->ring, reserved_count - 1);
    entry->buffer_index = buffer->index;
    writer->sent_no = buffer->block_no;
    writer->sent_count++;
    ring_publish(writer->ring, 1);
    sleeper_wake(&writer->sleeper);
}

void writer_remove_before(struct writer *writer, uint64_t first_kept_no)
{
    assert(first_kept_no > 0 && first_kept_no <= writer->durable_no + 1);
    if (first_kept_no <= writer->remove_before_no_sent)
        return;
    writer->remove_before_no_sent = first_kept_no;
    atomic_store_explicit(&writer->remove_before_no, first_kept_no, memory_order_release);
    sleeper_wake(&writer->sleeper);
}

uint32_t writer_blocks_in_flight(const struct writer *writer)
{
    return writer->sent_count - writer->consumed_count;
}

uint64_t writer_durable_no(struct writer *writer)
{
    take_back(writer);
    return writer->durable_no;
}

void writer_sync_beside(struct writer *writer)
{
    atomic_store_explicit(&writer->wants_sync, true, memory_order_release);
    sleeper_wake(&writer->sleeper);
}

uint64_t writer_beside_synced_no(const struct writer *writer)
{
    return atomic_load_explicit(&writer->synced_no, memory_order_acquire);
}

enum status writer_failure(const struct writer *writer, struct problem *problem)
{
    if (!has_failed(writer))
        return STATUS_OK;
    if (problem != NULL)
        *problem = writer->failure;
    return writer->failure.status;
}

bool writer_step(struct writer *writer)
{
    assert(!writer->threaded);
    uint64_t start_ns = clock_thread_cpu_ns();
    bool wrote = writer_on_block(writer);
    writer_on_sync(writer);
    writer_on_removal(writer);
    add(&writer->cpu_ns, clock_thread_cpu_ns() - start_ns);
    return wrote;
}

struct writer_counts writer_counts(const struct writer *writer)
{
    return (struct writer_counts){
        .syncs_count = atomic_load_explicit(&writer->syncs_count, memory_order_relaxed),
        .bytes_count = atomic_load_explicit(&writer->bytes_count, memory_order_relaxed),
        .busy_ns = atomic_load_explicit(&writer->busy_ns, memory_order_relaxed),
        .cpu_ns = atomic_load_explicit(&writer->cpu_ns, memory_order_relaxed),
    };
}

void writer_append_times(const struct writer *writer, struct tally *ret_times_us)
{
    ret_times_us->sum = atomic_load_explicit(&writer->busy_ns, memory_order_relaxed) / 1000;
    for (uint32_t i = 0; i <= TALLY_BUCKETS; i++)
        ret_times_us->counts[i] = atomic_load_explicit(&writer->times_us[i], memory_order_relaxed);
}
