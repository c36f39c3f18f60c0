#include <assert.h>
#include <string.h>

#include "engine/saga/plan_build.h"

static const struct {
    const char *field;
    enum wait_kind kind;
} forms[] = {
    {"Seconds", WAIT_SECONDS},
    {"SecondsPath", WAIT_SECONDS_PATH},
    {"Timestamp", WAIT_TIMESTAMP},
    {"TimestampPath", WAIT_TIMESTAMP_PATH},
};
#define FORMS_COUNT (sizeof forms / sizeof forms[0])

static bool compile_seconds(struct plan_build *build, const json_t *json, const struct place *at,
                            int64_t *ret_ms)
{
    uint64_t seconds = 0;
    if (!plan_build_integer(build, json, "Seconds", 0, PLAN_WAIT_MS_MAX / 1000, at, &seconds))
        return false;
    *ret_ms = (int64_t)(seconds * 1000);
    return true;
}

static bool compile_timestamp(struct plan_build *build, const json_t *json, const struct place *at,
                              int64_t *ret_ms)
{
    const char *text = NULL;
    if (!plan_build_text(build, json, "Timestamp", at, &text))
        return false;
    struct flyover_bytes bytes = {.at = (const uint8_t *)text, .count = (uint32_t)strlen(text)};
    return plan_parse_timestamp(bytes, ret_ms) ||
           plan_build_refuse(build, STATUS_INVALID, PLACE_FIELD(at, "Timestamp"),
                             "\"%.80s\" is no time of RFC 3339 from 1970 on, such as "
                             "\"2026-11-26T12:00:00Z\" or \"2026-11-26T13:00:00.5+01:00\"",
                             text);
}

/* Which one of the fields says how long; refused where there are none or two. */
static bool find_form(struct plan_build *build, const json_t *json, const struct place *at,
                      size_t *ret_form)
{
    size_t found = FORMS_COUNT;
    for (size_t i = 0; i < FORMS_COUNT; i++) {
        if (json_object_get(json, forms[i].field) == NULL)
            continue;
        if (found != FORMS_COUNT)
            return plan_build_refuse(build, STATUS_INVALID, at,
                                     "has both %s and %s; leave out one of them",
                                     forms[found].field, forms[i].field);
        found = i;
    }
    if (found == FORMS_COUNT)
        return plan_build_refuse(build, STATUS_INVALID, at,
                                 "does not say how long to wait; name one of Seconds, SecondsPath, "
                                 "Timestamp and TimestampPath");
    *ret_form = found;
    return true;
}

bool plan_wait_compile(struct plan_build *build, const json_t *json, const struct place *at,
                       struct plan_state *state)
{
    assert(state->type == STATE_WAIT);
    size_t form = 0;
    if (!find_form(build, json, at, &form))
        return false;
    state->wait_kind = forms[form].kind;
    switch (state->wait_kind) {
    case WAIT_SECONDS: return compile_seconds(build, json, at, &state->wait_ms);
    case WAIT_TIMESTAMP: return compile_timestamp(build, json, at, &state->wait_ms);
    case WAIT_SECONDS_PATH:
    case WAIT_TIMESTAMP_PATH: break;
    }
    return plan_build_path(build, json, forms[form].field, at, &state->wait_path);
}
