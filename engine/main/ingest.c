#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "engine/base/clock.h"
#include "engine/ingest/order_reader.h"
#include "engine/main/command.h"
#include "engine/main/ingest_remote.h"
#include "engine/main/progress.h"
#include "engine/main/reach_remote.h"
#include "engine/main/rejects.h"
#include "engine/main/report.h"
#include "engine/main/session.h"

#define COMMAND           "ingest"
#define FILES_MAX         1024u
#define IN_FLIGHT_DEFAULT 8192u
#define INPUT_WAIT_MS     200

struct ingest_options {
    struct session_options session;
    struct reach reach;  /* with an address: an engine elsewhere, and no session */
    const char *rejects; /* NULL: DIR/rejects.csv, in mode memory none */
    uint32_t in_flight;
    bool json;
    const char *files[FILES_MAX];
    uint32_t files_count;
};

struct ingest {
    const struct ingest_options *options;
    struct session session;
    struct progress progress;
    struct rejects rejects;
    uint32_t plans[2]; /* by enum order_kind */
    uint64_t read_count;
    uint64_t rejected_count;
    uint64_t skipped_count; /* taken in by an earlier run */
    uint64_t bytes_total;   /* of all files, 0 where that is not known */
    uint64_t bytes_before;  /* of the files before this one */
    int file;               /* of the intake that is read now */
    bool gave_up;           /* while it waited for input: a signal, or `problem` */
    struct problem problem;
};

/* One file on its way in. */
struct intake {
    const char *name;
    int file;
    struct order_reader *reader;
    bool pending; /* `order` was read and has not been started */
    struct order order;
    bool ended;
    uint64_t taken_count; /* orders read that were not rejected */
    uint64_t rejected_count;
    uint64_t chain_hash;
    uint64_t first_hash;
    uint32_t source;
};

enum { KEY_REJECTS = 2000, KEY_JSON };

static const struct argp_option options_list[] = {
    {"in-flight", 'i', "N", 0, "Orders under way at once (default 8192)", 0},
    {"rejects", KEY_REJECTS, "FILE", 0,
     "Where refused orders go, with line and reason (default DIR/rejects.csv; in mode memory none)",
     0},
    {"json", KEY_JSON, NULL, 0, "Print the report as one JSON object", 0},
    {0},
};

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct ingest_options *options = state->input;
    char *end;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->session;
        state->child_inputs[1] = &options->reach;
        return 0;
    case 'i': {
        unsigned long count = strtoul(text, &end, 10);
        if (*end != '\0' || count == 0 || count > CORE_SAGAS_MAX)
            argp_error(state, "--in-flight takes 1 to %u", CORE_SAGAS_MAX);
        options->in_flight = (uint32_t)count;
        return 0;
    }
    case KEY_REJECTS: options->rejects = text; return 0;
    case KEY_JSON: options->json = true; return 0;
    case ARGP_KEY_ARG:
        if (options->files_count == FILES_MAX)
            argp_error(state, "more than %u files", FILES_MAX);
        options->files[options->files_count++] = text;
        return 0;
    case ARGP_KEY_END:
        if (options->reach.address != NULL && options->session.directory != NULL)
            argp_error(state, "--data or --connect, not both");
        if (options->session.directory == NULL && options->reach.address == NULL &&
            options->session.durability != DURABILITY_MEMORY)
            argp_error(state, "say where the data goes with --data DIR, or where an engine serves "
                              "with --connect ADDRESS");
        if (options->files_count == 0)
            argp_error(state, "name a file of orders, or - for standard input");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static struct argp_child children[3];

static const struct argp argp = {
    options_list,
    parse_option,
    "FILE...",
    "Takes in orders as durable sagas: CSV in the columns of UCI Online Retail (a line a row or an "
    "invoice a row), or NDJSON; - is standard input. An order is a sale, an invoice number that "
    "starts with C a return.\vA run that was stopped, by kill -9 or a power cut too, is run again "
    "with the same files: it goes on where it was, and does no order twice. With --connect that "
    "holds for as long as the engine there keeps names, and the options of an engine have no "
    "meaning.\n\n"
    "Example: flyover ingest --data ./data orders.csv",
    children,
    NULL,
    NULL,
};

