#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/sqs.h"
#include "engine/edge/sqs_in_parts.h"

#define CONNECTIONS      8u
#define TRIES_MAX        8u
#define BACKOFF_BASE_MS  100
#define BACKOFF_MAX_MS   10000
#define TIMEOUT_MS       20000u
#define ANSWER_BYTES_MAX (256u << 10)

static void on_batch(void *context, struct batcher_batch *batch);

/* The module closes: what is deleted or released is in no list any more. */
static void on_drop(void *context, struct batcher_item *item)
{
    (void)context;
    struct sqs_receipt *receipt = (struct sqs_receipt *)item;
    struct sqs_message *message = receipt->message;
    receipt->busy = false;
    if (!message->open && !message->deletion.busy && !message->visibility.busy)
        free(message);
}

enum status sqs_receipts_open(struct sqs_receipts *receipts, struct sqs_in *in, const char *action,
                              void (*on_end)(struct sqs_receipt *receipt, bool done))
{
    *receipts = (struct sqs_receipts){.in = in, .action = action, .on_end = on_end};
    const struct batcher_options options = {.items_max = BATCHER_ITEMS_MAX,
                                            .bytes_max = SIZE_MAX,
                                            .connections_max = CONNECTIONS,
                                            .send = on_batch,
                                            .drop = on_drop,
                                            .context = receipts};
    return batcher_open(&options, &receipts->batcher);
}

void sqs_receipts_add(struct sqs_receipts *receipts, struct sqs_receipt *receipt)
{
    assert(!receipt->busy);
    receipt->busy = true;
    receipt->base = (struct batcher_item){0};
    if (batcher_add(receipts->batcher, receipt->message->queue->url, &receipt->base) == STATUS_OK)
        return;
    receipt->busy = false;
    receipts->on_end(receipt, false);
}

static void end(struct sqs_receipts *receipts, struct sqs_receipt *receipt, bool done)
{
    receipt->busy = false;
    receipts->on_end(receipt, done);
}

static void try_again(struct sqs_receipts *receipts, struct batcher_batch *batch,
                      struct batcher_item *item)
{
    if (item->tries < TRIES_MAX)
        batcher_again(batch, item, batcher_now_ms(),
                      batcher_backoff_ms(item->tries, BACKOFF_BASE_MS, BACKOFF_MAX_MS));
    else
        end(receipts, (struct sqs_receipt *)item, false);
}

static void entry_failed(struct sqs_receipts *receipts, struct batcher_batch *batch, uint32_t index,
                         bool sender_fault)
{
    if (sender_fault)
        end(receipts, (struct sqs_receipt *)batch->items[index], false);
    else
        try_again(receipts, batch, batch->items[index]);
}

enum outcome { UNNAMED, DONE, FAILED, REFUSED };

static void read_outcomes(const struct batcher_batch *batch, const struct sqs_answer *answer,
                          enum outcome outcomes[BATCHER_ITEMS_MAX])
{
    uint32_t index;
    struct flyover_bytes entry;
    for (struct sqs_list list = sqs_list(answer, "Failed"); sqs_next(&list, &entry);)
        if (sqs_read_id(entry, batch->count, &index))
            outcomes[index] = field_is_true(entry, "SenderFault") ? REFUSED : FAILED;
    for (struct sqs_list list = sqs_list(answer, "Successful"); sqs_next(&list, &entry);)
        if (sqs_read_id(entry, batch->count, &index))
            outcomes[index] = DONE;
}

static void entries_end(struct sqs_receipts *receipts, struct batcher_batch *batch,
                        const struct aws_answer *answer)
{
    struct sqs_answer read;
    enum outcome outcomes[BATCHER_ITEMS_MAX] = {UNNAMED};
    if (sqs_answer_open(answer, &read)) {
        read_outcomes(batch, &read, outcomes);
        sqs_answer_close(&read);
    }
    for (uint32_t i = 0; i < batch->count; i++)
        if (outcomes[i] == DONE)
            end(receipts, (struct sqs_receipt *)batch->items[i], true);
        else
            entry_failed(receipts, batch, i, outcomes[i] == REFUSED);
}

static void all_failed(struct sqs_receipts *receipts, struct batcher_batch *batch, bool retryable)
{
    /* One receipt may have spoilt it for the others. */
    bool apart = !retryable && batch->count > 1;
    for (uint32_t i = 0; i < batch->count; i++) {
        batch->items[i]->alone |= apart;
        if (retryable || apart)
            try_again(receipts, batch, batch->items[i]);
        else
            end(receipts, (struct sqs_receipt *)batch->items[i], false);
    }
}

static void on_answer(void *context, const struct aws_answer *answer)
{
    struct batcher_batch *batch = context;
    struct sqs_receipts *receipts = batch->context;
    if (answer->ok)
        entries_end(receipts, batch, answer);
    else
        all_failed(receipts, batch, answer->retryable || answer->http.end == HTTP_CANCELLED);
    batcher_end(batch);
}

static void write_entry(const struct sqs_receipts *receipts, uint32_t index,
                        const struct sqs_receipt *receipt, struct text *body)
{
    const char *handle = receipt->message->receipt_handle;
    text_put_number(body, index == 0 ? "{\"Id\":\"" : ",{\"Id\":\"", index);
    text_put(body, "\",\"ReceiptHandle\":");
    text_string(body, handle, strlen(handle));
    if (receipts == &receipts->in->visibilities)
        text_put_number(body, ",\"VisibilityTimeout\":", receipt->seconds);
    text_put(body, "}");
}

static void write_body(const struct sqs_receipts *receipts, const struct batcher_batch *batch,
                       struct text *body)
{
    text_put(body, "{\"QueueUrl\":");
    text_string(body, batch->key, strlen(batch->key));
    text_put(body, ",\"Entries\":[");
    for (uint32_t i = 0; i < batch->count; i++)
        write_entry(receipts, i, (const struct sqs_receipt *)batch->items[i], body);
    text_put(body, "]}");
}

static void on_batch(void *context, struct batcher_batch *batch)
{
    struct text body = {0};
    struct sqs_receipts *receipts = context;
    write_body(receipts, batch, &body);
    const struct sqs_request request = {.action = receipts->action,
                                        .queue_url = batch->key,
                                        .body = &body,
                                        .timeout_ms = TIMEOUT_MS,
                                        .answer_bytes_max = ANSWER_BYTES_MAX,
                                        .reads_answer = true,
                                        .on_end = on_answer,
                                        .context = batch};
    struct problem problem = {0};
    enum status status = sqs_send(receipts->in->aws, &request, &problem);
    text_free(&body);
    if (status == STATUS_OK)
        return;
    all_failed(receipts, batch, true);
    batcher_end(batch);
}
