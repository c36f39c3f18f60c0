/* Wait states, when they are over, and times of RFC 3339. */
#include <stdio.h>
#include <time.h>

#include "tests/saga/plan_refusal.h"

#define WAIT(fields) STATES("'A':{'Type':'Wait','End':true," fields "}")

/* ---- Wait ---------------------------------------------------------------------------------- */

static void a_wait_says_how_long_in_one_of_four_ways(void **state)
{
    (void)state;
    struct plan *plan = plan_text_compile(
        STATES("'A':{'Type':'Wait','Comment':'','Seconds':3155760000,'Next':'B'},"
               "'B':{'Type':'Wait','Timestamp':'2026-11-26T13:00:00.0409+01:00','Next':'C'},"
               "'C':{'Type':'Wait','SecondsPath':'$.order.pause','Next':'D'},"
               "'D':{'Type':'Wait','TimestampPath':'$.due[1]','Next':'E'},"
               "'E':{'Type':'Wait','Seconds':0,'End':true}"));
    const struct plan_state *states = plan->states;
    assert_int_equal(states[0].type, STATE_WAIT);
    assert_int_equal(states[0].wait_kind, WAIT_SECONDS);
    assert_int_equal(states[0].wait_ms, PLAN_WAIT_MS_MAX);
    assert_int_equal(states[0].next, 1);
    assert_int_equal(states[1].wait_kind, WAIT_TIMESTAMP);
    assert_int_equal(states[1].wait_ms, 1795694400040);
    assert_int_equal(states[2].wait_kind, WAIT_SECONDS_PATH);
    assert_int_equal(states[2].wait_path.parts_count, 2);
    assert_int_equal(states[3].wait_kind, WAIT_TIMESTAMP_PATH);
    assert_int_equal(states[3].wait_path.parts[1].index, 1);
    assert_int_equal(states[4].wait_ms, 0);
    assert_int_equal(states[4].next, PLAN_NO_STATE);
    assert_int_equal(plan->resources_count, 0);
    plan_free(plan);
}

static void waits_that_do_not_say_how_long_are_refused(void **state)
{
    (void)state;
    static const char number[] = "must be a whole number from 0 to 3155760000";
    static const char time[] =
        " is no time of RFC 3339 from 1970 on, such as \"2026-11-26T12:00:00Z\" or "
        "\"2026-11-26T13:00:00.5+01:00\"";
    static const struct refusal refusals[] = {
        {WAIT("'Comment':''"), INVALID, A,
         "does not say how long to wait; name one of Seconds, SecondsPath, Timestamp and "
         "TimestampPath"},
        {WAIT("'Seconds':1,'Timestamp':'2026-11-26T12:00:00Z'"), INVALID, A,
         "has both Seconds and Timestamp; leave out one of them"},
        {WAIT("'TimestampPath':'$','SecondsPath':'$'"), INVALID, A,
         "has both SecondsPath and TimestampPath; leave out one of them"},
        {WAIT("'Seconds':-1"), INVALID, A "/Seconds", number},
        {WAIT("'Seconds':1.5"), INVALID, A "/Seconds", number},
        {WAIT("'Seconds':3155760001"), INVALID, A "/Seconds", number},
        {WAIT("'Seconds':'1'"), INVALID, A "/Seconds", number},
        {WAIT("'Seconds':null"), INVALID, A "/Seconds", number},
        {WAIT("'Timestamp':7"), INVALID, A "/Timestamp", "must be a string, not a number"},
        {WAIT("'Timestamp':'tomorrow'"), INVALID, A "/Timestamp", time},
        {WAIT("'Timestamp':'2026-11-26 12:00:00Z'"), INVALID, A "/Timestamp", time},
        {WAIT("'Timestamp':'1969-12-31T23:59:59Z'"), INVALID, A "/Timestamp", time},
        {WAIT("'SecondsPath':7"), INVALID, A "/SecondsPath", "must be a string, not a number"},
        {WAIT("'SecondsPath':'n'"), INVALID, A "/SecondsPath", "a path begins with $"},
        {WAIT("'TimestampPath':'$.a[*]'"), UNSUPPORTED, A "/TimestampPath",
         "wildcards (*) are not supported"},
        {STATES("'A':{'Type':'Wait','Seconds':1}"), INVALID, A, "has neither Next nor End"},
        {WAIT("'Seconds':1,'Next':'A'"), INVALID, A, "has both Next and End"},
        {STATES("'A':{'Type':'Wait','Seconds':1,'Next':'A'}"), INVALID, A,
         "A -> A goes round for ever"},
        {WAIT("'Seconds':1,'ResultPath':null"), INVALID, A "/ResultPath",
         "ResultPath does not belong in a Wait state, which may have: Type, Comment, Seconds, "
         "SecondsPath, Timestamp, TimestampPath, Next, End"},
        {WAIT("'Seconds':1,'TimeoutSeconds':1"), INVALID, A "/TimeoutSeconds",
         "TimeoutSeconds does not belong in a Wait state"},
        {WAIT("'Seconds':1,'OutputPath':'$'"), UNSUPPORTED, A "/OutputPath", "not supported yet"},
        {WAIT("'Second':1"), INVALID, A "/Second",
         "a Wait state has no field \"Second\"; did you mean \"Seconds\"?"},
        {PASS("'Seconds':1"), INVALID, A "/Seconds", "Seconds does not belong in a Pass state"},
        {PASS("'TimestampPath':'$'"), INVALID, A "/TimestampPath",
         "TimestampPath does not belong in a Pass state"},
    };
    CHECK_ALL(refusals);
}

