#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/crc32c.h"
#include "engine/partition/checkpoint.h"
#include "tests/partition/rig.h"

/* A checkpoint must be worth its journal: every test compares with a replay from the first block.
 */

static const char definition[] =
    "{\"StartAt\":\"A\",\"States\":{"
    "\"A\":{\"Type\":\"Task\",\"Resource\":\"service:test.a\",\"Compensate\":{\"Resource\":"
    "\"service:test.undo_a\"},\"ResultPath\":\"$.ra\",\"Next\":\"F\"},"
    "\"F\":{\"Type\":\"Task\",\"Resource\":\"service:test.c\",\"FireAndForget\":true,\"Next\":"
    "\"B\"},"
    "\"B\":{\"Type\":\"Task\",\"Resource\":\"service:test.b\",\"Retry\":[{\"ErrorEquals\":["
    "\"Test.Busy\"],\"IntervalSeconds\":3}],\"End\":true}}}";

static void open_engine(struct rig *rig, uint64_t checkpoint_bytes)
{
    struct partition_options options = rig_options(rig, DURABILITY_ASYNC);
    options.checkpoint_bytes = checkpoint_bytes;
    rig_open(rig, &options, definition);
}

/* Starts sagas of every kind, some of which stay behind: waiting for a retry, stuck, running. */
static void start_mixed(struct rig *rig, uint32_t count)
{
    static const char *const inputs[] = {"\x81\xa1x\xa1y",
                                         "\x81\xa6refuse\xa1"
                                         "b",
                                         "\x81\xab"
                                         "always_busy\xa1"
                                         "b",
                                         "\x82\xa6refuse\xa1"
                                         "b\xab"
                                         "refuse_undo\xa1"
                                         "a"};
    for (uint32_t i = 0; i < count; i++) {
        const char *input = inputs[i % 40 == 3 ? 3 : i % 3];
        struct flyover_bytes bytes = {(const uint8_t *)input, (uint32_t)strlen(input)};
        while (partition_start(rig->partition, rig->plan, EVENT_NO_SOURCE, bytes, 1) ==
               STATUS_BUSY) {
            rig_now_ms += 700;
            rig_turn(rig);
        }
    }
}

static void wait_for_checkpoints(struct rig *rig, uint64_t count)
{
    while (partition_counts(rig->partition).checkpoints < count)
        rig_turn(rig);
}

static uint64_t newest_checkpoint(const struct rig *rig, char path[128])
{
    uint64_t newest = 0;
    for (uint64_t block_no = 1; block_no < 20000; block_no++) {
        char name[128];
        snprintf(name, sizeof name, "%s/checkpoint-%llu", rig->directory,
                 (unsigned long long)block_no);
        if (access(name, F_OK) == 0) {
            newest = block_no;
            strcpy(path, name);
        }
    }
    return newest;
}

static void remove_checkpoints_before(const struct rig *rig, uint64_t end_no)
{
    for (uint64_t block_no = 1; block_no < end_no; block_no++) {
        char name[128];
        snprintf(name, sizeof name, "%s/checkpoint-%llu", rig->directory,
                 (unsigned long long)block_no);
        unlink(name);
    }
}

static uint32_t count_checkpoints(const struct rig *rig)
{
    uint32_t count = 0;
    for (uint64_t block_no = 1; block_no < 20000; block_no++) {
        char name[128];
        snprintf(name, sizeof name, "%s/checkpoint-%llu", rig->directory,
                 (unsigned long long)block_no);
        count += access(name, F_OK) == 0;
    }
    return count;
}

/* ---- tests --------------------------------------------------------------------------------------
 */

static void a_start_from_a_checkpoint_gives_the_state_of_the_journal(void **state)
{
    struct rig *rig = *state;
    char live[PARTITION_DIGEST_BYTES], again[PARTITION_DIGEST_BYTES], all[PARTITION_DIGEST_BYTES];
    open_engine(rig, 3000);
    start_mixed(rig, 150);
    wait_for_checkpoints(rig, 1);
    start_mixed(rig, 50);
    rig_stop(rig, live);
    open_engine(rig, 3000);
    assert_true(partition_recovered_from(rig->partition) > 0);
    assert_true(partition_recovery(rig->partition)->first_no >
                partition_recovered_from(rig->partition));
    rig_stop(rig, again);
    assert_string_equal(live, again);
    rig_replay(rig, all);
    assert_string_equal(live, all);
}

