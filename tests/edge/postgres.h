/*
 * postgres: a PostgreSQL server of a test's own, in a directory of its own, on a unix socket and on
 * a port of loopback that the system chose. Where the test runs as root the server runs as nobody,
 * since it refuses root. It ends with the test, also if that is killed.
 *
 * Memory: one struct, owned by the caller. Errors: an assertion of cmocka.
 */
#ifndef TESTS_EDGE_POSTGRES_H
#define TESTS_EDGE_POSTGRES_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <sys/types.h>

struct postgres {
    char directory[64]; /* the socket's too */
    char binaries[128];
    int port;
    int held; /* a socket that has the port, so that no one else takes it while it is stopped */
    pid_t pid;
    int log;         /* the server's stderr */
    bool is_durable; /* fsync; for measuring. Before postgres_start */
};

/* False, and a printed reason, where there is no server on this machine. */
bool postgres_open(struct postgres *postgres);
void postgres_close(struct postgres *postgres);
/* Returns when it takes connections. */
void postgres_start(struct postgres *postgres);
/* SIGINT: fast; SIGQUIT: at once, as a crash. Returns when it has ended. */
void postgres_stop(struct postgres *postgres, int signal);
/* As the superuser, over the socket; the result is the caller's. */
PGconn *postgres_connect(const struct postgres *postgres);
PGresult *postgres_run(PGconn *pg, const char *sql);
/* The first value of its result as a number. */
long long postgres_number(PGconn *pg, const char *sql);

#endif
