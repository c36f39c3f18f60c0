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
    struct rocks_options options = {.mode = ROCKS_LENIENT};
    status = rocks_open(rocks, path, &options, problem);
    if (status != STATUS_CORRUPT)
        return status;
    status = rocks_repair(path, problem);
    if (status != STATUS_OK)
        return status;
    options.create = true;
    return rocks_open(rocks, path, &options, problem);
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

/* What an iterator that begins at `begin` meets before `end` (NULL: to the last). Damage is
 * forgiven only behind the key `expected` (NULL: nowhere): nothing may be lost that the caller did
 * not name.
 */
static enum status copy_range(struct rocks *to, const struct rocks *from, const uint8_t *begin,
                              const uint8_t *end, const uint8_t *expected, const char *path,
                              struct problem *problem)
{
    uint8_t last_key[ROCKS_KEY_BYTES] = {0};
    if (end != NULL && memcmp(begin, end, ROCKS_KEY_BYTES) >= 0)
        return STATUS_OK;
    rocksdb_iterator_t *iterator = rocks_scan(from);
    rocksdb_iter_seek(iterator, (const char *)begin, ROCKS_KEY_BYTES);
    enum status status = copy_until(to, iterator, end, last_key, path, problem);
    bool complete = expected != NULL && memcmp(last_key, expected, ROCKS_KEY_BYTES) == 0;
    if (status == STATUS_OK && !complete)
        status = check_iterator(iterator, path, problem);
    rocksdb_iter_destroy(iterator);
    return status;
}

/* All but the blocks that are to go. Those before the first kept one stay behind, too: nobody needs
 * them, and damage in them must not stop this. */
static enum status copy_kept(struct rocks *to, const struct rocks *from,
                             const struct salvage_range *range, const char *path,
                             struct problem *problem)
{
    assert(range->partition < ROCKS_PARTITION_ANCHOR);
    uint8_t lowest[ROCKS_KEY_BYTES];
    uint8_t own[ROCKS_KEY_BYTES];
    uint8_t kept[ROCKS_KEY_BYTES];
    uint8_t last_kept[ROCKS_KEY_BYTES];
    uint8_t lost[ROCKS_KEY_BYTES];
    uint8_t later[ROCKS_KEY_BYTES];
    rocks_encode_key(lowest, 0, 0);
    rocks_encode_key(own, range->partition, 0);
    rocks_encode_key(kept, range->partition, range->first_kept_no);
    rocks_encode_key(last_kept, range->partition, range->first_lost_no - 1);
    rocks_encode_key(lost, range->partition, range->first_lost_no);
    rocks_encode_key(later, range->partition + 1, 0);
    enum status status = copy_range(to, from, lowest, own, NULL, path, problem);
    if (status == STATUS_OK)
        status = copy_range(to, from, kept, lost, last_kept, path, problem);
    if (status == STATUS_OK)
        status = copy_range(to, from, later, NULL, NULL, path, problem);
    return status;
}

static enum status write_copy(const struct rocks *from, const char *path_new,
                              const struct salvage_range *range, struct problem *problem)
{
    rocks_destroy(path_new);
    if (mkdir(path_new, 0755) != 0 && errno != EEXIST)
        return directory_problem(problem, "cannot make the directory", path_new, errno);
    struct rocks to = {0};
    struct rocks_options options = {.mode = ROCKS_STRICT, .create = true};
    enum status status = rocks_open(&to, path_new, &options, problem);
    if (status == STATUS_OK)
        status = rocks_write_format(&to, path_new, true, problem);
    if (status == STATUS_OK)
        status = copy_kept(&to, from, range, path_new, problem);
    if (status == STATUS_OK)
        status = rocks_flush(&to, path_new, problem);
    rocks_close(&to);
    return status;
}

enum status salvage_rewrite(struct rocks *rocks, const char *directory, const char *path,
                            const struct salvage_range *range, struct problem *problem)
{
    assert(range->first_kept_no > 0 && range->first_lost_no > 0);
    char path_new[PATH_MAX];
    char kept_name[NAME_MAX + 1];
    enum status status = directory_path(path_new, directory, rewritten_name, problem);
    if (status == STATUS_OK)
        status = write_copy(rocks, path_new, range, problem);
    if (status != STATUS_OK)
        return status;

    /* Exchanged, so that there is a whole journal under the name at every moment. */
    rocks_close(rocks);
    if (renameat2(AT_FDCWD, path_new, AT_FDCWD, path, RENAME_EXCHANGE) != 0)
        return directory_problem(problem, "cannot rename a directory to", path, errno);
    status = directory_set_aside(directory, rewritten_name, kept_stem, "", kept_name, problem);
    if (status != STATUS_OK)
        return status;
    struct rocks_options options = {.mode = ROCKS_STRICT};
    return rocks_open(rocks, path, &options, problem);
}
