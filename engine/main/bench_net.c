#include "engine/main/bench_net.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/cursor.h"
#include "engine/main/bench_directory.h"
#include "engine/main/command.h"
#include "engine/main/net_load.h"
#include "engine/main/net_plot.h"
#include "engine/main/net_report.h"
#include "engine/main/net_worker.h"
#include "engine/main/progress.h"
#include "engine/main/reach_remote.h"
#include "engine/main/report.h"
#include "engine/main/sync_meter.h"

#define COMMAND              "bench"
#define CONNECT_MS           30000u
#define CONNECTIONS_SPARE    8u
#define DEFINITION_BYTES_MAX (1u << 20)
#define SETTLE_NS_MAX        (UINT64_C(30) * 1000000000)
#define SYNCS_EACH           200u
#define CURVE_S              5 /* a point, where no duration is given */
#define ANSWER_MS_MAX        30000

struct totals {
    uint64_t started, succeeded, compensated, failed, stuck, steps, live;
};

struct bench_net {
    const struct bench_net_options *options;
    struct session_options session;
    char directory[BENCH_DIRECTORY_BYTES]; /* made here and removed at the end; "": the user's */
    struct net_engine engine;
    struct net_load *load;
    struct generator *generator;
    struct totals before;
    struct progress progress;
    struct net_report report;
    FILE *plot; /* NULL: none is asked for */
    const char *definition, *return_definition;
};

/* ---- what the engine counts ------------------------------------------------------------------ */

static uint64_t integer_at(const json_t *object, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(object, key));
}

static enum status ask_totals(struct bench_net *bench, struct totals *ret_totals,
                              struct problem *problem)
{
    struct reach reach = {.client = net_load_client(bench->load)};
    json_t *question = json_pack("{s:s}", "do", "counts"), *reply;
    bool refused;
    enum status status = reach_ask_remote(&reach, question, &reply, &refused, problem);
    json_decref(question);
    if (status != STATUS_OK)
        return status;
    const json_t *totals = json_object_get(reply, "totals");
    *ret_totals = (struct totals){
        .started = integer_at(totals, "started"),
        .succeeded = integer_at(totals, "succeeded"),
        .compensated = integer_at(totals, "compensated"),
        .failed = integer_at(totals, "failed") + integer_at(totals, "aborted"),
        .stuck = integer_at(totals, "stuck"),
        .steps = integer_at(totals, "steps"),
        .live = integer_at(reply, "live"),
    };
    json_decref(reply);
    return STATUS_OK;
}

/* Steps for whose end no saga waits may still be at work when the last one has ended. */
static enum status settle(struct bench_net *bench, struct totals *ret_totals,
                          struct problem *problem)
{
    uint64_t until_ns = clock_now_ns() + SETTLE_NS_MAX;
    enum status status;
    do
        status = ask_totals(bench, ret_totals, problem);
    while (status == STATUS_OK && ret_totals->live > bench->before.live && session_signal() == 0 &&
           clock_now_ns() < until_ns);
    return status;
}

/* ---- definitions ----------------------------------------------------------------------------- */

/* The definition's name is the file's up to the first dot. */
static const char *name_of(const char *path, char *name, size_t capacity)
{
    const char *slash = strrchr(path, '/');
    const char *file = slash == NULL ? path : slash + 1;
    snprintf(name, capacity, "%.*s", (int)strcspn(file, "."), file);
    return name;
}

/* Each service of the list that DEFINED gives is one whose steps would wait for ever. */
static enum status check_services(const struct flyover_answer_message *answer,
                                  struct problem *problem)
{
    struct flyover_cursor cursor = {answer->output,
                                    (const uint8_t *)answer->output + answer->output_bytes};
    uint32_t count;
    struct flyover_bytes service;
    if (answer->output_bytes == 0 || !flyover_read_array(&cursor, &count) || count == 0 ||
        !flyover_read_str(&cursor, &service))
        return STATUS_OK;
    return problem_set(problem, STATUS_NOT_FOUND,
                       "nobody serves '%.*s' at that engine: give it the plug-ins of the orders, "
                       "or serve the steps from here with --workers-remote",
                       (int)service.count, (const char *)service.at);
}

