/*
 * The happy way: DIR is made and locked, RocksDB opened strictly, the format checked. Where RocksDB
 * refuses, what is missing is held against the watermark first: a log torn behind the last
 * acknowledged block (a power loss does that) opens, anything else is refused or salvaged.
 */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "storage/directory.h"
#include "storage/journal_ops.h"
#include "storage/mark.h"
#include "storage/rocks.h"
#include "storage/salvage.h"
#include "storage/trim.h"
#include "storage/watermark.h"

/* A running engine may remove a file between a reader's look at the manifest and its open. */
#define READ_ONLY_TRIES_COUNT 10

const struct mark_kind journal_first_kind = {
    .name = "first",
    .magic = {'F', 'L', 'Y', '1'},
    .on_damage =
        "which blocks of the journal were given up to a checkpoint: put the file back from "
        "a backup, or, if the journal still begins at block 1, move the file away",
};

struct journal_rocks {
    struct journal journal;
    struct rocks rocks;
    rocksdb_writeoptions_t *write_options;
    rocksdb_writebatch_t *batch;  /* kept, so that its memory is taken once */
    rocksdb_iterator_t *iterator; /* NULL while nothing is read */
    bool moved;                   /* the iterator stands on a block already handed out */
    uint64_t expected_no;         /* behind the block handed out last, or what was sought */
    bool read_only;
    bool sync;
    uint32_t partition;
    uint32_t write_buffer_bytes;
    struct mark first; /* file -1: not open for writing */
    struct trim *trim; /* NULL: read only */
    int lock;          /* -1: none */
    char directory[PATH_MAX];
    char path[PATH_MAX]; /* DIR/journal */
};

void journal_setup(void)
{
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
}

static struct journal_rocks *of(struct journal *journal)
{
    return (struct journal_rocks *)journal;
}

static void stop_reading(struct journal_rocks *self)
{
    if (self->iterator != NULL)
        rocksdb_iter_destroy(self->iterator);
    self->iterator = NULL;
}

static enum status rocks_append(struct journal *journal, const struct journal_slice *blocks,
                                uint32_t count, struct problem *problem)
{
    struct journal_rocks *self = of(journal);
    assert(!self->read_only);
    /* An open iterator would keep flushed write buffers in memory. */
    stop_reading(self);
    rocksdb_writebatch_clear(self->batch);
    for (uint32_t index = 0; index < count; index++) {
        uint8_t key[ROCKS_KEY_BYTES];
        rocks_encode_key(key, self->partition, blocks[index].block_no);
        rocksdb_writebatch_put_cf(self->batch, self->rocks.families[ROCKS_BLOCKS],
                                  (const char *)key, sizeof key, (const char *)blocks[index].bytes,
                                  blocks[index].bytes_count);
    }
    char *error = NULL;
    rocksdb_write(self->rocks.db, self->write_options, self->batch, &error);
    return error == NULL ? STATUS_OK : rocks_problem(problem, self->path, error);
}

static enum status rocks_seek(struct journal *journal, uint64_t first_no, struct problem *problem)
{
    (void)problem;
    struct journal_rocks *self = of(journal);
    uint8_t key[ROCKS_KEY_BYTES];
    rocks_encode_key(key, self->partition, first_no);
    stop_reading(self);
    self->iterator = rocks_scan(&self->rocks);
    rocksdb_iter_seek(self->iterator, (const char *)key, sizeof key);
    self->moved = false;
    self->expected_no = first_no;
    return STATUS_OK;
}

/* True if an engine that runs beside this read-only journal has given up blocks since. */
static bool lost_its_beginning(struct journal_rocks *self)
{
    uint64_t first_no = 0;
    if (!self->read_only ||
        mark_read(&journal_first_kind, self->directory, &first_no, NULL) != STATUS_OK ||
        first_no <= journal_first_no(&self->journal) || first_no <= self->expected_no)
        return false;
    self->journal.first_no_declared = first_no;
    return true;
}

static enum status overtaken_problem(const struct journal_rocks *self, struct problem *problem)
{
    return problem_set(problem, STATUS_BUSY,
                       "the engine that runs in %s gave up the blocks before %" PRIu64
                       " to a checkpoint while they were read: run this again",
                       self->directory, journal_first_no(&self->journal));
}

