/*
 * net_rig: a `flyover serve` and its scratch directory, clients by the library, and peers that
 * speak by hand, so that a test can be as wrong, slow or dead as it likes. What peers say and hear
 * is JSON, as on the page of the protocol:
 *
 *     struct net_peer peer = net_greet(NULL);
 *     net_say(&peer, "[3, 7]");
 *     net_expect(&peer, "[4,7]");
 *
 * Nothing sleeps: what is awaited comes, or the test fails after NET_MS.
 */
#ifndef TESTS_CLI_NET_RIG_H
#define TESTS_CLI_NET_RIG_H

#include "engine/client/flyover.h"
#include "tests/cli/serve_rig.h"

#define NET_MS 60000

#define NET_PASS "{\"StartAt\":\"P\",\"States\":{\"P\":{\"Type\":\"Pass\",\"End\":true}}}"
#define NET_FAR                                                                                    \
    "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Task\",\"Resource\":\"service:far.go\","     \
    "\"End\":true}}}"

/* Of one test: made by net_set_up, with the definitions `pass` and `far` in pass_file, far_file. */
struct net_rig {
    struct serve_rig engine;
    char scratch[PATH_MAX], data[PATH_MAX], pass_file[PATH_MAX], far_file[PATH_MAX];
    char address[PATH_MAX + 8]; /* of a unix socket: the same after a restart */
    serve_before *before;       /* of each engine; NULL: nothing */
};
extern struct net_rig net;

int net_set_up(void **state);
int net_tear_down(void **state);

/* Starts the engine on the data directory, a port of its own and net.address, with both
 * definitions, and with these arguments more, the last one NULL; NULL: none. */
void net_serve(const char *const *arguments);
#define NET_ARGS(...)                                                                              \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }
/* Fails the test unless `condition` becomes true; it is asked again and again. */
void net_until(bool (*condition)(void), const char *what);
/* Of the engine, from /proc. */
size_t net_memory_kib(void);
/* How many files it has open; and until it has no more than those again. */
void net_note_files(void);
void net_await_files(void);

/* ---- clients by the library ------------------------------------------------------------------ */

/* To net.address; they stay with it for as long as a test lasts. Fails the test otherwise. */
struct flyover_client *net_client(void);
struct flyover_start net_start_of(const char *definition, const char *name);
/* One saga from start to SUCCEEDED. */
void net_run(struct flyover_client *client, const char *definition);
/* The same with this client, which was there before, and with one that comes now. */
void net_expect_service(struct flyover_client *client);
/* The next answer but RECONNECTED. */
struct flyover_answer_message net_next(struct flyover_client *client);
int64_t net_count(const char *total); /* "started", ... */

/* ---- peers by hand --------------------------------------------------------------------------- */

struct net_peer {
    int fd;
    uint8_t *in; /* owned; what has come and was not heard yet */
    size_t in_bytes, in_capacity;
};

/* By TCP to `address`, NULL: the engine's first; without and with HELLO and WELCOME. */
struct net_peer net_connect(const char *address);
struct net_peer net_greet(const char *token);
/* False: it was cut meanwhile. */
bool net_send(struct net_peer *peer, const void *bytes, size_t count);
/* A message in a frame of its own. */
void net_say(struct net_peer *peer, const char *json);
/* The next message but PING, which is answered; "" at the end. Lent until the next call. */
const char *net_hear(struct net_peer *peer);
void net_expect(struct net_peer *peer, const char *beginning);
void net_expect_error(struct net_peer *peer, uint64_t id, const char *status);
/* Reads until the engine has ended it; what came before is not looked at. */
void net_expect_end(struct net_peer *peer);
/* Closes; `reset`: so that the engine sees no end but a reset. Twice is fine. */
void net_hang_up(struct net_peer *peer, bool reset);

#endif
