/*
 * log: what `serve` says while it runs, a line an event, to stderr:
 *
 *     time=2026-11-26T16:13:11.042Z level=info event=listening address=127.0.0.1:7233
 *     {"time":"2026-11-26T16:13:11.042Z","level":"info","event":"listening","address":"127.0.0.1:7233"}
 *
 * Used by `serve` only: libraries return a status and never log. Whatever is put into a field stays
 * on its line: control characters, quotes and what is no UTF-8 are escaped or replaced.
 *
 * Bounded: of one event at most LOG_BURST lines in LOG_WINDOW_MS, and none where the reader of
 * stderr takes none (a write never waits, so that a full pipe cannot stop the engine). How many
 * were left out is said as soon as there is room: `event=left_out of=refused count=4711`.
 *
 * Threads: the engine's. Memory: the caller's struct; LOG_EVENTS_MAX events are told apart, those
 *          beyond share one window. Lines are cut at LOG_LINE_BYTES_MAX.
 */
#ifndef ENGINE_MAIN_LOG_H
#define ENGINE_MAIN_LOG_H

#include <stdbool.h>
#include <stdint.h>

#define LOG_LINE_BYTES_MAX 4096u /* PIPE_BUF: a line is written whole or not at all */
#define LOG_EVENTS_MAX     48u
#define LOG_BURST          20u
#define LOG_WINDOW_MS      10000u

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
#define LOG_LEVELS "debug info warn error"
enum log_format { LOG_PLAIN, LOG_JSON };
#define LOG_FORMATS "plain json"

struct log_field {
    const char *name;
    const char *text; /* NULL: the number */
    uint64_t number;
};
#define LOG_TEXT(name_, text_)                                                                     \
    (struct log_field)                                                                             \
    {                                                                                              \
        .name = (name_), .text = (text_)                                                           \
    }
#define LOG_NUMBER(name_, number_)                                                                 \
    (struct log_field)                                                                             \
    {                                                                                              \
        .name = (name_), .number = (number_)                                                       \
    }

struct log_window {
    const char *event;
    uint64_t from_ns;
    uint32_t count, left_out;
};

struct log {
    int file;
    enum log_level level; /* less than this is not said */
    enum log_format format;
    int64_t (*wall_ms)(void);
    uint64_t (*now_ns)(void);
    struct log_window windows[LOG_EVENTS_MAX];
    uint32_t windows_count;
};

/* On stderr, by the clocks of the machine. */
void log_init(struct log *log, enum log_level level, enum log_format format);
/* `event` is a literal; fields are read before it returns. */
void log_write(struct log *log, enum log_level level, const char *event,
               const struct log_field *fields, uint32_t fields_count);
/* log_say(log, LOG_INFO, "listening", LOG_TEXT("address", text), LOG_NUMBER("threads", 2)) */
#define log_say(log, level, event, ...)                                                            \
    log_write(log, level, event, (const struct log_field[]){{0}, ##__VA_ARGS__} + 1,               \
              sizeof((const struct log_field[]){{0}, ##__VA_ARGS__}) / sizeof(struct log_field) -  \
                  1)
/* Says what was left out, where its time has come. Now and then, and at the end with `all`. */
void log_turn(struct log *log, bool all);

#endif
