/*
 * Killed and stopped: the engine again and again, with clients and workers elsewhere at work, and a
 * worker in the middle of its step. What happened outside stands in a ledger, which no crash
 * touches: what clients were told, and what each step was asked to do, with what input, and
 * answered. The engine's own account has to agree with it.
 */
#include "tests/cli/net_rig.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRIP                                                                                       \
    "{\"StartAt\":\"A\",\"States\":{"                                                              \
    "\"A\":{\"Type\":\"Task\",\"Resource\":\"service:trip.a\",\"Next\":\"B\","                     \
    "\"Compensate\":{\"Resource\":\"service:trip.undo\"}},"                                        \
    "\"B\":{\"Type\":\"Task\",\"Resource\":\"service:trip.b\",\"Next\":\"C\","                     \
    "\"Compensate\":{\"Resource\":\"service:trip.undo\"}},"                                        \
    "\"C\":{\"Type\":\"Task\",\"Resource\":\"service:trip.c\",\"End\":true}}}"
#define SHORT                                                                                      \
    "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Task\",\"Resource\":\"service:far.go\","     \
    "\"TimeoutSeconds\":1,\"End\":true}}}"

#define SAGAS_COUNT   600u /* half of them named */
#define SAGAS_MAX     (2 * SAGAS_COUNT)
#define CLIENTS_COUNT 3u
#define WORKERS_COUNT 3u
#define CREDIT        16u
#define KILLS_COUNT   8u
#define STEPS_COUNT   3u
#define CALLS_MAX     64u /* of one step */

enum { HANDLER_A, HANDLER_B, HANDLER_C, HANDLER_UNDO };
static const char *const handlers[] = {"a", "b", "c", "undo"};

static int set_up_trip(void **state)
{
    char file[PATH_MAX];
    net_set_up(state);
    cli_path(file, serve_scratch, "trip.asl.json");
    cli_write(file, TRIP);
    cli_path(file, serve_scratch, "short.asl.json");
    cli_write(file, SHORT);
    return 0;
}

static void serve(void)
{
    char trip[PATH_MAX], brief[PATH_MAX];
    cli_path(trip, serve_scratch, "trip.asl.json");
    cli_path(brief, serve_scratch, "short.asl.json");
    net_serve(SERVE_ARGS("--define", trip, "--define", brief));
}

/* ---- the ledger ------------------------------------------------------------------------------ */

/* What happened outside to one step of one saga. Each call is answered with a number of its own, so
 * that it shows which of them the engine went on with. */
struct step_account {
    uint32_t calls_count, undone_count;
    uint32_t numbers[CALLS_MAX]; /* answered with */
    uint32_t input, output;      /* as the engine said both; 0: not yet */
};

struct saga_account {
    struct step_account steps[STEPS_COUNT];
    uint32_t ends_count;
    bool listed;
};

static struct ledger {
    struct saga_account sagas[SAGAS_MAX + 1]; /* by id */
    uint64_t ids[SAGAS_COUNT];                /* by word; 0: not acknowledged */
    bool known[SAGAS_MAX + 1];                /* acknowledged under some word */
    bool closed[SAGAS_COUNT];                 /* its last answer has come */
    uint32_t acknowledged, unknown, closed_count, sent, numbers_used, calls_count, kills;
} ledger;

static struct saga_account *account_of(uint64_t saga_id)
{
    assert_in_range(saga_id, 1, SAGAS_MAX);
    return &ledger.sagas[saga_id];
}

static uint32_t number_in(const void *bytes, size_t count)
{
    const uint8_t *at = bytes;
    if (count == 1 && at[0] == 0xc0)
        return 0;
    assert_true(count == 5 && at[0] == 0xce);
    return (uint32_t)at[1] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 8 | at[4];
}

/* Whatever the engine says of a step, it says the same each time. */
static void note(uint32_t *known, uint32_t said)
{
    if (*known != 0)
        assert_int_equal(*known, said);
    *known = said;
}

static void expect_answered(const struct step_account *step, uint32_t number)
{
    for (uint32_t i = 0; i < step->calls_count; i++)
        if (step->numbers[i] == number)
            return;
    fail_msg("%u is no answer that was given", number);
}

/* ---- workers --------------------------------------------------------------------------------- */

