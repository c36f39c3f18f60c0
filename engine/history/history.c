/* The folder, and one segment of it at a time. */
#include "engine/history/history.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/history/history_parts.h"
#include "storage/directory.h"

enum status history_open(const char *directory, struct history **ret_history,
                         struct problem *problem)
{
    struct history *history = calloc(1, sizeof *history);
    if (history == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "no memory to read the history");
    history->blocks = malloc(HISTORY_BLOCKS_MAX * sizeof *history->blocks);
    history->branches = malloc(HISTORY_BRANCHES_MAX * sizeof *history->branches);
    history->matches = malloc(HISTORY_LIMIT_MAX * sizeof *history->matches);
    enum status status = STATUS_NO_MEMORY;
    if (history->blocks == NULL || history->branches == NULL || history->matches == NULL)
        problem_set(problem, status, "no memory to read the history");
    else
        status = directory_path(history->folder, directory, "history", problem);
    if (status != STATUS_OK) {
        history_close(history);
        return status;
    }
    *ret_history = history;
    return STATUS_OK;
}

void history_close(struct history *history)
{
    if (history == NULL)
        return;
    window_fini(&history->finder.window);
    window_fini(&history->lister.window);
    free(history->places);
    free(history->blocks);
    free(history->branches);
    free(history->matches);
    free(history->offsets);
    free(history);
}

uint64_t history_damaged_count(const struct history *history)
{
    return history->damaged_count;
}

enum status history_problem(const struct history *history, const struct history_view *view,
                            enum status status, struct problem *problem)
{
    int error = errno;
    if (status == STATUS_OK)
        return STATUS_OK;
    if (status == STATUS_NO_MEMORY)
        return problem_set(problem, status, "no memory to read the history");
    char path[PATH_MAX];
    if (segment_path(path, history->folder, view->place->first_no, NULL) != STATUS_OK)
        path[0] = '\0';
    return directory_problem(problem, "cannot read", path, error);
}

/* ---- the folder ----------------------------------------------------------------------------- */

static bool is_same(const struct history_place *place, const struct stat *known)
{
    return place->inode == known->st_ino && place->bytes == (uint64_t)known->st_size &&
           place->changed.tv_sec == known->st_mtim.tv_sec &&
           place->changed.tv_nsec == known->st_mtim.tv_nsec;
}

static void set_known(struct history_place *place, const struct stat *known)
{
    place->inode = known->st_ino;
    place->bytes = (uint64_t)known->st_size;
    place->changed = known->st_mtim;
}

/* A sealed segment is only changed by an engine that starts again from an earlier block. */
static void forget_changed(const struct history *history, struct history_place *place)
{
    char path[PATH_MAX];
    struct stat known;
    if (place->is_sealed &&
        (segment_path(path, history->folder, place->first_no, NULL) != STATUS_OK ||
         stat(path, &known) != 0 || !is_same(place, &known)))
        *place = (struct history_place){.first_no = place->first_no};
}

enum status history_refresh(struct history *history, struct problem *problem)
{
    uint64_t *first_nos;
    uint32_t count;
    enum status status = segment_list(history->folder, &first_nos, &count, problem);
    if (status != STATUS_OK)
        return status;
    struct history_place *places = calloc(count + 1, sizeof *places);
    if (places == NULL) {
        free(first_nos);
        return problem_set(problem, STATUS_NO_MEMORY, "no memory to read the history");
    }
    uint32_t old = 0;
    for (uint32_t i = 0; i < count; i++) {
        while (old < history->places_count && history->places[old].first_no < first_nos[i])
            old++;
        if (old < history->places_count && history->places[old].first_no == first_nos[i])
            places[i] = history->places[old];
        places[i].first_no = first_nos[i];
        if (places[i].is_surveyed)
            places[i] = (struct history_place){.first_no = first_nos[i]};
        forget_changed(history, &places[i]);
    }
    free(first_nos);
    free(history->places);
    history->places = places;
    history->places_count = count;
    history->finder.dictionary_of = history->lister.dictionary_of = NULL;
    return STATUS_OK;
}

/* ---- one segment ---------------------------------------------------------------------------- */

void history_view_close(struct history_view *view)
{
    close(view->file);
    view->file = -1;
}

void history_view_damaged(struct history *history, const struct history_view *view)
{
    if (view->is_sealed)
        history->damaged_count++;
}

/* The notes of a chunk that has PLAN or ERROR, into the dictionary. */
static void take_meanings(struct dictionary *dictionary, const struct chunk *chunk)
{
    struct note_coder coder;
    note_coder_init(&coder, chunk->now_ms);
    const uint8_t *at = chunk->notes, *end = at + chunk->notes_bytes;
    struct note note;
    while ((at = note_decode(&coder, at, end, &note)) != NULL)
        if (note.kind >= NOTE_PLAN)
            dictionary_take(dictionary, &note);
}

