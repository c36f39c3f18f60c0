#include "engine/edge/http.h"

#include <assert.h>
#include <curl/curl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/edge/http_sentence.h"
#include "engine/edge/http_sockets.h"
#include "engine/edge/http_transfer.h"

#define SPARE_MAX   64u                /* handles of libcurl that are kept for the next */
#define IDLE_MAX    256L               /* connections that are kept, of all hosts */
#define LOOK_NS     UINT64_C(20000000) /* how often those that wait are looked through */
#define WAIT_MS_MAX 60000

/* While it has requests, and not longer. */
struct http_host {
    struct http_host *next;
    struct http_transfer *first, **last; /* those that wait, in order */
    uint32_t under_way;
    uint32_t silent;            /* ended without an answer, in a row */
    uint64_t full_ns, heard_ns; /* since when all are under way; when it last answered */
    char name[HTTP_HOST_BYTES];
};

struct http {
    CURLM *multi;
    struct http_sockets sockets;
    struct http_host *hosts;
    struct http_transfer *all; /* under way or waiting */
    uint32_t count, waiting;
    CURL *spare[SPARE_MAX];
    uint32_t spare_count;
    uint64_t looked_ns;
    char *ca_file; /* NULL: the system's */
    bool is_closing, has_blocked;
};

/* ---- open and close -----------------------------------------------------------------------------
 */

static enum status read_trust(struct http *http, struct problem *problem)
{
    const char *file = getenv("AWS_CA_BUNDLE");
    if (file == NULL || *file == '\0')
        return STATUS_OK;
    if (access(file, R_OK) != 0)
        return problem_set(problem, STATUS_INVALID,
                           "AWS_CA_BUNDLE: %s cannot be read: %m; correct the path, or unset it",
                           file);
    http->ca_file = strdup(file);
    return http->ca_file == NULL ? problem_set(problem, STATUS_NO_MEMORY, "out of memory")
                                 : STATUS_OK;
}

static enum status open_multi(struct http *http, struct problem *problem)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
        http->multi = curl_multi_init();
    if (http->multi == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "libcurl cannot be used");
    enum status status = http_sockets_open(&http->sockets, http->multi, problem);
    if (status == STATUS_OK) {
        curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, IDLE_MAX);
        return STATUS_OK;
    }
    curl_multi_cleanup(http->multi);
    curl_global_cleanup();
    return status;
}

enum status http_open(struct http **ret_http, struct problem *problem)
{
    struct http *http = calloc(1, sizeof *http);
    if (http == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "out of memory");
    enum status status = read_trust(http, problem);
    if (status == STATUS_OK)
        status = open_multi(http, problem);
    if (status == STATUS_OK) {
        *ret_http = http;
        return STATUS_OK;
    }
    free(http->ca_file);
    free(http);
    return status;
}

