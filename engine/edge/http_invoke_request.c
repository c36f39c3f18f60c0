#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/edge/http_form.h"
#include "engine/edge/http_invoke.h"
#include "engine/edge/json_text.h"
#include "engine/edge/url.h"

#define OWN_HEADERS 4u /* Content-Type, Idempotency-Key, traceparent, a connection's */

static enum status out_of_memory(struct problem *problem)
{
    return problem_set(problem, STATUS_NO_MEMORY, "out of memory");
}

/* ---- the endpoint -------------------------------------------------------------------------------
 */

/* Whether a segment of the path is "." or "..", in any writing. */
static bool has_dots(const char *path)
{
    while (*path == '/') {
        uint32_t dots = 0;
        for (path++; *path == '.' || strncasecmp(path, "%2e", 3) == 0; dots++)
            path += *path == '.' ? 1 : 3;
        if (dots > 0 && dots <= 2 && strchr("/?", *path) != NULL)
            return true;
        path += strcspn(path, "/?");
    }
    return false;
}

static enum status check_endpoint(const char *url, struct problem *problem)
{
    const char *host = url == NULL ? NULL : strstr(url, "://");
    if (host == NULL || (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0))
        return problem_set(problem, STATUS_INVALID,
                           "ApiEndpoint: say a URL that begins with https:// or http://");
    host += 3;
    size_t bytes = strcspn(host, "/?#");
    if (memchr(host, '@', bytes) != NULL)
        return problem_set(problem, STATUS_INVALID,
                           "ApiEndpoint: it names a user: put secrets into http.connections of the "
                           "engine's file of edges, and name one by Authentication.Connection");
    if (strpbrk(url, "#\\") != NULL || has_dots(host + bytes))
        return problem_set(problem, STATUS_INVALID,
                           "ApiEndpoint: it has '#', '\\', or '.' or '..' for a folder: write out "
                           "what is meant");
    return STATUS_OK;
}

static enum status check_allowed(const struct http_invoke_config *config, const char *url,
                                 struct problem *problem)
{
    char shown[URL_SHOWN_BYTES];
    for (uint32_t i = 0; i < config->endpoints_count; i++)
        if (http_invoke_is_below(url, config->endpoints[i]))
            return STATUS_OK;
    if (config->endpoints_count == 0)
        return STATUS_OK;
    url_show(url, shown);
    return problem_set(problem, STATUS_NO_PERMISSION,
                       "ApiEndpoint: '%s' is below none of http.endpoints of the engine's file of "
                       "edges: add it there if it may be called",
                       shown);
}

static enum status add_query(struct http_text *url, const json_t *query, struct problem *problem)
{
    struct http_text form = {0};
    if (query == NULL || json_is_null(query))
        return STATUS_OK;
    bool is_written = json_is_object(query) && http_form_add(&form, query, HTTP_REPEAT);
    if (is_written && form.count > 0) {
        http_text_print(url, strchr(url->at, '?') == NULL ? "?" : "&");
        http_text_add(url, form.at, form.count);
    }
    url->is_out_of_memory |= form.is_out_of_memory;
    free(form.at);
    return is_written ? STATUS_OK
                      : problem_set(problem, STATUS_INVALID,
                                    "QueryParameters: say an object of names and values");
}

static enum status make_url(struct http_invoke_request *request,
                            const struct http_invoke_config *config, const json_t *input,
                            struct problem *problem)
{
    const char *endpoint = json_string_value(json_object_get(input, "ApiEndpoint"));
    enum status status = check_endpoint(endpoint, problem);
    if (status == STATUS_OK)
        status = check_allowed(config, endpoint, problem);
    if (status != STATUS_OK)
        return status;
    struct http_text url = {0};
    http_text_print(&url, endpoint);
    if (!url.is_out_of_memory)
        status = add_query(&url, json_object_get(input, "QueryParameters"), problem);
    request->url = url.at;
    return url.is_out_of_memory ? out_of_memory(problem) : status;
}

/* ---- method and fields --------------------------------------------------------------------------
 */

