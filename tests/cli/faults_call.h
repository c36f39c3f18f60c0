/*
 * faults_call: system calls made past the functions that the shim stands before. They set errno.
 */
#ifndef TESTS_CLI_FAULTS_CALL_H
#define TESTS_CLI_FAULTS_CALL_H

#include <fcntl.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static inline int faults_call_open(const char *path, int flags, mode_t mode)
{
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static inline int faults_call_close(int file)
{
    return (int)syscall(SYS_close, file);
}

static inline ssize_t faults_call_write(int file, const void *bytes, size_t count)
{
    return syscall(SYS_write, file, bytes, count);
}

static inline int faults_call_link(const char *from, const char *to)
{
    return (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}

static inline int faults_call_unlink(const char *path)
{
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

static inline int faults_call_rmdir(const char *path)
{
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR);
}

static inline int faults_call_mkdir(const char *path, mode_t mode)
{
    return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

#endif
