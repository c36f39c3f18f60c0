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

#define WAIT_NS_MAX        200000000u
#define IN_USE_RETRY_NS    20000000
#define IN_USE_RETRIES_MAX 250u

static volatile sig_atomic_t signal_seen;

static void on_signal(int signal)
{
    signal_seen = signal;
}

int session_signal(void)
{
    return signal_seen;
}

void session_catch_signals(void)
{
    /* The second one ends the program at once. */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
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
    if (options->durability != DURABILITY_MEMORY &&
        control_open(&control, &session->control, &session->control_problem) != STATUS_OK)
        session->control = NULL;
}

enum status session_open_engine(const struct session_options *options, struct session *ret_session,
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
        .remote = options->remote,
        .sleep = options->sleep,
        .recovered_blocks = options->recovered_blocks,
    };
    engine.plugins.directories[engine.plugins.directories_count++] = command_plugin_directory();
    struct session session = {.latency_ns = calloc(1, sizeof *session.latency_ns)};
    if (session.latency_ns == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "out of memory");
    cpu_set_t cpus;
    bool has_cpus = sched_getaffinity(0, sizeof cpus, &cpus) == 0; /* before the engine is pinned */
    /* Ignored by whoever started this, the children that write checkpoints could not be heard. */
    signal(SIGCHLD, SIG_DFL);
    journal_setup();
    enum status status = open_partition(&engine, &session.partition, problem);
    if (status != STATUS_OK) {
        free(session.latency_ns);
        return status;
    }
    open_control(&session, options, has_cpus ? &cpus : NULL);
    *ret_session = session;
    return STATUS_OK;
}

enum status session_open(const struct session_options *options, struct session *ret_session,
                         struct problem *problem)
{
    enum status status = session_open_engine(options, ret_session, problem);
    if (status != STATUS_OK)
        return status;
    session_catch_signals();
    say_recovered(ret_session, options->directory);
    if (ret_session->control_problem.text[0] != '\0')
        fprintf(stderr, "`flyover saga` cannot reach this engine: %s\n",
                ret_session->control_problem.text);
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
