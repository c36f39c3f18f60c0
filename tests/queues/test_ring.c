/* The conformance test of the ring. It is built against each of the two kinds of shared indices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "queues/ring.h"
#include "queues/ring_internal.h"

#if defined(__SANITIZE_THREAD__)
#define PASSED_ENTRIES_COUNT 1000000u
#else
#define PASSED_ENTRIES_COUNT 4000000u
#endif

/* The sanitizers' own allocators end the process when memory runs out, unless told not to. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static struct ring *open_at(uint32_t capacity, uint32_t entry_bytes, uint32_t first_index)
{
    struct ring *ring = NULL;
    assert_int_equal(ring_open_at(&ring, capacity, entry_bytes, first_index), STATUS_OK);
    assert_non_null(ring);
    return ring;
}

static uint32_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 32);
}

/* Every byte of the entry with this number, so that no byte of a slot goes unchecked. */
static void entry_fill(uint8_t *entry, uint32_t entry_bytes, uint32_t number)
{
    for (uint32_t i = 0; i < entry_bytes; i++)
        entry[i] = (uint8_t)((number >> (i % 4 * 8)) + i / 4);
}

static void assert_entry_equal(const uint8_t *entry, uint32_t entry_bytes, uint32_t number)
{
    uint8_t expected[RING_ENTRY_BYTES_MAX];
    entry_fill(expected, entry_bytes, number);
    assert_memory_equal(entry, expected, entry_bytes);
}

/* The reference queue: entries are numbered in order, so two counts say what is in it. */
struct model {
    struct ring *ring;
    uint32_t capacity;
    uint32_t entry_bytes;
    uint32_t first_index;
    uint32_t published_count;
    uint32_t consumed_count;
};

static uint32_t least(uint32_t left, uint32_t right)
{
    return left < right ? left : right;
}

static void model_produce(struct model *model, uint64_t *seed)
{
    uint32_t free_count = model->capacity - (model->published_count - model->consumed_count);
    uint32_t wanted = random_next(seed) % (model->capacity + 3);
    uint32_t reserved_count = ring_reserve(model->ring, wanted);
    assert_int_equal(reserved_count, least(wanted, free_count));
    for (uint32_t i = 0; i < reserved_count; i++)
        entry_fill(ring_slot(model->ring, i), model->entry_bytes, model->published_count + i);
    uint32_t publish_count = random_next(seed) % (reserved_count + 1);
    ring_publish(model->ring, publish_count);
    model->published_count += publish_count;
}

static void model_consume(struct model *model, uint64_t *seed)
{
    uint32_t held_count = model->published_count - model->consumed_count;
    uint32_t wanted = random_next(seed) % (model->capacity + 3);
    uint32_t readable_count = ring_peek(model->ring, wanted);
    assert_int_equal(readable_count, least(wanted, held_count));
    for (uint32_t i = 0; i < readable_count; i++)
        assert_entry_equal(ring_front(model->ring, i), model->entry_bytes,
                           model->consumed_count + i);
    uint32_t consume_count = random_next(seed) % (readable_count + 1);
    ring_consume(model->ring, consume_count);
    model->consumed_count += consume_count;
    assert_int_equal(ring_consumed(model->ring), model->first_index + model->consumed_count);
}

static void model_run(uint32_t capacity, uint32_t entry_bytes, uint32_t first_index)
{
    uint64_t seed = 0x9e3779b97f4a7c15u + capacity + ((uint64_t)entry_bytes << 32);
    struct model model = {
        .ring = open_at(capacity, entry_bytes, first_index),
        .capacity = capacity,
        .entry_bytes = entry_bytes,
        .first_index = first_index,
    };
    assert_int_equal(ring_capacity(model.ring), capacity);
    for (uint32_t step = 0; step < 400; step++) {
        if (random_next(&seed) % 2 == 0)
            model_produce(&model, &seed);
        else
            model_consume(&model, &seed);
    }
    ring_close(model.ring);
}

