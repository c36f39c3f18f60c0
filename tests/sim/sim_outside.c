#include "tests/sim/sim_parts.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const struct flyover_bytes reason = {(const uint8_t *)"drawn", 5};

/* What is asked is seen by the ledger where the engine was then. */
void sim_outside_ask(struct ledger_question *question, enum status status)
{
    const struct partition *partition = sim->partition;
    question->status = status;
    bool is_open = partition->open.record_count > 0;
    question->now_ms = is_open ? partition->open.now_ms : partition->last_now_ms;
    question->block_no = partition->last_block_no + 1;
    question->record_no = partition->open.record_count - (status == STATUS_OK);
    ledger_ask(&sim->ledger, question);
    sim_trace(status);
    sim_figures.asked++;
    sim_figures.refused += status != STATUS_OK;
}

static uint64_t draw_saga(void)
{
    uint32_t count = sim->ledger.sagas_count;
    /* Mostly one of the newest; and some that never were. */
    if (count == 0 || chance_percent(&sim->chance, 3))
        return chance_draw(&sim->chance, count + 3);
    uint32_t newest = count < 12 || chance_percent(&sim->chance, 10) ? count : 12;
    return count - chance_draw(&sim->chance, newest);
}

/* One of those that are stuck, or wait for something, if there is one; else any. */
static uint64_t draw_saga_that(bool (*fits)(const struct ledger_saga *saga))
{
    uint64_t count = sim->ledger.sagas_count;
    uint64_t first = count == 0 ? 0 : chance_draw(&sim->chance, (uint32_t)count);
    for (uint64_t i = 0; i < count && chance_percent(&sim->chance, 99); i++)
        if (fits(&sim->ledger.sagas[1 + (first + i) % count]))
            return 1 + (first + i) % count;
    return draw_saga();
}

static bool is_stuck(const struct ledger_saga *saga)
{
    return saga->outcome == OUTCOME_STUCK;
}

/* Half of those that were, so that others are drawn too. */
static bool was_redriven(const struct ledger_saga *saga)
{
    return saga->redriven.saga_id != 0 && chance_percent(&sim->chance, 50);
}

static bool is_running(const struct ledger_saga *saga)
{
    return saga->outcome == OUTCOME_RUNNING;
}

static struct ledger_value draw_value(void)
{
    return (struct ledger_value){LEDGER_NUMBER, (int32_t)chance_draw(&sim->chance, 10)};
}

/* The journal may have had no room for it. */
static bool busy_since(uint64_t stalls)
{
    return sim->partition->counts.stalls != stalls ||
           !core_can_take(&sim->partition->state->effects);
}

/* ---- one call each --------------------------------------------------------------------------- */

static void signal_saga(uint64_t saga_id, uint32_t signal)
{
    struct ledger_question question = {
        .asked = LEDGER_ASK_SIGNAL, .saga_id = saga_id, .signal = signal, .value = draw_value()};
    const char name[] = {'s', (char)('0' + signal), '\0'};
    uint8_t payload[LEDGER_VALUE_BYTES_MAX];
    uint8_t *end = ledger_encode_value(question.value, payload);
    struct problem problem = {0};
    uint64_t stalls = sim->partition->counts.stalls;
    enum status status =
        partition_signal(sim->partition, saga_id, (struct flyover_bytes){(const uint8_t *)name, 2},
                         (struct flyover_bytes){payload, (uint32_t)(end - payload)}, &problem);
    question.may_be_busy = busy_since(stalls);
    sim_outside_ask(&question, status);
}

