#include "storage/recovery.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "storage/directory.h"
#include "storage/little_endian.h"
#include "storage/watermark.h"

/* How far behind the last acknowledged block an unreadable journal is searched for more: further
 * than blocks can be in flight. */
#define SEARCH_BLOCKS_COUNT 64u
#define FRAME_BYTES         16u

static const char save_name[] = "lost.new";

struct recovery {
    struct journal *journal;
    const struct recovery_options *options;
    struct recovery_report report;
    uint64_t acknowledged_no;
    uint64_t first_kept_no;
};

/* What lies behind the damage, as far as it could be read. */
struct behind {
    uint64_t first_no; /* 0: nothing */
    uint64_t last_no;
};

static bool is_damage(enum status status)
{
    return status == STATUS_CORRUPT || status == STATUS_GAP || status == STATUS_LOST;
}

/* The last block before the first of which it would be damage that it is missing. */
static uint64_t last_known(const struct recovery *self)
{
    uint64_t last_no = self->report.last_no;
    return last_no + 1 < self->first_kept_no ? self->first_kept_no - 1 : last_no;
}

/* Whether all blocks that are missing before this one were given up. */
static bool is_given_up(const struct recovery *self, const struct block_header *header)
{
    return self->options->all_stored && header->block_no <= self->first_kept_no &&
           header->block_no > self->report.last_no + 1;
}

static enum status next_good_block(struct recovery *self, struct journal_slice *ret_block,
                                   struct block_header *ret_header, struct problem *problem)
{
    enum status status = journal_next(self->journal, ret_block, problem);
    if (status == STATUS_OK)
        status = block_decode(ret_block->bytes, ret_block->bytes_count, ret_block->block_no,
                              ret_header, problem);
    if (status != STATUS_OK || is_given_up(self, ret_header))
        return status;
    uint64_t prev_no =
        ret_header->block_no > self->first_kept_no ? last_known(self) : self->report.last_no;
    return block_follows(ret_header, prev_no, self->report.last_crc, problem);
}

static void count_block(struct recovery_report *report, const struct block_header *header)
{
    if (report->first_no == 0)
        report->first_no = header->block_no;
    report->last_no = header->block_no;
    report->last_crc = header->header_crc;
    report->last_epoch = header->epoch;
    report->last_now_ms = header->now_ms;
    report->blocks_count++;
    report->records_count += header->record_count;
    report->bytes_count += BLOCK_HEADER_BYTES + header->body_bytes;
}

/* Hands out good blocks until the journal ends (STATUS_END), the caller has enough (STATUS_OK), the
 * caller fails (`*ret_refused`), or damage. */
static enum status read_good_blocks(struct recovery *self, bool *ret_refused,
                                    struct problem *problem)
{
    enum status status = journal_seek(self->journal, self->options->after_no + 1, problem);
    while (status == STATUS_OK) {
        struct journal_slice block;
        struct block_header header;
        status = next_good_block(self, &block, &header, problem);
        if (status != STATUS_OK)
            return status;
        status = self->options->on_block(self->options->context, &header,
                                         block.bytes + BLOCK_HEADER_BYTES, problem);
        if (status != STATUS_OK && status != STATUS_END) {
            *ret_refused = true;
            return status;
        }
        count_block(&self->report, &header);
        if (status == STATUS_END)
            return STATUS_OK;
    }
    return status;
}

static enum status check_acknowledged(const struct recovery *self, struct problem *problem)
{
    uint64_t last_no = last_known(self);
    if (last_no >= self->acknowledged_no)
        return STATUS_OK;
    return problem_set(problem, STATUS_LOST,
                       "blocks %" PRIu64 " to %" PRIu64
                       " were acknowledged and are not in the journal",
                       last_no + 1, self->acknowledged_no);
}

