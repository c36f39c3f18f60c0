#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/sql_parts.h"

/* One at a time makes the table, of however many engines; to the others it is there then. That is
 * seen before its index, which would wait for all that write to the table, and they for it. */
#define KEYS_LOCK 7307135

/* ---- lost --------------------------------------------------------------------------------------
 */

/* Without the line breaks that libpq has in its own. */
static void take_reason(struct sql *sql, const char *reason)
{
    size_t count = 0;
    for (const char *at = reason; *at && count + 1 < sizeof sql->reason; at++) {
        bool is_space = *at == '\n' || *at == '\t' || *at == ' ';
        if (!is_space)
            sql->reason[count++] = *at;
        else if (count && sql->reason[count - 1] != ' ')
            sql->reason[count++] = ' ';
    }
    while (count && sql->reason[count - 1] == ' ')
        count--;
    sql->reason[count] = 0;
}

static void say_away(struct sql *sql, const char *error, const char *reason)
{
    take_reason(sql, reason);
    snprintf(sql->away_error, sizeof sql->away_error, "%s", error);
    if (!sql->away)
        edge_log(sql->thread, 4, "sql_away", "%s: %s", sql->where, sql->reason);
    sql->away = true;
}

static void say_back(struct sql *sql)
{
    if (sql->away)
        edge_log(sql->thread, 6, "sql_back", "%s: connected again", sql->where);
    sql->away = false;
}

/* Whether its transaction was committed is not known: its key is there if it was. */
static void return_txn(struct sql *sql, struct sql_txn *txn, const char *error)
{
    PQclear(txn->error);
    PQclear(txn->answer);
    txn->error = txn->answer = NULL;
    if (!txn->call) {
        if (txn->kind == SQL_CLEAN)
            sql->clean_at_ms = sql_now_ms() + SQL_CLEAN_EVERY_MS;
        sql_txn_free(txn);
    } else if (sql_now_ms() >= txn->limit_ms) {
        sql_fail(sql, txn, true, "States.Timeout", "%s: out of time: %s", sql->where, sql->reason);
    } else if (++txn->attempts >= SQL_ATTEMPTS_MAX) {
        sql_fail(sql, txn, true, error, "%s: %u attempts, at last: %s", sql->where, txn->attempts,
                 sql->reason);
    } else {
        edge_count_retry(sql->thread, txn->call);
        sql_queue_in_front(sql, txn);
    }
}

/* The last first, since each is put in front. */
static void return_all(struct sql *sql, struct sql_connection *connection, const char *error)
{
    struct sql_txn *reversed = NULL;
    while (connection->head) {
        struct sql_txn *txn = connection->head;
        connection->head = txn->next;
        txn->next = reversed;
        reversed = txn;
    }
    connection->tail = &connection->head;
    connection->depth = 0;
    while (reversed) {
        struct sql_txn *txn = reversed;
        reversed = txn->next;
        return_txn(sql, txn, error);
    }
}

static void close_socket(struct sql_connection *connection)
{
    PQfinish(connection->pg);
    connection->pg = NULL;
    connection->state = SQL_CLOSED;
    connection->unsent = connection->spent = false;
    connection->forgetting = false;
    memset(connection->prepared, 0, sizeof connection->prepared);
    memset(connection->preparing, 0, sizeof connection->preparing);
}

void sql_connection_lost(struct sql *sql, struct sql_connection *connection, const char *error,
                         const char *reason)
{
    say_away(sql, error, *reason ? reason : "the connection broke");
    close_socket(connection);
    connection->retry_at_ms = sql_now_ms() + sql_backoff_ms(sql, connection->failures++);
    return_all(sql, connection, error);
}

static void lose(struct sql *sql, struct sql_connection *connection)
{
    sql_connection_lost(sql, connection, "SQL.ConnectionLost", PQerrorMessage(connection->pg));
}

/* ---- connecting --------------------------------------------------------------------------------
 */

static void ignore_notice(void *context, const char *message)
{
    (void)context;
    (void)message;
}

/* The url goes before what is said in front of it, and what follows it goes before the url. */
static PGconn *start(const struct sql *sql, const struct sql_addresses *addresses)
{
    const char *const names[] = {"fallback_application_name",
                                 "keepalives_idle",
                                 "keepalives_interval",
                                 "keepalives_count",
                                 "dbname",
                                 "client_encoding",
                                 addresses->host ? "host" : NULL,
                                 "hostaddr",
                                 "port",
                                 NULL};
    const char *const values[] = {"flyover",
                                  "30",
                                  "10",
                                  "3",
                                  sql->config->url,
                                  "UTF8",
                                  addresses->host,
                                  addresses->hostaddr,
                                  addresses->port,
                                  NULL};
    return PQconnectStartParams(names, values, 1);
}

