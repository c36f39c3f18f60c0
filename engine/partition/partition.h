/*
 * partition: the engine. One thread steps it; it owns the sagas, the open block and the way in and
 * out of services and journal.
 *
 * The output-commit rule: an event is applied at once and its record goes into the open block; its
 * effects wait in a queue until that block is durable, and only then leave. While one block is
 * being written the next one fills: natural group commit.
 *
 *     partition_start ───────┐
 *     worker results ────────┼─► apply: record into the open block, core_apply, effects wait
 *     timers due ────────────┘        │ seal: when the journal is idle, at most about 400 a second
 *                                     ▼ under load, at once when there is nothing else to wait for
 *     invoke, timer, reply ◄── release: effects of durable blocks
 *
 * Threads: every function by one thread, the engine's (which may be the caller's only one). The
 *          workers and the journal thread are the partition's own.
 * Memory:  by limits, at open. partition_start says BUSY where there is no room; a result always
 *          finds room, since admission kept it.
 * Errors:  partition_poll's status is fatal: the journal failed; nothing after the last durable
 *          block was acknowledged. Close and exit.
 */
#ifndef ENGINE_PARTITION_PARTITION_H
#define ENGINE_PARTITION_PARTITION_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/partition/dispatch.h"
#include "engine/partition/partition_state.h"
#include "engine/service/audit.h"
#include "engine/service/plugin.h"
#include "storage/journal.h"
#include "storage/recovery.h"

#define PARTITION_SAGAS_MAX_DEFAULT        65536u
#define PARTITION_PAYLOAD_BYTES_DEFAULT    (256ull << 20)
#define PARTITION_CHECKPOINT_BYTES_DEFAULT (1ull << 30)
#define PARTITION_NAMES_MAX_DEFAULT        (1u << 20)
#define PARTITION_NAME_RETENTION_DEFAULT   (24ull * 3600 * 1000)
#define PARTITION_HISTORY_BYTES_DEFAULT    (4ull << 30)
#define PARTITION_BUILT_IN_MAX             16u
#define PARTITION_SEAL_INTERVAL_NS         2500000u

struct partition;

/* Of one service: invocations in flight and a second. */
struct partition_service_limits {
    char service[FLYOVER_NAME_BYTES_MAX + 1];
    struct dispatch_limits limits;
};

/* What takes a step in a threadless partition. */
enum partition_part { PARTITION_JOURNAL, PARTITION_WORKER, PARTITION_CHECKPOINT };

/* How the engine's thread sleeps, where it has more to wait for than the partition: in `block`,
 * which returns when event_fd can be read, has read it, and may return earlier (queues/sleeper.h).
 * The partition's threads write to event_fd until partition_free. */
struct partition_sleep {
    void (*block)(void *context, uint64_t timeout_ns); /* NULL: the partition sleeps by itself */
    void *context;
    int event_fd; /* EFD_NONBLOCK */
};

struct partition_options {
    const char *directory; /* borrowed for the life of the partition; NULL in mode memory */
    enum durability durability;
    struct journal *journal;    /* opened, borrowed; NULL: opens the directory's */
    struct core_limits limits;  /* for a new data directory; an old one keeps its own */
    struct plugin_path plugins; /* copied; its text is borrowed for the life of the partition */
    const struct flyover_service *built_in[PARTITION_BUILT_IN_MAX]; /* looked at before files */
    uint32_t built_in_count;
    const struct partition_service_limits *service_limits; /* borrowed for the partition's life */
    uint32_t service_limits_count;
    uint64_t checkpoint_bytes; /* of journal between two checkpoints; 0: none is taken */
    /* How much of the journal is kept for history, beyond what a start may need: of the newest so
     * many bytes, of so many milliseconds; what is over either goes with the next checkpoint. */
    uint64_t history_bytes;       /* 0: none is kept */
    uint64_t history_ms;          /* 0: however old */
    struct partition_sleep sleep; /* borrowed until partition_free */
    /* Counted up while partition_open reads the journal, for another thread to see; NULL: none. */
    _Atomic uint64_t *recovered_blocks;
    bool accept_loss;
    bool pin;                 /* threads to cores, when there are at least two */
    bool threadless;          /* tests: partition_poll also steps journal and workers */
    uint32_t block_bytes;     /* tests: a block that has records grows to this; 0: to
                                 BLOCK_BYTES_MAX, which one record alone may always need */
    bool remote;              /* a service without a plug-in is in another process: remote.h */
    bool offline;             /* no service is loaded and nothing is dispatched: for an operator's
                                 work on a data directory that no engine runs on */
    int64_t (*wall_ms)(void); /* NULL: the clock of the machine */
    uint64_t (*now_ns)(void); /* that paces the journal; NULL: the machine's */
    /* Threadless: asked before each part takes its step; false: not in this turn. NULL: all do. */
    bool (*may_step)(enum partition_part part);
};

