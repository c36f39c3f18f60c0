#include "storage/trim.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/thread.h"

struct trim {
    struct trim_place place;
    pthread_t thread;
    uint64_t declared_no; /* the thread's */

    pthread_mutex_t mutex; /* over all below */
    pthread_cond_t asked;
    uint64_t first_kept_no;
    bool busy; /* asked, and not done */
    bool stopping;
    struct problem failure;
};

struct table {
    uint8_t first_key[ROCKS_KEY_BYTES];
    uint8_t last_key[ROCKS_KEY_BYTES];
    int level;
};

static bool copy_key(uint8_t ret_key[ROCKS_KEY_BYTES], const char *key, size_t bytes)
{
    if (bytes != ROCKS_KEY_BYTES)
        return false;
    memcpy(ret_key, key, ROCKS_KEY_BYTES);
    return true;
}

static bool read_table(const rocksdb_livefiles_t *files, int index, struct table *ret_table)
{
    size_t first_bytes;
    size_t last_bytes;
    const char *first = rocksdb_livefiles_smallestkey(files, index, &first_bytes);
    const char *last = rocksdb_livefiles_largestkey(files, index, &last_bytes);
    ret_table->level = rocksdb_livefiles_level(files, index);
    return rocks_is_blocks(rocksdb_livefiles_column_family_name(files, index)) &&
           copy_key(ret_table->first_key, first, first_bytes) &&
           copy_key(ret_table->last_key, last, last_bytes);
}

/* The one with the lowest keys of those that hold any block of the partition. */
static bool find_lowest(const struct rocks *rocks, uint32_t partition, struct table *ret_table)
{
    uint8_t begin[ROCKS_KEY_BYTES];
    uint8_t end[ROCKS_KEY_BYTES];
    rocks_encode_key(begin, partition, 0);
    rocks_encode_key(end, partition, UINT64_MAX);
    bool found = false;
    const rocksdb_livefiles_t *files = rocksdb_livefiles(rocks->db);
    int count = rocksdb_livefiles_count(files);
    for (int index = 0; index < count; index++) {
        struct table table;
        if (!read_table(files, index, &table) || memcmp(table.last_key, begin, sizeof begin) < 0 ||
            memcmp(table.first_key, end, sizeof end) > 0)
            continue;
        if (!found || memcmp(table.first_key, ret_table->first_key, ROCKS_KEY_BYTES) < 0)
            *ret_table = table;
        found = true;
    }
    rocksdb_livefiles_destroy(files);
    return found;
}

static bool lies_before(const struct table *table, uint32_t partition, uint64_t first_kept_no,
                        uint64_t *ret_last_no)
{
    uint64_t first_no;
    uint64_t last_no;
    if (!rocks_decode_key(table->first_key, ROCKS_KEY_BYTES, partition, &first_no) ||
        !rocks_decode_key(table->last_key, ROCKS_KEY_BYTES, partition, &last_no) ||
        last_no >= first_kept_no)
        return false;
    *ret_last_no = last_no;
    return true;
}

/* Durable on return. */
static enum status declare(struct trim *trim, uint64_t first_kept_no, struct problem *problem)
{
    if (first_kept_no <= trim->declared_no)
        return STATUS_OK;
    enum status status = mark_write(trim->place.first, first_kept_no);
    if (status == STATUS_OK)
        status = mark_sync(trim->place.first);
    if (status != STATUS_OK)
        return problem_set(problem, status, "cannot write %s/%s: %s", trim->place.directory,
                           trim->place.first->kind->name, status_text(status));
    trim->declared_no = first_kept_no;
    return STATUS_OK;
}

/* Drops the lowest file if all of it is before first_kept_no; `*ret_last_no` is the last block it
 * holds, 0 where there is none to drop. */
