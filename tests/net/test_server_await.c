#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "engine/net/wire.h"
#include "tests/net/rig.h"

#define TEST(name) static void name(void **state)
#define RIG        struct rig *rig = *state

/* A saga that waits at a worker, and the worker. */
static uint32_t begin(struct rig *rig, uint32_t a)
{
    uint32_t w = rig_greet(rig);
    rig_define(rig, a, "far", rig_far_task);
    rig_say(rig, w, "[30, 4, \"far\", [\"do\"], 10]");
    rig_say(rig, a, "[12, 1, \"far\", {}, {\"name\": \"A\"}]");
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, a), "[13,1,1,false]");
    assert_string_equal(rig_hear(rig, w), "[31,4]");
    assert_memory_equal(rig_hear(rig, w), "[32,0,", 6);
    return w;
}

TEST(who_awaits_a_saga_is_told_of_its_end_with_its_output)
{
    RIG;
    uint32_t a = rig_greet(rig), b = rig_greet(rig);
    uint32_t w = begin(rig, a);
    rig_say(rig, a, "[15, 2, 1] [15, 3, \"A\"]");
    rig_say(rig, b, "[15, 4, 1]");
    rig_say(rig, b, "[12, 5, \"far\", {}, {\"name\": \"A\", \"reply\": 2}]");
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, a), "");
    assert_string_equal(rig_hear(rig, b), "[13,5,1,true]");
    rig_say(rig, w, "[33, 0, {\"x\": 5}]");
    rig_settle(rig);
    const char *first = rig_hear(rig, a);
    assert_true(strcmp(first, "[14,2,1,\"SUCCEEDED\",{\"x\":5},null,null]") == 0 ||
                strcmp(first, "[14,3,1,\"SUCCEEDED\",{\"x\":5},null,null]") == 0);
    assert_memory_equal(rig_hear(rig, a), "[14,", 4);
    assert_memory_equal(rig_hear(rig, b), "[14,", 4);
    assert_memory_equal(rig_hear(rig, b), "[14,", 4);
    assert_int_equal(server_counts(rig->server).requests_open, 0);
}

TEST(an_end_is_not_told_before_it_is_durable)
{
    RIG;
    uint32_t a = rig_greet(rig);
    uint32_t w = begin(rig, a);
    rig_say(rig, a, "[15, 2, 1]");
    rig_settle(rig);
    rig->journal_held = true;
    rig_say(rig, w, "[34, 0, false, \"Far.No\", \"it is full\"]");
    rig_settle(rig);
    rig_say(rig, a, "[15, 3, 1]");
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, a), "");
    rig->journal_held = false;
    rig_settle(rig);
    rig_hear_error(rig, a, 3, "NOT_FOUND"); /* mode memory keeps no history */
    assert_string_equal(rig_hear(rig, a), "[14,2,1,\"FAILED\",null,\"Far.No\",\"it is full\"]");
}

TEST(a_saga_that_is_not_there_cannot_be_awaited)
{
    RIG;
    uint32_t a = rig_greet(rig);
    rig_say(rig, a, "[15, 2, 1] [15, 3, \"A\"] [15, 4, 0]");
    rig_settle(rig);
    rig_hear_error(rig, a, 2, "NOT_FOUND");
    rig_hear_error(rig, a, 3, "NOT_FOUND");
    rig_hear_error(rig, a, 4, "NOT_FOUND");
}

TEST(who_awaits_and_goes_leaves_nothing_behind)
{
    RIG;
    uint32_t a = rig_greet(rig), b = rig_greet(rig);
    uint32_t w = begin(rig, a);
    rig_say(rig, a, "[15, 2, 1]");
    rig_say(rig, b, "[15, 4, 1]");
    rig_settle(rig);
    fake_hang_up(rig->transport, b);
    rig_settle(rig);
    assert_int_equal(server_counts(rig->server).requests_open, 1);
    rig_say(rig, w, "[33, 0, 7]");
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, a), "[14,2,1,\"SUCCEEDED\",7,null,null]");
    assert_int_equal(server_counts(rig->server).requests_open, 0);
}

