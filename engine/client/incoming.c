#include "engine/client/incoming.h"

#include <assert.h>
#include <string.h>

#include "engine/client/line.h"
#include "engine/client/subscription.h"

/* ---- fields to the caller's structs -------------------------------------------------------------
 */

static bool take_text(struct wire_message *message, struct incoming_texts *texts, const char **at)
{
    struct flyover_bytes text;
    if (!wire_take_text_or_nil(message, &text))
        return false;
    if (text.at != NULL) {
        assert(texts->count < INCOMING_TEXTS_MAX);
        texts->texts[texts->count].text = text;
        texts->texts[texts->count++].at = at;
    }
    return true;
}

static bool take_number(struct wire_message *message, uint32_t *ret_value)
{
    uint64_t value;
    if (!wire_take_uint(message, &value))
        return false;
    *ret_value = value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
    return true;
}

static bool is_nil(struct flyover_bytes value)
{
    return value.count == 1 && value.at[0] == 0xc0;
}

static bool take_payload(struct wire_message *message, const void **ret_at, size_t *ret_bytes)
{
    struct flyover_bytes value;
    if (!wire_take_value(message, &value))
        return false;
    *ret_at = is_nil(value) ? NULL : value.at;
    *ret_bytes = is_nil(value) ? 0 : value.count;
    return true;
}

static bool read_started(struct wire_message *message, struct flyover_answer_message *answer)
{
    answer->kind = FLYOVER_STARTED;
    return wire_take_uint(message, &answer->saga_id) && wire_take_bool(message, &answer->existed);
}

static bool read_ended(struct wire_message *message, struct flyover_answer_message *answer,
                       struct incoming_texts *texts)
{
    answer->kind = FLYOVER_ENDED;
    return wire_take_uint(message, &answer->saga_id) &&
           take_text(message, texts, &answer->outcome) &&
           take_payload(message, &answer->output, &answer->output_bytes) &&
           take_text(message, texts, &answer->error) && take_text(message, texts, &answer->cause);
}

static bool read_defined(struct wire_message *message, struct flyover_answer_message *answer)
{
    answer->kind = FLYOVER_DEFINED;
    return take_number(message, &answer->plan) && take_number(message, &answer->version) &&
           take_payload(message, &answer->output, &answer->output_bytes);
}

static bool read_event(struct wire_message *message, struct flyover_answer_message *answer,
                       struct incoming_texts *texts)
{
    answer->kind = FLYOVER_EVENT;
    return take_text(message, texts, &answer->position) &&
           wire_take_uint(message, &answer->saga_id) &&
           take_text(message, texts, &answer->outcome) &&
           take_text(message, texts, &answer->definition) &&
           take_number(message, &answer->version) && wire_take_int(message, &answer->at_ms) &&
           take_text(message, texts, &answer->name) && take_text(message, texts, &answer->error);
}

static bool read_error(struct wire_message *message, struct flyover_answer_message *answer,
                       struct incoming_texts *texts)
{
    struct flyover_bytes status;
    answer->kind = FLYOVER_REFUSED_REQUEST;
    if (!wire_take_text(message, &status))
        return false;
    answer->status = client_status_of(status);
    return take_text(message, texts, &answer->problem) &&
           take_number(message, &answer->retry_after_ms);
}

bool incoming_read_answer(struct wire_message message, struct flyover_answer_message *ret_answer,
                          uint64_t *ret_id, struct incoming_texts *texts)
{
    texts->count = 0;
    memset(ret_answer, 0, sizeof *ret_answer);
    if (!wire_take_uint(&message, ret_id))
        return false;
    switch (message.kind) {
    case WIRE_STARTED: return read_started(&message, ret_answer);
    case WIRE_ENDED: return read_ended(&message, ret_answer, texts);
    case WIRE_DEFINED: return read_defined(&message, ret_answer);
    case WIRE_ANSWER:
        ret_answer->kind = FLYOVER_ANSWERED;
        return take_payload(&message, &ret_answer->output, &ret_answer->output_bytes);
    case WIRE_EVENT: return read_event(&message, ret_answer, texts);
    case WIRE_ERROR: return read_error(&message, ret_answer, texts);
    default: return false;
    }
}

bool incoming_read_invocation(struct wire_message message,
                              struct flyover_invocation *ret_invocation,
                              struct incoming_texts *texts)
{
    texts->count = 0;
    memset(ret_invocation, 0, sizeof *ret_invocation);
    struct flyover_invocation *to = ret_invocation;
    struct flyover_bytes input;
    uint64_t registration;
    uint32_t phase;
    if (!wire_take_uint(&message, &to->id) || !wire_take_uint(&message, &registration) ||
        !take_number(&message, &to->handler) || !wire_take_uint(&message, &to->saga_id) ||
        !take_number(&message, &to->step_no) || !take_number(&message, &phase) ||
        !take_number(&message, &to->attempt_no) || !wire_take_int(&message, &to->deadline_ms) ||
        !wire_take_value(&message, &input) ||
        !take_payload(&message, &to->output, &to->output_bytes))
        return false;
    to->compensation = phase == 1;
    to->input = input.at;
    to->input_bytes = input.count;
    return take_text(&message, texts, &to->token) && take_text(&message, texts, &to->trace);
}

