#include "engine/edge/section.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void list(const char *const *known, char *ret_text, size_t bytes)
{
    size_t used = 0;
    ret_text[0] = 0;
    for (; *known && used < bytes; known++) {
        int more = snprintf(ret_text + used, bytes - used, "%s%s", used ? ", " : "", *known);
        used += more > 0 ? (size_t)more : 0;
    }
}

static enum status unknown(const struct section *section, const char *const *known,
                           const char *name)
{
    char names[256];
    list(known, names, sizeof(names));
    return problem_set(section->problem, STATUS_INVALID,
                       "%s.%.64s: there is no such field; there are: %s", section->path, name,
                       *names ? names : "none");
}

enum status section_check(const struct section *section, const char *const *known)
{
    const char *name;
    json_t *value;
    if (section->object && !json_is_null(section->object) && !json_is_object(section->object))
        return problem_set(section->problem, STATUS_INVALID,
                           "%s: wanted are fields, or {} for none", section->path);
    json_object_foreach((json_t *)section->object, name, value)
    {
        const char *const *at = known;
        while (*at && strcmp(*at, name) != 0)
            at++;
        if (!*at)
            return unknown(section, known, name);
    }
    return STATUS_OK;
}

static const json_t *get(const struct section *section, const char *field)
{
    const json_t *value = json_object_get(section->object, field);
    return json_is_null(value) ? NULL : value;
}

enum status section_integer(const struct section *section, const char *field, int64_t least,
                            int64_t most, int64_t otherwise, const char *what, int64_t *ret_value)
{
    const json_t *value = get(section, field);
    int64_t number = value ? json_integer_value(value) : otherwise;
    if (value && (!json_is_integer(value) || number < least || number > most))
        return problem_set(section->problem, STATUS_INVALID,
                           "%s.%s: wanted is a whole number from %" PRId64 " to %" PRId64 ": %s",
                           section->path, field, least, most, what);
    *ret_value = number;
    return STATUS_OK;
}

enum status section_boolean(const struct section *section, const char *field, bool otherwise,
                            const char *what, bool *ret_value)
{
    const json_t *value = get(section, field);
    if (value && !json_is_boolean(value))
        return problem_set(section->problem, STATUS_INVALID, "%s.%s: wanted is true or false: %s",
                           section->path, field, what);
    *ret_value = value ? json_is_true(value) : otherwise;
    return STATUS_OK;
}

enum status section_text(const struct section *section, const char *field, const char *otherwise,
                         const char *what, const char **ret_value)
{
    const json_t *value = get(section, field);
    if (value && json_string_length(value) == 0)
        return problem_set(section->problem, STATUS_INVALID, "%s.%s: wanted is text: %s",
                           section->path, field, what);
    *ret_value = value ? json_string_value(value) : otherwise;
    return STATUS_OK;
}
