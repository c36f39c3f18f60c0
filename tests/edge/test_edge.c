#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/partition/remote.h"
#include "tests/edge/edge_rig.h"

/* Calls of edges: out, answered, failed, given back. */

#define TASK(name, resource, rest)                                                                 \
    "\"" name "\":{\"Type\":\"Task\",\"Resource\":\"service:" resource "\"," rest "}"
#define SAGA(first, states) "{\"StartAt\":\"" first "\",\"States\":{" states "}}"

static const char of_echo[] = SAGA("A", TASK("A", "echo.say", "\"End\":true"));
static const char undone[] =
    SAGA("A", TASK("A", "echo.say",
                   "\"Compensate\":{\"Resource\":\"service:echo.undo\"},"
                   "\"Next\":\"B\"") "," TASK("B", "other.say", "\"End\":true"));
static const char undone_raw[] =
    SAGA("A", TASK("A", "raw.say",
                   "\"Compensate\":{\"Resource\":\"service:raw.undo\"},"
                   "\"ResultPath\":\"$.said\",\"Next\":\"B\"") "," TASK("B", "other.say",
                                                                        "\"End\":true"));
static const char templated[] =
    SAGA("A", TASK("A", "echo.say",
                   "\"Parameters\":{\"number.$\":\"$.n\","
                   "\"key.$\":\"$$.Task.IdempotencyKey\"},"
                   "\"Compensate\":{\"Resource\":\"service:echo.undo\",\"Parameters\":"
                   "{\"id.$\":\"$.output.id\",\"was.$\":\"$.input.n\"}},"
                   "\"Next\":\"B\"") "," TASK("B", "other.say", "\"End\":true"));
static const char retried[] =
    SAGA("A", TASK("A", "echo.say",
                   "\"Retry\":[{\"ErrorEquals\":[\"Echo.Busy\"],\"IntervalSeconds\":1,"
                   "\"MaxAttempts\":2}],\"End\":true"));
static const char in_time[] = SAGA("A", TASK("A", "echo.say", "\"TimeoutSeconds\":5,\"End\":true"));
static const char of_both[] =
    "{\"StartAt\":\"W\",\"States\":{\"W\":{\"Type\":\"Choice\",\"Choices\":[{\"Variable\":\"$.to\","
    "\"StringEquals\":\"echo\",\"Next\":\"A\"}],\"Default\":\"B\"}," TASK(
        "A", "echo.say", "\"End\":true") "," TASK("B", "other.say", "\"End\":true") "}}";

static struct edge_view lane(const struct edge_rig *rig, uint32_t index)
{
    struct edge_counts counts = edges_counts(rig->edges);
    assert_true(index < counts.lanes_count);
    return counts.lanes[index];
}

/* ---- there and back -----------------------------------------------------------------------------
 */

static void a_call_reaches_its_module_and_its_answer_the_saga(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, of_echo);
    uint64_t saga_id =
        edge_rig_start(rig, "{\"order\": 7, \"items\": [1.5, null, true, \"\\u00e4\"]}");
    edge_rig_turns(rig, 6);
    assert_int_equal(echo.heard, 1);
    assert_string_equal(echo.input, "{\"order\":7,\"items\":[1.5,null,true,\"\303\244\"]}");
    assert_string_equal(echo.output, "");
    assert_string_equal(echo.token, "");
    assert_int_equal(rig->replies, 1);
    assert_int_equal(rig->reply.saga_id, saga_id);
    assert_int_equal(rig->reply.outcome, OUTCOME_SUCCEEDED);
    assert_string_equal(rig->output, "{\"order\":7,\"items\":[1.5,null,true,\"\303\244\"]}");
    assert_int_equal(edges_counts(rig->edges).lanes_count, 6);
    struct edge_view view = lane(rig, 0);
    assert_string_equal(view.service, "echo");
    assert_string_equal(view.handler, "say");
    assert_int_equal(view.calls, 1);
    assert_int_equal(view.failed + view.late + view.retried + view.in_flight, 0);
    assert_string_equal(lane(rig, 5).service, "other");
    assert_string_equal(lane(rig, 5).handler, "ask");
    assert_true(edges_serve(rig->edges, "other"));
    assert_false(edges_serve(rig->edges, "test"));
}

static void nothing_is_handed_out_before_it_is_durable(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, of_echo);
    rig_held[PARTITION_JOURNAL] = true;
    edge_rig_start(rig, "1");
    edge_rig_turns(rig, 10);
    assert_int_equal(echo.heard, 0);
    rig_held[PARTITION_JOURNAL] = false;
    edge_rig_turns(rig, 4);
    assert_int_equal(echo.heard, 1);
}

