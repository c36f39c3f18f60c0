/*
 * template: a payload template of ASL, compiled: what Parameters, InputPath and ResultSelector make
 * of a payload. Fields whose name ends in ".$" get their value from a path ($.a of the payload,
 * $$.a of the context object) or from an intrinsic function; the rest is as it stands.
 *
 * The context object ($$):
 *   Execution.Id, Execution.Name   the saga's id, as text
 *   State.Name, State.RetryCount   0 at the first try
 *   StateMachine.Name              the definition's
 *   Task.IdempotencyKey            the same at each try of this step, and no other step's
 *   Task.Token                     with .waitForTaskToken alone
 *
 * Functions: States.Array, ArrayGetItem, ArrayLength, Base64Decode, Base64Encode, Format,
 * JsonToString, MathAdd, StringToJson. Numbers are whole for MathAdd (others are rounded, as at
 * AWS). In the text of Format, written there or found by a path, \{ \} and \\ are the characters
 * themselves.
 *
 * Threads: immutable once compiled (plan_template.c); evaluating is pure, any thread.
 * Memory:  evaluating writes into the caller's room alone, but for StringToJson, JsonToString and
 *          Format of what is no string, which take memory in proportion to their argument.
 * Limits:  TEMPLATE_*_MAX, refused when it is compiled, but for the work and the room; the result
 * is a payload.
 *
 * Source: https://states-language.net/spec.html, "Payload Template", "Intrinsic Functions", "The
 * Context Object".
 */
#ifndef ENGINE_SAGA_TEMPLATE_H
#define ENGINE_SAGA_TEMPLATE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/saga/value.h"

#define TEMPLATE_NODES_MAX     1024u /* paths, functions and constants between them; of one */
#define TEMPLATE_ARGUMENTS_MAX 64u   /* of one function */
#define TEMPLATE_CALLS_MAX     10u   /* functions in one another, as at AWS */
/* For the input and output of a step that is undone, what is made of them, and the arguments of
 * functions meanwhile. */
#define TEMPLATE_ROOM_BYTES (8u * FLYOVER_PAYLOAD_BYTES_MAX)
/* Of the arguments of a Lambda function, which may hold the input and output of a step; they may be
 * two deeper than a payload, so that what was done can always be undone. */
#define TEMPLATE_WRAPPED_BYTES_MAX (2u * FLYOVER_PAYLOAD_BYTES_MAX + 4096u)

/* What one evaluation may read, so that the engine's thread is not kept longer than some 0.1 s:
 * each path reads the whole payload, a function its arguments, which count 32 times where they
 * become JSON or are read as it. */
#define TEMPLATE_WORK_BYTES (64u << 20)

enum template_op {
    TEMPLATE_CONSTANT,
    TEMPLATE_PATH,    /* into the payload */
    TEMPLATE_CONTEXT, /* into the context object */
    TEMPLATE_MAP,
    TEMPLATE_LIST,
    TEMPLATE_CALL,
};

enum template_function {
    TEMPLATE_ARRAY,
    TEMPLATE_ARRAY_GET_ITEM,
    TEMPLATE_ARRAY_LENGTH,
    TEMPLATE_BASE64_DECODE,
    TEMPLATE_BASE64_ENCODE,
    TEMPLATE_FORMAT,
    TEMPLATE_JSON_TO_STRING,
    TEMPLATE_MATH_ADD,
    TEMPLATE_STRING_TO_JSON,
    TEMPLATE_FUNCTIONS_COUNT
};

/* In prefix order: a node's children follow it. */
struct template_node {
    enum template_op op;
    enum template_function function; /* CALL */
    uint32_t span;                   /* nodes of this subtree, itself included */
    uint32_t count;                  /* of parts, fields, elements or arguments */
    const struct path_part *parts;   /* PATH, CONTEXT */
    struct flyover_bytes key;        /* in a MAP: its name */
    struct flyover_bytes value;      /* CONSTANT: msgpack */
    struct flyover_bytes text;       /* PATH, CONTEXT, CALL: as the definition has it */
};

/* One that says no more than InputPath is its input. */
struct template
{
    bool has_input;
    struct template_node input;        /* InputPath: PATH, CONTEXT, or null as CONSTANT {} */
    const struct template_node *nodes; /* the first is the root */
    uint32_t nodes_count;
    uint32_t depth_max; /* of the result */
};

struct template_function_rule {
    const char *name; /* behind "States." */
    uint32_t arguments_min, arguments_max;
};
extern const struct template_function_rule template_functions[TEMPLATE_FUNCTIONS_COUNT];

/* Texts are terminated; a token of NULL: there is none. */
struct template_context {
    uint64_t saga_id;
    uint32_t attempt_no; /* 1: the first try */
    const char *state, *machine, *key, *token;
};

struct template_failure {
    const char *name; /* States.ParameterPathFailure, .IntrinsicFailure, .DataLimitExceeded */
    char cause[FLYOVER_ERROR_CAUSE_BYTES_MAX + 1];
};

/* What the template makes of the payload, in `room`, which has TEMPLATE_ROOM_BYTES; the payload may
 * stand at its beginning. False, and why. */
NODISCARD bool template_evaluate(const struct template *template, struct flyover_bytes payload,
                                 const struct template_context *context, uint8_t *room,
                                 struct flyover_bytes *ret_value,
                                 struct template_failure *ret_failure);
/* Whether the context object has, or can have, what the parts lead to. */
bool template_context_has(const struct path_part *parts, uint32_t parts_count);
/* How many {} a text for States.Format has. */
uint32_t template_count_places(struct flyover_bytes text);

#endif
