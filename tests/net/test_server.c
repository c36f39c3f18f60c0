#include "engine/net/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/net/rig.h"

#define TEST(name) static void name(void **state)
#define RIG        struct rig *rig = *state

/* ---- HELLO --------------------------------------------------------------------------------------
 */

TEST(hello_is_answered_with_what_the_engine_is)
{
    RIG;
    uint32_t a = rig_connect(rig);
    rig_say(rig, a, "[1, 1, {\"name\": \"test\", \"later\": [1, {}]}]");
    rig_turn(rig);
    const char *heard = rig_hear(rig, a);
    const char *expected = "[2,1,{\"engine\":\"0.1\",\"commit\":\"abc\",\"durability\":\"memory\","
                           "\"role\":\"operator\",\"window\":8,\"heartbeat_ms\":10000,\"now_ms\":";
    assert_memory_equal(heard, expected, strlen(expected));
    assert_string_equal(rig_hear(rig, a), "");
}

TEST(a_newer_client_is_answered_with_the_version_that_both_speak)
{
    RIG;
    uint32_t a = rig_connect(rig);
    rig_say(rig, a, "[1, 7, {}]");
    rig_turn(rig);
    assert_memory_equal(rig_hear(rig, a), "[2,1,", 5);
}

TEST(ping_is_answered_with_pong)
{
    RIG;
    uint32_t a = rig_greet(rig);
    rig_say(rig, a, "[3, 0] [3, 12345678901234]");
    rig_turn(rig);
    assert_string_equal(rig_hear(rig, a), "[4,0]");
    assert_string_equal(rig_hear(rig, a), "[4,12345678901234]");
}

/* ---- DEFINE and START ---------------------------------------------------------------------------
 */

TEST(define_is_answered_when_it_is_durable)
{
    RIG;
    uint32_t a = rig_greet(rig);
    char text[512];
    snprintf(text, sizeof text, "[10, 5, \"order\", \"%s\"]",
             "{\\\"StartAt\\\": \\\"A\\\", \\\"States\\\": {\\\"A\\\": {\\\"Type\\\": "
             "\\\"Task\\\", \\\"Resource\\\": \\\"service:far.do\\\", \\\"End\\\": true}}}");
    rig->journal_held = true;
    rig_say(rig, a, text);
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, a), "");
    rig->journal_held = false;
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, a), "[11,5,0,1,[\"far\"]]");
}

TEST(a_definition_that_is_none_is_refused_with_a_sentence)
{
    RIG;
    uint32_t a = rig_greet(rig);
    rig_say(rig, a, "[10, 5, \"order\", \"{}\"]");
    rig_settle(rig);
    assert_non_null(strstr(rig_hear_error(rig, a, 5, "INVALID"), "StartAt"));
    rig_say(rig, a, "[10, 6, \"\", \"{}\"] [3, 1]");
    rig_settle(rig);
    rig_hear_error(rig, a, 6, "INVALID");
    assert_string_equal(rig_hear(rig, a), "[4,1]");
}

TEST(start_is_answered_when_it_is_durable)
{
    RIG;
    uint32_t a = rig_greet(rig);
    rig_define(rig, a, "order", rig_task);
    rig->journal_held = true;
    rig_say(rig, a, "[12, 7, \"order\", {\"k\": 1}, null]");
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, a), "");
    rig->journal_held = false;
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, a), "[13,7,1,false]");
    assert_string_equal(rig_hear(rig, a), "");
}

TEST(many_starts_of_a_frame_are_answered_in_one_frame_in_order)
{
    RIG;
    uint32_t a = rig_greet(rig);
    rig_define(rig, a, "order", rig_task);
    rig_say(rig, a, "[12, 1, \"order\", 1, null] [12, 2, 0, [2], {}] [12, 3, \"order\", 3, null]");
    rig_settle(rig);
    size_t count;
    const uint8_t *bytes = fake_received(rig->transport, a, &count);
    assert_int_equal(count, 4 + 3 * 5);
    assert_int_equal(bytes[3], 3 * 5);
    assert_string_equal(rig_hear(rig, a), "[13,1,1,false]");
    assert_string_equal(rig_hear(rig, a), "[13,2,2,false]");
    assert_string_equal(rig_hear(rig, a), "[13,3,3,false]");
}

TEST(a_start_may_ask_for_the_end_alone_or_for_both)
{
    RIG;
    uint32_t a = rig_greet(rig);
    rig_define(rig, a, "order", rig_task);
    rig_say(rig, a,
            "[12, 1, \"order\", {}, {\"reply\": 1}] [12, 2, \"order\", {}, {\"reply\": 2}]");
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, a), "[13,2,2,false]");
    assert_memory_equal(rig_hear(rig, a), "[14,1,1,\"SUCCEEDED\",", 20);
    assert_memory_equal(rig_hear(rig, a), "[14,2,2,\"SUCCEEDED\",", 20);
    assert_int_equal(server_counts(rig->server).requests_open, 0);
}

TEST(the_same_name_and_input_give_the_same_saga)
{
    RIG;
    uint32_t a = rig_greet(rig);
    rig_define(rig, a, "order", rig_task);
    rig_say(rig, a, "[12, 1, \"order\", {}, {\"name\": \"A-17\"}]");
    rig_say(rig, a, "[12, 2, \"order\", {}, {\"name\": \"A-17\"}]");
    rig_say(rig, a, "[12, 3, \"order\", [], {\"name\": \"A-17\"}]");
    rig_settle(rig);
    rig_hear_error(rig, a, 3, "INVALID");
    assert_string_equal(rig_hear(rig, a), "[13,1,1,false]");
    assert_string_equal(rig_hear(rig, a), "[13,2,1,true]");
}

