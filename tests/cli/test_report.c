/*
 * The reports as programs read them: every field there and of its type, and the figures of one
 * report, and of one report and the next, agree.
 */
#include "tests/cli/cli.h"
#include "tests/damage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ORDERS          "2000"
#define ORDERS_COUNT    2000
#define CREDIT_LIMIT    "payment.credit_limit=60000"
#define STEPS_PER_ORDER 4
#define DIGEST_LENGTH   32
#define RSS_SLACK_BYTES (32 << 20)

static char scratch[PATH_MAX];
static char orders[PATH_MAX];
static char data[PATH_MAX]; /* what `ingested` is the report of; nobody writes there again */
static json_t *ingested;

static int set_up_all(void **state)
{
    (void)state;
    cli_make_directory(scratch);
    cli_path(orders, scratch, "orders.csv");
    cli_path(data, scratch, "data");
    cli_generate(orders, ORDERS, "retail");
    ingested = cli_expect_json(cli_run("ingest", "--data", data, "--set", CREDIT_LIMIT,
                                       "--in-flight", "256", "--json", orders, (char *)NULL));
    return 0;
}

static int tear_down_all(void **state)
{
    (void)state;
    json_decref(ingested);
    cli_remove(scratch);
    return 0;
}

static void expect_digest(json_t *report)
{
    const char *digest = cli_text(report, "state_digest");
    assert_int_equal(strlen(digest), DIGEST_LENGTH);
    assert_int_equal(strspn(digest, "0123456789abcdef"), DIGEST_LENGTH);
}

static int64_t ended(json_t *report, const char *prefix)
{
    static const char *const outcomes[] = {"succeeded", "compensated", "failed", "stuck"};
    int64_t sum = 0;
    for (size_t i = 0; i < 4; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s%s", prefix, outcomes[i]);
        int64_t count = cli_integer(report, path);
        assert_true(count >= 0);
        sum += count;
    }
    return sum;
}

static void expect_audit(json_t *report, size_t laws_count)
{
    assert_true(cli_truth(report, "audit/balanced"));
    json_t *laws = cli_member(report, "audit/laws");
    assert_int_equal(json_array_size(laws), laws_count);
    for (size_t i = 0; i < laws_count; i++) {
        json_t *law = json_array_get(laws, i);
        assert_true(strlen(cli_text(law, "law")) > 0);
        assert_true(cli_truth(law, "holds"));
        assert_int_equal(cli_integer(law, "left"), cli_integer(law, "right"));
    }
    assert_true(json_is_object(cli_member(report, "audit/figures")));
}

/* ---- ingest ----------------------------------------------------------------------------------
 */

static void the_report_of_ingest_has_every_figure_and_they_agree(void **state)
{
    (void)state;
    json_t *report = ingested;
    assert_int_equal(cli_integer(report, "orders_read"), ORDERS_COUNT);
    assert_int_equal(cli_integer(report, "orders_rejected"), 0);
    assert_int_equal(cli_integer(report, "orders_skipped"), 0);
    assert_int_equal(cli_integer(report, "sagas/started"), ORDERS_COUNT);
    assert_int_equal(ended(report, "sagas/"), ORDERS_COUNT);
    assert_true(cli_integer(report, "sagas/succeeded") > 0);
    assert_true(cli_integer(report, "sagas/compensated") > 0);
    assert_true(cli_number(report, "seconds") > 0);
    assert_string_equal(cli_text(report, "durability"), "sync");
    assert_true(strlen(cli_text(report, "machine")) > 0);
    assert_true(strlen(cli_text(report, "commit")) > 0);
    expect_digest(report);
    expect_audit(report, 4);
    assert_int_equal(cli_integer(report, "audit/figures/order.orders_standing") +
                         cli_integer(report, "audit/figures/order.returns_standing"),
                     cli_integer(report, "sagas/succeeded"));
    assert_int_equal(cli_integer(report, "audit/figures/payment.money_captured"),
                     cli_integer(report, "audit/figures/order.value_standing"));
}

