#include "engine/edge/http_form.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/json_text.h"

#define UNRESERVED "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

/* ---- text ---------------------------------------------------------------------------------------
 */

static bool make_room(struct http_text *text, size_t count)
{
    if (text->count + count + 1 <= text->capacity)
        return true;
    size_t capacity = 2 * text->capacity + count + 256;
    char *at = realloc(text->at, capacity);
    text->is_out_of_memory |= at == NULL;
    if (at == NULL)
        return false;
    text->at = at;
    text->capacity = capacity;
    return true;
}

void http_text_add(struct http_text *text, const char *bytes, size_t count)
{
    if (!make_room(text, count))
        return;
    memcpy(text->at + text->count, bytes, count);
    text->count += count;
    text->at[text->count] = '\0';
}

void http_text_print(struct http_text *text, const char *string)
{
    http_text_add(text, string, strlen(string));
}

void http_text_encode(struct http_text *text, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char hex[4];
        if (bytes[i] != '\0' && strchr(UNRESERVED, bytes[i]) != NULL) {
            http_text_add(text, bytes + i, 1);
            continue;
        }
        snprintf(hex, sizeof hex, "%%%02X", (unsigned)(unsigned char)bytes[i]);
        http_text_add(text, hex, 3);
    }
}

bool http_text_scalar(struct http_text *text, const json_t *value)
{
    if (json_is_array(value) || json_is_object(value))
        return false;
    if (json_is_string(value)) {
        http_text_add(text, json_string_value(value), json_string_length(value));
        return true;
    }
    char *written = json_is_null(value) ? strdup("") : json_text(value);
    if (written != NULL)
        http_text_print(text, written);
    text->is_out_of_memory |= written == NULL;
    free(written);
    return true;
}

/* ---- forms --------------------------------------------------------------------------------------
 */

bool http_array_find(const char *name, enum http_array *ret_format)
{
    static const char *const names[] = {[HTTP_INDICES] = "INDICES",
                                        [HTTP_REPEAT] = "REPEAT",
                                        [HTTP_COMMAS] = "COMMAS",
                                        [HTTP_BRACKETS] = "BRACKETS"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0) {
            *ret_format = (enum http_array)i;
            return true;
        }
    return false;
}

static bool add_value(struct http_text *text, const char *name, const json_t *value,
                      enum http_array format);

static bool encode_scalar(struct http_text *text, const json_t *value)
{
    struct http_text written = {0};
    bool is_scalar = http_text_scalar(&written, value);
    if (is_scalar && written.at != NULL)
        http_text_encode(text, written.at, written.count);
    text->is_out_of_memory |= written.is_out_of_memory;
    free(written.at);
    return is_scalar;
}

static void start_pair(struct http_text *text, const char *name)
{
    if (text->count > 0)
        http_text_print(text, "&");
    http_text_print(text, name);
    http_text_print(text, "=");
}

static bool add_commas(struct http_text *text, const char *name, const json_t *array)
{
    size_t i;
    json_t *value;
    start_pair(text, name);
    json_array_foreach(array, i, value)
    {
        if (i > 0)
            http_text_print(text, ",");
        if (!encode_scalar(text, value))
            return false;
    }
    return true;
}

static bool add_element(struct http_text *text, const char *name, size_t index, const json_t *value,
                        enum http_array format)
{
    struct http_text inner = {0};
    char suffix[32] = "";
    if (format == HTTP_INDICES)
        snprintf(suffix, sizeof suffix, "[%zu]", index);
    else if (format == HTTP_BRACKETS)
        snprintf(suffix, sizeof suffix, "[]");
    http_text_print(&inner, name);
    http_text_print(&inner, suffix);
    bool is_added = inner.is_out_of_memory || add_value(text, inner.at, value, format);
    text->is_out_of_memory |= inner.is_out_of_memory;
    free(inner.at);
    return is_added;
}

static bool add_array(struct http_text *text, const char *name, const json_t *array,
                      enum http_array format)
{
    size_t i;
    json_t *value;
    if (format == HTTP_COMMAS)
        return add_commas(text, name, array);
    json_array_foreach(array, i,
                       value) if (!add_element(text, name, i, value, format)) return false;
    return true;
}

/* `name` is NULL at the top. */
static bool add_field(struct http_text *text, const char *name, const char *key,
                      const json_t *value, enum http_array format)
{
    struct http_text inner = {0};
    if (name != NULL) {
        http_text_print(&inner, name);
        http_text_print(&inner, "[");
    }
    http_text_encode(&inner, key, strlen(key));
    http_text_print(&inner, name != NULL ? "]" : "");
    bool is_added = inner.is_out_of_memory || add_value(text, inner.at, value, format);
    text->is_out_of_memory |= inner.is_out_of_memory;
    free(inner.at);
    return is_added;
}

static bool add_object(struct http_text *text, const char *name, const json_t *object,
                       enum http_array format)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key,
                        value) if (!add_field(text, name, key, value, format)) return false;
    return true;
}

static bool add_value(struct http_text *text, const char *name, const json_t *value,
                      enum http_array format)
{
    if (json_is_object(value))
        return add_object(text, name, value, format);
    if (json_is_array(value))
        return add_array(text, name, value, format);
    start_pair(text, name);
    return encode_scalar(text, value);
}

bool http_form_add(struct http_text *text, const json_t *object, enum http_array format)
{
    return add_object(text, NULL, object, format);
}
