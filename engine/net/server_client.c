#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/net/server_parts.h"
#include "engine/saga/value.h"

enum { REPLY_STARTED, REPLY_ENDED, REPLY_BOTH };

static void refuse(struct server *server, struct peer *peer, uint64_t id, enum status status,
                   const struct problem *problem)
{
    uint32_t retry_after_ms = status == STATUS_BUSY ? partition_busy_ms(server->partition) : 0;
    const char *sentence = problem->text[0] != '\0' ? problem->text : status_text(status);
    out_error(server, peer, id, status, sentence, retry_after_ms);
}

/* ---- which definition ---------------------------------------------------------------------------
 */

static enum status look_up(struct server *server, struct peer *peer, struct flyover_bytes name,
                           struct problem *problem)
{
    const struct partition_state *state = partition_state(server->partition);
    uint32_t plan = PARTITION_NO_PLAN;
    peer->definition_bytes = 0;
    if (name.count <= FLYOVER_NAME_BYTES_MAX && memchr(name.at, '\0', name.count) == NULL) {
        memcpy(peer->definition, name.at, name.count);
        peer->definition[name.count] = '\0';
        plan = partition_state_find_plan(state, peer->definition);
    }
    if (plan == PARTITION_NO_PLAN)
        return problem_set(
            problem, STATUS_NOT_FOUND,
            "there is no definition '%.*s' here: DEFINE it, or ask for `definitions`",
            (int)(name.count < 80 ? name.count : 80), (const char *)name.at);
    peer->definition_bytes = name.count;
    peer->plan = plan;
    peer->plans_count = core_plans_count(state->core);
    return STATUS_OK;
}

/* The newest version of the definition of this name. One name is most often asked for in a row. */
static enum status find_plan(struct server *server, struct peer *peer, struct flyover_bytes name,
                             uint32_t *ret_plan, struct problem *problem)
{
    const struct core *core = partition_state(server->partition)->core;
    enum status status = STATUS_OK;
    if (name.count != peer->definition_bytes || name.count == 0 ||
        memcmp(name.at, peer->definition, name.count) != 0 ||
        peer->plans_count != core_plans_count(core))
        status = look_up(server, peer, name, problem);
    if (status == STATUS_OK)
        *ret_plan = peer->plan;
    return status;
}

static enum status check_plan(struct server *server, uint64_t plan, uint32_t *ret_plan,
                              struct problem *problem)
{
    if (plan >= core_plans_count(partition_state(server->partition)->core))
        return problem_set(problem, STATUS_NOT_FOUND, "there is no plan of this number here");
    *ret_plan = (uint32_t)plan;
    return STATUS_OK;
}

/* ---- START --------------------------------------------------------------------------------------
 */

struct start {
    uint64_t id;
    struct flyover_bytes definition; /* at NULL: by plan */
    uint64_t plan;
    struct partition_start_options options;
    uint64_t reply;
};

static bool read_options(struct wire_message *message, struct start *start,
                         struct problem *problem);

/* False: malformed. */
static bool read_start(struct wire_message *message, struct start *start, struct problem *problem)
{
    if (!wire_take_uint(message, &start->id))
        return false;
    if (!wire_take_text(message, &start->definition) && !wire_take_uint(message, &start->plan))
        return false;
    if (!wire_take_value(message, &start->options.input))
        return false;
    return flyover_read_nil(&message->fields) || read_options(message, start, problem);
}

static bool read_time(struct wire_message *message, int64_t *ret_ms)
{
    return wire_take_int(message, ret_ms) && *ret_ms >= 0;
}

static bool read_up_to_2(struct wire_message *message, uint64_t *ret_value)
{
    return wire_take_uint(message, ret_value) && *ret_value <= 2;
}

static bool read_priority(struct wire_message *message, struct partition_start_options *options)
{
    static const enum partition_priority priorities[] = {
        PARTITION_PRIORITY_LOW, PARTITION_PRIORITY_NORMAL, PARTITION_PRIORITY_HIGH};
    uint64_t priority;
    if (!read_up_to_2(message, &priority))
        return false;
    options->priority = priorities[priority];
    return true;
}

