#include "tests/sim/sim.h"

#include <assert.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/sim/services.h"
#include "tests/sim/sim_parts.h"

#define DAY_MS     86400000
#define REST_TURNS 200000u

/* Whoever starts many at once leaves it at that. */
#define REFUSALS_MAX 4u

struct sim_figures sim_figures;
struct sim *sim;

void sim_trace(uint64_t what)
{
    sim->trace = chance_mix(sim->trace, what);
}

/* ---- time ------------------------------------------------------------------------------------ */

static void poll(void)
{
    bool worked;
    struct problem problem = {0};
    sim->now_ns += chance_draw(&sim->chance, 1000000);
    sim->polling = true;
    enum status status = partition_poll(sim->partition, &worked, &problem);
    sim->polling = false;
    verdict_check(status == STATUS_OK, "%s", problem.text);
    sim_trace(worked);
}

static void move_clock(void)
{
    int64_t due_ms = timers_next_ms(&sim->partition->timers);
    int64_t tick_ms = sim->habits.tick_ms;
    switch (chance_draw(&sim->chance, 24)) {
    case 0: sim->wall_ms -= DAY_MS; break;
    case 1: sim->wall_ms += chance_percent(&sim->chance, 20) ? DAY_MS : 15 * tick_ms; break;
    case 2:
    case 3: sim->wall_ms += 5 * tick_ms; break;
    case 4: sim->wall_ms -= chance_draw(&sim->chance, 5000); break;
    case 5:
    case 6:
    case 7:
        /* Just before the next deadline, at it, or just after. */
        if (due_ms != INT64_MAX && due_ms < sim->wall_ms + DAY_MS)
            sim->wall_ms = due_ms - 1 + chance_draw(&sim->chance, 3);
        break;
    default: sim->wall_ms += chance_draw(&sim->chance, sim->habits.tick_ms); break;
    }
}

static void start_some(void)
{
    uint32_t count = 1 + chance_draw(&sim->chance, sim->habits.burst_max);
    uint32_t refused = 0;
    while (count-- > 0 && refused < REFUSALS_MAX)
        refused += !sim_client_start();
}

static void step(void)
{
    struct chance *chance = &sim->chance;
    const struct habits *habits = &sim->habits;
    uint32_t draw = chance_draw(chance, 1000);
    if (draw < habits->crash_permille)
        sim_engine_crash();
    else if ((draw -= habits->crash_permille) < habits->failure_permille)
        sim_engine_fail_disk();
    else if ((draw -= habits->failure_permille) < habits->stop_permille) {
        sim_engine_stop();
        sim_engine_start();
    } else if (chance_percent(chance, habits->clock_percent))
        move_clock();
    else if (chance_percent(chance, habits->remote_percent))
        sim_remote_act();
    else if (chance_percent(chance, habits->outside_percent))
        sim_outside_act();
    else if (chance_percent(chance, habits->start_percent))
        start_some();
    else if (chance_percent(chance, 10))
        sim_client_take_replies();
    else if (chance_percent(chance, 1)) {
        sim_client_draw_script();
        sim_client_define(sim->scripts_count - 1);
    } else
        poll();
    sim_engine_check();
}

/* Turns until nothing happens by itself any more; `attend`: until nothing could happen. */
static void run_down(bool attend)
{
    for (uint32_t turn = 0;; turn++) {
        verdict_check(turn < REST_TURNS, "it does not come to rest");
        poll();
        sim_client_take_replies();
        sim_remote_attend();
        sim_engine_check();
        if (!partition_is_quiet(sim->partition))
            continue;
        bool asked = attend && sim_outside_attend();
        if (!asked && partition_is_at_rest(sim->partition))
            return;
        sim->wall_ms = sim->wall_ms_max + 5000;
    }
}

static bool waits_for_time(const struct ledger_saga *saga)
{
    bool waits = saga->deadline_ms != 0 && saga->outcome == OUTCOME_RUNNING && !saga->failed &&
                 !saga->pivoted && saga->cancel == LEDGER_GO_ON;
    for (uint32_t i = 0; i < saga->carriers_count; i++)
        waits |= saga->carriers[i].wait != LEDGER_GONE && saga->carriers[i].due_ms != 0;
    return waits && !saga->ended;
}

/* Nothing fails any more, the clock runs: all that waits for a time goes on, and when all that is
 * waited for from outside has come every saga has to end, or to be stuck. */
