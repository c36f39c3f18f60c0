#include "engine/edge/outbox_message.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "engine/saga/value_text.h"

/* ---- an entry ----------------------------------------------------------------------------------
 */

struct outbox_message outbox_message_begin(const struct outbox *outbox)
{
    static const uint8_t head = 0x80; /* a map's, of up to OUTBOX_FIELDS_MAX, until the end */
    struct outbox_message message = {.body = (char *)outbox->scratch,
                                     .entry = sink_into(outbox->scratch + OUTBOX_BATCH_BYTES,
                                                        OUTBOX_SCRATCH_BYTES - OUTBOX_BATCH_BYTES)};
    sink_bytes(&message.entry, &head, 1);
    return message;
}

struct flyover_bytes outbox_message_end(struct outbox_message *message)
{
    size_t bytes = sink_result(&message->entry);
    assert(bytes > 0 && "an entry is no more than its input, the key and a printed body");
    message->entry.start[0] |= (uint8_t)message->fields;
    return (struct flyover_bytes){message->entry.start, (uint32_t)bytes};
}

static void put_name(struct outbox_message *message, const char *field)
{
    assert(message->fields < OUTBOX_FIELDS_MAX);
    message->fields++;
    sink_literal(&message->entry, field);
}

void outbox_put(struct outbox_message *message, const char *field, struct flyover_bytes text)
{
    put_name(message, field);
    sink_str(&message->entry, text);
}

void outbox_put_int(struct outbox_message *message, const char *field, int64_t value)
{
    put_name(message, field);
    sink_int(&message->entry, value);
}

/* ---- what is asked for -------------------------------------------------------------------------
 */

enum status outbox_check_fields(struct flyover_bytes input, const char *const *known,
                                struct problem *problem)
{
    uint32_t pairs = 0;
    struct flyover_cursor cursor = field_cursor(input);
    if (!flyover_read_map(&cursor, &pairs))
        return problem_set(problem, STATUS_INVALID,
                           "the Parameters are no object: give them as {\"%s\": ...}", known[0]);
    for (; pairs > 0; pairs--) {
        struct flyover_bytes name = {0};
        (void)flyover_read_str(&cursor, &name);
        (void)flyover_skip(&cursor);
        const char *const *at = known;
        while (*at && !field_text_is(name, *at))
            at++;
        if (!*at)
            return problem_set(problem, STATUS_INVALID,
                               "\"%.*s\" is no field of this request: leave it out of the "
                               "Parameters (a Compensate needs Parameters of its own)",
                               name.count < 64 ? (int)name.count : 64, (const char *)name.at);
    }
    return STATUS_OK;
}

enum status outbox_text(struct flyover_bytes input, const char *field,
                        struct flyover_bytes *ret_text, struct problem *problem)
{
    struct flyover_bytes value;
    *ret_text = (struct flyover_bytes){0};
    if (!field_get(input, field, &value))
        return STATUS_OK;
    *ret_text = field_as_text(value);
    if (!ret_text->at)
        return problem_set(problem, STATUS_INVALID, "\"%s\" is no text", field);
    return STATUS_OK;
}

