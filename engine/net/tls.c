/*
 * The certificates and rules of one side: OpenSSL's SSL_CTX, and what may be wrong with the files
 * that go into it. tls_session.c has the connections.
 */
#include "engine/net/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/net/tls_internal.h"

struct tls {
    struct tls_options options; /* with copies of the names */
    pthread_mutex_t lock;       /* over `context` */
    SSL_CTX *context;
};

/* ---- files --------------------------------------------------------------------------------------
 */

const char *tls_error_text(void)
{
    unsigned long error = ERR_peek_last_error();
    const char *text = error == 0 ? NULL : ERR_reason_error_string(error);
    return text == NULL ? "no reason is given" : text;
}

static enum status check_readable(const char *what, const char *path, struct problem *problem)
{
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        fclose(file);
        return STATUS_OK;
    }
    if (errno == ENOENT || errno == ENOTDIR)
        return problem_set(problem, STATUS_NOT_FOUND, "%s: the file of the %s does not exist", path,
                           what);
    if (errno == EACCES)
        return problem_set(problem, STATUS_NO_PERMISSION,
                           "%s: no permission to read the file of the %s", path, what);
    return problem_set(problem, STATUS_INVALID, "%s: the file of the %s cannot be read: %s", path,
                       what, strerror(errno));
}

static enum status wrong_file(const char *path, const char *what, struct problem *problem)
{
    return problem_set(problem, STATUS_INVALID, "%s: %s (%s)", path, what, tls_error_text());
}

/* A key with a passphrase must not make an engine ask at a terminal. */
static int no_passphrase(char *buffer, int bytes, int is_writing, void *context)
{
    (void)buffer, (void)bytes, (void)is_writing, (void)context;
    return 0;
}

static enum status check_dates(SSL_CTX *context, const char *path, struct problem *problem)
{
    const X509 *certificate = SSL_CTX_get0_certificate(context);
    if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
        return problem_set(problem, STATUS_INVALID,
                           "%s: the certificate has expired: renew it, or look at the clock", path);
    if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0)
        return problem_set(problem, STATUS_INVALID,
                           "%s: the certificate is not valid yet: look at the clock", path);
    return STATUS_OK;
}

static enum status load_certificate(SSL_CTX *context, const struct tls_options *options,
                                    struct problem *problem)
{
    const char *certificate = options->certificate_file, *key = options->key_file;
    enum status status = check_readable("certificate", certificate, problem);
    if (status == STATUS_OK)
        status = check_readable("key", key, problem);
    if (status != STATUS_OK)
        return status;
    if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1)
        return wrong_file(certificate, "there is no certificate in PEM in it", problem);
    if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
        bool is_other = ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH;
        return wrong_file(key,
                          is_other ? "the key does not fit the certificate"
                                   : "there is no key in PEM and without a passphrase in it",
                          problem);
    }
    if (SSL_CTX_check_private_key(context) != 1)
        return wrong_file(key, "the key does not fit the certificate", problem);
    return check_dates(context, certificate, problem);
}

static enum status load_authorities(SSL_CTX *context, const struct tls_options *options,
                                    struct problem *problem)
{
    if (options->ca_file == NULL) {
        if (options->is_client)
            SSL_CTX_set_default_verify_paths(context);
        return STATUS_OK;
    }
    enum status status = check_readable("authorities", options->ca_file, problem);
    if (status != STATUS_OK)
        return status;
    if (SSL_CTX_load_verify_locations(context, options->ca_file, NULL) != 1)
        return wrong_file(options->ca_file, "there is no certificate in PEM in it", problem);
    if (!options->is_client)
        SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(options->ca_file));
    return STATUS_OK;
}

/* ---- contexts -----------------------------------------------------------------------------------
 */

