/* Finished sagas, newest first: segments, regions and chunks from the last to the first. A chunk
 * is read forwards, the last few matches of it are kept, and then told backwards. With a name,
 * what matches is the start of a saga, which is then looked up. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/history/history_parts.h"

/* What a segment costs that is opened and then not read. */
#define LOOK_BYTES (16u << 10)

struct listing {
    struct history *history;
    const struct history_filter *filter;
    struct history_cursor *cursor;
    uint32_t limit; /* entries still wanted */
    history_visit *visit;
    void *context;
    struct problem *problem;
    struct flyover_bytes name;
    uint64_t key; /* of the name */
    uint64_t start_bytes;
    uint64_t looks_count;
    uint32_t finds_left;
    bool is_cut; /* a chunk has more matches than were visited */
    /* Of the segment looked at: what the filter allows. */
    uint64_t plans[NOTE_PLANS_MAX / 64];
    uint64_t errors[NOTE_ERRORS_MAX / 64];
};

static bool by_name(const struct listing *listing)
{
    return listing->filter->name != NULL;
}

/* Nothing more in this call. */
static bool is_spent(const struct listing *listing)
{
    const struct history *history = listing->history;
    uint64_t read = history->lister.window.read_bytes + history->finder.window.read_bytes -
                    listing->start_bytes + listing->looks_count * LOOK_BYTES;
    return listing->limit == 0 || listing->finds_left == 0 || read >= HISTORY_SCAN_BYTES_MAX;
}

static void move(struct listing *listing, uint64_t block_no, uint64_t index)
{
    listing->cursor->block_no = block_no;
    listing->cursor->index = index;
}

/* ---- what matches --------------------------------------------------------------------------- */

static bool is_in_time(const struct history_filter *filter, int64_t ended_ms)
{
    return (filter->ended_from_ms == 0 || ended_ms >= filter->ended_from_ms) &&
           (filter->ended_before_ms == 0 || ended_ms < filter->ended_before_ms);
}

static bool is_outcome(const struct history_filter *filter, uint32_t outcome)
{
    return filter->outcomes == 0 || (filter->outcomes >> outcome & 1) != 0;
}

/* Which indexes the filter's names have in the segment's dictionary. */
static void allow(struct listing *listing)
{
    const struct history_filter *filter = listing->filter;
    const struct dictionary *dictionary = &listing->history->lister.dictionary;
    memset(listing->plans, filter->definition == NULL ? 0xff : 0, sizeof listing->plans);
    memset(listing->errors, filter->error == NULL ? 0xff : 0, sizeof listing->errors);
    for (uint32_t i = 0; i < NOTE_PLANS_MAX && filter->definition != NULL; i++) {
        const struct dictionary_entry *entry = &dictionary->plans[i];
        if (entry->is_known && strcmp(entry->name, filter->definition) == 0)
            listing->plans[i / 64] |= 1ull << i % 64;
    }
    for (uint32_t i = 0; i < NOTE_PLANS_MAX && filter->version != 0; i++)
        if (dictionary->plans[i].version != filter->version)
            listing->plans[i / 64] &= ~(1ull << i % 64);
    for (uint32_t i = 0; i < NOTE_ERRORS_MAX && filter->error != NULL; i++) {
        const struct dictionary_entry *entry = &dictionary->errors[i];
        if (entry->is_known && strcmp(entry->name, filter->error) == 0)
            listing->errors[i / 64] |= 1ull << i % 64;
    }
}

static bool may_match_footer(const struct listing *listing, const struct segment_summary *summary)
{
    const struct history_filter *filter = listing->filter;
    if (by_name(listing)) /* of starts: their ends may be in a later segment */
        return filter->ended_before_ms == 0 || summary->least_ms < filter->ended_before_ms;
    if ((filter->ended_from_ms != 0 && summary->greatest_ms < filter->ended_from_ms) ||
        (filter->ended_before_ms != 0 && summary->least_ms >= filter->ended_before_ms))
        return false;
    for (uint32_t i = 0; i < NOTE_OUTCOMES_MAX; i++)
        if (summary->ended_counts[i] > 0 && is_outcome(filter, i))
            return true;
    return false;
}

static bool may_match_plans(const struct listing *listing, const struct segment_summary *summary)
{
    uint64_t plans = 0, errors = 0;
    for (uint32_t i = 0; i < NOTE_PLANS_MAX / 64; i++)
        plans |= summary->ended_plans[i] & listing->plans[i];
    for (uint32_t i = 0; i < NOTE_ERRORS_MAX / 64; i++)
        errors |= summary->ended_errors[i] & listing->errors[i];
    return plans != 0 && (errors != 0 || listing->filter->error == NULL);
}

