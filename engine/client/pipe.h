/*
 * pipe: the bytes of one connection, plain or through TLS. Never blocks, raises no signal.
 *
 * Threads: the client's. Memory: the TLS session's.
 */
#ifndef ENGINE_CLIENT_PIPE_H
#define ENGINE_CLIENT_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/net/tls.h"

#define PIPE_STAGE_BYTES 32768u

struct pipe {
    int fd;          /* -1: none */
    struct tls *tls; /* owned; NULL: plain */
    struct tls_session *session;
    uint8_t *stage; /* TLS: bytes for the socket, [stage_at, stage_end) */
    size_t stage_at, stage_end;
    bool may_have_more; /* TLS: of which poll(2) knows nothing */
};

enum pipe_result { PIPE_DONE, PIPE_BLOCKED, PIPE_ENDED, PIPE_FAILED };

/* Takes the socket, in either case. `host`: whom to expect, with TLS. */
NODISCARD enum status pipe_open(struct pipe *pipe, int fd, const char *host);
/* *ret_written: how many were taken. ENDED, FAILED (errno). */
enum pipe_result pipe_write(struct pipe *pipe, const uint8_t *bytes, size_t count,
                            size_t *ret_written);
/* What TLS has to say of its own. */
enum pipe_result pipe_flush(struct pipe *pipe);
bool pipe_is_full(const struct pipe *pipe);
/* DONE with *ret_read > 0, BLOCKED, ENDED (the peer's end), FAILED with a sentence. */
enum pipe_result pipe_read(struct pipe *pipe, uint8_t *bytes, size_t capacity, size_t *ret_read,
                           struct problem *problem);
/* TLS: says that nothing more comes. */
void pipe_finish(struct pipe *pipe);
/* The connection; the rest is for the next one. */
void pipe_close(struct pipe *pipe);
void pipe_fini(struct pipe *pipe);

#endif
