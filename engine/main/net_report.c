#include "engine/main/net_report.h"

#include <inttypes.h>
#include <stdio.h>

#include "engine/main/progress.h"
#include "engine/main/report.h"

/* A four-step saga that is alone must wait for so many syncs at most. */
#define SYNCS_A_SAGA_MAX 6

/* ---- figures --------------------------------------------------------------------------------- */

static double a_step(const struct net_point *point, uint64_t amount)
{
    return point->steps == 0 ? 0 : (double)amount / (double)point->steps;
}

static uint64_t ended(const struct net_load_counts *counts)
{
    return counts->succeeded + counts->compensated + counts->failed + counts->stuck;
}

static double a_saga(const struct net_point *point, uint64_t amount)
{
    uint64_t sagas = ended(&point->counts);
    return sagas == 0 ? 0 : (double)amount / (double)sagas;
}

double net_report_seconds(const struct net_point *point)
{
    double seconds = (double)(point->counts.ended_ns - point->counts.started_ns) / 1e9;
    return seconds > 0 ? seconds : 1e-9;
}

double net_report_sagas_per_s(const struct net_point *point)
{
    return (double)ended(&point->counts) / net_report_seconds(point);
}

static double steps_per_s(const struct net_point *point)
{
    return (double)point->steps / net_report_seconds(point);
}

static double quantile_ms(const struct net_point *point, double quantile)
{
    return (double)histogram_quantile(&point->counts.latency_ns, quantile) / 1e6;
}

static double syncs_a_saga(const struct net_report *report)
{
    double sync_ns = (double)histogram_quantile(&report->sync_ns, 0.5);
    double saga_ns = (double)histogram_quantile(&report->points[0].counts.latency_ns, 0.5);
    return sync_ns > 0 ? saga_ns / sync_ns : 0;
}

bool net_report_is_balanced(const struct net_report *report)
{
    for (uint32_t i = 0; i < report->laws_count; i++)
        if (report->laws[i].engine != report->laws[i].here)
            return false;
    return true;
}

/* ---- for people ------------------------------------------------------------------------------ */

static void print_point(const struct net_report *report, const struct net_point *point)
{
    char a[32], b[32], c[32];
    const struct net_load_counts *counts = &point->counts;
    printf("%s steps/s, %s sagas/s, %s, durability %s\n",
           progress_number(a, (uint64_t)steps_per_s(point)),
           progress_number(b, (uint64_t)net_report_sagas_per_s(point)), report->reached,
           report->durability);
    if (point->rate_per_s > 0)
        printf("  open      %s starts a second, latency from when each was due\n",
               progress_number(a, (uint64_t)point->rate_per_s));
    printf("  run       %s sagas, %s steps in %.2f s, %s times told BUSY\n",
           progress_number(a, ended(counts)), progress_number(b, point->steps),
           net_report_seconds(point), progress_number(c, counts->busy));
    printf("  latency   of a whole saga: p50 %.3f ms, p90 %.3f, p99 %.3f, p99.9 %.3f, max %.3f\n",
           quantile_ms(point, 0.5), quantile_ms(point, 0.9), quantile_ms(point, 0.99),
           quantile_ms(point, 0.999), (double)counts->latency_ns.value_max / 1e6);
    if (counts->wire_bytes_out > 0)
        printf("  wire      %.0f bytes a saga to the engine, %.0f back\n",
               a_saga(point, counts->wire_bytes_out), a_saga(point, counts->wire_bytes_in));
    printf("  cpu       %.0f ns a step of the load", a_step(point, counts->cpu_ns));
    if (point->engine.cpu_ns > 0)
        printf(", %.0f of the engine:", a_step(point, point->engine.cpu_ns));
    for (uint32_t i = 0; i < point->engine.threads_count; i++)
        if (a_step(point, point->engine.threads[i].cpu_ns) >= 1)
            printf(" %s %.0f", point->engine.threads[i].name,
                   a_step(point, point->engine.threads[i].cpu_ns));
    printf("\n");
    if (point->engine.rss_bytes_max > 0)
        printf("  memory    %s bytes of the engine at the most\n",
               progress_number(a, point->engine.rss_bytes_max));
}

static void print_curve(const struct net_report *report)
{
    char rate[32];
    printf("  curve     %8s %12s %10s %10s %10s %10s\n", "load", "sagas/s", "p50 ms", "p99 ms",
           "p99.9 ms", "max ms");
    for (uint32_t i = 1; i < report->points_count; i++) {
        const struct net_point *point = &report->points[i];
        printf("            %8s %12s %10.3f %10.3f %10.3f %10.3f\n", point->name,
               progress_number(rate, (uint64_t)net_report_sagas_per_s(point)),
               quantile_ms(point, 0.5), quantile_ms(point, 0.99), quantile_ms(point, 0.999),
               (double)point->counts.latency_ns.value_max / 1e6);
    }
}

static void print_idle(const struct net_report *report)
{
    char a[32];
    printf("  idle      %u connections held open, %u lost", report->idle, report->idle_lost);
    if (report->engine_rss_idle_bytes > 0)
        printf("; the engine took %s bytes with them before the load",
               progress_number(a, report->engine_rss_idle_bytes));
    printf("\n");
}

