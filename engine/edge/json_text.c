#include "engine/edge/json_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_USUAL 15
#define DIGITS_EXACT 17

/* As few as read as the same number. */
static size_t digits_of(double number)
{
    char text[32];
    size_t digits = DIGITS_USUAL;
    for (; digits < DIGITS_EXACT; digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", (int)digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    return digits;
}

static size_t greater(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* What all its numbers need, since they are printed alike; 0: it has none that is no integer. As
 * deep as a payload may be, FLYOVER_DEPTH_MAX, or as jansson read it. */
static size_t digits_needed(const json_t *value)
{
    const char *key;
    json_t *member;
    size_t index, digits = 0;
    if (json_is_real(value))
        return digits_of(json_real_value(value));
    json_object_foreach((json_t *)value, key, member) digits =
        greater(digits, digits_needed(member));
    json_array_foreach(value, index, member) digits = greater(digits, digits_needed(member));
    return digits;
}

char *json_text(const json_t *value)
{
    return json_dumps(value,
                      JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits_needed(value)));
}
