/*
 * aws_rig: an aws over http.h without a network, in a world whose keys are of the environment, and
 * what became of the requests that were sent by it.
 */
#ifndef TESTS_EDGE_AWS_RIG_H
#define TESTS_EDGE_AWS_RIG_H

#include "engine/edge/aws.h"
#include "tests/edge/canned.h"

#define AWS_RIG_ENDS_MAX 64u

struct aws_rig_end {
    int no; /* of the request */
    bool ok, retryable;
    enum http_end end;
    int status;
    char error[128], message[2048], json[512];
};

struct aws_rig {
    struct canned_world canned;
    struct http *http;
    struct aws *aws; /* NULL until aws_rig_open */
    struct aws_rig_end ends[AWS_RIG_ENDS_MAX];
    uint32_t ends_count, retries;
};

/* The context of aws_rig_request's requests. */
struct aws_rig_tag {
    struct aws_rig *rig;
    int no;
};

int aws_rig_setup(void **state);
int aws_rig_teardown(void **state);
/* `config`: of the section "aws", in JSON; NULL: none. */
void aws_rig_open(struct aws_rig *rig, const char *config);
/* One to SQS; `no` is below AWS_RIG_ENDS_MAX. */
struct aws_request aws_rig_request(struct aws_rig *rig, int no);
void aws_rig_send(struct aws_rig *rig, int no);
/* Keeps the end. */
void aws_rig_on_end(void *context, const struct aws_answer *answer);
/* After that time, as the edge thread does it: until nothing is due for now. */
void aws_rig_turn(struct aws_rig *rig, int64_t ms);
/* Asserts that `part` is in `text`. */
void aws_rig_contains(const char *text, const char *part);

#endif
