#include "engine/edge/text.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/decimal.h"
#include "engine/saga/value_text.h"

#define FIRST_BYTES       4096u
#define ESCAPED_BYTES_MAX 6u /* of one byte: "\u0001" */

/* False: there is no memory. */
static bool make_room(struct text *text, size_t bytes)
{
    if (text->failed || text->capacity - text->bytes >= bytes)
        return !text->failed;
    size_t capacity = text->capacity == 0 ? FIRST_BYTES : text->capacity;
    while (capacity - text->bytes < bytes)
        capacity *= 2;
    char *at = realloc(text->at, capacity);
    text->failed = at == NULL;
    if (text->failed)
        return false;
    text->at = at;
    text->capacity = capacity;
    return true;
}

void text_put_bytes(struct text *text, const void *bytes, size_t count)
{
    if (count == 0 || !make_room(text, count))
        return;
    memcpy(text->at + text->bytes, bytes, count);
    text->bytes += count;
}

void text_put(struct text *text, const char *string)
{
    text_put_bytes(text, string, strlen(string));
}

void text_put_number(struct text *text, const char *before, uint32_t number)
{
    char digits[DECIMAL_BYTES_MAX];
    text_put(text, before);
    text_put_bytes(text, digits, decimal_write(number, digits));
}

void text_string(struct text *text, const char *string, size_t string_bytes)
{
    if (make_room(text, string_bytes * ESCAPED_BYTES_MAX + 2))
        text->bytes += value_string_to_text(string, string_bytes, text->at + text->bytes,
                                            text->capacity - text->bytes);
}

void text_value(struct text *text, struct flyover_bytes value)
{
    for (size_t room = (size_t)value.count * 2 + 32; make_room(text, room); room *= 2) {
        size_t bytes = value_to_text(value, text->at + text->bytes, text->capacity - text->bytes);
        text->bytes += bytes;
        if (bytes > 0)
            return;
    }
}

void text_members(struct text *text, struct flyover_bytes map)
{
    size_t before = text->bytes;
    text_value(text, map);
    if (text->failed)
        return;
    bool is_empty = text->bytes - before == strlen("{}");
    text->at[before] = ',';
    text->bytes = is_empty ? before : text->bytes - 1;
}

void text_free(struct text *text)
{
    free(text->at);
    *text = (struct text){0};
}
