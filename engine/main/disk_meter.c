#include "engine/main/disk_meter.h"

#include <fts.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "engine/base/thread.h"

#define STAT_BLOCK_BYTES 512u /* whatever the file system's own blocks are: stat(2) */

struct disk_meter {
    const char *directory; /* written before the first sem_post, read after it */
    pthread_t thread;
    sem_t asked;
    atomic_bool stopping;
    _Atomic uint64_t bytes;
};

/* Files that go while they are counted are passed over. */
static uint64_t count_bytes(const char *directory)
{
    if (directory == NULL)
        return 0;
    char *const roots[] = {(char *)(uintptr_t)directory, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (walk == NULL)
        return 0;
    uint64_t blocks = 0;
    for (FTSENT *entry = fts_read(walk); entry != NULL; entry = fts_read(walk))
        if (entry->fts_info == FTS_F)
            blocks += (uint64_t)entry->fts_statp->st_blocks;
    fts_close(walk);
    return blocks * STAT_BLOCK_BYTES;
}

static void *meter_main(void *context)
{
    struct disk_meter *meter = context;
    while (true) {
        while (sem_wait(&meter->asked) != 0)
            ; /* a signal */
        if (atomic_load(&meter->stopping))
            return NULL;
        atomic_store(&meter->bytes, count_bytes(meter->directory));
    }
}

enum status disk_meter_open(struct disk_meter **ret_meter, struct problem *problem)
{
    struct disk_meter *meter = calloc(1, sizeof *meter);
    if (meter == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "out of memory");
    sem_init(&meter->asked, 0, 0);
    int error = thread_start(&meter->thread, "fly-disk", NULL, meter_main, meter);
    if (error != 0) {
        sem_destroy(&meter->asked);
        free(meter);
        return problem_set(problem, STATUS_NO_MEMORY, "no thread can be made to watch the disk");
    }
    *ret_meter = meter;
    return STATUS_OK;
}

void disk_meter_close(struct disk_meter *meter)
{
    if (meter == NULL)
        return;
    atomic_store(&meter->stopping, true);
    sem_post(&meter->asked);
    pthread_join(meter->thread, NULL);
    sem_destroy(&meter->asked);
    free(meter);
}

void disk_meter_begin(struct disk_meter *meter, const char *directory)
{
    meter->directory = directory;
    disk_meter_look(meter);
}

void disk_meter_look(struct disk_meter *meter)
{
    atomic_store(&meter->bytes, count_bytes(meter->directory));
}

void disk_meter_ask(struct disk_meter *meter)
{
    sem_post(&meter->asked);
}

uint64_t disk_meter_bytes(const struct disk_meter *meter)
{
    return atomic_load(&meter->bytes);
}