/* Counts, money and digest must be the same for a person. */
static void the_report_for_people_says_the_same(void **state)
{
    (void)state;
    char copy[PATH_MAX];
    char expected[64];
    cli_path(copy, scratch, "copy");
    damage_copy_directory(data, copy);
    struct cli_result result =
        cli_run("ingest", "--data", copy, "--set", CREDIT_LIMIT, orders, (char *)NULL);
    cli_expect(&result, CLI_DONE);
    assert_non_null(strstr(result.out, "2,000 orders read from 1 file, 0 rejected"));
    assert_non_null(strstr(result.out, "2,000 taken in by an earlier run"));
    snprintf(expected, sizeof expected, "2,000 started: %" PRId64 ",%03" PRId64 " succeeded",
             cli_integer(ingested, "sagas/succeeded") / 1000,
             cli_integer(ingested, "sagas/succeeded") % 1000);
    assert_non_null(strstr(result.out, expected));
    assert_non_null(strstr(result.out, "audit     balanced"));
    assert_non_null(strstr(result.out, "durability sync"));
    cli_free(&result);
    cli_remove(copy);
}

/* ---- bench -----------------------------------------------------------------------------------
 */

static void expect_bench(json_t *report, const char *durability, int64_t sagas)
{
    assert_int_equal(cli_integer(report, "sagas"), sagas);
    assert_int_equal(ended(report, ""), sagas);
    assert_string_equal(cli_text(report, "durability"), durability);
    double seconds = cli_number(report, "seconds");
    double steps = (double)cli_integer(report, "steps");
    assert_true(seconds > 0 && steps > 0);
    assert_true(cli_number(report, "steps_per_s") > 0.99 * steps / seconds &&
                cli_number(report, "steps_per_s") < 1.01 * steps / seconds);
    assert_true(cli_number(report, "sagas_per_s") > 0.99 * (double)sagas / seconds &&
                cli_number(report, "sagas_per_s") < 1.01 * (double)sagas / seconds);
    double bytes = (double)cli_integer(report, "journal_bytes");
    assert_true(cli_number(report, "bytes_per_step") > 0.99 * bytes / steps &&
                cli_number(report, "bytes_per_step") < 1.01 * bytes / steps);
    assert_true(cli_integer(report, "syncs") > 0);
    assert_true(cli_number(report, "cpu_ns_per_step") > 0);
    assert_true(json_is_object(cli_member(report, "cpu_ns_per_step_by_thread")));
    assert_true(cli_integer(report, "peak_rss_bytes") > 1 << 20);
    assert_true(cli_integer(report, "in_flight") > 0);
    assert_true(strlen(cli_text(report, "bound_by")) > 0);
    assert_true(strlen(cli_text(report, "machine")) > 0);
    assert_true(strlen(cli_text(report, "commit")) > 0);
    expect_digest(report);
}

static void expect_latency(json_t *report)
{
    static const char *const names[] = {"p50", "p90", "p99", "p999", "max"};
    double before = 0;
    for (size_t i = 0; i < 5; i++) {
        char path[64];
        snprintf(path, sizeof path, "latency_us/%s", names[i]);
        double latency_us = cli_number(report, path);
        assert_true(latency_us > 0 && latency_us >= before);
        before = latency_us;
    }
    assert_true(before <= cli_number(report, "seconds") * 1.01e6);
}

static void the_report_of_bench_has_every_figure_in_each_durability(void **state)
{
    (void)state;
    static const char *const names[] = {"sync", "async", "memory"};
    for (size_t i = 0; i < 3; i++) {
        json_t *report = cli_expect_json(cli_run("bench", "--durability", names[i], "--sagas",
                                                 "5000", "--no-limit", "--json", (char *)NULL));
        expect_bench(report, names[i], 5000);
        expect_latency(report);
        expect_audit(report, 4);
        assert_int_equal(cli_integer(report, "succeeded"), 5000);
        assert_int_equal(cli_integer(report, "steps"), 5000 * STEPS_PER_ORDER);
        assert_string_equal(cli_text(report, "shape"), "small");
        assert_null(json_object_get(report, "ratio_to_limit"));
        json_decref(report);
    }
}

