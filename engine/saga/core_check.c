#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "engine/base/plant.h"
#include "engine/saga/core_state.h"

/* The saga, if it has not ended. */
static enum status find(const struct core *core, uint64_t saga_id, const struct saga **ret_saga,
                        struct problem *problem)
{
    if (saga_id == 0 || saga_id > core->saga_id_last)
        return problem_set(problem, STATUS_NOT_FOUND,
                           "saga %" PRIu64 " was never started: there are %" PRIu64
                           ", numbered from 1",
                           saga_id, core->saga_id_last);
    uint32_t slot = core_find_saga(core, saga_id);
    const struct saga *saga = slot == CORE_NO_SAGA ? NULL : &core->sagas[slot];
    if (saga == NULL || (saga->outcome != OUTCOME_RUNNING && saga->outcome != OUTCOME_STUCK))
        return problem_set(problem, STATUS_NOT_FOUND,
                           "saga %" PRIu64 " has ended%s%s: nothing can be done to it any more",
                           saga_id, saga == NULL ? "" : " as ",
                           saga == NULL ? "" : outcome_text((enum outcome)saga->outcome));
    *ret_saga = saga;
    return STATUS_OK;
}

enum status core_check_cancel(const struct core *core, uint64_t saga_id, bool abort,
                              struct problem *problem)
{
    const struct saga *saga;
    enum status status = find(core, saga_id, &saga, problem);
    if (status != STATUS_OK)
        return status;
    if (saga->outcome == OUTCOME_STUCK)
        return problem_set(problem, STATUS_INVALID,
                           "saga %" PRIu64
                           " is stuck: retry it, skip the step it is stuck at, or resolve it",
                           saga_id);
    if (abort && saga->cancel == CANCEL_ABORT)
        return problem_set(problem, STATUS_EXISTS, "saga %" PRIu64 " is being aborted already",
                           saga_id);
    if (abort)
        return STATUS_OK;
    if (saga->cancel != CANCEL_NONE)
        return problem_set(problem, STATUS_EXISTS, "saga %" PRIu64 " was cancelled already",
                           saga_id);
    if (saga->failed)
        return problem_set(problem, STATUS_EXISTS,
                           "saga %" PRIu64 " has failed and is being compensated already", saga_id);
    if (saga->pivoted)
        return problem_set(problem, STATUS_INVALID,
                           "saga %" PRIu64
                           " is past its pivot and only goes forward; to stop it where it is, "
                           "without compensation, cancel it with --abort",
                           saga_id);
    return STATUS_OK;
}

/* The first branch that stands in one of two phases; NULL: none does. */
static const struct branch *find_branch(const struct core *core, const struct saga *saga,
                                        enum phase phase, enum phase or_phase)
{
    for (uint32_t at = saga->branches_head; at != CORE_NONE; at = core->branches[at].next)
        if (core->branches[at].phase == phase || core->branches[at].phase == or_phase)
            return &core->branches[at];
    return NULL;
}

/* Of a saga that is not stuck: a skip has it wait no longer. */
static enum status check_wait(const struct core *core, const struct saga *saga,
                              enum mend_action action, struct problem *problem)
{
    if (find_branch(core, saga, PHASE_SLEEPING, PHASE_SLEEPING) == NULL)
        return problem_set(problem, STATUS_INVALID,
                           "saga %" PRIu64 " is not stuck: it is %s, and goes on by itself",
                           saga->id, saga->failed ? "being compensated" : "running");
    if (action != MEND_SKIP)
        return problem_set(problem, STATUS_INVALID,
                           "saga %" PRIu64
                           " is not stuck: it sleeps, and goes on when its time has come; to have "
                           "it go on now, skip the waiting",
                           saga->id);
    return STATUS_OK;
}

/* Every branch that is stuck is so in the same way. */
static enum status check_stuck(const struct saga *saga, const struct branch *branch,
                               const struct plan_state *state, enum mend_action action,
                               struct problem *problem)
{
    bool skippable =
        state->type == STATE_TASK || state->type == STATE_PASS || state->type == STATE_WAIT;
    if (action == MEND_SKIP && branch->phase == PHASE_STUCK_FORWARD && !skippable)
        return problem_set(problem, STATUS_INVALID,
                           "saga %" PRIu64
                           " is stuck at %s, which is no step that could be skipped: retry or "
                           "resolve it",
                           saga->id, state->name);
    return STATUS_OK;
}

enum status core_check_mend(const struct core *core, uint64_t saga_id, enum mend_action action,
                            bool has_output, struct problem *problem)
{
    const struct saga *saga;
    enum status status = find(core, saga_id, &saga, problem);
    if (status != STATUS_OK)
        return status;
    const struct branch *branch = find_branch(core, saga, PHASE_STUCK, PHASE_STUCK_FORWARD);
    assert((branch != NULL) == (saga->outcome == OUTCOME_STUCK));
    const struct plan_state *state =
        branch == NULL ? NULL : &core->plans[saga->plan]->states[branch->state];
    status = branch == NULL ? check_wait(core, saga, action, problem)
                            : check_stuck(saga, branch, state, action, problem);
    bool waits =
        branch == NULL || (branch->phase == PHASE_STUCK_FORWARD && state->type == STATE_WAIT);
    if (status == STATUS_OK && action == MEND_SKIP && has_output && waits)
        return problem_set(
            problem, STATUS_INVALID,
            "saga %" PRIu64 " waits for a time, which has no output: skip it without one", saga_id);
    return status;
}

