#include "engine/edge/sqs_out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/outbox.h"
#include "engine/edge/outbox_message.h"
#include "engine/edge/section.h"
#include "engine/edge/sqs.h"

struct sqs_out {
    struct edge_thread *thread;
    struct aws *aws;
    struct outbox outbox;
};

/* ---- a call becomes an entry -------------------------------------------------------------------
 */

static const char *const fields[] = {"QueueUrl",
                                     "MessageBody",
                                     "MessageAttributes",
                                     "DelaySeconds",
                                     "MessageGroupId",
                                     "MessageDeduplicationId",
                                     NULL};

static enum status queue_url_of(const json_t *input, const char **ret_url, struct problem *problem)
{
    enum status status = outbox_text(input, "QueueUrl", ret_url, problem);
    if (status == STATUS_OK && (!*ret_url || !sqs_is_url(*ret_url)))
        return problem_set(problem, STATUS_INVALID,
                           "\"QueueUrl\" is no queue's URL: give it as SQS says it, such as "
                           "https://sqs.eu-central-1.amazonaws.com/123456789012/orders");
    return status;
}

static enum status add_delay(struct outbox_message *message, const json_t *input,
                             struct problem *problem)
{
    const json_t *delay = json_object_get(input, "DelaySeconds");
    if (!delay || json_is_null(delay))
        return STATUS_OK;
    json_int_t seconds = json_integer_value(delay);
    if (!json_is_integer(delay) || seconds < 0 || seconds > SQS_DELAY_SECONDS_MAX)
        return problem_set(problem, STATUS_INVALID,
                           "\"DelaySeconds\" is no whole number from 0 to %d",
                           SQS_DELAY_SECONDS_MAX);
    json_object_set_new(message->entry, "DelaySeconds", json_integer(seconds));
    return STATUS_OK;
}

static enum status make_entry(const struct sqs_out *out, const struct edge_call *call,
                              const char **ret_url, struct outbox_message *message,
                              struct problem *problem)
{
    enum status status = outbox_check_fields(call->input, fields, problem);
    if (status == STATUS_OK)
        status = queue_url_of(call->input, ret_url, problem);
    if (status == STATUS_OK)
        status = outbox_add_text(message, call->input, "MessageBody", problem);
    if (status == STATUS_OK)
        status = add_delay(message, call->input, problem);
    if (status == STATUS_OK)
        status = outbox_add_attributes(message, call->input,
                                       out->outbox.key_attribute ? call->key : NULL, problem);
    if (status == STATUS_OK)
        status = outbox_add_fifo(message, call->input, call->key, sqs_is_fifo(*ret_url), problem);
    return status;
}

static void call_send_message(void *module, struct edge_call *call)
{
    struct sqs_out *out = module;
    struct problem problem = {0};
    const char *url = NULL;
    struct outbox_message message = {.entry = json_object()};
    enum status status = make_entry(out, call, &url, &message, &problem);
    if (status == STATUS_OK) {
        const struct outbox_item item = {.base = {.bytes = message.bytes, .order = message.order},
                                         .call = call,
                                         .entry = message.entry};
        outbox_add(&out->outbox, &item, url);
        return;
    }
    json_decref(message.entry);
    edge_failed(out->thread, call, status_class(status) != STATUS_CLASS_REJECT,
                "SQS.AmazonSQSException", "%s", problem.text);
}

/* ---- a batch goes ------------------------------------------------------------------------------
 */

static json_t *entry_of(const struct batcher_batch *batch, uint32_t index)
{
    return ((const struct outbox_item *)batch->items[index])->entry;
}

static enum status ask(void *module, struct batcher_batch *batch, uint32_t timeout_ms,
                       struct problem *problem)
{
    struct sqs_out *out = module;
    json_t *entries = json_array();
    for (uint32_t i = 0; i < batch->count; i++) {
        const char id = (char)('0' + i); /* another each time that it is sent */
        json_object_set_new(entry_of(batch, i), "Id", json_stringn(&id, 1));
        json_array_append(entries, entry_of(batch, i));
    }
    const struct sqs_request request = {
        .action = "SendMessageBatch",
        .queue_url = batch->key,
        .body = json_pack("{s:s, s:o}", "QueueUrl", batch->key, "Entries", entries),
        .timeout_ms = timeout_ms,
        .patience_ms = OUTBOX_PATIENCE_MS,
        .answer_bytes_max = OUTBOX_ANSWER_BYTES_MAX,
        .on_end = outbox_on_answer,
        .on_retry = outbox_on_retry,
        .context = batch};
    return sqs_send(out->aws, &request, problem);
}

