#include "engine/main/metrics.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/thread.h"
#include "engine/main/metrics_text.h"
#include "engine/net/listener.h"

#define CONNECTION_BYTES 16384u
#define SENTENCE_BYTES   256u
#define NS_A_MS          1000000u
#define NS_A_S           UINT64_C(1000000000)

/* A connection, from its accept to its end. */
struct visit {
    bool in_use;
    int socket;
    uint64_t since_ns;
};

struct metrics {
    struct metrics_options options;
    struct listener listener;
    struct MHD_Daemon *http;
    pthread_t thread;
    int stop; /* eventfd */
    bool has_thread;

    /* The engine's, read by all. */
    _Atomic int stage;
    _Atomic uint64_t heartbeat_ns; /* 0: it has not turned yet */
    _Atomic bool wanted;           /* figures; by its thread */
    struct figures taken;          /* the engine's alone */

    /* Under the lock. */
    pthread_mutex_t lock;
    pthread_cond_t is_shown;
    uint64_t shown_ns; /* 0: nothing was shown yet */
    struct figures shown;

    /* Its thread's. */
    struct visit visits[METRICS_CONNECTIONS_MAX];
    bool has_closed; /* a connection, in this turn */
    struct figures told;
};

static uint64_t now_ns(const struct metrics *metrics)
{
    return metrics->options.now_ns != NULL ? metrics->options.now_ns() : clock_now_ns();
}

static void ring(int event_fd)
{
    static const uint64_t one = 1;
    ssize_t written = write(event_fd, &one, sizeof one);
    (void)written; /* one that is full is as good */
}

/* ---- the engine's thread --------------------------------------------------------------------- */

/* Next: figures_now, on the thread of metrics. */
static void show(struct metrics *metrics)
{
    pthread_mutex_lock(&metrics->lock);
    metrics->shown = metrics->taken;
    metrics->shown_ns = now_ns(metrics);
    pthread_cond_signal(&metrics->is_shown);
    pthread_mutex_unlock(&metrics->lock);
}

bool metrics_turn(struct metrics *metrics, const struct partition *partition)
{
    atomic_store_explicit(&metrics->heartbeat_ns, now_ns(metrics), memory_order_relaxed);
    if (!atomic_load_explicit(&metrics->wanted, memory_order_relaxed))
        return false;
    if (!figures_take(partition, &metrics->taken))
        return true;
    atomic_store_explicit(&metrics->wanted, false, memory_order_relaxed);
    show(metrics);
    return false;
}

void metrics_set_stage(struct metrics *metrics, enum metrics_stage stage)
{
    atomic_store(&metrics->stage, (int)stage);
}

/* ---- its own thread: what the pages say ------------------------------------------------------ */

static enum metrics_stage stage_of(const struct metrics *metrics)
{
    return (enum metrics_stage)atomic_load(&metrics->stage);
}

static bool turns(enum metrics_stage stage)
{
    return stage == METRICS_SERVING || stage == METRICS_DRAINING;
}

static uint64_t heartbeat_age_ns(const struct metrics *metrics)
{
    uint64_t at_ns = atomic_load_explicit(&metrics->heartbeat_ns, memory_order_relaxed);
    uint64_t now = now_ns(metrics);
    return at_ns == 0 || now < at_ns ? 0 : now - at_ns;
}

/* Asks the engine, and gives it METRICS_PATIENCE_MS. Under the lock. Next: metrics_turn. */
static void await_figures(struct metrics *metrics)
{
    struct timespec until;
    uint64_t before_ns = metrics->shown_ns;
    uint64_t until_ns = clock_now_ns() + METRICS_PATIENCE_MS * NS_A_MS;
    until.tv_sec = (time_t)(until_ns / NS_A_S);
    until.tv_nsec = (long)(until_ns % NS_A_S);
    atomic_store_explicit(&metrics->wanted, true, memory_order_relaxed);
    ring(metrics->options.wake_fd);
    while (metrics->shown_ns == before_ns &&
           pthread_cond_timedwait(&metrics->is_shown, &metrics->lock, &until) == 0)
        ;
}

/* False: none were ever taken. */
static bool figures_now(struct metrics *metrics, uint64_t *ret_age_ns)
{
    pthread_mutex_lock(&metrics->lock);
    bool is_fresh =
        metrics->shown_ns != 0 && now_ns(metrics) - metrics->shown_ns < METRICS_FRESH_MS * NS_A_MS;
    if (!is_fresh && turns(stage_of(metrics)))
        await_figures(metrics);
    bool has_figures = metrics->shown_ns != 0;
    if (has_figures)
        metrics->told = metrics->shown;
    *ret_age_ns = now_ns(metrics) - metrics->shown_ns;
    pthread_mutex_unlock(&metrics->lock);
    return has_figures;
}

