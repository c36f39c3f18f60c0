#include "engine/partition/remote.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/decimal.h"
#include "engine/partition/partition_parts.h"
#include "engine/saga/value.h"

static_assert(REMOTE_FIRST + REMOTE_LANES_MAX == DISPATCH_SERVICES_MAX,
              "a place in dispatch for each service and each lane");

/* ---- lanes ------------------------------------------------------------------------------------
 */

static bool is_name(const char *name)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    size_t count = strlen(name);
    return count > 0 && count <= FLYOVER_NAME_BYTES_MAX && strspn(name, letters) == count;
}

static uint32_t find_lane(const struct remote *remote, const char *service, const char *handler)
{
    for (uint32_t i = 0; i < remote->lanes_count; i++)
        if (strcmp(remote->lanes[i].service, service) == 0 &&
            strcmp(remote->lanes[i].handler, handler) == 0)
            return i;
    return REMOTE_NO_LANE;
}

static enum status check_lane(const struct partition *partition, const char *service,
                              const char *handler, struct problem *problem)
{
    if (!partition->options.remote)
        return problem_set(
            problem, STATUS_UNSUPPORTED,
            "this engine runs the services that it finds as plug-ins, and no others");
    if (!is_name(service) || !is_name(handler))
        return problem_set(problem, STATUS_INVALID,
                           "the name of a service and of a handler has 1 to %u letters, digits, "
                           "'-' or '_'",
                           FLYOVER_NAME_BYTES_MAX);
    uint32_t index = partition_state_find_service(partition->state, service);
    if (index < PARTITION_SERVICES_MAX && partition->services[index].plugin.service != NULL)
        return problem_set(problem, STATUS_EXISTS,
                           "service '%s' is a plug-in of this engine: give yours another name, or "
                           "start the engine without it",
                           service);
    return STATUS_OK;
}

enum status remote_open_lane(struct partition *partition, const char *service, const char *handler,
                             uint32_t *ret_lane, struct problem *problem)
{
    struct remote *remote = &partition->remote;
    enum status status = check_lane(partition, service, handler, problem);
    if (status != STATUS_OK)
        return status;
    uint32_t lane = find_lane(remote, service, handler);
    if (lane == REMOTE_NO_LANE) {
        if (remote->lanes_count == REMOTE_LANES_MAX)
            return problem_set(problem, STATUS_NO_MEMORY,
                               "there are %u handlers of remote services already, and no room for "
                               "'%s.%s'",
                               REMOTE_LANES_MAX, service, handler);
        lane = remote->lanes_count++;
        strcpy(remote->lanes[lane].service, service);
        strcpy(remote->lanes[lane].handler, handler);
        uint32_t index = partition_state_find_service(partition->state, service);
        if (index < PARTITION_SERVICES_MAX && partition->services[index].is_remote)
            dispatch_share_limits(&partition->dispatch, REMOTE_FIRST + lane, index);
    }
    *ret_lane = lane;
    return STATUS_OK;
}

void partition_make_remote(struct partition *partition, uint32_t service)
{
    const struct remote *remote = &partition->remote;
    const char *name = partition->state->services[service].name;
    assert(!partition->services[service].is_remote);
    partition->services[service].is_remote = true;
    for (uint32_t i = 0; i < remote->lanes_count; i++)
        if (strcmp(remote->lanes[i].service, name) == 0)
            dispatch_share_limits(&partition->dispatch, REMOTE_FIRST + i, service);
}

uint32_t remote_lanes_count(const struct partition *partition)
{
    return partition->remote.lanes_count;
}

const struct remote_lane *remote_lane(const struct partition *partition, uint32_t lane)
{
    assert(lane < partition->remote.lanes_count);
    return &partition->remote.lanes[lane];
}

uint32_t remote_waiting(const struct partition *partition, uint32_t lane)
{
    assert(lane < partition->remote.lanes_count);
    return dispatch_waiting(&partition->dispatch, REMOTE_FIRST + lane);
}

uint64_t partition_remote_wait_ns(struct partition *partition, uint64_t now_ns)
{
    struct remote *remote = &partition->remote;
    uint64_t left_ns = UINT64_MAX;
    for (uint32_t i = 0; i < remote->lanes_count; i++) {
        if (!remote->wanted[i])
            continue;
        uint64_t next_ns = dispatch_next_ns(&partition->dispatch, REMOTE_FIRST + i, now_ns);
        /* Once: whoever asked may be gone by now. */
        if (next_ns <= now_ns || next_ns == DISPATCH_NEVER)
            remote->wanted[i] = false;
        if (next_ns != DISPATCH_NEVER && next_ns < now_ns + left_ns)
            left_ns = next_ns > now_ns ? next_ns - now_ns : 0;
    }
    return left_ns;
}

