#include "tests/base/msgpack_oracle.h"

#include <assert.h>
#include <jansson.h>
#include <string.h>

#include <msgpack/unpack_define.h>

/* ---- the judge ------------------------------------------------------------------------------ */

/* msgpack-c's own parser with callbacks that keep nothing and refuse impossible counts. */

struct gate_user {
    size_t bytes;
};

struct gate_object {
    char unused;
};

static const struct gate_object gate_nothing;

static int gate_count(const struct gate_user *user, unsigned int count)
{
    return count > user->bytes ? MSGPACK_UNPACK_NOMEM_ERROR : 0;
}

#define GATE_PASSES(name, type)                                                                    \
    static int gate_on_##name(struct gate_user *user, type value, struct gate_object *ret_object)  \
    {                                                                                              \
        (void)user, (void)value;                                                                   \
        *ret_object = gate_nothing;                                                                \
        return 0;                                                                                  \
    }
#define GATE_PASSES_WORD(name)                                                                     \
    static int gate_on_##name(struct gate_user *user, struct gate_object *ret_object)              \
    {                                                                                              \
        (void)user;                                                                                \
        *ret_object = gate_nothing;                                                                \
        return 0;                                                                                  \
    }
#define GATE_PASSES_BYTES(name)                                                                    \
    static int gate_on_##name(struct gate_user *user, const char *data, const char *at,            \
                              unsigned int count, struct gate_object *ret_object)                  \
    {                                                                                              \
        (void)user, (void)data, (void)at, (void)count;                                             \
        *ret_object = gate_nothing;                                                                \
        return 0;                                                                                  \
    }
#define GATE_COUNTS(name)                                                                          \
    static int gate_on_##name(struct gate_user *user, unsigned int count,                          \
                              struct gate_object *ret_object)                                      \
    {                                                                                              \
        *ret_object = gate_nothing;                                                                \
        return gate_count(user, count);                                                            \
    }

GATE_PASSES(uint8, uint8_t)
GATE_PASSES(uint16, uint16_t)
GATE_PASSES(uint32, uint32_t)
GATE_PASSES(uint64, uint64_t)
GATE_PASSES(int8, int8_t)
GATE_PASSES(int16, int16_t)
GATE_PASSES(int32, int32_t)
GATE_PASSES(int64, int64_t)
GATE_PASSES(float, float)
GATE_PASSES(double, double)
GATE_PASSES_WORD(nil)
GATE_PASSES_WORD(true)
GATE_PASSES_WORD(false)
GATE_PASSES_BYTES(str)
GATE_PASSES_BYTES(bin)
GATE_COUNTS(array)
GATE_COUNTS(map)

static struct gate_object gate_on_root(struct gate_user *user)
{
    (void)user;
    return (struct gate_object){0};
}

/* msgpack-c refuses an ext whose length, with its type byte, is 2^32. */
static int gate_on_ext(struct gate_user *user, const char *data, const char *at, unsigned int count,
                       struct gate_object *ret_object)
{
    (void)user, (void)data, (void)at;
    *ret_object = gate_nothing;
    return count == 0 ? MSGPACK_UNPACK_PARSE_ERROR : 0;
}

static int gate_on_array_item(struct gate_user *user, struct gate_object *array,
                              struct gate_object item)
{
    (void)user, (void)array, (void)item;
    return 0;
}

static int gate_on_map_item(struct gate_user *user, struct gate_object *map, struct gate_object key,
                            struct gate_object value)
{
    (void)user, (void)map, (void)key, (void)value;
    return 0;
}

#define msgpack_unpack_struct(name)     struct gate##name
#define msgpack_unpack_func(type, name) static inline type gate##name
#define msgpack_unpack_callback(name)   gate_on##name
#define msgpack_unpack_object           struct gate_object
#define msgpack_unpack_user             struct gate_user
#include <msgpack/unpack_template.h>

static bool gate_lets_through(const uint8_t *at, size_t count)
{
    struct gate_context context = {.user = {.bytes = count}};
    gate_init(&context);
    size_t offset = 0;
    return gate_execute(&context, (const char *)at, count, &offset) > 0;
}

