#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/sooner.h"
#include "engine/edge/sqs_in_parts.h"

#define MEMORY_MS        20 /* where there was none */
#define GIVEN_UP_BASE_MS 200
#define GIVEN_UP_MAX_MS  10000
#define POLICY_AGE_MS    60000 /* of what is known of the queue when a group waits */

/* ---- the list of open messages -----------------------------------------------------------------
 */

/* What waits for one another: those of a group; and a signal that is delivered again while it is
 * still with the engine. */
static const char *order_of(const struct sqs_message *message)
{
    return message->group ? message->group : message->known_id;
}

/* The youngest open one of its order. */
static struct sqs_message *last_of_order(const struct sqs_queue *queue, const char *order)
{
    for (struct sqs_message *at = queue->last; order && at; at = at->before)
        if (order_of(at) && strcmp(order_of(at), order) == 0)
            return at;
    return NULL;
}

static void heed_extension(const struct sqs_message *message)
{
    struct sqs_in *in = message->queue->in;
    if (message->extend_ms < in->extend_ms)
        in->extend_ms = message->extend_ms;
}

static void schedule_extension(struct sqs_message *message, int64_t now_ms)
{
    message->extend_ms = now_ms + message->queue->visibility_seconds * 1000 / 2;
    heed_extension(message);
}

void sqs_open_add(struct sqs_message *message, int64_t now_ms)
{
    struct sqs_queue *queue = message->queue;
    message->ahead = last_of_order(queue, order_of(message));
    if (message->ahead)
        message->ahead->behind = message;
    message->open = true;
    message->before = queue->last;
    *(queue->last ? &queue->last->next : &queue->first) = message;
    queue->last = message;
    queue->in->open++;
    sqs_room_of(queue)->waiting++;
    queue->in->bytes += message->bytes;
    schedule_extension(message, now_ms);
}

static void forget(struct sqs_message *message)
{
    if (!message->open && !message->deletion.busy && !message->visibility.busy)
        free(message);
}

/* It leaves the list, and its group is free for the one behind it. */
static void shut(struct sqs_message *message)
{
    struct sqs_queue *queue = message->queue;
    assert(message->open);
    message->open = false;
    if (message->ahead)
        message->ahead->behind = message->behind;
    if (message->behind)
        message->behind->ahead = message->ahead;
    *(message->before ? &message->before->next : &queue->first) = message->next;
    *(message->next ? &message->next->before : &queue->last) = message->before;
    queue->in->open--;
    queue->in->bytes -= message->bytes;
    if (!message->brought)
        sqs_room_of(queue)->waiting--;
}

/* ---- how it ends -------------------------------------------------------------------------------
 */

static void delete_it(struct sqs_message *message)
{
    shut(message);
    message->queue->deleting++;
    message->queue->in->bytes += message->bytes;
    sqs_receipts_add(&message->queue->in->deletes, &message->deletion);
}

void sqs_open_on_deleted(struct sqs_receipt *receipt, bool done)
{
    struct sqs_message *message = receipt->message;
    message->queue->deleting--;
    message->queue->in->bytes -= message->bytes;
    if (!done && message->known_id)
        sqs_known_add(&message->queue->undeleted, message->known_id);
    if (!done)
        edge_log(message->queue->in->thread, 6, "sqs_in_not_deleted",
                 "message %s of %s could not be deleted: its receipt has expired, or the queue was "
                 "purged; if it comes again it is known, and deleted then",
                 message->id, message->queue->url);
    forget(message);
}

static void make_visible(struct sqs_message *message, uint32_t seconds)
{
    message->visibility.seconds = seconds;
    sqs_receipts_add(&message->queue->in->visibilities, &message->visibility);
}

void sqs_open_release(struct sqs_message *message)
{
    if (message->open)
        shut(message);
    message->release = true;
    if (!message->visibility.busy)
        make_visible(message, 0);
}

void sqs_open_on_visible(struct sqs_receipt *receipt, bool done)
{
    struct sqs_message *message = receipt->message;
    if (message->release && receipt->seconds != 0) {
        make_visible(message, 0);
        return;
    }
    /* Its receipt is no longer good: it may be given to others, and is known if it comes again. */
    if (!done)
        message->extend_ms = INT64_MAX;
    if (message->open)
        heed_extension(message);
    forget(message);
}

static void release_behind(struct sqs_message *message)
{
    while (message->behind)
        sqs_open_release(message->behind);
}

bool sqs_open_is_last(const struct sqs_message *message)
{
    uint32_t receives_max = message->queue->receives_max;
    return receives_max != SQS_RECEIVES_UNKNOWN && message->receives >= receives_max;
}

/* Its group waits until it is moved away. For the last time, or where it is not known when that is,
 * those behind it are not to be received with it. */
static void hold_group(const struct sqs_message *message)
{
    struct sqs_queue *queue = message->queue;
    int64_t now_ms = batcher_now_ms();
    static_assert(SQS_RECEIVES_UNKNOWN == 0, "then any receive may be the last");
    if (message->receives == 0 || message->receives + 1 >= queue->receives_max)
        queue->singly_ms = now_ms + (int64_t)queue->visibility_seconds * 2 * 1000;
    if (now_ms - queue->asked_ms > POLICY_AGE_MS)
        queue->asked = false;
}

