/*
 * faults: stands between a program and one directory, and does to it what machines do: the power
 * goes, the process dies, a write or sync fails, the disk is full. Loaded with LD_PRELOAD; told
 * what to do by the environment:
 *
 *   FAULTS_DIRECTORY  the disk, an absolute path. All that is elsewhere passes through. What may
 *                     still have to come back is kept in FAULTS_DIRECTORY.beside.
 *   FAULTS_EXCEPT     what has this in its path passes through as well
 *   FAULTS_DO         none     nothing (default), but count
 *                     lose     the power goes: faults_disk.h says what is left; then the process
 *                              ends with _exit(137), forked ones too
 *                     die      the same, and all that was written stays
 *                     eio, enospc   the call is not made and fails so
 *   FAULTS_CALLS      which calls: any of open write resize sync syncdir rename remove mkdir, with
 *                     commas (default: all). open: that for writing.
 *   FAULTS_NAME       only those whose path has this in it (default: all). The sync of a directory
 *                     has the names in it that were changed since its last sync, too.
 *   FAULTS_AT         the how many-th of them, from 1
 *   FAULTS_AFTER      1: when the call has been made; else before it
 *   FAULTS_REPEAT     1: that one and all after it fail
 *   FAULTS_AT_EXIT    1: the power goes when the program has ended, if it was not gone before
 *   FAULTS_LIE        1: no sync makes anything durable, and none says so
 *   FAULTS_SLOW       NAME:MS  the sync of a file with NAME in its path takes MS milliseconds
 *   FAULTS_HOLD       1: once the program has forked, such a sync ends no sooner than the program,
 *                     or after HOLD_MS_MAX
 *   FAULTS_SEED       of what is kept of what was not durable
 *   FAULTS_COUNT      a file outside: gets the number of matching calls when the program ends
 *   FAULTS_MIRROR     NAME:FILE  what is written to DIRECTORY/NAME is appended to FILE as well,
 * when it has been written: a witness that no fault touches
 *
 * Syncs inside the directory are not passed on: what is durable is up to the model. Calls are made
 * one after the other, under one lock that forked processes share. Not seen: what goes through FILE
 * (libc's own calls), mappings and io_uring; the program writes nothing that way that it needs.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

#include "tests/cli/faults_call.h"
#include "tests/cli/faults_disk.h"
#include "tests/cli/faults_plan.h"

#define FILES_MAX    4096
#define EXIT_POWERED 137
#define HOLD_MS_MAX  30000

static struct faults_plan plan;
static bool is_on;

/* Of all processes. */
static struct shared {
    uint64_t count;
    bool gone;  /* the power, or the process: nothing is done from here on */
    bool dirty; /* a name that the plan is for was changed, and no directory synced since */
    _Atomic bool forked;
    pid_t main;
} * shared;

/* What an open file is, by its number. A forked process has its own. */
static struct opened {
    bool is_ours;
    bool is_directory;
    int file; /* of faults_disk */
    char path[256];
} files[FILES_MAX];

/* ---- begin and end ----------------------------------------------------------------------------
 */

static void before_fork(void)
{
    shared->forked = true;
    faults_disk_lock();
}

