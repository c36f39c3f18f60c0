/*
 * value_text: payloads as JSON text, both ways, each in one pass over the bytes and without memory
 * of its own (but for the keys of objects that have more than a hundred): what comes and goes at
 * the edges by the ten thousand a second, where a tree of nodes would be most of the work.
 * value_json.h is for what comes as a tree anyway.
 *
 * Text in is RFC 8259 and UTF-8, any value at the top. Integers become the smallest form of
 * msgpack, numbers with a fraction or an exponent a double, members keep their order: the same
 * bytes as value_from_json makes of jansson's tree. Refused, as jansson refuses it: an integer
 * beyond 64 bits, a real beyond a double, \u0000, half a surrogate pair, and a key that an object
 * has twice. (And a zero byte behind a number, which jansson skips.)
 *
 * Text out is compact. A double has as few digits as are read as the same one, with ".0" where it
 * would look like an integer; bin is base64; NaN and infinities are null.
 *
 * Threads: none; pure.
 */
#ifndef ENGINE_SAGA_VALUE_TEXT_H
#define ENGINE_SAGA_VALUE_TEXT_H

#include "engine/base/status.h"
#include "engine/saga/value.h"

/* No text of that many bytes takes more as msgpack: "1.5," takes nine bytes for four. */
#define VALUE_FROM_TEXT_BYTES_MAX(text_bytes) ((text_bytes) / 4 * 9 + 16)

/* The result passes value_check. STATUS_INVALID: the sentence says what is wrong, with line and
 * column, as "invalid token (line 1, column 7)". STATUS_TOO_LARGE: more than `capacity` bytes;
 * STATUS_UNSUPPORTED: nested more than FLYOVER_DEPTH_MAX deep; STATUS_NO_MEMORY: for the keys of a
 * large object. `out` does not overlap `text`. */
NODISCARD enum status value_from_text(const char *text, size_t text_bytes, uint8_t *out,
                                      size_t capacity, size_t *ret_bytes, struct problem *problem);

/* Of a value that passes value_check (or the one of value_make_undo). Returns the bytes written; 0
 * where they do not fit. Not terminated by a zero. */
size_t value_to_text(struct flyover_bytes value, char *out, size_t capacity);
/* A string with its quotes, escaped; 0 where it does not fit. */
size_t value_string_to_text(const char *string, size_t string_bytes, char *out, size_t capacity);

#endif
