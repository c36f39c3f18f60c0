#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/sql_parts.h"
#include "engine/edge/sql_value.h"

static bool is_state(const PGresult *error, const char *state)
{
    const char *is = PQresultErrorField(error, PG_DIAG_SQLSTATE);
    return is && strncmp(is, state, strlen(state)) == 0;
}

/* A failure that a statement of this module made itself, by a cast of this word and a number. */
static const char *find_mark(const PGresult *error, const char *mark)
{
    const char *message = PQresultErrorField(error, PG_DIAG_MESSAGE_PRIMARY);
    const char *found = is_state(error, "22P02") && message ? strstr(message, mark) : NULL;
    return found ? found + strlen(mark) : NULL;
}

static void forget_error(struct sql_txn *txn)
{
    PQclear(txn->error);
    PQclear(txn->answer);
    txn->error = txn->answer = NULL;
}

void sql_fail(struct sql *sql, struct sql_txn *txn, bool retryable, const char *error,
              const char *format, ...)
{
    char cause[EDGE_CAUSE_BYTES];
    va_list list;
    va_start(list, format);
    vsnprintf(cause, sizeof cause, format, list);
    va_end(list);
    edge_failed(sql->thread, txn->call, retryable, error, "%s", cause);
    sql_txn_free(txn);
}

static void done(struct sql *sql, struct sql_txn *txn, const char *output)
{
    edge_done(sql->thread, txn->call, sql_output(output));
    sql_txn_free(txn);
}

/* The call goes on with another pipeline, before others begin. A call that turns and turns, since
 * its key comes and goes, is given up. */
static void go_on(struct sql *sql, struct sql_txn *txn, enum sql_kind kind)
{
    forget_error(txn);
    if (txn->turns >= SQL_TURNS_MAX) {
        sql_fail(sql, txn, true, "SQL.SerializationFailure",
                 "%s: the key of the call changed at every look at it", sql->where);
        return;
    }
    txn->kind = kind;
    sql_queue_in_front(sql, txn);
}

/* ---- errors ------------------------------------------------------------------------------------
 */

static const struct sql_part *part_of(const struct sql *sql, const struct sql_txn *txn)
{
    return txn->error_slot >= SQL_SLOT_PARTS ? sql->parts[txn->error_slot] : NULL;
}

static void fail_by_server(struct sql *sql, struct sql_txn *txn)
{
    const char *state = PQresultErrorField(txn->error, PG_DIAG_SQLSTATE);
    const char *hint = PQresultErrorField(txn->error, PG_DIAG_MESSAGE_HINT);
    const char *message = PQresultErrorField(txn->error, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(txn->error, PG_DIAG_MESSAGE_DETAIL);
    struct sql_error error = sql_error_of(state, hint);
    sql_fail(sql, txn, error.retryable, error.name,
             "statement \"%s\" at %s: %s%s%s (SQLSTATE %s)%s", txn->statement->name, sql->where,
             message ? message : "the connection broke", detail ? ": " : "", detail ? detail : "",
             state ? state : "08000", error.todo);
}

/* The table of keys is not there, or is not as it has to be. */
static void fail_by_keys(struct sql *sql, struct sql_txn *txn)
{
    char ddl[512];
    sql_keys_ddl(sql->config->keys_table, ddl, sizeof ddl);
    const char *message = PQresultErrorField(txn->error, PG_DIAG_MESSAGE_PRIMARY);
    sql_fail(sql, txn, true, "SQL.KeysTableMissing",
             "%s: the table of keys cannot be used: %s; grant SELECT, INSERT, UPDATE and DELETE on "
             "it, or make it: %s",
             sql->where, message ? message : "", ddl);
}

static void fail_by_rows(struct sql *sql, struct sql_txn *txn, const char *rows)
{
    const struct sql_part *part = part_of(sql, txn);
    assert(part);
    sql_fail(sql, txn, false, part->error,
             "statement \"%s\": %d rows, where %lld are expected; nothing was done",
             txn->statement->name, atoi(rows), (long long)part->expect_rows);
}

static void fail_by_bytes(struct sql *sql, struct sql_txn *txn, const char *bytes)
{
    sql_fail(sql, txn, false, "States.DataLimitExceeded",
             "statement \"%s\": its output has %d bytes, at most %u are allowed; nothing was done",
             txn->statement->name, atoi(bytes), SQL_OUTPUT_BYTES_MAX);
}

/* What the session has prepared is not what was prepared here: others use it too. */
static bool is_of_session(const PGresult *error)
{
    return is_state(error, "26000") || is_state(error, "42P05") || is_state(error, "08P01");
}

static bool was_prepared_by_itself(const struct sql_txn *txn)
{
    for (uint32_t i = 0; i < txn->commands_count; i++) {
        const struct sql_command *command = &txn->commands[i];
        if (command->slot == txn->error_slot &&
            (command->verb == SQL_PREPARE || command->verb == SQL_PARSE))
            return true;
    }
    return false;
}

/* An internal error is that of a type that was dropped and made again. */
static bool may_be_stale(const struct sql_txn *txn)
{
    static const char *const states[] = {"0A000", "22", "42", "XX000"};
    if (txn->kind != SQL_RUN || txn->error_slot < SQL_SLOT_PARTS)
        return false;
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        if (is_state(txn->error, states[i]))
            return true;
    }
    return false;
}

