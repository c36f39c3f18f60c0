#include "engine/client/output.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/cursor.h"
#include "engine/net/wire.h"

#define OUTPUT_CAPACITY_FIRST 65536u

/* Moves what is not written yet to the front. */
static void compact(struct output *output)
{
    size_t by = output->head;
    if (by == 0)
        return;
    memmove(output->bytes, output->bytes + by, output->end - by);
    output->head = 0;
    output->written -= by;
    output->frame -= by;
    output->end -= by;
}

static bool grow(struct output *output, size_t bytes)
{
    if (output->head >= output->capacity / 2)
        compact(output);
    if (output->capacity - output->end >= bytes)
        return true;
    size_t capacity = output->capacity == 0 ? OUTPUT_CAPACITY_FIRST : output->capacity;
    while (capacity - output->end < bytes)
        capacity *= 2;
    uint8_t *grown = realloc(output->bytes, capacity);
    if (grown == NULL)
        return false;
    output->bytes = grown;
    output->capacity = capacity;
    return true;
}

static size_t open_bytes(const struct output *output)
{
    return output->end - output->frame - WIRE_LENGTH_BYTES;
}

uint8_t *output_reserve(struct output *output, size_t bytes)
{
    assert(bytes <= WIRE_FRAME_BYTES_MAX);
    if (output->is_open && (open_bytes(output) >= OUTPUT_FRAME_BYTES ||
                            open_bytes(output) + bytes > WIRE_FRAME_BYTES_MAX))
        output_seal(output);
    if (output->capacity - output->end < bytes + WIRE_LENGTH_BYTES &&
        !grow(output, bytes + WIRE_LENGTH_BYTES))
        return NULL;
    if (!output->is_open) {
        output->frame = output->end;
        output->end += WIRE_LENGTH_BYTES;
        output->is_open = true;
    }
    return output->bytes + output->end;
}

void output_commit(struct output *output, const uint8_t *end)
{
    assert(output->is_open);
    assert(end > output->bytes + output->end);
    assert(end <= output->bytes + output->capacity);
    output->end = (size_t)(end - output->bytes);
}

void output_seal(struct output *output)
{
    if (!output->is_open)
        return;
    size_t bytes = open_bytes(output);
    if (bytes == 0) {
        output->end = output->frame;
    } else {
        wire_put_length(output->bytes + output->frame, (uint32_t)bytes);
        output->frame_no++;
    }
    output->frame = output->end;
    output->is_open = false;
}

static size_t frame_end(const struct output *output, size_t at)
{
    return at + WIRE_LENGTH_BYTES + cursor_load32(output->bytes + at);
}

void output_advance(struct output *output, size_t bytes)
{
    assert(!output->is_open);
    output->written += bytes;
    assert(output->written <= output->end);
    if (output->written == output->end) {
        output->head_no = output->frame_no;
        output->head = output->written = output->frame = output->end = 0;
        return;
    }
    while (frame_end(output, output->head) <= output->written) {
        output->head = frame_end(output, output->head);
        output->head_no++;
    }
}

uint64_t output_untouched_no(const struct output *output)
{
    return output->head_no + (output->written > output->head ? 1 : 0);
}

size_t output_untouched_at(const struct output *output)
{
    return output->written > output->head ? frame_end(output, output->head) : output->head;
}

void output_fini(struct output *output)
{
    free(output->bytes);
    *output = (struct output){0};
}
