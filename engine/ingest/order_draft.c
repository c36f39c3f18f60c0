#include "engine/ingest/order_draft.h"

#include <assert.h>
#include <inttypes.h>
#include <msgpack/pack.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/ingest/decimal.h"

#define ORDER_MINOR_PLACES 2u

/* A list head, a text of 64 bytes, an unsigned of 32 bits and one of 64. */
#define ORDER_LINE_BYTES_MAX (1 + 2 + ORDER_TEXT_BYTES_MAX + 5 + 9)

_Static_assert(ORDER_HEAD_BYTES_MAX >= 1 + sizeof "number customer date country lines" + 5 +
                                           4 * (2 + ORDER_TEXT_BYTES_MAX) + 3,
               "the head of an order fits");

void order_refusal_init(struct order_refusal *refusal)
{
    refusal->line_no = 0;
    refusal->line_index = ORDER_LINE_INDEX_NONE;
    refusal->number[0] = '\0';
    refusal->reason[0] = '\0';
}

void order_refuse(struct order_refusal *refusal, uint64_t line_no, const char *format, ...)
{
    if (order_is_refused(refusal))
        return;
    refusal->line_no = line_no;
    int prefix_bytes = 0;
    if (refusal->line_index != ORDER_LINE_INDEX_NONE)
        prefix_bytes =
            snprintf(refusal->reason, sizeof refusal->reason, "lines[%zu]: ", refusal->line_index);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(refusal->reason + prefix_bytes, sizeof refusal->reason - (size_t)prefix_bytes, format,
              arguments);
    va_end(arguments);
    assert(order_is_refused(refusal));
}

bool order_is_refused(const struct order_refusal *refusal)
{
    return refusal->reason[0] != '\0';
}

enum order_result order_refusal_give(const struct order_refusal *refusal,
                                     struct order_reject *ret_reject)
{
    assert(order_is_refused(refusal));
    *ret_reject = (struct order_reject){
        .line_no = refusal->line_no, .number = refusal->number, .reason = refusal->reason};
    return ORDER_REJECTED;
}

bool order_text_check(struct order_refusal *refusal, uint64_t line_no, const char *what,
                      struct text text, bool is_needed)
{
    text = text_trim(text);
    if (is_needed && text.bytes == 0)
        order_refuse(refusal, line_no, "the %s is empty: an order cannot do without it", what);
    else if (text.bytes > ORDER_TEXT_BYTES_MAX)
        order_refuse(refusal, line_no, "the %s \"%s\" has %zu bytes: it may have %u at most", what,
                     text_show(text).text, text.bytes, ORDER_TEXT_BYTES_MAX);
    else if (!text_is_clean(text))
        order_refuse(refusal, line_no,
                     "the %s \"%s\" is not UTF-8 without control characters: save the file as "
                     "UTF-8",
                     what, text_show(text).text);
    else
        return true;
    return false;
}

static void order_text_copy(char *to, struct text text)
{
    assert(text.bytes <= ORDER_TEXT_BYTES_MAX);
    if (text.bytes > 0)
        memcpy(to, text.data, text.bytes);
    to[text.bytes] = '\0';
}

/* The letter that this shop puts before the digits of a return (C) or an adjustment (A); other
 * shops' numbers, such as "AB-17", mean nothing by it. */
static bool has_mark(struct text number, char mark)
{
    return number.bytes > 1 && (number.data[0] & ~0x20) == mark && number.data[1] >= '0' &&
           number.data[1] <= '9';
}

void order_draft_begin(struct order_draft *draft, uint64_t line_no, struct text number)
{
    assert(number.bytes > 0);
    order_refusal_init(&draft->refusal);
    order_text_copy(draft->number, number);
    order_text_copy(draft->refusal.number, number);
    draft->kind = has_mark(number, 'C') ? ORDER_RETURN : ORDER_SALE;
    draft->line_no = line_no;
    draft->customer[0] = '\0';
    draft->date[0] = '\0';
    draft->country[0] = '\0';
    draft->lines_count = 0;
    draft->lines_bytes = 0;
    if (has_mark(number, 'A'))
        order_refuse(&draft->refusal, line_no,
                     "a number that is A and digits adjusts bad debt: it is not an order");
}

