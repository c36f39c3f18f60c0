#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/history/history.h"
#include "engine/partition/partition_parts.h"
#include "tests/partition/rig.h"
#include "tests/partition/scripted.h"

/* What of the journal is given up behind a checkpoint, and what must not be. */

#define CHECKPOINT_BYTES 600u

static const char definition[] =
    "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Task\",\"Resource\":\"service:test.a\","
    "\"Compensate\":{\"Resource\":\"service:test.undo_a\"},\"ResultPath\":\"$.ra\",\"Next\":\"B\"},"
    "\"B\":{\"Type\":\"Task\",\"Resource\":\"service:test.b\",\"End\":true}}}";

static struct partition_options options_of(const struct rig *rig, uint64_t history_bytes,
                                           uint64_t history_ms)
{
    struct partition_options options = rig_options(rig, DURABILITY_ASYNC);
    options.now_ns = rig_read_ns;
    options.checkpoint_bytes = CHECKPOINT_BYTES;
    options.history_bytes = history_bytes;
    options.history_ms = history_ms;
    return options;
}

static void open_kept(struct rig *rig, uint64_t history_bytes, uint64_t history_ms)
{
    struct partition_options options = options_of(rig, history_bytes, history_ms);
    rig_open(rig, &options, definition);
}

/* Sagas, some of which fail, until there are so many more checkpoints. */
static void make_checkpoints(struct rig *rig, uint32_t count)
{
    uint64_t wanted = partition_counts(rig->partition).checkpoints + count;
    for (uint32_t i = 0; partition_counts(rig->partition).checkpoints < wanted; i++) {
        assert_true(i < 100000);
        rig_now_ms += 10;
        enum status status = rig_try_start(rig, rig->plan, i % 3 == 0 ? "refuse" : "x", "b");
        assert_true(status == STATUS_OK || status == STATUS_BUSY);
        rig_turn(rig);
    }
}

static void run_checkpoints(struct rig *rig, uint32_t count)
{
    make_checkpoints(rig, count);
    rig_settle(rig);
    /* The last one may just have got its name: what it gives up goes in the next turn. */
    while (rig->partition->checkpointing.stage != CHECKPOINT_IDLE)
        rig_turn(rig);
    rig_turn(rig);
}

static uint64_t first_no(const struct rig *rig)
{
    return journal_first_no(rig->partition->journal);
}

static uint32_t newest_two(const struct rig *rig, uint64_t ret_nos[2])
{
    uint64_t nos[8];
    uint32_t count = rig_checkpoints(rig, nos, 8);
    for (uint32_t i = 0; i < count && i < 2; i++)
        ret_nos[i] = nos[i];
    return count;
}

/* ---- what goes --------------------------------------------------------------------------------
 */

static void without_history_the_journal_begins_at_the_older_checkpoint(void **state)
{
    struct rig *rig = *state;
    open_kept(rig, 0, 0);
    make_checkpoints(rig, 1);
    assert_int_equal(first_no(rig), 1);
    for (int i = 0; i < 10; i++) {
        run_checkpoints(rig, 1);
        uint64_t nos[2];
        assert_int_equal(newest_two(rig, nos), 2);
        /* The block of the older one is kept with what is behind it: a start from there looks
         * whether the journal has it. */
        assert_int_equal(first_no(rig), nos[1]);
    }
}

static void with_room_for_all_of_it_nothing_goes(void **state)
{
    struct rig *rig = *state;
    open_kept(rig, UINT64_MAX, 0);
    run_checkpoints(rig, 10);
    assert_int_equal(first_no(rig), 1);
}

/* Blocks of the journal that are kept hold at least history_bytes, and no more than that and what
 * lies between two checkpoints. */
