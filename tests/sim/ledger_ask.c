#include "tests/sim/ledger_ask.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/verdict.h"

void ledger_ask(struct ledger *ledger, const struct ledger_question *question)
{
    if (ledger->questions_first == ledger->questions_count)
        ledger->questions_first = ledger->questions_count = 0;
    if (ledger->questions_count == ledger->questions_capacity) {
        ledger->questions_capacity = ledger->questions_capacity * 2 + 64;
        ledger->questions =
            realloc(ledger->questions, ledger->questions_capacity * sizeof *ledger->questions);
        assert(ledger->questions != NULL);
    }
    ledger->questions[ledger->questions_count++] = *question;
}

void ledger_ask_forget(struct ledger *ledger)
{
    ledger->questions_first = ledger->questions_count = 0;
}

/* ---- names ----------------------------------------------------------------------------------- */

uint64_t ledger_hash_input(struct flyover_bytes input)
{
    uint64_t hash = input.count;
    for (uint32_t i = 0; i < input.count; i++)
        hash = (hash ^ input.at[i]) * 0x100000001b3u;
    return hash;
}

void ledger_keep_name(struct ledger *ledger, const struct event *event, uint64_t saga_id)
{
    const struct flyover_bytes *name = &event->start.name;
    if (name->count == 0)
        return;
    uint32_t index = 0;
    for (uint32_t i = 1; i < name->count; i++)
        index = index * 10 + (uint32_t)(name->at[i] - '0');
    assert(index < LEDGER_NAMES);
    ledger->names[index] =
        (struct ledger_name){saga_id, ledger_hash_input(event->start.input), ledger->now_ms};
}

/* Kept for its time from when it was kept, or from some time later while its saga ran. */
enum knowledge { UNKNOWN, MAYBE, KNOWN };

static enum knowledge is_known(struct ledger *ledger, const struct ledger_name *name,
                               int64_t now_ms)
{
    const struct ledger_saga *saga = ledger_find(ledger, name->saga_id);
    int64_t retention_ms = (int64_t)ledger->limits.name_retention_ms;
    if (name->saga_id == 0)
        return UNKNOWN;
    if (!saga->ended || now_ms < name->kept_ms + retention_ms)
        return KNOWN;
    return now_ms < saga->ended_ms + retention_ms ? MAYBE : UNKNOWN;
}

static bool may_be_full(struct ledger *ledger, int64_t now_ms)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < LEDGER_NAMES; i++)
        count += is_known(ledger, &ledger->names[i], now_ms) != UNKNOWN;
    for (uint64_t id = 1; id <= ledger->sagas_count; id++)
        count += is_known(ledger, &ledger->sagas[id].redriven, now_ms) != UNKNOWN;
    return count >= ledger->limits.names_max;
}

static bool is_start_right(struct ledger *ledger, const struct ledger_question *question)
{
    const struct ledger_name *name = &ledger->names[question->name];
    enum knowledge known = is_known(ledger, name, question->now_ms);
    bool same = name->input_hash == question->input_hash;
    if (question->status == STATUS_OK)
        return known != KNOWN;
    if (question->status == STATUS_EXISTS)
        return known != UNKNOWN && same && name->saga_id == question->saga_id;
    if (question->status == STATUS_INVALID)
        return known != UNKNOWN && !same;
    /* What was started before needs no room. */
    bool busy = question->may_be_busy || may_be_full(ledger, question->now_ms);
    return question->status == STATUS_BUSY && busy && known != KNOWN;
}

/* A saga is redriven once, while that is known. */
static bool is_redrive_right(struct ledger *ledger, const struct ledger_question *question)
{
    const struct ledger_name *first = &ledger_find(ledger, question->saga_id)->redriven;
    enum knowledge known = is_known(ledger, first, question->now_ms);
    if (question->status == STATUS_EXISTS)
        return known != UNKNOWN && first->saga_id == question->redriven_id;
    return known != KNOWN && (question->status == STATUS_OK || question->status == STATUS_BUSY);
}

/* ---- what is right to say -------------------------------------------------------------------- */

static struct ledger_branch *find_awaiting(struct ledger_saga *saga,
                                           const struct ledger_question *question)
{
    for (uint32_t i = 0; i < saga->carriers_count; i++) {
        struct ledger_branch *branch = &saga->carriers[i];
        bool by_token = saga->script->states[branch->state].kind == SCRIPT_TOKEN;
        if (branch->wait == LEDGER_AWAITING && by_token && branch->step_no == question->step_no &&
            branch->attempt_no == question->attempt_no)
            return branch;
    }
    return NULL;
}

static bool is_awaited(const struct ledger_saga *saga, uint32_t signal)
{
    for (uint32_t i = 0; i < saga->carriers_count; i++) {
        const struct script_state *state = &saga->script->states[saga->carriers[i].state];
        if (saga->carriers[i].wait == LEDGER_AWAITING && state->kind == SCRIPT_SIGNAL &&
            state->signal == signal)
            return true;
    }
    return false;
}