/* ---- rejects ----------------------------------------------------------------------------------
 */

static enum status open_rejects(struct ingest *ingest, struct problem *problem)
{
    const struct ingest_options *options = ingest->options;
    char path[sizeof ingest->rejects.path];
    if (options->rejects == NULL && options->session.durability == DURABILITY_MEMORY)
        return STATUS_OK;
    if (options->rejects != NULL)
        snprintf(path, sizeof path, "%s", options->rejects);
    else
        snprintf(path, sizeof path, "%s/rejects.csv", options->session.directory);
    return rejects_open(&ingest->rejects, path, problem);
}

static void reject(struct ingest *ingest, struct intake *intake,
                   const struct order_reject *rejected)
{
    intake->rejected_count++;
    rejects_add(&ingest->rejects, intake->name, rejected);
}

/* ---- one file ---------------------------------------------------------------------------------
 */

static void show_progress(void *context)
{
    struct ingest *ingest = context;
    if (!progress_is_due(&ingest->progress))
        return;
    struct core_totals totals = core_totals(partition_state(ingest->session.partition)->core);
    progress_print(&ingest->progress, ingest->read_count, ingest->session.outstanding_count,
                   totals.succeeded, totals.failed + totals.compensated + totals.stuck);
}

/* Called by the reader before it may have to wait for a pipe: the engine runs on meanwhile, and a
 * signal is heard. */
static bool wait_for_input(void *context)
{
    struct ingest *ingest = context;
    struct pollfd file = {.fd = ingest->file, .events = POLLIN};
    while (session_signal() == 0 && ingest->problem.status == STATUS_OK) {
        bool rests = partition_is_at_rest(ingest->session.partition);
        if (poll(&file, 1, rests ? INPUT_WAIT_MS : 0) > 0)
            return true;
        if (!rests)
            ingest->problem.status = session_turn(&ingest->session, true, &ingest->problem);
        show_progress(ingest);
    }
    ingest->gave_up = true;
    return false;
}

static enum status open_intake(struct ingest *ingest, struct intake *intake, const char *name,
                               struct problem *problem)
{
    *intake = (struct intake){.name = name, .file = -1};
    bool is_stdin = strcmp(name, "-") == 0;
    intake->file = is_stdin ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
    if (intake->file < 0)
        return problem_set(problem, STATUS_INVALID, "%s cannot be read: %s", name, strerror(errno));
    struct stat file;
    bool known = fstat(intake->file, &file) == 0;
    if (known && S_ISDIR(file.st_mode))
        return problem_set(problem, STATUS_INVALID,
                           "%s is a directory: name the files of orders in it", name);
    ingest->file = intake->file;
    return order_reader_open_live(intake->file, is_stdin ? "standard input" : name,
                                  known && S_ISREG(file.st_mode) ? NULL : wait_for_input, ingest,
                                  &intake->reader, problem);
}

static void close_intake(struct intake *intake)
{
    order_reader_close(intake->reader);
    if (intake->file > STDIN_FILENO)
        close(intake->file);
    intake->reader = NULL;
    intake->file = -1;
}

/* Reads the next good order into intake->order, or finds the end. */
static enum status read_order(struct ingest *ingest, struct intake *intake, struct problem *problem)
{
    struct order_reject rejected;
    for (;;) {
        enum order_result result =
            order_reader_next(intake->reader, &intake->order, &rejected, problem);
        if (ingest->gave_up) {
            intake->ended = true;
            return STATUS_OK;
        }
        switch (result) {
        case ORDER_READ:
            intake->pending = true;
            intake->chain_hash = XXH3_64bits_withSeed(
                intake->order.input, intake->order.input_bytes, intake->chain_hash);
            if (intake->taken_count++ == 0)
                intake->first_hash = intake->chain_hash;
            return STATUS_OK;
        case ORDER_REJECTED: reject(ingest, intake, &rejected); break;
        case ORDER_END: intake->ended = true; return STATUS_OK;
        case ORDER_FAILED: return problem->status;
        }
    }
}

