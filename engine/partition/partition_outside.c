#include <assert.h>
#include <string.h>

#include "engine/base/plant.h"
#include "engine/partition/partition_parts.h"

/* What comes from outside: asked about first (core_check_*), so that only what changes something is
 * written. */

uint64_t partition_pending_no(const struct partition *partition)
{
    return partition->last_block_no + (partition->open.record_count > 0 ? 1 : 0);
}

uint64_t partition_durable_no(const struct partition *partition)
{
    return partition->durable_no;
}

/* Room for the event in the open block and for its effects. */
static enum status reserve(struct partition *partition, const struct event *event,
                           struct problem *problem)
{
    if (core_can_take(&partition->state->effects) &&
        partition_reserve(partition, event_encoded_bytes_max(event)))
        return STATUS_OK;
    return problem_set(problem, STATUS_BUSY, "the journal has no room now, try again");
}

static enum status take(struct partition *partition, const struct event *event,
                        struct problem *problem)
{
    enum status status = reserve(partition, event, problem);
    if (PLANTED(SILENT_SKIP) && event->kind == EVENT_MEND && event->mend.action == MEND_SKIP)
        return STATUS_OK;
    if (status == STATUS_OK)
        status = partition_apply(partition, event, PARTITION_NO_TOKEN, NULL, problem);
    return status;
}

static enum status check_payload(struct flyover_bytes payload, const char *what,
                                 struct problem *problem)
{
    if (payload.count == 0)
        return problem_set(problem, STATUS_INVALID, "the %s is missing", what);
    if (payload.count > FLYOVER_PAYLOAD_BYTES_MAX)
        return problem_set(problem, STATUS_TOO_LARGE, "the %s has %u bytes; it may have %u", what,
                           payload.count, FLYOVER_PAYLOAD_BYTES_MAX);
    return STATUS_OK;
}

static enum status check_reason(struct flyover_bytes reason, bool wanted, struct problem *problem)
{
    if (reason.count > EVENT_REASON_BYTES_MAX)
        return problem_set(problem, STATUS_TOO_LARGE,
                           "the reason has %u bytes; it may have %u: say it shorter", reason.count,
                           EVENT_REASON_BYTES_MAX);
    if (wanted && reason.count == 0)
        return problem_set(problem, STATUS_INVALID,
                           "say why: the reason is kept in the history of the saga");
    return STATUS_OK;
}

static enum status refuse_busy(const struct partition *partition, enum partition_priority priority,
                               struct problem *problem)
{
    return problem_set(problem, STATUS_BUSY,
                       "there is no room for another saga now: ask again in about %u ms",
                       partition_busy_at_ms(partition, priority));
}

static bool may_start(const struct partition *partition,
                      const struct partition_start_options *options)
{
    const struct partition_state *state = partition->state;
    switch (options->priority) {
    case PARTITION_PRIORITY_LOW:
        return !core_is_half_full(state->core) && partition_may_start(partition, options->plan);
    case PARTITION_PRIORITY_NORMAL: return partition_may_start(partition, options->plan);
    case PARTITION_PRIORITY_HIGH:
        return core_can_start(state->core, options->plan, &state->effects);
    }
    assert(false && "every priority is handled");
    return false;
}

/* As of the block that is open now: the same is asked again when it is applied. */
static enum status check_times(const struct partition_start_options *options, int64_t now_ms,
                               struct problem *problem)
{
    int64_t latest_ms = now_ms + (int64_t)PLAN_WAIT_MS_MAX;
    if (options->at_ms > latest_ms)
        return problem_set(problem, STATUS_INVALID,
                           "a saga cannot begin more than a hundred years from now");
    if (options->deadline_ms > latest_ms)
        return problem_set(problem, STATUS_INVALID,
                           "the deadline of a saga cannot be more than a hundred years from now");
    if (options->deadline_ms != 0 && options->deadline_ms <= now_ms)
        return problem_set(problem, STATUS_INVALID,
                           "the deadline has passed: give a later one, in milliseconds since 1970 "
                           "UTC, or none");
    if (options->deadline_ms != 0 && options->deadline_ms <= options->at_ms)
        return problem_set(problem, STATUS_INVALID,
                           "the deadline is not after the time at which the saga is to begin");
    return STATUS_OK;
}