/* False: it is of another type, or out of range. */
static bool read_option(struct wire_message *message, struct flyover_bytes key, struct start *start)
{
    struct partition_start_options *options = &start->options;
    if (text_is(key, "reply"))
        return read_up_to_2(message, &start->reply);
    if (text_is(key, "name"))
        return wire_take_text(message, &options->name) && options->name.count > 0;
    if (text_is(key, "at_ms"))
        return read_time(message, &options->at_ms);
    if (text_is(key, "deadline_ms"))
        return read_time(message, &options->deadline_ms);
    if (text_is(key, "trace"))
        return wire_take_text(message, &options->trace);
    return text_is(key, "priority") ? read_priority(message, options) : wire_skip(&message->fields);
}

/* What is wrong with a value stands in `problem`, and concerns its request only. */
static bool read_options(struct wire_message *message, struct start *start, struct problem *problem)
{
    uint32_t pairs;
    struct flyover_bytes key;
    if (!flyover_read_map(&message->fields, &pairs))
        return false;
    for (uint32_t i = 0; i < pairs; i++) {
        if (!wire_take_text(message, &key))
            return false;
        struct flyover_cursor value = message->fields;
        if (!read_option(message, key, start)) {
            problem_set(problem, STATUS_INVALID, "the option %.*s has a value that it cannot have",
                        (int)key.count, (const char *)key.at);
            message->fields = value;
            wire_skip(&message->fields);
        }
    }
    return true;
}

static enum status check_input(struct flyover_bytes input, struct problem *problem)
{
    const char *reason = NULL;
    if (input.count > FLYOVER_PAYLOAD_BYTES_MAX)
        return problem_set(problem, STATUS_TOO_LARGE, "the input has %u bytes; it may have %u",
                           input.count, FLYOVER_PAYLOAD_BYTES_MAX);
    if (!value_check(input, &reason))
        return problem_set(problem, STATUS_INVALID, "the input cannot be taken: %s", reason);
    return STATUS_OK;
}

static enum status prepare(struct server *server, struct peer *peer, struct start *start,
                           struct problem *problem)
{
    if (problem->text[0] != '\0')
        return problem->status;
    if (server->draining)
        return problem_set(problem, STATUS_IN_USE, "the engine is stopping: connect again later");
    enum status status =
        start->definition.at != NULL
            ? find_plan(server, peer, start->definition, &start->options.plan, problem)
            : check_plan(server, start->plan, &start->options.plan, problem);
    return status == STATUS_OK ? check_input(start->options.input, problem) : status;
}

/* It is accepted: its answers come when their blocks are durable. Next: server_answer. */
static void accept(struct server *server, struct peer *peer, const struct start *start,
                   struct request *request, uint64_t saga_id)
{
    request->saga_id = saga_id;
    request->wants_start = start->reply != REPLY_ENDED;
    request->wants_end = start->reply != REPLY_STARTED;
    if (request->wants_start) {
        request_pend(server, request);
        return;
    }
    request_wait(server, peer, request);
    if (request->existed)
        server_await_end(server, peer, request);
}

enum heard server_on_start(struct server *server, struct peer *peer, struct wire_message *message)
{
    struct start start = {0};
    struct problem problem;
    uint64_t saga_id = 0;
    problem.text[0] = '\0';
    if (!read_start(message, &start, &problem))
        return HEARD_MALFORMED;
    enum status status = prepare(server, peer, &start, &problem);
    if (status != STATUS_OK) {
        refuse(server, peer, start.id, status, &problem);
        return HEARD;
    }
    struct request *request = request_open(server, peer, start.id, REQUEST_START);
    if (request == NULL)
        return HEARD;
    start.options.wants_output = start.reply != REPLY_STARTED;
    if (start.options.wants_output)
        start.options.token = request_token(request);
    status = partition_start_with(server->partition, &start.options, &saga_id, &problem);
    if (status != STATUS_OK && status != STATUS_EXISTS) {
        request_close(server, request);
        refuse(server, peer, start.id, status, &problem);
        return HEARD;
    }
    request->existed = status == STATUS_EXISTS;
    accept(server, peer, &start, request, saga_id);
    return HEARD;
}

/* ---- DEFINE -------------------------------------------------------------------------------------
 */