enum status outbox_name(struct flyover_bytes input, const char *field, char *ret_text,
                        size_t ret_bytes, struct problem *problem)
{
    struct flyover_bytes text;
    *ret_text = '\0';
    enum status status = outbox_text(input, field, &text, problem);
    if (status != STATUS_OK || text.at == NULL)
        return status;
    if (text.count >= ret_bytes || memchr(text.at, 0, text.count))
        return problem_set(problem, STATUS_INVALID,
                           "\"%s\" is longer than any, %zu bytes, or has a zero byte in it", field,
                           ret_bytes - 1);
    memcpy(ret_text, text.at, text.count);
    ret_text[text.count] = '\0';
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

enum status outbox_add_body(struct outbox_message *message, const char *field,
                            struct flyover_bytes text, struct problem *problem)
{
    enum status status = grow(message, text.count, problem);
    if (status == STATUS_OK)
        outbox_put(message, field, text);
    return status;
}

/* A value that is no text; what does not fit is as long as no message may be. */
static struct flyover_bytes print(struct outbox_message *message, struct flyover_bytes value)
{
    size_t bytes = value_to_text(value, message->body, OUTBOX_BATCH_BYTES);
    return (struct flyover_bytes){(const uint8_t *)message->body,
                                  bytes > 0 ? (uint32_t)bytes : OUTBOX_BATCH_BYTES + 1};
}

enum status outbox_add_text(struct outbox_message *message, struct flyover_bytes input,
                            const char *field, struct problem *problem)
{
    struct flyover_bytes value, text = {0};
    bool is_there = field_find(input, field, &value);
    if (is_there)
        text = field_as_text(value);
    if (!is_there || (text.at && text.count == 0))
        return problem_set(problem, STATUS_INVALID, "\"%s\" is missing or empty", field);
    return outbox_add_body(message, field, text.at ? text : print(message, value), problem);
}

/* ---- attributes --------------------------------------------------------------------------------
 */

/* {"DataType": "String", "StringValue": "..."}; the bytes that count, or 0 if it is no attribute.
 */
static size_t attribute_bytes(struct flyover_bytes name, struct flyover_bytes attribute)
{
    uint32_t pairs = 0;
    struct flyover_bytes type = field_text(attribute, "DataType");
    struct flyover_bytes text = field_text(attribute, "StringValue");
    struct flyover_bytes blob = field_text(attribute, "BinaryValue");
    struct flyover_cursor cursor = field_cursor(attribute);
    if (!type.at || (text.at != NULL) == (blob.at != NULL) || !flyover_read_map(&cursor, &pairs) ||
        pairs != 2)
        return 0;
    return (size_t)name.count + type.count + text.count + blob.count;
}

static enum status count_attribute(struct outbox_message *message, struct flyover_bytes name,
                                   struct flyover_bytes attribute, struct problem *problem)
{
    size_t bytes = attribute_bytes(name, attribute);
    if (bytes > 0)
        return grow(message, bytes, problem);
    return problem_set(problem, STATUS_INVALID,
                       "MessageAttributes.%.*s: wanted is {\"DataType\": \"String\", "
                       "\"StringValue\": \"...\"}, or Number, or Binary with BinaryValue; "
                       "the value is text",
                       name.count < 64 ? (int)name.count : 64, (const char *)name.at);
}

/* *ret_pairs: how many there are, behind the head of `given`. */
static enum status check_attributes(struct outbox_message *message, struct flyover_bytes given,
                                    uint32_t *ret_pairs, struct flyover_bytes *ret_members,
                                    struct problem *problem)
{
    struct flyover_cursor cursor = field_cursor(given);
    if (!flyover_read_map(&cursor, ret_pairs))
        return problem_set(problem, STATUS_INVALID, "\"MessageAttributes\" is no object");
    if (*ret_pairs > OUTBOX_ATTRIBUTES_MAX)
        return problem_set(problem, STATUS_INVALID,
                           "\"MessageAttributes\" has %u of them, and a message can have %u",
                           *ret_pairs, OUTBOX_ATTRIBUTES_MAX);
    *ret_members = (struct flyover_bytes){cursor.at, (uint32_t)(cursor.end - cursor.at)};
    enum status status = STATUS_OK;
    for (uint32_t i = 0; status == STATUS_OK && i < *ret_pairs; i++) {
        struct flyover_bytes name = {0};
        (void)flyover_read_str(&cursor, &name);
        status = count_attribute(message, name, field_take(&cursor), problem);
    }
    return status;
}

/* False: it has no place. */
static bool takes_key(struct outbox_message *message, struct flyover_bytes given, uint32_t pairs,
                      const char *key)
{
    struct flyover_bytes other;
    size_t bytes = key ? strlen(OUTBOX_KEY_ATTRIBUTE) + strlen("String") + strlen(key) : 0;
    if (!key || pairs >= OUTBOX_ATTRIBUTES_MAX || message->bytes + bytes > OUTBOX_BATCH_BYTES ||
        (pairs > 0 && field_get(given, OUTBOX_KEY_ATTRIBUTE, &other)))
        return false;
    message->bytes += bytes;
    return true;
}

static void put_key(struct outbox_message *message, const char *key)
{
    sink_literal(&message->entry, OUTBOX_KEY_ATTRIBUTE);
    sink_map(&message->entry, 2);
    sink_literal(&message->entry, "DataType");
    sink_literal(&message->entry, "String");
    sink_literal(&message->entry, "StringValue");
    sink_literal(&message->entry, key);
}

enum status outbox_add_attributes(struct outbox_message *message, struct flyover_bytes input,
                                  const char *key, struct problem *problem)
{
    uint32_t pairs = 0;
    struct flyover_bytes given = {0}, members = {0};
    if (field_get(input, "MessageAttributes", &given)) {
        enum status status = check_attributes(message, given, &pairs, &members, problem);
        if (status != STATUS_OK)
            return status;
    }
    bool with_key = takes_key(message, given, pairs, key);
    if (pairs + with_key == 0)
        return STATUS_OK;
    put_name(message, "MessageAttributes");
    sink_map(&message->entry, pairs + with_key);
    sink_bytes(&message->entry, members.at, members.count);
    if (with_key)
        put_key(message, key);
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
static uint64_t order_of(struct flyover_bytes group)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (uint32_t i = 0; i < group.count; i++)
        hash = (hash ^ group.at[i]) * 0x100000001b3u;
    return hash ? hash : 1;
}

enum status outbox_add_fifo(struct outbox_message *message, struct flyover_bytes input,
                            const char *key, bool fifo, struct problem *problem)
{
    struct flyover_bytes group, id;
    char group_default[EDGE_KEY_BYTES];
    enum status status = outbox_text(input, "MessageGroupId", &group, problem);
    if (status == STATUS_OK)
        status = outbox_text(input, "MessageDeduplicationId", &id, problem);
    if (status != STATUS_OK)
        return status;
    group_of_key(key, group_default);
    if (fifo && !group.at)
        group = field_bytes(group_default);
    if (fifo && !id.at)
        id = field_bytes(key);
    if (group.at)
        outbox_put(message, "MessageGroupId", group);
    if (id.at)
        outbox_put(message, "MessageDeduplicationId", id);
    message->order = fifo ? order_of(group) : 0;
    return STATUS_OK;
}
