#include "engine/partition/partition.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/plant.h"
#include "engine/partition/partition_parts.h"

#define CHECKPOINT_LOOK_NS 20000000u /* a child that ends wakes nobody */
/* More than any record that comes from a result or a timer. */
#define RECORD_BYTES_MAX (1u << 20)
#define RESULTS_PER_TURN 1024u
/* Of a block: who sends no more than that does not gain by waiting for each other. */
#define FEW_RECORDS 8u
/* How many events before its turn a branch, and then its saga, is asked for: about the time that a
 * line takes to come from memory. */
#define PREFETCH_BRANCH 12u
#define PREFETCH_SAGA   6u

int64_t partition_now_ms(struct partition *partition)
{
    int64_t now =
        partition->options.wall_ms != NULL ? partition->options.wall_ms() : clock_wall_ms();
    /* The clock of the journal never goes back, whatever the machine's does. */
    if (now > partition->last_now_ms || PLANTED(CLOCK_BACK))
        partition->last_now_ms = now;
    return partition->last_now_ms;
}

int64_t partition_event_ms(struct partition *partition)
{
    return partition->open.record_count > 0 ? partition->open.now_ms : partition_now_ms(partition);
}

uint64_t partition_now_ns(const struct partition *partition)
{
    return partition->options.now_ns != NULL ? partition->options.now_ns() : clock_now_ns();
}

/* ---- the open block ------------------------------------------------------------------------- */

void partition_seal(struct partition *partition)
{
    struct open_block *open = &partition->open;
    assert(open->buffer != NULL && open->record_count > 0);
    assert(partition->sent_count < WRITER_BUFFERS_COUNT);
    struct block_header header = {
        .block_no = ++partition->last_block_no,
        .durable_no = partition->durable_no,
        .now_ms = open->now_ms,
        .body_bytes = open->used_bytes - BLOCK_HEADER_BYTES,
        .record_count = open->record_count,
        .prev_crc = partition->last_block_crc,
        .epoch = partition->epoch,
    };
    block_seal(open->buffer->bytes, &header);
    partition->last_block_crc = header.header_crc;
    partition->sealed_records = open->record_count;
    open->buffer->bytes_count = open->used_bytes;
    open->buffer->block_no = header.block_no;
    partition->sent[partition->sent_count++] =
        (struct sent_block){header.block_no, partition->state->effects.tail};
    partition->counts.records += open->record_count;
    tally_add(&partition->block_bytes, open->used_bytes);
    partition->checkpointing.bytes_since += open->used_bytes;
    partition->checkpointing.journal_bytes += open->used_bytes;
    writer_send_block(partition->writer, open->buffer);
    *open = (struct open_block){0};
    partition->sealed_ns = partition_now_ns(partition);
}

/* Hears what is durable by now: effects of those blocks may leave. True if there is news. */
static bool note_durable(struct partition *partition)
{
    partition->durable_no = writer_durable_no(partition->writer);
    uint32_t durable_count = 0;
    while (durable_count < partition->sent_count &&
           partition->sent[durable_count].block_no <= partition->durable_no)
        partition->durable_tail = partition->sent[durable_count++].effects_tail;
    partition->sent_count -= durable_count;
    memmove(partition->sent, partition->sent + durable_count,
            partition->sent_count * sizeof *partition->sent);
    return durable_count > 0;
}

static bool has_room_for(const struct partition *partition, size_t record_bytes)
{
    const struct open_block *open = &partition->open;
    uint32_t block_bytes = partition->options.block_bytes;
    bool alone = open->record_count == 0 || block_bytes == 0;
    return open->used_bytes + record_bytes <= (alone ? BLOCK_BYTES_MAX : block_bytes) &&
           keeper_has_room(&partition->keeper);
}

