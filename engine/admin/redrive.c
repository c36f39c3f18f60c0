#include "engine/admin/redrive.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/admin/life.h"
#include "engine/base/hex.h"
#include "engine/saga/event.h"

/* As much as a request may have (control.h), in hexadecimal digits and with the rest of it. */
#define EVENT_BYTES_MAX ((1u << 19) - 256u)

struct redrive {
    uint64_t saga_id;
    uint32_t plan;
    uint8_t *event; /* EVENT_BYTES_MAX: as it would be if the event in work made it fail */
    size_t event_bytes;
    bool is_done;
    enum outcome outcome;
    struct problem problem; /* why it cannot be, as of the event in work */
    struct event_step steps[EVENT_REDRIVE_STEPS_MAX];
    uint8_t *steps_bytes; /* EVENT_BYTES_MAX */
};

/* ---- before an event ------------------------------------------------------------------------- */

/* The steps that are done, in the order in which they were: encoded into steps_bytes. */
static bool encode_steps(struct redrive *redrive, const struct core *core, uint32_t slot,
                         struct event *event)
{
    uint32_t at = CORE_NO_SAGA;
    uint32_t count = 0;
    struct event_step step;
    while (core_next_completed(core, slot, &at, &step)) {
        if (count == EVENT_REDRIVE_STEPS_MAX) {
            problem_set(&redrive->problem, STATUS_TOO_LARGE,
                        "saga %" PRIu64
                        " had done more than %u steps that can be compensated, as many as can be "
                        "brought along: start it anew",
                        redrive->saga_id, EVENT_REDRIVE_STEPS_MAX);
            return false;
        }
        redrive->steps[count++] = step;
    }
    uint8_t *end = redrive->steps_bytes;
    for (uint32_t i = count; i-- > 0;) {
        size_t used = (size_t)(end - redrive->steps_bytes);
        if (event_step_bytes_max(&redrive->steps[i]) > EVENT_BYTES_MAX - used) {
            problem_set(&redrive->problem, STATUS_TOO_LARGE,
                        "what saga %" PRIu64 " had done is too large to be brought along: start it "
                        "anew",
                        redrive->saga_id);
            return false;
        }
        end = event_encode_step(&redrive->steps[i], end);
    }
    event->redrive.steps_count = count;
    event->redrive.steps =
        (struct flyover_bytes){redrive->steps_bytes, (uint32_t)(end - redrive->steps_bytes)};
    return true;
}

/* A step that was done, or a pause that was over, led by itself to where the saga ended. */
static bool went_on(const struct event *event, enum phase phase)
{
    return event->kind == EVENT_START || event->kind == EVENT_REDRIVE ||
           event->kind == EVENT_RESULT || event->kind == EVENT_SIGNAL ||
           (phase == PHASE_SLEEPING &&
            (event->kind == EVENT_MEND || (event->kind == EVENT_TIMER && !event->timer.of_saga)));
}

static void refuse_way(struct redrive *redrive)
{
    problem_set(&redrive->problem, STATUS_INVALID,
                "saga %" PRIu64
                " was ended by its definition and not by a step that failed: it would end there "
                "again; start it anew with another input",
                redrive->saga_id);
}

static void before_event(struct redrive *redrive, const struct core *core,
                         const struct event *event)
{
    struct event made = {.kind = EVENT_REDRIVE,
                         .redrive = {.of_saga_id = redrive->saga_id, .plan = 0}};
    struct core_saga_view saga;
    struct core_branch_view branch;
    uint32_t slot = core_find_saga(core, redrive->saga_id);
    redrive->event_bytes = 0;
    redrive->problem = (struct problem){0};
    if (slot == CORE_NO_SAGA || !core_view_saga(core, slot, &saga) ||
        !core_view_branch(core, saga.branch, &branch)) {
        refuse_way(redrive);
        return;
    }
    if (went_on(event, branch.phase)) {
        refuse_way(redrive);
        return;
    }
    const struct plan *plan = core_plan(core, 0);
    while (plan->states[made.redrive.state].name != branch.state)
        made.redrive.state++;
    made.redrive.step_no = saga.step_no;
    made.redrive.payload = core_branch_payload(core, saga.branch);
    made.redrive.trace = core_trace(core, saga.branch);
    if (!encode_steps(redrive, core, slot, &made))
        return;
    made.redrive.plan = CORE_PLANS_MAX; /* room for the number that it will be */
    if (event_encoded_bytes_max(&made) > EVENT_BYTES_MAX) {
        problem_set(&redrive->problem, STATUS_TOO_LARGE,
                    "what saga %" PRIu64 " had done is too large to be brought along: start it "
                    "anew",
                    redrive->saga_id);
        return;
    }
    made.redrive.plan = redrive->plan;
    redrive->event_bytes = (size_t)(event_encode(&made, redrive->event) - redrive->event);
}

