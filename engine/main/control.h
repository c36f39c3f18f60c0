/*
 * control: how a command reaches a running engine. DIR/control.sock, a unix socket (mode 0600):
 * one JSON object a line in, one a line out, in the order they came (admin.h says what they mean).
 *
 *     client ── line ──► control's thread ── mailbox ──► engine's thread, between two turns
 *            ◄─ line ──                    ◄─ reply ───  once the block that holds it is durable
 *
 * The thread reads, parses and writes; the engine's thread does what is asked. A client has one
 * request with the engine at a time; what it sends meanwhile waits in its socket.
 *
 * Threads: control_open, control_turn and control_close by the engine's thread; control_ask by any.
 * Memory:  a line of CONTROL_LINE_BYTES_MAX for each of CONTROL_CLIENTS_MAX clients, and a reply.
 * Limits:  one client more is told so and cut; so is a longer line, what is no JSON object, and a
 *          client that for CONTROL_IDLE_MS neither ends a line nor takes its reply.
 */
#ifndef ENGINE_MAIN_CONTROL_H
#define ENGINE_MAIN_CONTROL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/partition/partition.h"

#define CONTROL_SOCKET         "control.sock"
#define CONTROL_CLIENTS_MAX    16u
#define CONTROL_LINE_BYTES_MAX (1u << 20)
#define CONTROL_IDLE_MS        60000u

struct control;

struct control_options {
    const char *directory; /* in which the caller holds the engine's lock; borrowed for the call */
    struct partition *partition; /* borrowed for the life of it */
    uint32_t idle_ms;            /* 0: CONTROL_IDLE_MS */
    const void *cpus;            /* a cpu_set_t that its thread may use; NULL: the caller's */
};

/* A socket that a killed engine left behind is replaced. Returns owned.
 * STATUS_IO, STATUS_NO_MEMORY with a sentence: the engine can do without. */
NODISCARD enum status control_open(const struct control_options *options,
                                   struct control **ret_control, struct problem *problem);
/* A turn's worth of each request that is with the engine; true if there is more to do at once.
 * Where there is none it costs one relaxed load. */
bool control_turn(struct control *control);
/* Answers what is finished by now, refuses the rest, and removes the socket. Accepts NULL. */
void control_close(struct control *control);

/* ---- the other side -------------------------------------------------------------------------- */

/* Asks the engine that runs on the directory; the reply is the caller's.
 * STATUS_NOT_FOUND  none answers there (the sentence says so)
 * STATUS_IO, STATUS_NO_PERMISSION; a refusal of the engine's is a reply. */
NODISCARD enum status control_ask(const char *directory, const json_t *request, json_t **ret_reply,
                                  struct problem *problem);
/* Connects, and no more: the socket, or -1 with errno. */
int control_connect(const char *directory);

#endif
