#include <assert.h>

#include "engine/saga/plan_build.h"
#include "engine/saga/value_json.h"

bool plan_constant_encode(struct plan_build *build, json_t *value, const struct place *at,
                          struct flyover_bytes *ret_constant)
{
    /* The plan has room for four bytes for each byte of the definition, and the dearest value, a
     * real of three letters such as 1.0, takes nine: only a payload's own limit can be passed. */
    size_t room = (size_t)(build->text_end - build->text_next);
    size_t count = 0;
    enum status status = value_from_json(value, build->text_next, room, &count);
    if (status == STATUS_UNSUPPORTED)
        return plan_build_refuse(build, STATUS_TOO_LARGE, at,
                                 "is nested more than %u deep; a payload has to be flatter",
                                 FLYOVER_DEPTH_MAX);
    assert(status == STATUS_OK);
    if (count > FLYOVER_PAYLOAD_BYTES_MAX)
        return plan_build_refuse(build, STATUS_TOO_LARGE, at,
                                 "takes %zu bytes as msgpack; a payload has at most %u", count,
                                 FLYOVER_PAYLOAD_BYTES_MAX);
    struct flyover_bytes constant = {.at = build->text_next, .count = (uint32_t)count};
    assert(value_check(constant, NULL));
    build->text_next += count;
    *ret_constant = constant;
    return true;
}