/* The largest number of orders taken in from a source that begins with this order. */
static uint64_t find_count_max(const struct core *core, uint64_t first_hash)
{
    const struct core_source *sources;
    uint64_t count_max = 0;
    uint32_t count = core_sources(core, &sources);
    for (uint32_t i = 0; i < count; i++)
        if (sources[i].first_hash == first_hash && sources[i].count > count_max)
            count_max = sources[i].count;
    return count_max;
}

static bool find_source(const struct core *core, const struct intake *intake, uint32_t *ret_source)
{
    const struct core_source *sources;
    uint32_t count = core_sources(core, &sources);
    for (uint32_t i = 0; i < count; i++)
        if (sources[i].count == intake->taken_count &&
            sources[i].chain_hash == intake->chain_hash) {
            *ret_source = i;
            return true;
        }
    return false;
}

/* Begins the file again, to leave the first `count` orders unread. */
static enum status rewind_intake(struct ingest *ingest, struct intake *intake, uint64_t count,
                                 struct problem *problem)
{
    const char *name = intake->name;
    if (lseek(intake->file, 0, SEEK_SET) != 0)
        return problem_set(problem, STATUS_INVALID,
                           "standard input begins like orders that were taken in before but goes "
                           "on otherwise, and it cannot be read twice: put it into a file");
    close_intake(intake);
    if (ingest->rejects.file != NULL && strcmp(name, "-") == 0)
        fflush(ingest->rejects.file);
    enum status status = open_intake(ingest, intake, name, problem);
    while (status == STATUS_OK && intake->taken_count < count) {
        status = read_order(ingest, intake, problem);
        intake->pending = false;
    }
    if (status == STATUS_OK && count == 0)
        status = read_order(ingest, intake, problem);
    return status;
}

/* Finds out how much of the file an earlier run has taken in. A file is known by its orders: by the
 * first, and by a hash over all of them up to where the run stopped. Leaves the intake before the
 * first order that is new. */
static enum status resume(struct ingest *ingest, struct intake *intake, struct problem *problem)
{
    const struct core *core = partition_state(ingest->session.partition)->core;
    uint64_t rejects_at = ingest->rejects.file == NULL ? 0 : (uint64_t)ftell(ingest->rejects.file);
    enum status status = read_order(ingest, intake, problem);
    if (status != STATUS_OK || intake->ended)
        return status;
    uint64_t first_hash = intake->first_hash;
    uint64_t count_max = find_count_max(core, first_hash);
    uint64_t known_count = 0;
    while (status == STATUS_OK && count_max > 0) {
        if (find_source(core, intake, &intake->source))
            known_count = intake->taken_count;
        if (intake->taken_count == count_max || intake->ended)
            break;
        status = read_order(ingest, intake, problem);
    }
    if (status != STATUS_OK)
        return status;
    if (known_count > 0 && known_count == intake->taken_count) {
        intake->pending = false;
    } else if (count_max > 0) {
        uint32_t source = intake->source;
        if (ingest->rejects.file != NULL)
            fseek(ingest->rejects.file, (long)rejects_at, SEEK_SET);
        status = rewind_intake(ingest, intake, known_count, problem);
        intake->source = source;
    }
    ingest->skipped_count += known_count;
    while (status == STATUS_OK && known_count == 0) {
        status = partition_open_source(ingest->session.partition, first_hash, &intake->source);
        if (status != STATUS_BUSY)
            break;
        status = session_turn(&ingest->session, true, problem);
    }
    return status;
}

static bool has_room(const struct ingest *ingest)
{
    return ingest->session.outstanding_count < ingest->options->in_flight;
}

