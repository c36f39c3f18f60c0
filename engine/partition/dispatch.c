#include "engine/partition/dispatch.h"

#include "engine/base/region.h"

#define PHASES        2u
#define CREDIT_OF_ONE 1000000000u
#define QUEUES_COUNT  (DISPATCH_SERVICES_MAX * PHASES * CORE_PLANS_MAX)

/* Of a branch; all zeroes, as it comes from the kernel, does not wait. 16 bytes, so that one line
 * of memory has all that a pop needs. */
struct dispatch_node {
    uint32_t after;  /* a branch; of the last, anything */
    uint32_t before; /* a branch; of the first, anything */
    uint32_t generation;
    uint32_t queue; /* index in `queues` + 1; 0: it does not wait */
};

/* Of a plan in a phase at a service; all zeroes is an empty one. The rest says something only
 * while waiting_count > 0: then it is in its round. */
struct dispatch_queue {
    uint32_t first; /* branches */
    uint32_t last;
    uint32_t waiting_count;
    uint16_t after; /* plans, in the round */
    uint16_t before;
};

static_assert(CORE_PLANS_MAX <= UINT16_MAX, "a plan's number fits a queue's neighbours");
static_assert((uint64_t)CREDIT_OF_ONE * UINT32_MAX < UINT64_MAX, "any burst fits the credit");

enum status dispatch_init(struct dispatch *dispatch, uint32_t branches_max)
{
    assert(branches_max > 0);
    struct dispatch made = {.branches_max = branches_max};
    made.nodes = region_map(branches_max * sizeof *made.nodes, REGION_SCRATCH);
    made.queues = region_map(QUEUES_COUNT * sizeof *made.queues, REGION_SCRATCH);
    if (made.nodes == NULL || made.queues == NULL) {
        dispatch_fini(&made);
        return STATUS_NO_MEMORY;
    }
    *dispatch = made;
    return STATUS_OK;
}

void dispatch_fini(struct dispatch *dispatch)
{
    region_unmap(dispatch->nodes, dispatch->branches_max * sizeof *dispatch->nodes);
    region_unmap(dispatch->queues, QUEUES_COUNT * sizeof *dispatch->queues);
    *dispatch = (struct dispatch){0};
}

/* ---- limits ------------------------------------------------------------------------------------
 */

static uint64_t credit_max(const struct dispatch_service *service)
{
    return (uint64_t)service->limits.burst * CREDIT_OF_ONE;
}

/* Nanoseconds times invocations a second are billionths of an invocation: nothing is rounded, so
 * that it does not matter how often somebody looks. */
static void accrue(struct dispatch_service *service, uint64_t now_ns)
{
    if (now_ns <= service->credited_ns)
        return;
    unsigned __int128 credit =
        (unsigned __int128)(now_ns - service->credited_ns) * service->limits.rate_per_s +
        service->credit;
    uint64_t max = credit_max(service);
    service->credit = credit < max ? (uint64_t)credit : max;
    service->credited_ns = now_ns;
}

void dispatch_set_limits(struct dispatch *dispatch, uint32_t service,
                         const struct dispatch_limits *limits, uint64_t now_ns)
{
    assert(service < DISPATCH_SERVICES_MAX);
    struct dispatch_service *at = &dispatch->services[service];
    bool had_rate = at->limits.rate_per_s != 0;
    if (had_rate)
        accrue(at, now_ns);
    at->limits = *limits;
    if (limits->burst == 0)
        at->limits.burst = limits->rate_per_s < 20 ? 1 : limits->rate_per_s / 10;
    at->is_limited = limits->in_flight_max != 0 || limits->rate_per_s != 0;
    if (!had_rate) {
        at->credit = credit_max(at);
        at->credited_ns = now_ns;
    } else if (at->credit > credit_max(at)) {
        at->credit = credit_max(at);
    }
}

