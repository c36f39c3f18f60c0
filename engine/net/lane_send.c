/*
 * Bytes to and from the kernel: chunks gathered into one send at a time, buffers handed to the
 * owner, and TLS between the two.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/net/lane_internal.h"

#define CIPHER_PLAIN_BYTES 65536u /* encrypted at once */

/* ---- plain --------------------------------------------------------------------------------------
 */

static struct iovec rest_of(struct lane_chunk *chunk)
{
    return (struct iovec){.iov_base = chunk->bytes + chunk->sent,
                          .iov_len = chunk->filled - chunk->sent};
}

static void submit_send(struct lane *lane, struct lane_connection *connection, uint32_t parts)
{
    struct io_uring_sqe *sqe = lane_operation(lane);
    if (parts == 1) {
        io_uring_prep_send(sqe, connection->fd, connection->parts[0].iov_base,
                           connection->parts[0].iov_len, MSG_NOSIGNAL);
    } else {
        connection->message = (struct msghdr){.msg_iov = connection->parts, .msg_iovlen = parts};
        io_uring_prep_sendmsg(sqe, connection->fd, &connection->message, MSG_NOSIGNAL);
    }
    lane_operation_is(sqe, LANE_OP_SEND, lane_connection_index(lane, connection));
    connection->sending = true;
}

static bool start_plain(struct lane *lane, struct lane_connection *connection)
{
    uint32_t parts = 0;
    for (struct lane_chunk *chunk = connection->first; chunk != NULL && parts < LANE_IOVECS_MAX;
         chunk = chunk->next)
        connection->parts[parts++] = rest_of(chunk);
    if (parts == 0)
        return false;
    submit_send(lane, connection, parts);
    return true;
}

static void return_first(struct lane *lane, struct lane_connection *connection)
{
    struct lane_chunk *chunk = connection->first;
    connection->first = chunk->next;
    if (connection->first == NULL)
        connection->last = NULL;
    lane_return_chunk(lane, chunk);
}

static void on_plain_sent(struct lane *lane, struct lane_connection *connection, uint32_t bytes)
{
    while (bytes > 0) {
        struct lane_chunk *chunk = connection->first;
        uint32_t rest = chunk->filled - chunk->sent;
        uint32_t sent = bytes < rest ? bytes : rest;
        chunk->sent += sent;
        bytes -= sent;
        if (chunk->sent == chunk->filled)
            return_first(lane, connection);
    }
}

/* ---- TLS ----------------------------------------------------------------------------------------
 * A chunk is returned only after what it was encrypted to is sent, so that what is with the kernel
 * still counts as the connection's.
 */

static struct lane_chunk *first_to_encrypt(struct lane_connection *connection)
{
    struct lane_chunk *chunk = connection->first;
    while (chunk != NULL && chunk->sent == chunk->filled)
        chunk = chunk->next;
    return chunk;
}

static bool encrypt_some(struct lane_connection *connection)
{
    struct lane_chunk *chunk;
    uint32_t room = CIPHER_PLAIN_BYTES;
    while (room > 0 && (chunk = first_to_encrypt(connection)) != NULL) {
        uint32_t rest = chunk->filled - chunk->sent;
        uint32_t bytes = rest < room ? rest : room;
        if (tls_session_write(connection->tls, chunk->bytes + chunk->sent, bytes) != STATUS_OK)
            return false;
        chunk->sent += bytes;
        room -= bytes;
    }
    return true;
}

static void say_farewell(struct lane_connection *connection)
{
    if (connection->state != LANE_ENDING || connection->finished || connection->first != NULL)
        return;
    connection->finished = true;
    tls_session_finish(connection->tls);
}

static bool fetch_cipher(struct lane *lane, struct lane_connection *connection)
{
    size_t bytes = tls_session_output_bytes(connection->tls);
    if (bytes == 0)
        return false;
    struct lane_chunk *cipher = malloc(sizeof *cipher + bytes);
    if (cipher == NULL) {
        lane_connection_fail(lane, connection, STATUS_NO_MEMORY, "no memory for TLS");
        return false;
    }
    cipher->filled = (uint32_t)tls_session_output(connection->tls, cipher->bytes, bytes);
    cipher->sent = 0;
    connection->cipher = cipher;
    return true;
}

