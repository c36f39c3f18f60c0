#include "engine/client/send.h"

#include <assert.h>
#include <string.h>

#include "engine/base/cursor.h"
#include "engine/client/line.h"
#include "engine/client/subscription.h"

#define WRITE_BYTES    65536u /* as much is written without being asked to */
#define NAME_BYTES_MAX 256u   /* of a saga */
#define TEXT_BYTES_MAX 65536u /* of anything else that is a name; the engine is stricter */

/* ---- what every request goes through ------------------------------------------------------------
 */

static enum flyover_status check_line(struct flyover_client *client)
{
    if (client->state == LINE_LOST) /* the sentence that lost it stands */
        return client->lost_status == FLYOVER_NO_MEMORY ? FLYOVER_NO_MEMORY : FLYOVER_NOT_CONNECTED;
    if (output_waiting(&client->output) < OUTPUT_BYTES_MAX)
        return FLYOVER_OK;
    line_write(client);
    if (output_waiting(&client->output) < OUTPUT_BYTES_MAX)
        return FLYOVER_OK;
    return client_fail(client, FLYOVER_BUSY,
                       "%u bytes wait to be sent: take answers with flyover_next first",
                       OUTPUT_BYTES_MAX);
}

static enum flyover_status check_window(struct flyover_client *client)
{
    if (client->table.open_count < client->window)
        return FLYOVER_OK;
    return client_fail(client, FLYOVER_BUSY,
                       "%u requests are under way, as many as the engine allows: take answers with "
                       "flyover_next first",
                       client->window);
}

static enum flyover_status no_memory(struct flyover_client *client)
{
    return client_fail(client, FLYOVER_NO_MEMORY, "no memory for a request");
}

enum flyover_status send_begin(struct flyover_client *client, enum wire_kind kind, uint32_t fields,
                               size_t bytes, uint64_t word, uint32_t *ret_slot, uint8_t **ret_at)
{
    enum flyover_status status = check_line(client);
    if (status == FLYOVER_OK)
        status = check_window(client);
    if (status != FLYOVER_OK)
        return status;
    if (bytes + WIRE_HEAD_BYTES_MAX > WIRE_FRAME_BYTES_MAX)
        return client_fail(client, FLYOVER_TOO_LARGE, "a %s of %zu bytes; a frame has %u",
                           wire_kind_text(kind), bytes, WIRE_FRAME_BYTES_MAX);
    uint8_t *at = output_reserve(&client->output, bytes + WIRE_HEAD_BYTES_MAX);
    if (at == NULL || !table_add(&client->table, (uint8_t)kind, word, ret_slot))
        return no_memory(client);
    client->table.requests[*ret_slot].frame_no = client->output.frame_no;
    at = wire_put_array(at, fields);
    at = wire_put_uint(at, kind);
    *ret_at = wire_put_uint(at, table_id(&client->table, *ret_slot));
    return FLYOVER_OK;
}

enum flyover_status send_end(struct flyover_client *client, uint32_t slot, uint8_t *end,
                             bool is_again)
{
    const uint8_t *start = client->output.bytes + client->output.end;
    if (is_again && !table_keep(&client->table, slot, start, (size_t)(end - start))) {
        table_remove(&client->table, slot);
        return no_memory(client);
    }
    output_commit(&client->output, end);
    if (output_waiting(&client->output) >= WRITE_BYTES)
        line_write(client);
    return FLYOVER_OK;
}

enum flyover_status send_check_value(struct flyover_client *client, const void *value, size_t bytes,
                                     const char *what)
{
    if (bytes == 0)
        return FLYOVER_OK;
    if (bytes > FLYOVER_PAYLOAD_BYTES_MAX)
        return client_fail(client, FLYOVER_TOO_LARGE, "%s of %zu bytes; it may have %u", what,
                           bytes, FLYOVER_PAYLOAD_BYTES_MAX);
    struct flyover_cursor cursor = {value, (const uint8_t *)value + bytes};
    if (!cursor_skip(&cursor, FLYOVER_DEPTH_MAX) || cursor.at != cursor.end)
        return client_fail(client, FLYOVER_INVALID,
                           "%s is not one msgpack value of at most %u levels", what,
                           FLYOVER_DEPTH_MAX);
    return FLYOVER_OK;
}