static void come_to_rest(void)
{
    sim->calm = true;
    run_down(false);
    for (uint32_t i = 1; i <= sim->ledger.sagas_count; i++)
        verdict_check(!waits_for_time(&sim->ledger.sagas[i]),
                      "at rest, and saga %u waits for a time that has come", i);
    run_down(true);
    verdict_check(sim->waiting_count == 0, "at rest, and %u clients still wait",
                  sim->waiting_count);
    sim_engine_check_room();
    for (uint32_t i = 1; i <= sim->ledger.sagas_count; i++)
        verdict_check(sim->ledger.sagas[i].ended || sim->ledger.sagas[i].outcome == OUTCOME_STUCK,
                      "at rest, and saga %u has not ended", i);
}

/* ---- one seed -------------------------------------------------------------------------------- */

/* Often nothing of it, so that each is also seen without the others. */
static uint32_t draw_percent(struct chance *chance, uint32_t most)
{
    return chance_percent(chance, 40) ? 0 : 1 + chance_draw(chance, most);
}

/* Often none, so that all goes that may; and the whole of it, so that none does. */
static void draw_history(struct habits *habits)
{
    struct chance *chance = &sim->chance;
    switch (chance_draw(chance, 4)) {
    case 0: habits->history_bytes = UINT64_MAX; break;
    case 1: habits->history_bytes = chance_draw(chance, 100000); break;
    default: habits->history_bytes = 0;
    }
    habits->history_ms = chance_percent(chance, 70) ? 0 : 1 + chance_draw(chance, 200000);
    habits->checkpoint_damage_percent = chance_percent(chance, 30) ? 40 : 10;
}

/* The journal has room for four blocks: where they are small and it is slow, what comes waits. */
static void draw_blocks(struct habits *habits)
{
    struct chance *chance = &sim->chance;
    if (!chance_percent(chance, 20))
        return;
    habits->block_bytes = SIM_BLOCK_BYTES_LEAST + chance_draw(chance, 8000);
    habits->journal_percent = 3 + chance_draw(chance, 10);
}

static void draw_habits(void)
{
    /* The least has branches for any script: one for each state, and the root. */
    static const uint32_t saga_slots[] = {5, 6, 8, 16, 64};
    static const uint32_t bursts[] = {1, 2, 8};
    static const uint32_t paces[] = {10, 30, 60, 90, 100};
    static const uint32_t pads[16] = {3000, 300, 300, 300, 20, 20, 20, 20,
                                      20,   20,  20,  20,  20, 20, 20, 20};
    static const uint32_t ticks_ms[] = {100, 500, 2000};
    struct chance *chance = &sim->chance;
    bool faulty = !chance_percent(chance, 15);
    struct habits *habits = &sim->habits;
    *habits = (struct habits){
        .steps = 50 + chance_draw(chance, 1400),
        .start_percent = 5 + chance_draw(chance, 40),
        .clock_percent = 5 + chance_draw(chance, 20),
        .crash_permille = faulty ? chance_draw(chance, 9) : 0,
        .failure_permille = faulty ? chance_draw(chance, 3) : 0,
        .stop_permille = faulty ? chance_draw(chance, 3) : 0,
        .journal_percent = paces[chance_draw(chance, 5)],
        .worker_percent = paces[chance_draw(chance, 5)],
        .checkpoint_percent = paces[chance_draw(chance, 5)],
        .checkpoint_bytes = chance_percent(chance, 60) ? 1000 + chance_draw(chance, 20000) : 0,
        .damage_percent = 30,
        .remote_percent = chance_percent(chance, 20) ? 5 + chance_draw(chance, 40) : 0,
        .pad_max = pads[chance_draw(chance, 16)],
        .tick_ms = ticks_ms[chance_draw(chance, 3)],
        .limits = {.sagas_max = saga_slots[chance_draw(chance, 5)],
                   .payload_bytes_max = 16u << 20,
                   .seed = 1 + chance_draw(chance, 1000),
                   .names_max = chance_percent(chance, 70) ? 64 : 4,
                   .name_retention_ms = 1000 + chance_draw(chance, 60000)},
        .beside_percent = chance_percent(chance, 50) ? 10 : 0,
        .burst_max = bursts[chance_draw(chance, 3)],
        .slow_percent = chance_percent(chance, 30) ? 20 : 2,
        .outside_percent = 5 + chance_draw(chance, 25),
        .named_percent = chance_percent(chance, 50) ? 30 : 5,
        .delayed_percent = chance_percent(chance, 30) ? 30 : 3,
        .cancel_percent = chance_percent(chance, 30) ? 40 : 10,
        .scripts = {.timeout = draw_percent(chance, 60),
                    .wait = draw_percent(chance, 25),
                    .signal = draw_percent(chance, 25),
                    .token = draw_percent(chance, 40),
                    .pivot = draw_percent(chance, 25),
                    .parallel = draw_percent(chance, 100),
                    .undo_catch = draw_percent(chance, 100)},
    };
    draw_history(habits);
    /* So busy that many sagas share a block. */
    if (chance_percent(chance, 40)) {
        habits->limits.sagas_max = chance_percent(chance, 30) ? 256 : 2048;
        habits->burst_max = 800;
        /* A start replays all of them. */
        habits->crash_permille = (habits->crash_permille + 1) / 2;
        habits->damage_percent = 10;
        /* A checkpoint holds all of them. */
        habits->checkpoint_bytes *= 4;
    }
    if (chance_percent(chance, 2)) {
        habits->pad_max = 3000;
        habits->large_percent = 5 + chance_draw(chance, 10);
        habits->steps = 50 + chance_draw(chance, 300);
        habits->limits.sagas_max = 200;
        habits->limits.payload_bytes_max = 512u << 20;
        habits->burst_max = 8;
        habits->start_percent = 60;
    }
    draw_blocks(habits);
}

