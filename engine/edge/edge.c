#include "engine/edge/edge.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/edge_parts.h"
#include "engine/partition/remote.h"

#define NS_A_MS        1000000u
#define WAIT_DOUBLINGS 8u /* a letter that finds no room is tried every 256 ms at the least */

/* A turn: what the thread says, messages that found no room before, messages that are durable now,
 * calls for lanes that may have more. */

/* ---- to the thread ------------------------------------------------------------------------------
 */

void edges_send_order(struct edges *edges, enum edge_order_kind kind, void *what)
{
    struct ring *orders = edges->thread.orders;
    uint32_t room = ring_reserve(orders, 1);
    assert(room == 1 && "every call and message has a place");
    *(struct edge_order *)ring_slot(orders, 0) = (struct edge_order){kind, what};
    ring_publish(orders, 1);
    edges->has_orders = true;
}

/* ---- calls --------------------------------------------------------------------------------------
 */

static struct edge_flight *new_flight(struct edges *edges, uint32_t index,
                                      const struct remote_invocation *call)
{
    const struct edge_lane *lane = &edges->lanes[index];
    struct edge_flight *flight = malloc(sizeof *flight + call->input.count + call->output.count);
    if (flight == NULL)
        return NULL;
    *flight = (struct edge_flight){
        .call = {.handler = lane->handler,
                 .step_no = call->step_no,
                 .attempt_no = call->attempt_no,
                 .saga_id = call->saga_id,
                 .phase = call->phase,
                 .deadline_ms = call->deadline_ms},
        .lane = index,
        .module = lane->module,
        .branch = call->branch,
        .generation = call->generation,
        .input_bytes = call->input.count,
        .output_bytes = call->output.count,
        .is_made = call->is_made,
    };
    if (call->input.count > 0)
        memcpy(flight->bytes, call->input.at, call->input.count);
    if (call->output.count > 0)
        memcpy(flight->bytes + call->input.count, call->output.at, call->output.count);
    return flight;
}

static void name_flight(const struct edges *edges, struct edge_flight *flight,
                        const struct remote_invocation *call)
{
    struct edge_call *at = &flight->call;
    static_assert(EDGE_KEY_BYTES >= REMOTE_KEY_BYTES, "a key of remote.h is one of edges too");
    remote_make_key(edges->options.partition, call->saga_id, call->step_no, call->phase, at->key);
    if (call->has_token)
        memcpy(at->token, call->token, strnlen(call->token, sizeof at->token - 1));
    assert(call->trace.count < sizeof at->trace);
    if (call->trace.count > 0)
        memcpy(at->trace, call->trace.at, call->trace.count);
}

static void add_flight(struct edges *edges, struct edge_flight *flight)
{
    struct edge_lane *lane = &edges->lanes[flight->lane];
    flight->next = edges->flights;
    if (flight->next != NULL)
        flight->next->prev = flight;
    edges->flights = flight;
    edges->in_flight++;
    lane->in_flight++;
    lane->calls++;
}

static void remove_flight(struct edges *edges, struct edge_flight *flight)
{
    if (flight->prev == NULL)
        edges->flights = flight->next;
    else
        flight->prev->next = flight->next;
    if (flight->next != NULL)
        flight->next->prev = flight->prev;
    edges->in_flight--;
    edges->lanes[flight->lane].in_flight--;
    edge_flight_free(flight);
}

void edge_flight_free(struct edge_flight *flight)
{
    json_decref(flight->call.input);
    json_decref(flight->call.output);
    free(flight->answer);
    free(flight->undo);
    free(flight);
}

/* False: nothing waits that may go now. */
static bool hand_out(struct edges *edges, uint32_t index)
{
    struct partition *partition = edges->options.partition;
    struct remote_invocation call;
    uint32_t lane = edges->lanes[index].lane;
    if (!remote_take(partition, lane, &call))
        return false;
    struct edge_flight *flight = new_flight(edges, index, &call);
    if (flight == NULL) {
        remote_give_back(partition, lane, call.branch, call.generation);
        return false;
    }
    name_flight(edges, flight, &call);
    add_flight(edges, flight);
    edges_send_order(edges, EDGE_ORDER_CALL, flight);
    return true;
}

