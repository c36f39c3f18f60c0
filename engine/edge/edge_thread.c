#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/edge/aws.h"
#include "engine/edge/edge_parts.h"
#include "engine/edge/http.h"
#include "engine/edge/sooner.h"
#include "engine/saga/value.h"

#define NS_A_MS       1000000u
#define DRAIN_LOOK_MS 20

/* ---- to the engine ------------------------------------------------------------------------------
 */

/* There is room: `news` was made for all that can be out. Next: take_news, on the engine's thread.
 */
static void send_news(struct edge_thread *thread, enum edge_news_kind kind, void *what)
{
    uint32_t room = ring_reserve(thread->news, 1);
    assert(room == 1 && "every call and message has a place");
    *(struct edge_news *)ring_slot(thread->news, 0) = (struct edge_news){kind, what};
    ring_publish(thread->news, 1);
    thread->has_news = true;
    thread->stirs++;
}

/* Whoever is alone is heard at once; of many that come one by one the engine is told together,
 * since each time costs both threads, and a sync of the journal. */
static void wake_engine(struct edge_thread *thread)
{
    if (!thread->has_news)
        return;
    uint64_t now_ns = clock_now_ns();
    bool are_many =
        thread->calls_open + thread->starts_open + thread->answers_open > EDGE_TOGETHER_MIN;
    if (are_many && now_ns - thread->woke_ns < EDGE_TOGETHER_MS * (uint64_t)NS_A_MS)
        return;
    partition_wake(thread->partition);
    thread->has_news = false;
    thread->woke_ns = now_ns;
}

/* ---- the log ------------------------------------------------------------------------------------
 */

static struct edge_topic *topic_of(struct edge_thread *thread, const char *event,
                                   const char *format)
{
    struct edge_topic *oldest = &thread->topics[0];
    for (uint32_t i = 0; i < thread->topics_count; i++) {
        struct edge_topic *topic = &thread->topics[i];
        if (topic->event == event && topic->format == format)
            return topic;
        if (topic->since_ns < oldest->since_ns)
            oldest = topic;
    }
    if (thread->topics_count < EDGE_TOPICS_MAX)
        oldest = &thread->topics[thread->topics_count++];
    *oldest = (struct edge_topic){.event = event, .format = format, .since_ns = clock_now_ns()};
    return oldest;
}

/* False: enough was said of it. *ret_left_out: how many before this one were not said. */
static bool may_say(struct edge_thread *thread, struct edge_topic *topic, uint64_t *ret_left_out)
{
    uint64_t now_ns = clock_now_ns();
    *ret_left_out = 0;
    if (now_ns - topic->since_ns >= (uint64_t)EDGE_LINES_MS * NS_A_MS) {
        if (topic->count > EDGE_LINES_BURST)
            *ret_left_out = topic->count - EDGE_LINES_BURST;
        topic->since_ns = now_ns;
        topic->count = 0;
    }
    if (topic->count++ >= EDGE_LINES_BURST)
        return false;
    *ret_left_out += thread->lines_lost;
    return true;
}

/* Next: take_lines, on the engine's thread. */
static void send_line(struct edge_thread *thread, struct edge_line *line)
{
    if (line == NULL || ring_reserve(thread->lines, 1) == 0) {
        free(line);
        thread->lines_lost++;
        return;
    }
    thread->lines_lost = 0;
    *(struct edge_line **)ring_slot(thread->lines, 0) = line;
    ring_publish(thread->lines, 1);
    thread->has_news = true;
}

void edge_log(struct edge_thread *thread, int level, const char *event, const char *format, ...)
{
    uint64_t left_out;
    if (!may_say(thread, topic_of(thread, event, format), &left_out))
        return;
    struct edge_line *line = malloc(sizeof *line);
    if (line != NULL) {
        va_list arguments;
        *line = (struct edge_line){.level = level, .event = event};
        va_start(arguments, format);
        vsnprintf(line->text, sizeof line->text, format, arguments);
        va_end(arguments);
        size_t used = strlen(line->text);
        if (left_out > 0)
            snprintf(line->text + used, sizeof line->text - used,
                     " (and %" PRIu64 " more were left out)", left_out);
    }
    send_line(thread, line);
}

