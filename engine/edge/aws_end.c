/* What came of an attempt: the request's end, or another attempt. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/edge/aws_parts.h"
#include "engine/edge/url.h"

#define SENTENCE_BYTES    3072u
#define RETRY_AFTER_S_MAX 86400

static int64_t now_ms_of(const struct aws *aws)
{
    return aws->world.now_ms(aws->world.context);
}

/* ---- the end ---------------------------------------------------------------------------------
 */

static void unlink_job(struct aws_job *job)
{
    struct aws *aws = job->aws;
    *(job->before != NULL ? &job->before->after : &aws->oldest) = job->after;
    *(job->after != NULL ? &job->after->before : &aws->newest) = job->before;
    aws->jobs_count--;
}

static void leave_place(struct aws_job *job)
{
    if (job->place == AWS_DUE)
        aws_due_remove(job->aws, job);
    else if (job->place == AWS_KEYLESS)
        job->aws->keyless_count--;
}

static void end_job(struct aws_job *job, const struct aws_answer *answer)
{
    unlink_job(job);
    job->request.on_end(job->request.context, answer);
    aws_job_free(job);
}

static bool may_go_better(enum http_end end)
{
    return end != HTTP_TOO_LARGE && end != HTTP_CANCELLED;
}

void aws_job_fail(struct aws_job *job, enum http_end end, const char *sentence)
{
    leave_place(job);
    job->aws->failed_no++;
    struct aws_answer answer = {
        .http = {.end = end, .body = "", .sentence = sentence},
        .retryable = may_go_better(end),
        .error = "",
        .message = sentence,
    };
    if (job->place != AWS_OUT) {
        end_job(job, &answer);
        return;
    }
    /* http.h has it still: what it says later is for nobody. */
    unlink_job(job);
    job->aws = NULL;
    aws_target_release(job->target);
    job->target = NULL;
    job->request.on_end(job->request.context, &answer);
}

/* ---- another attempt -------------------------------------------------------------------------
 */

static void ask_again(struct aws_job *job, int64_t delay_ms)
{
    if (job->request.on_retry != NULL)
        job->request.on_retry(job->request.context);
    if (delay_ms > 0)
        aws_due_push(job->aws, job, now_ms_of(job->aws) + delay_ms);
    else
        aws_job_try_again(job);
}

static bool is_lost(enum http_end end)
{
    return end == HTTP_NOT_SENT || end == HTTP_LOST || end == HTTP_TIMED_OUT;
}

/* By the whole seconds of a Retry-After, else by chance. */
static int64_t delay_ms_of(const struct aws_job *job, const struct http_answer *answer)
{
    const struct world *world = &job->aws->world;
    int64_t delay_ms = throttle_backoff_ms(job->retries, world->chance(world->context));
    const char *after = NULL;
    if (answer->end == HTTP_ANSWERED)
        after = http_answer_header(answer, "Retry-After");
    int64_t asked_s = after != NULL ? strtol(after, NULL, 10) : 0;
    int64_t asked_ms = (asked_s < RETRY_AFTER_S_MAX ? asked_s : RETRY_AFTER_S_MAX) * 1000;
    return asked_ms > delay_ms ? asked_ms : delay_ms;
}

/* A retry that is paid for; false: none is left, or there is no time for it. */
static bool retry_later(struct aws_job *job, const struct http_answer *answer)
{
    int64_t delay_ms = delay_ms_of(job, answer);
    uint32_t cost = is_lost(answer->end) ? THROTTLE_COST_LOST : THROTTLE_COST;
    if (job->retries + 1 >= AWS_ATTEMPTS_MAX ||
        now_ms_of(job->aws) + delay_ms >= job->deadline_ms ||
        !throttle_pay(&job->target->throttle, cost))
        return false;
    job->retries++;
    job->paid = cost;
    ask_again(job, delay_ms > 0 ? delay_ms : 1);
    return true;
}

/* The scheme and host of its URL: its path is nobody's business. */
static void copy_origin(const struct aws_job *job, char ret_origin[ENDPOINT_URL_BYTES])
{
    const char *url = job->request.url;
    snprintf(ret_origin, ENDPOINT_URL_BYTES, "%.*s", (int)url_origin_bytes(url), url);
}

/* The server's clock, if it is far from the one that was signed with. */
static bool correct_clock(struct aws_job *job, const struct http_answer *answer)
{
    struct aws *aws = job->aws;
    int64_t date_s = fault_date_s(http_answer_header(answer, "Date"));
    if (date_s < 0 || job->corrected)
        return false;
    int64_t skew_ms = date_s * 1000 - aws->world.wall_ms(aws->world.context);
    if (llabs(skew_ms - job->target->skew_ms) < FAULT_SKEW_MS_MIN)
        return false;
    job->target->skew_ms = skew_ms;
    job->corrected = true;
    char origin[ENDPOINT_URL_BYTES];
    copy_origin(job, origin);
    world_log(&aws->world, 4, "aws_clock",
              "this machine's clock is %lld s %s that of %s: requests are signed with the "
              "corrected time; set the clock, for instance with chrony",
              llabs(skew_ms) / 1000, skew_ms > 0 ? "behind" : "ahead of", origin);
    return true;
}

