#include "engine/saga/event.h"

#include <assert.h>
#include <string.h>

#include "engine/base/varint.h"

#define TAG_KIND        0x0fu
#define TAG_FIRST_PART  0x10u /* START: source; RESULT: writes; ERROR: retryable */
#define TAG_SECOND_PART 0x20u /* RESULT: output */

const char *event_kind_text(enum event_kind kind)
{
    static const char *const texts[] = {
#define X(name, text) [EVENT_##name] = text,
        EVENT_LIST(X)
#undef X
    };
    assert((size_t)kind < sizeof texts / sizeof texts[0]);
    return texts[kind];
}

static uint8_t *encode_bytes(uint8_t *at, struct flyover_bytes bytes)
{
    at = varint_encode(at, bytes.count);
    if (bytes.count > 0)
        memcpy(at, bytes.at, bytes.count);
    return at + bytes.count;
}

static const uint8_t *decode_bytes(const uint8_t *at, const uint8_t *end,
                                   struct flyover_bytes *ret_bytes)
{
    uint64_t count;
    at = varint_decode(at, end, &count);
    if (at == NULL || count > (uint64_t)(end - at))
        return NULL;
    *ret_bytes = (struct flyover_bytes){at, (uint32_t)count};
    return at + count;
}

static const uint8_t *decode_u32(const uint8_t *at, const uint8_t *end, uint32_t *ret_value)
{
    uint64_t value;
    at = varint_decode(at, end, &value);
    if (at == NULL || value > UINT32_MAX)
        return NULL;
    *ret_value = (uint32_t)value;
    return at;
}

size_t event_encoded_bytes_max(const struct event *event)
{
    size_t bytes = EVENT_FIXED_BYTES_MAX;
    switch (event->kind) {
    case EVENT_SERVICE:
        bytes += event->service.name.count;
        for (uint32_t i = 0; i < event->service.tables_count; i++)
            bytes += EVENT_FIXED_BYTES_MAX + event->service.tables[i].name.count;
        break;
    case EVENT_DEFINITION:
        bytes += (size_t)event->definition.name.count + event->definition.text.count;
        break;
    case EVENT_START: bytes += event->start.input.count; break;
    case EVENT_RESULT:
        bytes += (size_t)event->result.writes.count + event->result.output.count;
        break;
    case EVENT_ERROR: bytes += (size_t)event->error.name.count + event->error.cause.count; break;
    case EVENT_LIMITS:
    case EVENT_SOURCE:
    case EVENT_TIMER: break;
    }
    return bytes;
}

static uint8_t *encode_service(const struct event *event, uint8_t *at)
{
    at = encode_bytes(at, event->service.name);
    at = varint_encode(at, event->service.tables_count);
    for (uint32_t i = 0; i < event->service.tables_count; i++) {
        const struct event_table *table = &event->service.tables[i];
        *at++ = (uint8_t)table->kind;
        *at++ = (uint8_t)table->when_full;
        at = varint_encode(at, table->entries_max);
        at = encode_bytes(at, table->name);
    }
    return at;
}

static uint8_t *encode_result(const struct event *event, uint8_t *at, uint8_t *tag)
{
    at = varint_encode(at, event->result.branch);
    if (event->result.writes.count > 0) {
        *tag |= TAG_FIRST_PART;
        at = encode_bytes(at, event->result.writes);
    }
    if (event->result.output.count > 0) {
        *tag |= TAG_SECOND_PART;
        at = encode_bytes(at, event->result.output);
    }
    return at;
}

uint8_t *event_encode(const struct event *event, uint8_t *at)
{
    uint8_t *tag = at++;
    *tag = (uint8_t)event->kind;
    switch (event->kind) {
    case EVENT_LIMITS:
        at = varint_encode(at, event->limits.sagas_max);
        return varint_encode(at, event->limits.payload_bytes_max);
    case EVENT_SERVICE: return encode_service(event, at);
    case EVENT_DEFINITION:
        at = encode_bytes(at, event->definition.name);
        return encode_bytes(at, event->definition.text);
    case EVENT_SOURCE:
        memcpy(at, &event->source.first_hash, sizeof event->source.first_hash);
        return at + sizeof event->source.first_hash;
    case EVENT_START:
        at = varint_encode(at, event->start.plan);
        if (event->start.source != EVENT_NO_SOURCE) {
            *tag |= TAG_FIRST_PART;
            at = varint_encode(at, event->start.source);
        }
        return encode_bytes(at, event->start.input);
    case EVENT_RESULT: return encode_result(event, at, tag);
    case EVENT_ERROR:
        if (event->error.retryable)
            *tag |= TAG_FIRST_PART;
        at = varint_encode(at, event->error.branch);
        at = encode_bytes(at, event->error.name);
        return encode_bytes(at, event->error.cause);
    case EVENT_TIMER: return varint_encode(at, event->timer.branch);
    }
    assert(false && "every kind is encoded");
    return at;
}

