/*
 * `flyover serve`: the real program, talked to by the client library: how it starts, what it
 * refuses, what it reloads, how it stops, and that kill -9 loses nothing acknowledged and does
 * nothing twice.
 */
#include "tests/cli/serve_rig.h"

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

#include "engine/client/flyover.h"
#include "tests/certificates.h"

#define PASS "{\"StartAt\":\"P\",\"States\":{\"P\":{\"Type\":\"Pass\",\"End\":true}}}"
#define FAR                                                                                        \
    "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Task\",\"Resource\":\"service:far.go\","     \
    "\"End\":true}}}"
#define LONG_MS 60000
#define SAGAS   3000u
#define NIL     "\xc0"

static struct serve_rig rig, other;
static char scratch[PATH_MAX], data[PATH_MAX], config_file[PATH_MAX], pass_file[PATH_MAX];
static char far_file[PATH_MAX], token_file[PATH_MAX], address[PATH_MAX + 8];

static int set_up(void **state)
{
    (void)state;
    cli_make_directory(scratch);
    cli_path(data, scratch, "data");
    cli_path(config_file, scratch, "flyover.yaml");
    cli_path(pass_file, scratch, "pass.asl.json");
    cli_path(far_file, scratch, "far.asl.json");
    cli_path(token_file, scratch, "tokens");
    char socket_path[PATH_MAX];
    cli_path(socket_path, scratch, "s");
    snprintf(address, sizeof address, "unix:%s", socket_path);
    cli_write(pass_file, PASS);
    cli_write(far_file, FAR);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    serve_kill(&rig);
    serve_kill(&other);
    cli_remove(scratch);
    unsetenv("FLYOVER_LIMITS_SAGAS_MAX");
    unsetenv("FLYOVER_LOG_LEVEL");
    unsetenv("FLYOVER_LOG_LEVLE");
    unsetenv("FLYOVER_TOKEN");
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    return 0;
}

#define ARGS(...)                                                                                  \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }
#define ON_ANY_PORT "--data", data, "--listen", "127.0.0.1:0"

static struct flyover_client *try_connect(const char *to, const char *token)
{
    struct flyover_client *client;
    struct flyover_client_options options = {
        .address = to, .token = token, .name = "test", .connect_ms = LONG_MS};
    return flyover_connect(&options, &client) == FLYOVER_OK ? client : NULL;
}

static struct flyover_client *connect_to(const char *to)
{
    struct flyover_client *client = try_connect(to, NULL);
    if (client == NULL)
        fail_msg("%s", flyover_connect_problem());
    return client;
}

static struct flyover_start start_of(const char *definition)
{
    return (struct flyover_start){.definition = definition, .input = NIL, .input_bytes = 1};
}

static void run_one(struct flyover_client *client, const char *definition)
{
    struct flyover_start start = start_of(definition);
    struct flyover_answer_message end;
    if (flyover_run(client, &start, &end, LONG_MS) != FLYOVER_OK)
        fail_msg("%s", flyover_problem(client));
    assert_string_equal(end.outcome, "SUCCEEDED");
}

static int64_t started_count(void)
{
    json_t *counts = cli_expect_json(cli_run("saga", "-d", data, "counts", "--json", (char *)NULL));
    int64_t count = cli_integer(counts, "totals/started");
    json_decref(counts);
    return count;
}

/* ---- start ----------------------------------------------------------------------------------- */

static void it_says_where_it_listens_answers_there_and_stops_when_asked(void **state)
{
    (void)state;
    serve_start(&rig, ARGS(ON_ANY_PORT, "--listen", address, "--define", pass_file));
    assert_non_null(strstr(rig.log, "event=recovered"));
    assert_non_null(strstr(rig.log, "event=defined definition=pass version=1"));
    struct flyover_client *tcp = connect_to(rig.address);
    struct flyover_client *local = connect_to(address);
    run_one(tcp, "pass");
    run_one(local, "pass");
    assert_int_equal(started_count(), 2);
    flyover_close(tcp);
    flyover_close(local);
    serve_stop(&rig);
    assert_non_null(strstr(rig.log, "event=stopping signal=15"));
    assert_non_null(strstr(rig.log, "event=stopped sagas=2 running=0"));
    assert_int_equal(started_count(), 2);
}

