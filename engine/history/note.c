#include "engine/history/note.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "engine/base/varint.h"
#include "storage/little_endian.h"

#define KIND_MASK 0x07u
#define NEXT_ID   0x08u
#define SAME_PLAN 0x10u /* STARTED, ENDED */
#define HAS_NAME  0x20u /* STARTED */
#define REDRIVE   0x40u /* STARTED */
#define HAS_ERROR 0x20u /* ENDED */
/* ENDED: the upper two bits are the outcome, or say that it follows. */
#define OUTCOME_SHIFT   6
#define OUTCOME_FOLLOWS 3u

const char *note_kind_text(enum note_kind kind)
{
    static const char *const texts[] = {
#define X(name, text) text,
        NOTE_LIST(X)
#undef X
    };
    assert(kind < sizeof texts / sizeof texts[0]);
    return texts[kind];
}

/* ---- writing -------------------------------------------------------------------------------- */

/* A varint without a branch on its length, which no predictor foresees: differences have one to
 * three bytes. Writes four bytes in any case, so a note needs less than NOTE_BYTES_MAX by far. */
static inline uint8_t *put_number(uint8_t *at, uint64_t value)
{
    if (__builtin_expect(value >= 1u << 28, false))
        return varint_encode(at, value);
    uint32_t v = (uint32_t)value;
    uint32_t more = (uint32_t)(v >= 1u << 7) + (v >= 1u << 14) + (v >= 1u << 21);
    uint32_t spread = (v & 0x7f) | (v & 0x3f80) << 1 | (v & 0x1fc000) << 2 | (v & 0xfe00000) << 3;
    spread |= 0x80808080u & ((1u << 8 * more) - 1);
    put_u32(at, spread);
    return at + 1 + more;
}

static inline uint8_t *put_id(struct note_coder *coder, uint64_t id, uint8_t *tag, uint8_t *at)
{
    uint64_t step = id - coder->saga_id;
    coder->saga_id = id;
    if (step == 1) {
        *tag |= NEXT_ID;
        return at;
    }
    return put_number(at, varint_zigzag((int64_t)step));
}

static inline uint8_t *put_branch(struct note_coder *coder, uint32_t branch, uint8_t *at)
{
    int64_t step = (int64_t)branch - coder->branch;
    coder->branch = branch;
    return put_number(at, varint_zigzag(step));
}

static inline uint8_t *put_plan(struct note_coder *coder, uint16_t plan, uint8_t *tag, uint8_t *at)
{
    assert(plan < NOTE_PLANS_MAX);
    if (plan == coder->plan) {
        *tag |= SAME_PLAN;
        return at;
    }
    coder->plan = plan;
    return put_number(at, plan);
}

static uint8_t *put_name(struct flyover_bytes name, uint8_t *at)
{
    assert(name.count <= NOTE_NAME_BYTES_MAX);
    at = put_number(at, name.count);
    if (name.count > 0)
        memcpy(at, name.at, name.count);
    return at + name.count;
}

static inline uint8_t *put_started(struct note_coder *coder, const struct note *note, uint8_t *tag,
                                   uint8_t *at)
{
    at = put_id(coder, note->saga_id, tag, at);
    at = put_branch(coder, note->started.branch, at);
    at = put_plan(coder, note->started.plan, tag, at);
    if (note->started.redrive_of != 0) {
        *tag |= REDRIVE;
        at = put_number(at, varint_zigzag((int64_t)(note->saga_id - note->started.redrive_of)));
    }
    if (note->started.name.count > 0) {
        *tag |= HAS_NAME;
        at = put_name(note->started.name, at);
    }
    return at;
}

static inline uint8_t *put_ended(struct note_coder *coder, const struct note *note, uint8_t *tag,
                                 uint8_t *at)
{
    assert(note->ended.outcome < NOTE_OUTCOMES_MAX);
    assert(note->ended.error < NOTE_ERRORS_MAX || note->ended.error == NOTE_NO_ERROR);
    at = put_id(coder, note->saga_id, tag, at);
    at = put_plan(coder, note->ended.plan, tag, at);
    if (note->ended.outcome < OUTCOME_FOLLOWS) {
        *tag |= (uint8_t)(note->ended.outcome << OUTCOME_SHIFT);
    } else {
        *tag |= (uint8_t)(OUTCOME_FOLLOWS << OUTCOME_SHIFT);
        *at++ = note->ended.outcome;
    }
    if (note->ended.error != NOTE_NO_ERROR) {
        *tag |= HAS_ERROR;
        *at++ = note->ended.error;
    }
    uint64_t step_ms = (uint64_t)note->ended.started_ms - (uint64_t)coder->started_ms;
    coder->started_ms = note->ended.started_ms;
    at = put_number(at, varint_zigzag((int64_t)step_ms));
    return put_number(at, note->ended.steps_count);
}

