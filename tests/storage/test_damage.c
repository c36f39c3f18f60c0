/*
 * Damage done by hand to a journal on disk. Acknowledged means recovered or refused with the
 * reason, never silently shorter; a refusal changes nothing; --accept-loss keeps what it can.
 */
#include "storage/journal.h"
#include "storage/recovery.h"
#include "storage/watermark.h"

#include <rocksdb/c.h>
#include <sched.h>

#include "tests/damage.h"
#include "tests/storage/scratch.h"

#define BLOCKS_COUNT 300u
#define BODY_BYTES   2000u

/* Three sound journals of BLOCKS_COUNT acknowledged blocks: one with all of them in the write-ahead
 * log, one with all of them in table files, and one in TABLES_COUNT table files of which the first
 * are gone, with a checkpoint at block CHECKPOINT_NO. Each test damages a copy. */
#define TABLES_COUNT  6u
#define CHECKPOINT_NO 170u
static char sound_log[PATH_MAX];
static char sound_table[PATH_MAX];
static char sound_trimmed[PATH_MAX];
static uint32_t checkpoint_crc;
static char copy[PATH_MAX];
static char copy_journal[PATH_MAX];
static struct problem problem;
static struct recovery_report report;

static enum status open_at(const char *directory, bool accept_loss, struct journal **ret_journal)
{
    struct journal_options options = {
        .directory = directory,
        .durability = DURABILITY_ASYNC,
        .create = true,
        .accept_loss = accept_loss,
    };
    return journal_open(&options, ret_journal, &problem);
}

static void make_sound_journal(char directory[PATH_MAX], bool in_table)
{
    static struct scratch_chain chain;
    struct journal *journal;
    struct watermark watermark;
    uint64_t block_no;
    memset(&chain, 0, sizeof chain);
    scratch_make(directory);
    assert_int_equal(open_at(directory, false, &journal), STATUS_OK);
    scratch_append(journal, &chain, BLOCKS_COUNT, BODY_BYTES);
    journal_close(journal);
    assert_int_equal(watermark_open(&watermark, directory, &block_no, &problem), STATUS_OK);
    for (int time = 0; time < 2; time++)
        assert_int_equal(watermark_write(&watermark, BLOCKS_COUNT), STATUS_OK);
    watermark_close(&watermark);
    if (!in_table)
        return;
    /* Opening moves what is in the log into a table. */
    assert_int_equal(open_at(directory, false, &journal), STATUS_OK);
    journal_close(journal);
}

static void make_trimmed_journal(char directory[PATH_MAX])
{
    static struct scratch_chain chain;
    struct journal *journal;
    struct watermark watermark;
    uint64_t block_no = 0;
    memset(&chain, 0, sizeof chain);
    scratch_make(directory);
    for (uint32_t table = 0; table < TABLES_COUNT; table++) {
        assert_int_equal(open_at(directory, false, &journal), STATUS_OK);
        while (chain.last_no < (table + 1) * BLOCKS_COUNT / TABLES_COUNT) {
            scratch_append(journal, &chain, 1, BODY_BYTES);
            if (chain.last_no == CHECKPOINT_NO)
                checkpoint_crc = chain.last_crc;
        }
        journal_close(journal);
    }
    assert_int_equal(open_at(directory, false, &journal), STATUS_OK);
    while (block_no != 151) {
        assert_int_equal(journal_remove_before(journal, CHECKPOINT_NO + 1, &problem), STATUS_OK);
        while (journal_dropping(journal))
            sched_yield();
        assert_int_equal(journal_first_stored_no(journal, &block_no, &problem), STATUS_OK);
    }
    journal_close(journal);
    assert_int_equal(watermark_open(&watermark, directory, &block_no, &problem), STATUS_OK);
    for (int time = 0; time < 2; time++)
        assert_int_equal(watermark_write(&watermark, BLOCKS_COUNT), STATUS_OK);
    watermark_close(&watermark);
}

