#include "engine/saga/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/varint.h"

#define KINDS_COUNT  (EVENT_REDRIVE + 1)
#define ROUNDS_COUNT 3000u

/* Random bytes that events borrow from. */
static uint8_t material[4096];

/* xorshift: the same events in every run. */
static uint64_t draw(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Small and large numbers alike, and often the edges. */
static uint64_t draw_number(uint64_t *seed)
{
    uint64_t number = draw(seed) >> (draw(seed) % 64);
    return draw(seed) % 8 == 0 ? UINT64_MAX : number;
}

static uint32_t draw_u32(uint64_t *seed)
{
    return (uint32_t)draw_number(seed);
}

static struct flyover_bytes draw_bytes(uint64_t *seed)
{
    uint64_t count = draw(seed) % (draw(seed) % 4 == 0 ? sizeof material : 24);
    return (struct flyover_bytes){material + draw(seed) % (sizeof material - count),
                                  (uint32_t)count};
}

static struct flyover_bytes draw_trace(uint64_t *seed)
{
    return (struct flyover_bytes){material + draw(seed) % (sizeof material - TRACE_BYTES),
                                  TRACE_BYTES};
}

static void draw_service(uint64_t *seed, struct event *event)
{
    event->service.name = draw_bytes(seed);
    event->service.tables_count = (uint32_t)(draw(seed) % (FLYOVER_TABLES_MAX + 1));
    for (uint32_t i = 0; i < event->service.tables_count; i++)
        event->service.tables[i] = (struct event_table){
            .kind = draw(seed) % 2 ? FLYOVER_COUNTERS : FLYOVER_VALUES,
            .when_full = draw(seed) % 2 ? FLYOVER_DROP_OLDEST : FLYOVER_REFUSE,
            .entries_max = draw_u32(seed),
            .name = draw_bytes(seed),
        };
}

static void draw_start(uint64_t *seed, struct event *event)
{
    event->start.plan = draw_u32(seed);
    event->start.source = draw(seed) % 2 ? EVENT_NO_SOURCE : draw_u32(seed);
    event->start.input = draw_bytes(seed);
    if (draw(seed) % 2)
        event->start.name = draw_bytes(seed);
    if (draw(seed) % 2)
        event->start.at_ms = (int64_t)(draw_number(seed) >> 1);
    if (draw(seed) % 2)
        event->start.deadline_ms = (int64_t)(draw_number(seed) >> 1);
    if (draw(seed) % 2)
        event->start.trace = draw_trace(seed);
}

/* The steps lie in a buffer of their own, until the next one is drawn. */
static void draw_redrive(uint64_t *seed, struct event *event)
{
    static uint8_t steps[EVENT_REDRIVE_STEPS_MAX * (2 * sizeof material + EVENT_FIXED_BYTES_MAX)];
    uint8_t *end = steps;
    event->redrive.of_saga_id = draw_number(seed);
    event->redrive.once = draw(seed) % 2;
    event->redrive.plan = draw_u32(seed);
    event->redrive.state = draw_u32(seed);
    event->redrive.step_no = draw_u32(seed);
    if (draw(seed) % 2)
        event->redrive.trace = draw_trace(seed);
    event->redrive.payload = draw_bytes(seed);
    event->redrive.steps_count =
        (uint32_t)(draw(seed) % (draw(seed) % 4 == 0 ? EVENT_REDRIVE_STEPS_MAX + 1 : 4));
    for (uint32_t i = 0; i < event->redrive.steps_count; i++) {
        struct event_step step = {draw_u32(seed), draw_u32(seed), draw_bytes(seed), {0}};
        if (draw(seed) % 2)
            step.output = draw_bytes(seed);
        uint8_t *after = event_encode_step(&step, end);
        assert_true((size_t)(after - end) <= event_step_bytes_max(&step));
        end = after;
    }
    event->redrive.steps = (struct flyover_bytes){steps, (uint32_t)(end - steps)};
}

static void draw_from_outside(uint64_t *seed, struct event *event)
{
    if (event->kind == EVENT_SIGNAL) {
        event->signal.saga_id = draw_number(seed);
        event->signal.name = draw_bytes(seed);
        event->signal.payload = draw_bytes(seed);
    } else if (event->kind == EVENT_CANCEL) {
        event->cancel.saga_id = draw_number(seed);
        event->cancel.abort = draw(seed) % 2;
        event->cancel.undo_begun = !event->cancel.abort && draw(seed) % 2;
        event->cancel.reason = draw_bytes(seed);
    } else {
        event->mend.saga_id = draw_number(seed);
        event->mend.action = (enum mend_action)(draw(seed) % (MEND_RESOLVE + 1));
        event->mend.reason = draw_bytes(seed);
        if (draw(seed) % 2)
            event->mend.output = draw_bytes(seed);
    }
}

static struct event draw_event(uint64_t *seed, enum event_kind kind)
{
    struct event event = {.kind = kind};
    switch (kind) {
    case EVENT_LIMITS:
        event.limits.sagas_max = draw_u32(seed);
        event.limits.payload_bytes_max = draw_number(seed);
        event.limits.has_names = draw(seed) % 2;
        if (event.limits.has_names) {
            event.limits.seed = draw_number(seed);
            event.limits.names_max = draw_u32(seed);
            event.limits.name_retention_ms = draw_number(seed);
        }
        break;
    case EVENT_SERVICE: draw_service(seed, &event); break;
    case EVENT_DEFINITION:
        event.definition.name = draw_bytes(seed);
        event.definition.text = draw_bytes(seed);
        break;
    case EVENT_SOURCE: event.source.first_hash = draw_number(seed); break;
    case EVENT_START: draw_start(seed, &event); break;
    case EVENT_RESULT:
        event.result.branch = draw_u32(seed);
        event.result.by_token = draw(seed) % 2;
        if (draw(seed) % 2)
            event.result.writes = draw_bytes(seed);
        if (draw(seed) % 2)
            event.result.output = draw_bytes(seed);
        break;
    case EVENT_ERROR:
        event.error.branch = draw_u32(seed);
        event.error.retryable = draw(seed) % 2;
        event.error.by_token = draw(seed) % 2;
        event.error.name = draw_bytes(seed);
        event.error.cause = draw_bytes(seed);
        break;
    case EVENT_TIMER:
        event.timer.branch = draw_u32(seed);
        event.timer.of_saga = draw(seed) % 2;
        event.timer.undo_begun = event.timer.of_saga && draw(seed) % 2;
        break;
    case EVENT_HEARTBEAT: event.heartbeat.branch = draw_u32(seed); break;
    case EVENT_SIGNAL:
    case EVENT_CANCEL:
    case EVENT_MEND: draw_from_outside(seed, &event); break;
    case EVENT_REDRIVE: draw_redrive(seed, &event); break;
    }
    return event;
}

static void assert_same_bytes(struct flyover_bytes left, struct flyover_bytes right)
{
    assert_int_equal(left.count, right.count);
    if (left.count > 0)
        assert_memory_equal(left.at, right.at, left.count);
}

static void assert_same_service(const struct event *left, const struct event *right)
{
    assert_same_bytes(left->service.name, right->service.name);
    assert_int_equal(left->service.tables_count, right->service.tables_count);
    for (uint32_t i = 0; i < left->service.tables_count; i++) {
        const struct event_table *a = &left->service.tables[i], *b = &right->service.tables[i];
        assert_true(a->kind == b->kind && a->when_full == b->when_full);
        assert_int_equal(a->entries_max, b->entries_max);
        assert_same_bytes(a->name, b->name);
    }
}

static void assert_same_redrive(const struct event *left, const struct event *right)
{
    assert_true(left->redrive.of_saga_id == right->redrive.of_saga_id);
    assert_int_equal(left->redrive.plan, right->redrive.plan);
    assert_int_equal(left->redrive.state, right->redrive.state);
    assert_int_equal(left->redrive.step_no, right->redrive.step_no);
    assert_int_equal(left->redrive.steps_count, right->redrive.steps_count);
    assert_same_bytes(left->redrive.trace, right->redrive.trace);
    assert_same_bytes(left->redrive.payload, right->redrive.payload);
    assert_same_bytes(left->redrive.steps, right->redrive.steps);
}

static void assert_same_from_outside(const struct event *left, const struct event *right)
{
    if (left->kind == EVENT_SIGNAL) {
        assert_true(left->signal.saga_id == right->signal.saga_id);
        assert_same_bytes(left->signal.name, right->signal.name);
        assert_same_bytes(left->signal.payload, right->signal.payload);
    } else if (left->kind == EVENT_CANCEL) {
        assert_true(left->cancel.saga_id == right->cancel.saga_id);
        assert_int_equal(left->cancel.abort, right->cancel.abort);
        assert_int_equal(left->cancel.undo_begun, right->cancel.undo_begun);
        assert_same_bytes(left->cancel.reason, right->cancel.reason);
    } else {
        assert_true(left->mend.saga_id == right->mend.saga_id);
        assert_int_equal(left->mend.action, right->mend.action);
        assert_same_bytes(left->mend.output, right->mend.output);
        assert_same_bytes(left->mend.reason, right->mend.reason);
    }
}

static void assert_same(const struct event *left, const struct event *right)
{
    assert_int_equal(left->kind, right->kind);
    switch (left->kind) {
    case EVENT_LIMITS:
        assert_int_equal(left->limits.sagas_max, right->limits.sagas_max);
        assert_true(left->limits.payload_bytes_max == right->limits.payload_bytes_max);
        assert_int_equal(left->limits.has_names, right->limits.has_names);
        assert_true(left->limits.seed == right->limits.seed);
        assert_int_equal(left->limits.names_max, right->limits.names_max);
        assert_true(left->limits.name_retention_ms == right->limits.name_retention_ms);
        break;
    case EVENT_SERVICE: assert_same_service(left, right); break;
    case EVENT_DEFINITION:
        assert_same_bytes(left->definition.name, right->definition.name);
        assert_same_bytes(left->definition.text, right->definition.text);
        break;
    case EVENT_SOURCE: assert_true(left->source.first_hash == right->source.first_hash); break;
    case EVENT_START:
        assert_int_equal(left->start.plan, right->start.plan);
        assert_int_equal(left->start.source, right->start.source);
        assert_same_bytes(left->start.input, right->start.input);
        assert_same_bytes(left->start.name, right->start.name);
        assert_true(left->start.at_ms == right->start.at_ms);
        assert_true(left->start.deadline_ms == right->start.deadline_ms);
        assert_same_bytes(left->start.trace, right->start.trace);
        break;
    case EVENT_RESULT:
        assert_int_equal(left->result.branch, right->result.branch);
        assert_int_equal(left->result.by_token, right->result.by_token);
        assert_same_bytes(left->result.writes, right->result.writes);
        assert_same_bytes(left->result.output, right->result.output);
        break;
    case EVENT_ERROR:
        assert_int_equal(left->error.branch, right->error.branch);
        assert_int_equal(left->error.retryable, right->error.retryable);
        assert_int_equal(left->error.by_token, right->error.by_token);
        assert_same_bytes(left->error.name, right->error.name);
        assert_same_bytes(left->error.cause, right->error.cause);
        break;
    case EVENT_TIMER:
        assert_int_equal(left->timer.branch, right->timer.branch);
        assert_int_equal(left->timer.of_saga, right->timer.of_saga);
        assert_int_equal(left->timer.undo_begun, right->timer.undo_begun);
        break;
    case EVENT_HEARTBEAT: assert_int_equal(left->heartbeat.branch, right->heartbeat.branch); break;
    case EVENT_SIGNAL:
    case EVENT_CANCEL:
    case EVENT_MEND: assert_same_from_outside(left, right); break;
    case EVENT_REDRIVE: assert_same_redrive(left, right); break;
    }
}

/* The record in exactly the room it takes. The caller frees it. */
static uint8_t *encode(const struct event *event, size_t *ret_bytes)
{
    size_t room = event_encoded_bytes_max(event);
    uint8_t *wide = malloc(room + 8);
    assert_non_null(wide);
    memset(wide + room, 0x5a, 8);
    *ret_bytes = (size_t)(event_encode(event, wide) - wide);
    assert_true(*ret_bytes <= room);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(wide[room + i], 0x5a);
    uint8_t *exact = malloc(*ret_bytes);
    assert_non_null(exact);
    memcpy(exact, wide, *ret_bytes);
    free(wide);
    return exact;
}

static int set_up(void **state)
{
    (void)state;
    uint64_t seed = 0x9e3779b97f4a7c15;
    for (size_t i = 0; i < sizeof material; i++)
        material[i] = (uint8_t)draw(&seed);
    return 0;
}

static void every_kind_comes_back_as_it_was(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (uint32_t round = 0; round < ROUNDS_COUNT; round++) {
        struct event event = draw_event(&seed, (enum event_kind)(round % KINDS_COUNT));
        size_t bytes = 0;
        uint8_t *record = encode(&event, &bytes);
        struct event decoded;
        assert_ptr_equal(event_decode(record, record + bytes, &decoded), record + bytes);
        assert_same(&event, &decoded);
        free(record);
    }
}

static void a_record_ends_where_the_next_one_begins(void **state)
{
    (void)state;
    uint64_t seed = 2;
    struct event events[KINDS_COUNT];
    static uint8_t block[KINDS_COUNT * 300000];
    _Static_assert(EVENT_REDRIVE == KINDS_COUNT - 1, "its steps stay until the next one is drawn");
    uint8_t *end = block;
    for (int kind = 0; kind < KINDS_COUNT; kind++) {
        events[kind] = draw_event(&seed, (enum event_kind)kind);
        end = event_encode(&events[kind], end);
    }
    const uint8_t *at = block;
    for (int kind = 0; kind < KINDS_COUNT; kind++) {
        struct event decoded;
        at = event_decode(at, end, &decoded);
        assert_non_null(at);
        assert_same(&events[kind], &decoded);
    }
    assert_ptr_equal(at, end);
}

static void a_record_cut_off_at_any_byte_is_refused(void **state)
{
    (void)state;
    uint64_t seed = 3;
    for (uint32_t round = 0; round < 40 * KINDS_COUNT; round++) {
        struct event event = draw_event(&seed, (enum event_kind)(round % KINDS_COUNT));
        size_t bytes = 0;
        uint8_t *record = encode(&event, &bytes);
        for (size_t cut = 0; cut<bytes; cut += cut> 600 && bytes - cut > 600 ? 61 : 1) {
            uint8_t *exact = malloc(cut == 0 ? 1 : cut);
            assert_non_null(exact);
            memcpy(exact, record, cut);
            struct event decoded;
            assert_null(event_decode(exact, exact + cut, &decoded));
            free(exact);
        }
        free(record);
    }
}

/* Which of the high four bits of the tag a kind may have. */
static uint8_t parts_of(int kind)
{
    switch (kind) {
    case EVENT_START: return 0xf0;
    case EVENT_RESULT: return 0x70;
    case EVENT_ERROR:
    case EVENT_TIMER:
    case EVENT_REDRIVE:
    case EVENT_CANCEL: return 0x30;
    case EVENT_LIMITS:
    case EVENT_MEND: return 0x10;
    default: return 0;
    }
}

/* Flags that make no sense together: only a saga's own time undoes what was begun, and an abort
 * never does. */
static bool is_contrary(int tag)
{
    return (tag & 0x3f) == (EVENT_TIMER | 0x20) || (tag & 0x3f) == (EVENT_CANCEL | 0x30);
}

static void an_unknown_tag_is_refused(void **state)
{
    (void)state;
    for (int tag = 0; tag < 256; tag++) {
        uint8_t record[64] = {(uint8_t)tag};
        memset(record + 1, 1, sizeof record - 1);
        bool known = (tag & 0x0f) < KINDS_COUNT && (tag & 0xf0 & ~parts_of(tag & 0x0f)) == 0 &&
                     !is_contrary(tag);
        struct event decoded;
        assert_int_equal(event_decode(record, record + sizeof record, &decoded) != NULL, known);
    }
}

static void numbers_over_their_type_are_refused(void **state)
{
    (void)state;
    static const enum event_kind kinds[] = {EVENT_LIMITS, EVENT_START, EVENT_RESULT,
                                            EVENT_ERROR,  EVENT_TIMER, EVENT_HEARTBEAT};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        uint8_t record[64] = {(uint8_t)kinds[i]};
        struct event decoded;
        varint_encode(record + 1, UINT32_MAX);
        assert_non_null(event_decode(record, record + sizeof record, &decoded));
        varint_encode(record + 1, (uint64_t)UINT32_MAX + 1);
        assert_null(event_decode(record, record + sizeof record, &decoded));
    }
}

