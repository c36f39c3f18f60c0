/*
 * flyover: the client library. Starts sagas on a `flyover serve`, waits for them, asks about them,
 * and serves steps as a worker. engine/net/protocol.md is what it speaks; tools/examples/letter has
 * a client and a worker.
 *
 *     cc shop.c -o shop $(pkg-config --cflags --libs flyover)      or find_package(flyover) in
 * CMake
 *
 *     struct flyover_client *client;
 *     struct flyover_client_options options = {.address = "127.0.0.1:7233"};
 *     if (flyover_connect(&options, &client) != FLYOVER_OK) ...
 *     struct flyover_start start = {.definition = "order", .input = input, .input_bytes = n};
 *     flyover_start(client, &start, &saga);                          blocking, one at a time
 *     flyover_send_start(client, &start, FLYOVER_AT_END, my_word);   or many under way
 *     while (flyover_next(client, &answer, 1000)) ...                as they come
 *
 * Many under way is the fast way: what is sent goes out in batches, with flyover_flush, with a
 * flyover_next that has to wait, or when 64 KiB have come together; answers are read in place.
 *
 * Event-driven use: put flyover_fd into your own loop; when it is readable, or flyover_wants_write
 * and it is writable, or flyover_timeout_ms is over, call flyover_next with 0 until it says no, and
 * as a worker flyover_next_invocation as well. Ask for all three anew each time around. It is a
 * plain socket and poll(2) inside, no io_uring, so that it lives in anybody's loop, in a sandbox
 * and in a child of who knows what.
 *
 * Cut connections. The library connects again by itself, with growing pauses, and says HELLO again.
 * What has not left the client goes with the next connection. Of the rest, asked again is: a START
 * with a name, an AWAIT, a DEFINE, a question that only looks (list, show, history, counts,
 * definitions), a subscription (behind its last event; one that had none yet, and no `after`,
 * begins anew: from then on), a registration. A START whose saga is known already (FLYOVER_AT_BOTH)
 * is awaited by the saga's id. Everything else is answered FLYOVER_UNKNOWN, first of all a START
 * without a name: it may have been done or not, and the library does not do it twice. Give a name
 * to what must survive a cut. An engine that is silent for twice its heartbeat counts as cut. A
 * connection is lost for good (flyover_is_lost) when connect_ms were not enough, or when the engine
 * says what it would say again (a token that holds no more): all that is under way is answered
 * FLYOVER_UNKNOWN, or FLYOVER_NOT_CONNECTED what never left; then close, and connect anew.
 *
 * Threads: a client by one thread at a time. A forked child may only close it.
 * Memory:  grows with what is under way, up to the engine's window and the credit of workers and
 *          subscriptions; 64 KiB for each direction, more where a message is longer. What is lent
 *          is lent until the next call with the same client, and may be handed to that call.
 * Signals: none is raised (SIGPIPE), and an interrupted call goes on. Nothing is printed.
 * Blocks:  in what says so, and in flyover_connect and flyover_close (a second at most). A host
 * that is no number is looked up by getaddrinfo at each connect, which blocks as long as that.
 */
#ifndef FLYOVER_H
#define FLYOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define FLYOVER_CLIENT_VERSION 1

enum flyover_status {
    FLYOVER_OK,
    FLYOVER_BUSY, /* no room now: again after retry_after_ms */
    FLYOVER_NOT_FOUND,
    FLYOVER_EXISTS, /* the name was used with another input */
    FLYOVER_INVALID,
    FLYOVER_TOO_LARGE,
    FLYOVER_UNSUPPORTED,
    FLYOVER_NO_PERMISSION,
    FLYOVER_STOPPING,      /* the engine is */
    FLYOVER_FAILED,        /* the engine failed at it; look before asking again */
    FLYOVER_UNKNOWN,       /* cut before the answer: may be done or not */
    FLYOVER_NOT_CONNECTED, /* nobody answers there, for longer than connect_ms; it was not done */
    FLYOVER_TIMEOUT,       /* of this call; what was asked goes on */
    FLYOVER_NO_MEMORY
};

const char *flyover_status_text(enum flyover_status status);

struct flyover_client;

