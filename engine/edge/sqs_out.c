#include "engine/edge/sqs_out.h"

#include <assert.h>
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

static enum status read_queue_url(struct flyover_bytes input, char ret_url[SQS_URL_BYTES_MAX + 1],
                                  struct problem *problem)
{
    enum status status = outbox_name(input, "QueueUrl", ret_url, SQS_URL_BYTES_MAX + 1, problem);
    if (status == STATUS_OK && !sqs_is_url(ret_url))
        return problem_set(problem, STATUS_INVALID,
                           "\"QueueUrl\" is no queue's URL: give it as SQS says it, such as "
                           "https://sqs.eu-central-1.amazonaws.com/123456789012/orders");
    return status;
}

static enum status add_delay(struct outbox_message *message, struct flyover_bytes input,
                             struct problem *problem)
{
    struct flyover_bytes delay;
    int64_t seconds = -1;
    if (!field_get(input, "DelaySeconds", &delay))
        return STATUS_OK;
    struct flyover_cursor cursor = field_cursor(delay);
    if (!flyover_read_int(&cursor, &seconds) || seconds < 0 || seconds > SQS_DELAY_SECONDS_MAX)
        return problem_set(problem, STATUS_INVALID,
                           "\"DelaySeconds\" is no whole number from 0 to %d",
                           SQS_DELAY_SECONDS_MAX);
    outbox_put_int(message, "DelaySeconds", seconds);
    return STATUS_OK;
}

static enum status make_entry(const struct sqs_out *out, const struct edge_call *call,
                              char ret_url[SQS_URL_BYTES_MAX + 1], struct outbox_message *message,
                              struct problem *problem)
{
    struct flyover_bytes input = call->value;
    enum status status = outbox_check_fields(input, fields, problem);
    if (status == STATUS_OK)
        status = read_queue_url(input, ret_url, problem);
    if (status == STATUS_OK)
        status = outbox_add_text(message, input, "MessageBody", problem);
    if (status == STATUS_OK)
        status = add_delay(message, input, problem);
    if (status == STATUS_OK)
        status = outbox_add_attributes(message, input, out->outbox.key_attribute ? call->key : NULL,
                                       problem);
    if (status == STATUS_OK)
        status = outbox_add_fifo(message, input, call->key, sqs_is_fifo(ret_url), problem);
    return status;
}

static void call_send_message(void *module, struct edge_call *call)
{
    struct sqs_out *out = module;
    struct problem problem = {0};
    char url[SQS_URL_BYTES_MAX + 1];
    struct outbox_message message = outbox_message_begin(&out->outbox);
    enum status status = make_entry(out, call, url, &message, &problem);
    if (status == STATUS_OK) {
        const struct outbox_item item = {.base = {.bytes = message.bytes, .order = message.order},
                                         .call = call,
                                         .entry = outbox_message_end(&message)};
        outbox_add(&out->outbox, &item, url);
        return;
    }
    edge_failed(out->thread, call, status_class(status) != STATUS_CLASS_REJECT,
                "SQS.AmazonSQSException", "%s", problem.text);
}

/* ---- a batch goes ------------------------------------------------------------------------------
 */

static struct flyover_bytes entry_of(const struct batcher_batch *batch, uint32_t index)
{
    return ((const struct outbox_item *)batch->items[index])->entry;
}

/* The Id is another each time that an entry is sent. */
static void write_body(struct text *body, const struct batcher_batch *batch)
{
    text_put(body, "{\"QueueUrl\":");
    text_string(body, batch->key, strlen(batch->key));
    text_put(body, ",\"Entries\":[");
    for (uint32_t i = 0; i < batch->count; i++) {
        const char id[2] = {(char)('0' + i), 0};
        text_put(body, i == 0 ? "{\"Id\":\"" : ",{\"Id\":\"");
        text_put(body, id);
        text_put(body, "\"");
        text_members(body, entry_of(batch, i));
        text_put(body, "}");
    }
    text_put(body, "]}");
}

