#include "tests/saga/core_rig.h"

#include <stdlib.h>
#include <string.h>

/* What history is told, and where a saga is found by its id. */

enum { NOTES_MAX = 64 };

struct notes {
    struct core_note list[NOTES_MAX];
    char names[NOTES_MAX][16];
    uint32_t count;
};

static void take_note(void *context, const struct core_note *note)
{
    struct notes *notes = context;
    assert_in_range(notes->count, 0, NOTES_MAX - 1);
    assert_in_range(note->name.count, 0, 15);
    if (note->name.count > 0)
        memcpy(notes->names[notes->count], note->name.at, note->name.count);
    notes->list[notes->count] = *note;
    notes->list[notes->count++].name.at = NULL;
}

static struct notes *listen(struct rig *rig)
{
    static struct notes notes;
    memset(&notes, 0, sizeof notes);
    core_set_on_note(rig->core, take_note, &notes);
    return &notes;
}

/* The notes since the last time, each of this saga. */
static void assert_notes(struct notes *notes, uint64_t saga_id, const enum core_note_kind *kinds,
                         uint32_t count)
{
    assert_int_equal(notes->count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(notes->list[i].kind, kinds[i]);
        assert_true(notes->list[i].saga_id == saga_id);
    }
    notes->count = 0;
}

static void assert_no_notes(struct notes *notes)
{
    assert_int_equal(notes->count, 0);
}

static const enum core_note_kind started[] = {CORE_NOTE_STARTED}, branch[] = {CORE_NOTE_BRANCH},
                                 touched[] = {CORE_NOTE_TOUCHED}, ended[] = {CORE_NOTE_ENDED};

static const char with_beside[] =
    STATES(UNDONE("A", "a", "'Next':'B'"), TASK("B", "f", "'FireAndForget':true,'Next':'C'"),
           TASK("C", "c", "'End':true"));

/* ---- notes -----------------------------------------------------------------------------------
 */

static void a_saga_that_starts_and_ends_is_told_with_all_there_is_to_tell(void **state)
{
    struct rig *rig = *state;
    struct notes *notes = listen(rig);
    uint32_t other = rig_add(rig, STATES(TASK("A", "a", "'End':true")));
    uint32_t plan = rig_add(rig, with_beside);
    assert_int_not_equal(plan, other);
    int64_t started_ms = rig->now_ms;
    struct event event = {.kind = EVENT_START,
                          .start = {.plan = plan,
                                    .source = EVENT_NO_SOURCE,
                                    .name = {(const uint8_t *)"order-7", 7},
                                    .input = rig_value("{}")}};
    assert_int_equal(rig_apply(rig, &event), STATUS_OK);
    struct effect a = rig_invoke(rig, "a");
    assert_true(notes->list[0].branch == a.branch && notes->list[0].plan == plan);
    assert_true(notes->list[0].redrive_of == 0);
    assert_string_equal(notes->names[0], "order-7");
    assert_notes(notes, 1, started, 1);
    rig->now_ms += 10;
    rig_result(rig, a, "1");
    struct effect f = rig_invoke(rig, "f");
    assert_int_equal(notes->list[0].branch, f.branch);
    assert_notes(notes, 1, branch, 1);
    rig_error(rig, rig_invoke(rig, "c"), "No", false);
    rig_result(rig, rig_invoke(rig, "undo_a"), NULL);
    rig_reply(rig, OUTCOME_COMPENSATED);
    assert_no_notes(notes);
    rig_result(rig, f, NULL);
    const struct core_error *errors;
    assert_int_equal(core_errors(rig->core, &errors), 1);
    assert_true(notes->list[0].error == 0 && notes->list[0].outcome == OUTCOME_COMPENSATED);
    assert_true(notes->list[0].plan == plan && notes->list[0].started_ms == started_ms);
    assert_int_equal(notes->list[0].steps, 4);
    assert_notes(notes, 1, ended, 1);

    rig_start(rig, other, rig_value("{}"));
    assert_int_equal(notes->list[0].name.count, 0);
    notes->count = 0;
    rig_result(rig, rig_invoke(rig, "a"), NULL);
    assert_true(notes->list[0].error == CORE_NO_ERROR && notes->list[0].plan == other);
    assert_true(notes->list[0].outcome == OUTCOME_SUCCEEDED && notes->list[0].steps == 1);
    assert_notes(notes, 2, ended, 1);
    core_set_on_note(rig->core, NULL, NULL);
    rig_start(rig, other, rig_value("{}"));
    assert_no_notes(notes);
}

