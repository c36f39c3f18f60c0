#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/net/server_parts.h"

#define NAME_BYTES_MAX 64u

/* ---- life ---------------------------------------------------------------------------------------
 */

void server_log(const struct server *server, const struct peer *peer, const char *event,
                const char *text)
{
    char address[TRANSPORT_ADDRESS_BYTES] = "";
    if (server->options.on_log == NULL)
        return;
    if (peer != NULL)
        transport_peer(server->transport, peer->connection, address);
    server->options.on_log(server->options.log_context, event, address, text);
}

void peer_open(struct server *server, uint32_t connection)
{
    struct peer *peer = server_peer(server, connection);
    assert(peer->stage == PEER_FREE);
    *peer = (struct peer){.stage = PEER_GREETING,
                          .connection = connection,
                          .generation = peer->generation,
                          .is_writing = peer->is_writing,
                          .next_writing = peer->next_writing,
                          .next_blocked = peer->next_blocked,
                          .opened_ns = server->now_ns,
                          .heard_ns = server->now_ns,
                          .waiting_first = SERVER_NONE,
                          .ready = {SERVER_NONE, SERVER_NONE},
                          .invocations_first = SERVER_NONE};
    server->counts.connections++;
}

static void drop_held(struct server *server, struct peer *peer)
{
    server->held_bytes -= peer->held_capacity;
    free(peer->held);
    peer->held = NULL;
    peer->held_count = peer->held_capacity = peer->frame_left = 0;
}

/* From now on it is as if it had never been there; its number is still in use. */
static void leave(struct server *server, struct peer *peer)
{
    if (peer->stage == PEER_LEAVING)
        return;
    out_finish(server, peer);
    peer->stage = PEER_LEAVING;
    server_take_back(server, peer);
    request_drop_all(server, peer);
    watch_drop_all(server, peer);
    out_drop(server, peer);
    drop_held(server, peer);
    free(peer->grant);
    peer->grant = NULL;
    server->counts.connections--;
}

static void cut(struct server *server, struct peer *peer, bool politely)
{
    if (peer->stage == PEER_LEAVING)
        return;
    leave(server, peer);
    transport_cut(server->transport, peer->connection, politely);
}

void peer_drop(struct server *server, struct peer *peer)
{
    if (peer->stage != PEER_FREE)
        leave(server, peer);
    free(peer->name);
    peer->name = NULL;
}

void peer_close(struct server *server, struct peer *peer, const char *why)
{
    leave(server, peer);
    server_log(server, peer, "closed", why != NULL ? why : peer->name);
    peer_drop(server, peer);
    peer->stage = PEER_FREE;
    peer->generation++;
    transport_forget(server->transport, peer->connection);
}

void peer_cut(struct server *server, struct peer *peer, const char *why)
{
    server_log(server, peer, "cut", why);
    cut(server, peer, false);
}