bool partition_reserve(struct partition *partition, size_t record_bytes)
{
    struct open_block *open = &partition->open;
    assert(record_bytes <= BLOCK_BYTES_MAX - BLOCK_HEADER_BYTES);
    if (open->buffer != NULL && !has_room_for(partition, record_bytes)) {
        if (partition->sent_count == WRITER_BUFFERS_COUNT && !note_durable(partition)) {
            partition->counts.stalls++;
            return false;
        }
        partition_seal(partition);
    }
    if (open->buffer == NULL) {
        open->buffer = writer_acquire(partition->writer);
        if (open->buffer == NULL) {
            partition->counts.stalls++;
            return false;
        }
        open->used_bytes = BLOCK_HEADER_BYTES;
    }
    if (open->record_count == 0) {
        open->now_ms = partition_now_ms(partition);
        /* The first block of all makes the core. */
        open->decided_before =
            partition->state->core == NULL ? 0 : core_totals_decided(partition->state->core);
        atomic_store_explicit(&partition->now_ms, open->now_ms, memory_order_relaxed);
        if (partition->keeper.log != NULL)
            keeper_begin(&partition->keeper, open->buffer->index, open->now_ms);
    }
    return true;
}

enum status partition_apply(struct partition *partition, const struct event *event, uint64_t token,
                            uint64_t *ret_saga_id, struct problem *problem)
{
    struct open_block *open = &partition->open;
    const struct core_moment moment = {open->now_ms, partition->last_block_no + 1};
    enum status status = partition_state_apply(partition->state, &moment, event, token, APPLY_LIVE,
                                               ret_saga_id, problem);
    if (status != STATUS_OK)
        return status;
    uint8_t *end = event_encode(event, open->buffer->bytes + open->used_bytes);
    open->used_bytes = (uint32_t)(end - open->buffer->bytes);
    assert(open->used_bytes <= BLOCK_BYTES_MAX);
    open->record_count++;
    open->is_awaited = true;
    return STATUS_OK;
}

void partition_apply_answer(struct partition *partition, const struct event *event, uint64_t token)
{
    const struct effect_queue *effects = &partition->state->effects;
    bool was_awaited = partition->open.is_awaited;
    uint64_t tail = effects->tail;
    enum status status = partition_apply(partition, event, token, NULL, NULL);
    assert(status == STATUS_OK);
    partition->open.is_awaited = was_awaited || effects->tail != tail;
}

/* Whether the open block should go now: only when the journal is idle (else it fills on), and then
 * at once if nobody is at work whose result could still come into it. Remote work may take long,
 * and so may what is expected: neither holds anything up unless events come in numbers, and none is
 * waited for at a stop.
 * A block that nothing waits for, such as the end of a fire-and-forget step, is no reason to be
 * with the disk when the next saga begins. */
static bool should_seal(const struct partition *partition)
{
    const struct open_block *open = &partition->open;
    if (open->record_count == 0 || partition->sent_count > 0)
        return false;
    bool is_awaited = open->is_awaited || partition->stopping;
    bool may_come = partition->remote.in_flight > 0 || partition->expects_more;
    if (is_awaited && partition->in_flight == 0 &&
        (!may_come || partition->stopping || partition->sealed_records <= FEW_RECORDS))
        return true;
    return partition_now_ns(partition) - partition->sealed_ns >= PARTITION_SEAL_INTERVAL_NS;
}

/* ---- effects leave --------------------------------------------------------------------------- */

/* When it is too late to begin: a step that a remote worker had before may be short of heartbeats
 * before it is out of time. 0: never. */
static int64_t begin_by_ms(const struct partition *partition, const struct core_invocation *call,
                           uint32_t branch)
{
    const struct core *core = partition->state->core;
    return core_beats(core, branch) ? core_due_ms(core, branch) : call->deadline_ms;
}

/* Next: worker_on_invoke, on a worker's thread. */
static void partition_send_invoke(struct partition *partition, struct worker *worker,
                                  const struct core_invocation *call, uint32_t branch,
                                  uint32_t generation)
{
    struct invoke invoke = {
        .input = call->input.at,
        .output = call->output.at,
        .saga_id = call->saga_id,
        .input_bytes = call->input.count,
        .output_bytes = call->output.count,
        .branch = branch,
        .generation = generation,
        .step_no = call->step_no,
        .attempt_no = call->attempt_no,
        .deadline_ms = begin_by_ms(partition, call, branch),
        .trace = call->trace,
        .handler = partition->handlers[call->plan][call->resource],
        .phase = (uint8_t)call->phase,
    };
    worker_send_invoke(worker, &invoke);
    partition->in_flight++;
    partition->in_hand[branch] = generation;
}

