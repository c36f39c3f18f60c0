#include "engine/main/bench_directory.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void bench_directory_remove(const char *path)
{
    if (path[0] != '\0')
        nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

enum status bench_directory_make(char ret_path[BENCH_DIRECTORY_BYTES], struct problem *problem)
{
    const char *base = getenv("TMPDIR");
    snprintf(ret_path, BENCH_DIRECTORY_BYTES, "%s/flyover-bench-XXXXXX",
             base == NULL || base[0] == '\0' ? "/var/tmp" : base);
    if (mkdtemp(ret_path) != NULL)
        return STATUS_OK;
    enum status status =
        problem_set(problem, STATUS_NO_PERMISSION,
                    "%s cannot be made: %s. Name a folder with --data", ret_path, strerror(errno));
    ret_path[0] = '\0';
    return status;
}
