/*
 * edge_module: what one kind of edge is, on the edge thread: "aws-sqs", "aws-lambda", "sql",
 * "http".
 *
 * A module is opened on the engine's thread, where its part of the configuration is checked, and
 * from then on everything of it happens on the edge thread, in turns that never block: HTTP by
 * http.h, other sockets by `poll_fds`.
 *
 * A call is the module's from `call` until edge_done or edge_failed, exactly one of them, which may
 * be called within `call` too. A call whose deadline passes is answered late or not at all: the
 * engine has gone on, the answer is dropped and counted there; still the module answers, since the
 * lane's credit comes back that way. Retrying is the definition's business (Retry, with the same
 * key); a module retries by itself only what AWS's own SDKs would (aws.h).
 *
 * The key is the same whenever and however often this step is asked for, and no other step's of any
 * engine: "ID-SAGA-STEP" or "ID-SAGA-STEP-c" for a compensation; letters, digits and '-', at most
 * 63 bytes.
 *
 * A turn of the thread: `call` and `on_message_settled` for what the engine sent; all on_end of
 * http.h and aws.h; `turn` of each module; then it waits. At the end: on_message_settled (given up)
 * for all messages, http_close, aws_close, `close` of each module. So after an on_end that says
 * HTTP_CANCELLED nothing is to be sent any more; edge_done and edge_failed then do nothing, and the
 * next start asks for the call again.
 *
 * Threads: the edge thread, but for `open`. Memory: a call with its json is freed by its answer.
 */
#ifndef ENGINE_EDGE_EDGE_MODULE_H
#define ENGINE_EDGE_EDGE_MODULE_H

#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/flyover_service.h"

#define EDGE_KEY_BYTES      64u
#define EDGE_HANDLERS_MAX   48u
#define EDGE_MODULE_FDS_MAX 64u
#define EDGE_NAME_BYTES     256u /* what a message is known by, a terminating zero included */
#define EDGE_ERROR_BYTES    256u
#define EDGE_CAUSE_BYTES    1024u
#define EDGE_LINE_BYTES     512u
#define EDGE_ENDS_MAX       4096u
#define EDGE_LINES_BURST    8u
#define EDGE_LINES_MS       10000u

struct edge_thread; /* answers, messages and the log go through it */
struct http;        /* http.h */
struct aws;         /* aws.h */

struct edge_call {
    struct edge_call *next;       /* the module's own, for its queues */
    void *state;                  /* the module's own */
    uint32_t handler;             /* index in the module's list */
    uint32_t step_no, attempt_no; /* attempts from 1 */
    uint64_t saga_id;
    enum flyover_phase phase;
    int64_t deadline_ms; /* milliseconds since 1970; 0: none */
    char key[EDGE_KEY_BYTES];
    char token[FLYOVER_TOKEN_BYTES + 1]; /* "": the step does not end by token */
    char trace[64];                      /* traceparent; "": none */
    json_t *input;                       /* what Parameters made; never NULL; lent */
    json_t *output; /* compensation: of the step that is undone; NULL: nil. Lent. `input` is then
                       what the Compensate's Parameters made, or {"input", "output"} */
    /* Of a kind that reads values, in place of both: what `input` would say, as msgpack that was
     * checked. Lent. */
    struct flyover_bytes value;
};

/* `output` is stolen; NULL: null. */
void edge_done(struct edge_thread *thread, struct edge_call *call, json_t *output);
/* The same as msgpack that passes value_check; copied. */
void edge_done_value(struct edge_thread *thread, struct edge_call *call,
                     struct flyover_bytes output);
/* `error` and the cause are cut at EDGE_ERROR_BYTES and EDGE_CAUSE_BYTES; the journal keeps
 * FLYOVER_ERROR_NAME_BYTES_MAX and _CAUSE_BYTES_MAX of them. What is no UTF-8 becomes '?'. */
__attribute__((format(printf, 5, 6))) void edge_failed(struct edge_thread *thread,
                                                       struct edge_call *call, bool retryable,
                                                       const char *error, const char *cause_format,
                                                       ...);
/* For the figures: the module asks again by itself. */
void edge_count_retry(struct edge_thread *thread, const struct edge_call *call);

/* ---- what comes in ----------------------------------------------------------------------------
 */

enum edge_message_kind {
    EDGE_START,  /* of `definition`, once a name */
    EDGE_SIGNAL, /* `name` to saga `saga_id` */
    EDGE_ANSWER, /* to the step with this token: `input` is its output, or `error` why it failed */
};

/* What has become of a message. */
enum edge_settlement {
    EDGE_SETTLED, /* durable now, or was before: delete it */
    EDGE_REFUSED, /* it can never be: leave it to the queue's redrive policy; the sentence says why,
                     and is the module's to log, with what it knows of the message */
    EDGE_GIVEN_UP, /* the engine ends, has no room, or does not know the definition (yet): it may
                      come again */
};

/* Copied by edge_bring. */
struct edge_message {
    enum edge_message_kind kind;
    const char *definition;
    const char *name; /* of the start: less than EDGE_NAME_BYTES; or of the signal */
    const char *token;
    uint64_t saga_id;
    struct flyover_bytes input; /* msgpack; count 0: nil */
    const char *error, *cause;  /* EDGE_ANSWER that failed; NULL: it is done */
    void *handle;               /* the module's own, given back by on_message_settled */
};