static void the_handler_and_the_attempt_are_told(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, retried);
    echo.holds = true;
    edge_rig_start(rig, "{}");
    edge_rig_turns(rig, 4);
    assert_int_equal(echo.calls_count, 1);
    assert_int_equal(echo.attempt_no, 1);
    char key[EDGE_KEY_BYTES];
    strcpy(key, echo.key);
    echo_fail(&echo, 0, true, "Echo.Busy");
    edge_rig_turns(rig, 4);
    assert_int_equal(echo.calls_count, 0);
    rig_now_ms += 2000;
    edge_rig_turns(rig, 4);
    assert_int_equal(echo.calls_count, 1);
    assert_int_equal(echo.attempt_no, 2);
    assert_string_equal(echo.key, key);
    echo_answer(&echo, 0, "\"well\"");
    edge_rig_turns(rig, 4);
    assert_int_equal(rig->reply.outcome, OUTCOME_SUCCEEDED);
    assert_string_equal(rig->output, "\"well\"");
    assert_int_equal(lane(rig, 0).calls, 2);
    assert_int_equal(lane(rig, 0).failed, 1);
}

static void a_failure_that_is_not_to_be_retried_ends_the_saga(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, retried);
    echo.fails = "Echo.No";
    edge_rig_start(rig, "{}");
    edge_rig_turns(rig, 6);
    assert_int_equal(rig->reply.outcome, OUTCOME_FAILED);
    assert_string_equal(rig->error, "Echo.No");
    assert_string_equal(rig->cause, "told so");
    assert_int_equal(echo.heard, 1);
}

static void a_compensation_gets_input_and_output_and_a_key_of_its_own(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, undone);
    echo.holds = true;
    other.fails = "Other.No";
    uint64_t saga_id = edge_rig_start(rig, "{\"n\": 1}");
    edge_rig_turns(rig, 4);
    char key[EDGE_KEY_BYTES + 2];
    snprintf(key, sizeof key, "%s-c", echo.key);
    char tail[64];
    snprintf(tail, sizeof tail, "-%" PRIu64 "-", saga_id);
    assert_non_null(strstr(echo.key + 16, tail));
    assert_int_equal(strspn(echo.key, "0123456789abcdef"), 16);
    echo_answer(&echo, 0, "{\"id\": 5}");
    edge_rig_turns(rig, 8);
    assert_int_equal(echo.calls_count, 1);
    assert_string_equal(echo.input, "{\"input\":{\"n\":1},\"output\":{\"id\":5}}");
    assert_string_equal(echo.output, "{\"id\":5}");
    assert_string_equal(echo.key, key);
    assert_string_not_equal(other.key, key);
    echo_answer(&echo, 0, "null");
    edge_rig_turns(rig, 6);
    assert_int_equal(rig->reply.outcome, OUTCOME_COMPENSATED);
    assert_string_equal(rig->error, "Other.No");
}

static void a_module_that_reads_values_gets_them_and_answers_so(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open_with(rig, undone_raw, "{\"raw\": {}, \"other\": {}}");
    other.holds = true;
    edge_rig_start(rig, "{\"n\": 1}");
    edge_rig_turns(rig, 6);
    assert_string_equal(raw.input, "{\"n\":1}");
    assert_string_equal(other.input, "{\"n\":1,\"said\":{\"n\":1}}");
    echo_fail(&other, 0, false, "Other.No");
    edge_rig_turns(rig, 8);
    assert_int_equal(raw.heard, 2);
    assert_string_equal(raw.input, "{\"input\":{\"n\":1},\"output\":{\"n\":1}}");
    assert_int_equal(rig->reply.outcome, OUTCOME_COMPENSATED);
}

static void a_compensation_of_a_step_without_output_has_none(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, undone);
    echo.holds = true;
    other.fails = "Other.No";
    edge_rig_start(rig, "{\"n\": 1}");
    edge_rig_turns(rig, 4);
    echo_answer(&echo, 0, "null");
    edge_rig_turns(rig, 8);
    assert_string_equal(echo.input, "{\"input\":{\"n\":1},\"output\":null}");
    assert_string_equal(echo.output, "");
    echo_answer(&echo, 0, "null");
    edge_rig_turns(rig, 6);
    assert_int_equal(rig->reply.outcome, OUTCOME_COMPENSATED);
}