static char *make_page(struct metrics *metrics, size_t *ret_bytes)
{
    const struct metrics_options *options = &metrics->options;
    struct metrics_page page = {
        .heartbeat_age_ns = heartbeat_age_ns(metrics),
        .is_ready = stage_of(metrics) == METRICS_SERVING,
        .version = options->version,
        .commit = options->commit,
        .durability = options->durability,
        .directory = options->directory,
    };
    if (options->recovered_blocks != NULL)
        page.recovered_blocks =
            atomic_load_explicit(options->recovered_blocks, memory_order_relaxed);
    if (figures_now(metrics, &page.figures_age_ns))
        page.figures = &metrics->told;
    return metrics_text(&page, ret_bytes);
}

static unsigned say_health(const struct metrics *metrics, char ret_sentence[SENTENCE_BYTES])
{
    uint64_t age_ms = heartbeat_age_ns(metrics) / NS_A_MS;
    bool is_stalled = turns(stage_of(metrics)) && age_ms >= METRICS_STALL_MS;
    if (is_stalled)
        snprintf(ret_sentence, SENTENCE_BYTES,
                 "stalled: the engine's thread has not turned for %llu ms\n",
                 (unsigned long long)age_ms);
    else
        snprintf(ret_sentence, SENTENCE_BYTES, "healthy\n");
    return is_stalled ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK;
}

static unsigned say_readiness(const struct metrics *metrics, char ret_sentence[SENTENCE_BYTES])
{
    unsigned long long blocks = 0;
    switch (stage_of(metrics)) {
    case METRICS_SERVING: snprintf(ret_sentence, SENTENCE_BYTES, "serving\n"); return MHD_HTTP_OK;
    case METRICS_RECOVERING:
        if (metrics->options.recovered_blocks != NULL)
            blocks = atomic_load_explicit(metrics->options.recovered_blocks, memory_order_relaxed);
        snprintf(ret_sentence, SENTENCE_BYTES,
                 "recovering: the engine reads its data directory, %llu blocks so far\n", blocks);
        break;
    case METRICS_DRAINING:
        snprintf(ret_sentence, SENTENCE_BYTES,
                 "draining: the engine was told to stop, and answers what is open\n");
        break;
    case METRICS_STOPPING:
        snprintf(ret_sentence, SENTENCE_BYTES, "stopping: the engine makes all durable and ends\n");
        break;
    }
    return MHD_HTTP_SERVICE_UNAVAILABLE;
}

/* ---- its own thread: HTTP -------------------------------------------------------------------- */

