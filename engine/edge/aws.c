#include "engine/edge/aws.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/nearest.h"
#include "engine/edge/aws_parts.h"
#include "engine/edge/url.h"

/* ---- the configuration -----------------------------------------------------------------------
 */

static enum status unknown_field(const char *key, struct problem *problem)
{
    struct nearest nearest = nearest_to(key);
    nearest_offer(&nearest, "region");
    nearest_offer(&nearest, "profile");
    nearest_offer(&nearest, "endpoint_url");
    char hint[NEAREST_HINT_BYTES];
    nearest_hint(&nearest, "; there are region, profile and endpoint_url", hint);
    return problem_set(problem, STATUS_INVALID, "aws.%.64s: no such field%s", key, hint);
}

static enum status take_field(struct aws *aws, const char *key, const json_t *value,
                              struct problem *problem)
{
    char **field = NULL;
    if (strcmp(key, "region") == 0)
        field = &aws->region;
    else if (strcmp(key, "profile") == 0)
        field = &aws->profile_name;
    else if (strcmp(key, "endpoint_url") == 0)
        field = &aws->endpoint_url;
    if (field == NULL)
        return unknown_field(key, problem);
    const char *text = json_string_value(value);
    if (text == NULL || text[0] == '\0')
        return problem_set(problem, STATUS_INVALID, "aws.%s: expected a text that is not empty",
                           key);
    *field = strdup(text);
    return *field != NULL ? STATUS_OK : problem_set(problem, STATUS_NO_MEMORY, "no memory");
}

static enum status take_config(struct aws *aws, const json_t *config, struct problem *problem)
{
    if (config == NULL || json_is_null(config))
        return STATUS_OK;
    if (!json_is_object(config))
        return problem_set(problem, STATUS_INVALID,
                           "aws: expected fields (region, profile, endpoint_url)");
    enum status status = STATUS_OK;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)config, key, value)
    {
        status = take_field(aws, key, value, problem);
        if (status != STATUS_OK)
            return status;
    }
    struct url url;
    if (aws->endpoint_url != NULL && !url_split(aws->endpoint_url, &url)) {
        char shown[URL_SHOWN_BYTES];
        url_show(aws->endpoint_url, shown);
        return problem_set(problem, STATUS_INVALID,
                           "aws.endpoint_url: \"%s\" is no URL; write it as http://HOST:PORT",
                           shown);
    }
    return STATUS_OK;
}

/* ---- open and close --------------------------------------------------------------------------
 */

static void on_keys_change(void *context)
{
    struct aws *aws = context;
    aws->keys_changed = true;
    if (!aws->closing)
        http_wake(aws->http);
}

static enum status open_parts(struct aws *aws, const json_t *config, struct problem *problem)
{
    enum status status = take_config(aws, config, problem);
    if (status == STATUS_OK)
        status = profile_open(&aws->world, aws->profile_name, &aws->profile, problem);
    if (status != STATUS_OK)
        return status;
    aws->book = (struct endpoint_book){
        .world = &aws->world,
        .profile = aws->profile,
        .region = aws->region,
        .endpoint_url = aws->endpoint_url,
    };
    struct credentials_options options = {
        .world = &aws->world,
        .http = aws->http,
        .book = &aws->book,
        .profile = aws->profile_name,
        .on_change = on_keys_change,
        .context = aws,
    };
    return credentials_open(&options, &aws->credentials, problem);
}

static void free_aws(struct aws *aws)
{
    credentials_close(aws->credentials);
    aws_targets_free(aws);
    profile_close(aws->profile);
    free(aws->region);
    free(aws->endpoint_url);
    free(aws->profile_name);
    free(aws);
}

enum status aws_open_in(const struct world *world, struct http *http, const json_t *config,
                        struct aws **ret_aws, struct problem *problem)
{
    struct aws *aws = calloc(1, sizeof *aws);
    if (aws == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "no memory for requests to AWS");
    aws->world = *world;
    aws->http = http;
    enum status status = open_parts(aws, config, problem);
    if (status != STATUS_OK) {
        free_aws(aws);
        return status;
    }
    *ret_aws = aws;
    return STATUS_OK;
}

enum status aws_open(struct http *http, const json_t *config, struct aws **ret_aws,
                     struct problem *problem)
{
    struct world world = world_of_machine();
    return aws_open_in(&world, http, config, ret_aws, problem);
}

void aws_close(struct aws *aws)
{
    if (aws == NULL)
        return;
    aws->closing = true;
    while (aws->oldest != NULL)
        aws_job_fail(aws->oldest, HTTP_CANCELLED, "given up: the engine ends");
    free_aws(aws);
}

bool aws_has_endpoint(const struct aws *aws, const char *service)
{
    return endpoint_is_said(&aws->book, service);
}