/* Whatever stops RocksDB from reading a file it has, a bad sector included, is damage: what it
 * holds cannot be had, and the rest can. But a file that another process removed is not, and
 * RocksDB does not always report it: the iterator may just end, or go on behind it. */
static enum status read_problem(struct journal_rocks *self, struct problem *problem)
{
    char *error = NULL;
    rocksdb_iter_get_error(self->iterator, &error);
    enum status status = STATUS_END;
    if (lost_its_beginning(self))
        status = overtaken_problem(self, problem);
    else if (error != NULL)
        status = problem_set(problem, STATUS_CORRUPT, "%s cannot be read: %s", self->path, error);
    rocksdb_free(error);
    return status;
}

static enum status rocks_next(struct journal *journal, struct journal_slice *ret_block,
                              struct problem *problem)
{
    struct journal_rocks *self = of(journal);
    if (self->iterator == NULL)
        return STATUS_END;
    bool handed_out = self->moved;
    if (handed_out && rocksdb_iter_valid(self->iterator))
        rocksdb_iter_next(self->iterator);
    self->moved = true;
    if (!rocksdb_iter_valid(self->iterator))
        return read_problem(self, problem);

    size_t key_bytes;
    struct journal_slice block;
    const char *key = rocksdb_iter_key(self->iterator, &key_bytes);
    if (!rocks_decode_key((const uint8_t *)key, key_bytes, self->partition, &block.block_no))
        return read_problem(self, problem);
    bool jumped = handed_out && block.block_no != self->expected_no;
    if (jumped && lost_its_beginning(self))
        return overtaken_problem(self, problem);
    block.bytes = (const uint8_t *)rocksdb_iter_value(self->iterator, &block.bytes_count);
    self->expected_no = block.block_no + 1;
    *ret_block = block;
    return STATUS_OK;
}

static bool readable_from(struct journal_rocks *self, uint64_t first_no)
{
    struct journal_slice block;
    enum status status = rocks_seek(&self->journal, first_no, NULL);
    while (status == STATUS_OK)
        status = rocks_next(&self->journal, &block, NULL);
    stop_reading(self);
    return status == STATUS_END;
}

static enum status delete_from(struct journal_rocks *self, uint64_t first_no,
                               struct problem *problem)
{
    uint8_t begin[ROCKS_KEY_BYTES];
    uint8_t end[ROCKS_KEY_BYTES];
    rocks_encode_key(begin, self->partition, first_no);
    rocks_encode_key(end, self->partition, UINT64_MAX);
    rocksdb_writebatch_clear(self->batch);
    rocksdb_writebatch_delete_range_cf(self->batch, self->rocks.families[ROCKS_BLOCKS],
                                       (const char *)begin, sizeof begin, (const char *)end,
                                       sizeof end);
    char *error = NULL;
    rocksdb_write(self->rocks.db, self->write_options, self->batch, &error);
    if (error != NULL)
        return rocks_problem(problem, self->path, error);
    return rocks_flush(&self->rocks, self->path, problem);
}

static enum status open_trim(struct journal_rocks *self, struct problem *problem)
{
    const struct trim_place place = {
        .rocks = &self->rocks,
        .path = self->path,
        .directory = self->directory,
        .first = &self->first,
        .partition = self->partition,
    };
    return trim_open(&place, journal_first_no(&self->journal), &self->trim, problem);
}

/* A range delete leaves damaged files in place, and the compaction that comes to them one day would
 * fail and stop all writing: those are left behind instead. */
static enum status rocks_remove_from(struct journal *journal, uint64_t first_no,
                                     struct problem *problem)
{
    struct journal_rocks *self = of(journal);
    assert(!self->read_only && first_no > 0);
    if (readable_from(self, first_no))
        return delete_from(self, first_no, problem);
    struct salvage_range range = {
        .partition = self->partition,
        .first_kept_no = journal_first_no(journal),
        .first_lost_no = first_no,
    };
    trim_close(self->trim);
    self->trim = NULL;
    enum status status =
        salvage_rewrite(&self->rocks, self->directory, self->path, &range, problem);
    if (status == STATUS_OK)
        status = open_trim(self, problem);
    return status;
}

static enum status rocks_remove_before(struct journal *journal, uint64_t first_kept_no,
                                       struct problem *problem)
{
    struct journal_rocks *self = of(journal);
    assert(!self->read_only);
    /* An open iterator would keep dropped files on disk. */
    stop_reading(self);
    return trim_before(self->trim, first_kept_no, problem);
}

