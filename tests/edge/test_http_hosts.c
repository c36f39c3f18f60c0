/*
 * Many requests at once: those of a host that is slow, dead or nowhere hold back no others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/edge/fake_http.h"
#include "tests/edge/http_rig.h"

#define FULL HTTP_HOST_CONNECTIONS_MAX

static struct fake_http *slow, *other;
static struct http *http;
static struct outcome outcomes[HTTP_REQUESTS_MAX];

static int set_up(void **state)
{
    (void)state;
    struct problem problem = {0};
    unsetenv("AWS_CA_BUNDLE");
    slow = fake_http_open(NULL);
    other = fake_http_open(NULL);
    assert_int_equal(http_open(&http, &problem), STATUS_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    http_close(http);
    fake_http_close(slow);
    fake_http_close(other);
    http_rig_free(outcomes, HTTP_REQUESTS_MAX);
    return 0;
}

static struct http_request request_of(uint32_t index)
{
    return http_rig_request(fake_http_url(slow), &outcomes[index]);
}

static void script(uint32_t count, const struct fake_answer *answer)
{
    for (uint32_t i = 0; i < count; i++)
        fake_http_script(slow, answer);
}

static void send_many(uint32_t from, uint32_t count)
{
    for (uint32_t i = from; i < from + count; i++) {
        struct http_request request = request_of(i);
        http_rig_send(http, &request);
    }
}

/* Turns until the slow server has seen so many. */
static void turn_until_seen(uint32_t count)
{
    while (fake_http_seen(slow) < count) {
        http_turn(http);
        http_wait(http, NULL, 0, 10);
    }
}

static void ask_other(uint32_t index)
{
    struct http_request request = http_rig_request(fake_http_url(other), &outcomes[index]);
    http_rig_ask(http, &request, HTTP_ANSWERED);
}

/* ---- names --------------------------------------------------------------------------------------
 */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static uint32_t lookups_held;
static bool is_let_go;

static void hold_lookup(void)
{
    pthread_mutex_lock(&lock);
    lookups_held++;
    pthread_cond_broadcast(&changed);
    while (!is_let_go)
        pthread_cond_wait(&changed, &lock);
    lookups_held--;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

/* Instead of the C library's, for libcurl too. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret)
{
    typedef int lookup(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    if (node != NULL && strcmp(node, "nowhere.example") == 0)
        return EAI_NONAME;
    if (node != NULL && strcmp(node, "slow.example") == 0) {
        hold_lookup();
        return EAI_NONAME;
    }
    lookup *real;
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    return real(node, service, hints, ret);
}

static void a_name_that_is_nowhere_is_named(void **state)
{
    (void)state;
    struct http_request request = http_rig_request("http://nowhere.example/a", &outcomes[0]);
    http_rig_ask(http, &request, HTTP_NOT_SENT);
    assert_non_null(strstr(outcomes[0].sentence, "the name of http://nowhere.example:80 is not"));
}

static void wait_for_lookups(bool (*is_so)(void))
{
    pthread_mutex_lock(&lock);
    while (!is_so())
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static bool is_one_held(void)
{
    return lookups_held == 1;
}

static bool is_none_held(void)
{
    return lookups_held == 0;
}

static void a_name_server_that_is_slow_holds_back_nobody(void **state)
{
    (void)state;
    struct http_request request = http_rig_request("http://slow.example/", &outcomes[0]);
    request.timeout_ms = 3000;
    http_rig_send(http, &request);
    http_turn(http);
    wait_for_lookups(is_one_held);
    ask_other(1);
    assert_int_equal(outcomes[0].ends, 0);
    /* The thread that looks it up still does, when its request and all others are over. */
    http_rig_until(http, outcomes, 1);
    assert_int_equal(outcomes[0].end, HTTP_NOT_SENT);
    assert_true(is_one_held());
    pthread_mutex_lock(&lock);
    is_let_go = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    wait_for_lookups(is_none_held);
}

/* ---- lines --------------------------------------------------------------------------------------
 */

static void more_than_a_host_is_given_at_once_wait_in_order(void **state)
{
    (void)state;
    script(FULL, &(struct fake_answer){.held = true});
    send_many(0, FULL + 20);
    turn_until_seen(FULL);
    http_turn(http);
    assert_int_equal(fake_http_connections(slow), FULL);
    assert_int_equal(http_open_requests(http), FULL + 20);
    fake_http_release(slow, 1);
    http_rig_until(http, outcomes + FULL, 20);
    for (uint32_t i = FULL; i < FULL + 20; i++) {
        assert_int_equal(outcomes[i].end, HTTP_ANSWERED);
        assert_true(i == FULL || outcomes[i].order > outcomes[i - 1].order);
    }
    assert_int_equal(fake_http_connections(slow), FULL);
    fake_http_release(slow, FULL - 1);
    http_rig_until(http, outcomes, FULL);
}

static void a_host_that_does_not_answer_holds_back_only_itself(void **state)
{
    (void)state;
    script(FULL, &(struct fake_answer){.fault = FAKE_SILENT});
    send_many(0, FULL + 500);
    turn_until_seen(FULL);
    for (uint32_t i = 0; i < 200; i++) {
        struct http_request request = http_rig_request(fake_http_url(other), &outcomes[1000 + i]);
        http_rig_send(http, &request);
    }
    http_rig_until(http, outcomes + 1000, 200);
    for (uint32_t i = 0; i < 200; i++)
        assert_int_equal(outcomes[1000 + i].end, HTTP_ANSWERED);
    assert_int_equal(http_open_requests(http), FULL + 500);
    assert_int_equal(fake_http_seen(slow), FULL);
}

