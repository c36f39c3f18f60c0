#include "storage/journal.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "storage/journal_ops.h"

static const char *const durability_names[] = {
    [DURABILITY_SYNC] = "sync",
    [DURABILITY_ASYNC] = "async",
    [DURABILITY_MEMORY] = "memory",
};

#define DURABILITIES_COUNT (sizeof durability_names / sizeof durability_names[0])

const char *durability_name(enum durability durability)
{
    assert((size_t)durability < DURABILITIES_COUNT);
    return durability_names[durability];
}

enum status durability_parse(const char *name, enum durability *ret_durability)
{
    for (size_t index = 0; index < DURABILITIES_COUNT; index++) {
        if (strcmp(name, durability_names[index]) == 0) {
            *ret_durability = (enum durability)index;
            return STATUS_OK;
        }
    }
    return STATUS_INVALID;
}

enum status journal_open(const struct journal_options *options, struct journal **ret_journal,
                         struct problem *problem)
{
    if (options->durability != DURABILITY_MEMORY)
        return journal_open_rocks(options, ret_journal, problem);
    enum status status = journal_open_memory(false, ret_journal);
    if (status != STATUS_OK)
        problem_set(problem, status, "no memory for a journal");
    return status;
}

static void check_blocks(const struct journal_slice *blocks, uint32_t count)
{
    assert(count > 0);
    for (uint32_t index = 0; index < count; index++) {
        assert(blocks[index].block_no > 0);
        assert(blocks[index].bytes_count <= BLOCK_BYTES_MAX);
        assert(index == 0 || blocks[index].block_no == blocks[index - 1].block_no + 1);
    }
}

enum status journal_append(struct journal *journal, const struct journal_slice *blocks,
                           uint32_t count, struct problem *problem)
{
    check_blocks(blocks, count);
    if (journal->failure.status != STATUS_OK)
        return problem_set(problem, journal->failure.status, "%s", journal->failure.text);
    enum status status = journal->ops->append(journal, blocks, count, &journal->failure);
    if (status != STATUS_OK) {
        assert(journal->failure.status == status);
        return problem_set(problem, status, "%s", journal->failure.text);
    }
    journal->counts.appends_count++;
    journal->counts.blocks_count += count;
    for (uint32_t index = 0; index < count; index++)
        journal->counts.bytes_count += blocks[index].bytes_count;
    return STATUS_OK;
}

enum status journal_seek(struct journal *journal, uint64_t first_no, struct problem *problem)
{
    return journal->ops->seek(journal, first_no, problem);
}

enum status journal_next(struct journal *journal, struct journal_slice *ret_block,
                         struct problem *problem)
{
    return journal->ops->next(journal, ret_block, problem);
}

enum status journal_remove_from(struct journal *journal, uint64_t first_no, struct problem *problem)
{
    return journal->ops->remove_from(journal, first_no, problem);
}

enum status journal_remove_before(struct journal *journal, uint64_t first_kept_no,
                                  struct problem *problem)
{
    assert(first_kept_no > 0);
    if (journal->failure.status != STATUS_OK)
        return problem_set(problem, journal->failure.status, "%s", journal->failure.text);
    if (first_kept_no < journal_first_no(journal))
        first_kept_no = journal_first_no(journal);
    if (journal->ops->remove_before != NULL) {
        enum status status = journal->ops->remove_before(journal, first_kept_no, &journal->failure);
        if (status != STATUS_OK) {
            assert(journal->failure.status == status);
            return problem_set(problem, status, "%s", journal->failure.text);
        }
    }
    journal->first_no_declared = first_kept_no;
    return STATUS_OK;
}

bool journal_dropping(const struct journal *journal)
{
    return journal->ops->dropping != NULL && journal->ops->dropping(journal);
}

uint64_t journal_first_no(const struct journal *journal)
{
    return journal->first_no_declared == 0 ? 1 : journal->first_no_declared;
}

enum status journal_first_stored_no(struct journal *journal, uint64_t *ret_block_no,
                                    struct problem *problem)
{
    struct journal_slice block = {.block_no = 0};
    enum status status = journal_seek(journal, 1, problem);
    if (status == STATUS_OK)
        status = journal_next(journal, &block, problem);
    if (status != STATUS_OK && status != STATUS_END)
        return status;
    *ret_block_no = block.block_no;
    return STATUS_OK;
}

uint64_t journal_acknowledged_no(const struct journal *journal)
{
    return journal->acknowledged_no;
}

struct journal_store journal_store(const struct journal *journal)
{
    return journal->ops->store == NULL ? (struct journal_store){0} : journal->ops->store(journal);
}

struct journal_counts journal_counts(const struct journal *journal)
{
    return journal->counts;
}

void journal_close(struct journal *journal)
{
    if (journal != NULL)
        journal->ops->close(journal);
}