static enum status define_text(struct bench_net *bench, const char *name, const char *text,
                               struct problem *problem)
{
    struct flyover_client *client = net_load_client(bench->load);
    struct flyover_answer_message answer;
    enum flyover_status status = flyover_send_define(client, name, text, 0);
    if (status != FLYOVER_OK)
        return problem_set(problem, reach_status(status), "%s", flyover_problem(client));
    do
        if (!flyover_next(client, &answer, ANSWER_MS_MAX))
            return problem_set(problem, STATUS_IO, "the engine does not answer a DEFINE");
    while (answer.kind != FLYOVER_DEFINED && answer.kind != FLYOVER_REFUSED_REQUEST);
    if (answer.kind == FLYOVER_REFUSED_REQUEST)
        return problem_set(problem, reach_status(answer.status), "%s", answer.problem);
    return check_services(&answer, problem);
}

static enum status define_file(struct bench_net *bench, const char *path, struct problem *problem)
{
    char *text, name[64];
    size_t bytes;
    enum status status = command_read_file(path, DEFINITION_BYTES_MAX, &text, &bytes, problem);
    if (status != STATUS_OK)
        return status;
    status = define_text(bench, name_of(path, name, sizeof name), text, problem);
    free(text);
    return status;
}

static const char *shipped(const char *file, char path[4096])
{
    snprintf(path, 4096, "%s/%s", command_plugin_directory(), file);
    return path;
}

static bool uses_orders(const struct bench_net_options *options)
{
    return options->definition == NULL && options->net.workers == 0;
}

static enum status define(struct bench_net *bench, struct problem *problem)
{
    char path[4096];
    const struct bench_net_options *options = bench->options;
    if (options->net.workers > 0)
        return define_text(bench, NET_WORKER_DEFINITION, net_worker_text, problem);
    if (options->definition != NULL)
        return define_file(bench, options->definition, problem);
    enum status status = define_file(bench, shipped("order.asl.json", path), problem);
    if (status == STATUS_OK && options->shape == GENERATOR_RETAIL)
        status = define_file(bench, shipped("return.asl.json", path), problem);
    return status;
}

static void name_definitions(struct bench_net *bench)
{
    static char name[64];
    const struct bench_net_options *options = bench->options;
    bench->definition = bench->return_definition = NET_WORKER_DEFINITION;
    if (options->definition != NULL) {
        bench->definition = name_of(options->definition, name, sizeof name);
        bench->return_definition = bench->definition;
    } else if (options->net.workers == 0) {
        bench->definition = "order";
        bench->return_definition = "return";
    }
}

/* ---- a run ----------------------------------------------------------------------------------- */

static void look(void *context)
{
    struct bench_net *bench = context;
    net_engine_listen(&bench->engine);
    if (progress_is_due(&bench->progress))
        progress_print(&bench->progress, bench->report.points_count,
                       net_load_under_way(bench->load), 0, 0);
}

/* What was used between two looks. */
static void subtract(struct net_engine_usage *usage, const struct net_engine_usage *before)
{
    usage->cpu_ns -= before->cpu_ns;
    for (uint32_t i = 0; i < usage->threads_count; i++)
        for (uint32_t j = 0; j < before->threads_count; j++)
            if (strcmp(usage->threads[i].name, before->threads[j].name) == 0)
                usage->threads[i].cpu_ns -= before->threads[j].cpu_ns;
}

static enum status run_point(struct bench_net *bench, const char *name,
                             const struct net_load_run *run, struct problem *problem)
{
    struct net_point *point = &bench->report.points[bench->report.points_count];
    struct net_engine_usage engine_before;
    struct totals before, after;
    enum status status = settle(bench, &before, problem);
    if (status != STATUS_OK)
        return status;
    point->name = name;
    point->rate_per_s = run->rate_per_s;
    net_engine_measure(&bench->engine, &engine_before);
    status = net_load_run(bench->load, run, &point->counts, problem);
    net_engine_measure(&bench->engine, &point->engine);
    subtract(&point->engine, &engine_before);
    if (status == STATUS_OK)
        status = settle(bench, &after, problem);
    if (status != STATUS_OK)
        return status;
    point->steps = after.steps - before.steps;
    bench->report.points_count++;
    return STATUS_OK;
}

static enum status run_curve(struct bench_net *bench, struct problem *problem)
{
    static const struct {
        const char *name;
        double part;
    } parts[] = {{"25 %", 0.25}, {"50 %", 0.5}, {"75 %", 0.75}, {"90 %", 0.9}};
    double seconds = bench->options->duration_s > 0 ? bench->options->duration_s : CURVE_S;
    double most_per_s = net_report_sagas_per_s(&bench->report.points[0]);
    enum status status = STATUS_OK;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && session_signal() == 0; i++) {
        struct net_load_run run = {.rate_per_s = most_per_s * parts[i].part, .duration_s = seconds};
        if (status == STATUS_OK)
            status = run_point(bench, parts[i].name, &run, problem);
    }
    return status;
}

