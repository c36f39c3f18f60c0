/*
 * Any bytes as a definition: what is refused has a sentence fit for a terminal, what is accepted
 * can be printed and run through. The rest of an input after its first NUL is the input of the
 * saga, so that Choices and templates meet values of all kinds.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/saga/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static FILE *nowhere(void)
{
    static FILE *out;
    if (out == NULL)
        out = fopen("/dev/null", "w");
    assert(out != NULL);
    return out;
}

static void check_sentence(const struct problem *problem, enum status status)
{
    size_t count = strnlen(problem->text, sizeof problem->text);
    assert(problem->status == status && status_class(status) == STATUS_CLASS_REJECT);
    assert(count > strlen("fuzz.json: ") && count < sizeof problem->text);
    assert(strncmp(problem->text, "fuzz.json:", strlen("fuzz.json:")) == 0);
    for (size_t i = 0; i < count; i++)
        assert((uint8_t)problem->text[i] >= 0x20 && problem->text[i] != 0x7f);
}

static void check_catchers(const struct plan *plan, uint16_t first, uint16_t count)
{
    struct flyover_bytes error = {.at = (const uint8_t *)"Fuzz.Error", .count = 10};
    uint16_t catcher = plan_find_catcher(plan, first, count, error);
    assert(catcher == UINT16_MAX || plan->catchers[catcher].next < plan->states_count);
}

static void check_retriers(const struct plan *plan, uint16_t first, uint16_t count)
{
    struct flyover_bytes error = {.at = (const uint8_t *)"Fuzz.Error", .count = 10};
    uint16_t retrier = plan_find_retrier(plan, first, count, error);
    for (uint32_t i = 1; retrier != UINT16_MAX && i < 1000000; i *= 10)
        assert(plan_retry_delay_ms(&plan->retriers[retrier], i, i) <= PLAN_DELAY_MS_MAX);
}

static void check_task(const struct plan *plan, const struct plan_state *state)
{
    bool by_signal = state->task_kind == TASK_SIGNAL;
    assert(by_signal == (state->signal != PLAN_NO_SIGNAL));
    if (by_signal)
        assert(plan_find_signal(plan, plan->signals[state->signal]) == state->signal);
    else
        assert(state->resource < plan->resources_count);
    assert(state->timeout_ms <= PLAN_WAIT_MS_MAX && state->undo_timeout_ms <= PLAN_WAIT_MS_MAX);
    assert(state->heartbeat_ms == 0 || state->task_kind != TASK_SIGNAL);
    assert(state->timeout_ms == 0 || state->heartbeat_ms < state->timeout_ms);
    assert(!state->compensated || state->undo_resource < plan->resources_count);
    assert(!state->compensated || (!by_signal && !state->fire_and_forget));
    assert(state->compensated || state->undo_catchers_count == 0);
    assert(!state->fire_and_forget || (state->task_kind == TASK_HANDLER && !state->pivot));
}

static void check_wait(const struct plan_state *state, struct flyover_bytes input)
{
    static const int64_t nows_ms[] = {0, 1795694400000, INT64_MAX};
    for (size_t i = 0; i < sizeof nows_ms / sizeof nows_ms[0]; i++) {
        int64_t until_ms = 0;
        const char *reason = NULL;
        if (!plan_wait_until(state, input, nows_ms[i], &until_ms, &reason))
            assert(reason != NULL);
        else
            assert(until_ms >= nows_ms[i] && (uint64_t)(until_ms - nows_ms[i]) <= PLAN_WAIT_MS_MAX);
    }
}

static void walk(const struct plan *plan, const struct plan_state *state,
                 struct flyover_bytes input)
{
    assert(state->next == PLAN_NO_STATE || state->next < plan->states_count);
    if (state->type == STATE_CHOICE) {
        uint16_t next = plan_choose(plan, state, input);
        assert(next == PLAN_NO_STATE || next < plan->states_count);
    }
    if (state->type == STATE_TASK)
        check_task(plan, state);
    if (state->type == STATE_WAIT)
        check_wait(state, input);
    if (state->has_result)
        assert(value_check(state->result, NULL));
    check_catchers(plan, state->catchers_first, state->catchers_count);
    check_catchers(plan, state->undo_catchers_first, state->undo_catchers_count);
    check_retriers(plan, state->retriers_first, state->retriers_count);
    check_retriers(plan, state->undo_retriers_first, state->undo_retriers_count);
}

/* Whatever it is of: a payload comes out, or a name and a cause. */
static void check_template(const struct template *template, struct flyover_bytes input)
{
    static uint8_t room[TEMPLATE_ROOM_BYTES];
    static const struct template_context context = {.saga_id = UINT64_MAX,
                                                    .attempt_no = 1,
                                                    .state = "A",
                                                    .machine = "fuzz",
                                                    .key = "key",
                                                    .token = "token"};
    struct template_failure failure = {.name = NULL};
    struct flyover_bytes value;
    if (template_evaluate(template, input, &context, room, &value, &failure)) {
        assert(value.count > 0 && value.count <= TEMPLATE_WRAPPED_BYTES_MAX);
        assert(template->depth_max > FLYOVER_DEPTH_MAX || value_check(value, NULL));
    } else {
        assert(strncmp(failure.name, "States.", strlen("States.")) == 0);
        assert(strnlen(failure.cause, sizeof failure.cause) < sizeof failure.cause);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t text_bytes = size == 0 ? 0 : strnlen((const char *)data, size);
    /* Of exactly its size, so that a read beyond it is seen. */
    char *text = malloc(text_bytes == 0 ? 1 : text_bytes);
    assert(text != NULL);
    if (text_bytes > 0)
        memcpy(text, data, text_bytes);
    struct plan *plan = NULL;
    struct problem problem = {.text = ""};
    enum status status = plan_compile("fuzz", "fuzz.json", text, text_bytes, &plan, &problem);
    free(text);
    if (status != STATUS_OK) {
        assert(plan == NULL);
        check_sentence(&problem, status);
        return 0;
    }
    static const uint8_t nil = 0xc0;
    struct flyover_bytes input = {.at = &nil, .count = 1};
    if (text_bytes < size) {
        struct flyover_bytes rest = {.at = data + text_bytes + 1,
                                     .count = (uint32_t)(size - text_bytes - 1)};
        if (value_check(rest, NULL))
            input = rest;
    }
    assert(plan->undo_branches >= 1 && plan->undo_branches <= PLAN_UNDO_BRANCHES_MAX);
    assert(plan->timeout_ms <= PLAN_WAIT_MS_MAX);
    for (uint32_t i = 0; i < plan->states_count; i++)
        walk(plan, &plan->states[i], input);
    for (uint32_t i = 0; i < plan->templates_count; i++)
        check_template(&plan->templates[i], input);
    plan_print(plan, nowhere());
    plan_free(plan);
    return 0;
}
