/*
 * server: the protocol, on the engine's thread. Takes the bytes that the transport brings, does
 * what the messages ask of the partition, and puts the answers into the transport once the block
 * that makes them true is durable.
 *
 *     transport_next ── DATA ──► server_on_frame ──► partition_start_with, partition_answer, ...
 *     transport_commit ◄── STARTED, ENDED, INVOKE ── partition_durable_no, partition_next_reply,
 *                                                     remote_take
 *
 * A turn: events of the transport, then durable answers, then replies, then invocations for workers
 * with credit, then a slice of each ASK that is under way. What a connection may have open is
 * bounded by its window; where its output has no room it is paused, not read from, until it has.
 *
 * Threads: the engine's. Memory: a connection's state when it says HELLO, its open requests as they
 *          come (64 bytes each), a partial frame while there is one; all bounded by the options.
 */
#ifndef ENGINE_NET_SERVER_H
#define ENGINE_NET_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/net/access.h"
#include "engine/net/transport.h"
#include "engine/partition/partition.h"

#define SERVER_CONNECTIONS_DEFAULT  10000u
#define SERVER_WINDOW_DEFAULT       16384u
#define SERVER_HELLO_MS_DEFAULT     5000u
#define SERVER_FRAME_MS_DEFAULT     30000u
#define SERVER_HEARTBEAT_MS_DEFAULT 10000u

struct server;

struct server_options {
    struct partition *partition;               /* borrowed */
    struct transport *transport;               /* borrowed */
    const struct access *access;               /* borrowed; NULL: everybody is an operator */
    const char *version, *commit, *durability; /* borrowed, for WELCOME */
    const char *directory; /* borrowed; for what is told of history; NULL: mode memory */
    uint32_t connections_max;
    uint32_t window;
    uint32_t hello_ms, frame_ms, heartbeat_ms; /* 0, here and above: the default */
    uint64_t (*now_ns)(void);                  /* NULL: the machine's */
    void (*on_log)(void *context, const char *event, const char *peer, const char *text);
    void *log_context;
    /* Of each saga that is told of (partition_next_reply), before the server looks at it; what it
     * points to is lent for the call. NULL: nobody else wants to know. */
    void (*on_end)(void *context, const struct reply *reply);
    void *end_context;
    /* Whether somebody else in this process serves that remote service: nobody need register for
     * it. NULL: nobody does. */
    bool (*serves)(void *context, const char *service);
    void *serves_context;
};

struct server_counts {
    uint64_t messages_in, messages_out, frames_in;
    uint64_t errors[32]; /* answered, by enum status */
    uint64_t handed_out, handed_out_again, late_results;
    uint32_t connections, clients, workers, subscriptions;
    uint32_t requests_open;
};

/* One remote service as its workers offer it. */
struct server_worker_view {
    char peer[TRANSPORT_ADDRESS_BYTES];
    char service[FLYOVER_NAME_BYTES_MAX + 1];
    uint32_t credit, in_flight;
};

NODISCARD enum status server_open(const struct server_options *options, struct server **ret_server,
                                  struct problem *problem);
/* True if it did something. Before partition_poll, and it may be called again after. */
bool server_turn(struct server *server);
/* When it has to be called again at the latest: heartbeats, deadlines of frames; in ns from now. */
uint64_t server_wait_ns(const struct server *server);
/* Says GOODBYE to all: no new request is taken; what is open is answered as far as it comes. True
 * once all that can be answered is. */
bool server_drain(struct server *server);
/* Accepts NULL. */
void server_close(struct server *server);

struct server_counts server_counts(const struct server *server);
/* At most `capacity`; how many there are. */
uint32_t server_workers(const struct server *server, struct server_worker_view *views,
                        uint32_t capacity);

#endif
