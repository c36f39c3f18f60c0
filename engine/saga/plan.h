/*
 * plan: a saga definition, compiled. A definition is Amazon States Language JSON; a plan is an
 * immutable table of states with every name resolved to an index, every path compiled, every
 * constant in msgpack.
 *
 * Threads: immutable after plan_compile; any thread may read it.
 * Memory:  plan_compile returns it owned, one block; plan_free gives it back.
 * Limits:  PLAN_*_MAX below, each refused by name.
 *
 * What is understood: Comment, StartAt, States, Version ("1.0"), TimeoutSeconds, Compensation
 * {Order: "Reverse" | "Parallel"}; Task (Resource, Compensate {Resource, Retry, Catch,
 * TimeoutSeconds, Parameters}, Retry, Catch, TimeoutSeconds, HeartbeatSeconds, Pivot,
 * FireAndForget, InputPath, Parameters, ResultSelector, ResultPath, Next | End), Wait (one of
 * Seconds, SecondsPath, Timestamp, TimestampPath; Next | End), Pass (Result, ResultPath, Next |
 * End), Choice (And, Or, Not, IsPresent, IsNull, IsString, IsNumeric, IsBoolean, StringEquals,
 * -LessThan, -GreaterThan, -LessThanEquals, -GreaterThanEquals and their -Path forms, the same for
 * Numeric, BooleanEquals and its -Path), Succeed, Fail (Error, Cause). Everything else that ASL has
 * is refused by its name and JSON pointer; an unknown field is refused with the nearest known one.
 *
 * A Task's Resource says who does it (enum task_kind):
 *   service:NAME.HANDLER                    a handler; its output is the result
 *   service:NAME.HANDLER.waitForTaskToken   a handler gets a token and only begins it; the result
 *                                           comes later, from whoever has the token
 *   signal:NAME                             nobody: the saga waits for the signal of that name, and
 *                                           its payload is the result
 *   arn:aws:…                               somebody else's service, as Step Functions names it:
 *                                           handlers of the services aws-lambda, aws-sqs, aws-sns,
 *                                           aws-dynamodb and aws-http (plan_arn.c)
 *
 * What a handler gets is the state's input; with InputPath a part of it, with Parameters what the
 * template makes of that (template.h). A function's ARN makes {"FunctionName": ARN, "Payload":
 * that} of it. ResultSelector makes the result of what it answered; a handler that only begins a
 * step for a token to end, and an operator who skips one, give no answer to select from. In a
 * Compensate Parameters see {"input", "output"}: the state's whole input, and the result as it was
 * selected. Where a template fails, the step does. Handlers of plug-ins get the input where it
 * lies, and know none of this: whoever runs a plan refuses it there (plan_find_templated).
 *
 * Catch in a Compensate: a compensation that failed for good goes on at Next, with {"input",
 * "output"} of the step and the error where ResultPath says; when that way comes to its end the
 * step counts as compensated, when it fails the saga is stuck. States on such a way may not be
 * compensated themselves, nor be a pivot.
 *
 * Pivot: once such a step is done nothing before it is compensated any more; the saga only goes
 * forward, and where it cannot it is stuck until an operator mends it.
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
#include "engine/saga/template.h"
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
#define PLAN_SIGNALS_MAX          64u   /* names of signals that a plan waits for */
#define PLAN_UNDO_BRANCHES_MAX    16u   /* compensations of one saga at the same time */
#define PLAN_NO_STATE             UINT16_MAX
#define PLAN_NO_HANDLER           UINT16_MAX
#define PLAN_NO_SIGNAL            UINT16_MAX
#define PLAN_NO_TEMPLATE          UINT16_MAX
/* The longest Wait, timeout or delay: a hundred years. */
#define PLAN_WAIT_MS_MAX (1000ull * 3600 * 24 * 36525)

enum state_type { STATE_TASK, STATE_PASS, STATE_CHOICE, STATE_SUCCEED, STATE_FAIL, STATE_WAIT };

enum task_kind { TASK_HANDLER, TASK_TOKEN, TASK_SIGNAL };

