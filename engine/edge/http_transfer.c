#include "engine/edge/http_transfer.h"
#include "engine/edge/url.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define GROWTH_FIRST 4096u

/* ---- is it a request ----------------------------------------------------------------------------
 */

static bool read_host(CURLU *url, char ret_host[HTTP_HOST_BYTES])
{
    char *scheme = NULL, *name = NULL, *port = NULL;
    bool is_read = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                   curl_url_get(url, CURLUPART_HOST, &name, 0) == CURLUE_OK &&
                   curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
                   (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) &&
                   snprintf(ret_host, HTTP_HOST_BYTES, "%s://%s:%s", scheme, name, port) <
                       (int)HTTP_HOST_BYTES;
    curl_free(scheme);
    curl_free(name);
    curl_free(port);
    return is_read;
}

static bool check_url(const char *text, char ret_host[HTTP_HOST_BYTES])
{
    CURLU *url = curl_url();
    bool is_url = url != NULL &&
                  curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
                  read_host(url, ret_host);
    curl_url_cleanup(url);
    return is_url;
}

static bool is_token(const char *text, size_t bytes)
{
    static const bool is_letter[UCHAR_MAX + 1] = {
        ['0' ... '9'] = true,  ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['!'] = true,
        ['#' ... '\''] = true, ['*'] = true,         ['+'] = true,         ['-'] = true,
        ['.'] = true,          ['^' ... '`'] = true, ['|'] = true,         ['~'] = true};
    size_t count = 0;
    while (count < bytes && is_letter[(unsigned char)text[count]])
        count++;
    return bytes > 0 && count == bytes;
}

static bool is_header(const char *line)
{
    const char *colon = strchr(line, ':');
    return colon != NULL && is_token(line, (size_t)(colon - line)) &&
           line[strcspn(line, "\r\n")] == '\0';
}

static enum status refuse_url(const char *url, struct problem *problem)
{
    char shown[URL_SHOWN_BYTES];
    url_show(url, shown);
    return problem_set(
        problem, STATUS_INVALID,
        "'%s' is no URL: say \"https://\", a name and a path, with what is no letter "
        "of a URL written as %%XX",
        shown);
}

enum status http_transfer_check(const struct http_request *request, char ret_host[HTTP_HOST_BYTES],
                                struct problem *problem)
{
    assert(request->timeout_ms > 0 && request->headers_count <= HTTP_HEADERS_MAX);
    if (!is_token(request->method, strlen(request->method)))
        return problem_set(problem, STATUS_INVALID, "'%.40s' is no method of HTTP: say \"POST\"",
                           request->method);
    if (!check_url(request->url, ret_host))
        return refuse_url(request->url, problem);
    for (uint32_t i = 0; i < request->headers_count; i++)
        if (!is_header(request->headers[i]))
            return problem_set(problem, STATUS_INVALID,
                               "header %u is no \"Name: value\" on one line: '%.*s…'", i + 1,
                               (int)strcspn(request->headers[i], ":\r\n"), request->headers[i]);
    return STATUS_OK;
}

/* ---- a copy -------------------------------------------------------------------------------------
 */

static bool add_line(struct http_transfer *transfer, const char *line)
{
    struct curl_slist *lines = curl_slist_append(transfer->lines, line);
    if (lines != NULL)
        transfer->lines = lines;
    return lines != NULL;
}

/* libcurl sends "Name;" as an empty header and "Name:" as none. */
static bool add_header(struct http_transfer *transfer, const char *line)
{
    size_t name = strcspn(line, ":");
    if (line[name + 1 + strspn(line + name + 1, " \t")] != '\0')
        return add_line(transfer, line);
    char *empty = strndup(line, name + 1);
    bool is_added = false;
    if (empty != NULL) {
        empty[name] = ';';
        is_added = add_line(transfer, empty);
    }
    free(empty);
    return is_added;
}

static bool copy_headers(struct http_transfer *transfer, const struct http_request *request)
{
    bool has_type = false;
    for (uint32_t i = 0; i < request->headers_count; i++) {
        if (!add_header(transfer, request->headers[i]))
            return false;
        has_type |= strncasecmp(request->headers[i], "Content-Type:", 13) == 0;
    }
    /* Of itself libcurl would wait for "100 Continue", and call any body a form. */
    return add_line(transfer, "Expect:") && (has_type || add_line(transfer, "Content-Type:"));
}

