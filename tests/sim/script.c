#include "tests/sim/script.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *const script_services[SCRIPT_SERVICES] = {"alpha", "beta", "gamma"};
const char *const script_errors[SCRIPT_ERRORS + 1] = {"X", "Y", "Z", "Flyover.BadOutput"};

bool script_matches(uint8_t errors, int error)
{
    return errors == 0 || (errors >> error & 1) != 0;
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
    return (uint8_t)chance_draw(chance, 1u << SCRIPT_ERRORS);
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

static int draw_ahead(struct chance *chance, uint32_t index, uint32_t count)
{
    return (int)(index + 1 + chance_draw(chance, count - index - 1));
}

static void draw_task(struct script_state *state, struct chance *chance, uint32_t index,
                      uint32_t count)
{
    state->service = chance_draw(chance, SCRIPT_SERVICES);
    state->handler = chance_draw(chance, SCRIPT_HANDLERS);
    draw_retriers(&state->retriers, chance);
    if (state->kind == SCRIPT_FORGET) {
        state->into = SCRIPT_DROP;
        return;
    }
    state->compensated = chance_percent(chance, 65);
    state->undo_service = chance_draw(chance, SCRIPT_SERVICES);
    state->undo_handler = chance_draw(chance, SCRIPT_HANDLERS);
    draw_retriers(&state->undo_retriers, chance);
    if (index + 1 == count)
        return;
    state->catchers_count = chance_percent(chance, 30) ? 1 + chance_draw(chance, 2) : 0;
    for (uint32_t i = 0; i < state->catchers_count; i++) {
        struct script_catcher *catcher = &state->catchers[i];
        *catcher = (struct script_catcher){draw_errors(chance), draw_into(chance),
                                           draw_ahead(chance, index, count)};
        if (catcher->errors == 0 && i + 1 < state->catchers_count)
            catcher->errors = 2;
    }
}

static enum script_kind draw_kind(struct chance *chance, bool last)
{
    static const enum script_kind kinds[10] = {
        SCRIPT_TASK, SCRIPT_TASK, SCRIPT_TASK,   SCRIPT_TASK, SCRIPT_TASK,
        SCRIPT_TASK, SCRIPT_PASS, SCRIPT_CHOICE, SCRIPT_TASK, SCRIPT_FORGET};
    static const enum script_kind last_kinds[4] = {SCRIPT_TASK, SCRIPT_TASK, SCRIPT_SUCCEED,
                                                   SCRIPT_FAIL};
    return last ? last_kinds[chance_draw(chance, 4)] : kinds[chance_draw(chance, 10)];
}

static void draw_state(struct script_state *state, struct chance *chance, uint32_t index,
                       uint32_t count)
{
    bool last = index + 1 == count;
    *state = (struct script_state){.kind = draw_kind(chance, last)};
    state->next = last ? SCRIPT_NO_STATE : (int)index + 1;
    state->into = draw_into(chance);
    state->number = (int32_t)chance_draw(chance, 10);
    state->has_result = chance_percent(chance, 80);
    state->field = (int)chance_draw(chance, SCRIPT_FIELDS + 1) - 1;
    state->default_next = SCRIPT_NO_STATE;
    if (state->kind == SCRIPT_TASK || state->kind == SCRIPT_FORGET)
        draw_task(state, chance, index, count);
    if (state->kind != SCRIPT_CHOICE)
        return;
    /* Every state is reached by the one before it. */
    state->choice_next = (int)index + 1;
    if (chance_percent(chance, 85))
        state->default_next = draw_ahead(chance, index, count);
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
    for (int i = 0; i < SCRIPT_ERRORS && errors != 0; i++) {
        if (!script_matches(errors, i))
            continue;
        add(script, "%s\"%s\"", comma, script_errors[i]);
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

static void add_task(struct script *script, const struct script_state *state)
{
    add(script, "\"Type\":\"Task\",\"Resource\":\"service:%s.h%u\"",
        script_services[state->service], state->handler);
    add_retriers(script, &state->retriers);
    if (state->kind == SCRIPT_FORGET) {
        add(script, ",\"FireAndForget\":true");
        return;
    }
    add_into(script, state->into);
    if (state->compensated) {
        add(script, ",\"Compensate\":{\"Resource\":\"service:%s.u%u\"",
            script_services[state->undo_service], state->undo_handler);
        add_retriers(script, &state->undo_retriers);
        add(script, "}");
    }
    if (state->catchers_count == 0)
        return;
    add(script, ",\"Catch\":[");
    for (uint32_t i = 0; i < state->catchers_count; i++) {
        add(script, "%s{", i > 0 ? "," : "");
        add_errors(script, state->catchers[i].errors);
        add_into(script, state->catchers[i].into);
        add(script, ",\"Next\":\"S%d\"}", state->catchers[i].next);
    }
    add(script, "]");
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

static void add_state(struct script *script, uint32_t index)
{
    const struct script_state *state = &script->states[index];
    add(script, "%s\"S%u\":{", index > 0 ? "," : "", index);
    switch (state->kind) {
    case SCRIPT_TASK:
    case SCRIPT_FORGET: add_task(script, state); break;
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
    if (state->kind == SCRIPT_TASK || state->kind == SCRIPT_FORGET || state->kind == SCRIPT_PASS) {
        if (state->next == SCRIPT_NO_STATE)
            add(script, ",\"End\":true");
        else
            add(script, ",\"Next\":\"S%d\"", state->next);
    }
    add(script, "}");
}

void script_draw(struct script *script, struct chance *chance, uint32_t number)
{
    memset(script, 0, sizeof *script);
    snprintf(script->name, sizeof script->name, "saga%u", number);
    script->count = 1 + chance_draw(chance, SCRIPT_STATES_MAX);
    for (uint32_t i = 0; i < script->count; i++)
        draw_state(&script->states[i], chance, i, script->count);
    add(script, "{\"StartAt\":\"S0\",\"States\":{");
    for (uint32_t i = 0; i < script->count; i++)
        add_state(script, i);
    add(script, "}}");
}