/* Every other number of a record: the one after it makes it too large for its type. */
static void numbers_over_their_type_are_refused_wherever_they_stand(void **state)
{
    (void)state;
    /* Whose so many-th byte after the tag begins a number of 32 bits; all else is 1. */
    static const struct {
        uint8_t tag;
        uint8_t at;
    } places[] = {
        {EVENT_LIMITS | 0x10, 10}, {EVENT_START | 0x10, 1}, {EVENT_REDRIVE, 1}, {EVENT_REDRIVE, 2},
        {EVENT_REDRIVE, 3},        {EVENT_REDRIVE, 7},      {EVENT_REDRIVE, 8},
    };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        uint8_t record[64] = {places[i].tag};
        memset(record + 1, 1, sizeof record - 1);
        struct event decoded;
        varint_encode(record + 1 + places[i].at, UINT32_MAX - 1);
        assert_non_null(event_decode(record, record + sizeof record, &decoded));
        varint_encode(record + 1 + places[i].at, (uint64_t)UINT32_MAX + 1);
        assert_null(event_decode(record, record + sizeof record, &decoded));
    }
}

static void a_start_in_the_far_future_may_be_any_time_that_there_is(void **state)
{
    (void)state;
    uint8_t record[32] = {EVENT_START | 0x40, 1};
    struct event decoded;
    varint_encode(record + 2, INT64_MAX);
    assert_non_null(event_decode(record, record + sizeof record, &decoded));
    assert_true(decoded.start.at_ms == INT64_MAX);
    varint_encode(record + 2, (uint64_t)INT64_MAX + 1);
    assert_null(event_decode(record, record + sizeof record, &decoded));
}

