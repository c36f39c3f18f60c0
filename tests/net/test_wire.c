#include "engine/net/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

/* ---- writing ------------------------------------------------------------------------------------
 */

static void check_bytes(const uint8_t *start, const uint8_t *end, const char *expected,
                        size_t count)
{
    assert_int_equal(end - start, count);
    assert_memory_equal(start, expected, count);
}

#define CHECK(call, expected) check_bytes(bytes, (call), (expected), sizeof(expected) - 1)

static void everything_is_written_in_its_shortest_form(void **state)
{
    (void)state;
    uint8_t bytes[64];
    CHECK(wire_put_uint(bytes, 0), "\x00");
    CHECK(wire_put_uint(bytes, 127), "\x7f");
    CHECK(wire_put_uint(bytes, 128), "\xcc\x80");
    CHECK(wire_put_uint(bytes, 255), "\xcc\xff");
    CHECK(wire_put_uint(bytes, 256), "\xcd\x01\x00");
    CHECK(wire_put_uint(bytes, 65536), "\xce\x00\x01\x00\x00");
    CHECK(wire_put_uint(bytes, UINT32_MAX), "\xce\xff\xff\xff\xff");
    CHECK(wire_put_uint(bytes, 1ull << 32), "\xcf\x00\x00\x00\x01\x00\x00\x00\x00");
    CHECK(wire_put_uint(bytes, UINT64_MAX), "\xcf\xff\xff\xff\xff\xff\xff\xff\xff");
    CHECK(wire_put_int(bytes, 5), "\x05");
    CHECK(wire_put_int(bytes, -1), "\xff");
    CHECK(wire_put_int(bytes, -32), "\xe0");
    CHECK(wire_put_int(bytes, -33), "\xd0\xdf");
    CHECK(wire_put_int(bytes, -128), "\xd0\x80");
    CHECK(wire_put_int(bytes, -129), "\xd1\xff\x7f");
    CHECK(wire_put_int(bytes, -32769), "\xd2\xff\xff\x7f\xff");
    CHECK(wire_put_int(bytes, INT64_MIN), "\xd3\x80\x00\x00\x00\x00\x00\x00\x00");
    CHECK(wire_put_array(bytes, 15), "\x9f");
    CHECK(wire_put_array(bytes, 16), "\xdc\x00\x10");
    CHECK(wire_put_array(bytes, 65536), "\xdd\x00\x01\x00\x00");
    CHECK(wire_put_map(bytes, 15), "\x8f");
    CHECK(wire_put_map(bytes, 16), "\xde\x00\x10");
    CHECK(wire_put_map(bytes, 65536), "\xdf\x00\x01\x00\x00");
    CHECK(wire_put_bool(bytes, true), "\xc3");
    CHECK(wire_put_bool(bytes, false), "\xc2");
    CHECK(wire_put_nil(bytes), "\xc0");
    CHECK(wire_put_string(bytes, ""), "\xa0");
    CHECK(wire_put_string(bytes, "abc"), "\xa3"
                                         "abc");
    CHECK(wire_put_value(bytes, (struct flyover_bytes){0}), "\xc0");
    CHECK(wire_put_value(bytes, (struct flyover_bytes){(const uint8_t *)"\x91\x01", 2}),
          "\x91\x01");
}

static void long_texts_have_longer_heads(void **state)
{
    (void)state;
    static const uint32_t counts[] = {31, 32, 255, 256, 65535, 65536};
    static const uint32_t heads[] = {1, 2, 2, 3, 3, 5};
    uint8_t *text = calloc(1, 70000), *bytes = malloc(70000);
    assert_true(text != NULL && bytes != NULL);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        uint8_t *end = wire_put_text(bytes, (struct flyover_bytes){text, counts[i]});
        assert_int_equal(end - bytes, heads[i] + counts[i]);
        struct flyover_cursor cursor = {bytes, end};
        struct flyover_bytes read;
        assert_true(flyover_read_str(&cursor, &read));
        assert_int_equal(read.count, counts[i]);
    }
    free(text);
    free(bytes);
}

static void the_kinds_have_names(void **state)
{
    (void)state;
    assert_string_equal(wire_kind_text(WIRE_START), "START");
    assert_string_equal(wire_kind_text(38), "DRAINED");
    assert_null(wire_kind_text(0));
    assert_null(wire_kind_text(39));
    assert_null(wire_kind_text(-1));
}

/* ---- frames -------------------------------------------------------------------------------------
 */

static void a_frame_is_found_when_all_of_it_is_there(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0, 0, 0, 2, 0x91, 3, 0, 0};
    struct flyover_bytes body;
    for (size_t count = 0; count < 6; count++)
        assert_int_equal(wire_find_frame(bytes, count, &body), WIRE_PART);
    assert_int_equal(wire_find_frame(bytes, 6, &body), WIRE_FOUND);
    assert_ptr_equal(body.at, bytes + 4);
    assert_int_equal(body.count, 2);
    assert_int_equal(wire_find_frame(bytes, 8, &body), WIRE_FOUND);
    assert_int_equal(body.count, 2);
}

static void a_frame_that_is_empty_or_too_long_is_told_by_its_length_alone(void **state)
{
    (void)state;
    struct flyover_bytes body;
    assert_int_equal(wire_find_frame((const uint8_t *)"\0\0\0\0", 4, &body), WIRE_TOO_LONG);
    assert_int_equal(wire_find_frame((const uint8_t *)"\xff\xff\xff\xff", 4, &body), WIRE_TOO_LONG);
    assert_int_equal(wire_find_frame((const uint8_t *)"\0\x10\0\1", 4, &body), WIRE_TOO_LONG);
    assert_int_equal(wire_find_frame((const uint8_t *)"\0\x10\0\0", 4, &body), WIRE_PART);
    uint8_t head[4];
    wire_put_length(head, WIRE_FRAME_BYTES_MAX);
    assert_memory_equal(head, "\0\x10\0\0", 4);
}

