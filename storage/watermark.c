#include "storage/watermark.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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

/* magic 0..3, sequence 4..7, block_no 8..15, zeros, crc of 0..27 at 28. */
enum { AT_MAGIC = 0, AT_SEQUENCE = 4, AT_BLOCK_NO = 8, AT_CRC = 28 };

static const uint8_t magic[4] = {'F', 'L', 'Y', 'W'};

struct copy {
    uint32_t sequence;
    uint64_t block_no;
};

static void encode(uint8_t bytes[COPY_BYTES], struct copy copy)
{
    memset(bytes, 0, COPY_BYTES);
    memcpy(bytes + AT_MAGIC, magic, sizeof magic);
    put_u32(bytes + AT_SEQUENCE, copy.sequence);
    put_u64(bytes + AT_BLOCK_NO, copy.block_no);
    put_u32(bytes + AT_CRC, crc32c(0, bytes, AT_CRC));
}

static enum status write_copy(int file, struct copy copy)
{
    uint8_t bytes[COPY_BYTES];
    encode(bytes, copy);
    off_t offset = (off_t)(copy.sequence % COPIES_COUNT) * COPY_STRIDE_BYTES;
    errno = 0;
    if (pwrite(file, bytes, sizeof bytes, offset) == (ssize_t)sizeof bytes)
        return STATUS_OK;
    return errno == ENOSPC ? STATUS_NO_SPACE : STATUS_IO;
}

static bool read_copy(int file, uint32_t index, struct copy *ret_copy)
{
    uint8_t bytes[COPY_BYTES];
    off_t offset = (off_t)index * COPY_STRIDE_BYTES;
    if (pread(file, bytes, sizeof bytes, offset) != (ssize_t)sizeof bytes)
        return false;
    if (memcmp(bytes, magic, sizeof magic) != 0 ||
        get_u32(bytes + AT_CRC) != crc32c(0, bytes, AT_CRC))
        return false;
    *ret_copy = (struct copy){
        .sequence = get_u32(bytes + AT_SEQUENCE),
        .block_no = get_u64(bytes + AT_BLOCK_NO),
    };
    return true;
}

/* The later of the good copies; false if there is none. Sequences wrap. */
static bool read_latest(int file, struct copy *ret_copy)
{
    struct copy latest = {0};
    bool found = false;
    for (uint32_t index = 0; index < COPIES_COUNT; index++) {
        struct copy copy;
        if (!read_copy(file, index, &copy))
            continue;
        if (!found || (int32_t)(copy.sequence - latest.sequence) > 0)
            latest = copy;
        found = true;
    }
    if (found)
        *ret_copy = latest;
    return found;
}

static enum status read_or_explain(int file, const char *path, struct copy *ret_copy,
                                   struct problem *problem)
{
    if (read_latest(file, ret_copy))
        return STATUS_OK;
    return problem_set(problem, STATUS_CORRUPT,
                       "both copies in %s are damaged, so it cannot be told which block was "
                       "acknowledged last: put the file back from a backup, or, to trust the "
                       "journal as it is, move the file away",
                       path);
}

/* A new file appears under its name whole or not at all: an empty one is always damage. */
static enum status create(const char *directory, const char *path, struct problem *problem)
{
    char path_new[PATH_MAX];
    enum status status = directory_path(path_new, directory, "watermark.new", problem);
    if (status != STATUS_OK)
        return status;
    int file = open(path_new, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0)
        return directory_problem(problem, "cannot create", path_new, errno);
    bool written = write_copy(file, (struct copy){.sequence = 0}) == STATUS_OK &&
                   write_copy(file, (struct copy){.sequence = 1}) == STATUS_OK &&
                   fdatasync(file) == 0 && rename(path_new, path) == 0;
    int error = errno;
    close(file);
    if (!written)
        return directory_problem(problem, "cannot write", path_new, error);
    return directory_sync(directory, problem);
}

static enum status open_or_create(const char *directory, const char *path, int *ret_file,
                                  struct problem *problem)
{
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0 && errno == ENOENT) {
        enum status status = create(directory, path, problem);
        if (status != STATUS_OK)
            return status;
        file = open(path, O_RDWR | O_CLOEXEC);
    }
    if (file < 0)
        return directory_problem(problem, "cannot open", path, errno);
    *ret_file = file;
    return STATUS_OK;
}

enum status watermark_open(struct watermark *watermark, const char *directory,
                           uint64_t *ret_block_no, struct problem *problem)
{
    char path[PATH_MAX];
    int file = -1;
    enum status status = directory_path(path, directory, "watermark", problem);
    if (status == STATUS_OK)
        status = open_or_create(directory, path, &file, problem);
    if (status != STATUS_OK)
        return status;

    struct copy latest;
    status = read_or_explain(file, path, &latest, problem);
    if (status != STATUS_OK) {
        close(file);
        return status;
    }
    *watermark = (struct watermark){.file = file, .sequence = latest.sequence};
    *ret_block_no = latest.block_no;
    return STATUS_OK;
}

enum status watermark_read(const char *directory, uint64_t *ret_block_no, struct problem *problem)
{
    char path[PATH_MAX];
    enum status status = directory_path(path, directory, "watermark", problem);
    if (status != STATUS_OK)
        return status;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        *ret_block_no = 0;
        return STATUS_OK;
    }
    if (file < 0)
        return directory_problem(problem, "cannot open", path, errno);
    struct copy latest;
    status = read_or_explain(file, path, &latest, problem);
    close(file);
    if (status == STATUS_OK)
        *ret_block_no = latest.block_no;
    return status;
}

enum status watermark_write(struct watermark *watermark, uint64_t block_no)
{
    assert(watermark->file >= 0);
    struct copy copy = {.sequence = watermark->sequence + 1, .block_no = block_no};
    enum status status = write_copy(watermark->file, copy);
    if (status == STATUS_OK)
        watermark->sequence = copy.sequence;
    return status;
}

void watermark_close(struct watermark *watermark)
{
    assert(watermark->file >= 0);
    fdatasync(watermark->file);
    close(watermark->file);
    watermark->file = -1;
}
