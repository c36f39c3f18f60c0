#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "engine/edge/edge_parts.h"
#include "storage/directory.h"

/* What makes the keys of this engine's steps other than any other's. It has to be there before the
 * first key is, and to stay: other sides know what was done by the keys. */

#define NAME   "edge-id"
#define BESIDE "edge-id.new"
#define DIGITS (EDGE_ID_BYTES - 1)

static enum status make(char ret_id[EDGE_ID_BYTES], struct problem *problem)
{
    uint64_t number;
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
        return problem_set(problem, STATUS_IO, "the machine gives no random number: %s",
                           strerror(errno));
    snprintf(ret_id, EDGE_ID_BYTES, "%016" PRIx64, number);
    return STATUS_OK;
}

static enum status write_whole(const char *path, const char *id, struct problem *problem)
{
    char line[EDGE_ID_BYTES + 1];
    int bytes = snprintf(line, sizeof line, "%s\n", id);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0)
        return directory_problem(problem, "cannot make", path, errno);
    bool done = write(file, line, (size_t)bytes) == bytes && fsync(file) == 0;
    int error = errno == 0 ? EIO : errno;
    done = close(file) == 0 && done;
    return done ? STATUS_OK : directory_problem(problem, "cannot write", path, error);
}

/* Beside it first, so that one that is there is whole. */
static enum status keep(const char *directory, const char *path, const char *id,
                        struct problem *problem)
{
    char beside[PATH_MAX];
    enum status status = directory_path(beside, directory, BESIDE, problem);
    if (status == STATUS_OK)
        status = write_whole(beside, id, problem);
    if (status == STATUS_OK && rename(beside, path) != 0)
        status = directory_problem(problem, "cannot rename", beside, errno);
    return status == STATUS_OK ? directory_sync(directory, problem) : status;
}

static enum status read_id(int file, const char *path, char ret_id[EDGE_ID_BYTES],
                           struct problem *problem)
{
    char text[2 * EDGE_ID_BYTES] = "";
    ssize_t bytes = read(file, text, sizeof text - 1);
    if (bytes < 0)
        return directory_problem(problem, "cannot read", path, errno);
    bool is_whole = strspn(text, "0123456789abcdef") == DIGITS &&
                    (bytes == DIGITS || (bytes == DIGITS + 1 && text[DIGITS] == '\n'));
    if (!is_whole)
        return problem_set(
            problem, STATUS_CORRUPT,
            "%s is damaged: it has %u hexadecimal digits, by which others know this engine's "
            "steps again. Bring it back from a copy; or delete it, and steps that were with "
            "others when the engine stopped may be done twice",
            path, DIGITS);
    memcpy(ret_id, text, DIGITS);
    ret_id[DIGITS] = '\0';
    return STATUS_OK;
}

enum status edge_id_open(const char *directory, char ret_id[EDGE_ID_BYTES], struct problem *problem)
{
    char path[PATH_MAX], id[EDGE_ID_BYTES];
    if (directory == NULL)
        return make(ret_id, problem);
    enum status status = directory_path(path, directory, NAME, problem);
    if (status != STATUS_OK)
        return status;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        status = read_id(file, path, ret_id, problem);
        close(file);
        return status;
    }
    if (errno != ENOENT)
        return directory_problem(problem, "cannot open", path, errno);
    status = make(id, problem);
    if (status == STATUS_OK)
        status = keep(directory, path, id, problem);
    if (status == STATUS_OK)
        memcpy(ret_id, id, sizeof id);
    return status;
}
