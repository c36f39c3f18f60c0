#include "engine/main/session.h"

#include <assert.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/main/command.h"
#include "engine/main/control.h"
#include "engine/saga/names.h"

#define WAIT_NS_MAX         200000000u
#define IN_USE_RETRY_NS     20000000
#define IN_USE_RETRIES_MAX  250u
#define RETENTION_HOURS_MAX (24u * 36525)
#define PAYLOAD_MIB_MIN     16u
#define PAYLOAD_MIB_MAX     (1u << 16)

enum {
    KEY_PLUGIN_DIR = 1000,
    KEY_ACCEPT_LOSS,
    KEY_SAGAS_MAX,
    KEY_NAMES_MAX,
    KEY_NAME_RETENTION,
    KEY_PAYLOAD,
    KEY_CHECKPOINT,
    KEY_HISTORY,
    KEY_HISTORY_HOURS,
    KEY_LIMIT,
    KEY_NO_PIN
};

static const struct argp_option options_list[] = {
    {"data", 'd', "DIR", 0, "The data directory; made if it is not there", 1},
    {"durability", 'D', "MODE", 0,
     "sync (default): acknowledged means on disk; async: with the OS; memory: nothing survives", 1},
    {"set", 's', "SERVICE.KEY=VALUE", 0, "A setting of a service, may be given again", 1},
    {"plugin-dir", KEY_PLUGIN_DIR, "DIR", 0, "Look for plug-ins here first, may be given again", 1},
    {"sagas-max", KEY_SAGAS_MAX, "N", 0,
     "Sagas that may run at once, for a new data directory (default 65536)", 1},
    {"names-max", KEY_NAMES_MAX, "N", 0,
     "Names of sagas kept at once, for a new data directory (default 1048576)", 1},
    {"name-retention-hours", KEY_NAME_RETENTION, "N", 0,
     "How long a name starts no second saga (default 24, and while its saga runs)", 1},
    {"payload-mib", KEY_PAYLOAD, "N", 0,
     "Room for inputs and outputs, for a new data directory (default 256)", 1},
    {"checkpoint-mib", KEY_CHECKPOINT, "N", 0,
     "Journal between two checkpoints, in MiB (default 1024); 0: none is taken", 1},
    {"history-mib", KEY_HISTORY, "N", 0,
     "Journal kept to tell of finished sagas, in MiB (default 4096); older blocks go with a "
     "checkpoint; 0: none is kept",
     1},
    {"history-hours", KEY_HISTORY_HOURS, "N", 0,
     "Nothing older than this is kept for history either (default 0: however old)", 1},
    {"limit", KEY_LIMIT, "SERVICE.in-flight=N|SERVICE.rate=N", 0,
     "At most N steps with the service at once, or begun there a second; may be given again", 1},
    {"accept-loss", KEY_ACCEPT_LOSS, NULL, 0,
     "Go on without blocks that are damaged or missing; they are saved aside", 1},
    {"no-pin", KEY_NO_PIN, NULL, 0, "Do not pin threads to cores", 1},
    {0},
};

static void add_setting(struct argp_state *state, struct plugin_path *plugins, const char *text)
{
    struct problem problem;
    if (plugins->settings_count == PLUGIN_SETTINGS_MAX)
        argp_error(state, "more than %u settings", PLUGIN_SETTINGS_MAX);
    else if (plugin_setting_parse(text, &plugins->settings[plugins->settings_count++], &problem) !=
             STATUS_OK)
        argp_error(state, "%s", problem.text);
}

/* The limits of the service, new or given before. */
static struct dispatch_limits *limits_of(struct argp_state *state, struct session_options *options,
                                         const char *name, size_t name_bytes)
{
    struct partition_service_limits *found = options->service_limits;
    struct partition_service_limits *end = found + options->service_limits_count;
    while (found < end &&
           (strlen(found->service) != name_bytes || memcmp(found->service, name, name_bytes) != 0))
        found++;
    if (found == end) {
        if (options->service_limits_count == PARTITION_SERVICES_MAX)
            argp_error(state, "limits for more than %u services", PARTITION_SERVICES_MAX);
        options->service_limits_count++;
        memcpy(found->service, name, name_bytes);
    }
    return &found->limits;
}

