#include "engine/saga/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/saga/utf8.h"
#include "tests/base/msgpack_oracle.h"

/* Compiles into an arena of exactly text_bytes, which the caller frees. */
static enum status compile(const char *text, size_t text_bytes, uint8_t **ret_arena,
                           struct path *ret_path, struct problem *problem)
{
    *ret_arena = malloc(text_bytes + (text_bytes == 0));
    assert_non_null(*ret_arena);
    return path_compile(text, text_bytes, *ret_arena, ret_path, problem);
}

static void assert_field(const struct path_part *part, const char *name, size_t name_bytes)
{
    assert_int_equal(part->kind, PATH_FIELD);
    assert_int_equal(part->field.count, name_bytes);
    assert_memory_equal(part->field.at, name, name_bytes);
}

static void names_and_indices_become_parts(void **state)
{
    (void)state;
    const char text[] = "$.order-1.l\xc3\xadneas[0]['a b'].c_2[4294967295][\"it's\"]";
    struct path path;
    uint8_t *arena;
    assert_int_equal(compile(text, strlen(text), &arena, &path, NULL), STATUS_OK);
    assert_int_equal(path.parts_count, 7);
    assert_field(&path.parts[0], "order-1", 7);
    assert_field(&path.parts[1], "l\xc3\xadneas", 7);
    assert_int_equal(path.parts[2].kind, PATH_INDEX);
    assert_int_equal(path.parts[2].index, 0);
    assert_field(&path.parts[3], "a b", 3);
    assert_field(&path.parts[4], "c_2", 3);
    assert_int_equal(path.parts[5].index, UINT32_MAX);
    assert_field(&path.parts[6], "it's", 4);
    free(arena);
}

static void the_root_has_no_parts(void **state)
{
    (void)state;
    struct path path = {.parts_count = 9};
    uint8_t *arena;
    assert_int_equal(compile("$", 1, &arena, &path, NULL), STATUS_OK);
    assert_int_equal(path.parts_count, 0);
    free(arena);
}

static void escapes_in_quotes_mean_what_they_mean_in_json(void **state)
{
    (void)state;
    const char text[] =
        "$['\\'\\\"\\\\\\/\\b\\f\\n\\r\\t']['\\u0041\\u00e9\\u20AC\\ud83d\\ude00"
        "\\u0000'][']['].z['\\u007f\\u0080\\u07ff\\u0800\\uffff\\ud800\\udc00\\udbff\\udfff']";
    struct path path;
    uint8_t *arena;
    assert_int_equal(compile(text, strlen(text), &arena, &path, NULL), STATUS_OK);
    assert_int_equal(path.parts_count, 5);
    assert_field(&path.parts[0], "'\"\\/\b\f\n\r\t", 9);
    assert_field(&path.parts[1], "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\0", 11);
    assert_field(&path.parts[2], "][", 2);
    assert_field(&path.parts[3], "z", 1);
    assert_field(&path.parts[4],
                 "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
                 19);
    free(arena);
}

static void sixteen_parts_are_compiled_and_seventeen_refused(void **state)
{
    (void)state;
    const char text[] = "$.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a";
    struct path path;
    struct problem problem;
    uint8_t *arena;
    assert_int_equal(compile(text, strlen(text) - 2, &arena, &path, NULL), STATUS_OK);
    assert_int_equal(path.parts_count, PATH_PARTS_MAX);
    free(arena);
    assert_int_equal(compile(text, strlen(text), &arena, &path, &problem), STATUS_UNSUPPORTED);
    assert_non_null(strstr(problem.text, "16 parts"));
    free(arena);
}

