/*
 * damage: data directories that are copied and damaged by hand, for the tests of storage and of the
 * command line. What fails here fails the test.
 */
#ifndef TESTS_DAMAGE_H
#define TESTS_DAMAGE_H

#include <stddef.h>
#include <stdint.h>

/* Into one that is made where there is none; no file of it may be there. */
void damage_copy_directory(const char *from, const char *to);
size_t damage_file_bytes(const char *path);
/* Flips the bits of `mask` in the byte at `offset`. */
void damage_flip(const char *path, size_t offset, uint8_t mask);

/* Places all over a file. The last `tail_count` of them are the last byte and those that stand
 * `tail_step_bytes` before one another: footers and tails have a way of their own. */
struct damage_places {
    uint32_t count, tail_count;
    size_t tail_step_bytes;
};

/* Flips a bit at that place, from 0 to count - 1. */
void damage_flip_at(const char *path, const struct damage_places *places, uint32_t place);

#endif