static void a_mending_that_is_not_known_is_refused(void **state)
{
    (void)state;
    uint8_t record[] = {EVENT_MEND, 1, MEND_RESOLVE, 0};
    struct event decoded;
    assert_ptr_equal(event_decode(record, record + sizeof record, &decoded),
                     record + sizeof record);
    record[2] = MEND_RESOLVE + 1;
    assert_null(event_decode(record, record + sizeof record, &decoded));
}

/* The steps come out one by one as they went in, and with them the record is at its end. */
static void the_steps_of_a_redrive_are_read_one_by_one(void **state)
{
    (void)state;
    uint8_t steps[EVENT_REDRIVE_STEPS_MAX * 16], *end = steps;
    for (uint32_t i = 0; i < EVENT_REDRIVE_STEPS_MAX; i++) {
        struct event_step step = {
            .state = i, .step_no = 1000 - i, .input = {material + i, 1 + i % 3}};
        if (i % 2)
            step.output = (struct flyover_bytes){material + 2 * i, 4};
        end = event_encode_step(&step, end);
    }
    struct event event = {.kind = EVENT_REDRIVE,
                          .redrive = {.steps_count = EVENT_REDRIVE_STEPS_MAX,
                                      .steps = {steps, (uint32_t)(end - steps)}}};
    size_t bytes = 0;
    uint8_t *record = encode(&event, &bytes);
    struct event decoded;
    assert_ptr_equal(event_decode(record, record + bytes, &decoded), record + bytes);
    const uint8_t *at = decoded.redrive.steps.at, *last = at + decoded.redrive.steps.count;
    for (uint32_t i = 0; i < EVENT_REDRIVE_STEPS_MAX; i++) {
        struct event_step step;
        at = event_decode_step(at, last, &step);
        assert_non_null(at);
        assert_true(step.state == i && step.step_no == 1000 - i);
        assert_same_bytes(step.input, (struct flyover_bytes){material + i, 1 + i % 3});
        assert_same_bytes(step.output, (struct flyover_bytes){material + 2 * i, i % 2 ? 4 : 0});
    }
    assert_ptr_equal(at, last);
    assert_ptr_equal(at, record + bytes);
    free(record);
}

