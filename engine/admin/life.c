#include "engine/admin/life.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/admin/timeline.h"
#include "engine/history/history.h"
#include "storage/journal.h"

#define PAYLOAD_BYTES_MAX (256ull << 20)

struct life {
    const struct asker *asker;
    uint64_t saga_id;
    struct history *history;
    struct journal *journal;
    struct partition_state *state;
    partition_on_event on_event;
    void *context;
    uint32_t *plan_told; /* gets the number of the plan; may be NULL */
    /* Copies of what the index says. */
    uint16_t plan;
    bool has_end;
    uint64_t *blocks;
    uint32_t blocks_count;
    uint32_t *branches; /* in the order in which they were acquired */
    uint32_t branches_count;
    /* By the same order: the numbers that the core of its own gave. */
    uint32_t *own;
    uint32_t own_count;
    uint32_t begins_before; /* sagas that began in the first block before this one */
    bool has_begun;
};

/* ---- what the index says --------------------------------------------------------------------- */

static enum status copy_saga(struct life *life, const struct history_saga *saga)
{
    life->plan = saga->plan;
    life->has_end = saga->has_end;
    life->blocks = calloc(saga->blocks_count + 1, sizeof *life->blocks);
    life->branches = calloc(saga->branches_count + 1, sizeof *life->branches);
    life->own = calloc(saga->branches_count + 1, sizeof *life->own);
    if (life->blocks == NULL || life->branches == NULL || life->own == NULL)
        return STATUS_NO_MEMORY;
    life->blocks_count = saga->blocks_count;
    memcpy(life->blocks, saga->blocks, saga->blocks_count * sizeof *life->blocks);
    life->branches_count = saga->branches_count;
    for (uint32_t i = 0; i < saga->branches_count; i++)
        life->branches[i] = saga->branches[i].branch;
    return STATUS_OK;
}

static enum status look_up(struct life *life, struct problem *problem)
{
    struct history_saga saga;
    enum status status = history_open(life->asker->directory, &life->history, problem);
    if (status == STATUS_OK)
        status = history_find(life->history, life->saga_id, &saga, problem);
    if (status != STATUS_OK)
        return status;
    if (!saga.has_start)
        return problem_set(
            problem, STATUS_LOST,
            "what saga %" PRIu64
            " began with is not kept any more: its history begins with block %" PRIu64,
            life->saga_id, saga.blocks[0]);
    if (saga.has_more_blocks || saga.has_more_branches)
        return problem_set(problem, STATUS_NOT_FOUND,
                           "saga %" PRIu64 " has more blocks than the index tells", life->saga_id);
    status = copy_saga(life, &saga);
    return status == STATUS_OK ? STATUS_OK : problem_set(problem, status, "out of memory");
}

static bool began_in(struct life *life, uint64_t saga_id, uint64_t block_no)
{
    struct history_saga saga;
    return history_find(life->history, saga_id, &saga, NULL) == STATUS_OK && saga.has_start &&
           saga.blocks[0] == block_no;
}

/* Sagas are numbered as they begin: how many of those that did in this block come before? Halves
 * the distance, since each look costs about a millisecond. */
static uint32_t count_begins_before(struct life *life, uint32_t begins_count)
{
    uint64_t first = life->saga_id; /* began in the block */
    uint64_t most = begins_count - 1 < first - 1 ? begins_count - 1 : first - 1;
    uint64_t before = first - most; /* the first that may have */
    while (before < first) {
        uint64_t middle = before + (first - before) / 2;
        if (began_in(life, middle, life->blocks[0]))
            first = middle;
        else
            before = middle + 1;
    }
    return (uint32_t)(life->saga_id - first);
}

/* ---- the core of its own --------------------------------------------------------------------- */

static void on_note(void *context, const struct core_note *note)
{
    struct life *life = context;
    if (note->kind != CORE_NOTE_STARTED && note->kind != CORE_NOTE_BRANCH)
        return;
    /* One that the index does not know is never asked for by an event. */
    if (life->own_count < life->branches_count)
        life->own[life->own_count++] = note->branch;
}

