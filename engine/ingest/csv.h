/*
 * csv: rows of fields out of text after RFC 4180, in the bounded buffer of a byte source.
 *
 * More lenient than the RFC in the way common readers are: a row may end in LF or CRLF, the last
 * one in neither; a quote inside of a field that did not begin with one is a plain character, and
 * what follows a closing quote belongs to the field. Bytes are not looked at otherwise: Latin-1 in
 * a field that nobody uses does no harm.
 *
 * A row longer than CSV_ROW_BYTES_MAX is passed over to its end and given as too long, with the
 * fields that were whole before the limit. A row that reaches the limit inside an open quote is
 * taken as a quote never closed, for the rest of the file would be one field.
 *
 * Threads: one owner. Memory: the struct and the byte source; nothing is allocated.
 */
#ifndef ENGINE_INGEST_CSV_H
#define ENGINE_INGEST_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/ingest/byte_source.h"
#include "engine/ingest/text.h"

#define CSV_ROW_BYTES_MAX (1u << 20)
#define CSV_FIELDS_MAX    256u /* those behind are counted, not kept */

enum csv_state { CSV_FIELD, CSV_PLAIN, CSV_QUOTED, CSV_QUOTE };

struct csv {
    struct byte_source *source; /* borrowed; its first byte held is the first of the row */
    char separator;
    enum csv_state state;
    bool is_too_long;
    uint64_t line_no;       /* being read, from 1 */
    uint64_t row_line_no;   /* where the row began */
    uint64_t quote_line_no; /* where the last quote was opened */
    size_t read_bytes;      /* of the row, seen */
    size_t written_bytes;   /* of the row, kept: quotes fall out, in place */
    size_t field_begin;     /* in what is kept, of the field being read */
    size_t kept_bytes;      /* of a row that is too long: its whole fields are in there */
    size_t fields_count;
    struct {
        size_t begin;
        size_t bytes;
    } fields[CSV_FIELDS_MAX];
};

enum csv_result { CSV_ROW, CSV_END, CSV_FAILED };

/* `line_no` is the line of the first byte that the source holds. */
void csv_init(struct csv *csv, struct byte_source *source, char separator, uint64_t line_no);
/*
 * The separator of the row that comes next, which is not consumed: a comma if one stands outside
 * of quotes, else a semicolon or a tab if the row has them, else a comma.
 */
char csv_guess_separator(struct byte_source *source);
/* The next row. FAILED: `problem` says why, and the caller must not ask again. */
NODISCARD enum csv_result csv_next(struct csv *csv, struct problem *problem);
/* A field of the row, lent until the next row. The index is under both fields_count and the max. */
struct text csv_field(const struct csv *csv, size_t index);
/* Where in the file the row ends. */
uint64_t csv_offset_bytes(const struct csv *csv);

#endif
