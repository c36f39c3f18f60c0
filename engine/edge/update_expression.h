/*
 * update_expression: as much of DynamoDB's update expressions as it takes to write along with one.
 * An expression has up to four clauses (SET, REMOVE, ADD, DELETE), each at most once, and their
 * words are reserved, so that a clause is found by its word alone.
 *
 * Threads: any. Memory: what is returned is the caller's, to free. Errors: none: an expression that
 * DynamoDB refuses stays one.
 */
#ifndef ENGINE_EDGE_UPDATE_EXPRESSION_H
#define ENGINE_EDGE_UPDATE_EXPRESSION_H

#include <jansson.h>

/* `expression` (NULL: none) that adds `term` too: "#keys :key". NULL: out of memory. */
char *update_expression_with_add(const char *expression, const char *term);
/* Those attributes of `item` that the expression names, nested ones as a whole; also those that it
 * only reads. `names`: ExpressionAttributeNames, or NULL. Returns owned; NULL: out of memory. */
json_t *update_expression_named(const char *expression, const json_t *names, const json_t *item);

#endif
