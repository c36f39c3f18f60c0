/*
 * One connection's TLS. OpenSSL reads from one memory BIO what the socket brought, and writes into
 * another what the socket is to take.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "engine/net/tls_internal.h"

#define SUBJECT_BYTES 256u
/* A BIO that held more than this is replaced once it is empty: OpenSSL's grow and never shrink. */
#define BIO_BYTES_KEPT 4096u

struct tls_session {
    SSL *ssl;
    BIO *in, *out; /* the SSL's */
    BIO *early;    /* plain bytes that wait for the handshake; NULL: none */
    size_t in_bytes_max, out_bytes_max;
    bool finishing;         /* once the handshake is done */
    struct problem problem; /* its status: how it failed, or END */
    char subject[SUBJECT_BYTES];
};

/* ---- what went wrong ----------------------------------------------------------------------------
 */

static enum status distrusted(struct tls_session *session, long result)
{
    const char *reason = X509_verify_cert_error_string(result);
    struct problem *problem = &session->problem;
    switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return problem_set(problem, STATUS_NO_PERMISSION,
                           "the peer's certificate has expired: renew it, or look at the clock");
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return problem_set(problem, STATUS_NO_PERMISSION,
                           "the peer's certificate is for another name (%s): connect by the name "
                           "that is in it",
                           reason);
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        return problem_set(problem, STATUS_NO_PERMISSION,
                           "the peer's certificate is from an unknown authority (%s): name the "
                           "file of the authority",
                           reason);
    default:
        return problem_set(problem, STATUS_NO_PERMISSION,
                           "the peer's certificate is not believed: %s", reason);
    }
}

static bool is_garbage(int reason)
{
    switch (reason) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_UNKNOWN_PROTOCOL:
    case SSL_R_BAD_RECORD_TYPE:
    case SSL_R_UNEXPECTED_MESSAGE:
    case SSL_R_RECORD_LENGTH_MISMATCH:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_ENCRYPTED_LENGTH_TOO_LONG:
    case SSL_R_LENGTH_MISMATCH:
    case SSL_R_BAD_LENGTH:
    case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC: return true;
    default: return false;
    }
}

static enum status fail(struct tls_session *session)
{
    int reason = ERR_GET_REASON(ERR_peek_last_error());
    long result = SSL_get_verify_result(session->ssl);
    struct problem *problem = &session->problem;
    if (result != X509_V_OK)
        return distrusted(session, result);
    if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
        return problem_set(problem, STATUS_NO_PERMISSION,
                           "the peer has shown no certificate, and one is required");
    if (reason > SSL_AD_REASON_OFFSET)
        return problem_set(problem, STATUS_NO_PERMISSION, "the peer has ended TLS: %s",
                           tls_error_text());
    if (is_garbage(reason))
        return problem_set(problem, STATUS_IO, "what the peer sends is not TLS: %s",
                           tls_error_text());
    return problem_set(problem,
                       SSL_is_init_finished(session->ssl) ? STATUS_IO : STATUS_NO_PERMISSION,
                       "TLS has failed: %s", tls_error_text());
}

/* The result of an OpenSSL call that has not done its work. */
static enum status look_at(struct tls_session *session, int result)
{
    switch (SSL_get_error(session->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
    case SSL_ERROR_NONE: return STATUS_OK;
    case SSL_ERROR_ZERO_RETURN:
        return problem_set(&session->problem, STATUS_END, "the peer sends nothing more");
    default: return fail(session);
    }
}

enum status tls_session_status(const struct tls_session *session, struct problem *problem)
{
    if (session->problem.status != STATUS_OK && problem != NULL)
        *problem = session->problem;
    return session->problem.status;
}

/* ---- opening and closing ------------------------------------------------------------------------
 */

static bool is_ip(const char *host)
{
    uint8_t address[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

/* A name is also told to the peer, an address is not (RFC 6066, 3). */
static bool expect_host(struct tls_session *session, const char *host, bool any_name)
{
    bool has_ip = is_ip(host);
    if (!has_ip && SSL_set_tlsext_host_name(session->ssl, host) != 1)
        return false;
    if (any_name)
        return true;
    return has_ip ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session->ssl), host) == 1
                  : SSL_set1_host(session->ssl, host) == 1;
}

static BIO *new_bio(void)
{
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio != NULL)
        BIO_set_mem_eof_return(bio, -1);
    return bio;
}

static bool open_bios(struct tls_session *session)
{
    session->in = new_bio();
    session->out = new_bio();
    if (session->in == NULL || session->out == NULL) {
        BIO_free(session->in);
        BIO_free(session->out);
        return false;
    }
    SSL_set_bio(session->ssl, session->in, session->out);
    return true;
}

static enum status shake_hands(struct tls_session *session);

static enum status begin(struct tls_session *session, struct tls *tls, const char *host)
{
    const struct tls_options *options = tls_options(tls);
    session->ssl = tls_new_ssl(tls);
    if (session->ssl == NULL || !open_bios(session))
        return STATUS_NO_MEMORY;
    if (!options->is_client) {
        SSL_set_accept_state(session->ssl);
        return STATUS_OK;
    }
    assert(host != NULL || options->expect_any_name);
    if (host != NULL && !expect_host(session, host, options->expect_any_name))
        return STATUS_INVALID;
    SSL_set_connect_state(session->ssl);
    return shake_hands(session);
}

enum status tls_session_open(struct tls *tls, const char *host, struct tls_session **ret_session)
{
    struct tls_session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return STATUS_NO_MEMORY;
    ERR_clear_error();
    enum status status = begin(session, tls, host);
    if (status != STATUS_OK)
        tls_session_close(session);
    else
        *ret_session = session;
    return status;
}

