/*
 * faults_disk: what of a directory a disk would still have if its power went now. The shim
 * (tests/cli/faults.c) tells it every change that a program makes and every sync; at the chosen
 * moment faults_disk_lose_power makes the directory what such a disk could hold.
 *
 * Model. A file's bytes are durable once it was synced, a name once the directory that holds it
 * was: nothing else is, not at close and not with O_DIRECT. Of what is not durable the seed keeps a
 * part:
 *   bytes  in sectors of 512: each has what was written to it up to a moment of its own, so writes
 *          are kept, lost, torn, and kept without those before them; a file may also keep nothing,
 *          all, or all up to a moment with the last write torn.
 *   names  a first part of the changes (made, renamed, removed), in their order, over all
 *          directories: file systems with a journal keep that order, and RocksDB needs it.
 *   sizes  a file reaches as far as the last byte that was kept.
 * What a failed sync was to write is only kept by chance, whatever is synced later: the kernel has
 * let go of it. Renaming a directory, and what is written through FILE or a mapping, is left as it
 * is.
 *
 * Way: each file has a second name in a directory beside, so that none is gone when it is removed,
 * and a log of its changes; from that its bytes are put together anew.
 *
 * Threads: any, and processes forked from this one: the memory is shared, and every function but
 *          start and lock is called with the lock held. A process that ends with the lock in hand
 *          leaves it to the next. Memory: mapped at start, touched as it is used, never given back.
 */
#ifndef TESTS_CLI_FAULTS_DISK_H
#define TESTS_CLI_FAULTS_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FAULTS_NO_FILE (-1)

/* `directory` is the disk; `beside` is made, or emptied, on the same file system. What is there is
 * durable. Ends the program with a sentence where that cannot be. */
void faults_disk_start(const char *directory, const char *beside);

void faults_disk_lock(void);
void faults_disk_unlock(void);

/* The file of that path, which exists; FAULTS_NO_FILE for what is no file. `is_new`: it was made
 * just now. */
int faults_disk_file(const char *path, bool is_new);
void faults_disk_on_write(int file, off_t offset, const void *bytes, size_t count);
void faults_disk_on_resize(int file, off_t size);
void faults_disk_on_sync(int file);
void faults_disk_on_failed_sync(int file);

/* Before the change is made, so that what the names meant is known. */
void faults_disk_know(const char *path);
/* After it. */
void faults_disk_on_rename(const char *from, const char *to);
void faults_disk_on_link(const char *from, const char *to);
void faults_disk_on_remove(const char *path);
void faults_disk_on_make_directory(const char *path);
void faults_disk_on_sync_directory(const char *path);

/* Makes the directory what the disk would hold. Nothing may be changed in it from here on. */
void faults_disk_lose_power(uint64_t seed);

#endif