static void what_runs_after_such_a_start_is_what_the_journal_replays(void **state)
{
    struct rig *rig = *state;
    char live[PARTITION_DIGEST_BYTES], all[PARTITION_DIGEST_BYTES];
    for (int round = 0; round < 6; round++) {
        open_engine(rig, 1500);
        start_mixed(rig, 60);
        wait_for_checkpoints(rig, 1);
        rig_stop(rig, live);
    }
    rig_replay(rig, all);
    assert_string_equal(live, all);
}

static void only_the_last_two_are_kept(void **state)
{
    struct rig *rig = *state;
    open_engine(rig, 500);
    while (partition_counts(rig->partition).checkpoints < 5) {
        start_mixed(rig, 3);
        rig_turn(rig);
    }
    rig_stop(rig, NULL);
    assert_int_equal(count_checkpoints(rig), 2);
}

static void a_damaged_checkpoint_is_passed_over(void **state)
{
    struct rig *rig = *state;
    char live[PARTITION_DIGEST_BYTES], again[PARTITION_DIGEST_BYTES], path[128];
    open_engine(rig, 1500);
    start_mixed(rig, 100);
    wait_for_checkpoints(rig, 1);
    rig_stop(rig, live);
    uint64_t newest = newest_checkpoint(rig, path);
    struct stat file;
    assert_int_equal(stat(path, &file), 0);
    for (int i = 0; i < 60; i++) {
        off_t at = file.st_size * i / 60;
        int descriptor = open(path, O_RDWR);
        uint8_t byte;
        assert_int_equal(pread(descriptor, &byte, 1, at), 1);
        uint8_t flipped = byte ^ (uint8_t)(1 << i % 8);
        assert_int_equal(pwrite(descriptor, &flipped, 1, at), 1);
        open_engine(rig, 0);
        assert_true(partition_recovered_from(rig->partition) != newest);
        rig_stop(rig, again);
        assert_string_equal(live, again);
        assert_int_equal(pwrite(descriptor, &byte, 1, at), 1);
        close(descriptor);
    }
    open_engine(rig, 0);
    assert_int_equal(partition_recovered_from(rig->partition), newest);
}

static void a_cut_checkpoint_is_passed_over(void **state)
{
    struct rig *rig = *state;
    char live[PARTITION_DIGEST_BYTES], again[PARTITION_DIGEST_BYTES], path[128];
    open_engine(rig, 1500);
    start_mixed(rig, 100);
    wait_for_checkpoints(rig, 1);
    rig_stop(rig, live);
    uint64_t newest = newest_checkpoint(rig, path);
    struct stat file;
    assert_int_equal(stat(path, &file), 0);
    for (int i = 12; i >= 0; i--) {
        assert_int_equal(truncate(path, file.st_size * i / 13), 0);
        open_engine(rig, 0);
        assert_true(partition_recovered_from(rig->partition) != newest);
        rig_stop(rig, again);
        assert_string_equal(live, again);
    }
}

/* Returns the newest checkpoint, whose block the journal has not got any more. */
static uint64_t lose_its_block(struct rig *rig)
{
    char live[PARTITION_DIGEST_BYTES], path[128];
    open_engine(rig, 1500);
    start_mixed(rig, 100);
    wait_for_checkpoints(rig, 1);
    rig_stop(rig, live);
    uint64_t newest = newest_checkpoint(rig, path);

    struct problem problem = {0};
    struct journal *journal;
    struct journal_options writable = {.directory = rig->directory, .durability = DURABILITY_ASYNC};
    assert_int_equal(journal_open(&writable, &journal, &problem), STATUS_OK);
    assert_int_equal(journal_remove_from(journal, newest, &problem), STATUS_OK);
    journal_close(journal);
    return newest;
}

