/*
 * value_text_reader: what the two files that read JSON text share. For value_text only.
 *
 * Threads: none; pure. Memory: the caller's, but for the keys of large objects.
 */
#ifndef ENGINE_SAGA_VALUE_TEXT_READER_H
#define ENGINE_SAGA_VALUE_TEXT_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/flyover_service.h"

struct level {
    size_t head; /* offset of it in the output */
    uint32_t count;
    uint32_t keys_before; /* of the objects around it */
    bool is_map;
};

struct key {
    uint32_t hash;
    uint32_t at; /* offset of its text in the output */
    uint32_t bytes;
};

#define KEYS_USUAL 128

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    uint8_t *out;
    uint8_t *to;
    uint8_t *limit;
    const char *fault;          /* what is wrong at `at` */
    struct flyover_bytes twice; /* a key, in the output */
    uint32_t depth;
    uint32_t keys_count;
    uint32_t keys_capacity;
    struct key *keys; /* usual_keys, or owned */
    struct level levels[FLYOVER_DEPTH_MAX];
    struct key usual_keys[KEYS_USUAL];
};

static inline enum status fail(struct reader *reader, const uint8_t *at, const char *fault)
{
    reader->at = at;
    reader->fault = fault;
    return STATUS_INVALID;
}

static inline bool has_room(const struct reader *reader, size_t bytes)
{
    return (size_t)(reader->limit - reader->to) >= bytes;
}

/* Reads the string whose opening quote reader->at is at; what it holds is lent as it stands in the
 * output. STATUS_INVALID, STATUS_TOO_LARGE. */
enum status reader_read_string(struct reader *reader, struct flyover_bytes *ret_text);

#endif
