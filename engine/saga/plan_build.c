#include "engine/saga/plan_build.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/nearest.h"
#include "engine/saga/utf8.h"

#define POINTER_BYTES  512u
#define SENTENCE_BYTES 768u

/* ---- refusals ------------------------------------------------------------------------------ */

void plan_build_tidy(char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        size_t count = utf8_character_bytes((const uint8_t *)text, left);
        if (count == 0 || (uint8_t)*text < 0x20 || *text == 0x7f) {
            *text = '?';
            count = 1;
        }
        text += count;
        left -= count;
    }
}

static void append_escaped(char *pointer, const char *field)
{
    size_t count = strlen(pointer);
    for (; *field != '\0' && count < POINTER_BYTES - 3; field++) {
        bool special = *field == '~' || *field == '/';
        pointer[count++] = special ? '~' : *field;
        if (special)
            pointer[count++] = *field == '~' ? '0' : '1';
    }
    pointer[count] = '\0';
}

/* RFC 6901. A pointer that is too long for its sentence is cut. */
static void append_pointer(char *pointer, const struct place *at)
{
    if (at == NULL)
        return;
    append_pointer(pointer, at->up);
    size_t count = strlen(pointer);
    if (at->field == NULL) {
        snprintf(pointer + count, POINTER_BYTES - count, "/%zu", at->index);
    } else {
        snprintf(pointer + count, POINTER_BYTES - count, "/");
        append_escaped(pointer, at->field);
    }
}

bool plan_build_refuse(struct plan_build *build, enum status status, const struct place *at,
                       const char *format, ...)
{
    assert(build->status == STATUS_OK && status != STATUS_OK);
    char pointer[POINTER_BYTES] = "", sentence[SENTENCE_BYTES];
    append_pointer(pointer, at);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);

    build->status = problem_set(build->problem, status, "%s: %s%s%s", build->source, pointer,
                                at == NULL ? "" : ": ", sentence);
    if (build->problem != NULL)
        plan_build_tidy(build->problem->text);
    return false;
}

/* ---- pieces -------------------------------------------------------------------------------- */

const char *plan_build_kind(const json_t *value)
{
    assert(value != NULL);
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER:
    case JSON_REAL: return "a number";
    case JSON_TRUE: return "true";
    case JSON_FALSE: return "false";
    case JSON_NULL: return "null";
    }
    assert(false && "a JSON value of no kind");
    return "";
}

bool plan_build_text(struct plan_build *build, const json_t *object, const char *field,
                     const struct place *at, const char **ret_text)
{
    const json_t *value = json_object_get(object, field);
    if (value == NULL)
        return plan_build_refuse(build, STATUS_INVALID, at, "there is no %s, which must be here",
                                 field);
    if (!json_is_string(value))
        return plan_build_refuse(build, STATUS_INVALID, PLACE_FIELD(at, field),
                                 "must be a string, not %s", plan_build_kind(value));
    *ret_text = json_string_value(value);
    return true;
}

bool plan_build_flag(struct plan_build *build, const json_t *object, const char *field,
                     const struct place *at, bool *ret_flag)
{
    const json_t *value = json_object_get(object, field);
    if (value == NULL)
        return true;
    if (!json_is_boolean(value))
        return plan_build_refuse(build, STATUS_INVALID, PLACE_FIELD(at, field),
                                 "must be true or false, not %s", plan_build_kind(value));
    *ret_flag = json_is_true(value);
    return true;
}

bool plan_build_integer(struct plan_build *build, const json_t *object, const char *field,
                        uint64_t least, uint64_t most, const struct place *at, uint64_t *ret_value)
{
    const json_t *value = json_object_get(object, field);
    if (value == NULL)
        return true;
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0 || (uint64_t)number < least ||
        (uint64_t)number > most)
        return plan_build_refuse(build, STATUS_INVALID, PLACE_FIELD(at, field),
                                 "must be a whole number from %" PRIu64 " to %" PRIu64, least,
                                 most);
    *ret_value = (uint64_t)number;
    return true;
}

bool plan_build_seconds(struct plan_build *build, const json_t *object, const char *field,
                        const struct place *at, uint64_t *ret_ms)
{
    uint64_t seconds = *ret_ms / 1000;
    if (!plan_build_integer(build, object, field, 1, PLAN_WAIT_MS_MAX / 1000, at, &seconds))
        return false;
    *ret_ms = seconds * 1000;
    return true;
}

bool plan_build_is_name(const char *text, size_t count, bool dots)
{
    if (count == 0 || count > FLYOVER_NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        char letter = text[i];
        bool fine = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
                    (letter >= '0' && letter <= '9') || letter == '-' || letter == '_' ||
                    (letter == '.' && dots);
        if (!fine)
            return false;
    }
    return true;
}

struct flyover_bytes plan_build_keep(struct plan_build *build, const char *text)
{
    size_t count = strlen(text);
    assert(count <= (size_t)(build->text_end - build->text_next));
    struct flyover_bytes kept = {.at = build->text_next, .count = (uint32_t)count};
    memcpy(build->text_next, text, count);
    build->text_next += count;
    return kept;
}

