#include "engine/saga/value.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/saga/utf8.h"

/* Text up to a capacity; once it is full, nothing more is added. */
struct page {
    char *text;
    size_t used;
    size_t room; /* the terminator not counted */
    bool full;
};

static void page_add(struct page *page, const char *text, size_t count)
{
    if (page->full)
        return;
    size_t left = page->room - page->used;
    page->full = count > left;
    if (page->full)
        count = left;
    if (count > 0)
        memcpy(page->text + page->used, text, count);
    page->used += count;
}

static void page_add_text(struct page *page, const char *text)
{
    page_add(page, text, strlen(text));
}

/* Cuts to where "..." fits, between two characters, and terminates. */
static size_t page_finish(struct page *page)
{
    static const char dots[] = "...";
    assert(page->used <= page->room);
    if (page->full) {
        size_t dots_count = page->room < 3 ? page->room : 3;
        size_t kept = page->room - dots_count;
        while (kept > 0 && ((unsigned char)page->text[kept] & 0xc0) == 0x80)
            kept--;
        memcpy(page->text + kept, dots, dots_count);
        page->used = kept + dots_count;
    }
    page->text[page->used] = '\0';
    return page->used;
}

/* Control characters are escaped, the C1 ones and DEL too: what a customer typed must not drive
 * the terminal of the operator who prints it. */
static void print_character(struct page *page, const uint8_t *at, uint32_t bytes)
{
    static const char short_forms[] = "btn?fr"; /* from \b, 8, to \r, 13; there is none for 11 */
    uint32_t code = bytes == 1 ? at[0] : bytes == 2 && at[0] == 0xc2 ? at[1] : 0x100;
    bool has_short_form = code >= '\b' && code <= '\r' && code != '\v';
    char escape[8] = {'\\', (char)code, '\0'};
    if (has_short_form)
        escape[1] = short_forms[code - '\b'];
    else if (code < 0x20 || (code >= 0x7f && code < 0xa0))
        snprintf(escape, sizeof escape, "\\u%04x", (unsigned)code & 0xff);
    else if (code != '"' && code != '\\') {
        page_add(page, (const char *)at, bytes);
        return;
    }
    page_add_text(page, escape);
}

static void print_str(struct page *page, const char *text, size_t count)
{
    page_add(page, "\"", 1);
    while (count > 0 && !page->full) {
        const uint8_t *at = (const uint8_t *)text;
        uint32_t bytes = utf8_character_bytes(at, count);
        assert(bytes > 0);
        print_character(page, at, bytes);
        text += bytes;
        count -= bytes;
    }
    page_add(page, "\"", 1);
}

/* RFC 4648, with padding. */
static void print_bin(struct page *page, const uint8_t *at, size_t count)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    page_add(page, "\"", 1);
    for (; count > 0 && !page->full; at += 3) {
        uint32_t bits = (uint32_t)at[0] << 16;
        bits |= count > 1 ? (uint32_t)at[1] << 8 : 0;
        bits |= count > 2 ? at[2] : 0;
        char group[4] = {digits[bits >> 18], digits[(bits >> 12) & 63], digits[(bits >> 6) & 63],
                         digits[bits & 63]};
        if (count < 3)
            group[3] = '=';
        if (count < 2)
            group[2] = '=';
        page_add(page, group, sizeof group);
        count -= count < 3 ? count : 3;
    }
    page_add(page, "\"", 1);
}

/* The shortest digits that read back as the same number; JSON has no word for the others. */
static void print_real(struct page *page, double value, bool single)
{
    char text[40];
    if (!isfinite(value)) {
        page_add_text(page, "null");
        return;
    }
    int digits = single ? 6 : 15;
    int digits_max = single ? 9 : 17;
    for (; digits <= digits_max; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        double back = single ? (double)strtof(text, NULL) : strtod(text, NULL);
        if (back == value)
            break;
    }
    page_add_text(page, text);
    if (strpbrk(text, ".e") == NULL)
        page_add_text(page, ".0");
}

static void print_object(struct page *page, const msgpack_object *object);

static void print_array(struct page *page, const msgpack_object_array *array)
{
    page_add(page, "[", 1);
    for (uint32_t index = 0; index < array->size && !page->full; index++) {
        page_add(page, ",", index > 0);
        print_object(page, &array->ptr[index]);
    }
    page_add(page, "]", 1);
}

static void print_map(struct page *page, const msgpack_object_map *map)
{
    page_add(page, "{", 1);
    for (uint32_t index = 0; index < map->size && !page->full; index++) {
        page_add(page, ",", index > 0);
        print_object(page, &map->ptr[index].key);
        page_add(page, ":", 1);
        print_object(page, &map->ptr[index].val);
    }
    page_add(page, "}", 1);
}

static void print_integer(struct page *page, const msgpack_object *object)
{
    char text[24];
    if (object->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
        snprintf(text, sizeof text, "%" PRIu64, object->via.u64);
    else
        snprintf(text, sizeof text, "%" PRId64, object->via.i64);
    page_add_text(page, text);
}

/* Calls itself no deeper than FLYOVER_DEPTH_MAX, which value_check has seen to. */
static void print_object(struct page *page, const msgpack_object *object)
{
    assert(object->type != MSGPACK_OBJECT_EXT);
    switch (object->type) {
    case MSGPACK_OBJECT_NIL: page_add_text(page, "null"); break;
    case MSGPACK_OBJECT_BOOLEAN: page_add_text(page, object->via.boolean ? "true" : "false"); break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
    case MSGPACK_OBJECT_NEGATIVE_INTEGER: print_integer(page, object); break;
    case MSGPACK_OBJECT_FLOAT32: print_real(page, object->via.f64, true); break;
    case MSGPACK_OBJECT_FLOAT64: print_real(page, object->via.f64, false); break;
    case MSGPACK_OBJECT_STR: print_str(page, object->via.str.ptr, object->via.str.size); break;
    case MSGPACK_OBJECT_BIN:
        print_bin(page, (const uint8_t *)object->via.bin.ptr, object->via.bin.size);
        break;
    case MSGPACK_OBJECT_ARRAY: print_array(page, &object->via.array); break;
    case MSGPACK_OBJECT_MAP: print_map(page, &object->via.map); break;
    case MSGPACK_OBJECT_EXT: break;
    }
}

static void print_unpacked(struct page *page, struct flyover_bytes value)
{
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    size_t offset = 0;
    msgpack_unpack_return answer =
        msgpack_unpack_next(&unpacked, (const char *)value.at, value.count, &offset);
    if (answer == MSGPACK_UNPACK_SUCCESS)
        print_object(page, &unpacked.data);
    else
        page_add_text(page, "\"(out of memory)\"");
    msgpack_unpacked_destroy(&unpacked);
}

size_t value_print(struct flyover_bytes value, char *text, size_t capacity)
{
    assert(capacity > 0);
    struct page page = {.text = text, .room = capacity - 1};
    const char *reason;
    /* msgpack-c takes memory for every element that a head claims, so nothing is shown to it that
     * has not been checked. */
    if (value_check(value, &reason)) {
        print_unpacked(&page, value);
    } else {
        page_add_text(&page, "\"(not a payload: ");
        page_add_text(&page, reason);
        page_add_text(&page, ")\"");
    }
    return page_finish(&page);
}
