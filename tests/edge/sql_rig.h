/*
 * sql_rig: the module "sql" with an edge thread of the test's own, which turns when the test says
 * so, and a proxy between it and the server that can lose the answers.
 */
#ifndef TESTS_EDGE_SQL_RIG_H
#define TESTS_EDGE_SQL_RIG_H

#include "engine/edge/edge_module.h"
#include "tests/edge/postgres.h"

#define SQL_RIG_CALLS_MAX   4096u
#define SQL_RIG_PROXIED_MAX 64u

struct sql_rig_call {
    struct edge_call call;
    uint32_t answers;
    bool is_done, retryable;
    json_t *output;
    char error[EDGE_ERROR_BYTES];
    char cause[EDGE_CAUSE_BYTES];
    uint32_t retries;
};

struct sql_rig {
    struct postgres *postgres;
    PGconn *admin;
    void *module;
    uint32_t calls_count;
    struct sql_rig_call calls[SQL_RIG_CALLS_MAX];
    char log[8192];
    /* The proxy: pairs of sockets, the module's and the server's. */
    int listener, proxy_port;
    bool loses_answers; /* what the server says goes nowhere */
    uint32_t pairs_count;
    int pairs[SQL_RIG_PROXIED_MAX][2];
};

/* Opens the module with `config`, in which %s stands for the server's url. */
void sql_rig_open(struct sql_rig *rig, struct postgres *postgres, const char *config);
/* The same, over the proxy. */
void sql_rig_open_proxied(struct sql_rig *rig, struct postgres *postgres, const char *config);
/* With this user, and with this host. */
void sql_rig_open_as(struct sql_rig *rig, struct postgres *postgres, const char *user,
                     const char *config);
void sql_rig_open_at(struct sql_rig *rig, struct postgres *postgres, const char *host,
                     const char *config);
void sql_rig_close(struct sql_rig *rig);
/* Forward, or a compensation if the key ends in "-c". `input` is JSON. */
struct sql_rig_call *sql_rig_call(struct sql_rig *rig, const char *name, const char *key,
                                  const char *input);
/* As above, with the output of the step that it undoes, and a deadline (0: none) from now. */
struct sql_rig_call *sql_rig_call_with(struct sql_rig *rig, const char *name, const char *key,
                                       const char *input, const char *output, int64_t within_ms);
/* Sets the module's monotonic clock forward, until the next rig is opened. */
void sql_rig_set_forward(int64_t ms);
/* One wait and turn. */
void sql_rig_turn(struct sql_rig *rig);
void sql_rig_wait(struct sql_rig *rig, const struct sql_rig_call *call);
void sql_rig_wait_all(struct sql_rig *rig);
/* Turns until the first value of this is `value`. */
void sql_rig_until(struct sql_rig *rig, const char *sql, long long value);
/* Turns until this is in the log. */
void sql_rig_until_said(struct sql_rig *rig, const char *text);
/* Cuts all connections of the proxy. */
void sql_rig_cut(struct sql_rig *rig);
/* Fails unless it is done with this output (JSON). */
void sql_rig_done(struct sql_rig *rig, const struct sql_rig_call *call, const char *output);
/* Fails unless it failed with this error and a cause that has this in it. */
void sql_rig_failed(struct sql_rig *rig, const struct sql_rig_call *call, const char *error,
                    const char *cause);
long long sql_rig_number(struct sql_rig *rig, const char *sql);
void sql_rig_run(struct sql_rig *rig, const char *sql);

#endif
