#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/admin/admin.h"
#include "engine/admin/figures.h"
#include "engine/admin/timeline.h"
#include "engine/base/clock.h"

/* Looks: what changes nothing. Those over all sagas go by slices of ADMIN_SLOTS_A_TURN slots, a
 * slice a turn, so that ten million sagas do not stop the engine. */

#define BRANCHES_SHOWN  100u
#define COMPLETED_SHOWN 100u

enum admin_state admin_state_of(const struct core *core, const struct core_saga_view *saga)
{
    struct core_branch_view branch;
    if (saga->outcome == OUTCOME_STUCK)
        return ADMIN_STUCK;
    if (saga->outcome != OUTCOME_RUNNING)
        return ADMIN_ENDING;
    if (saga->compensating)
        return ADMIN_COMPENSATING;
    bool found = core_view_branch(core, saga->branch, &branch);
    assert(found);
    if (branch.phase == PHASE_SLEEPING)
        return ADMIN_SLEEPING;
    return branch.phase == PHASE_AWAITING ? ADMIN_AWAITING : ADMIN_RUNNING;
}

static void set_integer(json_t *object, const char *key, int64_t value)
{
    json_object_set_new(object, key, json_integer((json_int_t)value));
}

/* The name of the error that the saga failed with; count 0: it has not failed. */
static struct flyover_bytes error_name_of(const struct core *core, uint32_t branch)
{
    struct flyover_bytes error = core_saga_error(core, branch);
    struct flyover_cursor cursor = {error.at, error.at + error.count};
    struct flyover_cursor found;
    struct flyover_bytes name = {0};
    if (error.count > 0 && flyover_find(&cursor, "Error", &found) &&
        flyover_read_str(&found, &name))
        return name;
    return (struct flyover_bytes){0};
}

static json_t *text_of(struct flyover_bytes bytes)
{
    return json_stringn((const char *)bytes.at, bytes.count);
}

/* What one row of a list says. */
static json_t *describe(const struct partition_state *state, const struct core_saga_view *saga)
{
    const struct core *core = state->core;
    struct core_branch_view branch;
    bool found = core_view_branch(core, saga->branch, &branch);
    assert(found);
    json_t *row = json_pack(
        "{s:I, s:s, s:i, s:s, s:I, s:i, s:s}", "saga", (json_int_t)saga->saga_id, "definition",
        core_plan(core, saga->plan)->name, "version", (int)state->definitions[saga->plan].version,
        "state", admin_state_text(admin_state_of(core, saga)), "started_ms",
        (json_int_t)saga->started_ms, "step", (int)saga->step_no, "at", branch.state);
    if (core_due_ms(core, saga->branch) >= 0)
        set_integer(row, "due_ms", core_due_ms(core, saga->branch));
    struct flyover_bytes error = error_name_of(core, saga->branch);
    if (error.count > 0)
        json_object_set_new(row, "error", text_of(error));
    return row;
}

/* ---- over all slots --------------------------------------------------------------------------
 */

struct scan_entry {
    uint64_t saga_id;
    uint32_t slot;
};

struct admin_scan {
    uint32_t next_slot;
    /* list */
    uint32_t limit;
    uint32_t state; /* ADMIN_STATES_COUNT: any */
    uint32_t plan;  /* PARTITION_NO_PLAN: any of that definition */
    int64_t started_from_ms, started_before_ms;
    int64_t before_id;
    struct flyover_bytes definition, error; /* of the request, which stays */
    bool has_more;
    uint32_t entries_count;
    struct scan_entry entries[ADMIN_LIMIT_MAX]; /* a heap, the least id first */
    /* counts */
    uint32_t states[CORE_PLANS_MAX][ADMIN_STATES_COUNT];
};

/* Calls `visit` for the sagas of the next slice; true after the last. */
static bool scan_slice(struct admin_scan *scan, const struct core *core,
                       void (*visit)(struct admin_scan *scan, const struct core *core,
                                     uint32_t slot, const struct core_saga_view *saga))
{
    uint32_t end = core_sagas_count(core);
    if (end - scan->next_slot > ADMIN_SLOTS_A_TURN)
        end = scan->next_slot + ADMIN_SLOTS_A_TURN;
    for (; scan->next_slot < end; scan->next_slot++) {
        struct core_saga_view saga;
        if (core_view_saga(core, scan->next_slot, &saga))
            visit(scan, core, scan->next_slot, &saga);
    }
    return end == core_sagas_count(core);
}