static void a_bench_with_failures_compensates_about_that_part(void **state)
{
    (void)state;
    json_t *report = cli_expect_json(cli_run("bench", "--durability", "memory", "--sagas", "20000",
                                             "--fail-rate", "0.1", "--json", (char *)NULL));
    expect_bench(report, "memory", 20000);
    expect_audit(report, 4);
    int64_t compensated = cli_integer(report, "compensated");
    assert_true(compensated > 1700 && compensated < 2300);
    assert_int_equal(cli_integer(report, "succeeded"), 20000 - compensated);
    assert_int_equal(cli_integer(report, "audit/figures/order.orders_standing"),
                     20000 - compensated);
    json_decref(report);
}

static void a_bench_in_which_all_fail_compensates_all(void **state)
{
    (void)state;
    json_t *report = cli_expect_json(cli_run("bench", "--durability", "memory", "--sagas", "2000",
                                             "--fail-rate", "1", "--json", (char *)NULL));
    expect_bench(report, "memory", 2000);
    assert_int_equal(cli_integer(report, "compensated"), 2000);
    assert_int_equal(cli_integer(report, "audit/figures/order.value_standing"), 0);
    assert_int_equal(cli_integer(report, "audit/figures/payment.money_captured"), 0);
    json_decref(report);
}

static void a_bench_of_a_real_shop_has_returns(void **state)
{
    (void)state;
    json_t *report = cli_expect_json(cli_run("bench", "--durability", "memory", "--sagas", "2000",
                                             "--shape", "retail", "--json", (char *)NULL));
    expect_bench(report, "memory", 2000);
    expect_audit(report, 4);
    assert_string_equal(cli_text(report, "shape"), "retail");
    assert_int_equal(cli_integer(report, "succeeded"), 2000);
    assert_true(cli_integer(report, "audit/figures/order.returns_standing") > 0);
    json_decref(report);
}

static void a_bench_runs_the_definition_it_is_given(void **state)
{
    (void)state;
    char path[PATH_MAX];
    cli_path(path, scratch, "two.asl.json");
    cli_write(path, "{\"StartAt\":\"A\",\"States\":{"
                    "\"A\":{\"Type\":\"Task\",\"Resource\":\"service:order.record\","
                    "\"ResultPath\":null,\"Next\":\"B\"},"
                    "\"B\":{\"Type\":\"Task\",\"Resource\":\"service:inventory.reserve\","
                    "\"ResultPath\":null,\"End\":true}}}");
    json_t *report = cli_expect_json(cli_run("bench", "--durability", "memory", "--sagas", "1000",
                                             "--definition", path, "--json", (char *)NULL));
    expect_bench(report, "memory", 1000);
    assert_int_equal(cli_integer(report, "succeeded"), 1000);
    assert_int_equal(cli_integer(report, "steps"), 1000 * 2);
    expect_audit(report, 1);
    json_decref(report);
}

#define TASK(name, handler, undo, next)                                                            \
    "\"" name "\":{\"Type\":\"Task\",\"Resource\":\"service:" handler "\",\"ResultPath\":null,"    \
    "\"Compensate\":{\"Resource\":\"service:" undo "\"},\"Next\":\"" next "\"},"

/* Each step is done and then undone, the last ones too, which nothing can follow in the shipped
 * definitions. */
