#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/edge/update_expression.h"

static void a_term_goes_into_the_add_clause_or_makes_one(void **state)
{
    (void)state;
    static const struct {
        const char *expression, *expected;
    } cases[] = {
        {NULL, "ADD #k :k"},
        {"", "ADD #k :k"},
        {"SET a = :a", "SET a = :a ADD #k :k"},
        {"ADD n :one", "ADD #k :k, n :one"},
        {"set a = :a\nadd n :one, m :two remove b",
         "set a = :a\nadd #k :k, n :one, m :two remove b"},
        {"SET #ADD = :ADD, x.add = :a", "SET #ADD = :ADD, x.add = :a ADD #k :k"},
        {"REMOVE addresses[0]", "REMOVE addresses[0] ADD #k :k"},
        {"DELETE s :s ADD(n) :one", "DELETE s :s ADD #k :k,(n) :one"},
    };
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = update_expression_with_add(cases[i].expression, "#k :k");
        assert_string_equal(text, cases[i].expected);
        free(text);
    }
}

static void the_attributes_that_are_named_are_found(void **state)
{
    (void)state;
    json_t *item = json_pack("{s:i, s:i, s:i, s:i, s:i, s:i}", "a", 1, "b", 2, "set", 3, "info", 4,
                             "unnamed", 5, "no", 6);
    json_t *names = json_pack("{s:s, s:s}", "#s", "set", "#never", "no");
    json_t *found = update_expression_named(
        "SET a = if_not_exists(b, :unnamed), #s = :x, info.no[2] = :y REMOVE gone", names, item);
    json_t *expected = json_pack("{s:i, s:i, s:i, s:i}", "a", 1, "b", 2, "set", 3, "info", 4);
    assert_true(json_equal(found, expected));
    json_decref(found);
    found = update_expression_named(NULL, NULL, item);
    assert_int_equal(json_object_size(found), 0);
    json_decref(found);
    json_decref(expected);
    json_decref(names);
    json_decref(item);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_term_goes_into_the_add_clause_or_makes_one),
        cmocka_unit_test(the_attributes_that_are_named_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
