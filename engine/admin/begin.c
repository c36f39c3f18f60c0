#include "engine/admin/begin.h"

#include "engine/admin/timeline.h"

static void print_time(const char *before, int64_t ms, FILE *out)
{
    char time[TIMELINE_TIME_BYTES];
    if (ms <= 0)
        return;
    timeline_format_time(ms, time);
    fprintf(out, "%s%s UTC", before, time);
}

static struct flyover_bytes trace_of(const struct event *event)
{
    return event->kind == EVENT_START ? event->start.trace : event->redrive.trace;
}

void begin_print(const struct event *event, FILE *out)
{
    if (event->kind == EVENT_START) {
        print_time(", not before ", event->start.at_ms, out);
        print_time(", deadline ", event->start.deadline_ms, out);
    }
    char text[TRACE_TEXT_BYTES + 1];
    if (trace_of(event).count == 0)
        return;
    trace_print(trace_of(event).at, text);
    fprintf(out, ", trace %s", text);
}

void begin_set(const struct event *event, json_t *object)
{
    if (event->kind == EVENT_START && event->start.at_ms > 0)
        json_object_set_new(object, "at_ms", json_integer(event->start.at_ms));
    if (event->kind == EVENT_START && event->start.deadline_ms > 0)
        json_object_set_new(object, "deadline_ms", json_integer(event->start.deadline_ms));
    char text[TRACE_TEXT_BYTES + 1];
    if (trace_of(event).count == 0)
        return;
    trace_print(trace_of(event).at, text);
    json_object_set_new(object, "trace", json_string(text));
}