struct flyover_client_options {
    const char *address; /* "HOST:PORT", "[::1]:PORT", "unix:PATH" */
    const char *token;   /* NULL: none */
    const char *name; /* for the engine's logs; NULL: the program's; both of 1,024 bytes at most */
    /* TLS: with ca_file, PEM: whom to believe; HOST is the name expected. A certificate of the
     * client's own is optional. A unix socket is always plain. */
    const char *ca_file, *certificate_file, *key_file;
    uint32_t connect_ms; /* how long to try; 0: 10 s; also how long after a cut */
};

/* Connects and says HELLO. On failure *ret_client is NULL, and flyover_connect_problem says why:
 * INVALID (the address), NOT_FOUND, NO_PERMISSION (files of TLS, the engine's certificate, the
 * token), NOT_CONNECTED, NO_MEMORY. */
enum flyover_status flyover_connect(const struct flyover_client_options *options,
                                    struct flyover_client **ret_client);
const char *flyover_connect_problem(void); /* of this thread's last flyover_connect */
/* Sends what is waiting, says GOODBYE, closes. Accepts NULL. */
void flyover_close(struct flyover_client *client);
/* The sentence of the last failure of a call with this client. */
const char *flyover_problem(const struct flyover_client *client);
/* Of a FLYOVER_BUSY that a blocking call returned. */
uint32_t flyover_retry_after_ms(const struct flyover_client *client);
/* As the engine said it. */
uint32_t flyover_window(const struct flyover_client *client);
const char *flyover_durability(const struct flyover_client *client);

/* ---- sagas ------------------------------------------------------------------------------------
 */

enum flyover_when { FLYOVER_AT_ACCEPTANCE, FLYOVER_AT_END, FLYOVER_AT_BOTH };
enum flyover_priority { FLYOVER_NORMAL, FLYOVER_LOW, FLYOVER_HIGH };

struct flyover_start {
    const char *definition;
    const void *input; /* one msgpack value, copied */
    size_t input_bytes;
    const char *name;           /* NULL: none */
    int64_t at_ms, deadline_ms; /* since 1970 UTC; 0: none */
    enum flyover_priority priority;
    const char *trace; /* traceparent; NULL: none */
};

enum flyover_answer_kind {
    FLYOVER_STARTED,
    FLYOVER_ENDED,
    FLYOVER_DEFINED,
    FLYOVER_ANSWERED,        /* `output` is the map */
    FLYOVER_EVENT,           /* of a subscription */
    FLYOVER_REFUSED_REQUEST, /* status and problem say why */
    FLYOVER_RECONNECTED      /* for who wants to know; nothing to do */
};

/* Lent until the next call. */
struct flyover_answer_message {
    enum flyover_answer_kind kind;
    uint64_t word; /* the caller's, of the request */
    enum flyover_status status;
    const char *problem;
    uint32_t retry_after_ms;
    uint64_t saga_id;
    bool existed;
    const char *outcome; /* "SUCCEEDED", ... */
    const char *error, *cause;
    const void *output; /* msgpack; output_bytes 0: none, or none was kept: ask history */
    size_t output_bytes;
    const char *position; /* EVENT: where to go on behind it */
    const char *definition, *name;
    uint32_t version;
    uint32_t plan; /* DEFINED; `output` are the services that nobody serves yet */
    int64_t at_ms;
};

/* These put a request in line. `word` is the caller's, and comes back with each of its answers.
 * BUSY: as many are under way as the window allows, or 4 MiB wait to be sent: take answers first.
 * INVALID, TOO_LARGE: it cannot be right, and was not sent. NOT_CONNECTED: the client is lost. */
enum flyover_status flyover_send_start(struct flyover_client *client,
                                       const struct flyover_start *start, enum flyover_when when,
                                       uint64_t word);
enum flyover_status flyover_send_await(struct flyover_client *client, uint64_t saga_id,
                                       const char *name, uint64_t word);
enum flyover_status flyover_send_define(struct flyover_client *client, const char *name,
                                        const char *text, uint64_t word);
/* `question`: a msgpack map, as engine/admin/admin.h says. */
enum flyover_status flyover_send_ask(struct flyover_client *client, const void *question,
                                     size_t question_bytes, uint64_t word);
/* states: "SUCCEEDED,STUCK" or NULL: all; definition NULL: all; after NULL: from now on. Each event
 * says its `position`, to go on behind it another time; then some may come again, and only STUCK,
 * which history does not keep, may be left out. The library gives credit as answers are taken. */