/* Adds to the sentence what accepting the damage would cost. */
static enum status explain(const struct recovery *self, enum status status, struct problem *problem)
{
    if (problem == NULL)
        return status;
    struct problem damage = *problem;
    bool before_kept = self->report.last_no + 1 < self->first_kept_no;
    if (before_kept && status == STATUS_CORRUPT)
        return problem_set(problem, status,
                           "%.600s; a start needs none of the blocks before %" PRIu64
                           ": they were given up to a checkpoint",
                           damage.text, self->first_kept_no);
    uint64_t last_no = last_known(self);
    char kept[64] = "nothing";
    if (self->report.first_no > 0 && !before_kept)
        snprintf(kept, sizeof kept, "blocks %" PRIu64 " to %" PRIu64, self->report.first_no,
                 last_no);
    else if (last_no > 0)
        snprintf(kept, sizeof kept, "the checkpoint of block %" PRIu64, last_no);
    char lost[128];
    if (self->acknowledged_no > last_no)
        snprintf(lost, sizeof lost,
                 "loses %" PRIu64 " acknowledged blocks, %" PRIu64 " to %" PRIu64,
                 self->acknowledged_no - last_no, last_no + 1, self->acknowledged_no);
    else
        snprintf(lost, sizeof lost, "loses what is behind, none of it known as acknowledged");
    return problem_set(problem, status,
                       "%.600s; put the data directory back from a backup, or start with "
                       "--accept-loss, which keeps %s and %s",
                       damage.text, kept, lost);
}

static enum status write_failure(FILE *file, const char *path, struct problem *problem)
{
    int error = errno;
    fclose(file);
    unlink(path);
    return directory_problem(problem, "cannot write", path, error);
}

static bool write_frame(FILE *file, const struct journal_slice *block)
{
    uint8_t frame[FRAME_BYTES];
    put_u64(frame, block->block_no);
    put_u64(frame + 8, block->bytes_count);
    return fwrite(frame, sizeof frame, 1, file) == 1 &&
           fwrite(block->bytes, 1, block->bytes_count, file) == block->bytes_count;
}

/* The next block from block_no on that can be read at all, passing over what cannot. `*next_no` is
 * moved behind it. STATUS_END when there is none. */
static enum status next_readable(const struct recovery *self, uint64_t *next_no,
                                 struct journal_slice *ret_block, struct problem *problem)
{
    uint64_t search_end_no = self->acknowledged_no + SEARCH_BLOCKS_COUNT;
    struct problem passed_over;
    enum status status = journal_next(self->journal, ret_block, &passed_over);
    while (status == STATUS_CORRUPT && *next_no < search_end_no) {
        status = journal_seek(self->journal, ++*next_no, problem);
        if (status == STATUS_OK)
            status = journal_next(self->journal, ret_block, &passed_over);
    }
    if (status == STATUS_OK)
        *next_no = ret_block->block_no + 1;
    return status == STATUS_CORRUPT ? STATUS_END : status;
}

static enum status save_blocks(const struct recovery *self, FILE *file, const char *path,
                               struct behind *ret_behind, struct problem *problem)
{
    uint64_t next_no = self->report.last_no + 1;
    struct behind behind = {0};
    enum status status = journal_seek(self->journal, next_no, problem);
    while (status == STATUS_OK) {
        struct journal_slice block;
        status = next_readable(self, &next_no, &block, problem);
        if (status != STATUS_OK)
            break;
        if (behind.first_no == 0)
            behind.first_no = block.block_no;
        behind.last_no = block.block_no;
        if (!write_frame(file, &block))
            return write_failure(file, path, problem);
    }
    if (status == STATUS_END && (fflush(file) != 0 || fdatasync(fileno(file)) != 0))
        return write_failure(file, path, problem);
    fclose(file);
    if (status != STATUS_END)
        return status;
    *ret_behind = behind;
    return STATUS_OK;
}

