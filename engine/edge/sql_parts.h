/*
 * sql_parts: what the files of the module "sql" know of each other. See sql.h for what it does.
 *
 *     call ──► ready ──► a connection's pipeline ──► its sync ──► sql_on_end ──► edge_done, _failed
 *                ▲            │ lost                     │ again, or its next part
 *                └────────────┴──────── delayed ◄────────┘
 *
 * A statement is described before it is first run: its parameters' types say how values are
 * written, its columns how it is wrapped. Tables change under it, and the server tells a session so
 * by the error of what was prepared there before, or by nothing at all. Such a call is described
 * anew and run again; if that raised the statement's version, each connection prepares it anew
 * before it runs it next. Nothing here depends on what a transaction in front of it in the pipeline
 * prepares, since that may fail: it is prepared as "" too, until the server has said that it is
 * there.
 *
 * A transaction is one pipeline up to its sync, without BEGIN and COMMIT: the server runs it as one
 * and commits before it answers the sync, so that one that failed leaves nothing open for those
 * behind it on the same connection (PostgreSQL 15, 34.5.1.1 and 55.2.4).
 *
 * Threads: the edge thread. Times are of the monotonic clock.
 */
#ifndef ENGINE_EDGE_SQL_PARTS_H
#define ENGINE_EDGE_SQL_PARTS_H

#include <libpq-fe.h>

#include "engine/edge/sql.h"
#include "engine/edge/sql_config.h"
#include "engine/edge/sql_error.h"
#include "engine/edge/sql_names.h"

#define SQL_CONNECT_MS     10000
#define SQL_GRACE_MS       2000 /* after its time a transaction has to be answered, if only by no */
#define SQL_ATTEMPTS_MAX   5u
#define SQL_TURNS_MAX      16u /* pipelines of one call, whatever they were for */
#define SQL_COMMANDS_MAX   24u
#define SQL_CLEAN_EVERY_MS 60000
#define SQL_DESCRIBED_MS   60000 /* a description is good for, where nothing fails */
#define SQL_BACKOFF_MS     100
#define SQL_BACKOFF_MS_MAX 10000
#define SQL_REASON_BYTES   768u
#define SQL_NO_FD          UINT32_MAX

/* What is prepared on a connection: the module's own statements, then each part of the config's. */
enum sql_slot {
    SQL_SLOT_KEY,        /* insert the key; fails if it is there */
    SQL_SLOT_READ,       /* what was stored with the key */
    SQL_SLOT_FORWARD,    /* fails unless the forward step was done */
    SQL_SLOT_TOMBSTONE,  /* the forward step shall never be done */
    SQL_SLOT_NO_FORWARD, /* fails if the forward step was done */
    SQL_SLOT_TIMEOUT,
    SQL_SLOT_CLEAN,
    SQL_SLOT_PARTS
};
#define SQL_SLOTS_MAX (SQL_SLOT_PARTS + EDGE_HANDLERS_MAX * SQL_PARTS_MAX)

/* What a pipeline is for. */
enum sql_kind {
    SQL_DESCRIBE, /* what parameters and columns the statement has */
    SQL_RUN,      /* the call itself */
    SQL_READ,     /* its key was there: the stored output */
    SQL_BURY,     /* there is nothing to undo */
    SQL_CLEAN,    /* old keys */
    SQL_FORGET    /* what is prepared on the connection */
};

enum sql_verb {
    SQL_PREPARE, /* under its name */
    SQL_PARSE,   /* as "", for this transaction alone */
    SQL_DESCRIBED,
    SQL_EXECUTE
};

struct sql_command {
    uint8_t verb; /* enum sql_verb */
    uint16_t slot;
};

struct sql_txn {
    struct sql_txn *next;
    struct edge_call *call; /* NULL: housekeeping */
    struct sql_statement *statement;
    enum sql_kind kind;
    uint32_t version; /* the statement's when it was sent to be run */
    uint32_t attempts, turns;
    int64_t limit_ms, due_ms;
    struct sql_command commands[SQL_COMMANDS_MAX];
    uint32_t commands_count, at;
    PGresult *error; /* the first; owned */
    uint32_t error_slot;
    PGresult *answer; /* of the last command that was executed; owned */
    PGresult *doubt;  /* the error, while it is found out whether it is the answer; owned */
    uint32_t doubt_slot;
    char refused[128]; /* SQL_DESCRIBE: why the statement cannot be run as it is configured */
};

enum sql_state { SQL_CLOSED, SQL_CONNECTING, SQL_SETTING_UP, SQL_MAKING_KEYS, SQL_READY };

