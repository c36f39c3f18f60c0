/* Steps of a service, served by this client. flyover_next_invocation is in next.c. */
#include <assert.h>
#include <string.h>

#include "engine/client/call.h"
#include "engine/client/line.h"
#include "engine/client/next.h"
#include "engine/client/send.h"

/* ---- REGISTER -----------------------------------------------------------------------------------
 */

static enum flyover_status check_register(struct flyover_client *client, const char *service,
                                          const char *const *handlers, uint32_t count,
                                          uint32_t credit, size_t *ret_bytes)
{
    bool is_service =
        service != NULL && service[0] != '\0' && strlen(service) <= FLYOVER_NAME_BYTES_MAX;
    if (!is_service || count == 0 || count > FLYOVER_HANDLERS_MAX || credit == 0)
        return client_fail(client, FLYOVER_INVALID,
                           "a service of 1 to %u bytes with 1 to %u handlers is wanted, and a "
                           "credit of at least 1",
                           FLYOVER_NAME_BYTES_MAX, FLYOVER_HANDLERS_MAX);
    *ret_bytes = strlen(service);
    for (uint32_t i = 0; i < count; i++) {
        size_t bytes = handlers[i] == NULL ? 0 : strlen(handlers[i]);
        if (bytes == 0 || bytes > FLYOVER_NAME_BYTES_MAX)
            return client_fail(client, FLYOVER_INVALID, "handler %u: its name has 1 to %u bytes", i,
                               FLYOVER_NAME_BYTES_MAX);
        *ret_bytes += bytes + WIRE_ITEM_BYTES_MAX;
    }
    return FLYOVER_OK;
}

enum flyover_status flyover_register(struct flyover_client *client, const char *service,
                                     const char *const *handlers, uint32_t handlers_count,
                                     uint32_t credit)
{
    size_t bytes = 0;
    uint32_t slot;
    uint8_t *at;
    enum flyover_status status =
        check_register(client, service, handlers, handlers_count, credit, &bytes);
    if (status == FLYOVER_OK)
        status = send_begin(client, WIRE_REGISTER, 5, bytes, 0, &slot, &at);
    if (status != FLYOVER_OK)
        return status;
    at = wire_put_array(wire_put_string(at, service), handlers_count);
    for (uint32_t i = 0; i < handlers_count; i++)
        at = wire_put_string(at, handlers[i]);
    status = send_end(client, slot, wire_put_uint(at, credit), true);
    struct flyover_answer_message answer;
    return status != FLYOVER_OK ? status : call_wait(client, slot, &answer, -1);
}

/* ---- DONE, FAILED, BEAT -------------------------------------------------------------------------
 */

/* Room for an answer, behind the invocation; NULL with *ret_status. */
static uint8_t *begin_answer(struct flyover_client *client, uint64_t invocation,
                             enum wire_kind kind, uint32_t fields, size_t bytes,
                             enum flyover_status *ret_status)
{
    uint64_t engine_id;
    if (!invocations_find(&client->invocations, invocation, &engine_id)) {
        client->late_count++;
        *ret_status = client_fail(client, FLYOVER_NOT_FOUND,
                                  "this invocation was answered, or is from before a cut and was "
                                  "handed out again");
        return NULL;
    }
    uint8_t *at = output_reserve(&client->output, bytes + WIRE_HEAD_BYTES_MAX);
    if (at == NULL) {
        *ret_status = client_fail(client, FLYOVER_NO_MEMORY, "no memory for an answer");
        return NULL;
    }
    *ret_status = FLYOVER_OK;
    return wire_put_uint(wire_put_uint(wire_put_array(at, fields), kind), engine_id);
}

static void end_answer(struct flyover_client *client, const uint8_t *end)
{
    output_commit(&client->output, end);
    if (output_waiting(&client->output) >= OUTPUT_FRAME_BYTES)
        line_write(client);
}

enum flyover_status flyover_answer_done(struct flyover_client *client, uint64_t invocation,
                                        const void *output, size_t output_bytes)
{
    enum flyover_status status = send_check_value(client, output, output_bytes, "the output");
    if (status != FLYOVER_OK)
        return status;
    uint8_t *at = begin_answer(client, invocation, WIRE_DONE, 3, output_bytes, &status);
    if (at == NULL)
        return status;
    end_answer(client, wire_put_value(at, (struct flyover_bytes){output, (uint32_t)output_bytes}));
    invocations_remove(&client->invocations, invocation);
    return FLYOVER_OK;
}

