/* Which credentials there are: the first that is set up, of those that AWS's tools look for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/edge/credentials_parts.h"
#include "engine/edge/url.h"

#define CONTAINER_HOST  "http://169.254.170.2"
#define INSTANCE_HOST   "http://169.254.169.254"
#define INSTANCE_HOST_6 "http://[fd00:ec2::254]"

static const char *variable(const struct credentials *credentials, const char *name)
{
    return world_variable(credentials->options.world, name);
}

static enum status take(struct credentials *credentials, const char *key_id, const char *secret,
                        const char *token, struct problem *problem)
{
    if (secret == NULL)
        return problem_set(problem, STATUS_INVALID,
                           "%s has an access key id and no secret access key; set both",
                           credentials->place);
    if (!credentials_take(credentials, key_id, secret, token, 0))
        return problem_set(problem, STATUS_NO_MEMORY, "no memory for credentials");
    return STATUS_OK;
}

static enum status take_environment(struct credentials *credentials, struct problem *problem)
{
    credentials->kind = CREDENTIALS_OF_ENVIRONMENT;
    snprintf(credentials->place, sizeof credentials->place, "AWS_ACCESS_KEY_ID of the environment");
    return take(credentials, variable(credentials, "AWS_ACCESS_KEY_ID"),
                variable(credentials, "AWS_SECRET_ACCESS_KEY"),
                variable(credentials, "AWS_SESSION_TOKEN"), problem);
}

enum status credentials_take_files(struct credentials *credentials, const struct profile *profile,
                                   struct problem *problem)
{
    credentials->kind = CREDENTIALS_OF_FILES;
    snprintf(credentials->place, sizeof credentials->place, "%s", profile_place(profile));
    return take(credentials, profile_value(profile, "aws_access_key_id"),
                profile_value(profile, "aws_secret_access_key"),
                profile_value(profile, "aws_session_token"), problem);
}

/* ---- roles -----------------------------------------------------------------------------------
 */

static void name_session(struct credentials *credentials, const char *name)
{
    const struct world *world = credentials->options.world;
    if (name != NULL)
        snprintf(credentials->session_name, sizeof credentials->session_name, "%s", name);
    else
        snprintf(credentials->session_name, sizeof credentials->session_name, "flyover-%lld",
                 (long long)world->wall_ms(world->context) / 1000);
}

static enum status take_web_identity(struct credentials *credentials, const char *token_file,
                                     const char *role_arn, const char *session_name,
                                     const char *from, struct problem *problem)
{
    if (role_arn == NULL)
        return problem_set(problem, STATUS_INVALID,
                           "AWS_WEB_IDENTITY_TOKEN_FILE is set and AWS_ROLE_ARN is not; set both");
    credentials->kind = CREDENTIALS_OF_WEB_IDENTITY;
    credentials->token_file = token_file;
    credentials->role_arn = role_arn;
    name_session(credentials, session_name);
    snprintf(credentials->place, sizeof credentials->place, "role %s by the web identity %s (%s)",
             role_arn, token_file, from);
    return STATUS_OK;
}

static enum status bad_role(const struct credentials *credentials, const char *what,
                            struct problem *problem)
{
    return problem_set(problem, STATUS_UNSUPPORTED, "%s: %s", profile_place(credentials->profile),
                       what);
}

static enum status open_named_source(struct credentials *credentials, const char *name,
                                     struct problem *problem)
{
    if (strcmp(name, "Environment") == 0)
        return credentials_open_source(credentials, NULL, CREDENTIALS_OF_ENVIRONMENT, problem);
    if (strcmp(name, "EcsContainer") == 0)
        return credentials_open_source(credentials, NULL, CREDENTIALS_OF_CONTAINER, problem);
    if (strcmp(name, "Ec2InstanceMetadata") == 0)
        return credentials_open_source(credentials, NULL, CREDENTIALS_OF_INSTANCE, problem);
    return bad_role(credentials,
                    "credential_source is none of Environment, EcsContainer and "
                    "Ec2InstanceMetadata",
                    problem);
}

static enum status take_role(struct credentials *credentials, const char *role_arn,
                             struct problem *problem)
{
    const struct profile *profile = credentials->profile;
    const char *source = profile_value(profile, "source_profile");
    const char *named = profile_value(profile, "credential_source");
    const char *token_file = profile_value(profile, "web_identity_token_file");
    const char *session_name = profile_value(profile, "role_session_name");
    if (token_file != NULL)
        return take_web_identity(credentials, token_file, role_arn, session_name,
                                 profile_place(profile), problem);
    if (profile_value(profile, "mfa_serial") != NULL)
        return bad_role(credentials,
                        "mfa_serial needs somebody who types a code; use a role without MFA",
                        problem);
    if ((source == NULL) == (named == NULL))
        return bad_role(credentials,
                        "role_arn needs one of source_profile, credential_source and "
                        "web_identity_token_file",
                        problem);
    credentials->kind = CREDENTIALS_OF_ROLE;
    credentials->role_arn = role_arn;
    credentials->external_id = profile_value(profile, "external_id");
    name_session(credentials, session_name);
    snprintf(credentials->place, sizeof credentials->place, "role %s of %s", role_arn,
             profile_place(profile));
    if (named != NULL)
        return open_named_source(credentials, named, problem);
    return credentials_open_source(credentials, source, CREDENTIALS_NOWHERE, problem);
}

