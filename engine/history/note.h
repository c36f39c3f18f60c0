/*
 * note: what the index beside the journal is made of: small facts about sagas, which the core says
 * while it applies events, the same ones when it replays them.
 *
 * The notes of one block are one run of bytes, written by one coder from its first note to its
 * last. A note leaves out what the one before it tells: ids, branches and times are differences
 * (zigzag varints, z; plain ones are v).
 *
 *   STARTED  tag | [id z] | branch z | [plan v] | [redrive z] | [name v+bytes]
 *   BRANCH   tag | [id z] | branch z
 *   TOUCHED  tag | [id z]
 *   ENDED    tag | [id z] | [plan v] | [outcome u8] | [error u8] | started_ms z | steps v
 *   PLAN     tag | index v | version v | name v+bytes
 *   ERROR    tag | index v | name v+bytes
 *
 * The low three bits of the tag are the kind, then one bit "the id is the last one and 1"; one bit
 * "the plan is the last one"; the rest by kind. `redrive` is the distance back to the saga that
 * this one does again. A note has one encoding: what could have been left out is refused.
 *
 * Threads: none; pure functions over the caller's bytes. A decoded note borrows from them.
 */
#ifndef ENGINE_HISTORY_NOTE_H
#define ENGINE_HISTORY_NOTE_H

#include <stdint.h>

#include "engine/flyover_service.h"

#define NOTE_PLANS_MAX      1024u
#define NOTE_ERRORS_MAX     128u
#define NOTE_NO_ERROR       255u
#define NOTE_OUTCOMES_MAX   8u
#define NOTE_NAME_BYTES_MAX 256u
/* Room that one note may need. */
#define NOTE_BYTES_MAX 304u

/* How many blocks may hold events of a saga behind a block that is noted for it. */
#define HISTORY_GAP_BLOCKS 64u

#define NOTE_LIST(X)                                                                               \
    X(STARTED, "saga started")                                                                     \
    X(BRANCH, "branch acquired")                                                                   \
    X(TOUCHED, "saga touched")                                                                     \
    X(ENDED, "saga ended")                                                                         \
    X(PLAN, "plan")                                                                                \
    X(ERROR, "error name")

enum note_kind {
#define X(name, text) NOTE_##name,
    NOTE_LIST(X)
#undef X
};

const char *note_kind_text(enum note_kind kind);

struct note {
    enum note_kind kind;
    uint64_t saga_id; /* not of PLAN and ERROR */
    union {
        struct {
            uint32_t branch; /* its root */
            uint16_t plan;
            uint64_t redrive_of; /* 0: of none */
            struct flyover_bytes name;
        } started;
        struct {
            uint32_t branch;
        } branch;
        struct {
            uint16_t plan;
            uint8_t outcome; /* below NOTE_OUTCOMES_MAX; what they mean is the caller's business */
            uint8_t error;   /* NOTE_NO_ERROR: none */
            uint32_t steps_count;
            int64_t started_ms;
        } ended;
        struct {
            uint16_t plan;
            uint32_t version;
            struct flyover_bytes name;
        } plan;
        struct {
            uint8_t error;
            struct flyover_bytes name;
        } error;
    };
};

/* What the last note left behind. */
struct note_coder {
    uint64_t saga_id;
    int64_t started_ms;
    uint32_t branch;
    uint16_t plan;
};

/* Before the first note of a block: both sides give the block's own time. */
static inline void note_coder_init(struct note_coder *coder, int64_t now_ms)
{
    *coder = (struct note_coder){.started_ms = now_ms};
}

/* Writes the note, for which there is room (NOTE_BYTES_MAX); returns the first byte after it.
 * Numbers and names within their limits (asserted). Borrows the note. */
uint8_t *note_encode(struct note_coder *coder, const struct note *note, uint8_t *at);
/* Reads one note; returns the first byte after it, or NULL where it is not one (`*ret_note` and the
 * coder are then of no use). Never reads at or past `end`. */
const uint8_t *note_decode(struct note_coder *coder, const uint8_t *at, const uint8_t *end,
                           struct note *ret_note);

#endif
