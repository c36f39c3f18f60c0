/* Clients that are wrong, slow, dead or mean: each costs itself, and nobody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/net/wire.h"
#include "tests/net/rig.h"

#define TEST(name) static void name(void **state)
#define RIG        struct rig *rig = *state

/* It is told why with an ERROR of id 0, and cut politely; another connection goes on. */
static void check_cut(struct rig *rig, uint32_t connection, const char *status)
{
    rig_settle(rig);
    rig_hear_error(rig, connection, 0, status);
    assert_false(fake_is_open(rig->transport, connection));
    assert_true(fake_was_polite(rig->transport, connection));
    uint32_t other = rig_greet(rig);
    rig_say(rig, other, "[3, 1]");
    rig_turn(rig);
    assert_string_equal(rig_hear(rig, other), "[4,1]");
    fake_hang_up(rig->transport, other);
    rig_settle(rig);
    assert_int_equal(server_counts(rig->server).connections, 0);
}

static void send_body(struct rig *rig, uint32_t connection, const void *body, uint32_t bytes)
{
    uint8_t head[WIRE_LENGTH_BYTES];
    wire_put_length(head, bytes);
    fake_send(rig->transport, connection, head, sizeof head);
    fake_send(rig->transport, connection, body, bytes);
}

/* ---- bytes --------------------------------------------------------------------------------------
 */

TEST(a_frame_of_4_gb_cuts)
{
    RIG;
    uint32_t a = rig_greet(rig);
    fake_send(rig->transport, a, "\xff\xff\xff\xff", 4);
    check_cut(rig, a, "TOO_LARGE");
}

TEST(an_empty_frame_cuts)
{
    RIG;
    uint32_t a = rig_greet(rig);
    fake_send(rig->transport, a, "\0\0\0\0", 4);
    check_cut(rig, a, "TOO_LARGE");
}

TEST(what_is_no_message_cuts)
{
    static const char *const bodies[] = {
        "\xc1", "\x05", "\xa1x", "\x90", "\x91\xa1x", "\x92\x03", "\xdd\xff\xff\xff\xff\x03",
        "\x80"};
    RIG;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        uint32_t a = rig_greet(rig);
        send_body(rig, a, bodies[i], (uint32_t)strlen(bodies[i]));
        check_cut(rig, a, "INVALID");
    }
}

TEST(a_message_of_an_unknown_kind_or_of_the_engines_own_cuts)
{
    static const char *const messages[] = {"[99, 1]",
                                           "[0]",
                                           "[-1, 2]",
                                           "[13, 1, 1, false]",
                                           "[2, 1, {}]",
                                           "[1, 1, {}]",
                                           "[9223372036854775807]"};
    RIG;
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        uint32_t a = rig_greet(rig);
        rig_say(rig, a, messages[i]);
        check_cut(rig, a, "INVALID");
    }
}

TEST(a_field_that_is_missing_or_of_another_type_cuts)
{
    static const char *const messages[] = {
        "[3]",
        "[3, \"x\"]",
        "[3, -1]",
        "[10, 1, \"a\"]",
        "[10, 1, 2, \"x\"]",
        "[12]",
        "[12, 1]",
        "[12, 1, \"o\"]",
        "[12, 1, \"o\", {}]",
        "[12, 1, null, {}, null]",
        "[12, 1, \"o\", {}, 5]",
        "[12, \"1\", \"o\", {}, null]",
        "[15, 1]",
        "[15, 1, {}]",
        "[16, 1]",
        "[18, 1, 5]",
        "[18, 1, {\"credit\": \"x\"}]",
        "[18, 1, {\"states\": \"x\"}]",
        "[20, 1]",
        "[21]",
        "[30, 1, \"s\", \"h\", 5]",
        "[30, 1, \"s\", [5], 5]",
        "[30, 1, \"s\", [\"h\"]]",
        "[33, 1]",
        "[33, \"x\", 1]",
        "[34, 1, true, \"E\"]",
        "[34, 1, 1, \"E\", \"c\"]",
        "[35]",
        "[37]",
    };
    RIG;
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        uint32_t a = rig_greet(rig);
        rig_say(rig, a, messages[i]);
        check_cut(rig, a, "INVALID");
    }
}

TEST(elements_beyond_those_known_are_ignored)
{
    RIG;
    uint32_t a = rig_greet(rig);
    rig_say(rig, a, "[3, 7, {\"later\": [1]}, null]");
    rig_turn(rig);
    assert_string_equal(rig_hear(rig, a), "[4,7]");
}

