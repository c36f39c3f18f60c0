#include "engine/main/metrics_text.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "storage/journal.h"

#define NS_A_SECOND 1e9

enum type { COUNTER, GAUGE, HISTOGRAM };

/* ---- lines ----------------------------------------------------------------------------------- */

/* What stands before all samples of one name. */
static void begin(FILE *out, const char *name, enum type type, const char *help)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    fprintf(out, "# HELP flyover_%s %s\n# TYPE flyover_%s %s\n", name, help, name, types[type]);
}

/* Names of services and threads, and versions, which a configuration may have put anything into. */
static void print_label(FILE *out, const char *label, const char *value)
{
    fprintf(out, "%s=\"", label);
    for (; *value != '\0'; value++) {
        if (*value == '\n')
            fputs("\\n", out);
        else if (*value == '"' || *value == '\\')
            fprintf(out, "\\%c", *value);
        else
            fputc(*value, out);
    }
    fputc('"', out);
}

static void sample(FILE *out, const char *name, const char *label, const char *value, uint64_t of)
{
    fprintf(out, "flyover_%s{", name);
    print_label(out, label, value);
    fprintf(out, "} %" PRIu64 "\n", of);
}

static void sample_seconds(FILE *out, const char *name, const char *label, const char *value,
                           uint64_t ns)
{
    fprintf(out, "flyover_%s{", name);
    print_label(out, label, value);
    fprintf(out, "} %.9g\n", (double)ns / NS_A_SECOND);
}

/* A name that has one sample. */
static void one(FILE *out, const char *name, enum type type, const char *help, uint64_t of)
{
    begin(out, name, type, help);
    fprintf(out, "flyover_%s %" PRIu64 "\n", name, of);
}

static void one_seconds(FILE *out, const char *name, enum type type, const char *help, uint64_t ns)
{
    begin(out, name, type, help);
    fprintf(out, "flyover_%s %.9g\n", name, (double)ns / NS_A_SECOND);
}

/* `unit`: how many of the tally's make one of the base unit. Buckets below `first` are in the first
 * one that is printed. */