static void
a_redrive_with_more_steps_than_there_may_be_or_fewer_than_it_says_is_refused(void **state)
{
    (void)state;
    uint8_t record[1024] = {EVENT_REDRIVE, 1, 1, 1, 1, 0};
    struct event decoded;
    record[6] = EVENT_REDRIVE_STEPS_MAX;
    const uint8_t *end = record + 7 + 4 * (size_t)EVENT_REDRIVE_STEPS_MAX;
    assert_ptr_equal(event_decode(record, end, &decoded), end);
    assert_null(event_decode(record, end - 1, &decoded));
    record[6]++;
    assert_null(event_decode(record, record + sizeof record, &decoded));
    varint_encode(record + 6, UINT32_MAX);
    assert_null(event_decode(record, record + sizeof record, &decoded));
}

static void a_service_with_what_the_engine_does_not_know_is_refused(void **state)
{
    (void)state;
    struct event event = {.kind = EVENT_SERVICE, .service = {.tables_count = 1}};
    event.service.tables[0].entries_max = 7;
    uint8_t record[128];
    struct event decoded;
    const uint8_t *end = event_encode(&event, record);
    assert_non_null(event_decode(record, end, &decoded));
    record[3] = FLYOVER_COUNTERS + 1;
    assert_null(event_decode(record, end, &decoded));
    record[3] = FLYOVER_VALUES;
    record[4] = FLYOVER_DROP_OLDEST + 1;
    assert_null(event_decode(record, end, &decoded));
    memset(record, 0, sizeof record);
    record[0] = EVENT_SERVICE;
    record[2] = FLYOVER_TABLES_MAX + 1;
    assert_null(event_decode(record, record + sizeof record, &decoded));
}

