#include "engine/main/net_engine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_MS_MAX   60000
#define ARGUMENTS_MAX  160u
#define ARGUMENT_BYTES 512u
#define KEPT_BYTES     (NET_ENGINE_TEXT_BYTES / 2)

/* ---- its command line ------------------------------------------------------------------------ */

struct arguments {
    char texts[ARGUMENTS_MAX][ARGUMENT_BYTES];
    char *list[ARGUMENTS_MAX + 1];
    uint32_t count;
    bool is_cut; /* one of them has no room */
};

static void __attribute__((format(printf, 2, 3)))
add(struct arguments *arguments, const char *format, ...)
{
    if (arguments->count == ARGUMENTS_MAX) {
        arguments->is_cut = true;
        return;
    }
    char *text = arguments->texts[arguments->count];
    va_list values;
    va_start(values, format);
    if (vsnprintf(text, ARGUMENT_BYTES, format, values) >= (int)ARGUMENT_BYTES)
        arguments->is_cut = true;
    va_end(values);
    arguments->list[arguments->count++] = text;
}

static uint64_t amount_at(const struct config_key *key, const void *options)
{
    const char *at = (const char *)options + key->offset;
    uint32_t few;
    uint64_t many;
    if (key->bytes == sizeof few) {
        memcpy(&few, at, sizeof few);
        return few;
    }
    memcpy(&many, at, sizeof many);
    return many;
}

static void add_choice(struct arguments *arguments, const struct config_key *key, uint64_t index)
{
    const char *word = key->choices;
    for (; index > 0; index--)
        word = strchr(word, ' ') + 1;
    add(arguments, "--%s=%.*s", key->flag, (int)strcspn(word, " "), word);
}

/* What was stored for a key, as a flag again. */
static void add_key(struct arguments *arguments, const struct config_key *key,
                    const struct session_options *options)
{
    const char *at = (const char *)options + key->offset;
    switch (key->type) {
    case CONFIG_TEXT:
        if (*(const char *const *)at != NULL)
            add(arguments, "--%s=%s", key->flag, *(const char *const *)at);
        return;
    case CONFIG_TRUTH:
        if (*(const bool *)at != (strncmp(key->flag, "no-", 3) == 0))
            add(arguments, "--%s", key->flag);
        return;
    case CONFIG_AMOUNT:
        if (!key->is_kept || amount_at(key, options) > 0)
            add(arguments, "--%s=%" PRIu64, key->flag, amount_at(key, options) / key->unit);
        return;
    case CONFIG_CHOICE: add_choice(arguments, key, amount_at(key, options)); return;
    case CONFIG_LIST:
    case CONFIG_MAP: return; /* one by one, below */
    }
}

static void add_plugins(struct arguments *arguments, const struct plugin_path *plugins)
{
    for (uint32_t i = 0; i < plugins->directories_count; i++)
        add(arguments, "--plugin-dir=%s", plugins->directories[i]);
    for (uint32_t i = 0; i < plugins->settings_count; i++) {
        const struct plugin_setting *setting = &plugins->settings[i];
        add(arguments, "--set=%.*s.%.*s=%s", (int)setting->service_bytes, setting->service,
            (int)setting->key_bytes, setting->key, setting->value);
    }
}

static void add_limits(struct arguments *arguments, const struct session_options *options)
{
    for (uint32_t i = 0; i < options->service_limits_count; i++) {
        const struct partition_service_limits *limits = &options->service_limits[i];
        if (limits->limits.in_flight_max > 0)
            add(arguments, "--limit=%s.in-flight=%u", limits->service,
                limits->limits.in_flight_max);
        if (limits->limits.rate_per_s > 0)
            add(arguments, "--limit=%s.rate=%u", limits->service, limits->limits.rate_per_s);
    }
}

