#include "engine/saga/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/varint.h"

#define KINDS_COUNT  (EVENT_TIMER + 1)
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

static struct event draw_event(uint64_t *seed, enum event_kind kind)
{
    struct event event = {.kind = kind};
    switch (kind) {
    case EVENT_LIMITS:
        event.limits.sagas_max = draw_u32(seed);
        event.limits.payload_bytes_max = draw_number(seed);
        break;
    case EVENT_SERVICE: draw_service(seed, &event); break;
    case EVENT_DEFINITION:
        event.definition.name = draw_bytes(seed);
        event.definition.text = draw_bytes(seed);
        break;
    case EVENT_SOURCE: event.source.first_hash = draw_number(seed); break;
    case EVENT_START:
        event.start.plan = draw_u32(seed);
        event.start.source = draw(seed) % 2 ? EVENT_NO_SOURCE : draw_u32(seed);
        event.start.input = draw_bytes(seed);
        break;
    case EVENT_RESULT:
        event.result.branch = draw_u32(seed);
        if (draw(seed) % 2)
            event.result.writes = draw_bytes(seed);
        if (draw(seed) % 2)
            event.result.output = draw_bytes(seed);
        break;
    case EVENT_ERROR:
        event.error.branch = draw_u32(seed);
        event.error.retryable = draw(seed) % 2;
        event.error.name = draw_bytes(seed);
        event.error.cause = draw_bytes(seed);
        break;
    case EVENT_TIMER: event.timer.branch = draw_u32(seed); break;
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

static void assert_same(const struct event *left, const struct event *right)
{
    assert_int_equal(left->kind, right->kind);
    switch (left->kind) {
    case EVENT_LIMITS:
        assert_int_equal(left->limits.sagas_max, right->limits.sagas_max);
        assert_true(left->limits.payload_bytes_max == right->limits.payload_bytes_max);
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
        break;
    case EVENT_RESULT:
        assert_int_equal(left->result.branch, right->result.branch);
        assert_same_bytes(left->result.writes, right->result.writes);
        assert_same_bytes(left->result.output, right->result.output);
        break;
    case EVENT_ERROR:
        assert_int_equal(left->error.branch, right->error.branch);
        assert_int_equal(left->error.retryable, right->error.retryable);
        assert_same_bytes(left->error.name, right->error.name);
        assert_same_bytes(left->error.cause, right->error.cause);
        break;
    case EVENT_TIMER: assert_int_equal(left->timer.branch, right->timer.branch); break;
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
    case EVENT_START:
    case EVENT_ERROR: return 0x10;
    case EVENT_RESULT: return 0x30;
    default: return 0;
    }
}

static void an_unknown_tag_is_refused(void **state)
{
    (void)state;
    for (int tag = 0; tag < 256; tag++) {
        uint8_t record[64] = {(uint8_t)tag};
        memset(record + 1, 1, sizeof record - 1);
        bool known = (tag & 0x0f) < KINDS_COUNT && (tag & 0xf0 & ~parts_of(tag & 0x0f)) == 0;
        struct event decoded;
        assert_int_equal(event_decode(record, record + sizeof record, &decoded) != NULL, known);
    }
}

static void numbers_over_their_type_are_refused(void **state)
{
    (void)state;
    static const enum event_kind kinds[] = {EVENT_LIMITS, EVENT_START, EVENT_RESULT, EVENT_ERROR,
                                            EVENT_TIMER};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        uint8_t record[64] = {(uint8_t)kinds[i]};
        struct event decoded;
        varint_encode(record + 1, UINT32_MAX);
        assert_non_null(event_decode(record, record + sizeof record, &decoded));
        varint_encode(record + 1, (uint64_t)UINT32_MAX + 1);
        assert_null(event_decode(record, record + sizeof record, &decoded));
    }
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
        {.kind = EVENT_LIMITS, .limits = {UINT32_MAX, UINT64_MAX}},
        {.kind = EVENT_SOURCE, .source = {UINT64_MAX}},
        {.kind = EVENT_START, .start = {.plan = UINT32_MAX, .source = UINT32_MAX - 1}},
        {.kind = EVENT_RESULT, .result = {.branch = UINT32_MAX}},
        {.kind = EVENT_ERROR, .error = {.branch = UINT32_MAX, .retryable = true}},
        {.kind = EVENT_TIMER, .timer = {UINT32_MAX}},
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
        bytes[0] &= 0x3f;
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
        cmocka_unit_test(a_service_with_what_the_engine_does_not_know_is_refused),
        cmocka_unit_test(an_event_has_one_encoding_only),
        cmocka_unit_test(the_room_promised_is_enough_for_the_largest_numbers),
        cmocka_unit_test(whatever_decodes_encodes_to_the_same_bytes),
        cmocka_unit_test(every_kind_has_a_text),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
