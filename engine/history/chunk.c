#include "engine/history/chunk.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/crc32c.h"
#include "storage/little_endian.h"

#define MAGIC             0x4e594c46u /* "FLYN" */
#define CRC_FROM          8u
#define WINDOW_BYTES      (256u << 10) /* read at once where less is asked for */
#define WINDOW_GROW_BYTES (1u << 20)

void chunk_write_header(const struct chunk *chunk, uint8_t at[CHUNK_HEADER_BYTES])
{
    assert(chunk->notes_bytes <= HISTORY_CHUNK_BYTES_MAX);
    put_u32(at, MAGIC);
    put_u32(at + 8, crc32c(0, chunk->notes, chunk->notes_bytes));
    put_u32(at + 12, chunk->notes_bytes);
    put_u32(at + 16, chunk->notes_count);
    put_u32(at + 20, chunk->flags);
    put_u64(at + 24, chunk->block_no);
    put_u64(at + 32, (uint64_t)chunk->now_ms);
    put_u64(at + 40, chunk->id_least);
    put_u64(at + 48, chunk->id_greatest);
    put_u32(at + 4, crc32c(0, at + CRC_FROM, CHUNK_HEADER_BYTES - CRC_FROM));
}

void window_set_file(struct window *window, int file)
{
    window->file = file;
    window->start = 0;
    window->count = 0;
}

void window_fini(struct window *window)
{
    free(window->bytes);
    *window = (struct window){.file = -1};
}

static enum status make_room(struct window *window, size_t count)
{
    if (count <= window->capacity)
        return STATUS_OK;
    size_t capacity = (count + WINDOW_GROW_BYTES - 1) / WINDOW_GROW_BYTES * WINDOW_GROW_BYTES;
    uint8_t *bytes = realloc(window->bytes, capacity);
    if (bytes == NULL)
        return STATUS_NO_MEMORY;
    window->bytes = bytes;
    window->capacity = capacity;
    return STATUS_OK;
}

enum status window_at(struct window *window, uint64_t offset, size_t count,
                      const uint8_t **ret_bytes)
{
    if (offset >= window->start && offset + count <= window->start + window->count) {
        *ret_bytes = window->bytes + (offset - window->start);
        return STATUS_OK;
    }
    size_t wanted = count < WINDOW_BYTES ? WINDOW_BYTES : count;
    enum status status = make_room(window, wanted);
    if (status != STATUS_OK)
        return status;
    window->start = offset;
    window->count = 0;
    while (window->count < wanted) {
        ssize_t got = pread(window->file, window->bytes + window->count, wanted - window->count,
                            (off_t)(offset + window->count));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return STATUS_IO;
        if (got == 0)
            break;
        window->count += (size_t)got;
        window->read_bytes += (size_t)got;
    }
    if (window->count < count)
        return STATUS_END;
    *ret_bytes = window->bytes;
    return STATUS_OK;
}

enum status chunk_read_header(struct window *window, uint64_t offset, uint64_t limit,
                              struct chunk *ret_chunk)
{
    const uint8_t *at;
    if (offset + CHUNK_HEADER_BYTES > limit)
        return STATUS_END;
    enum status status = window_at(window, offset, CHUNK_HEADER_BYTES, &at);
    if (status != STATUS_OK)
        return status;
    if (get_u32(at) != MAGIC ||
        get_u32(at + 4) != crc32c(0, at + CRC_FROM, CHUNK_HEADER_BYTES - CRC_FROM))
        return STATUS_END;
    struct chunk chunk = {
        .notes_crc = get_u32(at + 8),
        .notes_bytes = get_u32(at + 12),
        .notes_count = get_u32(at + 16),
        .flags = get_u32(at + 20),
        .block_no = get_u64(at + 24),
        .now_ms = (int64_t)get_u64(at + 32),
        .id_least = get_u64(at + 40),
        .id_greatest = get_u64(at + 48),
    };
    if (chunk.notes_bytes > HISTORY_CHUNK_BYTES_MAX || chunk_end(offset, &chunk) > limit)
        return STATUS_END;
    *ret_chunk = chunk;
    return STATUS_OK;
}

enum status chunk_read_notes(struct window *window, uint64_t offset, struct chunk *chunk)
{
    const uint8_t *at;
    enum status status =
        window_at(window, offset, CHUNK_HEADER_BYTES + (size_t)chunk->notes_bytes, &at);
    if (status != STATUS_OK)
        return status;
    if (crc32c(0, at + CHUNK_HEADER_BYTES, chunk->notes_bytes) != chunk->notes_crc)
        return STATUS_CORRUPT;
    chunk->notes = at + CHUNK_HEADER_BYTES;
    return STATUS_OK;
}
