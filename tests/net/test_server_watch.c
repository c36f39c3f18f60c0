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

/* A saga of the definition that ends at once; STARTED is heard. */
static void run(struct rig *rig, uint32_t a, const char *definition)
{
    char text[128];
    snprintf(text, sizeof text, "[12, 1, \"%s\", {\"refuse\": \"a\"}, null]", definition);
    rig_say(rig, a, text);
    rig_settle(rig);
    assert_memory_equal(rig_hear(rig, a), "[13,1,", 6);
}

static void check_event(const char *heard, uint64_t id, uint64_t saga_id, const char *rest)
{
    char expected[160];
    uint64_t block_no, index;
    unsigned long heard_id, heard_saga;
    int read = 0;
    if (sscanf(heard, "[19,%lu,\"%lu.%lu\",%lu,%n", &heard_id, &block_no, &index, &heard_saga,
               &read) != 4)
        fail_msg("no EVENT: %s", heard);
    snprintf(expected, sizeof expected, "%s", rest);
    assert_int_equal(heard_id, id);
    assert_int_equal(heard_saga, saga_id);
    assert_memory_equal(heard + read, expected, strlen(expected));
}

static void define_both(struct rig *rig, uint32_t a)
{
    rig_define(rig, a, "pass", rig_pass);
    rig_define(rig, a, "task", rig_task);
}

TEST(a_subscriber_hears_of_every_end_from_now_on)
{
    RIG;
    uint32_t a = rig_greet(rig), s = rig_greet(rig);
    define_both(rig, a);
    run(rig, a, "pass");
    rig_say(rig, s, "[18, 9, {\"credit\": 100}]");
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, s), "");
    run(rig, a, "pass");
    run(rig, a, "task");
    check_event(rig_hear(rig, s), 9, 2, "\"SUCCEEDED\",\"pass\",1,1000000,null,null]");
    check_event(rig_hear(rig, s), 9, 3, "\"FAILED\",\"task\",1,1000000,null,\"Test.Refused\"]");
    assert_string_equal(rig_hear(rig, s), "");
}

TEST(an_event_is_not_told_before_it_is_durable)
{
    RIG;
    uint32_t a = rig_greet(rig), s = rig_greet(rig);
    define_both(rig, a);
    rig_say(rig, s, "[18, 9, {\"credit\": 100}]");
    rig_settle(rig);
    rig->journal_held = true;
    rig_say(rig, a, "[12, 1, \"pass\", {}, null]");
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, s), "");
    rig->journal_held = false;
    rig_settle(rig);
    check_event(rig_hear(rig, s), 9, 1, "\"SUCCEEDED\"");
}

TEST(only_what_was_asked_for_is_told)
{
    RIG;
    uint32_t a = rig_greet(rig), s = rig_greet(rig);
    define_both(rig, a);
    rig_say(rig, s,
            "[18, 8, {\"credit\": 100, \"definition\": \"task\"}]"
            "[18, 9, {\"credit\": 100, \"states\": [\"SUCCEEDED\", \"STUCK\"]}]");
    rig_settle(rig);
    run(rig, a, "pass");
    run(rig, a, "task");
    check_event(rig_hear(rig, s), 9, 1, "\"SUCCEEDED\"");
    check_event(rig_hear(rig, s), 8, 2, "\"FAILED\"");
    assert_string_equal(rig_hear(rig, s), "");
}

TEST(no_more_events_come_than_there_is_credit)
{
    RIG;
    uint32_t a = rig_greet(rig), s = rig_greet(rig);
    define_both(rig, a);
    rig_say(rig, s, "[18, 9, {\"credit\": 1}]");
    rig_settle(rig);
    for (int i = 0; i < 3; i++)
        run(rig, a, "pass");
    check_event(rig_hear(rig, s), 9, 1, "");
    assert_string_equal(rig_hear(rig, s), "");
    rig_say(rig, s, "[20, 9, 2] [20, 77, 2]");
    rig_settle(rig);
    check_event(rig_hear(rig, s), 9, 2, "");
    check_event(rig_hear(rig, s), 9, 3, "");
    rig_say(rig, s, "[21, 9] [20, 9, 5] [21, 9]");
    rig_settle(rig);
    run(rig, a, "pass");
    assert_string_equal(rig_hear(rig, s), "");
    assert_int_equal(server_counts(rig->server).subscriptions, 0);
    assert_int_equal(server_counts(rig->server).requests_open, 0);
}

TEST(a_wish_that_cannot_be_is_refused)
{
    RIG;
    uint32_t s = rig_greet(rig);
    rig_say(rig, s,
            "[18, 1, {\"states\": [\"GREEN\"]}] [18, 2, {\"after\": \"x\"}]"
            "[18, 3, {\"credit\": 1}] [18, 3, {\"credit\": 1}]");
    rig_settle(rig);
    rig_hear_error(rig, s, 1, "INVALID");
    rig_hear_error(rig, s, 2, "INVALID");
    rig_hear_error(rig, s, 3, "INVALID");
    assert_int_equal(server_counts(rig->server).subscriptions, 1);
}

