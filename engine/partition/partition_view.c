#include "engine/partition/partition_view.h"

#include <string.h>

#include "engine/partition/partition_parts.h"

static void view_checkpoints(const struct partition *partition, struct partition_view *view)
{
    const struct checkpointing *checkpointing = &partition->checkpointing;
    view->checkpoint_no = checkpointing->named_no;
    if (checkpointing->named_no > 0 && checkpointing->milestones_count > 0)
        view->checkpoint_made_ms =
            checkpointing->milestones[checkpointing->milestones_count - 1].now_ms;
    view->journal_since_checkpoint_bytes = checkpointing->bytes_since;
}

/* What another thread uses until partition_stop, and is gone then. */
static void view_journal(const struct partition *partition, struct partition_view *view)
{
    if (partition->stopped)
        return;
    writer_append_times(partition->writer, &view->append_us);
    view->store = journal_store(partition->journal);
}

void partition_view(const struct partition *partition, struct partition_view *ret_view)
{
    const struct effect_queue *effects = &partition->state->effects;
    *ret_view = (struct partition_view){
        .saga_ms = partition->saga_ms,
        .block_bytes = partition->block_bytes,
        .open_block_no = partition->last_block_no + 1,
        .durable_no = partition->durable_no,
        .recovered_ns = partition->recovered_ns,
        .replies_waiting = partition->replies_tail - partition->replies_head,
        .effects_waiting = effects->tail - effects->head,
        .timers = timers_count(&partition->timers),
        .in_flight = partition->in_flight,
        .in_flight_remote = partition->remote.in_flight,
    };
    view_checkpoints(partition, ret_view);
    view_journal(partition, ret_view);
}

static void add_queue(const struct dispatch *dispatch, uint32_t index,
                      struct partition_service_view *view)
{
    view->waiting += dispatch_waiting(dispatch, index);
    view->in_flight += dispatch_in_flight(dispatch, index);
    view->answered += dispatch->services[index].came_back;
}

/* What goes through its lanes counts for the service's limits too: it is told by the lanes. */
static void view_service(const struct partition *partition, uint32_t index,
                         struct partition_service_view *view)
{
    const struct service *service = &partition->services[index];
    const struct remote *remote = &partition->remote;
    *view = (struct partition_service_view){
        .is_remote = service->is_remote,
        .threads = service->workers_count,
        .limits = partition->dispatch.services[index].limits,
    };
    strcpy(view->name, partition->state->services[index].name);
    if (!service->is_remote)
        add_queue(&partition->dispatch, index, view);
    for (uint32_t i = 0; service->is_remote && i < remote->lanes_count; i++)
        if (strcmp(remote->lanes[i].service, view->name) == 0)
            add_queue(&partition->dispatch, REMOTE_FIRST + i, view);
}

uint32_t partition_services(const struct partition *partition, struct partition_service_view *views,
                            uint32_t capacity)
{
    uint32_t count = partition->state->services_count;
    for (uint32_t i = 0; i < count && i < capacity; i++)
        view_service(partition, i, &views[i]);
    return count;
}