static enum status find_method(struct http_invoke_request *request, const json_t *input,
                               struct problem *problem)
{
    static const char *const methods[] = {"GET",   "POST",    "PUT", "DELETE",
                                          "PATCH", "OPTIONS", "HEAD"};
    const char *method = json_string_value(json_object_get(input, "Method"));
    for (size_t i = 0; method != NULL && i < sizeof methods / sizeof *methods; i++)
        if (strcmp(methods[i], method) == 0) {
            request->method = methods[i];
            return STATUS_OK;
        }
    return problem_set(problem, STATUS_INVALID,
                       "Method: say GET, POST, PUT, DELETE, PATCH, OPTIONS or HEAD");
}

static enum status check_fields(const json_t *input, struct problem *problem)
{
    static const char names[] =
        " ApiEndpoint Method Headers QueryParameters RequestBody Transform Authentication ";
    const char *key;
    json_t *value;
    if (json_object_get(input, "ApiEndpoint") == NULL)
        return problem_set(problem, STATUS_INVALID,
                           "there is no ApiEndpoint: say it in the Parameters of the step, or of "
                           "its Compensate");
    json_object_foreach((json_t *)input, key, value)
    {
        char word[64];
        snprintf(word, sizeof word, " %.60s ", key);
        if (strcmp(key, "InvocationConfig") == 0)
            return problem_set(problem, STATUS_INVALID,
                               "InvocationConfig: connections of EventBridge are AWS's own: put "
                               "one into http.connections of the engine's file of edges, and name "
                               "it by Authentication.Connection");
        if (strstr(names, word) == NULL)
            return problem_set(problem, STATUS_INVALID, "%.60s: there is no such parameter", key);
    }
    return STATUS_OK;
}

/* ---- headers ------------------------------------------------------------------------------------
 */

static bool has_header(const struct http_invoke_request *request, const char *name)
{
    size_t bytes = strlen(name);
    for (uint32_t i = 0; i < request->headers_count; i++)
        if (strncasecmp(request->headers[i], name, bytes) == 0 && request->headers[i][bytes] == ':')
            return true;
    return false;
}

static enum status add_line(struct http_invoke_request *request, char *line,
                            struct problem *problem)
{
    if (line == NULL)
        return out_of_memory(problem);
    request->headers[request->headers_count++] = line;
    return STATUS_OK;
}

static enum status add_header(struct http_invoke_request *request, const char *name,
                              const char *value, struct problem *problem)
{
    char *line;
    return add_line(request, asprintf(&line, "%s: %s", name, value) < 0 ? NULL : line, problem);
}

/* What Step Functions does not take in an HTTP Task. */
static bool is_forbidden(const char *name)
{
    static const char *const names[] = {
        "A-IM",
        "Accept-Charset",
        "Accept-Datetime",
        "Accept-Encoding",
        "Authorization",
        "Cache-Control",
        "Connection",
        "Content-Encoding",
        "Content-Length",
        "Content-MD5",
        "Date",
        "Expect",
        "Forwarded",
        "From",
        "Host",
        "HTTP2-Settings",
        "If-Match",
        "If-Modified-Since",
        "If-None-Match",
        "If-Range",
        "If-Unmodified-Since",
        "Max-Forwards",
        "Origin",
        "Pragma",
        "Proxy-Authorization",
        "Referer",
        "Server",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        "Via",
        "Warning",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(names[i], name) == 0)
            return true;
    return strncasecmp(name, "X-Forwarded-", 12) == 0 || strncasecmp(name, "X-Amz-", 6) == 0 ||
           strncasecmp(name, "X-Amzn-", 7) == 0;
}

static bool print_values(struct http_text *line, const json_t *value)
{
    size_t i;
    json_t *element;
    if (!json_is_array(value))
        return http_text_scalar(line, value);
    json_array_foreach(value, i, element)
    {
        http_text_print(line, i > 0 ? ", " : "");
        if (!http_text_scalar(line, element))
            return false;
    }
    return true;
}