static void expect_all_undone(const char *name, const char *definition)
{
    char path[PATH_MAX];
    cli_path(path, scratch, name);
    cli_write(path, definition);
    json_t *report = cli_expect_json(cli_run("bench", "--durability", "memory", "--sagas", "1000",
                                             "--definition", path, "--json", (char *)NULL));
    expect_bench(report, "memory", 1000);
    expect_audit(report, 2);
    assert_int_equal(cli_integer(report, "compensated"), 1000);
    assert_int_equal(cli_integer(report, "steps"), 1000 * 6);
    assert_int_equal(cli_integer(report, "audit/figures/order.orders_standing"), 0);
    assert_int_equal(cli_integer(report, "audit/figures/order.returns_standing"), 0);
    assert_int_equal(cli_integer(report, "audit/figures/order.value_standing"), 0);
    assert_int_equal(cli_integer(report, "audit/figures/payment.money_captured"), 0);
    assert_int_equal(cli_integer(report, "audit/figures/inventory.units_on_hand"),
                     cli_integer(report, "audit/figures/inventory.units_start"));
    json_decref(report);
}

static void sales_and_returns_that_fail_after_their_last_step_are_undone_to_nothing(void **state)
{
    (void)state;
    expect_all_undone("sale.asl.json",
                      "{\"StartAt\":\"A\",\"States\":{" TASK("A", "order.record", "order.void", "B")
                          TASK("B", "inventory.reserve", "inventory.release", "C") TASK(
                              "C", "payment.charge", "payment.refund",
                              "D") "\"D\":{\"Type\":\"Fail\",\"Error\":\"No\",\"Cause\":\"no\"}}}");
    expect_all_undone(
        "back.asl.json",
        "{\"StartAt\":\"A\",\"States\":{" TASK("A", "order.record_return", "order.void_return", "B")
            TASK("B", "inventory.restock", "inventory.unstock", "C")
                TASK("C", "payment.refund_return", "payment.recharge",
                     "D") "\"D\":{\"Type\":\"Fail\",\"Error\":\"No\",\"Cause\":\"no\"}}}");
}

static void a_bench_on_a_data_directory_reports_its_own_sagas_alone(void **state)
{
    (void)state;
    char bench_data[PATH_MAX];
    cli_path(bench_data, scratch, "bench-data");
    for (int time = 1; time <= 2; time++) {
        json_t *report = cli_expect_json(cli_run("bench", "--data", bench_data, "--sagas", "1000",
                                                 "--fail-rate", "0.5", "--json", (char *)NULL));
        expect_bench(report, "sync", 1000);
        expect_audit(report, 4);
        json_t *replayed =
            cli_expect_json(cli_run("replay", "--data", bench_data, "--json", (char *)NULL));
        assert_int_equal(cli_integer(replayed, "sagas"), 1000 * time);
        assert_string_equal(cli_text(replayed, "state_digest"), cli_text(report, "state_digest"));
        json_decref(replayed);
        json_decref(report);
    }
    cli_remove(bench_data);
}

static void a_bench_measures_the_journal_alone_and_leaves_nothing_behind(void **state)
{
    (void)state;
    char temporary[PATH_MAX];
    cli_make_directory(temporary);
    assert_int_equal(setenv("TMPDIR", temporary, 1), 0);
    json_t *report = cli_expect_json(cli_run("bench", "--sagas", "2000", "--json", (char *)NULL));
    unsetenv("TMPDIR");
    assert_true(cli_number(report, "limit_bytes_per_s") > 0);
    assert_true(cli_number(report, "ratio_to_limit") > 0);
    json_decref(report);
    assert_int_equal(rmdir(temporary), 0);
}

static int64_t peak_rss_bytes(const char *sagas)
{
    json_t *report =
        cli_expect_json(cli_run("bench", "--durability", "memory", "--sagas", sagas, "--set",
                                "order.orders_kept=10000", "--json", (char *)NULL));
    int64_t bytes = cli_integer(report, "peak_rss_bytes");
    json_decref(report);
    return bytes;
}