enum wait_kind {
    WAIT_SECONDS,        /* wait_ms from now */
    WAIT_TIMESTAMP,      /* until wait_ms, milliseconds since 1970 */
    WAIT_SECONDS_PATH,   /* a number of seconds in the input */
    WAIT_TIMESTAMP_PATH, /* an RFC 3339 text in the input */
};

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
    enum task_kind task_kind;
    uint16_t resource; /* in plan.resources; TASK_SIGNAL: none */
    uint16_t signal;   /* in plan.signals, or PLAN_NO_SIGNAL */
    bool fire_and_forget;
    bool compensated;
    bool pivot;
    uint64_t timeout_ms;   /* of an attempt; 0: none */
    uint64_t heartbeat_ms; /* 0: none; less than timeout_ms; not with TASK_SIGNAL */
    uint16_t arguments;    /* in plan.templates, or PLAN_NO_TEMPLATE: the input as it is */
    uint16_t selector;     /* the same: the result as it is */
    uint16_t undo_arguments;
    uint16_t undo_resource;
    uint64_t undo_timeout_ms;
    uint16_t retriers_first, retriers_count;
    uint16_t undo_retriers_first, undo_retriers_count;
    uint16_t catchers_first, catchers_count;
    uint16_t undo_catchers_first, undo_catchers_count;
    /* Wait */
    enum wait_kind wait_kind;
    int64_t wait_ms;
    struct path wait_path;
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
    uint16_t undo_branches;  /* compensations at the same time: 1 in reverse order; in parallel as
                                many as there are compensated Tasks, and PLAN_UNDO_BRANCHES_MAX at
                                most; never 0 */
    uint16_t signals_count;
    uint64_t timeout_ms; /* of a whole saga; 0: none */
    uint32_t states_count, resources_count, retriers_count, catchers_count, rules_count,
        choices_count, errors_count, templates_count, template_nodes_count, template_parts_count;
    struct plan_state *states;
    struct plan_resource *resources; /* each pair once */
    struct plan_retrier *retriers;
    struct plan_catcher *catchers;
    struct plan_rule *rules;
    struct plan_choice *choices;
    struct flyover_bytes *errors;
    struct template *templates;
    struct template_node *template_nodes; /* of all templates */
    struct path_part *template_parts;
    struct flyover_bytes signals[PLAN_SIGNALS_MAX]; /* each name once */
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
 * States.TaskFailed matches what States.ALL does but States.Timeout, and States.Timeout matches
 * States.HeartbeatTimeout too. */
uint16_t plan_find_retrier(const struct plan *plan, uint16_t first, uint16_t count,
                           struct flyover_bytes error);
/* The first catcher in the range that matches `error` (the same rules), or UINT16_MAX. */
uint16_t plan_find_catcher(const struct plan *plan, uint16_t first, uint16_t count,
                           struct flyover_bytes error);
/* Index of the signal in the plan's list, or PLAN_NO_SIGNAL. */
uint16_t plan_find_signal(const struct plan *plan, struct flyover_bytes name);

/* The first state whose Task (or, where *ret_undo says so, whose Compensate) asks this resource by
 * a template, which a plug-in cannot be asked by. PLAN_NO_STATE: none does. */
uint16_t plan_find_templated(const struct plan *plan, uint16_t resource, bool *ret_undo);
/* Whether the service is one of the engine's edges by its name: aws-*, or sql. */
bool plan_is_edge(const char *service);

/* When a Wait state that is entered at now_ms with this input is over. A time that has passed is
 * now_ms. A number of seconds with a fraction counts to the nearest millisecond. False, with a
 * static sentence of what is wrong, where the path leads to no such value or it is more than
 * PLAN_WAIT_MS_MAX off. */
bool plan_wait_until(const struct plan_state *state, struct flyover_bytes input, int64_t now_ms,
                     int64_t *ret_until_ms, const char **ret_reason);
/* "2026-11-26T12:00:00Z", with a fraction and an offset if need be, as milliseconds since 1970.
 * A fraction is cut to milliseconds; a leap second (23:59:60 at the end of a month of UTC) is the
 * start of the next second. Source: RFC 3339. False where it is not one, or before 1970. */
bool plan_parse_timestamp(struct flyover_bytes text, int64_t *ret_ms);

/* Milliseconds before the attempt_no-th retry (1 is the first) under the retrier:
 * min(interval x rate^(attempt_no - 1), delay_ms_max), and with full jitter a draw from
 * [0, that] made from `seed` alone. Bounded by PLAN_DELAY_MS_MAX. */
#define PLAN_DELAY_MS_MAX (1000ull * 3600 * 24 * 366)
uint64_t plan_retry_delay_ms(const struct plan_retrier *retrier, uint32_t attempt_no,
                             uint64_t seed);

/* Prints the plan as an aligned table: state, type, what it does (and within what time), next,
 * retry, catch, and what compensates it. */
void plan_print(const struct plan *plan, FILE *out);

#endif
