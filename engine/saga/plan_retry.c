#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "engine/saga/plan_build.h"

#define ATTEMPTS_MAX 99999999u /* as at AWS */
#define DELAY_S_MAX  (PLAN_DELAY_MS_MAX / 1000)

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
        !plan_build_integer(build, json, "IntervalSeconds", 1, DELAY_S_MAX, at, &interval_s) ||
        !plan_build_integer(build, json, "MaxAttempts", 0, ATTEMPTS_MAX, at, &attempts) ||
        !plan_build_integer(build, json, "MaxDelaySeconds", 1, DELAY_S_MAX, at, &delay_s_max) ||
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

bool plan_retry_compile(struct plan_build *build, const json_t *holder, const struct place *at,
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

bool plan_catch_compile(struct plan_build *build, const json_t *holder, const struct place *at,
                        uint16_t *ret_first, uint16_t *ret_count)
{
    struct plan *plan = build->plan;
    const json_t *list = json_object_get(holder, "Catch");
    const struct place *here = PLACE_FIELD(at, "Catch");
    if (list == NULL)
        return true;
    if (!check_list(build, list, 0, PLAN_CATCHERS_MAX, here))
        return false;
    size_t count = json_array_size(list);
    uint32_t first = plan->catchers_count;
    assert(first + count <= build->capacity.catchers);
    for (size_t i = 0; i < count; i++) {
        struct plan_catcher *catcher = &plan->catchers[plan->catchers_count++];
        if (!compile_catcher(build, json_array_get(list, i), i + 1 == count, PLACE_INDEX(here, i),
                             catcher))
            return false;
    }
    *ret_first = (uint16_t)first;
    *ret_count = (uint16_t)count;
    return true;
}
