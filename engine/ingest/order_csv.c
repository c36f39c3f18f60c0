#include "engine/ingest/order_csv.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    const char *other_name; /* in the second edition of the data, Online Retail II */
    bool is_needed;
} columns[] = {
#define X(name, text, other_text, is_needed) [ORDER_COLUMN_##name] = {text, other_text, is_needed},
    ORDER_COLUMN_LIST(X)
#undef X
};

static enum status order_csv_map_column(struct order_csv *orders, size_t field,
                                        struct problem *problem)
{
    struct text name = text_trim(csv_field(&orders->csv, field));
    for (size_t column = 0; column < ORDER_COLUMN_COUNT; column++) {
        if (!text_equal_any_case(name, text_from(columns[column].name)) &&
            !text_equal_any_case(name, text_from(columns[column].other_name)))
            continue;
        if (orders->columns[column] != ORDER_COLUMN_ABSENT)
            return problem_set(problem, STATUS_INVALID,
                               "%.300s: line %" PRIu64 ": the header has the column %s twice: "
                               "rename the one that is not meant",
                               orders->csv.source->name, orders->csv.row_line_no,
                               columns[column].name);
        orders->columns[column] = field;
    }
    return STATUS_OK;
}

static enum status order_csv_check_columns(const struct order_csv *orders, struct problem *problem)
{
    char missing[64] = "";
    for (size_t column = 0; column < ORDER_COLUMN_COUNT; column++) {
        if (!columns[column].is_needed || orders->columns[column] != ORDER_COLUMN_ABSENT)
            continue;
        size_t bytes = strlen(missing);
        snprintf(missing + bytes, sizeof missing - bytes, "%s%s", bytes == 0 ? "" : ", ",
                 columns[column].name);
    }
    if (missing[0] == '\0')
        return STATUS_OK;
    return problem_set(problem, STATUS_INVALID,
                       "%.300s: line %" PRIu64 ": the header lacks %s: the first row must name the "
                       "columns, among them InvoiceNo, Quantity and UnitPrice",
                       orders->csv.source->name, orders->csv.row_line_no, missing);
}

/* A header that is too long, or has too many columns, can only be a file of another kind. */
static enum status order_csv_read_header(struct order_csv *orders, struct problem *problem)
{
    struct csv *csv = &orders->csv;
    struct problem reason;
    enum csv_result result = csv_next(csv, &reason);
    if (result == CSV_FAILED)
        return problem_set(problem, reason.status, "%s", reason.text);
    assert(result == CSV_ROW);
    if (csv->is_too_long || csv->fields_count > CSV_FIELDS_MAX)
        return problem_set(problem, STATUS_INVALID,
                           "%.300s: line %" PRIu64 ": the header row has more than %u bytes or "
                           "%u columns: this is not a file of orders",
                           csv->source->name, csv->row_line_no, CSV_ROW_BYTES_MAX, CSV_FIELDS_MAX);
    orders->fields_count = csv->fields_count;
    for (size_t field = 0; field < csv->fields_count; field++) {
        enum status status = order_csv_map_column(orders, field, problem);
        if (status != STATUS_OK)
            return status;
    }
    return order_csv_check_columns(orders, problem);
}

enum status order_csv_init(struct order_csv *orders, struct byte_source *source,
                           struct order_draft *draft, uint64_t line_no, struct problem *problem)
{
    csv_init(&orders->csv, source, csv_guess_separator(source), line_no);
    orders->draft = draft;
    for (size_t column = 0; column < ORDER_COLUMN_COUNT; column++)
        orders->columns[column] = ORDER_COLUMN_ABSENT;
    orders->is_row_held = false;
    orders->is_open = false;
    orders->stray_line_no = 0;
    memset(orders->refused, 0, sizeof orders->refused);
    orders->refused_next = 0;
    orders->problem.status = STATUS_OK;
    return order_csv_read_header(orders, problem);
}

