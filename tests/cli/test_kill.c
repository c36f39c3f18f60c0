/*
 * `ingest` ended in every rude way: killed at random moments, again and again, in both durable
 * modes, told to stop by a signal, fed by a pipe. In the end the figures are those of a run that
 * nobody disturbed.
 *
 * Every customer but the guest has one order, so that who is refused hangs on that order alone and
 * not on what a crash put in another turn.
 */
#include "tests/cli/cli.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ORDERS_COUNT     1000
#define ALL_ORDERS_COUNT 1300
#define ALL_ORDERS       "1300"
#define IN_FLIGHT        "48"
#define CREDIT_LIMIT     "payment.credit_limit=40000"
#define POLL_NS          200000
#define POLLS_MAX        600000 /* two minutes */

static char scratch[PATH_MAX];
static char shop[PATH_MAX];      /* a real shop's orders, returns and rows that are none */
static char shop_more[PATH_MAX]; /* the same, grown */
static char data[PATH_MAX];
static json_t *undisturbed; /* the report of `shop` */
static uint64_t blocks_count;
static uint64_t seeds_count = 1; /* argv[1]: for a longer run */

/* ---- files of orders -------------------------------------------------------------------------
 */

/* A row that has to be refused, between two orders. */
static void write_row_to_refuse(FILE *file, uint32_t order)
{
    if (order % 20 == 7)
        fprintf(file, "A%06u,B,1,1/1/2011 0:00,11062.06,,UK\n", order);
    if (order % 20 == 17)
        fprintf(file, "Z%06u,85123A,0,1/1/2011 0:00,2.55,17850,UK\n", order);
}

/* Puts the number of the invoice in the place of the customer, and rows to refuse between the
 * orders. The first orders_max orders go into `path`, all of them into `path_all`. */
static void make_shops(const char *path, uint32_t orders_max, const char *path_all)
{
    char generated[PATH_MAX];
    cli_path(generated, scratch, "generated.csv");
    cli_generate(generated, ALL_ORDERS, "retail");
    char *text = cli_read(generated);
    FILE *files[2] = {fopen(path, "we"), fopen(path_all, "we")};
    assert_true(files[0] != NULL && files[1] != NULL);
    uint32_t order = 0;
    char number[64] = "InvoiceNo";
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); *line != '\0'; line = strsep(&rest, "\n")) {
        char *country = strrchr(line, ',');
        *country++ = '\0';
        char *customer = strrchr(line, ',');
        *customer++ = '\0';
        bool is_new = strncmp(line, number, strcspn(line, ",")) != 0;
        order += is_new;
        snprintf(number, sizeof number, "%.*s", (int)strcspn(line, ","), line);
        bool keeps = order == 0 || strcmp(customer, "guest") == 0;
        for (int i = order <= orders_max ? 0 : 1; i < 2; i++) {
            if (is_new)
                write_row_to_refuse(files[i], order);
            fprintf(files[i], "%s,%s,%s\n", line, keeps ? customer : number, country);
        }
    }
    assert_int_equal(fclose(files[0]), 0);
    assert_int_equal(fclose(files[1]), 0);
    free(text);
}

/* ---- runs ------------------------------------------------------------------------------------
 */

static struct cli_process start(const char *file, const char *durability, int in)
{
    return cli_start(in, "ingest", "--data", data, "--durability", durability, "--in-flight",
                     IN_FLIGHT, "--set", CREDIT_LIMIT, "--json", file, (char *)NULL);
}

static struct cli_result run(const char *file, const char *durability)
{
    struct cli_process process = start(file, durability, -1);
    return cli_wait(&process);
}

static void poll_pause(void)
{
    nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
}

/* Waits until the run has acknowledged the block, or ended. True: it runs. */
static bool reach_block(struct cli_process *process, uint64_t block_no,
                        struct cli_result *ret_result)
{
    for (uint32_t polls = 0; cli_watermark(data) < block_no; polls++) {
        if (!cli_is_running(process, ret_result))
            return false;
        assert_true(polls < POLLS_MAX);
        poll_pause();
    }
    return cli_is_running(process, ret_result);
}

static void kill_now(struct cli_process *process)
{
    assert_int_equal(kill(process->pid, SIGKILL), 0);
    struct cli_result result = cli_wait(process);
    assert_true(result.signal == SIGKILL || result.exit_code == CLI_DONE);
    cli_free(&result);
}