static void a_saga_that_was_mended_and_succeeded_is_told_without_an_error(void **state)
{
    struct rig *rig = *state;
    rig_start(rig,
              rig_add(rig, STATES(TASK("A", "a", "'Pivot':true,'Next':'B'"),
                                  TASK("B", "b", "'End':true"))),
              rig_value("{}"));
    rig_result(rig, rig_invoke(rig, "a"), NULL);
    rig_error(rig, rig_invoke(rig, "b"), "No", false);
    rig_reply(rig, OUTCOME_STUCK);
    struct notes *notes = listen(rig);
    assert_int_equal(rig_mend(rig, 1, MEND_RETRY, NULL), STATUS_OK);
    rig_result(rig, rig_invoke(rig, "b"), NULL);
    assert_true(notes->list[0].outcome == OUTCOME_SUCCEEDED);
    assert_int_equal(notes->list[0].error, CORE_NO_ERROR);
    assert_notes(notes, 1, ended, 1);
    assert_int_equal(rig_errors_count(rig, "No"), 1);
}

static void branches_of_compensations_in_parallel_are_told(void **state)
{
    struct rig *rig = *state;
    struct notes *notes = listen(rig);
    rig_start(rig,
              rig_add(rig, SAGA(PARALLEL, UNDONE("A", "a", "'Next':'B'"),
                                UNDONE("B", "b", "'Next':'F'"), FAIL("F", "Own"))),
              rig_value("{}"));
    rig_result(rig, rig_invoke(rig, "a"), NULL);
    rig_result(rig, rig_invoke(rig, "b"), NULL);
    struct effect b = rig_invoke(rig, "undo_b"), a = rig_invoke(rig, "undo_a");
    static const enum core_note_kind kinds[] = {CORE_NOTE_STARTED, CORE_NOTE_BRANCH};
    assert_int_equal(notes->list[0].branch, b.branch);
    assert_int_equal(notes->list[1].branch, a.branch);
    assert_notes(notes, 1, kinds, 2);
    rig_result(rig, b, NULL);
    assert_no_notes(notes);
    rig_result(rig, a, NULL);
    assert_notes(notes, 1, ended, 1);
}

