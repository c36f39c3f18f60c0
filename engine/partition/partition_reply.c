#include <assert.h>

#include "engine/partition/partition_parts.h"

/* What is told of sagas that have ended, or are stuck: from the moment of the end, when the core
 * still has what is to be told, over its REPLY effect to whoever asks for replies. */

/* In the token of a saga: its output is wanted at the end. */
#define TOKEN_WANTS_OUTPUT (UINT64_C(1) << 63)

/* Next: release_reply, when the block is durable. */
static void on_end(void *context, const struct core_end *end)
{
    static const struct flyover_bytes none;
    struct partition *partition = context;
    bool wanted = (end->token & TOKEN_WANTS_OUTPUT) != 0;
    bool has_output = wanted || partition->output_watchers > 0;
    if (!wanted && partition->watchers == 0)
        return;
    uint64_t decided = core_totals_decided(partition->state->core);
    const struct ending ending = {
        .effect = partition->state->effects.tail,
        .block_no = partition->last_block_no + 1,
        .ended_ms = partition->open.now_ms,
        .index = (uint32_t)(decided - partition->open.decided_before - 1),
        .plan = end->plan,
    };
    endings_add(&partition->endings, &ending, has_output ? end->output : none, end->error);
}

uint64_t partition_token(struct partition *partition, uint64_t token, bool wants_output)
{
    assert((token & TOKEN_WANTS_OUTPUT) == 0);
    if (!wants_output)
        return token;
    core_set_on_end(partition->state->core, on_end, partition);
    return token | TOKEN_WANTS_OUTPUT;
}

void partition_watch(struct partition *partition, bool on)
{
    assert(on || partition->watchers > 0);
    partition->watchers = on ? partition->watchers + 1 : partition->watchers - 1;
    if (on)
        core_set_on_end(partition->state->core, on_end, partition);
}

void partition_watch_outputs(struct partition *partition, bool on)
{
    assert(on || partition->output_watchers > 0);
    partition->output_watchers =
        on ? partition->output_watchers + 1 : partition->output_watchers - 1;
    partition_watch(partition, on);
}

bool partition_await(struct partition *partition, uint64_t saga_id)
{
    struct core *core = partition->state->core;
    uint32_t slot = core_find_saga(core, saga_id);
    struct core_saga_view view;
    if (slot == CORE_NO_SAGA || !core_view_saga(core, slot, &view) ||
        view.outcome != OUTCOME_RUNNING)
        return false;
    core_mark_token(core, slot, partition_token(partition, 0, true));
    return true;
}

/* Next: partition_next_reply. */
void partition_release_reply(struct partition *partition, const struct effect *effect)
{
    uint64_t token = effect->token & ~TOKEN_WANTS_OUTPUT;
    bool has_ending = endings_is_next(&partition->endings, partition->state->effects.head);
    if (token == PARTITION_NO_TOKEN && !has_ending)
        return;
    partition->replies[partition->replies_tail++ & (partition->replies_capacity - 1)] =
        (struct pending_reply){token, effect->id, effect->outcome, has_ending};
}

static void tell_error(struct flyover_bytes error, struct reply *reply)
{
    struct flyover_cursor cursor = {error.at, error.at + error.count};
    struct flyover_cursor found;
    if (flyover_find(&cursor, "Error", &found))
        (void)flyover_read_str(&found, &reply->error);
    if (flyover_find(&cursor, "Cause", &found))
        (void)flyover_read_str(&found, &reply->cause);
}

static void tell_ending(struct partition *partition, struct reply *reply)
{
    struct flyover_bytes error;
    const struct ending *ending = endings_take(&partition->endings, &reply->output, &error);
    reply->block_no = ending->block_no;
    reply->index = ending->index;
    reply->ended_ms = ending->ended_ms;
    reply->plan = ending->plan;
    reply->output_omitted = ending->output_omitted;
    tell_error(error, reply);
}

bool partition_next_reply(struct partition *partition, struct reply *ret_reply)
{
    endings_release(&partition->endings);
    if (partition->replies_head == partition->replies_tail)
        return false;
    const struct pending_reply *pending =
        &partition->replies[partition->replies_head++ & (partition->replies_capacity - 1)];
    *ret_reply = (struct reply){.token = pending->token,
                                .saga_id = pending->saga_id,
                                .outcome = (enum outcome)pending->outcome};
    if (pending->has_ending)
        tell_ending(partition, ret_reply);
    return true;
}
