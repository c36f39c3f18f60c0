/*
 * bloom: which regions of a segment may hold a saga or a name. A Bloom filter in lines of one cache
 * line each: a key picks the line, key and region pick the bits in it, so one read of 64 bytes
 * answers for all regions, and a line that was damaged says so by its own CRC.
 *
 * It is filled at its largest and folded when the segment is sealed: the upper half of the lines
 * is put over the lower one as long as it stays sparse, so that its size fits what is in it.
 *
 * Threads: none; pure functions over the caller's lines.
 * Limits:  BLOOM_LINES_MAX. With more in it than that is good for, it says "may be" too often,
 *          which costs time and nothing else.
 * Source:  Putze, Sanders, Singler: Cache-, hash- and space-efficient Bloom filters, 2007.
 */
#ifndef ENGINE_HISTORY_BLOOM_H
#define ENGINE_HISTORY_BLOOM_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/flyover_service.h"

#define BLOOM_LINE_BYTES  64u
#define BLOOM_LINES_MAX   16384u /* 1 MiB */
#define BLOOM_REGIONS_MAX 16u

/* Sagas go into the filter by 64: ids that follow each other cost one key. */
uint64_t bloom_key_of_saga(uint64_t saga_id);
uint64_t bloom_key_of_name(struct flyover_bytes name);

/* The line of the key among `lines_count`, a power of two. */
static inline uint32_t bloom_line_of(uint64_t key, uint32_t lines_count)
{
    return (uint32_t)(key >> 32) & (lines_count - 1);
}

/* `lines`: BLOOM_LINES_MAX of them. */
void bloom_add(uint8_t *lines, uint64_t key, uint32_t region);
/* Folds BLOOM_LINES_MAX lines in place and puts the CRC into each that is left; returns how many.
 */
uint32_t bloom_seal(uint8_t *lines);
/* Bit by bit the regions that may hold the key; all where the line is damaged. */
uint32_t bloom_regions(const uint8_t line[BLOOM_LINE_BYTES], uint64_t key);
/* Whether the line is what bloom_seal left. */
bool bloom_line_is_whole(const uint8_t line[BLOOM_LINE_BYTES]);

#endif
