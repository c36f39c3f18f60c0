/*
 * transcript: what a reader of orders says about a file, as text that a test can compare: a line
 * an order (its msgpack printed by msgpack's own printer), a refusal, and the end.
 *
 *   sale NUMBER line N end OFFSET {"number"=>"…", …}
 *   refused NUMBER line N: REASON
 *   end
 */
#ifndef TESTS_INGEST_TRANSCRIPT_H
#define TESTS_INGEST_TRANSCRIPT_H

#include <stdbool.h>
#include <stddef.h>

/* The columns of most tests, and a row of an order that nothing is wrong with. */
#define HEADER       "InvoiceNo,StockCode,Quantity,UnitPrice,CustomerID,InvoiceDate,Country\n"
#define GOOD(number) number ",A-1,1,1,7,,\n"

/* Texts of so many bytes: what is shown of a text in a sentence, and the longest in an order. */
#define FORTY      "0123456789012345678901234567890123456789"
#define SIXTY_FOUR FORTY "012345678901234567890123"

struct transcript {
    char *text; /* zero-ended */
    size_t bytes;
    size_t bytes_max;
    size_t orders_count;
    size_t refusals_count;
};

/* Reads to the end; `prints_inputs` says whether the inputs of orders are printed. Owned by the
 * caller. */
struct transcript transcript_of_file(int file, bool prints_inputs);
/* The same of bytes in memory, through a file that is only in memory. */
struct transcript transcript_of(const void *data, size_t bytes);
struct transcript transcript_of_text(const char *text);
/* The same through a pipe that gives `piece_bytes` at a time, no more and no less. */
struct transcript transcript_in_pieces(const void *data, size_t bytes, size_t piece_bytes);
void transcript_free(struct transcript *transcript);

/* Fails the test where the transcript is another. The name is of a file on disk. */
void expect_transcript(const char *text, const char *expected);
void expect_transcript_of(const void *data, size_t bytes, const char *expected);
void expect_transcript_of_file(const char *name, const char *expected);

/* A text with `count` bytes of x between two others. Owned by the caller. */
char *text_around(const char *before, size_t count, const char *after);

/* A file in memory, at its beginning. The caller closes it. */
int file_from(const void *data, size_t bytes);

#endif
