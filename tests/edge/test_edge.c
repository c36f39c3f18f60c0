#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/edge/edge_rig.h"

/* Calls of edges: out, answered, failed, given back. */

#define TASK(name, resource, rest)                                                                 \
    "\"" name "\":{\"Type\":\"Task\",\"Resource\":\"service:" resource "\"," rest "}"
#define SAGA(first, states) "{\"StartAt\":\"" first "\",\"States\":{" states "}}"

static const char of_echo[] = SAGA("A", TASK("A", "echo.say", "\"End\":true"));

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
    struct edge_counts counts = edges_counts(rig->edges);
    assert_int_equal(counts.lanes_count, 6);
    assert_string_equal(counts.lanes[0].service, "echo");
    assert_string_equal(counts.lanes[0].handler, "say");
    assert_int_equal(counts.lanes[0].calls, 1);
    assert_int_equal(counts.lanes[0].failed, 0);
    assert_int_equal(counts.lanes[0].in_flight, 0);
}

static void a_message_is_settled_when_what_it_started_is_durable(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, of_echo);
    echo.holds = true;
    rig_held[PARTITION_JOURNAL] = true;
    post_start("m-1", "{\"n\": 1}", 'A');
    edge_rig_turns(rig, 10);
    assert_int_equal(rig_totals(rig->rig).started, 1);
    assert_int_equal(post.settled, 0);
    assert_int_equal(echo.heard, 0);
    rig_held[PARTITION_JOURNAL] = false;
    edge_rig_turns(rig, 10);
    assert_int_equal(post.settled, 1);
    assert_int_equal(echo.heard, 1);
    assert_int_equal(edges_counts(rig->edges).messages_open, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EDGE_TEST(a_call_reaches_its_module_and_its_answer_the_saga),
        EDGE_TEST(a_message_is_settled_when_what_it_started_is_durable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
