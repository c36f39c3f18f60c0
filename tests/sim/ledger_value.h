/*
 * ledger_value: payloads as the ledger sees them: a few fields that decide where a saga goes, read
 * from msgpack and written as such.
 */
#ifndef TESTS_SIM_LEDGER_VALUE_H
#define TESTS_SIM_LEDGER_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/flyover_service.h"
#include "tests/sim/script.h"

/* A value in a payload, as far as anybody looks at it. */
struct ledger_value {
    enum { LEDGER_ABSENT, LEDGER_NIL, LEDGER_NUMBER, LEDGER_ERROR } kind;
    int32_t n; /* NUMBER: {"n": n}; ERROR: {"Error": script_errors[n]} */
};

struct ledger_payload {
    struct ledger_value root;
    struct ledger_value fields[SCRIPT_FIELDS];
    bool has_pair; /* beside them the input and output of the step whose compensation failed */
};

struct flyover_cursor ledger_cursor_of(struct flyover_bytes bytes);
int64_t ledger_number_at(struct flyover_cursor map, const char *key, int64_t otherwise);
/* Index in script_errors, or -1. */
int ledger_error_of(struct flyover_bytes name);
struct ledger_value ledger_value_of(struct flyover_cursor cursor);
struct ledger_payload ledger_payload_of(struct flyover_cursor cursor);
bool ledger_same_value(struct ledger_value a, struct ledger_value b);
/* True where the bytes read hold the same, as far as anybody looks at it. */
bool ledger_same_payload(const struct ledger_payload *payload, struct flyover_cursor read);
/* Puts a result where ResultPath says. */
void ledger_put(struct ledger_payload *payload, int into, struct ledger_value value);

/* Room for either. The token (0: none) is what a payload's saga is known by. */
#define LEDGER_VALUE_BYTES_MAX   64u
#define LEDGER_PAYLOAD_BYTES_MAX 512u
uint8_t *ledger_encode_value(struct ledger_value value, uint8_t *at);
uint8_t *ledger_encode_payload(const struct ledger_payload *payload, uint64_t token, uint8_t *at);

#endif
