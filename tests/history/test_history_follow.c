/* Finished sagas in the order they ended, against a plain list of all there were. */
#include "engine/history/history_follow.h"
#include "tests/history/oracle.h"

static uint64_t seen_ids[SAGAS_MAX], seen_blocks[SAGAS_MAX];
static uint32_t seen_count;

static void see(const struct history_entry *entry, uint64_t in_block_no, uint64_t index,
                void *context)
{
    (void)index;
    (void)context;
    assert_true(seen_count < SAGAS_MAX);
    assert_non_null(strstr("order refund ship mail rare", entry->definition));
    seen_ids[seen_count] = entry->saga_id;
    seen_blocks[seen_count++] = in_block_no;
}

/* All pages of blocks from first_no on and before end_no. */
static void follow_all(uint64_t first_no, uint64_t end_no, uint32_t limit)
{
    struct history_place_of_note next = {first_no, 0};
    bool is_done = false;
    seen_count = 0;
    while (!is_done) {
        uint32_t before = seen_count;
        assert_int_equal(
            history_follow(reader, &next, end_no, limit, see, NULL, &is_done, &problem), STATUS_OK);
        assert_true(seen_count - before <= limit);
        assert_true(is_done || seen_count - before == limit);
    }
}

static void check(uint64_t first_no, uint64_t end_no)
{
    uint32_t at = 0;
    while (at < ended_count && sagas[ended[at]].end_no < first_no)
        at++;
    for (uint32_t i = 0; i < seen_count; i++, at++) {
        assert_true(at < ended_count);
        assert_int_equal(seen_ids[i], sagas[ended[at]].saga_id);
        assert_int_equal(seen_blocks[i], sagas[ended[at]].end_no);
        assert_true(seen_blocks[i] < end_no);
    }
    assert_true(at == ended_count || sagas[ended[at]].end_no >= end_no);
}

static void every_end_is_told_once_in_order_whatever_the_pages(void **state)
{
    (void)state;
    oracle_write(7, BLOCKS_COUNT);
    static const uint32_t limits[] = {1, 3, 64, 1000, 40000};
    for (uint32_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        follow_all(1, UINT64_MAX, limits[i]);
        check(1, UINT64_MAX);
        assert_int_equal(seen_count, ended_count);
    }
}

static void it_goes_on_from_any_block_and_ends_before_any(void **state)
{
    (void)state;
    oracle_write(8, BLOCKS_COUNT);
    for (uint64_t first_no = 1; first_no <= BLOCKS_COUNT; first_no += 97) {
        follow_all(first_no, UINT64_MAX, 500);
        check(first_no, UINT64_MAX);
        follow_all(first_no, first_no + 50, 500);
        check(first_no, first_no + 50);
        assert_true(seen_count > 0);
    }
    follow_all(BLOCKS_COUNT + 1, UINT64_MAX, 500);
    assert_int_equal(seen_count, 0);
}

static void blocks_that_are_not_kept_any_more_are_lost(void **state)
{
    (void)state;
    uint64_t first_no;
    oracle_write(9, BLOCKS_COUNT);
    assert_int_equal(history_log_drop_before(writer, BLOCKS_COUNT / 2, &first_no, &problem),
                     STATUS_OK);
    assert_true(first_no > 1);
    struct history_place_of_note next = {1, 0};
    bool is_done = false;
    assert_int_equal(history_follow(reader, &next, UINT64_MAX, 10, see, NULL, &is_done, &problem),
                     STATUS_LOST);
    follow_all(first_no, UINT64_MAX, 100);
    check(first_no, UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_end_is_told_once_in_order_whatever_the_pages,
                                        oracle_set_up, oracle_tear_down),
        cmocka_unit_test_setup_teardown(it_goes_on_from_any_block_and_ends_before_any,
                                        oracle_set_up, oracle_tear_down),
        cmocka_unit_test_setup_teardown(blocks_that_are_not_kept_any_more_are_lost, oracle_set_up,
                                        oracle_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
