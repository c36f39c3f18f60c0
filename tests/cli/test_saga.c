/*
 * `flyover saga`: what an operator does to sagas, on a running engine and on a data directory that
 * none runs on, alike; and what is said where it cannot be done.
 */
#include "tests/cli/cli.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define POLL_NS   5000000
#define POLLS_MAX 200
#define COLUMNS   120

/* Three answers to the end: a signal, another one, and a token. */
#define ASK                                                                                        \
    "{\"StartAt\":\"Greet\",\"States\":{"                                                          \
    "\"Greet\":{\"Type\":\"Task\",\"Resource\":\"service:greet.hello\",\"ResultPath\":\"$.said\"," \
    "\"Compensate\":{\"Resource\":\"service:greet.forget\"},\"Next\":\"Approve\"},"                \
    "\"Approve\":{\"Type\":\"Task\",\"Resource\":\"signal:approved\",\"ResultPath\":\"$.by\","     \
    "\"Next\":\"Call\"},"                                                                          \
    "\"Call\":{\"Type\":\"Task\",\"Resource\":\"service:greet.hello.waitForTaskToken\","           \
    "\"ResultPath\":\"$.call\",\"End\":true}}}"
/* What it has done cannot be undone: nobody says goodbye. */
#define STICK                                                                                      \
    "{\"StartAt\":\"Greet\",\"States\":{"                                                          \
    "\"Greet\":{\"Type\":\"Task\",\"Resource\":\"service:greet.hello\",\"ResultPath\":\"$.said\"," \
    "\"Compensate\":{\"Resource\":\"service:greet.goodbye\"},\"Next\":\"Approve\"},"               \
    "\"Approve\":{\"Type\":\"Task\",\"Resource\":\"signal:approved\",\"End\":true}}}"

#define ADA "{\"name\": \"Ada\"}"
#define BOB "{\"name\": \"Bob\"}"

static char scratch[PATH_MAX];
static char data[PATH_MAX];
static char ask_file[PATH_MAX];
static char stick_file[PATH_MAX];
static struct cli_process engine;

/* ---- an engine that waits for whoever answers ------------------------------------------------ */

static void pause_a_little(void)
{
    static const struct timespec pause = {.tv_nsec = POLL_NS};
    nanosleep(&pause, NULL);
}

static struct cli_result saga(const char *verb, const char *a, const char *b, const char *c)
{
    return cli_run("saga", "--data", data, verb, a, b, c, (char *)NULL);
}

/* Until the saga stands there; what `show --json` said then. */
static json_t *await_state(const char *saga_id, const char *wanted)
{
    for (int i = 0; i < POLLS_MAX; i++) {
        struct cli_result result = saga("show", saga_id, "--json", NULL);
        json_t *shown = result.exit_code == CLI_DONE ? json_loads(result.out, 0, NULL) : NULL;
        const char *state = json_string_value(json_object_get(shown, "state"));
        cli_free(&result);
        if (state != NULL && strcmp(state, wanted) == 0)
            return shown;
        json_decref(shown);
        pause_a_little();
    }
    fail_msg("saga %s never came to be %s", saga_id, wanted);
    return NULL;
}

/* The token that saga 1 waits for an answer to. */
static void await_token(char ret_token[128])
{
    for (int i = 0; i < POLLS_MAX; i++) {
        json_t *shown = await_state("1", "AWAITING");
        json_t *branch = json_array_get(cli_member(shown, "branches"), 0);
        const char *token = json_string_value(json_object_get(branch, "token"));
        snprintf(ret_token, 128, "%s", token == NULL ? "" : token);
        json_decref(shown);
        if (token != NULL)
            return;
    }
    fail_msg("no token came");
}

static void start_engine(const char *file, const char *name)
{
    engine = cli_start(-1, "run", "--data", data, "--plugin-dir", GREET_DIRECTORY, "--name", name,
                       "--input", ADA, file, (char *)NULL);
}

static struct cli_result stop_engine(void)
{
    kill(engine.pid, SIGINT);
    struct cli_result result = cli_wait(&engine);
    cli_expect(&result, CLI_DONE);
    return result;
}