static void what_is_kept_has_the_bytes_that_history_asks_for(void **state)
{
    struct rig *rig = *state;
    open_kept(rig, 10 * CHECKPOINT_BYTES, 0);
    const struct checkpointing *checkpointing = &rig->partition->checkpointing;
    bool trimmed = false;
    for (int i = 0; i < 40; i++) {
        run_checkpoints(rig, 1);
        uint64_t kept_no = first_no(rig);
        if (kept_no == 1)
            continue;
        trimmed = true;
        const struct milestone *oldest = &checkpointing->milestones[0];
        assert_int_equal(kept_no, oldest->block_no);
        uint64_t newest_bytes =
            checkpointing->milestones[checkpointing->milestones_count - 1].journal_bytes;
        assert_true(newest_bytes - oldest->journal_bytes > 9 * CHECKPOINT_BYTES);
        assert_true(newest_bytes - oldest->journal_bytes < 14 * CHECKPOINT_BYTES);
    }
    assert_true(trimmed);
}

static void what_is_older_than_history_asks_for_goes_though_there_is_room(void **state)
{
    struct rig *rig = *state;
    open_kept(rig, UINT64_MAX, 60000);
    run_checkpoints(rig, 5);
    assert_int_equal(first_no(rig), 1);
    rig_now_ms += 3600000;
    make_checkpoints(rig, 1);
    rig_turn(rig);
    uint64_t nos[2];
    newest_two(rig, nos);
    assert_int_equal(first_no(rig), nos[1]);
}

static void each_run_takes_one_checkpoint_and_the_journal_is_trimmed_all_the_same(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < 20; i++) {
        open_kept(rig, 4 * CHECKPOINT_BYTES, 0);
        make_checkpoints(rig, 1);
        rig_stop(rig, NULL);
    }
    open_kept(rig, 4 * CHECKPOINT_BYTES, 0);
    uint64_t newest_bytes = rig->partition->checkpointing.journal_bytes;
    assert_true(newest_bytes > 20 * CHECKPOINT_BYTES);
    assert_true(first_no(rig) > 1);
}

static void milestones_are_thinned_out_where_they_are_old_and_the_journal_still_kept(void **state)
{
    struct rig *rig = *state;
    open_kept(rig, UINT64_MAX, 0);
    struct checkpointing *checkpointing = &rig->partition->checkpointing;
    for (uint32_t i = 1; i <= MILESTONES_MAX + 100; i++) {
        make_checkpoints(rig, 1);
        assert_true(checkpointing->milestones_count <= MILESTONES_MAX);
        for (uint32_t j = 1; j < checkpointing->milestones_count; j++) {
            assert_true(checkpointing->milestones[j - 1].block_no <
                        checkpointing->milestones[j].block_no);
            assert_true(checkpointing->milestones[j - 1].journal_bytes <
                        checkpointing->milestones[j].journal_bytes);
        }
    }
    assert_true(checkpointing->milestones_count > MILESTONES_MAX / 2);
    assert_int_equal(first_no(rig), 1);
    /* They still reach back to near the beginning. */
    assert_true(16 * checkpointing->milestones[0].journal_bytes <
                checkpointing->milestones[checkpointing->milestones_count - 1].journal_bytes);
    /* And the rule holds for those that are left. */
    uint64_t newest_bytes =
        checkpointing->milestones[checkpointing->milestones_count - 1].journal_bytes;
    uint64_t all_bytes = newest_bytes - checkpointing->milestones[0].journal_bytes;
    rig_stop(rig, NULL);
    open_kept(rig, all_bytes / 2, 0);
    run_checkpoints(rig, 1);
    checkpointing = &rig->partition->checkpointing;
    uint64_t kept_bytes =
        checkpointing->milestones[checkpointing->milestones_count - 1].journal_bytes -
        checkpointing->milestones[0].journal_bytes;
    assert_int_equal(first_no(rig), checkpointing->milestones[0].block_no);
    assert_true(kept_bytes >= all_bytes / 2);
    assert_true(kept_bytes < all_bytes / 2 + 8 * CHECKPOINT_BYTES);
}

/* ---- what a start may need --------------------------------------------------------------------
 */