/* Spreadsheets turn a column of numbers with holes into fractions: 17850.0 is 17850. */
static struct text order_customer(struct text customer)
{
    customer = text_trim(customer);
    if (customer.bytes == 0 || text_equal_any_case(customer, text_from("(blank)")))
        return text_from("guest");
    size_t digits = 0;
    while (digits < customer.bytes && customer.data[digits] >= '0' && customer.data[digits] <= '9')
        digits++;
    struct text rest = {.data = customer.data + digits, .bytes = customer.bytes - digits};
    if (digits > 0 && text_equal(rest, text_from(".0")))
        customer.bytes = digits;
    return customer;
}

static void order_draft_keep(struct order_draft *draft, char *to, const char *what,
                             struct text text)
{
    text = text_trim(text);
    if (order_text_check(&draft->refusal, draft->line_no, what, text, false))
        order_text_copy(to, text);
}

void order_draft_describe(struct order_draft *draft, const struct order_about *about)
{
    order_draft_keep(draft, draft->customer, "customer", order_customer(about->customer));
    order_draft_keep(draft, draft->date, "date", about->date);
    order_draft_keep(draft, draft->country, "country", about->country);
}

/* True: `ret_quantity` is what the order says, positive for returns too. */
static bool order_quantity(struct order_draft *draft, uint64_t line_no, struct text text,
                           int64_t *ret_quantity)
{
    text = text_trim(text);
    struct decimal decimal;
    int64_t quantity = 0;
    enum status status = decimal_parse(text, &decimal);
    if (status == STATUS_OK)
        status = decimal_to_whole(decimal, &quantity);
    const char *wrong = NULL;
    bool is_return = draft->kind == ORDER_RETURN;
    if (status == STATUS_INVALID)
        wrong = "is not a whole number such as 6";
    else if (status != STATUS_OK || quantity > ORDER_QUANTITY_MAX || quantity < -ORDER_QUANTITY_MAX)
        wrong = "is more than the 1000000000 that a line may have";
    else if (quantity == 0)
        wrong = "is zero: a line needs at least one piece";
    else if (!is_return && quantity < 0)
        wrong = "is negative: that is for returns, whose number is C and digits";
    else if (is_return && quantity > 0)
        wrong = "is positive: in a return, whose number is C and digits, it must be negative";
    if (wrong != NULL) {
        order_refuse(&draft->refusal, line_no, "the quantity \"%s\" %s", text_show(text).text,
                     wrong);
        return false;
    }
    *ret_quantity = is_return ? -quantity : quantity;
    return true;
}

static bool order_amount(struct order_draft *draft, uint64_t line_no, struct text text,
                         int64_t quantity, int64_t *ret_amount)
{
    assert(quantity > 0);
    text = text_trim(text);
    struct decimal price;
    int64_t amount = 0;
    const char *wrong = NULL;
    enum status status = decimal_parse(text, &price);
    if (status == STATUS_INVALID)
        wrong = "is not a decimal number such as 2.55";
    else if (status != STATUS_OK)
        wrong = "has more than 18 significant digits";
    else if (price.coefficient < 0)
        wrong = "is negative: it must be zero or more";
    else if (decimal_multiply(price, quantity, ORDER_MINOR_PLACES, &amount) != STATUS_OK ||
             amount > ORDER_AMOUNT_MAX)
        wrong = "times the quantity is more than the 10000000000.00 that a line may have";
    if (wrong != NULL) {
        order_refuse(&draft->refusal, line_no, "the price \"%s\" %s", text_show(text).text, wrong);
        return false;
    }
    *ret_amount = amount;
    return true;
}

/* A stretch of memory that msgpack's packer fills. What is packed has been sized before. */
struct order_bytes {
    char *data;
    size_t bytes;
    size_t bytes_max;
};

static int order_bytes_write(void *context, const char *data, size_t bytes)
{
    struct order_bytes *to = context;
    assert(bytes <= to->bytes_max - to->bytes);
    memcpy(to->data + to->bytes, data, bytes);
    to->bytes += bytes;
    return 0;
}

static void order_pack_text(msgpack_packer *packer, struct text text)
{
    msgpack_pack_str(packer, text.bytes);
    if (text.bytes > 0)
        msgpack_pack_str_body(packer, text.data, text.bytes);
}

