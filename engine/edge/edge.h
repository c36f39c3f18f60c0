/*
 * edge: services that are no process of ours: AWS's, a PostgreSQL database, an HTTP endpoint; and
 * queues whose messages start sagas. The engine's side of it: takes invocations out of their lanes
 * (partition/remote.h), gives them to the edge thread, and brings answers and messages back.
 *
 *     remote_take(lane) ──► ring ──► edge thread: module->call (edge_module.h)
 *     remote_done, _failed ◄── ring ◄── edge_done, edge_failed
 *     partition_start_with, _signal ◄── ring ◄── edge_bring (a message came)
 *     its block is durable ──► ring ──► module->on_message_settled: now it may be deleted
 *
 * Nothing is handed to the thread before its event is durable, and no message is settled before
 * what it started is. What is out when the engine dies is handed out again by the next start, with
 * the same key.
 *
 * A lane hands out no more than `in_flight_max` calls, so that one module, slow or dead, holds back
 * only itself. A message is taken from outside only while fewer than `messages_max` are unsettled:
 * of starts, and apart from them of signals and answers, since these make room for those. A start
 * that finds no room waits, and those behind it wait too; a signal that its saga cannot keep waits
 * EDGE_SIGNAL_WAIT_MS and is given up then, so that it comes again.
 *
 * `DIR/edge-id` is made by the first start with edges: 16 hexadecimal digits. Who copies a data
 * directory to begin another engine deletes it there.
 *
 * Threads: all functions by the engine's thread; edges_open starts one more, "fly-edge", which
 *          waits for all sockets of all modules at once.
 * Memory:  a call's copy of its input while it is out: in_flight_max a lane, FLYOVER_PAYLOAD_MAX
 *          each at the most; rings by the two limits.
 */
#ifndef ENGINE_EDGE_EDGE_H
#define ENGINE_EDGE_EDGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/partition/partition.h"

#define EDGE_IN_FLIGHT_DEFAULT 1024u /* of each lane */
#define EDGE_MESSAGES_DEFAULT  1024u
#define EDGE_IN_FLIGHT_MAX     (1u << 16)
#define EDGE_MESSAGES_MAX      (1u << 12)
#define EDGE_LANES_MAX         64u
#define EDGE_SIGNAL_WAIT_MS    10000
#define EDGE_CONFIG_BYTES_MAX  (1u << 20)

struct edges;

struct edges_options {
    struct partition *partition; /* borrowed; opened with options.remote */
    /* Of edges, read by edge_config_read: an object of sections, one a module. Borrowed until
     * edges_open returns. */
    const json_t *config;
    const char *directory; /* borrowed; of data: holds `edge-id`, which makes keys this engine's
                              own; NULL in mode memory: a random one */
    uint32_t in_flight_max, messages_max; /* 0: the default */
    /* By the engine's thread, in edges_open, _turn and _close. `level` as of syslog(3): 3 error, 4
     * warning, 6 info; `event` is a literal. NULL: nobody listens. */
    void (*on_log)(void *context, int level, const char *event, const char *text);
    void *log_context;
    bool threadless; /* tests: edges_turn steps the edge thread too, which never waits */
};

struct edge_view {
    const char *service, *handler;
    uint64_t calls, failed, retried; /* since the start */
    uint64_t late;                   /* answers that nothing waited for any more */
    uint32_t in_flight;
};

struct edge_counts {
    /* Of what came in: `settled` are durable, of which `started` were new and `repeated` were there
     * before (a name again, a token that nothing waits for any more); signals and answers are the
     * rest. */
    uint64_t messages, started, repeated, refused, given_up, settled;
    uint32_t messages_open;
    uint64_t ends, ends_lost; /* of sagas, told to modules; and left out */
    uint32_t lanes_count;
    struct edge_view lanes[EDGE_LANES_MAX];
};

/* Reads a file of edges (YAML; JSON is YAML too) into one object. Sentences begin with file:line.
 * Returns owned. STATUS_INVALID, STATUS_NOT_FOUND, STATUS_TOO_LARGE. */
NODISCARD enum status edge_config_read(const char *path, json_t **ret_config,
                                       struct problem *problem);

/* Opens the modules of the sections that are there, checks all they are told, opens their lanes,
 * starts the thread. Nothing of the network is asked for here. STATUS_INVALID: the sentence begins
 * with the path of the field; STATUS_CORRUPT: edge-id; what remote_open_lane and pthread_create
 * say. */
NODISCARD enum status edges_open(const struct edges_options *options, struct edges **ret_edges,
                                 struct problem *problem);
/* True if it did something. Before partition_poll, and again after it. The thread wakes the engine
 * by partition_wake. */
bool edges_turn(struct edges *edges);
/* How long the engine may sleep after a turn that did nothing, as far as the edges are concerned:
 * until a signal that found no room is tried again, which it is after 1, 2, 4, ... 256 ms. */
uint64_t edges_wait_ns(const struct edges *edges);
/* Of each reply that partition_next_reply gives, whoever takes it: modules may want to hear of
 * sagas that end. */
void edges_hear_end(struct edges *edges, const struct reply *reply);
/* Takes no more messages and hands out no more calls; true once all that is out has come back and
 * all messages are settled, as far as the partition still turns. */
bool edges_drain(struct edges *edges);
/* Ends the thread; what is out is given up, and handed out again at the next start. Accepts NULL.
 * Before partition_stop. */
void edges_close(struct edges *edges);
/* Whether a module has this service. */
bool edges_serve(const struct edges *edges, const char *service);
/* Any moment; by the engine's thread. */
struct edge_counts edges_counts(const struct edges *edges);

#endif
