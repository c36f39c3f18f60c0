/*
 * `flyover serve`: the real program, talked to by the client library: how it starts, what it
 * refuses, what it reloads, and how it stops.
 */
#include "tests/cli/serve_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/certificates.h"

#define SAGAS 3000u

static void run_one(struct flyover_client *client, const char *definition)
{
    struct flyover_start start = serve_start_of(definition);
    struct flyover_answer_message end;
    if (flyover_run(client, &start, &end, SERVE_LONG_MS) != FLYOVER_OK)
        fail_msg("%s", flyover_problem(client));
    assert_string_equal(end.outcome, "SUCCEEDED");
}

/* ---- start ----------------------------------------------------------------------------------- */

static void it_says_where_it_listens_answers_there_and_stops_when_asked(void **state)
{
    (void)state;
    serve_start(&serve_it, SERVE_ARGS(SERVE_ON_ANY_PORT, "--listen", serve_address, "--define",
                                      serve_pass_file));
    assert_non_null(strstr(serve_it.log, "event=recovered"));
    assert_non_null(strstr(serve_it.log, "event=defined definition=pass version=1"));
    struct flyover_client *tcp = serve_connect(serve_it.address);
    struct flyover_client *local = serve_connect(serve_address);
    run_one(tcp, "pass");
    run_one(local, "pass");
    assert_int_equal(serve_started_count(), 2);
    flyover_close(tcp);
    flyover_close(local);
    serve_stop(&serve_it);
    assert_non_null(strstr(serve_it.log, "event=stopping signal=15"));
    assert_non_null(strstr(serve_it.log, "event=stopped sagas=2 running=0"));
    assert_int_equal(serve_started_count(), 2);
}

static void what_is_defined_at_a_start_stays_known_and_in_its_version(void **state)
{
    (void)state;
    serve_start(&serve_it, SERVE_ARGS(SERVE_ON_ANY_PORT, "--define", serve_pass_file));
    serve_stop(&serve_it);
    serve_start(&serve_it, SERVE_ARGS(SERVE_ON_ANY_PORT, "--define", serve_pass_file));
    assert_non_null(strstr(serve_it.log, "definition=pass version=1"));
    struct flyover_client *client = serve_connect(serve_it.address);
    run_one(client, "pass");
    flyover_close(client);
    serve_stop(&serve_it);
}

static void a_worker_elsewhere_does_the_steps(void **state)
{
    (void)state;
    static const char *const handlers[] = {"go"};
    serve_start(&serve_it, SERVE_ARGS(SERVE_ON_ANY_PORT, "--define", serve_far_file));
    struct flyover_client *worker = serve_connect(serve_it.address);
    struct flyover_client *client = serve_connect(serve_it.address);
    struct flyover_start start = serve_start_of("far");
    assert_int_equal(flyover_register(worker, "far", handlers, 1, 4), FLYOVER_OK);
    assert_int_equal(flyover_send_start(client, &start, FLYOVER_AT_END, 7), FLYOVER_OK);
    assert_int_equal(flyover_flush(client), FLYOVER_OK);
    struct flyover_invocation call;
    assert_true(flyover_next_invocation(worker, &call, SERVE_LONG_MS));
    assert_int_equal(flyover_answer_done(worker, call.id, "\x2a", 1), FLYOVER_OK);
    assert_int_equal(flyover_flush(worker), FLYOVER_OK);
    struct flyover_answer_message end;
    assert_true(flyover_next(client, &end, SERVE_LONG_MS));
    assert_int_equal(end.kind, FLYOVER_ENDED);
    assert_string_equal(end.outcome, "SUCCEEDED");
    flyover_close(client);
    flyover_close(worker);
    serve_stop(&serve_it);
}

static void the_control_socket_is_served_beside(void **state)
{
    (void)state;
    serve_start(&serve_it, SERVE_ARGS(SERVE_ON_ANY_PORT, "--define", serve_pass_file));
    cli_expect_done(cli_run("saga", "-d", serve_data, "start", "pass", (char *)NULL));
    cli_expect_done(
        cli_run("saga", "-d", serve_data, "wait", "1", "--timeout", "60", (char *)NULL));
    assert_int_equal(serve_started_count(), 1);
    serve_stop(&serve_it);
}

