/*
 * sqs_rig: an edge thread and an AWS of the test's own. Requests lie here until the test answers
 * them; calls that end, messages that are brought and lines of the log lie here to be looked at.
 * Clocks stand still but for rig.later_ms: link with --wrap=clock_gettime.
 */
#ifndef TESTS_EDGE_SQS_RIG_H
#define TESTS_EDGE_SQS_RIG_H

#include <jansson.h>
#include <stdbool.h>

#include "engine/edge/aws.h"
#include "engine/edge/edge_module.h"

#define RIG_LIST_MAX 4096u

struct rig_request {
    char *service, *region, *url, *target, *body;
    json_t *json; /* the body, or NULL */
    uint32_t timeout_ms, patience_ms;
    void (*on_end)(void *context, const struct aws_answer *answer);
    void (*on_retry)(void *context);
    void *context;
};

struct rig_end {
    char key[EDGE_KEY_BYTES];
    json_t *output; /* NULL: it failed */
    bool retryable;
    char error[EDGE_ERROR_BYTES], cause[EDGE_CAUSE_BYTES];
};

struct rig_message {
    enum edge_message_kind kind;
    char definition[128], name[EDGE_NAME_BYTES], token[80], error[128], cause[256];
    uint64_t saga_id;
    json_t *input;
    void *handle;
};

struct rig {
    struct rig_request requests[RIG_LIST_MAX];
    uint32_t requests_count;
    enum status send_status; /* of the next aws_send */
    bool has_endpoint;
    struct rig_end ends[RIG_LIST_MAX];
    uint32_t ends_count;
    struct edge_call *open[RIG_LIST_MAX];
    uint32_t retries, ends_told, refused;
    struct rig_message messages[RIG_LIST_MAX];
    uint32_t messages_count; /* brought and not taken by the test */
    uint32_t room;
    enum status bring_status;
    char log[65536];
    int64_t later_ms; /* what the clocks have gone on since the set up */
    bool without_aws; /* the configuration has no such section */
};

extern struct rig rig;

int rig_set_up(void **state);
int rig_tear_down(void **state);
struct edge_context rig_context(void);
/* Opens the module with this configuration, or fails the test. */
void *rig_open(const struct edge_kind *kind, const char *config);
/* The sentence of a configuration that is refused. */
const char *rig_refused(const struct edge_kind *kind, const char *config);
void rig_turn(const struct edge_kind *kind, void *module);

struct edge_call *rig_call(const char *key, const char *input);
/* The end of the call with this key, or NULL. */
const struct rig_end *rig_end_of(const char *key);

/* The place of the first request for this action, or -1. */
int rig_find(const char *action);
/* The request leaves the list, and its on_end is called. */
void rig_answer(uint32_t index, const char *body);
void rig_answer_json(uint32_t index, json_t *body);
void rig_fail(uint32_t index, int status, const char *error, bool retryable);
void rig_lose(uint32_t index);
/* What is under way ends as it does before a module is closed. */
void rig_cancel(void);

#endif
