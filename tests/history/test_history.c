/* The reader against a plain list of all sagas there were. */
#include "tests/history/rig.h"

#include "engine/history/history.h"
#include "engine/history/segment.h"

#define SAGAS_MAX    40000u
#define BLOCKS_COUNT 900u
#define KEPT_MAX     6u /* branches and noted blocks that the oracle checks one by one */
#define PLANS_COUNT  7u
#define ERRORS_COUNT 5u

struct known {
    uint64_t saga_id;
    char name[24];
    uint64_t redrive_of;
    uint16_t plan;
    uint8_t outcome;
    uint8_t error;
    uint32_t steps_count;
    int64_t started_ms, ended_ms;
    uint64_t start_no, end_no; /* blocks; end 0: running */
    uint32_t end_index;        /* of all ends, in order */
    uint32_t blocks_count, branches_count;
    uint64_t blocks[KEPT_MAX];
    struct history_branch branches[KEPT_MAX];
    bool lives_long;
};

static const char *const plan_names[PLANS_COUNT] = {"order", "order", "refund", "ship",
                                                    "ship",  "mail",  "rare"};
static const char *const error_names[ERRORS_COUNT] = {"A.One", "B.Two", "States.Timeout", "C", "D"};

static char directory[PATH_MAX];
static struct problem problem;
static struct history_log *writer;
static struct history *reader;
static struct rig_chunk chunk;
static struct known sagas[SAGAS_MAX];
static uint32_t sagas_count, ended_count;
static uint32_t ended[SAGAS_MAX]; /* indexes of sagas, in the order they ended */
static uint32_t running[SAGAS_MAX], running_count;
static uint64_t seed, block_no;

static void note_block(struct known *saga)
{
    uint32_t last = saga->blocks_count;
    if (last > 0 && last <= KEPT_MAX && saga->blocks[last - 1] == block_no)
        return;
    if (last < KEPT_MAX)
        saga->blocks[last] = block_no;
    saga->blocks_count++;
}

static void note_branch(struct known *saga, uint32_t branch)
{
    if (saga->branches_count < KEPT_MAX)
        saga->branches[saga->branches_count] =
            (struct history_branch){.block_no = block_no, .branch = branch};
    saga->branches_count++;
    note_block(saga);
}

static void start_saga(void)
{
    assert_true(sagas_count < SAGAS_MAX);
    struct known *saga = &sagas[sagas_count];
    *saga = (struct known){.saga_id = 1000 + sagas_count,
                           .plan = (uint16_t)(draw(&seed) % (PLANS_COUNT - 1)),
                           .started_ms = chunk.now_ms,
                           .start_no = block_no,
                           .lives_long = draw(&seed) % 100 == 0};
    if (block_no == BLOCKS_COUNT / 2 && draw(&seed) % 4 == 0)
        saga->plan = PLANS_COUNT - 1;
    if (draw(&seed) % 10 == 0)
        snprintf(saga->name, sizeof saga->name, "name-%u", (unsigned)(draw(&seed) % 500));
    if (sagas_count > 10 && draw(&seed) % 20 == 0)
        saga->redrive_of = saga->saga_id - 1 - draw(&seed) % 10;
    uint32_t branch = (uint32_t)(draw(&seed) % 100000);
    rig_note(&chunk, &(struct note){.kind = NOTE_STARTED,
                                    .saga_id = saga->saga_id,
                                    .started = {.branch = branch,
                                                .plan = saga->plan,
                                                .redrive_of = saga->redrive_of,
                                                .name = rig_text(saga->name)}});
    note_branch(saga, branch);
    running[running_count++] = sagas_count++;
}

static void end_saga(uint32_t at)
{
    struct known *saga = &sagas[running[at]];
    ended[ended_count] = running[at];
    saga->end_index = ended_count++;
    running[at] = running[--running_count];
    saga->end_no = block_no;
    saga->ended_ms = chunk.now_ms;
    saga->outcome = (uint8_t)(draw(&seed) % 4 == 0 ? 2 + draw(&seed) % 3 : 1);
    saga->error = saga->outcome == 1 ? NOTE_NO_ERROR : (uint8_t)(draw(&seed) % ERRORS_COUNT);
    saga->steps_count = (uint32_t)(draw(&seed) % 300);
    rig_note(&chunk, &(struct note){.kind = NOTE_ENDED,
                                    .saga_id = saga->saga_id,
                                    .ended = {.plan = saga->plan,
                                              .outcome = saga->outcome,
                                              .error = saga->error,
                                              .steps_count = saga->steps_count,
                                              .started_ms = saga->started_ms}});
    note_block(saga);
}

