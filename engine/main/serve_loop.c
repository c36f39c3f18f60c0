#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/main/control.h"
#include "engine/main/serve_parts.h"

/* Where threads have cores of their own, asking once more is cheaper than being woken. */
#define SPIN_NS 30000u
/* Where little is under way and the engine has a core of its own, the length of a quick sync: an
 * idle core takes longer to wake up than a handler to run. One saga at a time over TCP took 0.42 ms
 * in place of 0.48 at the median, 5.4 syncs in place of 6.7 (fdatasync 0.075 ms, five alternating
 * runs, load average 4), for 65 us more of the engine's CPU time a step. */
#define SPIN_LIGHT_NS 100000u

/* Only this thread hears signals (engine/base/thread.h). */
static volatile sig_atomic_t stop_signal;
static volatile sig_atomic_t reload_asked;
static int wake_fd;

static void wake(void)
{
    static const uint64_t one = 1;
    ssize_t written = write(wake_fd, &one, sizeof one);
    (void)written; /* one that is full is as good */
}

static void on_stop(int signal)
{
    if (stop_signal != 0)
        _exit(128 + signal);
    stop_signal = signal;
    wake();
}

static void on_reload(int signal)
{
    (void)signal;
    reload_asked = 1;
    wake();
}

void serve_catch_signals(struct serve *serve)
{
    struct sigaction stop = {.sa_handler = on_stop, .sa_flags = SA_RESTART};
    struct sigaction reload = {.sa_handler = on_reload, .sa_flags = SA_RESTART};
    wake_fd = serve->wake_fd;
    /* One at a time, so that the second sees that there was a first. */
    sigfillset(&stop.sa_mask);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGHUP, &reload, NULL);
}

/* ---- a turn ---------------------------------------------------------------------------------- */

void serve_block(void *context, uint64_t timeout_ns)
{
    struct serve *serve = context;
    transport_wait(serve->transport, timeout_ns);
}

/* Those who ask and those who are asked. */
static bool turn_outside(struct serve *serve)
{
    bool worked = server_turn(serve->server);
    if (serve->edges != NULL)
        worked |= edges_turn(serve->edges);
    return worked;
}

static enum status turn(struct serve *serve, bool *ret_worked, struct problem *problem)
{
    bool worked = transport_turn(serve->transport);
    worked |= turn_outside(serve);
    bool polled = false;
    enum status status = partition_poll(serve->session.partition, &polled, problem);
    if (status != STATUS_OK)
        return status;
    /* What has become durable leaves in the same turn. */
    if (polled)
        worked |= turn_outside(serve);
    worked |= polled;
    if (serve->session.control != NULL)
        worked |= control_turn(serve->session.control);
    if (serve->metrics != NULL)
        worked |= metrics_turn(serve->metrics, serve->session.partition);
    *ret_worked = worked;
    return STATUS_OK;
}

static uint64_t smaller(uint64_t left, uint64_t right)
{
    return left < right ? left : right;
}

/* Not more often than asked for: the log and the watchdog, and what they need is when to come
 * again. */
static uint64_t look_after(struct serve *serve, uint64_t now_ns)
{
    log_turn(&serve->log, false);
    return smaller(notify_turn(&serve->notify, now_ns), SERVE_LOOK_NS_MAX);
}

static void rest(struct serve *serve, uint64_t now_ns)
{
    uint64_t idle_ns = now_ns - serve->busy_ns;
    if (serve->may_spin && idle_ns < SPIN_NS)
        return;
    if (serve->has_core && idle_ns < SPIN_LIGHT_NS && partition_is_light(serve->session.partition))
        return;
    uint64_t timeout_ns = look_after(serve, now_ns);
    timeout_ns = smaller(timeout_ns, server_wait_ns(serve->server));
    if (serve->edges != NULL)
        timeout_ns = smaller(timeout_ns, edges_wait_ns(serve->edges));
    partition_wait(serve->session.partition, timeout_ns);
}

/* A turn, and a rest where there was nothing to do. Under load the watchdog is looked after too. */
static enum status step(struct serve *serve, struct problem *problem)
{
    bool worked = false;
    enum status status = turn(serve, &worked, problem);
    if (status != STATUS_OK)
        return status;
    uint64_t now_ns = clock_now_ns();
    if (!worked) {
        rest(serve, now_ns);
        return STATUS_OK;
    }
    serve->busy_ns = now_ns;
    look_after(serve, now_ns);
    return STATUS_OK;
}

enum status serve_run(struct serve *serve, int *ret_signal, struct problem *problem)
{
    struct partition_counts counts = partition_counts(serve->session.partition);
    uint32_t threads = counts.threads_count + 1 + serve->options.threads + (serve->edges != NULL);
    serve->may_spin = threads <= counts.cpus_count;
    serve->has_core = serve->options.session.pin && counts.cpus_count >= 2;
    while (stop_signal == 0) {
        if (reload_asked != 0) {
            reload_asked = 0;
            serve_reload(serve);
        }
        enum status status = step(serve, problem);
        if (status != STATUS_OK)
            return status;
    }
    *ret_signal = stop_signal;
    return STATUS_OK;
}

static bool drain_outside(struct serve *serve)
{
    bool is_drained = serve->edges == NULL || edges_drain(serve->edges);
    return server_drain(serve->server) && is_drained;
}

static void say_not_drained(struct serve *serve)
{
    struct server_counts counts = server_counts(serve->server);
    uint32_t calls = 0, messages = 0;
    if (serve->edges != NULL) {
        struct edge_counts edges = edges_counts(serve->edges);
        messages = edges.messages_open;
        for (uint32_t i = 0; i < edges.lanes_count; i++)
            calls += edges.lanes[i].in_flight;
    }
    log_say(&serve->log, LOG_WARN, "not_drained", LOG_NUMBER("requests_open", counts.requests_open),
            LOG_NUMBER("connections", counts.connections), LOG_NUMBER("edge_calls", calls),
            LOG_NUMBER("edge_messages", messages),
            LOG_TEXT("text", "what was accepted goes on at the next start"));
}

enum status serve_drain(struct serve *serve, struct problem *problem)
{
    uint64_t until_ns = clock_now_ns() + serve->options.drain_ms * UINT64_C(1000000);
    transport_stop_listening(serve->transport);
    enum status status = STATUS_OK;
    bool is_drained = false;
    while (status == STATUS_OK && clock_now_ns() < until_ns) {
        is_drained = drain_outside(serve);
        if (is_drained && transport_counts(serve->transport).out_bytes == 0)
            break; /* and all of it is with the kernel */
        status = step(serve, problem);
    }
    if (status == STATUS_OK && !is_drained)
        say_not_drained(serve);
    return status;
}
