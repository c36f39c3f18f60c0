/* Text in. The values are written as they are read; two lengths are known too late for that:
 *
 *   - a container's head takes one byte at first; where more than 15 elements have come, they are
 *     moved up at its end, to make room for a head of three or five;
 *   - the same goes for a string with escapes; one without is measured before it is copied.
 *
 * So the output never needs more room on the way than at the end. Keys are remembered by a hash,
 * innermost object last, and compared at the end of their object. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/saga/sink.h"
#include "engine/saga/value_text.h"
#include "engine/saga/value_text_number.h"
#include "engine/saga/value_text_reader.h"

/* The next byte that is no blank, or -1. */
static inline int next_token(struct reader *reader)
{
    const uint8_t *at = reader->at;
    while (at < reader->end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    reader->at = at;
    return at < reader->end ? *at : -1;
}

/* ---- keys ----------------------------------------------------------------------------------- */

/* Of its ends and its length: keys of one object rarely have all that in common. Where they do,
 * for spite, it costs comparisons of whole keys. */
static inline uint32_t key_hash(const uint8_t *at, uint32_t count)
{
    uint64_t first = 0, last = 0;
    if (count >= 8) {
        memcpy(&first, at, 8);
        memcpy(&last, at + count - 8, 8);
    } else if (count >= 4) {
        memcpy(&first, at, 4);
        memcpy(&last, at + count - 4, 4);
    } else if (count > 0) {
        first = (uint64_t)at[0] << 16 | (uint64_t)at[count / 2] << 8 | at[count - 1];
    }
    uint64_t mixed = (first ^ (last << 29 | last >> 35) ^ count) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(mixed >> 32);
}

static enum status grow_keys(struct reader *reader)
{
    size_t bytes = reader->keys_count * sizeof *reader->keys;
    bool is_usual = reader->keys == reader->usual_keys;
    struct key *keys = realloc(is_usual ? NULL : reader->keys, 2 * bytes);
    if (keys == NULL)
        return STATUS_NO_MEMORY;
    if (is_usual)
        memcpy(keys, reader->usual_keys, bytes);
    reader->keys = keys;
    reader->keys_capacity = 2 * reader->keys_count;
    return STATUS_OK;
}

/* reader->at is where a key should be. */
static enum status read_key(struct reader *reader)
{
    struct flyover_bytes text;
    if (next_token(reader) != '"')
        return fail(reader, reader->at, "a key in quotes expected");
    if (reader->keys_count == reader->keys_capacity && grow_keys(reader) != STATUS_OK)
        return STATUS_NO_MEMORY;
    enum status status = reader_read_string(reader, &text);
    if (status != STATUS_OK)
        return status;
    reader->keys[reader->keys_count++] = (struct key){
        .hash = key_hash(text.at, text.count),
        .at = (uint32_t)(text.at - reader->out),
        .bytes = text.count,
    };
    if (next_token(reader) != ':')
        return fail(reader, reader->at, "':' expected");
    reader->at++;
    return STATUS_OK;
}

static int compare_keys(const void *left, const void *right, void *out)
{
    const struct key *a = left, *b = right;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    if (a->bytes != b->bytes)
        return a->bytes < b->bytes ? -1 : 1;
    return memcmp((uint8_t *)out + a->at, (uint8_t *)out + b->at, a->bytes);
}

#define PAIRWISE_MAX 24

static const struct key *find_twice_pairwise(const struct key *keys, uint32_t count, uint8_t *out)
{
    for (uint32_t index = 1; index < count; index++)
        for (uint32_t earlier = 0; earlier < index; earlier++)
            if (keys[index].hash == keys[earlier].hash &&
                compare_keys(&keys[index], &keys[earlier], out) == 0)
                return &keys[index];
    return NULL;
}

/* A key that is there twice, or NULL. Changes their order. */
static const struct key *find_twice(struct key *keys, uint32_t count, uint8_t *out)
{
    if (count <= PAIRWISE_MAX)
        return find_twice_pairwise(keys, count, out);
    qsort_r(keys, count, sizeof *keys, compare_keys, out);
    for (uint32_t index = 1; index < count; index++)
        if (compare_keys(&keys[index - 1], &keys[index], out) == 0)
            return &keys[index];
    return NULL;
}

/* At the end of an object: its keys are judged and forgotten. */
static enum status close_keys(struct reader *reader, uint32_t keys_before)
{
    struct key *keys = reader->keys + keys_before;
    const struct key *twice = find_twice(keys, reader->keys_count - keys_before, reader->out);
    reader->keys_count = keys_before;
    if (twice == NULL)
        return STATUS_OK;
    reader->twice = (struct flyover_bytes){reader->out + twice->at, twice->bytes};
    return fail(reader, reader->at, "the end of an object that has a key twice");
}

/* ---- containers ----------------------------------------------------------------------------- */

/* reader->at is at the bracket. */
static enum status open_level(struct reader *reader, bool is_map)
{
    if (reader->depth == FLYOVER_DEPTH_MAX)
        return STATUS_UNSUPPORTED;
    if (!has_room(reader, 1))
        return STATUS_TOO_LARGE;
    reader->levels[reader->depth++] = (struct level){
        .head = (size_t)(reader->to - reader->out),
        .keys_before = reader->keys_count,
        .is_map = is_map,
    };
    reader->to++;
    reader->at++;
    return STATUS_OK;
}

static enum status put_head(struct reader *reader, const struct level *level)
{
    uint8_t *head = reader->out + level->head;
    size_t more = level->count <= 15 ? 0 : level->count <= UINT16_MAX ? 2 : 4;
    if (!has_room(reader, more))
        return STATUS_TOO_LARGE;
    if (more > 0)
        memmove(head + 1 + more, head + 1, (size_t)(reader->to - head - 1));
    reader->to += more;
    struct sink sink = sink_into(head, 5);
    if (level->is_map)
        sink_map(&sink, level->count);
    else
        sink_array(&sink, level->count);
    return STATUS_OK;
}

/* reader->at is at the closing bracket. */
static enum status close_level(struct reader *reader)
{
    const struct level *level = &reader->levels[--reader->depth];
    if (level->is_map && close_keys(reader, level->keys_before) != STATUS_OK)
        return STATUS_INVALID;
    reader->at++;
    return put_head(reader, level);
}

/* From the end of a value to where the next one begins, over the ends of containers. */
static enum status read_on(struct reader *reader)
{
    while (reader->depth > 0) {
        struct level *level = &reader->levels[reader->depth - 1];
        int token = next_token(reader);
        level->count++;
        if (token == ',') {
            reader->at++;
            return level->is_map ? read_key(reader) : STATUS_OK;
        }
        if (token != (level->is_map ? '}' : ']'))
            return fail(reader, reader->at,
                        level->is_map ? "',' or '}' expected" : "',' or ']' expected");
        enum status status = close_level(reader);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

static enum status read_container(struct reader *reader, bool is_map)
{
    enum status status = open_level(reader, is_map);
    if (status != STATUS_OK)
        return status;
    if (next_token(reader) != (is_map ? '}' : ']'))
        return is_map ? read_key(reader) : STATUS_OK;
    status = close_level(reader);
    return status == STATUS_OK ? read_on(reader) : status;
}

/* ---- values --------------------------------------------------------------------------------- */

static enum status read_number(struct reader *reader)
{
    struct text_number number;
    const char *fault;
    const uint8_t *behind = text_number_read(reader->at, reader->end, &number, &fault);
    if (fault != NULL)
        return fail(reader, behind, fault);
    struct sink sink = {.at = reader->to, .end = reader->limit};
    if (number.is_real)
        sink_double(&sink, number.real);
    else
        sink_int(&sink, number.integer);
    reader->at = behind;
    reader->to = sink.at;
    return sink.overflowed ? STATUS_TOO_LARGE : STATUS_OK;
}

static enum status read_word(struct reader *reader, const char *word, size_t count, uint8_t code)
{
    if ((size_t)(reader->end - reader->at) < count || memcmp(reader->at, word, count) != 0)
        return fail(reader, reader->at, "invalid token");
    if (!has_room(reader, 1))
        return STATUS_TOO_LARGE;
    *reader->to++ = code;
    reader->at += count;
    return STATUS_OK;
}

/* Reads one value that is no container; of a container, the start. Then on to where the next one
 * begins. */
static enum status read_value(struct reader *reader)
{
    enum status status;
    struct flyover_bytes text;
    switch (next_token(reader)) {
    case '{': return read_container(reader, true);
    case '[': return read_container(reader, false);
    case '"': status = reader_read_string(reader, &text); break;
    case 't': status = read_word(reader, "true", 4, 0xc3); break;
    case 'f': status = read_word(reader, "false", 5, 0xc2); break;
    case 'n': status = read_word(reader, "null", 4, 0xc0); break;
    case '-':
    case '0' ... '9': status = read_number(reader); break;
    case -1: return fail(reader, reader->at, "a value expected, found the end");
    default: return fail(reader, reader->at, "invalid token");
    }
    return status == STATUS_OK ? read_on(reader) : status;
}

static enum status read_text(struct reader *reader)
{
    enum status status;
    do
        status = read_value(reader);
    while (status == STATUS_OK && reader->depth > 0);
    if (status == STATUS_OK && next_token(reader) != -1)
        return fail(reader, reader->at, "the end expected after the value");
    return status;
}

/* ---- the answer ----------------------------------------------------------------------------- */

#define KEY_SHOWN_BYTES_MAX 64u

/* Cut between two characters. */
static uint32_t key_shown_bytes(struct flyover_bytes key)
{
    if (key.count <= KEY_SHOWN_BYTES_MAX)
        return key.count;
    uint32_t count = KEY_SHOWN_BYTES_MAX;
    while ((key.at[count] & 0xc0) == 0x80)
        count--;
    return count;
}

/* Both from 1; a column is a character. */
static enum status set_problem(const struct reader *reader, enum status status, const char *text,
                               struct problem *problem)
{
    if (status == STATUS_NO_MEMORY)
        return problem_set(problem, status, "no memory for the keys of an object");
    if (status == STATUS_TOO_LARGE)
        return problem_set(problem, status, "it takes more than %zu bytes as msgpack",
                           (size_t)(reader->limit - reader->out));
    size_t line = 1, column = 1;
    for (const uint8_t *at = (const uint8_t *)text; at < reader->at; at++) {
        column = *at == '\n' ? 1 : column + ((*at & 0xc0) != 0x80);
        line += *at == '\n';
    }
    if (status == STATUS_UNSUPPORTED)
        return problem_set(problem, status, "nested more than %u deep (line %zu, column %zu)",
                           FLYOVER_DEPTH_MAX, line, column);
    if (reader->twice.count > 0)
        return problem_set(problem, status, "%s, \"%.*s\" (line %zu, column %zu)", reader->fault,
                           (int)key_shown_bytes(reader->twice), (const char *)reader->twice.at,
                           line, column);
    return problem_set(problem, status, "%s (line %zu, column %zu)", reader->fault, line, column);
}

enum status value_from_text(const char *text, size_t text_bytes, uint8_t *out, size_t capacity,
                            size_t *ret_bytes, struct problem *problem)
{
    assert(out != NULL && (text != NULL || text_bytes == 0));
    if (text_bytes == 0)
        text = "";
    /* Lengths and offsets have 32 bits. */
    if (capacity > UINT32_MAX)
        capacity = UINT32_MAX;
    struct reader reader;
    reader.at = (const uint8_t *)text;
    reader.end = reader.at + text_bytes;
    reader.out = reader.to = out;
    reader.limit = out + capacity;
    reader.depth = reader.keys_count = 0;
    reader.twice.count = 0;
    reader.keys_capacity = KEYS_USUAL;
    reader.keys = reader.usual_keys;
    enum status status = read_text(&reader);
    if (reader.keys != reader.usual_keys)
        free(reader.keys);
    if (status != STATUS_OK)
        return set_problem(&reader, status, text, problem);
    *ret_bytes = (size_t)(reader.to - out);
    return STATUS_OK;
}
