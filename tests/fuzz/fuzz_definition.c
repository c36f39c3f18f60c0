/*
 * Any bytes as a definition: what is refused has a sentence fit for a terminal, what is accepted
 * can be printed and run through. The rest of an input after its first NUL is the input of the
 * saga, so that Choices meet values of all kinds.
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

static void walk(const struct plan *plan, const struct plan_state *state,
                 struct flyover_bytes input)
{
    struct flyover_bytes error = {.at = (const uint8_t *)"Fuzz.Error", .count = 10};
    assert(state->next == PLAN_NO_STATE || state->next < plan->states_count);
    if (state->type == STATE_CHOICE) {
        uint16_t next = plan_choose(plan, state, input);
        assert(next == PLAN_NO_STATE || next < plan->states_count);
    }
    if (state->type == STATE_TASK)
        assert(state->resource < plan->resources_count);
    if (state->has_result)
        assert(value_check(state->result, NULL));
    uint16_t catcher = plan_find_catcher(plan, state, error);
    assert(catcher == UINT16_MAX || plan->catchers[catcher].next < plan->states_count);
    uint16_t retrier = plan_find_retrier(plan, state->retriers_first, state->retriers_count, error);
    for (uint32_t i = 1; retrier != UINT16_MAX && i < 1000000; i *= 10)
        assert(plan_retry_delay_ms(&plan->retriers[retrier], i, i) <= PLAN_DELAY_MS_MAX);
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
    for (uint32_t i = 0; i < plan->states_count; i++)
        walk(plan, &plan->states[i], input);
    plan_print(plan, nowhere());
    plan_free(plan);
    return 0;
}
