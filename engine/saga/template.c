#include "engine/saga/template.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/cursor.h"
#include "engine/saga/sink.h"
#include "engine/saga/template_run.h"

/* ---- failures ------------------------------------------------------------------------------ */

/* What failed is no single part of the template. */
static const struct flyover_bytes no_text = {(const uint8_t *)"", 0};

bool template_fail(struct template_run *run, const char *name, struct flyover_bytes text,
                   const char *reason)
{
    struct template_failure *failure = run->failure;
    int text_bytes = text.count < TEMPLATE_QUOTE_BYTES ? (int)text.count : TEMPLATE_QUOTE_BYTES;
    failure->name = name;
    snprintf(failure->cause, sizeof failure->cause, "%.*s%s%s", text_bytes, (const char *)text.at,
             text_bytes == 0 ? "" : ": ", reason);
    return false;
}

static bool check_room(struct template_run *run)
{
    return !run->sink.overflowed ||
           template_fail(run, "States.DataLimitExceeded", no_text,
                         "what the template makes is larger than a payload may be");
}

static bool spend(struct template_run *run, const struct template_node *node, uint64_t bytes)
{
    run->work_bytes += bytes;
    return run->work_bytes <= TEMPLATE_WORK_BYTES ||
           template_fail(run, "States.DataLimitExceeded", node->text,
                         "the template has too many paths and functions for so large a payload");
}

/* ---- the context object -------------------------------------------------------------------- */

/* All texts in it are short: names, keys and tokens. */
#define CONTEXT_BYTES_MAX 1024u

static const struct {
    const char *group;
    const char *names[3];
} context_groups[] = {
    {"Execution", {"Id", "Name"}},
    {"State", {"Name", "RetryCount"}},
    {"StateMachine", {"Name"}},
    {"Task", {"IdempotencyKey", "Token"}},
};
#define CONTEXT_GROUPS_COUNT (sizeof context_groups / sizeof context_groups[0])

static bool is_text(struct flyover_bytes bytes, const char *text)
{
    return bytes.count == strlen(text) && memcmp(bytes.at, text, bytes.count) == 0;
}

bool template_context_has(const struct path_part *parts, uint32_t parts_count)
{
    if (parts_count == 0)
        return true;
    for (size_t i = 0; i < CONTEXT_GROUPS_COUNT; i++) {
        if (parts[0].kind != PATH_FIELD || !is_text(parts[0].field, context_groups[i].group))
            continue;
        for (size_t j = 0; j < 3 && parts_count == 2 && context_groups[i].names[j] != NULL; j++)
            if (parts[1].kind == PATH_FIELD && is_text(parts[1].field, context_groups[i].names[j]))
                return true;
        return parts_count == 1;
    }
    return false;
}

static void put_pair(struct sink *sink, const char *name, const char *text)
{
    sink_literal(sink, name);
    sink_literal(sink, text);
}

static struct flyover_bytes make_context(const struct template_context *context, uint8_t *room)
{
    char id[24];
    snprintf(id, sizeof id, "%" PRIu64, context->saga_id);
    struct sink sink = sink_into(room, CONTEXT_BYTES_MAX);
    sink_map(&sink, CONTEXT_GROUPS_COUNT);
    sink_literal(&sink, "Execution");
    sink_map(&sink, 2);
    put_pair(&sink, "Id", id);
    put_pair(&sink, "Name", id);
    sink_literal(&sink, "State");
    sink_map(&sink, 2);
    put_pair(&sink, "Name", context->state);
    sink_literal(&sink, "RetryCount");
    sink_int(&sink, (int64_t)context->attempt_no - 1);
    sink_literal(&sink, "StateMachine");
    sink_map(&sink, 1);
    put_pair(&sink, "Name", context->machine);
    sink_literal(&sink, "Task");
    sink_map(&sink, context->token == NULL ? 1 : 2);
    put_pair(&sink, "IdempotencyKey", context->key);
    if (context->token != NULL)
        put_pair(&sink, "Token", context->token);
    size_t bytes = sink_result(&sink);
    assert(bytes > 0);
    return (struct flyover_bytes){room, (uint32_t)bytes};
}

/* ---- values -------------------------------------------------------------------------------- */

static bool find(struct template_run *run, const struct template_node *node,
                 struct flyover_bytes in, struct flyover_bytes *ret_found)
{
    if (node->count > 0 && !spend(run, node, in.count))
        return false;
    return value_at_parts(in, node->parts, node->count, ret_found) ||
           template_fail(run, "States.ParameterPathFailure", node->text, "this path leads nowhere");
}

static bool emit_context(struct template_run *run, const struct template_node *node)
{
    uint8_t room[CONTEXT_BYTES_MAX];
    struct flyover_bytes found;
    if (!find(run, node, make_context(run->context, room), &found))
        return false;
    sink_bytes(&run->sink, found.at, found.count);
    return true;
}

static bool emit_path(struct template_run *run, const struct template_node *node)
{
    struct flyover_bytes found;
    if (!find(run, node, run->payload, &found))
        return false;
    sink_bytes(&run->sink, found.at, found.count);
    return true;
}

