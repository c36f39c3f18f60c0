#include "engine/edge/http_invoke.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"

#define CAUSE_BODY_BYTES 700u /* of an answer's body, in the cause of a failure */

struct invoke {
    struct edge_thread *thread;
    struct http *http;
    struct http_invoke_config config;
};

/* A call that is under way. It knows nothing of the module, which may be closed before it ends. */
struct pending {
    struct edge_thread *thread;
    struct edge_call *call;
    int64_t deadline_ms; /* of the step, where that is its time; 0: it has the section's */
};

/* ---- answers ------------------------------------------------------------------------------------
 */

static void fail_by_status(struct pending *pending, const struct http_answer *answer)
{
    char error[64];
    json_t *text = json_stringn(answer->body, answer->body_bytes);
    snprintf(error, sizeof error, "States.Http.StatusCode.%d", answer->status);
    edge_failed(pending->thread, pending->call, true, error, "%d %s: %.*s", answer->status,
                http_invoke_reason(answer), (int)CAUSE_BODY_BYTES,
                text == NULL ? "" : json_string_value(text));
    json_decref(text);
}

static void take_answer(struct pending *pending, const struct http_answer *answer)
{
    if (answer->status < 200 || answer->status > 299) {
        fail_by_status(pending, answer);
        return;
    }
    json_t *output = http_invoke_output(answer);
    if (output != NULL)
        edge_done(pending->thread, pending->call, output);
    else
        edge_failed(pending->thread, pending->call, false, "States.Runtime",
                    "the answer is no text in UTF-8 (its Content-Type is %.100s); the call was "
                    "done: have the endpoint answer by JSON",
                    http_answer_header(answer, "Content-Type") == NULL
                        ? "not said"
                        : http_answer_header(answer, "Content-Type"));
}

static bool is_late(const struct pending *pending, const struct http_answer *answer)
{
    return pending->deadline_ms != 0 &&
           (answer->end == HTTP_TIMED_OUT || clock_wall_ms() >= pending->deadline_ms);
}

static void on_end(void *context, const struct http_answer *answer)
{
    struct pending *pending = context;
    switch (answer->end) {
    case HTTP_ANSWERED: take_answer(pending, answer); break;
    case HTTP_NOT_SENT:
    case HTTP_LOST:
    case HTTP_TIMED_OUT:
        edge_failed(pending->thread, pending->call, true,
                    is_late(pending, answer) ? "States.Timeout" : "States.Http.Socket", "%s",
                    answer->sentence);
        break;
    case HTTP_TOO_LARGE:
        edge_failed(pending->thread, pending->call, false, "States.DataLimitExceeded", "%s",
                    answer->sentence);
        break;
    case HTTP_CANCELLED: break; /* The call is the thread's to free. */
    }
    free(pending);
}

/* ---- calls --------------------------------------------------------------------------------------
 */

/* How long the call may take; 0: its step is over. */
static uint32_t find_time(const struct invoke *invoke, const struct edge_call *call,
                          bool *ret_is_cut)
{
    int64_t left_ms = call->deadline_ms - clock_wall_ms();
    *ret_is_cut = call->deadline_ms != 0 && left_ms < (int64_t)invoke->config.timeout_ms;
    if (!*ret_is_cut)
        return invoke->config.timeout_ms;
    return left_ms <= 0 ? 0 : (uint32_t)left_ms;
}

static enum status send_call(struct invoke *invoke, const struct http_invoke_request *made,
                             struct pending *pending, uint32_t timeout_ms, struct problem *problem)
{
    struct http_request request = {.method = made->method,
                                   .url = made->url,
                                   .headers = (const char *const *)made->headers,
                                   .headers_count = made->headers_count,
                                   .body = made->body,
                                   .body_bytes = made->body_bytes,
                                   .timeout_ms = timeout_ms,
                                   .patience_ms = invoke->config.patience_ms,
                                   .answer_bytes_max = FLYOVER_PAYLOAD_BYTES_MAX,
                                   .repeatable = true,
                                   .ca_file = invoke->config.ca_file,
                                   .on_end = on_end,
                                   .context = pending};
    return http_send(invoke->http, &request, problem);
}

static void fail_unsent(struct invoke *invoke, struct edge_call *call,
                        const struct problem *problem)
{
    if (problem->status == STATUS_INVALID)
        edge_failed(invoke->thread, call, false, "States.Runtime", "%s", problem->text);
    else if (problem->status == STATUS_NO_PERMISSION)
        edge_failed(invoke->thread, call, false, "States.Permissions", "%s", problem->text);
    else
        edge_failed(invoke->thread, call, true, "States.Http.Socket", "%s", problem->text);
}

static void send_or_fail(struct invoke *invoke, struct edge_call *call, uint32_t timeout_ms,
                         bool is_cut)
{
    struct problem problem = {0};
    struct http_invoke_request made;
    struct pending *pending = malloc(sizeof *pending);
    enum status status = http_invoke_request_make(&made, &invoke->config, call, &problem);
    if (status == STATUS_OK && pending == NULL)
        status = problem_set(&problem, STATUS_NO_MEMORY, "out of memory");
    if (status == STATUS_OK) {
        *pending = (struct pending){invoke->thread, call, is_cut ? call->deadline_ms : 0};
        status = send_call(invoke, &made, pending, timeout_ms, &problem);
    }
    if (status != STATUS_OK) {
        free(pending);
        fail_unsent(invoke, call, &problem);
    }
    http_invoke_request_free(&made);
}

static void invoke_call(void *module, struct edge_call *call)
{
    struct invoke *invoke = module;
    bool is_cut;
    uint32_t timeout_ms = find_time(invoke, call, &is_cut);
    if (timeout_ms > 0)
        send_or_fail(invoke, call, timeout_ms, is_cut);
    else
        edge_failed(invoke->thread, call, true, "States.Timeout",
                    "the step's time was over before the call was sent");
}

/* ---- the module ---------------------------------------------------------------------------------
 */

static void invoke_close(void *module)
{
    struct invoke *invoke = module;
    http_invoke_config_free(&invoke->config);
    free(invoke);
}

static enum status invoke_open(const struct edge_context *context, const json_t *config,
                               void **ret_module, struct problem *problem)
{
    struct invoke *invoke = calloc(1, sizeof *invoke);
    if (invoke == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "out of memory");
    invoke->thread = context->thread;
    invoke->http = context->http;
    enum status status = http_invoke_config_read(&invoke->config, config, problem);
    if (status == STATUS_OK)
        *ret_module = invoke;
    else
        invoke_close(invoke);
    return status;
}

static const char *const handlers[] = {"invoke", NULL};

const struct edge_kind edge_http = {.section = "http",
                                    .service = "aws-http",
                                    .names = handlers,
                                    .open = invoke_open,
                                    .call = invoke_call,
                                    .close = invoke_close};