static struct flyover_bytes cut(const char *text, size_t bytes_max)
{
    size_t bytes = text == NULL ? 0 : strnlen(text, bytes_max);
    /* Not in the middle of a character. */
    if (bytes == bytes_max)
        while (bytes > 0 && ((unsigned char)text[bytes] & 0xc0u) == 0x80u)
            bytes--;
    return (struct flyover_bytes){(const uint8_t *)text, (uint32_t)bytes};
}

enum flyover_status flyover_answer_failed(struct flyover_client *client, uint64_t invocation,
                                          bool retryable, const char *error, const char *cause)
{
    if (error == NULL || error[0] == '\0' || strlen(error) > FLYOVER_ERROR_NAME_BYTES_MAX)
        return client_fail(client, FLYOVER_INVALID, "the error's name has 1 to %u bytes",
                           FLYOVER_ERROR_NAME_BYTES_MAX);
    enum flyover_status status;
    uint8_t *at =
        begin_answer(client, invocation, WIRE_FAILED, 5,
                     FLYOVER_ERROR_NAME_BYTES_MAX + FLYOVER_ERROR_CAUSE_BYTES_MAX, &status);
    if (at == NULL)
        return status;
    at = wire_put_string(wire_put_bool(at, retryable), error);
    end_answer(client, wire_put_text(at, cut(cause, FLYOVER_ERROR_CAUSE_BYTES_MAX)));
    invocations_remove(&client->invocations, invocation);
    return FLYOVER_OK;
}

enum flyover_status flyover_answer_beat(struct flyover_client *client, uint64_t invocation)
{
    if (output_waiting(&client->output) >= OUTPUT_BYTES_MAX)
        return client_fail(client, FLYOVER_BUSY, "%u bytes wait to be sent", OUTPUT_BYTES_MAX);
    enum flyover_status status;
    uint8_t *at = begin_answer(client, invocation, WIRE_BEAT, 2, 0, &status);
    if (at != NULL)
        end_answer(client, at);
    return status;
}

uint64_t flyover_late_count(const struct flyover_client *client)
{
    return client->late_count;
}

/* ---- DRAIN --------------------------------------------------------------------------------------
 */

static enum flyover_status send_drain(struct flyover_client *client)
{
    uint32_t slot;
    uint8_t *at;
    enum flyover_status status = send_begin(client, WIRE_DRAIN, 2, 0, 0, &slot, &at);
    if (status != FLYOVER_OK)
        return status;
    /* Nobody waits for its answer as such: what it says is in is_drained and drain_status. */
    client->table.requests[slot].is_private = client->table.requests[slot].is_abandoned = true;
    client->table.abandoned_count++;
    client->is_draining = true;
    client->is_drained = false;
    client->drain_status = FLYOVER_OK;
    return send_end(client, slot, at, false);
}

static void keep_all(struct flyover_client *client)
{
    for (;;) {
        struct incoming incoming;
        struct incoming_texts texts;
        struct flyover_answer_message answer;
        enum incoming_kind kind = incoming_take(client, &incoming, &answer, &texts);
        if (kind == INCOMING_NOTHING)
            return;
        next_keep(client, kind, &incoming);
    }
}

static enum flyover_status drain_is_refused(struct flyover_client *client)
{
    client->is_draining = false;
    return client_fail(client, client->drain_status, "the engine refuses to drain: %s",
                       flyover_status_text(client->drain_status));
}

enum flyover_status flyover_drain(struct flyover_client *client, int32_t timeout_ms)
{
    client_begin(client);
    enum flyover_status status = client->is_draining ? FLYOVER_OK : send_drain(client);
    if (status != FLYOVER_OK)
        return status;
    int64_t until_ms = next_until_ms(timeout_ms);
    for (;;) {
        keep_all(client);
        if (client->drain_status != FLYOVER_OK)
            return drain_is_refused(client);
        if (client->is_drained)
            return FLYOVER_OK;
        if (client->state == LINE_LOST)
            return client->lost_status;
        if (!next_turn(client, until_ms))
            return client_fail(client, FLYOVER_TIMEOUT,
                               "%u invocations are not answered yet: answer them, then drain again",
                               client->invocations.open_count);
    }
}