/* Whose limits hold for it. */
static struct dispatch_service *limiter_of(struct dispatch *dispatch,
                                           struct dispatch_service *service)
{
    return service->shares == 0 ? service : &dispatch->services[service->shares - 1];
}

void dispatch_share_limits(struct dispatch *dispatch, uint32_t lane, uint32_t service)
{
    assert(lane < DISPATCH_SERVICES_MAX && service < DISPATCH_SERVICES_MAX && lane != service);
    struct dispatch_service *at = &dispatch->services[lane];
    assert(at->in_flight == 0 && at->shares == 0 && !at->is_limited);
    assert(dispatch->services[service].shares == 0);
    at->shares = service + 1;
    /* Whether there are any is asked each time: they may be set later. */
    at->is_limited = true;
}

static bool is_full(const struct dispatch_service *service)
{
    return service->limits.in_flight_max != 0 &&
           service->in_flight >= service->limits.in_flight_max;
}

bool dispatch_limits_allow(struct dispatch *dispatch, struct dispatch_service *service,
                           uint64_t now_ns)
{
    struct dispatch_service *limiter = limiter_of(dispatch, service);
    if (is_full(limiter))
        return false;
    if (limiter->limits.rate_per_s == 0)
        return true;
    accrue(limiter, now_ns);
    return limiter->credit >= CREDIT_OF_ONE;
}

uint64_t dispatch_next_ns(struct dispatch *dispatch, uint32_t service, uint64_t now_ns)
{
    assert(service < DISPATCH_SERVICES_MAX);
    struct dispatch_service *at = &dispatch->services[service];
    const struct dispatch_service *limiter = limiter_of(dispatch, at);
    if (at->waiting_count == 0 || is_full(limiter))
        return DISPATCH_NEVER;
    if (dispatch_limits_allow(dispatch, at, now_ns))
        return now_ns;
    uint64_t missing = CREDIT_OF_ONE - limiter->credit;
    uint32_t rate_per_s = limiter->limits.rate_per_s;
    return limiter->credited_ns + (missing + rate_per_s - 1) / rate_per_s;
}

/* ---- queues and rounds -------------------------------------------------------------------------
 */

/* The queues of a service and phase, by plan. */
static struct dispatch_queue *queues_of(const struct dispatch *dispatch, uint32_t service,
                                        uint32_t phase)
{
    return dispatch->queues + (service * PHASES + phase) * CORE_PLANS_MAX;
}

/* At the end: every plan that is there has a turn before. */
static void join_round(struct dispatch_round *round, struct dispatch_queue *queues, uint32_t plan)
{
    if (round->plans_count++ == 0)
        round->first = plan;
    uint32_t first = round->first;
    uint32_t last = first == plan ? plan : queues[first].before;
    queues[plan].before = (uint16_t)last;
    queues[plan].after = (uint16_t)first;
    queues[last].after = (uint16_t)plan;
    queues[first].before = (uint16_t)plan;
}

static void leave_round(struct dispatch_round *round, struct dispatch_queue *queues, uint32_t plan)
{
    assert(round->plans_count > 0);
    round->plans_count--;
    uint32_t after = queues[plan].after, before = queues[plan].before;
    queues[before].after = (uint16_t)after;
    queues[after].before = (uint16_t)before;
    if (round->first == plan)
        round->first = after;
}

static void link_first(struct dispatch *dispatch, struct dispatch_queue *queue, uint32_t branch)
{
    if (queue->waiting_count++ == 0) {
        queue->last = branch;
    } else {
        dispatch->nodes[branch].after = queue->first;
        dispatch->nodes[queue->first].before = branch;
    }
    queue->first = branch;
}

static void link_last(struct dispatch *dispatch, struct dispatch_queue *queue, uint32_t branch)
{
    if (queue->waiting_count++ == 0) {
        queue->first = branch;
    } else {
        dispatch->nodes[branch].before = queue->last;
        dispatch->nodes[queue->last].after = branch;
    }
    queue->last = branch;
}

