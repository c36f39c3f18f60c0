#include "engine/main/series.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS UINT64_C(1000000000)

static struct series series;
static struct histogram now, before;

static int set_up(void **state)
{
    (void)state;
    series_init(&series, SECOND_NS);
    memset(&now, 0, sizeof now);
    memset(&before, 0, sizeof before);
    return 0;
}

/* The i-th second of a run in which all grows with i, from 1. */
static struct series_sample sample_of(uint64_t i)
{
    return (struct series_sample){
        .ended_ns = i * SECOND_NS,
        .length_ns = SECOND_NS,
        .steps = 4 * i,
        .sagas = i,
        .replies = i,
        .p50_ns = 10 * i,
        .p99_ns = 100 * i,
        .p999_ns = 1000 * i,
        .rss_bytes = 1000000 * i,
        .disk_bytes = 10000000 * i,
        .journal_bytes = 30 * i,
        .checkpoints = i / 2,
        .stop_ns_max = i,
        .cpu_ns = 7 * i,
    };
}

static void add(uint64_t count)
{
    for (uint64_t i = 1; i <= count; i++) {
        struct series_sample sample = sample_of(i);
        series_add(&series, &sample);
    }
}

static void of_two_samples_that_are_joined_nothing_bad_is_lost(void **state)
{
    (void)state;
    struct series_sample first = sample_of(3), second = sample_of(1);
    second.ended_ns = 4 * SECOND_NS;
    second.journal_bytes = 500;
    series_add(&series, &first);
    series_add(&series, &second);
    series_thin(&series);
    assert_int_equal(series.samples_count, 1);
    assert_int_equal(series.interval_ns, 2 * SECOND_NS);
    const struct series_sample *joined = &series.samples[0];
    assert_int_equal(joined->ended_ns, 4 * SECOND_NS);
    assert_int_equal(joined->length_ns, 2 * SECOND_NS);
    assert_int_equal(joined->steps, 16);
    assert_int_equal(joined->sagas, 4);
    assert_int_equal(joined->replies, 4);
    assert_int_equal(joined->p50_ns, (3 * 30 + 1 * 10) / 4);
    assert_int_equal(joined->p99_ns, 300);
    assert_int_equal(joined->p999_ns, 3000);
    assert_int_equal(joined->rss_bytes, 3000000);
    assert_int_equal(joined->disk_bytes, 30000000);
    assert_int_equal(joined->journal_bytes, 500);
}

static void the_odd_sample_stays_when_pairs_are_joined(void **state)
{
    (void)state;
    add(5);
    series_thin(&series);
    assert_int_equal(series.samples_count, 3);
    assert_int_equal(series.samples[2].length_ns, SECOND_NS);
    assert_int_equal(series.samples[2].ended_ns, 5 * SECOND_NS);
}

static void a_run_of_any_length_fits_and_all_of_it_is_there(void **state)
{
    (void)state;
    uint64_t ended_ns = 0, length_ns = 0, sagas = 0, sagas_added = 0;
    while (ended_ns < 18000 * SECOND_NS) {
        struct series_sample sample = {.length_ns = series.interval_ns,
                                       .sagas = series.samples_count};
        ended_ns += series.interval_ns;
        sample.ended_ns = ended_ns;
        sagas_added += sample.sagas;
        series_add(&series, &sample);
    }
    assert_true(series.samples_count <= SERIES_SAMPLES_MAX);
    assert_int_equal(series.interval_ns, 8 * SECOND_NS);
    for (uint32_t i = 0; i < series.samples_count; i++) {
        sagas += series.samples[i].sagas;
        length_ns += series.samples[i].length_ns;
        assert_int_equal(series.samples[i].ended_ns, length_ns);
    }
    assert_int_equal(sagas, sagas_added);
    assert_int_equal(length_ns, ended_ns);
}

static void what_is_left_over_joins_the_last_sample_unless_it_is_long(void **state)
{
    (void)state;
    struct series_sample rest = sample_of(9);
    rest.length_ns = SECOND_NS / 2 - 1;
    series_add_rest(&series, &rest); /* there is nothing to join */
    assert_int_equal(series.samples_count, 1);
    add(1);
    series_add_rest(&series, &rest);
    assert_int_equal(series.samples_count, 2);
    assert_int_equal(series.samples[1].sagas, 1 + 9);
    rest.length_ns = SECOND_NS / 2;
    series_add_rest(&series, &rest);
    assert_int_equal(series.samples_count, 3);
}

