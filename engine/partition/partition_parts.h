/*
 * partition_parts: what a partition is made of. Internal to engine/partition: partition_open.c
 * makes and unmakes it, partition.c runs it.
 */
#ifndef ENGINE_PARTITION_PARTITION_PARTS_H
#define ENGINE_PARTITION_PARTITION_PARTS_H

#include "engine/base/histogram.h"
#include "engine/base/tally.h"
#include "engine/partition/admission.h"
#include "engine/partition/checkpoint.h"
#include "engine/partition/dispatch.h"
#include "engine/partition/endings.h"
#include "engine/partition/history_keeper.h"
#include "engine/partition/mender.h"
#include "engine/partition/partition.h"
#include "engine/partition/remote.h"
#include "engine/partition/timers.h"
#include "engine/service/worker.h"
#include "queues/sleeper.h"
#include "storage/watermark.h"
#include "storage/writer.h"

#define SERVICE_WORKERS_MAX 32u
/* Of a saga that nobody waits for: started before a restart. */
#define PARTITION_NO_TOKEN 0u

/* Timers: a branch's key is its slot, a saga's lies behind those. */
#define PARTITION_SAGA_KEY(partition, slot) (core_branches_max((partition)->state->core) + (slot))

/* One of partition_state's services, with its threads. */
struct service {
    struct plugin plugin; /* service NULL: remote, or used by no definition now */
    bool is_remote;       /* for the life of the partition */
    uint32_t workers_count;
    struct worker *workers[SERVICE_WORKERS_MAX];
};

/* Lanes stand behind the services in dispatch. */
#define REMOTE_FIRST PARTITION_SERVICES_MAX

struct remote {
    uint32_t lanes_count;
    uint32_t in_flight;               /* handed out, and neither answered nor given back */
    char trace[TRACE_TEXT_BYTES + 1]; /* of the one handed out last */
    char key_id[REMOTE_KEY_ID_BYTES]; /* what idempotency keys begin with; "": nothing */
    uint8_t *room; /* TEMPLATE_ROOM_BYTES, for what templates make; NULL: no plan has any */
    struct template_failure failure; /* of the selector that failed last */
    bool wanted[REMOTE_LANES_MAX];   /* a limit kept back what somebody asked for */
    struct remote_lane lanes[REMOTE_LANES_MAX];
};

struct open_block {
    struct writer_buffer *buffer; /* NULL: none is open */
    uint32_t used_bytes;
    uint32_t record_count;
    int64_t now_ms;
    uint64_t decided_before; /* core_totals_decided when it began */
    bool is_awaited;         /* something is to happen once it is durable */
};

/* A block with the journal thread; its effects are those before effects_tail. */
struct sent_block {
    uint64_t block_no;
    uint64_t effects_tail;
};

/* A checkpoint on its way: the workers come to a pause; the child writes; the block it is of
 * becomes durable. */
enum checkpoint_stage {
    CHECKPOINT_IDLE,
    CHECKPOINT_PAUSING,
    CHECKPOINT_WRITING,
    CHECKPOINT_SYNCING
};

struct checkpointing {
    enum checkpoint_stage stage;
    uint64_t bytes_since;  /* journalled behind the last one */
    uint64_t bytes_before; /* of them, when the one on its way began */
    uint64_t began_ns;
    pid_t child; /* 0: it has ended well */
    struct mender mender;
    bool forks_whole; /* a child has died without what forks leave out */
    struct checkpoint_place place;
    uint64_t named_no;      /* the newest one that is known to be good; 0: none */
    uint64_t journal_bytes; /* of all blocks so far */
    uint32_t milestones_count;
    struct milestone milestones[MILESTONES_MAX];
};

/* One that may be asked for. */
struct pending_reply {
    uint64_t token;
    uint64_t saga_id;
    uint8_t outcome;
    bool has_ending;
};

struct partition {
    struct partition_options options;
    struct checkpointing checkpointing;
    struct partition_state *state;
    struct journal *journal;
    struct watermark watermark;
    bool has_watermark;
    struct writer *writer;
    struct keeper keeper; /* of history; nothing is kept where its log is NULL */
    struct history_log_found history_found;
    struct recovery_report recovery;
    uint64_t recovered_from;

    struct open_block open;
    struct sent_block sent[WRITER_BUFFERS_COUNT];
    uint32_t sent_count;
    uint64_t last_block_no;
    uint32_t last_block_crc;
    uint32_t epoch;
    uint64_t durable_no;
    uint64_t durable_tail; /* effects before this may leave */
    uint64_t sealed_ns;
    uint32_t sealed_records; /* of the last block */
    bool expects_more;       /* partition_expect */
    int64_t last_now_ms;

