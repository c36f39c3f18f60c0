/* A connection that does not hold, one that is silent, one in somebody's own loop, and one in a
 * process that is interrupted and forks. */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/client/rig.h"

static const struct fake_options plain = {0};

/* ---- cuts ---------------------------------------------------------------------------------------
 */

static void after_a_cut_a_name_is_asked_again_and_what_has_none_is_unknown(void **state)
{
    (void)state;
    struct rig rig = rig_open(&plain);
    assert_int_equal(rig_send(&rig, "cut", 1, NULL, FLYOVER_AT_END), FLYOVER_OK);
    assert_int_equal(rig_send(&rig, "order", 2, "two", FLYOVER_AT_END), FLYOVER_OK);
    struct flyover_answer_message answer;
    assert_true(flyover_next(rig.client, &answer, -1));
    assert_int_equal(answer.kind, FLYOVER_REFUSED_REQUEST);
    assert_int_equal(answer.status, FLYOVER_UNKNOWN);
    assert_int_equal(answer.word, 1);
    assert_true(flyover_next(rig.client, &answer, -1));
    assert_int_equal(answer.kind, FLYOVER_RECONNECTED);
    rig_expect(&rig, FLYOVER_ENDED, 2);
    struct fake_counts counts = fake_counts(rig.fake);
    assert_int_equal(counts.asked[1], 1);
    assert_int_equal(counts.started[2], 1);
    rig_close(&rig);
}

static void a_named_start_that_was_done_before_the_cut_is_not_done_again(void **state)
{
    (void)state;
    static const char *const ways[] = {"cut", "goodbye", "garbage", "halfway"};
    for (uint8_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        struct rig rig = rig_open(&plain);
        assert_int_equal(rig_send(&rig, ways[i], 1, "one", FLYOVER_AT_BOTH), FLYOVER_OK);
        rig_expect(&rig, FLYOVER_STARTED, 1);
        rig_expect(&rig, FLYOVER_ENDED, 1);
        struct fake_counts counts = fake_counts(rig.fake);
        assert_int_equal(counts.started[1], 1);
        assert_int_equal(counts.connections, 2);
        rig_close(&rig);
    }
}

static void once_its_saga_is_known_the_end_is_awaited_without_a_name(void **state)
{
    (void)state;
    struct rig rig = rig_open(&plain);
    assert_int_equal(rig_send(&rig, "halfway", 1, NULL, FLYOVER_AT_BOTH), FLYOVER_OK);
    rig_expect(&rig, FLYOVER_STARTED, 1);
    struct flyover_answer_message end = rig_next(&rig);
    assert_int_equal(end.kind, FLYOVER_ENDED);
    assert_int_equal(end.saga_id, 1);
    assert_int_equal(fake_counts(rig.fake).asked[1], 1);
    rig_close(&rig);
}

static void blocking_calls_survive_a_cut_as_far_as_that_is_safe(void **state)
{
    (void)state;
    struct rig rig = rig_open(&plain);
    uint8_t number = 1;
    uint64_t saga_id;
    struct flyover_start start = {
        .definition = "cut", .input = &number, .input_bytes = 1, .name = "one"};
    assert_int_equal(flyover_start(rig.client, &start, &saga_id), FLYOVER_OK);
    assert_int_equal(saga_id, 1);
    number = 2;
    start.name = NULL;
    assert_int_equal(flyover_start(rig.client, &start, &saga_id), FLYOVER_UNKNOWN);
    assert_non_null(strstr(flyover_problem(rig.client), "may be done or not"));
    number = 3;
    start.definition = "halfway";
    struct flyover_answer_message end;
    assert_int_equal(flyover_run(rig.client, &start, &end, -1), FLYOVER_OK);
    assert_int_equal(end.saga_id, 3);
    rig_close(&rig);
}

