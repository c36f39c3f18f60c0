/*
 * rig: what the tests of this folder share: the notes of one block, a chance, and a log to fill.
 */
#ifndef TESTS_HISTORY_RIG_H
#define TESTS_HISTORY_RIG_H

#include "tests/storage/scratch.h"

#include "engine/history/history_log.h"
#include "engine/history/note.h"

#define RIG_CHUNK_BYTES (1u << 20)
#define SEGMENT_BYTES   16384u /* small, so that there are many */

/* The notes of one block. */
struct rig_chunk {
    struct note_coder coder;
    int64_t now_ms;
    uint32_t notes_count;
    size_t bytes_count;
    uint8_t bytes[RIG_CHUNK_BYTES];
};

MAYBE_UNUSED static void rig_begin(struct rig_chunk *chunk, int64_t now_ms)
{
    chunk->now_ms = now_ms;
    chunk->notes_count = 0;
    chunk->bytes_count = 0;
    note_coder_init(&chunk->coder, now_ms);
}

MAYBE_UNUSED static void rig_note(struct rig_chunk *chunk, const struct note *note)
{
    assert_true(chunk->bytes_count + NOTE_BYTES_MAX <= RIG_CHUNK_BYTES);
    uint8_t *at = chunk->bytes + chunk->bytes_count;
    size_t bytes = (size_t)(note_encode(&chunk->coder, note, at) - at);
    assert_true(bytes <= NOTE_BYTES_MAX);
    chunk->bytes_count += bytes;
    chunk->notes_count++;
}

MAYBE_UNUSED static struct flyover_bytes rig_text(const char *text)
{
    return (struct flyover_bytes){(const uint8_t *)text, (uint32_t)strlen(text)};
}

MAYBE_UNUSED static void rig_append(struct history_log *log, uint64_t block_no,
                                    const struct rig_chunk *chunk)
{
    struct problem problem;
    assert_int_equal(history_log_append(log, block_no, chunk->now_ms, chunk->bytes,
                                        chunk->bytes_count, chunk->notes_count, &problem),
                     STATUS_OK);
}

MAYBE_UNUSED static struct history_log *rig_open(const char *directory, uint64_t after_no,
                                                 struct history_log_found *ret_found)
{
    struct history_log_options options = {
        .directory = directory, .after_no = after_no, .segment_bytes = SEGMENT_BYTES};
    struct history_log *log = NULL;
    struct problem problem = {.text = ""};
    enum status status = history_log_open(&options, &log, ret_found, &problem);
    if (status != STATUS_OK)
        fail_msg("%s", problem.text);
    return log;
}

/* xorshift: the same in every run. */
MAYBE_UNUSED static uint64_t draw(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

#endif
