#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/admin/admin.h"
#include "engine/admin/life.h"
#include "engine/admin/redrive.h"
#include "engine/admin/saga_list.h"
#include "engine/base/clock.h"
#include "engine/main/command.h"
#include "engine/main/reach_remote.h"
#include "engine/main/report.h"
#include "engine/main/saga_print.h"
#include "engine/saga/plan.h"

#define COMMAND      "saga"
#define WAIT_LOOK_NS 50000000
#define WORDS_MAX    2u

enum {
    KEY_JSON = 1000,
    KEY_NAME,
    KEY_INPUT,
    KEY_AT,
    KEY_DELAY,
    KEY_DEADLINE,
    KEY_TRACE,
    KEY_PRIORITY,
    KEY_PAYLOAD,
    KEY_OUTPUT,
    KEY_ERROR,
    KEY_CAUSE,
    KEY_ABORT,
    KEY_REASON,
    KEY_STATE,
    KEY_DEFINITION,
    KEY_AFTER,
    KEY_BEFORE,
    KEY_LIMIT,
    KEY_CURSOR,
    KEY_TIMEOUT,
    KEY_END
};

#define BIT(key) (1u << ((key)-KEY_JSON))

struct saga_options {
    const struct verb *verb;
    struct reach reach;
    const char *words[WORDS_MAX]; /* behind the verb */
    uint32_t words_count;
    bool json;
    uint32_t given; /* BIT of each option */
    json_t *request;
    const char *cursor; /* of list; NULL: none */
    double timeout_s;   /* of wait; below 0: for ever */
};

struct verb {
    const char *name;
    uint32_t words_min, words_max;
    uint32_t takes; /* options beside --data and --json */
    int (*run)(struct saga_options *options, struct reach *reach);
    const char *words; /* for a usage error */
};

/* ---- asking ----------------------------------------------------------------------------------
 */

static int fail(const struct problem *problem, bool refused)
{
    if (refused && problem->status != STATUS_BUSY)
        return command_refuse(COMMAND, EXIT_INPUT, "%s", problem->text);
    return command_fail(COMMAND, problem);
}

/* The reply, or NULL when it was refused and said so: *ret_exit. */
static json_t *ask(struct reach *reach, json_t *request, int *ret_exit)
{
    struct problem problem = {0};
    json_t *reply = NULL;
    bool refused;
    enum status status = reach_ask(reach, request, &reply, &refused, &problem);
    *ret_exit = EXIT_DONE;
    if (status == STATUS_OK)
        return reply;
    problem.status = status;
    *ret_exit = fail(&problem, refused);
    return NULL;
}

static void print_json(const json_t *reply)
{
    report_print_json(json_incref((json_t *)(uintptr_t)reply), stdout);
}

/* ---- verbs -----------------------------------------------------------------------------------
 */

static int run_change(struct saga_options *options, struct reach *reach)
{
    int exit_code;
    json_t *reply = ask(reach, options->request, &exit_code);
    if (reply == NULL)
        return exit_code;
    int64_t saga_id = json_integer_value(json_object_get(reply, "saga"));
    if (options->json)
        print_json(reply);
    else if (json_is_true(json_object_get(reply, "existed")))
        printf("saga %" PRId64 ": was started under this name before\n", saga_id);
    else
        printf("saga %" PRId64 ": %s is durable\n", saga_id, options->verb->name);
    json_decref(reply);
    return EXIT_DONE;
}

/* An engine elsewhere reads its history itself. */
static enum status list(struct saga_options *options, struct reach *reach, json_t **ret_reply,
                        bool *ret_refused, struct problem *problem)
{
    if (reach->address != NULL) {
        if (options->cursor != NULL)
            json_object_set_new(options->request, "cursor", json_string(options->cursor));
        return reach_ask(reach, options->request, ret_reply, ret_refused, problem);
    }
    struct asker asker = reach_asker(reach);
    return saga_list(&asker, options->request, options->cursor, ret_reply, ret_refused, problem);
}

