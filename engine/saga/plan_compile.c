/*
 * The way of a definition: its size, jansson (duplicates refused), a count of what it holds, one
 * block for all of it, the names of the states, each state, and then the ways between them.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/nearest.h"
#include "engine/saga/plan_build.h"

#define STATE_TYPES "Task, Wait, Pass, Choice, Succeed and Fail"

/* ---- the block ----------------------------------------------------------------------------- */

static uint32_t count_list(const json_t *list, uint32_t count_max)
{
    size_t count = json_array_size(list);
    return count < count_max ? (uint32_t)count : count_max;
}

/* Entries of a Retry or a Catch and the names in their ErrorEquals. */
static void count_handlers(const json_t *list, uint32_t count_max, uint32_t *handlers,
                           uint32_t *errors)
{
    uint32_t count = count_list(list, count_max);
    *handlers += count;
    for (uint32_t i = 0; i < count; i++)
        *errors +=
            count_list(json_object_get(json_array_get(list, i), "ErrorEquals"), PLAN_ERRORS_MAX);
}

static uint32_t count_rules(const json_t *rule, uint32_t depth)
{
    uint32_t count = 1;
    if (depth == PLAN_RULE_DEPTH_MAX)
        return count;
    static const char *const lists[] = {"And", "Or"};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        const json_t *list = json_object_get(rule, lists[i]);
        for (size_t j = 0; j < json_array_size(list); j++)
            count += count_rules(json_array_get(list, j), depth + 1);
    }
    const json_t *inner = json_object_get(rule, "Not");
    return inner == NULL ? count : count + count_rules(inner, depth + 1);
}

/* Counts before anything is checked: what is not of its type counts nothing, and what is over its
 * limit counts no more than the limit, since it will be refused. */
static struct plan_capacity count_all(json_t *states)
{
    struct plan_capacity capacity = {.states = (uint32_t)json_object_size(states)};
    capacity.resources = 2 * capacity.states;
    const char *name;
    json_t *state;
    json_object_foreach(states, name, state)
    {
        const json_t *undo = json_object_get(state, "Compensate");
        const json_t *choices = json_object_get(state, "Choices");
        count_handlers(json_object_get(state, "Retry"), PLAN_RETRIERS_MAX, &capacity.retriers,
                       &capacity.errors);
        count_handlers(json_object_get(undo, "Retry"), PLAN_RETRIERS_MAX, &capacity.retriers,
                       &capacity.errors);
        count_handlers(json_object_get(state, "Catch"), PLAN_CATCHERS_MAX, &capacity.catchers,
                       &capacity.errors);
        count_handlers(json_object_get(undo, "Catch"), PLAN_CATCHERS_MAX, &capacity.catchers,
                       &capacity.errors);
        plan_template_count(state, &capacity);
        for (size_t i = 0; i < json_array_size(choices); i++)
            capacity.rules += count_rules(json_array_get(choices, i), 0);
    }
    if (capacity.rules > PLAN_RULES_MAX)
        capacity.rules = PLAN_RULES_MAX;
    capacity.choices = capacity.rules;
    return capacity;
}

/* Takes `count` entries from the block, or only counts them while there is none. */
static void *take(uint8_t *block, size_t *used_bytes, size_t count, size_t entry_bytes)
{
    size_t start = *used_bytes;
    *used_bytes += (count * entry_bytes + 15) / 16 * 16;
    return block == NULL ? NULL : block + start;
}

static size_t lay_out(struct plan_build *build, uint8_t *block, size_t text_bytes)
{
    const struct plan_capacity *capacity = &build->capacity;
    size_t used = 0;
    struct plan *plan = take(block, &used, 1, sizeof *plan);
    struct plan arrays = {
        .states = take(block, &used, capacity->states, sizeof *arrays.states),
        .resources = take(block, &used, capacity->resources, sizeof *arrays.resources),
        .retriers = take(block, &used, capacity->retriers, sizeof *arrays.retriers),
        .catchers = take(block, &used, capacity->catchers, sizeof *arrays.catchers),
        .rules = take(block, &used, capacity->rules, sizeof *arrays.rules),
        .choices = take(block, &used, capacity->choices, sizeof *arrays.choices),
        .errors = take(block, &used, capacity->errors, sizeof *arrays.errors),
        .templates = take(block, &used, capacity->templates, sizeof *arrays.templates),
        .template_nodes =
            take(block, &used, capacity->template_nodes, sizeof *arrays.template_nodes),
        .template_parts =
            take(block, &used, capacity->template_parts, sizeof *arrays.template_parts),
    };
    build->text_next = take(block, &used, text_bytes, 1);
    build->text_end = block == NULL ? NULL : build->text_next + text_bytes;
    build->plan = plan;
    if (plan != NULL)
        *plan = arrays;
    return used;
}