static int set_up_all(void **state)
{
    (void)state;
    make_sound_journal(sound_log, false);
    make_sound_journal(sound_table, true);
    make_trimmed_journal(sound_trimmed);
    return 0;
}

static int tear_down_all(void **state)
{
    (void)state;
    scratch_remove(sound_log);
    scratch_remove(sound_table);
    scratch_remove(sound_trimmed);
    return 0;
}

static void begin(const char *sound)
{
    scratch_make(copy);
    damage_copy_directory(sound, copy);
    scratch_path(copy_journal, copy, "journal");
}

/* The state is the sound one. */
static int set_up(void **state)
{
    begin(*state);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    scratch_remove(copy);
    return 0;
}

static void begin_again(const char *sound)
{
    scratch_remove(copy);
    begin(sound);
}

static enum status count_block(void *context, const struct block_header *header,
                               const uint8_t *body, struct problem *ret_problem)
{
    (void)header;
    (void)body;
    (void)ret_problem;
    ++*(uint64_t *)context;
    return STATUS_OK;
}

/* A start as the engine does it, behind its checkpoint or without one. */
static enum status start_behind(uint64_t after_no, uint32_t after_crc, bool accept_loss)
{
    struct journal *journal;
    uint64_t blocks_count = 0;
    enum status status = open_at(copy, accept_loss, &journal);
    if (status != STATUS_OK)
        return status;
    struct recovery_options options = {
        .directory = copy,
        .accept_loss = accept_loss,
        .after_no = after_no,
        .after_crc = after_crc,
        .on_block = count_block,
        .context = &blocks_count,
    };
    status = recovery_run(journal, &options, &report, &problem);
    journal_close(journal);
    if (status == STATUS_OK)
        assert_int_equal(blocks_count, report.last_no - after_no);
    return status;
}

static enum status start(bool accept_loss)
{
    return start_behind(0, 0, accept_loss);
}

static enum status start_trimmed(bool accept_loss)
{
    return start_behind(CHECKPOINT_NO, checkpoint_crc, accept_loss);
}

static void expect_whole(void)
{
    assert_int_equal(start(false), STATUS_OK);
    assert_int_equal(report.last_no, BLOCKS_COUNT);
}

static bool is_refusal(enum status status)
{
    return status_class(status) == STATUS_CLASS_FATAL;
}

static void expect_refused(void)
{
    memset(&problem, 0, sizeof problem);
    enum status status = start(false);
    assert_true(is_refusal(status));
    assert_int_equal(problem.status, status);
    assert_non_null(strstr(problem.text, "--accept-loss"));
}

/* Accepting the loss starts with a prefix, and the start after it is like any other. Returns the
 * last block that was kept. */
static uint64_t expect_accepted(void)
{
    struct journal *journal;
    assert_int_equal(start(true), STATUS_OK);
    uint64_t last_no = report.last_no;
    assert_true(last_no <= BLOCKS_COUNT);
    assert_int_equal(start(false), STATUS_OK);
    assert_int_equal(report.last_no, last_no);
    assert_int_equal(report.lost_blocks_count, 0);

    static struct scratch_chain chain;
    chain.last_no = last_no;
    chain.last_crc = report.last_crc;
    assert_int_equal(open_at(copy, false, &journal), STATUS_OK);
    scratch_append(journal, &chain, 5, BODY_BYTES);
    journal_close(journal);
    assert_int_equal(start(false), STATUS_OK);
    assert_int_equal(report.last_no, last_no + 5);
    return last_no;
}

static void find_file(const char *prefix, const char *suffix, char ret_path[PATH_MAX])
{
    assert_true(scratch_find(copy_journal, prefix, suffix, ret_path));
}

static void delete_file(const char *prefix, const char *suffix)
{
    char path[PATH_MAX];
    find_file(prefix, suffix, path);
    assert_int_equal(unlink(path), 0);
}

static const struct damage_places places = {.count = 40, .tail_count = 8, .tail_step_bytes = 6};

/* Flips a bit at all places of the file, each in a fresh copy; every start is whole or refused, and
 * a refused one can be accepted. Returns how many were refused. */
