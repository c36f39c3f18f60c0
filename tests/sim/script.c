#include "tests/sim/script.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *const script_services[SCRIPT_SERVICES] = {"alpha", "beta", "gamma"};
const char *const script_errors[SCRIPT_ERRORS_ALL] = {
    "X", "Y", "Z", "Flyover.BadOutput", "States.Timeout", "States.HeartbeatTimeout"};

bool script_matches(uint8_t errors, int error)
{
    bool as_task_failed = (errors >> SCRIPT_TASK_FAILED & 1) != 0 && error != SCRIPT_TIMEOUT;
    bool as_timeout = (errors >> SCRIPT_TIMEOUT & 1) != 0 && error == SCRIPT_SILENCE;
    return errors == 0 || as_task_failed || as_timeout || (errors >> error & 1) != 0;
}

int64_t script_delay_ms(const struct script_retrier *retrier, uint32_t retry_no)
{
    double delay_ms = retrier->interval_s * 1000.0;
    while (--retry_no > 0)
        delay_ms *= retrier->rate_tenths / 10.0;
    double delay_ms_max = retrier->delay_s_max * 1000.0;
    return (int64_t)(retrier->delay_s_max > 0 && delay_ms > delay_ms_max ? delay_ms_max : delay_ms);
}

/* ---- drawing -------------------------------------------------------------------------------- */

static uint8_t draw_errors(struct chance *chance)
{
    uint8_t errors = (uint8_t)chance_draw(chance, 1u << SCRIPT_ERRORS);
    const int others[] = {SCRIPT_TIMEOUT, SCRIPT_SILENCE, SCRIPT_TASK_FAILED};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (chance_percent(chance, 15))
            errors |= (uint8_t)(1 << others[i]);
    return errors;
}

static int draw_into(struct chance *chance)
{
    return (int)chance_draw(chance, SCRIPT_FIELDS + 2) + SCRIPT_DROP;
}

/* States.ALL is allowed in the last rule only. */
static void draw_retriers(struct script_retriers *retriers, struct chance *chance)
{
    retriers->count = chance_draw(chance, SCRIPT_RULES_MAX + 1);
    for (uint32_t i = 0; i < retriers->count; i++) {
        struct script_retrier *retrier = &retriers->items[i];
        *retrier = (struct script_retrier){
            .errors = draw_errors(chance),
            .attempts_max = chance_draw(chance, 4),
            .interval_s = 1 + chance_draw(chance, 4),
            .rate_tenths = 10 + 5 * chance_draw(chance, 4),
            .delay_s_max = chance_percent(chance, 30) ? 5 + chance_draw(chance, 5) : 0,
            .jitter = chance_percent(chance, 30),
        };
        if (retrier->errors == 0 && i + 1 < retriers->count)
            retrier->errors = 1;
    }
}

/* A state from `first` on. */
static int draw_ahead(struct chance *chance, uint32_t first, uint32_t count)
{
    return (int)(first + chance_draw(chance, count - first));
}

static void draw_catchers(struct script_catchers *catchers, struct chance *chance, uint32_t first,
                          uint32_t count)
{
    catchers->count = 1 + chance_draw(chance, SCRIPT_RULES_MAX);
    for (uint32_t i = 0; i < catchers->count; i++) {
        struct script_catcher *catcher = &catchers->items[i];
        *catcher = (struct script_catcher){draw_errors(chance), draw_into(chance),
                                           draw_ahead(chance, first, count)};
        if (catcher->errors == 0 && i + 1 < catchers->count)
            catcher->errors = 2;
    }
}

/* How the states of one script are drawn: in its tail nothing is compensated. */
struct drawing {
    struct chance *chance;
    const struct script_habits *habits;
    uint32_t count;
    uint32_t tail;
};

static uint32_t draw_timeout_s(struct drawing *drawing)
{
    return chance_percent(drawing->chance, drawing->habits->timeout)
               ? 1 + chance_draw(drawing->chance, 8)
               : 0;
}

