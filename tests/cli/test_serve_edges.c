/*
 * `flyover serve --edges`: steps that are functions of an AWS which is the test's own, through the
 * end and the death of the engine.
 */
#include "tests/cli/serve_fixture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/edge/fake_http.h"
#include "tests/main/http.h"
#include "tests/main/prometheus.h"

#define FUNCTION "arn:aws:lambda:eu-central-1:123456789012:function:pay"
#define PAY                                                                                        \
    "{\"StartAt\":\"P\",\"States\":{\"P\":{\"Type\":\"Task\",\"Resource\":\"" FUNCTION             \
    "\",\"End\":true}}}"
#define KEY_HEADER "X-Amz-Client-Context"

static struct fake_http *aws;
static char edges_file[PATH_MAX], pay_file[PATH_MAX];

static void write_edges(const char *sections)
{
    char text[512];
    snprintf(text, sizeof text, "aws: {region: eu-central-1, endpoint_url: \"%s\"}\n%s",
             fake_http_url(aws), sections);
    cli_write(edges_file, text);
}

static int set_up(void **state)
{
    setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    if (serve_set_up(state) != 0)
        return 1;
    aws = fake_http_open(NULL);
    cli_path(edges_file, serve_scratch, "edges.yaml");
    cli_path(pay_file, serve_scratch, "pay.asl.json");
    cli_write(pay_file, PAY);
    write_edges("lambda: {}\n");
    return 0;
}

static int tear_down(void **state)
{
    int failed = serve_tear_down(state);
    fake_http_close(aws);
    return failed;
}

#define EDGES_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define WITH_EDGES       SERVE_ON_ANY_PORT, "--define", pay_file, "--edges", edges_file

/* ---- there and back -------------------------------------------------------------------------- */

static char *find_metrics(void)
{
    static char address[128];
    const char *line = strstr(serve_it.log, "event=metrics address=");
    assert_non_null(line);
    line += strlen("event=metrics address=");
    snprintf(address, sizeof address, "%.*s", (int)strcspn(line, " \n"), line);
    return address;
}

static void a_step_is_a_function_of_aws(void **state)
{
    (void)state;
    fake_http_script(aws, &(struct fake_answer){.body = "{\"paid\": 7}"});
    serve_start(&serve_it, SERVE_ARGS(WITH_EDGES, "--metrics-listen", "127.0.0.1:0"));
    serve_expect_text(serve_await(&serve_it, "event=edges"), "services=aws-lambda");
    struct flyover_client *client = serve_connect(serve_it.address);
    struct flyover_start start = serve_start_of("pay");
    struct flyover_answer_message end;
    assert_int_equal(flyover_run(client, &start, &end, SERVE_LONG_MS), FLYOVER_OK);
    assert_string_equal(end.outcome, "SUCCEEDED");
    assert_int_equal(end.output_bytes, 7);
    assert_memory_equal(end.output, "\x81\xa4paid\x07", 7);
    struct http_answer page = http_get(find_metrics(), "/metrics", NULL, NULL);
    prometheus_check(page.body);
    assert_int_equal(prometheus_value(page.body, "flyover_edge_calls_total{service=\"aws-lambda\","
                                                 "handler=\"function\"}"),
                     1);
    assert_int_equal(prometheus_value(page.body, "flyover_service_workers{service=\"aws-lambda\"}"),
                     1);
    http_free(&page);
    flyover_close(client);
    serve_stop(&serve_it);
}

/* ---- the end --------------------------------------------------------------------------------- */

/* A saga whose function was asked, and does not answer before it is released. */
static void start_and_hold(const char *const *arguments)
{
    fake_http_script(aws, &(struct fake_answer){.body = "{\"paid\": 7}", .held = true});
    serve_start(&serve_it, arguments);
    struct flyover_client *client = serve_connect(serve_it.address);
    struct flyover_start start = serve_start_of("pay");
    uint64_t saga_id;
    assert_int_equal(flyover_start(client, &start, &saga_id), FLYOVER_OK);
    fake_http_wait(aws, 1);
    flyover_close(client);
}

static void assert_ends(const char *outcome)
{
    struct flyover_client *client = serve_connect(serve_it.address);
    struct flyover_answer_message end;
    assert_int_equal(flyover_await(client, 1, &end, SERVE_LONG_MS), FLYOVER_OK);
    assert_string_equal(end.outcome, outcome);
    flyover_close(client);
}

