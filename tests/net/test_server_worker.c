#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/net/wire.h"
#include "tests/net/rig.h"

#define TEST(name) static void name(void **state)
#define RIG        struct rig *rig = *state

static uint32_t greet_worker(struct rig *rig, const char *handlers, int credit)
{
    char text[128];
    uint32_t w = rig_greet(rig);
    snprintf(text, sizeof text, "[30, 4, \"far\", [%s], %d]", handlers, credit);
    rig_say(rig, w, text);
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, w), "[31,4]");
    return w;
}

static void start(struct rig *rig, uint32_t a, int count)
{
    for (int i = 1; i <= count; i++) {
        char text[64];
        snprintf(text, sizeof text, "[12, %d, \"far\", {\"n\": %d}, null]", i, i);
        rig_say(rig, a, text);
    }
    rig_settle(rig);
    for (int i = 1; i <= count; i++)
        assert_memory_equal(rig_hear(rig, a), "[13,", 4);
}

struct invoke {
    uint64_t number, id, handler, saga, step, phase, attempt;
};

/* False: none has come. */
static bool hear_invoke(struct rig *rig, uint32_t w, struct invoke *ret_invoke)
{
    const char *heard = rig_hear(rig, w);
    if (heard[0] == '\0')
        return false;
    if (sscanf(heard, "[32,%lu,%lu,%lu,%lu,%lu,%lu,%lu,", &ret_invoke->number, &ret_invoke->id,
               &ret_invoke->handler, &ret_invoke->saga, &ret_invoke->step, &ret_invoke->phase,
               &ret_invoke->attempt) != 7)
        fail_msg("no INVOKE: %s", heard);
    return true;
}

static void say_done(struct rig *rig, uint32_t w, uint64_t number)
{
    char text[64];
    snprintf(text, sizeof text, "[33, %lu, {\"ok\": true}]", (unsigned long)number);
    rig_say(rig, w, text);
    rig_settle(rig);
}

static struct core_totals totals(const struct rig *rig)
{
    return core_totals(partition_state(rig->partition)->core);
}

/* ---- handing out --------------------------------------------------------------------------------
 */

TEST(no_more_is_handed_out_than_there_is_credit)
{
    RIG;
    uint32_t a = rig_greet(rig), w = greet_worker(rig, "\"do\"", 2);
    struct invoke invoke[3];
    rig_define(rig, a, "far", rig_far_task);
    start(rig, a, 5);
    assert_true(hear_invoke(rig, w, &invoke[0]) && hear_invoke(rig, w, &invoke[1]));
    assert_false(hear_invoke(rig, w, &invoke[2]));
    say_done(rig, w, invoke[1].number);
    assert_true(hear_invoke(rig, w, &invoke[2]));
    assert_false(hear_invoke(rig, w, &invoke[2]));
    assert_int_equal(totals(rig).succeeded, 1);
}

TEST(workers_of_one_handler_take_turns)
{
    RIG;
    uint32_t a = rig_greet(rig);
    uint32_t v = greet_worker(rig, "\"do\"", 100), w = greet_worker(rig, "\"x\", \"do\"", 100);
    struct invoke invoke;
    int of_v = 0, of_w = 0;
    rig_define(rig, a, "far", rig_far_task);
    start(rig, a, 8);
    while (hear_invoke(rig, v, &invoke))
        of_v++;
    while (hear_invoke(rig, w, &invoke)) {
        assert_int_equal(invoke.handler, 1);
        of_w++;
    }
    assert_int_equal(of_v, 4);
    assert_int_equal(of_w, 4);
}

TEST(a_compensation_gets_the_input_and_the_output_of_its_step)
{
    RIG;
    uint32_t a = rig_greet(rig);
    uint32_t w = greet_worker(rig, "\"do\", \"undo\", \"other\"", 100);
    rig_define(rig, a, "two", rig_two_far_tasks);
    rig_say(rig, a, "[12, 1, \"two\", {\"k\": 1}, {\"reply\": 1}]");
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, w), "[32,0,4,0,1,1,0,1,0,{\"k\":1},null,null,null]");
    rig_say(rig, w, "[33, 0, {\"did\": 2}]");
    rig_settle(rig);
    struct invoke invoke;
    assert_true(hear_invoke(rig, w, &invoke));
    assert_int_equal(invoke.handler, 2);
    char text[128];
    snprintf(text, sizeof text, "[34, %lu, false, \"Far.No\", \"never\"]",
             (unsigned long)invoke.number);
    rig_say(rig, w, text);
    rig_settle(rig);
    const char *heard = rig_hear(rig, w);
    assert_non_null(strstr(heard, ",4,1,1,1,1,1,0,{\"k\":1},{\"did\":2},null,null]"));
    assert_int_equal(sscanf(heard, "[32,%lu,", &invoke.number), 1);
    say_done(rig, w, invoke.number);
    assert_string_equal(rig_hear(rig, a), "[14,1,1,\"COMPENSATED\",null,\"Far.No\",\"never\"]");
}

