#include "tests/edge/fake_frame.h"

#include <stdlib.h>
#include <string.h>

#define CALLS_MAX 4096u

static struct fake_call *calls[CALLS_MAX];
static uint32_t calls_count, open_count;

static struct fake_call *open_call(struct edge_call *call)
{
    struct fake_call *fake = (struct fake_call *)call;
    assert_false(fake->is_done || fake->is_failed);
    return fake;
}

void edge_done(struct edge_thread *thread, struct edge_call *call, json_t *output)
{
    (void)thread;
    struct fake_call *fake = open_call(call);
    fake->is_done = true;
    open_count--;
    fake->output = output;
}

void edge_failed(struct edge_thread *thread, struct edge_call *call, bool retryable,
                 const char *error, const char *cause_format, ...)
{
    (void)thread;
    struct fake_call *fake = open_call(call);
    fake->is_failed = true;
    open_count--;
    fake->retryable = retryable;
    snprintf(fake->error, sizeof fake->error, "%s", error);
    va_list arguments;
    va_start(arguments, cause_format);
    vsnprintf(fake->cause, sizeof fake->cause, cause_format, arguments);
    va_end(arguments);
}

void edge_count_retry(struct edge_thread *thread, const struct edge_call *call)
{
    (void)thread, (void)call;
}

struct edge_thread *fake_frame_thread(void)
{
    static char thread;
    return (struct edge_thread *)&thread;
}

struct fake_call *fake_call_make(uint32_t handler, const char *key, const char *input)
{
    assert_true(calls_count < CALLS_MAX);
    struct fake_call *fake = calloc(1, sizeof *fake);
    assert_non_null(fake);
    fake->call.handler = handler;
    assert_true(strlen(key) < sizeof fake->call.key);
    strcpy(fake->call.key, key);
    json_error_t error;
    fake->call.input = json_loads(input, JSON_DECODE_ANY, &error);
    if (fake->call.input == NULL)
        fail_msg("%s: %s", error.text, input);
    calls[calls_count++] = fake;
    open_count++;
    return fake;
}

uint32_t fake_calls_open(void)
{
    return open_count;
}

void fake_frame_reset(void)
{
    for (uint32_t i = 0; i < calls_count; i++) {
        json_decref(calls[i]->call.input);
        json_decref(calls[i]->output);
        free(calls[i]);
    }
    calls_count = open_count = 0;
}

void assert_json(const json_t *json, const char *expected)
{
    json_t *wanted = json_loads(expected, JSON_DECODE_ANY, NULL);
    assert_non_null(wanted);
    char *is = json_equal(json, wanted) ? NULL : json_dumps(json, JSON_ENCODE_ANY);
    if (!json_equal(json, wanted))
        fail_msg("is %s, not %s", is != NULL ? is : "null", expected);
    json_decref(wanted);
}

void assert_done(const struct fake_call *fake, const char *output)
{
    if (fake->is_failed)
        fail_msg("%s: %s", fake->error, fake->cause);
    assert_true(fake->is_done);
    assert_json(fake->output, output);
}

void assert_failed(const struct fake_call *fake, bool retryable, const char *error)
{
    assert_true(fake->is_failed);
    assert_string_equal(fake->error, error);
    assert_int_equal(fake->retryable, retryable);
}
