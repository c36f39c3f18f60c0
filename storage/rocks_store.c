#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/rocks.h"

static uint64_t property(const struct rocks *rocks, const char *name)
{
    uint64_t value = 0;
    return rocksdb_property_int_cf(rocks->db, rocks->families[ROCKS_BLOCKS], name, &value) == 0
               ? value
               : 0;
}

struct journal_store rocks_store(const struct rocks *rocks)
{
    /* How many files a level has is told as a text only. */
    char *files = rocksdb_property_value_cf(rocks->db, rocks->families[ROCKS_BLOCKS],
                                            "rocksdb.num-files-at-level0");
    unsigned long long files_l0 = 0;
    bool is_known = files != NULL && sscanf(files, "%llu", &files_l0) == 1;
    rocksdb_free(files);
    return (struct journal_store){
        .is_known = is_known,
        .memtable_bytes = property(rocks, "rocksdb.cur-size-all-mem-tables"),
        .memtables_waiting = property(rocks, "rocksdb.num-immutable-mem-table"),
        .files_bytes = property(rocks, "rocksdb.total-sst-files-size"),
        .files_l0 = files_l0,
        .compaction_bytes_waiting = property(rocks, "rocksdb.estimate-pending-compaction-bytes"),
        .compactions = property(rocks, "rocksdb.num-running-compactions"),
        .flushes = property(rocks, "rocksdb.num-running-flushes"),
        .background_errors = property(rocks, "rocksdb.background-errors"),
        .write_delay_bytes_per_s = property(rocks, "rocksdb.actual-delayed-write-rate"),
        .is_write_stopped = property(rocks, "rocksdb.is-write-stopped") != 0,
    };
}

static bool is_wal(const char *name)
{
    size_t bytes = strlen(name);
    return bytes > 4 && strcmp(name + bytes - 4, ".log") == 0;
}

uint64_t journal_wal_bytes(const char *directory)
{
    char path[PATH_MAX];
    struct stat file;
    uint64_t bytes = 0;
    if ((size_t)snprintf(path, sizeof path, "%s/journal", directory) >= sizeof path)
        return 0;
    DIR *entries = opendir(path);
    if (entries == NULL)
        return 0;
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
        if (is_wal(entry->d_name) && fstatat(dirfd(entries), entry->d_name, &file, 0) == 0)
            bytes += (uint64_t)file.st_size;
    closedir(entries);
    return bytes;
}
