/*
 * dictionary: what the indexes in notes stand for: plans and error names.
 *
 * Threads: one owner. Memory: inside the struct, about 300 KiB; take it from the heap.
 * Limits:  NOTE_PLANS_MAX plans, NOTE_ERRORS_MAX errors, names of NOTE_NAME_BYTES_MAX.
 */
#ifndef ENGINE_HISTORY_DICTIONARY_H
#define ENGINE_HISTORY_DICTIONARY_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/history/note.h"

#define DICTIONARY_BYTES_MAX ((NOTE_PLANS_MAX + NOTE_ERRORS_MAX) * NOTE_BYTES_MAX)

struct dictionary_entry {
    bool is_known;
    uint16_t name_bytes;
    uint32_t version;                   /* 0 of an error */
    char name[NOTE_NAME_BYTES_MAX + 1]; /* terminated */
};

struct dictionary {
    struct dictionary_entry plans[NOTE_PLANS_MAX];
    struct dictionary_entry errors[NOTE_ERRORS_MAX];
};

/* Keeps a PLAN or an ERROR; the later one of the same index counts. */
void dictionary_take(struct dictionary *dictionary, const struct note *note);
/* All of it as notes, of a coder of its own. `at` has room for DICTIONARY_BYTES_MAX. Returns the
 * first byte after them. */
uint8_t *dictionary_encode(const struct dictionary *dictionary, uint8_t *at,
                           uint32_t *ret_notes_count);
/* Takes what dictionary_encode wrote. False where it makes no sense. */
bool dictionary_decode(struct dictionary *dictionary, const uint8_t *at, const uint8_t *end);

#endif
