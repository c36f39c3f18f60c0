#include "engine/ingest/byte_source.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

void byte_source_init(struct byte_source *source, int file, const char *name)
{
    assert(name != NULL);
    source->file = file;
    source->before_read = NULL;
    source->context = NULL;
    source->name = name;
    source->begin = 0;
    source->end = 0;
    source->read_bytes = 0;
    source->state = BYTE_SOURCE_MORE;
    source->error = 0;
}

void byte_source_set_before_read(struct byte_source *source, byte_source_before_read before_read,
                                 void *context)
{
    source->before_read = before_read;
    source->context = context;
}

/* Moves what is held to the front where there is no room for a whole piece behind it. */
static void byte_source_make_room(struct byte_source *source)
{
    size_t held_bytes = byte_source_held_bytes(source);
    if (held_bytes != 0 && sizeof source->buffer - source->end >= BYTE_SOURCE_READ_BYTES)
        return;
    memmove(source->buffer, source->buffer + source->begin, held_bytes);
    source->begin = 0;
    source->end = held_bytes;
    assert(sizeof source->buffer - source->end >= BYTE_SOURCE_READ_BYTES);
}

static enum byte_source_result byte_source_on_bytes(struct byte_source *source, size_t bytes)
{
    const char *arrived = source->buffer + source->end;
    const char *zero = memchr(arrived, 0, bytes);
    if (zero != NULL) {
        bytes = (size_t)(zero - arrived);
        source->state = BYTE_SOURCE_FAILED;
    }
    source->end += bytes;
    source->read_bytes += bytes;
    return bytes > 0 ? BYTE_SOURCE_MORE : source->state;
}

enum byte_source_result byte_source_fill(struct byte_source *source)
{
    if (source->state != BYTE_SOURCE_MORE)
        return source->state;
    if (source->before_read != NULL && !source->before_read(source->context)) {
        source->error = EINTR;
        source->state = BYTE_SOURCE_FAILED;
        return source->state;
    }
    byte_source_make_room(source);
    ssize_t bytes;
    do
        bytes = read(source->file, source->buffer + source->end, BYTE_SOURCE_READ_BYTES);
    while (bytes < 0 && errno == EINTR);
    if (bytes > 0)
        return byte_source_on_bytes(source, (size_t)bytes);
    source->error = bytes < 0 ? errno : 0;
    source->state = bytes < 0 ? BYTE_SOURCE_FAILED : BYTE_SOURCE_END;
    return source->state;
}

enum status byte_source_problem(const struct byte_source *source, uint64_t line_no,
                                struct problem *problem)
{
    assert(source->state == BYTE_SOURCE_FAILED);
    if (source->error != 0)
        return problem_set(problem, STATUS_IO, "%.300s: cannot be read after line %" PRIu64 ": %s",
                           source->name, line_no - 1, strerror(source->error));
    return problem_set(problem, STATUS_INVALID,
                       "%.300s: line %" PRIu64 " has a zero byte, so this is not text: unpack it "
                       "if it is compressed, save it as UTF-8 if it is UTF-16",
                       source->name, line_no);
}

void byte_source_drop(struct byte_source *source, size_t bytes)
{
    assert(bytes <= byte_source_held_bytes(source));
    source->begin += bytes;
}

void byte_source_forget_behind(struct byte_source *source, size_t bytes)
{
    assert(bytes <= byte_source_held_bytes(source));
    source->end = source->begin + bytes;
}
