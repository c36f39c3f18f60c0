#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/partition/remote_rig.h"
#include "tests/partition/scripted.h"

/* Services in other processes: the test is their worker. */

#define TASK(name, resource, rest)                                                                 \
    "\"" name "\":{\"Type\":\"Task\",\"Resource\":\"service:" resource "\"," rest "}"
#define SAGA(first, states) "{\"StartAt\":\"" first "\",\"States\":{" states "}}"

static const char of_far[] = SAGA("A", TASK("A", "far.a", "\"End\":true"));
static const char two_steps[] =
    SAGA("A", TASK("A", "far.a",
                   "\"Compensate\":{\"Resource\":\"service:far.undo\"},"
                   "\"Next\":\"B\"") "," TASK("B", "far.b", "\"End\":true"));
static const char in_time[] = SAGA("A", TASK("A", "far.a", "\"TimeoutSeconds\":5,\"End\":true"));
static const char beating[] =
    SAGA("A", TASK("A", "far.a", "\"HeartbeatSeconds\":8,\"TimeoutSeconds\":100,\"End\":true"));
static const char by_token[] = SAGA("A", TASK("A", "far.a.waitForTaskToken", "\"End\":true"));
static const char of_test[] = SAGA("A", TASK("A", "test.a", "\"End\":true"));
static const char of_plain[] = SAGA("P", TASK("P", "plain.p", "\"End\":true"));
static const char near_and_far[] =
    SAGA("A", TASK("A", "test.a", "\"Next\":\"B\"") "," TASK("B", "far.b", "\"End\":true"));

/* ---- which services are remote -----------------------------------------------------------------
 */

static enum status try_define(struct rig *rig, const char *definition, struct problem *problem)
{
    uint32_t plan;
    return partition_define(rig->partition, "other", "other", definition, strlen(definition), &plan,
                            problem);
}

static void without_the_option_a_service_that_is_nowhere_is_refused(void **state)
{
    struct rig *rig = *state;
    struct partition_options options = remote_rig_options(rig);
    options.remote = false;
    rig_open(rig, &options, of_test);
    struct problem problem = {0};
    uint32_t lane = 7;
    assert_int_equal(try_define(rig, of_far, &problem), STATUS_NOT_FOUND);
    assert_non_null(strstr(problem.text, "there is no service 'far'"));
    assert_int_equal(remote_open_lane(rig->partition, "far", "a", &lane, &problem),
                     STATUS_UNSUPPORTED);
    assert_int_equal(lane, 7);
}

static void a_plug_in_is_not_remote(void **state)
{
    struct rig *rig = *state;
    remote_rig_open(rig, of_test);
    struct problem problem = {0};
    uint32_t lane;
    assert_int_equal(remote_open_lane(rig->partition, "test", "a", &lane, &problem), STATUS_EXISTS);
    assert_non_null(strstr(problem.text, "service 'test' is a plug-in of this engine"));
    rig_start(rig, rig->plan, "x", "y");
    rig_settle(rig);
    assert_string_equal(scripted_trace, "a");
}

static void names_of_lanes_are_names_and_there_are_so_many_lanes(void **state)
{
    struct rig *rig = *state;
    remote_rig_open(rig, NULL);
    struct problem problem = {0};
    static const char *const bad[] = {"", "a.b", "a b", "\xc3\xa4"};
    char text[FLYOVER_NAME_BYTES_MAX + 2], lane_name[16];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    uint32_t lane;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(remote_open_lane(rig->partition, "far", bad[i], &lane, &problem),
                         STATUS_INVALID);
    assert_int_equal(remote_open_lane(rig->partition, text, "a", &lane, &problem), STATUS_INVALID);
    for (uint32_t i = 0; i < REMOTE_LANES_MAX; i++) {
        snprintf(lane_name, sizeof lane_name, "far.a%03u", i);
        assert_int_equal(remote_rig_lane(rig, lane_name), i);
        assert_int_equal(remote_rig_lane(rig, lane_name), i);
    }
    assert_int_equal(remote_open_lane(rig->partition, "far", "more", &lane, &problem),
                     STATUS_NO_MEMORY);
    assert_int_equal(try_define(rig, of_far, &problem), STATUS_NO_MEMORY);
    assert_int_equal(remote_lanes_count(rig->partition), REMOTE_LANES_MAX);
    assert_string_equal(remote_lane(rig->partition, 3)->handler, "a003");
    assert_string_equal(remote_lane(rig->partition, 3)->service, "far");
}

