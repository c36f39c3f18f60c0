#include "tests/history/rig.h"

#define NOTES_COUNT 20000u

static uint8_t material[NOTE_NAME_BYTES_MAX * 2];
static struct rig_chunk chunk;

/* Small and large numbers alike, and often the edges. */
static uint64_t draw_number(uint64_t *seed)
{
    uint64_t number = draw(seed) >> (draw(seed) % 64);
    return draw(seed) % 8 == 0 ? UINT64_MAX : number;
}

static struct flyover_bytes draw_name(uint64_t *seed)
{
    uint64_t count = draw(seed) % 4 == 0 ? draw(seed) % (NOTE_NAME_BYTES_MAX + 1) : 0;
    return (struct flyover_bytes){material + draw(seed) % NOTE_NAME_BYTES_MAX, (uint32_t)count};
}

static void draw_note(uint64_t *seed, uint64_t last_id, struct note *note)
{
    *note = (struct note){.kind = (enum note_kind)(draw(seed) % (NOTE_ERROR + 1))};
    note->saga_id = draw(seed) % 2 == 0 ? last_id + draw(seed) % 3 : draw_number(seed);
    switch (note->kind) {
    case NOTE_STARTED:
        note->started.branch = (uint32_t)draw_number(seed);
        note->started.plan = draw(seed) % NOTE_PLANS_MAX;
        note->started.redrive_of = draw(seed) % 3 == 0 ? draw_number(seed) : 0;
        note->started.name = draw_name(seed);
        break;
    case NOTE_BRANCH: note->branch.branch = (uint32_t)draw_number(seed); break;
    case NOTE_TOUCHED: break;
    case NOTE_ENDED:
        note->ended.plan = draw(seed) % NOTE_PLANS_MAX;
        note->ended.outcome = draw(seed) % NOTE_OUTCOMES_MAX;
        note->ended.error =
            draw(seed) % 2 == 0 ? NOTE_NO_ERROR : (uint8_t)(draw(seed) % NOTE_ERRORS_MAX);
        note->ended.steps_count = (uint32_t)draw_number(seed);
        note->ended.started_ms = (int64_t)draw_number(seed);
        break;
    case NOTE_PLAN:
        note->plan.plan = draw(seed) % NOTE_PLANS_MAX;
        note->plan.version = (uint32_t)draw_number(seed);
        note->plan.name = draw_name(seed);
        break;
    case NOTE_ERROR:
        note->error.error = draw(seed) % NOTE_ERRORS_MAX;
        note->error.name = draw_name(seed);
        break;
    }
}

static void check_name(struct flyover_bytes read, struct flyover_bytes written)
{
    assert_int_equal(read.count, written.count);
    if (read.count > 0)
        assert_memory_equal(read.at, written.at, read.count);
}

static void check_same(const struct note *read, const struct note *written)
{
    assert_int_equal(read->kind, written->kind);
    if (written->kind < NOTE_PLAN)
        assert_int_equal(read->saga_id, written->saga_id);
    switch (written->kind) {
    case NOTE_STARTED:
        assert_int_equal(read->started.branch, written->started.branch);
        assert_int_equal(read->started.plan, written->started.plan);
        assert_int_equal(read->started.redrive_of, written->started.redrive_of);
        check_name(read->started.name, written->started.name);
        break;
    case NOTE_BRANCH: assert_int_equal(read->branch.branch, written->branch.branch); break;
    case NOTE_TOUCHED: break;
    case NOTE_ENDED:
        assert_int_equal(read->ended.plan, written->ended.plan);
        assert_int_equal(read->ended.outcome, written->ended.outcome);
        assert_int_equal(read->ended.error, written->ended.error);
        assert_int_equal(read->ended.steps_count, written->ended.steps_count);
        assert_int_equal(read->ended.started_ms, written->ended.started_ms);
        break;
    case NOTE_PLAN:
        assert_int_equal(read->plan.plan, written->plan.plan);
        assert_int_equal(read->plan.version, written->plan.version);
        check_name(read->plan.name, written->plan.name);
        break;
    case NOTE_ERROR:
        assert_int_equal(read->error.error, written->error.error);
        check_name(read->error.name, written->error.name);
        break;
    }
}

