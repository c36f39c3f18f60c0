/* What was there: segments behind after_no go, the newest one left is taken up again, all others
 * must be sealed and whole, or are set aside. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/history/history_log_parts.h"
#include "storage/directory.h"

struct opening {
    struct history_log *log;
    struct history_log_found *found;
    uint64_t after_no;
    uint64_t replayable_no;
    uint64_t *first_nos;
    uint32_t count;
    bool went_beyond; /* what follows the last segment left was there, up to after_no at least */
    struct problem *problem;
};

enum status history_log_reserve(struct history_log *log, struct problem *problem)
{
    if (log->sealed_count < log->sealed_capacity)
        return STATUS_OK;
    uint32_t capacity = log->sealed_capacity == 0 ? 64 : log->sealed_capacity * 2;
    struct history_log_segment *more = realloc(log->sealed, capacity * sizeof *more);
    if (more == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "no memory for %u segments of the history",
                           capacity);
    log->sealed = more;
    log->sealed_capacity = capacity;
    return STATUS_OK;
}

void history_log_keep(struct history_log *log, const struct segment_summary *summary,
                      uint64_t bytes)
{
    assert(log->sealed_count < log->sealed_capacity);
    log->sealed[log->sealed_count++] = (struct history_log_segment){
        .first_no = summary->first_no,
        .last_no = summary->last_no,
        .greatest_ms = summary->greatest_ms,
        .bytes = bytes,
    };
    log->sealed_bytes += bytes;
}

/* ---- taking a segment up again -------------------------------------------------------------- */

/* Every chunk up to after_no into the tally. STATUS_OK, STATUS_IO, STATUS_NO_MEMORY. */
static enum status read_chunks(struct history_log *log, uint64_t after_no, bool *ret_went_beyond)
{
    struct window window = {0};
    window_set_file(&window, log->file);
    struct segment_summary *summary = &log->tally.summary;
    enum status status;
    for (;;) {
        struct chunk chunk;
        uint64_t offset = summary->chunks_end;
        status = chunk_read_header(&window, offset, UINT64_MAX, &chunk);
        if (status == STATUS_OK)
            status = chunk_read_notes(&window, offset, &chunk);
        if (status != STATUS_OK)
            break;
        *ret_went_beyond = chunk.block_no > after_no;
        if (*ret_went_beyond || (summary->last_no != 0 && chunk.block_no <= summary->last_no))
            break;
        struct segment_summary before = *summary;
        if (!segment_tally_take(&log->tally, &log->dictionary, &chunk, offset)) {
            *summary = before;
            break;
        }
    }
    window_fini(&window);
    return status == STATUS_END || status == STATUS_CORRUPT ? STATUS_OK : status;
}

static enum status resume_open(struct history_log *log, uint64_t first_no, const char *path,
                               uint64_t after_no, bool *ret_went_beyond, struct problem *problem)
{
    uint32_t region_bytes;
    enum status status = segment_read_header(log->file, first_no, &region_bytes);
    if (status == STATUS_CORRUPT || status == STATUS_NEWER_FORMAT)
        return status;
    if (status == STATUS_OK) {
        segment_tally_init(&log->tally, first_no, region_bytes, log->lines);
        status = read_chunks(log, after_no, ret_went_beyond);
    }
    if (status != STATUS_OK)
        return directory_problem(problem, "cannot read", path, errno);
    if (log->tally.summary.last_no < first_no)
        return STATUS_END;
    log->offset = log->pushed = log->tally.summary.chunks_end;
    if (ftruncate(log->file, (off_t)log->offset) != 0)
        return directory_problem(problem, "cannot cut", path, errno);
    return STATUS_OK;
}

enum status history_log_resume(struct history_log *log, uint64_t first_no, uint64_t after_no,
                               bool *ret_went_beyond, struct problem *problem)
{
    assert(log->file < 0);
    char path[PATH_MAX];
    *ret_went_beyond = false;
    enum status status = segment_path(path, log->folder, first_no, problem);
    if (status != STATUS_OK)
        return status;
    log->file = open(path, O_RDWR | O_APPEND | O_CLOEXEC);
    if (log->file < 0)
        return directory_problem(problem, "cannot open", path, errno);
    status = resume_open(log, first_no, path, after_no, ret_went_beyond, problem);
    if (status != STATUS_OK)
        history_log_leave(log);
    return status;
}

/* ---- opening -------------------------------------------------------------------------------- */

static enum status remove_segment(struct opening *opening, uint64_t first_no)
{
    char path[PATH_MAX];
    enum status status = segment_path(path, opening->log->folder, first_no, opening->problem);
    if (status == STATUS_OK && unlink(path) != 0 && errno != ENOENT)
        status = directory_problem(opening->problem, "cannot remove", path, errno);
    return status;
}

