/*
 * log: lines for people and for machines, that stay lines whatever is in them, and are bounded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/main/log.h"

#define AT_MS 1767225600042 /* 2026-01-01 */

static struct log written;
static int ends[2];
static char text[1u << 16];
static uint64_t now_ns;

static int64_t fixed_wall_ms(void)
{
    return AT_MS;
}

static uint64_t fake_now_ns(void)
{
    return now_ns;
}

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    now_ns = 1;
    log_init(&written, LOG_INFO, LOG_PLAIN);
    written.file = ends[1];
    written.wall_ms = fixed_wall_ms;
    written.now_ns = fake_now_ns;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(ends[0]);
    close(ends[1]);
    return 0;
}

/* All that was written since the last time. */
static const char *take(void)
{
    size_t used = 0;
    ssize_t count;
    while ((count = read(ends[0], text + used, sizeof text - 1 - used)) > 0)
        used += (size_t)count;
    text[used] = '\0';
    return text;
}

static uint32_t lines(const char *of)
{
    uint32_t count = 0;
    for (; (of = strchr(of, '\n')) != NULL; of++)
        count++;
    return count;
}

static void a_line_has_time_level_event_and_fields(void **state)
{
    (void)state;
    log_say(&written, LOG_WARN, "listening", LOG_TEXT("address", "[::1]:7233"),
            LOG_NUMBER("threads", 2), LOG_TEXT("why", "two words"), LOG_TEXT("none", ""));
    assert_string_equal(take(), "time=2026-01-01T00:00:00.042Z level=warn event=listening "
                                "address=[::1]:7233 threads=2 why=\"two words\" none=\"\"\n");
    log_say(&written, LOG_INFO, "stopped");
    assert_string_equal(take(), "time=2026-01-01T00:00:00.042Z level=info event=stopped\n");
}

static void a_line_of_json_is_an_object_with_the_same(void **state)
{
    (void)state;
    written.format = LOG_JSON;
    log_say(&written, LOG_ERROR, "refused", LOG_TEXT("peer", "127.0.0.1:5"),
            LOG_NUMBER("count", UINT64_MAX / 2), LOG_TEXT("text", "a \"b\"\n\\c\td\x01"));
    json_t *line = json_loads(take(), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(line);
    assert_string_equal(json_string_value(json_object_get(line, "time")),
                        "2026-01-01T00:00:00.042Z");
    assert_string_equal(json_string_value(json_object_get(line, "level")), "error");
    assert_string_equal(json_string_value(json_object_get(line, "event")), "refused");
    assert_string_equal(json_string_value(json_object_get(line, "text")), "a \"b\"\n\\c\td\x01");
    assert_int_equal(json_integer_value(json_object_get(line, "count")), INT64_MAX);
    json_decref(line);
}

/* Nobody writes a line into the log by a name that has a line's end in it. */
static void whatever_is_in_a_field_stays_on_its_line(void **state)
{
    (void)state;
    char all[256];
    for (uint32_t i = 1; i < 256; i++)
        all[i - 1] = (char)i;
    all[255] = '\0';
    for (int format = LOG_PLAIN; format <= LOG_JSON; format++) {
        written.format = (enum log_format)format;
        log_say(&written, LOG_INFO, "odd", LOG_TEXT("text", all));
        const char *line = take();
        assert_int_equal(lines(line), 1);
        for (const char *next = line; *next != '\n'; next++)
            assert_true((unsigned char)*next >= ' ' && *next != 0x7f);
        if (format == LOG_JSON) {
            json_t *object = json_loads(line, 0, NULL);
            assert_non_null(object);
            json_decref(object);
        }
    }
}

static void a_long_line_is_cut_and_stays_whole(void **state)
{
    (void)state;
    char longest[2 * LOG_LINE_BYTES_MAX];
    static const char fills[] = {'x', '"', '\n', '\xff'};
    for (size_t i = 0; i < sizeof fills; i++) {
        memset(longest, fills[i], sizeof longest - 1);
        longest[sizeof longest - 1] = '\0';
        written.format = LOG_JSON;
        log_say(&written, LOG_INFO, "long", LOG_TEXT("text", longest), LOG_TEXT("more", longest));
        const char *line = take();
        assert_true(strlen(line) <= LOG_LINE_BYTES_MAX && strlen(line) > LOG_LINE_BYTES_MAX / 2);
        json_t *object = json_loads(line, 0, NULL);
        assert_non_null(object);
        json_decref(object);
    }
}

static void what_is_below_the_level_is_not_said(void **state)
{
    (void)state;
    log_say(&written, LOG_DEBUG, "detail");
    assert_string_equal(take(), "");
    written.level = LOG_DEBUG;
    log_say(&written, LOG_DEBUG, "detail");
    assert_int_equal(lines(take()), 1);
}

static void an_event_that_comes_too_often_is_left_out_and_counted(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < LOG_BURST + 7; i++)
        log_say(&written, LOG_INFO, "refused");
    log_say(&written, LOG_INFO, "another");
    const char *said = take();
    assert_int_equal(lines(said), LOG_BURST + 1);
    assert_non_null(strstr(said, "event=another"));
    log_turn(&written, false);
    assert_string_equal(take(), "");
    now_ns += LOG_WINDOW_MS * UINT64_C(1000000);
    log_turn(&written, false);
    assert_string_equal(take(), "time=2026-01-01T00:00:00.042Z level=warn event=left_out "
                                "of=refused count=7\n");
    log_turn(&written, false);
    assert_string_equal(take(), "");
    log_say(&written, LOG_INFO, "refused");
    assert_int_equal(lines(take()), 1);
}

static void what_was_left_out_is_said_at_the_end_too(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < LOG_BURST + 3; i++)
        log_say(&written, LOG_INFO, "refused");
    take();
    log_turn(&written, true);
    assert_non_null(strstr(take(), "of=refused count=3"));
}

static void a_reader_that_does_not_read_loses_lines_and_holds_up_nobody(void **state)
{
    (void)state;
    char filler[LOG_LINE_BYTES_MAX];
    memset(filler, 'x', sizeof filler);
    assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0); /* a write would wait */
    assert_int_equal(fcntl(ends[1], F_SETPIPE_SZ, 4096), 4096);
    assert_int_equal(write(ends[1], filler, 4096), 4096);
    log_say(&written, LOG_INFO, "lost");
    log_say(&written, LOG_INFO, "lost");
    take();
    log_turn(&written, true);
    assert_non_null(strstr(take(), "event=left_out of=lost count=2"));
}

static void more_events_than_are_told_apart_share_a_bound(void **state)
{
    (void)state;
    static char names[3 * LOG_EVENTS_MAX][16];
    for (uint32_t i = 0; i < 3 * LOG_EVENTS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "event%u", i);
        log_say(&written, LOG_INFO, names[i]);
    }
    assert_int_equal(lines(take()), LOG_EVENTS_MAX - 1 + LOG_BURST);
    log_turn(&written, true);
    assert_non_null(strstr(take(), "of=others"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_line_has_time_level_event_and_fields),
        TEST(a_line_of_json_is_an_object_with_the_same),
        TEST(whatever_is_in_a_field_stays_on_its_line),
        TEST(a_long_line_is_cut_and_stays_whole),
        TEST(what_is_below_the_level_is_not_said),
        TEST(an_event_that_comes_too_often_is_left_out_and_counted),
        TEST(what_was_left_out_is_said_at_the_end_too),
        TEST(a_reader_that_does_not_read_loses_lines_and_holds_up_nobody),
        TEST(more_events_than_are_told_apart_share_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
