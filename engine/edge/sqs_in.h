/*
 * sqs_in: messages of queues start sagas, signal them, or end their steps. The module is
 * edge_sqs_in (edge_module.h), section "sqs_in".
 *
 *     sqs_in:
 *       queues:
 *         - url: https://sqs.eu-central-1.amazonaws.com/123456789012/orders
 *           definition: order             # each message starts one
 *           name: $.order.id              # what a message is known by, see below
 *           attributes: true              # the input is {"body", "attributes", "messageId", ...}
 *         - url: ...
 *           signal: {name: approved, saga: $.saga}    # the saga's id is in the body; so may the
 *                                                     # name be: $.what
 *         - url: ...
 *           reply: true                   # {"TaskToken", "Output"} or {"TaskToken", "Error",
 *                                         # "Cause"} ends the step with this token
 *     and for each: sns_envelope: true (the body is a notification of SNS; what counts are its
 *     Message and its MessageAttributes), connections (receives at once, 8), wait_seconds (20),
 * visibility_seconds (the queue's own).
 *
 * What a message is known by: a start is made once a name, however often the message comes.
 *     message-id        default; of a notification the MessageId of SNS
 *     deduplication-id  default of a FIFO queue: "orders.fifo/ID"
 *     attribute:NAME    a message attribute
 *     $.path, $['path'] text or a whole number in the body
 * With `attributes` the input has messageId (of a notification that of SNS) and sentTimestamp where
 * the message is known by its id alone, since what is sent again under a name has to be the same
 * input, or it is refused.
 * The name is remembered for the engine's name retention, and while the saga runs. A signal has no
 * such name: one that is delivered twice is sent twice.
 *
 * The way of a message:
 *
 *     ReceiveMessage ─► message ─► edge_bring ─► SETTLED ─► DeleteMessageBatch
 *                          │           │  ▲ └─► GIVEN_UP: is kept, and brought again later
 *                          │           └──┘     REFUSED:  is left to the queue
 *                          └─► cannot be a start: is left to the queue
 *
 * - Only as many are received as there is room for (edge_room); no room, no poll. A queue that is
 *   idle has one long poll under way, one that is full up to `connections`, and all of them
 *   together SQS_IN_POLLS_MAX: of more queues than that some wait for their turn.
 * - Left to the queue: not deleted, its visibility stays, so that it comes again and at last goes
 *   where the queue's redrive policy says. Counted, and logged with message id and reason.
 * - While a message waits longer than half of its visibility, that is extended.
 * - FIFO: of a group one message at a time is with the engine. Where one is refused, those behind
 * it are not started but become visible at once, to come again behind it.
 * - A queue that fails is asked again with a growing pause; the others do not wait for it.
 *
 * Threads: the edge thread. Memory: a message with its input until it is deleted, at most
 * `messages_max` of the engine's (edge.h), and no poll while those hold SQS_IN_BYTES_MAX.
 */
#ifndef ENGINE_EDGE_SQS_IN_H
#define ENGINE_EDGE_SQS_IN_H

#include "engine/edge/edge_module.h"

#define SQS_IN_QUEUES_MAX             256u
#define SQS_IN_CONNECTIONS_DEFAULT    8u
#define SQS_IN_CONNECTIONS_MAX        64
#define SQS_IN_POLLS_MAX              32u /* of all queues: half of a host's connections, http.h */
#define SQS_IN_WAIT_SECONDS           20
#define SQS_IN_VISIBILITY_SECONDS     30    /* where the queue does not say, or says too little */
#define SQS_IN_VISIBILITY_SECONDS_MIN 5     /* less would bring a bad message again at once */
#define SQS_IN_VISIBILITY_SECONDS_MAX 43200 /* SQS's */
#define SQS_IN_BYTES_MAX              (64u << 20)

#endif
