/*
 * Commands and clients that reach `flyover serve` by its address: what they are told, and that
 * kill -9 loses nothing acknowledged and does nothing twice.
 */
#include "tests/cli/serve_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAGAS 3000u

/* ---- from elsewhere -------------------------------------------------------------------------- */

static struct cli_result there(const char *command, const char *a, const char *b, const char *c,
                               const char *d)
{
    return cli_run(command, "--connect", serve_it.address, a, b, c, d, (char *)NULL);
}

static void expect_prints(struct cli_result result, const char *word)
{
    cli_expect(&result, CLI_DONE);
    serve_expect_text(result.out, word);
    cli_free(&result);
}

static void what_is_done_on_the_spot_is_done_by_an_address_too(void **state)
{
    (void)state;
    serve_start(&serve_it, SERVE_ARGS(SERVE_ON_ANY_PORT));
    expect_prints(there("define", serve_pass_file, NULL, NULL, NULL), "pass: version 1 (plan 0)");
    expect_prints(there("define", serve_far_file, NULL, NULL, NULL), "nobody serves 'far' yet");
    expect_prints(there("define", "--list", NULL, NULL, NULL), "pass");
    expect_prints(there("start", "pass", "--name", "A", NULL), "saga 1: start is durable");
    expect_prints(there("start", "pass", "--name", "A", NULL), "was started under this name");
    serve_expect_says(there("start", "pass", "--name", "A", "--input=1"), CLI_INPUT,
                      "another input");
    serve_expect_says(there("start", "none", NULL, NULL, NULL), CLI_INPUT, "no definition 'none'");
    cli_expect_done(there("saga", "wait", "1", "--timeout", "60"));
    expect_prints(there("saga", "history", "1", NULL, NULL), "\"outcome\": \"SUCCEEDED\"");
    expect_prints(there("start", "far", NULL, NULL, NULL), "saga 2: start is durable");
    expect_prints(there("saga", "list", "--state", "RUNNING", NULL), "far:1");
    expect_prints(there("saga", "list", "--state", "ENDED", NULL), "pass:1");
    expect_prints(there("saga", "show", "2", NULL, NULL), "saga 2 of far:1: RUNNING");
    expect_prints(there("saga", "cancel", "2", NULL, NULL), "saga 2: cancel is durable");
    serve_stop(&serve_it);
}

static void by_an_address_it_is_asked_who_asks(void **state)
{
    (void)state;
    char *client = serve_make_token("shop", "client"),
         *operator= serve_make_token("ada", "operator");
    serve_start(&serve_it, SERVE_ARGS(SERVE_ON_ANY_PORT, "--token-file", serve_token_file));
    serve_expect_says(there("define", serve_pass_file, NULL, NULL, NULL), CLI_FAILED, "token");
    serve_expect_says(there("define", serve_pass_file, "--token", client, NULL), CLI_FAILED,
                      "may not ask for DEFINE");
    setenv("FLYOVER_TOKEN", operator, 1);
    cli_expect_done(there("define", serve_pass_file, NULL, NULL, NULL));
    cli_expect_done(there("start", "pass", "--token", client, NULL));
    unsetenv("FLYOVER_TOKEN");
    free(client);
    free(operator);
    serve_stop(&serve_it);
    serve_expect_says(cli_run("saga", "list", "--token", "x", "--data", serve_data, (char *)NULL),
                      CLI_USAGE, "go with --connect");
    serve_expect_says(cli_run("saga", "list", (char *)NULL), CLI_USAGE, "--connect ADDRESS");
    serve_expect_says(
        cli_run("saga", "list", "--data", serve_data, "--connect", "a:1", (char *)NULL), CLI_USAGE,
        "--connect ADDRESS");
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
    cli_path(orders, serve_scratch, "orders.csv");
    cli_generate(orders, ORDERS, "small");
    shipped(definition, "order.asl.json");
    const char *const arguments[] = {"--data",   serve_data, "--listen", serve_address,
                                     "--define", definition, NULL};
    serve_start(&serve_it, arguments);
    struct cli_process ingest =
        cli_start(-1, "ingest", "--connect", serve_address, "--json", orders, (char *)NULL);
    while (serve_started_count() == 0)
        ;
    serve_kill(&serve_it);
    serve_start(&serve_it, arguments);
    json_t *report = cli_expect_json(cli_wait(&ingest));
    assert_int_equal(cli_integer(report, "orders_read"), atoi(ORDERS));
    assert_int_equal(cli_integer(report, "sagas/succeeded"), atoi(ORDERS));
    json_decref(report);
    assert_int_equal(serve_started_count(), atoi(ORDERS));
    report = cli_expect_json(
        cli_run("ingest", "--connect", serve_address, "--json", orders, (char *)NULL));
    assert_int_equal(cli_integer(report, "orders_known"), atoi(ORDERS));
    json_decref(report);
    assert_int_equal(serve_started_count(), atoi(ORDERS));
    serve_stop(&serve_it);
}

