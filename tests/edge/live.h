/*
 * live: a module of AWS on its own, with the real http and aws, against a server of the rig behind
 * a proxy that makes faults. The frame is the test's own (fake_frame.h). There is one of each at a
 * time.
 *
 * Threads: that of the test, which is the edge thread too.
 */
#ifndef TESTS_EDGE_LIVE_H
#define TESTS_EDGE_LIVE_H

#include "tests/edge/fake_frame.h"
#include "tests/edge/rig.h"

/* For what a test asks of it without the module. */
extern struct rig_server live_server;

/* Server and proxy. */
void live_start(enum rig_kind server);
void live_start_lambda(const char *functions_path);
/* cmocka fixture of a group, where nothing may have been started. */
int live_stop(void **state);

/* From now on the module is one of this kind, with this section; what the one before has out is
 * given up, as when the engine dies. Nothing where no server was started. */
void live_open(const struct edge_kind *kind, const char *config);
/* cmocka fixture: closes the module, forgets the calls, and the proxy makes no more faults. */
int live_tear_down(void **state);
void live_skip_where_missing(void);

/* A line for the proxy. */
void live_tell(const char *line);
/* The module gets a call of this key. */
struct fake_call *live_call(uint32_t handler, const char *key, const char *input);
/* The same of a step that no other call is of, and of the step of `fake` a second time. */
struct fake_call *live_begin(uint32_t handler, const char *input);
struct fake_call *live_begin_again(const struct fake_call *fake);
/* Turns until no more than `open_count` calls are open. */
void live_turn_until(uint32_t open_count);
/* Begins, and turns until no call is open. */
struct fake_call *live_run(uint32_t handler, const char *input);
struct fake_call *live_run_again(const struct fake_call *fake);

#endif
