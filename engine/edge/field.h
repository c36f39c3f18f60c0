/*
 * field: what modules read of values that passed value_check: a map's fields, by name.
 *
 * Threads: none. Memory: all is lent by the value.
 */
#ifndef ENGINE_EDGE_FIELD_H
#define ENGINE_EDGE_FIELD_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/flyover_service.h"

struct flyover_cursor field_cursor(struct flyover_bytes value);
/* The whole value under the cursor, which moves behind it. */
struct flyover_bytes field_take(struct flyover_cursor *cursor);
/* A value that is text; at NULL: it is none. */
struct flyover_bytes field_as_text(struct flyover_bytes value);

/* False: `map` is none, or has no such field. */
bool field_find(struct flyover_bytes map, const char *name, struct flyover_bytes *ret_value);
/* False too where it is null. */
bool field_get(struct flyover_bytes map, const char *name, struct flyover_bytes *ret_value);
/* at NULL: it is no text, or not there. */
struct flyover_bytes field_text(struct flyover_bytes map, const char *name);
/* The same, terminated, cut at ret_bytes; false: there is none. */
bool field_copy_text(struct flyover_bytes map, const char *name, char *ret_text, size_t ret_bytes);
bool field_is_true(struct flyover_bytes map, const char *name);

/* A C string as a text; and whether a text is this one. */
struct flyover_bytes field_bytes(const char *text);
bool field_text_is(struct flyover_bytes text, const char *other);

#endif