static void touch_saga(struct known *saga)
{
    if (draw(&seed) % 2 == 0) {
        uint32_t branch = (uint32_t)(draw(&seed) % 100000);
        rig_note(&chunk, &(struct note){.kind = NOTE_BRANCH,
                                        .saga_id = saga->saga_id,
                                        .branch = {.branch = branch}});
        note_branch(saga, branch);
    } else {
        rig_note(&chunk, &(struct note){.kind = NOTE_TOUCHED, .saga_id = saga->saga_id});
        note_block(saga);
    }
}

static void tell_meaning(uint32_t index)
{
    if (index < PLANS_COUNT)
        rig_note(&chunk, &(struct note){.kind = NOTE_PLAN,
                                        .plan = {.plan = (uint16_t)index,
                                                 .version = 1 + index % 2,
                                                 .name = rig_text(plan_names[index])}});
    if (index < ERRORS_COUNT)
        rig_note(&chunk, &(struct note){.kind = NOTE_ERROR,
                                        .error = {.error = (uint8_t)index,
                                                  .name = rig_text(error_names[index])}});
}

static void write_block(void)
{
    block_no++;
    rig_begin(&chunk, 1000000 + (int64_t)block_no * 50);
    if (block_no == 1)
        for (uint32_t i = 0; i < PLANS_COUNT; i++)
            tell_meaning(i);
    uint32_t starts = (uint32_t)(draw(&seed) % 60);
    for (uint32_t i = 0; i < starts; i++)
        start_saga();
    for (uint32_t at = 0; at < running_count;) {
        struct known *saga = &sagas[running[at]];
        uint64_t dice = draw(&seed) % 1000;
        if (saga->lives_long ? dice < 2 : dice < 300)
            end_saga(at);
        else if (dice >= 940 || (saga->lives_long && dice >= 900))
            touch_saga(&sagas[running[at++]]);
        else
            at++;
    }
    rig_append(writer, block_no, &chunk);
}

static void write_history(uint64_t new_seed, uint32_t blocks_count)
{
    struct history_log_found found;
    seed = new_seed;
    sagas_count = ended_count = running_count = 0;
    block_no = 0;
    writer = rig_open(directory, 0, &found);
    for (uint32_t i = 0; i < blocks_count; i++)
        write_block();
}