static void connect_to(struct sql *sql, struct sql_connection *connection,
                       const struct sql_addresses *addresses)
{
    connection->pg = start(sql, addresses);
    connection->state = SQL_CONNECTING;
    connection->polling = PGRES_POLLING_WRITING;
    connection->give_up_ms = sql_now_ms() + SQL_CONNECT_MS;
    if (!connection->pg || PQstatus(connection->pg) == CONNECTION_BAD)
        sql_connection_lost(sql, connection, "SQL.ConnectionFailed",
                            connection->pg ? PQerrorMessage(connection->pg) : "no memory");
    else
        PQsetNoticeProcessor(connection->pg, ignore_notice, NULL);
}

void sql_connection_begin(struct sql *sql, struct sql_connection *connection)
{
    assert(connection->state == SQL_CLOSED);
    connection->tail = &connection->head;
    struct sql_addresses addresses;
    const char *reason;
    int64_t now_ms = sql_now_ms();
    switch (sql_names_ask(sql->names, now_ms, &addresses, &reason)) {
    case SQL_NAMES_FOUND: connect_to(sql, connection, &addresses); break;
    case SQL_NAMES_WAIT: connection->retry_at_ms = now_ms + SQL_NAMES_LOOK_MS; break;
    case SQL_NAMES_FAILED:
        sql_connection_lost(sql, connection, "SQL.ConnectionFailed", reason);
        break;
    }
}

static void ask(struct sql *sql, struct sql_connection *connection, enum sql_state state,
                const char *text)
{
    connection->state = state;
    if (!PQsendQuery(connection->pg, text))
        lose(sql, connection);
    else
        connection->unsent = PQflush(connection->pg) == 1;
}

/* The session is as the module needs it, whatever the role's own settings are. */
static void set_up(struct sql *sql, struct sql_connection *connection)
{
    char text[768];
    snprintf(text, sizeof text,
             "SET default_transaction_isolation = 'read committed'; "
             "SET default_transaction_deferrable = off; SET standard_conforming_strings = on; "
             "SET client_min_messages = error; SET statement_timeout = %lld; "
             "SELECT to_regclass('%s') IS NOT NULL",
             (long long)sql->config->timeout_ms, sql->config->keys_table);
    connection->keys_found = connection->keys_refused = false;
    connection->failed[0] = 0;
    ask(sql, connection, SQL_SETTING_UP, text);
}

static void make_keys(struct sql *sql, struct sql_connection *connection)
{
    char ddl[512], text[640];
    sql_keys_ddl(sql->config->keys_table, ddl, sizeof ddl);
    snprintf(text, sizeof text, "SELECT pg_advisory_xact_lock(%d); %s", KEYS_LOCK, ddl);
    ask(sql, connection, SQL_MAKING_KEYS, text);
}

static void be_ready(struct sql *sql, struct sql_connection *connection)
{
    if (!PQenterPipelineMode(connection->pg)) {
        lose(sql, connection);
        return;
    }
    connection->state = SQL_READY;
    connection->failures = 0;
    say_back(sql);
}

static void connect_more(struct sql *sql, struct sql_connection *connection)
{
    connection->polling = PQconnectPoll(connection->pg);
    if (connection->polling == PGRES_POLLING_FAILED) {
        sql_connection_lost(sql, connection, "SQL.ConnectionFailed",
                            PQerrorMessage(connection->pg));
    } else if (connection->polling == PGRES_POLLING_OK) {
        PQsetnonblocking(connection->pg, 1);
        set_up(sql, connection);
    }
}

/* The sentence of a table that may not be made; all that waits is answered by it. */
static void refuse_keys(struct sql *sql, struct sql_connection *connection, const char *why)
{
    char ddl[512], text[SQL_REASON_BYTES];
    sql_keys_ddl(sql->config->keys_table, ddl, sizeof ddl);
    snprintf(text, sizeof text, "the table of keys is missing and cannot be made (%.160s); run: %s",
             why, ddl);
    sql_connection_lost(sql, connection, "SQL.KeysTableMissing", text);
}

static void on_set_up(struct sql *sql, struct sql_connection *connection)
{
    if (connection->failed[0] && connection->keys_refused)
        refuse_keys(sql, connection, connection->failed);
    else if (connection->failed[0])
        sql_connection_lost(sql, connection, "SQL.ConnectionFailed", connection->failed);
    else if (connection->state == SQL_SETTING_UP && !connection->keys_found)
        make_keys(sql, connection);
    else
        be_ready(sql, connection);
}