/* ---- settings -------------------------------------------------------------------------------- */

static void flags_win_over_variables_and_those_over_the_file(void **state)
{
    (void)state;
    cli_write(serve_config_file, "data:\n  dir: /from/the/file\n"
                                 "limits:\n  sagas-max: 1\n  names-max: 11\n"
                                 "log: {level: warn}\n");
    setenv("FLYOVER_LIMITS_SAGAS_MAX", "2", 1);
    setenv("FLYOVER_LOG_LEVEL", "error", 1);
    struct cli_result result =
        cli_run("serve", "--data", serve_data, "--sagas-max", "3", "--config", serve_config_file,
                "--print-config", (char *)NULL);
    cli_expect(&result, CLI_DONE);
    char line[2 * PATH_MAX];
    snprintf(line, sizeof line, "  dir: %s  # --data\n", serve_data);
    serve_expect_text(result.out, line);
    serve_expect_text(result.out, "  sagas-max: 3  # --sagas-max\n");
    serve_expect_text(result.out, "  level: error  # FLYOVER_LOG_LEVEL\n");
    snprintf(line, sizeof line, "  names-max: 11  # %s:5\n", serve_config_file);
    serve_expect_text(result.out, line);
    serve_expect_text(result.out, "  payload-mib: 256  # default, for a new data directory\n");
    cli_free(&result);
}

static void a_printed_configuration_runs_the_same(void **state)
{
    (void)state;
    struct cli_result result =
        cli_run("serve", SERVE_ON_ANY_PORT, "--limit", "far.in-flight=3", "--log-format", "json",
                "--define", serve_pass_file, "--print-config", (char *)NULL);
    cli_expect(&result, CLI_DONE);
    cli_write(serve_config_file, result.out);
    cli_free(&result);
    serve_spawn(&serve_it, NULL, SERVE_ARGS("--config", serve_config_file));
    serve_await(&serve_it, "\"event\":\"defined\"");
    serve_await(&serve_it, "\"event\":\"listening\"");
    kill(serve_it.pid, SIGTERM);
    assert_int_equal(serve_wait(&serve_it), CLI_DONE);
}

static void expect_refused(int exit_code, const char *word, const char *const *arguments)
{
    serve_spawn(&serve_it, NULL, arguments);
    int code = serve_wait(&serve_it);
    if (code != exit_code || strstr(serve_it.log, word) == NULL)
        fail_msg("it ended with %d and not %d, and not with '%s':\n%s", code, exit_code, word,
                 serve_it.log);
}

static void wrong_settings_are_refused_with_their_place(void **state)
{
    (void)state;
    expect_refused(CLI_USAGE, "--sagas-max takes 1 to",
                   SERVE_ARGS(SERVE_ON_ANY_PORT, "--sagas-max", "0"));
    expect_refused(CLI_USAGE, "'loud' is none of debug, info, warn, error",
                   SERVE_ARGS(SERVE_ON_ANY_PORT, "--log-level", "loud"));
    expect_refused(CLI_USAGE, "--limit 'x' is not of the form",
                   SERVE_ARGS(SERVE_ON_ANY_PORT, "--limit", "x"));
    expect_refused(CLI_USAGE, "'more' is no option", SERVE_ARGS(SERVE_ON_ANY_PORT, "more"));
    expect_refused(CLI_USAGE, "--data DIR", SERVE_ARGS("--listen", "127.0.0.1:0"));
    expect_refused(CLI_USAGE, "--tls-certificate and --tls-key go together",
                   SERVE_ARGS(SERVE_ON_ANY_PORT, "--tls-key", "k"));
    cli_write(serve_config_file, "data:\n  drable: sync\n");
    expect_refused(CLI_INPUT, "flyover.yaml:2: there is no data.drable",
                   SERVE_ARGS(SERVE_ON_ANY_PORT, "--config", serve_config_file));
    cli_write(serve_config_file, "services:\n  limits:\n    far: {rte: 5}\n");
    expect_refused(CLI_INPUT, "flyover.yaml:3: services.limits 'far.rte=5': there are",
                   SERVE_ARGS(SERVE_ON_ANY_PORT, "--config", serve_config_file));
    expect_refused(CLI_INPUT, "/nowhere.yaml cannot be read",
                   SERVE_ARGS(SERVE_ON_ANY_PORT, "--config", "/nowhere.yaml"));
    setenv("FLYOVER_LOG_LEVLE", "warn", 1);
    expect_refused(CLI_INPUT, "FLYOVER_LOG_LEVEL is", SERVE_ARGS(SERVE_ON_ANY_PORT));
}