static bool rocks_dropping(const struct journal *journal)
{
    const struct journal_rocks *self = (const struct journal_rocks *)journal;
    return self->trim != NULL && trim_is_busy(self->trim);
}

static void rocks_journal_close(struct journal *journal)
{
    struct journal_rocks *self = of(journal);
    stop_reading(self);
    trim_close(self->trim);
    /* An orderly end leaves nothing to the next power loss in mode async either. After a failure
     * nothing is synced: what it would say is not to be trusted. */
    bool sound = self->journal.failure.status == STATUS_OK;
    if (self->rocks.db != NULL && !self->read_only && !self->sync && sound) {
        char *error = NULL;
        rocksdb_flush_wal(self->rocks.db, 1, &error);
        rocksdb_free(error);
    }
    rocks_close(&self->rocks);
    rocksdb_writebatch_destroy(self->batch);
    rocksdb_writeoptions_destroy(self->write_options);
    if (self->first.file >= 0)
        mark_close(&self->first);
    if (self->lock >= 0)
        directory_unlock(self->lock);
    free(self);
}

static struct journal_store rocks_journal_store(const struct journal *journal)
{
    return rocks_store(&((const struct journal_rocks *)journal)->rocks);
}

static const struct journal_ops rocks_ops = {
    .store = rocks_journal_store,
    .append = rocks_append,
    .seek = rocks_seek,
    .next = rocks_next,
    .remove_from = rocks_remove_from,
    .remove_before = rocks_remove_before,
    .dropping = rocks_dropping,
    .close = rocks_journal_close,
};

enum presence {
    ABSENT,
    PRESENT,
    HEADLESS, /* files with data, and not the one that RocksDB begins at: damage, never a new one */
};

static bool has_suffix(const char *name, const char *suffix)
{
    size_t name_length = strlen(name);
    size_t suffix_length = strlen(suffix);
    return name_length > suffix_length && strcmp(name + name_length - suffix_length, suffix) == 0;
}

static enum presence look(const char *path)
{
    DIR *entries = opendir(path);
    if (entries == NULL)
        return ABSENT;
    bool head = false;
    bool data = false;
    const struct dirent *entry;
    while ((entry = readdir(entries)) != NULL) {
        head = head || strcmp(entry->d_name, "CURRENT") == 0;
        data = data || has_suffix(entry->d_name, ".sst") || has_suffix(entry->d_name, ".log");
    }
    closedir(entries);
    if (head)
        return PRESENT;
    return data ? HEADLESS : ABSENT;
}

static enum status absent_problem(const struct journal_rocks *self, struct problem *problem)
{
    return problem_set(problem, STATUS_NOT_FOUND,
                       "there is no journal in %s: check the --data directory", self->directory);
}

static enum status headless_problem(const struct journal_rocks *self, struct problem *problem)
{
    return problem_set(problem, STATUS_CORRUPT,
                       "%s holds data but its file CURRENT is missing: put it back from a backup, "
                       "or start with --accept-loss to keep what can be read",
                       self->path);
}

/* The last block that a lenient open would keep; STATUS_END for none. */
static enum status last_kept(const struct journal_rocks *self, uint64_t *ret_last_no,
                             struct problem *problem)
{
    struct rocks rocks = {0};
    struct rocks_options options = {.mode = ROCKS_READ_ONLY};
    enum status status = rocks_open(&rocks, self->path, &options, problem);
    if (status != STATUS_OK)
        return status;
    uint8_t key[ROCKS_KEY_BYTES];
    rocks_encode_key(key, self->partition, UINT64_MAX);
    rocksdb_iterator_t *iterator = rocks_scan(&rocks);
    rocksdb_iter_seek_for_prev(iterator, (const char *)key, sizeof key);
    status = STATUS_END;
    if (rocksdb_iter_valid(iterator)) {
        size_t key_bytes;
        const uint8_t *found = (const uint8_t *)rocksdb_iter_key(iterator, &key_bytes);
        if (rocks_decode_key(found, key_bytes, self->partition, ret_last_no))
            status = STATUS_OK;
    }
    rocksdb_iter_destroy(iterator);
    rocks_close(&rocks);
    return status;
}

