/*
 * admission: who may start a saga while the slots run short, and when one who may not should ask
 * again. Beside core_can_start, which says whether there is room at all.
 *
 * The rule: while less than three quarters of all slots are taken, anybody may take one. Beyond
 * that only a definition that holds less than a quarter of them. So no flood of one definition
 * reaches into the last quarter, and the others find room at once. (Two floods fill it together:
 * the rule is about one.) A start of low priority may have only the first half of the room, of the
 * slots and of all else; one of high priority asks nothing but whether there is room.
 *
 * Threads: one owner. Memory: inside the struct; all zeroes is a new one.
 */
#ifndef ENGINE_PARTITION_ADMISSION_H
#define ENGINE_PARTITION_ADMISSION_H

#include "engine/partition/pace.h"

struct admission {
    struct pace ends; /* of sagas */
};

/* definition_live: slots of this definition, all its versions together; sagas_live: of all. */
static inline bool admission_may_start(uint32_t definition_live, uint32_t sagas_live,
                                       uint32_t sagas_max)
{
    if (sagas_live >= sagas_max)
        return false;
    return 4ull * sagas_live < 3ull * sagas_max || 4ull * definition_live < sagas_max;
}

/* Once a turn. sagas_ended: since ever (core_totals.ended). */
static inline void admission_turn(struct admission *admission, uint64_t sagas_ended,
                                  uint32_t sagas_live, uint64_t now_ns)
{
    pace_turn(&admission->ends, sagas_ended, sagas_live > 0, now_ns);
}

/* Until at most so many slots less one are taken. */
static inline uint32_t admission_hint_below_ms(const struct admission *admission,
                                               uint32_t sagas_live, uint64_t open_below)
{
    if (sagas_live < open_below)
        return PACE_HINT_MS_MIN;
    return pace_hint_ms(&admission->ends, sagas_live - open_below + 1);
}

/* For who was told BUSY: milliseconds until anybody may start again, that is until less than three
 * quarters of the slots are taken, at the pace at which sagas end now. The shortest hint where
 * that is so already and something else is short, such as memory for payloads. */
static inline uint32_t admission_hint_ms(const struct admission *admission, uint32_t sagas_live,
                                         uint32_t sagas_max)
{
    return admission_hint_below_ms(admission, sagas_live, (3ull * sagas_max + 3) / 4);
}

/* The same for a start of low priority: until less than half of them are. */
static inline uint32_t admission_hint_low_ms(const struct admission *admission, uint32_t sagas_live,
                                             uint32_t sagas_max)
{
    return admission_hint_below_ms(admission, sagas_live, (sagas_max + 1ull) / 2);
}

#endif