static void bad_files_are_refused(void **state)
{
    (void)state;
    expect_refused(CLI_INPUT, "/nowhere.json cannot be read",
                   SERVE_ARGS(SERVE_ON_ANY_PORT, "--define", "/nowhere.json"));
    expect_refused(CLI_INPUT, "the setting 'far.x=1' is for a service",
                   SERVE_ARGS(SERVE_ON_ANY_PORT, "--set", "far.x=1"));
    expect_refused(CLI_INPUT, "/nowhere",
                   SERVE_ARGS(SERVE_ON_ANY_PORT, "--token-file", "/nowhere"));
    cli_write(serve_token_file, "ada operator nonsense\n");
    chmod(serve_token_file, 0600);
    expect_refused(CLI_INPUT, "tokens:1",
                   SERVE_ARGS(SERVE_ON_ANY_PORT, "--token-file", serve_token_file));
    expect_refused(
        CLI_INPUT, "/nowhere",
        SERVE_ARGS(SERVE_ON_ANY_PORT, "--tls-certificate", "/nowhere", "--tls-key", "/nowhere"));
}

/* ---- who may reach it ------------------------------------------------------------------------ */

static void others_reach_it_only_where_something_says_who_may(void **state)
{
    (void)state;
    const char *const anybody[] = {"--data", serve_data, "--listen", "0.0.0.0:0", NULL};
    expect_refused(CLI_USAGE, "say --insecure", anybody);
    expect_refused(CLI_USAGE, "others can reach [::]:0",
                   SERVE_ARGS("--data", serve_data, "--listen", "[::]:0"));
    expect_refused(CLI_USAGE, "others can reach 127.0.0.1.example:1",
                   SERVE_ARGS("--data", serve_data, "--listen", "127.0.0.1.example:1"));
    serve_start(&serve_it, SERVE_ARGS("--data", serve_data, "--listen", "0.0.0.0:0", "--insecure"));
    assert_non_null(strstr(serve_it.log, "event=not_encrypted"));
    serve_stop(&serve_it);
    cli_expect_done(
        cli_run("token", "ada", "--role", "operator", "--file", serve_token_file, (char *)NULL));
    serve_start(&serve_it, SERVE_ARGS("--data", serve_data, "--listen", "0.0.0.0:0", "--token-file",
                                      serve_token_file));
    assert_non_null(strstr(serve_it.log, "auth=tokens"));
    serve_stop(&serve_it);
}

static void a_token_is_made_with_its_line(void **state)
{
    (void)state;
    json_t *made =
        cli_expect_json(cli_run("token", "shop", "--role", "worker:a,b", "--json", (char *)NULL));
    assert_int_equal(strncmp(cli_text(made, "token"), "fly_", 4), 0);
    assert_non_null(strstr(cli_text(made, "line"), "shop"));
    assert_null(strstr(cli_text(made, "line"), cli_text(made, "token")));
    json_decref(made);
    struct cli_result result = cli_run("token", "shop", "--role", "king", (char *)NULL);
    cli_expect_says(&result, CLI_USAGE, "a role is client, operator", (char *)NULL);
    cli_free(&result);
    result = cli_run("token", "shop", (char *)NULL);
    cli_expect_says(&result, CLI_USAGE, "--role", (char *)NULL);
    cli_free(&result);
    free(serve_make_token("shop", "client"));
    struct stat known;
    assert_int_equal(stat(serve_token_file, &known), 0);
    assert_int_equal(known.st_mode & 0777, 0600);
    chmod(serve_token_file, 0644);
    result = cli_run("token", "shop", "--role", "client", "--file", serve_token_file, (char *)NULL);
    cli_expect_says(&result, CLI_FAILED, "chmod 600", (char *)NULL);
    cli_free(&result);
}

