#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/admin/timeline.h"
#include "engine/base/clock.h"
#include "engine/main/command.h"
#include "engine/main/progress.h"
#include "engine/main/report.h"
#include "engine/partition/checkpoint.h"
#include "engine/partition/partition_state.h"
#include "storage/journal.h"
#include "storage/recovery.h"

#define COMMAND        "replay"
#define ERRORS_ON_TOP  10u
#define STUCK_SHOWN    10u   /* in the report for people */
#define STUCK_LISTED   1000u /* in JSON */
#define LABEL_COLUMNS  10
#define NUMBER_COLUMNS 14

struct replay_options {
    const char *directory;
    uint64_t until_no; /* 0: to the last */
    uint64_t saga_id;  /* 0: no timeline */
    bool json;
};

struct replay {
    const struct replay_options *options;
    struct journal *journal;
    struct partition_state *state;
    struct timeline timeline;
    struct progress progress;
    struct checkpoint_place from; /* block 0: from the first */
    struct recovery_report report;
    uint64_t records_count; /* so far */
    double seconds;
};

enum { KEY_JSON = 1000 };

static const struct argp_option options_list[] = {
    {"data", 'd', "DIR", 0, "The data directory; nothing is written there", 0},
    {"until", 'u', "BLOCK", 0, "Stop after this block: the state as it was then", 0},
    {"saga", 's', "ID", 0, "Tell the life of one saga, event by event, instead of the totals", 0},
    {"json", KEY_JSON, NULL, 0, "Print one JSON object", 0},
    {0},
};

/* Blocks and sagas are numbered from 1. */
static uint64_t parse_number(struct argp_state *state, const char *option, const char *text)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number == 0)
        argp_error(state, "--%s takes a number from 1 on, not '%s'", option, text);
    return number;
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct replay_options *options = state->input;
    switch (key) {
    case 'd': options->directory = text; return 0;
    case 'u': options->until_no = parse_number(state, "until", text); return 0;
    case 's': options->saga_id = parse_number(state, "saga", text); return 0;
    case KEY_JSON: options->json = true; return 0;
    case ARGP_KEY_ARG: argp_error(state, "'%s' is not understood", text); return 0;
    case ARGP_KEY_END:
        if (options->directory == NULL)
            argp_error(state, "say where the data is with --data DIR");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    options_list,
    parse_option,
    NULL,
    "Replays the journal of a data directory through the engine's core, offline: what became of "
    "its sagas, and the digest of the state that they leave, which is the one the engine printed."
    "\vNothing is written, so that it also works on a copy that is read-only and beside a running "
    "engine: then it ends with a block that the engine had written when the replay began.\n\n"
    "Example: flyover replay --data ./data --saga 42",
    NULL,
    NULL,
    NULL,
};

static void show_progress(struct replay *replay, const struct block_header *header)
{
    if (!progress_is_due(&replay->progress))
        return;
    uint64_t last_no = journal_acknowledged_no(replay->journal);
    if (replay->options->until_no != 0)
        last_no = replay->options->until_no;
    char records[32], block[32], last[32];
    fprintf(stderr, "\r\033[K%s records, block %s of %s",
            progress_number(records, replay->records_count),
            progress_number(block, header->block_no),
            progress_number(last, last_no > header->block_no ? last_no : header->block_no));
    fflush(stderr);
}

static enum status on_block(void *context, const struct block_header *header, const uint8_t *body,
                            struct problem *problem)
{
    struct replay *replay = context;
    partition_on_event on_event = replay->options->saga_id == 0 ? NULL : timeline_on_event;
    enum status status =
        partition_state_replay(replay->state, header, body, on_event, &replay->timeline, problem);
    /* A definition in the journal that this build refuses is no bad input of the command's. */
    if (status_class(status) == STATUS_CLASS_REJECT)
        return STATUS_CORRUPT;
    if (status != STATUS_OK)
        return status;
    replay->records_count += header->record_count;
    show_progress(replay, header);
    return header->block_no == replay->options->until_no ? STATUS_END : STATUS_OK;
}