static enum status refuse_name(const struct plan *plan, uint64_t saga_id, struct flyover_bytes name,
                               struct problem *problem)
{
    char known[512] = "none";
    size_t used = 0;
    for (uint32_t i = 0; i < plan->signals_count && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%.*s", i > 0 ? ", " : "",
                                 (int)plan->signals[i].count, (const char *)plan->signals[i].at);
    return problem_set(problem, STATUS_INVALID,
                       "saga %" PRIu64 " of %s never waits for a signal '%.*s'; it waits for: %s",
                       saga_id, plan->name, (int)(name.count < 80 ? name.count : 80),
                       (const char *)name.at, known);
}

static bool is_awaited(const struct core *core, const struct saga *saga, uint16_t signal)
{
    for (uint32_t at = saga->branches_head; at != CORE_NONE; at = core->branches[at].next) {
        const struct plan_state *state = &core->plans[saga->plan]->states[core->branches[at].state];
        if (core->branches[at].phase == PHASE_AWAITING && state->task_kind == TASK_SIGNAL &&
            state->signal == signal)
            return true;
    }
    return false;
}

enum status core_check_signal(const struct core *core, uint64_t saga_id, struct flyover_bytes name,
                              struct problem *problem)
{
    const struct saga *saga;
    enum status status = find(core, saga_id, &saga, problem);
    if (status != STATUS_OK)
        return status;
    const struct plan *plan = core->plans[saga->plan];
    uint16_t signal = plan_find_signal(plan, name);
    if (signal == PLAN_NO_SIGNAL)
        return refuse_name(plan, saga_id, name, problem);
    /* It need not be kept: however full it is, what a saga waits for gets to it. */
    if (is_awaited(core, saga, signal))
        return STATUS_OK;
    uint32_t kept = 0;
    for (uint32_t at = saga->signals_head; at != CORE_NONE; at = core->completed[at].next)
        kept += core->completed[at].state != CORE_OF_TRACE;
    if (kept >= CORE_SIGNALS_MAX)
        return problem_set(problem, STATUS_BUSY,
                           "%u signals wait for saga %" PRIu64
                           " already, as many as are kept: send this one when it has taken some",
                           kept, saga_id);
    /* A page that is free has room for any payload. */
    if (core_pool_is_empty(&core->completed_pool) ||
        slab_region_bytes(core->payloads) - slab_used_bytes(core->payloads) < SLAB_PAGE_BYTES)
        return problem_set(problem, STATUS_BUSY, "there is no room to keep another signal now");
    return STATUS_OK;
}

/* ---- names ------------------------------------------------------------------------------------
 */

static const struct names_entry *find_name(const struct core *core, struct flyover_bytes name,
                                           int64_t now_ms)
{
    return core->names == NULL
               ? NULL
               : names_find(core->names, name, now_ms, (int64_t)core->limits.name_retention_ms,
                            core_is_live, (void *)core);
}

uint64_t core_find_name(const struct core *core, struct flyover_bytes name, int64_t now_ms)
{
    const struct names_entry *entry = find_name(core, name, now_ms);
    return entry == NULL ? 0 : entry->saga_id;
}

static enum status check_room(const struct core *core, int64_t now_ms, struct problem *problem)
{
    if (names_has_room(core->names, now_ms, (int64_t)core->limits.name_retention_ms, core_is_live,
                       (void *)core))
        return STATUS_OK;
    return problem_set(problem, STATUS_BUSY,
                       "%u names are kept, as many as there is room for: wait until the oldest "
                       "expire, or begin a data directory with a larger --names-max",
                       names_count(core->names));
}

enum status core_check_name(const struct core *core, struct flyover_bytes name,
                            struct flyover_bytes input, int64_t now_ms, uint64_t *ret_saga_id,
                            struct problem *problem)
{
    if (!names_check(name))
        return problem_set(problem, STATUS_INVALID,
                           "the name of a saga has 1 to %u bytes of UTF-8 without control "
                           "characters; this one has %u bytes%s",
                           NAMES_BYTES_MAX, name.count,
                           name.count > 0 && name.count <= NAMES_BYTES_MAX ? ", not all of them so"
                                                                           : "");
    if (core->names == NULL)
        return problem_set(problem, STATUS_INVALID,
                           "this data directory keeps no names: begin one with --names-max");
    const struct names_entry *entry = find_name(core, name, now_ms);
    if (entry != NULL && entry->input_hash == names_hash_input(input)) {
        *ret_saga_id = entry->saga_id;
        return STATUS_EXISTS;
    }
    if (entry != NULL)
        return problem_set(problem, STATUS_INVALID,
                           "the name '%.*s' was given to saga %" PRIu64
                           " with another input: take another name, or the same input",
                           (int)name.count, (const char *)name.at, entry->saga_id);
    return check_room(core, now_ms, problem);
}

