/*
 * value: msgpack payloads as the saga core needs them: checked, walked by ASL reference paths,
 * compared, and rebuilt with a part replaced. Pure functions over bytes; no allocation, no
 * recursion without a bound, nothing kept.
 *
 * Reading is engine/flyover_service.h's cursor (engine/base/cursor.c); this adds what handlers do
 * not need.
 *
 * Source: the msgpack specification; Amazon States Language, "Paths" and "Reference Paths".
 */
#ifndef ENGINE_SAGA_VALUE_H
#define ENGINE_SAGA_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/flyover_service.h"

#define PATH_PARTS_MAX 16u

/* A compiled path: "$", "$.a.b", "$['a b'].c[2]". Parts point into text that the plan owns. */
enum path_part_kind { PATH_FIELD, PATH_INDEX };

struct path_part {
    enum path_part_kind kind;
    struct flyover_bytes field; /* PATH_FIELD */
    uint32_t index;             /* PATH_INDEX */
};

struct path {
    uint32_t parts_count; /* 0: "$" */
    struct path_part parts[PATH_PARTS_MAX];
};

/* Compiles `text`, unescaped field names into `arena` (at least text_bytes), which the path then
 * points into. Wildcards, slices, filters, "$$" (the context object), functions and negative
 * indices are refused by name. STATUS_INVALID, STATUS_UNSUPPORTED. */
NODISCARD enum status path_compile(const char *text, size_t text_bytes, uint8_t *arena,
                                   struct path *ret_path, struct problem *problem);

/* True when the bytes are exactly one whole msgpack value, no deeper than FLYOVER_DEPTH_MAX, map
 * keys strings, strings UTF-8. Ext types are refused. This is the one gate: what passes it is
 * trusted afterwards. `*ret_reason` (may be NULL) says what is wrong, as a static string. */
bool value_check(struct flyover_bytes value, const char **ret_reason);

/* The value at `path`; false where the path leads nowhere. */
bool value_at(struct flyover_bytes value, const struct path *path, struct flyover_bytes *ret_found);
/* The same of a path that is kept as its parts. */
bool value_at_parts(struct flyover_bytes value, const struct path_part *parts, uint32_t parts_count,
                    struct flyover_bytes *ret_found);

/* Writes `value` with the part at `path` replaced by (or created as) `part` into out[capacity].
 * Missing fields on the way are created as maps; a non-map on the way is replaced by a map, as AWS
 * does. Only fields: an index in the path is refused when the plan is compiled (asserted here).
 * Returns the bytes written, or 0 where the result would not fit or would be too deep. `out` does
 * not overlap what is read, here and below. */
size_t value_put_at(struct flyover_bytes value, const struct path *path, struct flyover_bytes part,
                    uint8_t *out, size_t capacity);

/* {"Error": name, "Cause": cause}; returns the bytes written, 0 where it does not fit. A byte that
 * is not UTF-8 becomes '?', so that the result passes value_check whatever a plug-in said. */
size_t value_make_error(struct flyover_bytes name, struct flyover_bytes cause, uint8_t *out,
                        size_t capacity);

/* {"input": input, "output": output}, what a compensation gets; 0 where it does not fit. It may be
 * one deeper than FLYOVER_DEPTH_MAX: what was done can always be undone. */
size_t value_make_undo(struct flyover_bytes input, struct flyover_bytes output, uint8_t *out,
                       size_t capacity);

/* Compares two numbers (int or float, any widths, exactly: no rounding of 64-bit integers to
 * double) or two strings (bytewise): -1, 0, 1 in *ret_order; false where they are not comparable
 * (other types, mixed types, NaN). */
bool value_compare(struct flyover_bytes left, struct flyover_bytes right, int *ret_order);

/* Prints a checked value as one line of JSON (bin as base64, NaN and infinities as null) into
 * text[capacity], always terminated, cut with "..." where it does not fit. What value_check refuses
 * is printed as a string that says why. Returns the length. Built on msgpack-c, takes memory. */
size_t value_print(struct flyover_bytes value, char *text, size_t capacity);

#endif
