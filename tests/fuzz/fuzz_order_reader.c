/*
 * libFuzzer: any bytes as a file of orders. The reader must come to an end, and every order it
 * gives must be msgpack of the shape that the saga is promised.
 */
#include <assert.h>
#include <msgpack.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/ingest/order_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check_line(const msgpack_object *line)
{
    assert(line->type == MSGPACK_OBJECT_ARRAY && line->via.array.size == 3);
    const msgpack_object *parts = line->via.array.ptr;
    assert(parts[0].type == MSGPACK_OBJECT_STR && parts[0].via.str.size > 0);
    assert(parts[0].via.str.size <= ORDER_TEXT_BYTES_MAX);
    assert(parts[1].type == MSGPACK_OBJECT_POSITIVE_INTEGER);
    assert(parts[1].via.u64 >= 1 && parts[1].via.u64 <= ORDER_QUANTITY_MAX);
    assert(parts[2].type == MSGPACK_OBJECT_POSITIVE_INTEGER);
    assert(parts[2].via.u64 <= ORDER_AMOUNT_MAX);
}

static void check_field(const msgpack_object_kv *field, bool is_last)
{
    assert(field->key.type == MSGPACK_OBJECT_STR);
    if (!is_last) {
        assert(field->val.type == MSGPACK_OBJECT_STR && field->val.via.str.size > 0);
        assert(field->val.via.str.size <= ORDER_TEXT_BYTES_MAX);
        return;
    }
    assert(field->val.type == MSGPACK_OBJECT_ARRAY);
    assert(field->val.via.array.size >= 1 && field->val.via.array.size <= ORDER_LINES_MAX);
    for (uint32_t i = 0; i < field->val.via.array.size; i++)
        check_line(&field->val.via.array.ptr[i]);
}

static void check_order(const struct order *order, size_t file_bytes)
{
    assert(order->input_bytes <= ORDER_INPUT_BYTES_MAX && order->offset_bytes <= file_bytes);
    assert(order->line_no > 0 && order->number[0] != '\0');
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    size_t used = 0;
    msgpack_unpack_return result =
        msgpack_unpack_next(&unpacked, (const char *)order->input, order->input_bytes, &used);
    assert(result == MSGPACK_UNPACK_SUCCESS && used == order->input_bytes);
    assert(unpacked.data.type == MSGPACK_OBJECT_MAP);
    uint32_t size = unpacked.data.via.map.size;
    assert(size >= 3 && size <= 5);
    for (uint32_t i = 0; i < size; i++)
        check_field(&unpacked.data.via.map.ptr[i], i == size - 1);
    msgpack_unpacked_destroy(&unpacked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    int file = memfd_create("orders", MFD_CLOEXEC);
    assert(file >= 0);
    ssize_t written = write(file, data, bytes);
    assert(written == (ssize_t)bytes && lseek(file, 0, SEEK_SET) == 0);
    struct order_reader *reader = NULL;
    struct problem problem;
    enum order_result result = ORDER_END;
    if (order_reader_open(file, "fuzz", &reader, &problem) == STATUS_OK) {
        do {
            struct order order;
            struct order_reject reject;
            result = order_reader_next(reader, &order, &reject, &problem);
            if (result == ORDER_READ)
                check_order(&order, bytes);
            else if (result == ORDER_REJECTED)
                assert(reject.line_no > 0 && reject.reason[0] != '\0');
        } while (result == ORDER_READ || result == ORDER_REJECTED);
        order_reader_close(reader);
    } else {
        assert(reader == NULL && strlen(problem.text) > 0);
    }
    close(file);
    return 0;
}
