/*
 * sqs_out: messages to queues: arn:aws:states:::sqs:sendMessage, also .waitForTaskToken. The module
 * is edge_sqs (edge_module.h), section "sqs", service "aws-sqs", handler "sendMessage".
 *
 *     sqs: {connections: 8, key_attribute: true}     # both optional
 *
 * Parameters: QueueUrl and MessageBody (text, or any JSON, which is sent as text);
 * MessageAttributes, DelaySeconds, MessageGroupId, MessageDeduplicationId as AWS has them. The
 * output is AWS's: {"MessageId", "MD5OfMessageBody", and "MD5OfMessageAttributes",
 * "SequenceNumber" where there are any}. A compensation is sent in the same way, and needs
 * Parameters of its own.
 *
 * Calls of all sagas to one queue go by SendMessageBatch, up to 10 and 256 KiB (outbox.h), over up
 * to `connections` at once. FIFO: messages of one group keep the order in which the engine gave
 * them, but that one which SQS failed by itself is sent again behind those that were in its batch.
 *
 * Twice: a call that is given again (after a crash, a lost answer) has the same key. To a FIFO
 * queue it is the deduplication id, so that SQS drops the second within its five minutes; to a
 * standard queue the message is there twice, with the same attribute FlyoverKey (outbox_message.h).
 *
 * Errors: as sqs.h names them. What the Parameters have wrong is SQS.AmazonSQSException, as AWS
 * would say it, and is not retried; throttling, 5xx and no answer are retryable.
 */
#ifndef ENGINE_EDGE_SQS_OUT_H
#define ENGINE_EDGE_SQS_OUT_H

#include "engine/edge/edge_module.h"

#define SQS_DELAY_SECONDS_MAX 900

#endif
