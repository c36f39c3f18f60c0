/*
 * flyover_service: how a service is written. The one public header of a plug-in.
 *
 * A plug-in is a shared object that defines flyover_service_describe(). The engine loads it by
 * name, starts its worker threads (pinned where there are cores to pin to), and calls its handlers
 * with the steps of sagas whose definition names "service:NAME.HANDLER".
 *
 * Exactly once. What a handler writes to the tables of its service travels in its step result and
 * becomes durable in the same journal block as the step itself: state and step commit or vanish
 * together. A handler that fails leaves no write behind. A handler may run again after a crash
 * (its first run then never happened, as far as state goes); what it does to the world outside is
 * its own affair, and flyover_call_key() is the same each time, to make that safe.
 *
 * What a handler may not do: block (it holds up every saga behind it: no sleep, no lock, no
 * network, no disk), keep a pointer it was given beyond its return, start threads that call back,
 * write variables of its own that outlive the call (put them in a table, or they are gone after a
 * restart), read a clock or a random source and write what it read to a table (allowed, since the
 * writes are journalled, but the run after a crash may read another value).
 *
 * Threads: all handlers of a service with tables run on its one worker thread. A service without
 * tables may ask for several workers; its handlers then run on any of them.
 * Limits:  below, FLYOVER_*_MAX.
 */
#ifndef FLYOVER_SERVICE_H
#define FLYOVER_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLYOVER_ABI 1u

#define FLYOVER_NAME_BYTES_MAX        64u     /* service, handler, table */
#define FLYOVER_TABLES_MAX            32u     /* a service */
#define FLYOVER_HANDLERS_MAX          64u     /* a service */
#define FLYOVER_KEY_BYTES_MAX         128u    /* a key of a table */
#define FLYOVER_VALUE_BYTES_MAX       4096u   /* a value of a table */
#define FLYOVER_WRITES_BYTES_MAX      262144u /* all keys and values written by one call */
#define FLYOVER_PAYLOAD_BYTES_MAX     262144u /* input or output of a step */
#define FLYOVER_DEPTH_MAX             32u     /* nesting of a payload */
#define FLYOVER_ERROR_NAME_BYTES_MAX  64u
#define FLYOVER_ERROR_CAUSE_BYTES_MAX 256u /* longer ones are cut */
#define FLYOVER_TOKEN_BYTES           64u  /* of a token, with its end */
#define FLYOVER_TRACE_BYTES           56u  /* of a traceparent, with its end */

/* ---- msgpack, read in place ---------------------------------------------------------------- */

/* A run of bytes that somebody else owns; not terminated. */
struct flyover_bytes {
    const uint8_t *at;
    uint32_t count;
};

/* Points at a value inside a payload that the engine has checked to be whole: a read never runs
 * over its end, and a read of the wrong type returns false and does not move. */
struct flyover_cursor {
    const uint8_t *at;
    const uint8_t *end;
};

enum flyover_type {
    FLYOVER_END, /* nothing left */
    FLYOVER_NIL,
    FLYOVER_BOOL,
    FLYOVER_INT, /* any integer, signed or not */
    FLYOVER_FLOAT,
    FLYOVER_STR,
    FLYOVER_BIN,
    FLYOVER_ARRAY,
    FLYOVER_MAP,
    FLYOVER_EXT,
    FLYOVER_BAD /* not msgpack, or cut off */
};

enum flyover_type flyover_peek(const struct flyover_cursor *cursor);
bool flyover_read_nil(struct flyover_cursor *cursor);
bool flyover_read_bool(struct flyover_cursor *cursor, bool *ret_value);
/* An integer that does not fit int64_t (over 2^63 - 1) is not read. */
bool flyover_read_int(struct flyover_cursor *cursor, int64_t *ret_value);
/* Floats, and integers that a double holds exactly or nearly. */
bool flyover_read_number(struct flyover_cursor *cursor, double *ret_value);
bool flyover_read_str(struct flyover_cursor *cursor, struct flyover_bytes *ret_text);
bool flyover_read_bin(struct flyover_cursor *cursor, struct flyover_bytes *ret_bytes);
/* Moves to the first element; the caller reads or skips `count` of them. */
bool flyover_read_array(struct flyover_cursor *cursor, uint32_t *ret_count);
/* Moves to the first key; keys and values alternate, `pairs` of each. */
bool flyover_read_map(struct flyover_cursor *cursor, uint32_t *ret_pairs);
/* Over one whole value, whatever it holds. False at the end, on bad bytes, or below
 * FLYOVER_DEPTH_MAX. */
bool flyover_skip(struct flyover_cursor *cursor);
/* The value of `key` in the map under the cursor, which does not move. The first one, if a map
 * has the key twice. What follows the value in the map can be read on from it. */
bool flyover_find(const struct flyover_cursor *cursor, const char *key,
                  struct flyover_cursor *ret_value);

/* ---- one call of a handler ----------------------------------------------------------------- */

struct flyover_call;

enum flyover_phase { FLYOVER_FORWARD, FLYOVER_COMPENSATION };

/* The idempotency key: the same for every attempt of one step of one saga in one phase, also after
 * a crash; never the same for two of them. */
