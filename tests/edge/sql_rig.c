#include "tests/edge/sql_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/clock.h"

#define WAIT_MS 60000

/* ---- what the frame brings ---------------------------------------------------------------------
 */

struct edge_thread {
    struct sql_rig *rig;
};
static struct edge_thread thread;

static struct sql_rig_call *answer(struct edge_call *call)
{
    struct sql_rig_call *own = (struct sql_rig_call *)call;
    assert_int_equal(own->answers++, 0);
    return own;
}

void edge_done(struct edge_thread *of, struct edge_call *call, json_t *output)
{
    assert_ptr_equal(of, &thread);
    struct sql_rig_call *own = answer(call);
    own->is_done = true;
    own->output = output ? output : json_null();
}

void edge_failed(struct edge_thread *of, struct edge_call *call, bool retryable, const char *error,
                 const char *format, ...)
{
    assert_ptr_equal(of, &thread);
    struct sql_rig_call *own = answer(call);
    own->retryable = retryable;
    snprintf(own->error, sizeof own->error, "%s", error);
    va_list list;
    va_start(list, format);
    vsnprintf(own->cause, sizeof own->cause, format, list);
    va_end(list);
}

void edge_count_retry(struct edge_thread *of, const struct edge_call *call)
{
    assert_ptr_equal(of, &thread);
    ((struct sql_rig_call *)call)->retries++;
}

void edge_log(struct edge_thread *of, int level, const char *event, const char *format, ...)
{
    size_t count = strlen(of->rig->log);
    char text[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    snprintf(of->rig->log + count, sizeof of->rig->log - count, "%d %s %s\n", level, event, text);
}

/* ---- the clock ---------------------------------------------------------------------------------
 */

static int64_t forward_ms;

int __real_clock_gettime(clockid_t clock, struct timespec *ret_now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now)
{
    int failed = __real_clock_gettime(clock, ret_now);
    if (clock == CLOCK_MONOTONIC)
        ret_now->tv_sec += forward_ms / 1000;
    return failed;
}

void sql_rig_set_forward(int64_t ms)
{
    forward_ms += ms;
}

/* ---- the proxy ---------------------------------------------------------------------------------
 */

static int listen_somewhere(int *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t count = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, count), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &count), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static void accept_pair(struct sql_rig *rig)
{
    assert_true(rig->pairs_count < SQL_RIG_PROXIED_MAX);
    int *pair = rig->pairs[rig->pairs_count++];
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)rig->postgres->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    pair[0] = accept4(rig->listener, NULL, NULL, SOCK_CLOEXEC);
    pair[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(pair[1], (struct sockaddr *)&address, sizeof address) != 0) {
        close(pair[0]);
        close(pair[1]);
        pair[0] = pair[1] = -1;
    }
}

static void close_pair(int *pair)
{
    for (int i = 0; i < 2; i++) {
        if (pair[i] >= 0)
            close(pair[i]);
        pair[i] = -1;
    }
}

static void carry(struct sql_rig *rig, int *pair, int from)
{
    char bytes[65536];
    ssize_t count = read(pair[from], bytes, sizeof bytes);
    if (count <= 0) {
        close_pair(pair);
        return;
    }
    if (from == 1 && rig->loses_answers)
        return;
    for (ssize_t sent = 0; sent < count;) {
        ssize_t more = send(pair[!from], bytes + sent, (size_t)(count - sent), MSG_NOSIGNAL);
        if (more <= 0) {
            close_pair(pair);
            return;
        }
        sent += more;
    }
}

void sql_rig_cut(struct sql_rig *rig)
{
    for (uint32_t i = 0; i < rig->pairs_count; i++)
        close_pair(rig->pairs[i]);
}

