#include "engine/saga/value.h"

#include <assert.h>
#include <string.h>

#include "engine/base/cursor.h"
#include "engine/saga/sink.h"
#include "engine/saga/utf8.h"

/* ---- check ---------------------------------------------------------------------------------- */

/* A container that is being read. In a map, keys and values alternate: an even number of values
 * still wanted means that a key is next. */
struct level {
    uint64_t wanted;
    bool is_map;
};

static const char not_utf8[] = "a string is not UTF-8";

/* The fault that the head at `at` shows by itself, or NULL; `shape` is its shape, if it has one. */
static inline const char *fault_of_head(const uint8_t *at, const uint8_t *end,
                                        const struct cursor_shape *shape, bool key_is_next)
{
    if (shape == NULL)
        return at < end && *at == 0xc1 ? "it holds the byte 0xc1, which is not msgpack"
                                       : "it is cut off";
    if (key_is_next && shape->type != FLYOVER_STR)
        return "the key of a map is not a string";
    if (shape->type == FLYOVER_EXT)
        return "it holds an ext type, which has no meaning here";
    return NULL;
}

/* The first fault of the bytes as one value, or NULL. */
static const char *find_fault(const uint8_t *at, const uint8_t *end)
{
    struct level outer[FLYOVER_DEPTH_MAX];
    struct level level = {.wanted = 1, .is_map = false};
    uint32_t depth = 0;
    for (;;) {
        bool key_is_next = level.is_map && level.wanted % 2 == 0;
        uint32_t length;
        level.wanted--;
        if (cursor_is_short_str(at, end, &length)) {
            if (!utf8_check(at + 1, length))
                return not_utf8;
            at += 1 + length;
        } else {
            const struct cursor_shape *shape = cursor_head(at, end, &length);
            const char *fault = fault_of_head(at, end, shape, key_is_next);
            if (fault != NULL)
                return fault;
            at += shape->head_bytes;
            if (cursor_shape_is_leaf(shape)) {
                if (shape->type == FLYOVER_STR && !utf8_check(at, length))
                    return not_utf8;
                at += length;
            } else {
                if (depth == FLYOVER_DEPTH_MAX)
                    return "it is nested too deep";
                outer[depth++] = level;
                level.is_map = shape->type == FLYOVER_MAP;
                level.wanted = (uint64_t)length << level.is_map;
            }
        }
        while (level.wanted == 0) {
            if (depth == 0)
                return at == end ? NULL : "bytes follow the value";
            level = outer[--depth];
        }
    }
}

bool value_check(struct flyover_bytes value, const char **ret_reason)
{
    const char *reason =
        value.count == 0 ? "it is empty" : find_fault(value.at, value.at + value.count);
    if (reason != NULL && ret_reason != NULL)
        *ret_reason = reason;
    return reason == NULL;
}

/* ---- walk ----------------------------------------------------------------------------------- */

static struct flyover_cursor cursor_of(struct flyover_bytes value)
{
    assert(value.count > 0);
    return (struct flyover_cursor){value.at, value.at + value.count};
}

static bool enter_index(struct flyover_cursor *cursor, uint32_t index)
{
    uint32_t count;
    if (!flyover_read_array(cursor, &count) || index >= count)
        return false;
    for (; index > 0; index--) {
        if (!flyover_skip(cursor))
            return false;
    }
    return true;
}

static bool enter_part(struct flyover_cursor *cursor, const struct path_part *part)
{
    if (part->kind == PATH_FIELD)
        return cursor_find(cursor, part->field, cursor);
    return enter_index(cursor, part->index);
}

/* The bytes of the one value under the cursor. */
static struct flyover_bytes extent(struct flyover_cursor cursor)
{
    const uint8_t *start = cursor.at;
    bool whole = flyover_skip(&cursor);
    assert(whole);
    return (struct flyover_bytes){start, (uint32_t)(cursor.at - start)};
}

bool value_at_parts(struct flyover_bytes value, const struct path_part *parts, uint32_t parts_count,
                    struct flyover_bytes *ret_found)
{
    assert(parts_count <= PATH_PARTS_MAX);
    struct flyover_cursor cursor = cursor_of(value);
    for (uint32_t part = 0; part < parts_count; part++) {
        if (!enter_part(&cursor, &parts[part]))
            return false;
    }
    *ret_found = parts_count == 0 ? value : extent(cursor);
    return true;
}

