#include "engine/edge/lambda_request.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

const char *lambda_field(const struct edge_call *call, const char *name)
{
    return json_string_value(json_object_get(call->input, name));
}

static const char *name_of(const struct edge_call *call)
{
    return lambda_field(call, "FunctionName");
}

/* What of RFC 3986 is unreserved stays. False: no room. */
static bool encode(const char *text, char *ret_text, size_t bytes_max)
{
    size_t bytes = 0;
    for (; *text != '\0'; text++) {
        bool plain = strchr("-._~", *text) != NULL || (*text >= '0' && *text <= '9') ||
                     (*text >= 'A' && *text <= 'Z') || (*text >= 'a' && *text <= 'z');
        if (bytes + 4 > bytes_max)
            return false;
        bytes += (size_t)snprintf(ret_text + bytes, 4, plain ? "%c" : "%%%02X", (uint8_t)*text);
    }
    ret_text[bytes] = '\0';
    return true;
}

void lambda_print_path(const struct edge_call *call, char ret_path[LAMBDA_PATH_BYTES])
{
    char name[3 * LAMBDA_NAME_BYTES_MAX], qualifier[3 * LAMBDA_NAME_BYTES_MAX] = "";
    const char *wanted = lambda_field(call, "Qualifier");
    bool fits = encode(name_of(call), name, sizeof name) &&
                (wanted == NULL || encode(wanted, qualifier, sizeof qualifier));
    assert(fits); /* lambda_check has seen to it */
    snprintf(ret_path, LAMBDA_PATH_BYTES, "/2015-03-31/functions/%s/invocations%s%s", name,
             wanted != NULL ? "?Qualifier=" : "", qualifier);
}

/* "arn:aws:lambda:REGION:...". False: it is no ARN, or none with a region. */
bool lambda_find_region(const struct edge_call *call, char ret_region[LAMBDA_REGION_BYTES])
{
    const char *name = name_of(call);
    if (strncmp(name, "arn:", 4) != 0)
        return false;
    const char *at = name;
    for (uint32_t i = 0; i < 3; i++) {
        at = strchr(at, ':');
        if (at == NULL)
            return false;
        at++;
    }
    size_t bytes = strcspn(at, ":");
    if (bytes == 0 || bytes >= LAMBDA_REGION_BYTES)
        return false;
    memcpy(ret_region, at, bytes);
    ret_region[bytes] = '\0';
    return true;
}

/* Base64 of {"custom": {"flyover_key": KEY, "traceparent": ...}}: a header's line. Keys and
 * traceparents have no character that JSON would escape. */
void lambda_print_context(const struct edge_call *call, char ret_line[LAMBDA_HEADER_BYTES])
{
    const char *given = lambda_field(call, "ClientContext");
    if (given != NULL) {
        snprintf(ret_line, LAMBDA_HEADER_BYTES, "X-Amz-Client-Context: %s", given);
        return;
    }
    char text[256], encoded[512];
    bool traced = call->trace[0] != '\0';
    int bytes =
        snprintf(text, sizeof text, "{\"custom\":{\"flyover_key\":\"%s\"%s%s%s}}", call->key,
                 traced ? ",\"traceparent\":\"" : "", call->trace, traced ? "\"" : "");
    assert(bytes > 0 && (size_t)bytes < sizeof text);
    EVP_EncodeBlock((uint8_t *)encoded, (const uint8_t *)text, bytes);
    snprintf(ret_line, LAMBDA_HEADER_BYTES, "X-Amz-Client-Context: %s", encoded);
}

static bool is_text_of(const char *text, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcmp(text, *words) == 0)
            return true;
    return false;
}

/* A field that is there is a text of at most `bytes_max` printable characters. */
static const char *check_text(const struct edge_call *call, const char *name, size_t bytes_max)
{
    const json_t *value = json_object_get(call->input, name);
    if (value == NULL)
        return NULL;
    const char *text = json_string_value(value);
    if (text == NULL || text[0] == '\0' || strlen(text) > bytes_max)
        return "has to be a text, and not that long";
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text > '~')
            return "has to be of printable ASCII, without spaces";
    return NULL;
}

static bool check_fields(const struct edge_call *call, char *ret_sentence, size_t bytes_max)
{
    static const char *const names[] = {
        "FunctionName", "Payload", "InvocationType", "Qualifier", "ClientContext", "LogType", NULL};
    const char *name;
    json_t *value;
    json_object_foreach(call->input, name, value)
    {
        if (!is_text_of(name, names)) {
            snprintf(ret_sentence, bytes_max,
                     "Parameters.%s: Invoke has FunctionName, Payload, InvocationType, Qualifier, "
                     "ClientContext, LogType",
                     name);
            return false;
        }
    }
    for (uint32_t i = 0; names[i] != NULL; i++) {
        if (strcmp(names[i], "Payload") == 0)
            continue;
        bool context = strcmp(names[i], "ClientContext") == 0;
        const char *wrong = check_text(
            call, names[i], context ? LAMBDA_CONTEXT_BYTES_MAX : LAMBDA_NAME_BYTES_MAX - 1);
        if (wrong != NULL) {
            snprintf(ret_sentence, bytes_max, "Parameters.%s: %s", names[i], wrong);
            return false;
        }
    }
    return true;
}

bool lambda_check(const struct edge_call *call, char *ret_sentence, size_t bytes_max)
{
    static const char *const types[] = {"RequestResponse", "Event", "DryRun", NULL};
    static const char *const logs[] = {"None", "Tail", NULL};
    if (!check_fields(call, ret_sentence, bytes_max))
        return false;
    const char *type = lambda_field(call, "InvocationType"), *log = lambda_field(call, "LogType");
    const char *wrong = NULL;
    if (name_of(call) == NULL)
        wrong = "Parameters.FunctionName: is missing; name the function, or its ARN";
    else if (type != NULL && !is_text_of(type, types))
        wrong = "Parameters.InvocationType: has to be RequestResponse, Event or DryRun";
    else if (log != NULL && !is_text_of(log, logs))
        wrong = "Parameters.LogType: has to be None or Tail";
    if (wrong != NULL)
        snprintf(ret_sentence, bytes_max, "%s", wrong);
    return wrong == NULL;
}