/* Texts take no more than they do in JSON; a constant takes at most three times as much: the real
 * 1.0 is three letters there and nine bytes here; and in a function it is kept as text too. */
static bool take_block(struct plan_build *build, json_t *states, size_t definition_bytes)
{
    build->capacity = count_all(states);
    size_t text_bytes = 4 * definition_bytes;
    size_t block_bytes = lay_out(build, NULL, text_bytes);
    uint8_t *block = calloc(1, block_bytes);
    if (block == NULL)
        return plan_build_refuse(build, STATUS_NO_MEMORY, NULL,
                                 "there are no %zu bytes of memory for the plan", block_bytes);
    lay_out(build, block, text_bytes);
    return true;
}

/* ---- states -------------------------------------------------------------------------------- */

static bool has_control_character(const char *text)
{
    for (; *text != '\0'; text++)
        if ((uint8_t)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

/* All names first: a Next may name a state that stands further down. */
static bool name_states(struct plan_build *build, json_t *states, const struct place *at)
{
    const char *name;
    json_t *json;
    json_object_foreach(states, name, json)
    {
        size_t count = strlen(name);
        if (count == 0 || count > PLAN_NAME_BYTES_MAX)
            return plan_build_refuse(build, STATUS_INVALID, PLACE_FIELD(at, name),
                                     "the name of a state has 1 to %u bytes, this one has %zu",
                                     PLAN_NAME_BYTES_MAX, count);
        if (has_control_character(name))
            return plan_build_refuse(build, STATUS_INVALID, PLACE_FIELD(at, name),
                                     "the name of a state has no control characters");
        struct plan_state *state = &build->plan->states[build->plan->states_count++];
        memcpy(state->name, name, count + 1);
        state->next = state->default_next = PLAN_NO_STATE;
        state->resource = state->undo_resource = PLAN_NO_HANDLER;
        state->signal = PLAN_NO_SIGNAL;
        state->arguments = state->selector = state->undo_arguments = PLAN_NO_TEMPLATE;
    }
    return true;
}

static const struct {
    const char *name;
    struct plan_fields fields;
} state_types[] = {
    [STATE_TASK] = {"Task",
                    {"a Task state",
                     (const char *const[]){"Type", "Comment", "Resource", "Compensate", "Retry",
                                           "Catch", "TimeoutSeconds", "HeartbeatSeconds", "Pivot",
                                           "FireAndForget", "InputPath", "Parameters",
                                           "ResultSelector", "ResultPath", "Next", "End", NULL}}},
    [STATE_PASS] = {"Pass",
                    {"a Pass state", (const char *const[]){"Type", "Comment", "Result",
                                                           "ResultPath", "Next", "End", NULL}}},
    [STATE_CHOICE] = {"Choice",
                      {"a Choice state",
                       (const char *const[]){"Type", "Comment", "Choices", "Default", NULL}}},
    [STATE_SUCCEED] = {"Succeed",
                       {"a Succeed state", (const char *const[]){"Type", "Comment", NULL}}},
    [STATE_FAIL] = {"Fail",
                    {"a Fail state",
                     (const char *const[]){"Type", "Comment", "Error", "Cause", NULL}}},
    [STATE_WAIT] = {"Wait",
                    {"a Wait state",
                     (const char *const[]){"Type", "Comment", "Seconds", "SecondsPath", "Timestamp",
                                           "TimestampPath", "Next", "End", NULL}}},
};
#define STATE_TYPES_COUNT (sizeof state_types / sizeof state_types[0])

static bool read_type(struct plan_build *build, const json_t *json, const struct place *at,
                      enum state_type *ret_type)
{
    static const char *const later[] = {"Parallel", "Map"};
    const struct place *here = PLACE_FIELD(at, "Type");
    const char *text = NULL;
    if (!plan_build_text(build, json, "Type", at, &text))
        return false;
    struct nearest nearest = nearest_to(text);
    for (size_t i = 0; i < STATE_TYPES_COUNT; i++) {
        if (strcmp(state_types[i].name, text) == 0) {
            *ret_type = (enum state_type)i;
            return true;
        }
        nearest_offer(&nearest, state_types[i].name);
    }
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++)
        if (strcmp(later[i], text) == 0)
            return plan_build_refuse(build, STATUS_UNSUPPORTED, here,
                                     "%s states are not supported yet; there are " STATE_TYPES,
                                     text);
    char hint[NEAREST_HINT_BYTES];
    nearest_hint(&nearest, "", hint);
    return plan_build_refuse(build, STATUS_INVALID, here,
                             "there is no type \"%.80s\"; there are " STATE_TYPES "%s", text, hint);
}

/* Where a Task, a Wait or a Pass goes on. */
static bool compile_next(struct plan_build *build, const json_t *json, const struct place *at,
                         struct plan_state *state)
{
    const json_t *end = json_object_get(json, "End");
    bool next_given = json_object_get(json, "Next") != NULL;
    if (end != NULL && !json_is_true(end))
        return plan_build_refuse(build, STATUS_INVALID, PLACE_FIELD(at, "End"),
                                 "must be true; leave it out where the saga goes on");
    if (end != NULL && next_given)
        return plan_build_refuse(build, STATUS_INVALID, at,
                                 "has both Next and End; leave out one of them");
    if (end == NULL && !next_given)
        return plan_build_refuse(
            build, STATUS_INVALID, at,
            "has neither Next nor End; name the state that follows in Next, or "
            "say \"End\": true");
    return end != NULL || plan_build_state(build, json, "Next", at, &state->next);
}

static bool compile_pass(struct plan_build *build, json_t *json, const struct place *at,
                         struct plan_state *state)
{
    json_t *result = json_object_get(json, "Result");
    state->has_result = result != NULL;
    return plan_build_result_path(build, json, at, &state->result_kind, &state->result_path) &&
           (result == NULL ||
            plan_constant_encode(build, result, PLACE_FIELD(at, "Result"), &state->result));
}

static bool compile_fail(struct plan_build *build, const json_t *json, const struct place *at,
                         struct plan_state *state)
{
    const char *text = "";
    if (json_object_get(json, "Error") != NULL) {
        if (!plan_build_text(build, json, "Error", at, &text) ||
            !plan_build_check_error_name(build, text, PLACE_FIELD(at, "Error")))
            return false;
        state->error = plan_build_keep(build, text);
    }
    if (json_object_get(json, "Cause") != NULL) {
        if (!plan_build_text(build, json, "Cause", at, &text))
            return false;
        if (strlen(text) > FLYOVER_ERROR_CAUSE_BYTES_MAX)
            return plan_build_refuse(build, STATUS_TOO_LARGE, PLACE_FIELD(at, "Cause"),
                                     "has %zu bytes; a cause has at most %u", strlen(text),
                                     FLYOVER_ERROR_CAUSE_BYTES_MAX);
        state->cause = plan_build_keep(build, text);
    }
    return true;
}

static bool check_state_fields(struct plan_build *build, json_t *json, enum state_type type,
                               const struct place *at)
{
    bool goes_on = type == STATE_TASK || type == STATE_WAIT || type == STATE_PASS;
    const char *field = json_object_get(json, "Next") != NULL  ? "Next"
                        : json_object_get(json, "End") != NULL ? "End"
                                                               : NULL;
    if (goes_on || field == NULL)
        return plan_fields_check(build, json, &state_types[type].fields, at);
    return plan_build_refuse(
        build, STATUS_INVALID, PLACE_FIELD(at, field),
        type == STATE_CHOICE ? "a %s state has no %s; its Choices and its Default say what follows"
                             : "a %s state has no %s; the saga ends there by itself",
        state_types[type].name, field);
}

static bool compile_state(struct plan_build *build, json_t *json, const struct place *at,
                          struct plan_state *state)
{
    if (!json_is_object(json))
        return plan_build_refuse(build, STATUS_INVALID, at, "a state must be an object, not %s",
                                 plan_build_kind(json));
    if (!read_type(build, json, at, &state->type) ||
        !check_state_fields(build, json, state->type, at))
        return false;
    switch (state->type) {
    case STATE_TASK:
        return plan_task_compile(build, json, at, state) && compile_next(build, json, at, state);
    case STATE_PASS:
        return compile_pass(build, json, at, state) && compile_next(build, json, at, state);
    case STATE_WAIT:
        return plan_wait_compile(build, json, at, state) && compile_next(build, json, at, state);
    case STATE_CHOICE: return plan_rule_compile(build, json, at, state);
    case STATE_FAIL: return compile_fail(build, json, at, state);
    case STATE_SUCCEED: return true;
    }
    assert(false && "a state of no type");
    return false;
}

static bool compile_states(struct plan_build *build, json_t *states, const struct place *at)
{
    uint32_t i = 0;
    const char *name;
    json_t *json;
    json_object_foreach(states, name, json)
    {
        if (!compile_state(build, json, PLACE_FIELD(at, name), &build->plan->states[i++]))
            return false;
    }
    assert(i == build->plan->states_count);
    return true;
}

/* ---- the definition ------------------------------------------------------------------------ */

static bool check_states(struct plan_build *build, const json_t *states, const struct place *at)
{
    if (states == NULL)
        return plan_build_refuse(build, STATUS_INVALID, NULL,
                                 "there is no States, which must be here");
    if (!json_is_object(states))
        return plan_build_refuse(build, STATUS_INVALID, at, "must be an object, not %s",
                                 plan_build_kind(states));
    size_t count = json_object_size(states);
    if (count == 0)
        return plan_build_refuse(build, STATUS_INVALID, at, "must name one state or more");
    if (count > PLAN_STATES_MAX)
        return plan_build_refuse(build, STATUS_TOO_LARGE, at,
                                 "has %zu states; a plan has at most %u", count, PLAN_STATES_MAX);
    return true;
}

static bool check_version(struct plan_build *build, const json_t *root)
{
    const char *version = "1.0";
    if (json_object_get(root, "Version") != NULL &&
        !plan_build_text(build, root, "Version", NULL, &version))
        return false;
    if (strcmp(version, "1.0") != 0)
        return plan_build_refuse(build, STATUS_UNSUPPORTED, PLACE_FIELD(NULL, "Version"),
                                 "version \"%.80s\" is not supported; there is \"1.0\"", version);
    return true;
}

/* Compensation: whether what was done is compensated one by one or all at once. */
static bool read_order(struct plan_build *build, const json_t *root, bool *ret_parallel)
{
    static const char *const names[] = {"Comment", "Order", NULL};
    static const struct plan_fields fields = {"a Compensation", names};
    json_t *json = json_object_get(root, "Compensation");
    const struct place *here = PLACE_FIELD(NULL, "Compensation");
    const char *text = NULL;
    if (json == NULL)
        return true;
    if (!plan_fields_check(build, json, &fields, here) ||
        !plan_build_text(build, json, "Order", here, &text))
        return false;
    if (strcmp(text, "Reverse") != 0 && strcmp(text, "Parallel") != 0)
        return plan_build_refuse(build, STATUS_INVALID, PLACE_FIELD(here, "Order"),
                                 "must be \"Reverse\" or \"Parallel\", not \"%.80s\"", text);
    *ret_parallel = strcmp(text, "Parallel") == 0;
    return true;
}

static uint16_t count_undo_branches(const struct plan *plan, bool parallel)
{
    uint16_t compensated = 0;
    for (uint32_t i = 0; i < plan->states_count; i++)
        compensated = (uint16_t)(compensated + plan->states[i].compensated);
    if (!parallel || compensated == 0)
        return 1;
    return compensated < PLAN_UNDO_BRANCHES_MAX ? compensated : PLAN_UNDO_BRANCHES_MAX;
}

static bool compile_root(struct plan_build *build, json_t *root, size_t text_bytes)
{
    static const char *const names[] = {"Comment",        "StartAt",      "States", "Version",
                                        "TimeoutSeconds", "Compensation", NULL};
    static const struct plan_fields fields = {"a definition", names};
    json_t *states = json_object_get(root, "States");
    const struct place *at = PLACE_FIELD(NULL, "States");
    const char *start = NULL;
    uint64_t timeout_ms = 0;
    bool parallel = false;
    if (!plan_fields_check(build, root, &fields, NULL) || !check_version(build, root) ||
        !plan_build_seconds(build, root, "TimeoutSeconds", NULL, &timeout_ms) ||
        !read_order(build, root, &parallel) ||
        !plan_build_text(build, root, "StartAt", NULL, &start) ||
        !check_states(build, states, at) || !take_block(build, states, text_bytes) ||
        !name_states(build, states, at) ||
        !plan_build_state(build, root, "StartAt", NULL, &build->plan->start) ||
        !compile_states(build, states, at))
        return false;
    build->plan->timeout_ms = timeout_ms;
    build->plan->undo_branches = count_undo_branches(build->plan, parallel);
    return plan_graph_check(build);
}

static bool check_name(struct plan_build *build, const char *name)
{
    if (!plan_build_is_name(name, strlen(name), true))
        return plan_build_refuse(build, STATUS_INVALID, NULL,
                                 "\"%.80s\" cannot name a definition; a name has 1 to %u letters, "
                                 "digits, '-', '_' or '.'",
                                 name, FLYOVER_NAME_BYTES_MAX);
    return true;
}

/* What jansson found, in front of its own words for where. */
static const char *describe_json_error(enum json_error_code code)
{
    if (code == json_error_duplicate_key)
        return "a name stands twice in one object";
    if (code == json_error_invalid_utf8)
        return "not UTF-8";
    if (code == json_error_numeric_overflow)
        return "a number is too large";
    if (code == json_error_stack_overflow)
        return "nested too deep";
    return "not JSON";
}

static enum status refuse_json(struct plan_build *build, const json_error_t *error)
{
    enum json_error_code code = json_error_code(error);
    /* jansson has a text for every fault of the JSON, and none where an allocation failed. */
    if (code == json_error_out_of_memory || error->text[0] == '\0')
        return problem_set(build->problem, STATUS_NO_MEMORY, "%s: there is no memory to read it",
                           build->source);
    bool has_nul = code == json_error_null_character || code == json_error_null_byte_in_key;
    problem_set(build->problem, STATUS_INVALID, "%s:%d:%d: %s: %s", build->source, error->line,
                error->column, has_nul ? "a text may not hold \\u0000" : describe_json_error(code),
                has_nul ? "leave it out" : error->text);
    if (build->problem != NULL)
        plan_build_tidy(build->problem->text);
    return STATUS_INVALID;
}

enum status plan_compile(const char *name, const char *source, const char *text, size_t text_bytes,
                         struct plan **ret_plan, struct problem *problem)
{
    assert(name != NULL && source != NULL && text != NULL && ret_plan != NULL);
    struct plan_build build = {.source = source, .problem = problem, .status = STATUS_OK};
    if (!check_name(&build, name))
        return build.status;
    if (text_bytes > PLAN_DEFINITION_BYTES_MAX)
        return problem_set(problem, STATUS_TOO_LARGE,
                           "%s: has %zu bytes; a definition has at most %u", source, text_bytes,
                           PLAN_DEFINITION_BYTES_MAX);
    json_error_t error;
    json_t *root = json_loadb(text, text_bytes, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        return refuse_json(&build, &error);

    bool fine = compile_root(&build, root, text_bytes);
    json_decref(root);
    if (!fine) {
        plan_free(build.plan);
        return build.status;
    }
    memcpy(build.plan->name, name, strlen(name) + 1);
    *ret_plan = build.plan;
    return STATUS_OK;
}
