#include <assert.h>
#include <string.h>

#include "engine/saga/plan_build.h"

enum { RULE_UP_TO = RULE_LESS | RULE_EQUAL, RULE_FROM = RULE_GREATER | RULE_EQUAL };

/* The comparisons of ASL: name, operation, orders accepted, form. Those of one kind that compare
 * with a constant take the constant's type from the operation. */
#define COMPARISONS(X)                                                                             \
    X(IsPresent, RULE_IS_PRESENT, 0, FLAG)                                                         \
    X(IsNull, RULE_IS_NULL, 0, FLAG)                                                               \
    X(IsString, RULE_IS_STRING, 0, FLAG)                                                           \
    X(IsNumeric, RULE_IS_NUMERIC, 0, FLAG)                                                         \
    X(IsBoolean, RULE_IS_BOOLEAN, 0, FLAG)                                                         \
    X(BooleanEquals, RULE_BOOLEAN_EQUALS, RULE_EQUAL, CONSTANT)                                    \
    X(BooleanEqualsPath, RULE_BOOLEAN_EQUALS, RULE_EQUAL, PATH)                                    \
    X(StringEquals, RULE_STRING, RULE_EQUAL, CONSTANT)                                             \
    X(StringEqualsPath, RULE_STRING, RULE_EQUAL, PATH)                                             \
    X(StringLessThan, RULE_STRING, RULE_LESS, CONSTANT)                                            \
    X(StringLessThanPath, RULE_STRING, RULE_LESS, PATH)                                            \
    X(StringGreaterThan, RULE_STRING, RULE_GREATER, CONSTANT)                                      \
    X(StringGreaterThanPath, RULE_STRING, RULE_GREATER, PATH)                                      \
    X(StringLessThanEquals, RULE_STRING, RULE_UP_TO, CONSTANT)                                     \
    X(StringLessThanEqualsPath, RULE_STRING, RULE_UP_TO, PATH)                                     \
    X(StringGreaterThanEquals, RULE_STRING, RULE_FROM, CONSTANT)                                   \
    X(StringGreaterThanEqualsPath, RULE_STRING, RULE_FROM, PATH)                                   \
    X(NumericEquals, RULE_NUMERIC, RULE_EQUAL, CONSTANT)                                           \
    X(NumericEqualsPath, RULE_NUMERIC, RULE_EQUAL, PATH)                                           \
    X(NumericLessThan, RULE_NUMERIC, RULE_LESS, CONSTANT)                                          \
    X(NumericLessThanPath, RULE_NUMERIC, RULE_LESS, PATH)                                          \
    X(NumericGreaterThan, RULE_NUMERIC, RULE_GREATER, CONSTANT)                                    \
    X(NumericGreaterThanPath, RULE_NUMERIC, RULE_GREATER, PATH)                                    \
    X(NumericLessThanEquals, RULE_NUMERIC, RULE_UP_TO, CONSTANT)                                   \
    X(NumericLessThanEqualsPath, RULE_NUMERIC, RULE_UP_TO, PATH)                                   \
    X(NumericGreaterThanEquals, RULE_NUMERIC, RULE_FROM, CONSTANT)                                 \
    X(NumericGreaterThanEqualsPath, RULE_NUMERIC, RULE_FROM, PATH)

enum comparison_form {
    FLAG,     /* the value says what is expected: true or false */
    CONSTANT, /* the value is compared with */
    PATH      /* the value says where to find what is compared with */
};

struct comparison {
    const char *name;
    enum rule_op op;
    uint8_t accepts;
    enum comparison_form form;
};

static const struct comparison comparisons[] = {
#define X(name_, op_, accepts_, form_) {#name_, op_, accepts_, form_},
    COMPARISONS(X)
#undef X
};
#define COMPARISONS_COUNT (sizeof comparisons / sizeof comparisons[0])

static const char *const rule_names[] = {"Variable",
                                         "And",
                                         "Or",
                                         "Not",
                                         "Next",
                                         "Comment",
#define X(name_, op_, accepts_, form_) #name_,
                                         COMPARISONS(X)
#undef X
                                             NULL};
static const struct plan_fields rule_fields = {"a Choice rule", rule_names};

/* ---- comparisons --------------------------------------------------------------------------- */

/* The one comparison of the rule; refused where there are none or two. */
static const struct comparison *find_comparison(struct plan_build *build, const json_t *json,
                                                const struct place *at)
{
    const struct comparison *found = NULL;
    for (size_t i = 0; i < COMPARISONS_COUNT; i++) {
        if (json_object_get(json, comparisons[i].name) == NULL)
            continue;
        if (found != NULL) {
            plan_build_refuse(build, STATUS_INVALID, at,
                              "has two comparisons, %s and %s; combine them with And or Or",
                              found->name, comparisons[i].name);
            return NULL;
        }
        found = &comparisons[i];
    }
    if (found == NULL)
        plan_build_refuse(build, STATUS_INVALID, at,
                          "there is no comparison; a rule has a Variable and, for example, "
                          "NumericEquals, or one of And, Or, Not");
    return found;
}

static bool check_constant(struct plan_build *build, const json_t *value, enum rule_op op,
                           const struct place *at)
{
    bool fine = op == RULE_STRING    ? json_is_string(value)
                : op == RULE_NUMERIC ? json_is_number(value)
                                     : json_is_boolean(value);
    const char *wanted = op == RULE_STRING    ? "a string"
                         : op == RULE_NUMERIC ? "a number"
                                              : "true or false";
    if (!fine)
        return plan_build_refuse(build, STATUS_INVALID, at, "must be %s, not %s", wanted,
                                 plan_build_kind(value));
    return true;
}

