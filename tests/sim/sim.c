#include "tests/sim/sim.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/partition/partition_parts.h"
#include "tests/sim/disk.h"
#include "tests/sim/ledger.h"
#include "tests/sim/services.h"
#include "tests/sim/verdict.h"

#define SCRIPTS_MAX   8u
#define STARTS_MAX    400u
#define INPUT_MAX     (200u << 10)
#define DAY_MS        86400000
#define REST_TURNS    200000u
#define CLIENT_NOBODY 0u /* the token of a start that nobody waits for any more */

/* What a client was told: it must stay true over every crash. */
struct told {
    uint64_t saga_id;
    enum outcome outcome;
};

/* How this seed behaves; all in percent of a step or of a turn. */
struct habits {
    uint32_t steps;
    uint32_t start_percent, clock_percent, crash_permille, failure_permille, stop_permille;
    uint32_t journal_percent, worker_percent;
    uint32_t pad_max;
    struct core_limits limits;
};

struct sim {
    struct chance chance;
    struct habits habits;
    struct disk disk;
    struct ledger ledger;
    struct partition_state *shadow; /* replays every durable block */
    struct partition *partition;
    const struct script *scripts[SCRIPTS_MAX];
    uint32_t scripts_count;
    uint32_t plans[SCRIPTS_MAX]; /* of this start of the engine; PARTITION_NO_PLAN: not defined */
    bool calm;                   /* nothing fails any more, nobody lags */
    int64_t wall_ms, wall_ms_max;
    uint64_t now_ns;
    uint64_t token_last;
    uint32_t waiting_count; /* starts whose reply is still to come */
    struct told told[STARTS_MAX * 2];
    uint32_t told_count;
    uint64_t trace;
};

struct sim_figures sim_figures;
static struct sim *sim; /* in work */
static uint8_t input_bytes[INPUT_MAX + 64];

static void trace(uint64_t what)
{
    sim->trace = chance_mix(sim->trace, what);
}

/* ---- what the engine calls ------------------------------------------------------------------- */

static int64_t show_wall_ms(void)
{
    if (sim->wall_ms > sim->wall_ms_max)
        sim->wall_ms_max = sim->wall_ms;
    return sim->wall_ms;
}

static uint64_t show_now_ns(void)
{
    return sim->now_ns;
}

static bool may_step(enum partition_part part)
{
    uint32_t percent =
        part == PARTITION_JOURNAL ? sim->habits.journal_percent : sim->habits.worker_percent;
    return sim->calm || chance_percent(&sim->chance, percent);
}

static void replay_block(const struct disk_block *block)
{
    struct block_header header;
    struct problem problem = {0};
    verdict_check(block_decode(block->bytes, block->bytes_count, block->block_no, &header,
                               &problem) == STATUS_OK,
                  "%s", problem.text);
    ledger_on_block(&sim->ledger, &header, sim->wall_ms_max);
    verdict_check(partition_state_replay(sim->shadow, &header, block->bytes + BLOCK_HEADER_BYTES,
                                         ledger_on_event, &sim->ledger, &problem) == STATUS_OK,
                  "%s", problem.text);
    trace(header.header_crc);
    if (sim->shadow->core == NULL)
        return;
    ledger_check_totals(&sim->ledger, sim->shadow->core);
    ledger_check_tables(&sim->ledger, sim->shadow);
}

static void on_durable(const struct disk_block *block)
{
    replay_block(block);
    sim_figures.blocks++;
}

/* ---- looking at the engine ------------------------------------------------------------------- */

static void check_core(void)
{
    struct core_digest live = core_digest(sim->partition->state->core);
    struct core_digest replayed = core_digest(sim->shadow->core);
    verdict_check(live.low == replayed.low && live.high == replayed.high,
                  "block %" PRIu64 ": the core is not what a replay of the journal gives",
                  sim->ledger.last_no);
}