static void a_start_from_either_of_the_two_checkpoints_gives_the_same_state(void **state)
{
    struct rig *rig = *state;
    char live[PARTITION_DIGEST_BYTES], again[PARTITION_DIGEST_BYTES];
    open_kept(rig, 0, 0);
    run_checkpoints(rig, 7);
    rig_start(rig, rig->plan, "refuse", "b");
    rig_settle(rig);
    uint64_t nos[2];
    assert_int_equal(newest_two(rig, nos), 2);
    rig_stop(rig, live);
    struct partition_options options = options_of(rig, 0, 0);
    options.checkpoint_bytes = 0;
    rig_open(rig, &options, NULL);
    assert_int_equal(partition_recovered_from(rig->partition), nos[0]);
    rig_stop(rig, again);
    assert_string_equal(live, again);
    rig_damage_checkpoint(rig, nos[0]);
    rig_open(rig, &options, NULL);
    assert_int_equal(partition_recovered_from(rig->partition), nos[1]);
    rig_stop(rig, again);
    assert_string_equal(live, again);
}

/* A power loss can bring back a checkpoint that was removed. */
static void what_is_left_is_read_from_the_oldest_checkpoint_that_does_for_it(void **state)
{
    struct rig *rig = *state;
    open_kept(rig, 0, 0);
    run_checkpoints(rig, 3);
    uint64_t before[2], after[2];
    assert_int_equal(newest_two(rig, before), 2);
    char name[128], aside[128];
    snprintf(name, sizeof name, "%s/checkpoint-%llu", rig->directory,
             (unsigned long long)before[1]);
    snprintf(aside, sizeof aside, "%s/aside", rig->directory);
    assert_int_equal(link(name, aside), 0);
    run_checkpoints(rig, 3);
    assert_int_equal(newest_two(rig, after), 2);
    assert_int_equal(rename(aside, name), 0);
    struct partition_state *read;
    struct checkpoint_place place;
    struct problem problem = {0};
    assert_int_equal(partition_state_open(&read), STATUS_OK);
    assert_int_equal(checkpoint_load_oldest(rig->directory, first_no(rig), &read, &place, &problem),
                     STATUS_OK);
    assert_int_equal(place.block_no, after[1]);
    partition_state_close(read);
}

/* A start has passed over it: what is kept from then on does for the loss of another. */
static void a_damaged_one_does_not_count_as_one_of_the_two(void **state)
{
    struct rig *rig = *state;
    char live[PARTITION_DIGEST_BYTES], again[PARTITION_DIGEST_BYTES];
    open_kept(rig, 0, 0);
    run_checkpoints(rig, 5);
    uint64_t before[2], after[2];
    assert_int_equal(newest_two(rig, before), 2);
    rig_stop(rig, NULL);
    rig_damage_checkpoint(rig, before[0]);
    open_kept(rig, 0, 0);
    assert_int_equal(partition_recovered_from(rig->partition), before[1]);
    make_checkpoints(rig, 1);
    assert_int_equal(newest_two(rig, after), 2);
    assert_int_equal(after[1], before[1]);
    rig_turn(rig);
    assert_int_equal(first_no(rig), before[1]);
    rig_stop(rig, live);
    rig_damage_checkpoint(rig, after[0]);
    struct partition_options options = options_of(rig, 0, 0);
    options.checkpoint_bytes = 0;
    rig_open(rig, &options, NULL);
    assert_int_equal(partition_recovered_from(rig->partition), before[1]);
    rig_stop(rig, again);
    assert_string_equal(live, again);
}

/* Files of the journal that hold nothing but what was given up are dropped: with write buffers of a
 * few blocks that is soon. What is left must do for a start from the older checkpoint. */
