#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/sqs.h"
#include "engine/edge/sqs_in_parts.h"
#include "engine/saga/sink.h"

#define NUMBER_BYTES 64u

/* What is being read. Texts point into the answer, the scratch, or what is below. */
struct reading {
    struct sqs_queue *queue;
    struct flyover_bytes received;
    struct flyover_bytes body;       /* as a value */
    struct flyover_bytes attributes; /* of the message, or of the notification in it */
    struct flyover_bytes notification_id;
    struct problem *problem;
    /* What becomes of the message. at NULL: it has none. */
    struct flyover_bytes name, token, known_id, error, cause, input;
    uint64_t saga_id;
    char name_memory[SQS_URL_BYTES_MAX + EDGE_NAME_BYTES];
};

/* at NULL: it is no text, or an empty one. */
static struct flyover_bytes name_text(struct flyover_bytes value)
{
    struct flyover_bytes text = field_as_text(value);
    return text.count > 0 ? text : (struct flyover_bytes){0};
}

struct flyover_bytes sqs_system_text(struct flyover_bytes received, const char *name)
{
    struct flyover_bytes attributes;
    if (!field_find(received, "Attributes", &attributes))
        return (struct flyover_bytes){0};
    return field_text(attributes, name);
}

static enum status no_message(const struct reading *reading, const char *why)
{
    return problem_set(reading->problem, STATUS_INVALID, "%s", why);
}

/* ---- the body ----------------------------------------------------------------------------------
 */

/* ["software.amazon.payloadoffloading.PayloadS3Pointer", {"s3BucketName": ..., "s3Key": ...}] */
static enum status check_pointer(const struct reading *reading)
{
    uint32_t count = 0;
    struct flyover_bytes kind;
    struct flyover_cursor cursor = field_cursor(reading->body);
    if (!flyover_read_array(&cursor, &count) || count != 2 || !flyover_read_str(&cursor, &kind) ||
        !memmem(kind.at, kind.count, "S3Pointer", 9))
        return STATUS_OK;
    return problem_set(reading->problem, STATUS_INVALID,
                       "the body is in S3 (%.*s, written by an extended client library), which is "
                       "not fetched: send what the saga needs, at most 256 KiB, and where the rest "
                       "is as a field of it",
                       kind.count < 100 ? (int)kind.count : 100, (const char *)kind.at);
}

static enum status parse(struct reading *reading, struct flyover_bytes text, uint8_t *memory)
{
    size_t bytes = 0;
    struct problem why = {0};
    enum status status =
        value_from_text((const char *)text.at, text.count, memory, SQS_IN_PART_BYTES, &bytes, &why);
    reading->body = (struct flyover_bytes){memory, (uint32_t)bytes};
    if (status == STATUS_OK)
        return check_pointer(reading);
    if (status == STATUS_TOO_LARGE)
        return problem_set(reading->problem, status,
                           "its body is larger than a payload, %u bytes, may be",
                           FLYOVER_PAYLOAD_BYTES_MAX);
    if (status == STATUS_UNSUPPORTED)
        return problem_set(reading->problem, STATUS_INVALID,
                           "its body is nested deeper than a payload, %u, may be",
                           FLYOVER_DEPTH_MAX);
    return problem_set(reading->problem, status, "the body is not JSON: %.160s", why.text);
}

/* {"Type": "Notification", "MessageId": ..., "Message": "..."} */
static enum status open_envelope(struct reading *reading, uint8_t *memory)
{
    struct flyover_bytes envelope = reading->body;
    struct flyover_bytes message = field_text(envelope, "Message");
    if (!field_text_is(field_text(envelope, "Type"), "Notification") || !message.at)
        return no_message(reading, "the body is no notification of SNS with a Message: where raw "
                                   "delivery is on, leave out sns_envelope");
    reading->attributes = (struct flyover_bytes){0};
    (void)field_find(envelope, "MessageAttributes", &reading->attributes);
    reading->notification_id = field_text(envelope, "MessageId");
    return parse(reading, message, memory);
}

