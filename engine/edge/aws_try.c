/* An attempt: a key, a slot of the endpoint's rate, a signature, and out. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/aws_parts.h"
#include "engine/edge/url.h"

#define BUSY_AGAIN_MS 20

/* What is sent beside the headers of the request. */
struct own_headers {
    char host[ENDPOINT_URL_BYTES + 8];
    char date[SIGV4_DATE_BYTES + 16];
    char authorization[SIGV4_AUTHORIZATION_BYTES + 16];
    char target[256 + 16];
    char type[256 + 16];
    char *token; /* owned; NULL: none */
    const char *list[HTTP_HEADERS_MAX];
    uint32_t count;
};

static enum status name_headers(struct own_headers *own, const struct aws_job *job,
                                const struct url *url, struct problem *problem)
{
    const struct aws_request *request = &job->request;
    const char *type =
        request->target != NULL ? "application/x-amz-json-1.0" : request->content_type;
    int host = snprintf(own->host, sizeof own->host, "Host: %.*s", (int)url->host_bytes, url->host);
    int target = snprintf(own->target, sizeof own->target, "X-Amz-Target: %s",
                          request->target != NULL ? request->target : "");
    int types = snprintf(own->type, sizeof own->type, "Content-Type: %s", type != NULL ? type : "");
    if (host >= (int)sizeof own->host || target >= (int)sizeof own->target ||
        types >= (int)sizeof own->type)
        return problem_set(problem, STATUS_INVALID,
                           "the host, the target or the content type of a request to %s is longer "
                           "than any of AWS's",
                           request->service);
    for (uint32_t i = 0; i < request->headers_count; i++)
        own->list[own->count++] = request->headers[i];
    if (request->target != NULL)
        own->list[own->count++] = own->target;
    if (type != NULL)
        own->list[own->count++] = own->type;
    return STATUS_OK;
}

static const char *method_of(const struct aws_request *request)
{
    return request->method != NULL ? request->method : "POST";
}

static int64_t signing_time_s(const struct aws_job *job)
{
    const struct world *world = &job->aws->world;
    return (world->wall_ms(world->context) + job->target->skew_ms) / 1000;
}

static enum status sign(struct own_headers *own, struct aws_job *job, const struct url *url,
                        const struct sigv4_key *key, struct problem *problem)
{
    const struct aws_request *request = &job->request;
    struct sigv4_request to_sign = {
        .method = method_of(request),
        .host = own->host + strlen("Host: "),
        .path = url->path,
        .path_bytes = url->path_bytes,
        .query = url->query,
        .query_bytes = url->query_bytes,
        .service = request->service,
        .region = request->region,
        .headers = own->list,
        .headers_count = own->count,
        .body = request->body,
        .body_bytes = request->body_bytes,
        .now_s = signing_time_s(job),
    };
    struct sigv4_signed made;
    enum status status = sigv4_sign(key, &to_sign, &job->target->cache, &made, problem);
    if (status != STATUS_OK)
        return status;
    snprintf(own->date, sizeof own->date, "X-Amz-Date: %s", made.date);
    snprintf(own->authorization, sizeof own->authorization, "Authorization: %s",
             made.authorization);
    bool has_token = key->session_token != NULL && key->session_token[0] != '\0';
    if (has_token && asprintf(&own->token, "X-Amz-Security-Token: %s", key->session_token) < 0)
        return problem_set(problem, STATUS_NO_MEMORY, "no memory for a request's headers");
    return STATUS_OK;
}

