#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/client/fake_parts.h"

/* ---- saying -------------------------------------------------------------------------------------
 */

static uint8_t *begin(struct fake_connection *connection, enum wire_kind kind, uint32_t fields)
{
    uint8_t *at = connection->out + WIRE_LENGTH_BYTES + connection->body_count;
    assert(at + 65536 < connection->out + sizeof connection->out);
    return wire_put_uint(wire_put_array(at, fields), kind);
}

static void end(struct fake_connection *connection, const uint8_t *at)
{
    connection->body_count = (size_t)(at - connection->out) - WIRE_LENGTH_BYTES;
}

static void say_number(struct fake_connection *connection, enum wire_kind kind, uint64_t id)
{
    end(connection, wire_put_uint(begin(connection, kind, 2), id));
}

static void say_error(struct fake_connection *connection, uint64_t id, const char *status)
{
    uint8_t *at = wire_put_uint(begin(connection, WIRE_ERROR, 5), id);
    at = wire_put_string(wire_put_string(at, status), "said so");
    end(connection, wire_put_uint(at, 7));
}

static void say_started(struct fake_connection *connection, uint64_t id, uint64_t saga_id,
                        bool existed)
{
    uint8_t *at = wire_put_uint(begin(connection, WIRE_STARTED, 4), id);
    end(connection, wire_put_bool(wire_put_uint(at, saga_id), existed));
}

static void say_ended(struct fake_connection *connection, uint64_t id, uint64_t saga_id)
{
    uint8_t *at = wire_put_uint(begin(connection, WIRE_ENDED, 7), id);
    at = wire_put_string(wire_put_uint(at, saga_id), "COMPENSATED");
    at = wire_put_string(at, "the output");
    at = wire_put_string(at, "Shop.Closed");
    end(connection, wire_put_string(at, "it is Sunday"));
}

static bool say_garbage(struct fake_connection *connection)
{
    static const uint8_t garbage[] = {0xc1, 0xff, 0x93, 0x07};
    uint8_t *at = connection->out + WIRE_LENGTH_BYTES + connection->body_count;
    memcpy(at, garbage, sizeof garbage);
    end(connection, at + sizeof garbage);
    return true;
}

/* ---- hello --------------------------------------------------------------------------------------
 */

static void copy_option(const struct flyover_cursor *map, const char *key, char *to,
                        size_t capacity)
{
    struct flyover_cursor found;
    struct flyover_bytes text;
    to[0] = '\0';
    if (flyover_find(map, key, &found) && flyover_read_str(&found, &text) &&
        text.count < capacity) {
        memcpy(to, text.at, text.count);
        to[text.count] = '\0';
    }
}

static void say_welcome(struct fake_connection *connection)
{
    const struct fake_options *options = &connection->fake->options;
    uint8_t *at = wire_put_uint(begin(connection, WIRE_WELCOME, 3), 1);
    at = wire_put_map(at, 4);
    at = wire_put_string(wire_put_string(at, "engine"), "fake");
    at = wire_put_string(at, "window");
    at = wire_put_uint(at, options->window == 0 ? 64 : options->window);
    at = wire_put_string(at, "heartbeat_ms");
    at = wire_put_uint(at, options->heartbeat_ms == 0 ? 10000 : options->heartbeat_ms);
    end(connection, wire_put_string(wire_put_string(at, "durability"), "sync"));
}

static bool on_hello(struct fake_connection *connection, struct wire_message *message)
{
    struct fake *fake = connection->fake;
    uint64_t version;
    struct flyover_bytes options;
    if (!wire_take_uint(message, &version) || version != 1 || !wire_take_value(message, &options))
        abort();
    struct flyover_cursor map = {options.at, options.at + options.count};
    copy_option(&map, "token", fake->counts.token, sizeof fake->counts.token);
    copy_option(&map, "name", fake->counts.name, sizeof fake->counts.name);
    connection->is_greeted = true;
    if (fake->options.says_garbage)
        return say_garbage(connection);
    bool refuses =
        fake->options.refuse != NULL &&
        (fake->options.refuse_count == 0 || fake->counts.connections <= fake->options.refuse_count);
    if (refuses) {
        say_error(connection, 0, fake->options.refuse);
        return false;
    }
    say_welcome(connection);
    return !fake->options.only_greets || fake->counts.connections == 1;
}

/* ---- START --------------------------------------------------------------------------------------
 */

struct asked {
    uint64_t id, number, reply;
    char definition[64], name[64];
};

