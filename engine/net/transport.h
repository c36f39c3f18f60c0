/*
 * transport: the sockets of the engine, by io_uring. Accepts, reads, writes, TLS; knows nothing of
 * messages. It hands over what was read in place, and takes what is to be written in chunks.
 *
 *     kernel ── multishot recv into provided buffers ──► event DATA ──► the owner reads in place
 *            ◄── one send in flight a connection ◄── chunks ◄── transport_reserve, _commit, _flush
 *
 * Where it runs: with 0 threads everything happens in transport_turn, transport_flush and
 * transport_wait, on the owner's thread (small machines: run to completion). With N threads each
 * has a ring of its own and its share of the connections; events come and chunks go through SPSC
 * rings, and this header stays the same. lane.h has the half that speaks with the kernel.
 *
 * A connection is a number below connections_max. Its life: OPENED, any DATA, CLOSED; the number is
 * used again only after the owner's transport_forget, so that nothing reaches the wrong one.
 *
 * Threads: every function by the owner's thread, the engine's, except transport_probe; open may be
 *          another's, before the first turn; close may not, since the kernel knows whose ring it
 * is. Forks:   a child that neither calls nor execs disturbs nothing; it has no receive buffers.
 * Memory:  receive buffers and the table of connections at open; chunks from a pool, of 4 KiB, of
 *          TRANSPORT_CHUNK_BYTES, or of what was reserved where that is more; up to out_bytes_max
 * in all and out_bytes_a_connection_max a connection. With TLS what is with the kernel counts once
 * and is there twice, plain and encrypted. An idle connection holds no chunk and no receive buffer.
 * Limits:  one connection more than connections_max, and one for which there is no file
 *          descriptor, is accepted, closed and counted.
 * Source:  io_uring_enter(2), io_uring_prep_recv_multishot(3), liburing 2.3.
 */
#ifndef ENGINE_NET_TRANSPORT_H
#define ENGINE_NET_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"

#define TRANSPORT_LISTENERS_MAX 8u
#define TRANSPORT_THREADS_MAX   16u
#define TRANSPORT_CHUNK_BYTES   65536u
#define TRANSPORT_RECV_BYTES    65536u
#define TRANSPORT_ADDRESS_BYTES 128u
#define TRANSPORT_POLITE_MS     5000u

struct transport;
struct tls; /* engine/net/tls.h */

struct transport_options {
    /* "127.0.0.1:7233", "[::1]:7233", "unix:/run/flyover.sock", port 0: any. Borrowed for open. */
    const char *listen[TRANSPORT_LISTENERS_MAX];
    uint32_t listen_count;
    uint32_t threads;
    uint32_t connections_max;
    uint64_t out_bytes_max;              /* of all chunks */
    uint32_t out_bytes_a_connection_max; /* at least two frames */
    uint32_t recv_buffers;               /* of TRANSPORT_RECV_BYTES, a power of two, each thread */
    uint32_t polite_ms;                  /* of transport_cut; 0: TRANSPORT_POLITE_MS */
    struct tls *tls;                     /* borrowed; NULL: plain. Unix sockets are always plain */
    int wake_fd; /* eventfd (EFD_NONBLOCK) that ends transport_wait, which empties it; -1: none */
};

enum transport_event_kind { TRANSPORT_OPENED, TRANSPORT_DATA, TRANSPORT_CLOSED };

struct transport_event {
    enum transport_event_kind kind;
    uint32_t connection;
    /* Lent until the next call of transport_next. DATA: what came, at most TRANSPORT_RECV_BYTES,
     * with TLS 20 KiB more. CLOSED: a sentence of why (terminated behind `count`), count 0: none.
     */
    const uint8_t *bytes;
    uint32_t count;
    /* CLOSED: OK by the peer's orderly end or by transport_cut; IO (a reset, a peer that did not
     * read its end, no TLS); NO_PERMISSION (TLS); NO_MEMORY. */
    enum status reason;
};

struct transport_counts {
    uint64_t accepted, refused, closed;
    uint64_t bytes_in, bytes_out;
    uint64_t starved; /* times the kernel had data and no receive buffer */
    uint32_t connections;
    uint64_t out_bytes; /* of chunks in use */
};

/* STATUS_OK, or STATUS_UNSUPPORTED (NO_MEMORY, IO) with a sentence that says what forbids io_uring
 * here (seccomp, sysctl kernel.io_uring_disabled, an old kernel) and what to do. Any thread. */
NODISCARD enum status transport_probe(struct problem *problem);

/* Listens. Returns owned. STATUS_IN_USE (the address), STATUS_INVALID (it is none),
 * STATUS_NO_PERMISSION, STATUS_UNSUPPORTED, STATUS_NO_MEMORY, STATUS_IO; the sentence names the
 * address. A unix socket that a dead engine left behind is replaced. */
NODISCARD enum status transport_open(const struct transport_options *options,
                                     struct transport **ret_transport, struct problem *problem);
/* Accepts nothing more from now on; what is connected stays. */
void transport_stop_listening(struct transport *transport);
/* Cuts every connection. Accepts NULL. */
void transport_close(struct transport *transport);
/* Where listener `index` listens ("127.0.0.1:40123"). */
void transport_address(const struct transport *transport, uint32_t index,
                       char ret_address[TRANSPORT_ADDRESS_BYTES]);

/* Submits and completes; true if something happened. Never blocks. */
bool transport_turn(struct transport *transport);
/* The next event, in order a connection; false if there is none now. */
bool transport_next(struct transport *transport, struct transport_event *ret_event);
/* Until something completes, the wake_fd is written, or timeout_ns. */
void transport_wait(struct transport *transport, uint64_t timeout_ns);

/* Room for `bytes` at the end of the connection's output, contiguous, lent until the next
 * transport_next, _turn or _flush, or another call for this connection than transport_commit; NULL
 * where a limit is reached (or the connection is cut or closed): then a turn later may find room.
 * What was reserved last and not committed is forgotten. */
uint8_t *transport_reserve(struct transport *transport, uint32_t connection, uint32_t bytes);
/* The first `bytes` of it are to be sent. */
void transport_commit(struct transport *transport, uint32_t connection, uint32_t bytes);
/* Everything committed goes its way. Once a turn. */
void transport_flush(struct transport *transport);
/* Committed and not yet with the kernel. */
uint32_t transport_backlog(const struct transport *transport, uint32_t connection);
/* Reads no more from it, or goes on; what was read already still comes as DATA. */
void transport_pause(struct transport *transport, uint32_t connection, bool pause);
/* Closes it; `politely`: after what was committed is sent and the peer has ended too, but at most
 * polite_ms later. No DATA comes from it any more, then CLOSED. Politely first and then not is
 * allowed. */
void transport_cut(struct transport *transport, uint32_t connection, bool politely);
/* After CLOSED: the number may be used again. */
void transport_forget(struct transport *transport, uint32_t connection);
/* "127.0.0.1:51234", "[::1]:51234", or "unix". */
void transport_peer(const struct transport *transport, uint32_t connection,
                    char ret_address[TRANSPORT_ADDRESS_BYTES]);
/* The subject of the client's certificate (RFC 2253), known with the first DATA; "" without one. */
const char *transport_peer_subject(const struct transport *transport, uint32_t connection);

struct transport_counts transport_counts(const struct transport *transport);

#endif
