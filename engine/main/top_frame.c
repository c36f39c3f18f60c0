#include "engine/main/top_frame.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NUMBER_BYTES 24u
#define LABEL        "%-10s "
#define MIB          1048576.0

/* ---- lines ----------------------------------------------------------------------------------- */

/* Cuts behind so many characters, never within one, and takes out what would move the cursor:
 * names come from elsewhere. */
static void trim_line(char *line, uint32_t columns)
{
    uint32_t width = 0;
    for (char *at = line; *at != '\0'; at++) {
        bool starts = ((uint8_t)*at & 0xc0) != 0x80;
        if (starts && width++ == columns) {
            *at = '\0';
            return;
        }
        if ((uint8_t)*at < 0x20 || *at == 0x7f)
            *at = '?';
    }
}

static void add(struct top_frame *frame, const struct top_view *view, enum top_style style,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

static void add(struct top_frame *frame, const struct top_view *view, enum top_style style,
                const char *format, ...)
{
    va_list arguments;
    if (frame->lines_count >= TOP_LINES_MAX || frame->lines_count >= view->lines)
        return;
    char *line = frame->lines[frame->lines_count];
    frame->styles[frame->lines_count++] = style;
    va_start(arguments, format);
    vsnprintf(line, TOP_LINE_BYTES, format, arguments);
    va_end(arguments);
    trim_line(line, view->columns);
}

static uint32_t room(const struct top_frame *frame, const struct top_view *view)
{
    return view->lines > frame->lines_count ? view->lines - frame->lines_count : 0;
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* "12,345", "1.23M", "4.56G": six characters and less, but for small fractions. */
static const char *number(char ret_text[NUMBER_BYTES], double value)
{
    if (value < 9.95 && value != (double)(int)value)
        snprintf(ret_text, NUMBER_BYTES, "%.1f", value);
    else if (value < 999.5)
        snprintf(ret_text, NUMBER_BYTES, "%.0f", value);
    else if (value < 99999.5)
        snprintf(ret_text, NUMBER_BYTES, "%u,%03u", (unsigned)(value + 0.5) / 1000,
                 (unsigned)(value + 0.5) % 1000);
    else if (value < 999.5e3)
        snprintf(ret_text, NUMBER_BYTES, "%.0fk", value / 1e3);
    else if (value < 999.5e6)
        snprintf(ret_text, NUMBER_BYTES, "%.3gM", value / 1e6);
    else
        snprintf(ret_text, NUMBER_BYTES, "%.3gG", value / 1e9);
    return ret_text;
}

static const char *count(char ret_text[NUMBER_BYTES], uint64_t value)
{
    return number(ret_text, (double)value);
}

/* "0.8 ms", "12 ms", "3.4 s". */
static const char *duration(char ret_text[NUMBER_BYTES], double ms)
{
    if (ms < 9.95)
        snprintf(ret_text, NUMBER_BYTES, "%.1f ms", ms);
    else if (ms < 999.5)
        snprintf(ret_text, NUMBER_BYTES, "%.0f ms", ms);
    else if (ms < 99.95e3)
        snprintf(ret_text, NUMBER_BYTES, "%.1f s", ms / 1e3);
    else if (ms < 5999.5e3)
        snprintf(ret_text, NUMBER_BYTES, "%.0f min", ms / 60e3);
    else
        snprintf(ret_text, NUMBER_BYTES, "%.0f h", ms / 3600e3);
    return ret_text;
}

static const char *mib(char ret_text[NUMBER_BYTES], uint64_t bytes)
{
    if ((double)bytes < 9.95 * MIB)
        snprintf(ret_text, NUMBER_BYTES, "%.1f MiB", (double)bytes / MIB);
    else if ((double)bytes < 9999.5 * MIB)
        snprintf(ret_text, NUMBER_BYTES, "%.0f MiB", (double)bytes / MIB);
    else
        snprintf(ret_text, NUMBER_BYTES, "%.1f GiB", (double)bytes / MIB / 1024);
    return ret_text;
}

/* A dash where nothing is known yet. */
static const char *rate(char ret_text[NUMBER_BYTES], const struct top_view *view, double value)
{
    if (!view->rates->is_known)
        snprintf(ret_text, NUMBER_BYTES, "-");
    else
        number(ret_text, value);
    return ret_text;
}

static const char *quantile(char ret_text[NUMBER_BYTES], double ms)
{
    if (ms <= 0)
        snprintf(ret_text, NUMBER_BYTES, "-");
    else
        duration(ret_text, ms);
    return ret_text;
}

/* ---- what happens ---------------------------------------------------------------------------- */

/* A bar for each of the last values that fit, the largest of them full. */
static void draw_spark(const struct top_view *view, const double *values, uint32_t bars_max,
                       char ret_text[TOP_LINE_BYTES])
{
    static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const letters[] = {" ", ".", ":", "-", "=", "+", "*", "#", "@"};
    uint32_t bars = view->history_count < bars_max ? view->history_count : bars_max;
    const double *shown = values + view->history_count - bars;
    double most = 0;
    size_t used = 0;
    for (uint32_t i = 0; i < bars; i++)
        most = shown[i] > most ? shown[i] : most;
    ret_text[0] = '\0';
    for (uint32_t i = 0; i < bars; i++) {
        int height = most <= 0 ? 0 : (int)(8 * shown[i] / most + 0.5);
        if (height == 0 && shown[i] > 0)
            height = 1;
        used += (size_t)snprintf(ret_text + used, TOP_LINE_BYTES - used, "%s",
                                 view->is_utf8 ? blocks[height] : letters[height]);
    }
}

static void add_throughput(struct top_frame *frame, const struct top_view *view)
{
    char bars[TOP_LINE_BYTES], value[NUMBER_BYTES], second[NUMBER_BYTES];
    uint32_t bars_max = view->columns > 22 ? view->columns - 22 : 0;
    draw_spark(view, view->steps, bars_max, bars);
    add(frame, view, TOP_PLAIN, LABEL "%9s  %s", "steps/s", rate(value, view, view->rates->steps),
        bars);
    draw_spark(view, view->sagas, bars_max, bars);
    add(frame, view, TOP_PLAIN, LABEL "%9s  %s", "sagas/s",
        rate(value, view, view->rates->sagas_ended), bars);
    add(frame, view, TOP_PLAIN, LABEL "p50 %s, p99 %s from start to end", "latency",
        quantile(value, view->rates->saga_ms_p50), quantile(second, view->rates->saga_ms_p99));
}

static void add_sagas(struct top_frame *frame, const struct top_view *view)
{
    const struct top_sample *sample = view->sample;
    char a[NUMBER_BYTES], b[NUMBER_BYTES], c[NUMBER_BYTES], d[NUMBER_BYTES], e[NUMBER_BYTES],
        f[NUMBER_BYTES];
    add(frame, view, TOP_PLAIN, LABEL "%s of %s slots: %s running, %s compensating, %s ending",
        "live", count(a, sample->live), count(b, sample->live_max), count(c, sample->running),
        count(d, sample->compensating), count(e, sample->ending));
    add(frame, view, sample->stuck > 0 ? TOP_ALERT : TOP_PLAIN,
        LABEL "%s asleep, %s awaiting, %s stuck", "", count(a, sample->sleeping),
        count(b, sample->awaiting), count(c, sample->stuck));
    add(frame, view, TOP_PLAIN,
        LABEL "%s started; %s succeeded, %s compensated, %s failed, %s aborted", "ever",
        count(a, sample->started), count(b, sample->succeeded), count(c, sample->compensated),
        count(d, sample->failed), count(e, sample->aborted));
    add(frame, view, TOP_PLAIN, LABEL "%s steps, %s retries, %s out of time", "",
        count(a, sample->steps), count(b, sample->retries), count(f, sample->timeouts));
}

static void add_journal(struct top_frame *frame, const struct top_view *view)
{
    const struct top_sample *sample = view->sample;
    char a[NUMBER_BYTES], b[NUMBER_BYTES], c[NUMBER_BYTES], d[NUMBER_BYTES], e[NUMBER_BYTES];
    add(frame, view, TOP_PLAIN, LABEL "%s blocks/s, %s/s, sync p50 %s, p99 %s, %s behind",
        "journal", rate(a, view, view->rates->blocks), mib(b, (uint64_t)view->rates->journal_bytes),
        quantile(c, view->rates->append_us_p50 / 1e3),
        quantile(d, view->rates->append_us_p99 / 1e3), count(e, sample->lag_blocks));
    if (sample->has_store)
        add(frame, view, TOP_PLAIN, LABEL "%s in memtables, %s in files, %s in level 0", "",
            mib(a, sample->memtable_bytes), mib(b, sample->files_bytes),
            count(c, sample->files_l0));
    if (sample->checkpoint_age_ms < 0)
        add(frame, view, TOP_PLAIN, LABEL "none yet, %s of journal", "checkpoint",
            mib(a, sample->since_checkpoint_bytes));
    else
        add(frame, view, TOP_PLAIN, LABEL "%s ago, %s of journal since, longest stop %s",
            "checkpoint", duration(a, (double)sample->checkpoint_age_ms),
            mib(b, sample->since_checkpoint_bytes),
            quantile(c, (double)sample->checkpoint_stop_ns_max / 1e6));
}

static void add_sockets(struct top_frame *frame, const struct top_view *view)
{
    const struct top_sample *sample = view->sample;
    char a[NUMBER_BYTES], b[NUMBER_BYTES], c[NUMBER_BYTES], d[NUMBER_BYTES];
    if (!sample->has_net)
        return;
    add(frame, view, TOP_PLAIN, LABEL "%s connections, %s workers, %s requests open", "sockets",
        count(a, sample->connections), count(b, sample->workers), count(c, sample->requests_open));
    add(frame, view, TOP_PLAIN, LABEL "%s in/s, %s out/s, %s errors/s, of them %s busy", "",
        rate(a, view, view->rates->messages_in), rate(b, view, view->rates->messages_out),
        rate(c, view, view->rates->errors), rate(d, view, view->rates->busy));
}

static void add_room(struct top_frame *frame, const struct top_view *view)
{
    const struct top_sample *sample = view->sample;
    char a[NUMBER_BYTES], b[NUMBER_BYTES], c[NUMBER_BYTES], d[NUMBER_BYTES];
    char line[TOP_LINE_BYTES] = "";
    size_t used = 0;
    add(frame, view, TOP_PLAIN, LABEL "%s of %s for payloads, %s of %s names", "room",
        mib(a, sample->payload_bytes), mib(b, sample->payload_bytes_max), count(c, sample->names),
        count(d, sample->names_max));
    for (uint32_t i = 0; i < sample->threads_count && used < TOP_COLUMNS_MAX; i++)
        used +=
            (size_t)snprintf(line + used, sizeof line - used, "%s%s %s %%", i > 0 ? ", " : "",
                             sample->threads[i].name, rate(a, view, view->rates->cpu_percent[i]));
    add(frame, view, TOP_PLAIN, LABEL "%s", "CPU", line);
}

/* ---- tables ---------------------------------------------------------------------------------- */

static void add_service(struct top_frame *frame, const struct top_view *view, uint32_t index)
{
    const struct top_service *service = &view->sample->services[index];
    char a[NUMBER_BYTES], b[NUMBER_BYTES], c[NUMBER_BYTES], d[NUMBER_BYTES], e[NUMBER_BYTES];
    bool is_alone = service->workers == 0 && service->waiting > 0;
    add(frame, view, is_alone ? TOP_ALERT : TOP_PLAIN, "%-20.20s %-7s %7s %7s %8s %9s %9s",
        service->name, service->is_remote ? "remote" : "plug-in", count(a, service->workers),
        service->is_remote ? count(b, service->credit) : "-", count(c, service->waiting),
        count(d, service->in_flight), rate(e, view, view->rates->answers[index]));
}

static void add_services(struct top_frame *frame, const struct top_view *view, uint32_t rows)
{
    const struct top_sample *sample = view->sample;
    if (rows == 0 || sample->services_count == 0)
        return;
    add(frame, view, TOP_HEAD, "%-20s %-7s %7s %7s %8s %9s %9s", "SERVICE", "KIND", "WORKERS",
        "CREDIT", "WAITING", "IN FLIGHT", "ANSWERS/S");
    rows--;
    uint32_t shown = sample->services_count;
    if (sample->services_all > rows)
        shown = rows > 0 ? rows - 1 : 0;
    for (uint32_t i = 0; i < shown; i++)
        add_service(frame, view, i);
    if (shown < sample->services_all && rows > 0)
        add(frame, view, TOP_PLAIN, "and %u more", sample->services_all - shown);
}

static void add_stuck(struct top_frame *frame, const struct top_view *view, uint32_t rows)
{
    const struct top_sample *sample = view->sample;
    if (rows < 2)
        return;
    add(frame, view, TOP_HEAD, "%-10s %-20s %-20s %s", "STUCK", "DEFINITION", "AT", "ERROR");
    for (uint32_t i = 0; i < sample->stuck_count && i + 1 < rows; i++) {
        const struct top_stuck *stuck = &sample->stuck_sagas[i];
        add(frame, view, TOP_ALERT, "%-10" PRIu64 " %-20.20s %-20.20s %s", stuck->saga_id,
            stuck->definition, stuck->at, stuck->error);
    }
}

/* What is below the figures: the stuck get what they need, up to half. */
static void add_tables(struct top_frame *frame, const struct top_view *view)
{
    uint32_t rows = room(frame, view);
    rows -= rows > 0 && view->is_live; /* the last line says what keys there are */
    uint32_t stuck_rows = view->sample->stuck_count == 0 ? 0 : view->sample->stuck_count + 1;
    if (rows > view->sample->services_all + stuck_rows + 1) {
        add(frame, view, TOP_PLAIN, "%s", "");
        rows--;
    }
    if (stuck_rows > rows / 2)
        stuck_rows = rows / 2;
    add_services(frame, view, rows - stuck_rows);
    add_stuck(frame, view, stuck_rows);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void add_title(struct top_frame *frame, const struct top_view *view)
{
    char stamp[32] = "";
    struct tm parts;
    time_t seconds = view->sample == NULL ? 0 : (time_t)(view->sample->taken_ms / 1000);
    if (view->sample != NULL && gmtime_r(&seconds, &parts) != NULL)
        strftime(stamp, sizeof stamp, "%F %T UTC", &parts);
    add(frame, view, TOP_TITLE, "flyover top  %s  %s", view->where, stamp);
    if (view->trouble != NULL)
        add(frame, view, TOP_ALERT, "no answer for %" PRIu64 " s: %s", view->trouble_s,
            view->trouble);
}

static void add_keys(struct top_frame *frame, const struct top_view *view)
{
    while (frame->lines_count + 1 < view->lines && frame->lines_count + 1 < TOP_LINES_MAX)
        add(frame, view, TOP_PLAIN, "%s", "");
    add(frame, view, TOP_TITLE, "q quits; asked every %g s", view->interval_ms / 1e3);
}

void top_frame_make(const struct top_view *view, struct top_frame *ret_frame)
{
    ret_frame->lines_count = 0;
    if (view->columns < TOP_COLUMNS_MIN || view->lines < TOP_LINES_MIN) {
        add(ret_frame, view, TOP_ALERT, "%u x %u is too small: make it %u x %u", view->columns,
            view->lines, TOP_COLUMNS_MIN, TOP_LINES_MIN);
        return;
    }
    add_title(ret_frame, view);
    if (view->sample != NULL) {
        add_throughput(ret_frame, view);
        add_sagas(ret_frame, view);
        add_journal(ret_frame, view);
        add_sockets(ret_frame, view);
        add_room(ret_frame, view);
        add_tables(ret_frame, view);
    }
    if (view->is_live)
        add_keys(ret_frame, view);
}