static void order_draft_pack_line(struct order_draft *draft, struct text code, int64_t quantity,
                                  int64_t amount)
{
    struct order_bytes to = {.data = draft->bytes + ORDER_HEAD_BYTES_MAX + draft->lines_bytes,
                             .bytes_max = ORDER_LINE_BYTES_MAX};
    msgpack_packer packer;
    msgpack_packer_init(&packer, &to, order_bytes_write);
    msgpack_pack_array(&packer, 3);
    order_pack_text(&packer, code);
    msgpack_pack_uint64(&packer, (uint64_t)quantity);
    msgpack_pack_uint64(&packer, (uint64_t)amount);
    draft->lines_bytes += to.bytes;
    draft->lines_count++;
}

/* Room for the longest line is asked for, so that the refusal does not hang on a few bytes. */
static bool order_draft_has_room(struct order_draft *draft, uint64_t line_no)
{
    if (draft->lines_count == ORDER_LINES_MAX)
        order_refuse(&draft->refusal, line_no, "the order has more than %u lines: split it",
                     ORDER_LINES_MAX);
    else if (ORDER_HEAD_BYTES_MAX + draft->lines_bytes + ORDER_LINE_BYTES_MAX >
             ORDER_INPUT_BYTES_MAX)
        order_refuse(&draft->refusal, line_no,
                     "the order takes more than %u bytes with its %zu lines so far: split it",
                     ORDER_INPUT_BYTES_MAX, draft->lines_count);
    return !order_is_refused(&draft->refusal);
}

void order_draft_add_line(struct order_draft *draft, uint64_t line_no,
                          const struct order_line *line)
{
    if (order_is_refused(&draft->refusal) || !order_draft_has_room(draft, line_no))
        return;
    struct text code = text_trim(line->code);
    int64_t quantity;
    int64_t amount;
    if (order_text_check(&draft->refusal, line_no, "code", code, true) &&
        order_quantity(draft, line_no, line->quantity, &quantity) &&
        order_amount(draft, line_no, line->price, quantity, &amount))
        order_draft_pack_line(draft, code, quantity, amount);
}

static void order_pack_field(msgpack_packer *packer, const char *key, const char *value)
{
    if (value[0] == '\0')
        return;
    order_pack_text(packer, text_from(key));
    order_pack_text(packer, text_from(value));
}

/* The head is as long as its texts: it is packed at the front and moved up to the lines. */
static char *order_draft_pack_head(struct order_draft *draft, size_t *ret_head_bytes)
{
    struct order_bytes to = {.data = draft->bytes, .bytes_max = ORDER_HEAD_BYTES_MAX};
    msgpack_packer packer;
    msgpack_packer_init(&packer, &to, order_bytes_write);
    size_t optional = (draft->date[0] != '\0') + (size_t)(draft->country[0] != '\0');
    msgpack_pack_map(&packer, 3 + optional);
    order_pack_field(&packer, "number", draft->number);
    order_pack_field(&packer, "customer", draft->customer);
    order_pack_field(&packer, "date", draft->date);
    order_pack_field(&packer, "country", draft->country);
    order_pack_text(&packer, text_from("lines"));
    msgpack_pack_array(&packer, draft->lines_count);
    char *head = draft->bytes + ORDER_HEAD_BYTES_MAX - to.bytes;
    memmove(head, draft->bytes, to.bytes);
    *ret_head_bytes = to.bytes;
    return head;
}

enum order_result order_draft_give(struct order_draft *draft, uint64_t offset_bytes,
                                   struct order *ret_order, struct order_reject *ret_reject)
{
    if (order_is_refused(&draft->refusal))
        return order_refusal_give(&draft->refusal, ret_reject);
    assert(draft->lines_count > 0 && draft->customer[0] != '\0');
    size_t head_bytes;
    const char *head = order_draft_pack_head(draft, &head_bytes);
    ret_order->kind = draft->kind;
    memcpy(ret_order->number, draft->number, sizeof draft->number);
    ret_order->input = (const uint8_t *)head;
    ret_order->input_bytes = head_bytes + draft->lines_bytes;
    ret_order->line_no = draft->line_no;
    ret_order->offset_bytes = offset_bytes;
    return ORDER_READ;
}
