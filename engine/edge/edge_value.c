#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/edge_parts.h"

/* Msgpack that was checked, into the json that the modules read. */

/* RFC 4648, with padding, as value_print does it. */
static json_t *bin_to_json(struct flyover_bytes bin)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t count = ((size_t)bin.count + 2) / 3 * 4;
    char *text = malloc(count + 1);
    if (text == NULL)
        return NULL;
    for (size_t i = 0; i < count; i += 4) {
        const uint8_t *at = bin.at + i / 4 * 3;
        size_t left = bin.count - i / 4 * 3;
        uint32_t bits = (uint32_t)at[0] << 16;
        bits |= left > 1 ? (uint32_t)at[1] << 8 : 0;
        bits |= left > 2 ? at[2] : 0;
        text[i] = digits[bits >> 18];
        text[i + 1] = digits[(bits >> 12) & 63];
        text[i + 2] = left > 1 ? digits[(bits >> 6) & 63] : '=';
        text[i + 3] = left > 2 ? digits[bits & 63] : '=';
    }
    json_t *json = json_stringn_nocheck(text, count);
    free(text);
    return json;
}

static json_t *number_to_json(struct flyover_cursor *cursor)
{
    int64_t integer;
    double real = 0;
    if (flyover_read_int(cursor, &integer))
        return json_integer(integer);
    (void)flyover_read_number(cursor, &real);
    return isfinite(real) ? json_real(real) : json_null();
}

static json_t *to_json(struct flyover_cursor *cursor);

static json_t *array_to_json(struct flyover_cursor *cursor)
{
    uint32_t count = 0;
    json_t *array = json_array();
    (void)flyover_read_array(cursor, &count);
    for (uint32_t i = 0; i < count && array != NULL; i++)
        if (json_array_append_new(array, to_json(cursor)) != 0) {
            json_decref(array);
            array = NULL;
        }
    return array;
}

/* Of a key that is there twice the first counts, as for flyover_find. */
static bool add_member(json_t *object, struct flyover_bytes key, json_t *value)
{
    const char *text = (const char *)key.at;
    if (json_object_getn(object, text, key.count) == NULL)
        return json_object_setn_new_nocheck(object, text, key.count, value) == 0;
    json_decref(value);
    return true;
}

static json_t *map_to_json(struct flyover_cursor *cursor)
{
    uint32_t pairs = 0;
    json_t *object = json_object();
    (void)flyover_read_map(cursor, &pairs);
    for (uint32_t i = 0; i < pairs && object != NULL; i++) {
        struct flyover_bytes key = {0};
        (void)flyover_read_str(cursor, &key);
        if (!add_member(object, key, to_json(cursor))) {
            json_decref(object);
            object = NULL;
        }
    }
    return object;
}

/* Calls itself no deeper than FLYOVER_DEPTH_MAX, which value_check has seen to. */
static json_t *to_json(struct flyover_cursor *cursor)
{
    bool truth = false;
    struct flyover_bytes bytes = {0};
    switch (flyover_peek(cursor)) {
    case FLYOVER_BOOL: (void)flyover_read_bool(cursor, &truth); return json_boolean(truth);
    case FLYOVER_INT:
    case FLYOVER_FLOAT: return number_to_json(cursor);
    case FLYOVER_STR:
        (void)flyover_read_str(cursor, &bytes);
        return json_stringn_nocheck((const char *)bytes.at, bytes.count);
    case FLYOVER_BIN: (void)flyover_read_bin(cursor, &bytes); return bin_to_json(bytes);
    case FLYOVER_ARRAY: return array_to_json(cursor);
    case FLYOVER_MAP: return map_to_json(cursor);
    case FLYOVER_NIL:
    case FLYOVER_END:
    case FLYOVER_EXT:
    case FLYOVER_BAD: break;
    }
    (void)flyover_skip(cursor);
    return json_null();
}

json_t *edge_value_to_json(struct flyover_bytes value)
{
    struct flyover_cursor cursor = {value.at, value.at + value.count};
    return value.count == 0 ? json_null() : to_json(&cursor);
}