/* ---- what is in the way ---------------------------------------------------------------------- */

static void an_address_or_a_directory_that_is_taken_is_refused(void **state)
{
    (void)state;
    char elsewhere[PATH_MAX];
    cli_path(elsewhere, serve_scratch, "elsewhere");
    serve_start(&serve_other, SERVE_ARGS(SERVE_ON_ANY_PORT));
    expect_refused(CLI_FAILED, serve_other.address,
                   SERVE_ARGS("--data", elsewhere, "--listen", serve_other.address));
    expect_refused(CLI_DATA, serve_data, SERVE_ARGS(SERVE_ON_ANY_PORT));
    expect_refused(CLI_INPUT, "nonsense",
                   SERVE_ARGS("--data", elsewhere, "--listen", "unix:/\x01/nonsense"));
}

/* As a container's seccomp profile does. */
static void forbid_io_uring(void)
{
    static struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    static const struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void without_io_uring_it_says_what_forbids_it(void **state)
{
    (void)state;
    serve_spawn(&serve_it, forbid_io_uring, SERVE_ARGS(SERVE_ON_ANY_PORT));
    assert_int_equal(serve_wait(&serve_it), CLI_FAILED);
    assert_non_null(strstr(serve_it.log, "io_uring"));
    assert_non_null(strstr(serve_it.log, "seccomp"));
}

/* ---- reloading ------------------------------------------------------------------------------- */

static void reload(void)
{
    kill(serve_it.pid, SIGHUP);
    serve_await(&serve_it, "event=reloaded");
}

static void what_can_change_changes_and_what_cannot_is_said(void **state)
{
    (void)state;
    free(serve_make_token("ada", "operator"));
    cli_write(serve_config_file, "log: {level: info}\nlisten: {addresses: [\"127.0.0.1:0\"]}\n");
    serve_start(&serve_it, SERVE_ARGS("--data", serve_data, "--token-file", serve_token_file,
                                      "--config", serve_config_file));
    char *token = serve_make_token("shop", "client");
    struct flyover_client *refused = serve_try_connect(serve_it.address, token);
    assert_null(refused);
    cli_write(serve_config_file, "log: {level: info}\nlisten: {addresses: [\"127.0.0.1:1\"]}\n"
                                 "services: {limits: {far.rate: 5}}\n");
    kill(serve_it.pid, SIGHUP);
    serve_await(&serve_it, "event=setting_changed key=services.limits");
    serve_await(&serve_it, "event=setting_waits key=listen.addresses");
    serve_await(&serve_it, "event=reloaded");
    struct flyover_client *client = serve_try_connect(serve_it.address, token);
    if (client == NULL)
        fail_msg("%s", flyover_connect_problem());
    flyover_close(client);
    free(token);
    serve_stop(&serve_it);
}

static void a_reload_that_fails_leaves_everything_as_it_was(void **state)
{
    (void)state;
    char *token = serve_make_token("ada", "operator");
    cli_write(serve_config_file, "log: {format: plain}\n");
    serve_start(&serve_it, SERVE_ARGS(SERVE_ON_ANY_PORT, "--token-file", serve_token_file,
                                      "--config", serve_config_file, "--define", serve_pass_file));
    cli_write(serve_config_file, "log: {format: json}\nnonsense\n");
    cli_write(serve_token_file, "nonsense\n");
    kill(serve_it.pid, SIGHUP);
    serve_await(&serve_it, "event=reload_failed of=configuration");
    serve_await(&serve_it, "event=reload_failed of=tokens");
    serve_await(&serve_it, "level=warn event=reloaded");
    struct flyover_client *client = serve_try_connect(serve_it.address, token);
    if (client == NULL)
        fail_msg("%s", flyover_connect_problem());
    run_one(client, "pass");
    flyover_close(client);
    free(token);
    cli_write(serve_config_file, "log: {level: error}\n");
    kill(serve_it.pid, SIGHUP);
    serve_await(&serve_it, "event=reload_failed of=tokens");
    kill(serve_it.pid, SIGTERM);
    assert_int_equal(serve_wait(&serve_it), CLI_DONE);
    /* From that reload on only errors are said. */
    assert_null(strstr(serve_it.log, "event=stopped"));
}

static void a_limit_of_a_service_holds_from_a_reload_on(void **state)
{
    (void)state;
    static const char *const handlers[] = {"go"};
    cli_write(serve_config_file, "services: {limits: {far.in-flight: 1}}\n");
    serve_start(&serve_it, SERVE_ARGS(SERVE_ON_ANY_PORT, "--config", serve_config_file, "--define",
                                      serve_far_file));
    struct flyover_client *worker = serve_connect(serve_it.address);
    struct flyover_start start = serve_start_of("far");
    struct flyover_invocation call;
    uint64_t saga_id;
    assert_int_equal(flyover_register(worker, "far", handlers, 1, 4), FLYOVER_OK);
    struct flyover_client *client = serve_connect(serve_it.address);
    for (int i = 0; i < 2; i++)
        assert_int_equal(flyover_start(client, &start, &saga_id), FLYOVER_OK);
    assert_true(flyover_next_invocation(worker, &call, SERVE_LONG_MS));
    assert_false(flyover_next_invocation(worker, &call, 0));
    cli_write(serve_config_file, "");
    reload();
    assert_true(flyover_next_invocation(worker, &call, SERVE_LONG_MS));
    flyover_close(client);
    flyover_close(worker);
    serve_stop(&serve_it);
}

static struct cli_result by_tls(const char *ca_file)
{
    return cli_run("saga", "list", "--connect", serve_it.address, "--ca", ca_file, (char *)NULL);
}

/* What was exchanged on the disk under a running engine is shown to clients after SIGHUP. */
static void certificates_are_shown_and_exchanged_while_it_runs(void **state)
{
    (void)state;
    char folder[64];
    certificates_make_folder(folder);
    struct identity authority = certificates_make(folder, "ca", "Test", 1, NULL);
    struct identity other_one = certificates_make(folder, "ca2", "Other", 1, NULL);
    struct identity server = certificates_make(folder, "server", "127.0.0.1", 1, &authority);
    serve_start(&serve_it, SERVE_ARGS(SERVE_ON_ANY_PORT, "--tls-certificate",
                                      server.certificate_file, "--tls-key", server.key_file));
    assert_non_null(strstr(serve_it.log, "tls=yes"));
    cli_expect_done(by_tls(authority.certificate_file));
    serve_expect_says(by_tls(other_one.certificate_file), CLI_FAILED, "certificate");
    certificates_free(&server);
    server = certificates_make(folder, "server", "127.0.0.1", 1, &other_one);
    cli_expect_done(by_tls(authority.certificate_file));
    reload();
    cli_expect_done(by_tls(other_one.certificate_file));
    cli_write(server.key_file, "nonsense");
    kill(serve_it.pid, SIGHUP);
    serve_await(&serve_it, "event=reload_failed of=certificates");
    cli_expect_done(by_tls(other_one.certificate_file));
    serve_stop(&serve_it);
    certificates_free(&server);
    certificates_free(&other_one);
    certificates_free(&authority);
    certificates_remove(folder);
}

/* ---- stopping -------------------------------------------------------------------------------- */

/* Whatever was acknowledged is there, and what was not acknowledged was told as unknown. */
static void sagas_under_way_are_acknowledged_or_not_when_it_stops(void **state)
{
    (void)state;
    serve_start(&serve_it, SERVE_ARGS(SERVE_ON_ANY_PORT, "--define", serve_pass_file));
    struct flyover_client_options options = {.address = serve_it.address, .connect_ms = 100};
    struct flyover_client *client;
    struct flyover_answer_message answer;
    struct flyover_start start = serve_start_of("pass");
    assert_int_equal(flyover_connect(&options, &client), FLYOVER_OK);
    for (uint32_t i = 0; i < SAGAS; i++)
        assert_int_equal(flyover_send_start(client, &start, FLYOVER_AT_ACCEPTANCE, i), FLYOVER_OK);
    assert_int_equal(flyover_flush(client), FLYOVER_OK);
    assert_true(flyover_next(client, &answer, SERVE_LONG_MS));
    kill(serve_it.pid, SIGTERM);
    uint32_t accepted = answer.kind == FLYOVER_STARTED, answered = 1;
    for (; answered < SAGAS && flyover_next(client, &answer, SERVE_LONG_MS); answered++)
        accepted += answer.kind == FLYOVER_STARTED;
    assert_int_equal(answered, SAGAS);
    flyover_close(client);
    assert_int_equal(serve_wait(&serve_it), CLI_DONE);
    assert_true(accepted > 0 && serve_started_count() >= accepted);
}

/* As the kernel tells it of the thread with this id. */
static uint64_t blocked_by(const char *id)
{
    char path[PATH_MAX], line[256];
    snprintf(path, sizeof path, "/proc/%d/task/%s/status", (int)serve_it.pid, id);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    unsigned long long blocked = 0;
    int found = 0;
    while (found == 0 && fgets(line, sizeof line, file) != NULL)
        found = sscanf(line, "SigBlk: %llx", &blocked) == 1;
    fclose(file);
    assert_int_equal(found, 1);
    return blocked;
}

/* A signal that another thread heard could be late: after the end that the one before it asked for.
 */
static void only_the_first_thread_hears_signals(void **state)
{
    (void)state;
    serve_start(&serve_it, SERVE_ARGS(SERVE_ON_ANY_PORT, "--define", serve_pass_file));
    uint64_t asked = 1u << (SIGHUP - 1) | 1u << (SIGINT - 1) | 1u << (SIGTERM - 1);
    char path[PATH_MAX];
    snprintf(path, sizeof path, "/proc/%d/task", (int)serve_it.pid);
    DIR *tasks = opendir(path);
    assert_non_null(tasks);
    uint32_t others = 0;
    for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
        int id = atoi(task->d_name);
        if (id == 0)
            continue;
        uint64_t blocked = blocked_by(task->d_name);
        assert_int_equal(blocked & asked, id == serve_it.pid ? 0 : asked);
        others += id != serve_it.pid;
    }
    closedir(tasks);
    assert_true(others > 3); /* the journal, RocksDB's, history */
    serve_stop(&serve_it);
}