static enum status on_signal(const struct ledger *ledger, const struct ledger_saga *saga,
                             const struct ledger_question *question)
{
    if (question->signal >= SCRIPT_SIGNALS || !saga->script->has_signal[question->signal])
        return STATUS_INVALID;
    if (is_awaited(saga, question->signal))
        return STATUS_OK;
    return saga->signals_count == CORE_SIGNALS_MAX || ledger->room_used == ledger->room_max
               ? STATUS_BUSY
               : STATUS_OK;
}

static enum status on_cancel(const struct ledger_saga *saga, bool abort)
{
    if (saga->outcome == OUTCOME_STUCK)
        return STATUS_INVALID;
    if (abort)
        return saga->cancel == LEDGER_ABORT ? STATUS_EXISTS : STATUS_OK;
    if (saga->cancel != LEDGER_GO_ON || saga->failed)
        return STATUS_EXISTS;
    return saga->pivoted ? STATUS_INVALID : STATUS_OK;
}

static bool is_asleep(const struct ledger_saga *saga)
{
    for (uint32_t i = 0; i < saga->carriers_count; i++)
        if (saga->carriers[i].wait == LEDGER_RESTING || saga->carriers[i].wait == LEDGER_DELAYED)
            return true;
    return false;
}

/* A wait has no output. */
static enum status on_mend(const struct ledger_saga *saga, const struct ledger_question *question)
{
    enum mend_action action = question->action;
    bool has_output = question->value.kind != LEDGER_ABSENT;
    if (saga->outcome != OUTCOME_STUCK)
        return action == MEND_SKIP && is_asleep(saga) && !has_output ? STATUS_OK : STATUS_INVALID;
    for (uint32_t i = 0; i < saga->carriers_count; i++) {
        const struct ledger_branch *branch = &saga->carriers[i];
        if (branch->wait != LEDGER_STUCK || branch->undo || action != MEND_SKIP)
            continue;
        enum script_kind kind = saga->script->states[branch->state].kind;
        if ((kind == SCRIPT_WAIT && has_output) || kind == SCRIPT_CHOICE ||
            kind == SCRIPT_SUCCEED || kind == SCRIPT_FAIL)
            return STATUS_INVALID;
    }
    return STATUS_OK;
}

static enum status answer_of(struct ledger *ledger, const struct ledger_question *question)
{
    bool by_token = question->asked == LEDGER_ASK_ANSWER || question->asked == LEDGER_ASK_ERROR ||
                    question->asked == LEDGER_ASK_HEARTBEAT;
    if (by_token && !question->is_token)
        return STATUS_INVALID;
    struct ledger_saga *saga = ledger_find(ledger, question->saga_id);
    if (saga == NULL || !ledger_is_live(saga))
        return STATUS_NOT_FOUND;
    switch (question->asked) {
    case LEDGER_ASK_SIGNAL: return on_signal(ledger, saga, question);
    case LEDGER_ASK_CANCEL: return on_cancel(saga, question->abort);
    case LEDGER_ASK_MEND: return on_mend(saga, question);
    case LEDGER_ASK_ANSWER:
    case LEDGER_ASK_ERROR:
    case LEDGER_ASK_HEARTBEAT:
        return find_awaiting(saga, question) != NULL ? STATUS_OK : STATUS_NOT_FOUND;
    case LEDGER_ASK_START:
    case LEDGER_ASK_REDRIVE: break;
    }
    return STATUS_OK;
}

static const char *asked_text(enum ledger_asked asked)
{
    static const char *const texts[] = {"a start by name", "a signal", "an answer", "an error",
                                        "a heartbeat",     "a cancel", "a mend",    "a redrive"};
    return texts[asked];
}

static void check_question(struct ledger *ledger, const struct ledger_question *question)
{
    if (question->asked == LEDGER_ASK_START) {
        verdict_check(is_start_right(ledger, question), "a start by name n%u says: %s",
                      question->name, status_text(question->status));
        return;
    }
    if (question->asked == LEDGER_ASK_REDRIVE) {
        verdict_check(is_redrive_right(ledger, question), "a redrive of saga %" PRIu64 " says: %s",
                      question->saga_id, status_text(question->status));
        return;
    }
    enum status status = answer_of(ledger, question);
    bool busy = question->status == STATUS_BUSY && question->may_be_busy;
    verdict_check(question->status == status || busy,
                  "saga %" PRIu64 ", block %" PRIu64 ": %s is answered with %s, due is %s",
                  question->saga_id, question->block_no, asked_text(question->asked),
                  status_text(question->status), status_text(status));
}

/* ---- the event that came of it --------------------------------------------------------------- */

