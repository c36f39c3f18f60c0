/* Finding and counting against a plain list of all sagas there were. */
#include "tests/history/oracle.h"

static void check_end(const struct history_saga *saga, const struct known *known)
{
    assert_int_equal(saga->has_end, known->end_no != 0);
    if (!saga->has_end)
        return;
    assert_int_equal(saga->outcome, known->outcome);
    assert_int_equal(saga->error, known->error);
    assert_string_equal(saga->error_name,
                        known->error == NOTE_NO_ERROR ? "" : oracle_errors[known->error]);
    assert_int_equal(saga->steps_count, known->steps_count);
    assert_int_equal(saga->started_ms, known->started_ms);
    assert_int_equal(saga->ended_ms, known->ended_ms);
}

static void check_saga(const struct known *known)
{
    struct history_saga saga;
    assert_int_equal(history_find(reader, known->saga_id, &saga, &problem), STATUS_OK);
    assert_int_equal(saga.saga_id, known->saga_id);
    assert_true(saga.has_start);
    assert_string_equal(saga.name, known->name);
    assert_int_equal(saga.name_bytes, strlen(known->name));
    assert_int_equal(saga.redrive_of, known->redrive_of);
    assert_int_equal(saga.plan, known->plan);
    assert_string_equal(saga.definition, oracle_plans[known->plan]);
    assert_int_equal(saga.version, 1 + known->plan % 2);
    check_end(&saga, known);
    assert_int_equal(saga.blocks_count, known->blocks_count);
    assert_int_equal(saga.branches_count, known->branches_count);
    for (uint32_t i = 0; i < saga.blocks_count && i < KEPT_MAX; i++)
        assert_int_equal(saga.blocks[i], known->blocks[i]);
    for (uint32_t i = 0; i < saga.branches_count && i < KEPT_MAX; i++) {
        assert_int_equal(saga.branches[i].branch, known->branches[i].branch);
        assert_int_equal(saga.branches[i].block_no, known->branches[i].block_no);
    }
    assert_int_equal(saga.blocks[0], known->start_no);
    if (saga.has_end)
        assert_int_equal(saga.blocks[saga.blocks_count - 1], known->end_no);
}

static void every_saga_is_found_as_it_was(void **state)
{
    (void)state;
    oracle_write(3, BLOCKS_COUNT);
    assert_true(sagas_count > 20000 && running_count > 50);
    for (uint32_t i = 0; i < sagas_count; i += 1 + i % 7)
        check_saga(&sagas[i]);
    for (uint32_t i = 0; i < running_count; i++)
        check_saga(&sagas[running[i]]);
    assert_int_equal(history_damaged_count(reader), 0);
}

static void an_unknown_saga_is_not_found_and_said_so(void **state)
{
    (void)state;
    struct history_saga saga;
    assert_int_equal(history_find(reader, 5, &saga, &problem), STATUS_NOT_FOUND);
    assert_non_null(strstr(problem.text, "saga 5"));
    oracle_write(4, 100);
    static const uint64_t ids[] = {0, 1, 999, 1u << 30, UINT64_MAX};
    for (uint32_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        assert_int_equal(history_find(reader, ids[i], &saga, &problem), STATUS_NOT_FOUND);
    assert_non_null(strstr(problem.text, "block 1"));
}

static void a_saga_with_a_removed_beginning_is_told_from_there(void **state)
{
    (void)state;
    oracle_write(5, BLOCKS_COUNT);
    uint64_t first_no;
    assert_int_equal(history_log_drop_before(writer, BLOCKS_COUNT / 2, &first_no, &problem),
                     STATUS_OK);
    assert_true(first_no > 100);
    uint32_t cut_count = 0, gone_count = 0;
    for (uint32_t i = 0; i < sagas_count; i++) {
        const struct known *known = &sagas[i];
        struct history_saga saga;
        if (known->end_no >= first_no && known->start_no < first_no) {
            assert_int_equal(history_find(reader, known->saga_id, &saga, &problem), STATUS_OK);
            assert_false(saga.has_start);
            assert_string_equal(saga.definition, oracle_plans[known->plan]);
            check_end(&saga, known);
            assert_true(saga.blocks[0] >= first_no);
            cut_count++;
        } else if (known->end_no != 0 && known->end_no < first_no && gone_count++ % 50 == 0) {
            assert_int_equal(history_find(reader, known->saga_id, &saga, &problem),
                             STATUS_NOT_FOUND);
        }
    }
    assert_true(cut_count > 20 && gone_count > 1000);
}

static void more_blocks_than_are_told_are_said_to_be_there(void **state)
{
    (void)state;
    struct history_log_found found;
    writer = rig_open(directory, 0, &found);
    for (block_no = 1; block_no <= HISTORY_BLOCKS_MAX + 5; block_no++) {
        rig_begin(&chunk, 1);
        rig_note(&chunk, &(struct note){.kind = NOTE_TOUCHED, .saga_id = 7});
        if (block_no % 2 == 0)
            rig_note(&chunk, &(struct note){.kind = NOTE_BRANCH, .saga_id = 7, .branch = {3}});
        rig_append(writer, block_no, &chunk);
    }
    struct history_saga saga;
    assert_int_equal(history_find(reader, 7, &saga, &problem), STATUS_OK);
    assert_int_equal(saga.blocks_count, HISTORY_BLOCKS_MAX);
    assert_true(saga.has_more_blocks);
    assert_int_equal(saga.branches_count, HISTORY_BLOCKS_MAX / 2 + 2);
    assert_false(saga.has_more_branches);
}

static void counts_are_those_of_what_is_kept(void **state)
{
    (void)state;
    struct history_counts counts;
    assert_int_equal(history_count(reader, &counts, &problem), STATUS_OK);
    assert_int_equal(counts.segments_count, 0);
    oracle_write(10, BLOCKS_COUNT);
    uint64_t expected[NOTE_OUTCOMES_MAX] = {0};
    for (uint32_t i = 0; i < ended_count; i++)
        expected[sagas[ended[i]].outcome]++;
    assert_int_equal(history_count(reader, &counts, &problem), STATUS_OK);
    assert_memory_equal(counts.ended_counts, expected, sizeof expected);
    assert_int_equal(counts.bytes, history_log_bytes(writer));
    assert_int_equal(counts.first_no, 1);
    assert_int_equal(counts.last_no, BLOCKS_COUNT);
    assert_int_equal(counts.first_ms, 1000050);
    assert_int_equal(counts.last_ms, 1000000 + (int64_t)BLOCKS_COUNT * 50);
    assert_true(counts.segments_count > 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, oracle_set_up, oracle_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_saga_is_found_as_it_was),
        TEST(an_unknown_saga_is_not_found_and_said_so),
        TEST(a_saga_with_a_removed_beginning_is_told_from_there),
        TEST(more_blocks_than_are_told_are_said_to_be_there),
        TEST(counts_are_those_of_what_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
