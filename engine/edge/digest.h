/*
 * digest: SHA-256, MD5 and HMAC-SHA-256, by OpenSSL. Its algorithms are looked up once: by
 * EVP_sha256() and HMAC() each call would look them up by name, which takes longer than the digest
 * of a short text does.
 *
 * Threads: any. Memory: some, freed before it returns; the algorithms are kept until the process
 * ends. Want of memory for a digest ends it.
 */
#ifndef ENGINE_EDGE_DIGEST_H
#define ENGINE_EDGE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_SHA256_BYTES 32u
#define DIGEST_MD5_BYTES    16u

void digest_sha256(const void *text, size_t bytes, uint8_t ret_digest[DIGEST_SHA256_BYTES]);
/* False: this OpenSSL has none, as one that is restricted to FIPS 140. */
bool digest_md5(const void *text, size_t bytes, uint8_t ret_digest[DIGEST_MD5_BYTES]);
void digest_hmac_sha256(const void *key, size_t key_bytes, const void *text, size_t bytes,
                        uint8_t ret_digest[DIGEST_SHA256_BYTES]);

#endif