static void a_compensation_with_parameters_gets_what_they_make(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, templated);
    echo.holds = true;
    other.fails = "Other.No";
    edge_rig_start(rig, "{\"n\": 1}");
    edge_rig_turns(rig, 4);
    char json[128];
    snprintf(json, sizeof json, "{\"number\":1,\"key\":\"%s\"}", echo.key);
    assert_string_equal(echo.input, json);
    echo_answer(&echo, 0, "{\"id\": 5}");
    edge_rig_turns(rig, 8);
    assert_string_equal(echo.input, "{\"id\":5,\"was\":1}");
    echo_answer(&echo, 0, "null");
    edge_rig_turns(rig, 6);
    assert_int_equal(rig->reply.outcome, OUTCOME_COMPENSATED);
}

/* ---- answers that are none ----------------------------------------------------------------------
 */

static json_t *too_large(void)
{
    static char text[FLYOVER_PAYLOAD_BYTES_MAX + 1];
    memset(text, 'x', sizeof text - 1);
    return json_string(text);
}

static json_t *too_deep(void)
{
    json_t *json = json_array();
    for (uint32_t i = 0; i < FLYOVER_DEPTH_MAX; i++)
        json = json_pack("[o]", json);
    return json;
}

static json_t *no_text(void)
{
    return json_string_nocheck("\377");
}

static json_t *nothing(void)
{
    return NULL;
}

static void assert_fails_as(struct edge_rig *rig, json_t *(*makes)(void), const char *error)
{
    echo.makes = makes;
    uint32_t replies = rig->replies;
    edge_rig_start(rig, "{}");
    edge_rig_turns(rig, 6);
    assert_int_equal(rig->replies, replies + 1);
    assert_int_equal(rig->reply.outcome, OUTCOME_FAILED);
    assert_string_equal(rig->error, error);
}

static void an_output_that_is_no_payload_fails_the_step(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, of_echo);
    assert_fails_as(rig, too_large, "States.DataLimitExceeded");
    assert_fails_as(rig, too_deep, "Flyover.BadOutput");
    assert_fails_as(rig, no_text, "Flyover.BadOutput");
    assert_int_equal(lane(rig, 0).failed, 3);
    echo.makes = nothing;
    edge_rig_start(rig, "{}");
    edge_rig_turns(rig, 6);
    assert_int_equal(rig->reply.outcome, OUTCOME_SUCCEEDED);
    assert_int_equal(lane(rig, 0).failed, 3);
}

static void what_others_say_of_a_failure_is_made_text(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, of_echo);
    echo.holds = true;
    edge_rig_start(rig, "{}");
    edge_rig_turns(rig, 4);
    char name[400];
    memset(name, 'n', sizeof name);
    memcpy(name, "A\377", 2);
    memcpy(name + FLYOVER_ERROR_NAME_BYTES_MAX - 1, "\303\244", 2);
    name[sizeof name - 1] = '\0';
    echo_fail(&echo, 0, false, name);
    edge_rig_turns(rig, 4);
    assert_int_equal(strlen(rig->error), FLYOVER_ERROR_NAME_BYTES_MAX - 1);
    assert_memory_equal(rig->error, "A?nn", 4);
}

static void an_error_without_a_name_is_named(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, of_echo);
    echo.fails = "";
    edge_rig_start(rig, "{}");
    edge_rig_turns(rig, 6);
    assert_string_equal(rig->error, "Flyover.NoError");
}

/* ---- limits -------------------------------------------------------------------------------------
 */

static void open_with(struct edge_rig *rig, const char *definition, uint32_t in_flight_max)
{
    struct partition_options options = edge_rig_options(rig);
    rig_open(rig->rig, &options, definition);
    struct edges_options edges = edge_rig_edges_options(rig);
    edges.in_flight_max = in_flight_max;
    edges.messages_max = 1;
    edge_rig_open_edges(rig, &edges, "{\"echo\": {}, \"other\": {}}");
}

static void no_more_are_out_than_may_be_and_the_next_goes_when_one_is_back(void **state)
{
    struct edge_rig *rig = *state;
    open_with(rig, of_echo, 2);
    echo.holds = true;
    for (int i = 0; i < 5; i++)
        edge_rig_start(rig, "{}");
    edge_rig_turns(rig, 6);
    assert_int_equal(echo.calls_count, 2);
    assert_int_equal(lane(rig, 0).in_flight, 2);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(echo.heard, i + 2 < 5 ? i + 2 : 5);
        echo_answer(&echo, 0, NULL);
        edge_rig_turns(rig, 4);
        assert_int_equal(rig->replies, i + 1);
    }
    assert_int_equal(lane(rig, 0).in_flight, 0);
}

