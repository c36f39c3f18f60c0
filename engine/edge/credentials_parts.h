/*
 * credentials_parts: the insides of credentials.h, for its own files.
 *
 *     credentials_pick.c    which ones there are, once
 *     credentials.c         what they are now, and when new ones are needed
 *     credentials_fetch.c   one request for them and what came of it; container and instance
 *     credentials_sts.c     roles
 */
#ifndef ENGINE_EDGE_CREDENTIALS_PARTS_H
#define ENGINE_EDGE_CREDENTIALS_PARTS_H

#include <jansson.h>

#include "engine/edge/credentials.h"
#include "engine/edge/fault.h"
#include "engine/edge/profile.h"

#define CREDENTIALS_RENEW_MS     300000 /* before they expire */
#define CREDENTIALS_ANSWER_BYTES 65536u
#define CREDENTIALS_TRIES        3u
#define CREDENTIALS_CHAIN_MAX    4u /* of roles by roles */

enum credentials_kind {
    CREDENTIALS_NOWHERE, /* nothing is set up, and IMDS is off */
    CREDENTIALS_OF_ENVIRONMENT,
    CREDENTIALS_OF_FILES,
    CREDENTIALS_OF_WEB_IDENTITY,
    CREDENTIALS_OF_ROLE,
    CREDENTIALS_OF_CONTAINER,
    CREDENTIALS_OF_INSTANCE,
};

/* A request that is out; it outlives credentials_close. */
struct credentials_fetch {
    struct credentials *credentials; /* NULL: nobody is interested any more */
    void (*on_answer)(struct credentials *credentials, const struct http_answer *answer);
};

struct credentials {
    struct credentials_options options;
    struct profile *profile;
    uint32_t depth; /* roles above it */
    enum credentials_kind kind;
    char *key_id, *secret, *token; /* NULL: there are none */
    int64_t expires_ms;            /* monotonic; 0: never */
    int64_t taken_ms;
    /* How new ones come. */
    bool fetching;     /* until there are some, or a failure is final */
    bool beginning;    /* on_change is not called from within */
    uint32_t tries;    /* of this fetch */
    int64_t again_ms;  /* the next try of it, or of a new one; 0: at once */
    uint32_t failures; /* fetches without success, one after another */
    struct credentials_fetch *out;
    struct credentials *source;                      /* of a role; NULL: none */
    const char *role_arn, *external_id, *token_file; /* lent by the world or the profile */
    char session_name[65];
    int64_t skew_ms;                  /* the clock of STS is that much ahead */
    char url[ENDPOINT_URL_BYTES + 2]; /* of STS, the container or the instance */
    char instance_token[512], instance_role[256];
    char place[1024];
    char sentence[2048];
};

/* credentials_pick.c */
NODISCARD enum status credentials_pick(struct credentials *credentials, struct problem *problem);
NODISCARD enum status credentials_take_files(struct credentials *credentials,
                                             const struct profile *profile,
                                             struct problem *problem);
/* Opens those that a role is assumed with: of a profile, or of this kind. */
NODISCARD enum status credentials_open_source(struct credentials *role, const char *profile,
                                              enum credentials_kind kind, struct problem *problem);

/* credentials.c */
/* Puts new ones in place of the old; false: no memory. `token` may be NULL. */
bool credentials_take(struct credentials *credentials, const char *key_id, const char *secret,
                      const char *token, int64_t expires_ms);
/* A fetch ended with these; `answer` for its Date. `expiration` is ISO 8601 or NULL: never. */
void credentials_got(struct credentials *credentials, const struct http_answer *answer,
                     const char *key_id, const char *secret, const char *token,
                     const char *expiration);
/* A try of a fetch failed; it may be tried again, if that may help. */
__attribute__((format(printf, 3, 4))) void
credentials_failed(struct credentials *credentials, bool may_help, const char *format, ...);

/* credentials_fetch.c */
/* Begins a try. */
void credentials_fetch(struct credentials *credentials);
void credentials_ask(struct credentials *credentials, const struct http_request *request,
                     void (*on_answer)(struct credentials *credentials,
                                       const struct http_answer *answer));
/* Why an answer brings none, for a sentence. */
enum fault_kind credentials_reason(const struct http_answer *answer, char *ret_reason, size_t room);
/* Asked again the same may be answered better. */
bool credentials_may_help(enum fault_kind kind);
/* Reads a small file into `text` without the white space around it; false: errno says why. */
bool credentials_read_file(const char *path, char *ret_text, size_t room);

/* credentials_sts.c */
void credentials_fetch_web_identity(struct credentials *credentials);
void credentials_fetch_role(struct credentials *credentials);

#endif
