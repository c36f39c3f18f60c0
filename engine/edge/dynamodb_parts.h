/*
 * dynamodb_parts: what dynamodb.c and dynamodb_request.c share: a call under way, and the request
 * that it needs next.
 */
#ifndef ENGINE_EDGE_DYNAMODB_PARTS_H
#define ENGINE_EDGE_DYNAMODB_PARTS_H

#include <string.h>

#include "engine/edge/dynamodb_keyed.h"
#include "engine/edge/edge_module.h"

#define DYNAMODB_REASONS_BYTES 512u
/* A parameter that is ours, and not sent. */
#define DYNAMODB_OPT_OUT "FlyoverIdempotency"

/* Handlers. */
enum { GET, PUT, UPDATE, DELETE, TRANSACT };

struct dynamodb {
    struct edge_context context;
    struct keyed keyed;
    bool is_keyed;
    uint32_t timeout_ms;
    uint32_t out;              /* requests */
    struct work *first, *last; /* without room for theirs */
};

/* What is asked for next. */
enum stage {
    ASK,      /* what the definition wants */
    LOOK,     /* is the key there? */
    DESCRIBE, /* which of a PutItem's attributes are the key to look by? */
    ROTATE,
};

/* A call under way. */
struct work {
    struct work *next;
    struct dynamodb *dynamodb;
    struct edge_call *call;
    enum stage stage;
    uint32_t rounds;
    bool is_keyed;
    bool is_sure;         /* ours are not the conditions that fail, if they are not seen to */
    const json_t *update; /* where its key is: the input, or an Update of it; lent */
    json_t *item_key;     /* to look by; owned */
    json_t *seen;         /* PUT: the item that is replaced; owned */
    bool is_retryable;    /* TRANSACT: of the cancellation */
    char reasons[DYNAMODB_REASONS_BYTES]; /* TRANSACT: why it was cancelled */
};

static inline const json_t *field(const struct work *work, const char *name)
{
    return json_object_get(work->call->input, name);
}

static inline const char *text_field(const struct work *work, const char *name)
{
    return json_string_value(field(work, name));
}

static inline bool is_text(const json_t *value, const char *text)
{
    const char *is = json_string_value(value);
    return is != NULL && strcmp(is, text) == 0;
}

/* What work->stage asks for: its X-Amz-Target and its body. Returns owned; NULL: out of memory. */
const char *dynamodb_target(const struct work *work);
json_t *dynamodb_make_request(const struct work *work);

#endif