/* ---- the profile -----------------------------------------------------------------------------
 */

/* A profile that names itself as its source has keys, beside the role they are for. */
static bool is_own_source(const struct credentials *credentials)
{
    const struct profile *profile = credentials->profile;
    const char *source = profile_value(profile, "source_profile");
    return credentials->depth > 0 && source != NULL && strcmp(source, profile_name(profile)) == 0 &&
           profile_value(profile, "aws_access_key_id") != NULL;
}

static enum status refuse_profile(struct credentials *credentials, struct problem *problem)
{
    static const char *const unsupported[][2] = {
        {"credential_process", "credential_process would run a program of the configuration's"},
        {"sso_session", "SSO needs somebody who logs in"},
        {"sso_start_url", "SSO needs somebody who logs in"},
        {"login_session", "a login session needs somebody who logs in"},
    };
    for (size_t i = 0; i < sizeof unsupported / sizeof unsupported[0]; i++)
        if (profile_value(credentials->profile, unsupported[i][0]) != NULL)
            return problem_set(problem, STATUS_UNSUPPORTED,
                               "%s: %s, which is not supported; use keys, a role, a web identity, "
                               "or the container's or instance's credentials",
                               profile_place(credentials->profile), unsupported[i][1]);
    return STATUS_OK;
}

/* STATUS_END: the profile says nothing of credentials. */
static enum status pick_profile(struct credentials *credentials, struct problem *problem)
{
    const struct profile *profile = credentials->profile;
    const char *role_arn = profile_value(profile, "role_arn");
    if (role_arn != NULL && !is_own_source(credentials))
        return take_role(credentials, role_arn, problem);
    if (profile_value(profile, "aws_access_key_id") != NULL)
        return credentials_take_files(credentials, profile, problem);
    enum status status = refuse_profile(credentials, problem);
    if (status == STATUS_OK && credentials->depth > 0)
        return problem_set(problem, STATUS_INVALID,
                           "%s: has neither keys nor a role, and another profile has it as its "
                           "source_profile",
                           profile_place(profile));
    return status == STATUS_OK ? STATUS_END : status;
}

/* ---- container and instance ------------------------------------------------------------------
 */

static bool begins_with(const char *text, size_t bytes, const char *start)
{
    return bytes >= strlen(start) && strncmp(text, start, strlen(start)) == 0;
}

static bool is_host(const struct url *url, const char *host)
{
    size_t bytes = strlen(host);
    return begins_with(url->host, url->host_bytes, host) &&
           (url->host_bytes == bytes || url->host[bytes] == ':');
}

static bool is_loopback(const struct url *url)
{
    size_t digits = strspn(url->host, "0123456789.");
    bool is_number =
        digits == url->host_bytes || (digits < url->host_bytes && url->host[digits] == ':');
    return is_number && begins_with(url->host, url->host_bytes, "127.");
}

/* A token goes there: over TLS, or to this machine, or where ECS and EKS have it. */
static bool is_trusted(const char *text)
{
    static const char *const hosts[] = {"localhost", "[::1]", "169.254.170.2", "169.254.170.23",
                                        "[fd00:ec2::23]"};
    struct url url;
    if (!url_split(text, &url))
        return false;
    bool trusted = url.tls || is_loopback(&url);
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
        trusted = trusted || is_host(&url, hosts[i]);
    return trusted;
}

