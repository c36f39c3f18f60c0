#include <string.h>

#include "engine/admin/figures.h"

/* {"do": "figures"}: groups of numbers; times in the unit that their name ends with. */

static void set(json_t *object, const char *key, uint64_t value)
{
    json_object_set_new(object, key, json_integer((json_int_t)value));
}

/* {"sum": 17, "counts": [...]}: the buckets of tally.h, without the empty ones at the end. */
static json_t *tally_json(const struct tally *tally)
{
    uint32_t used = TALLY_BUCKETS + 1;
    while (used > 0 && tally->counts[used - 1] == 0)
        used--;
    json_t *counts = json_array();
    for (uint32_t i = 0; i < used; i++)
        json_array_append_new(counts, json_integer((json_int_t)tally->counts[i]));
    return json_pack("{s:I, s:o}", "sum", (json_int_t)tally->sum, "counts", counts);
}

static json_t *totals_json(const struct figures *figures)
{
    const struct core_totals *totals = &figures->totals;
    json_t *object = json_object();
    set(object, "started", totals->started);
    set(object, "succeeded", totals->succeeded);
    set(object, "compensated", totals->compensated);
    set(object, "failed", totals->failed);
    set(object, "aborted", totals->aborted);
    set(object, "ended", totals->ended);
    set(object, "steps", totals->steps);
    set(object, "retries", totals->retries);
    set(object, "timeouts", totals->timeouts);
    set(object, "signals", totals->signals);
    set(object, "mended", totals->mended);
    set(object, "detached_failed", totals->detached_failed);
    return object;
}

static json_t *live_json(const struct figures *figures)
{
    json_t *object = json_object();
    set(object, "all", figures->live);
    set(object, "max", figures->sagas_max);
    for (enum admin_state state = 0; state < ADMIN_STATES_COUNT; state++)
        set(object, figures_state_name(state), figures->states[state]);
    set(object, "states_age_ms", figures->states_age_ns / 1000000u);
    return object;
}

static json_t *room_json(const struct core_room *room)
{
    json_t *object = json_object();
    set(object, "payload_bytes", room->payload_bytes);
    set(object, "payload_bytes_max", room->payload_bytes_max);
    set(object, "branches", room->branches);
    set(object, "branches_max", room->branches_max);
    set(object, "names", room->names);
    set(object, "names_max", room->names_max);
    return object;
}

static json_t *store_json(const struct journal_store *store)
{
    json_t *object = json_object();
    set(object, "memtable_bytes", store->memtable_bytes);
    set(object, "memtables_waiting", store->memtables_waiting);
    set(object, "files_bytes", store->files_bytes);
    set(object, "files_l0", store->files_l0);
    set(object, "flushes", store->flushes);
    set(object, "compactions", store->compactions);
    set(object, "compaction_bytes_waiting", store->compaction_bytes_waiting);
    set(object, "background_errors", store->background_errors);
    set(object, "write_delay_bytes_per_s", store->write_delay_bytes_per_s);
    json_object_set_new(object, "is_write_stopped", json_boolean(store->is_write_stopped));
    return object;
}

static json_t *journal_json(const struct figures *figures)
{
    const struct partition_counts *counts = &figures->counts;
    json_t *object = json_object();
    set(object, "blocks", counts->blocks);
    set(object, "syncs", counts->syncs);
    set(object, "bytes", counts->journal_bytes);
    set(object, "records", counts->records);
    set(object, "busy_ns", counts->journal_busy_ns);
    set(object, "stalls", counts->stalls);
    set(object, "open_block", figures->view.open_block_no);
    set(object, "durable_block", figures->view.durable_no);
    json_object_set_new(object, "append_us", tally_json(&figures->view.append_us));
    json_object_set_new(object, "block_bytes", tally_json(&figures->view.block_bytes));
    if (figures->view.store.is_known)
        json_object_set_new(object, "store", store_json(&figures->view.store));
    return object;
}

static json_t *checkpoint_json(const struct figures *figures)
{
    const struct partition_view *view = &figures->view;
    json_t *object = json_object();
    set(object, "made", figures->counts.checkpoints);
    set(object, "block", view->checkpoint_no);
    if (view->checkpoint_made_ms > 0)
        set(object, "age_ms", (uint64_t)(figures->taken_ms - view->checkpoint_made_ms));
    set(object, "journal_since_bytes", view->journal_since_checkpoint_bytes);
    set(object, "stop_ns_p99", figures->counts.checkpoint_stop_ns_p99);
    set(object, "stop_ns_max", figures->counts.checkpoint_stop_ns_max);
    return object;
}

static json_t *recovery_json(const struct figures *figures)
{
    json_t *object = json_object();
    set(object, "from_block", figures->recovered_from);
    set(object, "blocks", figures->recovery.blocks_count);
    set(object, "records", figures->recovery.records_count);
    set(object, "bytes", figures->recovery.bytes_count);
    set(object, "lost_blocks", figures->recovery.lost_blocks_count);
    set(object, "ns", figures->view.recovered_ns);
    return object;
}