static void a_service_with_tables_is_never_remote(void **state)
{
    struct rig *rig = *state;
    remote_rig_open(rig, of_test);
    rig_stop(rig, NULL);
    struct partition_options options = remote_rig_options(rig);
    options.built_in_count = 0;
    struct problem problem = {0};
    assert_int_equal(partition_open(&options, &rig->partition, &problem), STATUS_NOT_FOUND);
    assert_non_null(strstr(problem.text, "there is no service 'test'"));
    rig->partition = NULL;
}

static void a_plug_in_without_tables_may_become_remote_and_come_back(void **state)
{
    struct rig *rig = *state;
    remote_rig_open(rig, of_plain);
    rig_stop(rig, NULL);
    struct partition_options options = remote_rig_options(rig);
    options.built_in_count = 0;
    rig_open(rig, &options, of_plain);
    rig_start(rig, rig->plan, "x", "y");
    rig_turns(rig, 5);
    assert_int_equal(remote_lanes_count(rig->partition), 1);
    assert_int_equal(remote_waiting(rig->partition, 0), 1);
    rig_stop(rig, NULL);
    remote_rig_open(rig, of_plain);
    rig_settle(rig);
    assert_string_equal(scripted_trace, "p");
    assert_int_equal(rig_totals(rig).succeeded, 1);
}

/* ---- the way of a step --------------------------------------------------------------------------
 */

static void a_step_is_handed_out_once_it_is_durable_and_its_answer_carries_the_saga_on(void **state)
{
    struct rig *rig = *state;
    remote_rig_open(rig, two_steps);
    rig_held[PARTITION_JOURNAL] = true;
    uint64_t saga_id = rig_start(rig, rig->plan, "x", "y");
    rig_turns(rig, 10);
    struct remote_invocation call;
    assert_false(remote_take(rig->partition, remote_rig_lane(rig, "far.a"), &call));
    rig_held[PARTITION_JOURNAL] = false;
    call = remote_rig_take(rig, "far.a");
    assert_true(call.saga_id == saga_id && call.step_no == 1 && call.attempt_no == 1);
    assert_true(call.phase == FLYOVER_FORWARD && call.deadline_ms == 0 && !call.has_token);
    assert_memory_equal(call.input.at, rig_input("x", "y").at, call.input.count);
    assert_int_equal(call.output.count, 0);
    struct remote_invocation again;
    assert_false(remote_take(rig->partition, remote_rig_lane(rig, "far.a"), &again));
    assert_false(partition_is_quiet(rig->partition));
    /* {"o": 1} */
    assert_int_equal(remote_rig_done(rig, "far.a", &call, "\x81\xa1o\x01"), STATUS_OK);
    call = remote_rig_take(rig, "far.b");
    assert_memory_equal(call.input.at, "\x81\xa1o\x01", 4);
    assert_int_equal(remote_rig_failed(rig, "far.b", &call, true), STATUS_OK);
    call = remote_rig_take(rig, "far.undo");
    assert_true(call.phase == FLYOVER_COMPENSATION && call.step_no == 1);
    assert_memory_equal(call.input.at, rig_input("x", "y").at, call.input.count);
    assert_memory_equal(call.output.at, "\x81\xa1o\x01", 4);
    assert_int_equal(remote_rig_done(rig, "far.undo", &call, NULL), STATUS_OK);
    rig_settle(rig);
    assert_int_equal(rig_totals(rig).compensated, 1);
    rig_assert_error(rig, "Far.No");
    rig_assert_replay_agrees(rig);
}

static void near_and_far_steps_go_together(void **state)
{
    struct rig *rig = *state;
    remote_rig_open(rig, near_and_far);
    for (int i = 0; i < 20; i++)
        rig_start(rig, rig->plan, "x", "y");
    for (int i = 0; i < 20; i++) {
        struct remote_invocation call = remote_rig_take(rig, "far.b");
        assert_int_equal(remote_rig_done(rig, "far.b", &call, NULL), STATUS_OK);
    }
    rig_settle(rig);
    assert_int_equal(rig_totals(rig).succeeded, 20);
    assert_int_equal(rig_done(rig, "a"), 20);
    rig_assert_replay_agrees(rig);
}

static void a_worker_may_come_before_the_definition(void **state)
{
    struct rig *rig = *state;
    remote_rig_open(rig, NULL);
    uint32_t lane = remote_rig_lane(rig, "far.a");
    rig->plan = rig_define(rig, "test", of_far);
    assert_int_equal(remote_lanes_count(rig->partition), 1);
    rig_start(rig, rig->plan, "x", "y");
    rig_turns(rig, 5);
    assert_int_equal(remote_waiting(rig->partition, lane), 1);
}

