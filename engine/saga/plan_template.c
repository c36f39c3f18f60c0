#include <assert.h>
#include <string.h>

#include "engine/base/cursor.h"
#include "engine/saga/plan_build.h"

#define DYNAMIC_SUFFIX ".$"
/* Of the arguments of a function: the map, its name, and a payload that is the input. */
#define FUNCTION_NODES 3u

static bool is_dynamic(const char *name)
{
    size_t count = strlen(name), suffix = strlen(DYNAMIC_SUFFIX);
    return count >= suffix && strcmp(name + count - suffix, DYNAMIC_SUFFIX) == 0;
}

/* ---- counting ------------------------------------------------------------------------------ */

/* A path has a part for each dot or bracket, a function an argument for its bracket and each
 * comma. */
static void count_text(const char *text, struct plan_capacity *capacity)
{
    for (; text != NULL && *text != '\0'; text++) {
        capacity->template_parts += *text == '.' || *text == '[';
        capacity->template_nodes += *text == ',' || *text == '(';
    }
}

static void count_value(json_t *json, uint32_t depth, struct plan_capacity *capacity)
{
    const char *name;
    json_t *member;
    capacity->template_nodes++;
    if (depth > FLYOVER_DEPTH_MAX)
        return;
    for (size_t i = 0; i < json_array_size(json); i++)
        count_value(json_array_get(json, i), depth + 1, capacity);
    json_object_foreach(json, name, member)
    {
        if (is_dynamic(name))
            count_text(json_string_value(member), capacity);
        count_value(member, depth + 1, capacity);
    }
}

static uint32_t least(uint32_t left, uint32_t right)
{
    return left < right ? left : right;
}

static void count_template(json_t *template, const char *path, struct plan_capacity *capacity)
{
    struct plan_capacity one = {.template_nodes = FUNCTION_NODES};
    if (template != NULL)
        count_value(template, 1, &one);
    count_text(path, &one);
    capacity->templates++;
    capacity->template_nodes += least(one.template_nodes, TEMPLATE_NODES_MAX);
    capacity->template_parts +=
        least(one.template_parts, (TEMPLATE_NODES_MAX + 1) * PATH_PARTS_MAX);
}

static void count_holder(const json_t *holder, struct plan_capacity *capacity)
{
    json_t *parameters = json_object_get(holder, "Parameters");
    json_t *selector = json_object_get(holder, "ResultSelector");
    const json_t *input_path = json_object_get(holder, "InputPath");
    const char *resource = json_string_value(json_object_get(holder, "Resource"));
    bool is_arn = resource != NULL && strncmp(resource, "arn:", strlen("arn:")) == 0;
    if (parameters != NULL || input_path != NULL || is_arn)
        count_template(parameters, json_string_value(input_path), capacity);
    if (selector != NULL)
        count_template(selector, NULL, capacity);
}

void plan_template_count(const json_t *state, struct plan_capacity *capacity)
{
    count_holder(state, capacity);
    count_holder(json_object_get(state, "Compensate"), capacity);
}

/* ---- nodes --------------------------------------------------------------------------------- */

bool plan_template_take(struct plan_build *build, const struct place *at,
                        struct template_node **ret_node)
{
    struct plan *plan = build->plan;
    if (plan->template_nodes_count - build->template_first == TEMPLATE_NODES_MAX)
        return plan_build_refuse(build, STATUS_TOO_LARGE, at,
                                 "there are more than %u values, paths and functions in this "
                                 "template; make it smaller, or give the rest as it is",
                                 TEMPLATE_NODES_MAX);
    assert(plan->template_nodes_count < build->capacity.template_nodes);
    *ret_node = &plan->template_nodes[plan->template_nodes_count++];
    (*ret_node)->span = 1;
    return true;
}

static bool refuse_context(struct plan_build *build, struct flyover_bytes text,
                           const struct place *at)
{
    return plan_build_refuse(build, STATUS_UNSUPPORTED, at,
                             "the context object has no \"%.*s\"; it has $$.Execution.Id, "
                             "$$.Execution.Name, $$.State.Name, $$.State.RetryCount, "
                             "$$.StateMachine.Name, $$.Task.IdempotencyKey and, with "
                             ".waitForTaskToken, $$.Task.Token",
                             (int)least(text.count, 100), (const char *)text.at);
}

static bool leads_to_token(const struct template_node *node)
{
    return node->count == 2 && node->parts[1].field.count == strlen("Token") &&
           memcmp(node->parts[1].field.at, "Token", strlen("Token")) == 0;
}

static bool check_context(struct plan_build *build, const struct template_node *node,
                          const struct place *at, bool by_token)
{
    if (!template_context_has(node->parts, node->count))
        return refuse_context(build, node->text, at);
    if (leads_to_token(node) && !by_token)
        return plan_build_refuse(build, STATUS_INVALID, at,
                                 "there is no $$.Task.Token, since this step does not wait for "
                                 "one; end its Resource with \".waitForTaskToken\", or leave the "
                                 "token out");
    return true;
}

