/*
 * access: who may do what. A token is a secret; the engine keeps its SHA-256 only (a token is made
 * of 238 random bits, so that no slow hash is needed), and compares in constant time.
 *
 * A line of the token file, or an entry of the config:
 *
 *     shop-frontend  client                 9f86d081884c7d65...
 *     mailer         worker:email,shipping  2c26b46b68ffc68f...
 *     ada            operator               fcde2b2edba56bf4...
 *
 * The last word is the SHA-256 of the token in hexadecimal; '#' begins a comment.
 *
 * Roles: client (START, AWAIT, SUBSCRIBE, signals and answers by token, show, list, counts); worker
 * of the services named ("worker:*": any); operator (everything, with DEFINE, cancel, abort, retry,
 * skip, resolve, redrive). An operator is a client and a worker of any service too.
 *
 * Threads: read by any after it was loaded; access_reload by the engine's thread.
 * Limits:  ACCESS_TOKENS_MAX.
 */
#ifndef ENGINE_NET_ACCESS_H
#define ENGINE_NET_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/flyover_service.h"

#define ACCESS_TOKENS_MAX     1024u
#define ACCESS_HASH_BYTES     32u
#define ACCESS_NAME_BYTES_MAX 64u
#define ACCESS_SERVICES_MAX   16u
#define ACCESS_TOKEN_BYTES    44u /* "fly_", 40 more of base 62, without an end */

enum access_role { ACCESS_NONE, ACCESS_CLIENT, ACCESS_WORKER, ACCESS_OPERATOR };

struct access_grant {
    char name[ACCESS_NAME_BYTES_MAX + 1]; /* of who has the token, for logs */
    enum access_role role;
    uint32_t services_count; /* WORKER; 0: any */
    char services[ACCESS_SERVICES_MAX][FLYOVER_NAME_BYTES_MAX + 1];
};

struct access;

/* Returns owned. STATUS_INVALID names file and line; STATUS_NOT_FOUND, STATUS_NO_PERMISSION (also
 * when the file can be read by others than its owner and group). */
NODISCARD enum status access_open(const char *file, struct access **ret_access,
                                  struct problem *problem);
/* On failure what was there stays. */
NODISCARD enum status access_reload(struct access *access, struct problem *problem);
/* Accepts NULL. */
void access_close(struct access *access);

/* Looks at every token, whatever is found. NULL: none of them. Lent until a reload. */
const struct access_grant *access_find(const struct access *access, struct flyover_bytes token);
bool access_may_serve(const struct access_grant *grant, const char *service);

/* A new token, terminated, and the line for the file, without its end. `role` as in the file. */
NODISCARD enum status access_make(const char *name, const char *role,
                                  char ret_token[ACCESS_TOKEN_BYTES + 1], char *ret_line,
                                  size_t line_capacity, struct problem *problem);

#endif
