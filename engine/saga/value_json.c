#include "engine/saga/value_json.h"

#include <msgpack/pack.h>
#include <string.h>

struct sink {
    uint8_t *next;
    uint8_t *end;
    bool full;
    uint32_t depth_max;
    msgpack_packer packer;
};

static int append(void *data, const char *bytes, size_t count)
{
    struct sink *sink = data;
    if (sink->full || count > (size_t)(sink->end - sink->next)) {
        sink->full = true;
        return -1;
    }
    memcpy(sink->next, bytes, count);
    sink->next += count;
    return 0;
}

static void pack_text(struct sink *sink, const char *text, size_t count)
{
    msgpack_pack_str(&sink->packer, count);
    msgpack_pack_str_body(&sink->packer, text, count);
}

static bool pack(struct sink *sink, const json_t *value, uint32_t depth);

static bool pack_array(struct sink *sink, const json_t *array, uint32_t depth)
{
    msgpack_pack_array(&sink->packer, json_array_size(array));
    for (size_t i = 0; i < json_array_size(array); i++)
        if (!pack(sink, json_array_get(array, i), depth))
            return false;
    return true;
}

static bool pack_object(struct sink *sink, json_t *object, uint32_t depth)
{
    const char *name;
    json_t *member;
    msgpack_pack_map(&sink->packer, json_object_size(object));
    json_object_foreach(object, name, member)
    {
        pack_text(sink, name, strlen(name));
        if (!pack(sink, member, depth))
            return false;
    }
    return true;
}

/* False where it is nested too deep. */
static bool pack(struct sink *sink, const json_t *value, uint32_t depth)
{
    if (depth == sink->depth_max && (json_is_object(value) || json_is_array(value)))
        return false;
    switch (json_typeof(value)) {
    case JSON_OBJECT: return pack_object(sink, (json_t *)value, depth + 1);
    case JSON_ARRAY: return pack_array(sink, value, depth + 1);
    case JSON_STRING: pack_text(sink, json_string_value(value), json_string_length(value)); break;
    case JSON_INTEGER: msgpack_pack_int64(&sink->packer, json_integer_value(value)); break;
    case JSON_REAL: msgpack_pack_double(&sink->packer, json_real_value(value)); break;
    case JSON_TRUE: msgpack_pack_true(&sink->packer); break;
    case JSON_FALSE: msgpack_pack_false(&sink->packer); break;
    case JSON_NULL: msgpack_pack_nil(&sink->packer); break;
    }
    return true;
}

enum status value_from_json(const json_t *json, uint8_t *out, size_t capacity, size_t *ret_bytes)
{
    return value_from_deep_json(json, FLYOVER_DEPTH_MAX, out, capacity, ret_bytes);
}

enum status value_from_deep_json(const json_t *json, uint32_t depth_max, uint8_t *out,
                                 size_t capacity, size_t *ret_bytes)
{
    struct sink sink = {.next = out, .end = out + capacity, .depth_max = depth_max};
    msgpack_packer_init(&sink.packer, &sink, append);
    if (!pack(&sink, json, 0))
        return STATUS_UNSUPPORTED;
    if (sink.full)
        return STATUS_TOO_LARGE;
    *ret_bytes = (size_t)(sink.next - out);
    return STATUS_OK;
}
