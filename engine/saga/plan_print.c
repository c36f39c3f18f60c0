/*
 * The table is made of rows of cells. A state has one row, or as many as it has choices, retriers
 * or catchers, so that each of these stands on a line of its own next to where it leads. Columns
 * are as wide as their widest cell; where that is too much for a terminal, the widest columns
 * shrink and their cells go on below.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "engine/saga/plan.h"

#define TABLE_COLUMNS    100u /* of a terminal */
#define CELL_BYTES       1024u
#define GAP              2u
#define COLUMN_WIDTH_MIN 7u

enum cell { CELL_STATE, CELL_TYPE, CELL_DOES, CELL_NEXT, CELL_RETRY, CELL_CATCH, CELL_UNDO, CELLS };

static const char *const headings[CELLS] = {"state", "type",  "does", "next",
                                            "retry", "catch", "undo"};

struct text {
    char bytes[CELL_BYTES];
    size_t count;
};

struct row {
    struct text cells[CELLS];
};

struct widths {
    size_t columns[CELLS]; /* 0: nothing in it */
};

/* Control characters, those of two bytes (C1) too, become '?': the operator's terminal is not for
 * definitions to drive. */
static void tidy(char *at, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t next = i + 1 < count ? (uint8_t)at[i + 1] : 0;
        bool is_c1 = (uint8_t)at[i] == 0xc2 && next >= 0x80 && next < 0xa0;
        if (is_c1 || (uint8_t)at[i] < 0x20 || at[i] == 0x7f)
            at[i] = '?';
        if (is_c1)
            at[++i] = '?';
    }
}

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...)
{
    assert(text->count < sizeof text->bytes);
    size_t start = text->count;
    va_list arguments;
    va_start(arguments, format);
    int added =
        vsnprintf(text->bytes + text->count, sizeof text->bytes - text->count, format, arguments);
    va_end(arguments);
    text->count += (size_t)added;
    if (text->count >= sizeof text->bytes) {
        memcpy(text->bytes + sizeof text->bytes - 4, "...", 4);
        text->count = sizeof text->bytes - 1;
    }
    if (start < text->count)
        tidy(text->bytes + start, text->count - start);
}

static int bytes_of(struct flyover_bytes bytes)
{
    return (int)bytes.count;
}

/* ---- what stands in a cell ----------------------------------------------------------------- */

static bool is_plain_name(struct flyover_bytes name)
{
    for (uint32_t i = 0; i < name.count; i++)
        if (name.at[i] <= ' ' || strchr(".[]'\"", name.at[i]) != NULL)
            return false;
    return name.count > 0;
}

static void add_path(struct text *text, const struct path *path)
{
    add(text, "$");
    for (uint32_t i = 0; i < path->parts_count; i++) {
        const struct path_part *part = &path->parts[i];
        const char *name = (const char *)part->field.at;
        if (part->kind == PATH_INDEX)
            add(text, "[%" PRIu32 "]", part->index);
        else if (is_plain_name(part->field))
            add(text, ".%.*s", bytes_of(part->field), name);
        else
            add(text, "['%.*s']", bytes_of(part->field), name);
    }
}

static void add_value(struct text *text, struct flyover_bytes value)
{
    char json[256];
    value_print(value, json, sizeof json);
    add(text, "%s", json);
}

static void add_result_path(struct text *text, enum result_path_kind kind, const struct path *path)
{
    if (kind == RESULT_REPLACES)
        return;
    add(text, " > ");
    if (kind == RESULT_DROPPED)
        add(text, "null");
    else
        add_path(text, path);
}

static const char *order_sign(uint8_t accepts)
{
    switch (accepts) {
    case RULE_LESS: return "<";
    case RULE_LESS | RULE_EQUAL: return "<=";
    case RULE_EQUAL: return "=";
    case RULE_GREATER | RULE_EQUAL: return ">=";
    case RULE_GREATER: return ">";
    default: assert(false && "an order that no comparison accepts"); return "";
    }
}