static void random_notes_are_read_as_they_were_written(void **state)
{
    (void)state;
    uint64_t seed = 7;
    for (uint32_t i = 0; i < sizeof material; i++)
        material[i] = (uint8_t)draw(&seed);
    static struct note notes[NOTES_COUNT];
    rig_begin(&chunk, 1700000000000);
    uint32_t count = 0;
    for (; count < NOTES_COUNT && chunk.bytes_count + NOTE_BYTES_MAX <= RIG_CHUNK_BYTES; count++) {
        draw_note(&seed, count == 0 ? 1 : notes[count - 1].saga_id, &notes[count]);
        rig_note(&chunk, &notes[count]);
    }
    struct note_coder coder;
    note_coder_init(&coder, 1700000000000);
    const uint8_t *at = chunk.bytes, *end = at + chunk.bytes_count;
    for (uint32_t i = 0; i < count; i++) {
        struct note note;
        at = note_decode(&coder, at, end, &note);
        assert_non_null(at);
        check_same(&note, &notes[i]);
    }
    assert_ptr_equal(at, end);
}

static void a_cut_note_is_refused_wherever_it_is_cut(void **state)
{
    (void)state;
    uint64_t seed = 11;
    for (uint32_t round = 0; round < 2000; round++) {
        struct note note;
        draw_note(&seed, 1, &note);
        rig_begin(&chunk, 5);
        rig_note(&chunk, &note);
        for (size_t cut = 0; cut < chunk.bytes_count; cut++) {
            struct note_coder coder;
            note_coder_init(&coder, 5);
            uint8_t *exact = malloc(cut + 1);
            assert_non_null(exact);
            memcpy(exact, chunk.bytes, cut);
            assert_null(note_decode(&coder, exact, exact + cut, &note));
            free(exact);
        }
    }
}

static void notes_of_consecutive_sagas_are_small(void **state)
{
    (void)state;
    rig_begin(&chunk, 1700000000000);
    size_t before = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        rig_note(&chunk, &(struct note){.kind = NOTE_STARTED,
                                        .saga_id = 100000000 + i,
                                        .started = {.plan = 3, .branch = (uint32_t)(i * 7919)}});
        assert_true(i < 2 || chunk.bytes_count - before <= 6);
        before = chunk.bytes_count;
    }
    for (uint64_t i = 0; i < 1000; i++) {
        rig_note(&chunk, &(struct note){.kind = NOTE_ENDED,
                                        .saga_id = 50000000 + i,
                                        .ended = {.plan = (uint16_t)(500 + i % 2),
                                                  .outcome = 4,
                                                  .error = 7,
                                                  .steps_count = 12,
                                                  .started_ms = 1700000000000 - (int64_t)i * 40}});
        assert_true(i < 2 || chunk.bytes_count - before <= 14);
        before = chunk.bytes_count;
    }
}

static void what_could_have_been_left_out_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        uint8_t bytes[8];
        uint8_t count;
    } cases[] = {
        {"the next id, spelled out", {NOTE_TOUCHED, 2}, 2},
        {"a plan that is the last one", {NOTE_STARTED, 4, 0, 0}, 4},
        {"an empty name", {NOTE_STARTED | 0x30, 4, 0, 0}, 4},
        {"an outcome that fits the tag", {NOTE_ENDED | 0xd0, 4, 2, 0, 0}, 5},
        {"an outcome over the limit", {NOTE_ENDED | 0xd0, 4, 8, 0, 0}, 5},
        {"an error over the limit", {NOTE_ENDED | 0x30, 4, 0x80, 1, 0, 0}, 6},
        {"a branch below none", {NOTE_BRANCH, 4, 1}, 3},
        {"a plan index over the limit", {NOTE_PLAN, 0x80, 8, 0, 0}, 5},
        {"a flag that TOUCHED has not", {NOTE_TOUCHED | 0x20, 4}, 2},
        {"a kind that is none", {7, 0, 0}, 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct note_coder coder;
        struct note note;
        note_coder_init(&coder, 0);
        if (note_decode(&coder, cases[i].bytes, cases[i].bytes + cases[i].count, &note) != NULL)
            fail_msg("%s was taken", cases[i].what);
    }
}

static void every_kind_has_a_text(void **state)
{
    (void)state;
    for (int kind = NOTE_STARTED; kind <= NOTE_ERROR; kind++)
        assert_true(strlen(note_kind_text((enum note_kind)kind)) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_notes_are_read_as_they_were_written),
        cmocka_unit_test(a_cut_note_is_refused_wherever_it_is_cut),
        cmocka_unit_test(notes_of_consecutive_sagas_are_small),
        cmocka_unit_test(what_could_have_been_left_out_is_refused),
        cmocka_unit_test(every_kind_has_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