static void check_state(const char *when)
{
    char live[PARTITION_DIGEST_BYTES], replayed[PARTITION_DIGEST_BYTES];
    partition_state_digest(sim->partition->state, live);
    partition_state_digest(sim->shadow, replayed);
    verdict_check(strcmp(live, replayed) == 0,
                  "%s, block %" PRIu64 ": the state is %s, a replay of the journal gives %s", when,
                  sim->ledger.last_no, live, replayed);
    ledger_check_tables(&sim->ledger, sim->partition->state);
}

/* As much as can be compared now: the tables are their workers' while any is at work. */
static void check_live(void)
{
    const struct partition *partition = sim->partition;
    if (sim->shadow->core == NULL || partition->open.record_count > 0 ||
        partition->last_block_no != sim->ledger.last_no)
        return;
    check_core();
    if (partition->in_flight == 0)
        check_state("at rest");
}

/* ---- clients --------------------------------------------------------------------------------- */

static struct flyover_bytes draw_input(uint64_t token)
{
    uint32_t pad = sim->habits.pad_max == 0 ? 0 : chance_draw(&sim->chance, sim->habits.pad_max);
    uint8_t *at = input_bytes;
    *at++ = 0x83;
    *at++ = 0xa1, *at++ = 't', *at++ = 0xcd;
    *at++ = (uint8_t)(token >> 8), *at++ = (uint8_t)token;
    *at++ = 0xa1, *at++ = 'n', *at++ = (uint8_t)chance_draw(&sim->chance, 10);
    *at++ = 0xa1, *at++ = 'p', *at++ = 0xc6;
    *at++ = (uint8_t)(pad >> 24), *at++ = (uint8_t)(pad >> 16);
    *at++ = (uint8_t)(pad >> 8), *at++ = (uint8_t)pad;
    memset(at, (int)(token & 0xff), pad);
    return (struct flyover_bytes){input_bytes, (uint32_t)(at - input_bytes) + pad};
}

static void start_saga(void)
{
    uint32_t plan = sim->plans[chance_draw(&sim->chance, sim->scripts_count)];
    if (plan == PARTITION_NO_PLAN || sim->token_last >= STARTS_MAX)
        return;
    uint64_t token = sim->token_last + 1;
    enum status status =
        partition_start(sim->partition, plan, EVENT_NO_SOURCE, draw_input(token), token);
    trace(status);
    verdict_check(status == STATUS_OK || status == STATUS_BUSY, "a start says: %s",
                  status_text(status));
    if (status != STATUS_OK)
        return;
    sim->token_last = token;
    sim->waiting_count++;
}

static void take_replies(void)
{
    struct reply reply;
    while (partition_next_reply(sim->partition, &reply)) {
        ledger_reply(&sim->ledger, reply.saga_id, reply.token, reply.outcome);
        trace(chance_mix(reply.saga_id, reply.outcome));
        sim->told[sim->told_count++] = (struct told){reply.saga_id, reply.outcome};
        verdict_check(sim->waiting_count > 0, "more replies than starts");
        sim->waiting_count--;
        sim_figures.replies++;
    }
}

static void check_told(void)
{
    for (uint32_t i = 0; i < sim->told_count; i++) {
        const struct told *told = &sim->told[i];
        verdict_check(told->saga_id <= sim->ledger.sagas_count &&
                          sim->ledger.sagas[told->saga_id].outcome == told->outcome,
                      "saga %" PRIu64 " was reported as %s, and that is lost", told->saga_id,
                      outcome_text(told->outcome));
    }
}

static void define(uint32_t index)
{
    const struct script *script = sim->scripts[index];
    struct problem problem = {0};
    enum status status = partition_define(sim->partition, script->name, script->name, script->text,
                                          script->text_bytes, &sim->plans[index], &problem);
    verdict_check(status == STATUS_OK || status == STATUS_BUSY, "%s in %s", problem.text,
                  script->text);
    trace(status);
}

static void draw_script(void)
{
    if (sim->scripts_count == SCRIPTS_MAX)
        return;
    struct script *script = malloc(sizeof *script);
    assert(script != NULL);
    script_draw(script, &sim->chance, chance_draw(&sim->chance, SCRIPTS_MAX / 2));
    sim->plans[sim->scripts_count] = PARTITION_NO_PLAN;
    sim->scripts[sim->scripts_count++] = script;
}

