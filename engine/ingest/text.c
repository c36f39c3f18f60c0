#include "engine/ingest/text.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

struct text text_from(const char *string)
{
    assert(string != NULL);
    return (struct text){.data = string, .bytes = strlen(string)};
}

static bool text_is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

struct text text_trim(struct text text)
{
    while (text.bytes > 0 && text_is_blank(text.data[0])) {
        text.data++;
        text.bytes--;
    }
    while (text.bytes > 0 && text_is_blank(text.data[text.bytes - 1]))
        text.bytes--;
    return text;
}

bool text_equal(struct text a, struct text b)
{
    return a.bytes == b.bytes && (a.bytes == 0 || memcmp(a.data, b.data, a.bytes) == 0);
}

static char text_lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte + ('a' - 'A')) : byte;
}

bool text_equal_any_case(struct text a, struct text b)
{
    if (a.bytes != b.bytes)
        return false;
    for (size_t i = 0; i < a.bytes; i++) {
        if (text_lower(a.data[i]) != text_lower(b.data[i]))
            return false;
    }
    return true;
}

/*
 * The bytes of the character at `at`, or 0 where none stands there. The second byte has a range of
 * its own after E0, ED, F0 and F4 (RFC 3629, section 4): that keeps out overlong forms, surrogates
 * and what lies past U+10FFFF.
 */
static size_t text_character_bytes(const uint8_t *at, size_t bytes)
{
    assert(bytes > 0);
    uint8_t lead = at[0];
    if (lead < 0x80)
        return lead >= 0x20 && lead != 0x7f;
    size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || length > bytes)
        return 0;
    uint8_t second_min = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    uint8_t second_max = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < second_min || at[1] > second_max)
        return 0;
    // U+0080 to U+009F are control characters too: terminals obey them.
    if (lead == 0xc2 && at[1] < 0xa0)
        return 0;
    for (size_t i = 2; i < length; i++) {
        if (at[i] < 0x80 || at[i] > 0xbf)
            return 0;
    }
    return length;
}

bool text_is_clean(struct text text)
{
    size_t at = 0;
    while (at < text.bytes) {
        size_t length = text_character_bytes((const uint8_t *)text.data + at, text.bytes - at);
        if (length == 0)
            return false;
        at += length;
    }
    return true;
}

struct text_shown text_show(struct text text)
{
    struct text_shown shown;
    size_t from = 0;
    size_t to = 0;
    while (from < text.bytes) {
        size_t length = text_character_bytes((const uint8_t *)text.data + from, text.bytes - from);
        size_t shown_bytes = length == 0 ? 1 : length;
        if (to + shown_bytes > TEXT_SHOWN_BYTES_MAX)
            break;
        if (length == 0)
            shown.text[to] = '?';
        else
            memcpy(shown.text + to, text.data + from, length);
        from += shown_bytes;
        to += shown_bytes;
    }
    strcpy(shown.text + to, from < text.bytes ? "..." : "");
    return shown;
}
