/*
 * top_sample and top_frame: what `flyover top` makes of an engine's figures, without a terminal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "engine/main/top_frame.h"

static struct top_sample before, after;
static struct top_rates rates;
static struct top_frame frame;

/* Of an engine that did so many steps in all, at this second of its clock. */
static void read_sample(struct top_sample *sample, int seconds, int steps, const char *more)
{
    char text[2048];
    snprintf(text, sizeof text,
             "{\"taken_ns\": %d000000000, \"taken_ms\": 1700000000000,"
             " \"totals\": {\"steps\": %d, \"started\": %d, \"succeeded\": %d},"
             " \"live\": {\"all\": 3, \"max\": 100, \"stuck\": 1},"
             " \"journal\": {\"blocks\": %d, \"syncs\": %d, \"bytes\": %d, \"open_block\": 9,"
             "               \"durable_block\": 7}%s}",
             seconds, steps, steps / 4, steps / 4, steps / 10, steps / 10, steps * 35, more);
    json_t *figures = json_loads(text, 0, NULL);
    assert_non_null(figures);
    assert_true(top_sample_read(figures, sample));
    json_decref(figures);
}

static struct top_view view_of(const struct top_sample *sample, uint32_t columns, uint32_t lines)
{
    return (struct top_view){.where = "here",
                             .sample = sample,
                             .rates = &rates,
                             .interval_ms = 1000,
                             .is_live = true,
                             .columns = columns,
                             .lines = lines};
}

static bool frame_has(const char *word)
{
    for (uint32_t i = 0; i < frame.lines_count; i++)
        if (strstr(frame.lines[i], word) != NULL)
            return true;
    return false;
}

static void expect_line(const char *word)
{
    if (!frame_has(word))
        fail_msg("no line has '%s'", word);
}

static uint32_t width_of(const char *line)
{
    uint32_t width = 0;
    for (; *line != '\0'; line++)
        width += ((uint8_t)*line & 0xc0) != 0x80;
    return width;
}

/* ---- samples --------------------------------------------------------------------------------- */

static void rates_are_what_happened_a_second_of_the_engines_clock(void **state)
{
    (void)state;
    read_sample(&before, 10, 4000, "");
    read_sample(&after, 12, 12000, "");
    top_rates_between(&before, &after, &rates);
    assert_true(rates.is_known);
    assert_true(rates.steps == 4000 && rates.sagas_ended == 1000 && rates.blocks == 400);
    assert_true(rates.journal_bytes == 140000);
    assert_int_equal(after.lag_blocks, 1);
}

static void what_another_engine_counts_is_not_held_against_the_one_before(void **state)
{
    (void)state;
    read_sample(&before, 10, 4000, "");
    read_sample(&after, 12, 40, "");
    top_rates_between(&before, &after, &rates);
    assert_false(rates.is_known);
    read_sample(&after, 9, 8000, "");
    top_rates_between(&before, &after, &rates);
    assert_false(rates.is_known);
    before = (struct top_sample){0};
    top_rates_between(&before, &after, &rates);
    assert_false(rates.is_known);
}

static void percentiles_are_of_what_came_between(void **state)
{
    (void)state;
    read_sample(&before, 10, 100, ", \"saga_ms\": {\"sum\": 5, \"counts\": [1000, 5]}");
    /* 90 of 2 ms at most, 10 of 4: the 1000 of before are of no account. */
    read_sample(&after, 11, 200, ", \"saga_ms\": {\"sum\": 9, \"counts\": [1000, 95, 0, 10]}");
    top_rates_between(&before, &after, &rates);
    assert_true(rates.saga_ms_p50 > 1 && rates.saga_ms_p50 <= 2);
    assert_true(rates.saga_ms_p99 > 3 && rates.saga_ms_p99 <= 4);
    assert_true(rates.append_us_p99 == 0);
}

static void services_are_told_by_name_whatever_their_order(void **state)
{
    (void)state;
    read_sample(&before, 10, 100,
                ", \"services\": [{\"service\": \"a\", \"answered\": 10},"
                " {\"service\": \"b\", \"answered\": 20}]");
    read_sample(&after, 11, 100,
                ", \"services\": [{\"service\": \"b\", \"answered\": 25},"
                " {\"service\": \"a\", \"answered\": 17}, {\"service\": \"c\", \"answered\": 3}]");
    top_rates_between(&before, &after, &rates);
    assert_true(rates.answers[0] == 5 && rates.answers[1] == 7 && rates.answers[2] == 0);
}

static void what_is_no_answer_is_no_sample(void **state)
{
    (void)state;
    static const char *const texts[] = {"{}", "{\"totals\": 3, \"taken_ns\": 0}",
                                        "{\"totals\": {}, \"taken_ns\": \"x\"}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        json_t *figures = json_loads(texts[i], 0, NULL);
        assert_false(top_sample_read(figures, &after));
        json_decref(figures);
    }
    /* Of wrong types it is 0. */
    read_sample(&after, 1, 1,
                ", \"services\": [3, {\"service\": 4}], \"saga_ms\": {\"counts\": \"x\"},"
                " \"threads\": {}, \"net\": {\"connections\": -5}");
    assert_int_equal(after.connections, 0);
    assert_string_equal(after.services[0].name, "");
}

/* ---- frames ---------------------------------------------------------------------------------- */

