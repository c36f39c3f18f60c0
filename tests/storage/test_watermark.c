#include "storage/watermark.h"

#include "tests/damage.h"
#include "tests/storage/scratch.h"

#define COPY_BYTES     32
#define SECOND_COPY_AT 512

static char directory[PATH_MAX];
static char path[PATH_MAX];
static struct problem problem;

static int set_up(void **state)
{
    (void)state;
    scratch_make(directory);
    scratch_path(path, directory, "watermark");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    scratch_remove(directory);
    return 0;
}

static uint64_t read_no(void)
{
    uint64_t block_no = 0;
    assert_int_equal(watermark_read(directory, &block_no, &problem), STATUS_OK);
    return block_no;
}

/* Writes the numbers first_no to last_no in turn. */
static void write_numbers(uint64_t first_no, uint64_t last_no)
{
    struct watermark watermark;
    uint64_t block_no;
    assert_int_equal(watermark_open(&watermark, directory, &block_no, &problem), STATUS_OK);
    for (uint64_t no = first_no; no <= last_no; no++)
        assert_int_equal(watermark_write(&watermark, no), STATUS_OK);
    watermark_close(&watermark);
}

static void a_directory_without_one_reads_as_zero_and_is_left_alone(void **state)
{
    (void)state;
    assert_int_equal(read_no(), 0);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void a_new_one_is_zero(void **state)
{
    (void)state;
    struct watermark watermark;
    uint64_t block_no = 9;
    assert_int_equal(watermark_open(&watermark, directory, &block_no, &problem), STATUS_OK);
    watermark_close(&watermark);
    assert_int_equal(block_no, 0);
    assert_int_equal(read_no(), 0);
}

static void the_last_number_written_is_read(void **state)
{
    (void)state;
    for (uint64_t last_no = 1; last_no < 6; last_no++) {
        write_numbers(last_no, last_no);
        assert_int_equal(read_no(), last_no);
    }
    struct watermark watermark;
    uint64_t block_no = 0;
    assert_int_equal(watermark_open(&watermark, directory, &block_no, &problem), STATUS_OK);
    watermark_close(&watermark);
    assert_int_equal(block_no, 5);
}

static void a_number_may_be_set_back(void **state)
{
    (void)state;
    write_numbers(1, 100);
    write_numbers(7, 7);
    assert_int_equal(read_no(), 7);
}

/* Whichever byte of the write in progress is torn, the write before it still stands. */
static void a_torn_copy_leaves_the_other(void **state)
{
    (void)state;
    for (uint64_t last_no = 10; last_no < 12; last_no++) {
        write_numbers(1, last_no);
        /* The sequence, which chooses the copy, goes on over all writes of the file. */
        for (size_t copy_at = 0; copy_at <= SECOND_COPY_AT; copy_at += SECOND_COPY_AT) {
            for (size_t offset = 0; offset < COPY_BYTES; offset++) {
                damage_flip(path, copy_at + offset, 0x40);
                uint64_t block_no = read_no();
                assert_true(block_no == last_no || block_no == last_no - 1);
                damage_flip(path, copy_at + offset, 0x40);
            }
        }
    }
}

static void a_torn_latest_copy_falls_back_by_exactly_one_write(void **state)
{
    (void)state;
    write_numbers(1, 10);
    int fallbacks = 0;
    for (size_t copy_at = 0; copy_at <= SECOND_COPY_AT; copy_at += SECOND_COPY_AT) {
        damage_flip(path, copy_at + 8, 0xff);
        fallbacks += read_no() == 9;
        damage_flip(path, copy_at + 8, 0xff);
    }
    assert_int_equal(fallbacks, 1);
}

static void two_damaged_copies_are_refused_with_what_to_do(void **state)
{
    (void)state;
    write_numbers(1, 10);
    damage_flip(path, 9, 1);
    damage_flip(path, SECOND_COPY_AT + 9, 1);
    uint64_t block_no = 77;
    assert_int_equal(watermark_read(directory, &block_no, &problem), STATUS_CORRUPT);
    assert_int_equal(block_no, 77);
    assert_non_null(strstr(problem.text, path));
    struct watermark watermark;
    assert_int_equal(watermark_open(&watermark, directory, &block_no, &problem), STATUS_CORRUPT);
    assert_non_null(strstr(problem.text, "backup"));
}

static void an_emptied_file_is_damage_and_not_a_new_one(void **state)
{
    (void)state;
    write_numbers(1, 10);
    assert_int_equal(truncate(path, 0), 0);
    struct watermark watermark;
    uint64_t block_no;
    assert_int_equal(watermark_open(&watermark, directory, &block_no, &problem), STATUS_CORRUPT);
}

static void the_sequence_wraps_without_going_back(void **state)
{
    (void)state;
    struct watermark watermark;
    uint64_t block_no;
    assert_int_equal(watermark_open(&watermark, directory, &block_no, &problem), STATUS_OK);
    watermark.mark.sequence = UINT32_MAX - 2;
    for (uint64_t no = 1; no <= 8; no++) {
        assert_int_equal(watermark_write(&watermark, no), STATUS_OK);
        if (no > 1)
            assert_int_equal(read_no(), no);
    }
    watermark_close(&watermark);
}

static void a_missing_directory_is_not_found(void **state)
{
    (void)state;
    struct watermark watermark;
    uint64_t block_no;
    assert_int_equal(watermark_open(&watermark, path, &block_no, &problem), STATUS_NOT_FOUND);
    assert_non_null(strstr(problem.text, path));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_directory_without_one_reads_as_zero_and_is_left_alone),
        TEST(a_new_one_is_zero),
        TEST(the_last_number_written_is_read),
        TEST(a_number_may_be_set_back),
        TEST(a_torn_copy_leaves_the_other),
        TEST(a_torn_latest_copy_falls_back_by_exactly_one_write),
        TEST(two_damaged_copies_are_refused_with_what_to_do),
        TEST(an_emptied_file_is_damage_and_not_a_new_one),
        TEST(the_sequence_wraps_without_going_back),
        TEST(a_missing_directory_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
