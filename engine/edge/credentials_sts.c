/*
 * Roles, of STS by its Query protocol: a form that is sent, XML that comes back.
 *
 *     AssumeRoleWithWebIdentity  not signed; the token in the file is the proof
 *     AssumeRole                 signed with the keys of the source
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/credentials_parts.h"
#include "engine/edge/fault.h"
#include "engine/edge/url.h"
#include "engine/edge/xml.h"

#define STS_TIMEOUT_MS  10000u
#define WEB_TOKEN_BYTES 32768u /* STS takes 20,000 characters */
#define FORM_TYPE       "Content-Type: application/x-www-form-urlencoded; charset=utf-8"

/* ---- the form --------------------------------------------------------------------------------
 */

static void put_field(FILE *out, const char *name, const char *value)
{
    size_t bytes = strlen(value);
    char *encoded = malloc(3 * bytes + 1);
    if (encoded == NULL)
        return; /* STS says then which one is missing */
    url_encode(value, bytes, false, encoded, 3 * bytes + 1);
    fprintf(out, "&%s=%s", name, encoded);
    free(encoded);
}

/* Returns owned; NULL: no memory. */
static char *make_form(const struct credentials *credentials, const char *action,
                       const char *web_token)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (out == NULL)
        return NULL;
    fprintf(out, "Action=%s&Version=2011-06-15", action);
    put_field(out, "RoleArn", credentials->role_arn);
    put_field(out, "RoleSessionName", credentials->session_name);
    if (web_token != NULL)
        put_field(out, "WebIdentityToken", web_token);
    if (credentials->external_id != NULL)
        put_field(out, "ExternalId", credentials->external_id);
    const char *seconds = profile_value(credentials->profile, "duration_seconds");
    if (seconds != NULL && credentials->kind == CREDENTIALS_OF_ROLE)
        put_field(out, "DurationSeconds", seconds);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

/* ---- the answer ------------------------------------------------------------------------------
 */

/* A clock that is far from STS's is why it refuses a signature. */
static bool correct_clock(struct credentials *credentials, const struct http_answer *answer)
{
    const struct world *world = credentials->options.world;
    int64_t date_s = -1;
    if (answer->end == HTTP_ANSWERED)
        date_s = fault_date_s(http_answer_header(answer, "Date"));
    if (date_s < 0)
        return false;
    int64_t skew_ms = date_s * 1000 - world->wall_ms(world->context);
    if (llabs(skew_ms - credentials->skew_ms) < FAULT_SKEW_MS_MIN)
        return false;
    credentials->skew_ms = skew_ms;
    return true;
}

/* The keys that it was asked with may be old, and others there by now. */
static bool renew_source(struct credentials *credentials, enum fault_kind kind)
{
    struct sigv4_key key;
    if (credentials->kind != CREDENTIALS_OF_ROLE || (kind != FAULT_EXPIRED && kind != FAULT_KEY))
        return false;
    if (credentials_get(credentials->source, &key) != CREDENTIALS_READY)
        return false;
    char key_id[256];
    snprintf(key_id, sizeof key_id, "%s", key.access_key_id);
    return credentials_refuse(credentials->source, key_id);
}

static void on_role(struct credentials *credentials, const struct http_answer *answer)
{
    char reason[1024], key_id[256], secret[256], expiration[64];
    if (answer->end != HTTP_ANSWERED || answer->status != 200) {
        enum fault_kind kind = credentials_reason(answer, reason, sizeof reason);
        bool may_help = credentials_may_help(kind) || correct_clock(credentials, answer) ||
                        renew_source(credentials, kind);
        credentials_failed(credentials, may_help, "%s: STS at %s: %s", credentials->place,
                           credentials->url, reason);
        return;
    }
    char *token = calloc(1, CREDENTIALS_ANSWER_BYTES);
    struct xml_wanted wanted[] = {
        {"AccessKeyId", key_id, sizeof key_id},
        {"SecretAccessKey", secret, sizeof secret},
        {"Expiration", expiration, sizeof expiration},
        {"SessionToken", token, CREDENTIALS_ANSWER_BYTES},
    };
    bool is_read = token != NULL && xml_read(answer->body, answer->body_bytes, wanted, 4) &&
                   key_id[0] != '\0' && secret[0] != '\0' && token[0] != '\0';
    if (is_read)
        credentials_got(credentials, answer, key_id, secret, token, expiration);
    else
        credentials_failed(credentials, true, "%s: STS at %s: its answer has no keys",
                           credentials->place, credentials->url);
    free(token);
}

