/*
 * profile: the shared config and credentials files of AWS's tools, and one profile of them.
 *
 *     ~/.aws/config (AWS_CONFIG_FILE)                  ~/.aws/credentials
 *     [profile shop]         [services local]          (AWS_SHARED_CREDENTIALS_FILE)
 *     region = eu-central-1  sqs =                     [shop]
 *     services = local         endpoint_url = http://… aws_access_key_id = …
 *
 * What both say, the credentials file says.
 *
 * Threads: one owner. Memory: both files' contents, PROFILE_FILE_BYTES_MAX each.
 * Source:  "Shared config and credentials files", AWS SDKs and Tools Reference Guide.
 */
#ifndef ENGINE_EDGE_PROFILE_H
#define ENGINE_EDGE_PROFILE_H

#include "engine/base/status.h"
#include "engine/edge/world.h"

#define PROFILE_FILE_BYTES_MAX (1u << 20)

struct profile;

/* Profile `name`; NULL: AWS_PROFILE, AWS_DEFAULT_PROFILE or "default". Files that are not there are
 * empty. STATUS_NOT_FOUND: a profile was named and is in neither file; STATUS_NO_PERMISSION,
 * STATUS_IO, STATUS_TOO_LARGE, STATUS_INVALID (with file:line). */
NODISCARD enum status profile_open(const struct world *world, const char *name,
                                   struct profile **ret_profile, struct problem *problem);
/* Accepts NULL. */
void profile_close(struct profile *profile);

/* Lent until profile_close. */
const char *profile_name(const struct profile *profile);
/* "profile shop of /home/me/.aws/config and /home/me/.aws/credentials". */
const char *profile_place(const struct profile *profile);
/* NULL: the profile does not say it. */
const char *profile_value(const struct profile *profile, const char *key);
/* endpoint_url of `service` in the section of services that the profile names. */
const char *profile_service_url(const struct profile *profile, const char *service);

#endif
