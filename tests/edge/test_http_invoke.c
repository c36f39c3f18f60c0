/*
 * HTTP Tasks against a scripted server, with an edge thread of the test's own.
 */
#include "engine/edge/http_invoke.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "tests/certificates.h"
#include "tests/edge/fake_http.h"

#define KEY   "e1-77-3"
#define TRACE "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

/* ---- the edge thread ----------------------------------------------------------------------------
 */

struct kept {
    struct edge_call call;
    uint32_t answers;
    bool is_done, retryable;
    json_t *output;
    char error[EDGE_ERROR_BYTES], cause[EDGE_CAUSE_BYTES];
};

void edge_done(struct edge_thread *thread, struct edge_call *call, json_t *output)
{
    (void)thread;
    struct kept *kept = (struct kept *)call;
    kept->answers++;
    kept->is_done = true;
    kept->output = output;
}

void edge_failed(struct edge_thread *thread, struct edge_call *call, bool retryable,
                 const char *error, const char *cause_format, ...)
{
    (void)thread;
    va_list arguments;
    struct kept *kept = (struct kept *)call;
    va_start(arguments, cause_format);
    vsnprintf(kept->cause, sizeof kept->cause, cause_format, arguments);
    va_end(arguments);
    snprintf(kept->error, sizeof kept->error, "%s", error);
    kept->answers++;
    kept->retryable = retryable;
}

/* ---- the rig ------------------------------------------------------------------------------------
 */

static struct fake_http *server;
static struct http *http;
static void *module;
static struct kept kept;

static enum status open_with(const char *section, struct problem *problem)
{
    struct edge_context context = {.http = http};
    json_t *config = json_loads(section, 0, NULL);
    assert_non_null(config);
    enum status status = edge_http.open(&context, config, &module, problem);
    json_decref(config);
    return status;
}

