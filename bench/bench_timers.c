/*
 * bench_timers: what it costs to set a timer and to take it out, in engine/partition/timers.h and
 * in a binary heap over (due, key), which is what one would write first.
 *
 * Ten million timers, their dues random within the span: a second is ten thousand a millisecond,
 * an hour is three. Keys lie far apart in both orders, as they are set and as they come out, so
 * that each is a cache miss or several. The clock goes on a millisecond at a time, until all are
 * out. The heap has no keys to move or clear by; it is asked for no more than it can do.
 */
#include <assert.h>
#include <stdlib.h>

#include "bench/measure.h"
#include "engine/base/clock.h"
#include "engine/partition/timers.h"

#define TIMERS_COUNT       10000000u
#define TIMERS_COUNT_QUICK 1000000u
#define START_MS           INT64_C(1700000000000)
#define KEY_STRIDE         7368787u /* prime, and no divisor of the counts: each key once */

static const struct span {
    const char *name;
    int64_t ms;
} spans[] = {{"a second", 1000}, {"an hour", 3600000}};

/* ---- the heap ------------------------------------------------------------------------------- */

struct entry {
    int64_t due_ms;
    uint32_t key;
};

struct heap {
    struct entry *entries;
    uint32_t count;
};

static bool is_before(struct entry a, struct entry b)
{
    return a.due_ms != b.due_ms ? a.due_ms < b.due_ms : a.key < b.key;
}

static void heap_add(struct heap *heap, struct entry entry)
{
    uint32_t at = heap->count++;
    for (; at > 0 && is_before(entry, heap->entries[(at - 1) / 2]); at = (at - 1) / 2)
        heap->entries[at] = heap->entries[(at - 1) / 2];
    heap->entries[at] = entry;
}

static void heap_remove_first(struct heap *heap)
{
    struct entry last = heap->entries[--heap->count];
    uint32_t at = 0;
    for (uint32_t child = 1; child < heap->count; child = 2 * at + 1) {
        if (child + 1 < heap->count && is_before(heap->entries[child + 1], heap->entries[child]))
            child++;
        if (!is_before(heap->entries[child], last))
            break;
        heap->entries[at] = heap->entries[child];
        at = child;
    }
    heap->entries[at] = last;
}

/* ---- both ----------------------------------------------------------------------------------- */

struct input {
    int64_t *due_ms; /* in the order of setting */
    uint32_t count;
};

static uint32_t key_of(const struct input *input, uint32_t i)
{
    return (uint32_t)((uint64_t)i * KEY_STRIDE % input->count);
}

/* xorshift: the same dues in every run. */
static void draw(struct input *input, int64_t span_ms)
{
    uint64_t seed = 88172645463325252u;
    for (uint32_t i = 0; i < input->count; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        input->due_ms[i] = START_MS + 1 + (int64_t)(seed % (uint64_t)span_ms);
    }
}

static double ns_each(const struct input *input, uint64_t start_ns, uint64_t end_ns)
{
    return (double)(end_ns - start_ns) / input->count;
}

/* The sum says that both gave the same keys in the same order. */
static uint64_t measure_wheel(struct measure *measure, const struct input *input, const char *span)
{
    static struct timers timers;
    uint32_t key;
    if (timers_init(&timers, input->count) != STATUS_OK)
        measure_fail(measure, &(struct problem){.status = STATUS_NO_MEMORY});
    timers_pop(&timers, START_MS, &key);
    uint64_t start_ns = clock_now_ns();
    for (uint32_t i = 0; i < input->count; i++)
        timers_set(&timers, key_of(input, i), input->due_ms[i]);
    uint64_t set_ns = clock_now_ns();
    for (uint32_t i = 0; i < input->count; i++)
        timers_set(&timers, key_of(input, i), input->due_ms[i] + 1);
    uint64_t again_ns = clock_now_ns(), sum = 0;
    for (int64_t now_ms = START_MS; timers_count(&timers) > 0; now_ms++)
        while (timers_pop(&timers, now_ms, &key))
            sum = sum * 31 + key;
    uint64_t end_ns = clock_now_ns();
    for (uint32_t i = 0; i < input->count; i++)
        timers_set(&timers, key_of(input, i), input->due_ms[i] + 2 * input->count);
    uint64_t full_ns = clock_now_ns();
    for (uint32_t i = 0; i < input->count; i++)
        timers_clear(&timers, key_of(input, i));
    uint64_t cleared_ns = clock_now_ns();
    timers_fini(&timers);
    measure_add(measure, ns_each(input, start_ns, set_ns), "ns a set", "wheel, due within %s",
                span);
    measure_add(measure, ns_each(input, set_ns, again_ns), "ns a set",
                "wheel, due within %s, each has one", span);
    measure_add(measure, ns_each(input, again_ns, end_ns), "ns a pop", "wheel, due within %s, out",
                span);
    measure_add(measure, ns_each(input, full_ns, cleared_ns), "ns a clear",
                "wheel, due within %s, cleared", span);
    return sum;
}

static uint64_t measure_heap(struct measure *measure, const struct input *input, const char *span)
{
    struct heap heap = {.entries = malloc((size_t)input->count * sizeof *heap.entries)};
    if (heap.entries == NULL)
        measure_fail(measure, &(struct problem){.status = STATUS_NO_MEMORY});
    uint64_t start_ns = clock_now_ns();
    for (uint32_t i = 0; i < input->count; i++)
        heap_add(&heap, (struct entry){input->due_ms[i], key_of(input, i)});
    uint64_t set_ns = clock_now_ns(), sum = 0;
    for (int64_t now_ms = START_MS; heap.count > 0; now_ms++)
        for (; heap.count > 0 && heap.entries[0].due_ms <= now_ms; heap_remove_first(&heap))
            sum = sum * 31 + heap.entries[0].key;
    uint64_t end_ns = clock_now_ns();
    free(heap.entries);
    measure_add(measure, ns_each(input, start_ns, set_ns), "ns a set", "heap, due within %s", span);
    measure_add(measure, ns_each(input, set_ns, end_ns), "ns a pop", "heap, due within %s, out",
                span);
    return sum;
}

int main(int argc, char **argv)
{
    static struct measure measure;
    measure_init(&measure, argc, argv,
                 "Measures engine/partition/timers.h beside a binary heap, with ten million timers "
                 "(--quick: a million).");
    measure_pin(&measure, 0);
    struct input input = {.count = measure.quick ? TIMERS_COUNT_QUICK : TIMERS_COUNT};
    input.due_ms = malloc((size_t)input.count * sizeof *input.due_ms);
    if (input.due_ms == NULL)
        measure_fail(&measure, &(struct problem){.status = STATUS_NO_MEMORY});
    for (uint32_t i = 0; i < measure.repetitions; i++)
        for (uint32_t span = 0; span < sizeof spans / sizeof spans[0]; span++) {
            draw(&input, spans[span].ms);
            uint64_t sum = measure_wheel(&measure, &input, spans[span].name);
            uint64_t heap_sum = measure_heap(&measure, &input, spans[span].name);
            assert(sum == heap_sum);
        }
    free(input.due_ms);
    measure_print(&measure);
    return 0;
}