static enum flyover_status check_text(struct flyover_client *client, const char *text,
                                      size_t bytes_max, const char *what, size_t *ret_bytes)
{
    if (text == NULL || text[0] == '\0')
        return client_fail(client, FLYOVER_INVALID, "%s is wanted", what);
    *ret_bytes = strlen(text);
    if (*ret_bytes > bytes_max)
        return client_fail(client, FLYOVER_TOO_LARGE, "%s of %zu bytes; it may have %zu", what,
                           *ret_bytes, bytes_max);
    return FLYOVER_OK;
}

static enum flyover_status check_option(struct flyover_client *client, const char *text,
                                        size_t bytes_max, const char *what, size_t *ret_bytes)
{
    *ret_bytes = 0;
    return text == NULL ? FLYOVER_OK : check_text(client, text, bytes_max, what, ret_bytes);
}

static uint8_t *put_text(uint8_t *at, const char *text, size_t bytes)
{
    return wire_put_text(at, (struct flyover_bytes){(const uint8_t *)text, (uint32_t)bytes});
}

/* ---- START --------------------------------------------------------------------------------------
 */

struct start_bytes {
    size_t definition, name, trace;
};

static enum flyover_status check_start(struct flyover_client *client,
                                       const struct flyover_start *start, struct start_bytes *bytes)
{
    enum flyover_status status = check_text(client, start->definition, TEXT_BYTES_MAX,
                                            "the definition's name", &bytes->definition);
    if (status == FLYOVER_OK)
        status = check_option(client, start->name, NAME_BYTES_MAX, "a saga's name", &bytes->name);
    if (status == FLYOVER_OK)
        status = check_option(client, start->trace, TEXT_BYTES_MAX, "a trace", &bytes->trace);
    return status != FLYOVER_OK
               ? status
               : send_check_value(client, start->input, start->input_bytes, "the input");
}

static uint64_t priority_of(enum flyover_priority priority)
{
    switch (priority) {
    case FLYOVER_LOW: return 0;
    case FLYOVER_HIGH: return 2;
    case FLYOVER_NORMAL:
    default: return 1;
    }
}

static uint8_t *put_options(uint8_t *at, const struct flyover_start *start, enum flyover_when when,
                            const struct start_bytes *bytes)
{
    int pairs = (start->name != NULL) + (start->at_ms != 0) + (start->deadline_ms != 0) +
                (start->priority != FLYOVER_NORMAL) + (start->trace != NULL) +
                (when != FLYOVER_AT_ACCEPTANCE);
    if (pairs == 0)
        return wire_put_nil(at);
    at = wire_put_map(at, (uint32_t)pairs);
    if (start->name != NULL)
        at = put_text(put_text(at, "name", 4), start->name, bytes->name);
    if (start->at_ms != 0)
        at = wire_put_int(put_text(at, "at_ms", 5), start->at_ms);
    if (start->deadline_ms != 0)
        at = wire_put_int(put_text(at, "deadline_ms", 11), start->deadline_ms);
    if (start->priority != FLYOVER_NORMAL)
        at = wire_put_uint(put_text(at, "priority", 8), priority_of(start->priority));
    if (start->trace != NULL)
        at = put_text(put_text(at, "trace", 5), start->trace, bytes->trace);
    if (when != FLYOVER_AT_ACCEPTANCE)
        at = wire_put_uint(put_text(at, "reply", 5), when);
    return at;
}