static int run_list(struct saga_options *options, struct reach *reach)
{
    struct problem problem = {0};
    json_t *reply = NULL;
    bool refused;
    enum status status = list(options, reach, &reply, &refused, &problem);
    if (status != STATUS_OK)
        return fail(&problem, refused);
    if (options->json)
        print_json(reply);
    else
        saga_print_list(reply, stdout);
    json_decref(reply);
    return EXIT_DONE;
}

static int run_counts(struct saga_options *options, struct reach *reach)
{
    int exit_code;
    json_t *reply = ask(reach, options->request, &exit_code);
    if (reply == NULL)
        return exit_code;
    if (options->json)
        print_json(reply);
    else
        saga_print_counts(reply, stdout);
    json_decref(reply);
    return EXIT_DONE;
}

/* The saga that is meant, by its id or its name: what `show` says of it. */
static json_t *look(const struct saga_options *options, struct reach *reach, int *ret_exit)
{
    json_t *request = json_copy(options->request);
    json_object_set_new(request, "do", json_string("show"));
    json_t *reply = ask(reach, request, ret_exit);
    json_decref(request);
    return reply;
}

static bool has_ended(const json_t *look)
{
    const char *state = json_string_value(json_object_get(look, "state"));
    return state != NULL && strcmp(state, "ENDED") == 0;
}

/* Of a saga of an engine elsewhere: it is told as JSON. */
static int tell_remote(struct reach *reach, uint64_t saga_id)
{
    int exit_code;
    json_t *request = json_pack("{s:s, s:I}", "do", "history", "saga", (json_int_t)saga_id);
    json_t *life = ask(reach, request, &exit_code);
    json_decref(request);
    if (life != NULL)
        report_print_json(life, stdout);
    return exit_code;
}

static int tell(const struct saga_options *options, struct reach *reach, const json_t *look)
{
    struct problem problem = {0};
    json_t *life = NULL;
    uint64_t saga_id = (uint64_t)json_integer_value(json_object_get(look, "saga"));
    if (reach->address != NULL)
        return tell_remote(reach, saga_id);
    struct asker asker = reach_asker(reach);
    enum status status = life_tell(&asker, saga_id, options->json ? NULL : stdout, &life, &problem);
    if (status != STATUS_OK)
        return fail(&problem, status == STATUS_NOT_FOUND);
    if (life != NULL) {
        json_object_set(life, "state", json_object_get(look, "state"));
        report_print_json(life, stdout);
    }
    return EXIT_DONE;
}

static int run_show(struct saga_options *options, struct reach *reach)
{
    int exit_code;
    json_t *reply = look(options, reach, &exit_code);
    if (reply == NULL)
        return exit_code;
    if (has_ended(reply))
        exit_code = tell(options, reach, reply);
    else if (options->json)
        print_json(reply);
    else
        saga_print_show(reply, stdout);
    json_decref(reply);
    return exit_code;
}

static int run_history(struct saga_options *options, struct reach *reach)
{
    int exit_code;
    json_t *reply = look(options, reach, &exit_code);
    if (reply == NULL)
        return exit_code;
    exit_code = tell(options, reach, reply);
    json_decref(reply);
    return exit_code;
}

/* What it had done is read from its history, and sent as a new saga. */
static int run_redrive(struct saga_options *options, struct reach *reach)
{
    int exit_code;
    json_t *reply = look(options, reach, &exit_code);
    if (reply == NULL)
        return exit_code;
    uint64_t saga_id = (uint64_t)json_integer_value(json_object_get(reply, "saga"));
    bool ended = has_ended(reply);
    const char *state = json_string_value(json_object_get(reply, "state"));
    bool stuck = state != NULL && strcmp(state, "STUCK") == 0;
    json_decref(reply);
    if (!ended)
        return command_refuse(COMMAND, EXIT_INPUT,
                              stuck ? "saga %" PRIu64 " is stuck: retry it, skip the step it is "
                                      "stuck at, or resolve it"
                                    : "saga %" PRIu64 " has not ended: cancel it, or wait",
                              saga_id);
    if (reach->address != NULL) /* which reads what it had done itself */
        return run_change(options, reach);
    struct problem problem = {0};
    json_t *request = NULL;
    struct asker asker = reach_asker(reach);
    enum status status = redrive_prepare(&asker, saga_id, &request, &problem);
    if (status != STATUS_OK)
        return fail(&problem, status != STATUS_IO && status != STATUS_NO_MEMORY);
    json_decref(options->request);
    options->request = request;
    return run_change(options, reach);
}