/* The saga and step that a branch of the core works on. */
static bool is_branch(const struct core *core, uint32_t branch,
                      const struct ledger_question *question)
{
    struct core_branch_view view;
    return core_view_branch(core, branch, &view) && view.saga_id == question->saga_id &&
           view.step_no == question->step_no && view.attempt_no == question->attempt_no;
}

static bool is_value(struct flyover_bytes bytes, struct ledger_value value)
{
    if (bytes.count == 0)
        return value.kind == LEDGER_ABSENT;
    return ledger_same_value(ledger_value_of(ledger_cursor_of(bytes)), value);
}

static bool is_name(struct flyover_bytes name, char letter, uint32_t number)
{
    return name.count == 2 && name.at[0] == (uint8_t)letter && name.at[1] == '0' + number;
}

static bool is_event_of(const struct core *core, const struct event *event,
                        const struct ledger_question *question)
{
    switch (question->asked) {
    case LEDGER_ASK_START:
        return event->kind == EVENT_START &&
               ledger_hash_input(event->start.input) == question->input_hash;
    case LEDGER_ASK_SIGNAL:
        return event->kind == EVENT_SIGNAL && event->signal.saga_id == question->saga_id &&
               is_name(event->signal.name, 's', question->signal) &&
               is_value(event->signal.payload, question->value);
    case LEDGER_ASK_ANSWER:
        return event->kind == EVENT_RESULT && event->result.by_token &&
               is_branch(core, event->result.branch, question) &&
               is_value(event->result.output, question->value);
    case LEDGER_ASK_ERROR:
        return event->kind == EVENT_ERROR && event->error.by_token &&
               is_branch(core, event->error.branch, question) &&
               ledger_error_of(event->error.name) == question->error;
    case LEDGER_ASK_HEARTBEAT:
        return event->kind == EVENT_HEARTBEAT && is_branch(core, event->heartbeat.branch, question);
    case LEDGER_ASK_CANCEL:
        return event->kind == EVENT_CANCEL && event->cancel.saga_id == question->saga_id &&
               event->cancel.abort == question->abort;
    case LEDGER_ASK_MEND:
        return event->kind == EVENT_MEND && event->mend.saga_id == question->saga_id &&
               event->mend.action == question->action &&
               is_value(event->mend.output, question->value);
    case LEDGER_ASK_REDRIVE:
        return event->kind == EVENT_REDRIVE && event->redrive.of_saga_id == question->saga_id;
    }
    return false;
}

/* Then it is its worker that beats, and nobody by a token. */
static bool is_at_work(struct ledger *ledger, const struct core *core, uint32_t index)
{
    struct core_branch_view view;
    struct ledger_saga *saga =
        core_view_branch(core, index, &view) ? ledger_find(ledger, view.saga_id) : NULL;
    const struct ledger_branch *branch =
        saga == NULL ? NULL : ledger_find_branch(saga, view.step_no);
    return branch != NULL && branch->wait == LEDGER_RUNNING;
}

static bool is_asked_for(struct ledger *ledger, const struct core *core, const struct event *event)
{
    switch (event->kind) {
    case EVENT_START: return event->start.name.count > 0;
    case EVENT_RESULT: return event->result.by_token;
    case EVENT_ERROR: return event->error.by_token;
    case EVENT_HEARTBEAT: return !is_at_work(ledger, core, event->heartbeat.branch);
    case EVENT_SIGNAL:
    case EVENT_CANCEL:
    case EVENT_MEND:
    case EVENT_REDRIVE: return true;
    case EVENT_LIMITS:
    case EVENT_SERVICE:
    case EVENT_DEFINITION:
    case EVENT_SOURCE:
    case EVENT_TIMER: break;
    }
    return false;
}

static bool is_here(const struct ledger *ledger, const struct ledger_question *question)
{
    return question->block_no < ledger->last_no ||
           (question->block_no == ledger->last_no && question->record_no <= ledger->record_no);
}

void ledger_ask_on_event(struct ledger *ledger, const struct core *core, const struct event *event)
{
    if (ledger->rebuilding)
        return;
    bool asked = false;
    while (ledger->questions_first < ledger->questions_count) {
        const struct ledger_question *question = &ledger->questions[ledger->questions_first];
        if (asked || !is_here(ledger, question))
            break;
        check_question(ledger, question);
        asked = question->status == STATUS_OK;
        verdict_check(!asked || (event != NULL && question->block_no == ledger->last_no &&
                                 question->record_no == ledger->record_no &&
                                 is_event_of(core, event, question)),
                      "block %" PRIu64 ", record %u: %s was accepted, and is not there",
                      question->block_no, question->record_no, asked_text(question->asked));
        ledger->questions_first++;
    }
    verdict_check(event == NULL || asked || !is_asked_for(ledger, core, event),
                  "block %" PRIu64 ", record %u: %s that nobody asked for", ledger->last_no,
                  ledger->record_no, event_kind_text(event->kind));
}
