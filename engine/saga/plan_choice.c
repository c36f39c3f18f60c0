#include <assert.h>

#include "engine/saga/plan.h"

static struct flyover_cursor cursor_over(struct flyover_bytes value)
{
    return (struct flyover_cursor){.at = value.at, .end = value.at + value.count};
}

static enum flyover_type type_of(struct flyover_bytes value)
{
    struct flyover_cursor cursor = cursor_over(value);
    return flyover_peek(&cursor);
}

static bool is_number(struct flyover_bytes value)
{
    enum flyover_type type = type_of(value);
    return type == FLYOVER_INT || type == FLYOVER_FLOAT;
}

static bool order_accepted(const struct plan_rule *rule, struct flyover_bytes value,
                           struct flyover_bytes other)
{
    int order = 0;
    if (!value_compare(value, other, &order))
        return false;
    unsigned found = order < 0 ? RULE_LESS : order > 0 ? RULE_GREATER : RULE_EQUAL;
    return (rule->accepts & found) != 0;
}

static bool booleans_equal(struct flyover_bytes value, struct flyover_bytes other)
{
    struct flyover_cursor left = cursor_over(value), right = cursor_over(other);
    bool left_value = false, right_value = false;
    return flyover_read_bool(&left, &left_value) && flyover_read_bool(&right, &right_value) &&
           left_value == right_value;
}

/* A comparison, with what it compares found: values of another type than the comparison's are not
 * equal, and not less or greater either. */
static bool comparison_holds(const struct plan_rule *rule, struct flyover_bytes value,
                             struct flyover_bytes other)
{
    switch (rule->op) {
    case RULE_IS_NULL: return (type_of(value) == FLYOVER_NIL) == rule->expects;
    case RULE_IS_STRING: return (type_of(value) == FLYOVER_STR) == rule->expects;
    case RULE_IS_NUMERIC: return is_number(value) == rule->expects;
    case RULE_IS_BOOLEAN: return (type_of(value) == FLYOVER_BOOL) == rule->expects;
    case RULE_STRING:
        return type_of(value) == FLYOVER_STR && type_of(other) == FLYOVER_STR &&
               order_accepted(rule, value, other);
    case RULE_NUMERIC:
        return is_number(value) && is_number(other) && order_accepted(rule, value, other);
    case RULE_BOOLEAN_EQUALS: return booleans_equal(value, other);
    case RULE_AND:
    case RULE_OR:
    case RULE_NOT:
    case RULE_IS_PRESENT: break;
    }
    assert(false && "a rule that compares nothing");
    return false;
}

static bool leaf_holds(const struct plan_rule *rule, struct flyover_bytes input)
{
    struct flyover_bytes value = {.at = NULL}, other = rule->other_value;
    bool present = value_at(input, &rule->variable, &value);
    if (rule->op == RULE_IS_PRESENT)
        return present == rule->expects;
    if (!present || (rule->other_is_path && !value_at(input, &rule->other_path, &other)))
        return false;
    return comparison_holds(rule, value, other);
}

/* The compiler lets rules stand PLAN_RULE_DEPTH_MAX deep in one another, which bounds the calls. */
static bool rule_holds(const struct plan_rule *rule, struct flyover_bytes input)
{
    assert(rule->span >= 1);
    const struct plan_rule *child = rule + 1, *end = rule + rule->span;
    switch (rule->op) {
    case RULE_NOT: return !rule_holds(child, input);
    case RULE_AND:
        while (child < end && rule_holds(child, input))
            child += child->span;
        return child == end;
    case RULE_OR:
        while (child < end && !rule_holds(child, input))
            child += child->span;
        return child < end;
    case RULE_IS_PRESENT:
    case RULE_IS_NULL:
    case RULE_IS_STRING:
    case RULE_IS_NUMERIC:
    case RULE_IS_BOOLEAN:
    case RULE_STRING:
    case RULE_NUMERIC:
    case RULE_BOOLEAN_EQUALS: break;
    }
    return leaf_holds(rule, input);
}

uint16_t plan_choose(const struct plan *plan, const struct plan_state *state,
                     struct flyover_bytes input)
{
    assert(state->type == STATE_CHOICE);
    uint32_t first = state->choices_first;
    assert(first + state->choices_count <= plan->choices_count);
    for (uint32_t i = first; i < first + state->choices_count; i++)
        if (rule_holds(&plan->rules[plan->choices[i].rule], input))
            return plan->choices[i].next;
    return state->default_next;
}
