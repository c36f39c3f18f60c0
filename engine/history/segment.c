#include "engine/history/segment.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/crc32c.h"
#include "storage/directory.h"
#include "storage/little_endian.h"

#define HEADER_MAGIC  "FLYNOTES"
#define SUMMARY_MAGIC "FLYENDED"
#define SUMMARY_WORDS (sizeof(struct segment_summary) / 8)
#define NAME_DIGITS   20
#define LINES_AT_ONCE 1024u

/* ---- gathering ------------------------------------------------------------------------------ */

void segment_tally_init(struct segment_tally *tally, uint64_t first_no, uint64_t region_bytes,
                        uint8_t *lines)
{
    *tally = (struct segment_tally){.lines = lines, .recent_region = UINT32_MAX};
    tally->summary = (struct segment_summary){
        .first_no = first_no,
        .least_ms = INT64_MAX,
        .greatest_ms = INT64_MIN,
        .id_least = UINT64_MAX,
        .region_bytes = region_bytes,
        .chunks_end = SEGMENT_HEADER_BYTES,
    };
    for (uint32_t i = 0; i < BLOOM_REGIONS_MAX; i++)
        tally->summary.region_starts[i] = SEGMENT_NO_REGION;
    if (lines != NULL)
        memset(lines, 0, (size_t)BLOOM_LINES_MAX * BLOOM_LINE_BYTES);
}

/* Each kind of note tends to go through the sagas in order: the last key of each kind is
 * remembered, and is in the filter already. */
static inline void add_saga(struct segment_tally *tally, const struct note *note)
{
    uint64_t key = (note->saga_id >> 6) + 1;
    if (tally->recent_keys[note->kind] == key)
        return;
    tally->recent_keys[note->kind] = key;
    if (tally->lines != NULL)
        bloom_add(tally->lines, bloom_key_of_saga(note->saga_id), tally->recent_region);
}

static inline void take_ended(struct segment_summary *summary, const struct note *note)
{
    summary->ended_counts[note->ended.outcome]++;
    summary->ended_plans[note->ended.plan / 64] |= 1ull << note->ended.plan % 64;
    if (note->ended.error != NOTE_NO_ERROR)
        summary->ended_errors[note->ended.error / 64] |= 1ull << note->ended.error % 64;
}

static void take_chunk(struct segment_summary *summary, const struct chunk *chunk, uint64_t offset,
                       uint32_t region)
{
    if (summary->region_starts[region] == SEGMENT_NO_REGION)
        summary->region_starts[region] = offset;
    summary->last_no = chunk->block_no;
    if (chunk->now_ms < summary->least_ms)
        summary->least_ms = chunk->now_ms;
    if (chunk->now_ms > summary->greatest_ms)
        summary->greatest_ms = chunk->now_ms;
    if (chunk->id_least < summary->id_least)
        summary->id_least = chunk->id_least;
    if (chunk->id_least <= chunk->id_greatest && chunk->id_greatest > summary->id_greatest)
        summary->id_greatest = chunk->id_greatest;
    summary->notes_count += chunk->notes_count;
    summary->chunks_end = chunk_end(offset, chunk);
}

