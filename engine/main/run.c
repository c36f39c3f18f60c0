#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/admin/life.h"
#include "engine/base/clock.h"
#include "engine/main/command.h"
#include "engine/main/session.h"
#include "engine/saga/value_json.h"

#define COMMAND "run"

struct run_options {
    struct session_options session;
    const char *definition;
    const char *input;
    const char *name; /* NULL: none */
    double delay_s;
};

enum { KEY_NAME = 2000, KEY_DELAY };

static const struct argp_option options_list[] = {
    {"input", 'i', "JSON", 0, "The input of the saga (default {})", 0},
    {"name", KEY_NAME, "NAME", 0,
     "What the saga is called: started under the same name and input before, it is that saga", 0},
    {"delay", KEY_DELAY, "SECONDS", 0, "After how long the saga begins", 0},
    {0},
};

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct run_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &options->session; return 0;
    case 'i': options->input = text; return 0;
    case KEY_NAME: options->name = text; return 0;
    case KEY_DELAY: {
        char *end;
        options->delay_s = strtod(text, &end);
        if (end == text || *end != '\0' || !(options->delay_s >= 0) || options->delay_s > 1e10)
            argp_error(state, "--delay takes a number of seconds, not '%.80s'", text);
        return 0;
    }
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

/* Nothing more comes of the saga by itself: it has ended, with all that ran beside it, or is stuck.
 */
static bool is_over(const struct core *core, uint64_t saga_id)
{
    struct core_saga_view saga;
    uint32_t slot = core_find_saga(core, saga_id);
    return slot == CORE_NO_SAGA || !core_view_saga(core, slot, &saga) ||
           saga.outcome == OUTCOME_STUCK;
}

static bool is_awaiting(const struct core *core, uint64_t saga_id)
{
    struct core_saga_view saga;
    struct core_branch_view branch;
    return core_view_saga(core, core_find_saga(core, saga_id), &saga) &&
           core_view_branch(core, saga.branch, &branch) && branch.phase == PHASE_AWAITING;
}

/* Until the saga is over, which may take somebody outside, and what else runs has come to a pause.
 */
static enum status await_end(const struct run_options *options, struct session *session,
                             uint64_t saga_id, struct problem *problem)
{
    const struct core *core = partition_state(session->partition)->core;
    enum status status = STATUS_OK;
    bool said = false;
    while (status == STATUS_OK && session_signal() == 0 &&
           !(is_over(core, saga_id) && partition_is_quiet(session->partition))) {
        if (!said && is_awaiting(core, saga_id) && partition_is_quiet(session->partition)) {
            fprintf(stderr,
                    "saga %" PRIu64 " waits to be answered: `flyover saga show --data %s %" PRIu64
                    "` says for what\n",
                    saga_id, options->session.directory, saga_id);
            said = true;
        }
        status = session_turn(session, true, problem);
    }
    return status;
}

static enum status start_saga(const struct run_options *options, struct session *session,
                              uint32_t plan, struct flyover_bytes input, uint64_t *ret_saga_id,
                              struct problem *problem)
{
    struct partition_start_options start = {.plan = plan, .input = input};
    if (options->name != NULL)
        start.name =
            (struct flyover_bytes){(const uint8_t *)options->name, (uint32_t)strlen(options->name)};
    if (options->delay_s > 0)
        start.at_ms = clock_wall_ms() + (int64_t)(options->delay_s * 1000);
    enum status status = partition_start_with(session->partition, &start, ret_saga_id, problem);
    if (status == STATUS_EXISTS) {
        fprintf(stderr, "saga %" PRIu64 " was started under this name before\n", *ret_saga_id);
        return STATUS_OK;
    }
    return status;
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
        status = start_saga(options, session, plan, bytes, ret_saga_id, problem);
    }
    if (status == STATUS_OK)
        status = await_end(options, session, *ret_saga_id, problem);
    return status == STATUS_OK ? partition_stop(session->partition, NULL, problem) : status;
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
        status = life_tell_by_replay(options.session.directory, saga_id, stdout, NULL, &problem);
    return status == STATUS_OK ? EXIT_DONE : command_fail(COMMAND, &problem);
}