static enum status fill(struct arguments *arguments, const struct session_options *options,
                        enum net_spawn spawn, uint32_t connections, const char *definition,
                        struct problem *problem)
{
    add(arguments, "flyover");
    add(arguments, "serve");
    for (uint32_t i = 0; i < session_keys_count; i++)
        add_key(arguments, &session_keys[i], options);
    add_plugins(arguments, &options->plugins);
    add_limits(arguments, options);
    if (spawn == NET_SPAWN_UNIX)
        add(arguments, "--listen=unix:%s/bench.sock", options->directory);
    else
        add(arguments, "--listen=127.0.0.1:0");
    add(arguments, "--connections-max=%u", connections);
    add(arguments, "--log-format=plain");
    add(arguments, "--log-level=info");
    if (definition != NULL)
        add(arguments, "--define=%s", definition);
    return arguments->is_cut
               ? problem_set(problem, STATUS_INVALID, "the engine's command line gets too long")
               : STATUS_OK;
}

/* ---- what it says ---------------------------------------------------------------------------- */

/* False at its end. */
static bool read_some(struct net_engine *engine)
{
    if (engine->text_bytes > KEPT_BYTES) {
        memmove(engine->text, engine->text + engine->text_bytes - KEPT_BYTES, KEPT_BYTES);
        engine->text_bytes = KEPT_BYTES;
    }
    ssize_t count = read(engine->says, engine->text + engine->text_bytes,
                         NET_ENGINE_TEXT_BYTES - 1 - engine->text_bytes);
    if (count < 0)
        return errno == EAGAIN || errno == EINTR;
    engine->text_bytes += (uint32_t)count;
    engine->text[engine->text_bytes] = '\0';
    return count > 0;
}

static bool wait_to_read(const struct net_engine *engine, int timeout_ms)
{
    struct pollfd polled = {.fd = engine->says, .events = POLLIN};
    return poll(&polled, 1, timeout_ms) > 0;
}

void net_engine_listen(struct net_engine *engine)
{
    while (engine->pid != 0 && wait_to_read(engine, 0) && read_some(engine))
        continue;
}

/* The last line, for people. */
static const char *last_line(struct net_engine *engine)
{
    while (engine->text_bytes > 0 && engine->text[engine->text_bytes - 1] == '\n')
        engine->text[--engine->text_bytes] = '\0';
    const char *line = strrchr(engine->text, '\n');
    return line == NULL ? engine->text : line + 1;
}

/* False until it has said where it listens. */
static bool find_address(struct net_engine *engine)
{
    static const char mark[] = "event=listening address=";
    const char *at = strstr(engine->text, mark);
    if (at == NULL || strchr(at, '\n') == NULL)
        return false;
    at += sizeof mark - 1;
    snprintf(engine->address, sizeof engine->address, "%.*s", (int)strcspn(at, " \n"), at);
    return true;
}

/* ---- start and end --------------------------------------------------------------------------- */

static void become(const struct arguments *arguments, int says)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0); /* Ctrl-C is for the load, which then asks the engine to stop */
    int nothing = open("/dev/null", O_RDWR);
    if (dup2(nothing, STDIN_FILENO) < 0 || dup2(nothing, STDOUT_FILENO) < 0 ||
        dup2(says, STDERR_FILENO) < 0)
        _exit(127);
    execv("/proc/self/exe", arguments->list);
    _exit(127);
}

static enum status spawn_it(struct net_engine *engine, const struct arguments *arguments,
                            struct problem *problem)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return problem_set(problem, STATUS_IO, "no pipe to an engine: %s", strerror(errno));
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    *engine = (struct net_engine){.says = ends[0]};
    engine->pid = fork();
    if (engine->pid == 0)
        become(arguments, ends[1]);
    close(ends[1]);
    if (engine->pid > 0)
        return STATUS_OK;
    engine->pid = 0;
    close(ends[0]);
    return problem_set(problem, STATUS_IO, "no process for an engine: %s", strerror(errno));
}