enum flyover_status flyover_send_subscribe(struct flyover_client *client, const char *definition,
                                           const char *states, const char *after, uint64_t word);
/* Ends the subscription with this word; events of it that have come already are still given. */
enum flyover_status flyover_unsubscribe(struct flyover_client *client, uint64_t word);
/* Writes what the socket takes now; the rest goes with what comes next (flyover_wants_write). */
enum flyover_status flyover_flush(struct flyover_client *client);
/* The next answer, waiting for it up to timeout_ms (-1: for ever). False: none in time, or the
 * connection is lost for good (flyover_is_lost). */
bool flyover_next(struct flyover_client *client, struct flyover_answer_message *ret_answer,
                  int32_t timeout_ms);
bool flyover_is_lost(const struct flyover_client *client);

/* Changes with a reconnect; -1 in the pause before one, and when lost: poll(2) passes over it. */
int flyover_fd(const struct flyover_client *client);
bool flyover_wants_write(const struct flyover_client *client);
/* Until there is something to do though the socket is silent; -1: for ever. */
int32_t flyover_timeout_ms(const struct flyover_client *client);

/* The blocking forms; answers of other requests meanwhile are kept for flyover_next. They return
 * what the engine says, also as flyover_problem; UNKNOWN after a cut, as above. TIMEOUT: the saga
 * goes on, ret_end->saga_id is its id if that is known (else 0), flyover_await goes on waiting for
 * it, and no answer comes to flyover_next. */
enum flyover_status flyover_start(struct flyover_client *client, const struct flyover_start *start,
                                  uint64_t *ret_saga_id);
enum flyover_status flyover_run(struct flyover_client *client, const struct flyover_start *start,
                                struct flyover_answer_message *ret_end, int32_t timeout_ms);
enum flyover_status flyover_await(struct flyover_client *client, uint64_t saga_id,
                                  struct flyover_answer_message *ret_end, int32_t timeout_ms);
enum flyover_status flyover_define(struct flyover_client *client, const char *name,
                                   const char *text);
enum flyover_status flyover_ask(struct flyover_client *client, const void *question,
                                size_t question_bytes, struct flyover_answer_message *ret_answer);

/* ---- workers ----------------------------------------------------------------------------------
 */

struct flyover_invocation {
    uint64_t id;      /* for the answer, on this connection */
    uint32_t handler; /* index in the list registered */
    uint64_t saga_id; /* with step_no and compensation: the idempotency key */
    uint32_t step_no;
    bool compensation;
    uint32_t attempt_no;
    int64_t deadline_ms; /* 0: none */
    const void *input;
    size_t input_bytes;
    const void *output; /* compensation: of the step to compensate; bytes 0: nil */
    size_t output_bytes;
    const char *token; /* NULL unless .waitForTaskToken */
    const char *trace; /* NULL: none */
};

/* Serves these handlers of a service, `credit` at a time at most. Blocks until the engine has said
 * yes; one that says no later, after a cut, comes to flyover_next as FLYOVER_REFUSED_REQUEST with
 * word 0. */
enum flyover_status flyover_register(struct flyover_client *client, const char *service,
                                     const char *const *handlers, uint32_t handlers_count,
                                     uint32_t credit);
/* The next invocation, lent until the next call; false as for flyover_next. */
bool flyover_next_invocation(struct flyover_client *client,
                             struct flyover_invocation *ret_invocation, int32_t timeout_ms);
/* Answers may be given in any order, also long after; they go as requests do, with flyover_flush or
 * the next call that waits. NOT_FOUND: it was answered, or is from before a cut; nothing is sent,
 * it counts as late, and has been handed out again. INVALID, TOO_LARGE (the output): it stays open.
 */
enum flyover_status flyover_answer_done(struct flyover_client *client, uint64_t invocation,
                                        const void *output, size_t output_bytes);
enum flyover_status flyover_answer_failed(struct flyover_client *client, uint64_t invocation,
                                          bool retryable, const char *error, const char *cause);
enum flyover_status flyover_answer_beat(struct flyover_client *client, uint64_t invocation);
/* Answers that came too late so far. */
uint64_t flyover_late_count(const struct flyover_client *client);
/* Takes no more; OK when what it has was answered, TIMEOUT after timeout_ms: take and answer what
 * is left, and call it again (with 0 in between). Then close. */
enum flyover_status flyover_drain(struct flyover_client *client, int32_t timeout_ms);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