static json_t *verify(void)
{
    return cli_expect_json(cli_run("journal", "verify", "--data", data, "--json", (char *)NULL));
}

static json_t *replay(void)
{
    return cli_expect_json(cli_run("replay", "--data", data, "--json", (char *)NULL));
}

static void expect_verified_up_to(uint64_t block_no)
{
    json_t *verified = verify();
    assert_true(cli_truth(verified, "ok"));
    assert_true((uint64_t)cli_integer(verified, "acknowledged_block") >= block_no);
    assert_true((uint64_t)cli_integer(verified, "last_block") >= block_no);
    json_decref(verified);
}

static void expect_same_member(json_t *report, json_t *expected, const char *path)
{
    json_t *left = cli_member(report, path);
    json_t *right = cli_member(expected, path);
    if (json_equal(left, right))
        return;
    char *left_text = json_dumps(left, JSON_ENCODE_ANY);
    char *right_text = json_dumps(right, JSON_ENCODE_ANY);
    print_error("%s is %s and not %s\n", path, left_text, right_text);
    fail();
}

/* The same orders done, each once; the books agree with each other and with the other run's. */
static void expect_same_totals(json_t *report, json_t *expected)
{
    expect_same_member(report, expected, "orders_read");
    expect_same_member(report, expected, "orders_rejected");
    expect_same_member(report, expected, "sagas");
    expect_same_member(report, expected, "audit");
    assert_true(cli_truth(report, "audit/balanced"));
}

static void expect_digest_of_replay(json_t *report)
{
    json_t *replayed = replay();
    assert_string_equal(cli_text(report, "state_digest"), cli_text(replayed, "state_digest"));
    assert_int_equal(cli_integer(replayed, "running"), 0);
    json_decref(replayed);
}

/* The report of a run that finished is right, a replay comes to its state, and one more run finds
 * nothing to do. */
static void expect_finished(json_t *report, const char *durability)
{
    expect_same_totals(report, undisturbed);
    expect_digest_of_replay(report);
    json_t *again = cli_expect_json(run(shop, durability));
    expect_same_totals(again, undisturbed);
    assert_int_equal(cli_integer(again, "orders_skipped"),
                     cli_integer(again, "orders_read") - cli_integer(again, "orders_rejected"));
    expect_digest_of_replay(again);
    json_decref(again);
    json_decref(report);
}

/* ---- fixtures --------------------------------------------------------------------------------
 */

static int set_up_all(void **state)
{
    (void)state;
    cli_make_directory(scratch);
    cli_path(shop, scratch, "shop.csv");
    cli_path(shop_more, scratch, "shop-more.csv");
    make_shops(shop, ORDERS_COUNT, shop_more);
    cli_path(data, scratch, "undisturbed");
    undisturbed = cli_expect_json(run(shop, "sync"));
    blocks_count = cli_watermark(data);
    cli_remove(data);
    cli_path(data, scratch, "data");
    return 0;
}

static int tear_down_all(void **state)
{
    (void)state;
    json_decref(undisturbed);
    cli_remove(scratch);
    return 0;
}

static int remove_data(void **state)
{
    (void)state;
    cli_remove(data);
    return 0;
}

/* ---- tests -----------------------------------------------------------------------------------
 */

/* The other tests lean on a file that has some of everything, and on blocks to be killed at. */
static void the_file_has_sales_returns_refusals_and_rows_that_are_none(void **state)
{
    (void)state;
    assert_int_equal(cli_integer(undisturbed, "sagas/started"), ORDERS_COUNT);
    assert_true(cli_integer(undisturbed, "sagas/succeeded") > ORDERS_COUNT / 4);
    assert_true(cli_integer(undisturbed, "sagas/compensated") > ORDERS_COUNT / 20);
    assert_int_equal(cli_integer(undisturbed, "sagas/stuck"), 0);
    assert_true(cli_integer(undisturbed, "orders_rejected") > 50);
    assert_true(cli_integer(undisturbed, "audit/figures/order.returns_standing") > 50);
    assert_true(cli_truth(undisturbed, "audit/balanced"));
    assert_true(blocks_count > 40);
}