static uint32_t flip_everywhere(const char *sound, const char *prefix, const char *suffix)
{
    char path[PATH_MAX];
    uint32_t refused_count = 0;
    for (uint32_t place = 0; place < places.count; place++) {
        begin_again(sound);
        find_file(prefix, suffix, path);
        damage_flip_at(path, &places, place);
        enum status status = start(false);
        if (status == STATUS_OK) {
            assert_int_equal(report.last_no, BLOCKS_COUNT);
            continue;
        }
        assert_true(is_refusal(status));
        refused_count++;
        if (place % 8 == 0)
            expect_accepted();
    }
    return refused_count;
}

static void a_sound_journal_starts_whole(void **state)
{
    (void)state;
    expect_whole();
    begin_again(sound_table);
    expect_whole();
}

static void a_bit_flipped_anywhere_in_the_log_is_noticed(void **state)
{
    (void)state;
    assert_int_equal(flip_everywhere(sound_log, "", ".log"), places.count);
}

static void a_bit_flipped_anywhere_in_a_table_never_shortens_silently(void **state)
{
    (void)state;
    assert_true(flip_everywhere(sound_table, "", ".sst") > places.count / 2);
}

static void a_bit_flipped_anywhere_in_the_manifest_never_shortens_silently(void **state)
{
    (void)state;
    assert_true(flip_everywhere(sound_table, "MANIFEST-", "") > 0);
}

static void a_bit_flipped_anywhere_in_current_never_shortens_silently(void **state)
{
    (void)state;
    assert_true(flip_everywhere(sound_table, "CURRENT", "") > 0);
}

static void a_log_cut_short_anywhere_is_noticed(void **state)
{
    (void)state;
    char path[PATH_MAX];
    find_file("", ".log", path);
    size_t bytes = damage_file_bytes(path);
    const size_t kept_bytes[] = {0, 1, 1000, bytes / 2, bytes - 1000, bytes - 1};
    for (size_t index = 0; index < sizeof kept_bytes / sizeof kept_bytes[0]; index++) {
        begin_again(sound_log);
        find_file("", ".log", path);
        assert_int_equal(truncate(path, (off_t)kept_bytes[index]), 0);
        expect_refused();
        uint64_t last_no = expect_accepted();
        assert_true(last_no < BLOCKS_COUNT && last_no + 2 > kept_bytes[index] / 2100);
    }
}

static void a_deleted_log_is_noticed(void **state)
{
    (void)state;
    delete_file("", ".log");
    expect_refused();
    assert_int_equal(expect_accepted(), 0);
}

static void a_deleted_table_is_noticed_and_its_return_heals(void **state)
{
    (void)state;
    char path[PATH_MAX];
    char aside[PATH_MAX];
    find_file("", ".sst", path);
    scratch_path(aside, copy, "aside");
    assert_int_equal(rename(path, aside), 0);
    expect_refused();
    expect_refused();
    assert_int_equal(rename(aside, path), 0);
    expect_whole();
    assert_int_equal(rename(path, aside), 0);
    expect_accepted();
}

static void a_deleted_manifest_is_noticed_and_nothing_is_lost_by_accepting(void **state)
{
    (void)state;
    delete_file("MANIFEST-", "");
    expect_refused();
    assert_int_equal(expect_accepted(), BLOCKS_COUNT);
}

/* Before the first table of blocks is written, nothing but the log holds them. */
static void a_deleted_manifest_beside_a_log_alone_loses_nothing_either(void **state)
{
    (void)state;
    delete_file("MANIFEST-", "");
    expect_refused();
    assert_int_equal(expect_accepted(), BLOCKS_COUNT);
}

static void a_deleted_current_never_makes_a_new_journal(void **state)
{
    (void)state;
    delete_file("CURRENT", "");
    expect_refused();
    assert_non_null(strstr(problem.text, "CURRENT is missing"));
    assert_int_equal(expect_accepted(), BLOCKS_COUNT);
}

