/*
 * http_form: JSON as "application/x-www-form-urlencoded" and as a query, the way of Step Functions'
 * HTTP Task (Transform, QueryParameters).
 *
 * {"a": "x y", "b": {"c": 1}} is "a=x%20y&b[c]=1". Arrays go by `format`:
 *     INDICES  a[0]=x&a[1]=y     REPEAT  a=x&a=y     COMMAS  a=x,y     BRACKETS  a[]=x&a[]=y
 * Booleans are true and false, null is nothing: "a=".
 *
 * Memory: text grows by itself; its end is always a zero byte. Depth: the caller's, by recursion.
 */
#ifndef ENGINE_EDGE_HTTP_FORM_H
#define ENGINE_EDGE_HTTP_FORM_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum http_array { HTTP_INDICES, HTTP_REPEAT, HTTP_COMMAS, HTTP_BRACKETS };

struct http_text {
    char *at; /* of malloc; NULL as long as nothing was added */
    size_t count, capacity;
    bool is_out_of_memory;
};

void http_text_add(struct http_text *text, const char *bytes, size_t count);
void http_text_print(struct http_text *text, const char *string);
/* All but letters, digits, '-', '.', '_' and '~' as %XX. */
void http_text_encode(struct http_text *text, const char *bytes, size_t count);
/* A string, number, boolean or null as it is written; false: it is an array or an object. */
bool http_text_scalar(struct http_text *text, const json_t *value);

bool http_array_find(const char *name, enum http_array *ret_format);
/* Adds `object` to what is there, with '&' in between. False: something in it cannot be written
 * this way (COMMAS of arrays or objects). */
bool http_form_add(struct http_text *text, const json_t *object, enum http_array format);

#endif