void tls_session_close(struct tls_session *session)
{
    if (session == NULL)
        return;
    SSL_free(session->ssl);
    BIO_free(session->early);
    ERR_clear_error();
    free(session);
}

/* ---- the handshake ------------------------------------------------------------------------------
 */

static void note_subject(struct tls_session *session)
{
    X509 *certificate = SSL_get1_peer_certificate(session->ssl);
    BIO *text = certificate == NULL ? NULL : BIO_new(BIO_s_mem());
    if (text != NULL) {
        X509_NAME_print_ex(text, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
        int bytes = BIO_read(text, session->subject, SUBJECT_BYTES - 1);
        session->subject[bytes > 0 ? bytes : 0] = '\0';
    }
    BIO_free(text);
    X509_free(certificate);
}

static enum status encrypt(struct tls_session *session, const uint8_t *bytes, size_t count)
{
    size_t written = 0;
    if (count == 0)
        return STATUS_OK;
    int result = SSL_write_ex(session->ssl, bytes, count, &written);
    if (result != 1)
        return look_at(session, result);
    assert(written == count);
    return STATUS_OK;
}

static enum status send_early(struct tls_session *session)
{
    if (session->early == NULL)
        return STATUS_OK;
    char *bytes = NULL;
    long count = BIO_get_mem_data(session->early, &bytes);
    enum status status = encrypt(session, (const uint8_t *)bytes, (size_t)count);
    BIO_free(session->early);
    session->early = NULL;
    return status;
}

static enum status shake_hands(struct tls_session *session)
{
    int result = SSL_do_handshake(session->ssl);
    if (result != 1)
        return look_at(session, result);
    note_subject(session);
    enum status status = send_early(session);
    if (status == STATUS_OK && session->finishing)
        tls_session_finish(session);
    return status;
}

bool tls_session_is_ready(const struct tls_session *session)
{
    return SSL_is_init_finished(session->ssl) != 0;
}

const char *tls_session_subject(const struct tls_session *session)
{
    return session->subject;
}

/* ---- bytes --------------------------------------------------------------------------------------
 */

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* An idle session keeps no buffer that a busy one needed. */
static void shrink_in(struct tls_session *session)
{
    if (session->in_bytes_max <= BIO_BYTES_KEPT || BIO_ctrl_pending(session->in) > 0)
        return;
    BIO *fresh = new_bio();
    if (fresh == NULL)
        return;
    SSL_set0_rbio(session->ssl, fresh);
    session->in = fresh;
    session->in_bytes_max = 0;
}

static void shrink_out(struct tls_session *session)
{
    if (session->out_bytes_max <= BIO_BYTES_KEPT || BIO_ctrl_pending(session->out) > 0 ||
        !tls_session_is_ready(session))
        return;
    BIO *fresh = new_bio();
    if (fresh == NULL)
        return;
    SSL_set0_wbio(session->ssl, fresh);
    session->out = fresh;
    session->out_bytes_max = 0;
}

enum status tls_session_input(struct tls_session *session, const uint8_t *bytes, size_t count,
                              struct problem *problem)
{
    assert(count <= INT_MAX);
    if (session->problem.status != STATUS_OK)
        return tls_session_status(session, problem);
    ERR_clear_error();
    if (count > 0 && BIO_write(session->in, bytes, (int)count) != (int)count)
        return problem_set(problem, STATUS_NO_MEMORY, "no memory for TLS");
    session->in_bytes_max = larger(session->in_bytes_max, BIO_ctrl_pending(session->in));
    if (!tls_session_is_ready(session))
        shake_hands(session);
    return tls_session_status(session, problem);
}

size_t tls_session_read(struct tls_session *session, uint8_t *out, size_t capacity)
{
    size_t total = 0, count;
    if (session->problem.status != STATUS_OK || !tls_session_is_ready(session))
        return 0;
    ERR_clear_error();
    while (total < capacity) {
        int result = SSL_read_ex(session->ssl, out + total, capacity - total, &count);
        if (result != 1) {
            look_at(session, result);
            break;
        }
        total += count;
    }
    shrink_in(session);
    return total;
}

static enum status keep_early(struct tls_session *session, const uint8_t *bytes, size_t count)
{
    if (session->early == NULL)
        session->early = BIO_new(BIO_s_mem());
    if (session->early == NULL || BIO_write(session->early, bytes, (int)count) != (int)count)
        return STATUS_NO_MEMORY;
    return STATUS_OK;
}

enum status tls_session_write(struct tls_session *session, const uint8_t *bytes, size_t count)
{
    assert(count <= INT_MAX);
    if (session->problem.status != STATUS_OK && session->problem.status != STATUS_END)
        return session->problem.status;
    ERR_clear_error();
    return tls_session_is_ready(session) ? encrypt(session, bytes, count)
                                         : keep_early(session, bytes, count);
}

size_t tls_session_output_bytes(const struct tls_session *session)
{
    return BIO_ctrl_pending(session->out);
}

size_t tls_session_output(struct tls_session *session, uint8_t *out, size_t capacity)
{
    session->out_bytes_max = larger(session->out_bytes_max, BIO_ctrl_pending(session->out));
    int count = BIO_read(session->out, out, capacity < INT_MAX ? (int)capacity : INT_MAX);
    shrink_out(session);
    return count > 0 ? (size_t)count : 0;
}

void tls_session_finish(struct tls_session *session)
{
    session->finishing = true;
    if (!tls_session_is_ready(session))
        return;
    ERR_clear_error();
    SSL_shutdown(session->ssl);
    ERR_clear_error();
}