/* ---- when a wait is over ------------------------------------------------------------------- */

#define NOW_MS   1795694400000 /* 2026-11-26T12:00:00Z */
#define MAX_MS   (int64_t) PLAN_WAIT_MS_MAX
#define NOWHERE  "Path leads nowhere in the input"
#define NO_TIME  "TimestampPath leads to no time of RFC 3339"
#define TOO_LONG "longer than a hundred years"
#define NO_COUNT "SecondsPath leads to no number of 0 or more"

static void check_until(const char *text, struct flyover_bytes input, int64_t now_ms,
                        int64_t wanted_ms, const char *wanted_reason)
{
    struct plan *plan = plan_text_compile(text);
    int64_t until_ms = -7;
    const char *reason = NULL;
    bool fine = plan_wait_until(&plan->states[0], input, now_ms, &until_ms, &reason);
    plan_free(plan);
    bool as_wanted = wanted_reason == NULL ? fine && until_ms == wanted_ms && reason == NULL
                                           : !fine && until_ms == -7 && reason != NULL &&
                                                 strstr(reason, wanted_reason) != NULL;
    if (!as_wanted)
        fail_msg("%s: until %lld, %s", text, (long long)until_ms, reason == NULL ? "" : reason);
}

static void a_wait_is_over_when_its_definition_says(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t now_ms, wanted_ms;
        const char *reason;
    } rows[] = {
        {WAIT("'Seconds':0"), NOW_MS, NOW_MS, NULL},
        {WAIT("'Seconds':90"), NOW_MS, NOW_MS + 90000, NULL},
        {WAIT("'Seconds':3155760000"), NOW_MS, NOW_MS + MAX_MS, NULL},
        {WAIT("'Seconds':1"), INT64_MAX, INT64_MAX, NULL},
        {WAIT("'Timestamp':'2026-11-26T12:00:00.001Z'"), NOW_MS, NOW_MS + 1, NULL},
        {WAIT("'Timestamp':'2026-11-26T12:00:00Z'"), NOW_MS, NOW_MS, NULL},
        {WAIT("'Timestamp':'2026-11-26T11:59:59.999Z'"), NOW_MS, NOW_MS, NULL},
        {WAIT("'Timestamp':'1970-01-01T00:00:00Z'"), NOW_MS, NOW_MS, NULL},
        {WAIT("'Timestamp':'2126-11-27T12:00:00Z'"), NOW_MS, NOW_MS + MAX_MS, NULL},
        {WAIT("'Timestamp':'2126-11-27T12:00:00.001Z'"), NOW_MS, 0, TOO_LONG},
        {WAIT("'Timestamp':'9999-12-31T23:59:59Z'"), NOW_MS, 0, TOO_LONG},
        {WAIT("'Timestamp':'9999-12-31T23:59:59Z'"), INT64_MAX - 1, INT64_MAX - 1, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_until(rows[i].text, plan_text_bytes("\xc0"), rows[i].now_ms, rows[i].wanted_ms,
                    rows[i].reason);
}

/* {"v": value} */
static struct flyover_bytes put_value(const char *value, size_t value_bytes, uint8_t out[64])
{
    memcpy(out, "\x81\xa1v", 3);
    assert_in_range(value_bytes, 1, 61);
    memcpy(out + 3, value, value_bytes);
    struct flyover_bytes input = {.at = out, .count = (uint32_t)value_bytes + 3};
    assert_true(value_check(input, NULL));
    return input;
}

static void a_wait_is_over_when_its_input_says(void **state)
{
    (void)state;
    static const char seconds[] = WAIT("'SecondsPath':'$.v'");
    static const char timestamp[] = WAIT("'TimestampPath':'$.v'");
#define BYTES(text) text, sizeof(text) - 1
    static const struct {
        const char *text, *value;
        size_t bytes;
        int64_t wait_ms;
        const char *reason;
    } rows[] = {
        {seconds, BYTES("\x00"), 0, NULL},
        {seconds, BYTES("\x5a"), 90000, NULL},
        {seconds, BYTES("\xd3\x00\x00\x00\x00\x00\x00\x00\x5a"), 90000, NULL},
        {seconds, BYTES("\xce\xbc\x19\x13\x80"), MAX_MS, NULL}, /* 3155760000 */
        {seconds, BYTES("\xce\xbc\x19\x13\x81"), 0, TOO_LONG},  /* one more */
        {seconds, BYTES("\xd3\x7f\xff\xff\xff\xff\xff\xff\xff"), 0, TOO_LONG},
        {seconds, BYTES("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), 0, TOO_LONG},
        {seconds, BYTES("\xff"), 0, NO_COUNT},                             /* -1 */
        {seconds, BYTES("\xcb\x00\x00\x00\x00\x00\x00\x00\x00"), 0, NULL}, /* 0.0 */
        {seconds, BYTES("\xcb\x80\x00\x00\x00\x00\x00\x00\x00"), 0, NULL}, /* -0.0 */
        {seconds, BYTES("\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00"), 1500, NULL},
        {seconds, BYTES("\xca\x3f\xc0\x00\x00"), 1500, NULL},                 /* 1.5, short */
        {seconds, BYTES("\xcb\x3f\xf0\x04\x18\x93\x74\xbc\x6a"), 1001, NULL}, /* 1.001 */
        {seconds, BYTES("\xcb\x3f\x50\x62\x4d\xd2\xf1\xa9\xfc"), 1, NULL},    /* 0.001 */
        {seconds, BYTES("\xcb\x3f\xef\xff\xff\xff\xff\xff\xff"), 1000, NULL}, /* nearly 1 */
        {seconds, BYTES("\xcb\x41\xe7\x83\x22\x70\x00\x00\x00"), MAX_MS, NULL},
        {seconds, BYTES("\xcb\x41\xe7\x83\x22\x70\x00\x00\x01"), 0, TOO_LONG},
        {seconds, BYTES("\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00"), 0, TOO_LONG}, /* infinite */
        {seconds, BYTES("\xcb\xff\xf0\x00\x00\x00\x00\x00\x00"), 0, NO_COUNT},
        {seconds, BYTES("\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"), 0, NO_COUNT}, /* not a number */
        {seconds, BYTES("\xcb\xbf\xf0\x00\x00\x00\x00\x00\x00"), 0, NO_COUNT}, /* -1.0 */
        {seconds, BYTES("\xa1\x35"), 0, NO_COUNT},                             /* "5" */
        {seconds, BYTES("\xc0"), 0, NO_COUNT},
        {seconds, BYTES("\xc3"), 0, NO_COUNT},
        {seconds, BYTES("\x91\x05"), 0, NO_COUNT},
        {WAIT("'SecondsPath':'$.w'"), BYTES("\x05"), 0, "Seconds" NOWHERE},
        {timestamp,
         BYTES("\xb4"
               "2026-11-26T12:01:30Z"),
         90000, NULL},
        {timestamp,
         BYTES("\xb4"
               "2026-11-26T11:01:30Z"),
         0, NULL},
        {timestamp,
         BYTES("\xb4"
               "2126-11-27T12:00:00Z"),
         MAX_MS, NULL},
        {timestamp,
         BYTES("\xb4"
               "2126-11-27T12:00:01Z"),
         0, TOO_LONG},
        {timestamp,
         BYTES("\xb4"
               "2026-11-31T12:00:00Z"),
         0, NO_TIME},
        {timestamp, BYTES("\xa0"), 0, NO_TIME},
        {timestamp, BYTES("\x05"), 0, NO_TIME},
        {timestamp, BYTES("\xc0"), 0, NO_TIME},
        {WAIT("'TimestampPath':'$.w'"), BYTES("\x05"), 0, "Timestamp" NOWHERE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t out[64];
        struct flyover_bytes input = put_value(rows[i].value, rows[i].bytes, out);
        check_until(rows[i].text, input, NOW_MS, NOW_MS + rows[i].wait_ms, rows[i].reason);
    }
}

/* ---- RFC 3339 ------------------------------------------------------------------------------ */

static bool parse(const char *text, int64_t *ret_ms)
{
    /* Of exactly its size, so that a read beyond it is seen. */
    size_t count = strlen(text);
    uint8_t *exact = malloc(count == 0 ? 1 : count);
    assert_non_null(exact);
    memcpy(exact, text, count);
    bool fine =
        plan_parse_timestamp((struct flyover_bytes){.at = exact, .count = (uint32_t)count}, ret_ms);
    free(exact);
    return fine;
}

static void times_of_rfc_3339_are_read_exactly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:00.001Z", 1},
        {"1970-01-01T00:00:00-00:00", 0},
        {"1970-01-01T01:00:00+01:00", 0},
        {"1969-12-31T23:59:59-00:01", 59000},
        {"1969-12-31T00:01:00-23:59", 0},
        {"2026-11-26t12:00:00z", NOW_MS},
        {"2026-11-26T12:00:00Z", NOW_MS},
        {"2026-11-26T13:30:00+01:30", NOW_MS},
        {"2026-11-26T06:30:00-05:30", NOW_MS},
        {"2026-11-27T11:59:00+23:59", NOW_MS},
        {"2026-11-26T12:00:00.5Z", NOW_MS + 500},
        {"2026-11-26T12:00:00.05Z", NOW_MS + 50},
        {"2026-11-26T12:00:00.0009999999999999999999999999999999999999999999999999Z", NOW_MS},
        {"2026-11-26T12:00:00.9999999999999999999999999999999999999999999999999999Z", NOW_MS + 999},
        {"2026-11-26T12:00:00.12345+00:00", NOW_MS + 123},
        {"2000-02-29T00:00:00Z", 951782400000},
        {"2000-03-01T00:00:00Z", 951868800000},
        {"2024-02-29T23:59:59.999Z", 1709251199999},
        {"2100-02-28T23:59:59Z", 4107542399000},
        {"2100-03-01T00:00:00Z", 4107542400000},
        {"9999-12-31T23:59:59.999Z", 253402300799999},
        {"9999-12-31T23:59:59-23:59", 253402387139000},
        /* Leap seconds, the examples of the RFC among them. */
        {"1990-12-31T23:59:60Z", 662688000000},
        {"1990-12-31T15:59:60-08:00", 662688000000},
        {"1990-12-31T23:59:60.999Z", 662688000000},
        {"2016-12-31T23:59:60Z", 1483228800000},
        {"2015-07-01T01:59:60+02:00", 1435708800000},
        {"2024-02-29T23:59:60Z", 1709251200000},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t ms = -7;
        if (!parse(rows[i].text, &ms) || ms != rows[i].ms)
            fail_msg("%s: %lld", rows[i].text, (long long)ms);
    }
}

static void what_is_no_time_of_rfc_3339_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "now",
        "2026",
        "2026-11-26",
        "2026-11-26T12:00:00",
        "2026-11-26T12:00Z",
        "2026-11-26 12:00:00Z",
        "2026-11-26T12:00:00 Z",
        "2026-11-26T12:00:00Z ",
        " 2026-11-26T12:00:00Z",
        "2026-11-26T12:00:00ZZ",
        "2026-11-26T12:00:00.Z",
        "2026-11-26T12:00:00,5Z",
        "2026-11-26T12:00:00.5",
        "2026-11-26T12:00:00.+01:00",
        "2026-11-26T12:00:00+01",
        "2026-11-26T12:00:00+0100",
        "2026-11-26T12:00:00+1:00",
        "2026-11-26T12:00:00+24:00",
        "2026-11-26T12:00:00+01:60",
        "2026-11-26T12:00:00=01:00",
        "2026-11-26T24:00:00Z",
        "2026-11-26T12:60:00Z",
        "2026-11-26T12:00:61Z",
        "2026-11-26T12:00:-1Z",
        "2026-00-26T12:00:00Z",
        "2026-13-26T12:00:00Z",
        "2026-11-00T12:00:00Z",
        "2026-11-31T12:00:00Z",
        "2026-02-29T12:00:00Z",
        "2100-02-29T12:00:00Z",
        "2026-1-26T12:00:00Z",
        "26-11-26T12:00:00Z",
        "+2026-11-26T12:00:00Z",
        "12026-11-26T12:00:00Z",
        "2026/11/26T12:00:00Z",
        "20261126T120000Z",
        "2026-W48-4T12:00:00Z",
        ("\xef\xbc\x92"
         "026-11-26T12:00:00Z"),
        /* Before 1970. */
        "1969-12-31T23:59:59Z",
        "1969-12-31T23:59:60Z",
        "1970-01-01T00:59:59+01:00",
        "1969-12-31T23:58:59-00:01",
        "1968-12-31T23:59:59Z",
        "0000-01-01T00:00:00Z",
        "0000-02-29T00:00:00Z",
        /* No leap second is there. */
        "2026-11-26T12:00:60Z",
        "2016-12-31T22:59:60Z",
        "2016-12-30T23:59:60Z",
        "2016-12-31T23:59:60+01:00",
        "2024-02-28T23:59:60Z",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int64_t ms = -7;
        if (parse(texts[i], &ms) || ms != -7)
            fail_msg("%s: %lld", texts[i], (long long)ms);
    }
    int64_t ms = -7;
    assert_false(plan_parse_timestamp((struct flyover_bytes){.at = NULL}, &ms));
    /* A NUL is a byte like any other. */
    assert_false(plan_parse_timestamp(
        (struct flyover_bytes){.at = (const uint8_t *)"2026-11-26T12:00:00\0Z", .count = 21}, &ms));
}