bool oracle_unpack(const uint8_t *at, size_t count, msgpack_unpacked *unpacked, size_t *ret_used)
{
    if (count == 0 || !gate_lets_through(at, count))
        return false;
    size_t used = 0;
    msgpack_unpack_return answer = msgpack_unpack_next(unpacked, (const char *)at, count, &used);
    assert(answer == MSGPACK_UNPACK_SUCCESS);
    *ret_used = used;
    return true;
}

/* msgpack-c may hold the empty string as a null pointer, which jansson does not take. */
static bool is_text(const msgpack_object_str *str)
{
    json_t *json = json_stringn(str->size > 0 ? str->ptr : "", str->size);
    json_decref(json);
    return json != NULL;
}

static bool within_limits(const msgpack_object *object, uint32_t levels_left)
{
    switch (object->type) {
    case MSGPACK_OBJECT_EXT: return false;
    case MSGPACK_OBJECT_STR: return is_text(&object->via.str);
    case MSGPACK_OBJECT_ARRAY:
        for (uint32_t index = 0; index < object->via.array.size; index++) {
            if (levels_left == 0 || !within_limits(&object->via.array.ptr[index], levels_left - 1))
                return false;
        }
        return levels_left > 0;
    case MSGPACK_OBJECT_MAP:
        for (uint32_t index = 0; index < object->via.map.size; index++) {
            const msgpack_object_kv *pair = &object->via.map.ptr[index];
            if (levels_left == 0 || pair->key.type != MSGPACK_OBJECT_STR ||
                !is_text(&pair->key.via.str) || !within_limits(&pair->val, levels_left - 1))
                return false;
        }
        return levels_left > 0;
    case MSGPACK_OBJECT_NIL:
    case MSGPACK_OBJECT_BOOLEAN:
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
    case MSGPACK_OBJECT_BIN: return true;
    }
    return false;
}

bool oracle_within_limits(const msgpack_object *object)
{
    return within_limits(object, FLYOVER_DEPTH_MAX);
}

static bool same_integer(struct flyover_cursor *cursor, const msgpack_object *object)
{
    bool positive = object->type == MSGPACK_OBJECT_POSITIVE_INTEGER;
    double nearest = positive ? (double)object->via.u64 : (double)object->via.i64;
    struct flyover_cursor other = *cursor;
    double number;
    if (!flyover_read_number(&other, &number) || number != nearest)
        return false;
    int64_t integer;
    if (positive && object->via.u64 > INT64_MAX)
        return !flyover_read_int(cursor, &integer) && flyover_skip(cursor);
    return flyover_read_int(cursor, &integer) && integer == object->via.i64 &&
           cursor->at == other.at;
}

static bool same_float(struct flyover_cursor *cursor, const msgpack_object *object)
{
    double number;
    return flyover_peek(cursor) == FLYOVER_FLOAT && flyover_read_number(cursor, &number) &&
           !memcmp(&number, &object->via.f64, sizeof number);
}

/* The same bytes at the same place: msgpack-c lends its strings from its input. */
static bool same_bytes(struct flyover_bytes bytes, const char *at, uint32_t count)
{
    return bytes.count == count && (count == 0 || bytes.at == (const uint8_t *)at);
}

static bool same_array(struct flyover_cursor *cursor, const msgpack_object_array *array)
{
    uint32_t count;
    if (!flyover_read_array(cursor, &count) || count != array->size)
        return false;
    for (uint32_t index = 0; index < count; index++) {
        if (!oracle_same(cursor, &array->ptr[index]))
            return false;
    }
    return true;
}

static bool same_map(struct flyover_cursor *cursor, const msgpack_object_map *map)
{
    uint32_t pairs;
    if (!flyover_read_map(cursor, &pairs) || pairs != map->size)
        return false;
    for (uint32_t index = 0; index < pairs; index++) {
        if (!oracle_same(cursor, &map->ptr[index].key) ||
            !oracle_same(cursor, &map->ptr[index].val))
            return false;
    }
    return true;
}