static int verify_mode(const struct tls_options *options)
{
    if (options->is_client)
        return SSL_VERIFY_PEER;
    if (options->ca_file == NULL)
        return SSL_VERIFY_NONE;
    return SSL_VERIFY_PEER | (options->client_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
}

/* Sessions are not resumed: each connection is checked against the certificates of now. */
static void set_rules(SSL_CTX *context, const struct tls_options *options)
{
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    SSL_CTX_set_verify(context, verify_mode(options), NULL);
}

static enum status check_options(const struct tls_options *options, struct problem *problem)
{
    if ((options->certificate_file == NULL) != (options->key_file == NULL))
        return problem_set(problem, STATUS_INVALID,
                           "a certificate and its key are given together, or neither of them");
    if (!options->is_client && options->certificate_file == NULL)
        return problem_set(problem, STATUS_INVALID,
                           "TLS needs a certificate and its key: name the two files");
    if (!options->is_client && options->client_required && options->ca_file == NULL)
        return problem_set(problem, STATUS_INVALID,
                           "to require certificates of clients, name the file of the authorities "
                           "that are believed");
    return STATUS_OK;
}

static enum status make_context(const struct tls_options *options, SSL_CTX **ret_context,
                                struct problem *problem)
{
    ERR_clear_error();
    SSL_CTX *context = SSL_CTX_new(options->is_client ? TLS_client_method() : TLS_server_method());
    if (context == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "OpenSSL cannot be set up: %s",
                           tls_error_text());
    set_rules(context, options);
    enum status status = load_authorities(context, options, problem);
    if (status == STATUS_OK && options->certificate_file != NULL)
        status = load_certificate(context, options, problem);
    if (status != STATUS_OK)
        SSL_CTX_free(context);
    else
        *ret_context = context;
    ERR_clear_error();
    return status;
}

/* ---- opening and closing ------------------------------------------------------------------------
 */

static bool copy_name(const char **name)
{
    if (*name == NULL)
        return true;
    *name = strdup(*name);
    return *name != NULL;
}

static void free_tls(struct tls *tls)
{
    free((char *)(uintptr_t)tls->options.certificate_file);
    free((char *)(uintptr_t)tls->options.key_file);
    free((char *)(uintptr_t)tls->options.ca_file);
    SSL_CTX_free(tls->context);
    pthread_mutex_destroy(&tls->lock);
    free(tls);
}

static struct tls *new_tls(const struct tls_options *options)
{
    struct tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL)
        return NULL;
    tls->options = *options;
    pthread_mutex_init(&tls->lock, NULL);
    bool copied = copy_name(&tls->options.certificate_file);
    copied &= copy_name(&tls->options.key_file);
    copied &= copy_name(&tls->options.ca_file);
    if (copied)
        return tls;
    free_tls(tls);
    return NULL;
}

enum status tls_open(const struct tls_options *options, struct tls **ret_tls,
                     struct problem *problem)
{
    enum status status = check_options(options, problem);
    if (status != STATUS_OK)
        return status;
    struct tls *tls = new_tls(options);
    if (tls == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "no memory for TLS");
    status = make_context(&tls->options, &tls->context, problem);
    if (status != STATUS_OK)
        free_tls(tls);
    else
        *ret_tls = tls;
    return status;
}

enum status tls_reload(struct tls *tls, struct problem *problem)
{
    SSL_CTX *context;
    enum status status = make_context(&tls->options, &context, problem);
    if (status != STATUS_OK)
        return status;
    pthread_mutex_lock(&tls->lock);
    SSL_CTX *before = tls->context;
    tls->context = context;
    pthread_mutex_unlock(&tls->lock);
    SSL_CTX_free(before);
    return STATUS_OK;
}

void tls_close(struct tls *tls)
{
    if (tls != NULL)
        free_tls(tls);
}

SSL *tls_new_ssl(struct tls *tls)
{
    pthread_mutex_lock(&tls->lock);
    SSL *ssl = SSL_new(tls->context);
    pthread_mutex_unlock(&tls->lock);
    return ssl;
}

const struct tls_options *tls_options(const struct tls *tls)
{
    return &tls->options;
}
