#include "tests/certificates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DAY_S 86400L

void certificates_make_folder(char ret_folder[64])
{
    strcpy(ret_folder, "/tmp/flyover-tls-XXXXXX");
    assert_non_null(mkdtemp(ret_folder));
}

void certificates_remove(const char *folder)
{
    char path[512];
    struct dirent *entry;
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    while ((entry = readdir(directory)) != NULL) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        unlink(path);
    }
    closedir(directory);
    assert_int_equal(rmdir(folder), 0);
}

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static void fill(X509 *certificate, const char *name, int days)
{
    static long serial = 1;
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -100 * DAY_S);
    X509_gmtime_adj(X509_getm_notAfter(certificate), days * DAY_S);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
}

static void write_files(struct identity *identity, const char *folder, const char *file)
{
    snprintf(identity->certificate_file, sizeof identity->certificate_file, "%s/%s.pem", folder,
             file);
    snprintf(identity->key_file, sizeof identity->key_file, "%s/%s.key", folder, file);
    FILE *out = fopen(identity->certificate_file, "we");
    assert_non_null(out);
    assert_int_equal(PEM_write_X509(out, identity->certificate), 1);
    fclose(out);
    out = fopen(identity->key_file, "we");
    assert_non_null(out);
    assert_int_equal(PEM_write_PrivateKey(out, identity->key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(out);
}

struct identity certificates_make(const char *folder, const char *file, const char *name, int days,
                                  const struct identity *authority)
{
    struct identity identity = {.key = EVP_EC_gen("P-256"), .certificate = X509_new()};
    assert_non_null(identity.key);
    assert_non_null(identity.certificate);
    X509 *certificate = identity.certificate;
    X509 *issuer = authority == NULL ? certificate : authority->certificate;
    fill(certificate, name, days);
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
    X509_set_pubkey(certificate, identity.key);
    char names[256];
    snprintf(names, sizeof names, "DNS:%s%s", name,
             strcmp(name, "127.0.0.1") == 0 ? ",IP:127.0.0.1" : "");
    if (authority == NULL)
        add_extension(certificate, issuer, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(certificate, issuer, NID_subject_alt_name, names);
    EVP_PKEY *signer = authority == NULL ? identity.key : authority->key;
    assert_true(X509_sign(certificate, signer, EVP_sha256()) > 0);
    write_files(&identity, folder, file);
    return identity;
}

void certificates_free(struct identity *identity)
{
    EVP_PKEY_free(identity->key);
    X509_free(identity->certificate);
}
