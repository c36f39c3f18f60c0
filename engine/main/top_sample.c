#include "engine/main/top_sample.h"

#include <stdio.h>
#include <string.h>

/* ---- reading --------------------------------------------------------------------------------- */

static uint64_t integer(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value < 0 ? 0 : (uint64_t)value;
}

static void text(const json_t *object, const char *key, char ret_text[TOP_TEXT_BYTES])
{
    const char *value = json_string_value(json_object_get(object, key));
    snprintf(ret_text, TOP_TEXT_BYTES, "%s", value == NULL ? "" : value);
}

static void read_tally(const json_t *object, struct tally *ret_tally)
{
    const json_t *counts = json_object_get(object, "counts");
    ret_tally->sum = integer(object, "sum");
    for (uint32_t i = 0; i <= TALLY_BUCKETS; i++) {
        json_int_t count = json_integer_value(json_array_get(counts, i));
        ret_tally->counts[i] = count < 0 ? 0 : (uint64_t)count;
    }
}

static void read_sagas(const json_t *figures, struct top_sample *sample)
{
    const json_t *totals = json_object_get(figures, "totals");
    const json_t *live = json_object_get(figures, "live");
    sample->started = integer(totals, "started");
    sample->succeeded = integer(totals, "succeeded");
    sample->compensated = integer(totals, "compensated");
    sample->failed = integer(totals, "failed");
    sample->aborted = integer(totals, "aborted");
    sample->steps = integer(totals, "steps");
    sample->retries = integer(totals, "retries");
    sample->timeouts = integer(totals, "timeouts");
    sample->live = integer(live, "all");
    sample->live_max = integer(live, "max");
    sample->running = integer(live, "running");
    sample->sleeping = integer(live, "sleeping");
    sample->awaiting = integer(live, "awaiting");
    sample->compensating = integer(live, "compensating");
    sample->stuck = integer(live, "stuck");
    sample->ending = integer(live, "ending");
    read_tally(json_object_get(figures, "saga_ms"), &sample->saga_ms);
}

static void read_journal(const json_t *journal, struct top_sample *sample)
{
    const json_t *store = json_object_get(journal, "store");
    uint64_t open_block = integer(journal, "open_block");
    uint64_t durable_block = integer(journal, "durable_block");
    sample->blocks = integer(journal, "blocks");
    sample->syncs = integer(journal, "syncs");
    sample->journal_bytes = integer(journal, "bytes");
    sample->stalls = integer(journal, "stalls");
    sample->lag_blocks = open_block > durable_block ? open_block - durable_block - 1 : 0;
    read_tally(json_object_get(journal, "append_us"), &sample->append_us);
    sample->has_store = store != NULL;
    sample->memtable_bytes = integer(store, "memtable_bytes");
    sample->files_bytes = integer(store, "files_bytes");
    sample->files_l0 = integer(store, "files_l0");
}

static void read_checkpoint(const json_t *checkpoint, struct top_sample *sample)
{
    sample->checkpoints = integer(checkpoint, "made");
    sample->checkpoint_block = integer(checkpoint, "block");
    sample->since_checkpoint_bytes = integer(checkpoint, "journal_since_bytes");
    sample->checkpoint_stop_ns_max = integer(checkpoint, "stop_ns_max");
    sample->checkpoint_age_ms =
        json_object_get(checkpoint, "age_ms") == NULL ? -1 : (int64_t)integer(checkpoint, "age_ms");
}

static void read_net(const json_t *net, struct top_sample *sample)
{
    json_t *errors = json_object_get(net, "errors");
    const char *name;
    json_t *count;
    sample->has_net = net != NULL;
    sample->connections = integer(net, "connections");
    sample->clients = integer(net, "clients");
    sample->workers = integer(net, "workers");
    sample->requests_open = integer(net, "requests_open");
    sample->messages_in = integer(net, "messages_in");
    sample->messages_out = integer(net, "messages_out");
    sample->handed_out_again = integer(net, "handed_out_again");
    sample->late_results = integer(net, "late_results");
    sample->busy = integer(errors, "BUSY");
    json_object_foreach(errors, name, count) sample->errors += (uint64_t)json_integer_value(count);
}

static void read_services(const json_t *rows, struct top_sample *sample)
{
    size_t index;
    const json_t *row;
    sample->services_all = (uint32_t)json_array_size(rows);
    json_array_foreach(rows, index, row)
    {
        if (sample->services_count == TOP_SERVICES_MAX)
            return;
        struct top_service *service = &sample->services[sample->services_count++];
        text(row, "service", service->name);
        service->is_remote = json_is_true(json_object_get(row, "is_remote"));
        service->workers = integer(row, service->is_remote ? "workers" : "threads");
        service->credit = integer(row, "credit");
        service->waiting = integer(row, "waiting");
        service->in_flight = integer(row, "in_flight");
        service->answered = integer(row, "answered");
    }
}

static void read_threads(const json_t *rows, struct top_sample *sample)
{
    size_t index;
    const json_t *row;
    json_array_foreach(rows, index, row)
    {
        if (sample->threads_count == TOP_THREADS_MAX)
            return;
        struct top_thread *thread = &sample->threads[sample->threads_count++];
        text(row, "thread", thread->name);
        thread->cpu_ns = integer(row, "cpu_ns");
    }
}

