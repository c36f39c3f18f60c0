/*
 * lambda: steps that are AWS Lambda functions, by the Invoke API.
 *
 *     lambda:
 *       timeout_seconds: 900            # of a step without TimeoutSeconds; a function ends by then
 *       function_in_flight_max: 32      # requests of one function at once
 *       function_waiting_max: 0         # calls of one function that wait here; 0: no limit
 *
 * Handler "function" (a Resource that is a function's ARN): the output is the function's answer.
 * Handler "invoke" (arn:aws:states:::lambda:invoke): Parameters are FunctionName (a name, an ARN,
 * or ACCOUNT:function:NAME, each with :QUALIFIER), Payload, InvocationType (RequestResponse, Event,
 * DryRun), Qualifier, ClientContext, LogType; the output is {StatusCode, ExecutedVersion, Payload,
 * LogResult}, of which what there is. The region is the ARN's, else the configured one.
 *
 * Errors. What the function raises is an error of the name that its runtime gives (`errorType`),
 * with the answer as the cause, as Step Functions has it, as much of it as the journal keeps
 * (FLYOVER_ERROR_CAUSE_BYTES_MAX); without a type, as when the function was out of memory,
 * "Lambda.Unknown"; a function that was out of its own time is "Sandbox.Timedout" in runtimes that
 * say so, else "Lambda.Unknown". They are retryable: Retry of the definition decides. Errors of the
 * service: aws_failure.h. An answer that is no JSON is "Flyover.BadOutput".
 *
 * How often a function runs: at least once. A request is sent once by this module, as its answer
 * may be lost when the function has run; the step then fails (Lambda.SdkClientException), and
 * Retry asks again with the same key. So does the next start of the engine, for what was out when
 * it died. A function that must not do its work twice remembers the key: the client context has it
 * (`context.clientContext.custom.flyover_key`, "-c" at its end in a compensation), unless the
 * definition gives a ClientContext of its own; Parameters may pass $$.Task.IdempotencyKey as well,
 * and have to for Event, to which Lambda gives no client context.
 *
 * Who holds back whom. A function has at most function_in_flight_max requests out, which leaves
 * connections for the others: all functions of a region share HTTP_HOST_CONNECTIONS_MAX. More calls
 * of it wait in its own queue, in order, until their time is over. They do count in what the engine
 * hands out to the lane (in_flight_max), so that a backlog of one function is held in the journal
 * rather than failed. Where functions of different speed must not share that: function_waiting_max;
 * calls beyond it fail at once as Lambda.TooManyRequestsException, as Lambda itself does it, and
 * need a Retry.
 *
 * Limits: payloads are the engine's (FLYOVER_PAYLOAD_BYTES_MAX), below Lambda's 6 MB; a larger
 *         answer is States.DataLimitExceeded, and more than ANSWER_BYTES_MAX is not even read.
 * Threads: the edge thread. Memory: a struct function for each that has calls here.
 */
#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/edge/aws.h"
#include "engine/edge/aws_failure.h"
#include "engine/edge/edge_module.h"
#include "engine/edge/json_text.h"
#include "engine/edge/lambda_request.h"
#include "engine/edge/section.h"

#define TIMEOUT_S_DEFAULT 900u
#define IN_FLIGHT_DEFAULT 32u
#define LIMIT_MAX         4096u
#define ANSWER_BYTES_MAX  (4u * FLYOVER_PAYLOAD_BYTES_MAX) /* JSON is longer than a payload */
#define BUCKETS           64u
#define EXPIRE_EVERY_MS   250
#define ASK_AGAIN_MS      10

/* Has calls here: out, or waiting in order. */
struct function {
    struct function *next;
    struct edge_call *first, *last;
    uint32_t in_flight, waiting_count;
    char name[];
};

struct lambda {
    struct edge_context context;
    uint32_t timeout_ms, function_in_flight_max, function_waiting_max;
    uint32_t waiting_count; /* of all functions */
    bool is_held_up;        /* no room for a request: ask again later */
    int64_t expired_ms;     /* when it was looked for calls whose time is over */
    struct function *functions[BUCKETS];
};

/* Of a request that is out. Its own, so that it can be freed when the module is gone. */
struct request {
    struct lambda *lambda;
    struct function *function;
    struct edge_call *call;
};

enum { HANDLER_FUNCTION, HANDLER_INVOKE };
static const char *const handler_names[] = {"function", "invoke", NULL};

