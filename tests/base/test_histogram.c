#include "engine/base/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VALUES_COUNT 5000u

static struct histogram histogram;

static int set_up(void **state)
{
    (void)state;
    memset(&histogram, 0, sizeof histogram);
    return 0;
}

/* xorshift: the same values in every run. */
static uint64_t draw(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static int compare_values(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

/* What the quantile is by its definition: the least value that so many are at or below. */
static uint64_t exact_quantile(const uint64_t *sorted, uint64_t per_mille)
{
    uint64_t rank = (VALUES_COUNT * per_mille + 999) / 1000;
    return sorted[rank == 0 ? 0 : rank - 1];
}

static void an_empty_histogram_says_nothing(void **state)
{
    (void)state;
    assert_int_equal(histogram_quantile(&histogram, 0.5), 0);
    assert_int_equal(histogram_quantile(&histogram, 1), 0);
}

static void one_value_is_every_quantile(void **state)
{
    (void)state;
    histogram_add(&histogram, 123456789);
    assert_int_equal(histogram_quantile(&histogram, 0), 123456789);
    assert_int_equal(histogram_quantile(&histogram, 0.5), 123456789);
    assert_int_equal(histogram_quantile(&histogram, 1), 123456789);
}

static void small_values_are_exact(void **state)
{
    (void)state;
    for (uint64_t value = 1; value <= 100; value++)
        histogram_add(&histogram, value);
    for (uint64_t value = 1; value <= 100; value++)
        assert_int_equal(histogram_quantile(&histogram, (double)value / 100), value);
    assert_int_equal(histogram_quantile(&histogram, 1), 100);
    assert_int_equal(histogram.values_count, 100);
    assert_int_equal(histogram.value_max, 100);
}

static void so_many_values_as_the_quantile_says_are_at_or_below(void **state)
{
    (void)state;
    for (uint64_t value = 1; value <= 5; value++)
        histogram_add(&histogram, value);
    assert_int_equal(histogram_quantile(&histogram, 0.2), 1);
    assert_int_equal(histogram_quantile(&histogram, 0.25), 2);
    assert_int_equal(histogram_quantile(&histogram, 0.81), 5);
}

static void a_quantile_is_never_too_low_and_at_most_one_step_too_high(void **state)
{
    (void)state;
    static uint64_t values[VALUES_COUNT];
    uint64_t seed = 0x2545f4914f6cdd1d;
    for (size_t i = 0; i < VALUES_COUNT; i++) {
        values[i] = draw(&seed) >> (draw(&seed) % 64);
        histogram_add(&histogram, values[i]);
    }
    qsort(values, VALUES_COUNT, sizeof values[0], compare_values);
    for (uint64_t per_mille = 0; per_mille <= 1000; per_mille++) {
        uint64_t exact = exact_quantile(values, per_mille);
        uint64_t told = histogram_quantile(&histogram, (double)per_mille / 1000);
        /* One rank more where per_mille / 1000 is rounded up: never less than the exact one. */
        assert_true(told >= exact);
        assert_true(per_mille == 1000 || told - exact <= exact / HISTOGRAM_STEPS ||
                    told <= exact_quantile(values, per_mille + 1));
    }
    assert_true(histogram_quantile(&histogram, 1) == values[VALUES_COUNT - 1]);
}

static void every_bucket_starts_where_the_last_one_ended(void **state)
{
    (void)state;
    assert_int_equal(histogram_bucket(0), 0);
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t value = (uint64_t)1 << bit;
        uint32_t bucket = histogram_bucket(value);
        assert_true(bucket < HISTOGRAM_BUCKETS);
        assert_int_equal(histogram_bucket(value - 1), bucket - 1);
        assert_true(histogram_bucket(value + value / HISTOGRAM_STEPS) <= bucket + 1);
    }
    assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

static void the_largest_number_is_counted_too(void **state)
{
    (void)state;
    histogram_add(&histogram, UINT64_MAX);
    histogram_add(&histogram, 0);
    assert_true(histogram_quantile(&histogram, 0) == 0);
    assert_true(histogram_quantile(&histogram, 1) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_empty_histogram_says_nothing, set_up),
        cmocka_unit_test_setup(one_value_is_every_quantile, set_up),
        cmocka_unit_test_setup(small_values_are_exact, set_up),
        cmocka_unit_test_setup(so_many_values_as_the_quantile_says_are_at_or_below, set_up),
        cmocka_unit_test_setup(a_quantile_is_never_too_low_and_at_most_one_step_too_high, set_up),
        cmocka_unit_test_setup(every_bucket_starts_where_the_last_one_ended, set_up),
        cmocka_unit_test_setup(the_largest_number_is_counted_too, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
