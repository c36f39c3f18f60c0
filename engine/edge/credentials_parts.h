/*
 * credentials_parts: the insides of credentials.h, for its own files.
 */
#ifndef ENGINE_EDGE_CREDENTIALS_PARTS_H
#define ENGINE_EDGE_CREDENTIALS_PARTS_H

#include "engine/edge/credentials.h"
#include "engine/edge/profile.h"

enum credentials_kind {
    CREDENTIALS_NOWHERE, /* nothing is set up, and IMDS is off */
    CREDENTIALS_OF_ENVIRONMENT,
    CREDENTIALS_OF_FILES,
};

struct credentials {
    struct credentials_options options;
    enum credentials_kind kind;
    char *key_id, *secret, *token; /* NULL: there are none */
    int64_t expires_ms;            /* since 1970; 0: never */
    char place[1024];
    char sentence[2048];
};

/* Puts new ones in place of the old; false: no memory. `token` may be NULL. */
bool credentials_take(struct credentials *credentials, const char *key_id, const char *secret,
                      const char *token, int64_t expires_ms);

#endif