static bool hand_out_all(struct edges *edges)
{
    bool worked = false;
    for (uint32_t i = 0; i < edges->lanes_count; i++) {
        const struct edge_lane *lane = &edges->lanes[i];
        while (lane->in_flight < edges->options.in_flight_max &&
               remote_waiting(edges->options.partition, lane->lane) > 0 && hand_out(edges, i))
            worked = true;
    }
    return worked;
}

/* What the partition says of an answer. The thread had no memory to give one where it is NULL. */
static enum status tell_answer(struct edges *edges, const struct edge_flight *flight)
{
    static const char name[] = EDGE_NO_MEMORY, cause[] = EDGE_NO_MEMORY_CAUSE;
    struct partition *partition = edges->options.partition;
    uint32_t lane = edges->lanes[flight->lane].lane;
    const struct edge_answer *answer = flight->answer;
    if (answer == NULL)
        return remote_failed(partition, lane, flight->branch, flight->generation, true,
                             (struct flyover_bytes){(const uint8_t *)name, sizeof name - 1},
                             (struct flyover_bytes){(const uint8_t *)cause, sizeof cause - 1});
    struct flyover_bytes first = {answer->bytes, answer->first_bytes};
    struct flyover_bytes second = {answer->bytes + answer->first_bytes, answer->second_bytes};
    if (answer->is_done)
        return remote_done(partition, lane, flight->branch, flight->generation, first);
    return remote_failed(partition, lane, flight->branch, flight->generation, answer->retryable,
                         first, second);
}

/* False: the journal has no room now. */
static bool on_answer(struct edges *edges, struct edge_flight *flight)
{
    struct edge_lane *lane = &edges->lanes[flight->lane];
    enum status status = tell_answer(edges, flight);
    if (status == STATUS_BUSY)
        return false;
    bool is_done = flight->answer != NULL && flight->answer->is_done && status != STATUS_INVALID;
    lane->failed += !is_done;
    lane->late += status == STATUS_NOT_FOUND;
    remove_flight(edges, flight);
    return true;
}

/* What is out is at work for as long as the edges live: nobody outside sends heartbeats. */
static void beat(struct edges *edges)
{
    struct partition *partition = edges->options.partition;
    int64_t now_ms = partition_now_ms(partition);
    if (edges->in_flight == 0 || now_ms < edges->beat_ms)
        return;
    edges->beat_ms = now_ms + EDGE_BEAT_MS;
    /* Of one that is late, or finds no room in the journal, the answer will say so, or the next. */
    for (const struct edge_flight *flight = edges->flights; flight != NULL; flight = flight->next)
        (void)!remote_beat(partition, edges->lanes[flight->lane].lane, flight->branch,
                           flight->generation);
}

/* ---- messages -----------------------------------------------------------------------------------
 */

void edge_queue_init(struct edge_queue *queue)
{
    queue->first = NULL;
    queue->last = &queue->first;
}

static void append(struct edge_queue *queue, struct edge_letter *letter)
{
    letter->next_in_queue = NULL;
    *queue->last = letter;
    queue->last = &letter->next_in_queue;
}

static void put_back(struct edge_queue *queue, struct edge_letter *letter)
{
    letter->next_in_queue = queue->first;
    if (queue->first == NULL)
        queue->last = &letter->next_in_queue;
    queue->first = letter;
}

static struct edge_letter *take_first(struct edge_queue *queue)
{
    struct edge_letter *letter = queue->first;
    queue->first = letter->next_in_queue;
    if (queue->first == NULL)
        queue->last = &queue->first;
    return letter;
}

/* Next: on_message_settled of its module. */
static void settle(struct edges *edges, struct edge_letter *letter, enum edge_settlement settlement)
{
    letter->settlement = settlement;
    edges->counts.settled += settlement == EDGE_SETTLED;
    edges->counts.refused += settlement == EDGE_REFUSED;
    edges->counts.given_up += settlement == EDGE_GIVEN_UP;
    edges->counts.messages_open--;
    edges_send_order(edges, EDGE_ORDER_SETTLED, letter);
}

