/*
 * bench_core: the engine's own work, on one thread and with nothing around it: the saga core, the
 * records of its events, the tables of a service.
 *
 * The core runs the order saga: each saga is started, and its four results (record, reserve,
 * charge, confirm) are applied in the order in which the effects ask for them, as a partition does
 * when every block is durable at once. With as many sagas under way as `flyover bench` has they do
 * not fit the caches, with 256 they do: the difference is what memory costs.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/measure.h"
#include "engine/base/clock.h"
#include "engine/saga/core.h"
#include "engine/service/tables.h"

#define SAGAS_COLD      24576u
#define SAGAS_WARM      256u
#define SAGAS_IN_ALL    98304u /* a repetition */
#define STEPS_A_SAGA    4u
#define PREFETCH_AHEAD  8u
#define RECORDS         1000000u
#define PUTS            262144u
#define ADDS            1000000u
#define ADDS_APPLIED    16384u /* their writes are kept and made again */
#define WRITES_CAPACITY FLYOVER_WRITES_BYTES_MAX

static const char order[] = "\x83\xa6number\xa8"
                            "00000001"
                            "\xa8"
                            "customer\xa5"
                            "12345"
                            "\xa5lines\x92"
                            "\x93\xa5"
                            "20001\x03\xcd\x01\x2c"
                            "\x93\xa6"
                            "20002B\x01\x63";

static struct flyover_bytes order_bytes(void)
{
    return (struct flyover_bytes){(const uint8_t *)order, sizeof order - 1};
}

/* ---- the core ------------------------------------------------------------------------------- */

struct rig {
    struct core *core;
    struct effect_queue effects;
};

static struct plan *compile(const struct measure *measure)
{
    static char text[65536];
    struct problem problem;
    FILE *file = fopen(BENCH_DEFINITION, "r");
    size_t bytes = file == NULL ? 0 : fread(text, 1, sizeof text, file);
    if (file != NULL)
        fclose(file);
    struct plan *plan;
    if (plan_compile("order", BENCH_DEFINITION, text, bytes, &plan, &problem) != STATUS_OK)
        measure_fail(measure, &problem);
    return plan;
}

static struct rig open_rig(const struct measure *measure)
{
    struct core_limits limits = {.sagas_max = 65536, .payload_bytes_max = 256u << 20};
    struct rig rig = {0};
    enum status status = core_open(&limits, &rig.core);
    if (status == STATUS_OK) {
        rig.effects.capacity = 4 * core_branches_max(rig.core);
        rig.effects.items = malloc(rig.effects.capacity * sizeof *rig.effects.items);
    }
    if (rig.effects.items == NULL)
        measure_fail(measure, &(struct problem){.status = STATUS_NO_MEMORY});
    assert((rig.effects.capacity & (rig.effects.capacity - 1)) == 0);
    uint32_t plan = core_add_plan(rig.core, compile(measure));
    assert(plan == 0);
    return rig;
}

static void close_rig(struct rig *rig)
{
    core_close(rig->core);
    free(rig->effects.items);
}

static void start_sagas(struct rig *rig, uint32_t count)
{
    struct event event = {.kind = EVENT_START,
                          .start = {.source = EVENT_NO_SOURCE, .input = order_bytes()}};
    for (uint32_t i = 0; i < count; i++) {
        assert(core_can_start(rig->core, 0, &rig->effects));
        enum status status =
            core_apply(rig->core, &(struct core_moment){1, 1}, &event, 1, &rig->effects, NULL);
        assert(status == STATUS_OK);
    }
}

