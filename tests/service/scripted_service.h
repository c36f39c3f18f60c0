/*
 * scripted_service: a service whose handler does what the test says, with a worker to run it. One
 * with tables, one without; the same script for both.
 */
#ifndef TESTS_SERVICE_SCRIPTED_SERVICE_H
#define TESTS_SERVICE_SCRIPTED_SERVICE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/service/worker.h"

enum { SCRIPTED_VALUES, SCRIPTED_COUNTERS };          /* tables */
enum { SCRIPTED_HANDLER, SCRIPTED_COUNTING_HANDLER }; /* handlers */

#define SCRIPTED_COUNTERS_MAX 4u

typedef enum flyover_answer scripted_handle(struct flyover_call *call);

/* What SCRIPTED_HANDLER does, which the test sets, and what it saw. */
struct scripted_service_script {
    scripted_handle *handle;
    const char *name;
    const char *cause;
    const uint8_t *output;
    size_t output_bytes;
    struct flyover_key key;
    uint8_t input[256];
    size_t input_bytes;
};

extern struct scripted_service_script script;

/* What SCRIPTED_COUNTING_HANDLER does: counts its calls in a table and answers with the number, as
 * the four bytes of an integer. */
enum flyover_answer scripted_service_count(struct flyover_call *call);
uint32_t scripted_service_number(const struct result *result);

extern const struct flyover_service scripted_stateful;
extern const struct flyover_service scripted_stateless;

struct scripted_service {
    struct plugin plugin;
    struct tables *tables;
    struct worker *worker;
};

/* With a sleeper of the engine's the worker has a thread. The script is empty afterwards. */
void scripted_service_open(struct scripted_service *service,
                           const struct flyover_service *description, struct sleeper *engine);
void scripted_service_close(struct scripted_service *service);

/* Invokes with an input of [1, 2], of saga 0x123456789a, branch 11, generation 12, step 13. */
void scripted_service_send(struct scripted_service *service, uint16_t handler);

/* A msgpack binary of that many bytes in all, the last of which is 0x5a. The caller frees it. */
uint8_t *scripted_service_make_binary(size_t bytes);

#endif