static void open_module(const char *section)
{
    struct problem problem = {0};
    if (open_with(section, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
}

static void close_module(void)
{
    if (module != NULL)
        edge_http.close(module);
    module = NULL;
}

static int set_up(void **state)
{
    (void)state;
    struct problem problem = {0};
    unsetenv("AWS_CA_BUNDLE");
    server = fake_http_open(NULL);
    assert_int_equal(http_open(&http, &problem), STATUS_OK);
    open_module("{}");
    return 0;
}

static void forget(struct kept *one)
{
    json_decref(one->call.input);
    json_decref(one->output);
    *one = (struct kept){0};
}

static int tear_down(void **state)
{
    (void)state;
    close_module();
    http_close(http);
    fake_http_close(server);
    forget(&kept);
    return 0;
}

/* Parameters with '$' for the server's URL. */
static json_t *parameters(const char *text)
{
    char filled[4096] = "";
    for (const char *at = text; *at != '\0'; at++)
        if (*at == '$')
            strcat(filled, fake_http_url(server));
        else
            strncat(filled, at, 1);
    json_error_t error;
    json_t *json = json_loads(filled, 0, &error);
    if (json == NULL)
        fail_msg("%s: %s", filled, error.text);
    return json;
}

static void send_call(struct kept *one, const char *text)
{
    one->call.input = parameters(text);
    strcpy(one->call.key, KEY);
    edge_http.call(module, &one->call);
}

static void until_answered(const struct kept *one)
{
    uint64_t since_ns = clock_now_ns();
    while (one->answers == 0) {
        assert_true(clock_now_ns() - since_ns < UINT64_C(60000000000));
        http_turn(http);
        if (one->answers == 0)
            http_wait(http, NULL, 0, 1000);
    }
}

static void call(const char *text)
{
    forget(&kept);
    send_call(&kept, text);
    until_answered(&kept);
    assert_int_equal(kept.answers, 1);
}

#define GET  "{\"ApiEndpoint\": \"$/a\", \"Method\": \"GET\"}"
#define POST "{\"ApiEndpoint\": \"$/a\", \"Method\": \"POST\", \"RequestBody\": {\"x\": [1, \"ä\"]}"

static void call_well(const char *text)
{
    call(text);
    if (!kept.is_done)
        fail_msg("%s: %s", kept.error, kept.cause);
}

static void expect_cause(const char *part)
{
    if (strstr(kept.cause, part) == NULL)
        fail_msg("'%s' says nothing of '%s'", kept.cause, part);
}

static void call_badly(const char *text, const char *error, bool retryable, const char *part)
{
    call(text);
    assert_false(kept.is_done);
    if (strcmp(kept.error, error) != 0)
        fail_msg("%s: %s; and not %s", kept.error, kept.cause, error);
    assert_int_equal(kept.retryable, retryable);
    expect_cause(part);
}

static const char *seen_header(uint32_t index, const char *name)
{
    const char *value = fake_http_header(fake_http_request(server, index), name);
    return value == NULL ? "none" : value;
}

/* ---- what is sent -------------------------------------------------------------------------------
 */

static void a_call_is_sent_as_its_parameters_say(void **state)
{
    (void)state;
    call_well(
        "{\"ApiEndpoint\": \"$/a?b=c\", \"Method\": \"PATCH\", \"Headers\": {\"X-One\": \"1\", "
        "\"X-More\": [\"2\", 3]}, \"QueryParameters\": {\"d e\": \"f&\", \"g\": [1, 2]}, "
        "\"RequestBody\": {\"x\": [9.99, \"ä\"]}}");
    const struct fake_request *seen = fake_http_request(server, 0);
    assert_string_equal(seen->method, "PATCH");
    assert_string_equal(seen->path, "/a?b=c&d%20e=f%26&g=1&g=2");
    assert_string_equal(seen->body, "{\"x\":[9.99,\"ä\"]}");
    assert_string_equal(seen_header(0, "X-One"), "1");
    assert_string_equal(seen_header(0, "X-More"), "2, 3");
    assert_string_equal(seen_header(0, "Content-Type"), "application/json; charset=UTF-8");
    assert_string_equal(seen_header(0, "Idempotency-Key"), KEY);
    assert_string_equal(seen_header(0, "traceparent"), "none");
}

static void a_call_without_a_body_has_none(void **state)
{
    (void)state;
    call_well(GET);
    assert_string_equal(fake_http_request(server, 0)->path, "/a");
    assert_string_equal(seen_header(0, "Content-Type"), "none");
    assert_string_equal(seen_header(0, "Content-Length"), "none");
    call_well("{\"ApiEndpoint\": \"$\", \"Method\": \"POST\", \"RequestBody\": null, "
              "\"Headers\": null, \"QueryParameters\": {}, \"Transform\": null}");
    assert_string_equal(fake_http_request(server, 1)->path, "/");
    assert_int_equal(fake_http_request(server, 1)->body_bytes, 0);
}

static void the_same_key_is_sent_again_and_again(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        call_well(POST "}");
        assert_string_equal(seen_header(i, "Idempotency-Key"), KEY);
    }
}

static void a_key_of_the_definition_comes_before_the_engines(void **state)
{
    (void)state;
    call_well("{\"ApiEndpoint\": \"$\", \"Method\": \"POST\", "
              "\"Headers\": {\"idempotency-key\": \"own\"}}");
    assert_string_equal(seen_header(0, "Idempotency-Key"), "own");
    assert_null(strstr(fake_http_request(server, 0)->headers, KEY));
}

static void a_trace_is_passed_on(void **state)
{
    (void)state;
    strcpy(kept.call.trace, TRACE);
    send_call(&kept, GET);
    until_answered(&kept);
    assert_string_equal(seen_header(0, "traceparent"), TRACE);
}

static void a_body_may_be_a_text_or_a_form(void **state)
{
    (void)state;
    call_well("{\"ApiEndpoint\": \"$\", \"Method\": \"PUT\", \"RequestBody\": \"<a/>\", "
              "\"Headers\": {\"Content-Type\": \"text/xml\"}}");
    assert_string_equal(fake_http_request(server, 0)->body, "<a/>");
    assert_string_equal(seen_header(0, "Content-Type"), "text/xml");
    call_well(POST ", \"Transform\": {\"RequestBodyEncoding\": \"URL_ENCODED\"}}");
    assert_string_equal(fake_http_request(server, 1)->body, "x[0]=1&x[1]=%C3%A4");
    assert_string_equal(seen_header(1, "Content-Type"), "application/x-www-form-urlencoded");
    call_well(POST ", \"Transform\": {\"RequestBodyEncoding\": \"URL_ENCODED\", "
                   "\"RequestEncodingOptions\": {\"ArrayFormat\": \"COMMAS\"}}}");
    assert_string_equal(fake_http_request(server, 2)->body, "x=1,%C3%A4");
    call_well(POST ", \"Transform\": {\"RequestBodyEncoding\": \"NONE\"}}");
    assert_string_equal(fake_http_request(server, 3)->body, "{\"x\":[1,\"ä\"]}");
}

static void what_cannot_be_a_call_is_refused_and_not_sent(void **state)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"{}", "there is no ApiEndpoint"},
        {"{\"input\": {}, \"output\": {}}", "Compensate"},
        {"{\"ApiEndpoint\": 1, \"Method\": \"GET\"}", "ApiEndpoint: say a URL"},
        {"{\"ApiEndpoint\": \"ftp://a/\", \"Method\": \"GET\"}", "ApiEndpoint: say a URL"},
        {"{\"ApiEndpoint\": \"file:///etc/passwd\", \"Method\": \"GET\"}", "https:// or http://"},
        {"{\"ApiEndpoint\": \"http://me:secret@a/\", \"Method\": \"GET\"}", "names a user"},
        {"{\"ApiEndpoint\": \"$/a/../b\", \"Method\": \"GET\"}", "'..' for a folder"},
        {"{\"ApiEndpoint\": \"$/a/%2E.\", \"Method\": \"GET\"}", "'..' for a folder"},
        {"{\"ApiEndpoint\": \"$/a#b\", \"Method\": \"GET\"}", "'#'"},
        {"{\"ApiEndpoint\": \"$/a b\", \"Method\": \"GET\"}", "is no URL"},
        {"{\"ApiEndpoint\": \"http://\", \"Method\": \"GET\"}", "is no URL"},
        {"{\"ApiEndpoint\": \"$\"}", "Method: say GET"},
        {"{\"ApiEndpoint\": \"$\", \"Method\": \"get\"}", "Method: say GET"},
        {"{\"ApiEndpoint\": \"$\", \"Method\": \"CONNECT\"}", "Method: say GET"},
        {"{\"ApiEndpoint\": \"$\", \"Method\": \"GET\", \"Body\": 1}", "Body: there is no such"},
        {"{\"ApiEndpoint\": \"$\", \"Method\": \"GET\", \"Headers\": []}",
         "Headers: say an object"},
        {"{\"ApiEndpoint\": \"$\", \"Method\": \"GET\", \"Headers\": {\"X\": {}}}", "Headers.X"},
        {"{\"ApiEndpoint\": \"$\", \"Method\": \"GET\", \"Headers\": {\"X\": \"a\\nb\"}}",
         "header 1"},
        {"{\"ApiEndpoint\": \"$\", \"Method\": \"GET\", \"Headers\": {\"\": \"a\"}}", "header 1"},
        {"{\"ApiEndpoint\": \"$\", \"Method\": \"GET\", \"Headers\": {\"host\": \"a\"}}",
         "Headers.host: an HTTP Task may not set it"},
        {"{\"ApiEndpoint\": \"$\", \"Method\": \"GET\", \"Headers\": {\"X-Amz-Date\": \"a\"}}",
         "may not set it"},
        {"{\"ApiEndpoint\": \"$\", \"Method\": \"GET\", \"Headers\": {\"authorization\": \"s\"}}",
         "secrets are put into http.connections"},
        {"{\"ApiEndpoint\": \"$\", \"Method\": \"GET\", \"QueryParameters\": \"a=b\"}",
         "QueryParameters: say an object"},
        {POST ", \"Transform\": {\"RequestBodyEncoding\": \"XML\"}}", "NONE or URL_ENCODED"},
        {POST ", \"Transform\": \"URL_ENCODED\"}", "NONE or URL_ENCODED"},
        {POST ", \"Transform\": {\"RequestEncodingOptions\": {\"ArrayFormat\": \"X\"}}}",
         "INDICES, REPEAT"},
        {"{\"ApiEndpoint\": \"$\", \"Method\": \"POST\", \"RequestBody\": [1], \"Transform\": "
         "{\"RequestBodyEncoding\": \"URL_ENCODED\"}}",
         "takes an object"},
        {"{\"ApiEndpoint\": \"$\", \"Method\": \"GET\", \"Authentication\": {\"ConnectionArn\": "
         "\"arn:aws:events:eu-central-1:1:connection/shop/1\"}}",
         "ConnectionArn is a connection of EventBridge"},
        {"{\"ApiEndpoint\": \"$\", \"Method\": \"GET\", \"InvocationConfig\": {}}", "EventBridge"},
        {"{\"ApiEndpoint\": \"$\", \"Method\": \"GET\", \"Authentication\": {\"Connection\": "
         "\"shop\"}}",
         "has no 'shop'"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        call_badly(cases[i].text, "States.Runtime", false, cases[i].part);
    assert_int_equal(fake_http_seen(server), 0);
}