static void what_is_defined_at_a_start_stays_known_and_in_its_version(void **state)
{
    (void)state;
    serve_start(&rig, ARGS(ON_ANY_PORT, "--define", pass_file));
    serve_stop(&rig);
    serve_start(&rig, ARGS(ON_ANY_PORT, "--define", pass_file));
    assert_non_null(strstr(rig.log, "definition=pass version=1"));
    struct flyover_client *client = connect_to(rig.address);
    run_one(client, "pass");
    flyover_close(client);
    serve_stop(&rig);
}

static void a_worker_elsewhere_does_the_steps(void **state)
{
    (void)state;
    static const char *const handlers[] = {"go"};
    serve_start(&rig, ARGS(ON_ANY_PORT, "--define", far_file));
    struct flyover_client *worker = connect_to(rig.address);
    struct flyover_client *client = connect_to(rig.address);
    struct flyover_start start = start_of("far");
    assert_int_equal(flyover_register(worker, "far", handlers, 1, 4), FLYOVER_OK);
    assert_int_equal(flyover_send_start(client, &start, FLYOVER_AT_END, 7), FLYOVER_OK);
    assert_int_equal(flyover_flush(client), FLYOVER_OK);
    struct flyover_invocation call;
    assert_true(flyover_next_invocation(worker, &call, LONG_MS));
    assert_int_equal(flyover_answer_done(worker, call.id, "\x2a", 1), FLYOVER_OK);
    assert_int_equal(flyover_flush(worker), FLYOVER_OK);
    struct flyover_answer_message end;
    assert_true(flyover_next(client, &end, LONG_MS));
    assert_int_equal(end.kind, FLYOVER_ENDED);
    assert_string_equal(end.outcome, "SUCCEEDED");
    flyover_close(client);
    flyover_close(worker);
    serve_stop(&rig);
}

static void the_control_socket_is_served_beside(void **state)
{
    (void)state;
    serve_start(&rig, ARGS(ON_ANY_PORT, "--define", pass_file));
    cli_expect_done(cli_run("saga", "-d", data, "start", "pass", (char *)NULL));
    cli_expect_done(cli_run("saga", "-d", data, "wait", "1", "--timeout", "60", (char *)NULL));
    assert_int_equal(started_count(), 1);
    serve_stop(&rig);
}

/* ---- settings -------------------------------------------------------------------------------- */

static void expect_setting(const char *text, const char *line)
{
    if (strstr(text, line) == NULL)
        fail_msg("there is no '%s' in:\n%s", line, text);
}

static void flags_win_over_variables_and_those_over_the_file(void **state)
{
    (void)state;
    cli_write(config_file, "data:\n  dir: /from/the/file\n"
                           "limits:\n  sagas-max: 1\n  names-max: 11\n"
                           "log: {level: warn}\n");
    setenv("FLYOVER_LIMITS_SAGAS_MAX", "2", 1);
    setenv("FLYOVER_LOG_LEVEL", "error", 1);
    struct cli_result result = cli_run("serve", "--data", data, "--sagas-max", "3", "--config",
                                       config_file, "--print-config", (char *)NULL);
    cli_expect(&result, CLI_DONE);
    char line[2 * PATH_MAX];
    snprintf(line, sizeof line, "  dir: %s  # --data\n", data);
    expect_setting(result.out, line);
    expect_setting(result.out, "  sagas-max: 3  # --sagas-max\n");
    expect_setting(result.out, "  level: error  # FLYOVER_LOG_LEVEL\n");
    snprintf(line, sizeof line, "  names-max: 11  # %s:5\n", config_file);
    expect_setting(result.out, line);
    expect_setting(result.out, "  payload-mib: 256  # default, for a new data directory\n");
    cli_free(&result);
}

static void a_printed_configuration_runs_the_same(void **state)
{
    (void)state;
    struct cli_result result =
        cli_run("serve", ON_ANY_PORT, "--limit", "far.in-flight=3", "--log-format", "json",
                "--define", pass_file, "--print-config", (char *)NULL);
    cli_expect(&result, CLI_DONE);
    cli_write(config_file, result.out);
    cli_free(&result);
    serve_spawn(&rig, NULL, ARGS("--config", config_file));
    serve_await(&rig, "\"event\":\"defined\"");
    serve_await(&rig, "\"event\":\"listening\"");
    kill(rig.pid, SIGTERM);
    assert_int_equal(serve_wait(&rig), CLI_DONE);
}

