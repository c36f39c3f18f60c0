#include "engine/saga/value.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/saga/utf8.h"
#include "tests/base/msgpack_oracle.h"

#define BYTES(array)  ((struct flyover_bytes){(array), sizeof(array)})
#define TEXT(literal) ((struct flyover_bytes){(const uint8_t *)(literal), sizeof(literal) - 1})

/* ---- JSON in, JSON out ---------------------------------------------------------------------- */

static void pack_json(msgpack_packer *packer, const json_t *json)
{
    const char *key;
    json_t *item;
    size_t index;
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        msgpack_pack_map(packer, json_object_size(json));
        json_object_foreach((json_t *)(uintptr_t)json, key, item)
        {
            msgpack_pack_str_with_body(packer, key, strlen(key));
            pack_json(packer, item);
        }
        break;
    case JSON_ARRAY:
        msgpack_pack_array(packer, json_array_size(json));
        json_array_foreach(json, index, item) pack_json(packer, item);
        break;
    case JSON_STRING:
        msgpack_pack_str_with_body(packer, json_string_value(json), json_string_length(json));
        break;
    case JSON_INTEGER: msgpack_pack_int64(packer, json_integer_value(json)); break;
    case JSON_REAL: msgpack_pack_double(packer, json_real_value(json)); break;
    case JSON_TRUE: msgpack_pack_true(packer); break;
    case JSON_FALSE: msgpack_pack_false(packer); break;
    case JSON_NULL: msgpack_pack_nil(packer); break;
    }
}

/* A value packed by msgpack-c; `bytes` holds it. */
struct packed {
    msgpack_sbuffer bytes;
    struct flyover_bytes value;
};

static struct packed packed_json(const json_t *json)
{
    struct packed packed;
    msgpack_packer packer;
    msgpack_sbuffer_init(&packed.bytes);
    msgpack_packer_init(&packer, &packed.bytes, msgpack_sbuffer_write);
    pack_json(&packer, json);
    packed.value =
        (struct flyover_bytes){(const uint8_t *)packed.bytes.data, (uint32_t)packed.bytes.size};
    return packed;
}

static struct packed packed_text(const char *text)
{
    json_error_t error;
    json_t *json = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    assert_non_null(json);
    struct packed packed = packed_json(json);
    json_decref(json);
    return packed;
}

static void packed_free(struct packed *packed)
{
    msgpack_sbuffer_destroy(&packed->bytes);
}

static void assert_prints(struct flyover_bytes value, const char *expected)
{
    char text[4096];
    size_t length = value_print(value, text, sizeof text);
    assert_string_equal(text, expected);
    assert_int_equal(length, strlen(expected));
}

static struct path path_of(const char *text, uint8_t *arena)
{
    struct path path;
    enum status status = path_compile(text, strlen(text), arena, &path, NULL);
    assert_int_equal(status, STATUS_OK);
    return path;
}

/* ---- check ---------------------------------------------------------------------------------- */

/* True when the engine takes the bytes; fails the test unless msgpack-c and the limits agree. */
static bool judge(uint64_t case_no, const uint8_t *bytes, size_t count)
{
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    size_t used = 0;
    bool expected = oracle_unpack(bytes, count, &unpacked, &used) && used == count &&
                    oracle_within_limits(&unpacked.data);
    const char *reason = NULL;
    bool accepted = value_check((struct flyover_bytes){bytes, (uint32_t)count}, &reason);
    if (accepted != expected) {
        print_error("case %llu, %zu bytes: value_check says %s, msgpack-c %s\n",
                    (unsigned long long)case_no, count, accepted ? "yes" : reason,
                    expected ? "yes" : "no");
        for (size_t index = 0; index < count && index < 64; index++)
            print_error("%02x ", bytes[index]);
        fail();
    }
    assert_true(accepted == (reason == NULL));
    struct flyover_cursor cursor = {bytes, bytes + count};
    assert_true(!accepted || (oracle_same(&cursor, &unpacked.data) && cursor.at == cursor.end));
    msgpack_unpacked_destroy(&unpacked);
    return accepted;
}

