#include "engine/edge/json_path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#define TEST(name) static void name(void **state)

static void finds(const char *path, const char *expected)
{
    json_t *value = json_loads("{\"a\": {\"b\": [1, {\"c d\": 2}]}, \"k\": \"x\", \"\": 3, "
                               "\"e-f:g]\": 4, \"it's.\": 5}",
                               0, NULL);
    assert_true(json_path_is(path));
    const json_t *found = json_path_get(value, path);
    char *text = found ? json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT) : strdup("nothing");
    assert_string_equal(text, expected);
    free(text);
    json_decref(value);
}

TEST(a_path_finds_what_it_names)
{
    (void)state;
    finds("$.k", "\"x\"");
    finds("$.a", "{\"b\":[1,{\"c d\":2}]}");
    finds("$.a.b[0]", "1");
    finds("$['a']['b'][1]['c d']", "2");
    finds("$.a[\"b\"]", "[1,{\"c d\":2}]");
    finds("$['']", "3");
    finds("$.e-f:g]", "4");
    finds("$[\"it's.\"]", "5");
    finds("$.a.c", "nothing");
    finds("$.a.b[2]", "nothing");
    finds("$.a.b.c", "nothing");
    finds("$.a[0]", "nothing");
    finds("$.k.a", "nothing");
}

TEST(the_path_of_all_is_all)
{
    (void)state;
    json_t *value = json_integer(7);
    assert_ptr_equal(json_path_get(value, "$"), value);
    assert_true(json_path_is("$"));
    json_decref(value);
}

TEST(what_is_no_path_is_refused_and_finds_nothing)
{
    (void)state;
    static const char *const wrong[] = {
        "",        "a",     "$.",   "$a",    "$[",      "$[a]",    "$[1",
        "$['a'",   "$['a]", "$..a", "$.a b", "$.*",     "$[-1]",   "$$",
        "$.a[?1]", "$[1]a", "$[]",  "$.a.",  "$['a\"]", "$['a'b]", "$[1234567890]"};
    json_t *value = json_loads("{\"a\": {\"\": 1}, \"\": 2, \"*\": 3}", 0, NULL);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_false(json_path_is(wrong[i]));
        assert_null(json_path_get(value, wrong[i]));
    }
    json_decref(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_finds_what_it_names),
        cmocka_unit_test(the_path_of_all_is_all),
        cmocka_unit_test(what_is_no_path_is_refused_and_finds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