bool plan_template_path(struct plan_build *build, struct flyover_bytes text, const struct place *at,
                        bool by_token, struct template_node *node)
{
    struct plan *plan = build->plan;
    bool is_context = text.count >= 2 && memcmp(text.at, "$$", 2) == 0;
    const char *path_text = (const char *)text.at + is_context;
    size_t path_bytes = text.count - is_context;
    struct path path;
    struct problem problem = {.text = ""};
    assert(path_bytes <= (size_t)(build->text_end - build->text_next));
    enum status status = path_compile(path_text, path_bytes, build->text_next, &path, &problem);
    if (status != STATUS_OK)
        return plan_build_refuse(build, status, at, "%.600s", problem.text);
    build->text_next += path_bytes;
    assert(plan->template_parts_count + path.parts_count <= build->capacity.template_parts);
    struct path_part *parts = &plan->template_parts[plan->template_parts_count];
    plan->template_parts_count += path.parts_count;
    memcpy(parts, path.parts, path.parts_count * sizeof *parts);
    node->op = is_context ? TEMPLATE_CONTEXT : TEMPLATE_PATH;
    node->parts = parts;
    node->count = path.parts_count;
    node->text = text;
    return !is_context || check_context(build, node, at, by_token);
}

/* ---- Parameters, ResultSelector ------------------------------------------------------------ */

static bool is_too_deep(json_t *json, uint32_t depth)
{
    const char *name;
    json_t *member;
    if (!json_is_object(json) && !json_is_array(json))
        return false;
    if (depth == FLYOVER_DEPTH_MAX)
        return true;
    for (size_t i = 0; i < json_array_size(json); i++)
        if (is_too_deep(json_array_get(json, i), depth + 1))
            return true;
    json_object_foreach(json, name, member)
    {
        if (is_too_deep(member, depth + 1))
            return true;
    }
    return false;
}

static bool has_dynamic(json_t *json)
{
    const char *name;
    json_t *member;
    for (size_t i = 0; i < json_array_size(json); i++)
        if (has_dynamic(json_array_get(json, i)))
            return true;
    json_object_foreach(json, name, member)
    {
        if (is_dynamic(name) || has_dynamic(member))
            return true;
    }
    return false;
}

static bool compile_value(struct plan_build *build, json_t *json, const struct place *at,
                          bool by_token, struct template_node **ret_node);

static bool compile_dynamic(struct plan_build *build, const json_t *json, const struct place *at,
                            bool by_token, struct template_node **ret_node)
{
    if (!json_is_string(json))
        return plan_build_refuse(build, STATUS_INVALID, at,
                                 "a field whose name ends in \".$\" must be a string with a path "
                                 "or a function, not %s; for a value as it is leave \".$\" out",
                                 plan_build_kind(json));
    return plan_intrinsic_compile(build, json_string_value(json), at, by_token, ret_node);
}

static bool compile_member(struct plan_build *build, const json_t *object, const char *name,
                           json_t *member, const struct place *at, bool by_token)
{
    const struct place *here = PLACE_FIELD(at, name);
    struct template_node *node = NULL;
    struct flyover_bytes key = plan_build_keep(build, name);
    if (!is_dynamic(name)) {
        if (!compile_value(build, member, here, by_token, &node))
            return false;
        node->key = key;
        return true;
    }
    key.count -= (uint32_t)strlen(DYNAMIC_SUFFIX);
    if (json_object_getn(object, name, key.count) != NULL)
        return plan_build_refuse(build, STATUS_INVALID, here,
                                 "the field is there with \".$\" and without it; leave one out");
    if (!compile_dynamic(build, member, here, by_token, &node))
        return false;
    node->key = key;
    return true;
}

static bool compile_children(struct plan_build *build, json_t *json, const struct place *at,
                             bool by_token)
{
    const char *name;
    json_t *member;
    struct template_node *ignored;
    for (size_t i = 0; i < json_array_size(json); i++)
        if (!compile_value(build, json_array_get(json, i), PLACE_INDEX(at, i), by_token, &ignored))
            return false;
    json_object_foreach(json, name, member)
    {
        if (!compile_member(build, json, name, member, at, by_token))
            return false;
    }
    return true;
}

/* What holds no path and no function is one constant. Calls itself no deeper than is_too_deep
 * allows. */
static bool compile_value(struct plan_build *build, json_t *json, const struct place *at,
                          bool by_token, struct template_node **ret_node)
{
    const struct plan *plan = build->plan;
    uint32_t first = plan->template_nodes_count;
    struct template_node *node = NULL;
    if (!plan_template_take(build, at, &node))
        return false;
    *ret_node = node;
    if (!has_dynamic(json))
        return plan_constant_encode(build, json, at, &node->value);
    bool is_map = json_is_object(json);
    node->op = is_map ? TEMPLATE_MAP : TEMPLATE_LIST;
    node->count = (uint32_t)(is_map ? json_object_size(json) : json_array_size(json));
    if (!compile_children(build, json, at, by_token))
        return false;
    node->span = plan->template_nodes_count - first;
    return true;
}

