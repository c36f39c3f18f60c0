/*
 * What a field that ends in ".$" says:
 *
 *     value    = path | function
 *     function = "States." name "(" [argument *("," argument)] ")"
 *     argument = path | function | 'text' | number | true | false | null
 */
#include <assert.h>
#include <string.h>

#include "engine/saga/plan_build.h"
#include "engine/saga/sink.h"

static const char prefix[] = "States.";

#define FUNCTIONS                                                                                  \
    "there are States.Array, ArrayGetItem, ArrayLength, Base64Decode, Base64Encode, Format, "      \
    "JsonToString, MathAdd and StringToJson"

struct scan {
    struct plan_build *build;
    const struct place *place;
    const char *text; /* the plan's, terminated there by nothing: `end` */
    const char *end;
    const char *at;
    bool by_token;
};

static char look(const struct scan *scan)
{
    return scan->at < scan->end ? *scan->at : '\0';
}

static void skip_blanks(struct scan *scan)
{
    while (look(scan) == ' ' || look(scan) == '\t' || look(scan) == '\n' || look(scan) == '\r')
        scan->at++;
}

static bool starts_with(const struct scan *scan, const char *text)
{
    size_t count = strlen(text);
    return (size_t)(scan->end - scan->at) >= count && memcmp(scan->at, text, count) == 0;
}

static struct flyover_bytes since(const struct scan *scan, const char *start)
{
    return (struct flyover_bytes){(const uint8_t *)start, (uint32_t)(scan->at - start)};
}

static bool refuse(struct scan *scan, enum status status, const char *why)
{
    size_t count = (size_t)(scan->end - scan->text);
    return plan_build_refuse(scan->build, status, scan->place, "\"%.*s\", byte %zu: %s",
                             count < 100 ? (int)count : 100, scan->text,
                             (size_t)(scan->at - scan->text) + 1, why);
}

/* ---- arguments ----------------------------------------------------------------------------- */

/* Over a path among arguments: it ends where no bracket is open. */
static void skip_path(struct scan *scan)
{
    char quote = '\0';
    bool in_brackets = false;
    for (; scan->at < scan->end; scan->at++) {
        char c = *scan->at;
        if (quote != '\0') {
            if (c == '\\' && scan->at + 1 < scan->end)
                scan->at++;
            else if (c == quote)
                quote = '\0';
        } else if (in_brackets) {
            in_brackets = c != ']';
            quote = c == '\'' || c == '"' ? c : '\0';
        } else if (c == ',' || c == ')' || c == ' ') {
            return;
        } else {
            in_brackets = c == '[';
        }
    }
}

static bool compile_path(struct scan *scan, struct template_node *node)
{
    const char *start = scan->at;
    skip_path(scan);
    return plan_template_path(scan->build, since(scan, start), scan->place, scan->by_token, node);
}

/* One character of a text in quotes; `\` stays before what Format reads again. Returns how many
 * bytes it has, 0 where the text has none here. */
static size_t read_character(const struct scan *scan, const char *at, bool for_format,
                             const char **ret_bytes)
{
    *ret_bytes = at;
    if (*at != '\\')
        return 1;
    if (at + 1 == scan->end || strchr("'{}\\", at[1]) == NULL || at[1] == '\0')
        return 0;
    if (for_format && at[1] != '\'')
        return 2;
    *ret_bytes = at + 1;
    return 1;
}

/* 'text', as msgpack. Its length first, then the text. */
static bool compile_text(struct scan *scan, bool for_format, struct template_node *node)
{
    struct plan_build *build = scan->build;
    const char *first = scan->at + 1, *at, *bytes;
    size_t count = 0, read;
    for (at = first; at < scan->end && *at != '\''; at += *at == '\\' ? 2 : 1) {
        read = read_character(scan, at, for_format, &bytes);
        scan->at = at;
        if (read == 0)
            return refuse(scan, STATUS_INVALID,
                          "a backslash goes before ', {, } or another backslash");
        count += read;
    }
    if (at >= scan->end)
        return refuse(scan, STATUS_INVALID, "the closing ' is missing");
    struct sink sink = sink_into(build->text_next, (size_t)(build->text_end - build->text_next));
    sink_str_head(&sink, (uint32_t)count);
    for (at = first; *at != '\''; at += *at == '\\' ? 2 : 1) {
        read = read_character(scan, at, for_format, &bytes);
        sink_bytes(&sink, bytes, read);
    }
    scan->at = at + 1;
    assert(!sink.overflowed);
    node->value = (struct flyover_bytes){build->text_next, (uint32_t)sink_result(&sink)};
    build->text_next = sink.at;
    return true;
}

/* A number, true, false or null. */
static bool compile_literal(struct scan *scan, struct template_node *node)
{
    const char *start = scan->at;
    while (scan->at < scan->end && strchr(",) ", *scan->at) == NULL)
        scan->at++;
    json_t *json = json_loadb(start, (size_t)(scan->at - start), JSON_DECODE_ANY, NULL);
    bool is_literal =
        json != NULL && !json_is_object(json) && !json_is_array(json) && !json_is_string(json);
    bool fine;
    if (is_literal) {
        fine = plan_constant_encode(scan->build, json, scan->place, &node->value);
    } else {
        scan->at = start;
        fine = refuse(scan, STATUS_INVALID,
                      "an argument is a path ($.a), a text in single quotes, a number, true, "
                      "false, null or a function (States.…)");
    }
    json_decref(json);
    return fine;
}

static bool compile_call(struct scan *scan, uint32_t depth, struct template_node **ret_node);

