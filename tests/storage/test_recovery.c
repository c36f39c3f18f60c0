#include "storage/recovery.h"

#include "engine/base/crc32c.h"
#include "storage/journal_ops.h"
#include "storage/watermark.h"
#include "tests/storage/scratch.h"

#define BODY_BYTES 200u

static char directory[PATH_MAX];
static struct journal *journal;
static struct scratch_chain chain;
static struct problem problem;
static struct recovery_report report;

/* What on_block was handed. */
static uint64_t handed_count;
static uint64_t handed_last_no;
static uint64_t end_at_no;  /* 0: never */
static uint64_t fail_at_no; /* 0: never */

static enum status on_block(void *context, const struct block_header *header, const uint8_t *body,
                            struct problem *ret_problem)
{
    assert_ptr_equal(context, &handed_count);
    assert_int_equal(crc32c(0, body, header->body_bytes), header->body_crc);
    if (header->block_no == fail_at_no)
        return problem_set(ret_problem, STATUS_CORRUPT, "a record makes no sense");
    handed_count++;
    handed_last_no = header->block_no;
    return header->block_no == end_at_no ? STATUS_END : STATUS_OK;
}

static void forget(void)
{
    memset(&chain, 0, sizeof chain);
    memset(&problem, 0, sizeof problem);
    memset(&report, 0, sizeof report);
    handed_count = 0;
    handed_last_no = 0;
    end_at_no = 0;
    fail_at_no = 0;
}

static int set_up_memory(void **state)
{
    (void)state;
    forget();
    assert_int_equal(journal_open_memory(true, &journal), STATUS_OK);
    return 0;
}

static int tear_down_memory(void **state)
{
    (void)state;
    journal_close(journal);
    return 0;
}

static void open_rocks(void)
{
    struct journal_options options = {
        .directory = directory, .durability = DURABILITY_ASYNC, .create = true};
    assert_int_equal(journal_open(&options, &journal, &problem), STATUS_OK);
}

static int set_up_directory(void **state)
{
    (void)state;
    forget();
    scratch_make(directory);
    open_rocks();
    return 0;
}

static int tear_down_directory(void **state)
{
    (void)state;
    journal_close(journal);
    scratch_remove(directory);
    return 0;
}

static enum status recover_with(const char *at, bool accept_loss)
{
    struct recovery_options options = {
        .directory = at,
        .accept_loss = accept_loss,
        .on_block = on_block,
        .context = &handed_count,
    };
    handed_count = 0;
    return recovery_run(journal, &options, &report, &problem);
}

/* Begins behind a checkpoint of the last block of `at`. */
static enum status recover_behind(const struct scratch_chain *at, bool accept_loss)
{
    struct recovery_options options = {
        .accept_loss = accept_loss,
        .after_no = at->last_no,
        .after_crc = at->last_crc,
        .on_block = on_block,
        .context = &handed_count,
    };
    handed_count = 0;
    return recovery_run(journal, &options, &report, &problem);
}

static enum status recover_all_stored(void)
{
    struct recovery_options options = {
        .all_stored = true, .on_block = on_block, .context = &handed_count};
    handed_count = 0;
    return recovery_run(journal, &options, &report, &problem);
}

static enum status recover(bool accept_loss)
{
    return recover_with(directory, accept_loss);
}

static enum status recover_memory(bool accept_loss)
{
    return recover_with(NULL, accept_loss);
}

static void acknowledge(uint64_t block_no)
{
    struct watermark watermark;
    uint64_t ignored_no;
    assert_int_equal(watermark_open(&watermark, directory, &ignored_no, &problem), STATUS_OK);
    assert_int_equal(watermark_write(&watermark, block_no), STATUS_OK);
    assert_int_equal(watermark_write(&watermark, block_no), STATUS_OK);
    watermark_close(&watermark);
}

static void open_again(void)
{
    journal_close(journal);
    open_rocks();
}