static enum status check_trace(struct flyover_bytes text, uint8_t ret_trace[TRACE_BYTES],
                               struct problem *problem)
{
    if (text.count == 0 || trace_parse(text, ret_trace))
        return STATUS_OK;
    return problem_set(problem, STATUS_INVALID,
                       "the trace is no W3C traceparent, which has 55 characters, as "
                       "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
}

enum status partition_start_with(struct partition *partition,
                                 const struct partition_start_options *options,
                                 uint64_t *ret_saga_id, struct problem *problem)
{
    struct event event = {.kind = EVENT_START,
                          .start = {.plan = options->plan,
                                    .source = EVENT_NO_SOURCE,
                                    .input = options->input,
                                    .name = options->name,
                                    .at_ms = options->at_ms,
                                    .deadline_ms = options->deadline_ms}};
    const struct core *core = partition->state->core;
    uint8_t trace[TRACE_BYTES];
    enum status status = check_payload(options->input, "input", problem);
    if (status == STATUS_OK)
        status = check_trace(options->trace, trace, problem);
    if (status != STATUS_OK)
        return status;
    if (options->trace.count > 0)
        event.start.trace = (struct flyover_bytes){trace, sizeof trace};
    /* The block may be another by the time the event is applied, and never an earlier one: a name
     * that is free now is free then. What was started before needs no room: it is looked for first.
     */
    int64_t now_ms = partition_event_ms(partition);
    if (options->name.count > 0)
        status = core_check_name(core, options->name, options->input, now_ms, ret_saga_id, problem);
    if (status == STATUS_OK)
        status = check_times(options, now_ms, problem);
    if (status != STATUS_OK)
        return status;
    if (!may_start(partition, options))
        return refuse_busy(partition, options->priority, problem);
    status = reserve(partition, &event, problem);
    /* The block may be a later one by now, and the deadline past. */
    if (status == STATUS_OK)
        status = check_times(options, partition->open.now_ms, problem);
    if (status != STATUS_OK)
        return status;
    uint64_t token = partition_token(partition, options->token, options->wants_output);
    return partition_apply(partition, &event, token, ret_saga_id, problem);
}

enum status partition_cancel(struct partition *partition, uint64_t saga_id, bool abort,
                             struct flyover_bytes reason, struct problem *problem)
{
    struct event event = {
        .kind = EVENT_CANCEL,
        .cancel = {.saga_id = saga_id, .abort = abort, .undo_begun = !abort, .reason = reason}};
    enum status status = check_reason(reason, false, problem);
    if (status == STATUS_OK)
        status = core_check_cancel(partition->state->core, saga_id, abort, problem);
    return status == STATUS_OK ? take(partition, &event, problem) : status;
}

enum status partition_mend(struct partition *partition, uint64_t saga_id, enum mend_action action,
                           struct flyover_bytes output, struct flyover_bytes reason,
                           struct problem *problem)
{
    struct event event = {
        .kind = EVENT_MEND,
        .mend = {.saga_id = saga_id, .action = action, .output = output, .reason = reason}};
    enum status status = check_reason(reason, action != MEND_RETRY, problem);
    if (status == STATUS_OK && output.count > 0)
        status = check_payload(output, "output", problem);
    if (status == STATUS_OK)
        status =
            core_check_mend(partition->state->core, saga_id, action, output.count > 0, problem);
    return status == STATUS_OK ? take(partition, &event, problem) : status;
}

enum status partition_signal(struct partition *partition, uint64_t saga_id,
                             struct flyover_bytes name, struct flyover_bytes payload,
                             struct problem *problem)
{
    struct event event = {.kind = EVENT_SIGNAL,
                          .signal = {.saga_id = saga_id, .name = name, .payload = payload}};
    enum status status = check_payload(payload, "payload of the signal", problem);
    if (status == STATUS_OK)
        status = core_check_signal(partition->state->core, saga_id, name, problem);
    return status == STATUS_OK ? take(partition, &event, problem) : status;
}

enum status partition_answer(struct partition *partition, const char *token,
                             struct flyover_bytes output, struct problem *problem)
{
    struct event event = {.kind = EVENT_RESULT, .result = {.output = output, .by_token = true}};
    enum status status = check_payload(output, "output", problem);
    if (status == STATUS_OK)
        status = core_check_token(partition->state->core, token, &event.result.branch, problem);
    if (status != STATUS_OK)
        return status;
    partition_select_result(partition, &event);
    return take(partition, &event, problem);
}

enum status partition_answer_error(struct partition *partition, const char *token,
                                   struct flyover_bytes name, struct flyover_bytes cause,
                                   struct problem *problem)
{
    struct event event = {
        .kind = EVENT_ERROR,
        .error = {.name = name, .cause = cause, .by_token = true, .retryable = true}};
    if (name.count == 0 || name.count > FLYOVER_ERROR_NAME_BYTES_MAX)
        return problem_set(problem, STATUS_INVALID, "the name of an error has 1 to %u bytes",
                           FLYOVER_ERROR_NAME_BYTES_MAX);
    if (cause.count > FLYOVER_ERROR_CAUSE_BYTES_MAX)
        return problem_set(problem, STATUS_TOO_LARGE, "the cause of an error has at most %u bytes",
                           FLYOVER_ERROR_CAUSE_BYTES_MAX);
    enum status status =
        core_check_token(partition->state->core, token, &event.error.branch, problem);
    return status == STATUS_OK ? take(partition, &event, problem) : status;
}

enum status partition_heartbeat(struct partition *partition, const char *token,
                                struct problem *problem)
{
    struct event event = {.kind = EVENT_HEARTBEAT};
    enum status status =
        core_check_token(partition->state->core, token, &event.heartbeat.branch, problem);
    return status == STATUS_OK ? take(partition, &event, problem) : status;
}

enum status partition_redrive(struct partition *partition, const struct event *event,
                              uint64_t token, uint64_t *ret_saga_id, struct problem *problem)
{
    const struct core *core = partition->state->core;
    struct event redrive = *event;
    assert(event->kind == EVENT_REDRIVE);
    redrive.redrive.once = core_limits(core).names_max > 0;
    if (event->redrive.plan >= core_plans_count(core))
        return problem_set(problem, STATUS_INVALID, "there is no such definition here");
    if (event_encoded_bytes_max(event) > BLOCK_BYTES_MAX - BLOCK_HEADER_BYTES)
        return problem_set(problem, STATUS_TOO_LARGE,
                           "what the saga has done is too large to be brought along");
    enum status status = core_check_redrive(core, event->redrive.of_saga_id,
                                            partition_event_ms(partition), ret_saga_id, problem);
    if (status != STATUS_OK)
        return status;
    if (!partition_may_start(partition, event->redrive.plan))
        return refuse_busy(partition, PARTITION_PRIORITY_NORMAL, problem);
    status = reserve(partition, &redrive, problem);
    if (status == STATUS_OK)
        status = partition_apply(partition, &redrive, partition_token(partition, token, false),
                                 ret_saga_id, problem);
    return status;
}
