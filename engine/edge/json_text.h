/*
 * json_text: a value of JSON as the text that others read: without spaces, and with each number as
 * short as it can be and still be the same double (0.1, where 17 digits would say
 * 0.10000000000000001).
 */
#ifndef ENGINE_EDGE_JSON_TEXT_H
#define ENGINE_EDGE_JSON_TEXT_H

#include <jansson.h>

/* Returns owned, for free(); NULL for want of memory. A string comes with its quotes. */
char *json_text(const json_t *value);

#endif
