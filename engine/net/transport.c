#include "engine/net/transport.h"

#include <assert.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/net/transport_internal.h"

#define RECV_BUFFERS_MAX 32768u /* as many as a ring of buffers takes */
#define WAIT_NS_MAX      (UINT64_C(3600) * 1000 * 1000 * 1000)

static bool has_threads(const struct transport *transport)
{
    return transport->options.threads > 0;
}

/* ---- commands -----------------------------------------------------------------------------------
 */

struct transport_lane *transport_lane_of(struct transport *transport, uint32_t connection)
{
    return &transport->lanes[connection % transport->lanes_count];
}

void transport_command(struct transport *transport, struct transport_lane *to,
                       struct lane_command command)
{
    while (ring_reserve(to->lane.commands, 1) == 0) {
        if (!has_threads(transport)) {
            lane_flush(&to->lane);
            continue;
        }
        bell_ring(&to->lane.bell);
        sched_yield();
    }
    *(struct lane_command *)ring_slot(to->lane.commands, 0) = command;
    ring_publish(to->lane.commands, 1);
    to->has_commands = true;
}

static void command_connection(struct transport *transport, uint32_t connection,
                               enum lane_command_kind kind)
{
    transport_command(transport, transport_lane_of(transport, connection),
                      (struct lane_command){.kind = kind, .connection = connection});
}

void transport_kick(struct transport *transport)
{
    for (uint32_t i = 0; i < transport->lanes_count; i++) {
        struct transport_lane *lane = &transport->lanes[i];
        if (!lane->has_commands)
            continue;
        lane->has_commands = false;
        if (has_threads(transport))
            bell_ring(&lane->lane.bell);
        else
            lane_flush(&lane->lane);
    }
}

/* ---- numbers ------------------------------------------------------------------------------------
 * A connection belongs to the lane that its number leaves when divided by their count.
 */

static void put_number(struct transport *transport, uint32_t number)
{
    struct transport_lane *lane = transport_lane_of(transport, number);
    transport->connections[number].next_free = lane->free_first;
    lane->free_first = number;
    lane->free_count++;
}

/* Of the lane that has the fewest connections. TRANSPORT_NONE: all are used. */
static uint32_t take_number(struct transport *transport)
{
    struct transport_lane *best = &transport->lanes[0];
    for (uint32_t i = 1; i < transport->lanes_count; i++)
        if (transport->lanes[i].free_count > best->free_count)
            best = &transport->lanes[i];
    uint32_t number = best->free_first;
    if (number == TRANSPORT_NONE)
        return number;
    best->free_first = transport->connections[number].next_free;
    best->free_count--;
    return number;
}

static enum status open_numbers(struct transport *transport)
{
    uint32_t count = transport->options.connections_max;
    transport->connections = calloc(count, sizeof *transport->connections);
    if (transport->connections == NULL)
        return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < transport->lanes_count; i++)
        transport->lanes[i].free_first = TRANSPORT_NONE;
    while (count-- > 0)
        put_number(transport, count);
    return STATUS_OK;
}

/* ---- opening ------------------------------------------------------------------------------------
 */

static enum status check_options(const struct transport_options *options, struct problem *problem)
{
    if (options->listen_count > TRANSPORT_LISTENERS_MAX)
        return problem_set(problem, STATUS_INVALID, "%u addresses to listen at: at most %u",
                           options->listen_count, TRANSPORT_LISTENERS_MAX);
    if (options->threads > TRANSPORT_THREADS_MAX)
        return problem_set(problem, STATUS_INVALID, "%u threads of the transport: at most %u",
                           options->threads, TRANSPORT_THREADS_MAX);
    if (options->connections_max == 0)
        return problem_set(problem, STATUS_INVALID, "at least one connection must be allowed");
    if (options->recv_buffers == 0 || options->recv_buffers > RECV_BUFFERS_MAX ||
        (options->recv_buffers & (options->recv_buffers - 1)) != 0)
        return problem_set(problem, STATUS_INVALID,
                           "%u receive buffers: a power of two, at most %u", options->recv_buffers,
                           RECV_BUFFERS_MAX);
    return STATUS_OK;
}

