/*
 * Crowds at the real program: thousands who come and go, or stay and say nothing, or take every
 * file there is, and a subscriber that falls behind what the engine keeps in memory.
 */
#include "tests/cli/net_rig.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "engine/flyover_service.h"

#define CONNECTS_COUNT  5000u
#define IDLE_COUNT      2000u
#define FILES_FEW       1024u
#define FILES_TOO_FEW   600u
#define BIG_COUNT       400u
#define EVENTS_COUNT    70000u /* more than the engine keeps in memory */
#define MEMORY_KIB_MORE (96u << 10)

/* ---- many ------------------------------------------------------------------------------------ */

static void thousands_who_connect_and_leave_at_once_are_got_rid_of(void **state)
{
    (void)state;
    net_serve(NULL);
    struct flyover_client *client = serve_connect(serve_address);
    net_run(client, "pass");
    net_note_files();
    for (uint32_t i = 0; i < CONNECTS_COUNT; i++) {
        struct net_peer peer = net_connect();
        if (i % 3 == 0)
            net_say(&peer, "[1, 1, {}]");
        net_hang_up(&peer, i % 2 == 0);
        if (i % 500 == 0)
            net_run(client, "pass");
    }
    net_expect_service(client);
    net_await_files();
    flyover_close(client);
    serve_stop(&serve_it);
}

static void idle_connections_by_the_thousand_cost_little(void **state)
{
    (void)state;
    static struct net_peer idle[IDLE_COUNT];
    net_serve(SERVE_ARGS("--heartbeat-ms", "600000"));
    struct flyover_client *client = serve_connect(serve_address);
    net_run(client, "pass");
    net_note_files();
    size_t before_kib = net_memory_kib();
    for (uint32_t i = 0; i < IDLE_COUNT; i++)
        idle[i] = net_greet(NULL);
    if (!CLI_SANITIZED)
        assert_true(net_memory_kib() < before_kib + MEMORY_KIB_MORE);
    net_expect_service(client);
    for (uint32_t i = 0; i < IDLE_COUNT; i++) {
        net_say(&idle[i], "[3, 5]");
        net_expect(&idle[i], "[4,5]");
        net_hang_up(&idle[i], false);
    }
    net_await_files();
    flyover_close(client);
    serve_stop(&serve_it);
}

