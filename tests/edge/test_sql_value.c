#include "engine/edge/sql_value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "engine/edge/sql_error.h"

#define TEST(name) static void name(void **state)

static void writes(const char *json, unsigned type, const char *expected)
{
    json_t *value = json_loads(json, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    assert_non_null(value);
    char *text = NULL;
    assert_int_equal(sql_value_text(value, type, &text), SQL_TEXT_OK);
    if (expected)
        assert_string_equal(text, expected);
    else
        assert_null(text);
    free(text);
    json_decref(value);
}

TEST(a_value_is_written_as_its_type_reads_it)
{
    (void)state;
    writes("null", SQL_TYPE_TEXT, NULL);
    writes("null", SQL_TYPE_JSONB, NULL);
    writes("true", 16, "true");
    writes("-9223372036854775808", 20, "-9223372036854775808");
    writes("0.1", SQL_TYPE_NUMERIC, "0.1");
    writes("0.30000000000000004", SQL_TYPE_NUMERIC, "0.30000000000000004");
    writes("12.50", SQL_TYPE_NUMERIC, "12.5");
    writes("\"a'b\"", SQL_TYPE_TEXT, "a'b");
    writes("\"a\\\"b\"", SQL_TYPE_JSONB, "\"a\\\"b\"");
    writes("{\"a\": [0.1, null, \"x\"], \"b\": {}}", SQL_TYPE_JSONB,
           "{\"a\":[0.1,null,\"x\"],\"b\":{}}");
    writes("[]", SQL_TYPE_JSON, "[]");
    writes("[1, 2]", SQL_TYPE_TEXT, "[1,2]");
    writes("[1, 2]", 1007, "{1,2}");
    writes("[\"a\\\"\\\\b\", null, \"NULL\"]", 1009, "{\"a\\\"\\\\b\",null,\"NULL\"}");
    writes("[[1], [2]]", 1007, "{{1},{2}}");
    writes("[{\"a\": \"b\"}]", 3807, "{\"{\\\"a\\\":\\\"b\\\"}\"}");
}

TEST(a_string_with_a_zero_byte_is_refused)
{
    (void)state;
    json_t *value = json_loads("[\"a\\u0000b\"]", JSON_ALLOW_NUL, NULL);
    char *text = NULL;
    assert_int_equal(sql_value_text(value, SQL_TYPE_JSONB, &text), SQL_TEXT_ZERO_BYTE);
    assert_int_equal(sql_value_text(value, 1009, &text), SQL_TEXT_ZERO_BYTE);
    assert_int_equal(sql_value_text(json_array_get(value, 0), SQL_TYPE_TEXT, &text),
                     SQL_TEXT_ZERO_BYTE);
    assert_null(text);
    json_decref(value);
}

static void reads(const char *text, const char *expected)
{
    json_t *value = sql_output(text);
    char *again = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    assert_string_equal(again, expected);
    free(again);
    json_decref(value);
}

TEST(an_output_that_cannot_be_held_is_its_text)
{
    (void)state;
    reads(NULL, "null");
    reads("{\"a\":1}", "{\"a\":1}");
    reads("1e999", "\"1e999\"");
    reads("[\"\\u0000\"]", "\"[\\\"\\\\u0000\\\"]\"");
    char deep[128] = "";
    memset(deep, '[', 31);
    memset(deep + 31, ']', 31);
    json_t *value = sql_output(deep);
    assert_true(json_is_string(value));
    json_decref(value);
    value = sql_output(deep + 2);
    assert_true(json_is_string(value));
    json_decref(value);
    deep[60] = 0;
    value = sql_output(deep + 2);
    assert_true(json_is_array(value));
    json_decref(value);
}

static void is_error(const char *sqlstate, const char *hint, const char *name, bool retryable,
                     bool retry_here)
{
    struct sql_error error = sql_error_of(sqlstate, hint);
    assert_string_equal(error.name, name);
    assert_int_equal(error.retryable, retryable);
    assert_int_equal(error.retry_here, retry_here);
}

TEST(an_sqlstate_is_an_error_of_its_name_and_kind)
{
    (void)state;
    is_error("23505", NULL, "SQL.UniqueViolation", false, false);
    is_error("23514", "A.B", "SQL.CheckViolation", false, false);
    is_error("23001", NULL, "SQL.IntegrityConstraintViolation", false, false);
    is_error("P0001", NULL, "SQL.RaiseException", false, false);
    is_error("P0001", "Card.Expired", "Card.Expired", false, false);
    is_error("P0001", "States.Timeout", "SQL.RaiseException", false, false);
    is_error("P0001", "Look at it.", "SQL.RaiseException", false, false);
    is_error("40001", NULL, "SQL.SerializationFailure", true, true);
    is_error("40P01", NULL, "SQL.DeadlockDetected", true, true);
    is_error("57014", NULL, "States.Timeout", true, false);
    is_error("26000", NULL, "SQL.ConnectionLost", true, true);
    is_error("42P05", NULL, "SQL.ConnectionLost", true, true);
    is_error("57P01", NULL, "SQL.ConnectionLost", true, true);
    is_error(NULL, NULL, "SQL.ConnectionLost", true, true);
    is_error("53300", NULL, "SQL.TooManyConnections", true, true);
    is_error("42P01", NULL, "SQL.UndefinedTable", false, false);
    is_error("42P07", NULL, "SQL.SyntaxErrorOrAccessRuleViolation", false, false);
    is_error("XX000", NULL, "SQL.StateXX000", false, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_written_as_its_type_reads_it),
        cmocka_unit_test(a_string_with_a_zero_byte_is_refused),
        cmocka_unit_test(an_output_that_cannot_be_held_is_its_text),
        cmocka_unit_test(an_sqlstate_is_an_error_of_its_name_and_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
