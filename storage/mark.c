#include "storage/mark.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/crc32c.h"
#include "storage/directory.h"
#include "storage/little_endian.h"

#define COPIES_COUNT 2
#define COPY_BYTES   32u
/* A sector each, so that one torn sector never takes both. */
#define COPY_STRIDE_BYTES 512

/* magic 0..3, sequence 4..7, number 8..15, zeros, crc of 0..27 at 28. */
enum { AT_MAGIC = 0, AT_SEQUENCE = 4, AT_NUMBER = 8, AT_CRC = 28 };
#define MAGIC_BYTES 4

struct copy {
    uint32_t sequence;
    uint64_t number;
};

static void encode(const struct mark_kind *kind, uint8_t bytes[COPY_BYTES], struct copy copy)
{
    memset(bytes, 0, COPY_BYTES);
    memcpy(bytes + AT_MAGIC, kind->magic, MAGIC_BYTES);
    put_u32(bytes + AT_SEQUENCE, copy.sequence);
    put_u64(bytes + AT_NUMBER, copy.number);
    put_u32(bytes + AT_CRC, crc32c(0, bytes, AT_CRC));
}

static enum status write_copy(const struct mark_kind *kind, int file, struct copy copy)
{
    uint8_t bytes[COPY_BYTES];
    encode(kind, bytes, copy);
    off_t offset = (off_t)(copy.sequence % COPIES_COUNT) * COPY_STRIDE_BYTES;
    errno = 0;
    if (pwrite(file, bytes, sizeof bytes, offset) == (ssize_t)sizeof bytes)
        return STATUS_OK;
    return errno == ENOSPC ? STATUS_NO_SPACE : STATUS_IO;
}

static bool read_copy(const struct mark_kind *kind, int file, uint32_t index, struct copy *ret_copy)
{
    uint8_t bytes[COPY_BYTES];
    off_t offset = (off_t)index * COPY_STRIDE_BYTES;
    if (pread(file, bytes, sizeof bytes, offset) != (ssize_t)sizeof bytes)
        return false;
    if (memcmp(bytes, kind->magic, MAGIC_BYTES) != 0 ||
        get_u32(bytes + AT_CRC) != crc32c(0, bytes, AT_CRC))
        return false;
    *ret_copy = (struct copy){
        .sequence = get_u32(bytes + AT_SEQUENCE),
        .number = get_u64(bytes + AT_NUMBER),
    };
    return true;
}

/* The later of the good copies; false if there is none. Sequences wrap. */
static bool read_latest(const struct mark_kind *kind, int file, struct copy *ret_copy)
{
    struct copy latest = {0};
    bool found = false;
    for (uint32_t index = 0; index < COPIES_COUNT; index++) {
        struct copy copy;
        if (!read_copy(kind, file, index, &copy))
            continue;
        if (!found || (int32_t)(copy.sequence - latest.sequence) > 0)
            latest = copy;
        found = true;
    }
    if (found)
        *ret_copy = latest;
    return found;
}

static enum status read_or_explain(const struct mark_kind *kind, int file, const char *path,
                                   struct copy *ret_copy, struct problem *problem)
{
    if (read_latest(kind, file, ret_copy))
        return STATUS_OK;
    return problem_set(problem, STATUS_CORRUPT,
                       "both copies in %s are damaged, so it cannot be told %s", path,
                       kind->on_damage);
}

/* A new file appears under its name whole or not at all: an empty one is always damage. */
static enum status create(const struct mark_kind *kind, const char *directory, const char *path,
                          struct problem *problem)
{
    char name_new[NAME_MAX + 1];
    char path_new[PATH_MAX];
    snprintf(name_new, sizeof name_new, "%s.new", kind->name);
    enum status status = directory_path(path_new, directory, name_new, problem);
    if (status != STATUS_OK)
        return status;
    int file = open(path_new, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0)
        return directory_problem(problem, "cannot create", path_new, errno);
    bool written = write_copy(kind, file, (struct copy){.sequence = 0}) == STATUS_OK &&
                   write_copy(kind, file, (struct copy){.sequence = 1}) == STATUS_OK &&
                   fdatasync(file) == 0 && rename(path_new, path) == 0;
    int error = errno;
    close(file);
    if (!written)
        return directory_problem(problem, "cannot write", path_new, error);
    return directory_sync(directory, problem);
}

static enum status open_or_create(const struct mark_kind *kind, const char *directory,
                                  const char *path, int *ret_file, struct problem *problem)
{
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0 && errno == ENOENT) {
        enum status status = create(kind, directory, path, problem);
        if (status != STATUS_OK)
            return status;
        file = open(path, O_RDWR | O_CLOEXEC);
    }
    if (file < 0)
        return directory_problem(problem, "cannot open", path, errno);
    *ret_file = file;
    return STATUS_OK;
}

enum status mark_open(struct mark *mark, const struct mark_kind *kind, const char *directory,
                      uint64_t *ret_number, struct problem *problem)
{
    char path[PATH_MAX];
    int file = -1;
    enum status status = directory_path(path, directory, kind->name, problem);
    if (status == STATUS_OK)
        status = open_or_create(kind, directory, path, &file, problem);
    if (status != STATUS_OK)
        return status;

    struct copy latest;
    status = read_or_explain(kind, file, path, &latest, problem);
    if (status != STATUS_OK) {
        close(file);
        return status;
    }
    *mark = (struct mark){.kind = kind, .file = file, .sequence = latest.sequence};
    *ret_number = latest.number;
    return STATUS_OK;
}

enum status mark_read(const struct mark_kind *kind, const char *directory, uint64_t *ret_number,
                      struct problem *problem)
{
    char path[PATH_MAX];
    enum status status = directory_path(path, directory, kind->name, problem);
    if (status != STATUS_OK)
        return status;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        *ret_number = 0;
        return STATUS_OK;
    }
    if (file < 0)
        return directory_problem(problem, "cannot open", path, errno);
    struct copy latest;
    status = read_or_explain(kind, file, path, &latest, problem);
    close(file);
    if (status == STATUS_OK)
        *ret_number = latest.number;
    return status;
}

enum status mark_write(struct mark *mark, uint64_t number)
{
    assert(mark->file >= 0);
    struct copy copy = {.sequence = mark->sequence + 1, .number = number};
    enum status status = write_copy(mark->kind, mark->file, copy);
    if (status == STATUS_OK)
        mark->sequence = copy.sequence;
    return status;
}

enum status mark_sync(struct mark *mark)
{
    assert(mark->file >= 0);
    return fdatasync(mark->file) == 0 ? STATUS_OK : STATUS_IO;
}

void mark_close(struct mark *mark)
{
    assert(mark->file >= 0);
    fdatasync(mark->file);
    close(mark->file);
    mark->file = -1;
}