static enum status start_orders(struct ingest *ingest, struct intake *intake,
                                struct problem *problem)
{
    while (!intake->ended && has_room(ingest)) {
        if (!intake->pending) {
            enum status status = read_order(ingest, intake, problem);
            if (status != STATUS_OK || intake->ended)
                return status;
        }
        struct flyover_bytes input = {intake->order.input, (uint32_t)intake->order.input_bytes};
        enum status status = session_start(&ingest->session, ingest->plans[intake->order.kind],
                                           intake->source, input);
        if (status == STATUS_BUSY)
            return session_check_room(&ingest->session, problem);
        if (status != STATUS_OK)
            return status;
        intake->pending = false;
    }
    return STATUS_OK;
}

static enum status take_in(struct ingest *ingest, const char *name, struct problem *problem)
{
    struct intake intake;
    enum status status = open_intake(ingest, &intake, name, problem);
    if (status == STATUS_OK)
        status = resume(ingest, &intake, problem);
    uint64_t read_before = ingest->read_count;
    while (status == STATUS_OK && !intake.ended && session_signal() == 0) {
        status = start_orders(ingest, &intake, problem);
        if (status == STATUS_OK)
            status = session_turn(&ingest->session, !has_room(ingest) || intake.pending, problem);
        ingest->read_count = read_before + intake.taken_count + intake.rejected_count;
        if (ingest->bytes_total > 0)
            ingest->progress.part_done =
                (double)(ingest->bytes_before + intake.order.offset_bytes) /
                (double)ingest->bytes_total;
        show_progress(ingest);
    }
    ingest->read_count = read_before + intake.taken_count + intake.rejected_count;
    ingest->rejected_count += intake.rejected_count;
    ingest->bytes_before += intake.order.offset_bytes;
    close_intake(&intake);
    if (ingest->gave_up)
        status = ingest->problem.status;
    if (ingest->gave_up && status != STATUS_OK)
        *problem = ingest->problem;
    return status;
}

/* ---- the command ------------------------------------------------------------------------------
 */

static void measure_files(struct ingest *ingest)
{
    struct stat file;
    for (uint32_t i = 0; i < ingest->options->files_count; i++) {
        if (stat(ingest->options->files[i], &file) != 0 || !S_ISREG(file.st_mode)) {
            ingest->bytes_total = 0;
            return;
        }
        ingest->bytes_total += (uint64_t)file.st_size;
    }
}

static void print_report(const struct ingest *ingest, const struct report *report,
                         uint64_t steps_before, double seconds)
{
    char a[32], b[32], c[32];
    const struct ingest_options *options = ingest->options;
    printf("%s orders read from %u file%s, %s rejected", progress_number(a, ingest->read_count),
           options->files_count, options->files_count == 1 ? "" : "s",
           progress_number(b, ingest->rejected_count));
    if (ingest->rejected_count > 0 && ingest->rejects.path[0] != '\0')
        printf(" (see %s)", ingest->rejects.path);
    if (ingest->skipped_count > 0)
        printf(", %s taken in by an earlier run", progress_number(c, ingest->skipped_count));
    printf("\n");
    report_print(report, stdout);
    uint64_t orders = ingest->read_count - ingest->rejected_count - ingest->skipped_count;
    uint64_t steps = report->totals.steps - steps_before;
    printf("  speed     %.3f s, %s orders/s, %s steps/s, durability %s\n", seconds,
           progress_number(a, (uint64_t)((double)orders / seconds)),
           progress_number(b, (uint64_t)((double)steps / seconds)),
           durability_name(options->session.durability));
    if (options->session.durability != DURABILITY_MEMORY)
        printf("  data      %s\n", options->session.directory);
}

static json_t *report_json(const struct ingest *ingest, const struct report *report, double seconds)
{
    return json_pack(
        "{s:I, s:I, s:I, s:o, s:f, s:o, s:s, s:s, s:s, s:s}", "orders_read",
        (json_int_t)ingest->read_count, "orders_rejected", (json_int_t)ingest->rejected_count,
        "orders_skipped", (json_int_t)ingest->skipped_count, "sagas", report_sagas_json(report),
        "seconds", seconds, "audit", report_audit_json(report), "state_digest", report->digest,
        "durability", durability_name(ingest->options->session.durability), "machine",
        report_machine(), "commit", report_commit());
}

