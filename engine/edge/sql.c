#include "engine/edge/sql.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/edge/sql_parts.h"

int64_t sql_now_ms(void)
{
    return (int64_t)(clock_now_ns() / 1000000u);
}

void sql_keys_ddl(const char *table, char *ret_text, size_t capacity)
{
    const char *dot = strchr(table, '.');
    snprintf(ret_text, capacity,
             "CREATE TABLE %s (key text PRIMARY KEY, output json, "
             "undone boolean NOT NULL DEFAULT false, made_at timestamptz NOT NULL DEFAULT now()); "
             "CREATE INDEX %s_made_at ON %s USING brin (made_at)",
             table, dot ? dot + 1 : table, table);
}

/* ---- the queues --------------------------------------------------------------------------------
 */

void sql_txn_free(struct sql_txn *txn)
{
    PQclear(txn->error);
    PQclear(txn->answer);
    PQclear(txn->doubt);
    free(txn);
}

static void expect_end(struct sql *sql, const struct sql_txn *txn)
{
    if (txn->limit_ms < sql->expire_at_ms)
        sql->expire_at_ms = txn->limit_ms;
}

void sql_queue(struct sql *sql, struct sql_txn *txn)
{
    txn->next = NULL;
    *sql->ready_tail = txn;
    sql->ready_tail = &txn->next;
    expect_end(sql, txn);
}

void sql_queue_in_front(struct sql *sql, struct sql_txn *txn)
{
    txn->next = sql->ready;
    sql->ready = txn;
    if (!txn->next)
        sql->ready_tail = &txn->next;
    expect_end(sql, txn);
}

static struct sql_txn *take_ready(struct sql *sql)
{
    struct sql_txn *txn = sql->ready;
    sql->ready = txn->next;
    if (!sql->ready)
        sql->ready_tail = &sql->ready;
    return txn;
}

/* xorshift64: it only spreads retries. */
static uint64_t draw(struct sql *sql)
{
    sql->random ^= sql->random << 13;
    sql->random ^= sql->random >> 7;
    sql->random ^= sql->random << 17;
    return sql->random;
}

int64_t sql_backoff_ms(struct sql *sql, uint32_t n)
{
    int64_t most = n < 7 ? (int64_t)SQL_BACKOFF_MS << n : SQL_BACKOFF_MS_MAX;
    if (most > SQL_BACKOFF_MS_MAX)
        most = SQL_BACKOFF_MS_MAX;
    return (int64_t)(draw(sql) % (uint64_t)(most + 1));
}

bool sql_queue_again(struct sql *sql, struct sql_txn *txn)
{
    int64_t due_ms = sql_now_ms() + sql_backoff_ms(sql, txn->attempts);
    if (txn->attempts + 1 >= SQL_ATTEMPTS_MAX || txn->turns >= SQL_TURNS_MAX ||
        due_ms >= txn->limit_ms)
        return false;
    PQclear(txn->error);
    PQclear(txn->answer);
    txn->error = txn->answer = NULL;
    txn->attempts++;
    txn->due_ms = due_ms;
    txn->next = sql->delayed;
    sql->delayed = txn;
    edge_count_retry(sql->thread, txn->call);
    return true;
}

static void queue_due(struct sql *sql, int64_t now_ms)
{
    for (struct sql_txn **at = &sql->delayed; *at;) {
        struct sql_txn *txn = *at;
        if (txn->due_ms > now_ms) {
            at = &txn->next;
            continue;
        }
        *at = txn->next;
        sql_queue(sql, txn);
    }
}

/* ---- out of time, or without any hope ----------------------------------------------------------
 */

static bool is_connected(const struct sql *sql)
{
    for (uint32_t i = 0; i < sql->connections_count; i++) {
        if (sql->connections[i].state == SQL_READY)
            return true;
    }
    return false;
}

static void give_up(struct sql *sql, struct sql_txn *txn)
{
    if (!txn->call) {
        sql->clean_at_ms = sql_now_ms() + SQL_CLEAN_EVERY_MS;
        sql_txn_free(txn);
    } else if (txn->doubt) {
        sql_fail_by_doubt(sql, txn);
    } else if (!is_connected(sql) && sql->away) {
        sql_fail(sql, txn, true, sql->away_error, "%s: %s", sql->where, sql->reason);
    } else {
        sql_fail(sql, txn, true, "States.Timeout",
                 "%s: no connection had room before the call was out of time; a larger pool (now "
                 "%u), quicker statements, or more time for the step",
                 sql->where, sql->connections_count);
    }
}

/* Of both queues, those that are out of time, or all. */
static void give_up_of(struct sql *sql, struct sql_txn **at, int64_t now_ms, bool all)
{
    while (*at) {
        struct sql_txn *txn = *at;
        if (!all && txn->limit_ms > now_ms) {
            expect_end(sql, txn);
            at = &txn->next;
            continue;
        }
        *at = txn->next;
        give_up(sql, txn);
    }
}

