/*
 * metrics: what is told over HTTP of an engine, which is the test's own thread: a partition in
 * memory that steps when the test says so, and a clock that the test sets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/tally.h"
#include "engine/main/metrics.h"
#include "engine/main/metrics_text.h"
#include "tests/main/http.h"
#include "tests/main/prometheus.h"

#define SAGAS     257u
#define DRIPS_MAX 8000

static const char pass[] =
    "{\"StartAt\":\"P\",\"States\":{\"P\":{\"Type\":\"Pass\",\"End\":true}}}";
static const char sleep_long[] =
    "{\"StartAt\":\"W\",\"States\":{\"W\":{\"Type\":\"Wait\",\"Seconds\":9999,\"End\":true}}}";

static struct partition *partition;
static struct metrics *metrics;
static int wake_fd;
static _Atomic uint64_t clock_ns;
static _Atomic uint64_t recovered_blocks;

static uint64_t read_clock(void)
{
    return atomic_load(&clock_ns);
}

static void open_metrics(uint32_t idle_s, uint32_t life_ms)
{
    struct problem problem = {0};
    const struct metrics_options options = {
        .address = "127.0.0.1:0",
        .version = "1.2.3",
        .commit = "abc",
        .durability = "memory",
        .recovered_blocks = &recovered_blocks,
        .wake_fd = wake_fd,
        .idle_s = idle_s,
        .life_ms = life_ms,
        .now_ns = read_clock,
    };
    if (metrics_open(&options, &metrics, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
}

static int set_up(void **state)
{
    (void)state;
    struct problem problem = {0};
    const struct partition_options options = {.durability = DURABILITY_MEMORY, .threadless = true};
    if (partition_open(&options, &partition, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    atomic_store(&clock_ns, 1000000000u);
    atomic_store(&recovered_blocks, 0);
    wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    open_metrics(0, 0);
    metrics_set_stage(metrics, METRICS_SERVING);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    metrics_close(metrics);
    partition_free(partition);
    close(wake_fd);
    return 0;
}

/* ---- the engine ------------------------------------------------------------------------------ */

static void turn(void *context)
{
    (void)context;
    bool worked;
    struct problem problem;
    struct reply reply;
    assert_int_equal(partition_poll(partition, &worked, &problem), STATUS_OK);
    while (partition_next_reply(partition, &reply))
        ;
    metrics_turn(metrics, partition);
}

