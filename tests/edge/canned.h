/*
 * canned: http.h without a network: requests are kept, and answered by the test when it wants. And
 * a world whose clocks, chance and environment the test sets.
 */
#ifndef TESTS_EDGE_CANNED_H
#define TESTS_EDGE_CANNED_H

#include "engine/edge/http.h"
#include "engine/edge/world.h"

#define CANNED_REQUESTS_MAX  8192u
#define CANNED_VARIABLES_MAX 32u

struct canned_request {
    char *method, *url, *body, *headers; /* headers: each ended by a line feed */
    size_t body_bytes;
    uint32_t timeout_ms;
    bool ended;
    void (*on_end)(void *context, const struct http_answer *answer);
    void *context;
};

struct http {
    struct canned_request requests[CANNED_REQUESTS_MAX];
    uint32_t count; /* ever sent */
    uint32_t woken;
    bool busy; /* http_send says so */
};

struct canned_world {
    struct world world; /* to give away */
    int64_t wall_ms, now_ms;
    double chance;
    struct {
        const char *name, *value;
    } variables[CANNED_VARIABLES_MAX];
    uint32_t variables_count;
    char log[4096]; /* all that was said, a line each */
    uint32_t log_count;
};

struct http *canned_http(void);
void canned_http_free(struct http *http);
/* The value of a header that was sent, or NULL; lent until the next call. */
const char *canned_sent(const struct http *http, uint32_t index, const char *name);
/* `headers`: "Name: value\nName: value", or NULL. */
void canned_answer(struct http *http, uint32_t index, int status, const char *headers,
                   const char *body);
void canned_end(struct http *http, uint32_t index, enum http_end end, const char *sentence);

/* At 2015-08-30T12:36:00Z; both names and values are borrowed. */
void canned_world_init(struct canned_world *canned);
/* NULL: it is not set. */
void canned_set(struct canned_world *canned, const char *name, const char *value);
void canned_pass_ms(struct canned_world *canned, int64_t ms);

#endif