static void a_start_from_the_older_one_finds_its_block_though_files_were_dropped(void **state)
{
    struct rig *rig = *state;
    char live[PARTITION_DIGEST_BYTES], again[PARTITION_DIGEST_BYTES];
    struct problem problem = {0};
    struct journal_options small = {.directory = rig->directory,
                                    .durability = DURABILITY_ASYNC,
                                    .create = true,
                                    .write_buffer_bytes = 64u << 10};
    struct partition_options options = options_of(rig, 0, 0);
    assert_int_equal(journal_open(&small, &options.journal, &problem), STATUS_OK);
    options.checkpoint_bytes = 300000;
    rig_open(rig, &options, definition);
    static uint8_t large[100000] = {0x81, 0xa1, 'x', 0xdb, 0x00, 0x01, 0x86, 0x98};
    memset(large + 8, 'y', sizeof large - 8);
    struct flyover_bytes input = {large, sizeof large};
    uint64_t nos[2] = {0}, stored_no = 0;
    for (int i = 0; i < 200; i++) {
        assert_int_equal(partition_start(rig->partition, rig->plan, EVENT_NO_SOURCE, input, 1),
                         STATUS_OK);
        rig_settle(rig);
        while (journal_dropping(options.journal))
            ;
        assert_int_equal(journal_first_stored_no(options.journal, &stored_no, &problem), STATUS_OK);
        if (newest_two(rig, nos) == 2)
            assert_true(stored_no <= nos[1]);
    }
    assert_true(stored_no > 1);
    rig_stop(rig, live);
    journal_close(options.journal);

    rig_damage_checkpoint(rig, nos[0]);
    options.journal = NULL;
    options.checkpoint_bytes = 0;
    rig_open(rig, &options, NULL);
    assert_int_equal(partition_recovered_from(rig->partition), nos[1]);
    rig_stop(rig, again);
    assert_string_equal(live, again);
}

static void expect_in_history(const struct rig *rig, uint64_t saga_id)
{
    struct history *history;
    struct history_saga saga;
    struct problem problem = {0};
    assert_int_equal(history_open(rig->directory, &history, &problem), STATUS_OK);
    assert_int_equal(history_find(history, saga_id, &saga, &problem), STATUS_OK);
    assert_int_equal(saga.outcome, OUTCOME_SUCCEEDED);
    history_close(history);
}

/* And nothing is changed by that: what was damaged may be put back. */
static void with_both_damaged_a_trimmed_journal_is_refused_in_words(void **state)
{
    struct rig *rig = *state;
    open_kept(rig, 0, 0);
    uint64_t saga_id = rig_start(rig, rig->plan, "x", "y");
    run_checkpoints(rig, 5);
    uint64_t nos[2];
    assert_int_equal(newest_two(rig, nos), 2);
    rig_stop(rig, NULL);
    rig_damage_checkpoint(rig, nos[0]);
    rig_damage_checkpoint(rig, nos[1]);
    struct partition_options options = options_of(rig, 0, 0);
    for (int i = 0; i < 2; i++) {
        struct problem problem = {0};
        options.accept_loss = i == 1;
        assert_int_equal(partition_open(&options, &rig->partition, &problem), STATUS_LOST);
        char sentence[300];
        snprintf(sentence, sizeof sentence,
                 "blocks 1 to %llu were given up because a checkpoint held them, and that "
                 "checkpoint cannot be read: put the data directory back from a backup "
                 "(--accept-loss cannot mend this)",
                 (unsigned long long)nos[1] - 1);
        assert_string_equal(problem.text, sentence);
        rig->partition = NULL;
    }
    uint64_t left[2];
    assert_int_equal(newest_two(rig, left), 2);
    expect_in_history(rig, saga_id);
    rig_damage_checkpoint(rig, nos[0]);
    open_kept(rig, 0, 0);
    assert_int_equal(partition_recovered_from(rig->partition), nos[0]);
    assert_string_equal(partition_history_problem(rig->partition), "");
}

/* ---- history ----------------------------------------------------------------------------------
 */

static void remove_history(const struct rig *rig)
{
    struct rig inside = *rig;
    strcat(inside.directory, "/history");
    rig_remove_directory(&inside);
}

