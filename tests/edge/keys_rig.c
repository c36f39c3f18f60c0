#include "tests/edge/keys_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static void on_change(void *context)
{
    ((struct keys_rig *)context)->changes++;
}

int keys_rig_setup(void **state)
{
    struct keys_rig *rig = calloc(1, sizeof *rig);
    snprintf(rig->directory, sizeof rig->directory, "/tmp/flyover-aws-XXXXXX");
    assert_non_null(mkdtemp(rig->directory));
    snprintf(rig->config, sizeof rig->config, "%s/config", rig->directory);
    snprintf(rig->keys, sizeof rig->keys, "%s/credentials", rig->directory);
    snprintf(rig->token, sizeof rig->token, "%s/token", rig->directory);
    canned_world_init(&rig->canned);
    canned_set(&rig->canned, "AWS_CONFIG_FILE", rig->config);
    canned_set(&rig->canned, "AWS_SHARED_CREDENTIALS_FILE", rig->keys);
    canned_set(&rig->canned, "AWS_REGION", "eu-west-1");
    rig->http = canned_http();
    *state = rig;
    return 0;
}

int keys_rig_teardown(void **state)
{
    struct keys_rig *rig = *state;
    credentials_close(rig->credentials);
    profile_close(rig->profile);
    canned_http_free(rig->http);
    unlink(rig->config);
    unlink(rig->keys);
    unlink(rig->token);
    rmdir(rig->directory);
    free(rig);
    return 0;
}

void keys_rig_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

enum status keys_rig_try_open(struct keys_rig *rig, const char *profile, struct problem *problem)
{
    enum status status = profile_open(&rig->canned.world, profile, &rig->profile, problem);
    if (status != STATUS_OK)
        return status;
    rig->book = (struct endpoint_book){.world = &rig->canned.world, .profile = rig->profile};
    struct credentials_options options = {
        .world = &rig->canned.world,
        .http = rig->http,
        .book = &rig->book,
        .profile = profile,
        .on_change = on_change,
        .context = rig,
    };
    return credentials_open(&options, &rig->credentials, problem);
}

void keys_rig_open(struct keys_rig *rig, const char *profile)
{
    struct problem problem;
    if (keys_rig_try_open(rig, profile, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
}

enum credentials_state keys_rig_state(struct keys_rig *rig)
{
    struct sigv4_key key;
    return credentials_get(rig->credentials, &key);
}

void keys_rig_assert(struct keys_rig *rig, const char *id, const char *secret, const char *token)
{
    struct sigv4_key key;
    assert_int_equal(credentials_get(rig->credentials, &key), CREDENTIALS_READY);
    assert_string_equal(key.access_key_id, id);
    assert_string_equal(key.secret, secret);
    assert_string_equal(key.session_token != NULL ? key.session_token : "", token);
}

void keys_rig_contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

const struct canned_request *keys_rig_asked(const struct keys_rig *rig, uint32_t index)
{
    assert_true(index < rig->http->count);
    return &rig->http->requests[index];
}

/* Keys that live for so many seconds from now on. */
const char *keys_rig_json(const struct keys_rig *rig, const char *name, int64_t seconds)
{
    static char text[512];
    char date[32];
    time_t at = (time_t)(rig->canned.wall_ms / 1000 + seconds);
    struct tm tm;
    gmtime_r(&at, &tm);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &tm);
    snprintf(text, sizeof text,
             "{\"Code\":\"Success\",\"AccessKeyId\":\"A%s\",\"SecretAccessKey\":\"S%s\","
             "\"Token\":\"T%s\",\"Expiration\":\"%s\"}",
             name, name, name, date);
    return text;
}

const char *keys_rig_xml(const struct keys_rig *rig, const char *action, int64_t seconds)
{
    static char text[1024];
    char date[32];
    time_t at = (time_t)(rig->canned.wall_ms / 1000 + seconds);
    struct tm tm;
    gmtime_r(&at, &tm);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &tm);
    snprintf(text, sizeof text,
             "<%sResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><%sResult>"
             "<AssumedRoleUser><Arn>a</Arn></AssumedRoleUser><Credentials>"
             "<AccessKeyId>AR</AccessKeyId><SecretAccessKey>SR</SecretAccessKey>"
             "<SessionToken>T&amp;R</SessionToken><Expiration>%s</Expiration>"
             "</Credentials></%sResult></%sResponse>",
             action, action, date, action, action);
    return text;
}