static bool emit(struct template_run *run, const struct template_node *node);

static bool emit_children(struct template_run *run, const struct template_node *node)
{
    const struct template_node *child = node + 1;
    for (uint32_t i = 0; i < node->count; i++, child += child->span) {
        if (node->op == TEMPLATE_MAP)
            sink_str(&run->sink, child->key);
        if (!emit(run, child))
            return false;
    }
    assert(child == node + node->span);
    return true;
}

/* What lies still is lent, the rest is made at the end of what there is. */
static bool find_argument(struct template_run *run, const struct template_node *node,
                          struct flyover_bytes *ret_value)
{
    if (node->op == TEMPLATE_PATH)
        return find(run, node, run->payload, ret_value);
    if (node->op == TEMPLATE_CONSTANT) {
        *ret_value = node->value;
        return true;
    }
    const uint8_t *start = run->sink.at;
    if (!emit(run, node) || !check_room(run))
        return false;
    *ret_value = (struct flyover_bytes){start, (uint32_t)(run->sink.at - start)};
    return true;
}

/* What a byte of an argument costs, against one that is only passed over. */
static uint64_t weight(enum template_function function)
{
    return function == TEMPLATE_FORMAT || function == TEMPLATE_JSON_TO_STRING ||
                   function == TEMPLATE_STRING_TO_JSON
               ? 32
               : 1;
}

/* The arguments first, then the result behind them, which then takes their place. */
static bool emit_call(struct template_run *run, const struct template_node *node)
{
    struct flyover_bytes arguments[TEMPLATE_ARGUMENTS_MAX];
    uint8_t *start = run->sink.at;
    const struct template_node *child = node + 1;
    assert(node->count <= TEMPLATE_ARGUMENTS_MAX);
    for (uint32_t i = 0; i < node->count; i++, child += child->span)
        if (!find_argument(run, child, &arguments[i]) ||
            !spend(run, node, weight(node->function) * arguments[i].count))
            return false;
    uint8_t *result = run->sink.at;
    if (!template_call(run, node, arguments) || !check_room(run))
        return false;
    size_t bytes = (size_t)(run->sink.at - result);
    memmove(start, result, bytes);
    run->sink.at = start + bytes;
    return true;
}

/* Calls itself no deeper than templates are nested: FLYOVER_DEPTH_MAX, and TEMPLATE_CALLS_MAX. */
static bool emit(struct template_run *run, const struct template_node *node)
{
    switch (node->op) {
    case TEMPLATE_CONSTANT: sink_bytes(&run->sink, node->value.at, node->value.count); return true;
    case TEMPLATE_PATH: return emit_path(run, node);
    case TEMPLATE_CONTEXT: return emit_context(run, node);
    case TEMPLATE_MAP: sink_map(&run->sink, node->count); return emit_children(run, node);
    case TEMPLATE_LIST: sink_array(&run->sink, node->count); return emit_children(run, node);
    case TEMPLATE_CALL: return emit_call(run, node);
    }
    assert(false && "a node of no kind");
    return false;
}

/* InputPath: what "$" is in the rest. */
static bool find_input(struct template_run *run, const struct template *template)
{
    if (!template->has_input)
        return true;
    struct flyover_bytes input;
    if (!find_argument(run, &template->input, &input))
        return false;
    run->payload = input;
    return true;
}

static bool is_payload(struct flyover_bytes value, uint32_t depth_max)
{
    struct flyover_cursor cursor = {value.at, value.at + value.count};
    return cursor_skip(&cursor, depth_max);
}

bool template_evaluate(const struct template *template, struct flyover_bytes payload,
                       const struct template_context *context, uint8_t *room,
                       struct flyover_bytes *ret_value, struct template_failure *ret_failure)
{
    assert(payload.count > 0 && template->nodes_count == template->nodes[0].span);
    bool is_in_room = payload.at == room;
    uint32_t taken = is_in_room ? payload.count : 0;
    struct template_run run = {
        .context = context,
        .payload = payload,
        .sink = sink_into(room + taken, TEMPLATE_ROOM_BYTES - taken),
        .failure = ret_failure,
    };
    if (!find_input(&run, template))
        return false;
    const uint8_t *start = run.sink.at;
    if (!emit(&run, &template->nodes[0]) || !check_room(&run))
        return false;
    struct flyover_bytes value = {start, (uint32_t)(run.sink.at - start)};
    uint32_t bytes_max = template->depth_max > FLYOVER_DEPTH_MAX ? TEMPLATE_WRAPPED_BYTES_MAX
                                                                 : FLYOVER_PAYLOAD_BYTES_MAX;
    if (value.count > bytes_max)
        return template_fail(&run, "States.DataLimitExceeded", no_text,
                             "what the template makes is larger than 262144 bytes");
    if (!is_payload(value, template->depth_max))
        return template_fail(&run, "States.DataLimitExceeded", no_text,
                             "what the template makes is nested more than 32 deep");
    *ret_value = value;
    return true;
}
