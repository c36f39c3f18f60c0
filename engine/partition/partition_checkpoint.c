#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "engine/base/clock.h"
#include "engine/base/plant.h"
#include "engine/base/region.h"
#include "engine/partition/partition_parts.h"

/* Less journal than this is replayed faster than a checkpoint is worth writing. */
#define END_BYTES_MIN (64u << 20)
#define PAUSE_LOOK_NS 50000u

static void pause_workers(struct partition *partition, bool pause)
{
    for (uint32_t i = 0; i < partition->state->services_count; i++)
        for (uint32_t j = 0; j < partition->services[i].workers_count; j++)
            worker_pause(partition->services[i].workers[j], pause);
}

bool partition_is_at_pause(const struct partition *partition)
{
    if (partition->checkpointing.stage != CHECKPOINT_PAUSING ||
        partition->sent_count == WRITER_BUFFERS_COUNT)
        return false;
    for (uint32_t i = 0; i < partition->state->services_count; i++)
        for (uint32_t j = 0; j < partition->services[i].workers_count; j++)
            if (!worker_is_paused(partition->services[i].workers[j]))
                return false;
    return true;
}

static bool is_due(struct partition *partition)
{
    const struct partition_options *options = &partition->options;
    return options->checkpoint_bytes > 0 && options->durability != DURABILITY_MEMORY &&
           !partition->stopping &&
           partition->checkpointing.bytes_since >= options->checkpoint_bytes &&
           !mender_is_at_work(&partition->checkpointing.mender);
}

static void place_here(const struct partition *partition, struct checkpoint_place *ret_place)
{
    const struct checkpointing *checkpointing = &partition->checkpointing;
    ret_place->block_no = partition->last_block_no;
    ret_place->block_crc = partition->last_block_crc;
    ret_place->epoch = partition->epoch;
    ret_place->now_ms = partition->last_now_ms;
    ret_place->journal_bytes = checkpointing->journal_bytes;
    ret_place->milestones_count = checkpointing->milestones_count;
    memcpy(ret_place->milestones, checkpointing->milestones, sizeof ret_place->milestones);
}

/* ---- what is kept of the journal --------------------------------------------------------------
 */

static void add_milestone(struct checkpointing *checkpointing, const struct checkpoint_place *place)
{
    if (checkpointing->milestones_count == MILESTONES_MAX) {
        /* Coarser where it is long ago: every second one of the older half. */
        uint32_t kept = 0;
        for (uint32_t i = 0; i < MILESTONES_MAX; i++)
            if (i >= MILESTONES_MAX / 2 || i % 2 == 1)
                checkpointing->milestones[kept++] = checkpointing->milestones[i];
        checkpointing->milestones_count = kept;
    }
    checkpointing->milestones[checkpointing->milestones_count++] =
        (struct milestone){place->block_no, place->now_ms, place->journal_bytes};
}

void partition_resume_checkpoints(struct partition *partition, const struct checkpoint_place *place)
{
    struct checkpointing *checkpointing = &partition->checkpointing;
    checkpointing->bytes_since = partition->recovery.bytes_count;
    checkpointing->journal_bytes = place->journal_bytes + partition->recovery.bytes_count;
    checkpointing->named_no = place->block_no;
    checkpointing->milestones_count = place->milestones_count;
    memcpy(checkpointing->milestones, place->milestones,
           place->milestones_count * sizeof *place->milestones);
    /* It became one only after it was written. */
    if (place->block_no > 0)
        add_milestone(checkpointing, place);
}

/* The last block that history has no use for. Milestones before it go too. */
static uint64_t end_of_history(struct partition *partition)
{
    struct checkpointing *checkpointing = &partition->checkpointing;
    const struct partition_options *options = &partition->options;
    uint32_t gone = 0;
    for (; gone < checkpointing->milestones_count; gone++) {
        const struct milestone *milestone = &checkpointing->milestones[gone];
        uint64_t bytes = checkpointing->journal_bytes - milestone->journal_bytes;
        int64_t age_ms = partition->last_now_ms - milestone->now_ms;
        /* All that is behind it is still wanted. */
        if (bytes <= options->history_bytes &&
            (options->history_ms == 0 || age_ms <= (int64_t)options->history_ms))
            break;
    }
    uint64_t last_no = gone == 0 ? 0 : checkpointing->milestones[gone - 1].block_no;
    /* Of those that are over, the last says where the kept journal begins. */
    if (gone > 1) {
        checkpointing->milestones_count -= gone - 1;
        memmove(checkpointing->milestones, checkpointing->milestones + gone - 1,
                checkpointing->milestones_count * sizeof *checkpointing->milestones);
    }
    return last_no;
}