static bool may_match_chunk(const struct listing *listing, const struct chunk *chunk)
{
    if (by_name(listing))
        return (chunk->flags & CHUNK_HAS_NAMES) != 0;
    const struct history_filter *filter = listing->filter;
    uint32_t outcomes = filter->outcomes == 0 ? UINT32_MAX : filter->outcomes;
    return (chunk->flags & CHUNK_HAS_ENDED) != 0 && is_in_time(filter, chunk->now_ms) &&
           (chunk->flags / CHUNK_HAS_OUTCOME & outcomes) != 0 &&
           (filter->error == NULL || (chunk->flags & CHUNK_HAS_ERRORS) != 0);
}

static bool is_match(const struct listing *listing, const struct note *note)
{
    if (by_name(listing))
        return note->kind == NOTE_STARTED && note->started.name.count == listing->name.count &&
               memcmp(note->started.name.at, listing->name.at, listing->name.count) == 0;
    if (note->kind != NOTE_ENDED || !is_outcome(listing->filter, note->ended.outcome))
        return false;
    if ((listing->plans[note->ended.plan / 64] >> note->ended.plan % 64 & 1) == 0)
        return false;
    if (listing->filter->error == NULL)
        return true;
    return note->ended.error != NOTE_NO_ERROR &&
           (listing->errors[note->ended.error / 64] >> note->ended.error % 64 & 1) != 0;
}

static bool is_match_of_saga(const struct history_filter *filter, const struct history_saga *saga)
{
    return saga->has_end && is_in_time(filter, saga->ended_ms) &&
           is_outcome(filter, saga->outcome) &&
           (filter->definition == NULL || strcmp(filter->definition, saga->definition) == 0) &&
           (filter->version == 0 || filter->version == saga->version) &&
           (filter->error == NULL ||
            (saga->error != NOTE_NO_ERROR && strcmp(filter->error, saga->error_name) == 0));
}

/* ---- visiting ------------------------------------------------------------------------------- */

static void set_name(struct history_entry *entry, const struct history_saga *saga)
{
    memcpy(entry->name, saga->name, sizeof entry->name);
    entry->name_bytes = saga->name_bytes;
    entry->redrive_of = saga->redrive_of;
}

static enum status find(struct listing *listing, uint64_t saga_id, struct history_saga *ret_saga)
{
    assert(listing->finds_left > 0);
    listing->finds_left--;
    return history_find_listed(listing->history, saga_id, ret_saga, listing->problem);
}

/* A start with the name asked for: the saga counts if it has ended, and as the rest asks. */
static enum status visit_named(struct listing *listing, const struct note *note)
{
    struct history_saga saga;
    enum status status = find(listing, note->saga_id, &saga);
    if (status == STATUS_NOT_FOUND) /* removed since */
        return STATUS_OK;
    if (status != STATUS_OK || !is_match_of_saga(listing->filter, &saga))
        return status;
    struct history_entry entry = {
        .saga_id = saga.saga_id,
        .plan = saga.plan,
        .version = saga.version,
        .outcome = saga.outcome,
        .error = saga.error,
        .steps_count = saga.steps_count,
        .started_ms = saga.started_ms,
        .ended_ms = saga.ended_ms,
    };
    memcpy(entry.definition, saga.definition, sizeof entry.definition);
    memcpy(entry.error_name, saga.error_name, sizeof entry.error_name);
    set_name(&entry, &saga);
    listing->limit--;
    listing->visit(&entry, listing->context);
    return STATUS_OK;
}

static enum status visit_ended(struct listing *listing, const struct note *note, int64_t ended_ms)
{
    const struct dictionary *dictionary = &listing->history->lister.dictionary;
    struct history_entry entry = {
        .saga_id = note->saga_id,
        .plan = note->ended.plan,
        .outcome = note->ended.outcome,
        .error = note->ended.error,
        .steps_count = note->ended.steps_count,
        .started_ms = note->ended.started_ms,
        .ended_ms = ended_ms,
    };
    history_describe_plan(dictionary, note->ended.plan, entry.definition, &entry.version);
    history_describe_error(dictionary, note->ended.error, entry.error_name);
    if (listing->filter->with_names) {
        struct history_saga saga;
        enum status status = find(listing, note->saga_id, &saga);
        if (status == STATUS_OK)
            set_name(&entry, &saga);
        else if (status != STATUS_NOT_FOUND)
            return status;
    }
    listing->limit--;
    listing->visit(&entry, listing->context);
    return STATUS_OK;
}

