#include "engine/client/line.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/client/resume.h"

#define FINISH_MS_MAX 1000

/* ---- giving up, and trying again ----------------------------------------------------------------
 */

void line_lose(struct flyover_client *client, enum flyover_status status)
{
    pipe_close(&client->pipe);
    address_list_close(client->places);
    client->places = NULL;
    client->state = LINE_LOST;
    client->lost_status = client->status = status;
    resume_nothing(client);
}

static uint64_t random_next(struct flyover_client *client)
{
    client->random ^= client->random << 13;
    client->random ^= client->random >> 7;
    client->random ^= client->random << 17;
    return client->random;
}

static void pause_line(struct flyover_client *client)
{
    uint32_t half_ms = client->pause_ms / 2;
    client->retry_at_ms =
        client_now_ms() + half_ms + (int64_t)(random_next(client) % (half_ms + 1));
    client->pause_ms *= 2;
    if (client->pause_ms > LINE_PAUSE_MS_MAX)
        client->pause_ms = LINE_PAUSE_MS_MAX;
}

/* This attempt came to nothing; client->problem says why. */
static void try_again(struct flyover_client *client)
{
    pipe_close(&client->pipe);
    input_reset(&client->input);
    client->state = LINE_PAUSING;
    if (client->places != NULL && !client->is_last_place) {
        client->retry_at_ms = client_now_ms();
        return;
    }
    address_list_close(client->places);
    client->places = NULL;
    pause_line(client);
    if (client->retry_at_ms >= client->give_up_at_ms)
        line_lose(client, FLYOVER_NOT_CONNECTED);
}

void line_cut(struct flyover_client *client)
{
    bool was_open = client->state == LINE_OPEN;
    if (was_open && !resume_prepare(client)) {
        line_lose(client, FLYOVER_NO_MEMORY);
        return;
    }
    /* Only a connection that was good for something gives new time, so that a peer that greets and
     * cuts is not tried for ever. */
    int64_t now_ms = client_now_ms();
    if (was_open && (client->was_useful || now_ms - client->opened_ms >= LINE_PAUSE_MS_MAX)) {
        client->pause_ms = LINE_PAUSE_MS_MIN;
        client->give_up_at_ms = now_ms + client->connect_ms;
    }
    client->is_last_place = true; /* of this list: it is looked up again */
    try_again(client);
}

void line_on_garbage(struct flyover_client *client)
{
    client_fail(client, FLYOVER_FAILED,
                "what %s sends is not Flyover's protocol: is it a flyover serve, and plain or TLS "
                "as the client?",
                client->address_text);
    line_cut(client);
}

void line_on_error(struct flyover_client *client, enum flyover_status status,
                   struct flyover_bytes sentence)
{
    client_fail(client, status, "%.*s", (int)sentence.count, (const char *)sentence.at);
    if (status == FLYOVER_BUSY || status == FLYOVER_STOPPING || status == FLYOVER_FAILED)
        line_cut(client);
    else
        line_lose(client, status); /* it would say the same again */
}

/* ---- connecting and greeting --------------------------------------------------------------------
 */

static void fail_connect(struct flyover_client *client, const char *why)
{
    client_fail(client, FLYOVER_NOT_CONNECTED, "%s: %s; is flyover serve running there?",
                client->address_text, why);
    try_again(client);
}

static void begin(struct flyover_client *client)
{
    if (client->places == NULL) {
        enum status status = address_resolve(&client->address, &client->places, &client->problem);
        if (status != STATUS_OK) {
            try_again(client);
            return;
        }
    }
    client->attempt_until_ms = client_now_ms() + LINE_ATTEMPT_MS_MAX;
    int fd = address_connect(client->places, &client->is_last_place);
    if (fd < 0) {
        fail_connect(client, strerror(errno));
        return;
    }
    client->state = LINE_CONNECTING;
    enum status status = pipe_open(&client->pipe, fd, client->address.host);
    if (status == STATUS_OK)
        return;
    client_fail(client, FLYOVER_NO_MEMORY, "TLS with %s cannot begin: %s", client->address.host,
                status_text(status));
    line_lose(client, FLYOVER_NO_MEMORY);
}

