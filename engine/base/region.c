#include "engine/base/region.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* Where STATE lies: nothing that looks like something else may be taken for it. */
#define STATES_MAX 512u
static struct {
    uint64_t start, end;
} states[STATES_MAX];
static uint32_t states_count;
static pthread_mutex_t states_lock = PTHREAD_MUTEX_INITIALIZER;

static void add_state(void *region, uint64_t bytes)
{
    pthread_mutex_lock(&states_lock);
    if (states_count < STATES_MAX) {
        states[states_count].start = (uintptr_t)region;
        states[states_count++].end = (uintptr_t)region + bytes;
    }
    pthread_mutex_unlock(&states_lock);
}

static void remove_state(const void *region)
{
    pthread_mutex_lock(&states_lock);
    for (uint32_t i = 0; i < states_count; i++)
        if (states[i].start == (uintptr_t)region)
            states[i--] = states[--states_count];
    pthread_mutex_unlock(&states_lock);
}

void *region_map(uint64_t bytes, enum region_use use)
{
    void *region = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (region == MAP_FAILED)
        return NULL;
    /* Advice: where it is not taken, a fork takes longer. */
    madvise(region, bytes, use == REGION_STATE ? MADV_HUGEPAGE : MADV_DONTFORK);
    if (use == REGION_STATE)
        add_state(region, bytes);
    return region;
}

void region_unmap(void *region, uint64_t bytes)
{
    if (region == NULL)
        return;
    remove_state(region);
    munmap(region, bytes);
}

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* younger than glibc's header */
#endif

void region_mend(void)
{
    for (uint32_t i = 0; i < STATES_MAX; i++) {
        pthread_mutex_lock(&states_lock);
        bool is_there = i < states_count;
        uint64_t start = states[i].start, bytes = states[i].end - start;
        pthread_mutex_unlock(&states_lock);
        if (!is_there)
            return;
        /* Not under the lock, for which whoever maps or unmaps would wait. If the region goes
         * meanwhile, this finds nothing, or something else to make huge pages of, which is no harm.
         * It passes over what was never touched. */
        madvise((void *)(uintptr_t)start, bytes, MADV_COLLAPSE);
    }
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/* glibc gives every thread but the first heaps of 64 MiB of address space, each at a multiple of
 * that: a part that is in use, and right behind it, up to the 64 MiB, the part without permissions
 * that it will grow into, which is told too. One that is full has been told before. */
#define ARENA_HEAP_BYTES (64ull << 20)

struct mapping {
    uint64_t start, end;
    char permissions[5];
    bool is_anonymous;
};

static bool read_mapping(FILE *maps, struct mapping *ret_mapping)
{
    char line[512];
    int path_at = 0;
    if (fgets(line, sizeof line, maps) == NULL ||
        sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*s %*s 0 %n", &ret_mapping->start,
               &ret_mapping->end, ret_mapping->permissions, &path_at) < 3)
        return false;
    ret_mapping->is_anonymous = path_at > 0 && line[path_at] == '\0';
    return true;
}

static bool is_arena_heap(const struct mapping *used, const struct mapping *tail)
{
    if (strcmp(used->permissions, "rw-p") != 0 || strcmp(tail->permissions, "---p") != 0 ||
        !used->is_anonymous || !tail->is_anonymous || used->start % ARENA_HEAP_BYTES != 0 ||
        tail->start != used->end || tail->end != used->start + ARENA_HEAP_BYTES)
        return false;
    bool is_state = false;
    pthread_mutex_lock(&states_lock);
    /* With more of them than are kept, nothing is sure. */
    for (uint32_t i = 0; i < states_count && !is_state; i++)
        is_state = states[i].start < tail->end && used->start < states[i].end;
    is_state = is_state || states_count == STATES_MAX;
    pthread_mutex_unlock(&states_lock);
    return !is_state;
}

static void advise_arenas(int advice)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    struct mapping before = {0}, mapping = {0};
    while (maps != NULL && read_mapping(maps, &mapping)) {
        if (is_arena_heap(&before, &mapping))
            madvise((void *)(uintptr_t)before.start, ARENA_HEAP_BYTES, advice);
        before = mapping;
    }
    if (maps != NULL)
        fclose(maps);
}

void region_leave_out_of_forks(void)
{
    advise_arenas(MADV_DONTFORK);
}

void region_take_into_forks(void)
{
    advise_arenas(MADV_DOFORK);
}
#else
void region_leave_out_of_forks(void)
{
}

void region_take_into_forks(void)
{
}
#endif