/* OpenSSL writes to sockets without MSG_NOSIGNAL. */
static void block_signal(struct http *http)
{
    sigset_t set;
    if (http->has_blocked)
        return;
    http->has_blocked = true;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* ---- handles ------------------------------------------------------------------------------------
 */

static CURL *take_easy(struct http *http)
{
    return http->spare_count > 0 ? http->spare[--http->spare_count] : curl_easy_init();
}

static void give_easy(struct http *http, CURL *easy)
{
    if (http->spare_count == SPARE_MAX) {
        curl_easy_cleanup(easy);
        return;
    }
    curl_easy_reset(easy);
    http->spare[http->spare_count++] = easy;
}

/* ---- hosts --------------------------------------------------------------------------------------
 */

static struct http_host *find_host(struct http *http, const char *name, uint64_t now_ns)
{
    for (struct http_host *host = http->hosts; host != NULL; host = host->next)
        if (strcmp(host->name, name) == 0)
            return host;
    struct http_host *host = calloc(1, sizeof *host);
    if (host == NULL)
        return NULL;
    snprintf(host->name, sizeof host->name, "%s", name);
    host->last = &host->first;
    host->heard_ns = now_ns;
    host->next = http->hosts;
    http->hosts = host;
    return host;
}

static void drop_host_if_idle(struct http *http, struct http_host *host)
{
    struct http_host **link = &http->hosts;
    if (host->under_way > 0 || host->first != NULL)
        return;
    while (*link != host)
        link = &(*link)->next;
    *link = host->next;
    free(host);
}

static void start(struct http *http, struct http_transfer *transfer, uint64_t now_ns)
{
    uint64_t left_ms = (transfer->deadline_ns - now_ns) / 1000000;
    curl_easy_setopt(transfer->easy, CURLOPT_TIMEOUT_MS, left_ms == 0 ? 1L : (long)left_ms);
    transfer->is_under_way = true;
    transfer->host->under_way++;
    CURLMcode added = curl_multi_add_handle(http->multi, transfer->easy);
    assert(added == CURLM_OK);
    (void)added;
}

static void put_in_line(struct http *http, struct http_host *host, struct http_transfer *transfer)
{
    transfer->next = NULL;
    *host->last = transfer;
    host->last = &transfer->next;
    http->waiting++;
}

/* Where `link` points to one that waits. */
static struct http_transfer *take_from_line(struct http *http, struct http_host *host,
                                            struct http_transfer **link)
{
    struct http_transfer *transfer = *link;
    *link = transfer->next;
    if (host->last == &transfer->next)
        host->last = link;
    http->waiting--;
    return transfer;
}

/* ---- sending ------------------------------------------------------------------------------------
 */

static void link_transfer(struct http *http, struct http_transfer *transfer)
{
    transfer->later = http->all;
    if (http->all != NULL)
        http->all->earlier = transfer;
    http->all = transfer;
    http->count++;
}

static void unlink_transfer(struct http *http, struct http_transfer *transfer)
{
    if (transfer->later != NULL)
        transfer->later->earlier = transfer->earlier;
    if (transfer->earlier != NULL)
        transfer->earlier->later = transfer->later;
    else
        http->all = transfer->later;
    http->count--;
}

static struct http_transfer *make(struct http *http, const struct http_request *request,
                                  const char *host, uint64_t now_ns)
{
    CURL *easy = take_easy(http);
    if (easy == NULL)
        return NULL;
    struct http_transfer *transfer = http_transfer_make(request, easy, now_ns);
    if (transfer != NULL) {
        transfer->host = find_host(http, host, now_ns);
        if (transfer->host != NULL && http_transfer_prepare(transfer, http->ca_file))
            return transfer;
        if (transfer->host != NULL)
            drop_host_if_idle(http, transfer->host);
        http_transfer_free(transfer);
    }
    give_easy(http, easy);
    return NULL;
}

static void start_or_wait(struct http *http, struct http_transfer *transfer, uint64_t now_ns)
{
    struct http_host *host = transfer->host;
    if (host->under_way == HTTP_HOST_CONNECTIONS_MAX) {
        put_in_line(http, host, transfer);
        return;
    }
    start(http, transfer, now_ns);
    if (host->under_way == HTTP_HOST_CONNECTIONS_MAX)
        host->full_ns = now_ns;
}

enum status http_send(struct http *http, const struct http_request *request,
                      struct problem *problem)
{
    char host[HTTP_HOST_BYTES];
    if (http->is_closing || http->count == HTTP_REQUESTS_MAX)
        return problem_set(problem, STATUS_BUSY, "%u requests are under way already",
                           HTTP_REQUESTS_MAX);
    enum status status = http_transfer_check(request, host, problem);
    if (status != STATUS_OK)
        return status;
    uint64_t now_ns = clock_now_ns();
    struct http_transfer *transfer = make(http, request, host, now_ns);
    if (transfer == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "out of memory");
    link_transfer(http, transfer);
    start_or_wait(http, transfer, now_ns);
    return STATUS_OK;
}

/* ---- ends ---------------------------------------------------------------------------------------
 */

/* The last that is done with a transfer, whose sentence says why; on_end may send others. */
static void end(struct http *http, struct http_transfer *transfer, enum http_end how)
{
    struct http_answer answer = http_transfer_answer(transfer, how);
    unlink_transfer(http, transfer);
    transfer->on_end(transfer->context, &answer);
    give_easy(http, transfer->easy);
    http_transfer_free(transfer);
}

/* The host has room for one more. */
static void leave_host(struct http *http, struct http_host *host, enum http_end how,
                       uint64_t now_ns)
{
    bool has_answered = how == HTTP_ANSWERED || how == HTTP_TOO_LARGE;
    host->under_way--;
    host->silent = has_answered ? 0 : host->silent + 1;
    if (has_answered)
        host->heard_ns = now_ns;
    /* One whose time is over is ended by the next look at those that wait. */
    struct http_transfer **link = &host->first;
    while (*link != NULL && (*link)->deadline_ns <= now_ns)
        link = &(*link)->next;
    if (*link != NULL)
        start(http, take_from_line(http, host, link), now_ns);
    drop_host_if_idle(http, host);
}

static enum http_end explain(struct http_transfer *transfer, CURLcode code)
{
    long sent = 0;
    char detail[CURL_ERROR_SIZE];
    curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &sent);
    snprintf(detail, sizeof detail, "%.255s",
             transfer->sentence[0] != '\0' ? transfer->sentence : curl_easy_strerror(code));
    struct http_ending ending = {.code = code,
                                 .is_too_large = transfer->is_too_large,
                                 .is_sent = sent > 0,
                                 .host = transfer->host->name,
                                 .detail = detail,
                                 .timeout_ms = transfer->timeout_ms};
    http_ending_print(&ending, transfer->sentence);
    return http_ending_class(&ending);
}

static void end_under_way(struct http *http, struct http_transfer *transfer, CURLcode code)
{
    enum http_end how = explain(transfer, code);
    curl_multi_remove_handle(http->multi, transfer->easy);
    leave_host(http, transfer->host, how, clock_now_ns());
    end(http, transfer, how);
}

