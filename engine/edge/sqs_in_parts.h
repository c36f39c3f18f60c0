/*
 * sqs_in_parts: what the files of sqs_in share.
 *
 *     sqs_in_config.c    the section becomes queues
 *     sqs_in_poll.c      asks a queue for messages, and rests where it fails
 *     sqs_in_message.c   what SQS gives becomes something that can be brought, or a sentence
 *     sqs_in_open.c      messages that are open: brought, settled, kept visible
 *     sqs_in_known.c     ids of signals that were settled
 *     sqs_in_receipts.c  deletes, and changes of visibility, in batches
 *     sqs_in.c           the module
 */
#ifndef ENGINE_EDGE_SQS_IN_PARTS_H
#define ENGINE_EDGE_SQS_IN_PARTS_H

#include "engine/edge/aws.h"
#include "engine/edge/batcher.h"
#include "engine/edge/edge_module.h"
#include "engine/edge/sqs_in.h"
#include "engine/saga/value_text.h"

enum sqs_known_by { SQS_BY_MESSAGE_ID, SQS_BY_DEDUPLICATION_ID, SQS_BY_ATTRIBUTE, SQS_BY_PATH };

/* In place of how often the RedrivePolicy has a message received. */
#define SQS_RECEIVES_UNKNOWN 0u
#define SQS_RECEIVES_ANY     UINT32_MAX /* there is no policy */

struct sqs_in;
struct sqs_known;

/* Where in a body something is: "$.order.id". */
struct sqs_path {
    char *text; /* NULL: none; owned, as the next */
    uint8_t *names;
    struct path path;
};

struct sqs_queue {
    struct sqs_in *in;
    uint32_t index;
    /* Told. Texts are owned. */
    char *url;
    enum edge_message_kind kind;
    char *definition;
    char *signal_name; /* NULL: it is at the path */
    struct sqs_path signal_name_at, signal_saga_at;
    enum sqs_known_by known_by;
    char *known_as; /* name of the attribute */
    struct sqs_path known_at;
    bool fifo, attributes, sns_envelope;
    uint32_t connections, wait_seconds, visibility_told; /* 0: the queue's own */
    /* Found out. */
    bool asked, ready;           /* for its attributes; they are known, or will not be */
    uint32_t visibility_seconds; /* in force */
    uint32_t receives_max;       /* by its RedrivePolicy, or one of the two above */
    int64_t asked_ms;            /* for its attributes, the last time */
    bool visibility_sent;        /* it is said with each receive */
    /* Now. */
    uint32_t polls, polls_wanted;
    uint32_t deleting; /* settled, and not known to be deleted */
    uint32_t failures; /* since it last answered */
    char failure[64];
    int64_t retry_ms;
    int64_t singly_ms;                /* until then a receive asks for one message */
    struct sqs_message *first, *last; /* open */
    /* Since the start. */
    uint64_t received, refused;
    /* Of signals: those that were settled last; and of them those that could not be deleted. */
    struct sqs_known *settled, *undeleted;
};

/* A receipt that is to be deleted, or to be visible again in `seconds`. */
struct sqs_receipt {
    struct batcher_item base;
    struct sqs_message *message;
    uint32_t seconds;
    bool busy;
};

struct sqs_receipts {
    struct sqs_in *in;
    const char *action; /* "DeleteMessageBatch", "ChangeMessageVisibilityBatch" */
    struct batcher *batcher;
    void (*on_end)(struct sqs_receipt *receipt, bool done);
};

/* One piece of memory. */
struct sqs_message {
    struct sqs_message *next, *before;  /* of its queue, while it is open */
    struct sqs_message *ahead, *behind; /* of its group */
    struct sqs_queue *queue;
    bool open, brought;
    const char *id, *receipt_handle, *group; /* group: NULL if it has none */
    const char *name, *token;                /* or NULL; of a start or signal, of an answer */
    const char *known_id;      /* of a signal: the same whenever it is delivered; or NULL */
    uint32_t receives;         /* this one included; 0: the queue does not say */
    const char *error, *cause; /* of an answer that failed */
    uint64_t saga_id;
    struct flyover_bytes input;
    size_t bytes; /* of its body */
    int64_t ready_ms;
    uint32_t given_up;
    int64_t extend_ms; /* when its visibility is to be extended */
    bool release;      /* it is to be visible now */
    struct sqs_receipt deletion, visibility;
    uint8_t memory[]; /* of the texts and the input */
};

