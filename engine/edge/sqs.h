/*
 * sqs: what sending to queues and receiving from them have in common: requests of the JSON
 * protocol, where they go, sums of bodies, names of errors.
 *
 * Where a request goes: to the endpoint that somebody says (aws.h), as with AWS's own SDKs; else to
 * AWS's own, for a queue whose URL is one of these (https://sqs.REGION.amazonaws.com/…), signed for
 * the URL's region; else to the URL's own host and port.
 *
 * Errors are named as Step Functions names them, after the Java SDK's classes:
 *   SQS.QueueDoesNotExistException, SQS.InvalidMessageContentsException,
 *   SQS.UnsupportedOperationException  the operation's own
 *   SQS.AmazonSQSException             whatever else SQS answers; the cause has its code
 *   SQS.SdkClientException             there was no answer, or no credentials
 *
 * Threads: the edge thread.
 */
#ifndef ENGINE_EDGE_SQS_H
#define ENGINE_EDGE_SQS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/edge/aws.h"
#include "engine/edge/field.h"
#include "engine/edge/text.h"

#define SQS_URL_BYTES_MAX  1024u
#define SQS_ATTRIBUTES_MAX 10u

struct sqs_request {
    const char *action; /* "SendMessageBatch" */
    const char *queue_url;
    const struct text *body;          /* JSON; lent */
    uint32_t timeout_ms, patience_ms; /* aws.h */
    size_t answer_bytes_max;
    bool reads_answer; /* on_end opens it, where it is ok; else it comes as `json` */
    void (*on_end)(void *context, const struct aws_answer *answer);
    void (*on_retry)(void *context); /* may be NULL */
    void *context;
};

/* An answer as a value, in one piece of memory. */
struct sqs_answer {
    uint8_t *memory;
    struct flyover_bytes value;
};

/* Its entries, one after the other. */
struct sqs_list {
    struct flyover_cursor cursor;
    uint32_t left;
};

/* http or https, a host, and a path that ends with the queue's name. */
bool sqs_is_url(const char *text);
bool sqs_is_fifo(const char *queue_url);
/* The last part of the URL; lent. */
const char *sqs_queue_name(const char *queue_url);
/* STATUS_NO_MEMORY, and what aws_send says. */
NODISCARD enum status sqs_send(struct aws *aws, const struct sqs_request *request,
                               struct problem *problem);
/* What AWS calls `code`, with or without namespace, for Retry and Catch. "" is: no answer. */
void sqs_error_name(const char *code, char *ret_name, size_t name_bytes);
/* True too where there is no sum to compare with, or no MD5 (digest.h). */
bool sqs_md5_matches(struct flyover_bytes text, struct flyover_bytes hex);

/* False: it is not JSON, or there is no memory for it; then there is nothing to close. */
bool sqs_answer_open(const struct aws_answer *answer, struct sqs_answer *ret_answer);
void sqs_answer_close(struct sqs_answer *answer);
/* Empty where there is no such list. */
struct sqs_list sqs_list(const struct sqs_answer *answer, const char *name);
bool sqs_next(struct sqs_list *list, struct flyover_bytes *ret_entry);
/* An entry's Id, as this writes it: "0" to "9", below `count`. */
bool sqs_read_id(struct flyover_bytes entry, uint32_t count, uint32_t *ret_index);

#endif
