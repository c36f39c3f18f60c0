#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/sql_parts.h"
#include "engine/edge/sql_value.h"

/* What a part that returns or counts rows is run as, here with returns: row, expect_rows: 1:
 *
 *     WITH flyover_rows (c0, c1) AS MATERIALIZED (
 *     UPDATE account SET … RETURNING id, balance
 *     )
 *     UPDATE flyover_keys SET output = (
 *         SELECT CASE WHEN n <> 1 THEN <fails as flyover_rows:n>
 *                     WHEN octet_length(o::text) > … THEN <fails as flyover_bytes:…>
 *                     ELSE o END
 *         FROM (SELECT count(*) AS n, json_agg(q)->0 AS o
 *               FROM (SELECT c0 AS "id", c1::text AS "balance" FROM flyover_rows) AS q) AS a)
 *     WHERE key = $3 RETURNING output::text
 *
 * so that output and effect need no second round trip. It fails by the cast of such a text to a
 * number, which ends the transaction without a function of the server's. */

static bool is_of(const char *sql, const char *word)
{
    return strncasecmp(sql, word, strlen(word)) == 0;
}

/* A statement that changes rows but returns none says how many by a RETURNING of ours. */
static bool can_return(const char *sql)
{
    return is_of(sql, "INSERT") || is_of(sql, "UPDATE") || is_of(sql, "DELETE") ||
           is_of(sql, "WITH");
}

static void put_names(FILE *out, int columns)
{
    for (int i = 0; i < columns; i++)
        fprintf(out, "%sc%d", i ? ", " : "", i);
}

static bool put_columns(FILE *out, PGconn *pg, const PGresult *described)
{
    for (int i = 0; i < PQnfields(described); i++) {
        const char *name = PQfname(described, i);
        char *quoted = PQescapeIdentifier(pg, name, strlen(name));
        if (!quoted)
            return false;
        const char *cast = "";
        if (PQftype(described, i) == SQL_TYPE_NUMERIC)
            cast = "::text";
        else if (PQftype(described, i) == SQL_TYPE_NUMERICS)
            cast = "::text[]";
        fprintf(out, "%sc%d%s AS %s", i ? ", " : "", i, cast, quoted);
        PQfreemem(quoted);
    }
    return true;
}

static const char *output_of(enum sql_returns returns)
{
    switch (returns) {
    case SQL_RETURNS_COUNT: return "to_json(count(*))";
    case SQL_RETURNS_ROW: return "json_agg(q)->0";
    case SQL_RETURNS_ROWS: return "coalesce(json_agg(q), '[]')";
    case SQL_RETURNS_NONE: break;
    }
    return "NULL::json";
}

static bool put_wrapped(FILE *out, PGconn *pg, const char *keys_table, enum sql_returns returns,
                        const struct sql_part *part, const PGresult *described)
{
    int columns = PQnfields(described);
    fprintf(out, "WITH flyover_rows (");
    put_names(out, columns ? columns : 1);
    fprintf(out, ") AS MATERIALIZED (\n%s%s\n)\nUPDATE %s SET output = (SELECT CASE ", part->sql,
            columns ? "" : "\nRETURNING 1", keys_table);
    if (part->expect_rows != SQL_ANY_ROWS)
        fprintf(out, "WHEN n <> %lld THEN to_json(CAST('flyover_rows:' || n AS integer)) ",
                (long long)part->expect_rows);
    fprintf(out,
            "WHEN octet_length(o::text) > %u "
            "THEN to_json(CAST('flyover_bytes:' || octet_length(o::text) AS integer)) ELSE o END "
            "FROM (SELECT count(*) AS n, %s AS o FROM (SELECT ",
            SQL_OUTPUT_BYTES_MAX, output_of(returns));
    if (columns ? !put_columns(out, pg, described) : fputs("c0", out) < 0)
        return false;
    fprintf(out, " FROM flyover_rows) AS q) AS a) WHERE key = $%u RETURNING output::text",
            part->params_count + 1);
    return true;
}

static bool check(const struct sql_part *part, enum sql_returns returns, bool returns_rows,
                  const PGresult *described, struct problem *ret_problem)
{
    enum status status = STATUS_OK;
    if (PQnparams(described) != (int)part->params_count)
        status = problem_set(ret_problem, STATUS_INVALID,
                             "it takes %d parameters, but \"params\" has %u", PQnparams(described),
                             part->params_count);
    else if (returns_rows && PQnfields(described) == 0 && returns >= SQL_RETURNS_ROW)
        status = problem_set(ret_problem, STATUS_INVALID,
                             "it returns no rows; add RETURNING, or let \"returns\" be count or "
                             "none");
    else if (returns_rows && PQnfields(described) == 0 && !can_return(part->sql))
        status = problem_set(ret_problem, STATUS_INVALID, "its rows cannot be counted");
    return status == STATUS_OK;
}

/* Takes `text`. True: it is another than before. */
static bool describe(struct sql_part *part, char *text, const PGresult *described)
{
    bool changed = !part->wrapped || strcmp(part->wrapped, text) != 0;
    for (uint32_t i = 0; i < part->params_count; i++) {
        changed |= part->types[i] != PQparamtype(described, (int)i);
        part->types[i] = PQparamtype(described, (int)i);
    }
    free(part->wrapped);
    part->wrapped = text;
    return changed;
}

bool sql_wrap(PGconn *pg, const char *keys_table, struct sql_statement *statement,
              struct sql_part *part, const PGresult *described, struct problem *ret_problem)
{
    bool is_last = part == &statement->parts[statement->parts_count - 1];
    enum sql_returns wanted = is_last ? statement->returns : SQL_RETURNS_NONE;
    bool returns_rows = wanted != SQL_RETURNS_NONE || part->expect_rows != SQL_ANY_ROWS;
    if (!check(part, wanted, returns_rows, described, ret_problem))
        return false;
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    bool good = out && (!returns_rows || put_wrapped(out, pg, keys_table, wanted, part, described));
    if (!out || fclose(out) != 0 || !good) {
        free(text);
        problem_set(ret_problem, STATUS_NO_MEMORY, "no memory for its text");
        return false;
    }
    statement->version += describe(part, text, described);
    return true;
}
