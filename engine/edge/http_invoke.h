/*
 * http_invoke: arn:aws:states:::http:invoke, Step Functions' HTTP Task, as service "aws-http",
 * handler "invoke". The section "http" of the file of edges:
 *
 *     http:
 *       timeout_seconds: 60          # of a call, as far as its step has no less; the default
 *       patience_seconds: 5          # with an endpoint that answers nothing; the default
 *       ca_file: authorities.pem     # trusted instead of the system's
 *       endpoints: ["https://api.example.com/v1"]   # what may be called; without: everything
 *       connections:
 *         shop: {endpoint: "https://api.example.com/", header: Authorization, value_env: SHOP_KEY}
 *         bank: {endpoint: "https://bank.example/", user: us, password_file: /etc/flyover/bank}
 *
 * Parameters: ApiEndpoint and Method (GET, POST, PUT, DELETE, PATCH, OPTIONS, HEAD); and, as one
 * likes, Headers, QueryParameters, RequestBody, Transform {RequestBodyEncoding: NONE or
 * URL_ENCODED, RequestEncodingOptions: {ArrayFormat}} (http_form.h), Authentication {Connection}. A
 * body that is no string is sent as JSON. Headers that AWS does not take are not taken,
 * Authorization among them: secrets are in connections, whose value is the variable's or the
 * file's, read once at the start, and which go to no other endpoint than theirs. AWS's own
 * connections (ConnectionArn) are refused by name.
 *
 * Output: {"Headers": {"content-type": ["…"]}, "ResponseBody": JSON or a string, "StatusCode": 200,
 * "StatusText": "OK"}, for an answer of 2xx. Redirects are not followed.
 *
 * Errors, all of them left to the definition's Retry, but for those with a *:
 *     States.Http.StatusCode.NNN  any other answer; the cause has its body
 *     States.Http.Socket          no connection, a connection that broke, no answer within
 *                                 timeout_seconds, too many waiting for a mute endpoint (below)
 *     States.Timeout              the step's own time was less than that, and is over
 *     States.DataLimitExceeded *  the answer is larger than a payload may be; the call was done
 *     States.Permissions *        the endpoint is below none of `endpoints`, or is not the
 * connection's States.Runtime *            the Parameters cannot be a call; or the answer is no
 * text As with Step Functions, States.ALL matches neither States.Runtime nor
 * States.DataLimitExceeded.
 *
 * A call may be sent more than once (the engine died, an answer was lost, Retry), always with the
 * same header Idempotency-Key, unless the definition sets one of its own: the other side has to
 * know it again. `traceparent` is passed on.
 *
 * One endpoint that is slow or dead holds back only itself: of one host HTTP_HOST_CONNECTIONS_MAX
 * calls are under way, the rest wait behind these, and if the host answers nothing for
 * patience_seconds, or has lost HTTP_HOST_SILENT_MAX calls in a row, then what waits fails at once
 * with States.Http.Socket, as does what comes until it answers again (http.h). So a dead host
 * keeps that many calls of the lane from others, and more for no longer than patience_seconds.
 *
 * Threads: the edge thread, but for `open`. Memory: the configuration; a call's request and answer.
 */
#ifndef ENGINE_EDGE_HTTP_INVOKE_H
#define ENGINE_EDGE_HTTP_INVOKE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/edge/edge_module.h"
#include "engine/edge/http.h"

#define HTTP_INVOKE_TIMEOUT_MS  60000u
#define HTTP_INVOKE_PATIENCE_MS 5000u
#define HTTP_INVOKE_SECRET_MAX  8192u /* bytes of a value or password */

struct http_connection {
    char *name, *endpoint;
    char *line; /* the header, with its secret */
};

struct http_invoke_config {
    uint32_t timeout_ms, patience_ms;
    char *ca_file; /* NULL: the usual ones */
    char **endpoints;
    uint32_t endpoints_count; /* 0: everything */
    struct http_connection *connections;
    uint32_t connections_count;
};

/* A call as a request; owned. */
struct http_invoke_request {
    const char *method; /* a constant */
    char *url;
    char *headers[HTTP_HEADERS_MAX];
    uint32_t headers_count;
    char *body; /* NULL: none */
    size_t body_bytes;
};

/* What http_invoke_config_free frees is there in any case. Sentences begin with the path of the
 * field, "http.timeout_seconds: ". STATUS_INVALID, STATUS_NO_MEMORY. */
NODISCARD enum status http_invoke_config_read(struct http_invoke_config *config,
                                              const json_t *section, struct problem *problem);
void http_invoke_config_free(struct http_invoke_config *config);
/* `url` begins with `prefix`, and what follows is below it: "https://a.example" is no beginning of
 * "https://a.example.com". */
bool http_invoke_is_below(const char *url, const char *prefix);

/* STATUS_INVALID: it cannot be a call, STATUS_NO_PERMISSION: it may not, and the sentence says why;
 * STATUS_NO_MEMORY. What
 * http_invoke_request_free frees is there in any case. */
NODISCARD enum status http_invoke_request_make(struct http_invoke_request *request,
                                               const struct http_invoke_config *config,
                                               const struct edge_call *call,
                                               struct problem *problem);
void http_invoke_request_free(struct http_invoke_request *request);

/* The output of an answer of 2xx, or NULL: it is no text. Returns owned. */
json_t *http_invoke_output(const struct http_answer *answer);
/* The words of a status, also where HTTP/2 sends none; "" of unknown ones. */
const char *http_invoke_reason(const struct http_answer *answer);

#endif