static enum status read_body(struct reading *reading)
{
    uint8_t *memory = reading->queue->in->scratch;
    struct flyover_bytes body = field_text(reading->received, "Body");
    if (!body.at)
        return no_message(reading, "the message has no body");
    if (!sqs_md5_matches(body, field_text(reading->received, "MD5OfBody")))
        return no_message(reading,
                          "its MD5 is not the one that SQS says: it was damaged on its way");
    enum status status = parse(reading, body, memory);
    return status == STATUS_OK && reading->queue->sns_envelope
               ? open_envelope(reading, memory + SQS_IN_PART_BYTES)
               : status;
}

/* ---- attributes --------------------------------------------------------------------------------
 */

struct attribute {
    struct flyover_bytes name, value;
};

static uint32_t attributes_count(struct flyover_bytes attributes)
{
    uint32_t count = 0;
    struct flyover_cursor cursor = field_cursor(attributes);
    (void)flyover_read_map(&cursor, &count);
    return count;
}

static int compare_names(const void *a, const void *b)
{
    const struct flyover_bytes *left = &((const struct attribute *)a)->name;
    const struct flyover_bytes *right = &((const struct attribute *)b)->name;
    size_t shared = left->count < right->count ? left->count : right->count;
    int order = memcmp(left->at, right->at, shared);
    return order != 0 ? order : (left->count > right->count) - (left->count < right->count);
}

/* By name, since the same message must be the same input whenever it comes. */
static uint32_t sort_attributes(struct flyover_bytes attributes,
                                struct attribute ret_sorted[SQS_ATTRIBUTES_MAX])
{
    uint32_t count = 0;
    struct flyover_cursor cursor = field_cursor(attributes);
    (void)flyover_read_map(&cursor, &count);
    assert(count <= SQS_ATTRIBUTES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        (void)flyover_read_str(&cursor, &ret_sorted[i].name);
        ret_sorted[i].value = field_take(&cursor);
    }
    qsort(ret_sorted, count, sizeof(ret_sorted[0]), compare_names);
    return count;
}

/* A Number that JSON can say as it is; else text. */
static void put_number(struct sink *input, struct flyover_bytes text)
{
    char number[NUMBER_BYTES], *end;
    bool fits = text.count > 0 && text.count < sizeof(number);
    memcpy(number, text.at, fits ? text.count : 0);
    number[fits ? text.count : 0] = 0;
    errno = 0;
    long long whole = strtoll(number, &end, 10);
    if (fits && end == number + text.count && errno == 0) {
        sink_int(input, whole);
        return;
    }
    double value = strtod(number, &end);
    if (fits && end == number + text.count && isfinite(value))
        sink_double(input, value);
    else
        sink_str(input, text);
}

/* {"DataType", "StringValue"} of SQS, or {"Type", "Value"} in a notification of SNS. */
static struct flyover_bytes either(struct flyover_bytes attribute, const char *of_sqs,
                                   const char *of_sns)
{
    struct flyover_bytes text = field_text(attribute, of_sqs);
    return text.at ? text : field_text(attribute, of_sns);
}

static void put_attribute(struct sink *input, const struct attribute *attribute)
{
    struct flyover_bytes type = either(attribute->value, "DataType", "Type");
    struct flyover_bytes text = either(attribute->value, "StringValue", "Value");
    sink_str(input, attribute->name);
    if (text.at && type.count >= 6 && memcmp(type.at, "Number", 6) == 0)
        put_number(input, text);
    else
        sink_str(input, text.at ? text : field_text(attribute->value, "BinaryValue"));
}

static void put_attributes(struct sink *input, struct flyover_bytes attributes)
{
    struct attribute sorted[SQS_ATTRIBUTES_MAX];
    uint32_t count = sort_attributes(attributes, sorted);
    sink_literal(input, "attributes");
    sink_map(input, count);
    for (uint32_t i = 0; i < count; i++)
        put_attribute(input, &sorted[i]);
}