static enum status open_core(struct life *life, const json_t *definition, struct problem *problem)
{
    const char *name = json_string_value(json_object_get(definition, "definition"));
    const char *text = json_string_value(json_object_get(definition, "text"));
    const char *seed = json_string_value(json_object_get(definition, "seed"));
    struct core_limits limits = {.sagas_max = LIFE_SAGAS_MAX,
                                 .payload_bytes_max = PAYLOAD_BYTES_MAX};
    struct core *core;
    struct plan *plan;
    if (name == NULL || text == NULL || seed == NULL)
        return problem_set(problem, STATUS_INVALID, "the definition of the saga is not told");
    limits.seed = strtoull(seed, NULL, 16);
    enum status status = partition_state_open(&life->state);
    if (status == STATUS_OK)
        status = core_open(&limits, &core);
    if (status != STATUS_OK)
        return problem_set(problem, status, "out of memory");
    status = partition_state_take_core(life->state, core);
    if (status == STATUS_OK)
        status = plan_compile(name, name, text, strlen(text), &plan, problem);
    if (status != STATUS_OK)
        return status;
    core_add_plan(core, plan);
    core_begin_at(core, life->saga_id);
    core_set_on_note(core, on_note, life);
    return STATUS_OK;
}

static enum status open_plan(struct life *life, struct problem *problem)
{
    bool refused;
    json_t *definition = NULL;
    json_t *request = json_pack("{s:s, s:i}", "do", "definition", "plan", (int)life->plan);
    enum status status = asker_ask(life->asker, request, &definition, &refused, problem);
    json_decref(request);
    if (status == STATUS_OK)
        status = open_core(life, definition, problem);
    json_decref(definition);
    return status;
}

/* ---- its events ------------------------------------------------------------------------------ */

/* The branch in the core of its own; false for another saga's: a slot that the saga has given back
 * may be anybody's, and so may its own number be that of a later branch of the saga. */
static bool translate(const struct life *life, uint32_t *branch)
{
    struct core_branch_view view;
    uint32_t found = life->own_count;
    while (found > 0 && life->branches[found - 1] != *branch)
        found--;
    if (found == 0)
        return false;
    *branch = life->own[found - 1];
    for (uint32_t later = found; later < life->own_count; later++)
        if (life->own[later] == *branch)
            return false;
    return core_view_branch(life->state->core, *branch, &view);
}

static bool is_begin(const struct event *event)
{
    return event->kind == EVENT_START || event->kind == EVENT_REDRIVE;
}

static bool take_begin(struct life *life, struct event *event)
{
    if (life->has_begun || life->begins_before-- > 0)
        return false;
    life->has_begun = true;
    if (event->kind == EVENT_REDRIVE) {
        event->redrive.plan = 0;
        event->redrive.once = false;
        return true;
    }
    event->start.plan = 0;
    event->start.source = EVENT_NO_SOURCE;
    event->start.name.count = 0;
    return true;
}

/* Its own deadline has passed, and a saga's has. */
static bool take_deadline(const struct life *life, int64_t now_ms, uint32_t *slot)
{
    *slot = core_find_saga(life->state->core, life->saga_id);
    return *slot != CORE_NO_SAGA && core_deadline_ms(life->state->core, *slot) >= 0 &&
           core_deadline_ms(life->state->core, *slot) <= now_ms;
}

/* Whether the event is the saga's; makes it one of the core of its own. */
static bool take_event(struct life *life, int64_t now_ms, struct event *event)
{
    if (is_begin(event))
        return take_begin(life, event);
    if (!life->has_begun)
        return false;
    switch (event->kind) {
    case EVENT_RESULT: return translate(life, &event->result.branch);
    case EVENT_ERROR: return translate(life, &event->error.branch);
    case EVENT_HEARTBEAT: return translate(life, &event->heartbeat.branch);
    case EVENT_TIMER:
        return event->timer.of_saga ? take_deadline(life, now_ms, &event->timer.branch)
                                    : translate(life, &event->timer.branch);
    case EVENT_SIGNAL: return event->signal.saga_id == life->saga_id;
    case EVENT_CANCEL: return event->cancel.saga_id == life->saga_id;
    case EVENT_MEND: return event->mend.saga_id == life->saga_id;
    case EVENT_START:
    case EVENT_REDRIVE:
    case EVENT_LIMITS:
    case EVENT_SERVICE:
    case EVENT_DEFINITION:
    case EVENT_SOURCE: break;
    }
    return false;
}

