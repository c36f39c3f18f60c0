#include "engine/edge/sql_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEST(name) static void name(void **state)
#define URL        "\"url\": \"postgresql://shop:secret@db:1234/shop\", "
#define ONE        "\"statements\": {\"a\": {\"sql\": \"SELECT 1\"}}"

static struct sql_config *read_good(const char *text)
{
    json_t *section = json_loads(text, 0, NULL);
    assert_non_null(section);
    struct sql_config *config = NULL;
    struct problem problem;
    if (sql_config_open(section, 7, &config, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    json_decref(section);
    return config;
}

/* Refused, with a sentence that begins so and has this in it, and has no password. */
static void refuses(const char *text, const char *begin, const char *part)
{
    json_t *section = json_loads(text, 0, NULL);
    assert_non_null(section);
    struct sql_config *config = NULL;
    struct problem problem = {0};
    enum status status = sql_config_open(section, 7, &config, &problem);
    json_decref(section);
    assert_true(status == STATUS_INVALID || status == STATUS_NOT_FOUND);
    assert_null(config);
    if (strncmp(problem.text, begin, strlen(begin)) != 0 || !strstr(problem.text, part))
        fail_msg("%s", problem.text);
    assert_null(strstr(problem.text, "secret"));
}

/* Of one statement "a" with this. */
static void refuses_statement(const char *fields, const char *begin, const char *part)
{
    char text[1024];
    snprintf(text, sizeof text,
             "{" URL "\"statements\": {\"b\": {\"sql\": \"SELECT 1\"}, \"a\": "
             "{%s}}}",
             fields);
    refuses(text, begin, part);
}

TEST(what_is_not_said_has_its_default)
{
    (void)state;
    struct sql_config *config = read_good("{" URL ONE "}");
    assert_string_equal(config->url, "postgresql://shop:secret@db:1234/shop");
    assert_int_equal(config->pool, 4);
    assert_int_equal(config->pipeline, 1);
    assert_int_equal(config->timeout_ms, 30000);
    assert_string_equal(config->keys_table, "flyover_keys");
    assert_int_equal(config->keys_retention_hours, 720);
    assert_int_equal(config->statements_count, 1);
    assert_string_equal(config->names[0], "a");
    assert_null(config->names[1]);
    assert_int_equal(config->statements[0].returns, SQL_RETURNS_NONE);
    assert_int_equal(config->statements[0].compensates, SQL_NO_STATEMENT);
    assert_int_equal(config->statements[0].parts[0].expect_rows, SQL_ANY_ROWS);
    sql_config_close(config);
}

TEST(all_that_is_said_is_read)
{
    (void)state;
    struct sql_config *config = read_good(
        "{" URL "\"pool\": 9, \"pipeline\": 3, \"timeout_seconds\": 5, \"keys_table\": \"s.k_1\", "
        "\"keys_retention_hours\": 48, \"statements\": {\"undo\": {\"compensates\": \"do\", "
        "\"sql\": [{\"sql\": \" delete from a ; \", \"params\": [\"$.input.id\", 5]}, "
        "{\"sql\": \"SELECT 1\", \"expect_rows\": 0, \"error\": \"A.B\"}], \"returns\": \"rows\"}, "
        "\"do\": {\"sql\": \"INSERT INTO a VALUES (1)\", \"returns\": \"count\"}}}");
    assert_int_equal(config->pool, 9);
    assert_int_equal(config->pipeline, 3);
    assert_int_equal(config->timeout_ms, 5000);
    assert_string_equal(config->keys_table, "s.k_1");
    assert_int_equal(config->keys_retention_hours, 48);
    const struct sql_statement *undo = &config->statements[0];
    assert_int_equal(undo->compensates, 1);
    assert_int_equal(undo->returns, SQL_RETURNS_ROWS);
    assert_int_equal(undo->parts_count, 2);
    assert_string_equal(undo->parts[0].sql, "delete from a");
    assert_int_equal(undo->parts[0].params_count, 2);
    assert_int_equal(undo->parts[0].slot, 7);
    assert_int_equal(undo->parts[1].slot, 8);
    assert_int_equal(undo->parts[1].expect_rows, 0);
    assert_string_equal(undo->parts[1].error, "A.B");
    assert_int_equal(config->statements[1].parts[0].slot, 9);
    sql_config_close(config);
}

TEST(the_url_may_be_in_the_environment_or_in_a_file)
{
    (void)state;
    setenv("FLYOVER_TEST_SQL_URL", "postgresql://u@h/d", 1);
    struct sql_config *config = read_good("{\"url_env\": \"FLYOVER_TEST_SQL_URL\", " ONE "}");
    assert_string_equal(config->url, "postgresql://u@h/d");
    sql_config_close(config);
    unsetenv("FLYOVER_TEST_SQL_URL");
    refuses("{\"url_env\": \"FLYOVER_TEST_SQL_URL\", " ONE "}",
            "sql.url_env: ", "no variable FLYOVER_TEST_SQL_URL");

    char path[] = "/tmp/flyover-url-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "postgresql://u@h/e\n", 19), 19);
    close(fd);
    char text[256];
    snprintf(text, sizeof text, "{\"url_file\": \"%s\", " ONE "}", path);
    config = read_good(text);
    assert_string_equal(config->url, "postgresql://u@h/e");
    sql_config_close(config);
    unlink(path);
    refuses(text, "sql.url_file: ", "No such file");
}

TEST(a_section_that_is_wrong_is_refused_with_its_field)
{
    (void)state;
    refuses("{" ONE "}", "sql: ", "needs one of url");
    refuses("{" URL "\"url_env\": \"X\", " ONE "}", "sql: ", "needs one of url");
    refuses("{\"url\": \"postgresql://u:secret@[h/d\", " ONE "}", "sql.url: ", "cannot read it");
    refuses("{" URL "\"pools\": 1, " ONE "}", "sql: ", "\"pools\"");
    refuses("{" URL "\"pool\": 0, " ONE "}", "sql.pool: ", "from 1 to 64");
    refuses("{" URL "\"pool\": \"4\", " ONE "}", "sql.pool: ", "whole number");
    refuses("{" URL "\"keys_table\": \"a; DROP TABLE b\", " ONE "}", "sql.keys_table: ", "letters");
    refuses("{" URL "\"keys_table\": \"a.b.c\", " ONE "}", "sql.keys_table: ", "letters");
    refuses("{" URL "\"keys_table\": \"Keys\", " ONE "}", "sql.keys_table: ", "small letters");
    refuses("{" URL "\"statements\": {}}", "sql.statements: ", "1 to 48");
    refuses("{" URL "\"statements\": {\"a b\": {\"sql\": \"SELECT 1\"}}}",
            "sql.statements.a b: ", "letters");
}

TEST(a_statement_that_is_wrong_is_refused_with_its_field)
{
    (void)state;
    const char *at = "sql.statements.a: ";
    refuses_statement("\"sql\": \"COMMIT\"", at, "begins with SELECT");
    refuses_statement("\"sql\": \"SELECTED\"", at, "begins with SELECT");
    refuses_statement("\"sql\": 5", at, "begins with SELECT");
    refuses_statement("\"sql\": []", at, "1 to 8");
    refuses_statement("\"sql\": [{\"sql\": \"SELECT 1\"}, {\"sql\": \"BEGIN\"}]",
                      "sql.statements.a.sql[1]: ", "begins with SELECT");
    refuses_statement("\"sql\": [{\"sql\": \"SELECT 1\"}], \"params\": []", at, "\"params\"");
    refuses_statement("\"sql\": \"SELECT 1\", \"param\": []", at, "\"param\"");
    refuses_statement("\"sql\": \"SELECT 1\", \"params\": {}", at, "list of paths");
    refuses_statement("\"sql\": \"SELECT 1\", \"params\": [\"$.\"]", at, "\"$.\" is no path");
    refuses_statement("\"sql\": \"SELECT 1\", \"returns\": \"all\"", at,
                      "none, count, row or rows");
    refuses_statement("\"sql\": \"SELECT 1\", \"expect_rows\": -1", at, "0 or more");
    refuses_statement("\"sql\": \"SELECT 1\", \"error\": \"A.B\"", at, "needs \"expect_rows\"");
    refuses_statement("\"sql\": \"SELECT 1\", \"expect_rows\": 1, \"error\": \"States.X\"", at,
                      "not one of States");
    refuses_statement("\"sql\": \"SELECT 1\", \"compensates\": \"c\"", at, "another statement");
    refuses_statement("\"sql\": \"SELECT 1\", \"compensates\": \"a\"", at, "another statement");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_said_has_its_default),
        cmocka_unit_test(all_that_is_said_is_read),
        cmocka_unit_test(the_url_may_be_in_the_environment_or_in_a_file),
        cmocka_unit_test(a_section_that_is_wrong_is_refused_with_its_field),
        cmocka_unit_test(a_statement_that_is_wrong_is_refused_with_its_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