static void expect_refused(int exit_code, const char *word, const char *const *arguments)
{
    serve_spawn(&rig, NULL, arguments);
    int code = serve_wait(&rig);
    if (code != exit_code || strstr(rig.log, word) == NULL)
        fail_msg("it ended with %d and not %d, and not with '%s':\n%s", code, exit_code, word,
                 rig.log);
}

static void wrong_settings_are_refused_with_their_place(void **state)
{
    (void)state;
    expect_refused(CLI_USAGE, "--sagas-max takes 1 to", ARGS(ON_ANY_PORT, "--sagas-max", "0"));
    expect_refused(CLI_USAGE, "'loud' is none of debug, info, warn, error",
                   ARGS(ON_ANY_PORT, "--log-level", "loud"));
    expect_refused(CLI_USAGE, "--limit 'x' is not of the form", ARGS(ON_ANY_PORT, "--limit", "x"));
    expect_refused(CLI_USAGE, "'more' is no option", ARGS(ON_ANY_PORT, "more"));
    expect_refused(CLI_USAGE, "--data DIR", ARGS("--listen", "127.0.0.1:0"));
    expect_refused(CLI_USAGE, "--tls-certificate and --tls-key go together",
                   ARGS(ON_ANY_PORT, "--tls-key", "k"));
    cli_write(config_file, "data:\n  drable: sync\n");
    expect_refused(CLI_INPUT, "flyover.yaml:2: there is no data.drable",
                   ARGS(ON_ANY_PORT, "--config", config_file));
    cli_write(config_file, "services:\n  limits:\n    far: {rte: 5}\n");
    expect_refused(CLI_INPUT, "flyover.yaml:3: services.limits 'far.rte=5': there are",
                   ARGS(ON_ANY_PORT, "--config", config_file));
    expect_refused(CLI_INPUT, "/nowhere.yaml cannot be read",
                   ARGS(ON_ANY_PORT, "--config", "/nowhere.yaml"));
    setenv("FLYOVER_LOG_LEVLE", "warn", 1);
    expect_refused(CLI_INPUT, "FLYOVER_LOG_LEVEL is", ARGS(ON_ANY_PORT));
}

static void bad_files_are_refused(void **state)
{
    (void)state;
    expect_refused(CLI_INPUT, "/nowhere.json cannot be read",
                   ARGS(ON_ANY_PORT, "--define", "/nowhere.json"));
    expect_refused(CLI_INPUT, "the setting 'far.x=1' is for a service",
                   ARGS(ON_ANY_PORT, "--set", "far.x=1"));
    expect_refused(CLI_INPUT, "/nowhere", ARGS(ON_ANY_PORT, "--token-file", "/nowhere"));
    cli_write(token_file, "ada operator nonsense\n");
    chmod(token_file, 0600);
    expect_refused(CLI_INPUT, "tokens:1", ARGS(ON_ANY_PORT, "--token-file", token_file));
    expect_refused(CLI_INPUT, "/nowhere",
                   ARGS(ON_ANY_PORT, "--tls-certificate", "/nowhere", "--tls-key", "/nowhere"));
}

/* ---- who may reach it ------------------------------------------------------------------------ */

static void others_reach_it_only_where_something_says_who_may(void **state)
{
    (void)state;
    const char *const anybody[] = {"--data", data, "--listen", "0.0.0.0:0", NULL};
    expect_refused(CLI_USAGE, "say --insecure", anybody);
    expect_refused(CLI_USAGE, "others can reach [::]:0",
                   ARGS("--data", data, "--listen", "[::]:0"));
    expect_refused(CLI_USAGE, "others can reach 127.0.0.1.example:1",
                   ARGS("--data", data, "--listen", "127.0.0.1.example:1"));
    serve_start(&rig, ARGS("--data", data, "--listen", "0.0.0.0:0", "--insecure"));
    assert_non_null(strstr(rig.log, "event=not_encrypted"));
    serve_stop(&rig);
    cli_expect_done(
        cli_run("token", "ada", "--role", "operator", "--file", token_file, (char *)NULL));
    serve_start(&rig, ARGS("--data", data, "--listen", "0.0.0.0:0", "--token-file", token_file));
    assert_non_null(strstr(rig.log, "auth=tokens"));
    serve_stop(&rig);
}

