/* The blocking forms: a request, and turns of the line until its answer is there. Everything else
 * that comes meanwhile is kept for flyover_next and flyover_next_invocation. */
#include "engine/client/call.h"

#include "engine/client/line.h"
#include "engine/client/next.h"
#include "engine/client/send.h"

/* The answer is not waited for any longer; it is dropped when it comes. */
static enum flyover_status abandon(struct flyover_client *client, uint32_t slot,
                                   struct flyover_answer_message *ret_answer)
{
    struct request *request = &client->table.requests[slot];
    request->is_abandoned = true;
    client->table.abandoned_count++;
    *ret_answer = (struct flyover_answer_message){
        .kind = FLYOVER_REFUSED_REQUEST, .status = FLYOVER_TIMEOUT, .saga_id = request->saga_id};
    return client_fail(client, FLYOVER_TIMEOUT, "no answer in time; what was asked goes on");
}

/* False: it has not failed. */
static bool take_failed(struct flyover_client *client, uint32_t slot,
                        struct flyover_answer_message *ret_answer)
{
    struct request *request = &client->table.requests[slot];
    if (request->state != REQUEST_FAILED)
        return false;
    enum flyover_status status = request->failed_status;
    *ret_answer = (struct flyover_answer_message){.kind = FLYOVER_REFUSED_REQUEST,
                                                  .status = status,
                                                  .saga_id = request->saga_id,
                                                  .problem = flyover_status_text(status)};
    table_remove(&client->table, slot);
    return true;
}

static bool take_own(struct flyover_client *client, uint32_t slot,
                     struct flyover_answer_message *ret_answer)
{
    for (;;) {
        struct incoming incoming;
        struct incoming_texts texts;
        enum incoming_kind kind = incoming_take(client, &incoming, ret_answer, &texts);
        if (kind == INCOMING_NOTHING)
            return false;
        if (kind != INCOMING_ANSWER || incoming.slot != slot) {
            next_keep(client, kind, &incoming);
        } else if (client->table.requests[slot].state == REQUEST_FREE) {
            incoming_give(&texts); /* else it is the STARTED before an ENDED */
            return true;
        }
    }
}

static bool take_served(const struct flyover_client *client, uint32_t slot,
                        struct flyover_answer_message *ret_answer)
{
    if (client->table.requests[slot].state != REQUEST_SERVING)
        return false;
    *ret_answer = (struct flyover_answer_message){.kind = FLYOVER_ANSWERED};
    return true;
}

enum flyover_status call_wait(struct flyover_client *client, uint32_t slot,
                              struct flyover_answer_message *ret_answer, int32_t timeout_ms)
{
    client_begin(client); /* not before: the request may have been made of what was lent */
    client->table.requests[slot].is_private = true;
    int64_t until_ms = next_until_ms(timeout_ms);
    for (;;) {
        if (take_own(client, slot, ret_answer) || take_served(client, slot, ret_answer) ||
            take_failed(client, slot, ret_answer))
            break;
        if (!next_turn(client, until_ms))
            return abandon(client, slot, ret_answer);
    }
    if (ret_answer->kind != FLYOVER_REFUSED_REQUEST)
        return FLYOVER_OK;
    client->retry_after_ms = ret_answer->retry_after_ms;
    return client_fail(client, ret_answer->status, "%s",
                       ret_answer->problem == NULL ? "" : ret_answer->problem);
}

/* ---- the forms ----------------------------------------------------------------------------------
 */

enum flyover_status flyover_start(struct flyover_client *client, const struct flyover_start *start,
                                  uint64_t *ret_saga_id)
{
    uint32_t slot;
    struct flyover_answer_message answer;
    enum flyover_status status = send_start(client, start, FLYOVER_AT_ACCEPTANCE, 0, &slot);
    if (status == FLYOVER_OK)
        status = call_wait(client, slot, &answer, -1);
    if (status == FLYOVER_OK)
        *ret_saga_id = answer.saga_id;
    return status;
}

enum flyover_status flyover_run(struct flyover_client *client, const struct flyover_start *start,
                                struct flyover_answer_message *ret_end, int32_t timeout_ms)
{
    uint32_t slot;
    /* Both, so that after a cut, or when time is over, the saga's id is known. */
    enum flyover_status status = send_start(client, start, FLYOVER_AT_BOTH, 0, &slot);
    return status != FLYOVER_OK ? status : call_wait(client, slot, ret_end, timeout_ms);
}

/* A call before, whose time was over, may have asked for the same saga: its answer is as good. */
static bool adopt(struct flyover_client *client, uint64_t saga_id, uint32_t *ret_slot)
{
    struct table *table = &client->table;
    if (table->abandoned_count == 0)
        return false;
    for (uint32_t slot = 0; slot < table->used_count; slot++) {
        struct request *request = &table->requests[slot];
        if (!request->is_abandoned || request->saga_id != saga_id)
            continue;
        request->is_abandoned = false;
        table->abandoned_count--;
        *ret_slot = slot;
        return true;
    }
    return false;
}

enum flyover_status flyover_await(struct flyover_client *client, uint64_t saga_id,
                                  struct flyover_answer_message *ret_end, int32_t timeout_ms)
{
    uint32_t slot;
    enum flyover_status status = FLYOVER_OK;
    if (saga_id == 0 || !adopt(client, saga_id, &slot))
        status = send_await(client, saga_id, NULL, 0, &slot);
    return status != FLYOVER_OK ? status : call_wait(client, slot, ret_end, timeout_ms);
}

enum flyover_status flyover_define(struct flyover_client *client, const char *name,
                                   const char *text)
{
    uint32_t slot;
    struct flyover_answer_message answer;
    enum flyover_status status = send_define(client, name, text, 0, &slot);
    return status != FLYOVER_OK ? status : call_wait(client, slot, &answer, -1);
}

enum flyover_status flyover_ask(struct flyover_client *client, const void *question,
                                size_t question_bytes, struct flyover_answer_message *ret_answer)
{
    uint32_t slot;
    enum flyover_status status = send_ask(client, question, question_bytes, 0, &slot);
    return status != FLYOVER_OK ? status : call_wait(client, slot, ret_answer, -1);
}