/* Kills `runs_max` times, each time a random number of blocks further on; then lets it finish. */
static json_t *run_killed(const char *durability, uint64_t seed, uint32_t runs_max)
{
    uint64_t random = seed;
    struct cli_result result;
    for (uint32_t round = 0; round < runs_max; round++) {
        uint64_t block_no = cli_watermark(data) + 1 + cli_draw(&random) % (blocks_count / 4);
        struct cli_process process = start(shop, durability, -1);
        if (!reach_block(&process, block_no, &result))
            return cli_expect_json(result);
        kill_now(&process);
        expect_verified_up_to(block_no);
    }
    return cli_expect_json(run(shop, durability));
}

static void killed_at_random_blocks_a_synced_run_ends_as_an_undisturbed_one(void **state)
{
    (void)state;
    for (uint64_t seed = 1000; seed < 1000 + seeds_count; seed++) {
        expect_finished(run_killed("sync", seed, 8), "sync");
        cli_remove(data);
    }
}

static void killed_at_random_blocks_an_async_run_ends_as_an_undisturbed_one(void **state)
{
    (void)state;
    for (uint64_t seed = 2000; seed < 2000 + seeds_count; seed++) {
        expect_finished(run_killed("async", seed, 8), "async");
        cli_remove(data);
    }
}

static void killed_runs_of_changing_modes_end_as_an_undisturbed_one(void **state)
{
    (void)state;
    json_decref(run_killed("async", 31, 2));
    json_decref(run_killed("sync", 32, 2));
    expect_finished(cli_expect_json(run(shop, "async")), "sync");
}

/* Here customers share their limits, so that it matters who comes first: after a crash, too, steps
 * go to their service in the order the sagas were started. */
static void killed_runs_of_customers_who_share_a_limit_end_as_an_undisturbed_one(void **state)
{
    (void)state;
    char generated[PATH_MAX];
    cli_path(generated, scratch, "generated.csv");
    struct cli_result result;
    json_t *whole = cli_expect_json(run(generated, "sync"));
    cli_remove(data);
    for (uint64_t block_no = blocks_count / 6; block_no < blocks_count; block_no *= 2) {
        struct cli_process process = start(generated, "sync", -1);
        assert_true(reach_block(&process, block_no, &result));
        kill_now(&process);
        expect_verified_up_to(block_no);
    }
    json_t *report = cli_expect_json(run(generated, "sync"));
    assert_int_equal(cli_integer(report, "sagas/started"), ALL_ORDERS_COUNT);
    assert_int_equal(cli_integer(report, "sagas/failed"), 0);
    assert_int_equal(cli_integer(report, "sagas/succeeded") +
                         cli_integer(report, "sagas/compensated"),
                     ALL_ORDERS_COUNT);
    assert_true(cli_integer(report, "sagas/compensated") > 0);
    assert_true(json_equal(json_object_get(report, "sagas"), json_object_get(whole, "sagas")));
    assert_true(json_equal(json_object_get(report, "audit"), json_object_get(whole, "audit")));
    expect_digest_of_replay(report);
    json_decref(whole);
    json_decref(report);
}

static bool has_checkpoint(void)
{
    bool found = false;
    DIR *entries = opendir(data);
    const struct dirent *entry;
    while (entries != NULL && (entry = readdir(entries)) != NULL)
        found = found || strncmp(entry->d_name, "checkpoint-", 11) == 0;
    if (entries != NULL)
        closedir(entries);
    return found;
}

static struct cli_process start_with_checkpoints(const char *file)
{
    return cli_start(-1, "ingest", "--data", data, "--checkpoint-mib", "1", "--in-flight", "256",
                     "--set", CREDIT_LIMIT, "--json", file, (char *)NULL);
}

/* A start reads the newest checkpoint and the journal behind it; a replay reads the journal alone,
 * and must come to the same state. */