TEST(without_history_what_is_over_is_lost_and_said_so)
{
    RIG;
    uint32_t a = rig_greet(rig), s = rig_greet(rig);
    define_both(rig, a);
    run(rig, a, "pass");
    rig_say(rig, s, "[18, 9, {\"credit\": 100, \"after\": \"1.0\"}]");
    rig_settle(rig);
    rig_hear_error(rig, s, 9, "LOST");
    assert_int_equal(server_counts(rig->server).subscriptions, 0);
}

/* ---- with history -------------------------------------------------------------------------------
 */

/* Runs a saga; *ret_position is that of its EVENT. */
static void hear_first(struct rig *rig, uint32_t a, uint32_t s, char ret_position[64])
{
    rig_say(rig, s, "[18, 1, {\"credit\": 1}]");
    rig_settle(rig);
    run(rig, a, "pass");
    assert_int_equal(sscanf(rig_hear(rig, s), "[19,1,\"%63[0-9.]\"", ret_position), 1);
    rig_say(rig, s, "[21, 1]");
    rig_settle(rig);
}

TEST(a_subscriber_goes_on_behind_a_position_and_then_live)
{
    RIG;
    uint32_t a = rig_greet(rig), s = rig_greet(rig);
    char position[64], text[128];
    define_both(rig, a);
    hear_first(rig, a, s, position);
    for (int i = 1; i < 300; i++)
        run(rig, a, "pass");
    snprintf(text, sizeof text, "[18, 9, {\"credit\": 1000, \"after\": \"%s\"}]", position);
    rig_say(rig, s, text);
    for (uint64_t i = 1; i <= 300; i++)
        check_event(rig_await(rig, s), 9, i, "\"SUCCEEDED\",\"pass\",1,1000000,null,null]");
    for (uint64_t i = 301; i <= 310; i++)
        run(rig, a, "pass");
    for (uint64_t i = 301; i <= 310; i++)
        check_event(rig_await(rig, s), 9, i, "\"SUCCEEDED\",\"pass\",1,1000000,null,null]");
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, s), "");
}

TEST(an_end_that_is_not_durable_yet_is_not_left_out_of_a_resume)
{
    RIG;
    uint32_t a = rig_greet(rig), s = rig_greet(rig);
    char position[64], text[128];
    define_both(rig, a);
    hear_first(rig, a, s, position);
    rig->journal_held = true;
    rig_say(rig, a, "[12, 1, \"pass\", {}, null]");
    rig_turn(rig);
    snprintf(text, sizeof text, "[18, 9, {\"credit\": 9, \"after\": \"%s\"}]", position);
    rig_say(rig, s, text);
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, s), "");
    rig->journal_held = false;
    check_event(rig_await(rig, s), 9, 1, "");
    check_event(rig_await(rig, s), 9, 2, "");
}

TEST(a_position_is_good_on_another_connection_and_server)
{
    RIG;
    uint32_t a = rig_greet(rig), s = rig_greet(rig);
    char position[64], text[128];
    define_both(rig, a);
    rig_say(rig, s, "[18, 9, {\"credit\": 1}]");
    rig_settle(rig);
    for (int i = 0; i < 3; i++)
        run(rig, a, "task");
    assert_int_equal(sscanf(rig_hear(rig, s), "[19,9,\"%63[0-9.]\"", position), 1);
    fake_hang_up(rig->transport, a);
    fake_hang_up(rig->transport, s);
    rig_settle(rig);
    rig_open_server(rig);
    s = rig_greet(rig);
    snprintf(text, sizeof text, "[18, 5, {\"credit\": 10, \"after\": \"%s\"}]", position);
    rig_say(rig, s, text);
    for (uint64_t i = 1; i <= 3; i++)
        check_event(rig_await(rig, s), 5, i,
                    "\"FAILED\",\"task\",1,1000000,null,\"Test.Refused\"]");
}

TEST(a_saga_that_has_ended_is_found_in_history)
{
    RIG;
    uint32_t a = rig_greet(rig);
    define_both(rig, a);
    run(rig, a, "task");
    rig_say(rig, a, "[15, 2, 1]");
    assert_string_equal(rig_await(rig, a), "[14,2,1,\"FAILED\",null,\"Test.Refused\",null]");
    rig_say(rig, a, "[16, 3, {\"do\": \"history\", \"saga\": 1}]");
    const char *heard = rig_await(rig, a);
    assert_memory_equal(heard, "[17,3,{", 7);
    assert_non_null(strstr(heard, "Test.Refused"));
    assert_non_null(strstr(heard, "\"events\":["));
    rig_say(rig, a, "[16, 4, {\"do\": \"list\", \"state\": \"FAILED\"}]");
    heard = rig_await(rig, a);
    assert_memory_equal(heard, "[17,4,{\"sagas\":[{\"saga\":1,", 26);
    rig_say(rig, a,
            "[16, 5, {\"do\": \"history\", \"saga\": 1, \"x\": 1}]"
            "[16, 6, {\"do\": \"history\", \"saga\": 7}]");
    const char *first = rig_await(rig, a);
    assert_true(strncmp(first, "[5,5,\"INVALID\"", 14) == 0 ||
                strncmp(first, "[5,6,\"NOT_FOUND\"", 16) == 0);
    assert_memory_equal(rig_await(rig, a), "[5,", 3);
}