static void more_headers_than_there_is_room_for_are_refused(void **state)
{
    (void)state;
    char text[2048] = "{\"ApiEndpoint\": \"$\", \"Method\": \"GET\", \"Headers\": {\"A\": 1";
    for (uint32_t i = 0; i < HTTP_HEADERS_MAX - 5; i++)
        sprintf(text + strlen(text), ", \"X-%u\": 1", i);
    char *end = text + strlen(text);
    strcpy(end, "}}");
    call_well(text);
    strcpy(end, ", \"Y\": 1}}");
    call_badly(text, "States.Runtime", false, "more than 28");
}

/* ---- what comes back ----------------------------------------------------------------------------
 */

static void expect_output(const char *json)
{
    json_t *expected = json_loads(json, 0, NULL);
    assert_non_null(expected);
    if (!json_equal(expected, kept.output)) {
        char *was = json_dumps(kept.output, 0);
        fail_msg("%s\ninstead of %s", was, json);
    }
    json_decref(expected);
}

static void an_answer_is_its_headers_body_and_status(void **state)
{
    (void)state;
    fake_http_script(server, &(struct fake_answer){.status = 201,
                                                   .headers = "Content-Type: application/json\r\n"
                                                              "X-Two: a\r\nx-two: \xe4\r\n",
                                                   .body = "{\"id\": 7}"});
    call_well(POST "}");
    expect_output("{\"Headers\": {\"content-length\": [\"9\"], \"content-type\": "
                  "[\"application/json\"], \"x-two\": [\"a\", \"?\"]}, \"ResponseBody\": "
                  "{\"id\": 7}, \"StatusCode\": 201, \"StatusText\": \"Scripted\"}");
}