static const char *const model[] = {"EC2AccessDeniedException",
                                    "EC2ThrottledException",
                                    "EC2UnexpectedException",
                                    "EFSIOException",
                                    "EFSMountConnectivityException",
                                    "EFSMountFailureException",
                                    "EFSMountTimeoutException",
                                    "ENILimitReachedException",
                                    "InvalidParameterValueException",
                                    "InvalidRequestContentException",
                                    "InvalidRuntimeException",
                                    "InvalidSecurityGroupIDException",
                                    "InvalidSubnetIDException",
                                    "InvalidZipFileException",
                                    "KMSAccessDeniedException",
                                    "KMSDisabledException",
                                    "KMSInvalidStateException",
                                    "KMSNotFoundException",
                                    "RecursiveInvocationException",
                                    "RequestTooLargeException",
                                    "ResourceConflictException",
                                    "ResourceNotFoundException",
                                    "ResourceNotReadyException",
                                    "ServiceException",
                                    "SnapStartException",
                                    "SnapStartNotReadyException",
                                    "SnapStartTimeoutException",
                                    "SubnetIPAddressLimitReachedException",
                                    "TooManyRequestsException",
                                    "UnsupportedMediaTypeException",
                                    NULL};
static const struct aws_failure_names failure_names = {"Lambda", "AWSLambdaException", model};

/* ---- functions and their queues ----------------------------------------------------------------
 */

static struct function **bucket_of(struct lambda *lambda, const char *name)
{
    uint32_t hash = 2166136261u;
    for (; *name != '\0'; name++)
        hash = (hash ^ (uint8_t)*name) * 16777619u;
    return &lambda->functions[hash % BUCKETS];
}

/* Made if it is not there; NULL: out of memory. */
static struct function *find_function(struct lambda *lambda, const char *name)
{
    struct function **bucket = bucket_of(lambda, name);
    for (struct function *function = *bucket; function != NULL; function = function->next)
        if (strcmp(function->name, name) == 0)
            return function;
    size_t bytes = strlen(name) + 1;
    struct function *function = calloc(1, sizeof *function + bytes);
    if (function == NULL)
        return NULL;
    memcpy(function->name, name, bytes);
    function->next = *bucket;
    *bucket = function;
    return function;
}

/* Frees it if nothing of it is here. */
static void let_go_of(struct lambda *lambda, struct function *function)
{
    if (function->in_flight > 0 || function->waiting_count > 0)
        return;
    struct function **at = bucket_of(lambda, function->name);
    while (*at != function)
        at = &(*at)->next;
    *at = function->next;
    free(function);
}

static void push(struct lambda *lambda, struct function *function, struct edge_call *call)
{
    call->next = NULL;
    if (function->first == NULL)
        function->first = call;
    else
        function->last->next = call;
    function->last = call;
    function->waiting_count++;
    lambda->waiting_count++;
}

static struct edge_call *pop(struct lambda *lambda, struct function *function)
{
    struct edge_call *call = function->first;
    function->first = call->next;
    function->waiting_count--;
    lambda->waiting_count--;
    return call;
}

/* ---- the request -------------------------------------------------------------------------------
 */

static void on_end(void *context, const struct aws_answer *answer);

static enum status send_with(struct request *request, const char *path, const char *body,
                             uint32_t timeout_ms, struct problem *problem)
{
    const struct edge_call *call = request->call;
    char region[LAMBDA_REGION_BYTES], client[LAMBDA_HEADER_BYTES], type[64], log[64];
    const char *headers[3] = {client, type, log};
    lambda_print_context(call, client);
    const char *wanted = lambda_field(call, "InvocationType"),
               *log_type = lambda_field(call, "LogType");
    snprintf(type, sizeof type, "X-Amz-Invocation-Type: %s",
             wanted != NULL ? wanted : "RequestResponse");
    snprintf(log, sizeof log, "X-Amz-Log-Type: %s", log_type != NULL ? log_type : "None");
    const struct aws_request wire = {
        .service = "lambda",
        .region = lambda_find_region(call, region) ? region : NULL,
        .path = path,
        .content_type = "application/json",
        .headers = headers,
        .headers_count = log_type != NULL ? 3 : 2,
        .body = body,
        .body_bytes = strlen(body),
        .timeout_ms = timeout_ms,
        .answer_bytes_max = ANSWER_BYTES_MAX,
        .once = true,
        .on_end = on_end,
        .context = request,
    };
    return aws_send(request->lambda->context.aws, &wire, problem);
}

static void refuse(struct lambda *lambda, struct edge_call *call, const char *sentence)
{
    edge_failed(lambda->context.thread, call, false, "Lambda.InvalidParameterValueException", "%s",
                sentence);
}