/* The worker of the service with the most room, or NULL when all are full. */
static struct worker *choose_worker(const struct service *service)
{
    struct worker *best = NULL;
    for (uint32_t i = 0; i < service->workers_count; i++)
        if (best == NULL || worker_room(service->workers[i]) > worker_room(best))
            best = service->workers[i];
    return worker_room(best) == 0 ? NULL : best;
}

static void send_invoke(struct partition *partition, uint32_t service, struct worker *worker,
                        const struct core_invocation *call, uint32_t branch, uint32_t generation)
{
    partition_send_invoke(partition, worker, call, branch, generation);
    dispatch_went(&partition->dispatch, service, partition->turn_ns);
}

/* Next: send_invoke; of a remote service remote_take. */
static void release_invoke(struct partition *partition, const struct effect *effect)
{
    /* On the way out nothing new begins: the next start dispatches what is pending. */
    if (partition->stopping ||
        !core_expects(partition->state->core, effect->branch, effect->generation))
        return;
    struct core_invocation call;
    core_invocation(partition->state->core, effect->branch, &call);
    uint32_t service = partition->state->routes[call.plan][call.resource];
    if (partition->services[service].is_remote) {
        dispatch_push(&partition->dispatch,
                      REMOTE_FIRST + partition->handlers[call.plan][call.resource], call.plan,
                      call.phase, effect->branch, effect->generation);
        return;
    }
    struct worker *worker = NULL;
    if (dispatch_may_go(&partition->dispatch, service, partition->turn_ns))
        worker = choose_worker(&partition->services[service]);
    if (worker != NULL)
        send_invoke(partition, service, worker, &call, effect->branch, effect->generation);
    else
        dispatch_push(&partition->dispatch, service, call.plan, call.phase, effect->branch,
                      effect->generation);
}

/* What the branch, or the saga, waits for may have passed by the time it is asked about. */
static void set_timer(struct partition *partition, uint32_t key, int64_t due_ms)
{
    if (due_ms >= 0)
        timers_set(&partition->timers, key, due_ms);
}

static void release_effect(struct partition *partition, const struct effect *effect)
{
    const struct core *core = partition->state->core;
    switch ((enum effect_kind)effect->kind) {
    case EFFECT_INVOKE:
        set_timer(partition, effect->branch, core_due_ms(core, effect->branch));
        release_invoke(partition, effect);
        break;
    case EFFECT_TIMER:
        set_timer(partition, effect->branch, core_due_ms(core, effect->branch));
        break;
    case EFFECT_DEADLINE:
        set_timer(partition, PARTITION_SAGA_KEY(partition, effect->saga),
                  core_deadline_ms(core, effect->saga));
        break;
    case EFFECT_REPLY: partition_release_reply(partition, effect); break;
    case EFFECT_NONE: break;
    }
}

static bool replies_full(const struct partition *partition)
{
    return partition->replies_tail - partition->replies_head == partition->replies_capacity;
}

/* Lets go the effects of durable blocks. Next: release_effect, by kind. */
static bool release(struct partition *partition)
{
    struct effect_queue *effects = &partition->state->effects;
    uint64_t before = effects->head;
    bool news = note_durable(partition);
    if (PLANTED(EARLY_EFFECTS))
        partition->durable_tail = effects->tail;
    for (; effects->head < partition->durable_tail && !replies_full(partition); effects->head++) {
        if (effects->head + PREFETCH_BRANCH < partition->durable_tail)
            core_prefetch_branch(partition->state->core,
                                 effect_at(effects, effects->head + PREFETCH_BRANCH)->branch);
        if (effects->head + PREFETCH_SAGA < partition->durable_tail)
            core_prefetch_saga(partition->state->core,
                               effect_at(effects, effects->head + PREFETCH_SAGA)->branch);
        release_effect(partition, effect_at(effects, effects->head));
    }
    return effects->head != before || news;
}

