/*
 * client: what a struct flyover_client is made of, for the files of this folder alone.
 *
 *     send.c, worker.c, call.c ──► output ──► line ──► socket
 *     incoming.c, next.c       ◄── input  ◄── line ◄── socket
 *                                             line ──► resume: what a cut makes of each request
 *
 * Threads: one at a time. Memory: owned, all of it.
 */
#ifndef ENGINE_CLIENT_CLIENT_H
#define ENGINE_CLIENT_CLIENT_H

#include <sys/types.h>

#include "engine/base/status.h"
#include "engine/client/address.h"
#include "engine/client/flyover.h"
#include "engine/client/input.h"
#include "engine/client/invocations.h"
#include "engine/client/kept.h"
#include "engine/client/output.h"
#include "engine/client/pipe.h"
#include "engine/client/table.h"

#define CLIENT_DURABILITY_BYTES 16u

enum line_state {
    LINE_PAUSING,    /* until retry_at_ms */
    LINE_CONNECTING, /* to the socket's place */
    LINE_GREETING,   /* TLS, HELLO, until WELCOME is there */
    LINE_OPEN,
    LINE_LOST /* for good */
};

struct flyover_client {
    struct address address;
    char *address_text, *token, *name;
    uint32_t connect_ms;
    pid_t process; /* a child that was forked off must leave the connection alone */

    /* The line. */
    enum line_state state;
    struct pipe pipe;
    struct address_list *places;
    bool is_last_place;
    bool was_open;     /* once at least: then this is a reconnect */
    bool is_leaving;   /* GOODBYE came: nothing that is sent now would be looked at */
    bool write_failed; /* what came before is still to be read */
    bool was_useful;   /* something other than WELCOME came on this connection */
    bool is_pong_due;
    bool is_reconnected; /* to be told */
    uint64_t pong_id;
    int64_t attempt_until_ms, retry_at_ms, give_up_at_ms;
    int64_t opened_ms, heard_ms, ping_ms; /* ping_ms 0: none is unanswered */
    uint32_t pause_ms;
    uint64_t random;
    uint8_t *hello;
    size_t hello_written, hello_bytes;
    enum flyover_status lost_status;

    /* As WELCOME said. */
    uint32_t window, heartbeat_ms;
    char durability[CLIENT_DURABILITY_BYTES];

    struct output output;
    struct input input;
    struct table table;
    struct invocations invocations;
    struct kept_queue kept_answers, kept_invocations;
    struct kept *lent; /* of the last answer, until the next call */
    bool is_draining, is_drained;
    enum flyover_status drain_status; /* not OK: the engine would not */
    uint64_t late_count;

    enum flyover_status status; /* of the last failure */
    uint32_t retry_after_ms;
    struct problem problem;
};

int64_t client_now_ms(void);
/* Remembers the sentence, and returns the status. */
enum flyover_status client_fail(struct flyover_client *client, enum flyover_status status,
                                const char *format, ...) __attribute__((format(printf, 3, 4)));
/* As an ERROR names it. */
enum flyover_status client_status_of(struct flyover_bytes name);
/* At the start of every call that lends or waits: what was lent before is given back. */
void client_begin(struct flyover_client *client);

#endif