/* It has become true, or was before, by what is in the open block at the latest. */
static void await_block(struct edges *edges, struct edge_letter *letter)
{
    letter->block_no = partition_pending_no(edges->options.partition);
    append(&edges->unsettled, letter);
}

static struct flyover_bytes text_of(const char *text)
{
    return (struct flyover_bytes){(const uint8_t *)text, text == NULL ? 0 : (uint32_t)strlen(text)};
}

static enum status start(struct edges *edges, const struct edge_letter *letter,
                         struct problem *problem)
{
    struct partition *partition = edges->options.partition;
    uint64_t saga_id;
    const struct partition_start_options options = {
        .plan = partition_state_find_plan(partition_state(partition), letter->definition),
        .input = letter->input,
        .name = text_of(letter->name),
    };
    if (options.plan == PARTITION_NO_PLAN)
        return problem_set(problem, STATUS_NOT_FOUND,
                           "there is no definition '%.80s': make it known (flyover define, or "
                           "serve --define), or bind the queue to another",
                           letter->definition);
    return partition_start_with(partition, &options, &saga_id, problem);
}

static enum status tell_letter(struct edges *edges, const struct edge_letter *letter,
                               struct problem *problem)
{
    struct partition *partition = edges->options.partition;
    switch (letter->kind) {
    case EDGE_START: return start(edges, letter, problem);
    case EDGE_SIGNAL:
        return partition_signal(partition, letter->saga_id, text_of(letter->name), letter->input,
                                problem);
    case EDGE_ANSWER:
        if (letter->error == NULL)
            return partition_answer(partition, letter->token, letter->input, problem);
        return partition_answer_error(partition, letter->token, text_of(letter->error),
                                      text_of(letter->cause), problem);
    }
    assert(false && "every kind is handled");
    return STATUS_INVALID;
}

/* Of a message that may come twice: it was started before, or the step has its answer. */
static bool is_repeat(const struct edge_letter *letter, enum status status)
{
    return (letter->kind == EDGE_START && status == STATUS_EXISTS) ||
           (letter->kind == EDGE_ANSWER && status == STATUS_NOT_FOUND);
}

/* What asked for the answer was quicker than what it said of having asked. */
static bool is_early(const struct edges *edges, const struct edge_letter *letter,
                     enum status status)
{
    return letter->kind == EDGE_ANSWER && status == STATUS_NOT_FOUND &&
           core_is_token_early(partition_state(edges->options.partition)->core, letter->token);
}

/* False: not now. It is in no queue of those that wait for room. */
static bool on_letter(struct edges *edges, struct edge_letter *letter)
{
    struct problem problem = {0};
    enum status status = tell_letter(edges, letter, &problem);
    if (status == STATUS_BUSY || is_early(edges, letter, status))
        return false;
    bool is_again = is_repeat(letter, status);
    if (status == STATUS_OK || is_again) {
        edges->counts.started += status == STATUS_OK && letter->kind == EDGE_START;
        edges->counts.repeated += is_again;
        await_block(edges, letter);
        return true;
    }
    /* Of a definition that nobody has made known yet all messages would be refused. */
    bool is_unknown = letter->kind == EDGE_START && status == STATUS_NOT_FOUND;
    bool is_its_fault = status_class(status) == STATUS_CLASS_REJECT && !is_unknown;
    letter->sentence = strdup(problem.text);
    settle(edges, letter, is_its_fault ? EDGE_REFUSED : EDGE_GIVEN_UP);
    return true;
}

static void take_letter(struct edges *edges, struct edge_letter *letter)
{
    edges->counts.messages++;
    edges->counts.messages_open++;
    append(letter->kind == EDGE_START ? &edges->starts : &edges->fresh, letter);
}

/* In their order: the first that finds no room holds up the others. */
static bool try_starts(struct edges *edges)
{
    bool worked = false;
    while (edges->starts.first != NULL) {
        struct edge_letter *letter = take_first(&edges->starts);
        if (!on_letter(edges, letter)) {
            put_back(&edges->starts, letter);
            break;
        }
        worked = true;
    }
    return worked;
}

