#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/json_path.h"
#include "engine/edge/sqs.h"
#include "engine/edge/sqs_in_parts.h"

/* What is being read. */
struct reading {
    struct sqs_queue *queue;
    const json_t *received;
    json_t *body;             /* parsed; owned */
    json_t *attributes;       /* of the message, or of the notification in it; owned; may be NULL */
    char notification_id[64]; /* "": none */
    struct problem *problem;
};

static const char *text_of(const json_t *object, const char *field)
{
    return json_string_value(json_object_get(object, field));
}

static const char *system_text(const json_t *received, const char *name)
{
    return text_of(json_object_get(received, "Attributes"), name);
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
    const char *kind = json_string_value(json_array_get(reading->body, 0));
    if (!kind || !strstr(kind, "S3Pointer") || json_array_size(reading->body) != 2)
        return STATUS_OK;
    return problem_set(
        reading->problem, STATUS_INVALID,
        "the body is in S3 (%.100s, written by an extended client library), which is "
        "not fetched: send what the saga needs, at most 256 KiB, and where the rest "
        "is as a field of it",
        kind);
}

static enum status parse(struct reading *reading, const char *text, size_t bytes)
{
    json_error_t error;
    reading->body = json_loadb(text, bytes, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    if (!reading->body)
        return problem_set(reading->problem, STATUS_INVALID,
                           "the body is not JSON: %.160s (line %d, column %d)", error.text,
                           error.line, error.column);
    return check_pointer(reading);
}

/* {"Type": "Notification", "MessageId": ..., "Message": "..."} */
static enum status open_envelope(struct reading *reading)
{
    json_t *envelope = reading->body;
    const char *type = text_of(envelope, "Type");
    const json_t *message = json_object_get(envelope, "Message");
    if (!type || strcmp(type, "Notification") != 0 || !json_is_string(message))
        return no_message(reading, "the body is no notification of SNS with a Message: where raw "
                                   "delivery is on, leave out sns_envelope");
    reading->body = NULL;
    enum status status = parse(reading, json_string_value(message), json_string_length(message));
    const char *id = text_of(envelope, "MessageId");
    json_decref(reading->attributes);
    reading->attributes = json_incref(json_object_get(envelope, "MessageAttributes"));
    (void)snprintf(reading->notification_id, sizeof(reading->notification_id), "%s", id ? id : "");
    json_decref(envelope);
    return status;
}

static enum status read_body(struct reading *reading)
{
    const json_t *body = json_object_get(reading->received, "Body");
    if (!json_is_string(body))
        return no_message(reading, "the message has no body");
    if (!sqs_md5_matches(json_string_value(body), json_string_length(body),
                         json_object_get(reading->received, "MD5OfBody")))
        return no_message(reading,
                          "its MD5 is not the one that SQS says: it was damaged on its way");
    enum status status = parse(reading, json_string_value(body), json_string_length(body));
    return status == STATUS_OK && reading->queue->sns_envelope ? open_envelope(reading) : status;
}

/* ---- attributes --------------------------------------------------------------------------------
 */

/* A Number that JSON can say as it is; else text. */
static json_t *number(const char *text)
{
    char *end;
    errno = 0;
    long long whole = strtoll(text, &end, 10);
    if (*text && !*end && errno == 0)
        return json_integer(whole);
    double value = strtod(text, &end);
    return *text && !*end && isfinite(value) ? json_real(value) : json_string(text);
}

/* {"DataType", "StringValue"} of SQS, or {"Type", "Value"} in a notification of SNS. */
static const char *either(const json_t *attribute, const char *of_sqs, const char *of_sns)
{
    const char *text = text_of(attribute, of_sqs);
    return text ? text : text_of(attribute, of_sns);
}

static json_t *attribute_value(const json_t *attribute)
{
    const char *type = either(attribute, "DataType", "Type");
    const char *text = either(attribute, "StringValue", "Value");
    if (text && type && strncmp(type, "Number", 6) == 0)
        return number(text);
    return json_string(text ? text : text_of(attribute, "BinaryValue"));
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* By name, since the same message must be the same input whenever it comes. */
static json_t *attributes_of(const json_t *attributes)
{
    const char *names[SQS_ATTRIBUTES_MAX], *name;
    size_t count = 0;
    json_t *attribute, *all = json_object();
    json_object_foreach((json_t *)attributes, name, attribute) names[count++] = name;
    qsort(names, count, sizeof(names[0]), compare_names);
    for (size_t i = 0; i < count; i++)
        json_object_set_new(all, names[i], attribute_value(json_object_get(attributes, names[i])));
    return all;
}

static void set_text(json_t *object, const char *field, const char *text)
{
    if (text)
        json_object_set_new(object, field, json_string(text));
}

/* Else whoever sends what has this name once more makes another message of it. */
static bool is_by_id(const struct reading *reading)
{
    return reading->queue->kind != EDGE_START || reading->queue->known_by == SQS_BY_MESSAGE_ID;
}

/* SNS may deliver a notification twice, as two messages. */
static const char *id_of(const struct reading *reading)
{
    return *reading->notification_id ? reading->notification_id
                                     : text_of(reading->received, "MessageId");
}

/* Nothing in it may differ when what it is known by comes again, or it would be refused: no
 * receipt, no count of receives; where that is not its own id, no id, and no time. */
static json_t *with_attributes(const struct reading *reading)
{
    const json_t *received = reading->received;
    bool is_own = is_by_id(reading);
    json_t *input = json_object();
    json_object_set(input, "body", reading->body);
    json_object_set_new(input, "attributes", attributes_of(reading->attributes));
    set_text(input, "messageId", is_own ? id_of(reading) : NULL);
    set_text(input, "groupId", system_text(received, "MessageGroupId"));
    if (is_own || reading->queue->known_by == SQS_BY_DEDUPLICATION_ID)
        set_text(input, "deduplicationId", system_text(received, "MessageDeduplicationId"));
    const char *sent =
        is_own && !*reading->notification_id ? system_text(received, "SentTimestamp") : NULL;
    if (sent)
        json_object_set_new(input, "sentTimestamp", number(sent));
    return input;
}

static enum status check_attributes(const struct reading *reading)
{
    size_t count = json_object_size(reading->attributes);
    if (count <= SQS_ATTRIBUTES_MAX)
        return STATUS_OK;
    return problem_set(reading->problem, STATUS_INVALID,
                       "it has %zu attributes, and %u are read: send what the saga needs in the "
                       "body",
                       count, SQS_ATTRIBUTES_MAX);
}

/* ---- what it is known by -----------------------------------------------------------------------
 */

/* Text, or a whole number as text; NULL: it is neither. Owned. */
static char *name_from(const json_t *value)
{
    char digits[24];
    if (json_is_string(value) && json_string_length(value) > 0)
        return strdup(json_string_value(value));
    if (!json_is_integer(value))
        return NULL;
    (void)snprintf(digits, sizeof(digits), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return strdup(digits);
}

static char *deduplication_name(const struct reading *reading)
{
    const char *id = system_text(reading->received, "MessageDeduplicationId");
    char name[EDGE_NAME_BYTES];
    if (!id)
        return NULL;
    (void)snprintf(name, sizeof(name), "%s/%s", sqs_queue_name(reading->queue->url), id);
    return strdup(name);
}

static char *name_of(const struct reading *reading)
{
    const struct sqs_queue *queue = reading->queue;
    switch (queue->known_by) {
    case SQS_BY_DEDUPLICATION_ID: return deduplication_name(reading);
    case SQS_BY_PATH: return name_from(json_path_get(reading->body, queue->known_as));
    case SQS_BY_ATTRIBUTE: {
        const json_t *attribute = json_object_get(reading->attributes, queue->known_as);
        const char *text = either(attribute, "StringValue", "Value");
        return text && *text ? strdup(text) : NULL;
    }
    case SQS_BY_MESSAGE_ID: break;
    }
    const char *id = id_of(reading);
    return id ? strdup(id) : NULL;
}

static enum status read_start(const struct reading *reading, struct sqs_message *message)
{
    message->name = name_of(reading);
    if (!message->name)
        return problem_set(reading->problem, STATUS_INVALID,
                           "it has nothing to be known by: there is no text or whole number at %s",
                           reading->queue->known_as ? reading->queue->known_as : "its id");
    if (strlen(message->name) >= EDGE_NAME_BYTES)
        return problem_set(reading->problem, STATUS_INVALID,
                           "what it is known by is longer than %u bytes", EDGE_NAME_BYTES - 1);
    message->input =
        reading->queue->attributes ? with_attributes(reading) : json_incref(reading->body);
    return STATUS_OK;
}

/* ---- signals and answers -----------------------------------------------------------------------
 */

static char *copy(const char *text)
{
    return text ? strdup(text) : NULL;
}

static uint64_t saga_id_of(const json_t *value)
{
    if (json_is_integer(value))
        return json_integer_value(value) > 0 ? (uint64_t)json_integer_value(value) : 0;
    char *end;
    const char *text = json_string_value(value);
    unsigned long long id = text && *text ? strtoull(text, &end, 10) : 0;
    return id && !*end ? id : 0;
}

static enum status read_signal(const struct reading *reading, struct sqs_message *message)
{
    const struct sqs_queue *queue = reading->queue;
    message->saga_id = saga_id_of(json_path_get(reading->body, queue->signal_saga));
    if (message->saga_id == 0)
        return problem_set(reading->problem, STATUS_INVALID, "there is no saga's id at %s",
                           queue->signal_saga);
    const char *name = queue->signal_name;
    if (*name == '$')
        name = json_string_value(json_path_get(reading->body, name));
    if (!name || !*name || strlen(name) >= EDGE_NAME_BYTES)
        return problem_set(reading->problem, STATUS_INVALID, "there is no signal's name at %s",
                           queue->signal_name);
    message->name = strdup(name);
    message->known_id = copy(id_of(reading));
    message->input = queue->attributes ? with_attributes(reading) : json_incref(reading->body);
    return STATUS_OK;
}

static enum status read_answer(const struct reading *reading, struct sqs_message *message)
{
    const char *token = text_of(reading->body, "TaskToken");
    json_t *output = json_object_get(reading->body, "Output");
    const char *error = text_of(reading->body, "Error");
    if (!token || (output != NULL) == (error != NULL))
        return no_message(reading, "it is no answer: wanted is {\"TaskToken\": ..., \"Output\": "
                                   "...}, or with \"Error\" and \"Cause\" in place of Output");
    message->token = strdup(token);
    message->error = copy(error);
    message->cause = copy(text_of(reading->body, "Cause"));
    message->input = output ? json_incref(output) : json_null();
    return STATUS_OK;
}

static enum status read_all(struct reading *reading, struct sqs_message *message)
{
    enum status status = read_body(reading);
    if (status == STATUS_OK)
        status = check_attributes(reading);
    if (status != STATUS_OK)
        return status;
    switch (reading->queue->kind) {
    case EDGE_START: return read_start(reading, message);
    case EDGE_SIGNAL: return read_signal(reading, message);
    case EDGE_ANSWER: return read_answer(reading, message);
    }
    return STATUS_OK;
}

enum status sqs_message_read(struct sqs_queue *queue, const json_t *received,
                             struct sqs_message **ret_message, struct problem *problem)
{
    const char *receipt = text_of(received, "ReceiptHandle");
    const char *id = text_of(received, "MessageId");
    struct sqs_message *message = calloc(1, sizeof(*message));
    if (!message)
        return STATUS_NO_MEMORY;
    message->queue = queue;
    message->id = strdup(id ? id : "without an id");
    message->receipt_handle = strdup(receipt ? receipt : "");
    message->group = queue->fifo ? copy(system_text(received, "MessageGroupId")) : NULL;
    const char *receives = system_text(received, "ApproximateReceiveCount");
    message->receives = receives ? (uint32_t)strtoul(receives, NULL, 10) : 0;
    message->bytes = json_string_length(json_object_get(received, "Body"));
    message->deletion.message = message->visibility.message = message;
    struct reading reading = {.queue = queue, .received = received, .problem = problem};
    reading.attributes = json_incref(json_object_get(received, "MessageAttributes"));
    enum status status = receipt ? read_all(&reading, message)
                                 : no_message(&reading, "SQS gave no receipt handle with it");
    json_decref(reading.body);
    json_decref(reading.attributes);
    *ret_message = message;
    return status;
}

void sqs_message_free(struct sqs_message *message)
{
    free(message->id);
    free(message->receipt_handle);
    free(message->group);
    free(message->name);
    free(message->token);
    free(message->known_id);
    free(message->error);
    free(message->cause);
    json_decref(message->input);
    free(message);
}