static void the_latency_is_that_of_the_interval_alone(void **state)
{
    (void)state;
    struct series_sample sample = {0};
    for (int i = 0; i < 1000; i++)
        histogram_add(&now, 50);
    series_measure_latency(&sample, &now, &before);
    assert_int_equal(sample.replies, 1000);
    assert_int_equal(sample.p50_ns, 50);
    for (int i = 0; i < 99; i++)
        histogram_add(&now, 10);
    histogram_add(&now, 60);
    series_measure_latency(&sample, &now, &before);
    assert_int_equal(sample.replies, 100);
    assert_int_equal(sample.p50_ns, 10);
    assert_int_equal(sample.p99_ns, 10);
    assert_int_equal(sample.p999_ns, 60);
    series_measure_latency(&sample, &now, &before);
    assert_int_equal(sample.replies, 0);
    assert_int_equal(sample.p999_ns, 0);
}

static void the_summary_has_the_medians_of_the_first_and_the_last_quarter(void **state)
{
    (void)state;
    add(12);
    series.samples[1].p99_ns = 1000000; /* one that stands out is no median */
    struct series_summary summary = series_summarize(&series);
    assert_true(summary.first.steps_per_s == 8);
    assert_true(summary.last.steps_per_s == 44);
    assert_true(summary.first.p99_ns == 300);
    assert_true(summary.last.p99_ns == 1100);
    assert_true(summary.first.rss_bytes == 2000000);
    assert_true(summary.last.disk_bytes == 110000000);
}

static void a_summary_of_few_samples_is_of_the_first_and_the_last(void **state)
{
    (void)state;
    add(1);
    struct series_summary summary = series_summarize(&series);
    assert_true(summary.first.steps_per_s == 4 && summary.last.steps_per_s == 4);
    series_init(&series, SECOND_NS);
    add(3);
    summary = series_summarize(&series);
    assert_true(summary.first.steps_per_s == 4 && summary.last.steps_per_s == 12);
}

static void the_summary_is_a_sentence_with_units(void **state)
{
    (void)state;
    char text[256];
    struct series_summary summary = {.first = {2912331, 64e6, 361e6, 1.2e9},
                                     .last = {2900112, 63.2e6, 363e6, 1.3e9}};
    series_describe(&summary, text, sizeof text);
    assert_string_equal(text, "steps/s 2.91 → 2.90 M (×1.00), p99 64.0 → 63.2 ms (×0.99), memory "
                              "361 → 363 MB (×1.01), disk 1.20 → 1.30 GB (×1.08)");
    summary.first = (struct series_part){.rss_bytes = 1e9};
    summary.last = (struct series_part){.steps_per_s = 12, .rss_bytes = 2e9};
    series_describe(&summary, text, sizeof text);
    assert_string_equal(text, "steps/s 0.0 → 12.0, p99 0.00 → 0.00 ns, memory 1.00 → 2.00 GB "
                              "(×2.00)");
    series_describe(&summary, text, 20);
    assert_int_equal(strlen(text), 19);
}

static void the_table_has_a_line_a_sample_and_no_percentile_of_nothing(void **state)
{
    (void)state;
    add(2);
    series.samples[1].replies = 0;
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    series_write_csv(&series, out);
    fclose(out);
    assert_string_equal(
        text,
        "seconds,interval_s,steps,sagas,steps_per_s,sagas_per_s,latency_p50_ms,latency_p99_ms,"
        "latency_p999_ms,rss_bytes,disk_bytes,journal_bytes,checkpoints,checkpoint_stop_ms_max,"
        "cpu_s\n"
        "1.000000,1.000000,4,1,4.0,1.0,0.000010,0.000100,0.001000,1000000,10000000,30,0,0.000,"
        "0.000\n"
        "2.000000,1.000000,8,2,8.0,2.0,,,,2000000,20000000,60,1,0.000,0.000\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(of_two_samples_that_are_joined_nothing_bad_is_lost, set_up),
        cmocka_unit_test_setup(the_odd_sample_stays_when_pairs_are_joined, set_up),
        cmocka_unit_test_setup(a_run_of_any_length_fits_and_all_of_it_is_there, set_up),
        cmocka_unit_test_setup(what_is_left_over_joins_the_last_sample_unless_it_is_long, set_up),
        cmocka_unit_test_setup(the_latency_is_that_of_the_interval_alone, set_up),
        cmocka_unit_test_setup(the_summary_has_the_medians_of_the_first_and_the_last_quarter,
                               set_up),
        cmocka_unit_test_setup(a_summary_of_few_samples_is_of_the_first_and_the_last, set_up),
        cmocka_unit_test_setup(the_summary_is_a_sentence_with_units, set_up),
        cmocka_unit_test_setup(the_table_has_a_line_a_sample_and_no_percentile_of_nothing, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
