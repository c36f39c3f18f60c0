#include "engine/edge/section.h"

#include <string.h>

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names != NULL; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

/* "a, b, c" */
static void print_names(const char *const *names, char *ret_text, size_t bytes_max)
{
    size_t bytes = 0;
    ret_text[0] = '\0';
    for (uint32_t i = 0; names[i] != NULL && bytes < bytes_max; i++)
        bytes += (size_t)snprintf(ret_text + bytes, bytes_max - bytes, "%s%s", i > 0 ? ", " : "",
                                  names[i]);
}

enum status section_check(const json_t *config, const char *path, const char *const *names,
                          struct problem *problem)
{
    if (config == NULL || json_is_null(config))
        return STATUS_OK;
    if (!json_is_object(config))
        return problem_set(problem, STATUS_INVALID, "%s: a section is a mapping of fields: %s: {}",
                           path, path);
    char known[512];
    print_names(names, known, sizeof known);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)config, name, value)
    {
        if (!is_one_of(name, names))
            return problem_set(problem, STATUS_INVALID, "%s.%s: there is no such field; known: %s",
                               path, name, known);
    }
    return STATUS_OK;
}

enum status section_count(const json_t *config, const char *path, const char *name, uint32_t least,
                          uint32_t most, uint32_t *value, struct problem *problem)
{
    const json_t *field = json_object_get(config, name);
    if (field == NULL)
        return STATUS_OK;
    json_int_t number = json_integer_value(field);
    if (!json_is_integer(field) || number < (json_int_t)least || number > (json_int_t)most)
        return problem_set(problem, STATUS_INVALID, "%s.%s: has to be a whole number from %u to %u",
                           path, name, least, most);
    *value = (uint32_t)number;
    return STATUS_OK;
}

enum status section_text(const json_t *config, const char *path, const char *name, size_t bytes_max,
                         const char **value, struct problem *problem)
{
    const json_t *field = json_object_get(config, name);
    if (field == NULL)
        return STATUS_OK;
    size_t bytes = json_string_length(field);
    if (!json_is_string(field) || bytes == 0 || bytes > bytes_max)
        return problem_set(problem, STATUS_INVALID, "%s.%s: has to be a text of 1 to %zu bytes",
                           path, name, bytes_max);
    *value = json_string_value(field);
    return STATUS_OK;
}

enum status section_flag(const json_t *config, const char *path, const char *name, bool *value,
                         struct problem *problem)
{
    const json_t *field = json_object_get(config, name);
    if (field == NULL)
        return STATUS_OK;
    if (!json_is_boolean(field))
        return problem_set(problem, STATUS_INVALID, "%s.%s: has to be true or false", path, name);
    *value = json_is_true(field);
    return STATUS_OK;
}
