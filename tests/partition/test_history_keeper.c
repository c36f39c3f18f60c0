#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/history/history.h"
#include "tests/partition/rig.h"
#include "tests/partition/scripted.h"

/* What history says of every saga, against a replay of the whole journal. */

#define SAGAS_MAX  4096u
#define EVENTS_MAX 65536u

static const char two_steps[] =
    "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Task\",\"Resource\":\"service:test.a\","
    "\"Compensate\":{\"Resource\":\"service:test.undo_a\"},\"ResultPath\":\"$.ra\",\"Next\":\"F\"},"
    "\"F\":{\"Type\":\"Task\",\"Resource\":\"service:plain.p\",\"FireAndForget\":true,\"Next\":"
    "\"W\"},\"W\":{\"Type\":\"Wait\",\"Seconds\":2,\"Next\":\"B\"},"
    "\"B\":{\"Type\":\"Task\",\"Resource\":\"service:test.b\",\"End\":true}}}";
static const char for_a_signal[] =
    "{\"TimeoutSeconds\":300,\"StartAt\":\"S\",\"States\":{\"S\":{\"Type\":\"Task\",\"Resource\":"
    "\"signal:go\",\"ResultPath\":\"$.go\",\"Next\":\"A\"},\"A\":{\"Type\":\"Task\",\"Resource\":"
    "\"service:test.c\",\"End\":true}}}";

/* ---- the truth ----------------------------------------------------------------------------------
 */

struct true_saga {
    bool ended;
    uint32_t plan;
    enum outcome outcome;
    char error[FLYOVER_ERROR_NAME_BYTES_MAX + 1];
    char name[32];
    uint64_t redrive_of;
    int64_t started_ms, ended_ms;
};

static struct truth {
    struct true_saga sagas[SAGAS_MAX];
    uint64_t sagas_count;
    struct {
        uint64_t saga_id, block_no;
    } events[EVENTS_MAX];
    uint32_t events_count;
    uint64_t saga_id; /* of the event in work */
    uint64_t errors_before[CORE_ERRORS_MAX];
} truth;

static uint64_t saga_of_branch(const struct core *core, uint32_t branch)
{
    struct core_branch_view view;
    return core_view_branch(core, branch, &view) ? view.saga_id : 0;
}

static uint64_t saga_of(const struct core *core, const struct event *event)
{
    uint32_t branch = CORE_NO_SAGA;
    switch (event->kind) {
    case EVENT_RESULT: return saga_of_branch(core, event->result.branch);
    case EVENT_ERROR: return saga_of_branch(core, event->error.branch);
    case EVENT_HEARTBEAT: return saga_of_branch(core, event->heartbeat.branch);
    case EVENT_TIMER:
        if (!event->timer.of_saga)
            return saga_of_branch(core, event->timer.branch);
        return core_next_branch(core, event->timer.branch, &branch) ? saga_of_branch(core, branch)
                                                                    : 0;
    case EVENT_SIGNAL: return event->signal.saga_id;
    case EVENT_CANCEL: return event->cancel.saga_id;
    case EVENT_MEND: return event->mend.saga_id;
    case EVENT_START:
    case EVENT_REDRIVE: return core_saga_id_last(core) + 1;
    case EVENT_LIMITS:
    case EVENT_SERVICE:
    case EVENT_DEFINITION:
    case EVENT_SOURCE: return 0;
    }
    return 0;
}