/* ---- answers ------------------------------------------------------------------------------------
 */

/* What went out of memory fails, and may be asked for again. */
static void send_answer(struct edge_thread *thread, struct edge_call *call,
                        struct edge_answer *answer)
{
    struct edge_flight *flight = (struct edge_flight *)call;
    assert(flight->answer == NULL && "a call is answered once");
    assert(thread->calls_open > 0);
    json_decref(call->input);
    json_decref(call->output);
    call->input = call->output = NULL;
    flight->answer = answer; /* NULL: the engine says that there was no memory */
    thread->calls_open--;
    send_news(thread, EDGE_NEWS_ANSWER, flight);
}

void edge_done(struct edge_thread *thread, struct edge_call *call, json_t *output)
{
    if (!thread->is_ending)
        send_answer(thread, call, edge_answer_done(output, thread->scratch));
    json_decref(output);
}

void edge_done_value(struct edge_thread *thread, struct edge_call *call,
                     struct flyover_bytes output)
{
    if (!thread->is_ending)
        send_answer(thread, call, edge_answer_value(output));
}

void edge_failed(struct edge_thread *thread, struct edge_call *call, bool retryable,
                 const char *error, const char *cause_format, ...)
{
    char cause[EDGE_CAUSE_BYTES];
    va_list arguments;
    va_start(arguments, cause_format);
    vsnprintf(cause, sizeof cause, cause_format, arguments);
    va_end(arguments);
    if (!thread->is_ending)
        send_answer(thread, call, edge_answer_failed(retryable, error, cause));
}

void edge_count_retry(struct edge_thread *thread, const struct edge_call *call)
{
    const struct edge_flight *flight = (const struct edge_flight *)call;
    atomic_fetch_add_explicit(&thread->retried[flight->lane], 1, memory_order_relaxed);
}

/* ---- messages -----------------------------------------------------------------------------------
 */

static uint32_t room_of(const struct edge_thread *thread, uint32_t open)
{
    return thread->is_draining || thread->is_ending ? 0 : thread->messages_max - open;
}

uint32_t edge_room(const struct edge_thread *thread)
{
    return room_of(thread, thread->starts_open);
}

uint32_t edge_room_for_answers(const struct edge_thread *thread)
{
    return room_of(thread, thread->answers_open);
}

static uint32_t *open_of(struct edge_thread *thread, enum edge_message_kind kind)
{
    return kind == EDGE_START ? &thread->starts_open : &thread->answers_open;
}

static uint32_t index_of(const struct edge_thread *thread, const void *state)
{
    uint32_t index = 0;
    while (index < thread->modules_count && thread->modules[index].state != state)
        index++;
    assert(index < thread->modules_count && "it brings its own messages");
    return index;
}

enum status edge_bring(struct edge_thread *thread, void *module, const struct edge_message *message,
                       struct problem *problem)
{
    struct edge_letter *letter;
    uint32_t *open = open_of(thread, message->kind);
    if (room_of(thread, *open) == 0)
        return problem_set(problem, STATUS_BUSY, "there is no room for another message now");
    enum status status = edge_letter_write(message, &letter, problem);
    if (status != STATUS_OK)
        return status;
    letter->module = index_of(thread, module);
    letter->next = thread->letters;
    if (letter->next != NULL)
        letter->next->prev = letter;
    thread->letters = letter;
    ++*open;
    send_news(thread, EDGE_NEWS_LETTER, letter);
    return STATUS_OK;
}

void edge_count_refused(struct edge_thread *thread)
{
    atomic_fetch_add_explicit(&thread->refused, 1, memory_order_relaxed);
}

static const char *kind_text(enum edge_message_kind kind)
{
    switch (kind) {
    case EDGE_START: return "a start";
    case EDGE_SIGNAL: return "a signal";
    case EDGE_ANSWER: return "an answer by token";
    }
    return "a message";
}

/* Why it is given up. Of one that is refused its module says more: which it is, and where it comes
 * from. Here, and not where that was found, since there may be many: edge_log counts those too
 * many.
 */
static void say_why_kept(struct edge_thread *thread, const struct edge_letter *letter)
{
    edge_log(thread, 4, "message_kept", "%s: %s: %s", thread->modules[letter->module].kind->section,
             kind_text(letter->kind), letter->sentence);
}

