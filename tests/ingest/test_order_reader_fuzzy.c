/*
 * What must hold for every file: the answer does not depend on how the file comes in pieces, it is
 * the same on every run, and a damaged file never breaks the reader. Damage is drawn from a fixed
 * seed, so that a failure comes again.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/ingest/order_reader.h"
#include "tests/ingest/transcript.h"

#define SEED                      20240613u
#define MUTATIONS_COUNT           3000u
#define MUTATIONS_IN_PIECES_COUNT 150u
#define FILE_BYTES_MAX            4096u

static const char *const file_names[] = {DATA_FOLDER "/lines.csv", DATA_FOLDER "/invoices.tsv",
                                         DATA_FOLDER "/orders.ndjson"};

#define FILES_COUNT (sizeof file_names / sizeof file_names[0])

struct bytes {
    char data[FILE_BYTES_MAX];
    size_t bytes;
};

static void bytes_read(struct bytes *bytes, const char *name)
{
    int file = open(name, O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    ssize_t got = read(file, bytes->data, sizeof bytes->data);
    assert_true(got > 0 && (size_t)got < sizeof bytes->data);
    bytes->bytes = (size_t)got;
    close(file);
}

/* xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators" (2016). */
static uint64_t random_next(uint64_t *random)
{
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    return *random * 2685821657736338717u;
}

static size_t random_below(uint64_t *random, size_t bound)
{
    return (size_t)((random_next(random) >> 33) % bound);
}

/* Overwrites, inserts or takes out a byte, with those that mean something more often. */
static void bytes_mutate(struct bytes *bytes, uint64_t *random)
{
    static const char meaning[] = ",;\t\n\r\"\"\"\n\n{}[]:\\0-.eEAC\xc2\xa3\xff ";
    char byte = random_below(random, 4) == 0 ? (char)random_next(random)
                                             : meaning[random_below(random, sizeof meaning)];
    size_t at = random_below(random, bytes->bytes);
    switch (random_below(random, 4)) {
    case 0: bytes->data[at] = byte; break;
    case 1:
        if (bytes->bytes == sizeof bytes->data)
            break;
        memmove(bytes->data + at + 1, bytes->data + at, bytes->bytes - at);
        bytes->data[at] = byte;
        bytes->bytes++;
        break;
    case 2:
        if (bytes->bytes == 1)
            break;
        bytes->bytes--;
        memmove(bytes->data + at, bytes->data + at + 1, bytes->bytes - at);
        break;
    default: bytes->bytes = at + 1; break;
    }
}

static void expect_same_in_pieces(const void *data, size_t bytes, size_t piece_bytes)
{
    struct transcript whole = transcript_of(data, bytes);
    struct transcript pieces = transcript_in_pieces(data, bytes, piece_bytes);
    assert_string_equal(pieces.text, whole.text);
    transcript_free(&whole);
    transcript_free(&pieces);
}

static void a_file_that_comes_byte_by_byte_gives_the_same_orders(void **state)
{
    (void)state;
    for (size_t i = 0; i < FILES_COUNT; i++) {
        struct bytes bytes;
        bytes_read(&bytes, file_names[i]);
        for (size_t piece_bytes = 1; piece_bytes <= 7; piece_bytes++)
            expect_same_in_pieces(bytes.data, bytes.bytes, piece_bytes);
    }
}

static void a_damaged_file_that_comes_byte_by_byte_gives_the_same_orders(void **state)
{
    (void)state;
    uint64_t random = SEED;
    for (size_t i = 0; i < MUTATIONS_IN_PIECES_COUNT; i++) {
        struct bytes bytes;
        bytes_read(&bytes, file_names[i % FILES_COUNT]);
        for (size_t n = random_below(&random, 6); n > 0; n--)
            bytes_mutate(&bytes, &random);
        expect_same_in_pieces(bytes.data, bytes.bytes, 1 + i % 3);
    }
}

