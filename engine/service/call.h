/*
 * call: one call of a handler, as the worker sees it; behind the functions of flyover_service.h.
 *
 * Threads: the worker's. Memory: scratch for the input of a compensation, taken by call_init.
 */
#ifndef ENGINE_SERVICE_CALL_H
#define ENGINE_SERVICE_CALL_H

#include "engine/service/worker.h"

/* Writes, then output; or name, then cause. */
#define CALL_RESULT_BYTES_MAX (FLYOVER_WRITES_BYTES_MAX + FLYOVER_PAYLOAD_BYTES_MAX)

struct flyover_call {
    const struct plugin *plugin;
    struct tables *tables;
    struct flyover_cursor input;
    struct flyover_key key;
    uint32_t attempt_no;
    uint64_t token_seed;
    const uint8_t *payloads;
    slab_ref trace;
    uint8_t *out; /* CALL_RESULT_BYTES_MAX in the worker's arena */
    const uint8_t *output;
    size_t output_bytes;
    bool answered;
    bool lost_write;            /* of a service without tables */
    enum flyover_answer answer; /* the last one given, if answered */
    uint32_t name_bytes;
    uint32_t cause_bytes;
    char name[FLYOVER_ERROR_NAME_BYTES_MAX + 1];
    char cause[FLYOVER_ERROR_CAUSE_BYTES_MAX + 1];
    uint8_t *scratch;     /* input and output of the step to compensate, as one map */
    uint8_t *output_copy; /* FLYOVER_PAYLOAD_BYTES_MAX */
};

NODISCARD enum status call_init(struct flyover_call *call, const struct plugin *plugin,
                                struct tables *tables, uint64_t token_seed);
void call_fini(struct flyover_call *call);

void call_begin(struct flyover_call *call, const struct invoke *invoke, uint8_t *out);
/* Commits or aborts, and makes the result. What a handler got wrong (no answer, garbage output,
 * a write that did not fit) becomes an error of the step, and nothing is written. */
struct result call_end(struct flyover_call *call, enum flyover_answer answer);

#endif
