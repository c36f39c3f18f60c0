/*
 * lambda_request: the words of an Invoke: what the parameters of a call may be, and the path and
 * headers that they make.
 *
 * Threads: any. Memory: the caller's buffers.
 */
#ifndef ENGINE_EDGE_LAMBDA_REQUEST_H
#define ENGINE_EDGE_LAMBDA_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/edge/edge_module.h"

#define LAMBDA_NAME_BYTES_MAX    320u
#define LAMBDA_CONTEXT_BYTES_MAX 4096u
#define LAMBDA_PATH_BYTES        (6u * LAMBDA_NAME_BYTES_MAX + 64u)
#define LAMBDA_REGION_BYTES      64u
#define LAMBDA_HEADER_BYTES      (LAMBDA_CONTEXT_BYTES_MAX + 32u)

/* A parameter's text, or NULL. */
const char *lambda_field(const struct edge_call *call, const char *name);
/* False: `ret_sentence` says which parameter is wrong. What follows is only for calls that are
 * right. */
bool lambda_check(const struct edge_call *call, char *ret_sentence, size_t bytes_max);
void lambda_print_path(const struct edge_call *call, char ret_path[LAMBDA_PATH_BYTES]);
/* The region in the function's ARN; false: it is no ARN, or has none. */
bool lambda_find_region(const struct edge_call *call, char ret_region[LAMBDA_REGION_BYTES]);
/* X-Amz-Client-Context: the definition's own, or {"custom": {"flyover_key", "traceparent"}}. */
void lambda_print_context(const struct edge_call *call, char ret_line[LAMBDA_HEADER_BYTES]);

#endif