    struct service services[PARTITION_SERVICES_MAX]; /* beside state->services */
    uint16_t **handlers;      /* plan -> resource -> handler, or lane of a remote service */
    uint32_t in_flight;       /* invocations that workers have not answered */
    uint32_t *in_hand;        /* by branch: generation of what a worker got last; 0: nothing yet */
    _Atomic int64_t now_ms;   /* of the open block, for the workers' deadlines */
    struct dispatch dispatch; /* invocations that wait for a worker or a limit */
    struct admission admission;
    uint64_t turn_ns; /* when this turn began */
    struct timers timers;
    struct pending_reply *replies;
    uint32_t replies_capacity;
    uint64_t replies_head;
    uint64_t replies_tail;
    struct endings endings; /* what the replies say beyond the outcome, where that is wanted */
    uint32_t watchers, output_watchers; /* of the ends of all sagas */

    struct sleeper sleeper;
    _Atomic bool woken; /* by partition_wake, and not heard yet */
    uint32_t cpus[64];  /* allowed ones, for pinning */
    uint32_t cpus_count;
    uint32_t cpus_used;
    uint64_t thread_cpu_ns_first; /* of the engine's thread, at open */
    struct histogram checkpoint_stops_ns;
    struct tally saga_ms;     /* sagas: start to end */
    struct tally block_bytes; /* blocks sealed */
    uint64_t recovered_ns;    /* how long recovery took */
    struct partition_counts counts;
    bool stopping;
    bool stopped;
    struct remote remote;
};

/* Room in the open block, opening or sealing one as needed; false while the journal has every
 * buffer. */
bool partition_reserve(struct partition *partition, size_t record_bytes);
/* Hands the open block to the journal thread. It has records, and fewer than WRITER_BUFFERS_COUNT
 * are there already. */
void partition_seal(struct partition *partition);
/* True unless a threadless engine's options say that the part takes no step in this turn. */
bool partition_may_step(const struct partition *partition, enum partition_part part);
/* The time that the next event would have: the open block's, if it has any. */
int64_t partition_event_ms(struct partition *partition);
/* The clock that paces journal and limits. */
uint64_t partition_now_ns(const struct partition *partition);
/* Whether there is room for a saga of this plan, and it may have it. */
bool partition_may_start(const struct partition *partition, uint32_t plan);
/* Takes all results that can be read; false where the journal had no room for one. */
bool partition_take_results(struct partition *partition);
/* The token that the core is given for one that a reply is to have. */
uint64_t partition_token(struct partition *partition, uint64_t token, bool wants_output);
/* Room has been seen to. */
void partition_release_reply(struct partition *partition, const struct effect *effect);
/* What of a step's output has to be journalled. */
struct flyover_bytes partition_kept_output(const struct partition *partition, uint32_t branch,
                                           struct flyover_bytes output);
/* The service, which is declared, becomes a remote one. */
void partition_make_remote(struct partition *partition, uint32_t service);
/* Memory for templates, if the plan has some. STATUS_NO_MEMORY. */
NODISCARD enum status partition_prepare_templates(struct partition *partition,
                                                  const struct plan *plan);
/* The answer to the step that the branch waits for, as its ResultSelector has it; without one as it
 * is. Where that fails the event becomes the step's error, with texts lent until the next call. */
void partition_select_result(struct partition *partition, struct event *event);
/* How long until a rate lets something go that a worker was asked for. */
uint64_t partition_remote_wait_ns(struct partition *partition, uint64_t now_ns);
/* After recovery, from the place of the checkpoint it began with: goes on counting. */
void partition_resume_checkpoints(struct partition *partition,
                                  const struct checkpoint_place *place);
/* Begins, watches and ends checkpoints; true if it did something. */
bool partition_turn_checkpoint(struct partition *partition);
/* Whether a checkpoint waits for nothing more but its turn. */
bool partition_is_at_pause(const struct partition *partition);
/* Ends the child, if there is one; what it wrote is no checkpoint. */
void partition_drop_checkpoint(struct partition *partition);
/* At the end, with nothing in hand and all durable: writes one, if that spares the next start
 * much. */
void partition_end_checkpoint(struct partition *partition);

/* Applies the event and writes its record. partition_reserve came before. */
NODISCARD enum status partition_apply(struct partition *partition, const struct event *event,
                                      uint64_t token, uint64_t *ret_saga_id,
                                      struct problem *problem);
/* The same for the answer of whoever worked on a step, who does not wait for it to be durable. */
void partition_apply_answer(struct partition *partition, const struct event *event, uint64_t token);

#endif
