#include "engine/base/cursor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/base/msgpack_oracle.h"

#define CURSOR(bytes) ((struct flyover_cursor){(bytes), (bytes) + sizeof(bytes)})
#define TEXT(literal) ((struct flyover_bytes){(const uint8_t *)(literal), sizeof(literal) - 1})

/* A copy with nothing behind it, so that AddressSanitizer sees a read over the end. */
static uint8_t *exact_copy(const msgpack_sbuffer *bytes)
{
    uint8_t *copy = malloc(bytes->size > 0 ? bytes->size : 1);
    assert_non_null(copy);
    if (bytes->size > 0)
        memcpy(copy, bytes->data, bytes->size);
    return copy;
}

static void fail_on(const char *what, uint64_t case_no, const uint8_t *bytes, size_t count)
{
    print_error("case %llu, %zu bytes: %s\n", (unsigned long long)case_no, count, what);
    for (size_t index = 0; index < count && index < 64; index++)
        print_error("%02x ", bytes[index]);
    print_error("\n");
    fail();
}

/* Holds one run of bytes against msgpack-c; true where it is a value at its start. */
static bool judge(uint64_t case_no, const uint8_t *bytes, size_t count)
{
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    size_t used = 0;
    bool expected = oracle_unpack(bytes, count, &unpacked, &used);
    struct flyover_cursor cursor = {bytes, bytes + count};
    if (flyover_skip(&cursor) != expected)
        fail_on("flyover_skip and msgpack-c do not agree", case_no, bytes, count);
    if (cursor.at != bytes + (expected ? used : 0))
        fail_on("flyover_skip stops at another byte than msgpack-c", case_no, bytes, count);
    cursor = (struct flyover_cursor){bytes, bytes + count};
    if (expected && (!oracle_same(&cursor, &unpacked.data) || cursor.at != bytes + used))
        fail_on("the reads and msgpack-c do not agree", case_no, bytes, count);
    msgpack_unpacked_destroy(&unpacked);
    return expected;
}

static void judge_cases(uint64_t cases_count, bool spoiled, uint64_t *ret_read)
{
    struct cases cases = {.state = spoiled ? 1 : 2, .odd_per_mille = 30};
    msgpack_sbuffer bytes;
    msgpack_sbuffer_init(&bytes);
    uint64_t read = 0;
    for (uint64_t case_no = 0; case_no < cases_count; case_no++) {
        bytes.size = 0;
        cases_draw_value(&cases, &bytes);
        if (spoiled)
            cases_spoil(&cases, &bytes);
        uint8_t *copy = exact_copy(&bytes);
        read += judge(case_no, copy, bytes.size);
        free(copy);
    }
    msgpack_sbuffer_destroy(&bytes);
    *ret_read = read;
}

static void a_value_reads_as_msgpack_c_reads_it(void **state)
{
    (void)state;
    uint64_t read;
    judge_cases(60000, false, &read);
    assert_in_range(read, 58000, 59990); /* some are drawn too deep */
}

static void spoiled_bytes_are_skipped_exactly_when_msgpack_c_reads_them(void **state)
{
    (void)state;
    uint64_t read;
    judge_cases(100000, true, &read);
    assert_in_range(read, 20000, 80000);
}

static void garbage_is_skipped_exactly_when_msgpack_c_reads_it(void **state)
{
    (void)state;
    struct cases cases = {.state = 3};
    uint64_t read = 0;
    for (uint64_t case_no = 0; case_no < 100000; case_no++) {
        size_t count = 1 + cases_draw(&cases, 24);
        uint8_t *bytes = malloc(count);
        assert_non_null(bytes);
        for (size_t index = 0; index < count; index++)
            bytes[index] = (uint8_t)(cases_draw(&cases, 256) | (cases_draw(&cases, 2) << 7));
        read += judge(case_no, bytes, count);
        free(bytes);
    }
    assert_in_range(read, 20000, 90000);
}

/* Tries the read of one type, and that a refusal neither moves nor writes. */
static bool try_read(enum flyover_type type, const struct flyover_cursor *start)
{
    union {
        uint8_t untouched[16];
        bool truth;
        int64_t integer;
        double number;
        struct flyover_bytes bytes;
        uint32_t count;
    } value = {{0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5}}, before = value;
    struct flyover_cursor cursor = *start;
    bool read = false;
    switch (type) {
    case FLYOVER_NIL: read = flyover_read_nil(&cursor); break;
    case FLYOVER_BOOL: read = flyover_read_bool(&cursor, &value.truth); break;
    case FLYOVER_INT: read = flyover_read_int(&cursor, &value.integer); break;
    case FLYOVER_FLOAT: read = flyover_read_number(&cursor, &value.number); break;
    case FLYOVER_STR: read = flyover_read_str(&cursor, &value.bytes); break;
    case FLYOVER_BIN: read = flyover_read_bin(&cursor, &value.bytes); break;
    case FLYOVER_ARRAY: read = flyover_read_array(&cursor, &value.count); break;
    case FLYOVER_MAP: read = flyover_read_map(&cursor, &value.count); break;
    case FLYOVER_END:
    case FLYOVER_EXT:
    case FLYOVER_BAD: break;
    }
    assert_true(cursor.at <= cursor.end);
    assert_true(read == (cursor.at > start->at));
    if (!read)
        assert_memory_equal(&value, &before, sizeof value);
    return read;
}