static void one_that_the_journal_does_not_reach_is_passed_over(void **state)
{
    struct rig *rig = *state;
    char live[PARTITION_DIGEST_BYTES], all[PARTITION_DIGEST_BYTES];
    uint64_t newest = lose_its_block(rig);
    struct problem problem = {0};
    struct partition_options options = rig_options(rig, DURABILITY_ASYNC);
    assert_int_equal(partition_open(&options, &rig->partition, &problem), STATUS_LOST);
    options.accept_loss = true;
    rig_open(rig, &options, NULL);
    assert_true(partition_recovered_from(rig->partition) < newest);
    rig_stop(rig, live);
    rig_replay(rig, all);
    assert_string_equal(live, all);
}

/* What stands in it must not be taken for what stands before block 1. */
static void with_no_other_the_journal_is_read_from_its_first_block(void **state)
{
    struct rig *rig = *state;
    char live[PARTITION_DIGEST_BYTES], all[PARTITION_DIGEST_BYTES];
    uint64_t newest = lose_its_block(rig);
    remove_checkpoints_before(rig, newest);
    assert_int_equal(count_checkpoints(rig), 1);
    struct partition_options options = rig_options(rig, DURABILITY_ASYNC);
    options.accept_loss = true;
    rig_open(rig, &options, NULL);
    assert_int_equal(partition_recovered_from(rig->partition), 0);
    assert_int_equal(partition_recovery(rig->partition)->first_no, 1);
    assert_int_equal(partition_recovery(rig->partition)->last_no, newest - 1);
    rig_stop(rig, live);
    rig_replay(rig, all);
    assert_string_equal(live, all);
}

static void a_start_that_is_refused_removes_none(void **state)
{
    struct rig *rig = *state;
    struct problem problem = {0};
    char path[128];
    uint64_t newest = lose_its_block(rig);
    uint32_t count = count_checkpoints(rig);
    struct partition_options options = rig_options(rig, DURABILITY_ASYNC);
    for (int i = 0; i < 3; i++)
        assert_int_equal(partition_open(&options, &rig->partition, &problem), STATUS_LOST);
    rig->partition = NULL;
    assert_int_equal(newest_checkpoint(rig, path), newest);
    assert_int_equal(count_checkpoints(rig), count);
}

static void a_crash_while_one_is_written_leaves_the_one_before(void **state)
{
    struct rig *rig = *state;
    char live[PARTITION_DIGEST_BYTES], all[PARTITION_DIGEST_BYTES];
    for (int round = 1; round < 25; round++) {
        open_engine(rig, 700);
        start_mixed(rig, 3);
        for (int i = 0; i < round; i++)
            rig_turn(rig);
        rig_crash(rig);
    }
    open_engine(rig, 700);
    rig_stop(rig, live);
    rig_replay(rig, all);
    assert_string_equal(live, all);
}

static void with_threads_a_checkpoint_holds_what_its_block_says(void **state)
{
    struct rig *rig = *state;
    struct partition_options options = rig_options(rig, DURABILITY_ASYNC);
    options.checkpoint_bytes = 20000;
    options.threadless = false;
    rig_open(rig, &options, definition);
    struct flyover_bytes input = {(const uint8_t *)"\x81\xa1x\xa1y", 5};
    while (partition_counts(rig->partition).checkpoints < 3) {
        while (partition_start(rig->partition, rig->plan, EVENT_NO_SOURCE, input, 1) == STATUS_OK)
            ;
        rig_turn(rig);
    }
    char live[PARTITION_DIGEST_BYTES], again[PARTITION_DIGEST_BYTES], all[PARTITION_DIGEST_BYTES];
    rig_stop(rig, live);
    open_engine(rig, 0);
    assert_true(partition_recovered_from(rig->partition) > 0);
    rig_stop(rig, again);
    assert_string_equal(live, again);
    rig_replay(rig, all);
    assert_string_equal(live, all);
}