/* Tells its module and frees it. */
static void settle(struct edge_thread *thread, struct edge_letter *letter)
{
    const struct edge_module *module = &thread->modules[letter->module];
    if (letter->prev == NULL)
        thread->letters = letter->next;
    else
        letter->prev->next = letter->next;
    if (letter->next != NULL)
        letter->next->prev = letter->prev;
    --*open_of(thread, letter->kind);
    if (letter->sentence != NULL && letter->settlement == EDGE_GIVEN_UP)
        say_why_kept(thread, letter);
    module->kind->on_message_settled(module->state, letter->handle, letter->settlement,
                                     letter->sentence == NULL ? "" : letter->sentence);
    free(letter->sentence);
    free(letter);
}

/* ---- orders -------------------------------------------------------------------------------------
 */

static struct flyover_bytes or_nil(struct flyover_bytes value)
{
    static const uint8_t nil = 0xc0;
    return value.count > 0 ? value : (struct flyover_bytes){&nil, 1};
}

/* False: no memory. */
static bool take_value(struct edge_flight *flight)
{
    struct flyover_bytes input = or_nil((struct flyover_bytes){flight->bytes, flight->input_bytes});
    flight->call.value = input;
    if (flight->call.phase != FLYOVER_COMPENSATION || flight->is_made)
        return true;
    struct flyover_bytes output =
        or_nil((struct flyover_bytes){flight->bytes + flight->input_bytes, flight->output_bytes});
    size_t capacity = (size_t)input.count + output.count + 32; /* and the names of both */
    flight->undo = malloc(capacity);
    if (flight->undo == NULL)
        return false;
    size_t bytes = value_make_undo(input, output, flight->undo, capacity);
    flight->call.value = (struct flyover_bytes){flight->undo, (uint32_t)bytes};
    return true;
}

/* False: no memory; what was made is the call's all the same. */
static bool unpack(struct edge_flight *flight)
{
    struct edge_call *call = &flight->call;
    struct flyover_bytes input = {flight->bytes, flight->input_bytes};
    struct flyover_bytes output = {flight->bytes + flight->input_bytes, flight->output_bytes};
    call->input = edge_value_to_json(input);
    call->output = edge_value_to_json(output);
    if (call->input == NULL || call->output == NULL)
        return false;
    if (call->phase == FLYOVER_COMPENSATION && !flight->is_made)
        call->input = json_pack("{s:o, s:O}", "input", call->input, "output", call->output);
    if (json_is_null(call->output))
        call->output = NULL;
    return call->input != NULL;
}

/* Next: the module's call. */
static void on_call(struct edge_thread *thread, struct edge_flight *flight)
{
    const struct edge_module *module = &thread->modules[flight->module];
    thread->calls_open++;
    if (module->kind->reads_values ? take_value(flight) : unpack(flight))
        module->kind->call(module->state, &flight->call);
    else
        edge_failed(thread, &flight->call, true, EDGE_NO_MEMORY, EDGE_NO_MEMORY_CAUSE);
}

static void take_orders(struct edge_thread *thread)
{
    uint32_t count = ring_peek(thread->orders, UINT32_MAX);
    for (uint32_t i = 0; i < count; i++) {
        const struct edge_order *order = ring_front(thread->orders, i);
        switch (order->kind) {
        case EDGE_ORDER_CALL: on_call(thread, order->what); break;
        case EDGE_ORDER_SETTLED: settle(thread, order->what); break;
        case EDGE_ORDER_END: edge_thread_on_end(thread, order->what); break;
        }
    }
    ring_consume(thread->orders, count);
}

/* ---- turns --------------------------------------------------------------------------------------
 */

/* In how many milliseconds again. */
static int64_t turn_modules(struct edge_thread *thread)
{
    int64_t again_ms = -1;
    for (uint32_t i = 0; i < thread->modules_count; i++) {
        struct edge_module *module = &thread->modules[i];
        if (module->kind->turn != NULL)
            again_ms =
                sooner(again_ms, module->kind->turn(module->state, module->fds, module->fds_count));
    }
    return again_ms;
}