/* Returns the token that was made, owned. */
static char *make_token(const char *name, const char *role)
{
    struct cli_result result =
        cli_run("token", name, "--role", role, "--file", token_file, (char *)NULL);
    cli_expect(&result, CLI_DONE);
    char *token = strndup(result.out, strcspn(result.out, "\n"));
    cli_free(&result);
    return token;
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
    free(make_token("shop", "client"));
    struct stat known;
    assert_int_equal(stat(token_file, &known), 0);
    assert_int_equal(known.st_mode & 0777, 0600);
    chmod(token_file, 0644);
    result = cli_run("token", "shop", "--role", "client", "--file", token_file, (char *)NULL);
    cli_expect_says(&result, CLI_FAILED, "chmod 600", (char *)NULL);
    cli_free(&result);
}

/* ---- what is in the way ---------------------------------------------------------------------- */

static void an_address_or_a_directory_that_is_taken_is_refused(void **state)
{
    (void)state;
    char elsewhere[PATH_MAX];
    cli_path(elsewhere, scratch, "elsewhere");
    serve_start(&other, ARGS(ON_ANY_PORT));
    expect_refused(CLI_FAILED, other.address, ARGS("--data", elsewhere, "--listen", other.address));
    expect_refused(CLI_DATA, data, ARGS(ON_ANY_PORT));
    expect_refused(CLI_INPUT, "nonsense",
                   ARGS("--data", elsewhere, "--listen", "unix:/\x01/nonsense"));
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
    serve_spawn(&rig, forbid_io_uring, ARGS(ON_ANY_PORT));
    assert_int_equal(serve_wait(&rig), CLI_FAILED);
    assert_non_null(strstr(rig.log, "io_uring"));
    assert_non_null(strstr(rig.log, "seccomp"));
}

/* ---- reloading ------------------------------------------------------------------------------- */

static void reload(void)
{
    kill(rig.pid, SIGHUP);
    serve_await(&rig, "event=reloaded");
}

static void what_can_change_changes_and_what_cannot_is_said(void **state)
{
    (void)state;
    free(make_token("ada", "operator"));
    cli_write(config_file, "log: {level: info}\nlisten: {addresses: [\"127.0.0.1:0\"]}\n");
    serve_start(&rig, ARGS("--data", data, "--token-file", token_file, "--config", config_file));
    char *token = make_token("shop", "client");
    struct flyover_client *refused = try_connect(rig.address, token);
    assert_null(refused);
    cli_write(config_file, "log: {level: info}\nlisten: {addresses: [\"127.0.0.1:1\"]}\n"
                           "services: {limits: {far.rate: 5}}\n");
    kill(rig.pid, SIGHUP);
    serve_await(&rig, "event=setting_changed key=services.limits");
    serve_await(&rig, "event=setting_waits key=listen.addresses");
    serve_await(&rig, "event=reloaded");
    struct flyover_client *client = try_connect(rig.address, token);
    if (client == NULL)
        fail_msg("%s", flyover_connect_problem());
    flyover_close(client);
    free(token);
    serve_stop(&rig);
}

static void a_reload_that_fails_leaves_everything_as_it_was(void **state)
{
    (void)state;
    char *token = make_token("ada", "operator");
    cli_write(config_file, "log: {format: plain}\n");
    serve_start(&rig, ARGS(ON_ANY_PORT, "--token-file", token_file, "--config", config_file,
                           "--define", pass_file));
    cli_write(config_file, "log: {format: json}\nnonsense\n");
    cli_write(token_file, "nonsense\n");
    kill(rig.pid, SIGHUP);
    serve_await(&rig, "event=reload_failed of=configuration");
    serve_await(&rig, "event=reload_failed of=tokens");
    serve_await(&rig, "level=warn event=reloaded");
    struct flyover_client *client = try_connect(rig.address, token);
    if (client == NULL)
        fail_msg("%s", flyover_connect_problem());
    run_one(client, "pass");
    flyover_close(client);
    free(token);
    cli_write(config_file, "log: {level: error}\n");
    kill(rig.pid, SIGHUP);
    serve_await(&rig, "event=reload_failed of=tokens");
    kill(rig.pid, SIGTERM);
    assert_int_equal(serve_wait(&rig), CLI_DONE);
    /* From that reload on only errors are said. */
    assert_null(strstr(rig.log, "event=stopped"));
}