static void a_dead_module_holds_up_no_other(void **state)
{
    struct edge_rig *rig = *state;
    open_with(rig, of_both, 2);
    echo.holds = true;
    for (int i = 0; i < 4; i++)
        edge_rig_start(rig, "{\"to\": \"echo\"}");
    for (int i = 0; i < 4; i++)
        edge_rig_start(rig, "{\"to\": \"other\"}");
    edge_rig_turns(rig, 12);
    assert_int_equal(echo.calls_count, 2);
    assert_int_equal(other.heard, 4);
    assert_int_equal(rig->replies, 4);
}

/* Each ring has room for exactly what can be out: more would be an assertion. */
static void all_lanes_may_be_full_and_answered_at_once(void **state)
{
    struct edge_rig *rig = *state;
    open_with(rig, of_both, 20);
    echo.holds = other.holds = true;
    for (int i = 0; i < 50; i++)
        edge_rig_start(rig, i % 2 == 0 ? "{\"to\": \"echo\"}" : "{\"to\": \"other\"}");
    edge_rig_turns(rig, 8);
    assert_int_equal(echo.calls_count, 20);
    assert_int_equal(other.calls_count, 20);
    while (echo.calls_count > 0)
        echo_answer(&echo, echo.calls_count - 1, NULL);
    while (other.calls_count > 0)
        echo_answer(&other, 0, NULL);
    echo.holds = other.holds = false;
    edge_rig_turns(rig, 20);
    assert_int_equal(rig->replies, 50);
}

static void an_answer_for_which_the_journal_has_no_room_waits_in_its_order(void **state)
{
    struct edge_rig *rig = *state;
    struct partition_options options = edge_rig_options(rig);
    options.block_bytes = 256;
    rig_open(rig->rig, &options, of_echo);
    struct edges_options edges = edge_rig_edges_options(rig);
    edge_rig_open_edges(rig, &edges, "{\"echo\": {}}");
    echo.holds = true;
    for (int i = 0; i < 40; i++) {
        edge_rig_start(rig, "{}");
        edge_rig_turns(rig, 3);
    }
    assert_int_equal(echo.calls_count, 40);
    rig_held[PARTITION_JOURNAL] = true;
    while (echo.calls_count > 0)
        echo_answer(&echo, 0, "{\"text\": \"0123456789012345678901234567890123456789\"}");
    edge_rig_turns(rig, 10);
    uint32_t out = lane(rig, 0).in_flight;
    assert_in_range(out, 1, 39);
    edge_rig_turns(rig, 10);
    assert_int_equal(lane(rig, 0).in_flight, out);
    rig_held[PARTITION_JOURNAL] = false;
    edge_rig_turns(rig, 40);
    assert_int_equal(lane(rig, 0).in_flight, 0);
    assert_int_equal(rig->replies, 40);
    assert_int_equal(rig->reply.saga_id, 40);
}

/* ---- late, given back, again --------------------------------------------------------------------
 */

static void an_answer_that_is_late_is_dropped_and_counted(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, in_time);
    echo.holds = true;
    edge_rig_start(rig, "{}");
    edge_rig_turns(rig, 4);
    assert_int_equal(echo.deadline_ms, rig_now_ms + 5000);
    rig_now_ms += 5001;
    edge_rig_turns(rig, 6);
    assert_int_equal(rig->reply.outcome, OUTCOME_FAILED);
    assert_string_equal(rig->error, "States.Timeout");
    assert_int_equal(lane(rig, 0).in_flight, 1);
    echo_answer(&echo, 0, NULL);
    edge_rig_turns(rig, 4);
    assert_int_equal(rig->replies, 1);
    assert_int_equal(lane(rig, 0).in_flight, 0);
    assert_int_equal(lane(rig, 0).late, 1);
}

static void what_is_out_when_the_engine_dies_is_asked_for_again_with_the_same_key(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, of_echo);
    echo.holds = true;
    edge_rig_start(rig, "{\"n\": 1}");
    edge_rig_turns(rig, 4);
    assert_int_equal(echo.calls_count, 1);
    char key[EDGE_KEY_BYTES];
    strcpy(key, echo.key);
    edge_rig_crash(rig);
    assert_false(echo.is_open);
    edge_rig_open(rig, of_echo);
    edge_rig_turns(rig, 4);
    assert_int_equal(echo.calls_count, 1);
    assert_string_equal(echo.key, key);
    assert_string_equal(echo.input, "{\"n\":1}");
    echo_answer(&echo, 0, NULL);
    edge_rig_turns(rig, 6);
    assert_int_equal(rig_totals(rig->rig).succeeded, 1);
}

