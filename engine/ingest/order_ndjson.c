#include "engine/ingest/order_ndjson.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* A whole number of 64 bits, or 15 significant digits with point, sign and exponent. */
#define JSON_NUMBER_BYTES_MAX 32u

void order_ndjson_init(struct order_ndjson *orders, struct byte_source *source,
                       struct order_draft *draft, uint64_t line_no)
{
    assert(line_no > 0);
    orders->source = source;
    orders->draft = draft;
    orders->line_no = line_no;
    orders->line_bytes = 0;
    orders->passed_bytes = 0;
    orders->is_too_long = false;
}

/* False: the data has ended, and no line is in hand. */
static bool order_ndjson_next_line(struct order_ndjson *orders)
{
    struct byte_source *source = orders->source;
    byte_source_drop(source, orders->passed_bytes);
    orders->line_no += orders->passed_bytes > 0;
    orders->is_too_long = false;
    orders->passed_bytes = 0;
    size_t seen_bytes = 0;
    for (;;) {
        char *line = byte_source_held(source);
        size_t held_bytes = byte_source_held_bytes(source);
        char *newline = memchr(line + seen_bytes, '\n', held_bytes - seen_bytes);
        seen_bytes = newline == NULL ? held_bytes : (size_t)(newline - line);
        orders->is_too_long |= seen_bytes > ORDER_ROW_BYTES_MAX;
        orders->line_bytes = seen_bytes;
        orders->passed_bytes = seen_bytes + (newline != NULL);
        if (newline != NULL)
            return true;
        // The start of a line that is too long is not needed: none of it will be used.
        if (orders->is_too_long) {
            byte_source_drop(source, seen_bytes);
            seen_bytes = 0;
        }
        if (byte_source_fill(source) != BYTE_SOURCE_MORE) {
            bool is_last_line = source->state == BYTE_SOURCE_END && held_bytes > 0;
            orders->passed_bytes = is_last_line ? seen_bytes : 0;
            return is_last_line;
        }
    }
}

/*
 * The text of a string or a number. jansson has turned a number with a fraction into a double; 15
 * digits give back exactly what was written, where that had no more of them (DBL_DIG).
 */
static bool json_as_text(const json_t *value, char number[JSON_NUMBER_BYTES_MAX],
                         struct text *ret_text)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        *ret_text =
            (struct text){.data = json_string_value(value), .bytes = json_string_length(value)};
        return true;
    case JSON_INTEGER:
        snprintf(number, JSON_NUMBER_BYTES_MAX, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL: snprintf(number, JSON_NUMBER_BYTES_MAX, "%.15g", json_real_value(value)); break;
    case JSON_OBJECT:
    case JSON_ARRAY:
    case JSON_TRUE:
    case JSON_FALSE:
    case JSON_NULL: return false;
    }
    *ret_text = text_from(number);
    return true;
}

/* A text of the order; one that is absent or null is empty. False: refused. */
static bool order_ndjson_text(struct order_ndjson *orders, const json_t *object, const char *key,
                              char number[JSON_NUMBER_BYTES_MAX], struct text *ret_text)
{
    const json_t *value = json_object_get(object, key);
    *ret_text = text_from("");
    if (value == NULL || json_is_null(value))
        return true;
    if (!json_is_real(value) && json_as_text(value, number, ret_text))
        return true;
    order_refuse(&orders->draft->refusal, orders->line_no,
                 "\"%s\" is neither a string nor a whole number", key);
    return false;
}

static const json_t *json_line_part(const json_t *line, size_t index, const char *key)
{
    return json_is_array(line) ? json_array_get(line, index) : json_object_get(line, key);
}

static void order_ndjson_add_line(struct order_ndjson *orders, const json_t *json)
{
    struct order_draft *draft = orders->draft;
    bool is_list = json_is_array(json) && json_array_size(json) == 3;
    if (!is_list && !json_is_object(json)) {
        order_refuse(&draft->refusal, orders->line_no,
                     "is neither [code, quantity, price] nor an object with these keys");
        return;
    }
    const json_t *code = json_line_part(json, 0, "code");
    const json_t *quantity = json_line_part(json, 1, "quantity");
    const json_t *price = json_line_part(json, 2, "price");
    char code_number[JSON_NUMBER_BYTES_MAX];
    char quantity_number[JSON_NUMBER_BYTES_MAX];
    char price_number[JSON_NUMBER_BYTES_MAX];
    struct order_line line;
    const char *wrong = NULL;
    if (code == NULL || json_is_real(code) || !json_as_text(code, code_number, &line.code))
        wrong = "\"code\" is neither a string nor a whole number";
    else if (quantity == NULL || !json_as_text(quantity, quantity_number, &line.quantity))
        wrong = "\"quantity\" is neither a number nor a string";
    else if (price == NULL || !json_as_text(price, price_number, &line.price))
        wrong = "\"price\" is neither a number nor a string";
    if (wrong != NULL)
        order_refuse(&draft->refusal, orders->line_no, "%s", wrong);
    else
        order_draft_add_line(draft, orders->line_no, &line);
}

