#include <stdio.h>
#include <string.h>

#include "engine/main/serve_parts.h"

/* What the sockets and edges of `serve` add to the figures of its engine (figures.h). */

#define WORKERS_SEEN_MAX 4096u

_Static_assert(FIGURES_EDGES_MAX >= EDGE_LANES_MAX, "each handler has its figures");
_Static_assert(FIGURES_STATUSES <= sizeof((struct server_counts *)0)->errors / sizeof(uint64_t),
               "each status has its count");

static void fill_transport(const struct serve *serve, struct figures_net *net)
{
    struct transport_counts counts = transport_counts(serve->transport);
    net->accepted = counts.accepted;
    net->refused = counts.refused;
    net->closed = counts.closed;
    net->bytes_in = counts.bytes_in;
    net->bytes_out = counts.bytes_out;
    net->starved = counts.starved;
    net->out_bytes = counts.out_bytes;
}

static void fill_server(const struct serve *serve, struct figures_net *net)
{
    struct server_counts counts = server_counts(serve->server);
    net->frames_in = counts.frames_in;
    net->messages_in = counts.messages_in;
    net->messages_out = counts.messages_out;
    memcpy(net->errors, counts.errors, sizeof net->errors);
    net->handed_out = counts.handed_out;
    net->handed_out_again = counts.handed_out_again;
    net->late_results = counts.late_results;
    net->connections = counts.connections;
    net->clients = counts.clients;
    net->workers = counts.workers;
    net->subscriptions = counts.subscriptions;
    net->requests_open = counts.requests_open;
}

static void fill_workers(const struct serve *serve, struct figures *figures)
{
    static struct server_worker_view views[WORKERS_SEEN_MAX];
    uint32_t count = server_workers(serve->server, views, WORKERS_SEEN_MAX);
    for (uint32_t i = 0; i < count && i < WORKERS_SEEN_MAX; i++) {
        struct figures_service *service = figures_service(figures, views[i].service);
        if (service == NULL)
            continue;
        service->workers++;
        service->credit += views[i].credit - views[i].in_flight;
    }
}

static void fill_edge(struct figures_edge *to, const struct edge_view *from)
{
    snprintf(to->service, sizeof to->service, "%s", from->service);
    snprintf(to->handler, sizeof to->handler, "%s", from->handler);
    to->calls = from->calls;
    to->failed = from->failed;
    to->retried = from->retried;
    to->late = from->late;
    to->in_flight = from->in_flight;
}

/* An edge is to its service what a worker is. */
static void fill_edges(const struct serve *serve, struct figures *figures)
{
    struct edge_counts counts = edges_counts(serve->edges);
    struct figures_edges *edges = &figures->edges;
    const struct figures_service *last = NULL;
    edges->is_there = true;
    edges->messages = counts.messages;
    edges->started = counts.started;
    edges->repeated = counts.repeated;
    edges->refused = counts.refused;
    edges->given_up = counts.given_up;
    edges->settled = counts.settled;
    edges->ends = counts.ends;
    edges->ends_lost = counts.ends_lost;
    edges->messages_open = counts.messages_open;
    edges->count = counts.lanes_count;
    for (uint32_t i = 0; i < counts.lanes_count; i++) {
        fill_edge(&edges->handlers[i], &counts.lanes[i]);
        struct figures_service *service = figures_service(figures, counts.lanes[i].service);
        if (service == NULL)
            continue;
        service->workers += service != last;
        service->credit += serve->options.edges_in_flight - counts.lanes[i].in_flight;
        last = service;
    }
}

static void fill(void *context, struct figures *figures)
{
    const struct serve *serve = context;
    if (serve->edges != NULL)
        fill_edges(serve, figures);
    figures->net.is_there = true;
    fill_transport(serve, &figures->net);
    fill_server(serve, &figures->net);
    fill_workers(serve, figures);
}

void serve_tell_figures(struct serve *serve, bool on)
{
    figures_set_net(on ? fill : NULL, serve);
}
