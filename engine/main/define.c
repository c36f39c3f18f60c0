#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/admin/timeline.h"
#include "engine/main/command.h"
#include "engine/main/reach_remote.h"
#include "engine/main/report.h"
#include "engine/main/saga_print.h"
#include "engine/saga/plan.h"
#include "engine/saga/transition.h"
#include "engine/service/plugin.h"

#define COMMAND "define"

struct define_options {
    const char *file;
    const char *name; /* NULL: the file's base name up to the first dot */
    struct plugin_path plugins;
    struct reach reach; /* its directory: with `list` */
    bool list;
    bool json;
    bool no_services;
};

enum { KEY_PLUGIN_DIR = 1000, KEY_NO_SERVICES, KEY_JSON, KEY_DIAGRAM, KEY_LIST };

static const struct argp_option options_list[] = {
    {"name", 'n', "NAME", 0, "Its name (default: the file's name up to the first dot)", 0},
    {"plugin-dir", KEY_PLUGIN_DIR, "DIR", 0, "Look for plug-ins here first, may be given again", 0},
    {"no-services", KEY_NO_SERVICES, NULL, 0, "Do not look for the services and handlers", 0},
    {"json", KEY_JSON, NULL, 0, "Print one JSON object instead of the table", 0},
    {"diagram", KEY_DIAGRAM, NULL, 0,
     "Print what a saga's branch can do, as a Mermaid state diagram, and nothing else", 0},
    {"list", KEY_LIST, NULL, 0,
     "Print the definitions of a data directory, when each was made and how many sagas it has, in "
     "place of a check",
     1},
    {"data", 'd', "DIR", 0, "With --list: the data directory, whether an engine runs on it or not",
     1},
    {0},
};

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct define_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &options->reach; return 0;
    case 'n': options->name = text; return 0;
    case KEY_PLUGIN_DIR: {
        struct problem problem;
        if (command_add_plugin_directory(&options->plugins, text, &problem) != STATUS_OK)
            argp_error(state, "--plugin-dir %s", problem.text);
        return 0;
    }
    case KEY_NO_SERVICES: options->no_services = true; return 0;
    case KEY_JSON: options->json = true; return 0;
    case KEY_DIAGRAM: transition_print_diagram(stdout); exit(EXIT_DONE);
    case ARGP_KEY_ARG:
        if (options->file != NULL)
            argp_error(state, "one definition at a time: %s, or %s?", options->file, text);
        options->file = text;
        return 0;
    case KEY_LIST: options->list = true; return 0;
    case 'd': options->reach.directory = text; return 0;
    case ARGP_KEY_END:
        if (options->reach.directory != NULL && options->reach.address != NULL)
            argp_error(state, "--data or --connect, not both");
        if (options->reach.directory != NULL && !options->list)
            argp_error(state, "--list and --data DIR go together");
        if (options->list && options->reach.directory == NULL && options->reach.address == NULL)
            argp_error(state, "--list and --data DIR go together, or --connect ADDRESS");
        if (options->list && options->file != NULL)
            argp_error(state, "--list or a file, not both");
        if (!options->list && options->file == NULL)
            argp_error(state, "name the file of a definition, or - for standard input");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    options_list,
    parse_option,
    "FILE\n--list --data DIR\n--connect ADDRESS FILE",
    "Checks a saga definition (Amazon States Language, JSON; - is standard input) and prints the "
    "plan that it compiles to. Every service and handler that it names is looked for. With "
    "--connect an engine that serves there takes it, under its name, for sagas from then on."
    "\vWithout --connect nothing is written: ingest, bench and serve take definitions from their "
    "files.\n\n"
    "Example: flyover define order.asl.json",
    reach_argp_child,
    NULL,
    NULL,
};

static bool is_standard_input(const struct define_options *options)
{
    return strcmp(options->file, "-") == 0;
}

/* What sentences call the text. */
static const char *source_of(const struct define_options *options)
{
    return is_standard_input(options) ? "stdin" : options->file;
}

/* *ret_text is the caller's. */
static enum status compile(const struct define_options *options, struct plan **ret_plan,
                           char **ret_text, struct problem *problem)
{
    const char *source = source_of(options);
    const char *path = is_standard_input(options) ? "/dev/stdin" : options->file;
    const char *slash = strrchr(source, '/');
    const char *base = slash == NULL ? source : slash + 1;
    char *name = options->name != NULL ? strdup(options->name) : strndup(base, strcspn(base, "."));
    if (name == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "out of memory");
    char *text = NULL;
    size_t text_bytes;
    enum status status =
        command_read_file(path, PLAN_DEFINITION_BYTES_MAX, &text, &text_bytes, problem);
    if (status == STATUS_OK)
        status = plan_compile(name, source, text, text_bytes, ret_plan, problem);
    if (status == STATUS_OK)
        *ret_text = text;
    else
        free(text);
    free(name);
    return status;
}

/* ---- services ------------------------------------------------------------------------------- */

/* True for the first resource of its service. */
static bool names_service_first(const struct plan *plan, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++)
        if (strcmp(plan->resources[i].service, plan->resources[index].service) == 0)
            return false;
    return true;
}

