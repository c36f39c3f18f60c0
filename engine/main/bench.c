#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/main/bench_directory.h"
#include "engine/main/bench_net.h"
#include "engine/main/command.h"
#include "engine/main/generator.h"
#include "engine/main/limit.h"
#include "engine/main/progress.h"
#include "engine/main/report.h"
#include "engine/main/sampler.h"
#include "engine/main/session.h"

#define COMMAND           "bench"
#define SAGAS_DEFAULT     2000000u
#define IN_FLIGHT_DEFAULT 24576u
#define STARTS_PER_TURN   512u

struct bench_options {
    struct session_options session;
    struct sampler_options sampler;
    struct net_options net;
    uint64_t sagas_max;
    double duration_s;
    double fail_rate;
    uint32_t in_flight;
    uint64_t seed;
    enum generator_shape shape;
    const char *definition;
    bool no_limit;
    bool json;
};

struct bench {
    const struct bench_options *options;
    struct session session;
    struct progress progress;
    struct generator *generator;
    struct sampler *sampler; /* NULL: no samples are asked for */
    uint32_t plan, return_plan;
    uint64_t started_count;
    uint64_t started_ns;
    struct core_totals before; /* what the data directory held already */
    uint32_t own_settings_count;
    char directory[BENCH_DIRECTORY_BYTES]; /* made here and removed at the end; "": the user's */
};

/* All that is printed. */
struct figures {
    double seconds;
    double steps_per_s, sagas_per_s;
    uint64_t sagas, steps;
    double bytes_per_step;
    double cpu_ns_per_step;
    double cpu_other_ns_per_step; /* RocksDB's threads, and what else the process has */
    uint64_t rss_bytes;
    struct partition_counts counts;
    struct limit limit;
    bool has_limit;
};

enum {
    KEY_DURATION = 3000,
    KEY_FAIL_RATE,
    KEY_SEED,
    KEY_SHAPE,
    KEY_DEFINITION,
    KEY_NO_LIMIT,
    KEY_JSON
};

static const struct argp_option options_list[] = {
    {"sagas", 'n', "N", 0, "Run this many sagas (default 2000000)", 0},
    {"duration", KEY_DURATION, "SECONDS", 0, "Start sagas for this long, however many", 0},
    {"in-flight", 'i', "N", 0, "Sagas under way at once (default 24576)", 0},
    {"fail-rate", KEY_FAIL_RATE, "PART", 0,
     "Part of the orders (0 to 1) that fail and are compensated (default 0)", 0},
    {"shape", KEY_SHAPE, "small|retail", 0,
     "Orders of one to three lines (default), or as a real shop's", 0},
    {"definition", KEY_DEFINITION, "FILE", 0, "Run this definition, not the order saga", 0},
    {"seed", KEY_SEED, "N", 0, "Seed of the generator (default 1)", 0},
    {"no-limit", KEY_NO_LIMIT, NULL, 0, "Do not measure the journal alone afterwards", 0},
    {"json", KEY_JSON, NULL, 0, "Print the result as one JSON object", 0},
    {0},
};

static uint64_t parse_count(struct argp_state *state, const char *name, const char *text,
                            uint64_t max)
{
    char *end;
    errno = 0;
    unsigned long long count = strtoull(text, &end, 10);
    if (*text == '-' || end == text || *end != '\0' || errno != 0 || count == 0 || count > max)
        argp_error(state, "--%s takes a number from 1 to %" PRIu64, name, max);
    return count;
}

static double parse_part(struct argp_state *state, const char *name, const char *text, double max)
{
    char *end;
    double part = strtod(text, &end);
    if (end == text || *end != '\0' || !(part >= 0 && part <= max))
        argp_error(state, "--%s takes a number from 0 to %g", name, max);
    return part;
}