static void read_start(struct wire_message *message, struct asked *asked)
{
    struct flyover_bytes definition, options;
    *asked = (struct asked){0};
    if (!wire_take_uint(message, &asked->id) || !wire_take_text(message, &definition) ||
        !wire_take_uint(message, &asked->number) || !wire_take_value(message, &options))
        abort();
    assert(definition.count < sizeof asked->definition && asked->number < FAKE_STARTS_MAX);
    memcpy(asked->definition, definition.at, definition.count);
    struct flyover_cursor map = {options.at, options.at + options.count}, found;
    copy_option(&map, "name", asked->name, sizeof asked->name);
    int64_t reply = 0;
    if (flyover_find(&map, "reply", &found) && !flyover_read_int(&found, &reply))
        abort();
    asked->reply = (uint64_t)reply;
}

/* The saga of that name, or a new one. */
static uint64_t saga_of(struct fake *fake, const struct asked *asked, bool *ret_existed)
{
    for (uint32_t i = 0; asked->name[0] != '\0' && i < fake->names_count; i++)
        if (strcmp(fake->names[i].name, asked->name) == 0) {
            *ret_existed = true;
            return fake->names[i].saga_id;
        }
    *ret_existed = false;
    fake->counts.started[asked->number]++;
    fake->last_saga_id++;
    if (asked->name[0] != '\0') {
        fake->names = realloc(fake->names, (fake->names_count + 1) * sizeof *fake->names);
        struct fake_name *name = &fake->names[fake->names_count++];
        strcpy(name->name, asked->name);
        name->saga_id = fake->last_saga_id;
    }
    return fake->last_saga_id;
}

static void answer_start(struct fake_connection *connection, uint64_t id, uint64_t saga_id,
                         uint64_t reply, bool existed)
{
    if (reply != 1)
        say_started(connection, id, saga_id, existed);
    if (reply != 0)
        say_ended(connection, id, saga_id);
}

static bool is(const struct asked *asked, const char *definition)
{
    return strcmp(asked->definition, definition) == 0;
}

/* What is done the first time only. Returns true if it was that; *ret_goes_on is false for a cut.
 */
static bool on_first_time(struct fake_connection *connection, const struct asked *asked,
                          uint64_t saga_id, bool *ret_goes_on)
{
    *ret_goes_on = false;
    if (connection->fake->counts.asked[asked->number] > 1)
        return false;
    if (is(asked, "cut"))
        return true;
    if (is(asked, "gap"))
        return connection->fake->is_gap = true;
    if (is(asked, "halfway")) {
        say_started(connection, asked->id, saga_id, false);
        return true;
    }
    if (is(asked, "goodbye")) {
        end(connection, wire_put_string(begin(connection, WIRE_GOODBYE, 2), "see you"));
        return true;
    }
    *ret_goes_on = true;
    if (is(asked, "deaf"))
        return connection->is_deaf = true;
    return is(asked, "garbage") && say_garbage(connection);
}

static bool mute(struct fake_connection *connection, const struct asked *asked, uint64_t saga_id)
{
    struct fake *fake = connection->fake;
    assert(fake->muted_count < FAKE_MUTED_MAX);
    fake->muted[fake->muted_count].id = asked->id;
    fake->muted[fake->muted_count].saga_id = saga_id;
    fake->muted[fake->muted_count++].reply = asked->reply;
    return true;
}

bool fake_answer_muted(struct fake_connection *connection)
{
    struct fake *fake = connection->fake;
    for (uint32_t i = 0; i < fake->muted_count; i++)
        answer_start(connection, fake->muted[i].id, fake->muted[i].saga_id, fake->muted[i].reply,
                     false);
    fake->muted_count = 0;
    fake->is_let_go = false;
    return true;
}

static bool ping_first(struct fake_connection *connection, const struct asked *asked,
                       uint64_t saga_id)
{
    connection->pinged_id = asked->id;
    connection->pinged_saga = saga_id;
    connection->pinged_reply = asked->reply;
    say_number(connection, WIRE_PING, 4711);
    return true;
}