static const uint8_t *decode_service(const uint8_t *at, const uint8_t *end, struct event *event)
{
    at = decode_bytes(at, end, &event->service.name);
    if (at != NULL)
        at = decode_u32(at, end, &event->service.tables_count);
    if (at == NULL || event->service.tables_count > FLYOVER_TABLES_MAX)
        return NULL;
    for (uint32_t i = 0; i < event->service.tables_count && at != NULL; i++) {
        struct event_table *table = &event->service.tables[i];
        if (end - at < 2 || at[0] > FLYOVER_COUNTERS || at[1] > FLYOVER_DROP_OLDEST)
            return NULL;
        table->kind = (enum flyover_table_kind)at[0];
        table->when_full = (enum flyover_when_full)at[1];
        at = decode_u32(at + 2, end, &table->entries_max);
        if (at != NULL)
            at = decode_bytes(at, end, &table->name);
    }
    return at;
}

static const uint8_t *decode_start(const uint8_t *at, const uint8_t *end, bool has_source,
                                   struct event *event)
{
    event->start.source = EVENT_NO_SOURCE;
    at = decode_u32(at, end, &event->start.plan);
    if (at != NULL && has_source)
        at = decode_u32(at, end, &event->start.source);
    if (at != NULL && has_source && event->start.source == EVENT_NO_SOURCE)
        return NULL;
    return at == NULL ? NULL : decode_bytes(at, end, &event->start.input);
}

/* An optional part, which is left out where it is empty. */
static const uint8_t *decode_part(const uint8_t *at, const uint8_t *end,
                                  struct flyover_bytes *ret_bytes)
{
    at = decode_bytes(at, end, ret_bytes);
    return at != NULL && ret_bytes->count > 0 ? at : NULL;
}

static const uint8_t *decode_result(const uint8_t *at, const uint8_t *end, uint8_t tag,
                                    struct event *event)
{
    event->result.writes = (struct flyover_bytes){0};
    event->result.output = (struct flyover_bytes){0};
    at = decode_u32(at, end, &event->result.branch);
    if (at != NULL && (tag & TAG_FIRST_PART))
        at = decode_part(at, end, &event->result.writes);
    if (at != NULL && (tag & TAG_SECOND_PART))
        at = decode_part(at, end, &event->result.output);
    return at;
}

const uint8_t *event_decode(const uint8_t *at, const uint8_t *end, struct event *ret_event)
{
    if (at >= end)
        return NULL;
    uint8_t tag = *at++;
    uint8_t parts = tag & (uint8_t)~TAG_KIND;
    enum event_kind kind = (enum event_kind)(tag & TAG_KIND);
    uint8_t parts_allowed = 0;
    if (kind == EVENT_START || kind == EVENT_ERROR)
        parts_allowed = TAG_FIRST_PART;
    else if (kind == EVENT_RESULT)
        parts_allowed = TAG_FIRST_PART | TAG_SECOND_PART;
    if (kind > EVENT_TIMER || (parts & ~parts_allowed) != 0)
        return NULL;
    ret_event->kind = kind;
    switch (kind) {
    case EVENT_LIMITS:
        at = decode_u32(at, end, &ret_event->limits.sagas_max);
        return at == NULL ? NULL : varint_decode(at, end, &ret_event->limits.payload_bytes_max);
    case EVENT_SERVICE: return decode_service(at, end, ret_event);
    case EVENT_DEFINITION:
        at = decode_bytes(at, end, &ret_event->definition.name);
        return at == NULL ? NULL : decode_bytes(at, end, &ret_event->definition.text);
    case EVENT_SOURCE:
        if (end - at < (ptrdiff_t)sizeof ret_event->source.first_hash)
            return NULL;
        memcpy(&ret_event->source.first_hash, at, sizeof ret_event->source.first_hash);
        return at + sizeof ret_event->source.first_hash;
    case EVENT_START: return decode_start(at, end, parts != 0, ret_event);
    case EVENT_RESULT: return decode_result(at, end, tag, ret_event);
    case EVENT_ERROR:
        ret_event->error.retryable = parts != 0;
        at = decode_u32(at, end, &ret_event->error.branch);
        if (at != NULL)
            at = decode_bytes(at, end, &ret_event->error.name);
        return at == NULL ? NULL : decode_bytes(at, end, &ret_event->error.cause);
    case EVENT_TIMER: return decode_u32(at, end, &ret_event->timer.branch);
    }
    return NULL;
}
