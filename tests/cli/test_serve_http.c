/*
 * HTTP Tasks of definitions, by the program itself and against a scripted server: Retry and Catch
 * as they are written for Step Functions, and the same key whatever happens to the engine.
 */
#include "tests/cli/serve_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/edge/fake_http.h"

static struct fake_http *server;
static char edges_file[PATH_MAX], definition_file[PATH_MAX];

static int set_up(void **state)
{
    serve_set_up(state);
    server = fake_http_open(NULL);
    cli_path(edges_file, serve_scratch, "edges.yaml");
    cli_path(definition_file, serve_scratch, "pay.asl.json");
    return 0;
}

static int tear_down(void **state)
{
    serve_tear_down(state);
    fake_http_close(server);
    return 0;
}

/* `more` are further fields of the one step, which asks /pay. */
static void write_files(const char *section, const char *more)
{
    char text[4096];
    snprintf(text, sizeof text, "http: %s\n", section);
    cli_write(edges_file, text);
    snprintf(text, sizeof text,
             "{\"StartAt\": \"Pay\", \"States\": {\"Pay\": {\"Type\": \"Task\", \"Resource\": "
             "\"arn:aws:states:::http:invoke\", \"Parameters\": {\"ApiEndpoint\": \"%s/pay\", "
             "\"Method\": \"POST\", \"RequestBody\": {\"amount.$\": \"$.amount\"}}, %s "
             "\"Next\": \"Done\"}, \"Done\": {\"Type\": \"Succeed\"}}}",
             fake_http_url(server), more);
    cli_write(definition_file, text);
}

static void start_engine(void)
{
    serve_start(&serve_it,
                SERVE_ARGS(SERVE_ON_ANY_PORT, "--define", definition_file, "--edges", edges_file));
}

static void start_saga(void)
{
    cli_expect_done(cli_run("start", "--connect", serve_it.address, "pay", "--input",
                            "{\"amount\": 12}", (char *)NULL));
}

/* Waits for the end of saga 1, and expects both in its history. */
static void expect_history(const char *first, const char *second)
{
    cli_expect_done(cli_run("saga", "wait", "1", "--connect", serve_it.address, "--timeout", "60",
                            (char *)NULL));
    struct cli_result history =
        cli_run("saga", "history", "1", "--connect", serve_it.address, (char *)NULL);
    cli_expect(&history, CLI_DONE);
    serve_expect_text(history.out, first);
    serve_expect_text(history.out, second);
    cli_free(&history);
}

static void expect_same_request(uint32_t index)
{
    char key[256];
    const struct fake_request *first = fake_http_request(server, 0);
    const struct fake_request *again = fake_http_request(server, index);
    snprintf(key, sizeof key, "%s", fake_http_header(first, "Idempotency-Key"));
    assert_string_equal(fake_http_header(again, "Idempotency-Key"), key);
    assert_string_equal(again->path, "/pay");
    assert_string_equal(again->body, "{\"amount\":12}");
}

static void a_retry_by_its_status_asks_again_with_the_same_key(void **state)
{
    (void)state;
    write_files("{}", "\"Retry\": [{\"ErrorEquals\": [\"States.Http.StatusCode.503\"], "
                      "\"IntervalSeconds\": 1, \"MaxAttempts\": 1}],");
    fake_http_script(server, &(struct fake_answer){.status = 503, .body = "busy"});
    start_engine();
    start_saga();
    expect_history("States.Http.StatusCode.503", "\"outcome\": \"SUCCEEDED\"");
    assert_int_equal(fake_http_seen(server), 2);
    expect_same_request(1);
    serve_stop(&serve_it);
}

static void what_may_not_be_called_is_caught_and_not_sent(void **state)
{
    (void)state;
    write_files("{endpoints: [\"https://pay.example/\"]}",
                "\"Catch\": [{\"ErrorEquals\": [\"States.ALL\"], \"Next\": \"Done\"}],");
    start_engine();
    start_saga();
    expect_history("States.Permissions", "\"outcome\": \"SUCCEEDED\"");
    assert_int_equal(fake_http_seen(server), 0);
    serve_stop(&serve_it);
}

static void a_call_that_was_out_at_a_kill_nine_is_sent_again_with_the_same_key(void **state)
{
    (void)state;
    write_files("{}", "");
    fake_http_script(server, &(struct fake_answer){.fault = FAKE_SILENT});
    start_engine();
    start_saga();
    fake_http_wait(server, 1);
    serve_kill(&serve_it);
    start_engine();
    expect_history("\"StatusCode\": 200", "\"outcome\": \"SUCCEEDED\"");
    assert_int_equal(fake_http_seen(server), 2);
    expect_same_request(1);
    serve_stop(&serve_it);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_retry_by_its_status_asks_again_with_the_same_key),
        TEST(what_may_not_be_called_is_caught_and_not_sent),
        TEST(a_call_that_was_out_at_a_kill_nine_is_sent_again_with_the_same_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
