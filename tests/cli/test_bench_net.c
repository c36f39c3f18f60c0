/*
 * `flyover bench` over the network: each kind of load starts as many sagas as it was asked to, on
 * an engine of its own or on one that serves already, and its audit finds what the engine counted.
 * Nothing here looks at how fast.
 */
#include "tests/cli/serve_rig.h"

#include <stdlib.h>
#include <string.h>

#define SAGAS 300

static struct serve_rig rig;
static char scratch[PATH_MAX], data[PATH_MAX], picture[PATH_MAX];

static int set_up(void **state)
{
    (void)state;
    cli_make_directory(scratch);
    cli_path(data, scratch, "data");
    cli_path(picture, scratch, "curve.svg");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    serve_kill(&rig);
    cli_remove(scratch);
    return 0;
}

/* The run's first point; all of them have to be SAGAS that succeeded, and balanced. */
static json_t *expect_all(json_t *result)
{
    assert_true(cli_truth(result, "audit/balanced"));
    json_t *point = json_array_get(cli_member(result, "points"), 0);
    assert_int_equal(cli_integer(point, "sagas"), SAGAS);
    assert_int_equal(cli_integer(point, "succeeded"), SAGAS);
    assert_int_equal(cli_integer(point, "steps"), 4 * SAGAS);
    assert_true(cli_number(point, "latency_us/p50") > 0);
    return point;
}

static void an_engine_is_spawned_runs_the_orders_and_leaves_its_data_in_order(void **state)
{
    (void)state;
    json_t *result = cli_expect_json(
        cli_run("bench", "--spawn", "--sagas", "300", "--json", "--data", data, (char *)NULL));
    json_t *point = expect_all(result);
    assert_true(cli_number(point, "wire_bytes_a_saga_out") > 50);
    assert_true(cli_number(point, "cpu_ns_per_step_engine") > 0);
    assert_true(cli_number(point, "cpu_ns_per_step_load") > 0);
    assert_true(cli_integer(point, "engine_rss_bytes_max") > 0);
    assert_string_equal(cli_text(result, "durability"), "sync");
    json_decref(result);
    json_t *replayed = cli_expect_json(cli_run("replay", "--data", data, "--json", (char *)NULL));
    assert_int_equal(cli_integer(replayed, "succeeded"), SAGAS);
    json_decref(replayed);
}

static void a_unix_socket_and_the_shape_of_a_shop_with_failures_balance_too(void **state)
{
    (void)state;
    json_t *result =
        cli_expect_json(cli_run("bench", "--spawn=unix", "--sagas", "300", "--shape", "retail",
                                "--fail-rate", "0.3", "--json", (char *)NULL));
    assert_true(cli_truth(result, "audit/balanced"));
    json_t *point = json_array_get(cli_member(result, "points"), 0);
    assert_int_equal(cli_integer(point, "sagas"), SAGAS);
    assert_true(cli_integer(point, "compensated") > 0);
    json_decref(result);
}

static void steps_are_served_by_the_load_as_a_worker(void **state)
{
    (void)state;
    json_t *result = cli_expect_json(cli_run(
        "bench", "--spawn", "--sagas", "300", "--workers-remote", "2", "--connections", "3",
        "--outstanding", "50", "--batch", "7", "--durability", "memory", "--json", (char *)NULL));
    json_t *point = expect_all(result);
    assert_int_equal(cli_integer(point, "invocations"), 4 * SAGAS);
    assert_int_equal(cli_integer(result, "workers"), 2);
    json_decref(result);
}

static void a_rate_starts_as_many_as_are_due(void **state)
{
    (void)state;
    json_t *result = cli_expect_json(
        cli_run("bench", "--spawn", "--rate", "600", "--duration", "0.5", "--json", (char *)NULL));
    json_t *point = expect_all(result);
    assert_true(cli_number(point, "seconds") > 0.49);
    json_decref(result);
}

static void one_at_a_time_is_set_beside_the_syncs_of_the_disk(void **state)
{
    (void)state;
    json_t *result = cli_expect_json(cli_run("bench", "--spawn", "--sagas", "300", "--outstanding",
                                             "1", "--json", (char *)NULL));
    expect_all(result);
    assert_int_equal(cli_integer(result, "connections"), 1);
    assert_true(cli_number(result, "sync_us_p50") > 0);
    assert_true(cli_number(result, "syncs_a_saga") > 0);
    json_decref(result);
}

