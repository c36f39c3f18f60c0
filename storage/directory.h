/*
 * directory: the data directory as the other files of this folder need it: made, locked, synced,
 * and with a free name for whatever must be set aside.
 *
 * Threads: any; one at a time for one directory.
 */
#ifndef STORAGE_DIRECTORY_H
#define STORAGE_DIRECTORY_H

#include <limits.h>
#include <stdbool.h>

#include "engine/base/status.h"

/* Writes "directory/name". STATUS_TOO_LARGE where it does not fit. */
NODISCARD enum status directory_path(char ret_path[PATH_MAX], const char *directory,
                                     const char *name, struct problem *problem);
/* The status and sentence for an errno: "what path: reason", and what to do. Never STATUS_OK. */
enum status directory_problem(struct problem *problem, const char *what, const char *path,
                              int error);
/* Syncs the directory itself: names made or renamed in it are then durable. */
NODISCARD enum status directory_sync(const char *directory, struct problem *problem);
/* Makes the directory, durably, where there is none. The one above it must exist. */
NODISCARD enum status directory_make(const char *directory, struct problem *problem);

/* Takes DIR/lock for this process and writes its pid into it; the kernel gives it back when the
 * process ends, however it ends. `*ret_lock` is for directory_unlock.
 * STATUS_IN_USE with a sentence that names the holder's pid where known. */
NODISCARD enum status directory_lock(const char *directory, int *ret_lock, struct problem *problem);
void directory_unlock(int lock);

/* Renames DIR/from to DIR/stem + suffix, or stem-2, stem-3, ... + suffix where that is taken; never
 * over a file. Writes the name it got; durable on return. */
NODISCARD enum status directory_set_aside(const char *directory, const char *from, const char *stem,
                                          const char *suffix, char ret_name[NAME_MAX + 1],
                                          struct problem *problem);
/* Makes DIR/stem (or stem-2, ...), a directory with hard links to all files of DIR/from: what
 * happens to DIR/from later, its bytes stay. For files that are never changed in place. */
NODISCARD enum status directory_keep_copy(const char *directory, const char *from, const char *stem,
                                          char ret_name[NAME_MAX + 1], struct problem *problem);

#endif