/* 40 bytes kept of each of 900,000 more sagas would be too many. */
static void memory_does_not_grow_with_the_number_of_sagas(void **state)
{
    (void)state;
    if (CLI_SANITIZED) {
        print_message("skipped: a sanitizer keeps memory of its own\n");
        skip();
    }
    int64_t few_bytes = peak_rss_bytes("100000");
    int64_t many_bytes = peak_rss_bytes("1000000");
    assert_true(many_bytes - few_bytes < RSS_SLACK_BYTES);
}

/* ---- replay ----------------------------------------------------------------------------------
 */

static json_t *replay(void)
{
    return cli_expect_json(cli_run("replay", "--data", data, "--json", (char *)NULL));
}

static void the_report_of_replay_has_every_figure_and_comes_to_the_state_of_the_run(void **state)
{
    (void)state;
    json_t *report = replay();
    int64_t blocks = cli_integer(report, "blocks");
    assert_true(blocks > 1);
    assert_int_equal(cli_integer(report, "first_block"), 1);
    assert_int_equal(cli_integer(report, "last_block"), blocks);
    assert_int_equal((uint64_t)blocks, cli_watermark(data));
    assert_int_equal(cli_integer(report, "sagas"), ORDERS_COUNT);
    assert_int_equal(ended(report, ""), ORDERS_COUNT);
    assert_int_equal(cli_integer(report, "running"), 0);
    assert_int_equal(cli_integer(report, "succeeded"), cli_integer(ingested, "sagas/succeeded"));
    assert_int_equal(cli_integer(report, "compensated"),
                     cli_integer(ingested, "sagas/compensated"));
    assert_true(cli_integer(report, "records") > cli_integer(report, "steps"));
    assert_true(cli_integer(report, "bytes") > cli_integer(report, "records"));
    assert_true(cli_number(report, "seconds") > 0);
    assert_true(cli_integer(report, "records_per_s") > 0);
    assert_string_equal(cli_text(report, "state_digest"), cli_text(ingested, "state_digest"));
    json_t *errors = cli_member(report, "errors");
    assert_int_equal(json_array_size(errors), 1);
    assert_string_equal(cli_text(json_array_get(errors, 0), "name"), "Payment.CreditLimitReached");
    assert_int_equal(cli_integer(json_array_get(errors, 0), "count"),
                     cli_integer(ingested, "sagas/compensated"));
    json_decref(report);
}

static void a_replay_up_to_a_block_ends_with_it_and_twice_alike(void **state)
{
    (void)state;
    json_t *all = replay();
    char last[32];
    int64_t middle = cli_integer(all, "last_block") / 2;
    snprintf(last, sizeof last, "%" PRId64, middle);
    json_t *reports[2];
    for (int i = 0; i < 2; i++)
        reports[i] = cli_expect_json(
            cli_run("replay", "--data", data, "--until", last, "--json", (char *)NULL));
    assert_int_equal(cli_integer(reports[0], "last_block"), middle);
    assert_int_equal(cli_integer(reports[0], "blocks"), middle);
    assert_true(cli_integer(reports[0], "sagas") <= ORDERS_COUNT);
    assert_int_equal(ended(reports[0], "") + cli_integer(reports[0], "running"),
                     cli_integer(reports[0], "sagas"));
    assert_string_equal(cli_text(reports[0], "state_digest"), cli_text(reports[1], "state_digest"));
    assert_string_not_equal(cli_text(reports[0], "state_digest"), cli_text(all, "state_digest"));
    for (int i = 0; i < 2; i++)
        json_decref(reports[i]);

    snprintf(last, sizeof last, "%" PRId64, cli_integer(all, "last_block") + 1);
    struct cli_result result = cli_run("replay", "--data", data, "--until", last, (char *)NULL);
    cli_expect_says(&result, CLI_USAGE, "there is no block", last, (char *)NULL);
    cli_free(&result);
    json_decref(all);
}

