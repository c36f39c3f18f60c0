#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "engine/saga/plan_build.h"

#define ATTEMPTS_MAX 99999999u /* as at AWS */
#define DELAY_S_MAX  (PLAN_DELAY_MS_MAX / 1000)

/* ---- Resource ------------------------------------------------------------------------------ */

/* Copies the name at `text` up to `end`; false where it is empty, too long or no name. */
static bool copy_name(const char *text, const char *end, char ret_name[FLYOVER_NAME_BYTES_MAX + 1])
{
    size_t count = (size_t)(end - text);
    if (count == 0 || count > FLYOVER_NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        char letter = text[i];
        bool fine = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
                    (letter >= '0' && letter <= '9') || letter == '-' || letter == '_';
        if (!fine)
            return false;
    }
    memcpy(ret_name, text, count);
    ret_name[count] = '\0';
    return true;
}

static bool parse_resource(struct plan_build *build, const char *text, const struct place *at,
                           struct plan_resource *ret_resource)
{
    static const char prefix[] = "service:";
    if (strncmp(text, "arn:", 4) == 0)
        return plan_build_refuse(build, STATUS_UNSUPPORTED, at,
                                 "ARNs (\"%.80s\") are not supported yet; name a handler as "
                                 "\"service:NAME.HANDLER\"",
                                 text);
    const char *service = text + sizeof prefix - 1;
    const char *dot = strncmp(text, prefix, sizeof prefix - 1) == 0 ? strchr(service, '.') : NULL;
    if (dot == NULL || !copy_name(service, dot, ret_resource->service) ||
        !copy_name(dot + 1, dot + strlen(dot), ret_resource->handler))
        return plan_build_refuse(
            build, STATUS_INVALID, at,
            "\"%.80s\" is not of the form \"service:NAME.HANDLER\", each name 1 "
            "to %u letters, digits, '-' or '_'",
            text, FLYOVER_NAME_BYTES_MAX);
    return true;
}

/* Each pair of service and handler stands once in the plan. */
static bool compile_resource(struct plan_build *build, const json_t *holder, const struct place *at,
                             uint16_t *ret_resource)
{
    struct plan *plan = build->plan;
    const struct place *here = PLACE_FIELD(at, "Resource");
    struct plan_resource resource = {.service = ""};
    const char *text = NULL;
    if (!plan_build_text(build, holder, "Resource", at, &text) ||
        !parse_resource(build, text, here, &resource))
        return false;

    bool service_known = false;
    for (uint32_t i = 0; i < plan->resources_count; i++) {
        bool same_service = strcmp(plan->resources[i].service, resource.service) == 0;
        service_known = service_known || same_service;
        if (same_service && strcmp(plan->resources[i].handler, resource.handler) == 0) {
            *ret_resource = (uint16_t)i;
            return true;
        }
    }
    if (!service_known && ++build->services_count > PLAN_SERVICES_MAX)
        return plan_build_refuse(build, STATUS_TOO_LARGE, here,
                                 "is service number %u of this plan; at most %u may be named",
                                 build->services_count, PLAN_SERVICES_MAX);
    assert(plan->resources_count < build->capacity.resources);
    *ret_resource = (uint16_t)plan->resources_count;
    plan->resources[plan->resources_count++] = resource;
    return true;
}

/* ---- lists --------------------------------------------------------------------------------- */

static bool check_list(struct plan_build *build, const json_t *list, uint32_t count_min,
                       uint32_t count_max, const struct place *at)
{
    if (!json_is_array(list))
        return plan_build_refuse(build, STATUS_INVALID, at, "must be an array, not %s",
                                 plan_build_kind(list));
    size_t count = json_array_size(list);
    if (count < count_min)
        return plan_build_refuse(build, STATUS_INVALID, at, "must not be empty");
    if (count > count_max)
        return plan_build_refuse(build, STATUS_TOO_LARGE, at,
                                 "has %zu entries; at most %u are allowed", count, count_max);
    return true;
}

static bool compile_error(struct plan_build *build, const json_t *list, size_t i, bool last,
                          const struct place *at)
{
    const json_t *element = json_array_get(list, i);
    const struct place *here = PLACE_INDEX(at, i);
    if (!json_is_string(element))
        return plan_build_refuse(build, STATUS_INVALID, here,
                                 "must be the name of an error, a string, not %s",
                                 plan_build_kind(element));
    const char *name = json_string_value(element);
    if (!plan_build_check_error_name(build, name, here))
        return false;
    if (strcmp(name, "States.ALL") == 0 && json_array_size(list) != 1)
        return plan_build_refuse(build, STATUS_INVALID, here,
                                 "States.ALL must stand alone in its ErrorEquals, since it matches "
                                 "what the other names match");
    if (strcmp(name, "States.ALL") == 0 && !last)
        return plan_build_refuse(build, STATUS_INVALID, here,
                                 "States.ALL may stand only in the last entry of the list, since "
                                 "those after it would never be reached");
    struct plan *plan = build->plan;
    assert(plan->errors_count < build->capacity.errors);
    plan->errors[plan->errors_count++] = plan_build_keep(build, name);
    return true;
}

