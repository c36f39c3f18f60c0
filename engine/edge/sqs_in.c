#include "engine/edge/sqs_in.h"

#include <stdlib.h>

#include "engine/edge/sooner.h"
#include "engine/edge/sqs_in_parts.h"

/* How long a drain waits for polls that may bring messages: they are given back then. One of an
 * idle queue takes much longer, and brings none. */
#define DRAIN_POLLS_MS 1000

static void close_module(void *module)
{
    struct sqs_in *in = module;
    batcher_close(in->deletes.batcher);
    batcher_close(in->visibilities.batcher);
    for (uint32_t i = 0; i < in->queues_count; i++)
        while (in->queues[i].first) {
            struct sqs_message *message = in->queues[i].first;
            in->queues[i].first = message->next;
            free(message);
        }
    sqs_in_free_config(in);
    free(in->scratch);
    free(in);
}

static enum status open_parts(struct sqs_in *in, const json_t *config, struct problem *problem)
{
    enum status status = sqs_in_read_config(config, in, problem);
    if (status != STATUS_OK)
        return status;
    if (!in->aws)
        return problem_set(
            problem, STATUS_INVALID,
            "sqs_in: needs a section \"aws\" beside it, which may be empty: aws: {}");
    in->scratch = malloc(SQS_IN_SCRATCH_BYTES);
    if (!in->scratch)
        return problem_set(problem, STATUS_NO_MEMORY, "sqs_in: out of memory");
    status = sqs_receipts_open(&in->deletes, in, "DeleteMessageBatch", sqs_open_on_deleted);
    if (status == STATUS_OK)
        status = sqs_receipts_open(&in->visibilities, in, "ChangeMessageVisibilityBatch",
                                   sqs_open_on_visible);
    return status == STATUS_OK ? status : problem_set(problem, status, "sqs_in: out of memory");
}

static enum status open_module(const struct edge_context *context, const json_t *config,
                               void **ret_module, struct problem *problem)
{
    struct sqs_in *in = calloc(1, sizeof(*in));
    if (!in)
        return problem_set(problem, STATUS_NO_MEMORY, "sqs_in: out of memory");
    *in = (struct sqs_in){.thread = context->thread,
                          .aws = context->aws,
                          .name_retention_ms = context->name_retention_ms,
                          .extend_ms = INT64_MAX};
    enum status status = open_parts(in, config, problem);
    if (status != STATUS_OK) {
        close_module(in);
        return status;
    }
    *ret_module = in;
    return STATUS_OK;
}

/* What came is brought before more is asked for. */
static int64_t turn(void *module, const struct pollfd *fds, uint32_t fds_count)
{
    (void)fds;
    (void)fds_count;
    struct sqs_in *in = module;
    int64_t now_ms = batcher_now_ms();
    int64_t soonest_ms = in->draining ? DRAIN_POLLS_MS : sqs_open_turn(in, now_ms);
    if (!in->draining)
        soonest_ms = sooner(soonest_ms, sqs_poll_turn(in, now_ms));
    soonest_ms = sooner(soonest_ms, batcher_turn(in->deletes.batcher, now_ms));
    return sooner(soonest_ms, batcher_turn(in->visibilities.batcher, now_ms));
}

static void on_message_settled(void *module, void *handle, enum edge_settlement settlement,
                               const char *sentence)
{
    (void)module;
    sqs_open_settled(handle, settlement, sentence ? sentence : "", batcher_now_ms());
}

static void give_back_waiting(struct sqs_in *in)
{
    for (uint32_t i = 0; i < in->queues_count; i++) {
        struct sqs_message *next;
        for (struct sqs_message *message = in->queues[i].first; message; message = next) {
            next = message->next;
            if (!message->brought)
                sqs_open_release(message);
        }
    }
}

static bool drain(void *module)
{
    struct sqs_in *in = module;
    int64_t now_ms = batcher_now_ms();
    if (!in->draining) {
        in->draining = true;
        in->drain_ms = now_ms + DRAIN_POLLS_MS;
        give_back_waiting(in);
    }
    bool polls = in->polls > 0 && now_ms < in->drain_ms;
    return !polls && in->open == 0 && batcher_idle(in->deletes.batcher) &&
           batcher_idle(in->visibilities.batcher);
}

const struct edge_kind edge_sqs_in = {.section = "sqs_in",
                                      .open = open_module,
                                      .turn = turn,
                                      .on_message_settled = on_message_settled,
                                      .drain = drain,
                                      .close = close_module};
