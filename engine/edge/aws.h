/*
 * aws: requests to AWS and to whatever speaks the same: endpoint, region, credentials, Signature
 * Version 4, retries, and what an error answer says.
 *
 * Credentials are looked for as every AWS tool does: the environment, a web identity, the shared
 * config and credentials files with profiles, the container's endpoint, the instance's metadata
 * (IMDSv2); fetched without blocking, and renewed before they expire. Requests wait for them in
 * order, as long as their time allows.
 *
 * Endpoint of a service: AWS_ENDPOINT_URL_SQS (…), AWS_ENDPOINT_URL, the configuration's
 * `endpoint_url`, the profile's, else https://SERVICE.REGION.amazonaws.com (.cn of cn-regions).
 *
 * Retries: of what AWS's SDKs retry (throttling, 5xx, lost connections, expired credentials and
 * clock skew once), up to AWS_ATTEMPTS_MAX, with exponential backoff and full jitter, paid from a
 * token bucket an endpoint, so that a dead one is not asked more than it answers. Where the bucket
 * is empty the failure comes back at once. After a throttling answer the endpoint's own rate is
 * slowed and raised again, as the adaptive mode of the SDKs does it. An endpoint here is a URL
 * without its query, and a `resource` of it.
 *
 * Threads: the edge thread, but for aws_open. Memory: by http.h.
 */
#ifndef ENGINE_EDGE_AWS_H
#define ENGINE_EDGE_AWS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/edge/http.h"
#include "engine/edge/world.h"

#define AWS_ATTEMPTS_MAX 3u
#define AWS_REQUESTS_MAX HTTP_REQUESTS_MAX /* that wait, for credentials too, and are under way */

struct aws;
struct aws_answer;

struct aws_request {
    const char *service;        /* as it is signed for: "sqs", "sns", "lambda", "dynamodb" */
    const char *region;         /* NULL: the configured one */
    const char *url;            /* NULL: the service's endpoint */
    const char *method;         /* NULL: POST */
    const char *resource;       /* what has a limit of its own, "table orders"; NULL: the URL */
    const char *path;           /* already encoded, "/…"; NULL: "/" or what `url` says */
    const char *target;         /* X-Amz-Target, with JSON's content type; NULL: none */
    const char *content_type;   /* without `target` */
    const char *const *headers; /* more, "Name: value" */
    uint32_t headers_count;
    const void *body;
    size_t body_bytes;
    uint32_t timeout_ms;  /* of all attempts together */
    uint32_t patience_ms; /* of each, as http.h has it; 0: it waits as long as it may */
    size_t answer_bytes_max;
    bool reads_body; /* it is the caller's to read where it is ok: `json` of the answer is NULL */
    bool once; /* it must not be asked twice by aws itself: a lost answer comes back as such */
    void (*on_end)(void *context, const struct aws_answer *answer);
    void (*on_retry)(void *context); /* may be NULL */
    void *context;
};

/* Lent until on_end returns. */
struct aws_answer {
    struct http_answer http;
    bool ok;             /* 2xx */
    bool retryable;      /* asking again later may help */
    const char *error;   /* "ThrottlingException", without prefix and namespace; of no answer "" */
    const char *message; /* what AWS says, or a sentence of ours that says what to change */
    json_t *json;        /* the body, if it is JSON; else NULL */
};

/* `config`: the section "aws": region, profile, endpoint_url, all optional; NULL: none of them.
 * Reads the environment and files, asks nothing of the network. STATUS_INVALID: an unknown field, a
 * profile that is nowhere; that no region is known is only said when one is needed. */
NODISCARD enum status aws_open(struct http *http, const json_t *config, struct aws **ret_aws,
                               struct problem *problem);
/* The same in a world of the caller's, copied: with a log, and clocks for tests. */
NODISCARD enum status aws_open_in(const struct world *world, struct http *http,
                                  const json_t *config, struct aws **ret_aws,
                                  struct problem *problem);
/* What is under way or waits ends with HTTP_CANCELLED, by on_end, before it returns. Before or
 * after http_close. Accepts NULL. */
void aws_close(struct aws *aws);
/* Copies all of it; on_end is never called from within. STATUS_BUSY: AWS_REQUESTS_MAX;
 * STATUS_INVALID: no region is known, or what http_send refuses; STATUS_NO_MEMORY. That there are
 * no credentials comes back by on_end, and says where they were looked for. */
NODISCARD enum status aws_send(struct aws *aws, const struct aws_request *request,
                               struct problem *problem);
/* Once a turn of the edge thread, after the modules; in how many ms again, -1: never. */
int64_t aws_turn(struct aws *aws);
/* The configured region, or "". */
const char *aws_region(const struct aws *aws);
/* Whether somebody says where the service is asked, so that it is not AWS's own endpoint. */
bool aws_has_endpoint(const struct aws *aws, const char *service);

#endif
