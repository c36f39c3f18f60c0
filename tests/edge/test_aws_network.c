/* The same over sockets: keys of an instance, servers that break, and SQS that no one here wrote.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/base/clock.h"
#include "engine/edge/aws.h"
#include "tests/edge/fake_http.h"
#include "tests/edge/rig.h"

struct result {
    uint32_t ends;
    bool ok, retryable;
    enum http_end end;
    char error[128], message[2048];
    json_t *json;
};

struct fixture {
    struct world world;
    struct http *http;
    struct aws *aws;
    struct fake_http *server;
    char metadata[256];
};

/* All that the test's machine has set up is not there. */
static const char *variable(void *context, const char *name)
{
    const struct fixture *fixture = context;
    if (strcmp(name, "AWS_EC2_METADATA_SERVICE_ENDPOINT") == 0)
        return fixture->metadata;
    return strcmp(name, "AWS_REGION") == 0 ? RIG_REGION : NULL;
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct problem problem;
    fixture->server = fake_http_open(NULL);
    fixture->world = world_of_machine();
    fixture->world.variable = variable;
    fixture->world.context = fixture;
    snprintf(fixture->metadata, sizeof fixture->metadata, "%s", fake_http_url(fixture->server));
    if (http_open(&fixture->http, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    aws_close(fixture->aws);
    http_close(fixture->http);
    fake_http_close(fixture->server);
    free(fixture);
    return 0;
}

static void open_aws(struct fixture *fixture, const char *endpoint_url)
{
    struct problem problem;
    json_t *config = json_pack("{ss}", "endpoint_url", endpoint_url);
    if (aws_open_in(&fixture->world, fixture->http, config, &fixture->aws, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    json_decref(config);
}

static void on_end(void *context, const struct aws_answer *answer)
{
    struct result *result = context;
    result->ends++;
    result->ok = answer->ok;
    result->retryable = answer->retryable;
    result->end = answer->http.end;
    snprintf(result->error, sizeof result->error, "%s", answer->error);
    snprintf(result->message, sizeof result->message, "%s", answer->message);
    json_decref(result->json);
    result->json = json_incref(answer->json);
}

static void send_sqs(struct fixture *fixture, const char *action, const char *body,
                     struct result *result)
{
    struct problem problem;
    char target[64];
    snprintf(target, sizeof target, "AmazonSQS.%s", action);
    struct aws_request request = {
        .service = "sqs",
        .target = target,
        .body = body,
        .body_bytes = strlen(body),
        .timeout_ms = 30000,
        .answer_bytes_max = 1 << 20,
        .on_end = on_end,
        .context = result,
    };
    if (aws_send(fixture->aws, &request, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
}

/* As the edge thread does it. Fails the test after a minute. */
static void turn_until(struct fixture *fixture, const struct result *results, uint32_t count)
{
    uint64_t start_ns = clock_now_ns();
    for (uint32_t ended = 0; ended < count;) {
        http_turn(fixture->http);
        int64_t wait_ms = aws_turn(fixture->aws);
        ended = 0;
        for (uint32_t i = 0; i < count; i++)
            ended += results[i].ends;
        if (ended < count)
            http_wait(fixture->http, NULL, 0, wait_ms < 0 || wait_ms > 1000 ? 1000 : wait_ms);
        assert_true(clock_now_ns() - start_ns < 60000000000u);
    }
}

static void give_keys(struct fake_http *server)
{
    fake_http_script(server, &(struct fake_answer){.body = "imds-token"});
    fake_http_script(server, &(struct fake_answer){.body = "shop-role"});
    fake_http_script(
        server, &(struct fake_answer){.body = "{\"AccessKeyId\":\"AKID\",\"SecretAccessKey\":\"S\","
                                              "\"Token\":\"T\","
                                              "\"Expiration\":\"2099-01-01T00:00:00Z\"}"});
}

static void keys_of_an_instance_sign_what_waited_for_them(void **state)
{
    struct fixture *fixture = *state;
    struct result results[2] = {0};
    give_keys(fixture->server);
    open_aws(fixture, fake_http_url(fixture->server));
    send_sqs(fixture, "ListQueues", "{}", &results[0]);
    send_sqs(fixture, "ListQueues", "{}", &results[1]);
    turn_until(fixture, results, 2);
    assert_true(results[0].ok && results[1].ok);
    assert_int_equal(fake_http_seen(fixture->server), 5);
    const struct fake_request *token = fake_http_request(fixture->server, 0);
    assert_string_equal(token->method, "PUT");
    assert_string_equal(token->path, "/latest/api/token");
    const struct fake_request *request = fake_http_request(fixture->server, 4);
    assert_string_equal(request->method, "POST");
    assert_non_null(strstr(fake_http_header(request, "authorization"), "Credential=AKID/"));
    assert_string_equal(fake_http_header(request, "x-amz-security-token"), "T");
    const char *url = fake_http_url(fixture->server);
    assert_string_equal(fake_http_header(request, "host"), url + strlen("http://"));
    json_decref(results[0].json);
    json_decref(results[1].json);
}

static void what_breaks_on_the_way_is_asked_again(void **state)
{
    struct fixture *fixture = *state;
    struct result result = {0};
    give_keys(fixture->server);
    open_aws(fixture, fake_http_url(fixture->server));
    fake_http_script(fixture->server, &(struct fake_answer){.fault = FAKE_RESET_BEFORE});
    fake_http_script(fixture->server, &(struct fake_answer){.status = 503, .body = "later"});
    fake_http_script(fixture->server, &(struct fake_answer){.body = "{\"a\":1}"});
    send_sqs(fixture, "ListQueues", "{}", &result);
    turn_until(fixture, &result, 1);
    assert_true(result.ok);
    assert_int_equal(json_integer_value(json_object_get(result.json, "a")), 1);
    assert_int_equal(fake_http_seen(fixture->server), 6);
    json_decref(result.json);
}

static void a_host_that_refuses_is_said_with_who_named_it(void **state)
{
    struct fixture *fixture = *state;
    struct result result = {0};
    uint16_t port;
    char url[64];
    int socket = fake_http_refusing_socket(&port);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", port);
    give_keys(fixture->server);
    open_aws(fixture, url);
    send_sqs(fixture, "ListQueues", "{}", &result);
    turn_until(fixture, &result, 1);
    assert_int_equal(result.end, HTTP_NOT_SENT);
    assert_true(result.retryable);
    assert_non_null(strstr(result.message, url));
    assert_non_null(strstr(result.message, "\"endpoint_url\""));
    close(socket);
}

static void keys_are_asked_for_without_the_proxy_that_requests_go_by(void **state)
{
    struct fixture *fixture = *state;
    struct result result = {0};
    uint16_t port;
    char url[64];
    int socket = fake_http_refusing_socket(&port);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", port);
    setenv("http_proxy", url, 1);
    give_keys(fixture->server);
    open_aws(fixture, fake_http_url(fixture->server));
    send_sqs(fixture, "ListQueues", "{}", &result);
    turn_until(fixture, &result, 1);
    unsetenv("http_proxy");
    close(socket);
    assert_int_equal(fake_http_seen(fixture->server), 3);
    assert_string_equal(fake_http_request(fixture->server, 0)->path, "/latest/api/token");
    assert_int_equal(result.end, HTTP_NOT_SENT);
}

/* ---- SQS of somebody else --------------------------------------------------------------------
 */

static void sqs_takes_and_gives_messages_through_faults(void **state)
{
    struct fixture *fixture = *state;
    struct rig_server sqs, proxy;
    if (rig_is_missing(RIG_FAUXQS))
        skip();
    give_keys(fixture->server);
    rig_start(RIG_FAUXQS, &sqs);
    rig_start_proxy(&sqs, &proxy);
    open_aws(fixture, proxy.url);
    struct result results[4] = {0};
    send_sqs(fixture, "CreateQueue", "{\"QueueName\": \"orders\"}", &results[0]);
    turn_until(fixture, results, 1);
    const char *queue = json_string_value(json_object_get(results[0].json, "QueueUrl"));
    assert_non_null(queue);
    json_decref(rig_tell(&proxy,
                         "{\"next\": [{\"fault\": \"reset_before\"}, {\"fault\": \"error\"},"
                         "{\"fault\": \"throttle\"}]}"));
    char body[512];
    snprintf(body, sizeof body, "{\"QueueUrl\": \"%s\", \"MessageBody\": \"hello\"}", queue);
    for (int i = 1; i < 4; i++)
        send_sqs(fixture, "SendMessage", body, &results[i]);
    turn_until(fixture, results, 4);
    for (int i = 1; i < 4; i++) {
        assert_true(results[i].ok);
        assert_non_null(json_string_value(json_object_get(results[i].json, "MessageId")));
        json_decref(results[i].json);
    }
    struct result missing = {0};
    send_sqs(fixture, "GetQueueUrl", "{\"QueueName\": \"nowhere\"}", &missing);
    turn_until(fixture, &missing, 1);
    assert_string_equal(missing.error, "QueueDoesNotExist");
    assert_false(missing.retryable);
    json_decref(missing.json);
    json_decref(results[0].json);
    rig_stop(&proxy);
    rig_stop(&sqs);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keys_of_an_instance_sign_what_waited_for_them),
        TEST(what_breaks_on_the_way_is_asked_again),
        TEST(a_host_that_refuses_is_said_with_who_named_it),
        TEST(keys_are_asked_for_without_the_proxy_that_requests_go_by),
        TEST(sqs_takes_and_gives_messages_through_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