static const char *state_that_asks(const struct plan *plan, uint32_t resource)
{
    for (uint32_t i = 0; i < plan->states_count; i++) {
        const struct plan_state *state = &plan->states[i];
        if (state->type != STATE_TASK)
            continue;
        if ((state->task_kind != TASK_SIGNAL && state->resource == resource) ||
            (state->compensated && state->undo_resource == resource))
            return state->name;
    }
    assert(false && "every resource of a plan is asked for by a state");
    return "";
}

static enum status refuse_handler(const struct plan *plan, uint32_t resource,
                                  const struct plugin *plugin, struct problem *problem)
{
    char known[FLYOVER_HANDLERS_MAX * (FLYOVER_NAME_BYTES_MAX + 2) + 1];
    size_t used = 0;
    for (uint32_t i = 0; i < plugin->service->handlers_count; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "",
                                 plugin->service->handlers[i].name);
    assert(used < sizeof known);
    return problem_set(problem, STATUS_INVALID,
                       "state \"%s\" asks service '%s' for '%s', which is none of its handlers: "
                       "%.500s%s",
                       state_that_asks(plan, resource), plan->resources[resource].service,
                       plan->resources[resource].handler, known, used > 500 ? "..." : "");
}

/* Of a plug-in, which reads the state's input as it is. */
static enum status refuse_templates(const struct plan *plan, uint32_t resource,
                                    struct problem *problem)
{
    bool undo;
    uint16_t found = plan_find_templated(plan, (uint16_t)resource, &undo);
    if (found == PLAN_NO_STATE)
        return STATUS_OK;
    return problem_set(problem, STATUS_UNSUPPORTED,
                       "state \"%s\"%s: InputPath, Parameters and ResultSelector are for services "
                       "outside of the engine, and service '%s' is a plug-in: leave them out",
                       plan->states[found].name, undo ? ", Compensate" : "",
                       plan->resources[resource].service);
}

static enum status check_service(const struct plan *plan, const struct plugin_path *path,
                                 uint32_t first, struct problem *problem)
{
    struct plugin plugin;
    struct problem missing;
    const char *service = plan->resources[first].service;
    enum status status = plugin_open(path, service, &plugin, &missing);
    if (status == STATUS_NOT_FOUND && plan_is_edge(service))
        return STATUS_OK;
    if (status != STATUS_OK)
        return problem_set(problem, status, "state \"%s\": %.900s", state_that_asks(plan, first),
                           missing.text);
    for (uint32_t i = first; i < plan->resources_count && status == STATUS_OK; i++)
        if (strcmp(plan->resources[i].service, service) == 0 &&
            plugin_find_handler(&plugin, plan->resources[i].handler) == PLUGIN_NO_HANDLER)
            status = refuse_handler(plan, i, &plugin, problem);
    for (uint32_t i = first; i < plan->resources_count && status == STATUS_OK; i++)
        if (strcmp(plan->resources[i].service, service) == 0)
            status = refuse_templates(plan, i, problem);
    plugin_close(&plugin);
    return status;
}

static enum status check_services(const struct plan *plan, const struct plugin_path *path,
                                  struct problem *problem)
{
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < plan->resources_count && status == STATUS_OK; i++)
        if (names_service_first(plan, i))
            status = check_service(plan, path, i, problem);
    return status;
}

/* ---- reports -------------------------------------------------------------------------------- */

struct task_counts {
    uint32_t tasks;
    uint32_t compensated;
    uint32_t fire_and_forget;
};

static struct task_counts count_tasks(const struct plan *plan)
{
    struct task_counts counts = {0};
    for (uint32_t i = 0; i < plan->states_count; i++) {
        counts.tasks += plan->states[i].type == STATE_TASK;
        counts.compensated += plan->states[i].compensated;
        counts.fire_and_forget += plan->states[i].fire_and_forget;
    }
    return counts;
}

static void print_summary(const struct plan *plan, bool services_checked)
{
    struct task_counts counts = count_tasks(plan);
    plan_print(plan, stdout);
    printf("\nvalid: %u state%s, %u task%s", plan->states_count, plan->states_count == 1 ? "" : "s",
           counts.tasks, counts.tasks == 1 ? "" : "s");
    if (counts.compensated > 0)
        printf(", %u compensated", counts.compensated);
    if (counts.fire_and_forget > 0)
        printf(", %u fire-and-forget", counts.fire_and_forget);
    for (uint32_t i = 0; i < plan->resources_count; i++)
        if (names_service_first(plan, i))
            printf("%s%s%s", i == 0 ? "; services: " : ", ", plan->resources[i].service,
                   plan_is_edge(plan->resources[i].service) ? " (an edge)" : "");
    printf("%s\n", plan->resources_count > 0 && !services_checked ? " (not looked for)" : "");
}