enum status net_engine_start(struct net_engine *engine, const struct session_options *options,
                             enum net_spawn spawn, uint32_t connections, const char *definition,
                             struct problem *problem)
{
    struct arguments *arguments = calloc(1, sizeof *arguments);
    if (arguments == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "out of memory");
    enum status status = fill(arguments, options, spawn, connections, definition, problem);
    if (status == STATUS_OK)
        status = spawn_it(engine, arguments, problem);
    free(arguments);
    while (status == STATUS_OK && !find_address(engine))
        if (!wait_to_read(engine, START_MS_MAX) || !read_some(engine))
            status = problem_set(problem, STATUS_IO, "the engine does not start: %.800s",
                                 last_line(engine));
    return status;
}

enum status net_engine_stop(struct net_engine *engine, struct problem *problem)
{
    if (engine->pid == 0)
        return STATUS_OK;
    int how = 0;
    kill(engine->pid, SIGTERM);
    while (wait_to_read(engine, -1) && read_some(engine))
        continue;
    while (waitpid(engine->pid, &how, 0) < 0 && errno == EINTR)
        continue;
    close(engine->says);
    engine->pid = 0;
    if (WIFEXITED(how) && WEXITSTATUS(how) == 0)
        return STATUS_OK;
    return problem_set(problem, STATUS_IO, "the engine ended badly (%s %d): %.800s",
                       WIFEXITED(how) ? "exit code" : "signal",
                       WIFEXITED(how) ? WEXITSTATUS(how) : WTERMSIG(how), last_line(engine));
}

/* ---- what the kernel knows ------------------------------------------------------------------- */

static bool read_small(const char *path, char *text, size_t capacity)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    ssize_t count = read(file, text, capacity - 1);
    close(file);
    text[count < 0 ? 0 : count] = '\0';
    return count > 0;
}

static struct net_engine_thread *thread_named(struct net_engine_usage *usage, const char *name)
{
    uint32_t i = 0;
    while (i < usage->threads_count && strcmp(usage->threads[i].name, name) != 0)
        i++;
    if (i == NET_ENGINE_THREADS_MAX)
        i--; /* the last one has the rest */
    if (i == usage->threads_count) {
        usage->threads_count++;
        snprintf(usage->threads[i].name, sizeof usage->threads[i].name, "%.15s", name);
    }
    return &usage->threads[i];
}

/* The thread that has the process's number is the engine's. */
static void add_thread(const struct net_engine *engine, const char *task,
                       struct net_engine_usage *usage)
{
    char path[96], text[64], name[32];
    snprintf(path, sizeof path, "/proc/%d/task/%.16s/schedstat", (int)engine->pid, task);
    if (!read_small(path, text, sizeof text))
        return;
    uint64_t cpu_ns = strtoull(text, NULL, 10);
    snprintf(path, sizeof path, "/proc/%d/task/%.16s/comm", (int)engine->pid, task);
    if (!read_small(path, name, sizeof name))
        return;
    name[strcspn(name, "\n")] = '\0';
    bool is_first = strtol(task, NULL, 10) == engine->pid;
    thread_named(usage, is_first ? "engine" : name)->cpu_ns += cpu_ns;
    usage->cpu_ns += cpu_ns;
}

static uint64_t bytes_of(const char *status, const char *key)
{
    const char *at = strstr(status, key);
    return at == NULL ? 0 : strtoull(at + strlen(key), NULL, 10) * 1024;
}

void net_engine_measure(const struct net_engine *engine, struct net_engine_usage *ret_usage)
{
    char path[64], status[4096];
    *ret_usage = (struct net_engine_usage){0};
    if (engine->pid == 0)
        return;
    snprintf(path, sizeof path, "/proc/%d/task", (int)engine->pid);
    DIR *tasks = opendir(path);
    struct dirent *task;
    while (tasks != NULL && (task = readdir(tasks)) != NULL)
        if (task->d_name[0] != '.')
            add_thread(engine, task->d_name, ret_usage);
    if (tasks != NULL)
        closedir(tasks);
    snprintf(path, sizeof path, "/proc/%d/status", (int)engine->pid);
    if (!read_small(path, status, sizeof status))
        return;
    ret_usage->rss_bytes = bytes_of(status, "VmRSS:");
    ret_usage->rss_bytes_max = bytes_of(status, "VmHWM:");
}
