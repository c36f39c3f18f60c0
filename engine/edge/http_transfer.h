/*
 * http_transfer: one request of http.h with its answer: what it is told, what comes, what libcurl
 * has to be told of it. Knows nothing of other requests.
 *
 * Threads: the edge thread. Memory: http_transfer_make takes copies of all of the request; the
 * answer grows as it comes, by its limits; http_transfer_free frees both and gives `easy` back.
 */
#ifndef ENGINE_EDGE_HTTP_TRANSFER_H
#define ENGINE_EDGE_HTTP_TRANSFER_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/edge/http.h"
#include "engine/edge/http_sentence.h"

#define HTTP_HOST_BYTES 300u /* "https://NAME:PORT", a terminating zero included */

struct http_host;

/* Bytes that grow; `at` is NULL as long as there are none. */
struct http_bytes {
    char *at;
    size_t count, capacity;
};

struct http_transfer {
    struct http_transfer *next;            /* of those that wait for their host */
    struct http_transfer *later, *earlier; /* of all */
    struct http_host *host;
    CURL *easy;
    struct curl_slist *lines; /* of the request's headers */
    char *url, *method, *ca_file;
    char *body; /* NULL: none */
    size_t body_bytes;
    size_t answer_bytes_max;
    uint64_t deadline_ns, patience_ns;
    uint32_t timeout_ms;
    bool is_repeatable, is_direct, is_under_way;
    /* the answer */
    struct http_bytes answer, headers; /* headers: name 0 value 0 ... */
    uint32_t headers_count;
    char reason[128];
    bool is_too_large;
    char sentence[HTTP_SENTENCE_BYTES]; /* libcurl's words at first */
    void (*on_end)(void *context, const struct http_answer *answer);
    void *context;
};

/* Checks the request; `ret_host` is what it goes to. STATUS_INVALID. */
NODISCARD enum status http_transfer_check(const struct http_request *request,
                                          char ret_host[HTTP_HOST_BYTES], struct problem *problem);
/* `easy` is the transfer's until it is freed. NULL: no memory. */
struct http_transfer *http_transfer_make(const struct http_request *request, CURL *easy,
                                         uint64_t now_ns);
/* Tells libcurl all of it; `ca_file` is that of requests without one, NULL: the system's. False: no
 * memory. */
bool http_transfer_prepare(struct http_transfer *transfer, const char *ca_file);
void http_transfer_free(struct http_transfer *transfer);
/* What on_end gets; lent as long as the transfer is there. */
struct http_answer http_transfer_answer(struct http_transfer *transfer, enum http_end end);

#endif