/* Answers every invocation that the effects ask for, until there is none left. */
static void answer_all(struct rig *rig)
{
    struct effect_queue *effects = &rig->effects;
    struct core_invocation call;
    for (; effects->head < effects->tail; effects->head++) {
        if (effects->head + PREFETCH_AHEAD < effects->tail)
            core_prefetch_branch(
                rig->core,
                effects->items[(effects->head + PREFETCH_AHEAD) & (effects->capacity - 1)].branch);
        struct effect effect = effects->items[effects->head & (effects->capacity - 1)];
        if (effect.kind != EFFECT_INVOKE)
            continue;
        assert(core_expects(rig->core, effect.branch, effect.generation));
        core_invocation(rig->core, effect.branch, &call);
        measure_keep(call.input.at[0]);
        struct event event = {.kind = EVENT_RESULT, .result = {.branch = effect.branch}};
        enum status status =
            core_apply(rig->core, &(struct core_moment){1, 1}, &event, 0, effects, NULL);
        assert(status == STATUS_OK);
    }
}

static void measure_sagas(struct measure *measure, struct rig *rig, uint32_t under_way)
{
    struct core_totals before = core_totals(rig->core);
    uint64_t starts_ns = 0, steps_ns = 0;
    uint32_t sagas = 0;
    for (; sagas < SAGAS_IN_ALL; sagas += under_way) {
        uint64_t begin_ns = clock_now_ns();
        start_sagas(rig, under_way);
        uint64_t started_ns = clock_now_ns();
        answer_all(rig);
        starts_ns += started_ns - begin_ns;
        steps_ns += clock_now_ns() - started_ns;
    }
    struct core_totals after = core_totals(rig->core);
    assert(after.succeeded - before.succeeded == sagas && after.ended - before.ended == sagas);
    assert(after.steps - before.steps == (uint64_t)sagas * STEPS_A_SAGA);
    measure_add(measure, (double)starts_ns / sagas, "ns a start",
                "core_apply of a start, %u sagas under way", under_way);
    measure_add(measure, (double)steps_ns / ((double)sagas * STEPS_A_SAGA), "ns a step",
                "core_invocation and core_apply of a result, %u under way", under_way);
}

/* ---- records -------------------------------------------------------------------------------- */

static void measure_record(struct measure *measure, struct event event, const char *name)
{
    uint8_t *buffer = malloc(RECORDS * event_encoded_bytes_max(&event));
    assert(buffer != NULL);
    /* The pages are faulted in before, as those of the writer's buffers are. */
    memset(buffer, 0, RECORDS * event_encoded_bytes_max(&event));
    uint64_t start_ns = clock_now_ns();
    uint8_t *end = buffer;
    for (uint32_t i = 0; i < RECORDS; i++)
        end = event_encode(&event, end);
    uint64_t encoded_ns = clock_now_ns();
    struct event decoded;
    const uint8_t *at = buffer;
    for (uint32_t i = 0; i < RECORDS && at != NULL; i++)
        at = event_decode(at, end, &decoded);
    uint64_t end_ns = clock_now_ns();
    assert(at == end);
    measure_add(measure, (double)(encoded_ns - start_ns) / RECORDS, "ns a record",
                "event_encode, a %s of %u bytes", name, (unsigned)((end - buffer) / RECORDS));
    measure_add(measure, (double)(end_ns - encoded_ns) / RECORDS, "ns a record",
                "event_decode, the same %s", name);
    free(buffer);
}

static void measure_records(struct measure *measure)
{
    static const uint8_t writes[24];
    measure_record(measure,
                   (struct event){.kind = EVENT_START,
                                  .start = {.source = EVENT_NO_SOURCE, .input = order_bytes()}},
                   "start");
    measure_record(measure,
                   (struct event){.kind = EVENT_RESULT,
                                  .result = {.branch = 20000, .writes = {writes, sizeof writes}}},
                   "result");
}

/* ---- tables --------------------------------------------------------------------------------- */

enum { TABLE_ORDERS, TABLE_BALANCES, TABLES_COUNT };

static struct tables *open_tables(const struct measure *measure)
{
    static const struct event_table declared[TABLES_COUNT] = {
        [TABLE_ORDERS] = {FLYOVER_VALUES, FLYOVER_DROP_OLDEST, PUTS, {(const uint8_t *)"o", 1}},
        [TABLE_BALANCES] = {FLYOVER_COUNTERS, FLYOVER_REFUSE, PUTS, {(const uint8_t *)"b", 1}},
    };
    struct tables *tables;
    enum status status = tables_open(declared, TABLES_COUNT, &tables);
    if (status != STATUS_OK)
        measure_fail(measure, &(struct problem){.status = status});
    return tables;
}