/* ErrorEquals of a retrier or a catcher, which is the `last` of its list or not. */
static bool compile_errors(struct plan_build *build, const json_t *holder, bool last,
                           const struct place *at, uint16_t *ret_first, uint16_t *ret_count)
{
    const json_t *list = json_object_get(holder, "ErrorEquals");
    if (list == NULL)
        return plan_build_refuse(build, STATUS_INVALID, at,
                                 "there is no ErrorEquals, which must be here, such as "
                                 "[\"States.ALL\"]");
    const struct place *here = PLACE_FIELD(at, "ErrorEquals");
    if (!check_list(build, list, 1, PLAN_ERRORS_MAX, here))
        return false;
    size_t count = json_array_size(list);
    uint32_t first = build->plan->errors_count;
    if (first + count > UINT16_MAX)
        return plan_build_refuse(build, STATUS_TOO_LARGE, here,
                                 "all Retry and Catch of a plan may name %u errors at most",
                                 UINT16_MAX);
    for (size_t i = 0; i < count; i++)
        if (!compile_error(build, list, i, last, here))
            return false;
    *ret_first = (uint16_t)first;
    *ret_count = (uint16_t)count;
    return true;
}

/* ---- Retry --------------------------------------------------------------------------------- */

/* A whole number from `least` to `most`; left alone where the field is not there. */
static bool read_integer(struct plan_build *build, const json_t *holder, const char *field,
                         uint64_t least, uint64_t most, const struct place *at, uint64_t *ret_value)
{
    const json_t *value = json_object_get(holder, field);
    if (value == NULL)
        return true;
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0 || (uint64_t)number < least ||
        (uint64_t)number > most)
        return plan_build_refuse(build, STATUS_INVALID, PLACE_FIELD(at, field),
                                 "must be a whole number from %" PRIu64 " to %" PRIu64, least,
                                 most);
    *ret_value = (uint64_t)number;
    return true;
}

static bool read_backoff_rate(struct plan_build *build, const json_t *holder,
                              const struct place *at, double *ret_rate)
{
    const json_t *value = json_object_get(holder, "BackoffRate");
    if (value == NULL)
        return true;
    double rate = json_number_value(value);
    if (!json_is_number(value) || !(rate >= 1.0))
        return plan_build_refuse(build, STATUS_INVALID, PLACE_FIELD(at, "BackoffRate"),
                                 "must be a number of 1.0 or more, since waits may not shrink");
    *ret_rate = rate;
    return true;
}

static bool read_jitter(struct plan_build *build, const json_t *holder, const struct place *at,
                        bool *ret_full)
{
    const json_t *value = json_object_get(holder, "JitterStrategy");
    if (value == NULL)
        return true;
    const char *text = json_is_string(value) ? json_string_value(value) : "";
    if (strcmp(text, "FULL") != 0 && strcmp(text, "NONE") != 0)
        return plan_build_refuse(build, STATUS_INVALID, PLACE_FIELD(at, "JitterStrategy"),
                                 "must be \"FULL\" or \"NONE\"");
    *ret_full = strcmp(text, "FULL") == 0;
    return true;
}

static bool compile_retrier(struct plan_build *build, json_t *json, bool last,
                            const struct place *at, struct plan_retrier *ret_retrier)
{
    static const char *const names[] = {"Comment",        "ErrorEquals", "IntervalSeconds",
                                        "MaxAttempts",    "BackoffRate", "MaxDelaySeconds",
                                        "JitterStrategy", NULL};
    static const struct plan_fields fields = {"an entry of Retry", names};
    struct plan_retrier retrier = {.backoff_rate = 2.0};
    uint64_t interval_s = 1, attempts = 3, delay_s_max = DELAY_S_MAX;
    if (!plan_fields_check(build, json, &fields, at) ||
        !compile_errors(build, json, last, at, &retrier.errors_first, &retrier.errors_count) ||
        !read_integer(build, json, "IntervalSeconds", 1, DELAY_S_MAX, at, &interval_s) ||
        !read_integer(build, json, "MaxAttempts", 0, ATTEMPTS_MAX, at, &attempts) ||
        !read_integer(build, json, "MaxDelaySeconds", 1, DELAY_S_MAX, at, &delay_s_max) ||
        !read_backoff_rate(build, json, at, &retrier.backoff_rate) ||
        !read_jitter(build, json, at, &retrier.jitter_full))
        return false;
    if (json_object_get(json, "MaxDelaySeconds") != NULL && delay_s_max <= interval_s)
        return plan_build_refuse(build, STATUS_INVALID, PLACE_FIELD(at, "MaxDelaySeconds"),
                                 "must be greater than IntervalSeconds, which is %" PRIu64,
                                 interval_s);
    retrier.interval_ms = interval_s * 1000;
    retrier.attempts_max = (uint32_t)attempts;
    retrier.delay_ms_max = delay_s_max * 1000;
    *ret_retrier = retrier;
    return true;
}