static uint32_t define(const char *name, const char *text)
{
    uint32_t plan;
    struct problem problem = {0};
    if (partition_define(partition, name, name, text, strlen(text), &plan, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    return plan;
}

static void start(uint32_t plan, uint32_t count)
{
    static const uint8_t nil[] = {0xc0};
    for (uint32_t i = 0; i < count; i++)
        while (partition_start(partition, plan, EVENT_NO_SOURCE,
                               (struct flyover_bytes){nil, sizeof nil}, 0) != STATUS_OK)
            turn(NULL);
    for (uint32_t i = 0; i < 100; i++)
        turn(NULL);
}

static struct http_answer get(const char *path)
{
    return http_get(metrics_address(metrics), path, turn, NULL);
}

/* The page, which has to be well-formed; owned. */
static char *get_page(void)
{
    struct http_answer answer = get("/metrics");
    assert_int_equal(answer.code, 200);
    prometheus_check(answer.body);
    char *page = strdup(answer.body);
    http_free(&answer);
    return page;
}

static void expect(const char *path, int code, const char *word)
{
    struct http_answer answer = http_get(metrics_address(metrics), path, NULL, NULL);
    if (answer.code != code || strstr(answer.body, word) == NULL)
        fail_msg("%s: not %d and '%s', but: %s", path, code, word, answer.text);
    http_free(&answer);
}

/* ---- what it says ---------------------------------------------------------------------------- */

static void every_line_is_what_the_format_wants(void **state)
{
    (void)state;
    struct http_answer answer = get("/metrics");
    assert_int_equal(answer.code, 200);
    assert_non_null(strstr(answer.text, "Content-Type: text/plain; version=0.0.4"));
    prometheus_check(answer.body);
    assert_int_equal(prometheus_value(answer.body, "flyover_build_info{version=\"1.2.3\",commit="
                                                   "\"abc\",durability=\"memory\"}"),
                     1);
    http_free(&answer);
}

static void figures_move_with_what_the_engine_does(void **state)
{
    (void)state;
    uint32_t plan = define("pass", pass);
    char *before = get_page();
    assert_int_equal(prometheus_value(before, "flyover_sagas_started_total"), 0);
    start(plan, SAGAS);
    atomic_fetch_add(&clock_ns, 1000000000u);
    char *after = get_page();
    assert_int_equal(prometheus_value(after, "flyover_sagas_started_total"), SAGAS);
    assert_int_equal(prometheus_value(after, "flyover_sagas_total{outcome=\"succeeded\"}"), SAGAS);
    assert_int_equal(prometheus_value(after, "flyover_saga_duration_seconds_count"), SAGAS);
    assert_true(prometheus_value(after, "flyover_journal_blocks_total") >
                prometheus_value(before, "flyover_journal_blocks_total"));
    assert_true(prometheus_value(after, "flyover_journal_block_size_bytes_count") ==
                prometheus_value(after, "flyover_journal_blocks_total"));
    assert_true(prometheus_value(after, "flyover_journal_sync_duration_seconds_count") ==
                prometheus_value(after, "flyover_journal_syncs_total"));
    assert_int_equal(prometheus_value(after, "flyover_journal_lag_blocks"), 0);
    free(before);
    free(after);
}

static void live_sagas_are_told_by_state(void **state)
{
    (void)state;
    start(define("sleep", sleep_long), 7);
    char *page = get_page();
    assert_int_equal(prometheus_value(page, "flyover_sagas_live{state=\"sleeping\"}"), 7);
    assert_int_equal(prometheus_value(page, "flyover_sagas_live{state=\"running\"}"), 0);
    assert_int_equal(prometheus_value(page, "flyover_saga_slots_used"), 7);
    assert_true(prometheus_value(page, "flyover_timers") >= 7);
    free(page);
}

static void an_engine_that_stands_still_is_told_by_its_last_figures_and_their_age(void **state)
{
    (void)state;
    start(define("sleep", sleep_long), 3);
    free(get_page());
    atomic_fetch_add(&clock_ns, 60000000000u);
    struct http_answer answer = http_get(metrics_address(metrics), "/metrics", NULL, NULL);
    assert_int_equal(answer.code, 200);
    prometheus_check(answer.body);
    assert_int_equal(prometheus_value(answer.body, "flyover_sagas_started_total"), 3);
    assert_int_equal(prometheus_value(answer.body, "flyover_figures_age_seconds"), 60);
    assert_int_equal(prometheus_value(answer.body, "flyover_heartbeat_age_seconds"), 60);
    http_free(&answer);
}

static void figures_that_are_fresh_are_not_taken_again(void **state)
{
    (void)state;
    uint32_t plan = define("sleep", sleep_long);
    free(get_page());
    start(plan, 1);
    char *page = get_page();
    assert_int_equal(prometheus_value(page, "flyover_sagas_started_total"), 0);
    free(page);
    atomic_fetch_add(&clock_ns, METRICS_FRESH_MS * UINT64_C(1000000));
    page = get_page();
    assert_int_equal(prometheus_value(page, "flyover_sagas_started_total"), 1);
    free(page);
}

static void it_answers_before_there_are_figures(void **state)
{
    (void)state;
    metrics_set_stage(metrics, METRICS_RECOVERING);
    atomic_store(&recovered_blocks, 4711);
    struct http_answer answer = http_get(metrics_address(metrics), "/metrics", NULL, NULL);
    assert_int_equal(answer.code, 200);
    prometheus_check(answer.body);
    assert_int_equal(prometheus_value(answer.body, "flyover_ready"), 0);
    assert_int_equal(prometheus_value(answer.body, "flyover_recovery_blocks"), 4711);
    assert_false(prometheus_has(answer.body, "flyover_sagas_started_total"));
    http_free(&answer);
}

static void whatever_stands_in_a_name_is_one_label(void **state)
{
    (void)state;
    static struct figures figures;
    size_t bytes;
    figures = (struct figures){.counts = {.threads_count = 1}};
    strcpy(figures.counts.threads[0].name, "a\"b\\c\nd");
    const struct metrics_page page = {
        .figures = &figures, .version = "1\"} 2\n", .commit = "", .durability = "sync"};
    char *text = metrics_text(&page, &bytes);
    assert_int_equal(strlen(text), bytes);
    prometheus_check(text);
    assert_true(prometheus_has(
        text, "flyover_thread_cpu_seconds_total{thread=\"a\\\"b\\\\c\\nd\",index=\"0\"}"));
    free(text);
}

static void values_outside_the_printed_buckets_are_counted(void **state)
{
    (void)state;
    static struct figures figures;
    size_t bytes;
    figures = (struct figures){0};
    figures.view.append_us.counts[0] = 2;             /* below the first that is printed */
    figures.view.append_us.counts[TALLY_BUCKETS] = 3; /* beyond the last */
    const struct metrics_page page = {
        .figures = &figures, .version = "", .commit = "", .durability = "sync"};
    char *text = metrics_text(&page, &bytes);
    prometheus_check(text);
    assert_false(
        prometheus_has(text, "flyover_journal_sync_duration_seconds_bucket{le=\"1e-06\"}"));
    assert_int_equal(
        prometheus_value(text, "flyover_journal_sync_duration_seconds_bucket{le=\"3.2e-05\"}"), 2);
    assert_int_equal(
        prometheus_value(text, "flyover_journal_sync_duration_seconds_bucket{le=\"+Inf\"}"), 5);
    assert_int_equal(prometheus_value(text, "flyover_journal_sync_duration_seconds_count"), 5);
    free(text);
}

/* ---- health ---------------------------------------------------------------------------------- */

static void it_is_healthy_while_the_engine_turns(void **state)
{
    (void)state;
    turn(NULL);
    atomic_fetch_add(&clock_ns, (METRICS_STALL_MS - 1) * UINT64_C(1000000));
    expect("/healthz", 200, "healthy");
    atomic_fetch_add(&clock_ns, 1000000);
    expect("/healthz", 503, "has not turned for 5000 ms");
    turn(NULL);
    expect("/healthz", 200, "healthy");
}

static void an_engine_that_reads_its_data_is_not_called_stalled(void **state)
{
    (void)state;
    metrics_set_stage(metrics, METRICS_RECOVERING);
    atomic_fetch_add(&clock_ns, 3600000000000u);
    expect("/healthz", 200, "healthy");
}

static void it_is_ready_while_it_serves_and_says_why_it_is_not(void **state)
{
    (void)state;
    expect("/readyz", 200, "serving");
    atomic_store(&recovered_blocks, 12);
    metrics_set_stage(metrics, METRICS_RECOVERING);
    expect("/readyz", 503, "recovering: the engine reads its data directory, 12 blocks so far");
    metrics_set_stage(metrics, METRICS_DRAINING);
    expect("/readyz", 503, "draining");
    metrics_set_stage(metrics, METRICS_STOPPING);
    expect("/readyz", 503, "stopping");
}

/* ---- who asks -------------------------------------------------------------------------------- */

static struct http_answer ask(const char *request)
{
    int made = http_connect(metrics_address(metrics));
    http_send(made, request);
    shutdown(made, SHUT_WR);
    return http_read(made, NULL, NULL);
}

static void what_is_not_there_is_refused(void **state)
{
    (void)state;
    expect("/", 404, "/metrics, /healthz and /readyz");
    expect("/metrics/../../etc/passwd", 404, "/metrics");
    struct http_answer answer =
        ask("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    assert_int_equal(answer.code, 405);
    assert_non_null(strstr(answer.text, "Allow: GET, HEAD"));
    http_free(&answer);
    answer = ask("HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(answer.code, 200);
    assert_string_equal(answer.body, "");
    http_free(&answer);
}

static void garbage_is_cut_or_refused_and_the_next_one_answered(void **state)
{
    (void)state;
    static char long_line[65536];
    metrics_close(metrics);
    open_metrics(1, 0);
    metrics_set_stage(metrics, METRICS_SERVING);
    memset(long_line, 'A', sizeof long_line - 1);
    static const char *const garbage[] = {
        "\r\n\r\n\r\n",
        "garbage\r\n\r\n",
        "GET\r\n\r\n",
        "GET /metrics HTTP/9.9\r\n\r\n",
        "GET /metrics HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "GET /%00%ff%zz HTTP/1.1\r\nHost: x\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        struct http_answer answer = ask(garbage[i]);
        assert_true(answer.code == 0 || answer.code >= 200);
        http_free(&answer);
    }
    int made = http_connect(metrics_address(metrics));
    send(made, long_line, sizeof long_line - 1, MSG_NOSIGNAL);
    shutdown(made, SHUT_WR);
    struct http_answer answer = http_read(made, NULL, NULL);
    assert_true(answer.code == 0 || answer.code >= 400);
    http_free(&answer);
    expect("/healthz", 200, "healthy");
}

/* Until the other side has cut it, sending a byte whenever it can: many fewer than a request may
 * have, so that it is not for their number. */
static void drip_until_cut(int socket)
{
    struct pollfd polled = {.fd = socket, .events = POLLIN};
    for (int i = 0; i < DRIPS_MAX; i++) {
        char byte;
        if (poll(&polled, 1, 1) == 1 && recv(socket, &byte, 1, 0) <= 0)
            return;
        send(socket, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    fail_msg("who sends a byte at a time is never cut");
}

static void who_sends_slowly_is_cut(void **state)
{
    (void)state;
    metrics_close(metrics);
    open_metrics(0, 50);
    metrics_set_stage(metrics, METRICS_SERVING);
    int made = http_connect(metrics_address(metrics));
    http_send(made, "GET /metrics HTTP/1.1\r\nX: ");
    drip_until_cut(made);
    close(made);
    expect("/healthz", 200, "healthy");
}

static void more_of_those_who_say_nothing_than_there_is_room_for_keep_nobody_out(void **state)
{
    (void)state;
    int made[2 * METRICS_CONNECTIONS_MAX];
    metrics_close(metrics);
    open_metrics(1, 0);
    metrics_set_stage(metrics, METRICS_SERVING);
    for (uint32_t i = 0; i < 2 * METRICS_CONNECTIONS_MAX; i++)
        made[i] = http_connect(metrics_address(metrics));
    expect("/healthz", 200, "healthy");
    for (uint32_t i = 0; i < 2 * METRICS_CONNECTIONS_MAX; i++)
        close(made[i]);
}

/* ---- tally ----------------------------------------------------------------------------------- */

static void each_value_is_in_the_first_bucket_that_holds_it(void **state)
{
    (void)state;
    for (uint32_t i = 0; i + 1 < TALLY_BUCKETS; i++) {
        assert_true(tally_limit(i) < tally_limit(i + 1));
        assert_int_equal(tally_bucket(tally_limit(i)), i);
        assert_int_equal(tally_bucket(tally_limit(i) + 1), i + 1);
    }
    assert_int_equal(tally_bucket(0), 0);
    assert_int_equal(tally_limit(TALLY_BUCKETS - 1), 1u << 24);
    assert_int_equal(tally_bucket((1u << 24) + 1), TALLY_BUCKETS);
    assert_int_equal(tally_bucket(UINT64_MAX), TALLY_BUCKETS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_line_is_what_the_format_wants),
        TEST(figures_move_with_what_the_engine_does),
        TEST(live_sagas_are_told_by_state),
        TEST(an_engine_that_stands_still_is_told_by_its_last_figures_and_their_age),
        TEST(figures_that_are_fresh_are_not_taken_again),
        TEST(it_answers_before_there_are_figures),
        TEST(whatever_stands_in_a_name_is_one_label),
        TEST(values_outside_the_printed_buckets_are_counted),
        TEST(it_is_healthy_while_the_engine_turns),
        TEST(an_engine_that_reads_its_data_is_not_called_stalled),
        TEST(it_is_ready_while_it_serves_and_says_why_it_is_not),
        TEST(what_is_not_there_is_refused),
        TEST(garbage_is_cut_or_refused_and_the_next_one_answered),
        TEST(who_sends_slowly_is_cut),
        TEST(more_of_those_who_say_nothing_than_there_is_room_for_keep_nobody_out),
        cmocka_unit_test(each_value_is_in_the_first_bucket_that_holds_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
