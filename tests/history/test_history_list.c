/* Pages of finished sagas against a plain list of all there were. */
#include "tests/damage.h"
#include "tests/history/oracle.h"

#include <sys/wait.h>

#include "engine/history/segment.h"

struct seen {
    uint32_t count;
    struct history_entry *entries;
};

static struct history_entry seen_entries[SAGAS_MAX];

static void see(const struct history_entry *entry, void *context)
{
    struct seen *seen = context;
    assert_true(seen->count < SAGAS_MAX);
    seen_entries[seen->count++] = *entry;
}

/* All pages; `between` is called after each. */
static uint32_t list_all(const struct history_filter *filter, uint32_t limit, void (*between)(void))
{
    struct seen seen = {0};
    struct history_cursor cursor = HISTORY_CURSOR_NEWEST;
    uint32_t pages = 0;
    while (!cursor.is_at_end) {
        uint32_t before = seen.count;
        assert_int_equal(history_list(reader, filter, &cursor, limit, see, &seen, &problem),
                         STATUS_OK);
        assert_true(seen.count - before <= limit);
        assert_true(seen.count - before == limit || cursor.is_at_end || filter->name != NULL);
        assert_true(++pages < 100000);
        if (between != NULL)
            between();
    }
    return seen.count;
}

static bool oracle_matches(const struct history_filter *filter, const struct known *known)
{
    return known->end_no != 0 &&
           (filter->outcomes == 0 || (filter->outcomes >> known->outcome & 1) != 0) &&
           (filter->definition == NULL ||
            strcmp(filter->definition, oracle_plans[known->plan]) == 0) &&
           (filter->version == 0 || filter->version == 1u + known->plan % 2) &&
           (filter->ended_from_ms == 0 || known->ended_ms >= filter->ended_from_ms) &&
           (filter->ended_before_ms == 0 || known->ended_ms < filter->ended_before_ms) &&
           (filter->name == NULL || strcmp(filter->name, known->name) == 0) &&
           (filter->error == NULL || (known->error != NOTE_NO_ERROR &&
                                      strcmp(filter->error, oracle_errors[known->error]) == 0));
}

static void check_entry(const struct history_entry *entry, const struct known *known, bool has_name)
{
    assert_int_equal(entry->saga_id, known->saga_id);
    assert_string_equal(entry->definition, oracle_plans[known->plan]);
    assert_int_equal(entry->version, 1 + known->plan % 2);
    assert_int_equal(entry->outcome, known->outcome);
    assert_string_equal(entry->error_name,
                        known->error == NOTE_NO_ERROR ? "" : oracle_errors[known->error]);
    assert_int_equal(entry->steps_count, known->steps_count);
    assert_int_equal(entry->started_ms, known->started_ms);
    assert_int_equal(entry->ended_ms, known->ended_ms);
    assert_string_equal(entry->name, has_name ? known->name : "");
    assert_int_equal(entry->redrive_of, has_name ? known->redrive_of : 0);
}

/* What is listed is what the oracle lists of the first `ended_total` ends. */
static void check_list(const struct history_filter *filter, uint32_t limit, uint32_t ended_total,
                       void (*between)(void))
{
    uint32_t count = list_all(filter, limit, between), at = 0;
    bool by_name = filter->name != NULL;
    for (uint32_t i = by_name ? sagas_count : ended_total; i-- > 0;) {
        const struct known *known = &sagas[by_name ? i : ended[i]];
        if (!oracle_matches(filter, known))
            continue;
        assert_true(at < count);
        check_entry(&seen_entries[at++], known, by_name || filter->with_names);
    }
    assert_int_equal(at, count);
}

static void pages_of_every_filter_hold_every_match_once(void **state)
{
    (void)state;
    oracle_write(6, BLOCKS_COUNT);
    const struct history_filter filters[] = {
        {0},
        {.outcomes = 1u << 3},
        {.outcomes = 1u << 2 | 1u << 4},
        {.outcomes = 1u << 7},
        {.definition = "order"},
        {.definition = "order", .version = 2},
        {.definition = "rare"},
        {.definition = "none"},
        {.version = 2},
        {.error = "States.Timeout"},
        {.error = "none"},
        {.error = "A.One", .definition = "ship", .version = 1, .outcomes = 1u << 2},
        {.ended_from_ms = 1010000, .ended_before_ms = 1012000},
        {.ended_from_ms = 1040000},
        {.ended_before_ms = 1005000},
        {.name = "name-17"},
        {.name = "name-400", .outcomes = 1u << 1},
        {.name = "name-3", .ended_from_ms = 1010000, .ended_before_ms = 1030000},
        {.name = "none"},
    };
    for (uint32_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        check_list(&filters[i], 1000, ended_count, NULL);
        check_list(&filters[i], 37, ended_count, NULL);
    }
    check_list(&(struct history_filter){.definition = "rare"}, 1, ended_count, NULL);
    check_list(&(struct history_filter){.name = "name-17"}, 1, ended_count, NULL);
    check_list(&(struct history_filter){.definition = "rare", .with_names = true}, 10, ended_count,
               NULL);
    check_list(&(struct history_filter){.outcomes = 1u << 3, .with_names = true}, 1000, ended_count,
               NULL);
    assert_int_equal(history_damaged_count(reader), 0);
}