static bool on_start(struct fake_connection *connection, struct wire_message *message)
{
    struct asked asked;
    read_start(message, &asked);
    struct fake *fake = connection->fake;
    fake->counts.asked[asked.number]++;
    if (strncmp(asked.definition, "refuse:", 7) == 0) {
        say_error(connection, asked.id, asked.definition + 7);
        return true;
    }
    if (is(&asked, "lose")) {
        say_error(connection, 0, "INVALID");
        return false;
    }
    bool existed, goes_on;
    uint64_t saga_id = saga_of(fake, &asked, &existed);
    if (on_first_time(connection, &asked, saga_id, &goes_on))
        return goes_on;
    if (is(&asked, "mute"))
        return mute(connection, &asked, saga_id);
    if (is(&asked, "slow")) {
        say_started(connection, asked.id, saga_id, existed);
        asked.reply = 1;
        return mute(connection, &asked, saga_id);
    }
    if (is(&asked, "ping"))
        return ping_first(connection, &asked, saga_id);
    if (connection->has_left)
        abort();
    if (is(&asked, "leaving")) {
        end(connection, wire_put_string(begin(connection, WIRE_GOODBYE, 2), "see you"));
        connection->has_left = true;
    }
    if (fake->twin_id != 0)
        say_started(connection, fake->twin_id, fake->twin_saga_id, false);
    answer_start(connection, asked.id, saga_id, asked.reply, existed);
    fake->twin_id = is(&asked, "twice") ? asked.id : 0;
    fake->twin_saga_id = saga_id;
    return true;
}

/* ---- other questions ----------------------------------------------------------------------------
 */

static bool on_pong(struct fake_connection *connection, struct wire_message *message)
{
    uint64_t id;
    if (!wire_take_uint(message, &id))
        abort();
    assert(id == 4711);
    connection->fake->counts.pongs++;
    answer_start(connection, connection->pinged_id, connection->pinged_saga,
                 connection->pinged_reply, false);
    return true;
}

static bool on_define(struct fake_connection *connection, struct wire_message *message)
{
    uint64_t id;
    if (!wire_take_uint(message, &id))
        abort();
    connection->fake->counts.defined++;
    uint8_t *at = wire_put_uint(begin(connection, WIRE_DEFINED, 5), id);
    at = wire_put_array(wire_put_uint(wire_put_uint(at, 3), 2), 1);
    end(connection, wire_put_string(at, "payment"));
    return true;
}

static bool on_ask(struct fake_connection *connection, struct wire_message *message)
{
    uint64_t id;
    if (!wire_take_uint(message, &id))
        abort();
    struct flyover_cursor map = message->fields;
    char what[64];
    copy_option(&map, "do", what, sizeof what);
    connection->fake->counts.questions++;
    bool is_first = connection->fake->counts.questions == 1;
    if (is_first && (strcmp(what, "signal") == 0 || strcmp(what, "counts") == 0))
        return false;
    uint8_t *at = wire_put_uint(begin(connection, WIRE_ANSWER, 3), id);
    at = wire_put_string(wire_put_map(at, 1), "did");
    end(connection, wire_put_string(at, what));
    return true;
}

static bool on_await(struct fake_connection *connection, struct wire_message *message)
{
    uint64_t id, saga_id = 77;
    struct flyover_bytes name;
    if (!wire_take_uint(message, &id) ||
        (!wire_take_uint(message, &saga_id) && !wire_take_text(message, &name)))
        abort();
    say_ended(connection, id, saga_id);
    return true;
}

/* ---- SUBSCRIBE ----------------------------------------------------------------------------------
 */

static void say_events(struct fake_connection *connection)
{
    uint32_t events = connection->fake->options.events;
    if (events == 0)
        events = FAKE_EVENTS;
    while (connection->credit > 0 && connection->position < events &&
           connection->body_count < 512u << 10) {
        char position[32];
        connection->credit--;
        connection->position++;
        snprintf(position, sizeof position, "%llu", (unsigned long long)connection->position);
        uint8_t *at = wire_put_uint(begin(connection, WIRE_EVENT, 10), connection->subscription);
        at = wire_put_uint(wire_put_string(at, position), connection->position);
        at = wire_put_string(wire_put_string(at, "SUCCEEDED"), "order");
        at = wire_put_nil(wire_put_uint(wire_put_uint(at, 1), 1700000000000));
        end(connection, wire_put_nil(at));
    }
}

static bool on_subscribe(struct fake_connection *connection, struct wire_message *message)
{
    struct fake *fake = connection->fake;
    if (!wire_take_uint(message, &connection->subscription))
        abort();
    struct flyover_cursor map = message->fields, found;
    int64_t credit;
    if (!flyover_find(&map, "credit", &found) || !flyover_read_int(&found, &credit))
        abort();
    copy_option(&map, "after", fake->counts.after, sizeof fake->counts.after);
    fake->counts.subscribed++;
    connection->position = strtoull(fake->counts.after, NULL, 10);
    connection->credit = (uint64_t)credit;
    fake->counts.credit_max = connection->credit;
    say_events(connection);
    return true;
}

