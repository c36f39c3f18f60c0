/*
 * sql_config: the section "sql" of the file of edges, checked and read once.
 *
 * Memory: owned by the struct; strings are its own or of its copy of the section.
 * Errors: STATUS_INVALID or STATUS_NOT_FOUND with a sentence that begins with the path of the field
 *         and never has the URL in it, since a password may be there.
 */
#ifndef ENGINE_EDGE_SQL_CONFIG_H
#define ENGINE_EDGE_SQL_CONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/edge/sql.h"

#define SQL_ANY_ROWS     (-1)
#define SQL_NO_STATEMENT UINT32_MAX

enum sql_returns { SQL_RETURNS_NONE, SQL_RETURNS_COUNT, SQL_RETURNS_ROW, SQL_RETURNS_ROWS };

/* One statement as the server sees it. */
struct sql_part {
    char *sql; /* without a semicolon at its end */
    uint32_t slot;
    uint32_t params_count;
    const json_t *params[SQL_PARAMS_MAX]; /* a path is a string that begins with '$' */
    int64_t expect_rows;                  /* SQL_ANY_ROWS */
    const char *error;
    /* What the server said of it; `wrapped` is NULL until it was asked, "" if it runs as it is. */
    unsigned types[SQL_PARAMS_MAX];
    char *wrapped;
};

struct sql_statement {
    const char *name;
    enum sql_returns returns;
    uint32_t compensates; /* SQL_NO_STATEMENT */
    bool is_described;    /* all parts are, and nothing was found to be wrong since */
    int64_t described_ms;
    uint32_t version; /* of their descriptions: what was prepared of another one is stale */
    uint32_t parts_count;
    struct sql_part parts[SQL_PARTS_MAX];
};

struct sql_config {
    json_t *section;
    char *url;
    const char *keys_table;
    uint32_t pool, pipeline;
    int64_t timeout_ms;
    uint32_t keys_retention_hours;
    uint32_t statements_count;
    const char *names[EDGE_HANDLERS_MAX + 1];
    struct sql_statement statements[EDGE_HANDLERS_MAX];
};

/* `first_slot`: parts are numbered from here. Returns owned. */
NODISCARD enum status sql_config_open(const json_t *section, uint32_t first_slot,
                                      struct sql_config **ret_config, struct problem *problem);
/* Accepts NULL. */
void sql_config_close(struct sql_config *config);

#endif