/* One more field, where there is such a text. */
static uint32_t put_text(struct sink *input, const char *field, struct flyover_bytes text)
{
    if (!text.at)
        return 0;
    sink_literal(input, field);
    sink_str(input, text);
    return 1;
}

/* Else whoever sends what has this name once more makes another message of it. */
static bool is_by_id(const struct reading *reading)
{
    return reading->queue->kind != EDGE_START || reading->queue->known_by == SQS_BY_MESSAGE_ID;
}

/* SNS may deliver a notification twice, as two messages. */
static struct flyover_bytes id_of(const struct reading *reading)
{
    return reading->notification_id.count > 0 ? reading->notification_id
                                              : field_text(reading->received, "MessageId");
}

/* Nothing in it may differ when what it is known by comes again, or it would be refused: no
 * receipt, no count of receives; where that is not its own id, no id, and no time. */
static enum status add_attributes(struct reading *reading)
{
    const uint8_t head = 0x80;
    struct flyover_bytes received = reading->received, none = {0};
    bool is_own = is_by_id(reading);
    bool has_id = is_own || reading->queue->known_by == SQS_BY_DEDUPLICATION_ID;
    struct sink input =
        sink_into(reading->queue->in->scratch + 2 * SQS_IN_PART_BYTES, SQS_IN_PART_BYTES);
    sink_bytes(&input, &head, 1);
    sink_literal(&input, "body");
    sink_bytes(&input, reading->body.at, reading->body.count);
    put_attributes(&input, reading->attributes);
    uint32_t fields = 2;
    fields += put_text(&input, "messageId", is_own ? id_of(reading) : none);
    fields += put_text(&input, "groupId", sqs_system_text(received, "MessageGroupId"));
    fields += put_text(&input, "deduplicationId",
                       has_id ? sqs_system_text(received, "MessageDeduplicationId") : none);
    struct flyover_bytes sent = sqs_system_text(received, "SentTimestamp");
    if (is_own && reading->notification_id.count == 0 && sent.at) {
        sink_literal(&input, "sentTimestamp");
        put_number(&input, sent);
        fields++;
    }
    *input.start |= (uint8_t)fields;
    reading->input = (struct flyover_bytes){input.start, (uint32_t)sink_result(&input)};
    if (!input.overflowed)
        return STATUS_OK;
    return problem_set(reading->problem, STATUS_TOO_LARGE,
                       "its body with its attributes is larger than a payload, %u bytes, may be",
                       FLYOVER_PAYLOAD_BYTES_MAX);
}

static enum status make_input(struct reading *reading)
{
    reading->input = reading->body;
    return reading->queue->attributes ? add_attributes(reading) : STATUS_OK;
}

static enum status check_attributes(const struct reading *reading)
{
    uint32_t count = attributes_count(reading->attributes);
    if (count <= SQS_ATTRIBUTES_MAX)
        return STATUS_OK;
    return problem_set(reading->problem, STATUS_INVALID,
                       "it has %u attributes, and %u are read: send what the saga needs in the "
                       "body",
                       count, SQS_ATTRIBUTES_MAX);
}

/* ---- what it is known by -----------------------------------------------------------------------
 */

/* Text, or a whole number as text. */
static struct flyover_bytes name_at(struct reading *reading, const struct sqs_path *path)
{
    int64_t number;
    struct flyover_bytes value;
    if (!value_at(reading->body, &path->path, &value))
        return (struct flyover_bytes){0};
    struct flyover_cursor cursor = field_cursor(value);
    if (!flyover_read_int(&cursor, &number))
        return name_text(value);
    (void)snprintf(reading->name_memory, sizeof(reading->name_memory), "%lld", (long long)number);
    return field_bytes(reading->name_memory);
}

