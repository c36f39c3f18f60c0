/*
 * lane_internal: what the files of a lane have in common. lane.c has the ring and the turns,
 * lane_accept.c the listeners, lane_connection.c a connection's life, lane_send.c its bytes.
 *
 * Threads: the lane's.
 */
#ifndef ENGINE_NET_LANE_INTERNAL_H
#define ENGINE_NET_LANE_INTERNAL_H

#include <sys/socket.h>
#include <sys/uio.h>

#include "engine/net/lane.h"

#define LANE_IOVECS_MAX 16u
#define LANE_RETRY_NS   (UINT64_C(100) * 1000 * 1000)

enum lane_state {
    LANE_FREE, /* no connection */
    LANE_OPEN,
    LANE_ENDING,    /* sends the rest, then tells the peer that it was all */
    LANE_LINGERING, /* has told, waits for the peer's end, so that no reset destroys what was sent
                     */
    LANE_CLOSING,   /* waits for completions */
    LANE_DONE       /* CLOSED is told; waits for FORGET */
};

struct lane_connection {
    int fd;
    enum lane_state state;
    enum status reason;
    bool receiving, sending, cancelling; /* operations that are with the kernel */
    bool paused, starved, ended;         /* ended: the peer has sent its last */
    bool subject_told, finished;         /* TLS: what was said already */
    char *text;
    uint64_t deadline_ns; /* ENDING, LINGERING */
    struct lane_chunk *first, *last;
    struct tls_session *tls;   /* NULL: plain */
    struct lane_chunk *cipher; /* TLS: on its way */
    TAILQ_ENTRY(lane_connection) starved_link, polite_link;
    struct msghdr message; /* of the send that is with the kernel */
    struct iovec parts[LANE_IOVECS_MAX];
};

enum lane_operation {
    LANE_OP_ACCEPT,
    LANE_OP_ACCEPT_POLL,
    LANE_OP_RECV,
    LANE_OP_SEND,
    LANE_OP_CANCEL,
    LANE_OP_CANCEL_ACCEPT,
    LANE_OP_WAKE
};

/* An operation to fill; counted, and told of itself when it completes. */
struct io_uring_sqe *lane_operation(struct lane *lane);
void lane_operation_is(struct io_uring_sqe *sqe, enum lane_operation operation, uint32_t index);
uint64_t lane_operation_data(enum lane_operation operation, uint32_t index);
void lane_tell(struct lane *lane, struct lane_event event);
void lane_return_chunk(struct lane *lane, struct lane_chunk *chunk);
void lane_give_back(struct lane *lane, uint32_t buffer);
uint8_t *lane_buffer(struct lane *lane, uint32_t buffer);

/* Its place in the lane, and the number by which the owner knows it. */
uint32_t lane_connection_index(const struct lane *lane, const struct lane_connection *connection);
uint32_t lane_connection_number(const struct lane *lane, const struct lane_connection *connection);
/* What it should do now that something about it has changed. */
void lane_connection_settle(struct lane *lane, struct lane_connection *connection);
void lane_connection_adopt(struct lane *lane, struct lane_connection *connection, int fd,
                           bool is_tls);
void lane_connection_send(struct lane *lane, struct lane_connection *connection,
                          struct lane_chunk *chunk);
void lane_connection_pause(struct lane *lane, struct lane_connection *connection, bool pause);
void lane_connection_cut(struct lane *lane, struct lane_connection *connection, bool politely);
/* It has failed; what is on its way is given up. */
void lane_connection_fail(struct lane *lane, struct lane_connection *connection, enum status reason,
                          const char *text);
/* It ends by itself, after what TLS has to say is sent. */
void lane_connection_end(struct lane *lane, struct lane_connection *connection, enum status reason,
                         const char *text);
void lane_connection_on_recv(struct lane *lane, struct lane_connection *connection,
                             const struct io_uring_cqe *cqe);
void lane_connection_on_send(struct lane *lane, struct lane_connection *connection, int result);
void lane_connection_on_cancel(struct lane *lane, struct lane_connection *connection);
/* The bytes of a buffer that came for it. */
void lane_connection_deliver(struct lane *lane, struct lane_connection *connection, uint32_t buffer,
                             uint32_t count);
/* Puts the next send together; false if there is nothing to send. */
bool lane_connection_start_send(struct lane *lane, struct lane_connection *connection);
void lane_connection_drop_output(struct lane *lane, struct lane_connection *connection);

void lane_accept_arm(struct lane *lane);
void lane_accept_on(struct lane *lane, uint32_t index, const struct io_uring_cqe *cqe);
void lane_accept_on_poll(struct lane *lane, uint32_t index);
/* A file descriptor was given back. */
void lane_accept_retry(struct lane *lane);
void lane_accept_stop(struct lane *lane);

#endif
