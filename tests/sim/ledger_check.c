#include "tests/sim/ledger_check.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "engine/saga/core_state.h"
#include "tests/sim/ledger_ask.h"
#include "tests/sim/verdict.h"

/* ---- what the core asks for ------------------------------------------------------------------ */

/* What the branch waits for has its time, as far as it still waits. */
static void check_due(struct ledger *ledger, const struct core *core, uint32_t index)
{
    struct core_branch_view view;
    if (!core_view_branch(core, index, &view))
        return;
    struct ledger_saga *saga = ledger_find(ledger, view.saga_id);
    struct ledger_branch *branch = saga == NULL ? NULL : ledger_find_branch(saga, view.step_no);
    verdict_check(branch != NULL, "saga %" PRIu64 ", step %u: the core has a branch too many",
                  view.saga_id, view.step_no);
    int64_t due_ms = core_due_ms(core, index);
    int64_t wanted_ms = branch->due_ms == 0 ? -1 : branch->due_ms;
    bool within = branch->jitter && due_ms >= ledger->now_ms && due_ms <= wanted_ms;
    verdict_check(due_ms == wanted_ms || within,
                  "saga %" PRIu64 ", step %u: due at %" PRId64 ", the definition says %" PRId64
                  ", at %" PRId64,
                  view.saga_id, view.step_no, due_ms, wanted_ms, ledger->now_ms);
    if (!within)
        return;
    branch->due_ms = due_ms;
    branch->jitter = false;
}

static void check_deadline(struct ledger *ledger, const struct core *core,
                           const struct effect *effect)
{
    const struct ledger_saga *saga = ledger_find(ledger, effect->id);
    bool counts = saga != NULL && saga->outcome == OUTCOME_RUNNING && !saga->failed &&
                  !saga->pivoted && saga->cancel == LEDGER_GO_ON;
    verdict_check(!counts || core_deadline_ms(core, effect->saga) == saga->deadline_ms,
                  "saga %" PRIu64 ": its deadline is not the one that was given", effect->id);
}

static uint32_t *answered_of(struct ledger *ledger, uint32_t branch)
{
    if (branch >= ledger->answered_count) {
        uint32_t count = branch + 64;
        ledger->answered = realloc(ledger->answered, count * sizeof *ledger->answered);
        assert(ledger->answered != NULL);
        while (ledger->answered_count < count)
            ledger->answered[ledger->answered_count++] = UINT32_MAX;
    }
    return &ledger->answered[branch];
}

static void check_generation(struct ledger *ledger, const struct core *core,
                             const struct effect *effect)
{
    verdict_check(core_expects(core, effect->branch, effect->generation),
                  "an invocation that the core does not expect the answer of");
    uint32_t *answered = answered_of(ledger, effect->branch);
    verdict_check(*answered != effect->generation,
                  "branch %u: the answer to an earlier invocation would pass for this one's",
                  effect->branch);
    *answered = effect->generation;
}

/* True where the core asks for just this. */
static bool is_effect(const struct core *core, const struct effect *effect,
                      const struct ledger_effect *expected)
{
    if ((enum effect_kind)effect->kind != expected->kind || effect->id != expected->saga_id)
        return false;
    if (expected->kind == EFFECT_REPLY)
        return (enum outcome)effect->outcome == expected->outcome;
    if (expected->kind != EFFECT_INVOKE)
        return true;
    struct core_invocation call;
    core_invocation(core, effect->branch, &call);
    return call.step_no == expected->step_no &&
           (call.phase == FLYOVER_COMPENSATION) == expected->undo;
}

static void take_expected(struct ledger *ledger, const struct core *core,
                          const struct effect *effect)
{
    uint32_t i = 0;
    while (i < ledger->expected_count && !is_effect(core, effect, &ledger->expected[i]))
        i++;
    verdict_check(i < ledger->expected_count,
                  "saga %" PRIu64 ", block %" PRIu64 ": %s (%s) is asked for, and it is not due",
                  effect->id, ledger->last_no, effect_text((enum effect_kind)effect->kind),
                  outcome_text((enum outcome)effect->outcome));
    ledger->expected[i] = ledger->expected[--ledger->expected_count];
}