static void set_aside(struct sql_txn *txn)
{
    PQclear(txn->doubt);
    txn->doubt = txn->error;
    txn->doubt_slot = txn->error_slot;
    txn->error = NULL;
}

/* Whether it was so only because the tables are others than when it was described (a value that the
 * old type has no room for, an operator that the new one has not) is known when it is described
 * anew: if it is the same, this is the error. A plan of a session that has other columns now is
 * stale in any case, though the description of what runs as it is does not say so. */
static void doubt(struct sql *sql, struct sql_txn *txn)
{
    if (is_state(txn->error, "0A000") && !was_prepared_by_itself(txn) &&
        txn->version == txn->statement->version)
        txn->statement->version++;
    set_aside(txn);
    go_on(sql, txn, SQL_DESCRIBE);
}

/* The statement cannot be run, but it may have been, by an engine that did not hear of it. */
static void ask_for_key(struct sql *sql, struct sql_txn *txn)
{
    set_aside(txn);
    go_on(sql, txn, SQL_READ);
}

void sql_fail_by_doubt(struct sql *sql, struct sql_txn *txn)
{
    if (!txn->doubt) {
        sql_fail(sql, txn, false, "SQL.BadStatement", "statement \"%s\": %s", txn->statement->name,
                 txn->refused);
        return;
    }
    txn->error = txn->doubt;
    txn->error_slot = txn->doubt_slot;
    txn->doubt = NULL;
    fail_by_server(sql, txn);
}

static void fail(struct sql *sql, struct sql_connection *connection, struct sql_txn *txn)
{
    bool of_keys = txn->error_slot < SQL_SLOT_PARTS;
    struct sql_error error = sql_error_of(PQresultErrorField(txn->error, PG_DIAG_SQLSTATE), NULL);
    connection->spent |=
        is_state(txn->error, "25006") || (of_keys && is_state(txn->error, "42P01"));
    if (error.retry_here && sql_queue_again(sql, txn))
        return;
    if (may_be_stale(txn))
        doubt(sql, txn);
    else if (txn->kind == SQL_DESCRIBE && !txn->doubt && !error.retryable)
        ask_for_key(sql, txn);
    else if (of_keys && is_state(txn->error, "42") && !error.retry_here)
        fail_by_keys(sql, txn);
    else
        fail_by_server(sql, txn);
}

/* ---- ends --------------------------------------------------------------------------------------
 */

/* The run failed, and the statement may be another now. */
static void on_described_in_doubt(struct sql *sql, struct sql_txn *txn)
{
    if (txn->version == txn->statement->version || txn->attempts + 1 >= SQL_ATTEMPTS_MAX) {
        sql_fail_by_doubt(sql, txn);
        return;
    }
    txn->attempts++;
    edge_count_retry(sql->thread, txn->call);
    PQclear(txn->doubt);
    txn->doubt = NULL;
    go_on(sql, txn, SQL_RUN);
}

static void on_described(struct sql *sql, struct sql_connection *connection, struct sql_txn *txn)
{
    txn->statement->is_described = !txn->error && !txn->refused[0];
    txn->statement->described_ms = sql_now_ms();
    if (txn->error)
        fail(sql, connection, txn);
    else if (txn->refused[0])
        ask_for_key(sql, txn);
    else if (txn->doubt)
        on_described_in_doubt(sql, txn);
    else
        go_on(sql, txn, SQL_RUN);
}

