#include "engine/main/plot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS UINT64_C(1000000000)
#define WIDTH     1000.0
#define HEIGHT    852.0

static struct series series;
static char *drawn;

static int set_up(void **state)
{
    (void)state;
    series_init(&series, SECOND_NS);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(drawn);
    drawn = NULL;
    return 0;
}

static void add(uint32_t count, uint64_t steps, uint64_t p99_ns, uint64_t disk_bytes)
{
    for (uint32_t i = 0; i < count; i++) {
        struct series_sample sample = {
            .ended_ns = (series.samples_count + 1) * SECOND_NS,
            .length_ns = SECOND_NS,
            .steps = steps,
            .sagas = steps / 4,
            .replies = steps / 4,
            .p50_ns = p99_ns / 2,
            .p99_ns = p99_ns,
            .p999_ns = p99_ns + p99_ns / 4,
            .rss_bytes = 360000000,
            .disk_bytes = disk_bytes,
        };
        series_add(&series, &sample);
    }
}

static void draw(const char *title)
{
    const struct plot_labels labels = {title, "a machine", "flyover bench"};
    size_t bytes = 0;
    FILE *out = open_memstream(&drawn, &bytes);
    plot_write(&series, &labels, out);
    fclose(out);
}

static bool has(const char *text)
{
    return strstr(drawn, text) != NULL;
}

static uint32_t count(const char *text)
{
    uint32_t found = 0;
    for (const char *at = drawn; (at = strstr(at, text)) != NULL; at++)
        found++;
    return found;
}

/* The way of the first line after `id`; each of its points must be in the picture. Returns their
 * number, and the least and the greatest y. */
static uint32_t follow(const char *id, double *ret_y_min, double *ret_y_max)
{
    const char *at = strstr(drawn, id);
    assert_non_null(at);
    at = strstr(at, "fill=\"none\"");
    assert_non_null(at);
    at = strstr(at, " d=\"");
    assert_non_null(at);
    uint32_t points = 0;
    *ret_y_min = INFINITY;
    *ret_y_max = -INFINITY;
    for (at += 4; *at != '"'; at++) {
        double x, y;
        if ((*at != 'M' && *at != 'L') || sscanf(at + 1, "%lf %lf", &x, &y) != 2)
            continue;
        assert_true(x >= 0 && x <= WIDTH && y >= 0 && y <= HEIGHT);
        *ret_y_min = fmin(*ret_y_min, y);
        *ret_y_max = fmax(*ret_y_max, y);
        points++;
    }
    return points;
}

static void a_steady_run_is_a_level_line_a_point_a_sample(void **state)
{
    (void)state;
    add(300, 2900000, 64000000, 1200000000);
    draw("flat");
    double y_min, y_max;
    assert_int_equal(follow("throughput", &y_min, &y_max), 300);
    assert_true(y_min == y_max);
}

static void a_rate_twice_as_high_stands_twice_as_high_over_the_axis(void **state)
{
    (void)state;
    add(5, 1000000, 1, 0);
    add(5, 2000000, 1, 0);
    draw("twice");
    double y_min, y_max;
    assert_int_equal(follow("throughput", &y_min, &y_max), 10);
    const char *zero = strstr(strstr(drawn, "id=\"throughput\""), "d=\"M66.0 "); /* of its grid */
    double y_zero;
    assert_int_equal(sscanf(zero + strlen("d=\"M66.0 "), "%lf", &y_zero), 1);
    assert_true(fabs((y_zero - y_min) - 2 * (y_zero - y_max)) < 0.2);
}

static void the_axis_of_latency_is_logarithmic_only_where_its_range_is_wide(void **state)
{
    (void)state;
    add(10, 4000, 64000000, 0);
    draw("narrow");
    assert_true(has(">Latency of a whole saga, ms<"));
    free(drawn);
    add(10, 4000, 1280000000, 0);
    draw("wide");
    assert_true(has(">Latency of a whole saga, s, logarithmic<"));
    double y_min, y_max;
    follow("latency", &y_min, &y_max);
}

static void where_nothing_ended_the_line_of_latency_is_broken(void **state)
{
    (void)state;
    add(3, 4000, 64000000, 0);
    add(2, 0, 0, 0);
    add(3, 4000, 64000000, 0);
    draw("gap");
    double y_min, y_max;
    assert_int_equal(follow("latency", &y_min, &y_max), 6);
    assert_false(has("nan"));
    assert_false(has("inf"));
}

static void disk_has_an_axis_only_where_there_is_some(void **state)
{
    (void)state;
    add(3, 4000, 64000000, 0);
    draw("memory alone");
    assert_true(has(">Resident memory, MB<"));
    assert_false(has("On disk"));
    free(drawn);
    add(3, 4000, 64000000, 1200000000);
    draw("both");
    assert_true(has(">On disk, GB<"));
}

static void checkpoints_are_marked_where_they_were_finished(void **state)
{
    (void)state;
    add(6, 4000, 64000000, 0);
    draw("none");
    assert_true(has("no checkpoint was finished"));
    free(drawn);
    for (uint32_t i = 2; i < 6; i++)
        series.samples[i].checkpoints = i < 4 ? 1 : 2;
    draw("two");
    assert_true(has("2 checkpoints finished"));
    assert_int_equal(count("v-9"), 2);
}

static void time_is_told_in_seconds_minutes_or_hours(void **state)
{
    (void)state;
    add(100, 4000, 64000000, 0);
    draw("short");
    assert_true(has("time since the start, seconds"));
    free(drawn);
    series.samples[99].ended_ns = 3600 * SECOND_NS;
    draw("an hour");
    assert_true(has("time since the start, minutes"));
    free(drawn);
    series.samples[99].ended_ns = 24 * 3600 * SECOND_NS;
    draw("a day");
    assert_true(has("time since the start, hours"));
}

static void more_samples_than_can_be_told_apart_are_thinned_and_the_series_is_not(void **state)
{
    (void)state;
    add(SERIES_SAMPLES_MAX, 4000, 64000000, 0);
    draw("many");
    double y_min, y_max;
    assert_in_range(follow("throughput", &y_min, &y_max), 226, 450);
    assert_int_equal(series.samples_count, SERIES_SAMPLES_MAX);
}

static void one_sample_of_nothing_can_be_drawn(void **state)
{
    (void)state;
    struct series_sample nothing = {0};
    series_add(&series, &nothing);
    draw("nothing");
    assert_true(has("</svg>"));
    assert_false(has("nan"));
    assert_false(has("inf"));
}

static void what_xml_does_not_allow_is_replaced(void **state)
{
    (void)state;
    add(1, 4000, 64000000, 0);
    draw("a<b>&\"\x01_\xff");
    assert_true(has("<title>a&lt;b&gt;&amp;\"?_?</title>"));
}

int main(void)
{
#define DRAWN(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        DRAWN(a_steady_run_is_a_level_line_a_point_a_sample),
        DRAWN(a_rate_twice_as_high_stands_twice_as_high_over_the_axis),
        DRAWN(the_axis_of_latency_is_logarithmic_only_where_its_range_is_wide),
        DRAWN(where_nothing_ended_the_line_of_latency_is_broken),
        DRAWN(disk_has_an_axis_only_where_there_is_some),
        DRAWN(checkpoints_are_marked_where_they_were_finished),
        DRAWN(time_is_told_in_seconds_minutes_or_hours),
        DRAWN(more_samples_than_can_be_told_apart_are_thinned_and_the_series_is_not),
        DRAWN(one_sample_of_nothing_can_be_drawn),
        DRAWN(what_xml_does_not_allow_is_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