static enum status send_signed(struct own_headers *own, struct aws_job *job, int64_t now_ms,
                               struct problem *problem)
{
    own->list[own->count++] = own->host;
    own->list[own->count++] = own->date;
    own->list[own->count++] = own->authorization;
    if (own->token != NULL)
        own->list[own->count++] = own->token;
    assert(own->count <= HTTP_HEADERS_MAX);
    const struct aws_request *request = &job->request;
    struct http_request http_request = {
        .method = method_of(request),
        .url = request->url,
        .headers = own->list,
        .headers_count = own->count,
        .body = request->body_bytes > 0 ? request->body : NULL,
        .body_bytes = request->body_bytes,
        .timeout_ms = (uint32_t)(job->deadline_ms - now_ms),
        .patience_ms = request->patience_ms,
        .answer_bytes_max = request->answer_bytes_max,
        .repeatable = !request->once,
        .on_end = aws_on_http_end,
        .context = job,
    };
    return http_send(job->aws->http, &http_request, problem);
}

static enum status send_with(struct aws_job *job, const struct sigv4_key *key, int64_t now_ms,
                             struct problem *problem)
{
    struct url url;
    bool is_url = url_split(job->request.url, &url);
    assert(is_url);
    struct own_headers *own = calloc(1, sizeof *own);
    if (own == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "no memory for a request's headers");
    enum status status = name_headers(own, job, &url, problem);
    if (status == STATUS_OK)
        status = sign(own, job, &url, key, problem);
    if (status == STATUS_OK)
        status = send_signed(own, job, now_ms, problem);
    free(own->token);
    free(own);
    if (status != STATUS_OK)
        return status;
    snprintf(job->key_id, sizeof job->key_id, "%s", key->access_key_id);
    job->place = AWS_OUT;
    job->has_slot = false;
    return STATUS_OK;
}

void aws_job_wait_for_key(struct aws_job *job)
{
    job->place = AWS_KEYLESS;
    job->aws->keyless_count++;
}

static int64_t min_ms(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Now, or when its slot comes. One whose time is over before that takes none: slots that pass
 * unused would leave ever less to those behind, where more is asked for than the endpoint takes. */
static bool wait_for_slot(struct aws_job *job, int64_t now_ms)
{
    int64_t wait_ms = throttle_slot_ms(&job->target->throttle, now_ms);
    bool is_late = wait_ms >= job->deadline_ms - now_ms;
    job->has_slot = !is_late;
    if (is_late)
        throttle_return_slot(&job->target->throttle);
    if (wait_ms > 0)
        aws_due_push(job->aws, job, min_ms(now_ms + wait_ms, job->deadline_ms));
    return wait_ms > 0;
}

enum status aws_job_try(struct aws_job *job, struct problem *problem)
{
    struct aws *aws = job->aws;
    int64_t now_ms = aws->world.now_ms(aws->world.context);
    if (!job->has_slot && wait_for_slot(job, now_ms))
        return STATUS_OK;
    struct sigv4_key key;
    enum credentials_state state = credentials_get(aws->credentials, &key);
    if (state == CREDENTIALS_READY)
        return send_with(job, &key, now_ms, problem);
    /* Why there are none is said by the next turn, never within aws_send. */
    aws->keys_changed = aws->keys_changed || state == CREDENTIALS_NONE;
    aws_job_wait_for_key(job);
    return STATUS_OK;
}

static void fail_late(struct aws_job *job)
{
    char sentence[1024];
    const char *url = job->request.url;
    snprintf(sentence, sizeof sentence,
             "its time was over before its turn to be sent came (%s at %.*s, which lets through "
             "less than it is asked for); give it more time, or ask less often",
             job->request.service, (int)url_origin_bytes(url), url);
    aws_job_fail(job, job->maybe_done ? HTTP_TIMED_OUT : HTTP_NOT_SENT, sentence);
}

void aws_job_try_again(struct aws_job *job)
{
    struct problem problem;
    struct aws *aws = job->aws;
    int64_t now_ms = aws->world.now_ms(aws->world.context);
    if (now_ms >= job->deadline_ms) {
        fail_late(job);
        return;
    }
    enum status status = aws_job_try(job, &problem);
    if (status == STATUS_BUSY)
        aws_due_push(aws, job, min_ms(now_ms + BUSY_AGAIN_MS, job->deadline_ms));
    else if (status != STATUS_OK)
        aws_job_fail(job, HTTP_NOT_SENT, problem.text);
}