enum flyover_status send_start(struct flyover_client *client, const struct flyover_start *start,
                               enum flyover_when when, uint64_t word, uint32_t *ret_slot)
{
    struct start_bytes bytes;
    uint8_t *at;
    enum flyover_status status = check_start(client, start, &bytes);
    if (status != FLYOVER_OK)
        return status;
    status = send_begin(client, WIRE_START, 5,
                        bytes.definition + bytes.name + bytes.trace + start->input_bytes, word,
                        ret_slot, &at);
    if (status != FLYOVER_OK)
        return status;
    client->table.requests[*ret_slot].when = (uint8_t)when;
    at = put_text(at, start->definition, bytes.definition);
    at = wire_put_value(at, (struct flyover_bytes){start->input, (uint32_t)start->input_bytes});
    at = put_options(at, start, when, &bytes);
    return send_end(client, *ret_slot, at, start->name != NULL);
}

enum flyover_status flyover_send_start(struct flyover_client *client,
                                       const struct flyover_start *start, enum flyover_when when,
                                       uint64_t word)
{
    uint32_t slot;
    return send_start(client, start, when, word, &slot);
}

/* ---- AWAIT, DEFINE, ASK -------------------------------------------------------------------------
 */

enum flyover_status send_await(struct flyover_client *client, uint64_t saga_id, const char *name,
                               uint64_t word, uint32_t *ret_slot)
{
    size_t name_bytes;
    uint8_t *at;
    enum flyover_status status =
        check_option(client, name, NAME_BYTES_MAX, "a saga's name", &name_bytes);
    if (status != FLYOVER_OK)
        return status;
    if ((saga_id == 0) == (name == NULL))
        return client_fail(client, FLYOVER_INVALID, "a saga's id is wanted, or its name");
    status = send_begin(client, WIRE_AWAIT, 3, name_bytes, word, ret_slot, &at);
    if (status != FLYOVER_OK)
        return status;
    client->table.requests[*ret_slot].saga_id = saga_id;
    at = name == NULL ? wire_put_uint(at, saga_id) : put_text(at, name, name_bytes);
    return send_end(client, *ret_slot, at, name != NULL);
}

enum flyover_status flyover_send_await(struct flyover_client *client, uint64_t saga_id,
                                       const char *name, uint64_t word)
{
    uint32_t slot;
    return send_await(client, saga_id, name, word, &slot);
}

enum flyover_status send_define(struct flyover_client *client, const char *name, const char *text,
                                uint64_t word, uint32_t *ret_slot)
{
    size_t name_bytes, text_bytes;
    uint8_t *at;
    enum flyover_status status =
        check_text(client, name, TEXT_BYTES_MAX, "the definition's name", &name_bytes);
    if (status == FLYOVER_OK)
        status = check_text(client, text, WIRE_FRAME_BYTES_MAX, "the definition", &text_bytes);
    if (status == FLYOVER_OK)
        status = send_begin(client, WIRE_DEFINE, 4, name_bytes + text_bytes, word, ret_slot, &at);
    if (status != FLYOVER_OK)
        return status;
    at = put_text(put_text(at, name, name_bytes), text, text_bytes);
    return send_end(client, *ret_slot, at, true);
}

enum flyover_status flyover_send_define(struct flyover_client *client, const char *name,
                                        const char *text, uint64_t word)
{
    uint32_t slot;
    return send_define(client, name, text, word, &slot);
}

/* Only what looks may be asked twice; a signal, say, would come twice. */
static bool only_looks(const void *question, size_t bytes)
{
    static const char *const looks[] = {"list",   "show",        "history",
                                        "counts", "definitions", "definition"};
    struct flyover_cursor map = {question, (const uint8_t *)question + bytes}, found;
    struct flyover_bytes what;
    if (!flyover_find(&map, "do", &found) || !flyover_read_str(&found, &what))
        return false;
    for (size_t i = 0; i < sizeof looks / sizeof looks[0]; i++)
        if (what.count == strlen(looks[i]) && memcmp(what.at, looks[i], what.count) == 0)
            return true;
    return false;
}