static void take_header(struct segment_summary *summary, const struct chunk *chunk, uint64_t offset)
{
    uint32_t region = segment_region_of(summary, offset);
    if (summary->region_starts[region] == SEGMENT_NO_REGION)
        summary->region_starts[region] = offset;
    summary->last_no = chunk->block_no;
    summary->notes_count += chunk->notes_count;
    summary->chunks_end = chunk_end(offset, chunk);
    if (chunk->now_ms < summary->least_ms)
        summary->least_ms = chunk->now_ms;
    if (chunk->now_ms > summary->greatest_ms)
        summary->greatest_ms = chunk->now_ms;
    if (chunk->id_least < summary->id_least)
        summary->id_least = chunk->id_least;
    if (chunk->id_least <= chunk->id_greatest && chunk->id_greatest > summary->id_greatest)
        summary->id_greatest = chunk->id_greatest;
}

/* Walks over the headers of a segment that is being written, and takes its dictionary. STATUS_END
 * where it is no segment. */
static enum status survey(struct history_lens *lens, struct history_view *view)
{
    uint32_t region_bytes;
    enum status status = segment_read_header(view->file, view->place->first_no, &region_bytes);
    if (status != STATUS_OK)
        return status == STATUS_IO ? STATUS_IO : STATUS_END;
    struct segment_tally tally;
    segment_tally_init(&tally, view->place->first_no, region_bytes, NULL);
    memset(&lens->dictionary, 0, sizeof lens->dictionary);
    lens->dictionary_of = view->place;
    uint64_t offset = SEGMENT_HEADER_BYTES;
    struct chunk chunk;
    while ((status = chunk_read_header(&lens->window, offset, view->bytes, &chunk)) == STATUS_OK) {
        if ((chunk.flags & CHUNK_HAS_MEANINGS) != 0) {
            status = chunk_read_notes(&lens->window, offset, &chunk);
            if (status != STATUS_OK)
                break;
            take_meanings(&lens->dictionary, &chunk);
        }
        take_header(&tally.summary, &chunk, offset);
        offset = tally.summary.chunks_end;
    }
    view->summary = tally.summary;
    return status == STATUS_END || status == STATUS_CORRUPT ? STATUS_OK : status;
}

static enum status look(struct history_lens *lens, struct history_place *place,
                        struct history_view *view)
{
    struct stat known;
    if (fstat(view->file, &known) != 0)
        return STATUS_IO;
    /* One call looks at an open segment as it was when the call first did. */
    if (place->is_surveyed && place->inode == known.st_ino) {
        view->bytes = place->bytes;
        view->summary = place->summary;
        return STATUS_OK;
    }
    view->bytes = (uint64_t)known.st_size;
    if (!is_same(place, &known)) {
        place->is_sealed = false;
        set_known(place, &known);
        enum status status = segment_read_summary(view->file, view->bytes, &place->summary);
        if (status == STATUS_IO)
            return status;
        place->is_sealed = status == STATUS_OK;
    }
    view->is_sealed = place->is_sealed;
    enum status status = STATUS_OK;
    if (place->is_sealed)
        view->summary = place->summary;
    else
        status = survey(lens, view);
    if (status == STATUS_OK && !place->is_sealed) {
        place->is_surveyed = true;
        place->summary = view->summary;
    }
    return status;
}

enum status history_view_open(struct history *history, struct history_lens *lens,
                              struct history_place *place, struct history_view *ret_view,
                              struct problem *problem)
{
    char path[PATH_MAX];
    enum status status = segment_path(path, history->folder, place->first_no, problem);
    if (status != STATUS_OK)
        return status;
    struct history_view view = {.place = place, .file = open(path, O_RDONLY | O_CLOEXEC)};
    if (view.file < 0 && errno == ENOENT)
        return STATUS_END;
    if (view.file < 0)
        return directory_problem(problem, "cannot open", path, errno);
    window_set_file(&lens->window, view.file);
    status = look(lens, place, &view);
    if (status == STATUS_OK) {
        *ret_view = view;
        return STATUS_OK;
    }
    if (status != STATUS_END)
        history_problem(history, &view, status, problem);
    history_view_close(&view);
    return status;
}

