/*
 * sns: messages to topics: arn:aws:states:::sns:publish, also .waitForTaskToken. The module is
 * edge_sns (edge_module.h), section "sns", service "aws-sns", handler "publish".
 *
 *     sns:                     # all of it is optional
 *       connections: 8         # batches under way to one topic
 *       key_attribute: true    # FlyoverKey, see outbox_message.h
 *       events:                # sagas that end, or are stuck, to a topic
 *         topic: arn:aws:sns:eu-central-1:123456789012:order-events
 *         on: [COMPENSATED, STUCK]       # of SUCCEEDED, FAILED, COMPENSATED, STUCK, ABORTED; all
 *         definitions: [order]           # all
 *
 * Parameters: one of TopicArn, TargetArn and PhoneNumber; Message (text, or any JSON, which is sent
 * as text); Subject, MessageAttributes, MessageStructure, MessageGroupId, MessageDeduplicationId as
 * AWS has them. The output is AWS's: {"MessageId", and "SequenceNumber" of FIFO}. A compensation is
 * published in the same way, and needs Parameters of its own.
 *
 * Calls of all sagas to one topic go by PublishBatch, up to 10 and 256 KiB (outbox.h); to a target
 * or a telephone singly, by Publish. FIFO topics, a call that is given twice, and the attribute
 * FlyoverKey: as sqs_out.h says it of queues.
 *
 * An event's Message is {"saga_id", "definition", "version", "outcome", "ended_ms"}, with "error",
 * "cause" and "output" where there are any ("output_omitted": true where it is too large), and its
 * attributes are "definition" and "outcome", for filters of subscriptions. To a FIFO topic the
 * group is the saga's. What fails is sent again for some minutes; what then is left, or was not yet
 * sent when the engine died, is lost: at most once over a crash, at least once else
 * (edge_module.h).
 *
 * Errors are named as Step Functions names them, after the Java SDK's classes:
 *   SNS.NotFoundException, SNS.InvalidParameterException, SNS.AuthorizationErrorException,
 *   SNS.InternalErrorException, SNS.EndpointDisabledException, SNS.KMS…Exception, …
 *                              what Publish and PublishBatch say by name
 *   SNS.AmazonSNSException     whatever else SNS answers; the cause has its code
 *   SNS.SdkClientException     there was no answer, or no credentials
 * What the Parameters have wrong is SNS.InvalidParameterException, and is not retried; throttling,
 * 5xx and no answer are retryable.
 */
#ifndef ENGINE_EDGE_SNS_H
#define ENGINE_EDGE_SNS_H

#include "engine/edge/outbox_message.h"

#define SNS_EVENT_DEFINITIONS_MAX 64u

struct sns_events {
    char *topic; /* NULL: none are wanted; owned, as the names */
    uint32_t outcomes;
    char *definitions[SNS_EVENT_DEFINITIONS_MAX];
    uint32_t definitions_count; /* 0: all */
};

struct sns {
    struct edge_thread *thread;
    struct aws *aws;
    struct outbox outbox;
    struct sns_events events;
};

bool sns_is_topic(const char *text);
bool sns_is_fifo(const char *topic);

/* ---- sns_events.c ------------------------------------------------------------------------------
 */
NODISCARD enum status sns_events_read(struct sns_events *events, const json_t *config,
                                      struct problem *problem);
void sns_events_free(struct sns_events *events);
bool sns_wants_end(const void *module, const char *definition, const char *outcome);
void sns_on_saga_ended(void *module, struct edge_end *end);

/* ---- the Query protocol: sns_form.c, sns_read.c ----------------------------------------------
 */
/* What is asked for, as application/x-www-form-urlencoded: PublishBatch to the topic `batch->key`,
 * or Publish if `single`. Returns owned; NULL for want of memory. */
char *sns_form(const struct batcher_batch *batch, bool single);
/* The answer to it: a document of XML. What it does not name stays as it is. */
void sns_read(const struct batcher_batch *batch, const struct aws_answer *answer, bool single,
              struct sink *outputs, struct outbox_outcome *outcomes);

#endif
