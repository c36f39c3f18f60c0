#include "engine/saga/trace.h"

#include <string.h>

#include "engine/base/hex.h"

/* Where the parts stand in the text, and how many bytes they are. */
static const struct part {
    uint32_t at, bytes;
} parts[] = {{3, 16}, {36, 8}, {53, 1}};
enum { TRACE_ID, PARENT_ID, FLAGS, PARTS_COUNT };

static int digit_of(uint8_t letter)
{
    if (letter >= '0' && letter <= '9')
        return letter - '0';
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

static bool read_byte(const uint8_t *at, uint8_t *ret_byte)
{
    int high = digit_of(at[0]), low = digit_of(at[1]);
    if (high < 0 || low < 0)
        return false;
    *ret_byte = (uint8_t)(high * 16 + low);
    return true;
}

static bool read_part(struct flyover_bytes text, const struct part *part, uint8_t *ret_bytes,
                      bool *ret_any)
{
    *ret_any = false;
    for (uint32_t i = 0; i < part->bytes; i++) {
        if (!read_byte(text.at + part->at + 2 * i, &ret_bytes[i]))
            return false;
        *ret_any = *ret_any || ret_bytes[i] != 0;
    }
    return true;
}

bool trace_parse(struct flyover_bytes text, uint8_t ret_trace[TRACE_BYTES])
{
    uint8_t version, trace[TRACE_BYTES];
    uint8_t *at = trace;
    if (text.count != TRACE_TEXT_BYTES || text.at[2] != '-' || text.at[35] != '-' ||
        text.at[52] != '-' || !read_byte(text.at, &version) || version == 0xff)
        return false;
    for (uint32_t i = 0; i < PARTS_COUNT; at += parts[i++].bytes) {
        bool any;
        if (!read_part(text, &parts[i], at, &any) || (!any && i != FLAGS))
            return false;
    }
    memcpy(ret_trace, trace, sizeof trace);
    return true;
}

void trace_print(const uint8_t trace[TRACE_BYTES], char ret_text[TRACE_TEXT_BYTES + 1])
{
    memset(ret_text, '-', TRACE_TEXT_BYTES);
    ret_text[TRACE_TEXT_BYTES] = '\0';
    ret_text[0] = ret_text[1] = '0';
    for (uint32_t i = 0; i < PARTS_COUNT; trace += parts[i++].bytes)
        hex_write(trace, parts[i].bytes, ret_text + parts[i].at);
}