static void a_question_that_looks_is_asked_again_and_one_that_acts_is_not(void **state)
{
    (void)state;
    static const char counts[] = "\x81\xa2"
                                 "do\xa6"
                                 "counts";
    static const char signal[] = "\x81\xa2"
                                 "do\xa6"
                                 "signal";
    struct flyover_answer_message answer;
    struct rig rig = rig_open(&plain);
    assert_int_equal(flyover_ask(rig.client, counts, sizeof counts - 1, &answer), FLYOVER_OK);
    assert_int_equal(fake_counts(rig.fake).questions, 2);
    rig_close(&rig);
    rig = rig_open(&plain);
    assert_int_equal(flyover_ask(rig.client, signal, sizeof signal - 1, &answer), FLYOVER_UNKNOWN);
    assert_int_equal(fake_counts(rig.fake).questions, 1);
    rig_close(&rig);
}

static void what_was_not_sent_before_the_cut_goes_with_the_next_connection(void **state)
{
    (void)state;
    struct rig rig = rig_open(&plain);
    assert_int_equal(rig_send(&rig, "gap", 1, NULL, FLYOVER_AT_END), FLYOVER_OK);
    rig_expect_refused(&rig, FLYOVER_UNKNOWN, 1);
    /* Nobody reads now; it is not doubtful, since none of it can have arrived. */
    for (uint8_t i = 2; i < 10; i++) {
        assert_int_equal(rig_send(&rig, "order", i, NULL, FLYOVER_AT_ACCEPTANCE), FLYOVER_OK);
        assert_int_equal(flyover_flush(rig.client), FLYOVER_OK);
    }
    fake_accept(rig.fake);
    for (uint8_t i = 2; i < 10; i++)
        rig_expect(&rig, FLYOVER_STARTED, i);
    rig_close(&rig);
}

static void what_waits_when_the_cut_is_seen_goes_with_the_next_connection(void **state)
{
    (void)state;
    struct rig rig = rig_open(&plain);
    assert_int_equal(rig_send(&rig, "cut", 1, NULL, FLYOVER_AT_END), FLYOVER_OK);
    assert_int_equal(flyover_flush(rig.client), FLYOVER_OK);
    while (fake_counts(rig.fake).closed == 0)
        sched_yield();
    /* The library does not know yet. */
    for (uint8_t i = 2; i < 10; i++)
        assert_int_equal(rig_send(&rig, "order", i, NULL, FLYOVER_AT_ACCEPTANCE), FLYOVER_OK);
    rig_expect_refused(&rig, FLYOVER_UNKNOWN, 1);
    for (uint8_t i = 2; i < 10; i++)
        rig_expect(&rig, FLYOVER_STARTED, i);
    rig_close(&rig);
}

static void to_an_engine_that_leaves_nothing_more_is_sent(void **state)
{
    (void)state;
    struct rig rig = rig_open(&plain);
    assert_int_equal(rig_send(&rig, "leaving", 1, NULL, FLYOVER_AT_ACCEPTANCE), FLYOVER_OK);
    rig_expect(&rig, FLYOVER_STARTED, 1);
    for (uint8_t i = 2; i < 10; i++)
        assert_int_equal(rig_send(&rig, "order", i, NULL, FLYOVER_AT_ACCEPTANCE), FLYOVER_OK);
    assert_int_equal(flyover_flush(rig.client), FLYOVER_OK);
    assert_false(flyover_wants_write(rig.client));
    fake_cut(rig.fake);
    for (uint8_t i = 2; i < 10; i++)
        rig_expect(&rig, FLYOVER_STARTED, i); /* and not FLYOVER_UNKNOWN */
    assert_int_equal(fake_counts(rig.fake).connections, 2);
    rig_close(&rig);
}

enum { QUESTIONS = 12 };