bool segment_tally_take(struct segment_tally *tally, struct dictionary *dictionary,
                        struct chunk *chunk, uint64_t offset)
{
    uint32_t region = segment_region_of(&tally->summary, offset);
    if (region != tally->recent_region)
        memset(tally->recent_keys, 0, sizeof tally->recent_keys);
    tally->recent_region = region;
    struct note_coder coder;
    note_coder_init(&coder, chunk->now_ms);
    const uint8_t *at = chunk->notes, *end = at + chunk->notes_bytes;
    uint64_t id_least = UINT64_MAX, id_greatest = 0;
    uint32_t notes_count = 0, flags = 0;
    struct note note;
    for (; at != end; notes_count++) {
        at = note_decode(&coder, at, end, &note);
        if (at == NULL)
            return false;
        if (note.kind >= NOTE_PLAN) {
            dictionary_take(dictionary, &note);
            flags |= CHUNK_HAS_MEANINGS;
            continue;
        }
        id_least = note.saga_id < id_least ? note.saga_id : id_least;
        id_greatest = note.saga_id > id_greatest ? note.saga_id : id_greatest;
        add_saga(tally, &note);
        if (note.kind == NOTE_ENDED) {
            take_ended(&tally->summary, &note);
            flags |= CHUNK_HAS_ENDED | (uint32_t)CHUNK_HAS_OUTCOME << note.ended.outcome;
            flags |= note.ended.error == NOTE_NO_ERROR ? 0 : CHUNK_HAS_ERRORS;
        } else if (note.kind == NOTE_STARTED && note.started.name.count > 0) {
            flags |= CHUNK_HAS_NAMES;
            if (tally->lines != NULL)
                bloom_add(tally->lines, bloom_key_of_name(note.started.name), region);
        }
    }
    chunk->flags = flags;
    chunk->id_least = id_least;
    chunk->id_greatest = id_greatest;
    take_chunk(&tally->summary, chunk, offset, region);
    return notes_count == chunk->notes_count;
}

uint64_t segment_region_end(const struct segment_summary *summary, uint32_t region)
{
    assert(summary->region_starts[region] != SEGMENT_NO_REGION);
    for (uint32_t next = region + 1; next < BLOOM_REGIONS_MAX; next++)
        if (summary->region_starts[next] != SEGMENT_NO_REGION)
            return summary->region_starts[next];
    return summary->chunks_end;
}

/* ---- names ---------------------------------------------------------------------------------- */

void segment_name(char ret_name[NAME_MAX + 1], uint64_t first_no)
{
    snprintf(ret_name, NAME_MAX + 1, "%0*" PRIu64 SEGMENT_SUFFIX, NAME_DIGITS, first_no);
}

enum status segment_path(char ret_path[PATH_MAX], const char *folder, uint64_t first_no,
                         struct problem *problem)
{
    char name[NAME_MAX + 1];
    segment_name(name, first_no);
    return directory_path(ret_path, folder, name, problem);
}

/* `*ret_rest`: what follows. */
static bool parse_stem(const char *name, uint64_t *ret_first_no, const char **ret_rest)
{
    if (strspn(name, "0123456789") != NAME_DIGITS ||
        strncmp(name + NAME_DIGITS, SEGMENT_SUFFIX, strlen(SEGMENT_SUFFIX)) != 0)
        return false;
    *ret_rest = name + NAME_DIGITS + strlen(SEGMENT_SUFFIX);
    errno = 0;
    *ret_first_no = strtoull(name, NULL, 10);
    return errno == 0;
}

static bool parse_name(const char *name, uint64_t *ret_first_no)
{
    const char *rest;
    return parse_stem(name, ret_first_no, &rest) && rest[0] == '\0';
}

bool segment_is_bad(const char *name, uint64_t *ret_first_no)
{
    const char *rest;
    if (!parse_stem(name, ret_first_no, &rest))
        return false;
    if (rest[0] == '-')
        rest += 1 + strspn(rest + 1, "0123456789");
    return strcmp(rest, SEGMENT_BAD_SUFFIX) == 0;
}

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

enum status segment_list(const char *folder, uint64_t **ret_first_nos, uint32_t *ret_count,
                         struct problem *problem)
{
    uint32_t count = 0, capacity = 64;
    DIR *entries = opendir(folder);
    if (entries == NULL && errno != ENOENT)
        return directory_problem(problem, "cannot read", folder, errno);
    uint64_t *first_nos = malloc(capacity * sizeof *first_nos);
    const struct dirent *entry;
    while (first_nos != NULL && entries != NULL && (entry = readdir(entries)) != NULL) {
        if (!parse_name(entry->d_name, &first_nos[count]))
            continue;
        if (++count < capacity)
            continue;
        capacity *= 2;
        uint64_t *more = realloc(first_nos, capacity * sizeof *first_nos);
        if (more == NULL)
            free(first_nos);
        first_nos = more;
    }
    if (entries != NULL)
        closedir(entries);
    if (first_nos == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "no memory to list %s", folder);
    qsort(first_nos, count, sizeof *first_nos, compare);
    *ret_first_nos = first_nos;
    *ret_count = count;
    return STATUS_OK;
}

