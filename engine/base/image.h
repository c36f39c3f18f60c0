/*
 * image: state as bytes in a file, written and read from front to back under one CRC-32C. What
 * checkpoints are made of. Everything in it is plain memory without pointers, in the layout of
 * this build: IMAGE_VERSION and the sizes that each part states guard against another one.
 *
 * Threads: one owner. Memory: IMAGE_BUFFER_BYTES inside the struct; nothing else is taken, so that
 * a forked child may write one.
 * Errors:  sticky: after the first failure the calls do nothing, and image_finish_* says what it
 *          was. What was read must not be used before image_finish_read has said OK.
 */
#ifndef ENGINE_BASE_IMAGE_H
#define ENGINE_BASE_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

#define IMAGE_VERSION      4u
#define IMAGE_BUFFER_BYTES 262144u

struct image {
    int file; /* borrowed */
    enum status status;
    uint32_t crc;
    size_t start; /* reading: first byte not yet given out */
    size_t end;
    uint8_t buffer[IMAGE_BUFFER_BYTES];
};

void image_init(struct image *image, int file);

void image_write(struct image *image, const void *bytes, size_t count);
void image_write_u64(struct image *image, uint64_t value);
/* Writes the CRC and syncs the file. STATUS_NO_SPACE, STATUS_IO. */
NODISCARD enum status image_finish_write(struct image *image);

/* Fills with zeroes after a failure. */
void image_read(struct image *image, void *bytes, size_t count);
uint64_t image_read_u64(struct image *image);
/* A number that must be this one: the size of a struct, a version. STATUS_CORRUPT else. */
void image_expect_u64(struct image *image, uint64_t value);
/* Marks the image as bad: a part did not make sense of what it read. */
void image_refuse(struct image *image);
/* STATUS_CORRUPT where the CRC is wrong, bytes are missing or left over; STATUS_IO. */
NODISCARD enum status image_finish_read(struct image *image);

#endif