static int64_t turn_aws(struct edge_thread *thread)
{
    return thread->aws == NULL ? -1 : aws_turn(thread->aws);
}

static bool look_drained(struct edge_thread *thread)
{
    bool is_drained = thread->calls_open == 0 && thread->letters == NULL && thread->endings == NULL;
    for (uint32_t i = 0; i < thread->modules_count; i++) {
        const struct edge_module *module = &thread->modules[i];
        if (module->kind->drain != NULL)
            is_drained &= module->kind->drain(module->state);
    }
    if (is_drained != atomic_load(&thread->is_drained)) {
        atomic_store(&thread->is_drained, is_drained);
        thread->has_news = true;
    }
    return is_drained;
}

int64_t edge_thread_turn(struct edge_thread *thread)
{
    thread->is_draining = atomic_load(&thread->wants_drain);
    take_orders(thread);
    http_turn(thread->http);
    (void)turn_aws(thread);
    int64_t again_ms = turn_modules(thread);
    /* What modules have sent just now may have to be looked at soon; and what they hear of that may
     * give them something to do in another turn. */
    uint64_t stirs = thread->stirs;
    again_ms = sooner(again_ms, turn_aws(thread));
    bool has_ended = http_flush(thread->http);
    if (thread->is_draining && !look_drained(thread))
        again_ms = sooner(again_ms, DRAIN_LOOK_MS);
    wake_engine(thread);
    if (thread->has_news)
        again_ms = sooner(again_ms, EDGE_TOGETHER_MS);
    return thread->stirs == stirs && !has_ended ? again_ms : 0;
}

static uint32_t gather_fds(struct edge_thread *thread, struct pollfd *ret_fds)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < thread->modules_count; i++) {
        struct edge_module *module = &thread->modules[i];
        module->fds_count = 0;
        if (module->kind->poll_fds != NULL)
            module->fds_count = module->kind->poll_fds(module->state, module->fds);
        assert(module->fds_count <= EDGE_MODULE_FDS_MAX);
        memcpy(ret_fds + count, module->fds, module->fds_count * sizeof *ret_fds);
        count += module->fds_count;
    }
    return count;
}

static void scatter_fds(struct edge_thread *thread, const struct pollfd *fds)
{
    for (uint32_t i = 0; i < thread->modules_count; i++) {
        struct edge_module *module = &thread->modules[i];
        memcpy(module->fds, fds, module->fds_count * sizeof *fds);
        fds += module->fds_count;
    }
}

/* After is_asleep is set: what was sent before that is seen here, and who sends later sees it. */
static bool has_orders(struct edge_thread *thread)
{
    return ring_peek(thread->orders, 1) > 0 || atomic_load(&thread->wants_end) ||
           atomic_load(&thread->wants_drain) != thread->is_draining;
}

static void wait_for_more(struct edge_thread *thread, int64_t timeout_ms)
{
    struct pollfd fds[EDGE_MODULES_MAX * EDGE_MODULE_FDS_MAX];
    uint32_t count = gather_fds(thread, fds);
    atomic_exchange(&thread->is_asleep, 1);
    http_wait(thread->http, fds, count, has_orders(thread) ? 0 : timeout_ms);
    atomic_exchange(&thread->is_asleep, 0);
    scatter_fds(thread, fds);
}

void edge_thread_wake(struct edge_thread *thread)
{
    if (atomic_exchange(&thread->is_asleep, 0) != 0)
        http_wake(thread->http);
}

void *edge_thread_run(void *context)
{
    struct edge_thread *thread = context;
    while (!atomic_load(&thread->wants_end))
        wait_for_more(thread, edge_thread_turn(thread));
    edge_thread_end(thread);
    return NULL;
}

void edge_thread_end(struct edge_thread *thread)
{
    thread->is_ending = true;
    while (thread->letters != NULL) {
        thread->letters->settlement = EDGE_GIVEN_UP;
        settle(thread, thread->letters);
    }
    if (thread->http != NULL)
        http_close(thread->http);
    if (thread->aws != NULL)
        aws_close(thread->aws);
    while (thread->modules_count > 0) {
        const struct edge_module *module = &thread->modules[--thread->modules_count];
        module->kind->close(module->state);
    }
    edge_thread_free_ends(thread);
}
