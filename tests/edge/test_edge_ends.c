#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/edge/edge_rig.h"

/* Modules that hear of sagas that end. */

static const char of_echo[] =
    "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Task\",\"Resource\":\"service:echo.say\","
    "\"Compensate\":{\"Resource\":\"service:echo.undo\"},\"Next\":\"B\"},"
    "\"B\":{\"Type\":\"Task\",\"Resource\":\"service:other.say\",\"End\":true}}}";

static void an_end_is_told_when_it_is_durable(void **state)
{
    struct edge_rig *rig = *state;
    post.wants = "test";
    edge_rig_open(rig, of_echo);
    other.holds = true;
    edge_rig_start(rig, "{\"n\": 1}");
    edge_rig_turns(rig, 8);
    assert_int_equal(other.calls_count, 1);
    rig_held[PARTITION_JOURNAL] = true;
    echo_answer(&other, 0, "{\"n\": 2}");
    edge_rig_turns(rig, 8);
    assert_int_equal(rig_totals(rig->rig).succeeded, 1);
    assert_int_equal(post.ends_count, 0);
    rig_held[PARTITION_JOURNAL] = false;
    edge_rig_turns(rig, 4);
    assert_int_equal(post.ends_count, 1);
    assert_string_equal(post.end, "test v1 1 SUCCEEDED error= cause= output={\"n\":2}");
}

static void outputs_are_told_of_sagas_that_nobody_waits_for_too(void **state)
{
    struct edge_rig *rig = *state;
    post.wants = "test";
    edge_rig_open(rig, of_echo);
    post_start("m", "{\"n\": 1}", 'A');
    edge_rig_turns(rig, 10);
    assert_string_equal(post.end, "test v1 1 SUCCEEDED error= cause= output={\"n\":1}");
    assert_int_equal(edges_counts(rig->edges).ends, 1);
}

static void how_it_failed_is_told(void **state)
{
    struct edge_rig *rig = *state;
    post.wants = "test";
    edge_rig_open(rig, of_echo);
    other.fails = "Other.No";
    edge_rig_start(rig, "{}");
    edge_rig_turns(rig, 12);
    assert_string_equal(post.end, "test v1 1 COMPENSATED error=Other.No cause=told so output=");
}

static void one_that_is_stuck_is_told_and_its_end_again(void **state)
{
    struct edge_rig *rig = *state;
    char first[EDGE_KEY_BYTES];
    struct problem problem = {0};
    post.wants = "test";
    post.keeps_ends = true;
    edge_rig_open(rig, of_echo);
    echo.holds = true;
    other.fails = "Other.No";
    uint64_t saga_id = edge_rig_start(rig, "{}");
    edge_rig_turns(rig, 4);
    echo_answer(&echo, 0, NULL);
    edge_rig_turns(rig, 8);
    echo_fail(&echo, 0, false, "Echo.Cannot");
    edge_rig_turns(rig, 6);
    assert_int_equal(post.ends_count, 1);
    assert_string_equal(post.ends->outcome, "STUCK");
    strcpy(first, post.ends->key);
    assert_int_equal(partition_mend(rig->rig->partition, saga_id, MEND_SKIP,
                                    (struct flyover_bytes){0}, rig_text("by hand"), &problem),
                     STATUS_OK);
    edge_rig_turns(rig, 6);
    assert_int_equal(post.ends_count, 2);
    assert_string_equal(post.ends->outcome, "COMPENSATED");
    assert_string_not_equal(post.ends->key, first);
    assert_memory_equal(post.ends->key, first, 17);
}

static void only_what_is_wanted_is_told(void **state)
{
    struct edge_rig *rig = *state;
    struct problem problem = {0};
    post.wants = "test";
    edge_rig_open(rig, of_echo);
    rig->rig->plan = rig_define(rig->rig, "others", of_echo);
    edge_rig_start(rig, "{}");
    edge_rig_turns(rig, 10);
    assert_int_equal(rig->replies, 1);
    other.holds = true;
    post_start("m", "{}", 'A');
    edge_rig_turns(rig, 8);
    assert_int_equal(partition_cancel(rig->rig->partition, 2, true, rig_text("no more"), &problem),
                     STATUS_OK);
    echo_answer(&other, 0, NULL);
    edge_rig_turns(rig, 8);
    assert_int_equal(rig_totals(rig->rig).aborted, 1);
    assert_int_equal(post.ends_count, 0);
}

