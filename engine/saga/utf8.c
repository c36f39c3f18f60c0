#include "engine/saga/utf8.h"

#include <assert.h>

uint32_t utf8_character_bytes(const uint8_t *at, size_t left)
{
    assert(left > 0);
    uint8_t first = at[0];
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    uint32_t bytes = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (left < bytes)
        return 0;
    /* The second byte is where overlong forms, surrogates and what is too large show. */
    uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < low || at[1] > high)
        return 0;
    for (uint32_t index = 2; index < bytes; index++) {
        if ((at[index] & 0xc0) != 0x80)
            return 0;
    }
    return bytes;
}

bool utf8_check_all(const uint8_t *text, size_t count)
{
    while (count > 0) {
        if (count >= 8 && utf8_is_ascii(text, 8)) {
            text += 8;
            count -= 8;
            continue;
        }
        uint32_t bytes = utf8_character_bytes(text, count);
        if (bytes == 0)
            return false;
        text += bytes;
        count -= bytes;
    }
    return true;
}