/* ---- list ------------------------------------------------------------------------------------
 */

static bool is_text(struct flyover_bytes bytes, const char *text)
{
    return strlen(text) == bytes.count && memcmp(text, bytes.at, bytes.count) == 0;
}

static bool matches(const struct admin_scan *scan, const struct core *core,
                    const struct core_saga_view *saga)
{
    if ((scan->before_id != 0 && (int64_t)saga->saga_id >= scan->before_id) ||
        saga->started_ms < scan->started_from_ms || saga->started_ms >= scan->started_before_ms)
        return false;
    if (scan->plan != PARTITION_NO_PLAN && saga->plan != scan->plan)
        return false;
    if (scan->definition.count > 0 && !is_text(scan->definition, core_plan(core, saga->plan)->name))
        return false;
    if (scan->state != ADMIN_STATES_COUNT && (uint32_t)admin_state_of(core, saga) != scan->state)
        return false;
    if (scan->error.at == NULL)
        return true;
    struct flyover_bytes error = error_name_of(core, saga->branch);
    return error.count == scan->error.count && memcmp(error.at, scan->error.at, error.count) == 0;
}

static void sift_up(struct scan_entry *heap, uint32_t at)
{
    struct scan_entry moved = heap[at];
    for (; at > 0 && heap[(at - 1) / 2].saga_id > moved.saga_id; at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = moved;
}

static void sift_down(struct scan_entry *heap, uint32_t count)
{
    struct scan_entry moved = heap[0];
    uint32_t at = 0;
    for (uint32_t child = 1; child < count; child = 2 * at + 1) {
        child += child + 1 < count && heap[child + 1].saga_id < heap[child].saga_id;
        if (heap[child].saga_id >= moved.saga_id)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

/* Keeps the newest that match. */
static void visit_for_list(struct admin_scan *scan, const struct core *core, uint32_t slot,
                           const struct core_saga_view *saga)
{
    bool full = scan->entries_count == scan->limit;
    if (full && scan->has_more && saga->saga_id < scan->entries[0].saga_id)
        return;
    if (!matches(scan, core, saga))
        return;
    scan->has_more |= full;
    if (full && saga->saga_id < scan->entries[0].saga_id)
        return;
    struct scan_entry entry = {saga->saga_id, slot};
    if (full) {
        scan->entries[0] = entry;
        sift_down(scan->entries, scan->entries_count);
    } else {
        scan->entries[scan->entries_count] = entry;
        sift_up(scan->entries, scan->entries_count++);
    }
}

static int newest_first(const void *a, const void *b)
{
    const struct scan_entry *left = a, *right = b;
    return left->saga_id > right->saga_id ? -1 : left->saga_id < right->saga_id;
}

static json_t *list_reply(struct admin_scan *scan, const struct partition_state *state)
{
    json_t *rows = json_array();
    qsort(scan->entries, scan->entries_count, sizeof scan->entries[0], newest_first);
    for (uint32_t i = 0; i < scan->entries_count; i++) {
        /* It may have ended since it was seen, and its slot be another's. */
        struct core_saga_view saga;
        if (core_view_saga(state->core, scan->entries[i].slot, &saga) &&
            saga.saga_id == scan->entries[i].saga_id)
            json_array_append_new(rows, describe(state, &saga));
    }
    json_t *reply = json_pack("{s:o}", "sagas", rows);
    if (scan->has_more)
        set_integer(reply, "before", (int64_t)scan->entries[scan->entries_count - 1].saga_id);
    return reply;
}

static enum status read_state(const json_t *request, uint32_t *ret_state, struct problem *problem)
{
    struct flyover_bytes text = {0};
    enum status status = admin_read_text(request, "state", &text, problem);
    if (status != STATUS_OK || text.at == NULL)
        return status;
    char known[128];
    size_t used = 0;
    for (uint32_t i = 0; i < ADMIN_STATES_COUNT; i++) {
        if (is_text(text, admin_state_text(i))) {
            *ret_state = i;
            return STATUS_OK;
        }
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "",
                                 admin_state_text(i));
    }
    return problem_set(problem, STATUS_INVALID, "the state of a live saga is one of: %s", known);
}

static enum status read_filter(const json_t *request, const struct partition *partition,
                               struct admin_scan *scan, struct problem *problem)
{
    int64_t limit = ADMIN_LIMIT_DEFAULT;
    scan->state = ADMIN_STATES_COUNT;
    scan->plan = PARTITION_NO_PLAN;
    scan->started_before_ms = INT64_MAX;
    enum status status = read_state(request, &scan->state, problem);
    if (status == STATUS_OK)
        status = admin_read_text(request, "error", &scan->error, problem);
    if (status == STATUS_OK)
        status = admin_read_integer(request, "limit", 1, ADMIN_LIMIT_MAX, &limit, problem);
    if (status == STATUS_OK)
        status = admin_read_integer(request, "before", 1, INT64_MAX, &scan->before_id, problem);
    if (status == STATUS_OK)
        status = admin_read_integer(request, "started_from_ms", 0, INT64_MAX,
                                    &scan->started_from_ms, problem);
    if (status == STATUS_OK)
        status = admin_read_integer(request, "started_before_ms", 0, INT64_MAX,
                                    &scan->started_before_ms, problem);
    if (status == STATUS_OK && json_object_get(request, "definition") != NULL) {
        uint32_t plan;
        status = admin_read_plan(request, partition, &plan, problem);
        if (status == STATUS_OK)
            status = admin_read_text(request, "definition", &scan->definition, problem);
        if (json_object_get(request, "version") != NULL)
            scan->plan = plan;
    }
    scan->limit = (uint32_t)limit;
    return status;
}

static enum status new_scan(struct admin_job *job, struct problem *problem)
{
    job->scan = calloc(1, sizeof *job->scan);
    return job->scan != NULL ? STATUS_OK : problem_set(problem, STATUS_NO_MEMORY, "out of memory");
}

/* One name is one saga at most. */
static enum status list_named(struct admin_job *job, const struct partition *partition,
                              struct problem *problem)
{
    const struct partition_state *state = partition_state(partition);
    struct flyover_bytes name = {0};
    enum status status = admin_read_text(job->request, "name", &name, problem);
    if (status != STATUS_OK)
        return status;
    uint64_t saga_id = core_find_name(state->core, name, clock_wall_ms());
    uint32_t slot = saga_id == 0 ? CORE_NO_SAGA : core_find_saga(state->core, saga_id);
    struct core_saga_view saga;
    if (slot != CORE_NO_SAGA && core_view_saga(state->core, slot, &saga) &&
        matches(job->scan, state->core, &saga)) {
        job->scan->entries[0] = (struct scan_entry){saga_id, slot};
        job->scan->entries_count = 1;
    }
    job->reply = list_reply(job->scan, state);
    return STATUS_OK;
}

enum status admin_list(struct admin_job *job, struct partition *partition, struct problem *problem)
{
    const struct partition_state *state = partition_state(partition);
    enum status status = STATUS_OK;
    if (job->scan == NULL) {
        status = new_scan(job, problem);
        if (status == STATUS_OK)
            status = read_filter(job->request, partition, job->scan, problem);
        if (status == STATUS_OK && json_object_get(job->request, "name") != NULL)
            return list_named(job, partition, problem);
    }
    if (status == STATUS_OK && scan_slice(job->scan, state->core, visit_for_list))
        job->reply = list_reply(job->scan, state);
    return status;
}

/* ---- counts ----------------------------------------------------------------------------------
 */

static void visit_for_counts(struct admin_scan *scan, const struct core *core, uint32_t slot,
                             const struct core_saga_view *saga)
{
    (void)slot;
    scan->states[saga->plan][admin_state_of(core, saga)]++;
}

/* Members only for what there is; the sum too. */
static json_t *states_json(const uint32_t states[ADMIN_STATES_COUNT], uint64_t *ret_sum)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < ADMIN_STATES_COUNT; i++) {
        *ret_sum += states[i];
        if (states[i] > 0)
            set_integer(object, admin_state_text(i), states[i]);
    }
    return object;
}