/* Until it has an outcome or is stuck; without an engine it would be for ever. */
static int run_wait(struct saga_options *options, struct reach *reach)
{
    static const struct timespec pause = {.tv_nsec = WAIT_LOOK_NS};
    uint64_t began_ns = clock_now_ns();
    for (;;) {
        int exit_code;
        json_t *reply = look(options, reach, &exit_code);
        if (reply == NULL)
            return exit_code;
        const char *outcome = json_string_value(json_object_get(reply, "outcome"));
        if (outcome != NULL && strcmp(outcome, "STUCK") == 0)
            exit_code = command_refuse(COMMAND, EXIT_FAILED,
                                       "the saga is stuck: `flyover saga show` says where, then "
                                       "retry, skip or resolve it");
        else if (outcome != NULL || has_ended(reply))
            exit_code = tell(options, reach, reply);
        else
            exit_code = -1;
        json_decref(reply);
        if (exit_code >= 0)
            return exit_code;
        if (reach->partition != NULL)
            return command_refuse(COMMAND, EXIT_FAILED,
                                  "the saga has not ended, and no engine runs that could end it");
        if (options->timeout_s >= 0 &&
            (double)(clock_now_ns() - began_ns) / 1e9 >= options->timeout_s)
            return command_refuse(COMMAND, EXIT_FAILED, "the saga has not ended in time");
        nanosleep(&pause, NULL);
    }
}

static const struct verb verbs[] = {
    {"start", 1, 1,
     BIT(KEY_NAME) | BIT(KEY_INPUT) | BIT(KEY_AT) | BIT(KEY_DELAY) | BIT(KEY_DEADLINE) |
         BIT(KEY_TRACE) | BIT(KEY_PRIORITY),
     run_change, "start DEFINITION[:VERSION]"},
    {"list", 0, 0,
     BIT(KEY_NAME) | BIT(KEY_STATE) | BIT(KEY_DEFINITION) | BIT(KEY_AFTER) | BIT(KEY_BEFORE) |
         BIT(KEY_LIMIT) | BIT(KEY_CURSOR) | BIT(KEY_ERROR),
     run_list, "list"},
    {"counts", 0, 0, 0, run_counts, "counts"},
    {"show", 0, 1, BIT(KEY_NAME), run_show, "show SAGA"},
    {"history", 0, 1, BIT(KEY_NAME), run_history, "history SAGA"},
    {"wait", 0, 1, BIT(KEY_NAME) | BIT(KEY_TIMEOUT), run_wait, "wait SAGA"},
    {"cancel", 0, 1, BIT(KEY_NAME) | BIT(KEY_ABORT) | BIT(KEY_REASON), run_change, "cancel SAGA"},
    {"signal", 1, 2, BIT(KEY_NAME) | BIT(KEY_PAYLOAD), run_change, "signal SAGA SIGNAL"},
    {"answer", 1, 1, BIT(KEY_OUTPUT) | BIT(KEY_ERROR) | BIT(KEY_CAUSE), run_change, "answer TOKEN"},
    {"heartbeat", 1, 1, 0, run_change, "heartbeat TOKEN"},
    {"retry", 0, 1, BIT(KEY_NAME) | BIT(KEY_REASON), run_change, "retry SAGA"},
    {"skip", 0, 1, BIT(KEY_NAME) | BIT(KEY_REASON) | BIT(KEY_OUTPUT), run_change, "skip SAGA"},
    {"resolve", 0, 1, BIT(KEY_NAME) | BIT(KEY_REASON), run_change, "resolve SAGA"},
    {"redrive", 0, 1, BIT(KEY_NAME), run_redrive, "redrive SAGA"},
};
#define VERBS_COUNT (sizeof verbs / sizeof verbs[0])