struct sql_connection {
    enum sql_state state;
    PGconn *pg;
    PostgresPollingStatusType polling;
    bool unsent;                   /* libpq has bytes that the socket did not take */
    bool spent;                    /* is closed as soon as nothing is under way */
    bool keys_found, keys_refused; /* while it is set up */
    char failed[256];              /* the same: why it cannot be; "" */
    uint32_t failures;
    int64_t retry_at_ms, give_up_ms;
    struct sql_txn *head, **tail;
    int64_t answered_ms; /* the one in front of `head` was */
    uint32_t depth;
    uint32_t fd;                      /* index in those of this turn, or SQL_NO_FD */
    uint32_t prepared[SQL_SLOTS_MAX]; /* the version; 0: it is not */
    bool preparing[SQL_SLOTS_MAX];    /* sent, not answered */
    bool forgetting;                  /* the same of SQL_FORGET */
};

struct sql {
    struct edge_thread *thread;
    struct sql_config *config;
    struct sql_names *names;
    char where[320]; /* HOST:PORT/DATABASE, for sentences */
    char *texts[SQL_SLOT_PARTS];
    const struct sql_part *parts[SQL_SLOTS_MAX]; /* by slot */
    struct sql_txn *ready, **ready_tail;
    struct sql_txn *delayed;
    int64_t expire_at_ms; /* before this no transaction in the queues is out of time */
    bool away;            /* and said so */
    char away_error[FLYOVER_ERROR_NAME_BYTES_MAX + 1];
    char reason[SQL_REASON_BYTES]; /* why there is no connection */
    int64_t clean_at_ms;
    uint64_t random;
    uint32_t connections_count;
    struct sql_connection connections[SQL_POOL_MAX];
};

/* ---- sql.c: the queues ------------------------------------------------------------------------
 */
void sql_queue(struct sql *sql, struct sql_txn *txn);          /* at the end */
void sql_queue_in_front(struct sql *sql, struct sql_txn *txn); /* what was begun goes on first */
/* After a backoff, if there is an attempt left and time; false: it is the caller's still. */
bool sql_queue_again(struct sql *sql, struct sql_txn *txn);
/* Full jitter: 0 to base * 2^n, at most SQL_BACKOFF_MS_MAX. */
int64_t sql_backoff_ms(struct sql *sql, uint32_t n);
void sql_txn_free(struct sql_txn *txn);
int64_t sql_now_ms(void);

/* ---- sql_connection.c -------------------------------------------------------------------------
 */
void sql_connection_begin(struct sql *sql, struct sql_connection *connection);
/* What its socket is waited for; false: it has none. */
bool sql_connection_poll(const struct sql_connection *connection, struct pollfd *ret_fd);
/* When it is to be turned, whatever happens; INT64_MAX: it need not be. */
int64_t sql_connection_due_ms(const struct sql_connection *connection);
/* `happened`: revents of its socket. */
void sql_connection_turn(struct sql *sql, struct sql_connection *connection, short happened);
/* Whether one more may be given to it. */
bool sql_connection_has_room(const struct sql *sql, const struct sql_connection *connection);
void sql_connection_give(struct sql *sql, struct sql_connection *connection, struct sql_txn *txn);
/* All that is prepared there is to be prepared anew. It may be lost by this. */
void sql_connection_forget(struct sql *sql, struct sql_connection *connection);
/* Closes it; what was under way is queued again or answered. */
void sql_connection_lost(struct sql *sql, struct sql_connection *connection, const char *error,
                         const char *reason);

/* ---- sql_send.c: a transaction as commands ----------------------------------------------------
 */
enum sql_sent {
    SQL_SENT,
    SQL_NOT_SENT, /* the call was answered (a path that is not there) and `txn` is freed */
    SQL_BROKEN    /* libpq says no: the connection is lost */
};
enum sql_sent sql_send(struct sql *sql, struct sql_connection *connection, struct sql_txn *txn);
/* Of what it has to be prepared in, to run `txn`. */
uint32_t sql_version_of(const struct sql_txn *txn, uint32_t slot);

/* ---- sql_wrap.c: what the server said of a part, and how it is run then ------------------------
 */
/* Raises the statement's version if it is another than before. False: *ret_problem says why it
 * cannot be run. */
bool sql_wrap(PGconn *pg, const char *keys_table, struct sql_statement *statement,
              struct sql_part *part, const PGresult *described, struct problem *ret_problem);

/* ---- sql_end.c: what its end means ------------------------------------------------------------
 */
/* `txn` has no place in any queue; `connection` may be given more, but is not closed here. */
void sql_on_end(struct sql *sql, struct sql_connection *connection, struct sql_txn *txn);
/* By what is in doubt. */
void sql_fail_by_doubt(struct sql *sql, struct sql_txn *txn);
/* Answers the call and frees the transaction. */
__attribute__((format(printf, 5, 6))) void sql_fail(struct sql *sql, struct sql_txn *txn,
                                                    bool retryable, const char *error,
                                                    const char *format, ...);

#endif
