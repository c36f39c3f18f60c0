#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "engine/base/hex.h"
#include "engine/edge/sqs.h"
#include "engine/edge/sqs_in_parts.h"

#define RECEIVE_MAX      10u
#define ANSWER_BYTES_MAX (16u << 20)
#define ANSWER_MS        15000u /* beyond the wait */
#define PAUSE_BASE_MS    500
#define PAUSE_MAX_MS     60000
#define PAUSE_LEAST_MS   100
#define ATTRIBUTES_MS    15000u
#define RECEIVES_MAX     1000 /* SQS's, of a RedrivePolicy */
#define HOUR_MS          3600000.0

struct poll {
    struct sqs_queue *queue;
    uint32_t asked;
};

/* ---- a queue that fails ------------------------------------------------------------------------
 */

static bool is_missing(const char *error)
{
    return strstr(error, "QueueDoesNotExist") || strstr(error, "NonExistentQueue");
}

static const char *advice(const char *error)
{
    if (is_missing(error))
        return ": there is no such queue (any more): create it, or mend its url in sqs_in.queues";
    if (strstr(error, "AccessDenied"))
        return ": the credentials need sqs:ReceiveMessage, sqs:DeleteMessage, "
               "sqs:ChangeMessageVisibility and sqs:GetQueueAttributes of it";
    if (strstr(error, "OverLimit"))
        return ": too many of its messages are in flight: who else receives from it and does not "
               "delete?";
    return "";
}

static bool is_power_of_two(uint32_t number)
{
    return (number & (number - 1)) == 0;
}

/* Said the first time, when it changes, and then ever more rarely. */
static void rest(struct sqs_queue *queue, const struct aws_answer *answer)
{
    /* Polls that were under way together fail together: that is one failure. */
    if (answer->http.end == HTTP_CANCELLED || queue->retry_ms > batcher_now_ms())
        return;
    const char *error = *answer->error ? answer->error : "no answer";
    bool other = strcmp(queue->failure, error) != 0;
    int64_t pause_ms =
        PAUSE_LEAST_MS + batcher_backoff_ms(queue->failures, PAUSE_BASE_MS, PAUSE_MAX_MS);
    queue->failures++;
    queue->polls_wanted = 1;
    queue->retry_ms = batcher_now_ms() + pause_ms;
    (void)snprintf(queue->failure, sizeof(queue->failure), "%s", error);
    if (is_missing(error))
        queue->asked = queue->ready = false; /* another may come in its place */
    if (other || is_power_of_two(queue->failures))
        edge_log(queue->in->thread, 4, "sqs_in_queue_fails",
                 "%s gives no messages%s: %s (%s); failed %u times, asked again in %.1f s",
                 queue->url, advice(error), answer->message, error, queue->failures,
                 (double)pause_ms / 1000);
}

static void recovered(struct sqs_queue *queue)
{
    if (queue->failures == 0)
        return;
    edge_log(queue->in->thread, 6, "sqs_in_queue_back", "%s answers again, after %u failures",
             queue->url, queue->failures);
    queue->failures = 0;
    queue->failure[0] = 0;
}

/* ---- what the queue is -------------------------------------------------------------------------
 */

static int64_t attribute(const json_t *attributes, const char *name)
{
    const char *text = json_string_value(json_object_get(attributes, name));
    return text ? strtoll(text, NULL, 10) : -1;
}

static void decide_visibility(struct sqs_queue *queue, int64_t of_queue)
{
    queue->visibility_seconds = queue->visibility_told;
    queue->visibility_sent = true;
    if (queue->visibility_told != 0)
        return;
    queue->visibility_sent = of_queue < SQS_IN_VISIBILITY_SECONDS_MIN;
    queue->visibility_seconds =
        queue->visibility_sent ? SQS_IN_VISIBILITY_SECONDS : (uint32_t)of_queue;
}