static void an_answer_that_was_durable_is_not_asked_for_again(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, of_echo);
    edge_rig_start(rig, "{\"n\": 1}");
    edge_rig_turns(rig, 6);
    assert_int_equal(rig->replies, 1);
    edge_rig_crash(rig);
    edge_rig_open(rig, of_echo);
    edge_rig_turns(rig, 6);
    assert_int_equal(echo.heard, 1);
}

static void what_is_out_at_the_close_goes_back_in_its_order(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, of_echo);
    echo.holds = true;
    for (int i = 0; i < 3; i++)
        edge_rig_start(rig, i == 0 ? "0" : i == 1 ? "1" : "2");
    edge_rig_turns(rig, 4);
    assert_int_equal(echo.calls_count, 3);
    edges_close(rig->edges);
    assert_int_equal(echo.heard, 3);
    struct edges_options options = edge_rig_edges_options(rig);
    edge_rig_open_edges(rig, &options, "{\"echo\": {}}");
    edge_rig_turns(rig, 4);
    assert_int_equal(echo.calls_count, 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(json_integer_value(echo.calls[i]->input), i);
    echo_answer(&echo, 0, NULL);
    edge_rig_turns(rig, 6);
    assert_int_equal(rig->replies, 1);
    assert_string_equal(rig->output, "0");
}

static void a_call_that_the_thread_has_not_taken_goes_back_too(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, of_echo);
    echo.holds = true;
    edge_rig_start(rig, "{}");
    for (int i = 0; i < 20 && lane(rig, 0).calls == 0; i++)
        edge_rig_turn(rig);
    assert_int_equal(lane(rig, 0).calls, 1);
    assert_int_equal(echo.heard, 0);
    edges_close(rig->edges);
    rig->edges = NULL;
    assert_int_equal(remote_waiting(rig->rig->partition, 0), 1);
}

/* ---- drain --------------------------------------------------------------------------------------
 */

static void a_drain_waits_for_what_is_out_and_hands_out_no_more(void **state)
{
    struct edge_rig *rig = *state;
    open_with(rig, of_echo, 1);
    echo.holds = true;
    edge_rig_start(rig, "{}");
    edge_rig_start(rig, "{}");
    edge_rig_turns(rig, 4);
    assert_int_equal(echo.calls_count, 1);
    assert_false(edges_drain(rig->edges));
    edge_rig_turns(rig, 4);
    assert_false(edges_drain(rig->edges));
    echo_answer(&echo, 0, NULL);
    edge_rig_turns(rig, 4);
    assert_true(edges_drain(rig->edges));
    assert_int_equal(rig->replies, 1);
    assert_int_equal(echo.heard, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EDGE_TEST(a_call_reaches_its_module_and_its_answer_the_saga),
        EDGE_TEST(nothing_is_handed_out_before_it_is_durable),
        EDGE_TEST(the_handler_and_the_attempt_are_told),
        EDGE_TEST(a_failure_that_is_not_to_be_retried_ends_the_saga),
        EDGE_TEST(a_compensation_gets_input_and_output_and_a_key_of_its_own),
        EDGE_TEST(a_module_that_reads_values_gets_them_and_answers_so),
        EDGE_TEST(a_compensation_of_a_step_without_output_has_none),
        EDGE_TEST(a_compensation_with_parameters_gets_what_they_make),
        EDGE_TEST(an_output_that_is_no_payload_fails_the_step),
        EDGE_TEST(what_others_say_of_a_failure_is_made_text),
        EDGE_TEST(an_error_without_a_name_is_named),
        EDGE_TEST(no_more_are_out_than_may_be_and_the_next_goes_when_one_is_back),
        EDGE_TEST(a_dead_module_holds_up_no_other),
        EDGE_TEST(all_lanes_may_be_full_and_answered_at_once),
        EDGE_TEST(an_answer_for_which_the_journal_has_no_room_waits_in_its_order),
        EDGE_TEST(an_answer_that_is_late_is_dropped_and_counted),
        EDGE_TEST(what_is_out_when_the_engine_dies_is_asked_for_again_with_the_same_key),
        EDGE_TEST(an_answer_that_was_durable_is_not_asked_for_again),
        EDGE_TEST(what_is_out_at_the_close_goes_back_in_its_order),
        EDGE_TEST(a_call_that_the_thread_has_not_taken_goes_back_too),
        EDGE_TEST(a_drain_waits_for_what_is_out_and_hands_out_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