static void the_read_of_the_type_that_peek_names_succeeds_and_no_other_moves(void **state)
{
    (void)state;
    struct cases cases = {.state = 4};
    for (uint32_t case_no = 0; case_no < 100000; case_no++) {
        size_t count = cases_draw(&cases, 12);
        uint8_t *bytes = malloc(count + 1);
        assert_non_null(bytes);
        uint8_t *start = bytes + 1; /* odd addresses, too */
        for (size_t index = 0; index < count; index++)
            start[index] = (uint8_t)(cases_draw(&cases, 256) >> (index % 4 == 1 ? 6 : 0));
        struct flyover_cursor cursor = {start, start + count};
        enum flyover_type peeked = flyover_peek(&cursor);
        assert_true((count == 0) == (peeked == FLYOVER_END));
        for (enum flyover_type type = FLYOVER_NIL; type <= FLYOVER_MAP; type++) {
            bool too_large = peeked == FLYOVER_INT && *start == 0xcf && start[1] >= 0x80;
            bool expected = (type == peeked && !(type == FLYOVER_INT && too_large)) ||
                            (type == FLYOVER_FLOAT && peeked == FLYOVER_INT);
            assert_int_equal(try_read(type, &cursor), expected);
        }
        free(bytes);
    }
}

static void an_integer_over_int64_is_read_only_as_a_number(void **state)
{
    (void)state;
    const uint8_t largest[] = {0xcf, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    const uint8_t over[] = {0xcf, 0x80, 0, 0, 0, 0, 0, 0, 0};
    int64_t integer = 7;
    double number = 0;
    struct flyover_cursor cursor = CURSOR(largest);
    assert_true(flyover_read_int(&cursor, &integer));
    assert_true(integer == INT64_MAX);
    cursor = CURSOR(over);
    assert_false(flyover_read_int(&cursor, &integer));
    assert_true(integer == INT64_MAX);
    assert_ptr_equal(cursor.at, over);
    assert_true(flyover_read_number(&cursor, &number));
    assert_true(number == 0x1p63);
    assert_ptr_equal(cursor.at, cursor.end);
}

/* `levels` arrays, each the only element of the one around it; the innermost is empty. */
static struct flyover_cursor nested(uint8_t bytes[FLYOVER_DEPTH_MAX + 1], uint32_t levels)
{
    memset(bytes, 0x91, levels);
    bytes[levels - 1] = 0x90;
    return (struct flyover_cursor){bytes, bytes + levels};
}

static void a_value_at_the_depth_limit_is_skipped_and_one_below_it_is_not(void **state)
{
    (void)state;
    uint8_t bytes[FLYOVER_DEPTH_MAX + 1];
    struct flyover_cursor cursor = nested(bytes, FLYOVER_DEPTH_MAX);
    assert_true(flyover_skip(&cursor));
    cursor = nested(bytes, FLYOVER_DEPTH_MAX + 1);
    assert_false(flyover_skip(&cursor));
    assert_ptr_equal(cursor.at, bytes);
    cursor = nested(bytes, 3);
    assert_false(cursor_skip(&cursor, 2));
    assert_true(cursor_skip(&cursor, 3));
    const uint8_t leaf[] = {0x07};
    cursor = CURSOR(leaf);
    assert_true(cursor_skip(&cursor, 0));
}

static void counts_that_the_bytes_cannot_hold_are_not_believed(void **state)
{
    (void)state;
    const uint8_t array[] = {0xdd, 0xff, 0xff, 0xff, 0xff, 0xc0, 0xc0};
    const uint8_t map[] = {0xdf, 0xff, 0xff, 0xff, 0xff, 0xc0, 0xc0};
    const uint8_t half_a_map[] = {0x82, 0xa1, 'a', 0x01};
    const uint8_t ext[] = {0xc9, 0xff, 0xff, 0xff, 0xff, 0x01};
    uint32_t count;
    struct flyover_cursor cursor = CURSOR(array);
    assert_false(flyover_read_array(&cursor, &count));
    cursor = CURSOR(map);
    assert_false(flyover_read_map(&cursor, &count));
    cursor = CURSOR(half_a_map);
    assert_false(flyover_read_map(&cursor, &count));
    cursor = CURSOR(ext);
    assert_int_equal(flyover_peek(&cursor), FLYOVER_BAD);
    assert_false(flyover_skip(&cursor));
}

/* {"ab": 1, 5: {"a": 2}, "a": 3 (its key in the long form), "a": 4, "": 5} */
static const uint8_t find_map[] = {0x85, 0xa2, 'a', 'b',  0x01, 0x05, 0x81, 0xa1, 'a',  0x02,
                                   0xd9, 0x01, 'a', 0x03, 0xa1, 'a',  0x04, 0xa0, 0x05, 0x09};

static void find_gives_the_first_pair_with_exactly_that_key(void **state)
{
    (void)state;
    struct flyover_cursor map = CURSOR(find_map), found;
    int64_t integer;
    assert_true(flyover_find(&map, "a", &found));
    assert_true(flyover_read_int(&found, &integer));
    assert_int_equal(integer, 3);
    assert_true(flyover_find(&map, "ab", &found));
    assert_true(flyover_read_int(&found, &integer));
    assert_int_equal(integer, 1);
    assert_true(flyover_find(&map, "", &found));
    assert_true(flyover_read_int(&found, &integer));
    assert_int_equal(integer, 5);
    assert_ptr_equal(map.at, find_map);
}

static void find_gives_nothing_for_an_absent_key_and_for_what_is_no_map(void **state)
{
    (void)state;
    const uint8_t empty[] = {0x80}, array[] = {0x92, 0xa1, 'a', 0x01}, cut[] = {0x81, 0xa1, 'b'};
    struct flyover_cursor map = CURSOR(find_map), found = {NULL, NULL};
    assert_false(flyover_find(&map, "b", &found));
    assert_false(flyover_find(&map, "abc", &found));
    assert_false(cursor_find(&map, TEXT("a\0"), &found));
    map = CURSOR(empty);
    assert_false(flyover_find(&map, "", &found));
    map = CURSOR(array);
    assert_false(flyover_find(&map, "a", &found));
    map = CURSOR(cut);
    assert_false(flyover_find(&map, "b", &found));
    map = (struct flyover_cursor){empty, empty};
    assert_false(flyover_find(&map, "a", &found));
    assert_null(found.at);
}

/* The index of the first pair of msgpack-c's map with this key. */
static uint32_t first_pair(const msgpack_object_map *map, const msgpack_object_str *key)
{
    uint32_t index = 0;
    for (; index < map->size; index++) {
        const msgpack_object *other = &map->ptr[index].key;
        if (other->type == MSGPACK_OBJECT_STR && other->via.str.size == key->size &&
            (key->size == 0 || !memcmp(other->via.str.ptr, key->ptr, key->size)))
            break;
    }
    return index;
}

static void find_gives_the_pair_that_msgpack_c_holds(void **state)
{
    (void)state;
    struct cases cases = {.state = 5, .odd_per_mille = 50};
    msgpack_sbuffer bytes;
    msgpack_sbuffer_init(&bytes);
    uint32_t found_count = 0;
    for (uint32_t case_no = 0; case_no < 20000; case_no++) {
        bytes.size = 0;
        cases_draw_value(&cases, &bytes);
        const uint8_t *at = (const uint8_t *)bytes.data;
        msgpack_unpacked unpacked;
        msgpack_unpacked_init(&unpacked);
        size_t used;
        bool whole = oracle_unpack(at, bytes.size, &unpacked, &used);
        const msgpack_object_map *map = &unpacked.data.via.map;
        bool is_map = whole && unpacked.data.type == MSGPACK_OBJECT_MAP;
        for (uint32_t index = 0; is_map && index < map->size; index++) {
            const msgpack_object_str *key = &map->ptr[index].key.via.str;
            if (map->ptr[index].key.type != MSGPACK_OBJECT_STR)
                continue;
            struct flyover_cursor start = {at, at + bytes.size}, found;
            assert_true(cursor_find(
                &start, (struct flyover_bytes){(const uint8_t *)key->ptr, key->size}, &found));
            assert_true(oracle_same(&found, &map->ptr[first_pair(map, key)].val));
            found_count++;
        }
        msgpack_unpacked_destroy(&unpacked);
    }
    msgpack_sbuffer_destroy(&bytes);
    assert_in_range(found_count, 5000, 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_reads_as_msgpack_c_reads_it),
        cmocka_unit_test(spoiled_bytes_are_skipped_exactly_when_msgpack_c_reads_them),
        cmocka_unit_test(garbage_is_skipped_exactly_when_msgpack_c_reads_it),
        cmocka_unit_test(the_read_of_the_type_that_peek_names_succeeds_and_no_other_moves),
        cmocka_unit_test(an_integer_over_int64_is_read_only_as_a_number),
        cmocka_unit_test(a_value_at_the_depth_limit_is_skipped_and_one_below_it_is_not),
        cmocka_unit_test(counts_that_the_bytes_cannot_hold_are_not_believed),
        cmocka_unit_test(find_gives_the_first_pair_with_exactly_that_key),
        cmocka_unit_test(find_gives_nothing_for_an_absent_key_and_for_what_is_no_map),
        cmocka_unit_test(find_gives_the_pair_that_msgpack_c_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