/* {"deadLetterTargetArn": ..., "maxReceiveCount": "5"} */
static void decide_receives(struct sqs_queue *queue, const json_t *attributes)
{
    const char *text = json_string_value(json_object_get(attributes, "RedrivePolicy"));
    json_t *policy = text ? json_loads(text, 0, NULL) : NULL;
    const json_t *count = json_object_get(policy, "maxReceiveCount");
    const char *digits = json_string_value(count);
    json_int_t most = digits ? strtoll(digits, NULL, 10) : json_integer_value(count);
    queue->receives_max = !text                              ? SQS_RECEIVES_ANY
                          : most > 0 && most <= RECEIVES_MAX ? (uint32_t)most
                                                             : SQS_RECEIVES_UNKNOWN;
    json_decref(policy);
}

static void warn(const struct sqs_queue *queue, const json_t *attributes)
{
    struct edge_thread *thread = queue->in->thread;
    int64_t retention_ms = attribute(attributes, "MessageRetentionPeriod") * 1000;
    const char *by_content =
        json_string_value(json_object_get(attributes, "ContentBasedDeduplication"));
    if (queue->kind == EDGE_START && retention_ms > (int64_t)queue->in->name_retention_ms)
        edge_log(thread, 4, "sqs_in_retention",
                 "%s keeps messages for %.1f hours, and the engine names for %.1f: a message that "
                 "is found again after that starts a second saga: raise --name-retention-hours",
                 queue->url, (double)retention_ms / HOUR_MS,
                 (double)queue->in->name_retention_ms / HOUR_MS);
    if (!json_object_get(attributes, "RedrivePolicy"))
        edge_log(thread, 4, "sqs_in_redrive",
                 "%s has no RedrivePolicy: a message that cannot be used comes again every %u s%s, "
                 "until its retention ends",
                 queue->url, queue->visibility_seconds,
                 queue->fifo ? ", and those behind it in its group wait" : "");
    if (queue->known_by == SQS_BY_DEDUPLICATION_ID && by_content && strcmp(by_content, "true") == 0)
        edge_log(
            thread, 4, "sqs_in_content",
            "%s deduplicates by content: a body that is sent again, however much later, counts "
            "as the same message for as long as names are kept; where that is not meant, say "
            "`name: message-id`",
            queue->url);
}

static void on_attributes(void *context, const struct aws_answer *answer)
{
    struct sqs_queue *queue = context;
    bool denied = strstr(answer->error, "AccessDenied") != NULL;
    if (!answer->ok && !denied) {
        queue->asked = false;
        rest(queue, answer);
        return;
    }
    const json_t *attributes = json_object_get(answer->json, "Attributes");
    bool was_ready = queue->ready;
    queue->ready = true;
    decide_visibility(queue, attribute(attributes, "VisibilityTimeout"));
    queue->receives_max = SQS_RECEIVES_UNKNOWN;
    if (answer->ok)
        decide_receives(queue, attributes);
    if (was_ready)
        return;
    if (answer->ok)
        warn(queue, attributes);
    else
        edge_log(
            queue->in->thread, 4, "sqs_in_attributes",
            "%s does not tell its attributes (sqs:GetQueueAttributes is denied): taken is a "
            "visibility of %u s; that its messages are kept no longer than names are, and that "
            "it has a redrive policy, is not checked",
            queue->url, queue->visibility_seconds);
}

static void ask_attributes(struct sqs_queue *queue)
{
    struct text body = {0};
    text_put(&body, "{\"QueueUrl\":");
    text_string(&body, queue->url, strlen(queue->url));
    text_put(&body, ",\"AttributeNames\":[\"All\"]}");
    const struct sqs_request request = {.action = "GetQueueAttributes",
                                        .queue_url = queue->url,
                                        .body = &body,
                                        .timeout_ms = ATTRIBUTES_MS,
                                        .answer_bytes_max = 1u << 16,
                                        .on_end = on_attributes,
                                        .context = queue};
    struct problem problem = {0};
    queue->asked = true;
    queue->asked_ms = batcher_now_ms();
    enum status status = sqs_send(queue->in->aws, &request, &problem);
    text_free(&body);
    if (status == STATUS_OK)
        return;
    const struct aws_answer none = {.error = "", .message = problem.text};
    queue->asked = false;
    rest(queue, &none);
}

