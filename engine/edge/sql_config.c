#include "engine/edge/sql_config.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/json_path.h"

#define URL_BYTES_MAX 4096u

struct reader {
    struct sql_config *config;
    uint32_t slot;
    struct problem *problem;
};

/* A sentence about the field `path` of the section. */
#define REFUSE(reader, path, ...) refuse((reader)->problem, path, __VA_ARGS__)

__attribute__((format(printf, 3, 4))) static enum status
refuse(struct problem *problem, const char *path, const char *format, ...)
{
    char text[512];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    return problem_set(problem, STATUS_INVALID, "%s: %s", path, text);
}

static enum status check_fields(struct reader *reader, const char *path, const json_t *object,
                                const char *const *known)
{
    if (!json_is_object(object))
        return REFUSE(reader, path, "has to be an object");
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        uint32_t i = 0;
        while (known[i] && strcmp(known[i], key) != 0)
            i++;
        if (!known[i])
            return REFUSE(reader, path, "has a field \"%.64s\", which is not known here", key);
    }
    return STATUS_OK;
}

static enum status read_number(struct reader *reader, const char *name, int64_t most,
                               int64_t fallback, int64_t *ret_value)
{
    const json_t *value = json_object_get(reader->config->section, name);
    if (value && (!json_is_integer(value) || json_integer_value(value) < 1 ||
                  json_integer_value(value) > most)) {
        char path[64];
        snprintf(path, sizeof path, "sql.%s", name);
        return REFUSE(reader, path, "has to be a whole number from 1 to %lld", (long long)most);
    }
    *ret_value = value ? json_integer_value(value) : fallback;
    return STATUS_OK;
}

static enum status read_numbers(struct reader *reader)
{
    struct sql_config *config = reader->config;
    int64_t pool, pipeline, timeout_seconds, hours;
    enum status status = read_number(reader, "pool", SQL_POOL_MAX, 4, &pool);
    if (status == STATUS_OK)
        status = read_number(reader, "pipeline", SQL_PIPELINE_MAX, 1, &pipeline);
    if (status == STATUS_OK)
        status = read_number(reader, "timeout_seconds", 86400, 30, &timeout_seconds);
    if (status == STATUS_OK)
        status = read_number(reader, "keys_retention_hours", 876000, 720, &hours);
    if (status != STATUS_OK)
        return status;
    config->pool = (uint32_t)pool;
    config->pipeline = (uint32_t)pipeline;
    config->timeout_ms = timeout_seconds * 1000;
    config->keys_retention_hours = (uint32_t)hours;
    return STATUS_OK;
}

/* ---- where the database is ---------------------------------------------------------------------
 */

static enum status read_url_file(struct reader *reader, const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return problem_set(reader->problem, STATUS_NOT_FOUND, "sql.url_file: %s: %s", path,
                           strerror(errno));
    char text[URL_BYTES_MAX];
    size_t count = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[count] = 0;
    text[strcspn(text, "\r\n")] = 0;
    reader->config->url = strdup(text);
    return STATUS_OK;
}

static enum status read_url_env(struct reader *reader, const char *name)
{
    const char *value = getenv(name);
    if (!value || !*value)
        return problem_set(reader->problem, STATUS_NOT_FOUND,
                           "sql.url_env: the environment has no variable %s; set it to "
                           "postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
                           name);
    reader->config->url = strdup(value);
    return STATUS_OK;
}

/* What libpq says of a URL that it cannot read may have its password in it: it is not passed on. */
static enum status check_url(struct reader *reader)
{
    PQconninfoOption *options = PQconninfoParse(reader->config->url, NULL);
    if (!options)
        return REFUSE(
            reader, "sql.url",
            "libpq cannot read it; it has to be like "
            "postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with anything but letters and "
            "digits in user and password as %%XX");
    PQconninfoFree(options);
    return STATUS_OK;
}