static void a_deleted_journal_is_noticed_by_the_watermark(void **state)
{
    (void)state;
    scratch_remove(copy_journal);
    expect_refused();
    assert_non_null(strstr(problem.text, "blocks 1 to 300 were acknowledged"));
    assert_int_equal(expect_accepted(), 0);
}

static void a_refused_damaged_log_is_left_as_it_was(void **state)
{
    (void)state;
    char path[PATH_MAX];
    find_file("", ".log", path);
    size_t offset = damage_file_bytes(path) / 3;
    damage_flip(path, offset, 1);
    for (int time = 0; time < 3; time++) {
        expect_refused();
        assert_non_null(strstr(problem.text, "were acknowledged and cannot be read"));
    }
    damage_flip(path, offset, 1);
    expect_whole();
}

static void accepting_a_damaged_log_keeps_what_is_before_it_and_the_files(void **state)
{
    (void)state;
    char path[PATH_MAX];
    char kept[PATH_MAX];
    find_file("", ".log", path);
    damage_flip(path, damage_file_bytes(path) / 2, 1);
    uint64_t last_no = expect_accepted();
    assert_true(last_no > BLOCKS_COUNT * 2 / 5 && last_no < BLOCKS_COUNT * 3 / 5);
    assert_true(scratch_find(copy, "lost-journal", "", kept));
    assert_true(scratch_find(kept, "", ".log", path));
}

static void accepting_a_damaged_table_keeps_what_is_on_both_sides(void **state)
{
    (void)state;
    char path[PATH_MAX];
    find_file("", ".sst", path);
    /* Not that of the meta family. */
    assert_true(damage_file_bytes(path) > BLOCKS_COUNT * BODY_BYTES);
    damage_flip(path, damage_file_bytes(path) / 2, 1);
    expect_refused();
    assert_int_equal(start(true), STATUS_OK);
    uint64_t last_no = report.last_no;
    assert_true(last_no > BLOCKS_COUNT * 2 / 5 && last_no < BLOCKS_COUNT * 3 / 5);
    assert_int_equal(report.lost_blocks_count, BLOCKS_COUNT - last_no);
    assert_true(scratch_find(copy, "lost-", "300.blocks", path));
    /* A block of a table holds two or three of these: few are gone, and the rest was saved. */
    uint64_t saved_count = damage_file_bytes(path) / (16 + BLOCK_HEADER_BYTES + BODY_BYTES);
    assert_true(saved_count + 4 > BLOCKS_COUNT - last_no);
    expect_accepted();
}

static void a_log_torn_behind_the_last_acknowledged_block_opens(void **state)
{
    (void)state;
    struct watermark watermark;
    uint64_t block_no;
    char path[PATH_MAX];
    assert_int_equal(watermark_open(&watermark, copy, &block_no, &problem), STATUS_OK);
    for (int time = 0; time < 2; time++)
        assert_int_equal(watermark_write(&watermark, BLOCKS_COUNT - 3), STATUS_OK);
    watermark_close(&watermark);
    /* A page of zeros, as a power loss leaves it where a later page was written and this one not.
     */
    static const uint8_t zeros[BODY_BYTES];
    find_file("", ".log", path);
    int file = open(path, O_WRONLY);
    assert_true(file >= 0);
    off_t offset = (off_t)(damage_file_bytes(path) - 2 * BODY_BYTES);
    assert_int_equal(pwrite(file, zeros, sizeof zeros, offset), sizeof zeros);
    close(file);
    assert_int_equal(start(false), STATUS_OK);
    assert_true(report.last_no >= BLOCKS_COUNT - 3 && report.last_no < BLOCKS_COUNT);
}