TEST(no_more_is_asked_of_history_at_once_than_it_is_given_room_for)
{
    RIG;
    static char text[200000];
    rig->options.window = 5000;
    rig_open_server(rig);
    uint32_t a = rig_greet(rig);
    define_both(rig, a);
    run(rig, a, "task");
    size_t used = 0;
    for (int i = 0; i < 4100; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "[15, %d, 1]", i + 1);
    rig_say(rig, a, text);
    int found = 0, busy = 0;
    while (found + busy < 4100) {
        const char *heard = rig_await(rig, a);
        found += strncmp(heard, "[14,", 4) == 0;
        busy += strncmp(heard, "[5,", 3) == 0 && strstr(heard, "BUSY") != NULL;
    }
    assert_int_equal(busy, 4);
    assert_int_equal(server_counts(rig->server).requests_open, 0);
}

static char heard_besides[128];

static void hear_besides(void *context, const struct reply *reply)
{
    size_t used = strlen(heard_besides);
    assert_non_null(context);
    snprintf(heard_besides + used, sizeof heard_besides - used, "%lu %s;",
             (unsigned long)reply->saga_id, outcome_text(reply->outcome));
}

TEST(somebody_else_in_the_process_may_hear_of_ends_too)
{
    RIG;
    heard_besides[0] = '\0';
    rig->options.on_end = hear_besides;
    rig->options.end_context = rig;
    rig_open_server(rig);
    uint32_t a = rig_greet(rig), s = rig_greet(rig);
    define_both(rig, a);
    run(rig, a, "pass");
    assert_string_equal(heard_besides, "");
    partition_watch(rig->partition, true);
    run(rig, a, "pass");
    assert_string_equal(heard_besides, "2 SUCCEEDED;");
    rig_say(rig, s, "[18, 9, {\"credit\": 100}]");
    rig_settle(rig);
    run(rig, a, "task");
    assert_string_equal(heard_besides, "2 SUCCEEDED;3 FAILED;");
    check_event(rig_hear(rig, s), 9, 3, "\"FAILED\",\"task\",1,1000000,null,\"Test.Refused\"]");
    /* The last subscriber goes; who else watches still does. */
    rig_say(rig, s, "[21, 9]");
    rig_settle(rig);
    run(rig, a, "pass");
    assert_string_equal(heard_besides, "2 SUCCEEDED;3 FAILED;4 SUCCEEDED;");
}

TEST(a_saga_that_failed_is_driven_again)
{
    RIG;
    uint32_t a = rig_greet(rig);
    define_both(rig, a);
    run(rig, a, "task");
    rig_say(rig, a, "[16, 3, {\"do\": \"redrive\", \"saga\": 1}]");
    assert_string_equal(rig_await(rig, a), "[17,3,{\"saga\":2}]");
}

TEST(a_server_closes_while_history_is_asked)
{
    RIG;
    uint32_t a = rig_greet(rig);
    define_both(rig, a);
    run(rig, a, "task");
    rig_say(rig, a,
            "[16, 3, {\"do\": \"history\", \"saga\": 1}] [15, 4, 1]"
            "[18, 9, {\"credit\": 10, \"after\": \"1.0\"}]");
    rig_turn(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_subscriber_hears_of_every_end_from_now_on),
        RIG_TEST(an_event_is_not_told_before_it_is_durable),
        RIG_TEST(only_what_was_asked_for_is_told),
        RIG_TEST(no_more_events_come_than_there_is_credit),
        RIG_TEST(a_wish_that_cannot_be_is_refused),
        RIG_TEST(without_history_what_is_over_is_lost_and_said_so),
        RIG_DISK_TEST(a_subscriber_goes_on_behind_a_position_and_then_live),
        RIG_DISK_TEST(an_end_that_is_not_durable_yet_is_not_left_out_of_a_resume),
        RIG_DISK_TEST(a_position_is_good_on_another_connection_and_server),
        RIG_DISK_TEST(a_saga_that_has_ended_is_found_in_history),
        RIG_DISK_TEST(no_more_is_asked_of_history_at_once_than_it_is_given_room_for),
        RIG_TEST(somebody_else_in_the_process_may_hear_of_ends_too),
        RIG_DISK_TEST(a_saga_that_failed_is_driven_again),
        RIG_DISK_TEST(a_server_closes_while_history_is_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
