#include "tests/edge/sqs_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BEGIN_S 1700000000

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now)
{
    (void)clock;
    *ret_now = (struct timespec){.tv_sec = BEGIN_S + rig.later_ms / 1000,
                                 .tv_nsec = rig.later_ms % 1000 * 1000000};
    return 0;
}

static char *copy(const char *text)
{
    return text ? strdup(text) : NULL;
}

static void request_free(struct rig_request *request)
{
    free(request->service);
    free(request->region);
    free(request->url);
    free(request->target);
    free(request->body);
    json_decref(request->json);
}

/* ---- AWS ---------------------------------------------------------------------------------------
 */

enum status aws_send(struct aws *aws, const struct aws_request *asked, struct problem *problem)
{
    (void)aws;
    if (rig.send_status != STATUS_OK) {
        enum status status = rig.send_status;
        rig.send_status = STATUS_OK;
        return problem_set(problem, status, "too many requests are under way");
    }
    assert_true(rig.requests_count < RIG_LIST_MAX);
    struct rig_request *request = &rig.requests[rig.requests_count++];
    *request = (struct rig_request){.service = copy(asked->service),
                                    .region = copy(asked->region),
                                    .url = copy(asked->url),
                                    .target = copy(asked->target),
                                    .body = strndup(asked->body, asked->body_bytes),
                                    .json = json_loadb(asked->body, asked->body_bytes, 0, NULL),
                                    .timeout_ms = asked->timeout_ms,
                                    .patience_ms = asked->patience_ms,
                                    .on_end = asked->on_end,
                                    .on_retry = asked->on_retry,
                                    .context = asked->context};
    return STATUS_OK;
}

bool aws_has_endpoint(const struct aws *aws, const char *service)
{
    (void)aws;
    assert_string_equal(service, "sqs");
    return rig.has_endpoint;
}

int rig_find(const char *action)
{
    for (uint32_t i = 0; i < rig.requests_count; i++) {
        const char *target = rig.requests[i].target;
        const char *name = target ? strchr(target, '.') + 1 : rig.requests[i].body;
        if (target ? strcmp(name, action) == 0 : strstr(name, action) != NULL)
            return (int)i;
    }
    return -1;
}

static void end_request(uint32_t index, const struct aws_answer *answer)
{
    assert_true(index < rig.requests_count);
    struct rig_request request = rig.requests[index];
    rig.requests_count--;
    memmove(&rig.requests[index], &rig.requests[index + 1],
            (rig.requests_count - index) * sizeof(request));
    request.on_end(request.context, answer);
    request_free(&request);
}

void rig_answer(uint32_t index, const char *body)
{
    json_t *json = json_loads(body, 0, NULL);
    const struct aws_answer answer = {
        .http = {.end = HTTP_ANSWERED, .status = 200, .body = body, .body_bytes = strlen(body)},
        .ok = true,
        .error = "",
        .message = "",
        .json = json};
    end_request(index, &answer);
    json_decref(json);
}

void rig_answer_json(uint32_t index, json_t *body)
{
    char *text = json_dumps(body, 0);
    assert_non_null(text);
    rig_answer(index, text);
    free(text);
    json_decref(body);
}

void rig_fail(uint32_t index, int status, const char *error, bool retryable)
{
    const struct aws_answer answer = {.http = {.end = HTTP_ANSWERED, .status = status, .body = ""},
                                      .retryable = retryable,
                                      .error = error,
                                      .message = "what AWS says of it"};
    end_request(index, &answer);
}

void rig_lose(uint32_t index)
{
    const struct aws_answer answer = {
        .http = {.end = HTTP_LOST, .body = "", .sentence = "the connection broke"},
        .retryable = true,
        .error = "",
        .message = "the connection broke"};
    end_request(index, &answer);
}

void rig_cancel(void)
{
    const struct aws_answer answer = {
        .http = {.end = HTTP_CANCELLED, .body = "", .sentence = "closed"},
        .error = "",
        .message = "closed"};
    while (rig.requests_count > 0)
        end_request(0, &answer);
}