static void print_syncs(const struct net_report *report)
{
    double ratio = syncs_a_saga(report);
    printf("  disk      fdatasync of 512 bytes, beside it: p50 %.3f ms, p99 %.3f; a saga takes "
           "%.1f of them at p50 (%s %d)\n",
           (double)histogram_quantile(&report->sync_ns, 0.5) / 1e6,
           (double)histogram_quantile(&report->sync_ns, 0.99) / 1e6, ratio,
           ratio <= SYNCS_A_SAGA_MAX ? "at most" : "MORE THAN", SYNCS_A_SAGA_MAX);
}

static void print_laws(const struct net_report *report)
{
    char a[32], b[32];
    printf("  audit     %s\n", net_report_is_balanced(report) ? "balanced" : "DOES NOT BALANCE");
    for (uint32_t i = 0; i < report->laws_count; i++) {
        const struct net_law *law = &report->laws[i];
        bool holds = law->engine == law->here;
        printf("            %s %s: %s %s %s\n", holds ? "ok " : "BAD", law->text,
               progress_number(a, law->engine), holds ? "=" : "is not",
               progress_number(b, law->here));
    }
}

void net_report_print(const struct net_report *report)
{
    print_point(report, &report->points[0]);
    printf("  load      %u connections, %u sagas under way at most, %u starts a flush, steps "
           "served by %s",
           report->connections, report->outstanding, report->batch,
           report->workers == 0 ? "the engine's plug-ins" : "the load as a worker");
    if (report->workers > 0)
        printf(" (%u connections)", report->workers);
    printf(", shape %s, seed %" PRIu64 "\n", report->shape, report->seed);
    if (report->points_count > 1)
        print_curve(report);
    if (report->idle > 0)
        print_idle(report);
    if (report->sync_ns.values_count > 0)
        print_syncs(report);
    print_laws(report);
    printf("  machine   %s\n  commit    %s\n", report_machine(), report_commit());
}

/* ---- for machines ---------------------------------------------------------------------------- */

static json_t *threads_json(const struct net_point *point)
{
    json_t *threads = json_object();
    for (uint32_t i = 0; i < point->engine.threads_count; i++)
        json_object_set_new(threads, point->engine.threads[i].name,
                            json_real(a_step(point, point->engine.threads[i].cpu_ns)));
    return threads;
}

static json_t *point_json(const struct net_point *point)
{
    const struct net_load_counts *counts = &point->counts;
    json_t *json = json_pack(
        "{s:s, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "name", point->name,
        "rate_per_s", point->rate_per_s, "seconds", net_report_seconds(point), "steps_per_s",
        steps_per_s(point), "sagas_per_s", net_report_sagas_per_s(point), "sagas",
        (json_int_t)ended(counts), "steps", (json_int_t)point->steps, "succeeded",
        (json_int_t)counts->succeeded, "compensated", (json_int_t)counts->compensated, "failed",
        (json_int_t)counts->failed, "stuck", (json_int_t)counts->stuck, "busy",
        (json_int_t)counts->busy, "invocations", (json_int_t)counts->invocations);
    json_object_set_new(json, "latency_us", report_latency_json(&counts->latency_ns));
    json_object_set_new(json, "wire_bytes_a_saga_out",
                        json_real(a_saga(point, counts->wire_bytes_out)));
    json_object_set_new(json, "wire_bytes_a_saga_in",
                        json_real(a_saga(point, counts->wire_bytes_in)));
    json_object_set_new(json, "cpu_ns_per_step_load", json_real(a_step(point, counts->cpu_ns)));
    json_object_set_new(json, "cpu_ns_per_step_engine",
                        json_real(a_step(point, point->engine.cpu_ns)));
    json_object_set_new(json, "cpu_ns_per_step_by_thread", threads_json(point));
    json_object_set_new(json, "engine_rss_bytes_max",
                        json_integer((json_int_t)point->engine.rss_bytes_max));
    return json;
}

static json_t *laws_json(const struct net_report *report)
{
    json_t *laws = json_array();
    for (uint32_t i = 0; i < report->laws_count; i++)
        json_array_append_new(laws, json_pack("{s:s, s:I, s:I}", "law", report->laws[i].text,
                                              "engine", (json_int_t)report->laws[i].engine, "here",
                                              (json_int_t)report->laws[i].here));
    return json_pack("{s:b, s:o}", "balanced", (int)net_report_is_balanced(report), "laws", laws);
}

json_t *net_report_json(const struct net_report *report)
{
    json_t *points = json_array();
    for (uint32_t i = 0; i < report->points_count; i++)
        json_array_append_new(points, point_json(&report->points[i]));
    json_t *json = json_pack(
        "{s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:s, s:o, s:o, s:s, s:s}", "reached",
        report->reached, "durability", report->durability, "connections", (int)report->connections,
        "outstanding", (int)report->outstanding, "batch", (int)report->batch, "workers",
        (int)report->workers, "idle", (int)report->idle, "idle_lost", (int)report->idle_lost,
        "shape", report->shape, "points", points, "audit", laws_json(report), "machine",
        report_machine(), "commit", report_commit());
    json_object_set_new(json, "engine_rss_idle_bytes",
                        json_integer((json_int_t)report->engine_rss_idle_bytes));
    if (report->sync_ns.values_count > 0) {
        json_object_set_new(json, "sync_us_p50",
                            json_real((double)histogram_quantile(&report->sync_ns, 0.5) / 1e3));
        json_object_set_new(json, "syncs_a_saga", json_real(syncs_a_saga(report)));
    }
    return json;
}
