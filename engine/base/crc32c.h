/*
 * crc32c: the Castagnoli CRC, polynomial 0x1EDC6F41, as iSCSI and RocksDB use it.
 *
 * Any thread; no state. On x86-64 built with SSE 4.2 (the default of this tree) three streams of
 * the CPU's crc32 instruction run side by side, because one takes three cycles to answer and one
 * can start every cycle; elsewhere eight tables of 256 entries, 8 KiB.
 *
 * Source: RFC 3720 appendix B.4 for the test vectors.
 */
#ifndef ENGINE_BASE_CRC32C_H
#define ENGINE_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The CRC of `count` bytes, going on from `seed`: 0 for the first piece, the CRC so far for the
 * next, so that crc32c(crc32c(0, a), b) is the CRC of a followed by b. */
uint32_t crc32c(uint32_t seed, const void *bytes, size_t count);

/* The same by tables alone: what crc32c is where the CPU cannot help, and what tests hold the
 * hardware against. */
uint32_t crc32c_by_table(uint32_t seed, const void *bytes, size_t count);

#endif