TEST(a_large_step_is_handed_out_whole_once_there_is_room)
{
    RIG;
    uint32_t a = rig_greet(rig), w = greet_worker(rig, "\"do\"", 10);
    static uint8_t body[200000], text[150000];
    rig_define(rig, a, "far", rig_far_task);
    uint8_t *at = wire_put_array(body, 5);
    at = wire_put_uint(at, WIRE_START);
    at = wire_put_uint(at, 1);
    at = wire_put_string(at, "far");
    at = wire_put_text(at, (struct flyover_bytes){memset(text, 'x', sizeof text), sizeof text});
    at = wire_put_nil(at);
    uint8_t head[4];
    wire_put_length(head, (uint32_t)(at - body));
    fake_set_room(rig->transport, w, 100000);
    fake_send(rig->transport, a, head, sizeof head);
    fake_send(rig->transport, a, body, (size_t)(at - body));
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, w), "");
    assert_string_equal(rig_hear(rig, a), "[13,1,1,false]");
    fake_set_room(rig->transport, w, 200000);
    rig_settle(rig);
    assert_true(strlen(rig_hear(rig, w)) > 150000);
    say_done(rig, w, 0);
    assert_int_equal(totals(rig).succeeded, 1);
    assert_int_equal(server_counts(rig->server).handed_out, 1);
}

/* ---- answers ------------------------------------------------------------------------------------
 */

TEST(an_answer_that_nobody_asked_for_is_late_and_changes_nothing)
{
    RIG;
    uint32_t a = rig_greet(rig), w = greet_worker(rig, "\"do\"", 10);
    uint32_t other = greet_worker(rig, "\"x\"", 10);
    rig_define(rig, a, "far", rig_far_task);
    start(rig, a, 1);
    struct invoke invoke;
    assert_true(hear_invoke(rig, w, &invoke));
    rig_say(rig, other, "[33, 0, null] [34, 0, true, \"E\", \"\"] [35, 0] [33, 77777777777, null]");
    rig_settle(rig);
    for (int i = 0; i < 3; i++)
        assert_string_equal(rig_hear(rig, other), "[36,0]");
    assert_string_equal(rig_hear(rig, other), "[36,77777777777]");
    assert_int_equal(totals(rig).succeeded, 0);
    rig_say(rig, w, "[33, 0, null] [33, 0, null]");
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, w), "[36,0]");
    assert_string_equal(rig_hear(rig, w), "");
    assert_int_equal(totals(rig).succeeded, 1);
    assert_int_equal(server_counts(rig->server).late_results, 5);
}

TEST(the_answer_of_a_saga_that_was_aborted_is_late)
{
    RIG;
    uint32_t a = rig_greet(rig), w = greet_worker(rig, "\"do\"", 10);
    rig_define(rig, a, "far", rig_far_task);
    start(rig, a, 1);
    struct invoke invoke;
    assert_true(hear_invoke(rig, w, &invoke));
    rig_say(rig, a, "[16, 2, {\"do\": \"cancel\", \"saga\": 1, \"abort\": true}]");
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, a), "[17,2,{\"saga\":1}]");
    say_done(rig, w, invoke.number);
    struct server_worker_view view;
    assert_int_equal(server_workers(rig->server, &view, 1), 1);
    assert_int_equal(view.in_flight, 0);
}

TEST(output_that_is_none_fails_the_step_and_not_the_connection)
{
    RIG;
    uint32_t a = rig_greet(rig), w = greet_worker(rig, "\"do\"", 10);
    rig_define(rig, a, "far", rig_far_task);
    rig_say(rig, a, "[12, 1, \"far\", {}, {\"reply\": 1}]");
    rig_settle(rig);
    struct invoke invoke;
    assert_true(hear_invoke(rig, w, &invoke));
    /* A map whose key is a number. */
    fake_send(rig->transport, w, "\0\0\0\6\x93\x21\0\x81\1\1", 10);
    rig_settle(rig);
    assert_non_null(strstr(rig_hear(rig, a), "\"FAILED\",null,\"Flyover.BadOutput\""));
    assert_true(fake_is_open(rig->transport, w));
}