static void idle_connections_stay_open_beside_the_load(void **state)
{
    (void)state;
    json_t *result = cli_expect_json(
        cli_run("bench", "--spawn", "--sagas", "300", "--idle", "50", "--json", (char *)NULL));
    expect_all(result);
    assert_int_equal(cli_integer(result, "idle"), 50);
    assert_int_equal(cli_integer(result, "idle_lost"), 0);
    assert_true(cli_integer(result, "engine_rss_idle_bytes") > 0);
    json_decref(result);
}

static void a_curve_has_four_points_below_the_greatest_rate_and_is_drawn(void **state)
{
    (void)state;
    json_t *result =
        cli_expect_json(cli_run("bench", "--spawn", "--curve", "--duration", "0.2", "--outstanding",
                                "20", "--plot", picture, "--json", (char *)NULL));
    assert_true(cli_truth(result, "audit/balanced"));
    json_t *points = cli_member(result, "points");
    assert_int_equal(json_array_size(points), 5);
    assert_string_equal(cli_text(json_array_get(points, 2), "name"), "50 %");
    char *svg = cli_read(picture);
    assert_non_null(strstr(svg, "p99.9"));
    assert_non_null(strstr(svg, "90 %"));
    assert_non_null(strstr(svg, "</svg>"));
    free(svg);
    json_decref(result);
}

static void an_engine_that_serves_already_is_reached_by_its_address_more_than_once(void **state)
{
    (void)state;
    serve_start(&rig, (const char *const[]){"--data", data, "--listen", "127.0.0.1:0", NULL});
    for (int i = 0; i < 2; i++) {
        json_t *result = cli_expect_json(
            cli_run("bench", "--net", rig.address, "--sagas", "300", "--json", (char *)NULL));
        expect_all(result);
        json_decref(result);
    }
    serve_stop(&rig);
}

static void what_cannot_be_is_refused_with_what_to_do(void **state)
{
    (void)state;
    struct cli_result result = cli_run("bench", "--rate", "5", (char *)NULL);
    cli_expect_says(&result, CLI_USAGE, "--net or --spawn", (char *)NULL);
    cli_free(&result);
    result = cli_run("bench", "--spawn", "--net", "127.0.0.1:1", (char *)NULL);
    cli_expect_says(&result, CLI_USAGE, "not both", (char *)NULL);
    cli_free(&result);
    result = cli_run("bench", "--spawn", "--curve", "--rate", "5", (char *)NULL);
    cli_expect_says(&result, CLI_USAGE, "leave --rate out", (char *)NULL);
    cli_free(&result);
    result = cli_run("bench", "--spawn", "--plot", picture, (char *)NULL);
    cli_expect_says(&result, CLI_USAGE, "--plot of a --curve", (char *)NULL);
    cli_free(&result);
    result = cli_run("bench", "--spawn", "--in-flight", "5", (char *)NULL);
    cli_expect_says(&result, CLI_USAGE, "--outstanding", (char *)NULL);
    cli_free(&result);
    result = cli_run("bench", "--spawn", "--outstanding", "2", "--connections", "3", (char *)NULL);
    cli_expect_says(&result, CLI_USAGE, "too few", (char *)NULL);
    cli_free(&result);
}

static void an_engine_that_does_not_start_is_told_with_its_own_words(void **state)
{
    (void)state;
    cli_write(data, "no directory");
    struct cli_result result = cli_run("bench", "--spawn", "--data", data, (char *)NULL);
    cli_expect_says(&result, CLI_FAILED, "the engine does not start", data, (char *)NULL);
    cli_free(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            an_engine_is_spawned_runs_the_orders_and_leaves_its_data_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_unix_socket_and_the_shape_of_a_shop_with_failures_balance_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(steps_are_served_by_the_load_as_a_worker, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_rate_starts_as_many_as_are_due, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_at_a_time_is_set_beside_the_syncs_of_the_disk, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(idle_connections_stay_open_beside_the_load, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            a_curve_has_four_points_below_the_greatest_rate_and_is_drawn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            an_engine_that_serves_already_is_reached_by_its_address_more_than_once, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_is_refused_with_what_to_do, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_engine_that_does_not_start_is_told_with_its_own_words,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
