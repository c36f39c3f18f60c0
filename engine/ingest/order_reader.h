/*
 * order_reader: orders out of files of any size, in bounded memory: CSV in the columns of UCI
 * Online Retail (a line a row, or an invoice a row), or NDJSON (one order a line).
 *
 * Formats, told apart by the first byte that is not white space ('{': NDJSON, else CSV). Both may
 * begin with a UTF-8 byte-order mark, end their lines in CRLF and have blank lines.
 *   CSV     RFC 4180 (see csv.h), header row, columns found by name in any order and any case,
 *           unknown columns passed over, whatever bytes are in them. Needed: InvoiceNo, Quantity,
 *           UnitPrice. Used where present: StockCode, CustomerID, InvoiceDate, Country (and the
 *           names of Online Retail II: Invoice, Price, Customer ID). Semicolons
 *           or tabs separate the columns if the header row has no comma outside of quotes. Rows of
 *           one invoice that stand together are one order, whose customer, date and country are
 *           those of its first row. Without StockCode a row is one line with the code "INVOICE".
 *   NDJSON  {"number":"536365","customer":"17850","date":"…","country":"…",
 *            "lines":[["85123A",6,2.55] or {"code":"85123A","quantity":6,"price":2.55}, …]}
 *           A list is [code, quantity, unit price]: it means the same as the object. Texts may be
 *           whole numbers too, quantity and price strings too ("2.55"); unknown keys are passed
 *           over. A price written as a number with a point or an exponent is exact up to 15
 *           significant digits and rounded to them beyond; as a string it is exact up to 18.
 *
 * What an order becomes (msgpack, the input of the saga; the same bytes on every run):
 *   {"number": str, "customer": str, "date": str, "country": str, "lines": [[code, quantity,
 *    amount], …]}   keys in this order, date and country left out where empty; quantity > 0;
 *    amount in minor units (pence) = quantity x unit price rounded half away from zero, exact
 *    decimal arithmetic. At most ORDER_INPUT_BYTES_MAX.
 *   An invoice whose number is C or c and then digits is a return: its quantities are negative in
 * the file, CSV and NDJSON, and positive in the order; kind says which. Customers that are empty or
 * "(blank)" become "guest"; 17850.0 becomes 17850. Spaces around texts and numbers go. Numbers may
 * be written 6, 6.0, +6, .5 or 8.5E-05 (see decimal.h).
 *
 * What is refused, whole orders at a time, once each, with the line number of the first bad row,
 * order number and a reason that says what would be right: quantity zero, negative outside of a
 * return, positive in a return, not a whole number, over ORDER_QUANTITY_MAX; price not a number,
 * negative, of more than 18 digits, amount over the maximum; adjustments (InvoiceNo A or a and
 * then a digit: bad debt is not an order); code or number empty, a text too long, or not UTF-8
 * without control characters; a row with another number of fields than the header and a row longer
 * than ORDER_ROW_BYTES_MAX (skipped to its end in bounded memory); an order with more than
 * ORDER_LINES_MAX lines or ORDER_INPUT_BYTES_MAX; NDJSON that is not an order; an order that the
 * file breaks off in. A row whose InvoiceNo cannot be read is refused by itself. An order is never
 * given without some of its rows: order_csv.h says how.
 * What ends the file at once, as a status: STATUS_INVALID for missing columns (the sentence names
 * them) or one that is there twice, a binary file (a zero byte), an empty file, a header row too
 * long, a quote never closed (names the line where it was opened; a row over the limit inside an
 * open quote counts as that); STATUS_IO for an I/O error.
 *
 * Threads: one owner. Memory: at most ORDER_READER_BYTES, taken at open; for NDJSON jansson takes
 * more while a line is parsed. gzip is not read: pipe it in.
 */
#ifndef ENGINE_INGEST_ORDER_READER_H
#define ENGINE_INGEST_ORDER_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

#define ORDER_ROW_BYTES_MAX   (1u << 20)
#define ORDER_LINES_MAX       4096u
#define ORDER_TEXT_BYTES_MAX  64u           /* number, customer, code, date, country, each */
#define ORDER_QUANTITY_MAX    1000000000    /* a line */
#define ORDER_AMOUNT_MAX      1000000000000 /* a line, minor units */
#define ORDER_INPUT_BYTES_MAX (256u << 10)
#define ORDER_READER_BYTES    (3u << 20)

enum order_kind { ORDER_SALE, ORDER_RETURN };

struct order {
    enum order_kind kind;
    char number[ORDER_TEXT_BYTES_MAX + 1];
    const uint8_t *input; /* msgpack, lent until the next call */
    size_t input_bytes;
    uint64_t line_no;      /* of its first row, counted from 1 */
    uint64_t offset_bytes; /* of the end of the order in the file: for progress */
};

/* Why an order was refused. Lent until the next call. */
struct order_reject {
    uint64_t line_no;
    const char *number; /* "" where it could not be read */
    const char *reason;
};

enum order_result { ORDER_READ, ORDER_REJECTED, ORDER_END, ORDER_FAILED };

struct order_reader;

/*
 * Reads from the open file descriptor (borrowed); `name` (borrowed) stands in error sentences.
 * Returns when the header row has been read, so also with what is wrong with it.
 */
NODISCARD enum status order_reader_open(int file, const char *name,
                                        struct order_reader **ret_reader, struct problem *problem);
/*
 * The same for a pipe or a terminal, which may be silent for long: `before_read` is called whenever
 * the next order asks for a read that may block. Where it says false nothing more is read, and the
 * reader fails with STATUS_IO.
 */
NODISCARD enum status order_reader_open_live(int file, const char *name,
                                             bool (*before_read)(void *context), void *context,
                                             struct order_reader **ret_reader,
                                             struct problem *problem);
/*
 * The next order or refusal. ORDER_END and ORDER_FAILED stay. ORDER_FAILED: `problem` says why,
 * nothing more can be read. The order in hand, if any, was refused before it: its other rows may
 * stand where the file cannot be read.
 */
NODISCARD enum order_result order_reader_next(struct order_reader *reader, struct order *ret_order,
                                              struct order_reject *ret_reject,
                                              struct problem *problem);
void order_reader_close(struct order_reader *reader);

#endif
