#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "engine/saga/plan_build.h"

static uint32_t count_successors(const struct plan_state *state)
{
    return 2u + state->catchers_count + state->choices_count;
}

/* The i-th state that may follow, or PLAN_NO_STATE where that way is not there. */
static uint16_t successor_of(const struct plan *plan, const struct plan_state *state, uint32_t i)
{
    assert(i < count_successors(state));
    if (i == 0)
        return state->next;
    if (i == 1)
        return state->default_next;
    i -= 2;
    if (i < state->catchers_count)
        return plan->catchers[state->catchers_first + i].next;
    return plan->choices[state->choices_first + i - state->catchers_count].next;
}

static bool check_reached(struct plan_build *build)
{
    const struct plan *plan = build->plan;
    bool reached[PLAN_STATES_MAX] = {false};
    uint16_t open[PLAN_STATES_MAX];
    uint32_t open_count = 0;
    open[open_count++] = plan->start;
    reached[plan->start] = true;
    while (open_count > 0) {
        const struct plan_state *state = &plan->states[open[--open_count]];
        for (uint32_t i = 0; i < count_successors(state); i++) {
            uint16_t next = successor_of(plan, state, i);
            if (next == PLAN_NO_STATE || reached[next])
                continue;
            reached[next] = true;
            open[open_count++] = next;
        }
    }
    for (uint32_t i = 0; i < plan->states_count; i++)
        if (!reached[i])
            return plan_build_refuse(
                build, STATUS_INVALID,
                PLACE_FIELD(PLACE_FIELD(NULL, "States"), plan->states[i].name),
                "no way leads here from StartAt (\"%s\"); name it in a Next, or take it out",
                plan->states[plan->start].name);
    return true;
}

static bool is_end(const struct plan_state *state)
{
    return state->type == STATE_SUCCEED || state->type == STATE_FAIL ||
           (state->type != STATE_CHOICE && state->next == PLAN_NO_STATE);
}

static bool has_way_out(const struct plan *plan, const struct plan_state *state, const bool *ends)
{
    if (is_end(state))
        return true;
    for (uint32_t i = 0; i < count_successors(state); i++) {
        uint16_t next = successor_of(plan, state, i);
        if (next != PLAN_NO_STATE && ends[next])
            return true;
    }
    return false;
}

/* Names the states of the circle that `start`, which never ends, leads into. */
static bool refuse_circle(struct plan_build *build, uint16_t start)
{
    const struct plan *plan = build->plan;
    uint16_t way[PLAN_STATES_MAX] = {start};
    bool seen[PLAN_STATES_MAX] = {false};
    uint32_t count = 0, first = 0;
    uint16_t at = start;
    while (!seen[at]) {
        seen[at] = true;
        way[count++] = at;
        uint32_t i = 0;
        while (successor_of(plan, &plan->states[at], i) == PLAN_NO_STATE)
            i++;
        at = successor_of(plan, &plan->states[at], i);
    }
    while (way[first] != at)
        first++;

    char circle[400] = "";
    size_t bytes = 0;
    for (uint32_t i = first; i < count && bytes < sizeof circle; i++)
        bytes += (size_t)snprintf(circle + bytes, sizeof circle - bytes, "%s -> ",
                                  plan->states[way[i]].name);
    bool cut = bytes >= sizeof circle;
    return plan_build_refuse(
        build, STATUS_INVALID, PLACE_FIELD(PLACE_FIELD(NULL, "States"), plan->states[at].name),
        "%s%s%s goes round for ever; give one of them a way to End, a Succeed or a Fail state",
        circle, cut ? "... -> " : "", plan->states[at].name);
}

static bool check_ends(struct plan_build *build)
{
    const struct plan *plan = build->plan;
    bool ends[PLAN_STATES_MAX] = {false};
    bool changed = true;
    while (changed) {
        changed = false;
        /* Backwards, since most definitions name their states in the order they run in. */
        for (uint32_t i = plan->states_count; i-- > 0;) {
            if (ends[i] || !has_way_out(plan, &plan->states[i], ends))
                continue;
            ends[i] = changed = true;
        }
    }
    for (uint32_t i = 0; i < plan->states_count; i++)
        if (!ends[i])
            return refuse_circle(build, (uint16_t)i);
    return true;
}

bool plan_graph_check(struct plan_build *build)
{
    assert(build->plan->states_count > 0 && build->plan->states_count <= PLAN_STATES_MAX);
    return check_reached(build) && check_ends(build);
}
