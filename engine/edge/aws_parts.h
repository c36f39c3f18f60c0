/*
 * aws_parts: the insides of aws.h, for its own files.
 *
 *     aws_send ─► signed ─► http ─► answered ─► ended: on_end
 *         │         ▲                  │
 *         │         └── due (heap) ◄───┤ backoff, a slot of the endpoint's rate
 *         └► no credentials yet ◄──────┘ expired
 *
 * Each request is in exactly one of these places.
 */
#ifndef ENGINE_EDGE_AWS_PARTS_H
#define ENGINE_EDGE_AWS_PARTS_H

#include "engine/edge/aws.h"
#include "engine/edge/credentials.h"
#include "engine/edge/endpoint.h"
#include "engine/edge/fault.h"
#include "engine/edge/profile.h"
#include "engine/edge/sigv4.h"
#include "engine/edge/throttle.h"

#define AWS_TARGET_CHAINS    512u
#define AWS_TARGETS_IDLE_MAX 256u
#define AWS_KEY_ID_BYTES     129u /* IAM's limit is 128 */

/* One thing that is asked: a URL without its query, a service, a region, a resource. Requests hold
 * it. */
struct aws_target {
    struct aws_target *next; /* of its chain */
    char *name;              /* "https://lambda.…/path\nlambda\neu-central-1" */
    uint32_t holders;
    uint64_t used_no; /* the one with the smallest goes first */
    int64_t skew_ms;  /* its clock is that much ahead of ours */
    struct throttle throttle;
    struct sigv4_cache cache;
};

enum aws_place { AWS_NOWHERE, AWS_DUE, AWS_KEYLESS, AWS_OUT };

struct aws_job {
    struct aws *aws;                /* NULL: it has ended, only http.h does not know yet */
    struct aws_job *before, *after; /* all there are, oldest first */
    enum aws_place place;
    uint64_t no;
    int64_t due_ms; /* AWS_DUE */
    uint64_t due_no;
    uint32_t heap_index;
    int64_t deadline_ms;
    uint32_t retries;        /* that were paid for */
    uint32_t paid;           /* for the last one */
    bool renewed, corrected; /* once each */
    bool has_slot;           /* of the endpoint's rate, for the next attempt */
    bool maybe_done;         /* an attempt was lost on the way, or failed over there */
    struct aws_target *target;
    struct aws_request request; /* a copy: what it points at is in `block` */
    const char *header_list[HTTP_HEADERS_MAX];
    const char *endpoint_from, *region_from;
    char key_id[AWS_KEY_ID_BYTES]; /* that the last attempt was signed with */
    char *block;
};

struct aws {
    struct world world;
    struct http *http;
    struct profile *profile;
    struct endpoint_book book;
    struct credentials *credentials;
    char *region, *endpoint_url, *profile_name; /* of the configuration; NULL: not there */
    struct aws_job *oldest, *newest;
    uint32_t jobs_count;
    uint32_t keyless_count;
    bool keys_changed;
    struct aws_job *heap[AWS_REQUESTS_MAX];
    uint32_t heap_count;
    uint64_t due_no, job_no;
    uint64_t failed_no; /* how many ended by a sentence of ours */
    bool closing;
    struct aws_target *targets[AWS_TARGET_CHAINS];
    uint32_t targets_count;
    uint64_t used_no;
};

/* aws_target.c */
/* Returns held; NULL: no memory. */
struct aws_target *aws_target_hold(struct aws *aws, const char *name);
void aws_target_release(struct aws_target *target);
void aws_targets_free(struct aws *aws);

/* aws_due.c: a heap of jobs by due_ms, those of the same time in the order they came. */
void aws_due_push(struct aws *aws, struct aws_job *job, int64_t due_ms);
struct aws_job *aws_due_pop(struct aws *aws);
void aws_due_remove(struct aws *aws, struct aws_job *job);

/* aws_job.c */
/* A copy of the request, with its URL, region and target; not in any place yet. */
NODISCARD enum status aws_job_make(struct aws *aws, const struct aws_request *request,
                                   struct aws_job **ret_job, struct problem *problem);
/* Lets go of the target too, if it has one. */
void aws_job_free(struct aws_job *job);

/* aws_try.c */
/* Signs and sends, or puts it where it has to wait. Not OK: it is in no place. */
NODISCARD enum status aws_job_try(struct aws_job *job, struct problem *problem);
/* Behind those that wait for a key. */
void aws_job_wait_for_key(struct aws_job *job);
/* aws_job_try for one that waited: a failure ends it. */
void aws_job_try_again(struct aws_job *job);

/* aws_end.c */
/* Of http.h; context is a job. */
void aws_on_http_end(void *context, const struct http_answer *answer);
/* Takes it out of its place, and ends it with a sentence of ours. */
void aws_job_fail(struct aws_job *job, enum http_end end, const char *sentence);

#endif