/* ---- receives ----------------------------------------------------------------------------------
 */

static bool was_refused(const struct flyover_bytes *groups, uint32_t count, const char *group)
{
    for (uint32_t i = 0; group && i < count; i++)
        if (groups[i].count == strlen(group) && memcmp(groups[i].at, group, groups[i].count) == 0)
            return true;
    return false;
}

/* How many there were. */
static uint32_t take_messages(struct sqs_queue *queue, struct sqs_list messages)
{
    struct flyover_bytes refused[RECEIVE_MAX], received;
    uint32_t refused_count = 0, count = messages.left;
    int64_t now_ms = batcher_now_ms();
    while (sqs_next(&messages, &received)) {
        struct sqs_message *message = NULL;
        struct problem problem = {0};
        enum status status = sqs_message_read(queue, received, &message, &problem);
        if (!message)
            continue; /* for want of memory: it comes again */
        queue->received++;
        if (queue->in->draining || was_refused(refused, refused_count, message->group)) {
            sqs_open_release(message);
        } else if (status != STATUS_OK) {
            if (message->group && !sqs_open_is_last(message) && refused_count < RECEIVE_MAX)
                refused[refused_count++] = sqs_system_text(received, "MessageGroupId");
            sqs_open_refuse(message, problem.text);
        } else {
            sqs_open_add(message, now_ms);
        }
    }
    return count;
}

/* A queue that gives much is asked more often at once. SQS looks at some of its servers only, so
 * that also a full queue seldom gives all ten. */
static void adapt(struct sqs_queue *queue, uint32_t asked, uint32_t came)
{
    if (came * 2 >= asked && queue->polls_wanted < queue->connections)
        queue->polls_wanted = queue->polls_wanted * 2 < queue->connections ? queue->polls_wanted * 2
                                                                           : queue->connections;
    else if (came == 0 && queue->polls_wanted > 1)
        queue->polls_wanted /= 2;
}

static void on_received(void *context, const struct aws_answer *answer)
{
    struct poll poll = *(struct poll *)context;
    struct sqs_queue *queue = poll.queue;
    free(context);
    queue->polls--;
    queue->in->polls--;
    sqs_room_of(queue)->asked -= poll.asked;
    if (!answer->ok) {
        rest(queue, answer);
        return;
    }
    recovered(queue);
    uint32_t came = 0;
    struct sqs_answer read;
    if (sqs_answer_open(answer, &read)) {
        came = take_messages(queue, sqs_list(&read, "Messages"));
        sqs_answer_close(&read);
    }
    adapt(queue, poll.asked, came);
}

/* The same for each attempt of one receive: SQS then gives the same messages again, where the
 * answer was lost, and the groups are not held up. */
static void write_attempt_id(struct text *body)
{
    unsigned char random[16];
    char id[2 * sizeof(random)];
    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return;
    text_put(body, ",\"ReceiveRequestAttemptId\":\"");
    text_put_bytes(body, id, hex_write(random, sizeof(random), id));
    text_put(body, "\"");
}

/* No more than is read: each costs the queue, and both of us, a part of every message. */
static void write_names(const struct sqs_queue *queue, struct text *body)
{
    const struct {
        const char *name;
        bool is_read;
    } names[] = {
        {"MessageGroupId", queue->fifo || queue->attributes},
        {"MessageDeduplicationId", queue->known_by == SQS_BY_DEDUPLICATION_ID || queue->attributes},
        {"SentTimestamp", queue->attributes},
        {"ApproximateReceiveCount", queue->fifo}};
    const char *before = ",\"AttributeNames\":[\"";
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!names[i].is_read)
            continue;
        text_put(body, before);
        text_put(body, names[i].name);
        before = "\",\"";
    }
    if (*before == '"')
        text_put(body, "\"]");
}

