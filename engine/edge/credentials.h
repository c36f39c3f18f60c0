/*
 * credentials: an access key for AWS, found as AWS's tools find one, and renewed before it expires.
 *
 *     the environment         AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *     a web identity          AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN ─► STS
 *     the shared files        profile: keys; role_arn with source_profile, credential_source or
 *                             web_identity_token_file ─► STS
 *     the container           AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, …_FULL_URI
 *     the instance            IMDSv2, unless AWS_EC2_METADATA_DISABLED=true
 *
 * The first one that is set up is the one; that it fails is said, and not passed over. Where a
 * profile is named by the program, the environment's two are left out.
 *
 * Five minutes before they expire new ones are fetched, with the old ones used meanwhile, and asked
 * for again until there are some. credential_process, SSO and MFA are refused by name.
 *
 * Threads: the edge thread, but for credentials_open. Memory: one answer of 64 KiB at the most.
 * Source:  "Standardized credential providers", AWS SDKs and Tools Reference Guide.
 */
#ifndef ENGINE_EDGE_CREDENTIALS_H
#define ENGINE_EDGE_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/edge/endpoint.h"
#include "engine/edge/http.h"
#include "engine/edge/sigv4.h"

struct credentials;

enum credentials_state {
    CREDENTIALS_READY,
    CREDENTIALS_COMING, /* they are being fetched: on_change is called when that ends */
    CREDENTIALS_NONE,   /* and why, by credentials_sentence; asked again later it may be better */
};

/* All borrowed while they are open. */
struct credentials_options {
    const struct world *world;
    struct http *http;
    const struct endpoint_book *book; /* where STS is */
    const char *profile;              /* named by the program; NULL: not */
    void (*on_change)(void *context); /* never from within credentials_get and _open */
    void *context;
};

/* Asks nothing of the network. STATUS_INVALID, STATUS_NOT_FOUND: what is set up cannot be. */
NODISCARD enum status credentials_open(const struct credentials_options *options,
                                       struct credentials **ret_credentials,
                                       struct problem *problem);
/* Accepts NULL. Before or after http_close. */
void credentials_close(struct credentials *credentials);

/* `ret_key` is lent until the next call of any of these functions. */
enum credentials_state credentials_get(struct credentials *credentials, struct sigv4_key *ret_key);
/* A service does not take this key. True: others are there or being fetched, get them. */
bool credentials_refuse(struct credentials *credentials, const char *access_key_id);
/* "AWS_ACCESS_KEY_ID of the environment". */
const char *credentials_place(const struct credentials *credentials);
/* Of CREDENTIALS_NONE: where was looked, and what to do. */
const char *credentials_sentence(const struct credentials *credentials);
/* In how many ms again, -1: never. */
int64_t credentials_turn(struct credentials *credentials);

#endif
