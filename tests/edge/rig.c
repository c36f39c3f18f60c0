#include "tests/edge/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS_MAX   24u
#define LINE_BYTES 4096u

static const char *const scripts[] = {
    [RIG_FAUXQS] = "fauxqs.mjs",
    [RIG_DYNALITE] = "dynalite.mjs",
    [RIG_LAMBDA] = "lambda.mjs",
    [RIG_POSTGRES] = "postgres.mjs",
};

/* ---- processes -------------------------------------------------------------------------------
 */

static void become(const char *const *arguments, int in, int out)
{
    /* A server ends by the end of its input, which gives it time to end its own children. */
    if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
        _exit(126);
    signal(SIGPIPE, SIG_DFL);
    execvp(arguments[0], (char *const *)(uintptr_t)arguments);
    _exit(127);
}

/* Its input and output are pipes. */
static struct rig_server spawn(const char *const *arguments)
{
    int in[2], out[2];
    struct rig_server server = {0};
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    server.pid = fork();
    assert_true(server.pid >= 0);
    if (server.pid == 0)
        become(arguments, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    server.in = in[1];
    server.out = out[0];
    return server;
}

/* One byte more, or false at the end. */
static bool read_byte(struct rig_server *server, char *ret_byte)
{
    struct pollfd polled = {.fd = server->out, .events = POLLIN};
    int ready;
    do
        ready = poll(&polled, 1, (int)RIG_SECONDS_MAX * 1000);
    while (ready < 0 && errno == EINTR);
    if (ready != 1)
        fail_msg("a server says nothing for %u s", RIG_SECONDS_MAX);
    return read(server->out, ret_byte, 1) == 1;
}

static void read_line(struct rig_server *server, char ret_line[LINE_BYTES])
{
    size_t count = 0;
    while (count < LINE_BYTES - 1 && read_byte(server, &ret_line[count]) && ret_line[count] != '\n')
        count++;
    ret_line[count] = '\0';
    if (count == 0)
        fail_msg("a server ended, see what it says above");
}

/* How it ends: its exit code, or 128 and a signal. */
static int wait_for(pid_t pid)
{
    int status;
    pid_t ended;
    do
        ended = waitpid(pid, &status, 0);
    while (ended < 0 && errno == EINTR);
    assert_int_equal(ended, pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static const char *script_path(const char *name, char ret_path[LINE_BYTES])
{
    snprintf(ret_path, LINE_BYTES, "%s/%s", EDGE_SERVERS_DIRECTORY, name);
    return ret_path;
}

/* ---- servers ---------------------------------------------------------------------------------
 */

static bool packages_are_missing(void)
{
    static int result = -1; /* asked once a process */
    char path[LINE_BYTES];
    if (result < 0) {
        const char *arguments[] = {script_path("install.sh", path), NULL};
        struct rig_server install = spawn(arguments);
        result = wait_for(install.pid);
        close(install.in);
        close(install.out);
    }
    if (result != 0 && result != 3)
        fail_msg("tests/edge/servers/install.sh ends with %d", result);
    return result == 3;
}

bool rig_is_missing(enum rig_kind kind)
{
    if (packages_are_missing()) {
        print_message("skipped: the servers' packages are missing, as said above\n");
        return true;
    }
    if (kind == RIG_POSTGRES && access("/usr/lib/postgresql", X_OK) != 0) {
        if (getenv("CI") != NULL)
            fail_msg("PostgreSQL is not installed (tools/setup --tests)");
        print_message("skipped: PostgreSQL is not installed (tools/setup --tests)\n");
        return true;
    }
    return false;
}

static void start(const char *script, const char *argument, bool is_postgres,
                  struct rig_server *ret_server)
{
    char path[LINE_BYTES], line[LINE_BYTES];
    unsigned port = 0;
    const char *arguments[] = {"node", script_path(script, path), argument, NULL};
    struct rig_server server = spawn(arguments);
    read_line(&server, line);
    assert_true(sscanf(line, "%u %255s", &port, server.directory) >= 1);
    server.port = (uint16_t)port;
    if (is_postgres)
        snprintf(server.url, sizeof server.url, "postgresql://flyover@127.0.0.1:%u/flyover", port);
    else
        snprintf(server.url, sizeof server.url, "http://127.0.0.1:%u", port);
    *ret_server = server;
}

void rig_start(enum rig_kind kind, struct rig_server *ret_server)
{
    start(scripts[kind], NULL, kind == RIG_POSTGRES, ret_server);
}

void rig_start_lambda(const char *functions_path, struct rig_server *ret_server)
{
    start(scripts[RIG_LAMBDA], functions_path, false, ret_server);
}

void rig_start_proxy(const struct rig_server *server, struct rig_server *ret_proxy)
{
    char target[RIG_URL_BYTES];
    bool is_postgres = server->directory[0] != '\0';
    snprintf(target, sizeof target, "%s://127.0.0.1:%u", is_postgres ? "tcp" : "http",
             server->port);
    start("proxy.mjs", target, is_postgres, ret_proxy);
}

json_t *rig_tell(struct rig_server *server, const char *line)
{
    char answer[LINE_BYTES];
    assert_true(dprintf(server->in, "%s\n", line) > 0);
    read_line(server, answer);
    json_t *json = json_loads(answer, JSON_DECODE_ANY, NULL);
    if (json == NULL)
        fail_msg("a server answers \"%s\"", answer);
    return json;
}

void rig_restart(struct rig_server *postgres)
{
    char answer[LINE_BYTES];
    assert_true(dprintf(postgres->in, "restart\n") > 0);
    read_line(postgres, answer);
    assert_string_equal(answer, "restarted");
}

void rig_stop(struct rig_server *server)
{
    if (server->pid == 0)
        return;
    kill(server->pid, SIGTERM);
    int ended = wait_for(server->pid);
    close(server->in);
    close(server->out);
    *server = (struct rig_server){0};
    assert_int_equal(ended, 0);
}

/* ---- asking ----------------------------------------------------------------------------------
 */

static json_t *read_json(struct rig_server *process)
{
    size_t bytes = 0, capacity = 1u << 20;
    char *text = malloc(capacity);
    assert_non_null(text);
    while (read_byte(process, &text[bytes])) {
        if (++bytes == capacity)
            text = realloc(text, capacity *= 2);
        assert_non_null(text);
    }
    json_t *json = json_loadb(text, bytes, JSON_DECODE_ANY, NULL);
    if (json == NULL)
        fail_msg("a script prints \"%.*s\"", (int)bytes, text);
    free(text);
    return json;
}

json_t *rig_ask(const char *script, ...)
{
    char path[LINE_BYTES];
    const char *arguments[ARGS_MAX] = {"node", script_path(script, path)};
    size_t count = 2;
    va_list more;
    va_start(more, script);
    for (const char *next; (next = va_arg(more, const char *)) != NULL; count++) {
        assert_true(count < ARGS_MAX - 1);
        arguments[count] = next;
    }
    va_end(more);
    struct rig_server process = spawn(arguments);
    close(process.in);
    json_t *json = read_json(&process);
    close(process.out);
    assert_int_equal(wait_for(process.pid), 0);
    return json;
}