static bool on_credit(struct fake_connection *connection, struct wire_message *message)
{
    uint64_t id, credit;
    if (!wire_take_uint(message, &id) || !wire_take_uint(message, &credit))
        abort();
    assert(id == connection->subscription);
    connection->credit += credit;
    if (connection->credit > connection->fake->counts.credit_max)
        connection->fake->counts.credit_max = connection->credit;
    say_events(connection);
    return true;
}

/* ---- workers ------------------------------------------------------------------------------------
 */

static void say_invoke(struct fake_connection *connection, uint64_t registration, uint32_t step)
{
    bool is_compensation = step == FAKE_INVOCATIONS;
    uint8_t *at =
        wire_put_uint(begin(connection, WIRE_INVOKE, 13), ++connection->fake->last_invocation);
    at = wire_put_uint(wire_put_uint(at, registration), step % 2);
    at = wire_put_uint(wire_put_uint(at, 9), step);
    at = wire_put_uint(wire_put_uint(at, is_compensation), 1);
    at = wire_put_string(wire_put_uint(at, 1700000000000), "the input");
    at = is_compensation ? wire_put_string(at, "the output") : wire_put_nil(at);
    at = step == 1 ? wire_put_string(at, "the token") : wire_put_nil(at);
    end(connection, step == 2 ? wire_put_string(at, "the trace") : wire_put_nil(at));
    connection->open_invocations++;
}

static bool on_register(struct fake_connection *connection, struct wire_message *message)
{
    uint64_t id;
    struct flyover_bytes service;
    if (!wire_take_uint(message, &id) || !wire_take_text(message, &service))
        abort();
    if (service.count == 9 && memcmp(service.at, "forbidden", 9) == 0) {
        say_error(connection, id, "NO_PERMISSION");
        return true;
    }
    connection->fake->counts.registered++;
    say_number(connection, WIRE_REGISTERED, id);
    for (uint32_t step = 1; step <= FAKE_INVOCATIONS; step++)
        say_invoke(connection, id, step);
    return true;
}

static void say_drained(struct fake_connection *connection)
{
    if (connection->drain_id == 0 || connection->open_invocations > 0)
        return;
    say_number(connection, WIRE_DRAINED, connection->drain_id);
    connection->fake->counts.drained++;
    connection->drain_id = 0;
}

/* The second one comes too late. */
static bool on_worker(struct fake_connection *connection, struct wire_message *message,
                      uint32_t *count)
{
    uint64_t invocation;
    if (!wire_take_uint(message, &invocation))
        abort();
    if (message->kind != WIRE_BEAT && invocation % FAKE_INVOCATIONS == 2)
        say_number(connection, WIRE_LATE, invocation);
    (*count)++;
    if (message->kind != WIRE_BEAT)
        connection->open_invocations--;
    say_drained(connection);
    return true;
}

static bool on_drain(struct fake_connection *connection, struct wire_message *message)
{
    if (!wire_take_uint(message, &connection->drain_id))
        abort();
    say_drained(connection);
    return true;
}

/* ---- the whole ----------------------------------------------------------------------------------
 */

static bool on_ping(struct fake_connection *connection, struct wire_message *message)
{
    uint64_t id;
    if (!wire_take_uint(message, &id))
        abort();
    connection->fake->counts.pings++;
    say_number(connection, WIRE_PONG, id);
    return true;
}

bool fake_on_message(struct fake_connection *connection, struct wire_message *message)
{
    struct fake_counts *counts = &connection->fake->counts;
    if (connection->is_deaf)
        return true;
    if (!connection->is_greeted && message->kind != WIRE_HELLO)
        abort(); /* nothing may come before it */
    switch (message->kind) {
    case WIRE_HELLO: return on_hello(connection, message);
    case WIRE_START: return on_start(connection, message);
    case WIRE_AWAIT: return on_await(connection, message);
    case WIRE_DEFINE: return on_define(connection, message);
    case WIRE_ASK: return on_ask(connection, message);
    case WIRE_SUBSCRIBE: return on_subscribe(connection, message);
    case WIRE_UNSUBSCRIBE: connection->credit = 0; return true;
    case WIRE_CREDIT: return on_credit(connection, message);
    case WIRE_REGISTER: return on_register(connection, message);
    case WIRE_DONE: return on_worker(connection, message, &counts->done);
    case WIRE_FAILED: return on_worker(connection, message, &counts->failed);
    case WIRE_BEAT: return on_worker(connection, message, &counts->beats);
    case WIRE_DRAIN: return on_drain(connection, message);
    case WIRE_PING: return on_ping(connection, message);
    case WIRE_PONG: return on_pong(connection, message);
    case WIRE_GOODBYE: counts->goodbyes++; return false;
    default: abort();
    }
}
