#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "tests/partition/rig.h"
#include "tests/partition/scripted.h"

/* What replies say of sagas that have ended or are stuck. */

static const char two_steps[] =
    "{\"StartAt\":\"A\",\"States\":{"
    "\"A\":{\"Type\":\"Task\",\"Resource\":\"service:test.a\",\"ResultPath\":\"$.a\","
    "\"Compensate\":{\"Resource\":\"service:test.undo_a\"},\"Next\":\"B\"},"
    "\"B\":{\"Type\":\"Task\",\"Resource\":\"service:test.b\",\"End\":true}}}";
static const char parallel[] =
    "{\"Compensation\":{\"Order\":\"Parallel\"},\"StartAt\":\"A\",\"States\":{"
    "\"A\":{\"Type\":\"Task\",\"Resource\":\"service:test.a\",\"ResultPath\":null,"
    "\"Compensate\":{\"Resource\":\"service:test.undo_a\"},\"Next\":\"A2\"},"
    "\"A2\":{\"Type\":\"Task\",\"Resource\":\"service:test.a\",\"ResultPath\":null,"
    "\"Compensate\":{\"Resource\":\"service:test.undo_a\"},\"Next\":\"B\"},"
    "\"B\":{\"Type\":\"Task\",\"Resource\":\"service:test.b\",\"End\":true}}}";
static const char at_once[] = "{\"StartAt\":\"S\",\"States\":{\"S\":{\"Type\":\"Succeed\"}}}";
static const char a_wait[] =
    "{\"StartAt\":\"W\",\"States\":{\"W\":{\"Type\":\"Wait\",\"Seconds\":9,"
    "\"End\":true}}}";

static void open_with(struct rig *rig, const char *definition)
{
    struct partition_options options = rig_options(rig, DURABILITY_ASYNC);
    options.now_ns = rig_read_ns;
    rig_open(rig, &options, definition);
}

