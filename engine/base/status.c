#include "engine/base/status.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    const char *text;
    enum status_class class;
} statuses[] = {
#define X(name, class, text) [STATUS_##name] = {#name, text, STATUS_CLASS_##class},
    STATUS_LIST (X)
#undef X
};

const char *status_name(enum status status)
{
    assert((size_t)status < sizeof statuses / sizeof statuses[0]);
    return statuses[status].name;
}

const char *status_text(enum status status)
{
    assert((size_t)status < sizeof statuses / sizeof statuses[0]);
    return statuses[status].text;
}

enum status_class status_class(enum status status)
{
    assert((size_t)status < sizeof statuses / sizeof statuses[0]);
    return statuses[status].class;
}

enum status status_find(const char *name)
{
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        if (name != NULL && strcmp(statuses[i].name, name) == 0)
            return (enum status)i;
    return STATUS_INVALID;
}

enum status problem_set(struct problem *problem, enum status status, const char *format, ...)
{
    if (problem == NULL)
        return status;
    problem->status = status;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(problem->text, sizeof problem->text, format, arguments);
    va_end(arguments);
    return status;
}
