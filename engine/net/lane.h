/*
 * lane: one io_uring and its share of the connections; the half of a transport that speaks with the
 * kernel. transport.c is the other half, which the engine calls.
 *
 *     owner ── commands: ADOPT, SEND, PAUSE, RESUME, CUT, FORGET, GIVE_BACK ──► lane
 *           ◄── events: ACCEPTED, READY, DATA, CLOSED ──
 *           ◄── returns: chunks that were sent, or never will be ──
 *
 * All three are SPSC rings. With threads the lane runs on its own; without, the owner's thread
 * calls lane_turn itself, and nothing else differs.
 *
 * A lane never waits for the owner: there is room in `events` and `returns` for everything that it
 * may have to say, because each receive buffer, chunk and connection is told of once.
 *
 * Threads: lane_turn, lane_wait, lane_shut by the lane's thread; lane_open and lane_close before
 * and after it lives; the producer's side of `commands` and the consumer's sides of the others by
 * the owner's.
 */
#ifndef ENGINE_NET_LANE_H
#define ENGINE_NET_LANE_H

#include <liburing.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "engine/net/bell.h"
#include "engine/net/tls.h"
#include "engine/net/transport.h"
#include "queues/ring.h"

#define LANE_COMMANDS_COUNT 8191u
#define LANE_NOTHING_NS     UINT64_MAX

/* Bytes on their way out. Whoever has it may write it: the owner, then the lane, then the owner. */
struct lane_chunk {
    struct lane_chunk *next;
    uint32_t connection, life;
    uint32_t capacity, filled;
    uint32_t sent; /* the lane's: with the kernel, or encrypted */
    uint8_t bytes[];
};

enum lane_command_kind {
    LANE_ADOPT, /* fd, is_tls */
    LANE_SEND,  /* chunk */
    LANE_PAUSE,
    LANE_RESUME,
    LANE_CUT,
    LANE_CUT_POLITELY,
    LANE_FORGET,
    LANE_GIVE_BACK, /* buffer */
    LANE_STOP_LISTENING,
    LANE_STOP
};

struct lane_command {
    enum lane_command_kind kind;
    uint32_t connection;
    union {
        struct lane_chunk *chunk; /* taken */
        struct {
            int fd; /* taken */
            bool is_tls;
        };
        uint32_t buffer;
    };
};

enum lane_event_kind { LANE_ACCEPTED, LANE_READY, LANE_DATA, LANE_CLOSED };

struct lane_event {
    enum lane_event_kind kind;
    uint32_t connection;
    union {
        const uint8_t *bytes; /* DATA: lent until GIVE_BACK */
        char *text; /* READY: the peer's subject; CLOSED: the sentence; given, NULL: none */
        int fd;     /* ACCEPTED: given */
    };
    uint32_t count;
    union {
        uint32_t buffer;    /* DATA */
        uint32_t listener;  /* ACCEPTED */
        enum status reason; /* CLOSED */
    };
};

struct lane_connection; /* lane_internal.h */
TAILQ_HEAD(lane_list, lane_connection);

enum lane_listening {
    LANE_LISTENING, /* a multishot accept is armed */
    LANE_FULL,      /* no file descriptor was left: a poll is, and each that comes is refused */
    LANE_RETRYING,  /* nothing is, until retry_ns */
    LANE_DEAF       /* no more */
};

struct lane_listener {
    int fd;
    enum lane_listening listening;
    bool armed;
};

struct lane_options {
    uint32_t index,
        lanes_count;          /* its connections: those that leave `index` divided by the count */
    uint32_t connections_max; /* of all lanes */
    uint32_t recv_buffers;
    uint64_t chunks_max;
    uint64_t polite_ns;
    struct tls *tls;
    int wake_fd;             /* -1: none */
    struct bell *owner_bell; /* NULL: no thread */
};

struct lane {
    struct lane_options options;
    struct io_uring uring;
    bool has_uring, is_enabled, stopping;
    uint32_t operations; /* that are with the kernel */

    struct io_uring_buf_ring *buffer_ring;
    uint8_t *buffers;
    size_t buffer_bytes;
    uint32_t buffers_free;

    struct lane_connection *connections;
    uint32_t connections_count;
    struct lane_list starved; /* want to receive, and there was no buffer */
    struct lane_list polite;  /* ENDING or LINGERING, by deadline */

    struct lane_listener listeners[TRANSPORT_LISTENERS_MAX];
    uint32_t listeners_count;
    int spare_fd; /* given up to accept, and so to refuse, where there is no other */
    uint64_t retry_ns;
    uint32_t accepts;               /* told as ACCEPTED */
    _Atomic uint32_t accepts_taken; /* the owner's: looked at */

    struct ring *commands, *events, *returns;
    bool has_told; /* since the owner's bell was rung */

    bool wake_armed, woken;
    struct bell bell; /* of the lane's thread */
    pthread_t thread;
    bool has_thread;

    _Atomic uint64_t bytes_in, bytes_out, starved_count, refused;
};

/* Takes memory and the ring. On failure lane_close must follow. */
NODISCARD enum status lane_open(struct lane *lane, const struct lane_options *options,
                                struct problem *problem);
void lane_close(struct lane *lane);
/* Before the first turn. Takes the socket. */
void lane_listen(struct lane *lane, int fd);

/* Takes commands, submits, completes. True if something happened. Does not block. */
bool lane_turn(struct lane *lane);
/* Takes the commands and submits what they ask for. */
void lane_flush(struct lane *lane);
/* Until something completes, wake_fd was written (and takes that out), or timeout_ns. */
void lane_wait(struct lane *lane, uint64_t timeout_ns);
/* Cuts everything and waits until the kernel has nothing of it left. */
void lane_shut(struct lane *lane);

/* Runs the lane on a thread of its own until LANE_STOP. */
NODISCARD enum status lane_start(struct lane *lane, struct problem *problem);
void lane_join(struct lane *lane);

/* A ring as the transport needs it: STATUS_UNSUPPORTED with a sentence of what forbids it. */
NODISCARD enum status lane_uring_open(struct io_uring *uring, uint32_t entries,
                                      struct problem *problem);

#endif