/* Retry of a Task or of a Compensate. */
static bool compile_retriers(struct plan_build *build, const json_t *holder, const struct place *at,
                             uint16_t *ret_first, uint16_t *ret_count)
{
    struct plan *plan = build->plan;
    const json_t *list = json_object_get(holder, "Retry");
    const struct place *here = PLACE_FIELD(at, "Retry");
    if (list == NULL)
        return true;
    if (!check_list(build, list, 0, PLAN_RETRIERS_MAX, here))
        return false;
    size_t count = json_array_size(list);
    uint32_t first = plan->retriers_count;
    assert(first + count <= build->capacity.retriers);
    for (size_t i = 0; i < count; i++) {
        struct plan_retrier *retrier = &plan->retriers[plan->retriers_count++];
        if (!compile_retrier(build, json_array_get(list, i), i + 1 == count, PLACE_INDEX(here, i),
                             retrier))
            return false;
    }
    *ret_first = (uint16_t)first;
    *ret_count = (uint16_t)count;
    return true;
}

/* ---- Catch --------------------------------------------------------------------------------- */

static bool compile_catcher(struct plan_build *build, json_t *json, bool last,
                            const struct place *at, struct plan_catcher *catcher)
{
    static const char *const names[] = {"Comment", "ErrorEquals", "Next", "ResultPath", NULL};
    static const struct plan_fields fields = {"an entry of Catch", names};
    return plan_fields_check(build, json, &fields, at) &&
           compile_errors(build, json, last, at, &catcher->errors_first, &catcher->errors_count) &&
           plan_build_state(build, json, "Next", at, &catcher->next) &&
           plan_build_result_path(build, json, at, &catcher->result_kind, &catcher->result_path);
}

static bool compile_catchers(struct plan_build *build, const json_t *holder, const struct place *at,
                             struct plan_state *state)
{
    struct plan *plan = build->plan;
    const json_t *list = json_object_get(holder, "Catch");
    const struct place *here = PLACE_FIELD(at, "Catch");
    if (list == NULL)
        return true;
    if (!check_list(build, list, 0, PLAN_CATCHERS_MAX, here))
        return false;
    size_t count = json_array_size(list);
    state->catchers_first = (uint16_t)plan->catchers_count;
    state->catchers_count = (uint16_t)count;
    assert(plan->catchers_count + count <= build->capacity.catchers);
    for (size_t i = 0; i < count; i++) {
        struct plan_catcher *catcher = &plan->catchers[plan->catchers_count++];
        if (!compile_catcher(build, json_array_get(list, i), i + 1 == count, PLACE_INDEX(here, i),
                             catcher))
            return false;
    }
    return true;
}

/* ---- Compensate, FireAndForget ------------------------------------------------------------- */

static bool compile_compensate(struct plan_build *build, const json_t *holder,
                               const struct place *at, struct plan_state *state)
{
    static const char *const names[] = {"Comment", "Resource", "Retry", NULL};
    static const struct plan_fields fields = {"a Compensate", names};
    json_t *json = json_object_get(holder, "Compensate");
    const struct place *here = PLACE_FIELD(at, "Compensate");
    if (json == NULL)
        return true;
    state->compensated = true;
    return plan_fields_check(build, json, &fields, here) &&
           compile_resource(build, json, here, &state->undo_resource) &&
           compile_retriers(build, json, here, &state->undo_retriers_first,
                            &state->undo_retriers_count);
}

/* A saga goes on as soon as such a step is on its way: it never learns how the step ended. */
static bool compile_fire_and_forget(struct plan_build *build, const json_t *json,
                                    const struct place *at, struct plan_state *state)
{
    static const struct {
        const char *field;
        const char *reason;
    } refused[] = {
        {"Compensate", "the saga never learns whether it was done, so there is nothing to undo"},
        {"Catch", "its failure never fails the saga, so there is nothing to catch"},
        {"ResultPath", "its result is dropped, so there is nothing to put anywhere"},
    };
    const json_t *value = json_object_get(json, "FireAndForget");
    if (value == NULL)
        return true;
    if (!json_is_boolean(value))
        return plan_build_refuse(build, STATUS_INVALID, PLACE_FIELD(at, "FireAndForget"),
                                 "must be true or false, not %s", plan_build_kind(value));
    if (!json_is_true(value))
        return true;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (json_object_get(json, refused[i].field) != NULL)
            return plan_build_refuse(
                build, STATUS_INVALID, PLACE_FIELD(at, refused[i].field),
                "a fire-and-forget step has no %s: %s; leave out one of the two", refused[i].field,
                refused[i].reason);
    state->fire_and_forget = true;
    state->result_kind = RESULT_DROPPED;
    build->plan->detached_count++;
    return true;
}

bool plan_task_compile(struct plan_build *build, json_t *json, const struct place *at,
                       struct plan_state *state)
{
    assert(state->type == STATE_TASK);
    return compile_resource(build, json, at, &state->resource) &&
           plan_build_result_path(build, json, at, &state->result_kind, &state->result_path) &&
           compile_fire_and_forget(build, json, at, state) &&
           compile_compensate(build, json, at, state) &&
           compile_retriers(build, json, at, &state->retriers_first, &state->retriers_count) &&
           compile_catchers(build, json, at, state);
}
