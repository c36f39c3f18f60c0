#include "engine/edge/json_text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_USUAL 15
#define DIGITS_EXACT 17

/* As deep as a payload may be, FLYOVER_DEPTH_MAX, or as jansson read it. */
static bool has_real(const json_t *value)
{
    const char *key;
    json_t *member;
    size_t index;
    if (json_is_real(value))
        return true;
    json_object_foreach((json_t *)value, key, member) if (has_real(member)) return true;
    json_array_foreach(value, index, member) if (has_real(member)) return true;
    return false;
}

static char *print(const json_t *value, size_t digits)
{
    return json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits));
}

static bool reads_as(const char *text, const json_t *value)
{
    json_t *read = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    bool same = read && json_equal(read, value);
    json_decref(read);
    return same;
}

char *json_text(const json_t *value)
{
    if (!has_real(value))
        return print(value, DIGITS_EXACT);
    for (size_t digits = DIGITS_USUAL; digits < DIGITS_EXACT; digits++) {
        char *text = print(value, digits);
        if (!text || reads_as(text, value))
            return text;
        free(text);
    }
    return print(value, DIGITS_EXACT);
}

char *json_text_or_string(const json_t *value)
{
    if (json_is_string(value))
        return strndup(json_string_value(value), json_string_length(value));
    return json_text(value);
}
