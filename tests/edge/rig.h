/*
 * rig: servers that no one here wrote, for the tests of edges: SQS and SNS (fauxqs), DynamoDB
 * (dynalite), Lambda's Invoke API (serverless-offline) and PostgreSQL; AWS's own SDK to prepare and
 * to check; and a proxy that makes faults (servers/proxy.mjs says which).
 *
 *     if (rig_is_missing(RIG_FAUXQS))
 *         skip();
 *     rig_start(RIG_FAUXQS, &sqs);
 *     rig_start_proxy(&sqs, &proxy);
 *     json_decref(rig_ask("client.mjs", "call", proxy.url, "sqs", "CreateQueue",
 *                         "{\"QueueName\": \"orders\"}", NULL));
 *     json_decref(rig_tell(&proxy, "{\"next\": [{\"fault\": \"half\"}]}"));
 *
 * Packages of Node are installed by the first that asks, into build/edge-servers, for all builds.
 * All of it is on loopback and on ports of its own. Servers end by rig_stop, and with the process
 * that started them. What fails here, or takes more than RIG_SECONDS_MAX, fails the test.
 *
 * Threads: that of the test.
 */
#ifndef TESTS_EDGE_RIG_H
#define TESTS_EDGE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <sys/types.h>

#define RIG_SECONDS_MAX 120u
#define RIG_URL_BYTES   256u

/* What all of them know: of the region RIG_REGION, with any credentials. */
#define RIG_REGION  "eu-central-1"
#define RIG_ACCOUNT "000000000000"

enum rig_kind {
    RIG_FAUXQS,   /* url "http://…" */
    RIG_DYNALITE, /* the same */
    RIG_LAMBDA,   /* the same; its functions: servers/functions.mjs */
    RIG_POSTGRES, /* url "postgresql://flyover@127.0.0.1:PORT/flyover" */
};

struct rig_server {
    pid_t pid; /* 0: none runs */
    int in, out;
    uint16_t port;
    char url[RIG_URL_BYTES];
    char directory[RIG_URL_BYTES]; /* of PostgreSQL's socket; else "" */
};

/* True: it cannot be had on this machine, which is printed with the reason. Where CI is set it is
 * an error, and the test fails. */
bool rig_is_missing(enum rig_kind kind);
void rig_start(enum rig_kind kind, struct rig_server *ret_server);
/* With the functions that this file exports. */
void rig_start_lambda(const char *functions_path, struct rig_server *ret_server);
/* Between its clients and `server`, at the other's url with a port of its own. */
void rig_start_proxy(const struct rig_server *server, struct rig_server *ret_proxy);
/* Tells a proxy (its counts come back) or another server a line of servers/NAME.mjs, and waits for
 * the answer. Returns owned. */
json_t *rig_tell(struct rig_server *server, const char *line);
/* PostgreSQL crashes and is there again, on the same port and with the same data. */
void rig_restart(struct rig_server *postgres);
/* Nothing where none runs. */
void rig_stop(struct rig_server *server);

/* Runs servers/SCRIPT with these arguments, the last one NULL. Returns owned: the JSON it prints.
 */
json_t *rig_ask(const char *script, ...) __attribute__((sentinel));

#endif