static enum status drop_file(struct trim *trim, uint64_t first_kept_no, uint64_t *ret_last_no,
                             struct problem *problem)
{
    const struct trim_place *place = &trim->place;
    struct table table;
    uint64_t last_no = 0;
    /* RocksDB drops no file in level 0, and passes over the request silently. */
    if (!find_lowest(place->rocks, place->partition, &table) || table.level == 0 ||
        !lies_before(&table, place->partition, first_kept_no, &last_no)) {
        *ret_last_no = 0;
        return STATUS_OK;
    }
    char *error = NULL;
    rocksdb_delete_file_in_range_cf(place->rocks->db, place->rocks->families[ROCKS_BLOCKS],
                                    (const char *)table.first_key, ROCKS_KEY_BYTES,
                                    (const char *)table.last_key, ROCKS_KEY_BYTES, &error);
    if (error != NULL)
        return rocks_problem(problem, place->path, error);
    *ret_last_no = last_no;
    return STATUS_OK;
}

/* With the mutex held, which is let go while it is declared and a file is dropped. */
static void drop_files(struct trim *trim)
{
    uint64_t dropped_no = 0;
    while (trim->busy && !trim->stopping) {
        uint64_t first_kept_no = trim->first_kept_no;
        uint64_t last_no = 0;
        struct problem problem;
        pthread_mutex_unlock(&trim->mutex);
        enum status status = declare(trim, first_kept_no, &problem);
        if (status == STATUS_OK)
            status = drop_file(trim, first_kept_no, &last_no, &problem);
        pthread_mutex_lock(&trim->mutex);
        if (status != STATUS_OK)
            trim->failure = problem;
        /* The same one again: RocksDB passed over it. */
        bool done = last_no == 0 || last_no == dropped_no;
        if (status != STATUS_OK || (done && trim->first_kept_no == first_kept_no))
            trim->busy = false;
        dropped_no = last_no;
    }
}

static void *run(void *context)
{
    struct trim *trim = context;
    pthread_mutex_lock(&trim->mutex);
    while (!trim->stopping) {
        drop_files(trim);
        if (!trim->stopping)
            pthread_cond_wait(&trim->asked, &trim->mutex);
    }
    /* Asked for and not begun: an orderly end declares it. */
    uint64_t first_kept_no = trim->first_kept_no;
    bool sound = trim->failure.status == STATUS_OK;
    pthread_mutex_unlock(&trim->mutex);
    struct problem problem;
    enum status status = sound ? declare(trim, first_kept_no, &problem) : STATUS_OK;
    (void)status; /* nothing was dropped for it, so that the one before holds */
    return NULL;
}

enum status trim_open(const struct trim_place *place, uint64_t declared_no, struct trim **ret_trim,
                      struct problem *problem)
{
    struct trim *trim = calloc(1, sizeof *trim);
    if (trim == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "no memory for a journal");
    trim->place = *place;
    trim->declared_no = declared_no;
    pthread_mutex_init(&trim->mutex, NULL);
    pthread_cond_init(&trim->asked, NULL);
    int error = thread_start(&trim->thread, "fly-trim", NULL, run, trim);
    if (error != 0) {
        pthread_cond_destroy(&trim->asked);
        pthread_mutex_destroy(&trim->mutex);
        free(trim);
        return problem_set(problem, STATUS_NO_MEMORY,
                           "cannot start the thread that trims the journal: %s", strerror(error));
    }
    *ret_trim = trim;
    return STATUS_OK;
}

void trim_close(struct trim *trim)
{
    if (trim == NULL)
        return;
    pthread_mutex_lock(&trim->mutex);
    trim->stopping = true;
    pthread_cond_signal(&trim->asked);
    pthread_mutex_unlock(&trim->mutex);
    pthread_join(trim->thread, NULL);
    pthread_cond_destroy(&trim->asked);
    pthread_mutex_destroy(&trim->mutex);
    free(trim);
}

enum status trim_before(struct trim *trim, uint64_t first_kept_no, struct problem *problem)
{
    pthread_mutex_lock(&trim->mutex);
    assert(first_kept_no >= trim->first_kept_no);
    enum status status = trim->failure.status;
    if (status == STATUS_OK) {
        trim->first_kept_no = first_kept_no;
        trim->busy = true;
        pthread_cond_signal(&trim->asked);
    } else {
        problem_set(problem, status, "%s", trim->failure.text);
    }
    pthread_mutex_unlock(&trim->mutex);
    return status;
}

bool trim_is_busy(struct trim *trim)
{
    pthread_mutex_lock(&trim->mutex);
    bool busy = trim->busy;
    pthread_mutex_unlock(&trim->mutex);
    return busy;
}