static enum status apply_event(struct life *life, const struct block_header *header,
                               const struct event *event, struct problem *problem)
{
    struct partition_state *state = life->state;
    const struct core_moment moment = {header->now_ms, header->block_no};
    life->on_event(life->context, PARTITION_BEFORE_EVENT, header, state, event);
    if (core_apply(state->core, &moment, event, 0, &state->effects, NULL) != STATUS_OK)
        return problem_set(problem, STATUS_CORRUPT,
                           "block %" PRIu64 ": an event (%s) of saga %" PRIu64
                           " does not fit what it did before",
                           header->block_no, event_kind_text(event->kind), life->saga_id);
    life->on_event(life->context, PARTITION_AFTER_EVENT, header, state, event);
    state->effects.head = state->effects.tail;
    return STATUS_OK;
}

static uint32_t count_begins(const struct block_header *header, const uint8_t *body)
{
    const uint8_t *at = body, *end = body + header->body_bytes;
    struct event event;
    uint32_t count = 0;
    for (uint32_t i = 0; i < header->record_count && at != NULL; i++) {
        at = event_decode(at, end, &event);
        count += at != NULL && is_begin(&event);
    }
    return count;
}

static bool is_over(const struct life *life)
{
    return life->has_begun && core_find_saga(life->state->core, life->saga_id) == CORE_NO_SAGA;
}

static enum status read_block(struct life *life, const struct journal_slice *slice,
                              struct problem *problem)
{
    struct block_header header;
    enum status status =
        block_decode(slice->bytes, slice->bytes_count, slice->block_no, &header, problem);
    if (status != STATUS_OK)
        return status;
    const uint8_t *at = slice->bytes + BLOCK_HEADER_BYTES, *end = at + header.body_bytes;
    if (header.block_no == life->blocks[0]) {
        uint32_t begins_count = count_begins(&header, at);
        if (begins_count > 1)
            life->begins_before = count_begins_before(life, begins_count);
    }
    struct event event;
    for (uint32_t i = 0; i < header.record_count && status == STATUS_OK && !is_over(life); i++) {
        at = event_decode(at, end, &event);
        if (at == NULL)
            return problem_set(problem, STATUS_CORRUPT,
                               "block %" PRIu64 ": a record cannot be read", header.block_no);
        if (take_event(life, header.now_ms, &event))
            status = apply_event(life, &header, &event, problem);
    }
    return status;
}