static void the_journal_without_an_index_opens_and_says_what_is_missing(void **state)
{
    struct rig *rig = *state;
    char live[PARTITION_DIGEST_BYTES], again[PARTITION_DIGEST_BYTES];
    open_kept(rig, UINT64_MAX, 0);
    assert_string_equal(partition_history_problem(rig->partition), "");
    run_checkpoints(rig, 3);
    rig_stop(rig, live);
    remove_history(rig);
    open_kept(rig, UINT64_MAX, 0);
    char sentence[128];
    snprintf(sentence, sizeof sentence,
             "the history has nothing of blocks 1 to %llu, which the journal can give again",
             (unsigned long long)partition_recovered_from(rig->partition));
    assert_string_equal(partition_history_problem(rig->partition), sentence);
    uint64_t saga_id = rig_start(rig, rig->plan, "x", "y");
    rig_settle(rig);
    rig_stop(rig, again);
    /* From now on it is kept. */
    expect_in_history(rig, saga_id);
    assert_string_not_equal(live, again);
}

static void of_a_trimmed_journal_it_says_what_can_be_had_again(void **state)
{
    struct rig *rig = *state;
    open_kept(rig, 3 * CHECKPOINT_BYTES, 0);
    run_checkpoints(rig, 12);
    uint64_t nos[2];
    assert_int_equal(newest_two(rig, nos), 2);
    assert_true(first_no(rig) > 1 && first_no(rig) < nos[1]);
    rig_stop(rig, NULL);
    remove_history(rig);
    struct partition_options options = options_of(rig, 3 * CHECKPOINT_BYTES, 0);
    options.checkpoint_bytes = 0;
    rig_open(rig, &options, NULL);
    assert_int_equal(newest_two(rig, nos), 2);
    char sentence[256];
    snprintf(sentence, sizeof sentence,
             "the history has nothing of blocks 1 to %llu, of which the journal can give again "
             "those from %llu on: it was trimmed, and is replayed from a checkpoint",
             (unsigned long long)nos[0], (unsigned long long)nos[1] + 1);
    assert_string_equal(partition_history_problem(rig->partition), sentence);
    rig_crash(rig);
    remove_history(rig);
    rig_damage_checkpoint(rig, nos[0]);
    rig_open(rig, &options, NULL);
    assert_int_equal(partition_recovered_from(rig->partition), nos[1]);
    snprintf(sentence, sizeof sentence,
             "the history has nothing of blocks 1 to %llu, and the journal cannot give them again: "
             "it was trimmed, and is replayed from a checkpoint behind them",
             (unsigned long long)nos[1]);
    assert_string_equal(partition_history_problem(rig->partition), sentence);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(without_history_the_journal_begins_at_the_older_checkpoint),
        RIG_TEST(with_room_for_all_of_it_nothing_goes),
        RIG_TEST(what_is_kept_has_the_bytes_that_history_asks_for),
        RIG_TEST(what_is_older_than_history_asks_for_goes_though_there_is_room),
        RIG_TEST(each_run_takes_one_checkpoint_and_the_journal_is_trimmed_all_the_same),
        RIG_TEST(milestones_are_thinned_out_where_they_are_old_and_the_journal_still_kept),
        RIG_TEST(a_start_from_either_of_the_two_checkpoints_gives_the_same_state),
        RIG_TEST(what_is_left_is_read_from_the_oldest_checkpoint_that_does_for_it),
        RIG_TEST(a_damaged_one_does_not_count_as_one_of_the_two),
        RIG_TEST(a_start_from_the_older_one_finds_its_block_though_files_were_dropped),
        RIG_TEST(with_both_damaged_a_trimmed_journal_is_refused_in_words),
        RIG_TEST(the_journal_without_an_index_opens_and_says_what_is_missing),
        RIG_TEST(of_a_trimmed_journal_it_says_what_can_be_had_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