static enum status define(struct server *server, struct flyover_bytes name,
                          struct flyover_bytes text, uint32_t *ret_plan, struct problem *problem)
{
    char name_text[FLYOVER_NAME_BYTES_MAX + 1] = {0};
    if (server->draining)
        return problem_set(problem, STATUS_IN_USE, "the engine is stopping: connect again later");
    if (name.count == 0 || name.count > FLYOVER_NAME_BYTES_MAX)
        return problem_set(problem, STATUS_INVALID, "the name of a definition has 1 to %u bytes",
                           FLYOVER_NAME_BYTES_MAX);
    if (memchr(name.at, '\0', name.count) != NULL)
        return problem_set(problem, STATUS_INVALID,
                           "the name of a definition has no byte of zero in it");
    memcpy(name_text, name.at, name.count);
    return partition_define(server->partition, name_text, name_text, (const char *)text.at,
                            text.count, ret_plan, problem);
}

enum heard server_on_define(struct server *server, struct peer *peer, struct wire_message *message)
{
    uint64_t id;
    uint32_t plan = 0;
    struct flyover_bytes name, text;
    struct problem problem = {0};
    if (!wire_take_uint(message, &id) || !wire_take_text(message, &name) ||
        !wire_take_text(message, &text))
        return HEARD_MALFORMED;
    struct request *request = request_open(server, peer, id, REQUEST_DEFINE);
    if (request == NULL)
        return HEARD;
    enum status status = define(server, name, text, &plan, &problem);
    if (status != STATUS_OK) {
        request_close(server, request);
        refuse(server, peer, id, status, &problem);
        return HEARD;
    }
    request->saga_id = plan;
    request->wants_start = true;
    request_pend(server, request);
    return HEARD;
}

/* A service in another process has lanes. */
static bool is_remote(const struct server *server, const char *service)
{
    uint32_t lane = remote_lanes_count(server->partition);
    while (lane > 0 && strcmp(remote_lane(server->partition, lane - 1)->service, service) != 0)
        lane--;
    return lane > 0;
}

/* Each service of the plan that is in another process, and that no worker serves, once. */
static uint32_t list_unserved(struct server *server, const struct plan *plan,
                              const char *ret_services[], uint32_t capacity)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < plan->resources_count && count < capacity; i++) {
        const char *service = plan->resources[i].service;
        bool known = !is_remote(server, service) || server_is_served(server, service);
        for (uint32_t j = 0; j < count && !known; j++)
            known = strcmp(ret_services[j], service) == 0;
        if (!known)
            ret_services[count++] = service;
    }
    return count;
}

static bool send_defined(struct server *server, struct peer *peer, const struct request *request)
{
    const char *services[PARTITION_SERVICES_MAX];
    const struct partition_state *state = partition_state(server->partition);
    uint32_t plan = (uint32_t)request->saga_id;
    uint32_t count =
        list_unserved(server, core_plan(state->core, plan), services, PARTITION_SERVICES_MAX);
    uint8_t *at = out_begin(
        server, peer, WIRE_HEAD_BYTES_MAX + count * (FLYOVER_NAME_BYTES_MAX + WIRE_ITEM_BYTES_MAX));
    if (at == NULL)
        return false;
    at = wire_put_array(at, 5);
    at = wire_put_uint(at, WIRE_DEFINED);
    at = wire_put_uint(at, request->id);
    at = wire_put_uint(at, plan);
    at = wire_put_uint(at, state->definitions[plan].version);
    at = wire_put_array(at, count);
    for (uint32_t i = 0; i < count; i++)
        at = wire_put_string(at, services[i]);
    out_end(server, peer, at);
    return true;
}

/* ---- answers ------------------------------------------------------------------------------------
 */

static bool send_started(struct server *server, struct peer *peer, const struct request *request)
{
    uint8_t *at = out_begin(server, peer, WIRE_HEAD_BYTES_MAX);
    if (at == NULL)
        return false;
    at = wire_put_array(at, 4);
    at = wire_put_uint(at, WIRE_STARTED);
    at = wire_put_uint(at, request->id);
    at = wire_put_uint(at, request->saga_id);
    at = wire_put_bool(at, request->existed);
    out_end(server, peer, at);
    return true;
}

bool server_answer(struct server *server, struct peer *peer, struct request *request)
{
    if (request->wants_start) {
        bool sent = request->kind == REQUEST_DEFINE ? send_defined(server, peer, request)
                                                    : send_started(server, peer, request);
        if (!sent)
            return false;
        request->wants_start = false;
    }
    if (request->has_end && !out_kept(server, peer, request->kept))
        return false;
    if (request->has_end || !request->wants_end) {
        request_close(server, request);
        return true;
    }
    request_wait(server, peer, request);
    if (request->existed)
        server_await_end(server, peer, request);
    return true;
}