static json_t *engine_json(const struct figures *figures)
{
    const struct partition_view *view = &figures->view;
    json_t *object = json_object();
    set(object, "in_flight", view->in_flight);
    set(object, "in_flight_remote", view->in_flight_remote);
    set(object, "timers", view->timers);
    set(object, "replies_waiting", view->replies_waiting);
    set(object, "effects_waiting", view->effects_waiting);
    set(object, "late_results", figures->counts.late_results);
    set(object, "cpus", figures->counts.cpus_count);
    return object;
}

static json_t *services_json(const struct figures *figures)
{
    json_t *rows = json_array();
    for (uint32_t i = 0; i < figures->services_count; i++) {
        const struct figures_service *service = &figures->services[i];
        json_t *row = json_object();
        json_object_set_new(row, "service", json_string(service->view.name));
        json_object_set_new(row, "is_remote", json_boolean(service->view.is_remote));
        set(row, "threads", service->view.threads);
        set(row, "workers", service->workers);
        set(row, "credit", service->credit);
        set(row, "waiting", service->view.waiting);
        set(row, "in_flight", service->view.in_flight);
        set(row, "answered", service->view.answered);
        set(row, "in_flight_max", service->view.limits.in_flight_max);
        set(row, "rate_per_s", service->view.limits.rate_per_s);
        json_array_append_new(rows, row);
    }
    return rows;
}

static json_t *threads_json(const struct partition_counts *counts)
{
    json_t *rows = json_array();
    for (uint32_t i = 0; i < counts->threads_count; i++)
        json_array_append_new(rows, json_pack("{s:s, s:I}", "thread", counts->threads[i].name,
                                              "cpu_ns", (json_int_t)counts->threads[i].cpu_ns));
    return rows;
}

static json_t *errors_json(const struct figures_net *net)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < FIGURES_STATUSES; i++)
        if (net->errors[i] > 0)
            set(object, status_name((enum status)i), net->errors[i]);
    return object;
}

static json_t *edge_json(const struct figures_edge *edge)
{
    json_t *object = json_object();
    json_object_set_new(object, "service", json_string(edge->service));
    json_object_set_new(object, "handler", json_string(edge->handler));
    set(object, "calls", edge->calls);
    set(object, "failed", edge->failed);
    set(object, "retried", edge->retried);
    set(object, "late", edge->late);
    set(object, "in_flight", edge->in_flight);
    return object;
}

static json_t *edges_json(const struct figures_edges *edges)
{
    json_t *object = json_object(), *handlers = json_array();
    set(object, "messages", edges->messages);
    set(object, "messages_open", edges->messages_open);
    set(object, "started", edges->started);
    set(object, "repeated", edges->repeated);
    set(object, "refused", edges->refused);
    set(object, "given_up", edges->given_up);
    set(object, "settled", edges->settled);
    set(object, "ends", edges->ends);
    set(object, "ends_lost", edges->ends_lost);
    for (uint32_t i = 0; i < edges->count; i++)
        json_array_append_new(handlers, edge_json(&edges->handlers[i]));
    json_object_set_new(object, "handlers", handlers);
    return object;
}

static json_t *net_json(const struct figures_net *net)
{
    json_t *object = json_object();
    set(object, "connections", net->connections);
    set(object, "clients", net->clients);
    set(object, "workers", net->workers);
    set(object, "subscriptions", net->subscriptions);
    set(object, "requests_open", net->requests_open);
    set(object, "accepted", net->accepted);
    set(object, "refused", net->refused);
    set(object, "closed", net->closed);
    set(object, "bytes_in", net->bytes_in);
    set(object, "bytes_out", net->bytes_out);
    set(object, "out_bytes", net->out_bytes);
    set(object, "starved", net->starved);
    set(object, "frames_in", net->frames_in);
    set(object, "messages_in", net->messages_in);
    set(object, "messages_out", net->messages_out);
    set(object, "handed_out", net->handed_out);
    set(object, "handed_out_again", net->handed_out_again);
    set(object, "late_results", net->late_results);
    json_object_set_new(object, "errors", errors_json(net));
    return object;
}

json_t *figures_json(const struct figures *figures)
{
    json_t *object = json_object();
    set(object, "taken_ms", (uint64_t)figures->taken_ms);
    set(object, "taken_ns", figures->taken_ns);
    json_object_set_new(object, "totals", totals_json(figures));
    json_object_set_new(object, "live", live_json(figures));
    json_object_set_new(object, "room", room_json(&figures->room));
    json_object_set_new(object, "saga_ms", tally_json(&figures->view.saga_ms));
    json_object_set_new(object, "journal", journal_json(figures));
    json_object_set_new(object, "checkpoint", checkpoint_json(figures));
    json_object_set_new(object, "recovery", recovery_json(figures));
    json_object_set_new(object, "engine", engine_json(figures));
    json_object_set_new(object, "services", services_json(figures));
    json_object_set_new(object, "threads", threads_json(&figures->counts));
    if (figures->edges.is_there)
        json_object_set_new(object, "edges", edges_json(&figures->edges));
    if (figures->net.is_there)
        json_object_set_new(object, "net", net_json(&figures->net));
    return object;
}
