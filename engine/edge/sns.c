#include "engine/edge/sns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/section.h"

#define TELEPHONES    "telephones" /* all of them are one destination */
#define REGION_BYTES  64u
#define SNS_ARN_BYTES 2049u

/* ---- a call becomes an entry -------------------------------------------------------------------
 */

static const char *const fields[] = {"TopicArn",
                                     "TargetArn",
                                     "PhoneNumber",
                                     "Message",
                                     "Subject",
                                     "MessageAttributes",
                                     "MessageStructure",
                                     "MessageGroupId",
                                     "MessageDeduplicationId",
                                     NULL};

bool sns_is_topic(const char *text)
{
    return strncmp(text, "arn:", 4) == 0;
}

bool sns_is_fifo(const char *topic)
{
    size_t bytes = strlen(topic);
    return bytes > 5 && strcmp(topic + bytes - 5, ".fifo") == 0;
}

/* Where it goes to: a topic, or what is asked for singly. */
struct target {
    char arn[SNS_ARN_BYTES]; /* "": a telephone */
    bool is_topic;
};

static const char *key_of(const struct target *target)
{
    return *target->arn ? target->arn : TELEPHONES;
}

static enum status read_target(struct flyover_bytes input, struct target *target,
                               struct problem *problem)
{
    char other[SNS_ARN_BYTES];
    struct flyover_bytes telephone;
    enum status status = outbox_name(input, "TopicArn", target->arn, SNS_ARN_BYTES, problem);
    if (status == STATUS_OK)
        status = outbox_name(input, "TargetArn", other, SNS_ARN_BYTES, problem);
    if (status == STATUS_OK)
        status = outbox_text(input, "PhoneNumber", &telephone, problem);
    if (status != STATUS_OK)
        return status;
    target->is_topic = *target->arn;
    if (target->is_topic + (*other != 0) + (telephone.at != NULL) != 1)
        return problem_set(problem, STATUS_INVALID,
                           "wanted is exactly one of \"TopicArn\", \"TargetArn\" and "
                           "\"PhoneNumber\"");
    if (!target->is_topic)
        memcpy(target->arn, other, sizeof(other));
    if (*target->arn && !sns_is_topic(target->arn))
        return problem_set(problem, STATUS_INVALID,
                           "\"%s\" is no ARN: give it as SNS says it, such as "
                           "arn:aws:sns:eu-central-1:123456789012:orders",
                           target->is_topic ? "TopicArn" : "TargetArn");
    return STATUS_OK;
}

static enum status copy_text(struct outbox_message *message, struct flyover_bytes input,
                             const char *field, struct problem *problem)
{
    struct flyover_bytes text;
    enum status status = outbox_text(input, field, &text, problem);
    if (status == STATUS_OK && text.at)
        outbox_put(message, field, text);
    return status;
}

static enum status add_texts(struct outbox_message *message, struct flyover_bytes input,
                             struct problem *problem)
{
    static const char *const copied[] = {"TargetArn", "PhoneNumber", "Subject", "MessageStructure"};
    enum status status = outbox_add_text(message, input, "Message", problem);
    for (size_t i = 0; status == STATUS_OK && i < sizeof(copied) / sizeof(copied[0]); i++)
        status = copy_text(message, input, copied[i], problem);
    return status;
}

static enum status make_entry(const struct sns *sns, const struct edge_call *call,
                              struct target *target, struct outbox_message *message,
                              struct problem *problem)
{
    struct flyover_bytes input = call->value;
    enum status status = outbox_check_fields(input, fields, problem);
    if (status == STATUS_OK)
        status = read_target(input, target, problem);
    if (status == STATUS_OK)
        status = add_texts(message, input, problem);
    if (status == STATUS_OK)
        status = outbox_add_attributes(message, input, sns->outbox.key_attribute ? call->key : NULL,
                                       problem);
    if (status == STATUS_OK)
        status = outbox_add_fifo(message, input, call->key,
                                 target->is_topic && sns_is_fifo(target->arn), problem);
    return status;
}

static void call_publish(void *module, struct edge_call *call)
{
    struct sns *sns = module;
    struct problem problem = {0};
    struct target target = {0};
    struct outbox_message message = outbox_message_begin(&sns->outbox);
    enum status status = make_entry(sns, call, &target, &message, &problem);
    if (status == STATUS_OK) {
        const struct outbox_item item = {
            .base = {.bytes = message.bytes, .order = message.order, .alone = !target.is_topic},
            .call = call,
            .entry = outbox_message_end(&message)};
        outbox_add(&sns->outbox, &item, key_of(&target));
        return;
    }
    edge_failed(sns->thread, call, status_class(status) != STATUS_CLASS_REJECT,
                "SNS.InvalidParameterException", "%s", problem.text);
}

/* ---- a batch goes, and its answer comes --------------------------------------------------------
 */

/* A telephone or a target: Publish, which PublishBatch cannot do. */
static bool is_single(const struct batcher_batch *batch)
{
    struct flyover_bytes value;
    struct flyover_bytes entry = ((const struct outbox_item *)batch->items[0])->entry;
    return field_get(entry, "TargetArn", &value) || field_get(entry, "PhoneNumber", &value);
}