static void mend_tail(struct sql *sql)
{
    sql->ready_tail = &sql->ready;
    while (*sql->ready_tail)
        sql->ready_tail = &(*sql->ready_tail)->next;
}

static void give_up_late(struct sql *sql, int64_t now_ms)
{
    bool hopeless =
        sql->away && strcmp(sql->away_error, "SQL.KeysTableMissing") == 0 && !is_connected(sql);
    if (!hopeless && now_ms < sql->expire_at_ms)
        return;
    sql->expire_at_ms = INT64_MAX;
    give_up_of(sql, &sql->ready, now_ms, hopeless);
    give_up_of(sql, &sql->delayed, now_ms, hopeless);
    mend_tail(sql);
}

/* ---- to the connections ------------------------------------------------------------------------
 */

/* Until all connections are there, or have failed once, none is given a second transaction: it may
 * be behind one that waits for a lock. */
static bool is_coming(const struct sql *sql)
{
    for (uint32_t i = 0; i < sql->connections_count; i++) {
        if (sql->connections[i].state != SQL_READY && sql->connections[i].failures == 0)
            return true;
    }
    return false;
}

/* The one with the least under way, so that nothing waits behind another while one is free. */
static struct sql_connection *find_room(struct sql *sql)
{
    struct sql_connection *best = NULL;
    for (uint32_t i = 0; i < sql->connections_count; i++) {
        struct sql_connection *connection = &sql->connections[i];
        if (sql_connection_has_room(sql, connection) && (!best || connection->depth < best->depth))
            best = connection;
    }
    return best && best->depth > 0 && is_coming(sql) ? NULL : best;
}

static void hand_out(struct sql *sql)
{
    struct sql_connection *connection;
    while (sql->ready && (connection = find_room(sql)))
        sql_connection_give(sql, connection, take_ready(sql));
}

static void clean(struct sql *sql, int64_t now_ms)
{
    if (now_ms < sql->clean_at_ms || !is_connected(sql))
        return;
    struct sql_txn *txn = calloc(1, sizeof *txn);
    sql->clean_at_ms = txn ? INT64_MAX : now_ms + SQL_CLEAN_EVERY_MS;
    if (!txn)
        return;
    txn->kind = SQL_CLEAN;
    txn->limit_ms = now_ms + sql->config->timeout_ms;
    sql_queue(sql, txn);
}

/* ---- the module --------------------------------------------------------------------------------
 */

static int64_t limit_of(const struct sql *sql, const struct edge_call *call)
{
    int64_t left_ms = sql->config->timeout_ms;
    if (call->deadline_ms && call->deadline_ms - clock_wall_ms() < left_ms)
        left_ms = call->deadline_ms - clock_wall_ms();
    return sql_now_ms() + left_ms;
}

static void on_call(void *module, struct edge_call *call)
{
    struct sql *sql = module;
    struct sql_txn *txn = calloc(1, sizeof *txn);
    if (!txn) {
        edge_failed(sql->thread, call, true, "SQL.InsufficientResources", "no memory for a call");
        return;
    }
    assert(call->handler < sql->config->statements_count);
    txn->call = call;
    txn->statement = &sql->config->statements[call->handler];
    txn->kind = SQL_RUN;
    txn->limit_ms = limit_of(sql, call);
    sql_queue(sql, txn);
    give_up_late(sql, sql_now_ms());
    hand_out(sql);
}

static uint32_t poll_fds(void *module, struct pollfd *ret_fds)
{
    struct sql *sql = module;
    uint32_t count = 0;
    for (uint32_t i = 0; i < sql->connections_count; i++) {
        struct sql_connection *connection = &sql->connections[i];
        connection->fd = SQL_NO_FD;
        if (sql_connection_poll(connection, &ret_fds[count]))
            connection->fd = count++;
    }
    return count;
}

static void sooner(int64_t *at_ms, int64_t other_ms)
{
    if (other_ms < *at_ms)
        *at_ms = other_ms;
}

static int64_t next_ms(const struct sql *sql, int64_t now_ms)
{
    int64_t at_ms = sql->expire_at_ms;
    if (is_connected(sql))
        sooner(&at_ms, sql->clean_at_ms);
    for (const struct sql_txn *txn = sql->delayed; txn; txn = txn->next)
        sooner(&at_ms, txn->due_ms);
    for (uint32_t i = 0; i < sql->connections_count; i++)
        sooner(&at_ms, sql_connection_due_ms(&sql->connections[i]));
    return at_ms == INT64_MAX ? -1 : at_ms > now_ms ? at_ms - now_ms + 1 : 0;
}

static int64_t turn(void *module, const struct pollfd *fds, uint32_t fds_count)
{
    struct sql *sql = module;
    for (uint32_t i = 0; i < sql->connections_count; i++) {
        struct sql_connection *connection = &sql->connections[i];
        bool has_fd = connection->fd < fds_count;
        sql_connection_turn(sql, connection, has_fd ? fds[connection->fd].revents : 0);
        connection->fd = SQL_NO_FD;
    }
    int64_t now_ms = sql_now_ms();
    queue_due(sql, now_ms);
    clean(sql, now_ms);
    give_up_late(sql, now_ms);
    hand_out(sql);
    return next_ms(sql, now_ms);
}

