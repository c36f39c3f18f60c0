/*
 * fuzz_note: any bytes as the notes of a block, and as a file of the history. What decodes as notes
 * must encode to the same bytes again and lie within the limits; reading a file of any bytes must
 * come to an end within its bounds.
 *
 * Run: build/fuzz/tests/fuzz/fuzz_note -max_len=4096 -max_total_time=60
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/history/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

/* Not assert: a compiler flag must not turn the judge off. */
static void require(bool holds)
{
    if (!holds)
        abort();
}

static void judge_name(struct flyover_bytes name, const uint8_t *at, const uint8_t *end)
{
    require(name.count <= NOTE_NAME_BYTES_MAX);
    require(name.count == 0 || (name.at >= at && name.at + name.count <= end));
}

static void judge_note(const struct note *note, const uint8_t *at, const uint8_t *end)
{
    switch (note->kind) {
    case NOTE_STARTED:
        require(note->started.plan < NOTE_PLANS_MAX);
        judge_name(note->started.name, at, end);
        break;
    case NOTE_BRANCH:
    case NOTE_TOUCHED: break;
    case NOTE_ENDED:
        require(note->ended.plan < NOTE_PLANS_MAX && note->ended.outcome < NOTE_OUTCOMES_MAX);
        require(note->ended.error < NOTE_ERRORS_MAX || note->ended.error == NOTE_NO_ERROR);
        break;
    case NOTE_PLAN:
        require(note->plan.plan < NOTE_PLANS_MAX);
        judge_name(note->plan.name, at, end);
        break;
    case NOTE_ERROR:
        require(note->error.error < NOTE_ERRORS_MAX);
        judge_name(note->error.name, at, end);
        break;
    }
}

static void judge_notes(const uint8_t *at, const uint8_t *end)
{
    struct note_coder reading, writing;
    note_coder_init(&reading, -1);
    note_coder_init(&writing, -1);
    struct note note;
    for (const uint8_t *next; (next = note_decode(&reading, at, end, &note)) != NULL; at = next) {
        require(next > at && next <= end);
        judge_note(&note, at, next);
        uint8_t again[NOTE_BYTES_MAX];
        size_t again_bytes = (size_t)(note_encode(&writing, &note, again) - again);
        require(again_bytes == (size_t)(next - at) && memcmp(again, at, again_bytes) == 0);
    }
}

/* Any bytes behind a header, as a file that is being written and as one that is sealed. */
static void judge_file(const uint8_t *bytes, size_t count)
{
    static struct dictionary dictionary;
    int file = memfd_create("notes", MFD_CLOEXEC);
    require(file >= 0 && segment_write(file, bytes, count) == 0);
    uint32_t region_bytes;
    struct segment_summary summary;
    enum status status = segment_read_header(file, 1, &region_bytes);
    require(status != STATUS_IO);
    uint64_t offset = status == STATUS_OK ? SEGMENT_HEADER_BYTES : 0;
    if (segment_read_summary(file, count, &summary) == STATUS_OK) {
        require(summary.chunks_end <= count);
        uint32_t regions;
        require(segment_read_regions(file, &summary, 7, &regions) == STATUS_OK);
        status = segment_read_dictionary(file, &summary, &dictionary);
        require(status == STATUS_OK || status == STATUS_CORRUPT);
        status = segment_check_lines(file, &summary);
        require(status == STATUS_OK || status == STATUS_CORRUPT);
    }
    struct window window = {0};
    window_set_file(&window, file);
    struct segment_tally tally;
    segment_tally_init(&tally, 1, 256, NULL);
    struct chunk chunk;
    while (chunk_read_header(&window, offset, count, &chunk) == STATUS_OK &&
           chunk_read_notes(&window, offset, &chunk) == STATUS_OK) {
        segment_tally_take(&tally, &dictionary, &chunk, offset);
        offset = chunk_end(offset, &chunk);
        require(offset <= count);
    }
    window_fini(&window);
    close(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    /* Of exactly its size, so that a read beyond it is seen. */
    uint8_t *exact = malloc(count + (count == 0));
    require(exact != NULL);
    if (count > 0)
        memcpy(exact, bytes, count);
    judge_notes(exact, exact + count);
    judge_file(exact, count);
    free(exact);
    return 0;
}
