/*
 * plan: a saga definition, compiled. A definition is Amazon States Language JSON; a plan is an
 * immutable table of states with every name resolved to an index, every path compiled, every
 * constant in msgpack.
 *
 * Threads: immutable after plan_compile; any thread may read it.
 * Memory:  plan_compile returns it owned, one block; plan_free gives it back.
 * Limits:  PLAN_*_MAX below, each refused by name.
 *
 * What is understood: Comment, StartAt, States, Version ("1.0"); Task (Resource
 * "service:NAME.HANDLER", Compensate {Resource, Retry}, Retry, Catch, FireAndForget, ResultPath,
 * Next | End), Pass (Result, ResultPath, Next | End), Choice (And, Or, Not, IsPresent, IsNull,
 * IsString, IsNumeric, IsBoolean, StringEquals, -LessThan, -GreaterThan, -LessThanEquals,
 * -GreaterThanEquals and their -Path forms, the same for Numeric, BooleanEquals and its -Path),
 * Succeed, Fail (Error, Cause). Everything else that ASL has is refused by its name and JSON
 * pointer; an unknown field is refused with the nearest known one.
 *
 * Source: https://states-language.net/spec.html
 */
#ifndef ENGINE_SAGA_PLAN_H
#define ENGINE_SAGA_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/base/status.h"
#include "engine/saga/value.h"

#define PLAN_DEFINITION_BYTES_MAX (1u << 20)
#define PLAN_STATES_MAX           1000u
#define PLAN_NAME_BYTES_MAX       80u /* a state's name, as at AWS */
#define PLAN_RETRIERS_MAX         8u  /* a Task, and a Compensate */
#define PLAN_CATCHERS_MAX         16u
#define PLAN_ERRORS_MAX           16u   /* names in one ErrorEquals */
#define PLAN_RULES_MAX            1024u /* nodes of all Choice rules of a plan */
#define PLAN_RULE_DEPTH_MAX       32u   /* And, Or, Not inside one another */
#define PLAN_SERVICES_MAX         64u   /* services a plan names */
#define PLAN_NO_STATE             UINT16_MAX
#define PLAN_NO_HANDLER           UINT16_MAX

enum state_type { STATE_TASK, STATE_PASS, STATE_CHOICE, STATE_SUCCEED, STATE_FAIL };

enum result_path_kind {
    RESULT_REPLACES, /* "$", the default: the result is the output */
    RESULT_DROPPED,  /* null: the input goes on unchanged */
    RESULT_INTO,     /* "$.a.b": the input with the result put there */
};

/* The service and handler that a Task asks for, by index in the plan's own list. */
struct plan_resource {
    char service[FLYOVER_NAME_BYTES_MAX + 1];
    char handler[FLYOVER_NAME_BYTES_MAX + 1];
};

struct plan_retrier {
    uint16_t errors_first, errors_count; /* in plan.errors */
    uint32_t attempts_max;               /* 0: never retried */
    uint64_t interval_ms;
    uint64_t delay_ms_max; /* PLAN_DELAY_MS_MAX where no cap is named */
    double backoff_rate;
    bool jitter_full;
};

struct plan_catcher {
    uint16_t errors_first, errors_count;
    uint16_t next;
    enum result_path_kind result_kind;
    struct path result_path;
};

/* One node of a Choice rule, in prefix order: a node's children follow it. */
enum rule_op {
    RULE_AND,
    RULE_OR,
    RULE_NOT,
    RULE_IS_PRESENT,
    RULE_IS_NULL,
    RULE_IS_STRING,
    RULE_IS_NUMERIC,
    RULE_IS_BOOLEAN,
    RULE_STRING,  /* with `accepts` */
    RULE_NUMERIC, /* with `accepts` */
    RULE_BOOLEAN_EQUALS,
};

enum { RULE_LESS = 1, RULE_EQUAL = 2, RULE_GREATER = 4 };