static bool start_cipher(struct lane *lane, struct lane_connection *connection)
{
    if (connection->cipher == NULL) {
        if (tls_session_is_ready(connection->tls) && !encrypt_some(connection)) {
            lane_connection_fail(lane, connection, STATUS_IO, "TLS could not encrypt");
            return true;
        }
        say_farewell(connection);
        if (!fetch_cipher(lane, connection))
            return false;
    }
    connection->parts[0] = rest_of(connection->cipher);
    submit_send(lane, connection, 1);
    return true;
}

static void on_cipher_sent(struct lane *lane, struct lane_connection *connection, uint32_t bytes)
{
    connection->cipher->sent += bytes;
    if (connection->cipher->sent < connection->cipher->filled)
        return;
    free(connection->cipher);
    connection->cipher = NULL;
    while (connection->first != NULL && connection->first->sent == connection->first->filled)
        return_first(lane, connection);
}

/* Of the file's two ends the first: from the owner to the kernel. */
bool lane_connection_start_send(struct lane *lane, struct lane_connection *connection)
{
    return connection->tls == NULL ? start_plain(lane, connection) : start_cipher(lane, connection);
}

void lane_connection_on_send(struct lane *lane, struct lane_connection *connection, int result)
{
    connection->sending = false;
    if (result > 0) {
        atomic_fetch_add_explicit(&lane->bytes_out, (uint64_t)result, memory_order_relaxed);
        if (connection->tls == NULL)
            on_plain_sent(lane, connection, (uint32_t)result);
        else
            on_cipher_sent(lane, connection, (uint32_t)result);
    }
    if (result < 0 && result != -EINTR && result != -EAGAIN)
        lane_connection_fail(lane, connection, STATUS_IO, strerror(-result));
    lane_connection_settle(lane, connection);
}

void lane_connection_drop_output(struct lane *lane, struct lane_connection *connection)
{
    while (connection->first != NULL)
        return_first(lane, connection);
    free(connection->cipher);
    connection->cipher = NULL;
}

/* ---- from the kernel to the owner ---------------------------------------------------------------
 */

static void tell_data(struct lane *lane, struct lane_connection *connection, uint32_t buffer,
                      uint32_t count)
{
    lane_tell(lane, (struct lane_event){.kind = LANE_DATA,
                                        .connection = lane_connection_number(lane, connection),
                                        .bytes = lane_buffer(lane, buffer),
                                        .count = count,
                                        .buffer = buffer});
}

static void tell_subject(struct lane *lane, struct lane_connection *connection)
{
    if (connection->subject_told || !tls_session_is_ready(connection->tls))
        return;
    connection->subject_told = true;
    const char *subject = tls_session_subject(connection->tls);
    if (*subject != '\0')
        lane_tell(lane, (struct lane_event){.kind = LANE_READY,
                                            .connection = lane_connection_number(lane, connection),
                                            .text = strdup(subject)});
}

/* The farewell of the peer, or its failure, of which TLS has an alert to send. */
static void end_tls(struct lane *lane, struct lane_connection *connection,
                    const struct problem *problem)
{
    if (problem->status == STATUS_END) {
        connection->ended = true;
        lane_connection_end(lane, connection, STATUS_OK, NULL);
        return;
    }
    while (connection->first != NULL && connection->cipher == NULL)
        return_first(lane, connection);
    lane_connection_end(lane, connection, problem->status, problem->text);
}

/* All that came fits into the buffer again: TLS keeps back less than a record. */
static void deliver_tls(struct lane *lane, struct lane_connection *connection, uint32_t buffer,
                        uint32_t count)
{
    struct problem problem = {.status = STATUS_OK};
    uint8_t *bytes = lane_buffer(lane, buffer);
    enum status status = tls_session_input(connection->tls, bytes, count, &problem);
    size_t plain = tls_session_read(connection->tls, bytes, lane->buffer_bytes);
    if (status == STATUS_OK)
        status = tls_session_status(connection->tls, &problem);
    tell_subject(lane, connection);
    if (plain > 0)
        tell_data(lane, connection, buffer, (uint32_t)plain);
    else
        lane_give_back(lane, buffer);
    problem.status = status;
    if (status != STATUS_OK)
        end_tls(lane, connection, &problem);
}

void lane_connection_deliver(struct lane *lane, struct lane_connection *connection, uint32_t buffer,
                             uint32_t count)
{
    if (connection->tls == NULL)
        tell_data(lane, connection, buffer, count);
    else
        deliver_tls(lane, connection, buffer, count);
}
