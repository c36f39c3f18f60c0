#include "tests/ingest/transcript.h"

#include <fcntl.h>
#include <inttypes.h>
#include <msgpack.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

#include "engine/ingest/order_reader.h"

#define INPUT_PRINTED_BYTES_MAX (4u << 20)

static void transcript_append(struct transcript *transcript, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void transcript_append(struct transcript *transcript, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text;
    int bytes = vasprintf(&text, format, arguments);
    va_end(arguments);
    assert_true(bytes >= 0);
    if (transcript->bytes + (size_t)bytes >= transcript->bytes_max) {
        transcript->bytes_max = 2 * (transcript->bytes + (size_t)bytes) + 1;
        transcript->text = realloc(transcript->text, transcript->bytes_max);
        assert_non_null(transcript->text);
    }
    memcpy(transcript->text + transcript->bytes, text, (size_t)bytes + 1);
    transcript->bytes += (size_t)bytes;
    free(text);
}

static void transcript_append_input(struct transcript *transcript, const struct order *order)
{
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    size_t used = 0;
    assert_int_equal(
        msgpack_unpack_next(&unpacked, (const char *)order->input, order->input_bytes, &used),
        MSGPACK_UNPACK_SUCCESS);
    assert_int_equal(used, order->input_bytes);
    char *printed = malloc(INPUT_PRINTED_BYTES_MAX);
    assert_non_null(printed);
    int bytes = msgpack_object_print_buffer(printed, INPUT_PRINTED_BYTES_MAX, unpacked.data);
    assert_true(bytes > 0);
    transcript_append(transcript, " %s", printed);
    free(printed);
    msgpack_unpacked_destroy(&unpacked);
}

static void transcript_append_order(struct transcript *transcript, const struct order *order,
                                    bool prints_inputs)
{
    transcript->orders_count++;
    assert_true(order->input_bytes <= ORDER_INPUT_BYTES_MAX);
    transcript_append(transcript, "%s %s line %" PRIu64 " end %" PRIu64,
                      order->kind == ORDER_SALE ? "sale" : "return", order->number, order->line_no,
                      order->offset_bytes);
    if (prints_inputs)
        transcript_append_input(transcript, order);
    transcript_append(transcript, "\n");
}

static void transcript_read(struct transcript *transcript, struct order_reader *reader,
                            bool prints_inputs)
{
    struct problem problem = {.status = STATUS_OK};
    for (;;) {
        struct order order;
        struct order_reject reject;
        switch (order_reader_next(reader, &order, &reject, &problem)) {
        case ORDER_READ: transcript_append_order(transcript, &order, prints_inputs); break;
        case ORDER_REJECTED:
            transcript->refusals_count++;
            transcript_append(transcript, "refused %s line %" PRIu64 ": %s\n", reject.number,
                              reject.line_no, reject.reason);
            break;
        case ORDER_END:
            assert_int_equal(order_reader_next(reader, &order, &reject, &problem), ORDER_END);
            transcript_append(transcript, "end\n");
            return;
        case ORDER_FAILED:
            transcript_append(transcript, "failed %s: %s\n", status_name(problem.status),
                              problem.text);
            struct problem again;
            assert_int_equal(order_reader_next(reader, &order, &reject, &again), ORDER_FAILED);
            assert_string_equal(again.text, problem.text);
            return;
        }
    }
}

struct transcript transcript_of_file(int file, bool prints_inputs)
{
    struct transcript transcript = {0};
    struct order_reader *reader = NULL;
    struct problem problem = {.status = STATUS_OK};
    enum status status = order_reader_open(file, "orders.csv", &reader, &problem);
    if (status != STATUS_OK) {
        assert_null(reader);
        assert_int_equal(status, problem.status);
        transcript_append(&transcript, "failed %s: %s\n", status_name(status), problem.text);
        return transcript;
    }
    transcript_read(&transcript, reader, prints_inputs);
    order_reader_close(reader);
    return transcript;
}

int file_from(const void *data, size_t bytes)
{
    int file = memfd_create("orders", MFD_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(write(file, data, bytes), bytes);
    assert_int_equal(lseek(file, 0, SEEK_SET), 0);
    return file;
}

struct transcript transcript_of(const void *data, size_t bytes)
{
    int file = file_from(data, bytes);
    struct transcript transcript = transcript_of_file(file, true);
    close(file);
    return transcript;
}

struct transcript transcript_of_text(const char *text)
{
    return transcript_of(text, strlen(text));
}

struct pieces {
    const char *data;
    size_t bytes;
    size_t piece_bytes;
    int file;
};

static void *pieces_write(void *context)
{
    struct pieces *pieces = context;
    for (size_t at = 0; at < pieces->bytes; at += pieces->piece_bytes) {
        size_t left = pieces->bytes - at;
        size_t bytes = left < pieces->piece_bytes ? left : pieces->piece_bytes;
        if (write(pieces->file, pieces->data + at, bytes) != (ssize_t)bytes)
            break;
    }
    close(pieces->file);
    return NULL;
}

struct transcript transcript_in_pieces(const void *data, size_t bytes, size_t piece_bytes)
{
    // A pipe of packets: what was written in one piece is read in one piece.
    int ends[2];
    assert_int_equal(pipe2(ends, O_DIRECT | O_CLOEXEC), 0);
    struct pieces pieces = {data, bytes, piece_bytes, ends[1]};
    pthread_t writer;
    assert_int_equal(pthread_create(&writer, NULL, pieces_write, &pieces), 0);
    struct transcript transcript = transcript_of_file(ends[0], true);
    // The reader may have stopped early: the writer ends when nobody reads.
    close(ends[0]);
    pthread_join(writer, NULL);
    return transcript;
}

void transcript_free(struct transcript *transcript)
{
    free(transcript->text);
    transcript->text = NULL;
}

void expect_transcript_of(const void *data, size_t bytes, const char *expected)
{
    struct transcript transcript = transcript_of(data, bytes);
    assert_string_equal(transcript.text, expected);
    transcript_free(&transcript);
}

void expect_transcript(const char *text, const char *expected)
{
    expect_transcript_of(text, strlen(text), expected);
}

void expect_transcript_of_file(const char *name, const char *expected)
{
    int file = open(name, O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    struct transcript transcript = transcript_of_file(file, true);
    close(file);
    assert_string_equal(transcript.text, expected);
    transcript_free(&transcript);
}

/* A text with `count` bytes of x between two others. */
char *text_around(const char *before, size_t count, const char *after)
{
    char *text = malloc(strlen(before) + count + strlen(after) + 1);
    assert_non_null(text);
    strcpy(text, before);
    memset(text + strlen(before), 'x', count);
    strcpy(text + strlen(before) + count, after);
    return text;
}
