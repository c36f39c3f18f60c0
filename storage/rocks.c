#include "storage/rocks.h"

#include <assert.h>
#include <endian.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/thread.h"
#include "storage/journal.h"
#include "storage/little_endian.h"

#define ARENA_BLOCK_BYTES  (8u << 20)
#define BLOCK_CACHE_BYTES  (8u << 20)
#define READAHEAD_BYTES    (2u << 20)
#define MANIFEST_BYTES_MAX (16u << 20)
#define OPEN_FILES_MAX     256
#define INFO_LOG_BYTES     (1u << 20)
#define INFO_LOGS_COUNT    2
/* Values of enums that RocksDB's c.h leaves out. */
#define INFO_LOG_LEVEL_FATAL 4
#define CHECKSUM_XXH3        4

_Static_assert((uint64_t)JOURNAL_WRITE_BUFFERS_COUNT *JOURNAL_WRITE_BUFFER_BYTES +
                       BLOCK_CACHE_BYTES + JOURNAL_WRITE_BUFFERS_COUNT * ARENA_BLOCK_BYTES <=
                   JOURNAL_MEMORY_BYTES_MAX,
               "write buffers and cache stay under the cap that the header promises");

static const char *const family_names[ROCKS_FAMILIES_COUNT] = {
    [ROCKS_META] = "default",
    [ROCKS_BLOCKS] = "journal",
};

static const char format_key[] = "format";
#define FORMAT_KEY_BYTES (sizeof format_key - 1)

/* Flushing past the page cache saves a third of the CPU of a byte (2.4 to 1.5 ns): the pages are
 * not copied, not written back by a kernel thread, and not read again before the next start. Not
 * every file system can. */
static bool direct_io_works(const char *path)
{
    int file = open(path, O_TMPFILE | O_WRONLY | O_DIRECT | O_CLOEXEC, 0600);
    if (file >= 0)
        close(file);
    return file >= 0;
}

/*
 * Why level compaction, and on: block numbers only grow, so no two files overlap and RocksDB moves
 * a file down the levels by changing its manifest alone. 5 GB in blocks of 256 KiB are written 2.0
 * times (log and flush), and a reader goes through one sorted run. With compaction off every file
 * would stay in level 0, where an iterator holds all of them open, and from where no file can be
 * dropped (trim.h): that is also why one file there is enough to be moved on.
 *
 * The write-ahead log needs no limit of its own: a log goes when the write buffer it covers has
 * been flushed, so there are never more than JOURNAL_WRITE_BUFFERS_COUNT of them plus the last. The
 * meta family does not hold them back, because its one key is flushed when it is written.
 */
static void set_sizes(rocksdb_options_t *options, uint32_t write_buffer_bytes)
{
    uint32_t arena_bytes = write_buffer_bytes / 8;
    if (arena_bytes > ARENA_BLOCK_BYTES)
        arena_bytes = ARENA_BLOCK_BYTES;
    rocksdb_options_set_compression(options, rocksdb_no_compression);
    rocksdb_options_set_write_buffer_size(options, write_buffer_bytes);
    rocksdb_options_set_max_write_buffer_number(options, JOURNAL_WRITE_BUFFERS_COUNT);
    rocksdb_options_set_target_file_size_base(options, write_buffer_bytes);
    rocksdb_options_set_level0_file_num_compaction_trigger(options, 1);
    rocksdb_options_set_arena_block_size(options, arena_bytes);
    rocksdb_options_set_max_open_files(options, OPEN_FILES_MAX);
    rocksdb_options_set_max_file_opening_threads(options, 1);
    rocksdb_options_set_max_background_jobs(options, 2);
    rocksdb_options_set_max_manifest_file_size(options, MANIFEST_BYTES_MAX);
    /* Hardly any info log: on a full disk the second line that Debian's RocksDB fails to write to
     * it is an assertion that ends the process. What matters comes back as an error anyway. */
    rocksdb_options_set_max_log_file_size(options, INFO_LOG_BYTES);
    rocksdb_options_set_keep_log_file_num(options, INFO_LOGS_COUNT);
    rocksdb_options_set_info_log_level(options, INFO_LOG_LEVEL_FATAL);
    rocksdb_options_set_stats_dump_period_sec(options, 0);
    rocksdb_options_set_stats_persist_period_sec(options, 0);
    rocksdb_options_set_skip_stats_update_on_db_open(options, 1);
    rocksdb_options_set_paranoid_checks(options, 1);
}

