/*
 * serve_fixture: what the tests of `flyover serve` share: a folder with a data directory, two
 * definitions and a file of tokens; an engine on it; and clients.
 */
#ifndef TESTS_CLI_SERVE_FIXTURE_H
#define TESTS_CLI_SERVE_FIXTURE_H

#include "engine/client/flyover.h"
#include "tests/cli/serve_rig.h"

#define SERVE_LONG_MS 60000

/* The engine that is tested, and one that may be in its way. */
extern struct serve_rig serve_it, serve_other;
extern char serve_scratch[PATH_MAX], serve_data[PATH_MAX], serve_config_file[PATH_MAX];
/* `pass` ends at once; `far` asks far.go, which a worker serves. */
extern char serve_pass_file[PATH_MAX], serve_far_file[PATH_MAX], serve_token_file[PATH_MAX];
extern char serve_address[PATH_MAX + 8]; /* a unix socket in the folder */

/* cmocka fixtures. */
int serve_set_up(void **state);
int serve_tear_down(void **state);
#define SERVE_TEST(name) cmocka_unit_test_setup_teardown(name, serve_set_up, serve_tear_down)

#define SERVE_ARGS(...)                                                                            \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }
#define SERVE_ON_ANY_PORT "--data", serve_data, "--listen", "127.0.0.1:0"

/* NULL: it was refused, or nobody is there. */
struct flyover_client *serve_try_connect(const char *to, const char *token);
struct flyover_client *serve_connect(const char *to);
/* Of that definition, with nil. */
struct flyover_start serve_start_of(const char *definition);
/* Sagas, by the data directory, whether an engine runs on it or not. */
int64_t serve_started_count(void);
/* Returns the token that was made and written into the file, owned. */
char *serve_make_token(const char *name, const char *role);
void serve_expect_text(const char *text, const char *part);
/* Frees the result. */
void serve_expect_says(struct cli_result result, int exit_code, const char *word);

#endif
