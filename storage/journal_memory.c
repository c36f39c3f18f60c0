#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "storage/journal_ops.h"

struct stored_block {
    uint64_t block_no;
    size_t bytes_count;
    uint8_t *bytes; /* owned */
};

struct journal_memory {
    struct journal journal;
    struct stored_block *blocks; /* count of `capacity`, ascending by block_no */
    size_t count;
    size_t capacity;
    size_t next_index; /* of the reader */
    bool keep;
};

static struct journal_memory *of(struct journal *journal)
{
    return (struct journal_memory *)journal;
}

static enum status grow(struct journal_memory *memory, size_t wanted_count)
{
    size_t capacity = memory->capacity == 0 ? 64 : memory->capacity;
    while (capacity < wanted_count)
        capacity *= 2;
    struct stored_block *blocks = realloc(memory->blocks, capacity * sizeof *blocks);
    if (blocks == NULL)
        return STATUS_NO_MEMORY;
    memory->blocks = blocks;
    memory->capacity = capacity;
    return STATUS_OK;
}

static void drop_from(struct journal_memory *memory, size_t index)
{
    while (memory->count > index)
        free(memory->blocks[--memory->count].bytes);
}

static enum status store(struct journal_memory *memory, const struct journal_slice *block)
{
    if (memory->count == memory->capacity && grow(memory, memory->count + 1) != STATUS_OK)
        return STATUS_NO_MEMORY;
    assert(memory->count == 0 || memory->blocks[memory->count - 1].block_no < block->block_no);
    uint8_t *bytes = malloc(block->bytes_count + 1);
    if (bytes == NULL)
        return STATUS_NO_MEMORY;
    memcpy(bytes, block->bytes, block->bytes_count);
    memory->blocks[memory->count++] = (struct stored_block){
        .block_no = block->block_no, .bytes_count = block->bytes_count, .bytes = bytes};
    return STATUS_OK;
}

static enum status memory_append(struct journal *journal, const struct journal_slice *blocks,
                                 uint32_t count, struct problem *problem)
{
    struct journal_memory *memory = of(journal);
    if (!memory->keep)
        return STATUS_OK;
    size_t count_before = memory->count;
    for (uint32_t index = 0; index < count; index++) {
        if (store(memory, &blocks[index]) != STATUS_OK) {
            drop_from(memory, count_before);
            return problem_set(problem, STATUS_NO_MEMORY, "no memory for another block");
        }
    }
    return STATUS_OK;
}

/* The index of the first block whose number is >= first_no. */
static size_t find(const struct journal_memory *memory, uint64_t first_no)
{
    size_t low = 0;
    size_t high = memory->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memory->blocks[middle].block_no < first_no)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static enum status memory_seek(struct journal *journal, uint64_t first_no, struct problem *problem)
{
    (void)problem;
    struct journal_memory *memory = of(journal);
    memory->next_index = find(memory, first_no);
    return STATUS_OK;
}

static enum status memory_next(struct journal *journal, struct journal_slice *ret_block,
                               struct problem *problem)
{
    (void)problem;
    struct journal_memory *memory = of(journal);
    if (memory->next_index >= memory->count)
        return STATUS_END;
    const struct stored_block *block = &memory->blocks[memory->next_index++];
    *ret_block = (struct journal_slice){
        .bytes = block->bytes, .bytes_count = block->bytes_count, .block_no = block->block_no};
    return STATUS_OK;
}

static enum status memory_remove_from(struct journal *journal, uint64_t first_no,
                                      struct problem *problem)
{
    (void)problem;
    struct journal_memory *memory = of(journal);
    drop_from(memory, find(memory, first_no));
    return STATUS_OK;
}

static enum status memory_remove_before(struct journal *journal, uint64_t first_kept_no,
                                        struct problem *problem)
{
    (void)problem;
    struct journal_memory *memory = of(journal);
    size_t dropped_count = find(memory, first_kept_no);
    for (size_t index = 0; index < dropped_count; index++)
        free(memory->blocks[index].bytes);
    memory->count -= dropped_count;
    if (memory->count > 0)
        memmove(memory->blocks, memory->blocks + dropped_count,
                memory->count * sizeof *memory->blocks);
    memory->next_index = memory->count;
    return STATUS_OK;
}

static void memory_close(struct journal *journal)
{
    struct journal_memory *memory = of(journal);
    drop_from(memory, 0);
    free(memory->blocks);
    free(memory);
}

static const struct journal_ops memory_ops = {
    .append = memory_append,
    .seek = memory_seek,
    .next = memory_next,
    .remove_from = memory_remove_from,
    .remove_before = memory_remove_before,
    .close = memory_close,
};

enum status journal_open_memory(bool keep, struct journal **ret_journal)
{
    struct journal_memory *memory = calloc(1, sizeof *memory);
    if (memory == NULL)
        return STATUS_NO_MEMORY;
    memory->journal.ops = &memory_ops;
    memory->keep = keep;
    *ret_journal = &memory->journal;
    return STATUS_OK;
}
