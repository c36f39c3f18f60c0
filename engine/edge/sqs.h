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

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/edge/aws.h"

#define SQS_URL_BYTES_MAX  1024u
#define SQS_ATTRIBUTES_MAX 10u
#define SQS_MD5_BYTES      33u

struct sqs_request {
    const char *action; /* "SendMessageBatch" */
    const char *queue_url;
    json_t *body;                     /* stolen, whatever is returned */
    uint32_t timeout_ms, patience_ms; /* aws.h */
    size_t answer_bytes_max;
    void (*on_end)(void *context, const struct aws_answer *answer);
    void (*on_retry)(void *context); /* may be NULL */
    void *context;
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
/* Lower-case hex; "" where the machine's policy allows no MD5. */
void sqs_md5(const char *text, size_t bytes, char ret_hex[SQS_MD5_BYTES]);
/* True too where one of the two is not there to compare. */
bool sqs_md5_matches(const char *text, size_t bytes, const json_t *hex);

#endif