static void what_a_reference_path_may_not_have_is_refused_by_its_name(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum status status;
        const char *names; /* in the sentence */
    } refusals[] = {
        {"$$.Execution.Id", STATUS_UNSUPPORTED, "context object"},
        {"$..a", STATUS_UNSUPPORTED, "recursive descent"},
        {"$.*", STATUS_UNSUPPORTED, "wildcards"},
        {"$.a[*]", STATUS_UNSUPPORTED, "byte 5: wildcards"},
        {"$.a[?(@.b == 1)]", STATUS_UNSUPPORTED, "filters"},
        {"$.a[(@.length-1)]", STATUS_UNSUPPORTED, "expressions"},
        {"$.a[1:2]", STATUS_UNSUPPORTED, "slices"},
        {"$.a[:2]", STATUS_UNSUPPORTED, "slices"},
        {"$.a[0,1]", STATUS_UNSUPPORTED, "unions"},
        {"$['a','b']", STATUS_UNSUPPORTED, "unions"},
        {"$.a[-1]", STATUS_UNSUPPORTED, "negative indices"},
        {"$.a.length()", STATUS_UNSUPPORTED, "functions"},
        {"States.Format('x')", STATUS_UNSUPPORTED, "intrinsic functions"},
        {"", STATUS_INVALID, "begins with $"},
        {"a.b", STATUS_INVALID, "begins with $"},
        {"$a", STATUS_INVALID, "'.' or '['"},
        {"$.a b", STATUS_INVALID, "'.' or '['"},
        {"$.", STATUS_INVALID, "a field name is missing"},
        {"$.a.", STATUS_INVALID, "a field name is missing"},
        {"$.['a']", STATUS_INVALID, "a field name is missing"},
        {"$[", STATUS_INVALID, "brackets hold"},
        {"$[]", STATUS_INVALID, "brackets hold"},
        {"$[a]", STATUS_INVALID, "brackets hold"},
        {"$[1", STATUS_INVALID, "closing bracket"},
        {"$['a'", STATUS_INVALID, "closing bracket"},
        {"$['a", STATUS_INVALID, "closing quote"},
        {"$['a\\", STATUS_INVALID, "unknown escape"},
        {"$['\\x']", STATUS_INVALID, "unknown escape"},
        {"$['\\u12g4']", STATUS_INVALID, "four hexadecimal digits"},
        {"$['\\ud83d']", STATUS_INVALID, "four hexadecimal digits"},
        {"$['\\ude00']", STATUS_INVALID, "four hexadecimal digits"},
        {"$['\\ud83d\\u0041']", STATUS_INVALID, "four hexadecimal digits"},
        {"$['\\ud83d\\ud83d']", STATUS_INVALID, "four hexadecimal digits"},
        {"$[01]", STATUS_INVALID, "leading zero"},
        {"$[4294967296]", STATUS_INVALID, "too large"},
        {"$.\xff", STATUS_INVALID, "not UTF-8"},
    };
    for (size_t index = 0; index < sizeof refusals / sizeof refusals[0]; index++) {
        struct path path = {.parts_count = 9};
        struct problem problem = {.text = ""};
        uint8_t *arena;
        enum status status =
            compile(refusals[index].text, strlen(refusals[index].text), &arena, &path, &problem);
        if (status != refusals[index].status || !strstr(problem.text, refusals[index].names)) {
            print_error("%s: %s: %s\n", refusals[index].text, status_name(status), problem.text);
            fail();
        }
        assert_int_equal(problem.status, status);
        assert_int_equal(path.parts_count, 9);
        free(arena);
    }
}

/* Whatever the text, names are UTF-8 and lie in the arena; AddressSanitizer watches its ends. */
static void random_texts_compile_into_the_arena_or_are_refused(void **state)
{
    (void)state;
    static const char *const pieces[] = {"$",   ".",  "a",  "[",  "]",   "'",       "\"",
                                         "\\",  "0",  "12", "u",  "d83", "\\ud83d", "\\ude00",
                                         "['a", "']", ".b", "[1", "*",   "\xc3\xa9"};
    struct cases cases = {.state = 9};
    uint32_t compiled = 0;
    for (uint32_t case_no = 0; case_no < 100000; case_no++) {
        char text[128] = "$";
        for (uint64_t count = cases_draw(&cases, 10); count > 0; count--)
            strcat(text, pieces[cases_draw(&cases, sizeof pieces / sizeof pieces[0])]);
        struct path path;
        uint8_t *arena;
        if (compile(text, strlen(text), &arena, &path, NULL) == STATUS_OK) {
            compiled++;
            for (uint32_t part = 0; part < path.parts_count; part++) {
                struct flyover_bytes field = path.parts[part].field;
                if (path.parts[part].kind != PATH_FIELD)
                    continue;
                assert_true(field.at >= arena && field.at + field.count <= arena + strlen(text));
                assert_true(utf8_check(field.at, field.count));
            }
        }
        free(arena);
    }
    assert_in_range(compiled, 10000, 60000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_indices_become_parts),
        cmocka_unit_test(the_root_has_no_parts),
        cmocka_unit_test(escapes_in_quotes_mean_what_they_mean_in_json),
        cmocka_unit_test(sixteen_parts_are_compiled_and_seventeen_refused),
        cmocka_unit_test(what_a_reference_path_may_not_have_is_refused_by_its_name),
        cmocka_unit_test(random_texts_compile_into_the_arena_or_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