/* ---- the engine comes and goes --------------------------------------------------------------- */

static enum status open_partition(bool accept_loss, struct problem *problem)
{
    struct partition_options options = {
        .durability = DURABILITY_SYNC,
        .journal = disk_start(&sim->disk),
        .limits = sim->habits.limits,
        .accept_loss = accept_loss,
        .threadless = true,
        .wall_ms = show_wall_ms,
        .now_ns = show_now_ns,
        .may_step = may_step,
    };
    for (uint32_t i = 0; i < SCRIPT_SERVICES; i++)
        options.built_in[options.built_in_count++] = &services[i];
    return partition_open(&options, &sim->partition, problem);
}

/* What was written and never acknowledged, and is there all the same, counts from now on. */
static void take_what_is_there(void)
{
    for (uint32_t i = 0; i < sim->disk.count; i++)
        if (sim->disk.blocks[i].block_no > sim->ledger.last_no)
            replay_block(&sim->disk.blocks[i]);
    sim->disk.acknowledged_no = sim->ledger.last_no;
    sim->ledger.boot++;
}

static void open_shadow(void)
{
    partition_state_close(sim->shadow);
    enum status status = partition_state_open(&sim->shadow);
    assert(status == STATUS_OK);
}

/* The loss of acknowledged blocks was accepted: all begins again from those that are left. */
static void rebuild(void)
{
    sim_figures.losses++;
    open_shadow();
    ledger_begin_rebuild(&sim->ledger);
    take_what_is_there();
    sim->ledger.rebuilding = false;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < sim->told_count; i++)
        if (sim->told[i].saga_id <= sim->ledger.sagas_count &&
            sim->ledger.sagas[sim->told[i].saga_id].outcome == sim->told[i].outcome)
            sim->told[kept++] = sim->told[i];
    sim->told_count = kept;
}

static bool is_refusal(enum status status)
{
    return status == STATUS_CORRUPT || status == STATUS_GAP || status == STATUS_LOST;
}

/* A block is damaged while the machine is down. Recovery must refuse, and change nothing; then the
 * block is put back, or what is left is accepted. */
static void start_on_damage(void)
{
    uint32_t index = chance_draw(&sim->chance, sim->disk.count);
    enum disk_damage damage = (enum disk_damage)chance_draw(&sim->chance, DISK_LOSE + 1);
    uint64_t block_no = sim->disk.blocks[index].block_no;
    bool unknown =
        index + 1 == sim->disk.count && damage == DISK_LOSE && block_no > sim->disk.acknowledged_no;
    if (unknown)
        return;
    sim_figures.damages++;
    disk_damage(&sim->disk, index, damage);
    struct problem problem = {0};
    enum status status = open_partition(false, &problem);
    verdict_check(is_refusal(status),
                  "block %" PRIu64 " of %u is damaged (%d), and recovery says %s", block_no,
                  sim->disk.count, (int)damage, status_text(status));
    verdict_check(!sim->disk.removed, "recovery removed blocks, and nobody allowed it");
    trace(status);
    if (chance_percent(&sim->chance, 70)) {
        disk_mend(&sim->disk, index, damage);
        return;
    }
    status = open_partition(true, &problem);
    verdict_check(status == STATUS_OK, "%s", problem.text);
    verdict_check(partition_recovery(sim->partition)->last_no == block_no - 1,
                  "block %" PRIu64 " is damaged, and what is accepted ends with block %" PRIu64,
                  block_no, partition_recovery(sim->partition)->last_no);
    disk_settle(&sim->disk);
    partition_free(sim->partition);
    sim->partition = NULL;
    if (block_no > sim->ledger.last_no)
        return;
    sim->disk.acknowledged_no = block_no - 1;
    rebuild();
}