static void who_wants_none_costs_nothing(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, of_echo);
    post_start("m", "{}", 'A');
    edge_rig_turns(rig, 10);
    assert_int_equal(rig_totals(rig->rig).succeeded, 1);
    /* No reply comes for it, since nobody watches. */
    assert_int_equal(rig->replies, 0);
    assert_int_equal(post.ends_count, 0);
}

static void of_an_end_before_the_watch_nothing_is_known_and_nothing_told(void **state)
{
    struct edge_rig *rig = *state;
    post.wants = "test";
    edge_rig_open(rig, of_echo);
    const struct reply reply = {.saga_id = 1, .outcome = OUTCOME_SUCCEEDED};
    edges_hear_end(rig->edges, &reply);
    edge_rig_turn(rig);
    assert_int_equal(post.ends_count, 0);
}

static void ends_beyond_what_modules_may_hold_are_left_out_and_counted(void **state)
{
    struct edge_rig *rig = *state;
    post.wants = "test";
    post.keeps_ends = true;
    edge_rig_open(rig, of_echo);
    struct reply reply = {.saga_id = 1, .outcome = OUTCOME_SUCCEEDED, .block_no = 1};
    for (uint32_t i = 0; i < EDGE_ENDS_MAX + 3; i++) {
        reply.index = i;
        edges_hear_end(rig->edges, &reply);
    }
    edge_rig_turn(rig);
    assert_int_equal(post.ends_count, EDGE_ENDS_MAX);
    assert_int_equal(edges_counts(rig->edges).ends_lost, 3);
    assert_non_null(strstr(edge_rig_log, "that is passed on: 2 ends are left out so far"));
    assert_null(strstr(edge_rig_log, "that is passed on: 3 ends"));
    struct edge_end *told = post.ends;
    post.ends = told->next;
    edge_end_told(edge_rig_thread, told);
    edges_hear_end(rig->edges, &reply);
    edge_rig_turn(rig);
    assert_int_equal(post.ends_count, EDGE_ENDS_MAX + 1);
}

static void a_drain_waits_until_ends_are_passed_on(void **state)
{
    struct edge_rig *rig = *state;
    post.wants = "test";
    post.keeps_ends = true;
    edge_rig_open(rig, of_echo);
    edge_rig_start(rig, "{}");
    edge_rig_turns(rig, 10);
    assert_int_equal(post.ends_count, 1);
    edges_drain(rig->edges);
    edge_rig_turns(rig, 4);
    assert_false(edges_drain(rig->edges));
    edge_end_told(edge_rig_thread, post.ends);
    post.ends = NULL;
    edge_rig_turns(rig, 2);
    assert_true(edges_drain(rig->edges));
}

static void what_modules_hold_at_the_close_is_freed(void **state)
{
    struct edge_rig *rig = *state;
    post.wants = "test";
    post.keeps_ends = true;
    edge_rig_open(rig, of_echo);
    edge_rig_start(rig, "{}");
    edge_rig_turns(rig, 10);
    struct reply reply = {.saga_id = 1, .outcome = OUTCOME_SUCCEEDED, .block_no = 1};
    edges_hear_end(rig->edges, &reply); /* that the thread has not taken */
    edges_close(rig->edges);
    rig->edges = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EDGE_TEST(an_end_is_told_when_it_is_durable),
        EDGE_TEST(outputs_are_told_of_sagas_that_nobody_waits_for_too),
        EDGE_TEST(how_it_failed_is_told),
        EDGE_TEST(one_that_is_stuck_is_told_and_its_end_again),
        EDGE_TEST(only_what_is_wanted_is_told),
        EDGE_TEST(who_wants_none_costs_nothing),
        EDGE_TEST(of_an_end_before_the_watch_nothing_is_known_and_nothing_told),
        EDGE_TEST(ends_beyond_what_modules_may_hold_are_left_out_and_counted),
        EDGE_TEST(a_drain_waits_until_ends_are_passed_on),
        EDGE_TEST(what_modules_hold_at_the_close_is_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