static void add_comparison(struct text *text, const struct plan_rule *rule)
{
    static const char *const kinds[] = {
        [RULE_IS_PRESENT] = "present",   [RULE_IS_NULL] = "null",
        [RULE_IS_STRING] = "a string",   [RULE_IS_NUMERIC] = "a number",
        [RULE_IS_BOOLEAN] = "a boolean", [RULE_STRING] = "strings",
        [RULE_NUMERIC] = "numbers",      [RULE_BOOLEAN_EQUALS] = "booleans"};
    add_path(text, &rule->variable);
    if (rule->op < RULE_STRING) {
        add(text, " is %s%s", rule->expects ? "" : "not ", kinds[rule->op]);
        return;
    }
    add(text, " %s ", order_sign(rule->accepts));
    if (!rule->other_is_path) {
        add_value(text, rule->other_value);
        return;
    }
    add_path(text, &rule->other_path);
    add(text, " (%s)", kinds[rule->op]);
}

/* Bounded as plan_choose is: rules stand at most PLAN_RULE_DEPTH_MAX deep in one another. */
static void add_rule(struct text *text, const struct plan_rule *rule, bool inner)
{
    if (rule->op != RULE_AND && rule->op != RULE_OR && rule->op != RULE_NOT) {
        add_comparison(text, rule);
        return;
    }
    const struct plan_rule *child = rule + 1, *end = rule + rule->span;
    if (rule->op == RULE_NOT) {
        add(text, "not ");
        add_rule(text, child, true);
        return;
    }
    add(text, inner ? "(" : "");
    for (; child < end; child += child->span) {
        if (child != rule + 1)
            add(text, rule->op == RULE_AND ? " and " : " or ");
        add_rule(text, child, true);
    }
    add(text, inner ? ")" : "");
}

static void add_errors(struct text *text, const struct plan *plan, uint16_t first, uint16_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct flyover_bytes error = plan->errors[first + i];
        add(text, "%s%.*s", i == 0 ? "" : ", ", bytes_of(error), (const char *)error.at);
    }
}

static void add_retrier(struct text *text, const struct plan *plan,
                        const struct plan_retrier *retrier)
{
    add_errors(text, plan, retrier->errors_first, retrier->errors_count);
    if (retrier->attempts_max == 0) {
        add(text, ": never");
        return;
    }
    add(text, ": %" PRIu32 "x %" PRIu64 " s", retrier->attempts_max, retrier->interval_ms / 1000);
    if (retrier->backoff_rate > 1.0)
        add(text, " *%g", retrier->backoff_rate);
    if (retrier->delay_ms_max < PLAN_DELAY_MS_MAX)
        add(text, " to %" PRIu64 " s", retrier->delay_ms_max / 1000);
    if (retrier->jitter_full)
        add(text, " jitter");
}

static void add_catcher(struct text *text, const struct plan *plan,
                        const struct plan_catcher *catcher)
{
    add_errors(text, plan, catcher->errors_first, catcher->errors_count);
    add_result_path(text, catcher->result_kind, &catcher->result_path);
    add(text, " -> %s", plan->states[catcher->next].name);
}

static void add_resource(struct text *text, const struct plan *plan, uint16_t resource)
{
    add(text, "%s.%s", plan->resources[resource].service, plan->resources[resource].handler);
}

/* As the definition has it, but for quotes around paths. No deeper than payloads are. */
static void add_node(struct text *text, const struct template_node *node)
{
    if (node->op == TEMPLATE_CONSTANT) {
        add_value(text, node->value);
        return;
    }
    if (node->op != TEMPLATE_MAP && node->op != TEMPLATE_LIST) {
        add(text, "%.*s", bytes_of(node->text), (const char *)node->text.at);
        return;
    }
    bool is_map = node->op == TEMPLATE_MAP;
    const struct template_node *child = node + 1;
    add(text, is_map ? "{" : "[");
    for (uint32_t i = 0; i < node->count; i++, child += child->span) {
        add(text, "%s", i == 0 ? "" : ", ");
        if (is_map)
            add(text, "\"%.*s\": ", bytes_of(child->key), (const char *)child->key.at);
        add_node(text, child);
    }
    add(text, is_map ? "}" : "]");
}

static void add_template(struct text *text, const char *word, const struct plan *plan,
                         uint16_t index)
{
    if (index == PLAN_NO_TEMPLATE)
        return;
    const struct template *template = &plan->templates[index];
    const struct template_node *root = &template->nodes[0];
    if (template->has_input && template->input.op == TEMPLATE_CONSTANT)
        add(text, " of {}");
    else if (template->has_input)
        add(text, " of %.*s", bytes_of(template->input.text),
            (const char *)template->input.text.at);
    if (root->op == TEMPLATE_PATH && root->count == 0)
        return;
    add(text, " %s ", word);
    add_node(text, root);
}

