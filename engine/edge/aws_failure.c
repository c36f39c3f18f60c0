#include "engine/edge/aws_failure.h"

#include <string.h>

#include "engine/base/clock.h"

uint32_t aws_failure_time_left_ms(const struct edge_call *call, uint32_t timeout_ms)
{
    if (call->deadline_ms == 0)
        return timeout_ms;
    int64_t left_ms = call->deadline_ms - clock_wall_ms();
    if (left_ms <= 0)
        return 0;
    return left_ms < (int64_t)timeout_ms ? (uint32_t)left_ms : timeout_ms;
}

void aws_failure_tell_timeout(struct edge_thread *thread, struct edge_call *call, const char *about)
{
    edge_failed(thread, call, true, "States.Timeout",
                "%s: the step's time was over before it was answered", about);
}

static bool is_of_model(const struct aws_failure_names *names, const char *error)
{
    for (const char *const *name = names->model; *name != NULL; name++)
        if (strcmp(*name, error) == 0)
            return true;
    return false;
}

/* The service said why. */
static void tell_refusal(struct edge_thread *thread, struct edge_call *call,
                         const struct aws_failure_names *names, const struct aws_answer *answer,
                         const char *about, const char *hint)
{
    bool of_model = is_of_model(names, answer->error);
    char error[EDGE_ERROR_BYTES];
    snprintf(error, sizeof error, "%s.%s", names->prefix,
             of_model ? answer->error : names->general);
    edge_failed(thread, call, answer->retryable, error, "%s: %s%s%s (HTTP %d%s%s)", about,
                answer->message, hint[0] != '\0' ? "; " : "", hint, answer->http.status,
                of_model || answer->error[0] == '\0' ? "" : ", ", of_model ? "" : answer->error);
}

static void tell_silence(struct edge_thread *thread, struct edge_call *call,
                         const struct aws_failure_names *names, const struct aws_answer *answer,
                         const char *about)
{
    bool timed_out = answer->http.end == HTTP_TIMED_OUT;
    if (timed_out && aws_failure_time_left_ms(call, 1) == 0) {
        aws_failure_tell_timeout(thread, call, about);
        return;
    }
    char error[EDGE_ERROR_BYTES];
    snprintf(error, sizeof error, "%s.%s", names->prefix,
             timed_out ? "ClientExecutionTimeoutException" : "SdkClientException");
    bool unknown = timed_out || answer->http.end == HTTP_LOST;
    edge_failed(thread, call, true, error, "%s: %s%s", about, answer->message,
                unknown ? "; it may have been done" : "");
}

void aws_failure_tell(struct edge_thread *thread, struct edge_call *call,
                      const struct aws_failure_names *names, const struct aws_answer *answer,
                      const char *about, const char *hint)
{
    if (answer->http.end == HTTP_ANSWERED)
        tell_refusal(thread, call, names, answer, about, hint);
    else if (answer->http.end == HTTP_TOO_LARGE)
        edge_failed(
            thread, call, false, "States.DataLimitExceeded",
            "%s: the answer is larger than a payload may be (%u bytes); store what is large "
            "elsewhere, and answer with where it is",
            about, FLYOVER_PAYLOAD_BYTES_MAX);
    else
        tell_silence(thread, call, names, answer, about);
}
