/*
 * sql_error: what an SQLSTATE of PostgreSQL is to a definition.
 *
 * | SQLSTATE | error | retryable |
 * |---|---|---|
 * | 23505, 23514, 23503, 23502, 23P01, other 23 | SQL.UniqueViolation, .CheckViolation,
 *   .ForeignKeyViolation, .NotNullViolation, .ExclusionViolation, .IntegrityConstraintViolation |
 * no | | P0001 (RAISE EXCEPTION) | its HINT, if that is a name like Payment.Declined, else
 *   SQL.RaiseException | no |
 * | 22P02, 22003, 22012, other 22 | SQL.InvalidTextRepresentation, .NumericValueOutOfRange,
 *   .DivisionByZero, .DataException | no |
 * | 42P01, 42703, 42883, 42601, 42501, other 42 | SQL.UndefinedTable, .UndefinedColumn,
 *   .UndefinedFunction, .SyntaxError, .InsufficientPrivilege,
 *   .SyntaxErrorOrAccessRuleViolation | no |
 * | 0A000 | SQL.FeatureNotSupported | no |
 * | 28, 3D000 | SQL.InvalidAuthorization, .InvalidCatalogName | yes |
 * | 40001, 40P01, 55P03, 25006 | SQL.SerializationFailure, .DeadlockDetected, .LockNotAvailable,
 *   .ReadOnlyTransaction | yes, here first |
 * | 57014 | States.Timeout | yes |
 * | 57P01, 57P02, 57P03, 08, 26000, 42P05, no SQLSTATE | SQL.ConnectionLost | yes, here first |
 * | 53300, other 53, 58 | SQL.TooManyConnections, .InsufficientResources, .SystemError | yes |
 * | all else | SQL.StateXXXXX | no |
 *
 * Threads: any. Memory: none.
 */
#ifndef ENGINE_EDGE_SQL_ERROR_H
#define ENGINE_EDGE_SQL_ERROR_H

#include <stdbool.h>

#include "engine/flyover_service.h"

struct sql_error {
    char name[FLYOVER_ERROR_NAME_BYTES_MAX + 1];
    bool retryable;   /* to the definition */
    bool retry_here;  /* first, a few times */
    const char *todo; /* what to do, or "" */
};

/* `state` may be NULL: the connection broke. `hint` may be NULL. */
struct sql_error sql_error_of(const char *state, const char *hint);

#endif
