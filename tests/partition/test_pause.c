#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "engine/partition/partition_parts.h"
#include "tests/partition/rig.h"
#include "tests/partition/scripted.h"

/* A checkpoint is taken while the engine runs: what it holds, and what a crash, a stop or another
 * one right behind it makes of it. */

static const char definition[] =
    "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Task\",\"Resource\":\"service:test.a\","
    "\"Compensate\":{\"Resource\":\"service:test.undo_a\"},\"ResultPath\":\"$.ra\",\"Next\":\"F\"},"
    "\"F\":{\"Type\":\"Task\",\"Resource\":\"service:test.c\",\"FireAndForget\":true,\"Next\":"
    "\"B\"},\"B\":{\"Type\":\"Task\",\"Resource\":\"service:test.b\",\"End\":true}}}";

static void open_engine(struct rig *rig, bool threads, uint64_t checkpoint_bytes)
{
    struct partition_options options = rig_options(rig, DURABILITY_ASYNC);
    options.threadless = !threads;
    options.now_ns = threads ? NULL : rig_read_ns;
    options.checkpoint_bytes = checkpoint_bytes;
    options.limits.sagas_max = 256;
    rig_open(rig, &options, definition);
}

static void start_some(struct rig *rig, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (rig_try_start(rig, rig->plan, i % 3 == 0 ? "refuse" : "x", "b") != STATUS_OK)
            return;
}

/* ---- what a checkpoint holds --------------------------------------------------------------------
 */

struct until {
    struct partition_state *state;
    uint64_t block_no;
};

static enum status replay_until(void *context, const struct block_header *header,
                                const uint8_t *body, struct problem *problem)
{
    const struct until *until = context;
    if (header->block_no > until->block_no)
        return STATUS_END;
    return partition_state_replay(until->state, header, body, NULL, NULL, problem);
}

static void digest_at(const struct rig *rig, uint64_t block_no, char digest[PARTITION_DIGEST_BYTES])
{
    struct problem problem = {0};
    struct until until = {.block_no = block_no};
    struct journal *journal;
    struct journal_options options = {.directory = rig->directory, .read_only = true};
    assert_int_equal(partition_state_open(&until.state), STATUS_OK);
    assert_int_equal(journal_open(&options, &journal, &problem), STATUS_OK);
    struct recovery_options recovery = {
        .directory = rig->directory, .on_block = replay_until, .context = &until};
    struct recovery_report report;
    if (recovery_run(journal, &recovery, &report, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    assert_true(report.last_no >= block_no);
    partition_state_digest(until.state, digest);
    journal_close(journal);
    partition_state_close(until.state);
}

/* Each that is there holds the state after its block; returns how many there are. */
static uint32_t check_checkpoints(const struct rig *rig)
{
    uint64_t block_nos[8];
    uint32_t count = rig_checkpoints(rig, block_nos, 8);
    for (uint32_t i = 0; i < count; i++) {
        struct problem problem = {0};
        struct partition_state *state;
        struct checkpoint_place place;
        char held[PARTITION_DIGEST_BYTES], replayed[PARTITION_DIGEST_BYTES];
        assert_int_equal(partition_state_open(&state), STATUS_OK);
        assert_int_equal(checkpoint_load(rig->directory, block_nos[i], &state, &place, &problem),
                         STATUS_OK);
        assert_int_equal(place.block_no, block_nos[i]);
        partition_state_digest(state, held);
        partition_state_close(state);
        digest_at(rig, block_nos[i], replayed);
        assert_string_equal(held, replayed);
    }
    return count;
}

static void run_threads(struct rig *rig, uint64_t seed, uint64_t checkpoint_bytes)
{
    open_engine(rig, true, checkpoint_bytes);
    const struct checkpointing *checkpointing = &rig->partition->checkpointing;
    while (partition_counts(rig->partition).checkpoints < 3) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        start_some(rig, (uint32_t)(seed >> 33) % 40);
        rig_turn(rig);
        /* The fork would wait for it, with the workers standing still. */
        assert_false(checkpointing->stage == CHECKPOINT_PAUSING &&
                     checkpointing->mender.has_thread);
        if (seed >> 60 == 0)
            partition_wait(rig->partition, 1000000);
    }
}

static void with_threads_and_load_each_holds_what_the_journal_says_up_to_its_block(void **state)
{
    struct rig *rig = *state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        /* The last few ask for the next as soon as one is done. */
        run_threads(rig, seed, seed > 8 ? 1 : 2000 * seed);
        if (seed % 3 == 0)
            rig_crash(rig);
        else
            rig_assert_replay_agrees(rig);
        assert_int_equal(check_checkpoints(rig), 2);
        rig_remove_directory(rig);
    }
}

static void workers_go_on_after_each(void **state)
{
    struct rig *rig = *state;
    open_engine(rig, true, 1);
    uint64_t started = 0;
    for (int i = 0; i < 20; i++) {
        for (int j = 0; j < 10; j++)
            started += rig_try_start(rig, rig->plan, "x", "y") == STATUS_OK;
        while (rig_totals(rig).ended < started) {
            rig_turn(rig);
            partition_wait(rig->partition, 10000000);
        }
    }
    assert_int_equal(rig_done(rig, "b"), started);
}