static enum status read_url(struct reader *reader)
{
    const json_t *section = reader->config->section;
    const char *url = json_string_value(json_object_get(section, "url"));
    const char *env = json_string_value(json_object_get(section, "url_env"));
    const char *file = json_string_value(json_object_get(section, "url_file"));
    if (!!url + !!env + !!file != 1)
        return REFUSE(reader, "sql",
                      "needs one of url, url_env (a variable of the environment) and url_file "
                      "(a file), as a string");
    enum status status = STATUS_OK;
    if (url)
        reader->config->url = strdup(url);
    else
        status = env ? read_url_env(reader, env) : read_url_file(reader, file);
    return status == STATUS_OK ? check_url(reader) : status;
}

/* A name, or a name in a schema, that needs no quotes. */
static bool is_table(const char *text)
{
    uint32_t dots = 0;
    bool begins = true;
    for (const char *at = text; *at; at++) {
        if (*at == '.' && !begins && !dots++) {
            begins = true;
            continue;
        }
        bool letter = (*at >= 'a' && *at <= 'z') || *at == '_';
        if (!letter && (begins || !isdigit((unsigned char)*at)))
            return false;
        begins = false;
    }
    return !begins && strlen(text) <= 127;
}

static enum status read_keys_table(struct reader *reader)
{
    const json_t *value = json_object_get(reader->config->section, "keys_table");
    const char *text = value ? json_string_value(value) : "flyover_keys";
    if (!text || !is_table(text))
        return REFUSE(reader, "sql.keys_table",
                      "has to be a name, or SCHEMA.NAME, of small letters, digits and '_'");
    reader->config->keys_table = text;
    return STATUS_OK;
}

/* ---- statements --------------------------------------------------------------------------------
 */

static bool begins_with_word(const char *sql, const char *word)
{
    size_t count = strlen(word);
    return strncasecmp(sql, word, count) == 0 && !isalnum((unsigned char)sql[count]) &&
           sql[count] != '_';
}

/* Anything else could end the transaction, or could not be prepared. */
static bool is_statement(const char *sql)
{
    static const char *const words[] = {"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "WITH"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (begins_with_word(sql, words[i]))
            return true;
    }
    return false;
}

static enum status read_sql(struct reader *reader, const char *path, const json_t *value,
                            struct sql_part *part)
{
    const char *sql = json_string_value(value);
    while (sql && isspace((unsigned char)*sql))
        sql++;
    if (!sql || !is_statement(sql))
        return REFUSE(reader, path,
                      "needs \"sql\", a statement that begins with SELECT, INSERT, UPDATE, DELETE, "
                      "MERGE or WITH, or a list of objects that each have one");
    part->sql = strdup(sql);
    assert(part->sql);
    size_t count = strlen(part->sql);
    while (count && (isspace((unsigned char)part->sql[count - 1]) || part->sql[count - 1] == ';'))
        part->sql[--count] = 0;
    return STATUS_OK;
}

static enum status read_params(struct reader *reader, const char *path, const json_t *list,
                               struct sql_part *part)
{
    if (list && !json_is_array(list))
        return REFUSE(reader, path, "\"params\" has to be a list of paths like $.order_id");
    if (json_array_size(list) > SQL_PARAMS_MAX)
        return REFUSE(reader, path, "\"params\" has more than %u", SQL_PARAMS_MAX);
    size_t index;
    json_t *param;
    json_array_foreach((json_t *)list, index, param)
    {
        const char *text = json_string_value(param);
        if (text && text[0] == '$' && !json_path_is(text + (text[1] == '$')))
            return REFUSE(reader, path,
                          "\"%.128s\" is no path; write $.a.b[0] of the input, or $$.key, $$.saga, "
                          "$$.step, $$.output",
                          text);
        part->params[index] = param;
    }
    part->params_count = (uint32_t)json_array_size(list);
    return STATUS_OK;
}

static bool is_error_name(const char *text)
{
    size_t count = strlen(text);
    return count && count <= FLYOVER_ERROR_NAME_BYTES_MAX && strncmp(text, "States.", 7) != 0 &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
               count;
}