static struct flyover_bytes make_key(char text[16], uint32_t number)
{
    for (uint32_t i = 8; i-- > 0; number /= 10)
        text[i] = (char)('0' + number % 10);
    return (struct flyover_bytes){(const uint8_t *)text, 8};
}

/* New keys, one a call, as the service that keeps the order numbers has them. */
static double puts_ns(struct tables *tables, uint8_t *out, uint32_t first)
{
    static const uint8_t value[3] = {7, 0x90, 0x1f};
    char text[16];
    uint64_t start_ns = clock_now_ns();
    for (uint32_t i = 0; i < PUTS; i++) {
        tables_begin(tables, out, WRITES_CAPACITY);
        bool put = tables_put(tables, TABLE_ORDERS, make_key(text, first + i),
                              (struct flyover_bytes){value, sizeof value});
        assert(put);
        measure_keep(tables_commit(tables));
    }
    return (double)(clock_now_ns() - start_ns) / PUTS;
}

/* Changes of counters drawn evenly, one a call. Returns the bytes of the writes, one after another
 * in `out` as far as ADDS_APPLIED goes. */
static uint32_t add_evenly(struct tables *tables, uint8_t *out, uint32_t keys_count, uint32_t count)
{
    char text[16];
    uint64_t random = 1;
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint32_t key = (uint32_t)((random >> 32) * keys_count >> 32);
        tables_begin(tables, out + bytes, WRITES_CAPACITY - bytes);
        bool added = tables_add(tables, TABLE_BALANCES, make_key(text, key), 300);
        assert(added);
        uint32_t written = tables_commit(tables);
        bytes += count == ADDS_APPLIED ? written : 0;
    }
    return bytes;
}

static void measure_adds(struct measure *measure, struct tables *tables, uint8_t *out,
                         uint32_t keys_count)
{
    uint64_t start_ns = clock_now_ns();
    add_evenly(tables, out, keys_count, ADDS);
    measure_add(measure, (double)(clock_now_ns() - start_ns) / ADDS, "ns a write",
                "tables_add, one a call, over %u keys", keys_count);
    uint32_t bytes = add_evenly(tables, out, keys_count, ADDS_APPLIED);
    start_ns = clock_now_ns();
    enum status status = tables_apply(tables, (struct flyover_bytes){out, bytes});
    assert(status == STATUS_OK);
    measure_add(measure, (double)(clock_now_ns() - start_ns) / ADDS_APPLIED, "ns a write",
                "tables_apply of such additions, over %u keys", keys_count);
}

static void measure_tables(struct measure *measure)
{
    struct tables *tables = open_tables(measure);
    uint8_t *out = malloc(WRITES_CAPACITY);
    assert(out != NULL);
    measure_add(measure, puts_ns(tables, out, 0), "ns a write",
                "tables_put of a new key, the table growing to %u", PUTS);
    measure_add(measure, puts_ns(tables, out, PUTS), "ns a write",
                "tables_put of a new key, the oldest of %u dropped", PUTS);
    measure_adds(measure, tables, out, 1000);
    measure_adds(measure, tables, out, 10000);
    free(out);
    tables_close(tables);
}

int main(int argc, char **argv)
{
    static struct measure measure;
    measure_init(&measure, argc, argv,
                 "Measures engine/saga/core.h, event.h and engine/service/tables.h on one thread.");
    measure_pin(&measure, 0);
    struct rig rig = open_rig(&measure);
    /* Slots and payloads are touched once before they are measured. */
    start_sagas(&rig, SAGAS_COLD);
    answer_all(&rig);
    for (uint32_t i = 0; i < measure.repetitions; i++) {
        measure_sagas(&measure, &rig, SAGAS_COLD);
        measure_sagas(&measure, &rig, SAGAS_WARM);
        measure_records(&measure);
        measure_tables(&measure);
    }
    close_rig(&rig);
    measure_print(&measure);
    return 0;
}
