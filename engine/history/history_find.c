/* One saga: through the segments from the oldest on, in each only the regions that may hold it,
 * until its end is met. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "engine/history/history_parts.h"

struct finding {
    struct history *history;
    struct history_saga *saga;
    bool is_known;
    bool needs_plan; /* what its plan and error mean is to be read from this segment */
};

static void add_block(struct finding *finding, uint64_t block_no)
{
    struct history_saga *saga = finding->saga;
    uint64_t *blocks = finding->history->blocks;
    if (saga->blocks_count > 0 && blocks[saga->blocks_count - 1] == block_no)
        return;
    if (saga->blocks_count == HISTORY_BLOCKS_MAX)
        saga->has_more_blocks = true;
    else
        blocks[saga->blocks_count++] = block_no;
}

static void add_branch(struct finding *finding, uint32_t branch, uint64_t block_no)
{
    struct history_saga *saga = finding->saga;
    if (saga->branches_count == HISTORY_BRANCHES_MAX)
        saga->has_more_branches = true;
    else
        finding->history->branches[saga->branches_count++] =
            (struct history_branch){.block_no = block_no, .branch = branch};
}

static void take_started(struct finding *finding, const struct note *note)
{
    struct history_saga *saga = finding->saga;
    saga->has_start = true;
    saga->plan = note->started.plan;
    saga->redrive_of = note->started.redrive_of;
    saga->name_bytes = note->started.name.count;
    if (saga->name_bytes > 0)
        memcpy(saga->name, note->started.name.at, saga->name_bytes);
    saga->name[saga->name_bytes] = '\0';
    finding->needs_plan = true;
}

static void take_ended(struct finding *finding, const struct note *note, int64_t now_ms)
{
    struct history_saga *saga = finding->saga;
    saga->has_end = true;
    saga->plan = note->ended.plan;
    saga->outcome = note->ended.outcome;
    saga->error = note->ended.error;
    saga->steps_count = note->ended.steps_count;
    saga->started_ms = note->ended.started_ms;
    saga->ended_ms = now_ms;
    finding->needs_plan = true;
}

static void take_note(struct finding *finding, const struct note *note, const struct chunk *chunk)
{
    finding->is_known = true;
    add_block(finding, chunk->block_no);
    switch (note->kind) {
    case NOTE_STARTED:
        take_started(finding, note);
        add_branch(finding, note->started.branch, chunk->block_no);
        break;
    case NOTE_BRANCH: add_branch(finding, note->branch.branch, chunk->block_no); break;
    case NOTE_ENDED: take_ended(finding, note, chunk->now_ms); break;
    case NOTE_TOUCHED:
    case NOTE_PLAN:
    case NOTE_ERROR: break;
    }
}

/* False where the notes make no sense. */
static bool take_chunk(struct finding *finding, const struct chunk *chunk)
{
    struct note_coder coder;
    note_coder_init(&coder, chunk->now_ms);
    const uint8_t *at = chunk->notes, *end = at + chunk->notes_bytes;
    struct note note;
    while (at != end && !finding->saga->has_end) {
        at = note_decode(&coder, at, end, &note);
        if (at == NULL)
            return false;
        if (note.saga_id == finding->saga->saga_id && note.kind < NOTE_PLAN)
            take_note(finding, &note, chunk);
    }
    return true;
}

static enum status find_in_region(struct finding *finding, const struct history_view *view,
                                  uint32_t region)
{
    struct window *window = &finding->history->finder.window;
    uint64_t saga_id = finding->saga->saga_id;
    uint64_t end = segment_region_end(&view->summary, region);
    uint64_t offset = view->summary.region_starts[region];
    while (offset < end && !finding->saga->has_end) {
        struct chunk chunk;
        enum status status = chunk_read_header(window, offset, end, &chunk);
        if (status == STATUS_END)
            history_view_damaged(finding->history, view);
        if (status != STATUS_OK)
            return status == STATUS_END ? STATUS_OK : status;
        bool may_have = chunk.id_least <= saga_id && saga_id <= chunk.id_greatest;
        if (may_have) {
            status = chunk_read_notes(window, offset, &chunk);
            if (status != STATUS_OK && status != STATUS_CORRUPT)
                return status;
            if (status == STATUS_CORRUPT || !take_chunk(finding, &chunk))
                history_view_damaged(finding->history, view);
        }
        offset = chunk_end(offset, &chunk);
    }
    return STATUS_OK;
}

static enum status find_in_view(struct finding *finding, const struct history_view *view,
                                struct problem *problem)
{
    struct history *history = finding->history;
    struct history_saga *saga = finding->saga;
    if (saga->saga_id < view->summary.id_least || saga->saga_id > view->summary.id_greatest)
        return STATUS_OK;
    uint32_t regions = 0;
    enum status status = history_view_regions(view, bloom_key_of_saga(saga->saga_id), &regions);
    finding->needs_plan = false;
    for (uint32_t i = 0; i < BLOOM_REGIONS_MAX && status == STATUS_OK; i++)
        if ((regions >> i & 1) != 0)
            status = find_in_region(finding, view, i);
    if (status != STATUS_OK)
        return history_problem(history, view, status, problem);
    if (!finding->needs_plan)
        return STATUS_OK;
    status = history_view_dictionary(history, &history->finder, view, problem);
    if (status != STATUS_OK)
        return status;
    const struct dictionary *dictionary = &history->finder.dictionary;
    history_describe_plan(dictionary, saga->plan, saga->definition, &saga->version);
    history_describe_error(dictionary, saga->error, saga->error_name);
    return STATUS_OK;
}

static enum status not_found(const struct history *history, uint64_t saga_id,
                             struct problem *problem)
{
    if (history->places_count == 0)
        return problem_set(problem, STATUS_NOT_FOUND,
                           "saga %" PRIu64 " is not in the history: %s has none", saga_id,
                           history->folder);
    return problem_set(problem, STATUS_NOT_FOUND,
                       "saga %" PRIu64 " is not in the history, which %s keeps from block %" PRIu64
                       " on",
                       saga_id, history->folder, history->places[0].first_no);
}

enum status history_find_listed(struct history *history, uint64_t saga_id,
                                struct history_saga *ret_saga, struct problem *problem)
{
    struct history_saga saga = {.saga_id = saga_id, .error = NOTE_NO_ERROR};
    struct finding finding = {.history = history, .saga = &saga};
    for (uint32_t i = 0; i < history->places_count && !saga.has_end; i++) {
        struct history_place *place = &history->places[i];
        if (place->is_sealed &&
            (saga_id < place->summary.id_least || saga_id > place->summary.id_greatest))
            continue;
        struct history_view view;
        enum status status = history_view_open(history, &history->finder, place, &view, problem);
        if (status == STATUS_END)
            continue;
        if (status != STATUS_OK)
            return status;
        status = find_in_view(&finding, &view, problem);
        history_view_close(&view);
        if (status != STATUS_OK)
            return status;
    }
    if (!finding.is_known)
        return not_found(history, saga_id, problem);
    saga.blocks = history->blocks;
    saga.branches = history->branches;
    *ret_saga = saga;
    return STATUS_OK;
}

enum status history_find(struct history *history, uint64_t saga_id, struct history_saga *ret_saga,
                         struct problem *problem)
{
    enum status status = history_refresh(history, problem);
    return status == STATUS_OK ? history_find_listed(history, saga_id, ret_saga, problem) : status;
}