static void a_limit_of_a_service_holds_from_a_reload_on(void **state)
{
    (void)state;
    static const char *const handlers[] = {"go"};
    cli_write(config_file, "services: {limits: {far.in-flight: 1}}\n");
    serve_start(&rig, ARGS(ON_ANY_PORT, "--config", config_file, "--define", far_file));
    struct flyover_client *worker = connect_to(rig.address);
    struct flyover_start start = start_of("far");
    struct flyover_invocation call;
    uint64_t saga_id;
    assert_int_equal(flyover_register(worker, "far", handlers, 1, 4), FLYOVER_OK);
    struct flyover_client *client = connect_to(rig.address);
    for (int i = 0; i < 2; i++)
        assert_int_equal(flyover_start(client, &start, &saga_id), FLYOVER_OK);
    assert_true(flyover_next_invocation(worker, &call, LONG_MS));
    assert_false(flyover_next_invocation(worker, &call, 0));
    cli_write(config_file, "");
    reload();
    assert_true(flyover_next_invocation(worker, &call, LONG_MS));
    flyover_close(client);
    flyover_close(worker);
    serve_stop(&rig);
}

static void expect_says(struct cli_result result, int exit_code, const char *word)
{
    cli_expect_says(&result, exit_code, word, (char *)NULL);
    cli_free(&result);
}

static struct cli_result by_tls(const char *ca_file)
{
    return cli_run("saga", "list", "--connect", rig.address, "--ca", ca_file, (char *)NULL);
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
    serve_start(&rig, ARGS(ON_ANY_PORT, "--tls-certificate", server.certificate_file, "--tls-key",
                           server.key_file));
    assert_non_null(strstr(rig.log, "tls=yes"));
    cli_expect_done(by_tls(authority.certificate_file));
    expect_says(by_tls(other_one.certificate_file), CLI_FAILED, "certificate");
    certificates_free(&server);
    server = certificates_make(folder, "server", "127.0.0.1", 1, &other_one);
    cli_expect_done(by_tls(authority.certificate_file));
    reload();
    cli_expect_done(by_tls(other_one.certificate_file));
    cli_write(server.key_file, "nonsense");
    kill(rig.pid, SIGHUP);
    serve_await(&rig, "event=reload_failed of=certificates");
    cli_expect_done(by_tls(other_one.certificate_file));
    serve_stop(&rig);
    certificates_free(&server);
    certificates_free(&other_one);
    certificates_free(&authority);
    certificates_remove(folder);
}

/* ---- from elsewhere -------------------------------------------------------------------------- */

static struct cli_result there(const char *command, const char *a, const char *b, const char *c,
                               const char *d)
{
    return cli_run(command, "--connect", rig.address, a, b, c, d, (char *)NULL);
}

static void expect_prints(struct cli_result result, const char *word)
{
    cli_expect(&result, CLI_DONE);
    expect_setting(result.out, word);
    cli_free(&result);
}

static void what_is_done_on_the_spot_is_done_by_an_address_too(void **state)
{
    (void)state;
    serve_start(&rig, ARGS(ON_ANY_PORT));
    expect_prints(there("define", pass_file, NULL, NULL, NULL), "pass: version 1 (plan 0)");
    expect_prints(there("define", far_file, NULL, NULL, NULL), "nobody serves 'far' yet");
    expect_prints(there("define", "--list", NULL, NULL, NULL), "pass");
    expect_prints(there("start", "pass", "--name", "A", NULL), "saga 1: start is durable");
    expect_prints(there("start", "pass", "--name", "A", NULL), "was started under this name");
    expect_says(there("start", "pass", "--name", "A", "--input=1"), CLI_INPUT, "another input");
    expect_says(there("start", "none", NULL, NULL, NULL), CLI_INPUT, "no definition 'none'");
    cli_expect_done(there("saga", "wait", "1", "--timeout", "60"));
    expect_prints(there("saga", "history", "1", NULL, NULL), "\"outcome\": \"SUCCEEDED\"");
    expect_prints(there("start", "far", NULL, NULL, NULL), "saga 2: start is durable");
    expect_prints(there("saga", "list", "--state", "RUNNING", NULL), "far:1");
    expect_prints(there("saga", "list", "--state", "ENDED", NULL), "pass:1");
    expect_prints(there("saga", "show", "2", NULL, NULL), "saga 2 of far:1: RUNNING");
    expect_prints(there("saga", "cancel", "2", NULL, NULL), "saga 2: cancel is durable");
    serve_stop(&rig);
}