static void set_tables(rocksdb_options_t *options)
{
    rocksdb_block_based_table_options_t *tables = rocksdb_block_based_options_create();
    rocksdb_cache_t *cache = rocksdb_cache_create_lru(BLOCK_CACHE_BYTES);
    rocksdb_block_based_options_set_block_cache(tables, cache);
    rocksdb_block_based_options_set_checksum(tables, CHECKSUM_XXH3);
    rocksdb_options_set_block_based_table_factory(options, tables);
    rocksdb_cache_destroy(cache);
    rocksdb_block_based_options_destroy(tables);
}

static int wal_recovery_mode(enum rocks_mode mode)
{
    switch (mode) {
    case ROCKS_STRICT: return rocksdb_tolerate_corrupted_tail_records_recovery;
    case ROCKS_LENIENT:
    case ROCKS_READ_ONLY: return rocksdb_point_in_time_recovery;
    }
    assert(false);
    return rocksdb_absolute_consistency_recovery;
}

static rocksdb_options_t *options_for(const char *path, const struct rocks_options *wanted)
{
    enum rocks_mode mode = wanted->mode;
    rocksdb_options_t *base = rocksdb_options_create();
    set_sizes(base, wanted->write_buffer_bytes > 0 ? wanted->write_buffer_bytes
                                                   : JOURNAL_WRITE_BUFFER_BYTES);
    set_tables(base);
    rocksdb_options_set_create_if_missing(base, wanted->create);
    rocksdb_options_set_create_missing_column_families(base, wanted->create);
    rocksdb_options_set_wal_recovery_mode(base, wal_recovery_mode(mode));
    rocksdb_options_set_use_direct_io_for_flush_and_compaction(base, mode != ROCKS_READ_ONLY &&
                                                                         direct_io_works(path));

    /* Without these RocksDB rewrites every file after 30 days; c.h has no function for them. */
    rocksdb_options_t *options = rocksdb_options_create();
    char *error = NULL;
    rocksdb_get_options_from_string(base, "ttl=0;periodic_compaction_seconds=0", options, &error);
    assert(error == NULL);
    rocksdb_options_destroy(base);
    return options;
}

static bool has_any(const char *error, const char *const *texts, size_t count)
{
    for (size_t index = 0; index < count; index++)
        if (strstr(error, texts[index]) != NULL)
            return true;
    return false;
}

/* RocksDB's C functions report text alone; these parts of it come from strerror and from its own
 * status names. */
static enum status status_of(const char *error)
{
    static const char *const no_space[] = {"No space left", "File too large", "quota exceeded"};
    static const char *const no_permission[] = {"Read-only file system", "Permission denied",
                                                "Operation not permitted"};
    static const char *const in_use[] = {"lock hold by current process", "While lock file"};
    static const char *const corrupt[] = {"Corruption:", "No such file", "Column family not found",
                                          "does not exist (create_if_missing"};
    if (has_any(error, no_space, 3))
        return STATUS_NO_SPACE;
    if (has_any(error, no_permission, 3))
        return STATUS_NO_PERMISSION;
    if (has_any(error, in_use, 2))
        return STATUS_IN_USE;
    if (strstr(error, "Column families not opened") != NULL)
        return STATUS_NEWER_FORMAT;
    if (has_any(error, corrupt, 4))
        return STATUS_CORRUPT;
    return STATUS_IO;
}

static const char *advice(enum status status)
{
    if (status == STATUS_NO_SPACE)
        return "make room there, then start again";
    if (status == STATUS_NO_PERMISSION)
        return "make it writable for this user, or use another --data directory";
    if (status == STATUS_IN_USE)
        return "stop the other process, or use another --data directory";
    if (status == STATUS_NEWER_FORMAT)
        return "use the newer flyover that made it, or another --data directory";
    if (status == STATUS_CORRUPT)
        return "put it back from a backup, or start with --accept-loss to keep what can be read";
    return "look at the disk before starting again";
}