/* The one that becomes first is not touched, only asked for: with many waiting it is far away, and
 * the caller has something to do until it is its turn. */
static void unlink_first(struct dispatch *dispatch, struct dispatch_queue *queue)
{
    if (--queue->waiting_count == 0)
        return;
    queue->first = dispatch->nodes[queue->first].after;
    __builtin_prefetch(&dispatch->nodes[queue->first], 1);
}

static void unlink_node(struct dispatch *dispatch, struct dispatch_queue *queue, uint32_t branch)
{
    const struct dispatch_node *node = &dispatch->nodes[branch];
    assert(queue->waiting_count > 0);
    if (branch == queue->first) {
        unlink_first(dispatch, queue);
        return;
    }
    queue->waiting_count--;
    dispatch->nodes[node->before].after = node->after;
    if (branch == queue->last)
        queue->last = node->before;
    else
        dispatch->nodes[node->after].before = node->before;
}

/* From wherever it waits. */
static void take_out(struct dispatch *dispatch, uint32_t branch)
{
    uint32_t index = dispatch->nodes[branch].queue - 1;
    uint32_t plan = index % CORE_PLANS_MAX;
    uint32_t phase = index / CORE_PLANS_MAX % PHASES;
    struct dispatch_service *at = &dispatch->services[index / CORE_PLANS_MAX / PHASES];
    struct dispatch_queue *queue = &dispatch->queues[index];
    unlink_node(dispatch, queue, branch);
    dispatch->nodes[branch].queue = 0;
    if (queue->waiting_count == 0)
        leave_round(&at->rounds[phase], queue - plan, plan);
    at->rounds[phase].waiting_count--;
    at->waiting_count--;
    dispatch->waiting_count--;
}

static void push(struct dispatch *dispatch, uint32_t service, uint32_t plan,
                 enum flyover_phase phase, uint32_t branch, uint32_t generation, bool first)
{
    assert(service < DISPATCH_SERVICES_MAX && plan < CORE_PLANS_MAX && phase < PHASES);
    assert(branch < dispatch->branches_max);
    struct dispatch_service *at = &dispatch->services[service];
    struct dispatch_node *node = &dispatch->nodes[branch];
    if (node->queue != 0) {
        assert(node->generation != generation);
        take_out(dispatch, branch);
    }
    struct dispatch_queue *queues = queues_of(dispatch, service, phase);
    if (queues[plan].waiting_count == 0)
        join_round(&at->rounds[phase], queues, plan);
    if (first)
        link_first(dispatch, &queues[plan], branch);
    else
        link_last(dispatch, &queues[plan], branch);
    node->generation = generation;
    node->queue = (uint32_t)(&queues[plan] - dispatch->queues) + 1;
    at->rounds[phase].waiting_count++;
    at->waiting_count++;
    dispatch->waiting_count++;
    if (service >= dispatch->services_count)
        dispatch->services_count = service + 1;
}

void dispatch_push(struct dispatch *dispatch, uint32_t service, uint32_t plan,
                   enum flyover_phase phase, uint32_t branch, uint32_t generation)
{
    push(dispatch, service, plan, phase, branch, generation, false);
}

void dispatch_push_first(struct dispatch *dispatch, uint32_t service, uint32_t plan,
                         enum flyover_phase phase, uint32_t branch, uint32_t generation)
{
    push(dispatch, service, plan, phase, branch, generation, true);
}

/* ---- turns -------------------------------------------------------------------------------------
 */

static enum flyover_phase phase_to_go(const struct dispatch_service *service)
{
    if (service->rounds[FLYOVER_COMPENSATION].waiting_count == 0)
        return FLYOVER_FORWARD;
    bool forward_is_due = service->rounds[FLYOVER_FORWARD].waiting_count > 0 &&
                          service->streak >= DISPATCH_STREAK_MAX;
    return forward_is_due ? FLYOVER_FORWARD : FLYOVER_COMPENSATION;
}

