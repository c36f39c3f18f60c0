#include "storage/salvage.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/directory.h"

#define COPY_BATCH_BYTES (4u << 20)

static const char kept_stem[] = "lost-journal";
static const char rewritten_name[] = "journal.new";

enum status salvage_open(struct rocks *rocks, const char *directory, const char *path,
                         struct problem *problem)
{
    char kept_name[NAME_MAX + 1];
    enum status status = directory_keep_copy(directory, "journal", kept_stem, kept_name, problem);
    if (status != STATUS_OK)
        return status;
    status = rocks_open(rocks, path, ROCKS_LENIENT, false, problem);
    if (status != STATUS_CORRUPT)
        return status;
    status = rocks_repair(path, problem);
    if (status != STATUS_OK)
        return status;
    return rocks_open(rocks, path, ROCKS_LENIENT, true, problem);
}

static enum status write_batch(rocksdb_t *db, rocksdb_writebatch_t *batch, const char *path,
                               struct problem *problem)
{
    rocksdb_writeoptions_t *options = rocksdb_writeoptions_create();
    char *error = NULL;
    rocksdb_write(db, options, batch, &error);
    rocksdb_writeoptions_destroy(options);
    rocksdb_writebatch_clear(batch);
    return error == NULL ? STATUS_OK : rocks_problem(problem, path, error);
}

/* Puts what the iterator stands on into the batch; returns its bytes. */
static size_t batch_current(rocksdb_writebatch_t *batch, const struct rocks *to,
                            const rocksdb_iterator_t *iterator)
{
    size_t key_bytes;
    size_t value_bytes;
    const char *key = rocksdb_iter_key(iterator, &key_bytes);
    const char *value = rocksdb_iter_value(iterator, &value_bytes);
    rocksdb_writebatch_put_cf(batch, to->families[ROCKS_BLOCKS], key, key_bytes, value,
                              value_bytes);
    return value_bytes;
}

/* Copies from where the iterator stands up to the key `end` (NULL: to the last), and writes the
 * last key it copied; an iterator that meets damage just ends, so that one tells how far it got. */
static enum status copy_until(struct rocks *to, rocksdb_iterator_t *iterator, const uint8_t *end,
                              uint8_t last_key[ROCKS_KEY_BYTES], const char *path,
                              struct problem *problem)
{
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    enum status status = STATUS_OK;
    size_t batch_bytes = 0;
    for (; status == STATUS_OK && rocksdb_iter_valid(iterator); rocksdb_iter_next(iterator)) {
        size_t key_bytes;
        const char *key = rocksdb_iter_key(iterator, &key_bytes);
        assert(key_bytes == ROCKS_KEY_BYTES);
        if (end != NULL && memcmp(key, end, ROCKS_KEY_BYTES) >= 0)
            break;
        memcpy(last_key, key, ROCKS_KEY_BYTES);
        batch_bytes += batch_current(batch, to, iterator);
        if (batch_bytes < COPY_BATCH_BYTES)
            continue;
        status = write_batch(to->db, batch, path, problem);
        batch_bytes = 0;
    }
    if (status == STATUS_OK)
        status = write_batch(to->db, batch, path, problem);
    rocksdb_writebatch_destroy(batch);
    return status;
}

static enum status check_iterator(const rocksdb_iterator_t *iterator, const char *path,
                                  struct problem *problem)
{
    char *error = NULL;
    rocksdb_iter_get_error(iterator, &error);
    return error == NULL ? STATUS_OK : rocks_problem(problem, path, error);
}

/* All that stands before the block first_no of `partition`. Damage is forgiven only behind the very
 * last of it: nothing may be lost that the caller did not name. */
static enum status copy_before(struct rocks *to, const struct rocks *from, uint32_t partition,
                               uint64_t first_no, const char *path, struct problem *problem)
{
    uint8_t end[ROCKS_KEY_BYTES];
    uint8_t expected[ROCKS_KEY_BYTES];
    uint8_t last_key[ROCKS_KEY_BYTES] = {0};
    rocks_encode_key(end, partition, first_no);
    rocks_encode_key(expected, partition, first_no - 1);

    rocksdb_iterator_t *iterator = rocks_scan(from);
    rocksdb_iter_seek_to_first(iterator);
    enum status status = copy_until(to, iterator, end, last_key, path, problem);
    if (status == STATUS_OK && memcmp(last_key, expected, sizeof expected) != 0)
        status = check_iterator(iterator, path, problem);
    rocksdb_iter_destroy(iterator);
    return status;
}

static enum status copy_later_partitions(struct rocks *to, const struct rocks *from,
                                         uint32_t partition, const char *path,
                                         struct problem *problem)
{
    assert(partition < ROCKS_PARTITION_ANCHOR);
    uint8_t begin[ROCKS_KEY_BYTES];
    uint8_t last_key[ROCKS_KEY_BYTES];
    rocks_encode_key(begin, partition + 1, 0);
    rocksdb_iterator_t *iterator = rocks_scan(from);
    rocksdb_iter_seek(iterator, (const char *)begin, sizeof begin);
    enum status status = copy_until(to, iterator, NULL, last_key, path, problem);
    if (status == STATUS_OK)
        status = check_iterator(iterator, path, problem);
    rocksdb_iter_destroy(iterator);
    return status;
}

static enum status write_copy(const struct rocks *from, const char *path_new, uint32_t partition,
                              uint64_t first_no, struct problem *problem)
{
    rocks_destroy(path_new);
    if (mkdir(path_new, 0755) != 0 && errno != EEXIST)
        return directory_problem(problem, "cannot make the directory", path_new, errno);
    struct rocks to = {0};
    enum status status = rocks_open(&to, path_new, ROCKS_STRICT, true, problem);
    if (status == STATUS_OK)
        status = rocks_write_format(&to, path_new, problem);
    if (status == STATUS_OK)
        status = copy_before(&to, from, partition, first_no, path_new, problem);
    if (status == STATUS_OK)
        status = copy_later_partitions(&to, from, partition, path_new, problem);
    if (status == STATUS_OK)
        status = rocks_flush(&to, path_new, problem);
    rocks_close(&to);
    return status;
}

enum status salvage_rewrite(struct rocks *rocks, const char *directory, const char *path,
                            uint32_t partition, uint64_t first_no, struct problem *problem)
{
    assert(first_no > 0);
    char path_new[PATH_MAX];
    char kept_name[NAME_MAX + 1];
    enum status status = directory_path(path_new, directory, rewritten_name, problem);
    if (status == STATUS_OK)
        status = write_copy(rocks, path_new, partition, first_no, problem);
    if (status != STATUS_OK)
        return status;

    /* Exchanged, so that there is a whole journal under the name at every moment. */
    rocks_close(rocks);
    if (renameat2(AT_FDCWD, path_new, AT_FDCWD, path, RENAME_EXCHANGE) != 0)
        return directory_problem(problem, "cannot rename a directory to", path, errno);
    status = directory_set_aside(directory, rewritten_name, kept_stem, "", kept_name, problem);
    if (status != STATUS_OK)
        return status;
    return rocks_open(rocks, path, ROCKS_STRICT, false, problem);
}