static void answer_by(const struct ledger_token *token, enum ledger_asked asked, bool garble)
{
    struct ledger_question question = {
        .asked = asked,
        .saga_id = token->saga_id,
        .is_token = !garble,
        .step_no = token->step_no,
        .attempt_no = token->attempt_no,
        .value = draw_value(),
        .error = (int)chance_draw(&sim->chance, SCRIPT_ERRORS),
    };
    char text[FLYOVER_TOKEN_BYTES];
    strcpy(text, token->text);
    if (garble)
        text[chance_draw(&sim->chance, (uint32_t)strlen(text))] ^= 1;
    uint8_t payload[LEDGER_VALUE_BYTES_MAX];
    uint8_t *end = ledger_encode_value(question.value, payload);
    struct flyover_bytes output = {payload, (uint32_t)(end - payload)};
    struct flyover_bytes error = {(const uint8_t *)script_errors[question.error], 1};
    struct problem problem = {0};
    uint64_t stalls = sim->partition->counts.stalls;
    enum status status = asked == LEDGER_ASK_ANSWER
                             ? partition_answer(sim->partition, text, output, &problem)
                         : asked == LEDGER_ASK_ERROR
                             ? partition_answer_error(sim->partition, text, error, reason, &problem)
                             : partition_heartbeat(sim->partition, text, &problem);
    question.may_be_busy = busy_since(stalls);
    sim_outside_ask(&question, status);
}

static void cancel_saga(uint64_t saga_id, bool abort)
{
    struct ledger_question question = {
        .asked = LEDGER_ASK_CANCEL, .saga_id = saga_id, .abort = abort};
    struct problem problem = {0};
    uint64_t stalls = sim->partition->counts.stalls;
    enum status status = partition_cancel(sim->partition, saga_id, abort, reason, &problem);
    question.may_be_busy = busy_since(stalls);
    sim_outside_ask(&question, status);
    sim_figures.cancels += status == STATUS_OK;
}

static void mend_saga(uint64_t saga_id)
{
    struct ledger_question question = {
        .asked = LEDGER_ASK_MEND,
        .saga_id = saga_id,
        .action = (enum mend_action)chance_draw(&sim->chance, MEND_RESOLVE + 1),
    };
    uint8_t payload[LEDGER_VALUE_BYTES_MAX];
    struct flyover_bytes output = {0};
    if (question.action == MEND_SKIP && chance_percent(&sim->chance, 60)) {
        question.value = draw_value();
        uint8_t *end = ledger_encode_value(question.value, payload);
        output = (struct flyover_bytes){payload, (uint32_t)(end - payload)};
    }
    struct problem problem = {0};
    uint64_t stalls = sim->partition->counts.stalls;
    enum status status =
        partition_mend(sim->partition, saga_id, question.action, output, reason, &problem);
    question.may_be_busy = busy_since(stalls);
    sim_outside_ask(&question, status);
}

/* ---- redrive --------------------------------------------------------------------------------- */

#define STEP_BYTES_MAX (2 * LEDGER_PAYLOAD_BYTES_MAX)

static uint8_t *encode_step(const struct ledger_done *done, uint8_t *at)
{
    uint8_t input[LEDGER_PAYLOAD_BYTES_MAX], output[LEDGER_VALUE_BYTES_MAX];
    struct event_step step = {.state = (uint32_t)done->state, .step_no = done->step_no};
    step.input.at = input;
    step.input.count = (uint32_t)(ledger_encode_payload(&done->input, 0, input) - input);
    if (done->output.kind != LEDGER_NIL) {
        step.output.at = output;
        step.output.count = (uint32_t)(ledger_encode_value(done->output, output) - output);
    }
    assert(event_step_bytes_max(&step) <= STEP_BYTES_MAX);
    return event_encode_step(&step, at);
}