static enum status read_expected(struct reader *reader, const char *path, const json_t *object,
                                 struct sql_part *part)
{
    const json_t *rows = json_object_get(object, "expect_rows");
    const json_t *error = json_object_get(object, "error");
    if (rows && (!json_is_integer(rows) || json_integer_value(rows) < 0))
        return REFUSE(reader, path, "\"expect_rows\" has to be a whole number, 0 or more");
    if (error && !rows)
        return REFUSE(reader, path, "\"error\" needs \"expect_rows\": it says when it happens");
    if (error && (!json_is_string(error) || !is_error_name(json_string_value(error))))
        return REFUSE(reader, path,
                      "\"error\" has to be a name like Payment.Declined, of at most %u letters, "
                      "digits, '.', '_' and '-', and not one of States",
                      FLYOVER_ERROR_NAME_BYTES_MAX);
    part->expect_rows = rows ? json_integer_value(rows) : SQL_ANY_ROWS;
    part->error = error ? json_string_value(error) : "SQL.UnexpectedRows";
    return STATUS_OK;
}

static enum status read_part(struct reader *reader, const char *path, const json_t *object,
                             struct sql_part *part)
{
    enum status status = read_sql(reader, path, json_object_get(object, "sql"), part);
    if (status == STATUS_OK)
        status = read_params(reader, path, json_object_get(object, "params"), part);
    if (status == STATUS_OK)
        status = read_expected(reader, path, object, part);
    part->slot = reader->slot++;
    return status;
}