static uint64_t judge_cases(uint64_t cases_count, uint64_t seed, bool spoiled)
{
    struct cases cases = {.state = seed, .odd_per_mille = 10};
    msgpack_sbuffer bytes;
    msgpack_sbuffer_init(&bytes);
    uint64_t accepted = 0;
    for (uint64_t case_no = 0; case_no < cases_count; case_no++) {
        bytes.size = 0;
        cases_draw_value(&cases, &bytes);
        if (spoiled)
            cases_spoil(&cases, &bytes);
        /* Nothing behind the copy, so that AddressSanitizer sees a read over the end. */
        uint8_t *copy = malloc(bytes.size + (bytes.size == 0));
        assert_non_null(copy);
        if (bytes.size > 0)
            memcpy(copy, bytes.data, bytes.size);
        accepted += judge(case_no, copy, bytes.size);
        free(copy);
    }
    msgpack_sbuffer_destroy(&bytes);
    return accepted;
}

static void check_accepts_what_msgpack_c_reads_within_the_limits_and_nothing_else(void **state)
{
    (void)state;
    assert_in_range(judge_cases(100000, 1, false), 50000, 95000);
    assert_in_range(judge_cases(150000, 2, true), 15000, 120000);
}

static void check_says_why_it_refuses(void **state)
{
    (void)state;
    static const struct {
        struct flyover_bytes value;
        const char *reason;
    } refusals[] = {
        {{NULL, 0}, "it is empty"},
        {TEXT("\xa5"
              "abcd"),
         "it is cut off"},
        {TEXT("\xdd\xff\xff\xff\xff\xc0"), "it is cut off"},
        {TEXT("\x82\xa1k\xc0"), "it is cut off"},
        {TEXT("\x92\x01\xc1"), "it holds the byte 0xc1, which is not msgpack"},
        {TEXT("\x81\x01\x02"), "the key of a map is not a string"},
        {TEXT("\x82\xa1k\x02\xc0\x01"), "the key of a map is not a string"},
        {TEXT("\xa2\xc3\x28"), "a string is not UTF-8"},
        {TEXT("\x81\xa1\xff\x01"), "a string is not UTF-8"},
        {TEXT("\x91\xd4\x01\x02"), "it holds an ext type, which has no meaning here"},
        {TEXT("\x01\x02"), "bytes follow the value"},
        {TEXT("\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91"
              "\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x90"),
         "it is nested too deep"},
    };
    for (size_t index = 0; index < sizeof refusals / sizeof refusals[0]; index++) {
        const char *reason = "none";
        assert_false(value_check(refusals[index].value, &reason));
        assert_string_equal(reason, refusals[index].reason);
        assert_false(value_check(refusals[index].value, NULL));
    }
}

/* ---- UTF-8 ---------------------------------------------------------------------------------- */

/* `bytes` behind `ahead` bytes of ASCII and before `after`, as jansson sees it. */
static void judge_text(const uint8_t *bytes, size_t count, size_t ahead, size_t after)
{
    char *text = malloc(ahead + count + after);
    assert_non_null(text);
    memset(text, 'x', ahead + count + after);
    memcpy(text + ahead, bytes, count);
    json_t *json = json_stringn(text, ahead + count + after);
    if (utf8_check((const uint8_t *)text, ahead + count + after) != (json != NULL)) {
        print_error("%zu bytes %02x %02x %02x %02x after %zu\n", count, bytes[0], bytes[1],
                    bytes[2], bytes[3], ahead);
        fail();
    }
    json_decref(json);
    free(text);
}

static void utf8_is_what_jansson_takes_for_it(void **state)
{
    (void)state;
    static const uint8_t edges[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};
    uint8_t bytes[4] = {0};
    for (uint32_t pair = 0; pair < 65536; pair++) {
        bytes[0] = (uint8_t)(pair >> 8);
        bytes[1] = (uint8_t)pair;
        judge_text(bytes, 2, 0, 0);
    }
    for (uint32_t first = 0xc0; first < 256; first++) {
        for (uint32_t rest = 0; rest < 1000; rest++) {
            bytes[0] = (uint8_t)first;
            bytes[1] = edges[rest % 10];
            bytes[2] = edges[rest / 10 % 10];
            bytes[3] = edges[rest / 100];
            judge_text(bytes, 3 + rest % 2, rest % 19, rest % 11);
        }
    }
}