/* ---- the command line ------------------------------------------------------------------------
 */

static const struct argp_option options_list[] = {
    {"data", 'd', "DIR", 0, "The data directory, whether an engine runs on it or not", 0},
    {"json", KEY_JSON, NULL, 0, "Print one JSON object", 0},
    {"name", KEY_NAME, "NAME", 0,
     "start: what the saga is called, so that a second start is none; else: the saga of that name, "
     "in place of its number",
     0},
    {"input", KEY_INPUT, "JSON", 0, "start: its input (default {})", 1},
    {"at", KEY_AT, "TIME", 0, "start: when it begins, as 2026-12-24T18:00:00Z", 1},
    {"delay", KEY_DELAY, "SECONDS", 0, "start: after how long it begins", 1},
    {"deadline", KEY_DEADLINE, "TIME", 0, "start: when it must have ended, else it is out of time",
     1},
    {"trace", KEY_TRACE, "TRACEPARENT", 0, "start: W3C trace context, handed to its workers", 1},
    {"priority", KEY_PRIORITY, "low|normal|high", 0,
     "start: who is told last that there is no room (default normal)", 1},
    {"payload", KEY_PAYLOAD, "JSON", 0, "signal: what it carries (default null)", 1},
    {"output", KEY_OUTPUT, "JSON", 0, "answer, skip: the result of the step (default null)", 1},
    {"error", KEY_ERROR, "NAME", 0,
     "answer: the step has failed with this error; list: sagas that have", 1},
    {"cause", KEY_CAUSE, "TEXT", 0, "answer: why it has failed", 1},
    {"abort", KEY_ABORT, NULL, 0, "cancel: at once, and nothing is compensated", 1},
    {"reason", KEY_REASON, "TEXT", 0, "cancel, retry, skip, resolve: kept in the saga's history",
     1},
    {"timeout", KEY_TIMEOUT, "SECONDS", 0, "wait: for so long", 1},
    {"state", KEY_STATE, "STATE", 0,
     "list: RUNNING, SLEEPING, AWAITING, COMPENSATING, STUCK, ENDING or LIVE for all of these; "
     "SUCCEEDED, FAILED, COMPENSATED, ABORTED or ENDED for all of those",
     2},
    {"definition", KEY_DEFINITION, "NAME[:VERSION]", 0, "list: sagas of this definition", 2},
    {"after", KEY_AFTER, "TIME", 0, "list: started then or later", 2},
    {"before", KEY_BEFORE, "TIME", 0, "list: started before that", 2},
    {"limit", KEY_LIMIT, "N", 0, "list: so many at most (default 50)", 2},
    {"cursor", KEY_CURSOR, "CURSOR", 0, "list: go on where the last page ended", 2},
    {0},
};

static const char *option_name(uint32_t bit)
{
    for (size_t i = 0; options_list[i].name != NULL; i++)
        if (options_list[i].key >= KEY_JSON && BIT(options_list[i].key) == bit)
            return options_list[i].name;
    return "";
}

static void set_text(struct argp_state *state, const char *key, const char *text)
{
    struct saga_options *options = state->input;
    json_t *value = json_string(text);
    if (value == NULL)
        argp_error(state, "'%.80s' is not UTF-8", text);
    json_object_set_new(options->request, key, value);
}

static void set_json(struct argp_state *state, const char *key, const char *text)
{
    struct saga_options *options = state->input;
    json_error_t error;
    json_t *value = json_loads(text, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (value == NULL)
        argp_error(state, "--%s is not JSON: %s at column %d", key, error.text, error.column);
    json_object_set_new(options->request, key, value);
}

static void set_number(struct argp_state *state, const char *key, const char *option,
                       const char *text)
{
    struct saga_options *options = state->input;
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number == 0)
        argp_error(state, "%s takes a number from 1 on, not '%.80s'", option, text);
    json_object_set_new(options->request, key, json_integer(number));
}