static struct lane_options lane_options(struct transport *transport, uint32_t index)
{
    const struct transport_options *options = &transport->options;
    return (struct lane_options){
        .index = index,
        .lanes_count = transport->lanes_count,
        .connections_max = options->connections_max,
        .recv_buffers = options->recv_buffers,
        .chunks_max = transport_out_chunks_max(options),
        .polite_ns = UINT64_C(1000000) *
                     (options->polite_ms == 0 ? TRANSPORT_POLITE_MS : options->polite_ms),
        .tls = options->tls,
        .wake_fd = has_threads(transport) ? -1 : options->wake_fd,
        .owner_bell = has_threads(transport) ? &transport->bell : NULL,
    };
}

static enum status open_lanes(struct transport *transport, struct problem *problem)
{
    enum status status = STATUS_OK;
    while (status == STATUS_OK && transport->lanes_opened < transport->lanes_count) {
        struct lane_options options = lane_options(transport, transport->lanes_opened);
        status = lane_open(&transport->lanes[transport->lanes_opened++].lane, &options, problem);
    }
    return status;
}

/* All of them accept on the first lane; who gets a connection is the owner's to say. */
static enum status open_listeners(struct transport *transport, struct problem *problem)
{
    for (uint32_t i = 0; i < transport->options.listen_count; i++) {
        struct listener *listener = &transport->listeners[i];
        enum status status = listener_open(listener, transport->options.listen[i], problem);
        if (status != STATUS_OK)
            return status;
        lane_listen(&transport->lanes[0].lane, listener->fd);
    }
    transport->is_listening = true;
    return STATUS_OK;
}

static enum status start_lanes(struct transport *transport, struct problem *problem)
{
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < transport->options.threads && status == STATUS_OK; i++)
        status = lane_start(&transport->lanes[i].lane, problem);
    return status;
}

static enum status allocate(struct transport *transport, struct problem *problem)
{
    size_t bytes = transport->lanes_count * sizeof *transport->lanes;
    transport->lanes = aligned_alloc(_Alignof(struct transport_lane), bytes);
    if (transport->lanes == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "no memory for the transport");
    memset(transport->lanes, 0, bytes);
    if (open_numbers(transport) != STATUS_OK)
        return problem_set(problem, STATUS_NO_MEMORY, "no memory for %u connections",
                           transport->options.connections_max);
    if (!bell_open(&transport->bell))
        return problem_set(problem, STATUS_IO, "no file descriptor is left: raise ulimit -n");
    return STATUS_OK;
}

static enum status open_all(struct transport *transport, struct problem *problem)
{
    enum status status = allocate(transport, problem);
    if (status == STATUS_OK)
        status = open_lanes(transport, problem);
    if (status == STATUS_OK)
        status = open_listeners(transport, problem);
    return status == STATUS_OK ? start_lanes(transport, problem) : status;
}

enum status transport_open(const struct transport_options *options,
                           struct transport **ret_transport, struct problem *problem)
{
    enum status status = check_options(options, problem);
    if (status != STATUS_OK)
        return status;
    struct transport *transport = aligned_alloc(_Alignof(struct transport), sizeof *transport);
    if (transport == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "no memory for the transport");
    memset(transport, 0, sizeof *transport);
    transport->options = *options;
    transport->lanes_count = options->threads == 0 ? 1 : options->threads;
    transport->dirty_first = TRANSPORT_NONE;
    transport->bell.fd = -1;
    status = open_all(transport, problem);
    if (status != STATUS_OK) {
        transport_close(transport);
        return status;
    }
    *ret_transport = transport;
    return STATUS_OK;
}