/* Appends the next block, altered: one bit flipped, cut short by `cut_bytes`, or left out. */
enum alteration { FLIPPED, CUT, LEFT_OUT };

static void append_altered(enum alteration alteration)
{
    struct journal_slice block = scratch_next_block(&chain, BODY_BYTES);
    if (alteration == LEFT_OUT)
        return;
    if (alteration == FLIPPED)
        chain.block[BLOCK_HEADER_BYTES + 50] ^= 0x10;
    if (alteration == CUT)
        block.bytes_count -= 20;
    assert_int_equal(journal_append(journal, &block, 1, &problem), STATUS_OK);
}

/* What recovery finds in a journal in memory. */

static void an_empty_journal_recovers_to_nothing(void **state)
{
    (void)state;
    report.first_no = 77;
    assert_int_equal(recover_memory(false), STATUS_OK);
    assert_int_equal(report.first_no, 0);
    assert_int_equal(report.last_no, 0);
    assert_int_equal(handed_count, 0);
}

static void every_block_is_handed_out_and_counted(void **state)
{
    (void)state;
    scratch_append(journal, &chain, 10, BODY_BYTES);
    assert_int_equal(recover_memory(false), STATUS_OK);
    assert_int_equal(handed_count, 10);
    assert_int_equal(report.first_no, 1);
    assert_int_equal(report.last_no, 10);
    assert_int_equal(report.last_crc, chain.last_crc);
    assert_int_equal(report.last_epoch, 1);
    assert_int_equal(report.last_now_ms, 1010);
    assert_int_equal(report.blocks_count, 10);
    assert_int_equal(report.records_count, 30);
    assert_int_equal(report.bytes_count, 10 * (BODY_BYTES + BLOCK_HEADER_BYTES));
    assert_int_equal(report.loss.status, STATUS_OK);
}

static void the_caller_can_end_it_early(void **state)
{
    (void)state;
    scratch_append(journal, &chain, 10, BODY_BYTES);
    end_at_no = 4;
    assert_int_equal(recover_memory(false), STATUS_OK);
    assert_int_equal(report.last_no, 4);
    assert_int_equal(handed_last_no, 4);
}

static void what_the_caller_says_is_never_taken_for_damage(void **state)
{
    (void)state;
    scratch_append(journal, &chain, 10, BODY_BYTES);
    fail_at_no = 6;
    report.last_no = 77;
    assert_int_equal(recover_memory(true), STATUS_CORRUPT);
    assert_string_equal(problem.text, "a record makes no sense");
    assert_int_equal(report.last_no, 77);
    fail_at_no = 0;
    assert_int_equal(recover_memory(false), STATUS_OK);
    assert_int_equal(report.last_no, 10);
}

static void expect_refusal(enum status status, const char *sentence)
{
    report.last_no = 77;
    assert_int_equal(recover_memory(false), status);
    assert_int_equal(problem.status, status);
    assert_non_null(strstr(problem.text, sentence));
    assert_non_null(strstr(problem.text, "--accept-loss"));
    assert_int_equal(handed_last_no, 5);
    assert_int_equal(report.last_no, 77);
}

static void a_flipped_bit_is_refused(void **state)
{
    (void)state;
    scratch_append(journal, &chain, 5, BODY_BYTES);
    append_altered(FLIPPED);
    scratch_append(journal, &chain, 5, BODY_BYTES);
    expect_refusal(STATUS_CORRUPT, "block 6 is damaged: its body does not match its checksum");
}

static void a_block_cut_short_is_refused(void **state)
{
    (void)state;
    scratch_append(journal, &chain, 5, BODY_BYTES);
    append_altered(CUT);
    expect_refusal(STATUS_CORRUPT, "block 6 is damaged: it has 180 bytes");
}

static void a_missing_block_is_refused(void **state)
{
    (void)state;
    scratch_append(journal, &chain, 5, BODY_BYTES);
    append_altered(LEFT_OUT);
    scratch_append(journal, &chain, 5, BODY_BYTES);
    expect_refusal(STATUS_GAP, "block 6 is missing");
}