/* A forked process must find the lock free, and end with the program. */
static void in_child(void)
{
    faults_disk_unlock();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

__attribute__((constructor)) static void start(void)
{
    char beside[PATH_MAX + 8];
    if (!faults_plan_read(&plan))
        return;
    snprintf(beside, sizeof beside, "%s.beside", plan.directory);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert(shared != MAP_FAILED);
    shared->main = getpid();
    faults_disk_start(plan.directory, beside);
    pthread_atfork(before_fork, faults_disk_unlock, in_child);
    is_on = true;
}

__attribute__((destructor)) static void end(void)
{
    if (!is_on || getpid() != shared->main)
        return;
    faults_disk_lock();
    if (plan.count_path != NULL) {
        char text[32];
        int bytes = snprintf(text, sizeof text, "%llu\n", (unsigned long long)shared->count);
        int file =
            faults_call_open(plan.count_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        faults_call_write(file, text, (size_t)bytes);
        faults_call_close(file);
    }
    if (plan.at_exit)
        faults_disk_lose_power(plan.seed);
    shared->gone = true;
    faults_disk_unlock();
}

/* ---- one call ---------------------------------------------------------------------------------
 */

/* The lock stays in hand: who waits for it takes it over from a process that has ended, and finds
 * that all is gone. */
static _Noreturn void go(void)
{
    if (plan.act == ACT_LOSE)
        faults_disk_lose_power(plan.seed);
    shared->gone = true;
    if (getpid() != shared->main && getppid() == shared->main)
        kill(shared->main, SIGKILL);
    _exit(EXIT_POWERED);
}

static bool matches(enum call call, const char *path)
{
    if (!plan.calls[call])
        return false;
    if (plan.name == NULL || strstr(path, plan.name) != NULL)
        return true;
    return call == CALL_SYNCDIR && shared->dirty;
}

static bool is_failure(void)
{
    return plan.act == ACT_EIO || plan.act == ACT_ENOSPC;
}

/* Before a call, takes the lock. Returns true if it is to be made; else errno is set, and the lock
 * given back. *ret_goes: the end comes with it, after it. */
static bool begin(enum call call, const char *path, bool *ret_goes)
{
    faults_disk_lock();
    if (shared->gone)
        _exit(EXIT_POWERED);
    *ret_goes = false;
    if (!matches(call, path))
        return true;
    shared->count++;
    bool now = shared->count == plan.at || (plan.repeat && shared->count > plan.at);
    if (!now || plan.at == 0 || plan.act == ACT_NONE)
        return true;
    if (is_failure()) {
        faults_disk_unlock();
        errno = plan.act == ACT_EIO ? EIO : ENOSPC;
        return false;
    }
    if (!plan.after)
        go();
    *ret_goes = true;
    return true;
}

static void finish(bool goes)
{
    int error = errno;
    if (goes)
        go();
    faults_disk_unlock();
    errno = error;
}

static void note_name(const char *path)
{
    if (plan.name != NULL && strstr(path, plan.name) != NULL)
        shared->dirty = true;
}

/* Only absolute paths are seen: the tests name their directories so. */
static bool is_ours(const char *path)
{
    size_t bytes = strlen(plan.directory);
    return is_on && strncmp(path, plan.directory, bytes) == 0 &&
           (path[bytes] == '/' || path[bytes] == '\0') &&
           (plan.except == NULL || strstr(path + bytes, plan.except) == NULL);
}

static struct opened *opened_of(int file)
{
    return is_on && file >= 0 && file < FILES_MAX && files[file].is_ours ? &files[file] : NULL;
}

/* ---- open and close ---------------------------------------------------------------------------
 */

static void note_open(int file, const char *path, bool is_new)
{
    struct stat known;
    assert(file < FILES_MAX && strlen(path) < sizeof files[file].path);
    struct opened *opened = &files[file];
    *opened = (struct opened){.is_ours = true, .file = FAULTS_NO_FILE};
    strcpy(opened->path, path);
    opened->is_directory = fstat(file, &known) == 0 && S_ISDIR(known.st_mode);
    if (opened->is_directory)
        return;
    opened->file = faults_disk_file(path, is_new);
    if (is_new)
        note_name(path);
}

static int open_ours(const char *path, int flags, mode_t mode)
{
    bool goes;
    struct stat known;
    bool writes = (flags & O_ACCMODE) != O_RDONLY;
    if (!writes) {
        faults_disk_lock();
        goes = false;
        if (shared->gone)
            _exit(EXIT_POWERED);
    } else if (!begin(CALL_OPEN, path, &goes)) {
        return -1;
    }
    bool is_new = (flags & O_CREAT) != 0 && stat(path, &known) != 0;
    int old = FAULTS_NO_FILE;
    if (!is_new && (flags & O_TRUNC) != 0)
        old = faults_disk_file(path, false);
    /* What it held has to be read before it is cut. */
    if (old != FAULTS_NO_FILE)
        faults_disk_on_resize(old, 0);
    int file = faults_call_open(path, flags, mode);
    if (file >= 0)
        note_open(file, path, is_new);
    finish(goes);
    return file;
}

int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if ((flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE) {
        va_list more;
        va_start(more, flags);
        mode = va_arg(more, mode_t);
        va_end(more);
    }
    /* A file without a name is lost in any case. */
    if (!is_ours(path) || (flags & O_TMPFILE) == O_TMPFILE)
        return faults_call_open(path, flags, mode);
    return open_ours(path, flags, mode);
}

int close(int file)
{
    struct opened *opened = opened_of(file);
    if (opened != NULL)
        opened->is_ours = false;
    return faults_call_close(file);
}

int close_range(unsigned int first, unsigned int last, int flags)
{
    for (unsigned int file = first; file <= last && file < FILES_MAX; file++)
        files[file].is_ours = false;
    return (int)syscall(SYS_close_range, first, last, flags);
}

/* ---- bytes ------------------------------------------------------------------------------------
 */

/* A plain write after all that is in the file, or where the file stands. */
static off_t place_of(int file)
{
    struct stat known;
    if ((fcntl(file, F_GETFL) & O_APPEND) != 0)
        return fstat(file, &known) == 0 ? known.st_size : 0;
    return lseek(file, 0, SEEK_CUR);
}

static void mirror(const char *path, const void *bytes, size_t count)
{
    if (plan.mirror_path == NULL || strcmp(path, plan.mirror_name) != 0)
        return;
    int file = faults_call_open(plan.mirror_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    faults_call_write(file, bytes, count);
    faults_call_close(file);
}

/* `offset` is -1 for a write where the file stands. */
static ssize_t write_ours(struct opened *opened, int file, const void *bytes, size_t count,
                          off_t offset)
{
    bool goes;
    if (!begin(CALL_WRITE, opened->path, &goes))
        return -1;
    off_t at = offset >= 0 ? offset : place_of(file);
    ssize_t written = offset >= 0 ? syscall(SYS_pwrite64, file, bytes, count, offset)
                                  : faults_call_write(file, bytes, count);
    if (written > 0 && opened->file != FAULTS_NO_FILE)
        faults_disk_on_write(opened->file, at, bytes, (size_t)written);
    if (written > 0)
        mirror(opened->path, bytes, (size_t)written);
    finish(goes);
    return written;
}

ssize_t write(int file, const void *bytes, size_t count)
{
    struct opened *opened = opened_of(file);
    return opened == NULL ? faults_call_write(file, bytes, count)
                          : write_ours(opened, file, bytes, count, -1);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset)
{
    struct opened *opened = opened_of(file);
    return opened == NULL ? syscall(SYS_pwrite64, file, bytes, count, offset)
                          : write_ours(opened, file, bytes, count, offset);
}

/* Part by part, which no reader can tell from one call. */
static ssize_t write_parts(int file, const struct iovec *parts, int count, off_t offset)
{
    ssize_t total = 0;
    for (int i = 0; i < count; i++) {
        ssize_t written = offset >= 0
                              ? pwrite(file, parts[i].iov_base, parts[i].iov_len, offset + total)
                              : write(file, parts[i].iov_base, parts[i].iov_len);
        if (written < 0)
            return total > 0 ? total : -1;
        total += written;
        if ((size_t)written < parts[i].iov_len)
            break;
    }
    return total;
}

ssize_t writev(int file, const struct iovec *parts, int count)
{
    return opened_of(file) == NULL ? syscall(SYS_writev, file, parts, count)
                                   : write_parts(file, parts, count, -1);
}

ssize_t pwritev(int file, const struct iovec *parts, int count, off_t offset)
{
    return opened_of(file) == NULL ? syscall(SYS_pwritev, file, parts, count, offset, 0)
                                   : write_parts(file, parts, count, offset);
}

static int resize_ours(struct opened *opened, int file, off_t size)
{
    bool goes;
    struct stat known;
    if (!begin(CALL_RESIZE, opened->path, &goes))
        return -1;
    bool differs = fstat(file, &known) == 0 && known.st_size != size;
    if (differs && opened->file != FAULTS_NO_FILE)
        faults_disk_on_resize(opened->file, size);
    int result = (int)syscall(SYS_ftruncate, file, size);
    finish(goes);
    return result;
}

int ftruncate(int file, off_t size)
{
    struct opened *opened = opened_of(file);
    return opened == NULL ? (int)syscall(SYS_ftruncate, file, size)
                          : resize_ours(opened, file, size);
}

/* Room alone changes nothing that can be read; with it a file may grow. */
int fallocate(int file, int mode, off_t offset, off_t bytes)
{
    struct opened *opened = opened_of(file);
    bool goes;
    struct stat known;
    if (opened == NULL)
        return (int)syscall(SYS_fallocate, file, mode, offset, bytes);
    if (!begin(CALL_RESIZE, opened->path, &goes))
        return -1;
    int result = (int)syscall(SYS_fallocate, file, mode, offset, bytes);
    bool grew = result == 0 && mode == 0 && fstat(file, &known) == 0;
    if (grew && opened->file != FAULTS_NO_FILE)
        faults_disk_on_resize(opened->file, known.st_size);
    finish(goes);
    return result;
}

/* ---- syncs ------------------------------------------------------------------------------------
 */

static void sleep_ms(uint64_t ms)
{
    nanosleep(
        &(struct timespec){.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000},
        NULL);
}

static void be_slow(const struct opened *opened)
{
    if (plan.slow_ms == 0 || strstr(opened->path, plan.slow_name) == NULL)
        return;
    sleep_ms(plan.slow_ms);
    for (uint32_t ms = 0; plan.hold && shared->forked && !shared->gone && ms < HOLD_MS_MAX; ms++)
        sleep_ms(1);
}

static int sync_ours(struct opened *opened)
{
    bool goes;
    be_slow(opened);
    if (!begin(opened->is_directory ? CALL_SYNCDIR : CALL_SYNC, opened->path, &goes)) {
        int error = errno;
        faults_disk_lock();
        if (opened->file != FAULTS_NO_FILE)
            faults_disk_on_failed_sync(opened->file);
        faults_disk_unlock();
        errno = error;
        return -1;
    }
    if (opened->is_directory && !plan.lie)
        faults_disk_on_sync_directory(opened->path);
    else if (!plan.lie && opened->file != FAULTS_NO_FILE)
        faults_disk_on_sync(opened->file);
    if (opened->is_directory)
        shared->dirty = false;
    finish(goes);
    return 0;
}

int fsync(int file)
{
    struct opened *opened = opened_of(file);
    return opened == NULL ? (int)syscall(SYS_fsync, file) : sync_ours(opened);
}

int fdatasync(int file)
{
    struct opened *opened = opened_of(file);
    return opened == NULL ? (int)syscall(SYS_fdatasync, file) : sync_ours(opened);
}

/* ---- names ------------------------------------------------------------------------------------
 */

static int rename_ours(const char *from, const char *to, unsigned int flags)
{
    bool goes;
    if (!begin(CALL_RENAME, from, &goes))
        return -1;
    faults_disk_know(from);
    faults_disk_know(to);
    int result = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
    if (result == 0) {
        faults_disk_on_rename(from, to);
        note_name(to);
    }
    finish(goes);
    return result;
}

int rename(const char *from, const char *to)
{
    return is_ours(from) ? rename_ours(from, to, 0)
                         : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat2(int from_directory, const char *from, int to_directory, const char *to,
              unsigned int flags)
{
    return is_ours(from)
               ? rename_ours(from, to, flags)
               : (int)syscall(SYS_renameat2, from_directory, from, to_directory, to, flags);
}

int link(const char *from, const char *to)
{
    bool goes;
    if (!is_ours(to))
        return faults_call_link(from, to);
    if (!begin(CALL_RENAME, to, &goes))
        return -1;
    faults_disk_know(to);
    int result = faults_call_link(from, to);
    if (result == 0)
        faults_disk_on_link(from, to);
    finish(goes);
    return result;
}

static int remove_ours(const char *path, int flags)
{
    bool goes;
    if (!begin(CALL_REMOVE, path, &goes))
        return -1;
    faults_disk_know(path);
    int result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, flags);
    if (result == 0) {
        faults_disk_on_remove(path);
        note_name(path);
    }
    finish(goes);
    return result;
}

int unlink(const char *path)
{
    return is_ours(path) ? remove_ours(path, 0) : faults_call_unlink(path);
}

int rmdir(const char *path)
{
    return is_ours(path) ? remove_ours(path, AT_REMOVEDIR) : faults_call_rmdir(path);
}

int mkdir(const char *path, mode_t mode)
{
    bool goes;
    if (!is_ours(path))
        return faults_call_mkdir(path, mode);
    if (!begin(CALL_MKDIR, path, &goes))
        return -1;
    faults_disk_know(path);
    int result = faults_call_mkdir(path, mode);
    if (result == 0)
        faults_disk_on_make_directory(path);
    finish(goes);
    return result;
}