/* A third of them fails at the end, and is undone. */
static const char *outcome_of(uint64_t saga_id)
{
    return saga_id % 3 == 0 ? "COMPENSATED" : "SUCCEEDED";
}

static bool is_to_fail(const struct flyover_invocation *call)
{
    return call->handler == HANDLER_C && call->saga_id % 3 == 0;
}

/* The input of a step is what the engine took as the output of the one before. */
static void note_input(const struct flyover_invocation *call, uint32_t index)
{
    struct saga_account *saga = account_of(call->saga_id);
    uint32_t input = number_in(call->input, call->input_bytes);
    note(&saga->steps[index].input, input);
    if (index == 0) {
        assert_int_equal(input, 0);
        return;
    }
    expect_answered(&saga->steps[index - 1], input);
    note(&saga->steps[index - 1].output, input);
}

static void do_step(struct flyover_client *worker, const struct flyover_invocation *call)
{
    struct step_account *step = &account_of(call->saga_id)->steps[call->handler];
    assert_int_equal(call->step_no, call->handler + 1);
    assert_false(call->compensation);
    note_input(call, call->handler);
    assert_true(step->calls_count < CALLS_MAX);
    uint32_t number = ++ledger.numbers_used;
    step->numbers[step->calls_count++] = number;
    const uint8_t output[] = {0xce, (uint8_t)(number >> 24), (uint8_t)(number >> 16),
                              (uint8_t)(number >> 8), (uint8_t)number};
    enum flyover_status status =
        is_to_fail(call) ? flyover_answer_failed(worker, call->id, false, "Trip.Off", "as planned")
                         : flyover_answer_done(worker, call->id, output, sizeof output);
    assert_true(status == FLYOVER_OK || status == FLYOVER_NOT_FOUND);
}

/* What is undone is what the engine has gone on with. */
static void undo_step(struct flyover_client *worker, const struct flyover_invocation *call)
{
    assert_true(call->compensation);
    assert_in_range(call->step_no, 1, 2);
    assert_int_equal(call->saga_id % 3, 0);
    struct step_account *step = &account_of(call->saga_id)->steps[call->step_no - 1];
    assert_true(step->output != 0);
    assert_int_equal(number_in(call->output, call->output_bytes), step->output);
    step->undone_count++;
    enum flyover_status status = flyover_answer_done(worker, call->id, "\xc0", 1);
    assert_true(status == FLYOVER_OK || status == FLYOVER_NOT_FOUND);
}

static void work(struct flyover_client *worker)
{
    struct flyover_invocation call;
    while (flyover_next_invocation(worker, &call, 0)) {
        ledger.calls_count++;
        if (call.handler == HANDLER_UNDO)
            undo_step(worker, &call);
        else
            do_step(worker, &call);
    }
    assert_false(flyover_is_lost(worker));
    flyover_flush(worker);
}

/* ---- clients --------------------------------------------------------------------------------- */

static bool is_named(uint64_t word)
{
    return word % 2 == 0;
}

static void send_one(struct flyover_client *client, uint32_t word)
{
    char name[32];
    snprintf(name, sizeof name, "trip-%u", word);
    struct flyover_start start = net_start_of("trip", is_named(word) ? name : NULL);
    assert_int_equal(flyover_send_start(client, &start, FLYOVER_AT_BOTH, word), FLYOVER_OK);
}

static void on_started(const struct flyover_answer_message *answer)
{
    uint64_t *id = &ledger.ids[answer->word];
    account_of(answer->saga_id);
    if (*id != 0) {
        assert_int_equal(*id, answer->saga_id);
        return;
    }
    /* It is no other's. */
    assert_false(ledger.known[answer->saga_id]);
    ledger.known[answer->saga_id] = true;
    *id = answer->saga_id;
    ledger.acknowledged++;
}

static void on_ended(const struct flyover_answer_message *answer)
{
    struct saga_account *saga = account_of(answer->saga_id);
    on_started(answer);
    saga->ends_count++;
    assert_string_equal(answer->outcome, outcome_of(answer->saga_id));
    if (answer->saga_id % 3 != 0 && answer->output_bytes > 1)
        expect_answered(&saga->steps[2], number_in(answer->output, answer->output_bytes));
}

static void close_word(uint64_t word)
{
    assert_false(ledger.closed[word]);
    ledger.closed[word] = true;
    ledger.closed_count++;
}

