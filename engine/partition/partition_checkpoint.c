#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "engine/base/clock.h"
#include "engine/base/plant.h"
#include "engine/partition/partition_parts.h"

/* Less journal than this is replayed faster than a checkpoint is worth writing. */
#define END_BYTES_MIN (64u << 20)

static void pause_workers(struct partition *partition, bool pause)
{
    for (uint32_t i = 0; i < partition->state->services_count; i++)
        for (uint32_t j = 0; j < partition->services[i].workers_count; j++)
            worker_pause(partition->services[i].workers[j], pause);
}

/* Whether what the workers did stands in blocks, all of it, and they do nothing more. */
static bool is_at_pause(struct partition *partition)
{
    for (uint32_t i = 0; i < partition->state->services_count; i++)
        for (uint32_t j = 0; j < partition->services[i].workers_count; j++)
            if (!worker_is_paused(partition->services[i].workers[j]))
                return false;
    return partition_take_results(partition);
}

static bool is_due(const struct partition *partition)
{
    const struct partition_options *options = &partition->options;
    return options->checkpoint_bytes > 0 && options->durability != DURABILITY_MEMORY &&
           !partition->stopping &&
           partition->checkpointing.bytes_since >= options->checkpoint_bytes;
}

static struct checkpoint_place place_of(const struct partition *partition)
{
    return (struct checkpoint_place){
        .block_no = partition->last_block_no,
        .block_crc = partition->last_block_crc,
        .epoch = partition->epoch,
        .now_ms = partition->last_now_ms,
    };
}

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
    if (!is_at_pause(partition) || partition->sent_count == WRITER_BUFFERS_COUNT)
        return false;
    if (partition->open.record_count > 0)
        partition_seal(partition);
    checkpointing->place = place_of(partition);
    checkpointing->child = start_writing(partition, &checkpointing->place);
    pause_workers(partition, false);
    /* Where no child can be made now, the next one is tried after as much journal again. */
    checkpointing->stage = checkpointing->child < 0 ? CHECKPOINT_IDLE : CHECKPOINT_WRITING;
    checkpointing->bytes_before = checkpointing->bytes_since;
    checkpointing->bytes_since = 0;
    uint64_t stop_ns = clock_now_ns() - checkpointing->began_ns;
    if (stop_ns > partition->counts.checkpoint_stop_ns_max)
        partition->counts.checkpoint_stop_ns_max = stop_ns;
    return true;
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
        /* ECHILD: whoever started this program has it ignore its children, and nobody knows how
         * this one ended. */
        if (ended < 0 || !WIFEXITED(exit_status) || WEXITSTATUS(exit_status) != 0) {
            checkpointing->stage = CHECKPOINT_IDLE;
            return true;
        }
    }
    if (partition->durable_no < checkpointing->place.block_no && !PLANTED(EARLY_CHECKPOINT))
        return false;
    if (!partition_may_step(partition, PARTITION_CHECKPOINT))
        return false;
    if (checkpoint_name(partition->options.directory, checkpointing->place.block_no) == STATUS_OK)
        partition->counts.checkpoints++;
    checkpointing->stage = CHECKPOINT_IDLE;
    return true;
}

bool partition_turn_checkpoint(struct partition *partition)
{
    struct checkpointing *checkpointing = &partition->checkpointing;
    switch (checkpointing->stage) {
    case CHECKPOINT_IDLE:
        if (!is_due(partition))
            return false;
        checkpointing->stage = CHECKPOINT_PAUSING;
        checkpointing->began_ns = clock_now_ns();
        pause_workers(partition, true);
        return true;
    case CHECKPOINT_PAUSING: return begin(partition);
    case CHECKPOINT_WRITING: return watch(partition);
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
    if (checkpointing->stage == CHECKPOINT_WRITING)
        checkpointing->bytes_since += checkpointing->bytes_before;
    checkpointing->stage = CHECKPOINT_IDLE;
}

void partition_end_checkpoint(struct partition *partition)
{
    const struct partition_options *options = &partition->options;
    partition_drop_checkpoint(partition);
    if (options->checkpoint_bytes == 0 || options->durability == DURABILITY_MEMORY ||
        partition->checkpointing.bytes_since < END_BYTES_MIN)
        return;
    struct checkpoint_place place = place_of(partition);
    /* A start without it only takes longer: no failure of the stop. */
    if (checkpoint_write(options->directory, partition->state, &place) == STATUS_OK &&
        checkpoint_name(options->directory, place.block_no) == STATUS_OK)
        partition->counts.checkpoints++;
}