static enum status add_given(struct http_invoke_request *request, const char *name,
                             const json_t *value, struct problem *problem)
{
    if (is_forbidden(name))
        return problem_set(problem, STATUS_INVALID,
                           strcasecmp(name, "Authorization") == 0
                               ? "Headers.%.60s: secrets are put into http.connections of the "
                                 "engine's file of edges, and named by Authentication.Connection"
                               : "Headers.%.60s: an HTTP Task may not set it",
                           name);
    if (request->headers_count == HTTP_HEADERS_MAX - OWN_HEADERS)
        return problem_set(problem, STATUS_INVALID, "Headers: there are more than %u",
                           HTTP_HEADERS_MAX - OWN_HEADERS);
    struct http_text line = {0};
    http_text_print(&line, name);
    http_text_print(&line, ": ");
    bool is_written = print_values(&line, value);
    if (is_written && !line.is_out_of_memory && strlen(line.at) == line.count)
        return add_line(request, line.at, problem);
    free(line.at);
    return line.is_out_of_memory
               ? out_of_memory(problem)
               : problem_set(problem, STATUS_INVALID,
                             "Headers.%.60s: say a text, or a list of texts", name);
}

static enum status add_all_given(struct http_invoke_request *request, const json_t *headers,
                                 struct problem *problem)
{
    const char *name;
    json_t *value;
    if (headers == NULL || json_is_null(headers))
        return STATUS_OK;
    if (!json_is_object(headers))
        return problem_set(problem, STATUS_INVALID, "Headers: say an object of names and values");
    enum status status = STATUS_OK;
    json_object_foreach((json_t *)headers, name, value) if (status == STATUS_OK) status =
        add_given(request, name, value, problem);
    return status;
}

static enum status add_own(struct http_invoke_request *request, const struct edge_call *call,
                           struct problem *problem)
{
    enum status status = STATUS_OK;
    if (!has_header(request, "Idempotency-Key"))
        status = add_header(request, "Idempotency-Key", call->key, problem);
    if (status == STATUS_OK && call->trace[0] != '\0' && !has_header(request, "traceparent"))
        status = add_header(request, "traceparent", call->trace, problem);
    return status;
}

/* ---- connections --------------------------------------------------------------------------------
 */

static enum status use_connection(struct http_invoke_request *request,
                                  const struct http_connection *connection, struct problem *problem)
{
    char shown[URL_SHOWN_BYTES];
    url_show(connection->endpoint, shown);
    if (!http_invoke_is_below(request->url, connection->endpoint))
        return problem_set(problem, STATUS_NO_PERMISSION,
                           "Authentication.Connection: '%.60s' is for what is below %s, and "
                           "ApiEndpoint is not",
                           connection->name, shown);
    char name[128];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(connection->line, ":"), connection->line);
    if (has_header(request, name))
        return problem_set(problem, STATUS_INVALID,
                           "Headers.%.60s: the connection sets it: leave it out", name);
    return add_line(request, strdup(connection->line), problem);
}

static enum status authenticate(struct http_invoke_request *request,
                                const struct http_invoke_config *config, const json_t *input,
                                struct problem *problem)
{
    const json_t *authentication = json_object_get(input, "Authentication");
    if (authentication == NULL || json_is_null(authentication))
        return STATUS_OK;
    const char *name = json_string_value(json_object_get(authentication, "Connection"));
    if (name == NULL || json_object_size(authentication) != 1)
        return problem_set(problem, STATUS_INVALID,
                           "Authentication: a ConnectionArn is a connection of EventBridge, AWS's "
                           "own: put one into http.connections of the engine's file of edges, and "
                           "say {\"Connection\": NAME}");
    for (uint32_t i = 0; i < config->connections_count; i++)
        if (strcmp(config->connections[i].name, name) == 0)
            return use_connection(request, &config->connections[i], problem);
    return problem_set(problem, STATUS_INVALID,
                       "Authentication.Connection: http.connections of the engine's file of edges "
                       "has no '%.60s'",
                       name);
}

/* ---- the body -----------------------------------------------------------------------------------
 */

