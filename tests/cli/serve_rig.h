/*
 * serve_rig: a `flyover serve` that runs while a test talks to it. What it says on stderr comes
 * through a pipe, so that a test waits for its lines and never for time.
 */
#ifndef TESTS_CLI_SERVE_RIG_H
#define TESTS_CLI_SERVE_RIG_H

#include "tests/cli/cli.h"

#define SERVE_ARGS_MAX  48u
#define SERVE_LOG_BYTES (1u << 20)

struct serve_rig {
    pid_t pid; /* 0: none runs */
    int err;
    char log[SERVE_LOG_BYTES]; /* all that it has said since it was started, terminated */
    size_t log_bytes, seen_bytes;
    char address[256]; /* the first that it listens on */
};

/* Before the program is there, in its process; NULL: nothing. */
typedef void serve_before(void);

/* Arguments behind `serve`, the last one NULL. */
void serve_spawn(struct serve_rig *rig, serve_before *before, const char *const *arguments);
/* Until it listens; its address is known then. */
void serve_await_address(struct serve_rig *rig);
/* Both, with nothing before. */
void serve_start(struct serve_rig *rig, const char *const *arguments);
/* The next line that holds the word, behind the one that was awaited last: lent until the next
 * call. Fails the test where it ends without it. */
const char *serve_await(struct serve_rig *rig, const char *word);
/* Whether such a line has come already; does not wait. */
bool serve_has_said(struct serve_rig *rig, const char *word);
/* Its end: the exit code, or 128 and its signal; everything it said is in `log` then. */
int serve_wait(struct serve_rig *rig);
/* SIGTERM, and expects that it ends well. */
void serve_stop(struct serve_rig *rig);
/* SIGKILL, where it still runs. */
void serve_kill(struct serve_rig *rig);

#endif