struct plan_rule {
    enum rule_op op;
    uint16_t span;   /* nodes of this subtree, itself included */
    uint8_t accepts; /* set of RULE_LESS | RULE_EQUAL | RULE_GREATER */
    bool expects;    /* IS_*: true or false */
    bool other_is_path;
    struct path variable;
    struct path other_path;           /* -Path forms */
    struct flyover_bytes other_value; /* msgpack constant */
};

struct plan_choice {
    uint16_t rule; /* root node in plan.rules */
    uint16_t next;
};

struct plan_state {
    enum state_type type;
    char name[PLAN_NAME_BYTES_MAX + 1];
    uint16_t next; /* PLAN_NO_STATE: End */
    enum result_path_kind result_kind;
    struct path result_path;
    /* Task */
    uint16_t resource; /* in plan.resources */
    bool fire_and_forget;
    bool compensated;
    uint16_t undo_resource;
    uint16_t retriers_first, retriers_count;
    uint16_t undo_retriers_first, undo_retriers_count;
    uint16_t catchers_first, catchers_count;
    /* Pass */
    bool has_result;
    struct flyover_bytes result; /* msgpack */
    /* Choice */
    uint16_t choices_first, choices_count;
    uint16_t default_next; /* PLAN_NO_STATE: none */
    /* Fail */
    struct flyover_bytes error; /* text */
    struct flyover_bytes cause; /* text */
};

struct plan {
    char name[FLYOVER_NAME_BYTES_MAX + 1];
    uint16_t start;
    uint16_t detached_count; /* Tasks with FireAndForget */
    uint32_t states_count, resources_count, retriers_count, catchers_count, rules_count,
        choices_count, errors_count;
    struct plan_state *states;
    struct plan_resource *resources; /* each pair once */
    struct plan_retrier *retriers;
    struct plan_catcher *catchers;
    struct plan_rule *rules;
    struct plan_choice *choices;
    struct flyover_bytes *errors;
};

/* Compiles the definition. `name` is its name (1 to FLYOVER_NAME_BYTES_MAX letters, digits, '-',
 * '_', '.'); `source` names the text in sentences ("order.asl.json"). The problem's sentence gives
 * source:line:column for JSON that is not JSON (bad UTF-8 included), a JSON pointer for the rest,
 * and what would be right. Returns owned.
 * STATUS_INVALID, STATUS_UNSUPPORTED, STATUS_TOO_LARGE, STATUS_NO_MEMORY. */
NODISCARD enum status plan_compile(const char *name, const char *source, const char *text,
                                   size_t text_bytes, struct plan **ret_plan,
                                   struct problem *problem);
/* Accepts NULL. */
void plan_free(struct plan *plan);

/* The first choice of the state whose rule holds for `input`, its default, or PLAN_NO_STATE
 * (States.NoChoiceMatched). A Variable that leads nowhere makes its comparison false, except for
 * IsPresent. */
uint16_t plan_choose(const struct plan *plan, const struct plan_state *state,
                     struct flyover_bytes input);

/* The first retrier in the range that matches `error`, or UINT16_MAX. As at AWS, States.ALL matches
 * every name but States.DataLimitExceeded and States.Runtime, which match only themselves, and
 * States.TaskFailed matches what States.ALL does but States.Timeout. */
uint16_t plan_find_retrier(const struct plan *plan, uint16_t first, uint16_t count,
                           struct flyover_bytes error);
/* The first catcher of the state that matches `error` (the same rules), or UINT16_MAX. */
uint16_t plan_find_catcher(const struct plan *plan, const struct plan_state *state,
                           struct flyover_bytes error);

/* Milliseconds before the attempt_no-th retry (1 is the first) under the retrier:
 * min(interval x rate^(attempt_no - 1), delay_ms_max), and with full jitter a draw from
 * [0, that] made from `seed` alone. Bounded by PLAN_DELAY_MS_MAX. */
#define PLAN_DELAY_MS_MAX (1000ull * 3600 * 24 * 366)
uint64_t plan_retry_delay_ms(const struct plan_retrier *retrier, uint32_t attempt_no,
                             uint64_t seed);

/* Prints the plan as an aligned table: state, type, what it does, next, retry, catch, undo. */
void plan_print(const struct plan *plan, FILE *out);

#endif