static void before_event(const struct core *core, const struct block_header *header,
                         const struct event *event)
{
    const struct core_error *errors;
    uint32_t count = core_errors(core, &errors);
    memset(truth.errors_before, 0, sizeof truth.errors_before);
    for (uint32_t i = 0; i < count; i++)
        truth.errors_before[i] = errors[i].count;
    truth.saga_id = saga_of(core, event);
    if (truth.saga_id == 0)
        return;
    assert_true(truth.saga_id < SAGAS_MAX && truth.events_count < EVENTS_MAX);
    truth.events[truth.events_count].saga_id = truth.saga_id;
    truth.events[truth.events_count++].block_no = header->block_no;
    struct true_saga *saga = &truth.sagas[truth.saga_id];
    if (event->kind == EVENT_START) {
        saga->plan = event->start.plan;
        if (event->start.name.count > 0)
            memcpy(saga->name, event->start.name.at, event->start.name.count);
    } else if (event->kind == EVENT_REDRIVE) {
        saga->plan = event->redrive.plan;
        saga->redrive_of = event->redrive.of_saga_id;
    } else {
        return;
    }
    saga->started_ms = header->now_ms;
    truth.sagas_count = truth.saga_id;
}

static void after_event(const struct partition_state *state, const struct block_header *header)
{
    const struct effect_queue *effects = &state->effects;
    if (truth.saga_id == 0)
        return;
    struct true_saga *saga = &truth.sagas[truth.saga_id];
    const struct core_error *errors;
    uint32_t count = core_errors(state->core, &errors);
    for (uint32_t i = 0; i < count; i++)
        if (errors[i].count > truth.errors_before[i])
            strcpy(saga->error, errors[i].name);
    for (uint64_t at = effects->head; at < effects->tail; at++)
        if (effect_at(effects, at)->kind == EFFECT_REPLY)
            saga->outcome = (enum outcome)effect_at(effects, at)->outcome;
    /* One that was stuck, was mended, and went well. */
    if (saga->outcome == OUTCOME_SUCCEEDED)
        saga->error[0] = '\0';
    if (!saga->ended && core_find_saga(state->core, truth.saga_id) == CORE_NO_SAGA) {
        saga->ended = true;
        saga->ended_ms = header->now_ms;
    }
}

static void on_event(void *context, enum partition_moment moment, const struct block_header *header,
                     const struct partition_state *state, const struct event *event)
{
    (void)context;
    if (state->core == NULL)
        return;
    if (moment == PARTITION_BEFORE_EVENT)
        before_event(state->core, header, event);
    else
        after_event(state, header);
}

static enum status on_block(void *context, const struct block_header *header, const uint8_t *body,
                            struct problem *problem)
{
    return partition_state_replay(context, header, body, on_event, NULL, problem);
}