/* Each kind of event, after exactly as many blocks as go by without a note, and one more. */
static void an_event_is_told_when_the_last_one_told_lies_far_back(void **state)
{
    struct rig *rig = *state;
    struct notes *notes = listen(rig);
    uint32_t plan =
        rig_add(rig, SAGA("'TimeoutSeconds':9000,",
                          UNDONE("A", "a", "'Retry':[" RETRY("'X'", 1, "") "],'Next':'B'"),
                          TOKEN("B", "b", "'HeartbeatSeconds':7,'Next':'C'"),
                          SIGNAL("C", "go", "'Next':'D'"), SIGNAL("D", "go", "'End':true")));
    rig->block_no = UINT32_MAX - 100ull; /* the low bits go round */
    rig_start(rig, plan, rig_value("{}"));
    rig_asks_for_deadline(rig, 9000000);
    assert_notes(notes, 1, started, 1);
    struct effect a = rig_invoke(rig, "a"), b = {0}, timer = {0};
    struct core_invocation call = {0};
    for (int step = 0; step < 9; step++) {
        /* Far enough for every second one. */
        rig->block_no += step % 2 ? CORE_NOTED_BLOCKS : CORE_NOTED_BLOCKS + 1;
        bool told = true;
        switch (step) {
        case 0: rig_error(rig, a, "X", true); break;
        case 1:
            rig_timer(rig, rig_sleep(rig, 1000));
            told = false;
            break;
        case 2: rig_result(rig, rig_invoke(rig, "a"), NULL); break;
        case 3:
            b = rig_invoke(rig, "b");
            call = rig_call(rig, b);
            rig_result(rig, b, NULL);
            timer = rig_sleep(rig, 7000);
            told = false;
            break;
        case 4: assert_true(rig_heartbeat(rig, call)); break;
        case 5:
            assert_true(rig_answer(rig, call, NULL));
            told = false;
            rig_sleep_for_ever(rig);
            break;
        case 6: assert_int_equal(rig_signal(rig, 1, "go", "1"), STATUS_OK); break;
        case 7:
            rig_sleep_for_ever(rig);
            rig_assert_not_due(rig, timer.branch);
            told = false;
            break;
        default: assert_int_equal(rig_cancel(rig, 1), STATUS_OK); break;
        }
        if (told)
            assert_notes(notes, 1, touched, 1);
        else
            assert_no_notes(notes);
    }
    rig->block_no += CORE_NOTED_BLOCKS + 1;
    rig_error(rig, rig_invoke(rig, "undo_a"), "No", false);
    assert_notes(notes, 1, touched, 1);
    rig->block_no += CORE_NOTED_BLOCKS + 1;
    assert_int_equal(rig_mend(rig, 1, MEND_SKIP, NULL), STATUS_OK);
    static const enum core_note_kind last[] = {CORE_NOTE_TOUCHED, CORE_NOTE_ENDED};
    assert_notes(notes, 1, last, 2);
}

/* What changes nothing is no event of the saga, however long ago the last one was. */
static void an_event_that_changes_nothing_is_not_told(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, SAGA("'TimeoutSeconds':9000,", UNDONE("A", "a", "'Next':'B'"),
                                      SIGNAL("B", "go", "'End':true")));
    rig_start(rig, plan, rig_value("{}"));
    rig_asks_for_deadline(rig, 9000000);
    struct effect a = rig_invoke(rig, "a");
    struct notes *notes = listen(rig);
    rig->block_no = 1000;
    rig_assert_not_due(rig, a.branch);
    struct event of_saga = {.kind = EVENT_TIMER, .timer = {.branch = a.saga, .of_saga = true}};
    struct event beat = {.kind = EVENT_HEARTBEAT, .heartbeat = {a.branch}};
    struct event token = {.kind = EVENT_RESULT, .result = {.branch = a.branch, .by_token = true}};
    struct event error = {.kind = EVENT_ERROR, .error = {.branch = a.branch, .by_token = true}};
    rig_assert_ignored(rig, of_saga);
    rig_assert_ignored(rig, beat);
    rig_assert_ignored(rig, token);
    rig_assert_ignored(rig, error);
    assert_int_equal(rig_mend(rig, 1, MEND_RETRY, NULL), STATUS_INVALID);
    assert_int_equal(rig_signal(rig, 1, "stop", "1"), STATUS_INVALID);
    rig_error(rig, a, "No", false);
    rig_reply(rig, OUTCOME_FAILED);
    static const enum core_note_kind last[] = {CORE_NOTE_TOUCHED, CORE_NOTE_ENDED};
    assert_notes(notes, 1, last, 2);
    rig_start(rig, plan, rig_value("{}"));
    rig_asks_for_deadline(rig, 9000000);
    rig_result(rig, rig_invoke(rig, "a"), NULL);
    uint32_t at = rig_sleep_for_ever(rig).branch;
    notes->count = 0;
    rig->block_no += 1000;
    rig_assert_ignored(rig, (struct event){.kind = EVENT_RESULT, .result = {.branch = at}});
    rig_assert_ignored(rig, (struct event){.kind = EVENT_ERROR, .error = {.branch = at}});
    assert_int_equal(rig_cancel(rig, 2), STATUS_OK);
    rig->block_no += 1000;
    assert_int_equal(rig_cancel(rig, 2), STATUS_EXISTS);
    assert_notes(notes, 2, touched, 1);
}

/* ---- by id -----------------------------------------------------------------------------------
 */