/* ---- ASK ----------------------------------------------------------------------------------------
 */

TEST(questions_are_answered_with_what_admin_says)
{
    RIG;
    uint32_t a = rig_greet(rig);
    begin(rig, a);
    rig_say(rig, a,
            "[16, 2, {\"do\": \"list\"}] [16, 3, {\"do\": \"nothing\"}] "
            "[16, 4, {\"do\": \"show\", \"name\": \"A\"}]");
    rig_settle(rig);
    const char *heard = rig_hear(rig, a);
    for (int i = 0; i < 3; i++, heard = rig_hear(rig, a)) {
        assert_true(strstr(heard, "[17,2,{\"sagas\":[{\"saga\":1,\"definition\":\"far\"") != NULL ||
                    strstr(heard, "[5,3,\"INVALID\"") != NULL || strstr(heard, "[17,4,{") != NULL);
    }
    assert_string_equal(heard, "");
    assert_int_equal(server_counts(rig->server).requests_open, 0);
}

TEST(what_changes_something_is_answered_when_it_is_durable)
{
    RIG;
    uint32_t a = rig_greet(rig);
    begin(rig, a);
    rig->journal_held = true;
    rig_say(rig, a, "[16, 2, {\"do\": \"cancel\", \"saga\": 1}]");
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, a), "");
    rig->journal_held = false;
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, a), "[17,2,{\"saga\":1}]");
}

/* "[[...]]", so deep. */
static void put_deep(char *text, uint32_t depth)
{
    for (uint32_t i = 0; i < depth; i++)
        strcat(text, "[");
    for (uint32_t i = 0; i < depth; i++)
        strcat(text, "]");
}

TEST(a_question_that_is_no_map_is_refused)
{
    RIG;
    uint32_t a = rig_greet(rig);
    rig_say(rig, a, "[16, 3, 5] [16, 4, {}]");
    rig_settle(rig);
    rig_hear_error(rig, a, 3, "INVALID");
    rig_hear_error(rig, a, 4, "INVALID");
    assert_true(fake_is_open(rig->transport, a));
}

TEST(an_answer_may_have_the_deepest_payload_in_it)
{
    RIG;
    uint32_t a = rig_greet(rig);
    char text[256] = "[12, 1, \"far\", ";
    rig_define(rig, a, "far", rig_far_task);
    put_deep(text, 31);
    strcat(text, ", null]");
    rig_say(rig, a, text);
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, a), "[13,1,1,false]");
    rig_say(rig, a, "[16, 2, {\"do\": \"show\", \"saga\": 1}]");
    rig_settle(rig);
    size_t count;
    const uint8_t *bytes = fake_received(rig->transport, a, &count);
    assert_true(count > 100);
    assert_memory_equal(bytes + WIRE_LENGTH_BYTES, "\x93\x11\x02", 3);
}

TEST(history_is_not_there_in_mode_memory_and_says_so)
{
    RIG;
    uint32_t a = rig_greet(rig);
    begin(rig, a);
    rig_say(rig, a, "[16, 2, {\"do\": \"history\", \"saga\": 1}]");
    rig_settle(rig);
    assert_non_null(strstr(rig_hear_error(rig, a, 2, "UNSUPPORTED"), "memory"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(who_awaits_a_saga_is_told_of_its_end_with_its_output),
        RIG_TEST(an_end_is_not_told_before_it_is_durable),
        RIG_TEST(a_saga_that_is_not_there_cannot_be_awaited),
        RIG_TEST(who_awaits_and_goes_leaves_nothing_behind),
        RIG_TEST(questions_are_answered_with_what_admin_says),
        RIG_TEST(what_changes_something_is_answered_when_it_is_durable),
        RIG_TEST(a_question_that_is_no_map_is_refused),
        RIG_TEST(an_answer_may_have_the_deepest_payload_in_it),
        RIG_TEST(history_is_not_there_in_mode_memory_and_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