static void a_replay_tells_the_life_of_a_saga(void **state)
{
    (void)state;
    struct cli_result result = cli_run("replay", "--data", data, "--saga", "1", (char *)NULL);
    cli_expect(&result, CLI_DONE);
    assert_non_null(strstr(result.out, "saga 1 of order"));
    assert_non_null(strstr(result.out, "started"));
    assert_non_null(strstr(result.out, "Record"));
    assert_non_null(strstr(result.out, "order.record"));
    cli_free(&result);
    json_t *report =
        cli_expect_json(cli_run("replay", "--data", data, "--saga", "1", "--json", (char *)NULL));
    assert_true(json_is_object(cli_member(report, "saga")));
    json_decref(report);
    result = cli_run("replay", "--data", data, "--saga", "2001", (char *)NULL);
    cli_expect_says(&result, CLI_USAGE, "saga 2001 was never started", (char *)NULL);
    cli_free(&result);
}

/* ---- journal ---------------------------------------------------------------------------------
 */

static void the_report_of_verify_agrees_with_that_of_replay(void **state)
{
    (void)state;
    static const char *const same[] = {"blocks", "records", "bytes", "first_block", "last_block"};
    json_t *verified =
        cli_expect_json(cli_run("journal", "verify", "--data", data, "--json", (char *)NULL));
    json_t *replayed = replay();
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(cli_integer(verified, same[i]), cli_integer(replayed, same[i]));
    assert_int_equal((uint64_t)cli_integer(verified, "acknowledged_block"), cli_watermark(data));
    assert_true(cli_truth(verified, "ok"));
    json_decref(verified);
    json_decref(replayed);
}

/* A JSON object a line. */
static void the_lines_of_dump_are_the_blocks_in_order_and_come_to_what_replay_counts(void **state)
{
    (void)state;
    struct cli_result result = cli_run("journal", "dump", "--data", data, "--json", (char *)NULL);
    cli_expect(&result, CLI_DONE);
    json_t *replayed = replay();
    int64_t blocks = 0;
    int64_t records = 0;
    int64_t bytes = 0;
    int64_t crc = 0;
    char *rest = result.out;
    for (char *line = strsep(&rest, "\n"); *line != '\0'; line = strsep(&rest, "\n")) {
        json_t *block = json_loads(line, 0, NULL);
        assert_non_null(block);
        assert_int_equal(cli_integer(block, "block"), ++blocks);
        assert_int_equal(cli_integer(block, "epoch"), 1);
        assert_int_equal(cli_integer(block, "partition"), 0);
        assert_int_equal(cli_integer(block, "previous_crc"), crc);
        assert_true(cli_integer(block, "time_ms") > 0);
        assert_true(cli_integer(block, "durable_block") < blocks);
        assert_true(cli_integer(block, "body_crc") >= 0);
        crc = cli_integer(block, "crc");
        records += cli_integer(block, "records");
        bytes += cli_integer(block, "bytes");
        json_decref(block);
    }
    assert_int_equal(blocks, cli_integer(replayed, "blocks"));
    assert_int_equal(records, cli_integer(replayed, "records"));
    assert_int_equal(bytes, cli_integer(replayed, "bytes"));
    json_decref(replayed);
    cli_free(&result);
}

static void a_dump_of_the_records_has_a_start_for_each_order(void **state)
{
    (void)state;
    struct cli_result result =
        cli_run("journal", "dump", "--data", data, "--records", "--json", (char *)NULL);
    cli_expect(&result, CLI_DONE);
    uint32_t starts = 0;
    uint32_t errors = 0;
    uint32_t sources = 0;
    for (const char *at = result.out; (at = strstr(at, "\"event\":\"")) != NULL; at++) {
        starts += strncmp(at, "\"event\":\"start\"", 15) == 0;
        errors += strncmp(at, "\"event\":\"error\"", 15) == 0;
        sources += strncmp(at, "\"event\":\"source\"", 16) == 0;
    }
    assert_int_equal(starts, ORDERS_COUNT);
    assert_int_equal(errors, cli_integer(ingested, "sagas/compensated"));
    assert_int_equal(sources, 1);
    cli_free(&result);
}