struct flyover_bytes core_redrive_name(uint64_t saga_id, uint8_t bytes[CORE_REDRIVE_NAME_BYTES])
{
    bytes[0] = 1;
    memcpy(bytes + 1, &saga_id, sizeof saga_id);
    return (struct flyover_bytes){bytes, CORE_REDRIVE_NAME_BYTES};
}

enum status core_check_redrive(const struct core *core, uint64_t saga_id, int64_t now_ms,
                               uint64_t *ret_saga_id, struct problem *problem)
{
    uint8_t bytes[CORE_REDRIVE_NAME_BYTES];
    uint64_t known = core_find_name(core, core_redrive_name(saga_id, bytes), now_ms);
    if (known == 0)
        return core->names == NULL ? STATUS_OK : check_room(core, now_ms, problem);
    *ret_saga_id = known;
    return problem_set(problem, STATUS_EXISTS,
                       "saga %" PRIu64 " was redriven already, as saga %" PRIu64
                       ": look there, and redrive that one if it has failed too",
                       saga_id, known);
}

/* ---- tokens -----------------------------------------------------------------------------------
 */

/* Tells a token that was mistyped, or made for another data directory, from one that is late. It
 * keeps no one out who means harm: that is for whoever lets tokens in. */
static uint64_t check_of(uint64_t seed, uint64_t saga_id, uint32_t step_no, uint32_t attempt_no)
{
    const uint64_t parts[] = {saga_id, step_no, attempt_no};
    return XXH3_64bits_withSeed(parts, sizeof parts, seed);
}

void core_make_token(uint64_t seed, uint64_t saga_id, uint32_t step_no, uint32_t attempt_no,
                     char ret_token[CORE_TOKEN_BYTES])
{
    snprintf(ret_token, CORE_TOKEN_BYTES, "%" PRIu64 "-%u-%u-%016" PRIx64, saga_id, step_no,
             attempt_no, check_of(seed, saga_id, step_no, attempt_no));
}

static bool parse_token(const char *token, uint64_t *saga_id, uint32_t *step_no,
                        uint32_t *attempt_no)
{
    char whole[CORE_TOKEN_BYTES];
    if (strnlen(token, CORE_TOKEN_BYTES) == CORE_TOKEN_BYTES)
        return false;
    uint64_t check;
    int read = 0;
    if (sscanf(token, "%" SCNu64 "-%u-%u-%16" SCNx64 "%n", saga_id, step_no, attempt_no, &check,
               &read) != 4)
        return false;
    /* One way to write it, and nothing behind it. */
    snprintf(whole, sizeof whole, "%" PRIu64 "-%u-%u-%016" PRIx64, *saga_id, *step_no, *attempt_no,
             check);
    return strcmp(whole, token) == 0;
}

enum status core_check_token(const struct core *core, const char *token, uint32_t *ret_branch,
                             struct problem *problem)
{
    uint64_t saga_id;
    uint32_t step_no, attempt_no;
    char made[CORE_TOKEN_BYTES] = "";
    bool fine = parse_token(token, &saga_id, &step_no, &attempt_no);
    if (fine)
        core_make_token(core->limits.seed, saga_id, step_no, attempt_no, made);
    if (!fine || strcmp(made, token) != 0)
        return problem_set(problem, STATUS_INVALID,
                           "'%.80s' is no token of this data directory: a step that waits to be "
                           "answered gave it to its handler, whole",
                           token);
    const struct saga *saga;
    enum status status = find(core, saga_id, &saga, problem);
    if (status != STATUS_OK)
        return status;
    for (uint32_t at = saga->branches_head; at != CORE_NONE; at = core->branches[at].next) {
        const struct branch *branch = &core->branches[at];
        if (branch->phase != PHASE_AWAITING || branch->step_no != step_no ||
            (branch->attempt_no != attempt_no && !PLANTED(OLD_TOKEN)) ||
            core->plans[saga->plan]->states[branch->state].task_kind != TASK_TOKEN)
            continue;
        *ret_branch = at;
        return STATUS_OK;
    }
    return problem_set(problem, STATUS_NOT_FOUND,
                       "nothing waits for this token: step %u of saga %" PRIu64
                       " was answered, or out of time, or is not yet begun",
                       step_no, saga_id);
}

bool core_is_token_early(const struct core *core, const char *token)
{
    uint64_t saga_id;
    uint32_t step_no, attempt_no;
    if (!parse_token(token, &saga_id, &step_no, &attempt_no))
        return false;
    uint32_t slot = core_find_saga(core, saga_id);
    uint32_t at = slot == CORE_NO_SAGA ? CORE_NONE : core->sagas[slot].branches_head;
    for (; at != CORE_NONE; at = core->branches[at].next) {
        const struct branch *branch = &core->branches[at];
        if (branch->phase == PHASE_WAITING && branch->step_no == step_no &&
            branch->attempt_no == attempt_no)
            return true;
    }
    return false;
}