/* Invocations that had to wait go as room comes and the limits allow. */
static void send_waiting(struct partition *partition, uint32_t index)
{
    struct service *service = &partition->services[index];
    uint32_t branch, generation;
    struct worker *worker;
    while (dispatch_waiting(&partition->dispatch, index) > 0 && !partition->stopping &&
           (worker = choose_worker(service)) != NULL &&
           dispatch_pop(&partition->dispatch, index, partition->turn_ns, &branch, &generation)) {
        if (!core_expects(partition->state->core, branch, generation))
            continue;
        struct core_invocation call;
        core_invocation(partition->state->core, branch, &call);
        send_invoke(partition, index, worker, &call, branch, generation);
    }
}

/* ---- events come in ---------------------------------------------------------------------------
 */

struct flyover_bytes partition_kept_output(const struct partition *partition, uint32_t branch,
                                           struct flyover_bytes output)
{
    bool nil = output.count == 1 && output.at[0] == 0xc0;
    if (nil || !core_needs_output(partition->state->core, branch))
        output.count = 0;
    return output;
}

static struct event event_of_result(const struct partition *partition, const struct result *result)
{
    struct flyover_bytes first = {result->bytes, result->first_bytes};
    struct flyover_bytes second = {result->bytes + result->first_bytes, result->second_bytes};
    struct event event;
    if (result->answer == FLYOVER_DONE) {
        event.kind = EVENT_RESULT;
        event.result.branch = result->branch;
        event.result.by_token = false;
        event.result.writes = first;
        event.result.output = partition_kept_output(partition, result->branch, second);
        if (PLANTED(LOST_WRITES) && partition->counts.records % 16 == 0)
            event.result.writes.count = 0;
        if (PLANTED(LOST_RESULT) && partition->counts.records % 16 == 0)
            event = (struct event){.kind = EVENT_ERROR, .error = {.branch = result->branch}};
        return event;
    }
    if (result->expired)
        return (struct event){.kind = EVENT_TIMER, .timer = {.branch = result->branch}};
    event.kind = EVENT_ERROR;
    event.error.branch = result->branch;
    event.error.by_token = false;
    event.error.retryable = result->answer == FLYOVER_RETRY;
    event.error.name = first;
    event.error.cause = second;
    return event;
}

/* False when the journal has no room: the result stays where it is. Next: release, when the block
 * is durable. */
static bool partition_on_result(struct partition *partition, const struct result *result)
{
    const struct core *core = partition->state->core;
    if (!core_expects(core, result->branch, result->generation)) {
        /* Writes that were made must reach the journal: a late result may carry none. */
        assert(result->answer != FLYOVER_DONE || result->first_bytes == 0);
        partition->counts.late_results++;
        return true;
    }
    struct event event = event_of_result(partition, result);
    if (!partition_reserve(partition, event_encoded_bytes_max(&event)))
        return false;
    partition_apply_answer(partition, &event, 0);
    return true;
}

static uint32_t take_results(struct partition *partition, uint32_t service, struct worker *worker)
{
    uint32_t ready = worker_peek_results(worker, RESULTS_PER_TURN);
    uint32_t taken = 0;
    for (; taken < ready; taken++) {
        if (taken + PREFETCH_BRANCH < ready)
            core_prefetch_branch(partition->state->core,
                                 worker_front_result(worker, taken + PREFETCH_BRANCH)->branch);
        if (taken + PREFETCH_SAGA < ready)
            core_prefetch_saga(partition->state->core,
                               worker_front_result(worker, taken + PREFETCH_SAGA)->branch);
        if (!partition_on_result(partition, worker_front_result(worker, taken)))
            break;
    }
    if (taken > 0) {
        worker_consume_results(worker, taken);
        partition->in_flight -= taken;
        dispatch_came_back(&partition->dispatch, service, taken);
    }
    return taken;
}