static void draw_compensation(struct script_state *state, struct drawing *drawing)
{
    struct chance *chance = drawing->chance;
    state->compensated = chance_percent(chance, 65);
    state->undo_service = chance_draw(chance, SCRIPT_SERVICES);
    state->undo_handler = chance_draw(chance, SCRIPT_HANDLERS);
    state->undo_timeout_s = draw_timeout_s(drawing);
    draw_retriers(&state->undo_retriers, chance);
    if (drawing->tail < drawing->count && chance_percent(chance, 60))
        draw_catchers(&state->undo_catchers, chance, drawing->tail, drawing->count);
}

static void draw_task(struct script_state *state, struct drawing *drawing, uint32_t index)
{
    struct chance *chance = drawing->chance;
    state->service = chance_draw(chance, SCRIPT_SERVICES);
    state->handler = chance_draw(chance, SCRIPT_HANDLERS);
    state->signal = chance_draw(chance, SCRIPT_SIGNALS);
    state->timeout_s = draw_timeout_s(drawing);
    draw_retriers(&state->retriers, chance);
    if (state->kind == SCRIPT_FORGET) {
        state->into = SCRIPT_DROP;
        return;
    }
    if (state->kind == SCRIPT_TOKEN && chance_percent(chance, 50))
        state->heartbeat_s =
            1 + chance_draw(chance, state->timeout_s > 1 ? state->timeout_s - 1 : 4);
    if (state->heartbeat_s > 0 && state->timeout_s == 1)
        state->timeout_s = 0;
    if (index < drawing->tail) {
        state->pivot = chance_percent(chance, drawing->habits->pivot);
        if (state->kind != SCRIPT_SIGNAL)
            draw_compensation(state, drawing);
    }
    if (index + 1 < drawing->count && chance_percent(chance, 30))
        draw_catchers(&state->catchers, chance, index + 1, drawing->count);
}

static enum script_kind draw_kind(struct drawing *drawing, bool last)
{
    static const enum script_kind kinds[10] = {
        SCRIPT_TASK, SCRIPT_TASK, SCRIPT_TASK,   SCRIPT_TASK, SCRIPT_TASK,
        SCRIPT_TASK, SCRIPT_PASS, SCRIPT_CHOICE, SCRIPT_TASK, SCRIPT_FORGET};
    static const enum script_kind last_kinds[4] = {SCRIPT_TASK, SCRIPT_TASK, SCRIPT_SUCCEED,
                                                   SCRIPT_FAIL};
    struct chance *chance = drawing->chance;
    if (chance_percent(chance, drawing->habits->wait))
        return SCRIPT_WAIT;
    if (chance_percent(chance, drawing->habits->signal))
        return SCRIPT_SIGNAL;
    if (chance_percent(chance, drawing->habits->token))
        return SCRIPT_TOKEN;
    return last ? last_kinds[chance_draw(chance, 4)] : kinds[chance_draw(chance, 10)];
}

static bool is_task(enum script_kind kind)
{
    return kind == SCRIPT_TASK || kind == SCRIPT_FORGET || kind == SCRIPT_TOKEN ||
           kind == SCRIPT_SIGNAL;
}

static void draw_state(struct script_state *state, struct drawing *drawing, uint32_t index)
{
    struct chance *chance = drawing->chance;
    bool last = index + 1 == drawing->count;
    *state = (struct script_state){.kind = draw_kind(drawing, last)};
    state->next = last ? SCRIPT_NO_STATE : (int)index + 1;
    state->into = draw_into(chance);
    state->number = (int32_t)chance_draw(chance, 10);
    state->has_result = chance_percent(chance, 80);
    state->by_path = chance_percent(chance, 40);
    state->field = (int)chance_draw(chance, SCRIPT_FIELDS + 1) - 1;
    state->default_next = SCRIPT_NO_STATE;
    if (is_task(state->kind))
        draw_task(state, drawing, index);
    if (state->kind != SCRIPT_CHOICE)
        return;
    /* Every state is reached by the one before it. */
    state->choice_next = (int)index + 1;
    if (chance_percent(chance, 85))
        state->default_next = draw_ahead(chance, index + 1, drawing->count);
}

/* ---- the text ------------------------------------------------------------------------------- */