/* ---- its answer --------------------------------------------------------------------------------
 */

static struct outbox_outcome *outcome_of(const struct batcher_batch *batch, const json_t *entry,
                                         struct outbox_outcome *outcomes, uint32_t *ret_index)
{
    const char *id = json_string_value(json_object_get(entry, "Id"));
    char *end = NULL;
    unsigned long index = id && *id ? strtoul(id, &end, 10) : batch->count;
    if (index >= batch->count || *end || outcomes[index].named)
        return NULL;
    *ret_index = (uint32_t)index;
    outcomes[index].named = true;
    return &outcomes[index];
}

static void read_failed(const json_t *entry, struct outbox_outcome *outcome)
{
    const char *code = json_string_value(json_object_get(entry, "Code"));
    const char *message = json_string_value(json_object_get(entry, "Message"));
    outcome->sender_fault = json_is_true(json_object_get(entry, "SenderFault"));
    (void)snprintf(outcome->code, sizeof(outcome->code), "%s", code ? code : "Unknown");
    (void)snprintf(outcome->message, sizeof(outcome->message), "%s",
                   message ? message : "SQS does not say why");
}

/* A body that came to SQS as another is not the message that was asked for. */
static void read_done(const json_t *sent, const json_t *entry, struct outbox_outcome *outcome)
{
    const json_t *body = json_object_get(sent, "MessageBody");
    if (!sqs_md5_matches(json_string_value(body), json_string_length(body),
                         json_object_get(entry, "MD5OfMessageBody"))) {
        (void)snprintf(outcome->code, sizeof(outcome->code), "MD5Mismatch");
        (void)snprintf(outcome->message, sizeof(outcome->message),
                       "the body that SQS got is not the one that was sent");
        return;
    }
    outcome->done = true;
    outcome->output = json_copy((json_t *)entry);
    json_object_del(outcome->output, "Id");
}

static void read_answer(void *module, const struct batcher_batch *batch,
                        const struct aws_answer *answer, struct outbox_outcome *outcomes)
{
    (void)module;
    size_t at;
    json_t *entry;
    uint32_t index;
    struct outbox_outcome *outcome;
    json_array_foreach(json_object_get(answer->json, "Successful"), at,
                       entry) if ((outcome = outcome_of(batch, entry, outcomes, &index)))
        read_done(entry_of(batch, index), entry, outcome);
    json_array_foreach(json_object_get(answer->json, "Failed"), at,
                       entry) if ((outcome = outcome_of(batch, entry, outcomes, &index)))
        read_failed(entry, outcome);
}

static void error_name(const char *code, char ret_name[OUTBOX_ERROR_BYTES])
{
    sqs_error_name(code, ret_name, OUTBOX_ERROR_BYTES);
}

/* ---- the module --------------------------------------------------------------------------------
 */

static const struct outbox_kind outbox_of_sqs = {
    .section = "sqs", .ask = ask, .read = read_answer, .name = error_name};

static void close_module(void *module)
{
    struct sqs_out *out = module;
    outbox_close(&out->outbox);
    free(out);
}

static enum status open_module(const struct edge_context *context, const json_t *config,
                               void **ret_module, struct problem *problem)
{
    static const char *const known[] = {"connections", "key_attribute", NULL};
    struct sqs_out *out = calloc(1, sizeof(*out));
    if (!out)
        return problem_set(problem, STATUS_NO_MEMORY, "sqs: out of memory");
    *out = (struct sqs_out){.thread = context->thread, .aws = context->aws};
    enum status status = section_check(config, "sqs", known, problem);
    if (status == STATUS_OK)
        status = outbox_open(&out->outbox, context, &outbox_of_sqs, out, config, problem);
    if (status != STATUS_OK)
        close_module(out);
    else
        *ret_module = out;
    return status;
}

static int64_t turn(void *module, const struct pollfd *fds, uint32_t fds_count)
{
    (void)fds;
    (void)fds_count;
    return outbox_turn(&((struct sqs_out *)module)->outbox);
}

static const char *const handlers[] = {"sendMessage", NULL};

const struct edge_kind edge_sqs = {.section = "sqs",
                                   .service = "aws-sqs",
                                   .names = handlers,
                                   .open = open_module,
                                   .call = call_send_message,
                                   .turn = turn,
                                   .close = close_module};