bool value_at(struct flyover_bytes value, const struct path *path, struct flyover_bytes *ret_found)
{
    return value_at_parts(value, path->parts, path->parts_count, ret_found);
}

/* ---- build ---------------------------------------------------------------------------------- */

/* `part` inside the maps of the fields first.. of the path; the first field goes into a map that
 * is written already. */
static void sink_fields(struct sink *sink, const struct path *path, uint32_t first,
                        struct flyover_bytes part)
{
    for (uint32_t index = first; index < path->parts_count; index++) {
        if (index > first)
            sink_map(sink, 1);
        sink_str(sink, path->parts[index].field);
    }
    sink_bytes(sink, part.at, part.count);
}

/* The value that takes the place of `old`, where the path from part `first` on does not exist. */
static void sink_created(struct sink *sink, const struct path *path, uint32_t first,
                         struct flyover_bytes old, struct flyover_bytes part)
{
    struct flyover_cursor pairs_of = cursor_of(old);
    uint32_t pairs;
    if (flyover_read_map(&pairs_of, &pairs)) {
        sink_map(sink, pairs + 1);
        sink_bytes(sink, pairs_of.at, (size_t)(pairs_of.end - pairs_of.at));
    } else {
        sink_map(sink, 1);
    }
    sink_fields(sink, path, first, part);
}

/* A map around a part makes it one deeper. */
static bool fits_below(struct flyover_bytes part, uint32_t maps_count)
{
    struct flyover_cursor cursor = cursor_of(part);
    return cursor_skip(&cursor, FLYOVER_DEPTH_MAX - maps_count);
}

size_t value_put_at(struct flyover_bytes value, const struct path *path, struct flyover_bytes part,
                    uint8_t *out, size_t capacity)
{
    assert(path->parts_count <= PATH_PARTS_MAX);
    if (!fits_below(part, path->parts_count))
        return 0;
    struct flyover_cursor cursor = cursor_of(value);
    uint32_t known = 0; /* parts of the path that exist */
    for (; known < path->parts_count; known++) {
        assert(path->parts[known].kind == PATH_FIELD);
        if (!cursor_find(&cursor, path->parts[known].field, &cursor))
            break;
    }
    /* Only the bytes of one value change: the part itself, or what will hold its first new map. */
    struct flyover_bytes old = known == 0 ? value : extent(cursor);
    struct sink sink = sink_into(out, capacity);
    sink_bytes(&sink, value.at, (size_t)(old.at - value.at));
    if (known == path->parts_count)
        sink_bytes(&sink, part.at, part.count);
    else
        sink_created(&sink, path, known, old, part);
    const uint8_t *rest = old.at + old.count;
    sink_bytes(&sink, rest, (size_t)(value.at + value.count - rest));
    return sink_result(&sink);
}

/* Text from a plug-in, which nobody has checked: a byte that is not UTF-8 becomes '?'. */
static void sink_text(struct sink *sink, struct flyover_bytes text)
{
    sink_str_head(sink, text.count);
    while (text.count > 0) {
        uint32_t bytes = utf8_character_bytes(text.at, text.count);
        sink_bytes(sink, bytes == 0 ? (const uint8_t *)"?" : text.at, bytes == 0 ? 1 : bytes);
        text.at += bytes == 0 ? 1 : bytes;
        text.count -= bytes == 0 ? 1 : bytes;
    }
}

size_t value_make_error(struct flyover_bytes name, struct flyover_bytes cause, uint8_t *out,
                        size_t capacity)
{
    struct sink sink = sink_into(out, capacity);
    sink_map(&sink, 2);
    sink_literal(&sink, "Error");
    sink_text(&sink, name);
    sink_literal(&sink, "Cause");
    sink_text(&sink, cause);
    return sink_result(&sink);
}

size_t value_make_undo(struct flyover_bytes input, struct flyover_bytes output, uint8_t *out,
                       size_t capacity)
{
    assert(input.count > 0 && output.count > 0);
    struct sink sink = sink_into(out, capacity);
    sink_map(&sink, 2);
    sink_literal(&sink, "input");
    sink_bytes(&sink, input.at, input.count);
    sink_literal(&sink, "output");
    sink_bytes(&sink, output.at, output.count);
    return sink_result(&sink);
}
