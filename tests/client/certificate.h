/* certificate: a certificate that is its own authority, for tests of TLS. */
#ifndef TESTS_CLIENT_CERTIFICATE_H
#define TESTS_CLIENT_CERTIFICATE_H

/* Writes certificate and key, PEM; `name` is "IP:127.0.0.1" or "DNS:elsewhere.test". */
void certificate_make(const char *name, const char *certificate_file, const char *key_file);

#endif
