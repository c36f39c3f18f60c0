#include "engine/client/next.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/client/line.h"

int64_t next_until_ms(int32_t timeout_ms)
{
    if (timeout_ms < 0)
        return INT64_MAX;
    return timeout_ms == 0 ? INT64_MIN : client_now_ms() + timeout_ms;
}

bool next_turn(struct flyover_client *client, int64_t until_ms)
{
    if (line_turn(client))
        return true;
    if (client->state == LINE_LOST)
        return true; /* what has failed is still to be told */
    if (until_ms == INT64_MIN || client_now_ms() >= until_ms)
        return false;
    line_wait(client, until_ms);
    return true;
}

void next_keep(struct flyover_client *client, enum incoming_kind kind,
               const struct incoming *incoming)
{
    struct kept_queue *queue =
        kind == INCOMING_INVOCATION ? &client->kept_invocations : &client->kept_answers;
    if (kept_add(queue, incoming->raw, incoming->word, incoming->id))
        return;
    client_fail(client, FLYOVER_NO_MEMORY, "no memory to keep an answer");
    line_lose(client, FLYOVER_NO_MEMORY);
}

/* ---- answers ------------------------------------------------------------------------------------
 */

static void give_answer(struct flyover_client *client, uint64_t id,
                        const struct flyover_answer_message *answer, struct incoming_texts *texts)
{
    if (answer->kind == FLYOVER_EVENT)
        incoming_give_event(client, id);
    incoming_give(texts);
}

static struct wire_message reread(const struct kept *kept)
{
    const uint8_t *at = kept->bytes;
    struct wire_message message;
    enum wire_find found = wire_find_message(&at, kept->bytes + kept->count, &message);
    assert(found == WIRE_FOUND);
    return message;
}

static bool give_kept_answer(struct flyover_client *client, struct flyover_answer_message *answer)
{
    struct kept *kept = kept_take(&client->kept_answers);
    if (kept == NULL)
        return false;
    client->lent = kept;
    struct incoming_texts texts;
    uint64_t id;
    bool is_read = incoming_read_answer(reread(kept), answer, &id, &texts);
    assert(is_read);
    answer->word = kept->word;
    give_answer(client, id, answer, &texts);
    return true;
}

static bool give_reconnected(struct flyover_client *client, struct flyover_answer_message *answer)
{
    if (!client->is_reconnected)
        return false;
    client->is_reconnected = false;
    *answer = (struct flyover_answer_message){.kind = FLYOVER_RECONNECTED};
    return true;
}

static bool give_failed(struct flyover_client *client, struct flyover_answer_message *answer)
{
    uint32_t slot = table_next_failed(&client->table);
    if (slot == TABLE_NONE)
        return false;
    const struct request *request = &client->table.requests[slot];
    enum flyover_status status = request->failed_status;
    *answer = (struct flyover_answer_message){
        .kind = FLYOVER_REFUSED_REQUEST,
        .word = request->word,
        .status = status,
        .saga_id = request->saga_id,
        .problem = flyover_status_text(status),
    };
    table_remove(&client->table, slot);
    return true;
}

bool flyover_next(struct flyover_client *client, struct flyover_answer_message *ret_answer,
                  int32_t timeout_ms)
{
    client_begin(client);
    if (give_kept_answer(client, ret_answer))
        return true;
    int64_t until_ms = 0;
    do {
        struct incoming incoming;
        struct incoming_texts texts;
        enum incoming_kind kind;
        while ((kind = incoming_take(client, &incoming, ret_answer, &texts)) == INCOMING_INVOCATION)
            next_keep(client, kind, &incoming);
        if (kind == INCOMING_ANSWER) {
            give_answer(client, incoming.id, ret_answer, &texts);
            return true;
        }
        if (give_reconnected(client, ret_answer) || give_failed(client, ret_answer))
            return true;
        if (until_ms == 0)
            until_ms = next_until_ms(timeout_ms);
    } while (client->state != LINE_LOST && next_turn(client, until_ms));
    return false;
}

/* ---- invocations --------------------------------------------------------------------------------
 */

static bool give_kept_invocation(struct flyover_client *client,
                                 struct flyover_invocation *ret_invocation)
{
    struct kept *kept = kept_take(&client->kept_invocations);
    if (kept == NULL)
        return false;
    client->lent = kept;
    struct incoming_texts texts;
    bool is_read = incoming_read_invocation(reread(kept), ret_invocation, &texts);
    assert(is_read);
    ret_invocation->id = kept->word;
    incoming_give(&texts);
    return true;
}

bool flyover_next_invocation(struct flyover_client *client,
                             struct flyover_invocation *ret_invocation, int32_t timeout_ms)
{
    client_begin(client);
    if (give_kept_invocation(client, ret_invocation))
        return true;
    int64_t until_ms = 0;
    do {
        struct incoming incoming;
        struct incoming_texts texts;
        struct flyover_answer_message answer;
        enum incoming_kind kind;
        while ((kind = incoming_take(client, &incoming, &answer, &texts)) == INCOMING_ANSWER)
            next_keep(client, kind, &incoming);
        if (kind == INCOMING_INVOCATION) {
            incoming_give(&texts);
            *ret_invocation = incoming.invocation;
            ret_invocation->id = incoming.word;
            return true;
        }
        if (until_ms == 0)
            until_ms = next_until_ms(timeout_ms);
    } while (client->state != LINE_LOST && next_turn(client, until_ms));
    return false;
}
