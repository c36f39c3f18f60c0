/*
 * reach: asks whoever has a data directory: the engine that runs on it, by its socket, or else the
 * directory itself, opened for an operator's work (partition_options.offline): then nothing is
 * dispatched, and no plug-in is needed. Or, by an address, an engine that serves somewhere else.
 *
 * Threads: the caller's. Memory: of a whole engine, once the directory itself was opened.
 */
#ifndef ENGINE_MAIN_REACH_H
#define ENGINE_MAIN_REACH_H

#include <jansson.h>
#include <stdbool.h>

#include "engine/admin/asker.h"
#include "engine/partition/partition.h"

/* An engine that is on its way up or down is waited for. */
#define REACH_RETRY_MS     50u
#define REACH_RETRY_MS_MAX 10000u

struct flyover_client;

struct reach {
    const char *directory;       /* NULL: by the address */
    const char *address;         /* of an engine that serves (reach_remote.h); NULL: none */
    const char *token, *ca_file; /* NULL: none */
    struct partition *partition; /* NULL: an engine answers, or nothing was asked yet */
    struct flyover_client *client;
};

/* Asks admin.h's question; *ret_reply is the caller's. *ret_refused: the status is what was said to
 * this question, and not about the directory.
 * STATUS_NOT_FOUND, STATUS_IN_USE, and what partition_open and control_ask may say. */
NODISCARD enum status reach_ask(struct reach *reach, json_t *request, json_t **ret_reply,
                                bool *ret_refused, struct problem *problem);
/* For what asks this way; borrows it. */
struct asker reach_asker(struct reach *reach);
/* Ends the work on the directory, if it was opened. */
NODISCARD enum status reach_close(struct reach *reach, struct problem *problem);

#endif
