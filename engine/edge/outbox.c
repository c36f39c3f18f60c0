#include "engine/edge/outbox.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/edge/section.h"
#include "engine/saga/value_text.h"

#define BACKOFF_BASE_MS 100
#define BACKOFF_MAX_MS  5000

static void on_batch(void *context, struct batcher_batch *batch);
static void on_drop(void *context, struct batcher_item *item);

enum status outbox_open(struct outbox *outbox, const struct edge_context *context,
                        const struct outbox_kind *kind, void *module, const json_t *config,
                        struct problem *problem)
{
    *outbox = (struct outbox){
        .kind = kind, .module = module, .thread = context->thread, .key_attribute = true};
    struct batcher_options options = {.items_max = BATCHER_ITEMS_MAX,
                                      .bytes_max = OUTBOX_BATCH_BYTES,
                                      .connections_max = OUTBOX_CONNECTIONS_DEFAULT,
                                      .send = on_batch,
                                      .drop = on_drop,
                                      .context = outbox};
    enum status status = section_count(config, kind->section, "connections", 1,
                                       BATCHER_CONNECTIONS_MAX, &options.connections_max, problem);
    if (status == STATUS_OK)
        status =
            section_flag(config, kind->section, "key_attribute", &outbox->key_attribute, problem);
    if (status != STATUS_OK)
        return status;
    if (!context->aws)
        return problem_set(problem, STATUS_INVALID,
                           "%s: needs a section \"aws\" beside it, which may be empty: aws: {}",
                           kind->section);
    outbox->scratch = malloc(OUTBOX_SCRATCH_BYTES);
    status = outbox->scratch ? batcher_open(&options, &outbox->batcher) : STATUS_NO_MEMORY;
    return status == STATUS_OK ? status
                               : problem_set(problem, status, "%s: out of memory", kind->section);
}

void outbox_close(struct outbox *outbox)
{
    batcher_close(outbox->batcher);
    free(outbox->scratch);
    outbox->batcher = NULL;
    outbox->scratch = NULL;
}

static struct outbox_item *item_of(struct batcher_item *base)
{
    return (struct outbox_item *)base;
}

/* Its call is freed by the thread, and given again by the next start. */
static void on_drop(void *context, struct batcher_item *item)
{
    (void)context;
    free(item_of(item));
}

static bool is_late(const struct outbox_item *item, int64_t now_ms)
{
    return item->call && item->call->deadline_ms != 0 && item->call->deadline_ms <= now_ms;
}

static void item_done(struct outbox *outbox, struct outbox_item *item, struct flyover_bytes output)
{
    if (item->call)
        edge_done_value(outbox->thread, item->call, output);
    else
        edge_end_told(outbox->thread, item->end);
    free(item);
}

static void end_lost(struct outbox *outbox, const struct edge_end *end, const char *error,
                     const char *cause)
{
    edge_log(outbox->thread, 4, "end_not_published",
             "that saga %" PRIu64 " of %s is %s was not published: %s: %s", end->saga_id,
             end->definition, end->outcome, error, cause);
}

static void item_tell(struct outbox *outbox, struct outbox_item *item, bool retryable,
                      const char *error, const char *cause)
{
    if (!item->call) {
        end_lost(outbox, item->end, error, cause);
        edge_end_told(outbox->thread, item->end);
    } else if (is_late(item, clock_wall_ms())) {
        edge_failed(outbox->thread, item->call, false, "States.Timeout",
                    "the step was out of time before its message was known to be sent: %s", cause);
    } else {
        edge_failed(outbox->thread, item->call, retryable, error, "%s", cause);
    }
}

static void item_failed(struct outbox *outbox, struct outbox_item *item, bool retryable,
                        const char *error, const char *cause)
{
    item_tell(outbox, item, retryable, error, cause);
    free(item);
}

void outbox_add(struct outbox *outbox, const struct outbox_item *made, const char *key)
{
    struct outbox_item *item = malloc(sizeof(*item) + made->entry.count);
    if (!item) {
        struct outbox_item lost = *made;
        item_tell(outbox, &lost, true, "States.TaskFailed", "out of memory");
        return;
    }
    *item = *made;
    memcpy(item + 1, made->entry.at, made->entry.count);
    item->entry.at = (const uint8_t *)(item + 1);
    if (batcher_add(outbox->batcher, key, &item->base) != STATUS_OK)
        item_failed(outbox, item, true, "States.TaskFailed", "out of memory");
}

bool outbox_idle(const struct outbox *outbox)
{
    return batcher_idle(outbox->batcher);
}

int64_t outbox_turn(struct outbox *outbox)
{
    return batcher_turn(outbox->batcher, batcher_now_ms());
}

/* ---- a batch goes ------------------------------------------------------------------------------
 */

/* The engine has gone on, and may have compensated the step already. */
static void drop_late(struct outbox *outbox, struct batcher_batch *batch, int64_t now_ms)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < batch->count; i++) {
        struct outbox_item *item = item_of(batch->items[i]);
        if (is_late(item, now_ms))
            item_failed(outbox, item, false, "States.Timeout", "it was still waiting");
        else
            batch->items[count++] = &item->base;
    }
    batch->count = count;
}

/* Until nobody of the batch waits any more: one that has little time must not cut the others'. */
static uint32_t timeout_ms_of(const struct batcher_batch *batch, int64_t now_ms)
{
    int64_t longest_ms = 1;
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct edge_call *call = item_of(batch->items[i])->call;
        int64_t left_ms =
            call && call->deadline_ms ? call->deadline_ms - now_ms : OUTBOX_TIMEOUT_MS;
        if (left_ms > longest_ms)
            longest_ms = left_ms;
    }
    return longest_ms < OUTBOX_TIMEOUT_MS ? (uint32_t)longest_ms : OUTBOX_TIMEOUT_MS;
}

