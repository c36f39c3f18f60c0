/*
 * The memory of one life is used for the next: the engine takes and gives back tens of large
 * regions and compiles its definitions at every start, which is rare elsewhere and all the time
 * here. Sanitizers are left to watch over the engine's own ways.
 */
#include "tests/sim/sim_memory.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/base/region.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

void sim_memory_setup(void)
{
}

#else

/* ---- regions ---------------------------------------------------------------------------------
 */

/* In place of engine/base/region.c: all that its header has, so that nothing of that is linked. */

#define REGIONS_MAX    256u

static struct {
    void *at;
    uint64_t bytes;
} unused[REGIONS_MAX];
static uint32_t unused_count;

void *region_map(uint64_t bytes, enum region_use use)
{
    (void)use; /* nothing is forked */
    for (uint32_t i = unused_count; i-- > 0;) {
        if (unused[i].bytes != bytes)
            continue;
        void *region = unused[i].at;
        unused[i] = unused[--unused_count];
        return region;
    }
    void *region = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return region == MAP_FAILED ? NULL : region;
}

/* What one life has touched of the beginning of a region the next one touches too: that is wiped
 * and stays, which takes a fraction of the time of page faults. The rest goes. */
#define PAGE_BYTES     4096u
#define PAGES_KEPT_MAX 64u

static bool make_zeroes(uint8_t *region, uint64_t bytes)
{
    unsigned char there[PAGES_KEPT_MAX];
    uint64_t kept_bytes = (uint64_t)PAGES_KEPT_MAX * PAGE_BYTES;
    if (kept_bytes > bytes)
        kept_bytes = bytes;
    if (mincore(region, kept_bytes, there) != 0)
        return madvise(region, bytes, MADV_DONTNEED) == 0;
    for (uint64_t at = 0; at < kept_bytes; at += PAGE_BYTES)
        if ((there[at / PAGE_BYTES] & 1) != 0)
            memset(region + at, 0, bytes - at < PAGE_BYTES ? bytes - at : PAGE_BYTES);
    return kept_bytes == bytes ||
           madvise(region + kept_bytes, bytes - kept_bytes, MADV_DONTNEED) == 0;
}

/* All zeroes, for whoever gets it next. */
void region_unmap(void *region, uint64_t bytes)
{
    if (region == NULL)
        return;
    if (unused_count == REGIONS_MAX || !make_zeroes(region, bytes)) {
        munmap(region, bytes);
        return;
    }
    unused[unused_count].at = region;
    unused[unused_count++].bytes = bytes;
}

void region_mend(void)
{
}

void region_leave_out_of_forks(void)
{
}

void region_take_into_forks(void)
{
}

/* ---- JSON: of a definition, in many small pieces, all of which are given back soon ------------
 */

#define JSON_BYTES (4u << 20)

static _Alignas(16) char json_memory[JSON_BYTES];
static size_t json_used;
static uint32_t json_live;

static void *json_take(size_t bytes)
{
    bytes = (bytes + 15) & ~(size_t)15;
    if (bytes > JSON_BYTES - json_used)
        return malloc(bytes);
    void *at = json_memory + json_used;
    json_used += bytes;
    json_live++;
    return at;
}

static void json_give_back(void *at)
{
    char *byte = at;
    if (byte < json_memory || byte >= json_memory + JSON_BYTES)
        free(at);
    else if (--json_live == 0)
        json_used = 0;
}

void sim_memory_setup(void)
{
    json_set_alloc_funcs(json_take, json_give_back);
}

#endif