/* Both are there when it goes on, so that the second comes before anything is done about the first.
 */
static void a_second_signal_ends_it_at_once_as_a_crash_would(void **state)
{
    (void)state;
    serve_start(&serve_it, SERVE_ARGS(SERVE_ON_ANY_PORT, "--define", serve_pass_file));
    struct flyover_client *client = serve_connect(serve_it.address);
    run_one(client, "pass");
    kill(serve_it.pid, SIGSTOP);
    kill(serve_it.pid, SIGTERM);
    kill(serve_it.pid, SIGINT);
    kill(serve_it.pid, SIGCONT);
    int code = serve_wait(&serve_it);
    assert_true(code == 128 + SIGTERM || code == 128 + SIGINT);
    assert_null(strstr(serve_it.log, "event=stopped"));
    flyover_close(client);
    serve_start(&serve_it, SERVE_ARGS(SERVE_ON_ANY_PORT));
    assert_int_equal(serve_started_count(), 1);
    serve_stop(&serve_it);
}

static void an_idle_client_does_not_hold_up_the_end(void **state)
{
    (void)state;
    serve_start(&serve_it, SERVE_ARGS(SERVE_ON_ANY_PORT, "--drain-seconds", "86400"));
    struct flyover_client *client = serve_connect(serve_it.address);
    serve_stop(&serve_it);
    flyover_close(client);
}

