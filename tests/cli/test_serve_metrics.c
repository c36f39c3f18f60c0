/*
 * What `flyover serve` shows to those who watch it: /metrics, /healthz and /readyz of the real
 * program, the same figures by `{"do": "figures"}`, and a trace from its start to its worker and
 * its history.
 */
#include "tests/cli/serve_rig.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/client/flyover.h"
#include "tests/main/http.h"
#include "tests/main/prometheus.h"

#define PASS "{\"StartAt\":\"P\",\"States\":{\"P\":{\"Type\":\"Pass\",\"End\":true}}}"
#define FAR                                                                                        \
    "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Task\",\"Resource\":\"service:far.go\","     \
    "\"End\":true}}}"
#define TRACE       "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
#define LONG_MS     60000
#define SAGAS       1000u
#define NIL         "\xc0"
#define LARGE_BYTES 900000u
#define QUESTIONS   32u
/* {"do": "definition", "plan": 0} */
#define LARGE_QUESTION                                                                             \
    "\x82\xa2"                                                                                     \
    "do"                                                                                           \
    "\xaa"                                                                                         \
    "definition"                                                                                   \
    "\xa4"                                                                                         \
    "plan"                                                                                         \
    "\0"

static struct serve_rig rig, other;
static char scratch[PATH_MAX], data[PATH_MAX], pass_file[PATH_MAX], far_file[PATH_MAX];
static char metrics[128];

static int set_up(void **state)
{
    (void)state;
    cli_make_directory(scratch);
    cli_path(data, scratch, "data");
    cli_path(pass_file, scratch, "pass.asl.json");
    cli_path(far_file, scratch, "far.asl.json");
    cli_write(pass_file, PASS);
    cli_write(far_file, FAR);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    serve_kill(&rig);
    serve_kill(&other);
    cli_remove(scratch);
    return 0;
}

#define ARGS(...)                                                                                  \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }
#define ON_ANY_PORT "--data", data, "--listen", "127.0.0.1:0"
#define WATCHED     "--metrics-listen", "127.0.0.1:0"

/* Where the log says that it tells them. */
static void find_metrics(const struct serve_rig *serve)
{
    const char *line = strstr(serve->log, "event=metrics address=");
    assert_non_null(line);
    line += strlen("event=metrics address=");
    snprintf(metrics, sizeof metrics, "%.*s", (int)strcspn(line, " \n"), line);
}

static void start_serving(const char *const *arguments)
{
    serve_start(&rig, arguments);
    find_metrics(&rig);
}

/* A well-formed page; lent until the next one. */
static const char *get_page(void)
{
    static struct http_answer answer;
    http_free(&answer);
    answer = http_get(metrics, "/metrics", NULL, NULL);
    assert_int_equal(answer.code, 200);
    prometheus_check(answer.body);
    return answer.body;
}

/* Asks for pages until the sample has at least this value. An engine that is busy may not have told
 * its figures yet: then the page goes without them. */
static void await_value(const char *sample, double value)
{
    double seen = -1;
    for (uint32_t i = 0; i < 10000; i++) {
        const char *page = get_page();
        if (!prometheus_has(page, sample))
            continue;
        seen = prometheus_value(page, sample);
        if (seen >= value)
            return;
    }
    fail_msg("%s stays at %g", sample, seen);
}

static void expect(const char *path, int code, const char *word)
{
    struct http_answer answer = http_get(metrics, path, NULL, NULL);
    if (answer.code != code || strstr(answer.body, word) == NULL)
        fail_msg("%s: not %d and '%s', but: %s", path, code, word, answer.text);
    http_free(&answer);
}

static struct flyover_client *connect_to(const char *to)
{
    struct flyover_client *client;
    struct flyover_client_options options = {.address = to, .name = "test", .connect_ms = LONG_MS};
    if (flyover_connect(&options, &client) != FLYOVER_OK)
        fail_msg("%s", flyover_connect_problem());
    return client;
}

static void run_many(struct flyover_client *client, uint32_t count)
{
    const struct flyover_start start = {.definition = "pass", .input = NIL, .input_bytes = 1};
    struct flyover_answer_message answer;
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(flyover_send_start(client, &start, FLYOVER_AT_END, i), FLYOVER_OK);
    for (uint32_t i = 0; i < count; i++)
        if (!flyover_next(client, &answer, LONG_MS) || answer.kind != FLYOVER_ENDED)
            fail_msg("%s", flyover_problem(client));
}

/* ---- figures --------------------------------------------------------------------------------- */

