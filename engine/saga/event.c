#include "engine/saga/event.h"

#include <assert.h>
#include <string.h>

#include "engine/base/varint.h"

#define TAG_KIND 0x0fu
/* START: source; RESULT: writes; ERROR: retryable; LIMITS: names; TIMER: of a saga; CANCEL: abort;
 * MEND: output; REDRIVE: once */
#define TAG_FIRST_PART 0x10u
/* RESULT: output; START: name; ERROR: by token; TIMER, CANCEL: undo begun; REDRIVE: trace */
#define TAG_SECOND_PART 0x20u
#define TAG_THIRD_PART  0x40u /* START: at_ms; RESULT: by token */
#define TAG_FOURTH_PART 0x80u /* START: more */

#define MORE_DEADLINE 1u
#define MORE_TRACE    2u

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

const char *mend_action_text(enum mend_action action)
{
    static const char *const texts[] = {
        [MEND_RETRY] = "retry", [MEND_SKIP] = "skip", [MEND_RESOLVE] = "resolve"};
    assert((size_t)action < sizeof texts / sizeof texts[0]);
    return texts[action];
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
    case EVENT_START:
        bytes += (size_t)event->start.input.count + event->start.name.count + TRACE_BYTES;
        break;
    case EVENT_RESULT:
        bytes += (size_t)event->result.writes.count + event->result.output.count;
        break;
    case EVENT_ERROR: bytes += (size_t)event->error.name.count + event->error.cause.count; break;
    case EVENT_SIGNAL:
        bytes += (size_t)event->signal.name.count + event->signal.payload.count;
        break;
    case EVENT_CANCEL: bytes += event->cancel.reason.count; break;
    case EVENT_MEND: bytes += (size_t)event->mend.reason.count + event->mend.output.count; break;
    case EVENT_REDRIVE:
        bytes += (size_t)event->redrive.payload.count + event->redrive.steps.count + TRACE_BYTES;
        break;
    case EVENT_LIMITS:
    case EVENT_SOURCE:
    case EVENT_TIMER:
    case EVENT_HEARTBEAT: break;
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

static uint8_t *encode_u64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof value);
    return at + sizeof value;
}

static uint8_t *encode_limits(const struct event *event, uint8_t *at, uint8_t *tag)
{
    at = varint_encode(at, event->limits.sagas_max);
    at = varint_encode(at, event->limits.payload_bytes_max);
    if (!event->limits.has_names)
        return at;
    *tag |= TAG_FIRST_PART;
    at = encode_u64(at, event->limits.seed);
    at = varint_encode(at, event->limits.names_max);
    return varint_encode(at, event->limits.name_retention_ms);
}

static uint8_t *encode_trace(struct flyover_bytes trace, uint8_t *at)
{
    assert(trace.count == TRACE_BYTES);
    memcpy(at, trace.at, TRACE_BYTES);
    return at + TRACE_BYTES;
}

static uint8_t *encode_more(const struct event *event, uint8_t *at)
{
    uint8_t *more = at++;
    *more = 0;
    if (event->start.deadline_ms > 0) {
        *more |= MORE_DEADLINE;
        at = varint_encode(at, (uint64_t)event->start.deadline_ms);
    }
    if (event->start.trace.count > 0) {
        *more |= MORE_TRACE;
        at = encode_trace(event->start.trace, at);
    }
    return at;
}

static uint8_t *encode_start(const struct event *event, uint8_t *at, uint8_t *tag)
{
    at = varint_encode(at, event->start.plan);
    if (event->start.source != EVENT_NO_SOURCE) {
        *tag |= TAG_FIRST_PART;
        at = varint_encode(at, event->start.source);
    }
    if (event->start.name.count > 0) {
        *tag |= TAG_SECOND_PART;
        at = encode_bytes(at, event->start.name);
    }
    if (event->start.at_ms > 0) {
        *tag |= TAG_THIRD_PART;
        at = varint_encode(at, (uint64_t)event->start.at_ms);
    }
    if (event->start.deadline_ms > 0 || event->start.trace.count > 0) {
        *tag |= TAG_FOURTH_PART;
        at = encode_more(event, at);
    }
    return encode_bytes(at, event->start.input);
}

