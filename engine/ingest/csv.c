#include "engine/ingest/csv.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

_Static_assert(CSV_ROW_BYTES_MAX + 1 + BYTE_SOURCE_READ_BYTES <= BYTE_SOURCE_BYTES,
               "a row at the limit leaves room to read on");

/* A field stays where it stands in the row: only quotes inside of it make its bytes move. */
static void csv_begin_field(struct csv *csv)
{
    csv->written_bytes = csv->read_bytes;
    csv->field_begin = csv->read_bytes;
    csv->state = CSV_FIELD;
}

static void csv_begin_row(struct csv *csv)
{
    csv->is_too_long = false;
    csv->row_line_no = csv->line_no;
    csv->read_bytes = 0;
    csv->fields_count = 0;
    csv_begin_field(csv);
}

void csv_init(struct csv *csv, struct byte_source *source, char separator, uint64_t line_no)
{
    csv->source = source;
    csv->separator = separator;
    csv->line_no = line_no;
    csv_begin_row(csv);
}

char csv_guess_separator(struct byte_source *source)
{
    size_t semicolons = 0;
    size_t tabs = 0;
    bool is_quoted = false;
    for (size_t at = 0; at <= CSV_ROW_BYTES_MAX; at++) {
        if (at == byte_source_held_bytes(source) && byte_source_fill(source) != BYTE_SOURCE_MORE)
            break;
        char byte = byte_source_held(source)[at];
        if (byte == '"')
            is_quoted = !is_quoted;
        if (is_quoted)
            continue;
        if (byte == ',')
            return ',';
        if (byte == '\n')
            break;
        semicolons += byte == ';';
        tabs += byte == '\t';
    }
    if (semicolons == 0 && tabs == 0)
        return ',';
    return semicolons >= tabs ? ';' : '\t';
}

static void csv_end_field(struct csv *csv)
{
    if (csv->is_too_long)
        return;
    if (csv->fields_count < CSV_FIELDS_MAX) {
        csv->fields[csv->fields_count].begin = csv->field_begin;
        csv->fields[csv->fields_count].bytes = csv->written_bytes - csv->field_begin;
    }
    csv->fields_count++;
}

/* Ends the last field, without the carriage return of a CRLF. One in quotes has a quote behind. */
static void csv_end_row(struct csv *csv, const char *row)
{
    if (csv->written_bytes > csv->field_begin && row[csv->read_bytes - 1] == '\r')
        csv->written_bytes--;
    csv_end_field(csv);
}

/* Keeps the bytes up to `to`, closing the gap that quotes have left. */
static void csv_keep(struct csv *csv, char *row, size_t to)
{
    size_t bytes = to - csv->read_bytes;
    if (csv->written_bytes != csv->read_bytes)
        memmove(row + csv->written_bytes, row + csv->read_bytes, bytes);
    csv->written_bytes += bytes;
    csv->read_bytes = to;
}

static void csv_open_quote(struct csv *csv)
{
    csv->quote_line_no = csv->line_no;
    csv->read_bytes++;
    csv_begin_field(csv);
    csv->state = CSV_QUOTED;
}

/* True: the row has ended. */
static bool csv_scan_plain(struct csv *csv, char *row, size_t limit)
{
    char separator = csv->separator;
    size_t at = csv->read_bytes;
    while (at < limit && row[at] != separator && row[at] != '\n')
        at++;
    csv_keep(csv, row, at);
    if (at == limit)
        return false;
    bool is_row_end = row[at] == '\n';
    if (is_row_end)
        csv_end_row(csv, row);
    else
        csv_end_field(csv);
    csv->line_no += is_row_end;
    csv->read_bytes++;
    csv_begin_field(csv);
    return is_row_end;
}

static void csv_scan_quoted(struct csv *csv, char *row, size_t limit)
{
    const char *from = row + csv->read_bytes;
    const char *quote = memchr(from, '"', limit - csv->read_bytes);
    size_t to = quote == NULL ? limit : (size_t)(quote - row);
    for (size_t at = csv->read_bytes; at < to; at++)
        csv->line_no += row[at] == '\n';
    csv_keep(csv, row, to);
    if (quote == NULL)
        return;
    csv->read_bytes++;
    csv->state = CSV_QUOTE;
}