static void order_ndjson_add_lines(struct order_ndjson *orders, const json_t *lines)
{
    struct order_refusal *refusal = &orders->draft->refusal;
    if (!json_is_array(lines) || json_array_size(lines) == 0) {
        order_refuse(refusal, orders->line_no, "\"lines\" is not a list of at least one line");
        return;
    }
    for (size_t i = 0; i < json_array_size(lines) && !order_is_refused(refusal); i++) {
        refusal->line_index = i;
        order_ndjson_add_line(orders, json_array_get(lines, i));
    }
}

static void order_ndjson_describe(struct order_ndjson *orders, const json_t *object)
{
    struct order_about about;
    char customer_number[JSON_NUMBER_BYTES_MAX];
    char date_number[JSON_NUMBER_BYTES_MAX];
    char country_number[JSON_NUMBER_BYTES_MAX];
    if (order_ndjson_text(orders, object, "customer", customer_number, &about.customer) &&
        order_ndjson_text(orders, object, "date", date_number, &about.date) &&
        order_ndjson_text(orders, object, "country", country_number, &about.country))
        order_draft_describe(orders->draft, &about);
}

/* Fills the draft, or its refusal, from an order in JSON. */
static void order_ndjson_draft(struct order_ndjson *orders, const json_t *object)
{
    struct order_refusal *refusal = &orders->draft->refusal;
    struct text number;
    char number_digits[JSON_NUMBER_BYTES_MAX];
    if (!json_is_object(object)) {
        order_refuse(refusal, orders->line_no, "the line is JSON but not an object");
        return;
    }
    if (!order_ndjson_text(orders, object, "number", number_digits, &number))
        return;
    number = text_trim(number);
    if (!order_text_check(refusal, orders->line_no, "number", number, true))
        return;
    order_draft_begin(orders->draft, orders->line_no, number);
    order_ndjson_describe(orders, object);
    order_ndjson_add_lines(orders, json_object_get(object, "lines"));
}

static void order_ndjson_parse(struct order_ndjson *orders, struct text line)
{
    struct order_refusal *refusal = &orders->draft->refusal;
    order_refusal_init(refusal);
    if (orders->is_too_long) {
        order_refuse(refusal, orders->line_no, "the line is longer than %u bytes",
                     ORDER_ROW_BYTES_MAX);
        return;
    }
    json_error_t error;
    json_t *object = json_loadb(line.data, line.bytes, JSON_REJECT_DUPLICATES, &error);
    if (object == NULL) {
        // jansson goes on to quote the line, which may hold anything.
        char *quotation = strstr(error.text, " near '");
        if (quotation != NULL)
            *quotation = '\0';
        order_refuse(refusal, orders->line_no,
                     "the line is not JSON that can be read: %s (byte %d)", error.text,
                     error.position);
        return;
    }
    order_ndjson_draft(orders, object);
    json_decref(object);
}

enum order_result order_ndjson_next(struct order_ndjson *orders, struct order *ret_order,
                                    struct order_reject *ret_reject, struct problem *problem)
{
    while (order_ndjson_next_line(orders)) {
        struct text line = {.data = byte_source_held(orders->source),
                            .bytes = orders->is_too_long ? 0 : orders->line_bytes};
        if (!orders->is_too_long && text_trim(line).bytes == 0)
            continue;
        order_ndjson_parse(orders, line);
        uint64_t offset_bytes = byte_source_offset_bytes(orders->source, orders->passed_bytes);
        return order_draft_give(orders->draft, offset_bytes, ret_order, ret_reject);
    }
    if (orders->source->state == BYTE_SOURCE_END)
        return ORDER_END;
    byte_source_problem(orders->source, orders->line_no, problem);
    return ORDER_FAILED;
}