static bool copy_body(struct http_transfer *transfer, const struct http_request *request)
{
    if (request->body == NULL)
        return true;
    transfer->body_bytes = request->body_bytes;
    transfer->body = malloc(request->body_bytes + 1);
    if (transfer->body != NULL)
        memcpy(transfer->body, request->body, request->body_bytes);
    return transfer->body != NULL;
}

static bool copy_all(struct http_transfer *transfer, const struct http_request *request)
{
    transfer->url = strdup(request->url);
    transfer->method = strdup(request->method);
    if (request->ca_file != NULL)
        transfer->ca_file = strdup(request->ca_file);
    return transfer->url != NULL && transfer->method != NULL &&
           (request->ca_file == NULL || transfer->ca_file != NULL) &&
           copy_headers(transfer, request) && copy_body(transfer, request);
}

static bool only_reads(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ||
           strcmp(method, "OPTIONS") == 0;
}

struct http_transfer *http_transfer_make(const struct http_request *request, CURL *easy,
                                         uint64_t now_ns)
{
    struct http_transfer *transfer = calloc(1, sizeof *transfer);
    if (transfer == NULL)
        return NULL;
    transfer->easy = easy;
    transfer->timeout_ms = request->timeout_ms;
    transfer->deadline_ns = now_ns + request->timeout_ms * UINT64_C(1000000);
    transfer->patience_ns = request->patience_ms * UINT64_C(1000000);
    transfer->answer_bytes_max = request->answer_bytes_max;
    transfer->is_repeatable = request->repeatable || only_reads(request->method);
    transfer->is_direct = request->direct;
    transfer->on_end = request->on_end;
    transfer->context = request->context;
    if (copy_all(transfer, request))
        return transfer;
    http_transfer_free(transfer);
    return NULL;
}

void http_transfer_free(struct http_transfer *transfer)
{
    curl_slist_free_all(transfer->lines);
    free(transfer->url);
    free(transfer->method);
    free(transfer->ca_file);
    free(transfer->body);
    free(transfer->answer.at);
    free(transfer->headers.at);
    free(transfer);
}

/* ---- the answer, as it comes --------------------------------------------------------------------
 */

/* Room for `count` more and a terminating zero. */
static bool make_room(struct http_bytes *bytes, size_t count)
{
    size_t capacity = bytes->capacity;
    if (bytes->count + count + 1 <= capacity)
        return true;
    capacity = capacity == 0 ? GROWTH_FIRST : 2 * capacity;
    if (capacity < bytes->count + count + 1)
        capacity = bytes->count + count + 1;
    char *at = realloc(bytes->at, capacity);
    if (at == NULL)
        return false;
    bytes->at = at;
    bytes->capacity = capacity;
    return true;
}

static bool add_bytes(struct http_bytes *bytes, const char *more, size_t count)
{
    if (!make_room(bytes, count))
        return false;
    memcpy(bytes->at + bytes->count, more, count);
    bytes->count += count;
    bytes->at[bytes->count] = '\0';
    return true;
}

/* A number that is not the one it was called with ends the transfer. */
static size_t on_body(char *more, size_t size, size_t count, void *context)
{
    struct http_transfer *transfer = context;
    count *= size;
    transfer->is_too_large = count > transfer->answer_bytes_max - transfer->answer.count;
    return !transfer->is_too_large && add_bytes(&transfer->answer, more, count)
               ? count
               : CURL_WRITEFUNC_ERROR;
}

/* "HTTP/1.1 200 OK": what came before was an interim answer's, or a proxy's. */
static void start_headers(struct http_transfer *transfer, const char *line, size_t bytes)
{
    int at = 0;
    char text[sizeof transfer->reason + 16];
    snprintf(text, sizeof text, "%.*s", (int)bytes, line);
    transfer->headers.count = 0;
    transfer->headers_count = 0;
    (void)sscanf(text, "HTTP/%*s %*d %n", &at);
    snprintf(transfer->reason, sizeof transfer->reason, "%s", at == 0 ? "" : text + at);
}