static void add_timeout(struct text *text, uint64_t timeout_ms)
{
    if (timeout_ms != 0)
        add(text, " within %" PRIu64 " s", timeout_ms / 1000);
}

static void add_task(struct text *text, const struct plan *plan, const struct plan_state *state)
{
    if (state->task_kind == TASK_SIGNAL)
        add(text, "signal %.*s", bytes_of(plan->signals[state->signal]),
            (const char *)plan->signals[state->signal].at);
    else
        add_resource(text, plan, state->resource);
    add(text, "%s", state->task_kind == TASK_TOKEN ? " by token" : "");
    add_template(text, "with", plan, state->arguments);
    add_timeout(text, state->timeout_ms);
    if (state->heartbeat_ms != 0)
        add(text, ", heartbeat %" PRIu64 " s", state->heartbeat_ms / 1000);
    if (state->fire_and_forget)
        add(text, ", no wait");
    add_template(text, "gives", plan, state->selector);
    if (!state->fire_and_forget)
        add_result_path(text, state->result_kind, &state->result_path);
    add(text, "%s", state->pivot ? ", pivot" : "");
}

static void add_time(struct text *text, int64_t time_ms)
{
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm tm;
    char time[32];
    size_t bytes =
        gmtime_r(&seconds, &tm) == NULL ? 0 : strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S", &tm);
    assert(bytes > 0);
    add(text, "%s", time);
    if (time_ms % 1000 != 0)
        add(text, ".%03d", (int)(time_ms % 1000));
    add(text, "Z");
}

static void add_wait(struct text *text, const struct plan_state *state)
{
    switch (state->wait_kind) {
    case WAIT_SECONDS: add(text, "%" PRId64 " s", state->wait_ms / 1000); break;
    case WAIT_TIMESTAMP:
        add(text, "until ");
        add_time(text, state->wait_ms);
        break;
    case WAIT_SECONDS_PATH:
        add_path(text, &state->wait_path);
        add(text, " s");
        break;
    case WAIT_TIMESTAMP_PATH:
        add(text, "until ");
        add_path(text, &state->wait_path);
        break;
    }
}

static void add_action(struct text *text, const struct plan *plan, const struct plan_state *state)
{
    switch (state->type) {
    case STATE_TASK: add_task(text, plan, state); break;
    case STATE_WAIT: add_wait(text, state); break;
    case STATE_PASS:
        if (state->has_result)
            add_value(text, state->result);
        else
            add(text, "input");
        add_result_path(text, state->result_kind, &state->result_path);
        break;
    case STATE_FAIL:
        add(text, "%.*s", bytes_of(state->error), (const char *)state->error.at);
        if (state->cause.count > 0)
            add(text, "%s%.*s", state->error.count > 0 ? ": " : "", bytes_of(state->cause),
                (const char *)state->cause.at);
        break;
    case STATE_CHOICE:
    case STATE_SUCCEED: break;
    }
}

/* ---- rows ---------------------------------------------------------------------------------- */

static uint32_t larger(uint32_t left, uint32_t right)
{
    return left > right ? left : right;
}

/* The row of the first catcher of a compensation: below its retriers, and below its handler. */
static uint32_t first_undo_catcher(const struct plan_state *state)
{
    return larger(1, state->undo_retriers_count);
}

static uint32_t count_rows(const struct plan_state *state)
{
    uint32_t count =
        larger(1, state->choices_count + (state->default_next == PLAN_NO_STATE ? 0u : 1u));
    count = larger(count, larger(state->retriers_count, state->catchers_count));
    return larger(count, first_undo_catcher(state) + state->undo_catchers_count);
}

static void fill_undo(struct text *text, const struct plan *plan, const struct plan_state *state,
                      uint32_t i)
{
    if (i == 0) {
        add_resource(text, plan, state->undo_resource);
        add_template(text, "with", plan, state->undo_arguments);
        add_timeout(text, state->undo_timeout_ms);
    }
    uint32_t catchers = first_undo_catcher(state);
    if (i < state->undo_retriers_count) {
        add(text, "%s", i == 0 ? " if " : "if ");
        add_retrier(text, plan, &plan->retriers[state->undo_retriers_first + i]);
    } else if (i >= catchers && i - catchers < state->undo_catchers_count) {
        add(text, "catch ");
        add_catcher(text, plan, &plan->catchers[state->undo_catchers_first + i - catchers]);
    }
}