/* Every day there is, and what the C library makes of it. */
static void every_day_is_as_many_seconds_from_1970_as_the_c_library_says(void **state)
{
    (void)state;
    for (int64_t day = 0; day < 2932897; day++) {
        time_t seconds = (time_t)(day * 86400 + day % 86400);
        struct tm tm;
        char text[40];
        assert_non_null(gmtime_r(&seconds, &tm));
        assert_int_equal(timegm(&tm), seconds);
        if (strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
            fail_msg("no text for day %lld", (long long)day);
        int64_t ms = -7;
        struct flyover_bytes bytes = plan_text_bytes(text);
        if (!plan_parse_timestamp(bytes, &ms) || ms != (int64_t)seconds * 1000)
            fail_msg("%s: %lld", text, (long long)ms);
    }
}

static uint64_t draw(uint64_t *seed, uint64_t count)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (*seed >> 33) % count;
}

static void random_local_times_are_as_the_c_library_says(void **state)
{
    (void)state;
    uint64_t seed = 42;
    for (uint32_t i = 0; i < 200000; i++) {
        struct tm tm = {.tm_year = (int)draw(&seed, 8029) + 71,
                        .tm_mon = (int)draw(&seed, 12),
                        .tm_mday = (int)draw(&seed, 32),
                        .tm_hour = (int)draw(&seed, 24),
                        .tm_min = (int)draw(&seed, 60),
                        .tm_sec = (int)draw(&seed, 60)};
        int fraction = (int)draw(&seed, 1000000), ahead = (int)draw(&seed, 2880) - 1440;
        int ahead_abs = ahead < 0 ? -ahead : ahead;
        char text[96];
        snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%06d%c%02d:%02d",
                 tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                 fraction, ahead < 0 ? '-' : '+', ahead_abs / 60, ahead_abs % 60);
        /* timegm moves a day that its month does not have into the next one. */
        struct tm moved = tm;
        int64_t wanted_ms = ((int64_t)timegm(&moved) - ahead * 60) * 1000 + fraction / 1000;
        bool is_day = moved.tm_mday == tm.tm_mday && ahead_abs < 1440;
        int64_t ms = -7;
        if (parse(text, &ms) != is_day || (is_day && ms != wanted_ms))
            fail_msg("%s: %lld", text, (long long)ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wait_says_how_long_in_one_of_four_ways),
        cmocka_unit_test(waits_that_do_not_say_how_long_are_refused),
        cmocka_unit_test(a_wait_is_over_when_its_definition_says),
        cmocka_unit_test(a_wait_is_over_when_its_input_says),
        cmocka_unit_test(times_of_rfc_3339_are_read_exactly),
        cmocka_unit_test(what_is_no_time_of_rfc_3339_is_refused),
        cmocka_unit_test(every_day_is_as_many_seconds_from_1970_as_the_c_library_says),
        cmocka_unit_test(random_local_times_are_as_the_c_library_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
