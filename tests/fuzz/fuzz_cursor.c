/*
 * fuzz_cursor: any bytes, read by the engine and by msgpack-c. Stops where they do not agree on
 * what is a value, where it ends, and what is in it; where value_check lets through what breaks a
 * limit or refuses what does not; and where a value that passed cannot be printed as JSON, or
 * changed, without becoming something that does not pass.
 *
 * Run: build/fuzz/tests/fuzz/fuzz_cursor -max_len=512 -max_total_time=60
 */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/cursor.h"
#include "engine/saga/value.h"
#include "tests/base/msgpack_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

/* Not assert: a compiler flag must not turn the judge off. */
static void require(bool holds)
{
    if (!holds)
        abort();
}

/* What has passed value_check prints as JSON that jansson reads. */
static void judge_print(struct flyover_bytes value)
{
    size_t capacity = 4096 + (size_t)value.count * 40;
    char *text = malloc(capacity);
    require(text != NULL);
    size_t length = value_print(value, text, capacity);
    require(length < capacity - 1 && text[length] == '\0');
    /* Integers over int64 and NUL in a key are JSON, but not for jansson. */
    size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL;
    json_error_t error;
    json_t *json = json_loadb(text, length, flags, &error);
    require(json != NULL || json_error_code(&error) == json_error_null_byte_in_key);
    json_decref(json);
    free(text);
}

/* The value put into itself is found again and passes, unless it became too deep. */
static void judge_put(struct flyover_bytes value)
{
    static const char *const paths[] = {"$", "$.a", "$.a.b", "$['']", "$.k.a.b"};
    const char *text = paths[value.count % 5];
    uint8_t arena[16];
    struct path path;
    require(path_compile(text, strlen(text), arena, &path, NULL) == STATUS_OK);
    size_t capacity = 64 + (size_t)value.count * 2;
    uint8_t *out = malloc(capacity);
    require(out != NULL);
    struct flyover_bytes result = {out, 0}, found;
    result.count = (uint32_t)value_put_at(value, &path, value, out, capacity);
    struct flyover_cursor cursor = {value.at, value.at + value.count};
    bool fits = cursor_skip(&cursor, FLYOVER_DEPTH_MAX - path.parts_count);
    require(fits == (result.count > 0));
    if (fits) {
        require(value_check(result, NULL));
        require(value_at(result, &path, &found));
        require(found.count == value.count && !memcmp(found.at, value.at, found.count));
    }
    free(out);
}

static void judge_path(const uint8_t *bytes, size_t count)
{
    uint8_t *arena = malloc(count + 1);
    require(arena != NULL);
    struct path path;
    struct problem problem;
    if (path_compile((const char *)bytes, count, arena, &path, &problem) == STATUS_OK) {
        require(path.parts_count <= PATH_PARTS_MAX);
        for (uint32_t part = 0; part < path.parts_count; part++) {
            struct flyover_bytes field = path.parts[part].field;
            require(path.parts[part].kind == PATH_INDEX ||
                    (field.at >= arena && field.at + field.count <= arena + count));
        }
    }
    free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    size_t used = 0;
    bool is_value = oracle_unpack(bytes, count, &unpacked, &used);
    struct flyover_cursor cursor = {bytes, bytes + count};
    require(flyover_skip(&cursor) == is_value);
    require(cursor.at == bytes + used);
    cursor.at = bytes;
    require(!is_value || (oracle_same(&cursor, &unpacked.data) && cursor.at == bytes + used));
    struct flyover_bytes value = {bytes, (uint32_t)count};
    bool passes = is_value && used == count && oracle_within_limits(&unpacked.data);
    require(value_check(value, NULL) == passes);
    if (passes) {
        judge_print(value);
        judge_put(value);
    }
    judge_path(bytes, count);
    msgpack_unpacked_destroy(&unpacked);
    return 0;
}