static void a_missing_beginning_is_refused(void **state)
{
    (void)state;
    append_altered(LEFT_OUT);
    append_altered(LEFT_OUT);
    scratch_append(journal, &chain, 5, BODY_BYTES);
    assert_int_equal(recover_memory(false), STATUS_GAP);
    assert_non_null(strstr(problem.text, "blocks 1 to 2 are missing"));
    assert_int_equal(handed_count, 0);
}

static void a_block_of_another_journal_is_refused(void **state)
{
    (void)state;
    scratch_append(journal, &chain, 5, BODY_BYTES);
    chain.last_crc ^= 1;
    scratch_append(journal, &chain, 1, BODY_BYTES);
    expect_refusal(STATUS_CORRUPT, "belongs to another journal");
}

static void fewer_blocks_than_acknowledged_are_refused(void **state)
{
    (void)state;
    scratch_append(journal, &chain, 5, BODY_BYTES);
    journal->acknowledged_no = 5;
    assert_int_equal(recover_memory(false), STATUS_OK);
    journal->acknowledged_no = 8;
    expect_refusal(STATUS_LOST, "blocks 6 to 8 were acknowledged and are not in the journal");
    assert_non_null(strstr(problem.text, "loses 3 acknowledged blocks, 6 to 8"));
}

static void append_newer_version(void)
{
    struct journal_slice block = scratch_next_block(&chain, BODY_BYTES);
    chain.block[4] = BLOCK_VERSION + 1;
    uint32_t crc = crc32c(0, chain.block, 60);
    memcpy(chain.block + 60, &crc, sizeof crc);
    assert_int_equal(journal_append(journal, &block, 1, &problem), STATUS_OK);
}

static void a_block_of_a_newer_version_is_refused_and_never_removed(void **state)
{
    (void)state;
    scratch_append(journal, &chain, 5, BODY_BYTES);
    append_newer_version();
    assert_int_equal(recover_memory(true), STATUS_NEWER_FORMAT);
    assert_int_equal(recover_memory(false), STATUS_NEWER_FORMAT);
    assert_non_null(strstr(problem.text, "use that version"));
}

/* A journal in memory that has lost its beginning. */

static struct scratch_chain at_3, at_5, at_7;

/* Blocks 1 to 10, and the chain as it was after some of them. */
static void append_ten(void)
{
    scratch_append(journal, &chain, 3, BODY_BYTES);
    at_3 = chain;
    scratch_append(journal, &chain, 2, BODY_BYTES);
    at_5 = chain;
    scratch_append(journal, &chain, 2, BODY_BYTES);
    at_7 = chain;
    scratch_append(journal, &chain, 3, BODY_BYTES);
    journal->acknowledged_no = 10;
}

static void a_trimmed_journal_is_whole_behind_a_checkpoint(void **state)
{
    (void)state;
    append_ten();
    assert_int_equal(journal_remove_before(journal, 6, &problem), STATUS_OK);
    assert_int_equal(recover_behind(&at_5, false), STATUS_OK);
    assert_int_equal(report.first_no, 6);
    assert_int_equal(report.last_no, 10);
    assert_int_equal(recover_behind(&at_7, false), STATUS_OK);
    assert_int_equal(report.first_no, 8);
    assert_int_equal(handed_count, 3);
}

static void expect_given_up(enum status status)
{
    assert_int_equal(status, STATUS_LOST);
    assert_non_null(strstr(problem.text, "blocks 1 to 5 were given up because a checkpoint held"));
    assert_non_null(strstr(problem.text, "put the data directory back from a backup"));
    assert_non_null(strstr(problem.text, "--accept-loss cannot mend this"));
    assert_int_equal(handed_count, 0);
}

