/* Any bytes as frames and messages: what is found lies within them, each field is taken once, and a
 * value that is passed over ends where the engine's own walker says. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/cursor.h"
#include "engine/net/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void judge_skip(const uint8_t *at, const uint8_t *end)
{
    struct flyover_cursor mine = {at, end}, other = {at, end};
    bool skipped = wire_skip(&mine);
    require(mine.at >= at && mine.at <= end);
    if (cursor_skip(&other, FLYOVER_DEPTH_MAX))
        require(skipped && mine.at == other.at);
    require(skipped || mine.at == at);
}

/* Takes the next field by whichever way it can be taken; false: there is none left. */
static bool take_field(struct wire_message *message)
{
    const uint8_t *before = message->fields.at;
    uint64_t number;
    int64_t signed_number;
    bool yes;
    struct flyover_bytes text = {0}, value;
    struct wire_message again = *message;
    struct flyover_cursor cursor = message->fields;
    judge_skip(before, message->fields.end);
    if (wire_skip(&cursor))
        require(wire_take_value(&again, &value) && again.fields.at == cursor.at);
    bool taken = wire_take_uint(message, &number) || wire_take_int(message, &signed_number) ||
                 wire_take_bool(message, &yes) || wire_take_text_or_nil(message, &text);
    require(text.count == 0 || (text.at > before && text.at + text.count == message->fields.at));
    if (!taken) {
        require(message->fields.at == before);
        taken = wire_take_value(message, &value);
    }
    require(message->fields.at <= message->fields.end && (taken == (message->fields.at > before)));
    return taken;
}

static void judge_body(struct flyover_bytes body)
{
    const uint8_t *at = body.at, *end = body.at + body.count;
    struct wire_message message;
    for (const uint8_t *before = at; wire_find_message(&at, end, &message) == WIRE_FOUND;
         before = at) {
        require(at > before && at <= end && message.fields.end == at);
        uint32_t fields_count = 0;
        while (take_field(&message))
            fields_count++;
        require(fields_count == message.fields_count);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    /* Of exactly its size, so that a read beyond it is seen. */
    uint8_t *exact = malloc(count + (count == 0));
    require(exact != NULL);
    if (count > 0)
        memcpy(exact, bytes, count);
    struct flyover_bytes body;
    for (size_t at = 0; wire_find_frame(exact + at, count - at, &body) == WIRE_FOUND;
         at += WIRE_LENGTH_BYTES + body.count) {
        require(body.count > 0 && body.at + body.count <= exact + count);
        judge_body(body);
    }
    judge_body((struct flyover_bytes){exact, (uint32_t)count});
    free(exact);
    return 0;
}
