/*
 * Requests to a scripted server: what arrives, what comes back, how each kind of fault ends.
 */
#include "engine/edge/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/edge/fake_http.h"
#include "tests/edge/http_rig.h"

static struct fake_http *server;
static struct http *http;
static struct outcome outcome;

static int set_up(void **state)
{
    (void)state;
    struct problem problem = {0};
    unsetenv("AWS_CA_BUNDLE");
    server = fake_http_open(NULL);
    assert_int_equal(http_open(&http, &problem), STATUS_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    http_close(http);
    fake_http_close(server);
    http_rig_free(&outcome, 1);
    return 0;
}

static struct http_request to_server(void)
{
    return http_rig_request(fake_http_url(server), &outcome);
}

/* ---- what arrives, what comes back --------------------------------------------------------------
 */

static void a_request_arrives_as_it_was_sent(void **state)
{
    (void)state;
    char url[128];
    const char *headers[] = {"X-One: 1", "Content-Type: text/plain", "X-Empty:"};
    snprintf(url, sizeof url, "%s/a/b?c=d", fake_http_url(server));
    struct http_request request = to_server();
    request.url = url;
    request.method = "PUT";
    request.headers = headers;
    request.headers_count = 3;
    request.body = "a\0b";
    request.body_bytes = 3;
    http_rig_ask(http, &request, HTTP_ANSWERED);
    const struct fake_request *seen = fake_http_request(server, 0);
    assert_string_equal(seen->method, "PUT");
    assert_string_equal(seen->path, "/a/b?c=d");
    assert_string_equal(fake_http_header(seen, "X-One"), "1");
    assert_string_equal(fake_http_header(seen, "X-Empty"), "");
    assert_string_equal(fake_http_header(seen, "Content-Type"), "text/plain");
    assert_null(fake_http_header(seen, "Expect"));
    assert_int_equal(seen->body_bytes, 3);
    assert_memory_equal(seen->body, "a\0b", 3);
}

static void an_answer_comes_back_as_it_was_given(void **state)
{
    (void)state;
    fake_http_script(server, &(struct fake_answer){.status = 418,
                                                   .headers = "Content-Type:  text/tea \r\n",
                                                   .body = "short\0stout",
                                                   .body_bytes = 11});
    struct http_request request = to_server();
    http_rig_ask(http, &request, HTTP_ANSWERED);
    assert_int_equal(outcome.status, 418);
    assert_string_equal(outcome.reason, "Scripted");
    assert_string_equal(outcome.type, "text/tea");
    assert_int_equal(outcome.body_bytes, 11);
    assert_memory_equal(outcome.body, "short\0stout", 12);
    assert_string_equal(outcome.sentence, "");
}

static char all_headers[256];

static void keep_headers(void *context, const struct http_answer *answer)
{
    const char *name, *value;
    size_t count = 0;
    for (uint32_t i = 0; http_answer_header_at(answer, i, &name, &value); i++)
        count += (size_t)snprintf(all_headers + count, sizeof all_headers - count, "%s=%s;", name,
                                  value);
    assert_null(http_answer_header(answer, "None"));
    ((struct outcome *)context)->ends++;
}

static void headers_of_an_answer_come_in_order_and_repeated(void **state)
{
    (void)state;
    fake_http_script(
        server, &(struct fake_answer){.headers = "B: 2\r\na: 1\r\nB: 3\r\nEmpty:\r\n", .body = ""});
    struct http_request request = to_server();
    request.on_end = keep_headers;
    http_rig_send(http, &request);
    http_rig_until(http, &outcome, 1);
    assert_string_equal(all_headers, "Content-Length=0;B=2;a=1;B=3;Empty=;");
}

static void a_body_of_chunks_or_of_single_bytes_is_whole(void **state)
{
    (void)state;
    for (int slow = 0; slow < 2; slow++) {
        http_rig_free(&outcome, 1);
        fake_http_script(
            server, &(struct fake_answer){.body = "in pieces", .chunked = true, .slow = slow == 1});
        struct http_request request = to_server();
        http_rig_ask(http, &request, HTTP_ANSWERED);
        assert_string_equal(outcome.body, "in pieces");
    }
}

static void methods_without_a_body_have_none(void **state)
{
    static const char *const methods[] = {"GET", "HEAD", "DELETE", "OPTIONS", "POST", "PUT"};
    (void)state;
    for (uint32_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        http_rig_free(&outcome, 1);
        struct http_request request = to_server();
        request.method = methods[i];
        request.body = NULL;
        http_rig_ask(http, &request, HTTP_ANSWERED);
        const struct fake_request *seen = fake_http_request(server, i);
        const char *length = fake_http_header(seen, "Content-Length");
        assert_string_equal(seen->method, methods[i]);
        assert_string_equal(length == NULL ? "none" : length, methods[i][0] == 'P' ? "0" : "none");
        assert_null(fake_http_header(seen, "Content-Type"));
        assert_string_equal(outcome.body, i == 1 ? "" : "{}");
    }
}

static void a_get_may_have_a_body(void **state)
{
    (void)state;
    struct http_request request = to_server();
    request.method = "GET";
    http_rig_ask(http, &request, HTTP_ANSWERED);
    assert_string_equal(fake_http_request(server, 0)->method, "GET");
    assert_string_equal(fake_http_request(server, 0)->body, "{}");
}

static void a_large_body_arrives_whole(void **state)
{
    (void)state;
    size_t bytes = 3u << 20;
    char *body = malloc(bytes);
    assert_non_null(body);
    for (size_t i = 0; i < bytes; i++)
        body[i] = (char)(i * 31 >> 3);
    for (uint32_t repeatable = 0; repeatable < 2; repeatable++) {
        http_rig_free(&outcome, 1);
        struct http_request request = to_server();
        request.body = body;
        request.body_bytes = bytes;
        request.repeatable = repeatable == 1;
        http_rig_ask(http, &request, HTTP_ANSWERED);
        assert_null(fake_http_header(fake_http_request(server, repeatable), "Expect"));
        assert_int_equal(fake_http_request(server, repeatable)->body_bytes, bytes);
        assert_memory_equal(fake_http_request(server, repeatable)->body, body, bytes);
    }
    free(body);
}

static void a_redirect_is_not_followed(void **state)
{
    (void)state;
    fake_http_script(server, &(struct fake_answer){.status = 302, .headers = "Location: /b\r\n"});
    struct http_request request = to_server();
    http_rig_ask(http, &request, HTTP_ANSWERED);
    assert_int_equal(outcome.status, 302);
    assert_int_equal(fake_http_seen(server), 1);
}

/* ---- connections --------------------------------------------------------------------------------
 */

static void requests_one_after_the_other_share_a_connection(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        http_rig_free(&outcome, 1);
        struct http_request request = to_server();
        http_rig_ask(http, &request, HTTP_ANSWERED);
    }
    assert_int_equal(fake_http_connections(server), 1);
}

