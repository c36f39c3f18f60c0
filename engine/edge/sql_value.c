#include "engine/edge/sql_value.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One less than the engine's, since an output is a value of another there. */
#define DEPTH_MAX 30u

/* ---- to text -----------------------------------------------------------------------------------
 */

struct text {
    char *at;
    size_t count, capacity;
    bool failed, zero_byte;
};

static void put(struct text *text, const char *bytes, size_t count)
{
    if (text->failed)
        return;
    if (text->count + count + 1 > text->capacity) {
        size_t capacity = (text->count + count + 1) * 2;
        char *larger = realloc(text->at, capacity);
        text->failed = !larger;
        if (!larger)
            return;
        text->at = larger;
        text->capacity = capacity;
    }
    memcpy(text->at + text->count, bytes, count);
    text->count += count;
    text->at[text->count] = 0;
}

static void put_text(struct text *text, const char *string)
{
    put(text, string, strlen(string));
}

void sql_number_text(double value, char *ret_text)
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(ret_text, 32, "%.*g", digits, value);
        if (strtod(ret_text, NULL) == value)
            return;
    }
}

static void put_number(struct text *text, const json_t *value)
{
    char number[32];
    if (json_is_integer(value))
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
    else
        sql_number_text(json_real_value(value), number);
    put_text(text, number);
}

static int put_dumped(const char *bytes, size_t count, void *context)
{
    put(context, bytes, count);
    return 0;
}

static void put_json(struct text *text, const json_t *value);

static void put_json_string(struct text *text, const json_t *value)
{
    text->zero_byte |= strlen(json_string_value(value)) != json_string_length(value);
    if (json_dump_callback(value, put_dumped, text, JSON_ENCODE_ANY))
        text->failed = true;
}

static void put_json_array(struct text *text, const json_t *value)
{
    for (size_t i = 0; i < json_array_size(value); i++) {
        put_text(text, i ? "," : "[");
        put_json(text, json_array_get(value, i));
    }
    put_text(text, json_array_size(value) ? "]" : "[]");
}

static void put_json_object(struct text *text, const json_t *value)
{
    const char *key;
    json_t *inner;
    bool more = false;
    put_text(text, "{");
    json_object_foreach((json_t *)value, key, inner)
    {
        json_t *name = json_string(key);
        put_text(text, more ? "," : "");
        put_json_string(text, name);
        put_text(text, ":");
        put_json(text, inner);
        json_decref(name);
        more = true;
    }
    put_text(text, "}");
}

/* jansson would write 0.1 with seventeen digits, which a numeric of the server keeps. */
static void put_json(struct text *text, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: put_json_object(text, value); break;
    case JSON_ARRAY: put_json_array(text, value); break;
    case JSON_STRING: put_json_string(text, value); break;
    case JSON_INTEGER:
    case JSON_REAL: put_number(text, value); break;
    case JSON_TRUE: put_text(text, "true"); break;
    case JSON_FALSE: put_text(text, "false"); break;
    case JSON_NULL: put_text(text, "null"); break;
    }
}

static void put_element(struct text *text, const json_t *value);

/* {1,2}, {"a","b\"c"}, {{1},{2}}: PostgreSQL 15, 8.15.2, Array Value Input. */
static void put_array(struct text *text, const json_t *value)
{
    put_text(text, "{");
    for (size_t i = 0; i < json_array_size(value); i++) {
        put_text(text, i ? "," : "");
        put_element(text, json_array_get(value, i));
    }
    put_text(text, "}");
}

static void put_quoted(struct text *text, const char *bytes, size_t count)
{
    put_text(text, "\"");
    for (size_t i = 0; i < count; i++) {
        text->zero_byte |= bytes[i] == 0;
        if (bytes[i] == '"' || bytes[i] == '\\')
            put_text(text, "\\");
        put(text, bytes + i, 1);
    }
    put_text(text, "\"");
}

static void put_element(struct text *text, const json_t *value)
{
    if (json_is_array(value)) {
        put_array(text, value);
    } else if (json_is_string(value)) {
        put_quoted(text, json_string_value(value), json_string_length(value));
    } else if (json_is_object(value)) {
        struct text inner = {0};
        put_json(&inner, value);
        text->failed |= inner.failed;
        text->zero_byte |= inner.zero_byte;
        if (!inner.failed)
            put_quoted(text, inner.at, inner.count);
        free(inner.at);
    } else {
        put_json(text, value);
    }
}

static bool is_json(unsigned type)
{
    return type == SQL_TYPE_JSON || type == SQL_TYPE_JSONB;
}

static bool is_text(unsigned type)
{
    return type == SQL_TYPE_TEXT || type == SQL_TYPE_VARCHAR || type == SQL_TYPE_BPCHAR;
}

static void put_value(struct text *text, const json_t *value, unsigned type)
{
    if (json_is_string(value) && !is_json(type)) {
        text->zero_byte |= strlen(json_string_value(value)) != json_string_length(value);
        put(text, json_string_value(value), json_string_length(value));
    } else if (json_is_array(value) && !is_json(type) && !is_text(type)) {
        put_array(text, value);
    } else {
        put_json(text, value);
    }
}

enum sql_text_end sql_value_text(const json_t *value, unsigned type, char **ret_text)
{
    if (json_is_null(value)) {
        *ret_text = NULL;
        return SQL_TEXT_OK;
    }
    struct text text = {0};
    put_value(&text, value, type);
    if (text.failed || text.zero_byte) {
        free(text.at);
        return text.failed ? SQL_TEXT_NO_MEMORY : SQL_TEXT_ZERO_BYTE;
    }
    *ret_text = text.at;
    return SQL_TEXT_OK;
}

/* ---- back --------------------------------------------------------------------------------------
 */

static bool fits(const json_t *value, uint32_t depth)
{
    if (depth > DEPTH_MAX)
        return false;
    size_t index;
    const char *key;
    json_t *inner;
    json_array_foreach((json_t *)value, index, inner)
    {
        if (!fits(inner, depth + 1))
            return false;
    }
    json_object_foreach((json_t *)value, key, inner)
    {
        if (!fits(inner, depth + 1))
            return false;
    }
    return true;
}

json_t *sql_output(const char *text)
{
    if (!text)
        return json_null();
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    if (value && fits(value, 1))
        return value;
    json_decref(value);
    return json_string(text);
}
