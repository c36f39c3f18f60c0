/*
 * dispatch: which waiting invocation goes to a service next, and whether one may go now.
 *
 * Limits, each service its own: invocations in flight, and a rate (a token bucket, exact: whatever
 * the time between calls, no more than burst + rate x time have gone; with a burst of 1 the time by
 * which a caller is late is lost). That the workers have room is for the caller to see to. The
 * handlers of a remote service (remote.h) are lanes, which wait and take turns each by itself, as a
 * service does, and share the limits of the service that they are of.
 * Order, in a service: compensations before forward steps, but at most DISPATCH_STREAK_MAX of them
 * in a row while forward steps wait; in a phase the plans in turn, one invocation a turn; in a plan
 * and phase first in, first out.
 *
 * How it is called, once a moment of time:
 *
 *     an effect:  if (a worker has room && dispatch_may_go(...)) send, dispatch_went
 *                 else dispatch_push
 *     a turn:     while (a worker has room && dispatch_pop(...))
 *                     if (core_expects(branch, generation)) send, dispatch_went
 *     a result:   dispatch_came_back, whatever it says, also a late one
 *
 * An invocation popped that nothing waits for any more is thrown away by asking again: until
 * dispatch_went it has cost neither a turn nor the rate nor room.
 *
 * Time: now_ns is the caller's and monotone; should it go back, no time has passed.
 * Threads: one owner. Errors: none but at init; limits are asserted.
 * Memory:  address space for branches_max x 16 bytes and 8 MiB of queues at init; pages are touched
 *          only when used. A branch waits for one thing at a time, so that a push is its place.
 */
#ifndef ENGINE_PARTITION_DISPATCH_H
#define ENGINE_PARTITION_DISPATCH_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/flyover_service.h"
#include "engine/partition/pace.h"
#include "engine/partition/partition_state.h"

#define DISPATCH_STREAK_MAX 15u
#define DISPATCH_NEVER      UINT64_MAX
/* Services, and behind them lanes. */
#define DISPATCH_SERVICES_MAX 256u

struct dispatch_limits {
    uint32_t in_flight_max; /* 0: none */
    uint32_t rate_per_s;    /* 0: none */
    uint32_t burst;         /* 0: a tenth of a second's, but at least 1 */
};

/* The plans of which something waits in one phase: a ring, `first` has the turn. */
struct dispatch_round {
    uint32_t waiting_count;
    uint32_t plans_count;
    uint32_t first;
};

/* dispatch.c's own, but for the calls in this header. */
struct dispatch_service {
    uint32_t waiting_count;
    uint32_t in_flight;
    bool is_limited;
    bool has_turn; /* something was popped, and has not gone yet */
    uint8_t turn_phase;
    uint32_t turn_plan;
    uint32_t streak; /* compensations that went in a row past waiting forward steps */
    uint32_t shares; /* of a lane: the service whose limits it shares, + 1; 0: none */
    struct dispatch_limits limits;
    uint64_t credit; /* in billionths of an invocation, as it stood at credited_ns */
    uint64_t credited_ns;
    uint64_t came_back;
    struct dispatch_round rounds[2]; /* by enum flyover_phase */
    struct pace pace;                /* at which they come back while others wait */
};

struct dispatch {
    struct dispatch_node *nodes;   /* branches_max */
    struct dispatch_queue *queues; /* services x phases x plans */
    uint32_t branches_max;
    uint32_t waiting_count;
    uint32_t services_count; /* of which something has ever waited: all below this */
    struct dispatch_service services[DISPATCH_SERVICES_MAX];
};

/* STATUS_NO_MEMORY. */
NODISCARD enum status dispatch_init(struct dispatch *dispatch, uint32_t branches_max);
/* Accepts one that is all zeroes. */
void dispatch_fini(struct dispatch *dispatch);

/* From now on; without this call there are none. What is in flight stays there, and what was saved
 * up of the rate is kept, up to the new burst: a rate where there was none begins with its burst.
 */
