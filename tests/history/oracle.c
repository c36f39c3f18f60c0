#include "tests/history/oracle.h"

const char *const oracle_plans[PLANS_COUNT] = {"order", "order", "refund", "ship",
                                               "ship",  "mail",  "rare"};
const char *const oracle_errors[ERRORS_COUNT] = {"A.One", "B.Two", "States.Timeout", "C", "D"};

char directory[PATH_MAX];
struct problem problem;
struct history_log *writer;
struct history *reader;
struct rig_chunk chunk;
struct known sagas[SAGAS_MAX];
uint32_t sagas_count, ended_count;
uint32_t ended[SAGAS_MAX]; /* indexes of sagas, in the order they ended */
uint32_t running[SAGAS_MAX], running_count;
uint64_t block_no;
static uint64_t seed;

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

void oracle_tell_meaning(uint32_t index)
{
    if (index < PLANS_COUNT)
        rig_note(&chunk, &(struct note){.kind = NOTE_PLAN,
                                        .plan = {.plan = (uint16_t)index,
                                                 .version = 1 + index % 2,
                                                 .name = rig_text(oracle_plans[index])}});
    if (index < ERRORS_COUNT)
        rig_note(&chunk, &(struct note){.kind = NOTE_ERROR,
                                        .error = {.error = (uint8_t)index,
                                                  .name = rig_text(oracle_errors[index])}});
}

void oracle_write_block(void)
{
    block_no++;
    rig_begin(&chunk, 1000000 + (int64_t)block_no * 50);
    if (block_no == 1)
        for (uint32_t i = 0; i < PLANS_COUNT; i++)
            oracle_tell_meaning(i);
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

void oracle_write(uint64_t new_seed, uint32_t blocks_count)
{
    struct history_log_found found;
    seed = new_seed;
    sagas_count = ended_count = running_count = 0;
    block_no = 0;
    writer = rig_open(directory, 0, &found);
    for (uint32_t i = 0; i < blocks_count; i++)
        oracle_write_block();
}

int oracle_set_up(void **state)
{
    (void)state;
    scratch_make(directory);
    assert_int_equal(history_open(directory, &reader, &problem), STATUS_OK);
    return 0;
}

int oracle_tear_down(void **state)
{
    (void)state;
    history_close(reader);
    history_log_close(writer);
    writer = NULL;
    scratch_remove(directory);
    return 0;
}
