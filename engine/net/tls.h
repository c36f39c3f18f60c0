/*
 * tls: TLS 1.2 and 1.3 by OpenSSL, over bytes that somebody else carries: what the socket read goes
 * in, plain bytes come out, and the other way round. No socket and no thread in it, so that it
 * works with io_uring and in tests alike.
 *
 * Threads: a struct tls by any number of threads after it was opened (tls_reload swaps under a
 *          lock); a tls_session by one.
 * Memory:  OpenSSL's own: 17 KiB for an idle session (measured), more while it has bytes.
 * Errors:  sentences name the file and say what is wrong with it (not there, not readable, key does
 *          not fit the certificate, expired).
 * No TLS of the kernel: it pays where files are sent or a network card encrypts. Here the bytes of
 *          messages are made by this process and AES-256-GCM takes 0.3 ns of each (`openssl speed`,
 *          8 KiB, a Xeon of two cores), 13 ns of the 1,000 that a step over TCP takes; the kernel
 *          would do the same work on the same cores.
 */
#ifndef ENGINE_NET_TLS_H
#define ENGINE_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

struct tls;         /* the certificates and rules of one side */
struct tls_session; /* of one connection */

struct tls_options {
    const char *certificate_file; /* PEM chain; a client may have none */
    const char *key_file;
    const char *ca_file;  /* whom to believe; a server asks for client certificates with one */
    bool client_required; /* server: refuse a client without a certificate */
    bool is_client;
    bool expect_any_name; /* client: do not compare the name (tests, --insecure) */
};

/* STATUS_INVALID, STATUS_NOT_FOUND, STATUS_NO_PERMISSION with a sentence. Returns owned. */
NODISCARD enum status tls_open(const struct tls_options *options, struct tls **ret_tls,
                               struct problem *problem);
/* Reads the files again, for connections from now on; on failure the old ones stay. */
NODISCARD enum status tls_reload(struct tls *tls, struct problem *problem);
void tls_close(struct tls *tls);

/* `host`: client: the name expected in the certificate, also sent as SNI; server: NULL. */
NODISCARD enum status tls_session_open(struct tls *tls, const char *host,
                                       struct tls_session **ret_session);
void tls_session_close(struct tls_session *session);

/* Bytes from the socket go in; all are taken. STATUS_NO_PERMISSION: the handshake failed, or the
 * peer's certificate is not believed (expired, unknown authority, wrong name); `problem` says
 * which. STATUS_IO: garbage. Then send what tls_session_output has (the alert) and cut. */
NODISCARD enum status tls_session_input(struct tls_session *session, const uint8_t *bytes,
                                        size_t count, struct problem *problem);
/* Plain bytes that have come in so far; returns how many were written to `out`. */
size_t tls_session_read(struct tls_session *session, uint8_t *out, size_t capacity);
/* Plain bytes to be sent; all are taken. Before the handshake is done they wait. */
NODISCARD enum status tls_session_write(struct tls_session *session, const uint8_t *bytes,
                                        size_t count);
/* How many bytes tls_session_output has for the socket. */
size_t tls_session_output_bytes(const struct tls_session *session);
/* Bytes for the socket; returns how many were written to `out`. */
size_t tls_session_output(struct tls_session *session, uint8_t *out, size_t capacity);
/* STATUS_OK while it lives; STATUS_END: the peer said that nothing more comes; else how it failed,
 * which may have come out in tls_session_read. `problem` as in tls_session_input. */
NODISCARD enum status tls_session_status(const struct tls_session *session,
                                         struct problem *problem);
bool tls_session_is_ready(const struct tls_session *session);
/* Says that nothing more comes (close_notify), to be fetched by tls_session_output; before the
 * handshake is done: once it is. */
void tls_session_finish(struct tls_session *session);
/* The subject of the peer's certificate, "" without one; terminated, cut. */
const char *tls_session_subject(const struct tls_session *session);

#endif
