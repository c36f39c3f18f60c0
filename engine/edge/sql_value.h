/*
 * sql_value: JSON to the text that PostgreSQL reads, and back.
 *
 * Threads: any; nothing is kept. Memory: what is returned owned is freed by free() or json_decref.
 */
#ifndef ENGINE_EDGE_SQL_VALUE_H
#define ENGINE_EDGE_SQL_VALUE_H

#include <jansson.h>
#include <stdbool.h>

/* Types by which a value is written in its own way; all others take plain text. */
#define SQL_TYPE_TEXT     25u
#define SQL_TYPE_BPCHAR   1042u
#define SQL_TYPE_VARCHAR  1043u
#define SQL_TYPE_JSON     114u
#define SQL_TYPE_JSONB    3802u
#define SQL_TYPE_NUMERIC  1700u
#define SQL_TYPE_NUMERICS 1231u

enum sql_text_end {
    SQL_TEXT_OK,
    SQL_TEXT_ZERO_BYTE, /* a string with a zero byte, which PostgreSQL has no text for */
    SQL_TEXT_NO_MEMORY
};

/* For a parameter of this type. *ret_text is owned, NULL for SQL's NULL. */
enum sql_text_end sql_value_text(const json_t *value, unsigned type, char **ret_text);

/* The shortest decimal form that reads back as the same number. `ret_text`: 32 bytes. */
void sql_number_text(double value, char *ret_text);

/* Of JSON that the server made; NULL is null. What cannot be held as JSON here is its text as a
 * string. Returns owned. */
json_t *sql_output(const char *text);

#endif