static void expect_body(const char *headers, const char *body, const char *json)
{
    fake_http_script(server, &(struct fake_answer){.headers = headers, .body = body});
    call_well(GET);
    json_t *expected = json_loads(json, JSON_DECODE_ANY, NULL);
    assert_true(json_equal(json_object_get(kept.output, "ResponseBody"), expected));
    json_decref(expected);
}

static void a_body_is_json_if_it_says_so_and_is(void **state)
{
    (void)state;
    expect_body("Content-Type: application/json; charset=utf-8\r\n", "[1]", "[1]");
    expect_body("Content-Type: application/problem+JSON\r\n", "\"a\"", "\"a\"");
    expect_body("Content-Type: application/json\r\n", "no", "\"no\"");
    expect_body("Content-Type: application/json\r\n", "", "\"\"");
    expect_body("Content-Type: text/plain\r\n", "[1]", "\"[1]\"");
    expect_body(NULL, "{}", "\"{}\"");
}

static void an_answer_without_a_body_has_an_empty_one(void **state)
{
    (void)state;
    fake_http_script(server, &(struct fake_answer){.status = 204});
    call_well(GET);
    assert_string_equal(json_string_value(json_object_get(kept.output, "ResponseBody")), "");
    assert_int_equal(json_integer_value(json_object_get(kept.output, "StatusCode")), 204);
}

static void a_status_without_words_has_those_of_the_standard(void **state)
{
    (void)state;
    struct http_answer answer = {.status = 503, .reason = ""};
    assert_string_equal(http_invoke_reason(&answer), "Service Unavailable");
    answer.status = 299;
    assert_string_equal(http_invoke_reason(&answer), "");
}

