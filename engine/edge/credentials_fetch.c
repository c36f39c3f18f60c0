/*
 * One request for credentials after another.
 *
 *     container: GET url ─► keys
 *     instance:  PUT /latest/api/token ─► GET …/security-credentials/ ─► GET …/ROLE ─► keys
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/credentials_parts.h"
#include "engine/edge/fault.h"

#define INSTANCE_TIMEOUT_MS  1000u
#define CONTAINER_TIMEOUT_MS 2000u
#define INSTANCE_ROLES       "/latest/meta-data/iam/security-credentials/"
#define TOKEN_BYTES          4096u

/* ---- requests --------------------------------------------------------------------------------
 */

static void on_end(void *context, const struct http_answer *answer)
{
    struct credentials_fetch *fetch = context;
    struct credentials *credentials = fetch->credentials;
    void (*on_answer)(struct credentials *, const struct http_answer *) = fetch->on_answer;
    free(fetch);
    if (credentials == NULL)
        return;
    credentials->out = NULL;
    if (answer->end != HTTP_CANCELLED)
        on_answer(credentials, answer);
}

void credentials_ask(struct credentials *credentials, const struct http_request *request,
                     void (*on_answer)(struct credentials *credentials,
                                       const struct http_answer *answer))
{
    assert(credentials->out == NULL);
    struct credentials_fetch *fetch = calloc(1, sizeof *fetch);
    if (fetch == NULL) {
        credentials_failed(credentials, true, "no memory to ask for credentials");
        return;
    }
    *fetch = (struct credentials_fetch){credentials, on_answer};
    struct http_request copy = *request;
    copy.answer_bytes_max = CREDENTIALS_ANSWER_BYTES;
    copy.on_end = on_end;
    copy.context = fetch;
    struct problem problem;
    enum status status = http_send(credentials->options.http, &copy, &problem);
    if (status == STATUS_OK) {
        credentials->out = fetch;
        return;
    }
    free(fetch);
    credentials_failed(credentials, status == STATUS_BUSY, "%s: %s", credentials->place,
                       problem.text);
}

enum fault_kind credentials_reason(const struct http_answer *answer, char *ret_reason, size_t room)
{
    if (answer->end != HTTP_ANSWERED) {
        snprintf(ret_reason, room, "%s", answer->sentence);
        return answer->end != HTTP_TOO_LARGE ? FAULT_TRANSIENT : FAULT_FINAL;
    }
    struct fault fault;
    json_t *json = json_loadb(answer->body, answer->body_bytes, 0, NULL);
    fault_read(answer, json, &fault);
    json_decref(json);
    snprintf(ret_reason, room, "%s: %s", fault.name, fault.message);
    return fault.kind;
}

bool credentials_may_help(enum fault_kind kind)
{
    return kind == FAULT_TRANSIENT || kind == FAULT_THROTTLED;
}

bool credentials_read_file(const char *path, char *ret_text, size_t room)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    size_t bytes = fread(ret_text, 1, room - 1, file);
    bool whole = !ferror(file) && (feof(file) || fgetc(file) == EOF);
    fclose(file);
    if (!whole)
        errno = EFBIG;
    while (bytes > 0 && strchr(" \t\r\n", ret_text[bytes - 1]) != NULL)
        bytes--;
    ret_text[bytes] = '\0';
    return whole;
}

/* ---- keys in JSON ----------------------------------------------------------------------------
 */

static void on_keys(struct credentials *credentials, const struct http_answer *answer)
{
    char reason[1024];
    if (answer->end != HTTP_ANSWERED || answer->status != 200) {
        enum fault_kind kind = credentials_reason(answer, reason, sizeof reason);
        credentials_failed(credentials, credentials_may_help(kind), "%s: %s", credentials->place,
                           reason);
        return;
    }
    json_t *json = json_loadb(answer->body, answer->body_bytes, 0, NULL);
    const char *key_id = json_string_value(json_object_get(json, "AccessKeyId"));
    const char *secret = json_string_value(json_object_get(json, "SecretAccessKey"));
    const char *message = json_string_value(json_object_get(json, "Message"));
    if (key_id == NULL || secret == NULL)
        credentials_failed(credentials, true, "%s: its answer has no keys%s%.200s",
                           credentials->place, message != NULL ? "; it says " : "",
                           message != NULL ? message : "");
    else
        credentials_got(credentials, answer, key_id, secret,
                        json_string_value(json_object_get(json, "Token")),
                        json_string_value(json_object_get(json, "Expiration")));
    json_decref(json);
}

/* ---- container -------------------------------------------------------------------------------
 */