static enum status save_what_is_behind(struct recovery *self, struct behind *ret_behind,
                                       struct problem *problem)
{
    const char *directory = self->options->directory;
    char path[PATH_MAX];
    enum status status = directory_path(path, directory, save_name, problem);
    if (status != STATUS_OK)
        return status;
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return directory_problem(problem, "cannot create", path, errno);
    struct behind behind;
    status = save_blocks(self, file, path, &behind, problem);
    if (status == STATUS_OK && behind.first_no == 0) {
        unlink(path);
    } else if (status == STATUS_OK) {
        char stem[64];
        snprintf(stem, sizeof stem, "lost-%" PRIu64 "-%" PRIu64, behind.first_no, behind.last_no);
        status = directory_set_aside(directory, save_name, stem, ".blocks", self->report.lost_name,
                                     problem);
    }
    if (status == STATUS_OK)
        *ret_behind = behind;
    return status;
}

static enum status set_watermark_back(const struct recovery *self, struct problem *problem)
{
    struct watermark watermark;
    uint64_t ignored_no;
    enum status status = watermark_open(&watermark, self->options->directory, &ignored_no, problem);
    if (status != STATUS_OK)
        return status;
    /* Both copies: should the later one be torn, the other must not bring the old number back. */
    for (int copy = 0; copy < 2 && status == STATUS_OK; copy++)
        status = watermark_write(&watermark, self->report.last_no);
    watermark_close(&watermark);
    if (status != STATUS_OK)
        problem_set(problem, status, "cannot write %s/watermark: %s", self->options->directory,
                    status_text(status));
    return status;
}

/* Saved before it is removed, removed before the watermark says so: cut short anywhere, the next
 * start finds the same damage and can do it again. */
static enum status accept(struct recovery *self, const struct problem *damage,
                          struct problem *problem)
{
    struct behind behind = {0};
    uint64_t last_no = self->report.last_no;
    enum status status = STATUS_OK;
    if (self->options->directory != NULL)
        status = save_what_is_behind(self, &behind, problem);
    if (status == STATUS_OK)
        status = journal_remove_from(self->journal, last_no + 1, problem);
    if (status == STATUS_OK && self->options->directory != NULL)
        status = set_watermark_back(self, problem);
    if (status != STATUS_OK)
        return status;
    uint64_t known_no =
        behind.last_no > self->acknowledged_no ? behind.last_no : self->acknowledged_no;
    self->report.lost_blocks_count = known_no > last_no ? known_no - last_no : 0;
    self->report.loss = *damage;
    return STATUS_OK;
}

/* Where reading begins before the first kept block, no damage is looked for and none accepted: what
 * is behind may be whole, and is of no use without the checkpoint. */
enum status recovery_check_beginning(const struct journal *journal,
                                     const struct recovery_options *options,
                                     struct problem *problem)
{
    uint64_t first_kept_no = journal_first_no(journal);
    if (options->all_stored || options->after_no + 1 >= first_kept_no)
        return STATUS_OK;
    return problem_set(problem, STATUS_LOST,
                       "blocks 1 to %" PRIu64 " were given up because a checkpoint held them, and "
                       "that checkpoint cannot be read: put the data directory back from a backup "
                       "(--accept-loss cannot mend this)",
                       first_kept_no - 1);
}

enum status recovery_run(struct journal *journal, const struct recovery_options *options,
                         struct recovery_report *ret_report, struct problem *problem)
{
    assert(options->on_block != NULL);
    assert(!options->all_stored || (options->after_no == 0 && !options->accept_loss));
    struct recovery self = {
        .journal = journal,
        .options = options,
        .acknowledged_no = journal_acknowledged_no(journal),
        .first_kept_no = journal_first_no(journal),
        .report = {.last_no = options->after_no, .last_crc = options->after_crc},
    };
    bool refused = false;
    enum status status = recovery_check_beginning(journal, options, problem);
    if (status != STATUS_OK)
        return status;
    struct problem found = {.status = STATUS_OK};
    status = read_good_blocks(&self, &refused, &found);
    if (status == STATUS_END)
        status = check_acknowledged(&self, &found);
    if (is_damage(status) && !refused)
        status =
            options->accept_loss ? accept(&self, &found, &found) : explain(&self, status, &found);
    if (status != STATUS_OK)
        return problem_set(problem, status, "%s", found.text);
    *ret_report = self.report;
    return STATUS_OK;
}