/* ---- walk and build ------------------------------------------------------------------------- */

static void a_path_leads_to_its_value_or_nowhere(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *found; /* NULL: nowhere */
    } walks[] = {
        {"$", "{\"a\":{\"b\":[1,[2,3],{\"c\":null}]},\"\":7}"},
        {"$.a.b", "[1,[2,3],{\"c\":null}]"},
        {"$.a.b[1][0]", "2"},
        {"$['a'].b[2].c", "null"},
        {"$['']", "7"},
        {"$.a.b[3]", NULL},
        {"$.b", NULL},
        {"$.a.b.c", NULL},
        {"$.a[0]", NULL},
        {"$.a.b[0][0]", NULL},
        {"$.a.b[2].c.d", NULL},
    };
    struct packed packed = packed_text(walks[0].found);
    for (size_t index = 0; index < sizeof walks / sizeof walks[0]; index++) {
        uint8_t arena[64];
        struct path path = path_of(walks[index].path, arena);
        struct flyover_bytes found = {NULL, 0};
        assert_int_equal(value_at(packed.value, &path, &found), walks[index].found != NULL);
        if (walks[index].found != NULL)
            assert_prints(found, walks[index].found);
        else
            assert_null(found.at);
    }
    packed_free(&packed);
}

static void put_replaces_creates_and_turns_what_is_in_the_way_into_a_map(void **state)
{
    (void)state;
    static const struct {
        const char *value, *path, *part, *result;
    } puts[] = {
        {"{\"a\":1}", "$", "[2]", "[2]"},
        {"{\"a\":1,\"b\":2,\"c\":3}", "$.b", "{\"x\":[]}", "{\"a\":1,\"b\":{\"x\":[]},\"c\":3}"},
        {"{\"a\":1}", "$.b", "2", "{\"a\":1,\"b\":2}"},
        {"{\"a\":{\"k\":1},\"z\":0}", "$.a.b.c", "true",
         "{\"a\":{\"k\":1,\"b\":{\"c\":true}},\"z\":0}"},
        {"{\"a\":[1,2],\"z\":0}", "$.a.b", "3", "{\"a\":{\"b\":3},\"z\":0}"},
        {"{}", "$.a.b", "1", "{\"a\":{\"b\":1}}"},
        {"null", "$.a", "1", "{\"a\":1}"},
        {"\"text\"", "$.a.b", "null", "{\"a\":{\"b\":null}}"},
        {"{\"o\":{\"i\":{\"a\":1,\"b\":\"old\"}}}", "$.o.i.b", "\"longer than before\"",
         "{\"o\":{\"i\":{\"a\":1,\"b\":\"longer than before\"}}}"},
    };
    for (size_t index = 0; index < sizeof puts / sizeof puts[0]; index++) {
        struct packed value = packed_text(puts[index].value), part = packed_text(puts[index].part);
        uint8_t arena[64], out[256];
        struct path path = path_of(puts[index].path, arena);
        size_t count = value_put_at(value.value, &path, part.value, out, sizeof out);
        assert_prints((struct flyover_bytes){out, (uint32_t)count}, puts[index].result);
        /* One byte too few, and nothing may be written behind it. */
        out[count - 1] = 0xee;
        assert_int_equal(value_put_at(value.value, &path, part.value, out, count - 1), 0);
        assert_int_equal(out[count - 1], 0xee);
        assert_int_equal(value_put_at(value.value, &path, part.value, out, count), count);
        packed_free(&value);
        packed_free(&part);
    }
}

/* Objects within objects, with the keys "a", "b" and one that is long. */
static json_t *draw_json(struct cases *cases, uint32_t levels)
{
    static const char *const keys[] = {"a", "b", "a key of exactly thirty-two byte"};
    if (levels == 0 || cases_draw(cases, 4) == 0)
        return cases_draw(cases, 2) ? json_integer((json_int_t)cases_draw(cases, 100000))
                                    : json_array();
    json_t *json = json_object();
    for (uint64_t pairs = cases_draw(cases, 4); pairs > 0; pairs--)
        json_object_set_new(json, keys[cases_draw(cases, 3)], draw_json(cases, levels - 1));
    for (uint32_t more = cases_draw(cases, 8) == 0 ? 15 : 0; more > 0; more--)
        json_object_set_new(json, (char[]){'f', (char)('a' + more), '\0'}, json_null());
    return json;
}