/* A saga that failed, or was aborted, goes on as a new one where it was then. */
static void redrive_saga(uint64_t saga_id)
{
    const struct ledger_saga *saga = ledger_find(&sim->ledger, saga_id);
    if (saga == NULL || !saga->failure.is_whole || ledger_is_live(saga) ||
        sim->token_last >= STARTS_MAX)
        return;
    const struct ledger_failure *failure = &saga->failure;
    uint64_t token = ++sim->token_last;
    uint8_t payload[LEDGER_PAYLOAD_BYTES_MAX];
    uint8_t steps[SCRIPT_STATES_MAX * STEP_BYTES_MAX];
    uint8_t *at = steps;
    for (uint32_t i = 0; i < failure->done_count; i++)
        at = encode_step(&failure->done[i], at);
    struct event event = {
        .kind = EVENT_REDRIVE,
        .redrive = {.of_saga_id = saga_id,
                    .plan = saga->plan,
                    .state = (uint32_t)failure->state,
                    .step_no = failure->step_no,
                    .payload = {payload, (uint32_t)(ledger_encode_payload(&failure->payload, token,
                                                                          payload) -
                                                    payload)},
                    .steps_count = failure->done_count,
                    .steps = {steps, (uint32_t)(at - steps)}},
    };
    struct ledger_question question = {.asked = LEDGER_ASK_REDRIVE, .saga_id = saga_id};
    struct problem problem = {0};
    enum status status =
        partition_redrive(sim->partition, &event, token, &question.redriven_id, &problem);
    sim_outside_ask(&question, status);
    sim->waiting_count += status == STATUS_OK;
    sim_figures.redrives += status == STATUS_OK;
    sim_figures.doubles += status == STATUS_EXISTS;
}

/* ---- what is drawn --------------------------------------------------------------------------- */

static void answer_some(void)
{
    uint32_t count = sim->ledger.tokens_count;
    if (count == 0)
        return;
    uint32_t newest = count < 6 || chance_percent(&sim->chance, 10) ? count : 6;
    const struct ledger_token *token =
        &sim->ledger.tokens[count - 1 - chance_draw(&sim->chance, newest)];
    static const enum ledger_asked kinds[] = {LEDGER_ASK_ANSWER, LEDGER_ASK_ANSWER,
                                              LEDGER_ASK_ERROR, LEDGER_ASK_HEARTBEAT};
    enum ledger_asked asked = kinds[chance_draw(&sim->chance, 4)];
    answer_by(token, asked, chance_percent(&sim->chance, 5));
    if (chance_percent(&sim->chance, 15))
        answer_by(token, asked, false);
}

void sim_outside_act(void)
{
    struct chance *chance = &sim->chance;
    if (chance_percent(chance, sim->habits.cancel_percent)) {
        uint64_t saga_id = draw_saga_that(is_running);
        uint32_t times = 1 + chance_percent(chance, 20);
        while (times-- > 0)
            cancel_saga(saga_id, chance_percent(chance, 40));
        return;
    }
    switch (chance_draw(chance, 10)) {
    case 0: redrive_saga(draw_saga_that(was_redriven)); return;
    case 1:
    case 2: mend_saga(draw_saga_that(is_stuck)); return;
    case 3:
    case 4:
    case 5:
        signal_saga(draw_saga_that(is_running), chance_draw(chance, SCRIPT_SIGNALS + 1));
        return;
    default: answer_some(); return;
    }
}

static bool attend(uint64_t saga_id, const struct ledger_branch *branch)
{
    const struct ledger_saga *saga = ledger_find(&sim->ledger, saga_id);
    const struct script_state *state = &saga->script->states[branch->state];
    if (branch->wait != LEDGER_AWAITING)
        return false;
    if (state->kind == SCRIPT_SIGNAL) {
        signal_saga(saga_id, state->signal);
        return true;
    }
    struct ledger_token token = {saga_id, branch->step_no, branch->attempt_no, ""};
    const char *text = ledger_token_of(&sim->ledger, saga_id, token.step_no, token.attempt_no);
    verdict_check(text != NULL, "a step awaits an answer by a token that nobody was given");
    strcpy(token.text, text);
    answer_by(&token, LEDGER_ASK_ANSWER, false);
    return true;
}

bool sim_outside_attend(void)
{
    bool asked = false;
    for (uint64_t id = 1; id <= sim->ledger.sagas_count; id++) {
        const struct ledger_saga *saga = &sim->ledger.sagas[id];
        for (uint32_t i = 0; i < saga->carriers_count && !saga->ended; i++)
            asked |= attend(id, &saga->carriers[i]);
    }
    return asked;
}