void peer_fail(struct server *server, struct peer *peer, enum status status, const char *format,
               ...)
{
    char sentence[sizeof((struct problem *)0)->text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    server_log(server, peer, "refused", sentence);
    /* To one that does not read it cannot be said. */
    if (!peer->blocked)
        out_error(server, peer, 0, status, sentence, 0);
    cut(server, peer, true);
}

void peer_goodbye(struct server *server, struct peer *peer, const char *sentence)
{
    uint8_t *at = out_begin(server, peer, WIRE_HEAD_BYTES_MAX + (uint32_t)strlen(sentence));
    if (at == NULL)
        return;
    at = wire_put_array(at, 2);
    at = wire_put_uint(at, WIRE_GOODBYE);
    at = wire_put_string(at, sentence);
    out_end(server, peer, at);
}

/* ---- HELLO --------------------------------------------------------------------------------------
 */

static const char *role_text(enum access_role role)
{
    static const char *const texts[] = {"none", "client", "worker", "operator"};
    return texts[role];
}

static void put_pair(uint8_t **at, const char *key, const char *value)
{
    *at = wire_put_string(*at, key);
    *at = wire_put_string(*at, value == NULL ? "" : value);
}

static void put_number(uint8_t **at, const char *key, uint64_t value)
{
    *at = wire_put_string(*at, key);
    *at = wire_put_uint(*at, value);
}

static void welcome(struct server *server, struct peer *peer)
{
    const struct server_options *options = &server->options;
    uint8_t *at = out_begin_answer(server, peer);
    if (at == NULL)
        return;
    at = wire_put_array(at, 3);
    at = wire_put_uint(at, WIRE_WELCOME);
    at = wire_put_uint(at, WIRE_VERSION);
    at = wire_put_map(at, 7);
    put_pair(&at, "engine", options->version);
    put_pair(&at, "commit", options->commit);
    put_pair(&at, "durability", options->durability);
    put_pair(&at, "role", role_text(peer->grant->role));
    put_number(&at, "window", options->window);
    put_number(&at, "heartbeat_ms", options->heartbeat_ms);
    put_number(&at, "now_ms", (uint64_t)clock_wall_ms());
    out_end_answer(server, peer, at);
}

/* Fit for a line of a log. */
static char *copy_name(struct flyover_bytes text)
{
    uint32_t bytes = text.count < NAME_BYTES_MAX ? text.count : NAME_BYTES_MAX;
    char *name = calloc(1, bytes + 1);
    for (uint32_t i = 0; i < bytes && name != NULL; i++)
        name[i] = text.at[i] >= ' ' && text.at[i] < 127 ? (char)text.at[i] : '?';
    return name;
}

static bool read_greeting(struct wire_message *message, uint64_t *version,
                          struct flyover_bytes *token, struct flyover_bytes *name)
{
    uint32_t pairs;
    struct flyover_bytes key;
    if (!wire_take_uint(message, version) || *version == 0 ||
        !flyover_read_map(&message->fields, &pairs))
        return false;
    for (uint32_t i = 0; i < pairs; i++) {
        if (!wire_take_text(message, &key))
            return false;
        struct flyover_bytes *value = text_is(key, "token") ? token : NULL;
        value = text_is(key, "name") ? name : value;
        if (value != NULL ? !wire_take_text_or_nil(message, value) : !wire_skip(&message->fields))
            return false;
    }
    return true;
}

static void greet(struct server *server, struct peer *peer, struct flyover_bytes token,
                  struct flyover_bytes name)
{
    static const struct access_grant everything = {.name = "anybody", .role = ACCESS_OPERATOR};
    const struct access_grant *grant =
        server->options.access == NULL ? &everything : access_find(server->options.access, token);
    if (grant == NULL) {
        peer_fail(server, peer, STATUS_NO_PERMISSION, "%s",
                  token.count == 0 ? "this engine asks for a token: say it in HELLO"
                                   : "this token is not known here: ask the operator for one");
        return;
    }
    peer->grant = malloc(sizeof *peer->grant);
    peer->name = copy_name(name);
    if (peer->grant == NULL || peer->name == NULL) {
        peer_fail(server, peer, STATUS_NO_MEMORY, "the engine has no memory for a connection");
        return;
    }
    *peer->grant = *grant;
    peer->stage = PEER_OPEN;
    server_log(server, peer, "welcome", peer->name);
    welcome(server, peer);
}

static enum heard on_hello(struct server *server, struct peer *peer, struct wire_message *message)
{
    uint64_t version;
    struct flyover_bytes token = {0}, name = {0};
    if (message->kind != WIRE_HELLO)
        peer_fail(server, peer, STATUS_INVALID, "the first message has to be HELLO");
    else if (!read_greeting(message, &version, &token, &name))
        return HEARD_MALFORMED;
    else
        greet(server, peer, token, name);
    return HEARD;
}

/* ---- messages -----------------------------------------------------------------------------------
 */

static enum heard on_ping(struct server *server, struct peer *peer, struct wire_message *message)
{
    uint64_t id;
    if (!wire_take_uint(message, &id))
        return HEARD_MALFORMED;
    uint8_t *at = out_begin_answer(server, peer);
    if (at == NULL)
        return HEARD;
    at = wire_put_array(at, 2);
    at = wire_put_uint(at, WIRE_PONG);
    at = wire_put_uint(at, id);
    out_end_answer(server, peer, at);
    return HEARD;
}

static enum heard on_goodbye(struct server *server, struct peer *peer)
{
    server_log(server, peer, "goodbye", peer->name);
    cut(server, peer, true);
    return HEARD;
}

/* Answered already, so that the message is done. */
static enum heard refuse_role(struct server *server, struct peer *peer,
                              struct wire_message *message)
{
    char sentence[160];
    uint64_t id;
    if (!wire_take_uint(message, &id))
        return HEARD_MALFORMED;
    snprintf(sentence, sizeof sentence, "the token is that of a %s, which may not ask for %s",
             role_text(peer->grant->role), wire_kind_text(message->kind));
    out_error(server, peer, id, STATUS_NO_PERMISSION, sentence, 0);
    return HEARD;
}

/* What a worker may serve, and who may ask what of admin.h's, is looked at where it is read. */
static bool may_ask(const struct peer *peer, int64_t kind)
{
    enum access_role role = peer->grant->role;
    if (kind == WIRE_DEFINE)
        return role == ACCESS_OPERATOR;
    if (kind == WIRE_START || kind == WIRE_AWAIT || kind == WIRE_SUBSCRIBE)
        return role == ACCESS_CLIENT || role == ACCESS_OPERATOR;
    return true;
}

static enum heard dispatch(struct server *server, struct peer *peer, struct wire_message *message)
{
    if (peer->stage == PEER_GREETING)
        return on_hello(server, peer, message);
    if (!may_ask(peer, message->kind))
        return refuse_role(server, peer, message);
    switch (message->kind) {
    case WIRE_START: return server_on_start(server, peer, message);
    case WIRE_DONE: return server_on_done(server, peer, message);
    case WIRE_FAILED: return server_on_failed(server, peer, message);
    case WIRE_BEAT: return server_on_beat(server, peer, message);
    case WIRE_PING: return on_ping(server, peer, message);
    case WIRE_PONG: return HEARD;
    case WIRE_GOODBYE: return on_goodbye(server, peer);
    case WIRE_DEFINE: return server_on_define(server, peer, message);
    case WIRE_SUBSCRIBE: return server_on_subscribe(server, peer, message);
    case WIRE_CREDIT: return server_on_credit(server, peer, message);
    case WIRE_UNSUBSCRIBE: return server_on_unsubscribe(server, peer, message);
    case WIRE_AWAIT: return server_on_await(server, peer, message);
    case WIRE_ASK: return server_on_ask(server, peer, message);
    case WIRE_REGISTER: return server_on_register(server, peer, message);
    case WIRE_DRAIN: return server_on_drain(server, peer, message);
    default:
        peer_fail(server, peer, STATUS_INVALID, "%" PRId64 " is no kind of message for an engine",
                  message->kind);
        return HEARD;
    }
}

/* False: it stays where it is for now. */
static bool take_message(struct server *server, struct peer *peer, const uint8_t **at,
                         const uint8_t *end)
{
    struct wire_message message;
    const uint8_t *before = *at;
    if (wire_find_message(at, end, &message) == WIRE_GARBAGE) {
        peer_fail(server, peer, STATUS_INVALID,
                  "a frame has something else in it than messages: arrays that begin with a kind");
        return true;
    }
    enum heard heard = dispatch(server, peer, &message);
    if (heard == HEARD_LATER) {
        *at = before;
        peer->heard_ns = server->now_ns;
        out_block(server, peer);
        return false;
    }
    server->counts.messages_in++;
    if (heard == HEARD_MALFORMED) {
        const char *kind = wire_kind_text(message.kind);
        peer_fail(server, peer, STATUS_INVALID,
                  "a %s is not as it has to be: a field is missing, or of another type",
                  kind == NULL ? "message" : kind);
    }
    return true;
}

/* ---- bytes --------------------------------------------------------------------------------------
 */

static bool may_take(const struct peer *peer)
{
    return !peer->blocked && peer->stage != PEER_LEAVING;
}

static uint32_t take_messages(struct server *server, struct peer *peer, const uint8_t *bytes)
{
    const uint8_t *at = bytes;
    const uint8_t *end = bytes + peer->frame_left;
    while (at < end && may_take(peer) && take_message(server, peer, &at, end))
        ;
    uint32_t taken = (uint32_t)(at - bytes);
    peer->frame_left = peer->stage == PEER_LEAVING ? 0 : peer->frame_left - taken;
    return taken;
}

/* False: not all of it is there. */
static bool take_frame(struct server *server, struct peer *peer, const uint8_t *bytes,
                       uint32_t count)
{
    struct flyover_bytes body;
    enum wire_find found = wire_find_frame(bytes, count, &body);
    uint32_t bytes_max =
        peer->stage == PEER_GREETING ? SERVER_HELLO_BYTES_MAX : WIRE_FRAME_BYTES_MAX;
    uint32_t known = found == WIRE_FOUND ? body.count : count;
    if (found == WIRE_TOO_LONG || known > bytes_max) {
        peer_fail(server, peer, STATUS_TOO_LARGE, "a frame has 1 to %u bytes here", bytes_max);
        return false;
    }
    if (found != WIRE_FOUND)
        return false;
    peer->frame_left = body.count;
    server->counts.frames_in++;
    return true;
}

/* Returns how many bytes were taken. */
static uint32_t take(struct server *server, struct peer *peer, const uint8_t *bytes, uint32_t count)
{
    uint32_t at = 0;
    while (may_take(peer)) {
        if (peer->frame_left == 0) {
            if (!take_frame(server, peer, bytes + at, count - at))
                break;
            at += WIRE_LENGTH_BYTES;
        }
        at += take_messages(server, peer, bytes + at);
    }
    return at;
}

/* Room for `count` more bytes of input that waits. */
static bool make_room(struct server *server, struct peer *peer, uint32_t count)
{
    uint32_t needed = peer->held_count + count;
    uint32_t capacity = peer->held_capacity == 0 ? 1024 : peer->held_capacity;
    while (capacity < needed)
        capacity *= 2;
    if (capacity == peer->held_capacity)
        return true;
    uint32_t more = capacity - peer->held_capacity;
    if (needed > SERVER_HELD_BYTES_MAX || server->held_bytes + more > SERVER_HELD_BYTES_MAX_ALL)
        return false;
    uint8_t *held = realloc(peer->held, capacity);
    if (held == NULL)
        return false;
    server->held_bytes += more;
    peer->held = held;
    peer->held_capacity = capacity;
    return true;
}

static void hold(struct server *server, struct peer *peer, const uint8_t *bytes, uint32_t count)
{
    if (!make_room(server, peer, count)) {
        peer_fail(server, peer, STATUS_BUSY, "too much is sent without its answers being read");
        return;
    }
    memcpy(peer->held + peer->held_count, bytes, count);
    peer->held_count += count;
}

static void take_held(struct server *server, struct peer *peer)
{
    uint32_t taken = take(server, peer, peer->held, peer->held_count);
    if (peer->stage == PEER_LEAVING)
        return;
    peer->held_count -= taken;
    memmove(peer->held, peer->held + taken, peer->held_count);
    if (taken > 0)
        peer->frame_since_ns = 0;
    if (peer->held_count == 0)
        drop_held(server, peer);
}

/* The time of a frame runs while a part of it is there and the rest could come. */
static void note_part(struct server *server, struct peer *peer)
{
    if (peer->held_count == 0 || peer->blocked)
        peer->frame_since_ns = 0;
    else if (peer->frame_since_ns == 0)
        peer->frame_since_ns = server->now_ns;
}

void peer_on_data(struct server *server, struct peer *peer, const uint8_t *bytes, uint32_t count)
{
    if (peer->stage == PEER_LEAVING)
        return;
    peer->heard_ns = server->now_ns;
    peer->pinged = false;
    if (peer->held_count > 0) {
        hold(server, peer, bytes, count);
        if (peer->stage != PEER_LEAVING)
            take_held(server, peer);
    } else {
        uint32_t taken = take(server, peer, bytes, count);
        if (taken < count && peer->stage != PEER_LEAVING)
            hold(server, peer, bytes + taken, count - taken);
    }
    if (peer->stage != PEER_LEAVING)
        note_part(server, peer);
}

void peer_go_on(struct server *server, struct peer *peer)
{
    peer->heard_ns = server->now_ns;
    if (peer->held_count > 0)
        take_held(server, peer);
    if (peer->stage != PEER_LEAVING)
        note_part(server, peer);
}

/* ---- times --------------------------------------------------------------------------------------
 */

static void ping(struct server *server, struct peer *peer)
{
    uint8_t *at = out_begin(server, peer, WIRE_HEAD_BYTES_MAX);
    if (at == NULL)
        return;
    at = wire_put_array(at, 2);
    at = wire_put_uint(at, WIRE_PING);
    at = wire_put_uint(at, 0);
    out_end(server, peer, at);
    peer->pinged = true;
}

static bool is_over(const struct server *server, uint64_t since_ns, uint64_t ms)
{
    return server->now_ns - since_ns >= ms * 1000000u;
}

void peer_look(struct server *server, struct peer *peer)
{
    const struct server_options *options = &server->options;
    bool is_silent = is_over(server, peer->heard_ns, 2ull * options->heartbeat_ms);
    if (peer->stage == PEER_FREE || peer->stage == PEER_LEAVING)
        return;
    if (peer->stage == PEER_GREETING && is_over(server, peer->opened_ns, options->hello_ms))
        peer_cut(server, peer, "no HELLO in time");
    else if (peer->frame_since_ns != 0 && is_over(server, peer->frame_since_ns, options->frame_ms))
        peer_cut(server, peer, "a frame was not whole in time");
    else if (is_silent && (peer->pinged || peer->blocked))
        peer_cut(server, peer, peer->blocked ? "it does not read" : "it does not answer");
    else if (peer->stage == PEER_OPEN && !peer->pinged &&
             is_over(server, peer->heard_ns, options->heartbeat_ms))
        ping(server, peer);
}
