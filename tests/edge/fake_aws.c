#include "tests/edge/fake_aws.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static struct fake_request requests[FAKE_REQUESTS_MAX];
static uint32_t requests_count;
static enum status send_status;
static const struct edge_kind *module_kind;
static void *module;

/* ---- in the place of aws.c and http.c ---------------------------------------------------------
 */

static void copy(char *ret_text, size_t bytes_max, const char *text)
{
    int bytes = snprintf(ret_text, bytes_max, "%s", text != NULL ? text : "");
    assert_true(bytes >= 0 && (size_t)bytes < bytes_max);
}

enum status aws_send(struct aws *aws, const struct aws_request *request, struct problem *problem)
{
    (void)aws;
    if (send_status != STATUS_OK)
        return problem_set(problem, send_status, "the test says so");
    assert_true(requests_count < FAKE_REQUESTS_MAX);
    assert_true(request->timeout_ms > 0);
    struct fake_request *fake = &requests[requests_count++];
    *fake = (struct fake_request){.once = request->once,
                                  .timeout_ms = request->timeout_ms,
                                  .patience_ms = request->patience_ms,
                                  .on_end = request->on_end,
                                  .context = request->context};
    copy(fake->service, sizeof fake->service, request->service);
    copy(fake->resource, sizeof fake->resource, request->resource);
    copy(fake->region, sizeof fake->region, request->region);
    copy(fake->path, sizeof fake->path, request->path);
    copy(fake->target, sizeof fake->target, request->target);
    for (uint32_t i = 0; i < request->headers_count; i++) {
        size_t bytes = strlen(fake->headers);
        snprintf(fake->headers + bytes, sizeof fake->headers - bytes, "%s\n", request->headers[i]);
    }
    fake->body_text = strndup(request->body != NULL ? request->body : "", request->body_bytes);
    fake->body = json_loads(fake->body_text, JSON_DECODE_ANY, NULL);
    return STATUS_OK;
}

const char *http_answer_header(const struct http_answer *answer, const char *name)
{
    size_t bytes = strlen(name);
    for (const char *const *header = answer->headers; header != NULL && *header != NULL; header++)
        if (strncasecmp(*header, name, bytes) == 0 && (*header)[bytes] == ':')
            return *header + bytes + 2;
    return NULL;
}

const char *aws_region(const struct aws *aws)
{
    (void)aws;
    return "eu-central-1";
}

/* ---- for the test -----------------------------------------------------------------------------
 */

struct edge_context fake_context(void)
{
    static char aws;
    return (struct edge_context){.thread = fake_frame_thread(), .aws = (struct aws *)&aws};
}

static enum status open_of(const struct edge_kind *kind, const struct edge_context *context,
                           const char *config, void **ret_module, struct problem *problem)
{
    json_t *section = config != NULL ? json_loads(config, 0, NULL) : NULL;
    assert_true(config == NULL || section != NULL);
    enum status status = kind->open(context, section, ret_module, problem);
    json_decref(section);
    return status;
}

static void close_module(void)
{
    if (module != NULL)
        module_kind->close(module);
    module = NULL;
}

void fake_open(const struct edge_kind *kind, const char *config)
{
    struct edge_context context = fake_context();
    struct problem problem = {0};
    close_module();
    module_kind = kind;
    if (open_of(kind, &context, config, &module, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
}

void fake_assert_refuses(const struct edge_kind *kind, const struct edge_context *context,
                         const char *config, const char *sentence)
{
    struct problem problem = {0};
    void *none = NULL;
    assert_int_equal(open_of(kind, context, config, &none, &problem), STATUS_INVALID);
    assert_memory_equal(problem.text, sentence, strlen(sentence));
}

struct fake_call *fake_give(struct fake_call *fake)
{
    json_t *before = json_deep_copy(fake->call.input);
    module_kind->call(module, &fake->call);
    assert_true(json_equal(fake->call.input, before));
    json_decref(before);
    return fake;
}

int64_t fake_turn(void)
{
    return module_kind->turn(module, NULL, 0);
}

uint32_t fake_requests_count(void)
{
    return requests_count;
}

const struct fake_request *fake_request(uint32_t index)
{
    assert_true(index < requests_count);
    return &requests[index];
}

static void end(uint32_t index, const struct aws_answer *answer)
{
    assert_true(index < requests_count);
    struct fake_request *request = &requests[index];
    assert_false(request->is_answered);
    request->is_answered = true;
    request->on_end(request->context, answer);
}

/* What is behind '#', or all. */
static const char *without_namespace(const char *type)
{
    const char *hash = type != NULL ? strchr(type, '#') : NULL;
    return hash != NULL ? hash + 1 : type;
}

void fake_answer(uint32_t index, int status, const char *const *headers, const char *body)
{
    struct aws_answer answer = {.http = {.end = HTTP_ANSWERED,
                                         .status = status,
                                         .body = body,
                                         .body_bytes = strlen(body),
                                         .headers = headers,
                                         .sentence = ""},
                                .ok = status / 100 == 2,
                                .retryable = status == 429 || status / 100 == 5,
                                .error = "",
                                .message = ""};
    answer.json = json_loads(body, 0, NULL);
    if (!answer.ok) {
        const char *type = json_string_value(json_object_get(answer.json, "__type"));
        if (type == NULL)
            type = http_answer_header(&answer.http, "X-Amzn-ErrorType");
        const char *message = json_string_value(json_object_get(answer.json, "message"));
        answer.error = type != NULL ? without_namespace(type) : "";
        answer.message = message != NULL ? message : "no message";
        if (strstr(answer.error, "Throttling") != NULL ||
            strstr(answer.error, "ThroughputExceeded") != NULL)
            answer.retryable = true;
    }
    end(index, &answer);
    json_decref(answer.json);
}

void fake_end(uint32_t index, enum http_end how, const char *sentence)
{
    struct aws_answer answer = {.http = {.end = how, .body = "", .sentence = sentence},
                                .retryable = true,
                                .error = "",
                                .message = sentence};
    end(index, &answer);
}

void fake_send_says(enum status status)
{
    send_status = status;
}

int fake_tear_down(void **state)
{
    (void)state;
    uint32_t open_count = 0;
    close_module();
    for (uint32_t i = 0; i < requests_count; i++) {
        free(requests[i].body_text);
        json_decref(requests[i].body);
        open_count += !requests[i].is_answered;
    }
    requests_count = 0;
    send_status = STATUS_OK;
    fake_frame_reset();
    assert_int_equal(open_count, 0);
    return 0;
}
