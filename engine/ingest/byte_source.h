/*
 * byte_source: a file descriptor read in large pieces into one bounded buffer, of which the caller
 * looks at a growing stretch [begin, end) and drops from its front.
 *
 * A zero byte ends the data just before it, so that what was whole before it can still be used and
 * the answer does not depend on how the file came in pieces.
 * Threads: one owner. Memory: BYTE_SOURCE_BYTES inside the struct, nothing else.
 */
#ifndef ENGINE_INGEST_BYTE_SOURCE_H
#define ENGINE_INGEST_BYTE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

#define BYTE_SOURCE_BYTES      (2u << 20)
#define BYTE_SOURCE_READ_BYTES (256u << 10) /* asked for at a time */

enum byte_source_result { BYTE_SOURCE_MORE, BYTE_SOURCE_END, BYTE_SOURCE_FAILED };

/* Called before each read, which may block; false: there will be none, the source has FAILED with
 * EINTR. */
typedef bool (*byte_source_before_read)(void *context);

struct byte_source {
    int file;                            /* borrowed */
    byte_source_before_read before_read; /* NULL: none */
    void *context;
    const char *name;    /* borrowed: stands in sentences */
    size_t begin;        /* in the buffer, of what is held */
    size_t end;          /* in the buffer, of what is held */
    uint64_t read_bytes; /* of the file, up to `end` */
    enum byte_source_result state;
    int error; /* errno of a failed read; 0: a zero byte */
    char buffer[BYTE_SOURCE_BYTES];
};

void byte_source_init(struct byte_source *source, int file, const char *name);
void byte_source_set_before_read(struct byte_source *source, byte_source_before_read before_read,
                                 void *context);
/*
 * Waits for more bytes behind what is held, which may move. Nothing more comes after END or FAILED.
 * The caller must not hold more than the buffer less BYTE_SOURCE_READ_BYTES.
 */
NODISCARD enum byte_source_result byte_source_fill(struct byte_source *source);
/* Why it FAILED, as a sentence; `line_no` is the line where the data ends. */
enum status byte_source_problem(const struct byte_source *source, uint64_t line_no,
                                struct problem *problem);
/* Forgets the first `bytes` of what is held. */
void byte_source_drop(struct byte_source *source, size_t bytes);
/* Forgets all but the first `bytes`, all of it seen: what comes next stands right behind them. */
void byte_source_forget_behind(struct byte_source *source, size_t bytes);

static inline char *byte_source_held(struct byte_source *source)
{
    return source->buffer + source->begin;
}

static inline size_t byte_source_held_bytes(const struct byte_source *source)
{
    return source->end - source->begin;
}

/* Where in the file the byte stands that is `bytes` behind the first one held. */
static inline uint64_t byte_source_offset_bytes(const struct byte_source *source, size_t bytes)
{
    return source->read_bytes - (byte_source_held_bytes(source) - bytes);
}

#endif
