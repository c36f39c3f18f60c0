/* A block's notes go into the open segment by one write. When the segment has its size, it is
 * sealed (footer) and the next one is made with the next block. There need be no open one:
 * after opening over a sealed segment, and after sealing, the next append makes it. */
#include "engine/history/history_log.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "engine/history/history_log_parts.h"
#include "storage/directory.h"

#define PUSH_BYTES (2u << 20)

static enum status problem_of(struct history_log *log, struct problem *problem, const char *what,
                              uint64_t first_no, int error)
{
    char path[PATH_MAX];
    if (segment_path(path, log->folder, first_no, NULL) != STATUS_OK)
        path[0] = '\0';
    return directory_problem(problem, what, path, error);
}

/* ---- the open segment ----------------------------------------------------------------------- */

/* Header and notes in one write; the file is as it was where that fails. 0 or an errno. */
static int write_chunk(struct history_log *log, const struct chunk *chunk)
{
    uint8_t header[CHUNK_HEADER_BYTES];
    chunk_write_header(chunk, header);
    struct iovec parts[] = {
        {header, sizeof header},
        {(void *)(uintptr_t)chunk->notes, chunk->notes_bytes},
    };
    size_t bytes = sizeof header + chunk->notes_bytes;
    ssize_t put = writev(log->file, parts, 2);
    int error = put < 0 ? errno : 0;
    if (put >= (ssize_t)sizeof header && (size_t)put < bytes)
        error = segment_write(log->file, chunk->notes + ((size_t)put - sizeof header),
                              bytes - (size_t)put);
    else if (put >= 0 && (size_t)put < bytes)
        error = ENOSPC;
    if (error == 0) {
        log->offset += bytes;
        return 0;
    }
    /* If this fails too, a torn chunk is the end of the file, and the next opening cuts it off;
     * what is appended behind it until then would be lost with it, so nothing is. */
    if (ftruncate(log->file, (off_t)log->offset) != 0)
        history_log_leave(log);
    return error;
}

static enum status put_chunk(struct history_log *log, struct chunk *chunk, struct problem *problem)
{
    struct segment_summary before = log->tally.summary;
    bool makes_sense = segment_tally_take(&log->tally, &log->dictionary, chunk, log->offset);
    assert(makes_sense);
    int error = write_chunk(log, chunk);
    if (error != 0) {
        log->tally.summary = before;
        return problem_of(log, problem, "cannot write", before.first_no, error);
    }
    if (log->offset - log->pushed >= PUSH_BYTES) {
        /* Starts writing and does not wait: a sync is then short. Only a hint. */
        sync_file_range(log->file, (off_t)log->pushed, (off_t)(log->offset - log->pushed),
                        SYNC_FILE_RANGE_WRITE);
        log->pushed = log->offset;
    }
    return STATUS_OK;
}

/* The first chunk of a segment: the dictionary, under the number of the block before. */
static enum status put_dictionary(struct history_log *log, uint64_t first_no, int64_t now_ms,
                                  struct problem *problem)
{
    uint32_t notes_count;
    size_t bytes =
        (size_t)(dictionary_encode(&log->dictionary, log->scratch, &notes_count) - log->scratch);
    if (notes_count == 0)
        return STATUS_OK;
    struct chunk chunk = {
        .block_no = first_no - 1,
        .now_ms = now_ms,
        .notes = log->scratch,
        .notes_bytes = (uint32_t)bytes,
        .notes_count = notes_count,
    };
    return put_chunk(log, &chunk, problem);
}

static enum status make_segment(struct history_log *log, uint64_t first_no, int64_t now_ms,
                                struct problem *problem)
{
    char path[PATH_MAX];
    enum status status = segment_path(path, log->folder, first_no, problem);
    if (status != STATUS_OK)
        return status;
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
    if (file < 0)
        return directory_problem(problem, "cannot make", path, errno);
    uint32_t region_bytes = log->segment_bytes / BLOOM_REGIONS_MAX;
    uint8_t header[SEGMENT_HEADER_BYTES];
    segment_encode_header(header, first_no, region_bytes);
    int error = segment_write(file, header, sizeof header);
    if (error == 0)
        status = directory_sync(log->folder, problem);
    if (error != 0)
        status = directory_problem(problem, "cannot write", path, error);
    if (status == STATUS_OK) {
        segment_tally_init(&log->tally, first_no, region_bytes, log->lines);
        log->file = file;
        log->offset = log->pushed = sizeof header;
        status = put_dictionary(log, first_no, now_ms, problem);
        if (status == STATUS_OK)
            return STATUS_OK;
        file = log->file; /* -1 where it was left */
        log->file = -1;
    }
    if (file >= 0)
        close(file);
    unlink(path);
    return status;
}

