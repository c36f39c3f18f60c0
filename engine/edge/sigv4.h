/*
 * sigv4: AWS's Signature Version 4 of one request, in its Authorization header.
 *
 *     canonical request ─SHA-256─► string to sign ─HMAC─► signature
 *     secret ─HMAC─► day ─HMAC─► region ─HMAC─► service ─HMAC─► signing key, kept in a cache
 *
 * The path is brought into its normal form ("//", "/./" and "/../" go away) and encoded once more
 * than it is on the wire, as every service but S3 has it.
 *
 * Signed are the host, X-Amz-Date, X-Amz-Security-Token where the key has one, and all headers
 * given but those that proxies change on the way (User-Agent, Connection, traceparent …).
 *
 * Threads: pure functions; a cache has one owner. Memory: some, freed before it returns.
 * Source:  "Create a signed AWS API request", IAM User Guide; its published example requests.
 */
#ifndef ENGINE_EDGE_SIGV4_H
#define ENGINE_EDGE_SIGV4_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

#define SIGV4_HEADERS_MAX         64u
#define SIGV4_DATE_BYTES          17u /* "20150830T123600Z" */
#define SIGV4_AUTHORIZATION_BYTES 2048u
#define SIGV4_SCOPE_BYTES         160u /* "20150830/us-east-1/iam/aws4_request" */
#define SIGV4_SECRET_BYTES        256u

struct sigv4_key {
    const char *access_key_id;
    const char *secret;
    const char *session_token; /* NULL or "": none */
};

struct sigv4_request {
    const char *method;
    const char *host; /* as the Host header says it */
    const char *path; /* as on the wire; "" is "/" */
    size_t path_bytes;
    const char *query; /* as on the wire, without '?' */
    size_t query_bytes;
    const char *service, *region;
    const char *const *headers; /* "Name: value"; without Host and those that are made here */
    uint32_t headers_count;
    const void *body;
    size_t body_bytes;
    int64_t now_s; /* since 1970 */
};

/* The signing key of a day, a region and a service; all zeroes at first. */
struct sigv4_cache {
    char scope[SIGV4_SCOPE_BYTES];
    char secret[SIGV4_SECRET_BYTES];
    uint8_t key[32];
};

struct sigv4_signed {
    char date[SIGV4_DATE_BYTES];                   /* of X-Amz-Date */
    char authorization[SIGV4_AUTHORIZATION_BYTES]; /* of Authorization */
};

/* X-Amz-Security-Token is the caller's to send, as the key has it. STATUS_INVALID: a header without
 * a colon; STATUS_TOO_LARGE: more or longer headers, names or keys than there is room for;
 * STATUS_NO_MEMORY. */
NODISCARD enum status sigv4_sign(const struct sigv4_key *key, const struct sigv4_request *request,
                                 struct sigv4_cache *cache, struct sigv4_signed *ret_signed,
                                 struct problem *problem);

#endif
