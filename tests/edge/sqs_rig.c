#include "tests/edge/sqs_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/saga/value_text.h"

struct rig rig;

/* In memory of its own; JSON that is none fails the test. */
static struct flyover_bytes value_of(const char *text)
{
    size_t bytes = 0;
    struct problem problem = {0};
    size_t capacity = VALUE_FROM_TEXT_BYTES_MAX(strlen(text));
    uint8_t *value = malloc(capacity);
    if (value_from_text(text, strlen(text), value, capacity, &bytes, &problem) != STATUS_OK)
        fail_msg("%s: %s", text, problem.text);
    return (struct flyover_bytes){value, (uint32_t)bytes};
}

static json_t *json_of(struct flyover_bytes value)
{
    size_t capacity = 8 * (size_t)value.count + 64;
    char *text = malloc(capacity);
    size_t bytes = value_to_text(value, text, capacity);
    json_t *json = json_loadb(text, bytes, JSON_DECODE_ANY, NULL);
    assert_non_null(json);
    free(text);
    return json;
}

static void call_free(struct edge_call *call)
{
    free((void *)(uintptr_t)call->value.at);
    free(call);
}

int rig_set_up(void **state)
{
    (void)state;
    memset(&rig, 0, sizeof(rig));
    rig.room = 1000;
    return 0;
}

int rig_tear_down(void **state)
{
    (void)state;
    assert_int_equal(rig.requests_count, 0); /* rig_cancel */
    for (uint32_t i = 0; i < rig.ends_count; i++)
        json_decref(rig.ends[i].output);
    for (uint32_t i = 0; i < rig.messages_count; i++)
        json_decref(rig.messages[i].input);
    for (uint32_t i = 0; i < RIG_LIST_MAX; i++)
        if (rig.open[i])
            call_free(rig.open[i]);
    return 0;
}

struct edge_context rig_context(void)
{
    static char thread, aws;
    return (struct edge_context){.thread = (struct edge_thread *)&thread,
                                 .aws = rig.without_aws ? NULL : (struct aws *)&aws,
                                 .name_retention_ms = 24 * 3600000};
}

static enum status open_with(const struct edge_kind *kind, const char *config, void **ret_module,
                             struct problem *problem)
{
    struct edge_context context = rig_context();
    json_t *json = json_loads(config, JSON_DECODE_ANY, NULL);
    assert_non_null(json);
    enum status status = kind->open(&context, json, ret_module, problem);
    json_decref(json);
    return status;
}

void *rig_open(const struct edge_kind *kind, const char *config)
{
    void *module = NULL;
    struct problem problem = {0};
    if (open_with(kind, config, &module, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    return module;
}

const char *rig_refused(const struct edge_kind *kind, const char *config)
{
    static struct problem problem;
    void *module = NULL;
    problem.text[0] = 0;
    assert_int_equal(open_with(kind, config, &module, &problem), STATUS_INVALID);
    assert_null(module);
    return problem.text;
}

void rig_turn(const struct edge_kind *kind, void *module)
{
    (void)kind->turn(module, NULL, 0);
}

struct edge_call *rig_call(const char *key, const char *input)
{
    struct edge_call *call = calloc(1, sizeof(*call));
    (void)snprintf(call->key, sizeof(call->key), "%s", key);
    call->value = value_of(input);
    for (uint32_t i = 0; i < RIG_LIST_MAX; i++)
        if (!rig.open[i]) {
            rig.open[i] = call;
            return call;
        }
    fail();
    return NULL;
}

const struct rig_end *rig_end_of(const char *key)
{
    for (uint32_t i = 0; i < rig.ends_count; i++)
        if (strcmp(rig.ends[i].key, key) == 0)
            return &rig.ends[i];
    return NULL;
}

/* ---- the edge thread ---------------------------------------------------------------------------
 */

static struct rig_end *end_call(struct edge_call *call)
{
    assert_true(rig.ends_count < RIG_LIST_MAX);
    struct rig_end *end = &rig.ends[rig.ends_count++];
    (void)snprintf(end->key, sizeof(end->key), "%s", call->key);
    for (uint32_t i = 0; i < RIG_LIST_MAX; i++)
        if (rig.open[i] == call) {
            rig.open[i] = NULL;
            call_free(call);
            return end;
        }
    fail_msg("a call was answered twice");
    return NULL;
}

void edge_done_value(struct edge_thread *thread, struct edge_call *call,
                     struct flyover_bytes output)
{
    (void)thread;
    json_t *json = json_of(output);
    end_call(call)->output = json;
}

void edge_failed(struct edge_thread *thread, struct edge_call *call, bool retryable,
                 const char *error, const char *cause_format, ...)
{
    (void)thread;
    struct rig_end *end = end_call(call);
    va_list arguments;
    end->retryable = retryable;
    (void)snprintf(end->error, sizeof(end->error), "%s", error);
    va_start(arguments, cause_format);
    (void)vsnprintf(end->cause, sizeof(end->cause), cause_format, arguments);
    va_end(arguments);
}

void edge_count_refused(struct edge_thread *thread)
{
    (void)thread;
    rig.refused++;
}

void edge_end_told(struct edge_thread *thread, struct edge_end *end)
{
    (void)thread;
    assert_non_null(end);
    rig.ends_told++;
}

void edge_count_retry(struct edge_thread *thread, const struct edge_call *call)
{
    (void)thread;
    assert_non_null(call);
    rig.retries++;
}

uint32_t edge_room(const struct edge_thread *thread)
{
    (void)thread;
    return rig.room;
}

uint32_t edge_room_for_answers(const struct edge_thread *thread)
{
    return edge_room(thread);
}

enum status edge_bring(struct edge_thread *thread, void *module, const struct edge_message *message,
                       struct problem *problem)
{
    (void)thread;
    (void)module;
    if (rig.room == 0)
        return problem_set(problem, STATUS_BUSY, "no room");
    if (rig.bring_status != STATUS_OK)
        return problem_set(problem, rig.bring_status, "it can be no payload");
    assert_true(rig.messages_count < RIG_LIST_MAX);
    struct rig_message *kept = &rig.messages[rig.messages_count++];
    *kept = (struct rig_message){.kind = message->kind,
                                 .saga_id = message->saga_id,
                                 .input = message->input.count ? json_of(message->input) : NULL,
                                 .handle = message->handle};
    (void)snprintf(kept->definition, sizeof(kept->definition), "%s",
                   message->definition ? message->definition : "");
    (void)snprintf(kept->name, sizeof(kept->name), "%s", message->name ? message->name : "");
    (void)snprintf(kept->token, sizeof(kept->token), "%s", message->token ? message->token : "");
    (void)snprintf(kept->error, sizeof(kept->error), "%s", message->error ? message->error : "");
    (void)snprintf(kept->cause, sizeof(kept->cause), "%s", message->cause ? message->cause : "");
    rig.room--;
    return STATUS_OK;
}

void edge_log(struct edge_thread *thread, int level, const char *event, const char *format, ...)
{
    (void)thread;
    size_t used = strlen(rig.log);
    used += (size_t)snprintf(rig.log + used, sizeof(rig.log) - used, "%d %s: ", level, event);
    va_list arguments;
    va_start(arguments, format);
    if (used < sizeof(rig.log))
        used += (size_t)vsnprintf(rig.log + used, sizeof(rig.log) - used, format, arguments);
    va_end(arguments);
    if (used + 2 < sizeof(rig.log))
        strcpy(rig.log + used, "\n");
}
