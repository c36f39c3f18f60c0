#include "engine/ingest/order_reader.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ingest/byte_source.h"
#include "engine/ingest/order_csv.h"
#include "engine/ingest/order_draft.h"
#include "engine/ingest/order_ndjson.h"

_Static_assert(ORDER_ROW_BYTES_MAX == CSV_ROW_BYTES_MAX, "one limit of rows and lines");

enum order_format { ORDER_FORMAT_CSV, ORDER_FORMAT_NDJSON };

struct order_reader {
    enum order_format format;
    struct byte_source source;
    struct order_draft draft;
    union {
        struct order_csv csv;
        struct order_ndjson ndjson;
    };
};

_Static_assert(sizeof(struct order_reader) <= ORDER_READER_BYTES, "a reader fits what is promised");

static void order_reader_skip_byte_order_mark(struct byte_source *source)
{
    static const char mark[] = {'\xef', '\xbb', '\xbf'};
    while (byte_source_held_bytes(source) < sizeof mark) {
        if (byte_source_fill(source) != BYTE_SOURCE_MORE)
            return;
    }
    if (memcmp(byte_source_held(source), mark, sizeof mark) == 0)
        byte_source_drop(source, sizeof mark);
}

/*
 * Drops the blank lines at the front and gives the first byte that is not white space, which stays,
 * as does the white space before it on its line: a tab there may separate columns. Zero: there is
 * none, or none within a row.
 */
static char order_reader_first_byte(struct byte_source *source, uint64_t *line_no)
{
    size_t at = 0;
    while (at <= ORDER_ROW_BYTES_MAX) {
        if (at == byte_source_held_bytes(source) && byte_source_fill(source) != BYTE_SOURCE_MORE)
            return '\0';
        char byte = byte_source_held(source)[at];
        if (byte == '\n') {
            byte_source_drop(source, at + 1);
            ++*line_no;
            at = 0;
        } else if (byte == ' ' || byte == '\t' || byte == '\r') {
            at++;
        } else {
            return byte;
        }
    }
    return '\0';
}

static enum status order_reader_begin(struct order_reader *reader, struct problem *problem)
{
    struct byte_source *source = &reader->source;
    uint64_t line_no = 1;
    order_reader_skip_byte_order_mark(source);
    char first = order_reader_first_byte(source, &line_no);
    if (first == '\0' && source->state == BYTE_SOURCE_FAILED)
        return byte_source_problem(source, line_no, problem);
    if (first == '\0' && source->state == BYTE_SOURCE_END)
        return problem_set(problem, STATUS_INVALID,
                           "%.300s: is empty: it should have a header row and orders, or an order "
                           "in JSON a line",
                           source->name);
    if (first == '{') {
        reader->format = ORDER_FORMAT_NDJSON;
        order_ndjson_init(&reader->ndjson, source, &reader->draft, line_no);
        return STATUS_OK;
    }
    reader->format = ORDER_FORMAT_CSV;
    return order_csv_init(&reader->csv, source, &reader->draft, line_no, problem);
}

enum status order_reader_open(int file, const char *name, struct order_reader **ret_reader,
                              struct problem *problem)
{
    return order_reader_open_live(file, name, NULL, NULL, ret_reader, problem);
}

enum status order_reader_open_live(int file, const char *name, bool (*before_read)(void *context),
                                   void *context, struct order_reader **ret_reader,
                                   struct problem *problem)
{
    assert(file >= 0 && ret_reader != NULL);
    struct order_reader *reader = malloc(sizeof *reader);
    if (reader == NULL)
        return problem_set(problem, STATUS_NO_MEMORY,
                           "%.300s: no memory for a reader of %zu bytes: stop other programs", name,
                           sizeof *reader);
    byte_source_init(&reader->source, file, name);
    byte_source_set_before_read(&reader->source, before_read, context);
    enum status status = order_reader_begin(reader, problem);
    if (status != STATUS_OK) {
        free(reader);
        return status;
    }
    *ret_reader = reader;
    return STATUS_OK;
}

enum order_result order_reader_next(struct order_reader *reader, struct order *ret_order,
                                    struct order_reject *ret_reject, struct problem *problem)
{
    if (reader->format == ORDER_FORMAT_NDJSON)
        return order_ndjson_next(&reader->ndjson, ret_order, ret_reject, problem);
    assert(reader->format == ORDER_FORMAT_CSV);
    return order_csv_next(&reader->csv, ret_order, ret_reject, problem);
}

void order_reader_close(struct order_reader *reader)
{
    free(reader);
}