static void write_some(void)
{
    if (block_no < BLOCKS_COUNT)
        oracle_write_block();
}

static void pages_hold_every_match_once_while_more_sagas_end(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 6; round++) {
        oracle_write(100 + round, 300 + 7 * (uint32_t)round);
        uint32_t before = ended_count;
        check_list(&(struct history_filter){0}, 31, before, write_some);
        assert_true(ended_count > before);
        history_log_close(writer);
        writer = NULL;
    }
}

static void remove_oldest(void)
{
    uint64_t first_no;
    uint64_t bytes = history_log_bytes(writer);
    assert_int_equal(history_log_retain(writer, bytes - bytes / 50, INT64_MIN, &first_no, &problem),
                     STATUS_OK);
}

static void pages_end_early_where_old_segments_go(void **state)
{
    (void)state;
    oracle_write(7, BLOCKS_COUNT);
    uint32_t count = list_all(&(struct history_filter){0}, 500, remove_oldest);
    assert_true(count > 1000 && count < ended_count);
    for (uint32_t i = 0; i < count; i++)
        check_entry(&seen_entries[i], &sagas[ended[ended_count - 1 - i]], false);
}

static void a_torn_end_is_not_there_yet(void **state)
{
    (void)state;
    oracle_write(8, 30);
    char path[PATH_MAX], folder[PATH_MAX];
    scratch_path(folder, directory, "history");
    assert_true(scratch_find(folder, "", SEGMENT_SUFFIX, path));
    uint32_t before = list_all(&(struct history_filter){0}, 1000, NULL);
    assert_int_equal(before, ended_count);
    size_t bytes = damage_file_bytes(path);
    uint32_t last_ends = 0;
    while (sagas[ended[ended_count - 1 - last_ends]].end_no == block_no)
        last_ends++;
    assert_true(last_ends > 0);
    for (size_t cut = 1; cut < 100; cut++) {
        assert_int_equal(truncate(path, (off_t)(bytes - cut)), 0);
        assert_int_equal(list_all(&(struct history_filter){0}, 1000, NULL), before - last_ends);
        struct history_counts counts;
        assert_int_equal(history_count(reader, &counts, &problem), STATUS_OK);
        assert_int_equal(counts.last_no, block_no - 1);
    }
    assert_int_equal(history_damaged_count(reader), 0);
}

static void damage_costs_no_more_than_its_region(void **state)
{
    (void)state;
    oracle_write(9, BLOCKS_COUNT);
    uint32_t whole = list_all(&(struct history_filter){0}, 1000, NULL);
    char path[PATH_MAX], folder[PATH_MAX];
    scratch_path(folder, directory, "history");
    uint64_t *first_nos;
    uint32_t count;
    assert_int_equal(segment_list(folder, &first_nos, &count, &problem), STATUS_OK);
    assert_true(count > 5);
    assert_int_equal(segment_path(path, folder, first_nos[3], &problem), STATUS_OK);
    free(first_nos);
    damage_flip(path, SEGMENT_BYTES / 2, 4);
    uint32_t rest = list_all(&(struct history_filter){0}, 1000, NULL);
    assert_true(rest < whole && rest > whole - 200);
    assert_true(history_damaged_count(reader) > 0);
    struct history_saga saga;
    for (uint32_t i = 0; i < sagas_count; i += 50) {
        enum status status = history_find(reader, sagas[i].saga_id, &saga, &problem);
        assert_true(status == STATUS_OK || status == STATUS_NOT_FOUND);
    }
}

/* Files that go between being listed and being opened are passed over. */
static void see_and_remove(const struct history_entry *entry, void *context)
{
    uint64_t first_no;
    see(entry, context);
    assert_int_equal(history_log_drop_before(writer, block_no, &first_no, &problem), STATUS_OK);
}

static void segments_that_vanish_during_a_call_are_passed_over(void **state)
{
    (void)state;
    oracle_write(12, BLOCKS_COUNT);
    struct history_cursor cursor = HISTORY_CURSOR_NEWEST;
    struct seen seen = {0};
    assert_int_equal(history_list(reader, &(struct history_filter){.definition = "rare"}, &cursor,
                                  1, see, &seen, &problem),
                     STATUS_OK);
    assert_int_equal(seen.count, 1);
    struct history_saga saga;
    cursor = HISTORY_CURSOR_NEWEST;
    assert_int_equal(history_list(reader, &(struct history_filter){0}, &cursor, 1000,
                                  see_and_remove, &seen, &problem),
                     STATUS_OK);
    assert_true(cursor.is_at_end && seen.count > 1 && seen.count < 1001);
    assert_int_equal(history_find(reader, sagas[0].saga_id, &saga, &problem), STATUS_NOT_FOUND);
    assert_int_equal(history_damaged_count(reader), 0);
}