static void killed_runs_that_start_from_checkpoints_come_to_what_the_journal_says(void **state)
{
    (void)state;
    char many[PATH_MAX];
    cli_path(many, scratch, "many.csv");
    cli_generate(many, "6000", "retail");
    uint64_t random = 51;
    bool runs = true;
    bool began_at_checkpoint = false;
    struct cli_result result;
    while (runs) {
        began_at_checkpoint = began_at_checkpoint || has_checkpoint();
        uint64_t block_no = cli_watermark(data) + 1 + cli_draw(&random) % 50;
        struct cli_process process = start_with_checkpoints(many);
        runs = reach_block(&process, block_no, &result);
        /* The first is not killed before there is one, however long it takes to be written. */
        while (runs && !has_checkpoint())
            runs = reach_block(&process, ++block_no, &result);
        if (!runs)
            break;
        kill_now(&process);
        expect_verified_up_to(block_no);
    }
    assert_true(began_at_checkpoint);
    json_t *report = cli_expect_json(result);
    assert_int_equal(cli_integer(report, "sagas/started"), 6000);
    assert_int_equal(cli_integer(report, "sagas/failed"), 0);
    assert_int_equal(cli_integer(report, "sagas/stuck"), 0);
    assert_true(cli_truth(report, "audit/balanced"));
    expect_digest_of_replay(report);
    json_decref(report);
}

static uint32_t count_files(const char *directory)
{
    uint32_t count = 0;
    DIR *entries = opendir(directory);
    for (; entries != NULL && readdir(entries) != NULL; count++)
        ;
    if (entries != NULL)
        closedir(entries);
    return count;
}

/* Each file that a start makes is a moment to be killed at: first in an empty directory, then in
 * one that holds something. */
static void killed_while_it_starts_a_run_ends_as_an_undisturbed_one(void **state)
{
    (void)state;
    char journal[PATH_MAX];
    cli_path(journal, data, "journal");
    struct cli_result result;
    for (uint32_t files = 1; files <= 12; files++) {
        struct cli_process process = start(shop, "sync", -1);
        uint32_t polls = 0;
        while (count_files(journal) < files && cli_watermark(data) == 0 &&
               cli_is_running(&process, &result))
            assert_true(++polls < UINT32_MAX);
        kill_now(&process);
    }
    json_decref(run_killed("sync", 41, 1));
    expect_finished(cli_expect_json(run(shop, "sync")), "sync");
}

static void a_file_that_grew_has_only_its_new_orders_started(void **state)
{
    (void)state;
    json_decref(cli_expect_json(run(shop, "sync")));
    json_t *grown = cli_expect_json(run(shop_more, "sync"));
    assert_int_equal(cli_integer(grown, "orders_skipped"), ORDERS_COUNT);

    /* As one file, elsewhere. */
    char grown_data[PATH_MAX];
    memcpy(grown_data, data, sizeof grown_data);
    cli_path(data, scratch, "at-once");
    json_t *at_once = cli_expect_json(run(shop_more, "sync"));
    expect_same_totals(grown, at_once);
    cli_remove(data);
    memcpy(data, grown_data, sizeof data);
    json_decref(grown);
    json_decref(at_once);
}

static void a_file_that_grew_while_its_run_was_killed_ends_as_if_read_at_once(void **state)
{
    (void)state;
    struct cli_result result;
    struct cli_process process = start(shop, "sync", -1);
    assert_true(reach_block(&process, blocks_count / 2, &result));
    kill_now(&process);
    json_t *grown = cli_expect_json(run(shop_more, "sync"));
    int64_t orders = cli_integer(grown, "orders_read") - cli_integer(grown, "orders_rejected");
    assert_int_equal(cli_integer(grown, "sagas/started"), orders);
    assert_int_equal(cli_integer(grown, "sagas/failed"), 0);
    assert_true(cli_integer(grown, "orders_skipped") < ORDERS_COUNT);
    assert_true(cli_truth(grown, "audit/balanced"));
    json_decref(grown);
}

/* ---- pipes -----------------------------------------------------------------------------------
 */

/* A child that writes the file into a pipe. Returns the end to read from. */
static int pipe_from(const char *path, pid_t *ret_pid)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    *ret_pid = fork();
    assert_true(*ret_pid >= 0);
    if (*ret_pid == 0) {
        char bytes[4096];
        ssize_t count;
        int file = open(path, O_RDONLY);
        close(ends[0]);
        while ((count = read(file, bytes, sizeof bytes)) > 0 &&
               write(ends[1], bytes, (size_t)count) == count)
            ;
        _exit(0);
    }
    close(ends[1]);
    return ends[0];
}

static struct cli_process start_piped(const char *path, int *ret_in, pid_t *ret_feeder)
{
    *ret_in = pipe_from(path, ret_feeder);
    return start("-", "sync", *ret_in);
}

