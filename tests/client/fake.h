/*
 * fake: an engine that says what a test wants, on a thread of its own. What a START is answered
 * with is in the name of its definition:
 *
 *     "order"          as an engine: a new saga, or the one of that name; it ends at once
 *     "refuse:STATUS"  ERROR with that status, the sentence "said so", again after 7 ms
 *     "mute"           nothing, until fake_let_go
 *     "slow"           STARTED, and ENDED at fake_let_go
 *     "cut"            the START is done, then the connection is cut; asked again: as "order"
 *     "twice"          the answer comes again, before that of the next START
 *     "ping"           a PING before the answer, which comes once it is answered
 *     "goodbye"        GOODBYE, and the end of the stream; asked again: as "order"
 *     "leaving"        GOODBYE, then the answer; whatever comes behind is not to come
 *     "deaf"           from now on this connection reads and says nothing; asked again: as "order"
 *     "garbage"        bytes that are no message, once; asked again: as "order"
 *     "lose"           ERROR with id 0, INVALID
 *     "halfway"        STARTED, and a cut before ENDED; asked again: as "order"
 *     "gap"            the cut comes, and fake_accept has to be called before the next connection
 *
 * The input of a START is its number, below FAKE_STARTS_MAX; the fake counts how often each was
 * asked and done.
 *
 * Threads: functions by the test's. Memory: its own, freed by fake_close.
 */
#ifndef TESTS_CLIENT_FAKE_H
#define TESTS_CLIENT_FAKE_H

#include <stdbool.h>
#include <stdint.h>

#define FAKE_STARTS_MAX      4096u
#define FAKE_CONNECTIONS_MAX 16u
#define FAKE_EVENTS          5000u /* that a subscription gets */
#define FAKE_INVOCATIONS     6u    /* that a registration gets, one of them a compensation */

struct fake;

struct fake_options {
    bool is_tcp;                   /* else a unix socket */
    uint32_t window, heartbeat_ms; /* 0: 64, 10 s */
    /* Of each connection in turn: bytes after which it is cut; 0: it is not. */
    uint64_t cut_after_sent[FAKE_CONNECTIONS_MAX];
    uint64_t cut_after_read[FAKE_CONNECTIONS_MAX];
    /* Of the first connection: the byte that is said wrong, and which bits of it (0: none). */
    uint64_t wrong_at;
    uint8_t wrong_bits;
    const char *refuse;    /* HELLO is answered by ERROR with this status */
    uint32_t refuse_count; /* so often; 0: always */
    bool is_byte_by_byte;  /* each byte by a send of its own */
    bool says_garbage;     /* instead of WELCOME */
    uint32_t events;       /* 0: FAKE_EVENTS */
    bool only_greets;      /* from the second connection on: WELCOME, and a cut */
    bool is_any;           /* who says no Flyover is cut, and not taken for a bug */
    struct tls *tls;       /* borrowed; NULL: plain */
};

struct fake_counts {
    uint32_t connections, closed;
    uint64_t read, sent; /* bytes, of the last connection */
    uint32_t pongs, pings, goodbyes, late;
    uint32_t done, failed, beats; /* answers of workers */
    uint32_t asked[FAKE_STARTS_MAX];
    uint32_t started[FAKE_STARTS_MAX]; /* a new saga came of it */
    uint32_t registered, drained, subscribed, defined, questions;
    uint64_t credit_max; /* of a subscription, that was open at a time */
    char token[64], name[64], after[64];
};

struct fake *fake_open(const struct fake_options *options);
void fake_close(struct fake *fake);
const char *fake_address(const struct fake *fake);
struct fake_counts fake_counts(struct fake *fake);
/* Answers what was "mute" so far. */
void fake_let_go(struct fake *fake);
/* The connection that is open is cut. */
void fake_cut(struct fake *fake);
/* Listens no more: whoever connects is refused. */
void fake_go_away(struct fake *fake);
/* After "gap": the next connection is taken. */
void fake_accept(struct fake *fake);

#endif