/* A table that is there by now was made by somebody else, and that is as good. The second is said
 * where both were at it. */
static bool is_made(const char *state)
{
    return strcmp(state, "42P07") == 0 || strcmp(state, "23505") == 0;
}

/* A server that was out of time, or of memory, has refused nothing. */
static void take_failure(struct sql_connection *connection, const PGresult *result)
{
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (state && connection->state == SQL_MAKING_KEYS) {
        if (is_made(state))
            return;
        connection->keys_refused =
            !sql_error_of(state, NULL).retryable || strcmp(state, "25006") == 0;
    }
    snprintf(connection->failed, sizeof connection->failed, "%s",
             message ? message : "the connection broke");
}

static void set_up_more(struct sql *sql, struct sql_connection *connection)
{
    while (!PQisBusy(connection->pg)) {
        PGresult *result = PQgetResult(connection->pg);
        if (!result) {
            on_set_up(sql, connection);
            return;
        }
        if (PQresultStatus(result) == PGRES_FATAL_ERROR)
            take_failure(connection, result);
        else if (PQresultStatus(result) == PGRES_TUPLES_OK && connection->state == SQL_SETTING_UP)
            connection->keys_found = PQgetvalue(result, 0, 0)[0] == 't';
        PQclear(result);
    }
}

/* ---- results -----------------------------------------------------------------------------------
 */

static void take_prepared(struct sql_connection *connection, const struct sql_txn *txn, bool good)
{
    uint32_t slot = txn->commands[txn->at].slot;
    connection->preparing[slot] = false;
    connection->prepared[slot] = good ? sql_version_of(txn, slot) : 0;
}

static void take_error(struct sql_connection *connection, struct sql_txn *txn, PGresult *result)
{
    bool of_command = txn->at < txn->commands_count;
    if (of_command && txn->commands[txn->at].verb == SQL_PREPARE)
        take_prepared(connection, txn, false);
    if (txn->error || PQresultStatus(result) == PGRES_PIPELINE_ABORTED) {
        PQclear(result);
        return;
    }
    txn->error = result;
    txn->error_slot = txn->commands[of_command ? txn->at : txn->commands_count - 1].slot;
}

static struct sql_part *part_at(struct sql_txn *txn, uint32_t slot)
{
    struct sql_part *parts = txn->statement->parts;
    return &parts[slot - parts[0].slot];
}

static void take_description(struct sql *sql, struct sql_connection *connection,
                             struct sql_txn *txn, const PGresult *result)
{
    struct sql_part *part = part_at(txn, txn->commands[txn->at].slot);
    struct problem problem;
    if (sql_wrap(connection->pg, sql->config->keys_table, txn->statement, part, result, &problem) ||
        txn->refused[0])
        return;
    snprintf(txn->refused, sizeof txn->refused, "%.127s", problem.text);
}

static void take_result(struct sql *sql, struct sql_connection *connection, struct sql_txn *txn,
                        PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        take_error(connection, txn, result);
        return;
    }
    assert(txn->at < txn->commands_count);
    uint8_t verb = txn->commands[txn->at].verb;
    if (verb == SQL_DESCRIBED)
        take_description(sql, connection, txn, result);
    if (verb == SQL_PREPARE)
        take_prepared(connection, txn, true);
    if (verb == SQL_EXECUTE) {
        PQclear(txn->answer);
        txn->answer = result;
    } else {
        PQclear(result);
    }
}

static void take_sync(struct sql *sql, struct sql_connection *connection)
{
    struct sql_txn *txn = connection->head;
    connection->head = txn->next;
    if (!connection->head)
        connection->tail = &connection->head;
    connection->depth--;
    connection->answered_ms = sql_now_ms();
    txn->next = NULL;
    sql_on_end(sql, connection, txn);
}

/* False: there is no more to read now. */
static bool receive_one(struct sql *sql, struct sql_connection *connection)
{
    if (!connection->head || PQisBusy(connection->pg))
        return false;
    PGresult *result = PQgetResult(connection->pg);
    if (!result) {
        connection->head->at++;
        return PQstatus(connection->pg) == CONNECTION_OK;
    }
    if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
        PQclear(result);
        take_sync(sql, connection);
    } else {
        take_result(sql, connection, connection->head, result);
    }
    return true;
}