/* Newest first, so that a crash between two leaves no hole. */
static enum status remove_later(struct opening *opening)
{
    enum status status = STATUS_OK;
    while (status == STATUS_OK && opening->count > 0 &&
           opening->first_nos[opening->count - 1] > opening->after_no) {
        status = remove_segment(opening, opening->first_nos[--opening->count]);
        opening->went_beyond = true;
    }
    return status;
}

static enum status set_aside(struct opening *opening, uint32_t index)
{
    uint64_t first_no = opening->first_nos[index];
    char name[NAME_MAX + 1], ignored[NAME_MAX + 1];
    segment_name(name, first_no);
    struct history_log_found *found = opening->found;
    if (found->bad_count++ == 0)
        found->bad_first_no = first_no;
    found->bad_last_no =
        index + 1 < opening->count ? opening->first_nos[index + 1] - 1 : opening->after_no;
    return directory_set_aside(opening->log->folder, name, name, SEGMENT_BAD_SUFFIX, ignored,
                               opening->problem);
}

/* The summary of a sealed segment all of whose footer is whole, taking its dictionary; STATUS_END
 * where it is not so. */
static enum status read_sealed(struct history_log *log, uint64_t first_no,
                               struct segment_summary *ret_summary, uint64_t *ret_bytes,
                               struct problem *problem)
{
    char path[PATH_MAX];
    enum status status = segment_path(path, log->folder, first_no, problem);
    if (status != STATUS_OK)
        return status;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat known;
    if (file < 0 || fstat(file, &known) != 0) {
        status = directory_problem(problem, "cannot open", path, errno);
        if (file >= 0)
            close(file);
        return status;
    }
    struct segment_summary summary;
    uint32_t region_bytes;
    uint64_t bytes = (uint64_t)known.st_size;
    status = segment_read_header(file, first_no, &region_bytes);
    if (status == STATUS_OK)
        status = segment_read_summary(file, bytes, &summary);
    if (status == STATUS_OK)
        status = segment_check_lines(file, &summary);
    if (status == STATUS_OK)
        status = segment_read_dictionary(file, &summary, &log->dictionary);
    int error = errno;
    close(file);
    if (status == STATUS_IO)
        return directory_problem(problem, "cannot read", path, error);
    if (status == STATUS_NO_MEMORY)
        return problem_set(problem, status, "no memory to read %s", path);
    if (status != STATUS_OK)
        return STATUS_END;
    *ret_summary = summary;
    *ret_bytes = bytes;
    return STATUS_OK;
}

/* One that is not the newest. A disk that cannot read it is damage too: the index must not keep the
 * engine from starting. */
static enum status take_older(struct opening *opening, uint32_t index)
{
    struct segment_summary summary;
    uint64_t bytes;
    enum status status = history_log_reserve(opening->log, opening->problem);
    if (status != STATUS_OK)
        return status;
    status =
        read_sealed(opening->log, opening->first_nos[index], &summary, &bytes, opening->problem);
    if (status == STATUS_END || status == STATUS_IO)
        return set_aside(opening, index);
    if (status == STATUS_OK)
        history_log_keep(opening->log, &summary, bytes);
    return status;
}

/* The newest: sealed and needed to its end, it stays so; else it is written on. */
static enum status take_newest(struct opening *opening)
{
    struct history_log *log = opening->log;
    uint32_t index = opening->count - 1;
    struct segment_summary summary;
    uint64_t bytes;
    enum status status = history_log_reserve(log, opening->problem);
    if (status == STATUS_OK)
        status = read_sealed(log, opening->first_nos[index], &summary, &bytes, opening->problem);
    if (status == STATUS_OK && summary.last_no <= opening->after_no) {
        history_log_keep(log, &summary, bytes);
        return STATUS_OK;
    }
    if (status != STATUS_OK && status != STATUS_END && status != STATUS_IO)
        return status;
    bool was_whole = status == STATUS_OK, went_beyond;
    status = history_log_resume(log, opening->first_nos[index], opening->after_no, &went_beyond,
                                opening->problem);
    /* A sealed one may cover more blocks than it has chunks of. */
    opening->went_beyond =
        status == STATUS_OK &&
        (went_beyond || (was_whole && log->tally.summary.chunks_end == summary.chunks_end));
    if (status == STATUS_CORRUPT || status == STATUS_NEWER_FORMAT || status == STATUS_IO)
        return set_aside(opening, index);
    if (status == STATUS_END)
        return remove_segment(opening, opening->first_nos[index]);
    return status;
}