static bool compile_comparison(struct plan_build *build, json_t *json, const struct place *at,
                               struct plan_rule *rule)
{
    const struct comparison *comparison = find_comparison(build, json, at);
    if (comparison == NULL || !plan_build_path(build, json, "Variable", at, &rule->variable))
        return false;
    json_t *value = json_object_get(json, comparison->name);
    const struct place *here = PLACE_FIELD(at, comparison->name);
    rule->op = comparison->op;
    rule->accepts = comparison->accepts;
    rule->span = 1;
    rule->other_is_path = comparison->form == PATH;
    if (comparison->form == PATH)
        return plan_build_path(build, json, comparison->name, at, &rule->other_path);
    if (!check_constant(build, value, rule->op, here))
        return false;
    rule->expects = json_is_true(value);
    return comparison->form == FLAG || plan_constant_encode(build, value, here, &rule->other_value);
}

/* ---- And, Or, Not -------------------------------------------------------------------------- */

static bool compile_node(struct plan_build *build, json_t *json, uint32_t depth,
                         const struct place *at);

static bool compile_children(struct plan_build *build, json_t *list, uint32_t depth,
                             const struct place *at)
{
    if (!json_is_array(list) || json_array_size(list) == 0)
        return plan_build_refuse(build, STATUS_INVALID, at, "must be an array of one rule or more");
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *child = json_array_get(list, i);
        const struct place *here = PLACE_INDEX(at, i);
        if (json_object_get(child, "Next") != NULL)
            return plan_build_refuse(build, STATUS_INVALID, PLACE_FIELD(here, "Next"),
                                     "only the outermost rule has a Next");
        if (!compile_node(build, child, depth, here))
            return false;
    }
    return true;
}

/* Refuses a rule that is more than one of And, Or, Not and a comparison; NULL also where it is a
 * comparison, with nothing refused. */
static bool find_combination(struct plan_build *build, const json_t *json, const struct place *at,
                             const char **ret_name)
{
    static const char *const names[] = {"And", "Or", "Not"};
    const char *found = NULL, *other = json_object_get(json, "Variable") ? "Variable" : NULL;
    for (size_t i = 0; i < COMPARISONS_COUNT; i++)
        if (json_object_get(json, comparisons[i].name) != NULL)
            other = comparisons[i].name;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (json_object_get(json, names[i]) == NULL)
            continue;
        if (found != NULL)
            other = names[i];
        else
            found = names[i];
    }
    if (found != NULL && other != NULL)
        return plan_build_refuse(build, STATUS_INVALID, at,
                                 "has both %s and %s; put one rule into the other", found, other);
    *ret_name = found;
    return true;
}

/* Takes the next node of the plan; its children, then, follow it. */
static bool compile_node(struct plan_build *build, json_t *json, uint32_t depth,
                         const struct place *at)
{
    struct plan *plan = build->plan;
    const char *name = NULL;
    if (!plan_fields_check(build, json, &rule_fields, at) ||
        !find_combination(build, json, at, &name))
        return false;
    if (depth == PLAN_RULE_DEPTH_MAX)
        return plan_build_refuse(build, STATUS_TOO_LARGE, at,
                                 "rules stand at most %u deep in one another", PLAN_RULE_DEPTH_MAX);
    if (plan->rules_count == PLAN_RULES_MAX)
        return plan_build_refuse(build, STATUS_TOO_LARGE, at,
                                 "the Choice rules of a plan have at most %u parts",
                                 PLAN_RULES_MAX);
    assert(plan->rules_count < build->capacity.rules);
    uint32_t first = plan->rules_count++;
    struct plan_rule *rule = &plan->rules[first];
    if (name == NULL)
        return compile_comparison(build, json, at, rule);

    json_t *value = json_object_get(json, name);
    const struct place *here = PLACE_FIELD(at, name);
    rule->op = name[0] == 'A' ? RULE_AND : name[0] == 'O' ? RULE_OR : RULE_NOT;
    if (rule->op == RULE_NOT && json_object_get(value, "Next") != NULL)
        return plan_build_refuse(build, STATUS_INVALID, PLACE_FIELD(here, "Next"),
                                 "only the outermost rule has a Next");
    if (rule->op == RULE_NOT ? !compile_node(build, value, depth + 1, here)
                             : !compile_children(build, value, depth + 1, here))
        return false;
    rule->span = (uint16_t)(plan->rules_count - first);
    return true;
}

/* ---- Choices ------------------------------------------------------------------------------- */

bool plan_rule_compile(struct plan_build *build, json_t *json, const struct place *at,
                       struct plan_state *state)
{
    assert(state->type == STATE_CHOICE);
    struct plan *plan = build->plan;
    json_t *list = json_object_get(json, "Choices");
    const struct place *here = PLACE_FIELD(at, "Choices");
    if (list == NULL)
        return plan_build_refuse(build, STATUS_INVALID, at,
                                 "there is no Choices, which must be here");
    if (!json_is_array(list) || json_array_size(list) == 0)
        return plan_build_refuse(build, STATUS_INVALID, here,
                                 "must be an array of one rule or more");
    state->choices_first = (uint16_t)plan->choices_count;
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *rule = json_array_get(list, i);
        struct plan_choice choice = {.rule = (uint16_t)plan->rules_count};
        if (!compile_node(build, rule, 0, PLACE_INDEX(here, i)) ||
            !plan_build_state(build, rule, "Next", PLACE_INDEX(here, i), &choice.next))
            return false;
        assert(plan->choices_count < build->capacity.choices);
        plan->choices[plan->choices_count++] = choice;
        state->choices_count++;
    }
    return json_object_get(json, "Default") == NULL ||
           plan_build_state(build, json, "Default", at, &state->default_next);
}