/* What value_put_at does, done with jansson. */
static json_t *put_with_jansson(json_t *json, const struct path *path, uint32_t first, json_t *part)
{
    if (first == path->parts_count)
        return json_incref(part);
    char key[64] = "";
    memcpy(key, path->parts[first].field.at, path->parts[first].field.count);
    json_t *result = json_is_object(json) ? json_copy(json) : json_object();
    json_object_set_new(result, key,
                        put_with_jansson(json_object_get(json, key), path, first + 1, part));
    return result;
}

static void put_does_what_jansson_does(void **state)
{
    (void)state;
    static const char *const paths[] = {"$",
                                        "$.a",
                                        "$.b",
                                        "$.a.b",
                                        "$.a.a.b",
                                        "$['a key of exactly thirty-two byte'].a.b.b",
                                        "$.b['a key of exactly thirty-1 bytes'].a"};
    struct cases cases = {.state = 6};
    for (uint32_t case_no = 0; case_no < 10000; case_no++) {
        uint8_t arena[64], out[8192];
        struct path path = path_of(paths[cases_draw(&cases, 7)], arena);
        json_t *json = draw_json(&cases, 4), *part_json = draw_json(&cases, 1);
        struct packed value = packed_json(json), part = packed_json(part_json);
        struct flyover_bytes result = {out, 0}, found;
        result.count = (uint32_t)value_put_at(value.value, &path, part.value, out, sizeof out);
        assert_true(value_check(result, NULL));
        assert_true(value_at(result, &path, &found));
        assert_int_equal(found.count, part.value.count);
        assert_memory_equal(found.at, part.value.at, found.count);
        char text[16384];
        value_print(result, text, sizeof text);
        json_t *printed = json_loads(text, JSON_DECODE_ANY, NULL);
        json_t *expected = put_with_jansson(json, &path, 0, part_json);
        assert_true(json_equal(printed, expected));
        /* As short as msgpack-c writes it. */
        struct packed shortest = packed_json(expected);
        assert_int_equal(result.count, shortest.value.count);
        packed_free(&shortest);
        json_decref(printed);
        json_decref(expected);
        json_decref(json);
        json_decref(part_json);
        packed_free(&value);
        packed_free(&part);
    }
}

static void put_refuses_what_would_be_too_deep(void **state)
{
    (void)state;
    uint8_t part[FLYOVER_DEPTH_MAX], arena[64], out[128];
    struct path path = path_of("$.a.b", arena);
    memset(part, 0x91, sizeof part);
    part[FLYOVER_DEPTH_MAX - 3] = 0x90;
    struct flyover_bytes fits = {part, FLYOVER_DEPTH_MAX - 2};
    size_t count = value_put_at(TEXT("\x80"), &path, fits, out, sizeof out);
    assert_true(value_check((struct flyover_bytes){out, (uint32_t)count}, NULL));
    part[FLYOVER_DEPTH_MAX - 3] = 0x91;
    part[FLYOVER_DEPTH_MAX - 2] = 0x90;
    struct flyover_bytes deeper = {part, FLYOVER_DEPTH_MAX - 1};
    assert_int_equal(value_put_at(TEXT("\x80"), &path, deeper, out, sizeof out), 0);
}

