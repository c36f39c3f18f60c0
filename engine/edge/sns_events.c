#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/json_text.h"
#include "engine/edge/section.h"
#include "engine/edge/sns.h"
#include "engine/saga/value_json.h"

#define INPUT_BYTES 4096u

static const char *const outcomes[] = {"SUCCEEDED", "FAILED", "COMPENSATED", "STUCK", "ABORTED"};
#define OUTCOMES_COUNT (sizeof(outcomes) / sizeof(outcomes[0]))

/* ---- which of them -----------------------------------------------------------------------------
 */

static uint32_t bit_of(const char *outcome)
{
    for (uint32_t i = 0; outcome && i < OUTCOMES_COUNT; i++)
        if (strcmp(outcome, outcomes[i]) == 0)
            return 1u << i;
    return 0;
}

static enum status read_outcomes(struct sns_events *events, const json_t *on,
                                 struct problem *problem)
{
    size_t at;
    json_t *outcome;
    events->outcomes = on ? 0 : (1u << OUTCOMES_COUNT) - 1;
    json_array_foreach(on, at, outcome)
    {
        uint32_t bit = bit_of(json_string_value(outcome));
        if (bit == 0)
            events->outcomes = 0;
        if (bit == 0)
            break;
        events->outcomes |= bit;
    }
    if (events->outcomes != 0)
        return STATUS_OK;
    return problem_set(problem, STATUS_INVALID,
                       "sns.events.on: wanted is a list of some of SUCCEEDED, FAILED, COMPENSATED, "
                       "STUCK and ABORTED");
}

static enum status read_definitions(struct sns_events *events, const json_t *definitions,
                                    struct problem *problem)
{
    size_t count = json_array_size(definitions);
    if (!definitions)
        return STATUS_OK;
    if (count == 0 || count > SNS_EVENT_DEFINITIONS_MAX)
        return problem_set(
            problem, STATUS_INVALID,
            "sns.events.definitions: wanted is a list of 1 to %u names; leave it out "
            "for all",
            SNS_EVENT_DEFINITIONS_MAX);
    for (size_t i = 0; i < count; i++) {
        const char *name = json_string_value(json_array_get(definitions, i));
        if (!name || !*name)
            return problem_set(problem, STATUS_INVALID,
                               "sns.events.definitions[%zu]: wanted is a definition's name", i);
        events->definitions[events->definitions_count++] = strdup(name);
    }
    return STATUS_OK;
}

enum status sns_events_read(struct sns_events *events, const json_t *config,
                            struct problem *problem)
{
    static const char *const known[] = {"topic", "on", "definitions", NULL};
    const char *topic = NULL;
    if (!config || json_is_null(config))
        return STATUS_OK;
    enum status status = section_check(config, "sns.events", known, problem);
    if (status == STATUS_OK)
        status = section_text(config, "sns.events", "topic", 2048, &topic, problem);
    if (status == STATUS_OK && (!topic || !sns_is_topic(topic)))
        return problem_set(problem, STATUS_INVALID,
                           "sns.events.topic: wanted is a topic's ARN, such as "
                           "arn:aws:sns:eu-central-1:123456789012:orders");
    if (status == STATUS_OK)
        status = read_outcomes(events, json_object_get(config, "on"), problem);
    if (status == STATUS_OK)
        status = read_definitions(events, json_object_get(config, "definitions"), problem);
    if (status == STATUS_OK)
        events->topic = strdup(topic);
    return status;
}

void sns_events_free(struct sns_events *events)
{
    free(events->topic);
    for (uint32_t i = 0; i < events->definitions_count; i++)
        free(events->definitions[i]);
}

static bool is_named(const struct sns_events *events, const char *definition)
{
    for (uint32_t i = 0; i < events->definitions_count; i++)
        if (strcmp(events->definitions[i], definition) == 0)
            return true;
    return events->definitions_count == 0;
}

bool sns_wants_end(const void *module, const char *definition, const char *outcome)
{
    const struct sns_events *events = &((const struct sns *)module)->events;
    if (!events->topic || !outcome)
        return events->topic != NULL;
    return (events->outcomes & bit_of(outcome)) != 0 && is_named(events, definition);
}