/* What is missing, and whether it can be had again. */
static void say_gap(const struct opening *opening, char *at, size_t capacity)
{
    const struct history_log_found *found = opening->found;
    uint64_t replayable_no = opening->replayable_no;
    int used = snprintf(at, capacity, "the history has nothing of blocks %" PRIu64 " to %" PRIu64,
                        found->gap_first_no, found->gap_last_no);
    at += used;
    capacity -= (size_t)used;
    if (replayable_no <= found->gap_first_no)
        snprintf(at, capacity, ", which the journal can give again");
    else if (replayable_no > found->gap_last_no)
        snprintf(at, capacity,
                 ", and the journal cannot give them again: it was trimmed, and is replayed from a "
                 "checkpoint behind them");
    else
        snprintf(at, capacity,
                 ", of which the journal can give again those from %" PRIu64
                 " on: it was trimmed, and is replayed from a checkpoint",
                 replayable_no);
}

static void say(struct opening *opening)
{
    struct history_log *log = opening->log;
    struct history_log_found *found = opening->found;
    uint64_t last_no = log->sealed_count > 0 ? log->sealed[log->sealed_count - 1].last_no : 0;
    uint64_t first_no = log->sealed_count > 0 ? log->sealed[0].first_no : 0;
    if (log->file >= 0)
        last_no = log->tally.summary.last_no;
    if (log->file >= 0 && first_no == 0)
        first_no = log->tally.summary.first_no;
    log->written_no = last_no;
    if (opening->went_beyond && last_no > 0)
        last_no = opening->after_no;
    log->covered_no = last_no;
    found->first_no = first_no;
    found->covered_no = last_no;
    if (last_no < opening->after_no) {
        found->gap_first_no = last_no + 1;
        found->gap_last_no = opening->after_no;
    }
    size_t used = 0;
    if (found->bad_count > 0)
        used = (size_t)snprintf(found->text, sizeof found->text,
                                "%u damaged file%s of the history set aside as *.bad: sagas of "
                                "blocks %" PRIu64 " to %" PRIu64 " may not be found",
                                found->bad_count, found->bad_count == 1 ? "" : "s",
                                found->bad_first_no, found->bad_last_no);
    if (used > 0 && found->gap_first_no > 0)
        used += (size_t)snprintf(found->text + used, sizeof found->text - used, "; ");
    if (found->gap_first_no > 0)
        say_gap(opening, found->text + used, sizeof found->text - used);
}

static enum status take_segments(struct opening *opening)
{
    enum status status = remove_later(opening);
    for (uint32_t i = 0; status == STATUS_OK && i + 1 < opening->count; i++)
        status = take_older(opening, i);
    if (status == STATUS_OK && opening->count > 0)
        status = take_newest(opening);
    if (status == STATUS_OK)
        status = directory_sync(opening->log->folder, opening->problem);
    return status;
}

enum status history_log_open(const struct history_log_options *options,
                             struct history_log **ret_log, struct history_log_found *ret_found,
                             struct problem *problem)
{
    struct history_log *log = calloc(1, sizeof *log);
    struct history_log_found found = {0};
    struct opening opening = {
        .log = log,
        .found = &found,
        .after_no = options->after_no,
        .replayable_no = options->replayable_no,
        .problem = problem,
    };
    enum status status = STATUS_NO_MEMORY;
    if (log != NULL) {
        log->file = -1;
        log->segment_bytes =
            options->segment_bytes == 0 ? HISTORY_SEGMENT_BYTES : options->segment_bytes;
        assert(log->segment_bytes >= HISTORY_SEGMENT_BYTES_MIN);
        log->lines = malloc((size_t)BLOOM_LINES_MAX * BLOOM_LINE_BYTES);
        log->scratch = malloc(DICTIONARY_BYTES_MAX);
    }
    if (log == NULL || log->lines == NULL || log->scratch == NULL)
        problem_set(problem, status, "no memory to open the history");
    else
        status = directory_path(log->folder, options->directory, "history", problem);
    if (status == STATUS_OK)
        status = directory_make(log->folder, problem);
    if (status == STATUS_OK)
        status = segment_list(log->folder, &opening.first_nos, &opening.count, problem);
    if (status == STATUS_OK)
        status = take_segments(&opening);
    free(opening.first_nos);
    if (status != STATUS_OK) {
        history_log_close(log);
        return status;
    }
    say(&opening);
    *ret_log = log;
    *ret_found = found;
    return STATUS_OK;
}

void history_log_close(struct history_log *log)
{
    if (log == NULL)
        return;
    if (log->file >= 0)
        history_log_leave(log);
    for (uint32_t i = 0; i < log->unsynced_count; i++)
        close(log->unsynced[i]);
    free(log->sealed);
    free(log->scratch);
    free(log->lines);
    free(log);
}
