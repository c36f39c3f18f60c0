/*
 * What is to be sent, as far as the owner has it: chunks from a pool, filled by transport_reserve
 * and transport_commit, handed to the lane by transport_flush, and back in the pool once sent.
 *
 * A connection's first chunk of a turn is small, so that ten thousand small answers do not take ten
 * thousand large chunks; what goes beyond it gets large ones. While something of a connection is on
 * its way, a chunk that has room left waits for it and is filled further: that gathers what is sent
 * to a slow peer, and costs a fast one nothing.
 */
#include <assert.h>
#include <stdlib.h>

#include "engine/net/transport_internal.h"

#define SMALL_BYTES 4096u

uint64_t transport_out_chunks_max(const struct transport_options *options)
{
    return options->out_bytes_max / SMALL_BYTES + 1;
}

/* ---- the pool -----------------------------------------------------------------------------------
 */

static struct lane_chunk **pool_of(struct transport *transport, uint32_t capacity)
{
    if (capacity == SMALL_BYTES)
        return &transport->free_small;
    return capacity == TRANSPORT_CHUNK_BYTES ? &transport->free_large : NULL;
}

static bool free_one(struct transport *transport, struct lane_chunk **pool)
{
    struct lane_chunk *chunk = *pool;
    if (chunk == NULL)
        return false;
    *pool = chunk->next;
    transport->free_bytes -= chunk->capacity;
    free(chunk);
    return true;
}

/* Chunks of the other size that nobody uses make room. */
static bool has_room(struct transport *transport, uint32_t capacity)
{
    uint64_t most = transport->options.out_bytes_max;
    if (transport->out_bytes + capacity > most)
        return false;
    while (transport->out_bytes + transport->free_bytes + capacity > most)
        if (!free_one(transport, &transport->free_large) &&
            !free_one(transport, &transport->free_small))
            return false;
    return true;
}

static struct lane_chunk *take_chunk(struct transport *transport, uint32_t capacity)
{
    struct lane_chunk **pool = pool_of(transport, capacity);
    struct lane_chunk *chunk = pool == NULL ? NULL : *pool;
    if (chunk != NULL) {
        *pool = chunk->next;
        transport->free_bytes -= capacity;
    } else if (has_room(transport, capacity)) {
        chunk = malloc(sizeof *chunk + capacity);
    }
    if (chunk == NULL)
        return NULL;
    transport->out_bytes += capacity;
    chunk->capacity = capacity;
    chunk->filled = 0;
    chunk->next = NULL;
    return chunk;
}

static void give_chunk(struct transport *transport, struct lane_chunk *chunk)
{
    struct lane_chunk **pool = pool_of(transport, chunk->capacity);
    transport->out_bytes -= chunk->capacity;
    if (pool == NULL) {
        free(chunk);
        return;
    }
    chunk->next = *pool;
    *pool = chunk;
    transport->free_bytes += chunk->capacity;
}

/* ---- reserve and commit -------------------------------------------------------------------------
 */

static void mark_dirty(struct transport *transport, uint32_t number)
{
    struct transport_connection *connection = &transport->connections[number];
    if (connection->is_dirty)
        return;
    connection->is_dirty = true;
    connection->next_dirty = transport->dirty_first;
    transport->dirty_first = number;
}

static struct lane_chunk *take_for(struct transport *transport, uint32_t number, uint32_t capacity)
{
    struct transport_connection *connection = &transport->connections[number];
    if ((uint64_t)connection->out_bytes + capacity > transport->options.out_bytes_a_connection_max)
        return NULL;
    struct lane_chunk *chunk = take_chunk(transport, capacity);
    if (chunk == NULL)
        return NULL;
    chunk->connection = number;
    chunk->life = connection->life;
    connection->out_bytes += capacity;
    return chunk;
}

/* The size that suits; near a limit the smallest that will do. */
static struct lane_chunk *open_chunk(struct transport *transport, uint32_t number, uint32_t bytes)
{
    struct transport_connection *connection = &transport->connections[number];
    if (bytes > TRANSPORT_CHUNK_BYTES)
        return take_for(transport, number, bytes);
    bool small_suits = bytes <= SMALL_BYTES;
    struct lane_chunk *chunk = NULL;
    if (connection->out_bytes > 0 || !small_suits)
        chunk = take_for(transport, number, TRANSPORT_CHUNK_BYTES);
    if (chunk == NULL && small_suits)
        chunk = take_for(transport, number, SMALL_BYTES);
    return chunk;
}

/* A chunk that stays empty is not sealed but given back. */
static void release_open(struct transport *transport, struct transport_connection *connection)
{
    struct lane_chunk *chunk = connection->open;
    connection->open = NULL;
    if (chunk == NULL)
        return;
    if (chunk->filled == 0) {
        connection->out_bytes -= chunk->capacity;
        give_chunk(transport, chunk);
        return;
    }
    if (connection->last == NULL)
        connection->first = chunk;
    else
        connection->last->next = chunk;
    connection->last = chunk;
}