/* Of the table files with more than the anchor in them, the first or the last. Numbers grow. */
static void find_table(bool first, char ret_path[PATH_MAX])
{
    char found[PATH_MAX] = "";
    DIR *entries = opendir(copy_journal);
    assert_non_null(entries);
    const struct dirent *entry;
    while ((entry = readdir(entries)) != NULL) {
        char path[PATH_MAX];
        size_t length = strlen(entry->d_name);
        scratch_path(path, copy_journal, entry->d_name);
        if (length < 4 || strcmp(entry->d_name + length - 4, ".sst") != 0 ||
            damage_file_bytes(path) < 10 * BODY_BYTES)
            continue;
        if (found[0] == '\0' || (strcmp(path, found) < 0) == first)
            memcpy(found, path, sizeof found);
    }
    closedir(entries);
    assert_true(found[0] != '\0');
    memcpy(ret_path, found, sizeof found);
}

static void a_trimmed_journal_starts_whole_behind_its_checkpoint(void **state)
{
    (void)state;
    assert_int_equal(start_trimmed(false), STATUS_OK);
    assert_int_equal(report.first_no, CHECKPOINT_NO + 1);
    assert_int_equal(report.last_no, BLOCKS_COUNT);
}

static void a_trimmed_journal_without_its_checkpoint_is_refused_and_stays(void **state)
{
    (void)state;
    for (int accept_loss = 0; accept_loss < 2; accept_loss++) {
        assert_int_equal(start(accept_loss == 1), STATUS_LOST);
        assert_non_null(strstr(problem.text, "blocks 1 to 170 were given up"));
        assert_non_null(strstr(problem.text, "--accept-loss cannot mend this"));
    }
    assert_int_equal(start_trimmed(false), STATUS_OK);
    assert_int_equal(report.last_no, BLOCKS_COUNT);
}

static void a_deleted_first_kept_table_is_noticed_and_its_return_heals(void **state)
{
    (void)state;
    char path[PATH_MAX];
    char aside[PATH_MAX];
    find_table(true, path);
    scratch_path(aside, copy, "aside");
    assert_int_equal(rename(path, aside), 0);
    for (int time = 0; time < 2; time++) {
        assert_true(is_refusal(start_trimmed(false)));
        assert_non_null(strstr(problem.text, "--accept-loss"));
    }
    assert_int_equal(rename(aside, path), 0);
    assert_int_equal(start_trimmed(false), STATUS_OK);
    assert_int_equal(report.last_no, BLOCKS_COUNT);
    /* Blocks 171 to 200 are gone: only the checkpoint is left, and it goes on from there. */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(start_trimmed(true), STATUS_OK);
    assert_int_equal(report.last_no, CHECKPOINT_NO);
    assert_int_equal(report.lost_blocks_count, BLOCKS_COUNT - CHECKPOINT_NO);
    assert_int_equal(start_trimmed(false), STATUS_OK);
    assert_int_equal(report.last_no, CHECKPOINT_NO);
    assert_int_equal(start(true), STATUS_LOST);
}

/* The last table is damaged: accepting that writes the journal anew. */
static void a_journal_written_anew_still_knows_where_it_begins(void **state)
{
    (void)state;
    char path[PATH_MAX];
    find_table(false, path);
    damage_flip(path, damage_file_bytes(path) / 2, 1);
    assert_int_equal(start_trimmed(false), STATUS_CORRUPT);
    assert_int_equal(start_trimmed(true), STATUS_OK);
    uint64_t last_no = report.last_no;
    assert_true(last_no > 250 && last_no < BLOCKS_COUNT);
    assert_true(scratch_find(copy, "lost-journal", "", path));
    assert_int_equal(start_trimmed(false), STATUS_OK);
    assert_int_equal(report.last_no, last_no);
    assert_int_equal(start(false), STATUS_LOST);
    assert_non_null(strstr(problem.text, "blocks 1 to 170 were given up"));
}

/* What was given up may be damaged as it likes, also where the journal is written anew. */
static void damage_before_the_first_kept_block_stops_nothing(void **state)
{
    (void)state;
    char path[PATH_MAX];
    find_table(true, path);
    damage_flip(path, 5 * BODY_BYTES, 1);
    assert_int_equal(start_trimmed(false), STATUS_OK);
    assert_int_equal(report.last_no, BLOCKS_COUNT);
    find_table(false, path);
    damage_flip(path, damage_file_bytes(path) / 2, 1);
    assert_int_equal(start_trimmed(true), STATUS_OK);
    assert_true(report.last_no > 250 && report.last_no < BLOCKS_COUNT);
}