static void on_answer(const struct flyover_answer_message *answer)
{
    switch (answer->kind) {
    case FLYOVER_STARTED: on_started(answer); break;
    case FLYOVER_ENDED:
        on_ended(answer);
        close_word(answer->word);
        break;
    case FLYOVER_REFUSED_REQUEST:
        /* Nobody knows of it, and it had no name by which it could be asked for. */
        assert_int_equal(answer->status, FLYOVER_UNKNOWN);
        assert_false(is_named(answer->word));
        assert_int_equal(ledger.ids[answer->word], 0);
        ledger.unknown++;
        close_word(answer->word);
        break;
    case FLYOVER_RECONNECTED: break;
    case FLYOVER_DEFINED:
    case FLYOVER_ANSWERED:
    case FLYOVER_EVENT:
    default: fail_msg("another answer: %d", (int)answer->kind);
    }
}

static void hear(struct flyover_client *client)
{
    struct flyover_answer_message answer;
    while (flyover_next(client, &answer, 0))
        on_answer(&answer);
    assert_false(flyover_is_lost(client));
}

/* ---- the engine, killed again and again ------------------------------------------------------ */

/* Until one of them has something to do. */
static void rest(struct flyover_client *const *all, size_t count)
{
    struct pollfd polled[CLIENTS_COUNT + WORKERS_COUNT];
    int32_t least_ms = 100;
    for (size_t i = 0; i < count; i++) {
        int32_t ms = flyover_timeout_ms(all[i]);
        least_ms = ms >= 0 && ms < least_ms ? ms : least_ms;
        polled[i] = (struct pollfd){.fd = flyover_fd(all[i]), .events = POLLIN};
        polled[i].events |= flyover_wants_write(all[i]) ? POLLOUT : 0;
    }
    poll(polled, (nfds_t)count, least_ms);
}

/* By what was done so far, so that it hits the engine at work however fast it is. */
static void kill_when_due(void)
{
    if (ledger.kills == KILLS_COUNT || ledger.calls_count < (ledger.kills + 1) * SAGAS_COUNT / 4)
        return;
    serve_kill(&serve_it);
    serve();
    ledger.kills++;
}

static struct flyover_client *clients[CLIENTS_COUNT], *workers[WORKERS_COUNT];

/* A turn of everybody; true once each start has had its last answer. */
static bool are_all_answered(void)
{
    struct flyover_client *all[CLIENTS_COUNT + WORKERS_COUNT];
    memcpy(all, clients, sizeof clients);
    memcpy(all + CLIENTS_COUNT, workers, sizeof workers);
    /* A few at a time, so that there is something to start behind each kill. */
    for (; ledger.sent < SAGAS_COUNT && ledger.sent < ledger.closed_count + SAGAS_COUNT / 6;
         ledger.sent++)
        send_one(clients[ledger.sent % CLIENTS_COUNT], ledger.sent);
    for (uint32_t i = 0; i < CLIENTS_COUNT; i++)
        hear(clients[i]);
    for (uint32_t i = 0; i < WORKERS_COUNT; i++)
        work(workers[i]);
    kill_when_due();
    rest(all, CLIENTS_COUNT + WORKERS_COUNT);
    return ledger.closed_count == SAGAS_COUNT;
}

/* Those of which nobody was told go on too. */
static bool are_all_ended(void)
{
    for (uint32_t i = 0; i < WORKERS_COUNT; i++)
        work(workers[i]);
    return net_count("succeeded") + net_count("compensated") == net_count("started");
}

static void expect_saga(json_t *row)
{
    uint64_t id = (uint64_t)cli_integer(row, "saga");
    struct saga_account *saga = account_of(id);
    assert_false(saga->listed);
    saga->listed = true;
    assert_string_equal(cli_text(row, "state"), outcome_of(id));
    for (uint32_t i = 0; i < STEPS_COUNT; i++)
        assert_true(saga->steps[i].calls_count > 0);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(saga->steps[i].undone_count > 0, id % 3 == 0);
    assert_int_equal(saga->ends_count, ledger.known[id] ? 1 : 0);
}

