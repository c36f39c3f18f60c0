/*
 * `flyover top`: the real program, beside a real engine: as text, as JSON, and on a terminal that
 * the test holds the other end of.
 */
#include "tests/cli/serve_rig.h"

#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/client/flyover.h"

#define PASS "{\"StartAt\":\"P\",\"States\":{\"P\":{\"Type\":\"Pass\",\"End\":true}}}"
#define SLEEP                                                                                      \
    "{\"StartAt\":\"W\",\"States\":{\"W\":{\"Type\":\"Wait\",\"Seconds\":9999,\"End\":true}}}"
#define SAGAS        321u
#define NIL          "\xc0"
#define LONG_MS      60000
#define SCREEN_BYTES (4u << 20)

static struct serve_rig rig;
static char scratch[PATH_MAX], data[PATH_MAX], pass_file[PATH_MAX], sleep_file[PATH_MAX];

/* `top` on a terminal, and all that it has written there. */
static struct screen {
    pid_t pid; /* 0: none */
    int end;
    char text[SCREEN_BYTES];
    size_t bytes, seen;
} screen;

static int set_up(void **state)
{
    (void)state;
    cli_make_directory(scratch);
    cli_path(data, scratch, "data");
    cli_path(pass_file, scratch, "pass.asl.json");
    cli_path(sleep_file, scratch, "sleep.asl.json");
    cli_write(pass_file, PASS);
    cli_write(sleep_file, SLEEP);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (screen.pid > 0) {
        kill(screen.pid, SIGKILL);
        waitpid(screen.pid, NULL, 0);
        close(screen.end);
        screen.pid = 0;
    }
    serve_kill(&rig);
    cli_remove(scratch);
    return 0;
}

static void start_serving(void)
{
    const char *const arguments[] = {"--data",  data,       "--listen", "127.0.0.1:0", "--define",
                                     pass_file, "--define", sleep_file, NULL};
    serve_start(&rig, arguments);
}

static void start_many(const char *definition, enum flyover_when when, uint32_t count)
{
    struct flyover_client *client;
    struct flyover_answer_message answer;
    struct flyover_client_options options = {.address = rig.address, .connect_ms = LONG_MS};
    const struct flyover_start start = {.definition = definition, .input = NIL, .input_bytes = 1};
    assert_int_equal(flyover_connect(&options, &client), FLYOVER_OK);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(flyover_send_start(client, &start, when, i), FLYOVER_OK);
    for (uint32_t i = 0; i < count; i++)
        assert_true(flyover_next(client, &answer, LONG_MS));
    flyover_close(client);
}

/* ---- as text --------------------------------------------------------------------------------- */

static void expect_frame(struct cli_result result)
{
    cli_expect(&result, CLI_DONE);
    if (strstr(result.out, "321 succeeded") == NULL || strstr(result.out, "7 asleep") == NULL ||
        strstr(result.out, "328 started") == NULL || strchr(result.out, 0x1b) != NULL)
        fail_msg("%s", result.out);
    cli_free(&result);
}

static void one_frame_as_text_says_what_was_run(void **state)
{
    (void)state;
    start_serving();
    start_many("pass", FLYOVER_AT_END, SAGAS);
    start_many("sleep", FLYOVER_AT_ACCEPTANCE, 7);
    expect_frame(cli_run("top", "--data", data, "--once", "--interval", "0.1", (char *)NULL));
    expect_frame(
        cli_run("top", "--connect", rig.address, "--once", "--interval", "0.1", (char *)NULL));
    serve_stop(&rig);
}

static void figures_are_one_object_for_machines(void **state)
{
    (void)state;
    start_serving();
    start_many("pass", FLYOVER_AT_END, SAGAS);
    const char *const ways[][2] = {{"--data", data}, {"--connect", rig.address}};
    for (size_t i = 0; i < 2; i++) {
        json_t *figures =
            cli_expect_json(cli_run("top", ways[i][0], ways[i][1], "--json", (char *)NULL));
        assert_int_equal(cli_integer(figures, "totals/started"), SAGAS);
        assert_int_equal(cli_integer(figures, "totals/succeeded"), SAGAS);
        assert_int_equal(cli_integer(figures, "live/all"), 0);
        assert_true(cli_integer(figures, "journal/blocks") > 0);
        assert_true(cli_integer(figures, "net/accepted") > 0);
        json_decref(figures);
    }
    serve_stop(&rig);
}

static void what_cannot_be_shown_is_refused(void **state)
{
    (void)state;
    struct cli_result result = cli_run("top", "--data", data, "--once", (char *)NULL);
    cli_expect_says(&result, CLI_DATA, "no engine runs on", (char *)NULL);
    cli_free(&result);
    result = cli_run("top", "--connect", "127.0.0.1:1", "--json", (char *)NULL);
    assert_int_not_equal(result.exit_code, CLI_DONE);
    cli_free(&result);
    result = cli_run("top", "--data", data, (char *)NULL);
    cli_expect_says(&result, CLI_USAGE, "no terminal", "--once", (char *)NULL);
    cli_free(&result);
    result = cli_run("top", (char *)NULL);
    cli_expect_says(&result, CLI_USAGE, "--data DIR", (char *)NULL);
    cli_free(&result);
    result = cli_run("top", "--data", data, "--interval", "0", (char *)NULL);
    cli_expect_says(&result, CLI_USAGE, "--interval takes", (char *)NULL);
    cli_free(&result);
}