static void a_connection_that_was_closed_while_idle_is_not_used(void **state)
{
    (void)state;
    struct http_request request = to_server();
    http_rig_ask(http, &request, HTTP_ANSWERED);
    fake_http_hang_up(server);
    http_rig_free(&outcome, 1);
    http_rig_ask(http, &request, HTTP_ANSWERED);
    assert_int_equal(fake_http_seen(server), 2);
    assert_int_equal(fake_http_request(server, 1)->connection, 1);
}

/* The second request of a connection is read, and the connection closed without an answer. */
static void ask_and_be_hung_up_on(bool repeatable, const char *method, enum http_end end)
{
    struct http_request request = to_server();
    http_rig_ask(http, &request, HTTP_ANSWERED);
    http_rig_free(&outcome, 1);
    fake_http_script(server, &(struct fake_answer){.fault = FAKE_CLOSED_BEFORE});
    request.repeatable = repeatable;
    request.method = method;
    http_rig_ask(http, &request, end);
}

static void what_changes_something_is_not_sent_twice_on_a_connection_that_breaks(void **state)
{
    (void)state;
    ask_and_be_hung_up_on(false, "POST", HTTP_LOST);
    assert_non_null(strstr(outcome.sentence, "(it was closed when"));
    assert_int_equal(fake_http_seen(server), 2);
    fake_http_hang_up(server);
    http_rig_free(&outcome, 1);
    ask_and_be_hung_up_on(false, "DELETE", HTTP_LOST);
    assert_int_equal(fake_http_seen(server), 4);
}

