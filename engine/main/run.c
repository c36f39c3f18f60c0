#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/main/command.h"
#include "engine/main/session.h"
#include "engine/main/timeline.h"
#include "engine/saga/value_json.h"

#define COMMAND "run"

struct run_options {
    struct session_options session;
    const char *definition;
    const char *input;
};

static const struct argp_option options_list[] = {
    {"input", 'i', "JSON", 0, "The input of the saga (default {})", 0},
    {0},
};

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct run_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &options->session; return 0;
    case 'i': options->input = text; return 0;
    case ARGP_KEY_ARG:
        if (options->definition != NULL)
            argp_error(state, "one definition at a time");
        options->definition = text;
        return 0;
    case ARGP_KEY_END:
        if (options->definition == NULL)
            argp_error(state, "name the file of a definition");
        if (options->session.directory == NULL)
            argp_error(state, "say where the data goes with --data DIR");
        if (options->session.durability == DURABILITY_MEMORY)
            argp_error(state, "what is told of the saga is read from the journal: use sync or "
                              "async");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    options_list,
    parse_option,
    "DEFINITION",
    "Runs one saga and tells its life: for trying a definition and its services.\v"
    "Example: flyover run --data /tmp/try --input '{\"name\": \"Ada\"}' greet.asl.json",
    session_argp_child,
    NULL,
    NULL,
};

static enum status parse_input(const char *text, uint8_t *out, size_t capacity, size_t *ret_bytes,
                               struct problem *problem)
{
    json_error_t error;
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (json == NULL)
        return problem_set(problem, STATUS_INVALID, "the input is not JSON: %s at column %d",
                           error.text, error.column);
    enum status status = value_from_json(json, out, capacity, ret_bytes);
    json_decref(json);
    if (status != STATUS_OK)
        return problem_set(problem, status,
                           "the input is larger than %u bytes or more than %u deep",
                           FLYOVER_PAYLOAD_BYTES_MAX, FLYOVER_DEPTH_MAX);
    return STATUS_OK;
}

static void ignore_turn(void *context)
{
    (void)context;
}

/* Starts the saga and waits for its end. */
static enum status run_saga(const struct run_options *options, struct session *session,
                            uint64_t *ret_saga_id, struct problem *problem)
{
    static uint8_t input[FLYOVER_PAYLOAD_BYTES_MAX];
    size_t input_bytes = 0;
    uint32_t plan = 0;
    enum status status = parse_input(options->input, input, sizeof input, &input_bytes, problem);
    if (status == STATUS_OK)
        status = session_define(session, options->definition, &plan, problem);
    if (status == STATUS_OK) {
        struct flyover_bytes bytes = {input, (uint32_t)input_bytes};
        status = session_start(session, plan, EVENT_NO_SOURCE, bytes);
        if (status != STATUS_OK)
            problem_set(problem, status, "the saga cannot be started: %s", status_text(status));
    }
    if (status != STATUS_OK)
        return status;
    *ret_saga_id = core_totals(partition_state(session->partition)->core).started;
    status = session_drain(session, ignore_turn, NULL, problem);
    return status == STATUS_OK ? partition_stop(session->partition, NULL, problem) : status;
}

struct telling {
    struct partition_state *state;
    struct timeline timeline;
};

static enum status on_block(void *context, const struct block_header *header, const uint8_t *body,
                            struct problem *problem)
{
    struct telling *telling = context;
    return partition_state_replay(telling->state, header, body, timeline_on_event,
                                  &telling->timeline, problem);
}

/* Reads the journal again, as `flyover replay --saga` would. */
static enum status tell(const char *directory, uint64_t saga_id, struct problem *problem)
{
    struct telling telling = {0};
    struct journal *journal = NULL;
    struct journal_options options = {.directory = directory, .read_only = true};
    struct recovery_options recovery = {
        .directory = directory, .on_block = on_block, .context = &telling};
    struct recovery_report report;
    enum status status = timeline_init(&telling.timeline, saga_id, stdout);
    if (status == STATUS_OK)
        status = partition_state_open(&telling.state);
    if (status == STATUS_OK)
        status = journal_open(&options, &journal, problem);
    if (status == STATUS_OK)
        status = recovery_run(journal, &recovery, &report, problem);
    if (status == STATUS_OK)
        timeline_finish(&telling.timeline, telling.state);
    timeline_fini(&telling.timeline);
    partition_state_close(telling.state);
    journal_close(journal);
    return status;
}

int command_run(int argc, char **argv)
{
    static struct run_options options = {.input = "{}"};
    session_options_init(&options.session);
    command_parse(&argp, argc, argv, &options);
    struct session session;
    struct problem problem = {0};
    uint64_t saga_id = 0;
    enum status status = session_open(&options.session, &session, &problem);
    if (status != STATUS_OK)
        return command_fail(COMMAND, &problem);
    status = run_saga(&options, &session, &saga_id, &problem);
    session_close(&session);
    if (status == STATUS_OK)
        status = tell(options.session.directory, saga_id, &problem);
    return status == STATUS_OK ? EXIT_DONE : command_fail(COMMAND, &problem);
}