uint8_t *transport_reserve(struct transport *transport, uint32_t number, uint32_t bytes)
{
    assert(number < transport->options.connections_max);
    struct transport_connection *connection = &transport->connections[number];
    assert(connection->use != TRANSPORT_UNUSED);
    connection->reserved = 0;
    if (connection->use != TRANSPORT_USED)
        return NULL;
    struct lane_chunk *chunk = connection->open;
    if (chunk == NULL || chunk->capacity - chunk->filled < bytes) {
        release_open(transport, connection);
        chunk = open_chunk(transport, number, bytes);
        mark_dirty(transport, number);
    }
    connection->open = chunk;
    if (chunk == NULL)
        return NULL;
    connection->reserved = bytes;
    return chunk->bytes + chunk->filled;
}

void transport_commit(struct transport *transport, uint32_t number, uint32_t bytes)
{
    struct transport_connection *connection = &transport->connections[number];
    assert(bytes <= connection->reserved);
    if (bytes == 0)
        return;
    connection->reserved = 0;
    connection->open->filled += bytes;
    connection->backlog += bytes;
    mark_dirty(transport, number);
}

uint32_t transport_backlog(const struct transport *transport, uint32_t number)
{
    assert(number < transport->options.connections_max);
    return transport->connections[number].backlog;
}

/* ---- to the lane and back -----------------------------------------------------------------------
 */

static void send_sealed(struct transport *transport, uint32_t number)
{
    struct transport_connection *connection = &transport->connections[number];
    struct lane_chunk *chunk;
    while ((chunk = connection->first) != NULL) {
        connection->first = chunk->next;
        connection->chunks_with_lane++;
        transport_command(
            transport, transport_lane_of(transport, number),
            (struct lane_command){.kind = LANE_SEND, .connection = number, .chunk = chunk});
    }
    connection->last = NULL;
}

void transport_out_push(struct transport *transport, uint32_t number)
{
    transport->connections[number].reserved = 0;
    release_open(transport, &transport->connections[number]);
    send_sealed(transport, number);
}

static void flush_connection(struct transport *transport, uint32_t number)
{
    struct transport_connection *connection = &transport->connections[number];
    connection->is_dirty = false;
    connection->reserved = 0;
    bool waits = connection->chunks_with_lane > 0 || connection->first != NULL;
    if (connection->open != NULL && (!waits || connection->open->filled == 0))
        release_open(transport, connection);
    send_sealed(transport, number);
}

void transport_flush(struct transport *transport)
{
    uint32_t number;
    while ((number = transport->dirty_first) != TRANSPORT_NONE) {
        transport->dirty_first = transport->connections[number].next_dirty;
        flush_connection(transport, number);
    }
    transport_kick(transport);
}

/* What waited for it goes now: nothing else would send it. */
static void on_returned(struct transport *transport, struct lane_chunk *chunk)
{
    uint32_t number = chunk->connection;
    struct transport_connection *connection = &transport->connections[number];
    bool is_its_own = connection->life == chunk->life;
    if (is_its_own) {
        connection->out_bytes -= chunk->capacity;
        connection->backlog -= chunk->filled;
        connection->chunks_with_lane--;
    }
    give_chunk(transport, chunk);
    if (is_its_own && connection->chunks_with_lane == 0 && connection->open != NULL &&
        connection->open->filled > 0 && !connection->is_dirty)
        transport_out_push(transport, number);
}

static bool collect_from(struct transport *transport, struct lane *lane)
{
    bool any = false;
    while (ring_peek(lane->returns, 1) == 1) {
        struct lane_chunk *chunk = *(struct lane_chunk *const *)ring_front(lane->returns, 0);
        ring_consume(lane->returns, 1);
        on_returned(transport, chunk);
        any = true;
    }
    return any;
}

bool transport_out_collect(struct transport *transport)
{
    bool any = false;
    for (uint32_t i = 0; i < transport->lanes_count; i++)
        any |= collect_from(transport, &transport->lanes[i].lane);
    return any;
}

void transport_out_drop(struct transport *transport, uint32_t number)
{
    struct transport_connection *connection = &transport->connections[number];
    release_open(transport, connection);
    struct lane_chunk *chunk;
    while ((chunk = connection->first) != NULL) {
        connection->first = chunk->next;
        connection->out_bytes -= chunk->capacity;
        connection->backlog -= chunk->filled;
        give_chunk(transport, chunk);
    }
    connection->last = NULL;
    connection->reserved = 0;
}

void transport_out_close(struct transport *transport)
{
    while (free_one(transport, &transport->free_small) ||
           free_one(transport, &transport->free_large))
        continue;
}
