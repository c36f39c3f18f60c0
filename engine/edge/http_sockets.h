/*
 * http_sockets: the sockets that libcurl says it waits for, asked by one poll(2) for all. By
 * curl_multi_perform each transfer under way would ask for its own, 23 to 30 polls a request beside
 * a busy queue; an epoll would need to know of each socket's end before its number is given away,
 * which libcurl 7.88 does not tell in time.
 *
 * Threads: the owner of the multi handle; http_sockets_wake from any one.
 * Memory:  HTTP_SOCKETS_MAX and HTTP_WAIT_FDS_MAX entries of 8 bytes, at once. A socket beyond that
 *          is not waited for: its request ends by its time.
 */
#ifndef ENGINE_EDGE_HTTP_SOCKETS_H
#define ENGINE_EDGE_HTTP_SOCKETS_H

#include <curl/curl.h>

#include "engine/edge/http.h"

/* One for a request, and one more while a name or an address is tried beside another. */
#define HTTP_SOCKETS_MAX (2 * HTTP_REQUESTS_MAX)

struct http_sockets {
    CURLM *multi;
    struct pollfd *polled; /* the bell, then the sockets, then room for a caller's own */
    uint32_t count;        /* with the bell */
    int bell;              /* an eventfd */
    bool is_fresh;         /* no turn since they were asked */
    uint64_t due_ns;       /* when libcurl is to be called without an event; UINT64_MAX: never */
};

/* libcurl tells of its sockets from here on. STATUS_NO_MEMORY, or STATUS_IO without a descriptor;
 * then nothing is left to be closed. */
NODISCARD enum status http_sockets_open(struct http_sockets *sockets, CURLM *multi,
                                        struct problem *problem);
/* After the multi handle is gone. */
void http_sockets_close(struct http_sockets *sockets);
/* As http_wait, with at least 0 ms. */
void http_sockets_wait(struct http_sockets *sockets, struct pollfd *fds, uint32_t fds_count,
                       int timeout_ms);
/* libcurl does what the sockets and the time call for; asks them first if http_sockets_wait has not
 * since the last turn. */
void http_sockets_turn(struct http_sockets *sockets);
/* What the time alone calls for: a transfer that was added is sent, as far as its socket takes it.
 */
void http_sockets_flush(struct http_sockets *sockets);
void http_sockets_wake(const struct http_sockets *sockets);

#endif
