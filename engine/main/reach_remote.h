/*
 * reach_remote: the same questions to an engine that is reached by its protocol (flyover serve),
 * with libflyover. For reach.c.
 *
 * Threads: the caller's. Memory: of a client, until it is closed.
 */
#ifndef ENGINE_MAIN_REACH_REMOTE_H
#define ENGINE_MAIN_REACH_REMOTE_H

#include <argp.h>

#include "engine/client/flyover.h"
#include "engine/main/reach.h"

/* --connect, --token, --ca: the input is a struct reach; FLYOVER_TOKEN where no token is given. */
extern const struct argp_child reach_argp_child[];

/* Connects, once. STATUS_IO: nobody answers there; STATUS_NO_PERMISSION. */
NODISCARD enum status reach_connect(struct reach *reach, struct problem *problem);
/* reach_ask over the connection. */
NODISCARD enum status reach_ask_remote(struct reach *reach, json_t *request, json_t **ret_reply,
                                       bool *ret_refused, struct problem *problem);
/* What the library's status is in the engine's words. */
enum status reach_status(enum flyover_status status);

#endif
