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
 * partition opened with options.remote. Its SERVICE event in the journal has no tables; one that
 * has tables there is never remote, since only its plug-in can write them. A plug-in that is there
 * at a later start takes over.
 *
 * Each that was taken is answered or given back once, also when it is late. The step of one that
 * is out may be timed out meanwhile; its answer is then late. What is out at partition_stop is not
 * waited for: the next start hands it out again, with the same key. A saga that is cancelled waits
 * for a step that was asked for, as for a plug-in's, until it is answered or out of time.
 *
 * HeartbeatSeconds: its time begins when the step is handed out first, and runs on over
 * remote_give_back and a restart. A beat is journalled, but none within an eighth of that time
 * after the last.
 *
 * What Parameters make (saga/template.h) is made when it is handed out, each time anew, and what
 * ResultSelector makes when the answer comes, before that is journalled. Where one of them fails
 * the step fails, by States.ParameterPathFailure, .IntrinsicFailure or .DataLimitExceeded, and
 * nothing is handed out.
 *
 * Limits of a service (--limit) hold for its lanes together. Compensations go first, plans in turn,
 * in each lane, as for plug-ins (dispatch.h).
 *
 * Threads: the engine's. Memory: none of its own beside the lanes, REMOTE_LANES_MAX, and 2 MiB from
 * the first definition on that has a template.
 */
#ifndef ENGINE_PARTITION_REMOTE_H
#define ENGINE_PARTITION_REMOTE_H

#include "engine/partition/partition.h"

#define REMOTE_LANES_MAX    192u
#define REMOTE_NO_LANE      UINT32_MAX
#define REMOTE_KEY_ID_BYTES 24u /* with its end */
#define REMOTE_KEY_BYTES    64u /* of an idempotency key, with its end */

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
    /* Lent until the next event is applied, or the next is taken: copy it at once. */
    struct flyover_bytes input;
    struct flyover_bytes output; /* of the step to compensate; count 0: nil */
    bool is_made;                /* the input is what the definition makes for the handler; of a
                                    compensation too, which needs nothing beside it then */
    struct flyover_bytes trace;  /* traceparent; count 0: none; lent until the next is taken */
    bool has_token;              /* the step ends by .waitForTaskToken */
    char token[FLYOVER_TOKEN_BYTES];
};

/* A lane is there before any definition names it too, so that a worker may come first; should the
 * definition then find a plug-in, nothing ever waits there. The same names give the same lane.
 * STATUS_NO_MEMORY: all are taken; STATUS_EXISTS: the service is a plug-in; STATUS_INVALID: no
 * names; STATUS_UNSUPPORTED: not opened with options.remote. */
NODISCARD enum status remote_open_lane(struct partition *partition, const char *service,
                                       const char *handler, uint32_t *ret_lane,
                                       struct problem *problem);
uint32_t remote_lanes_count(const struct partition *partition);
const struct remote_lane *remote_lane(const struct partition *partition, uint32_t lane);
/* Invocations that wait in the lane; some may be void by now. */
uint32_t remote_waiting(const struct partition *partition, uint32_t lane);

/* What keys begin with from now on, "ID-", so that they are no other engine's: letters, digits and
 * '-', fewer than REMOTE_KEY_ID_BYTES. Without it keys are this data directory's own alone. */
void remote_set_key_id(struct partition *partition, const char *id);
/* $$.Task.IdempotencyKey: "ID-SAGA-STEP", with "-c" behind it for a compensation. */
void remote_make_key(const struct partition *partition, uint64_t saga_id, uint32_t step_no,
                     enum flyover_phase phase, char ret_key[REMOTE_KEY_BYTES]);

/* The next one that may go now; false also when the journal has no room. It is in flight until
 * remote_done, _failed or _give_back. */
bool remote_take(struct partition *partition, uint32_t lane, struct remote_invocation *ret_call);
/* `output` (count 0: nil) is checked here (STATUS_INVALID: the step fails as Flyover.BadOutput or
 * States.DataLimitExceeded, and the invocation is answered). STATUS_NOT_FOUND: late, it is not
 * waited for any more; answered too. STATUS_BUSY: the journal has no room: it stays in flight, call
 * again. Of a step that ends by token the answer only says that it has begun. A ResultSelector that
 * fails is not the worker's fault: the step fails, and it is STATUS_OK. */
NODISCARD enum status remote_done(struct partition *partition, uint32_t lane, uint32_t branch,
                                  uint32_t generation, struct flyover_bytes output);
/* Names and causes that are too long are cut. Without a name it is STATUS_INVALID, and the step
 * fails as Flyover.NoError. Else as remote_done. */
NODISCARD enum status remote_failed(struct partition *partition, uint32_t lane, uint32_t branch,
                                    uint32_t generation, bool retryable, struct flyover_bytes name,
                                    struct flyover_bytes cause);
/* Still at work on it: a heartbeat of the step. It stays in flight whatever this says.
 * STATUS_NOT_FOUND: late; STATUS_BUSY: the journal has no room. */
NODISCARD enum status remote_beat(struct partition *partition, uint32_t lane, uint32_t branch,
                                  uint32_t generation);
/* It waits again in front of its queue, if it is still wanted. */
void remote_give_back(struct partition *partition, uint32_t lane, uint32_t branch,
                      uint32_t generation);

#endif