/* ---- one chunk ------------------------------------------------------------------------------ */

/* The last matches before the cursor, at most as many as may be visited, into a ring. Returns how
 * many there were in all. */
static uint32_t match_chunk(struct listing *listing, const struct chunk *chunk, uint32_t capacity)
{
    const struct history_cursor *cursor = listing->cursor;
    uint64_t index_end = chunk->block_no == cursor->block_no ? cursor->index : UINT64_MAX;
    struct note_coder coder;
    note_coder_init(&coder, chunk->now_ms);
    const uint8_t *at = chunk->notes, *end = at + chunk->notes_bytes;
    uint32_t count = 0, index = 0;
    struct note note;
    for (; at != end && index < index_end; index++) {
        at = note_decode(&coder, at, end, &note);
        if (at == NULL)
            break;
        if (is_match(listing, &note))
            listing->history->matches[count++ % capacity] =
                (struct history_match){.index = index, .note = note};
    }
    return count;
}

/* At least one match, whatever that takes: so that every call gets on. */
static enum status list_chunk(struct listing *listing, const struct chunk *chunk)
{
    uint32_t capacity = listing->limit;
    if (listing->finds_left < capacity)
        capacity = listing->finds_left;
    uint64_t block_no = chunk->block_no;
    int64_t now_ms = chunk->now_ms;
    uint32_t count = match_chunk(listing, chunk, capacity), done = 0;
    while (done < count && done < capacity && !(done > 0 && is_spent(listing))) {
        const struct history_match match = listing->history->matches[(count - 1 - done) % capacity];
        enum status status = by_name(listing) ? visit_named(listing, &match.note)
                                              : visit_ended(listing, &match.note, now_ms);
        if (status != STATUS_OK)
            return status;
        move(listing, block_no, match.index);
        done++;
    }
    listing->is_cut = done < count;
    if (!listing->is_cut)
        move(listing, block_no, 0);
    return STATUS_OK;
}

/* ---- regions and segments ------------------------------------------------------------------- */

static enum status remember_offset(struct history *history, uint32_t count, uint64_t offset)
{
    if (count == history->offsets_capacity) {
        uint32_t capacity = count == 0 ? 1024 : count * 2;
        uint64_t *more = realloc(history->offsets, capacity * sizeof *more);
        if (more == NULL)
            return STATUS_NO_MEMORY;
        history->offsets = more;
        history->offsets_capacity = capacity;
    }
    history->offsets[count] = offset;
    return STATUS_OK;
}

/* Where the chunks of the region are that may match and are before the cursor. */
static enum status find_chunks(struct listing *listing, const struct history_view *view,
                               uint32_t region, uint32_t *ret_count)
{
    struct window *window = &listing->history->lister.window;
    uint64_t end = segment_region_end(&view->summary, region);
    uint64_t offset = view->summary.region_starts[region];
    const uint8_t *ignored;
    struct chunk chunk;
    enum status status = chunk_read_header(window, offset, end, &chunk);
    if (status == STATUS_OK && chunk.block_no > listing->cursor->block_no) {
        *ret_count = 0;
        return STATUS_OK;
    }
    /* All of it in one read: it is gone through forwards, and then backwards. */
    if (status == STATUS_OK)
        status = window_at(window, offset, end - offset, &ignored);
    uint32_t count = 0;
    while (status == STATUS_OK && offset < end) {
        status = chunk_read_header(window, offset, end, &chunk);
        if (status != STATUS_OK || chunk.block_no > listing->cursor->block_no)
            break;
        if (may_match_chunk(listing, &chunk))
            status = remember_offset(listing->history, count++, offset);
        offset = chunk_end(offset, &chunk);
    }
    if (status == STATUS_END)
        history_view_damaged(listing->history, view);
    if (status != STATUS_OK && status != STATUS_END)
        return status;
    *ret_count = count;
    return STATUS_OK;
}

/* At least one chunk; tells whether it was all of them. */
static enum status list_region(struct listing *listing, const struct history_view *view,
                               uint32_t region, bool *ret_is_done)
{
    struct history *history = listing->history;
    struct window *window = &history->lister.window;
    uint64_t end = segment_region_end(&view->summary, region);
    uint32_t count;
    enum status status = find_chunks(listing, view, region, &count);
    for (uint32_t left = count; status == STATUS_OK && left > 0; left--) {
        uint64_t offset = history->offsets[left - 1];
        struct chunk chunk;
        *ret_is_done = false;
        if (left < count && is_spent(listing))
            return STATUS_OK;
        status = chunk_read_header(window, offset, end, &chunk);
        if (status == STATUS_OK)
            status = chunk_read_notes(window, offset, &chunk);
        if (status == STATUS_OK) {
            status = list_chunk(listing, &chunk);
            if (listing->is_cut)
                return status;
        } else if (status == STATUS_END || status == STATUS_CORRUPT) {
            history_view_damaged(history, view);
            status = STATUS_OK;
        }
    }
    *ret_is_done = true;
    return status;
}

