/*
 * http: requests over HTTP/1.1 and HTTP/2, many at once, by libcurl's multi interface: connections
 * kept alive and reused, TLS with the system's trust or AWS_CA_BUNDLE's, no redirects followed, no
 * environment's proxies but those that libcurl itself honours.
 *
 * One slow or dead host holds back only itself. Of a host (scheme, name and port) no more than
 * HTTP_HOST_CONNECTIONS_MAX requests are under way; the next ones wait here, in order and as long
 * as their time allows, where no other host's wait behind them. A host is mute when it has all of
 * these under way and has answered none for a request's `patience_ms`, or when the last
 * HTTP_HOST_SILENT_MAX of its requests ended without an answer. What waits for a mute host and has
 * a patience ends at once, and so does what comes later: those under way are the ones that find out
 * whether it is back. Names are looked up on threads of libcurl, and nobody waits for them either.
 *
 * A request is sent once. A connection that the other side closes while it is idle is noticed
 * before it is used; where that comes too late, the request is lost (HTTP_LOST), unless it only
 * reads (GET, HEAD, OPTIONS) or is `repeatable`: then it is sent again over a new connection, if no
 * byte of an answer came.
 *
 * Threads: one, the edge thread, but for http_open and http_wake (any). SIGPIPE is blocked in it.
 * Memory:  a request's copy of headers and body, and its answer up to answer_bytes_max, until
 *          on_end returns; about 6 KiB of libcurl's each, and 16 to 80 KiB a connection.
 * Limits:  HTTP_REQUESTS_MAX at once, under way or waiting; of an answer's headers
 *          HTTP_ANSWER_HEADERS_MAX and HTTP_ANSWER_HEADERS_BYTES.
 * Errors:  each request ends by on_end exactly once, also at http_close. Sentences name the host
 *          and say what to change; they never show a URL's path, a header or a body.
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
#define HTTP_HOST_SILENT_MAX      16u
#define HTTP_CONNECT_MS           5000u
#define HTTP_HEADERS_MAX          32u
#define HTTP_ANSWER_HEADERS_MAX   256u
#define HTTP_ANSWER_HEADERS_BYTES 65536u
#define HTTP_WAIT_FDS_MAX         1024u

struct http;

/* How a request ended; in the order of how much of it the other side may have seen. */
enum http_end {
    HTTP_ANSWERED,  /* `status` and the rest are there */
    HTTP_NOT_SENT,  /* no name, no connection, refused, untrusted certificate, no turn: nothing was
                       done */
    HTTP_LOST,      /* the connection broke: it may have been done */
    HTTP_TIMED_OUT, /* it may have been done */
    HTTP_TOO_LARGE, /* the answer is larger than answer_bytes_max, or its headers than theirs: it
                       was done; `status` is there */
    HTTP_CANCELLED, /* http_close */
};

struct http_answer {
    enum http_end end;
    int status;
    const char *reason; /* the words behind the status; "" of HTTP/2 */
    const char *body;   /* lent until on_end returns; ends with a zero byte that is not counted */
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
    uint32_t timeout_ms;  /* from now to the end of the answer; asserted not 0 */
    uint32_t patience_ms; /* with a mute host; 0: it waits as long as it may */
    size_t answer_bytes_max;
    bool repeatable;     /* twice is as good as once: it carries a key, or changes nothing */
    bool direct;         /* by no proxy, whatever the environment says */
    const char *ca_file; /* PEM of the authorities that are trusted instead; NULL: the usual ones */
    void (*on_end)(void *context, const struct http_answer *answer);
    void *context;
};

/* STATUS_INVALID: the file of AWS_CA_BUNDLE cannot be read. */
NODISCARD enum status http_open(struct http **ret_http, struct problem *problem);
void http_close(struct http *http);
/* All of the request is copied. STATUS_BUSY: HTTP_REQUESTS_MAX are under way, or it closes;
 * STATUS_INVALID: no URL of http or https, no method, or a header with a line break;
 * STATUS_NO_MEMORY. on_end is never called from within. */
NODISCARD enum status http_send(struct http *http, const struct http_request *request,
                                struct problem *problem);
/* The value of a header by its name, whatever the case, or NULL; lent until on_end returns. */
const char *http_answer_header(const struct http_answer *answer, const char *name);
/* All of them in order, by `index` from 0; false: there are no more. Lent as the other. */
bool http_answer_header_at(const struct http_answer *answer, uint32_t index, const char **ret_name,
                           const char **ret_value);
/* What came is read, on_end called; that may send again. */
void http_turn(struct http *http);
/* Sends what http_send was given since the turn, without a look at the sockets, as the next turn
 * would. True: on_end was called. */
bool http_flush(struct http *http);
/* Until one of its sockets, or of `fds`, is ready, http_wake was called, or the time is over (-1:
 * never). Sets `revents`; an fd that is closed or broken counts as POLLIN. It may return sooner. At
 * most HTTP_WAIT_FDS_MAX fds. */
void http_wait(struct http *http, struct pollfd *fds, uint32_t fds_count, int64_t timeout_ms);
/* Any thread. */
void http_wake(struct http *http);
uint32_t http_open_requests(const struct http *http);

#endif
