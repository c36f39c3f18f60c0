#include "engine/edge/outbox_message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/json_text.h"

enum status outbox_check_fields(const json_t *input, const char *const *known,
                                struct problem *problem)
{
    const char *name;
    json_t *value;
    if (!json_is_object(input))
        return problem_set(problem, STATUS_INVALID,
                           "the Parameters are no object: give them as {\"%s\": ...}", known[0]);
    json_object_foreach((json_t *)input, name, value)
    {
        const char *const *at = known;
        while (*at && strcmp(*at, name) != 0)
            at++;
        if (!*at)
            return problem_set(problem, STATUS_INVALID,
                               "\"%.64s\" is no field of this request: leave it out of the "
                               "Parameters (a Compensate needs Parameters of its own)",
                               name);
    }
    return STATUS_OK;
}

enum status outbox_text(const json_t *input, const char *field, const char **ret_text,
                        struct problem *problem)
{
    const json_t *value = json_object_get(input, field);
    if (value && !json_is_null(value) && !json_is_string(value))
        return problem_set(problem, STATUS_INVALID, "\"%s\" is no text", field);
    *ret_text = json_string_value(value);
    return STATUS_OK;
}

static enum status grow(struct outbox_message *message, size_t bytes, struct problem *problem)
{
    if (message->bytes + bytes > OUTBOX_BATCH_BYTES)
        return problem_set(problem, STATUS_TOO_LARGE,
                           "the message with its attributes is larger than %u bytes: send less, or "
                           "where it is kept",
                           OUTBOX_BATCH_BYTES);
    message->bytes += bytes;
    return STATUS_OK;
}

enum status outbox_add_text(struct outbox_message *message, const json_t *input, const char *field,
                            struct problem *problem)
{
    const json_t *value = json_object_get(input, field);
    if (!value || (json_is_string(value) && json_string_length(value) == 0))
        return problem_set(problem, STATUS_INVALID, "\"%s\" is missing or empty", field);
    char *text = json_text_or_string(value);
    if (!text)
        return problem_set(problem, STATUS_NO_MEMORY, "out of memory for a message");
    size_t bytes = strlen(text);
    json_object_set_new(message->entry, field, json_stringn(text, bytes));
    free(text);
    return grow(message, bytes, problem);
}

/* ---- attributes --------------------------------------------------------------------------------
 */

/* {"DataType": "String", "StringValue": "..."}; the bytes that count, or 0 if it is no attribute.
 */
static size_t attribute_bytes(const char *name, const json_t *attribute)
{
    const json_t *type = json_object_get(attribute, "DataType");
    const json_t *text = json_object_get(attribute, "StringValue");
    const json_t *blob = json_object_get(attribute, "BinaryValue");
    const json_t *value = text ? text : blob;
    if (!json_is_string(type) || !json_is_string(value) || (text && blob) ||
        json_object_size(attribute) != 2)
        return 0;
    return strlen(name) + json_string_length(type) + json_string_length(value);
}

static enum status check_attributes(struct outbox_message *message, const json_t *attributes,
                                    struct problem *problem)
{
    const char *name;
    json_t *attribute;
    if (!json_is_object(attributes))
        return problem_set(problem, STATUS_INVALID, "\"MessageAttributes\" is no object");
    if (json_object_size(attributes) > OUTBOX_ATTRIBUTES_MAX)
        return problem_set(problem, STATUS_INVALID,
                           "\"MessageAttributes\" has %zu of them, and a message can have %u",
                           json_object_size(attributes), OUTBOX_ATTRIBUTES_MAX);
    json_object_foreach((json_t *)attributes, name, attribute)
    {
        size_t bytes = attribute_bytes(name, attribute);
        if (bytes == 0)
            return problem_set(problem, STATUS_INVALID,
                               "MessageAttributes.%.64s: wanted is {\"DataType\": \"String\", "
                               "\"StringValue\": \"...\"}, or Number, or Binary with BinaryValue; "
                               "the value is text",
                               name);
        enum status status = grow(message, bytes, problem);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

static void add_key(struct outbox_message *message, json_t *attributes, const char *key)
{
    size_t bytes = strlen(OUTBOX_KEY_ATTRIBUTE) + strlen("String") + strlen(key);
    if (json_object_size(attributes) >= OUTBOX_ATTRIBUTES_MAX ||
        json_object_get(attributes, OUTBOX_KEY_ATTRIBUTE) ||
        message->bytes + bytes > OUTBOX_BATCH_BYTES)
        return;
    message->bytes += bytes;
    json_object_set_new(attributes, OUTBOX_KEY_ATTRIBUTE,
                        json_pack("{s:s, s:s}", "DataType", "String", "StringValue", key));
}

enum status outbox_add_attributes(struct outbox_message *message, const json_t *input,
                                  const char *key, struct problem *problem)
{
    json_t *given = json_object_get(input, "MessageAttributes");
    if (given && !json_is_null(given)) {
        enum status status = check_attributes(message, given, problem);
        if (status != STATUS_OK)
            return status;
    }
    json_t *attributes = json_is_object(given) ? json_copy(given) : json_object();
    if (key)
        add_key(message, attributes, key);
    if (json_object_size(attributes) > 0)
        json_object_set(message->entry, "MessageAttributes", attributes);
    json_decref(attributes);
    return STATUS_OK;
}

/* ---- FIFO --------------------------------------------------------------------------------------
 */

/* "ID-SAGA-STEP" or "ID-SAGA-STEP-c" without its step. */
static void group_of_key(const char *key, char ret_group[EDGE_KEY_BYTES])
{
    (void)snprintf(ret_group, EDGE_KEY_BYTES, "%s", key);
    size_t bytes = strlen(ret_group);
    if (bytes > 2 && strcmp(ret_group + bytes - 2, "-c") == 0)
        ret_group[bytes - 2] = 0;
    char *dash = strrchr(ret_group, '-');
    if (dash && dash > ret_group)
        *dash = 0;
}

/* FNV-1a; never 0, which is: no order. */
static uint64_t order_of(const char *group)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *group; group++)
        hash = (hash ^ (unsigned char)*group) * 0x100000001b3u;
    return hash ? hash : 1;
}

enum status outbox_add_fifo(struct outbox_message *message, const json_t *input, const char *key,
                            bool fifo, struct problem *problem)
{
    const char *group, *id;
    char group_default[EDGE_KEY_BYTES];
    enum status status = outbox_text(input, "MessageGroupId", &group, problem);
    if (status == STATUS_OK)
        status = outbox_text(input, "MessageDeduplicationId", &id, problem);
    if (status != STATUS_OK)
        return status;
    group_of_key(key, group_default);
    if (fifo && !group)
        group = group_default;
    if (fifo && !id)
        id = key;
    if (group)
        json_object_set_new(message->entry, "MessageGroupId", json_string(group));
    if (id)
        json_object_set_new(message->entry, "MessageDeduplicationId", json_string(id));
    message->order = fifo ? order_of(group) : 0;
    return STATUS_OK;
}
