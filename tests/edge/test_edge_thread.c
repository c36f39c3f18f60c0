#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/edge/edge_rig.h"
#include "tests/edge/no_network.h"

/* The edge thread as it is: beside an engine with threads of its own. Nothing here waits for a
 * time: the engine sleeps until it is woken, for ever if nobody does. */

static const char of_echo[] = "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Task\","
                              "\"Resource\":\"service:echo.say\",\"End\":true}}}";

static void open_threads(struct edge_rig *rig, const char *config)
{
    struct partition_options options = edge_rig_options(rig);
    options.threadless = false;
    options.may_step = NULL;
    options.now_ns = NULL;
    options.wall_ms = NULL;
    rig_open(rig->rig, &options, of_echo);
    struct edges_options edges = edge_rig_edges_options(rig);
    edges.threadless = false;
    edge_rig_open_edges(rig, &edges, config);
}

/* As serve does it. Returns how many replies came. */
static uint32_t turn_and_wait(struct edge_rig *rig)
{
    struct problem problem = {0};
    struct reply reply;
    bool polled = false;
    uint32_t replies = 0;
    bool worked = edges_turn(rig->edges);
    if (partition_poll(rig->rig->partition, &polled, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    if (polled)
        worked |= edges_turn(rig->edges);
    while (partition_next_reply(rig->rig->partition, &reply))
        replies++;
    if (!worked && !polled && replies == 0)
        partition_wait(rig->rig->partition, UINT64_MAX);
    return replies;
}

static void start_one(struct edge_rig *rig)
{
    static const struct flyover_bytes nil = {(const uint8_t *)"\xc0", 1};
    assert_int_equal(partition_start(rig->rig->partition, rig->rig->plan, EVENT_NO_SOURCE, nil, 1),
                     STATUS_OK);
}

static void no_wake_up_is_lost_where_each_side_waits_for_the_other(void **state)
{
    struct edge_rig *rig = *state;
    open_threads(rig, "{\"echo\": {}}");
    for (uint32_t done = 0; done < 500; done++) {
        start_one(rig);
        while (turn_and_wait(rig) == 0)
            ;
    }
    assert_int_equal(echo.heard, 500);
}

static void many_at_once_come_back(void **state)
{
    struct edge_rig *rig = *state;
    open_threads(rig, "{\"echo\": {}}");
    uint32_t started = 0, ended = 0;
    while (ended < 5000) {
        while (started < 5000 && started - ended < 32) {
            start_one(rig);
            started++;
        }
        ended += turn_and_wait(rig);
    }
    assert_int_equal(echo.heard, 5000);
}

static void a_thread_with_nothing_to_do_sleeps(void **state)
{
    struct edge_rig *rig = *state;
    open_threads(rig, "{\"echo\": {}}");
    start_one(rig);
    while (turn_and_wait(rig) == 0)
        ;
    /* It goes to sleep by itself, and whatever the engine does with itself does not wake it. */
    uint64_t waits = no_http_waits;
    uint32_t wakes = no_http_wakes;
    for (uint32_t i = 0; i < 10000; i++)
        edges_turn(rig->edges);
    assert_int_equal(no_http_wakes, wakes);
    assert_in_range(no_http_waits, waits, waits + 2);
}

static void the_end_does_not_wait_for_what_is_out(void **state)
{
    struct edge_rig *rig = *state;
    echo.holds = true;
    open_threads(rig, "{\"echo\": {}, \"post\": {}}");
    for (int i = 0; i < 10; i++)
        start_one(rig);
    while (edges_counts(rig->edges).lanes[0].in_flight < 10)
        turn_and_wait(rig);
    edges_close(rig->edges);
    rig->edges = NULL;
    assert_false(echo.is_open);
    char digest[PARTITION_DIGEST_BYTES];
    rig_stop(rig->rig, digest);
}

static void a_drain_ends_by_itself(void **state)
{
    struct edge_rig *rig = *state;
    open_threads(rig, "{\"echo\": {}, \"post\": {}}");
    post.drains = 5;
    for (int i = 0; i < 10; i++)
        start_one(rig);
    uint32_t ended = 0;
    while (ended < 10)
        ended += turn_and_wait(rig);
    while (!edges_drain(rig->edges))
        turn_and_wait(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EDGE_TEST(no_wake_up_is_lost_where_each_side_waits_for_the_other),
        EDGE_TEST(many_at_once_come_back),
        EDGE_TEST(a_thread_with_nothing_to_do_sleeps),
        EDGE_TEST(the_end_does_not_wait_for_what_is_out),
        EDGE_TEST(a_drain_ends_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