bool partition_take_results(struct partition *partition)
{
    for (uint32_t i = 0; i < partition->state->services_count; i++) {
        struct service *service = &partition->services[i];
        for (uint32_t j = 0; j < service->workers_count; j++)
            while (worker_peek_results(service->workers[j], 1) > 0)
                if (take_results(partition, i, service->workers[j]) == 0)
                    return false;
    }
    return true;
}

static bool serve_services(struct partition *partition)
{
    uint32_t taken = 0;
    for (uint32_t i = 0; i < partition->state->services_count; i++) {
        struct service *service = &partition->services[i];
        for (uint32_t j = 0; j < service->workers_count; j++)
            taken += take_results(partition, i, service->workers[j]);
        send_waiting(partition, i);
        for (uint32_t j = 0; j < service->workers_count; j++)
            worker_flush(service->workers[j]);
    }
    return taken > 0;
}

/* A step of a service with tables that is with its worker is not timed out under its hands: the
 * worker does not begin it after its deadline, and once begun its writes are made and its result
 * counts. */
static bool is_in_hand(const struct partition *partition, uint32_t branch)
{
    const struct core *core = partition->state->core;
    if (!core_expects(core, branch, partition->in_hand[branch]) || PLANTED(LATE_HANDLER))
        return false;
    struct core_invocation call;
    core_invocation(core, branch, &call);
    const struct service *service =
        &partition->services[partition->state->routes[call.plan][call.resource]];
    return service->plugin.service != NULL && service->plugin.service->tables_count > 0;
}

/* A timer that fired early, or for what is over, is asked about here. */
static void fire_timer(struct partition *partition, uint32_t key)
{
    const struct core *core = partition->state->core;
    uint32_t branches_max = core_branches_max(core);
    bool of_saga = key >= branches_max;
    uint32_t slot = of_saga ? key - branches_max : key;
    int64_t due_ms = of_saga ? core_deadline_ms(core, slot) : core_due_ms(core, slot);
    if (PLANTED(EARLY_TIMER) && due_ms > partition->open.now_ms && due_ms % 8 == 0)
        due_ms = partition->open.now_ms;
    if (due_ms > partition->open.now_ms) {
        timers_set(&partition->timers, key, due_ms);
        return;
    }
    if (due_ms < 0 || (!of_saga && is_in_hand(partition, slot)))
        return;
    struct event event = {.kind = EVENT_TIMER,
                          .timer = {.branch = slot, .of_saga = of_saga, .undo_begun = of_saga}};
    enum status status = partition_apply(partition, &event, 0, NULL, NULL);
    assert(status == STATUS_OK);
}

static bool fire_timers(struct partition *partition)
{
    bool fired = false;
    while (timers_next_ms(&partition->timers) <= partition_event_ms(partition)) {
        uint32_t key;
        if (!partition_reserve(partition, EVENT_FIXED_BYTES_MAX) ||
            !timers_pop(&partition->timers, partition->open.now_ms, &key))
            break;
        fire_timer(partition, key);
        fired = true;
    }
    return fired;
}

bool partition_may_step(const struct partition *partition, enum partition_part part)
{
    return partition->options.may_step == NULL || partition->options.may_step(part);
}

static bool step_threads(struct partition *partition)
{
    bool worked =
        partition_may_step(partition, PARTITION_JOURNAL) && writer_step(partition->writer);
    for (uint32_t i = 0; i < partition->state->services_count; i++)
        for (uint32_t j = 0; j < partition->services[i].workers_count; j++)
            if (partition_may_step(partition, PARTITION_WORKER))
                worked |= worker_step(partition->services[i].workers[j]) > 0;
    return worked;
}

