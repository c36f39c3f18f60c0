#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/credentials_parts.h"

bool credentials_take(struct credentials *credentials, const char *key_id, const char *secret,
                      const char *token, int64_t expires_ms)
{
    char *texts[3] = {strdup(key_id), strdup(secret), token != NULL ? strdup(token) : NULL};
    if (texts[0] == NULL || texts[1] == NULL || (token != NULL && texts[2] == NULL)) {
        for (int i = 0; i < 3; i++)
            free(texts[i]);
        return false;
    }
    free(credentials->key_id);
    free(credentials->secret);
    free(credentials->token);
    credentials->key_id = texts[0];
    credentials->secret = texts[1];
    credentials->token = texts[2];
    credentials->expires_ms = expires_ms;
    return true;
}

/* ---- which ones ------------------------------------------------------------------------------
 */

static enum status take_environment(struct credentials *credentials, struct problem *problem)
{
    const struct world *world = credentials->options.world;
    const char *secret = world_variable(world, "AWS_SECRET_ACCESS_KEY");
    if (secret == NULL)
        return problem_set(problem, STATUS_INVALID,
                           "AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not; set both");
    credentials->kind = CREDENTIALS_OF_ENVIRONMENT;
    snprintf(credentials->place, sizeof credentials->place, "AWS_ACCESS_KEY_ID of the environment");
    if (!credentials_take(credentials, world_variable(world, "AWS_ACCESS_KEY_ID"), secret,
                          world_variable(world, "AWS_SESSION_TOKEN"), 0))
        return problem_set(problem, STATUS_NO_MEMORY, "no memory for credentials");
    return STATUS_OK;
}

static enum status take_files(struct credentials *credentials, const struct profile *profile,
                              struct problem *problem)
{
    const char *secret = profile_value(profile, "aws_secret_access_key");
    if (secret == NULL)
        return problem_set(problem, STATUS_INVALID,
                           "%s: aws_access_key_id is set and aws_secret_access_key is not; set "
                           "both",
                           profile_place(profile));
    credentials->kind = CREDENTIALS_OF_FILES;
    snprintf(credentials->place, sizeof credentials->place, "%s", profile_place(profile));
    if (!credentials_take(credentials, profile_value(profile, "aws_access_key_id"), secret,
                          profile_value(profile, "aws_session_token"), 0))
        return problem_set(problem, STATUS_NO_MEMORY, "no memory for credentials");
    return STATUS_OK;
}

static enum status pick(struct credentials *credentials, struct problem *problem)
{
    const struct credentials_options *options = &credentials->options;
    const struct profile *profile = options->book->profile;
    if (options->profile == NULL && world_variable(options->world, "AWS_ACCESS_KEY_ID") != NULL)
        return take_environment(credentials, problem);
    if (profile_value(profile, "aws_access_key_id") != NULL)
        return take_files(credentials, profile, problem);
    credentials->kind = CREDENTIALS_NOWHERE;
    snprintf(credentials->place, sizeof credentials->place, "nowhere");
    snprintf(credentials->sentence, sizeof credentials->sentence,
             "there are no credentials for AWS: neither AWS_ACCESS_KEY_ID in the environment nor "
             "aws_access_key_id in %s; set one of them",
             profile_place(profile));
    return STATUS_OK;
}

enum status credentials_open(const struct credentials_options *options,
                             struct credentials **ret_credentials, struct problem *problem)
{
    struct credentials *credentials = calloc(1, sizeof *credentials);
    if (credentials == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "no memory for credentials");
    credentials->options = *options;
    enum status status = pick(credentials, problem);
    if (status != STATUS_OK) {
        credentials_close(credentials);
        return status;
    }
    *ret_credentials = credentials;
    return STATUS_OK;
}

void credentials_close(struct credentials *credentials)
{
    if (credentials == NULL)
        return;
    free(credentials->key_id);
    free(credentials->secret);
    free(credentials->token);
    free(credentials);
}

/* ---- what they are now -----------------------------------------------------------------------
 */

enum credentials_state credentials_get(struct credentials *credentials, struct sigv4_key *ret_key)
{
    if (credentials->key_id == NULL)
        return CREDENTIALS_NONE;
    *ret_key = (struct sigv4_key){
        .access_key_id = credentials->key_id,
        .secret = credentials->secret,
        .session_token = credentials->token,
    };
    return CREDENTIALS_READY;
}

static bool is_other(const struct credentials *credentials, const char *key_id)
{
    return credentials->key_id != NULL && strcmp(credentials->key_id, key_id) != 0;
}

/* Who changes the files does not restart the engine. */
static void read_files_again(struct credentials *credentials)
{
    struct profile *profile;
    const char *name = credentials->options.profile;
    if (profile_open(credentials->options.world, name, &profile, NULL) != STATUS_OK)
        return;
    if (profile_value(profile, "aws_access_key_id") != NULL) {
        enum status status = take_files(credentials, profile, NULL);
        (void)status; /* of a file that is half written: the old ones stay */
    }
    profile_close(profile);
}

bool credentials_refuse(struct credentials *credentials, const char *access_key_id)
{
    if (is_other(credentials, access_key_id))
        return true;
    if (credentials->kind == CREDENTIALS_OF_FILES)
        read_files_again(credentials);
    return is_other(credentials, access_key_id);
}

const char *credentials_place(const struct credentials *credentials)
{
    return credentials->place;
}

const char *credentials_sentence(const struct credentials *credentials)
{
    return credentials->sentence;
}

int64_t credentials_turn(struct credentials *credentials)
{
    (void)credentials;
    return -1;
}
