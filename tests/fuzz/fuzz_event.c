/*
 * fuzz_event: any bytes as the records of a block, and as a block. What decodes as an event must
 * encode to the same bytes again; a block that was sealed here must decode, and not with one bit of
 * it changed.
 *
 * Run: build/fuzz/tests/fuzz/fuzz_event -max_len=4096 -max_total_time=60
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/saga/event.h"
#include "storage/block.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

/* Not assert: a compiler flag must not turn the judge off. */
static void require(bool holds)
{
    if (!holds)
        abort();
}

static bool is_inside(struct flyover_bytes part, const uint8_t *at, const uint8_t *end)
{
    return part.count == 0 || (part.at >= at && part.at + part.count <= end);
}

/* The steps that a redriven saga brings: as many as it says, and nothing behind them but the next
 * record. */
static void judge_redrive(const struct event *event, const uint8_t *at, const uint8_t *end)
{
    require(event->redrive.steps_count <= EVENT_REDRIVE_STEPS_MAX);
    require(is_inside(event->redrive.payload, at, end));
    require(is_inside(event->redrive.trace, at, end));
    require(event->redrive.trace.count == 0 || event->redrive.trace.count == TRACE_BYTES);
    require(is_inside(event->redrive.steps, at, end));
    const uint8_t *step_at = event->redrive.steps.at;
    const uint8_t *steps_end = step_at + event->redrive.steps.count;
    for (uint32_t i = 0; i < event->redrive.steps_count; i++) {
        struct event_step step;
        step_at = event_decode_step(step_at, steps_end, &step);
        require(step_at != NULL);
        require(is_inside(step.input, at, end) && is_inside(step.output, at, end));
    }
    require(step_at == steps_end && step_at == end);
}

/* What an event borrows lies in its record. */
static void judge_parts(const struct event *event, const uint8_t *at, const uint8_t *end)
{
    switch (event->kind) {
    case EVENT_SERVICE:
        require(event->service.tables_count <= FLYOVER_TABLES_MAX);
        require(is_inside(event->service.name, at, end));
        for (uint32_t i = 0; i < event->service.tables_count; i++)
            require(is_inside(event->service.tables[i].name, at, end));
        break;
    case EVENT_DEFINITION:
        require(is_inside(event->definition.name, at, end));
        require(is_inside(event->definition.text, at, end));
        break;
    case EVENT_START:
        require(is_inside(event->start.input, at, end));
        require(is_inside(event->start.name, at, end));
        require(event->start.at_ms >= 0 && event->start.deadline_ms >= 0);
        require(is_inside(event->start.trace, at, end));
        require(event->start.trace.count == 0 || event->start.trace.count == TRACE_BYTES);
        break;
    case EVENT_RESULT:
        require(is_inside(event->result.writes, at, end));
        require(is_inside(event->result.output, at, end));
        break;
    case EVENT_ERROR:
        require(is_inside(event->error.name, at, end));
        require(is_inside(event->error.cause, at, end));
        break;
    case EVENT_SIGNAL:
        require(is_inside(event->signal.name, at, end));
        require(is_inside(event->signal.payload, at, end));
        break;
    case EVENT_CANCEL: require(is_inside(event->cancel.reason, at, end)); break;
    case EVENT_MEND:
        require(event->mend.action <= MEND_RESOLVE);
        require(is_inside(event->mend.output, at, end));
        require(is_inside(event->mend.reason, at, end));
        break;
    case EVENT_REDRIVE: judge_redrive(event, at, end); break;
    case EVENT_LIMITS:
    case EVENT_SOURCE:
    case EVENT_HEARTBEAT:
    case EVENT_TIMER: break;
    }
}

/* Returns how many records there are before the bytes make no sense. */
static uint32_t judge_records(const uint8_t *at, const uint8_t *end)
{
    uint32_t record_count = 0;
    struct event event;
    for (const uint8_t *next; (next = event_decode(at, end, &event)) != NULL; at = next) {
        require(next > at && next <= end);
        judge_parts(&event, at, next);
        size_t room = event_encoded_bytes_max(&event);
        uint8_t *again = malloc(room);
        require(again != NULL);
        size_t again_bytes = (size_t)(event_encode(&event, again) - again);
        require(again_bytes <= room && again_bytes == (size_t)(next - at));
        require(memcmp(again, at, again_bytes) == 0);
        free(again);
        record_count++;
    }
    return record_count;
}

static void judge_block(const uint8_t *body, size_t body_bytes, uint32_t record_count)
{
    size_t block_bytes = BLOCK_HEADER_BYTES + body_bytes;
    uint8_t *block = malloc(block_bytes);
    require(block != NULL);
    memcpy(block + BLOCK_HEADER_BYTES, body, body_bytes);
    struct block_header header = {.block_no = 7,
                                  .body_bytes = (uint32_t)body_bytes,
                                  .record_count = record_count,
                                  .now_ms = -1};
    block_seal(block, &header);
    struct block_header read;
    struct problem problem;
    require(block_decode(block, block_bytes, 7, &read, &problem) == STATUS_OK);
    require(read.block_no == 7 && read.body_bytes == body_bytes && read.now_ms == -1);
    require(read.record_count == record_count && read.header_crc == header.header_crc);
    size_t bit = (header.body_crc ^ body[0]) % (block_bytes * 8);
    block[bit / 8] ^= (uint8_t)(1u << bit % 8);
    require(block_decode(block, block_bytes, 7, &read, &problem) != STATUS_OK);
    block[bit / 8] ^= (uint8_t)(1u << bit % 8);
    require(block_decode(block, block_bytes - 1, 7, &read, &problem) != STATUS_OK);
    free(block);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    if (count == 0)
        return 0;
    struct block_header header;
    struct problem problem;
    if (block_decode(bytes, count, 1, &header, &problem) == STATUS_OK)
        require(header.body_bytes == count - BLOCK_HEADER_BYTES);
    uint32_t record_count = judge_records(bytes, bytes + count);
    judge_block(bytes, count, record_count);
    return 0;
}