/* Empty where the file has no such column. */
static struct text order_csv_cell(const struct order_csv *orders, enum order_column column)
{
    size_t field = orders->columns[column];
    if (field == ORDER_COLUMN_ABSENT)
        return text_from("");
    return csv_field(&orders->csv, field);
}

static bool order_csv_was_refused(const struct order_csv *orders, struct text number)
{
    for (size_t i = 0; i < ORDER_CSV_REFUSED_KEPT; i++) {
        if (text_equal(number, text_from(orders->refused[i])))
            return true;
    }
    return false;
}

static void order_csv_note_refused(struct order_csv *orders, const char *number)
{
    assert(strlen(number) <= ORDER_TEXT_BYTES_MAX);
    strcpy(orders->refused[orders->refused_next], number);
    orders->refused_next = (orders->refused_next + 1) % ORDER_CSV_REFUSED_KEPT;
}

/*
 * The number that the row names, into `stray` as the one the refusal would be about. False: it
 * cannot be read, and the refusal says why.
 */
static bool order_csv_read_number(struct order_csv *orders, struct text *ret_number)
{
    const struct csv *csv = &orders->csv;
    order_refusal_init(&orders->stray);
    if (orders->columns[ORDER_COLUMN_NUMBER] >= csv->fields_count)
        return false;
    struct text number = text_trim(order_csv_cell(orders, ORDER_COLUMN_NUMBER));
    if (!order_text_check(&orders->stray, csv->row_line_no, "InvoiceNo", number, true))
        return false;
    memcpy(orders->stray.number, number.data, number.bytes);
    orders->stray.number[number.bytes] = '\0';
    *ret_number = number;
    return true;
}

static bool order_csv_row_fits(const struct order_csv *orders)
{
    return !orders->csv.is_too_long && orders->csv.fields_count == orders->fields_count;
}

static void order_csv_refuse_row(const struct order_csv *orders, struct order_refusal *refusal)
{
    const struct csv *csv = &orders->csv;
    if (csv->is_too_long)
        order_refuse(refusal, csv->row_line_no, "the row is longer than %u bytes",
                     CSV_ROW_BYTES_MAX);
    else
        order_refuse(refusal, csv->row_line_no,
                     "the row has %zu fields where the header has %zu: put quotes around text "
                     "that has separators or newlines in it",
                     csv->fields_count, orders->fields_count);
}

static void order_csv_begin(struct order_csv *orders, struct text number)
{
    assert(!orders->is_open);
    order_draft_begin(orders->draft, orders->csv.row_line_no, number);
    struct order_about about = {
        .customer = order_csv_cell(orders, ORDER_COLUMN_CUSTOMER),
        .date = order_csv_cell(orders, ORDER_COLUMN_DATE),
        .country = order_csv_cell(orders, ORDER_COLUMN_COUNTRY),
    };
    order_draft_describe(orders->draft, &about);
    orders->is_open = true;
    orders->is_passed_over = order_csv_was_refused(orders, number);
    orders->stray_line_no = 0;
}

/* Adds the row to the order in hand, whose number it has. */
static void order_csv_add(struct order_csv *orders)
{
    assert(orders->is_open);
    uint64_t line_no = orders->csv.row_line_no;
    orders->open_offset_bytes = csv_offset_bytes(&orders->csv);
    if (orders->stray_line_no != 0)
        order_refuse(&orders->draft->refusal, orders->stray_line_no,
                     "a row that is not known to be of another order stands among its rows");
    if (!order_csv_row_fits(orders)) {
        order_csv_refuse_row(orders, &orders->draft->refusal);
        return;
    }
    bool has_codes = orders->columns[ORDER_COLUMN_CODE] != ORDER_COLUMN_ABSENT;
    struct order_line line = {
        .code = has_codes ? order_csv_cell(orders, ORDER_COLUMN_CODE) : text_from("INVOICE"),
        .quantity = order_csv_cell(orders, ORDER_COLUMN_QUANTITY),
        .price = order_csv_cell(orders, ORDER_COLUMN_PRICE),
    };
    order_draft_add_line(orders->draft, line_no, &line);
}