void history_log_leave(struct history_log *log)
{
    close(log->file);
    log->file = -1;
}

/* Sealing does not sync: a start goes on from a checkpoint, before which history_log_sync was
 * called, and what lies behind that is made again. Returns an errno. */
static int sync_sealed(struct history_log *log)
{
    int error = 0;
    for (uint32_t i = 0; i < log->unsynced_count; i++) {
        if (error == 0 && fsync(log->unsynced[i]) != 0)
            error = errno;
        close(log->unsynced[i]);
    }
    log->unsynced_count = 0;
    return error;
}

static enum status seal_segment(struct history_log *log, struct problem *problem)
{
    struct segment_summary *summary = &log->tally.summary;
    enum status status = history_log_reserve(log, problem);
    if (status != STATUS_OK)
        return status;
    summary->last_no = log->covered_no;
    int error = log->unsynced_count == HISTORY_UNSYNCED_MAX ? sync_sealed(log) : 0;
    if (error == 0)
        error = segment_write_footer(log->file, &log->tally, &log->dictionary);
    if (error == 0) {
        uint64_t bytes = log->offset + summary->lines_count * BLOOM_LINE_BYTES +
                         summary->dictionary_bytes + SEGMENT_SUMMARY_BYTES;
        history_log_keep(log, summary, bytes);
        log->written_no = log->covered_no;
        log->unsynced[log->unsynced_count++] = log->file;
        log->file = -1;
        return STATUS_OK;
    }
    status = problem_of(log, problem, "cannot seal", summary->first_no, error);
    /* The filter is folded, so that the tally is of no more use: it is made again. */
    uint64_t first_no = summary->first_no;
    bool went_beyond;
    history_log_leave(log);
    if (history_log_resume(log, first_no, log->covered_no, &went_beyond, NULL) != STATUS_OK)
        log->file = -1;
    return status;
}

/* ---- appending ------------------------------------------------------------------------------ */

static enum status append(struct history_log *log, struct chunk *chunk, struct problem *problem)
{
    enum status status = STATUS_OK;
    if (log->file >= 0 && log->offset >= log->segment_bytes)
        status = seal_segment(log, problem);
    if (status == STATUS_OK && log->file < 0)
        status = make_segment(log, chunk->block_no, chunk->now_ms, problem);
    if (status == STATUS_OK)
        status = put_chunk(log, chunk, problem);
    if (status == STATUS_OK)
        log->covered_no = log->written_no = chunk->block_no;
    return status;
}

enum status history_log_append(struct history_log *log, uint64_t block_no, int64_t now_ms,
                               const uint8_t *notes, size_t notes_bytes, uint32_t notes_count,
                               struct problem *problem)
{
    assert(block_no > log->covered_no);
    assert(notes_bytes <= HISTORY_CHUNK_BYTES_MAX);
    log->now_ms = now_ms;
    if (notes_count == 0) {
        assert(notes_bytes == 0);
        log->covered_no = block_no;
        return STATUS_OK;
    }
    struct chunk chunk = {
        .block_no = block_no,
        .now_ms = now_ms,
        .notes = notes,
        .notes_bytes = (uint32_t)notes_bytes,
        .notes_count = notes_count,
    };
    return append(log, &chunk, problem);
}

enum status history_log_sync(struct history_log *log, struct problem *problem)
{
    if (log->covered_no > log->written_no) {
        struct chunk chunk = {
            .block_no = log->covered_no, .now_ms = log->now_ms, .notes = log->scratch};
        enum status status = append(log, &chunk, problem);
        if (status != STATUS_OK)
            return status;
    }
    int error = sync_sealed(log);
    if (error != 0)
        return problem_of(log, problem, "cannot sync the segments before", log->covered_no, error);
    if (log->file < 0 || fdatasync(log->file) == 0)
        return STATUS_OK;
    return problem_of(log, problem, "cannot sync", log->tally.summary.first_no, errno);
}

