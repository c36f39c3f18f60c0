/*
 * history_log_parts: what history_log.c (appending) and history_log_open.c (what was there) share.
 */
#ifndef ENGINE_HISTORY_HISTORY_LOG_PARTS_H
#define ENGINE_HISTORY_HISTORY_LOG_PARTS_H

#include "engine/history/history_log.h"
#include "engine/history/segment.h"

struct history_log_segment {
    uint64_t first_no;
    uint64_t last_no;
    int64_t greatest_ms;
    uint64_t bytes;
};

/* Sealed segments that may wait for history_log_sync. */
#define HISTORY_UNSYNCED_MAX 32u

struct history_log {
    char folder[PATH_MAX]; /* DIR/history */
    uint32_t segment_bytes;
    int file;                           /* of the open segment, -1: there is none */
    int unsynced[HISTORY_UNSYNCED_MAX]; /* files of sealed ones, oldest first */
    uint32_t unsynced_count;
    uint64_t offset;
    uint64_t pushed;     /* the disk was told to write up to here */
    uint64_t covered_no; /* the last block told */
    uint64_t written_no; /* the last one that a file tells of */
    int64_t now_ms;      /* of the last block told */
    struct segment_tally tally;
    uint8_t *lines;                     /* BLOOM_LINES_MAX */
    uint8_t *scratch;                   /* DICTIONARY_BYTES_MAX */
    struct history_log_segment *sealed; /* oldest first */
    uint32_t sealed_count;
    uint32_t sealed_capacity;
    uint64_t sealed_bytes;
    struct dictionary dictionary;
};

/* Room for one sealed segment more. */
NODISCARD enum status history_log_reserve(struct history_log *log, struct problem *problem);
void history_log_keep(struct history_log *log, const struct segment_summary *summary,
                      uint64_t bytes);
/* Closes the open segment as it is. */
void history_log_leave(struct history_log *log);
/* Makes the segment the open one: reads its chunks up to block after_no and cuts off what is behind
 * them, told whether that was a whole chunk of a later block. STATUS_CORRUPT or
 * STATUS_NEWER_FORMAT where it is no segment, STATUS_END where it has no block up to after_no, both
 * without a sentence and with none open; other errors with one. */
NODISCARD enum status history_log_resume(struct history_log *log, uint64_t first_no,
                                         uint64_t after_no, bool *ret_went_beyond,
                                         struct problem *problem);

#endif
