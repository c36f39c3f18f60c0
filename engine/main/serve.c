#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/main/command.h"
#include "engine/main/serve_parts.h"
#include "engine/net/wire.h"
#include "flyover_commit.h"

#define COMMAND         "serve"
#define CONFIG_VARIABLE "FLYOVER_CONFIG"
#define ADDRESSES_BYTES ((TRANSPORT_ADDRESS_BYTES + 1) * TRANSPORT_LISTENERS_MAX)
#define RECV_BUFFERS    64u
#define OUT_FRAMES      8u

/* ---- the command line ------------------------------------------------------------------------ */

enum { KEY_CONFIG = 'c', KEY_PRINT_CONFIG = 1000 };

static const struct argp_option own_options[] = {
    {"config", KEY_CONFIG, "FILE", 0,
     "The configuration, YAML; also by " CONFIG_VARIABLE ". Each setting below can stand there", 1},
    {"print-config", KEY_PRINT_CONFIG, NULL, 0,
     "Print the settings in effect, and where each came from, and leave", 1},
    {0},
};

struct command_line {
    struct serve *serve;
    bool prints_config;
};

static error_t parse_flag(int flag, char *text, struct argp_state *state)
{
    struct command_line *line = state->input;
    const struct config_key *key = serve_options_key(flag);
    struct problem problem;
    if (key == NULL)
        return ARGP_ERR_UNKNOWN;
    if (config_read_flag(line->serve->config, key, text, &problem) != STATUS_OK)
        argp_error(state, "%s", problem.text);
    return 0;
}

