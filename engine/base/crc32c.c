#include "engine/base/crc32c.h"

#include <pthread.h>
#include <string.h>
#ifdef __SSE4_2__
#include <nmmintrin.h>
#endif

/* 0x1EDC6F41 with its bits mirrored: the low bit of a byte is the first on the wire. */
#define POLYNOMIAL_MIRRORED 0x82f63b78u
#define LANES_COUNT         3
#define LANE_BYTES          1024u
#define SLICES_COUNT        8

/* slices[k][b] is the CRC of the byte b followed by k zero bytes. */
static uint32_t slices[SLICES_COUNT][256];
/* shifts[k][b]: what the register b << 8k becomes after LANE_BYTES zero bytes. */
static uint32_t shifts[4][256];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static uint32_t after_zero_byte(uint32_t crc)
{
    return slices[0][crc & 0xff] ^ (crc >> 8);
}

static void fill_slices(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? POLYNOMIAL_MIRRORED : 0);
        slices[0][byte] = crc;
    }
    for (int slice = 1; slice < SLICES_COUNT; slice++)
        for (uint32_t byte = 0; byte < 256; byte++)
            slices[slice][byte] = after_zero_byte(slices[slice - 1][byte]);
}

/* A register is the sum of its bits, and so are its successors: shifting the 32 single bits is
 * enough, every other entry is an exclusive-or of those. */
static void fill_shifts(void)
{
    uint32_t shifted_bits[32];
    for (int bit = 0; bit < 32; bit++) {
        uint32_t crc = 1u << bit;
        for (uint32_t byte = 0; byte < LANE_BYTES; byte++)
            crc = after_zero_byte(crc);
        shifted_bits[bit] = crc;
    }
    for (int position = 0; position < 4; position++)
        for (uint32_t byte = 0; byte < 256; byte++)
            for (int bit = 0; bit < 8; bit++)
                if ((byte >> bit & 1) != 0)
                    shifts[position][byte] ^= shifted_bits[8 * position + bit];
}

static void fill_tables(void)
{
    fill_slices();
    fill_shifts();
}

uint32_t crc32c_by_table(uint32_t seed, const void *bytes, size_t count)
{
    pthread_once(&tables_once, fill_tables);
    const uint8_t *next = bytes;
    uint32_t crc = ~seed;
    for (; count >= 8; count -= 8, next += 8) {
        crc ^= (uint32_t)next[0] | (uint32_t)next[1] << 8 | (uint32_t)next[2] << 16 |
               (uint32_t)next[3] << 24;
        crc = slices[7][crc & 0xff] ^ slices[6][crc >> 8 & 0xff] ^ slices[5][crc >> 16 & 0xff] ^
              slices[4][crc >> 24] ^ slices[3][next[4]] ^ slices[2][next[5]] ^ slices[1][next[6]] ^
              slices[0][next[7]];
    }
    for (; count > 0; count--, next++)
        crc = slices[0][(crc ^ *next) & 0xff] ^ (crc >> 8);
    return ~crc;
}

#ifdef __SSE4_2__

static uint64_t load_u64(const uint8_t *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static uint32_t after_lane_of_zeros(uint32_t crc)
{
    return shifts[0][crc & 0xff] ^ shifts[1][crc >> 8 & 0xff] ^ shifts[2][crc >> 16 & 0xff] ^
           shifts[3][crc >> 24];
}

/* Three lanes that follow each other: the second and third start from zero, and what stands before
 * them is shifted over their length at the end. */
static uint32_t lanes_crc(uint32_t crc, const uint8_t *bytes)
{
    uint64_t first = crc;
    uint64_t second = 0;
    uint64_t third = 0;
    for (size_t offset = 0; offset < LANE_BYTES; offset += 8) {
        first = _mm_crc32_u64(first, load_u64(bytes + offset));
        second = _mm_crc32_u64(second, load_u64(bytes + LANE_BYTES + offset));
        third = _mm_crc32_u64(third, load_u64(bytes + 2 * LANE_BYTES + offset));
    }
    uint32_t joined = after_lane_of_zeros((uint32_t)first) ^ (uint32_t)second;
    return after_lane_of_zeros(joined) ^ (uint32_t)third;
}

uint32_t crc32c(uint32_t seed, const void *bytes, size_t count)
{
    const uint8_t *next = bytes;
    uint32_t crc = ~seed;
    if (count >= LANES_COUNT * LANE_BYTES)
        pthread_once(&tables_once, fill_tables);
    for (; count >= LANES_COUNT * LANE_BYTES; count -= LANES_COUNT * LANE_BYTES) {
        crc = lanes_crc(crc, next);
        next += LANES_COUNT * LANE_BYTES;
    }
    uint64_t wide = crc;
    for (; count >= 8; count -= 8, next += 8)
        wide = _mm_crc32_u64(wide, load_u64(next));
    crc = (uint32_t)wide;
    for (; count > 0; count--, next++)
        crc = _mm_crc32_u8(crc, *next);
    return ~crc;
}

#else

uint32_t crc32c(uint32_t seed, const void *bytes, size_t count)
{
    return crc32c_by_table(seed, bytes, count);
}

#endif
