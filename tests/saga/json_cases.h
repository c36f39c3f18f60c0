/*
 * json_cases: JSON texts to judge, drawn from a seed; and jansson as the judge.
 *
 * Threads: one.
 */
#ifndef TESTS_SAGA_JSON_CASES_H
#define TESTS_SAGA_JSON_CASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

#define JSON_CASE_BYTES_MAX 16384u

/* The same seed gives the same texts. */
struct json_cases {
    uint64_t state;
    size_t bytes;
    char text[JSON_CASE_BYTES_MAX];
};

/* From 0 to below - 1. */
uint64_t json_cases_draw(struct json_cases *cases, uint64_t below);

/* Draws a text that is JSON, though numbers may be too large, keys there twice, and \u0000 in it:
 * what a reader refuses for reasons of its own. */
void json_cases_draw_text(struct json_cases *cases);

/* Changes, drops or adds a few bytes. */
void json_cases_spoil(struct json_cases *cases);

/* The text read by jansson and packed by value_from_json. False where one of them refuses it;
 * STATUS_TOO_LARGE is a failure of the test. */
bool json_cases_oracle(const char *text, size_t text_bytes, uint8_t *out, size_t capacity,
                       size_t *ret_bytes);

/* value_from_text of a copy with nothing behind it, so that AddressSanitizer sees a read over the
 * end. */
enum status json_cases_read_copy(const char *text, size_t text_bytes, uint8_t *out, size_t capacity,
                                 size_t *ret_bytes, struct problem *problem);

#endif