/* ---- the hook -------------------------------------------------------------------------------- */

static void on_event(void *context, enum partition_moment moment, const struct block_header *header,
                     const struct partition_state *state, const struct event *event)
{
    struct redrive *redrive = context;
    (void)header;
    if (redrive->is_done)
        return;
    if (moment == PARTITION_BEFORE_EVENT) {
        before_event(redrive, state->core, event);
        return;
    }
    const struct effect_queue *effects = &state->effects;
    for (uint64_t i = effects->head; i < effects->tail; i++) {
        const struct effect *effect = effect_at(effects, i);
        if (effect->kind != EFFECT_REPLY || effect->outcome == OUTCOME_STUCK)
            continue;
        redrive->is_done = true;
        redrive->outcome = (enum outcome)effect->outcome;
    }
}

static enum status check_outcome(const struct redrive *redrive, struct problem *problem)
{
    switch (redrive->outcome) {
    case OUTCOME_FAILED:
    case OUTCOME_ABORTED: return STATUS_OK;
    case OUTCOME_COMPENSATED:
        return problem_set(problem, STATUS_INVALID,
                           "what saga %" PRIu64 " had done was undone: start it anew",
                           redrive->saga_id);
    case OUTCOME_SUCCEEDED:
        return problem_set(problem, STATUS_INVALID,
                           "saga %" PRIu64 " has succeeded: there is nothing to do again",
                           redrive->saga_id);
    case OUTCOME_RUNNING:
    case OUTCOME_STUCK: break;
    }
    return problem_set(problem, STATUS_INVALID, "saga %" PRIu64 " has not ended", redrive->saga_id);
}

static json_t *request_of(const struct redrive *redrive)
{
    char *text = malloc(redrive->event_bytes * 2 + 1);
    if (text == NULL)
        return NULL;
    int digits = (int)hex_write(redrive->event, redrive->event_bytes, text);
    json_t *request = json_pack("{s:s, s:s#}", "do", "redrive", "event", text, digits);
    free(text);
    return request;
}

enum status redrive_prepare(const struct asker *asker, uint64_t saga_id, json_t **ret_request,
                            struct problem *problem)
{
    struct redrive *redrive = calloc(1, sizeof *redrive);
    enum status status = STATUS_NO_MEMORY;
    if (redrive != NULL) {
        redrive->saga_id = saga_id;
        redrive->event = malloc(EVENT_BYTES_MAX);
        redrive->steps_bytes = malloc(EVENT_BYTES_MAX);
    }
    if (redrive == NULL || redrive->event == NULL || redrive->steps_bytes == NULL)
        problem_set(problem, status, "out of memory");
    else
        status = life_walk(asker, saga_id, on_event, redrive, &redrive->plan, problem);
    if (status == STATUS_OK)
        status = check_outcome(redrive, problem);
    if (status == STATUS_OK && redrive->event_bytes == 0)
        status = problem_set(problem, redrive->problem.status, "%s", redrive->problem.text);
    if (status == STATUS_OK) {
        *ret_request = request_of(redrive);
        if (*ret_request == NULL)
            status = problem_set(problem, STATUS_NO_MEMORY, "out of memory");
    }
    if (redrive != NULL) {
        free(redrive->event);
        free(redrive->steps_bytes);
    }
    free(redrive);
    return status;
}
