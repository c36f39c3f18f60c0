/*
 * fuzz_text: any bytes, read as JSON text by the engine and by jansson. Stops where they do not
 * agree on what is JSON or on what becomes of it, at any capacity of the output; where what was
 * read is not the same after text and back; and where bytes that are msgpack are not written as
 * JSON that jansson reads.
 *
 * Run: build/fuzz/tests/fuzz/fuzz_text -max_len=512 -max_total_time=60
 */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/saga/value_text.h"
#include "tests/saga/json_cases.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

/* Not assert: a compiler flag must not turn the judge off. */
static void require(bool holds)
{
    if (!holds)
        abort();
}

static void *take(size_t bytes)
{
    void *memory = malloc(bytes + (bytes == 0));
    require(memory != NULL);
    return memory;
}

/* As large as needed, and with what is needed and one byte less. */
static bool judge_text(const char *text, size_t text_bytes, uint8_t *out, size_t *ret_bytes)
{
    size_t capacity = VALUE_FROM_TEXT_BYTES_MAX(text_bytes), needed, bytes;
    bool is_json = json_cases_oracle(text, text_bytes, out, capacity, &needed);
    uint8_t *own = take(capacity);
    struct problem problem = {0};
    enum status status = value_from_text(text, text_bytes, own, capacity, &bytes, &problem);
    require((status == STATUS_OK) == is_json);
    require(is_json || (problem.status == status && problem.text[0] != '\0'));
    require(status == STATUS_OK || status == STATUS_INVALID || status == STATUS_UNSUPPORTED);
    require(!is_json || (bytes == needed && memcmp(own, out, bytes) == 0));
    free(own);
    for (size_t less = 0; is_json && less < 2; less++) {
        own = take(needed - less);
        status = value_from_text(text, text_bytes, own, needed - less, &bytes, NULL);
        require(status == (less == 0 ? STATUS_OK : STATUS_TOO_LARGE));
        require(less == 1 || memcmp(own, out, needed) == 0);
        free(own);
    }
    *ret_bytes = needed;
    return is_json;
}

/* The text of a value, in a block of its size. Returned owned. */
static char *text_of(struct flyover_bytes value, size_t *ret_count)
{
    size_t capacity = 64 + (size_t)value.count * 8;
    char *large = take(capacity);
    size_t count = value_to_text(value, large, capacity);
    require(count > 0);
    char *text = take(count);
    require(value_to_text(value, text, count) == count && memcmp(text, large, count) == 0);
    free(large);
    large = take(count - 1);
    require(value_to_text(value, large, count - 1) == 0);
    free(large);
    *ret_count = count;
    return text;
}

static void judge_back(struct flyover_bytes value)
{
    size_t count, bytes;
    char *text = text_of(value, &count);
    uint8_t *again = take(value.count);
    require(value_from_text(text, count, again, value.count, &bytes, NULL) == STATUS_OK);
    require(bytes == value.count && memcmp(again, value.at, bytes) == 0);
    free(again);
    free(text);
}

/* Integers over int64_t and a zero in a key are JSON, but not for jansson. */
static void judge_msgpack(struct flyover_bytes value)
{
    size_t count, flags = JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL;
    char *text = text_of(value, &count);
    json_error_t error;
    json_t *json = json_loadb(text, count, flags, &error);
    require(json != NULL || json_error_code(&error) == json_error_null_byte_in_key);
    json_decref(json);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    uint8_t *out = take(VALUE_FROM_TEXT_BYTES_MAX(count));
    struct flyover_bytes value = {out, 0};
    size_t value_bytes;
    if (judge_text((const char *)bytes, count, out, &value_bytes)) {
        value.count = (uint32_t)value_bytes;
        judge_back(value);
    }
    value = (struct flyover_bytes){bytes, (uint32_t)count};
    if (count > 0 && value_check(value, NULL))
        judge_msgpack(value);
    free(out);
    return 0;
}
