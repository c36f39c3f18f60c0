#include "storage/directory.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMES_TRIED_MAX 1000u

enum status directory_path(char ret_path[PATH_MAX], const char *directory, const char *name,
                           struct problem *problem)
{
    int length = snprintf(ret_path, PATH_MAX, "%s/%s", directory, name);
    if (length < 0 || length >= PATH_MAX)
        return problem_set(problem, STATUS_TOO_LARGE,
                           "the path of the data directory is longer than %d bytes: use a shorter "
                           "--data directory",
                           PATH_MAX);
    return STATUS_OK;
}

enum status directory_problem(struct problem *problem, const char *what, const char *path,
                              int error)
{
    switch (error) {
    case EACCES:
    case EPERM:
    case EROFS:
        return problem_set(problem, STATUS_NO_PERMISSION,
                           "%s %s: %s; make it writable for this user, or use another --data "
                           "directory",
                           what, path, strerror(error));
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return problem_set(problem, STATUS_NO_SPACE, "%s %s: %s; make room there, then start again",
                           what, path, strerror(error));
    case ENOENT:
    case ENOTDIR:
        return problem_set(problem, STATUS_NOT_FOUND,
                           "%s %s: %s; check the --data directory, the one above it must exist",
                           what, path, strerror(error));
    default:
        return problem_set(problem, STATUS_IO, "%s %s: %s; look at the disk before starting again",
                           what, path, strerror(error));
    }
}

enum status directory_sync(const char *directory, struct problem *problem)
{
    int file = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0)
        return directory_problem(problem, "cannot open", directory, errno);
    int error = fsync(file) == 0 ? 0 : errno;
    close(file);
    return error == 0 ? STATUS_OK : directory_problem(problem, "cannot sync", directory, error);
}

/* The directory that holds the name of `directory`. */
static void parent_of(char ret_parent[PATH_MAX], const char *directory)
{
    snprintf(ret_parent, PATH_MAX, "%s", directory);
    size_t length = strlen(ret_parent);
    while (length > 1 && ret_parent[length - 1] == '/')
        ret_parent[--length] = '\0';
    char *slash = strrchr(ret_parent, '/');
    if (slash == NULL)
        snprintf(ret_parent, PATH_MAX, ".");
    else
        slash[slash == ret_parent ? 1 : 0] = '\0';
}

enum status directory_make(const char *directory, struct problem *problem)
{
    struct stat known;
    if (stat(directory, &known) == 0) {
        if (S_ISDIR(known.st_mode))
            return STATUS_OK;
        return directory_problem(problem, "cannot use", directory, ENOTDIR);
    }
    if (mkdir(directory, 0755) != 0)
        return directory_problem(problem, "cannot make the directory", directory, errno);
    char parent[PATH_MAX];
    parent_of(parent, directory);
    return directory_sync(parent, problem);
}

static enum status in_use_problem(int lock, const char *directory, struct problem *problem)
{
    char text[32] = "";
    ssize_t bytes = pread(lock, text, sizeof text - 1, 0);
    long pid = bytes > 0 ? strtol(text, NULL, 10) : 0;
    if (pid > 0)
        return problem_set(problem, STATUS_IN_USE,
                           "%s is in use by process %ld: stop that one, or use another --data "
                           "directory",
                           directory, pid);
    return problem_set(problem, STATUS_IN_USE,
                       "%s is in use by another process: stop that one, or use another --data "
                       "directory",
                       directory);
}

static bool write_pid(int lock)
{
    char text[32];
    int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    assert(length > 0);
    return ftruncate(lock, 0) == 0 && pwrite(lock, text, (size_t)length, 0) == length;
}

enum status directory_lock(const char *directory, int *ret_lock, struct problem *problem)
{
    char path[PATH_MAX];
    enum status status = directory_path(path, directory, "lock", problem);
    if (status != STATUS_OK)
        return status;
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (lock < 0)
        return directory_problem(problem, "cannot open", path, errno);
    if (flock(lock, LOCK_EX | LOCK_NB) == 0) {
        if (write_pid(lock)) {
            *ret_lock = lock;
            return STATUS_OK;
        }
        status = directory_problem(problem, "cannot write", path, errno);
    } else if (errno == EWOULDBLOCK) {
        status = in_use_problem(lock, directory, problem);
    } else {
        status = directory_problem(problem, "cannot lock", path, errno);
    }
    close(lock);
    return status;
}