static void add_limit(struct argp_state *state, struct session_options *options, const char *text)
{
    const char *dot = strchr(text, '.');
    const char *equals = strchr(text, '=');
    char *end = NULL;
    unsigned long count = equals == NULL ? 0 : strtoul(equals + 1, &end, 10);
    if (dot == NULL || equals == NULL || dot > equals || dot == text ||
        dot - text > (ptrdiff_t)FLYOVER_NAME_BYTES_MAX || *end != '\0' || equals[1] < '0' ||
        equals[1] > '9' || count == 0 || count > UINT32_MAX)
        argp_error(state, "--limit '%s' is not of the form SERVICE.in-flight=N or SERVICE.rate=N",
                   text);
    struct dispatch_limits *limits = limits_of(state, options, text, (size_t)(dot - text));
    size_t bytes = (size_t)(equals - dot - 1);
    if (bytes == strlen("in-flight") && memcmp(dot + 1, "in-flight", bytes) == 0)
        limits->in_flight_max = (uint32_t)count;
    else if (bytes == strlen("rate") && memcmp(dot + 1, "rate", bytes) == 0)
        limits->rate_per_s = (uint32_t)count;
    else
        argp_error(state, "--limit '%s': there are in-flight and rate", text);
}

/* A whole number from `least` to `most`, in units of `unit`. */
static uint64_t parse_amount(struct argp_state *state, const char *option, const char *text,
                             uint64_t least, uint64_t most, uint64_t unit)
{
    char *end;
    unsigned long long amount = strtoull(text, &end, 10);
    if (end == text || *end != '\0' || *text == '-' || amount < least || amount > most)
        argp_error(state, "--%s takes %" PRIu64 " to %" PRIu64, option, least, most);
    return amount * unit;
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct session_options *options = state->input;
    switch (key) {
    case 'd': options->directory = text; return 0;
    case 'D':
        if (durability_parse(text, &options->durability) != STATUS_OK)
            argp_error(state, "durability '%s' is none of sync, async, memory", text);
        return 0;
    case 's': add_setting(state, &options->plugins, text); return 0;
    case KEY_PLUGIN_DIR: command_add_plugin_directory(state, &options->plugins, text); return 0;
    case KEY_SAGAS_MAX:
        options->limits.sagas_max =
            (uint32_t)parse_amount(state, "sagas-max", text, 1, CORE_SAGAS_MAX, 1);
        return 0;
    case KEY_NAMES_MAX:
        options->limits.names_max =
            (uint32_t)parse_amount(state, "names-max", text, 1, NAMES_MAX, 1);
        return 0;
    case KEY_NAME_RETENTION:
        options->limits.name_retention_ms =
            parse_amount(state, "name-retention-hours", text, 1, RETENTION_HOURS_MAX, 3600000);
        return 0;
    case KEY_PAYLOAD:
        options->limits.payload_bytes_max =
            parse_amount(state, "payload-mib", text, PAYLOAD_MIB_MIN, PAYLOAD_MIB_MAX, 1u << 20);
        return 0;
    case KEY_CHECKPOINT:
        options->checkpoint_bytes =
            parse_amount(state, "checkpoint-mib", text, 0, 1u << 30, 1u << 20);
        return 0;
    case KEY_HISTORY:
        options->history_bytes = parse_amount(state, "history-mib", text, 0, 1u << 30, 1u << 20);
        return 0;
    case KEY_HISTORY_HOURS:
        options->history_ms = parse_amount(state, "history-hours", text, 0, 24 * 36525, 3600000);
        return 0;
    case KEY_LIMIT: add_limit(state, options, text); return 0;
    case KEY_ACCEPT_LOSS: options->accept_loss = true; return 0;
    case KEY_NO_PIN: options->pin = false; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp session_argp = {options_list, parse_option, NULL, NULL, NULL, NULL, NULL};
const struct argp_child session_argp_child[] = {{&session_argp, 0, "Engine:", 1}, {0}};

void session_options_init(struct session_options *options)
{
    *options = (struct session_options){
        .durability = DURABILITY_SYNC,
        .checkpoint_bytes = PARTITION_CHECKPOINT_BYTES_DEFAULT,
        .history_bytes = PARTITION_HISTORY_BYTES_DEFAULT,
        .pin = true,
    };
}

static volatile sig_atomic_t signal_seen;

static void on_signal(int signal)
{
    signal_seen = signal;
}

int session_signal(void)
{
    return signal_seen;
}

static void catch_signals(void)
{
    /* The second one ends the program at once. */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    /* Ignored by whoever started this, the children that write checkpoints could not be heard. */
    signal(SIGCHLD, SIG_DFL);
}

static void say_recovered(const struct session *session, const char *directory)
{
    const struct recovery_report *recovery = partition_recovery(session->partition);
    struct core_totals totals = core_totals(partition_state(session->partition)->core);
    if (recovery->blocks_count > 0)
        fprintf(stderr,
                "recovered %s: %" PRIu64 " blocks, %" PRIu64 " records, %" PRIu64
                " sagas, %u of them still running\n",
                directory, recovery->blocks_count, recovery->records_count, totals.started,
                core_sagas_live(partition_state(session->partition)->core));
    const char *history = partition_history_problem(session->partition);
    if (history[0] != '\0')
        fprintf(stderr, "history: %s\n", history);
    if (recovery->loss.status != STATUS_OK)
        fprintf(stderr, "accepted the loss of %" PRIu64 " blocks: %s%s%s\n",
                recovery->lost_blocks_count, recovery->loss.text,
                recovery->lost_name[0] == '\0' ? "" : "; what could be read is saved in ",
                recovery->lost_name);
}

/* A directory that an operator's command works on (reach.h) is free again soon; one that an engine
 * runs on is not, and that engine answers. */
static enum status open_partition(const struct partition_options *options,
                                  struct partition **ret_partition, struct problem *problem)
{
    static const struct timespec pause = {.tv_nsec = IN_USE_RETRY_NS};
    enum status status = partition_open(options, ret_partition, problem);
    for (uint32_t i = 0; i < IN_USE_RETRIES_MAX && status == STATUS_IN_USE; i++) {
        int engine = control_connect(options->directory);
        if (engine >= 0) {
            close(engine);
            return status;
        }
        nanosleep(&pause, NULL);
        status = partition_open(options, ret_partition, problem);
    }
    return status;
}

/* Without it the engine runs all the same. */
static void open_control(struct session *session, const struct session_options *options,
                         const cpu_set_t *cpus)
{
    struct control_options control = {
        .directory = options->directory, .partition = session->partition, .cpus = cpus};
    struct problem problem = {0};
    if (options->durability != DURABILITY_MEMORY &&
        control_open(&control, &session->control, &problem) != STATUS_OK)
        fprintf(stderr, "`flyover saga` cannot reach this engine: %s\n", problem.text);
}

enum status session_open(const struct session_options *options, struct session *ret_session,
                         struct problem *problem)
{
    struct partition_options engine = {
        .directory = options->directory,
        .durability = options->durability,
        .limits = options->limits,
        .plugins = options->plugins,
        .checkpoint_bytes = options->checkpoint_bytes,
        .history_bytes = options->history_bytes,
        .history_ms = options->history_ms,
        .service_limits = options->service_limits,
        .service_limits_count = options->service_limits_count,
        .accept_loss = options->accept_loss,
        .pin = options->pin,
    };
    engine.plugins.directories[engine.plugins.directories_count++] = command_plugin_directory();
    struct session session = {.latency_ns = calloc(1, sizeof *session.latency_ns)};
    if (session.latency_ns == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "out of memory");
    cpu_set_t cpus;
    bool has_cpus = sched_getaffinity(0, sizeof cpus, &cpus) == 0; /* before the engine is pinned */
    journal_setup();
    enum status status = open_partition(&engine, &session.partition, problem);
    if (status != STATUS_OK) {
        free(session.latency_ns);
        return status;
    }
    catch_signals();
    say_recovered(&session, options->directory);
    open_control(&session, options, has_cpus ? &cpus : NULL);
    *ret_session = session;
    return STATUS_OK;
}

void session_close(struct session *session)
{
    control_close(session->control);
    partition_free(session->partition);
    free(session->latency_ns);
    *session = (struct session){0};
}

enum status session_define(struct session *session, const char *path, uint32_t *ret_plan,
                           struct problem *problem)
{
    char *text;
    size_t text_bytes;
    enum status status =
        command_read_file(path, PLAN_DEFINITION_BYTES_MAX, &text, &text_bytes, problem);
    if (status != STATUS_OK)
        return status;
    const char *slash = strrchr(path, '/');
    const char *base = slash == NULL ? path : slash + 1;
    char name[FLYOVER_NAME_BYTES_MAX + 1];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(base, "."), base);
    status = partition_define(session->partition, name, path, text, text_bytes, ret_plan, problem);
    free(text);
    /* A service that is not there is the definition's fault, no fault of the data directory. */
    if (status == STATUS_NOT_FOUND)
        status = problem->status = STATUS_INVALID;
    return status;
}

enum status session_define_shipped(struct session *session, const char *file, uint32_t *ret_plan,
                                   struct problem *problem)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", command_plugin_directory(), file);
    return session_define(session, path, ret_plan, problem);
}

