/*
 * The network between engine and clients cut and there again: the engine in a network namespace of
 * its own, a pair of virtual cards between it and this program, and the far one taken down, so that
 * packets vanish and nobody is told. Needs root; skipped, with the reason, where it may not.
 *
 *     this program (a namespace of its own) near 10.77.0.1 ── far 10.77.0.2 the engine's
 */
#include "tests/cli/net_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define IP           "/sbin/ip"
#define NEAR         "10.77.0.1/24"
#define FAR          "10.77.0.2/24"
#define ADDRESS      "10.77.0.2:7233"
#define HEARTBEAT_MS "1500"
#define SAGAS_COUNT  200u
#define CREDIT       32u
#define ROUNDS       2u

static char reason[320]; /* why it cannot be done here; "": it can */
static pid_t holder;     /* a process that does nothing but keep the engine's namespace */
static int far_namespace = -1;

/* ---- two namespaces -------------------------------------------------------------------------- */

static bool cannot(const char *what)
{
    snprintf(reason, sizeof reason, "%s: %s", what, strerror(errno));
    return false;
}

static void hold_namespace(int ready)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (unshare(CLONE_NEWNET) != 0)
        _exit(1);
    if (write(ready, "", 1) == 1)
        pause();
    _exit(1);
}

static bool start_holder(void)
{
    int ends[2];
    char byte, path[64];
    if (pipe2(ends, O_CLOEXEC) != 0 || (holder = fork()) < 0)
        return cannot("fork");
    if (holder == 0)
        hold_namespace(ends[1]);
    close(ends[1]);
    bool is_ready = read(ends[0], &byte, 1) == 1;
    close(ends[0]);
    snprintf(path, sizeof path, "/proc/%d/ns/net", holder);
    far_namespace = is_ready ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    return far_namespace >= 0 || cannot("a network namespace cannot be made");
}

static void enter_far(void)
{
    if (setns(far_namespace, CLONE_NEWNET) != 0)
        _exit(125);
}

