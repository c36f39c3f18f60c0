/*
 * http_rig: requests of http.h and what became of them, turned by the test's own thread until it is
 * so.
 */
#ifndef TESTS_EDGE_HTTP_RIG_H
#define TESTS_EDGE_HTTP_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/edge/http.h"

struct outcome {
    uint32_t ends; /* how often on_end was called: once */
    enum http_end end;
    int status;
    char *body; /* copied */
    size_t body_bytes;
    char reason[128], sentence[1024], type[128]; /* type: Content-Type */
    uint32_t order;                              /* among all ends since the start, from 1 */
};

/* A POST of "{}" that has a minute, with an answer of 1 MiB at the most. */
struct http_request http_rig_request(const char *url, struct outcome *outcome);
void http_rig_send(struct http *http, const struct http_request *request);
/* Turns until `count` outcomes have ended, and fails the test after a minute. */
void http_rig_until(struct http *http, const struct outcome *outcomes, uint32_t count);
/* Sends a request, waits for its end, which must be `end`. */
void http_rig_ask(struct http *http, const struct http_request *request, enum http_end end);
void http_rig_free(struct outcome *outcomes, uint32_t count);

#endif
