#include "engine/edge/edge_module.h"

/* In the order in which they are opened, turned, and, backwards, closed. */
const struct edge_kind *const edge_kinds[] = {
    &edge_sqs, &edge_sqs_in, &edge_sns, &edge_lambda, &edge_dynamodb, &edge_sql, &edge_http, NULL};