/* True: some had ended. */
static bool take_ended(struct http *http)
{
    int left;
    bool has_any = false;
    CURLMsg *message;
    while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
        struct http_transfer *transfer = NULL;
        CURLcode code = message->data.result;
        assert(message->msg == CURLMSG_DONE);
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
        end_under_way(http, transfer, code);
        has_any = true;
    }
    return has_any;
}

/* ---- those that wait ----------------------------------------------------------------------------
 */

static bool is_mute_for(const struct http_host *host, const struct http_transfer *transfer,
                        uint64_t now_ns)
{
    uint64_t since_ns = host->heard_ns > host->full_ns ? host->heard_ns : host->full_ns;
    return transfer->patience_ns > 0 &&
           (host->silent >= HTTP_HOST_SILENT_MAX || now_ns - since_ns >= transfer->patience_ns);
}

/* Why it need not wait any longer; false: it waits. */
static bool gives_up(struct http_transfer *transfer, uint64_t now_ns)
{
    const struct http_host *host = transfer->host;
    if (transfer->deadline_ns <= now_ns)
        snprintf(
            transfer->sentence, sizeof transfer->sentence,
            "%s had %u requests under way for all of %u ms, and this one was not sent: see why "
            "it is slow, or give it more time",
            host->name, HTTP_HOST_CONNECTIONS_MAX, transfer->timeout_ms);
    else if (is_mute_for(host, transfer, now_ns))
        snprintf(transfer->sentence, sizeof transfer->sentence,
                 "%s has %u requests under way and answers none, and this one was not sent: see "
                 "that it runs",
                 host->name, HTTP_HOST_CONNECTIONS_MAX);
    else
        return false;
    return true;
}

/* From the host's line to the end of another. */
static void give_up(struct http *http, struct http_host *host, uint64_t now_ns,
                    struct http_transfer ***last)
{
    struct http_transfer **link = &host->first;
    while (*link != NULL) {
        if (!gives_up(*link, now_ns)) {
            link = &(*link)->next;
            continue;
        }
        struct http_transfer *transfer = take_from_line(http, host, link);
        transfer->next = NULL;
        **last = transfer;
        *last = &transfer->next;
    }
}

static struct http_transfer *give_up_all(struct http *http, uint64_t now_ns)
{
    struct http_transfer *first = NULL, **last = &first;
    struct http_host *next;
    for (struct http_host *host = http->hosts; host != NULL; host = next) {
        next = host->next;
        give_up(http, host, now_ns, &last);
        drop_host_if_idle(http, host);
    }
    return first;
}

/* Only once none of them is in a line any more they are ended: on_end may send others. */
static void look_at_waiting(struct http *http)
{
    uint64_t now_ns = clock_now_ns();
    if (http->waiting == 0 || now_ns - http->looked_ns < LOOK_NS)
        return;
    http->looked_ns = now_ns;
    struct http_transfer *first = give_up_all(http, now_ns);
    while (first != NULL) {
        struct http_transfer *transfer = first;
        first = transfer->next;
        end(http, transfer, HTTP_NOT_SENT);
    }
}

/* ---- a turn -------------------------------------------------------------------------------------
 */

void http_turn(struct http *http)
{
    block_signal(http);
    http_sockets_turn(&http->sockets);
    (void)take_ended(http);
    look_at_waiting(http);
}

bool http_flush(struct http *http)
{
    http_sockets_flush(&http->sockets);
    return take_ended(http);
}

static int bound_wait(const struct http *http, int64_t timeout_ms)
{
    if (timeout_ms < 0 || timeout_ms > WAIT_MS_MAX)
        timeout_ms = WAIT_MS_MAX;
    if (http->waiting > 0 && timeout_ms > (int64_t)(LOOK_NS / 1000000))
        timeout_ms = (int64_t)(LOOK_NS / 1000000);
    return (int)timeout_ms;
}

void http_wait(struct http *http, struct pollfd *fds, uint32_t fds_count, int64_t timeout_ms)
{
    http_sockets_wait(&http->sockets, fds, fds_count, bound_wait(http, timeout_ms));
}

void http_wake(struct http *http)
{
    http_sockets_wake(&http->sockets);
}

uint32_t http_open_requests(const struct http *http)
{
    return http->count;
}

static void cancel_all(struct http *http)
{
    while (http->all != NULL) {
        struct http_transfer *transfer = http->all;
        if (transfer->is_under_way)
            curl_multi_remove_handle(http->multi, transfer->easy);
        snprintf(transfer->sentence, sizeof transfer->sentence, "the engine ends");
        end(http, transfer, HTTP_CANCELLED);
    }
}

void http_close(struct http *http)
{
    if (http == NULL)
        return;
    block_signal(http);
    http->is_closing = true;
    cancel_all(http);
    while (http->hosts != NULL) {
        struct http_host *host = http->hosts;
        http->hosts = host->next;
        free(host);
    }
    for (uint32_t i = 0; i < http->spare_count; i++)
        curl_easy_cleanup(http->spare[i]);
    curl_multi_cleanup(http->multi);
    http_sockets_close(&http->sockets);
    curl_global_cleanup();
    free(http->ca_file);
    free(http);
}