void ledger_check_effects(struct ledger *ledger, const struct partition_state *state)
{
    const struct core *core = state->core;
    const struct effect_queue *effects = &state->effects;
    for (uint64_t at = effects->head; at < effects->tail; at++) {
        const struct effect *effect = effect_at(effects, at);
        take_expected(ledger, core, effect);
        if (effect->kind == EFFECT_INVOKE)
            check_generation(ledger, core, effect);
        if (effect->kind == EFFECT_INVOKE || effect->kind == EFFECT_TIMER)
            check_due(ledger, core, effect->branch);
        if (effect->kind == EFFECT_DEADLINE)
            check_deadline(ledger, core, effect);
    }
    if (ledger->expected_count > 0) {
        const struct ledger_effect *expected = &ledger->expected[0];
        verdict_fail("saga %" PRIu64 ", block %" PRIu64 ": %s of step %u is due, and not asked for",
                     expected->saga_id, ledger->last_no, effect_text(expected->kind),
                     expected->step_no);
    }
    if (ledger->event_branch != UINT32_MAX)
        check_due(ledger, core, ledger->event_branch);
    ledger->record_no++;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

void ledger_begin_block(struct ledger *ledger, const struct block_header *header,
                        int64_t wall_ms_max)
{
    verdict_check(header->block_no == ledger->last_no + 1, "block %" PRIu64 " follows %" PRIu64,
                  header->block_no, ledger->last_no);
    verdict_check(header->now_ms >= ledger->now_ms && header->now_ms <= wall_ms_max,
                  "block %" PRIu64 ": its clock went back, or ahead", header->block_no);
    verdict_check(header->durable_no < header->block_no && header->epoch >= ledger->last_epoch,
                  "block %" PRIu64 ": its header cannot be true", header->block_no);
    ledger->last_no = header->block_no;
    ledger->last_epoch = header->epoch;
    ledger->now_ms = header->now_ms;
    ledger->record_no = 0;
}

static void check_totals(const struct ledger *ledger, const struct core *core)
{
    const struct core_totals totals = core_totals(core);
    const struct core_totals *own = &ledger->totals;
    const struct {
        const char *name;
        uint64_t core, ledger;
    } figures[] = {
        {"started", totals.started, own->started},
        {"ended", totals.ended, own->ended},
        {"succeeded", totals.succeeded, own->succeeded},
        {"failed", totals.failed, own->failed},
        {"compensated", totals.compensated, own->compensated},
        {"stuck", totals.stuck, own->stuck},
        {"aborted", totals.aborted, own->aborted},
        {"steps", totals.steps, own->steps},
        {"steps of sagas that ended", totals.steps_ended, own->steps_ended},
        {"detached steps failed", totals.detached_failed, own->detached_failed},
        {"retries", totals.retries, own->retries},
        {"timeouts", totals.timeouts, own->timeouts},
        {"signals", totals.signals, own->signals},
        {"mended", totals.mended, own->mended},
        {"started, and ended or live", totals.started, own->ended + core_sagas_live(core)},
    };
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++)
        verdict_check(figures[i].core == figures[i].ledger,
                      "block %" PRIu64 ": the core counts %" PRIu64 " %s, the ledger %" PRIu64,
                      ledger->last_no, figures[i].core, figures[i].name, figures[i].ledger);
}

void ledger_end_block(struct ledger *ledger, const struct core *core)
{
    ledger_ask_on_event(ledger, core, NULL);
    if (core == NULL)
        return;
    check_totals(ledger, core);
    verdict_check(core->completed_pool.used == ledger->room_used,
                  "block %" PRIu64
                  ": %u steps, signals and traces are remembered, and %u have to be",
                  ledger->last_no, core->completed_pool.used, ledger->room_used);
}

void ledger_check_tables(const struct ledger *ledger, const struct partition_state *state)
{
    for (uint32_t i = 0; i + 1 < SCRIPT_SERVICES; i++) {
        uint32_t index = partition_state_find_service(state, script_services[i]);
        if (index == PARTITION_SERVICES_MAX)
            continue;
        for (uint32_t j = 0; j < 2 * SCRIPT_HANDLERS; j++) {
            uint8_t key = (uint8_t)j;
            int64_t count =
                tables_count_of(state->services[index].tables, 0, (struct flyover_bytes){&key, 1});
            verdict_check(count == ledger->counters[i][j],
                          "service %s counts %" PRId64 " runs of %c%u, completed are %" PRId64,
                          script_services[i], count, j < SCRIPT_HANDLERS ? 'h' : 'u',
                          j % SCRIPT_HANDLERS, ledger->counters[i][j]);
        }
    }
}