static const uint32_t capacities[] = {1,  2,  3,  4,  5,  7,   8,   9,   15,  16,   17,
                                      31, 32, 33, 63, 64, 100, 127, 128, 129, 1023, 1024};

static void random_bulk_calls_agree_with_a_reference_queue(void **state)
{
    (void)state;
    const uint32_t sizes_bytes[] = {1, 12, 32, RING_ENTRY_BYTES_MAX};
    for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++)
        for (size_t j = 0; j < sizeof sizes_bytes / sizeof sizes_bytes[0]; j++)
            model_run(capacities[i], sizes_bytes[j], 0);
}

static void the_32_bit_indices_wrap_unseen(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++) {
        model_run(capacities[i], 8, UINT32_MAX - 3 * capacities[i]);
        model_run(capacities[i], 8, UINT32_MAX);
        model_run(capacities[i], 8, (UINT32_MAX >> 1) - capacities[i]);
    }
}

static void a_ring_holds_its_capacity_and_not_one_more(void **state)
{
    (void)state;
    for (uint32_t capacity = 1; capacity <= 130; capacity++) {
        struct ring *ring = open_at(capacity, 4, 0);
        for (uint32_t i = 0; i < capacity; i++) {
            assert_int_equal(ring_reserve(ring, 1), 1);
            memcpy(ring_slot(ring, 0), &i, sizeof i);
            ring_publish(ring, 1);
        }
        assert_int_equal(ring_reserve(ring, 1), 0);
        assert_int_equal(ring_peek(ring, UINT32_MAX), capacity);
        for (uint32_t i = 0; i < capacity; i++)
            assert_memory_equal(ring_front(ring, i), &i, sizeof i);
        ring_consume(ring, 1);
        assert_int_equal(ring_reserve(ring, UINT32_MAX), 1);
        ring_close(ring);
    }
}

static void what_is_reserved_and_not_published_is_not_seen(void **state)
{
    (void)state;
    struct ring *ring = open_at(8, 8, 0);
    assert_int_equal(ring_reserve(ring, 3), 3);
    assert_int_equal(ring_peek(ring, 8), 0);
    ring_publish(ring, 2);
    assert_int_equal(ring_peek(ring, 8), 2);
    ring_publish(ring, 1);
    assert_int_equal(ring_peek(ring, 8), 3);
    ring_close(ring);
}

static void what_is_counted_and_not_consumed_stays(void **state)
{
    (void)state;
    struct ring *ring = open_at(2, 8, 0);
    assert_int_equal(ring_reserve(ring, 2), 2);
    ring_publish(ring, 2);
    assert_int_equal(ring_peek(ring, 2), 2);
    assert_int_equal(ring_reserve(ring, 1), 0);
    assert_int_equal(ring_consumed(ring), 0);
    assert_int_equal(ring_peek(ring, 1), 1);
    ring_consume(ring, 1);
    assert_int_equal(ring_consumed(ring), 1);
    assert_int_equal(ring_peek(ring, 2), 1);
    ring_close(ring);
}

static void entries_are_aligned_as_their_size_allows(void **state)
{
    (void)state;
    struct ring *rings[16];
    for (uint32_t i = 0; i < 16; i++) {
        rings[i] = open_at(i + 1, 32, 0);
        assert_int_equal(ring_reserve(rings[i], i + 1), i + 1);
        assert_int_equal((uintptr_t)ring_slot(rings[i], 0) % 128, 0);
        assert_int_equal((uintptr_t)ring_slot(rings[i], i) % 32, 0);
    }
    for (uint32_t i = 0; i < 16; i++)
        ring_close(rings[i]);
}

static void sizes_out_of_bounds_are_refused(void **state)
{
    (void)state;
    struct ring *const untouched = (struct ring *)state;
    struct ring *ring = untouched;
    assert_int_equal(ring_open(&ring, 0, 8), STATUS_INVALID);
    assert_int_equal(ring_open(&ring, RING_CAPACITY_MAX + 1, 8), STATUS_INVALID);
    assert_int_equal(ring_open(&ring, 8, 0), STATUS_INVALID);
    assert_int_equal(ring_open(&ring, 8, RING_ENTRY_BYTES_MAX + 1), STATUS_INVALID);
    assert_ptr_equal(ring, untouched);
}