static void what_is_repeatable_is_sent_again_on_a_new_connection(void **state)
{
    (void)state;
    ask_and_be_hung_up_on(true, "POST", HTTP_ANSWERED);
    assert_int_equal(fake_http_seen(server), 3);
    assert_string_equal(fake_http_request(server, 2)->body, "{}");
}

static void what_only_reads_is_sent_again_on_a_new_connection(void **state)
{
    (void)state;
    ask_and_be_hung_up_on(false, "GET", HTTP_ANSWERED);
    assert_int_equal(fake_http_seen(server), 3);
}

/* ---- faults -------------------------------------------------------------------------------------
 */

static void expect_sentence(const char *part)
{
    if (strstr(outcome.sentence, part) == NULL)
        fail_msg("'%s' says nothing of '%s'", outcome.sentence, part);
}

static void a_refused_connection_means_that_nothing_was_sent(void **state)
{
    (void)state;
    uint16_t port;
    char url[64];
    int refusing = fake_http_refusing_socket(&port);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/secret", port);
    struct http_request request = to_server();
    request.url = url;
    http_rig_ask(http, &request, HTTP_NOT_SENT);
    snprintf(url, sizeof url, "http://127.0.0.1:%u takes no connection", port);
    expect_sentence(url);
    assert_null(strstr(outcome.sentence, "secret"));
    close(refusing);
}

static void a_connection_that_breaks_means_that_it_may_have_been_done(void **state)
{
    static const enum fake_fault faults[] = {FAKE_CLOSED_BEFORE, FAKE_RESET_BEFORE,
                                             FAKE_CLOSED_IN_HEADERS, FAKE_CLOSED_IN_BODY};
    (void)state;
    for (uint32_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        http_rig_free(&outcome, 1);
        fake_http_script(server, &(struct fake_answer){.body = "half a body", .fault = faults[i]});
        struct http_request request = to_server();
        http_rig_ask(http, &request, HTTP_LOST);
        expect_sentence(fake_http_url(server));
        expect_sentence("may have been done");
    }
    assert_int_equal(fake_http_seen(server), 4);
}

static void an_answer_that_is_no_http_says_so(void **state)
{
    (void)state;
    fake_http_script(server, &(struct fake_answer){.fault = FAKE_NO_HTTP});
    struct http_request request = to_server();
    http_rig_ask(http, &request, HTTP_LOST);
    expect_sentence("no HTTP");
}

static void no_answer_in_time_means_that_it_may_have_been_done(void **state)
{
    (void)state;
    fake_http_script(server, &(struct fake_answer){.fault = FAKE_SILENT});
    struct http_request request = to_server();
    request.timeout_ms = 1000;
    http_rig_ask(http, &request, HTTP_TIMED_OUT);
    assert_int_equal(fake_http_seen(server), 1);
    expect_sentence("after 1000 ms");
}

static void an_answer_that_drips_on_ends_with_the_time(void **state)
{
    (void)state;
    char body[65536];
    memset(body, 'x', sizeof body);
    fake_http_script(server,
                     &(struct fake_answer){.body = body, .body_bytes = sizeof body, .slow = true});
    struct http_request request = to_server();
    request.timeout_ms = 1000;
    http_rig_ask(http, &request, HTTP_TIMED_OUT);
}

static void an_endless_answer_ends_at_its_limit(void **state)
{
    static const enum fake_fault faults[] = {FAKE_ENDLESS_BODY, FAKE_ENDLESS_HEADERS};
    (void)state;
    for (uint32_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        http_rig_free(&outcome, 1);
        fake_http_script(server, &(struct fake_answer){.fault = faults[i]});
        struct http_request request = to_server();
        http_rig_ask(http, &request, HTTP_TOO_LARGE);
        assert_true(outcome.body_bytes <= request.answer_bytes_max);
        assert_int_equal(outcome.status, 200);
        expect_sentence("larger");
    }
}

