#include "engine/client/input.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/cursor.h"

#define INPUT_CAPACITY_FIRST 65536u
#define INPUT_ROOM_MIN       16384u

static enum wire_find enter_frame(struct input *input)
{
    struct flyover_bytes body;
    enum wire_find found = wire_find_frame(input->bytes + input->at, input->end - input->at, &body);
    if (found == WIRE_FOUND) {
        input->at += WIRE_LENGTH_BYTES;
        input->frame_end = input->at + body.count;
    }
    return found;
}

enum wire_find input_take(struct input *input, struct wire_message *ret_message,
                          struct flyover_bytes *ret_raw)
{
    if (input->at == input->frame_end) {
        enum wire_find found = enter_frame(input);
        if (found != WIRE_FOUND)
            return found;
    }
    const uint8_t *start = input->bytes + input->at;
    const uint8_t *at = start;
    enum wire_find found = wire_find_message(&at, input->bytes + input->frame_end, ret_message);
    assert(found != WIRE_NO_MORE);
    if (found != WIRE_FOUND)
        return found;
    *ret_raw = (struct flyover_bytes){start, (uint32_t)(at - start)};
    input->at = (size_t)(at - input->bytes);
    return WIRE_FOUND;
}

bool input_has_more(const struct input *input)
{
    struct flyover_bytes body;
    return input->at < input->frame_end ||
           wire_find_frame(input->bytes + input->at, input->end - input->at, &body) != WIRE_PART;
}

/* The bytes of the frame that has begun to come, as far as that is known. */
static size_t wanted(const struct input *input)
{
    size_t have = input->end - input->at;
    if (have < WIRE_LENGTH_BYTES)
        return have + INPUT_ROOM_MIN;
    size_t frame = WIRE_LENGTH_BYTES + cursor_load32(input->bytes + input->at);
    assert(frame <= WIRE_LENGTH_BYTES + WIRE_FRAME_BYTES_MAX);
    return frame > have + INPUT_ROOM_MIN ? frame : have + INPUT_ROOM_MIN;
}

static bool grow(struct input *input, size_t bytes)
{
    size_t capacity = input->capacity == 0 ? INPUT_CAPACITY_FIRST : input->capacity;
    while (capacity < bytes)
        capacity *= 2;
    uint8_t *grown = realloc(input->bytes, capacity);
    if (grown == NULL)
        return false;
    input->bytes = grown;
    input->capacity = capacity;
    return true;
}

uint8_t *input_room(struct input *input, size_t *ret_bytes)
{
    assert(input->at == input->frame_end);
    size_t have = input->end - input->at;
    if (have == 0)
        input_reset(input);
    if (input->capacity - input->at < wanted(input)) {
        if (have > 0)
            memmove(input->bytes, input->bytes + input->at, have);
        input->at = input->frame_end = 0;
        input->end = have;
        if (input->capacity < wanted(input) && !grow(input, wanted(input)))
            return NULL;
    }
    *ret_bytes = input->capacity - input->end;
    return input->bytes + input->end;
}

void input_add(struct input *input, size_t bytes)
{
    assert(bytes <= input->capacity - input->end);
    input->end += bytes;
}

void input_reset(struct input *input)
{
    input->at = input->frame_end = input->end = 0;
}

void input_fini(struct input *input)
{
    free(input->bytes);
    *input = (struct input){0};
}