/* An input of `depth` arrays in one another. */
static void start_deep(struct rig *rig, uint32_t a, uint32_t depth)
{
    static uint8_t body[20000];
    uint8_t *at = wire_put_array(body, 5);
    at = wire_put_uint(at, WIRE_START);
    at = wire_put_uint(at, 1);
    at = wire_put_string(at, "order");
    memset(at, 0x91, depth - 1);
    at += depth - 1;
    *at++ = 0x90;
    at = wire_put_nil(at);
    send_body(rig, a, body, (uint32_t)(at - body));
}

TEST(an_input_that_is_too_deep_is_refused_alone)
{
    RIG;
    uint32_t a = rig_greet(rig);
    rig_define(rig, a, "order", rig_task);
    start_deep(rig, a, FLYOVER_DEPTH_MAX);
    start_deep(rig, a, FLYOVER_DEPTH_MAX + 1);
    start_deep(rig, a, 10000);
    rig_settle(rig);
    rig_hear_error(rig, a, 1, "INVALID");
    rig_hear_error(rig, a, 1, "INVALID");
    assert_string_equal(rig_hear(rig, a), "[13,1,1,false]");
}

TEST(an_input_that_is_too_large_is_refused_alone)
{
    RIG;
    uint32_t a = rig_greet(rig);
    rig_define(rig, a, "order", rig_task);
    uint32_t bytes = FLYOVER_PAYLOAD_BYTES_MAX + 64;
    uint8_t *body = calloc(1, bytes);
    assert_non_null(body);
    uint8_t *at = wire_put_array(body, 5);
    at = wire_put_uint(at, WIRE_START);
    at = wire_put_uint(at, 1);
    at = wire_put_string(at, "order");
    *at++ = 0xc6;
    uint32_t count = FLYOVER_PAYLOAD_BYTES_MAX - 4;
    for (int shift = 24; shift >= 0; shift -= 8)
        *at++ = (uint8_t)(count >> shift);
    at = wire_put_nil(at + count);
    send_body(rig, a, body, (uint32_t)(at - body));
    rig_settle(rig);
    rig_hear_error(rig, a, 1, "TOO_LARGE");
    assert_true(fake_is_open(rig->transport, a));
    free(body);
}

TEST(an_input_of_bad_text_is_refused_alone)
{
    RIG;
    uint32_t a = rig_greet(rig);
    rig_define(rig, a, "order", rig_task);
    send_body(rig, a, "\x95\x0c\x01\xa5order\xa2\xff\xfe\xc0", 13);
    send_body(rig, a, "\x95\x0c\x02\xa2\xff\xfe\x80\xc0", 8);
    rig_settle(rig);
    rig_hear_error(rig, a, 1, "INVALID");
    rig_hear_error(rig, a, 2, "NOT_FOUND");
}

TEST(bytes_may_come_one_by_one)
{
    RIG;
    uint32_t a = rig_greet(rig);
    uint8_t frames[256];
    size_t count = rig_frame("[3, 1] [3, 2]", frames, sizeof frames);
    count += rig_frame("[3, 3]", frames + count, sizeof frames - count);
    for (size_t i = 0; i < count; i++) {
        fake_send(rig->transport, a, frames + i, 1);
        rig_turn(rig);
    }
    assert_string_equal(rig_hear(rig, a), "[4,1]");
    assert_string_equal(rig_hear(rig, a), "[4,2]");
    assert_string_equal(rig_hear(rig, a), "[4,3]");
}

/* ---- the greeting -------------------------------------------------------------------------------
 */

TEST(who_does_not_say_hello_in_time_is_cut)
{
    RIG;
    uint32_t a = rig_connect(rig);
    rig_pass_ms(rig, 4000);
    assert_true(fake_is_open(rig->transport, a));
    rig_pass_ms(rig, 2000);
    assert_false(fake_is_open(rig->transport, a));
    assert_int_equal(server_counts(rig->server).connections, 0);
}

TEST(half_a_hello_for_ever_is_cut_too)
{
    RIG;
    uint32_t a = rig_connect(rig);
    for (int i = 0; i < 12 && fake_is_open(rig->transport, a); i++) {
        fake_send(rig->transport, a, i == 0 ? "\0\0\x01" : "\0", i == 0 ? 3 : 1);
        rig_pass_ms(rig, 1000);
    }
    assert_false(fake_is_open(rig->transport, a));
}

TEST(before_hello_nothing_else_is_heard_and_a_frame_is_small)
{
    RIG;
    uint32_t a = rig_connect(rig);
    rig_say(rig, a, "[3, 1]");
    check_cut(rig, a, "INVALID");
    uint32_t b = rig_connect(rig);
    static uint8_t much[5000];
    wire_put_length(much, sizeof much);
    fake_send(rig->transport, b, much, sizeof much);
    check_cut(rig, b, "TOO_LARGE");
    uint32_t c = rig_connect(rig);
    rig_say(rig, c, "[1, 0, {}]");
    check_cut(rig, c, "INVALID");
    uint32_t d = rig_connect(rig);
    rig_say(rig, d, "[1, 1, {\"token\": 5}]");
    check_cut(rig, d, "INVALID");
}