static int set_up(void **state)
{
    (void)state;
    cli_make_directory(scratch);
    cli_path(data, scratch, "data");
    cli_path(ask_file, scratch, "ask.asl.json");
    cli_path(stick_file, scratch, "stick.asl.json");
    cli_write(ask_file, ASK);
    cli_write(stick_file, STICK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (engine.pid != 0) {
        kill(engine.pid, SIGKILL);
        struct cli_result result = cli_wait(&engine);
        cli_free(&result);
    }
    cli_remove(scratch);
    return 0;
}

/* Saga 1, "first", waits for its signal; with an engine that runs, or without. */
static void make_first(const char *file, bool running)
{
    start_engine(file, "first");
    json_decref(await_state("1", "AWAITING"));
    if (running)
        return;
    struct cli_result result = stop_engine();
    cli_free(&result);
}

static void refuses(struct cli_result result, int exit_code, const char *words)
{
    cli_expect_says(&result, exit_code, words, NULL);
    assert_int_equal(result.out_bytes, 0);
    cli_free(&result);
}

/* ---- with an engine and without -------------------------------------------------------------- */

static void starts_are_durable_and_done_once(bool running)
{
    make_first(ask_file, running);
    json_t *reply = cli_expect_json(
        cli_run("saga", "-d", data, "start", "ask", "--name", "B", "--input", BOB, "--json", NULL));
    assert_int_equal(cli_integer(reply, "saga"), 2);
    assert_false(cli_truth(reply, "existed"));
    json_decref(reply);
    reply = cli_expect_json(cli_run("saga", "-d", data, "start", "ask:1", "--name", "B", "--input",
                                    BOB, "--json", NULL));
    assert_int_equal(cli_integer(reply, "saga"), 2);
    assert_true(cli_truth(reply, "existed"));
    json_decref(reply);
    refuses(cli_run("saga", "-d", data, "start", "ask", "--name", "B", "--input", ADA, NULL),
            CLI_INPUT, "was given to saga 2 with another input");
    refuses(saga("start", "order", NULL, NULL), CLI_INPUT,
            "there is no definition 'order' in this data directory; there are: ask");
    refuses(saga("start", "ask:7", NULL, NULL), CLI_INPUT, "no version 7 of definition 'ask'");
    char name[10001];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    refuses(saga("start", "ask", "--name", name), CLI_INPUT, "this one has 10000 bytes");
    refuses(saga("show", "--name", name, NULL), CLI_INPUT, "no saga is known by the name 'nnn");
    reply = cli_expect_json(
        cli_run("saga", "-d", data, "start", "ask", "--delay", "3600", "--json", NULL));
    json_decref(reply);
    reply = await_state("3", "SLEEPING");
    assert_true(cli_integer(reply, "due_ms") - cli_integer(reply, "started_ms") > 3590000);
    json_decref(reply);
}

static void starts_are_durable_and_done_once_on_a_running_engine(void **state)
{
    (void)state;
    starts_are_durable_and_done_once(true);
}

static void starts_are_durable_and_done_once_on_a_directory(void **state)
{
    (void)state;
    starts_are_durable_and_done_once(false);
}

#define TRACE "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static void a_start_may_have_a_deadline_a_trace_and_a_priority(void **state)
{
    (void)state;
    make_first(ask_file, false);
    cli_expect_done(cli_run("saga", "-d", data, "start", "ask", "--deadline",
                            "2100-01-01T00:00:00Z", "--trace", TRACE, "--priority", "high", NULL));
    json_t *reply = cli_expect_json(saga("show", "2", "--json", NULL));
    assert_int_equal(cli_integer(reply, "deadline_ms"), 4102444800000);
    json_decref(reply);
    struct cli_result result = saga("history", "2", NULL, NULL);
    assert_non_null(strstr(result.out, TRACE));
    cli_free(&result);
    refuses(saga("start", "ask", "--deadline", "2001-01-01T00:00:00Z"), CLI_INPUT, "deadline");
    refuses(saga("start", "ask", "--trace", "00-12-34-01"), CLI_INPUT, "W3C traceparent");
    refuses(saga("start", "ask", "--priority", "urgent"), CLI_INPUT, "low, normal or high");
}

static void what_cannot_be_done_is_refused_with_what_to_do(bool running)
{
    make_first(ask_file, running);
    refuses(saga("show", "9", NULL, NULL), CLI_INPUT, "saga 9 was never started: there are 1");
    refuses(saga("cancel", "9", NULL, NULL), CLI_INPUT, "saga 9 was never started");
    refuses(saga("signal", "1", "aproved", NULL), CLI_INPUT, "it waits for: approved");
    refuses(saga("answer", "1-2-1-0123456789abcdef", NULL, NULL), CLI_INPUT,
            "is no token of this data directory");
    refuses(saga("heartbeat", "nonsense", NULL, NULL), CLI_INPUT, "is no token");
    refuses(saga("retry", "1", NULL, NULL), CLI_INPUT, "is not stuck");
    refuses(saga("skip", "1", "--reason", "why not"), CLI_INPUT, "is not stuck");
    refuses(saga("skip", "1", NULL, NULL), CLI_INPUT, "say why");
    refuses(saga("resolve", "1", NULL, NULL), CLI_INPUT, "say why");
    char reason[300];
    memset(reason, 'r', sizeof reason - 1);
    reason[sizeof reason - 1] = '\0';
    refuses(saga("cancel", "1", "--reason", reason), CLI_INPUT, "say it shorter");
    cli_expect_done(saga("cancel", "--name", "first", NULL));
    if (!running)
        refuses(saga("cancel", "1", NULL, NULL), CLI_INPUT, "saga 1 was cancelled already");
}

static void what_cannot_be_done_to_a_running_engine_is_refused(void **state)
{
    (void)state;
    what_cannot_be_done_is_refused_with_what_to_do(true);
    struct cli_result result = cli_wait(&engine);
    cli_expect(&result, CLI_DONE);
    assert_non_null(strstr(result.out, "COMPENSATED"));
    cli_free(&result);
    refuses(saga("signal", "1", "approved", NULL), CLI_INPUT, "saga 1 has ended");
    refuses(saga("cancel", "1", NULL, NULL), CLI_INPUT, "saga 1 has ended");
}

static void what_cannot_be_done_to_a_directory_is_refused(void **state)
{
    (void)state;
    what_cannot_be_done_is_refused_with_what_to_do(false);
}

static void the_room_for_names_is_what_the_directory_was_begun_with(void **state)
{
    (void)state;
    engine = cli_start(-1, "run", "--data", data, "--plugin-dir", GREET_DIRECTORY, "--names-max",
                       "1", "--name-retention-hours", "1", "--payload-mib", "16", "--name", "first",
                       "--input", ADA, ask_file, (char *)NULL);
    json_decref(await_state("1", "AWAITING"));
    refuses(saga("start", "ask", "--name", "second"), CLI_FAILED, "a larger --names-max");
    refuses(saga("show", "--name", "second", NULL), CLI_INPUT, "names are kept for 1 hours");
    cli_expect_done(saga("start", "ask", NULL, NULL));
    struct cli_result result = stop_engine();
    cli_free(&result);
    refuses(cli_run("run", "--data", data, "--payload-mib", "15", ask_file, (char *)NULL),
            CLI_USAGE, "--payload-mib takes 16 to");
}

/* ---- lives ----------------------------------------------------------------------------------- */

static void a_saga_is_carried_to_its_end_by_who_answers(void **state)
{
    (void)state;
    make_first(ask_file, true);
    cli_expect_done(cli_run("saga", "-d", data, "signal", "1", "approved", "--payload",
                            "{\"who\": \"Eve\"}", NULL));
    char token[128];
    await_token(token);
    json_t *shown = await_state("1", "AWAITING");
    json_t *branch = json_array_get(cli_member(shown, "branches"), 0);
    assert_string_equal(cli_text(branch, "input/by/who"), "Eve");
    assert_string_equal(cli_text(json_array_get(cli_member(shown, "to_compensate"), 0), "at"),
                        "Greet");
    json_decref(shown);
    cli_expect_done(saga("heartbeat", token, NULL, NULL));
    cli_expect_done(saga("answer", token, "--output", "{\"minutes\": 4}"));
    struct cli_result result = cli_wait(&engine);
    cli_expect(&result, CLI_DONE);
    assert_non_null(strstr(result.out, "saga 1: SUCCEEDED"));
    cli_free(&result);
    refuses(saga("answer", token, NULL, NULL), CLI_INPUT, "has ended");
    json_t *life = cli_expect_json(saga("history", "1", "--json", NULL));
    assert_string_equal(cli_text(life, "outcome"), "SUCCEEDED");
    assert_int_equal(json_array_size(cli_member(life, "events")), 6);
    json_decref(life);
    cli_expect_done(saga("wait", "1", NULL, NULL));
}

static void a_token_can_be_answered_with_an_error(void **state)
{
    (void)state;
    make_first(ask_file, true);
    cli_expect_done(saga("signal", "1", "approved", NULL));
    char token[128];
    await_token(token);
    cli_expect_done(cli_run("saga", "-d", data, "answer", token, "--error", "Call.NoOne", "--cause",
                            "nobody picks up", NULL));
    struct cli_result result = cli_wait(&engine);
    cli_expect(&result, CLI_DONE);
    assert_non_null(strstr(result.out, "COMPENSATED, because of Call.NoOne"));
    cli_free(&result);
}

static void what_was_done_to_a_directory_is_carried_on_by_the_next_engine(void **state)
{
    (void)state;
    make_first(ask_file, false);
    cli_expect_done(saga("signal", "1", "approved", NULL));
    struct cli_result result = saga("wait", "1", NULL, NULL);
    cli_expect_says(&result, CLI_FAILED, "no engine runs", NULL);
    cli_free(&result);
    /* The same name: no other saga, but the one that waits. */
    start_engine(ask_file, "first");
    char token[128];
    await_token(token);
    json_t *counts = cli_expect_json(saga("counts", "--json", NULL, NULL));
    assert_int_equal(cli_integer(counts, "totals/started"), 1);
    json_decref(counts);
    cli_expect_done(saga("cancel", "1", "--abort", NULL));
    result = cli_wait(&engine);
    cli_expect(&result, CLI_DONE);
    assert_non_null(strstr(result.out, "ABORTED"));
    cli_free(&result);
}

static void make_stuck(const char *name)
{
    struct cli_result result;
    start_engine(stick_file, name);
    json_decref(await_state("1", "AWAITING"));
    cli_expect_done(saga("cancel", "1", "--reason", "changed my mind"));
    result = cli_wait(&engine);
    cli_expect(&result, CLI_DONE);
    assert_non_null(strstr(result.out, "STUCK"));
    cli_free(&result);
}

static void a_stuck_saga_is_retried_skipped_and_resolved(void **state)
{
    (void)state;
    static const struct {
        const char *verb, *outcome;
    } ways[] = {{"retry", "STUCK"}, {"skip", "COMPENSATED"}, {"resolve", "COMPENSATED"}};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        make_stuck("first");
        json_t *shown = await_state("1", "STUCK");
        assert_string_equal(cli_text(shown, "failed_with/Cause"), "changed my mind");
        json_decref(shown);
        refuses(saga("cancel", "1", NULL, NULL), CLI_INPUT, "retry it, skip the step");
        cli_expect_done(saga(ways[i].verb, "1", "--reason", "a person has looked"));
        start_engine(stick_file, "first");
        struct cli_result result = cli_wait(&engine);
        cli_expect(&result, CLI_DONE);
        char words[64];
        snprintf(words, sizeof words, "saga 1: %s", ways[i].outcome);
        if (strstr(result.out, words) == NULL)
            fail_msg("%s: %s", ways[i].verb, result.out);
        cli_free(&result);
        cli_remove(data);
    }
}