struct sqs_in {
    struct edge_thread *thread;
    struct aws *aws;
    uint64_t name_retention_ms;
    struct sqs_queue *queues;
    uint32_t queues_count, turn_first;
    uint32_t receive_max; /* messages a receive */
    /* Of starts, and of signals and answers, which have room of their own. */
    struct sqs_room {
        uint32_t asked;   /* for, by the polls that are under way */
        uint32_t waiting; /* messages that are not with the engine */
    } starts, answers;
    uint32_t open, polls;
    size_t bytes;
    int64_t extend_ms; /* of the first open message */
    bool draining;
    int64_t drain_ms;
    struct sqs_receipts deletes, visibilities;
    uint8_t *scratch; /* SQS_IN_SCRATCH_BYTES: what a message is read into */
};

/* A body, the envelope that it came in, and the input that is made of it. */
#define SQS_IN_PART_BYTES    VALUE_FROM_TEXT_BYTES_MAX(FLYOVER_PAYLOAD_BYTES_MAX)
#define SQS_IN_SCRATCH_BYTES (3 * SQS_IN_PART_BYTES)

/* ---- sqs_in_config.c ---------------------------------------------------------------------------
 */
NODISCARD enum status sqs_in_read_config(const json_t *config, struct sqs_in *in,
                                         struct problem *problem);
void sqs_in_free_config(struct sqs_in *in);

/* ---- sqs_in_message.c --------------------------------------------------------------------------
 */
/* Owned; STATUS_INVALID with the reason why this can be no message of its queue: then
 * *ret_message has id, receipt and group only. STATUS_NO_MEMORY: nothing. */
NODISCARD enum status sqs_message_read(struct sqs_queue *queue, struct flyover_bytes received,
                                       struct sqs_message **ret_message, struct problem *problem);
/* One of its system attributes; at NULL: it has none. */
struct flyover_bytes sqs_system_text(struct flyover_bytes received, const char *name);

/* ---- sqs_in_known.c ----------------------------------------------------------------------------
 */
/* Both accept that there are none yet (NULL). The one that is added may take the place of the
 * oldest; where there is no memory it is not kept. To be freed by free(). */
bool sqs_known_has(const struct sqs_known *known, const char *id);
void sqs_known_add(struct sqs_known **known, const char *id);

/* ---- sqs_in_open.c -----------------------------------------------------------------------------
 */
/* Takes it, behind those of its group. */
void sqs_open_add(struct sqs_message *message, int64_t now_ms);
/* Counts and logs; takes it, and leaves it to the queue. Those behind it in its group are released,
 * unless it is the last time that the queue gives it. */
void sqs_open_refuse(struct sqs_message *message, const char *why);
/* When it is received the next time the queue's RedrivePolicy moves it away. */
bool sqs_open_is_last(const struct sqs_message *message);
/* Makes it visible at once; takes it. */
void sqs_open_release(struct sqs_message *message);
void sqs_open_settled(struct sqs_message *message, enum edge_settlement settlement,
                      const char *sentence, int64_t now_ms);
/* Brings what waits, extends what has waited. In how many milliseconds again; -1: never. */
int64_t sqs_open_turn(struct sqs_in *in, int64_t now_ms);
void sqs_open_on_deleted(struct sqs_receipt *receipt, bool done);
void sqs_open_on_visible(struct sqs_receipt *receipt, bool done);

/* ---- sqs_in_receipts.c -------------------------------------------------------------------------
 */
NODISCARD enum status sqs_receipts_open(struct sqs_receipts *receipts, struct sqs_in *in,
                                        const char *action,
                                        void (*on_end)(struct sqs_receipt *receipt, bool done));
void sqs_receipts_add(struct sqs_receipts *receipts, struct sqs_receipt *receipt);

/* ---- sqs_in_poll.c -----------------------------------------------------------------------------
 */
/* Asks all queues for as much as there is room for. In how many milliseconds again; -1: never. */
int64_t sqs_poll_turn(struct sqs_in *in, int64_t now_ms);
struct sqs_room *sqs_room_of(const struct sqs_queue *queue);

#endif