/* The engine knows that the forward step was done, the table does not. */
static void on_nothing_to_undo(struct sql *sql, struct sql_txn *txn)
{
    if (!txn->call->output || json_is_null(txn->call->output)) {
        go_on(sql, txn, SQL_BURY);
        return;
    }
    sql_fail(
        sql, txn, false, "SQL.KeyMissing",
        "statement \"%s\": the step was done, but its key is not in %s any more, so that it is "
        "not known whether it is to be undone; keys_retention_hours (%u) has to be longer than "
        "a saga lives; or the database was restored: look there, undo it by hand if need be, "
        "and skip the step",
        txn->statement->name, sql->config->keys_table, sql->config->keys_retention_hours);
}

static bool is_duplicate(const struct sql_txn *txn)
{
    return txn->error_slot == SQL_SLOT_KEY && is_state(txn->error, "23505");
}

static void on_run(struct sql *sql, struct sql_connection *connection, struct sql_txn *txn)
{
    const char *number;
    if (!txn->error)
        done(sql, txn,
             txn->statement->returns == SQL_RETURNS_NONE || !txn->answer ||
                     PQgetisnull(txn->answer, 0, 0)
                 ? NULL
                 : PQgetvalue(txn->answer, 0, 0));
    else if (is_duplicate(txn))
        go_on(sql, txn, SQL_READ);
    else if (txn->error_slot == SQL_SLOT_FORWARD && find_mark(txn->error, "flyover_nothing:"))
        on_nothing_to_undo(sql, txn);
    else if (part_of(sql, txn) && (number = find_mark(txn->error, "\"flyover_rows:")))
        fail_by_rows(sql, txn, number);
    else if (part_of(sql, txn) && (number = find_mark(txn->error, "\"flyover_bytes:")))
        fail_by_bytes(sql, txn, number);
    else
        fail(sql, connection, txn);
}

/* The call was done before, or its compensation was. */
static void on_key(struct sql *sql, struct sql_txn *txn)
{
    if (PQgetvalue(txn->answer, 0, 1)[0] == 't')
        sql_fail(sql, txn, false, "SQL.Compensated",
                 "statement \"%s\": the step was compensated before it was done; nothing is done",
                 txn->statement->name);
    else
        done(sql, txn, PQgetisnull(txn->answer, 0, 0) ? NULL : PQgetvalue(txn->answer, 0, 0));
}

static void on_read(struct sql *sql, struct sql_connection *connection, struct sql_txn *txn)
{
    if (txn->error)
        fail(sql, connection, txn);
    else if (txn->answer && PQntuples(txn->answer) > 0)
        on_key(sql, txn);
    else if (txn->doubt || txn->refused[0])
        sql_fail_by_doubt(sql, txn);
    else
        go_on(sql, txn, SQL_RUN); /* the retention took it between the two */
}

static void on_buried(struct sql *sql, struct sql_connection *connection, struct sql_txn *txn)
{
    if (!txn->error)
        done(sql, txn, NULL);
    else if (is_duplicate(txn))
        go_on(sql, txn, SQL_READ);
    else if (find_mark(txn->error, "flyover_forward:"))
        go_on(sql, txn, SQL_RUN);
    else
        fail(sql, connection, txn);
}

static void on_forgotten(struct sql_connection *connection, struct sql_txn *txn)
{
    connection->forgetting = false;
    if (!txn->error)
        memset(connection->prepared, 0, sizeof connection->prepared);
    sql_txn_free(txn);
}

/* Where as many were deleted as may be at once, there are more. */
static void on_cleaned(struct sql *sql, struct sql_txn *txn)
{
    if (txn->error)
        edge_log(sql->thread, 4, "sql_keys", "%s: old keys cannot be deleted: %s", sql->where,
                 PQresultErrorField(txn->error, PG_DIAG_MESSAGE_PRIMARY));
    bool more = txn->answer && atoi(PQcmdTuples(txn->answer)) >= SQL_CLEAN_ROWS;
    sql->clean_at_ms = sql_now_ms() + (more ? 100 : SQL_CLEAN_EVERY_MS);
    sql_txn_free(txn);
}

void sql_on_end(struct sql *sql, struct sql_connection *connection, struct sql_txn *txn)
{
    if (is_of_session(txn->error))
        sql_connection_forget(sql, connection);
    switch (txn->kind) {
    case SQL_DESCRIBE: on_described(sql, connection, txn); break;
    case SQL_RUN: on_run(sql, connection, txn); break;
    case SQL_READ: on_read(sql, connection, txn); break;
    case SQL_BURY: on_buried(sql, connection, txn); break;
    case SQL_CLEAN: on_cleaned(sql, txn); break;
    case SQL_FORGET: on_forgotten(connection, txn); break;
    }
}