/* STATUS_BUSY: no room for a request now, nothing was done. Else the call is out, or answered. */
static enum status ask(struct lambda *lambda, struct function *function, struct edge_call *call)
{
    uint32_t timeout_ms = aws_failure_time_left_ms(call, lambda->timeout_ms);
    if (timeout_ms == 0) {
        aws_failure_tell_timeout(lambda->context.thread, call, function->name);
        return STATUS_OK;
    }
    struct problem problem = {0};
    enum status status = STATUS_NO_MEMORY;
    char path[LAMBDA_PATH_BYTES];
    struct request *request = malloc(sizeof *request);
    const json_t *payload = json_object_get(call->input, "Payload");
    /* Without a body libcurl would send it again by itself; to a function no payload is {}. */
    char *body = payload != NULL ? json_text(payload) : strdup("{}");
    if (request != NULL && body != NULL) {
        *request = (struct request){lambda, function, call};
        lambda_print_path(call, path);
        status = send_with(request, path, body, timeout_ms, &problem);
    }
    free(body);
    if (status == STATUS_OK) {
        function->in_flight++;
        return STATUS_OK;
    }
    free(request);
    if (status == STATUS_INVALID)
        refuse(lambda, call, problem.text);
    return status == STATUS_INVALID ? STATUS_OK : STATUS_BUSY;
}

/* Sends what may go of it, and frees it if nothing is left. */
static void go_on(struct lambda *lambda, struct function *function)
{
    while (function->waiting_count > 0 && function->in_flight < lambda->function_in_flight_max) {
        struct edge_call *call = function->first;
        struct edge_call *next = call->next;
        if (ask(lambda, function, call) == STATUS_BUSY) {
            lambda->is_held_up = true;
            return;
        }
        function->first = next; /* `call` may be freed by now */
        function->waiting_count--;
        lambda->waiting_count--;
    }
    let_go_of(lambda, function);
}

/* ---- the answer --------------------------------------------------------------------------------
 */

/* The function ran, and failed. */
static void tell_function_error(struct request *request, const struct aws_answer *answer)
{
    json_t *payload = json_loadb(answer->http.body, answer->http.body_bytes, 0, NULL);
    const char *type = json_string_value(json_object_get(payload, "errorType"));
    bool named = type != NULL && type[0] != '\0';
    edge_failed(request->lambda->context.thread, request->call, true,
                named ? type : "Lambda.Unknown", "%s",
                answer->http.body_bytes > 0 ? answer->http.body : "the function failed");
    json_decref(payload);
}

/* {StatusCode, ExecutedVersion, Payload, LogResult}; steals `payload`, which may be NULL. */
static json_t *make_output(const struct aws_answer *answer, json_t *payload)
{
    const char *version = http_answer_header(&answer->http, "X-Amz-Executed-Version");
    const char *log = http_answer_header(&answer->http, "X-Amz-Log-Result");
    json_t *output = json_pack("{s:i, s:s*, s:s*}", "StatusCode", answer->http.status,
                               "ExecutedVersion", version, "LogResult", log);
    if (payload != NULL)
        json_object_set_new(output, "Payload", payload);
    return output;
}

static void tell_done(struct request *request, const struct aws_answer *answer)
{
    struct edge_thread *thread = request->lambda->context.thread;
    json_t *payload = NULL;
    if (answer->http.body_bytes > 0) {
        json_error_t error;
        payload = json_loadb(answer->http.body, answer->http.body_bytes, JSON_DECODE_ANY, &error);
        if (payload == NULL) {
            edge_failed(thread, request->call, false, "Flyover.BadOutput",
                        "%s answered what is no JSON, at byte %d: %s", request->function->name,
                        error.position, error.text);
            return;
        }
    }
    if (request->call->handler == HANDLER_INVOKE)
        payload = make_output(answer, payload);
    edge_done(thread, request->call, payload);
}

static void tell_refusal(struct request *request, const struct aws_answer *answer)
{
    bool missing = strcmp(answer->error, "ResourceNotFoundException") == 0;
    aws_failure_tell(request->lambda->context.thread, request->call, &failure_names, answer,
                     request->function->name,
                     missing ? "check the function's name, region and account, and its qualifier"
                             : "");
}

/* After aws's end of a request. A request that is cancelled ends with the engine: its call is not
 * answered, so that the next start hands it out again, and the module is gone. */
static void on_end(void *context, const struct aws_answer *answer)
{
    struct request *request = context;
    if (answer->http.end == HTTP_CANCELLED) {
        free(request);
        return;
    }
    if (!answer->ok)
        tell_refusal(request, answer);
    else if (http_answer_header(&answer->http, "X-Amz-Function-Error") != NULL)
        tell_function_error(request, answer);
    else
        tell_done(request, answer);
    request->function->in_flight--;
    go_on(request->lambda, request->function);
    free(request);
}

