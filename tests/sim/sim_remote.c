/* The worker of gamma where that is a remote service: it takes, answers, beats, gives back, answers
 * late, or vanishes with all that it has. What it would answer is what the handler would. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/partition/remote.h"
#include "engine/saga/core_state.h"
#include "tests/sim/sim_parts.h"

static const struct flyover_bytes cause = {(const uint8_t *)"told to", 7};

/* ---- what it gets ---------------------------------------------------------------------------- */

static uint8_t *put(uint8_t *at, const void *bytes, uint32_t count)
{
    if (count > 0)
        memcpy(at, bytes, count);
    return at + count;
}

/* As a handler in the engine's process gets it: of a compensation input and output as one map,
 * which the definition may have made already. */
static struct flyover_cursor input_of(const struct remote_invocation *call)
{
    static uint8_t pair[2 * FLYOVER_PAYLOAD_BYTES_MAX + 64];
    if (call->phase != FLYOVER_COMPENSATION || call->is_made)
        return ledger_cursor_of(call->input);
    uint8_t *at = put(pair, "\x82\xa5input", 7);
    at = put(put(at, call->input.at, call->input.count), "\xa6output", 7);
    at =
        call->output.count == 0 ? put(at, "\xc0", 1) : put(at, call->output.at, call->output.count);
    return (struct flyover_cursor){pair, at};
}

static uint32_t handler_of(uint32_t lane)
{
    const struct remote_lane *names = remote_lane(sim->partition, lane);
    verdict_check(strcmp(names->service, script_services[SCRIPT_SERVICES - 1]) == 0,
                  "service %s is remote, and has a plug-in", names->service);
    return (uint32_t)(names->handler[1] - '0') + (names->handler[0] == 'u' ? SCRIPT_HANDLERS : 0);
}

/* Where the invocation is noted: where it was before, so that it can be compared; NULL: no room. */
static struct remote_call *place_for(const struct remote_invocation *call)
{
    struct remote_call *free_place = NULL;
    for (uint32_t i = 0; i < REMOTE_CALLS_MAX; i++) {
        struct remote_call *known = &sim->remote_calls[i];
        if (known->saga_id != 0 && known->branch == call->branch &&
            known->generation == call->generation)
            return known;
        if (!known->out && (free_place == NULL || free_place->saga_id != 0))
            free_place = known;
    }
    return free_place;
}

static void check_same(const struct remote_call *known, const struct remote_invocation *call)
{
    bool again = known->saga_id != 0 && known->branch == call->branch &&
                 known->generation == call->generation;
    if (!again)
        return;
    verdict_check(!known->out && !known->answered,
                  "saga %" PRIu64 ", step %u: handed out again, and it was not given back",
                  call->saga_id, call->step_no);
    verdict_check(known->saga_id == call->saga_id && known->step_no == call->step_no &&
                      known->attempt_no == call->attempt_no && known->phase == call->phase,
                  "saga %" PRIu64 ", step %u: handed out again with another key", call->saga_id,
                  call->step_no);
    sim_figures.remote_again++;
}

static bool take(uint32_t lane)
{
    struct remote_invocation call;
    if (sim->remote_out == REMOTE_CALLS_MAX || !remote_take(sim->partition, lane, &call))
        return false;
    struct remote_call *place = place_for(&call);
    assert(place != NULL);
    check_same(place, &call);
    struct flyover_key key = {
        .saga_id = call.saga_id, .step_no = call.step_no, .phase = call.phase};
    *place = (struct remote_call){
        .saga_id = call.saga_id,
        .lane = lane,
        .branch = call.branch,
        .generation = call.generation,
        .step_no = call.step_no,
        .attempt_no = call.attempt_no,
        .phase = call.phase,
        .out = true,
        .answer =
            ledger_run(&sim->ledger, key, SCRIPT_SERVICES - 1, handler_of(lane), input_of(&call)),
    };
    verdict_check(
        call.attempt_no == place->answer.attempt_no && call.has_token == place->answer.by_token,
        "saga %" PRIu64 ", step %u: another attempt is handed out", call.saga_id, call.step_no);
    if (call.has_token) {
        struct ledger_token token = {call.saga_id, call.step_no, call.attempt_no, ""};
        strcpy(token.text, call.token);
        ledger_keep_token(&sim->ledger, &token);
    }
    sim->remote_out++;
    sim_figures.remote_taken++;
    sim_figures.remote_made += call.is_made;
    sim_trace(chance_mix(call.saga_id, call.step_no));
    return true;
}

/* ---- what it does with it -------------------------------------------------------------------- */