/* ---- handing out ------------------------------------------------------------------------------
 */

/* The step is still at work: an event, where its definition asks for heartbeats and the last one
 * is not of just now. False where the journal has no room. */
static bool beat(struct partition *partition, uint32_t branch)
{
    const struct core *core = partition->state->core;
    int64_t heartbeat_ms = (int64_t)core_heartbeat_ms(core, branch);
    if (heartbeat_ms == 0)
        return true;
    struct event event = {.kind = EVENT_HEARTBEAT, .heartbeat = {branch}};
    if (!partition_reserve(partition, event_encoded_bytes_max(&event)))
        return false;
    int64_t due_ms = core_due_ms(core, branch);
    int64_t left_ms = due_ms - partition->open.now_ms;
    if (core_beats(core, branch) && left_ms > heartbeat_ms - heartbeat_ms / 8)
        return true;
    enum status status = partition_apply(partition, &event, PARTITION_NO_TOKEN, NULL, NULL);
    assert(status == STATUS_OK);
    /* The first one brings the time nearer. */
    timers_set(&partition->timers, branch, core_due_ms(core, branch));
    return true;
}

static void fill(struct partition *partition, uint32_t branch, uint32_t generation,
                 const struct core_invocation *call, struct remote_invocation *ret_call)
{
    const struct core *core = partition->state->core;
    *ret_call = (struct remote_invocation){
        .saga_id = call->saga_id,
        .branch = branch,
        .generation = generation,
        .step_no = call->step_no,
        .attempt_no = call->attempt_no,
        .deadline_ms = call->deadline_ms,
        .phase = call->phase,
        .input = call->input,
        .output = call->output,
        .has_token = core_ends_by_token(core, branch),
    };
    if (call->trace.at != 0) {
        trace_print(core_trace(core, branch).at, partition->remote.trace);
        ret_call->trace =
            (struct flyover_bytes){(const uint8_t *)partition->remote.trace, TRACE_TEXT_BYTES};
    }
    if (ret_call->has_token)
        core_make_token(core_limits(core).seed, call->saga_id, call->step_no, call->attempt_no,
                        ret_call->token);
}

/* ---- templates --------------------------------------------------------------------------------
 */

void remote_set_key_id(struct partition *partition, const char *id)
{
    assert(strlen(id) < REMOTE_KEY_ID_BYTES);
    strcpy(partition->remote.key_id, id);
}

void remote_make_key(const struct partition *partition, uint64_t saga_id, uint32_t step_no,
                     enum flyover_phase phase, char ret_key[REMOTE_KEY_BYTES])
{
    static_assert(REMOTE_KEY_ID_BYTES + DECIMAL_BYTES_MAX + 10 + sizeof "--c" <= REMOTE_KEY_BYTES,
                  "with the ten digits of a step's number");
    char *at = stpcpy(ret_key, partition->remote.key_id);
    if (at > ret_key)
        *at++ = '-';
    at += decimal_write(saga_id, at);
    *at++ = '-';
    at += decimal_write(step_no, at);
    strcpy(at, phase == FLYOVER_COMPENSATION ? "-c" : "");
}

enum status partition_prepare_templates(struct partition *partition, const struct plan *plan)
{
    struct remote *remote = &partition->remote;
    if (remote->room == NULL && plan->templates_count > 0)
        remote->room = malloc(TEMPLATE_ROOM_BYTES);
    return remote->room != NULL || plan->templates_count == 0 ? STATUS_OK : STATUS_NO_MEMORY;
}

/* What the template of the step that a branch waits for makes of the payload. */
static bool evaluate(struct partition *partition, const struct core_invocation *call,
                     uint16_t template, const char *token, struct flyover_bytes payload,
                     struct flyover_bytes *ret_value, struct template_failure *ret_failure)
{
    const struct plan *plan = core_plan(partition->state->core, call->plan);
    char key[REMOTE_KEY_BYTES];
    remote_make_key(partition, call->saga_id, call->step_no, call->phase, key);
    const struct template_context context = {
        .saga_id = call->saga_id,
        .attempt_no = call->attempt_no,
        .state = plan->states[call->state].name,
        .machine = plan->name,
        .key = key,
        .token = token,
    };
    assert(template <plan->templates_count);
    return template_evaluate(&plan->templates[template], payload, &context, partition->remote.room,
                             ret_value, ret_failure);
}

static struct event error_of(uint32_t branch, const struct template_failure *failure)
{
    return (struct event){
        .kind = EVENT_ERROR,
        .error = {.branch = branch,
                  .retryable = true,
                  .name = {(const uint8_t *)failure->name, (uint32_t)strlen(failure->name)},
                  .cause = {(const uint8_t *)failure->cause, (uint32_t)strlen(failure->cause)}}};
}

