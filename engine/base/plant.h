/*
 * plant: bugs put in on purpose, to prove that the simulator (tests/sim) finds them. In a normal
 * build PLANTED is the constant false and nothing of this is there; tests/sim builds the engine a
 * second time with FLYOVER_PLANTS and names the one bug to have.
 */
#ifndef ENGINE_BASE_PLANT_H
#define ENGINE_BASE_PLANT_H

#include <stdbool.h>

#define PLANT_LIST(X)                                                                              \
    X(EARLY_EFFECTS, "early-effects")       /* leave before their block is durable */              \
    X(IGNORED_FAILURE, "ignored-failure")   /* a failed append counts as durable */                \
    X(EARLY_CHECKPOINT, "early-checkpoint") /* counts before its block is durable */               \
    X(BROKEN_CHAIN, "broken-chain")         /* recovery does not check the chain */                \
    X(CLOCK_BACK, "clock-back")             /* the journal's clock follows the machine's */        \
    X(LOST_WRITES, "lost-writes")           /* some records lack the writes of the step */         \
    X(LOST_RESULT, "lost-result")           /* some results are recorded as errors */              \
    X(NO_RESUME, "no-resume")               /* pending steps are not dispatched again */           \
    X(SAME_GENERATION, "same-generation")   /* it does not grow with an invocation */              \
    X(SKIPPED_COMPENSATION, "skipped-compensation") /* each one done skips the next */             \
    X(FORWARD_COMPENSATION, "forward-compensation") /* first step first */                         \
    X(EARLY_TIMER, "early-timer")                   /* a timer fires before it is due */           \
    X(LATE_HANDLER, "late-handler")     /* a step in hand is timed out, its handler runs */        \
    X(LONE_BEAT, "lone-beat")           /* a heartbeat counts as one for ever */                   \
    X(HASTY_CANCEL, "hasty-cancel")     /* does not wait for the step in hand */                   \
    X(LEAKY_PIVOT, "leaky-pivot")       /* what was before it is not let go */                     \
    X(LONELY_UNDO, "lonely-undo")       /* in parallel, the first to end ends the saga */          \
    X(FORGOTTEN_NAME, "forgotten-name") /* some names are forgotten with their saga */             \
    X(LOST_SIGNAL, "lost-signal")       /* one that comes early is not kept */                     \
    X(OLD_TOKEN, "old-token")           /* one of an earlier attempt is taken */                   \
    X(SILENT_SKIP, "silent-skip")       /* a step is skipped without its event */                  \
    X(FORGOTTEN_DEADLINE, "forgotten-deadline") /* after a start, of whole sagas */                \
    X(GREEDY_TRIM, "greedy-trim") /* keeps what a start from the newest checkpoint needs */        \
    X(WIDE_TRIM, "wide-trim")     /* one block more is given up than may be */

#ifdef FLYOVER_PLANTS
enum plant {
    PLANT_NONE,
#define X(name, text) PLANT_##name,
    PLANT_LIST(X)
#undef X
};
extern enum plant planted;
#define PLANTED(name) (planted == PLANT_##name)
#else
#define PLANTED(name) false
#endif

#endif