static void read_full(struct top_sample *sample, int seconds, int steps)
{
    read_sample(sample, seconds, steps,
                ", \"net\": {\"connections\": 12, \"workers\": 4, \"errors\": {\"BUSY\": 3}},"
                " \"threads\": [{\"thread\": \"engine\", \"cpu_ns\": 5}], \"services\": ["
                "{\"service\": \"a\"}, {\"service\": \"b\"}, {\"service\": \"c\"},"
                "{\"service\": \"d\"}, {\"service\": \"e\"}, {\"service\": \"f\"},"
                "{\"service\": \"g\", \"is_remote\": true, \"waiting\": 70}]");
    json_t *list = json_loads("{\"sagas\": [{\"saga\": 7, \"definition\": \"order\", \"at\":"
                              " \"Pay\", \"error\": \"Payment\\u001b[2J.Gone\"}]}",
                              0, NULL);
    top_sample_read_stuck(list, sample);
    json_decref(list);
}

static void every_size_of_terminal_is_kept_to(void **state)
{
    (void)state;
    read_full(&before, 1, 100);
    read_full(&after, 2, 1000000);
    top_rates_between(&before, &after, &rates);
    for (uint32_t columns = 0; columns <= TOP_COLUMNS_MAX; columns += 7)
        for (uint32_t lines = 0; lines <= TOP_LINES_MAX; lines += 3) {
            struct top_view view = view_of(&after, columns, lines);
            view.history_count = TOP_HISTORY;
            view.is_utf8 = columns % 2 == 0;
            view.trouble = lines % 2 == 0 ? NULL : "it does not answer";
            top_frame_make(&view, &frame);
            assert_true(frame.lines_count <= lines);
            for (uint32_t i = 0; i < frame.lines_count; i++)
                assert_true(width_of(frame.lines[i]) <= columns);
        }
}

static void a_terminal_that_is_too_small_is_told_so(void **state)
{
    (void)state;
    read_full(&after, 2, 1000);
    struct top_view view = view_of(&after, TOP_COLUMNS_MIN - 1, TOP_LINES_MIN);
    top_frame_make(&view, &frame);
    assert_int_equal(frame.lines_count, 1);
    expect_line("59 x 16 is too small: make it 60 x 16");
    view.columns++;
    top_frame_make(&view, &frame);
    expect_line("steps/s");
}

static void it_shows_what_there_is_and_how_much_it_does_not_show(void **state)
{
    (void)state;
    read_full(&before, 1, 100);
    read_full(&after, 2, 1234667);
    top_rates_between(&before, &after, &rates);
    struct top_view view = view_of(&after, 80, 24);
    top_frame_make(&view, &frame);
    assert_int_equal(frame.lines_count, 24);
    expect_line("flyover top  here");
    expect_line("1.23M");
    expect_line("3 of 100 slots");
    expect_line("12 connections, 4 workers");
    expect_line("more");
    expect_line("q quits");
    view.lines = 40;
    top_frame_make(&view, &frame);
    assert_false(frame_has("more"));
    expect_line("g                    remote");
}

static void what_is_stuck_is_told_and_moves_no_cursor(void **state)
{
    (void)state;
    read_full(&after, 2, 1000);
    struct top_view view = view_of(&after, 100, 40);
    top_frame_make(&view, &frame);
    expect_line("7          order                Pay                  Payment?[2J.Gone");
    for (uint32_t i = 0; i < frame.lines_count; i++)
        assert_null(strchr(frame.lines[i], 0x1b));
}

static void an_engine_that_is_gone_is_told_and_its_last_figures_stay(void **state)
{
    (void)state;
    read_full(&after, 2, 1000);
    struct top_view view = view_of(&after, 80, 24);
    view.trouble = "no engine runs on ./data";
    view.trouble_s = 12;
    top_frame_make(&view, &frame);
    expect_line("no answer for 12 s: no engine runs on ./data");
    expect_line("3 of 100 slots");
    view.sample = NULL;
    top_frame_make(&view, &frame);
    expect_line("no answer for 12 s");
}

static void bars_are_as_high_as_their_share_of_the_highest(void **state)
{
    (void)state;
    read_sample(&after, 2, 1000, "");
    struct top_view view = view_of(&after, 80, 24);
    const double values[] = {0, 1, 50, 100};
    memcpy(view.steps, values, sizeof values);
    view.history_count = 4;
    top_frame_make(&view, &frame);
    expect_line(" .=@");
    view.is_utf8 = true;
    top_frame_make(&view, &frame);
    expect_line(" ▁▄█");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_what_happened_a_second_of_the_engines_clock),
        cmocka_unit_test(what_another_engine_counts_is_not_held_against_the_one_before),
        cmocka_unit_test(percentiles_are_of_what_came_between),
        cmocka_unit_test(services_are_told_by_name_whatever_their_order),
        cmocka_unit_test(what_is_no_answer_is_no_sample),
        cmocka_unit_test(every_size_of_terminal_is_kept_to),
        cmocka_unit_test(a_terminal_that_is_too_small_is_told_so),
        cmocka_unit_test(it_shows_what_there_is_and_how_much_it_does_not_show),
        cmocka_unit_test(what_is_stuck_is_told_and_moves_no_cursor),
        cmocka_unit_test(an_engine_that_is_gone_is_told_and_its_last_figures_stay),
        cmocka_unit_test(bars_are_as_high_as_their_share_of_the_highest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
