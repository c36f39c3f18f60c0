/*
 * scratch: what the tests of this folder share: a directory that goes away, and chains of blocks.
 */
#ifndef TESTS_STORAGE_SCRATCH_H
#define TESTS_STORAGE_SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/block.h"
#include "storage/journal.h"

#define MAYBE_UNUSED           __attribute__((unused))
#define SCRATCH_BODY_BYTES_MAX (64u << 10)

/* A fresh directory. */
MAYBE_UNUSED static void scratch_make(char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "/tmp/flyover-test-XXXXXX");
    assert_non_null(mkdtemp(path));
}

static int scratch_remove_one(const char *path, const struct stat *known, int kind,
                              struct FTW *place)
{
    (void)known;
    (void)kind;
    (void)place;
    return remove(path);
}

MAYBE_UNUSED static void scratch_remove(const char *path)
{
    nftw(path, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

MAYBE_UNUSED static void scratch_path(char ret_path[PATH_MAX], const char *directory,
                                      const char *name)
{
    assert_true(snprintf(ret_path, PATH_MAX, "%s/%s", directory, name) < PATH_MAX);
}

/* The last in name order of the files of `directory` whose names match, or false. */
MAYBE_UNUSED static bool scratch_find(const char *directory, const char *prefix, const char *suffix,
                                      char ret_path[PATH_MAX])
{
    DIR *entries = opendir(directory);
    assert_non_null(entries);
    char found[NAME_MAX + 1] = "";
    const struct dirent *entry;
    while ((entry = readdir(entries)) != NULL) {
        size_t length = strlen(entry->d_name);
        bool matches = strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
                       length >= strlen(suffix) &&
                       strcmp(entry->d_name + length - strlen(suffix), suffix) == 0;
        if (matches && strcmp(entry->d_name, found) > 0)
            snprintf(found, sizeof found, "%s", entry->d_name);
    }
    closedir(entries);
    if (found[0] == '\0')
        return false;
    scratch_path(ret_path, directory, found);
    return true;
}

/* Makes the next block of a chain. */
struct scratch_chain {
    uint64_t last_no;
    uint32_t last_crc;
    uint8_t block[BLOCK_HEADER_BYTES + SCRATCH_BODY_BYTES_MAX];
};

MAYBE_UNUSED static struct journal_slice scratch_next_block(struct scratch_chain *chain,
                                                            uint32_t body_bytes)
{
    assert_true(body_bytes <= SCRATCH_BODY_BYTES_MAX);
    uint64_t block_no = chain->last_no + 1;
    uint64_t random = block_no * 0x9e3779b97f4a7c15u;
    for (uint32_t index = 0; index < body_bytes; index++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        chain->block[BLOCK_HEADER_BYTES + index] = (uint8_t)random;
    }
    struct block_header header = {
        .block_no = block_no,
        .durable_no = chain->last_no,
        .now_ms = 1000 + (int64_t)block_no,
        .body_bytes = body_bytes,
        .record_count = 3,
        .prev_crc = chain->last_crc,
        .epoch = 1,
    };
    block_seal(chain->block, &header);
    chain->last_no = block_no;
    chain->last_crc = header.header_crc;
    return (struct journal_slice){.bytes = chain->block,
                                  .bytes_count = BLOCK_HEADER_BYTES + body_bytes,
                                  .block_no = block_no};
}

MAYBE_UNUSED static void scratch_append(struct journal *journal, struct scratch_chain *chain,
                                        uint32_t count, uint32_t body_bytes)
{
    for (uint32_t index = 0; index < count; index++) {
        struct journal_slice block = scratch_next_block(chain, body_bytes);
        assert_int_equal(journal_append(journal, &block, 1, NULL), STATUS_OK);
    }
}

#endif
