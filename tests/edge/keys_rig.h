/*
 * keys_rig: credentials over http.h without a network, in a world without any, with shared files in
 * a directory of its own.
 */
#ifndef TESTS_EDGE_KEYS_RIG_H
#define TESTS_EDGE_KEYS_RIG_H

#include "engine/edge/credentials.h"
#include "tests/edge/canned.h"

struct keys_rig {
    struct canned_world canned;
    struct http *http;
    struct profile *profile;
    struct endpoint_book book;
    struct credentials *credentials;
    uint32_t changes;
    char directory[64];
    char config[96], keys[96], token[96];
};

int keys_rig_setup(void **state);
int keys_rig_teardown(void **state);
void keys_rig_write(const char *path, const char *text);
/* `profile`: named by the program; NULL: not. */
enum status keys_rig_try_open(struct keys_rig *rig, const char *profile, struct problem *problem);
void keys_rig_open(struct keys_rig *rig, const char *profile);
enum credentials_state keys_rig_state(struct keys_rig *rig);
/* That they are ready, and these. */
void keys_rig_assert(struct keys_rig *rig, const char *id, const char *secret, const char *token);
const struct canned_request *keys_rig_asked(const struct keys_rig *rig, uint32_t index);
/* Keys "A" + name and so on, that live for so many seconds from now on; lent until the next call.
 */
const char *keys_rig_json(const struct keys_rig *rig, const char *name, int64_t seconds);
/* The same of STS: "AR", "SR", "T&R". */
const char *keys_rig_xml(const struct keys_rig *rig, const char *action, int64_t seconds);
void keys_rig_contains(const char *text, const char *part);

#endif