static struct core_moment made(const struct rig *rig, uint32_t plan)
{
    return partition_state(rig->partition)->definitions[plan].made;
}

static void a_definition_is_known_to_be_made_in_its_block(void **state)
{
    struct rig *rig = *state;
    open_engine(rig, 1500);
    int64_t first_ms = rig_now_ms;
    rig_settle(rig);
    rig_now_ms += 60000;
    uint32_t plan = rig_define(rig, "other", definition);
    rig_settle(rig);
    struct core_moment first = made(rig, 0), second = made(rig, plan);
    assert_true(first.block_no > 0 && second.block_no > first.block_no);
    assert_true(first.now_ms == first_ms && second.now_ms == rig_now_ms);
    start_mixed(rig, 100);
    wait_for_checkpoints(rig, 1);
    for (int from_checkpoint = 0; from_checkpoint < 2; from_checkpoint++) {
        char path[128];
        rig_stop(rig, NULL);
        if (!from_checkpoint)
            while (newest_checkpoint(rig, path) > 0)
                assert_int_equal(unlink(path), 0);
        open_engine(rig, from_checkpoint ? 0 : 1500);
        assert_int_equal(partition_recovered_from(rig->partition) > 0, from_checkpoint);
        assert_true(made(rig, 0).block_no == first.block_no);
        assert_true(made(rig, plan).block_no == second.block_no);
        assert_true(made(rig, plan).now_ms == second.now_ms);
        start_mixed(rig, 100);
        if (!from_checkpoint)
            wait_for_checkpoints(rig, 1);
    }
}

/* As a version before wrote it: the place of its only definition is not there. */
static void make_timeless(const char *path)
{
    static uint8_t bytes[1u << 20];
    int file = open(path, O_RDWR);
    ssize_t size = read(file, bytes, sizeof bytes);
    size_t places = (size_t)size - sizeof(uint32_t) - strlen(definition) - 3 * sizeof(uint64_t);
    assert_int_equal(bytes[8], 4);
    bytes[8] = 3;
    memmove(bytes + places, bytes + places + 16, (size_t)size - places - 16);
    size_t end = (size_t)size - 16 - sizeof(uint32_t);
    uint32_t crc = crc32c(0, bytes, end);
    memcpy(bytes + end, &crc, sizeof crc);
    assert_int_equal(ftruncate(file, 0), 0);
    assert_int_equal(pwrite(file, bytes, end + sizeof crc, 0), end + sizeof crc);
    close(file);
}

static void a_checkpoint_of_the_version_before_is_read(void **state)
{
    struct rig *rig = *state;
    char live[PARTITION_DIGEST_BYTES], again[PARTITION_DIGEST_BYTES], path[128];
    open_engine(rig, 1500);
    start_mixed(rig, 100);
    wait_for_checkpoints(rig, 1);
    rig_stop(rig, live);
    uint64_t newest = newest_checkpoint(rig, path);
    make_timeless(path);
    open_engine(rig, 0);
    assert_int_equal(partition_recovered_from(rig->partition), newest);
    assert_int_equal(made(rig, 0).block_no, 0);
    rig_stop(rig, again);
    assert_string_equal(live, again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_start_from_a_checkpoint_gives_the_state_of_the_journal),
        RIG_TEST(what_runs_after_such_a_start_is_what_the_journal_replays),
        RIG_TEST(only_the_last_two_are_kept),
        RIG_TEST(a_damaged_checkpoint_is_passed_over),
        RIG_TEST(a_cut_checkpoint_is_passed_over),
        RIG_TEST(one_that_the_journal_does_not_reach_is_passed_over),
        RIG_TEST(with_no_other_the_journal_is_read_from_its_first_block),
        RIG_TEST(a_start_that_is_refused_removes_none),
        RIG_TEST(a_crash_while_one_is_written_leaves_the_one_before),
        RIG_TEST(with_threads_a_checkpoint_holds_what_its_block_says),
        RIG_TEST(a_definition_is_known_to_be_made_in_its_block),
        RIG_TEST(a_checkpoint_of_the_version_before_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
