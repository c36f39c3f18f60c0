#include "tests/net/transport_rig.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/net/listener.h"

#define TICK_NS     (UINT64_C(1000) * 1000)
#define PATIENCE_NS (UINT64_C(60) * 1000 * 1000 * 1000)

struct transport_options rig_options(uint32_t threads)
{
    return (struct transport_options){
        .listen = {"127.0.0.1:0"},
        .listen_count = 1,
        .threads = threads,
        .connections_max = 16,
        .out_bytes_max = 16u << 20,
        .out_bytes_a_connection_max = 4u << 20,
        .recv_buffers = 8,
        .wake_fd = -1,
    };
}

void rig_open(struct rig *rig, const struct transport_options *options)
{
    struct problem problem = {0};
    memset(rig, 0, sizeof *rig);
    rig->options = *options;
    enum status status = transport_open(options, &rig->transport, &problem);
    if (status != STATUS_OK)
        fail_msg("%s: %s", status_name(status), problem.text);
}

void rig_close(struct rig *rig)
{
    transport_close(rig->transport);
    for (uint32_t i = 0; i < RIG_CONNECTIONS_MAX; i++)
        free(rig->connections[i].bytes);
}

/* ---- the owner ----------------------------------------------------------------------------------
 */

static void on_opened(struct rig *rig, struct rig_connection *connection, uint32_t number)
{
    assert_false(connection->is_open);
    assert_false(connection->is_closed);
    free(connection->bytes);
    *connection = (struct rig_connection){.is_open = true, .lives = connection->lives + 1};
    rig->opened++;
    rig->last_opened = number;
}

static void on_data(struct rig *rig, struct rig_connection *connection,
                    const struct transport_event *event)
{
    assert_true(connection->is_open);
    assert_true(event->count > 0);
    connection->bytes = realloc(connection->bytes, connection->count + event->count);
    assert_non_null(connection->bytes);
    memcpy(connection->bytes + connection->count, event->bytes, event->count);
    connection->count += event->count;
    connection->data_count++;
    if (rig->echoes)
        assert_true(rig_send(rig, event->connection, event->bytes, event->count));
}

static void on_closed(struct rig *rig, struct rig_connection *connection,
                      const struct transport_event *event)
{
    assert_true(connection->is_open);
    connection->is_open = false;
    connection->is_closed = true;
    connection->reason = event->reason;
    assert_true(event->count < sizeof connection->text);
    if (event->count > 0)
        memcpy(connection->text, event->bytes, event->count);
    rig->closed++;
    if (rig->keeps_closed)
        return;
    connection->is_closed = false;
    transport_forget(rig->transport, event->connection);
}

static void on_event(struct rig *rig, const struct transport_event *event)
{
    assert_true(event->connection < rig->options.connections_max);
    struct rig_connection *connection = &rig->connections[event->connection];
    switch (event->kind) {
    case TRANSPORT_OPENED: on_opened(rig, connection, event->connection); break;
    case TRANSPORT_DATA: on_data(rig, connection, event); break;
    case TRANSPORT_CLOSED: on_closed(rig, connection, event); break;
    }
}

void rig_turn(struct rig *rig)
{
    struct transport_event event;
    transport_turn(rig->transport);
    while (!rig->has_lent && transport_next(rig->transport, &event)) {
        on_event(rig, &event);
        rig->has_lent = rig->keeps_lent && event.kind == TRANSPORT_DATA;
    }
    transport_flush(rig->transport);
}

void rig_until(struct rig *rig, bool (*is_so)(struct rig *rig, void *context), void *context,
               const char *what)
{
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;
    rig_turn(rig);
    while (!is_so(rig, context)) {
        if (clock_now_ns() > end_ns)
            fail_msg("it never came: %s", what);
        transport_wait(rig->transport, TICK_NS);
        rig_turn(rig);
    }
}

static bool has_opened(struct rig *rig, void *context)
{
    return rig->opened >= *(uint32_t *)context;
}

void rig_until_opened(struct rig *rig, uint32_t count)
{
    rig_until(rig, has_opened, &count, "OPENED");
}

static bool has_closed(struct rig *rig, void *context)
{
    return rig->closed >= *(uint32_t *)context;
}

void rig_until_closed(struct rig *rig, uint32_t count)
{
    rig_until(rig, has_closed, &count, "CLOSED");
}

struct wanted_bytes {
    uint32_t connection;
    size_t count;
};

static bool has_bytes(struct rig *rig, void *context)
{
    const struct wanted_bytes *wanted = context;
    return rig->connections[wanted->connection].count >= wanted->count;
}