static struct flyover_bytes deduplication_name(struct reading *reading)
{
    struct flyover_bytes id = sqs_system_text(reading->received, "MessageDeduplicationId");
    if (!id.at)
        return id;
    (void)snprintf(reading->name_memory, sizeof(reading->name_memory), "%s/%.*s",
                   sqs_queue_name(reading->queue->url), (int)id.count, (const char *)id.at);
    return field_bytes(reading->name_memory);
}

static struct flyover_bytes attribute_name(const struct reading *reading)
{
    struct flyover_bytes attribute;
    if (!field_find(reading->attributes, reading->queue->known_as, &attribute))
        return (struct flyover_bytes){0};
    return either(attribute, "StringValue", "Value");
}

static struct flyover_bytes name_of(struct reading *reading)
{
    switch (reading->queue->known_by) {
    case SQS_BY_DEDUPLICATION_ID: return deduplication_name(reading);
    case SQS_BY_PATH: return name_at(reading, &reading->queue->known_at);
    case SQS_BY_ATTRIBUTE: return attribute_name(reading);
    case SQS_BY_MESSAGE_ID: break;
    }
    return id_of(reading);
}

static const char *known_by_text(const struct sqs_queue *queue)
{
    if (queue->known_by == SQS_BY_PATH)
        return queue->known_at.text;
    return queue->known_by == SQS_BY_ATTRIBUTE ? queue->known_as : "its id";
}

static enum status read_start(struct reading *reading)
{
    reading->name = name_of(reading);
    if (reading->name.count == 0)
        return problem_set(reading->problem, STATUS_INVALID,
                           "it has nothing to be known by: there is no text or whole number at %s",
                           known_by_text(reading->queue));
    if (reading->name.count >= EDGE_NAME_BYTES)
        return problem_set(reading->problem, STATUS_INVALID,
                           "what it is known by is longer than %u bytes", EDGE_NAME_BYTES - 1);
    return make_input(reading);
}

/* ---- signals and answers -----------------------------------------------------------------------
 */

static uint64_t saga_id_of(struct flyover_bytes value)
{
    int64_t number;
    char digits[24], *end;
    struct flyover_cursor cursor = field_cursor(value);
    if (flyover_read_int(&cursor, &number))
        return number > 0 ? (uint64_t)number : 0;
    struct flyover_bytes text = name_text(value);
    if (!text.at || text.count >= sizeof(digits))
        return 0;
    memcpy(digits, text.at, text.count);
    digits[text.count] = 0;
    unsigned long long id = strtoull(digits, &end, 10);
    return *end ? 0 : id;
}

static enum status read_signal(struct reading *reading)
{
    struct flyover_bytes saga = {0}, name = {0};
    const struct sqs_queue *queue = reading->queue;
    if (value_at(reading->body, &queue->signal_saga_at.path, &saga))
        reading->saga_id = saga_id_of(saga);
    if (reading->saga_id == 0)
        return problem_set(reading->problem, STATUS_INVALID, "there is no saga's id at %s",
                           queue->signal_saga_at.text);
    if (queue->signal_name)
        reading->name = field_bytes(queue->signal_name);
    else if (value_at(reading->body, &queue->signal_name_at.path, &name))
        reading->name = name_text(name);
    if (reading->name.count == 0 || reading->name.count >= EDGE_NAME_BYTES)
        return problem_set(reading->problem, STATUS_INVALID, "there is no signal's name at %s",
                           queue->signal_name ? queue->signal_name : queue->signal_name_at.text);
    reading->known_id = id_of(reading);
    return make_input(reading);
}

static enum status read_answer(struct reading *reading)
{
    bool has_output = field_find(reading->body, "Output", &reading->input);
    reading->token = field_text(reading->body, "TaskToken");
    reading->error = field_text(reading->body, "Error");
    reading->cause = field_text(reading->body, "Cause");
    if (!reading->token.at || has_output == (reading->error.at != NULL))
        return no_message(reading, "it is no answer: wanted is {\"TaskToken\": ..., \"Output\": "
                                   "...}, or with \"Error\" and \"Cause\" in place of Output");
    return STATUS_OK;
}