/* arn:aws:sns:REGION:ACCOUNT:NAME */
static bool region_of(const char *arn, char ret_region[REGION_BYTES])
{
    for (int colons = 0; colons < 3; colons++) {
        arn = strchr(arn, ':');
        if (!arn)
            return false;
        arn++;
    }
    size_t bytes = strcspn(arn, ":");
    if (bytes == 0 || bytes >= REGION_BYTES)
        return false;
    memcpy(ret_region, arn, bytes);
    ret_region[bytes] = 0;
    return true;
}

static enum status ask(void *module, struct batcher_batch *batch, uint32_t timeout_ms,
                       struct problem *problem)
{
    struct sns *sns = module;
    char region[REGION_BYTES];
    char *form = sns_form(batch, is_single(batch));
    if (!form)
        return problem_set(problem, STATUS_NO_MEMORY, "out of memory for a request to SNS");
    const struct aws_request request = {.service = "sns",
                                        .region = region_of(batch->key, region) ? region : NULL,
                                        .content_type =
                                            "application/x-www-form-urlencoded; charset=utf-8",
                                        .body = form,
                                        .body_bytes = strlen(form),
                                        .timeout_ms = timeout_ms,
                                        .patience_ms = OUTBOX_PATIENCE_MS,
                                        .answer_bytes_max = OUTBOX_ANSWER_BYTES_MAX,
                                        .reads_body = true,
                                        .on_end = outbox_on_answer,
                                        .on_retry = outbox_on_retry,
                                        .context = batch};
    enum status status = aws_send(sns->aws, &request, problem);
    free(form);
    return status;
}

static void read_answer(const struct batcher_batch *batch, const struct aws_answer *answer,
                        struct sink *outputs, struct outbox_outcome *outcomes)
{
    sns_read(batch, answer, is_single(batch), outputs, outcomes);
}

/* Publish's and PublishBatch's own; each is a class of its name. */
static bool is_modelled(const char *code)
{
    static const char *const codes[] = {
        "InvalidParameter",     "InternalError",      "NotFound",
        "EndpointDisabled",     "AuthorizationError", "PlatformApplicationDisabled",
        "KMSDisabled",          "KMSInvalidState",    "KMSNotFound",
        "KMSOptInRequired",     "KMSThrottling",      "KMSAccessDenied",
        "InvalidSecurity",      "Validation",         "BatchRequestTooLong",
        "InvalidParameterValue"};
    size_t bytes = strlen(code), suffix = strlen("Exception");
    if (bytes > suffix && strcmp(code + bytes - suffix, "Exception") == 0)
        bytes -= suffix;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (strlen(codes[i]) == bytes && strncmp(codes[i], code, bytes) == 0)
            return true;
    return false;
}

static void error_name(const char *code, char ret_name[OUTBOX_ERROR_BYTES])
{
    if (strcmp(code, "ParameterValueInvalid") == 0)
        code = "InvalidParameterValue";
    const char *suffix = strstr(code, "Exception") ? "" : "Exception";
    if (*code == 0)
        (void)snprintf(ret_name, OUTBOX_ERROR_BYTES, "SNS.SdkClientException");
    else if (is_modelled(code))
        (void)snprintf(ret_name, OUTBOX_ERROR_BYTES, "SNS.%s%s", code, suffix);
    else
        (void)snprintf(ret_name, OUTBOX_ERROR_BYTES, "SNS.AmazonSNSException");
}

/* ---- the module --------------------------------------------------------------------------------
 */

static const struct outbox_kind outbox_of_sns = {
    .section = "sns", .ask = ask, .read = read_answer, .name = error_name};

static void close_module(void *module)
{
    struct sns *sns = module;
    outbox_close(&sns->outbox);
    sns_events_free(&sns->events);
    free(sns);
}

static enum status open_module(const struct edge_context *context, const json_t *config,
                               void **ret_module, struct problem *problem)
{
    static const char *const known[] = {"connections", "key_attribute", "events", NULL};
    struct sns *sns = calloc(1, sizeof(*sns));
    if (!sns)
        return problem_set(problem, STATUS_NO_MEMORY, "sns: out of memory");
    *sns = (struct sns){.thread = context->thread, .aws = context->aws};
    enum status status = section_check(config, "sns", known, problem);
    if (status == STATUS_OK)
        status = outbox_open(&sns->outbox, context, &outbox_of_sns, sns, config, problem);
    if (status == STATUS_OK)
        status = sns_events_read(&sns->events, json_object_get(config, "events"), problem);
    if (status != STATUS_OK)
        close_module(sns);
    else
        *ret_module = sns;
    return status;
}

static int64_t turn(void *module, const struct pollfd *fds, uint32_t fds_count)
{
    (void)fds;
    (void)fds_count;
    return outbox_turn(&((struct sns *)module)->outbox);
}

/* Events have to get out; calls are the thread's to count. */
static bool drain(void *module)
{
    return outbox_idle(&((struct sns *)module)->outbox);
}

static const char *const handlers[] = {"publish", NULL};

const struct edge_kind edge_sns = {.section = "sns",
                                   .service = "aws-sns",
                                   .names = handlers,
                                   .open = open_module,
                                   .reads_values = true,
                                   .call = call_publish,
                                   .turn = turn,
                                   .wants_end = sns_wants_end,
                                   .on_saga_ended = sns_on_saga_ended,
                                   .drain = drain,
                                   .close = close_module};