static void an_answer_that_is_no_text_is_refused(void **state)
{
    (void)state;
    fake_http_script(server, &(struct fake_answer){.body = "\xff\xfe"});
    call_badly(GET, "States.Runtime", false, "no text in UTF-8 (its Content-Type is not said)");
    static const char *const types[] = {"application/octet-stream", "image/png", "Video/mp4",
                                        "audio/ogg"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char header[64];
        snprintf(header, sizeof header, "Content-Type: %s\r\n", types[i]);
        fake_http_script(server, &(struct fake_answer){.headers = header, .body = "x"});
        call_badly(GET, "States.Runtime", false, types[i]);
    }
}

/* ---- errors -------------------------------------------------------------------------------------
 */

static void any_other_status_is_an_error_of_its_number(void **state)
{
    static const int statuses[] = {302, 400, 404, 409, 429, 500, 503};
    (void)state;
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        char error[64], cause[64];
        snprintf(error, sizeof error, "States.Http.StatusCode.%d", statuses[i]);
        snprintf(cause, sizeof cause, "%d Scripted: not today", statuses[i]);
        fake_http_script(server, &(struct fake_answer){.status = statuses[i], .body = "not today"});
        call_badly(GET, error, true, cause);
    }
}

static void no_connection_and_no_answer_are_socket_errors(void **state)
{
    (void)state;
    uint16_t port;
    char text[128];
    int refusing = fake_http_refusing_socket(&port);
    snprintf(text, sizeof text, "{\"ApiEndpoint\": \"http://127.0.0.1:%u\", \"Method\": \"GET\"}",
             port);
    call_badly(text, "States.Http.Socket", true, "takes no connection");
    close(refusing);
    fake_http_script(server, &(struct fake_answer){.fault = FAKE_CLOSED_BEFORE});
    call_badly(GET, "States.Http.Socket", true, "was lost");
}

static void a_connection_that_went_stale_is_no_failure(void **state)
{
    (void)state;
    call_well(POST "}");
    fake_http_script(server, &(struct fake_answer){.fault = FAKE_CLOSED_BEFORE});
    call_well(POST "}");
    assert_string_equal(seen_header(1, "Idempotency-Key"), KEY);
    assert_string_equal(seen_header(2, "Idempotency-Key"), KEY);
}

static void an_endpoint_that_never_ends_fails_by_the_sections_time(void **state)
{
    (void)state;
    close_module();
    open_module("{\"timeout_seconds\": 1}");
    fake_http_script(server, &(struct fake_answer){.fault = FAKE_SILENT});
    kept.call.deadline_ms = clock_wall_ms() + 3600000;
    send_call(&kept, GET);
    until_answered(&kept);
    assert_string_equal(kept.error, "States.Http.Socket");
    assert_true(kept.retryable);
    expect_cause("after 1000 ms");
}

static void an_endpoint_that_never_ends_fails_by_the_steps_time(void **state)
{
    (void)state;
    fake_http_script(server, &(struct fake_answer){.fault = FAKE_SILENT});
    kept.call.deadline_ms = clock_wall_ms() + 300;
    send_call(&kept, GET);
    until_answered(&kept);
    assert_string_equal(kept.error, "States.Timeout");
    assert_true(kept.retryable);
}

static void a_call_that_never_had_its_turn_fails_by_the_steps_time(void **state)
{
    (void)state;
    enum { COUNT = HTTP_HOST_CONNECTIONS_MAX };
    static struct kept many[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        fake_http_script(server, &(struct fake_answer){.held = true});
        send_call(&many[i], GET);
    }
    kept.call.deadline_ms = clock_wall_ms() + 100;
    send_call(&kept, GET);
    until_answered(&kept);
    assert_string_equal(kept.error, "States.Timeout");
    fake_http_release(server, COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        until_answered(&many[i]);
        forget(&many[i]);
    }
}

static void a_call_whose_time_is_over_is_not_sent(void **state)
{
    (void)state;
    kept.call.deadline_ms = clock_wall_ms() - 1;
    send_call(&kept, GET);
    assert_int_equal(kept.answers, 1);
    assert_string_equal(kept.error, "States.Timeout");
    assert_int_equal(http_open_requests(http), 0);
}