/* ---- the requests ----------------------------------------------------------------------------
 */

/* Without a region the one endpoint that is nobody's own. False: that is said. */
static bool find_sts(struct credentials *credentials, const char **ret_region)
{
    struct endpoint endpoint;
    struct problem problem;
    const char *region = endpoint_region(credentials->options.book, NULL);
    *ret_region = region[0] != '\0' ? region : "us-east-1";
    if (endpoint_find(credentials->options.book, "sts", *ret_region, &endpoint, &problem) !=
        STATUS_OK) {
        credentials_failed(credentials, false, "%s: %s", credentials->place, problem.text);
        return false;
    }
    snprintf(credentials->url, sizeof credentials->url, "%s/", endpoint.url);
    return true;
}

static void post_form(struct credentials *credentials, const char *const *headers, uint32_t count,
                      const char *form)
{
    struct http_request request = {
        .method = "POST",
        .url = credentials->url,
        .headers = headers,
        .headers_count = count,
        .body = form,
        .body_bytes = strlen(form),
        .timeout_ms = STS_TIMEOUT_MS,
    };
    credentials_ask(credentials, &request, on_role);
}

void credentials_fetch_web_identity(struct credentials *credentials)
{
    const char *region;
    static const char *const headers[] = {FORM_TYPE};
    char token[WEB_TOKEN_BYTES];
    if (!find_sts(credentials, &region))
        return;
    if (!credentials_read_file(credentials->token_file, token, sizeof token)) {
        credentials_failed(credentials, false, "%s: %s: %s", credentials->place,
                           credentials->token_file, strerror(errno));
        return;
    }
    char *form = make_form(credentials, "AssumeRoleWithWebIdentity", token);
    if (form == NULL)
        credentials_failed(credentials, true, "no memory to ask for credentials");
    else
        post_form(credentials, headers, 1, form);
    free(form);
}

static void post_signed(struct credentials *credentials, const struct sigv4_key *key,
                        const char *region, const char *form)
{
    static const char *const type[] = {FORM_TYPE};
    const struct world *world = credentials->options.world;
    struct url url;
    char host[sizeof credentials->url], lines[3][SIGV4_AUTHORIZATION_BYTES + 32];
    bool is_url = url_split(credentials->url, &url);
    assert(is_url);
    snprintf(host, sizeof host, "%.*s", (int)url.host_bytes, url.host);
    struct sigv4_request request = {
        .method = "POST",
        .host = host,
        .path = url.path,
        .path_bytes = url.path_bytes,
        .query = "",
        .service = "sts",
        .region = region,
        .headers = type,
        .headers_count = 1,
        .body = form,
        .body_bytes = strlen(form),
        .now_s = (world->wall_ms(world->context) + credentials->skew_ms) / 1000,
    };
    struct sigv4_cache cache = {0};
    struct sigv4_signed made;
    struct problem problem;
    if (sigv4_sign(key, &request, &cache, &made, &problem) != STATUS_OK) {
        credentials_failed(credentials, false, "%s: %s", credentials->place, problem.text);
        return;
    }
    char *token = NULL;
    bool has_token = key->session_token != NULL && key->session_token[0] != '\0';
    if (has_token && asprintf(&token, "X-Amz-Security-Token: %s", key->session_token) < 0) {
        credentials_failed(credentials, true, "no memory to ask for credentials");
        return;
    }
    snprintf(lines[0], sizeof lines[0], "Host: %s", host);
    snprintf(lines[1], sizeof lines[1], "X-Amz-Date: %s", made.date);
    snprintf(lines[2], sizeof lines[2], "Authorization: %s", made.authorization);
    const char *headers[] = {type[0], lines[0], lines[1], lines[2], token};
    post_form(credentials, headers, has_token ? 5 : 4, form);
    free(token);
}

void credentials_fetch_role(struct credentials *credentials)
{
    struct sigv4_key key;
    enum credentials_state state = credentials_get(credentials->source, &key);
    if (state == CREDENTIALS_COMING)
        return; /* and again when they are there */
    if (state == CREDENTIALS_NONE) {
        credentials_failed(credentials, false, "%s: %s", credentials->place,
                           credentials_sentence(credentials->source));
        return;
    }
    const char *region;
    if (!find_sts(credentials, &region))
        return;
    char *form = make_form(credentials, "AssumeRole", NULL);
    if (form == NULL)
        credentials_failed(credentials, true, "no memory to ask for credentials");
    else
        post_signed(credentials, &key, region, form);
    free(form);
}