bool oracle_same(struct flyover_cursor *cursor, const msgpack_object *object)
{
    struct flyover_bytes bytes;
    bool truth;
    switch (object->type) {
    case MSGPACK_OBJECT_NIL: return flyover_peek(cursor) == FLYOVER_NIL && flyover_read_nil(cursor);
    case MSGPACK_OBJECT_BOOLEAN:
        return flyover_peek(cursor) == FLYOVER_BOOL && flyover_read_bool(cursor, &truth) &&
               truth == object->via.boolean;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        return flyover_peek(cursor) == FLYOVER_INT && same_integer(cursor, object);
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64: return same_float(cursor, object);
    case MSGPACK_OBJECT_STR:
        return flyover_peek(cursor) == FLYOVER_STR && flyover_read_str(cursor, &bytes) &&
               same_bytes(bytes, object->via.str.ptr, object->via.str.size);
    case MSGPACK_OBJECT_BIN:
        return flyover_peek(cursor) == FLYOVER_BIN && flyover_read_bin(cursor, &bytes) &&
               same_bytes(bytes, object->via.bin.ptr, object->via.bin.size);
    case MSGPACK_OBJECT_ARRAY:
        return flyover_peek(cursor) == FLYOVER_ARRAY && same_array(cursor, &object->via.array);
    case MSGPACK_OBJECT_MAP:
        return flyover_peek(cursor) == FLYOVER_MAP && same_map(cursor, &object->via.map);
    case MSGPACK_OBJECT_EXT: return flyover_peek(cursor) == FLYOVER_EXT && flyover_skip(cursor);
    }
    return false;
}

/* ---- the cases ------------------------------------------------------------------------------ */

/* SplitMix64. */
uint64_t cases_draw(struct cases *cases, uint64_t below)
{
    assert(below > 0);
    uint64_t mixed = cases->state += 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
    return (mixed ^ mixed >> 31) % below;
}

static bool odd(struct cases *cases)
{
    return cases_draw(cases, 1000) < cases->odd_per_mille;
}

static void put(msgpack_sbuffer *out, const void *bytes, size_t count)
{
    int failed = msgpack_sbuffer_write(out, bytes, count);
    assert(failed == 0);
}

/* A first byte and a number of 1, 2, 4 or 8 bytes, whether or not a shorter form would do. */
static void put_head(msgpack_sbuffer *out, uint8_t first, uint32_t number_bytes, uint64_t number)
{
    uint8_t head[9] = {first};
    for (uint32_t index = number_bytes; index > 0; index--, number >>= 8)
        head[index] = (uint8_t)number;
    put(out, head, 1 + number_bytes);
}

/* A length in one of the three forms of `first8`, `first8` + 1 and + 2 that can hold it. */
static void put_long_form(struct cases *cases, msgpack_sbuffer *out, uint8_t first8,
                          uint32_t length)
{
    uint32_t form = (uint32_t)cases_draw(cases, 3);
    while (form < 2 && length >> (8u << form) != 0)
        form++;
    put_head(out, (uint8_t)(first8 + form), 1u << form, length);
}

static uint32_t draw_length(struct cases *cases)
{
    static const uint32_t edges[] = {0, 1, 7, 8, 15, 16, 17, 31, 32, 33, 255, 256};
    if (cases_draw(cases, 20000) == 0)
        return 65535 + (uint32_t)cases_draw(cases, 3);
    if (cases_draw(cases, 16) == 0)
        return edges[cases_draw(cases, sizeof edges / sizeof edges[0])];
    return (uint32_t)cases_draw(cases, 12);
}

static uint32_t draw_character(struct cases *cases, uint8_t *out)
{
    static const char *const characters[] = {
        "\x7f",         "\xc2\x80",         "\xdf\xbf",         "\xe0\xa0\x80",
        "\xed\x9f\xbf", "\xee\x80\x80",     "\xef\xbf\xbf",     "\xf0\x90\x80\x80",
        "\"",           "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf", "\xe2\x82\xac",
    };
    static const char *const faults[] = {
        "\x80",         "\xbf",         "\xc1\xbf",         "\xe0\x9f\xbf",
        "\xed\xa0\x80", "\xed\xbf\xbf", "\xf4\x90\x80\x80", "\xf0\x8f\xbf\xbf",
        "\xc2",         "\xe2\x82",     "\xf0\x9f\x98",     "\xff",
    };
    const char *drawn =
        odd(cases) ? faults[cases_draw(cases, sizeof faults / sizeof faults[0])]
                   : characters[cases_draw(cases, sizeof characters / sizeof characters[0])];
    memcpy(out, drawn, strlen(drawn));
    return (uint32_t)strlen(drawn);
}