static enum status read_transform(const json_t *transform, bool *ret_is_form,
                                  enum http_array *ret_format, struct problem *problem)
{
    *ret_is_form = false;
    *ret_format = HTTP_INDICES;
    if (transform == NULL || json_is_null(transform))
        return STATUS_OK;
    const json_t *encoding = json_object_get(transform, "RequestBodyEncoding");
    const json_t *options = json_object_get(transform, "RequestEncodingOptions");
    const json_t *array = json_object_get(options, "ArrayFormat");
    const char *name = encoding == NULL ? "NONE" : json_string_value(encoding);
    *ret_is_form = name != NULL && strcmp(name, "URL_ENCODED") == 0;
    if (!json_is_object(transform) || name == NULL || (!*ret_is_form && strcmp(name, "NONE") != 0))
        return problem_set(problem, STATUS_INVALID,
                           "Transform.RequestBodyEncoding: say NONE or URL_ENCODED");
    if (array != NULL &&
        (!json_is_string(array) || !http_array_find(json_string_value(array), ret_format)))
        return problem_set(problem, STATUS_INVALID,
                           "Transform.RequestEncodingOptions.ArrayFormat: say INDICES, REPEAT, "
                           "COMMAS or BRACKETS");
    return STATUS_OK;
}

static enum status make_form(struct http_invoke_request *request, const json_t *body,
                             enum http_array format, struct problem *problem)
{
    struct http_text form = {0};
    http_text_print(&form, "");
    bool is_written = json_is_object(body) && http_form_add(&form, body, format);
    request->body = form.at;
    request->body_bytes = form.count;
    if (form.is_out_of_memory)
        return out_of_memory(problem);
    return is_written ? STATUS_OK
                      : problem_set(problem, STATUS_INVALID,
                                    "RequestBody: URL_ENCODED takes an object, and COMMAS only "
                                    "lists of texts and numbers in it");
}

static enum status make_plain(struct http_invoke_request *request, const json_t *body,
                              struct problem *problem)
{
    if (json_is_string(body)) {
        request->body_bytes = json_string_length(body);
        request->body = malloc(request->body_bytes + 1);
        if (request->body != NULL)
            memcpy(request->body, json_string_value(body), request->body_bytes + 1);
    } else {
        request->body = json_text(body);
        request->body_bytes = request->body == NULL ? 0 : strlen(request->body);
    }
    return request->body == NULL ? out_of_memory(problem) : STATUS_OK;
}

static enum status make_body(struct http_invoke_request *request, const json_t *input,
                             struct problem *problem)
{
    bool is_form;
    enum http_array format;
    const json_t *body = json_object_get(input, "RequestBody");
    enum status status =
        read_transform(json_object_get(input, "Transform"), &is_form, &format, problem);
    if (status != STATUS_OK || body == NULL || json_is_null(body))
        return status;
    status =
        is_form ? make_form(request, body, format, problem) : make_plain(request, body, problem);
    if (status == STATUS_OK && !has_header(request, "Content-Type"))
        status = add_header(request, "Content-Type",
                            is_form ? "application/x-www-form-urlencoded"
                                    : "application/json; charset=UTF-8",
                            problem);
    return status;
}

/* ---- all of it ----------------------------------------------------------------------------------
 */

enum status http_invoke_request_make(struct http_invoke_request *request,
                                     const struct http_invoke_config *config,
                                     const struct edge_call *call, struct problem *problem)
{
    const json_t *input = call->input;
    *request = (struct http_invoke_request){0};
    enum status status = check_fields(input, problem);
    if (status == STATUS_OK)
        status = find_method(request, input, problem);
    if (status == STATUS_OK)
        status = make_url(request, config, input, problem);
    if (status == STATUS_OK)
        status = add_all_given(request, json_object_get(input, "Headers"), problem);
    if (status == STATUS_OK)
        status = add_own(request, call, problem);
    if (status == STATUS_OK)
        status = authenticate(request, config, input, problem);
    if (status == STATUS_OK)
        status = make_body(request, input, problem);
    return status;
}

void http_invoke_request_free(struct http_invoke_request *request)
{
    for (uint32_t i = 0; i < request->headers_count; i++)
        free(request->headers[i]);
    free(request->url);
    free(request->body);
}
