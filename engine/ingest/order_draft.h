/*
 * order_draft: one order while it is put together: texts are checked, quantities and prices turned
 * into whole numbers, and the lines encoded as they come, so that nothing else is kept of them.
 *
 * The first thing found wrong refuses the whole order; what is added after it is passed over.
 * The bytes depend on the order alone: keys in the fixed order number, customer, date, country,
 * lines; the smallest msgpack form of everything.
 * Threads: one owner. Memory: the struct, about ORDER_INPUT_BYTES_MAX; nothing is allocated.
 */
#ifndef ENGINE_INGEST_ORDER_DRAFT_H
#define ENGINE_INGEST_ORDER_DRAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/ingest/order_reader.h"
#include "engine/ingest/text.h"

#define ORDER_REASON_BYTES_MAX 400u

/* The five keys, four texts and the head of the list of lines, rounded up. */
#define ORDER_HEAD_BYTES_MAX 384u

#define ORDER_LINE_INDEX_NONE SIZE_MAX

/* Why something was refused: the first reason stays. `reason` is "" while there is none. */
struct order_refusal {
    uint64_t line_no;
    size_t line_index; /* of an order that stands on one line of the file, to name it */
    char number[ORDER_TEXT_BYTES_MAX + 1];
    char reason[ORDER_REASON_BYTES_MAX];
};

/* Texts as they stand in the file; they are trimmed here. All borrowed for the call. */
struct order_about {
    struct text customer;
    struct text date;
    struct text country;
};

struct order_line {
    struct text code;
    struct text quantity;
    struct text price;
};

struct order_draft {
    enum order_kind kind;
    struct order_refusal refusal;
    uint64_t line_no;
    char number[ORDER_TEXT_BYTES_MAX + 1];
    char customer[ORDER_TEXT_BYTES_MAX + 1];
    char date[ORDER_TEXT_BYTES_MAX + 1];
    char country[ORDER_TEXT_BYTES_MAX + 1];
    size_t lines_count;
    size_t lines_bytes;
    char bytes[ORDER_INPUT_BYTES_MAX]; /* the lines from ORDER_HEAD_BYTES_MAX on */
};

void order_refusal_init(struct order_refusal *refusal);
void order_refuse(struct order_refusal *refusal, uint64_t line_no, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool order_is_refused(const struct order_refusal *refusal);
/* The refusal as the caller of the reader sees it; lends its texts. */
enum order_result order_refusal_give(const struct order_refusal *refusal,
                                     struct order_reject *ret_reject);
/*
 * Checks a text that an order keeps, after trimming. `what` names it in the sentence. False: the
 * refusal says why.
 */
bool order_text_check(struct order_refusal *refusal, uint64_t line_no, const char *what,
                      struct text text, bool is_needed);

/* Starts over. The number is trimmed and has passed order_text_check. */
void order_draft_begin(struct order_draft *draft, uint64_t line_no, struct text number);
void order_draft_describe(struct order_draft *draft, const struct order_about *about);
void order_draft_add_line(struct order_draft *draft, uint64_t line_no,
                          const struct order_line *line);
/* Gives the order or its refusal, lent until the draft begins again. */
enum order_result order_draft_give(struct order_draft *draft, uint64_t offset_bytes,
                                   struct order *ret_order, struct order_reject *ret_reject);

#endif