/* ---- slow and dead ones -------------------------------------------------------------------------
 */

TEST(half_a_frame_for_ever_is_cut)
{
    RIG;
    uint32_t a = rig_greet(rig);
    fake_send(rig->transport, a, "\0\0\x10", 3);
    for (int i = 0; i < 29; i++) {
        rig_pass_ms(rig, 1000);
        assert_true(fake_is_open(rig->transport, a));
        fake_send(rig->transport, a, "\0", 1);
    }
    rig_pass_ms(rig, 2000);
    assert_false(fake_is_open(rig->transport, a));
}

TEST(who_is_silent_is_asked_and_then_cut)
{
    RIG;
    uint32_t a = rig_greet(rig), b = rig_greet(rig);
    rig_pass_ms(rig, 12000);
    assert_string_equal(rig_hear(rig, a), "[3,0]");
    assert_string_equal(rig_hear(rig, b), "[3,0]");
    rig_say(rig, b, "[4, 0]");
    rig_pass_ms(rig, 10000);
    assert_false(fake_is_open(rig->transport, a));
    assert_true(fake_is_open(rig->transport, b));
}

/* So many STARTs, all of them answered before anything is read. */
static void start_many(struct rig *rig, uint32_t a, int first, int count)
{
    char text[64];
    for (int i = first; i < first + count; i++) {
        snprintf(text, sizeof text, "[12, %d, \"order\", {}, {\"reply\": 2}]", i);
        rig_say(rig, a, text);
    }
}

TEST(who_does_not_read_is_paused_and_loses_nothing_and_holds_up_nobody)
{
    RIG;
    uint32_t a = rig_greet(rig), b = rig_greet(rig);
    rig_define(rig, b, "order", rig_task);
    fake_set_room(rig->transport, a, 200);
    start_many(rig, a, 1, 8);
    rig_settle(rig);
    assert_true(fake_is_paused(rig->transport, a));
    rig_say(rig, b, "[12, 1, \"order\", {}, {\"reply\": 1}]");
    rig_settle(rig);
    assert_memory_equal(rig_hear(rig, b), "[14,1,9,", 8);
    /* While it is paused it is not read from. */
    start_many(rig, a, 100, 8);
    rig_settle(rig);
    assert_int_equal(core_saga_id_last(partition_state(rig->partition)->core), 9);
    bool started[128] = {0}, ended[128] = {0};
    const char *heard;
    for (int i = 0; i < 400; i++) {
        while ((heard = rig_hear(rig, a))[0] != '\0') {
            int id = 0;
            if (sscanf(heard, "[13,%d,", &id) == 1)
                started[id] = true;
            else if (sscanf(heard, "[14,%d,", &id) == 1)
                ended[id] = true;
            else
                fail_msg("%s", heard);
        }
        rig_turn(rig);
    }
    for (int i = 1; i <= 8; i++)
        assert_true(started[i] && ended[i] && started[99 + i] && ended[99 + i]);
    assert_false(fake_is_paused(rig->transport, a));
    assert_int_equal(server_counts(rig->server).requests_open, 0);
}

TEST(errors_and_pongs_wait_for_room_too)
{
    RIG;
    uint32_t a = rig_greet(rig);
    fake_set_room(rig->transport, a, 0);
    rig_say(rig, a, "[3, 1] [12, 2, \"none\", {}, null] [3, 3]");
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, a), "");
    fake_set_room(rig->transport, a, 2000);
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, a), "[4,1]");
    rig_settle(rig);
    rig_hear_error(rig, a, 2, "NOT_FOUND");
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, a), "[4,3]");
}

TEST(who_never_reads_is_cut_after_twice_the_heartbeat)
{
    RIG;
    uint32_t a = rig_greet(rig);
    fake_set_room(rig->transport, a, 0);
    rig_say(rig, a, "[3, 1]");
    rig_settle(rig);
    rig_pass_ms(rig, 19000);
    assert_true(fake_is_open(rig->transport, a));
    rig_pass_ms(rig, 2000);
    assert_false(fake_is_open(rig->transport, a));
}

TEST(who_sends_on_and_on_without_reading_is_cut_before_it_takes_much_memory)
{
    RIG;
    static uint8_t much[1u << 20];
    uint32_t a = rig_greet(rig);
    fake_ignore_pause(rig->transport, true);
    fake_set_room(rig->transport, a, 0);
    rig_say(rig, a, "[3, 1]");
    int sent = 0;
    for (; sent < 10 && fake_is_open(rig->transport, a); sent++) {
        fake_send(rig->transport, a, much, sizeof much);
        rig_turn(rig);
    }
    assert_in_range(sent, 3, 6);
    assert_false(fake_is_open(rig->transport, a));
}

