#include "tests/client/certificate.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static void check(bool is_good)
{
    if (!is_good)
        abort();
}

static void add(X509 *certificate, int kind, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    check(extension != NULL && X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static X509 *sign(EVP_PKEY *key, const char *name)
{
    X509 *certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME *subject = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1,
                               0);
    X509_set_issuer_name(certificate, subject);
    add(certificate, NID_basic_constraints, "critical,CA:TRUE");
    add(certificate, NID_subject_alt_name, name);
    check(X509_sign(certificate, key, EVP_sha256()) > 0);
    return certificate;
}

void certificate_make(const char *name, const char *certificate_file, const char *key_file)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    check(key != NULL);
    X509 *certificate = sign(key, name);
    FILE *file = fopen(certificate_file, "we");
    check(file != NULL && PEM_write_X509(file, certificate) == 1 && fclose(file) == 0);
    file = fopen(key_file, "we");
    check(file != NULL && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1 &&
          fclose(file) == 0);
    X509_free(certificate);
    EVP_PKEY_free(key);
}