static void only_what_may_have_been_seen_is_doubtful(void **state)
{
    (void)state;
    static uint8_t question[200000] = "\x82\xa2"
                                      "do\xa6"
                                      "cancel\xa3"
                                      "pad\xc6\x00\x03\x0d\x2c";
    struct rig rig = rig_open(&plain);
    assert_int_equal(rig_send(&rig, "deaf", 1, NULL, FLYOVER_AT_END), FLYOVER_OK);
    assert_int_equal(flyover_flush(rig.client), FLYOVER_OK);
    while (fake_counts(rig.fake).asked[1] == 0)
        sched_yield();
    /* More than a socket takes: some are sent, one in part, and the rest not at all. */
    for (uint64_t word = 2; word < 2 + QUESTIONS; word++)
        assert_int_equal(flyover_send_ask(rig.client, question, sizeof question, word), FLYOVER_OK);
    assert_int_equal(flyover_flush(rig.client), FLYOVER_OK);
    assert_true(flyover_wants_write(rig.client));
    fake_cut(rig.fake);
    uint32_t unknown = 0, answered = 0;
    while (unknown + answered < 1 + QUESTIONS) {
        struct flyover_answer_message answer = rig_next(&rig);
        unknown += answer.kind == FLYOVER_REFUSED_REQUEST && answer.status == FLYOVER_UNKNOWN;
        answered += answer.kind == FLYOVER_ANSWERED;
    }
    assert_true(unknown >= 2 && answered >= 1);
    assert_int_equal(fake_counts(rig.fake).questions, answered);
    rig_close(&rig);
}

static void when_nobody_comes_back_all_is_told_and_the_line_is_lost(void **state)
{
    (void)state;
    struct rig rig = rig_open_within(&plain, 60);
    assert_int_equal(rig_send(&rig, "mute", 1, NULL, FLYOVER_AT_END), FLYOVER_OK);
    assert_int_equal(rig_send(&rig, "mute", 2, "two", FLYOVER_AT_END), FLYOVER_OK);
    assert_int_equal(flyover_flush(rig.client), FLYOVER_OK);
    while (fake_counts(rig.fake).asked[2] == 0)
        sched_yield();
    fake_go_away(rig.fake);
    rig_expect_refused(&rig, FLYOVER_UNKNOWN, 1); /* the cut is seen */
    assert_int_equal(rig_send(&rig, "order", 3, NULL, FLYOVER_AT_END), FLYOVER_OK);
    /* The second one waits in vain to be asked again, and the third to be sent at all. */
    struct flyover_answer_message answer;
    for (int i = 0; i < 2; i++) {
        answer = rig_next(&rig);
        assert_int_equal(answer.kind, FLYOVER_REFUSED_REQUEST);
        assert_int_equal(answer.status, answer.word == 2 ? FLYOVER_UNKNOWN : FLYOVER_NOT_CONNECTED);
    }
    assert_false(flyover_next(rig.client, &answer, -1));
    assert_true(flyover_is_lost(rig.client));
    assert_int_equal(flyover_fd(rig.client), -1);
    assert_int_equal(flyover_timeout_ms(rig.client), -1);
    assert_int_equal(rig_send(&rig, "order", 4, NULL, FLYOVER_AT_END), FLYOVER_NOT_CONNECTED);
    assert_int_equal(flyover_flush(rig.client), FLYOVER_NOT_CONNECTED);
    assert_false(flyover_next(rig.client, &answer, -1));
    rig_close(&rig);
}

static void who_greets_and_cuts_is_not_tried_for_ever(void **state)
{
    (void)state;
    struct rig rig = rig_open_within(&(struct fake_options){.only_greets = true}, 100);
    assert_int_equal(rig_send(&rig, "cut", 1, "one", FLYOVER_AT_END), FLYOVER_OK);
    rig_expect_refused(&rig, FLYOVER_UNKNOWN, 1);
    assert_true(flyover_is_lost(rig.client));
    assert_true(fake_counts(rig.fake).connections >= 2);
    rig_close(&rig);
}

static void what_would_be_refused_again_is_not_tried_again(void **state)
{
    (void)state;
    struct rig rig = rig_open(&plain);
    assert_int_equal(rig_send(&rig, "lose", 1, "one", FLYOVER_AT_END), FLYOVER_OK);
    rig_expect_refused(&rig, FLYOVER_UNKNOWN, 1);
    assert_true(flyover_is_lost(rig.client));
    assert_string_equal(flyover_problem(rig.client), "said so");
    assert_int_equal(fake_counts(rig.fake).connections, 1);
    rig_close(&rig);
}

/* ---- silence ------------------------------------------------------------------------------------
 */