static json_t *totals_json(const struct core *core)
{
    struct core_totals totals = core_totals(core);
    json_t *object = json_object();
    set_integer(object, "started", (int64_t)totals.started);
    set_integer(object, "succeeded", (int64_t)totals.succeeded);
    set_integer(object, "compensated", (int64_t)totals.compensated);
    set_integer(object, "failed", (int64_t)totals.failed);
    set_integer(object, "aborted", (int64_t)totals.aborted);
    set_integer(object, "stuck", (int64_t)totals.stuck);
    set_integer(object, "steps", (int64_t)totals.steps);
    set_integer(object, "retries", (int64_t)totals.retries);
    set_integer(object, "timeouts", (int64_t)totals.timeouts);
    set_integer(object, "signals", (int64_t)totals.signals);
    set_integer(object, "mended", (int64_t)totals.mended);
    return object;
}

static json_t *counts_reply(const struct admin_scan *scan, const struct partition_state *state)
{
    uint32_t all[ADMIN_STATES_COUNT] = {0};
    json_t *definitions = json_array();
    for (uint32_t plan = 0; plan < core_plans_count(state->core); plan++) {
        uint64_t sum = 0;
        json_t *states = states_json(scan->states[plan], &sum);
        for (uint32_t i = 0; i < ADMIN_STATES_COUNT; i++)
            all[i] += scan->states[plan][i];
        if (sum > 0)
            json_array_append_new(definitions,
                                  json_pack("{s:s, s:i, s:I, s:O}", "definition",
                                            core_plan(state->core, plan)->name, "version",
                                            (int)state->definitions[plan].version, "live",
                                            (json_int_t)sum, "states", states));
        json_decref(states);
    }
    uint64_t live = 0;
    json_t *states = states_json(all, &live);
    return json_pack("{s:I, s:I, s:o, s:o, s:o}", "live", (json_int_t)live, "sagas_max",
                     (json_int_t)core_limits(state->core).sagas_max, "states", states,
                     "definitions", definitions, "totals", totals_json(state->core));
}