/* What waits of its name to its saga, the first: signals of one name keep their order. */
static struct edge_letter *find_ahead(const struct edge_queue *kept,
                                      const struct edge_letter *letter)
{
    struct edge_letter *at = letter->kind == EDGE_SIGNAL ? kept->first : NULL;
    while (at != NULL && (at->kind != EDGE_SIGNAL || at->saga_id != letter->saga_id ||
                          strcmp(at->name, letter->name) != 0))
        at = at->next_in_queue;
    return at;
}

static void follow(struct edge_letter *ahead, struct edge_letter *letter)
{
    struct edge_letter *last = ahead->behind == NULL ? ahead : ahead->last;
    last->behind = letter;
    ahead->last = letter;
}

/* After 1, 2, 4, ... ms, on multiples of these: so those that wait for long are tried in one turn,
 * and the engine sleeps between. */
static void wait_again(struct edge_letter *letter, int64_t now_ms)
{
    int64_t pause_ms =
        INT64_C(1) << (letter->tries < WAIT_DOUBLINGS ? letter->tries : WAIT_DOUBLINGS);
    int64_t end_ms = letter->since_ms + EDGE_SIGNAL_WAIT_MS + 1;
    letter->tries++;
    letter->again_ms = (now_ms / pause_ms + 1) * pause_ms;
    if (letter->again_ms > end_ms)
        letter->again_ms = end_ms;
}

/* False: it is kept, to be tried again. */
static bool try_letter(struct edges *edges, struct edge_letter *letter, int64_t now_ms)
{
    if (on_letter(edges, letter))
        return true;
    if (letter->since_ms == 0)
        letter->since_ms = now_ms;
    if (now_ms - letter->since_ms > EDGE_SIGNAL_WAIT_MS) {
        settle(edges, letter, EDGE_GIVEN_UP);
        return true;
    }
    wait_again(letter, now_ms);
    return false;
}

static void keep(struct edges *edges, struct edge_letter *letter)
{
    append(&edges->kept, letter);
    if (letter->again_ms < edges->again_ms)
        edges->again_ms = letter->again_ms;
}

/* Those behind it too, for as long as there is room. */
static bool try_with_behind(struct edges *edges, struct edge_letter *letter, int64_t now_ms)
{
    bool worked = false;
    while (letter != NULL) {
        struct edge_letter *behind = letter->behind, *last = letter->last;
        if (!try_letter(edges, letter, now_ms)) {
            keep(edges, letter);
            break;
        }
        worked = true;
        letter = behind;
        if (letter != NULL)
            letter->last = last;
    }
    return worked;
}

static bool try_kept(struct edges *edges, int64_t now_ms)
{
    struct edge_letter *letter, *next = edges->kept.first;
    bool worked = false;
    if (now_ms < edges->again_ms)
        return false;
    edges->again_ms = INT64_MAX;
    edge_queue_init(&edges->kept);
    while ((letter = next) != NULL) {
        next = letter->next_in_queue;
        if (letter->again_ms > now_ms)
            keep(edges, letter);
        else
            worked |= try_with_behind(edges, letter, now_ms);
    }
    return worked;
}

static bool try_fresh(struct edges *edges, int64_t now_ms)
{
    bool worked = false;
    while (edges->fresh.first != NULL) {
        struct edge_letter *letter = take_first(&edges->fresh);
        struct edge_letter *ahead = find_ahead(&edges->kept, letter);
        letter->since_ms = ahead == NULL ? 0 : now_ms;
        if (ahead != NULL)
            follow(ahead, letter);
        else
            worked |= try_with_behind(edges, letter, now_ms);
    }
    return worked;
}

/* Each that finds no room, or comes too early, holds up no other, but of its name to its saga. */
static bool try_answers(struct edges *edges)
{
    if (edges->fresh.first == NULL && edges->kept.first == NULL)
        return false;
    int64_t now_ms = partition_now_ms(edges->options.partition);
    bool worked = try_kept(edges, now_ms);
    return try_fresh(edges, now_ms) || worked;
}