static void the_largest_ring_opens(void **state)
{
    (void)state;
    struct ring *ring;
    assert_int_equal(ring_open(&ring, RING_CAPACITY_MAX, 1), STATUS_OK);
    assert_int_equal(ring_reserve(ring, UINT32_MAX), RING_CAPACITY_MAX);
    ring_close(ring);
}

/* In a child, which alone is short of memory. */
static void a_ring_too_large_for_memory_is_refused(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit limit = {1u << 30, 1u << 30};
        struct ring *const untouched = (struct ring *)state;
        struct ring *ring = untouched;
        if (setrlimit(RLIMIT_AS, &limit) != 0)
            _exit(2);
        enum status status = ring_open(&ring, RING_CAPACITY_MAX, RING_ENTRY_BYTES_MAX);
        _exit(status == STATUS_NO_MEMORY && ring == untouched ? 0 : 1);
    }
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    assert_int_equal(WEXITSTATUS(result), 0);
}

static void closing_no_ring_is_allowed(void **state)
{
    (void)state;
    ring_close(NULL);
}

static void publish_too_many(struct ring *ring)
{
    ring_publish(ring, ring_reserve(ring, 2) + 1);
}

static void consume_too_many(struct ring *ring)
{
    ring_publish(ring, ring_reserve(ring, 2));
    ring_consume(ring, ring_peek(ring, 1) + 1);
}

static void fill_a_slot_not_reserved(struct ring *ring)
{
    (void)ring_slot(ring, ring_reserve(ring, 2));
}

static void read_an_entry_not_counted(struct ring *ring)
{
    ring_publish(ring, ring_reserve(ring, 2));
    (void)ring_front(ring, ring_peek(ring, 1));
}

static void misuse_stops_the_program(void **state)
{
    (void)state;
    void (*const misuses[])(struct ring *) = {publish_too_many, consume_too_many,
                                              fill_a_slot_not_reserved, read_an_entry_not_counted};
    for (size_t i = 0; i < sizeof misuses / sizeof misuses[0]; i++) {
        pid_t child = fork();
        if (child == 0) {
            signal(SIGABRT, SIG_DFL);
            fclose(stderr);
            misuses[i](open_at(4, 8, 0));
            _exit(0);
        }
        int result;
        assert_int_equal(waitpid(child, &result, 0), child);
        assert_true(WIFSIGNALED(result));
        assert_int_equal(WTERMSIG(result), SIGABRT);
    }
}

/*
 * Two threads. Each entry lends one of LENT_COUNT words of the producer's own memory, which the
 * producer writes again as soon as ring_consumed says that it may: so a consumer that is called
 * done too early reads a word of a later entry.
 */
#define LENT_COUNT 48u

struct passed {
    uint64_t number;
    const uint64_t *lent;
    uint64_t checksum;
};

struct passage {
    struct ring *ring;
    uint32_t first_index;
    uint32_t bulk_count_max;
    uint64_t lent[LENT_COUNT];
    uint64_t wrong_count;
    uint64_t checksum;
};

static uint64_t word_of(uint64_t number)
{
    return (number + 1) * 0x9e3779b97f4a7c15u;
}

static void *passage_produce(void *argument)
{
    struct passage *passage = argument;
    uint64_t seed = 88172645463325252u;
    for (uint32_t number = 0; number < PASSED_ENTRIES_COUNT;) {
        uint32_t lent_now = passage->first_index + number - ring_consumed(passage->ring);
        uint32_t wanted = least(1 + random_next(&seed) % passage->bulk_count_max,
                                least(PASSED_ENTRIES_COUNT - number, LENT_COUNT - lent_now));
        uint32_t count = ring_reserve(passage->ring, wanted);
        for (uint32_t i = 0; i < count; i++, number++) {
            passage->lent[number % LENT_COUNT] = word_of(number);
            *(struct passed *)ring_slot(passage->ring, i) = (struct passed){
                .number = number,
                .lent = &passage->lent[number % LENT_COUNT],
                .checksum = ~word_of(number),
            };
        }
        ring_publish(passage->ring, count);
        if (count == 0)
            sched_yield();
    }
    return NULL;
}