/* Every page of it; how many sagas the engine knows to have ended. */
static uint32_t expect_history(void)
{
    char cursor[256] = "";
    uint32_t count = 0;
    for (uint32_t id = 0; id <= SAGAS_MAX; id++)
        ledger.sagas[id].listed = false;
    for (;;) {
        json_t *page = cli_expect_json(
            cli_run("saga", "-d", serve_data, "list", "--state", "ENDED", "--limit", "500",
                    "--json", cursor[0] == '\0' ? NULL : "--cursor", cursor, (char *)NULL));
        json_t *rows = cli_member(page, "sagas");
        for (size_t i = 0; i < json_array_size(rows); i++, count++)
            expect_saga(json_array_get(rows, i));
        const char *next = json_string_value(json_object_get(page, "cursor"));
        snprintf(cursor, sizeof cursor, "%s", next == NULL ? "" : next);
        json_decref(page);
        if (cursor[0] == '\0')
            return count;
    }
}

static void expect_accounts_agree(void)
{
    int64_t started = net_count("started");
    print_message("%u acknowledged, %u unknown, %lld started, %u steps done, %u asked for\n",
                  ledger.acknowledged, ledger.unknown, (long long)started, ledger.numbers_used,
                  ledger.calls_count);
    assert_int_equal(ledger.acknowledged + ledger.unknown, SAGAS_COUNT);
    assert_in_range(started, ledger.acknowledged, ledger.acknowledged + ledger.unknown);
    assert_int_equal(expect_history(), started);
    for (uint32_t word = 0; word < SAGAS_COUNT; word++)
        if (ledger.ids[word] != 0)
            assert_int_equal(account_of(ledger.ids[word])->ends_count, 1);
}

static void an_engine_killed_again_and_again_agrees_with_the_ledger_outside(void **state)
{
    (void)state;
    ledger = (struct ledger){0};
    serve();
    for (uint32_t i = 0; i < CLIENTS_COUNT; i++)
        clients[i] = serve_connect(serve_address);
    for (uint32_t i = 0; i < WORKERS_COUNT; i++) {
        workers[i] = serve_connect(serve_address);
        assert_int_equal(flyover_register(workers[i], "trip", handlers, 4, CREDIT), FLYOVER_OK);
    }
    net_until(are_all_answered, "each start has had its last answer");
    assert_int_equal(ledger.kills, KILLS_COUNT);
    net_until(are_all_ended, "each saga has ended");
    expect_accounts_agree();
    for (uint32_t i = 0; i < CLIENTS_COUNT; i++)
        flyover_close(clients[i]);
    for (uint32_t i = 0; i < WORKERS_COUNT; i++)
        flyover_close(workers[i]);
    serve_stop(&serve_it);
    expect_accounts_agree();
    cli_expect_done(cli_run("journal", "verify", "--data", serve_data, (char *)NULL));
}

/* ---- workers that die, or come too late ------------------------------------------------------ */

struct key {
    uint64_t saga_id;
    uint32_t step_no, compensation;
};

static struct key key_of(const struct flyover_invocation *call)
{
    return (struct key){call->saga_id, call->step_no, call->compensation};
}

/* In a process of its own: takes what it gets, says so, and never answers. */
static void take_and_never_answer(int out)
{
    static const char *const go[] = {"go"};
    struct flyover_invocation call;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct flyover_client *worker = serve_connect(serve_address);
    if (flyover_register(worker, "far", go, 1, CREDIT) != FLYOVER_OK)
        _exit(1);
    while (flyover_next_invocation(worker, &call, -1)) {
        struct key key = key_of(&call);
        if (write(out, &key, sizeof key) != sizeof key)
            _exit(1);
    }
    _exit(1);
}

static pid_t fork_worker(int *ret_in)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        take_and_never_answer(ends[1]);
    close(ends[1]);
    *ret_in = ends[0];
    return pid;
}

static void kill_worker(pid_t pid)
{
    int ending;
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &ending, 0), pid);
    assert_true(WIFSIGNALED(ending));
}

