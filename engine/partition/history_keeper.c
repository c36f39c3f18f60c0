#include "engine/partition/history_keeper.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/region.h"

_Static_assert(HISTORY_GAP_BLOCKS == CORE_NOTED_BLOCKS, "one rule of when a saga is noted again");
_Static_assert(NOTE_PLANS_MAX >= CORE_PLANS_MAX && NOTE_ERRORS_MAX >= CORE_ERRORS_MAX &&
                   NOTE_NAME_BYTES_MAX >= 256u && NOTE_NO_ERROR == CORE_NO_ERROR,
               "what the core tells fits a note");

/* ---- engine thread ----------------------------------------------------------------------------
 */

static void keep(struct keeper *keeper, const struct note *note)
{
    struct keeper_notes *open = keeper->open;
    assert(open->bytes_count + NOTE_BYTES_MAX <= KEEPER_NOTES_BYTES);
    uint8_t *end = note_encode(&keeper->coder, note, open->bytes + open->bytes_count);
    open->bytes_count = (uint32_t)(end - open->bytes);
    open->notes_count++;
}

static struct flyover_bytes text_bytes(const char *text)
{
    return (struct flyover_bytes){(const uint8_t *)text, (uint32_t)strlen(text)};
}

/* What a number stands for is said once, before it is used. */
static void tell_plan(struct keeper *keeper, uint32_t plan)
{
    if (keeper->plan_told[plan])
        return;
    keeper->plan_told[plan] = true;
    struct note note = {.kind = NOTE_PLAN};
    note.plan.plan = (uint16_t)plan;
    note.plan.version = keeper->state->definitions[plan].version;
    note.plan.name = text_bytes(core_plan(keeper->state->core, plan)->name);
    keep(keeper, &note);
}

static void tell_error(struct keeper *keeper, uint8_t error)
{
    if (error == CORE_NO_ERROR || keeper->error_told[error])
        return;
    keeper->error_told[error] = true;
    const struct core_error *errors;
    uint32_t count = core_errors(keeper->state->core, &errors);
    assert(error < count);
    struct note note = {.kind = NOTE_ERROR};
    note.error.error = error;
    note.error.name = text_bytes(errors[error].name);
    keep(keeper, &note);
}

static void keeper_on_note(void *context, const struct core_note *told)
{
    struct keeper *keeper = context;
    struct note note;
    note.saga_id = told->saga_id;
    switch (told->kind) {
    case CORE_NOTE_STARTED:
        tell_plan(keeper, told->plan);
        note.kind = NOTE_STARTED;
        note.started.branch = told->branch;
        note.started.plan = (uint16_t)told->plan;
        note.started.redrive_of = told->redrive_of;
        note.started.name = told->name;
        break;
    case CORE_NOTE_BRANCH:
        note.kind = NOTE_BRANCH;
        note.branch.branch = told->branch;
        break;
    case CORE_NOTE_TOUCHED: note.kind = NOTE_TOUCHED; break;
    case CORE_NOTE_ENDED:
        tell_plan(keeper, told->plan);
        tell_error(keeper, told->error);
        note.kind = NOTE_ENDED;
        note.ended.plan = (uint16_t)told->plan;
        note.ended.outcome = (uint8_t)told->outcome;
        note.ended.error = told->error;
        note.ended.steps_count = told->steps;
        note.ended.started_ms = told->started_ms;
        break;
    }
    keep(keeper, &note);
}

void keeper_listen(struct keeper *keeper, struct partition_state *state)
{
    keeper->state = state;
    core_set_on_note(state->core, keeper_on_note, keeper);
}

void keeper_begin(struct keeper *keeper, uint32_t buffer_index, int64_t now_ms)
{
    struct keeper_notes *open = &keeper->buffers[buffer_index];
    open->bytes_count = 0;
    open->notes_count = 0;
    open->now_ms = now_ms;
    keeper->open = open;
    note_coder_init(&keeper->coder, now_ms);
}

/* ---- journal thread ---------------------------------------------------------------------------
 */

static enum status keeper_on_block(void *context, uint32_t buffer_index, uint64_t block_no,
                                   struct problem *problem)
{
    struct keeper *keeper = context;
    const struct keeper_notes *notes = &keeper->buffers[buffer_index];
    return history_log_append(keeper->log, block_no, notes->now_ms, notes->bytes,
                              notes->bytes_count, notes->notes_count, problem);
}

static enum status keeper_on_sync(void *context, struct problem *problem)
{
    struct keeper *keeper = context;
    return history_log_sync(keeper->log, problem);
}

static enum status keeper_on_removal(void *context, uint64_t first_kept_no, struct problem *problem)
{
    struct keeper *keeper = context;
    uint64_t first_no;
    return history_log_drop_before(keeper->log, first_kept_no, &first_no, problem);
}

enum status keeper_end_replayed(struct keeper *keeper, uint64_t block_no, struct problem *problem)
{
    return keeper_on_block(keeper, (uint32_t)(keeper->open - keeper->buffers), block_no, problem);
}

/* ---- opening ----------------------------------------------------------------------------------
 */

enum status keeper_open(struct keeper *keeper, const struct history_log_options *options,
                        struct history_log_found *ret_found, struct problem *problem)
{
    for (uint32_t i = 0; i < WRITER_BUFFERS_COUNT; i++) {
        keeper->buffers[i].bytes = region_map(KEEPER_NOTES_BYTES, REGION_SCRATCH);
        if (keeper->buffers[i].bytes == NULL)
            return problem_set(problem, STATUS_NO_MEMORY, "no memory for the notes of history");
    }
    keeper->beside = (struct writer_beside){
        .context = keeper,
        .on_block = keeper_on_block,
        .on_sync = keeper_on_sync,
        .on_removal = keeper_on_removal,
    };
    return history_log_open(options, &keeper->log, ret_found, problem);
}

void keeper_close(struct keeper *keeper)
{
    history_log_close(keeper->log);
    for (uint32_t i = 0; i < WRITER_BUFFERS_COUNT; i++)
        region_unmap(keeper->buffers[i].bytes, KEEPER_NOTES_BYTES);
    *keeper = (struct keeper){0};
}
