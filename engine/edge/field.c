#include "engine/edge/field.h"

#include <stdio.h>
#include <string.h>

struct flyover_cursor field_cursor(struct flyover_bytes value)
{
    return (struct flyover_cursor){value.at, value.at + value.count};
}

struct flyover_bytes field_take(struct flyover_cursor *cursor)
{
    const uint8_t *start = cursor->at;
    (void)flyover_skip(cursor);
    return (struct flyover_bytes){start, (uint32_t)(cursor->at - start)};
}

struct flyover_bytes field_as_text(struct flyover_bytes value)
{
    struct flyover_bytes text = {0};
    struct flyover_cursor cursor = field_cursor(value);
    return flyover_read_str(&cursor, &text) ? text : (struct flyover_bytes){0};
}

bool field_find(struct flyover_bytes map, const char *name, struct flyover_bytes *ret_value)
{
    struct flyover_cursor cursor = field_cursor(map), found;
    if (!flyover_find(&cursor, name, &found))
        return false;
    *ret_value = field_take(&found);
    return true;
}

bool field_get(struct flyover_bytes map, const char *name, struct flyover_bytes *ret_value)
{
    if (!field_find(map, name, ret_value))
        return false;
    struct flyover_cursor cursor = field_cursor(*ret_value);
    return flyover_peek(&cursor) != FLYOVER_NIL;
}

struct flyover_bytes field_text(struct flyover_bytes map, const char *name)
{
    struct flyover_bytes value;
    return field_find(map, name, &value) ? field_as_text(value) : (struct flyover_bytes){0};
}

bool field_copy_text(struct flyover_bytes map, const char *name, char *ret_text, size_t ret_bytes)
{
    struct flyover_bytes text = field_text(map, name);
    if (!text.at)
        return false;
    (void)snprintf(ret_text, ret_bytes, "%.*s", (int)text.count, (const char *)text.at);
    return true;
}

bool field_is_true(struct flyover_bytes map, const char *name)
{
    bool truth = false;
    struct flyover_cursor cursor = field_cursor(map), found;
    return flyover_find(&cursor, name, &found) && flyover_read_bool(&found, &truth) && truth;
}

struct flyover_bytes field_bytes(const char *text)
{
    return (struct flyover_bytes){(const uint8_t *)text, (uint32_t)strlen(text)};
}

bool field_text_is(struct flyover_bytes text, const char *other)
{
    return text.at && text.count == strlen(other) && memcmp(text.at, other, text.count) == 0;
}