static void histogram(FILE *out, const char *name, const char *help, const struct tally *tally,
                      uint64_t first, double unit)
{
    uint64_t count = 0;
    begin(out, name, HISTOGRAM, help);
    for (uint32_t i = 0; i < TALLY_BUCKETS; i++) {
        count += tally->counts[i];
        if (tally_limit(i) < first)
            continue;
        fprintf(out, "flyover_%s_bucket{le=\"%.9g\"} %" PRIu64 "\n", name,
                (double)tally_limit(i) / unit, count);
    }
    count += tally->counts[TALLY_BUCKETS];
    fprintf(out, "flyover_%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, count);
    fprintf(out, "flyover_%s_sum %.9g\n", name, (double)tally->sum / unit);
    fprintf(out, "flyover_%s_count %" PRIu64 "\n", name, count);
}

/* ---- sagas ----------------------------------------------------------------------------------- */

static void print_totals(FILE *out, const struct core_totals *totals)
{
    one(out, "sagas_started_total", COUNTER, "Sagas started over the life of the data directory.",
        totals->started);
    begin(out, "sagas_total", COUNTER,
          "Sagas that ended over the life of the data directory, by outcome.");
    sample(out, "sagas_total", "outcome", "succeeded", totals->succeeded);
    sample(out, "sagas_total", "outcome", "compensated", totals->compensated);
    sample(out, "sagas_total", "outcome", "failed", totals->failed);
    sample(out, "sagas_total", "outcome", "aborted", totals->aborted);
    one(out, "steps_total", COUNTER,
        "Steps and compensations finished over the life of the data directory.", totals->steps);
    one(out, "step_retries_total", COUNTER, "Attempts after the first of a step.", totals->retries);
    one(out, "timeouts_total", COUNTER, "Attempts and sagas that were out of time.",
        totals->timeouts);
    one(out, "signals_total", COUNTER, "Signals taken for sagas.", totals->signals);
    one(out, "sagas_mended_total", COUNTER, "Sagas mended by hand, from being stuck.",
        totals->mended);
    one(out, "steps_given_up_total", COUNTER, "Fire-and-forget steps given up.",
        totals->detached_failed);
}

static void print_live(FILE *out, const struct figures *figures)
{
    begin(out, "sagas_live", GAUGE, "Sagas that have not ended, by state.");
    for (enum admin_state state = 0; state < ADMIN_STATES_COUNT; state++)
        sample(out, "sagas_live", "state", figures_state_name(state), figures->states[state]);
    one_seconds(out, "sagas_live_age_seconds", GAUGE,
                "How old the count by state is: large numbers of sagas are counted seldom.",
                figures->states_age_ns);
    one(out, "saga_slots_used", GAUGE, "Slots that live sagas have.", figures->live);
    one(out, "saga_slots_max", GAUGE, "Slots there are.", figures->sagas_max);
    histogram(out, "saga_duration_seconds",
              "From the start of a saga to its end or its getting stuck, by the times of their "
              "blocks, since the engine was started.",
              &figures->view.saga_ms, 1, 1e3);
}

static void print_room(FILE *out, const struct core_room *room)
{
    one(out, "payload_used_bytes", GAUGE, "Memory that inputs and outputs of live sagas take.",
        room->payload_bytes);
    one(out, "payload_max_bytes", GAUGE, "Memory there is for them.", room->payload_bytes_max);
    one(out, "branches_used", GAUGE, "Branches of live sagas.", room->branches);
    one(out, "branches_max", GAUGE, "Branches there are.", room->branches_max);
    one(out, "names_used", GAUGE, "Names of sagas that are kept.", room->names);
    one(out, "names_max", GAUGE, "Names there is room for.", room->names_max);
}

/* ---- services -------------------------------------------------------------------------------- */

static void each_service(FILE *out, const struct figures *figures, const char *name, enum type type,
                         const char *help, uint64_t (*of)(const struct figures_service *service))
{
    if (figures->services_count > 0)
        begin(out, name, type, help);
    for (uint32_t i = 0; i < figures->services_count; i++)
        sample(out, name, "service", figures->services[i].view.name, of(&figures->services[i]));
}

static uint64_t waiting_of(const struct figures_service *service)
{
    return service->view.waiting;
}

static uint64_t in_flight_of(const struct figures_service *service)
{
    return service->view.in_flight;
}

static uint64_t answered_of(const struct figures_service *service)
{
    return service->view.answered;
}

static uint64_t workers_of(const struct figures_service *service)
{
    return service->view.is_remote ? service->workers : service->view.threads;
}

static uint64_t credit_of(const struct figures_service *service)
{
    return service->credit;
}

static void print_services(FILE *out, const struct figures *figures)
{
    each_service(out, figures, "service_waiting", GAUGE,
                 "Steps that wait for a worker or a limit, by service.", waiting_of);
    each_service(out, figures, "service_in_flight", GAUGE,
                 "Steps that are with a worker, by service.", in_flight_of);
    each_service(out, figures, "service_answers_total", COUNTER,
                 "Steps that came back from workers, whatever they said, by service.", answered_of);
    each_service(out, figures, "service_workers", GAUGE,
                 "Threads of a plug-in, or workers of a remote service that are connected.",
                 workers_of);
    each_service(out, figures, "service_credit", GAUGE,
                 "Steps that the workers of a remote service would take now.", credit_of);
}

/* ---- journal and checkpoints ----------------------------------------------------------------- */

static void print_journal(FILE *out, const struct figures *figures)
{
    const struct partition_counts *counts = &figures->counts;
    const struct partition_view *view = &figures->view;
    one(out, "journal_blocks_total", COUNTER, "Blocks that became durable.", counts->blocks);
    one(out, "journal_syncs_total", COUNTER, "Appends, each with its sync.", counts->syncs);
    one(out, "journal_bytes_total", COUNTER, "Bytes appended.", counts->journal_bytes);
    one(out, "journal_records_total", COUNTER, "Events written into blocks.", counts->records);
    one_seconds(out, "journal_busy_seconds_total", COUNTER, "Time spent in appends.",
                counts->journal_busy_ns);
    one(out, "journal_stalls_total", COUNTER,
        "Times the engine had an event and the journal no room for it.", counts->stalls);
    one(out, "journal_lag_blocks", GAUGE, "Sealed blocks that are not durable yet.",
        view->open_block_no - 1 - view->durable_no);
    one(out, "journal_durable_block", GAUGE, "Number of the last durable block.", view->durable_no);
    histogram(out, "journal_sync_duration_seconds", "Time of an append with its sync.",
              &view->append_us, 32, 1e6);
    histogram(out, "journal_block_size_bytes", "Size of sealed blocks.", &view->block_bytes, 256,
              1);
}

static void print_checkpoints(FILE *out, const struct figures *figures)
{
    const struct partition_view *view = &figures->view;
    one(out, "checkpoints_total", COUNTER, "Checkpoints made.", figures->counts.checkpoints);
    one(out, "checkpoint_block", GAUGE, "Block of the newest checkpoint, 0 without one.",
        view->checkpoint_no);
    if (view->checkpoint_made_ms > 0)
        one_seconds(out, "checkpoint_age_seconds", GAUGE, "Age of the newest checkpoint.",
                    (uint64_t)(figures->taken_ms - view->checkpoint_made_ms) * 1000000u);
    one(out, "checkpoint_journal_bytes", GAUGE, "Journal written since the newest checkpoint.",
        view->journal_since_checkpoint_bytes);
    begin(out, "checkpoint_stop_seconds", GAUGE,
          "How long services stood still for a checkpoint: 99 of 100 at most, and the longest.");
    sample_seconds(out, "checkpoint_stop_seconds", "of", "p99",
                   figures->counts.checkpoint_stop_ns_p99);
    sample_seconds(out, "checkpoint_stop_seconds", "of", "max",
                   figures->counts.checkpoint_stop_ns_max);
}

static void print_recovery(FILE *out, const struct figures *figures)
{
    const struct recovery_report *recovery = &figures->recovery;
    one_seconds(out, "recovery_seconds", GAUGE, "How long the start read the data directory.",
                figures->view.recovered_ns);
    one(out, "recovery_records", GAUGE, "Events that the start replayed.", recovery->records_count);
    one(out, "recovery_bytes", GAUGE, "Journal that the start replayed.", recovery->bytes_count);
    one(out, "recovery_from_block", GAUGE,
        "Block of the checkpoint that the start began with, 0 without one.",
        figures->recovered_from);
    one(out, "recovery_lost_blocks", GAUGE, "Blocks that the start gave up by --accept-loss.",
        recovery->lost_blocks_count);
}

static void print_store(FILE *out, const struct journal_store *store)
{
    one(out, "rocksdb_memtable_bytes", GAUGE, "Write buffers of the journal.",
        store->memtable_bytes);
    one(out, "rocksdb_memtables_waiting", GAUGE, "Full write buffers on their way to disk.",
        store->memtables_waiting);
    one(out, "rocksdb_files_bytes", GAUGE, "Table files of the journal.", store->files_bytes);
    one(out, "rocksdb_files_l0", GAUGE, "Table files in level 0.", store->files_l0);
    one(out, "rocksdb_flushes_running", GAUGE, "Flushes at work.", store->flushes);
    one(out, "rocksdb_compactions_running", GAUGE, "Compactions at work.", store->compactions);
    one(out, "rocksdb_compaction_waiting_bytes", GAUGE, "Bytes that wait for compaction.",
        store->compaction_bytes_waiting);
    one(out, "rocksdb_background_errors", GAUGE, "Errors of RocksDB's own threads.",
        store->background_errors);
    one(out, "rocksdb_write_delay_bytes_per_second", GAUGE,
        "Rate to which RocksDB holds writes back, 0 while it does not.",
        store->write_delay_bytes_per_s);
    one(out, "rocksdb_write_stopped", GAUGE, "1 while RocksDB takes no writes.",
        store->is_write_stopped);
}

/* ---- the engine's queues, sockets, threads --------------------------------------------------- */

static void print_engine(FILE *out, const struct figures *figures)
{
    const struct partition_view *view = &figures->view;
    one(out, "effects_waiting", GAUGE, "Effects that wait for their block to be durable.",
        view->effects_waiting);
    one(out, "replies_waiting", GAUGE, "Ends of sagas that nobody has taken yet.",
        view->replies_waiting);
    one(out, "timers", GAUGE, "Timers set, those of answered steps included.", view->timers);
    one(out, "late_results_total", COUNTER, "Results of plug-ins that nothing waited for.",
        figures->counts.late_results);
    if (figures->counts.threads_count > 0)
        begin(out, "thread_cpu_seconds_total", COUNTER, "CPU time of the engine's threads.");
    for (uint32_t i = 0; i < figures->counts.threads_count; i++) {
        /* The workers of one service have one name. */
        const struct partition_thread *thread = &figures->counts.threads[i];
        fputs("flyover_thread_cpu_seconds_total{", out);
        print_label(out, "thread", thread->name);
        fprintf(out, ",index=\"%u\"} %.9g\n", i, (double)thread->cpu_ns / NS_A_SECOND);
    }
}

static void print_errors(FILE *out, const struct figures_net *net)
{
    begin(out, "errors_total", COUNTER, "Requests answered by an error, by its status.");
    for (uint32_t i = 1; i < FIGURES_STATUSES; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s", status_name((enum status)i));
        for (char *at = name; *at != '\0'; at++)
            *at = (char)tolower((unsigned char)*at);
        sample(out, "errors_total", "status", name, net->errors[i]);
    }
}

static void print_connections(FILE *out, const struct figures_net *net)
{
    uint32_t known = net->clients + net->workers;
    begin(out, "connections", GAUGE, "Connections, by role.");
    sample(out, "connections", "role", "client", net->clients);
    sample(out, "connections", "role", "worker", net->workers);
    sample(out, "connections", "role", "unknown",
           net->connections > known ? net->connections - known : 0);
    one(out, "connections_accepted_total", COUNTER, "Connections accepted.", net->accepted);
    one(out, "connections_refused_total", COUNTER, "Connections cut since there was no room.",
        net->refused);
    one(out, "connections_closed_total", COUNTER, "Connections closed.", net->closed);
    one(out, "subscriptions", GAUGE, "Streams of ends of sagas.", net->subscriptions);
    one(out, "requests_open", GAUGE, "Requests that are not answered yet.", net->requests_open);
}

static void print_net(FILE *out, const struct figures_net *net)
{
    print_connections(out, net);
    one(out, "network_receive_bytes_total", COUNTER, "Bytes read from sockets.", net->bytes_in);
    one(out, "network_transmit_bytes_total", COUNTER, "Bytes written to sockets.", net->bytes_out);
    one(out, "network_output_bytes", GAUGE, "Memory of output that is on its way.", net->out_bytes);
    one(out, "network_starved_total", COUNTER,
        "Times there was input and no buffer to read it into.", net->starved);
    one(out, "frames_received_total", COUNTER, "Frames read.", net->frames_in);
    one(out, "messages_received_total", COUNTER, "Messages read.", net->messages_in);
    one(out, "messages_sent_total", COUNTER, "Messages written.", net->messages_out);
    print_errors(out, net);
    one(out, "handed_out_total", COUNTER, "Steps given to workers of remote services.",
        net->handed_out);
    one(out, "handed_out_again_total", COUNTER,
        "Of them, again: the worker before was gone or gave them back.", net->handed_out_again);
    one(out, "late_answers_total", COUNTER, "Answers of workers that nothing waited for.",
        net->late_results);
}

/* ---- edges ----------------------------------------------------------------------------------- */

static void each_edge(FILE *out, const struct figures_edges *edges, const char *name,
                      enum type type, const char *help,
                      uint64_t (*of)(const struct figures_edge *edge))
{
    if (edges->count > 0)
        begin(out, name, type, help);
    for (uint32_t i = 0; i < edges->count; i++) {
        const struct figures_edge *edge = &edges->handlers[i];
        fprintf(out, "flyover_%s{", name);
        print_label(out, "service", edge->service);
        fputc(',', out);
        print_label(out, "handler", edge->handler);
        fprintf(out, "} %" PRIu64 "\n", of(edge));
    }
}

static uint64_t calls_of(const struct figures_edge *edge)
{
    return edge->calls;
}

static uint64_t failed_of(const struct figures_edge *edge)
{
    return edge->failed;
}

static uint64_t retried_of(const struct figures_edge *edge)
{
    return edge->retried;
}

static uint64_t late_of(const struct figures_edge *edge)
{
    return edge->late;
}

static uint64_t out_of(const struct figures_edge *edge)
{
    return edge->in_flight;
}

static void print_edges(FILE *out, const struct figures_edges *edges)
{
    each_edge(out, edges, "edge_calls_total", COUNTER, "Steps given to edges, by handler.",
              calls_of);
    each_edge(out, edges, "edge_failures_total", COUNTER, "Of them, those that failed.", failed_of);
    each_edge(out, edges, "edge_retries_total", COUNTER,
              "Times that an edge asked the other side again by itself.", retried_of);
    each_edge(out, edges, "edge_late_answers_total", COUNTER,
              "Answers of edges that nothing waited for.", late_of);
    each_edge(out, edges, "edge_in_flight", GAUGE, "Steps that are with an edge.", out_of);
    one(out, "edge_messages_total", COUNTER, "Messages that came in from queues.", edges->messages);
    begin(out, "edge_messages_ended_total", COUNTER, "What became of them.");
    sample(out, "edge_messages_ended_total", "as", "settled", edges->settled);
    sample(out, "edge_messages_ended_total", "as", "refused", edges->refused);
    sample(out, "edge_messages_ended_total", "as", "given_up", edges->given_up);
    one(out, "edge_messages_started_total", COUNTER, "Sagas that messages have started.",
        edges->started);
    one(out, "edge_messages_repeated_total", COUNTER,
        "Messages that had come before, which changed nothing.", edges->repeated);
    one(out, "edge_messages_open", GAUGE, "Messages that are not settled yet.",
        edges->messages_open);
    one(out, "edge_ends_total", COUNTER, "Ends of sagas given to edges that pass them on.",
        edges->ends);
    one(out, "edge_ends_lost_total", COUNTER, "Ends of sagas that no edge had room for.",
        edges->ends_lost);
}

/* ---- the process ----------------------------------------------------------------------------- */

static uint64_t resident_bytes(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%*u %llu", &pages) != 1)
        pages = 0;
    fclose(file);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void print_build(FILE *out, const struct metrics_page *page)
{
    begin(out, "build_info", GAUGE, "Which program this is.");
    fputs("flyover_build_info{", out);
    print_label(out, "version", page->version);
    fputc(',', out);
    print_label(out, "commit", page->commit);
    fputc(',', out);
    print_label(out, "durability", page->durability);
    fputs("} 1\n", out);
}

static void print_process(FILE *out, const struct metrics_page *page)
{
    print_build(out, page);
    one(out, "ready", GAUGE, "1 while it serves, 0 while it recovers or stops.", page->is_ready);
    one(out, "recovery_blocks", GAUGE, "Blocks that the start has read.", page->recovered_blocks);
    one_seconds(out, "heartbeat_age_seconds", GAUGE, "Since the engine's thread turned last.",
                page->heartbeat_age_ns);
    one(out, "process_resident_memory_bytes", GAUGE, "Memory of the process.", resident_bytes());
    one_seconds(out, "process_cpu_seconds_total", COUNTER, "CPU time of the process.",
                clock_read_ns(CLOCK_PROCESS_CPUTIME_ID));
    if (page->directory != NULL)
        one(out, "rocksdb_wal_bytes", GAUGE, "Write-ahead logs of the journal on disk.",
            journal_wal_bytes(page->directory));
}

static void print_figures(FILE *out, const struct metrics_page *page)
{
    const struct figures *figures = page->figures;
    one_seconds(out, "figures_age_seconds", GAUGE,
                "How old all that follows is: more than a second where the engine stands still.",
                page->figures_age_ns);
    print_totals(out, &figures->totals);
    print_live(out, figures);
    print_room(out, &figures->room);
    print_services(out, figures);
    print_journal(out, figures);
    print_checkpoints(out, figures);
    print_recovery(out, figures);
    if (figures->view.store.is_known)
        print_store(out, &figures->view.store);
    print_engine(out, figures);
    if (figures->edges.is_there)
        print_edges(out, &figures->edges);
    if (figures->net.is_there)
        print_net(out, &figures->net);
}

char *metrics_text(const struct metrics_page *page, size_t *ret_bytes)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, ret_bytes);
    if (out == NULL)
        return NULL;
    print_process(out, page);
    if (page->figures != NULL)
        print_figures(out, page);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}
