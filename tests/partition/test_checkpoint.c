#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/partition/checkpoint.h"
#include "engine/partition/partition.h"
#include "tests/partition/scripted.h"

/* A checkpoint must be worth its journal: every test compares with a replay from the first block.
 */

static int64_t fake_now_ms;

static int64_t fake_wall_ms(void)
{
    return fake_now_ms;
}

static const char definition[] =
    "{\"StartAt\":\"A\",\"States\":{"
    "\"A\":{\"Type\":\"Task\",\"Resource\":\"service:test.a\",\"Compensate\":{\"Resource\":"
    "\"service:test.undo_a\"},\"ResultPath\":\"$.ra\",\"Next\":\"F\"},"
    "\"F\":{\"Type\":\"Task\",\"Resource\":\"service:test.c\",\"FireAndForget\":true,\"Next\":"
    "\"B\"},"
    "\"B\":{\"Type\":\"Task\",\"Resource\":\"service:test.b\",\"Retry\":[{\"ErrorEquals\":["
    "\"Test.Busy\"],\"IntervalSeconds\":3}],\"End\":true}}}";

struct fixture {
    char directory[64];
    struct partition *partition;
    uint32_t plan;
};

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static int set_up(void **state)
{
    static struct fixture fixture;
    strcpy(fixture.directory, "/tmp/test_checkpoint_XXXXXX");
    assert_non_null(mkdtemp(fixture.directory));
    fixture.partition = NULL;
    fake_now_ms = 1000000;
    scripted_reset();
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    partition_free(fixture->partition);
    nftw(fixture->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static void open_engine(struct fixture *fixture, uint64_t checkpoint_bytes)
{
    struct problem problem = {0};
    struct partition_options options = {
        .directory = fixture->directory,
        .durability = DURABILITY_ASYNC,
        .limits = {.sagas_max = 64, .payload_bytes_max = 16u << 20},
        .built_in = {&scripted_service},
        .built_in_count = 1,
        .checkpoint_bytes = checkpoint_bytes,
        .threadless = true,
        .wall_ms = fake_wall_ms,
    };
    if (partition_open(&options, &fixture->partition, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    if (partition_define(fixture->partition, "test", "test", definition, sizeof definition - 1,
                         &fixture->plan, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
}

static void turn(struct fixture *fixture)
{
    bool worked;
    struct problem problem = {0};
    if (partition_poll(fixture->partition, &worked, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    struct reply reply;
    while (partition_next_reply(fixture->partition, &reply))
        ;
}

/* Starts sagas of every kind, some of which stay behind: waiting for a retry, stuck, running. */
static void start_mixed(struct fixture *fixture, uint32_t count)
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
        while (partition_start(fixture->partition, fixture->plan, EVENT_NO_SOURCE, bytes, 1) ==
               STATUS_BUSY) {
            fake_now_ms += 700;
            turn(fixture);
        }
    }
}

static void wait_for_checkpoints(struct fixture *fixture, uint64_t count)
{
    while (partition_counts(fixture->partition).checkpoints < count)
        turn(fixture);
}

static void stop_engine(struct fixture *fixture, char digest[PARTITION_DIGEST_BYTES])
{
    struct problem problem = {0};
    if (partition_stop(fixture->partition, digest, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    partition_free(fixture->partition);
    fixture->partition = NULL;
}

static enum status replay_block(void *context, const struct block_header *header,
                                const uint8_t *body, struct problem *problem)
{
    return partition_state_replay(context, header, body, NULL, NULL, problem);
}

/* The digest that the journal alone gives. */
static void replay_all(const struct fixture *fixture, char digest[PARTITION_DIGEST_BYTES])
{
    struct problem problem = {0};
    struct partition_state *state;
    struct journal *journal;
    struct journal_options options = {.directory = fixture->directory, .read_only = true};
    assert_int_equal(partition_state_open(&state), STATUS_OK);
    assert_int_equal(journal_open(&options, &journal, &problem), STATUS_OK);
    struct recovery_options recovery = {
        .directory = fixture->directory, .on_block = replay_block, .context = state};
    struct recovery_report report;
    if (recovery_run(journal, &recovery, &report, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    partition_state_digest(state, digest);
    journal_close(journal);
    partition_state_close(state);
}

static uint64_t newest_checkpoint(const struct fixture *fixture, char path[128])
{
    uint64_t newest = 0;
    for (uint64_t block_no = 1; block_no < 20000; block_no++) {
        char name[128];
        snprintf(name, sizeof name, "%s/checkpoint-%llu", fixture->directory,
                 (unsigned long long)block_no);
        if (access(name, F_OK) == 0) {
            newest = block_no;
            strcpy(path, name);
        }
    }
    return newest;
}

static uint32_t count_checkpoints(const struct fixture *fixture)
{
    uint32_t count = 0;
    for (uint64_t block_no = 1; block_no < 20000; block_no++) {
        char name[128];
        snprintf(name, sizeof name, "%s/checkpoint-%llu", fixture->directory,
                 (unsigned long long)block_no);
        count += access(name, F_OK) == 0;
    }
    return count;
}

/* ---- tests --------------------------------------------------------------------------------------
 */

static void a_start_from_a_checkpoint_gives_the_state_of_the_journal(void **state)
{
    struct fixture *fixture = *state;
    char live[PARTITION_DIGEST_BYTES], again[PARTITION_DIGEST_BYTES], all[PARTITION_DIGEST_BYTES];
    open_engine(fixture, 2000);
    start_mixed(fixture, 150);
    wait_for_checkpoints(fixture, 1);
    start_mixed(fixture, 50);
    stop_engine(fixture, live);
    open_engine(fixture, 2000);
    assert_true(partition_recovered_from(fixture->partition) > 0);
    assert_true(partition_recovery(fixture->partition)->first_no >
                partition_recovered_from(fixture->partition));
    stop_engine(fixture, again);
    assert_string_equal(live, again);
    replay_all(fixture, all);
    assert_string_equal(live, all);
}

static void what_runs_after_such_a_start_is_what_the_journal_replays(void **state)
{
    struct fixture *fixture = *state;
    char live[PARTITION_DIGEST_BYTES], all[PARTITION_DIGEST_BYTES];
    for (int round = 0; round < 6; round++) {
        open_engine(fixture, 1500);
        start_mixed(fixture, 60);
        wait_for_checkpoints(fixture, 1);
        stop_engine(fixture, live);
    }
    replay_all(fixture, all);
    assert_string_equal(live, all);
}

static void only_the_last_two_are_kept(void **state)
{
    struct fixture *fixture = *state;
    open_engine(fixture, 500);
    while (partition_counts(fixture->partition).checkpoints < 5) {
        start_mixed(fixture, 3);
        turn(fixture);
    }
    stop_engine(fixture, NULL);
    assert_int_equal(count_checkpoints(fixture), 2);
}

static void a_damaged_checkpoint_is_passed_over(void **state)
{
    struct fixture *fixture = *state;
    char live[PARTITION_DIGEST_BYTES], again[PARTITION_DIGEST_BYTES], path[128];
    open_engine(fixture, 1500);
    start_mixed(fixture, 100);
    wait_for_checkpoints(fixture, 1);
    stop_engine(fixture, live);
    uint64_t newest = newest_checkpoint(fixture, path);
    struct stat file;
    assert_int_equal(stat(path, &file), 0);
    for (int i = 0; i < 60; i++) {
        off_t at = file.st_size * i / 60;
        int descriptor = open(path, O_RDWR);
        uint8_t byte;
        assert_int_equal(pread(descriptor, &byte, 1, at), 1);
        uint8_t flipped = byte ^ (uint8_t)(1 << i % 8);
        assert_int_equal(pwrite(descriptor, &flipped, 1, at), 1);
        open_engine(fixture, 0);
        assert_true(partition_recovered_from(fixture->partition) != newest);
        stop_engine(fixture, again);
        assert_string_equal(live, again);
        assert_int_equal(pwrite(descriptor, &byte, 1, at), 1);
        close(descriptor);
    }
    open_engine(fixture, 0);
    assert_int_equal(partition_recovered_from(fixture->partition), newest);
}

static void a_cut_checkpoint_is_passed_over(void **state)
{
    struct fixture *fixture = *state;
    char live[PARTITION_DIGEST_BYTES], again[PARTITION_DIGEST_BYTES], path[128];
    open_engine(fixture, 1500);
    start_mixed(fixture, 100);
    wait_for_checkpoints(fixture, 1);
    stop_engine(fixture, live);
    uint64_t newest = newest_checkpoint(fixture, path);
    struct stat file;
    assert_int_equal(stat(path, &file), 0);
    for (int i = 12; i >= 0; i--) {
        assert_int_equal(truncate(path, file.st_size * i / 13), 0);
        open_engine(fixture, 0);
        assert_true(partition_recovered_from(fixture->partition) != newest);
        stop_engine(fixture, again);
        assert_string_equal(live, again);
    }
}

static void a_crash_while_one_is_written_leaves_the_one_before(void **state)
{
    struct fixture *fixture = *state;
    char live[PARTITION_DIGEST_BYTES], all[PARTITION_DIGEST_BYTES];
    for (int round = 1; round < 25; round++) {
        open_engine(fixture, 700);
        start_mixed(fixture, 3);
        for (int i = 0; i < round; i++)
            turn(fixture);
        partition_free(fixture->partition);
        fixture->partition = NULL;
    }
    open_engine(fixture, 700);
    stop_engine(fixture, live);
    replay_all(fixture, all);
    assert_string_equal(live, all);
}

static void with_threads_a_checkpoint_holds_what_its_block_says(void **state)
{
    struct fixture *fixture = *state;
    struct problem problem = {0};
    struct partition_options options = {
        .directory = fixture->directory,
        .durability = DURABILITY_ASYNC,
        .limits = {.sagas_max = 1024, .payload_bytes_max = 16u << 20},
        .built_in = {&scripted_service},
        .built_in_count = 1,
        .checkpoint_bytes = 20000,
    };
    assert_int_equal(partition_open(&options, &fixture->partition, &problem), STATUS_OK);
    assert_int_equal(partition_define(fixture->partition, "test", "test", definition,
                                      sizeof definition - 1, &fixture->plan, &problem),
                     STATUS_OK);
    struct flyover_bytes input = {(const uint8_t *)"\x81\xa1x\xa1y", 5};
    while (partition_counts(fixture->partition).checkpoints < 3) {
        while (partition_start(fixture->partition, fixture->plan, EVENT_NO_SOURCE, input, 1) ==
               STATUS_OK)
            ;
        turn(fixture);
    }
    char live[PARTITION_DIGEST_BYTES], again[PARTITION_DIGEST_BYTES], all[PARTITION_DIGEST_BYTES];
    stop_engine(fixture, live);
    options.threadless = true;
    assert_int_equal(partition_open(&options, &fixture->partition, &problem), STATUS_OK);
    assert_true(partition_recovered_from(fixture->partition) > 0);
    stop_engine(fixture, again);
    assert_string_equal(live, again);
    replay_all(fixture, all);
    assert_string_equal(live, all);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_start_from_a_checkpoint_gives_the_state_of_the_journal),
        TEST(what_runs_after_such_a_start_is_what_the_journal_replays),
        TEST(only_the_last_two_are_kept),
        TEST(a_damaged_checkpoint_is_passed_over),
        TEST(a_cut_checkpoint_is_passed_over),
        TEST(a_crash_while_one_is_written_leaves_the_one_before),
        TEST(with_threads_a_checkpoint_holds_what_its_block_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