static bool compile_argument(struct scan *scan, uint32_t depth, bool for_format)
{
    struct template_node *node = NULL;
    skip_blanks(scan);
    if (starts_with(scan, prefix))
        return compile_call(scan, depth, &node);
    if (!plan_template_take(scan->build, scan->place, &node))
        return false;
    if (look(scan) == '$')
        return compile_path(scan, node);
    return look(scan) == '\'' ? compile_text(scan, for_format, node) : compile_literal(scan, node);
}

/* ---- functions ----------------------------------------------------------------------------- */

static bool refuse_function(struct scan *scan, struct flyover_bytes name)
{
    static const char *const random[] = {"UUID", "MathRandom"};
    for (size_t i = 0; i < sizeof random / sizeof random[0]; i++)
        if (name.count == strlen(random[i]) && memcmp(name.at, random[i], name.count) == 0)
            return refuse(scan, STATUS_UNSUPPORTED,
                          "States.UUID and States.MathRandom are not supported: a step that is "
                          "asked for again has to be asked for the same; $$.Task.IdempotencyKey is "
                          "one of a kind");
    return refuse(scan, STATUS_UNSUPPORTED, "this function is not supported; " FUNCTIONS);
}

static bool read_function(struct scan *scan, enum template_function *ret_function)
{
    const char *start = scan->at;
    const char *bracket = memchr(start, '(', (size_t)(scan->end - start));
    if (bracket == NULL)
        return refuse(scan, STATUS_INVALID, "( is missing behind the name of the function");
    struct flyover_bytes name = {(const uint8_t *)start + strlen(prefix),
                                 (uint32_t)((size_t)(bracket - start) - strlen(prefix))};
    for (uint32_t i = 0; i < TEMPLATE_FUNCTIONS_COUNT; i++) {
        const char *known = template_functions[i].name;
        if (name.count != strlen(known) || memcmp(name.at, known, name.count) != 0)
            continue;
        *ret_function = (enum template_function)i;
        scan->at = bracket + 1;
        return true;
    }
    return refuse_function(scan, name);
}

/* Up to the closing bracket. */
static bool compile_arguments(struct scan *scan, uint32_t depth, struct template_node *node)
{
    skip_blanks(scan);
    while (look(scan) != ')') {
        if (node->count == template_functions[node->function].arguments_max)
            return refuse(scan, STATUS_INVALID, "the function does not take so many arguments");
        bool for_format = node->function == TEMPLATE_FORMAT && node->count == 0;
        if (!compile_argument(scan, depth, for_format))
            return false;
        node->count++;
        skip_blanks(scan);
        if (look(scan) == ',') {
            scan->at++;
            skip_blanks(scan);
            if (look(scan) == ')')
                return refuse(scan, STATUS_INVALID, "an argument is missing behind the comma");
        } else if (look(scan) != ')') {
            return refuse(scan, STATUS_INVALID, "a comma or ) is missing");
        }
    }
    scan->at++;
    if (node->count < template_functions[node->function].arguments_min)
        return refuse(scan, STATUS_INVALID, "the function takes more arguments");
    return true;
}

/* A text that is written here says how many arguments there have to be. */
static bool check_places(struct scan *scan, const struct template_node *node)
{
    struct flyover_bytes text;
    const struct template_node *first = node + 1;
    if (node->function != TEMPLATE_FORMAT || first->op != TEMPLATE_CONSTANT)
        return true;
    struct flyover_cursor cursor = {first->value.at, first->value.at + first->value.count};
    if (!flyover_read_str(&cursor, &text))
        return refuse(scan, STATUS_INVALID, "the first argument of States.Format is a text");
    return template_count_places(text) == node->count - 1 ||
           refuse(scan, STATUS_INVALID,
                  "States.Format takes one argument for each {} of its text, no more and no less");
}

/* Calls itself no deeper than TEMPLATE_CALLS_MAX. */
static bool compile_call(struct scan *scan, uint32_t depth, struct template_node **ret_node)
{
    const struct plan *plan = scan->build->plan;
    uint32_t first = plan->template_nodes_count;
    const char *start = scan->at;
    struct template_node *node = NULL;
    if (depth == TEMPLATE_CALLS_MAX)
        return refuse(scan, STATUS_TOO_LARGE, "at most ten functions stand in one another");
    if (!plan_template_take(scan->build, scan->place, &node))
        return false;
    *ret_node = node;
    node->op = TEMPLATE_CALL;
    if (!read_function(scan, &node->function) || !compile_arguments(scan, depth + 1, node))
        return false;
    node->span = plan->template_nodes_count - first;
    node->text = since(scan, start);
    return check_places(scan, node);
}

bool plan_intrinsic_compile(struct plan_build *build, const char *text, const struct place *at,
                            bool by_token, struct template_node **ret_node)
{
    struct flyover_bytes kept = plan_build_keep(build, text);
    const char *start = (const char *)kept.at;
    struct scan scan = {build, at, start, start + kept.count, start, by_token};
    if (look(&scan) == '$')
        return plan_template_take(build, at, ret_node) &&
               plan_template_path(build, kept, at, by_token, *ret_node);
    if (!starts_with(&scan, prefix))
        return refuse(&scan, STATUS_INVALID,
                      "a field whose name ends in \".$\" has a path ($.a), a path into the context "
                      "object ($$.State.Name) or a function (States.Format(…)); for a text as it "
                      "is leave \".$\" out");
    if (!compile_call(&scan, 0, ret_node))
        return false;
    skip_blanks(&scan);
    return scan.at == scan.end || refuse(&scan, STATUS_INVALID, "something follows the function");
}