static bool passed_is_right(const struct passed *passed, uint64_t number)
{
    return passed->number == number && *passed->lent == word_of(number) &&
           passed->checksum == ~word_of(number);
}

/* Reads a batch twice, the second time right before it is given back. */
static void *passage_consume(void *argument)
{
    struct passage *passage = argument;
    uint64_t seed = 362436069u;
    for (uint32_t number = 0; number < PASSED_ENTRIES_COUNT;) {
        uint32_t wanted = 1 + random_next(&seed) % passage->bulk_count_max;
        uint32_t count = ring_peek(passage->ring, wanted);
        for (uint32_t i = 0; i < 2 * count; i++) {
            uint32_t index = i < count ? i : i - count;
            const struct passed *passed = ring_front(passage->ring, index);
            passage->wrong_count += !passed_is_right(passed, number + index);
            passage->checksum += *passed->lent;
        }
        ring_consume(passage->ring, count);
        number += count;
        if (count == 0)
            sched_yield();
    }
    return NULL;
}

static void passage_run(uint32_t capacity, uint32_t bulk_count_max)
{
    struct passage passage = {
        .first_index = UINT32_MAX - PASSED_ENTRIES_COUNT / 2,
        .bulk_count_max = bulk_count_max,
    };
    passage.ring = open_at(capacity, sizeof(struct passed), passage.first_index);
    pthread_t producer, consumer;
    assert_int_equal(pthread_create(&producer, NULL, passage_produce, &passage), 0);
    assert_int_equal(pthread_create(&consumer, NULL, passage_consume, &passage), 0);
    pthread_join(producer, NULL);
    pthread_join(consumer, NULL);

    uint64_t checksum = 0;
    for (uint64_t number = 0; number < PASSED_ENTRIES_COUNT; number++)
        checksum += 2 * word_of(number);
    assert_int_equal(passage.wrong_count, 0);
    assert_int_equal(passage.checksum, checksum);
    assert_int_equal(ring_consumed(passage.ring), passage.first_index + PASSED_ENTRIES_COUNT);
    assert_int_equal(ring_peek(passage.ring, 1), 0);
    ring_close(passage.ring);
}

static void millions_of_entries_pass_between_threads_in_bulk(void **state)
{
    (void)state;
    passage_run(1000, 64);
}

static void millions_of_entries_pass_between_threads_one_at_a_time(void **state)
{
    (void)state;
    passage_run(32, 1);
}

static void millions_of_entries_pass_through_a_ring_smaller_than_a_batch(void **state)
{
    (void)state;
    passage_run(3, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_bulk_calls_agree_with_a_reference_queue),
        cmocka_unit_test(the_32_bit_indices_wrap_unseen),
        cmocka_unit_test(a_ring_holds_its_capacity_and_not_one_more),
        cmocka_unit_test(what_is_reserved_and_not_published_is_not_seen),
        cmocka_unit_test(what_is_counted_and_not_consumed_stays),
        cmocka_unit_test(entries_are_aligned_as_their_size_allows),
        cmocka_unit_test(sizes_out_of_bounds_are_refused),
        cmocka_unit_test(the_largest_ring_opens),
        cmocka_unit_test(a_ring_too_large_for_memory_is_refused),
        cmocka_unit_test(closing_no_ring_is_allowed),
        cmocka_unit_test(misuse_stops_the_program),
        cmocka_unit_test(millions_of_entries_pass_between_threads_in_bulk),
        cmocka_unit_test(millions_of_entries_pass_between_threads_one_at_a_time),
        cmocka_unit_test(millions_of_entries_pass_through_a_ring_smaller_than_a_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
