/*
 * tls_internal: what tls.c and tls_session.c have in common.
 */
#ifndef ENGINE_NET_TLS_INTERNAL_H
#define ENGINE_NET_TLS_INTERNAL_H

#include <openssl/ssl.h>

#include "engine/net/tls.h"

/* By the certificates of now; NULL without memory. Returns owned. */
SSL *tls_new_ssl(struct tls *tls);
const struct tls_options *tls_options(const struct tls *tls);
/* OpenSSL's reason of what failed last on this thread. */
const char *tls_error_text(void);

#endif