static void let_files_be(rlim_t count)
{
    struct rlimit limit = {.rlim_cur = count, .rlim_max = count};
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void leave_few_files(void)
{
    let_files_be(FILES_FEW);
}

static void leave_too_few_files(void)
{
    let_files_be(FILES_TOO_FEW);
}

/* Whether one that comes now is let in. */
static bool is_let_in(void)
{
    struct net_peer peer = net_connect();
    net_say(&peer, "[1, 1, {}]");
    bool is_in = strncmp(net_hear(&peer), "[2,", 3) == 0;
    net_hang_up(&peer, false);
    return is_in;
}

/* So much that the journal goes on to another file, and a checkpoint is written. */
static void run_much(struct flyover_client *client)
{
    static uint8_t input[FLYOVER_PAYLOAD_BYTES_MAX] = {0xc6, 0, 3, 0xff, 0xfb};
    struct flyover_start start = net_start_of("pass", NULL);
    struct flyover_answer_message end;
    start.input = input;
    start.input_bytes = sizeof input;
    for (uint32_t i = 0; i < BIG_COUNT; i++)
        if (flyover_run(client, &start, &end, SERVE_LONG_MS) != FLYOVER_OK)
            fail_msg("%s\n%s", flyover_problem(client), serve_it.log);
}

static void who_takes_all_files_leaves_the_engine_its_own_and_later_others_come(void **state)
{
    (void)state;
    static struct net_peer comers[FILES_FEW];
    uint32_t let_in = 0;
    net_before = leave_few_files;
    net_serve(SERVE_ARGS("--checkpoint-mib", "32"));
    assert_non_null(strstr(serve_it.log, "event=connections_limited"));
    struct flyover_client *client = serve_connect(serve_address);
    net_run(client, "pass");
    for (uint32_t i = 0; i < FILES_FEW; i++) {
        comers[i] = net_connect();
        net_say(&comers[i], "[1, 1, {}]");
        let_in += strncmp(net_hear(&comers[i]), "[2,", 3) == 0;
    }
    assert_in_range(let_in, 1, FILES_FEW / 2);
    assert_false(is_let_in());
    run_much(client);
    for (uint32_t i = 0; i < FILES_FEW; i++)
        net_hang_up(&comers[i], false);
    net_until(is_let_in, "somebody is let in again");
    net_expect_service(client);
    flyover_close(client);
    serve_stop(&serve_it);
}

static void where_too_few_files_may_be_open_it_says_so_and_does_not_start(void **state)
{
    (void)state;
    serve_spawn(&serve_it, leave_too_few_files,
                SERVE_ARGS("--data", serve_data, "--listen", "127.0.0.1:0"));
    assert_int_equal(serve_wait(&serve_it), CLI_FAILED);
    assert_non_null(strstr(serve_it.log, "LimitNOFILE="));
}

/* ---- subscribers ----------------------------------------------------------------------------- */

struct heard {
    uint32_t count;
    bool sagas[EVENTS_COUNT + 1];
};

static void hear_of(struct heard *heard, uint64_t saga_id)
{
    assert_in_range(saga_id, 1, EVENTS_COUNT);
    heard->count += !heard->sagas[saga_id];
    heard->sagas[saga_id] = true;
}

/* All sagas are started, and are heard of by the one that keeps up. */
static void run_many(struct flyover_client *client, struct flyover_client *prompt,
                     struct heard *heard)
{
    struct flyover_start start = net_start_of("pass", NULL);
    struct flyover_answer_message answer;
    uint32_t sent = 0, started = 0;
    while (started < EVENTS_COUNT || heard->count < EVENTS_COUNT) {
        while (sent < EVENTS_COUNT &&
               flyover_send_start(client, &start, FLYOVER_AT_ACCEPTANCE, sent) == FLYOVER_OK)
            sent++;
        flyover_flush(client);
        while (flyover_next(client, &answer, 0)) {
            assert_int_equal(answer.kind, FLYOVER_STARTED);
            started++;
        }
        while (flyover_next(prompt, &answer, heard->count < started ? 100 : 0)) {
            assert_int_equal(answer.kind, FLYOVER_EVENT);
            hear_of(heard, answer.saga_id);
        }
        assert_false(flyover_is_lost(client) || flyover_is_lost(prompt));
    }
}

static void a_slow_subscriber_holds_up_nobody_and_misses_nothing(void **state)
{
    (void)state;
    static struct heard prompt_heard, slow_heard;
    prompt_heard = slow_heard = (struct heard){0};
    net_serve(SERVE_ARGS("--heartbeat-ms", "600000"));
    struct flyover_client *client = serve_connect(serve_address),
                          *prompt = serve_connect(serve_address);
    struct net_peer slow = net_greet(NULL);
    net_say(&slow, "[18, 5, {\"credit\": 1}]");
    net_say(&slow, "[3, 1]");
    net_expect(&slow, "[4,1]");
    assert_int_equal(flyover_send_subscribe(prompt, NULL, NULL, NULL, 1), FLYOVER_OK);
    net_take_turn(prompt);
    run_many(client, prompt, &prompt_heard);
    net_say(&slow, "[20, 5, 1000000]");
    while (slow_heard.count < EVENTS_COUNT) {
        uint64_t saga_id;
        const char *event = net_hear(&slow);
        if (sscanf(event, "[19,5,\"%*[^\"]\",%" SCNu64, &saga_id) != 1)
            fail_msg("no event, but '%s'", event);
        hear_of(&slow_heard, saga_id);
    }
    net_hang_up(&slow, false);
    flyover_close(client);
    flyover_close(prompt);
    serve_stop(&serve_it);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, net_set_up, net_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(thousands_who_connect_and_leave_at_once_are_got_rid_of),
        TEST(idle_connections_by_the_thousand_cost_little),
        TEST(who_takes_all_files_leaves_the_engine_its_own_and_later_others_come),
        TEST(where_too_few_files_may_be_open_it_says_so_and_does_not_start),
        TEST(a_slow_subscriber_holds_up_nobody_and_misses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