static void find_truth(const struct rig *rig)
{
    struct problem problem = {0};
    struct partition_state *state;
    struct journal *journal;
    struct journal_options options = {.directory = rig->directory, .read_only = true};
    memset(&truth, 0, sizeof truth);
    assert_int_equal(partition_state_open(&state), STATUS_OK);
    assert_int_equal(journal_open(&options, &journal, &problem), STATUS_OK);
    struct recovery_options recovery = {
        .directory = rig->directory, .on_block = on_block, .context = state};
    struct recovery_report report;
    if (recovery_run(journal, &recovery, &report, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    journal_close(journal);
    partition_state_close(state);
}

/* ---- what history says --------------------------------------------------------------------------
 */

static void check_blocks(const struct history_saga *saga)
{
    for (uint32_t i = 1; i < saga->blocks_count; i++)
        assert_true(saga->blocks[i - 1] < saga->blocks[i]);
    for (uint32_t i = 0; i < truth.events_count; i++) {
        if (truth.events[i].saga_id != saga->saga_id)
            continue;
        uint64_t block_no = truth.events[i].block_no;
        bool covered = false;
        for (uint32_t j = 0; j < saga->blocks_count; j++)
            covered |=
                saga->blocks[j] <= block_no && block_no - saga->blocks[j] <= HISTORY_GAP_BLOCKS;
        if (!covered)
            fail_msg("saga %llu has an event in block %llu, and history does not say so",
                     (unsigned long long)saga->saga_id, (unsigned long long)block_no);
    }
}

static void check_saga(struct history *history, uint64_t saga_id)
{
    const struct true_saga *wanted = &truth.sagas[saga_id];
    struct history_saga saga;
    struct problem problem = {0};
    if (history_find(history, saga_id, &saga, &problem) != STATUS_OK)
        fail_msg("saga %llu: %s", (unsigned long long)saga_id, problem.text);
    assert_true(saga.has_start);
    assert_int_equal(saga.has_end, wanted->ended);
    assert_int_equal(saga.name_bytes, strlen(wanted->name));
    assert_memory_equal(saga.name, wanted->name, saga.name_bytes);
    assert_int_equal(saga.redrive_of, wanted->redrive_of);
    assert_int_equal(saga.plan, wanted->plan);
    if (wanted->ended) {
        assert_int_equal(saga.outcome, wanted->outcome);
        assert_string_equal(saga.error_name, wanted->error);
        assert_int_equal(saga.started_ms, wanted->started_ms);
        assert_int_equal(saga.ended_ms, wanted->ended_ms);
        assert_string_equal(saga.definition, wanted->plan == 1 ? "signal" : "test");
        assert_int_equal(saga.version, wanted->plan == 2 ? 2 : 1);
    }
    check_blocks(&saga);
}

static void count_entry(const struct history_entry *entry, void *context)
{
    uint8_t *seen = context;
    assert_true(entry->saga_id < SAGAS_MAX && truth.sagas[entry->saga_id].ended);
    assert_int_equal(seen[entry->saga_id]++, 0);
}

static void check_all(const struct rig *rig)
{
    find_truth(rig);
    struct history *history;
    struct problem problem = {0};
    assert_int_equal(history_open(rig->directory, &history, &problem), STATUS_OK);
    for (uint64_t saga_id = 1; saga_id <= truth.sagas_count; saga_id++)
        check_saga(history, saga_id);
    /* And each that has ended is listed once. */
    static uint8_t seen[SAGAS_MAX];
    memset(seen, 0, sizeof seen);
    struct history_filter any = {0};
    struct history_cursor cursor = HISTORY_CURSOR_NEWEST;
    while (!cursor.is_at_end)
        assert_int_equal(history_list(history, &any, &cursor, 100, count_entry, seen, &problem),
                         STATUS_OK);
    for (uint64_t saga_id = 1; saga_id <= truth.sagas_count; saga_id++)
        assert_int_equal(seen[saga_id], truth.sagas[saga_id].ended);
    assert_int_equal(history_damaged_count(history), 0);
    history_close(history);
}

/* ---- runs ---------------------------------------------------------------------------------------
 */

static uint64_t seed;

static uint32_t draw(uint32_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 20) % below;
}

static void open_engine(struct rig *rig)
{
    struct partition_options options = rig_options(rig, DURABILITY_ASYNC);
    options.now_ns = rig_read_ns;
    options.checkpoint_bytes = draw(3) == 0 ? 0 : 500 + draw(3000);
    rig_open(rig, &options, two_steps);
    if (core_plans_count(partition_state(rig->partition)->core) == 1) {
        rig_define(rig, "signal", for_a_signal);
        static char other[sizeof two_steps + 1];
        snprintf(other, sizeof other, "%s ", two_steps);
        rig_define(rig, "test", other);
    }
}

static void start_something(struct rig *rig)
{
    static const char *const keys[] = {"x", "refuse", "refuse_undo", "x", "garbage"};
    static uint32_t names_count;
    static char name[16];
    uint64_t saga_id;
    struct problem problem = {0};
    struct partition_start_options options = {
        .plan = draw(3), .input = rig_input(keys[draw(5)], draw(2) == 0 ? "a" : "b"), .token = 1};
    if (draw(3) == 0) {
        snprintf(name, sizeof name, "name %u", ++names_count);
        options.name = rig_text(name);
    }
    if (draw(8) == 0)
        options.at_ms = rig_now_ms + draw(5000);
    enum status status = partition_start_with(rig->partition, &options, &saga_id, &problem);
    assert_true(status == STATUS_OK || status == STATUS_BUSY);
}

/* What is refused is refused. */
static void do_something(struct rig *rig)
{
    struct problem problem = {0};
    uint64_t saga_id = 0;
    uint32_t last = (uint32_t)core_saga_id_last(partition_state(rig->partition)->core);
    uint64_t any = last == 0 ? 1 : last - draw(last < 40 ? last : 40);
    struct flyover_bytes nil = {(const uint8_t *)"\xc0", 1};
    struct event event = {.kind = EVENT_REDRIVE};
    event.redrive.of_saga_id = any;
    event.redrive.payload = (struct flyover_bytes){(const uint8_t *)"\x80", 1};
    enum status status = STATUS_OK;
    switch (draw(5)) {
    case 0:
    case 1: status = partition_signal(rig->partition, any, rig_text("go"), nil, &problem); break;
    case 2:
        status = partition_cancel(rig->partition, any, draw(2) == 0, rig_text("why"), &problem);
        break;
    case 3:
        status = partition_mend(rig->partition, any, MEND_SKIP, (struct flyover_bytes){0},
                                rig_text("why"), &problem);
        break;
    default: status = partition_redrive(rig->partition, &event, 1, &saga_id, &problem); break;
    }
    assert_true(status == STATUS_OK || problem.text[0] != '\0');
}

static void run(struct rig *rig, uint32_t turns)
{
    for (uint32_t i = 0; i < turns; i++) {
        if (draw(2) == 0)
            start_something(rig);
        if (draw(3) == 0)
            do_something(rig);
        rig_now_ms += draw(40);
        rig_held[PARTITION_JOURNAL] = draw(3) == 0;
        rig_held[PARTITION_WORKER] = draw(3) == 0;
        rig_held[PARTITION_CHECKPOINT] = draw(2) == 0;
        rig_turn(rig);
    }
    memset(rig_held, 0, sizeof rig_held);
}

static void history_tells_of_every_saga_what_the_journal_says_after_crashes_too(void **state)
{
    struct rig *rig = *state;
    uint32_t ended_count = 0;
    for (uint32_t round = 1; round <= 12; round++) {
        seed = round * 0x9e3779b97f4a7c15u;
        scripted_reset();
        for (int i = 0; i < 5; i++) {
            open_engine(rig);
            assert_string_equal(partition_history_problem(rig->partition), "");
            run(rig, 20 + draw(120));
            if (draw(4) == 0)
                rig_stop(rig, NULL);
            else
                rig_crash(rig);
            /* History may be behind what is durable: the next start tells it. */
            open_engine(rig);
            rig_settle(rig);
            rig_crash(rig);
            check_all(rig);
        }
        for (uint64_t id = 1; id <= truth.sagas_count; id++)
            ended_count += truth.sagas[id].ended;
        rig_remove_directory(rig);
    }
    assert_true(ended_count > 500);
}

/* Events of a saga more than HISTORY_GAP_BLOCKS apart are found all the same. */
static void a_saga_that_lives_for_long_is_noted_again(void **state)
{
    struct rig *rig = *state;
    seed = 7;
    open_engine(rig);
    uint64_t saga_id = rig_start(rig, 1, "x", "y");
    struct flyover_bytes nil = {(const uint8_t *)"\xc0", 1};
    for (uint32_t i = 0; i < 3 * HISTORY_GAP_BLOCKS; i++) {
        rig_start(rig, 0, "x", "y");
        rig_now_ms += 1000;
        rig_settle(rig);
        if (i % 50 == 20) {
            rig_crash(rig);
            open_engine(rig);
        }
    }
    struct problem problem = {0};
    assert_int_equal(partition_signal(rig->partition, saga_id, rig_text("go"), nil, &problem),
                     STATUS_OK);
    rig_settle(rig);
    rig_crash(rig);
    check_all(rig);
    assert_true(truth.sagas[saga_id].ended);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(history_tells_of_every_saga_what_the_journal_says_after_crashes_too),
        RIG_TEST(a_saga_that_lives_for_long_is_noted_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
