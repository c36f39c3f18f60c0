/*
 * cli: what the tests of the command line share: running the real `flyover` with a bound on its
 * time, reading what it printed, data directories (tests/damage.h copies and damages them), and
 * files of orders.
 *
 * A child is killed when the test ends, and by SIGALRM when it runs for longer than
 * CLI_SECONDS_MAX, so that nothing here can hang.
 */
#ifndef TESTS_CLI_CLI_H
#define TESTS_CLI_CLI_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <limits.h>
#include <sys/types.h>

/* The exit codes of engine/main/command.h, which is no header for other programs. */
enum {
    CLI_DONE = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
    CLI_INPUT = 3,
    CLI_DATA = 4,
    CLI_AUDIT = 5,
};

/* Memory is not to be measured in a program that a sanitizer is part of. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CLI_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CLI_SANITIZED 1
#endif
#endif
#ifndef CLI_SANITIZED
#define CLI_SANITIZED 0
#endif

/* How a program ends in which a sanitizer has found something: by themselves they take 1, which is
 * CLI_FAILED. */
#define CLI_SANITIZER 86

#define CLI_SECONDS_MAX 120u
#define CLI_ARGS_MAX    64u

/* How a run ended and what it printed; both texts are terminated. */
struct cli_result {
    int exit_code; /* -1 if a signal ended it */
    int signal;    /* 0 if it ended by itself */
    char *out;
    size_t out_bytes;
    char *err;
};

struct cli_process {
    pid_t pid;
    int out, err; /* files in memory */
};

/* Where the program is. */
const char *cli_program(void);
/* Arguments follow the name of the command, the last one NULL. */
struct cli_result cli_run(const char *command, ...) __attribute__((sentinel));
/* The same with another program, whose path comes first. */
struct cli_result cli_run_program(const char *program, ...) __attribute__((sentinel));
/* cli_run with standard input read from `in` (-1: empty), without waiting for the end. */
struct cli_process cli_start(int in, const char *command, ...) __attribute__((sentinel));
struct cli_process cli_start_list(int in, const char *const *arguments);
bool cli_is_running(struct cli_process *process, struct cli_result *ret_result);
struct cli_result cli_wait(struct cli_process *process);
void cli_free(struct cli_result *result);

/* Fails the test, with what was printed to stderr, if it ended otherwise. */
void cli_expect(const struct cli_result *result, int exit_code);
/* The same, and that stderr holds each of the words that follow, the last one NULL. */
void cli_expect_says(const struct cli_result *result, int exit_code, ...) __attribute__((sentinel));
/* Expects success, and frees the result. */
void cli_expect_done(struct cli_result result);
/* Expects success and one JSON object on stdout, frees the result. Returns owned. */
json_t *cli_expect_json(struct cli_result result);

/* Members by a path such as "sagas/started"; each fails the test if it is not there or of another
 * type. */
json_t *cli_member(json_t *object, const char *path);
int64_t cli_integer(json_t *object, const char *path);
double cli_number(json_t *object, const char *path);
const char *cli_text(json_t *object, const char *path);
bool cli_truth(json_t *object, const char *path);

/* ---- files and directories ------------------------------------------------------------------- */

/* A new directory under /tmp. */
void cli_make_directory(char ret_path[PATH_MAX]);
void cli_remove(const char *path);
void cli_path(char ret_path[PATH_MAX], const char *directory, const char *name);
/* The largest file of `directory` with that suffix; false if there is none. */
bool cli_find_largest(const char *directory, const char *suffix, char ret_path[PATH_MAX]);
void cli_write(const char *path, const char *text);
/* Returns owned, terminated. */
char *cli_read(const char *path);
/* The acknowledged block that DIR/watermark names; 0 where there is none. */
uint64_t cli_watermark(const char *directory);
/* Both copies of DIR/watermark. */
void cli_set_watermark(const char *directory, uint64_t block_no);

/* ---- orders ---------------------------------------------------------------------------------- */

/* Writes what `flyover generate` prints. */
void cli_generate(const char *path, const char *orders, const char *shape);

/* xorshift64: the tests' own randomness, the same on every run. */
uint64_t cli_draw(uint64_t *random);

#endif