/* About `length` bytes of text, most of it ASCII. */
static void draw_str(struct cases *cases, msgpack_sbuffer *out)
{
    uint8_t text[65536 + 16];
    uint32_t length = draw_length(cases), count = 0;
    bool ascii = cases_draw(cases, 4) != 0;
    while (count < length) {
        if (ascii || cases_draw(cases, 4) != 0)
            text[count++] = (uint8_t)cases_draw(cases, 0x80);
        else
            count += draw_character(cases, text + count);
    }
    if (cases_draw(cases, 2) == 0) {
        put_long_form(cases, out, 0xd9, count);
        put(out, text, count);
    } else {
        msgpack_packer packer;
        msgpack_packer_init(&packer, out, msgpack_sbuffer_write);
        msgpack_pack_str(&packer, count);
        msgpack_pack_str_body(&packer, text, count);
    }
}

static void draw_payload(struct cases *cases, msgpack_sbuffer *out, uint32_t count)
{
    for (; count > 0; count--)
        put(out, &(uint8_t){(uint8_t)cases_draw(cases, 256)}, 1);
}

static void draw_ext(struct cases *cases, msgpack_sbuffer *out)
{
    if (cases_draw(cases, 2) == 0) {
        uint32_t form = (uint32_t)cases_draw(cases, 5);
        put_head(out, (uint8_t)(0xd4 + form), 1, 5);
        draw_payload(cases, out, 1u << form);
    } else {
        uint32_t count = draw_length(cases);
        put_long_form(cases, out, 0xc7, count);
        draw_payload(cases, out, 1 + count);
    }
}

static uint64_t draw_bits(struct cases *cases)
{
    uint64_t bits = cases_draw(cases, UINT64_MAX) >> cases_draw(cases, 64);
    return cases_draw(cases, 2) == 0 ? bits : ~bits;
}

static void draw_number(struct cases *cases, msgpack_sbuffer *out)
{
    msgpack_packer packer;
    msgpack_packer_init(&packer, out, msgpack_sbuffer_write);
    uint64_t bits = draw_bits(cases);
    uint32_t form = (uint32_t)cases_draw(cases, 14);
    if (form < 4)
        put_head(out, (uint8_t)(0xcc + form), 1u << form, bits);
    else if (form < 8)
        put_head(out, (uint8_t)(0xcc + form), 1u << (form - 4), bits);
    else if (form < 10)
        put_head(out, (uint8_t)(0xca + form - 8), form == 8 ? 4 : 8, bits);
    else if (form == 10)
        msgpack_pack_int64(&packer, (int64_t)bits);
    else if (form == 11)
        msgpack_pack_uint64(&packer, bits);
    else if (form == 12)
        msgpack_pack_double(&packer, (double)(int64_t)bits / 256);
    else
        msgpack_pack_float(&packer, (float)bits / 256);
}

static void draw_leaf(struct cases *cases, msgpack_sbuffer *out)
{
    uint32_t kind = odd(cases) ? 9 : (uint32_t)cases_draw(cases, 9);
    if (kind == 0)
        put_head(out, (uint8_t)(0xc0 + (uint8_t[]){0, 2, 3}[cases_draw(cases, 3)]), 0, 0);
    else if (kind < 4)
        draw_number(cases, out);
    else if (kind < 8)
        draw_str(cases, out);
    else if (kind == 8) {
        uint32_t count = draw_length(cases);
        put_long_form(cases, out, 0xc4, count);
        draw_payload(cases, out, count);
    } else
        draw_ext(cases, out);
}

/* A head for `count` elements or pairs, in any form that can hold it. */
static void put_container(struct cases *cases, msgpack_sbuffer *out, bool is_map, uint32_t count)
{
    uint32_t form = (uint32_t)cases_draw(cases, 4);
    if (form > 1 && count < 16)
        put_head(out, (uint8_t)((is_map ? 0x80 : 0x90) | count), 0, 0);
    else if (form > 0 && count <= UINT16_MAX)
        put_head(out, is_map ? 0xde : 0xdc, 2, count);
    else
        put_head(out, is_map ? 0xdf : 0xdd, 4, count);
}

