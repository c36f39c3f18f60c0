#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/json_path.h"
#include "engine/edge/sql_parts.h"
#include "engine/edge/sql_value.h"

/* The parameters of all parts of a call, with the key after those of each; owned by this. */
struct values {
    char *texts[SQL_PARTS_MAX][SQL_PARAMS_MAX + 1];
};

static void free_values(const struct sql_statement *statement, struct values *values)
{
    for (uint32_t i = 0; i < statement->parts_count; i++) {
        for (uint32_t j = 0; j < statement->parts[i].params_count; j++)
            free(values->texts[i][j]);
    }
}

static const char *text_of(const struct sql *sql, uint32_t slot)
{
    if (slot < SQL_SLOT_PARTS)
        return sql->texts[slot];
    const struct sql_part *part = sql->parts[slot];
    return *part->wrapped ? part->wrapped : part->sql;
}

static void note(struct sql_txn *txn, enum sql_verb verb, uint32_t slot)
{
    assert(txn->commands_count < SQL_COMMANDS_MAX);
    txn->commands[txn->commands_count++] =
        (struct sql_command){.verb = (uint8_t)verb, .slot = (uint16_t)slot};
}

uint32_t sql_version_of(const struct sql_txn *txn, uint32_t slot)
{
    return slot < SQL_SLOT_PARTS ? 1 : txn->version;
}

/* The types are said, so that what is prepared is what was described. The key's follows. */
static bool prepare_as(struct sql *sql, struct sql_connection *connection, uint32_t slot,
                       const char *name)
{
    const struct sql_part *part = slot < SQL_SLOT_PARTS ? NULL : sql->parts[slot];
    return PQsendPrepare(connection->pg, name, text_of(sql, slot),
                         part ? (int)part->params_count : 0, part ? part->types : NULL);
}

/* `name` becomes "" where what has that name is not there for certain. */
static bool prepare(struct sql *sql, struct sql_connection *connection, struct sql_txn *txn,
                    uint32_t slot, char *name)
{
    if (!connection->forgetting && connection->prepared[slot] == sql_version_of(txn, slot))
        return true;
    bool is_free =
        !connection->forgetting && !connection->preparing[slot] && !connection->prepared[slot];
    if (is_free)
        connection->preparing[slot] = true;
    else
        name[0] = 0;
    note(txn, is_free ? SQL_PREPARE : SQL_PARSE, slot);
    return prepare_as(sql, connection, slot, name);
}

static bool execute(struct sql *sql, struct sql_connection *connection, struct sql_txn *txn,
                    uint32_t slot, int count, const char *const *values)
{
    char name[32];
    snprintf(name, sizeof name, "flyover_%u", slot);
    if (!prepare(sql, connection, txn, slot, name))
        return false;
    note(txn, SQL_EXECUTE, slot);
    return PQsendQueryPrepared(connection->pg, name, count, values, NULL, NULL, 0);
}

static bool execute_key(struct sql *sql, struct sql_connection *connection, struct sql_txn *txn,
                        uint32_t slot, const char *key)
{
    return execute(sql, connection, txn, slot, 1, &key);
}

/* "…-c" is the compensation of "…". */
static void forward_key(const struct edge_call *call, char *ret_key)
{
    size_t count = strlen(call->key);
    assert(count > 2 && strcmp(call->key + count - 2, "-c") == 0);
    memcpy(ret_key, call->key, count - 2);
    ret_key[count - 2] = 0;
}

static bool execute_forward(struct sql *sql, struct sql_connection *connection, struct sql_txn *txn,
                            uint32_t slot)
{
    char key[EDGE_KEY_BYTES];
    forward_key(txn->call, key);
    return execute_key(sql, connection, txn, slot, key);
}

/* The session's own limit is timeout_seconds; one that is nearer holds for this transaction. */
static bool limit(struct sql *sql, struct sql_connection *connection, struct sql_txn *txn)
{
    int64_t left_ms = txn->limit_ms - sql_now_ms();
    if (left_ms >= sql->config->timeout_ms - 1000)
        return true;
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)(left_ms > 1 ? left_ms : 1));
    return execute_key(sql, connection, txn, SQL_SLOT_TIMEOUT, text);
}

/* ---- the values of a call ----------------------------------------------------------------------
 */

static json_t *make_context(const struct edge_call *call)
{
    return json_pack("{s:s, s:I, s:i, s:O*}", "key", call->key, "saga", (json_int_t)call->saga_id,
                     "step", (int)call->step_no, "output", call->output);
}

static bool make_value(struct sql *sql, struct sql_txn *txn, const struct sql_part *part,
                       uint32_t index, const json_t *context, char **ret_text)
{
    const json_t *value = part->params[index];
    const char *path = json_string_value(value);
    if (path && path[0] == '$') {
        bool of_call = path[1] == '$';
        value = json_path_get(of_call ? context : txn->call->input, path + of_call);
        if (!value) {
            sql_fail(sql, txn, false, "States.ParameterPathFailure",
                     "statement \"%s\": there is no %s in the step's input", txn->statement->name,
                     path);
            return false;
        }
    }
    enum sql_text_end end = sql_value_text(value, part->types[index], ret_text);
    if (end == SQL_TEXT_ZERO_BYTE)
        sql_fail(sql, txn, false, "SQL.DataException",
                 "statement \"%s\": parameter %u has a zero byte, which PostgreSQL cannot store",
                 txn->statement->name, index + 1);
    else if (end == SQL_TEXT_NO_MEMORY)
        sql_fail(sql, txn, true, "SQL.InsufficientResources", "no memory for the parameters");
    return end == SQL_TEXT_OK;
}

