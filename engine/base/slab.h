/*
 * slab: memory for many objects of mixed size inside one bounded region, taken at start.
 *
 * The region is cut into pages of 1 MiB; a page holds objects of one size class (a quarter to a
 * half apart), handed out last-freed-first, then never-used, so that a busy engine stays in warm
 * memory. An empty page goes back at once and may serve another class. Objects are known by a
 * 32-bit reference and not by a pointer, so that state which holds them can be compared and moved.
 * They count their holders.
 *
 * Threads: one owner. Readers on other threads may hold a pointer from slab_bytes for as long as
 * the owner keeps the object alive and unchanged.
 * Memory:  address space for bytes_max at open; pages are touched only when used.
 */
#ifndef ENGINE_BASE_SLAB_H
#define ENGINE_BASE_SLAB_H

#include <stdint.h>

#include "engine/base/image.h"
#include "engine/base/status.h"

#define SLAB_PAGE_BYTES       (1u << 20)
#define SLAB_OBJECT_BYTES_MAX 262144u
#define SLAB_REGION_BYTES_MAX (64ull << 30)

/* 0 is no object. Counts 16-byte units from the start of the region. */
typedef struct {
    uint32_t at;
} slab_ref;

static const slab_ref SLAB_NONE = {0};

struct slab;

/* Returns owned. bytes_max is rounded up to a whole page. STATUS_INVALID, STATUS_NO_MEMORY. */
NODISCARD enum status slab_open(uint64_t bytes_max, struct slab **ret_slab);
/* Accepts NULL. */
void slab_close(struct slab *slab);

/* An object of `bytes` (1 to SLAB_OBJECT_BYTES_MAX) with one holder, contents undefined; SLAB_NONE
 * when the region is full. */
slab_ref slab_acquire(struct slab *slab, uint32_t bytes);
/* One more holder. */
void slab_retain(struct slab *slab, slab_ref ref);
/* One holder less; the last one frees the object. SLAB_NONE is accepted. */
void slab_release(struct slab *slab, slab_ref ref);

uint8_t *slab_bytes(const struct slab *slab, slab_ref ref);
/* The same for another thread, that is given `region` once and then refs of objects which stay. */
const uint8_t *slab_region(const struct slab *slab);
const uint8_t *slab_bytes_in(const uint8_t *region, slab_ref ref);
uint32_t slab_bytes_count(const struct slab *slab, slab_ref ref);

/* Whole pages that are in use, and the region, in bytes: what admission looks at. */
uint64_t slab_used_bytes(const struct slab *slab);
uint64_t slab_region_bytes(const struct slab *slab);

/* The whole region as it is, free lists too: read back, every later slab_acquire gives the same. */
void slab_write_image(const struct slab *slab, struct image *image);
/* Returns owned. STATUS_NO_MEMORY; what is wrong with the image stands in the image. */
NODISCARD enum status slab_read_image(struct image *image, struct slab **ret_slab);

#endif
