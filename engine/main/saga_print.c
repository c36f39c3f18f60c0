#include "engine/main/saga_print.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/admin/timeline.h"

#define LINE_COLUMNS  119u
#define STAMP_COLUMNS 19 /* "2026-11-23 18:02:11" */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "" : text;
}

static int64_t integer_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* The text, cut where it is wider than a column; returns the blanks that would fill it. A character
 * counts as one. */
static size_t print_cut(FILE *out, const char *text, size_t columns)
{
    size_t bytes = 0, width = 0, cut_bytes = 0;
    for (; text[bytes] != '\0'; bytes++) {
        bool starts = ((uint8_t)text[bytes] & 0xc0) != 0x80;
        if (starts && width + 3 <= columns)
            cut_bytes = bytes;
        width += starts;
    }
    if (width > columns) {
        fprintf(out, "%.*s...", (int)cut_bytes, text);
        return 0;
    }
    fputs(text, out);
    return columns - width;
}

static void print_column(FILE *out, const char *text, size_t columns)
{
    fprintf(out, "%*s", (int)print_cut(out, text, columns), "");
}

static void format_stamp(const json_t *object, const char *key, char ret_text[TIMELINE_TIME_BYTES])
{
    ret_text[0] = '\0';
    if (json_object_get(object, key) == NULL)
        return;
    timeline_format_time(integer_of(object, key), ret_text);
    ret_text[STAMP_COLUMNS] = '\0';
}

static void format_definition(const json_t *object, char *text, size_t capacity)
{
    snprintf(text, capacity, "%s:%" PRId64, text_of(object, "definition"),
             integer_of(object, "version"));
}

/* ---- list ------------------------------------------------------------------------------------
 */

#define ID_COLUMNS         10
#define DEFINITION_COLUMNS 20
#define STATE_COLUMNS      12
#define AT_COLUMNS         20
#define NOTE_COLUMNS       23

/* What holds it up, or how it ended. */
static void format_note(const json_t *row, char *text, size_t capacity)
{
    char stamp[TIMELINE_TIME_BYTES];
    format_stamp(row, "due_ms", stamp);
    if (json_object_get(row, "error") != NULL)
        snprintf(text, capacity, "%s", text_of(row, "error"));
    else if (stamp[0] != '\0')
        snprintf(text, capacity, "until %.11s%.5s", stamp, stamp + strlen("2026-11-23 "));
    else
        snprintf(text, capacity, "%s", text_of(row, "name"));
}

void saga_print_list(const json_t *reply, FILE *out)
{
    const json_t *rows = json_object_get(reply, "sagas");
    if (json_array_size(rows) == 0) {
        fputs("no saga\n", out);
        return;
    }
    fprintf(out, "%*s  %-*s  %-*s  %4s  %-*s  %-*s  %s\n", ID_COLUMNS, "saga", DEFINITION_COLUMNS,
            "definition", STATE_COLUMNS, "state", "step", AT_COLUMNS, "at", STAMP_COLUMNS,
            "started (UTC)", "note");
    size_t index;
    const json_t *row;
    json_array_foreach(rows, index, row)
    {
        char definition[128], started[TIMELINE_TIME_BYTES], note[512];
        format_definition(row, definition, sizeof definition);
        format_stamp(row, "started_ms", started);
        format_note(row, note, sizeof note);
        fprintf(out, "%*" PRId64 "  ", ID_COLUMNS, integer_of(row, "saga"));
        print_column(out, definition, DEFINITION_COLUMNS);
        fprintf(out, "  %-*s  %4" PRId64 "  ", STATE_COLUMNS, text_of(row, "state"),
                integer_of(row, "step"));
        print_column(out, text_of(row, "at"), AT_COLUMNS);
        fprintf(out, "  %-*s  ", STAMP_COLUMNS, started);
        print_cut(out, note, NOTE_COLUMNS);
        fputc('\n', out);
    }
    if (json_object_get(reply, "cursor") != NULL)
        fprintf(out, "and more: go on with --cursor %s\n", text_of(reply, "cursor"));
}

/* ---- show ------------------------------------------------------------------------------------
 */

/* A line that begins with a label and ends where the terminal does. */
static void print_value(FILE *out, const char *label, const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    fprintf(out, "    %-12s ", label);
    print_cut(out, text == NULL ? "" : text, LINE_COLUMNS - 17);
    fputc('\n', out);
    free(text);
}