/* Opens what is read and what is built. The journal reads the watermark before it opens, so that
 * an engine which appends meanwhile cannot make this view look shorter than acknowledged. */
static enum status open_parts(struct replay *replay, struct problem *problem)
{
    const struct replay_options *options = replay->options;
    struct journal_options journal = {
        .directory = options->directory,
        .durability = DURABILITY_SYNC,
        .read_only = true,
    };
    enum status status = partition_state_open(&replay->state);
    if (status == STATUS_OK)
        status = timeline_init(&replay->timeline, options->saga_id, options->json ? NULL : stdout);
    if (status != STATUS_OK)
        return problem_set(problem, status, "out of memory");
    return journal_open(&journal, &replay->journal, problem);
}

/* A journal that has lost its beginning is read from behind the oldest checkpoint. */
static enum status begin(struct replay *replay, struct problem *problem)
{
    uint64_t first_kept_no = journal_first_no(replay->journal);
    if (first_kept_no == 1)
        return STATUS_OK;
    enum status status = checkpoint_load_oldest(replay->options->directory, first_kept_no,
                                                &replay->state, &replay->from, problem);
    if (status != STATUS_OK)
        return status;
    if (replay->options->until_no != 0 && replay->options->until_no < replay->from.block_no)
        return problem_set(problem, STATUS_NOT_FOUND,
                           "block %" PRIu64
                           " was given up to a checkpoint: the earliest state that "
                           "can be had is that of block %" PRIu64,
                           replay->options->until_no, replay->from.block_no);
    return STATUS_OK;
}

static enum status run(struct replay *replay, struct problem *problem)
{
    enum status begun = begin(replay, problem);
    if (begun != STATUS_OK)
        return begun;
    struct recovery_options recovery = {
        .directory = replay->options->directory,
        .after_no = replay->from.block_no,
        .after_crc = replay->from.block_crc,
        .on_block = on_block,
        .context = replay,
    };
    progress_init(&replay->progress, "records");
    uint64_t started_ns = clock_now_ns();
    enum status status = recovery_run(replay->journal, &recovery, &replay->report, problem);
    replay->seconds = (double)(clock_now_ns() - started_ns) / 1e9;
    progress_end(&replay->progress);
    return status;
}

/* ---- reports -------------------------------------------------------------------------------- */

/* No core yet: a journal without a block. */
static struct core_totals totals_of(const struct replay *replay)
{
    return replay->state->core == NULL ? (struct core_totals){0} : core_totals(replay->state->core);
}

static uint64_t running_count(const struct core_totals *totals)
{
    return totals->started - totals->succeeded - totals->compensated - totals->failed -
           totals->stuck - totals->aborted;
}

static uint64_t records_per_s(const struct replay *replay)
{
    double rate = replay->seconds > 0 ? (double)replay->report.records_count / replay->seconds : 0;
    return (uint64_t)rate;
}