void incoming_give(struct incoming_texts *texts)
{
    for (uint32_t i = 0; i < texts->count; i++) {
        struct flyover_bytes text = texts->texts[i].text;
        char *to = (char *)(uintptr_t)text.at - 1;
        memmove(to, text.at, text.count);
        to[text.count] = '\0';
        *texts->texts[i].at = to;
    }
}

void incoming_give_event(struct flyover_client *client, uint64_t id)
{
    uint32_t slot = table_find(&client->table, id);
    if (slot == TABLE_NONE)
        return;
    assert(client->table.requests[slot].kind == WIRE_SUBSCRIBE);
    uint32_t credit = subscription_give(client->table.requests[slot].subscription);
    uint8_t *at = credit == 0 ? NULL : output_reserve(&client->output, WIRE_HEAD_BYTES_MAX);
    if (at == NULL)
        return;
    at = wire_put_uint(wire_put_array(at, 3), WIRE_CREDIT);
    output_commit(&client->output, wire_put_uint(wire_put_uint(at, id), credit));
}

/* ---- what an answer makes of its request --------------------------------------------------------
 */

/* Whether an answer of that kind belongs to a request of this kind at all. */
static bool fits(const struct request *request, enum flyover_answer_kind kind)
{
    switch (kind) {
    case FLYOVER_STARTED:
        return request->kind == WIRE_START && request->when != FLYOVER_AT_END &&
               request->saga_id == 0;
    case FLYOVER_ENDED:
        return request->kind == WIRE_AWAIT ||
               (request->kind == WIRE_START && request->when != FLYOVER_AT_ACCEPTANCE);
    case FLYOVER_DEFINED: return request->kind == WIRE_DEFINE;
    case FLYOVER_ANSWERED: return request->kind == WIRE_ASK;
    case FLYOVER_EVENT: return request->kind == WIRE_SUBSCRIBE;
    case FLYOVER_REFUSED_REQUEST: return true;
    case FLYOVER_RECONNECTED:
    default: return false;
    }
}

static bool is_last(const struct request *request, enum flyover_answer_kind kind)
{
    if (kind == FLYOVER_EVENT)
        return false;
    return kind != FLYOVER_STARTED || request->when == FLYOVER_AT_ACCEPTANCE;
}

/* True: the answer is for the caller. */
static bool settle(struct flyover_client *client, struct incoming *incoming,
                   struct flyover_answer_message *answer, struct incoming_texts *texts)
{
    uint32_t slot = table_find(&client->table, incoming->id);
    if (slot == TABLE_NONE)
        return false; /* it is over, or was answered before */
    struct request *request = &client->table.requests[slot];
    if (!fits(request, answer->kind) ||
        (answer->kind == FLYOVER_EVENT &&
         !subscription_on_event(request->subscription, texts->texts[0].text))) {
        line_on_garbage(client);
        return false;
    }
    answer->word = incoming->word = request->word;
    bool is_dropped = request->is_abandoned;
    if (request->kind == WIRE_DRAIN)
        client->drain_status = answer->status;
    incoming->slot = request->is_private ? slot : TABLE_NONE;
    if (answer->kind == FLYOVER_STARTED)
        request->saga_id = answer->saga_id;
    if (is_last(request, answer->kind))
        table_remove(&client->table, slot);
    return !is_dropped;
}

static bool has_position(const struct flyover_answer_message *answer,
                         const struct incoming_texts *texts)
{
    return texts->count > 0 && texts->texts[0].at == &answer->position;
}

static bool on_answer(struct flyover_client *client, struct wire_message message,
                      struct incoming *incoming, struct flyover_answer_message *answer,
                      struct incoming_texts *texts)
{
    if (!incoming_read_answer(message, answer, &incoming->id, texts) ||
        (answer->kind == FLYOVER_EVENT && !has_position(answer, texts))) {
        line_on_garbage(client);
        return false;
    }
    if (incoming->id == 0) {
        struct flyover_bytes none = {(const uint8_t *)"", 0};
        client->retry_after_ms = answer->retry_after_ms;
        line_on_error(client, answer->status, texts->count > 0 ? texts->texts[0].text : none);
        return false;
    }
    incoming->status = answer->status;
    return settle(client, incoming, answer, texts);
}

