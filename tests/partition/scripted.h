/*
 * scripted: a service whose handlers do what the input of the saga tells them, for tests of the
 * engine. The input is a map that says which step fails and how.
 *
 *   handlers a, b, c: add 1 to their counter in table "done"; undo_a, undo_b, undo_c: subtract 1
 *   "refuse": "b"         step b refuses with Test.Refused
 *   "busy": "b", "times": n  step b says Test.Busy the first n times since scripted_reset
 *   "always_busy": "b"    step b says Test.Busy
 *   "refuse_undo": "a"    the compensation of a refuses
 *   "busy_undo": "a"      the compensation of a says Test.Busy always
 *   "garbage": "b"        step b's output is not msgpack
 *
 * And a service "plain" without tables, whose handlers p and q do the same but write nothing.
 */
#ifndef TESTS_PARTITION_SCRIPTED_H
#define TESTS_PARTITION_SCRIPTED_H

#include "engine/flyover_service.h"

enum { SCRIPTED_DONE, SCRIPTED_TRIES };

extern const struct flyover_service scripted_service;
extern const struct flyover_service scripted_plain;
/* The order in which handlers ran since scripted_reset, one letter each: "abBA". */
extern char scripted_trace[4096];
/* Called by a handler before it does anything, with its letter; NULL after scripted_reset. */
extern void (*scripted_hook)(char letter);
/* Of the last forward step that ran; "" for none. */
extern char scripted_token[FLYOVER_TOKEN_BYTES];
extern char scripted_traceparent[FLYOVER_TRACE_BYTES];
void scripted_reset(void);

#endif