/* False: it is set and cannot be used; that is said. */
static bool read_authorization(struct credentials *credentials, char *ret_line, size_t room)
{
    const struct world *world = credentials->options.world;
    const char *path = world_variable(world, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    const char *token = world_variable(world, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
    char text[TOKEN_BYTES];
    ret_line[0] = '\0';
    if (path != NULL && !credentials_read_file(path, text, sizeof text)) {
        credentials_failed(credentials, false, "%s: AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: %s: %s",
                           credentials->place, path, strerror(errno));
        return false;
    }
    if (path != NULL)
        token = text;
    if (token == NULL)
        return true;
    int bytes = snprintf(ret_line, room, "Authorization: %s", token);
    if (bytes < (int)room && strpbrk(token, "\r\n") == NULL)
        return true;
    credentials_failed(credentials, false,
                       "%s: AWS_CONTAINER_AUTHORIZATION_TOKEN is too long or has a line break",
                       credentials->place);
    return false;
}

static void fetch_container(struct credentials *credentials)
{
    char line[TOKEN_BYTES + 32];
    if (!read_authorization(credentials, line, sizeof line))
        return;
    const char *headers[] = {"Accept: application/json", line};
    struct http_request request = {
        .method = "GET",
        .url = credentials->url,
        .headers = headers,
        .headers_count = line[0] != '\0' ? 2 : 1,
        .direct = true,
        .timeout_ms = CONTAINER_TIMEOUT_MS,
    };
    credentials_ask(credentials, &request, on_keys);
}

/* ---- instance --------------------------------------------------------------------------------
 */

static void ask_instance(struct credentials *credentials, const char *method, const char *path,
                         const char *name, const char *header,
                         void (*on_answer)(struct credentials *credentials,
                                           const struct http_answer *answer))
{
    char line[640], url[1024];
    snprintf(line, sizeof line, "%s: %s", header,
             strcmp(method, "PUT") == 0 ? "21600" : credentials->instance_token);
    snprintf(url, sizeof url, "%s%s%s", credentials->url, path, name);
    const char *headers[] = {line};
    struct http_request request = {
        .method = method,
        .url = url,
        .headers = headers,
        .headers_count = 1,
        .direct =
            true, /* these keys are for no proxy to see, and it knows another 169.254.169.254 */
        .timeout_ms = INSTANCE_TIMEOUT_MS,
    };
    credentials_ask(credentials, &request, on_answer);
}

/* The last place there is: what was not found before is said too. */
static void instance_failed(struct credentials *credentials, const struct http_answer *answer)
{
    char reason[1024];
    enum fault_kind kind = credentials_reason(answer, reason, sizeof reason);
    bool absent = answer->end == HTTP_NOT_SENT || answer->end == HTTP_TIMED_OUT;
    if (answer->end == HTTP_ANSWERED && answer->status == 404)
        snprintf(reason, sizeof reason, "the instance has no role; attach an instance profile");
    credentials_failed(credentials, credentials_may_help(kind) && !absent,
                       "there are no credentials for AWS: AWS_ACCESS_KEY_ID, "
                       "AWS_WEB_IDENTITY_TOKEN_FILE and AWS_CONTAINER_CREDENTIALS_… are not set in "
                       "the environment, %s has no keys and no role, and %s gives none (%s); set "
                       "one of them up",
                       profile_place(credentials->profile), credentials->place, reason);
}

/* One line of printable characters; false: it is none, or too long. */
static bool take_line(const struct http_answer *answer, char *ret_line, size_t room)
{
    size_t bytes = strcspn(answer->body, "\r\n");
    if (bytes == 0 || bytes >= room)
        return false;
    for (size_t i = 0; i < bytes; i++)
        if (answer->body[i] <= ' ' || answer->body[i] == 0x7f)
            return false;
    memcpy(ret_line, answer->body, bytes);
    ret_line[bytes] = '\0';
    return true;
}

static bool is_ok(const struct http_answer *answer)
{
    return answer->end == HTTP_ANSWERED && answer->status == 200;
}

static void on_instance_role(struct credentials *credentials, const struct http_answer *answer)
{
    if (!is_ok(answer) ||
        !take_line(answer, credentials->instance_role, sizeof credentials->instance_role)) {
        instance_failed(credentials, answer);
        return;
    }
    ask_instance(credentials, "GET", INSTANCE_ROLES, credentials->instance_role,
                 "X-aws-ec2-metadata-token", on_keys);
}

static void on_instance_token(struct credentials *credentials, const struct http_answer *answer)
{
    if (!is_ok(answer) ||
        !take_line(answer, credentials->instance_token, sizeof credentials->instance_token)) {
        instance_failed(credentials, answer);
        return;
    }
    ask_instance(credentials, "GET", INSTANCE_ROLES, "", "X-aws-ec2-metadata-token",
                 on_instance_role);
}

void credentials_fetch(struct credentials *credentials)
{
    switch (credentials->kind) {
    case CREDENTIALS_OF_WEB_IDENTITY: credentials_fetch_web_identity(credentials); break;
    case CREDENTIALS_OF_ROLE: credentials_fetch_role(credentials); break;
    case CREDENTIALS_OF_CONTAINER: fetch_container(credentials); break;
    case CREDENTIALS_OF_INSTANCE:
        ask_instance(credentials, "PUT", "/latest/api/token", "",
                     "X-aws-ec2-metadata-token-ttl-seconds", on_instance_token);
        break;
    case CREDENTIALS_NOWHERE:
    case CREDENTIALS_OF_ENVIRONMENT:
    case CREDENTIALS_OF_FILES: assert(false);
    }
}
