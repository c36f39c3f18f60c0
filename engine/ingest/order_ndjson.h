/*
 * order_ndjson: orders out of lines of JSON, one order a line.
 *
 * Threads: one owner. Memory: the struct; borrows the byte source and the draft. jansson takes up
 * to a few hundred bytes a byte of a line of at most ORDER_ROW_BYTES_MAX while it is being read,
 * and gives them back before the call returns.
 */
#ifndef ENGINE_INGEST_ORDER_NDJSON_H
#define ENGINE_INGEST_ORDER_NDJSON_H

#include "engine/ingest/byte_source.h"
#include "engine/ingest/order_draft.h"

struct order_ndjson {
    struct byte_source *source;
    struct order_draft *draft;
    uint64_t line_no;    /* of the line in hand */
    size_t line_bytes;   /* of the line in hand, without its newline */
    size_t passed_bytes; /* to drop before the next line: the line and its newline */
    bool is_too_long;
};

/* `line_no` is the line of the first byte that the source holds. */
void order_ndjson_init(struct order_ndjson *orders, struct byte_source *source,
                       struct order_draft *draft, uint64_t line_no);
/* As order_reader_next. */
NODISCARD enum order_result order_ndjson_next(struct order_ndjson *orders, struct order *ret_order,
                                              struct order_reject *ret_reject,
                                              struct problem *problem);

#endif