static uint32_t proxy_fds(struct sql_rig *rig, struct pollfd *fds)
{
    if (rig->listener < 0)
        return 0;
    fds[0] = (struct pollfd){.fd = rig->listener, .events = POLLIN};
    for (uint32_t i = 0; i < rig->pairs_count; i++) {
        for (uint32_t j = 0; j < 2; j++)
            fds[1 + i * 2 + j] = (struct pollfd){.fd = rig->pairs[i][j], .events = POLLIN};
    }
    return 1 + rig->pairs_count * 2;
}

static void proxy_turn(struct sql_rig *rig, const struct pollfd *fds, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        int *pair = rig->pairs[(i - 1) / 2];
        if (fds[i].revents && pair[(i - 1) % 2] == fds[i].fd)
            carry(rig, pair, (int)((i - 1) % 2));
    }
    if (count && fds[0].revents)
        accept_pair(rig);
}

/* ---- the module --------------------------------------------------------------------------------
 */

static void open_at(struct sql_rig *rig, const char *url, const char *config)
{
    char text[16384];
    snprintf(text, sizeof text, config, url);
    json_t *section = json_loads(text, 0, NULL);
    if (!section)
        fail_msg("the test's own configuration is no JSON: %s", text);
    struct problem problem = {0};
    struct edge_context context = {.thread = &thread};
    thread.rig = rig;
    if (edge_sql.open(&context, section, &rig->module, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    json_decref(section);
}

static void begin(struct sql_rig *rig, struct postgres *postgres)
{
    memset(rig, 0, sizeof *rig);
    forward_ms = 0;
    rig->postgres = postgres;
    rig->listener = -1;
    rig->admin = postgres_connect(postgres);
}

void sql_rig_open_as(struct sql_rig *rig, struct postgres *postgres, const char *user,
                     const char *config)
{
    begin(rig, postgres);
    char url[256];
    snprintf(url, sizeof url, "postgresql://%s:secret@127.0.0.1:%d/postgres", user, postgres->port);
    open_at(rig, url, config);
}

void sql_rig_open_at(struct sql_rig *rig, struct postgres *postgres, const char *host,
                     const char *config)
{
    begin(rig, postgres);
    char url[512];
    snprintf(url, sizeof url, "postgresql://postgres:secret@%s/postgres", host);
    open_at(rig, url, config);
}

void sql_rig_open(struct sql_rig *rig, struct postgres *postgres, const char *config)
{
    sql_rig_open_as(rig, postgres, "postgres", config);
}

void sql_rig_open_proxied(struct sql_rig *rig, struct postgres *postgres, const char *config)
{
    begin(rig, postgres);
    rig->listener = listen_somewhere(&rig->proxy_port);
    char url[256];
    snprintf(url, sizeof url, "postgresql://postgres:secret@127.0.0.1:%d/postgres?sslmode=disable",
             rig->proxy_port);
    open_at(rig, url, config);
}

void sql_rig_close(struct sql_rig *rig)
{
    edge_sql.close(rig->module);
    sql_rig_cut(rig);
    if (rig->listener >= 0)
        close(rig->listener);
    PQfinish(rig->admin);
    for (uint32_t i = 0; i < rig->calls_count; i++) {
        json_decref(rig->calls[i].call.input);
        json_decref(rig->calls[i].call.output);
        json_decref(rig->calls[i].output);
    }
}

static uint32_t find_handler(struct sql_rig *rig, const char *name)
{
    const char *const *names = edge_sql.handlers(rig->module);
    for (uint32_t i = 0; names[i]; i++) {
        if (strcmp(names[i], name) == 0)
            return i;
    }
    fail_msg("no handler %s", name);
    return 0;
}

struct sql_rig_call *sql_rig_call_with(struct sql_rig *rig, const char *name, const char *key,
                                       const char *input, const char *output, int64_t within_ms)
{
    assert_true(rig->calls_count < SQL_RIG_CALLS_MAX);
    struct sql_rig_call *own = &rig->calls[rig->calls_count++];
    struct edge_call *call = &own->call;
    size_t count = strlen(key);
    snprintf(call->key, sizeof call->key, "%s", key);
    call->handler = find_handler(rig, name);
    call->saga_id = 7;
    call->step_no = 3;
    call->phase =
        count > 2 && strcmp(key + count - 2, "-c") == 0 ? FLYOVER_COMPENSATION : FLYOVER_FORWARD;
    call->deadline_ms = within_ms ? clock_wall_ms() + within_ms : 0;
    call->input = json_loads(input, JSON_DECODE_ANY, NULL);
    call->output = output ? json_loads(output, JSON_DECODE_ANY, NULL) : NULL;
    assert_non_null(call->input);
    edge_sql.call(rig->module, call);
    return own;
}

struct sql_rig_call *sql_rig_call(struct sql_rig *rig, const char *name, const char *key,
                                  const char *input)
{
    return sql_rig_call_with(rig, name, key, input, NULL, 0);
}

void sql_rig_turn(struct sql_rig *rig)
{
    struct pollfd fds[EDGE_MODULE_FDS_MAX + 1 + SQL_RIG_PROXIED_MAX * 2];
    int64_t within_ms = edge_sql.turn(rig->module, NULL, 0);
    uint32_t count = edge_sql.poll_fds(rig->module, fds);
    uint32_t proxied = proxy_fds(rig, fds + count);
    if (within_ms < 0 || within_ms > 50)
        within_ms = 50;
    assert_true(poll(fds, count + proxied, (int)within_ms) >= 0 || errno == EINTR);
    edge_sql.turn(rig->module, fds, count);
    proxy_turn(rig, fds + count, proxied);
}

static void check_time(int64_t began_ms, const char *what)
{
    if (clock_wall_ms() - began_ms > WAIT_MS)
        fail_msg("waited too long for %s", what);
}

void sql_rig_wait(struct sql_rig *rig, const struct sql_rig_call *call)
{
    for (int64_t began_ms = clock_wall_ms(); !call->answers;) {
        sql_rig_turn(rig);
        check_time(began_ms, call->call.key);
    }
}

void sql_rig_wait_all(struct sql_rig *rig)
{
    for (uint32_t i = 0; i < rig->calls_count; i++)
        sql_rig_wait(rig, &rig->calls[i]);
}

void sql_rig_until(struct sql_rig *rig, const char *sql, long long value)
{
    for (int64_t began_ms = clock_wall_ms(); sql_rig_number(rig, sql) != value;) {
        sql_rig_turn(rig);
        check_time(began_ms, sql);
    }
}

void sql_rig_until_said(struct sql_rig *rig, const char *text)
{
    for (int64_t began_ms = clock_wall_ms(); !strstr(rig->log, text);) {
        sql_rig_turn(rig);
        check_time(began_ms, text);
    }
}

void sql_rig_done(struct sql_rig *rig, const struct sql_rig_call *call, const char *output)
{
    sql_rig_wait(rig, call);
    if (!call->is_done)
        fail_msg("failed: %s: %s", call->error, call->cause);
    json_t *expected = json_loads(output, JSON_DECODE_ANY, NULL);
    assert_non_null(expected);
    if (!json_equal(expected, call->output)) {
        char *text = json_dumps(call->output, JSON_ENCODE_ANY);
        fail_msg("%s instead of %s", text, output);
    }
    json_decref(expected);
}

void sql_rig_failed(struct sql_rig *rig, const struct sql_rig_call *call, const char *error,
                    const char *cause)
{
    sql_rig_wait(rig, call);
    if (call->is_done || strcmp(call->error, error) != 0 || !strstr(call->cause, cause))
        fail_msg("%s: %s", call->is_done ? "done" : call->error, call->cause);
    assert_null(strstr(call->cause, "secret"));
}

long long sql_rig_number(struct sql_rig *rig, const char *sql)
{
    return postgres_number(rig->admin, sql);
}

void sql_rig_run(struct sql_rig *rig, const char *sql)
{
    PQclear(postgres_run(rig->admin, sql));
}
