#include "tests/edge/canned.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static char *copy_of(const void *bytes, size_t count)
{
    char *copy = malloc(count + 1);
    assert(copy != NULL);
    if (count > 0)
        memcpy(copy, bytes, count);
    copy[count] = '\0';
    return copy;
}

static char *lines_of(const char *const *headers, uint32_t count)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    for (uint32_t i = 0; i < count; i++)
        fprintf(out, "%s\n", headers[i]);
    fclose(out);
    return text;
}

struct http *canned_http(void)
{
    struct http *http = calloc(1, sizeof *http);
    assert(http != NULL);
    return http;
}

static void end(struct http *http, uint32_t index, const struct http_answer *answer)
{
    assert(index < http->count && !http->requests[index].ended);
    http->requests[index].ended = true;
    http->requests[index].on_end(http->requests[index].context, answer);
}

void canned_http_free(struct http *http)
{
    for (uint32_t i = 0; i < http->count; i++) {
        struct canned_request *request = &http->requests[i];
        if (!request->ended)
            canned_end(http, i, HTTP_CANCELLED, "closed");
        free(request->method);
        free(request->url);
        free(request->body);
        free(request->headers);
    }
    free(http);
}

enum status http_send(struct http *http, const struct http_request *request,
                      struct problem *problem)
{
    if (http->busy)
        return problem_set(problem, STATUS_BUSY, "too many requests");
    assert(http->count < CANNED_REQUESTS_MAX && request->timeout_ms > 0);
    http->requests[http->count++] = (struct canned_request){
        .method = copy_of(request->method, strlen(request->method)),
        .url = copy_of(request->url, strlen(request->url)),
        .body = copy_of(request->body, request->body_bytes),
        .headers = lines_of(request->headers, request->headers_count),
        .body_bytes = request->body_bytes,
        .timeout_ms = request->timeout_ms,
        .on_end = request->on_end,
        .context = request->context,
    };
    return STATUS_OK;
}

void http_wake(struct http *http)
{
    http->woken++;
}

static const char *find_line(const char *lines, const char *name, char *ret_value, size_t room)
{
    size_t name_bytes = strlen(name);
    for (const char *at = lines; at != NULL && *at != '\0';) {
        size_t bytes = strcspn(at, "\n");
        if (strncasecmp(at, name, name_bytes) == 0 && at[name_bytes] == ':') {
            const char *value = at + name_bytes + 1 + strspn(at + name_bytes + 1, " ");
            snprintf(ret_value, room, "%.*s", (int)(bytes - (size_t)(value - at)), value);
            return ret_value;
        }
        at += bytes + (at[bytes] == '\n');
    }
    return NULL;
}

const char *http_answer_header(const struct http_answer *answer, const char *name)
{
    static char value[8192];
    return find_line(answer->headers, name, value, sizeof value);
}

const char *canned_sent(const struct http *http, uint32_t index, const char *name)
{
    static char value[8192];
    assert(index < http->count);
    return find_line(http->requests[index].headers, name, value, sizeof value);
}

void canned_answer(struct http *http, uint32_t index, int status, const char *headers,
                   const char *body)
{
    struct http_answer answer = {
        .end = HTTP_ANSWERED,
        .status = status,
        .body = body,
        .body_bytes = strlen(body),
        .headers = headers,
        .sentence = "",
    };
    end(http, index, &answer);
}

void canned_end(struct http *http, uint32_t index, enum http_end how, const char *sentence)
{
    struct http_answer answer = {.end = how, .body = "", .sentence = sentence};
    end(http, index, &answer);
}

/* ---- the world -------------------------------------------------------------------------------
 */

static int64_t wall_ms(void *context)
{
    return ((struct canned_world *)context)->wall_ms;
}

static int64_t now_ms(void *context)
{
    return ((struct canned_world *)context)->now_ms;
}

static double chance(void *context)
{
    return ((struct canned_world *)context)->chance;
}

static const char *variable(void *context, const char *name)
{
    struct canned_world *canned = context;
    for (uint32_t i = 0; i < canned->variables_count; i++)
        if (strcmp(canned->variables[i].name, name) == 0)
            return canned->variables[i].value;
    return NULL;
}

static void on_log(void *context, int level, const char *event, const char *text)
{
    struct canned_world *canned = context;
    size_t bytes = strlen(canned->log);
    snprintf(canned->log + bytes, sizeof canned->log - bytes, "%d %s %s\n", level, event, text);
    canned->log_count++;
}

void canned_world_init(struct canned_world *canned)
{
    *canned = (struct canned_world){.wall_ms = 1440938160000, .now_ms = 1000, .chance = 0.5};
    canned->world = (struct world){
        .wall_ms = wall_ms,
        .now_ms = now_ms,
        .chance = chance,
        .variable = variable,
        .context = canned,
        .on_log = on_log,
        .log_context = canned,
    };
}

void canned_set(struct canned_world *canned, const char *name, const char *value)
{
    uint32_t i = 0;
    while (i < canned->variables_count && strcmp(canned->variables[i].name, name) != 0)
        i++;
    assert(i < CANNED_VARIABLES_MAX);
    canned->variables[i].name = name;
    canned->variables[i].value = value;
    if (i == canned->variables_count)
        canned->variables_count++;
}

void canned_pass_ms(struct canned_world *canned, int64_t ms)
{
    canned->wall_ms += ms;
    canned->now_ms += ms;
}