static void a_worker_that_never_answers_does_not_hold_up_the_end(void **state)
{
    (void)state;
    static const char *const handlers[] = {"go"};
    serve_start(&serve_it, SERVE_ARGS(SERVE_ON_ANY_PORT, "--define", serve_far_file));
    struct flyover_client *worker = serve_connect(serve_it.address);
    struct flyover_start start = serve_start_of("far");
    struct flyover_invocation call;
    uint64_t saga_id;
    assert_int_equal(flyover_start(worker, &start, &saga_id), FLYOVER_OK);
    assert_int_equal(flyover_register(worker, "far", handlers, 1, 4), FLYOVER_OK);
    assert_true(flyover_next_invocation(worker, &call, SERVE_LONG_MS));
    uint32_t step_no = call.step_no;
    serve_stop(&serve_it);
    assert_non_null(strstr(serve_it.log, "running=1"));
    flyover_close(worker);
    serve_start(&serve_it, SERVE_ARGS(SERVE_ON_ANY_PORT));
    worker = serve_connect(serve_it.address);
    assert_int_equal(flyover_register(worker, "far", handlers, 1, 4), FLYOVER_OK);
    assert_true(flyover_next_invocation(worker, &call, SERVE_LONG_MS));
    assert_int_equal(call.saga_id, saga_id);
    assert_int_equal(call.step_no, step_no);
    flyover_close(worker);
    serve_stop(&serve_it);
}

