/*
 * net_rig: what is more than serve_fixture.h has for the tests of a network that fails: peers that
 * speak by hand, so that a test can be as wrong, slow or dead as it likes. What peers say and hear
 * is JSON, as on the page of the protocol:
 *
 *     struct net_peer peer = net_greet(NULL);
 *     net_say(&peer, "[3, 7]");
 *     net_expect(&peer, "[4,7]");
 *
 * Nothing sleeps: what is awaited comes, or the test fails after SERVE_LONG_MS.
 */
#ifndef TESTS_CLI_NET_RIG_H
#define TESTS_CLI_NET_RIG_H

#include "tests/cli/serve_fixture.h"

/* In the process of each engine, before it is there; NULL, as it is at the start of a test:
 * nothing. */
extern serve_before *net_before;

/* cmocka fixtures: those of serve_fixture.h, and this. */
int net_set_up(void **state);
int net_tear_down(void **state);

/* Starts the engine on the data directory, a port of its own and serve_address, with both
 * definitions, and with these arguments more, the last one NULL; NULL: none. */
void net_serve(const char *const *arguments);
/* Fails the test unless `condition` becomes true; it is asked again and again. */
void net_until(bool (*condition)(void), const char *what);
/* Of the engine, from /proc. */
size_t net_memory_kib(void);
/* How many files it has open; and until it has no more than those again. */
void net_note_files(void);
void net_await_files(void);

/* ---- clients by the library ------------------------------------------------------------------ */

/* With nil; `name` NULL: none. */
struct flyover_start net_start_of(const char *definition, const char *name);
/* One saga from start to SUCCEEDED. */
void net_run(struct flyover_client *client, const char *definition);
/* The same with this client, which was there before, and with one that comes now. */
void net_expect_service(struct flyover_client *client);
/* What was sent before, a SUBSCRIBE for one, has been taken when this returns. */
void net_take_turn(struct flyover_client *client);
/* The next answer but RECONNECTED. */
struct flyover_answer_message net_next(struct flyover_client *client);
int64_t net_count(const char *total); /* "started", ... */

/* ---- peers by hand --------------------------------------------------------------------------- */

struct net_peer {
    int fd;
    uint8_t *in; /* owned; what has come and was not heard yet */
    size_t in_bytes, in_capacity;
};

/* By TCP; without and with HELLO and WELCOME. */
struct net_peer net_connect(void);
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