static void set_time(struct argp_state *state, const char *key, const char *option,
                     const char *text)
{
    struct saga_options *options = state->input;
    int64_t time_ms;
    struct flyover_bytes bytes = {(const uint8_t *)text, (uint32_t)strlen(text)};
    if (!plan_parse_timestamp(bytes, &time_ms))
        argp_error(state, "%s takes a time such as 2026-12-24T18:00:00Z, not '%.80s'", option,
                   text);
    json_object_set_new(options->request, key, json_integer(time_ms));
}

static double parse_seconds(struct argp_state *state, const char *option, const char *text)
{
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !(seconds >= 0) || seconds > 1e10)
        argp_error(state, "%s takes a number of seconds, not '%.80s'", option, text);
    return seconds;
}

/* "order:2" */
static void set_definition(struct argp_state *state, const char *text)
{
    struct saga_options *options = state->input;
    const char *colon = strrchr(text, ':');
    json_t *name = json_stringn(text, colon == NULL ? strlen(text) : (size_t)(colon - text));
    if (name == NULL)
        argp_error(state, "'%.80s' is not UTF-8", text);
    json_object_set_new(options->request, "definition", name);
    if (colon != NULL)
        set_number(state, "version", "the version behind a definition's name", colon + 1);
}

static void set_option(struct argp_state *state, int key, const char *text)
{
    struct saga_options *options = state->input;
    switch (key) {
    case KEY_JSON: options->json = true; break;
    case KEY_NAME: set_text(state, "name", text); break;
    case KEY_INPUT: set_json(state, "input", text); break;
    case KEY_AT: set_time(state, "at_ms", "--at", text); break;
    case KEY_DEADLINE: set_time(state, "deadline_ms", "--deadline", text); break;
    case KEY_TRACE: set_text(state, "trace", text); break;
    case KEY_PRIORITY: set_text(state, "priority", text); break;
    case KEY_DELAY: {
        double delay_s = parse_seconds(state, "--delay", text);
        json_object_set_new(options->request, "at_ms",
                            json_integer(clock_wall_ms() + (int64_t)(delay_s * 1000)));
        break;
    }
    case KEY_PAYLOAD: set_json(state, "payload", text); break;
    case KEY_OUTPUT: set_json(state, "output", text); break;
    case KEY_ERROR: set_text(state, "error", text); break;
    case KEY_CAUSE: set_text(state, "cause", text); break;
    case KEY_ABORT: json_object_set_new(options->request, "abort", json_true()); break;
    case KEY_REASON: set_text(state, "reason", text); break;
    case KEY_STATE: set_text(state, "state", text); break;
    case KEY_DEFINITION: set_definition(state, text); break;
    case KEY_AFTER: set_time(state, "started_from_ms", "--after", text); break;
    case KEY_BEFORE: set_time(state, "started_before_ms", "--before", text); break;
    case KEY_LIMIT: set_number(state, "limit", "--limit", text); break;
    case KEY_CURSOR: options->cursor = text; break;
    case KEY_TIMEOUT: options->timeout_s = parse_seconds(state, "--timeout", text); break;
    default: break;
    }
    options->given |= BIT(key);
}

static void take_word(struct argp_state *state, const char *word)
{
    struct saga_options *options = state->input;
    if (options->verb != NULL) {
        if (options->words_count == options->verb->words_max)
            argp_error(state, "'%.80s' is one word too many: %s", word, options->verb->words);
        options->words[options->words_count++] = word;
        return;
    }
    for (size_t i = 0; i < VERBS_COUNT; i++)
        if (strcmp(verbs[i].name, word) == 0)
            options->verb = &verbs[i];
    if (options->verb == NULL)
        argp_error(state, "there is no 'saga %.80s'", word);
    json_object_set_new(options->request, "do", json_string(word));
}

static bool is_verb(const struct saga_options *options, const char *name)
{
    return strcmp(options->verb->name, name) == 0;
}

