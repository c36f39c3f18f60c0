#include "engine/history/history_follow.h"

#include <assert.h>
#include <inttypes.h>

#include "engine/history/history_parts.h"

struct following {
    struct history *history;
    struct history_place_of_note *next;
    uint64_t end_no;
    uint32_t limit; /* entries still wanted */
    history_follower *visit;
    void *context;
    struct problem *problem;
    uint64_t start_bytes;
};

static bool is_spent(const struct following *following)
{
    uint64_t read = following->history->lister.window.read_bytes - following->start_bytes;
    return following->limit == 0 || read >= HISTORY_SCAN_BYTES_MAX;
}

static void move(struct following *following, uint64_t block_no, uint64_t index)
{
    *following->next = (struct history_place_of_note){block_no, index};
}

static void tell(struct following *following, const struct chunk *chunk, const struct note *note,
                 uint64_t index)
{
    const struct dictionary *dictionary = &following->history->lister.dictionary;
    struct history_entry entry = {
        .saga_id = note->saga_id,
        .plan = note->ended.plan,
        .outcome = note->ended.outcome,
        .error = note->ended.error,
        .steps_count = note->ended.steps_count,
        .started_ms = note->ended.started_ms,
        .ended_ms = chunk->now_ms,
    };
    history_describe_plan(dictionary, note->ended.plan, entry.definition, &entry.version);
    history_describe_error(dictionary, note->ended.error, entry.error_name);
    following->limit--;
    following->visit(&entry, chunk->block_no, index, following->context);
}

/* The ends in the chunk from the place on; leaves the place behind what was told. */
static void follow_chunk(struct following *following, const struct chunk *chunk)
{
    uint64_t first = chunk->block_no == following->next->block_no ? following->next->index : 0;
    struct note_coder coder;
    note_coder_init(&coder, chunk->now_ms);
    const uint8_t *at = chunk->notes, *end = at + chunk->notes_bytes;
    struct note note;
    for (uint64_t index = 0; at != end && following->limit > 0; index++) {
        at = note_decode(&coder, at, end, &note);
        if (at == NULL)
            break;
        if (index >= first && note.kind == NOTE_ENDED)
            tell(following, chunk, &note, index);
        move(following, chunk->block_no, index + 1);
    }
    if (following->limit > 0)
        move(following, chunk->block_no + 1, 0);
}

static bool is_asked_for(const struct following *following, const struct chunk *chunk)
{
    return chunk->block_no >= following->next->block_no && (chunk->flags & CHUNK_HAS_ENDED) != 0;
}

/* The chunks from `offset` to `end`. */
static enum status follow_chunks(struct following *following, const struct history_view *view,
                                 uint64_t offset, uint64_t end)
{
    struct window *window = &following->history->lister.window;
    struct chunk chunk;
    enum status status = STATUS_OK;
    while (offset < end && !is_spent(following)) {
        status = chunk_read_header(window, offset, end, &chunk);
        if (status != STATUS_OK || chunk.block_no >= following->end_no)
            break;
        if (is_asked_for(following, &chunk)) {
            status = chunk_read_notes(window, offset, &chunk);
            if (status == STATUS_OK)
                follow_chunk(following, &chunk);
            if (status != STATUS_OK)
                break;
        }
        offset = chunk_end(offset, &chunk);
    }
    if (status == STATUS_END || status == STATUS_CORRUPT) {
        history_view_damaged(following->history, view);
        status = STATUS_OK;
    }
    return status;
}

/* The block of the first chunk of the region. */
static bool begins_after(struct following *following, const struct history_view *view,
                         uint32_t region)
{
    struct chunk chunk;
    return view->summary.region_starts[region] == SEGMENT_NO_REGION ||
           chunk_read_header(&following->history->lister.window,
                             view->summary.region_starts[region], view->summary.chunks_end,
                             &chunk) != STATUS_OK ||
           chunk.block_no > following->next->block_no;
}

static enum status follow_view(struct following *following, const struct history_view *view)
{
    struct history *history = following->history;
    enum status status =
        history_view_dictionary(history, &history->lister, view, following->problem);
    /* The last region that begins at or before the place: what is before it was told. */
    uint32_t first = BLOOM_REGIONS_MAX;
    while (first > 0 && begins_after(following, view, first - 1))
        first--;
    for (uint32_t i = first > 0 ? first - 1 : 0; status == STATUS_OK && i < BLOOM_REGIONS_MAX; i++)
        if (view->summary.region_starts[i] != SEGMENT_NO_REGION)
            status = follow_chunks(following, view, view->summary.region_starts[i],
                                   segment_region_end(&view->summary, i));
    return status == STATUS_NO_MEMORY || status == STATUS_IO
               ? history_problem(history, view, status, following->problem)
               : status;
}

static enum status follow_place(struct following *following, struct history_place *place)
{
    struct history *history = following->history;
    struct history_view view;
    enum status status =
        history_view_open(history, &history->lister, place, &view, following->problem);
    if (status == STATUS_END)
        return STATUS_OK;
    if (status != STATUS_OK)
        return status;
    status = follow_view(following, &view);
    history_view_close(&view);
    return status;
}

static enum status check_kept(const struct history *history, uint64_t block_no,
                              struct problem *problem)
{
    if (history->places_count > 0 && history->places[0].first_no <= block_no)
        return STATUS_OK;
    return problem_set(problem, STATUS_LOST,
                       "what ended in block %" PRIu64 " is not kept any more: history begins with "
                       "block %" PRIu64,
                       block_no, history->places_count > 0 ? history->places[0].first_no : 0);
}

enum status history_follow(struct history *history, struct history_place_of_note *next,
                           uint64_t end_no, uint32_t limit, history_follower *visit, void *context,
                           bool *ret_is_done, struct problem *problem)
{
    assert(limit > 0);
    struct following following = {
        .history = history,
        .next = next,
        .end_no = end_no,
        .limit = limit,
        .visit = visit,
        .context = context,
        .problem = problem,
        .start_bytes = history->lister.window.read_bytes,
    };
    enum status status = history_refresh(history, problem);
    if (status == STATUS_OK)
        status = check_kept(history, next->block_no, problem);
    for (uint32_t i = 0; status == STATUS_OK && i < history->places_count; i++) {
        bool is_last = i + 1 == history->places_count;
        if (is_spent(&following) || history->places[i].first_no >= end_no)
            break;
        if (is_last || history->places[i + 1].first_no > next->block_no)
            status = follow_place(&following, &history->places[i]);
    }
    if (status == STATUS_OK)
        *ret_is_done = !is_spent(&following);
    return status;
}
