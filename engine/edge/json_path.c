#include "engine/edge/json_path.h"

#include <stdlib.h>
#include <string.h>

/* One ".name" or "[index]" at `at`; NULL: it is neither. */
static const char *step_end(const char *at)
{
    if (*at == '.') {
        size_t bytes = strcspn(at + 1, ".[");
        return bytes ? at + 1 + bytes : NULL;
    }
    if (*at != '[')
        return NULL;
    size_t digits = strspn(at + 1, "0123456789");
    return digits && digits < 10 && at[1 + digits] == ']' ? at + digits + 2 : NULL;
}

bool json_path_is(const char *path)
{
    if (*path != '$')
        return false;
    for (path++; path && *path;)
        path = step_end(path);
    return path != NULL;
}

static const json_t *step(const json_t *value, const char *at, const char *end)
{
    if (*at == '[')
        return json_array_get(value, strtoul(at + 1, NULL, 10));
    return json_object_getn(value, at + 1, (size_t)(end - at - 1));
}

json_t *json_path_get(const json_t *value, const char *path)
{
    if (*path != '$')
        return NULL;
    for (path++; value && *path;) {
        const char *end = step_end(path);
        if (!end)
            return NULL;
        value = step(value, path, end);
        path = end;
    }
    return (json_t *)value;
}
