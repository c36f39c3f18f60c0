/*
 * fake_http: an HTTP/1.1 server that does what a test tells it, at an ephemeral port of 127.0.0.1,
 * with keep-alive, with TLS if it is given a certificate.
 *
 *     struct fake_http *server = fake_http_open(NULL);
 *     fake_http_script(server, &(struct fake_answer){.status = 503, .body = "later"});
 *     ... a request to fake_http_url(server) is answered by the script, the next one too ...
 *     assert_string_equal(fake_http_request(server, 0)->method, "POST");
 *     fake_http_close(server);
 *
 * Who answers: the first of the script that is left; then `answer` of the options; else 200 "{}".
 *
 * Threads: all functions by the test's; the server has one that accepts and one a connection.
 *          fake_http_wait waits until the server has seen so many requests, and fails the test if
 * it never does. No test has to sleep. Memory:  all requests are kept until fake_http_close,
 * FAKE_HTTP_REQUESTS_MAX of them; more are only counted.
 */
#ifndef TESTS_EDGE_FAKE_HTTP_H
#define TESTS_EDGE_FAKE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAKE_HTTP_REQUESTS_MAX    16384u
#define FAKE_HTTP_CONNECTIONS_MAX 4096u

struct fake_http;

enum fake_fault {
    FAKE_WHOLE,             /* none */
    FAKE_CLOSED_BEFORE,     /* the request is read, and the connection closed */
    FAKE_RESET_BEFORE,      /* the same by a reset */
    FAKE_CLOSED_IN_HEADERS, /* half of the headers, then it is closed */
    FAKE_CLOSED_IN_BODY,    /* half of the body, then it is closed */
    FAKE_ENDLESS_HEADERS,
    FAKE_ENDLESS_BODY,
    FAKE_SILENT,  /* no answer as long as the server is open */
    FAKE_NO_HTTP, /* an answer that is none */
};

struct fake_answer {
    int status;          /* 0: 200 */
    const char *headers; /* more, "Name: value\r\n" each; NULL: none */
    const char *body;    /* NULL: none */
    size_t body_bytes;   /* 0: as a string */
    char *owned;         /* the body instead of `body`: of malloc, freed when it is sent */
    enum fake_fault fault;
    bool chunked; /* each byte of the body is a chunk */
    bool slow;    /* a byte at a time, one a millisecond */
    bool held;    /* not before fake_http_release */
    bool closes;  /* says "Connection: close", and does */
};

struct fake_request {
    uint32_t connection; /* which one since the start, from 0 */
    char method[16];
    char path[4096]; /* with the query */
    char *headers;   /* all lines, as they came */
    char *body;      /* ends with a zero byte that is not counted */
    size_t body_bytes;
};

struct fake_http_options {
    const char *certificate_file, *key_file; /* PEM; NULL: no TLS */
    /* By a thread of the server, one call at a time. */
    struct fake_answer (*answer)(void *context, const struct fake_request *request);
    void *context;
};

/* `options` may be NULL. Fails the test if there is no socket. */
struct fake_http *fake_http_open(const struct fake_http_options *options);
void fake_http_close(struct fake_http *server);
/* "http://127.0.0.1:PORT", without a slash at the end; "https://..." with a certificate. */
const char *fake_http_url(const struct fake_http *server);

/* Copied, strings too; `owned` is taken. */
void fake_http_script(struct fake_http *server, const struct fake_answer *answer);
/* So many of the answers that are or will be held may go. */
void fake_http_release(struct fake_http *server, uint32_t count);
/* Closes all connections that are open; new ones are still accepted. */
void fake_http_hang_up(struct fake_http *server);

/* Until so many requests have been seen since the start; fails the test after 60 s. */
void fake_http_wait(struct fake_http *server, uint32_t count);
/* How many have been seen. */
uint32_t fake_http_seen(struct fake_http *server);
uint32_t fake_http_connections(struct fake_http *server);
/* Number `index` in the order in which they were read whole; it must have been seen. Lent until
 * fake_http_close. */
const struct fake_request *fake_http_request(struct fake_http *server, uint32_t index);
/* The value of a header, whatever its case, in a buffer of the thread's that the next call writes
 * again; NULL: there is none. */
const char *fake_http_header(const struct fake_request *request, const char *name);

/* A port of 127.0.0.1 where nobody listens, and nobody will until the socket is closed; after
 * listen(2) one that takes connections and says nothing. */
int fake_http_refusing_socket(uint16_t *ret_port);

#endif
