#include "engine/client/resume.h"

#include <assert.h>
#include <string.h>

#include "engine/client/subscription.h"

/* ---- asking again -------------------------------------------------------------------------------
 */

static size_t again_bytes_max(const struct request *request)
{
    if (request->kind == WIRE_SUBSCRIBE)
        return subscription_bytes_max(request->subscription);
    return WIRE_HEAD_BYTES_MAX + request->again.count;
}

static uint8_t *put_await(uint8_t *at, uint64_t id, uint64_t saga_id)
{
    at = wire_put_array(at, 3);
    at = wire_put_uint(at, WIRE_AWAIT);
    at = wire_put_uint(at, id);
    return wire_put_uint(at, saga_id);
}

static bool may_be_asked_again(const struct flyover_client *client, const struct request *request)
{
    switch (request->kind) {
    case WIRE_SUBSCRIBE: return true;
    case WIRE_REGISTER: return !client->is_draining;
    default: return request->saga_id != 0 || request->again.count > 0;
    }
}

static uint8_t *put_again(struct request *request, uint64_t id, uint8_t *at)
{
    if (request->kind == WIRE_SUBSCRIBE)
        return subscription_put(request->subscription, id, at);
    if (request->saga_id != 0)
        return put_await(at, id, request->saga_id);
    memcpy(at, request->again.at, request->again.count);
    return at + request->again.count;
}

static bool ask_again(struct flyover_client *client, struct output *output, uint32_t slot)
{
    struct request *request = &client->table.requests[slot];
    uint8_t *at = output_reserve(output, again_bytes_max(request));
    if (at == NULL)
        return false;
    output_commit(output, put_again(request, table_id(&client->table, slot), at));
    request->frame_no = output->frame_no;
    request->was_seen = true;
    return true;
}

static void give_up(struct flyover_client *client, uint32_t slot)
{
    if (client->table.requests[slot].state == REQUEST_SERVING)
        table_remove(&client->table, slot); /* whoever drains knows that it ends */
    else
        table_fail(&client->table, slot, FLYOVER_UNKNOWN);
}

static bool resume_touched(struct flyover_client *client, struct output *output)
{
    uint64_t untouched_no = output_untouched_no(&client->output);
    for (uint32_t slot = 0; slot < client->table.used_count; slot++) {
        struct request *request = &client->table.requests[slot];
        bool is_there = request->state == REQUEST_OPEN || request->state == REQUEST_SERVING;
        if (!is_there || request->frame_no >= untouched_no)
            continue;
        if (!may_be_asked_again(client, request))
            give_up(client, slot);
        else if (!ask_again(client, output, slot))
            return false;
    }
    return true;
}

/* ---- what the engine has not seen ---------------------------------------------------------------
 */

/* Requests are of the client; the rest is of a connection. */
static bool is_request(int64_t kind)
{
    return kind == WIRE_START || kind == WIRE_AWAIT || kind == WIRE_DEFINE || kind == WIRE_ASK ||
           kind == WIRE_SUBSCRIBE || kind == WIRE_REGISTER || kind == WIRE_DRAIN;
}

static bool move_message(struct flyover_client *client, struct output *output,
                         struct wire_message *message, struct flyover_bytes raw)
{
    uint64_t id;
    if (!is_request(message->kind) || !wire_take_uint(message, &id))
        return true;
    uint32_t slot = table_find(&client->table, id);
    if (slot == TABLE_NONE)
        return true;
    if (message->kind == WIRE_DRAIN) { /* of a connection that has ended */
        table_fail(&client->table, slot, FLYOVER_UNKNOWN);
        return true;
    }
    uint8_t *at = output_reserve(output, raw.count);
    if (at == NULL)
        return false;
    memcpy(at, raw.at, raw.count);
    output_commit(output, at + raw.count);
    client->table.requests[slot].frame_no = output->frame_no;
    return true;
}

static bool move_untouched(struct flyover_client *client, struct output *output)
{
    const struct output *old = &client->output;
    struct flyover_bytes body;
    for (size_t at = output_untouched_at(old); at < old->end;
         at += WIRE_LENGTH_BYTES + body.count) {
        enum wire_find found = wire_find_frame(old->bytes + at, old->end - at, &body);
        assert(found == WIRE_FOUND);
        const uint8_t *next = body.at, *start = body.at;
        struct wire_message message;
        for (; wire_find_message(&next, body.at + body.count, &message) == WIRE_FOUND; start = next)
            if (!move_message(client, output, &message,
                              (struct flyover_bytes){start, (uint32_t)(next - start)}))
                return false;
    }
    return true;
}

/* ---- the whole ----------------------------------------------------------------------------------
 */

static void forget_invocations(struct flyover_client *client)
{
    invocations_clear(&client->invocations);
    kept_clear(&client->kept_invocations);
    if (client->is_draining)
        client->is_drained = true; /* nothing is left to be answered */
}

bool resume_prepare(struct flyover_client *client)
{
    forget_invocations(client);
    output_seal(&client->output);
    struct output output = {.head_no = client->output.frame_no + 1,
                            .frame_no = client->output.frame_no + 1};
    /* In this order: a failed request must not be found when its frame is looked through. */
    if (!resume_touched(client, &output) || !move_untouched(client, &output)) {
        output_fini(&output);
        return false;
    }
    output_fini(&client->output);
    client->output = output;
    return true;
}

void resume_nothing(struct flyover_client *client)
{
    forget_invocations(client);
    output_seal(&client->output);
    uint64_t untouched_no = output_untouched_no(&client->output);
    for (uint32_t slot = 0; slot < client->table.used_count; slot++) {
        const struct request *request = &client->table.requests[slot];
        if (request->state == REQUEST_SERVING)
            table_remove(&client->table, slot);
        else if (request->state == REQUEST_OPEN)
            table_fail(&client->table, slot,
                       request->was_seen || request->frame_no < untouched_no
                           ? FLYOVER_UNKNOWN
                           : FLYOVER_NOT_CONNECTED);
    }
    output_fini(&client->output);
}