static void what_a_worker_gets_wrong_fails_the_step(void **state)
{
    struct rig *rig = *state;
    remote_rig_open(rig, of_far);
    static uint8_t large[FLYOVER_PAYLOAD_BYTES_MAX + 1];
    struct flyover_bytes outputs[] = {rig_text("\xc1"), {large, sizeof large}};
    for (size_t i = 0; i < 2; i++) {
        rig_start(rig, rig->plan, "x", "y");
        struct remote_invocation call = remote_rig_take(rig, "far.a");
        assert_int_equal(remote_done(rig->partition, remote_rig_lane(rig, "far.a"), call.branch,
                                     call.generation, outputs[i]),
                         STATUS_INVALID);
        rig_settle(rig);
    }
    rig_start(rig, rig->plan, "x", "y");
    struct remote_invocation call = remote_rig_take(rig, "far.a");
    static const struct flyover_bytes nothing;
    assert_int_equal(remote_failed(rig->partition, remote_rig_lane(rig, "far.a"), call.branch,
                                   call.generation, true, nothing, nothing),
                     STATUS_INVALID);
    rig_settle(rig);
    const struct core_error *errors;
    assert_int_equal(core_errors(partition_state(rig->partition)->core, &errors), 3);
    assert_string_equal(errors[0].name, "Flyover.BadOutput");
    assert_string_equal(errors[1].name, "States.DataLimitExceeded");
    assert_string_equal(errors[2].name, "Flyover.NoError");
    assert_int_equal(rig_totals(rig).failed, 3);
    rig_assert_replay_agrees(rig);
}

static void a_long_name_and_cause_are_cut(void **state)
{
    struct rig *rig = *state;
    remote_rig_open(rig, of_far);
    rig_start(rig, rig->plan, "x", "y");
    struct remote_invocation call = remote_rig_take(rig, "far.a");
    char text[1000];
    memset(text, 'n', sizeof text);
    struct flyover_bytes bytes = {(const uint8_t *)text, sizeof text};
    assert_int_equal(remote_failed(rig->partition, remote_rig_lane(rig, "far.a"), call.branch,
                                   call.generation, false, bytes, bytes),
                     STATUS_OK);
    rig_settle(rig);
    text[FLYOVER_ERROR_NAME_BYTES_MAX] = '\0';
    rig_assert_error(rig, text);
}

