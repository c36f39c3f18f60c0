/*
 * What `flyover bench` writes of how a run went: the plot and the table are there and whole, agree
 * with the report, and what cannot be done is said before the run.
 */
#include "tests/cli/cli.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADER                                                                                     \
    "seconds,interval_s,steps,sagas,steps_per_s,sagas_per_s,latency_p50_ms,latency_p99_ms,"        \
    "latency_p999_ms,rss_bytes,disk_bytes,journal_bytes,checkpoints,checkpoint_stop_ms_max,"       \
    "cpu_s\n"

static char scratch[PATH_MAX];
static char plot[PATH_MAX];
static char table[PATH_MAX];

static int set_up(void **state)
{
    (void)state;
    cli_make_directory(scratch);
    cli_path(plot, scratch, "run.svg");
    cli_path(table, scratch, "run.csv");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cli_remove(scratch);
    return 0;
}

/* ---- what is written -------------------------------------------------------------------------
 */

/* Each element is closed, in order, and there is one root. Attributes hold no '>' here. */
static void expect_well_formed(const char *text)
{
    const char *open[64];
    size_t open_bytes[64];
    size_t depth = 0;
    size_t roots = 0;
    for (const char *at = text; (at = strchr(at, '<')) != NULL; at++) {
        const char *end = strchr(at, '>');
        assert_non_null(end);
        assert_null(memchr(at + 1, '<', (size_t)(end - at - 1)));
        if (at[1] == '?')
            continue;
        if (at[1] == '/') {
            assert_true(depth > 0);
            depth--;
            assert_int_equal((size_t)(end - at - 2), open_bytes[depth]);
            assert_memory_equal(at + 2, open[depth], open_bytes[depth]);
            continue;
        }
        roots += depth == 0;
        assert_true(depth < 64);
        open[depth] = at + 1;
        open_bytes[depth] = strcspn(at + 1, " >/");
        depth += end[-1] != '/';
    }
    assert_int_equal(depth, 0);
    assert_int_equal(roots, 1);
}

static void expect_plot(const char *title, const char *options)
{
    static const char *const panels[] = {"throughput", "latency", "memory-and-disk",
                                         "checkpoint-stops", "time"};
    char *text = cli_read(plot);
    expect_well_formed(text);
    for (size_t i = 0; i < 5; i++) {
        char id[64];
        snprintf(id, sizeof id, "<g id=\"%s\">", panels[i]);
        assert_non_null(strstr(text, id));
    }
    assert_non_null(strstr(text, title));
    assert_non_null(strstr(text, options));
    assert_non_null(strstr(text, ", commit "));
    assert_non_null(strstr(text, "First quarter → last quarter, medians: steps/s "));
    assert_null(strstr(text, "<script"));
    assert_null(strstr(text, "nan"));
    free(text);
}

struct sums {
    int64_t lines, steps, sagas;
    double seconds;
    int64_t disk_bytes, journal_bytes; /* of the last line */
};

static struct sums read_table(void)
{
    struct sums sums = {0};
    char *text = cli_read(table);
    assert_memory_equal(text, HEADER, strlen(HEADER));
    char *rest = text + strlen(HEADER);
    for (char *line = strsep(&rest, "\n"); *line != '\0'; line = strsep(&rest, "\n")) {
        double fields[15];
        size_t count = 0;
        for (char *field = strsep(&line, ","); field != NULL; field = strsep(&line, ",")) {
            assert_true(count < 15);
            fields[count++] = *field == '\0' ? NAN : atof(field);
        }
        assert_int_equal(count, 15);
        assert_true(fabs(fields[0] - sums.seconds - fields[1]) < 1e-4);
        if (!isnan(fields[6])) /* a saga that has ended is replied to when that is durable */
            assert_true(fields[6] > 0 && fields[6] <= fields[7] && fields[7] <= fields[8]);
        assert_true(fields[9] > 1 << 20);
        assert_true(fields[11] >= (double)sums.journal_bytes);
        sums.lines++;
        sums.seconds = fields[0];
        sums.steps += (int64_t)fields[2];
        sums.sagas += (int64_t)fields[3];
        sums.disk_bytes = (int64_t)fields[10];
        sums.journal_bytes = (int64_t)fields[11];
    }
    free(text);
    return sums;
}

static void the_plot_and_the_table_of_a_run_agree_with_its_report(void **state)
{
    (void)state;
    json_t *report =
        cli_expect_json(cli_run("bench", "--sagas", "40000", "--sample", "0.01", "--no-limit",
                                "--plot", plot, "--series", table, "--json", (char *)NULL));
    expect_plot("durability sync",
                "flyover bench --sagas 40000 --durability sync --in-flight 24576");
    struct sums sums = read_table();
    assert_int_equal(sums.lines, cli_integer(report, "series/samples"));
    assert_int_equal(sums.sagas, 40000);
    assert_int_equal(sums.steps, cli_integer(report, "steps"));
    assert_int_equal(sums.journal_bytes, cli_integer(report, "journal_bytes"));
    assert_true(sums.disk_bytes > 0);
    assert_true(sums.seconds < cli_number(report, "seconds") * 1.1 + 0.1);
    static const char *const members[] = {"steps_per_s", "latency_p99_us", "rss_bytes",
                                          "disk_bytes"};
    for (size_t i = 0; i < 4; i++) {
        char path[64];
        snprintf(path, sizeof path, "series/first_quarter/%s", members[i]);
        assert_true(cli_number(report, path) >= 0);
        snprintf(path, sizeof path, "series/last_quarter/%s", members[i]);
        assert_true(cli_number(report, path) >= 0);
        snprintf(path, sizeof path, "series/last_to_first/%s", members[i]);
        assert_non_null(cli_member(report, path));
    }
    json_decref(report);
}

