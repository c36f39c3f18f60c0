#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/net/server_parts.h"

/* How often times are looked at, at least. */
#define LOOK_NS_MIN 1000000u
#define LOOK_NS_MAX 500000000u

/* ---- opening ------------------------------------------------------------------------------------
 */

static void set_default(uint32_t *option, uint32_t value)
{
    if (*option == 0)
        *option = value;
}

static void set_defaults(struct server_options *options)
{
    set_default(&options->connections_max, SERVER_CONNECTIONS_DEFAULT);
    set_default(&options->window, SERVER_WINDOW_DEFAULT);
    set_default(&options->hello_ms, SERVER_HELLO_MS_DEFAULT);
    set_default(&options->frame_ms, SERVER_FRAME_MS_DEFAULT);
    set_default(&options->heartbeat_ms, SERVER_HEARTBEAT_MS_DEFAULT);
    if (options->now_ns == NULL)
        options->now_ns = clock_now_ns;
}

enum status server_open(const struct server_options *options, struct server **ret_server,
                        struct problem *problem)
{
    struct server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "out of memory");
    server->options = *options;
    set_defaults(&server->options);
    server->peers = calloc(server->options.connections_max, sizeof *server->peers);
    if (server->peers == NULL) {
        free(server);
        return problem_set(problem, STATUS_NO_MEMORY, "no memory for the table of connections");
    }
    server->partition = options->partition;
    server->transport = options->transport;
    server->now_ns = server->looked_ns = server->options.now_ns();
    server->writing_first = server->blocked_first = SERVER_NONE;
    server->requests_free = server->invocations_free = SERVER_NONE;
    server->pending = (struct request_list){SERVER_NONE, SERVER_NONE};
    enum status status =
        historian_open(options->directory, options->partition, &server->historian, problem);
    if (status != STATUS_OK) {
        free(server->peers);
        free(server);
        return status;
    }
    *ret_server = server;
    return STATUS_OK;
}

void server_close(struct server *server)
{
    if (server == NULL)
        return;
    historian_close(server->historian);
    server_close_asks(server);
    for (uint32_t i = 0; i < server->options.connections_max; i++)
        peer_drop(server, &server->peers[i]);
    server_close_workers(server);
    server_close_awaits(server);
    server_close_watch(server);
    for (uint32_t i = 0; i < REQUEST_CHUNKS_MAX; i++)
        free(server->request_chunks[i]);
    free(server->peers);
    free(server);
}

/* ---- turns --------------------------------------------------------------------------------------
 */

static void on_event(struct server *server, const struct transport_event *event)
{
    assert(event->connection < server->options.connections_max);
    struct peer *peer = server_peer(server, event->connection);
    switch (event->kind) {
    case TRANSPORT_OPENED: peer_open(server, event->connection); break;
    case TRANSPORT_DATA: peer_on_data(server, peer, event->bytes, event->count); break;
    case TRANSPORT_CLOSED:
        peer_close(server, peer, event->count > 0 ? (const char *)event->bytes : NULL);
        break;
    }
}

static bool take_events(struct server *server)
{
    struct transport_event event;
    bool worked = false;
    while (transport_next(server->transport, &event)) {
        on_event(server, &event);
        /* What the transport lends for output it lends until the next event. */
        out_finish_all(server);
        worked = true;
    }
    return worked;
}

static uint64_t look_ns(const struct server *server)
{
    const struct server_options *options = &server->options;
    uint32_t least_ms = options->hello_ms;
    least_ms = options->frame_ms < least_ms ? options->frame_ms : least_ms;
    least_ms = options->heartbeat_ms < least_ms ? options->heartbeat_ms : least_ms;
    uint64_t ns = least_ms * 1000000ull / 8;
    ns = ns < LOOK_NS_MIN ? LOOK_NS_MIN : ns;
    return ns > LOOK_NS_MAX ? LOOK_NS_MAX : ns;
}

static void look_at_times(struct server *server)
{
    if (server->now_ns - server->looked_ns < look_ns(server))
        return;
    server->looked_ns = server->now_ns;
    for (uint32_t i = 0; i < server->options.connections_max; i++)
        peer_look(server, &server->peers[i]);
}

bool server_turn(struct server *server)
{
    server->now_ns = server->options.now_ns();
    bool worked = take_events(server);
    worked |= out_go_on(server);
    worked |= request_release(server);
    worked |= server_take_ends(server);
    bool news = historian_turn(server->historian, server->partition);
    worked |= news;
    if (news)
        server_turn_finds(server);
    worked |= server_turn_asks(server);
    worked |= server_turn_watch(server);
    worked |= server_hand_out(server);
    look_at_times(server);
    out_finish_all(server);
    transport_flush(server->transport);
    return worked;
}

uint64_t server_wait_ns(const struct server *server)
{
    if (server->counts.connections == 0)
        return UINT64_MAX;
    uint64_t since_ns = server->options.now_ns() - server->looked_ns;
    uint64_t every_ns = look_ns(server);
    return since_ns >= every_ns ? 0 : every_ns - since_ns;
}

bool server_drain(struct server *server)
{
    for (uint32_t i = 0; i < server->options.connections_max && !server->draining; i++)
        if (server->peers[i].stage == PEER_OPEN)
            peer_goodbye(server, &server->peers[i], "the engine is stopping");
    server->draining = true;
    out_finish_all(server);
    server_turn(server);
    return server->pending.first == SERVER_NONE && server->asks == NULL;
}

/* ---- figures ------------------------------------------------------------------------------------
 */

struct server_counts server_counts(const struct server *server)
{
    struct server_counts counts = server->counts;
    uint32_t seen = 0;
    for (uint32_t i = 0; i < server->options.connections_max && seen < counts.connections; i++) {
        const struct peer *peer = &server->peers[i];
        seen += peer->stage == PEER_GREETING || peer->stage == PEER_OPEN;
        bool works = peer->registrations != NULL;
        counts.workers += works;
        counts.clients += peer->stage == PEER_OPEN && !works;
    }
    return counts;
}
