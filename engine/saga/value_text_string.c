#include "engine/saga/value_text_reader.h"

#include <string.h>

#include "engine/saga/plain_run.h"
#include "engine/saga/sink.h"
#include "engine/saga/utf8.h"

static inline uint32_t str_head_bytes(size_t count)
{
    return count <= 31 ? 1 : count <= UINT8_MAX ? 2 : count <= UINT16_MAX ? 3 : 5;
}

/* Short runs are copied as one block where both sides have one: what is too much is written over
 * by what comes next. */
static inline void copy_run(struct reader *reader, const uint8_t *from, size_t count)
{
    if (count <= PLAIN_BLOCK_BYTES && reader->end - from >= PLAIN_BLOCK_BYTES &&
        reader->limit - reader->to >= PLAIN_BLOCK_BYTES)
        memcpy(reader->to, from, PLAIN_BLOCK_BYTES);
    else
        memcpy(reader->to, from, count);
    reader->to += count;
}

static inline void put_str_head(uint8_t *at, size_t count)
{
    struct sink sink = sink_into(at, 5);
    sink_str_head(&sink, (uint32_t)count);
}

/* The number that four hexadecimal digits make, or -1. */
static int32_t hex4(const uint8_t *at, const uint8_t *end)
{
    if (end - at < 4)
        return -1;
    int32_t code = 0;
    for (uint32_t index = 0; index < 4; index++) {
        uint8_t lower = at[index] | 0x20;
        if ((uint8_t)(at[index] - '0') < 10)
            code = code * 16 + (at[index] - '0');
        else if (lower >= 'a' && lower <= 'f')
            code = code * 16 + (lower - 'a' + 10);
        else
            return -1;
    }
    return code;
}

static uint32_t encode_utf8(uint32_t code, uint8_t bytes[4])
{
    uint32_t count = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t firsts[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (uint32_t index = count - 1; index > 0; index--) {
        bytes[index] = (uint8_t)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    bytes[0] = (uint8_t)(firsts[count] | code);
    return count;
}

/* reader->at is at the backslash of "\u". */
static enum status read_unicode(struct reader *reader)
{
    const uint8_t *at = reader->at;
    int32_t code = hex4(at + 2, reader->end), low = -1;
    if (code < 0)
        return fail(reader, at, "four hexadecimal digits expected after \\u");
    if (code == 0)
        return fail(reader, at, "\\u0000 is not supported");
    bool is_pair = code >= 0xd800 && code < 0xdc00;
    if (is_pair && reader->end - at >= 8 && at[6] == '\\' && at[7] == 'u')
        low = hex4(at + 8, reader->end);
    if ((is_pair && (low < 0xdc00 || low > 0xdfff)) || (code >= 0xdc00 && code < 0xe000))
        return fail(reader, at, "half of a surrogate pair");
    if (is_pair)
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    uint8_t bytes[4];
    uint32_t count = encode_utf8((uint32_t)code, bytes);
    if (!has_room(reader, count))
        return STATUS_TOO_LARGE;
    memcpy(reader->to, bytes, count);
    reader->to += count;
    reader->at += is_pair ? 12 : 6;
    return STATUS_OK;
}

static enum status read_escape(struct reader *reader)
{
    static const uint8_t meanings[256] = {
        ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
        ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
    };
    if (reader->end - reader->at < 2)
        return fail(reader, reader->end, "a string without its end");
    uint8_t meaning = meanings[reader->at[1]];
    if (reader->at[1] == 'u')
        return read_unicode(reader);
    if (meaning == 0)
        return fail(reader, reader->at, "an escape that JSON does not have");
    if (!has_room(reader, 1))
        return STATUS_TOO_LARGE;
    *reader->to++ = meaning;
    reader->at += 2;
    return STATUS_OK;
}

/* As many characters as come that are not ASCII. */
static enum status read_beyond_ascii(struct reader *reader)
{
    const uint8_t *at = reader->at;
    while (at < reader->end && *at >= 0x80) {
        uint32_t bytes = utf8_character_bytes(at, (size_t)(reader->end - at));
        if (bytes == 0)
            return fail(reader, at, "bytes that are not UTF-8");
        at += bytes;
    }
    size_t count = (size_t)(at - reader->at);
    if (!has_room(reader, count))
        return STATUS_TOO_LARGE;
    copy_run(reader, reader->at, count);
    reader->at = at;
    return STATUS_OK;
}

/* reader->at is at a byte that ends a plain run, and no quote. */
static enum status read_unplain(struct reader *reader)
{
    if (reader->at == reader->end)
        return fail(reader, reader->at, "a string without its end");
    if (*reader->at == '\\')
        return read_escape(reader);
    if (*reader->at >= 0x80)
        return read_beyond_ascii(reader);
    return fail(reader, reader->at, "a control character in a string");
}

/* The head is made for the run before the first escape, and mended at the end. */
static enum status read_mixed_string(struct reader *reader, const uint8_t *run_end,
                                     struct flyover_bytes *ret_text)
{
    uint32_t head_bytes = str_head_bytes((size_t)(run_end - reader->at));
    uint8_t *head = reader->to;
    if (!has_room(reader, head_bytes))
        return STATUS_TOO_LARGE;
    reader->to += head_bytes;
    for (;;) {
        size_t run = (size_t)(run_end - reader->at);
        if (!has_room(reader, run))
            return STATUS_TOO_LARGE;
        copy_run(reader, reader->at, run);
        reader->at = run_end;
        if (run_end < reader->end && *run_end == '"')
            break;
        enum status status = read_unplain(reader);
        if (status != STATUS_OK)
            return status;
        run_end = plain_run_end(reader->at, reader->end, true);
    }
    reader->at++;
    size_t count = (size_t)(reader->to - head - head_bytes);
    uint32_t more = str_head_bytes(count) - head_bytes;
    if (!has_room(reader, more))
        return STATUS_TOO_LARGE;
    if (more > 0)
        memmove(head + head_bytes + more, head + head_bytes, count);
    put_str_head(head, count);
    reader->to += more;
    *ret_text = (struct flyover_bytes){head + head_bytes + more, (uint32_t)count};
    return STATUS_OK;
}

enum status reader_read_string(struct reader *reader, struct flyover_bytes *ret_text)
{
    const uint8_t *text = ++reader->at;
    const uint8_t *run_end = plain_run_end(text, reader->end, true);
    if (run_end == reader->end || *run_end != '"')
        return read_mixed_string(reader, run_end, ret_text);
    size_t count = (size_t)(run_end - text);
    uint32_t head_bytes = str_head_bytes(count);
    if (!has_room(reader, head_bytes + count))
        return STATUS_TOO_LARGE;
    if (head_bytes == 1)
        *reader->to = (uint8_t)(0xa0 | count);
    else
        put_str_head(reader->to, count);
    reader->to += head_bytes;
    *ret_text = (struct flyover_bytes){reader->to, (uint32_t)count};
    copy_run(reader, text, count);
    reader->at = run_end + 1;
    return STATUS_OK;
}
