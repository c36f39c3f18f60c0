/*
 * Digests against the published ones: FIPS 180-2 (SHA-256 of "abc"), RFC 1321 (MD5 of "abc"), RFC
 * 4231 (HMAC-SHA-256, cases 1, 2 and 6).
 */
#include "engine/edge/digest.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/hex.h"

static const char of_abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

static void expect_hex(const uint8_t *digest, size_t bytes, const char *expected)
{
    char hex[2 * DIGEST_SHA256_BYTES + 1];
    hex[hex_write(digest, bytes, hex)] = '\0';
    assert_string_equal(hex, expected);
}

static void expect_hmac(const void *key, size_t key_bytes, const char *text, const char *expected)
{
    uint8_t digest[DIGEST_SHA256_BYTES];
    digest_hmac_sha256(key, key_bytes, text, strlen(text), digest);
    expect_hex(digest, sizeof digest, expected);
}

static void digests_are_the_published_ones(void **state)
{
    (void)state;
    uint8_t sha256[DIGEST_SHA256_BYTES], md5[DIGEST_MD5_BYTES];
    digest_sha256("abc", 3, sha256);
    expect_hex(sha256, sizeof sha256, of_abc);
    digest_sha256("", 0, sha256);
    expect_hex(sha256, sizeof sha256,
               "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    if (digest_md5("abc", 3, md5))
        expect_hex(md5, sizeof md5, "900150983cd24fb0d6963f7d28e17f72");
}

/* With a key that is shorter, and one that is longer than the hash's block, in turns: no key is
 * left from the one before. */
static void hmacs_are_the_published_ones(void **state)
{
    (void)state;
    uint8_t first[20], sixth[131];
    memset(first, 0x0b, sizeof first);
    memset(sixth, 0xaa, sizeof sixth);
    for (int i = 0; i < 2; i++) {
        expect_hmac(first, sizeof first, "Hi There",
                    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
        expect_hmac("Jefe", 4, "what do ya want for nothing?",
                    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        expect_hmac(sixth, sizeof sixth, "Test Using Larger Than Block-Size Key - Hash Key First",
                    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    }
}

static void *digest_many(void *argument)
{
    uint8_t digest[DIGEST_SHA256_BYTES];
    for (int i = 0; i < 1000; i++) {
        digest_sha256("abc", 3, digest);
        digest_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, digest);
    }
    digest_sha256("abc", 3, argument);
    return NULL;
}

static void threads_do_not_disturb_each_other(void **state)
{
    (void)state;
    pthread_t threads[2];
    uint8_t digests[2][DIGEST_SHA256_BYTES];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, digest_many, digests[i]), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        expect_hex(digests[i], DIGEST_SHA256_BYTES, of_abc);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_the_published_ones),
        cmocka_unit_test(hmacs_are_the_published_ones),
        cmocka_unit_test(threads_do_not_disturb_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