enum status history_view_dictionary(struct history *history, struct history_lens *lens,
                                    const struct history_view *view, struct problem *problem)
{
    if (lens->dictionary_of == view->place)
        return STATUS_OK;
    if (!view->is_sealed) {
        struct history_view again = *view;
        enum status surveyed = survey(lens, &again);
        return surveyed == STATUS_END ? STATUS_OK
                                      : history_problem(history, view, surveyed, problem);
    }
    memset(&lens->dictionary, 0, sizeof lens->dictionary);
    lens->dictionary_of = view->place;
    enum status status = segment_read_dictionary(view->file, &view->summary, &lens->dictionary);
    if (status == STATUS_CORRUPT) {
        history_view_damaged(history, view);
        return STATUS_OK;
    }
    return history_problem(history, view, status, problem);
}

enum status history_view_regions(const struct history_view *view, uint64_t key,
                                 uint32_t *ret_regions)
{
    uint32_t regions = UINT32_MAX;
    if (view->is_sealed) {
        enum status status = segment_read_regions(view->file, &view->summary, key, &regions);
        if (status != STATUS_OK)
            return status;
    }
    for (uint32_t i = 0; i < BLOOM_REGIONS_MAX; i++)
        if (view->summary.region_starts[i] == SEGMENT_NO_REGION)
            regions &= ~(1u << i);
    *ret_regions = regions & ((1u << BLOOM_REGIONS_MAX) - 1);
    return STATUS_OK;
}

void history_describe_plan(const struct dictionary *dictionary, uint16_t plan,
                           char ret_definition[NOTE_NAME_BYTES_MAX + 1], uint32_t *ret_version)
{
    assert(plan < NOTE_PLANS_MAX);
    const struct dictionary_entry *entry = &dictionary->plans[plan];
    memcpy(ret_definition, entry->name, sizeof entry->name);
    *ret_version = entry->version;
}

void history_describe_error(const struct dictionary *dictionary, uint8_t error,
                            char ret_name[NOTE_NAME_BYTES_MAX + 1])
{
    if (error == NOTE_NO_ERROR)
        ret_name[0] = '\0';
    else
        memcpy(ret_name, dictionary->errors[error].name, sizeof dictionary->errors[error].name);
}

/* ---- counting ------------------------------------------------------------------------------- */

/* How the sagas ended whose end is in a segment that is being written. */
static enum status count_open(struct history_lens *lens, const struct history_view *view,
                              struct segment_summary *ret_summary)
{
    struct segment_tally tally;
    segment_tally_init(&tally, view->place->first_no, view->summary.region_bytes, NULL);
    enum status status;
    for (;;) {
        struct chunk chunk;
        uint64_t offset = tally.summary.chunks_end;
        status = chunk_read_header(&lens->window, offset, view->bytes, &chunk);
        if (status == STATUS_OK)
            status = chunk_read_notes(&lens->window, offset, &chunk);
        if (status != STATUS_OK || !segment_tally_take(&tally, &lens->dictionary, &chunk, offset))
            break;
    }
    *ret_summary = tally.summary;
    return status == STATUS_END || status == STATUS_CORRUPT ? STATUS_OK : status;
}

static void add_counts(struct history_counts *counts, const struct history_view *view,
                       const struct segment_summary *summary)
{
    counts->segments_count++;
    counts->bytes += view->bytes;
    counts->notes_count += summary->notes_count;
    for (uint32_t i = 0; i < NOTE_OUTCOMES_MAX; i++)
        counts->ended_counts[i] += summary->ended_counts[i];
    if (summary->last_no < summary->first_no)
        return;
    if (counts->first_no == 0 || summary->least_ms < counts->first_ms)
        counts->first_ms = summary->least_ms;
    if (counts->first_no == 0 || summary->greatest_ms > counts->last_ms)
        counts->last_ms = summary->greatest_ms;
    if (counts->first_no == 0)
        counts->first_no = summary->first_no;
    counts->last_no = summary->last_no;
}

enum status history_count(struct history *history, struct history_counts *ret_counts,
                          struct problem *problem)
{
    struct history_counts counts = {0};
    enum status status = history_refresh(history, problem);
    for (uint32_t i = 0; status == STATUS_OK && i < history->places_count; i++) {
        struct history_view view;
        status = history_view_open(history, &history->finder, &history->places[i], &view, problem);
        if (status == STATUS_END) {
            status = STATUS_OK;
            continue;
        }
        if (status != STATUS_OK)
            break;
        struct segment_summary summary = view.summary;
        if (!view.is_sealed)
            status = count_open(&history->finder, &view, &summary);
        if (status == STATUS_OK)
            add_counts(&counts, &view, &summary);
        else
            history_problem(history, &view, status, problem);
        history_view_close(&view);
    }
    if (status == STATUS_OK)
        *ret_counts = counts;
    return status;
}
