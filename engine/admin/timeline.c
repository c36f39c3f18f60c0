#include "engine/admin/timeline.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/admin/begin.h"

#define LINE_COLUMNS      119u
#define BLOCK_COLUMNS     7
#define CLOCK_COLUMNS     12
#define EVENT_COLUMNS     7
#define PHASE_COLUMNS     12
#define STEP_COLUMNS      4
#define ATTEMPT_COLUMNS   3
#define GAP_COLUMNS       2
#define STATE_COLUMNS_MIN 5u
#define STATE_COLUMNS_MAX 24u
#define TEXT_LINES_MAX    3u
#define NEXT_BYTES        512u
/* The most that a byte of msgpack becomes: a control character in a string, "\u0001", or `false,`.
 */
#define JSON_BYTES_PER_BYTE 6u

enum status timeline_init(struct timeline *timeline, uint64_t saga_id, FILE *out)
{
    *timeline = (struct timeline){.saga_id = saga_id, .out = out};
    if (out != NULL)
        return STATUS_OK;
    timeline->events = json_array();
    return timeline->events == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

void timeline_fini(struct timeline *timeline)
{
    json_decref(timeline->events);
    timeline->events = NULL;
}

void timeline_format_time(int64_t time_ms, char ret_text[TIMELINE_TIME_BYTES])
{
    int64_t millisecond = (time_ms % 1000 + 1000) % 1000;
    time_t second = (time_t)(time_ms / 1000 - (time_ms % 1000 < 0));
    struct tm utc;
    size_t bytes = 0;
    if (gmtime_r(&second, &utc) != NULL)
        bytes = strftime(ret_text, TIMELINE_TIME_BYTES, "%Y-%m-%d %H:%M:%S", &utc);
    if (bytes == TIMELINE_TIME_BYTES - sizeof ".123")
        snprintf(ret_text + bytes, TIMELINE_TIME_BYTES - bytes, ".%03d", (int)millisecond);
    else
        snprintf(ret_text, TIMELINE_TIME_BYTES, "0000-00-00 00:00:00.000");
}

json_t *timeline_payload_to_json(struct flyover_bytes payload)
{
    if (payload.count == 0)
        return json_null();
    size_t capacity = (size_t)payload.count * JSON_BYTES_PER_BYTE + 256;
    char *text = malloc(capacity);
    if (text == NULL)
        return NULL;
    value_print(payload, text, capacity);
    json_t *json = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (json == NULL)
        json = json_string(text);
    free(text);
    return json;
}

/* ---- text in columns ------------------------------------------------------------------------ */

/* Columns of a terminal, a character each. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++)
        width += ((uint8_t)*text & 0xc0) != 0x80;
    return width;
}

/* The text, cut with three dots where it is wider than `columns`. Returns its width. */
static size_t print_cut(FILE *out, const char *text, size_t columns)
{
    size_t width = width_of(text);
    if (width <= columns) {
        fputs(text, out);
        return width;
    }
    assert(columns > 3);
    size_t bytes = 0;
    for (size_t used = 0; used < columns - 3 || ((uint8_t)text[bytes] & 0xc0) == 0x80; bytes++)
        used += ((uint8_t)text[bytes + 1] & 0xc0) != 0x80;
    fprintf(out, "%.*s...", (int)bytes, text);
    return columns;
}

static size_t indent_columns(const struct timeline *self)
{
    return BLOCK_COLUMNS + CLOCK_COLUMNS + EVENT_COLUMNS + self->state_columns + PHASE_COLUMNS +
           STEP_COLUMNS + ATTEMPT_COLUMNS + GAP_COLUMNS * 7;
}

static size_t text_columns(const struct timeline *self)
{
    assert(indent_columns(self) < LINE_COLUMNS);
    return LINE_COLUMNS - indent_columns(self);
}

/* Bytes of the text that go on a line of `columns`: to its end, to the last blank or comma in the
 * right half of the line, or as many as there is room for. */
static size_t line_bytes(const char *text, size_t columns)
{
    size_t bytes = 0, soft = 0;
    for (size_t used = 0; text[bytes] != '\0'; bytes++) {
        bool starts = ((uint8_t)text[bytes] & 0xc0) != 0x80;
        if (starts && used == columns)
            return soft > 0 ? soft : bytes;
        used += starts;
        if ((text[bytes] == ' ' || text[bytes] == ',') && used > columns / 2)
            soft = bytes + 1;
    }
    return bytes;
}

/* Fills the last column, and goes on below it; `lead` comes before the first line of the text. */
static void print_text(struct timeline *self, const char *lead, const char *text)
{
    size_t columns = text_columns(self) - strlen(lead);
    if (!self->line_open)
        fprintf(self->out, "%*s", (int)indent_columns(self), "");
    fputs(lead, self->out);
    self->line_open = false;
    for (int line = 0; line == 0 || *text != '\0'; line++) {
        size_t bytes = line_bytes(text, columns);
        size_t shown = bytes > 0 && text[bytes - 1] == ' ' ? bytes - 1 : bytes;
        if (line > 0)
            fprintf(self->out, "%*s", (int)(LINE_COLUMNS - columns), "");
        fprintf(self->out, "%.*s\n", (int)shown, text);
        text += bytes;
    }
}

static void print_heading(struct timeline *self, uint32_t plan, const struct event *event)
{
    size_t columns = STATE_COLUMNS_MIN;
    for (uint32_t i = 0; i < self->plan->states_count; i++)
        if (width_of(self->plan->states[i].name) > columns)
            columns = width_of(self->plan->states[i].name);
    self->state_columns = (uint32_t)(columns < STATE_COLUMNS_MAX ? columns : STATE_COLUMNS_MAX);
    char started[TIMELINE_TIME_BYTES];
    timeline_format_time(self->started_ms, started);
    fprintf(self->out, "saga %" PRIu64 " of %s (plan %" PRIu32 "), started %s UTC", self->saga_id,
            self->plan->name, plan, started);
    begin_print(event, self->out);
    fputs("\n\n", self->out);
    fprintf(self->out, "%*s  %-*s  %-*s  %-*s  %-*s  %*s  %*s  %s\n", BLOCK_COLUMNS, "block",
            CLOCK_COLUMNS, "time (UTC)", EVENT_COLUMNS, "event", (int)self->state_columns, "state",
            PHASE_COLUMNS, "phase", STEP_COLUMNS, "step", ATTEMPT_COLUMNS, "try",
            "what it carried -> what came next");
}

/* ---- one event ------------------------------------------------------------------------------ */

static bool is_undo(enum phase phase)
{
    return phase == PHASE_UNDO_WAITING || phase == PHASE_UNDO_BACKOFF || phase == PHASE_STUCK;
}

static bool is_detached(enum phase phase)
{
    return phase == PHASE_DETACHED || phase == PHASE_DETACHED_BACKOFF;
}

static const char *phase_word(enum phase phase)
{
    if (is_detached(phase))
        return "detached";
    return is_undo(phase) ? "compensation" : "forward";
}

static bool is_begin(const struct event *event)
{
    return event->kind == EVENT_START || event->kind == EVENT_REDRIVE;
}

/* Of a saga as a whole, not of a step. */
static bool is_of_saga(const struct event *event)
{
    return event->kind == EVENT_CANCEL || event->kind == EVENT_MEND ||
           (event->kind == EVENT_TIMER && event->timer.of_saga);
}

static const char *event_word(const struct event *event)
{
    switch (event->kind) {
    case EVENT_START: return "started";
    case EVENT_RESULT: return "result";
    case EVENT_ERROR: return event->error.retryable ? "error" : "refused";
    case EVENT_TIMER: return event->timer.of_saga ? "timeout" : "timer";
    case EVENT_SIGNAL: return "signal";
    case EVENT_HEARTBEAT: return "beat";
    case EVENT_CANCEL: return event->cancel.abort ? "abort" : "cancel";
    case EVENT_MEND: return mend_action_text(event->mend.action);
    case EVENT_REDRIVE: return "redrive";
    case EVENT_LIMITS:
    case EVENT_SERVICE:
    case EVENT_DEFINITION:
    case EVENT_SOURCE: break;
    }
    assert(false && "an event of no saga");
    return "";
}

#define CARRIED_BYTES_MAX                                                                          \
    (FLYOVER_ERROR_NAME_BYTES_MAX + FLYOVER_ERROR_CAUSE_BYTES_MAX + EVENT_REASON_BYTES_MAX + 64u)

/* A reason as a msgpack text. */
static struct flyover_bytes reason_value(struct flyover_bytes reason, uint8_t *out)
{
    if (reason.count == 0)
        return (struct flyover_bytes){0};
    out[0] = 0xda;
    out[1] = (uint8_t)(reason.count >> 8);
    out[2] = (uint8_t)reason.count;
    memcpy(out + 3, reason.at, reason.count);
    return (struct flyover_bytes){out, reason.count + 3};
}

/* What the event brought; an error or a reason is written into `out`, CARRIED_BYTES_MAX. */
static struct flyover_bytes carried_by(const struct event *event, uint8_t *out)
{
    switch (event->kind) {
    case EVENT_START: return event->start.input;
    case EVENT_REDRIVE: return event->redrive.payload;
    case EVENT_RESULT: return event->result.output;
    case EVENT_SIGNAL: return event->signal.payload;
    case EVENT_CANCEL: return reason_value(event->cancel.reason, out);
    case EVENT_MEND: return reason_value(event->mend.reason, out);
    case EVENT_ERROR: {
        size_t bytes =
            value_make_error(event->error.name, event->error.cause, out, CARRIED_BYTES_MAX);
        return (struct flyover_bytes){out, (uint32_t)bytes};
    }
    case EVENT_TIMER:
    case EVENT_HEARTBEAT:
    case EVENT_LIMITS:
    case EVENT_SERVICE:
    case EVENT_DEFINITION:
    case EVENT_SOURCE: break;
    }
    return (struct flyover_bytes){0};
}

static void print_row(struct timeline *self, const struct block_header *header,
                      const struct event *event, struct flyover_bytes carried)
{
    const struct core_branch_view *step = &self->before;
    char time[TIMELINE_TIME_BYTES], last[TIMELINE_TIME_BYTES];
    timeline_format_time(header->now_ms, time);
    timeline_format_time(self->last_ms, last);
    if (strncmp(time, last, strlen("2025-11-23")) != 0)
        fprintf(self->out, "%*s  %.10s\n", BLOCK_COLUMNS, "", time);
    fprintf(self->out, "%*" PRIu64 "  %s  %-*s  ", BLOCK_COLUMNS, header->block_no,
            time + strlen("2025-11-23 "), EVENT_COLUMNS, event_word(event));
    bool is_start = is_begin(event) || is_of_saga(event);
    size_t width = print_cut(self->out, is_start ? "" : step->state, self->state_columns);
    fprintf(self->out, "%*s  %-*s  ", (int)(self->state_columns - width), "", PHASE_COLUMNS,
            is_start ? "" : phase_word(step->phase));
    if (is_start)
        fprintf(self->out, "%*s  %*s  ", STEP_COLUMNS, "", ATTEMPT_COLUMNS, "");
    else
        fprintf(self->out, "%*" PRIu32 "  %*" PRIu32 "  ", STEP_COLUMNS, step->step_no,
                ATTEMPT_COLUMNS, step->attempt_no);
    self->line_open = true;
    if (carried.count == 0)
        return;
    char text[TEXT_LINES_MAX * LINE_COLUMNS];
    value_print(carried, text, TEXT_LINES_MAX * text_columns(self));
    print_text(self, "", text);
}

static void collect_row(struct timeline *self, const struct block_header *header,
                        const struct event *event, struct flyover_bytes carried)
{
    const struct core_branch_view *step = &self->before;
    json_t *row = json_pack("{s:I, s:I, s:s}", "block", (json_int_t)header->block_no, "time_ms",
                            (json_int_t)header->now_ms, "event", event_word(event));
    if (!is_begin(event) && !is_of_saga(event)) {
        json_object_set_new(row, "state", json_string(step->state));
        json_object_set_new(row, "phase", json_string(phase_word(step->phase)));
        json_object_set_new(row, "step", json_integer(step->step_no));
        json_object_set_new(row, "attempt", json_integer(step->attempt_no));
    }
    if (is_begin(event))
        begin_set(event, row);
    if (carried.count > 0)
        json_object_set_new(row, "carried", timeline_payload_to_json(carried));
    self->nexts = json_array();
    json_object_set_new(row, "next", self->nexts);
    json_array_append_new(self->events, row);
}

__attribute__((format(printf, 2, 3))) static void add_next(struct timeline *self,
                                                           const char *format, ...)
{
    char text[NEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (self->out == NULL) {
        json_array_append_new(self->nexts, json_string(text));
        return;
    }
    print_text(self, "-> ", text);
}

/* ---- what came next ------------------------------------------------------------------------- */

/* The name under which the saga's failure was counted while the event was applied. */
static const char *counted_error(const struct timeline *self, const struct core *core)
{
    const struct core_error *errors;
    uint32_t count = core_errors(core, &errors);
    for (uint32_t i = 0; i < count; i++)
        if (errors[i].count != self->error_counts[i])
            return errors[i].name;
    return NULL;
}

static void count_errors(struct timeline *self, const struct core *core)
{
    const struct core_error *errors;
    uint32_t count = core_errors(core, &errors);
    memset(self->error_counts, 0, sizeof self->error_counts);
    for (uint32_t i = 0; i < count; i++)
        self->error_counts[i] = errors[i].count;
}

/* The saga gives up, and is about to compensate. Why it does is said where the event did not. */
static void tell_failure(struct timeline *self, const struct core *core, const struct event *event,
                         uint32_t branch)
{
    struct flyover_bytes error = core_saga_error(core, branch);
    struct flyover_cursor cursor = {error.at, error.at + error.count};
    struct flyover_cursor found;
    struct flyover_bytes name;
    if (event->kind == EVENT_ERROR && flyover_find(&cursor, "Error", &found) &&
        flyover_read_str(&found, &name) && name.count == event->error.name.count &&
        memcmp(name.at, event->error.name.at, name.count) == 0) {
        add_next(self, "fails");
        return;
    }
    char text[NEXT_BYTES - 16];
    value_print(error, text, sizeof text);
    add_next(self, "fails: %s", text);
}

static void tell_invocation(struct timeline *self, const struct core *core,
                            const struct event *event, uint32_t branch)
{
    struct core_branch_view view;
    struct core_invocation call;
    bool found = core_view_branch(core, branch, &view);
    assert(found);
    core_invocation(core, branch, &call);
    const struct plan_resource *resource = &self->plan->resources[call.resource];
    bool undo = is_undo(view.phase);
    if (undo && !is_undo(self->before.phase))
        tell_failure(self, core, event, branch);
    char attempt[32] = "";
    if (call.attempt_no > 1)
        snprintf(attempt, sizeof attempt, ", try %" PRIu32, call.attempt_no);
    bool caught = event->kind == EVENT_ERROR && branch == self->branch && !undo;
    add_next(self, "%s%s: %s.%s%s%s",
             undo ? "compensates " : (caught ? "caught, goes on with " : ""), view.state,
             resource->service, resource->handler,
             is_detached(view.phase) ? ", not waited for" : "", attempt);
}

static void tell_pause(struct timeline *self, const struct block_header *header,
                       const struct core_branch_view *view)
{
    double pause_s = ((double)view->due_ms - (double)header->now_ms) / 1000;
    if (view->phase == PHASE_SLEEPING)
        add_next(self, "sleeps at %s for %.3f s", view->state, pause_s);
    else if (view->phase == PHASE_AWAITING && view->due_ms > 0)
        add_next(self, "waits at %s for an answer, for %.3f s", view->state, pause_s);
    else if (view->phase == PHASE_AWAITING)
        add_next(self, "waits at %s for an answer", view->state);
    else
        add_next(self, "tries again in %.3f s", pause_s);
}

static void tell_effect(struct timeline *self, const struct block_header *header,
                        const struct core *core, const struct event *event,
                        const struct effect *effect)
{
    struct core_branch_view view;
    switch ((enum effect_kind)effect->kind) {
    case EFFECT_INVOKE: tell_invocation(self, core, event, effect->branch); break;
    case EFFECT_TIMER:
        if (core_view_branch(core, effect->branch, &view))
            tell_pause(self, header, &view);
        break;
    case EFFECT_DEADLINE: break;
    case EFFECT_REPLY: {
        const char *error = counted_error(self, core);
        self->outcome = (enum outcome)effect->outcome;
        self->ended_ms = header->now_ms;
        add_next(self, "%s%s%s", outcome_text(self->outcome), error == NULL ? "" : ", because of ",
                 error == NULL ? "" : error);
        break;
    }
    case EFFECT_NONE: assert(false && "no effect is queued for nothing"); break;
    }
}

/* An event that asked for nothing: the end of a step that nobody waits for, or a late answer. */
static void tell_no_effect(struct timeline *self, const struct core *core,
                           const struct event *event)
{
    struct core_branch_view view;
    if (event->kind == EVENT_HEARTBEAT)
        add_next(self, "goes on waiting");
    else if (event->kind == EVENT_SIGNAL)
        add_next(self, "kept until it is waited for");
    else if (event->kind == EVENT_CANCEL || is_of_saga(event))
        add_next(self, "when the step in hand is answered");
    else if (core_view_branch(core, self->branch, &view))
        add_next(self, "ignored: nothing waited for it");
    else
        add_next(self, event->kind == EVENT_ERROR ? "given up, and nothing is undone" : "done");
}

/* ---- the hook ------------------------------------------------------------------------------- */

/* A branch of the saga in the slot, the one that was there first. */
static bool branch_of_slot(const struct core *core, uint32_t slot, uint32_t *ret_branch)
{
    uint32_t at = CORE_NO_SAGA;
    bool found = false;
    while (slot != CORE_NO_SAGA && core_next_branch(core, slot, &at)) {
        *ret_branch = at;
        found = true;
    }
    return found;
}

static bool branch_of(const struct event *event, const struct core *core, uint32_t *ret_branch)
{
    switch (event->kind) {
    case EVENT_RESULT: *ret_branch = event->result.branch; return true;
    case EVENT_ERROR: *ret_branch = event->error.branch; return true;
    case EVENT_HEARTBEAT: *ret_branch = event->heartbeat.branch; return true;
    case EVENT_TIMER:
        if (event->timer.of_saga)
            return branch_of_slot(core, event->timer.branch, ret_branch);
        *ret_branch = event->timer.branch;
        return true;
    case EVENT_SIGNAL:
        return branch_of_slot(core, core_find_saga(core, event->signal.saga_id), ret_branch);
    case EVENT_CANCEL:
        return branch_of_slot(core, core_find_saga(core, event->cancel.saga_id), ret_branch);
    case EVENT_MEND:
        return branch_of_slot(core, core_find_saga(core, event->mend.saga_id), ret_branch);
    case EVENT_START:
    case EVENT_REDRIVE:
    case EVENT_LIMITS:
    case EVENT_SERVICE:
    case EVENT_DEFINITION:
    case EVENT_SOURCE: break;
    }
    return false;
}

static void before_event(struct timeline *self, const struct core *core, const struct event *event)
{
    self->is_mine = false;
    if (core == NULL)
        return;
    if (is_begin(event)) {
        /* Sagas are numbered in the order of their starts. */
        self->is_mine = core_totals(core).started + 1 == self->saga_id;
        self->before = (struct core_branch_view){0};
        self->branch = UINT32_MAX;
    } else if (branch_of(event, core, &self->branch)) {
        self->is_mine = core_view_branch(core, self->branch, &self->before) &&
                        self->before.saga_id == self->saga_id;
    }
    if (self->is_mine)
        count_errors(self, core);
}

static void after_event(struct timeline *self, const struct block_header *header,
                        const struct partition_state *state, const struct event *event)
{
    if (is_begin(event)) {
        uint32_t plan = event->kind == EVENT_START ? event->start.plan : event->redrive.plan;
        self->plan = core_plan(state->core, plan);
        self->started_ms = self->last_ms = header->now_ms;
        self->first_block = header->block_no;
        if (self->out != NULL)
            print_heading(self, plan + self->plan_offset, event);
    }
    uint8_t made[CARRIED_BYTES_MAX];
    struct flyover_bytes carried = carried_by(event, made);
    if (self->out != NULL)
        print_row(self, header, event, carried);
    else
        collect_row(self, header, event, carried);
    const struct effect_queue *effects = &state->effects;
    for (uint64_t i = effects->head; i < effects->tail; i++)
        tell_effect(self, header, state->core, event, &effects->items[i & (effects->capacity - 1)]);
    if (effects->head == effects->tail)
        tell_no_effect(self, state->core, event);
    self->events_count++;
    self->last_block = header->block_no;
    self->last_ms = header->now_ms;
}

void timeline_on_event(void *context, enum partition_moment moment,
                       const struct block_header *header, const struct partition_state *state,
                       const struct event *event)
{
    struct timeline *self = context;
    if (moment == PARTITION_BEFORE_EVENT)
        before_event(self, state->core, event);
    else if (self->is_mine)
        after_event(self, header, state, event);
}

/* ---- the end -------------------------------------------------------------------------------- */

bool timeline_is_started(const struct timeline *timeline)
{
    return timeline->plan != NULL;
}

/* The next branch of the saga from *at on, which is moved behind it. */
static bool next_branch(const struct timeline *self, const struct core *core, uint32_t *at,
                        struct core_branch_view *ret_view)
{
    while (*at < core_branches_count(core)) {
        uint32_t branch = (*at)++;
        if (core_view_branch(core, branch, ret_view) && ret_view->saga_id == self->saga_id)
            return true;
    }
    return false;
}

static bool sleeps(const struct core_branch_view *view)
{
    return view->due_ms > 0;
}

void timeline_finish(struct timeline *timeline, const struct partition_state *state)
{
    assert(timeline_is_started(timeline) && timeline->out != NULL);
    FILE *out = timeline->out;
    fprintf(out, "\nsaga %" PRIu64 ": %s", timeline->saga_id, outcome_text(timeline->outcome));
    if (timeline->outcome != OUTCOME_RUNNING)
        fprintf(out, " after %.3f s",
                ((double)timeline->ended_ms - (double)timeline->started_ms) / 1000);
    fprintf(out, ", %" PRIu64 " event%s in blocks %" PRIu64 " to %" PRIu64 "\n",
            timeline->events_count, timeline->events_count == 1 ? "" : "s", timeline->first_block,
            timeline->last_block);
    struct core_branch_view view;
    uint32_t at = 0;
    while (next_branch(timeline, state->core, &at, &view)) {
        fprintf(out, "  open: %s, %s, step %" PRIu32 ", try %" PRIu32, view.state,
                phase_text(view.phase), view.step_no, view.attempt_no);
        char due[TIMELINE_TIME_BYTES];
        timeline_format_time(view.due_ms, due);
        fprintf(out, "%s%s\n", sleeps(&view) ? ", until " : "", sleeps(&view) ? due : "");
    }
}

json_t *timeline_to_json(struct timeline *timeline, const struct partition_state *state)
{
    assert(timeline_is_started(timeline) && timeline->out == NULL);
    json_t *open = json_array();
    struct core_branch_view view;
    uint32_t at = 0;
    while (next_branch(timeline, state->core, &at, &view)) {
        json_t *item =
            json_pack("{s:s, s:s, s:i, s:i}", "state", view.state, "phase", phase_text(view.phase),
                      "step", (int)view.step_no, "attempt", (int)view.attempt_no);
        if (sleeps(&view))
            json_object_set_new(item, "due_ms", json_integer(view.due_ms));
        json_array_append_new(open, item);
    }
    json_t *saga =
        json_pack("{s:I, s:s, s:s, s:I}", "id", (json_int_t)timeline->saga_id, "definition",
                  timeline->plan->name, "outcome", outcome_text(timeline->outcome), "started_ms",
                  (json_int_t)timeline->started_ms);
    if (timeline->outcome != OUTCOME_RUNNING)
        json_object_set_new(saga, "ended_ms", json_integer((json_int_t)timeline->ended_ms));
    json_object_set(saga, "events", timeline->events);
    json_object_set_new(saga, "open", open);
    return saga;
}