static void go_to_stage(struct rig *rig, enum checkpoint_stage stage)
{
    const struct checkpointing *checkpointing = &rig->partition->checkpointing;
    rig_held[PARTITION_CHECKPOINT] = stage == CHECKPOINT_PAUSING;
    while (checkpointing->stage != stage) {
        start_some(rig, 7);
        rig_turn(rig);
        if (checkpointing->stage != stage)
            partition_wait(rig->partition, 1000000);
    }
    memset(rig_held, 0, sizeof rig_held);
}

static void memory_is_mended_when_a_child_is_gone_and_only_then(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < 2; i++) {
        bool threads = i == 1;
        open_engine(rig, threads, 700);
        const struct checkpointing *checkpointing = &rig->partition->checkpointing;
        go_to_stage(rig, CHECKPOINT_PAUSING);
        assert_false(checkpointing->mender.has_thread);
        go_to_stage(rig, CHECKPOINT_SYNCING);
        /* Without threads there was no child. */
        assert_int_equal(checkpointing->mender.has_thread, threads);
        rig_stop(rig, NULL);
        check_checkpoints(rig);
        rig_remove_directory(rig);
    }
}

/* ---- cut short ----------------------------------------------------------------------------------
 */

static const enum checkpoint_stage stages[] = {CHECKPOINT_PAUSING, CHECKPOINT_WRITING,
                                               CHECKPOINT_SYNCING};

static void a_crash_in_any_stage_leaves_the_checkpoints_before(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < 12; i++) {
        open_engine(rig, i % 2 == 1, 700);
        go_to_stage(rig, stages[i / 2 % 3]);
        uint64_t named = partition_counts(rig->partition).checkpoints;
        uint64_t before[8], after[8];
        uint32_t count = rig_checkpoints(rig, before, 8);
        rig_crash(rig);
        assert_int_equal(rig_checkpoints(rig, after, 8), count);
        assert_memory_equal(before, after, count * sizeof *before);
        assert_true(named <= 1000);
        check_checkpoints(rig);
        open_engine(rig, false, 700);
        rig_settle(rig);
        assert_int_equal(rig_totals(rig).ended, rig_totals(rig).started);
        rig_assert_replay_agrees(rig);
    }
    assert_int_equal(check_checkpoints(rig), 2);
}

static void a_stop_in_any_stage_is_a_stop(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < 12; i++) {
        open_engine(rig, i % 2 == 1, 700);
        go_to_stage(rig, stages[i / 2 % 3]);
        rig_assert_replay_agrees(rig);
        check_checkpoints(rig);
    }
}

/* One that is given up: the workers go on, and the next is not put off by it. */
static void one_that_is_dropped_is_followed_by_another(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < 6; i++) {
        open_engine(rig, i % 2 == 1, 700);
        go_to_stage(rig, stages[i / 2 % 3]);
        uint64_t before = partition_counts(rig->partition).checkpoints;
        partition_drop_checkpoint(rig->partition);
        const struct checkpointing *checkpointing = &rig->partition->checkpointing;
        assert_int_equal(checkpointing->stage, CHECKPOINT_IDLE);
        assert_true(checkpointing->bytes_since >= 700);
        while (partition_counts(rig->partition).checkpoints <= before) {
            rig_turn(rig);
            partition_wait(rig->partition, 1000000);
        }
        while (rig_totals(rig).ended < rig_totals(rig).started)
            rig_turn(rig);
        rig_stop(rig, NULL);
        check_checkpoints(rig);
    }
}

/* A service that begins to work while the others pause pauses too. */
static void a_service_that_comes_during_a_pause_does_not_hold_it_up(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < 2; i++) {
        open_engine(rig, i == 1, 700);
        go_to_stage(rig, CHECKPOINT_PAUSING);
        uint32_t plan = rig_define(rig, "plain",
                                   "{\"StartAt\":\"P\",\"States\":{\"P\":{\"Type\":\"Task\","
                                   "\"Resource\":\"service:plain.p\",\"End\":true}}}");
        uint64_t before = partition_counts(rig->partition).checkpoints;
        while (partition_counts(rig->partition).checkpoints <= before) {
            rig_turn(rig);
            partition_wait(rig->partition, 1000000);
        }
        rig_start(rig, plan, "x", "y");
        while (rig_totals(rig).ended < rig_totals(rig).started)
            rig_turn(rig);
        rig_stop(rig, NULL);
        check_checkpoints(rig);
        rig_remove_directory(rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(with_threads_and_load_each_holds_what_the_journal_says_up_to_its_block),
        RIG_TEST(workers_go_on_after_each),
        RIG_TEST(memory_is_mended_when_a_child_is_gone_and_only_then),
        RIG_TEST(a_crash_in_any_stage_leaves_the_checkpoints_before),
        RIG_TEST(a_stop_in_any_stage_is_a_stop),
        RIG_TEST(one_that_is_dropped_is_followed_by_another),
        RIG_TEST(a_service_that_comes_during_a_pause_does_not_hold_it_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