static void an_answer_as_large_as_its_limit_is_taken(void **state)
{
    (void)state;
    fake_http_script(server, &(struct fake_answer){.body = "12345"});
    fake_http_script(server, &(struct fake_answer){.body = "123456"});
    fake_http_script(server, &(struct fake_answer){.body = ""});
    struct http_request request = to_server();
    request.answer_bytes_max = 5;
    http_rig_ask(http, &request, HTTP_ANSWERED);
    http_rig_free(&outcome, 1);
    http_rig_ask(http, &request, HTTP_TOO_LARGE);
    http_rig_free(&outcome, 1);
    request.answer_bytes_max = 0;
    http_rig_ask(http, &request, HTTP_ANSWERED);
}

static void expect_refused(struct http_request request, const char *part)
{
    struct problem problem = {0};
    assert_int_equal(http_send(http, &request, &problem), STATUS_INVALID);
    if (strstr(problem.text, part) == NULL)
        fail_msg("'%s' says nothing of '%s'", problem.text, part);
}

static void what_is_said_of_no_url_has_no_secret(void **state)
{
    static const char *const urls[] = {"http://us:s3cret@a b/path?key=s3cret",
                                       "us:s3cret@/path?s3cret", "http://a b/path#s3cret"};
    (void)state;
    struct problem problem = {0};
    struct http_request request = to_server();
    for (uint32_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        request.url = urls[i];
        assert_int_equal(http_send(http, &request, &problem), STATUS_INVALID);
        assert_non_null(strstr(problem.text, "/path'"));
        assert_null(strstr(problem.text, "s3cret"));
    }
}

static void what_is_no_request_is_refused_at_once(void **state)
{
    static const char *const urls[] = {"ftp://127.0.0.1/", "127.0.0.1",   "",
                                       "http://",          "http://a b/", "file:///etc/passwd",
                                       "http://a:99999/"};
    (void)state;
    struct http_request request = to_server();
    for (uint32_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        request.url = urls[i];
        expect_refused(request, "is no URL");
    }
    request = to_server();
    request.method = "GET /";
    expect_refused(request, "no method");
    const char *headers[] = {"X-One: 1\r\nX-Two: 2"};
    request = to_server();
    request.headers = headers;
    request.headers_count = 1;
    expect_refused(request, "header 1");
    headers[0] = "secret";
    expect_refused(request, "header 1");
    assert_int_equal(http_open_requests(http), 0);
}

/* ---- waking, waiting, closing -------------------------------------------------------------------
 */

static void *wake(void *context)
{
    http_wake(context);
    return NULL;
}

static void a_wait_ends_by_a_wake_of_another_thread(void **state)
{
    (void)state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wake, http), 0);
    http_wait(http, NULL, 0, -1);
    pthread_join(thread, NULL);
}

static void a_wait_ends_by_a_socket_of_others(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct pollfd fds[] = {{.fd = ends[0], .events = POLLIN}, {.fd = ends[1], .events = POLLOUT}};
    http_wait(http, fds, 2, -1);
    assert_int_equal(fds[0].revents, 0);
    assert_int_equal(fds[1].revents, POLLOUT);
    assert_int_equal(write(ends[1], "x", 1), 1);
    http_wait(http, fds, 1, -1);
    assert_int_equal(fds[0].revents, POLLIN);
    close(ends[0]);
    close(ends[1]);
}

static void send_another(void *context, const struct http_answer *answer)
{
    struct http_request request = http_rig_request(fake_http_url(server), context);
    assert_int_equal(answer->end, HTTP_ANSWERED);
    http_rig_send(http, &request);
}

static void an_end_may_send_the_next(void **state)
{
    (void)state;
    struct http_request request = to_server();
    request.on_end = send_another;
    http_rig_send(http, &request);
    http_rig_until(http, &outcome, 1);
    assert_int_equal(fake_http_seen(server), 2);
    assert_int_equal(http_open_requests(http), 0);
}

