/*
 * serve_parts: the state of `flyover serve`, for serve.c (start and end), serve_edges.c (services
 * of others), serve_files.c (how many connections there is room for), serve_loop.c (what happens
 * between) and serve_reload.c (SIGHUP). One thread, the engine's.
 */
#ifndef ENGINE_MAIN_SERVE_PARTS_H
#define ENGINE_MAIN_SERVE_PARTS_H

#include "engine/edge/edge.h"
#include "engine/main/config.h"
#include "engine/main/metrics.h"
#include "engine/main/notify.h"
#include "engine/main/serve_options.h"
#include "engine/net/server.h"
#include "engine/net/tls.h"

#define SERVE_LOOK_NS_MAX 500000000u

struct serve {
    struct serve_options options;
    struct config *config;   /* of the start: the engine borrows its texts */
    struct config *current;  /* the same, or that of the last SIGHUP */
    const char *config_file; /* NULL: none */
    struct log log;
    struct notify notify;
    int wake_fd; /* an eventfd: the engine has something to do while it waits for sockets */
    struct session session;
    struct access *access; /* NULL: nobody asks who it is */
    struct tls *tls;       /* NULL: plain */
    struct transport *transport;
    struct server *server;
    json_t *edges_config;              /* NULL: none, or they are open */
    struct edges *edges;               /* NULL: none */
    struct metrics *metrics;           /* NULL: nobody asked for it */
    _Atomic uint64_t recovered_blocks; /* while it starts */
    uint64_t busy_ns;                  /* when there was something to do last */
    bool may_spin;
    bool has_core; /* the journal and the services are pinned elsewhere */
};

/* Raises the limit of open files as far as it goes, and lowers connections_max so that enough are
 * left for the store. STATUS_NO_SPACE: there are not even those. */
NODISCARD enum status serve_limit_connections(struct serve *serve, struct problem *problem);
/* Reads the file of edges, if there is one; and opens them, with the engine there. The sentences
 * begin with the file. */
NODISCARD enum status serve_read_edges(struct serve *serve, struct problem *problem);
NODISCARD enum status serve_open_edges(struct serve *serve, struct problem *problem);
void serve_say_edges(struct serve *serve);
/* Signals are noticed from now on; one that ends the program, for the second time, ends it at once,
 * as a crash would. */
void serve_catch_signals(struct serve *serve);
/* What the engine's wait for sockets and for its threads at once is: struct partition_sleep. */
void serve_block(void *context, uint64_t timeout_ns);
/* Turns until a signal asks for the end, or the engine fails. */
NODISCARD enum status serve_run(struct serve *serve, int *ret_signal, struct problem *problem);
/* Answers what is open, for drain_ms at most. */
NODISCARD enum status serve_drain(struct serve *serve, struct problem *problem);
/* From now on the figures of this engine have those of its sockets too, or not any more. */
void serve_tell_figures(struct serve *serve, bool on);
/* Reads the configuration, tokens and certificates again. What fails stays as it was. */
void serve_reload(struct serve *serve);

#endif