static void by_an_address_it_is_asked_who_asks(void **state)
{
    (void)state;
    char *client = make_token("shop", "client"), *operator= make_token("ada", "operator");
    serve_start(&rig, ARGS(ON_ANY_PORT, "--token-file", token_file));
    expect_says(there("define", pass_file, NULL, NULL, NULL), CLI_FAILED, "token");
    expect_says(there("define", pass_file, "--token", client, NULL), CLI_FAILED,
                "may not ask for DEFINE");
    setenv("FLYOVER_TOKEN", operator, 1);
    cli_expect_done(there("define", pass_file, NULL, NULL, NULL));
    cli_expect_done(there("start", "pass", "--token", client, NULL));
    unsetenv("FLYOVER_TOKEN");
    free(client);
    free(operator);
    serve_stop(&rig);
    expect_says(cli_run("saga", "list", "--token", "x", "--data", data, (char *)NULL), CLI_USAGE,
                "go with --connect");
    expect_says(cli_run("saga", "list", (char *)NULL), CLI_USAGE, "--connect ADDRESS");
    expect_says(cli_run("saga", "list", "--data", data, "--connect", "a:1", (char *)NULL),
                CLI_USAGE, "--connect ADDRESS");
}

#define ORDERS "600"

/* Beside the program, with their services. */
static void shipped(char ret_path[PATH_MAX], const char *name)
{
    int bytes = (int)(strrchr(cli_program(), '/') - cli_program());
    snprintf(ret_path, PATH_MAX, "%.*s/plugins/%s", bytes, cli_program(), name);
}

static void orders_sent_twice_and_over_a_kill_nine_are_done_once(void **state)
{
    (void)state;
    char orders[PATH_MAX], definition[PATH_MAX];
    cli_path(orders, scratch, "orders.csv");
    cli_generate(orders, ORDERS, "small");
    shipped(definition, "order.asl.json");
    const char *const arguments[] = {"--data",   data,       "--listen", address,
                                     "--define", definition, NULL};
    serve_start(&rig, arguments);
    struct cli_process ingest =
        cli_start(-1, "ingest", "--connect", address, "--json", orders, (char *)NULL);
    while (started_count() == 0)
        ;
    serve_kill(&rig);
    serve_start(&rig, arguments);
    json_t *report = cli_expect_json(cli_wait(&ingest));
    assert_int_equal(cli_integer(report, "orders_read"), atoi(ORDERS));
    assert_int_equal(cli_integer(report, "sagas/succeeded"), atoi(ORDERS));
    json_decref(report);
    assert_int_equal(started_count(), atoi(ORDERS));
    report =
        cli_expect_json(cli_run("ingest", "--connect", address, "--json", orders, (char *)NULL));
    assert_int_equal(cli_integer(report, "orders_known"), atoi(ORDERS));
    json_decref(report);
    assert_int_equal(started_count(), atoi(ORDERS));
    serve_stop(&rig);
}

static void orders_that_cannot_be_sent_are_refused(void **state)
{
    (void)state;
    char orders[PATH_MAX], rejects[PATH_MAX];
    cli_path(orders, scratch, "orders.csv");
    cli_path(rejects, scratch, "rejects.csv");
    cli_generate(orders, "3", "small");
    serve_start(&rig, ARGS(ON_ANY_PORT));
    expect_says(there("ingest", orders, NULL, NULL, NULL), CLI_INPUT, "no definition 'order'");
    expect_says(there("ingest", "/nowhere", NULL, NULL, NULL), CLI_INPUT, "cannot be read");
    expect_says(there("ingest", orders, "--data", data, NULL), CLI_USAGE, "not both");
    cli_write(orders, "InvoiceNo,Quantity,UnitPrice\n7,0,1\n");
    expect_prints(there("ingest", orders, "--rejects", rejects, NULL), "1 rejected");
    char *said = cli_read(rejects);
    expect_setting(said, "2,\"7\"");
    free(said);
    serve_stop(&rig);
}