/* ---- systemd --------------------------------------------------------------------------------- */

static int listen_to_notifications(void)
{
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    snprintf(where.sun_path, sizeof where.sun_path, "%.100s/n", serve_scratch);
    int heard = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(heard >= 0);
    assert_int_equal(bind(heard, (const struct sockaddr *)&where, sizeof where), 0);
    setenv("NOTIFY_SOCKET", where.sun_path, 1);
    return heard;
}

static void await_notification(int heard, const char *word)
{
    char text[1024];
    do {
        struct pollfd polled = {.fd = heard, .events = POLLIN};
        if (poll(&polled, 1, SERVE_LONG_MS) != 1)
            fail_msg("%s was never notified", word);
        ssize_t count = recv(heard, text, sizeof text - 1, 0);
        assert_true(count > 0);
        text[count] = '\0';
    } while (strstr(text, word) == NULL);
}

static void systemd_hears_how_it_is(void **state)
{
    (void)state;
    int heard = listen_to_notifications();
    setenv("WATCHDOG_USEC", "20000", 1);
    serve_start(&serve_it, SERVE_ARGS(SERVE_ON_ANY_PORT));
    await_notification(heard, "READY=1");
    await_notification(heard, "WATCHDOG=1");
    await_notification(heard, "WATCHDOG=1");
    kill(serve_it.pid, SIGHUP);
    await_notification(heard, "RELOADING=1");
    await_notification(heard, "READY=1");
    kill(serve_it.pid, SIGTERM);
    await_notification(heard, "STOPPING=1");
    assert_int_equal(serve_wait(&serve_it), CLI_DONE);
    close(heard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVE_TEST(it_says_where_it_listens_answers_there_and_stops_when_asked),
        SERVE_TEST(what_is_defined_at_a_start_stays_known_and_in_its_version),
        SERVE_TEST(a_worker_elsewhere_does_the_steps),
        SERVE_TEST(the_control_socket_is_served_beside),
        SERVE_TEST(flags_win_over_variables_and_those_over_the_file),
        SERVE_TEST(a_printed_configuration_runs_the_same),
        SERVE_TEST(wrong_settings_are_refused_with_their_place),
        SERVE_TEST(bad_files_are_refused),
        SERVE_TEST(others_reach_it_only_where_something_says_who_may),
        SERVE_TEST(a_token_is_made_with_its_line),
        SERVE_TEST(an_address_or_a_directory_that_is_taken_is_refused),
        SERVE_TEST(without_io_uring_it_says_what_forbids_it),
        SERVE_TEST(what_can_change_changes_and_what_cannot_is_said),
        SERVE_TEST(a_reload_that_fails_leaves_everything_as_it_was),
        SERVE_TEST(a_limit_of_a_service_holds_from_a_reload_on),
        SERVE_TEST(certificates_are_shown_and_exchanged_while_it_runs),
        SERVE_TEST(sagas_under_way_are_acknowledged_or_not_when_it_stops),
        SERVE_TEST(only_the_first_thread_hears_signals),
        SERVE_TEST(a_second_signal_ends_it_at_once_as_a_crash_would),
        SERVE_TEST(an_idle_client_does_not_hold_up_the_end),
        SERVE_TEST(a_worker_that_never_answers_does_not_hold_up_the_end),
        SERVE_TEST(systemd_hears_how_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
