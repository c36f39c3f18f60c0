/*
 * outbox: calls whose effect is a message to somewhere: SQS's SendMessageBatch, SNS's PublishBatch.
 * It gathers them by destination (batcher.h), asks AWS, and answers each call by what the answer
 * says of its entry.
 *
 *   an entry that failed, not by the sender's fault     is sent again without the others, up to
 *                                                       OUTBOX_TRIES_MAX times, then fails
 *   all failed, by something that one of them may be    each is sent again, alone
 *   to blame for
 *   all failed otherwise, or no answer came             each call fails; its Retry decides
 *   a call whose deadline has passed                    is not sent any more: States.Timeout
 *   the end of a saga, which has no Retry               is sent again, up to OUTBOX_END_TRIES_MAX
 *                                                       times, then left out and logged
 *
 * Threads: the edge thread. Memory: an item with its entry, until its call is answered.
 */
#ifndef ENGINE_EDGE_OUTBOX_H
#define ENGINE_EDGE_OUTBOX_H

#include "engine/edge/aws.h"
#include "engine/edge/batcher.h"
#include "engine/edge/edge_module.h"
#include "engine/saga/sink.h"

#define OUTBOX_TRIES_MAX           3u
#define OUTBOX_END_TRIES_MAX       20u
#define OUTBOX_TIMEOUT_MS          30000u
#define OUTBOX_PATIENCE_MS         10000u /* http.h: while the host answers nobody */
#define OUTBOX_BATCH_BYTES         262144u
#define OUTBOX_CONNECTIONS_DEFAULT 8u /* a destination */
#define OUTBOX_SCRATCH_BYTES       (4 * OUTBOX_BATCH_BYTES)
#define OUTBOX_ANSWER_BYTES_MAX    (256u << 10)
#define OUTBOX_ERROR_BYTES         128u
#define OUTBOX_MESSAGE_BYTES       512u

/* A message of a call, or of the end of a saga. */
struct outbox_item {
    struct batcher_item base;
    struct edge_call *call; /* NULL: of the end */
    struct edge_end *end;
    struct flyover_bytes entry; /* a map as AWS's JSON has it, without Id; behind the item */
};

/* What an answer says of one entry. */
struct outbox_outcome {
    bool named; /* at all */
    bool done;
    bool sender_fault;
    struct flyover_bytes output;                                  /* done; in `outputs` */
    char code[OUTBOX_ERROR_BYTES], message[OUTBOX_MESSAGE_BYTES]; /* failed */
};

struct outbox_kind {
    const char *section; /* of the configuration */
    /* Asks for all entries of the batch; on_end of the request is outbox_on_answer, on_retry
     * outbox_on_retry, its context the batch. */
    enum status (*ask)(void *module, struct batcher_batch *batch, uint32_t timeout_ms,
                       struct problem *problem);
    /* Reads an answer that is ok, and writes outputs, which take no more than the answer does. */
    void (*read)(const struct batcher_batch *batch, const struct aws_answer *answer,
                 struct sink *outputs, struct outbox_outcome *outcomes);
    /* "SQS.QueueDoesNotExistException" for what AWS calls `code`; "" is: no answer. */
    void (*name)(const char *code, char ret_name[OUTBOX_ERROR_BYTES]);
};

struct outbox {
    const struct outbox_kind *kind;
    void *module;
    struct edge_thread *thread;
    struct batcher *batcher;
    uint8_t *scratch;   /* OUTBOX_SCRATCH_BYTES, for outbox_message.h */
    bool key_attribute; /* outbox_message.h */
};

/* Reads the fields `connections` and `key_attribute` of the section `config`. STATUS_INVALID: one
 * of them is wrong, or there is no aws. STATUS_NO_MEMORY. A failed one may be closed. */
NODISCARD enum status outbox_open(struct outbox *outbox, const struct edge_context *context,
                                  const struct outbox_kind *kind, void *module,
                                  const json_t *config, struct problem *problem);
void outbox_close(struct outbox *outbox);
/* Copies the entry of `made`. Where that fails it has been answered, or told. */
void outbox_add(struct outbox *outbox, const struct outbox_item *made, const char *key);
bool outbox_idle(const struct outbox *outbox);
int64_t outbox_turn(struct outbox *outbox);
void outbox_on_answer(void *batch, const struct aws_answer *answer);
void outbox_on_retry(void *batch); /* on_retry of the request */

#endif