/* Gives up what neither a start from before_no, the older of the two checkpoints, nor history
 * needs. The block that a checkpoint is of stays with those behind it: a start asks whether the
 * journal has it. */
static void trim(struct partition *partition, uint64_t before_no)
{
    uint64_t last_no = end_of_history(partition);
    if (before_no < last_no)
        last_no = before_no;
    if (PLANTED(WIDE_TRIM) && last_no > 0)
        last_no++;
    if (last_no > 1)
        writer_remove_before(partition->writer, last_no);
}

/* ---- taking one -------------------------------------------------------------------------------
 */

/* The child that writes; 0: it is written already, -1: it cannot be. */
static pid_t start_writing(const struct partition *partition, const struct checkpoint_place *place)
{
    const struct partition_options *options = &partition->options;
    if (!options->threadless)
        return checkpoint_fork(options->directory, partition->state, place);
    return checkpoint_write(options->directory, partition->state, place) == STATUS_OK ? 0 : -1;
}

/* The workers pause, so that the tables hold just what the blocks up to the one sealed here say;
 * what they have not begun is dispatched again by a start from here. The child gets the state as it
 * is now; the engine and the workers go on. */
static bool begin(struct partition *partition)
{
    struct checkpointing *checkpointing = &partition->checkpointing;
    /* With what they did in blocks, all of it. */
    if (!partition_may_step(partition, PARTITION_CHECKPOINT) || !partition_is_at_pause(partition) ||
        !partition_take_results(partition) || partition->sent_count == WRITER_BUFFERS_COUNT)
        return false;
    if (partition->open.record_count > 0)
        partition_seal(partition);
    place_here(partition, &checkpointing->place);
    checkpointing->child = start_writing(partition, &checkpointing->place);
    pause_workers(partition, false);
    /* Where no child can be made now, the next one is tried after as much journal again. */
    checkpointing->stage = checkpointing->child < 0 ? CHECKPOINT_IDLE : CHECKPOINT_WRITING;
    checkpointing->bytes_before = checkpointing->bytes_since;
    checkpointing->bytes_since = 0;
    uint64_t stop_ns = clock_now_ns() - checkpointing->began_ns;
    histogram_add(&partition->checkpoint_stops_ns, stop_ns);
    return true;
}

/* Who is at work ends the handler that it has in hand, mostly in less time than a turn takes. */
static void await_handlers(const struct partition *partition)
{
    uint64_t until_ns = partition->checkpointing.began_ns + PAUSE_LOOK_NS;
    bool have_own_cpus = partition->cpus_count >= 2;
    while (have_own_cpus && !partition_is_at_pause(partition) && clock_now_ns() < until_ns)
        continue;
}

/* A child that died of a signal may have needed what it had not got: the next ones get all. */
static void fork_whole(struct checkpointing *checkpointing)
{
    checkpointing->forks_whole = true;
    region_take_into_forks();
}

static void mend(struct partition *partition)
{
    uint32_t others_count = partition->cpus_count < 2 ? 0 : partition->cpus_count - 1;
    mender_start(&partition->checkpointing.mender, partition->cpus + 1, others_count);
}

/* It counts when the child has ended well and the block it is of is durable. */
static bool watch(struct partition *partition)
{
    struct checkpointing *checkpointing = &partition->checkpointing;
    int exit_status = 0;
    if (checkpointing->child > 0) {
        pid_t ended = waitpid(checkpointing->child, &exit_status, WNOHANG);
        if (ended == 0 || (ended < 0 && errno == EINTR))
            return false;
        checkpointing->child = 0;
        mend(partition);
        /* ECHILD: whoever started this program has it ignore its children, and nobody knows how
         * this one ended. */
        if (ended < 0 || !WIFEXITED(exit_status) || WEXITSTATUS(exit_status) != 0) {
            if (ended > 0 && WIFSIGNALED(exit_status))
                fork_whole(checkpointing);
            checkpointing->stage = CHECKPOINT_IDLE;
            return true;
        }
    }
    if (partition->durable_no < checkpointing->place.block_no && !PLANTED(EARLY_CHECKPOINT))
        return false;
    if (!partition_may_step(partition, PARTITION_CHECKPOINT))
        return false;
    /* A start from here would not tell history again what came before. */
    writer_sync_beside(partition->writer);
    checkpointing->stage = CHECKPOINT_SYNCING;
    return true;
}