static enum status ask(void *module, struct batcher_batch *batch, uint32_t timeout_ms,
                       struct problem *problem)
{
    struct sqs_out *out = module;
    struct text body = {0};
    write_body(&body, batch);
    const struct sqs_request request = {.action = "SendMessageBatch",
                                        .queue_url = batch->key,
                                        .body = &body,
                                        .timeout_ms = timeout_ms,
                                        .patience_ms = OUTBOX_PATIENCE_MS,
                                        .answer_bytes_max = OUTBOX_ANSWER_BYTES_MAX,
                                        .reads_answer = true,
                                        .on_end = outbox_on_answer,
                                        .on_retry = outbox_on_retry,
                                        .context = batch};
    enum status status = sqs_send(out->aws, &request, problem);
    text_free(&body);
    return status;
}

/* ---- its answer --------------------------------------------------------------------------------
 */

static void read_failed(struct flyover_bytes entry, struct outbox_outcome *outcome)
{
    outcome->sender_fault = field_is_true(entry, "SenderFault");
    if (!field_copy_text(entry, "Code", outcome->code, sizeof(outcome->code)))
        (void)snprintf(outcome->code, sizeof(outcome->code), "Unknown");
    if (!field_copy_text(entry, "Message", outcome->message, sizeof(outcome->message)))
        (void)snprintf(outcome->message, sizeof(outcome->message), "SQS does not say why");
}

/* As AWS has it; the Id is ours. */
static struct flyover_bytes output_of(struct flyover_bytes entry, struct sink *outputs)
{
    uint32_t pairs = 0;
    const uint8_t *start = outputs->at;
    struct flyover_cursor cursor = field_cursor(entry);
    (void)flyover_read_map(&cursor, &pairs);
    sink_map(outputs, pairs - 1);
    for (; pairs > 0; pairs--) {
        struct flyover_bytes name = {0};
        const uint8_t *pair = cursor.at;
        (void)flyover_read_str(&cursor, &name);
        (void)flyover_skip(&cursor);
        if (name.count != 2 || memcmp(name.at, "Id", 2) != 0)
            sink_bytes(outputs, pair, (size_t)(cursor.at - pair));
    }
    assert(!outputs->overflowed);
    return (struct flyover_bytes){start, (uint32_t)(outputs->at - start)};
}

/* A body that came to SQS as another is not the message that was asked for. */
static void read_done(struct flyover_bytes sent, struct flyover_bytes entry, struct sink *outputs,
                      struct outbox_outcome *outcome)
{
    outcome->done =
        sqs_md5_matches(field_text(sent, "MessageBody"), field_text(entry, "MD5OfMessageBody"));
    if (outcome->done) {
        outcome->output = output_of(entry, outputs);
        return;
    }
    (void)snprintf(outcome->code, sizeof(outcome->code), "MD5Mismatch");
    (void)snprintf(outcome->message, sizeof(outcome->message),
                   "the body that SQS got is not the one that was sent");
}

static void read_entry(const struct batcher_batch *batch, struct flyover_bytes entry, bool done,
                       struct sink *outputs, struct outbox_outcome *outcomes)
{
    uint32_t index;
    if (!sqs_read_id(entry, batch->count, &index) || outcomes[index].named)
        return;
    outcomes[index].named = true;
    if (done)
        read_done(entry_of(batch, index), entry, outputs, &outcomes[index]);
    else
        read_failed(entry, &outcomes[index]);
}

static void read_answer(const struct batcher_batch *batch, const struct aws_answer *answer,
                        struct sink *outputs, struct outbox_outcome *outcomes)
{
    struct sqs_answer read;
    struct flyover_bytes entry;
    if (!sqs_answer_open(answer, &read))
        return;
    for (struct sqs_list list = sqs_list(&read, "Successful"); sqs_next(&list, &entry);)
        read_entry(batch, entry, true, outputs, outcomes);
    for (struct sqs_list list = sqs_list(&read, "Failed"); sqs_next(&list, &entry);)
        read_entry(batch, entry, false, outputs, outcomes);
    sqs_answer_close(&read);
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
                                   .reads_values = true,
                                   .call = call_send_message,
                                   .turn = turn,
                                   .close = close_module};