static enum status take_container(struct credentials *credentials, struct problem *problem)
{
    const char *relative = variable(credentials, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = variable(credentials, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    if (relative == NULL && full == NULL)
        return problem_set(problem, STATUS_INVALID,
                           "credential_source is EcsContainer, and neither "
                           "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor …_FULL_URI is set");
    int bytes =
        snprintf(credentials->url, sizeof credentials->url, "%s%s",
                 relative != NULL ? CONTAINER_HOST : "", relative != NULL ? relative : full);
    if (bytes >= (int)sizeof credentials->url || !is_trusted(credentials->url))
        return problem_set(problem, STATUS_INVALID,
                           "AWS_CONTAINER_CREDENTIALS_FULL_URI: \"%.200s\" is not of https, of "
                           "this machine, or of 169.254.170.2, 169.254.170.23 or [fd00:ec2::23]",
                           credentials->url);
    credentials->kind = CREDENTIALS_OF_CONTAINER;
    /* The path is as good as a key. */
    snprintf(credentials->place, sizeof credentials->place,
             "the container's credentials at %.*s (AWS_CONTAINER_CREDENTIALS_%s_URI)",
             (int)url_origin_bytes(credentials->url), credentials->url,
             relative != NULL ? "RELATIVE" : "FULL");
    return STATUS_OK;
}

static bool is_true(const char *value)
{
    return value != NULL && strcasecmp(value, "true") == 0;
}

static const char *instance_host(const struct credentials *credentials)
{
    const char *said = variable(credentials, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    if (said == NULL)
        said = profile_value(credentials->profile, "ec2_metadata_service_endpoint");
    if (said != NULL)
        return said;
    const char *mode = variable(credentials, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
    if (mode == NULL)
        mode = profile_value(credentials->profile, "ec2_metadata_service_endpoint_mode");
    return mode != NULL && strcasecmp(mode, "ipv6") == 0 ? INSTANCE_HOST_6 : INSTANCE_HOST;
}

static void say_nowhere(struct credentials *credentials)
{
    credentials->kind = CREDENTIALS_NOWHERE;
    snprintf(credentials->place, sizeof credentials->place, "nowhere");
    snprintf(credentials->sentence, sizeof credentials->sentence,
             "there are no credentials for AWS: AWS_ACCESS_KEY_ID, AWS_WEB_IDENTITY_TOKEN_FILE and "
             "AWS_CONTAINER_CREDENTIALS_… are not set in the environment, %s has no keys and no "
             "role, and AWS_EC2_METADATA_DISABLED is set; set one of them up",
             profile_place(credentials->profile));
}

static enum status take_instance(struct credentials *credentials, struct problem *problem)
{
    if (is_true(variable(credentials, "AWS_EC2_METADATA_DISABLED"))) {
        say_nowhere(credentials);
        return STATUS_OK;
    }
    const char *host = instance_host(credentials);
    struct url url;
    size_t bytes = strlen(host);
    while (bytes > 0 && host[bytes - 1] == '/')
        bytes--;
    char shown[URL_SHOWN_BYTES];
    url_show(host, shown);
    if (!url_split(host, &url) || bytes >= sizeof credentials->url)
        return problem_set(problem, STATUS_INVALID,
                           "AWS_EC2_METADATA_SERVICE_ENDPOINT: \"%s\" is no URL; write it as "
                           "http://HOST",
                           shown);
    credentials->kind = CREDENTIALS_OF_INSTANCE;
    snprintf(credentials->url, sizeof credentials->url, "%.*s", (int)bytes, host);
    snprintf(credentials->place, sizeof credentials->place, "the instance's metadata at %s",
             credentials->url);
    return STATUS_OK;
}

/* ---- the chain -------------------------------------------------------------------------------
 */

static enum status pick_environment(struct credentials *credentials, struct problem *problem)
{
    if (variable(credentials, "AWS_ACCESS_KEY_ID") != NULL)
        return take_environment(credentials, problem);
    const char *token_file = variable(credentials, "AWS_WEB_IDENTITY_TOKEN_FILE");
    if (token_file == NULL)
        return STATUS_END;
    return take_web_identity(credentials, token_file, variable(credentials, "AWS_ROLE_ARN"),
                             variable(credentials, "AWS_ROLE_SESSION_NAME"),
                             "AWS_WEB_IDENTITY_TOKEN_FILE", problem);
}

enum status credentials_pick(struct credentials *credentials, struct problem *problem)
{
    enum status status = STATUS_END;
    if (credentials->options.profile == NULL)
        status = pick_environment(credentials, problem);
    if (status == STATUS_END)
        status = pick_profile(credentials, problem);
    if (status != STATUS_END)
        return status;
    if (variable(credentials, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") != NULL ||
        variable(credentials, "AWS_CONTAINER_CREDENTIALS_FULL_URI") != NULL)
        return take_container(credentials, problem);
    return take_instance(credentials, problem);
}

static enum status pick_kind(struct credentials *source, enum credentials_kind kind,
                             struct problem *problem)
{
    if (kind == CREDENTIALS_OF_ENVIRONMENT && variable(source, "AWS_ACCESS_KEY_ID") == NULL)
        return problem_set(problem, STATUS_INVALID,
                           "credential_source is Environment, and AWS_ACCESS_KEY_ID is not set");
    if (kind == CREDENTIALS_OF_ENVIRONMENT)
        return take_environment(source, problem);
    if (kind == CREDENTIALS_OF_CONTAINER)
        return take_container(source, problem);
    return take_instance(source, problem);
}

static void on_source_change(void *context)
{
    struct credentials *role = context;
    if (role->fetching && role->out == NULL && role->again_ms == 0)
        credentials_fetch(role);
}

enum status credentials_open_source(struct credentials *role, const char *profile,
                                    enum credentials_kind kind, struct problem *problem)
{
    if (role->depth == CREDENTIALS_CHAIN_MAX)
        return bad_role(role, "source_profile leads on and on; more than four are taken for a ring",
                        problem);
    struct credentials *source = calloc(1, sizeof *source);
    if (source == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "no memory for credentials");
    role->source = source; /* and closed with it, whatever happens */
    source->options = role->options;
    source->options.profile = profile;
    source->options.on_change = on_source_change;
    source->options.context = role;
    source->depth = role->depth + 1;
    enum status status = profile_open(role->options.world, profile, &source->profile, problem);
    if (status != STATUS_OK)
        return status;
    return profile != NULL ? credentials_pick(source, problem) : pick_kind(source, kind, problem);
}