static void a_repaired_journal_still_knows_where_it_begins(void **state)
{
    (void)state;
    delete_file("MANIFEST-", "");
    assert_true(is_refusal(start_trimmed(false)));
    assert_int_equal(start_trimmed(true), STATUS_OK);
    assert_int_equal(report.last_no, BLOCKS_COUNT);
    assert_int_equal(start(true), STATUS_LOST);
    assert_non_null(strstr(problem.text, "blocks 1 to 170 were given up"));
}

/* What a maker leaves that is stopped before RocksDB has the family of the blocks. */
static void
a_journal_whose_making_was_broken_off_is_none_unless_something_was_acknowledged(void **state)
{
    (void)state;
    struct journal *journal;
    struct journal_options options = {.directory = copy, .read_only = true};
    scratch_remove(copy_journal);
    char *error = NULL;
    rocksdb_options_t *rocks_options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(rocks_options, 1);
    rocksdb_t *db = rocksdb_open(rocks_options, copy_journal, &error);
    assert_null(error);
    rocksdb_close(db);
    rocksdb_options_destroy(rocks_options);
    assert_int_equal(journal_open(&options, &journal, &problem), STATUS_CORRUPT);

    char path[PATH_MAX];
    scratch_path(path, copy, "watermark");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(journal_open(&options, &journal, &problem), STATUS_NOT_FOUND);
    assert_non_null(strstr(problem.text, "there is no journal in"));
    assert_int_equal(start(false), STATUS_OK);
    assert_int_equal(report.last_no, 0);
}

#define IN(sound, name)  cmocka_unit_test_prestate_setup_teardown(name, set_up, tear_down, sound)
#define IN_LOG(name)     IN(sound_log, name)
#define IN_TABLE(name)   IN(sound_table, name)
#define IN_TRIMMED(name) IN(sound_trimmed, name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_LOG(a_sound_journal_starts_whole),
        IN_LOG(a_bit_flipped_anywhere_in_the_log_is_noticed),
        IN_TABLE(a_bit_flipped_anywhere_in_a_table_never_shortens_silently),
        IN_TABLE(a_bit_flipped_anywhere_in_the_manifest_never_shortens_silently),
        IN_TABLE(a_bit_flipped_anywhere_in_current_never_shortens_silently),
        IN_LOG(a_log_cut_short_anywhere_is_noticed),
        IN_LOG(a_deleted_log_is_noticed),
        IN_TABLE(a_deleted_table_is_noticed_and_its_return_heals),
        IN_TABLE(a_deleted_manifest_is_noticed_and_nothing_is_lost_by_accepting),
        IN_LOG(a_deleted_manifest_beside_a_log_alone_loses_nothing_either),
        IN_TABLE(a_deleted_current_never_makes_a_new_journal),
        IN_LOG(a_deleted_journal_is_noticed_by_the_watermark),
        IN_LOG(a_refused_damaged_log_is_left_as_it_was),
        IN_LOG(accepting_a_damaged_log_keeps_what_is_before_it_and_the_files),
        IN_TABLE(accepting_a_damaged_table_keeps_what_is_on_both_sides),
        IN_LOG(a_log_torn_behind_the_last_acknowledged_block_opens),
        IN_TRIMMED(a_trimmed_journal_starts_whole_behind_its_checkpoint),
        IN_TRIMMED(a_trimmed_journal_without_its_checkpoint_is_refused_and_stays),
        IN_TRIMMED(a_deleted_first_kept_table_is_noticed_and_its_return_heals),
        IN_TRIMMED(a_journal_written_anew_still_knows_where_it_begins),
        IN_TRIMMED(damage_before_the_first_kept_block_stops_nothing),
        IN_TRIMMED(a_repaired_journal_still_knows_where_it_begins),
        IN_LOG(a_journal_whose_making_was_broken_off_is_none_unless_something_was_acknowledged),
    };
    return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