/* One sample is the whole run, so its percentiles are those of the report. */
static void the_one_sample_of_a_short_run_has_the_latency_of_the_report(void **state)
{
    (void)state;
    json_t *report =
        cli_expect_json(cli_run("bench", "--durability", "memory", "--sagas", "5000", "--sample",
                                "1000", "--series", table, "--json", (char *)NULL));
    assert_int_equal(read_table().lines, 1);
    char *text = cli_read(table);
    char expected[128];
    snprintf(expected, sizeof expected, ",%.6f,%.6f,%.6f,",
             cli_number(report, "latency_us/p50") / 1e3, cli_number(report, "latency_us/p99") / 1e3,
             cli_number(report, "latency_us/p999") / 1e3);
    assert_non_null(strstr(text, expected));
    assert_int_equal(read_table().disk_bytes, 0);
    free(text);
    json_decref(report);
}

static void a_run_of_a_given_time_is_drawn_over_what_was_there(void **state)
{
    (void)state;
    char *old = malloc(1 << 20);
    assert_non_null(old);
    memset(old, '<', (1 << 20) - 1);
    old[(1 << 20) - 1] = '\0';
    cli_write(plot, old);
    free(old);
    struct cli_result result = cli_run("bench", "--durability", "memory", "--duration", "0.3",
                                       "--plot", plot, (char *)NULL);
    cli_expect(&result, CLI_DONE);
    assert_non_null(
        strstr(result.out, "series    first quarter → last quarter, medians: steps/s "));
    cli_free(&result);
    expect_plot("durability memory", "--duration 0.3 ");
    char *text = cli_read(plot);
    assert_null(strstr(text, "On disk"));
    free(text);
}

static void without_samples_the_report_has_no_series(void **state)
{
    (void)state;
    json_t *report = cli_expect_json(
        cli_run("bench", "--durability", "memory", "--sagas", "1000", "--json", (char *)NULL));
    assert_null(json_object_get(report, "series"));
    json_decref(report);
}

/* ---- what is refused -------------------------------------------------------------------------
 */

static void a_file_that_cannot_be_written_is_said_before_the_run(void **state)
{
    (void)state;
    char nowhere[PATH_MAX];
    char data[PATH_MAX];
    cli_path(nowhere, scratch, "no-such-folder/run.svg");
    cli_path(data, scratch, "data");
    /* It would run for longer than a test may. */
    struct cli_result result = cli_run("bench", "--data", data, "--duration", "100000", "--series",
                                       table, "--plot", nowhere, (char *)NULL);
    cli_expect_says(&result, CLI_FAILED, "flyover bench: ", "no-such-folder/run.svg",
                    "cannot be written", "No such file or directory", (char *)NULL);
    cli_free(&result);
    assert_int_not_equal(access(data, F_OK), 0);
    assert_int_not_equal(access(table, F_OK), 0);
}

static void a_disk_that_is_full_at_the_end_is_said_after_the_report(void **state)
{
    (void)state;
    struct cli_result result = cli_run("bench", "--durability", "memory", "--sagas", "1000",
                                       "--plot", "/dev/full", (char *)NULL);
    cli_expect_says(&result, CLI_FAILED, "/dev/full cannot be written: No space left",
                    (char *)NULL);
    assert_non_null(strstr(result.out, "audit     balanced"));
    cli_free(&result);
}

static void what_was_there_stays_if_the_run_cannot_begin(void **state)
{
    (void)state;
    cli_write(plot, "mine");
    struct cli_result result =
        cli_run("bench", "--durability", "memory", "--definition", "/no/such/definition", "--plot",
                plot, "--series", table, (char *)NULL);
    cli_expect_says(&result, CLI_INPUT, "/no/such/definition", (char *)NULL);
    cli_free(&result);
    char *text = cli_read(plot);
    assert_string_equal(text, "mine");
    free(text);
    assert_int_not_equal(access(table, F_OK), 0);
}

static void expect_usage(const char *says, const char *name, const char *value, const char *other,
                         const char *other_value)
{
    struct cli_result result = cli_run("bench", "--durability", "memory", "--sagas", "1000", name,
                                       value, other, other_value, (char *)NULL);
    cli_expect_says(&result, CLI_USAGE, says, (char *)NULL);
    cli_free(&result);
}

static void wrong_use_is_explained(void **state)
{
    (void)state;
    expect_usage("--sample 3 is longer than the run: --duration 2", "--sample", "3", "--duration",
                 "2");
    expect_usage("--sample takes a number of seconds from 0.01", "--sample", "0", "--plot", plot);
    expect_usage("--sample takes a number of seconds from 0.01", "--sample", "1x", "--plot", plot);
    expect_usage("--plot and --series are the same file", "--plot", plot, "--series", plot);
    assert_int_not_equal(access(plot, F_OK), 0);
}

int main(void)
{
#define SCRATCHED(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        SCRATCHED(the_plot_and_the_table_of_a_run_agree_with_its_report),
        SCRATCHED(the_one_sample_of_a_short_run_has_the_latency_of_the_report),
        SCRATCHED(a_run_of_a_given_time_is_drawn_over_what_was_there),
        SCRATCHED(without_samples_the_report_has_no_series),
        SCRATCHED(a_file_that_cannot_be_written_is_said_before_the_run),
        SCRATCHED(a_disk_that_is_full_at_the_end_is_said_after_the_report),
        SCRATCHED(what_was_there_stays_if_the_run_cannot_begin),
        SCRATCHED(wrong_use_is_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