static void long_rows_that_come_in_pieces_give_the_same_orders(void **state)
{
    (void)state;
    // Lengths around the limit and past the buffer, with quotes and newlines in the long field.
    static const size_t longs[] = {ORDER_ROW_BYTES_MAX - 20, ORDER_ROW_BYTES_MAX, 5u << 20};
    static const char header[] = "InvoiceNo,Text,Quantity,UnitPrice\n1,a,1,1\n2,";
    static const char tail[] = ",\"b\n\"\"\",1,1\n2,\"a\",1,1\n3,\"a\n\",1,1\n";
    for (size_t i = 0; i < sizeof longs / sizeof longs[0]; i++) {
        size_t bytes = strlen(header) + longs[i] + strlen(tail);
        char *text = malloc(bytes + 1);
        assert_non_null(text);
        strcpy(text, header);
        memset(text + strlen(header), 'x', longs[i]);
        strcpy(text + strlen(header) + longs[i], tail);
        expect_same_in_pieces(text, bytes, 4096);
        expect_same_in_pieces(text, bytes, 4093);
        free(text);
    }
}

static void a_file_in_many_buffers_keeps_count(void **state)
{
    (void)state;
    // Twelve million bytes: rows stand across every border of the pieces that are read.
    size_t rows = 300000;
    char *text = malloc(100 + rows * 48);
    assert_non_null(text);
    size_t bytes = (size_t)sprintf(text, "InvoiceNo,Text,Quantity,UnitPrice,StockCode\n");
    for (size_t i = 0; i < rows; i++)
        bytes += (size_t)sprintf(text + bytes, "%zu,\"a, \"\"%zu\"\"\nb\",%zu,0.01,S%zu\r\n", i / 3,
                                 i * 7919 % 100000, i + 1, i);
    int file = file_from(text, bytes);
    free(text);
    struct order_reader *reader;
    assert_int_equal(order_reader_open(file, "many", &reader, NULL), STATUS_OK);
    struct order order = {0};
    struct order_reject reject;
    size_t orders_count = 0;
    while (order_reader_next(reader, &order, &reject, NULL) == ORDER_READ) {
        char number[24];
        snprintf(number, sizeof number, "%zu", orders_count);
        assert_string_equal(order.number, number);
        assert_int_equal(order.line_no, 2 + 6 * orders_count);
        orders_count++;
    }
    assert_int_equal(orders_count, rows / 3);
    assert_int_equal(order.offset_bytes, bytes);
    order_reader_close(reader);
    close(file);
}

static void a_damaged_file_is_read_to_the_end_or_fails_with_a_sentence(void **state)
{
    (void)state;
    uint64_t random = SEED;
    size_t orders_count = 0;
    size_t refusals_count = 0;
    for (size_t i = 0; i < MUTATIONS_COUNT; i++) {
        struct bytes bytes;
        bytes_read(&bytes, file_names[i % FILES_COUNT]);
        for (size_t n = 1 + random_below(&random, 8); n > 0; n--)
            bytes_mutate(&bytes, &random);
        struct transcript first = transcript_of(bytes.data, bytes.bytes);
        assert_true(first.bytes > 0);
        orders_count += first.orders_count;
        refusals_count += first.refusals_count;
        struct transcript second = transcript_of(bytes.data, bytes.bytes);
        assert_string_equal(first.text, second.text);
        transcript_free(&first);
        transcript_free(&second);
    }
    // The damage is light enough for both to be seen often.
    assert_true(orders_count > MUTATIONS_COUNT / 2);
    assert_true(refusals_count > MUTATIONS_COUNT / 2);
}

int main(void)
{
    // A reader that stops early closes the pipe under the test's writer.
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_that_comes_byte_by_byte_gives_the_same_orders),
        cmocka_unit_test(a_damaged_file_that_comes_byte_by_byte_gives_the_same_orders),
        cmocka_unit_test(long_rows_that_come_in_pieces_give_the_same_orders),
        cmocka_unit_test(a_file_in_many_buffers_keeps_count),
        cmocka_unit_test(a_damaged_file_is_read_to_the_end_or_fails_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