/* A map of so many pairs, and one more put into it. */
static uint8_t first_byte_after_put(uint32_t pairs)
{
    msgpack_sbuffer bytes;
    msgpack_packer packer;
    msgpack_sbuffer_init(&bytes);
    msgpack_packer_init(&packer, &bytes, msgpack_sbuffer_write);
    msgpack_pack_map(&packer, pairs);
    for (uint32_t pair = 0; pair < pairs; pair++) {
        msgpack_pack_str_with_body(&packer, "k", 1);
        msgpack_pack_nil(&packer);
    }
    uint8_t arena[8], *out = malloc(bytes.size + 16);
    assert_non_null(out);
    struct path path = path_of("$.a", arena);
    struct flyover_bytes value = {(const uint8_t *)bytes.data, (uint32_t)bytes.size};
    struct flyover_bytes result = {out, 0}, found;
    result.count = (uint32_t)value_put_at(value, &path, TEXT("\x07"), out, bytes.size + 16);
    assert_true(value_check(result, NULL));
    assert_true(value_at(result, &path, &found));
    uint8_t first = out[0];
    free(out);
    msgpack_sbuffer_destroy(&bytes);
    return first;
}

static void the_head_of_a_map_grows_with_it(void **state)
{
    (void)state;
    assert_int_equal(first_byte_after_put(14), 0x8f);
    assert_int_equal(first_byte_after_put(15), 0xde);
    assert_int_equal(first_byte_after_put(65534), 0xde);
    assert_int_equal(first_byte_after_put(65535), 0xdf);
}

static void an_error_is_whole_also_where_a_plugin_gave_no_utf8(void **state)
{
    (void)state;
    uint8_t out[512];
    struct flyover_bytes error = {out, 0};
    error.count = (uint32_t)value_make_error(TEXT("Inventory.OutOfStock"), TEXT("caf\xc3\xa9"), out,
                                             sizeof out);
    assert_prints(error, "{\"Error\":\"Inventory.OutOfStock\",\"Cause\":\"caf\xc3\xa9\"}");
    assert_int_equal(
        value_make_error(TEXT("Inventory.OutOfStock"), TEXT("caf\xc3\xa9"), out, error.count - 1),
        0);
    error.count = (uint32_t)value_make_error(TEXT(""), TEXT("\xff ok \xe2\x82"), out, sizeof out);
    assert_prints(error, "{\"Error\":\"\",\"Cause\":\"? ok ??\"}");
    char cause[256];
    memset(cause, 'c', sizeof cause);
    for (uint32_t count = 30; count <= 256; count += count == 33 ? 222 : 1) {
        struct flyover_bytes long_cause = {(const uint8_t *)cause, count};
        error.count = (uint32_t)value_make_error(TEXT("E"), long_cause, out, sizeof out);
        assert_true(value_check(error, NULL));
        uint32_t head_bytes = count < 32 ? 1 : count < 256 ? 2 : 3;
        assert_int_equal(error.count, sizeof "\x82\xa5"
                                             "Error"
                                             "\xa1"
                                             "E"
                                             "\xa5"
                                             "Cause" -
                                          1 + head_bytes + count);
    }
}

static void an_undo_holds_input_and_output_however_deep_they_are(void **state)
{
    (void)state;
    uint8_t deep[FLYOVER_DEPTH_MAX], out[128], arena[16];
    memset(deep, 0x91, sizeof deep);
    deep[sizeof deep - 1] = 0x90;
    struct path path = path_of("$.output", arena);
    struct flyover_bytes undo = {out, 0}, found;
    undo.count = (uint32_t)value_make_undo(BYTES(deep), TEXT("\x93\x01\x02\x03"), out, sizeof out);
    assert_true(value_at(undo, &path, &found));
    assert_prints(found, "[1,2,3]");
    path = path_of("$.input", arena);
    assert_true(value_at(undo, &path, &found));
    assert_int_equal(found.count, sizeof deep);
    assert_int_equal(value_make_undo(BYTES(deep), TEXT("\x93\x01\x02\x03"), out, undo.count - 1),
                     0);
}

/* ---- print ---------------------------------------------------------------------------------- */