static void an_engine_that_is_killed_asks_again_with_the_same_key(void **state)
{
    (void)state;
    char first[512];
    start_and_hold(SERVE_ARGS(WITH_EDGES));
    serve_kill(&serve_it);
    const char *key = fake_http_header(fake_http_request(aws, 0), KEY_HEADER);
    assert_non_null(key);
    snprintf(first, sizeof first, "%s", key);
    serve_start(&serve_it, SERVE_ARGS(WITH_EDGES));
    fake_http_wait(aws, 2);
    assert_string_equal(fake_http_header(fake_http_request(aws, 1), KEY_HEADER), first);
    assert_ends("SUCCEEDED");
    serve_stop(&serve_it);
    assert_int_equal(fake_http_seen(aws), 2);
}

static void an_engine_that_stops_waits_for_the_answer(void **state)
{
    (void)state;
    start_and_hold(SERVE_ARGS(WITH_EDGES, "--drain-seconds", "60"));
    kill(serve_it.pid, SIGTERM);
    serve_await(&serve_it, "event=stopping");
    fake_http_release(aws, 1);
    assert_int_equal(serve_wait(&serve_it), CLI_DONE);
    assert_null(strstr(serve_it.log, "event=not_drained"));
    serve_start(&serve_it, SERVE_ARGS(WITH_EDGES));
    assert_ends("SUCCEEDED");
    serve_stop(&serve_it);
    assert_int_equal(fake_http_seen(aws), 1);
}

static void an_engine_that_waits_no_longer_says_what_was_out(void **state)
{
    (void)state;
    start_and_hold(SERVE_ARGS(WITH_EDGES, "--drain-seconds", "0"));
    kill(serve_it.pid, SIGTERM);
    assert_int_equal(serve_wait(&serve_it), CLI_DONE);
    serve_expect_text(serve_it.log,
                      "edge_calls=1 edge_messages=0 text=\"what was accepted goes on");
    serve_start(&serve_it, SERVE_ARGS(WITH_EDGES));
    assert_ends("SUCCEEDED");
    serve_stop(&serve_it);
    assert_int_equal(fake_http_seen(aws), 2);
}

/* ---- wrong files ----------------------------------------------------------------------------- */

static void expect_refused(const char *text, int exit_code, const char *sentence)
{
    cli_write(edges_file, text);
    serve_expect_says(cli_run("serve", "--data", serve_data, "--listen", "127.0.0.1:0", "--edges",
                              edges_file, NULL),
                      exit_code, sentence);
}

static void a_file_that_is_wrong_is_refused_by_its_line_or_field(void **state)
{
    (void)state;
    expect_refused("lambda: {}\nlambda: {}\n", CLI_INPUT,
                   "edges.yaml:2: lambda is there twice, first in line 1");
    expect_refused("lamda: {}\n", CLI_INPUT,
                   "edges.yaml: lamda: there is no such section; did you mean \"lambda\"?");
    expect_refused("aws: {regoin: a}\n", CLI_INPUT, "edges.yaml: aws.regoin: ");
    expect_refused("aws: {}\nlambda: {timeout: 1}\n", CLI_INPUT, "edges.yaml: lambda.timeout");
    serve_expect_says(cli_run("serve", "--data", serve_data, "--listen", "127.0.0.1:0", "--edges",
                              "/tmp/no/such/file", NULL),
                      CLI_INPUT, "/tmp/no/such/file: there is no such file");
}

static void an_edge_id_that_is_damaged_is_refused(void **state)
{
    (void)state;
    char path[PATH_MAX];
    serve_start(&serve_it, SERVE_ARGS(WITH_EDGES));
    serve_stop(&serve_it);
    cli_path(path, serve_data, "edge-id");
    cli_write(path, "0123");
    expect_refused("aws: {region: a}\nlambda: {}\n", CLI_FAILED, "edge-id is damaged: ");
}

static void settings_of_edges_are_shown_where_they_came_from(void **state)
{
    (void)state;
    struct cli_result result =
        cli_run("serve", "--print-config", "--edges", "e.yaml", "--edges-in-flight", "7", NULL);
    assert_int_equal(result.exit_code, CLI_DONE);
    serve_expect_text(result.out, "edges:\n  file: e.yaml  # --edges\n"
                                  "  in-flight: 7  # --edges-in-flight\n"
                                  "  messages: 1024  # default\n");
    cli_free(&result);
    serve_expect_says(cli_run("serve", "--edges-in-flight", "0", NULL), CLI_USAGE,
                      "--edges-in-flight");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EDGES_TEST(a_step_is_a_function_of_aws),
        EDGES_TEST(an_engine_that_is_killed_asks_again_with_the_same_key),
        EDGES_TEST(an_engine_that_stops_waits_for_the_answer),
        EDGES_TEST(an_engine_that_waits_no_longer_says_what_was_out),
        EDGES_TEST(a_file_that_is_wrong_is_refused_by_its_line_or_field),
        EDGES_TEST(an_edge_id_that_is_damaged_is_refused),
        EDGES_TEST(settings_of_edges_are_shown_where_they_came_from),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