static void an_event_has_one_encoding_only(void **state)
{
    (void)state;
    struct event decoded;
    static const uint8_t long_number[] = {EVENT_TIMER, 0x81, 0x00};
    static const uint8_t empty_writes[] = {EVENT_RESULT | 0x10, 1, 0};
    static const uint8_t empty_output[] = {EVENT_RESULT | 0x20, 1, 0};
    static const uint8_t empty_name[] = {EVENT_START | 0x20, 1, 0, 0};
    static const uint8_t no_time[] = {EVENT_START | 0x40, 1, 0, 0};
    static const uint8_t no_more[] = {EVENT_START | 0x80, 1, 0, 1, 1};
    static const uint8_t unknown_more[] = {EVENT_START | 0x80, 1, 4, 1, 1};
    static const uint8_t no_deadline[] = {EVENT_START | 0x80, 1, 1, 0, 0};
    static const uint8_t deadline[] = {EVENT_START | 0x80, 1, 1, 1, 0};
    assert_null(event_decode(no_more, no_more + sizeof no_more, &decoded));
    assert_null(event_decode(unknown_more, unknown_more + sizeof unknown_more, &decoded));
    assert_null(event_decode(no_deadline, no_deadline + sizeof no_deadline, &decoded));
    assert_non_null(event_decode(deadline, deadline + sizeof deadline, &decoded));
    static const uint8_t empty_skip[] = {EVENT_MEND | 0x10, 1, MEND_SKIP, 0, 0};
    static const uint8_t long_step[] = {EVENT_REDRIVE, 1, 1, 1, 1, 0, 1, 0x81, 0x00, 1, 0, 0};
    assert_null(event_decode(empty_name, empty_name + sizeof empty_name, &decoded));
    assert_null(event_decode(no_time, no_time + sizeof no_time, &decoded));
    assert_null(event_decode(empty_skip, empty_skip + sizeof empty_skip, &decoded));
    assert_null(event_decode(long_step, long_step + sizeof long_step, &decoded));
    static const uint8_t no_source[] = {EVENT_START | 0x10, 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0};
    assert_null(event_decode(long_number, long_number + sizeof long_number, &decoded));
    assert_null(event_decode(empty_writes, empty_writes + sizeof empty_writes, &decoded));
    assert_null(event_decode(empty_output, empty_output + sizeof empty_output, &decoded));
    assert_null(event_decode(no_source, no_source + sizeof no_source, &decoded));
}