struct flyover_key {
    uint64_t saga_id;
    uint32_t step_no; /* counts the steps of the saga, loops included */
    enum flyover_phase phase;
};

enum flyover_answer {
    FLYOVER_DONE,    /* and the output was set */
    FLYOVER_REFUSED, /* no, and asking again would not help: Retry is not tried, Catch is */
    FLYOVER_RETRY,   /* not now: Retry and Catch of the definition decide */
};

/* The input of the step; of a compensation: {"input": ..., "output": ...} of the step it undoes. */
struct flyover_cursor flyover_call_input(const struct flyover_call *call);
struct flyover_key flyover_call_key(const struct flyover_call *call);

/* Of a step whose Resource ends in .waitForTaskToken: what whoever ends the step has to show. The
 * handler only begins it (sends a mail, say, with the token in it); its own output is dropped. A
 * retry has another token, and the one before is then refused. Where the saga is cancelled, or out
 * of time, before the step is ended, its compensation runs, for an output of nil: what was begun
 * may have been done. */
void flyover_call_token(const struct flyover_call *call, char ret_token[FLYOVER_TOKEN_BYTES]);

/* The W3C traceparent that the saga was started with, as text; false where it has none. */
bool flyover_call_trace(const struct flyover_call *call, char ret_trace[FLYOVER_TRACE_BYTES]);

/* Answers: `return flyover_done(call);` with an output of nil, or of one msgpack value (copied;
 * checked by the engine: garbage fails the step as Flyover.BadOutput). `return
 * flyover_refused(call, "Inventory.OutOfStock", "%s: wanted ...", ...)`. The name is what Retry and
 * Catch match; the cause is for people. */
enum flyover_answer flyover_done(struct flyover_call *call);
enum flyover_answer flyover_done_with(struct flyover_call *call, const void *output,
                                      size_t output_bytes);
enum flyover_answer flyover_refused(struct flyover_call *call, const char *name,
                                    const char *cause_format, ...)
    __attribute__((format(printf, 3, 4)));
enum flyover_answer flyover_retry(struct flyover_call *call, const char *name,
                                  const char *cause_format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- state: a transaction on the tables of the service -------------------------------------- */

enum flyover_table_kind {
    FLYOVER_VALUES,  /* key -> bytes: flyover_get, flyover_put, flyover_delete */
    FLYOVER_COUNTERS /* key -> int64_t, 0 where absent: flyover_count, flyover_add, flyover_delete
                      */
};

enum flyover_when_full {
    FLYOVER_REFUSE,     /* a write of a new key fails */
    FLYOVER_DROP_OLDEST /* the entry that was created first goes */
};

struct flyover_table {
    const char *name;
    enum flyover_table_kind kind;
    uint32_t entries_max;
    enum flyover_when_full when_full;
};

/* `table` is the index in the description's list. A call sees its own writes. The value is lent
 * until the next write of the call or its end. */
bool flyover_get(struct flyover_call *call, uint32_t table, struct flyover_bytes key,
                 struct flyover_bytes *ret_value);
int64_t flyover_count(struct flyover_call *call, uint32_t table, struct flyover_bytes key);
/* Writes return false where a limit is reached (table full, writes of the call too many); the
 * handler then fails the step; the engine does so too if it does not (Flyover.StateFull). */
bool flyover_put(struct flyover_call *call, uint32_t table, struct flyover_bytes key,
                 struct flyover_bytes value);
bool flyover_add(struct flyover_call *call, uint32_t table, struct flyover_bytes key,
                 int64_t delta);
/* False where there was none: not a failure. */
bool flyover_delete(struct flyover_call *call, uint32_t table, struct flyover_bytes key);

/* ---- audit: figures that must balance between services -------------------------------------- */

struct flyover_audit;
typedef void (*flyover_visit)(void *context, struct flyover_bytes key, struct flyover_bytes value,
                              int64_t count);
/* Visits every entry of a table, oldest first: `value` for VALUES, `count` for COUNTERS. */
void flyover_audit_each(struct flyover_audit *audit, uint32_t table, flyover_visit visit,
                        void *context);
/* Reports one figure, e.g. "units_on_hand". */
void flyover_audit_figure(struct flyover_audit *audit, const char *name, int64_t value);

/* ---- the description ------------------------------------------------------------------------ */

struct flyover_handler {
    const char *name;
    enum flyover_answer (*handle)(struct flyover_call *call);
};

/* Everything is lent to the engine until the plug-in is unloaded. */
struct flyover_service {
    uint32_t abi;     /* FLYOVER_ABI */
    const char *name; /* as in "service:NAME.HANDLER" */
    const struct flyover_handler *handlers;
    uint32_t handlers_count;
    const struct flyover_table *tables; /* read after `configure` */
    uint32_t tables_count;
    uint32_t workers; /* 0: one; more than one only without tables */
    /* Takes one setting (from `--set NAME.KEY=VALUE`) before the first call; false: unknown key or
     * bad value. NULL: no settings. */
    bool (*configure)(const char *key, const char *value);
    /* Reports figures from the tables while no handler runs. NULL: none. */
    void (*audit)(struct flyover_audit *audit);
};

/* Defined by the plug-in. */
const struct flyover_service *flyover_service_describe(void);

#endif