/* ---- closing ------------------------------------------------------------------------------------
 */

void transport_stop_listening(struct transport *transport)
{
    if (!transport->is_listening)
        return;
    transport->is_listening = false;
    transport_command(transport, &transport->lanes[0],
                      (struct lane_command){.kind = LANE_STOP_LISTENING});
    for (uint32_t i = 0; i < transport->options.listen_count; i++)
        listener_remove(&transport->listeners[i]);
    transport_kick(transport);
}

static void release_lent(struct transport *transport)
{
    if (transport->lent_by != NULL)
        transport_command(
            transport, transport->lent_by,
            (struct lane_command){.kind = LANE_GIVE_BACK, .buffer = transport->lent_buffer});
    transport->lent_by = NULL;
    free(transport->lent_text);
    transport->lent_text = NULL;
}

static void stop_lane(struct transport *transport, struct transport_lane *lane)
{
    if (lane->lane.has_thread) {
        transport_command(transport, lane, (struct lane_command){.kind = LANE_STOP});
        bell_ring(&lane->lane.bell);
        lane_join(&lane->lane);
    } else if (lane->lane.is_enabled) {
        lane_shut(&lane->lane);
    }
}

static void free_connections(struct transport *transport)
{
    if (transport->connections == NULL)
        return;
    for (uint32_t i = 0; i < transport->options.connections_max; i++) {
        transport_out_drop(transport, i);
        free(transport->connections[i].subject);
    }
    transport_out_collect(transport);
    transport_out_close(transport);
    free(transport->connections);
}

void transport_close(struct transport *transport)
{
    if (transport == NULL)
        return;
    if (transport->lanes_opened > 0 && transport->lanes[0].lane.commands != NULL)
        release_lent(transport);
    for (uint32_t i = 0; i < transport->lanes_opened; i++)
        stop_lane(transport, &transport->lanes[i]);
    transport->lanes_count = transport->lanes_opened;
    free_connections(transport);
    for (uint32_t i = 0; i < transport->options.listen_count; i++)
        listener_remove(&transport->listeners[i]);
    for (uint32_t i = 0; i < transport->lanes_opened; i++)
        lane_close(&transport->lanes[i].lane);
    bell_close(&transport->bell);
    free(transport->lanes);
    free(transport);
}

void transport_address(const struct transport *transport, uint32_t index,
                       char ret_address[TRANSPORT_ADDRESS_BYTES])
{
    assert(index < transport->options.listen_count);
    memcpy(ret_address, transport->listeners[index].address, TRANSPORT_ADDRESS_BYTES);
}

/* ---- events -------------------------------------------------------------------------------------
 */

static void begin_life(struct transport *transport, uint32_t number, int fd)
{
    struct transport_connection *connection = &transport->connections[number];
    connection->use = TRANSPORT_USED;
    connection->is_paused = false;
    socklen_t bytes = sizeof connection->peer;
    memset(&connection->peer, 0, sizeof connection->peer);
    if (getpeername(fd, (struct sockaddr *)&connection->peer, &bytes) != 0)
        connection->peer.ss_family = AF_UNSPEC;
}

/* Next: lane_connection_adopt. */
static bool on_accepted(struct transport *transport, struct transport_lane *lane,
                        const struct lane_event *event, struct transport_event *ret_event)
{
    atomic_fetch_add_explicit(&lane->lane.accepts_taken, 1, memory_order_release);
    uint32_t number = transport->is_listening ? take_number(transport) : TRANSPORT_NONE;
    if (number == TRANSPORT_NONE) {
        transport->refused++;
        close(event->fd);
        return false;
    }
    transport->accepted++;
    begin_life(transport, number, event->fd);
    bool is_tls = transport->options.tls != NULL && !transport->listeners[event->listener].is_unix;
    transport_command(
        transport, transport_lane_of(transport, number),
        (struct lane_command){
            .kind = LANE_ADOPT, .connection = number, .fd = event->fd, .is_tls = is_tls});
    *ret_event = (struct transport_event){.kind = TRANSPORT_OPENED, .connection = number};
    return true;
}