static void fill_choice(struct row *row, const struct plan *plan, const struct plan_state *state,
                        uint32_t i)
{
    if (i < state->choices_count) {
        const struct plan_choice *choice = &plan->choices[state->choices_first + i];
        add_rule(&row->cells[CELL_DOES], &plan->rules[choice->rule], false);
        add(&row->cells[CELL_NEXT], "%s", plan->states[choice->next].name);
    } else if (state->default_next != PLAN_NO_STATE) {
        add(&row->cells[CELL_DOES], "otherwise");
        add(&row->cells[CELL_NEXT], "%s", plan->states[state->default_next].name);
    }
}

static void fill_next(struct text *text, const struct plan *plan, const struct plan_state *state)
{
    bool ends = state->type == STATE_TASK || state->type == STATE_WAIT || state->type == STATE_PASS;
    if (state->next != PLAN_NO_STATE)
        add(text, "%s", plan->states[state->next].name);
    else if (ends)
        add(text, "(end)");
}

/* The i-th row of a state. */
static void fill_row(struct row *row, const struct plan *plan, const struct plan_state *state,
                     uint32_t i)
{
    static const char *const types[] = {
        [STATE_TASK] = "Task",       [STATE_PASS] = "Pass", [STATE_CHOICE] = "Choice",
        [STATE_SUCCEED] = "Succeed", [STATE_FAIL] = "Fail", [STATE_WAIT] = "Wait"};
    memset(row, 0, sizeof *row);
    if (i == 0) {
        add(&row->cells[CELL_STATE], "%s", state->name);
        add(&row->cells[CELL_TYPE], "%s", types[state->type]);
        add_action(&row->cells[CELL_DOES], plan, state);
        fill_next(&row->cells[CELL_NEXT], plan, state);
    }
    if (state->type == STATE_CHOICE)
        fill_choice(row, plan, state, i);
    if (i < state->retriers_count)
        add_retrier(&row->cells[CELL_RETRY], plan, &plan->retriers[state->retriers_first + i]);
    if (i < state->catchers_count)
        add_catcher(&row->cells[CELL_CATCH], plan, &plan->catchers[state->catchers_first + i]);
    if (state->compensated)
        fill_undo(&row->cells[CELL_UNDO], plan, state, i);
}

/* ---- printing ------------------------------------------------------------------------------ */

/* Columns of a terminal that the text takes, a character each. */
static size_t width_of(const char *text, size_t bytes)
{
    size_t width = 0;
    for (size_t i = 0; i < bytes; i++)
        width += ((uint8_t)text[i] & 0xc0) != 0x80;
    return width;
}

/* A name may be broken after its dots; "$." and "2.5" are better whole. */
static bool dot_may_break(const char *text, size_t i)
{
    if (text[i] != '.' || i == 0 || text[i - 1] == '$')
        return false;
    return text[i + 1] < '0' || text[i + 1] > '9';
}

/* The widest piece that is left when a text is broken at its blanks, or after its dots too. */
static size_t widest_piece(const struct text *text, bool dots_too)
{
    size_t widest = 0, start = 0;
    for (size_t i = 0; i <= text->count; i++) {
        bool dot = dots_too && dot_may_break(text->bytes, i);
        if (i < text->count && text->bytes[i] != ' ' && !dot)
            continue;
        size_t width = width_of(text->bytes + start, i - start + dot);
        widest = width > widest ? width : widest;
        start = i + 1;
    }
    return widest;
}

/* Takes columns from the widest until the table fits or all are at their floor. */
static void shrink(struct widths *widths, const struct widths *floors)
{
    size_t total = 0;
    for (size_t i = 0; i < CELLS; i++)
        total += widths->columns[i] == 0 ? 0 : widths->columns[i] + GAP;
    for (; total > TABLE_COLUMNS + GAP; total--) {
        size_t widest = CELLS;
        for (size_t i = 0; i < CELLS; i++)
            if (widths->columns[i] > floors->columns[i] &&
                (widest == CELLS || widths->columns[i] > widths->columns[widest]))
                widest = i;
        if (widest == CELLS)
            return;
        widths->columns[widest]--;
    }
}