static void end_pipe(int in, pid_t feeder)
{
    close(in);
    kill(feeder, SIGKILL);
    while (waitpid(feeder, NULL, 0) < 0)
        ;
}

static json_t *run_piped(const char *path)
{
    int in;
    pid_t feeder;
    struct cli_process process = start_piped(path, &in, &feeder);
    struct cli_result result = cli_wait(&process);
    end_pipe(in, feeder);
    return cli_expect_json(result);
}

static void the_same_orders_by_pipe_twice_are_done_once(void **state)
{
    (void)state;
    json_t *first = run_piped(shop);
    expect_same_totals(first, undisturbed);
    json_t *second = run_piped(shop);
    expect_same_totals(second, undisturbed);
    assert_int_equal(cli_integer(second, "orders_skipped"), ORDERS_COUNT);
    expect_digest_of_replay(second);
    json_decref(first);
    json_decref(second);
    /* By file they are the same orders still. */
    expect_finished(cli_expect_json(run(shop, "sync")), "sync");
}

static void a_killed_pipe_is_gone_on_with(void **state)
{
    (void)state;
    int in;
    pid_t feeder;
    struct cli_result result;
    struct cli_process process = start_piped(shop, &in, &feeder);
    assert_true(reach_block(&process, blocks_count / 3, &result));
    kill_now(&process);
    end_pipe(in, feeder);
    expect_verified_up_to(blocks_count / 3);
    json_t *report = run_piped(shop);
    expect_same_totals(report, undisturbed);
    json_decref(report);
}

static int64_t wait_for_succeeded(int64_t count)
{
    for (uint32_t polls = 0;; polls++) {
        json_t *replayed = replay();
        int64_t succeeded = cli_integer(replayed, "succeeded");
        json_decref(replayed);
        if (succeeded >= count || polls == POLLS_MAX / 100)
            return succeeded;
        poll_pause();
    }
}

/* Someone types, or a shop sends orders as they come: none waits for the next one. */
static void the_orders_of_a_pipe_that_stays_open_are_done_and_a_signal_is_heard(void **state)
{
    (void)state;
    static const char *const lines[] = {"{\"number\":\"1\",\"lines\":[[\"a\",1,2.5]]}\n",
                                        "{\"number\":\"2\",\"lines\":[[\"a\",1,2.5]]}\n"};
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct cli_process process = start("-", "sync", ends[0]);
    for (int i = 0; i < 2; i++) {
        struct cli_result result;
        size_t bytes = strlen(lines[i]);
        assert_int_equal(write(ends[1], lines[i], bytes), bytes);
        assert_true(reach_block(&process, 1, &result));
        assert_int_equal(wait_for_succeeded(i + 1), i + 1);
    }
    assert_int_equal(kill(process.pid, SIGINT), 0);
    struct cli_result result = cli_wait(&process);
    cli_expect_says(&result, 128 + SIGINT, "run it again with the same files", (char *)NULL);
    json_t *report = json_loads(result.out, 0, NULL);
    assert_non_null(report);
    assert_int_equal(cli_integer(report, "orders_read"), 2);
    assert_int_equal(cli_integer(report, "orders_rejected"), 0);
    assert_int_equal(cli_integer(report, "sagas/succeeded"), 2);
    expect_digest_of_replay(report);
    json_decref(report);
    cli_free(&result);
    close(ends[0]);
    close(ends[1]);
}

static void a_signal_is_heard_while_a_pipe_is_silent_from_the_first(void **state)
{
    (void)state;
    char path[PATH_MAX];
    int ends[2];
    cli_path(path, data, "rejects.csv");
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct cli_process process = start("-", "sync", ends[0]);
    for (uint32_t polls = 0; access(path, F_OK) != 0; polls++) {
        assert_true(polls < POLLS_MAX);
        poll_pause();
    }
    assert_int_equal(kill(process.pid, SIGTERM), 0);
    struct cli_result result = cli_wait(&process);
    cli_expect(&result, 128 + SIGTERM);
    cli_free(&result);
    close(ends[0]);
    close(ends[1]);
}

