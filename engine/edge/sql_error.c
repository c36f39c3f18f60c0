#include "engine/edge/sql_error.h"

#include <stdio.h>
#include <string.h>

struct row {
    const char *state; /* five characters, or the two of a class */
    const char *name;
    bool retryable, retry_here;
    const char *todo;
};

#define NOT_OURS "; the session is not ours alone: pool by session, not by transaction"

/* The first that fits. PostgreSQL 15, appendix A. */
static const struct row rows[] = {
    {"23505", "SQL.UniqueViolation", false, false, ""},
    {"23514", "SQL.CheckViolation", false, false, ""},
    {"23503", "SQL.ForeignKeyViolation", false, false, ""},
    {"23502", "SQL.NotNullViolation", false, false, ""},
    {"23P01", "SQL.ExclusionViolation", false, false, ""},
    {"23", "SQL.IntegrityConstraintViolation", false, false, ""},
    {"P0001", "SQL.RaiseException", false, false, ""},
    {"22P02", "SQL.InvalidTextRepresentation", false, false, ""},
    {"22003", "SQL.NumericValueOutOfRange", false, false, ""},
    {"22012", "SQL.DivisionByZero", false, false, ""},
    {"22", "SQL.DataException", false, false, ""},
    {"26000", "SQL.ConnectionLost", true, true, NOT_OURS},
    {"42P05", "SQL.ConnectionLost", true, true, NOT_OURS},
    {"08P01", "SQL.ConnectionLost", true, true, NOT_OURS},
    {"42P01", "SQL.UndefinedTable", false, false,
     "; make the table, or name its schema in the statement or in the role's search_path"},
    {"42703", "SQL.UndefinedColumn", false, false, "; mend the statement or the table"},
    {"42883", "SQL.UndefinedFunction", false, false,
     "; mend the statement, or say the type of a parameter, as in $1::numeric"},
    {"42601", "SQL.SyntaxError", false, false, "; mend the statement"},
    {"42501", "SQL.InsufficientPrivilege", false, false, "; GRANT it to the role"},
    {"42", "SQL.SyntaxErrorOrAccessRuleViolation", false, false, "; mend the statement"},
    {"0A000", "SQL.FeatureNotSupported", false, false,
     "; where rows are returned or counted, a WITH may not change data: make it a list of "
     "statements"},
    {"28", "SQL.InvalidAuthorization", true, false, "; mend user and password of the url"},
    {"3D000", "SQL.InvalidCatalogName", true, false, "; make the database, or mend the url"},
    {"40001", "SQL.SerializationFailure", true, true, ""},
    {"40P01", "SQL.DeadlockDetected", true, true,
     "; statements that lock rows in the same order do not deadlock"},
    {"55P03", "SQL.LockNotAvailable", true, true, ""},
    {"25006", "SQL.ReadOnlyTransaction", true, true,
     "; it is a replica: name the primary, or add target_session_attrs=read-write to the url"},
    {"57014", "States.Timeout", true, false,
     "; it was out of time: give the step more of it, or look who holds the lock"},
    {"57P", "SQL.ConnectionLost", true, true, ""},
    {"08", "SQL.ConnectionLost", true, true, ""},
    {"53300", "SQL.TooManyConnections", true, true,
     "; make the pool smaller, or max_connections larger"},
    {"53", "SQL.InsufficientResources", true, true, ""},
    {"58", "SQL.SystemError", true, false, "; see the server's log"},
};

/* NAME.NAME: it may have been meant as an error's name. */
static bool is_name(const char *hint)
{
    const char *letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t first = strspn(hint, letters);
    if (!first || hint[first] != '.' || strncmp(hint, "States.", 7) == 0)
        return false;
    size_t second = strspn(hint + first + 1, letters);
    return second && !hint[first + 1 + second] && strlen(hint) <= FLYOVER_ERROR_NAME_BYTES_MAX;
}

struct sql_error sql_error_of(const char *state, const char *hint)
{
    struct sql_error error = {.todo = ""};
    if (!state || !*state)
        state = "08000";
    snprintf(error.name, sizeof error.name, "SQL.State%.5s", state);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *row = &rows[i];
        if (strncmp(state, row->state, strlen(row->state)) != 0)
            continue;
        bool named = hint && strcmp(state, "P0001") == 0 && is_name(hint);
        snprintf(error.name, sizeof error.name, "%s", named ? hint : row->name);
        error.retryable = row->retryable;
        error.retry_here = row->retry_here;
        error.todo = row->todo;
        break;
    }
    return error;
}