static void a_saga_that_sleeps_goes_on_when_its_waiting_is_skipped(void **state)
{
    (void)state;
    make_first(ask_file, false);
    cli_expect_done(saga("start", "ask", "--delay", "86400"));
    json_t *shown = await_state("2", "SLEEPING");
    json_decref(shown);
    refuses(saga("retry", "2", NULL, NULL), CLI_INPUT, "to have it go on now, skip the waiting");
    cli_expect_done(saga("skip", "2", "--reason", "in a hurry"));
    shown = await_state("2", "RUNNING");
    json_decref(shown);
}

/* ---- lists ----------------------------------------------------------------------------------- */

static void expect_ids(struct cli_result result, size_t count, const int64_t *ids)
{
    json_t *reply = cli_expect_json(result);
    json_t *rows = cli_member(reply, "sagas");
    assert_int_equal(json_array_size(rows), count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(cli_integer(json_array_get(rows, i), "saga"), ids[i]);
    json_decref(reply);
}

static void a_list_is_of_those_asked_for_the_newest_first(void **state)
{
    (void)state;
    static const char other[] = "{\"StartAt\":\"Approve\",\"States\":{\"Approve\":{\"Type\":"
                                "\"Task\",\"Resource\":\"signal:approved\",\"End\":true}}}";
    make_first(ask_file, false);
    cli_write(ask_file, other); /* a second version */
    start_engine(ask_file, "second");
    json_decref(await_state("2", "AWAITING"));
    for (int i = 0; i < 3; i++)
        cli_expect_done(saga("start", "ask:2", NULL, NULL));
    cli_expect_done(saga("start", "ask", "--at", "2100-01-01T00:00:00Z"));
    cli_expect_done(saga("cancel", "1", "--abort", NULL));
    expect_ids(saga("list", "--json", "--state", "LIVE"), 5, (const int64_t[]){6, 5, 4, 3, 2});
    expect_ids(saga("list", "--json", "--state", "SLEEPING"), 1, (const int64_t[]){6});
    expect_ids(saga("list", "--json", "--definition", "ask:1"), 1, (const int64_t[]){1});
    expect_ids(saga("list", "--json", "--definition", "ask"), 6,
               (const int64_t[]){6, 5, 4, 3, 2, 1});
    expect_ids(saga("list", "--json", "--name", "second"), 1, (const int64_t[]){2});
    expect_ids(saga("list", "--json", "--name", "nobody"), 0, NULL);
    expect_ids(saga("list", "--json", "--before", "2020-01-01T00:00:00Z"), 0, NULL);
    expect_ids(saga("list", "--json", "--error", "Some.Error"), 0, NULL);
    expect_ids(cli_run("saga", "-d", data, "list", "--json", "--limit", "2", NULL), 2,
               (const int64_t[]){6, 5});
    expect_ids(
        cli_run("saga", "-d", data, "list", "--json", "--limit", "2", "--cursor", "live:5", NULL),
        2, (const int64_t[]){4, 3});
    refuses(saga("list", "--state", "ASLEEP", NULL), CLI_INPUT, "RUNNING, SLEEPING, AWAITING");
    refuses(saga("list", "--definition", "order", NULL), CLI_INPUT, "there are: ask");
    json_t *known = cli_expect_json(cli_run("define", "--list", "--data", data, "--json", NULL));
    json_t *rows = cli_member(known, "definitions");
    assert_int_equal(json_array_size(rows), 2);
    assert_int_equal(cli_integer(json_array_get(rows, 1), "version"), 2);
    assert_int_equal(cli_integer(json_array_get(rows, 1), "live"), 5);
    assert_int_equal(cli_integer(json_array_get(rows, 0), "block"), 1);
    assert_true(cli_integer(json_array_get(rows, 1), "block") > 1);
    assert_true(cli_integer(json_array_get(rows, 1), "made_ms") >=
                cli_integer(json_array_get(rows, 0), "made_ms"));
    json_decref(known);
}

static void expect_narrow(struct cli_result result)
{
    cli_expect(&result, CLI_DONE);
    assert_true(result.out_bytes > 0);
    size_t columns = 0;
    for (const char *at = result.out; *at != '\0'; at++) {
        columns = *at == '\n' ? 0 : columns + (((unsigned char)*at & 0xc0) != 0x80);
        if (columns > COLUMNS)
            fail_msg("a line is too long:\n%s", result.out);
    }
    cli_free(&result);
}

static void tables_fit_a_terminal(void **state)
{
    (void)state;
    char file[PATH_MAX], definition[1024], input[4096];
    cli_path(file, scratch, "a-definition-with-a-name-that-goes-on-and-on-for-sixty-byte.json");
    snprintf(definition, sizeof definition,
             "{\"StartAt\":\"%s\",\"States\":{\"%s\":{\"Type\":\"Task\","
             "\"Resource\":\"signal:go\",\"TimeoutSeconds\":9000,\"End\":true}}}",
             "Räumt die größte Straße über Nacht und ändert gar nichts",
             "Räumt die größte Straße über Nacht und ändert gar nichts");
    memset(input, 'x', sizeof input);
    input[0] = input[sizeof input - 2] = '"';
    input[sizeof input - 1] = '\0';
    cli_write(file, definition);
    engine = cli_start(-1, "run", "--data", data, "--input", input, file, (char *)NULL);
    json_decref(await_state("1", "AWAITING"));
    expect_narrow(saga("list", NULL, NULL, NULL));
    expect_narrow(saga("show", "1", NULL, NULL));
    expect_narrow(saga("counts", NULL, NULL, NULL));
    expect_narrow(cli_run("define", "--list", "--data", data, (char *)NULL));
    struct cli_result result = stop_engine();
    cli_free(&result);
}

/* ---- history --------------------------------------------------------------------------------- */

/* What a replay of the whole journal tells of the saga is what its own blocks tell. */
static void expect_told_alike(const char *saga_id)
{
    json_t *told = cli_expect_json(saga("history", saga_id, "--json", NULL));
    json_t *replayed = cli_expect_json(
        cli_run("replay", "--data", data, "--saga", saga_id, "--json", (char *)NULL));
    json_object_del(told, "state");
    if (!json_equal(told, cli_member(replayed, "saga"))) {
        char *texts[] = {json_dumps(told, 0), json_dumps(cli_member(replayed, "saga"), 0)};
        fail_msg("saga %s is told as\n%s\nand replayed as\n%s", saga_id, texts[0], texts[1]);
    }
    json_decref(told);
    json_decref(replayed);
}

static void the_life_of_an_order_is_told_from_its_own_blocks(void **state)
{
    (void)state;
    char orders[PATH_MAX], saga_id[32];
    uint64_t random = 88172645463325252u;
    cli_path(orders, scratch, "orders.csv");
    cli_generate(orders, "3000", "retail");
    cli_expect_done(cli_run("ingest", "--data", data, "--set", "payment.credit_limit=40000", orders,
                            (char *)NULL));
    for (int i = 0; i < 12; i++) {
        snprintf(saga_id, sizeof saga_id, "%d", i == 0 ? 1 : (int)(cli_draw(&random) % 2900 + 1));
        expect_told_alike(saga_id);
    }
}

/* Timeouts of sagas and of steps, signals that come early, cancels, tokens, mending. */
static void lives_with_everything_in_them_are_told_from_their_own_blocks(void **state)
{
    (void)state;
    cli_write(
        ask_file,
        "{\"TimeoutSeconds\":3,\"StartAt\":\"Greet\",\"Compensation\":{\"Order\":\"Parallel\"},"
        "\"States\":{"
        "\"Greet\":{\"Type\":\"Task\",\"Resource\":\"service:greet.hello\",\"ResultPath\":"
        "\"$.said\",\"Compensate\":{\"Resource\":\"service:greet.forget\"},\"Next\":\"Again\"},"
        "\"Again\":{\"Type\":\"Task\",\"Resource\":\"service:greet.hello\",\"ResultPath\":"
        "null,\"Compensate\":{\"Resource\":\"service:greet.forget\"},\"Next\":\"Beside\"},"
        "\"Beside\":{\"Type\":\"Task\",\"Resource\":\"service:greet.hello\","
        "\"FireAndForget\":true,\"Next\":\"Pause\"},"
        "\"Pause\":{\"Type\":\"Wait\",\"Seconds\":1,\"Next\":\"Approve\"},"
        "\"Approve\":{\"Type\":\"Task\",\"Resource\":\"signal:approved\",\"ResultPath\":"
        "\"$.by\",\"TimeoutSeconds\":60,\"Next\":\"Call\"},"
        "\"Call\":{\"Type\":\"Task\",\"Resource\":"
        "\"service:greet.hello.waitForTaskToken\",\"ResultPath\":null,\"Next\":\"More\"},"
        "\"More\":{\"Type\":\"Task\",\"Resource\":\"signal:more\",\"End\":true}}}");
    start_engine(ask_file, "first");
    json_decref(await_state("1", "AWAITING"));
    for (int i = 0; i < 5; i++)
        cli_expect_done(saga("start", "ask", "--input", i == 4 ? "{}" : ADA));
    cli_expect_done(saga("signal", "2", "approved", NULL)); /* and then the saga is out of time */
    cli_expect_done(saga("signal", "3", "more", NULL));     /* early */
    cli_expect_done(saga("cancel", "4", "--reason", "enough"));
    cli_expect_done(saga("cancel", "5", "--abort", NULL));
    /* Before the last one is out of time all others are. */
    for (int i = 0; i < 2; i++) {
        struct cli_result result = cli_wait(&engine);
        cli_expect(&result, CLI_DONE);
        cli_free(&result);
        if (i == 0)
            start_engine(ask_file, "last");
    }
    for (int i = 1; i <= 7; i++) {
        char saga_id[16];
        snprintf(saga_id, sizeof saga_id, "%d", i);
        expect_told_alike(saga_id);
    }
    json_t *life = cli_expect_json(saga("history", "2", "--json", NULL));
    assert_string_equal(cli_text(life, "outcome"), "COMPENSATED");
    json_decref(life);
}

static void a_list_goes_on_with_those_that_have_ended(void **state)
{
    (void)state;
    make_first(stick_file, true);
    for (int i = 0; i < 6; i++)
        cli_expect_done(saga("start", "stick", "--input", BOB));
    json_decref(await_state("7", "AWAITING"));
    for (int i = 2; i <= 5; i++) {
        char saga_id[16];
        snprintf(saga_id, sizeof saga_id, "%d", i);
        cli_expect_done(i % 2 == 0 ? saga("signal", saga_id, "approved", NULL)
                                   : saga("cancel", saga_id, "--abort", NULL));
        json_decref(await_state(saga_id, "ENDED"));
    }
    const int64_t all[] = {7, 6, 1, 5, 4, 3, 2};
    expect_ids(saga("list", "--json", NULL, NULL), 7, all);
    expect_ids(saga("list", "--json", "--state", "LIVE"), 3, all);
    expect_ids(saga("list", "--json", "--state", "ENDED"), 4, all + 3);
    expect_ids(saga("list", "--json", "--state", "ABORTED"), 2, (const int64_t[]){5, 3});
    expect_ids(saga("list", "--json", "--error", "Flyover.Cancelled"), 2, (const int64_t[]){5, 3});
    expect_ids(saga("list", "--json", "--name", "first"), 1, (const int64_t[]){1});
    /* Page by page each comes once. */
    char cursor[64] = "";
    for (size_t seen = 0; seen < 7;) {
        json_t *page = cli_expect_json(cli_run("saga", "--data", data, "list", "--json", "--limit",
                                               "2", cursor[0] == '\0' ? (char *)NULL : "--cursor",
                                               cursor, (char *)NULL));
        json_t *rows = cli_member(page, "sagas");
        assert_true(json_array_size(rows) > 0);
        for (size_t i = 0; i < json_array_size(rows); i++)
            assert_int_equal(cli_integer(json_array_get(rows, i), "saga"), all[seen++]);
        if (seen < 7)
            snprintf(cursor, sizeof cursor, "%s", cli_text(page, "cursor"));
        json_decref(page);
    }
    refuses(saga("list", "--cursor", "5", NULL), CLI_INPUT, "is no cursor");
    expect_narrow(saga("list", NULL, NULL, NULL));
    cli_expect_done(saga("cancel", "1", "--abort", NULL));
}

/* ---- redrive --------------------------------------------------------------------------------- */

static void an_aborted_saga_goes_on_as_a_new_one_where_it_was(void **state)
{
    (void)state;
    make_first(ask_file, true);
    cli_expect_done(saga("cancel", "1", "--abort", NULL));
    struct cli_result result = cli_wait(&engine);
    cli_expect(&result, CLI_DONE);
    cli_free(&result);
    json_t *reply = cli_expect_json(saga("redrive", "--name", "first", "--json"));
    assert_int_equal(cli_integer(reply, "saga"), 2);
    json_decref(reply);
    json_t *shown = await_state("2", "AWAITING");
    assert_string_equal(cli_text(shown, "at"), "Approve");
    assert_string_equal(cli_text(json_array_get(cli_member(shown, "branches"), 0), "input/said"),
                        "Hello Ada, for the 1. time");
    assert_string_equal(cli_text(json_array_get(cli_member(shown, "to_compensate"), 0), "at"),
                        "Greet");
    json_decref(shown);
    refuses(saga("redrive", "2", NULL, NULL), CLI_INPUT, "has not ended");
    refuses(saga("redrive", "3", NULL, NULL), CLI_INPUT, "was never started");
    /* What the old one did is undone by the new one. */
    cli_expect_done(saga("cancel", "2", NULL, NULL));
    start_engine(ask_file, "third");
    json_decref(await_state("2", "ENDED"));
    refuses(saga("redrive", "2", NULL, NULL), CLI_INPUT, "had done was undone: start it anew");
    json_t *life = cli_expect_json(saga("history", "2", "--json", NULL));
    assert_string_equal(cli_text(life, "outcome"), "COMPENSATED");
    json_decref(life);
    expect_told_alike("2");
}

static void a_saga_that_failed_goes_on_where_it_failed(void **state)
{
    (void)state;
    cli_write(ask_file,
              "{\"StartAt\":\"First\",\"States\":{"
              "\"First\":{\"Type\":\"Task\",\"Resource\":\"service:greet.hello\",\"ResultPath\":"
              "\"$.said\",\"Next\":\"Approve\"},"
              "\"Approve\":{\"Type\":\"Task\",\"Resource\":\"signal:approved\",\"ResultPath\":"
              "\"$.by\",\"TimeoutSeconds\":1,\"Next\":\"Way\"},"
              "\"Way\":{\"Type\":\"Choice\",\"Choices\":[{\"Variable\":\"$.by\",\"StringEquals\":"
              "\"Eve\",\"Next\":\"Done\"}]},"
              "\"Done\":{\"Type\":\"Succeed\"}}}");
    for (int approved = 0; approved < 2; approved++) {
        start_engine(ask_file, "first");
        struct cli_result result = cli_wait(&engine);
        cli_expect(&result, CLI_DONE);
        assert_non_null(strstr(result.out, "FAILED, because of States.Timeout"));
        cli_free(&result);
        cli_expect_done(saga("redrive", "1", NULL, NULL));
        refuses(saga("redrive", "1", NULL, NULL), CLI_INPUT, "redriven already, as saga 2");
        /* null is not Eve */
        cli_expect_done(cli_run("saga", "--data", data, "signal", "2", "approved", "--payload",
                                approved ? "\"Eve\"" : "null", NULL));
        refuses(saga("redrive", "2", NULL, NULL), CLI_INPUT,
                approved ? "has succeeded" : "was ended by its definition");
        json_t *life = cli_expect_json(saga("history", "2", "--json", NULL));
        assert_int_equal(json_array_size(cli_member(life, "events")), 2);
        json_decref(life);
        cli_remove(data);
    }
}

/* ---- engines that come and go ---------------------------------------------------------------- */

static void a_second_engine_is_refused_and_the_first_still_answers(void **state)
{
    (void)state;
    make_first(ask_file, true);
    struct cli_result result = cli_run("run", "--data", data, "--plugin-dir", GREET_DIRECTORY,
                                       "--input", ADA, ask_file, (char *)NULL);
    cli_expect_says(&result, CLI_DATA, "is in use by process", NULL);
    cli_free(&result);
    cli_expect_done(saga("start", "ask", NULL, NULL));
    json_decref(await_state("2", "ENDED"));
}

static void the_socket_of_a_killed_engine_is_in_nobodys_way(void **state)
{
    (void)state;
    char path[PATH_MAX];
    struct stat known;
    cli_path(path, data, "control.sock");
    make_first(ask_file, true);
    kill(engine.pid, SIGKILL);
    struct cli_result result = cli_wait(&engine);
    cli_free(&result);
    assert_int_equal(stat(path, &known), 0);
    json_decref(await_state("1", "AWAITING"));
    cli_expect_done(saga("signal", "1", "approved", NULL));
    start_engine(ask_file, "first");
    char token[128];
    await_token(token);
    result = stop_engine();
    cli_free(&result);
    assert_int_equal(stat(path, &known), -1);
}

static void an_engine_under_load_answers_and_its_books_balance(void **state)
{
    (void)state;
    char orders[PATH_MAX];
    cli_path(orders, scratch, "orders.csv");
    cli_generate(orders, "60000", "retail");
    engine = cli_start(-1, "ingest", "--data", data, "--json", orders, (char *)NULL);
    uint32_t answers = 0;
    struct cli_result result;
    while (cli_is_running(&engine, &result)) {
        struct cli_result counts = saga("counts", "--json", NULL, NULL);
        answers += counts.exit_code == CLI_DONE;
        cli_free(&counts);
    }
    cli_expect(&result, CLI_DONE);
    json_t *report = json_loads(result.out, 0, NULL);
    assert_true(cli_truth(report, "audit/balanced"));
    json_decref(report);
    cli_free(&result);
    assert_true(answers > 0);
}

/* ---- the command line ------------------------------------------------------------------------ */

static void a_command_line_that_is_wrong_says_what_is_right(void **state)
{
    (void)state;
    make_first(ask_file, false);
    refuses(cli_run("saga", NULL), CLI_USAGE, "say what to do: start, list");
    refuses(cli_run("saga", "list", NULL), CLI_USAGE, "--data DIR");
    refuses(saga("halt", "1", NULL, NULL), CLI_USAGE, "there is no 'saga halt'");
    refuses(saga("cancel", NULL, NULL, NULL), CLI_USAGE, "say which: cancel SAGA");
    refuses(saga("cancel", "one", NULL, NULL), CLI_USAGE, "a number from 1 on");
    refuses(saga("cancel", "0", NULL, NULL), CLI_USAGE, "a number from 1 on");
    refuses(saga("cancel", "1", "2", NULL), CLI_USAGE, "one word too many");
    refuses(saga("cancel", "1", "--name", "first"), CLI_USAGE, "not both");
    refuses(saga("cancel", "1", "--input", "{}"), CLI_USAGE, "saga cancel takes no --input");
    refuses(saga("signal", "1", NULL, NULL), CLI_USAGE, "say which: signal SAGA SIGNAL");
    refuses(saga("start", "ask", "--input", "{"), CLI_USAGE, "--input is not JSON");
    refuses(saga("start", "ask", "--at", "tomorrow"), CLI_USAGE, "2026-12-24T18:00:00Z");
    refuses(saga("start", "ask:x", NULL, NULL), CLI_USAGE, "version");
    char nowhere[PATH_MAX];
    cli_path(nowhere, scratch, "nowhere");
    struct stat known;
    refuses(cli_run("saga", "--data", nowhere, "list", NULL), CLI_DATA,
            "there is no data directory");
    assert_int_equal(stat(nowhere, &known), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    if (argc > 1) /* those whose names match */
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        TEST(starts_are_durable_and_done_once_on_a_running_engine),
        TEST(starts_are_durable_and_done_once_on_a_directory),
        TEST(a_start_may_have_a_deadline_a_trace_and_a_priority),
        TEST(what_cannot_be_done_to_a_running_engine_is_refused),
        TEST(what_cannot_be_done_to_a_directory_is_refused),
        TEST(the_room_for_names_is_what_the_directory_was_begun_with),
        TEST(a_saga_is_carried_to_its_end_by_who_answers),
        TEST(a_token_can_be_answered_with_an_error),
        TEST(what_was_done_to_a_directory_is_carried_on_by_the_next_engine),
        TEST(a_stuck_saga_is_retried_skipped_and_resolved),
        TEST(a_saga_that_sleeps_goes_on_when_its_waiting_is_skipped),
        TEST(a_list_is_of_those_asked_for_the_newest_first),
        TEST(tables_fit_a_terminal),
        TEST(the_life_of_an_order_is_told_from_its_own_blocks),
        TEST(lives_with_everything_in_them_are_told_from_their_own_blocks),
        TEST(a_list_goes_on_with_those_that_have_ended),
        TEST(an_aborted_saga_goes_on_as_a_new_one_where_it_was),
        TEST(a_saga_that_failed_goes_on_where_it_failed),
        TEST(a_second_engine_is_refused_and_the_first_still_answers),
        TEST(the_socket_of_a_killed_engine_is_in_nobodys_way),
        TEST(an_engine_under_load_answers_and_its_books_balance),
        TEST(a_command_line_that_is_wrong_says_what_is_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