static bool is_for_service(const struct plugin_setting *setting, const char *service)
{
    return strlen(service) == setting->service_bytes &&
           memcmp(service, setting->service, setting->service_bytes) == 0;
}

static enum status refuse_setting(const struct partition_state *state,
                                  const struct plugin_setting *setting, struct problem *problem)
{
    char known[512] = "none";
    size_t used = 0;
    for (uint32_t i = 0; i < state->services_count && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "",
                                 state->services[i].name);
    return problem_set(problem, STATUS_INVALID,
                       "the setting '%.200s' is for a service that no definition asks for; there "
                       "are: %s",
                       setting->service, known);
}

enum status session_check_settings(const struct session *session,
                                   const struct plugin_setting *settings, uint32_t settings_count,
                                   struct problem *problem)
{
    const struct partition_state *state = partition_state(session->partition);
    for (uint32_t i = 0; i < settings_count; i++) {
        bool found = false;
        for (uint32_t j = 0; j < state->services_count; j++)
            found |= is_for_service(&settings[i], state->services[j].name);
        if (!found)
            return refuse_setting(state, &settings[i], problem);
    }
    return STATUS_OK;
}

enum status session_check_room(const struct session *session, struct problem *problem)
{
    const struct core *core = partition_state(session->partition)->core;
    uint64_t stuck = core_totals(core).stuck;
    if (stuck == 0 || !partition_is_at_rest(session->partition))
        return STATUS_OK;
    return problem_set(problem, STATUS_BUSY,
                       "%" PRIu64 " sagas are stuck and hold the room that the %u sagas of this "
                       "data directory may take: mend what their compensations need, or begin a "
                       "data directory with a larger --sagas-max",
                       stuck, core_limits(core).sagas_max);
}

