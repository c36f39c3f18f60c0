/*
 * sns: messages to topics: arn:aws:states:::sns:publish, also .waitForTaskToken. The module is
 * edge_sns (edge_module.h), section "sns", service "aws-sns", handler "publish".
 *
 *     sns: {connections: 8, key_attribute: true}     # both optional
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

#include "engine/edge/outbox.h"

/* ---- the Query protocol: sns_form.c, sns_read.c ----------------------------------------------
 */
/* What is asked for, as application/x-www-form-urlencoded: PublishBatch to the topic `batch->key`,
 * or Publish if `single`. Returns owned; NULL for want of memory. */
char *sns_form(const struct batcher_batch *batch, bool single);
/* The answer to it: a document of XML. What it does not name stays as it is. */
void sns_read(const struct batcher_batch *batch, const char *xml, size_t bytes, bool single,
              struct outbox_outcome *outcomes);

#endif