/* ---- define ----------------------------------------------------------------------------------
 */

static void the_report_of_define_counts_what_the_definition_has(void **state)
{
    (void)state;
    char path[PATH_MAX];
    cli_path(path, scratch, "greet.asl.json");
    cli_write(path,
              "{\"StartAt\":\"A\",\"States\":{"
              "\"A\":{\"Type\":\"Task\",\"Resource\":\"service:order.record\","
              "\"Compensate\":{\"Resource\":\"service:order.void\"},\"Next\":\"B\"},"
              "\"B\":{\"Type\":\"Task\",\"Resource\":\"service:payment.charge\",\"Next\":\"C\"},"
              "\"C\":{\"Type\":\"Succeed\"}}}");
    json_t *report = cli_expect_json(cli_run("define", path, "--json", (char *)NULL));
    assert_string_equal(cli_text(report, "name"), "greet");
    assert_int_equal(cli_integer(report, "states"), 3);
    assert_int_equal(cli_integer(report, "tasks"), 2);
    assert_int_equal(cli_integer(report, "compensated"), 1);
    assert_true(cli_truth(report, "valid"));
    json_t *services = cli_member(report, "services");
    assert_int_equal(json_array_size(services), 2);
    assert_string_equal(json_string_value(json_array_get(services, 0)), "order");
    assert_string_equal(json_string_value(json_array_get(services, 1)), "payment");
    json_decref(report);
}

/* ---- generate --------------------------------------------------------------------------------
 */

static void the_same_seed_generates_the_same_orders_and_another_one_others(void **state)
{
    (void)state;
    struct cli_result results[3];
    for (int i = 0; i < 3; i++) {
        results[i] =
            cli_run("generate", "--orders", "200", "--seed", i == 2 ? "6" : "5", (char *)NULL);
        cli_expect(&results[i], CLI_DONE);
    }
    assert_string_equal(results[0].out, results[1].out);
    assert_string_not_equal(results[0].out, results[2].out);
    for (int i = 0; i < 3; i++)
        cli_free(&results[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_report_of_ingest_has_every_figure_and_they_agree),
        cmocka_unit_test(the_report_for_people_says_the_same),
        cmocka_unit_test(the_report_of_bench_has_every_figure_in_each_durability),
        cmocka_unit_test(a_bench_with_failures_compensates_about_that_part),
        cmocka_unit_test(a_bench_in_which_all_fail_compensates_all),
        cmocka_unit_test(a_bench_of_a_real_shop_has_returns),
        cmocka_unit_test(a_bench_runs_the_definition_it_is_given),
        cmocka_unit_test(sales_and_returns_that_fail_after_their_last_step_are_undone_to_nothing),
        cmocka_unit_test(a_bench_on_a_data_directory_reports_its_own_sagas_alone),
        cmocka_unit_test(a_bench_measures_the_journal_alone_and_leaves_nothing_behind),
        cmocka_unit_test(memory_does_not_grow_with_the_number_of_sagas),
        cmocka_unit_test(the_report_of_replay_has_every_figure_and_comes_to_the_state_of_the_run),
        cmocka_unit_test(a_replay_up_to_a_block_ends_with_it_and_twice_alike),
        cmocka_unit_test(a_replay_tells_the_life_of_a_saga),
        cmocka_unit_test(the_report_of_verify_agrees_with_that_of_replay),
        cmocka_unit_test(the_lines_of_dump_are_the_blocks_in_order_and_come_to_what_replay_counts),
        cmocka_unit_test(a_dump_of_the_records_has_a_start_for_each_order),
        cmocka_unit_test(the_report_of_define_counts_what_the_definition_has),
        cmocka_unit_test(the_same_seed_generates_the_same_orders_and_another_one_others),
    };
    return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