enum status admin_counts(struct admin_job *job, struct partition *partition,
                         struct problem *problem)
{
    const struct partition_state *state = partition_state(partition);
    enum status status = job->scan != NULL ? STATUS_OK : new_scan(job, problem);
    if (status == STATUS_OK && scan_slice(job->scan, state->core, visit_for_counts))
        job->reply = counts_reply(job->scan, state);
    return status;
}

/* ---- figures ---------------------------------------------------------------------------------
 */

enum status admin_figures(struct admin_job *job, struct partition *partition,
                          struct problem *problem)
{
    (void)problem;
    static _Thread_local struct figures figures;
    if (figures_take(partition, &figures))
        job->reply = figures_json(&figures);
    return STATUS_OK;
}

/* ---- show ------------------------------------------------------------------------------------
 */

/* What the branch waits for, where it is something that can be named. */
static void describe_wait(json_t *row, const struct core *core, const struct core_branch_view *view,
                          uint32_t branch)
{
    const struct plan *plan = core_plan(core, view->plan);
    const struct plan_state *state = plan->states;
    while (state->name != view->state)
        state++;
    if (view->phase == PHASE_AWAITING && state->task_kind == TASK_SIGNAL) {
        json_object_set_new(row, "signal", text_of(plan->signals[state->signal]));
    } else if (view->phase == PHASE_AWAITING) {
        char token[CORE_TOKEN_BYTES];
        core_make_token(core_limits(core).seed, view->saga_id, view->step_no, view->attempt_no,
                        token);
        json_object_set_new(row, "token", json_string(token));
    } else if (core_is_invoked(core, branch)) {
        struct core_invocation call;
        core_invocation(core, branch, &call);
        const struct plan_resource *resource = &plan->resources[call.resource];
        json_object_set_new(row, "handler",
                            json_sprintf("%s.%s", resource->service, resource->handler));
    }
}

static json_t *branches_json(const struct core *core, uint32_t slot,
                             const struct core_saga_view *saga)
{
    json_t *rows = json_array();
    uint32_t at = CORE_NO_SAGA;
    while (core_next_branch(core, slot, &at) && json_array_size(rows) < BRANCHES_SHOWN) {
        struct core_branch_view view;
        if (!core_view_branch(core, at, &view))
            continue;
        json_t *row =
            json_pack("{s:s, s:s, s:i, s:i}", "at", view.state, "phase", phase_text(view.phase),
                      "step", (int)view.step_no, "attempt", (int)view.attempt_no);
        if (core_due_ms(core, at) >= 0)
            set_integer(row, "due_ms", core_due_ms(core, at));
        describe_wait(row, core, &view, at);
        if (at == saga->branch && core_branch_payload(core, at).count > 0)
            json_object_set_new(row, "input",
                                timeline_payload_to_json(core_branch_payload(core, at)));
        json_array_append_new(rows, row);
    }
    return rows;
}

static json_t *completed_json(const struct core *core, uint32_t slot,
                              const struct core_saga_view *saga)
{
    const struct plan *plan = core_plan(core, saga->plan);
    json_t *rows = json_array();
    uint32_t at = CORE_NO_SAGA;
    struct event_step step;
    while (json_array_size(rows) < COMPLETED_SHOWN && core_next_completed(core, slot, &at, &step))
        json_array_append_new(rows, json_pack("{s:s, s:i}", "at", plan->states[step.state].name,
                                              "step", (int)step.step_no));
    return rows;
}