/* The step to compensate, as the Parameters of its Compensate see it, in the room. */
static struct flyover_bytes make_undo(struct partition *partition,
                                      const struct core_invocation *call)
{
    static const uint8_t nil[] = {0xc0};
    struct flyover_bytes output = call->output;
    if (output.count == 0)
        output = (struct flyover_bytes){nil, sizeof nil};
    uint8_t *room = partition->remote.room;
    size_t count = value_make_undo(call->input, output, room, TEMPLATE_ROOM_BYTES);
    assert(count > 0);
    return (struct flyover_bytes){room, (uint32_t)count};
}

/* The input becomes what the definition makes of it. */
static bool make_input(struct partition *partition, const struct core_invocation *call,
                       struct remote_invocation *remote_call, struct template_failure *ret_failure)
{
    const struct plan_state *state =
        &core_plan(partition->state->core, call->plan)->states[call->state];
    bool undo = call->phase == FLYOVER_COMPENSATION;
    uint16_t template = undo ? state->undo_arguments : state->arguments;
    if (template == PLAN_NO_TEMPLATE)
        return true;
    const char *token = remote_call->has_token ? remote_call->token : NULL;
    struct flyover_bytes payload = undo ? make_undo(partition, call) : call->input;
    remote_call->is_made = true;
    return evaluate(partition, call, template, token, payload, &remote_call->input, ret_failure);
}

void partition_select_result(struct partition *partition, struct event *event)
{
    static const uint8_t nil[] = {0xc0};
    const struct core *core = partition->state->core;
    struct remote *remote = &partition->remote;
    uint32_t branch = event->result.branch;
    struct core_invocation call;
    char token[CORE_TOKEN_BYTES];
    core_invocation(core, branch, &call);
    const struct plan_state *state = &core_plan(core, call.plan)->states[call.state];
    if (call.phase == FLYOVER_COMPENSATION || state->selector == PLAN_NO_TEMPLATE)
        return;
    core_make_token(core_limits(core).seed, call.saga_id, call.step_no, call.attempt_no, token);
    struct flyover_bytes output = event->result.output;
    if (output.count == 0)
        output = (struct flyover_bytes){nil, sizeof nil};
    bool by_token = event->result.by_token;
    if (evaluate(partition, &call, state->selector, token, output, &event->result.output,
                 &remote->failure))
        return;
    *event = error_of(branch, &remote->failure);
    event->error.by_token = by_token;
}

/* Whether the step is still to be begun. What is out of time is not: its timer is about to fire. */
static bool is_wanted(const struct partition *partition, uint32_t branch, uint32_t generation)
{
    const struct core *core = partition->state->core;
    if (!core_expects(core, branch, generation))
        return false;
    int64_t due_ms = core_due_ms(core, branch);
    return due_ms < 0 || due_ms > partition->last_now_ms;
}

enum making { MAKING_DONE, MAKING_FAILED, MAKING_WAITS };

/* Its first heartbeat, and all that is handed out of it. One that cannot be made fails instead.
 * MAKING_WAITS: the journal has no room. */
static enum making make(struct partition *partition, uint32_t branch, uint32_t generation,
                        struct remote_invocation *ret_call)
{
    struct template_failure failure;
    struct core_invocation call;
    if (!beat(partition, branch))
        return MAKING_WAITS;
    core_invocation(partition->state->core, branch, &call);
    fill(partition, branch, generation, &call, ret_call);
    if (make_input(partition, &call, ret_call, &failure))
        return MAKING_DONE;
    struct event event = error_of(branch, &failure);
    if (!partition_reserve(partition, event_encoded_bytes_max(&event)))
        return MAKING_WAITS;
    partition_apply_answer(partition, &event, PARTITION_NO_TOKEN);
    return MAKING_FAILED;
}

bool remote_take(struct partition *partition, uint32_t lane, struct remote_invocation *ret_call)
{
    assert(lane < partition->remote.lanes_count);
    struct dispatch *dispatch = &partition->dispatch;
    uint32_t index = REMOTE_FIRST + lane, branch, generation;
    while (!partition->stopping &&
           dispatch_pop(dispatch, index, partition->turn_ns, &branch, &generation)) {
        if (!is_wanted(partition, branch, generation))
            continue;
        enum making making = make(partition, branch, generation, ret_call);
        if (making == MAKING_FAILED)
            continue;
        if (making == MAKING_WAITS) {
            struct core_invocation call;
            core_invocation(partition->state->core, branch, &call);
            dispatch_push_first(dispatch, index, call.plan, call.phase, branch, generation);
            return false;
        }
        dispatch_went(dispatch, index, partition->turn_ns);
        partition->remote.in_flight++;
        return true;
    }
    partition->remote.wanted[lane] = dispatch_waiting(dispatch, index) > 0;
    return false;
}