/* The cursor behind everything of the region. The dictionary at the start of a segment stands under
 * the number of a block before it, which the cursor must not pass. */
static enum status pass_region(struct listing *listing, const struct history_view *view,
                               uint32_t region)
{
    struct chunk chunk;
    enum status status =
        chunk_read_header(&listing->history->lister.window, view->summary.region_starts[region],
                          view->summary.chunks_end, &chunk);
    if (status != STATUS_OK)
        return status == STATUS_END ? STATUS_OK : status;
    uint64_t block_no = chunk.block_no;
    if (block_no < view->place->first_no)
        block_no = view->place->first_no;
    if (block_no < listing->cursor->block_no)
        move(listing, block_no, 0);
    return STATUS_OK;
}

static enum status list_view(struct listing *listing, const struct history_view *view)
{
    struct history *history = listing->history;
    uint32_t regions;
    enum status status;
    if (view->is_sealed && !may_match_footer(listing, &view->summary))
        return STATUS_OK;
    status = history_view_dictionary(history, &history->lister, view, listing->problem);
    if (status != STATUS_OK)
        return status;
    allow(listing);
    if (view->is_sealed && !by_name(listing) && !may_match_plans(listing, &view->summary))
        return STATUS_OK;
    status = STATUS_OK;
    regions = (1u << BLOOM_REGIONS_MAX) - 1;
    if (by_name(listing))
        status = history_view_regions(view, listing->key, &regions);
    for (uint32_t i = BLOOM_REGIONS_MAX; status == STATUS_OK && i-- > 0 && !is_spent(listing);) {
        if ((regions >> i & 1) == 0 || view->summary.region_starts[i] == SEGMENT_NO_REGION)
            continue;
        bool is_done;
        status = list_region(listing, view, i, &is_done);
        if (status == STATUS_OK && is_done)
            status = pass_region(listing, view, i);
    }
    return status == STATUS_NO_MEMORY || status == STATUS_IO
               ? history_problem(history, view, status, listing->problem)
               : status;
}

static enum status list_place(struct listing *listing, struct history_place *place)
{
    struct history *history = listing->history;
    if (place->is_sealed && !may_match_footer(listing, &place->summary))
        return STATUS_OK;
    struct history_view view;
    listing->looks_count++;
    enum status status =
        history_view_open(history, &history->lister, place, &view, listing->problem);
    if (status == STATUS_END)
        return STATUS_OK;
    if (status != STATUS_OK)
        return status;
    status = list_view(listing, &view);
    history_view_close(&view);
    return status;
}

static bool has_any_before(const struct history_place *place, const struct history_cursor *cursor)
{
    return place->first_no < cursor->block_no ||
           (place->first_no == cursor->block_no && cursor->index > 0);
}

enum status history_list(struct history *history, const struct history_filter *filter,
                         struct history_cursor *cursor, uint32_t limit, history_visit *visit,
                         void *context, struct problem *problem)
{
    assert(limit > 0 && limit <= HISTORY_LIMIT_MAX);
    if (cursor->is_at_end)
        return STATUS_OK;
    struct listing listing = {
        .history = history,
        .filter = filter,
        .cursor = cursor,
        .limit = limit,
        .visit = visit,
        .context = context,
        .problem = problem,
        .start_bytes = history->lister.window.read_bytes + history->finder.window.read_bytes,
        .finds_left = HISTORY_FINDS_MAX,
    };
    if (filter->name != NULL) {
        listing.name =
            (struct flyover_bytes){(const uint8_t *)filter->name, (uint32_t)strlen(filter->name)};
        listing.key = bloom_key_of_name(listing.name);
    }
    enum status status = history_refresh(history, problem);
    for (uint32_t i = history->places_count; status == STATUS_OK && i-- > 0;) {
        if (is_spent(&listing))
            return STATUS_OK;
        struct history_place *place = &history->places[i];
        if (!has_any_before(place, cursor))
            continue;
        status = list_place(&listing, place);
        if (status == STATUS_OK && !is_spent(&listing) && has_any_before(place, cursor))
            move(&listing, place->first_no, 0);
    }
    if (status == STATUS_OK && !is_spent(&listing))
        cursor->is_at_end = true;
    return status;
}
