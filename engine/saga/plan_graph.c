#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "engine/saga/plan_build.h"

/* ---- ways ---------------------------------------------------------------------------------- */

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

/* States that have been come to, and from where: each is opened once. */
struct reach {
    uint16_t from[PLAN_STATES_MAX]; /* PLAN_NO_STATE: not reached */
    uint16_t open[PLAN_STATES_MAX];
    uint32_t open_count;
};

static void reach_init(struct reach *reach)
{
    memset(reach->from, 0xff, sizeof reach->from);
    reach->open_count = 0;
}

static void reach_add(struct reach *reach, uint16_t state, uint16_t from)
{
    if (state == PLAN_NO_STATE || reach->from[state] != PLAN_NO_STATE)
        return;
    reach->from[state] = from;
    reach->open[reach->open_count++] = state;
}

/* The states that the catchers of a compensation lead to. */
static void reach_add_undo(struct reach *reach, const struct plan *plan, uint16_t state,
                           uint16_t from)
{
    const struct plan_state *undone = &plan->states[state];
    for (uint32_t i = 0; i < undone->undo_catchers_count; i++)
        reach_add(reach, plan->catchers[undone->undo_catchers_first + i].next, from);
}

/* Takes an open state and adds those that may follow it, come to from where it was come to. */
static uint16_t reach_follow(struct reach *reach, const struct plan *plan)
{
    assert(reach->open_count > 0);
    uint16_t at = reach->open[--reach->open_count];
    const struct plan_state *state = &plan->states[at];
    for (uint32_t i = 0; i < count_successors(state); i++)
        reach_add(reach, successor_of(plan, state, i), reach->from[at]);
    return at;
}

/* ---- rules --------------------------------------------------------------------------------- */

static bool check_reached(struct plan_build *build)
{
    const struct plan *plan = build->plan;
    struct reach reach;
    reach_init(&reach);
    reach_add(&reach, plan->start, plan->start);
    while (reach.open_count > 0) {
        uint16_t at = reach_follow(&reach, plan);
        reach_add_undo(&reach, plan, at, plan->start);
    }
    for (uint32_t i = 0; i < plan->states_count; i++)
        if (reach.from[i] == PLAN_NO_STATE)
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

/* A Catch in a Compensate is no way out: only a saga that compensates takes it. */
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

/* While a saga compensates, a step that is done may neither ask to be compensated later nor forbid
 * the compensations that are still to come. A state that is on its way forward too is no
 * exception. */
static bool check_undo_ways(struct plan_build *build)
{
    const struct plan *plan = build->plan;
    struct reach reach;
    reach_init(&reach);
    for (uint32_t i = 0; i < plan->states_count; i++)
        reach_add_undo(&reach, plan, (uint16_t)i, (uint16_t)i);
    while (reach.open_count > 0)
        reach_follow(&reach, plan);
    for (uint32_t i = 0; i < plan->states_count; i++) {
        const struct plan_state *state = &plan->states[i];
        if (reach.from[i] == PLAN_NO_STATE || (!state->compensated && !state->pivot))
            continue;
        const char *field = state->compensated ? "Compensate" : "Pivot";
        return plan_build_refuse(
            build, STATUS_INVALID,
            PLACE_FIELD(PLACE_FIELD(PLACE_FIELD(NULL, "States"), state->name), field),
            "the Catch in the Compensate of \"%s\" leads here, and a step that is part of a "
            "compensation %s; take it out, or let that Catch lead to other states",
            plan->states[reach.from[i]].name,
            state->compensated ? "is not compensated itself" : "cannot be a pivot");
    }
    return true;
}

bool plan_graph_check(struct plan_build *build)
{
    assert(build->plan->states_count > 0 && build->plan->states_count <= PLAN_STATES_MAX);
    return check_reached(build) && check_ends(build) && check_undo_ways(build);
}