static void a_step_that_ends_by_token_gives_it_to_the_worker(void **state)
{
    struct rig *rig = *state;
    remote_rig_open(rig, by_token);
    rig_start(rig, rig->plan, "x", "y");
    struct remote_invocation call = remote_rig_take(rig, "far.a");
    assert_true(call.has_token);
    char token[FLYOVER_TOKEN_BYTES];
    memcpy(token, call.token, sizeof token);
    struct problem problem = {0};
    assert_int_equal(partition_answer(rig->partition, token, rig_text("\x81\xa1o\x01"), &problem),
                     STATUS_NOT_FOUND);
    assert_int_equal(remote_rig_done(rig, "far.a", &call, NULL), STATUS_OK);
    rig_settle(rig);
    assert_int_equal(rig_totals(rig).succeeded, 0);
    if (partition_answer(rig->partition, token, rig_text("\x81\xa1o\x01"), &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    rig_settle(rig);
    assert_int_equal(rig_totals(rig).succeeded, 1);
}

static const char a_trace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

static void the_trace_of_a_saga_goes_to_near_and_far(void **state)
{
    struct rig *rig = *state;
    remote_rig_open(rig, near_and_far);
    struct partition_start_options options = {
        .plan = rig->plan, .input = rig_input("x", "y"), .trace = rig_text(a_trace)};
    struct problem problem = {0};
    uint64_t saga_id;
    if (partition_start_with(rig->partition, &options, &saga_id, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    struct remote_invocation call = remote_rig_take(rig, "far.b");
    assert_string_equal(scripted_traceparent, a_trace);
    assert_int_equal(call.trace.count, strlen(a_trace));
    assert_memory_equal(call.trace.at, a_trace, call.trace.count);
    rig_crash(rig);
    remote_rig_open(rig, near_and_far);
    call = remote_rig_take(rig, "far.b");
    assert_int_equal(call.trace.count, strlen(a_trace));
    assert_memory_equal(call.trace.at, a_trace, call.trace.count);
    assert_int_equal(remote_rig_done(rig, "far.b", &call, NULL), STATUS_OK);
    rig_start(rig, rig->plan, "x", "y");
    call = remote_rig_take(rig, "far.b");
    assert_int_equal(call.trace.count, 0);
    assert_string_equal(scripted_traceparent, "");
    options.trace.count--;
    assert_int_equal(partition_start_with(rig->partition, &options, &saga_id, &problem),
                     STATUS_INVALID);
    assert_non_null(strstr(problem.text, "no W3C traceparent"));
    rig_assert_replay_agrees(rig);
}

static enum status start_by(struct rig *rig, const char *name, int64_t at_ms, int64_t deadline_ms,
                            uint64_t *ret_saga_id, struct problem *problem)
{
    struct partition_start_options options = {.plan = rig->plan,
                                              .input = rig_input("x", "y"),
                                              .name = rig_text(name),
                                              .at_ms = at_ms,
                                              .deadline_ms = deadline_ms};
    return partition_start_with(rig->partition, &options, ret_saga_id, problem);
}

static void a_saga_may_have_to_be_at_its_end_by_a_deadline(void **state)
{
    struct rig *rig = *state;
    remote_rig_open(rig, two_steps);
    struct problem problem = {0};
    uint64_t saga_id, again;
    int64_t now_ms = rig_now_ms;
    assert_int_equal(start_by(rig, "", 0, now_ms, &saga_id, &problem), STATUS_INVALID);
    assert_non_null(strstr(problem.text, "the deadline has passed"));
    assert_int_equal(start_by(rig, "", now_ms + 9, now_ms + 9, &saga_id, &problem), STATUS_INVALID);
    assert_non_null(strstr(problem.text, "not after the time at which"));
    assert_int_equal(start_by(rig, "", 0, INT64_MAX, &saga_id, &problem), STATUS_INVALID);
    assert_non_null(strstr(problem.text, "a hundred years"));
    assert_int_equal(start_by(rig, "n", 0, now_ms + 5000, &saga_id, &problem), STATUS_OK);
    struct remote_invocation call = remote_rig_take(rig, "far.a");
    rig_now_ms += 5000;
    rig_turns(rig, 5);
    assert_int_equal(rig_totals(rig).timeouts, 1);
    /* Sent again it is the same saga, though its deadline has passed. */
    assert_int_equal(start_by(rig, "n", 0, now_ms + 5000, &again, &problem), STATUS_EXISTS);
    assert_true(again == saga_id);
    assert_int_equal(remote_rig_done(rig, "far.a", &call, NULL), STATUS_OK);
    call = remote_rig_take(rig, "far.undo");
    assert_int_equal(remote_rig_done(rig, "far.undo", &call, NULL), STATUS_OK);
    rig_settle(rig);
    rig_assert_error(rig, "States.Timeout");
    rig_assert_replay_agrees(rig);
}

static int64_t ticking_ms(void)
{
    return ++rig_now_ms;
}

/* It is asked for when the start comes in, and again of the block that it comes into. */
static void a_deadline_may_pass_before_a_block_is_open(void **state)
{
    struct rig *rig = *state;
    struct partition_options options = remote_rig_options(rig);
    options.wall_ms = ticking_ms;
    rig_open(rig, &options, two_steps);
    rig_settle(rig);
    struct problem problem = {0};
    uint64_t saga_id;
    assert_int_equal(start_by(rig, "", 0, rig_now_ms + 2, &saga_id, &problem), STATUS_INVALID);
    assert_non_null(strstr(problem.text, "the deadline has passed"));
    assert_int_equal(rig_totals(rig).started, 0);
    rig_assert_replay_agrees(rig);
}

/* ---- late, lost, and in the wrong order ---------------------------------------------------------
 */

static void a_step_that_is_given_back_goes_to_the_front_with_the_same_key(void **state)
{
    struct rig *rig = *state;
    remote_rig_open(rig, of_far);
    uint32_t lane = remote_rig_lane(rig, "far.a");
    for (int i = 0; i < 3; i++)
        rig_start(rig, rig->plan, "x", "y");
    struct remote_invocation first = remote_rig_take(rig, "far.a"),
                             second = remote_rig_take(rig, "far.a"), again;
    remote_give_back(rig->partition, lane, second.branch, second.generation);
    remote_give_back(rig->partition, lane, first.branch, first.generation);
    assert_int_equal(remote_waiting(rig->partition, lane), 3);
    const struct remote_invocation *expected[] = {&first, &second};
    for (size_t i = 0; i < 2; i++) {
        assert_true(remote_take(rig->partition, lane, &again));
        assert_true(again.branch == expected[i]->branch && again.saga_id == expected[i]->saga_id &&
                    again.generation == expected[i]->generation && again.attempt_no == 1 &&
                    again.step_no == 1);
        assert_int_equal(remote_rig_done(rig, "far.a", &again, NULL), STATUS_OK);
    }
    again = remote_rig_take(rig, "far.a");
    assert_int_equal(again.saga_id, 3);
    assert_int_equal(remote_rig_done(rig, "far.a", &again, NULL), STATUS_OK);
    rig_settle(rig);
    assert_int_equal(rig_totals(rig).succeeded, 3);
}

static void a_step_is_out_of_time_though_a_worker_has_it(void **state)
{
    struct rig *rig = *state;
    remote_rig_open(rig, in_time);
    rig_start(rig, rig->plan, "x", "y");
    struct remote_invocation call = remote_rig_take(rig, "far.a");
    assert_int_equal(call.deadline_ms, rig_now_ms + 5000);
    rig_now_ms += 5000;
    rig_turns(rig, 5);
    assert_int_equal(rig_totals(rig).timeouts, 1);
    rig_assert_error(rig, "States.Timeout");
    assert_false(partition_is_quiet(rig->partition));
    assert_int_equal(
        remote_beat(rig->partition, remote_rig_lane(rig, "far.a"), call.branch, call.generation),
        STATUS_NOT_FOUND);
    assert_int_equal(remote_rig_done(rig, "far.a", &call, NULL), STATUS_NOT_FOUND);
    assert_int_equal(partition_counts(rig->partition).late_results, 1);
    assert_true(partition_is_quiet(rig->partition));
    assert_int_equal(rig_totals(rig).succeeded, 0);
    rig_assert_replay_agrees(rig);
}

static void a_step_that_waits_past_its_time_is_not_handed_out(void **state)
{
    struct rig *rig = *state;
    remote_rig_open(rig, in_time);
    rig_start(rig, rig->plan, "x", "y");
    rig_turns(rig, 5);
    assert_int_equal(remote_waiting(rig->partition, remote_rig_lane(rig, "far.a")), 1);
    rig_now_ms += 5000;
    rig_turns(rig, 5);
    struct remote_invocation call;
    assert_false(remote_take(rig->partition, remote_rig_lane(rig, "far.a"), &call));
    rig_settle(rig);
    assert_int_equal(rig_totals(rig).timeouts, 1);
}

static void what_is_given_back_late_is_gone(void **state)
{
    struct rig *rig = *state;
    remote_rig_open(rig, in_time);
    rig_start(rig, rig->plan, "x", "y");
    struct remote_invocation call = remote_rig_take(rig, "far.a");
    rig_now_ms += 5000;
    rig_turns(rig, 5);
    remote_rig_give_back(rig, "far.a", &call);
    assert_int_equal(remote_waiting(rig->partition, remote_rig_lane(rig, "far.a")), 0);
    assert_true(partition_is_quiet(rig->partition));
}

static void a_cancelled_saga_waits_for_the_worker(void **state)
{
    struct rig *rig = *state;
    remote_rig_open(rig, two_steps);
    uint64_t saga_id = rig_start(rig, rig->plan, "x", "y");
    struct remote_invocation call = remote_rig_take(rig, "far.a");
    struct problem problem = {0};
    if (partition_cancel(rig->partition, saga_id, false, rig_text("no"), &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    rig_turns(rig, 10);
    assert_int_equal(rig_totals(rig).compensated + rig_totals(rig).failed, 0);
    assert_int_equal(remote_rig_done(rig, "far.a", &call, NULL), STATUS_OK);
    call = remote_rig_take(rig, "far.undo");
    assert_int_equal(remote_rig_done(rig, "far.undo", &call, NULL), STATUS_OK);
    rig_settle(rig);
    assert_int_equal(rig_totals(rig).compensated, 1);
    rig_assert_replay_agrees(rig);
}

static void heartbeats_run_from_the_hand_out_and_put_off_the_end(void **state)
{
    struct rig *rig = *state;
    remote_rig_open(rig, beating);
    rig_start(rig, rig->plan, "x", "y");
    rig_turns(rig, 5);
    /* Nobody has it: only TimeoutSeconds runs. */
    rig_now_ms += 20000;
    rig_turns(rig, 5);
    struct remote_invocation call = remote_rig_take(rig, "far.a");
    assert_int_equal(call.deadline_ms, 1000000 + 100000);
    uint32_t lane = remote_rig_lane(rig, "far.a");
    for (int i = 0; i < 5; i++) {
        rig_now_ms += 7000;
        rig_turns(rig, 5);
        assert_int_equal(remote_beat(rig->partition, lane, call.branch, call.generation),
                         STATUS_OK);
    }
    rig_turns(rig, 5);
    uint64_t records = partition_counts(rig->partition).records;
    assert_int_equal(remote_beat(rig->partition, lane, call.branch, call.generation), STATUS_OK);
    rig_turns(rig, 5);
    /* One right behind another says nothing new. */
    assert_int_equal(partition_counts(rig->partition).records, records);
    assert_int_equal(rig_totals(rig).timeouts, 0);
    rig_now_ms += 8000;
    rig_turns(rig, 5);
    assert_int_equal(rig_totals(rig).timeouts, 1);
    rig_assert_error(rig, "States.HeartbeatTimeout");
    assert_int_equal(remote_rig_done(rig, "far.a", &call, NULL), STATUS_NOT_FOUND);
    rig_settle(rig);
    rig_assert_replay_agrees(rig);
}

static void a_plug_in_is_not_asked_for_heartbeats(void **state)
{
    struct rig *rig = *state;
    remote_rig_open(rig, SAGA("P", TASK("P", "plain.p", "\"HeartbeatSeconds\":1,\"End\":true")));
    rig_held[PARTITION_WORKER] = true;
    rig_start(rig, rig->plan, "x", "y");
    rig_turns(rig, 5);
    rig_now_ms += 50000;
    rig_turns(rig, 5);
    rig_held[PARTITION_WORKER] = false;
    rig_settle(rig);
    assert_int_equal(rig_totals(rig).succeeded, 1);
}

static void what_is_out_is_not_waited_for_at_the_end_and_goes_again(void **state)
{
    struct rig *rig = *state;
    remote_rig_open(rig, of_far);
    for (int i = 0; i < 3; i++)
        rig_start(rig, rig->plan, "x", "y");
    struct remote_invocation before = remote_rig_take(rig, "far.a"), after;
    rig_assert_replay_agrees(rig);
    remote_rig_open(rig, of_far);
    rig_turns(rig, 2);
    assert_int_equal(remote_waiting(rig->partition, remote_rig_lane(rig, "far.a")), 3);
    after = remote_rig_take(rig, "far.a");
    assert_true(after.saga_id == before.saga_id && after.step_no == before.step_no &&
                after.phase == before.phase && after.generation == before.generation);
    assert_int_equal(remote_rig_done(rig, "far.a", &after, NULL), STATUS_OK);
    for (int i = 0; i < 2; i++) {
        after = remote_rig_take(rig, "far.a");
        assert_int_equal(remote_rig_done(rig, "far.a", &after, NULL), STATUS_OK);
    }
    rig_settle(rig);
    assert_int_equal(rig_totals(rig).succeeded, 3);
    rig_assert_replay_agrees(rig);
}

static void a_checkpoint_is_taken_while_remote_work_is_out(void **state)
{
    struct rig *rig = *state;
    struct partition_options options = remote_rig_options(rig);
    options.checkpoint_bytes = 1;
    rig_open(rig, &options, of_far);
    for (int i = 0; i < 3; i++)
        rig_start(rig, rig->plan, "x", "y");
    struct remote_invocation call = remote_rig_take(rig, "far.a");
    rig_turns(rig, 20);
    assert_true(partition_counts(rig->partition).checkpoints > 0);
    uint64_t block_no;
    rig_crash(rig);
    uint64_t block_nos[8];
    assert_true(rig_checkpoints(rig, block_nos, 8) > 0);
    block_no = block_nos[0];
    rig_open(rig, &options, of_far);
    assert_int_equal(partition_recovered_from(rig->partition), block_no);
    rig_turns(rig, 2);
    assert_int_equal(remote_waiting(rig->partition, remote_rig_lane(rig, "far.a")), 3);
    struct remote_invocation again = remote_rig_take(rig, "far.a");
    assert_int_equal(again.saga_id, call.saga_id);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(remote_rig_done(rig, "far.a", &again, NULL), STATUS_OK);
        again = remote_rig_take(rig, "far.a");
    }
    assert_int_equal(remote_rig_done(rig, "far.a", &again, NULL), STATUS_OK);
    rig_settle(rig);
    assert_int_equal(rig_totals(rig).succeeded, 3);
}

static void while_the_journal_has_no_room_an_answer_stays_out(void **state)
{
    struct rig *rig = *state;
    struct partition_options options = remote_rig_options(rig);
    options.limits = (struct core_limits){.sagas_max = 1024, .payload_bytes_max = 256u << 20};
    rig_open(rig, &options, of_far);
    static uint8_t input[200004] = {0xc6, 0, 3, 0x0d, 0x3f};
    struct flyover_bytes large = {input, sizeof input};
    rig_start(rig, rig->plan, "x", "y");
    struct remote_invocation call = remote_rig_take(rig, "far.a");
    rig_held[PARTITION_JOURNAL] = true;
    int started = 0;
    while (partition_start(rig->partition, rig->plan, EVENT_NO_SOURCE, large, 1) == STATUS_OK &&
           started++ < 1000)
        rig_turn(rig);
    struct flyover_bytes output = {input, sizeof input};
    enum status status = remote_done(rig->partition, remote_rig_lane(rig, "far.a"), call.branch,
                                     call.generation, output);
    assert_int_equal(status, STATUS_BUSY);
    assert_false(partition_is_quiet(rig->partition));
    rig_held[PARTITION_JOURNAL] = false;
    rig_turns(rig, 50);
    assert_int_equal(remote_rig_done(rig, "far.a", &call, NULL), STATUS_OK);
    rig_turns(rig, 5);
    assert_int_equal(rig_totals(rig).succeeded, 1);
}

/* ---- limits and order --------------------------------------------------------------------------
 */

static struct partition_service_limits limits = {.service = "far"};

static void open_limited(struct rig *rig, struct dispatch_limits of_far_service)
{
    struct partition_options options = remote_rig_options(rig);
    limits.limits = of_far_service;
    options.service_limits = &limits;
    options.service_limits_count = 1;
    rig_open(rig, &options, two_steps);
}

static void the_lanes_of_a_service_share_its_limit_in_flight(void **state)
{
    struct rig *rig = *state;
    open_limited(rig, (struct dispatch_limits){.in_flight_max = 2});
    uint32_t other = rig_define(rig, "other", SAGA("B", TASK("B", "far.b", "\"End\":true")));
    for (int i = 0; i < 3; i++) {
        rig_start(rig, rig->plan, "x", "y");
        rig_start(rig, other, "x", "y");
    }
    struct remote_invocation a = remote_rig_take(rig, "far.a"), b = remote_rig_take(rig, "far.b"),
                             call;
    assert_false(remote_take(rig->partition, remote_rig_lane(rig, "far.a"), &call));
    assert_false(remote_take(rig->partition, remote_rig_lane(rig, "far.b"), &call));
    assert_int_equal(remote_rig_done(rig, "far.b", &b, NULL), STATUS_OK);
    assert_true(remote_take(rig->partition, remote_rig_lane(rig, "far.a"), &call));
    remote_rig_give_back(rig, "far.a", &call);
    assert_true(remote_take(rig->partition, remote_rig_lane(rig, "far.b"), &call));
    assert_false(remote_take(rig->partition, remote_rig_lane(rig, "far.b"), &b));
    assert_int_equal(remote_rig_done(rig, "far.a", &a, NULL), STATUS_OK);
    assert_int_equal(remote_rig_done(rig, "far.b", &call, NULL), STATUS_OK);
}

static void limits_said_anew_hold_at_once_and_for_services_to_come(void **state)
{
    struct rig *rig = *state;
    static const struct partition_service_limits other_limits = {"later", {.in_flight_max = 1}};
    static const char of_later[] = SAGA("L", TASK("L", "later.l", "\"End\":true"));
    open_limited(rig, (struct dispatch_limits){.in_flight_max = 1});
    rig_start(rig, rig->plan, "x", "y");
    rig_start(rig, rig->plan, "x", "y");
    remote_rig_take(rig, "far.a");
    struct remote_invocation call;
    assert_false(remote_take(rig->partition, remote_rig_lane(rig, "far.a"), &call));
    partition_set_limits(rig->partition, &other_limits, 1);
    assert_true(remote_take(rig->partition, remote_rig_lane(rig, "far.a"), &call));
    uint32_t later = rig_define(rig, "later", of_later);
    rig_start(rig, later, "x", "y");
    rig_start(rig, later, "x", "y");
    rig_turns(rig, 10);
    uint32_t lane;
    assert_int_equal(remote_open_lane(rig->partition, "later", "l", &lane, NULL), STATUS_OK);
    assert_true(remote_take(rig->partition, lane, &call));
    assert_false(remote_take(rig->partition, lane, &call));
    partition_set_limits(rig->partition, NULL, 0);
    assert_true(remote_take(rig->partition, lane, &call));
}

static void the_lanes_of_a_service_share_its_rate(void **state)
{
    struct rig *rig = *state;
    /* A turn takes 2.5 ms: one in four turns. */
    open_limited(rig, (struct dispatch_limits){.rate_per_s = 100, .burst = 1});
    uint32_t other = rig_define(rig, "other", SAGA("B", TASK("B", "far.b", "\"End\":true")));
    for (int i = 0; i < 10; i++) {
        rig_start(rig, rig->plan, "x", "y");
        rig_start(rig, other, "x", "y");
    }
    rig_turns(rig, 5);
    uint32_t taken = 0;
    uint64_t began_ns = rig_now_ns;
    struct remote_invocation call;
    for (int i = 0; i < 40; i++) {
        taken += remote_take(rig->partition, remote_rig_lane(rig, "far.a"), &call);
        taken += remote_take(rig->partition, remote_rig_lane(rig, "far.b"), &call);
        assert_true(taken <= 1 + (rig_now_ns - began_ns) * 100 / 1000000000u);
        rig_turns(rig, 1);
    }
    assert_in_range(taken, 9, 11);
}

static void compensations_of_a_lane_go_first(void **state)
{
    struct rig *rig = *state;
    /* One handler for both. */
    remote_rig_open(rig,
                    SAGA("A", TASK("A", "far.a",
                                   "\"Compensate\":{\"Resource\":\"service:far.a\"},\"Next\":"
                                   "\"F\"") ",\"F\":{\"Type\":\"Fail\",\"Error\":\"E\",\"Cause\":"
                                            "\"c\"}"));
    rig_start(rig, rig->plan, "x", "y");
    struct remote_invocation call = remote_rig_take(rig, "far.a");
    for (int i = 0; i < 3; i++)
        rig_start(rig, rig->plan, "x", "y");
    rig_turns(rig, 5);
    assert_int_equal(remote_rig_done(rig, "far.a", &call, NULL), STATUS_OK);
    rig_turns(rig, 5);
    call = remote_rig_take(rig, "far.a");
    assert_true(call.saga_id == 1 && call.phase == FLYOVER_COMPENSATION);
}

/* ---- when blocks go ----------------------------------------------------------------------------
 */

static void slow_remote_work_holds_up_no_block(void **state)
{
    struct rig *rig = *state;
    remote_rig_open(rig, of_far);
    rig_start(rig, rig->plan, "x", "y");
    struct remote_invocation slow = remote_rig_take(rig, "far.a");
    rig_turns(rig, 5);
    /* No time passes: what waits for an interval since the last block would wait for ever. */
    for (int i = 0; i < 3; i++) {
        rig_start(rig, rig->plan, "x", "y");
        uint64_t pending_no = partition_pending_no(rig->partition);
        bool worked;
        for (int j = 0; j < 10; j++)
            assert_int_equal(partition_poll(rig->partition, &worked, NULL), STATUS_OK);
        assert_int_equal(partition_durable_no(rig->partition), pending_no);
    }
    assert_int_equal(remote_rig_done(rig, "far.a", &slow, NULL), STATUS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(without_the_option_a_service_that_is_nowhere_is_refused),
        RIG_TEST(a_plug_in_is_not_remote),
        RIG_TEST(names_of_lanes_are_names_and_there_are_so_many_lanes),
        RIG_TEST(a_service_with_tables_is_never_remote),
        RIG_TEST(a_plug_in_without_tables_may_become_remote_and_come_back),
        RIG_TEST(a_step_is_handed_out_once_it_is_durable_and_its_answer_carries_the_saga_on),
        RIG_TEST(near_and_far_steps_go_together),
        RIG_TEST(a_worker_may_come_before_the_definition),
        RIG_TEST(what_a_worker_gets_wrong_fails_the_step),
        RIG_TEST(a_long_name_and_cause_are_cut),
        RIG_TEST(a_step_that_ends_by_token_gives_it_to_the_worker),
        RIG_TEST(the_trace_of_a_saga_goes_to_near_and_far),
        RIG_TEST(a_saga_may_have_to_be_at_its_end_by_a_deadline),
        RIG_TEST(a_deadline_may_pass_before_a_block_is_open),
        RIG_TEST(a_step_that_is_given_back_goes_to_the_front_with_the_same_key),
        RIG_TEST(a_step_is_out_of_time_though_a_worker_has_it),
        RIG_TEST(a_step_that_waits_past_its_time_is_not_handed_out),
        RIG_TEST(what_is_given_back_late_is_gone),
        RIG_TEST(a_cancelled_saga_waits_for_the_worker),
        RIG_TEST(heartbeats_run_from_the_hand_out_and_put_off_the_end),
        RIG_TEST(a_plug_in_is_not_asked_for_heartbeats),
        RIG_TEST(what_is_out_is_not_waited_for_at_the_end_and_goes_again),
        RIG_TEST(a_checkpoint_is_taken_while_remote_work_is_out),
        RIG_TEST(while_the_journal_has_no_room_an_answer_stays_out),
        RIG_TEST(the_lanes_of_a_service_share_its_limit_in_flight),
        RIG_TEST(limits_said_anew_hold_at_once_and_for_services_to_come),
        RIG_TEST(the_lanes_of_a_service_share_its_rate),
        RIG_TEST(compensations_of_a_lane_go_first),
        RIG_TEST(slow_remote_work_holds_up_no_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
