/*
 * remote: services that live in other processes. The partition does not know their sockets: it
 * keeps what waits for each remote handler, hands it out to whoever asks on the engine's thread,
 * and takes the results back. A definition does not care whether a service is a plug-in or remote.
 *
 *     EFFECT_INVOKE, durable ──► waits in dispatch, by lane (a handler of a remote service)
 *     remote_take(lane)      ──► the caller sends it to a worker with credit
 *     remote_done, _failed   ◄── its answer: an event, in the open block
 *     remote_give_back       ◄── the worker is gone: it waits again, in front, same key
 *
 * Which service is remote: one that a definition names and for which there is no plug-in, in a
 * partition opened with options.remote. Its SERVICE event in the journal has no tables. A plug-in
 * that is there at a later start takes over.
 *
 * Limits of a service (--limit) hold for its lanes together. Compensations go first, plans in turn,
 * as for plug-ins (dispatch.h).
 *
 * Threads: the engine's. Memory: none of its own beside the lanes, REMOTE_LANES_MAX.
 */
#ifndef ENGINE_PARTITION_REMOTE_H
#define ENGINE_PARTITION_REMOTE_H

#include "engine/partition/partition.h"

#define REMOTE_LANES_MAX 192u
#define REMOTE_NO_LANE   UINT32_MAX

/* A handler of a remote service; numbered for the life of the partition. */
struct remote_lane {
    char service[FLYOVER_NAME_BYTES_MAX + 1];
    char handler[FLYOVER_NAME_BYTES_MAX + 1];
};

/* What is handed out. (branch, generation) is its identity until it is answered or given back. */
struct remote_invocation {
    uint64_t saga_id;
    uint32_t branch;
    uint32_t generation;
    uint32_t step_no;
    uint32_t attempt_no;
    int64_t deadline_ms; /* 0: none */
    enum flyover_phase phase;
    struct flyover_bytes input;  /* lent until the answer has been applied */
    struct flyover_bytes output; /* of the step to compensate; count 0: nil */
    struct flyover_bytes trace;  /* traceparent; count 0: none; lent in the same way */
    bool has_token;              /* the step ends by .waitForTaskToken */
    char token[FLYOVER_TOKEN_BYTES];
};

/* A lane is there before any definition names it too, so that a worker may come first.
 * REMOTE_NO_LANE with STATUS_NO_MEMORY: all are taken; STATUS_EXISTS: the service is a plug-in. */
NODISCARD enum status remote_open_lane(struct partition *partition, const char *service,
                                       const char *handler, uint32_t *ret_lane,
                                       struct problem *problem);
uint32_t remote_lanes_count(const struct partition *partition);
const struct remote_lane *remote_lane(const struct partition *partition, uint32_t lane);
/* Invocations that wait in the lane; some may be void by now. */
uint32_t remote_waiting(const struct partition *partition, uint32_t lane);

/* The next one that may go now. It is in flight until remote_done, _failed or _give_back. */
bool remote_take(struct partition *partition, uint32_t lane, struct remote_invocation *ret_call);
/* `output` is checked here (STATUS_INVALID: the step fails as Flyover.BadOutput, and the invocation
 * is answered). STATUS_NOT_FOUND: late, it is not waited for any more; answered too. STATUS_BUSY:
 * the journal has no room: it stays in flight, call again. */
NODISCARD enum status remote_done(struct partition *partition, uint32_t lane, uint32_t branch,
                                  uint32_t generation, struct flyover_bytes output);
NODISCARD enum status remote_failed(struct partition *partition, uint32_t lane, uint32_t branch,
                                    uint32_t generation, bool retryable, struct flyover_bytes name,
                                    struct flyover_bytes cause);
/* Still at work on it: a heartbeat of the step. STATUS_NOT_FOUND: late. */
NODISCARD enum status remote_beat(struct partition *partition, uint32_t lane, uint32_t branch,
                                  uint32_t generation);
/* It waits again, if it is still wanted. */
void remote_give_back(struct partition *partition, uint32_t lane, uint32_t branch,
                      uint32_t generation);

#endif