enum status rocks_problem(struct problem *problem, const char *path, char *error)
{
    assert(error != NULL);
    enum status status = status_of(error);
    problem_set(problem, status, "%s: %s; %s", path, error, advice(status));
    rocksdb_free(error);
    return status;
}

static rocksdb_t *open_families(const rocksdb_options_t *options, const char *path,
                                enum rocks_mode mode, rocksdb_column_family_handle_t **families,
                                char **error)
{
    const rocksdb_options_t *family_options[ROCKS_FAMILIES_COUNT] = {options, options};
    if (mode == ROCKS_READ_ONLY)
        return rocksdb_open_for_read_only_column_families(
            options, path, ROCKS_FAMILIES_COUNT, family_names, family_options, families, 0, error);
    return rocksdb_open_column_families(options, path, ROCKS_FAMILIES_COUNT, family_names,
                                        family_options, families, error);
}

static rocksdb_readoptions_t *make_scan_options(void)
{
    rocksdb_readoptions_t *options = rocksdb_readoptions_create();
    rocksdb_readoptions_set_verify_checksums(options, 1);
    rocksdb_readoptions_set_fill_cache(options, 0);
    rocksdb_readoptions_set_readahead_size(options, READAHEAD_BYTES);
    rocksdb_readoptions_set_background_purge_on_iterator_cleanup(options, 1);
    return options;
}

enum status rocks_open(struct rocks *rocks, const char *path, const struct rocks_options *options,
                       struct problem *problem)
{
    assert(!(options->create && options->mode == ROCKS_READ_ONLY));
    struct rocks opened = {0};
    rocksdb_options_t *all = options_for(path, options);
    char *error = NULL;
    sigset_t before;
    thread_hold_signals(&before);
    opened.db = open_families(all, path, options->mode, opened.families, &error);
    thread_release_signals(&before);
    rocksdb_options_destroy(all);
    if (error != NULL)
        return rocks_problem(problem, path, error);
    opened.scan_options = make_scan_options();
    *rocks = opened;
    return STATUS_OK;
}

bool rocks_has_blocks_family(const char *path)
{
    size_t count = 0;
    char *error = NULL;
    rocksdb_options_t *options = rocksdb_options_create();
    char **names = rocksdb_list_column_families(options, path, &count, &error);
    rocksdb_options_destroy(options);
    if (error != NULL) {
        rocksdb_free(error);
        return true;
    }
    bool found = false;
    for (size_t index = 0; index < count; index++)
        found = found || strcmp(names[index], family_names[ROCKS_BLOCKS]) == 0;
    rocksdb_list_column_families_destroy(names, count);
    return found;
}

void rocks_close(struct rocks *rocks)
{
    if (rocks->db == NULL)
        return;
    for (int family = 0; family < ROCKS_FAMILIES_COUNT; family++)
        rocksdb_column_family_handle_destroy(rocks->families[family]);
    rocksdb_readoptions_destroy(rocks->scan_options);
    rocksdb_close(rocks->db);
    *rocks = (struct rocks){0};
}

enum status rocks_repair(const char *path, struct problem *problem)
{
    struct rocks_options wanted = {.mode = ROCKS_LENIENT, .create = true};
    rocksdb_options_t *options = options_for(path, &wanted);
    char *error = NULL;
    rocksdb_repair_db(options, path, &error);
    rocksdb_options_destroy(options);
    return error == NULL ? STATUS_OK : rocks_problem(problem, path, error);
}

void rocks_destroy(const char *path)
{
    rocksdb_options_t *options = rocksdb_options_create();
    char *error = NULL;
    rocksdb_destroy_db(options, path, &error);
    rocksdb_options_destroy(options);
    rocksdb_free(error);
}

