#include "engine/partition/endings.h"

#include <assert.h>
#include <string.h>

#include "engine/base/region.h"

/* Room that outputs leave to errors. */
#define ERRORS_BYTES (ENDINGS_BYTES / 4)

enum status endings_init(struct endings *endings, uint64_t count_max)
{
    struct endings made = {.capacity = 1};
    while (made.capacity < count_max)
        made.capacity *= 2;
    made.items = region_map((uint64_t)made.capacity * sizeof *made.items, REGION_SCRATCH);
    made.bytes = region_map(ENDINGS_BYTES, REGION_SCRATCH);
    if (made.items == NULL || made.bytes == NULL) {
        endings_fini(&made);
        return STATUS_NO_MEMORY;
    }
    *endings = made;
    return STATUS_OK;
}

void endings_fini(struct endings *endings)
{
    region_unmap(endings->items, (uint64_t)endings->capacity * sizeof *endings->items);
    region_unmap(endings->bytes, ENDINGS_BYTES);
    *endings = (struct endings){0};
}

/* Where so many bytes go in one piece; false where they would leave less than `spare`. */
static bool find_room(const struct endings *endings, uint32_t bytes, uint32_t spare,
                      uint64_t *ret_at)
{
    uint64_t at = endings->bytes_tail;
    uint32_t to_end = ENDINGS_BYTES - (uint32_t)(at % ENDINGS_BYTES);
    if (bytes > to_end)
        at += to_end;
    if (at + bytes + spare > endings->bytes_head + ENDINGS_BYTES)
        return false;
    *ret_at = at;
    return true;
}

static void put(uint8_t *at, struct flyover_bytes bytes)
{
    if (bytes.count > 0)
        memcpy(at, bytes.at, bytes.count);
}

void endings_add(struct endings *endings, const struct ending *ending, struct flyover_bytes output,
                 struct flyover_bytes error)
{
    assert(endings->tail - endings->head < endings->capacity);
    struct ending *added = &endings->items[endings->tail++ & (endings->capacity - 1)];
    *added = *ending;
    uint64_t at = endings->bytes_tail;
    if (output.count > 0 && !find_room(endings, output.count + error.count, ERRORS_BYTES, &at)) {
        added->output_omitted = true;
        output.count = 0;
    }
    if (output.count == 0 && !find_room(endings, error.count, 0, &at))
        error.count = 0;
    put(endings->bytes + at % ENDINGS_BYTES, output);
    put(endings->bytes + at % ENDINGS_BYTES + output.count, error);
    added->at = at;
    added->output_bytes = output.count;
    added->error_bytes = error.count;
    endings->bytes_tail = at + output.count + error.count;
}

void endings_release_lent(struct endings *endings)
{
    const struct ending *last = &endings->items[endings->head++ & (endings->capacity - 1)];
    endings->bytes_head = last->at + last->output_bytes + last->error_bytes;
    endings->is_lent = false;
    /* What was just in use is used again. */
    if (endings->head == endings->tail)
        endings->bytes_head = endings->bytes_tail = 0;
}

const struct ending *endings_take(struct endings *endings, struct flyover_bytes *ret_output,
                                  struct flyover_bytes *ret_error)
{
    assert(!endings->is_lent && endings->head < endings->matched);
    const struct ending *ending = &endings->items[endings->head & (endings->capacity - 1)];
    const uint8_t *bytes = endings->bytes + ending->at % ENDINGS_BYTES;
    *ret_output = (struct flyover_bytes){bytes, ending->output_bytes};
    *ret_error = (struct flyover_bytes){bytes + ending->output_bytes, ending->error_bytes};
    endings->is_lent = true;
    return ending;
}
