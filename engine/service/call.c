#include "engine/service/call.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/saga/core.h"
#include "engine/saga/trace.h"
#include "engine/saga/value.h"

#define SCRATCH_BYTES (2u * FLYOVER_PAYLOAD_BYTES_MAX + 64u)

enum status call_init(struct flyover_call *call, const struct plugin *plugin, struct tables *tables,
                      uint64_t token_seed)
{
    *call = (struct flyover_call){.plugin = plugin, .tables = tables, .token_seed = token_seed};
    call->scratch = malloc(SCRATCH_BYTES);
    call->output_copy = malloc(FLYOVER_PAYLOAD_BYTES_MAX);
    return call->scratch == NULL || call->output_copy == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

void call_fini(struct flyover_call *call)
{
    free(call->scratch);
    free(call->output_copy);
}

void call_begin(struct flyover_call *call, const struct invoke *invoke, uint8_t *out)
{
    call->key =
        (struct flyover_key){invoke->saga_id, invoke->step_no, (enum flyover_phase)invoke->phase};
    call->attempt_no = invoke->attempt_no;
    call->trace = invoke->trace;
    call->out = out;
    call->answered = false;
    call->lost_write = false;
    call->output_bytes = 0;
    struct flyover_bytes input = {invoke->input, invoke->input_bytes};
    if (invoke->phase == FLYOVER_COMPENSATION) {
        static const uint8_t nil = 0xc0;
        struct flyover_bytes output = {invoke->output, invoke->output_bytes};
        if (output.count == 0)
            output = (struct flyover_bytes){&nil, 1};
        size_t bytes = value_make_undo(input, output, call->scratch, SCRATCH_BYTES);
        assert(bytes > 0);
        input = (struct flyover_bytes){call->scratch, (uint32_t)bytes};
    }
    call->input = (struct flyover_cursor){input.at, input.at + input.count};
    if (call->tables != NULL)
        tables_begin(call->tables, out, FLYOVER_WRITES_BYTES_MAX);
}

/* How many bytes of a text that was cut are whole characters. */
static size_t whole_characters(const char *text, size_t bytes)
{
    size_t lead = bytes;
    while (lead > 0 && bytes - lead < 3 && ((uint8_t)text[lead - 1] & 0xc0) == 0x80)
        lead--;
    if (lead == 0)
        return bytes;
    uint8_t first = (uint8_t)text[lead - 1];
    size_t wanted = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    return bytes - (lead - 1) < wanted ? lead - 1 : bytes;
}

/* The bytes to keep of what snprintf made of a text in `capacity` bytes. */
static uint32_t kept_bytes(const char *text, int printed, size_t capacity)
{
    assert(printed >= 0);
    size_t bytes = (size_t)printed;
    return (uint32_t)(bytes < capacity ? bytes : whole_characters(text, capacity - 1));
}

static void set_name(struct flyover_call *call, const char *name)
{
    int printed = snprintf(call->name, sizeof call->name, "%s", name);
    call->name_bytes = kept_bytes(call->name, printed, sizeof call->name);
}

static void set_cause(struct flyover_call *call, const char *format, va_list arguments)
{
    int printed = vsnprintf(call->cause, sizeof call->cause, format, arguments);
    call->cause_bytes = kept_bytes(call->cause, printed, sizeof call->cause);
}

/* The name of what the handler did wrong, or NULL. Leaves the cause in the call. */
static const char *find_fault(struct flyover_call *call, enum flyover_answer answer)
{
    if (!call->answered || call->answer != answer)
        return "Flyover.NoOutput";
    if (answer != FLYOVER_DONE)
        return NULL;
    if (call->lost_write || (call->tables != NULL && tables_full(call->tables)))
        return "Flyover.StateFull";
    if (call->output_bytes > FLYOVER_PAYLOAD_BYTES_MAX)
        return "States.DataLimitExceeded";
    struct flyover_bytes output = {call->output, (uint32_t)call->output_bytes};
    if (output.count > 0 && !value_check(output, NULL))
        return "Flyover.BadOutput";
    return NULL;
}

static const char *fault_cause(const char *fault)
{
    if (strcmp(fault, "Flyover.NoOutput") == 0)
        return "the handler did not return what flyover_done, flyover_refused or flyover_retry "
               "gave it";
    if (strcmp(fault, "Flyover.StateFull") == 0)
        return "a write did not fit: its table is full, missing or of the other kind, its key or "
               "value too long, a counter at its end, or the writes of the call too many";
    if (strcmp(fault, "Flyover.BadOutput") == 0)
        return "the output of the handler is not one whole msgpack value (no ext types, string "
               "keys, UTF-8, at most 32 deep)";
    return "the output of the handler is larger than 262144 bytes";
}

static void set_fault(struct flyover_call *call, const char *fault)
{
    set_name(call, fault);
    int printed = snprintf(call->cause, sizeof call->cause, "%s", fault_cause(fault));
    call->cause_bytes = kept_bytes(call->cause, printed, sizeof call->cause);
}

static struct result end_with_error(struct flyover_call *call, enum flyover_answer answer)
{
    if (call->tables != NULL)
        tables_abort(call->tables);
    memcpy(call->out, call->name, call->name_bytes);
    memcpy(call->out + call->name_bytes, call->cause, call->cause_bytes);
    return (struct result){
        .bytes = call->out,
        .first_bytes = call->name_bytes,
        .second_bytes = call->cause_bytes,
        .answer = (uint8_t)answer,
    };
}

struct result call_end(struct flyover_call *call, enum flyover_answer answer)
{
    const char *fault = find_fault(call, answer);
    if (fault != NULL) {
        set_fault(call, fault);
        return end_with_error(call, FLYOVER_REFUSED);
    }
    if (answer != FLYOVER_DONE)
        return end_with_error(call, answer);
    uint32_t writes_bytes = call->tables == NULL ? 0 : tables_commit(call->tables);
    if (call->output_bytes > 0)
        memcpy(call->out + writes_bytes, call->output, call->output_bytes);
    return (struct result){
        .bytes = call->out,
        .first_bytes = writes_bytes,
        .second_bytes = (uint32_t)call->output_bytes,
        .answer = FLYOVER_DONE,
    };
}

/* ---- flyover_service.h ---------------------------------------------------------------------- */

struct flyover_cursor flyover_call_input(const struct flyover_call *call)
{
    return call->input;
}

struct flyover_key flyover_call_key(const struct flyover_call *call)
{
    return call->key;
}

void flyover_call_token(const struct flyover_call *call, char ret_token[FLYOVER_TOKEN_BYTES])
{
    _Static_assert(FLYOVER_TOKEN_BYTES == CORE_TOKEN_BYTES, "one buffer for both");
    core_make_token(call->token_seed, call->key.saga_id, call->key.step_no, call->attempt_no,
                    ret_token);
}

bool flyover_call_trace(const struct flyover_call *call, char ret_trace[FLYOVER_TRACE_BYTES])
{
    _Static_assert(FLYOVER_TRACE_BYTES == TRACE_TEXT_BYTES + 1, "one buffer for both");
    if (call->trace.at == 0)
        return false;
    trace_print(slab_bytes_in(call->payloads, call->trace), ret_trace);
    return true;
}

enum flyover_answer flyover_done(struct flyover_call *call)
{
    call->answered = true;
    call->answer = FLYOVER_DONE;
    call->output_bytes = 0;
    return FLYOVER_DONE;
}

enum flyover_answer flyover_done_with(struct flyover_call *call, const void *output,
                                      size_t output_bytes)
{
    call->answered = output_bytes > 0;
    call->answer = FLYOVER_DONE;
    call->output_bytes = output_bytes;
    /* The handler's buffer may be on its stack. */
    if (output_bytes <= FLYOVER_PAYLOAD_BYTES_MAX && output_bytes > 0)
        memcpy(call->output_copy, output, output_bytes);
    call->output = call->output_copy;
    return FLYOVER_DONE;
}

static void answer_error(struct flyover_call *call, enum flyover_answer answer, const char *name,
                         const char *format, va_list arguments)
{
    set_name(call, name);
    set_cause(call, format, arguments);
    call->answered = call->name_bytes > 0;
    call->answer = answer;
}

enum flyover_answer flyover_refused(struct flyover_call *call, const char *name,
                                    const char *cause_format, ...)
{
    va_list arguments;
    va_start(arguments, cause_format);
    answer_error(call, FLYOVER_REFUSED, name, cause_format, arguments);
    va_end(arguments);
    return FLYOVER_REFUSED;
}

enum flyover_answer flyover_retry(struct flyover_call *call, const char *name,
                                  const char *cause_format, ...)
{
    va_list arguments;
    va_start(arguments, cause_format);
    answer_error(call, FLYOVER_RETRY, name, cause_format, arguments);
    va_end(arguments);
    return FLYOVER_RETRY;
}

bool flyover_get(struct flyover_call *call, uint32_t table, struct flyover_bytes key,
                 struct flyover_bytes *ret_value)
{
    return call->tables != NULL && tables_get(call->tables, table, key, ret_value);
}

int64_t flyover_count(struct flyover_call *call, uint32_t table, struct flyover_bytes key)
{
    return call->tables == NULL ? 0 : tables_count_of(call->tables, table, key);
}

/* A service without tables has nowhere to write to. */
static bool can_write(struct flyover_call *call)
{
    call->lost_write |= call->tables == NULL;
    return call->tables != NULL;
}

bool flyover_put(struct flyover_call *call, uint32_t table, struct flyover_bytes key,
                 struct flyover_bytes value)
{
    return can_write(call) && tables_put(call->tables, table, key, value);
}

bool flyover_add(struct flyover_call *call, uint32_t table, struct flyover_bytes key, int64_t delta)
{
    return can_write(call) && tables_add(call->tables, table, key, delta);
}

bool flyover_delete(struct flyover_call *call, uint32_t table, struct flyover_bytes key)
{
    return call->tables != NULL && tables_delete(call->tables, table, key);
}
