#include <inttypes.h>

#include "engine/admin/life.h"
#include "engine/admin/timeline.h"
#include "storage/journal.h"
#include "storage/recovery.h"

struct telling {
    struct partition_state *state;
    struct timeline timeline;
    struct journal *journal;
};

static enum status on_block(void *context, const struct block_header *header, const uint8_t *body,
                            struct problem *problem)
{
    struct telling *telling = context;
    return partition_state_replay(telling->state, header, body, timeline_on_event,
                                  &telling->timeline, problem);
}

static enum status read_all(struct telling *telling, const char *directory, struct problem *problem)
{
    struct journal_options options = {.directory = directory, .read_only = true};
    struct recovery_options recovery = {
        .directory = directory, .on_block = on_block, .context = telling};
    struct recovery_report report;
    enum status status = journal_open(&options, &telling->journal, problem);
    return status == STATUS_OK ? recovery_run(telling->journal, &recovery, &report, problem)
                               : status;
}

enum status life_tell_by_replay(const char *directory, uint64_t saga_id, FILE *out,
                                json_t **ret_json, struct problem *problem)
{
    struct telling telling = {0};
    enum status status = timeline_init(&telling.timeline, saga_id, out);
    if (status == STATUS_OK)
        status = partition_state_open(&telling.state);
    if (status != STATUS_OK)
        problem_set(problem, status, "out of memory");
    else
        status = read_all(&telling, directory, problem);
    if (status == STATUS_OK && !timeline_is_started(&telling.timeline))
        status = problem_set(problem, STATUS_NOT_FOUND,
                             "the journal knows no saga %" PRIu64 ": was it started yet?", saga_id);
    if (status == STATUS_OK && out != NULL)
        timeline_finish(&telling.timeline, telling.state);
    else if (status == STATUS_OK)
        *ret_json = timeline_to_json(&telling.timeline, telling.state);
    timeline_fini(&telling.timeline);
    partition_state_close(telling.state);
    journal_close(telling.journal);
    return status;
}