TEST(who_goes_in_the_middle_of_a_frame_leaves_nothing_behind)
{
    RIG;
    uint32_t a = rig_greet(rig);
    rig_define(rig, a, "order", rig_task);
    uint8_t frame[128];
    size_t count = rig_frame("[12, 1, \"order\", {\"k\": \"value\"}, null]", frame, sizeof frame);
    rig->journal_held = true;
    rig_say(rig, a, "[12, 7, \"order\", {}, {\"reply\": 2}]");
    fake_send(rig->transport, a, frame, count - 3);
    rig_settle(rig);
    fake_hang_up(rig->transport, a);
    rig_settle(rig);
    rig->journal_held = false;
    rig_settle(rig);
    assert_int_equal(server_counts(rig->server).requests_open, 0);
    assert_int_equal(server_counts(rig->server).connections, 0);
    /* The number is used again, and hears nothing of before. */
    uint32_t b = rig_greet(rig);
    assert_int_equal(a, b);
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, b), "");
    assert_int_equal(core_saga_id_last(partition_state(rig->partition)->core), 1);
}

TEST(ids_that_are_used_twice_are_answered_twice)
{
    RIG;
    uint32_t a = rig_greet(rig);
    rig_define(rig, a, "order", rig_task);
    rig_say(rig, a, "[12, 7, \"order\", {}, null] [12, 7, \"order\", {}, null]");
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, a), "[13,7,1,false]");
    assert_string_equal(rig_hear(rig, a), "[13,7,2,false]");
}

TEST(a_goodbye_ends_the_connection_in_order)
{
    RIG;
    uint32_t a = rig_greet(rig);
    rig_say(rig, a, "[3, 1] [6, \"done\"] [3, 2]");
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, a), "[4,1]");
    assert_string_equal(rig_hear(rig, a), "");
    assert_false(fake_is_open(rig->transport, a));
    assert_true(fake_was_polite(rig->transport, a));
}

TEST(an_engine_that_stops_says_goodbye_and_answers_what_is_open)
{
    RIG;
    uint32_t a = rig_greet(rig);
    rig_define(rig, a, "order", rig_task);
    rig->journal_held = true;
    rig_say(rig, a, "[12, 1, \"order\", {}, null]");
    rig_settle(rig);
    assert_false(server_drain(rig->server));
    assert_string_equal(rig_hear(rig, a), "[6,\"the engine is stopping\"]");
    rig_say(rig, a,
            "[12, 2, \"order\", {}, null] [10, 3, \"x\", \"{}\"] [16, 4, {\"do\": "
            "\"counts\"}] [18, 5, {\"credit\": 1}]");
    assert_false(server_drain(rig->server));
    for (uint64_t i = 2; i <= 5; i++)
        rig_hear_error(rig, a, i, "IN_USE");
    rig->journal_held = false;
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, a), "[13,1,1,false]");
    assert_true(server_drain(rig->server));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_frame_of_4_gb_cuts),
        RIG_TEST(an_empty_frame_cuts),
        RIG_TEST(what_is_no_message_cuts),
        RIG_TEST(a_message_of_an_unknown_kind_or_of_the_engines_own_cuts),
        RIG_TEST(a_field_that_is_missing_or_of_another_type_cuts),
        RIG_TEST(elements_beyond_those_known_are_ignored),
        RIG_TEST(an_input_that_is_too_deep_is_refused_alone),
        RIG_TEST(an_input_that_is_too_large_is_refused_alone),
        RIG_TEST(an_input_of_bad_text_is_refused_alone),
        RIG_TEST(bytes_may_come_one_by_one),
        RIG_TEST(who_does_not_say_hello_in_time_is_cut),
        RIG_TEST(half_a_hello_for_ever_is_cut_too),
        RIG_TEST(before_hello_nothing_else_is_heard_and_a_frame_is_small),
        RIG_TEST(half_a_frame_for_ever_is_cut),
        RIG_TEST(who_is_silent_is_asked_and_then_cut),
        RIG_TEST(who_does_not_read_is_paused_and_loses_nothing_and_holds_up_nobody),
        RIG_TEST(errors_and_pongs_wait_for_room_too),
        RIG_TEST(who_never_reads_is_cut_after_twice_the_heartbeat),
        RIG_TEST(who_sends_on_and_on_without_reading_is_cut_before_it_takes_much_memory),
        RIG_TEST(who_goes_in_the_middle_of_a_frame_leaves_nothing_behind),
        RIG_TEST(ids_that_are_used_twice_are_answered_twice),
        RIG_TEST(a_goodbye_ends_the_connection_in_order),
        RIG_TEST(an_engine_that_stops_says_goodbye_and_answers_what_is_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
