/*
 * transition: what a branch of a saga does next, in one table.
 *
 * A row says: a branch in `phase`, when `trigger` happens, goes to `next` and asks for `effect`.
 * The table drives the core (core.c looks every move up here), names the trace, is walked whole by
 * its test, and is drawn in README (tools/diagram prints it; the test suite fails if they differ).
 * A pair that has no row is a late or doubled event: counted and dropped.
 *
 * READY and UNDOING are passed through within one event; a branch rests in the others. A saga has
 * one branch that carries it on, forward or back; with compensations in parallel, several that go
 * back; and a detached branch for each fire-and-forget step that runs beside it.
 *
 * A step that is out of time is an error, States.Timeout. An INVOKE sets the timer of its deadline.
 * DEADLINE, the timer of a whole saga, is no branch's and is asked for when the saga begins.
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
    X(SLEEPING, "sleeping")                                                                        \
    X(AWAITING, "awaiting")                                                                        \
    X(UNDOING, "undoing")                                                                          \
    X(UNDO_WAITING, "undo waiting")                                                                \
    X(UNDO_BACKOFF, "undo backoff")                                                                \
    X(DETACHED, "detached")                                                                        \
    X(DETACHED_BACKOFF, "detached backoff")                                                        \
    X(STUCK, "stuck")                                                                              \
    X(STUCK_FORWARD, "stuck forward")                                                              \
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
    X(SLEEP, "a time to wait for")                                                                 \
    X(AWAIT, "an answer from outside to wait for")                                                 \
    X(END, "nothing left to do")                                                                   \
    X(LEAVE, "nothing left to do, others still at work")                                           \
    X(FAIL, "failed for good, or cancelled")                                                       \
    X(PARK, "failed for good, and no way back")                                                    \
    X(HANDLED, "compensated another way")                                                          \
    X(RESULT, "step result")                                                                       \
    X(SIGNAL, "signal, or answer by token")                                                        \
    X(RETRY, "error, a retry is left")                                                             \
    X(CAUGHT, "error, caught")                                                                     \
    X(TIMER, "timer fired")                                                                        \
    X(MEND, "mended by hand")

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
    X(DEADLINE, "deadline")                                                                        \
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
    X(READY, SLEEP, SLEEPING, TIMER)                                                               \
    X(READY, AWAIT, AWAITING, TIMER)                                                               \
    X(READY, END, ENDED, REPLY)                                                                    \
    X(READY, FAIL, UNDOING, NONE)                                                                  \
    X(READY, PARK, STUCK_FORWARD, REPLY)                                                           \
    X(READY, HANDLED, UNDOING, NONE)                                                               \
    X(WAITING, RESULT, READY, NONE)                                                                \
    X(WAITING, AWAIT, AWAITING, TIMER)                                                             \
    X(WAITING, RETRY, BACKOFF, TIMER)                                                              \
    X(WAITING, CAUGHT, READY, NONE)                                                                \
    X(WAITING, FAIL, UNDOING, NONE)                                                                \
    X(WAITING, PARK, STUCK_FORWARD, REPLY)                                                         \
    X(BACKOFF, TIMER, WAITING, INVOKE)                                                             \
    X(BACKOFF, AWAIT, AWAITING, TIMER)                                                             \
    X(BACKOFF, FAIL, UNDOING, NONE)                                                                \
    X(SLEEPING, TIMER, READY, NONE)                                                                \
    X(SLEEPING, FAIL, UNDOING, NONE)                                                               \
    X(AWAITING, SIGNAL, READY, NONE)                                                               \
    X(AWAITING, RETRY, BACKOFF, TIMER)                                                             \
    X(AWAITING, CAUGHT, READY, NONE)                                                               \
    X(AWAITING, FAIL, UNDOING, NONE)                                                               \
    X(AWAITING, PARK, STUCK_FORWARD, REPLY)                                                        \
    X(UNDOING, TASK, UNDO_WAITING, INVOKE)                                                         \
    X(UNDOING, END, ENDED, REPLY)                                                                  \
    X(UNDOING, LEAVE, ENDED, NONE)                                                                 \
    X(UNDOING, PARK, STUCK, REPLY)                                                                 \
    X(UNDO_WAITING, RESULT, UNDOING, NONE)                                                         \
    X(UNDO_WAITING, RETRY, UNDO_BACKOFF, TIMER)                                                    \
    X(UNDO_WAITING, CAUGHT, READY, NONE)                                                           \
    X(UNDO_WAITING, FAIL, STUCK, REPLY)                                                            \
    X(UNDO_BACKOFF, TIMER, UNDO_WAITING, INVOKE)                                                   \
    X(UNDO_BACKOFF, MEND, UNDOING, NONE)                                                           \
    X(STUCK, MEND, UNDOING, NONE)                                                                  \
    X(STUCK_FORWARD, MEND, READY, NONE)                                                            \
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