/* What comes from a connection that was cut is nobody's. */
static bool on_data(struct transport *transport, struct transport_lane *lane,
                    const struct lane_event *event, struct transport_event *ret_event)
{
    transport->lent_by = lane;
    transport->lent_buffer = event->buffer;
    if (transport->connections[event->connection].use != TRANSPORT_USED) {
        release_lent(transport);
        return false;
    }
    *ret_event = (struct transport_event){.kind = TRANSPORT_DATA,
                                          .connection = event->connection,
                                          .bytes = event->bytes,
                                          .count = event->count};
    return true;
}

static bool on_closed(struct transport *transport, const struct lane_event *event,
                      struct transport_event *ret_event)
{
    transport_out_collect(transport);
    transport_out_drop(transport, event->connection);
    transport->connections[event->connection].use = TRANSPORT_OVER;
    transport->closed++;
    transport->lent_text = event->text;
    *ret_event =
        (struct transport_event){.kind = TRANSPORT_CLOSED,
                                 .connection = event->connection,
                                 .bytes = (const uint8_t *)event->text,
                                 .count = event->text == NULL ? 0 : (uint32_t)strlen(event->text),
                                 .reason = event->reason};
    return true;
}

static bool on_event(struct transport *transport, struct transport_lane *lane,
                     const struct lane_event *event, struct transport_event *ret_event)
{
    switch (event->kind) {
    case LANE_ACCEPTED: return on_accepted(transport, lane, event, ret_event);
    case LANE_READY: transport->connections[event->connection].subject = event->text; return false;
    case LANE_DATA: return on_data(transport, lane, event, ret_event);
    case LANE_CLOSED: return on_closed(transport, event, ret_event);
    }
    return false;
}

/* The lanes take turns, each until it has no more. */
bool transport_next(struct transport *transport, struct transport_event *ret_event)
{
    release_lent(transport);
    for (uint32_t empty = 0; empty < transport->lanes_count;) {
        struct transport_lane *lane = &transport->lanes[transport->lane_next];
        if (ring_peek(lane->lane.events, 1) == 0) {
            transport->lane_next = (transport->lane_next + 1) % transport->lanes_count;
            empty++;
            continue;
        }
        struct lane_event event = *(const struct lane_event *)ring_front(lane->lane.events, 0);
        ring_consume(lane->lane.events, 1);
        if (on_event(transport, lane, &event, ret_event))
            return true;
    }
    return false;
}

/* ---- turns --------------------------------------------------------------------------------------
 */

static bool has_events(struct transport *transport)
{
    for (uint32_t i = 0; i < transport->lanes_count; i++)
        if (ring_peek(transport->lanes[i].lane.events, 1) > 0)
            return true;
    return false;
}

static bool has_returns(struct transport *transport)
{
    for (uint32_t i = 0; i < transport->lanes_count; i++)
        if (ring_peek(transport->lanes[i].lane.returns, 1) > 0)
            return true;
    return false;
}

bool transport_turn(struct transport *transport)
{
    bool done = false;
    if (!has_threads(transport))
        done = lane_turn(&transport->lanes[0].lane);
    done |= transport_out_collect(transport);
    transport_kick(transport);
    return done || has_events(transport);
}

static void wait_for_lanes(struct transport *transport, uint64_t timeout_ns)
{
    uint64_t ns = timeout_ns < WAIT_NS_MAX ? timeout_ns : WAIT_NS_MAX;
    struct timespec timeout = {.tv_sec = (time_t)(ns / 1000000000u),
                               .tv_nsec = (long)(ns % 1000000000u)};
    struct pollfd fds[2] = {{.fd = transport->bell.fd, .events = POLLIN},
                            {.fd = transport->options.wake_fd, .events = POLLIN}};
    if (ppoll(fds, 2, &timeout, NULL) <= 0)
        return;
    if (fds[0].revents != 0)
        bell_drain(&transport->bell);
    if (fds[1].revents != 0)
        bell_drain_fd(transport->options.wake_fd);
}