/* ---- the module --------------------------------------------------------------------------------
 */

static void lambda_call(void *module, struct edge_call *call)
{
    struct lambda *lambda = module;
    char sentence[256];
    if (!lambda_check(call, sentence, sizeof sentence)) {
        refuse(lambda, call, sentence);
        return;
    }
    struct function *function = find_function(lambda, lambda_field(call, "FunctionName"));
    uint32_t waiting_max = lambda->function_waiting_max;
    if (function == NULL) {
        edge_failed(lambda->context.thread, call, true, "Lambda.SdkClientException",
                    "out of memory");
    } else if (waiting_max > 0 && function->waiting_count >= waiting_max) {
        edge_failed(lambda->context.thread, call, true, "Lambda.TooManyRequestsException",
                    "%s: %u calls are out and %u wait (lambda.function_waiting_max); Retry asks "
                    "again",
                    function->name, function->in_flight, function->waiting_count);
    } else {
        push(lambda, function, call);
        go_on(lambda, function);
    }
}

/* Answers what waits and has no time left, so that the engine can hand out others. */
static void expire(struct lambda *lambda, struct function *function)
{
    for (uint32_t left = function->waiting_count; left > 0; left--) {
        struct edge_call *call = pop(lambda, function);
        if (aws_failure_time_left_ms(call, 1) == 0)
            aws_failure_tell_timeout(lambda->context.thread, call, function->name);
        else
            push(lambda, function, call);
    }
    let_go_of(lambda, function);
}

static void for_each_function(struct lambda *lambda,
                              void (*visit)(struct lambda *lambda, struct function *function))
{
    for (uint32_t i = 0; i < BUCKETS; i++) {
        struct function *next;
        for (struct function *function = lambda->functions[i]; function != NULL; function = next) {
            next = function->next;
            visit(lambda, function);
        }
    }
}

static int64_t lambda_turn(void *module, const struct pollfd *fds, uint32_t fds_count)
{
    (void)fds, (void)fds_count;
    struct lambda *lambda = module;
    if (lambda->waiting_count == 0)
        return -1;
    int64_t now_ms = (int64_t)(clock_now_ns() / 1000000u);
    if (now_ms - lambda->expired_ms >= EXPIRE_EVERY_MS) {
        lambda->expired_ms = now_ms;
        for_each_function(lambda, expire);
    }
    if (lambda->is_held_up) {
        lambda->is_held_up = false;
        for_each_function(lambda, go_on);
    }
    if (lambda->waiting_count == 0)
        return -1;
    return lambda->is_held_up ? ASK_AGAIN_MS : EXPIRE_EVERY_MS;
}

static enum status lambda_open(const struct edge_context *context, const json_t *config,
                               void **ret_module, struct problem *problem)
{
    static const char *const names[] = {"timeout_seconds", "function_in_flight_max",
                                        "function_waiting_max", NULL};
    uint32_t timeout_s = TIMEOUT_S_DEFAULT, in_flight_max = IN_FLIGHT_DEFAULT, waiting_max = 0;
    enum status status = section_check(config, "lambda", names, problem);
    if (status == STATUS_OK)
        status = section_count(config, "lambda", "timeout_seconds", 1, 3600, &timeout_s, problem);
    if (status == STATUS_OK)
        status = section_count(config, "lambda", "function_in_flight_max", 1, LIMIT_MAX,
                               &in_flight_max, problem);
    if (status == STATUS_OK)
        status = section_count(config, "lambda", "function_waiting_max", 0, LIMIT_MAX, &waiting_max,
                               problem);
    if (status != STATUS_OK)
        return status;
    if (context->aws == NULL)
        return problem_set(problem, STATUS_INVALID,
                           "lambda: needs the section `aws`; aws: {} takes all of the environment");
    struct lambda *lambda = calloc(1, sizeof *lambda);
    if (lambda == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "lambda: out of memory");
    lambda->context = *context;
    lambda->timeout_ms = timeout_s * 1000u;
    lambda->function_in_flight_max = in_flight_max;
    lambda->function_waiting_max = waiting_max;
    *ret_module = lambda;
    return STATUS_OK;
}

static void lambda_close(void *module)
{
    struct lambda *lambda = module;
    for (uint32_t i = 0; i < BUCKETS; i++)
        while (lambda->functions[i] != NULL) {
            struct function *function = lambda->functions[i];
            lambda->functions[i] = function->next;
            free(function);
        }
    free(lambda);
}

const struct edge_kind edge_lambda = {
    .section = "lambda",
    .service = "aws-lambda",
    .names = handler_names,
    .open = lambda_open,
    .call = lambda_call,
    .turn = lambda_turn,
    .close = lambda_close,
};