static void counters_are_as_many_as_sagas_were_run(void **state)
{
    (void)state;
    start_serving(ARGS(ON_ANY_PORT, WATCHED, "--define", pass_file, "--define", far_file));
    assert_true(strstr(rig.log, "event=metrics") < strstr(rig.log, "event=recovered"));
    struct flyover_client *client = connect_to(rig.address);
    run_many(client, SAGAS);
    await_value("flyover_sagas_started_total", SAGAS);
    const char *page = get_page();
    assert_int_equal(prometheus_value(page, "flyover_sagas_total{outcome=\"succeeded\"}"), SAGAS);
    assert_int_equal(prometheus_value(page, "flyover_saga_duration_seconds_count"), SAGAS);
    assert_int_equal(prometheus_value(page, "flyover_connections{role=\"client\"}"), 1);
    assert_int_equal(prometheus_value(page, "flyover_ready"), 1);
    assert_true(prometheus_value(page, "flyover_messages_received_total") > SAGAS);
    assert_true(prometheus_value(page, "flyover_rocksdb_wal_bytes") > 0);
    assert_true(prometheus_value(page, "flyover_rocksdb_memtable_bytes") > 0);
    assert_true(prometheus_value(page, "flyover_process_resident_memory_bytes") > 1e6);
    assert_true(prometheus_value(
                    page, "flyover_thread_cpu_seconds_total{thread=\"engine\",index=\"0\"}") > 0);
    flyover_close(client);
    serve_stop(&rig);
}

static void workers_and_what_waits_for_them_are_told_by_service(void **state)
{
    (void)state;
    static const char *const handlers[] = {"go"};
    struct flyover_invocation invocation;
    start_serving(ARGS(ON_ANY_PORT, WATCHED, "--define", far_file));
    struct flyover_client *client = connect_to(rig.address);
    const struct flyover_start start = {.definition = "far", .input = NIL, .input_bytes = 1};
    uint64_t saga_id;
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(flyover_start(client, &start, &saga_id), FLYOVER_OK);
    await_value("flyover_service_waiting{service=\"far\"}", 5);
    struct flyover_client *worker = connect_to(rig.address);
    assert_int_equal(flyover_register(worker, "far", handlers, 1, 3), FLYOVER_OK);
    assert_true(flyover_next_invocation(worker, &invocation, LONG_MS));
    await_value("flyover_service_in_flight{service=\"far\"}", 3);
    const char *page = get_page();
    assert_int_equal(prometheus_value(page, "flyover_service_waiting{service=\"far\"}"), 2);
    assert_int_equal(prometheus_value(page, "flyover_service_workers{service=\"far\"}"), 1);
    assert_int_equal(prometheus_value(page, "flyover_service_credit{service=\"far\"}"), 0);
    assert_int_equal(prometheus_value(page, "flyover_connections{role=\"worker\"}"), 1);
    flyover_close(worker);
    await_value("flyover_service_waiting{service=\"far\"}", 5);
    flyover_close(client);
    serve_stop(&rig);
}

static void errors_are_counted_by_their_status(void **state)
{
    (void)state;
    start_serving(ARGS(ON_ANY_PORT, WATCHED));
    struct flyover_client *client = connect_to(rig.address);
    const struct flyover_start start = {.definition = "none", .input = NIL, .input_bytes = 1};
    uint64_t saga_id;
    assert_int_equal(flyover_start(client, &start, &saga_id), FLYOVER_NOT_FOUND);
    await_value("flyover_errors_total{status=\"not_found\"}", 1);
    flyover_close(client);
    serve_stop(&rig);
}

/* ---- stages ---------------------------------------------------------------------------------- */

/* A client that does not read what it asked for holds the end up. */
static void while_it_drains_it_is_healthy_and_not_ready(void **state)
{
    (void)state;
    char *text = malloc(LARGE_BYTES + sizeof PASS + 64);
    assert_non_null(text);
    size_t used = (size_t)sprintf(text, "{\"Comment\":\"");
    memset(text + used, 'x', LARGE_BYTES);
    sprintf(text + used + LARGE_BYTES, "\",%s", &PASS[1]);
    cli_write(pass_file, text);
    free(text);
    start_serving(ARGS(ON_ANY_PORT, WATCHED, "--define", pass_file, "--drain-seconds", "100"));
    expect("/readyz", 200, "serving");
    struct flyover_client *client = connect_to(rig.address);
    for (uint32_t i = 0; i < QUESTIONS; i++)
        assert_int_equal(flyover_send_ask(client, LARGE_QUESTION, sizeof LARGE_QUESTION - 1, i + 1),
                         FLYOVER_OK);
    assert_int_equal(flyover_flush(client), FLYOVER_OK);
    await_value("flyover_network_output_bytes", 4e6);
    kill(rig.pid, SIGTERM);
    serve_await(&rig, "event=stopping");
    /* It says so, and is at it a moment later. */
    struct http_answer answer = http_get(metrics, "/readyz", NULL, NULL);
    while (answer.code == 200) {
        http_free(&answer);
        answer = http_get(metrics, "/readyz", NULL, NULL);
    }
    assert_int_equal(answer.code, 503);
    if (strstr(answer.body, "draining") == NULL)
        fail_msg("%s\n%s", answer.body, rig.log);
    http_free(&answer);
    expect("/healthz", 200, "healthy");
    assert_int_equal(prometheus_value(get_page(), "flyover_ready"), 0);
    flyover_close(client);
    assert_int_equal(serve_wait(&rig), CLI_DONE);
    assert_int_equal(http_try_connect(metrics), -1);
}