/* Takes the response. */
static enum MHD_Result send_response(struct MHD_Connection *connection, unsigned code,
                                     const char *type, struct MHD_Response *response)
{
    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    if (code == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, code, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result send_sentence(struct MHD_Connection *connection, unsigned code,
                                     char *sentence)
{
    return send_response(
        connection, code, "text/plain; charset=utf-8",
        MHD_create_response_from_buffer(strlen(sentence), sentence, MHD_RESPMEM_MUST_COPY));
}

static enum MHD_Result send_page(struct metrics *metrics, struct MHD_Connection *connection)
{
    size_t bytes = 0;
    char *page = make_page(metrics, &bytes);
    if (page == NULL)
        return MHD_NO;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(bytes, page, MHD_RESPMEM_MUST_FREE);
    if (response == NULL)
        free(page);
    return send_response(connection, MHD_HTTP_OK, METRICS_CONTENT_TYPE, response);
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *body, size_t *body_bytes, void **of_request)
{
    (void)version;
    (void)body;
    (void)body_bytes;
    (void)of_request;
    struct metrics *metrics = context;
    char sentence[SENTENCE_BYTES] = "there are /metrics, /healthz and /readyz\n";
    unsigned code = MHD_HTTP_NOT_FOUND;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        snprintf(sentence, sizeof sentence, "GET and HEAD are all there is\n");
        code = MHD_HTTP_METHOD_NOT_ALLOWED;
    } else if (strcmp(path, "/metrics") == 0) {
        return send_page(metrics, connection);
    } else if (strcmp(path, "/healthz") == 0) {
        code = say_health(metrics, sentence);
    } else if (strcmp(path, "/readyz") == 0) {
        code = say_readiness(metrics, sentence);
    }
    return send_sentence(connection, code, sentence);
}

/* ---- its own thread: connections ------------------------------------------------------------- */

static void on_connection(void *context, struct MHD_Connection *connection, void **of_connection,
                          enum MHD_ConnectionNotificationCode code)
{
    struct metrics *metrics = context;
    struct visit *visit = *of_connection;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (visit != NULL)
            visit->in_use = false;
        metrics->has_closed = true;
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    for (uint32_t i = 0; i < METRICS_CONNECTIONS_MAX && info != NULL; i++) {
        if (metrics->visits[i].in_use)
            continue;
        metrics->visits[i] = (struct visit){true, info->connect_fd, clock_now_ns()};
        *of_connection = &metrics->visits[i];
        return;
    }
}

/* The library's time-out begins anew with each byte: who sends or reads one at a time would stay.
 * Returns in how many milliseconds the next one is over, -1 without any. */
static int cut_old(struct metrics *metrics)
{
    uint64_t at_ns = clock_now_ns();
    uint64_t life_ns = metrics->options.life_ms * UINT64_C(1000000);
    int next_ms = -1;
    for (uint32_t i = 0; i < METRICS_CONNECTIONS_MAX; i++) {
        const struct visit *visit = &metrics->visits[i];
        if (!visit->in_use)
            continue;
        uint64_t age_ns = at_ns - visit->since_ns;
        int left_ms = 1000; /* one that is cut is gone when the library has seen it */
        if (age_ns >= life_ns)
            shutdown(visit->socket, SHUT_RDWR);
        else
            left_ms = (int)((life_ns - age_ns) / NS_A_MS) + 1;
        if (next_ms < 0 || left_ms < next_ms)
            next_ms = left_ms;
    }
    return next_ms;
}

static int timeout_ms(struct metrics *metrics)
{
    MHD_UNSIGNED_LONG_LONG http_ms;
    int left_ms = cut_old(metrics);
    if (MHD_get_timeout(metrics->http, &http_ms) == MHD_YES &&
        (left_ms < 0 || http_ms < (MHD_UNSIGNED_LONG_LONG)left_ms))
        left_ms = (int)http_ms;
    return left_ms;
}

/* Where there was no room the library listens again only when it runs the next time, which nothing
 * would bring about. */
static void turn_http(struct metrics *metrics)
{
    do {
        metrics->has_closed = false;
        MHD_run(metrics->http);
    } while (metrics->has_closed);
}

static void *run(void *context)
{
    struct metrics *metrics = context;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(metrics->http, MHD_DAEMON_INFO_EPOLL_FD);
    struct pollfd polled[] = {{.fd = metrics->stop, .events = POLLIN},
                              {.fd = info->epoll_fd, .events = POLLIN}};
    while ((polled[0].revents & POLLIN) == 0) {
        poll(polled, 2, timeout_ms(metrics));
        turn_http(metrics);
    }
    return NULL;
}

/* ---- opening and closing --------------------------------------------------------------------- */

static enum status start_http(struct metrics *metrics, struct problem *problem)
{
    int flags = fcntl(metrics->listener.fd, F_GETFL);
    if (flags < 0 || fcntl(metrics->listener.fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return problem_set(problem, STATUS_IO, "the socket of %s cannot be used",
                           metrics->listener.address);
    metrics->http = MHD_start_daemon(
        MHD_USE_EPOLL, 0, NULL, NULL, on_request, metrics, MHD_OPTION_LISTEN_SOCKET,
        metrics->listener.fd, MHD_OPTION_CONNECTION_LIMIT, METRICS_CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, metrics->options.idle_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_BYTES, MHD_OPTION_NOTIFY_CONNECTION, on_connection, metrics,
        MHD_OPTION_END);
    if (metrics->http != NULL) {
        metrics->listener.fd = -1; /* the library's from now on */
        return STATUS_OK;
    }
    return problem_set(problem, STATUS_NO_MEMORY, "HTTP cannot be started at %s",
                       metrics->listener.address);
}

static enum status start_thread(struct metrics *metrics, struct problem *problem)
{
    int error = thread_start(&metrics->thread, "fly-metrics", NULL, run, metrics);
    metrics->has_thread = error == 0;
    return error == 0 ? STATUS_OK
                      : problem_set(problem, STATUS_NO_MEMORY,
                                    "no thread can be made for metrics: %s", strerror(error));
}

static void init_lock(struct metrics *metrics)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&metrics->is_shown, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&metrics->lock, NULL);
}

enum status metrics_open(const struct metrics_options *options, struct metrics **ret_metrics,
                         struct problem *problem)
{
    struct metrics *metrics = calloc(1, sizeof *metrics);
    if (metrics == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "out of memory");
    metrics->options = *options;
    if (metrics->options.idle_s == 0)
        metrics->options.idle_s = METRICS_IDLE_S;
    if (metrics->options.life_ms == 0)
        metrics->options.life_ms = METRICS_LIFE_S * 1000;
    metrics->listener.fd = -1;
    init_lock(metrics);
    metrics->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    enum status status = metrics->stop >= 0
                             ? listener_open(&metrics->listener, options->address, problem)
                             : problem_set(problem, STATUS_IO, "no eventfd can be made");
    if (status == STATUS_OK)
        status = start_http(metrics, problem);
    if (status == STATUS_OK)
        status = start_thread(metrics, problem);
    if (status == STATUS_OK)
        *ret_metrics = metrics;
    else
        metrics_close(metrics);
    return status;
}

const char *metrics_address(const struct metrics *metrics)
{
    return metrics->listener.address;
}

void metrics_close(struct metrics *metrics)
{
    if (metrics == NULL)
        return;
    if (metrics->has_thread) {
        ring(metrics->stop);
        pthread_join(metrics->thread, NULL);
    }
    if (metrics->http != NULL)
        MHD_stop_daemon(metrics->http);
    if (metrics->listener.fd >= 0)
        close(metrics->listener.fd);
    listener_remove(&metrics->listener);
    if (metrics->stop >= 0)
        close(metrics->stop);
    pthread_cond_destroy(&metrics->is_shown);
    pthread_mutex_destroy(&metrics->lock);
    free(metrics);
}
