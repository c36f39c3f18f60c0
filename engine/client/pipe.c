#include "engine/client/pipe.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A record of TLS has as much at most. */
#define PLAIN_BYTES_MAX 16384u

enum status pipe_open(struct pipe *pipe, int fd, const char *host)
{
    pipe->fd = fd;
    pipe->stage_at = pipe->stage_end = 0;
    if (pipe->tls == NULL)
        return STATUS_OK;
    if (pipe->stage == NULL && (pipe->stage = malloc(PIPE_STAGE_BYTES)) == NULL)
        return STATUS_NO_MEMORY;
    return tls_session_open(pipe->tls, host, &pipe->session);
}

/* ---- the socket ---------------------------------------------------------------------------------
 */

static enum pipe_result failure(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK ? PIPE_BLOCKED : PIPE_FAILED;
}

static enum pipe_result socket_write(int fd, const uint8_t *bytes, size_t count,
                                     size_t *ret_written)
{
    ssize_t written;
    do
        written = send(fd, bytes, count, MSG_NOSIGNAL);
    while (written < 0 && errno == EINTR);
    if (written < 0)
        return failure();
    *ret_written = (size_t)written;
    return PIPE_DONE;
}

static enum pipe_result socket_read(int fd, uint8_t *bytes, size_t capacity, size_t *ret_read)
{
    ssize_t count;
    do
        count = recv(fd, bytes, capacity, 0);
    while (count < 0 && errno == EINTR);
    if (count < 0)
        return failure();
    *ret_read = (size_t)count;
    return count == 0 ? PIPE_ENDED : PIPE_DONE;
}

/* ---- TLS ----------------------------------------------------------------------------------------
 */

enum pipe_result pipe_flush(struct pipe *pipe)
{
    while (pipe->session != NULL) {
        if (pipe->stage_at == pipe->stage_end) {
            pipe->stage_at = 0;
            pipe->stage_end = tls_session_output(pipe->session, pipe->stage, PIPE_STAGE_BYTES);
            if (pipe->stage_end == 0)
                break;
        }
        size_t written;
        enum pipe_result result = socket_write(pipe->fd, pipe->stage + pipe->stage_at,
                                               pipe->stage_end - pipe->stage_at, &written);
        if (result != PIPE_DONE)
            return result;
        pipe->stage_at += written;
    }
    return PIPE_DONE;
}

static enum pipe_result tls_write(struct pipe *pipe, const uint8_t *bytes, size_t count,
                                  size_t *ret_written)
{
    enum pipe_result result = pipe_flush(pipe);
    if (result != PIPE_DONE)
        return result;
    /* Before the handshake is done plain bytes would only pile up. */
    if (!tls_session_is_ready(pipe->session))
        return PIPE_BLOCKED;
    size_t taken = count < PLAIN_BYTES_MAX ? count : PLAIN_BYTES_MAX;
    if (tls_session_write(pipe->session, bytes, taken) != STATUS_OK) {
        errno = EIO;
        return PIPE_FAILED;
    }
    *ret_written = taken;
    result = pipe_flush(pipe);
    return result == PIPE_FAILED ? PIPE_FAILED : PIPE_DONE;
}

static enum pipe_result tls_read(struct pipe *pipe, uint8_t *bytes, size_t capacity,
                                 size_t *ret_read, struct problem *problem)
{
    uint8_t sealed[PLAIN_BYTES_MAX];
    while ((*ret_read = tls_session_read(pipe->session, bytes, capacity)) == 0) {
        size_t count;
        enum status state = tls_session_status(pipe->session, problem);
        if (state != STATUS_OK)
            return state == STATUS_END ? PIPE_ENDED : PIPE_FAILED;
        enum pipe_result result = socket_read(pipe->fd, sealed, sizeof sealed, &count);
        if (result != PIPE_DONE)
            return result;
        enum status status = tls_session_input(pipe->session, sealed, count, problem);
        result = pipe_flush(pipe);
        if (status != STATUS_OK)
            return PIPE_FAILED;
        if (result == PIPE_FAILED) {
            problem_set(problem, STATUS_IO, "%s", strerror(errno));
            return PIPE_FAILED;
        }
    }
    return PIPE_DONE;
}

/* ---- either -------------------------------------------------------------------------------------
 */

enum pipe_result pipe_write(struct pipe *pipe, const uint8_t *bytes, size_t count,
                            size_t *ret_written)
{
    if (pipe->session != NULL)
        return tls_write(pipe, bytes, count, ret_written);
    return socket_write(pipe->fd, bytes, count, ret_written);
}

bool pipe_is_full(const struct pipe *pipe)
{
    return pipe->stage_at < pipe->stage_end;
}

enum pipe_result pipe_read(struct pipe *pipe, uint8_t *bytes, size_t capacity, size_t *ret_read,
                           struct problem *problem)
{
    problem->status = STATUS_OK;
    if (pipe->session != NULL) {
        enum pipe_result read = tls_read(pipe, bytes, capacity, ret_read, problem);
        pipe->may_have_more = read == PIPE_DONE;
        return read;
    }
    enum pipe_result result = socket_read(pipe->fd, bytes, capacity, ret_read);
    if (result == PIPE_FAILED)
        problem_set(problem, STATUS_IO, "%s", strerror(errno));
    return result;
}

void pipe_finish(struct pipe *pipe)
{
    if (pipe->session != NULL && tls_session_is_ready(pipe->session))
        tls_session_finish(pipe->session);
}

void pipe_close(struct pipe *pipe)
{
    if (pipe->session != NULL)
        tls_session_close(pipe->session);
    pipe->session = NULL;
    pipe->may_have_more = false;
    if (pipe->fd >= 0)
        close(pipe->fd);
    pipe->fd = -1;
}

void pipe_fini(struct pipe *pipe)
{
    pipe_close(pipe);
    if (pipe->tls != NULL)
        tls_close(pipe->tls);
    free(pipe->stage);
    *pipe = (struct pipe){.fd = -1};
}