static void a_flush_sends_without_a_turn(void **state)
{
    (void)state;
    struct outcome outcomes[2] = {0};
    struct http_request first = http_rig_request(fake_http_url(server), &outcomes[0]);
    http_rig_ask(http, &first, HTTP_ANSWERED); /* and keeps the connection */
    struct http_request second = http_rig_request(fake_http_url(server), &outcomes[1]);
    fake_http_script(server, &(struct fake_answer){.held = true});
    http_rig_send(http, &second);
    assert_false(http_flush(http));
    fake_http_wait(server, 2);
    fake_http_release(server, 1);
    http_rig_until(http, outcomes, 2);
    assert_int_equal(fake_http_connections(server), 1);
    http_rig_free(outcomes, 2);
}

static void a_flush_tells_that_one_has_ended(void **state)
{
    (void)state;
    struct outcome refused = {0};
    struct http_request request = http_rig_request("http://127.0.0.1:1/", &refused);
    request.timeout_ms = 1;
    http_rig_send(http, &request);
    while (!http_flush(http))
        assert_int_equal(refused.ends, 0);
    assert_int_equal(refused.ends, 1);
    http_rig_free(&refused, 1);
}

static void what_is_under_way_ends_with_a_close(void **state)
{
    (void)state;
    enum { COUNT = HTTP_HOST_CONNECTIONS_MAX + 3 };
    struct outcome outcomes[COUNT] = {0};
    for (uint32_t i = 0; i < COUNT; i++) {
        fake_http_script(server, &(struct fake_answer){.held = true});
        struct http_request request = http_rig_request(fake_http_url(server), &outcomes[i]);
        http_rig_send(http, &request);
    }
    http_turn(http);
    assert_int_equal(http_open_requests(http), COUNT);
    http_close(http);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_int_equal(outcomes[i].ends, 1);
        assert_int_equal(outcomes[i].end, HTTP_CANCELLED);
    }
    http_rig_free(outcomes, COUNT);
    struct problem problem;
    assert_int_equal(http_open(&http, &problem), STATUS_OK);
}

static void a_broken_pipe_is_no_signal_to_the_thread(void **state)
{
    (void)state;
    sigset_t set;
    http_turn(http);
    pthread_sigmask(SIG_BLOCK, NULL, &set);
    assert_true(sigismember(&set, SIGPIPE));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_arrives_as_it_was_sent),
        TEST(an_answer_comes_back_as_it_was_given),
        TEST(headers_of_an_answer_come_in_order_and_repeated),
        TEST(a_body_of_chunks_or_of_single_bytes_is_whole),
        TEST(methods_without_a_body_have_none),
        TEST(a_get_may_have_a_body),
        TEST(a_large_body_arrives_whole),
        TEST(a_redirect_is_not_followed),
        TEST(requests_one_after_the_other_share_a_connection),
        TEST(a_connection_that_was_closed_while_idle_is_not_used),
        TEST(what_changes_something_is_not_sent_twice_on_a_connection_that_breaks),
        TEST(what_is_repeatable_is_sent_again_on_a_new_connection),
        TEST(what_only_reads_is_sent_again_on_a_new_connection),
        TEST(a_refused_connection_means_that_nothing_was_sent),
        TEST(a_connection_that_breaks_means_that_it_may_have_been_done),
        TEST(an_answer_that_is_no_http_says_so),
        TEST(no_answer_in_time_means_that_it_may_have_been_done),
        TEST(an_answer_that_drips_on_ends_with_the_time),
        TEST(an_endless_answer_ends_at_its_limit),
        TEST(an_answer_as_large_as_its_limit_is_taken),
        TEST(what_is_said_of_no_url_has_no_secret),
        TEST(what_is_no_request_is_refused_at_once),
        TEST(a_wait_ends_by_a_wake_of_another_thread),
        TEST(a_wait_ends_by_a_socket_of_others),
        TEST(an_end_may_send_the_next),
        TEST(a_flush_sends_without_a_turn),
        TEST(a_flush_tells_that_one_has_ended),
        TEST(what_is_under_way_ends_with_a_close),
        TEST(a_broken_pipe_is_no_signal_to_the_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
