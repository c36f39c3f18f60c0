#include "engine/main/log.h"

#include <assert.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/saga/utf8.h"

#define REPLACEMENT "\xef\xbf\xbd"
#define TIME_BYTES  32u
/* What is kept free for the end of a line that is cut: of the longest escape, a quote, a bracket.
 */
#define ENDING_BYTES 16u

struct line {
    enum log_format format;
    size_t used;
    char text[LOG_LINE_BYTES_MAX];
};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

/* ---- a line ---------------------------------------------------------------------------------- */

static bool has_room(const struct line *line, size_t bytes)
{
    return line->used + bytes + ENDING_BYTES <= sizeof line->text;
}

static void put(struct line *line, const char *bytes, size_t count)
{
    if (!has_room(line, count))
        return;
    memcpy(line->text + line->used, bytes, count);
    line->used += count;
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* One character, or what stands for it; returns how many bytes it was. */
static size_t put_character(struct line *line, const uint8_t *at, size_t left)
{
    uint32_t bytes = utf8_character_bytes(at, left);
    char escape[8];
    if (bytes == 0) {
        put_text(line, REPLACEMENT);
        return 1;
    }
    if (bytes > 1 || (at[0] >= ' ' && at[0] != '"' && at[0] != '\\' && at[0] != 0x7f)) {
        put(line, (const char *)at, bytes);
        return bytes;
    }
    if (at[0] == '"' || at[0] == '\\')
        snprintf(escape, sizeof escape, "\\%c", at[0]);
    else if (at[0] == '\n')
        snprintf(escape, sizeof escape, "\\n");
    else
        snprintf(escape, sizeof escape, "\\u%04x", at[0]);
    put_text(line, escape);
    return bytes;
}

static void put_quoted(struct line *line, const char *text)
{
    size_t left = strlen(text);
    put_text(line, "\"");
    while (left > 0 && has_room(line, 8)) {
        size_t bytes = put_character(line, (const uint8_t *)text, left);
        text += bytes;
        left -= bytes;
    }
    /* has_room keeps it free. */
    line->text[line->used++] = '"';
}

/* Without quotes where nothing in it needs them. */
static void put_value(struct line *line, const char *text)
{
    size_t plain = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "/._-+:[]@%,*~");
    if (line->format == LOG_PLAIN && text[0] != '\0' && text[plain] == '\0' &&
        has_room(line, plain))
        put(line, text, plain);
    else
        put_quoted(line, text);
}

static void put_field(struct line *line, const struct log_field *field)
{
    char number[24];
    /* A field that has no room for its beginning is left out whole. */
    if (!has_room(line, strlen(field->name) + sizeof number + 8))
        return;
    if (line->used > (line->format == LOG_JSON ? 1u : 0u))
        put_text(line, line->format == LOG_JSON ? "," : " ");
    put_text(line, line->format == LOG_JSON ? "\"" : "");
    put_text(line, field->name);
    put_text(line, line->format == LOG_JSON ? "\":" : "=");
    if (field->text != NULL) {
        put_value(line, field->text);
        return;
    }
    snprintf(number, sizeof number, "%" PRIu64, field->number);
    put_text(line, number);
}

static void print_time(int64_t wall_ms, char ret_text[TIME_BYTES])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    size_t used = strftime(ret_text, TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(ret_text + used, TIME_BYTES - used, ".%03dZ", (int)(wall_ms % 1000));
}

/* False: nobody takes it now. */
static bool send_line(struct log *log, struct line *line)
{
    struct pollfd polled = {.fd = log->file, .events = POLLOUT};
    if (line->format == LOG_JSON)
        line->text[line->used++] = '}';
    line->text[line->used++] = '\n';
    assert(line->used <= sizeof line->text);
    if (poll(&polled, 1, 0) != 1 || (polled.revents & POLLOUT) == 0)
        return false;
    return write(log->file, line->text, line->used) == (ssize_t)line->used;
}

static bool write_line(struct log *log, enum log_level level, const char *event,
                       const struct log_field *fields, uint32_t fields_count)
{
    struct line line = {.format = log->format};
    char time[TIME_BYTES];
    print_time(log->wall_ms(), time);
    if (log->format == LOG_JSON)
        put_text(&line, "{");
    put_field(&line, &LOG_TEXT("time", time));
    put_field(&line, &LOG_TEXT("level", level_names[level]));
    put_field(&line, &LOG_TEXT("event", event));
    for (uint32_t i = 0; i < fields_count; i++)
        put_field(&line, &fields[i]);
    return send_line(log, &line);
}

/* ---- how many -------------------------------------------------------------------------------- */

static struct log_window *window_of(struct log *log, const char *event)
{
    for (uint32_t i = 0; i < log->windows_count; i++)
        if (strcmp(log->windows[i].event, event) == 0)
            return &log->windows[i];
    if (log->windows_count == LOG_EVENTS_MAX)
        return &log->windows[LOG_EVENTS_MAX - 1];
    struct log_window *window = &log->windows[log->windows_count++];
    *window = (struct log_window){.event = log->windows_count == LOG_EVENTS_MAX ? "others" : event,
                                  .from_ns = log->now_ns()};
    return window;
}

static void say_left_out(struct log *log, struct log_window *window)
{
    const struct log_field fields[] = {LOG_TEXT("of", window->event),
                                       LOG_NUMBER("count", window->left_out)};
    if (write_line(log, LOG_WARN, "left_out", fields, 2))
        window->left_out = 0;
}

/* A window that is over begins again, with what it left out. */
static void turn_window(struct log *log, struct log_window *window, bool now)
{
    uint64_t now_ns = log->now_ns();
    if (!now && now_ns - window->from_ns < LOG_WINDOW_MS * UINT64_C(1000000))
        return;
    window->from_ns = now_ns;
    window->count = 0;
    if (window->left_out > 0)
        say_left_out(log, window);
}

void log_write(struct log *log, enum log_level level, const char *event,
               const struct log_field *fields, uint32_t fields_count)
{
    if (level < log->level)
        return;
    struct log_window *window = window_of(log, event);
    turn_window(log, window, false);
    if (window->count >= LOG_BURST || !write_line(log, level, event, fields, fields_count))
        window->left_out++;
    else
        window->count++;
}

void log_turn(struct log *log, bool all)
{
    for (uint32_t i = 0; i < log->windows_count; i++)
        if (log->windows[i].left_out > 0)
            turn_window(log, &log->windows[i], all);
}

void log_init(struct log *log, enum log_level level, enum log_format format)
{
    *log = (struct log){.file = STDERR_FILENO,
                        .level = level,
                        .format = format,
                        .wall_ms = clock_wall_ms,
                        .now_ns = clock_now_ns};
}