/* ---- stopping -------------------------------------------------------------------------------- */

/* Whatever was acknowledged is there, and what was not acknowledged was told as unknown. */
static void sagas_under_way_are_acknowledged_or_not_when_it_stops(void **state)
{
    (void)state;
    serve_start(&rig, ARGS(ON_ANY_PORT, "--define", pass_file));
    struct flyover_client_options options = {.address = rig.address, .connect_ms = 100};
    struct flyover_client *client;
    struct flyover_answer_message answer;
    struct flyover_start start = start_of("pass");
    assert_int_equal(flyover_connect(&options, &client), FLYOVER_OK);
    for (uint32_t i = 0; i < SAGAS; i++)
        assert_int_equal(flyover_send_start(client, &start, FLYOVER_AT_ACCEPTANCE, i), FLYOVER_OK);
    assert_int_equal(flyover_flush(client), FLYOVER_OK);
    assert_true(flyover_next(client, &answer, LONG_MS));
    kill(rig.pid, SIGTERM);
    uint32_t accepted = answer.kind == FLYOVER_STARTED, answered = 1;
    for (; answered < SAGAS && flyover_next(client, &answer, LONG_MS); answered++)
        accepted += answer.kind == FLYOVER_STARTED;
    assert_int_equal(answered, SAGAS);
    flyover_close(client);
    assert_int_equal(serve_wait(&rig), CLI_DONE);
    assert_true(accepted > 0 && started_count() >= accepted);
}

static void an_idle_client_does_not_hold_up_the_end(void **state)
{
    (void)state;
    serve_start(&rig, ARGS(ON_ANY_PORT, "--drain-seconds", "86400"));
    struct flyover_client *client = connect_to(rig.address);
    serve_stop(&rig);
    flyover_close(client);
}

static void a_worker_that_never_answers_does_not_hold_up_the_end(void **state)
{
    (void)state;
    static const char *const handlers[] = {"go"};
    serve_start(&rig, ARGS(ON_ANY_PORT, "--define", far_file));
    struct flyover_client *worker = connect_to(rig.address);
    struct flyover_start start = start_of("far");
    struct flyover_invocation call;
    uint64_t saga_id;
    assert_int_equal(flyover_start(worker, &start, &saga_id), FLYOVER_OK);
    assert_int_equal(flyover_register(worker, "far", handlers, 1, 4), FLYOVER_OK);
    assert_true(flyover_next_invocation(worker, &call, LONG_MS));
    uint32_t step_no = call.step_no;
    serve_stop(&rig);
    assert_non_null(strstr(rig.log, "running=1"));
    flyover_close(worker);
    serve_start(&rig, ARGS(ON_ANY_PORT));
    worker = connect_to(rig.address);
    assert_int_equal(flyover_register(worker, "far", handlers, 1, 4), FLYOVER_OK);
    assert_true(flyover_next_invocation(worker, &call, LONG_MS));
    assert_int_equal(call.saga_id, saga_id);
    assert_int_equal(call.step_no, step_no);
    flyover_close(worker);
    serve_stop(&rig);
}

/* ---- kill -9 --------------------------------------------------------------------------------- */

struct tally {
    uint32_t accepted, ended;
    uint64_t sagas[SAGAS]; /* 0: not heard of */
};

static void send_named(struct flyover_client *client, uint32_t index)
{
    char name[32];
    snprintf(name, sizeof name, "order-%u", index);
    struct flyover_start start = start_of("pass");
    start.name = name;
    enum flyover_status status = flyover_send_start(client, &start, FLYOVER_AT_BOTH, index);
    if (status != FLYOVER_OK)
        fail_msg("%s", flyover_status_text(status));
}