/* ---- messages -----------------------------------------------------------------------------------
 */

static enum wire_find find(const char *bytes, size_t count, struct wire_message *ret_message)
{
    const uint8_t *at = (const uint8_t *)bytes;
    return wire_find_message(&at, at + count, ret_message);
}

#define FIND(bytes, message) find((bytes), sizeof(bytes) - 1, (message))

static void messages_are_found_one_behind_the_other(void **state)
{
    (void)state;
    static const uint8_t bytes[] = "\x92\x03\x07\x91\x04\x93\x05\xa1x\x81\xa1k\x91\x01";
    const uint8_t *at = bytes, *end = bytes + sizeof bytes - 1;
    struct wire_message message;
    uint64_t id;
    assert_int_equal(wire_find_message(&at, end, &message), WIRE_FOUND);
    assert_int_equal(message.kind, 3);
    assert_int_equal(message.fields_count, 1);
    assert_true(wire_take_uint(&message, &id));
    assert_int_equal(id, 7);
    assert_false(wire_take_uint(&message, &id));
    assert_int_equal(wire_find_message(&at, end, &message), WIRE_FOUND);
    assert_int_equal(message.kind, 4);
    assert_int_equal(message.fields_count, 0);
    assert_int_equal(wire_find_message(&at, end, &message), WIRE_FOUND);
    struct flyover_bytes text, value;
    assert_true(wire_take_text(&message, &text));
    assert_true(wire_take_value(&message, &value));
    assert_int_equal(value.count, 5);
    assert_false(wire_take_value(&message, &value));
    assert_int_equal(wire_find_message(&at, end, &message), WIRE_NO_MORE);
}

static void what_is_no_message_is_garbage(void **state)
{
    (void)state;
    struct wire_message message;
    assert_int_equal(FIND("\x90", &message), WIRE_GARBAGE);
    assert_int_equal(FIND("\x05", &message), WIRE_GARBAGE);
    assert_int_equal(FIND("\xc1", &message), WIRE_GARBAGE);
    assert_int_equal(FIND("\x91\xa1x", &message), WIRE_GARBAGE);
    assert_int_equal(FIND("\x92\x03", &message), WIRE_GARBAGE);
    assert_int_equal(FIND("\x92\x03\xc1", &message), WIRE_GARBAGE);
    assert_int_equal(FIND("\x92\x03\xa2x", &message), WIRE_GARBAGE);
    assert_int_equal(FIND("\x92\x03\xdf\xff\xff\xff\xff\x01\x01", &message), WIRE_GARBAGE);
    assert_int_equal(FIND("\x91\xcf\xff\xff\xff\xff\xff\xff\xff\xff", &message), WIRE_GARBAGE);
}

static void a_value_may_be_as_deep_as_its_bytes_allow(void **state)
{
    (void)state;
    uint32_t depth = 200000;
    uint8_t *bytes = malloc(depth + 2);
    assert_non_null(bytes);
    bytes[0] = 0x92;
    bytes[1] = 0x03;
    memset(bytes + 2, 0x91, depth);
    const uint8_t *at = bytes;
    struct wire_message message;
    assert_int_equal(wire_find_message(&at, bytes + depth + 2, &message), WIRE_GARBAGE);
    bytes[depth + 1] = 0x90;
    at = bytes;
    assert_int_equal(wire_find_message(&at, bytes + depth + 2, &message), WIRE_FOUND);
    assert_ptr_equal(at, bytes + depth + 2);
    free(bytes);
}

static void fields_of_another_type_are_not_taken_and_stay(void **state)
{
    (void)state;
    struct wire_message message;
    uint64_t number;
    int64_t signed_number;
    bool yes;
    struct flyover_bytes text;
    assert_int_equal(FIND("\x95\x03\xff\xc3\xc0\xcf\xff\xff\xff\xff\xff\xff\xff\xff", &message),
                     WIRE_FOUND);
    assert_false(wire_take_uint(&message, &number)); /* -1 */
    assert_false(wire_take_bool(&message, &yes));
    assert_false(wire_take_text_or_nil(&message, &text));
    assert_true(wire_take_int(&message, &signed_number));
    assert_int_equal(signed_number, -1);
    assert_false(wire_take_text(&message, &text));
    assert_true(wire_take_bool(&message, &yes));
    assert_true(yes);
    assert_true(wire_take_text_or_nil(&message, &text));
    assert_null(text.at);
    assert_int_equal(text.count, 0);
    assert_false(wire_take_int(&message, &signed_number));
    assert_true(wire_take_uint(&message, &number));
    assert_true(number == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_written_in_its_shortest_form),
        cmocka_unit_test(long_texts_have_longer_heads),
        cmocka_unit_test(the_kinds_have_names),
        cmocka_unit_test(a_frame_is_found_when_all_of_it_is_there),
        cmocka_unit_test(a_frame_that_is_empty_or_too_long_is_told_by_its_length_alone),
        cmocka_unit_test(messages_are_found_one_behind_the_other),
        cmocka_unit_test(what_is_no_message_is_garbage),
        cmocka_unit_test(a_value_may_be_as_deep_as_its_bytes_allow),
        cmocka_unit_test(fields_of_another_type_are_not_taken_and_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