static enum status run(struct ingest *ingest, struct problem *problem)
{
    enum status status = session_define_shipped(&ingest->session, "order.asl.json",
                                                &ingest->plans[ORDER_SALE], problem);
    if (status == STATUS_OK)
        status = session_define_shipped(&ingest->session, "return.asl.json",
                                        &ingest->plans[ORDER_RETURN], problem);
    const struct plugin_path *plugins = &ingest->options->session.plugins;
    if (status == STATUS_OK)
        status = session_check_settings(&ingest->session, plugins->settings,
                                        plugins->settings_count, problem);
    if (status == STATUS_OK)
        status = open_rejects(ingest, problem);
    measure_files(ingest);
    for (uint32_t i = 0; i < ingest->options->files_count; i++)
        if (status == STATUS_OK && session_signal() == 0)
            status = take_in(ingest, ingest->options->files[i], problem);
    /* What was started is brought to its end even if a file broke off. */
    struct problem drain_problem = {0};
    enum status drained = session_drain(&ingest->session, show_progress, ingest, &drain_problem);
    if (status == STATUS_OK && drained != STATUS_OK) {
        *problem = drain_problem;
        status = drained;
    }
    return status;
}

static int finish(struct ingest *ingest, enum status status, struct problem *problem,
                  uint64_t started_ns, uint64_t steps_before)
{
    char digest[PARTITION_DIGEST_BYTES] = "";
    struct problem stop_problem = {0};
    enum status stopped = partition_stop(ingest->session.partition, digest, &stop_problem);
    if (status == STATUS_OK && stopped != STATUS_OK)
        *problem = stop_problem;
    if (status == STATUS_OK)
        status = stopped;
    struct problem rejects_problem = {0};
    if (rejects_close(&ingest->rejects, &rejects_problem) != STATUS_OK && status == STATUS_OK) {
        *problem = rejects_problem;
        status = rejects_problem.status;
    }
    double seconds = (double)(clock_now_ns() - started_ns) / 1e9;
    progress_end(&ingest->progress);
    struct report report;
    if (stopped == STATUS_OK) {
        report_fill(&report, ingest->session.partition, digest);
        if (ingest->options->json)
            report_print_json(report_json(ingest, &report, seconds), stdout);
        else
            print_report(ingest, &report, steps_before, seconds);
    }
    if (status != STATUS_OK)
        return command_fail(COMMAND, problem);
    if (session_signal() != 0)
        return command_refuse(COMMAND, 128 + session_signal(),
                              "stopped by signal %d; run it again with the same files to go on",
                              session_signal());
    if (partition_is_at_rest(ingest->session.partition) && !report.balanced)
        return command_refuse(COMMAND, EXIT_AUDIT, "the audit does not balance");
    return EXIT_DONE;
}

static int ingest_elsewhere(const struct ingest_options *options)
{
    struct ingest_remote_options remote = {.reach = options->reach,
                                           .rejects = options->rejects,
                                           .in_flight = options->in_flight,
                                           .json = options->json,
                                           .files = options->files,
                                           .files_count = options->files_count};
    return ingest_remote(&remote);
}

int command_ingest(int argc, char **argv)
{
    static struct ingest_options options = {.in_flight = IN_FLIGHT_DEFAULT};
    session_options_init(&options.session);
    children[0] = session_argp_child[0];
    children[1] = reach_argp_child[0];
    command_parse(&argp, argc, argv, &options);
    if (options.reach.address != NULL)
        return ingest_elsewhere(&options);
    struct ingest ingest = {.options = &options};
    struct problem problem = {0};
    enum status status = session_open(&options.session, &ingest.session, &problem);
    if (status != STATUS_OK)
        return command_fail(COMMAND, &problem);
    progress_init(&ingest.progress, "orders");
    uint64_t started_ns = clock_now_ns();
    uint64_t steps_before = core_totals(partition_state(ingest.session.partition)->core).steps;
    status = run(&ingest, &problem);
    int exit_code = finish(&ingest, status, &problem, started_ns, steps_before);
    session_close(&ingest.session);
    return exit_code;
}