/* ---- answers ----------------------------------------------------------------------------------
 */

static void come_back(struct partition *partition, uint32_t lane)
{
    assert(lane < partition->remote.lanes_count && partition->remote.in_flight > 0);
    partition->remote.in_flight--;
    dispatch_came_back(&partition->dispatch, REMOTE_FIRST + lane, 1);
}

/* Next: release, when the block is durable. */
static enum status on_answer(struct partition *partition, uint32_t lane, uint32_t branch,
                             uint32_t generation, const struct event *event)
{
    if (!core_expects(partition->state->core, branch, generation)) {
        partition->counts.late_results++;
        come_back(partition, lane);
        return STATUS_NOT_FOUND;
    }
    if (!partition_reserve(partition, event_encoded_bytes_max(event)))
        return STATUS_BUSY;
    partition_apply_answer(partition, event, PARTITION_NO_TOKEN);
    come_back(partition, lane);
    return STATUS_OK;
}

/* What the worker got wrong fails the step, as a handler's in this process would. */
static enum status on_fault(struct partition *partition, uint32_t lane, uint32_t branch,
                            uint32_t generation, const char *name, const char *cause)
{
    struct event event = {.kind = EVENT_ERROR, .error = {.branch = branch}};
    event.error.name = (struct flyover_bytes){(const uint8_t *)name, (uint32_t)strlen(name)};
    event.error.cause = (struct flyover_bytes){(const uint8_t *)cause, (uint32_t)strlen(cause)};
    enum status status = on_answer(partition, lane, branch, generation, &event);
    return status == STATUS_OK ? STATUS_INVALID : status;
}

enum status remote_done(struct partition *partition, uint32_t lane, uint32_t branch,
                        uint32_t generation, struct flyover_bytes output)
{
    if (output.count > FLYOVER_PAYLOAD_BYTES_MAX)
        return on_fault(partition, lane, branch, generation, "States.DataLimitExceeded",
                        "the output of the worker is larger than 262144 bytes");
    if (output.count > 0 && !value_check(output, NULL))
        return on_fault(partition, lane, branch, generation, "Flyover.BadOutput",
                        "the output of the worker is not one whole msgpack value (no ext types, "
                        "string keys, UTF-8, at most 32 deep)");
    struct event event = {.kind = EVENT_RESULT, .result = {.branch = branch, .output = output}};
    if (core_expects(partition->state->core, branch, generation)) {
        if (!core_ends_by_token(partition->state->core, branch))
            partition_select_result(partition, &event);
        if (event.kind == EVENT_RESULT)
            event.result.output = partition_kept_output(partition, branch, event.result.output);
    }
    return on_answer(partition, lane, branch, generation, &event);
}

static struct flyover_bytes cut(struct flyover_bytes text, uint32_t bytes_max)
{
    if (text.count > bytes_max)
        text.count = bytes_max;
    return text;
}

enum status remote_failed(struct partition *partition, uint32_t lane, uint32_t branch,
                          uint32_t generation, bool retryable, struct flyover_bytes name,
                          struct flyover_bytes cause)
{
    if (name.count == 0)
        return on_fault(partition, lane, branch, generation, "Flyover.NoError",
                        "the worker failed the step with an error that has no name");
    struct event event = {.kind = EVENT_ERROR,
                          .error = {.branch = branch,
                                    .retryable = retryable,
                                    .name = cut(name, FLYOVER_ERROR_NAME_BYTES_MAX),
                                    .cause = cut(cause, FLYOVER_ERROR_CAUSE_BYTES_MAX)}};
    return on_answer(partition, lane, branch, generation, &event);
}

enum status remote_beat(struct partition *partition, uint32_t lane, uint32_t branch,
                        uint32_t generation)
{
    assert(lane < partition->remote.lanes_count);
    if (!core_expects(partition->state->core, branch, generation))
        return STATUS_NOT_FOUND;
    return beat(partition, branch) ? STATUS_OK : STATUS_BUSY;
}

void remote_give_back(struct partition *partition, uint32_t lane, uint32_t branch,
                      uint32_t generation)
{
    come_back(partition, lane);
    if (partition->stopping || !core_expects(partition->state->core, branch, generation))
        return;
    struct core_invocation call;
    core_invocation(partition->state->core, branch, &call);
    dispatch_push_first(&partition->dispatch, REMOTE_FIRST + lane, call.plan, call.phase, branch,
                        generation);
}
