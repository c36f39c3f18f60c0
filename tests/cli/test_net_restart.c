/*
 * The engine killed or stopped and started again, while subscribers hear of what ends and clients
 * wait for it: they go on with the next engine as if it were the same.
 */
#include "tests/cli/net_rig.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_COUNT  20000u /* more at once than the library gives credit for */
#define TRICKLE_COUNT 300u

/* ---- subscriptions -------------------------------------------------------------------------- */

static struct {
    bool sagas[EVENTS_COUNT + 1];
    uint32_t count, again_count;
    uint64_t block_no;
    char first[64];
} heard;

/* None is left out, none comes out of order, and again come those of one block at most. */
static void on_event(const struct flyover_answer_message *event)
{
    uint64_t block_no = strtoull(event->position, NULL, 10);
    assert_int_equal(event->kind, FLYOVER_EVENT);
    assert_in_range(event->saga_id, 1, EVENTS_COUNT);
    assert_true(block_no >= heard.block_no);
    if (heard.sagas[event->saga_id])
        assert_int_equal(block_no, heard.block_no);
    heard.again_count += heard.sagas[event->saga_id];
    heard.count += !heard.sagas[event->saga_id];
    heard.sagas[event->saga_id] = true;
    heard.block_no = block_no;
    if (heard.first[0] == '\0')
        snprintf(heard.first, sizeof heard.first, "%s", event->position);
}

static void run_events(struct flyover_client *client, uint32_t from, uint32_t count)
{
    char name[32];
    for (uint32_t i = from; i < from + count; i++) {
        snprintf(name, sizeof name, "event-%u", i);
        struct flyover_start start = net_start_of("pass", name);
        assert_int_equal(flyover_send_start(client, &start, FLYOVER_AT_ACCEPTANCE, i), FLYOVER_OK);
    }
    assert_int_equal(flyover_flush(client), FLYOVER_OK);
}

/* The subscriber comes back while sagas are started one by one, so that history and what is new
 * meet. */
static void trickle(struct flyover_client *client, struct flyover_client *subscriber, uint32_t from)
{
    struct flyover_answer_message event;
    for (uint32_t i = 0; i < TRICKLE_COUNT; i++) {
        run_events(client, from + i, 1);
        assert_int_equal(net_next(client).kind, FLYOVER_STARTED);
        while (flyover_next(subscriber, &event, 0))
            if (event.kind != FLYOVER_RECONNECTED)
                on_event(&event);
        assert_false(flyover_is_lost(subscriber));
    }
}

static void restart(uint32_t round)
{
    if (round % 2 == 0)
        serve_kill(&serve_it);
    else
        serve_stop(&serve_it);
    net_serve(NULL);
}

static void a_subscription_goes_on_across_restarts_without_a_gap(void **state)
{
    (void)state;
    enum { ROUNDS = 4 };
    memset(&heard, 0, sizeof heard);
    net_serve(NULL);
    struct flyover_client *client = serve_connect(serve_address),
                          *subscriber = serve_connect(serve_address);
    assert_int_equal(flyover_send_subscribe(subscriber, NULL, NULL, NULL, 1), FLYOVER_OK);
    struct flyover_answer_message event;
    /* The first event says where it is, so that no restart can make it begin anew. */
    net_take_turn(subscriber);
    net_run(client, "pass");
    event = net_next(subscriber);
    on_event(&event);
    uint32_t each = (EVENTS_COUNT - 1) / ROUNDS - TRICKLE_COUNT, sent = 1;
    for (uint32_t round = 0; round < ROUNDS; round++, sent += each + TRICKLE_COUNT) {
        run_events(client, sent, each);
        for (uint32_t i = 0; i < each / 2; i++)
            assert_int_equal(net_next(client).kind, FLYOVER_STARTED);
        restart(round);
        for (uint32_t i = each / 2; i < each; i++)
            assert_int_equal(net_next(client).kind, FLYOVER_STARTED);
        trickle(client, subscriber, sent + each);
    }
    while (heard.count < sent) {
        event = net_next(subscriber);
        on_event(&event);
    }
    assert_int_equal(net_count("started"), sent);
    flyover_close(subscriber);
    /* And all of it once more, from the beginning, for one who comes now. */
    char first[sizeof heard.first];
    memcpy(first, heard.first, sizeof first);
    memset(&heard, 0, sizeof heard);
    subscriber = serve_connect(serve_address);
    assert_int_equal(flyover_send_subscribe(subscriber, NULL, NULL, first, 1), FLYOVER_OK);
    while (heard.count < sent) {
        event = net_next(subscriber);
        on_event(&event);
    }
    assert_int_equal(heard.again_count, 0);
    flyover_close(subscriber);
    flyover_close(client);
    serve_stop(&serve_it);
}

/* ---- SIGTERM --------------------------------------------------------------------------------- */

static void who_waits_when_it_stops_is_told_and_waits_on_at_the_next_engine(void **state)
{
    (void)state;
    static const char *const go[] = {"go"};
    net_serve(NULL);
    struct flyover_client *starter = serve_connect(serve_address),
                          *waiter = serve_connect(serve_address);
    struct flyover_start start = net_start_of("far", "long");
    struct flyover_answer_message said;
    assert_int_equal(flyover_send_start(starter, &start, FLYOVER_AT_BOTH, 1), FLYOVER_OK);
    said = net_next(starter);
    assert_int_equal(said.kind, FLYOVER_STARTED);
    uint64_t saga_id = said.saga_id;
    assert_int_equal(flyover_send_await(waiter, 0, "long", 2), FLYOVER_OK);
    assert_int_equal(flyover_flush(waiter), FLYOVER_OK);
    struct net_peer peer = net_greet(NULL);
    net_say(&peer, "[15, 3, \"long\"]");
    net_say(&peer, "[3, 4]");
    net_expect(&peer, "[4,4]");
    kill(serve_it.pid, SIGTERM);
    net_expect(&peer, "[6,");
    net_expect_end(&peer);
    net_hang_up(&peer, false);
    assert_int_equal(serve_wait(&serve_it), CLI_DONE);
    net_serve(NULL);
    struct flyover_client *worker = serve_connect(serve_address);
    struct flyover_invocation call;
    assert_int_equal(flyover_register(worker, "far", go, 1, 1), FLYOVER_OK);
    assert_true(flyover_next_invocation(worker, &call, SERVE_LONG_MS));
    assert_int_equal(call.saga_id, saga_id);
    assert_int_equal(flyover_answer_done(worker, call.id, "\x2a", 1), FLYOVER_OK);
    assert_int_equal(flyover_flush(worker), FLYOVER_OK);
    struct flyover_client *const both[] = {starter, waiter};
    for (uint32_t i = 0; i < 2; i++) {
        do
            said = net_next(both[i]);
        while (said.kind == FLYOVER_STARTED);
        assert_int_equal(said.kind, FLYOVER_ENDED);
        assert_int_equal(said.saga_id, saga_id);
        assert_string_equal(said.outcome, "SUCCEEDED");
        flyover_close(both[i]);
    }
    flyover_close(worker);
    assert_int_equal(net_count("started"), 1);
    serve_stop(&serve_it);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, net_set_up, net_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_subscription_goes_on_across_restarts_without_a_gap),
        TEST(who_waits_when_it_stops_is_told_and_waits_on_at_the_next_engine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
