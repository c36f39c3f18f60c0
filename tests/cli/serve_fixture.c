#include "tests/cli/serve_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PASS "{\"StartAt\":\"P\",\"States\":{\"P\":{\"Type\":\"Pass\",\"End\":true}}}"
#define FAR                                                                                        \
    "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Task\",\"Resource\":\"service:far.go\","     \
    "\"End\":true}}}"
#define NIL "\xc0"

struct serve_rig serve_it, serve_other;
char serve_scratch[PATH_MAX], serve_data[PATH_MAX], serve_config_file[PATH_MAX];
char serve_pass_file[PATH_MAX], serve_far_file[PATH_MAX], serve_token_file[PATH_MAX];
char serve_address[PATH_MAX + 8];

int serve_set_up(void **state)
{
    (void)state;
    cli_make_directory(serve_scratch);
    cli_path(serve_data, serve_scratch, "data");
    cli_path(serve_config_file, serve_scratch, "flyover.yaml");
    cli_path(serve_pass_file, serve_scratch, "pass.asl.json");
    cli_path(serve_far_file, serve_scratch, "far.asl.json");
    cli_path(serve_token_file, serve_scratch, "tokens");
    char socket_path[PATH_MAX];
    cli_path(socket_path, serve_scratch, "s");
    snprintf(serve_address, sizeof serve_address, "unix:%s", socket_path);
    cli_write(serve_pass_file, PASS);
    cli_write(serve_far_file, FAR);
    return 0;
}

int serve_tear_down(void **state)
{
    (void)state;
    serve_kill(&serve_it);
    serve_kill(&serve_other);
    cli_remove(serve_scratch);
    unsetenv("FLYOVER_LIMITS_SAGAS_MAX");
    unsetenv("FLYOVER_LOG_LEVEL");
    unsetenv("FLYOVER_LOG_LEVLE");
    unsetenv("FLYOVER_TOKEN");
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    return 0;
}

struct flyover_client *serve_try_connect(const char *to, const char *token)
{
    struct flyover_client *client;
    struct flyover_client_options options = {
        .address = to, .token = token, .name = "test", .connect_ms = SERVE_LONG_MS};
    return flyover_connect(&options, &client) == FLYOVER_OK ? client : NULL;
}

struct flyover_client *serve_connect(const char *to)
{
    struct flyover_client *client = serve_try_connect(to, NULL);
    if (client == NULL)
        fail_msg("%s", flyover_connect_problem());
    return client;
}

struct flyover_start serve_start_of(const char *definition)
{
    return (struct flyover_start){.definition = definition, .input = NIL, .input_bytes = 1};
}

int64_t serve_started_count(void)
{
    json_t *counts =
        cli_expect_json(cli_run("saga", "-d", serve_data, "counts", "--json", (char *)NULL));
    int64_t count = cli_integer(counts, "totals/started");
    json_decref(counts);
    return count;
}

void serve_expect_text(const char *text, const char *line)
{
    if (strstr(text, line) == NULL)
        fail_msg("there is no '%s' in:\n%s", line, text);
}

char *serve_make_token(const char *name, const char *role)
{
    struct cli_result result =
        cli_run("token", name, "--role", role, "--file", serve_token_file, (char *)NULL);
    cli_expect(&result, CLI_DONE);
    char *token = strndup(result.out, strcspn(result.out, "\n"));
    cli_free(&result);
    return token;
}

void serve_expect_says(struct cli_result result, int exit_code, const char *word)
{
    cli_expect_says(&result, exit_code, word, (char *)NULL);
    cli_free(&result);
}