/* A saga has ended, or is parked. What it says beyond the outcome is there if it was asked for: by
 * wants_output, partition_await or partition_watch; bytes are lent until the next reply is asked
 * for. */
struct reply {
    uint64_t token;
    uint64_t saga_id;
    enum outcome outcome;
    uint32_t plan;
    uint64_t block_no;   /* in which it ended; 0: this and all that follows was not asked for */
    uint32_t index;      /* in that block, of those that ended or got stuck, from 0: a replay of the
                            block counts them in the same order */
    bool output_omitted; /* there was no room to keep it */
    int64_t ended_ms;
    struct flyover_bytes output; /* of a saga that succeeded, msgpack; count 0: nil, or not asked
                                    for by wants_output or partition_await */
    struct flyover_bytes error;  /* its name, and the cause; count 0: none */
    struct flyover_bytes cause;
};

struct partition_thread {
    char name[24];
    uint64_t cpu_ns;
};
#define PARTITION_THREADS_MAX 40u

struct partition_counts {
    uint64_t blocks, syncs, journal_bytes, records;
    uint64_t journal_busy_ns;
    uint64_t checkpoints;
    /* How long services, and at the end the engine, stood still for one: 99 of 100 at most, and the
     * longest. */
    uint64_t checkpoint_stop_ns_p99, checkpoint_stop_ns_max;
    uint64_t late_results;
    uint32_t cpus_count; /* that this process may use */
    uint64_t stalls;     /* times the engine had input and no room in the journal for it */
    uint32_t threads_count;
    struct partition_thread threads[PARTITION_THREADS_MAX];
};

/* Recovers what is there, loads the services that its definitions name, starts the threads.
 * Returns owned. What journal_open, recovery_run and plugin_open may say. */
NODISCARD enum status partition_open(const struct partition_options *options,
                                     struct partition **ret_partition, struct problem *problem);
/* Waits for what is under way (handlers, the open block), then stops the threads and closes the
 * journal. `ret_digest` may be NULL. The state stays readable until partition_free. */
NODISCARD enum status partition_stop(struct partition *partition,
                                     char ret_digest[PARTITION_DIGEST_BYTES],
                                     struct problem *problem);
/* Accepts NULL. Without partition_stop first it ends as a crash would: nothing more is written. */
void partition_free(struct partition *partition);

/* What recovery found in the journal, behind the checkpoint it began from (0: from the first). */
const struct recovery_report *partition_recovery(const struct partition *partition);
uint64_t partition_recovered_from(const struct partition *partition);
/* What is wrong with the index of history, "" if nothing is. */
const char *partition_history_problem(const struct partition *partition);

/* Other limits for services from now on, borrowed as those of the options were; a service that is
 * not among them has none. */
void partition_set_limits(struct partition *partition,
                          const struct partition_service_limits *limits, uint32_t count);

/* Makes a definition known and its services ready. The same name and text give the same plan; the
 * same name with another text gives a new version, and running sagas keep theirs. */
NODISCARD enum status partition_define(struct partition *partition, const char *name,
                                       const char *source, const char *text, size_t text_bytes,
                                       uint32_t *ret_plan, struct problem *problem);
/* A new source of starts (see core_source): its index for partition_start. STATUS_BUSY. */
NODISCARD enum status partition_open_source(struct partition *partition, uint64_t first_hash,
                                            uint32_t *ret_source);
/* Starts a saga. `input` is checked msgpack (value_check), copied. The saga is accepted when its
 * block is durable; its reply comes with `token`. STATUS_BUSY: no room now; poll and try again. */
NODISCARD enum status partition_start(struct partition *partition, uint32_t plan, uint32_t source,
                                      struct flyover_bytes input, uint64_t token);

/* ---- more than a plain start, and what is done to a saga from outside. Each is refused with a
 *      sentence before anything is written, or applied at once; it is accepted when the block
 *      partition_pending_no is durable. STATUS_BUSY: not now ----------------------------------- */

/* Who is told BUSY first where room gets scarce (admission.h). Not journalled. */
enum partition_priority {
    PARTITION_PRIORITY_NORMAL,
    PARTITION_PRIORITY_LOW,
    PARTITION_PRIORITY_HIGH
};

struct partition_start_options {
    uint32_t plan;
    struct flyover_bytes input;
    struct flyover_bytes name;  /* count 0: none */
    int64_t at_ms;              /* begin then; 0: now */
    int64_t deadline_ms;        /* be at the end by then, or out of time; the earlier of it and the
                                   definition's TimeoutSeconds counts; 0: none */
    struct flyover_bytes trace; /* a W3C traceparent, for the handlers; count 0: none */
    uint64_t token;             /* below 2^63; 0: no reply comes, but of a watch */
    enum partition_priority priority;
    bool wants_output; /* the reply has all that struct reply can say */
};
/* STATUS_EXISTS: it was started under this name with this input before: *ret_saga_id is that saga,
 * and no reply comes, whatever the times say. STATUS_INVALID: with another input; or a time more
 * than PLAN_WAIT_MS_MAX off, a deadline that has passed or does not come after at_ms, no
 * traceparent. What is said of a name that is kept is said however full the engine is.
 */