void directory_unlock(int lock)
{
    assert(lock >= 0);
    /* The pid goes too, so that nobody is named who no longer holds it. The name stays: removing
     * it would let two processes lock two files of the same name. */
    int ignored = ftruncate(lock, 0);
    (void)ignored;
    close(lock);
}

/* The index-th name to try: stem + suffix, stem-2 + suffix, ... */
static enum status candidate(char ret_name[NAME_MAX + 1], char ret_path[PATH_MAX],
                             const char *directory, const char *stem, const char *suffix,
                             uint32_t index, struct problem *problem)
{
    int length = index == 1
                     ? snprintf(ret_name, NAME_MAX + 1, "%s%s", stem, suffix)
                     : snprintf(ret_name, NAME_MAX + 1, "%s-%" PRIu32 "%s", stem, index, suffix);
    assert(length > 0 && length <= NAME_MAX);
    return directory_path(ret_path, directory, ret_name, problem);
}

enum status directory_set_aside(const char *directory, const char *from, const char *stem,
                                const char *suffix, char ret_name[NAME_MAX + 1],
                                struct problem *problem)
{
    char path_from[PATH_MAX];
    enum status status = directory_path(path_from, directory, from, problem);
    for (uint32_t index = 1; status == STATUS_OK && index <= NAMES_TRIED_MAX; index++) {
        char name[NAME_MAX + 1];
        char path[PATH_MAX];
        status = candidate(name, path, directory, stem, suffix, index, problem);
        if (status != STATUS_OK)
            return status;
        if (renameat2(AT_FDCWD, path_from, AT_FDCWD, path, RENAME_NOREPLACE) == 0) {
            memcpy(ret_name, name, sizeof name);
            return directory_sync(directory, problem);
        }
        if (errno != EEXIST)
            return directory_problem(problem, "cannot rename a file to", path, errno);
    }
    if (status != STATUS_OK)
        return status;
    return directory_problem(problem, "cannot find a free name for", stem, EEXIST);
}

/* Makes the first of the candidate directories that is free. */
static enum status make_free(const char *directory, const char *stem, char ret_name[NAME_MAX + 1],
                             char ret_path[PATH_MAX], struct problem *problem)
{
    for (uint32_t index = 1; index <= NAMES_TRIED_MAX; index++) {
        enum status status = candidate(ret_name, ret_path, directory, stem, "", index, problem);
        if (status != STATUS_OK)
            return status;
        if (mkdir(ret_path, 0755) == 0)
            return STATUS_OK;
        if (errno != EEXIST)
            return directory_problem(problem, "cannot make the directory", ret_path, errno);
    }
    return directory_problem(problem, "cannot find a free name for", stem, EEXIST);
}

static enum status link_one(const char *from, const char *to, const char *name,
                            struct problem *problem)
{
    char path_from[PATH_MAX];
    char path_to[PATH_MAX];
    enum status status = directory_path(path_from, from, name, problem);
    if (status == STATUS_OK)
        status = directory_path(path_to, to, name, problem);
    if (status != STATUS_OK)
        return status;
    struct stat known;
    if (stat(path_from, &known) == 0 && !S_ISREG(known.st_mode))
        return STATUS_OK;
    if (link(path_from, path_to) != 0)
        return directory_problem(problem, "cannot make a link", path_to, errno);
    return STATUS_OK;
}

static enum status link_all(const char *from, const char *to, struct problem *problem)
{
    DIR *entries = opendir(from);
    if (entries == NULL)
        return directory_problem(problem, "cannot read", from, errno);
    enum status status = STATUS_OK;
    const struct dirent *entry;
    while (status == STATUS_OK && (entry = readdir(entries)) != NULL)
        status = link_one(from, to, entry->d_name, problem);
    closedir(entries);
    return status;
}

enum status directory_keep_copy(const char *directory, const char *from, const char *stem,
                                char ret_name[NAME_MAX + 1], struct problem *problem)
{
    char path_from[PATH_MAX];
    char path_to[PATH_MAX];
    char name[NAME_MAX + 1];
    enum status status = directory_path(path_from, directory, from, problem);
    if (status == STATUS_OK)
        status = make_free(directory, stem, name, path_to, problem);
    if (status == STATUS_OK)
        status = link_all(path_from, path_to, problem);
    if (status == STATUS_OK)
        status = directory_sync(path_to, problem);
    if (status == STATUS_OK)
        status = directory_sync(directory, problem);
    if (status == STATUS_OK)
        memcpy(ret_name, name, sizeof name);
    return status;
}
