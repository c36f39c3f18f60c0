#include "engine/edge/json_path.h"

#include <stdlib.h>
#include <string.h>

/* One ".name", "[index]" or "['name']". */
struct step {
    const char *name; /* NULL: an index */
    size_t name_bytes, index;
};

static const char *read_name(const char *at, struct step *ret_step)
{
    size_t bytes = strcspn(at, ".[ \t\n$*?()@'\"");
    *ret_step = (struct step){.name = at, .name_bytes = bytes};
    return bytes ? at + bytes : NULL;
}

static const char *read_quoted(const char *at, struct step *ret_step)
{
    const char *end = strchr(at + 1, *at);
    if (!end || end[1] != ']')
        return NULL;
    *ret_step = (struct step){.name = at + 1, .name_bytes = (size_t)(end - at - 1)};
    return end + 2;
}

static const char *read_index(const char *at, struct step *ret_step)
{
    size_t digits = strspn(at, "0123456789");
    if (digits == 0 || digits > 9 || at[digits] != ']')
        return NULL;
    *ret_step = (struct step){.index = strtoul(at, NULL, 10)};
    return at + digits + 1;
}

/* What is behind it; NULL: it is none. */
static const char *read_step(const char *at, struct step *ret_step)
{
    if (*at == '.')
        return read_name(at + 1, ret_step);
    if (*at != '[')
        return NULL;
    return at[1] == '\'' || at[1] == '"' ? read_quoted(at + 1, ret_step)
                                         : read_index(at + 1, ret_step);
}

bool json_path_is(const char *path)
{
    struct step step;
    if (*path != '$')
        return false;
    for (path++; path && *path;)
        path = read_step(path, &step);
    return path != NULL;
}

json_t *json_path_get(const json_t *value, const char *path)
{
    struct step step;
    if (*path != '$')
        return NULL;
    for (path++; value && *path;) {
        path = read_step(path, &step);
        if (!path)
            return NULL;
        value = step.name ? json_object_getn(value, step.name, step.name_bytes)
                          : json_array_get(value, step.index);
    }
    return (json_t *)value;
}