static enum status read_parts(struct reader *reader, const char *path, const json_t *list,
                              struct sql_statement *statement)
{
    static const char *const fields[] = {"sql", "params", "expect_rows", "error", NULL};
    size_t count = json_array_size(list);
    if (count == 0 || count > SQL_PARTS_MAX)
        return REFUSE(reader, path, "a list of \"sql\" has 1 to %u objects", SQL_PARTS_MAX);
    for (size_t i = 0; i < count; i++) {
        char inner[192];
        snprintf(inner, sizeof inner, "%s.sql[%zu]", path, i);
        const json_t *object = json_array_get(list, i);
        enum status status = check_fields(reader, inner, object, fields);
        if (status == STATUS_OK) {
            statement->parts_count++;
            status = read_part(reader, inner, object, &statement->parts[i]);
        }
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

static enum status read_returns(struct reader *reader, const char *path, const json_t *value,
                                enum sql_returns *ret_returns)
{
    static const char *const names[] = {"none", "count", "row", "rows"};
    for (uint32_t i = 0; value && i < 4; i++) {
        if (json_is_string(value) && strcmp(json_string_value(value), names[i]) == 0) {
            *ret_returns = (enum sql_returns)i;
            return STATUS_OK;
        }
    }
    *ret_returns = SQL_RETURNS_NONE;
    return value ? REFUSE(reader, path, "\"returns\" has to be none, count, row or rows")
                 : STATUS_OK;
}

static enum status read_statement(struct reader *reader, const char *path, const json_t *object,
                                  struct sql_statement *statement)
{
    static const char *const one[] = {"sql",     "params",      "expect_rows", "error",
                                      "returns", "compensates", NULL};
    static const char *const many[] = {"sql", "returns", "compensates", NULL};
    const json_t *sql = json_object_get(object, "sql");
    enum status status = check_fields(reader, path, object, json_is_array(sql) ? many : one);
    if (status == STATUS_OK)
        status =
            read_returns(reader, path, json_object_get(object, "returns"), &statement->returns);
    if (status != STATUS_OK)
        return status;
    if (json_is_array(sql))
        return read_parts(reader, path, sql, statement);
    statement->parts_count = 1;
    return read_part(reader, path, object, &statement->parts[0]);
}

static bool is_handler_name(const char *name)
{
    size_t count = strlen(name);
    return count && count <= FLYOVER_NAME_BYTES_MAX &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") ==
               count;
}

static uint32_t find_statement(const struct sql_config *config, const char *name)
{
    for (uint32_t i = 0; i < config->statements_count; i++) {
        if (strcmp(config->names[i], name) == 0)
            return i;
    }
    return SQL_NO_STATEMENT;
}

static enum status read_compensates(struct reader *reader, const json_t *statements)
{
    struct sql_config *config = reader->config;
    for (uint32_t i = 0; i < config->statements_count; i++) {
        struct sql_statement *statement = &config->statements[i];
        const json_t *object = json_object_get(statements, statement->name);
        const json_t *value = json_object_get(object, "compensates");
        const char *name = value ? json_string_value(value) : NULL;
        statement->compensates = name ? find_statement(config, name) : SQL_NO_STATEMENT;
        if (!value || (statement->compensates != SQL_NO_STATEMENT && statement->compensates != i))
            continue;
        char path[128];
        snprintf(path, sizeof path, "sql.statements.%s", statement->name);
        return REFUSE(reader, path, "\"compensates\" has to be the name of another statement");
    }
    return STATUS_OK;
}

static enum status read_statements(struct reader *reader)
{
    struct sql_config *config = reader->config;
    json_t *statements = json_object_get(config->section, "statements");
    size_t count = json_object_size(statements);
    if (count == 0 || count > EDGE_HANDLERS_MAX)
        return REFUSE(reader, "sql.statements", "has to be an object of 1 to %u statements by name",
                      EDGE_HANDLERS_MAX);
    const char *name;
    json_t *object;
    json_object_foreach(statements, name, object)
    {
        char path[128];
        snprintf(path, sizeof path, "sql.statements.%.64s", name);
        if (!is_handler_name(name))
            return REFUSE(reader, path, "a name has up to %u letters, digits, '_' and '-'",
                          FLYOVER_NAME_BYTES_MAX);
        struct sql_statement *statement = &config->statements[config->statements_count];
        config->names[config->statements_count++] = statement->name = name;
        enum status status = read_statement(reader, path, object, statement);
        if (status != STATUS_OK)
            return status;
    }
    return read_compensates(reader, statements);
}

/* ---- all of it ---------------------------------------------------------------------------------
 */

static enum status read_section(struct reader *reader)
{
    static const char *const fields[] = {"url",        "url_env",
                                         "url_file",   "pool",
                                         "pipeline",   "timeout_seconds",
                                         "keys_table", "keys_retention_hours",
                                         "statements", NULL};
    enum status status = check_fields(reader, "sql", reader->config->section, fields);
    if (status == STATUS_OK)
        status = read_url(reader);
    if (status == STATUS_OK)
        status = read_numbers(reader);
    if (status == STATUS_OK)
        status = read_keys_table(reader);
    return status == STATUS_OK ? read_statements(reader) : status;
}

enum status sql_config_open(const json_t *section, uint32_t first_slot,
                            struct sql_config **ret_config, struct problem *problem)
{
    struct sql_config *config = calloc(1, sizeof *config);
    json_t *copy = json_deep_copy(section);
    if (!config || !copy) {
        free(config);
        json_decref(copy);
        return problem_set(problem, STATUS_NO_MEMORY, "sql: no memory for its statements");
    }
    config->section = copy;
    struct reader reader = {.config = config, .slot = first_slot, .problem = problem};
    enum status status = read_section(&reader);
    if (status == STATUS_OK)
        *ret_config = config;
    else
        sql_config_close(config);
    return status;
}

void sql_config_close(struct sql_config *config)
{
    if (!config)
        return;
    for (uint32_t i = 0; i < config->statements_count; i++) {
        for (uint32_t j = 0; j < config->statements[i].parts_count; j++) {
            free(config->statements[i].parts[j].sql);
            free(config->statements[i].parts[j].wrapped);
        }
    }
    free(config->url);
    json_decref(config->section);
    free(config);
}