enum flyover_status send_ask(struct flyover_client *client, const void *question, size_t bytes,
                             uint64_t word, uint32_t *ret_slot)
{
    uint8_t *at;
    enum flyover_status status = send_check_value(client, question, bytes, "the question");
    struct flyover_cursor cursor = {question, (const uint8_t *)question + bytes};
    if (status == FLYOVER_OK && (bytes == 0 || flyover_peek(&cursor) != FLYOVER_MAP))
        status = client_fail(client, FLYOVER_INVALID, "a question is a msgpack map");
    if (status == FLYOVER_OK)
        status = send_begin(client, WIRE_ASK, 3, bytes, word, ret_slot, &at);
    if (status != FLYOVER_OK)
        return status;
    at = wire_put_value(at, (struct flyover_bytes){question, (uint32_t)bytes});
    return send_end(client, *ret_slot, at, only_looks(question, bytes));
}

enum flyover_status flyover_send_ask(struct flyover_client *client, const void *question,
                                     size_t question_bytes, uint64_t word)
{
    uint32_t slot;
    return send_ask(client, question, question_bytes, word, &slot);
}

/* ---- SUBSCRIBE ----------------------------------------------------------------------------------
 */

static enum flyover_status open_subscription(struct flyover_client *client, const char *definition,
                                             const char *states, const char *after,
                                             struct subscription **ret_subscription)
{
    size_t bytes;
    enum flyover_status status =
        check_option(client, definition, TEXT_BYTES_MAX, "the definition's name", &bytes);
    if (status == FLYOVER_OK)
        status = check_option(client, states, TEXT_BYTES_MAX, "the list of states", &bytes);
    if (status == FLYOVER_OK)
        status = check_option(client, after, SUBSCRIPTION_POSITION_BYTES_MAX, "a position", &bytes);
    if (status != FLYOVER_OK)
        return status;
    *ret_subscription = subscription_open(definition, states, after);
    return *ret_subscription == NULL ? no_memory(client) : FLYOVER_OK;
}

enum flyover_status flyover_send_subscribe(struct flyover_client *client, const char *definition,
                                           const char *states, const char *after, uint64_t word)
{
    struct subscription *subscription;
    enum flyover_status status =
        open_subscription(client, definition, states, after, &subscription);
    if (status != FLYOVER_OK)
        return status;
    uint32_t slot;
    uint8_t *at;
    status = send_begin(client, WIRE_SUBSCRIBE, 3, subscription_bytes_max(subscription), word,
                        &slot, &at);
    if (status != FLYOVER_OK) {
        subscription_close(subscription);
        return status;
    }
    client->table.requests[slot].subscription = subscription;
    uint8_t *start = client->output.bytes + client->output.end;
    uint8_t *end = subscription_put(subscription, table_id(&client->table, slot), start);
    return send_end(client, slot, end, false);
}

static uint32_t find_subscription(const struct table *table, uint64_t word)
{
    for (uint32_t slot = 0; slot < table->used_count; slot++) {
        const struct request *request = &table->requests[slot];
        if (request->state == REQUEST_OPEN && request->kind == WIRE_SUBSCRIBE &&
            request->word == word)
            return slot;
    }
    return TABLE_NONE;
}

enum flyover_status flyover_unsubscribe(struct flyover_client *client, uint64_t word)
{
    uint32_t slot = find_subscription(&client->table, word);
    if (slot == TABLE_NONE)
        return client_fail(client, FLYOVER_NOT_FOUND, "no subscription has this word");
    uint64_t id = table_id(&client->table, slot);
    table_remove(&client->table, slot);
    uint8_t *at = output_reserve(&client->output, WIRE_HEAD_BYTES_MAX);
    if (at == NULL)
        return no_memory(client);
    at = wire_put_uint(wire_put_array(at, 2), WIRE_UNSUBSCRIBE);
    output_commit(&client->output, wire_put_uint(at, id));
    return FLYOVER_OK;
}