/* The largest numbers there are, and no bytes at all beside them. */
static void the_room_promised_is_enough_for_the_largest_numbers(void **state)
{
    (void)state;
    static const struct event largest[] = {
        {.kind = EVENT_LIMITS,
         .limits = {UINT32_MAX, UINT64_MAX, true, UINT64_MAX, UINT32_MAX, UINT64_MAX}},
        {.kind = EVENT_SOURCE, .source = {UINT64_MAX}},
        {.kind = EVENT_START,
         .start = {.plan = UINT32_MAX,
                   .source = UINT32_MAX - 1,
                   .name = {material, 1},
                   .at_ms = INT64_MAX,
                   .deadline_ms = INT64_MAX,
                   .trace = {material, TRACE_BYTES}}},
        {.kind = EVENT_RESULT, .result = {.branch = UINT32_MAX}},
        {.kind = EVENT_ERROR, .error = {.branch = UINT32_MAX, .retryable = true}},
        {.kind = EVENT_TIMER, .timer = {UINT32_MAX, true, true}},
        {.kind = EVENT_SIGNAL, .signal = {.saga_id = UINT64_MAX}},
        {.kind = EVENT_HEARTBEAT, .heartbeat = {UINT32_MAX}},
        {.kind = EVENT_CANCEL, .cancel = {.saga_id = UINT64_MAX, .abort = true}},
        {.kind = EVENT_MEND,
         .mend = {.saga_id = UINT64_MAX, .action = MEND_RESOLVE, .output = {material, 1}}},
        {.kind = EVENT_REDRIVE,
         .redrive = {UINT64_MAX, true, UINT32_MAX, UINT32_MAX, UINT32_MAX,
                     .trace = {material, TRACE_BYTES}, .steps_count = UINT32_MAX}},
    };
    for (size_t i = 0; i < sizeof largest / sizeof largest[0]; i++) {
        size_t bytes = 0;
        free(encode(&largest[i], &bytes));
    }
    struct event service = {.kind = EVENT_SERVICE};
    service.service.tables_count = FLYOVER_TABLES_MAX;
    for (uint32_t i = 0; i < FLYOVER_TABLES_MAX; i++)
        service.service.tables[i].entries_max = UINT32_MAX;
    size_t bytes = 0;
    free(encode(&service, &bytes));
}