/* A strict open said `refusal`. Opens all the same if all that was acknowledged is there. */
static enum status open_if_complete(struct journal_rocks *self, const struct problem *refusal,
                                    struct problem *problem)
{
    uint64_t acknowledged_no = self->journal.acknowledged_no;
    uint64_t last_no = 0;
    enum status status = last_kept(self, &last_no, problem);
    if (status != STATUS_OK && status != STATUS_END)
        return problem_set(problem, refusal->status, "%s", refusal->text);
    struct rocks_options options = {.mode = ROCKS_LENIENT,
                                    .write_buffer_bytes = self->write_buffer_bytes};
    if (last_no >= acknowledged_no)
        return rocks_open(&self->rocks, self->path, &options, problem);
    return problem_set(problem, STATUS_CORRUPT,
                       "blocks %" PRIu64 " to %" PRIu64
                       " were acknowledged and cannot be read: %s; the files as they are now would "
                       "be kept in %s/lost-journal",
                       last_no + 1, acknowledged_no, refusal->text, self->directory);
}

static enum status check_free_space(const char *directory, struct problem *problem)
{
    struct statvfs disk;
    if (statvfs(directory, &disk) != 0)
        return directory_problem(problem, "cannot look at the disk of", directory, errno);
    uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (free_bytes >= JOURNAL_FREE_BYTES_MIN)
        return STATUS_OK;
    return problem_set(problem, STATUS_NO_SPACE,
                       "No space left to start: %" PRIu64 " bytes are free where %s is, and a "
                       "start needs %u; make room there, then start again",
                       free_bytes, directory, JOURNAL_FREE_BYTES_MIN);
}

static enum status open_for_writing(struct journal_rocks *self,
                                    const struct journal_options *options, enum presence presence,
                                    struct problem *problem)
{
    enum status status = check_free_space(self->directory, problem);
    if (status != STATUS_OK)
        return status;
    /* RocksDB would make it too, but only after it was asked whether it takes direct I/O. */
    if (presence == ABSENT && mkdir(self->path, 0755) != 0 && errno != EEXIST)
        return directory_problem(problem, "cannot make the directory", self->path, errno);
    uint64_t first_no;
    status = mark_open(&self->first, &journal_first_kind, self->directory, &first_no, problem);
    if (status != STATUS_OK)
        return status;
    self->journal.first_no_declared = first_no;
    struct rocks_options strict = {.mode = ROCKS_STRICT,
                                   .create = options->create,
                                   .write_buffer_bytes = self->write_buffer_bytes};
    struct problem refusal;
    status = STATUS_CORRUPT;
    if (presence == HEADLESS)
        headless_problem(self, &refusal);
    else
        status = rocks_open(&self->rocks, self->path, &strict, &refusal);
    if (status == STATUS_OK)
        return STATUS_OK;
    if (status != STATUS_CORRUPT)
        return problem_set(problem, status, "%s", refusal.text);
    if (options->accept_loss)
        return salvage_open(&self->rocks, self->directory, self->path, problem);
    return open_if_complete(self, &refusal, problem);
}

static enum status open_for_reading(struct journal_rocks *self, enum presence presence,
                                    struct problem *problem)
{
    if (presence == HEADLESS)
        return headless_problem(self, problem);
    struct rocks_options options = {.mode = ROCKS_READ_ONLY};
    enum status status = STATUS_CORRUPT;
    for (int attempt = 0; status == STATUS_CORRUPT && attempt < READ_ONLY_TRIES_COUNT; attempt++)
        status = rocks_open(&self->rocks, self->path, &options, problem);
    /* Its maker was stopped before it could write a block: no damage, and nothing to read. */
    if (status == STATUS_CORRUPT && self->journal.acknowledged_no == 0 &&
        !rocks_has_blocks_family(self->path))
        return problem_set(problem, STATUS_NOT_FOUND,
                           "there is no journal in %s yet, its making was broken off: start again "
                           "what made it",
                           self->directory);
    /* After the journal: an engine that runs beside may drop files at any moment, and has declared
     * so before. */
    if (status == STATUS_OK)
        status = mark_read(&journal_first_kind, self->directory, &self->journal.first_no_declared,
                           problem);
    return status;
}