static void grow(size_t *width, size_t least)
{
    if (*width < least)
        *width = least;
}

/* Words stay whole where the table fits with them; else they are broken after a dot, as names are,
 * and anywhere where that is not enough either. */
static struct widths measure(const struct plan *plan, struct row *row)
{
    struct widths widths = {.columns = {0}}, words = widths, parts = widths, least = widths;
    for (uint32_t i = 0; i < plan->states_count; i++) {
        const struct plan_state *state = &plan->states[i];
        for (uint32_t j = 0; j < count_rows(state); j++) {
            fill_row(row, plan, state, j);
            for (size_t k = 0; k < CELLS; k++) {
                grow(&widths.columns[k], width_of(row->cells[k].bytes, row->cells[k].count));
                grow(&words.columns[k], widest_piece(&row->cells[k], false));
                grow(&parts.columns[k], widest_piece(&row->cells[k], true));
            }
        }
    }
    for (size_t k = 0; k < CELLS; k++) {
        least.columns[k] = COLUMN_WIDTH_MIN;
        if (widths.columns[k] > 0)
            grow(&widths.columns[k], strlen(headings[k]));
    }
    shrink(&widths, &words);
    shrink(&widths, &parts);
    shrink(&widths, &least);
    return widths;
}

/* Bytes of the text that go on a line of `width`: up to the last blank or the last dot, if any. */
static size_t line_bytes(const char *text, size_t width)
{
    size_t bytes = 0, blank = 0, dot = 0, used = 0;
    for (; text[bytes] != '\0'; bytes++) {
        bool starts = ((uint8_t)text[bytes] & 0xc0) != 0x80;
        if (text[bytes] == ' ')
            blank = bytes;
        if (starts && used == width)
            return blank > 0 ? blank : dot > 0 ? dot : bytes;
        used += starts;
        if (dot_may_break(text, bytes))
            dot = bytes + 1;
    }
    return bytes;
}

/* Prints one line of the row and moves `rest` on; false where nothing was left to print. */
static bool print_line(const char *rest[CELLS], const struct widths *widths, FILE *out)
{
    size_t pending = 0; /* blanks that are due before the next text: none trail */
    bool printed = false;
    for (size_t i = 0; i < CELLS; i++) {
        if (widths->columns[i] == 0)
            continue;
        size_t bytes = line_bytes(rest[i], widths->columns[i]);
        if (bytes > 0) {
            fprintf(out, "%*s%.*s", (int)pending, "", (int)bytes, rest[i]);
            pending = 0;
            printed = true;
        }
        pending += widths->columns[i] - width_of(rest[i], bytes) + GAP;
        rest[i] += bytes;
        while (*rest[i] == ' ')
            rest[i]++;
    }
    if (printed)
        fputc('\n', out);
    return printed;
}

static void print_row(const struct row *row, const struct widths *widths, FILE *out)
{
    const char *rest[CELLS];
    for (size_t i = 0; i < CELLS; i++)
        rest[i] = row->cells[i].bytes;
    while (print_line(rest, widths, out))
        continue;
}

void plan_print(const struct plan *plan, FILE *out)
{
    assert(plan->states_count > 0 && out != NULL);
    struct row row;
    struct widths widths = measure(plan, &row);
    fprintf(out, "%s: %" PRIu32 " state%s, starts at %s", plan->name, plan->states_count,
            plan->states_count == 1 ? "" : "s", plan->states[plan->start].name);
    if (plan->timeout_ms != 0)
        fprintf(out, ", within %" PRIu64 " s", plan->timeout_ms / 1000);
    if (plan->undo_branches > 1)
        fprintf(out, ", compensates up to %u steps at once", (unsigned)plan->undo_branches);
    fprintf(out, "\n\n");
    const char *rest[CELLS];
    memcpy(rest, headings, sizeof rest);
    print_line(rest, &widths, out);
    for (uint32_t i = 0; i < plan->states_count; i++) {
        for (uint32_t j = 0; j < count_rows(&plan->states[i]); j++) {
            fill_row(&row, plan, &plan->states[i], j);
            print_row(&row, &widths, out);
        }
    }
}