/* Bytes of all kinds: what decodes at all encodes to the very same bytes. */
static void whatever_decodes_encodes_to_the_same_bytes(void **state)
{
    (void)state;
    uint64_t seed = 4;
    uint32_t decoded_count = 0;
    for (uint32_t round = 0; round < 100000; round++) {
        uint8_t bytes[24];
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (uint8_t)(draw(&seed) >> (draw(&seed) % 8));
        bytes[0] &= 0x7f;
        struct event decoded;
        const uint8_t *end = event_decode(bytes, bytes + sizeof bytes, &decoded);
        if (end == NULL)
            continue;
        decoded_count++;
        size_t count = 0;
        uint8_t *again = encode(&decoded, &count);
        assert_int_equal(count, end - bytes);
        assert_memory_equal(again, bytes, count);
        free(again);
    }
    assert_true(decoded_count > 5000);
}

static void every_kind_has_a_text(void **state)
{
    (void)state;
    for (int a = 0; a < KINDS_COUNT; a++)
        for (int b = 0; b < a; b++)
            assert_string_not_equal(event_kind_text((enum event_kind)a),
                                    event_kind_text((enum event_kind)b));
    assert_string_equal(event_kind_text(EVENT_RESULT), "step result");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_comes_back_as_it_was),
        cmocka_unit_test(a_record_ends_where_the_next_one_begins),
        cmocka_unit_test(a_record_cut_off_at_any_byte_is_refused),
        cmocka_unit_test(an_unknown_tag_is_refused),
        cmocka_unit_test(numbers_over_their_type_are_refused),
        cmocka_unit_test(numbers_over_their_type_are_refused_wherever_they_stand),
        cmocka_unit_test(a_start_in_the_far_future_may_be_any_time_that_there_is),
        cmocka_unit_test(a_mending_that_is_not_known_is_refused),
        cmocka_unit_test(the_steps_of_a_redrive_are_read_one_by_one),
        cmocka_unit_test(
            a_redrive_with_more_steps_than_there_may_be_or_fewer_than_it_says_is_refused),
        cmocka_unit_test(a_service_with_what_the_engine_does_not_know_is_refused),
        cmocka_unit_test(an_event_has_one_encoding_only),
        cmocka_unit_test(the_room_promised_is_enough_for_the_largest_numbers),
        cmocka_unit_test(whatever_decodes_encodes_to_the_same_bytes),
        cmocka_unit_test(every_kind_has_a_text),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