static bool renew_key(struct aws_job *job)
{
    if (job->renewed || !credentials_refuse(job->aws->credentials, job->key_id))
        return false;
    job->renewed = true;
    return true;
}

/* True: it was sent again, or waits for that. */
static bool answer_to_fault(struct aws_job *job, const struct http_answer *answer,
                            enum fault_kind kind)
{
    bool about_time = kind == FAULT_SKEWED || kind == FAULT_KEY;
    bool about_key = kind == FAULT_EXPIRED || kind == FAULT_KEY;
    if ((about_time && correct_clock(job, answer)) || (about_key && renew_key(job))) {
        ask_again(job, 0);
        return true;
    }
    if (kind == FAULT_THROTTLED || (kind == FAULT_TRANSIENT && !job->request.once))
        return retry_later(job, answer);
    return false;
}

/* ---- what an answer says ---------------------------------------------------------------------
 */

static json_t *read_body(const struct http_answer *answer)
{
    const char *type = http_answer_header(answer, "Content-Type");
    size_t spaces = strspn(answer->body, " \t\r\n");
    char first = answer->body[spaces];
    bool is_json =
        (type != NULL && strcasestr(type, "json") != NULL) || first == '{' || first == '[';
    if (!is_json || answer->body_bytes == 0)
        return NULL;
    return json_loadb(answer->body, answer->body_bytes, JSON_DECODE_ANY, NULL);
}

static void say_fault(struct aws_job *job, struct fault *fault)
{
    char origin[ENDPOINT_URL_BYTES];
    copy_origin(job, origin);
    struct fault_place place = {
        .service = job->request.service,
        .region = job->request.region,
        .region_from = job->region_from,
        .url = origin,
        .endpoint_from = job->endpoint_from,
        .access_key_id = job->key_id,
        .credentials_place = credentials_place(job->aws->credentials),
    };
    fault_advise(fault, &place);
}

static bool is_success(const struct http_answer *answer)
{
    return answer->status >= 200 && answer->status < 300;
}

static void on_success(struct aws_job *job, const struct http_answer *answer)
{
    struct aws_answer out = {.http = *answer, .ok = true, .error = "", .message = ""};
    throttle_refund(&job->target->throttle, job->paid);
    throttle_on_answer(&job->target->throttle, false, now_ms_of(job->aws));
    if (!job->request.reads_body)
        out.json = read_body(answer);
    end_job(job, &out);
    json_decref(out.json);
}

static bool is_retryable(enum fault_kind kind)
{
    return kind == FAULT_TRANSIENT || kind == FAULT_THROTTLED || kind == FAULT_EXPIRED;
}

static void on_fault(struct aws_job *job, const struct http_answer *answer)
{
    struct fault fault;
    json_t *json = read_body(answer);
    fault_read(answer, json, &fault);
    throttle_on_answer(&job->target->throttle, fault.kind == FAULT_THROTTLED, now_ms_of(job->aws));
    job->maybe_done = job->maybe_done || fault.kind == FAULT_TRANSIENT;
    if (!answer_to_fault(job, answer, fault.kind)) {
        if (fault.kind != FAULT_TRANSIENT && fault.kind != FAULT_THROTTLED)
            throttle_refund(&job->target->throttle, job->paid);
        say_fault(job, &fault);
        struct aws_answer out = {
            .http = *answer,
            .retryable = is_retryable(fault.kind),
            .error = fault.name,
            .message = fault.message,
            .json = json,
        };
        end_job(job, &out);
    }
    json_decref(json);
}

static void on_silence(struct aws_job *job, const struct http_answer *answer)
{
    job->maybe_done = job->maybe_done || answer->end != HTTP_NOT_SENT;
    bool again = answer->end == HTTP_NOT_SENT || (answer->end == HTTP_LOST && !job->request.once);
    if (again && retry_later(job, answer))
        return;
    char sentence[SENTENCE_BYTES], origin[ENDPOINT_URL_BYTES];
    copy_origin(job, origin);
    snprintf(sentence, sizeof sentence, "%s (%s in %s, endpoint %s from %s)", answer->sentence,
             job->request.service, job->request.region, origin, job->endpoint_from);
    struct aws_answer out = {
        .http = *answer,
        .retryable = may_go_better(answer->end),
        .error = "",
        .message = sentence,
    };
    out.http.sentence = sentence;
    end_job(job, &out);
}

void aws_on_http_end(void *context, const struct http_answer *answer)
{
    struct aws_job *job = context;
    if (job->aws == NULL) {
        aws_job_free(job);
        return;
    }
    job->place = AWS_NOWHERE;
    if (answer->end != HTTP_ANSWERED)
        on_silence(job, answer);
    else if (is_success(answer))
        on_success(job, answer);
    else
        on_fault(job, answer);
}