TEST(a_beat_is_taken_without_a_word)
{
    RIG;
    uint32_t a = rig_greet(rig), w = greet_worker(rig, "\"do\"", 10);
    rig_define(rig, a, "far", rig_far_task);
    start(rig, a, 1);
    struct invoke invoke;
    assert_true(hear_invoke(rig, w, &invoke));
    rig_say(rig, w, "[35, 0]");
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, w), "");
}

/* A DONE with so much output that some 70 of them fill all blocks that the journal has. */
static void say_large_done(struct rig *rig, uint32_t w, uint64_t number)
{
    static uint8_t frame[300000];
    static const uint8_t text[240000];
    uint8_t *at = wire_put_array(frame + WIRE_LENGTH_BYTES, 3);
    at = wire_put_uint(at, WIRE_DONE);
    at = wire_put_uint(at, number);
    at = wire_put_text(at, (struct flyover_bytes){text, sizeof text});
    wire_put_length(frame, (uint32_t)(at - frame - WIRE_LENGTH_BYTES));
    fake_send(rig->transport, w, frame, (size_t)(at - frame));
}

TEST(answers_wait_with_their_worker_while_the_journal_has_no_room)
{
    RIG;
    uint32_t a = rig_greet(rig), w = greet_worker(rig, "\"do\"", 100);
    rig_define(rig, a, "far", rig_far_task);
    for (int i = 0; i < 11; i++)
        start(rig, a, 8);
    struct invoke invoke;
    rig->journal_held = true;
    while (hear_invoke(rig, w, &invoke)) {
        say_large_done(rig, w, invoke.number);
        rig_turn(rig);
    }
    rig_settle(rig);
    assert_true(fake_is_paused(rig->transport, w));
    assert_in_range(totals(rig).succeeded, 50, 87);
    assert_string_equal(rig_hear(rig, w), "");
    rig->journal_held = false;
    rig_settle(rig);
    assert_int_equal(totals(rig).succeeded, 88);
    assert_false(fake_is_paused(rig->transport, w));
    assert_string_equal(rig_hear(rig, w), "");
}

/* ---- workers that go ----------------------------------------------------------------------------
 */

TEST(what_a_worker_had_that_is_gone_is_handed_out_again_with_the_same_key)
{
    RIG;
    uint32_t a = rig_greet(rig), v = greet_worker(rig, "\"do\"", 3);
    struct invoke invoke;
    rig_define(rig, a, "far", rig_far_task);
    start(rig, a, 4);
    for (uint64_t saga = 1; saga <= 3; saga++)
        assert_true(hear_invoke(rig, v, &invoke) && invoke.saga == saga);
    uint32_t w = greet_worker(rig, "\"do\"", 10);
    assert_true(hear_invoke(rig, w, &invoke) && invoke.saga == 4);
    fake_hang_up(rig->transport, v);
    rig_settle(rig);
    for (uint64_t saga = 1; saga <= 3; saga++) {
        assert_true(hear_invoke(rig, w, &invoke));
        assert_int_equal(invoke.saga, saga);
        assert_int_equal(invoke.step, 1);
        assert_int_equal(invoke.attempt, 1);
        say_done(rig, w, invoke.number);
    }
    assert_int_equal(totals(rig).succeeded, 3);
    assert_int_equal(server_counts(rig->server).handed_out_again, 3);
}

TEST(what_a_worker_had_that_is_silent_is_handed_out_again)
{
    RIG;
    uint32_t a = rig_greet(rig), v = greet_worker(rig, "\"do\"", 3);
    struct invoke invoke;
    rig_define(rig, a, "far", rig_far_task);
    start(rig, a, 1);
    assert_true(hear_invoke(rig, v, &invoke));
    rig_pass_ms(rig, 12000);
    assert_string_equal(rig_hear(rig, v), "[3,0]");
    uint32_t w = greet_worker(rig, "\"do\"", 10);
    assert_false(hear_invoke(rig, w, &invoke));
    rig_pass_ms(rig, 9000);
    assert_false(fake_is_open(rig->transport, v));
    assert_true(hear_invoke(rig, w, &invoke));
    assert_int_equal(invoke.saga, 1);
}

