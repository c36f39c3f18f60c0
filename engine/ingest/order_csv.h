/*
 * order_csv: orders out of CSV rows. Rows of one invoice that stand together are one order.
 *
 * Never half an order: a row that does not fit the header cannot be trusted to say whose it is.
 * If it names the order in hand, it refuses that one. Else it is refused by itself, the order in
 * hand stays open, and if that order goes on behind it, it is refused too. The numbers of the last
 * ORDER_CSV_REFUSED_KEPT refusals are kept: rows of theirs that stand apart are passed over
 * silently, for those orders have been reported and must not come in without their other rows.
 *
 * So a row that is refused by itself is reported before the order above it.
 *
 * Threads: one owner. Memory: the struct; borrows the byte source and the draft.
 */
#ifndef ENGINE_INGEST_ORDER_CSV_H
#define ENGINE_INGEST_ORDER_CSV_H

#include "engine/ingest/csv.h"
#include "engine/ingest/order_draft.h"

#define ORDER_CSV_REFUSED_KEPT 16u

#define ORDER_COLUMN_LIST(X)                                                                       \
    X(NUMBER, "InvoiceNo", "Invoice", true)                                                        \
    X(QUANTITY, "Quantity", "Quantity", true)                                                      \
    X(PRICE, "UnitPrice", "Price", true)                                                           \
    X(CODE, "StockCode", "StockCode", false)                                                       \
    X(CUSTOMER, "CustomerID", "Customer ID", false)                                                \
    X(DATE, "InvoiceDate", "InvoiceDate", false)                                                   \
    X(COUNTRY, "Country", "Country", false)

enum order_column {
#define X(name, text, other_text, is_needed) ORDER_COLUMN_##name,
    ORDER_COLUMN_LIST(X)
#undef X
        ORDER_COLUMN_COUNT
};

#define ORDER_COLUMN_ABSENT SIZE_MAX

struct order_csv {
    struct csv csv;
    struct order_draft *draft;
    size_t columns[ORDER_COLUMN_COUNT]; /* the field of each, or ORDER_COLUMN_ABSENT */
    size_t fields_count;                /* of the header */
    bool is_row_held;                   /* read, not yet used */
    bool is_open;                       /* an order is in the draft */
    bool is_passed_over;                /* it has been reported as refused before */
    uint64_t open_offset_bytes;         /* where its last row ends */
    uint64_t stray_line_no;             /* of a row amid it that is nobody's; 0: none */
    struct order_refusal stray;
    char refused[ORDER_CSV_REFUSED_KEPT][ORDER_TEXT_BYTES_MAX + 1];
    size_t refused_next;
    struct problem problem; /* status OK until the file breaks off */
};

/* Reads the header row, which begins on `line_no` where the source stands. */
NODISCARD enum status order_csv_init(struct order_csv *orders, struct byte_source *source,
                                     struct order_draft *draft, uint64_t line_no,
                                     struct problem *problem);
/* As order_reader_next. */
NODISCARD enum order_result order_csv_next(struct order_csv *orders, struct order *ret_order,
                                           struct order_reject *ret_reject,
                                           struct problem *problem);

#endif
