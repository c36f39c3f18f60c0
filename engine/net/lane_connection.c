/*
 * A connection's life on its lane. Whatever happens to it changes a field, and then
 * lane_connection_settle looks what has to be done.
 *
 *     OPEN ── cut politely, the peer's end ──► ENDING ── all is sent ──► LINGERING
 *      │                                         │                          │ the peer's end
 *      └──────── an error, cut, too late ────────┴──────────────────────────┴──► CLOSING ──► DONE
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/net/lane_internal.h"

#define BUFFER_GROUP 0

static bool is_alive(const struct lane_connection *connection)
{
    return connection->state == LANE_OPEN || connection->state == LANE_ENDING ||
           connection->state == LANE_LINGERING;
}

static bool is_polite(const struct lane_connection *connection)
{
    return connection->state == LANE_ENDING || connection->state == LANE_LINGERING;
}

/* ---- the steps of a life ------------------------------------------------------------------------
 */

static void leave_lists(struct lane *lane, struct lane_connection *connection)
{
    if (connection->starved)
        TAILQ_REMOVE(&lane->starved, connection, starved_link);
    if (is_polite(connection))
        TAILQ_REMOVE(&lane->polite, connection, polite_link);
    connection->starved = false;
}

static void begin_ending(struct lane *lane, struct lane_connection *connection)
{
    if (connection->state != LANE_OPEN)
        return;
    connection->state = LANE_ENDING;
    connection->deadline_ns = clock_now_ns() + lane->options.polite_ns;
    TAILQ_INSERT_TAIL(&lane->polite, connection, polite_link);
}

/* What is with the kernel ends by the shutdown, and completes. */
static void begin_closing(struct lane *lane, struct lane_connection *connection)
{
    leave_lists(lane, connection);
    connection->state = LANE_CLOSING;
    shutdown(connection->fd, SHUT_RDWR);
}

static void give_reason(struct lane_connection *connection, enum status reason, const char *text)
{
    if (connection->reason != STATUS_OK)
        return;
    connection->reason = reason;
    connection->text = text == NULL ? NULL : strdup(text);
}

/* Next: transport_next, CLOSED. */
static void finish(struct lane *lane, struct lane_connection *connection)
{
    close(connection->fd);
    connection->fd = -1;
    lane_connection_drop_output(lane, connection);
    tls_session_close(connection->tls);
    connection->tls = NULL;
    connection->state = LANE_DONE;
    lane_tell(lane, (struct lane_event){.kind = LANE_CLOSED,
                                        .connection = lane_connection_number(lane, connection),
                                        .text = connection->text,
                                        .reason = connection->reason});
    connection->text = NULL;
    lane_accept_retry(lane);
}

/* ---- receiving ----------------------------------------------------------------------------------
 */

static bool wants_to_receive(const struct lane_connection *connection)
{
    if (connection->ended || !is_alive(connection))
        return false;
    return connection->state != LANE_OPEN || !connection->paused;
}