enum status partition_poll(struct partition *partition, bool *ret_worked, struct problem *problem)
{
    partition->turn_ns = partition_now_ns(partition);
    /* First, since the services stand still for it. */
    bool worked_at_pause = partition_is_at_pause(partition) && partition_turn_checkpoint(partition);
    bool worked = worked_at_pause;
    worked |= release(partition);
    worked |= serve_services(partition);
    dispatch_turn(&partition->dispatch, partition->turn_ns);
    admission_turn(&partition->admission, core_totals_ended(partition->state->core),
                   core_sagas_live(partition->state->core), partition->turn_ns);
    worked |= fire_timers(partition);
    if (should_seal(partition)) {
        partition_seal(partition);
        worked = true;
    }
    /* Before a checkpoint may begin: it must see that handlers have run since results were taken.
     */
    if (partition->options.threadless)
        worked |= step_threads(partition);
    if (!worked_at_pause)
        worked |= partition_turn_checkpoint(partition);
    *ret_worked = worked;
    return writer_failure(partition->writer, problem);
}

bool partition_may_start(const struct partition *partition, uint32_t plan)
{
    const struct partition_state *state = partition->state;
    if (!core_can_start(state->core, plan, &state->effects))
        return false;
    uint32_t live = core_sagas_live(state->core);
    uint32_t sagas_max = core_limits(state->core).sagas_max;
    /* Who asks for more than this is looked at: the only definition takes nothing from others. */
    return admission_may_start(UINT32_MAX, live, sagas_max) || state->names_count == 1 ||
           admission_may_start(partition_state_definition_live(state, plan), live, sagas_max);
}

uint32_t partition_busy_ms(const struct partition *partition)
{
    return partition_busy_at_ms(partition, PARTITION_PRIORITY_NORMAL);
}

uint32_t partition_busy_at_ms(const struct partition *partition, enum partition_priority priority)
{
    const struct core *core = partition->state->core;
    if (priority == PARTITION_PRIORITY_LOW)
        return admission_hint_low_ms(&partition->admission, core_sagas_live(core),
                                     core_limits(core).sagas_max);
    return admission_hint_ms(&partition->admission, core_sagas_live(core),
                             core_limits(core).sagas_max);
}

enum status partition_start(struct partition *partition, uint32_t plan, uint32_t source,
                            struct flyover_bytes input, uint64_t token)
{
    if (input.count == 0 || input.count > FLYOVER_PAYLOAD_BYTES_MAX)
        return STATUS_TOO_LARGE;
    struct event event = {.kind = EVENT_START,
                          .start = {.plan = plan, .source = source, .input = input}};
    if (!partition_may_start(partition, plan) ||
        !partition_reserve(partition, event_encoded_bytes_max(&event)))
        return STATUS_BUSY;
    return partition_apply(partition, &event, partition_token(partition, token, false), NULL, NULL);
}

/* ---- rest -------------------------------------------------------------------------------------
 */

/* Whether an event could be recorded now; where not, the journal thread wakes the engine when it
 * can. */
static bool has_block_room(const struct partition *partition)
{
    const struct open_block *open = &partition->open;
    uint32_t out_count = writer_blocks_in_flight(partition->writer) + (open->buffer != NULL);
    return out_count < WRITER_BUFFERS_COUNT ||
           (open->buffer != NULL && open->used_bytes + RECORD_BYTES_MAX <= BLOCK_BYTES_MAX &&
            keeper_has_room(&partition->keeper));
}

static bool has_input(struct partition *partition)
{
    const struct effect_queue *effects = &partition->state->effects;
    if (writer_durable_no(partition->writer) != partition->durable_no ||
        (effects->head < partition->durable_tail && !replies_full(partition)) ||
        writer_failure(partition->writer, NULL) != STATUS_OK)
        return true;
    if (atomic_load_explicit(&partition->woken, memory_order_relaxed) &&
        atomic_exchange(&partition->woken, false))
        return true;
    if (!has_block_room(partition))
        return false;
    if (partition_is_at_pause(partition))
        return true;
    for (uint32_t i = 0; i < partition->state->services_count; i++)
        for (uint32_t j = 0; j < partition->services[i].workers_count; j++)
            if (worker_peek_results(partition->services[i].workers[j], 1) > 0)
                return true;
    return false;
}

