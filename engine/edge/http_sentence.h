/*
 * http_sentence: how a request ended, of what libcurl says; and the sentence for whoever has to
 * mend it. Pure.
 */
#ifndef ENGINE_EDGE_HTTP_SENTENCE_H
#define ENGINE_EDGE_HTTP_SENTENCE_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/edge/http.h"

#define HTTP_SENTENCE_BYTES 768u /* not less than CURL_ERROR_SIZE */

struct http_ending {
    CURLcode code;
    bool is_too_large;   /* the answer was given up, being too large */
    bool is_sent;        /* some of the request went to the socket */
    const char *host;    /* "https://example.com:443" */
    const char *detail;  /* libcurl's words, or "" */
    uint32_t timeout_ms; /* of the whole request */
};

enum http_end http_ending_class(const struct http_ending *ending);
/* "" of HTTP_ANSWERED. */
void http_ending_print(const struct http_ending *ending, char ret_sentence[HTTP_SENTENCE_BYTES]);

#endif