/* ---- removing ------------------------------------------------------------------------------- */

static uint64_t first_no(const struct history_log *log)
{
    if (log->sealed_count > 0)
        return log->sealed[0].first_no;
    return log->file >= 0 ? log->tally.summary.first_no : log->covered_no + 1;
}

/* Where the blocks of one that was set aside end at the latest. */
static uint64_t next_after(const struct history_log *log, uint64_t bad_no)
{
    for (uint32_t i = 0; i < log->sealed_count; i++)
        if (log->sealed[i].first_no > bad_no)
            return log->sealed[i].first_no;
    return log->file >= 0 && log->tally.summary.first_no > bad_no ? log->tally.summary.first_no
                                                                  : log->covered_no + 1;
}

/* What was set aside of blocks that are all before kept_no. */
static enum status remove_bad(struct history_log *log, uint64_t kept_no, struct problem *problem)
{
    DIR *entries = opendir(log->folder);
    if (entries == NULL)
        return directory_problem(problem, "cannot read", log->folder, errno);
    enum status status = STATUS_OK;
    const struct dirent *entry;
    uint64_t bad_no;
    while (status == STATUS_OK && (entry = readdir(entries)) != NULL)
        if (segment_is_bad(entry->d_name, &bad_no) && next_after(log, bad_no) <= kept_no &&
            unlinkat(dirfd(entries), entry->d_name, 0) != 0 && errno != ENOENT)
            status = directory_problem(problem, "cannot remove a file of", log->folder, errno);
    closedir(entries);
    return status;
}

/* The `count` oldest sealed ones, and what was set aside before kept_no (0: before those left). */
static enum status remove_oldest(struct history_log *log, uint32_t count, uint64_t kept_no,
                                 uint64_t *ret_first_no, struct problem *problem)
{
    assert(count <= log->sealed_count);
    uint32_t removed = 0;
    enum status status = STATUS_OK;
    char path[PATH_MAX];
    for (; removed < count && status == STATUS_OK; removed++) {
        const struct history_log_segment *oldest = &log->sealed[removed];
        status = segment_path(path, log->folder, oldest->first_no, problem);
        if (status == STATUS_OK && unlink(path) != 0 && errno != ENOENT)
            status = directory_problem(problem, "cannot remove", path, errno);
        if (status != STATUS_OK)
            break;
        log->sealed_bytes -= oldest->bytes;
    }
    log->sealed_count -= removed;
    if (removed > 0)
        memmove(log->sealed, log->sealed + removed, log->sealed_count * sizeof *log->sealed);
    if (status == STATUS_OK)
        status = remove_bad(log, kept_no == 0 ? first_no(log) : kept_no, problem);
    if (status == STATUS_OK)
        *ret_first_no = first_no(log);
    return status;
}

enum status history_log_drop_before(struct history_log *log, uint64_t block_no,
                                    uint64_t *ret_first_no, struct problem *problem)
{
    uint32_t count = 0;
    while (count < log->sealed_count && log->sealed[count].last_no < block_no)
        count++;
    return remove_oldest(log, count, block_no, ret_first_no, problem);
}

enum status history_log_retain(struct history_log *log, uint64_t bytes_max, int64_t oldest_ms,
                               uint64_t *ret_first_no, struct problem *problem)
{
    uint64_t bytes = history_log_bytes(log);
    uint32_t count = 0;
    for (; count < log->sealed_count; count++) {
        const struct history_log_segment *oldest = &log->sealed[count];
        bool is_over = bytes_max != 0 && bytes > bytes_max;
        if (!is_over && oldest->greatest_ms >= oldest_ms)
            break;
        bytes -= oldest->bytes;
    }
    return remove_oldest(log, count, 0, ret_first_no, problem);
}

uint64_t history_log_covered_no(const struct history_log *log)
{
    return log->covered_no;
}

uint64_t history_log_bytes(const struct history_log *log)
{
    return log->sealed_bytes + (log->file >= 0 ? log->offset : 0);
}
