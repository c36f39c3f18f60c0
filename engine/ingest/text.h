/*
 * text: a stretch of bytes that somebody else owns, and the few questions the readers of orders
 * ask of one. Nothing here allocates or fails. Threads: any.
 */
#ifndef ENGINE_INGEST_TEXT_H
#define ENGINE_INGEST_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Borrows `data`, which need not end with a zero. */
struct text {
    const char *data;
    size_t bytes;
};

#define TEXT_SHOWN_BYTES_MAX 40u

/* A text cut and cleaned for a sentence that a person reads. */
struct text_shown {
    char text[TEXT_SHOWN_BYTES_MAX + sizeof "..."];
};

struct text text_from(const char *string);
/* Without the spaces, tabs and carriage returns at both ends. */
struct text text_trim(struct text text);
bool text_equal(struct text a, struct text b);
/* ASCII letters of either case count as the same. */
bool text_equal_any_case(struct text a, struct text b);
/* True for UTF-8 (RFC 3629) without control characters: fit for a terminal and for JSON. */
bool text_is_clean(struct text text);
/* What is not clean becomes question marks; what is too long ends in three dots. */
struct text_shown text_show(struct text text);

#endif
