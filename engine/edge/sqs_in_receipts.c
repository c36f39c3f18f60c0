#include <assert.h>
#include <string.h>

#include "engine/base/clock.h"
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
        sqs_message_free(message);
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
        batcher_again(batch, item, clock_wall_ms(),
                      batcher_backoff_ms(item->tries, BACKOFF_BASE_MS, BACKOFF_MAX_MS));
    else
        end(receipts, (struct sqs_receipt *)item, false);
}

static void entry_failed(struct sqs_receipts *receipts, struct batcher_batch *batch, uint32_t index,
                         const json_t *failed)
{
    if (json_is_true(json_object_get(failed, "SenderFault")))
        end(receipts, (struct sqs_receipt *)batch->items[index], false);
    else
        try_again(receipts, batch, batch->items[index]);
}

/* The entry of a list that has this Id, or NULL. */
static const json_t *entry_of(const json_t *list, uint32_t index)
{
    size_t at;
    json_t *entry;
    const char id[2] = {(char)('0' + index), 0};
    json_array_foreach(list, at, entry)
    {
        const char *has = json_string_value(json_object_get(entry, "Id"));
        if (has && strcmp(has, id) == 0)
            return entry;
    }
    return NULL;
}

static void entries_end(struct sqs_receipts *receipts, struct batcher_batch *batch,
                        const json_t *answer)
{
    const json_t *successful = json_object_get(answer, "Successful");
    const json_t *failed = json_object_get(answer, "Failed");
    for (uint32_t i = 0; i < batch->count; i++)
        if (entry_of(successful, i))
            end(receipts, (struct sqs_receipt *)batch->items[i], true);
        else
            entry_failed(receipts, batch, i, entry_of(failed, i));
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
        entries_end(receipts, batch, answer->json);
    else
        all_failed(receipts, batch, answer->retryable || answer->http.end == HTTP_CANCELLED);
    batcher_end(batch);
}

static json_t *entry_for(const struct sqs_receipts *receipts, uint32_t index,
                         const struct sqs_receipt *receipt)
{
    json_t *entry = json_pack("{s:o, s:s}", "Id", json_sprintf("%u", index), "ReceiptHandle",
                              receipt->message->receipt_handle);
    if (receipts == &receipts->in->visibilities)
        json_object_set_new(entry, "VisibilityTimeout", json_integer(receipt->seconds));
    return entry;
}

static void on_batch(void *context, struct batcher_batch *batch)
{
    struct sqs_receipts *receipts = context;
    json_t *entries = json_array();
    for (uint32_t i = 0; i < batch->count; i++)
        json_array_append_new(entries,
                              entry_for(receipts, i, (const struct sqs_receipt *)batch->items[i]));
    const struct sqs_request request = {
        .action = receipts->action,
        .queue_url = batch->key,
        .body = json_pack("{s:s, s:o}", "QueueUrl", batch->key, "Entries", entries),
        .timeout_ms = TIMEOUT_MS,
        .answer_bytes_max = ANSWER_BYTES_MAX,
        .on_end = on_answer,
        .context = batch};
    struct problem problem = {0};
    if (sqs_send(receipts->in->aws, &request, &problem) == STATUS_OK)
        return;
    all_failed(receipts, batch, true);
    batcher_end(batch);
}