static void draw_answers(void)
{
    struct chance *chance = &sim->chance;
    sim->ledger.forward = (struct ledger_faults){chance_draw(chance, 10), chance_draw(chance, 30),
                                                 chance_draw(chance, 3)};
    sim->ledger.undo = (struct ledger_faults){chance_draw(chance, 5), chance_draw(chance, 40),
                                              chance_draw(chance, 2)};
}

/* In memory where there is such a folder: the syncs of a checkpoint cost nothing there. */
static void make_directory(void)
{
    strcpy(sim->directory, access("/dev/shm", W_OK) == 0 ? "/dev/shm/flyover_sim_XXXXXX"
                                                         : "/tmp/flyover_sim_XXXXXX");
    verdict_check(mkdtemp(sim->directory) != NULL, "no folder can be made in /dev/shm or /tmp");
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status, (void)type, (void)walk;
    return remove(path);
}

static void remove_directory(void)
{
    nftw(sim->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void set_up(struct sim *made, uint64_t seed)
{
    sim = made;
    make_directory();
    verdict_place.clean_up = remove_directory;
    sim->chance = (struct chance){chance_mix(seed, 0)};
    sim->wall_ms = 1700000000000;
    sim->now_ns = 1000000000;
    draw_habits();
    sim->habits.scripts.made = sim->habits.remote_percent > 0 && seed % 2 == 0;
    ledger_init(&sim->ledger, seed, &sim->habits.limits);
    draw_answers();
    sim->ledger.scripts = sim->scripts;
    sim->ledger.scripts_count = &sim->scripts_count;
    services_ledger = &sim->ledger;
    services_trace = 0;
    disk_init(&sim->disk, &sim->chance, sim_engine_on_durable, sim_engine_on_removal);
    sim_engine_open_shadow();
    uint32_t count = 1 + chance_draw(&sim->chance, 4);
    for (uint32_t i = 0; i < count; i++)
        sim_client_draw_script();
}

static void tear_down(void)
{
    remove_directory();
    partition_state_close(sim->shadow);
    ledger_fini(&sim->ledger);
    disk_fini(&sim->disk);
    for (uint32_t i = 0; i < sim->scripts_count; i++)
        free((void *)(uintptr_t)sim->scripts[i]);
    verdict_place.clean_up = NULL;
    free(sim);
    sim = NULL;
}

uint64_t sim_run(uint64_t seed)
{
    struct sim *made = calloc(1, sizeof *made);
    assert(made != NULL);
    verdict_place.seed = seed;
    verdict_place.step = 0;
    uint64_t stalls = sim_figures.stalls;
    set_up(made, seed);
    sim_engine_start();
    for (uint32_t i = 0; i < sim->habits.steps; i++) {
        verdict_place.step++;
        step();
    }
    come_to_rest();
    sim_engine_stop();
    sim_figures.stalled_lives += sim_figures.stalls > stalls;
    sim_figures.sagas += sim->ledger.sagas_count;
    const struct core_totals *totals = &sim->ledger.totals;
    sim_figures.steps += totals->steps;
    sim_figures.succeeded += totals->succeeded;
    sim_figures.compensated += totals->compensated;
    sim_figures.failed += totals->failed;
    sim_figures.stuck += totals->stuck;
    sim_figures.aborted += totals->aborted;
    sim_figures.retries += totals->retries;
    sim_figures.timeouts += totals->timeouts;
    sim_figures.signals += totals->signals;
    sim_figures.mended += totals->mended;
    sim_figures.removed += sim->disk.gone;
    verdict_place.seeds_run++;
    uint64_t trace_hash = chance_mix(sim->trace, services_trace);
    tear_down();
    return trace_hash;
}