/* ---- what is said of one -----------------------------------------------------------------------
 */

static void set_text(json_t *object, const char *field, const char *text)
{
    if (text)
        json_object_set_new(object, field, json_string(text));
}

static json_t *event_of(const struct edge_end *end, bool with_output)
{
    json_t *event = json_pack("{s:I, s:s, s:i, s:s, s:I}", "saga_id", (json_int_t)end->saga_id,
                              "definition", end->definition, "version", (int)end->version,
                              "outcome", end->outcome, "ended_ms", (json_int_t)end->ended_ms);
    set_text(event, "error", end->error);
    set_text(event, "cause", end->cause);
    if (end->output && with_output)
        json_object_set(event, "output", end->output);
    else if (end->output || end->output_omitted)
        json_object_set_new(event, "output_omitted", json_true());
    return event;
}

/* For filters of subscriptions, and the group of a FIFO topic. */
static struct flyover_bytes input_of(const struct edge_end *end, bool fifo,
                                     uint8_t ret_memory[INPUT_BYTES])
{
    size_t bytes = 0;
    json_t *input = json_pack("{s:{s:{s:s, s:s}, s:{s:s, s:s}}}", "MessageAttributes", "definition",
                              "DataType", "String", "StringValue", end->definition, "outcome",
                              "DataType", "String", "StringValue", end->outcome);
    if (fifo)
        json_object_set_new(input, "MessageGroupId", json_sprintf("saga-%" PRIu64, end->saga_id));
    enum status status = value_from_json(input, ret_memory, INPUT_BYTES, &bytes);
    assert(status == STATUS_OK && "names have a limit");
    json_decref(input);
    return (struct flyover_bytes){ret_memory, (uint32_t)bytes};
}

static enum status add_event(struct outbox_message *message, const struct edge_end *end,
                             bool with_output, struct problem *problem)
{
    json_t *event = event_of(end, with_output);
    char *text = json_text(event);
    json_decref(event);
    if (!text)
        return problem_set(problem, STATUS_NO_MEMORY, "out of memory for a message");
    size_t bytes = strlen(text);
    enum status status = STATUS_TOO_LARGE;
    if (bytes <= OUTBOX_BATCH_BYTES)
        status = outbox_add_body(message, "Message",
                                 (struct flyover_bytes){(const uint8_t *)text, (uint32_t)bytes},
                                 problem);
    free(text);
    return status;
}

static enum status make_entry(const struct sns *sns, const struct edge_end *end, bool with_output,
                              struct outbox_message *message, struct problem *problem)
{
    uint8_t memory[INPUT_BYTES];
    bool fifo = sns_is_fifo(sns->events.topic);
    struct flyover_bytes input = input_of(end, fifo, memory);
    *message = outbox_message_begin(&sns->outbox);
    enum status status = add_event(message, end, with_output, problem);
    if (status == STATUS_OK)
        status = outbox_add_attributes(message, input, sns->outbox.key_attribute ? end->key : NULL,
                                       problem);
    if (status == STATUS_OK)
        status = outbox_add_fifo(message, input, end->key, fifo, problem);
    return status;
}

void sns_on_saga_ended(void *module, struct edge_end *end)
{
    struct sns *sns = module;
    struct outbox_message message;
    struct problem problem = {0};
    enum status status = make_entry(sns, end, true, &message, &problem);
    if (status == STATUS_TOO_LARGE)
        status = make_entry(sns, end, false, &message, &problem);
    if (status != STATUS_OK) {
        edge_log(sns->thread, 4, "end_not_published", "saga %" PRIu64 ": %s", end->saga_id,
                 problem.text);
        edge_end_told(sns->thread, end);
        return;
    }
    const struct outbox_item item = {.base = {.bytes = message.bytes, .order = message.order},
                                     .end = end,
                                     .entry = outbox_message_end(&message)};
    outbox_add(&sns->outbox, &item, sns->events.topic);
}
