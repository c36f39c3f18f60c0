/* A request's copy, and what is found out about it before it is signed. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/aws_parts.h"
#include "engine/edge/url.h"

#define OWN_HEADERS 6u /* Host, X-Amz-Date, Authorization, the token, the target, the type */

/* Where a request goes, before it is copied. */
struct way {
    struct endpoint endpoint;
    char region[ENDPOINT_REGION_BYTES];
    const char *region_from;
    const char *base; /* what `path` is appended to */
    const char *path; /* "": the base says it */
};

static bool has_path(const char *url)
{
    struct url parts;
    return url_split(url, &parts) && parts.path_bytes > 0;
}

static enum status find_region(struct aws *aws, const struct aws_request *request, struct way *way,
                               struct problem *problem)
{
    struct url parts;
    const char *region = request->region;
    way->region_from = "the request";
    if (region == NULL && request->url != NULL && url_split(request->url, &parts) &&
        endpoint_region_of_host(parts.host, parts.host_bytes, way->region)) {
        way->region_from = "the URL";
        return STATUS_OK;
    }
    if (region == NULL)
        region = endpoint_region(&aws->book, &way->region_from);
    int bytes = snprintf(way->region, sizeof way->region, "%s", region);
    if (bytes >= (int)sizeof way->region)
        return problem_set(problem, STATUS_INVALID, "\"%.64s…\" is no region of AWS", region);
    return STATUS_OK;
}

/* A region is needed for the signature too, whoever the endpoint is. */
static enum status find_way(struct aws *aws, const struct aws_request *request, struct way *way,
                            struct problem *problem)
{
    enum status status = find_region(aws, request, way, problem);
    if (status == STATUS_OK && way->region[0] == '\0')
        return problem_set(problem, STATUS_INVALID,
                           "no region is known for %s: set \"region\" in the section \"aws\" of "
                           "the edges' file, AWS_REGION, or region in %s",
                           request->service, profile_place(aws->profile));
    if (status == STATUS_OK && request->url == NULL)
        status = endpoint_find(&aws->book, request->service, way->region, &way->endpoint, problem);
    if (status != STATUS_OK)
        return status;
    struct url parts;
    if (request->url != NULL && !url_split(request->url, &parts)) {
        char shown[URL_SHOWN_BYTES];
        url_show(request->url, shown);
        return problem_set(problem, STATUS_INVALID,
                           "\"%s\" is no URL; write it as https://HOST/PATH", shown);
    }
    if (request->url != NULL)
        way->endpoint.from = "the request";
    way->base = request->url != NULL ? request->url : way->endpoint.url;
    way->path = request->path;
    if (way->path == NULL)
        way->path = has_path(way->base) ? "" : "/";
    return STATUS_OK;
}

static size_t bytes_of(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

static size_t block_bytes(const struct aws_request *request, const struct way *way)
{
    size_t bytes = bytes_of(request->service) + bytes_of(way->region) + bytes_of(way->base) +
                   bytes_of(way->path) + bytes_of(request->method) + bytes_of(request->target) +
                   bytes_of(request->content_type) + bytes_of(request->resource) +
                   request->body_bytes;
    for (uint32_t i = 0; i < request->headers_count; i++)
        bytes += bytes_of(request->headers[i]);
    return bytes;
}

static const char *keep(char **at, const char *text)
{
    if (text == NULL)
        return NULL;
    char *kept = *at;
    *at = stpcpy(kept, text) + 1;
    return kept;
}

static void copy_request(struct aws_job *job, const struct aws_request *request,
                         const struct way *way)
{
    char *at = job->block;
    struct aws_request *copy = &job->request;
    *copy = *request;
    copy->service = keep(&at, request->service);
    copy->region = keep(&at, way->region);
    copy->url = at;
    at = stpcpy(stpcpy(at, way->base), way->path) + 1;
    copy->path = NULL;
    copy->method = keep(&at, request->method);
    copy->target = keep(&at, request->target);
    copy->resource = keep(&at, request->resource);
    copy->content_type = keep(&at, request->content_type);
    for (uint32_t i = 0; i < request->headers_count; i++)
        job->header_list[i] = keep(&at, request->headers[i]);
    copy->headers = job->header_list;
    if (request->body_bytes > 0)
        memcpy(at, request->body, request->body_bytes);
    copy->body = at;
}

/* Without the query, which may differ each time. */
static enum status hold_target(struct aws *aws, struct aws_job *job)
{
    char *name = NULL;
    const struct aws_request *request = &job->request;
    int bytes = asprintf(&name, "%.*s\n%s\n%s\n%s", (int)strcspn(request->url, "?"), request->url,
                         request->service, request->region,
                         request->resource != NULL ? request->resource : "");
    if (bytes < 0)
        return STATUS_NO_MEMORY;
    job->target = aws_target_hold(aws, name);
    free(name);
    return job->target != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status fill_job(struct aws *aws, struct aws_job *job, const struct aws_request *request,
                            const struct way *way)
{
    job->block = malloc(block_bytes(request, way) + 1);
    if (job->block == NULL)
        return STATUS_NO_MEMORY;
    copy_request(job, request, way);
    job->aws = aws;
    job->endpoint_from = way->endpoint.from;
    job->region_from = way->region_from;
    job->deadline_ms = aws->world.now_ms(aws->world.context) + request->timeout_ms;
    return hold_target(aws, job);
}

enum status aws_job_make(struct aws *aws, const struct aws_request *request,
                         struct aws_job **ret_job, struct problem *problem)
{
    assert(request->timeout_ms > 0 && request->service != NULL && request->on_end != NULL);
    if (request->headers_count + OWN_HEADERS > HTTP_HEADERS_MAX)
        return problem_set(problem, STATUS_INVALID, "%u headers; %u is the most",
                           request->headers_count, HTTP_HEADERS_MAX - OWN_HEADERS);
    struct way way = {0};
    enum status status = find_way(aws, request, &way, problem);
    if (status != STATUS_OK)
        return status;
    struct aws_job *job = calloc(1, sizeof *job);
    status = job != NULL ? fill_job(aws, job, request, &way) : STATUS_NO_MEMORY;
    if (status != STATUS_OK) {
        aws_job_free(job);
        return problem_set(problem, status, "no memory for a request to %s", request->service);
    }
    *ret_job = job;
    return STATUS_OK;
}

void aws_job_free(struct aws_job *job)
{
    if (job == NULL)
        return;
    if (job->target != NULL)
        aws_target_release(job->target);
    free(job->block);
    free(job);
}
