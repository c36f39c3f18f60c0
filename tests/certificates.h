/*
 * certificates: made for tests with OpenSSL's API, as PEM files in a folder.
 */
#ifndef TESTS_CERTIFICATES_H
#define TESTS_CERTIFICATES_H

#include <openssl/x509.h>

struct identity {
    EVP_PKEY *key;
    X509 *certificate;
    char certificate_file[256], key_file[256];
};

/* A folder under /tmp for one test binary; removed with all its files by certificates_remove. */
void certificates_make_folder(char ret_folder[64]);
void certificates_remove(const char *folder);

/* Of `name` (CN and DNS name; "127.0.0.1" is an IP address in it too), valid for so many days from
 * now (negative: until then), by `authority` (NULL: itself, an authority that may stand for itself
 * too). */
struct identity certificates_make(const char *folder, const char *file, const char *name, int days,
                                  const struct identity *authority);
void certificates_free(struct identity *identity);

#endif
