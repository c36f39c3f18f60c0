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
 * The name is remembered for the engine's name retention, and while the saga runs.
 *
 * A signal has no such name in the engine. It is known by its message's id (of a notification that
 * of SNS) as long as the engine lives: of a queue the last SQS_IN_KNOWN_MAX that were settled, and
 * as many whose deletion failed. One of these that is delivered again is deleted without being
 * sent; one that is delivered again while it is still with the engine waits until that has ended.
 * What was sent and not yet deleted when the engine dies is sent again by the next: at least once
 * over a crash. A step that ends by token has that once, whatever comes again.
 *
 * The way of a message:
 *
 *     ReceiveMessage ─► message ─► edge_bring ─► SETTLED ─► DeleteMessageBatch
 *                          │           │  ▲ └─► GIVEN_UP: is kept, and brought again later
 *                          │           └──┘     REFUSED:  is left to the queue
 *                          └─► cannot be a start: is left to the queue
 *
 * - Only as many are received as there is room for (edge_room); no room, no poll. Nor while
 *   SQS_IN_DELETING_MAX of the queue wait to be deleted: what SQS has in flight stays few, and its
 *   time goes to deletes first. A queue that is
 *   idle has one long poll under way, one that is full up to `connections`, and all of them
 *   together SQS_IN_POLLS_MAX: of more queues than that some wait for their turn.
 * - Left to the queue: not deleted, its visibility stays, so that it comes again and at last goes
 *   where the queue's redrive policy says. Counted, and logged with message id and reason.
 * - While a message waits longer than half of its visibility, that is extended.
 * - FIFO: of a group one message at a time is with the engine, and none before it is clear what
 *   becomes of those ahead of it; see below.
 * - A queue that fails is asked again with a growing pause; the others do not wait for it.
 *
 * A bad message in a FIFO group. SQS gives nothing of a group while any of it is in flight, counts
 * a receive of each that it gives, and moves away what has been received `maxReceiveCount` times
 * when it would be received again. So those behind the bad one can neither be kept here, since then
 * that would never be received again and so never go, nor may they just be given back each time,
 * since they would be counted with it and go with it. Instead:
 * - They are given back (visible at once), until the bad one has been received for the last time
 *   that the redrive policy allows, by its ApproximateReceiveCount. Then it is clear that it goes,
 *   and those that came with it are started at once. They have been received no more often than it,
 *   so none of them has gone before.
 * - For this last time the queue is asked for one message a receive, so that the bad one comes
 *   alone and those behind it have one receive left, for an answer that is lost or an engine that
 *   ends; not before, since the queue's other groups pay for it. Where the policy is not known
 *   (GetQueueAttributes is denied) it is so for as long as a bad one is about.
 * - Where there is no policy, its group waits until the queue's retention ends; that is said.
 * The policy is asked for again where a group waits and what is known is older than a minute. What
 * remains: a good one that came with the bad one that last time all the same, as it does where the
 * policy allows one receive only, or where a poll was under way for longer than the visibility, is
 * moved away if it has to be given back, since the engine ends, or since the policy is not known.
 *
 * Threads: the edge thread. Memory: a message with its input until it is deleted: at most
 * `messages_max` of the engine's (edge.h), and of each queue SQS_IN_DELETING_MAX and what its
 * receives under way may bring; no poll while all of them hold SQS_IN_BYTES_MAX; for ids of signals
 * at most 352 KiB a queue.
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
#define SQS_IN_DELETING_MAX           256u  /* of a queue; three times what its deletes hold */
#define SQS_IN_KNOWN_MAX              8192u /* signals of a queue, for when they come again */

#endif