static void without_the_checkpoint_a_trimmed_journal_is_refused_and_kept(void **state)
{
    (void)state;
    append_ten();
    assert_int_equal(journal_remove_before(journal, 6, &problem), STATUS_OK);
    for (int accept_loss = 0; accept_loss < 2; accept_loss++) {
        expect_given_up(recover_memory(accept_loss == 1));
        expect_given_up(recover_behind(&at_3, accept_loss == 1));
    }
    assert_int_equal(recover_behind(&at_5, false), STATUS_OK);
    assert_int_equal(report.last_no, 10);
}

/* The blocks may still be there: they count for nothing. */
static void what_was_given_up_is_refused_even_while_it_is_there(void **state)
{
    (void)state;
    append_ten();
    journal->first_no_declared = 6;
    expect_given_up(recover_memory(false));
    expect_given_up(recover_behind(&at_3, true));
}

static void a_block_missing_behind_the_first_kept_one_is_damage(void **state)
{
    (void)state;
    scratch_append(journal, &chain, 5, BODY_BYTES);
    at_5 = chain;
    append_altered(LEFT_OUT);
    scratch_append(journal, &chain, 4, BODY_BYTES);
    assert_int_equal(journal_remove_before(journal, 6, &problem), STATUS_OK);
    assert_int_equal(recover_behind(&at_5, false), STATUS_GAP);
    assert_non_null(strstr(problem.text, "block 6 is missing"));
    assert_non_null(strstr(problem.text, "which keeps the checkpoint of block 5"));
    assert_int_equal(recover_all_stored(), STATUS_GAP);
    assert_non_null(strstr(problem.text, "block 6 is missing"));
    assert_int_equal(recover_behind(&at_5, true), STATUS_OK);
    assert_int_equal(report.last_no, 5);
}

static void all_that_is_stored_is_read_from_wherever_it_begins(void **state)
{
    (void)state;
    append_ten();
    assert_int_equal(recover_all_stored(), STATUS_OK);
    assert_int_equal(report.first_no, 1);
    assert_int_equal(journal_remove_before(journal, 4, &problem), STATUS_OK);
    journal->first_no_declared = 6;
    assert_int_equal(recover_all_stored(), STATUS_OK);
    assert_int_equal(report.first_no, 4);
    assert_int_equal(report.last_no, 10);
    assert_int_equal(handed_count, 7);
}

/* What a power loss in mode async leaves behind a checkpoint that was ahead of the disk. */
static void a_hole_before_the_first_kept_block_is_no_damage(void **state)
{
    (void)state;
    scratch_append(journal, &chain, 3, BODY_BYTES);
    append_altered(LEFT_OUT);
    append_altered(LEFT_OUT);
    scratch_append(journal, &chain, 5, BODY_BYTES);
    assert_int_equal(recover_all_stored(), STATUS_GAP);
    journal->first_no_declared = 5;
    assert_int_equal(recover_all_stored(), STATUS_GAP);
    assert_non_null(strstr(problem.text, "block 5 is missing"));
    journal->first_no_declared = 6;
    assert_int_equal(recover_all_stored(), STATUS_OK);
    assert_int_equal(report.last_no, 10);
    assert_int_equal(handed_count, 8);
}

static void a_broken_chain_is_damage_before_the_first_kept_block_too(void **state)
{
    (void)state;
    scratch_append(journal, &chain, 3, BODY_BYTES);
    append_altered(FLIPPED);
    scratch_append(journal, &chain, 5, BODY_BYTES);
    journal->first_no_declared = 7;
    assert_int_equal(recover_all_stored(), STATUS_CORRUPT);
    assert_non_null(strstr(problem.text, "block 4 is damaged"));
    assert_non_null(strstr(problem.text, "a start needs none of the blocks before 7"));
}

