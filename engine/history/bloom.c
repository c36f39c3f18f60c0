#include "engine/history/bloom.h"

#include <string.h>

#include "engine/base/crc32c.h"
#include "storage/little_endian.h"

#define LINE_BITS  480u /* the rest of the line is its CRC */
#define CRC_AT     60u
#define PROBES     6u
#define FIELD_BITS 10u
#define ALL        ((1u << BLOOM_REGIONS_MAX) - 1)
/* Of 100 bits, so many may be set after folding: 0.35 to the power of PROBES is 1 in 500. */
#define SET_PERCENT_MAX 35u

/* Source: Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014. */
static uint64_t mix(uint64_t bits)
{
    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9u;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebu;
    return bits ^ (bits >> 31);
}

uint64_t bloom_key_of_saga(uint64_t saga_id)
{
    return mix((saga_id >> 6) + 0x9e3779b97f4a7c15u);
}

uint64_t bloom_key_of_name(struct flyover_bytes name)
{
    uint64_t crc = crc32c(0, name.at, name.count);
    return mix((crc << 32 | name.count) ^ 0x6e616d6573u);
}

static uint64_t bits_of(uint64_t key, uint32_t region)
{
    return mix(key + (region + 1) * 0xd1342543de82ef95u);
}

static uint32_t position_of(uint64_t bits, uint32_t probe)
{
    uint32_t field = (uint32_t)(bits >> probe * FIELD_BITS) & ((1u << FIELD_BITS) - 1);
    return field * LINE_BITS >> FIELD_BITS;
}

void bloom_add(uint8_t *lines, uint64_t key, uint32_t region)
{
    uint8_t *line = lines + (size_t)bloom_line_of(key, BLOOM_LINES_MAX) * BLOOM_LINE_BYTES;
    uint64_t bits = bits_of(key, region);
    for (uint32_t probe = 0; probe < PROBES; probe++) {
        uint32_t position = position_of(bits, probe);
        line[position / 8] |= (uint8_t)(1u << position % 8);
    }
}

static uint64_t count_bits(const uint8_t *lines, const uint8_t *others, size_t bytes)
{
    uint64_t count = 0;
    for (size_t at = 0; at < bytes; at += 8) {
        uint64_t word, other;
        memcpy(&word, lines + at, sizeof word);
        memcpy(&other, others + at, sizeof other);
        count += (uint64_t)__builtin_popcountll(word | other);
    }
    return count;
}

uint32_t bloom_seal(uint8_t *lines)
{
    uint32_t lines_count = BLOOM_LINES_MAX;
    while (lines_count > 1) {
        size_t half = (size_t)lines_count / 2 * BLOOM_LINE_BYTES;
        uint64_t set = count_bits(lines, lines + half, half);
        if (set * 100 > (uint64_t)lines_count / 2 * LINE_BITS * SET_PERCENT_MAX)
            break;
        for (size_t at = 0; at < half; at++)
            lines[at] |= lines[half + at];
        lines_count /= 2;
    }
    for (uint32_t i = 0; i < lines_count; i++) {
        uint8_t *line = lines + (size_t)i * BLOOM_LINE_BYTES;
        put_u32(line + CRC_AT, ~crc32c(0, line, CRC_AT));
    }
    return lines_count;
}

bool bloom_line_is_whole(const uint8_t line[BLOOM_LINE_BYTES])
{
    return get_u32(line + CRC_AT) == (uint32_t)~crc32c(0, line, CRC_AT);
}

uint32_t bloom_regions(const uint8_t line[BLOOM_LINE_BYTES], uint64_t key)
{
    if (!bloom_line_is_whole(line))
        return ALL;
    uint32_t regions = 0;
    for (uint32_t region = 0; region < BLOOM_REGIONS_MAX; region++) {
        uint64_t bits = bits_of(key, region);
        uint32_t hits = 0;
        for (uint32_t probe = 0; probe < PROBES; probe++) {
            uint32_t position = position_of(bits, probe);
            hits += line[position / 8] >> position % 8 & 1;
        }
        regions |= (uint32_t)(hits == PROBES) << region;
    }
    return regions;
}