static const char *const *handlers(const void *module)
{
    const struct sql *sql = module;
    return sql->config->names;
}

/* ---- open and close ----------------------------------------------------------------------------
 */

__attribute__((format(printf, 1, 2))) static char *print(const char *format, ...)
{
    char *text = NULL;
    va_list list;
    va_start(list, format);
    int count = vasprintf(&text, format, list);
    va_end(list);
    assert(count >= 0);
    return text;
}

static void make_texts(struct sql *sql)
{
    const char *keys = sql->config->keys_table;
    sql->texts[SQL_SLOT_KEY] = print("INSERT INTO %s (key) VALUES ($1)", keys);
    sql->texts[SQL_SLOT_READ] = print("SELECT output::text, undone FROM %s WHERE key = $1", keys);
    sql->texts[SQL_SLOT_FORWARD] =
        print("SELECT CASE WHEN count(*) = 0 THEN CAST('flyover_nothing:' || count(*) AS integer) "
              "END FROM %s WHERE key = $1 AND NOT undone",
              keys);
    sql->texts[SQL_SLOT_TOMBSTONE] =
        print("INSERT INTO %s (key, undone) VALUES ($1, true) ON CONFLICT (key) DO NOTHING", keys);
    sql->texts[SQL_SLOT_NO_FORWARD] =
        print("SELECT CASE WHEN count(*) > 0 THEN CAST('flyover_forward:' || count(*) AS integer) "
              "END FROM %s WHERE key = $1 AND NOT undone",
              keys);
    sql->texts[SQL_SLOT_TIMEOUT] = print("SELECT set_config('statement_timeout', $1, true)");
    sql->texts[SQL_SLOT_CLEAN] =
        print("DELETE FROM %s WHERE key IN (SELECT key FROM %s WHERE made_at < now() - "
              "make_interval(hours => $1::integer) LIMIT %d FOR UPDATE SKIP LOCKED)",
              keys, keys, SQL_CLEAN_ROWS);
}

static const char *option_of(const PQconninfoOption *options, const char *name, const char *other)
{
    for (const PQconninfoOption *option = options; option->keyword; option++) {
        if (strcmp(option->keyword, name) == 0 && option->val && *option->val)
            return option->val;
    }
    return other;
}

static void name_server(struct sql *sql)
{
    PQconninfoOption *options = PQconninfoParse(sql->config->url, NULL);
    assert(options);
    const char *address = option_of(options, "hostaddr", "localhost");
    snprintf(sql->where, sizeof sql->where, "%s:%s/%s", option_of(options, "host", address),
             option_of(options, "port", "5432"), option_of(options, "dbname", ""));
    PQconninfoFree(options);
}

static void number_parts(struct sql *sql)
{
    for (uint32_t i = 0; i < sql->config->statements_count; i++) {
        const struct sql_statement *statement = &sql->config->statements[i];
        for (uint32_t j = 0; j < statement->parts_count; j++)
            sql->parts[statement->parts[j].slot] = &statement->parts[j];
    }
}

static enum status open_module(const struct edge_context *context, const json_t *section,
                               void **ret_module, struct problem *problem)
{
    struct sql *sql = calloc(1, sizeof *sql);
    if (!sql)
        return problem_set(problem, STATUS_NO_MEMORY, "sql: no memory for the module");
    enum status status = sql_config_open(section, SQL_SLOT_PARTS, &sql->config, problem);
    if (status == STATUS_OK)
        status = sql_names_open(sql->config->url, &sql->names, problem);
    if (status != STATUS_OK) {
        sql_config_close(sql->config);
        free(sql);
        return status;
    }
    sql->thread = context->thread;
    sql->ready_tail = &sql->ready;
    sql->expire_at_ms = INT64_MAX;
    sql->random = clock_now_ns() | 1;
    sql->connections_count = sql->config->pool;
    make_texts(sql);
    name_server(sql);
    number_parts(sql);
    *ret_module = sql;
    return STATUS_OK;
}

static void free_list(struct sql_txn *txn)
{
    while (txn) {
        struct sql_txn *next = txn->next;
        sql_txn_free(txn);
        txn = next;
    }
}

static void close_module(void *module)
{
    struct sql *sql = module;
    for (uint32_t i = 0; i < sql->connections_count; i++) {
        PQfinish(sql->connections[i].pg);
        free_list(sql->connections[i].head);
    }
    free_list(sql->ready);
    free_list(sql->delayed);
    for (uint32_t i = 0; i < SQL_SLOT_PARTS; i++)
        free(sql->texts[i]);
    sql_names_close(sql->names);
    sql_config_close(sql->config);
    free(sql);
}

const struct edge_kind edge_sql = {
    .section = "sql",
    .service = "sql",
    .handlers = handlers,
    .open = open_module,
    .call = on_call,
    .poll_fds = poll_fds,
    .turn = turn,
    .close = close_module,
};
