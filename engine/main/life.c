#include "engine/main/life.h"

#include <inttypes.h>

#include "engine/main/timeline.h"
#include "engine/partition/partition_state.h"
#include "storage/journal.h"
#include "storage/recovery.h"

struct life {
    struct partition_state *state;
    struct timeline timeline;
    struct journal *journal;
};

static enum status on_block(void *context, const struct block_header *header, const uint8_t *body,
                            struct problem *problem)
{
    struct life *life = context;
    return partition_state_replay(life->state, header, body, timeline_on_event, &life->timeline,
                                  problem);
}

static enum status read_all(struct life *life, const char *directory, struct problem *problem)
{
    struct journal_options options = {.directory = directory, .read_only = true};
    struct recovery_options recovery = {
        .directory = directory, .on_block = on_block, .context = life};
    struct recovery_report report;
    enum status status = journal_open(&options, &life->journal, problem);
    return status == STATUS_OK ? recovery_run(life->journal, &recovery, &report, problem) : status;
}

enum status life_tell(const char *directory, uint64_t saga_id, FILE *out, json_t **ret_json,
                      struct problem *problem)
{
    struct life life = {0};
    enum status status = timeline_init(&life.timeline, saga_id, out);
    if (status == STATUS_OK)
        status = partition_state_open(&life.state);
    if (status != STATUS_OK)
        problem_set(problem, status, "out of memory");
    else
        status = read_all(&life, directory, problem);
    if (status == STATUS_OK && !timeline_is_started(&life.timeline))
        status = problem_set(problem, STATUS_NOT_FOUND,
                             "the journal knows no saga %" PRIu64 ": was it started yet?", saga_id);
    if (status == STATUS_OK && out != NULL)
        timeline_finish(&life.timeline, life.state);
    else if (status == STATUS_OK)
        *ret_json = timeline_to_json(&life.timeline, life.state);
    timeline_fini(&life.timeline);
    partition_state_close(life.state);
    journal_close(life.journal);
    return status;
}