static void what_a_killed_worker_had_is_done_by_another_under_the_same_key(void **state)
{
    (void)state;
    static const char *const go[] = {"go"};
    struct key taken[CREDIT] = {0};
    int in;
    serve();
    pid_t pid = fork_worker(&in);
    struct flyover_client *client = serve_connect(serve_address);
    struct flyover_start start = net_start_of("far", NULL);
    for (uint32_t i = 0; i < CREDIT; i++)
        assert_int_equal(flyover_send_start(client, &start, FLYOVER_AT_END, i), FLYOVER_OK);
    assert_int_equal(flyover_flush(client), FLYOVER_OK);
    for (uint32_t i = 0; i < CREDIT; i++) {
        struct key key;
        assert_int_equal(read(in, &key, sizeof key), sizeof key);
        assert_in_range(key.saga_id, 1, CREDIT);
        taken[key.saga_id - 1] = key;
    }
    struct flyover_client *worker = serve_connect(serve_address);
    assert_int_equal(flyover_register(worker, "far", go, 1, CREDIT), FLYOVER_OK);
    kill_worker(pid);
    for (uint32_t i = 0; i < CREDIT; i++) {
        struct flyover_invocation call;
        assert_true(flyover_next_invocation(worker, &call, SERVE_LONG_MS));
        struct key key = key_of(&call);
        assert_in_range(key.saga_id, 1, CREDIT);
        assert_memory_equal(&key, &taken[key.saga_id - 1], sizeof key);
        taken[key.saga_id - 1] = (struct key){0}; /* once */
        assert_int_equal(flyover_answer_done(worker, call.id, "\x2a", 1), FLYOVER_OK);
    }
    assert_int_equal(flyover_flush(worker), FLYOVER_OK);
    for (uint32_t i = 0; i < CREDIT; i++)
        assert_string_equal(net_next(client).outcome, "SUCCEEDED");
    close(in);
    flyover_close(worker);
    flyover_close(client);
    serve_stop(&serve_it);
}

static uint64_t hear_invocation(struct net_peer *worker)
{
    uint64_t number = 0;
    const char *heard = net_hear(worker);
    if (sscanf(heard, "[32,%" SCNu64 ",", &number) != 1)
        fail_msg("no invocation, but '%s'", heard);
    return number;
}

static struct net_peer offer(void)
{
    struct net_peer worker = net_greet(NULL);
    net_say(&worker, "[30, 1, \"far\", [\"go\"], 1]");
    net_expect(&worker, "[31,1]");
    return worker;
}

static void answer(struct net_peer *worker, uint64_t number, const char *output)
{
    char said[128];
    snprintf(said, sizeof said, "[33, %" PRIu64 ", \"%s\"]", number, output);
    net_say(worker, said);
}

static void expect_late(struct net_peer *worker, uint64_t number)
{
    char late[64];
    snprintf(late, sizeof late, "[36,%" PRIu64 "]", number);
    net_expect(worker, late);
}

static void a_worker_that_comes_back_late_is_told_so_and_changes_nothing(void **state)
{
    (void)state;
    serve();
    struct net_peer gone = offer(), client = net_greet(NULL);
    net_say(&client, "[12, 5, \"far\", null, {\"reply\": 1}]");
    uint64_t number = hear_invocation(&gone);
    net_hang_up(&gone, true);
    struct net_peer other = offer();
    uint64_t again = hear_invocation(&other);
    struct net_peer back = net_greet(NULL);
    answer(&back, number, "too late");
    expect_late(&back, number);
    answer(&other, again, "in time");
    net_expect(&client, "[14,5,1,\"SUCCEEDED\",\"in time\"");
    net_hang_up(&back, false);
    net_hang_up(&other, false);
    net_hang_up(&client, false);
    serve_stop(&serve_it);
}

static void a_worker_whose_step_is_out_of_time_is_told_so(void **state)
{
    (void)state;
    serve();
    struct net_peer worker = offer(), client = net_greet(NULL);
    net_say(&client, "[12, 5, \"short\", null, {\"reply\": 1}]");
    uint64_t number = hear_invocation(&worker);
    net_expect(&client, "[14,5,1,\"FAILED\",null,\"States.Timeout\"");
    answer(&worker, number, "too late");
    expect_late(&worker, number);
    assert_int_equal(net_count("failed"), 1);
    assert_int_equal(net_count("succeeded"), 0);
    net_hang_up(&worker, false);
    net_hang_up(&client, false);
    serve_stop(&serve_it);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_trip, net_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_engine_killed_again_and_again_agrees_with_the_ledger_outside),
        TEST(what_a_killed_worker_had_is_done_by_another_under_the_same_key),
        TEST(a_worker_that_comes_back_late_is_told_so_and_changes_nothing),
        TEST(a_worker_whose_step_is_out_of_time_is_told_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