/* Whatever a page tells is found, and in order, at every moment of another process writing. */
static void look_beside_writer(void)
{
    struct history_cursor cursor = HISTORY_CURSOR_NEWEST;
    struct seen seen = {0};
    for (uint32_t page = 0; page < 3; page++)
        assert_int_equal(
            history_list(reader, &(struct history_filter){0}, &cursor, 200, see, &seen, &problem),
            STATUS_OK);
    for (uint32_t i = 1; i < seen.count; i++) {
        assert_true(seen_entries[i].ended_ms <= seen_entries[i - 1].ended_ms);
        assert_string_not_equal(seen_entries[i].definition, "");
    }
    for (uint32_t i = 0; i < seen.count; i += 97) {
        struct history_saga saga;
        assert_int_equal(history_find(reader, seen_entries[i].saga_id, &saga, &problem), STATUS_OK);
        assert_true(saga.has_start && saga.has_end);
        assert_int_equal(saga.ended_ms, seen_entries[i].ended_ms);
    }
    struct history_counts counts;
    assert_int_equal(history_count(reader, &counts, &problem), STATUS_OK);
    assert_int_equal(history_damaged_count(reader), 0);
}

static void a_reader_beside_a_writing_process_sees_whole_blocks(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        oracle_write(13, BLOCKS_COUNT);
        _exit(0);
    }
    int result;
    pid_t ended_child;
    while ((ended_child = waitpid(child, &result, WNOHANG)) == 0)
        look_beside_writer();
    assert_int_equal(ended_child, child);
    assert_true(WIFEXITED(result) && WEXITSTATUS(result) == 0);
    look_beside_writer();
}

/* 200 MiB of segments with one match, at the very beginning. */
static void a_call_reads_no_more_than_its_bound(void **state)
{
    (void)state;
    struct history_log_options options = {.directory = directory, .segment_bytes = 16u << 20};
    struct history_log_found found;
    assert_int_equal(history_log_open(&options, &writer, &found, &problem), STATUS_OK);
    uint64_t saga_id = 1, ends = 0;
    for (block_no = 1; history_log_bytes(writer) < 200u << 20; block_no++) {
        rig_begin(&chunk, 1 + (int64_t)block_no);
        for (uint32_t i = 0; i < 200000 && chunk.bytes_count + NOTE_BYTES_MAX < RIG_CHUNK_BYTES;
             i++, ends++)
            rig_note(&chunk, &(struct note){.kind = NOTE_ENDED,
                                            .saga_id = saga_id += 3,
                                            .ended = {.outcome = ends == 0 ? 2 : 1,
                                                      .error = ends % 100000 == 0 ? 1 : 2}});
        if (block_no == 1)
            for (uint32_t i = 0; i < ERRORS_COUNT; i++)
                oracle_tell_meaning(i);
        rig_append(writer, block_no, &chunk);
    }
    struct history_filter filter = {.outcomes = 1u << 1, .error = "B.Two"};
    struct history_cursor cursor = HISTORY_CURSOR_NEWEST;
    struct seen seen = {0};
    uint32_t calls = 0;
    for (; !cursor.is_at_end; calls++)
        assert_int_equal(history_list(reader, &filter, &cursor, 1000, see, &seen, &problem),
                         STATUS_OK);
    assert_in_range(calls, 3, 5);
    assert_int_equal(seen.count, (ends - 1) / 100000);
    /* Looking names up is reading too: fewer entries a call, and none left out. */
    filter = (struct history_filter){.with_names = true};
    cursor = HISTORY_CURSOR_NEWEST;
    seen.count = 0;
    for (calls = 0; calls < 5; calls++) {
        uint32_t before = seen.count;
        assert_int_equal(history_list(reader, &filter, &cursor, 1000, see, &seen, &problem),
                         STATUS_OK);
        assert_in_range(seen.count - before, 1, 500);
    }
    for (uint32_t i = 0; i < seen.count; i++)
        assert_int_equal(seen_entries[i].saga_id, saga_id - 3 * i);
    /* By outcome the footers tell where to look. */
    filter = (struct history_filter){.outcomes = 1u << 2};
    cursor = HISTORY_CURSOR_NEWEST;
    seen.count = 0;
    assert_int_equal(history_list(reader, &filter, &cursor, 1000, see, &seen, &problem), STATUS_OK);
    assert_true(cursor.is_at_end);
    assert_int_equal(seen.count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, oracle_set_up, oracle_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pages_of_every_filter_hold_every_match_once),
        TEST(pages_hold_every_match_once_while_more_sagas_end),
        TEST(pages_end_early_where_old_segments_go),
        TEST(a_torn_end_is_not_there_yet),
        TEST(damage_costs_no_more_than_its_region),
        TEST(segments_that_vanish_during_a_call_are_passed_over),
        TEST(a_reader_beside_a_writing_process_sees_whole_blocks),
        TEST(a_call_reads_no_more_than_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