/* Refuses a row by itself, and leaves the order in hand open. False: it was reported before. */
static bool order_csv_refuse_stray(struct order_csv *orders)
{
    if (orders->is_open && orders->stray_line_no == 0)
        orders->stray_line_no = orders->csv.row_line_no;
    const char *number = orders->stray.number;
    if (number[0] != '\0') {
        if (order_csv_was_refused(orders, text_from(number)))
            return false;
        order_csv_note_refused(orders, number);
    }
    if (!order_csv_row_fits(orders)) {
        // Says more than that the cell of the number, where it was looked for, is not one.
        orders->stray.reason[0] = '\0';
        order_csv_refuse_row(orders, &orders->stray);
    }
    return true;
}

/* Gives the order in hand. False: there is nothing to give, it was reported before. */
static bool order_csv_close(struct order_csv *orders, struct order *ret_order,
                            struct order_reject *ret_reject, enum order_result *ret_result)
{
    assert(orders->is_open);
    orders->is_open = false;
    if (orders->is_passed_over)
        return false;
    *ret_result = order_draft_give(orders->draft, orders->open_offset_bytes, ret_order, ret_reject);
    if (*ret_result == ORDER_REJECTED)
        order_csv_note_refused(orders, orders->draft->number);
    return true;
}

static bool order_csv_is_blank(const struct csv *csv)
{
    return csv->fields_count == 1 && !csv->is_too_long && text_trim(csv_field(csv, 0)).bytes == 0;
}

/* False: no row is left, and `problem` of the orders says whether the file broke off. */
static bool order_csv_hold_row(struct order_csv *orders)
{
    while (!orders->is_row_held) {
        switch (csv_next(&orders->csv, &orders->problem)) {
        case CSV_ROW: orders->is_row_held = !order_csv_is_blank(&orders->csv); break;
        case CSV_END: orders->problem.status = STATUS_END; return false;
        case CSV_FAILED: return false;
        }
    }
    return true;
}

/* The order in hand may go on where the file breaks off: then it is not given as whole. */
static enum order_result order_csv_end(struct order_csv *orders, struct order *ret_order,
                                       struct order_reject *ret_reject, struct problem *problem)
{
    bool is_broken = orders->problem.status != STATUS_END;
    if (orders->is_open) {
        struct order_draft *draft = orders->draft;
        if (is_broken)
            order_refuse(&draft->refusal, draft->line_no,
                         "the file cannot be read to the end of this order");
        enum order_result result;
        if (order_csv_close(orders, ret_order, ret_reject, &result))
            return result;
    }
    if (!is_broken)
        return ORDER_END;
    problem_set(problem, orders->problem.status, "%s", orders->problem.text);
    return ORDER_FAILED;
}

enum order_result order_csv_next(struct order_csv *orders, struct order *ret_order,
                                 struct order_reject *ret_reject, struct problem *problem)
{
    while (orders->problem.status == STATUS_OK && order_csv_hold_row(orders)) {
        struct text number = text_from("");
        bool is_readable = order_csv_read_number(orders, &number);
        bool is_same =
            is_readable && orders->is_open && text_equal(number, text_from(orders->draft->number));
        if (is_same) {
            order_csv_add(orders);
            orders->is_row_held = false;
        } else if (!is_readable || !order_csv_row_fits(orders)) {
            orders->is_row_held = false;
            if (order_csv_refuse_stray(orders))
                return order_refusal_give(&orders->stray, ret_reject);
        } else if (!orders->is_open) {
            order_csv_begin(orders, number);
        } else {
            enum order_result result;
            if (order_csv_close(orders, ret_order, ret_reject, &result))
                return result;
        }
    }
    return order_csv_end(orders, ret_order, ret_reject, problem);
}
