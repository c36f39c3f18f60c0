/*
 * json_path: a reference path: $, $.order.lines[0].id, $['a name'].x. Names and indexes, no more; a
 * name with a space, a quote or one of .[$*?()@ in it needs the brackets.
 *
 * Threads: any. Memory: none.
 */
#ifndef ENGINE_EDGE_JSON_PATH_H
#define ENGINE_EDGE_JSON_PATH_H

#include <jansson.h>
#include <stdbool.h>

/* It begins with '$' and is whole. */
bool json_path_is(const char *path);
/* Lent by `value`; NULL: there is nothing, or no path. */
json_t *json_path_get(const json_t *value, const char *path);

#endif