void sqs_open_refuse(struct sqs_message *message, const char *why)
{
    bool holds = message->group && !sqs_open_is_last(message);
    message->queue->refused++;
    if (!message->brought)
        edge_count_refused(message->queue->in->thread);
    edge_log(message->queue->in->thread, 4, "sqs_in_refused",
             "message %s of %s is left to the queue's redrive policy (%" PRIu64 " so far)%s: %s",
             message->id, message->queue->url, message->queue->refused,
             holds ? ", for which its group waits" : "", why);
    if (holds) {
        hold_group(message);
        release_behind(message);
    }
    if (message->open)
        shut(message);
    forget(message);
}

void sqs_open_settled(struct sqs_message *message, enum edge_settlement settlement,
                      const char *sentence, int64_t now_ms)
{
    struct sqs_in *in = message->queue->in;
    switch (settlement) {
    case EDGE_SETTLED:
        if (message->known_id)
            sqs_known_add(&message->queue->settled, message->known_id);
        delete_it(message);
        return;
    case EDGE_REFUSED: sqs_open_refuse(message, sentence); return;
    case EDGE_GIVEN_UP: break;
    }
    if (in->draining) {
        release_behind(message);
        sqs_open_release(message);
        return;
    }
    message->brought = false;
    sqs_room_of(message->queue)->waiting++;
    message->ready_ms =
        now_ms + 1 + batcher_backoff_ms(message->given_up++, GIVEN_UP_BASE_MS, GIVEN_UP_MAX_MS);
}

/* ---- each turn ---------------------------------------------------------------------------------
 */

static bool waits(const struct sqs_message *message)
{
    return !message->brought && !message->ahead;
}

/* A signal that the saga has, since the engine started. */
static bool is_settled(const struct sqs_message *message)
{
    const struct sqs_queue *queue = message->queue;
    return message->known_id && (sqs_known_has(queue->settled, message->known_id) ||
                                 sqs_known_has(queue->undeleted, message->known_id));
}

static void delete_again(struct sqs_message *message)
{
    edge_log(message->queue->in->thread, 6, "sqs_in_again",
             "message %s of %s came again, and is deleted: its signal was sent before", message->id,
             message->queue->url);
    delete_it(message);
}

/* What is refused takes those behind it along. */
static enum status bring(struct sqs_message *message)
{
    struct sqs_queue *queue = message->queue;
    struct problem problem = {0};
    const struct edge_message brought = {.kind = queue->kind,
                                         .definition = queue->definition,
                                         .name = message->name,
                                         .token = message->token,
                                         .saga_id = message->saga_id,
                                         .input = message->input,
                                         .error = message->error,
                                         .cause = message->cause,
                                         .handle = message};
    message->brought = true;
    sqs_room_of(queue)->waiting--;
    enum status status = edge_bring(queue->in->thread, queue->in, &brought, &problem);
    if (status == STATUS_OK)
        return status;
    message->brought = false;
    sqs_room_of(queue)->waiting++;
    if (status_class(status) == STATUS_CLASS_REJECT)
        sqs_open_refuse(message, problem.text);
    return status;
}

static int64_t bring_of(struct sqs_queue *queue, int64_t now_ms)
{
    int64_t soonest_ms = -1;
    struct sqs_message *next;
    for (struct sqs_message *message = queue->first; message; message = next) {
        next = message->next;
        if (!waits(message))
            continue;
        if (message->ready_ms > now_ms) {
            soonest_ms = sooner(soonest_ms, message->ready_ms - now_ms);
            continue;
        }
        if (is_settled(message)) {
            delete_again(message);
            next = queue->first; /* the list is another now */
            continue;
        }
        enum status status = bring(message);
        if (status_class(status) == STATUS_CLASS_REJECT)
            next = queue->first;
        else if (status == STATUS_BUSY)
            return soonest_ms; /* room comes with a settlement, and a turn with that */
        else if (status != STATUS_OK)
            return MEMORY_MS;
    }
    return soonest_ms;
}

/* One that is being extended is heeded when that has ended. */
static void extend_of(struct sqs_queue *queue, int64_t now_ms)
{
    for (struct sqs_message *message = queue->first; message; message = message->next) {
        if (message->visibility.busy)
            continue;
        if (message->extend_ms > now_ms) {
            heed_extension(message);
            continue;
        }
        schedule_extension(message, now_ms);
        make_visible(message, queue->visibility_seconds);
    }
}

static void extend(struct sqs_in *in, int64_t now_ms)
{
    if (now_ms < in->extend_ms)
        return;
    in->extend_ms = INT64_MAX;
    for (uint32_t i = 0; i < in->queues_count; i++)
        extend_of(&in->queues[i], now_ms);
}

int64_t sqs_open_turn(struct sqs_in *in, int64_t now_ms)
{
    int64_t soonest_ms = -1;
    for (uint32_t i = 0; i < in->queues_count; i++)
        if (sqs_room_of(&in->queues[i])->waiting > 0)
            soonest_ms = sooner(soonest_ms, bring_of(&in->queues[i], now_ms));
    extend(in, now_ms);
    if (in->extend_ms != INT64_MAX)
        soonest_ms = sooner(soonest_ms, in->extend_ms > now_ms ? in->extend_ms - now_ms : 0);
    return soonest_ms;
}