static void start_engine(void)
{
    if (sim->disk.count > 0 && !sim->calm && chance_percent(&sim->chance, 20))
        start_on_damage();
    struct problem problem = {0};
    enum status status = open_partition(false, &problem);
    verdict_check(status == STATUS_OK, "recovery says: %s", problem.text);
    take_what_is_there();
    verdict_check(partition_recovery(sim->partition)->last_no == sim->ledger.last_no,
                  "recovery found blocks up to %" PRIu64 ", there are %" PRIu64,
                  partition_recovery(sim->partition)->last_no, sim->ledger.last_no);
    if (sim->ledger.last_no > 0)
        check_state("after recovery");
    check_told();
    sim->waiting_count = 0;
    for (uint32_t i = 0; i < sim->scripts_count; i++) {
        sim->plans[i] = PARTITION_NO_PLAN;
        define(i);
    }
}

/* The machine dies: nothing more happens, except that a write under way may have reached the disk.
 */
static void crash(void)
{
    sim_figures.crashes++;
    sim->disk.mood = DISK_FAILING;
    partition_free(sim->partition);
    sim->partition = NULL;
    start_engine();
}

static void stop(void)
{
    char digest[PARTITION_DIGEST_BYTES], replayed[PARTITION_DIGEST_BYTES];
    struct problem problem = {0};
    bool calm = sim->calm;
    sim->calm = true;
    verdict_check(partition_stop(sim->partition, digest, &problem) == STATUS_OK, "%s",
                  problem.text);
    take_replies();
    check_core();
    partition_state_digest(sim->shadow, replayed);
    verdict_check(strcmp(digest, replayed) == 0, "stopped: the digest is not that of a replay");
    partition_free(sim->partition);
    sim->partition = NULL;
    sim->calm = calm;
    sim_figures.stops++;
}

/* The disk fails under the running engine: it goes on a while with what it knows to be durable,
 * and then dies. */
static void fail_disk(void)
{
    sim_figures.failures++;
    sim->disk.mood = DISK_FAILING;
    uint32_t turns = 1 + chance_draw(&sim->chance, 30);
    for (uint32_t i = 0; i < turns; i++) {
        bool worked;
        struct problem problem;
        if (chance_percent(&sim->chance, 30))
            start_saga();
        sim->now_ns += 1000000;
        (void)!partition_poll(sim->partition, &worked, &problem);
        take_replies();
    }
    crash();
}

/* ---- time ------------------------------------------------------------------------------------ */

static void poll(void)
{
    bool worked;
    struct problem problem = {0};
    sim->now_ns += chance_draw(&sim->chance, 1000000);
    verdict_check(partition_poll(sim->partition, &worked, &problem) == STATUS_OK, "%s",
                  problem.text);
    trace(worked);
}

static void move_clock(void)
{
    switch (chance_draw(&sim->chance, 12)) {
    case 0: sim->wall_ms -= DAY_MS; break;
    case 1: sim->wall_ms += DAY_MS; break;
    case 2:
    case 3: sim->wall_ms += 10000; break;
    default: sim->wall_ms += chance_draw(&sim->chance, 2000); break;
    }
}

static void step(void)
{
    struct chance *chance = &sim->chance;
    const struct habits *habits = &sim->habits;
    uint32_t draw = chance_draw(chance, 1000);
    if (draw < habits->crash_permille)
        crash();
    else if ((draw -= habits->crash_permille) < habits->failure_permille)
        fail_disk();
    else if ((draw -= habits->failure_permille) < habits->stop_permille) {
        stop();
        start_engine();
    } else if (chance_percent(chance, habits->clock_percent))
        move_clock();
    else if (chance_percent(chance, habits->start_percent))
        start_saga();
    else if (chance_percent(chance, 10))
        take_replies();
    else if (chance_percent(chance, 1)) {
        draw_script();
        define(sim->scripts_count - 1);
    } else
        poll();
    check_live();
}

