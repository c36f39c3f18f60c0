#include "engine/main/sync_meter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"

#define WRITE_BYTES 512

static bool sync_once(int file, struct histogram *histogram)
{
    static const char bytes[WRITE_BYTES];
    uint64_t before_ns = clock_now_ns();
    if (write(file, bytes, sizeof bytes) != (ssize_t)sizeof bytes || fdatasync(file) != 0)
        return false;
    histogram_add(histogram, clock_now_ns() - before_ns);
    return true;
}

enum status sync_meter_add(const char *directory, uint32_t count, struct histogram *histogram,
                           struct problem *problem)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/sync-meter.tmp", directory);
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    bool is_done = file >= 0;
    for (uint32_t i = 0; i < count && is_done; i++)
        is_done = sync_once(file, histogram);
    enum status status = STATUS_OK;
    if (!is_done)
        status = problem_set(problem, errno == ENOSPC ? STATUS_NO_SPACE : STATUS_IO,
                             "%s cannot be written: %s", path, strerror(errno));
    if (file >= 0)
        close(file);
    unlink(path);
    return status;
}