static void write_body(const struct sqs_queue *queue, uint32_t most, struct text *body)
{
    text_put(body, "{\"QueueUrl\":");
    text_string(body, queue->url, strlen(queue->url));
    text_put_number(body, ",\"MaxNumberOfMessages\":", most);
    text_put_number(body, ",\"WaitTimeSeconds\":", queue->wait_seconds);
    write_names(queue, body);
    if (queue->attributes || queue->known_by == SQS_BY_ATTRIBUTE)
        text_put(body, ",\"MessageAttributeNames\":[\"All\"]");
    if (queue->visibility_sent)
        text_put_number(body, ",\"VisibilityTimeout\":", queue->visibility_seconds);
    if (queue->fifo)
        write_attempt_id(body);
    text_put(body, "}");
}

static bool receive(struct sqs_queue *queue, uint32_t most)
{
    struct poll *poll = malloc(sizeof(*poll));
    if (!poll)
        return false;
    struct text body = {0};
    *poll = (struct poll){queue, most};
    write_body(queue, most, &body);
    const struct sqs_request request = {.action = "ReceiveMessage",
                                        .queue_url = queue->url,
                                        .body = &body,
                                        .timeout_ms = queue->wait_seconds * 1000 + ANSWER_MS,
                                        .answer_bytes_max = ANSWER_BYTES_MAX,
                                        .reads_answer = true,
                                        .on_end = on_received,
                                        .context = poll};
    struct problem problem = {0};
    enum status status = sqs_send(queue->in->aws, &request, &problem);
    text_free(&body);
    if (status == STATUS_OK) {
        queue->polls++;
        queue->in->polls++;
        queue->in->turn_first = queue->index + 1;
        sqs_room_of(queue)->asked += most;
        return true;
    }
    const struct aws_answer none = {.error = "", .message = problem.text};
    free(poll);
    rest(queue, &none);
    return false;
}

struct sqs_room *sqs_room_of(const struct sqs_queue *queue)
{
    return queue->kind == EDGE_START ? &queue->in->starts : &queue->in->answers;
}

static uint32_t room_for(const struct sqs_queue *queue)
{
    const struct sqs_room *taken = sqs_room_of(queue);
    uint32_t room = queue->kind == EDGE_START ? edge_room(queue->in->thread)
                                              : edge_room_for_answers(queue->in->thread);
    bool full = queue->in->bytes >= SQS_IN_BYTES_MAX || queue->in->polls >= SQS_IN_POLLS_MAX ||
                queue->deleting >= SQS_IN_DELETING_MAX;
    return full || room <= taken->asked + taken->waiting ? 0 : room - taken->asked - taken->waiting;
}

static void poll_queue(struct sqs_queue *queue)
{
    const struct sqs_in *in = queue->in;
    if (!queue->asked)
        ask_attributes(queue);
    int64_t now_ms = batcher_now_ms();
    uint32_t wanted = now_ms < queue->singly_ms ? 1 : in->receive_max;
    while (queue->ready && queue->polls < queue->polls_wanted && now_ms >= queue->retry_ms) {
        uint32_t most = room_for(queue);
        if (most == 0 || !receive(queue, most < wanted ? most : wanted))
            return;
    }
}

/* No queue may hold all the room while others have no poll at all. */
static void share_room(struct sqs_in *in)
{
    uint32_t share = edge_room(in->thread) / in->queues_count;
    if (in->receive_max != 0)
        return;
    in->receive_max = share == 0 ? 1 : share < RECEIVE_MAX ? share : RECEIVE_MAX;
}

int64_t sqs_poll_turn(struct sqs_in *in, int64_t now_ms)
{
    int64_t soonest_ms = -1;
    share_room(in);
    uint32_t first = in->turn_first; /* behind the one that was asked last */
    for (uint32_t i = 0; i < in->queues_count; i++) {
        struct sqs_queue *queue = &in->queues[(first + i) % in->queues_count];
        if (queue->retry_ms <= now_ms)
            poll_queue(queue);
        int64_t rest_ms = queue->retry_ms - now_ms;
        if (rest_ms > 0 && (soonest_ms < 0 || rest_ms < soonest_ms))
            soonest_ms = rest_ms;
    }
    return soonest_ms;
}