static void cause_of(const char *code, const char *message, char ret_cause[EDGE_CAUSE_BYTES])
{
    (void)snprintf(ret_cause, EDGE_CAUSE_BYTES, *code ? "%s (%s)" : "%s", message, code);
}

static void again(struct outbox *outbox, struct batcher_batch *batch, struct outbox_item *item,
                  int64_t delay_ms)
{
    if (item->call)
        edge_count_retry(outbox->thread, item->call);
    batcher_again(batch, &item->base, batcher_now_ms(), delay_ms);
}

static bool may_go_again(const struct outbox_item *item)
{
    return item->base.tries < (item->call ? OUTBOX_TRIES_MAX : OUTBOX_END_TRIES_MAX);
}

static void again_later(struct outbox *outbox, struct batcher_batch *batch,
                        struct outbox_item *item)
{
    again(outbox, batch, item,
          batcher_backoff_ms(item->base.tries, BACKOFF_BASE_MS, BACKOFF_MAX_MS));
}

static void fail_all(struct outbox *outbox, struct batcher_batch *batch, bool retryable,
                     const char *code, const char *message)
{
    char name[OUTBOX_ERROR_BYTES], cause[EDGE_CAUSE_BYTES];
    outbox->kind->name(code, name);
    cause_of(code, message, cause);
    for (uint32_t i = 0; i < batch->count; i++) {
        struct outbox_item *item = item_of(batch->items[i]);
        if (!item->call && retryable && may_go_again(item))
            again_later(outbox, batch, item);
        else
            item_failed(outbox, item, retryable, name, cause);
    }
    batcher_end(batch);
}

static void on_batch(void *context, struct batcher_batch *batch)
{
    struct outbox *outbox = context;
    int64_t now_ms = clock_wall_ms();
    drop_late(outbox, batch, now_ms);
    if (batch->count == 0) {
        batcher_end(batch);
        return;
    }
    struct problem problem = {0};
    enum status status =
        outbox->kind->ask(outbox->module, batch, timeout_ms_of(batch, now_ms), &problem);
    if (status != STATUS_OK)
        fail_all(outbox, batch, status_class(status) != STATUS_CLASS_REJECT, "", problem.text);
}

/* ---- its answer comes --------------------------------------------------------------------------
 */

static void entry_failed(struct outbox *outbox, struct batcher_batch *batch,
                         struct outbox_item *item, const struct outbox_outcome *outcome)
{
    if (!outcome->sender_fault && may_go_again(item)) {
        again_later(outbox, batch, item);
        return;
    }
    char name[OUTBOX_ERROR_BYTES], cause[EDGE_CAUSE_BYTES];
    outbox->kind->name(outcome->code, name);
    cause_of(outcome->code, outcome->message, cause);
    item_failed(outbox, item, !outcome->sender_fault, name, cause);
}

static void entries_end(struct outbox *outbox, struct batcher_batch *batch,
                        const struct aws_answer *answer)
{
    struct outbox_outcome outcomes[BATCHER_ITEMS_MAX] = {0};
    size_t outputs_bytes = VALUE_FROM_TEXT_BYTES_MAX(answer->http.body_bytes);
    uint8_t *memory = malloc(outputs_bytes);
    if (memory) {
        struct sink outputs = sink_into(memory, outputs_bytes);
        outbox->kind->read(batch, answer, &outputs, outcomes);
    }
    for (uint32_t i = 0; i < batch->count; i++) {
        struct outbox_item *item = item_of(batch->items[i]);
        if (!outcomes[i].named)
            outcomes[i] = (struct outbox_outcome){
                .code = "NoOutcome",
                .message = "the answer does not say what became of the message"};
        if (outcomes[i].done)
            item_done(outbox, item, outcomes[i].output);
        else
            entry_failed(outbox, batch, item, &outcomes[i]);
    }
    free(memory);
    batcher_end(batch);
}

/* Whether one entry alone may be why a whole batch was refused. */
static bool may_be_of_one(const struct aws_answer *answer)
{
    static const char *const of_all[] = {
        "AccessDenied",         "AuthorizationError",    "InvalidSecurity",
        "QueueDoesNotExist",    "NonExistentQueue",      "NotFound",
        "InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClient",
        "ExpiredToken",         "InvalidAddress",        "MissingAuthenticationToken"};
    if (answer->http.end != HTTP_ANSWERED || answer->retryable || answer->http.status >= 500)
        return false;
    for (size_t i = 0; i < sizeof(of_all) / sizeof(of_all[0]); i++)
        if (strstr(answer->error, of_all[i]))
            return false;
    return true;
}

static void send_each_alone(struct outbox *outbox, struct batcher_batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        struct outbox_item *item = item_of(batch->items[i]);
        item->base.alone = true;
        again(outbox, batch, item, 0);
    }
    batcher_end(batch);
}

void outbox_on_retry(void *context)
{
    const struct batcher_batch *batch = context;
    const struct outbox *outbox = batch->context;
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct edge_call *call = item_of(batch->items[i])->call;
        if (call)
            edge_count_retry(outbox->thread, call);
    }
}

void outbox_on_answer(void *context, const struct aws_answer *answer)
{
    struct batcher_batch *batch = context;
    struct outbox *outbox = batch->context;
    if (answer->ok)
        entries_end(outbox, batch, answer);
    else if (batch->count > 1 && may_be_of_one(answer))
        send_each_alone(outbox, batch);
    else
        fail_all(outbox, batch, answer->retryable, answer->error, answer->message);
}
