/*
 * aws_failure: how a request to AWS that failed is told to the definition: by the names that Step
 * Functions gives, so that Retry and Catch written for it work.
 *
 *     what happened                                    name
 *     the service answered with an error of its model  PREFIX.ERROR, "Lambda.ServiceException"
 *     with another one (ValidationException, access    PREFIX.GENERAL, "Lambda.AWSLambdaException",
 *     denied, ...)                                     the service's word for it is in the cause
 *     no answer in time: the step's own time is over   States.Timeout
 *     the module's time is over                        PREFIX.ClientExecutionTimeoutException
 *     no connection, a lost one, no credentials        PREFIX.SdkClientException
 *     the answer is too large                          States.DataLimitExceeded
 *
 * Threads: the edge thread. Memory: none.
 */
#ifndef ENGINE_EDGE_AWS_FAILURE_H
#define ENGINE_EDGE_AWS_FAILURE_H

#include "engine/edge/aws.h"
#include "engine/edge/edge_module.h"

struct aws_failure_names {
    const char *prefix;
    const char *general;
    const char *const *model; /* ended by NULL */
};

/* The answer is no success, and not HTTP_CANCELLED. `about` begins the cause: "table orders";
 * `hint`, what to do about it, ends it, and may be "". Answers the call. */
void aws_failure_tell(struct edge_thread *thread, struct edge_call *call,
                      const struct aws_failure_names *names, const struct aws_answer *answer,
                      const char *about, const char *hint);
/* How long a request may take from now: what the step has left, at most `timeout_ms`. 0: its time
 * is over. */
uint32_t aws_failure_time_left_ms(const struct edge_call *call, uint32_t timeout_ms);
void aws_failure_tell_timeout(struct edge_thread *thread, struct edge_call *call,
                              const char *about);

#endif
