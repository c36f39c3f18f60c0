#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/edge/http_invoke.h"

/* RFC 9110 and 6585. */
static const struct {
    int status;
    const char *words;
} reasons[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {422, "Unprocessable Content"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

const char *http_invoke_reason(const struct http_answer *answer)
{
    if (answer->reason[0] != '\0')
        return answer->reason;
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].status == answer->status)
            return reasons[i].words;
    return "";
}

/* ---- headers ------------------------------------------------------------------------------------
 */

/* Headers may be of any bytes; a payload has only UTF-8. */
static json_t *to_string(const char *bytes)
{
    json_t *string = json_string(bytes);
    if (string != NULL)
        return string;
    char *copy = strdup(bytes);
    for (char *at = copy; at != NULL && *at != '\0'; at++)
        if ((*at & 0x80) != 0)
            *at = '?';
    string = copy == NULL ? NULL : json_string(copy);
    free(copy);
    return string;
}

/* By names in small letters, as HTTP/2 has them, so that a path finds them of HTTP/1.1 too. */
static void add_header(json_t *headers, const char *name, const char *value)
{
    char small[256];
    size_t bytes = 0;
    for (; name[bytes] != '\0' && bytes < sizeof small - 1; bytes++)
        small[bytes] = (name[bytes] & 0x80) != 0 ? '?' : (char)tolower((unsigned char)name[bytes]);
    small[bytes] = '\0';
    json_t *values = json_object_get(headers, small);
    if (values == NULL) {
        json_object_set_new(headers, small, json_array());
        values = json_object_get(headers, small);
    }
    json_array_append_new(values, to_string(value));
}

static json_t *list_headers(const struct http_answer *answer)
{
    const char *name, *value;
    json_t *headers = json_object();
    for (uint32_t i = 0; http_answer_header_at(answer, i, &name, &value); i++)
        add_header(headers, name, value);
    return headers;
}

/* ---- the body -----------------------------------------------------------------------------------
 */

static const char *type_of(const struct http_answer *answer, size_t *ret_bytes)
{
    const char *type = http_answer_header(answer, "Content-Type");
    type = type == NULL ? "" : type;
    *ret_bytes = strcspn(type, "; ");
    return type;
}

static bool is_json(const struct http_answer *answer)
{
    size_t bytes;
    const char *type = type_of(answer, &bytes);
    return (bytes == 16 && strncasecmp(type, "application/json", 16) == 0) ||
           (bytes > 5 && strncasecmp(type + bytes - 5, "+json", 5) == 0);
}

/* As Step Functions has it. */
static bool is_no_text(const struct http_answer *answer)
{
    size_t bytes;
    const char *type = type_of(answer, &bytes);
    return (bytes == 24 && strncasecmp(type, "application/octet-stream", 24) == 0) ||
           strncasecmp(type, "image/", 6) == 0 || strncasecmp(type, "video/", 6) == 0 ||
           strncasecmp(type, "audio/", 6) == 0;
}

static json_t *read_body(const struct http_answer *answer)
{
    json_t *body = NULL;
    if (is_no_text(answer))
        return NULL;
    if (is_json(answer))
        body = json_loadb(answer->body, answer->body_bytes, JSON_DECODE_ANY, NULL);
    return body != NULL ? body : json_stringn(answer->body, answer->body_bytes);
}

json_t *http_invoke_output(const struct http_answer *answer)
{
    json_t *body = read_body(answer);
    if (body == NULL)
        return NULL;
    return json_pack("{s:o, s:o, s:i, s:o}", "Headers", list_headers(answer), "ResponseBody", body,
                     "StatusCode", answer->status, "StatusText",
                     to_string(http_invoke_reason(answer)));
}
