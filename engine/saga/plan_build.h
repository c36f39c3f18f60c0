/*
 * plan_build: what the parts of the plan compiler share: the plan being built, the place in the
 * definition that is being read, and refusals. For engine/saga/plan_*.c only.
 *
 * Functions that return bool return false once they have refused the definition; the reason then
 * stands in the build, and the caller only has to return false as well.
 *
 * Memory: the plan's one block was sized by plan_compile from the definition, so that taking from
 *         it cannot fail (asserted).
 */
#ifndef ENGINE_SAGA_PLAN_BUILD_H
#define ENGINE_SAGA_PLAN_BUILD_H

#include <jansson.h>

#include "engine/saga/plan.h"

/* A JSON pointer as a list on the stack, printed only when something is refused. NULL: the root. */
struct place {
    const struct place *up;
    const char *field; /* NULL: an element of an array */
    size_t index;
};

#define PLACE_FIELD(parent, name)   (&(struct place){.up = (parent), .field = (name)})
#define PLACE_INDEX(parent, number) (&(struct place){.up = (parent), .index = (number)})

/* How many entries the arrays of the plan have room for. */
struct plan_capacity {
    uint32_t states, resources, retriers, catchers, rules, choices, errors, templates,
        template_nodes, template_parts;
};

struct plan_build {
    const char *source;
    struct problem *problem; /* may be NULL */
    enum status status;      /* why it was refused */
    struct plan *plan;
    struct plan_capacity capacity;
    uint32_t services_count;
    uint32_t template_first; /* node of the template that is being compiled */
    uint8_t *text_next;      /* room in the plan for texts and constants */
    uint8_t *text_end;
};

/* The fields that an object may have. */
struct plan_fields {
    const char *owner;        /* "a Task state" */
    const char *const *names; /* NULL-terminated */
};

/* Writes "source: /pointer: sentence" and returns false. */
bool plan_build_refuse(struct plan_build *build, enum status status, const struct place *at,
                       const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Makes text fit for a terminal: control characters and broken UTF-8 become '?'. */
void plan_build_tidy(char *text);

/* Refuses what is not an object, and fields that do not belong there: those of ASL by name as not
 * supported yet, unknown ones with the nearest known name. */
bool plan_fields_check(struct plan_build *build, json_t *object, const struct plan_fields *fields,
                       const struct place *at);
/* A string that has to be there. The text is the JSON's. */
bool plan_build_text(struct plan_build *build, const json_t *object, const char *field,
                     const struct place *at, const char **ret_text);
/* true or false, where the field is there; left alone where it is not. */
bool plan_build_flag(struct plan_build *build, const json_t *object, const char *field,
                     const struct place *at, bool *ret_flag);
/* A whole number from `least` to `most`, where the field is there; left alone where it is not. */
bool plan_build_integer(struct plan_build *build, const json_t *object, const char *field,
                        uint64_t least, uint64_t most, const struct place *at, uint64_t *ret_value);
/* TimeoutSeconds and the like, 1 s or more, in milliseconds. */
bool plan_build_seconds(struct plan_build *build, const json_t *object, const char *field,
                        const struct place *at, uint64_t *ret_ms);
/* Whether the bytes are a name: 1 to FLYOVER_NAME_BYTES_MAX letters, digits, '-', '_', and '.'
 * where `dots` says so. */
bool plan_build_is_name(const char *text, size_t count, bool dots);
/* A copy that lives as long as the plan. */
struct flyover_bytes plan_build_keep(struct plan_build *build, const char *text);
/* "a string", "null", ... */
const char *plan_build_kind(const json_t *value);

/* `field` of `object` names a state: its index. */
bool plan_build_state(struct plan_build *build, const json_t *object, const char *field,
                      const struct place *at, uint16_t *ret_state);
/* `field` of `object` is a path. */
bool plan_build_path(struct plan_build *build, const json_t *object, const char *field,
                     const struct place *at, struct path *ret_path);
/* The ResultPath of a Task, a Pass or a catcher; "$" where there is none. */
bool plan_build_result_path(struct plan_build *build, const json_t *object, const struct place *at,
                            enum result_path_kind *ret_kind, struct path *ret_path);
/* A name of an error: not empty, not too long, and "States." only where ASL says so. */
bool plan_build_check_error_name(struct plan_build *build, const char *name,
                                 const struct place *at);

/* Any JSON value as msgpack: integers in their smallest form, reals as double. */
bool plan_constant_encode(struct plan_build *build, json_t *value, const struct place *at,
                          struct flyover_bytes *ret_constant);

/* Resource of a Task: who does it, in task_kind, resource and signal. *ret_function is the ARN of a
 * Lambda function, the JSON's, or NULL. */
bool plan_resource_compile(struct plan_build *build, const json_t *task, const struct place *at,
                           struct plan_state *state, const char **ret_function);
/* Resource of a Compensate, which is always a handler. */
bool plan_resource_compile_undo(struct plan_build *build, const json_t *compensate,
                                const struct place *at, uint16_t *ret_resource,
                                const char **ret_function);
/* A Resource that begins with "arn:". */
bool plan_arn_parse(struct plan_build *build, const char *text, const struct place *at,
                    enum task_kind *ret_kind, struct plan_resource *ret_handler,
                    bool *ret_is_function);

/* How much room the templates of a state may take; more than a limit allows counts no more than
 * that, since it will be refused. */
void plan_template_count(const json_t *state, struct plan_capacity *capacity);
/* InputPath and Parameters of a Task or a Compensate, for the function or for NULL; left alone
 * where there is none of the three. A Task that waits for its token may name it. */
bool plan_template_compile_arguments(struct plan_build *build, const json_t *holder,
                                     const struct place *at, const char *function, bool by_token,
                                     uint16_t *ret_template);
/* ResultSelector; left alone where there is none. */
bool plan_template_compile_selector(struct plan_build *build, const json_t *holder,
                                    const struct place *at, bool by_token, uint16_t *ret_template);
/* The next node of the template that is being compiled. */
bool plan_template_take(struct plan_build *build, const struct place *at,
                        struct template_node **ret_node);
/* What stands in a field that ends in ".$": one node and what belongs to it. */
bool plan_intrinsic_compile(struct plan_build *build, const char *text, const struct place *at,
                            bool by_token, struct template_node **ret_node);
/* The same of a path alone. `text` is kept by the plan. */
bool plan_template_path(struct plan_build *build, struct flyover_bytes text, const struct place *at,
                        bool by_token, struct template_node *node);
/* Retry and Catch of a Task or of a Compensate; left alone where they are not there. */
bool plan_retry_compile(struct plan_build *build, const json_t *holder, const struct place *at,
                        uint16_t *ret_first, uint16_t *ret_count);
bool plan_catch_compile(struct plan_build *build, const json_t *holder, const struct place *at,
                        uint16_t *ret_first, uint16_t *ret_count);

/* The fields of one state that only its type has. `json` passed plan_fields_check. */
bool plan_task_compile(struct plan_build *build, json_t *json, const struct place *at,
                       struct plan_state *state);
bool plan_rule_compile(struct plan_build *build, json_t *json, const struct place *at,
                       struct plan_state *state);
bool plan_wait_compile(struct plan_build *build, const json_t *json, const struct place *at,
                       struct plan_state *state);

/* Refuses states that cannot be reached, circles without a way out, and states that may not stand
 * on the way that a Catch of a Compensate leads to. */
bool plan_graph_check(struct plan_build *build);

#endif
