#include "engine/base/image.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/crc32c.h"

void image_init(struct image *image, int file)
{
    image->file = file;
    image->status = STATUS_OK;
    image->crc = 0;
    image->start = 0;
    image->end = 0;
}

static void fail(struct image *image, enum status status)
{
    if (image->status == STATUS_OK)
        image->status = status;
}

static enum status status_of_errno(void)
{
    return errno == ENOSPC || errno == EDQUOT ? STATUS_NO_SPACE : STATUS_IO;
}

static void flush(struct image *image)
{
    size_t written = 0;
    while (image->status == STATUS_OK && written < image->end) {
        ssize_t count = write(image->file, image->buffer + written, image->end - written);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            fail(image, status_of_errno());
        else
            written += (size_t)count;
    }
    image->end = 0;
}

void image_write(struct image *image, const void *bytes, size_t count)
{
    const uint8_t *at = bytes;
    image->crc = crc32c(image->crc, bytes, count);
    while (image->status == STATUS_OK && count > 0) {
        size_t part = IMAGE_BUFFER_BYTES - image->end;
        part = count < part ? count : part;
        memcpy(image->buffer + image->end, at, part);
        image->end += part;
        at += part;
        count -= part;
        if (image->end == IMAGE_BUFFER_BYTES)
            flush(image);
    }
}

void image_write_u64(struct image *image, uint64_t value)
{
    image_write(image, &value, sizeof value);
}

enum status image_finish_write(struct image *image)
{
    uint32_t crc = image->crc;
    image_write(image, &crc, sizeof crc);
    flush(image);
    if (image->status == STATUS_OK && fdatasync(image->file) != 0)
        fail(image, status_of_errno());
    return image->status;
}

/* False at the end of the file, or after a failure. */
static bool fill(struct image *image)
{
    image->start = 0;
    image->end = 0;
    while (image->status == STATUS_OK) {
        ssize_t count = read(image->file, image->buffer, IMAGE_BUFFER_BYTES);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            fail(image, STATUS_IO);
        else
            image->end = (size_t)count;
        break;
    }
    return image->end > 0;
}

/* As image_read, without the CRC. */
static void take(struct image *image, void *bytes, size_t count)
{
    uint8_t *at = bytes;
    while (count > 0) {
        if (image->start == image->end && !fill(image)) {
            fail(image, STATUS_CORRUPT);
            memset(at, 0, count);
            return;
        }
        size_t part = image->end - image->start;
        part = count < part ? count : part;
        memcpy(at, image->buffer + image->start, part);
        image->start += part;
        at += part;
        count -= part;
    }
}

void image_read(struct image *image, void *bytes, size_t count)
{
    take(image, bytes, count);
    image->crc = crc32c(image->crc, bytes, count);
}

uint64_t image_read_u64(struct image *image)
{
    uint64_t value;
    image_read(image, &value, sizeof value);
    return value;
}

void image_expect_u64(struct image *image, uint64_t value)
{
    if (image_read_u64(image) != value)
        image_refuse(image);
}

void image_refuse(struct image *image)
{
    fail(image, STATUS_CORRUPT);
}

enum status image_finish_read(struct image *image)
{
    uint32_t crc = image->crc, stored;
    take(image, &stored, sizeof stored);
    if (image->status == STATUS_OK && (stored != crc || image->start != image->end || fill(image)))
        fail(image, STATUS_CORRUPT);
    return image->status;
}
