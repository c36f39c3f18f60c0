/*
 * serve_options: what `flyover serve` can be told, beside what every engine can (session.h): the
 * table of its keys (config.h), and where they are put.
 */
#ifndef ENGINE_MAIN_SERVE_OPTIONS_H
#define ENGINE_MAIN_SERVE_OPTIONS_H

#include "engine/edge/edge.h"
#include "engine/main/log.h"
#include "engine/main/session.h"
#include "engine/net/transport.h"

#define SERVE_DEFINITIONS_MAX 64u

struct serve_options {
    struct session_options session;
    const char *definitions[SERVE_DEFINITIONS_MAX]; /* files */
    uint32_t definitions_count;
    const char *addresses[TRANSPORT_LISTENERS_MAX];
    uint32_t addresses_count;
    bool insecure; /* others may reach it, and nobody asks who they are */
    uint32_t threads;
    uint32_t connections_max;
    uint32_t window;
    uint32_t heartbeat_ms, hello_ms, frame_ms;
    uint64_t output_bytes;
    const char *certificate_file, *key_file, *ca_file; /* NULL: none */
    bool client_required;
    const char *token_file; /* NULL: none */
    const char *edges_file; /* NULL: none */
    uint32_t edges_in_flight, edges_messages;
    const char *metrics_address; /* NULL: none */
    uint64_t drain_ms;
    enum log_level log_level;
    enum log_format log_format;
};

/* The keys of the session and of the server, in one configuration. Returns owned. */
NODISCARD enum status serve_options_open(struct serve_options *options, struct config **ret_config);
/* The flags of all of them for argp, and the key that a flag is of (NULL: none). */
const struct argp_option *serve_options_flags(void);
const struct config_key *serve_options_key(int flag);

/* What the values say together. STATUS_INVALID; STATUS_NO_PERMISSION: others could reach it, and
 * nothing says who may. The sentence says what to do. */
NODISCARD enum status serve_options_check(const struct serve_options *options,
                                          struct problem *problem);
/* "127.0.0.1:7233", "[::1]:1", "localhost:1", "unix:...": only this machine reaches it. */
bool serve_options_is_local(const char *address);

#endif