static void print_writes_json(void **state)
{
    (void)state;
    assert_prints(TEXT("\x83\xa1n\xc0\xa1t\xc3\xa1"
                       "f\xc2"),
                  "{\"n\":null,\"t\":true,\"f\":false}");
    assert_prints(TEXT("\x94\x7f\xe0\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xd3\x80\0\0\0\0\0\0\0"),
                  "[127,-32,18446744073709551615,-9223372036854775808]");
    assert_prints(
        TEXT("\x94\xcb\x3f\xb9\x99\x99\x99\x99\x99\x9a\xca\x3d\xcc\xcc\xcd\xcb\x40\0\0\0\0\0"
             "\0\0\xca\x7f\x80\0\0"),
        "[0.1,0.1,2.0,null]");
    assert_prints(TEXT("\xaf\"\\/\b\f\n\r\t\x0b\x1b\x7f\xc2\x9b\xc3\xa9"),
                  "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u000b\\u001b\\u007f\\u009b\xc3\xa9\"");
    assert_prints(TEXT("\x94\xc4\x00\xc4\x01\xff\xc4\x02\xff\xfe\xc4\x03\x00\x10\x83"),
                  "[\"\",\"/w==\",\"//4=\",\"ABCD\"]");
    assert_prints(TEXT("\x92\x90\x80"), "[[],{}]");
    assert_prints(TEXT("\x91"), "\"(not a payload: it is cut off)\"");
}

static void print_reads_back_with_jansson_as_msgpack_c_has_it(void **state)
{
    (void)state;
    struct cases cases = {.state = 8};
    for (uint32_t case_no = 0; case_no < 5000; case_no++) {
        json_t *json = draw_json(&cases, 5), *leaf;
        int64_t bits = (int64_t)cases_draw(&cases, UINT64_MAX);
        double real;
        memcpy(&real, &bits, sizeof real);
        uint32_t code = (uint32_t)cases_draw(&cases, 0x250);
        char text[65536], odd[4] = {(char)(0xc0 | code >> 6), (char)(0x80 | (code & 0x3f)), 'z'};
        leaf = json_pack("[I,s]", (json_int_t)bits, code < 0x80 ? "\x01\x1f\x7f" : odd);
        if (isfinite(real))
            json_array_append_new(leaf, json_real(real));
        json_array_append_new(leaf, json);
        struct packed packed = packed_json(leaf);
        value_print(packed.value, text, sizeof text);
        json_t *back = json_loads(text, 0, NULL);
        assert_true(json_equal(back, leaf));
        json_decref(back);
        json_decref(leaf);
        packed_free(&packed);
    }
}

static void print_cuts_between_characters_and_always_terminates(void **state)
{
    (void)state;
    struct packed packed =
        packed_text("{\"k\\u00e9y\":[\"\\u20ac\\u20ac\",12345,\"\\ud83d\\ude00\"]}");
    char whole[128], text[128];
    size_t whole_length = value_print(packed.value, whole, sizeof whole);
    for (size_t capacity = 1; capacity <= whole_length + 1; capacity++) {
        memset(text, 0x7e, sizeof text);
        size_t length = value_print(packed.value, text, capacity);
        assert_int_equal(text[length], '\0');
        assert_int_equal(text[capacity], 0x7e);
        assert_true(length < capacity);
        assert_true(utf8_check((const uint8_t *)text, length));
        size_t dots = capacity > whole_length ? 0 : capacity - 1 < 3 ? capacity - 1 : 3;
        assert_memory_equal(text, whole, length - dots);
        assert_memory_equal(text + length - dots, "...", dots);
        assert_true(capacity > whole_length || length + 4 >= capacity - 1);
    }
    assert_string_equal(text, whole);
    packed_free(&packed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_accepts_what_msgpack_c_reads_within_the_limits_and_nothing_else),
        cmocka_unit_test(check_says_why_it_refuses),
        cmocka_unit_test(utf8_is_what_jansson_takes_for_it),
        cmocka_unit_test(a_path_leads_to_its_value_or_nowhere),
        cmocka_unit_test(put_replaces_creates_and_turns_what_is_in_the_way_into_a_map),
        cmocka_unit_test(put_does_what_jansson_does),
        cmocka_unit_test(put_refuses_what_would_be_too_deep),
        cmocka_unit_test(the_head_of_a_map_grows_with_it),
        cmocka_unit_test(an_error_is_whole_also_where_a_plugin_gave_no_utf8),
        cmocka_unit_test(an_undo_holds_input_and_output_however_deep_they_are),
        cmocka_unit_test(print_writes_json),
        cmocka_unit_test(print_reads_back_with_jansson_as_msgpack_c_has_it),
        cmocka_unit_test(print_cuts_between_characters_and_always_terminates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