/* `ip ARGUMENTS` here, or beside the engine. */
static bool ip(bool is_far, const char *arguments)
{
    char command[256];
    snprintf(command, sizeof command, IP " %s", arguments);
    pid_t pid = fork();
    if (pid == 0) {
        if (is_far)
            enter_far();
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    int ending;
    if (pid < 0 || waitpid(pid, &ending, 0) != pid || ending != 0) {
        snprintf(reason, sizeof reason, "'%s' does not work here", command);
        return false;
    }
    return true;
}

static bool connect_namespaces(void)
{
    char move[64];
    snprintf(move, sizeof move, "link set far netns %d", holder);
    return ip(false, "link add near type veth peer name far") && ip(false, move) &&
           ip(false, "addr add " NEAR " dev near") && ip(false, "link set near up") &&
           ip(true, "addr add " FAR " dev far") && ip(true, "link set lo up") &&
           ip(true, "link set far up");
}

/* All of it goes away with the processes. */
static int make_namespaces(void **state)
{
    (void)state;
    if (access(IP, X_OK) != 0)
        cannot(IP " (package iproute2)");
    else if (unshare(CLONE_NEWNET) != 0)
        cannot("a network namespace cannot be made (it needs root)");
    else if (start_holder())
        connect_namespaces();
    return 0;
}

static int end_namespaces(void **state)
{
    (void)state;
    if (holder > 0) {
        kill(holder, SIGKILL);
        waitpid(holder, NULL, 0);
    }
    return 0;
}

static void cut_network(void)
{
    assert_true(ip(true, "link set far down"));
}

static void mend_network(void)
{
    assert_true(ip(true, "link set far up"));
}

static int set_up(void **state)
{
    net_set_up(state);
    net_before = enter_far;
    return 0;
}

static void serve(void)
{
    net_serve(SERVE_ARGS("--listen", ADDRESS, "--insecure", "--heartbeat-ms", HEARTBEAT_MS));
}

static struct flyover_client *connect_far(void)
{
    struct flyover_client *client;
    struct flyover_client_options options = {
        .address = ADDRESS, .name = "far away", .connect_ms = SERVE_LONG_MS};
    if (flyover_connect(&options, &client) != FLYOVER_OK)
        fail_msg("%s\n%s", flyover_connect_problem(), serve_it.log);
    return client;
}

/* ---- at work --------------------------------------------------------------------------------- */

/* What was heard of each start, and what the worker has. */
static struct {
    uint64_t ids[SAGAS_COUNT];
    bool ended[SAGAS_COUNT];
    uint32_t ended_count, reconnected_count;
    uint64_t held[CREDIT], held_sagas[CREDIT]; /* taken and not answered */
    uint32_t held_count, cuts_count;
} seen;

static struct flyover_client *client, *worker;

static void send_all(void)
{
    char name[32];
    for (uint32_t i = 0; i < SAGAS_COUNT; i++) {
        snprintf(name, sizeof name, "far-%u", i);
        struct flyover_start start = net_start_of("far", name);
        assert_int_equal(flyover_send_start(client, &start, FLYOVER_AT_BOTH, i), FLYOVER_OK);
    }
    assert_int_equal(flyover_flush(client), FLYOVER_OK);
}

static void on_answer(const struct flyover_answer_message *answer)
{
    if (answer->kind == FLYOVER_RECONNECTED) {
        seen.reconnected_count++;
        return;
    }
    if (answer->kind != FLYOVER_STARTED && answer->kind != FLYOVER_ENDED)
        fail_msg("%s", answer->problem == NULL ? "another answer" : answer->problem);
    uint64_t *id = &seen.ids[answer->word];
    if (*id != 0)
        assert_int_equal(*id, answer->saga_id);
    *id = answer->saga_id;
    if (answer->kind != FLYOVER_ENDED)
        return;
    assert_false(seen.ended[answer->word]);
    assert_string_equal(answer->outcome, "SUCCEEDED");
    seen.ended[answer->word] = true;
    seen.ended_count++;
}

static void hear(int32_t timeout_ms)
{
    struct flyover_answer_message answer;
    while (flyover_next(client, &answer, timeout_ms)) {
        on_answer(&answer);
        timeout_ms = 0;
    }
    assert_false(flyover_is_lost(client));
}

/* Takes what comes and answers nothing, until it has as much as it may have. */
static void fill_hands(void)
{
    struct flyover_invocation call;
    for (seen.held_count = 0; seen.held_count < CREDIT; seen.held_count++) {
        assert_true(flyover_next_invocation(worker, &call, SERVE_LONG_MS));
        assert_in_range(call.saga_id, 1, SAGAS_COUNT);
        seen.held[seen.held_count] = call.id;
        seen.held_sagas[seen.held_count] = call.saga_id;
    }
}

static void work(void)
{
    struct flyover_invocation call;
    while (flyover_next_invocation(worker, &call, 0)) {
        assert_int_equal(call.step_no, 1);
        assert_int_equal(flyover_answer_done(worker, call.id, "\x2a", 1), FLYOVER_OK);
    }
    assert_false(flyover_is_lost(worker));
    flyover_flush(worker);
}

/* Both are ready to answer all the time, so that only the network can be why nothing comes. */
static bool are_both_cut(void)
{
    struct flyover_answer_message answer;
    hear(5);
    assert_false(flyover_next(worker, &answer, 5) && answer.kind != FLYOVER_RECONNECTED);
    seen.cuts_count += serve_has_said(&serve_it, "it does not answer");
    return seen.cuts_count == 2;
}

static bool has_reconnected(void)
{
    hear(5);
    return seen.reconnected_count > 0;
}

/* All that it had comes with the same key, before anything else. */
static void take_again(void)
{
    for (uint32_t i = 0; i < CREDIT; i++) {
        struct flyover_invocation call;
        assert_true(flyover_next_invocation(worker, &call, SERVE_LONG_MS));
        uint32_t index = 0;
        while (index < CREDIT && seen.held_sagas[index] != call.saga_id)
            index++;
        assert_in_range(index, 0, CREDIT - 1);
        seen.held_sagas[index] = 0;
        assert_int_equal(call.step_no, 1);
        assert_int_equal(flyover_answer_done(worker, call.id, "\x2a", 1), FLYOVER_OK);
    }
}

/* Cuts while the worker has its hands full, and goes on until all that it had came once more. */
static void cut_and_mend(void)
{
    seen.reconnected_count = seen.cuts_count = 0;
    fill_hands();
    hear(0);
    cut_network();
    net_until(are_both_cut, "the engine finds out that both are gone");
    assert_int_equal(seen.reconnected_count, 0);
    mend_network();
    net_until(has_reconnected, "the client is there again");
    take_again();
    /* What it had before the cut is nobody's any more. */
    for (uint32_t i = 0; i < CREDIT; i++)
        assert_int_equal(flyover_answer_done(worker, seen.held[i], "\x2b", 1), FLYOVER_NOT_FOUND);
    flyover_flush(worker);
}

static void a_network_cut_and_mended_doubles_nothing_and_loses_nothing(void **state)
{
    (void)state;
    static const char *const go[] = {"go"};
    if (reason[0] != '\0') {
        print_message("%s\n", reason);
        skip();
    }
    memset(&seen, 0, sizeof seen);
    serve();
    client = connect_far();
    worker = connect_far();
    assert_int_equal(flyover_register(worker, "far", go, 1, CREDIT), FLYOVER_OK);
    send_all();
    for (uint32_t round = 0; round < ROUNDS; round++)
        cut_and_mend();
    while (seen.ended_count < SAGAS_COUNT) {
        work();
        hear(10);
    }
    assert_int_equal(net_count("started"), SAGAS_COUNT);
    assert_int_equal(net_count("succeeded"), SAGAS_COUNT);
    flyover_close(worker);
    flyover_close(client);
    serve_stop(&serve_it);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_network_cut_and_mended_doubles_nothing_and_loses_nothing,
                                        set_up, net_tear_down),
    };
    return cmocka_run_group_tests(tests, make_namespaces, end_namespaces);
}