void dispatch_set_limits(struct dispatch *dispatch, uint32_t service,
                         const struct dispatch_limits *limits, uint64_t now_ns);

/* What goes from this lane counts for the limits of the service too, those that are set already and
 * those to come. Nothing is in flight from the lane, and it has no limits of its own. */
void dispatch_share_limits(struct dispatch *dispatch, uint32_t lane, uint32_t service);

/* dispatch_may_go, _went and _came_back where there are limits or turns; call those. */
bool dispatch_limits_allow(struct dispatch *dispatch, struct dispatch_service *service,
                           uint64_t now_ns);
void dispatch_charge(struct dispatch *dispatch, uint32_t service, uint64_t now_ns);

/* True when an invocation may go past the queues: nothing waits and the limits allow it. */
static inline bool dispatch_may_go(struct dispatch *dispatch, uint32_t service, uint64_t now_ns)
{
    assert(service < DISPATCH_SERVICES_MAX);
    struct dispatch_service *at = &dispatch->services[service];
    return at->waiting_count == 0 &&
           (!at->is_limited || dispatch_limits_allow(dispatch, at, now_ns));
}

/* One was sent, which dispatch_may_go or the last dispatch_pop of this service had allowed. */
static inline void dispatch_went(struct dispatch *dispatch, uint32_t service, uint64_t now_ns)
{
    assert(service < DISPATCH_SERVICES_MAX);
    struct dispatch_service *at = &dispatch->services[service];
    assert(at->waiting_count == 0 || at->has_turn);
    if (at->is_limited || at->has_turn)
        dispatch_charge(dispatch, service, now_ns);
    at->in_flight++;
}

/* So many that went are not in flight any more. */
static inline void dispatch_came_back(struct dispatch *dispatch, uint32_t service, uint32_t count)
{
    assert(service < DISPATCH_SERVICES_MAX && dispatch->services[service].in_flight >= count);
    struct dispatch_service *at = &dispatch->services[service];
    at->in_flight -= count;
    at->came_back += count;
    if (at->shares != 0)
        dispatch->services[at->shares - 1].in_flight -= count;
}

/* Waits at the end of its plan's queue. A branch that waits already, for whatever it was, has gone
 * on since: that place is given up. */
void dispatch_push(struct dispatch *dispatch, uint32_t service, uint32_t plan,
                   enum flyover_phase phase, uint32_t branch, uint32_t generation);
/* The same in front: it had gone, and has come back undone. */
void dispatch_push_first(struct dispatch *dispatch, uint32_t service, uint32_t plan,
                         enum flyover_phase phase, uint32_t branch, uint32_t generation);
/* False when nothing waits or the limits forbid that it goes now. */
bool dispatch_pop(struct dispatch *dispatch, uint32_t service, uint64_t now_ns,
                  uint32_t *ret_branch, uint32_t *ret_generation);
/* Once a turn, after the pops: what hints are made from. */
void dispatch_turn(struct dispatch *dispatch, uint64_t now_ns);

/* When the limits let the next waiting one go: now_ns if at once, DISPATCH_NEVER where none waits
 * or only a result can make room. To be asked of a service whose workers have room: of another, a
 * result wakes the engine. */
uint64_t dispatch_next_ns(struct dispatch *dispatch, uint32_t service, uint64_t now_ns);
/* For who is told BUSY: about how long until all that wait now have gone; 1 ms to 60 s. */
uint32_t dispatch_hint_ms(const struct dispatch *dispatch, uint32_t service);

/* Those included whose branches have gone on: they are found out when their turn comes. */
uint32_t dispatch_waiting(const struct dispatch *dispatch, uint32_t service);
uint32_t dispatch_waiting_in_all(const struct dispatch *dispatch);
uint32_t dispatch_in_flight(const struct dispatch *dispatch, uint32_t service);

#endif