static void arm_recv(struct lane *lane, struct lane_connection *connection)
{
    struct io_uring_sqe *sqe = lane_operation(lane);
    io_uring_prep_recv_multishot(sqe, connection->fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = BUFFER_GROUP;
    lane_operation_is(sqe, LANE_OP_RECV, lane_connection_index(lane, connection));
    connection->receiving = true;
}

static void cancel_recv(struct lane *lane, struct lane_connection *connection)
{
    uint32_t index = lane_connection_index(lane, connection);
    struct io_uring_sqe *sqe = lane_operation(lane);
    io_uring_prep_cancel64(sqe, lane_operation_data(LANE_OP_RECV, index), 0);
    lane_operation_is(sqe, LANE_OP_CANCEL, index);
    connection->cancelling = true;
}

static void settle_recv(struct lane *lane, struct lane_connection *connection)
{
    if (connection->cancelling || connection->starved)
        return;
    bool wanted = wants_to_receive(connection);
    if (wanted && !connection->receiving)
        arm_recv(lane, connection);
    if (!wanted && connection->receiving && is_alive(connection))
        cancel_recv(lane, connection);
}

static void starve(struct lane *lane, struct lane_connection *connection)
{
    atomic_fetch_add_explicit(&lane->starved_count, 1, memory_order_relaxed);
    if (!wants_to_receive(connection) || connection->starved)
        return;
    connection->starved = true;
    TAILQ_INSERT_TAIL(&lane->starved, connection, starved_link);
}

/* Without TLS's own farewell anybody on the way may have cut the bytes short. */
static void on_end(struct lane *lane, struct lane_connection *connection)
{
    if (connection->tls != NULL && !connection->ended && connection->state == LANE_OPEN)
        give_reason(connection, STATUS_IO, "the peer ended without the farewell of TLS");
    connection->ended = true;
    begin_ending(lane, connection);
}

static void on_bytes(struct lane *lane, struct lane_connection *connection, uint32_t buffer,
                     uint32_t count)
{
    atomic_fetch_add_explicit(&lane->bytes_in, count, memory_order_relaxed);
    if (connection->state == LANE_OPEN)
        lane_connection_deliver(lane, connection, buffer, count);
    else
        lane_give_back(lane, buffer);
}

static void on_recv_failed(struct lane *lane, struct lane_connection *connection, int error)
{
    if (error == ENOBUFS)
        starve(lane, connection);
    else if (error != ECANCELED && error != EINTR && error != EAGAIN)
        lane_connection_fail(lane, connection, STATUS_IO, strerror(error));
}

void lane_connection_on_recv(struct lane *lane, struct lane_connection *connection,
                             const struct io_uring_cqe *cqe)
{
    bool has_buffer = (cqe->flags & IORING_CQE_F_BUFFER) != 0;
    uint32_t buffer = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
    if ((cqe->flags & IORING_CQE_F_MORE) == 0)
        connection->receiving = false;
    if (has_buffer)
        lane->buffers_free--;
    if (cqe->res > 0)
        on_bytes(lane, connection, buffer, (uint32_t)cqe->res);
    else if (has_buffer)
        lane_give_back(lane, buffer);
    if (cqe->res == 0)
        on_end(lane, connection);
    if (cqe->res < 0)
        on_recv_failed(lane, connection, -cqe->res);
    lane_connection_settle(lane, connection);
}

void lane_connection_on_cancel(struct lane *lane, struct lane_connection *connection)
{
    connection->cancelling = false;
    lane_connection_settle(lane, connection);
}

/* ---- what the owner wants -----------------------------------------------------------------------
 */

void lane_connection_adopt(struct lane *lane, struct lane_connection *connection, int fd,
                           bool is_tls)
{
    assert(connection->state == LANE_FREE);
    *connection = (struct lane_connection){.fd = fd, .state = LANE_OPEN};
    if (lane->stopping)
        begin_closing(lane, connection);
    else if (is_tls && tls_session_open(lane->options.tls, NULL, &connection->tls) != STATUS_OK)
        lane_connection_fail(lane, connection, STATUS_NO_MEMORY, "no memory for TLS");
    lane_connection_settle(lane, connection);
}

void lane_connection_send(struct lane *lane, struct lane_connection *connection,
                          struct lane_chunk *chunk)
{
    if (connection->state != LANE_OPEN && connection->state != LANE_ENDING) {
        lane_return_chunk(lane, chunk);
        return;
    }
    chunk->next = NULL;
    chunk->sent = 0;
    if (connection->last == NULL)
        connection->first = chunk;
    else
        connection->last->next = chunk;
    connection->last = chunk;
    lane_connection_settle(lane, connection);
}

void lane_connection_pause(struct lane *lane, struct lane_connection *connection, bool pause)
{
    connection->paused = pause;
    if (pause && connection->starved && connection->state == LANE_OPEN) {
        TAILQ_REMOVE(&lane->starved, connection, starved_link);
        connection->starved = false;
    }
    lane_connection_settle(lane, connection);
}

void lane_connection_cut(struct lane *lane, struct lane_connection *connection, bool politely)
{
    if (!is_alive(connection))
        return;
    if (politely)
        begin_ending(lane, connection);
    else
        begin_closing(lane, connection);
    lane_connection_settle(lane, connection);
}

void lane_connection_fail(struct lane *lane, struct lane_connection *connection, enum status reason,
                          const char *text)
{
    if (!is_alive(connection))
        return;
    if (!connection->ended || connection->state != LANE_ENDING)
        give_reason(connection, reason, text);
    begin_closing(lane, connection);
    lane_connection_settle(lane, connection);
}

void lane_connection_end(struct lane *lane, struct lane_connection *connection, enum status reason,
                         const char *text)
{
    give_reason(connection, reason, text);
    begin_ending(lane, connection);
}

/* ---- what follows -------------------------------------------------------------------------------
 */

static void settle_send(struct lane *lane, struct lane_connection *connection)
{
    if (connection->sending || connection->state == LANE_LINGERING || !is_alive(connection))
        return;
    if (lane_connection_start_send(lane, connection) || connection->state != LANE_ENDING)
        return;
    if (connection->ended) {
        begin_closing(lane, connection);
        return;
    }
    shutdown(connection->fd, SHUT_WR);
    connection->state = LANE_LINGERING;
}

void lane_connection_settle(struct lane *lane, struct lane_connection *connection)
{
    settle_send(lane, connection);
    if (connection->state == LANE_LINGERING && connection->ended)
        begin_closing(lane, connection);
    settle_recv(lane, connection);
    if (connection->state == LANE_CLOSING && !connection->receiving && !connection->sending &&
        !connection->cancelling)
        finish(lane, connection);
}