/* True: it is decided. */
static bool on_connecting(struct flyover_client *client)
{
    struct pollfd poll_fd = {.fd = client->pipe.fd, .events = POLLOUT};
    if (poll(&poll_fd, 1, 0) <= 0)
        return false;
    int error = 0;
    socklen_t bytes = sizeof error;
    if (getsockopt(client->pipe.fd, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0)
        error = errno;
    if (error != 0) {
        fail_connect(client, strerror(error));
        return true;
    }
    client->hello_written = 0;
    client->write_failed = client->was_useful = client->is_pong_due = client->is_leaving = false;
    client->state = LINE_GREETING;
    return true;
}

static bool read_number(const struct flyover_cursor *map, const char *key, int64_t max,
                        uint32_t *ret_value)
{
    struct flyover_cursor found;
    int64_t value;
    if (!flyover_find(map, key, &found) || !flyover_read_int(&found, &value) || value <= 0)
        return false;
    *ret_value = (uint32_t)(value < max ? value : max);
    return true;
}

static bool read_welcome(struct flyover_client *client, struct wire_message *message)
{
    uint64_t version;
    struct flyover_bytes options, durability = {NULL, 0};
    if (!wire_take_uint(message, &version) || version != WIRE_VERSION ||
        !wire_take_value(message, &options))
        return false;
    struct flyover_cursor map = {options.at, options.at + options.count}, found;
    if (!read_number(&map, "window", TABLE_SLOTS_MAX / 2, &client->window) ||
        !read_number(&map, "heartbeat_ms", INT32_MAX / 4, &client->heartbeat_ms))
        return false;
    if (flyover_find(&map, "durability", &found))
        (void)flyover_read_str(&found, &durability);
    size_t count = durability.count < sizeof client->durability ? durability.count
                                                                : sizeof client->durability - 1;
    if (count > 0)
        memcpy(client->durability, durability.at, count);
    client->durability[count] = '\0';
    return true;
}

void line_on_welcome(struct flyover_client *client, struct wire_message *message)
{
    if (client->state != LINE_GREETING || !read_welcome(client, message)) {
        line_on_garbage(client);
        return;
    }
    address_list_close(client->places);
    client->places = NULL;
    client->is_reconnected = client->was_open;
    client->was_open = true;
    client->opened_ms = client_now_ms();
    client->state = LINE_OPEN;
    line_write(client);
}

/* ---- writing and reading ------------------------------------------------------------------------
 */

static bool note_written(struct flyover_client *client, enum pipe_result result)
{
    if (result == PIPE_FAILED)
        client->write_failed = true;
    return result == PIPE_DONE;
}

static bool write_hello(struct flyover_client *client)
{
    while (client->hello_written < client->hello_bytes) {
        size_t written;
        if (!note_written(client,
                          pipe_write(&client->pipe, client->hello + client->hello_written,
                                     client->hello_bytes - client->hello_written, &written)))
            return false;
        client->hello_written += written;
    }
    return true;
}

static void put_pong(struct flyover_client *client)
{
    client->is_pong_due = false;
    uint8_t *at = output_reserve(&client->output, WIRE_HEAD_BYTES_MAX);
    if (at == NULL)
        return; /* it is a sign of life, and anything else that goes is one too */
    at = wire_put_uint(wire_put_array(at, 2), WIRE_PONG);
    output_commit(&client->output, wire_put_uint(at, client->pong_id));
}

void line_write(struct flyover_client *client)
{
    bool may_write = client->state == LINE_GREETING || client->state == LINE_OPEN;
    if (!may_write || client->is_leaving || client->write_failed || client->process != getpid())
        return;
    if (!write_hello(client) || client->state != LINE_OPEN)
        return;
    if (client->is_pong_due)
        put_pong(client);
    struct output *output = &client->output;
    output_seal(output);
    while (output_waiting(output) > 0) {
        size_t written;
        if (!note_written(client, pipe_write(&client->pipe, output->bytes + output->written,
                                             output_waiting(output), &written)))
            return;
        output_advance(output, written);
    }
    (void)note_written(client, pipe_flush(&client->pipe));
}

bool line_wants_write(const struct flyover_client *client)
{
    switch (client->state) {
    case LINE_CONNECTING: return true;
    case LINE_GREETING:
        /* With TLS the turn is the engine's until it has answered the handshake. */
        return pipe_is_full(&client->pipe) ||
               (client->hello_written < client->hello_bytes &&
                (client->pipe.session == NULL || tls_session_is_ready(client->pipe.session)));
    case LINE_OPEN:
        return !client->is_leaving && !client->write_failed &&
               (pipe_is_full(&client->pipe) || client->is_pong_due ||
                output_waiting(&client->output) > 0);
    case LINE_PAUSING:
    case LINE_LOST:
    default: return false;
    }
}

static void on_read_end(struct flyover_client *client, enum pipe_result result,
                        const struct problem *problem)
{
    if (result == PIPE_FAILED && problem->status == STATUS_NO_PERMISSION) {
        client_fail(client, FLYOVER_NO_PERMISSION, "%s", problem->text);
        line_lose(client, FLYOVER_NO_PERMISSION);
        return;
    }
    client_fail(client, FLYOVER_NOT_CONNECTED, "%s cut the connection%s%s", client->address_text,
                result == PIPE_FAILED ? ": " : "", result == PIPE_FAILED ? problem->text : "");
    line_cut(client);
}

/* True: something came, or the connection is over. */
static bool read_some(struct flyover_client *client)
{
    size_t capacity, count = 0;
    uint8_t *room = input_room(&client->input, &capacity);
    if (room == NULL) {
        client_fail(client, FLYOVER_NO_MEMORY, "no memory for what the engine sends");
        line_lose(client, FLYOVER_NO_MEMORY);
        return true;
    }
    struct problem problem = {0};
    enum pipe_result result = pipe_read(&client->pipe, room, capacity, &count, &problem);
    if (result == PIPE_DONE) {
        input_add(&client->input, count);
        client->heard_ms = client_now_ms();
        client->ping_ms = 0;
        return true;
    }
    if (result == PIPE_BLOCKED && !client->write_failed)
        return false;
    on_read_end(client, result, &problem);
    return true;
}

/* ---- the clock ----------------------------------------------------------------------------------
 */

static void send_ping(struct flyover_client *client, int64_t now_ms)
{
    uint8_t *at = output_reserve(&client->output, WIRE_HEAD_BYTES_MAX);
    if (at == NULL)
        return;
    at = wire_put_uint(wire_put_array(at, 2), WIRE_PING);
    output_commit(&client->output, wire_put_uint(at, 1));
    client->ping_ms = now_ms;
    line_write(client);
}

/* True: the peer is dead. */
static bool heartbeat(struct flyover_client *client)
{
    int64_t now_ms = client_now_ms();
    if (client->ping_ms != 0) {
        if (now_ms - client->ping_ms < client->heartbeat_ms)
            return false;
        client_fail(client, FLYOVER_NOT_CONNECTED, "%s has not answered for %lld ms",
                    client->address_text, (long long)(now_ms - client->heard_ms));
        line_cut(client);
        return true;
    }
    if (now_ms - client->heard_ms >= client->heartbeat_ms)
        send_ping(client, now_ms);
    return false;
}

static bool attempt_is_over(struct flyover_client *client)
{
    int64_t now_ms = client_now_ms();
    if (now_ms < client->attempt_until_ms && now_ms < client->give_up_at_ms)
        return false;
    /* One that had no time of its own says nothing better than the one before it said. */
    if (now_ms < client->attempt_until_ms && client->problem.text[0] != '\0') {
        try_again(client);
        return true;
    }
    fail_connect(client, client->state == LINE_CONNECTING
                             ? "does not answer"
                             : "takes the connection but does not say WELCOME");
    return true;
}

int64_t line_due_ms(const struct flyover_client *client)
{
    switch (client->state) {
    case LINE_PAUSING: return client->retry_at_ms;
    case LINE_CONNECTING:
    case LINE_GREETING:
        return client->attempt_until_ms < client->give_up_at_ms ? client->attempt_until_ms
                                                                : client->give_up_at_ms;
    case LINE_OPEN:
        return (client->ping_ms != 0 ? client->ping_ms : client->heard_ms) + client->heartbeat_ms;
    case LINE_LOST:
    default: return INT64_MAX;
    }
}

static bool check_process(struct flyover_client *client)
{
    if (client->process == getpid())
        return true;
    client_fail(client, FLYOVER_NOT_CONNECTED,
                "this client belongs to the process that connected it: a child connects anew");
    line_lose(client, FLYOVER_NOT_CONNECTED);
    return false;
}

bool line_turn(struct flyover_client *client)
{
    if (client->state == LINE_LOST || !check_process(client))
        return false;
    switch (client->state) {
    case LINE_PAUSING:
        if (client_now_ms() < client->retry_at_ms)
            return false;
        begin(client);
        return true;
    case LINE_CONNECTING: return on_connecting(client) || attempt_is_over(client);
    case LINE_GREETING: line_write(client); return read_some(client) || attempt_is_over(client);
    case LINE_OPEN: line_write(client); return read_some(client) || heartbeat(client);
    case LINE_LOST:
    default: return false;
    }
}

void line_wait(struct flyover_client *client, int64_t until_ms)
{
    int64_t due_ms = line_due_ms(client);
    int64_t left_ms = (due_ms < until_ms ? due_ms : until_ms) - client_now_ms();
    if (left_ms <= 0)
        return;
    struct pollfd poll_fd = {.fd = client->pipe.fd, .events = POLLIN};
    if (client->state == LINE_CONNECTING)
        poll_fd.events = POLLOUT;
    else if (line_wants_write(client))
        poll_fd.events = POLLIN | POLLOUT;
    /* An interrupted wait is a short one: whoever waits looks at the clock again. */
    (void)poll(&poll_fd, 1, left_ms > INT_MAX ? INT_MAX : (int)left_ms);
}

/* ---- the end ------------------------------------------------------------------------------------
 */

static void wait_for(struct flyover_client *client, short events, int64_t until_ms)
{
    struct pollfd poll_fd = {.fd = client->pipe.fd, .events = events};
    int64_t left_ms = until_ms - client_now_ms();
    if (left_ms > 0)
        (void)poll(&poll_fd, 1, (int)left_ms);
}

static void put_goodbye(struct flyover_client *client)
{
    uint8_t *at = output_reserve(&client->output, WIRE_HEAD_BYTES_MAX);
    if (at == NULL)
        return;
    at = wire_put_uint(wire_put_array(at, 2), WIRE_GOODBYE);
    output_commit(&client->output, wire_put_string(at, ""));
}

/* A socket that is closed with something unread in it is reset, and what was sent last is lost. */
static void read_off(struct flyover_client *client, int64_t until_ms)
{
    uint8_t bytes[4096];
    shutdown(client->pipe.fd, SHUT_WR);
    while (client_now_ms() < until_ms) {
        ssize_t count = recv(client->pipe.fd, bytes, sizeof bytes, 0);
        if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR))
            return;
        if (count < 0)
            wait_for(client, POLLIN, until_ms);
    }
}

void line_finish(struct flyover_client *client)
{
    if (client->state != LINE_OPEN || client->process != getpid())
        return;
    int64_t until_ms = client_now_ms() + FINISH_MS_MAX;
    put_goodbye(client);
    line_write(client);
    while (line_wants_write(client) && client_now_ms() < until_ms) {
        wait_for(client, POLLOUT, until_ms);
        line_write(client);
    }
    pipe_finish(&client->pipe);
    if (pipe_flush(&client->pipe) != PIPE_FAILED)
        read_off(client, until_ms);
}