bool top_sample_read(const json_t *figures, struct top_sample *ret_sample)
{
    const json_t *room = json_object_get(figures, "room");
    *ret_sample = (struct top_sample){0};
    if (json_object_get(figures, "totals") == NULL || integer(figures, "taken_ns") == 0)
        return false;
    ret_sample->taken_ns = integer(figures, "taken_ns");
    ret_sample->taken_ms = (int64_t)integer(figures, "taken_ms");
    ret_sample->payload_bytes = integer(room, "payload_bytes");
    ret_sample->payload_bytes_max = integer(room, "payload_bytes_max");
    ret_sample->names = integer(room, "names");
    ret_sample->names_max = integer(room, "names_max");
    read_sagas(figures, ret_sample);
    read_journal(json_object_get(figures, "journal"), ret_sample);
    read_checkpoint(json_object_get(figures, "checkpoint"), ret_sample);
    read_net(json_object_get(figures, "net"), ret_sample);
    read_services(json_object_get(figures, "services"), ret_sample);
    read_threads(json_object_get(figures, "threads"), ret_sample);
    return true;
}

void top_sample_read_stuck(const json_t *list, struct top_sample *sample)
{
    size_t index;
    const json_t *row;
    sample->stuck_count = 0;
    json_array_foreach(json_object_get(list, "sagas"), index, row)
    {
        if (sample->stuck_count == TOP_STUCK_MAX)
            return;
        struct top_stuck *stuck = &sample->stuck_sagas[sample->stuck_count++];
        stuck->saga_id = integer(row, "saga");
        text(row, "definition", stuck->definition);
        text(row, "at", stuck->at);
        text(row, "error", stuck->error);
        stuck->started_ms = (int64_t)integer(row, "started_ms");
    }
}

/* ---- between two ----------------------------------------------------------------------------- */

static void subtract(const struct tally *before, const struct tally *after, struct tally *ret_tally)
{
    ret_tally->sum = after->sum - before->sum;
    for (uint32_t i = 0; i <= TALLY_BUCKETS; i++)
        ret_tally->counts[i] = after->counts[i] - before->counts[i];
}

/* As if the values of a bucket lay evenly in it; 0 where there are none. */
static double quantile(const struct tally *tally, double part)
{
    uint64_t count = 0, seen = 0;
    for (uint32_t i = 0; i <= TALLY_BUCKETS; i++)
        count += tally->counts[i];
    double wanted = part * (double)count;
    for (uint32_t i = 0; i < TALLY_BUCKETS && count > 0; i++) {
        double low = i == 0 ? 0 : (double)tally_limit(i - 1);
        double high = (double)tally_limit(i);
        if (tally->counts[i] > 0 && (double)(seen + tally->counts[i]) >= wanted)
            return low + (high - low) * (wanted - (double)seen) / (double)tally->counts[i];
        seen += tally->counts[i];
    }
    return count == 0 ? 0 : (double)tally_limit(TALLY_BUCKETS - 1);
}

/* Counters that only grow while an engine runs; a smaller one is another engine's. */
static bool is_same_engine(const struct top_sample *before, const struct top_sample *after)
{
    return before->taken_ns > 0 && after->taken_ns > before->taken_ns &&
           after->syncs >= before->syncs && after->journal_bytes >= before->journal_bytes &&
           after->steps >= before->steps && after->messages_in >= before->messages_in &&
           after->saga_ms.sum >= before->saga_ms.sum;
}

static uint64_t ended(const struct top_sample *sample)
{
    return sample->succeeded + sample->compensated + sample->failed + sample->aborted;
}

static void rate_services(const struct top_sample *before, const struct top_sample *after,
                          double seconds, struct top_rates *rates)
{
    for (uint32_t i = 0; i < after->services_count; i++)
        for (uint32_t j = 0; j < before->services_count; j++)
            if (strcmp(after->services[i].name, before->services[j].name) == 0 &&
                after->services[i].answered >= before->services[j].answered)
                rates->answers[i] =
                    (double)(after->services[i].answered - before->services[j].answered) / seconds;
}

/* Threads stand in the order in which they were started. */
static void rate_threads(const struct top_sample *before, const struct top_sample *after,
                         double seconds, struct top_rates *rates)
{
    for (uint32_t i = 0; i < after->threads_count && i < before->threads_count; i++)
        if (after->threads[i].cpu_ns >= before->threads[i].cpu_ns)
            rates->cpu_percent[i] =
                (double)(after->threads[i].cpu_ns - before->threads[i].cpu_ns) / seconds / 1e7;
}

void top_rates_between(const struct top_sample *before, const struct top_sample *after,
                       struct top_rates *ret_rates)
{
    struct tally sagas, appends;
    *ret_rates = (struct top_rates){0};
    if (!is_same_engine(before, after))
        return;
    double seconds = (double)(after->taken_ns - before->taken_ns) / 1e9;
    subtract(&before->saga_ms, &after->saga_ms, &sagas);
    subtract(&before->append_us, &after->append_us, &appends);
    *ret_rates = (struct top_rates){
        .is_known = true,
        .steps = (double)(after->steps - before->steps) / seconds,
        .sagas_started = (double)(after->started - before->started) / seconds,
        .sagas_ended = (double)(ended(after) - ended(before)) / seconds,
        .blocks = (double)(after->blocks - before->blocks) / seconds,
        .journal_bytes = (double)(after->journal_bytes - before->journal_bytes) / seconds,
        .messages_in = (double)(after->messages_in - before->messages_in) / seconds,
        .messages_out = (double)(after->messages_out - before->messages_out) / seconds,
        .errors = (double)(after->errors - before->errors) / seconds,
        .busy = (double)(after->busy - before->busy) / seconds,
        .saga_ms_p50 = quantile(&sagas, 0.5),
        .saga_ms_p99 = quantile(&sagas, 0.99),
        .append_us_p50 = quantile(&appends, 0.5),
        .append_us_p99 = quantile(&appends, 0.99),
    };
    rate_services(before, after, seconds, ret_rates);
    rate_threads(before, after, seconds, ret_rates);
}