enum { SLOTS_COUNT = 64, STARTS_COUNT = 4000 };

/* Which saga has which slot, told by a list; in a core of 64. */
struct map {
    uint64_t ids[SLOTS_COUNT];
    struct effect at[SLOTS_COUNT];
    uint32_t count;
};

static void check_map(struct rig *rig, const struct map *map, uint64_t from_id)
{
    uint32_t found_count = 0;
    for (uint64_t id = from_id; id <= rig->saga_id; id++) {
        uint32_t found = CORE_NO_SAGA;
        for (uint32_t i = 0; i < map->count; i++)
            if (map->ids[i] == id)
                found = map->at[i].saga;
        assert_true(core_find_saga(rig->core, id) == found);
        found_count += found != CORE_NO_SAGA;
    }
    if (from_id == 1)
        assert_int_equal(found_count, map->count);
    assert_true(core_find_saga(rig->core, rig->saga_id + 1) == CORE_NO_SAGA);
    assert_true(core_find_saga(rig->core, 0) == CORE_NO_SAGA);
}

static void map_start(struct rig *rig, struct map *map, uint32_t plan)
{
    rig_start(rig, plan, rig_value("{}"));
    map->at[map->count] = rig_invoke(rig, "a");
    map->ids[map->count++] = rig->saga_id;
}

static void map_end(struct rig *rig, struct map *map, uint32_t i)
{
    assert_true(rig_result(rig, map->at[i], NULL));
    rig->effects.head = rig->effects.tail;
    map->count--;
    map->at[i] = map->at[map->count];
    map->ids[i] = map->ids[map->count];
}

static void a_saga_is_found_by_its_id_while_it_lives_and_not_after(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, STATES(TASK("A", "a", "'End':true")));
    static struct map map;
    memset(&map, 0, sizeof map);
    uint64_t seed = 0x9e3779b97f4a7c15;
    for (uint32_t turn = 0; turn < STARTS_COUNT; turn++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        /* Now nearly full, now nearly empty. */
        uint32_t wanted = turn / 500 % 2 ? 4 : 60;
        if (map.count < wanted)
            map_start(rig, &map, plan);
        else
            map_end(rig, &map, (uint32_t)(seed % map.count));
        if (turn % 1000 == 700)
            rig_restart(rig);
        check_map(rig, &map, turn % 100 == 0 || rig->saga_id < 200 ? 1 : rig->saga_id - 199);
    }
}

/*
 * A core of 64 has 9 lines of 16, so ids that lie 72 apart share a line. Sagas of two such groups
 * fill one whole; the third group finds no place in it, and is found all the same.
 */
static void sagas_that_live_for_long_fill_a_line_and_later_ones_are_found_all_the_same(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, STATES(TASK("A", "a", "'End':true")));
    static struct map map;
    memset(&map, 0, sizeof map);
    for (uint32_t id = 1; id < 72 * 4; id++) {
        map_start(rig, &map, plan);
        if (id / 8 % 9 != 3)
            map_end(rig, &map, map.count - 1);
    }
    assert_int_equal(map.count, 32);
    assert_int_equal(rig->core->index_missed, 16);
    check_map(rig, &map, 1);
    rig_restart(rig);
    assert_int_equal(rig->core->index_missed, 16);
    check_map(rig, &map, 1);
    for (uint32_t round = 0; map.count > 0; round++) {
        map_end(rig, &map, round * 7 % map.count);
        check_map(rig, &map, 1);
    }
    assert_int_equal(rig->core->index_missed, 0);
    rig_assert_empty(rig);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_saga_that_starts_and_ends_is_told_with_all_there_is_to_tell),
        TEST(a_saga_that_was_mended_and_succeeded_is_told_without_an_error),
        TEST(branches_of_compensations_in_parallel_are_told),
        TEST(an_event_is_told_when_the_last_one_told_lies_far_back),
        TEST(an_event_that_changes_nothing_is_not_told),
        TEST(a_saga_is_found_by_its_id_while_it_lives_and_not_after),
        TEST(sagas_that_live_for_long_fill_a_line_and_later_ones_are_found_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