/* ---- options --------------------------------------------------------------------------------- */

static void without_being_asked_it_tells_nothing(void **state)
{
    (void)state;
    serve_start(&rig, ARGS(ON_ANY_PORT));
    assert_null(strstr(rig.log, "event=metrics"));
    serve_stop(&rig);
}

static void where_others_can_reach_it_is_refused_unless_said(void **state)
{
    (void)state;
    serve_spawn(&rig, NULL, ARGS(ON_ANY_PORT, "--metrics-listen", "0.0.0.0:0"));
    assert_int_equal(serve_wait(&rig), CLI_USAGE);
    assert_non_null(strstr(rig.log, "others can reach 0.0.0.0:0"));
    assert_non_null(strstr(rig.log, "--insecure"));
    serve_start(&rig, ARGS(ON_ANY_PORT, "--metrics-listen", "0.0.0.0:0", "--insecure"));
    serve_stop(&rig);
}

static void an_address_that_is_none_or_taken_is_refused_by_name(void **state)
{
    (void)state;
    serve_spawn(&rig, NULL, ARGS(ON_ANY_PORT, "--metrics-listen", "127.0.0.1:x"));
    assert_int_equal(serve_wait(&rig), CLI_INPUT);
    assert_non_null(strstr(rig.log, "127.0.0.1:x"));
    start_serving(ARGS(ON_ANY_PORT, WATCHED));
    char second[PATH_MAX];
    cli_path(second, scratch, "second");
    serve_spawn(&other, NULL,
                ARGS("--data", second, "--listen", "127.0.0.1:0", "--metrics-listen", metrics));
    assert_int_equal(serve_wait(&other), CLI_FAILED);
    assert_non_null(strstr(other.log, metrics));
    serve_stop(&rig);
}

/* ---- traces ---------------------------------------------------------------------------------- */

static void expect_shows(const char *saga, const char *word)
{
    struct cli_result result = cli_run("saga", "show", saga, "--data", data, (char *)NULL);
    cli_expect(&result, CLI_DONE);
    if (strstr(result.out, word) == NULL)
        fail_msg("'%s' is not in:\n%s", word, result.out);
    cli_free(&result);
    json_t *shown =
        cli_expect_json(cli_run("saga", "show", saga, "--data", data, "--json", (char *)NULL));
    char *text = json_dumps(shown, 0);
    assert_non_null(strstr(text, word));
    free(text);
    json_decref(shown);
}

static void a_trace_goes_from_the_start_to_the_worker_and_into_the_history(void **state)
{
    (void)state;
    static const char *const handlers[] = {"go"};
    struct flyover_invocation invocation;
    struct flyover_answer_message end;
    uint64_t saga_id;
    serve_start(&rig, ARGS(ON_ANY_PORT, "--define", far_file));
    struct flyover_client *client = connect_to(rig.address);
    const struct flyover_start start = {
        .definition = "far", .input = NIL, .input_bytes = 1, .trace = TRACE};
    assert_int_equal(flyover_start(client, &start, &saga_id), FLYOVER_OK);
    expect_shows("1", TRACE);
    /* Also by an engine that has read its journal again. */
    flyover_close(client);
    serve_kill(&rig);
    serve_start(&rig, ARGS(ON_ANY_PORT));
    client = connect_to(rig.address);
    assert_int_equal(flyover_register(client, "far", handlers, 1, 1), FLYOVER_OK);
    assert_true(flyover_next_invocation(client, &invocation, LONG_MS));
    assert_string_equal(invocation.trace, TRACE);
    assert_int_equal(flyover_answer_done(client, invocation.id, NIL, 1), FLYOVER_OK);
    assert_int_equal(flyover_await(client, saga_id, &end, LONG_MS), FLYOVER_OK);
    expect_shows("1", TRACE);
    flyover_close(client);
    serve_stop(&rig);
    expect_shows("1", TRACE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(counters_are_as_many_as_sagas_were_run),
        TEST(workers_and_what_waits_for_them_are_told_by_service),
        TEST(errors_are_counted_by_their_status),
        TEST(while_it_drains_it_is_healthy_and_not_ready),
        TEST(without_being_asked_it_tells_nothing),
        TEST(where_others_can_reach_it_is_refused_unless_said),
        TEST(an_address_that_is_none_or_taken_is_refused_by_name),
        TEST(a_trace_goes_from_the_start_to_the_worker_and_into_the_history),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
