#include "tests/cli/serve_rig.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void become(const char *const *arguments, int err, serve_before *before)
{
    const char *all[SERVE_ARGS_MAX] = {"flyover", "serve"};
    for (size_t i = 0; arguments[i] != NULL && i + 3 < SERVE_ARGS_MAX; i++)
        all[i + 2] = arguments[i];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(CLI_SECONDS_MAX);
    if (before != NULL)
        before();
    if (dup2(err, STDERR_FILENO) < 0 || dup2(open("/dev/null", O_RDWR), STDOUT_FILENO) < 0)
        _exit(126);
    execv(cli_program(), (char *const *)(uintptr_t)all);
    _exit(127);
}

void serve_spawn(struct serve_rig *rig, serve_before *before, const char *const *arguments)
{
    int ends[2];
    assert_int_equal(rig->pid, 0);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    rig->log_bytes = rig->seen_bytes = 0;
    rig->log[0] = rig->address[0] = '\0';
    rig->pid = fork();
    assert_true(rig->pid >= 0);
    if (rig->pid == 0)
        become(arguments, ends[1], before);
    close(ends[1]);
    rig->err = ends[0];
}

/* More of what it says; false at the end. */
static bool read_more(struct serve_rig *rig)
{
    struct pollfd polled = {.fd = rig->err, .events = POLLIN};
    if (poll(&polled, 1, (int)CLI_SECONDS_MAX * 1000) != 1)
        fail_msg("it says nothing more; so far:\n%s", rig->log);
    assert_true(rig->log_bytes < SERVE_LOG_BYTES - 1);
    ssize_t count = read(rig->err, rig->log + rig->log_bytes, SERVE_LOG_BYTES - 1 - rig->log_bytes);
    if (count <= 0)
        return false;
    rig->log_bytes += (size_t)count;
    rig->log[rig->log_bytes] = '\0';
    return true;
}

/* The next line with the word of those that are there, or NULL. */
static const char *find_line(struct serve_rig *rig, const char *word)
{
    static char line[4097];
    for (;;) {
        char *start = rig->log + rig->seen_bytes;
        char *end = strchr(start, '\n');
        if (end == NULL)
            return NULL;
        rig->seen_bytes += (size_t)(end - start) + 1;
        snprintf(line, sizeof line, "%.*s", (int)(end - start), start);
        if (strstr(line, word) != NULL)
            return line;
    }
}

const char *serve_await(struct serve_rig *rig, const char *word)
{
    const char *line;
    while ((line = find_line(rig, word)) == NULL)
        if (!read_more(rig))
            fail_msg("it ended and never said '%s' but:\n%s", word, rig->log);
    return line;
}

bool serve_has_said(struct serve_rig *rig, const char *word)
{
    struct pollfd polled = {.fd = rig->err, .events = POLLIN};
    while (poll(&polled, 1, 0) == 1 && read_more(rig))
        ;
    return find_line(rig, word) != NULL;
}

void serve_await_address(struct serve_rig *rig)
{
    const char *line = serve_await(rig, "event=listening");
    const char *address = strstr(line, "address=");
    assert_non_null(address);
    address += strlen("address=");
    snprintf(rig->address, sizeof rig->address, "%.*s", (int)strcspn(address, " ,"), address);
}

void serve_start(struct serve_rig *rig, const char *const *arguments)
{
    serve_spawn(rig, NULL, arguments);
    serve_await_address(rig);
}

int serve_wait(struct serve_rig *rig)
{
    int ending;
    while (read_more(rig))
        ;
    assert_int_equal(waitpid(rig->pid, &ending, 0), rig->pid);
    close(rig->err);
    rig->pid = 0;
    return WIFEXITED(ending) ? WEXITSTATUS(ending) : 128 + WTERMSIG(ending);
}

void serve_stop(struct serve_rig *rig)
{
    kill(rig->pid, SIGTERM);
    int code = serve_wait(rig);
    if (code != CLI_DONE || strstr(rig->log, "event=stopped") == NULL)
        fail_msg("it ended with %d:\n%s", code, rig->log);
}

void serve_kill(struct serve_rig *rig)
{
    if (rig->pid == 0)
        return;
    kill(rig->pid, SIGKILL);
    serve_wait(rig);
}