static enum status read_all(struct reading *reading)
{
    enum status status = read_body(reading);
    if (status == STATUS_OK)
        status = check_attributes(reading);
    if (status != STATUS_OK)
        return status;
    switch (reading->queue->kind) {
    case EDGE_START: return read_start(reading);
    case EDGE_SIGNAL: return read_signal(reading);
    case EDGE_ANSWER: return read_answer(reading);
    }
    return STATUS_OK;
}

/* ---- in one piece ------------------------------------------------------------------------------
 */

static size_t room_for(struct flyover_bytes text)
{
    return text.at ? (size_t)text.count + 1 : 0;
}

/* Terminated; NULL where there is none. A zero byte within ends it. */
static const char *keep(uint8_t **at, struct flyover_bytes text)
{
    if (!text.at)
        return NULL;
    char *kept = (char *)*at;
    memcpy(kept, text.at, text.count);
    kept[text.count] = 0;
    *at += text.count + 1;
    return kept;
}

static uint32_t receives_of(struct flyover_bytes received)
{
    uint32_t count = 0;
    struct flyover_bytes text = sqs_system_text(received, "ApproximateReceiveCount");
    for (uint32_t i = 0; i < text.count && i < 9 && text.at[i] >= '0' && text.at[i] <= '9'; i++)
        count = count * 10 + (uint32_t)(text.at[i] - '0');
    return count;
}

static struct sqs_message *keep_message(const struct reading *reading)
{
    struct flyover_bytes received = reading->received, group = {0};
    struct flyover_bytes id = field_text(received, "MessageId");
    struct flyover_bytes receipt = field_text(received, "ReceiptHandle");
    if (reading->queue->fifo)
        group = sqs_system_text(received, "MessageGroupId");
    id = id.at ? id : field_bytes("without an id");
    receipt = receipt.at ? receipt : field_bytes("");
    struct sqs_message *message =
        malloc(sizeof(*message) + room_for(id) + room_for(receipt) + room_for(group) +
               room_for(reading->name) + room_for(reading->token) + room_for(reading->known_id) +
               room_for(reading->error) + room_for(reading->cause) + reading->input.count);
    if (!message)
        return NULL;
    *message = (struct sqs_message){.queue = reading->queue,
                                    .saga_id = reading->saga_id,
                                    .receives = receives_of(received),
                                    .bytes = field_text(received, "Body").count,
                                    .input = {message->memory, reading->input.count}};
    if (reading->input.count > 0)
        memcpy(message->memory, reading->input.at, reading->input.count);
    uint8_t *at = message->memory + reading->input.count;
    message->id = keep(&at, id);
    message->receipt_handle = keep(&at, receipt);
    message->group = keep(&at, group);
    message->name = keep(&at, reading->name);
    message->token = keep(&at, reading->token);
    message->known_id = keep(&at, reading->known_id);
    message->error = keep(&at, reading->error);
    message->cause = keep(&at, reading->cause);
    message->deletion.message = message->visibility.message = message;
    return message;
}

enum status sqs_message_read(struct sqs_queue *queue, struct flyover_bytes received,
                             struct sqs_message **ret_message, struct problem *problem)
{
    struct reading reading = {.queue = queue, .received = received, .problem = problem};
    (void)field_find(received, "MessageAttributes", &reading.attributes);
    enum status status = field_text(received, "ReceiptHandle").at
                             ? read_all(&reading)
                             : no_message(&reading, "SQS gave no receipt handle with it");
    if (status != STATUS_OK) /* what was found of it so far is of no use */
        reading.name = reading.token = reading.known_id = reading.error = reading.cause =
            reading.input = (struct flyover_bytes){0};
    *ret_message = status == STATUS_NO_MEMORY ? NULL : keep_message(&reading);
    return *ret_message ? status : STATUS_NO_MEMORY;
}