/* What of these options another process cannot do for this one. */
static void check_net(struct argp_state *state, const struct bench_options *options)
{
    const struct sampler_options *sampler = &options->sampler;
    if (!net_options_is_wanted(&options->net))
        return;
    if (sampler->series_path != NULL || sampler->sample_s > 0 ||
        (sampler->plot_path != NULL && !options->net.is_curve))
        argp_error(state, "over the network there is --plot of a --curve, and no samples");
    if (options->in_flight != IN_FLIGHT_DEFAULT)
        argp_error(state, "over the network --in-flight is --outstanding");
    if (options->net.address != NULL && options->session.directory != NULL)
        argp_error(state, "--net or --data, not both: the data is the engine's");
    if (options->net.workers > 0 && options->definition != NULL)
        argp_error(state, "--workers-remote serves a definition of its own: leave --definition");
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct bench_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->session;
        state->child_inputs[1] = &options->sampler;
        state->child_inputs[2] = &options->net;
        return 0;
    case 'n': options->sagas_max = parse_count(state, "sagas", text, UINT64_C(1) << 40); return 0;
    case 'i':
        options->in_flight = (uint32_t)parse_count(state, "in-flight", text, CORE_SAGAS_MAX);
        return 0;
    case KEY_DURATION: options->duration_s = parse_part(state, "duration", text, 1e6); return 0;
    case KEY_FAIL_RATE: options->fail_rate = parse_part(state, "fail-rate", text, 1); return 0;
    case KEY_SEED: options->seed = parse_count(state, "seed", text, UINT64_MAX); return 0;
    case KEY_SHAPE:
        if (strcmp(text, "small") != 0 && strcmp(text, "retail") != 0)
            argp_error(state, "--shape takes small or retail");
        options->shape = strcmp(text, "retail") == 0 ? GENERATOR_RETAIL : GENERATOR_SMALL;
        return 0;
    case KEY_DEFINITION: options->definition = text; return 0;
    case KEY_NO_LIMIT: options->no_limit = true; return 0;
    case KEY_JSON: options->json = true; return 0;
    case ARGP_KEY_ARG: argp_error(state, "'%s' is no option", text); return 0;
    case ARGP_KEY_SUCCESS:
        if (options->duration_s > 0 && options->sampler.sample_s > options->duration_s)
            argp_error(state, "--sample %g is longer than the run: --duration %g",
                       options->sampler.sample_s, options->duration_s);
        check_net(state, options);
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* The session's, which comes first, is put in when the program runs. */
static struct argp_child argp_children[] = {{0},
                                            {&sampler_argp, 0, "How the run went:", 2},
                                            {&net_options_argp, 0, "Over the network:", 3},
                                            {0}};

static const struct argp argp = {
    options_list,
    parse_option,
    NULL,
    "Load-tests the engine with generated orders, in this process, and prints what it reached. "
    "Steps are results applied of sagas that ended.\vWithout --data the journal is made in a new "
    "folder under $TMPDIR (or /var/tmp), on a disk, and removed at the end.\n\n"
    "Example: flyover bench --duration 10 --shape retail --fail-rate 0.02\n"
    "A long run, drawn: flyover bench --duration 3600 --plot run.svg --series run.csv\n"
    "From outside: flyover bench --spawn --curve --plot curve.svg",
    argp_children,
    NULL,
    NULL,
};

/* ---- the run ----------------------------------------------------------------------------------
 */

/* Once a turn. */
static void look(void *context)
{
    struct bench *bench = context;
    if (bench->sampler != NULL)
        sampler_look(bench->sampler);
    if (!progress_is_due(&bench->progress))
        return;
    const struct bench_options *options = bench->options;
    struct core_totals totals = core_totals(partition_state(bench->session.partition)->core);
    double seconds = (double)(clock_now_ns() - bench->started_ns) / 1e9;
    bench->progress.part_done = options->duration_s > 0
                                    ? seconds / options->duration_s
                                    : (double)totals.ended / (double)options->sagas_max;
    progress_print(&bench->progress, totals.ended, bench->session.outstanding_count,
                   totals.succeeded, totals.failed + totals.compensated + totals.stuck);
}

static bool is_over(const struct bench *bench)
{
    const struct bench_options *options = bench->options;
    if (session_signal() != 0)
        return true;
    if (options->duration_s > 0)
        return (double)(clock_now_ns() - bench->started_ns) / 1e9 >= options->duration_s;
    return bench->started_count >= options->sagas_max;
}

/* Starts what there is room for, but not so many at once that results wait long. */
static enum status start_some(struct bench *bench, struct problem *problem)
{
    const struct bench_options *options = bench->options;
    for (uint32_t i = 0; i < STARTS_PER_TURN; i++) {
        if (bench->session.outstanding_count >= options->in_flight ||
            (options->duration_s <= 0 && bench->started_count >= options->sagas_max))
            return STATUS_OK;
        struct generator_order order = generator_next(bench->generator);
        enum status status =
            session_start(&bench->session, order.is_return ? bench->return_plan : bench->plan,
                          EVENT_NO_SOURCE, order.input);
        if (status == STATUS_BUSY)
            return session_check_room(&bench->session, problem);
        if (status != STATUS_OK)
            return status;
        bench->started_count++;
    }
    return STATUS_OK;
}

static enum status run(struct bench *bench, struct problem *problem)
{
    const struct session_options *session = &bench->options->session;
    if (bench->sampler != NULL)
        sampler_begin(bench->sampler, &bench->session,
                      session->durability == DURABILITY_MEMORY ? NULL : session->directory);
    bench->started_ns = clock_now_ns();
    enum status status = STATUS_OK;
    while (status == STATUS_OK && !is_over(bench)) {
        uint64_t started_before = bench->started_count;
        status = start_some(bench, problem);
        if (status == STATUS_OK)
            status = session_turn(&bench->session, bench->started_count == started_before, problem);
        look(bench);
    }
    if (status == STATUS_OK)
        status = session_drain(&bench->session, look, bench, problem);
    if (bench->sampler != NULL)
        sampler_end(bench->sampler);
    return status;
}

static enum status define(struct bench *bench, struct problem *problem)
{
    const char *file = bench->options->definition;
    enum status status = file != NULL ? session_define(&bench->session, file, &bench->plan, problem)
                                      : session_define_shipped(&bench->session, "order.asl.json",
                                                               &bench->plan, problem);
    bench->return_plan = bench->plan;
    if (status == STATUS_OK && file == NULL && bench->options->shape == GENERATOR_RETAIL)
        status = session_define_shipped(&bench->session, "return.asl.json", &bench->return_plan,
                                        problem);
    const struct plugin_path *plugins = &bench->options->session.plugins;
    uint32_t own_count = bench->own_settings_count;
    if (status == STATUS_OK)
        status = session_check_settings(&bench->session, plugins->settings + own_count,
                                        plugins->settings_count - own_count, problem);
    return status;
}

/* ---- what it reached ---------------------------------------------------------------------------
 */

static struct figures figure(const struct bench *bench, uint64_t cpu_ns, uint64_t ended_ns)
{
    const struct core_totals *before = &bench->before;
    const struct core_totals totals = core_totals(partition_state(bench->session.partition)->core);
    struct figures figures = {
        .seconds = (double)(ended_ns - bench->started_ns) / 1e9,
        .sagas = totals.ended - before->ended,
        .steps = totals.steps_ended - before->steps_ended,
        .counts = partition_counts(bench->session.partition),
    };
    double steps = figures.steps == 0 ? 1 : (double)figures.steps;
    figures.steps_per_s = (double)figures.steps / figures.seconds;
    figures.sagas_per_s = (double)figures.sagas / figures.seconds;
    figures.bytes_per_step = (double)figures.counts.journal_bytes / steps;
    figures.cpu_ns_per_step = (double)cpu_ns / steps;
    uint64_t known_ns = 0;
    for (uint32_t i = 0; i < figures.counts.threads_count; i++)
        known_ns += figures.counts.threads[i].cpu_ns;
    figures.cpu_other_ns_per_step = cpu_ns > known_ns ? (double)(cpu_ns - known_ns) / steps : 0;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    figures.rss_bytes = (uint64_t)usage.ru_maxrss * 1024;
    return figures;
}

/* The first thing that is nearly used up. */
static const char *find_bound(const struct figures *figures)
{
    double wall_ns = figures->seconds * 1e9;
    double engine_ns = (double)figures->counts.threads[0].cpu_ns;
    double all_ns = figures->cpu_ns_per_step * (double)figures->steps;
    double journal_ns = (double)figures->counts.journal_busy_ns;
    uint32_t cpus = figures->counts.cpus_count;
    if (engine_ns > 0.9 * wall_ns)
        return "the engine thread: it has used up its core";
    if (all_ns > 0.9 * wall_ns * cpus)
        return "the cores: all are used up";
    if (cpus > 1 && all_ns - engine_ns > 0.9 * wall_ns * (cpus - 1))
        return "the cores of journal and services: they are used up";
    if (journal_ns > 0.75 * wall_ns)
        return "the disk: the journal thread waits for its syncs";
    return "latency: more sagas in flight would go on top (--in-flight)";
}

static void measure_limit(const struct bench *bench, struct figures *figures)
{
    char directory[BENCH_DIRECTORY_BYTES];
    struct problem problem;
    const struct bench_options *options = bench->options;
    uint64_t bytes = figures->counts.journal_bytes;
    if (options->no_limit || options->session.durability == DURABILITY_MEMORY || bytes == 0 ||
        figures->counts.syncs == 0 || bench_directory_make(directory, &problem) != STATUS_OK)
        return;
    uint32_t block_bytes = (uint32_t)(bytes / figures->counts.syncs);
    figures->has_limit = limit_measure(directory, options->session.durability, bytes, block_bytes,
                                       &figures->limit, &problem) == STATUS_OK;
    bench_directory_remove(directory);
}

static void print_threads(const struct figures *figures)
{
    printf("  cpu       %.0f ns a step in all:", figures->cpu_ns_per_step);
    double steps = figures->steps == 0 ? 1 : (double)figures->steps;
    for (uint32_t i = 0; i < figures->counts.threads_count; i++)
        printf("%s %s %.0f", i == 0 ? "" : ",", figures->counts.threads[i].name,
               (double)figures->counts.threads[i].cpu_ns / steps);
    printf(", RocksDB and others %.0f\n", figures->cpu_other_ns_per_step);
}

static void print_table(const struct bench *bench, const struct figures *figures,
                        const struct report *report)
{
    char a[32], b[32], c[32], d[32];
    const struct histogram *latency = bench->session.latency_ns;
    const struct bench_options *options = bench->options;
    printf("%s steps/s, %s sagas/s, durability %s\n",
           progress_number(a, (uint64_t)figures->steps_per_s),
           progress_number(b, (uint64_t)figures->sagas_per_s),
           durability_name(options->session.durability));
    printf("  run       %s sagas, %s steps in %.2f s, %u in flight, shape %s, seed %" PRIu64 "\n",
           progress_number(a, figures->sagas), progress_number(b, figures->steps), figures->seconds,
           options->in_flight, options->shape == GENERATOR_RETAIL ? "retail" : "small",
           options->seed);
    printf("  latency   of a whole saga: p50 %.2f ms, p90 %.2f, p99 %.2f, p99.9 %.2f, max %.2f\n",
           (double)histogram_quantile(latency, 0.5) / 1e6,
           (double)histogram_quantile(latency, 0.9) / 1e6,
           (double)histogram_quantile(latency, 0.99) / 1e6,
           (double)histogram_quantile(latency, 0.999) / 1e6, (double)latency->value_max / 1e6);
    printf("  journal   %.1f bytes a step, %s bytes, %s syncs (%s a second)\n",
           figures->bytes_per_step, progress_number(a, figures->counts.journal_bytes),
           progress_number(b, figures->counts.syncs),
           progress_number(c, (uint64_t)((double)figures->counts.syncs / figures->seconds)));
    print_threads(figures);
    printf("  memory    %s bytes at the most\n", progress_number(d, figures->rss_bytes));
    if (figures->counts.checkpoints > 0)
        printf("  restart   %" PRIu64
               " checkpoints taken; services stood still for one %.1f ms (p99), "
               "%.1f ms at the longest\n",
               figures->counts.checkpoints, (double)figures->counts.checkpoint_stop_ns_p99 / 1e6,
               (double)figures->counts.checkpoint_stop_ns_max / 1e6);
    if (figures->has_limit)
        printf("  limit     the journal alone, same bytes and blocks: %.0f MB/s, this run %.0f "
               "MB/s, ratio %.2f\n",
               figures->limit.bytes_per_s / 1e6,
               (double)figures->counts.journal_bytes / figures->seconds / 1e6,
               (double)figures->counts.journal_bytes / figures->seconds /
                   figures->limit.bytes_per_s);
    if (bench->sampler != NULL)
        sampler_print(bench->sampler, stdout);
    printf("  bound by  %s\n", find_bound(figures));
    report_print(report, stdout);
    printf("  machine   %s\n  commit    %s\n", report_machine(), report_commit());
}

static json_t *threads_json(const struct figures *figures)
{
    json_t *threads = json_object();
    double steps = figures->steps == 0 ? 1 : (double)figures->steps;
    for (uint32_t i = 0; i < figures->counts.threads_count; i++)
        json_object_set_new(threads, figures->counts.threads[i].name,
                            json_real((double)figures->counts.threads[i].cpu_ns / steps));
    json_object_set_new(threads, "other", json_real(figures->cpu_other_ns_per_step));
    return threads;
}

static json_t *result_json(const struct bench *bench, const struct figures *figures,
                           const struct report *report)
{
    const struct bench_options *options = bench->options;
    const struct core_totals *totals = &report->totals;
    const struct core_totals *before = &bench->before;
    json_t *result = json_pack(
        "{s:I, s:I, s:f, s:f, s:f, s:s, s:f, s:I, s:f, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:o}",
        "sagas", (json_int_t)figures->sagas, "steps", (json_int_t)figures->steps, "seconds",
        figures->seconds, "steps_per_s", figures->steps_per_s, "sagas_per_s", figures->sagas_per_s,
        "durability", durability_name(options->session.durability), "bytes_per_step",
        figures->bytes_per_step, "syncs", (json_int_t)figures->counts.syncs, "cpu_ns_per_step",
        figures->cpu_ns_per_step, "cpu_ns_per_step_by_thread", threads_json(figures), "latency_us",
        report_latency_json(bench->session.latency_ns), "succeeded",
        (json_int_t)(totals->succeeded - before->succeeded), "compensated",
        (json_int_t)(totals->compensated - before->compensated), "failed",
        (json_int_t)(totals->failed - before->failed), "stuck",
        (json_int_t)(totals->stuck - before->stuck), "peak_rss_bytes",
        (json_int_t)figures->rss_bytes, "audit", report_audit_json(report));
    json_object_set_new(result, "in_flight", json_integer(options->in_flight));
    json_object_set_new(result, "shape",
                        json_string(options->shape == GENERATOR_RETAIL ? "retail" : "small"));
    json_object_set_new(result, "journal_bytes",
                        json_integer((json_int_t)figures->counts.journal_bytes));
    json_object_set_new(result, "checkpoints",
                        json_integer((json_int_t)figures->counts.checkpoints));
    json_object_set_new(result, "checkpoint_stop_ms_p99",
                        json_real((double)figures->counts.checkpoint_stop_ns_p99 / 1e6));
    json_object_set_new(result, "checkpoint_stop_ms_max",
                        json_real((double)figures->counts.checkpoint_stop_ns_max / 1e6));
    json_object_set_new(result, "bound_by", json_string(find_bound(figures)));
    if (figures->has_limit) {
        json_object_set_new(result, "limit_bytes_per_s", json_real(figures->limit.bytes_per_s));
        json_object_set_new(result, "ratio_to_limit",
                            json_real((double)figures->counts.journal_bytes / figures->seconds /
                                      figures->limit.bytes_per_s));
    }
    if (bench->sampler != NULL)
        json_object_set_new(result, "series", sampler_json(bench->sampler));
    json_object_set_new(result, "state_digest", json_string(report->digest));
    json_object_set_new(result, "machine", json_string(report_machine()));
    json_object_set_new(result, "commit", json_string(report_commit()));
    return result;
}

/* With what was not given too, and without paths, which are nobody's business. */
static void describe_options(const struct bench_options *options, char *text, size_t capacity)
{
    char length[64];
    if (options->duration_s > 0)
        snprintf(length, sizeof length, "--duration %g", options->duration_s);
    else
        snprintf(length, sizeof length, "--sagas %" PRIu64, options->sagas_max);
    const char *file = options->definition == NULL ? NULL : strrchr(options->definition, '/');
    if (file != NULL)
        file++;
    else
        file = options->definition;
    snprintf(text, capacity,
             "flyover bench %s --durability %s --in-flight %u --shape %s --fail-rate %g --seed "
             "%" PRIu64 " --checkpoint-mib %" PRIu64 "%s%.40s",
             length, durability_name(options->session.durability), options->in_flight,
             options->shape == GENERATOR_RETAIL ? "retail" : "small", options->fail_rate,
             options->seed, options->session.checkpoint_bytes >> 20,
             file == NULL ? "" : " --definition ", file == NULL ? "" : file);
}

/* What failed after an hour is worth a plot all the more, so it needs no figures of the end. */
static enum status write_series(struct bench *bench, uint64_t ended_ns, struct problem *problem)
{
    const struct bench_options *options = bench->options;
    char title[128], machine[640], options_text[320], steps_per_s[32];
    struct core_totals totals = core_totals(partition_state(bench->session.partition)->core);
    double seconds = (double)(ended_ns - bench->started_ns) / 1e9;
    uint64_t steps = totals.steps_ended - bench->before.steps_ended;
    snprintf(title, sizeof title, "%s steps/s over %.*f s, durability %s",
             progress_number(steps_per_s, (uint64_t)((double)steps / seconds)),
             seconds < 100 ? 1 : 0, seconds, durability_name(options->session.durability));
    snprintf(machine, sizeof machine, "%s, commit %s", report_machine(), report_commit());
    describe_options(options, options_text, sizeof options_text);
    const struct plot_labels labels = {title, machine, options_text};
    return sampler_write(bench->sampler, &labels, problem);
}

static int finish(struct bench *bench, enum status status, struct problem *problem, uint64_t cpu_ns)
{
    uint64_t ended_ns = clock_now_ns();
    cpu_ns = clock_read_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
    char digest[PARTITION_DIGEST_BYTES];
    if (status == STATUS_OK)
        status = partition_stop(bench->session.partition, digest, problem);
    progress_end(&bench->progress);
    struct problem unwritten = {0};
    if (bench->sampler != NULL && bench->started_ns > 0)
        unwritten.status = write_series(bench, ended_ns, &unwritten);
    if (status != STATUS_OK)
        return command_fail(COMMAND, problem);
    struct figures figures = figure(bench, cpu_ns, ended_ns);
    static struct report report;
    report_fill(&report, bench->session.partition, digest);
    measure_limit(bench, &figures);
    if (bench->options->json)
        report_print_json(result_json(bench, &figures, &report), stdout);
    else
        print_table(bench, &figures, &report);
    if (unwritten.status != STATUS_OK)
        return command_fail(COMMAND, &unwritten);
    if (session_signal() != 0)
        return 128 + session_signal();
    if (!report.balanced)
        return command_refuse(COMMAND, EXIT_AUDIT, "the audit does not balance");
    return EXIT_DONE;
}

/* The generator's orders need credit and stock without end; what the user sets comes after.
 * Returns how many settings it put before the user's. */
static uint32_t settle(struct session_options *session)
{
    uint32_t own_count = 0;
    static const char *const settings[] = {"inventory.units_initial=" GENERATOR_UNITS_INITIAL,
                                           "payment.credit_limit=" GENERATOR_CREDIT_LIMIT};
    struct plugin_path *plugins = &session->plugins;
    for (; own_count < 2 && plugins->settings_count < PLUGIN_SETTINGS_MAX; own_count++) {
        memmove(plugins->settings + 1, plugins->settings,
                plugins->settings_count++ * sizeof *plugins->settings);
        enum status status = plugin_setting_parse(settings[own_count], &plugins->settings[0], NULL);
        (void)status;
    }
    return own_count;
}

static int run_net(struct bench_options *options)
{
    struct bench_net_options net = {
        .net = options->net,
        .session = options->session,
        .sagas_max = options->sagas_max,
        .duration_s = options->duration_s,
        .fail_rate = options->fail_rate,
        .seed = options->seed,
        .shape = options->shape,
        .definition = options->definition,
        .plot_path = options->sampler.plot_path,
        .json = options->json,
    };
    if (options->definition == NULL && options->net.workers == 0)
        settle(&net.session);
    return bench_net(&net);
}

int command_bench(int argc, char **argv)
{
    static struct bench_options options = {
        .sagas_max = SAGAS_DEFAULT, .in_flight = IN_FLIGHT_DEFAULT, .seed = 1};
    session_options_init(&options.session);
    net_options_init(&options.net);
    argp_children[0] = session_argp_child[0];
    command_parse(&argp, argc, argv, &options);
    if (net_options_is_wanted(&options.net))
        return run_net(&options);
    struct bench bench = {.options = &options, .own_settings_count = settle(&options.session)};
    struct problem problem = {0};
    enum status status = STATUS_OK;
    if (sampler_is_wanted(&options.sampler))
        status = sampler_open(&options.sampler, options.duration_s, &bench.sampler, &problem);
    if (status == STATUS_OK && options.session.directory == NULL &&
        options.session.durability != DURABILITY_MEMORY) {
        status = bench_directory_make(bench.directory, &problem);
        options.session.directory = bench.directory;
    }
    if (status == STATUS_OK)
        status = session_open(&options.session, &bench.session, &problem);
    if (status != STATUS_OK) {
        sampler_close(bench.sampler);
        bench_directory_remove(bench.directory);
        return command_fail(COMMAND, &problem);
    }
    bench.before = core_totals(partition_state(bench.session.partition)->core);
    status = generator_open(options.shape, options.seed, options.fail_rate, bench.before.started,
                            &bench.generator);
    progress_init(&bench.progress, "sagas");
    uint64_t cpu_ns = clock_read_ns(CLOCK_PROCESS_CPUTIME_ID);
    if (status == STATUS_OK)
        status = define(&bench, &problem);
    if (status == STATUS_OK)
        status = run(&bench, &problem);
    int exit_code = finish(&bench, status, &problem, cpu_ns);
    session_close(&bench.session);
    generator_close(bench.generator);
    sampler_close(bench.sampler);
    bench_directory_remove(bench.directory);
    return exit_code;
}