static bool is_block(const rocksdb_iterator_t *iterator)
{
    uint64_t anchor_no;
    size_t bytes;
    const uint8_t *key = (const uint8_t *)rocksdb_iter_key(iterator, &bytes);
    return !rocks_decode_key(key, bytes, ROCKS_PARTITION_ANCHOR, &anchor_no);
}

static bool is_empty(const struct journal_rocks *self)
{
    rocksdb_iterator_t *iterator = rocks_scan(&self->rocks);
    rocksdb_iter_seek_to_first(iterator);
    char *error = NULL;
    rocksdb_iter_get_error(iterator, &error);
    bool empty = error == NULL && !(rocksdb_iter_valid(iterator) && is_block(iterator));
    rocksdb_free(error);
    rocksdb_iter_destroy(iterator);
    return empty;
}

static enum status check_format(struct journal_rocks *self, bool accept_loss,
                                struct problem *problem)
{
    uint32_t format = 0;
    enum status status = rocks_read_format(&self->rocks, self->path, &format, problem);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND)
        return status;
    if (format > JOURNAL_FORMAT)
        return problem_set(problem, STATUS_NEWER_FORMAT,
                           "%s was made by a newer flyover (journal format %" PRIu32
                           ", this one reads %u): use that version, or another --data directory",
                           self->directory, format, JOURNAL_FORMAT);
    if (format == JOURNAL_FORMAT || (format > 0 && self->read_only))
        return STATUS_OK;
    if (format > 0)
        return rocks_write_format(&self->rocks, self->path, false, problem);
    /* New, or its maker was killed before it could write the format. */
    bool make = status == STATUS_NOT_FOUND && (accept_loss || is_empty(self));
    if (make)
        return self->read_only ? STATUS_OK
                               : rocks_write_format(&self->rocks, self->path, true, problem);
    return problem_set(problem, STATUS_CORRUPT,
                       "%s holds blocks but does not say in which format: put it back from a "
                       "backup, or start with --accept-loss to read them as format %u",
                       self->path, JOURNAL_FORMAT);
}

static enum status open_at(struct journal_rocks *self, const struct journal_options *options,
                           struct problem *problem)
{
    enum status status = directory_path(self->path, self->directory, "journal", problem);
    if (status != STATUS_OK)
        return status;
    if (!options->create && look(self->path) == ABSENT)
        return absent_problem(self, problem);
    if (options->create)
        status = directory_make(self->directory, problem);
    if (status == STATUS_OK && !self->read_only)
        status = directory_lock(self->directory, &self->lock, problem);
    /* The watermark before the journal: see journal_acknowledged_no. */
    if (status == STATUS_OK)
        status = watermark_read(self->directory, &self->journal.acknowledged_no, problem);
    if (status != STATUS_OK)
        return status;

    enum presence presence = look(self->path);
    status = self->read_only ? open_for_reading(self, presence, problem)
                             : open_for_writing(self, options, presence, problem);
    if (status == STATUS_OK)
        status = check_format(self, options->accept_loss, problem);
    if (status == STATUS_OK && !self->read_only)
        status = open_trim(self, problem);
    return status;
}

enum status journal_open_rocks(const struct journal_options *options, struct journal **ret_journal,
                               struct problem *problem)
{
    assert(!(options->read_only && (options->create || options->accept_loss)));
    assert(options->partition != ROCKS_PARTITION_ANCHOR);
    if (strlen(options->directory) >= PATH_MAX)
        return problem_set(problem, STATUS_TOO_LARGE,
                           "the path of the data directory is longer than %d bytes: use a shorter "
                           "--data directory",
                           PATH_MAX);
    struct journal_rocks *self = calloc(1, sizeof *self);
    if (self == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "no memory for a journal");
    self->journal.ops = &rocks_ops;
    self->read_only = options->read_only;
    self->sync = options->durability == DURABILITY_SYNC;
    self->partition = options->partition;
    self->write_buffer_bytes = options->write_buffer_bytes;
    self->first.file = -1;
    self->lock = -1;
    memcpy(self->directory, options->directory, strlen(options->directory));
    self->batch = rocksdb_writebatch_create();
    self->write_options = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(self->write_options, self->sync);

    enum status status = open_at(self, options, problem);
    if (status != STATUS_OK) {
        rocks_journal_close(&self->journal);
        return status;
    }
    *ret_journal = &self->journal;
    return STATUS_OK;
}