void transport_wait(struct transport *transport, uint64_t timeout_ns)
{
    transport_kick(transport);
    if (has_events(transport) || has_returns(transport))
        return;
    if (!has_threads(transport)) {
        lane_wait(&transport->lanes[0].lane, timeout_ns);
        return;
    }
    bell_prepare(&transport->bell);
    if (!has_events(transport) && !has_returns(transport))
        wait_for_lanes(transport, timeout_ns);
    bell_cancel(&transport->bell);
}

/* ---- connections --------------------------------------------------------------------------------
 */

static struct transport_connection *get(struct transport *transport, uint32_t number)
{
    assert(number < transport->options.connections_max);
    assert(transport->connections[number].use != TRANSPORT_UNUSED);
    return &transport->connections[number];
}

void transport_pause(struct transport *transport, uint32_t number, bool pause)
{
    struct transport_connection *connection = get(transport, number);
    if (connection->use != TRANSPORT_USED || connection->is_paused == pause)
        return;
    connection->is_paused = pause;
    command_connection(transport, number, pause ? LANE_PAUSE : LANE_RESUME);
}

void transport_cut(struct transport *transport, uint32_t number, bool politely)
{
    struct transport_connection *connection = get(transport, number);
    if (connection->use == TRANSPORT_OVER || connection->use == TRANSPORT_CUT)
        return;
    if (politely && connection->use == TRANSPORT_USED) {
        transport_out_push(transport, number);
        connection->use = TRANSPORT_CUT_POLITELY;
        command_connection(transport, number, LANE_CUT_POLITELY);
    }
    if (!politely) {
        transport_out_drop(transport, number);
        connection->use = TRANSPORT_CUT;
        command_connection(transport, number, LANE_CUT);
    }
}

void transport_forget(struct transport *transport, uint32_t number)
{
    struct transport_connection *connection = get(transport, number);
    assert(connection->use == TRANSPORT_OVER);
    free(connection->subject);
    *connection = (struct transport_connection){.life = connection->life + 1,
                                                .is_dirty = connection->is_dirty,
                                                .next_dirty = connection->next_dirty};
    command_connection(transport, number, LANE_FORGET);
    put_number(transport, number);
}

void transport_peer(const struct transport *transport, uint32_t number,
                    char ret_address[TRANSPORT_ADDRESS_BYTES])
{
    assert(number < transport->options.connections_max);
    listener_print(&transport->connections[number].peer, ret_address);
}

const char *transport_peer_subject(const struct transport *transport, uint32_t number)
{
    assert(number < transport->options.connections_max);
    const char *subject = transport->connections[number].subject;
    return subject == NULL ? "" : subject;
}

static void add_lane(struct transport_counts *counts, const struct lane *lane)
{
    counts->bytes_in += atomic_load_explicit(&lane->bytes_in, memory_order_relaxed);
    counts->bytes_out += atomic_load_explicit(&lane->bytes_out, memory_order_relaxed);
    counts->starved += atomic_load_explicit(&lane->starved_count, memory_order_relaxed);
    counts->refused += atomic_load_explicit(&lane->refused, memory_order_relaxed);
}

struct transport_counts transport_counts(const struct transport *transport)
{
    struct transport_counts counts = {.accepted = transport->accepted,
                                      .refused = transport->refused,
                                      .closed = transport->closed,
                                      .connections =
                                          (uint32_t)(transport->accepted - transport->closed),
                                      .out_bytes = transport->out_bytes};
    for (uint32_t i = 0; i < transport->lanes_count; i++)
        add_lane(&counts, &transport->lanes[i].lane);
    return counts;
}
