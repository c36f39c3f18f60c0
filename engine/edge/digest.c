#include "engine/edge/digest.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>

static pthread_once_t is_looked_up = PTHREAD_ONCE_INIT;
static EVP_MD *sha256, *md5;
static EVP_MAC_CTX *hmac; /* of SHA-256, without a key: to be copied */

static void look_up(void)
{
    char name[] = "SHA256";
    const OSSL_PARAM with_sha256[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0), OSSL_PARAM_END};
    sha256 = EVP_MD_fetch(NULL, name, NULL);
    md5 = EVP_MD_fetch(NULL, "MD5", NULL);
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    hmac = EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac);
    int done = EVP_MAC_CTX_set_params(hmac, with_sha256);
    assert(sha256 != NULL && done == 1);
}

void digest_sha256(const void *text, size_t bytes, uint8_t ret_digest[DIGEST_SHA256_BYTES])
{
    unsigned digest_bytes = 0;
    pthread_once(&is_looked_up, look_up);
    int done = EVP_Digest(text, bytes, ret_digest, &digest_bytes, sha256, NULL);
    assert(done == 1 && digest_bytes == DIGEST_SHA256_BYTES);
}

bool digest_md5(const void *text, size_t bytes, uint8_t ret_digest[DIGEST_MD5_BYTES])
{
    unsigned digest_bytes = 0;
    pthread_once(&is_looked_up, look_up);
    if (md5 == NULL)
        return false;
    int done = EVP_Digest(text, bytes, ret_digest, &digest_bytes, md5, NULL);
    assert(done == 1 && digest_bytes == DIGEST_MD5_BYTES);
    return true;
}

void digest_hmac_sha256(const void *key, size_t key_bytes, const void *text, size_t bytes,
                        uint8_t ret_digest[DIGEST_SHA256_BYTES])
{
    size_t digest_bytes = 0;
    pthread_once(&is_looked_up, look_up);
    EVP_MAC_CTX *own = EVP_MAC_CTX_dup(hmac);
    int done = EVP_MAC_init(own, key, key_bytes, NULL) == 1 &&
               EVP_MAC_update(own, text, bytes) == 1 &&
               EVP_MAC_final(own, ret_digest, &digest_bytes, DIGEST_SHA256_BYTES) == 1;
    assert(done == 1 && digest_bytes == DIGEST_SHA256_BYTES);
    EVP_MAC_CTX_free(own);
}
