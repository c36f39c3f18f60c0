#include "tests/sim/sim_parts.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "engine/saga/core_state.h"
#include "tests/sim/core_copy.h"
#include "tests/sim/ledger_ask.h"
#include "tests/sim/services.h"

/* As many blocks as the journal thread may have, and those that wait to be replayed; kept over all
 * lives, for their memory. */
#define COPIES_COUNT (2 * WRITER_BUFFERS_COUNT)
static struct core_copy copies[COPIES_COUNT];

/* ---- what the engine calls ------------------------------------------------------------------- */

/* The engine asks for the time in the midst of its work: a service works beside it. */
static void step_beside(void)
{
    struct partition *partition = sim->partition;
    if (!sim->polling || !chance_percent(&sim->chance, sim->habits.beside_percent))
        return;
    uint32_t services_count = partition->state->services_count;
    if (services_count == 0)
        return;
    struct service *service = &partition->services[chance_draw(&sim->chance, services_count)];
    if (service->workers_count > 0)
        worker_step(service->workers[chance_draw(&sim->chance, service->workers_count)]);
}

/* The engine's core after the block that it has just sealed: held against the replay when that
 * block is durable. */
static void keep_copy(void)
{
    const struct partition *partition = sim->partition;
    if (partition == NULL || partition->last_block_no == sim->sealed_no ||
        partition->open.record_count > 0)
        return;
    sim->sealed_no = partition->last_block_no;
    core_copy_take(&copies[sim->sealed_no % COPIES_COUNT], partition->state->core, sim->sealed_no);
}

static int64_t show_wall_ms(void)
{
    step_beside();
    if (sim->wall_ms > sim->wall_ms_max)
        sim->wall_ms_max = sim->wall_ms;
    return sim->wall_ms;
}

/* The engine asks for this time when it has sealed a block, too. */
static uint64_t show_now_ns(void)
{
    sim_checkpoints_note();
    keep_copy();
    return sim->now_ns;
}

static bool may_step(enum partition_part part)
{
    const uint32_t percents[] = {
        [PARTITION_JOURNAL] = sim->habits.journal_percent,
        [PARTITION_WORKER] = sim->habits.worker_percent,
        [PARTITION_CHECKPOINT] = sim->habits.checkpoint_percent,
    };
    if (sim->calm)
        return true;
    /* A service is slow: its time may be over before it begins. */
    if (part == PARTITION_WORKER && chance_percent(&sim->chance, sim->habits.slow_percent))
        sim->wall_ms += chance_draw(&sim->chance, 6000);
    return chance_percent(&sim->chance, percents[part]);
}

static void replay_block(const struct disk_block *block)
{
    struct block_header header;
    struct problem problem = {0};
    verdict_check(block_decode(block->bytes, block->bytes_count, block->block_no, &header,
                               &problem) == STATUS_OK,
                  "%s", problem.text);
    ledger_begin_block(&sim->ledger, &header, sim->wall_ms_max);
    verdict_check(partition_state_replay(sim->shadow, &header, block->bytes + BLOCK_HEADER_BYTES,
                                         ledger_on_event, &sim->ledger, &problem) == STATUS_OK,
                  "%s", problem.text);
    sim_trace(header.header_crc);
    ledger_end_block(&sim->ledger, sim->shadow->core);
    if (sim->shadow->core == NULL)
        return;
    ledger_check_tables(&sim->ledger, sim->shadow);
}

void sim_engine_on_durable(const struct disk_block *block)
{
    replay_block(block);
    sim_figures.blocks++;
    const struct core_copy *copy = &copies[block->block_no % COPIES_COUNT];
    verdict_check(copy->block_no == block->block_no, "block %" PRIu64 " was sealed unseen",
                  block->block_no);
    verdict_check(core_copy_is_like(copy, sim->shadow->core),
                  "block %" PRIu64 ": the core is not what a replay of the journal gives",
                  block->block_no);
}

/* ---- looking at the engine ------------------------------------------------------------------- */

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

void sim_engine_check_room(void)
{
    const struct core *core = sim->shadow->core;
    uint64_t bytes = slab_used_bytes(core->payloads);
    verdict_check(core_sagas_live(core) > 0 || bytes == 0,
                  "at rest, no saga is there, and %" PRIu64 " bytes of payload are", bytes);
}

