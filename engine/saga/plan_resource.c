#include <assert.h>
#include <string.h>

#include "engine/saga/plan_build.h"

static const char service_prefix[] = "service:";
static const char signal_prefix[] = "signal:";
static const char token_suffix[] = ".waitForTaskToken";

/* What a Resource says. */
struct parsed {
    enum task_kind kind;
    struct plan_resource handler; /* TASK_HANDLER, TASK_TOKEN */
    const char *signal;           /* TASK_SIGNAL: its name, in the definition */
    bool is_function;             /* TASK_HANDLER: the text is a Lambda function's ARN */
};

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Copies the name at `text`; false where it is empty, too long or no name. */
static bool copy_name(const char *text, size_t count, char ret_name[FLYOVER_NAME_BYTES_MAX + 1])
{
    if (!plan_build_is_name(text, count, false))
        return false;
    memcpy(ret_name, text, count);
    ret_name[count] = '\0';
    return true;
}

/* NAME.HANDLER or NAME.HANDLER.waitForTaskToken. Names have no dots, so the suffix is none. */
static bool parse_handler(const char *text, struct parsed *ret_parsed)
{
    const char *dot = strchr(text, '.');
    if (dot == NULL)
        return false;
    const char *suffix = strchr(dot + 1, '.');
    size_t handler_bytes = suffix == NULL ? strlen(dot + 1) : (size_t)(suffix - dot - 1);
    ret_parsed->kind = suffix == NULL ? TASK_HANDLER : TASK_TOKEN;
    return (suffix == NULL || strcmp(suffix, token_suffix) == 0) &&
           copy_name(text, (size_t)(dot - text), ret_parsed->handler.service) &&
           copy_name(dot + 1, handler_bytes, ret_parsed->handler.handler);
}

static bool parse(struct plan_build *build, const char *text, const struct place *at,
                  struct parsed *ret_parsed)
{
    if (starts_with(text, "arn:"))
        return plan_arn_parse(build, text, at, &ret_parsed->kind, &ret_parsed->handler,
                              &ret_parsed->is_function);
    if (starts_with(text, signal_prefix)) {
        ret_parsed->kind = TASK_SIGNAL;
        ret_parsed->signal = text + strlen(signal_prefix);
        return plan_build_is_name(ret_parsed->signal, strlen(ret_parsed->signal), true) ||
               plan_build_refuse(build, STATUS_INVALID, at,
                                 "\"%.80s\" is not of the form \"signal:NAME\", the name 1 to %u "
                                 "letters, digits, '-', '_' or '.'",
                                 text, FLYOVER_NAME_BYTES_MAX);
    }
    return (starts_with(text, service_prefix) &&
            parse_handler(text + strlen(service_prefix), ret_parsed)) ||
           plan_build_refuse(build, STATUS_INVALID, at,
                             "\"%.80s\" is not of the form \"service:NAME.HANDLER\", "
                             "\"service:NAME.HANDLER%s\", \"signal:NAME\" or an ARN, each name "
                             "1 to %u letters, digits, '-' or '_'",
                             text, token_suffix, FLYOVER_NAME_BYTES_MAX);
}

/* Each pair of service and handler stands once in the plan. */
static bool keep_handler(struct plan_build *build, const struct plan_resource *handler,
                         const struct place *at, uint16_t *ret_resource)
{
    struct plan *plan = build->plan;
    bool service_known = false;
    for (uint32_t i = 0; i < plan->resources_count; i++) {
        bool same_service = strcmp(plan->resources[i].service, handler->service) == 0;
        service_known = service_known || same_service;
        if (same_service && strcmp(plan->resources[i].handler, handler->handler) == 0) {
            *ret_resource = (uint16_t)i;
            return true;
        }
    }
    if (!service_known && ++build->services_count > PLAN_SERVICES_MAX)
        return plan_build_refuse(build, STATUS_TOO_LARGE, at,
                                 "is service number %u of this plan; at most %u may be named",
                                 build->services_count, PLAN_SERVICES_MAX);
    assert(plan->resources_count < build->capacity.resources);
    *ret_resource = (uint16_t)plan->resources_count;
    plan->resources[plan->resources_count++] = *handler;
    return true;
}

/* Each name stands once. */
static bool keep_signal(struct plan_build *build, const char *name, const struct place *at,
                        uint16_t *ret_signal)
{
    struct plan *plan = build->plan;
    struct flyover_bytes wanted = {.at = (const uint8_t *)name, .count = (uint32_t)strlen(name)};
    uint16_t signal = plan_find_signal(plan, wanted);
    if (signal == PLAN_NO_SIGNAL) {
        if (plan->signals_count == PLAN_SIGNALS_MAX)
            return plan_build_refuse(build, STATUS_TOO_LARGE, at,
                                     "is signal number %u of this plan; at most %u may be named",
                                     PLAN_SIGNALS_MAX + 1, PLAN_SIGNALS_MAX);
        signal = plan->signals_count++;
        plan->signals[signal] = plan_build_keep(build, name);
    }
    *ret_signal = signal;
    return true;
}

bool plan_resource_compile(struct plan_build *build, const json_t *task, const struct place *at,
                           struct plan_state *state, const char **ret_function)
{
    const struct place *here = PLACE_FIELD(at, "Resource");
    struct parsed parsed = {.signal = NULL};
    const char *text = NULL;
    if (!plan_build_text(build, task, "Resource", at, &text) || !parse(build, text, here, &parsed))
        return false;
    state->task_kind = parsed.kind;
    *ret_function = parsed.is_function ? text : NULL;
    if (parsed.kind != TASK_SIGNAL)
        return keep_handler(build, &parsed.handler, here, &state->resource);
    state->resource = 0;
    return keep_signal(build, parsed.signal, here, &state->signal);
}

bool plan_resource_compile_undo(struct plan_build *build, const json_t *compensate,
                                const struct place *at, uint16_t *ret_resource,
                                const char **ret_function)
{
    const struct place *here = PLACE_FIELD(at, "Resource");
    struct parsed parsed = {.signal = NULL};
    const char *text = NULL;
    if (!plan_build_text(build, compensate, "Resource", at, &text) ||
        !parse(build, text, here, &parsed))
        return false;
    if (parsed.kind == TASK_SIGNAL)
        return plan_build_refuse(build, STATUS_INVALID, here,
                                 "a compensation cannot be a signal: waiting for one undoes "
                                 "nothing; name a handler as \"service:NAME.HANDLER\"");
    if (parsed.kind == TASK_TOKEN)
        return plan_build_refuse(build, STATUS_INVALID, here,
                                 "a compensation cannot wait for a task token: it is done when its "
                                 "handler answers; leave \"%s\" out",
                                 token_suffix);
    *ret_function = parsed.is_function ? text : NULL;
    return keep_handler(build, &parsed.handler, here, ret_resource);
}