NODISCARD enum status partition_start_with(struct partition *partition,
                                           const struct partition_start_options *options,
                                           uint64_t *ret_saga_id, struct problem *problem);
NODISCARD enum status partition_cancel(struct partition *partition, uint64_t saga_id, bool abort,
                                       struct flyover_bytes reason, struct problem *problem);
/* Of a saga that is stuck, but for MEND_SKIP of one that sleeps, which goes on now. `output` (count
 * 0: none) becomes the result of a forward step that is skipped. A reason is asked for. */
NODISCARD enum status partition_mend(struct partition *partition, uint64_t saga_id,
                                     enum mend_action action, struct flyover_bytes output,
                                     struct flyover_bytes reason, struct problem *problem);
/* `payload` is checked msgpack. */
NODISCARD enum status partition_signal(struct partition *partition, uint64_t saga_id,
                                       struct flyover_bytes name, struct flyover_bytes payload,
                                       struct problem *problem);
/* The answers to a step by its token: done, failed (Retry and Catch decide), or still at work. The
 * output is what the step's ResultSelector selects from; where that fails the answer is taken all
 * the same, and the step fails. */
NODISCARD enum status partition_answer(struct partition *partition, const char *token,
                                       struct flyover_bytes output, struct problem *problem);
NODISCARD enum status partition_answer_error(struct partition *partition, const char *token,
                                             struct flyover_bytes name, struct flyover_bytes cause,
                                             struct problem *problem);
NODISCARD enum status partition_heartbeat(struct partition *partition, const char *token,
                                          struct problem *problem);
/* An EVENT_REDRIVE made from the history of a saga that ended badly. STATUS_EXISTS: the saga was
 * redriven before, as *ret_saga_id, which is known for as long as a name is. */
NODISCARD enum status partition_redrive(struct partition *partition, const struct event *event,
                                        uint64_t token, uint64_t *ret_saga_id,
                                        struct problem *problem);
/* The block that holds what was applied last, and the last durable one. */
uint64_t partition_pending_no(const struct partition *partition);
uint64_t partition_durable_no(const struct partition *partition);

/* The clock of the journal, which never goes back. */
int64_t partition_now_ms(struct partition *partition);

/* For who was told BUSY: about how many milliseconds until it is worth asking again. */
uint32_t partition_busy_ms(const struct partition *partition);
uint32_t partition_busy_at_ms(const struct partition *partition, enum partition_priority priority);

/* The reply of this saga, which runs and is not stuck (else false), will have all that struct reply
 * can say; with the token of its start, or 0. Not beyond a restart. */
bool partition_await(struct partition *partition, uint64_t saga_id);
/* While somebody has it on, a reply comes for every saga that ends or gets stuck, with token 0 for
 * those that have none, without its output if nobody asked for that. They have to be taken: where
 * 65,536 wait, no effect leaves any more. Whoever has it on turns it off once. */
void partition_watch(struct partition *partition, bool on);
/* The same, and the outputs of all of them are asked for. */
void partition_watch_outputs(struct partition *partition, bool on);
bool partition_next_reply(struct partition *partition, struct reply *ret_reply);

/* One turn: durable blocks, results, timers, sealing. *ret_worked: something was done. */
NODISCARD enum status partition_poll(struct partition *partition, bool *ret_worked,
                                     struct problem *problem);
/* Sleeps until there is something to do, or for timeout_ns; by options.sleep, if that is given. */
void partition_wait(struct partition *partition, uint64_t timeout_ns);
/* Any thread, after it has put something where the engine's thread looks between its turns: the
 * wait that is under way, or the next one, ends at once. */
void partition_wake(struct partition *partition);
/* Whether more events come from outside soon, from who waits for none of those before: where they
 * come in numbers, an open block then waits for them until PARTITION_SEAL_INTERVAL_NS after the
 * last, since each block costs a sync. False at first. */
void partition_expect(struct partition *partition, bool more);
/* The last block was a small one: little is under way, and somebody may wait for each of it. */
bool partition_is_light(const struct partition *partition);
/* True when nothing runs and nothing waits: every saga has ended, is stuck, or waits for a timer,
 * and all is durable. */
bool partition_is_quiet(const struct partition *partition);

/* Quiet, and no timer runs either: nothing will happen by itself any more. */
bool partition_is_at_rest(const struct partition *partition);

const struct partition_state *partition_state(const struct partition *partition);
struct partition_counts partition_counts(const struct partition *partition);
/* Figures of all services; only after partition_stop. */
void partition_audit(const struct partition *partition, struct audit_report *ret_report);

#endif