/* The core's slots and lists are compared at every block (sim_engine_on_durable). Here is what
 * takes longer, what its payloads hold, and what can only be looked at while no worker is at it,
 * the tables. Once a block is enough, but for what might change without one. When all comes to rest
 * blocks are many, with little in them; and where sagas are many, or large, it takes long. */
#define CHECK_EVERY   16u
#define BLOCKS_SPARED 8u
#define SAGAS_MANY    64u

void sim_engine_check(void)
{
    const struct partition *partition = sim->partition;
    bool seldom =
        sim->calm || sim->habits.limits.sagas_max > SAGAS_MANY || sim->habits.large_percent > 0;
    uint64_t due_no = sim->checked_no + (seldom ? BLOCKS_SPARED : 1);
    if (sim->ledger.last_no < due_no && (seldom || ++sim->checks_spared % CHECK_EVERY != 0))
        return;
    if (sim->shadow->core == NULL || partition->in_flight > 0 || partition->open.record_count > 0 ||
        partition->last_block_no != sim->ledger.last_no)
        return;
    sim->checked_no = sim->ledger.last_no;
    check_state("at rest");
}

/* ---- the engine comes and goes --------------------------------------------------------------- */

static enum status open_partition(bool accept_loss, struct problem *problem)
{
    struct partition_options options = {
        .directory = sim->directory,
        .durability = DURABILITY_SYNC,
        .journal = disk_start(&sim->disk),
        .limits = sim->habits.limits,
        .checkpoint_bytes = sim->habits.checkpoint_bytes,
        .history_bytes = sim->habits.history_bytes,
        .history_ms = sim->habits.history_ms,
        .accept_loss = accept_loss,
        .threadless = true,
        .block_bytes = sim->habits.block_bytes,
        .wall_ms = show_wall_ms,
        .now_ns = show_now_ns,
        .may_step = may_step,
    };
    options.remote = sim->is_remote;
    for (uint32_t i = 0; i < SCRIPT_SERVICES - (sim->is_remote ? 1u : 0u); i++)
        options.built_in[options.built_in_count++] = &services[i];
    sim->named_count = 0;
    sim->sealed_no = sim->ledger.last_no;
    return partition_open(&options, &sim->partition, problem);
}

static void free_partition(void)
{
    sim_checkpoints_note();
    partition_free(sim->partition);
    sim->partition = NULL;
}

/* What was written and never acknowledged, and is there all the same, counts from now on. */
static void take_what_is_there(void)
{
    for (uint32_t i = 0; i < sim->disk.count; i++)
        if (sim->disk.blocks[i].block_no > sim->ledger.last_no)
            replay_block(&sim->disk.blocks[i]);
    sim->disk.acknowledged_no = sim->ledger.last_no;
    ledger_ask_forget(&sim->ledger);
    sim->ledger.boot++;
}

void sim_engine_open_shadow(void)
{
    partition_state_close(sim->shadow);
    enum status status = partition_state_open(&sim->shadow);
    assert(status == STATUS_OK);
}

/* The loss of acknowledged blocks was accepted: all begins again from those that are left. */
static void rebuild(void)
{
    sim_figures.losses++;
    sim->checked_no = 0;
    sim_engine_open_shadow();
    ledger_begin_rebuild(&sim->ledger);
    take_what_is_there();
    sim->ledger.rebuilding = false;
    sim_client_forget_lost();
}

static bool is_refusal(enum status status)
{
    return status == STATUS_CORRUPT || status == STATUS_GAP || status == STATUS_LOST;
}

/* What lies behind the damaged block is given up. */
static void accept_loss(uint64_t block_no)
{
    struct problem problem = {0};
    enum status status = open_partition(true, &problem);
    verdict_check(status == STATUS_OK, "%s", problem.text);
    verdict_check(partition_recovery(sim->partition)->last_no == block_no - 1,
                  "block %" PRIu64 " is damaged, and what is accepted ends with block %" PRIu64,
                  block_no, partition_recovery(sim->partition)->last_no);
    free_partition();
    disk_settle(&sim->disk);
    sim_checkpoints_lose(block_no);
    if (block_no > sim->ledger.last_no)
        return;
    sim->disk.acknowledged_no = block_no - 1;
    rebuild();
}

/* A block is damaged while the machine is down. Recovery must refuse, and change nothing, unless a
 * checkpoint spares it the block; then the block is put back, or what is left is accepted. */
