/*
 * session: an engine opened for a command that runs one: `ingest`, `bench`, `run`, `serve`. While
 * it is open it answers on DIR/control.sock (control.h).
 *
 * Threads: the caller's thread is the engine thread.
 */
#ifndef ENGINE_MAIN_SESSION_H
#define ENGINE_MAIN_SESSION_H

#include <argp.h>

#include "engine/base/histogram.h"
#include "engine/main/config.h"
#include "engine/partition/partition.h"

/* What --data, --durability, --set, --plugin-dir, --accept-loss, --sagas-max, --names-max,
 * --name-retention-hours, --payload-mib, --checkpoint-mib, --history-mib, --history-hours, --limit
 * and --no-pin gave. */
struct session_options {
    const char *directory;
    enum durability durability;
    struct plugin_path plugins;
    struct core_limits limits; /* 0: by default */
    uint64_t checkpoint_bytes;
    uint64_t history_bytes, history_ms;
    struct partition_service_limits service_limits[PARTITION_SERVICES_MAX];
    uint32_t service_limits_count;
    bool accept_loss;
    bool pin;
    /* No options, but the program's: services may be in other processes, and how it sleeps. */
    bool remote;
    struct partition_sleep sleep;
    _Atomic uint64_t *recovered_blocks; /* NULL: nobody looks while it starts */
};

/* The table of them (config.h), and the same as flags for argp. */
extern const struct config_key session_keys[];
extern const uint32_t session_keys_count;
extern const struct argp_child session_argp_child[];
/* The defaults; the child parser's input, set before the parse. */
void session_options_init(struct session_options *options);

struct control;

struct session {
    struct partition *partition;
    struct control *control; /* served in every turn; NULL: in mode memory, or where it cannot be */
    struct problem control_problem; /* why it cannot be, "" if it can */
    uint64_t outstanding_count;     /* started here and not yet replied */
    struct histogram *latency_ns;   /* of whole sagas: start to durable end */
};

/* Opens the engine, says on stderr what was recovered. Sets SIGINT and SIGTERM to be noticed. */
NODISCARD enum status session_open(const struct session_options *options,
                                   struct session *ret_session, struct problem *problem);
/* The same for who says it in another way, and looks after signals. */
NODISCARD enum status session_open_engine(const struct session_options *options,
                                          struct session *ret_session, struct problem *problem);
void session_close(struct session *session);

/* Defines the file under its base name up to the first dot. */
NODISCARD enum status session_define(struct session *session, const char *path, uint32_t *ret_plan,
                                     struct problem *problem);
/* The same for a definition that is shipped beside the plug-ins ("order.asl.json"). */
NODISCARD enum status session_define_shipped(struct session *session, const char *file,
                                             uint32_t *ret_plan, struct problem *problem);

/* Refuses the first setting that is for no service of the definitions made known so far.
 * STATUS_INVALID: the sentence lists the services. */
NODISCARD enum status session_check_settings(const struct session *session,
                                             const struct plugin_setting *settings,
                                             uint32_t settings_count, struct problem *problem);

/* Starts a saga; STATUS_BUSY: session_turn, then again. */
NODISCARD enum status session_start(struct session *session, uint32_t plan, uint32_t source,
                                    struct flyover_bytes input);
/* After STATUS_BUSY: whether there can ever be room. STATUS_BUSY with a sentence when nothing runs
 * any more and stuck sagas hold all there is. */
NODISCARD enum status session_check_room(const struct session *session, struct problem *problem);
/* One turn of the engine, replies taken; sleeps when there was nothing to do and `may_wait`. */
NODISCARD enum status session_turn(struct session *session, bool may_wait, struct problem *problem);
/* Turns until every saga has ended or is stuck, or a signal came. */
NODISCARD enum status session_drain(struct session *session, void (*on_turn)(void *context),
                                    void *context, struct problem *problem);
/* SIGINT and SIGTERM are noticed from now on; the second one ends the program. */
void session_catch_signals(void);
/* The signal that asked the program to stop, or 0. */
int session_signal(void);

#endif
