#include "engine/base/region.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

void *region_map(uint64_t bytes, enum region_use use)
{
    void *region = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (region == MAP_FAILED)
        return NULL;
    /* Advice: where it is not taken, a fork takes longer. */
    madvise(region, bytes, use == REGION_STATE ? MADV_HUGEPAGE : MADV_DONTFORK);
    return region;
}

void region_unmap(void *region, uint64_t bytes)
{
    if (region != NULL)
        munmap(region, bytes);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/* glibc gives every thread but the first heaps of 64 MiB of address space, each at a multiple of
 * that: a part that is in use, and behind it the part that it will grow into, which is told too. */
#define ARENA_HEAP_BYTES (64ull << 20)

static bool is_arena_heap(const char *line, uint64_t *ret_start)
{
    char permissions[5];
    uint64_t end;
    int path_at = 0;
    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*s %*s 0 %n", ret_start, &end, permissions,
               &path_at) < 3 ||
        path_at == 0)
        return false;
    return strcmp(permissions, "rw-p") == 0 && *ret_start % ARENA_HEAP_BYTES == 0 &&
           end - *ret_start <= ARENA_HEAP_BYTES && line[path_at] == '\0';
}

void region_leave_out_of_forks(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        uint64_t start;
        if (is_arena_heap(line, &start))
            madvise((void *)(uintptr_t)start, ARENA_HEAP_BYTES, MADV_DONTFORK);
    }
    if (maps != NULL)
        fclose(maps);
}
#else
void region_leave_out_of_forks(void)
{
}
#endif