static int set_up(void **state)
{
    (void)state;
    scratch_make(directory);
    assert_int_equal(history_open(directory, &reader, &problem), STATUS_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    history_close(reader);
    history_log_close(writer);
    writer = NULL;
    scratch_remove(directory);
    return 0;
}

/* ---- finding -------------------------------------------------------------------------------- */

static void check_end(const struct history_saga *saga, const struct known *known)
{
    assert_int_equal(saga->has_end, known->end_no != 0);
    if (!saga->has_end)
        return;
    assert_int_equal(saga->outcome, known->outcome);
    assert_int_equal(saga->error, known->error);
    assert_string_equal(saga->error_name,
                        known->error == NOTE_NO_ERROR ? "" : error_names[known->error]);
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
    assert_string_equal(saga.definition, plan_names[known->plan]);
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
    write_history(3, BLOCKS_COUNT);
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
    write_history(4, 100);
    static const uint64_t ids[] = {0, 1, 999, 1u << 30, UINT64_MAX};
    for (uint32_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        assert_int_equal(history_find(reader, ids[i], &saga, &problem), STATUS_NOT_FOUND);
    assert_non_null(strstr(problem.text, "block 1"));
}

static void a_saga_with_a_removed_beginning_is_told_from_there(void **state)
{
    (void)state;
    write_history(5, BLOCKS_COUNT);
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
            assert_string_equal(saga.definition, plan_names[known->plan]);
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

/* ---- listing -------------------------------------------------------------------------------- */

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
            strcmp(filter->definition, plan_names[known->plan]) == 0) &&
           (filter->version == 0 || filter->version == 1u + known->plan % 2) &&
           (filter->ended_from_ms == 0 || known->ended_ms >= filter->ended_from_ms) &&
           (filter->ended_before_ms == 0 || known->ended_ms < filter->ended_before_ms) &&
           (filter->name == NULL || strcmp(filter->name, known->name) == 0) &&
           (filter->error == NULL || (known->error != NOTE_NO_ERROR &&
                                      strcmp(filter->error, error_names[known->error]) == 0));
}

static void check_entry(const struct history_entry *entry, const struct known *known, bool has_name)
{
    assert_int_equal(entry->saga_id, known->saga_id);
    assert_string_equal(entry->definition, plan_names[known->plan]);
    assert_int_equal(entry->version, 1 + known->plan % 2);
    assert_int_equal(entry->outcome, known->outcome);
    assert_string_equal(entry->error_name,
                        known->error == NOTE_NO_ERROR ? "" : error_names[known->error]);
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
    write_history(6, BLOCKS_COUNT);
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
    assert_int_equal(history_damaged_count(reader), 0);
}

static void write_some(void)
{
    if (block_no < BLOCKS_COUNT)
        write_block();
}

static void pages_hold_every_match_once_while_more_sagas_end(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 6; round++) {
        write_history(100 + round, 300 + 7 * (uint32_t)round);
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
    write_history(7, BLOCKS_COUNT);
    uint32_t count = list_all(&(struct history_filter){0}, 500, remove_oldest);
    assert_true(count > 1000 && count < ended_count);
    for (uint32_t i = 0; i < count; i++)
        check_entry(&seen_entries[i], &sagas[ended[ended_count - 1 - i]], false);
}

static void a_torn_end_is_not_there_yet(void **state)
{
    (void)state;
    write_history(8, 30);
    char path[PATH_MAX], folder[PATH_MAX];
    scratch_path(folder, directory, "history");
    assert_true(scratch_find(folder, "", SEGMENT_SUFFIX, path));
    uint32_t before = list_all(&(struct history_filter){0}, 1000, NULL);
    assert_int_equal(before, ended_count);
    size_t bytes = scratch_file_bytes(path);
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
    write_history(9, BLOCKS_COUNT);
    uint32_t whole = list_all(&(struct history_filter){0}, 1000, NULL);
    char path[PATH_MAX], folder[PATH_MAX];
    scratch_path(folder, directory, "history");
    uint64_t *first_nos;
    uint32_t count;
    assert_int_equal(segment_list(folder, &first_nos, &count, &problem), STATUS_OK);
    assert_true(count > 5);
    assert_int_equal(segment_path(path, folder, first_nos[3], &problem), STATUS_OK);
    free(first_nos);
    scratch_flip(path, SEGMENT_BYTES / 2, 4);
    uint32_t rest = list_all(&(struct history_filter){0}, 1000, NULL);
    assert_true(rest < whole && rest > whole - 200);
    assert_true(history_damaged_count(reader) > 0);
    struct history_saga saga;
    for (uint32_t i = 0; i < sagas_count; i += 50) {
        enum status status = history_find(reader, sagas[i].saga_id, &saga, &problem);
        assert_true(status == STATUS_OK || status == STATUS_NOT_FOUND);
    }
}

static void counts_are_those_of_what_is_kept(void **state)
{
    (void)state;
    struct history_counts counts;
    assert_int_equal(history_count(reader, &counts, &problem), STATUS_OK);
    assert_int_equal(counts.segments_count, 0);
    write_history(10, BLOCKS_COUNT);
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
                tell_meaning(i);
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
    /* By outcome the footers tell where to look. */
    filter = (struct history_filter){.outcomes = 1u << 2};
    cursor = HISTORY_CURSOR_NEWEST;
    seen.count = 0;
    assert_int_equal(history_list(reader, &filter, &cursor, 1000, see, &seen, &problem), STATUS_OK);
    assert_true(cursor.is_at_end);
    assert_int_equal(seen.count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_saga_is_found_as_it_was),
        TEST(an_unknown_saga_is_not_found_and_said_so),
        TEST(a_saga_with_a_removed_beginning_is_told_from_there),
        TEST(more_blocks_than_are_told_are_said_to_be_there),
        TEST(pages_of_every_filter_hold_every_match_once),
        TEST(pages_hold_every_match_once_while_more_sagas_end),
        TEST(pages_end_early_where_old_segments_go),
        TEST(a_torn_end_is_not_there_yet),
        TEST(damage_costs_no_more_than_its_region),
        TEST(counts_are_those_of_what_is_kept),
        TEST(a_call_reads_no_more_than_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