/* ---- header and footer ---------------------------------------------------------------------- */

static enum status read_at(int file, uint64_t offset, void *bytes, size_t count)
{
    for (size_t done = 0; done < count;) {
        ssize_t got = pread(file, (uint8_t *)bytes + done, count - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return STATUS_IO;
        if (got == 0)
            return STATUS_END;
        done += (size_t)got;
    }
    return STATUS_OK;
}

int segment_write(int file, const void *bytes, size_t count)
{
    for (size_t done = 0; done < count;) {
        ssize_t put = write(file, (const uint8_t *)bytes + done, count - done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return put < 0 ? errno : EIO;
        done += (size_t)put;
    }
    return 0;
}

void segment_encode_header(uint8_t at[SEGMENT_HEADER_BYTES], uint64_t first_no,
                           uint32_t region_bytes)
{
    memcpy(at, HEADER_MAGIC, 8);
    put_u32(at + 8, SEGMENT_FORMAT);
    put_u32(at + 12, region_bytes);
    put_u64(at + 16, first_no);
    put_u32(at + 24, 0);
    put_u32(at + 28, crc32c(0, at, 28));
}

enum status segment_read_header(int file, uint64_t first_no, uint32_t *ret_region_bytes)
{
    uint8_t at[SEGMENT_HEADER_BYTES];
    enum status status = read_at(file, 0, at, sizeof at);
    if (status == STATUS_IO)
        return status;
    if (status != STATUS_OK || memcmp(at, HEADER_MAGIC, 8) != 0 ||
        get_u32(at + 28) != crc32c(0, at, 28))
        return STATUS_CORRUPT;
    if (get_u32(at + 8) != SEGMENT_FORMAT)
        return STATUS_NEWER_FORMAT;
    if (get_u64(at + 16) != first_no || get_u32(at + 12) == 0)
        return STATUS_CORRUPT;
    *ret_region_bytes = get_u32(at + 12);
    return STATUS_OK;
}

static void encode_summary(const struct segment_summary *summary, uint8_t *at)
{
    uint64_t words[SUMMARY_WORDS];
    memcpy(words, summary, sizeof words);
    for (size_t i = 0; i < SUMMARY_WORDS; i++)
        put_u64(at + 8 * i, words[i]);
    at += sizeof words;
    put_u32(at, SEGMENT_FORMAT);
    put_u32(at + 4, crc32c(0, at - sizeof words, sizeof words + 4));
    memcpy(at + 8, SUMMARY_MAGIC, 8);
}

int segment_write_footer(int file, struct segment_tally *tally, const struct dictionary *dictionary)
{
    struct segment_summary *summary = &tally->summary;
    assert(tally->lines != NULL);
    uint8_t *rest = malloc(DICTIONARY_BYTES_MAX + SEGMENT_SUMMARY_BYTES);
    if (rest == NULL)
        return ENOMEM;
    uint32_t notes_count;
    uint8_t *at = dictionary_encode(dictionary, rest, &notes_count);
    summary->dictionary_bytes = (size_t)(at - rest);
    summary->dictionary_crc = crc32c(0, rest, summary->dictionary_bytes);
    summary->lines_count = bloom_seal(tally->lines);
    encode_summary(summary, at);
    int error = segment_write(file, tally->lines, summary->lines_count * BLOOM_LINE_BYTES);
    if (error == 0)
        error = segment_write(file, rest, summary->dictionary_bytes + SEGMENT_SUMMARY_BYTES);
    free(rest);
    return error;
}

/* Nothing that a reader leans on may lie outside of the file. */
static bool summary_fits(const struct segment_summary *summary, uint64_t file_bytes)
{
    uint64_t lines_count = summary->lines_count;
    if (lines_count == 0 || lines_count > BLOOM_LINES_MAX || (lines_count & (lines_count - 1)) != 0)
        return false;
    if (summary->dictionary_bytes > DICTIONARY_BYTES_MAX || summary->region_bytes == 0)
        return false;
    uint64_t last_start = SEGMENT_HEADER_BYTES;
    for (uint32_t i = 0; i < BLOOM_REGIONS_MAX; i++) {
        uint64_t start = summary->region_starts[i];
        if (start == SEGMENT_NO_REGION)
            continue;
        if (start < last_start || start > summary->chunks_end)
            return false;
        last_start = start;
    }
    return summary->chunks_end <= file_bytes &&
           summary->chunks_end + lines_count * BLOOM_LINE_BYTES + summary->dictionary_bytes +
                   SEGMENT_SUMMARY_BYTES ==
               file_bytes;
}

enum status segment_read_summary(int file, uint64_t file_bytes, struct segment_summary *ret_summary)
{
    uint8_t bytes[SEGMENT_SUMMARY_BYTES];
    if (file_bytes < sizeof bytes + SEGMENT_HEADER_BYTES)
        return STATUS_END;
    enum status status = read_at(file, file_bytes - sizeof bytes, bytes, sizeof bytes);
    if (status != STATUS_OK)
        return status;
    const uint8_t *tail = bytes + sizeof(struct segment_summary);
    if (memcmp(tail + 8, SUMMARY_MAGIC, 8) != 0 || get_u32(tail) != SEGMENT_FORMAT ||
        get_u32(tail + 4) != crc32c(0, bytes, sizeof(struct segment_summary) + 4))
        return STATUS_END;
    uint64_t words[SUMMARY_WORDS];
    for (size_t i = 0; i < SUMMARY_WORDS; i++)
        words[i] = get_u64(bytes + 8 * i);
    struct segment_summary summary;
    memcpy(&summary, words, sizeof summary);
    if (!summary_fits(&summary, file_bytes))
        return STATUS_END;
    *ret_summary = summary;
    return STATUS_OK;
}

enum status segment_read_dictionary(int file, const struct segment_summary *summary,
                                    struct dictionary *dictionary)
{
    uint8_t *bytes = malloc(summary->dictionary_bytes + 1);
    if (bytes == NULL)
        return STATUS_NO_MEMORY;
    uint64_t offset = summary->chunks_end + summary->lines_count * BLOOM_LINE_BYTES;
    enum status status = read_at(file, offset, bytes, summary->dictionary_bytes);
    if (status != STATUS_IO &&
        (status != STATUS_OK ||
         crc32c(0, bytes, summary->dictionary_bytes) != summary->dictionary_crc ||
         !dictionary_decode(dictionary, bytes, bytes + summary->dictionary_bytes)))
        status = STATUS_CORRUPT;
    free(bytes);
    return status;
}

enum status segment_read_regions(int file, const struct segment_summary *summary, uint64_t key,
                                 uint32_t *ret_regions)
{
    uint8_t line[BLOOM_LINE_BYTES];
    uint64_t index = bloom_line_of(key, (uint32_t)summary->lines_count);
    enum status status =
        read_at(file, summary->chunks_end + index * BLOOM_LINE_BYTES, line, sizeof line);
    if (status != STATUS_OK)
        return STATUS_IO;
    *ret_regions = bloom_regions(line, key);
    return STATUS_OK;
}

enum status segment_check_lines(int file, const struct segment_summary *summary)
{
    static const size_t piece_bytes = (size_t)LINES_AT_ONCE * BLOOM_LINE_BYTES;
    uint8_t lines[LINES_AT_ONCE * BLOOM_LINE_BYTES];
    uint64_t bytes = summary->lines_count * BLOOM_LINE_BYTES;
    for (uint64_t done = 0; done < bytes; done += piece_bytes) {
        size_t count = bytes - done < piece_bytes ? bytes - done : piece_bytes;
        enum status status = read_at(file, summary->chunks_end + done, lines, count);
        if (status != STATUS_OK)
            return status == STATUS_END ? STATUS_CORRUPT : status;
        for (size_t at = 0; at < count; at += BLOOM_LINE_BYTES)
            if (!bloom_line_is_whole(lines + at))
                return STATUS_CORRUPT;
    }
    return STATUS_OK;
}