/* Nothing fails any more, the clock runs: every saga has to end, or to be stuck. */
static void come_to_rest(void)
{
    sim->calm = true;
    for (uint32_t turn = 0; !partition_is_at_rest(sim->partition); turn++) {
        verdict_check(turn < REST_TURNS, "it does not come to rest");
        poll();
        take_replies();
        check_live();
        if (partition_is_quiet(sim->partition))
            sim->wall_ms = sim->wall_ms_max + 5000;
    }
    verdict_check(sim->waiting_count == 0, "at rest, and %u clients still wait",
                  sim->waiting_count);
    for (uint32_t i = 1; i <= sim->ledger.sagas_count; i++)
        verdict_check(sim->ledger.sagas[i].ended || sim->ledger.sagas[i].outcome == OUTCOME_STUCK,
                      "at rest, and saga %u has not ended", i);
}

/* ---- one seed -------------------------------------------------------------------------------- */

static void draw_habits(void)
{
    static const uint32_t saga_slots[] = {2, 3, 8, 16, 64};
    static const uint32_t paces[] = {10, 30, 60, 90, 100};
    struct chance *chance = &sim->chance;
    bool faulty = !chance_percent(chance, 15);
    struct habits *habits = &sim->habits;
    *habits = (struct habits){
        .steps = 50 + chance_draw(chance, 500),
        .start_percent = 5 + chance_draw(chance, 40),
        .clock_percent = 5 + chance_draw(chance, 20),
        .crash_permille = faulty ? chance_draw(chance, 12) : 0,
        .failure_permille = faulty ? chance_draw(chance, 4) : 0,
        .stop_permille = faulty ? chance_draw(chance, 4) : 0,
        .journal_percent = paces[chance_draw(chance, 5)],
        .worker_percent = paces[chance_draw(chance, 5)],
        .pad_max = chance_percent(chance, 20) ? 3000 : 20,
        .limits = {saga_slots[chance_draw(chance, 5)], 16u << 20},
    };
    if (chance_percent(chance, 2)) {
        habits->pad_max = INPUT_MAX;
        habits->limits = (struct core_limits){200, 512u << 20};
        habits->journal_percent = 2;
        habits->start_percent = 60;
    }
    sim->ledger.forward = (struct ledger_faults){chance_draw(chance, 10), chance_draw(chance, 30),
                                                 chance_draw(chance, 3)};
    sim->ledger.undo = (struct ledger_faults){chance_draw(chance, 5), chance_draw(chance, 40),
                                              chance_draw(chance, 2)};
}

static void set_up(struct sim *made, uint64_t seed)
{
    sim = made;
    sim->chance = (struct chance){chance_mix(seed, 0)};
    sim->wall_ms = 1700000000000;
    sim->now_ns = 1000000000;
    ledger_init(&sim->ledger, seed);
    sim->ledger.scripts = sim->scripts;
    sim->ledger.scripts_count = &sim->scripts_count;
    services_ledger = &sim->ledger;
    services_trace = 0;
    disk_init(&sim->disk, &sim->chance, on_durable);
    draw_habits();
    open_shadow();
    uint32_t count = 1 + chance_draw(&sim->chance, 4);
    for (uint32_t i = 0; i < count; i++)
        draw_script();
}

static void tear_down(void)
{
    partition_state_close(sim->shadow);
    ledger_fini(&sim->ledger);
    disk_fini(&sim->disk);
    for (uint32_t i = 0; i < sim->scripts_count; i++)
        free((void *)(uintptr_t)sim->scripts[i]);
    free(sim);
    sim = NULL;
}

uint64_t sim_run(uint64_t seed)
{
    struct sim *made = calloc(1, sizeof *made);
    assert(made != NULL);
    verdict_place.seed = seed;
    verdict_place.step = 0;
    set_up(made, seed);
    start_engine();
    for (uint32_t i = 0; i < sim->habits.steps; i++) {
        verdict_place.step++;
        step();
    }
    come_to_rest();
    stop();
    sim_figures.sagas += sim->ledger.sagas_count;
    sim_figures.steps += sim->ledger.totals.steps;
    verdict_place.seeds_run++;
    uint64_t trace_hash = chance_mix(sim->trace, services_trace);
    tear_down();
    return trace_hash;
}