static void work(struct sql *sql, struct sql_connection *connection, short happened)
{
    bool good = !(happened & ~POLLOUT) || PQconsumeInput(connection->pg);
    while (connection->state == SQL_READY && receive_one(sql, connection))
        continue;
    if (connection->state != SQL_READY)
        return;
    if (!good || PQstatus(connection->pg) == CONNECTION_BAD)
        lose(sql, connection);
    else
        connection->unsent = connection->unsent && PQflush(connection->pg) == 1;
}

/* ---- a turn ------------------------------------------------------------------------------------
 */

bool sql_connection_poll(const struct sql_connection *connection, struct pollfd *ret_fd)
{
    if (connection->state == SQL_CLOSED || PQsocket(connection->pg) < 0)
        return false;
    bool reads =
        connection->state != SQL_CONNECTING || connection->polling == PGRES_POLLING_READING;
    bool writes = connection->state == SQL_CONNECTING ? !reads : connection->unsent;
    *ret_fd = (struct pollfd){.fd = PQsocket(connection->pg),
                              .events = (short)((reads ? POLLIN : 0) | (writes ? POLLOUT : 0))};
    return true;
}

/* What was behind another may be out of time already when the server begins with it. */
int64_t sql_connection_due_ms(const struct sql_connection *connection)
{
    if (connection->state == SQL_CLOSED)
        return connection->retry_at_ms;
    if (connection->state != SQL_READY)
        return connection->give_up_ms;
    if (!connection->head)
        return INT64_MAX;
    int64_t limit_ms = connection->head->limit_ms;
    return (limit_ms > connection->answered_ms ? limit_ms : connection->answered_ms) + SQL_GRACE_MS;
}

/* A server that says nothing, neither yes nor no. */
static bool is_dead(const struct sql_connection *connection, int64_t now_ms)
{
    return connection->state != SQL_CLOSED && now_ms > sql_connection_due_ms(connection);
}

void sql_connection_turn(struct sql *sql, struct sql_connection *connection, short happened)
{
    if (connection->state == SQL_CLOSED)
        happened = 0;
    if (connection->state == SQL_CONNECTING && happened)
        connect_more(sql, connection);
    else if (connection->state == SQL_READY && happened)
        work(sql, connection, happened);
    else if (happened && !PQconsumeInput(connection->pg))
        lose(sql, connection);
    else if (happened) {
        connection->unsent = PQflush(connection->pg) == 1;
        set_up_more(sql, connection);
    }
    if (is_dead(connection, sql_now_ms()))
        sql_connection_lost(sql, connection, "SQL.ConnectionLost", "the server does not answer");
    if (connection->spent && !connection->head)
        sql_connection_lost(sql, connection, "SQL.ConnectionLost",
                            "the session cannot be used any more");
    if (connection->state == SQL_CLOSED && sql_now_ms() >= connection->retry_at_ms)
        sql_connection_begin(sql, connection);
}

bool sql_connection_has_room(const struct sql *sql, const struct sql_connection *connection)
{
    return connection->state == SQL_READY && !connection->spent &&
           connection->depth < sql->config->pipeline;
}

static void give(struct sql *sql, struct sql_connection *connection, struct sql_txn *txn)
{
    enum sql_sent sent = sql_send(sql, connection, txn);
    if (sent == SQL_NOT_SENT)
        return;
    txn->next = NULL;
    *connection->tail = txn;
    connection->tail = &txn->next;
    connection->depth++;
    if (sent == SQL_BROKEN)
        lose(sql, connection);
    else
        connection->unsent = PQflush(connection->pg) == 1;
}

/* Without memory for it what is outdated is just not used. */
void sql_connection_forget(struct sql *sql, struct sql_connection *connection)
{
    struct sql_txn *forget = connection->forgetting ? NULL : calloc(1, sizeof *forget);
    if (!forget)
        return;
    forget->kind = SQL_FORGET;
    forget->limit_ms = sql_now_ms() + sql->config->timeout_ms;
    connection->forgetting = true;
    give(sql, connection, forget);
}

static bool is_outdated(const struct sql_connection *connection, const struct sql_txn *txn)
{
    if (txn->kind != SQL_RUN)
        return false;
    const struct sql_statement *statement = txn->statement;
    for (uint32_t i = 0; i < statement->parts_count; i++) {
        uint32_t prepared = connection->prepared[statement->parts[i].slot];
        if (prepared && prepared != statement->version)
            return true;
    }
    return false;
}

void sql_connection_give(struct sql *sql, struct sql_connection *connection, struct sql_txn *txn)
{
    if (is_outdated(connection, txn))
        sql_connection_forget(sql, connection);
    if (connection->state == SQL_READY)
        give(sql, connection, txn);
    else
        sql_queue_in_front(sql, txn);
}
