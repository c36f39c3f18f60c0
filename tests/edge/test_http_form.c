#include "engine/edge/http_form.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

static void expect(const char *json, enum http_array format, const char *form)
{
    struct http_text text = {0};
    json_t *object = json_loads(json, 0, NULL);
    assert_non_null(object);
    assert_int_equal(http_form_add(&text, object, format), form != NULL);
    assert_false(text.is_out_of_memory);
    if (form != NULL)
        assert_string_equal(text.at, form);
    free(text.at);
    json_decref(object);
}

static void values_are_written_as_they_are(void **state)
{
    (void)state;
    expect("{\"a\": \"x\", \"b\": 1, \"c\": 9.99, \"d\": true, \"e\": false, \"f\": null, \"g\": "
           "\"\"}",
           HTTP_INDICES, "a=x&b=1&c=9.99&d=true&e=false&f=&g=");
}

static void what_is_no_letter_is_encoded(void **state)
{
    (void)state;
    expect("{\"a b\": \"x y&z=1+2/\\u00e4~-._\"}", HTTP_INDICES,
           "a%20b=x%20y%26z%3D1%2B2%2F%C3%A4~-._");
}

static void arrays_go_by_their_format(void **state)
{
    (void)state;
    const char *json = "{\"array\": [\"a\", \"b,\", 3]}";
    expect(json, HTTP_INDICES, "array[0]=a&array[1]=b%2C&array[2]=3");
    expect(json, HTTP_REPEAT, "array=a&array=b%2C&array=3");
    expect(json, HTTP_COMMAS, "array=a,b%2C,3");
    expect(json, HTTP_BRACKETS, "array[]=a&array[]=b%2C&array[]=3");
}

static void objects_are_named_by_their_way(void **state)
{
    (void)state;
    const char *json = "{\"a\": {\"b c\": {\"d\": 1}, \"e\": [{\"f\": 2}, [3]]}}";
    expect(json, HTTP_INDICES, "a[b%20c][d]=1&a[e][0][f]=2&a[e][1][0]=3");
    expect(json, HTTP_REPEAT, "a[b%20c][d]=1&a[e][f]=2&a[e]=3");
    expect(json, HTTP_COMMAS, NULL);
}

static void formats_are_known_by_their_names(void **state)
{
    (void)state;
    enum http_array format = HTTP_INDICES;
    assert_true(http_array_find("BRACKETS", &format));
    assert_int_equal(format, HTTP_BRACKETS);
    assert_false(http_array_find("brackets", &format));
    assert_false(http_array_find("", &format));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_written_as_they_are),
        cmocka_unit_test(what_is_no_letter_is_encoded),
        cmocka_unit_test(arrays_go_by_their_format),
        cmocka_unit_test(objects_are_named_by_their_way),
        cmocka_unit_test(formats_are_known_by_their_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