uint8_t *note_encode(struct note_coder *coder, const struct note *note, uint8_t *at)
{
    uint8_t *first = at++;
    uint8_t tag = (uint8_t)note->kind;
    switch (note->kind) {
    case NOTE_STARTED: at = put_started(coder, note, &tag, at); break;
    case NOTE_BRANCH:
        at = put_id(coder, note->saga_id, &tag, at);
        at = put_branch(coder, note->branch.branch, at);
        break;
    case NOTE_TOUCHED: at = put_id(coder, note->saga_id, &tag, at); break;
    case NOTE_ENDED: at = put_ended(coder, note, &tag, at); break;
    case NOTE_PLAN:
        assert(note->plan.plan < NOTE_PLANS_MAX);
        at = put_number(at, note->plan.plan);
        at = put_number(at, note->plan.version);
        at = put_name(note->plan.name, at);
        break;
    case NOTE_ERROR:
        assert(note->error.error < NOTE_ERRORS_MAX);
        at = put_number(at, note->error.error);
        at = put_name(note->error.name, at);
        break;
    }
    *first = tag;
    return at;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* Every get_* gives NULL where the bytes make no sense, and takes NULL for "already so". */
static inline __attribute__((always_inline)) const uint8_t *
get_number(const uint8_t *at, const uint8_t *end, uint64_t *ret_value)
{
    if (__builtin_expect(at == NULL || at == end, false))
        return NULL;
    /* Where most have one byte, a branch that is foreseen is quicker than what waits for it. */
    if (*at < 0x80) {
        *ret_value = *at;
        return at + 1;
    }
    if (__builtin_expect(end - at < 8, false))
        return varint_decode(at, end, ret_value);
    /* Without a branch on the length, as it was written. */
    uint64_t word = get_u64(at);
    uint64_t stops = ~word & 0x8080808080808080u;
    if (__builtin_expect(stops == 0, false))
        return varint_decode(at, end, ret_value);
    uint32_t bits = (uint32_t)__builtin_ctzll(stops) + 1;
    word = (word << (64 - bits) >> (64 - bits)) & 0x7f7f7f7f7f7f7f7fu;
    word = (word & 0x007f007f007f007fu) | (word & 0x7f007f007f007f00u) >> 1;
    word = (word & 0x00003fff00003fffu) | (word & 0x3fff00003fff0000u) >> 2;
    word = (word & 0x0fffffffu) | (word & 0x0fffffff00000000u) >> 4;
    /* Longer than it need be. */
    if (__builtin_expect(word >> (bits / 8 - 1) * 7 == 0, false))
        return NULL;
    *ret_value = word;
    return at + bits / 8;
}

/* At most `max`. */
static inline __attribute__((always_inline)) const uint8_t *
get_small(const uint8_t *at, const uint8_t *end, uint64_t max, uint64_t *ret_value)
{
    uint64_t value = 0;
    at = get_number(at, end, &value);
    if (at == NULL || value > max)
        return NULL;
    *ret_value = value;
    return at;
}

static inline const uint8_t *get_id(struct note_coder *coder, uint8_t tag, const uint8_t *at,
                                    const uint8_t *end)
{
    if ((tag & NEXT_ID) != 0) {
        coder->saga_id++;
        return at;
    }
    uint64_t step = 0;
    at = get_number(at, end, &step);
    step = (uint64_t)varint_unzigzag(step);
    coder->saga_id += step;
    return step == 1 ? NULL : at;
}

static inline const uint8_t *get_branch(struct note_coder *coder, const uint8_t *at,
                                        const uint8_t *end)
{
    uint64_t step = 0;
    at = get_small(at, end, 2ull * UINT32_MAX, &step);
    int64_t branch = (int64_t)coder->branch + varint_unzigzag(step);
    if (branch < 0 || branch > UINT32_MAX)
        return NULL;
    coder->branch = (uint32_t)branch;
    return at;
}

static inline const uint8_t *get_plan(struct note_coder *coder, uint8_t tag, const uint8_t *at,
                                      const uint8_t *end)
{
    if ((tag & SAME_PLAN) != 0)
        return at;
    uint64_t plan = 0;
    at = get_small(at, end, NOTE_PLANS_MAX - 1, &plan);
    if (plan == coder->plan)
        return NULL;
    coder->plan = (uint16_t)plan;
    return at;
}

static const uint8_t *get_name(const uint8_t *at, const uint8_t *end,
                               struct flyover_bytes *ret_name)
{
    uint64_t count = 0;
    at = get_small(at, end, NOTE_NAME_BYTES_MAX, &count);
    if (at == NULL || count > (size_t)(end - at))
        return NULL;
    *ret_name = (struct flyover_bytes){at, (uint32_t)count};
    return at + count;
}

static const uint8_t *get_started(struct note_coder *coder, uint8_t tag, const uint8_t *at,
                                  const uint8_t *end, struct note *note)
{
    at = get_id(coder, tag, at, end);
    at = get_branch(coder, at, end);
    at = get_plan(coder, tag, at, end);
    note->started.branch = coder->branch;
    note->started.plan = coder->plan;
    note->started.redrive_of = 0;
    note->started.name = (struct flyover_bytes){NULL, 0};
    if ((tag & REDRIVE) != 0) {
        uint64_t back = 0;
        at = get_number(at, end, &back);
        note->started.redrive_of = coder->saga_id - (uint64_t)varint_unzigzag(back);
        if (note->started.redrive_of == 0)
            return NULL;
    }
    if ((tag & HAS_NAME) != 0) {
        at = get_name(at, end, &note->started.name);
        if (note->started.name.count == 0)
            return NULL;
    }
    return (tag & 0x80) != 0 ? NULL : at;
}

static const uint8_t *get_ended(struct note_coder *coder, uint8_t tag, const uint8_t *at,
                                const uint8_t *end, struct note *note)
{
    at = get_id(coder, tag, at, end);
    at = get_plan(coder, tag, at, end);
    uint64_t outcome = tag >> OUTCOME_SHIFT, error = NOTE_NO_ERROR, step_ms = 0, steps_count = 0;
    if (outcome == OUTCOME_FOLLOWS) {
        at = get_small(at, end, NOTE_OUTCOMES_MAX - 1, &outcome);
        if (outcome < OUTCOME_FOLLOWS)
            return NULL;
    }
    if ((tag & HAS_ERROR) != 0) {
        at = get_small(at, end, NOTE_ERRORS_MAX - 1, &error);
        if (error == NOTE_NO_ERROR)
            return NULL;
    }
    at = get_number(at, end, &step_ms);
    at = get_small(at, end, UINT32_MAX, &steps_count);
    coder->started_ms = (int64_t)((uint64_t)coder->started_ms + (uint64_t)varint_unzigzag(step_ms));
    note->ended.plan = coder->plan;
    note->ended.outcome = (uint8_t)outcome;
    note->ended.error = (uint8_t)error;
    note->ended.steps_count = (uint32_t)steps_count;
    note->ended.started_ms = coder->started_ms;
    return at;
}

static const uint8_t *get_plan_note(const uint8_t *at, const uint8_t *end, struct note *note)
{
    uint64_t plan = 0, version = 0;
    at = get_small(at, end, NOTE_PLANS_MAX - 1, &plan);
    at = get_small(at, end, UINT32_MAX, &version);
    note->plan.plan = (uint16_t)plan;
    note->plan.version = (uint32_t)version;
    return get_name(at, end, &note->plan.name);
}

static const uint8_t *get_error_note(const uint8_t *at, const uint8_t *end, struct note *note)
{
    uint64_t error = 0;
    at = get_small(at, end, NOTE_ERRORS_MAX - 1, &error);
    note->error.error = (uint8_t)error;
    return get_name(at, end, &note->error.name);
}

const uint8_t *note_decode(struct note_coder *coder, const uint8_t *at, const uint8_t *end,
                           struct note *ret_note)
{
    if (at >= end)
        return NULL;
    uint8_t tag = *at++;
    uint8_t flags = tag & (uint8_t)~KIND_MASK;
    ret_note->kind = (enum note_kind)(tag & KIND_MASK);
    switch (ret_note->kind) {
    case NOTE_STARTED: at = get_started(coder, tag, at, end, ret_note); break;
    case NOTE_BRANCH:
        at = get_id(coder, tag, at, end);
        at = get_branch(coder, at, end);
        ret_note->branch.branch = coder->branch;
        break;
    case NOTE_TOUCHED: at = get_id(coder, tag, at, end); break;
    case NOTE_ENDED: at = get_ended(coder, tag, at, end, ret_note); break;
    case NOTE_PLAN: at = get_plan_note(at, end, ret_note); break;
    case NOTE_ERROR: at = get_error_note(at, end, ret_note); break;
    default: return NULL;
    }
    ret_note->saga_id = coder->saga_id;
    bool may_have_flags = ret_note->kind == NOTE_STARTED || ret_note->kind == NOTE_ENDED;
    uint8_t allowed = ret_note->kind == NOTE_BRANCH || ret_note->kind == NOTE_TOUCHED ? NEXT_ID : 0;
    return may_have_flags || (flags & (uint8_t)~allowed) == 0 ? at : NULL;
}
