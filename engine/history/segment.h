/*
 * segment: one file of the index, DIR/history/NUMBER.notes, named by its first block:
 *
 *     | header 32 | chunk | chunk | ... | filter lines | dictionary | summary |
 *                                       '------ footer, once it is sealed -----'
 *
 * The header: "FLYNOTES", format u32, region bytes u32, first block u64, 0 u32, crc u32 over the
 * 28 before it. The first chunk holds the dictionary as it was, so that a segment explains itself
 * also before it has a footer. A region is a part of the file (a sixteenth of its size when it is
 * sealed): the filter (bloom.h) says which regions may hold a saga or a name, the summary where
 * the first chunk of each region starts.
 *
 * Shared by the writer (history_log.h) and the reader (history.h); nobody else includes this.
 *
 * Threads: none; functions over the caller's files and memory.
 */
#ifndef ENGINE_HISTORY_SEGMENT_H
#define ENGINE_HISTORY_SEGMENT_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/history/bloom.h"
#include "engine/history/chunk.h"
#include "engine/history/dictionary.h"

#define SEGMENT_FORMAT       1u
#define SEGMENT_HEADER_BYTES 32u
#define SEGMENT_SUFFIX       ".notes"
#define SEGMENT_NO_REGION    UINT64_MAX

/* What is in a segment. All of 64 bits: it goes into the footer as it is. */
struct segment_summary {
    uint64_t first_no;
    uint64_t last_no; /* the last block covered, also where it had no notes */
    int64_t least_ms; /* of its blocks */
    int64_t greatest_ms;
    uint64_t id_least;
    uint64_t id_greatest;
    uint64_t notes_count;
    uint64_t ended_counts[NOTE_OUTCOMES_MAX];
    uint64_t ended_plans[NOTE_PLANS_MAX / 64]; /* bit by bit: those of the sagas that ended */
    uint64_t ended_errors[NOTE_ERRORS_MAX / 64];
    uint64_t region_bytes;
    uint64_t region_starts[BLOOM_REGIONS_MAX]; /* SEGMENT_NO_REGION: no chunk starts in it */
    uint64_t chunks_end;
    uint64_t lines_count;
    uint64_t dictionary_bytes;
    uint64_t dictionary_crc;
};

#define SEGMENT_SUMMARY_BYTES (sizeof(struct segment_summary) + 16)

/* Gathers the summary and the filter while chunks are written or read. */
struct segment_tally {
    struct segment_summary summary;
    uint8_t *lines; /* BLOOM_LINES_MAX; NULL: without a filter. Borrowed. */
    uint64_t recent_keys[NOTE_PLAN];
    uint32_t recent_region;
};

void segment_tally_init(struct segment_tally *tally, uint64_t first_no, uint64_t region_bytes,
                        uint8_t *lines);
/* Takes the notes of a chunk that stands or is to stand at `offset`, and tells what its header says
 * of them (flags, ids). PLAN and ERROR go into the dictionary. False where a note makes no sense or
 * there are more or fewer than chunk->notes_count. */
bool segment_tally_take(struct segment_tally *tally, struct dictionary *dictionary,
                        struct chunk *chunk, uint64_t offset);

static inline uint32_t segment_region_of(const struct segment_summary *summary, uint64_t offset)
{
    uint64_t region = offset / summary->region_bytes;
    return region < BLOOM_REGIONS_MAX ? (uint32_t)region : BLOOM_REGIONS_MAX - 1;
}

/* Where the chunks of the region end, which has some. */
uint64_t segment_region_end(const struct segment_summary *summary, uint32_t region);

/* ---- files ---------------------------------------------------------------------------------- */

/* The first blocks of all segments in the folder DIR/history, ascending; returns owned (free).
 * A folder that is not there has none. STATUS_NO_PERMISSION, STATUS_IO, STATUS_NO_MEMORY. */
NODISCARD enum status segment_list(const char *folder, uint64_t **ret_first_nos,
                                   uint32_t *ret_count, struct problem *problem);
void segment_name(char ret_name[NAME_MAX + 1], uint64_t first_no);
/* A segment that is damaged is renamed to NAME.bad, or NAME-2.bad and so on: whether this is the
 * name of one, and of which. */
#define SEGMENT_BAD_SUFFIX ".bad"
bool segment_is_bad(const char *name, uint64_t *ret_first_no);
NODISCARD enum status segment_path(char ret_path[PATH_MAX], const char *folder, uint64_t first_no,
                                   struct problem *problem);
/* The whole of it, whatever the system writes at once. 0 or an errno. */
int segment_write(int file, const void *bytes, size_t count);

void segment_encode_header(uint8_t at[SEGMENT_HEADER_BYTES], uint64_t first_no,
                           uint32_t region_bytes);
/* STATUS_CORRUPT, STATUS_NEWER_FORMAT, STATUS_IO. */
NODISCARD enum status segment_read_header(int file, uint64_t first_no, uint32_t *ret_region_bytes);

/* Writes the footer at the end of the file: folds and writes the lines, then the rest. Fills in
 * what the summary says of them. 0 or an errno. */
int segment_write_footer(int file, struct segment_tally *tally,
                         const struct dictionary *dictionary);
/* STATUS_END where there is none, or none that is whole; STATUS_IO. */
NODISCARD enum status segment_read_summary(int file, uint64_t file_bytes,
                                           struct segment_summary *ret_summary);
/* STATUS_CORRUPT, STATUS_IO, STATUS_NO_MEMORY. */
NODISCARD enum status segment_read_dictionary(int file, const struct segment_summary *summary,
                                              struct dictionary *dictionary);
/* Which regions may hold the key. STATUS_IO. */
NODISCARD enum status segment_read_regions(int file, const struct segment_summary *summary,
                                           uint64_t key, uint32_t *ret_regions);
/* STATUS_CORRUPT where a line of the filter is not what was written. */
NODISCARD enum status segment_check_lines(int file, const struct segment_summary *summary);

#endif