/* What is taken in cannot be told from what is new without reading the pipe twice. */
static void a_pipe_that_goes_on_otherwise_than_before_is_refused_and_a_file_is_not(void **state)
{
    (void)state;
    char first[PATH_MAX];
    char other[PATH_MAX];
    cli_path(first, scratch, "first.csv");
    cli_path(other, scratch, "other.csv");
    cli_write(first, "InvoiceNo,Quantity,UnitPrice\n1,1,1\n2,1,1\n3,1,1\n");
    cli_write(other, "InvoiceNo,Quantity,UnitPrice\n1,1,1\n4,1,1\n5,1,1\n");
    json_decref(cli_expect_json(run(first, "sync")));

    int in;
    pid_t feeder;
    struct cli_process process = start_piped(other, &in, &feeder);
    struct cli_result result = cli_wait(&process);
    end_pipe(in, feeder);
    cli_expect_says(&result, CLI_INPUT, "goes on otherwise", "put it into a file", (char *)NULL);
    cli_free(&result);

    /* The one order that both begin with is known by its number. */
    json_t *report = cli_expect_json(run(other, "sync"));
    assert_int_equal(cli_integer(report, "sagas/started"), 6);
    assert_int_equal(cli_integer(report, "sagas/succeeded"), 5);
    assert_int_equal(cli_integer(report, "sagas/failed"), 1);
    json_decref(report);
}

/* ---- signals ---------------------------------------------------------------------------------
 */

static void stop_and_go_on(int signal, const char *durability)
{
    struct cli_result result;
    struct cli_process process = start(shop, durability, -1);
    assert_true(reach_block(&process, blocks_count / 3, &result));
    assert_int_equal(kill(process.pid, signal), 0);
    result = cli_wait(&process);
    cli_expect_says(&result, 128 + signal, "run it again with the same files", (char *)NULL);

    json_t *stopped = json_loads(result.out, 0, NULL);
    assert_non_null(stopped);
    assert_true(cli_integer(stopped, "sagas/started") < ORDERS_COUNT);
    json_t *replayed = replay();
    assert_string_equal(cli_text(stopped, "state_digest"), cli_text(replayed, "state_digest"));
    assert_int_equal(cli_integer(stopped, "sagas/started"), cli_integer(replayed, "sagas"));
    json_decref(replayed);
    json_decref(stopped);
    cli_free(&result);
    expect_finished(cli_expect_json(run(shop, durability)), durability);
}

static void an_interrupted_run_stops_cleanly_and_is_gone_on_with(void **state)
{
    (void)state;
    stop_and_go_on(SIGINT, "sync");
}

static void a_terminated_run_stops_cleanly_and_is_gone_on_with(void **state)
{
    (void)state;
    stop_and_go_on(SIGTERM, "async");
}

#define TEST(name) cmocka_unit_test_teardown(name, remove_data)

int main(int argc, char **argv)
{
    if (argc > 1)
        seeds_count = strtoull(argv[1], NULL, 10);
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        TEST(the_file_has_sales_returns_refusals_and_rows_that_are_none),
        TEST(killed_at_random_blocks_a_synced_run_ends_as_an_undisturbed_one),
        TEST(killed_at_random_blocks_an_async_run_ends_as_an_undisturbed_one),
        TEST(killed_runs_of_changing_modes_end_as_an_undisturbed_one),
        TEST(killed_runs_of_customers_who_share_a_limit_end_as_an_undisturbed_one),
        TEST(killed_runs_that_start_from_checkpoints_come_to_what_the_journal_says),
        TEST(killed_while_it_starts_a_run_ends_as_an_undisturbed_one),
        TEST(a_file_that_grew_has_only_its_new_orders_started),
        TEST(a_file_that_grew_while_its_run_was_killed_ends_as_if_read_at_once),
        TEST(the_same_orders_by_pipe_twice_are_done_once),
        TEST(a_killed_pipe_is_gone_on_with),
        TEST(the_orders_of_a_pipe_that_stays_open_are_done_and_a_signal_is_heard),
        TEST(a_signal_is_heard_while_a_pipe_is_silent_from_the_first),
        TEST(a_pipe_that_goes_on_otherwise_than_before_is_refused_and_a_file_is_not),
        TEST(an_interrupted_run_stops_cleanly_and_is_gone_on_with),
        TEST(a_terminated_run_stops_cleanly_and_is_gone_on_with),
    };
    return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