/* One saga at a time waits for the disk, so that is measured too, before and behind. */
static enum status measure_syncs(struct bench_net *bench, struct problem *problem)
{
    const struct bench_net_options *options = bench->options;
    if (options->net.outstanding != 1 || options->net.spawn == NET_SPAWN_NONE ||
        bench->session.durability != DURABILITY_SYNC)
        return STATUS_OK;
    return sync_meter_add(bench->session.directory, SYNCS_EACH, &bench->report.sync_ns, problem);
}

static enum status run_all(struct bench_net *bench, struct problem *problem)
{
    const struct bench_net_options *options = bench->options;
    const struct net_load_run run = {
        .rate_per_s = options->net.rate_per_s,
        .sagas_max = options->duration_s > 0 ? 0 : options->sagas_max,
        .duration_s = options->duration_s,
    };
    enum status status = measure_syncs(bench, problem);
    if (status == STATUS_OK)
        status = run_point(bench, options->net.rate_per_s > 0 ? "open" : "closed", &run, problem);
    if (status == STATUS_OK)
        status = measure_syncs(bench, problem);
    if (status == STATUS_OK && options->net.is_curve)
        status = run_curve(bench, problem);
    return status;
}

/* ---- the audit ------------------------------------------------------------------------------- */

static void add_law(struct net_report *report, const char *text, uint64_t engine, uint64_t here)
{
    report->laws[report->laws_count++] = (struct net_law){text, engine, here};
}

static enum status audit(struct bench_net *bench, struct problem *problem)
{
    struct net_report *report = &bench->report;
    struct totals here = {0}, now;
    uint64_t invocations = 0;
    enum status status = settle(bench, &now, problem);
    if (status != STATUS_OK)
        return status;
    for (uint32_t i = 0; i < report->points_count; i++) {
        const struct net_load_counts *counts = &report->points[i].counts;
        here.succeeded += counts->succeeded;
        here.compensated += counts->compensated;
        here.failed += counts->failed;
        here.stuck += counts->stuck;
        invocations += counts->invocations;
    }
    const struct totals *before = &bench->before;
    add_law(report, "sagas started = ends that came", now.started - before->started,
            here.succeeded + here.compensated + here.failed + here.stuck);
    add_law(report, "succeeded", now.succeeded - before->succeeded, here.succeeded);
    add_law(report, "compensated", now.compensated - before->compensated, here.compensated);
    add_law(report, "failed", now.failed - before->failed, here.failed);
    add_law(report, "stuck", now.stuck - before->stuck, here.stuck);
    if (bench->options->net.workers > 0)
        add_law(report, "steps = steps served", now.steps - before->steps, invocations);
    return STATUS_OK;
}

/* ---- start and end --------------------------------------------------------------------------- */

/* Both programs have a file a connection. */
static void raise_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static enum status start_engine(struct bench_net *bench, struct problem *problem)
{
    char path[4096];
    const struct net_options *net = &bench->options->net;
    enum status status = STATUS_OK;
    if (bench->session.directory == NULL &&
        (bench->session.durability != DURABILITY_MEMORY || net->spawn == NET_SPAWN_UNIX)) {
        status = bench_directory_make(bench->directory, problem);
        bench->session.directory = bench->directory;
    }
    if (status != STATUS_OK)
        return status;
    uint32_t connections = net->connections + net->workers + net->idle + CONNECTIONS_SPARE;
    return net_engine_start(&bench->engine, &bench->session, net->spawn, connections,
                            uses_orders(bench->options) ? shipped("order.asl.json", path)
                                                        : bench->options->definition,
                            problem);
}

static enum status open_load(struct bench_net *bench, struct problem *problem)
{
    const struct net_options *net = &bench->options->net;
    name_definitions(bench);
    enum status status = generator_open(bench->options->shape, bench->options->seed,
                                        bench->options->fail_rate, 0, &bench->generator);
    if (status != STATUS_OK)
        return problem_set(problem, status, "out of memory");
    const struct net_load_options options = {
        .client = {.address = net->spawn != NET_SPAWN_NONE ? bench->engine.address : net->address,
                   .token = getenv("FLYOVER_TOKEN"),
                   .name = "flyover bench",
                   .connect_ms = CONNECT_MS},
        .definition = bench->definition,
        .return_definition = bench->return_definition,
        .connections = net->connections,
        .outstanding = net->outstanding,
        .batch = net->batch,
        .workers = net->workers,
        .idle = net->idle,
        .generator = bench->generator,
        .on_look = look,
        .context = bench,
    };
    return net_load_open(&options, &bench->load, problem);
}