static uint64_t start(struct rig *rig, const char *key, const char *value, uint64_t token,
                      bool wants_output)
{
    struct problem problem = {0};
    uint64_t saga_id;
    struct partition_start_options options = {.plan = rig->plan,
                                              .input = rig_input(key, value),
                                              .token = token,
                                              .wants_output = wants_output};
    if (partition_start_with(rig->partition, &options, &saga_id, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    return saga_id;
}

static void turn(struct rig *rig)
{
    bool worked;
    rig_now_ns += PARTITION_SEAL_INTERVAL_NS;
    assert_int_equal(partition_poll(rig->partition, &worked, NULL), STATUS_OK);
}

static struct reply next(struct rig *rig)
{
    struct reply reply;
    for (int i = 0; i < 100; i++) {
        if (partition_next_reply(rig->partition, &reply))
            return reply;
        turn(rig);
    }
    fail_msg("no reply comes");
    return reply;
}

static void assert_no_reply(struct rig *rig)
{
    struct reply reply;
    for (int i = 0; i < 30; i++) {
        turn(rig);
        assert_false(partition_next_reply(rig->partition, &reply));
    }
}

static void assert_text(struct flyover_bytes bytes, const char *text)
{
    assert_int_equal(bytes.count, strlen(text));
    if (bytes.count > 0)
        assert_memory_equal(bytes.at, text, bytes.count);
}

static void who_does_not_ask_is_told_the_outcome_alone(void **state)
{
    struct rig *rig = *state;
    open_with(rig, two_steps);
    uint64_t saga_id = start(rig, "x", "y", 5, false);
    struct reply reply = next(rig);
    assert_true(reply.token == 5 && reply.saga_id == saga_id);
    assert_int_equal(reply.outcome, OUTCOME_SUCCEEDED);
    assert_true(reply.block_no == 0 && reply.output.count == 0 && reply.error.count == 0);
    start(rig, "x", "y", 0, false);
    assert_no_reply(rig);
}

static void a_reply_brings_the_output(void **state)
{
    struct rig *rig = *state;
    open_with(rig, two_steps);
    uint64_t saga_id = start(rig, "x", "y", 5, true);
    struct reply reply = next(rig);
    assert_true(reply.token == 5 && reply.saga_id == saga_id && reply.plan == rig->plan);
    assert_int_equal(reply.outcome, OUTCOME_SUCCEEDED);
    /* {"o": "b"} */
    assert_text(reply.output, "\x81\xa1o\xa1"
                              "b");
    assert_false(reply.output_omitted);
    assert_int_equal(reply.ended_ms, rig_now_ms);
    assert_int_equal(reply.block_no, partition_durable_no(rig->partition));
    assert_int_equal(reply.error.count + reply.cause.count, 0);
}

static void a_saga_that_ends_as_it_starts_has_an_output_too(void **state)
{
    struct rig *rig = *state;
    open_with(rig, at_once);
    for (uint32_t i = 0; i < 3; i++)
        start(rig, "x", "y", 1 + i, i != 1);
    for (uint32_t i = 0; i < 3; i++) {
        struct reply reply = next(rig);
        assert_int_equal(reply.token, 1 + i);
        if (i == 1) {
            assert_int_equal(reply.block_no, 0);
            continue;
        }
        assert_int_equal(reply.index, i);
        assert_memory_equal(reply.output.at, rig_input("x", "y").at, reply.output.count);
    }
}

static void a_reply_brings_the_error(void **state)
{
    struct rig *rig = *state;
    open_with(rig, two_steps);
    start(rig, "refuse", "b", 5, true);
    struct reply reply = next(rig);
    assert_int_equal(reply.outcome, OUTCOME_COMPENSATED);
    assert_text(reply.error, "Test.Refused");
    assert_text(reply.cause, "step b was told to refuse");
    assert_int_equal(reply.output.count, 0);
    start(rig, "refuse", "a", 6, true);
    reply = next(rig);
    assert_true(reply.token == 6 && reply.outcome == OUTCOME_FAILED);
    assert_text(reply.cause, "step a was told to refuse");
}

static void what_runs_already_can_be_awaited(void **state)
{
    struct rig *rig = *state;
    open_with(rig, a_wait);
    uint64_t with_token = start(rig, "x", "y", 5, false);
    uint64_t without = start(rig, "x", "z", 0, false);
    turn(rig);
    assert_true(partition_await(rig->partition, with_token));
    assert_true(partition_await(rig->partition, without));
    assert_true(partition_await(rig->partition, without));
    assert_false(partition_await(rig->partition, without + 1));
    rig_now_ms += 9000;
    struct reply reply = next(rig);
    assert_true(reply.token == 5 && reply.saga_id == with_token);
    assert_memory_equal(reply.output.at, rig_input("x", "y").at, reply.output.count);
    assert_true(reply.output.count > 0);
    reply = next(rig);
    assert_true(reply.token == 0 && reply.saga_id == without);
    assert_memory_equal(reply.output.at, rig_input("x", "z").at, reply.output.count);
    assert_false(partition_await(rig->partition, without));
    assert_no_reply(rig);
}

static void a_watch_hears_of_every_end_by_block_and_index(void **state)
{
    struct rig *rig = *state;
    open_with(rig, at_once);
    start(rig, "x", "y", 0, false);
    start(rig, "x", "y", 0, false);
    partition_watch(rig->partition, true);
    for (int i = 0; i < 3; i++)
        start(rig, "x", "y", 0, false);
    uint64_t block_no = partition_pending_no(rig->partition);
    for (uint32_t i = 0; i < 3; i++) {
        struct reply reply = next(rig);
        assert_true(reply.token == 0 && reply.saga_id == 3 + i && reply.block_no == block_no);
        /* The two before the watch count too. */
        assert_int_equal(reply.index, 2 + i);
        assert_int_equal(reply.output.count, 0);
    }
    start(rig, "x", "y", 0, false);
    struct reply reply = next(rig);
    assert_true(reply.block_no > block_no && reply.index == 0);
    partition_watch(rig->partition, false);
    start(rig, "x", "y", 0, false);
    assert_no_reply(rig);
}

static void the_watch_is_off_when_all_who_have_it_on_are_done(void **state)
{
    struct rig *rig = *state;
    open_with(rig, at_once);
    partition_watch(rig->partition, true);
    partition_watch_outputs(rig->partition, true);
    start(rig, "x", "y", 0, false);
    struct reply reply = next(rig);
    assert_true(reply.token == 0 && reply.saga_id == 1);
    assert_memory_equal(reply.output.at, rig_input("x", "y").at, reply.output.count);
    assert_true(reply.output.count > 0);
    partition_watch_outputs(rig->partition, false);
    start(rig, "x", "y", 0, false);
    reply = next(rig);
    assert_true(reply.saga_id == 2 && reply.block_no > 0 && reply.output.count == 0);
    partition_watch(rig->partition, false);
    start(rig, "x", "y", 0, false);
    assert_no_reply(rig);
}

static void a_watch_hears_once_that_a_saga_is_stuck_and_again_of_its_end(void **state)
{
    struct rig *rig = *state;
    static const char *const definitions[] = {two_steps, parallel};
    open_with(rig, two_steps);
    partition_watch(rig->partition, true);
    for (size_t i = 0; i < 2; i++) {
        rig->plan = rig_define(rig, "test", definitions[i]);
        /* {"refuse": "b", "refuse_undo": "a"} */
        struct partition_start_options options = {.plan = rig->plan,
                                                  .token = 5,
                                                  .input = rig_text("\x82\xa6refuse\xa1"
                                                                    "b\xabrefuse_undo\xa1"
                                                                    "a")};
        struct problem problem = {0};
        uint64_t saga_id;
        assert_int_equal(partition_start_with(rig->partition, &options, &saga_id, &problem),
                         STATUS_OK);
        struct reply reply = next(rig);
        assert_true(reply.saga_id == saga_id && reply.token == 5);
        assert_int_equal(reply.outcome, OUTCOME_STUCK);
        assert_text(reply.error, "Test.Refused");
        assert_no_reply(rig);
        assert_false(partition_await(rig->partition, saga_id));
        assert_int_equal(partition_mend(rig->partition, saga_id, MEND_RESOLVE,
                                        (struct flyover_bytes){0}, rig_text("as told"), &problem),
                         STATUS_OK);
        reply = next(rig);
        assert_true(reply.saga_id == saga_id && reply.token == 0);
        assert_int_equal(reply.outcome, OUTCOME_COMPENSATED);
        assert_no_reply(rig);
    }
}

static void outputs_that_have_no_room_are_omitted_and_nothing_waits(void **state)
{
    struct rig *rig = *state;
    struct partition_options options = rig_options(rig, DURABILITY_ASYNC);
    options.limits = (struct core_limits){.sagas_max = 256, .payload_bytes_max = 256u << 20};
    options.now_ns = rig_read_ns;
    rig_open(rig, &options, at_once);
    static uint8_t input[200005] = {0xc6, 0, 3, 0x0d, 0x40};
    struct partition_start_options start = {
        .plan = rig->plan, .input = {input, sizeof input}, .token = 1, .wants_output = true};
    struct problem problem = {0};
    uint64_t saga_id, there = 0;
    for (int i = 0; i < 120; i++) {
        if (partition_start_with(rig->partition, &start, &saga_id, &problem) != STATUS_OK)
            fail_msg("%s", problem.text);
        turn(rig);
    }
    for (int i = 0; i < 120; i++) {
        struct reply reply = next(rig);
        assert_true(reply.block_no > 0);
        assert_true(reply.output_omitted == (reply.output.count == 0));
        there += reply.output.count > 0;
    }
    assert_in_range(there, 40, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(who_does_not_ask_is_told_the_outcome_alone),
        RIG_TEST(a_reply_brings_the_output),
        RIG_TEST(a_saga_that_ends_as_it_starts_has_an_output_too),
        RIG_TEST(a_reply_brings_the_error),
        RIG_TEST(what_runs_already_can_be_awaited),
        RIG_TEST(a_watch_hears_of_every_end_by_block_and_index),
        RIG_TEST(the_watch_is_off_when_all_who_have_it_on_are_done),
        RIG_TEST(a_watch_hears_once_that_a_saga_is_stuck_and_again_of_its_end),
        RIG_TEST(outputs_that_have_no_room_are_omitted_and_nothing_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
