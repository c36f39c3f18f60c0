/*
 * template_run: what evaluating a template and its functions share. For engine/saga/template*.c.
 */
#ifndef ENGINE_SAGA_TEMPLATE_RUN_H
#define ENGINE_SAGA_TEMPLATE_RUN_H

#include "engine/saga/sink.h"
#include "engine/saga/template.h"

#define TEMPLATE_QUOTE_BYTES 160 /* of the definition, in a cause */

struct template_run {
    const struct template_context *context;
    struct flyover_bytes payload; /* what "$" is */
    struct sink sink;
    uint64_t work_bytes; /* TEMPLATE_WORK_BYTES at the most */
    struct template_failure *failure;
};

/* Says why, and returns false. */
bool template_fail(struct template_run *run, const char *name, struct flyover_bytes text,
                   const char *reason);
/* The function of a CALL on its arguments, which are checked msgpack and lie elsewhere than what is
 * free in the sink; its result goes there. What has no room is remembered by the sink. */
bool template_call(struct template_run *run, const struct template_node *node,
                   const struct flyover_bytes *arguments);

#endif
