/*
 * bench_directory: a folder for one run, on a disk, removed behind it.
 *
 * Threads: any. Memory: none.
 */
#ifndef ENGINE_MAIN_BENCH_DIRECTORY_H
#define ENGINE_MAIN_BENCH_DIRECTORY_H

#include <stddef.h>

#include "engine/base/status.h"

#define BENCH_DIRECTORY_BYTES 256u

/* Under $TMPDIR, or /var/tmp, which is no file system in memory as /tmp may be.
 * STATUS_NO_PERMISSION; then the path is "". */
NODISCARD enum status bench_directory_make(char ret_path[BENCH_DIRECTORY_BYTES],
                                           struct problem *problem);
/* With all that is in it; nothing is done for "". */
void bench_directory_remove(const char *path);

#endif
