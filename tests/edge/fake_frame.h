/*
 * fake_frame: the frame of edges in memory, for the tests of modules: calls are made by the test,
 * and how one ended is kept. In the place of the edge thread.
 *
 * Threads: that of the test. Memory: all is freed by fake_frame_reset.
 */
#ifndef TESTS_EDGE_FAKE_FRAME_H
#define TESTS_EDGE_FAKE_FRAME_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/edge/edge_module.h"

struct fake_call {
    struct edge_call call;
    bool is_done, is_failed; /* at most one of them */
    json_t *output;          /* NULL: null */
    bool retryable;
    char error[EDGE_ERROR_BYTES], cause[EDGE_CAUSE_BYTES];
};

struct edge_thread *fake_frame_thread(void);
/* A new call, the test's until fake_frame_reset. */
struct fake_call *fake_call_make(uint32_t handler, const char *key, const char *input);
uint32_t fake_calls_open(void);
void fake_frame_reset(void);

void assert_json(const json_t *json, const char *expected);
void assert_done(const struct fake_call *fake, const char *output);
void assert_failed(const struct fake_call *fake, bool retryable, const char *error);

#endif
