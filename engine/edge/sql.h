/*
 * sql: statements of a PostgreSQL database as handlers of the service "sql": "service:sql.NAME".
 *
 *     sql:
 *       url: postgresql://shop@db.internal:5432/shop?sslmode=verify-full   # libpq's; or url_env:
 *                                  # the variable, or url_file: the file that has it
 *       pool: 4                    # connections
 *       pipeline: 1                # transactions sent to one before the first is answered: more
 *                                  # for a server far away, but one that waits for a lock then
 *                                  # holds up those behind it
 *       timeout_seconds: 30        # of a call without a nearer deadline
 *       keys_table: flyover_keys   # may be SCHEMA.NAME
 *       keys_retention_hours: 720  # longer than a saga lives, its retries and its sleep included
 *       statements:
 *         pay:
 *           sql: "UPDATE account SET balance = balance - $2 WHERE id = $1 AND balance >= $2
 *                 RETURNING id, balance"
 *           params: [$.customer, $.amount]
 *           returns: row           # none (the default), count, row (the first, or null), rows
 *           expect_rows: 1         # another number: `error`, and nothing was done
 *           error: Payment.Declined
 *         refund:
 *           compensates: pay
 *           sql: "UPDATE account SET balance = balance + $2 WHERE id = $1"
 *           params: [$.input.customer, $.input.amount]
 *
 * `sql` may be a list of up to SQL_PARTS_MAX objects, each with its own sql, params, expect_rows
 * and error: they run in one transaction, and the result is the last one's. A statement begins with
 * SELECT, INSERT, UPDATE, DELETE, MERGE or WITH. Where rows are returned or counted it runs within
 * a WITH of the module's own, so that a WITH of its own may not change data there (make it a list).
 *
 * Parameters are bound, never put into the text. "$.a.b[0]" or "$['a']" is of the step's input,
 * "$$.key", "$$.saga", "$$.step" and "$$.output" (of the step that a compensation undoes) of the
 * call, all else a constant. A path that is not there: States.ParameterPathFailure. The server says
 * what type a parameter has; `$1::numeric` says it yourself. Numbers, booleans and strings go as
 * text, a number as its shortest decimal form that is the same; arrays and objects as JSON, or an
 * array as an array if the type is one. Null is NULL.
 *
 * Tables may change while the engine runs. A call that fails by what a session has prepared is run
 * again by what the tables are now; what fails nothing (another column in a "*", a date that has
 * become a timestamp) is seen within a minute.
 *
 * Results are JSON as PostgreSQL's to_json makes it (timestamps in ISO 8601, json as it is), but
 * numeric is text, since no digit of it may be lost. What JSON here cannot hold (a number that
 * overflows, nested too deep) comes as its text. More than SQL_OUTPUT_BYTES_MAX of JSON:
 * States.DataLimitExceeded, and nothing was done.
 *
 * Exactly once. A call is one transaction and one round trip: its key is inserted into the table of
 * keys, the statements run, the output is stored beside the key, and all of it is committed or
 * none. Where the key is there already, the insert fails, nothing else is run, and the stored
 * output is the answer; a duplicate that is under way at the same time waits at the key. A call
 * that failed leaves no key, and may succeed when it is asked for again.
 *
 * A compensation is a call under its own key ("…-c"). If its statement says what it `compensates`,
 * it runs only if the forward step's key is there. If it is not, there is nothing to undo: its own
 * key and a tombstone for the forward key are written, so that a forward step which comes later
 * fails with SQL.Compensated. If the engine has an output of the forward step but the key is gone,
 * that is SQL.KeyMissing, for a human: the retention is too short, or the database was restored.
 *
 * The table of keys is made if it is missing. If that is not allowed, calls fail with
 * SQL.KeysTableMissing, and the cause has the statement to run (sql_keys_ddl). Needed are SELECT,
 * INSERT, UPDATE and DELETE. Keys older than the retention are deleted, SQL_CLEAN_ROWS at a time.
 * Sessions are the module's: through PgBouncer, pool by session. Isolation is READ COMMITTED.
 *
 * Errors: sql_error.h. Retried here, with backoff and jitter: a lost connection (the key decides
 * what became of the transaction), serialization failures, deadlocks, a server that starts or ends.
 * While the server is away calls wait until their deadline.
 *
 * Threads: the edge thread. Memory: of a call, its parameters and its output; `pipeline` calls a
 * connection are in libpq's buffers, the others wait in the lane's credit.
 */
#ifndef ENGINE_EDGE_SQL_H
#define ENGINE_EDGE_SQL_H

#include "engine/edge/edge_module.h"

#define SQL_POOL_MAX     EDGE_MODULE_FDS_MAX
#define SQL_PIPELINE_MAX 64u
#define SQL_PARTS_MAX    8u
#define SQL_PARAMS_MAX   64u
#define SQL_CLEAN_ROWS   500
/* In the engine's form, where a float of four bytes of JSON ("1.5,") takes nine, it then fits
 * FLYOVER_PAYLOAD_BYTES_MAX. */
#define SQL_OUTPUT_BYTES_MAX (FLYOVER_PAYLOAD_BYTES_MAX * 4u / 9u)

/* What makes the table of keys of this name. */
void sql_keys_ddl(const char *table, char *ret_text, size_t capacity);

#endif