static void draw_key(struct cases *cases, msgpack_sbuffer *out)
{
    if (odd(cases))
        draw_leaf(cases, out);
    else
        draw_str(cases, out);
}

static void draw_tree(struct cases *cases, msgpack_sbuffer *out, uint32_t levels)
{
    if (levels == 0 || cases_draw(cases, 3) == 0) {
        draw_leaf(cases, out);
        return;
    }
    bool is_map = cases_draw(cases, 2) == 0;
    uint32_t count = (uint32_t)cases_draw(cases, 6);
    if (cases_draw(cases, 64) == 0)
        count = 14 + (uint32_t)cases_draw(cases, 4);
    put_container(cases, out, is_map, count);
    for (; count > 0; count--) {
        if (is_map)
            draw_key(cases, out);
        draw_tree(cases, out, levels - 1);
    }
}

/* Containers one in the other, with something beside each; the innermost may be empty. */
static void draw_spine(struct cases *cases, msgpack_sbuffer *out, uint32_t levels)
{
    uint64_t after = 0; /* one bit a level: a leaf follows what is inside */
    uint64_t is_map = 0;
    for (uint32_t level = 0; level + 1 < levels; level++) {
        uint64_t bit = 1ull << level;
        is_map |= cases_draw(cases, 2) ? bit : 0;
        after |= cases_draw(cases, 2) ? bit : 0;
        put_container(cases, out, is_map & bit, after & bit ? 2 : 1);
        if (is_map & bit)
            draw_key(cases, out);
    }
    put_container(cases, out, cases_draw(cases, 2), 0);
    for (uint32_t level = levels - 1; level > 0; level--) {
        uint64_t bit = 1ull << (level - 1);
        if (after & bit && is_map & bit)
            draw_key(cases, out);
        if (after & bit)
            draw_leaf(cases, out);
    }
}

static void draw_large(struct cases *cases, msgpack_sbuffer *out)
{
    uint32_t count = 65535 + (uint32_t)cases_draw(cases, 3);
    put_container(cases, out, false, count);
    for (; count > 0; count--)
        put(out, "\xc0", 1);
}

void cases_draw_value(struct cases *cases, msgpack_sbuffer *out)
{
    uint64_t kind = cases_draw(cases, 20000);
    if (kind == 0)
        draw_large(cases, out);
    else if (kind < 1000)
        draw_spine(cases, out, FLYOVER_DEPTH_MAX - 2 + (uint32_t)cases_draw(cases, 4));
    else
        draw_tree(cases, out, 1 + (uint32_t)cases_draw(cases, 4));
}

static void spoil_once(struct cases *cases, msgpack_sbuffer *bytes)
{
    static const uint8_t heads[] = {0x80, 0x81, 0x90, 0x91, 0xa1, 0xc1, 0xc4, 0xc6, 0xc7, 0xc9,
                                    0xca, 0xcf, 0xd4, 0xd8, 0xd9, 0xdb, 0xdc, 0xdd, 0xde, 0xdf};
    size_t at = cases_draw(cases, bytes->size);
    switch (cases_draw(cases, 6)) {
    case 0: bytes->data[at] = (char)cases_draw(cases, 256); break;
    case 1: bytes->data[at] = (char)(bytes->data[at] ^ (1 << cases_draw(cases, 8))); break;
    case 2: bytes->data[at] = (char)heads[cases_draw(cases, sizeof heads)]; break;
    case 3: bytes->size = at; break;
    case 4:
        memmove(bytes->data + at, bytes->data + at + 1, bytes->size - at - 1);
        bytes->size--;
        break;
    default: put(bytes, &heads[cases_draw(cases, sizeof heads)], 1); break;
    }
}

void cases_spoil(struct cases *cases, msgpack_sbuffer *bytes)
{
    for (uint64_t times = 1 + cases_draw(cases, 3); times > 0 && bytes->size > 0; times--)
        spoil_once(cases, bytes);
}