/* Goes on through the bytes held, up to the limit of a row. True: the row has ended. */
static bool csv_scan(struct csv *csv)
{
    char *row = byte_source_held(csv->source);
    size_t limit = byte_source_held_bytes(csv->source);
    // One more than the limit: the newline may stand there.
    if (!csv->is_too_long && limit > CSV_ROW_BYTES_MAX + 1)
        limit = CSV_ROW_BYTES_MAX + 1;
    while (csv->read_bytes < limit) {
        switch (csv->state) {
        case CSV_FIELD:
            csv->state = CSV_PLAIN;
            if (row[csv->read_bytes] == '"')
                csv_open_quote(csv);
            break;
        case CSV_PLAIN:
            if (csv_scan_plain(csv, row, limit))
                return true;
            break;
        case CSV_QUOTED: csv_scan_quoted(csv, row, limit); break;
        case CSV_QUOTE:
            // A doubled quote stands for one: the second is kept as a character of the field.
            csv->state = row[csv->read_bytes] == '"' ? CSV_QUOTED : CSV_PLAIN;
            if (csv->state == CSV_QUOTED)
                csv_keep(csv, row, csv->read_bytes + 1);
            break;
        }
    }
    return false;
}

static enum csv_result csv_fail_open_quote(const struct csv *csv, struct problem *problem)
{
    problem_set(problem, STATUS_INVALID,
                "%.300s: the quote opened on line %" PRIu64 " is not closed within a row of %u "
                "bytes: close it, or double the quotes that belong to the text",
                csv->source->name, csv->quote_line_no, CSV_ROW_BYTES_MAX);
    return CSV_FAILED;
}

/* Makes room behind the fields that are whole, for a row that is only passed over. */
static void csv_pass_over(struct csv *csv)
{
    if (!csv->is_too_long)
        csv->kept_bytes = csv->read_bytes;
    csv->is_too_long = true;
    // Only what has been seen may go: at the limit there are bytes behind that have not.
    if (csv->read_bytes < byte_source_held_bytes(csv->source))
        return;
    byte_source_forget_behind(csv->source, csv->kept_bytes);
    csv->read_bytes = csv->kept_bytes;
    csv->written_bytes = csv->kept_bytes;
    csv->field_begin = csv->kept_bytes;
}

static enum csv_result csv_on_end_of_data(struct csv *csv, struct problem *problem)
{
    if (csv->source->state == BYTE_SOURCE_FAILED) {
        byte_source_problem(csv->source, csv->line_no, problem);
        return CSV_FAILED;
    }
    if (csv->state == CSV_QUOTED)
        return csv_fail_open_quote(csv, problem);
    if (csv->read_bytes == 0)
        return CSV_END;
    csv_end_row(csv, byte_source_held(csv->source));
    return CSV_ROW;
}

enum csv_result csv_next(struct csv *csv, struct problem *problem)
{
    byte_source_drop(csv->source, csv->read_bytes);
    csv_begin_row(csv);
    while (!csv_scan(csv)) {
        if (csv->is_too_long || csv->read_bytes > CSV_ROW_BYTES_MAX) {
            if (!csv->is_too_long && csv->state == CSV_QUOTED)
                return csv_fail_open_quote(csv, problem);
            csv_pass_over(csv);
        }
        if (csv->read_bytes == byte_source_held_bytes(csv->source) &&
            byte_source_fill(csv->source) != BYTE_SOURCE_MORE)
            return csv_on_end_of_data(csv, problem);
    }
    return CSV_ROW;
}

struct text csv_field(const struct csv *csv, size_t index)
{
    assert(index < csv->fields_count && index < CSV_FIELDS_MAX);
    const char *row = byte_source_held(csv->source);
    return (struct text){.data = row + csv->fields[index].begin, .bytes = csv->fields[index].bytes};
}

uint64_t csv_offset_bytes(const struct csv *csv)
{
    return byte_source_offset_bytes(csv->source, csv->read_bytes);
}