TEST(a_start_that_cannot_be_is_refused_and_the_next_one_goes_on)
{
    RIG;
    uint32_t a = rig_greet(rig);
    rig_define(rig, a, "order", rig_task);
    rig_say(rig, a,
            "[12, 1, \"none\", {}, null] [12, 2, 9, {}, null] [12, 3, \"order\", {\"a\": 1}, "
            "{\"reply\": 3}] [12, 4, \"order\", {}, {\"name\": 5, \"new\": {}}] [12, 5, \"order\", "
            "{}, {\"at_ms\": -1}] [12, 6, \"order\", {}, {\"unknown\": [[]]}]");
    rig_settle(rig);
    assert_non_null(strstr(rig_hear_error(rig, a, 1, "NOT_FOUND"), "'none'"));
    rig_hear_error(rig, a, 2, "NOT_FOUND");
    assert_non_null(strstr(rig_hear_error(rig, a, 3, "INVALID"), "reply"));
    assert_non_null(strstr(rig_hear_error(rig, a, 4, "INVALID"), "name"));
    assert_non_null(strstr(rig_hear_error(rig, a, 5, "INVALID"), "at_ms"));
    assert_string_equal(rig_hear(rig, a), "[13,6,1,false]");
}

TEST(a_start_may_have_a_deadline_a_trace_and_a_priority)
{
    RIG;
    uint32_t a = rig_greet(rig), w = rig_greet(rig);
    rig_define(rig, a, "far", rig_far_task);
    rig_say(rig, w, "[30, 4, \"far\", [\"do\"], 10]");
    rig_say(rig, a,
            "[12, 1, \"far\", {}, {\"reply\": 1, \"deadline_ms\": 1005000, \"priority\": 2, "
            "\"trace\": \"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\"}]");
    rig_say(rig, a,
            "[12, 2, \"far\", {}, {\"deadline_ms\": 5}]"
            "[12, 3, \"far\", {}, {\"trace\": \"no trace\"}]"
            "[12, 4, \"far\", {}, {\"priority\": 3}]");
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, w), "[31,4]");
    assert_non_null(strstr(rig_hear(rig, w), ",\"00-0af7651916cd43dd8448eb211c80319c-"));
    for (uint64_t id = 2; id <= 4; id++)
        rig_hear_error(rig, a, id, "INVALID");
    rig_pass_ms(rig, 6000);
    rig_say(rig, w, "[34, 0, true, \"E\", \"\"]");
    rig_settle(rig);
    assert_non_null(strstr(rig_hear(rig, a), "States.Timeout"));
}

TEST(one_request_more_than_the_window_is_told_busy_and_does_nothing)
{
    RIG;
    uint32_t a = rig_greet(rig);
    rig_define(rig, a, "order", rig_task);
    rig->journal_held = true;
    for (int i = 1; i <= 9; i++) {
        char text[64];
        snprintf(text, sizeof text, "[12, %d, \"order\", {}, null]", i);
        rig_say(rig, a, text);
    }
    rig_settle(rig);
    rig_hear_error(rig, a, 9, "BUSY");
    rig->journal_held = false;
    rig_settle(rig);
    for (int i = 1; i <= 8; i++)
        assert_memory_equal(rig_hear(rig, a), "[13,", 4);
    assert_int_equal(core_saga_id_last(partition_state(rig->partition)->core), 8);
    rig_say(rig, a, "[12, 10, \"order\", {}, null]");
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, a), "[13,10,9,false]");
}

/* ---- workers ------------------------------------------------------------------------------------
 */

TEST(a_worker_is_handed_steps_and_its_answer_ends_them)
{
    RIG;
    uint32_t a = rig_greet(rig), w = rig_greet(rig);
    rig_define(rig, a, "far", rig_far_task);
    rig_say(rig, w, "[30, 4, \"far\", [\"undo\", \"do\"], 10]");
    rig_say(rig, a, "[12, 1, \"far\", {\"k\": 1}, {\"reply\": 1}]");
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, w), "[31,4]");
    assert_string_equal(rig_hear(rig, w), "[32,0,4,1,1,1,0,1,0,{\"k\":1},null,null,null]");
    rig_say(rig, w, "[33, 0, {\"done\": true}]");
    rig_settle(rig);
    assert_memory_equal(rig_hear(rig, a), "[14,1,1,\"SUCCEEDED\",", 20);
    assert_string_equal(rig_hear(rig, w), "");
    assert_int_equal(server_counts(rig->server).handed_out, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(hello_is_answered_with_what_the_engine_is),
        RIG_TEST(a_newer_client_is_answered_with_the_version_that_both_speak),
        RIG_TEST(ping_is_answered_with_pong),
        RIG_TEST(define_is_answered_when_it_is_durable),
        RIG_TEST(a_definition_that_is_none_is_refused_with_a_sentence),
        RIG_TEST(start_is_answered_when_it_is_durable),
        RIG_TEST(many_starts_of_a_frame_are_answered_in_one_frame_in_order),
        RIG_TEST(a_start_may_ask_for_the_end_alone_or_for_both),
        RIG_TEST(the_same_name_and_input_give_the_same_saga),
        RIG_TEST(a_start_that_cannot_be_is_refused_and_the_next_one_goes_on),
        RIG_TEST(a_start_may_have_a_deadline_a_trace_and_a_priority),
        RIG_TEST(one_request_more_than_the_window_is_told_busy_and_does_nothing),
        RIG_TEST(a_worker_is_handed_steps_and_its_answer_ends_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
