/*
 * transition: what a branch of a saga does next, in one table.
 *
 * A row says: a branch in `phase`, when `trigger` happens, goes to `next` and asks for `effect`.
 * The table drives the core (core.c looks every move up here), names the trace, is walked whole by
 * its test, and is drawn in README (tools/diagram prints it; the test suite fails if they differ).
 * A pair that has no row is a late or doubled event: counted and dropped.
 *
 * READY and UNDOING are passed through within one event; a branch rests in the others. FORWARD
 * phases carry the saga on; a detached branch runs a fire-and-forget step beside it.
 */
#ifndef ENGINE_SAGA_TRANSITION_H
#define ENGINE_SAGA_TRANSITION_H

#include <stdint.h>
#include <stdio.h>

#define PHASE_LIST(X)                                                                              \
    X(FREE, "free")                                                                                \
    X(READY, "ready")                                                                              \
    X(WAITING, "waiting")                                                                          \
    X(BACKOFF, "backoff")                                                                          \
    X(UNDOING, "undoing")                                                                          \
    X(UNDO_WAITING, "undo waiting")                                                                \
    X(UNDO_BACKOFF, "undo backoff")                                                                \
    X(DETACHED, "detached")                                                                        \
    X(DETACHED_BACKOFF, "detached backoff")                                                        \
    X(STUCK, "stuck")                                                                              \
    X(ENDED, "ended")

enum phase {
#define X(name, text) PHASE_##name,
    PHASE_LIST(X)
#undef X
        PHASES_COUNT
};

#define TRIGGER_LIST(X)                                                                            \
    X(TASK, "a step to run")                                                                       \
    X(DETACH, "a fire-and-forget step to run")                                                     \
    X(END, "nothing left to do")                                                                   \
    X(FAIL, "failed for good")                                                                     \
    X(RESULT, "step result")                                                                       \
    X(RETRY, "error, a retry is left")                                                             \
    X(CAUGHT, "error, caught")                                                                     \
    X(TIMER, "timer fired")

enum trigger {
#define X(name, text) TRIGGER_##name,
    TRIGGER_LIST(X)
#undef X
        TRIGGERS_COUNT
};

#define EFFECT_LIST(X)                                                                             \
    X(NONE, "")                                                                                    \
    X(INVOKE, "invoke")                                                                            \
    X(TIMER, "timer")                                                                              \
    X(REPLY, "reply")

enum effect_kind {
#define X(name, text) EFFECT_##name,
    EFFECT_LIST(X)
#undef X
};

/* phase, trigger, next phase, effect */
#define TRANSITION_LIST(X)                                                                         \
    X(READY, TASK, WAITING, INVOKE)                                                                \
    X(READY, DETACH, DETACHED, INVOKE)                                                             \
    X(READY, END, ENDED, REPLY)                                                                    \
    X(READY, FAIL, UNDOING, NONE)                                                                  \
    X(WAITING, RESULT, READY, NONE)                                                                \
    X(WAITING, RETRY, BACKOFF, TIMER)                                                              \
    X(WAITING, CAUGHT, READY, NONE)                                                                \
    X(WAITING, FAIL, UNDOING, NONE)                                                                \
    X(BACKOFF, TIMER, WAITING, INVOKE)                                                             \
    X(UNDOING, TASK, UNDO_WAITING, INVOKE)                                                         \
    X(UNDOING, END, ENDED, REPLY)                                                                  \
    X(UNDO_WAITING, RESULT, UNDOING, NONE)                                                         \
    X(UNDO_WAITING, RETRY, UNDO_BACKOFF, TIMER)                                                    \
    X(UNDO_WAITING, FAIL, STUCK, REPLY)                                                            \
    X(UNDO_BACKOFF, TIMER, UNDO_WAITING, INVOKE)                                                   \
    X(DETACHED, RESULT, ENDED, NONE)                                                               \
    X(DETACHED, RETRY, DETACHED_BACKOFF, TIMER)                                                    \
    X(DETACHED, FAIL, ENDED, NONE)                                                                 \
    X(DETACHED_BACKOFF, TIMER, DETACHED, INVOKE)

struct transition {
    uint8_t next; /* enum phase; PHASE_FREE: there is no such row */
    uint8_t effect;
};

extern const struct transition transitions[PHASES_COUNT][TRIGGERS_COUNT];

const char *phase_text(enum phase phase);
const char *trigger_text(enum trigger trigger);
const char *effect_text(enum effect_kind effect);
/* The table as a Mermaid state diagram, for README. */
void transition_print_diagram(FILE *out);

#endif