static void add(struct script *script, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add(struct script *script, const char *format, ...)
{
    size_t room = sizeof script->text - script->text_bytes;
    va_list arguments;
    va_start(arguments, format);
    int printed = vsnprintf(script->text + script->text_bytes, room, format, arguments);
    va_end(arguments);
    assert(printed >= 0 && (size_t)printed < room);
    script->text_bytes += (uint32_t)printed;
}

static void add_errors(struct script *script, uint8_t errors)
{
    const char *comma = "";
    add(script, "\"ErrorEquals\":[");
    if (errors == 0)
        add(script, "\"States.ALL\"");
    for (int i = 0; i <= SCRIPT_TASK_FAILED; i++) {
        if ((errors >> i & 1) == 0)
            continue;
        add(script, "%s\"%s\"", comma,
            i == SCRIPT_TASK_FAILED ? "States.TaskFailed" : script_errors[i]);
        comma = ",";
    }
    add(script, "]");
}

static void add_retriers(struct script *script, const struct script_retriers *retriers)
{
    if (retriers->count == 0)
        return;
    add(script, ",\"Retry\":[");
    for (uint32_t i = 0; i < retriers->count; i++) {
        const struct script_retrier *retrier = &retriers->items[i];
        add(script, "%s{", i > 0 ? "," : "");
        add_errors(script, retrier->errors);
        add(script, ",\"MaxAttempts\":%u,\"IntervalSeconds\":%u,\"BackoffRate\":%u.%u",
            retrier->attempts_max, retrier->interval_s, retrier->rate_tenths / 10,
            retrier->rate_tenths % 10);
        if (retrier->delay_s_max > 0)
            add(script, ",\"MaxDelaySeconds\":%u", retrier->delay_s_max);
        if (retrier->jitter)
            add(script, ",\"JitterStrategy\":\"FULL\"");
        add(script, "}");
    }
    add(script, "]");
}

static void add_into(struct script *script, int into)
{
    if (into == SCRIPT_DROP)
        add(script, ",\"ResultPath\":null");
    else if (into != SCRIPT_REPLACE)
        add(script, ",\"ResultPath\":\"$.r%d\"", into);
}

static void add_catchers(struct script *script, const struct script_catchers *catchers)
{
    if (catchers->count == 0)
        return;
    add(script, ",\"Catch\":[");
    for (uint32_t i = 0; i < catchers->count; i++) {
        add(script, "%s{", i > 0 ? "," : "");
        add_errors(script, catchers->items[i].errors);
        add_into(script, catchers->items[i].into);
        add(script, ",\"Next\":\"S%d\"}", catchers->items[i].next);
    }
    add(script, "]");
}

static void add_seconds(struct script *script, const char *name, uint32_t seconds)
{
    if (seconds > 0)
        add(script, ",\"%s\":%u", name, seconds);
}

static bool is_made(const struct script *script, uint32_t service)
{
    return script->made && service == SCRIPT_SERVICES - 1;
}

static void add_compensation(struct script *script, const struct script_state *state)
{
    if (!state->compensated)
        return;
    add(script, ",\"Compensate\":{\"Resource\":\"service:%s.u%u\"",
        script_services[state->undo_service], state->undo_handler);
    if (is_made(script, state->undo_service))
        add(script, ",\"Parameters\":{\"input.$\":\"$.input\",\"output.$\":\"$.output\"}");
    add_seconds(script, "TimeoutSeconds", state->undo_timeout_s);
    add_retriers(script, &state->undo_retriers);
    add_catchers(script, &state->undo_catchers);
    add(script, "}");
}

static void add_task(struct script *script, const struct script_state *state)
{
    add(script, "\"Type\":\"Task\",\"Resource\":");
    if (state->kind == SCRIPT_SIGNAL)
        add(script, "\"signal:s%u\"", state->signal);
    else
        add(script, "\"service:%s.h%u%s\"", script_services[state->service], state->handler,
            state->kind == SCRIPT_TOKEN ? ".waitForTaskToken" : "");
    if (state->kind != SCRIPT_SIGNAL && is_made(script, state->service))
        add(script, ",\"InputPath\":\"$\"");
    add_seconds(script, "TimeoutSeconds", state->timeout_s);
    add_seconds(script, "HeartbeatSeconds", state->heartbeat_s);
    add_retriers(script, &state->retriers);
    if (state->kind == SCRIPT_FORGET) {
        add(script, ",\"FireAndForget\":true");
        return;
    }
    if (state->pivot)
        add(script, ",\"Pivot\":true");
    add_into(script, state->into);
    add_compensation(script, state);
    add_catchers(script, &state->catchers);
}

static void add_wait(struct script *script, const struct script_state *state)
{
    add(script, "\"Type\":\"Wait\"");
    if (!state->by_path)
        add(script, ",\"Seconds\":%d", state->number);
    else if (state->field < 0)
        add(script, ",\"SecondsPath\":\"$.n\"");
    else
        add(script, ",\"SecondsPath\":\"$.r%d.n\"", state->field);
}

static void add_choice(struct script *script, const struct script_state *state)
{
    add(script, "\"Type\":\"Choice\",\"Choices\":[{\"Variable\":\"$");
    if (state->field >= 0)
        add(script, ".r%d", state->field);
    add(script, ".n\",\"NumericLessThan\":%d,\"Next\":\"S%d\"}]", state->number,
        state->choice_next);
    if (state->default_next != SCRIPT_NO_STATE)
        add(script, ",\"Default\":\"S%d\"", state->default_next);
}

static bool has_next(enum script_kind kind)
{
    return kind != SCRIPT_CHOICE && kind != SCRIPT_SUCCEED && kind != SCRIPT_FAIL;
}

static void add_state(struct script *script, uint32_t index)
{
    const struct script_state *state = &script->states[index];
    add(script, "%s\"S%u\":{", index > 0 ? "," : "", index);
    switch (state->kind) {
    case SCRIPT_TASK:
    case SCRIPT_FORGET:
    case SCRIPT_TOKEN:
    case SCRIPT_SIGNAL: add_task(script, state); break;
    case SCRIPT_WAIT: add_wait(script, state); break;
    case SCRIPT_CHOICE: add_choice(script, state); break;
    case SCRIPT_PASS:
        add(script, "\"Type\":\"Pass\"");
        if (state->has_result) {
            add(script, ",\"Result\":{\"n\":%d}", state->number);
            add_into(script, state->into);
        }
        break;
    case SCRIPT_SUCCEED: add(script, "\"Type\":\"Succeed\""); break;
    case SCRIPT_FAIL: add(script, "\"Type\":\"Fail\",\"Error\":\"Own\",\"Cause\":\"c\""); break;
    }
    if (has_next(state->kind) && state->next == SCRIPT_NO_STATE)
        add(script, ",\"End\":true");
    else if (has_next(state->kind))
        add(script, ",\"Next\":\"S%d\"", state->next);
    add(script, "}");
}

static void add_all(struct script *script)
{
    add(script, "{\"StartAt\":\"S0\"");
    add_seconds(script, "TimeoutSeconds", script->timeout_s);
    if (script->parallel)
        add(script, ",\"Compensation\":{\"Order\":\"Parallel\"}");
    add(script, ",\"States\":{");
    for (uint32_t i = 0; i < script->count; i++)
        add_state(script, i);
    add(script, "}}");
}

void script_draw(struct script *script, const struct script_habits *habits, struct chance *chance,
                 uint32_t number)
{
    memset(script, 0, sizeof *script);
    snprintf(script->name, sizeof script->name, "saga%u", number);
    uint32_t least = chance_percent(chance, 30) ? 1 : SCRIPT_STATES_MAX / 2;
    script->made = habits->made;
    script->count = least + chance_draw(chance, SCRIPT_STATES_MAX - least + 1);
    struct drawing drawing = {chance, habits, script->count, script->count};
    if (script->count > 1 && chance_percent(chance, habits->undo_catch))
        drawing.tail = 1 + chance_draw(chance, script->count - 1);
    script->timeout_s = chance_percent(chance, habits->timeout) ? 2 + chance_draw(chance, 30) : 0;
    script->parallel = chance_percent(chance, habits->parallel);
    for (uint32_t i = 0; i < script->count; i++) {
        const struct script_state *state = &script->states[i];
        draw_state(&script->states[i], &drawing, i);
        script->forgets_count += state->kind == SCRIPT_FORGET;
        script->compensated_count += state->compensated;
        if (state->kind == SCRIPT_SIGNAL)
            script->has_signal[state->signal] = true;
    }
    add_all(script);
}
