#include "engine/saga/plan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void plan_free(struct plan *plan)
{
    free(plan);
}

/* ---- Retry and Catch ----------------------------------------------------------------------- */

static bool equals(struct flyover_bytes bytes, const char *text)
{
    return bytes.count == strlen(text) && memcmp(bytes.at, text, bytes.count) == 0;
}

/* Whether one name of an ErrorEquals matches. A saga that is broken in itself cannot be mended by
 * running the step again, so the wildcards leave its errors alone. */
static bool name_matches(struct flyover_bytes name, struct flyover_bytes error)
{
    if (name.count == error.count && memcmp(name.at, error.at, name.count) == 0)
        return true;
    if (equals(error, "States.DataLimitExceeded") || equals(error, "States.Runtime"))
        return false;
    if (equals(name, "States.Timeout") && equals(error, "States.HeartbeatTimeout"))
        return true;
    if (equals(name, "States.TaskFailed"))
        return !equals(error, "States.Timeout");
    return equals(name, "States.ALL");
}

static bool any_matches(const struct plan *plan, uint16_t first, uint16_t count,
                        struct flyover_bytes error)
{
    assert((uint32_t)first + count <= plan->errors_count);
    for (uint32_t i = 0; i < count; i++)
        if (name_matches(plan->errors[first + i], error))
            return true;
    return false;
}

uint16_t plan_find_retrier(const struct plan *plan, uint16_t first, uint16_t count,
                           struct flyover_bytes error)
{
    assert((uint32_t)first + count <= plan->retriers_count);
    for (uint32_t i = first; i < (uint32_t)first + count; i++) {
        const struct plan_retrier *retrier = &plan->retriers[i];
        if (any_matches(plan, retrier->errors_first, retrier->errors_count, error))
            return (uint16_t)i;
    }
    return UINT16_MAX;
}

uint16_t plan_find_catcher(const struct plan *plan, uint16_t first, uint16_t count,
                           struct flyover_bytes error)
{
    assert((uint32_t)first + count <= plan->catchers_count);
    for (uint32_t i = first; i < (uint32_t)first + count; i++) {
        const struct plan_catcher *catcher = &plan->catchers[i];
        if (any_matches(plan, catcher->errors_first, catcher->errors_count, error))
            return (uint16_t)i;
    }
    return UINT16_MAX;
}

/* ---- signals ------------------------------------------------------------------------------- */

uint16_t plan_find_signal(const struct plan *plan, struct flyover_bytes name)
{
    assert(plan->signals_count <= PLAN_SIGNALS_MAX);
    for (uint16_t i = 0; i < plan->signals_count; i++) {
        struct flyover_bytes known = plan->signals[i];
        if (known.count == name.count && memcmp(known.at, name.at, name.count) == 0)
            return i;
    }
    return PLAN_NO_SIGNAL;
}

/* ---- templates ----------------------------------------------------------------------------- */

uint16_t plan_find_templated(const struct plan *plan, uint16_t resource, bool *ret_undo)
{
    for (uint32_t i = 0; i < plan->states_count; i++) {
        const struct plan_state *state = &plan->states[i];
        bool forward = state->resource == resource && (state->arguments != PLAN_NO_TEMPLATE ||
                                                       state->selector != PLAN_NO_TEMPLATE);
        bool undo = state->undo_resource == resource && state->undo_arguments != PLAN_NO_TEMPLATE;
        if (!forward && !undo)
            continue;
        *ret_undo = !forward;
        return (uint16_t)i;
    }
    return PLAN_NO_STATE;
}

bool plan_is_edge(const char *service)
{
    return strncmp(service, "aws-", strlen("aws-")) == 0 || strcmp(service, "sql") == 0;
}

/* ---- delays -------------------------------------------------------------------------------- */

/* rate^exponent by squaring. Products of doubles round the same way on every machine, which pow()
 * does not promise; one that is too large becomes infinite, and stays so. */
static double power_of(double rate, uint32_t exponent)
{
    double power = 1.0;
    for (; exponent > 0; exponent >>= 1) {
        if (exponent & 1)
            power *= rate;
        rate *= rate;
    }
    return power;
}

/* Every bit of the result depends on every bit of the input.
 * Source: David Stafford, "Better Bit Mixing", variant 13. */
static uint64_t mix(uint64_t bits)
{
    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9u;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebu;
    return bits ^ (bits >> 31);
}

uint64_t plan_retry_delay_ms(const struct plan_retrier *retrier, uint32_t attempt_no, uint64_t seed)
{
    assert(attempt_no >= 1 && retrier->interval_ms >= 1);
    assert(retrier->delay_ms_max <= PLAN_DELAY_MS_MAX);
    double wanted_ms =
        (double)retrier->interval_ms * power_of(retrier->backoff_rate, attempt_no - 1);
    uint64_t delay_ms = retrier->delay_ms_max;
    if (wanted_ms < (double)delay_ms)
        delay_ms = (uint64_t)wanted_ms;
    if (!retrier->jitter_full)
        return delay_ms;
    /* The high half of draw x (delay + 1) is even over [0, delay], near enough to the last bit. */
    uint64_t draw = mix(mix(seed) + attempt_no * 0x9e3779b97f4a7c15u);
    return (uint64_t)(((unsigned __int128)draw * (delay_ms + 1)) >> 64);
}