static uint8_t *encode_mend(const struct event *event, uint8_t *at, uint8_t *tag)
{
    at = varint_encode(at, event->mend.saga_id);
    *at++ = (uint8_t)event->mend.action;
    if (event->mend.output.count > 0) {
        *tag |= TAG_FIRST_PART;
        at = encode_bytes(at, event->mend.output);
    }
    return encode_bytes(at, event->mend.reason);
}

static uint8_t *encode_redrive(const struct event *event, uint8_t *at, uint8_t *tag)
{
    if (event->redrive.once)
        *tag |= TAG_FIRST_PART;
    at = varint_encode(at, event->redrive.of_saga_id);
    at = varint_encode(at, event->redrive.plan);
    at = varint_encode(at, event->redrive.state);
    at = varint_encode(at, event->redrive.step_no);
    if (event->redrive.trace.count > 0) {
        *tag |= TAG_SECOND_PART;
        at = encode_trace(event->redrive.trace, at);
    }
    at = encode_bytes(at, event->redrive.payload);
    at = varint_encode(at, event->redrive.steps_count);
    if (event->redrive.steps.count > 0)
        memcpy(at, event->redrive.steps.at, event->redrive.steps.count);
    return at + event->redrive.steps.count;
}

size_t event_step_bytes_max(const struct event_step *step)
{
    return EVENT_FIXED_BYTES_MAX + (size_t)step->input.count + step->output.count;
}

uint8_t *event_encode_step(const struct event_step *step, uint8_t *at)
{
    at = varint_encode(at, step->state);
    at = varint_encode(at, step->step_no);
    at = encode_bytes(at, step->input);
    return encode_bytes(at, step->output);
}

