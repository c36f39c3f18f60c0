/*
 * text: JSON, or another text, that is written from its beginning to its end, into memory that
 * grows.
 *
 * Threads: none. Memory: owned until text_free. Want of memory is remembered, and the text is then
 * of no use.
 */
#ifndef ENGINE_EDGE_TEXT_H
#define ENGINE_EDGE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/flyover_service.h"

struct text {
    char *at; /* not terminated */
    size_t bytes, capacity;
    bool failed; /* there was no memory */
};

/* As it is. */
void text_put(struct text *text, const char *string);
void text_put_bytes(struct text *text, const void *bytes, size_t count);
/* `before` as it is, then the number. */
void text_put_number(struct text *text, const char *before, uint32_t number);
/* With quotes, escaped. */
void text_string(struct text *text, const char *string, size_t string_bytes);
/* Of a value that passes value_check. */
void text_value(struct text *text, struct flyover_bytes value);
/* The members of a map, each with a comma before it. */
void text_members(struct text *text, struct flyover_bytes map);
void text_free(struct text *text);

#endif