static void a_ping_is_answered(void **state)
{
    (void)state;
    struct rig rig = rig_open(&plain);
    assert_int_equal(rig_send(&rig, "ping", 1, NULL, FLYOVER_AT_ACCEPTANCE), FLYOVER_OK);
    rig_expect(&rig, FLYOVER_STARTED, 1);
    assert_int_equal(fake_counts(rig.fake).pongs, 1);
    rig_close(&rig);
}

static void a_silent_engine_is_asked_whether_it_lives(void **state)
{
    (void)state;
    struct rig rig = rig_open(&(struct fake_options){.heartbeat_ms = 20});
    struct flyover_answer_message answer;
    while (fake_counts(rig.fake).pings < 3)
        assert_false(flyover_next(rig.client, &answer, 5) && answer.kind != FLYOVER_RECONNECTED);
    rig_close(&rig);
}

static void a_dead_engine_is_left_and_another_one_asked(void **state)
{
    (void)state;
    struct rig rig = rig_open(&(struct fake_options){.heartbeat_ms = 20});
    assert_int_equal(rig_send(&rig, "deaf", 1, "one", FLYOVER_AT_END), FLYOVER_OK);
    rig_expect(&rig, FLYOVER_ENDED, 1);
    struct fake_counts counts = fake_counts(rig.fake);
    assert_true(counts.connections >= 2);
    assert_int_equal(counts.started[1], 1);
    rig_close(&rig);
}

/* ---- somebody's own loop ------------------------------------------------------------------------
 */

#define LOOP_STARTS 500u

static bool send_more(struct rig *rig, uint32_t *sent)
{
    uint8_t number = 1;
    struct flyover_start start = {.definition = "order", .input = &number, .input_bytes = 1};
    while (*sent < LOOP_STARTS) {
        enum flyover_status status = flyover_send_start(rig->client, &start, FLYOVER_AT_END, *sent);
        if (status == FLYOVER_BUSY)
            return true;
        assert_int_equal(status, FLYOVER_OK);
        (*sent)++;
    }
    return true;
}

static void two_clients_live_in_one_loop_that_is_not_theirs(void **state)
{
    (void)state;
    struct rig rigs[2] = {rig_open(&(struct fake_options){.is_tcp = true, .window = 7}),
                          rig_open(&(struct fake_options){.window = 100})};
    uint32_t sent[2] = {0}, taken[2] = {0};
    while (taken[0] + taken[1] < 2 * LOOP_STARTS) {
        struct pollfd fds[2];
        int timeout_ms = -1;
        for (int i = 0; i < 2; i++) {
            send_more(&rigs[i], &sent[i]);
            bool wants_write = flyover_wants_write(rigs[i].client);
            fds[i] = (struct pollfd){.fd = flyover_fd(rigs[i].client),
                                     .events = (short)(POLLIN | (wants_write ? POLLOUT : 0))};
            int due_ms = flyover_timeout_ms(rigs[i].client);
            if (due_ms >= 0 && (timeout_ms < 0 || due_ms < timeout_ms))
                timeout_ms = due_ms;
        }
        assert_true(poll(fds, 2, timeout_ms) >= 0);
        for (int i = 0; i < 2; i++) {
            struct flyover_answer_message answer;
            while (flyover_next(rigs[i].client, &answer, 0)) {
                assert_int_equal(answer.kind, FLYOVER_ENDED);
                assert_int_equal(answer.word, taken[i]);
                taken[i]++;
            }
        }
    }
    assert_int_equal(fake_counts(rigs[0].fake).started[1], LOOP_STARTS);
    rig_close(&rigs[0]);
    rig_close(&rigs[1]);
}

static void a_loop_gets_through_a_cut_too(void **state)
{
    (void)state;
    struct rig rig = rig_open(&plain);
    assert_int_equal(rig_send(&rig, "cut", 1, "one", FLYOVER_AT_END), FLYOVER_OK);
    struct flyover_answer_message answer = {.kind = FLYOVER_STARTED};
    while (answer.kind != FLYOVER_ENDED) {
        bool wants_write = flyover_wants_write(rig.client);
        struct pollfd fd = {.fd = flyover_fd(rig.client),
                            .events = (short)(POLLIN | (wants_write ? POLLOUT : 0))};
        assert_true(poll(&fd, 1, flyover_timeout_ms(rig.client)) >= 0);
        while (answer.kind != FLYOVER_ENDED && flyover_next(rig.client, &answer, 0))
            ;
    }
    assert_int_equal(answer.word, 1);
    rig_close(&rig);
}