/* ---- between client and engine alone ------------------------------------------------------------
 */

/* The request that the message answers in `*ret_slot`; TABLE_NONE: it is over. False: malformed, or
 * the request was of another kind. */
static bool take_answered(struct flyover_client *client, struct wire_message *message,
                          enum wire_kind kind, uint32_t *ret_slot)
{
    uint64_t id;
    if (!wire_take_uint(message, &id))
        return false;
    *ret_slot = table_find(&client->table, id);
    return *ret_slot == TABLE_NONE || client->table.requests[*ret_slot].kind == kind;
}

static bool on_registered(struct flyover_client *client, struct wire_message *message)
{
    uint32_t slot;
    if (!take_answered(client, message, WIRE_REGISTER, &slot))
        return false;
    if (slot != TABLE_NONE)
        table_serve(&client->table, slot);
    return true;
}

static bool on_drained(struct flyover_client *client, struct wire_message *message)
{
    uint32_t slot;
    if (!take_answered(client, message, WIRE_DRAIN, &slot))
        return false;
    if (slot == TABLE_NONE)
        return true;
    table_remove(&client->table, slot);
    client->is_drained = true;
    return true;
}

static bool on_ping(struct flyover_client *client, struct wire_message *message)
{
    client->is_pong_due = true;
    return wire_take_uint(message, &client->pong_id);
}

/* False: it cannot be from an engine. */
static bool on_other(struct flyover_client *client, struct wire_message *message)
{
    switch (message->kind) {
    case WIRE_WELCOME: line_on_welcome(client, message); return true;
    case WIRE_PING: return on_ping(client, message);
    case WIRE_LATE: client->late_count++; return true;
    case WIRE_REGISTERED: return on_registered(client, message);
    case WIRE_DRAINED: return on_drained(client, message);
    case WIRE_PONG: return true;
    case WIRE_GOODBYE: /* answers may follow, then the end of the stream */
        client->is_leaving = true;
        return true;
    default: return false;
    }
}

static bool is_answer(int64_t kind)
{
    return kind == WIRE_STARTED || kind == WIRE_ENDED || kind == WIRE_DEFINED ||
           kind == WIRE_ANSWER || kind == WIRE_EVENT || kind == WIRE_ERROR;
}

/* Before WELCOME nothing else is to be believed, and after it WELCOME is not. */
static bool may_come(const struct flyover_client *client, int64_t kind)
{
    if (kind == WIRE_ERROR || kind == WIRE_GOODBYE)
        return true;
    return (client->state == LINE_OPEN) != (kind == WIRE_WELCOME);
}

static bool on_invoke(struct flyover_client *client, struct wire_message message,
                      struct incoming *incoming, struct incoming_texts *texts)
{
    if (!incoming_read_invocation(message, &incoming->invocation, texts)) {
        line_on_garbage(client);
        return false;
    }
    if (invocations_add(&client->invocations, incoming->invocation.id, &incoming->word))
        return true;
    client_fail(client, FLYOVER_NO_MEMORY, "no memory for an invocation");
    line_lose(client, FLYOVER_NO_MEMORY);
    return false;
}

static enum incoming_kind on_message(struct flyover_client *client, struct wire_message message,
                                     struct incoming *incoming,
                                     struct flyover_answer_message *answer,
                                     struct incoming_texts *texts)
{
    if (!may_come(client, message.kind)) {
        line_on_garbage(client);
        return INCOMING_NOTHING;
    }
    if (message.kind != WIRE_WELCOME && message.kind != WIRE_ERROR && message.kind != WIRE_GOODBYE)
        client->was_useful = true;
    if (is_answer(message.kind))
        return on_answer(client, message, incoming, answer, texts) ? INCOMING_ANSWER
                                                                   : INCOMING_NOTHING;
    if (message.kind == WIRE_INVOKE)
        return on_invoke(client, message, incoming, texts) ? INCOMING_INVOCATION : INCOMING_NOTHING;
    if (!on_other(client, &message))
        line_on_garbage(client);
    return INCOMING_NOTHING;
}

enum incoming_kind incoming_take(struct flyover_client *client, struct incoming *ret_incoming,
                                 struct flyover_answer_message *ret_answer,
                                 struct incoming_texts *texts)
{
    for (;;) {
        struct wire_message message;
        ret_incoming->slot = TABLE_NONE;
        enum wire_find found = input_take(&client->input, &message, &ret_incoming->raw);
        if (found == WIRE_PART)
            return INCOMING_NOTHING;
        if (found != WIRE_FOUND) {
            line_on_garbage(client);
            return INCOMING_NOTHING;
        }
        enum incoming_kind kind = on_message(client, message, ret_incoming, ret_answer, texts);
        if (kind != INCOMING_NOTHING)
            return kind;
    }
}