static void on_answer(struct tally *tally, const struct flyover_answer_message *answer)
{
    if (answer->kind == FLYOVER_RECONNECTED)
        return;
    if (answer->kind != FLYOVER_STARTED && answer->kind != FLYOVER_ENDED)
        fail_msg("%s", answer->problem == NULL ? "another answer" : answer->problem);
    uint64_t *saga_id = &tally->sagas[answer->word];
    /* The same saga, before the kill and after. */
    if (*saga_id != 0)
        assert_int_equal(*saga_id, answer->saga_id);
    tally->accepted += *saga_id == 0;
    *saga_id = answer->saga_id;
    tally->ended += answer->kind == FLYOVER_ENDED;
}

static void kill_nine_loses_nothing_acknowledged_and_does_nothing_twice(void **state)
{
    (void)state;
    static struct tally tally;
    tally = (struct tally){0};
    const char *const arguments[] = {"--data",   data,      "--listen", address,
                                     "--define", pass_file, NULL};
    serve_start(&rig, arguments);
    struct flyover_client *client = connect_to(address);
    struct flyover_answer_message answer;
    uint32_t kills = 0;
    for (uint32_t i = 0; i < SAGAS; i++)
        send_named(client, i);
    while (tally.ended < SAGAS) {
        if (!flyover_next(client, &answer, LONG_MS))
            fail_msg("nothing comes any more, %u accepted, %u ended, %u kills: %s\n%s",
                     tally.accepted, tally.ended, kills, flyover_problem(client), rig.log);
        on_answer(&tally, &answer);
        if (tally.accepted > (kills + 1) * SAGAS / 8 && kills < 4) {
            serve_kill(&rig);
            serve_start(&rig, arguments);
            kills++;
        }
    }
    assert_true(kills > 0);
    assert_int_equal(tally.accepted, SAGAS);
    flyover_close(client);
    assert_int_equal(started_count(), SAGAS);
    serve_stop(&rig);
    cli_expect_done(cli_run("journal", "verify", "--data", data, (char *)NULL));
}

/* ---- systemd --------------------------------------------------------------------------------- */

static int listen_to_notifications(void)
{
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    snprintf(where.sun_path, sizeof where.sun_path, "%.100s/n", scratch);
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
        if (poll(&polled, 1, LONG_MS) != 1)
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
    serve_start(&rig, ARGS(ON_ANY_PORT));
    await_notification(heard, "READY=1");
    await_notification(heard, "WATCHDOG=1");
    await_notification(heard, "WATCHDOG=1");
    kill(rig.pid, SIGHUP);
    await_notification(heard, "RELOADING=1");
    await_notification(heard, "READY=1");
    kill(rig.pid, SIGTERM);
    await_notification(heard, "STOPPING=1");
    assert_int_equal(serve_wait(&rig), CLI_DONE);
    close(heard);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(it_says_where_it_listens_answers_there_and_stops_when_asked),
        TEST(what_is_defined_at_a_start_stays_known_and_in_its_version),
        TEST(a_worker_elsewhere_does_the_steps),
        TEST(the_control_socket_is_served_beside),
        TEST(flags_win_over_variables_and_those_over_the_file),
        TEST(a_printed_configuration_runs_the_same),
        TEST(wrong_settings_are_refused_with_their_place),
        TEST(bad_files_are_refused),
        TEST(others_reach_it_only_where_something_says_who_may),
        TEST(a_token_is_made_with_its_line),
        TEST(an_address_or_a_directory_that_is_taken_is_refused),
        TEST(without_io_uring_it_says_what_forbids_it),
        TEST(what_can_change_changes_and_what_cannot_is_said),
        TEST(a_reload_that_fails_leaves_everything_as_it_was),
        TEST(a_limit_of_a_service_holds_from_a_reload_on),
        TEST(certificates_are_shown_and_exchanged_while_it_runs),
        TEST(what_is_done_on_the_spot_is_done_by_an_address_too),
        TEST(by_an_address_it_is_asked_who_asks),
        TEST(orders_sent_twice_and_over_a_kill_nine_are_done_once),
        TEST(orders_that_cannot_be_sent_are_refused),
        TEST(sagas_under_way_are_acknowledged_or_not_when_it_stops),
        TEST(an_idle_client_does_not_hold_up_the_end),
        TEST(a_worker_that_never_answers_does_not_hold_up_the_end),
        TEST(kill_nine_loses_nothing_acknowledged_and_does_nothing_twice),
        TEST(systemd_hears_how_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