/* How long until a rate lets something go that waits for it, not for a worker. */
static uint64_t wait_for_limits_ns(struct partition *partition)
{
    uint64_t left_ns = UINT64_MAX;
    if (dispatch_waiting_in_all(&partition->dispatch) == 0 || partition->stopping)
        return left_ns;
    uint64_t at_ns = partition_now_ns(partition);
    left_ns = partition_remote_wait_ns(partition, at_ns);
    for (uint32_t i = 0; i < partition->state->services_count; i++) {
        if (dispatch_waiting(&partition->dispatch, i) == 0 ||
            choose_worker(&partition->services[i]) == NULL)
            continue;
        uint64_t next_ns = dispatch_next_ns(&partition->dispatch, i, at_ns);
        if (next_ns != DISPATCH_NEVER && next_ns - at_ns < left_ns)
            left_ns = next_ns > at_ns ? next_ns - at_ns : 0;
    }
    return left_ns;
}

/* How long until the open block may be sealed or the next timer is due. */
static uint64_t wait_ns(struct partition *partition, uint64_t timeout_ns)
{
    int64_t due_ms = timers_next_ms(&partition->timers);
    /* In an open block it is earlier: what becomes due meanwhile waits for the next. */
    bool due_later = partition->open.record_count > 0 && due_ms > partition->open.now_ms;
    if (due_ms != INT64_MAX && has_block_room(partition) && !due_later) {
        int64_t left_ms = due_ms - partition_now_ms(partition);
        uint64_t left_ns = left_ms <= 0 ? 0 : (uint64_t)left_ms * 1000000u;
        timeout_ns = left_ns < timeout_ns ? left_ns : timeout_ns;
    }
    if (partition->open.record_count > 0 && partition->sent_count == 0) {
        uint64_t since_ns = partition_now_ns(partition) - partition->sealed_ns;
        uint64_t left_ns =
            since_ns >= PARTITION_SEAL_INTERVAL_NS ? 0 : PARTITION_SEAL_INTERVAL_NS - since_ns;
        timeout_ns = left_ns < timeout_ns ? left_ns : timeout_ns;
    }
    uint64_t limits_ns = wait_for_limits_ns(partition);
    timeout_ns = limits_ns < timeout_ns ? limits_ns : timeout_ns;
    if (partition->checkpointing.stage != CHECKPOINT_IDLE && timeout_ns > CHECKPOINT_LOOK_NS)
        timeout_ns = CHECKPOINT_LOOK_NS;
    return timeout_ns;
}

void partition_wait(struct partition *partition, uint64_t timeout_ns)
{
    if (partition->options.threadless)
        return;
    const struct partition_sleep *sleep = &partition->options.sleep;
    timeout_ns = wait_ns(partition, timeout_ns);
    sleeper_prepare(&partition->sleeper);
    if (timeout_ns == 0 || has_input(partition))
        sleeper_cancel(&partition->sleeper);
    else if (sleep->block != NULL)
        sleeper_block(&partition->sleeper, sleep->block, sleep->context, timeout_ns);
    else
        sleeper_wait(&partition->sleeper, timeout_ns);
}

void partition_wake(struct partition *partition)
{
    atomic_store(&partition->woken, true);
    sleeper_wake(&partition->sleeper);
}

void partition_expect(struct partition *partition, bool more)
{
    partition->expects_more = more;
}

bool partition_is_light(const struct partition *partition)
{
    return partition->sealed_records <= FEW_RECORDS;
}

bool partition_is_quiet(const struct partition *partition)
{
    const struct effect_queue *effects = &partition->state->effects;
    if (partition->in_flight > 0 || partition->remote.in_flight > 0 || partition->sent_count > 0 ||
        partition->open.record_count > 0 || effects->head != effects->tail)
        return false;
    if (dispatch_waiting_in_all(&partition->dispatch) > 0)
        return false;
    return partition->replies_head == partition->replies_tail;
}

bool partition_is_at_rest(const struct partition *partition)
{
    /* Without a saga the timers are those of steps that were answered in time. */
    return partition_is_quiet(partition) &&
           (timers_count(&partition->timers) == 0 || core_sagas_live(partition->state->core) == 0);
}