static void start_on_damage(void)
{
    uint32_t index = sim->disk.gone + chance_draw(&sim->chance, sim->disk.count - sim->disk.gone);
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
    bool spared = status == STATUS_OK && block_no <= partition_recovered_from(sim->partition);
    if (status == STATUS_OK)
        free_partition();
    verdict_check(spared || is_refusal(status),
                  "block %" PRIu64 " of %u is damaged (%d), and recovery says %s", block_no,
                  sim->disk.count, (int)damage, status_text(status));
    verdict_check(!sim->disk.removed, "recovery removed blocks, and nobody allowed it");
    sim_checkpoints_check_kept();
    sim_trace(status);
    if (spared || !sim_checkpoints_can_start(block_no) || chance_percent(&sim->chance, 70))
        disk_mend(&sim->disk, index, damage);
    else
        accept_loss(block_no);
}

void sim_engine_expect_lost(void)
{
    for (int accept = 0; accept < 2; accept++) {
        struct problem problem = {0};
        enum status status = open_partition(accept == 1, &problem);
        verdict_check(status == STATUS_LOST,
                      "the journal begins at block %" PRIu64
                      ", no checkpoint can be read, and recovery says %s",
                      sim->disk.first_no_declared, status_text(status));
        sim_checkpoints_check_kept();
        verdict_check(!sim->disk.removed, "recovery removed blocks that it cannot do without");
    }
    sim_figures.refusals++;
}

void sim_engine_start(void)
{
    /* A plug-in takes over from a remote worker, and the other way round, unless templates are made
     * for it. */
    sim->is_remote = sim->habits.remote_percent > 0 && chance_percent(&sim->chance, 80);
    sim->is_remote = sim->is_remote || sim->habits.scripts.made;
    sim_remote_forget();
    if (!sim->calm && chance_percent(&sim->chance, sim->habits.checkpoint_damage_percent))
        sim_checkpoints_damage();
    if (sim->disk.count > sim->disk.gone && !sim->calm &&
        chance_percent(&sim->chance, sim->habits.damage_percent))
        start_on_damage();
    struct problem problem = {0};
    enum status status = open_partition(false, &problem);
    verdict_check(status == STATUS_OK, "recovery says: %s", problem.text);
    take_what_is_there();
    verdict_check(partition_recovery(sim->partition)->last_no == sim->ledger.last_no,
                  "recovery found blocks up to %" PRIu64 ", there are %" PRIu64,
                  partition_recovery(sim->partition)->last_no, sim->ledger.last_no);
    bool from_checkpoint = partition_recovered_from(sim->partition) > 0;
    sim_figures.checkpoints += from_checkpoint;
    sim_figures.bare += !from_checkpoint && sim->checkpoints_count > 0;
    if (sim->ledger.last_no > 0)
        check_state("after recovery");
    sim_client_check_told();
    sim->waiting_count = 0;
    for (uint32_t i = 0; i < sim->scripts_count; i++) {
        sim->plans[i] = PARTITION_NO_PLAN;
        sim_client_define(i);
    }
}

void sim_engine_crash(void)
{
    sim_figures.crashes++;
    sim_figures.stalls += partition_counts(sim->partition).stalls;
    sim->disk.mood = DISK_FAILING;
    free_partition();
    sim_engine_start();
}

void sim_engine_stop(void)
{
    char digest[PARTITION_DIGEST_BYTES], replayed[PARTITION_DIGEST_BYTES];
    struct problem problem = {0};
    bool calm = sim->calm;
    sim->calm = true;
    verdict_check(partition_stop(sim->partition, digest, &problem) == STATUS_OK, "%s",
                  problem.text);
    sim_client_take_replies();
    partition_state_digest(sim->shadow, replayed);
    verdict_check(strcmp(digest, replayed) == 0, "stopped: the digest is not that of a replay");
    sim_figures.stalls += partition_counts(sim->partition).stalls;
    free_partition();
    sim->calm = calm;
    sim_figures.stops++;
}

void sim_engine_fail_disk(void)
{
    sim_figures.failures++;
    sim->disk.mood = DISK_FAILING;
    uint32_t turns = 1 + chance_draw(&sim->chance, 30);
    for (uint32_t i = 0; i < turns; i++) {
        bool worked;
        struct problem problem;
        if (chance_percent(&sim->chance, 30))
            sim_client_start();
        sim->now_ns += 1000000;
        (void)!partition_poll(sim->partition, &worked, &problem);
        sim_client_take_replies();
    }
    sim_engine_crash();
}