static enum status send(const struct remote_call *call)
{
    struct partition *partition = sim->partition;
    const struct ledger_answer *answer = &call->answer;
    const char *name = script_errors[answer->error];
    struct flyover_bytes error = {(const uint8_t *)name, (uint32_t)strlen(name)};
    uint8_t output[LEDGER_VALUE_BYTES_MAX];
    struct flyover_bytes bytes = {output, 1};
    switch (answer->kind) {
    case LEDGER_REFUSE:
    case LEDGER_RETRY:
        return remote_failed(partition, call->lane, call->branch, call->generation,
                             answer->kind == LEDGER_RETRY, error, cause);
    case LEDGER_GARBAGE: output[0] = 0xc1; break;
    case LEDGER_DONE:
        bytes.count = (uint32_t)(ledger_encode_value(answer->output, output) - output);
        break;
    }
    return remote_done(partition, call->lane, call->branch, call->generation, bytes);
}

static bool is_expected(const struct remote_call *call)
{
    return core_expects(sim->partition->state->core, call->branch, call->generation);
}

static void answer(struct remote_call *call)
{
    bool expected = is_expected(call);
    uint64_t stalls = sim->partition->counts.stalls;
    enum status right = !expected                             ? STATUS_NOT_FOUND
                        : call->answer.kind == LEDGER_GARBAGE ? STATUS_INVALID
                                                              : STATUS_OK;
    enum status status = send(call);
    sim_trace(status);
    if (status == STATUS_BUSY && sim->partition->counts.stalls != stalls)
        return;
    verdict_check(status == right,
                  "saga %" PRIu64 ", step %u: the answer of a remote worker is "
                  "answered with %s, due is %s",
                  call->saga_id, call->step_no, status_text(status), status_text(right));
    verdict_check(!is_expected(call), "saga %" PRIu64 ", step %u: a second answer would count",
                  call->saga_id, call->step_no);
    call->out = false;
    call->answered = true;
    sim->remote_out--;
    sim_figures.remote_late += !expected;
}

static void give_back(struct remote_call *call)
{
    remote_give_back(sim->partition, call->lane, call->branch, call->generation);
    ledger_give_back(&sim->ledger, call->saga_id, call->step_no, call->attempt_no);
    call->out = false;
    sim->remote_out--;
}

static void beat(const struct remote_call *call)
{
    uint64_t stalls = sim->partition->counts.stalls;
    enum status right = is_expected(call) ? STATUS_OK : STATUS_NOT_FOUND;
    enum status status = remote_beat(sim->partition, call->lane, call->branch, call->generation);
    verdict_check(status == right ||
                      (status == STATUS_BUSY && sim->partition->counts.stalls != stalls),
                  "saga %" PRIu64 ", step %u: a beat is answered with %s", call->saga_id,
                  call->step_no, status_text(status));
}

static void vanish(void)
{
    for (uint32_t i = 0; i < REMOTE_CALLS_MAX; i++)
        if (sim->remote_calls[i].out)
            give_back(&sim->remote_calls[i]);
}

void sim_remote_forget(void)
{
    memset(sim->remote_calls, 0, sizeof sim->remote_calls);
    sim->remote_out = 0;
}

void sim_remote_act(void)
{
    struct chance *chance = &sim->chance;
    uint32_t lanes_count = sim->is_remote ? remote_lanes_count(sim->partition) : 0;
    if (lanes_count == 0)
        return;
    uint32_t lane = chance_draw(chance, lanes_count);
    uint32_t credit = 1 + chance_draw(chance, 16);
    while (credit-- > 0 && take(lane))
        ;
    if (chance_percent(chance, 2))
        vanish();
    for (uint32_t i = 0; i < REMOTE_CALLS_MAX && sim->remote_out > 0; i++) {
        struct remote_call *call = &sim->remote_calls[i];
        if (!call->out)
            continue;
        uint32_t draw = chance_draw(chance, 100);
        if (draw < sim->habits.worker_percent / 2)
            answer(call);
        else if (draw >= 95)
            give_back(call);
        else if (draw >= 80)
            beat(call);
    }
}

void sim_remote_attend(void)
{
    uint32_t lanes_count = sim->is_remote ? remote_lanes_count(sim->partition) : 0;
    for (uint32_t lane = 0; lane < lanes_count; lane++)
        while (take(lane))
            ;
    for (uint32_t i = 0; i < REMOTE_CALLS_MAX && sim->remote_out > 0; i++)
        if (sim->remote_calls[i].out)
            answer(&sim->remote_calls[i]);
}