static bool name(struct partition *partition)
{
    struct checkpointing *checkpointing = &partition->checkpointing;
    if (writer_beside_synced_no(partition->writer) < checkpointing->place.block_no &&
        !PLANTED(EARLY_CHECKPOINT))
        return false;
    checkpointing->stage = CHECKPOINT_IDLE;
    uint64_t block_no = checkpointing->place.block_no;
    uint64_t before_no = checkpointing->named_no;
    if (checkpoint_name(partition->options.directory, block_no, before_no) != STATUS_OK)
        return true;
    partition->counts.checkpoints++;
    checkpointing->named_no = block_no;
    add_milestone(checkpointing, &checkpointing->place);
    trim(partition, PLANTED(GREEDY_TRIM) ? block_no : before_no);
    return true;
}

bool partition_turn_checkpoint(struct partition *partition)
{
    struct checkpointing *checkpointing = &partition->checkpointing;
    switch (checkpointing->stage) {
    case CHECKPOINT_IDLE:
        /* What is taken now is not taken with the services standing still. */
        if (!is_due(partition) || !partition_take_results(partition))
            return false;
        checkpointing->stage = CHECKPOINT_PAUSING;
        if (!checkpointing->forks_whole)
            region_leave_out_of_forks();
        checkpointing->began_ns = clock_now_ns();
        pause_workers(partition, true);
        await_handlers(partition);
        begin(partition);
        return true;
    case CHECKPOINT_PAUSING: return begin(partition);
    case CHECKPOINT_WRITING: return watch(partition);
    case CHECKPOINT_SYNCING: return name(partition);
    }
    assert(false && "every stage is handled");
    return false;
}

void partition_drop_checkpoint(struct partition *partition)
{
    struct checkpointing *checkpointing = &partition->checkpointing;
    if (checkpointing->stage == CHECKPOINT_PAUSING)
        pause_workers(partition, false);
    if (checkpointing->stage == CHECKPOINT_WRITING && checkpointing->child > 0) {
        kill(checkpointing->child, SIGKILL);
        waitpid(checkpointing->child, NULL, 0);
    }
    if (checkpointing->stage == CHECKPOINT_WRITING || checkpointing->stage == CHECKPOINT_SYNCING)
        checkpointing->bytes_since += checkpointing->bytes_before;
    mender_finish(&checkpointing->mender);
    checkpointing->stage = CHECKPOINT_IDLE;
}

/* Waits for it: false where the journal thread failed. */
static bool sync_history(struct partition *partition)
{
    writer_sync_beside(partition->writer);
    while (writer_beside_synced_no(partition->writer) < partition->last_block_no) {
        if (writer_failure(partition->writer, NULL) != STATUS_OK)
            return false;
        if (partition->options.threadless)
            writer_step(partition->writer);
        else
            sched_yield();
    }
    return true;
}

void partition_end_checkpoint(struct partition *partition)
{
    const struct partition_options *options = &partition->options;
    partition_drop_checkpoint(partition);
    if (options->checkpoint_bytes == 0 || options->durability == DURABILITY_MEMORY ||
        partition->checkpointing.bytes_since < END_BYTES_MIN)
        return;
    struct checkpoint_place *place = &partition->checkpointing.place;
    place_here(partition, place);
    /* A start without it only takes longer: no failure of the stop. History is synced first, by the
     * journal thread, which is at rest but for that. */
    if (checkpoint_write(options->directory, partition->state, place) != STATUS_OK ||
        !sync_history(partition) ||
        checkpoint_name(options->directory, place->block_no, partition->checkpointing.named_no) !=
            STATUS_OK)
        return;
    partition->counts.checkpoints++;
}