static void orders_that_cannot_be_sent_are_refused(void **state)
{
    (void)state;
    char orders[PATH_MAX], rejects[PATH_MAX];
    cli_path(orders, serve_scratch, "orders.csv");
    cli_path(rejects, serve_scratch, "rejects.csv");
    cli_generate(orders, "3", "small");
    serve_start(&serve_it, SERVE_ARGS(SERVE_ON_ANY_PORT));
    serve_expect_says(there("ingest", orders, NULL, NULL, NULL), CLI_INPUT,
                      "no definition 'order'");
    serve_expect_says(there("ingest", "/nowhere", NULL, NULL, NULL), CLI_INPUT, "cannot be read");
    serve_expect_says(there("ingest", orders, "--data", serve_data, NULL), CLI_USAGE, "not both");
    cli_write(orders, "InvoiceNo,Quantity,UnitPrice\n7,0,1\n");
    expect_prints(there("ingest", orders, "--rejects", rejects, NULL), "1 rejected");
    char *said = cli_read(rejects);
    serve_expect_text(said, "2,\"7\"");
    free(said);
    serve_stop(&serve_it);
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
    struct flyover_start start = serve_start_of("pass");
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
    const char *const arguments[] = {"--data",   serve_data,      "--listen", serve_address,
                                     "--define", serve_pass_file, NULL};
    serve_start(&serve_it, arguments);
    struct flyover_client *client = serve_connect(serve_address);
    struct flyover_answer_message answer;
    uint32_t kills = 0;
    for (uint32_t i = 0; i < SAGAS; i++)
        send_named(client, i);
    while (tally.ended < SAGAS) {
        if (!flyover_next(client, &answer, SERVE_LONG_MS))
            fail_msg("nothing comes any more, %u accepted, %u ended, %u kills: %s\n%s",
                     tally.accepted, tally.ended, kills, flyover_problem(client), serve_it.log);
        on_answer(&tally, &answer);
        if (tally.accepted > (kills + 1) * SAGAS / 8 && kills < 4) {
            serve_kill(&serve_it);
            serve_start(&serve_it, arguments);
            kills++;
        }
    }
    assert_true(kills > 0);
    assert_int_equal(tally.accepted, SAGAS);
    flyover_close(client);
    assert_int_equal(serve_started_count(), SAGAS);
    serve_stop(&serve_it);
    cli_expect_done(cli_run("journal", "verify", "--data", serve_data, (char *)NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVE_TEST(what_is_done_on_the_spot_is_done_by_an_address_too),
        SERVE_TEST(by_an_address_it_is_asked_who_asks),
        SERVE_TEST(orders_sent_twice_and_over_a_kill_nine_are_done_once),
        SERVE_TEST(orders_that_cannot_be_sent_are_refused),
        SERVE_TEST(kill_nine_loses_nothing_acknowledged_and_does_nothing_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