static char *filter_help(int flag, const char *text, void *input)
{
    (void)input;
    return config_help(serve_options_key(flag), text);
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct command_line *line = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = line; return 0;
    case KEY_CONFIG: line->serve->config_file = text; return 0;
    case KEY_PRINT_CONFIG: line->prints_config = true; return 0;
    case ARGP_KEY_ARG: argp_error(state, "'%.80s' is no option", text); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static void parse(struct command_line *line, int argc, char **argv)
{
    struct argp flags = {serve_options_flags(), parse_flag, NULL, NULL, NULL, filter_help, NULL};
    const struct argp_child children[] = {{&flags, 0, NULL, 0}, {0}};
    const struct argp argp = {
        own_options,
        parse_option,
        NULL,
        "Runs the engine and answers clients, workers and operators over sockets until SIGTERM. "
        "SIGHUP: reads tokens, certificates, limits of services and the log's level again."
        "\vEach setting has a place in the configuration file, a variable FLYOVER_SECTION_KEY "
        "and a flag; flags win over variables, and those over the file. --print-config shows all "
        "of them.\n\n"
        "Example: flyover serve --data ./data --define order.asl.json",
        children,
        NULL,
        NULL,
    };
    line->serve->config_file = getenv(CONFIG_VARIABLE);
    command_parse(&argp, argc, argv, line);
}

/* The flags were checked as they came; what is wrong now stands in a file or a variable. */
static int read_config(struct serve *serve)
{
    struct problem problem = {0};
    enum status status = STATUS_OK;
    if (serve->config_file != NULL)
        status = config_read_file(serve->config, serve->config_file, &problem);
    if (status == STATUS_OK)
        status = config_read_environment(serve->config, environ, &problem);
    if (status == STATUS_OK)
        status = config_store(serve->config, &problem);
    if (status != STATUS_OK)
        return command_refuse(COMMAND, problem.text[0] == '-' ? EXIT_USAGE : EXIT_INPUT, "%s",
                              problem.text);
    return EXIT_DONE;
}

/* ---- start -----------------------------------------------------------------------------------
 */

static int open_engine(struct serve *serve)
{
    struct problem problem = {0};
    struct session_options *options = &serve->options.session;
    options->remote = true;
    options->recovered_blocks = &serve->recovered_blocks;
    options->sleep = (struct partition_sleep){
        .block = serve_block, .context = serve, .event_fd = serve->wake_fd};
    enum status status = session_open_engine(options, &serve->session, &problem);
    return status == STATUS_OK ? EXIT_DONE : command_fail(COMMAND, &problem);
}

static void say_recovered(struct serve *serve)
{
    const struct partition *partition = serve->session.partition;
    const struct recovery_report *recovery = partition_recovery(partition);
    const struct core *core = partition_state(partition)->core;
    log_say(&serve->log, LOG_INFO, "recovered", LOG_TEXT("data", serve->options.session.directory),
            LOG_NUMBER("from_block", partition_recovered_from(partition)),
            LOG_NUMBER("blocks", recovery->blocks_count),
            LOG_NUMBER("records", recovery->records_count),
            LOG_NUMBER("sagas", core_totals(core).started),
            LOG_NUMBER("running", core_sagas_live(core)));
    if (recovery->loss.status != STATUS_OK)
        log_say(&serve->log, LOG_WARN, "loss_accepted",
                LOG_NUMBER("blocks", recovery->lost_blocks_count),
                LOG_TEXT("text", recovery->loss.text), LOG_TEXT("saved", recovery->lost_name));
    const char *history = partition_history_problem(partition);
    if (history[0] != '\0')
        log_say(&serve->log, LOG_WARN, "history", LOG_TEXT("text", history));
    if (serve->session.control_problem.text[0] != '\0')
        log_say(&serve->log, LOG_WARN, "no_control_socket",
                LOG_TEXT("text", serve->session.control_problem.text));
}

static int define_all(struct serve *serve)
{
    struct problem problem = {0};
    for (uint32_t i = 0; i < serve->options.definitions_count; i++) {
        const char *file = serve->options.definitions[i];
        uint32_t plan;
        if (session_define(&serve->session, file, &plan, &problem) != STATUS_OK)
            return command_refuse(COMMAND, EXIT_INPUT, "%s", problem.text);
        const struct partition_state *state = partition_state(serve->session.partition);
        log_say(&serve->log, LOG_INFO, "defined",
                LOG_TEXT("definition", core_plan(state->core, plan)->name),
                LOG_NUMBER("version", state->definitions[plan].version), LOG_TEXT("file", file));
    }
    return EXIT_DONE;
}

static int check_settings(struct serve *serve)
{
    struct problem problem = {0};
    const struct plugin_path *plugins = &serve->options.session.plugins;
    if (session_check_settings(&serve->session, plugins->settings, plugins->settings_count,
                               &problem) != STATUS_OK)
        return command_fail(COMMAND, &problem);
    return EXIT_DONE;
}

static int open_access(struct serve *serve)
{
    struct problem problem = {0};
    const struct serve_options *options = &serve->options;
    enum status status = STATUS_OK;
    if (options->token_file != NULL)
        status = access_open(options->token_file, &serve->access, &problem);
    if (status == STATUS_OK && options->certificate_file != NULL) {
        const struct tls_options tls = {
            .certificate_file = options->certificate_file,
            .key_file = options->key_file,
            .ca_file = options->ca_file,
            .client_required = options->client_required,
        };
        status = tls_open(&tls, &serve->tls, &problem);
    }
    return status == STATUS_OK ? EXIT_DONE
                               : command_refuse(COMMAND, EXIT_INPUT, "%s", problem.text);
}

static enum status open_transport(struct serve *serve, struct problem *problem)
{
    const struct serve_options *options = &serve->options;
    struct transport_options transport = {
        .listen_count = options->addresses_count,
        .threads = options->threads,
        .connections_max = options->connections_max,
        .out_bytes_max = options->output_bytes,
        .out_bytes_a_connection_max = OUT_FRAMES * WIRE_FRAME_BYTES_MAX,
        .recv_buffers = RECV_BUFFERS,
        .tls = serve->tls,
        .wake_fd = serve->wake_fd,
    };
    memcpy(transport.listen, options->addresses, sizeof transport.listen);
    return transport_open(&transport, &serve->transport, problem);
}

/* Threads of these are to run where they like, and not where the engine was pinned to. */
static enum status open_on(const cpu_set_t *cpus, struct serve *serve,
                           enum status (*open_it)(struct serve *serve, struct problem *problem),
                           struct problem *problem)
{
    cpu_set_t pinned;
    bool is_pinned = sched_getaffinity(0, sizeof pinned, &pinned) == 0 &&
                     sched_setaffinity(0, sizeof *cpus, cpus) == 0;
    enum status status = open_it(serve, problem);
    if (is_pinned && sched_setaffinity(0, sizeof pinned, &pinned) != 0 && status == STATUS_OK)
        status = problem_set(problem, STATUS_IO, "the thread cannot go back to its core: %s",
                             strerror(errno));
    return status;
}

/* That clients come and go is no news where there are many; that one was turned away is. */
static enum log_level level_of(const char *event)
{
    if (strcmp(event, "cut") == 0 || strcmp(event, "refused") == 0)
        return LOG_WARN;
    return strcmp(event, "registered") == 0 ? LOG_INFO : LOG_DEBUG;
}

static void on_server_log(void *context, const char *event, const char *peer, const char *text)
{
    struct serve *serve = context;
    log_say(&serve->log, level_of(event), event, LOG_TEXT("peer", peer), LOG_TEXT("text", text));
}

static void on_end(void *context, const struct reply *reply)
{
    struct serve *serve = context;
    if (serve->edges != NULL)
        edges_hear_end(serve->edges, reply);
}

static bool serves(void *context, const char *service)
{
    const struct serve *serve = context;
    return serve->edges != NULL && edges_serve(serve->edges, service);
}

static enum status open_server(struct serve *serve, struct problem *problem)
{
    const struct serve_options *options = &serve->options;
    const struct server_options server = {
        .partition = serve->session.partition,
        .transport = serve->transport,
        .access = serve->access,
        .version = FLYOVER_VERSION,
        .commit = FLYOVER_COMMIT,
        .durability = durability_name(options->session.durability),
        .directory =
            options->session.durability == DURABILITY_MEMORY ? NULL : options->session.directory,
        .connections_max = options->connections_max,
        .window = options->window,
        .hello_ms = options->hello_ms,
        .frame_ms = options->frame_ms,
        .heartbeat_ms = options->heartbeat_ms,
        .on_log = on_server_log,
        .log_context = serve,
        .on_end = on_end,
        .end_context = serve,
        .serves = serves,
        .serves_context = serve,
    };
    return server_open(&server, &serve->server, problem);
}

static int open_network(struct serve *serve, const cpu_set_t *cpus)
{
    struct problem problem = {0};
    enum status status = transport_probe(&problem);
    if (status == STATUS_OK)
        status = serve_limit_connections(serve, &problem);
    if (status == STATUS_OK)
        status = open_on(cpus, serve, open_transport, &problem);
    if (status == STATUS_OK)
        status = open_server(serve, &problem);
    if (status == STATUS_OK)
        return EXIT_DONE;
    return command_refuse(COMMAND, status == STATUS_INVALID ? EXIT_INPUT : EXIT_FAILED, "%s",
                          problem.text);
}

static bool is_input(enum status status)
{
    return status_class(status) == STATUS_CLASS_REJECT;
}

static int read_edges(struct serve *serve)
{
    struct problem problem = {0};
    enum status status = serve_read_edges(serve, &problem);
    if (status == STATUS_OK)
        return EXIT_DONE;
    return command_refuse(COMMAND, is_input(status) ? EXIT_INPUT : EXIT_FAILED, "%s", problem.text);
}

static int open_edges(struct serve *serve, const cpu_set_t *cpus)
{
    struct problem problem = {0};
    enum status status = open_on(cpus, serve, serve_open_edges, &problem);
    if (status == STATUS_OK)
        return EXIT_DONE;
    return command_refuse(COMMAND, is_input(status) ? EXIT_INPUT : EXIT_FAILED, "%s", problem.text);
}

static void list_addresses(const struct serve *serve, char ret_text[ADDRESSES_BYTES])
{
    size_t used = 0;
    ret_text[0] = '\0';
    for (uint32_t i = 0; i < serve->options.addresses_count; i++) {
        char address[TRANSPORT_ADDRESS_BYTES];
        transport_address(serve->transport, i, address);
        used += (size_t)snprintf(ret_text + used, ADDRESSES_BYTES - used, "%s%s", i == 0 ? "" : ",",
                                 address);
    }
}

static void say_listening(struct serve *serve)
{
    char addresses[ADDRESSES_BYTES];
    const struct serve_options *options = &serve->options;
    list_addresses(serve, addresses);
    for (uint32_t i = 0; i < options->addresses_count; i++)
        if (serve->tls == NULL && !serve_options_is_local(options->addresses[i]))
            log_say(&serve->log, LOG_WARN, "not_encrypted",
                    LOG_TEXT("address", options->addresses[i]),
                    LOG_TEXT("text", "tokens and payloads can be read on the way: give it "
                                     "--tls-certificate and --tls-key"));
    log_say(&serve->log, LOG_INFO, "listening", LOG_TEXT("address", addresses),
            LOG_TEXT("tls", serve->tls != NULL ? "yes" : "no"),
            LOG_TEXT("auth", serve->access != NULL      ? "tokens"
                             : options->client_required ? "certificates"
                                                        : "none"),
            LOG_TEXT("durability", durability_name(options->session.durability)),
            LOG_TEXT("version", FLYOVER_VERSION), LOG_TEXT("commit", FLYOVER_COMMIT));
}

/* Before the engine, so that it tells how far that is. */
static int open_metrics(struct serve *serve)
{
    struct problem problem = {0};
    const struct serve_options *options = &serve->options;
    bool in_memory = options->session.durability == DURABILITY_MEMORY;
    const struct metrics_options metrics = {
        .address = options->metrics_address,
        .version = FLYOVER_VERSION,
        .commit = FLYOVER_COMMIT,
        .durability = durability_name(options->session.durability),
        .directory = in_memory ? NULL : options->session.directory,
        .recovered_blocks = &serve->recovered_blocks,
        .wake_fd = serve->wake_fd,
    };
    if (options->metrics_address == NULL)
        return EXIT_DONE;
    enum status status = metrics_open(&metrics, &serve->metrics, &problem);
    if (status != STATUS_OK)
        return command_refuse(COMMAND, status == STATUS_INVALID ? EXIT_INPUT : EXIT_FAILED, "%s",
                              problem.text);
    log_say(&serve->log, LOG_INFO, "metrics", LOG_TEXT("address", metrics_address(serve->metrics)));
    return EXIT_DONE;
}

static void set_stage(struct serve *serve, enum metrics_stage stage)
{
    if (serve->metrics != NULL)
        metrics_set_stage(serve->metrics, stage);
}

static int start(struct serve *serve)
{
    cpu_set_t cpus;
    sched_getaffinity(0, sizeof cpus, &cpus);
    int exit_code = open_engine(serve);
    if (exit_code != EXIT_DONE)
        return exit_code;
    serve_catch_signals(serve);
    say_recovered(serve);
    exit_code = define_all(serve);
    if (exit_code == EXIT_DONE)
        exit_code = check_settings(serve);
    if (exit_code == EXIT_DONE)
        exit_code = open_network(serve, &cpus);
    if (exit_code == EXIT_DONE)
        exit_code = open_edges(serve, &cpus);
    return exit_code;
}

/* ---- end ------------------------------------------------------------------------------------- */

static int fail_running(struct serve *serve, const struct problem *problem)
{
    log_say(&serve->log, LOG_ERROR, "failed", LOG_TEXT("status", status_name(problem->status)),
            LOG_TEXT("text", problem->text));
    return command_exit_code(problem->status);
}

static int stop_engine(struct serve *serve)
{
    struct problem problem = {0};
    char digest[PARTITION_DIGEST_BYTES];
    set_stage(serve, METRICS_STOPPING);
    edges_close(serve->edges);
    serve->edges = NULL;
    enum status status = partition_stop(serve->session.partition, digest, &problem);
    if (status != STATUS_OK)
        return fail_running(serve, &problem);
    const struct core *core = partition_state(serve->session.partition)->core;
    log_say(&serve->log, LOG_INFO, "stopped", LOG_NUMBER("sagas", core_totals(core).started),
            LOG_NUMBER("running", core_sagas_live(core)), LOG_TEXT("digest", digest));
    return EXIT_DONE;
}

static int serve_and_stop(struct serve *serve)
{
    struct problem problem = {0};
    int signal = 0;
    /* Whoever hears that it listens may ask at once whether it is ready. */
    serve_tell_figures(serve, true);
    set_stage(serve, METRICS_SERVING);
    notify_init(&serve->notify);
    say_listening(serve);
    serve_say_edges(serve);
    notify_ready("serving");
    enum status status = serve_run(serve, &signal, &problem);
    if (status != STATUS_OK)
        return fail_running(serve, &problem);
    log_say(&serve->log, LOG_INFO, "stopping", LOG_NUMBER("signal", (uint64_t)signal),
            LOG_NUMBER("requests_open", server_counts(serve->server).requests_open));
    notify_stopping();
    set_stage(serve, METRICS_DRAINING);
    status = serve_drain(serve, &problem);
    if (status != STATUS_OK)
        return fail_running(serve, &problem);
    return stop_engine(serve);
}

static void close_all(struct serve *serve)
{
    metrics_close(serve->metrics);
    serve_tell_figures(serve, false);
    edges_close(serve->edges);
    json_decref(serve->edges_config);
    server_close(serve->server);
    transport_close(serve->transport);
    tls_close(serve->tls);
    access_close(serve->access);
    if (serve->session.partition != NULL)
        session_close(&serve->session);
    log_turn(&serve->log, true);
    if (serve->current != serve->config)
        config_close(serve->current);
    config_close(serve->config);
    close(serve->wake_fd);
}

static int run(struct serve *serve)
{
    struct problem problem = {0};
    const struct serve_options *options = &serve->options;
    if (serve_options_check(options, &problem) != STATUS_OK)
        return command_refuse(COMMAND, EXIT_USAGE, "%s", problem.text);
    log_init(&serve->log, options->log_level, options->log_format);
    serve->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (serve->wake_fd < 0)
        return command_refuse(COMMAND, EXIT_FAILED, "no eventfd can be made: %s", strerror(errno));
    /* Until there is something to reload it is nothing, in place of the end. */
    signal(SIGHUP, SIG_IGN);
    int exit_code = open_access(serve);
    if (exit_code == EXIT_DONE)
        exit_code = read_edges(serve);
    if (exit_code == EXIT_DONE)
        exit_code = open_metrics(serve);
    if (exit_code == EXIT_DONE)
        exit_code = start(serve);
    if (exit_code == EXIT_DONE)
        exit_code = serve_and_stop(serve);
    return exit_code;
}

int command_serve(int argc, char **argv)
{
    static struct serve serve = {.wake_fd = -1};
    if (serve_options_open(&serve.options, &serve.config) != STATUS_OK)
        return command_refuse(COMMAND, EXIT_FAILED, "out of memory");
    serve.current = serve.config;
    struct command_line line = {.serve = &serve};
    parse(&line, argc, argv);
    int exit_code = read_config(&serve);
    if (exit_code == EXIT_DONE && line.prints_config)
        config_print(serve.config, stdout);
    else if (exit_code == EXIT_DONE)
        exit_code = run(&serve);
    close_all(&serve);
    return exit_code;
}