const char *aws_region(const struct aws *aws)
{
    return endpoint_region(&aws->book, NULL);
}

/* ---- requests --------------------------------------------------------------------------------
 */

static void link_job(struct aws *aws, struct aws_job *job)
{
    job->no = ++aws->job_no;
    job->before = aws->newest;
    *(aws->newest != NULL ? &aws->newest->after : &aws->oldest) = job;
    aws->newest = job;
    aws->jobs_count++;
}

enum status aws_send(struct aws *aws, const struct aws_request *request, struct problem *problem)
{
    if (aws->closing || aws->jobs_count == AWS_REQUESTS_MAX)
        return problem_set(problem, STATUS_BUSY, "%u requests to AWS are under way; try again",
                           aws->jobs_count);
    struct aws_job *job;
    enum status status = aws_job_make(aws, request, &job, problem);
    if (status != STATUS_OK)
        return status;
    bool behind = aws->keyless_count > 0 && aws->keys_changed;
    if (behind)
        aws_job_wait_for_key(job);
    else
        status = aws_job_try(job, problem);
    if (status != STATUS_OK) {
        aws_job_free(job);
        return status;
    }
    link_job(aws, job);
    if (job->place != AWS_OUT)
        http_wake(aws->http);
    return STATUS_OK;
}

/* ---- turns -----------------------------------------------------------------------------------
 */

static void try_due(struct aws *aws, int64_t now_ms)
{
    while (aws->heap_count > 0 && aws->heap[0]->due_ms <= now_ms) {
        struct aws_job *job = aws_due_pop(aws);
        job->place = AWS_NOWHERE;
        aws_job_try_again(job);
    }
}

static struct aws_job *oldest_keyless(struct aws *aws, uint64_t no_max)
{
    struct aws_job *job = aws->oldest;
    while (job != NULL && job->place != AWS_KEYLESS)
        job = job->after;
    return job != NULL && job->no <= no_max ? job : NULL;
}

/* In the order they came. One that ends lets its module send more: these are the next turn's. */
static void end_keyless(struct aws *aws)
{
    struct sigv4_key key;
    uint64_t no_max = aws->job_no;
    aws->keys_changed = false;
    for (;;) {
        enum credentials_state state = credentials_get(aws->credentials, &key);
        struct aws_job *job = oldest_keyless(aws, no_max);
        if (job == NULL || state == CREDENTIALS_COMING)
            return;
        if (state == CREDENTIALS_NONE) {
            aws_job_fail(job, HTTP_NOT_SENT, credentials_sentence(aws->credentials));
            continue;
        }
        aws->keyless_count--;
        job->place = AWS_NOWHERE;
        aws_job_try_again(job);
    }
}

static void fail_late(struct aws *aws, struct aws_job *job)
{
    char sentence[1024];
    snprintf(sentence, sizeof sentence,
             "its time was over before there were credentials; they are still asked for at %s",
             credentials_place(aws->credentials));
    aws_job_fail(job, job->maybe_done ? HTTP_TIMED_OUT : HTTP_NOT_SENT, sentence);
}

/* Returns when the next one's time is over, INT64_MAX: none waits. */
static int64_t expire_keyless(struct aws *aws, int64_t now_ms)
{
    int64_t next_ms = INT64_MAX;
    struct aws_job *after;
    uint64_t no_max = aws->job_no;
    for (struct aws_job *job = aws->keyless_count > 0 ? aws->oldest : NULL;
         job != NULL && job->no <= no_max; job = after) {
        after = job->after;
        if (job->place != AWS_KEYLESS)
            continue;
        if (job->deadline_ms <= now_ms)
            fail_late(aws, job);
        else if (job->deadline_ms < next_ms)
            next_ms = job->deadline_ms;
    }
    return next_ms;
}

int64_t aws_turn(struct aws *aws)
{
    uint64_t failed_no = aws->failed_no;
    int64_t renew_in_ms = credentials_turn(aws->credentials);
    if (aws->keys_changed)
        end_keyless(aws);
    int64_t now_ms = aws->world.now_ms(aws->world.context);
    int64_t next_ms = expire_keyless(aws, now_ms);
    try_due(aws, now_ms);
    if (aws->heap_count > 0 && aws->heap[0]->due_ms < next_ms)
        next_ms = aws->heap[0]->due_ms;
    /* Whoever was told of a failure may wait for a time of its own now, which a turn of it says. */
    if (aws->keys_changed || aws->failed_no != failed_no)
        return 0;
    int64_t in_ms = next_ms == INT64_MAX ? -1 : next_ms > now_ms ? next_ms - now_ms : 0;
    if (in_ms < 0 || (renew_in_ms >= 0 && renew_in_ms < in_ms))
        in_ms = renew_in_ms;
    return in_ms;
}