static void describe(struct bench_net *bench)
{
    const struct net_options *net = &bench->options->net;
    struct net_report *report = &bench->report;
    bool is_unix = net->spawn == NET_SPAWN_UNIX ||
                   (net->address != NULL && strncmp(net->address, "unix:", 5) == 0);
    report->reached = is_unix                       ? "over a unix socket"
                      : net->spawn == NET_SPAWN_TCP ? "over TCP on loopback"
                                                    : "over TCP";
    snprintf(report->durability, sizeof report->durability, "%s",
             flyover_durability(net_load_client(bench->load)));
    report->connections = net->connections;
    report->outstanding = net_load_outstanding(bench->load);
    report->batch = net->batch;
    report->workers = net->workers;
    report->idle = net->idle;
    report->shape = bench->options->shape == GENERATOR_RETAIL ? "retail" : "small";
    report->seed = bench->options->seed;
    struct net_engine_usage usage;
    net_engine_measure(&bench->engine, &usage);
    report->engine_rss_idle_bytes = net->idle > 0 ? usage.rss_bytes : 0;
}

/* Before the run: what cannot be written is not to be found out behind it. */
static enum status open_plot(struct bench_net *bench, struct problem *problem)
{
    const char *path = bench->options->plot_path;
    if (path == NULL || (bench->plot = fopen(path, "we")) != NULL)
        return STATUS_OK;
    return problem_set(problem, STATUS_NO_PERMISSION, "%s cannot be written: %s", path,
                       strerror(errno));
}

/* Of a run that was stopped there is no curve. */
static enum status write_plot(struct bench_net *bench, struct problem *problem)
{
    if (bench->plot == NULL)
        return STATUS_OK;
    bool has_curve = bench->report.points_count > 1;
    if (has_curve)
        net_plot_write(&bench->report, bench->plot);
    else
        unlink(bench->options->plot_path);
    bool failed = ferror(bench->plot) != 0;
    failed |= fclose(bench->plot) != 0;
    return failed ? problem_set(problem, STATUS_IO, "%s could not be written",
                                bench->options->plot_path)
                  : STATUS_OK;
}

static enum status open_all(struct bench_net *bench, struct problem *problem)
{
    raise_files();
    enum status status = open_plot(bench, problem);
    if (status == STATUS_OK && bench->options->net.spawn != NET_SPAWN_NONE)
        status = start_engine(bench, problem);
    session_catch_signals();
    if (status == STATUS_OK)
        status = open_load(bench, problem);
    if (status == STATUS_OK)
        status = define(bench, problem);
    if (status == STATUS_OK)
        status = ask_totals(bench, &bench->before, problem);
    if (status != STATUS_OK)
        return status;
    generator_skip(bench->generator, bench->before.started);
    describe(bench);
    return STATUS_OK;
}

/* The engine is asked to stop whatever happened before. */
static enum status close_all(struct bench_net *bench, enum status status, struct problem *problem)
{
    struct problem stopping = {0};
    net_load_close(bench->load);
    generator_close(bench->generator);
    enum status stopped = net_engine_stop(&bench->engine, &stopping);
    bench_directory_remove(bench->directory);
    if (status == STATUS_OK && stopped != STATUS_OK) {
        *problem = stopping;
        status = stopped;
    }
    return status;
}

static int tell(const struct bench_net *bench)
{
    const struct net_report *report = &bench->report;
    if (bench->options->json)
        report_print_json(net_report_json(report), stdout);
    else
        net_report_print(report);
    if (session_signal() != 0)
        return 128 + session_signal();
    if (!net_report_is_balanced(report))
        return command_refuse(COMMAND, EXIT_AUDIT, "the audit does not balance");
    return EXIT_DONE;
}

int bench_net(const struct bench_net_options *options)
{
    static struct bench_net bench;
    struct problem problem = {0};
    bench.options = options;
    bench.session = options->session;
    progress_init(&bench.progress, "runs");
    enum status status = open_all(&bench, &problem);
    if (status == STATUS_OK)
        status = run_all(&bench, &problem);
    if (status == STATUS_OK)
        status = audit(&bench, &problem);
    bench.report.idle_lost = bench.load == NULL ? 0 : net_load_idle_lost(bench.load);
    progress_end(&bench.progress);
    struct problem unwritten = {0};
    enum status written = write_plot(&bench, &unwritten);
    status = close_all(&bench, status, &problem);
    if (status == STATUS_OK && written != STATUS_OK) {
        problem = unwritten;
        status = written;
    }
    return status == STATUS_OK ? tell(&bench) : command_fail(COMMAND, &problem);
}