/* How many more EDGE_START may be brought now: ask outside for no more than these. And how many
 * EDGE_SIGNAL and EDGE_ANSWER, which have room of their own: where every saga waits for an answer,
 * starts find no room, and the answers have to come in all the same. */
uint32_t edge_room(const struct edge_thread *thread);
uint32_t edge_room_for_answers(const struct edge_thread *thread);
/* Goes to the engine in the order of the calls: starts among themselves, and so signals and
 * answers. STATUS_BUSY: no room; STATUS_TOO_LARGE, STATUS_INVALID: it can be no payload, or a name
 * is too long, and the sentence says why; nothing is settled then. */
NODISCARD enum status edge_bring(struct edge_thread *thread, void *module,
                                 const struct edge_message *message, struct problem *problem);
/* For the figures: a message that can be none, and is left outside without having been brought. */
void edge_count_refused(struct edge_thread *thread);

/* ---- ends of sagas ----------------------------------------------------------------------------
 */

/* A saga has ended or is stuck, and that is durable: told once, in the order of the journal, while
 * the engine lives. What has not been passed on when it dies is not told again: at most once over a
 * crash; and where EDGE_ENDS_MAX are with modules, the next are left out, counted and logged. */
struct edge_end {
    uint64_t saga_id;
    const char *definition;
    uint32_t version;
    const char *outcome; /* "SUCCEEDED", "FAILED", "COMPENSATED", "STUCK", "ABORTED" */
    int64_t ended_ms;    /* since 1970 */
    const char *error;   /* NULL: none, as the next */
    const char *cause;
    json_t *output;           /* NULL: none; or too many ended at once to keep it */
    bool output_omitted;      /* that */
    char key[EDGE_KEY_BYTES]; /* the same for the same end, and no other's */
    struct edge_end *next;    /* the module's own */
    void *state;              /* the module's own */
};
/* It is passed on, or given up: freed. */
void edge_end_told(struct edge_thread *thread, struct edge_end *end);

/* One line, cut at EDGE_LINE_BYTES. `event` and `format` are literals: of one such pair no more
 * than EDGE_LINES_BURST lines are said in EDGE_LINES_MS, and how many were left out is said after.
 * Within `open` too. */
__attribute__((format(printf, 4, 5))) void edge_log(struct edge_thread *thread, int level,
                                                    const char *event, const char *format, ...);

/* ---- modules ----------------------------------------------------------------------------------
 */

struct edge_context {
    struct edge_thread *thread;
    struct http *http;
    struct aws
        *aws; /* NULL: the configuration has no section "aws"; only "http" and "sql" go then */
    uint64_t name_retention_ms; /* how long the name of a start is known, at the least */
};

struct edge_kind {
    const char *section; /* of the configuration: "sqs", "sql"; opened if it is there */
    const char *service; /* of its lanes; NULL: it has none (it only brings messages) */
    /* The names of handlers, ended by NULL. NULL: `handlers` tells them. */
    const char *const *names;
    const char *const *(*handlers)(const void *module);
    /* Its calls come as `value`, where a tree of json would be most of the work. */
    bool reads_values;
    /* Checks `config` (the section; borrowed until it returns) and takes what it needs of it; asks
     * nothing of the network. The sentence begins with the path of the field: "sql.statements.pay:
     * ". */
    enum status (*open)(const struct edge_context *context, const json_t *config, void **ret_module,
                        struct problem *problem);
    void (*call)(void *module, struct edge_call *call);
    /* Its sockets beside those of http.h, at most EDGE_MODULE_FDS_MAX; NULL: it has none. After the
     * wait `revents` are set, and `turn` is called. */
    uint32_t (*poll_fds)(void *module, struct pollfd *ret_fds);
    /* Once a turn, behind `call` and on_end, with the fds that poll_fds gave before the wait, their
     * `revents` set. Returns in how many milliseconds it has to be
     * called again at the latest, -1: never. NULL: it needs none. */
    int64_t (*turn)(void *module, const struct pollfd *fds, uint32_t fds_count);
    /* NULL if it brings no messages. */
    void (*on_message_settled)(void *module, void *handle, enum edge_settlement settlement,
                               const char *sentence);
    /* NULL: it wants no ends of sagas. Asked on the engine's thread: reads what `open` has made,
     * and nothing that changes. With `definition` and `outcome` NULL: whether it may want any. */
    bool (*wants_end)(const void *module, const char *definition, const char *outcome);
    /* The module's until edge_end_told. */
    void (*on_saga_ended)(void *module, struct edge_end *end);
    /* No more messages are to be brought, what is out may end. True: nothing is under way. NULL:
     * as soon as all calls are answered. */
    bool (*drain)(void *module);
    /* Calls and ends that it still has are freed by the thread afterwards, without an answer. */
    void (*close)(void *module);
};

/* All there are, ended by NULL. */
extern const struct edge_kind *const edge_kinds[];
extern const struct edge_kind edge_sqs, edge_sqs_in, edge_sns, edge_lambda, edge_dynamodb, edge_sql,
    edge_http;

#endif