static bool settle_durable(struct edges *edges)
{
    uint64_t durable_no = partition_durable_no(edges->options.partition);
    bool worked = false;
    while (edges->unsettled.first != NULL && edges->unsettled.first->block_no <= durable_no) {
        settle(edges, take_first(&edges->unsettled), EDGE_SETTLED);
        worked = true;
    }
    return worked;
}

/* ---- turns --------------------------------------------------------------------------------------
 */

/* An answer that the journal has no room for waits in the ring, with what is behind it. */
static bool take_news(struct edges *edges)
{
    struct ring *news = edges->thread.news;
    uint32_t count = ring_peek(news, UINT32_MAX), taken = 0;
    for (; taken < count; taken++) {
        const struct edge_news *at = ring_front(news, taken);
        if (at->kind == EDGE_NEWS_ANSWER && !on_answer(edges, at->what))
            break;
        if (at->kind == EDGE_NEWS_LETTER)
            take_letter(edges, at->what);
    }
    ring_consume(news, taken);
    return taken > 0;
}

void edges_take_lines(struct edges *edges)
{
    struct ring *lines = edges->thread.lines;
    uint32_t count = ring_peek(lines, EDGE_LINES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        struct edge_line *line = *(struct edge_line *const *)ring_front(lines, i);
        if (edges->options.on_log != NULL)
            edges->options.on_log(edges->options.log_context, line->level, line->event, line->text);
        free(line);
    }
    ring_consume(lines, count);
}

bool edges_turn(struct edges *edges)
{
    if (edges->options.threadless)
        (void)edge_thread_turn(&edges->thread);
    edges_take_lines(edges);
    bool worked = take_news(edges);
    worked |= try_starts(edges);
    worked |= try_answers(edges);
    worked |= settle_durable(edges);
    partition_expect(edges->options.partition,
                     edges->counts.messages_open > 0 && !edges->is_draining);
    if (!edges->is_draining)
        worked |= hand_out_all(edges);
    beat(edges);
    if (edges->has_orders)
        edge_thread_wake(&edges->thread);
    edges->has_orders = false;
    return worked;
}

uint64_t edges_wait_ns(const struct edges *edges)
{
    int64_t at_ms = edges->kept.first == NULL ? INT64_MAX : edges->again_ms;
    if (edges->in_flight > 0 && edges->beat_ms < at_ms)
        at_ms = edges->beat_ms;
    if (at_ms == INT64_MAX)
        return UINT64_MAX;
    int64_t left_ms = at_ms - partition_now_ms(edges->options.partition);
    return left_ms <= 0 ? 0 : (uint64_t)left_ms * NS_A_MS;
}

bool edges_drain(struct edges *edges)
{
    if (!edges->is_draining) {
        edges->is_draining = true;
        atomic_store(&edges->thread.wants_drain, true);
        edge_thread_wake(&edges->thread);
    }
    return edges->in_flight == 0 && edges->counts.messages_open == 0 &&
           atomic_load(&edges->thread.is_drained);
}

bool edges_serve(const struct edges *edges, const char *service)
{
    for (uint32_t i = 0; i < edges->lanes_count; i++)
        if (strcmp(remote_lane(edges->options.partition, edges->lanes[i].lane)->service, service) ==
            0)
            return true;
    return false;
}

struct edge_counts edges_counts(const struct edges *edges)
{
    struct edge_counts counts = edges->counts;
    uint64_t refused = atomic_load_explicit(&edges->thread.refused, memory_order_relaxed);
    counts.messages += refused;
    counts.refused += refused;
    counts.lanes_count = edges->lanes_count;
    for (uint32_t i = 0; i < edges->lanes_count; i++) {
        const struct edge_lane *lane = &edges->lanes[i];
        const struct remote_lane *name = remote_lane(edges->options.partition, lane->lane);
        counts.lanes[i] = (struct edge_view){
            .service = name->service,
            .handler = name->handler,
            .calls = lane->calls,
            .failed = lane->failed,
            .late = lane->late,
            .in_flight = lane->in_flight,
            .retried = atomic_load_explicit(&edges->thread.retried[i], memory_order_relaxed),
        };
    }
    return counts;
}