void rocks_encode_key(uint8_t ret_key[ROCKS_KEY_BYTES], uint32_t partition, uint64_t block_no)
{
    uint32_t first = htobe32(partition);
    uint64_t second = htobe64(block_no);
    memcpy(ret_key, &first, sizeof first);
    memcpy(ret_key + sizeof first, &second, sizeof second);
}

bool rocks_decode_key(const uint8_t *key, size_t bytes, uint32_t partition, uint64_t *ret_block_no)
{
    uint32_t first;
    uint64_t second;
    if (bytes != ROCKS_KEY_BYTES)
        return false;
    memcpy(&first, key, sizeof first);
    memcpy(&second, key + sizeof first, sizeof second);
    if (be32toh(first) != partition)
        return false;
    *ret_block_no = be64toh(second);
    return true;
}

bool rocks_is_blocks(const char *family_name)
{
    return strcmp(family_name, family_names[ROCKS_BLOCKS]) == 0;
}

rocksdb_iterator_t *rocks_scan(const struct rocks *rocks)
{
    return rocksdb_create_iterator_cf(rocks->db, rocks->scan_options,
                                      rocks->families[ROCKS_BLOCKS]);
}

enum status rocks_flush(struct rocks *rocks, const char *path, struct problem *problem)
{
    rocksdb_flushoptions_t *options = rocksdb_flushoptions_create();
    rocksdb_flushoptions_set_wait(options, 1);
    char *error = NULL;
    for (int family = 0; family < ROCKS_FAMILIES_COUNT && error == NULL; family++)
        rocksdb_flush_cf(rocks->db, options, rocks->families[family], &error);
    rocksdb_flushoptions_destroy(options);
    return error == NULL ? STATUS_OK : rocks_problem(problem, path, error);
}

enum status rocks_read_format(const struct rocks *rocks, const char *path, uint32_t *ret_format,
                              struct problem *problem)
{
    size_t bytes = 0;
    char *error = NULL;
    char *value = rocksdb_get_cf(rocks->db, rocks->scan_options, rocks->families[ROCKS_META],
                                 format_key, FORMAT_KEY_BYTES, &bytes, &error);
    if (error != NULL)
        return rocks_problem(problem, path, error);
    if (value == NULL)
        return STATUS_NOT_FOUND;
    bool whole = bytes == sizeof *ret_format;
    if (whole)
        *ret_format = get_u32((const uint8_t *)value);
    rocksdb_free(value);
    if (!whole)
        return problem_set(problem, STATUS_CORRUPT, "%s: its format is %zu bytes and not 4; %s",
                           path, bytes, advice(STATUS_CORRUPT));
    return STATUS_OK;
}

enum status rocks_write_format(struct rocks *rocks, const char *path, bool is_new,
                               struct problem *problem)
{
    uint8_t value[4];
    uint8_t anchor[ROCKS_KEY_BYTES];
    put_u32(value, JOURNAL_FORMAT);
    rocks_encode_key(anchor, ROCKS_PARTITION_ANCHOR, UINT64_MAX);
    rocksdb_writeoptions_t *options = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(options, 1);
    char *error = NULL;
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    rocksdb_writebatch_put_cf(batch, rocks->families[ROCKS_META], format_key, FORMAT_KEY_BYTES,
                              (const char *)value, sizeof value);
    if (is_new)
        rocksdb_writebatch_put_cf(batch, rocks->families[ROCKS_BLOCKS], (const char *)anchor,
                                  sizeof anchor, "", 0);
    rocksdb_write(rocks->db, options, batch, &error);
    rocksdb_writebatch_destroy(batch);
    rocksdb_writeoptions_destroy(options);
    if (error != NULL)
        return rocks_problem(problem, path, error);
    return rocks_flush(rocks, path, problem);
}

#ifdef __SANITIZE_THREAD__
/* Debian's RocksDB is not built for ThreadSanitizer, which sees its memory and not the counts that
 * guard it: when a compaction frees a version that another thread has read, it reports a race. Read
 * by its runtime at start. */
const char *__tsan_default_suppressions(void);

const char *__tsan_default_suppressions(void)
{
    return "race:librocksdb.so\n";
}
#endif