/* ---- signals and processes ----------------------------------------------------------------------
 */

static volatile sig_atomic_t alarms;

static void on_alarm(int number)
{
    (void)number;
    alarms++;
}

static void interrupted_calls_go_on(void **state)
{
    (void)state;
    struct rig rig = rig_open(&plain);
    struct sigaction action = {.sa_handler = on_alarm}, before;
    struct itimerval often = {{0, 1000}, {0, 1000}}, never = {0};
    assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
    assert_int_equal(rig_send(&rig, "mute", 1, NULL, FLYOVER_AT_END), FLYOVER_OK);
    struct flyover_answer_message answer;
    while (alarms < 50)
        assert_false(flyover_next(rig.client, &answer, 20));
    fake_let_go(rig.fake);
    rig_expect(&rig, FLYOVER_ENDED, 1);
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
    rig_close(&rig);
}

static int as_child(struct rig *rig)
{
    struct flyover_answer_message answer;
    if (flyover_next(rig->client, &answer, -1) && answer.status != FLYOVER_UNKNOWN)
        return 1;
    if (!flyover_is_lost(rig->client) || strstr(flyover_problem(rig->client), "process") == NULL)
        return 2;
    flyover_close(rig->client);
    return 0;
}

static void a_child_leaves_the_connection_of_its_parent_alone(void **state)
{
    (void)state;
    struct rig rig = rig_open(&plain);
    assert_int_equal(rig_send(&rig, "mute", 1, NULL, FLYOVER_AT_END), FLYOVER_OK);
    assert_int_equal(flyover_flush(rig.client), FLYOVER_OK);
    pid_t child = fork();
    if (child == 0)
        _exit(as_child(&rig));
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    while (fake_counts(rig.fake).asked[1] == 0)
        sched_yield();
    fake_let_go(rig.fake);
    rig_expect(&rig, FLYOVER_ENDED, 1);
    assert_int_equal(fake_counts(rig.fake).goodbyes, 0);
    assert_int_equal(fake_counts(rig.fake).connections, 1);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_a_cut_a_name_is_asked_again_and_what_has_none_is_unknown),
        cmocka_unit_test(a_named_start_that_was_done_before_the_cut_is_not_done_again),
        cmocka_unit_test(once_its_saga_is_known_the_end_is_awaited_without_a_name),
        cmocka_unit_test(blocking_calls_survive_a_cut_as_far_as_that_is_safe),
        cmocka_unit_test(a_question_that_looks_is_asked_again_and_one_that_acts_is_not),
        cmocka_unit_test(what_was_not_sent_before_the_cut_goes_with_the_next_connection),
        cmocka_unit_test(what_waits_when_the_cut_is_seen_goes_with_the_next_connection),
        cmocka_unit_test(to_an_engine_that_leaves_nothing_more_is_sent),
        cmocka_unit_test(only_what_may_have_been_seen_is_doubtful),
        cmocka_unit_test(when_nobody_comes_back_all_is_told_and_the_line_is_lost),
        cmocka_unit_test(who_greets_and_cuts_is_not_tried_for_ever),
        cmocka_unit_test(what_would_be_refused_again_is_not_tried_again),
        cmocka_unit_test(a_ping_is_answered),
        cmocka_unit_test(a_silent_engine_is_asked_whether_it_lives),
        cmocka_unit_test(a_dead_engine_is_left_and_another_one_asked),
        cmocka_unit_test(two_clients_live_in_one_loop_that_is_not_theirs),
        cmocka_unit_test(a_loop_gets_through_a_cut_too),
        cmocka_unit_test(interrupted_calls_go_on),
        cmocka_unit_test(a_child_leaves_the_connection_of_its_parent_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