static void what_waits_longer_than_it_may_was_not_sent(void **state)
{
    (void)state;
    script(FULL, &(struct fake_answer){.held = true});
    send_many(0, FULL);
    struct http_request request = request_of(FULL);
    request.timeout_ms = 50;
    http_rig_ask(http, &request, HTTP_NOT_SENT);
    assert_non_null(strstr(outcomes[FULL].sentence, "this one was not sent"));
    assert_non_null(strstr(outcomes[FULL].sentence, fake_http_url(slow)));
    turn_until_seen(FULL);
    fake_http_release(slow, FULL);
    http_rig_until(http, outcomes, FULL);
    assert_int_equal(fake_http_seen(slow), FULL);
}

static void who_has_patience_gives_up_waiting_for_a_mute_host(void **state)
{
    (void)state;
    script(FULL, &(struct fake_answer){.held = true});
    send_many(0, FULL + 1);
    struct http_request request = request_of(FULL + 1);
    request.patience_ms = 50;
    http_rig_ask(http, &request, HTTP_NOT_SENT);
    assert_non_null(strstr(outcomes[FULL + 1].sentence, "answers none"));
    assert_int_equal(outcomes[FULL].ends, 0);
    turn_until_seen(FULL);
    fake_http_release(slow, FULL);
    http_rig_until(http, outcomes, FULL + 1);
    assert_int_equal(outcomes[FULL].end, HTTP_ANSWERED);
}

/* Fills the slow server, after it has lost as many requests in a row as make it a mute one. */
static void lose_and_fill(void)
{
    script(HTTP_HOST_SILENT_MAX, &(struct fake_answer){.fault = FAKE_CLOSED_BEFORE});
    script(FULL, &(struct fake_answer){.held = true});
    send_many(0, FULL + HTTP_HOST_SILENT_MAX);
    turn_until_seen(FULL + HTTP_HOST_SILENT_MAX);
}

/* As long as it answers one now and then, its line may be long: each answer is heard, and patience
 * begins anew. The times are far apart, so that a slow machine does not mistake them. */
static void a_host_that_is_slow_is_not_mute(void **state)
{
    (void)state;
    script(FULL + 1, &(struct fake_answer){.held = true});
    send_many(0, FULL + 1);
    struct http_request late = request_of(200), patient = request_of(201);
    late.timeout_ms = 3100;
    http_rig_ask(http, &late, HTTP_NOT_SENT);
    fake_http_release(slow, 1);
    turn_until_seen(FULL + 1);
    patient.patience_ms = 3000;
    late = request_of(202);
    late.timeout_ms = 100;
    http_rig_send(http, &patient);
    http_rig_ask(http, &late, HTTP_NOT_SENT);
    assert_int_equal(outcomes[201].ends, 0);
    fake_http_release(slow, FULL);
    http_rig_until(http, outcomes, FULL + 1);
    http_rig_until(http, outcomes + 201, 1);
    assert_int_equal(outcomes[201].end, HTTP_ANSWERED);
}

static void a_host_that_only_loses_requests_gets_no_longer_line(void **state)
{
    (void)state;
    lose_and_fill();
    struct http_request request = request_of(100);
    request.patience_ms = 3600000;
    http_rig_ask(http, &request, HTTP_NOT_SENT);
    assert_int_equal(http_open_requests(http), FULL);
}

static void a_host_that_answers_again_is_waited_for_again(void **state)
{
    (void)state;
    lose_and_fill();
    fake_http_release(slow, 1);
    while (http_open_requests(http) == FULL) {
        http_turn(http);
        http_wait(http, NULL, 0, 10);
    }
    script(1, &(struct fake_answer){.held = true});
    send_many(100, 1);
    struct http_request patient = request_of(101), late = request_of(102);
    patient.patience_ms = 3600000;
    late.timeout_ms = 100;
    http_rig_send(http, &patient);
    http_rig_ask(http, &late, HTTP_NOT_SENT);
    assert_int_equal(outcomes[101].ends, 0);
    turn_until_seen(FULL + HTTP_HOST_SILENT_MAX + 1);
    fake_http_release(slow, FULL);
    http_rig_until(http, outcomes + 101, 1);
    assert_int_equal(outcomes[101].end, HTTP_ANSWERED);
}

static void no_more_are_taken_than_there_is_room_for(void **state)
{
    (void)state;
    struct problem problem = {0};
    script(FULL, &(struct fake_answer){.fault = FAKE_SILENT});
    send_many(0, HTTP_REQUESTS_MAX);
    struct http_request request = request_of(0);
    assert_int_equal(http_send(http, &request, &problem), STATUS_BUSY);
    assert_int_equal(http_open_requests(http), HTTP_REQUESTS_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_name_that_is_nowhere_is_named),
        TEST(a_name_server_that_is_slow_holds_back_nobody),
        TEST(more_than_a_host_is_given_at_once_wait_in_order),
        TEST(a_host_that_does_not_answer_holds_back_only_itself),
        TEST(what_waits_longer_than_it_may_was_not_sent),
        TEST(who_has_patience_gives_up_waiting_for_a_mute_host),
        TEST(a_host_that_is_slow_is_not_mute),
        TEST(a_host_that_only_loses_requests_gets_no_longer_line),
        TEST(a_host_that_answers_again_is_waited_for_again),
        TEST(no_more_are_taken_than_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
