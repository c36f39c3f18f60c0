#include <assert.h>
#include <inttypes.h>

#include "engine/saga/plan_build.h"

/* ---- FireAndForget, Pivot ------------------------------------------------------------------ */

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
        {"ResultSelector", "its result is dropped, so there is nothing to select from"},
    };
    const struct place *here = PLACE_FIELD(at, "FireAndForget");
    if (!plan_build_flag(build, json, "FireAndForget", at, &state->fire_and_forget))
        return false;
    if (!state->fire_and_forget)
        return true;
    if (state->task_kind == TASK_SIGNAL)
        return plan_build_refuse(build, STATUS_INVALID, here,
                                 "a signal is not fire-and-forget: the step does nothing but wait "
                                 "for it; leave FireAndForget out");
    if (state->task_kind == TASK_TOKEN)
        return plan_build_refuse(build, STATUS_INVALID, here,
                                 "a step that waits for its task token is not fire-and-forget; "
                                 "leave it out, or \".waitForTaskToken\" in the Resource");
    if (state->pivot)
        return plan_build_refuse(build, STATUS_INVALID, PLACE_FIELD(at, "Pivot"),
                                 "a fire-and-forget step is no pivot: the saga never learns "
                                 "whether it was done; leave out one of the two");
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (json_object_get(json, refused[i].field) != NULL)
            return plan_build_refuse(
                build, STATUS_INVALID, PLACE_FIELD(at, refused[i].field),
                "a fire-and-forget step has no %s: %s; leave out one of the two", refused[i].field,
                refused[i].reason);
    state->result_kind = RESULT_DROPPED;
    build->plan->detached_count++;
    return true;
}

/* ---- TimeoutSeconds, HeartbeatSeconds ------------------------------------------------------ */

static bool compile_heartbeat(struct plan_build *build, const json_t *json, const struct place *at,
                              struct plan_state *state)
{
    const struct place *here = PLACE_FIELD(at, "HeartbeatSeconds");
    if (json_object_get(json, "HeartbeatSeconds") == NULL)
        return true;
    if (state->task_kind == TASK_SIGNAL)
        return plan_build_refuse(build, STATUS_INVALID, here,
                                 "nobody works on a signal, so nobody sends heartbeats; leave it "
                                 "out, or say in TimeoutSeconds how long to wait");
    if (!plan_build_seconds(build, json, "HeartbeatSeconds", at, &state->heartbeat_ms))
        return false;
    if (state->timeout_ms != 0 && state->heartbeat_ms >= state->timeout_ms)
        return plan_build_refuse(build, STATUS_INVALID, here,
                                 "must be less than TimeoutSeconds, which is %" PRIu64,
                                 state->timeout_ms / 1000);
    return true;
}

static bool compile_times(struct plan_build *build, const json_t *json, const struct place *at,
                          struct plan_state *state)
{
    return plan_build_seconds(build, json, "TimeoutSeconds", at, &state->timeout_ms) &&
           compile_heartbeat(build, json, at, state);
}

/* ---- InputPath, Parameters, ResultSelector -------------------------------------------------- */

static bool compile_templates(struct plan_build *build, const json_t *json, const struct place *at,
                              const char *function, struct plan_state *state)
{
    static const char *const fields[] = {"InputPath", "Parameters", "ResultSelector"};
    bool by_token = state->task_kind == TASK_TOKEN;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0] && state->task_kind == TASK_SIGNAL; i++)
        if (json_object_get(json, fields[i]) != NULL)
            return plan_build_refuse(build, STATUS_INVALID, PLACE_FIELD(at, fields[i]),
                                     "a step that waits for a signal asks nobody, and its result "
                                     "is the signal's payload as it comes; leave %s out",
                                     fields[i]);
    return plan_template_compile_arguments(build, json, at, function, by_token,
                                           &state->arguments) &&
           plan_template_compile_selector(build, json, at, by_token, &state->selector);
}

/* ---- Compensate ---------------------------------------------------------------------------- */

static bool compile_compensate(struct plan_build *build, const json_t *holder,
                               const struct place *at, struct plan_state *state)
{
    static const char *const names[] = {"Comment", "Resource",       "Parameters", "Retry",
                                        "Catch",   "TimeoutSeconds", NULL};
    static const struct plan_fields fields = {"a Compensate", names};
    json_t *json = json_object_get(holder, "Compensate");
    const struct place *here = PLACE_FIELD(at, "Compensate");
    const char *function = NULL;
    if (json == NULL)
        return true;
    if (state->task_kind == TASK_SIGNAL)
        return plan_build_refuse(build, STATUS_INVALID, here,
                                 "a step that waits for a signal has no Compensate: nothing was "
                                 "done that could be compensated; leave it out");
    state->compensated = true;
    return plan_fields_check(build, json, &fields, here) &&
           plan_resource_compile_undo(build, json, here, &state->undo_resource, &function) &&
           plan_template_compile_arguments(build, json, here, function, false,
                                           &state->undo_arguments) &&
           plan_build_seconds(build, json, "TimeoutSeconds", here, &state->undo_timeout_ms) &&
           plan_retry_compile(build, json, here, &state->undo_retriers_first,
                              &state->undo_retriers_count) &&
           plan_catch_compile(build, json, here, &state->undo_catchers_first,
                              &state->undo_catchers_count);
}

bool plan_task_compile(struct plan_build *build, json_t *json, const struct place *at,
                       struct plan_state *state)
{
    assert(state->type == STATE_TASK);
    const char *function = NULL;
    return plan_resource_compile(build, json, at, state, &function) &&
           plan_build_result_path(build, json, at, &state->result_kind, &state->result_path) &&
           plan_build_flag(build, json, "Pivot", at, &state->pivot) &&
           compile_fire_and_forget(build, json, at, state) &&
           compile_templates(build, json, at, function, state) &&
           compile_times(build, json, at, state) && compile_compensate(build, json, at, state) &&
           plan_retry_compile(build, json, at, &state->retriers_first, &state->retriers_count) &&
           plan_catch_compile(build, json, at, &state->catchers_first, &state->catchers_count);
}