TEST(a_worker_that_drains_gets_no_more_and_is_told_when_it_has_nothing_left)
{
    RIG;
    uint32_t a = rig_greet(rig), w = greet_worker(rig, "\"do\"", 10);
    struct invoke invoke;
    rig_define(rig, a, "far", rig_far_task);
    start(rig, a, 1);
    assert_true(hear_invoke(rig, w, &invoke));
    rig_say(rig, w, "[37, 9]");
    rig_settle(rig);
    start(rig, a, 1);
    assert_string_equal(rig_hear(rig, w), "");
    say_done(rig, w, invoke.number);
    assert_string_equal(rig_hear(rig, w), "[38,9]");
    assert_string_equal(rig_hear(rig, w), "");
    uint32_t idle = greet_worker(rig, "\"x\"", 10);
    rig_say(rig, idle, "[37, 10]");
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, idle), "[38,10]");
}

/* ---- REGISTER -----------------------------------------------------------------------------------
 */

TEST(a_registration_that_cannot_be_is_refused)
{
    RIG;
    uint32_t w = rig_greet(rig);
    rig_define(rig, w, "task", rig_task); /* loads the plug-in */
    rig_say(rig, w,
            "[30, 1, \"far\", [], 1] [30, 2, \"far\", [\"do\"], 0] [30, 3, \"test\", [\"a\"], 1] "
            "[30, 4, \"\", [\"do\"], 1] [30, 5, \"far\", [\"\"], 1] [30, 6, \"far\", [\"do\"], 1] "
            "[30, 6, \"far\", [\"do\"], 1]");
    rig_settle(rig);
    rig_hear_error(rig, w, 1, "INVALID");
    rig_hear_error(rig, w, 2, "INVALID");
    rig_hear_error(rig, w, 3, "EXISTS");
    rig_hear_error(rig, w, 4, "INVALID");
    rig_hear_error(rig, w, 5, "INVALID");
    assert_string_equal(rig_hear(rig, w), "[31,6]");
    rig_hear_error(rig, w, 6, "INVALID");
    assert_int_equal(server_workers(rig->server, NULL, 0), 1);
}

TEST(a_definition_says_which_services_nobody_serves)
{
    RIG;
    uint32_t a = rig_greet(rig), w = greet_worker(rig, "\"do\"", 10);
    (void)w;
    rig_say(rig, a,
            "[10, 5, \"far\", \"{\\\"StartAt\\\": \\\"A\\\", \\\"States\\\": {\\\"A\\\": "
            "{\\\"Type\\\": \\\"Task\\\", \\\"Resource\\\": \\\"service:far.do\\\", \\\"Next\\\": "
            "\\\"B\\\"}, \\\"B\\\": {\\\"Type\\\": \\\"Task\\\", \\\"Resource\\\": "
            "\\\"service:else.do\\\", \\\"Next\\\": \\\"C\\\"}, \\\"C\\\": {\\\"Type\\\": "
            "\\\"Task\\\", \\\"Resource\\\": \\\"service:test.a\\\", \\\"End\\\": true}}}\"]");
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, a), "[11,5,0,1,[\"else\"]]");
}

static bool serves(void *context, const char *service)
{
    return strcmp(service, context) == 0;
}

TEST(what_somebody_else_in_the_process_serves_needs_no_worker)
{
    RIG;
    static char name[] = "far";
    rig->options.serves = serves;
    rig->options.serves_context = name;
    rig_open_server(rig);
    uint32_t a = rig_greet(rig);
    json_t *message = json_pack("[i, i, s, s]", 10, 5, "far", rig_far_task);
    char *json = json_dumps(message, 0);
    rig_say(rig, a, json);
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, a), "[11,5,0,1,[]]");
    free(json);
    json_decref(message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(no_more_is_handed_out_than_there_is_credit),
        RIG_TEST(workers_of_one_handler_take_turns),
        RIG_TEST(a_compensation_gets_the_input_and_the_output_of_its_step),
        RIG_TEST(a_large_step_is_handed_out_whole_once_there_is_room),
        RIG_TEST(an_answer_that_nobody_asked_for_is_late_and_changes_nothing),
        RIG_TEST(the_answer_of_a_saga_that_was_aborted_is_late),
        RIG_TEST(output_that_is_none_fails_the_step_and_not_the_connection),
        RIG_TEST(a_beat_is_taken_without_a_word),
        RIG_TEST(answers_wait_with_their_worker_while_the_journal_has_no_room),
        RIG_TEST(what_a_worker_had_that_is_gone_is_handed_out_again_with_the_same_key),
        RIG_TEST(what_a_worker_had_that_is_silent_is_handed_out_again),
        RIG_TEST(a_worker_that_drains_gets_no_more_and_is_told_when_it_has_nothing_left),
        RIG_TEST(a_registration_that_cannot_be_is_refused),
        RIG_TEST(a_definition_says_which_services_nobody_serves),
        RIG_TEST(what_somebody_else_in_the_process_serves_needs_no_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