static int order_errors(const void *left, const void *right)
{
    const struct core_error *a = left, *b = right;
    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* Most frequent first; room for CORE_ERRORS_MAX. */
static uint32_t sort_errors(const struct replay *replay, struct core_error *ret_errors)
{
    if (replay->state->core == NULL)
        return 0;
    const struct core_error *errors;
    uint32_t count = core_errors(replay->state->core, &errors);
    memcpy(ret_errors, errors, count * sizeof *errors);
    qsort(ret_errors, count, sizeof *ret_errors, order_errors);
    return count;
}

static void print_count(const char *label, uint64_t count, const char *noun)
{
    char number[32];
    printf("  %-*s%*s  %s\n", LABEL_COLUMNS, label, NUMBER_COLUMNS, progress_number(number, count),
           noun);
}

static void print_errors(const struct replay *replay)
{
    struct core_error errors[CORE_ERRORS_MAX];
    uint32_t count = sort_errors(replay, errors);
    for (uint32_t i = 0; i < count && i < ERRORS_ON_TOP; i++)
        print_count(i == 0 ? "errors" : "", errors[i].count, errors[i].name);
    if (count > ERRORS_ON_TOP)
        printf("  %*s  and %u other names\n", LABEL_COLUMNS + NUMBER_COLUMNS, "",
               count - ERRORS_ON_TOP);
}

/* The next saga that is parked, from branch *next on; false when there is none. */
static bool next_stuck(const struct replay *replay, uint32_t *next,
                       struct core_branch_view *ret_view, struct flyover_bytes *ret_error)
{
    const struct core *core = replay->state->core;
    while (core != NULL && *next < core_branches_count(core)) {
        uint32_t branch = (*next)++;
        if (core_view_branch(core, branch, ret_view) &&
            (ret_view->phase == PHASE_STUCK || ret_view->phase == PHASE_STUCK_FORWARD)) {
            *ret_error = core_saga_error(core, branch);
            return true;
        }
    }
    return false;
}

/* Whoever has to mend them begins here. */
static void print_stuck(const struct replay *replay)
{
    struct core_branch_view view;
    struct flyover_bytes error;
    uint32_t next = 0, shown = 0;
    for (; shown < STUCK_SHOWN && next_stuck(replay, &next, &view, &error); shown++) {
        char text[80];
        value_print(error, text, sizeof text);
        printf("  %*s  saga %" PRIu64 " of %s, %s %s after %s\n", LABEL_COLUMNS + NUMBER_COLUMNS,
               "", view.saga_id, core_plan(replay->state->core, view.plan)->name,
               view.phase == PHASE_STUCK ? "compensating" : "past its pivot at", view.state, text);
    }
    if (shown == STUCK_SHOWN && next_stuck(replay, &next, &view, &error))
        printf("  %*s  and more: --json lists them\n", LABEL_COLUMNS + NUMBER_COLUMNS, "");
}

static void print_totals(const struct replay *replay, const char *digest)
{
    const struct recovery_report *report = &replay->report;
    struct core_totals totals = totals_of(replay);
    char first[32], last[32], epoch[32], records[32], rate[32];
    if (report->blocks_count == 0)
        printf("%s: an empty journal\n", replay->options->directory);
    else
        printf("%s: blocks %s to %s, %s records, in %s run%s of the engine\n",
               replay->options->directory, progress_number(first, report->first_no),
               progress_number(last, report->last_no),
               progress_number(records, report->records_count),
               progress_number(epoch, report->last_epoch), report->last_epoch == 1 ? "" : "s");
    if (replay->from.block_no > 0)
        printf("  %-*sblocks up to %s stand in a checkpoint, and only their outcome is known\n",
               LABEL_COLUMNS, "", progress_number(first, replay->from.block_no));
    print_count("sagas", totals.started, "started");
    print_count("", totals.succeeded, "succeeded");
    print_count("", totals.compensated, "compensated");
    print_count("", totals.failed, "failed, with nothing to compensate");
    if (totals.aborted > 0)
        print_count("", totals.aborted, "aborted");
    print_count("", totals.stuck, "stuck");
    print_stuck(replay);
    print_count("", running_count(&totals), "running");
    print_count("steps", totals.steps, "done or given up, compensations included");
    print_count("", totals.retries, "retries");
    if (totals.detached_failed > 0)
        print_count("", totals.detached_failed, "fire-and-forget steps given up");
    print_errors(replay);
    printf("  %-*s%s\n", LABEL_COLUMNS, "digest", digest);
    printf("  %-*s%.3f s, %s records/s\n", LABEL_COLUMNS, "replayed", replay->seconds,
           progress_number(rate, records_per_s(replay)));
}

static json_t *errors_to_json(const struct replay *replay)
{
    struct core_error errors[CORE_ERRORS_MAX];
    uint32_t count = sort_errors(replay, errors);
    json_t *array = json_array();
    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(array, json_pack("{s:s, s:I}", "name", errors[i].name, "count",
                                               (json_int_t)errors[i].count));
    return array;
}

static json_t *stuck_to_json(const struct replay *replay)
{
    struct core_branch_view view;
    struct flyover_bytes error;
    uint32_t next = 0;
    json_t *array = json_array();
    while (json_array_size(array) < STUCK_LISTED && next_stuck(replay, &next, &view, &error))
        json_array_append_new(
            array, json_pack("{s:I, s:s, s:s, s:o}", "saga", (json_int_t)view.saga_id, "definition",
                             core_plan(replay->state->core, view.plan)->name, "state", view.state,
                             "error", timeline_payload_to_json(error)));
    return array;
}

static void set_count(json_t *object, const char *key, uint64_t count)
{
    json_object_set_new(object, key, json_integer((json_int_t)count));
}

static void print_json(struct replay *replay, const char *digest)
{
    const struct recovery_report *report = &replay->report;
    struct core_totals totals = totals_of(replay);
    json_t *object = json_object();
    set_count(object, "blocks", report->blocks_count);
    set_count(object, "records", report->records_count);
    set_count(object, "bytes", report->bytes_count);
    set_count(object, "first_block", report->first_no);
    set_count(object, "last_block", report->last_no);
    set_count(object, "epoch", report->last_epoch);
    set_count(object, "sagas", totals.started);
    set_count(object, "succeeded", totals.succeeded);
    set_count(object, "compensated", totals.compensated);
    set_count(object, "failed", totals.failed);
    set_count(object, "stuck", totals.stuck);
    set_count(object, "aborted", totals.aborted);
    set_count(object, "timeouts", totals.timeouts);
    set_count(object, "from_checkpoint", replay->from.block_no);
    set_count(object, "running", running_count(&totals));
    set_count(object, "steps", totals.steps);
    set_count(object, "retries", totals.retries);
    set_count(object, "detached_failed", totals.detached_failed);
    json_object_set_new(object, "errors", errors_to_json(replay));
    json_object_set_new(object, "stuck_sagas", stuck_to_json(replay));
    json_object_set_new(object, "state_digest", json_string(digest));
    json_object_set_new(object, "seconds", json_real(replay->seconds));
    set_count(object, "records_per_s", records_per_s(replay));
    if (replay->options->saga_id != 0)
        json_object_set_new(object, "saga", timeline_to_json(&replay->timeline, replay->state));
    report_print_json(object, stdout);
}

static int refuse_saga(const struct replay *replay)
{
    uint64_t count = totals_of(replay).started;
    if (replay->options->saga_id <= count)
        return command_refuse(COMMAND, EXIT_USAGE,
                              "saga %" PRIu64 " began before block %" PRIu64
                              ", up to which the journal was given up to a checkpoint: "
                              "flyover saga show tells what history has kept of it",
                              replay->options->saga_id, replay->from.block_no);
    return command_refuse(COMMAND, EXIT_USAGE,
                          "saga %" PRIu64 " was never started: up to block %" PRIu64
                          " there %s %" PRIu64 " saga%s, numbered from 1",
                          replay->options->saga_id, replay->report.last_no,
                          count == 1 ? "is" : "are", count, count == 1 ? "" : "s");
}

static int report(struct replay *replay)
{
    const struct replay_options *options = replay->options;
    if (options->until_no > replay->report.last_no)
        return command_refuse(COMMAND, EXIT_USAGE,
                              "there is no block %" PRIu64 ": the last one is %" PRIu64,
                              options->until_no, replay->report.last_no);
    if (options->saga_id != 0 && !timeline_is_started(&replay->timeline))
        return refuse_saga(replay);
    char digest[PARTITION_DIGEST_BYTES];
    partition_state_digest(replay->state, digest);
    if (options->json)
        print_json(replay, digest);
    else if (options->saga_id != 0)
        timeline_finish(&replay->timeline, replay->state);
    else
        print_totals(replay, digest);
    return EXIT_DONE;
}

int command_replay(int argc, char **argv)
{
    struct replay_options options = {0};
    command_parse(&argp, argc, argv, &options);
    struct replay replay = {.options = &options};
    struct problem problem = {0};
    enum status status = open_parts(&replay, &problem);
    if (status == STATUS_OK)
        status = run(&replay, &problem);
    int exit_code = status == STATUS_OK ? report(&replay) : command_fail(COMMAND, &problem);
    journal_close(replay.journal);
    partition_state_close(replay.state);
    timeline_fini(&replay.timeline);
    return exit_code;
}