static void print_branch(const json_t *row, FILE *out)
{
    char stamp[TIMELINE_TIME_BYTES];
    format_stamp(row, "due_ms", stamp);
    fprintf(out, "  %s: %s, step %" PRId64 ", try %" PRId64, text_of(row, "at"),
            text_of(row, "phase"), integer_of(row, "step"), integer_of(row, "attempt"));
    if (stamp[0] != '\0')
        fprintf(out, ", until %s UTC", stamp);
    fputc('\n', out);
    if (json_object_get(row, "signal") != NULL)
        fprintf(out, "    waits for the signal %s\n", text_of(row, "signal"));
    if (json_object_get(row, "token") != NULL)
        fprintf(out, "    waits for the answer to token %s\n", text_of(row, "token"));
    if (json_object_get(row, "handler") != NULL)
        fprintf(out, "    waits for %s\n", text_of(row, "handler"));
    if (json_object_get(row, "input") != NULL)
        print_value(out, "input", json_object_get(row, "input"));
}

void saga_print_show(const json_t *reply, FILE *out)
{
    char definition[128], started[TIMELINE_TIME_BYTES], deadline[TIMELINE_TIME_BYTES];
    format_definition(reply, definition, sizeof definition);
    format_stamp(reply, "started_ms", started);
    format_stamp(reply, "deadline_ms", deadline);
    fprintf(out, "saga %" PRId64 " of %s: %s%s%s, started %s UTC", integer_of(reply, "saga"),
            definition, text_of(reply, "state"),
            json_is_true(json_object_get(reply, "cancelled")) ? ", cancelled" : "",
            json_is_true(json_object_get(reply, "pivoted")) ? ", past its pivot" : "", started);
    if (deadline[0] != '\0')
        fprintf(out, ", has time until %s UTC", deadline);
    fputc('\n', out);
    if (text_of(reply, "trace")[0] != '\0')
        fprintf(out, "  trace %s\n", text_of(reply, "trace"));
    if (json_object_get(reply, "failed_with") != NULL)
        print_value(out, "failed with", json_object_get(reply, "failed_with"));
    size_t index;
    const json_t *row;
    json_array_foreach(json_object_get(reply, "branches"), index, row) print_branch(row, out);
    json_array_foreach(json_object_get(reply, "to_compensate"), index, row)
        fprintf(out, "%s%s (step %" PRId64 ")", index == 0 ? "  would be compensated: " : ", ",
                text_of(row, "at"), integer_of(row, "step"));
    if (json_array_size(json_object_get(reply, "to_compensate")) > 0)
        fputc('\n', out);
}

/* ---- counts and definitions ------------------------------------------------------------------
 */

/* What there is any of, on as many lines as it takes; `columns` are used on the first. */
static void print_states(const json_t *states, size_t columns, FILE *out)
{
    const char *key;
    json_t *value;
    bool first = true;
    json_object_foreach((json_t *)(uintptr_t)states, key, value)
    {
        char text[64];
        if (json_integer_value(value) == 0)
            continue;
        int bytes =
            snprintf(text, sizeof text, "%" PRId64 " %s", (int64_t)json_integer_value(value), key);
        columns += (size_t)bytes + 2;
        if (columns > LINE_COLUMNS) {
            fputs(",\n    ", out);
            columns = 4 + (size_t)bytes;
        } else if (!first) {
            fputs(", ", out);
        }
        fputs(text, out);
        first = false;
    }
    fputs(first ? "none\n" : "\n", out);
}

void saga_print_counts(const json_t *reply, FILE *out)
{
    fprintf(out,
            "%" PRId64 " live sagas, of %" PRId64 " there is room for: ", integer_of(reply, "live"),
            integer_of(reply, "sagas_max"));
    print_states(json_object_get(reply, "states"), 60, out);
    size_t index;
    const json_t *row;
    json_array_foreach(json_object_get(reply, "definitions"), index, row)
    {
        char definition[128];
        format_definition(row, definition, sizeof definition);
        fputs("  ", out);
        print_column(out, definition, 32);
        fprintf(out, "  %10" PRId64 "  ", integer_of(row, "live"));
        print_states(json_object_get(row, "states"), 48, out);
    }
    fputs("since the beginning: ", out);
    print_states(json_object_get(reply, "totals"), 21, out);
}

void saga_print_definitions(const json_t *reply, FILE *out)
{
    const json_t *rows = json_object_get(reply, "definitions");
    if (json_array_size(rows) == 0)
        fputs("no definition yet: `flyover run` brings one in\n", out);
    else
        fprintf(out, "%-40s  %7s  %10s  %10s  %s\n", "definition", "version", "live sagas",
                "in block", "made (UTC)");
    size_t index;
    const json_t *row;
    json_array_foreach(rows, index, row)
    {
        print_column(out, text_of(row, "definition"), 40);
        fprintf(out, "  %7" PRId64 "  %10" PRId64, integer_of(row, "version"),
                integer_of(row, "live"));
        /* A checkpoint of a version before does not tell. */
        if (json_object_get(row, "block") == NULL) {
            fprintf(out, "  %10s  %s\n", "-", "-");
            continue;
        }
        char made[TIMELINE_TIME_BYTES];
        format_stamp(row, "made_ms", made);
        fprintf(out, "  %10" PRId64 "  %s\n", integer_of(row, "block"), made);
    }
}