bool plan_build_state(struct plan_build *build, const json_t *object, const char *field,
                      const struct place *at, uint16_t *ret_state)
{
    const struct plan *plan = build->plan;
    const char *name = NULL;
    if (!plan_build_text(build, object, field, at, &name))
        return false;
    for (uint32_t i = 0; i < plan->states_count; i++) {
        if (strcmp(plan->states[i].name, name) == 0) {
            *ret_state = (uint16_t)i;
            return true;
        }
    }
    struct nearest nearest = nearest_to(name);
    for (uint32_t i = 0; i < plan->states_count; i++)
        nearest_offer(&nearest, plan->states[i].name);
    char hint[NEAREST_HINT_BYTES];
    nearest_hint(&nearest, "; name one that stands under States", hint);
    return plan_build_refuse(build, STATUS_INVALID, PLACE_FIELD(at, field),
                             "there is no state \"%.80s\"%s", name, hint);
}

/* ---- paths --------------------------------------------------------------------------------- */

bool plan_build_path(struct plan_build *build, const json_t *object, const char *field,
                     const struct place *at, struct path *ret_path)
{
    const char *text = NULL;
    if (!plan_build_text(build, object, field, at, &text))
        return false;
    size_t count = strlen(text);
    assert(count <= (size_t)(build->text_end - build->text_next));
    struct problem problem = {.text = ""};
    enum status status = path_compile(text, count, build->text_next, ret_path, &problem);
    if (status != STATUS_OK)
        return plan_build_refuse(build, status, PLACE_FIELD(at, field), "%.600s", problem.text);
    build->text_next += count;
    return true;
}

bool plan_build_result_path(struct plan_build *build, const json_t *object, const struct place *at,
                            enum result_path_kind *ret_kind, struct path *ret_path)
{
    const json_t *value = json_object_get(object, "ResultPath");
    const struct place *here = PLACE_FIELD(at, "ResultPath");
    if (value == NULL || json_is_null(value)) {
        *ret_kind = value == NULL ? RESULT_REPLACES : RESULT_DROPPED;
        return true;
    }
    if (!json_is_string(value))
        return plan_build_refuse(build, STATUS_INVALID, here,
                                 "must be a path such as \"$.payment\", or null, not %s",
                                 plan_build_kind(value));
    if (!plan_build_path(build, object, "ResultPath", at, ret_path))
        return false;
    for (uint32_t i = 0; i < ret_path->parts_count; i++)
        if (ret_path->parts[i].kind == PATH_INDEX)
            return plan_build_refuse(build, STATUS_UNSUPPORTED, here,
                                     "a result cannot be put into an array; use field names only, "
                                     "such as \"$.payment\"");
    *ret_kind = ret_path->parts_count == 0 ? RESULT_REPLACES : RESULT_INTO;
    return true;
}

/* ---- error names --------------------------------------------------------------------------- */

static const char *const reserved_error_names[] = {
    "States.ALL",
    "States.BranchFailed",
    "States.DataLimitExceeded",
    "States.ExceedToleratedFailureThreshold",
    "States.HeartbeatTimeout",
    "States.Http.Socket",
    "States.IntrinsicFailure",
    "States.ItemReaderFailed",
    "States.NoChoiceMatched",
    "States.ParameterPathFailure",
    "States.Permissions",
    "States.QueryEvaluationError",
    "States.ResultPathMatchFailure",
    "States.ResultWriterFailed",
    "States.Runtime",
    "States.TaskFailed",
    "States.Timeout",
};

/* "States.Http.StatusCode.503" */
static bool is_http_status(const char *name)
{
    static const char prefix[] = "States.Http.StatusCode.";
    const char *digits = name + sizeof prefix - 1;
    return strncmp(name, prefix, sizeof prefix - 1) == 0 && strlen(digits) == 3 &&
           strspn(digits, "0123456789") == 3;
}

bool plan_build_check_error_name(struct plan_build *build, const char *name, const struct place *at)
{
    size_t count = strlen(name);
    if (count == 0 || count > FLYOVER_ERROR_NAME_BYTES_MAX)
        return plan_build_refuse(build, STATUS_INVALID, at,
                                 "the name of an error has 1 to %u bytes, this one has %zu",
                                 FLYOVER_ERROR_NAME_BYTES_MAX, count);
    if (strncmp(name, "States.", strlen("States.")) != 0 || is_http_status(name))
        return true;
    const size_t reserved_count = sizeof reserved_error_names / sizeof reserved_error_names[0];
    for (size_t i = 0; i < reserved_count; i++)
        if (strcmp(reserved_error_names[i], name) == 0)
            return true;
    struct nearest nearest = nearest_to(name);
    for (size_t i = 0; i < reserved_count; i++)
        nearest_offer(&nearest, reserved_error_names[i]);
    char hint[NEAREST_HINT_BYTES];
    nearest_hint(&nearest, "; give errors of your own another prefix", hint);
    return plan_build_refuse(
        build, STATUS_INVALID, at,
        "names that begin with \"States.\" are reserved, and \"%s\" is not one "
        "of them%s",
        name, hint);
}