static void a_journal_given_up_to_its_last_block_is_whole(void **state)
{
    (void)state;
    append_ten();
    assert_int_equal(journal_remove_before(journal, 11, &problem), STATUS_OK);
    assert_int_equal(recover_all_stored(), STATUS_OK);
    assert_int_equal(handed_count, 0);
    assert_int_equal(recover_behind(&chain, false), STATUS_OK);
    assert_int_equal(report.last_no, 10);
    journal->acknowledged_no = 12;
    assert_int_equal(recover_all_stored(), STATUS_LOST);
    assert_non_null(strstr(problem.text, "blocks 11 to 12 were acknowledged"));
}

/* What --accept-loss leaves in a directory. */

static uint64_t read_watermark(void)
{
    uint64_t block_no = 0;
    assert_int_equal(watermark_read(directory, &block_no, &problem), STATUS_OK);
    return block_no;
}

static void expect_clean_start(uint64_t last_no)
{
    open_again();
    assert_int_equal(journal_acknowledged_no(journal), last_no);
    assert_int_equal(recover(false), STATUS_OK);
    assert_int_equal(report.last_no, last_no);
    assert_int_equal(report.lost_blocks_count, 0);
}

/* The frames of the file: numbers first_no to last_no without skipped_no. */
static void expect_saved(const char *name, uint64_t first_no, uint64_t last_no, uint64_t skipped_no)
{
    char path[PATH_MAX];
    scratch_path(path, directory, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (uint64_t block_no = first_no; block_no <= last_no; block_no++) {
        uint64_t frame[2];
        uint8_t bytes[BLOCK_HEADER_BYTES + BODY_BYTES];
        struct block_header header;
        if (block_no == skipped_no)
            continue;
        assert_int_equal(fread(frame, sizeof frame, 1, file), 1);
        assert_int_equal(frame[0], block_no);
        assert_int_equal(frame[1], sizeof bytes);
        assert_int_equal(fread(bytes, sizeof bytes, 1, file), 1);
        if (block_no != first_no || skipped_no != 0)
            assert_int_equal(block_decode(bytes, sizeof bytes, block_no, &header, &problem),
                             STATUS_OK);
    }
    assert_int_equal(fgetc(file), EOF);
    fclose(file);
}

static void accepting_a_damaged_block_saves_all_from_it_on(void **state)
{
    (void)state;
    scratch_append(journal, &chain, 5, BODY_BYTES);
    append_altered(FLIPPED);
    scratch_append(journal, &chain, 5, BODY_BYTES);
    acknowledge(11);
    open_again();
    assert_int_equal(recover(true), STATUS_OK);
    assert_int_equal(report.last_no, 5);
    assert_int_equal(report.lost_blocks_count, 6);
    assert_int_equal(report.loss.status, STATUS_CORRUPT);
    assert_string_equal(report.lost_name, "lost-6-11.blocks");
    expect_saved("lost-6-11.blocks", 6, 11, 0);
    assert_int_equal(read_watermark(), 5);
    expect_clean_start(5);
}

static void accepting_a_gap_saves_all_behind_it(void **state)
{
    (void)state;
    scratch_append(journal, &chain, 5, BODY_BYTES);
    append_altered(LEFT_OUT);
    scratch_append(journal, &chain, 5, BODY_BYTES);
    acknowledge(11);
    open_again();
    assert_int_equal(recover(true), STATUS_OK);
    assert_int_equal(report.lost_blocks_count, 6);
    assert_string_equal(report.lost_name, "lost-7-11.blocks");
    expect_saved("lost-7-11.blocks", 6, 11, 6);
    expect_clean_start(5);
}

static void accepting_a_short_journal_sets_the_watermark_back(void **state)
{
    (void)state;
    scratch_append(journal, &chain, 5, BODY_BYTES);
    acknowledge(9);
    open_again();
    assert_int_equal(recover(false), STATUS_LOST);
    assert_int_equal(read_watermark(), 9);
    assert_int_equal(recover(true), STATUS_OK);
    assert_int_equal(report.lost_blocks_count, 4);
    assert_string_equal(report.lost_name, "");
    assert_int_equal(read_watermark(), 5);
    expect_clean_start(5);
}

static void accepting_loss_twice_keeps_both_files(void **state)
{
    (void)state;
    scratch_append(journal, &chain, 2, BODY_BYTES);
    struct scratch_chain good = chain;
    for (int time = 0; time < 2; time++) {
        chain = good;
        append_altered(FLIPPED);
        assert_int_equal(recover(true), STATUS_OK);
    }
    assert_string_equal(report.lost_name, "lost-3-3-2.blocks");
    expect_saved("lost-3-3.blocks", 3, 3, 0);
    expect_saved("lost-3-3-2.blocks", 3, 3, 0);
}

static void blocks_written_after_a_loss_continue_the_chain(void **state)
{
    (void)state;
    scratch_append(journal, &chain, 5, BODY_BYTES);
    struct scratch_chain good = chain;
    append_altered(FLIPPED);
    scratch_append(journal, &chain, 5, BODY_BYTES);
    assert_int_equal(recover(true), STATUS_OK);
    chain = good;
    assert_int_equal(report.last_crc, chain.last_crc);
    scratch_append(journal, &chain, 20, BODY_BYTES);
    acknowledge(25);
    expect_clean_start(25);
}

static void a_sound_journal_loses_nothing_by_accepting_loss(void **state)
{
    (void)state;
    scratch_append(journal, &chain, 5, BODY_BYTES);
    acknowledge(5);
    open_again();
    assert_int_equal(recover(true), STATUS_OK);
    assert_int_equal(report.last_no, 5);
    assert_int_equal(report.loss.status, STATUS_OK);
    char path[PATH_MAX];
    assert_false(scratch_find(directory, "lost", "", path));
    expect_clean_start(5);
}

#define IN_MEMORY(name) cmocka_unit_test_setup_teardown(name, set_up_memory, tear_down_memory)
#define IN_DIRECTORY(name)                                                                         \
    cmocka_unit_test_setup_teardown(name, set_up_directory, tear_down_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(an_empty_journal_recovers_to_nothing),
        IN_MEMORY(every_block_is_handed_out_and_counted),
        IN_MEMORY(the_caller_can_end_it_early),
        IN_MEMORY(what_the_caller_says_is_never_taken_for_damage),
        IN_MEMORY(a_flipped_bit_is_refused),
        IN_MEMORY(a_block_cut_short_is_refused),
        IN_MEMORY(a_missing_block_is_refused),
        IN_MEMORY(a_missing_beginning_is_refused),
        IN_MEMORY(a_block_of_another_journal_is_refused),
        IN_MEMORY(fewer_blocks_than_acknowledged_are_refused),
        IN_MEMORY(a_block_of_a_newer_version_is_refused_and_never_removed),
        IN_MEMORY(a_trimmed_journal_is_whole_behind_a_checkpoint),
        IN_MEMORY(without_the_checkpoint_a_trimmed_journal_is_refused_and_kept),
        IN_MEMORY(what_was_given_up_is_refused_even_while_it_is_there),
        IN_MEMORY(a_block_missing_behind_the_first_kept_one_is_damage),
        IN_MEMORY(all_that_is_stored_is_read_from_wherever_it_begins),
        IN_MEMORY(a_hole_before_the_first_kept_block_is_no_damage),
        IN_MEMORY(a_broken_chain_is_damage_before_the_first_kept_block_too),
        IN_MEMORY(a_journal_given_up_to_its_last_block_is_whole),
        IN_DIRECTORY(accepting_a_damaged_block_saves_all_from_it_on),
        IN_DIRECTORY(accepting_a_gap_saves_all_behind_it),
        IN_DIRECTORY(accepting_a_short_journal_sets_the_watermark_back),
        IN_DIRECTORY(accepting_loss_twice_keeps_both_files),
        IN_DIRECTORY(blocks_written_after_a_loss_continue_the_chain),
        IN_DIRECTORY(a_sound_journal_loses_nothing_by_accepting_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