/* A directory that no engine runs on stays one that an engine may be started on. */
static void a_directory_without_an_engine_is_not_opened(void **state)
{
    (void)state;
    start_serving();
    serve_stop(&rig);
    struct cli_result result = cli_run("top", "--data", data, "--once", (char *)NULL);
    cli_expect_says(&result, CLI_DATA, "no engine runs on", (char *)NULL);
    cli_free(&result);
}

/* ---- on a terminal --------------------------------------------------------------------------- */

static void open_screen(const char *terminal)
{
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    screen.bytes = screen.seen = 0;
    screen.text[0] = 0;
    screen.pid = forkpty(&screen.end, NULL, NULL, &size);
    assert_true(screen.pid >= 0);
    if (screen.pid > 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(CLI_SECONDS_MAX);
    setenv("TERM", terminal, 1);
    execl(cli_program(), "flyover", "top", "--data", data, "--interval", "0.1", (char *)NULL);
    _exit(127);
}

static bool read_screen(void)
{
    struct pollfd polled = {.fd = screen.end, .events = POLLIN};
    if (poll(&polled, 1, (int)CLI_SECONDS_MAX * 1000) != 1)
        fail_msg("it writes nothing more");
    assert_true(screen.bytes < SCREEN_BYTES - 1);
    ssize_t count = read(screen.end, screen.text + screen.bytes, SCREEN_BYTES - 1 - screen.bytes);
    screen.bytes += count > 0 ? (size_t)count : 0;
    screen.text[screen.bytes] = '\0';
    return count > 0;
}

/* Behind what was awaited last. */
static void await(const char *word)
{
    for (;;) {
        const char *found = strstr(screen.text + screen.seen, word);
        if (found != NULL) {
            screen.seen = (size_t)(found - screen.text) + strlen(word);
            return;
        }
        if (!read_screen())
            fail_msg("it ended without '%s'", word);
    }
}

static int end_screen(void)
{
    int ending;
    while (read_screen())
        ;
    assert_int_equal(waitpid(screen.pid, &ending, 0), screen.pid);
    close(screen.end);
    screen.pid = 0;
    return WIFEXITED(ending) ? WEXITSTATUS(ending) : 128 + WTERMSIG(ending);
}

static void it_goes_on_while_its_engine_is_gone_and_back_and_ends_by_q(void **state)
{
    (void)state;
    open_screen("xterm");
    await("no engine runs on");
    start_serving();
    await("steps/s");
    serve_kill(&rig);
    await("no engine runs on");
    start_serving();
    start_many("pass", FLYOVER_AT_END, SAGAS);
    await("321");
    assert_int_equal(write(screen.end, "xq", 2), 2);
    assert_int_equal(end_screen(), CLI_DONE);
    serve_stop(&rig);
}

static void it_takes_the_size_that_its_terminal_gets(void **state)
{
    (void)state;
    start_serving();
    open_screen("xterm");
    await("steps/s");
    struct winsize size = {.ws_row = 10, .ws_col = 40};
    assert_int_equal(ioctl(screen.end, TIOCSWINSZ, &size), 0);
    await("40 x 10 is too small");
    size = (struct winsize){.ws_row = 50, .ws_col = 120};
    assert_int_equal(ioctl(screen.end, TIOCSWINSZ, &size), 0);
    await("steps/s");
    assert_int_equal(write(screen.end, "q", 1), 1);
    assert_int_equal(end_screen(), CLI_DONE);
    serve_stop(&rig);
}

static void it_ends_with_its_terminal(void **state)
{
    (void)state;
    start_serving();
    open_screen("xterm");
    await("steps/s");
    int ending;
    close(screen.end);
    assert_int_equal(waitpid(screen.pid, &ending, 0), screen.pid);
    screen.pid = 0;
    serve_stop(&rig);
}

static void a_terminal_that_is_not_known_is_refused(void **state)
{
    (void)state;
    open_screen("no-such-terminal");
    await("is not known");
    assert_int_equal(end_screen(), CLI_USAGE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_frame_as_text_says_what_was_run),
        TEST(figures_are_one_object_for_machines),
        TEST(what_cannot_be_shown_is_refused),
        TEST(a_directory_without_an_engine_is_not_opened),
        TEST(it_goes_on_while_its_engine_is_gone_and_back_and_ends_by_q),
        TEST(it_takes_the_size_that_its_terminal_gets),
        TEST(it_ends_with_its_terminal),
        TEST(a_terminal_that_is_not_known_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