static uint8_t *encode_result(const struct event *event, uint8_t *at, uint8_t *tag)
{
    if (event->result.by_token)
        *tag |= TAG_THIRD_PART;
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
    case EVENT_LIMITS: return encode_limits(event, at, tag);
    case EVENT_SERVICE: return encode_service(event, at);
    case EVENT_DEFINITION:
        at = encode_bytes(at, event->definition.name);
        return encode_bytes(at, event->definition.text);
    case EVENT_SOURCE: return encode_u64(at, event->source.first_hash);
    case EVENT_START: return encode_start(event, at, tag);
    case EVENT_RESULT: return encode_result(event, at, tag);
    case EVENT_ERROR:
        if (event->error.retryable)
            *tag |= TAG_FIRST_PART;
        if (event->error.by_token)
            *tag |= TAG_SECOND_PART;
        at = varint_encode(at, event->error.branch);
        at = encode_bytes(at, event->error.name);
        return encode_bytes(at, event->error.cause);
    case EVENT_TIMER:
        if (event->timer.of_saga)
            *tag |= TAG_FIRST_PART;
        if (event->timer.undo_begun)
            *tag |= TAG_SECOND_PART;
        return varint_encode(at, event->timer.branch);
    case EVENT_SIGNAL:
        at = varint_encode(at, event->signal.saga_id);
        at = encode_bytes(at, event->signal.name);
        return encode_bytes(at, event->signal.payload);
    case EVENT_HEARTBEAT: return varint_encode(at, event->heartbeat.branch);
    case EVENT_CANCEL:
        if (event->cancel.abort)
            *tag |= TAG_FIRST_PART;
        if (event->cancel.undo_begun)
            *tag |= TAG_SECOND_PART;
        at = varint_encode(at, event->cancel.saga_id);
        return encode_bytes(at, event->cancel.reason);
    case EVENT_MEND: return encode_mend(event, at, tag);
    case EVENT_REDRIVE: return encode_redrive(event, at, tag);
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

/* An optional part, which is left out where it is empty. */
static const uint8_t *decode_part(const uint8_t *at, const uint8_t *end,
                                  struct flyover_bytes *ret_bytes)
{
    at = decode_bytes(at, end, ret_bytes);
    return at != NULL && ret_bytes->count > 0 ? at : NULL;
}

static const uint8_t *decode_u64(const uint8_t *at, const uint8_t *end, uint64_t *ret_value)
{
    if (end - at < (ptrdiff_t)sizeof *ret_value)
        return NULL;
    memcpy(ret_value, at, sizeof *ret_value);
    return at + sizeof *ret_value;
}

static const uint8_t *decode_limits(const uint8_t *at, const uint8_t *end, bool has_names,
                                    struct event *event)
{
    event->limits.has_names = has_names;
    event->limits.seed = 0;
    event->limits.names_max = 0;
    event->limits.name_retention_ms = 0;
    at = decode_u32(at, end, &event->limits.sagas_max);
    if (at != NULL)
        at = varint_decode(at, end, &event->limits.payload_bytes_max);
    if (at == NULL || !has_names)
        return at;
    at = decode_u64(at, end, &event->limits.seed);
    if (at != NULL)
        at = decode_u32(at, end, &event->limits.names_max);
    return at == NULL ? NULL : varint_decode(at, end, &event->limits.name_retention_ms);
}

/* A moment that is there is later than 0. */
static const uint8_t *decode_ms(const uint8_t *at, const uint8_t *end, int64_t *ret_ms)
{
    uint64_t ms;
    at = varint_decode(at, end, &ms);
    if (at == NULL || ms == 0 || ms > INT64_MAX)
        return NULL;
    *ret_ms = (int64_t)ms;
    return at;
}

static const uint8_t *decode_trace(const uint8_t *at, const uint8_t *end,
                                   struct flyover_bytes *ret_trace)
{
    if (end - at < (ptrdiff_t)TRACE_BYTES)
        return NULL;
    *ret_trace = (struct flyover_bytes){at, TRACE_BYTES};
    return at + TRACE_BYTES;
}

static const uint8_t *decode_more(const uint8_t *at, const uint8_t *end, struct event *event)
{
    if (at == end || *at == 0 || *at > (MORE_DEADLINE | MORE_TRACE))
        return NULL;
    uint8_t more = *at++;
    if (more & MORE_DEADLINE)
        at = decode_ms(at, end, &event->start.deadline_ms);
    if (at != NULL && (more & MORE_TRACE))
        at = decode_trace(at, end, &event->start.trace);
    return at;
}

static const uint8_t *decode_start(const uint8_t *at, const uint8_t *end, uint8_t parts,
                                   struct event *event)
{
    bool has_source = (parts & TAG_FIRST_PART) != 0;
    event->start.source = EVENT_NO_SOURCE;
    event->start.name = (struct flyover_bytes){0};
    event->start.at_ms = 0;
    event->start.deadline_ms = 0;
    event->start.trace = (struct flyover_bytes){0};
    at = decode_u32(at, end, &event->start.plan);
    if (at != NULL && has_source)
        at = decode_u32(at, end, &event->start.source);
    if (at != NULL && has_source && event->start.source == EVENT_NO_SOURCE)
        return NULL;
    if (at != NULL && (parts & TAG_SECOND_PART))
        at = decode_part(at, end, &event->start.name);
    if (at != NULL && (parts & TAG_THIRD_PART))
        at = decode_ms(at, end, &event->start.at_ms);
    if (at != NULL && (parts & TAG_FOURTH_PART))
        at = decode_more(at, end, event);
    return at == NULL ? NULL : decode_bytes(at, end, &event->start.input);
}

static const uint8_t *decode_mend(const uint8_t *at, const uint8_t *end, bool has_output,
                                  struct event *event)
{
    event->mend.output = (struct flyover_bytes){0};
    at = varint_decode(at, end, &event->mend.saga_id);
    if (at == NULL || at == end || *at > MEND_RESOLVE)
        return NULL;
    event->mend.action = (enum mend_action) * at++;
    if (has_output)
        at = decode_part(at, end, &event->mend.output);
    return at == NULL ? NULL : decode_bytes(at, end, &event->mend.reason);
}

const uint8_t *event_decode_step(const uint8_t *at, const uint8_t *end, struct event_step *ret_step)
{
    at = decode_u32(at, end, &ret_step->state);
    if (at != NULL)
        at = decode_u32(at, end, &ret_step->step_no);
    if (at != NULL)
        at = decode_bytes(at, end, &ret_step->input);
    return at == NULL ? NULL : decode_bytes(at, end, &ret_step->output);
}

static const uint8_t *decode_redrive(const uint8_t *at, const uint8_t *end, bool once,
                                     bool has_trace, struct event *event)
{
    event->redrive.once = once;
    event->redrive.trace = (struct flyover_bytes){0};
    at = varint_decode(at, end, &event->redrive.of_saga_id);
    if (at != NULL)
        at = decode_u32(at, end, &event->redrive.plan);
    if (at != NULL)
        at = decode_u32(at, end, &event->redrive.state);
    if (at != NULL)
        at = decode_u32(at, end, &event->redrive.step_no);
    if (at != NULL && has_trace)
        at = decode_trace(at, end, &event->redrive.trace);
    if (at != NULL)
        at = decode_bytes(at, end, &event->redrive.payload);
    if (at != NULL)
        at = decode_u32(at, end, &event->redrive.steps_count);
    if (at == NULL || event->redrive.steps_count > EVENT_REDRIVE_STEPS_MAX)
        return NULL;
    event->redrive.steps.at = at;
    struct event_step step;
    for (uint32_t i = 0; i < event->redrive.steps_count && at != NULL; i++)
        at = event_decode_step(at, end, &step);
    if (at != NULL)
        event->redrive.steps.count = (uint32_t)(at - event->redrive.steps.at);
    return at;
}

/* The flags and optional parts that a kind may have. */
static uint8_t parts_of(enum event_kind kind)
{
    switch (kind) {
    case EVENT_START: return TAG_FIRST_PART | TAG_SECOND_PART | TAG_THIRD_PART | TAG_FOURTH_PART;
    case EVENT_RESULT: return TAG_FIRST_PART | TAG_SECOND_PART | TAG_THIRD_PART;
    case EVENT_ERROR:
    case EVENT_TIMER:
    case EVENT_REDRIVE:
    case EVENT_CANCEL: return TAG_FIRST_PART | TAG_SECOND_PART;
    case EVENT_LIMITS:
    case EVENT_MEND: return TAG_FIRST_PART;
    case EVENT_SERVICE:
    case EVENT_DEFINITION:
    case EVENT_SOURCE:
    case EVENT_SIGNAL:
    case EVENT_HEARTBEAT: break;
    }
    return 0;
}

static const uint8_t *decode_result(const uint8_t *at, const uint8_t *end, uint8_t tag,
                                    struct event *event)
{
    event->result.writes = (struct flyover_bytes){0};
    event->result.output = (struct flyover_bytes){0};
    event->result.by_token = (tag & TAG_THIRD_PART) != 0;
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
    if (kind > EVENT_REDRIVE || (parts & ~parts_of(kind)) != 0)
        return NULL;
    bool first = (parts & TAG_FIRST_PART) != 0, second = (parts & TAG_SECOND_PART) != 0;
    ret_event->kind = kind;
    switch (kind) {
    case EVENT_LIMITS: return decode_limits(at, end, first, ret_event);
    case EVENT_SERVICE: return decode_service(at, end, ret_event);
    case EVENT_DEFINITION:
        at = decode_bytes(at, end, &ret_event->definition.name);
        return at == NULL ? NULL : decode_bytes(at, end, &ret_event->definition.text);
    case EVENT_SOURCE: return decode_u64(at, end, &ret_event->source.first_hash);
    case EVENT_START: return decode_start(at, end, parts, ret_event);
    case EVENT_RESULT: return decode_result(at, end, tag, ret_event);
    case EVENT_ERROR:
        ret_event->error.retryable = first;
        ret_event->error.by_token = second;
        at = decode_u32(at, end, &ret_event->error.branch);
        if (at != NULL)
            at = decode_bytes(at, end, &ret_event->error.name);
        return at == NULL ? NULL : decode_bytes(at, end, &ret_event->error.cause);
    case EVENT_TIMER:
        ret_event->timer.of_saga = first;
        ret_event->timer.undo_begun = second;
        if (second && !first)
            return NULL;
        return decode_u32(at, end, &ret_event->timer.branch);
    case EVENT_SIGNAL:
        at = varint_decode(at, end, &ret_event->signal.saga_id);
        if (at != NULL)
            at = decode_bytes(at, end, &ret_event->signal.name);
        return at == NULL ? NULL : decode_bytes(at, end, &ret_event->signal.payload);
    case EVENT_HEARTBEAT: return decode_u32(at, end, &ret_event->heartbeat.branch);
    case EVENT_CANCEL:
        ret_event->cancel.abort = first;
        ret_event->cancel.undo_begun = second;
        if (second && first)
            return NULL;
        at = varint_decode(at, end, &ret_event->cancel.saga_id);
        return at == NULL ? NULL : decode_bytes(at, end, &ret_event->cancel.reason);
    case EVENT_MEND: return decode_mend(at, end, first, ret_event);
    case EVENT_REDRIVE: return decode_redrive(at, end, first, second, ret_event);
    }
    return NULL;
}
