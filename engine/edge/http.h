/*
 * http: requests over HTTP/1.1 and HTTP/2, many at once, by libcurl's multi interface: connections
 * kept alive and reused, TLS with the system's trust, no redirects followed, no environment's
 * proxies but those that libcurl itself honours.
 *
 * Threads: one, the edge thread; http_wake by any.
 * Memory:  a request's copy of headers and body, and its answer up to answer_bytes_max, until
 *          on_end returns.
 * Limits:  HTTP_REQUESTS_MAX at once, HTTP_HOST_CONNECTIONS_MAX connections a host; more of one
 *          host wait in libcurl without holding up another's.
 * Errors:  each request ends by on_end exactly once, also at http_close.
 */
#ifndef ENGINE_EDGE_HTTP_H
#define ENGINE_EDGE_HTTP_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

#define HTTP_REQUESTS_MAX         4096u
#define HTTP_HOST_CONNECTIONS_MAX 64u
#define HTTP_CONNECT_MS           5000u
#define HTTP_HEADERS_MAX          32u

struct http;

/* How a request ended; in the order of how much of it the other side may have seen. */
enum http_end {
    HTTP_ANSWERED,  /* `status` and the rest are there */
    HTTP_NOT_SENT,  /* no name, no connection, refused, untrusted certificate: nothing was done */
    HTTP_LOST,      /* the connection broke: it may have been done */
    HTTP_TIMED_OUT, /* it may have been done */
    HTTP_TOO_LARGE, /* the answer is larger than answer_bytes_max: it was done */
    HTTP_CANCELLED, /* http_close */
};

struct http_answer {
    enum http_end end;
    int status;
    const char *body; /* lent until on_end returns; ends with a zero byte that is not counted */
    size_t body_bytes;
    const void *headers;  /* for http_answer_header */
    const char *sentence; /* why there is no answer, and what to do; "" if there is one */
};

struct http_request {
    const char *method; /* "POST" */
    const char *url;    /* http or https */
    const char *const
        *headers; /* "Name: value"; at most HTTP_HEADERS_MAX; NULL if there are none */
    uint32_t headers_count;
    const void *body; /* NULL: none */
    size_t body_bytes;
    uint32_t timeout_ms; /* from now to the end of the answer; asserted not 0 */
    size_t answer_bytes_max;
    void (*on_end)(void *context, const struct http_answer *answer);
    void *context;
};

NODISCARD enum status http_open(struct http **ret_http, struct problem *problem);
void http_close(struct http *http);
/* All of the request is copied. STATUS_BUSY: HTTP_REQUESTS_MAX are under way; STATUS_INVALID: no
 * URL of http or https, or a header with a line break; STATUS_NO_MEMORY. on_end is never called
 * from within. */
NODISCARD enum status http_send(struct http *http, const struct http_request *request,
                                struct problem *problem);
/* The value of a header by its name, whatever the case, or NULL; lent until on_end returns. */
const char *http_answer_header(const struct http_answer *answer, const char *name);
/* What came is read, on_end called. */
void http_turn(struct http *http);
/* Until one of its sockets, or of `fds`, is ready, http_wake was called, or the time is over. */
void http_wait(struct http *http, struct pollfd *fds, uint32_t fds_count, int64_t timeout_ms);
/* Any thread. */
void http_wake(struct http *http);
uint32_t http_open_requests(const struct http *http);

#endif
