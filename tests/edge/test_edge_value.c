#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "engine/edge/edge_parts.h"
#include "engine/saga/value_json.h"

/* Msgpack into json, and back. */

#define BYTES(text)                                                                                \
    (struct flyover_bytes)                                                                         \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

static void assert_becomes(struct flyover_bytes value, const char *json)
{
    assert_true(value.count == 0 || value_check(value, NULL));
    json_t *made = edge_value_to_json(value);
    char *text = json_dumps(made, JSON_COMPACT | JSON_ENCODE_ANY);
    assert_string_equal(text, json);
    free(text);
    json_decref(made);
}

static void each_type_becomes_what_json_has_for_it(void **state)
{
    (void)state;
    assert_becomes(BYTES(""), "null");
    assert_becomes(BYTES("\xc0"), "null");
    assert_becomes(BYTES("\xc3"), "true");
    assert_becomes(BYTES("\xc2"), "false");
    assert_becomes(BYTES("\x2a"), "42");
    assert_becomes(BYTES("\xff"), "-1");
    assert_becomes(BYTES("\xd3\x80\0\0\0\0\0\0\0"), "-9223372036854775808");
    assert_becomes(BYTES("\xcb\x3f\xf8\0\0\0\0\0\0"), "1.5");
    assert_becomes(BYTES("\xa3o\xc3\xa4"), "\"o\303\244\"");
    assert_becomes(BYTES("\xa3"
                         "a\0b"),
                   "\"a\\u0000b\"");
    assert_becomes(BYTES("\x93\x01\x90\x80"), "[1,[],{}]");
    assert_becomes(BYTES("\x82\xa1z\x01\xa1"
                         "a\x91\x02"),
                   "{\"z\":1,\"a\":[2]}");
}

static void what_json_has_no_word_for_comes_near(void **state)
{
    (void)state;
    assert_becomes(BYTES("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), "1.8446744073709552e19");
    assert_becomes(BYTES("\xcb\x7f\xf8\0\0\0\0\0\0"), "null");
    assert_becomes(BYTES("\xca\x7f\x80\0\0"), "null");
    assert_becomes(BYTES("\xc4\x00"), "\"\"");
    assert_becomes(BYTES("\xc4\x01\xff"), "\"/w==\"");
    assert_becomes(BYTES("\xc4\x02\xff\xff"), "\"//8=\"");
    assert_becomes(BYTES("\xc4\x03\x00\x01\x02"), "\"AAEC\"");
    assert_becomes(BYTES("\xc4\x04\x00\x01\x02\x03"), "\"AAECAw==\"");
}

static void of_a_key_that_is_there_twice_the_first_counts(void **state)
{
    (void)state;
    assert_becomes(BYTES("\x82\xa1k\x01\xa1k\x92\x02\x03"), "{\"k\":1}");
}

static void what_is_read_is_written_as_it_was(void **state)
{
    (void)state;
    static const char text[] = "{\"order\":17,\"items\":[{\"sku\":\"A-1\",\"price\":9.5},null,"
                               "true],\"deep\":[[[[[\"\303\244\"]]]]],\"n\":-9223372036854775807}";
    uint8_t bytes[512];
    size_t count;
    json_t *json = json_loads(text, 0, NULL);
    assert_int_equal(value_from_json(json, bytes, sizeof bytes, &count), STATUS_OK);
    assert_becomes((struct flyover_bytes){bytes, (uint32_t)count}, text);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_becomes_what_json_has_for_it),
        cmocka_unit_test(what_json_has_no_word_for_comes_near),
        cmocka_unit_test(of_a_key_that_is_there_twice_the_first_counts),
        cmocka_unit_test(what_is_read_is_written_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
