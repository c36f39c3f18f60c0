#include "tests/net/fake_transport.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bytes {
    uint8_t *at;
    size_t count, capacity;
};

struct connection {
    bool is_open;   /* until it is cut, or the peer hangs up */
    bool is_in_use; /* until it is forgotten */
    bool opened;    /* OPENED was given */
    bool closed;    /* CLOSED was given */
    bool paused, polite;
    struct bytes in;  /* sent by the peer, to be given */
    struct bytes out; /* committed */
    size_t room;
    uint8_t *reserved;
    uint32_t reserved_bytes;
};

struct transport {
    struct connection connections[FAKE_CONNECTIONS];
    uint8_t *lent; /* of the last DATA */
    bool ignores_pause;
};

static void append(struct bytes *bytes, const void *more, size_t count)
{
    if (bytes->count + count > bytes->capacity) {
        bytes->capacity = 2 * (bytes->count + count);
        bytes->at = realloc(bytes->at, bytes->capacity);
        assert(bytes->at != NULL);
    }
    if (count > 0)
        memcpy(bytes->at + bytes->count, more, count);
    bytes->count += count;
}

static void drop(struct bytes *bytes)
{
    free(bytes->at);
    *bytes = (struct bytes){0};
}

struct transport *fake_transport_open(void)
{
    struct transport *transport = calloc(1, sizeof *transport);
    assert(transport != NULL);
    return transport;
}

void transport_close(struct transport *transport)
{
    for (uint32_t i = 0; i < FAKE_CONNECTIONS; i++) {
        drop(&transport->connections[i].in);
        drop(&transport->connections[i].out);
        free(transport->connections[i].reserved);
    }
    free(transport->lent);
    free(transport);
}

/* ---- the peer's side ----------------------------------------------------------------------------
 */

uint32_t fake_connect(struct transport *transport)
{
    uint32_t number = 0;
    while (transport->connections[number].is_in_use)
        number++;
    assert(number < FAKE_CONNECTIONS);
    struct connection *connection = &transport->connections[number];
    drop(&connection->out);
    *connection = (struct connection){.is_open = true, .is_in_use = true, .room = SIZE_MAX};
    return number;
}

void fake_send(struct transport *transport, uint32_t connection, const void *bytes, size_t count)
{
    if (transport->connections[connection].is_open)
        append(&transport->connections[connection].in, bytes, count);
}

void fake_hang_up(struct transport *transport, uint32_t connection)
{
    transport->connections[connection].is_open = false;
}

const uint8_t *fake_received(const struct transport *transport, uint32_t connection,
                             size_t *ret_count)
{
    *ret_count = transport->connections[connection].out.count;
    return transport->connections[connection].out.at;
}

void fake_take(struct transport *transport, uint32_t connection, size_t count)
{
    struct bytes *out = &transport->connections[connection].out;
    assert(count <= out->count);
    out->count -= count;
    if (out->count > 0)
        memmove(out->at, out->at + count, out->count);
}

void fake_set_room(struct transport *transport, uint32_t connection, size_t bytes)
{
    transport->connections[connection].room = bytes;
}

void fake_ignore_pause(struct transport *transport, bool ignore)
{
    transport->ignores_pause = ignore;
}

bool fake_is_open(const struct transport *transport, uint32_t connection)
{
    return transport->connections[connection].is_open;
}

bool fake_is_paused(const struct transport *transport, uint32_t connection)
{
    return transport->connections[connection].paused;
}

bool fake_was_polite(const struct transport *transport, uint32_t connection)
{
    return transport->connections[connection].polite;
}

static void forget_reserved(struct connection *connection)
{
    free(connection->reserved);
    connection->reserved = NULL;
}

/* ---- transport.h --------------------------------------------------------------------------------
 */

static bool next_of(struct transport *transport, struct connection *connection,
                    struct transport_event *ret_event)
{
    if (!connection->opened) {
        ret_event->kind = TRANSPORT_OPENED;
        return connection->opened = true;
    }
    bool reads = !connection->paused || transport->ignores_pause || !connection->is_open;
    if (connection->in.count > 0 && reads) {
        /* A copy of just these bytes. */
        free(transport->lent);
        transport->lent = malloc(connection->in.count);
        assert(transport->lent != NULL);
        memcpy(transport->lent, connection->in.at, connection->in.count);
        ret_event->kind = TRANSPORT_DATA;
        ret_event->bytes = transport->lent;
        ret_event->count = (uint32_t)connection->in.count;
        connection->in.count = 0;
        return true;
    }
    if (connection->is_open || connection->closed)
        return false;
    ret_event->kind = TRANSPORT_CLOSED;
    return connection->closed = true;
}

bool transport_next(struct transport *transport, struct transport_event *ret_event)
{
    /* Nothing that was lent before outlives it. */
    for (uint32_t i = 0; i < FAKE_CONNECTIONS; i++)
        forget_reserved(&transport->connections[i]);
    for (uint32_t i = 0; i < FAKE_CONNECTIONS; i++) {
        *ret_event = (struct transport_event){.connection = i};
        if (transport->connections[i].is_in_use &&
            next_of(transport, &transport->connections[i], ret_event))
            return true;
    }
    return false;
}

uint8_t *transport_reserve(struct transport *transport, uint32_t connection, uint32_t bytes)
{
    struct connection *to = &transport->connections[connection];
    forget_reserved(to);
    if (!to->is_open || to->out.count > to->room || bytes > to->room - to->out.count)
        return NULL;
    to->reserved = malloc(bytes);
    assert(to->reserved != NULL);
    to->reserved_bytes = bytes;
    return to->reserved;
}

void transport_commit(struct transport *transport, uint32_t connection, uint32_t bytes)
{
    struct connection *to = &transport->connections[connection];
    assert(to->reserved != NULL && bytes <= to->reserved_bytes);
    append(&to->out, to->reserved, bytes);
    forget_reserved(to);
}

void transport_flush(struct transport *transport)
{
    (void)transport;
}

uint32_t transport_backlog(const struct transport *transport, uint32_t connection)
{
    return (uint32_t)transport->connections[connection].out.count;
}

void transport_pause(struct transport *transport, uint32_t connection, bool pause)
{
    assert(transport->connections[connection].paused != pause);
    transport->connections[connection].paused = pause;
}

void transport_cut(struct transport *transport, uint32_t connection, bool politely)
{
    struct connection *cut = &transport->connections[connection];
    cut->is_open = false;
    cut->polite = politely;
    cut->in.count = 0;
}

void transport_forget(struct transport *transport, uint32_t connection)
{
    struct connection *gone = &transport->connections[connection];
    assert(gone->is_in_use && gone->closed);
    drop(&gone->in);
    forget_reserved(gone);
    gone->is_in_use = false;
}

void transport_peer(const struct transport *transport, uint32_t connection,
                    char ret_address[TRANSPORT_ADDRESS_BYTES])
{
    (void)transport;
    snprintf(ret_address, TRANSPORT_ADDRESS_BYTES, "fake:%u", connection);
}
