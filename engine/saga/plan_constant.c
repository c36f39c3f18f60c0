#include <assert.h>
#include <msgpack/pack.h>
#include <string.h>

#include "engine/saga/plan_build.h"

/* Never fails: the plan has room for three bytes for each byte of the definition, and the dearest
 * value, a real of three letters such as 1.0, takes nine. */
static int append(void *data, const char *bytes, size_t count)
{
    struct plan_build *build = data;
    assert(count <= (size_t)(build->text_end - build->text_next));
    memcpy(build->text_next, bytes, count);
    build->text_next += count;
    return 0;
}

static void pack_text(msgpack_packer *packer, const char *text)
{
    size_t count = strlen(text);
    msgpack_pack_str(packer, count);
    msgpack_pack_str_body(packer, text, count);
}

static bool pack(struct plan_build *build, msgpack_packer *packer, json_t *value, uint32_t depth,
                 const struct place *at);

static bool pack_array(struct plan_build *build, msgpack_packer *packer, json_t *array,
                       uint32_t depth, const struct place *at)
{
    size_t i;
    json_t *element;
    msgpack_pack_array(packer, json_array_size(array));
    json_array_foreach(array, i, element)
    {
        if (!pack(build, packer, element, depth, at))
            return false;
    }
    return true;
}

static bool pack_object(struct plan_build *build, msgpack_packer *packer, json_t *object,
                        uint32_t depth, const struct place *at)
{
    const char *name;
    json_t *member;
    msgpack_pack_map(packer, json_object_size(object));
    json_object_foreach(object, name, member)
    {
        pack_text(packer, name);
        if (!pack(build, packer, member, depth, at))
            return false;
    }
    return true;
}

static bool pack(struct plan_build *build, msgpack_packer *packer, json_t *value, uint32_t depth,
                 const struct place *at)
{
    if (depth == FLYOVER_DEPTH_MAX && (json_is_object(value) || json_is_array(value)))
        return plan_build_refuse(build, STATUS_TOO_LARGE, at,
                                 "is nested more than %u deep; a payload has to be flatter",
                                 FLYOVER_DEPTH_MAX);
    switch (json_typeof(value)) {
    case JSON_OBJECT: return pack_object(build, packer, value, depth + 1, at);
    case JSON_ARRAY: return pack_array(build, packer, value, depth + 1, at);
    case JSON_STRING: pack_text(packer, json_string_value(value)); break;
    case JSON_INTEGER: msgpack_pack_int64(packer, json_integer_value(value)); break;
    case JSON_REAL: msgpack_pack_double(packer, json_real_value(value)); break;
    case JSON_TRUE: msgpack_pack_true(packer); break;
    case JSON_FALSE: msgpack_pack_false(packer); break;
    case JSON_NULL: msgpack_pack_nil(packer); break;
    }
    return true;
}

bool plan_constant_encode(struct plan_build *build, json_t *value, const struct place *at,
                          struct flyover_bytes *ret_constant)
{
    uint8_t *start = build->text_next;
    msgpack_packer packer;
    msgpack_packer_init(&packer, build, append);
    if (!pack(build, &packer, value, 0, at))
        return false;
    size_t count = (size_t)(build->text_next - start);
    if (count > FLYOVER_PAYLOAD_BYTES_MAX)
        return plan_build_refuse(build, STATUS_TOO_LARGE, at,
                                 "takes %zu bytes as msgpack; a payload has at most %u", count,
                                 FLYOVER_PAYLOAD_BYTES_MAX);
    struct flyover_bytes constant = {.at = start, .count = (uint32_t)count};
    assert(value_check(constant, NULL));
    *ret_constant = constant;
    return true;
}