static bool compile_root(struct plan_build *build, json_t *json, const struct place *at,
                         bool by_token, struct template_node **ret_node)
{
    if (!json_is_object(json))
        return plan_build_refuse(build, STATUS_INVALID, at, "must be an object, not %s",
                                 plan_build_kind(json));
    if (is_too_deep(json, 0))
        return plan_build_refuse(build, STATUS_TOO_LARGE, at,
                                 "is nested more than %u deep; a payload has to be flatter",
                                 FLYOVER_DEPTH_MAX);
    return compile_value(build, json, at, by_token, ret_node);
}

static struct template *begin(struct plan_build *build)
{
    struct plan *plan = build->plan;
    assert(plan->templates_count < build->capacity.templates);
    struct template *template = &plan->templates[plan->templates_count++];
    build->template_first = plan->template_nodes_count;
    template->nodes = &plan->template_nodes[plan->template_nodes_count];
    template->depth_max = FLYOVER_DEPTH_MAX;
    return template;
}

static uint16_t end(const struct plan_build *build, struct template *template)
{
    const struct plan *plan = build->plan;
    template->nodes_count = plan->template_nodes_count - build->template_first;
    assert(template->nodes_count == template->nodes[0].span);
    return (uint16_t)(plan->templates_count - 1);
}

static struct flyover_bytes static_text(const char *text)
{
    return (struct flyover_bytes){(const uint8_t *)text, (uint32_t)strlen(text)};
}

/* null: nothing of the state's input. */
static bool compile_input(struct plan_build *build, const json_t *holder, const struct place *at,
                          bool by_token, struct template *template)
{
    static const uint8_t empty_map[] = {0x80};
    const json_t *json = json_object_get(holder, "InputPath");
    const char *text = NULL;
    template->has_input = json != NULL;
    template->input.span = 1;
    if (json == NULL)
        return true;
    if (json_is_null(json)) {
        template->input.value = (struct flyover_bytes){empty_map, sizeof empty_map};
        return true;
    }
    return plan_build_text(build, holder, "InputPath", at, &text) &&
           plan_template_path(build, plan_build_keep(build, text), PLACE_FIELD(at, "InputPath"),
                              by_token, &template->input);
}

static bool compile_body(struct plan_build *build, const json_t *holder, const struct place *at,
                         bool by_token, struct template_node **ret_node)
{
    json_t *json = json_object_get(holder, "Parameters");
    if (json != NULL)
        return compile_root(build, json, PLACE_FIELD(at, "Parameters"), by_token, ret_node);
    return plan_template_take(build, at, ret_node) &&
           plan_template_path(build, static_text("$"), at, by_token, *ret_node);
}

/* {"FunctionName": ARN, "Payload": what the rest says} */
static bool compile_function(struct plan_build *build, const json_t *holder, const struct place *at,
                             const char *function)
{
    struct template_node *root = NULL, *name = NULL, *payload = NULL;
    json_t *json = json_string(function);
    bool fine = json != NULL ? plan_template_take(build, at, &root) &&
                                   plan_template_take(build, at, &name) &&
                                   plan_constant_encode(build, json, at, &name->value) &&
                                   compile_body(build, holder, at, false, &payload)
                             : plan_build_refuse(build, STATUS_NO_MEMORY, at, "out of memory");
    json_decref(json);
    if (!fine)
        return false;
    name->key = static_text("FunctionName");
    payload->key = static_text("Payload");
    root->op = TEMPLATE_MAP;
    root->count = 2;
    root->span = build->plan->template_nodes_count - build->template_first;
    return true;
}

bool plan_template_compile_arguments(struct plan_build *build, const json_t *holder,
                                     const struct place *at, const char *function, bool by_token,
                                     uint16_t *ret_template)
{
    struct template_node *root = NULL;
    if (json_object_get(holder, "Parameters") == NULL &&
        json_object_get(holder, "InputPath") == NULL && function == NULL)
        return true;
    struct template *template = begin(build);
    if (function != NULL)
        template->depth_max = CURSOR_DEPTH_MAX;
    if (!compile_input(build, holder, at, by_token, template) ||
        !(function == NULL ? compile_body(build, holder, at, by_token, &root)
                           : compile_function(build, holder, at, function)))
        return false;
    *ret_template = end(build, template);
    return true;
}

bool plan_template_compile_selector(struct plan_build *build, const json_t *holder,
                                    const struct place *at, bool by_token, uint16_t *ret_template)
{
    json_t *json = json_object_get(holder, "ResultSelector");
    struct template_node *root = NULL;
    if (json == NULL)
        return true;
    struct template *template = begin(build);
    if (!compile_root(build, json, PLACE_FIELD(at, "ResultSelector"), by_token, &root))
        return false;
    *ret_template = end(build, template);
    return true;
}