bool dispatch_pop(struct dispatch *dispatch, uint32_t service, uint64_t now_ns,
                  uint32_t *ret_branch, uint32_t *ret_generation)
{
    assert(service < DISPATCH_SERVICES_MAX);
    struct dispatch_service *at = &dispatch->services[service];
    if (at->waiting_count == 0 || (at->is_limited && !dispatch_limits_allow(dispatch, at, now_ns)))
        return false;
    enum flyover_phase phase = phase_to_go(at);
    uint32_t plan = at->rounds[phase].first;
    uint32_t branch = queues_of(dispatch, service, phase)[plan].first;
    *ret_branch = branch;
    *ret_generation = dispatch->nodes[branch].generation;
    take_out(dispatch, branch);
    at->has_turn = true;
    at->turn_phase = (uint8_t)phase;
    at->turn_plan = plan;
    return true;
}

/* What was popped went: the next plan is first, unless this one has left the round. */
static void end_turn(struct dispatch *dispatch, uint32_t service)
{
    struct dispatch_service *at = &dispatch->services[service];
    struct dispatch_round *round = &at->rounds[at->turn_phase];
    if (round->plans_count > 0 && round->first == at->turn_plan)
        round->first = queues_of(dispatch, service, at->turn_phase)[at->turn_plan].after;
    bool passed_forward =
        at->turn_phase == FLYOVER_COMPENSATION && at->rounds[FLYOVER_FORWARD].waiting_count > 0;
    at->streak = passed_forward ? at->streak + 1 : 0;
    at->has_turn = false;
}

void dispatch_charge(struct dispatch *dispatch, uint32_t service, uint64_t now_ns)
{
    struct dispatch_service *at = &dispatch->services[service];
    if (at->has_turn)
        end_turn(dispatch, service);
    if (at->is_limited) {
        bool allowed = dispatch_limits_allow(dispatch, at, now_ns);
        assert(allowed);
    }
    struct dispatch_service *limiter = limiter_of(dispatch, at);
    if (limiter->limits.rate_per_s != 0)
        limiter->credit -= CREDIT_OF_ONE;
    if (limiter != at)
        limiter->in_flight++;
}

/* ---- figures -----------------------------------------------------------------------------------
 */

void dispatch_turn(struct dispatch *dispatch, uint64_t now_ns)
{
    for (uint32_t i = 0; i < dispatch->services_count; i++) {
        struct dispatch_service *at = &dispatch->services[i];
        if (at->waiting_count > 0 || at->pace.was_busy)
            pace_turn(&at->pace, at->came_back, at->waiting_count > 0, now_ns);
    }
}

uint32_t dispatch_hint_ms(const struct dispatch *dispatch, uint32_t service)
{
    assert(service < DISPATCH_SERVICES_MAX);
    const struct dispatch_service *at = &dispatch->services[service];
    if (at->waiting_count == 0)
        return PACE_HINT_MS_MIN;
    uint32_t by_pace = pace_hint_ms(&at->pace, at->waiting_count);
    uint32_t rate_per_s = at->shares == 0 ? at->limits.rate_per_s
                                          : dispatch->services[at->shares - 1].limits.rate_per_s;
    if (rate_per_s == 0)
        return by_pace;
    /* Handlers may be slower than the rate allows. */
    uint32_t by_rate = pace_hint_ms_at(rate_per_s, at->waiting_count);
    return pace_is_known(&at->pace) && by_pace > by_rate ? by_pace : by_rate;
}

uint32_t dispatch_waiting(const struct dispatch *dispatch, uint32_t service)
{
    assert(service < DISPATCH_SERVICES_MAX);
    return dispatch->services[service].waiting_count;
}

uint32_t dispatch_waiting_in_all(const struct dispatch *dispatch)
{
    return dispatch->waiting_count;
}

uint32_t dispatch_in_flight(const struct dispatch *dispatch, uint32_t service)
{
    assert(service < DISPATCH_SERVICES_MAX);
    return dispatch->services[service].in_flight;
}