/* False: the call was answered. */
static bool make_values(struct sql *sql, struct sql_txn *txn, struct values *values)
{
    const struct sql_statement *statement = txn->statement;
    json_t *context = make_context(txn->call);
    bool good = true;
    for (uint32_t i = 0; good && i < statement->parts_count; i++) {
        const struct sql_part *part = &statement->parts[i];
        for (uint32_t j = 0; good && j < part->params_count; j++)
            good = make_value(sql, txn, part, j, context, &values->texts[i][j]);
        if (good)
            values->texts[i][part->params_count] = txn->call->key;
    }
    json_decref(context);
    return good;
}

/* ---- the kinds ---------------------------------------------------------------------------------
 */

/* A table that is being altered is waited for here. */
static bool send_describe(struct sql *sql, struct sql_connection *connection, struct sql_txn *txn)
{
    bool good = limit(sql, connection, txn);
    for (uint32_t i = 0; good && i < txn->statement->parts_count; i++) {
        const struct sql_part *part = &txn->statement->parts[i];
        good = PQsendPrepare(connection->pg, "", part->sql, 0, NULL) &&
               PQsendDescribePrepared(connection->pg, "");
        note(txn, SQL_PARSE, part->slot);
        note(txn, SQL_DESCRIBED, part->slot);
    }
    return good;
}

static bool send_parts(struct sql *sql, struct sql_connection *connection, struct sql_txn *txn,
                       const struct values *values)
{
    bool good = true;
    for (uint32_t i = 0; good && i < txn->statement->parts_count; i++) {
        const struct sql_part *part = &txn->statement->parts[i];
        int count = (int)part->params_count + (*part->wrapped ? 1 : 0);
        good =
            execute(sql, connection, txn, part->slot, count, (const char *const *)values->texts[i]);
    }
    return good;
}

static bool undoes(const struct sql_txn *txn)
{
    return txn->call->phase == FLYOVER_COMPENSATION &&
           txn->statement->compensates != SQL_NO_STATEMENT;
}

static enum sql_sent send_run(struct sql *sql, struct sql_connection *connection,
                              struct sql_txn *txn)
{
    struct values values = {0};
    const struct sql_statement *statement = txn->statement;
    if (!make_values(sql, txn, &values)) {
        free_values(statement, &values);
        return SQL_NOT_SENT;
    }
    bool good = limit(sql, connection, txn) &&
                execute_key(sql, connection, txn, SQL_SLOT_KEY, txn->call->key) &&
                (!undoes(txn) || execute_forward(sql, connection, txn, SQL_SLOT_FORWARD)) &&
                send_parts(sql, connection, txn, &values);
    free_values(statement, &values);
    return good ? SQL_SENT : SQL_BROKEN;
}

/* The tombstone waits for a forward step that is under way; if that is committed then, the last
 * command, which sees it, ends this transaction. */
static bool send_bury(struct sql *sql, struct sql_connection *connection, struct sql_txn *txn)
{
    return limit(sql, connection, txn) &&
           execute_key(sql, connection, txn, SQL_SLOT_KEY, txn->call->key) &&
           execute_forward(sql, connection, txn, SQL_SLOT_TOMBSTONE) &&
           execute_forward(sql, connection, txn, SQL_SLOT_NO_FORWARD);
}

static bool send_clean(struct sql *sql, struct sql_connection *connection, struct sql_txn *txn)
{
    char hours[16];
    snprintf(hours, sizeof hours, "%u", sql->config->keys_retention_hours);
    return execute_key(sql, connection, txn, SQL_SLOT_CLEAN, hours);
}

static bool send_forget(struct sql_connection *connection, struct sql_txn *txn)
{
    note(txn, SQL_EXECUTE, SQL_SLOT_CLEAN);
    return PQsendQueryParams(connection->pg, "DEALLOCATE ALL", 0, NULL, NULL, NULL, NULL, 0);
}

static enum sql_sent send_kind(struct sql *sql, struct sql_connection *connection,
                               struct sql_txn *txn)
{
    bool good = false;
    switch (txn->kind) {
    case SQL_RUN: return send_run(sql, connection, txn);
    case SQL_DESCRIBE: good = send_describe(sql, connection, txn); break;
    case SQL_READ:
        good = limit(sql, connection, txn) &&
               execute_key(sql, connection, txn, SQL_SLOT_READ, txn->call->key);
        break;
    case SQL_BURY: good = send_bury(sql, connection, txn); break;
    case SQL_CLEAN: good = send_clean(sql, connection, txn); break;
    case SQL_FORGET: good = send_forget(connection, txn); break;
    }
    return good ? SQL_SENT : SQL_BROKEN;
}

/* One call at a time does it, where it is only old. */
static bool is_to_be_described(struct sql_statement *statement)
{
    int64_t now_ms = sql_now_ms();
    if (statement->is_described && now_ms - statement->described_ms < SQL_DESCRIBED_MS)
        return false;
    statement->described_ms = now_ms;
    return true;
}

enum sql_sent sql_send(struct sql *sql, struct sql_connection *connection, struct sql_txn *txn)
{
    if (txn->kind == SQL_RUN && is_to_be_described(txn->statement))
        txn->kind = SQL_DESCRIBE;
    if (txn->kind == SQL_RUN)
        txn->version = txn->statement->version;
    txn->commands_count = txn->at = 0;
    txn->turns++;
    enum sql_sent sent = send_kind(sql, connection, txn);
    if (sent == SQL_SENT && !PQpipelineSync(connection->pg))
        sent = SQL_BROKEN;
    return sent;
}