/* Reads from the journal's position up to last_no. */
static enum status read_range(struct life *life, uint64_t last_no, uint64_t *next_no,
                              struct problem *problem)
{
    struct journal_slice slice;
    while (*next_no <= last_no && !is_over(life)) {
        enum status status = journal_next(life->journal, &slice, problem);
        if (status == STATUS_END) /* the end of the journal */
            *next_no = UINT64_MAX;
        if (status != STATUS_OK)
            return status == STATUS_END ? STATUS_OK : status;
        if (!life->has_begun && slice.block_no != life->blocks[0])
            return problem_set(problem, STATUS_LOST,
                               "saga %" PRIu64 " began in block %" PRIu64
                               ", and blocks before %" PRIu64 " are not kept any more",
                               life->saga_id, life->blocks[0], slice.block_no);
        *next_no = slice.block_no + 1;
        if (slice.block_no > last_no)
            break;
        status = read_block(life, &slice, problem);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

/* Its events lie in these blocks and up to HISTORY_GAP_BLOCKS behind each. */
static enum status read_blocks(struct life *life, struct problem *problem)
{
    uint64_t next_no = 0; /* behind what was read */
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < life->blocks_count && status == STATUS_OK && !is_over(life); i++) {
        uint64_t first_no = life->blocks[i];
        bool goes_on = next_no > first_no;
        if (!goes_on)
            status = journal_seek(life->journal, first_no, problem);
        if (status == STATUS_OK) {
            next_no = goes_on ? next_no : first_no;
            status = read_range(life, first_no + HISTORY_GAP_BLOCKS, &next_no, problem);
        }
    }
    return status;
}

static void close_parts(struct life *life)
{
    free(life->blocks);
    free(life->branches);
    free(life->own);
    partition_state_close(life->state);
    journal_close(life->journal);
    history_close(life->history);
}

/* The state stays for the caller to look at, until close_parts. */
static enum status walk(struct life *life, struct problem *problem)
{
    struct journal_options options = {.directory = life->asker->directory, .read_only = true};
    enum status status = look_up(life, problem);
    if (status == STATUS_OK)
        status = open_plan(life, problem);
    if (status == STATUS_OK && life->plan_told != NULL)
        *life->plan_told = life->plan;
    if (status == STATUS_OK)
        status = journal_open(&options, &life->journal, problem);
    return status == STATUS_OK ? read_blocks(life, problem) : status;
}

enum status life_walk(const struct asker *asker, uint64_t saga_id, partition_on_event on_event,
                      void *context, uint32_t *ret_plan, struct problem *problem)
{
    struct life life = {.asker = asker,
                        .saga_id = saga_id,
                        .on_event = on_event,
                        .context = context,
                        .plan_told = ret_plan};
    enum status status = walk(&life, problem);
    close_parts(&life);
    return status;
}

/* ---- telling --------------------------------------------------------------------------------- */

/* What the index says by itself. */
static enum status tell_gone(const struct life *life, FILE *out, json_t **ret_json,
                             const struct problem *gone, struct problem *problem)
{
    struct history_saga saga;
    enum status status = history_find(life->history, life->saga_id, &saga, problem);
    if (status != STATUS_OK)
        return status;
    char started[TIMELINE_TIME_BYTES], ended[TIMELINE_TIME_BYTES];
    timeline_format_time(saga.started_ms, started);
    timeline_format_time(saga.ended_ms, ended);
    const char *outcome = outcome_text((enum outcome)saga.outcome);
    if (out == NULL) {
        json_t *object = json_pack("{s:I, s:s, s:s}", "id", (json_int_t)saga.saga_id, "definition",
                                   saga.definition, "gone", gone->text);
        if (saga.has_end) {
            json_object_set_new(object, "outcome", json_string(outcome));
            json_object_set_new(object, "started_ms", json_integer(saga.started_ms));
            json_object_set_new(object, "ended_ms", json_integer(saga.ended_ms));
            json_object_set_new(object, "steps", json_integer(saga.steps_count));
        }
        *ret_json = object;
        return STATUS_OK;
    }
    fprintf(out, "saga %" PRIu64 "%s%s", saga.saga_id, saga.definition[0] != '\0' ? " of " : "",
            saga.definition);
    if (saga.has_end)
        fprintf(out, ": %s%s%s, %u steps\n  started %s UTC, ended %s UTC\n", outcome,
                saga.error_name[0] != '\0' ? ", because of " : "", saga.error_name,
                saga.steps_count, started, ended);
    fprintf(out, "%s  %s\n", saga.has_end ? "" : "\n", gone->text);
    return STATUS_OK;
}

enum status life_tell(const struct asker *asker, uint64_t saga_id, FILE *out, json_t **ret_json,
                      struct problem *problem)
{
    struct timeline timeline;
    struct life life = {
        .asker = asker, .saga_id = saga_id, .on_event = timeline_on_event, .context = &timeline};
    enum status status = timeline_init(&timeline, saga_id, out);
    if (status != STATUS_OK)
        return problem_set(problem, status, "out of memory");
    struct problem inner = {0};
    status = walk(&life, &inner);
    if (status == STATUS_OK && out != NULL)
        timeline_finish(&timeline, life.state);
    else if (status == STATUS_OK)
        *ret_json = timeline_to_json(&timeline, life.state);
    else if (status == STATUS_LOST)
        status = tell_gone(&life, out, ret_json, &inner, problem);
    else if (status == STATUS_NOT_FOUND && asker->may_replay)
        status = life_tell_by_replay(asker->directory, saga_id, out, ret_json, problem);
    else
        problem_set(problem, status, "%s", inner.text);
    timeline_fini(&timeline);
    close_parts(&life);
    return status;
}