enum status session_start(struct session *session, uint32_t plan, uint32_t source,
                          struct flyover_bytes input)
{
    /* The token is the time of the start: never 0, and all that a reply has to bring back. */
    enum status status = partition_start(session->partition, plan, source, input, clock_now_ns());
    if (status == STATUS_OK)
        session->outstanding_count++;
    return status;
}

static void take_replies(struct session *session)
{
    struct reply reply;
    uint64_t now_ns = 0;
    while (partition_next_reply(session->partition, &reply)) {
        if (now_ns == 0)
            now_ns = clock_now_ns();
        assert(session->outstanding_count > 0);
        session->outstanding_count--;
        histogram_add(session->latency_ns, now_ns - reply.token);
    }
}

enum status session_turn(struct session *session, bool may_wait, struct problem *problem)
{
    bool worked;
    enum status status = partition_poll(session->partition, &worked, problem);
    uint64_t outstanding_count = session->outstanding_count;
    take_replies(session);
    if (session->control != NULL)
        worked |= control_turn(session->control);
    if (status == STATUS_OK && !worked && may_wait &&
        outstanding_count == session->outstanding_count)
        partition_wait(session->partition, WAIT_NS_MAX);
    return status;
}

enum status session_drain(struct session *session, void (*on_turn)(void *context), void *context,
                          struct problem *problem)
{
    enum status status = STATUS_OK;
    while (status == STATUS_OK && session_signal() == 0 &&
           !partition_is_at_rest(session->partition)) {
        status = session_turn(session, true, problem);
        on_turn(context);
    }
    return status;
}
