/*
 * fake_aws: aws.h in memory, for the tests of modules that ask AWS: what a module sends is there to
 * be looked at, and is answered when the test says so. In the place of aws.c and http.c. One module
 * is open at a time.
 *
 * Threads: that of the test. Memory: all is freed by fake_tear_down.
 */
#ifndef TESTS_EDGE_FAKE_AWS_H
#define TESTS_EDGE_FAKE_AWS_H

#include "engine/edge/aws.h"
#include "tests/edge/fake_frame.h"

#define FAKE_REQUESTS_MAX 2048u

struct fake_request {
    char service[32], resource[320], region[64], path[1024], target[128], headers[8192];
    char *body_text;
    json_t *body; /* NULL: it is none, or no JSON */
    bool once, is_answered;
    uint32_t timeout_ms, patience_ms;
    void (*on_end)(void *context, const struct aws_answer *answer);
    void *context;
};

/* The module's context, with an aws. */
struct edge_context fake_context(void);
/* From now on the module is one of this kind, with this section; the one before is closed. */
void fake_open(const struct edge_kind *kind, const char *config);
/* A module of this kind is not opened with this section (NULL: none), and says why. */
void fake_assert_refuses(const struct edge_kind *kind, const struct edge_context *context,
                         const char *config, const char *sentence);
/* The module gets the call, which is returned, and has to leave its input as it is. */
struct fake_call *fake_give(struct fake_call *fake);
/* The module's turn, after which nothing is due (-1), or in so many milliseconds. */
int64_t fake_turn(void);
/* What was sent so far, and the request of that number. */
uint32_t fake_requests_count(void);
const struct fake_request *fake_request(uint32_t index);
/* 2xx: a success. `headers`: "Name: value" ended by NULL, or NULL. The error's name is taken from
 * `__type` of the body or X-Amzn-ErrorType, its text from `message`. */
void fake_answer(uint32_t index, int status, const char *const *headers, const char *body);
/* No answer. */
void fake_end(uint32_t index, enum http_end end, const char *sentence);
/* From now on aws_send says this. */
void fake_send_says(enum status status);
/* cmocka fixture: closes the module and forgets calls and requests; none of those is left open. */
int fake_tear_down(void **state);

#endif