static bool add_answer_header(struct http_transfer *transfer, const char *line, size_t bytes)
{
    const char *colon = memchr(line, ':', bytes);
    if (colon == NULL || memchr(line, '\0', bytes) != NULL)
        return true;
    const char *value = colon + 1, *end = line + bytes;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    transfer->is_too_large = transfer->headers_count == HTTP_ANSWER_HEADERS_MAX ||
                             transfer->headers.count + bytes > HTTP_ANSWER_HEADERS_BYTES;
    if (transfer->is_too_large)
        return false;
    transfer->headers_count++;
    return add_bytes(&transfer->headers, line, (size_t)(colon - line)) &&
           add_bytes(&transfer->headers, "", 1) &&
           add_bytes(&transfer->headers, value, (size_t)(end - value)) &&
           add_bytes(&transfer->headers, "", 1);
}

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
    size_t bytes = count *= size;
    while (bytes > 0 && strchr(" \t\r\n", line[bytes - 1]) != NULL)
        bytes--;
    if (bytes >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        start_headers(context, line, bytes);
        return count;
    }
    return add_answer_header(context, line, bytes) ? count : 0;
}

/* Before each sending: libcurl would send again whatever it had no answer to on a connection that
 * it had used before. */
static int on_ready(void *context, char *to, char *from, int to_port, int from_port)
{
    long sent = 0;
    const struct http_transfer *transfer = context;
    (void)to, (void)from, (void)to_port, (void)from_port;
    curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &sent);
    return sent == 0 || transfer->is_repeatable ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

/* ---- what libcurl is told -----------------------------------------------------------------------
 */

static void prepare_method(struct http_transfer *transfer)
{
    CURL *easy = transfer->easy;
    const char *method = transfer->method;
    if (strcmp(method, "HEAD") == 0) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        return;
    }
    /* Where a body may be expected, "Content-Length: 0" says that there is none. */
    if (transfer->body != NULL || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)transfer->body_bytes);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer->body == NULL ? "" : transfer->body);
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
}

static void prepare_callbacks(struct http_transfer *transfer)
{
    CURL *easy = transfer->easy;
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_ready);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->sentence);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
}

/* Without CURLOPT_PIPEWAIT and libcurl's own limits: what waits inside of libcurl 7.88 has no time
 * limit, and of one host holds up another's (there is one line for all hosts). */
static void prepare_connection(struct http_transfer *transfer, const char *ca_file)
{
    CURL *easy = transfer->easy;
    if (transfer->ca_file != NULL)
        ca_file = transfer->ca_file;
    if (ca_file != NULL)
        curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
    if (transfer->is_direct)
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* Whoever gives up does not wait for the thread that looks up a name. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
}

bool http_transfer_prepare(struct http_transfer *transfer, const char *ca_file)
{
    CURL *easy = transfer->easy;
    prepare_callbacks(transfer);
    prepare_connection(transfer, ca_file);
    prepare_method(transfer);
    return curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->lines) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_USERAGENT, "flyover") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_URL, transfer->url) == CURLE_OK;
}

/* ---- what on_end gets ---------------------------------------------------------------------------
 */

struct http_answer http_transfer_answer(struct http_transfer *transfer, enum http_end end)
{
    long status = 0;
    if (transfer->is_under_way)
        curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    return (struct http_answer){.end = end,
                                .status = (int)status,
                                .reason = transfer->reason,
                                .body = transfer->answer.at == NULL ? "" : transfer->answer.at,
                                .body_bytes = transfer->answer.count,
                                .headers = transfer,
                                .sentence = transfer->sentence};
}

bool http_answer_header_at(const struct http_answer *answer, uint32_t index, const char **ret_name,
                           const char **ret_value)
{
    const struct http_transfer *transfer = answer->headers;
    if (transfer == NULL || index >= transfer->headers_count)
        return false;
    const char *name = transfer->headers.at;
    for (; index > 0; index--) {
        name += strlen(name) + 1;
        name += strlen(name) + 1;
    }
    *ret_name = name;
    *ret_value = name + strlen(name) + 1;
    return true;
}

const char *http_answer_header(const struct http_answer *answer, const char *name)
{
    const char *other, *value;
    for (uint32_t i = 0; http_answer_header_at(answer, i, &other, &value); i++)
        if (strcasecmp(name, other) == 0)
            return value;
    return NULL;
}