static void an_answer_larger_than_a_payload_is_refused(void **state)
{
    (void)state;
    fake_http_script(server, &(struct fake_answer){.fault = FAKE_ENDLESS_BODY});
    call_badly(GET, "States.DataLimitExceeded", false, "larger");
    char *body = malloc(FLYOVER_PAYLOAD_BYTES_MAX + 1);
    assert_non_null(body);
    memset(body, 'x', FLYOVER_PAYLOAD_BYTES_MAX + 1);
    fake_http_script(
        server, &(struct fake_answer){.body = body, .body_bytes = FLYOVER_PAYLOAD_BYTES_MAX + 1});
    call_badly(GET, "States.DataLimitExceeded", false, "larger");
    fake_http_script(server,
                     &(struct fake_answer){.body = body, .body_bytes = FLYOVER_PAYLOAD_BYTES_MAX});
    call_well(GET);
    free(body);
}

/* ---- endpoints and connections ------------------------------------------------------------------
 */

static void open_filled(const char *section)
{
    json_t *config = parameters(section);
    char *filled = json_dumps(config, 0);
    close_module();
    open_module(filled);
    free(filled);
    json_decref(config);
}

static void only_what_is_below_the_endpoints_is_called(void **state)
{
    (void)state;
    open_filled("{\"endpoints\": [\"https://a.example\", \"$/a/b\", \"$/c/\"]}");
    call_well("{\"ApiEndpoint\": \"$/a/b\", \"Method\": \"GET\"}");
    call_well("{\"ApiEndpoint\": \"$/a/b/c\", \"Method\": \"GET\"}");
    call_well("{\"ApiEndpoint\": \"$/a/b?c\", \"Method\": \"GET\"}");
    call_well("{\"ApiEndpoint\": \"$/c/\", \"Method\": \"GET\"}");
    static const char *const others[] = {
        "{\"ApiEndpoint\": \"$/a/bc\", \"Method\": \"GET\"}",
        "{\"ApiEndpoint\": \"$/a\", \"Method\": \"GET\"}",
        "{\"ApiEndpoint\": \"https://a.example.com/\", \"Method\": \"GET\"}",
        "{\"ApiEndpoint\": \"https://a.example:1/\", \"Method\": \"GET\"}",
        "{\"ApiEndpoint\": \"http://a.example/\", \"Method\": \"GET\"}"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        call_badly(others[i], "States.Permissions", false, "below none of http.endpoints");
    call_badly("{\"ApiEndpoint\": \"https://b.example/path?key=s3cret\", \"Method\": \"GET\"}",
               "States.Permissions", false, "'https://b.example/path' is below none");
    assert_int_equal(fake_http_seen(server), 4);
}

static char secret_file[64];

static void write_secret(const char *text)
{
    strcpy(secret_file, "/tmp/test_http_invoke_XXXXXX");
    int fd = mkstemp(secret_file);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

#define WITH(name) ", \"Authentication\": {\"Connection\": \"" name "\"}}"

static void a_connection_adds_its_secret(void **state)
{
    (void)state;
    char section[512];
    setenv("TEST_HTTP_INVOKE_KEY", "Bearer s3cret", 1);
    write_secret("pass:word\n");
    snprintf(section, sizeof section,
             "{\"connections\": {\"shop\": {\"endpoint\": \"$\", \"header\": \"Authorization\", "
             "\"value_env\": \"TEST_HTTP_INVOKE_KEY\"}, \"bank\": {\"endpoint\": \"$/\", "
             "\"user\": \"us\", \"password_file\": \"%s\"}}}",
             secret_file);
    open_filled(section);
    unsetenv("TEST_HTTP_INVOKE_KEY");
    unlink(secret_file);
    call_well(POST WITH("shop"));
    assert_string_equal(seen_header(0, "Authorization"), "Bearer s3cret");
    call_well(POST WITH("bank"));
    assert_string_equal(seen_header(1, "Authorization"), "Basic dXM6cGFzczp3b3Jk");
    call_well(POST "}");
    assert_string_equal(seen_header(2, "Authorization"), "none");
}

static void a_secret_goes_to_no_other_endpoint(void **state)
{
    (void)state;
    setenv("TEST_HTTP_INVOKE_KEY", "s3cret", 1);
    open_filled("{\"connections\": {\"shop\": {\"endpoint\": \"$/shop\", \"header\": \"X-Key\", "
                "\"value_env\": \"TEST_HTTP_INVOKE_KEY\"}}}");
    call_badly(POST WITH("shop"), "States.Permissions", false, "'shop' is for what is below");
    assert_null(strstr(kept.cause, "s3cret"));
    call_badly(
        "{\"ApiEndpoint\": \"$/shop\", \"Method\": \"GET\", \"Headers\": {\"x-key\": \"1\"}" WITH(
            "shop"),
        "States.Runtime", false, "the connection sets it");
    assert_int_equal(fake_http_seen(server), 0);
}

static void a_section_that_is_wrong_is_told_where(void **state)
{
#define CONNECTION(fields) "{\"connections\": {\"c\": {\"endpoint\": \"http://a\", " fields "}}}"
    static const struct {
        const char *section, *part;
    } cases[] = {
        {"[]", "http: "},
        {"{\"timeout\": 1}", "http.timeout: there is no such field"},
        {"{\"timeout_seconds\": \"1\"}", "http.timeout_seconds: say a number"},
        {"{\"timeout_seconds\": 0}", "http.timeout_seconds: say a number"},
        {"{\"patience_seconds\": 3601}", "http.patience_seconds: say a number"},
        {"{\"ca_file\": \"/nowhere\"}", "http.ca_file: /nowhere cannot be read"},
        {"{\"ca_file\": 1}", "http.ca_file: say a text"},
        {"{\"endpoints\": []}", "http.endpoints: say a list"},
        {"{\"endpoints\": [\"http://a\", \"b\"]}", "http.endpoints[1]: say"},
        {"{\"connections\": []}", "http.connections: say a name"},
        {"{\"connections\": {\"c\": 1}}", "http.connections.c: say what"},
        {"{\"connections\": {\"c\": {\"header\": \"A\"}}}", "http.connections.c.endpoint: say"},
        {CONNECTION("\"colour\": 1"), "http.connections.c.colour: there is no such field"},
        {CONNECTION("\"value_env\": \"A\""), "http.connections.c: say header"},
        {CONNECTION("\"header\": \"A\", \"user\": \"B\""), "http.connections.c: say header"},
        {CONNECTION("\"header\": \"A\""), "http.connections.c: say value_env"},
        {CONNECTION("\"header\": \"A: B\", \"value_env\": \"PATH\""), "c.header: 'A: B'"},
        {CONNECTION("\"header\": \"A\", \"value_env\": \"NO_SUCH_1\""),
         "http.connections.c.value_env: the environment has no NO_SUCH_1"},
        {CONNECTION("\"header\": \"A\", \"value_file\": \"/nowhere\""),
         "http.connections.c.value_file: /nowhere cannot be read"},
        {CONNECTION("\"header\": \"A\", \"value_file\": \"/dev/null\""), "1 to 8192 bytes"},
        {CONNECTION("\"header\": \"A\", \"value_file\": \"/dev/zero\""), "1 to 8192 bytes"},
        {CONNECTION("\"user\": \"a:b\", \"password_env\": \"PATH\""), "c.user: a name without"},
        {CONNECTION("\"user\": \"a\", \"value_env\": \"PATH\""), "say password_env"},
    };
    (void)state;
    close_module();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct problem problem = {0};
        assert_int_equal(open_with(cases[i].section, &problem), STATUS_INVALID);
        if (strstr(problem.text, cases[i].part) == NULL)
            fail_msg("'%s' says nothing of '%s'", problem.text, cases[i].part);
    }
}

static void the_sections_authorities_are_trusted(void **state)
{
    (void)state;
    char folder[64], section[512], text[128];
    certificates_make_folder(folder);
    struct identity authority = certificates_make(folder, "ca", "authority", 100, NULL);
    struct identity identity = certificates_make(folder, "server", "127.0.0.1", 100, &authority);
    struct fake_http *secure = fake_http_open(&(struct fake_http_options){
        .certificate_file = identity.certificate_file, .key_file = identity.key_file});
    snprintf(text, sizeof text, "{\"ApiEndpoint\": \"%s\", \"Method\": \"GET\"}",
             fake_http_url(secure));
    call_badly(text, "States.Http.Socket", true, "is not trusted");
    snprintf(section, sizeof section, "{\"ca_file\": \"%s\"}", authority.certificate_file);
    close_module();
    open_module(section);
    call_well(text);
    fake_http_close(secure);
    certificates_free(&authority);
    certificates_free(&identity);
    certificates_remove(folder);
}

/* ---- a dead endpoint, and the end ---------------------------------------------------------------
 */

static void a_mute_endpoint_holds_back_only_itself(void **state)
{
    (void)state;
    enum { COUNT = HTTP_HOST_CONNECTIONS_MAX + 200 };
    static struct kept many[COUNT];
    struct fake_http *mute = fake_http_open(NULL);
    char text[128];
    close_module();
    open_module("{\"patience_seconds\": 0.05}");
    snprintf(text, sizeof text, "{\"ApiEndpoint\": \"%s\", \"Method\": \"POST\"}",
             fake_http_url(mute));
    for (uint32_t i = 0; i < HTTP_HOST_CONNECTIONS_MAX; i++)
        fake_http_script(mute, &(struct fake_answer){.held = true});
    for (uint32_t i = 0; i < COUNT; i++)
        send_call(&many[i], text);
    call_well(GET);
    for (uint32_t i = HTTP_HOST_CONNECTIONS_MAX; i < COUNT; i++) {
        until_answered(&many[i]);
        assert_string_equal(many[i].error, "States.Http.Socket");
        assert_true(many[i].retryable);
    }
    assert_int_equal(http_open_requests(http), HTTP_HOST_CONNECTIONS_MAX);
    fake_http_wait(mute, HTTP_HOST_CONNECTIONS_MAX);
    fake_http_release(mute, HTTP_HOST_CONNECTIONS_MAX);
    for (uint32_t i = 0; i < HTTP_HOST_CONNECTIONS_MAX; i++) {
        until_answered(&many[i]);
        assert_true(many[i].is_done);
    }
    for (uint32_t i = 0; i < COUNT; i++)
        forget(&many[i]);
    assert_int_equal(fake_http_seen(mute), HTTP_HOST_CONNECTIONS_MAX);
    fake_http_close(mute);
}

static void a_call_that_is_out_at_the_end_is_not_answered(void **state)
{
    (void)state;
    fake_http_script(server, &(struct fake_answer){.fault = FAKE_SILENT});
    send_call(&kept, GET);
    http_turn(http);
    close_module();
    http_close(http);
    assert_int_equal(kept.answers, 0);
    struct problem problem;
    assert_int_equal(http_open(&http, &problem), STATUS_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_call_is_sent_as_its_parameters_say),
        TEST(a_call_without_a_body_has_none),
        TEST(the_same_key_is_sent_again_and_again),
        TEST(a_key_of_the_definition_comes_before_the_engines),
        TEST(a_trace_is_passed_on),
        TEST(a_body_may_be_a_text_or_a_form),
        TEST(what_cannot_be_a_call_is_refused_and_not_sent),
        TEST(more_headers_than_there_is_room_for_are_refused),
        TEST(an_answer_is_its_headers_body_and_status),
        TEST(a_body_is_json_if_it_says_so_and_is),
        TEST(an_answer_without_a_body_has_an_empty_one),
        TEST(a_status_without_words_has_those_of_the_standard),
        TEST(an_answer_that_is_no_text_is_refused),
        TEST(any_other_status_is_an_error_of_its_number),
        TEST(no_connection_and_no_answer_are_socket_errors),
        TEST(a_connection_that_went_stale_is_no_failure),
        TEST(an_endpoint_that_never_ends_fails_by_the_sections_time),
        TEST(an_endpoint_that_never_ends_fails_by_the_steps_time),
        TEST(a_call_that_never_had_its_turn_fails_by_the_steps_time),
        TEST(a_call_whose_time_is_over_is_not_sent),
        TEST(an_answer_larger_than_a_payload_is_refused),
        TEST(only_what_is_below_the_endpoints_is_called),
        TEST(a_connection_adds_its_secret),
        TEST(a_secret_goes_to_no_other_endpoint),
        TEST(a_section_that_is_wrong_is_told_where),
        TEST(the_sections_authorities_are_trusted),
        TEST(a_mute_endpoint_holds_back_only_itself),
        TEST(a_call_that_is_out_at_the_end_is_not_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