void rig_until_bytes(struct rig *rig, uint32_t connection, size_t count)
{
    struct wanted_bytes wanted = {.connection = connection, .count = count};
    rig_until(rig, has_bytes, &wanted, "DATA");
}

bool rig_send(struct rig *rig, uint32_t connection, const void *bytes, uint32_t count)
{
    uint8_t *room = transport_reserve(rig->transport, connection, count);
    if (room == NULL)
        return false;
    memcpy(room, bytes, count);
    transport_commit(rig->transport, connection, count);
    return true;
}

uint64_t rig_fill(struct rig *rig, uint32_t connection)
{
    uint64_t total = 0;
    uint8_t bytes[4096];
    rig_fill_pattern(bytes, sizeof bytes, 0);
    while (rig_send(rig, connection, bytes, sizeof bytes)) {
        total += sizeof bytes;
        rig_fill_pattern(bytes, sizeof bytes, total);
    }
    transport_flush(rig->transport);
    return total;
}

/* ---- peers --------------------------------------------------------------------------------------
 */

static socklen_t parse(const char *text, struct sockaddr_storage *address)
{
    if (strncmp(text, "unix:", 5) == 0) {
        struct sockaddr_un *un = (struct sockaddr_un *)address;
        un->sun_family = AF_UNIX;
        strcpy(un->sun_path, text + 5);
        return sizeof *un;
    }
    in_port_t port = htons((uint16_t)atoi(strrchr(text, ':') + 1));
    if (*text == '[') {
        struct sockaddr_in6 *in = (struct sockaddr_in6 *)address;
        *in = (struct sockaddr_in6){
            .sin6_family = AF_INET6, .sin6_port = port, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        return sizeof *in;
    }
    struct sockaddr_in *in = (struct sockaddr_in *)address;
    *in = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return sizeof *in;
}

/* The kernel connects it, whether it is accepted or not. */
int rig_dial(struct rig *rig, uint32_t index, int rcvbuf)
{
    char text[TRANSPORT_ADDRESS_BYTES];
    struct sockaddr_storage address = {0};
    transport_address(rig->transport, index, text);
    socklen_t bytes = parse(text, &address);
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (rcvbuf > 0)
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof rcvbuf), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, bytes), 0);
    return fd;
}

int rig_connect(struct rig *rig, uint32_t index, int rcvbuf)
{
    uint32_t before = rig->opened;
    int fd = rig_dial(rig, index, rcvbuf);
    rig_until_opened(rig, before + 1);
    return fd;
}

struct peer {
    int fd;
    uint8_t *bytes;
    size_t count, done;
    bool is_writing, at_end, is_reset;
};

static bool peer_moves(struct rig *rig, void *context)
{
    (void)rig;
    struct peer *peer = context;
    while (peer->done < peer->count && !peer->at_end && !peer->is_reset) {
        ssize_t count =
            peer->is_writing
                ? send(peer->fd, peer->bytes + peer->done, peer->count - peer->done,
                       MSG_DONTWAIT | MSG_NOSIGNAL)
                : recv(peer->fd, peer->bytes + peer->done, peer->count - peer->done, MSG_DONTWAIT);
        if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return false;
        peer->is_reset = count < 0;
        peer->at_end = count == 0;
        peer->done += count > 0 ? (size_t)count : 0;
    }
    return true;
}

void rig_peer_write(struct rig *rig, int fd, const void *bytes, size_t count)
{
    struct peer peer = {
        .fd = fd, .bytes = (uint8_t *)(uintptr_t)bytes, .count = count, .is_writing = true};
    rig_until(rig, peer_moves, &peer, "room for what the peer writes");
    assert_int_equal(peer.done, count);
}

void rig_peer_read(struct rig *rig, int fd, void *ret_bytes, size_t count)
{
    struct peer peer = {.fd = fd, .bytes = ret_bytes, .count = count};
    rig_until(rig, peer_moves, &peer, "bytes for the peer");
    assert_int_equal(peer.done, count);
}

size_t rig_peer_read_all(struct rig *rig, int fd)
{
    uint8_t bytes[8192];
    size_t total = 0;
    for (;;) {
        struct peer peer = {.fd = fd, .bytes = bytes, .count = sizeof bytes};
        rig_until(rig, peer_moves, &peer, "the end for the peer");
        assert_false(peer.is_reset);
        for (size_t i = 0; i < peer.done; i++)
            assert_int_equal(bytes[i], rig_pattern(total + i));
        total += peer.done;
        if (peer.at_end)
            return total;
    }
}

/* A period that no buffer's size is a multiple of. */
uint8_t rig_pattern(uint64_t at)
{
    return (uint8_t)(at % 251u);
}

void rig_fill_pattern(uint8_t *bytes, size_t count, uint64_t from)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = rig_pattern(from + i);
}