/* Puts the words behind the verb where they belong. */
static void place_words(struct argp_state *state)
{
    struct saga_options *options = state->input;
    const struct verb *verb = options->verb;
    bool by_name = (options->given & BIT(KEY_NAME)) != 0 && !is_verb(options, "start");
    bool of_saga = verb->words_min < verb->words_max;
    uint32_t wanted = of_saga && by_name ? verb->words_min : verb->words_max;
    if (options->words_count > wanted)
        argp_error(state, "a saga has a number or a --name, not both");
    if (options->words_count < wanted)
        argp_error(state, "say which: %s%s", verb->words,
                   of_saga ? ", with its number or --name NAME" : "");
    uint32_t next = 0;
    if (of_saga && !by_name)
        set_number(state, "saga", "SAGA", options->words[next++]);
    if (is_verb(options, "signal"))
        set_text(state, "signal", options->words[next]);
    else if (is_verb(options, "start"))
        set_definition(state, options->words[next]);
    else if (is_verb(options, "answer") || is_verb(options, "heartbeat"))
        set_text(state, "token", options->words[next]);
}

static void check(struct argp_state *state)
{
    struct saga_options *options = state->input;
    if (options->verb == NULL)
        argp_error(state, "say what to do: start, list, counts, show, history, wait, cancel, "
                          "signal, answer, heartbeat, retry, skip, resolve or redrive");
    uint32_t strange = options->given & ~(options->verb->takes | BIT(KEY_JSON));
    if (strange != 0)
        argp_error(state, "saga %s takes no --%s", options->verb->name,
                   option_name(strange & -strange));
    if ((options->given & BIT(KEY_AT)) != 0 && (options->given & BIT(KEY_DELAY)) != 0)
        argp_error(state, "a saga begins --at a time or after a --delay, not both");
    if ((options->reach.directory == NULL) == (options->reach.address == NULL))
        argp_error(state, "say where the data is with --data DIR, or where an engine serves with "
                          "--connect ADDRESS");
    place_words(state);
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct saga_options *options = state->input;
    if (key == ARGP_KEY_INIT)
        state->child_inputs[0] = &options->reach;
    else if (key == 'd')
        options->reach.directory = text;
    else if (key >= KEY_JSON && key < KEY_END)
        set_option(state, key, text);
    else if (key == ARGP_KEY_ARG)
        take_word(state, text);
    else if (key == ARGP_KEY_END)
        check(state);
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

static const struct argp argp = {
    options_list,
    parse_option,
    "start DEFINITION[:VERSION]\n"
    "list\ncounts\nshow SAGA\nhistory SAGA\nwait SAGA\ncancel SAGA\nsignal SAGA SIGNAL\n"
    "answer TOKEN\nheartbeat TOKEN\nretry SAGA\nskip SAGA\nresolve SAGA\nredrive SAGA",
    "What an operator does with sagas, on a running engine (by DIR/control.sock, or where it "
    "serves with --connect) or on a data directory that none runs on; a change is reported when it "
    "is durable."
    "\vSAGA is its number, or --name NAME in place of it. retry, skip and resolve are for one that "
    "is stuck; skip also ends the waiting of one that sleeps. With --connect the history of a saga "
    "is printed as JSON.\n\n"
    "Example: flyover saga signal --data ./data 42 approved --payload '{\"by\": \"Ada\"}'",
    reach_argp_child,
    NULL,
    NULL,
};

int command_saga(int argc, char **argv)
{
    struct saga_options options = {.request = json_object(), .timeout_s = -1};
    command_parse(&argp, argc, argv, &options);
    int exit_code = options.verb->run(&options, &options.reach);
    struct problem problem = {0};
    if (reach_close(&options.reach, &problem) != STATUS_OK && exit_code == EXIT_DONE)
        exit_code = command_fail(COMMAND, &problem);
    json_decref(options.request);
    return exit_code;
}

int command_start(int argc, char **argv)
{
    static char title[] = "flyover saga", verb[] = "start";
    char **longer = calloc((size_t)argc + 2, sizeof *longer);
    if (longer == NULL)
        return command_refuse(COMMAND, EXIT_FAILED, "out of memory");
    longer[0] = title;
    longer[1] = verb;
    memcpy(longer + 2, argv + 1, (size_t)(argc - 1) * sizeof *longer);
    int exit_code = command_saga(argc + 1, longer);
    free(longer);
    return exit_code;
}