static void print_json(const struct plan *plan)
{
    struct task_counts counts = count_tasks(plan);
    json_t *services = json_array();
    for (uint32_t i = 0; i < plan->resources_count; i++)
        if (names_service_first(plan, i))
            json_array_append_new(services, json_string(plan->resources[i].service));
    report_print_json(json_pack("{s:s, s:i, s:i, s:i, s:o, s:b}", "name", plan->name, "states",
                                (int)plan->states_count, "tasks", (int)counts.tasks, "compensated",
                                (int)counts.compensated, "services", services, "valid", 1),
                      stdout);
}

static int list(const struct define_options *options)
{
    struct reach reach = options->reach;
    struct problem problem = {0};
    bool refused;
    json_t *reply = NULL;
    json_t *request = json_pack("{s:s}", "do", "definitions");
    enum status status = reach_ask(&reach, request, &reply, &refused, &problem);
    json_decref(request);
    if (status == STATUS_OK && options->json)
        report_print_json(json_incref(reply), stdout);
    else if (status == STATUS_OK)
        saga_print_definitions(reply, stdout);
    json_decref(reply);
    if (status == STATUS_OK)
        status = reach_close(&reach, &problem);
    else
        partition_free(reach.partition);
    return status == STATUS_OK ? EXIT_DONE : command_fail(COMMAND, &problem);
}

/* ---- an engine elsewhere -------------------------------------------------------------------- */

static enum status await_defined(struct flyover_client *client,
                                 struct flyover_answer_message *ret_answer, struct problem *problem)
{
    while (flyover_next(client, ret_answer, -1)) {
        if (ret_answer->kind == FLYOVER_DEFINED)
            return STATUS_OK;
        if (ret_answer->kind == FLYOVER_REFUSED_REQUEST)
            return problem_set(problem, reach_status(ret_answer->status), "%s",
                               ret_answer->problem);
    }
    return problem_set(problem, STATUS_IO, "%s", flyover_problem(client));
}

/* `services` of DEFINED: those that nobody serves yet. */
static void print_defined(const struct define_options *options, const struct plan *plan,
                          const struct flyover_answer_message *answer)
{
    json_t *services = timeline_payload_to_json(
        (struct flyover_bytes){answer->output, (uint32_t)answer->output_bytes});
    if (!json_is_array(services)) {
        json_decref(services);
        services = json_array();
    }
    if (options->json) {
        report_print_json(json_pack("{s:s, s:i, s:i, s:o}", "name", plan->name, "version",
                                    (int)answer->version, "plan", (int)answer->plan, "unserved",
                                    services),
                          stdout);
        return;
    }
    printf("%s: version %u (plan %u) is durable\n", plan->name, answer->version, answer->plan);
    size_t index;
    json_t *service;
    json_array_foreach(services, index, service)
        printf("nobody serves '%s' yet: its steps wait for a worker\n", json_string_value(service));
    json_decref(services);
}

static enum status send_definition(struct define_options *options, const struct plan *plan,
                                   const char *text, struct problem *problem)
{
    struct flyover_answer_message answer;
    enum status status = reach_connect(&options->reach, problem);
    if (status != STATUS_OK)
        return status;
    struct flyover_client *client = options->reach.client;
    enum flyover_status sent = flyover_send_define(client, plan->name, text, 0);
    if (sent != FLYOVER_OK)
        return problem_set(problem, reach_status(sent), "%s", flyover_problem(client));
    status = await_defined(client, &answer, problem);
    if (status == STATUS_OK)
        print_defined(options, plan, &answer);
    return status;
}

static int define_there(struct define_options *options, const struct plan *plan, const char *text)
{
    struct problem problem = {0}, closing;
    enum status status = send_definition(options, plan, text, &problem);
    problem.status = status;
    if (reach_close(&options->reach, &closing) != STATUS_OK && status == STATUS_OK)
        return command_fail(COMMAND, &closing);
    return status == STATUS_OK ? EXIT_DONE : command_fail(COMMAND, &problem);
}

int command_define(int argc, char **argv)
{
    struct define_options options = {0};
    command_parse(&argp, argc, argv, &options);
    if (options.list)
        return list(&options);
    struct plugin_path *plugins = &options.plugins;
    plugins->directories[plugins->directories_count++] = command_plugin_directory();
    struct plan *plan = NULL;
    struct problem problem = {0};
    char *text = NULL;
    enum status status = compile(&options, &plan, &text, &problem);
    bool is_there = options.reach.address != NULL; /* whose services are its own */
    if (status == STATUS_OK && !options.no_services && !is_there) {
        struct problem inner = {0};
        status = check_services(plan, plugins, &inner);
        if (status != STATUS_OK)
            problem_set(&problem, status, "%s: %s", source_of(&options), inner.text);
    }
    int exit_code = EXIT_DONE;
    if (status == STATUS_NO_MEMORY)
        exit_code = command_fail(COMMAND, &problem);
    else if (status != STATUS_OK)
        exit_code = command_refuse(COMMAND, EXIT_INPUT, "%s", problem.text);
    else if (is_there)
        exit_code = define_there(&options, plan, text);
    else if (options.json)
        print_json(plan);
    else
        print_summary(plan, !options.no_services);
    plan_free(plan);
    free(text);
    return exit_code;
}
