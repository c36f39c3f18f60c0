/*
 * sql_names: the addresses of a server's name, without waiting for whoever knows them. libpq would
 * ask within PQconnectPoll, and hold up all edges while a name server says nothing.
 *
 * Names are asked for again for each attempt to connect, but not within a second, since the one
 * that a name stands for may have changed. Left to libpq are addresses, sockets of this machine,
 * and what the environment (PGHOST) says.
 *
 * Threads: the edge thread; each asking has a thread of its own, "fly-names", at most one at a
 * time. Not getaddrinfo_a(3): what its thread calls, ThreadSanitizer does not survive. Memory:
 * owned; what is still asked for at the close is freed by its thread. Limits: SQL_NAMES_MAX hosts,
 * SQL_ADDRESSES_MAX addresses of each.
 */
#ifndef ENGINE_EDGE_SQL_NAMES_H
#define ENGINE_EDGE_SQL_NAMES_H

#include <stdint.h>

#include "engine/base/status.h"

#define SQL_NAMES_MAX     16u
#define SQL_ADDRESSES_MAX 8u
#define SQL_NAMES_LOOK_MS 5 /* how often to ask whether it is known by now */

struct sql_names;

/* As libpq reads lists, by commas; all NULL: the url's own will do. Lent until the next ask. */
struct sql_addresses {
    const char *host, *hostaddr, *port;
};

enum sql_names_end {
    SQL_NAMES_FOUND,
    SQL_NAMES_WAIT,  /* ask again in SQL_NAMES_LOOK_MS */
    SQL_NAMES_FAILED /* none has an address: *ret_reason, lent until the next ask */
};

/* Of a url that libpq can read. STATUS_TOO_LARGE: more hosts than the limit. */
NODISCARD enum status sql_names_open(const char *url, struct sql_names **ret_names,
                                     struct problem *problem);
/* Accepts NULL. */
void sql_names_close(struct sql_names *names);
enum sql_names_end sql_names_ask(struct sql_names *names, int64_t now_ms,
                                 struct sql_addresses *ret_addresses, const char **ret_reason);

#endif