enum status admin_show(struct admin_job *job, struct partition *partition, struct problem *problem)
{
    const struct partition_state *state = partition_state(partition);
    const struct core *core = state->core;
    uint64_t saga_id;
    struct core_saga_view saga;
    enum status status = admin_read_saga(job->request, partition, &saga_id, problem);
    if (status != STATUS_OK)
        return status;
    if (saga_id > core_saga_id_last(core))
        return problem_set(problem, STATUS_NOT_FOUND,
                           "saga %" PRIu64 " was never started: there are %" PRIu64
                           ", numbered from 1",
                           saga_id, core_saga_id_last(core));
    uint32_t slot = core_find_saga(core, saga_id);
    if (slot == CORE_NO_SAGA) {
        /* Its history tells. */
        job->reply = json_pack("{s:I, s:s}", "saga", (json_int_t)saga_id, "state", "ENDED");
        return STATUS_OK;
    }
    bool found = core_view_saga(core, slot, &saga);
    assert(found);
    job->reply = describe(state, &saga);
    if (saga.outcome != OUTCOME_RUNNING)
        json_object_set_new(job->reply, "outcome", json_string(outcome_text(saga.outcome)));
    if (core_deadline_ms(core, slot) >= 0)
        set_integer(job->reply, "deadline_ms", core_deadline_ms(core, slot));
    json_object_set_new(job->reply, "cancelled", json_boolean(saga.cancelled));
    struct flyover_bytes trace = core_trace(core, saga.branch);
    if (trace.count > 0) {
        char text[TRACE_TEXT_BYTES + 1];
        trace_print(trace.at, text);
        json_object_set_new(job->reply, "trace", json_string(text));
    }
    json_object_set_new(job->reply, "pivoted", json_boolean(saga.pivoted));
    struct flyover_bytes error = core_saga_error(core, saga.branch);
    if (error.count > 0)
        json_object_set_new(job->reply, "failed_with", timeline_payload_to_json(error));
    json_object_set_new(job->reply, "branches", branches_json(core, slot, &saga));
    json_object_set_new(job->reply, "to_compensate", completed_json(core, slot, &saga));
    return STATUS_OK;
}

/* ---- definitions -----------------------------------------------------------------------------
 */

static json_t *describe_definition(const struct partition_state *state, uint32_t plan)
{
    const struct partition_definition *definition = &state->definitions[plan];
    json_t *row = json_pack("{s:i, s:s, s:i, s:i}", "plan", (int)plan, "definition",
                            core_plan(state->core, plan)->name, "version", (int)definition->version,
                            "live", (int)core_plan_live(state->core, plan));
    if (definition->made.block_no > 0) {
        set_integer(row, "block", (int64_t)definition->made.block_no);
        set_integer(row, "made_ms", definition->made.now_ms);
    }
    return row;
}

enum status admin_definitions(struct admin_job *job, struct partition *partition,
                              struct problem *problem)
{
    (void)problem;
    const struct partition_state *state = partition_state(partition);
    json_t *rows = json_array();
    for (uint32_t plan = 0; plan < core_plans_count(state->core); plan++)
        json_array_append_new(rows, describe_definition(state, plan));
    job->reply = json_pack("{s:o}", "definitions", rows);
    return STATUS_OK;
}

/* Its text too, and the seed that its sagas' tokens and jitter are made with: for whoever tells the
 * life of a saga from the journal. */
enum status admin_definition(struct admin_job *job, struct partition *partition,
                             struct problem *problem)
{
    const struct partition_state *state = partition_state(partition);
    int64_t plan = 0;
    enum status status =
        admin_read_integer(job->request, "plan", 0, CORE_PLANS_MAX - 1, &plan, problem);
    if (status != STATUS_OK)
        return status;
    if (plan >= core_plans_count(state->core))
        return problem_set(problem, STATUS_NOT_FOUND, "there are %u definitions, numbered from 0",
                           core_plans_count(state->core));
    const struct partition_definition *definition = &state->definitions[plan];
    job->reply = describe_definition(state, (uint32_t)plan);
    json_object_set_new(job->reply, "text", json_stringn(definition->text, definition->text_bytes));
    json_object_set_new(job->reply, "seed",
                        json_sprintf("%016" PRIx64, core_limits(state->core).seed));
    return STATUS_OK;
}
